"""Bad input and refusals: poison, overrides that do not fit, what may not change, namespaces that go, policies, echoes.

One object suffers, and says what is wrong and where; everything else goes on. Numbers are those of docs/faults.md.
"""

import asyncio
import base64
import copy
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from federation.core import naming
from federation.kube.connection import MERGE_PATCH, expect
from federation.model.failures import Failure, FailureKind
from federation.model.marks import RECREATE_ANNOTATION, SYSTEM_NAMESPACE
from federation.model.resources import CRDS, EVENTS, NAMESPACES, TYPE_CONFIGS, ObjectName, Resource
from federation.playground.faults import Fault
from tests.clusters.faulty import Faulty, passed, tried
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_SECRETS,
    FEDERATED_SERVICES,
    SERVICES,
    TYPES,
    Api,
    condition,
    eventually,
    federated,
    line,
)
from tests.clusters.steps import nested, told_too_deep
from typegen import templates

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = Resource("", "v1", "LimitRange", "limitranges", namespaced=True)
FEDERATED_LIMITS = Resource(TYPES, "v1beta1", "FederatedLimitRange", "federatedlimitranges", namespaced=True)
QUOTAS = Resource("", "v1", "ResourceQuota", "resourcequotas", namespaced=True)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False)
POLICIES = Resource(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", namespaced=False
)
BINDINGS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
LIMIT = {"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}}
BOTH: dict[str, Any] = {"clusters": [{"name": "m1"}, {"name": "m2"}]}
CANARY = "c4N4ryInTheSecret"
ENCODED = base64.b64encode(CANARY.encode()).decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unguarded(station: Faulty) -> AsyncIterator[None]:
    """A federated type as KubeFed made them: its CRD guards nothing, so that poison reaches the controller."""
    host = station.host
    version = {
        "name": "v1beta1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    names = {"plural": FEDERATED_LIMITS.plural, "kind": FEDERATED_LIMITS.kind}
    spec = {"group": TYPES, "names": names, "scope": "Namespaced", "versions": [version]}
    name = f"{FEDERATED_LIMITS.plural}.{TYPES}"
    await host.apply(
        CRDS, {"apiVersion": CRDS.api_version, "kind": CRDS.kind, "metadata": {"name": name}, "spec": spec}
    )
    for manifest in templates.documents(
        "types/roles.yaml",
        federated={"group": TYPES, "plural": FEDERATED_LIMITS.plural, "qualified": FEDERATED_LIMITS.qualified},
        roles={},
        namespace="",
    ):
        await host.apply(ROLES, manifest)
    roles: list[tuple[Api, str, Any]] = []
    for api, member in ((station.m1, "m1"), (station.m2, "m2")):
        role_name = naming.role(member, "host")
        role = await api.get(ROLES, "", role_name)
        assert role is not None
        roles.append((api, role_name, role["rules"]))
        rule = {"apiGroups": [""], "resources": ["limitranges"], "verbs": ["*"]}
        await api.patch(ROLES, "", role_name, {"rules": [*role["rules"], rule]})
    enabled = copy.deepcopy(await host.get(TYPE_CONFIGS, SYSTEM_NAMESPACE, "configmaps"))
    assert enabled is not None
    body = {
        "apiVersion": enabled["apiVersion"],
        "kind": enabled["kind"],
        "metadata": {"name": "limitranges", "namespace": SYSTEM_NAMESPACE},
        "spec": enabled["spec"],
    }
    body["spec"]["targetType"] |= {"kind": "LimitRange", "pluralName": "limitranges"}
    body["spec"]["federatedType"] |= {"kind": FEDERATED_LIMITS.kind, "pluralName": FEDERATED_LIMITS.plural}
    await host.create(TYPE_CONFIGS, body, SYSTEM_NAMESPACE)
    try:
        yield
    finally:
        await host.delete(TYPE_CONFIGS, SYSTEM_NAMESPACE, "limitranges")
        for api, role_name, rules in roles:
            await api.patch(ROLES, "", role_name, {"rules": rules})
        await host.delete(ROLES, "", f"kubefed-controller:{FEDERATED_LIMITS.qualified}")
        await host.delete(CRDS, "", name)


POISON: list[tuple[str, Any, str]] = [
    ("no-spec", None, "spec"),
    ("spec-null", {"spec": None}, "spec"),
    ("spec-text", {"spec": "template"}, "spec"),
    ("no-template", {"spec": {"placement": BOTH}}, "spec.template"),
    ("template-list", {"spec": {"template": [LIMIT], "placement": BOTH}}, "spec.template"),
    ("other-kind", {"spec": {"template": {**LIMIT, "kind": "Secret"}, "placement": BOTH}}, "spec.template.kind"),
    ("bad-version", {"spec": {"template": {**LIMIT, "apiVersion": "a/b/c"}, "placement": BOTH}}, "apiVersion"),
    ("metadata-text", {"spec": {"template": {**LIMIT, "metadata": "x"}, "placement": BOTH}}, "metadata"),
    (
        "labels-list",
        {"spec": {"template": {**LIMIT, "metadata": {"labels": ["x"]}}, "placement": BOTH}},
        "metadata.labels",
    ),
    ("placement-list", {"spec": {"template": LIMIT, "placement": ["m1"]}}, "spec.placement"),
    ("clusters-number", {"spec": {"template": LIMIT, "placement": {"clusters": 7}}}, "spec.placement.clusters"),
    ("cluster-text", {"spec": {"template": LIMIT, "placement": {"clusters": ["m1"]}}}, "spec.placement.clusters[0]"),
    (
        "selector-wrong",
        {
            "spec": {
                "template": LIMIT,
                "placement": {"clusterSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}},
            }
        },
        "spec.placement.clusterSelector",
    ),
    ("overrides-text", {"spec": {"template": LIMIT, "placement": BOTH, "overrides": "x"}}, "spec.overrides"),
    (
        "override-op",
        {
            "spec": {
                "template": LIMIT,
                "placement": BOTH,
                "overrides": [{"clusterName": "m1", "clusterOverrides": [{"path": "/spec", "op": "move"}]}],
            }
        },
        "spec.overrides[0].clusterOverrides[0].op",
    ),
    ("limits-text", {"spec": {"template": {"spec": {"limits": "none"}}, "placement": BOTH}}, "limits"),
    ("duplicate", {"spec": {"template": {"spec": {"limits": [{"type": 3}]}}, "placement": BOTH}}, "limits"),
]


async def test_poison_is_a_condition_on_itself(faulty: Faulty, unguarded: None, namespace: str) -> None:
    """11: no spec, wrong types, another kind: each becomes a condition of that object, naming the field.

    A good object beside them is Ready; no reconcile ends in an exception; the process lives. Mended, each is Ready.
    """
    await faulty.federate(namespace)
    errors = await faulty.count("controller_runtime_reconcile_errors_total", controller="sync")
    for name, poison, _ in POISON:
        meta = {"apiVersion": FEDERATED_LIMITS.api_version, "kind": FEDERATED_LIMITS.kind, "metadata": {"name": name}}
        await faulty.host.create(FEDERATED_LIMITS, {**meta, **(poison or {})}, namespace)
    good = federated(FEDERATED_LIMITS, namespace, "good", LIMIT, clusters=["m1", "m2"])
    await faulty.host.create(FEDERATED_LIMITS, good, namespace)
    await faulty.until_ready(namespace, "good", FEDERATED_LIMITS)
    for name, _, field in POISON:
        message = await eventually(lambda name=name: _reported(faulty, namespace, name), seen=f"{name} says why")  # type: ignore[misc]
        assert field in message, name
    assert await faulty.count("controller_runtime_reconcile_errors_total", controller="sync") == errors
    assert "Traceback" not in faulty.controller.log
    for name, _, _ in POISON:
        spec = {"template": LIMIT, "placement": BOTH}
        path = {"op": "add", "path": "/spec", "value": spec}
        await faulty.host.json_patch(FEDERATED_LIMITS, namespace, name, [path])
    for name, _, _ in POISON:
        await faulty.until_ready(namespace, name, FEDERATED_LIMITS)
        assert await faulty.m1.get(LIMITS, namespace, name) is not None


@pytest.mark.parametrize("depth", [150, 985, 1_100, 3_000])
async def test_an_override_that_nests_too_deep_hurts_its_own_object_alone(
    faulty: Faulty, namespace: str, depth: int
) -> None:
    """A tenant's few kB that no decoder takes: told on its status; others of its type are placed, changed, deleted.

    A controller that starts while it lies there becomes ready; a good object that turns bad keeps its copies, says why
    and can be mended or deleted, and so can the poison.
    """
    host = faulty.host
    await faulty.federate(namespace)
    await faulty.make(namespace, "turned")
    await faulty.until_ready(namespace, "turned")
    where = FEDERATED_CONFIGMAPS.collection(namespace)
    expect(await host.connection.request("POST", where, body=nested(namespace, "poison", depth, BOTH)))
    value = nested(namespace, "turned", depth, BOTH)
    spec = b'{"spec":' + value[value.index(b'"spec":') + 7 :]
    path = FEDERATED_CONFIGMAPS.path(ObjectName(namespace, "turned"))
    expect(await host.connection.request("PATCH", path, body=spec, content_type=MERGE_PATCH))
    for name in ("poison", "turned"):
        message = await eventually(lambda name=name: told_too_deep(host, namespace, name), seen=f"{name} says why")  # type: ignore[misc]
        assert "spec.overrides[0].clusterOverrides" in message
    await faulty.make(namespace, "good")
    await faulty.until_ready(namespace, "good")
    await faulty.restart()
    await host.patch(FEDERATED_CONFIGMAPS, namespace, "good", {"spec": {"template": {"data": {"a": "c"}}}})
    await faulty.until_held(faulty.m1, namespace, "good", "c")
    await faulty.until_held(faulty.m2, namespace, "turned", "b")
    await host.delete(FEDERATED_CONFIGMAPS, namespace, "poison")
    await eventually(lambda: _is_gone(host, namespace, "poison"), seen="the poison is gone")
    if depth == 1_100:
        await host.patch(FEDERATED_CONFIGMAPS, namespace, "turned", {"spec": {"overrides": None}})
        await faulty.until_ready(namespace, "turned")
    await host.delete(FEDERATED_CONFIGMAPS, namespace, "turned")
    await eventually(lambda: _is_gone(host, namespace, "turned"), seen="what turned bad is gone")
    assert await faulty.m1.get(CONFIGMAPS, namespace, "turned") is None
    assert await faulty.count("controller_runtime_reconcile_errors_total", controller="sync") == 0
    assert "Traceback" not in faulty.controller.log


async def _is_gone(api: Api, namespace: str, name: str) -> bool:
    answer = await api.connection.request("GET", FEDERATED_CONFIGMAPS.path(ObjectName(namespace, name)))
    return isinstance(answer, Failure) and answer.kind is FailureKind.NOT_FOUND


async def _reported(faulty: Faulty, namespace: str, name: str) -> str:
    """What an object's failing conditions and lines say, "" while nothing fails."""
    stored = await faulty.stored(namespace, name, FEDERATED_LIMITS)
    found = [condition(stored, kind) for kind in ("Propagation", "Ready")]
    if any(each.get("status") != "False" for each in found) or found[1]["reason"] == "Progressing":
        return ""
    lines = (stored.get("status") or {}).get("clusters") or []
    return " ".join(str(each.get("message", "")) for each in [*found, *lines])


async def test_nothing_of_a_broken_override_is_applied(faulty: Faulty, namespace: str) -> None:
    """12: the second of two operations removes what is not there. m1 keeps what it had, whole; m2 goes on.

    The user sees ApplyOverridesFailed for m1 with index and path.
    """
    await faulty.federate(namespace)
    await faulty.make(namespace, "web")
    await faulty.until_ready(namespace, "web")
    faulty.forget_requests()
    operations = [{"path": "/data/a", "value": "x"}, {"op": "remove", "path": "/data/none"}]
    spec = {"overrides": [{"clusterName": "m1", "clusterOverrides": operations}], "template": {"data": {"a": "c"}}}
    await faulty.host.patch(FEDERATED_CONFIGMAPS, namespace, "web", {"spec": spec})
    reported = await faulty.until_line(namespace, "web", "m1", "ApplyOverridesFailed")
    assert "clusterOverrides[1]" in reported["message"]
    assert "/data/none" in reported["message"]
    await faulty.until_held(faulty.m2, namespace, "web", "c")
    await faulty.until_held(faulty.m1, namespace, "web", "b")
    assert tried(faulty.to_m1, namespace=namespace) == []


async def test_immutable_data_is_refused_once(faulty: Faulty, namespace: str) -> None:
    """13: a ConfigMap that was made immutable. UpdateFailed with the member's words, and no second try until the user
    changes something; taken back, all is Ready again.
    """
    await faulty.federate(namespace)
    body = federated(
        FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}, "immutable": True}, clusters=["m1", "m2"]
    )
    await faulty.host.create(FEDERATED_CONFIGMAPS, body, namespace)
    await faulty.until_ready(namespace, "web")
    faulty.forget_requests()
    await faulty.change(namespace, "web", "c")
    for cluster in ("m1", "m2"):
        reported = await faulty.until_line(namespace, "web", cluster, "UpdateFailed")
        assert "immutable" in reported["message"] or reported["message"] == "same as m1"
        assert reported["generation"] == 1
    await asyncio.sleep(3.0)
    assert [each.code for each in passed(faulty.to_m1, namespace=namespace)] == [422]
    await faulty.change(namespace, "web", "b")
    await faulty.until_ready(namespace, "web")


async def test_immutable_selector_is_refused_once(faulty: Faulty, namespace: str) -> None:
    """13: a Deployment's selector may not change. UpdateFailed names the field; the copies stay as they are."""
    await faulty.federate(namespace)
    await faulty.host.create(
        FEDERATED_DEPLOYMENTS,
        federated(FEDERATED_DEPLOYMENTS, namespace, "web", deployment("a"), clusters=["m1"]),
        namespace,
    )
    await faulty.until_ready(namespace, "web", FEDERATED_DEPLOYMENTS)
    faulty.forget_requests()
    await faulty.host.patch(FEDERATED_DEPLOYMENTS, namespace, "web", {"spec": {"template": deployment("b")}})
    reported = await faulty.until_line(namespace, "web", "m1", "UpdateFailed", FEDERATED_DEPLOYMENTS)
    assert "selector" in reported["message"]
    await asyncio.sleep(3.0)
    # Before a change a dry run asks what it would leave behind: refused like the change itself, and no write.
    assert [each.code for each in passed(faulty.to_m1, verb="apply", namespace=namespace)] == [422]


@pytest.mark.parametrize("lost", ["", "delete", "create", "apply"], ids=lambda verb: f"{verb or 'no'}-answer-lost")
async def test_immutable_data_is_recreated_once(faulty: Faulty, namespace: str, lost: str) -> None:
    """13: with the user's leave. One refusal, one question, one delete, one create; whichever answer is lost,
    no second object is deleted. The user sees Ready.
    """
    await faulty.federate(namespace)
    template = {"data": {"a": "b"}, "immutable": True}
    body = federated(FEDERATED_CONFIGMAPS, namespace, "web", template, clusters=["m1", "m2"])
    body["metadata"]["annotations"] = {RECREATE_ANNOTATION: "true"}
    await faulty.host.create(FEDERATED_CONFIGMAPS, body, namespace)
    await faulty.until_ready(namespace, "web")
    faulty.forget_requests()
    if lost:
        faulty.to_m1.inject(Fault("cut", verb=lost, resource="configmaps", namespace=namespace, times=1))
    await faulty.change(namespace, "web", "c")
    await faulty.until_ready(namespace, "web")
    for api in (faulty.m1, faulty.m2):
        await faulty.until_held(api, namespace, "web", "c")
    await asyncio.sleep(3.0)
    road = [("apply", 422), ("create", 409), ("delete", 200), ("apply", 201)]
    assert [(each.verb, each.code) for each in passed(faulty.to_m2, namespace=namespace)] == road
    seen = passed(faulty.to_m1, namespace=namespace)
    assert [each.verb for each in seen].count("delete") == 1
    assert len(seen) <= len(road) + 2


def deployment(app: str) -> dict[str, Any]:
    pods = {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    return {"spec": {"replicas": 1, "selector": {"matchLabels": {"app": app}}, "template": pods}}


async def test_addresses_of_a_service_are_kept(faulty: Faulty, namespace: str) -> None:
    """13: clusterIP and nodePort are the member's own: a change of the template keeps them."""
    await faulty.federate(namespace)
    spec = {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}
    body = federated(FEDERATED_SERVICES, namespace, "web", {"spec": spec}, clusters=["m1"])
    await faulty.host.create(FEDERATED_SERVICES, body, namespace)
    await faulty.until_ready(namespace, "web", FEDERATED_SERVICES)
    before = await faulty.m1.get(SERVICES, namespace, "web")
    ports = {"ports": [{"name": "http", "port": 80}, {"name": "more", "port": 81}]}
    await faulty.host.patch(FEDERATED_SERVICES, namespace, "web", {"spec": {"template": {"spec": ports}}})
    await faulty.until_ready(namespace, "web", FEDERATED_SERVICES)
    after = await faulty.m1.get(SERVICES, namespace, "web")
    assert before is not None
    assert after is not None
    assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"] != ""
    assert after["spec"]["ports"][0] == before["spec"]["ports"][0]
    assert [port["port"] for port in after["spec"]["ports"]] == [80, 81]


async def test_namespace_that_is_being_deleted(faulty: Faulty, namespace: str) -> None:
    """14: m1's admin deletes the namespace; a finalizer in it holds it. m1's line says so; nobody pushes into it; m2
    goes on. Once it is gone, namespace and objects are made again.
    """
    await faulty.federate(namespace)
    await faulty.make(namespace, "web")
    await faulty.until_ready(namespace, "web")
    held = {"metadata": {"name": "held", "finalizers": ["tests.example/hold"]}}
    await faulty.m1.create(CONFIGMAPS, held, namespace)
    await faulty.m1.delete(NAMESPACES, "", namespace)
    await faulty.make(namespace, "new")
    await faulty.until_held(faulty.m2, namespace, "new", "b")

    async def reported() -> object:
        found = line(await faulty.stored(namespace, "new"), "m1")
        return found if "being deleted" in found.get("message", "") else None

    await eventually(reported, within=30.0, seen="m1's line says that its namespace goes")
    await faulty.until_held(faulty.m1, namespace, "web", None)
    faulty.forget_requests()
    await asyncio.sleep(2.0)
    assert len(tried(faulty.to_m1, namespace=namespace)) <= 2
    await faulty.m1.patch(CONFIGMAPS, namespace, "held", {"metadata": {"finalizers": None}})
    for name in ("web", "new"):
        await faulty.until_held(faulty.m1, namespace, name, "b", within=60.0)
        await faulty.until_ready(namespace, name)


async def test_quota_is_one_clusters_refusal(faulty: Faulty, namespace: str) -> None:
    """14: m1's quota is used up. CreationFailed names the quota, the retry is slow, m2 has the object."""
    await faulty.federate(namespace)
    await faulty.make(namespace, "first")
    await faulty.until_ready(namespace, "first")
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"count/configmaps": "2"}}}
    await faulty.m1.create(QUOTAS, quota, namespace)

    async def counted() -> object:
        found = await faulty.m1.get(QUOTAS, namespace, "few")
        return ((found or {}).get("status") or {}).get("used", {}).get("count/configmaps") == "2"

    await eventually(counted, within=30.0, seen="the quota is counted")
    faulty.forget_requests()
    await faulty.make(namespace, "web")
    reported = await faulty.until_line(namespace, "web", "m1", "CreationFailed")
    assert "exceeded quota: few" in reported["message"]
    await faulty.until_held(faulty.m2, namespace, "web", "b")
    await asyncio.sleep(2.0)
    assert len(tried(faulty.to_m1, namespace=namespace, name="web")) <= 2
    await faulty.m1.delete(QUOTAS, namespace, "few")
    await faulty.until_ready(namespace, "web")


