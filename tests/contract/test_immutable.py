"""What API servers say when a field may not change, and that a dry run tells it from a manifest that is wrong.

The texts are for people: no decision reads them. They stand here to show why. What decides is what `would_create`
answers: ALREADY_EXISTS when the same manifest would be taken as a new object, anything else when it would not.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from federation.kube.connection import MERGE_PATCH
from federation.kube.members import Written
from federation.model.failures import Failure, FailureKind
from federation.model.resources import SECRETS, ObjectName, Resource
from federation.playground.access import LocalCluster
from tests.contract.worlds import CONFIGMAPS, DEPLOYMENTS, RealWorld
from tests.fakes import PROOF

pytestmark = pytest.mark.clusters

RBAC = "rbac.authorization.k8s.io"
SERVICES = Resource("", "v1", "Service", "services", namespaced=True)
CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)
JOBS = Resource("batch", "v1", "Job", "jobs", namespaced=True)
STATEFULSETS = Resource("apps", "v1", "StatefulSet", "statefulsets", namespaced=True)
ROLE_BINDINGS = Resource(RBAC, "v1", "RoleBinding", "rolebindings", namespaced=True)
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False)
QUOTAS = Resource("", "v1", "ResourceQuota", "resourcequotas", namespaced=True)
LEDGERS = Resource("immutable.example.com", "v1", "Ledger", "ledgers", namespaced=True)
BACKGROUND = {"propagationPolicy": "Background"}  # a Job's own default is to orphan its Pods


@dataclass(frozen=True)
class Change:
    """Two manifests of one object; `says` is what the API server answers to the second."""

    resource: Resource
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    says: str


def pods(image: str = "web:1", app: str = "web", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}


def deployment(app: str) -> dict[str, Any]:
    return {"spec": {"selector": {"matchLabels": {"app": app}}, "template": pods(app=app)}}


def job(image: str) -> dict[str, Any]:
    return {"spec": {"template": pods(image, restartPolicy="Never")}}


def stateful(size: str) -> dict[str, Any]:
    claim = {"metadata": {"name": "data"}, "spec": claim_of(size)["spec"]}
    selector = {"matchLabels": {"app": "web"}}
    return {
        "spec": {"serviceName": "web", "selector": selector, "template": pods(), "volumeClaimTemplates": [claim]},
    }


def claim_of(size: str, **spec: Any) -> dict[str, Any]:
    return {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}}


def service(**spec: Any) -> dict[str, Any]:
    return {"spec": {"ports": [{"port": 80}], **spec}}


def binding(role: str) -> dict[str, Any]:
    subject = {"kind": "Group", "name": "readers", "apiGroup": RBAC}
    return {"subjects": [subject], "roleRef": {"kind": "ClusterRole", "name": role, "apiGroup": RBAC}}


CHANGES = [
    pytest.param(
        Change(SERVICES, service(clusterIP="10.0.0.76"), service(clusterIP="10.0.0.77"), "may not change once set"),
        id="service-clusterIP",
    ),
    pytest.param(
        Change(SERVICES, service(clusterIP="None"), service(clusterIP="10.0.0.78"), "not configured for dual-stack"),
        id="service-headless-in-words-that-no-pattern-would-know",
    ),
    pytest.param(Change(JOBS, job("web:1"), job("web:2"), "field is immutable"), id="job-template"),
    pytest.param(
        Change(
            CLAIMS,
            claim_of("1Gi", storageClassName="slow"),
            claim_of("1Gi", storageClassName="fast"),
            "spec is immutable after creation except",
        ),
        id="claim-class",
    ),
    pytest.param(
        Change(STATEFULSETS, stateful("1Gi"), stateful("2Gi"), "updates to statefulset spec for fields other than"),
        id="statefulset-claims",
    ),
    pytest.param(Change(DEPLOYMENTS, deployment("a"), deployment("b"), "field is immutable"), id="deployment-selector"),
    pytest.param(
        Change(
            CONFIGMAPS,
            {"data": {"a": "b"}, "immutable": True},
            {"data": {"a": "c"}, "immutable": True},
            "field is immutable when `immutable` is set",
        ),
        id="configmap",
    ),
    pytest.param(
        Change(SECRETS, {"data": {"a": "Yg=="}, "immutable": True}, {"data": {"a": "Yw=="}, "immutable": True}, "data"),
        id="secret",
    ),
    pytest.param(Change(SECRETS, {"type": "Opaque"}, {"type": "example.com/other"}, "type"), id="secret-type"),
    pytest.param(Change(ROLE_BINDINGS, binding("view"), binding("edit"), "cannot change roleRef"), id="roleRef"),
    pytest.param(
        Change(
            STORAGE_CLASSES,
            {"provisioner": "example.com/a"},
            {"provisioner": "example.com/b"},
            "field is immutable",
        ),
        id="storageclass-provisioner",
    ),
    pytest.param(Change(LEDGERS, {"spec": {"owner": "a"}}, {"spec": {"owner": "b"}}, "owner is for life"), id="cel"),
]


class Server(RealWorld):
    """The real API server; some of its objects are the cluster's."""

    def name(self, resource: Resource) -> ObjectName:
        return self.where if resource.namespaced else ObjectName("", f"{self.namespace}-web")

    def encoded(self, resource: Resource, content: Mapping[str, Any]) -> bytes:
        body = self.body(resource, **content)
        body["metadata"]["name"] = self.name(resource).name
        return orjson.dumps(body)

    async def put_there(self, resource: Resource, content: Mapping[str, Any]) -> Written:
        written = await self.member.apply(resource, self.name(resource), self.encoded(resource, content), force=False)
        assert isinstance(written, Written), written
        return written

    async def refused(self, resource: Resource, content: Mapping[str, Any]) -> Failure:
        answer = await self.member.apply(resource, self.name(resource), self.encoded(resource, content), force=True)
        assert isinstance(answer, Failure)
        return answer

    async def anew(self, resource: Resource, content: Mapping[str, Any]) -> Failure | None:
        return await self.member.would_create(resource, self.name(resource), self.encoded(resource, content))

    async def serve_ledgers(self) -> None:
        rule = {"rule": "self == oldSelf", "message": "the owner is for life"}
        owner = {"type": "string", "maxLength": 20, "x-kubernetes-validations": [rule]}
        spec = {"type": "object", "properties": {"owner": owner}}
        await self.install(LEDGERS, {"type": "object", "properties": {"spec": spec}})


