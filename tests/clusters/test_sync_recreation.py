"""What may not change is recreated where its user allows it (kubefed.io/recreate), and nowhere else.

Jobs, claims and the like on real members, whose API servers refuse the change and whose garbage collector takes the
old object's dependents. Number 13 of docs/faults.md.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from federation.model.marks import DELETE_OPTION_ANNOTATION, RECREATE_ANNOTATION
from federation.model.resources import Resource
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_NAMESPACES,
    FEDERATED_SERVICES,
    SERVICES,
    TYPES,
    Api,
    eventually,
    federated_namespace,
    never,
)
from tests.clusters.steps import Federated, Unlike, gone, holds, make, type_status

CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)
FEDERATED_CLAIMS = Resource(
    TYPES, "v1beta1", "FederatedPersistentVolumeClaim", "federatedpersistentvolumeclaims", namespaced=True
)
JOBS = Resource("batch", "v1", "Job", "jobs", namespaced=True)
FEDERATED_JOBS = Resource(TYPES, "v1beta1", "FederatedJob", "federatedjobs", namespaced=True)
REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets", namespaced=True)
RECREATE = {RECREATE_ANNOTATION: "true"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def more_types(fleet: Fleet) -> AsyncIterator[None]:
    """Jobs and PersistentVolumeClaims are enabled."""
    await fleet.enable(JOBS.qualified, CLAIMS.qualified)
    async with fleet.api("host") as host:
        for each in (JOBS, CLAIMS):
            await type_status(host, each.qualified, propagationController="Running")
    yield
    await fleet.disable(JOBS.qualified, CLAIMS.qualified)


@pytest.fixture(autouse=True)
async def placed(host: Api, namespace: str) -> None:
    """The namespace is in both members."""
    await federated_namespace(host, namespace, ["m1", "m2"])


def pods(image: str, app: str = "web", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}


def immutable(value: str) -> dict[str, Any]:
    return {"data": {"a": value}, "immutable": True}


def job(image: str) -> dict[str, Any]:
    return {"spec": {"template": pods(image, restartPolicy="Never")}}


def service(address: str) -> dict[str, Any]:
    return {"spec": {"clusterIP": address, "selector": {"app": "web"}, "ports": [{"port": 80}]}}


def claim(name: str) -> dict[str, Any]:
    resources = {"requests": {"storage": "1Gi"}}
    return {"spec": {"accessModes": ["ReadWriteOnce"], "resources": resources, "storageClassName": name}}


def deployment(app: str, **spec: Any) -> dict[str, Any]:
    return {"spec": {"replicas": 2, "selector": {"matchLabels": {"app": app}}, "template": pods("web:1", app), **spec}}


def uid(stored: dict[str, Any]) -> str:
    return str(stored["metadata"]["uid"])


@dataclass(frozen=True)
class Case:
    """One type: two templates of which the second is refused as a change of the first."""

    federated: Resource
    target: Resource
    before: dict[str, Any]
    after: dict[str, Any]

    def arrived(self, stored: dict[str, Any]) -> bool:
        """Whether the member's object is as the second says; the fields compared are those that may not change."""
        return _within(self.after, stored)