async def forbid(api: Api, name: str, namespace: str, resource: str, validation: Mapping[str, str]) -> None:
    """A policy in a member that refuses objects of one namespace."""
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}]
    labelled = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    await api.create(
        POLICIES,
        {
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": rules, "namespaceSelector": labelled},
                "validations": [validation],
            },
        },
    )
    await api.create(
        BINDINGS, {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}
    )

    async def in_force() -> object:
        answer = await api.connection.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/{resource}",
            params={"dryRun": "All"},
            body=b'{"metadata":{"name":"probe"},"data":{"password":"cHJvYmU="}}',
        )
        return "denied" in str(answer)

    await eventually(in_force, within=30.0, seen=f"policy {name} is in force")


async def permit(api: Api, name: str) -> None:
    await api.delete(BINDINGS, "", name)
    await api.delete(POLICIES, "", name)


async def test_policy_is_one_clusters_refusal(faulty: Faulty, namespace: str) -> None:
    """14: m1's policy forbids the object. CreationFailed with the policy's own words; m2 has it; slow retries."""
    await faulty.federate(namespace)
    await faulty.make(namespace, "first")
    await faulty.until_ready(namespace, "first")
    name = f"no-more-{namespace}"
    await forbid(faulty.m1, name, namespace, "configmaps", {"expression": "false", "message": "no more ConfigMaps"})
    try:
        faulty.forget_requests()
        await faulty.make(namespace, "web")
        reported = await faulty.until_line(namespace, "web", "m1", "CreationFailed")
        assert "no more ConfigMaps" in reported["message"]
        await faulty.until_held(faulty.m2, namespace, "web", "b")
        await asyncio.sleep(2.0)
        assert len(tried(faulty.to_m1, namespace=namespace, name="web")) <= 2
    finally:
        await permit(faulty.m1, name)
    await faulty.until_ready(namespace, "web")