@pytest.fixture
async def real(server: LocalCluster) -> AsyncIterator[Server]:
    async with Server(server) as real:
        yield real


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_that_is_refused_and_would_be_taken_as_a_new_object(real: Server, change: Change) -> None:
    """The 422 is the API server's own; a dry run of the create tells that only the old object is in the way."""
    resource, name = change.resource, real.name(change.resource)
    if resource is LEDGERS:
        await real.serve_ledgers()
    first = await real.put_there(resource, change.before)
    refusal = await real.refused(resource, change.after)
    assert (refusal.kind, refusal.code) == (FailureKind.INVALID, 422)
    assert change.says in refusal.message
    answer = await real.anew(resource, change.after)
    assert answer is not None
    assert answer.kind is FailureKind.ALREADY_EXISTS
    found = await real.member.read(resource, name)
    assert not isinstance(found, Failure)
    assert found.resource_version == first.metadata.resource_version  # asking changed nothing
    assert (
        await real.member.delete(resource, name, found.uid, BACKGROUND, PROOF, version=found.resource_version) is None
    )
    if resource is not CLAIMS:  # the claim's finalizer is taken off by a controller that is not here
        assert (await real.put_there(resource, change.after)).created
        await real.remove(resource, name)


def unlike(app: str) -> dict[str, Any]:
    """A Deployment whose Pods its own selector does not find."""
    return {"spec": {"selector": {"matchLabels": {"app": app}}, "template": pods(app="other")}}


@pytest.mark.parametrize(
    ("resource", "before", "after", "kind"),
    [
        pytest.param(DEPLOYMENTS, deployment("a"), unlike("b"), FailureKind.INVALID, id="wrong-in-itself"),
        pytest.param(
            SERVICES,
            service(type="NodePort", clusterIP="10.0.0.81", ports=[{"port": 80, "nodePort": 30081}]),
            service(type="NodePort", clusterIP="10.0.0.82", ports=[{"port": 80, "nodePort": 30081}]),
            FailureKind.INVALID,
            id="a-port-that-the-old-one-holds",
        ),
    ],
)
async def test_what_would_be_refused_as_a_new_object_too(
    real: Server, resource: Resource, before: Mapping[str, Any], after: Mapping[str, Any], kind: FailureKind
) -> None:
    """Validation and allocation come before the API server looks for an object of that name."""
    await real.put_there(resource, before)
    assert (await real.refused(resource, after)).kind is FailureKind.INVALID
    answer = await real.anew(resource, after)
    assert answer is not None
    assert answer.kind is kind
    await real.remove(resource, real.name(resource))


async def test_a_quota_that_has_no_room_for_a_second_one_speaks_first(real: Server) -> None:
    await real.put_there(CONFIGMAPS, {"data": {"a": "b"}, "immutable": True})
    await real.post(QUOTAS, {"spec": {"hard": {"count/configmaps": "1"}}})
    counted = {"status": {"hard": {"count/configmaps": "1"}, "used": {"count/configmaps": "1"}}}
    path = f"{QUOTAS.path(real.where)}/status"
    answer = await real.connection.request("PATCH", path, body=orjson.dumps(counted), content_type=MERGE_PATCH)
    assert not isinstance(answer, Failure)
    async with asyncio.timeout(20.0):
        while True:  # quota admission hears of a new quota by its own watch
            refused = await real.anew(CONFIGMAPS, {"data": {"a": "c"}})
            assert refused is not None
            if refused.kind is not FailureKind.ALREADY_EXISTS:
                break
    assert refused.kind is FailureKind.DENIED
    assert "exceeded quota" in refused.message


async def test_where_nothing_is_it_could_be_created_and_is_not(real: Server) -> None:
    assert await real.anew(CONFIGMAPS, {"data": {"a": "b"}}) is None
    found = await real.member.read(CONFIGMAPS, real.where)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.NOT_FOUND


async def test_a_delete_meets_the_version_that_was_judged(real: Server) -> None:
    """Whatever somebody wrote in between must be looked at first."""
    first = (await real.put_there(CONFIGMAPS, {"data": {"a": "b"}})).metadata
    await real.post(CONFIGMAPS, {"data": {"theirs": "x"}})
    stale = await real.member.delete(CONFIGMAPS, real.where, first.uid, {}, PROOF, version=first.resource_version)
    assert stale is not None
    assert stale.kind is FailureKind.VERSION_CONFLICT
    current = await real.read()
    assert (
        await real.member.delete(CONFIGMAPS, real.where, first.uid, {}, PROOF, version=current.resource_version) is None
    )
