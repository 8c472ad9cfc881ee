"""ReplicaSchedulingPreferences on real API servers: what is written, beside whom, and what members show of their pods.

There are no nodes: the members' own controllers make ReplicaSets and pods, and the tests say of these pods whether they
run or find no node, as a scheduler and a kubelet would.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest

from federation.core import times
from federation.kube.connection import MERGE_PATCH, expect
from federation.model.failures import Failure, FailureKind
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import EVENTS, KUBEFED_CONFIGS, PODS, PREFERENCES, ObjectName, Resource
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    DEPLOYMENTS,
    FEDERATED_DEPLOYMENTS,
    TYPES,
    Api,
    eventually,
    federated,
    federated_namespace,
    line,
    never,
)
from tests.clusters.steps import Federated, Unlike, holds

REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets", namespaced=True)
FEDERATED_REPLICA_SETS = Resource(TYPES, "v1beta1", "FederatedReplicaSet", "federatedreplicasets", namespaced=True)
LABELS = {"app": "web"}
MANAGER = "kubefed-scheduler"


def template(replicas: int = 1, image: str = "web:1") -> dict[str, Any]:
    pod = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "web", "image": image}]}}
    return {"spec": {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": pod}}


async def prefer(host: Api, namespace: str, total: int, **spec: Any) -> dict[str, Any]:
    body = {
        "apiVersion": PREFERENCES.api_version,
        "kind": PREFERENCES.kind,
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"targetKind": "FederatedDeployment", "totalReplicas": total, **spec},
    }
    return await host.apply(PREFERENCES, body, manager="user")


async def deployment(host: Api, namespace: str, **spec: Any) -> Federated:
    body = federated(FEDERATED_DEPLOYMENTS, namespace, "web", template(), **spec)
    await host.create(FEDERATED_DEPLOYMENTS, body, namespace)
    return Federated(host, FEDERATED_DEPLOYMENTS, namespace, "web")


def numbers(stored: Mapping[str, Any]) -> dict[str, int]:
    """What the federated object asks for where it is placed."""
    spec = stored.get("spec") or {}
    placed = {each["name"] for each in (spec.get("placement") or {}).get("clusters") or ()}
    return {
        each["clusterName"]: one["value"]
        for each in spec.get("overrides") or ()
        for one in each.get("clusterOverrides") or ()
        if one["path"] == "/spec/replicas" and each["clusterName"] in placed
    }


async def spread(web: Federated, within: float = 20.0, **wanted: int) -> dict[str, Any]:
    """The federated object once it asks for these."""

    async def asked() -> object:
        stored = await web.get()
        return stored if numbers(stored) == wanted else Unlike(stored.get("spec") or {})

    return dict(await eventually(asked, seen=f"{wanted}", within=within))


async def says(host: Api, namespace: str, kind: str, reason: str) -> dict[str, Any]:
    """A condition of the preference once it has this reason."""

    async def said() -> object:
        stored = await host.get(PREFERENCES, namespace, "web") or {}
        conditions = (stored.get("status") or {}).get("conditions") or ()
        found: dict[str, Any] = next((each for each in conditions if each["type"] == kind), {})
        return found if found.get("reason") == reason else Unlike(stored.get("status") or {})

    return dict(await eventually(said, seen=f"{kind} {reason}"))


async def pods(member: Api, namespace: str, count: int) -> list[str]:
    """The names of the pods, once there are so many."""

    async def made() -> object:
        found: list[str] = [
            each["metadata"]["name"]
            for each in await member.items(PODS, namespace)
            if "deletionTimestamp" not in each["metadata"]
        ]
        return found if len(found) == count else []

    return list(await eventually(made, seen=f"{count} pods", within=40))


async def report(member: Api, namespace: str, pod: str, status: Mapping[str, Any]) -> None:
    """Write the status of a pod as whoever runs it would; a pod that has gone meanwhile has none."""
    path = f"{PODS.path(ObjectName(namespace, pod))}/status"
    body = orjson.dumps({"status": status})
    answer = await member.connection.request("PATCH", path, body=body, content_type=MERGE_PATCH)
    if not (isinstance(answer, Failure) and answer.kind is FailureKind.NOT_FOUND):
        expect(answer, path)


async def run(member: Api, namespace: str, count: int) -> None:
    """All pods find a node and become ready."""
    await start(member, namespace, await pods(member, namespace, count))


async def start(member: Api, namespace: str, names: list[str]) -> None:
    """These pods find a node and become ready."""
    for pod in names:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod},
            "target": {"kind": "Node", "name": "n"},
        }
        path = f"{PODS.path(ObjectName(namespace, pod))}/binding"
        await member.connection.request("POST", path, body=orjson.dumps(binding))
        ready = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady", "PodScheduled")]
        await report(member, namespace, pod, {"phase": "Running", "conditions": ready})


async def no_node(member: Api, namespace: str, names: list[str], *, ago: float) -> None:
    """These pods have found no node for so long. (What is told of the first may have taken another away already.)"""
    since = times.rfc3339(time.time() - ago)
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": since}
    for pod in names:
        await report(member, namespace, pod, {"conditions": [condition]})


async def test_spread_and_pushed(fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await deployment(host, namespace)
    await prefer(host, namespace, 6, clusters={"m1": {"weight": 2}, "m2": {"weight": 1}})
    await spread(web, m1=4, m2=2)
    await says(host, namespace, "Ready", "Scheduled")
    await web.settled()
    for member, wanted in ((m1, 4), (m2, 2)):
        found = await holds(member, DEPLOYMENTS, namespace, "web")
        assert found["spec"]["replicas"] == wanted
    await prefer(host, namespace, 9, clusters={"m1": {"weight": 2}, "m2": {"weight": 1}})
    await spread(web, m1=6, m2=3)
    await prefer(host, namespace, 9, clusters={"m1": {"weight": 1}, "m2": {"weight": 2}})
    await never(lambda: _other(web, m1=6, m2=3))
    await prefer(host, namespace, 9, clusters={"m1": {"weight": 1}, "m2": {"weight": 2}}, rebalance=True)
    await spread(web, m1=3, m2=6)
    await host.delete(PREFERENCES, namespace, "web")
    await never(lambda: _other(web, m1=3, m2=6))


async def _other(web: Federated, **wanted: int) -> object:
    found = numbers(await web.get())
    return found if found != wanted else None


async def test_a_gitops_tool_that_applies_the_same_object_does_not_fight(
    fleet: Fleet, host: Api, m1: Api, namespace: str
) -> None:
    """As Flux does, and Argo CD with ServerSideApply=true: forced, the whole object, again and again."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    image = {"path": "/spec/template/spec/containers/0/image", "value": "web:canary"}
    git = federated(FEDERATED_DEPLOYMENTS, namespace, "web", template(5))
    git["spec"]["overrides"] = [{"clusterName": "m1", "clusterOverrides": [image]}]
    await host.apply(FEDERATED_DEPLOYMENTS, git, manager="flux")
    web = Federated(host, FEDERATED_DEPLOYMENTS, namespace, "web")
    await prefer(host, namespace, 6)
    stored = await spread(web, m1=3, m2=3)
    owned = {each["manager"]: each["fieldsV1"] for each in stored["metadata"]["managedFields"]}
    replicas = 'k:{"path":"/spec/replicas"}'
    assert owned[MANAGER] == {
        "f:spec": {
            "f:placement": {"f:clusters": {}},
            "f:overrides": {
                f'k:{{"clusterName":"{name}"}}': {
                    ".": {},
                    "f:clusterName": {},
                    "f:clusterOverrides": {replicas: {".": {}, "f:path": {}, "f:value": {}}},
                }
                for name in ("m1", "m2")
            },
        }
    }
    generation = stored["metadata"]["generation"]
    for force in (True, False, True):
        again = await host.apply(FEDERATED_DEPLOYMENTS, git, manager="flux", force=force)
        assert again["metadata"]["generation"] == generation, "it has changed nothing"
        await asyncio.sleep(0.3)
    assert (await web.get())["metadata"]["generation"] == generation
    found = await holds(m1, DEPLOYMENTS, namespace, "web", lambda each: each["spec"]["replicas"] == 3)
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:canary"
    # Git changes the template, and takes its override back: ours stays, in the same entry.
    git["spec"]["template"] = template(5, "web:2")
    del git["spec"]["overrides"]
    changed = await host.apply(FEDERATED_DEPLOYMENTS, git, manager="flux")
    assert numbers(changed) == {"m1": 3, "m2": 3}
    await holds(m1, DEPLOYMENTS, namespace, "web", _image("web:2"))
    await prefer(host, namespace, 8)
    stored = await spread(web, m1=4, m2=4)
    assert stored["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"


def _image(name: str) -> Any:
    return lambda each: each["spec"]["template"]["spec"]["containers"][0]["image"] == name


async def test_a_list_that_git_had_may_leave_git(fleet: Fleet, host: Api, m1: Api, namespace: str) -> None:
    """What git has placed as preferred is the preference's, too: nothing is deleted when git leaves it out."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    git = federated(FEDERATED_DEPLOYMENTS, namespace, "web", template(2), clusters=["m1", "m2"])
    await host.apply(FEDERATED_DEPLOYMENTS, git, manager="flux")
    web = Federated(host, FEDERATED_DEPLOYMENTS, namespace, "web")
    await web.settled()
    before = await holds(m1, DEPLOYMENTS, namespace, "web")
    await prefer(host, namespace, 4)
    await spread(web, m1=2, m2=2)
    await says(host, namespace, "Ready", "Scheduled")
    del git["spec"]["placement"]
    changed = await host.apply(FEDERATED_DEPLOYMENTS, git, manager="flux")
    assert numbers(changed) == {"m1": 2, "m2": 2}
    await web.settled()
    assert (await holds(m1, DEPLOYMENTS, namespace, "web"))["metadata"]["uid"] == before["metadata"]["uid"]


async def test_pods_without_a_node_go_where_there_is_room(
    fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await deployment(host, namespace)
    await prefer(host, namespace, 6)
    await spread(web, m1=3, m2=3)
    names = await pods(m1, namespace, 3)
    await run(m2, namespace, 3)
    await start(m1, namespace, names[2:])  # this one stays when the others go
    await no_node(m1, namespace, names[:2], ago=3600)
    await spread(web, within=60, m1=1, m2=5)

    async def told() -> object:
        stored = await host.get(PREFERENCES, namespace, "web") or {}
        told = line(stored, "m1")
        return told.get("room") == 1 or Unlike(told)

    await eventually(told, seen="room in m1")
    await prefer(host, namespace, 6, rebalance=True)  # asked for anew
    await spread(web, m1=3, m2=3)


async def test_pods_that_have_waited_less_than_a_minute_are_left(
    fleet: Fleet, host: Api, m1: Api, namespace: str
) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await deployment(host, namespace)
    await prefer(host, namespace, 4)
    await spread(web, m1=2, m2=2)
    await no_node(m1, namespace, await pods(m1, namespace, 2), ago=5)
    await never(lambda: _other(web, m1=2, m2=2), during=8)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        pytest.param({"targetKind": "FederatedJob"}, "Ready InvalidSpec: spec.targetKind", id="kind"),
        pytest.param({"clusters": {"nowhere": {"weight": 1}}}, "Valid ClusterNotJoined: nowhere", id="stranger"),
        pytest.param({"clusters": {"*": {"minReplicas": 9}}}, "Valid TotalBelowMinimums: 18 together", id="minima"),
        pytest.param({"failover": {"after": "soon"}}, "Ready InvalidSpec: spec.failover.after", id="failover"),
        pytest.param({"targetKind": "FederatedReplicaSet"}, "Ready TypeNotEnabled: fedctl enable", id="not-enabled"),
    ],
)
async def test_wrong_preferences_are_told_of(
    fleet: Fleet, host: Api, namespace: str, spec: dict[str, Any], told: str
) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    await deployment(host, namespace)
    body = {
        "apiVersion": PREFERENCES.api_version,
        "kind": PREFERENCES.kind,
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"targetKind": "FederatedDeployment", "totalReplicas": 4, **spec},
    }
    await host.create(PREFERENCES, body, namespace)
    what, _, words = told.partition(": ")
    kind, reason = what.split()
    found = await says(host, namespace, kind, reason)
    assert words in found["message"]

    async def posted() -> object:
        return [each for each in await host.items(EVENTS, namespace) if each["reason"] == reason]

    (event, *_) = await eventually(posted, seen=f"an event {reason}")
    assert (event["type"], event["involvedObject"]["kind"]) == ("Warning", PREFERENCES.kind)
    assert words in event["message"]


async def test_a_preference_for_nothing(fleet: Fleet, host: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, ["m1"])
    await prefer(host, namespace, 3)
    await says(host, namespace, "Ready", "NoTarget")
    web = await deployment(host, namespace)
    await spread(web, m1=3, m2=0)
    await says(host, namespace, "Valid", "Valid")


@pytest.fixture
async def gates(host: Api) -> AsyncIterator[None]:
    """The KubeFedConfig as it was, afterwards."""
    stored = await host.get(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed") or {}
    yield
    before = stored["spec"].get("featureGates")
    await host.patch(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed", {"spec": {"featureGates": before}})


async def test_the_feature_gate_is_obeyed_while_running(fleet: Fleet, host: Api, namespace: str, gates: None) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await deployment(host, namespace)
    await prefer(host, namespace, 4)
    await spread(web, m1=2, m2=2)
    off = {"featureGates": [{"name": "SchedulerPreferences", "configuration": "Disabled"}]}
    await host.patch(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed", {"spec": off})
    await says(host, namespace, "Ready", "Disabled")
    await prefer(host, namespace, 8)
    await never(lambda: _other(web, m1=2, m2=2))
    on = {"featureGates": [{"name": "SchedulerPreferences", "configuration": "Enabled"}]}
    await host.patch(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed", {"spec": on})
    await spread(web, m1=4, m2=4)


async def test_replica_sets(fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str) -> None:
    await fleet.enable("replicasets.apps")
    try:
        await federated_namespace(host, namespace, ["m1", "m2"])
        body = federated(FEDERATED_REPLICA_SETS, namespace, "web", template())
        await host.create(FEDERATED_REPLICA_SETS, body, namespace)
        web = Federated(host, FEDERATED_REPLICA_SETS, namespace, "web")
        await prefer(
            host, namespace, 5, targetKind="FederatedReplicaSet", clusters={"m1": {"weight": 4}, "m2": {"weight": 1}}
        )
        await spread(web, within=40, m1=4, m2=1)
        found = await holds(m1, REPLICA_SETS, namespace, "web", lambda each: each["spec"]["replicas"] == 4)
        assert found["metadata"]["labels"]["kubefed.io/managed"] == "true"
        await run(m2, namespace, 1)
        names = await pods(m1, namespace, 4)
        await start(m1, namespace, names[1:])
        await no_node(m1, namespace, names[:1], ago=600)
        await spread(web, within=60, m1=3, m2=2)
    finally:
        await fleet.disable("replicasets.apps")


async def test_drained_by_make_before_break(fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await deployment(host, namespace)
    await prefer(host, namespace, 4)
    await spread(web, m1=2, m2=2)

    def drain(*more: str) -> Ran:
        return fedctl("drain", "m1", *more, "--kubeconfig", str(fleet.playground.kubeconfig), "--context", "host")

    assert (await asyncio.to_thread(drain)).code == 0
    try:
        await spread(web, m1=2, m2=4)
        await says(host, namespace, "Ready", "Moving")
        await never(lambda: _other(web, m1=2, m2=4), during=3)
        await run(m2, namespace, 4)
        await spread(web, within=40, m1=0, m2=4)
        await says(host, namespace, "Ready", "Scheduled")
        await holds(m1, DEPLOYMENTS, namespace, "web", lambda each: each["spec"]["replicas"] == 0)
        done = await asyncio.to_thread(drain, "--wait")
        assert (done.code, "no preference has a replica there" in done.err) == (0, True)
        listed = await asyncio.to_thread(
            fedctl, "get", "preferences", "-n", namespace, "-o", "wide", "--kubeconfig",
            str(fleet.playground.kubeconfig), "--context", "host",
        )  # fmt: skip
        assert "FederatedDeployment   4       4           True    Scheduled" in listed.out
        assert "m2 4" in listed.out
        shown = await asyncio.to_thread(
            fedctl, "status", "deployment", "web", "-n", namespace, "--kubeconfig",
            str(fleet.playground.kubeconfig), "--context", "host",
        )  # fmt: skip
        assert "Replicas 4 by ReplicaSchedulingPreference web: m2 4" in shown.out
    finally:
        assert (await asyncio.to_thread(drain, "--undo")).code == 0


async def test_over_a_restart_nothing_is_written(fleet: Fleet, host: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await deployment(host, namespace)
    await prefer(host, namespace, 5, clusters={"m1": {"weight": 4}, "m2": {"weight": 1}})
    await spread(web, m1=4, m2=1)
    await says(host, namespace, "Ready", "Scheduled")
    await prefer(host, namespace, 5, clusters={"m1": {"weight": 1}, "m2": {"weight": 4}})
    await never(lambda: _other(web, m1=4, m2=1), during=1)
    before = [await web.get(), await host.get(PREFERENCES, namespace, "web")]
    fleet.controller.kill()
    fleet.controller.start()
    await asyncio.sleep(3)
    after = [await web.get(), await host.get(PREFERENCES, namespace, "web")]
    assert [each["spec"] for each in after if each] == [each["spec"] for each in before if each]
    assert (after[1] or {})["metadata"]["resourceVersion"] == (before[1] or {})["metadata"]["resourceVersion"]
