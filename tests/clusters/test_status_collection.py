"""Members' statuses on real servers: Deployments with their controller, Services, a custom type by its own rule."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from federation.joining.enabling import Request
from federation.kube.connection import MERGE_PATCH
from federation.model.failures import Failure
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import CRDS, TYPE_CONFIGS, ObjectName, Resource
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    DEPLOYMENTS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_SECRETS,
    FEDERATED_SERVICES,
    SERVICES,
    TYPES,
    Api,
    condition,
    eventually,
    federated_namespace,
    line,
)
from tests.clusters.steps import Federated, Unlike, attempt_patch, configure, gone, holds, make, type_status, writes

pytestmark = pytest.mark.usefixtures("mode")

GATE = "RawResourceStatusCollection"
LABELS = {"app": "web"}
POD = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
TEMPLATE = {"spec": {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": POD}}
GAUGES = Resource("collect.example.com", "v1", "Gauge", "gauges", namespaced=True)
FEDERATED_GAUGES = Resource(TYPES, "v1beta1", "FederatedGauge", "federatedgauges", namespaced=True)
STATUS = {"type": "object", "properties": {"phase": {"type": "string"}, "ready": {"type": "integer"}}}
GAUGE_CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": GAUGES.qualified},
    "spec": {
        "group": GAUGES.group,
        "scope": "Namespaced",
        "names": {"kind": "Gauge", "listKind": "GaugeList", "plural": "gauges", "singular": "gauge"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
                            "status": STATUS | {"x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


async def gate(host: Api, setting: str) -> None:
    await configure(host, {"featureGates": [{"name": GATE, "configuration": setting}]})


async def collect(host: Api, name: str, setting: str | None, **spec: Any) -> None:
    """Switch status collection of a type, and wait until the controller says so."""
    await host.patch(TYPE_CONFIGS, SYSTEM_NAMESPACE, name, {"spec": {"statusCollection": setting, **spec}})
    await type_status(host, name, statusController="Running" if setting == "Enabled" else "NotRunning")


async def report(api: Api, resource: Resource, namespace: str, name: str, status: Any) -> None:
    """A controller in the member writes a status."""
    path = f"{resource.path(ObjectName(namespace, name))}/status"
    body = orjson.dumps({"status": status})
    answer = await api.connection.request("PATCH", path, body=body, content_type=MERGE_PATCH)
    assert not isinstance(answer, Failure), answer.message


async def healthy(made: Federated, status: str, message: str = "") -> dict[str, Any]:
    """As stored once Healthy has this status for the present generation."""

    async def reported() -> object:
        stored = await made.get()
        found = condition(stored, "Healthy")
        current = found.get("observedGeneration") == stored["metadata"]["generation"]
        fits = current and found.get("status") == status and message in found.get("message", "")
        return stored if fits else Unlike(stored.get("status") or {})

    return dict(await eventually(reported, seen=f"{made} Healthy={status} {message}"))


async def shows(made: Federated, cluster: str, check: Any) -> dict[str, Any]:
    """The cluster's line once `check` likes it."""

    async def reported() -> object:
        found = line(await made.get(), cluster)
        return found if found and check(found) else Unlike(found)

    return dict(await eventually(reported, seen=f"{made}: line of {cluster}"))


@pytest.fixture
async def collecting(host: Api) -> AsyncIterator[None]:
    """Deployments and Services are collected, raw; as before afterwards."""
    await gate(host, "Enabled")
    for name in ("deployments.apps", "services"):
        await collect(host, name, "Enabled")
    yield
    for name in ("deployments.apps", "services"):
        await collect(host, name, None)
    await configure(host, {"featureGates": None})