def _within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(_within(value, whole.get(key)) for key, value in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and all(map(_within, part, whole))
    return bool(part == whole)


CASES = [
    pytest.param(Case(FEDERATED_CONFIGMAPS, CONFIGMAPS, immutable("b"), immutable("c")), id="immutable-configmap"),
    pytest.param(Case(FEDERATED_SERVICES, SERVICES, service("None"), service("10.0.9.77")), id="service-clusterIP"),
    pytest.param(Case(FEDERATED_JOBS, JOBS, job("web:1"), job("web:2")), id="job-template"),
    pytest.param(Case(FEDERATED_DEPLOYMENTS, DEPLOYMENTS, deployment("a"), deployment("b")), id="deployment-selector"),
]


@pytest.mark.usefixtures("more_types")
@pytest.mark.parametrize("case", CASES)
async def test_it_is_recreated_in_every_cluster(host: Api, m1: Api, m2: Api, namespace: str, case: Case) -> None:
    """Each member holds a new object with the new field; the hub tells it, once, by an event that names them."""
    both = ["m1", "m2"]
    web = await make(host, case.federated, namespace, "web", case.before, clusters=both, annotations=RECREATE)
    old = [uid(await holds(api, case.target, namespace, "web")) for api in (m1, m2)]
    await web.patch({"spec": {"template": case.after}})
    for api, before in zip((m1, m2), old, strict=True):
        stored = await holds(api, case.target, namespace, "web", case.arrived)
        assert uid(stored) != before
    await web.settled()

    async def reported() -> object:
        return [event for event in await web.events() if event["reason"] == "Recreating"]

    events = await eventually(reported, seen="an event says it")
    assert {name for event in events for name in event["message"].partition(":")[0].split(", ")} == set(both)
    assert all("the cluster refuses the change" in event["message"] for event in events)


@pytest.mark.usefixtures("more_types")
async def test_without_leave_it_stays_until_leave_is_given(
    host: Api, m1: Api, namespace: str, more_types: None
) -> None:
    """UpdateFailed in the member's words; the annotation, added later, is enough."""
    web = await make(host, FEDERATED_JOBS, namespace, "web", job("web:1"), clusters=["m1"])
    before = uid(await holds(m1, JOBS, namespace, "web"))
    await web.patch({"spec": {"template": job("web:2")}})
    reported = await web.reports("m1", "UpdateFailed")
    assert "field is immutable" in reported["message"]
    assert "recreated" not in reported["message"]
    assert uid(await holds(m1, JOBS, namespace, "web")) == before
    await web.annotate(recreate="true")
    await web.settled()
    assert uid(await holds(m1, JOBS, namespace, "web", Case(FEDERATED_JOBS, JOBS, {}, job("web:2")).arrived)) != before


@pytest.mark.usefixtures("more_types")
async def test_a_claim_goes_when_nobody_uses_it_any_more(host: Api, m1: Api, namespace: str) -> None:
    """Its protection finalizer holds it, as Pods would: WaitingForRemoval says so, and the new one follows."""
    web = await make(host, FEDERATED_CLAIMS, namespace, "web", claim("slow"), clusters=["m1"], annotations=RECREATE)
    old = await holds(m1, CLAIMS, namespace, "web", lambda found: found["metadata"].get("finalizers"))
    await web.patch({"spec": {"template": claim("fast")}})
    reported = await web.reports("m1", "WaitingForRemoval")
    assert "being recreated" in reported["message"]
    assert "spec is immutable after creation" in reported["message"]
    assert uid(await holds(m1, CLAIMS, namespace, "web")) == uid(old)
    # In the playground nobody does what a claim's controller does once no Pod uses it.
    await m1.patch(CLAIMS, namespace, "web", {"metadata": {"finalizers": None}})
    await web.settled()
    stored = await holds(m1, CLAIMS, namespace, "web")
    assert (stored["spec"]["storageClassName"], uid(stored) != uid(old)) == ("fast", True)


@pytest.mark.parametrize("policy", ["", "Orphan"], ids=["foreground", "orphan"])
async def test_what_becomes_of_its_pods(host: Api, m1: Api, namespace: str, policy: str) -> None:
    """Unless the user says otherwise the old ReplicaSet is gone before the new Deployment begins."""
    message = {DELETE_OPTION_ANNOTATION: f'{{"propagationPolicy":"{policy}"}}'} if policy else {}
    annotations = {**RECREATE, **message}
    web = await make(
        host, FEDERATED_DEPLOYMENTS, namespace, "web", deployment("a"), clusters=["m1"], annotations=annotations
    )

    async def sets() -> list[str]:
        return [uid(each) for each in await m1.items(REPLICA_SETS, namespace)]

    (old,) = await eventually(sets, seen="a ReplicaSet")
    await web.patch({"spec": {"template": deployment("b")}})
    await holds(m1, DEPLOYMENTS, namespace, "web", lambda found: found["spec"]["selector"]["matchLabels"]["app"] == "b")
    assert (old in await sets()) is (policy == "Orphan")
    await web.settled()


def cannot_start(app: str) -> dict[str, Any]:
    """Another selector, and Pods that it does not find: refused as a change, and as a new object."""
    return deployment(app, template=pods("web:1", "other"))


async def test_nothing_is_deleted_for_a_manifest_that_is_wrong(host: Api, m1: Api, namespace: str) -> None:
    """The dry run says so; mended, it is recreated."""
    web = await make(
        host, FEDERATED_DEPLOYMENTS, namespace, "web", deployment("a"), clusters=["m1"], annotations=RECREATE
    )
    before = uid(await holds(m1, DEPLOYMENTS, namespace, "web"))
    await web.patch({"spec": {"template": cannot_start("b")}})
    reported = await web.reports("m1", "UpdateFailed")
    assert "not recreated: a new object would be refused, too" in reported["message"]
    assert uid(await holds(m1, DEPLOYMENTS, namespace, "web")) == before
    await web.change({"template": deployment("b")})
    assert uid(await holds(m1, DEPLOYMENTS, namespace, "web")) != before


async def test_what_somebody_in_the_member_added_is_not_thrown_away(
    host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """m1 says who owns which field, and keeps it; m2, where nobody did, has the new one."""
    both = ["m1", "m2"]
    web = await make(
        host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=both, annotations=RECREATE
    )
    await m1.patch(CONFIGMAPS, namespace, "web", {"data": {"theirs": "x"}})
    await web.change({"template": immutable("b")})
    await web.patch({"spec": {"template": immutable("c")}})
    reported = await web.reports("m1", "UpdateFailed")
    assert "owns .data.theirs there, which would be lost" in reported["message"]
    stored = await holds(m1, CONFIGMAPS, namespace, "web")
    assert stored["data"] == {"a": "b", "theirs": "x"}
    await holds(m2, CONFIGMAPS, namespace, "web", lambda found: found["data"] == {"a": "c"})
    await m1.delete(CONFIGMAPS, namespace, "web")  # as its admin decides
    await web.settled()
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "c"}


async def test_a_controller_killed_in_between_creates_it_when_it_is_back(
    fleet: Fleet, host: Api, m1: Api, namespace: str
) -> None:
    """Nothing but the members' objects says that one is missing."""
    web = await make(
        host, FEDERATED_CONFIGMAPS, namespace, "web", immutable("b"), clusters=["m1"], annotations=RECREATE
    )
    await m1.patch(CONFIGMAPS, namespace, "web", {"metadata": {"finalizers": ["example.com/hold"]}})
    await web.patch({"spec": {"template": immutable("c")}})
    await web.reports("m1", "WaitingForRemoval")
    fleet.controller.kill()
    try:
        await m1.patch(CONFIGMAPS, namespace, "web", {"metadata": {"finalizers": None}})
        await gone(m1, CONFIGMAPS, namespace, "web")
    finally:
        fleet.controller.start()
    await web.settled()
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "c"}