async def test_a_secrets_values_come_back_in_no_word_of_ours(faulty: Faulty, namespace: str) -> None:
    """22: m1 quotes a Secret's values in its refusals: a policy that echoes them, a type error of server-side apply, a
    value that is no base64. A canary is in no status, event, log (at debug) or metric; the user sees CreationFailed.
    """
    await faulty.federate(namespace)
    await faulty.make(namespace, "first")
    await faulty.until_ready(namespace, "first")
    echo = f"echo-{namespace}"
    expression = "'bad value: ' + string(object.data.password)"
    rule = {"expression": "!has(object.data) || !('password' in object.data)", "messageExpression": expression}
    await forbid(faulty.m1, echo, namespace, "secrets", rule)
    operations = {
        "echoed": [],
        "type-error": [{"path": "/data", "value": CANARY}],
        "no-base64": [{"path": "/data/password", "value": f"{CANARY}!"}],
        "nested": [{"path": "/data/password", "value": {"p": CANARY}}],
        "missing": [{"op": "add", "path": "/none/of/this", "value": CANARY}],
        "metadata": [{"op": "add", "path": "/metadata/labels", "value": {"bad label": CANARY}}],
    }
    try:
        for name, overrides in operations.items():
            spec = {"overrides": [{"clusterName": "m1", "clusterOverrides": overrides}]} if overrides else {}
            body = federated(
                FEDERATED_SECRETS, namespace, name, {"data": {"password": ENCODED}}, clusters=["m1", "m2"], **spec
            )
            await faulty.host.create(FEDERATED_SECRETS, body, namespace)
        seen = ""
        for name in operations:
            word = "ApplyOverridesFailed" if name == "missing" else "CreationFailed"
            reported = await faulty.until_line(namespace, name, "m1", word, FEDERATED_SECRETS)
            assert reported["message"]
            seen += str((await faulty.stored(namespace, name, FEDERATED_SECRETS))["status"])
    finally:
        await permit(faulty.m1, echo)

    async def announced() -> object:
        found = await faulty.host.items(EVENTS, namespace)
        return found if len({event["involvedObject"]["name"] for event in found}) >= len(operations) else None

    seen += str(await eventually(announced, within=30.0, seen="an event of each"))
    seen += await asyncio.to_thread(faulty.controller.metrics)
    seen += faulty.controller.log
    assert CANARY not in seen
    assert ENCODED not in seen
    assert CANARY.lower() not in seen.lower()