async def test_a_deployments_status_as_its_controller_writes_it(  # noqa: PLR0917 - fixtures
    fleet: Fleet, collecting: None, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """Well with no replica, not well with one, because there are no nodes; then quiet."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", TEMPLATE, clusters=["m1", "m2"])
    stored = await healthy(web, "True", "2 clusters are healthy")
    assert stored["status"]["summary"] == {
        "desired": 0, "ready": 0, "updated": 0, "unhealthyClusters": 0, "unknownClusters": 0,
    }  # fmt: skip
    for api, name in ((m1, "m1"), (m2, "m2")):
        member = await holds(api, DEPLOYMENTS, namespace, "web", lambda found: "observedGeneration" in found["status"])
        remote = await shows(web, name, lambda found: "observedGeneration" in found.get("remoteStatus", {}))
        assert remote["remoteStatus"] == member["status"]
        assert remote["ready"] == "0/0"
    await web.patch({"spec": {"template": {"spec": {"replicas": 2}}}})
    stored = await healthy(web, "False", "2 of 2 clusters are not healthy")
    assert stored["status"]["summary"]["desired"] == 4
    assert condition(stored, "Ready")["status"] == "True"

    def run(*arguments: str) -> Ran:
        where = ("-n", namespace, "--kubeconfig", str(fleet.playground.kubeconfig), "--context", "host")
        return fedctl(*arguments, *where)

    shown = await asyncio.to_thread(run, "status", "deployment", "web")
    assert shown.code == 0, shown.err
    assert "Healthy False (0/4 ready): 2 of 2 clusters are not healthy" in shown.out
    assert "READY" in shown.out
    assert "0/2" in shown.out
    listed = await asyncio.to_thread(run, "get", "federated", "deployments", "-o", "wide")
    assert "READY" in listed.out
    assert "0/4" in listed.out
    await _quiet(web, 5.0)


async def test_a_restarted_controller_writes_nothing(  # noqa: PLR0917 - fixtures
    fleet: Fleet, collecting: None, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", TEMPLATE, clusters=["m1", "m2"])
    await healthy(web, "True")
    await shows(web, "m2", lambda found: "observedGeneration" in found.get("remoteStatus", {}))
    await asyncio.sleep(2)
    before = await web.get()
    fleet.controller.kill()
    fleet.controller.start()
    await _quiet(web, 8.0)
    assert (await web.get())["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_switched_on_and_off_while_it_runs(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """The type's switch and the gate, each by itself; members see no write."""
    await federated_namespace(host, namespace, ["m1"])
    template = {"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}
    web = await make(host, FEDERATED_SERVICES, namespace, "web", template, clusters=["m1"])
    before = await holds(m1, SERVICES, namespace, "web")
    try:
        await collect(host, "services", "Enabled")
        stored = await healthy(web, "False", "m1: it has no address yet")
        assert stored["status"]["clusters"][0]["ready"] == "0/1"
        assert "remoteStatus" not in stored["status"]["clusters"][0]
        note = condition(await host.get(TYPE_CONFIGS, SYSTEM_NAMESPACE, "services"), "Ready")["message"]
        assert GATE in note
        await gate(host, "Enabled")
        await shows(web, "m1", lambda found: found.get("remoteStatus") == {"loadBalancer": {}})
        address = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1", "ipMode": "VIP"}]}}
        await report(m1, SERVICES, namespace, "web", address)
        stored = await healthy(web, "True")
        assert stored["status"]["clusters"][0]["remoteStatus"] == address
        await gate(host, "Disabled")
        await shows(web, "m1", lambda found: "remoteStatus" not in found and found.get("ready") == "1/1")
    finally:
        await collect(host, "services", "Disabled")
        await configure(host, {"featureGates": None})
    await shows(web, "m1", lambda found: "ready" not in found)
    stored = await web.get()
    assert "summary" not in stored["status"]
    assert not condition(stored, "Healthy")
    after = await holds(m1, SERVICES, namespace, "web")
    assert after["metadata"]["managedFields"][0] == before["metadata"]["managedFields"][0]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_statuses_that_change_all_the_time_are_few_writes(
    collecting: None, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """Dozens of changes in two members; the hub is written at most once a second, and shows the last one."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    template = {"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}
    web = await make(host, FEDERATED_SERVICES, namespace, "web", template, clusters=["m1", "m2"])
    await shows(web, "m2", lambda found: "ready" in found)
    before = await writes(host)
    loop = asyncio.get_running_loop()
    began, number = loop.time(), 0
    while loop.time() - began < 8 or number < 20:
        for api in (m1, m2):
            address = {"ip": f"10.0.{number // 250}.{number % 250 + 1}", "ipMode": "VIP"}
            await report(api, SERVICES, namespace, "web", {"loadBalancer": {"ingress": [address]}})
        number += 1
        await asyncio.sleep(0.1)
    took, since = loop.time() - began, await writes(host)
    written = since["PATCH", "federatedservices/status"] - before["PATCH", "federatedservices/status"]
    assert 1 <= written <= took
    last = {"loadBalancer": {"ingress": [address]}}
    for name in ("m1", "m2"):
        await shows(web, name, lambda found: found.get("remoteStatus") == last)


async def test_secrets_are_not_collected(host: Api, m1: Api, namespace: str) -> None:
    await host.patch(TYPE_CONFIGS, SYSTEM_NAMESPACE, "secrets", {"spec": {"statusCollection": "Enabled"}})
    try:
        await type_status(host, "secrets", statusController="NotRunning")

        async def told() -> bool:
            found = condition(await host.get(TYPE_CONFIGS, SYSTEM_NAMESPACE, "secrets"), "Ready")
            return "never read whole" in found.get("message", "")

        await eventually(told)
        await federated_namespace(host, namespace, ["m1"])
        web = await make(host, FEDERATED_SECRETS, namespace, "web", {"stringData": {"a": "hush"}}, clusters=["m1"])
        await asyncio.sleep(3)
        assert "hush" not in str((await web.get())["status"])
        assert "remoteStatus" not in str((await web.get())["status"])
    finally:
        await host.patch(TYPE_CONFIGS, SYSTEM_NAMESPACE, "secrets", {"spec": {"statusCollection": None}})


@pytest.fixture
async def gauges(fleet: Fleet, host: Api, m1: Api, m2: Api) -> AsyncIterator[None]:
    """A custom type with a status, enabled."""
    for api in (host, m1, m2):
        await api.apply(CRDS, GAUGE_CRD)
        await holds(api, CRDS, "", GAUGES.qualified, lambda found: "Established" in str(found.get("status")))
    await fleet.enable(Request(name=GAUGES.qualified))
    await type_status(host, GAUGES.qualified, propagationController="Running")
    yield
    for each in await host.items(FEDERATED_GAUGES):
        await host.delete(FEDERATED_GAUGES, each["metadata"]["namespace"], each["metadata"]["name"])
        await gone(host, FEDERATED_GAUGES, each["metadata"]["namespace"], each["metadata"]["name"])
    await fleet.disable(GAUGES.qualified)
    for api in (host, m1, m2):
        await api.delete(CRDS, "", GAUGES.qualified)


async def test_a_custom_type_by_its_own_rule(gauges: None, host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """Its federated CRD describes remoteStatus by the target's own status; a wrong rule is refused."""
    crd = await host.get(CRDS, "", FEDERATED_GAUGES.qualified)
    assert crd is not None
    status = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    remote = status["clusters"]["items"]["properties"]["remoteStatus"]
    assert remote["properties"]["phase"] == {"type": "string"}
    wrong = {"spec": {"health": {"healthy": [{"path": ".data.password"}]}}}
    refusal = await attempt_patch(host, TYPE_CONFIGS, SYSTEM_NAMESPACE, GAUGES.qualified, wrong)
    assert "spec.health.healthy[0].path" in refusal
    health = {
        "healthy": [{"path": ".status.phase", "values": ["Running"]}],
        "desired": ".spec.size",
        "ready": ".status.ready",
    }
    await gate(host, "Enabled")
    try:
        await collect(host, GAUGES.qualified, "Enabled", health=health)
        await federated_namespace(host, namespace, ["m1", "m2"])
        web = await make(host, FEDERATED_GAUGES, namespace, "web", {"spec": {"size": 3}}, clusters=["m1", "m2"])
        await healthy(web, "False", "m1: .status.phase is not Running")
        for api in (m1, m2):
            await report(api, GAUGES, namespace, "web", {"phase": "Running", "ready": 3, "adminPassword": "hush"})
        stored = await healthy(web, "True")
        assert stored["status"]["summary"]["ready"] == 6
        for each in stored["status"]["clusters"]:
            assert each["remoteStatus"] == {"phase": "Running", "ready": 3, "adminPassword": "<hidden>"}
        await report(m2, GAUGES, namespace, "web", {"ready": 1})
        stored = await healthy(web, "False", "m2: 1 of 3 are ready")
        assert line(stored, "m2")["ready"] == "1/3"
        assert line(stored, "m2")["unhealthy"] == "1 of 3 are ready"
    finally:
        await collect(host, GAUGES.qualified, None)
        await configure(host, {"featureGates": None})


async def _quiet(made: Federated, during: float) -> None:
    """The federated object is not written for so long."""
    await asyncio.sleep(3)
    before = await made.get()
    await asyncio.sleep(during)
    assert (await made.get())["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