async def test_what_a_hub_did_not_change_is_not_recreated(host: Api, m1: Api, namespace: str) -> None:
    """Somebody made the copy immutable with another value: a new object would fare no better."""
    web = await make(
        host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"], annotations=RECREATE
    )
    before = uid(await m1.patch(CONFIGMAPS, namespace, "web", {"data": {"a": "theirs"}, "immutable": True}))
    reported = await web.reports("m1", "UpdateFailed")
    assert "not recreated: this cluster accepted this very manifest before" in reported["message"]

    async def other() -> bool:
        return uid(await holds(m1, CONFIGMAPS, namespace, "web")) != before

    await never(other)


async def test_a_namespace_is_never_recreated(host: Api, m1: Api, namespace: str) -> None:
    """A label that no Namespace can have: its line says why nothing is deleted for it, and what is in it stays."""
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"])
    space = Federated(host, FEDERATED_NAMESPACES, namespace, namespace)
    await space.annotate(recreate="true")
    wrong = [{"op": "add", "path": "/metadata/labels", "value": {"team": "no label!"}}]
    await space.patch({"spec": {"overrides": [{"clusterName": "m1", "clusterOverrides": wrong}]}})

    async def reported() -> object:
        found = await space.reports("m1", "UpdateFailed")
        return found if "not recreated: a Namespace never is" in found["message"] else Unlike(found)

    await eventually(reported, seen="m1's line says why")
    await space.patch({"spec": {"overrides": None}})
    await space.settled()
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "b"}
    await web.settled()
