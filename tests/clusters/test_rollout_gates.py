"""What a rollout waits for, and what moves in mid-run, on real API servers: m1 is the canary, m2 comes behind it."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from federation.kube.connection import MERGE_PATCH, expect
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES, ROLLOUTS, ObjectName
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    FEDERATED_SERVICES,
    SERVICES,
    Api,
    federated,
    federated_namespace,
    never,
)
from tests.clusters.rolling import APPROVED, approve, begin, labelled, reaches, says, staged
from tests.clusters.steps import Federated, gone, holds, make
from tests.clusters.test_sync_kinds import FEDERATED_TIERS, TIERS, tiers

__all__ = ["tiers"]

BOTH = ["m1", "m2"]
PASSED = {"name": "canary", "clusters": ["m1"]}


def values(**members: Api) -> Any:
    """What the members have of ConfigMap web, when called."""

    async def look(namespace: str) -> dict[str, Any]:
        found = {name: await api.get(CONFIGMAPS, namespace, "web") for name, api in members.items()}
        return {name: (each or {}).get("data", {}).get("a") for name, each in found.items()}

    return look


async def change(host: Api, namespace: str, **spec: Any) -> None:
    """Another spec of the rollout."""
    await host.patch(ROLLOUTS, namespace, "safe", {"spec": spec})


async def has(member: Api, namespace: str, value: str) -> None:
    await holds(member, CONFIGMAPS, namespace, "web", lambda found: found["data"]["a"] == value)


async def with_a(host: Api, m1: Api, m2: Api, namespace: str, stages: list[Any], **spec: Any) -> Federated:
    """A is the good revision, 1, in both."""
    await federated_namespace(host, namespace, BOTH)
    placed: dict[str, Any] = {"clusters": BOTH, **spec}
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "A"}}, **placed)
    await begin(host, namespace, stages)
    await web.patch(labelled({"metadata": {}}))
    await reaches(host, namespace, "Complete", revision=1)
    for member in (m1, m2):
        await has(member, namespace, "A")
    return web


def window(*, open_: bool) -> dict[str, Any]:
    """All of this week but the days about today, or about today alone: midnight may pass meanwhile."""
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    today = dt.datetime.now(dt.UTC).weekday()
    near = {names[(today + days) % 7] for days in (-1, 0, 1)}
    return {"days": [name for name in names if (name in near) == open_], "start": "00:00", "duration": "24h"}


async def test_a_stage_waits_for_its_window(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    look = values(m1=m1, m2=m2)
    web = await with_a(host, m1, m2, namespace, [{**PASSED, "windows": [window(open_=False)]}])
    await web.patch({"spec": {"template": {"data": {"a": "B"}}}})
    await reaches(host, namespace, "OutsideWindow", revision=2)
    assert await look(namespace) == {"m1": "A", "m2": "A"}
    await change(host, namespace, stages=[{**PASSED, "windows": [window(open_=True)], "gates": {"approval": True}}])
    await reaches(host, namespace, "WaitingForApproval", revision=2)
    await has(m1, namespace, "B")
    # Outside of its window a stage that was released goes on.
    await change(host, namespace, stages=[{**APPROVED, "windows": [window(open_=False)]}])
    await approve(host, namespace, "2/canary")
    await reaches(host, namespace, "Complete", revision=2)
    await has(m2, namespace, "B")


async def test_soak_pause_and_a_change_while_it_is_paused(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    look = values(m1=m1, m2=m2)
    web = await with_a(host, m1, m2, namespace, [{**PASSED, "gates": {"soak": "1h"}}])
    await web.patch({"spec": {"template": {"data": {"a": "B"}}}})
    await reaches(host, namespace, "Soaking", revision=2)
    await has(m1, namespace, "B")
    await change(host, namespace, paused=True)
    await reaches(host, namespace, "Paused", revision=2)
    await web.patch({"spec": {"template": {"data": {"a": "C"}}}})
    await change(host, namespace, stages=[{**PASSED, "gates": {"soak": "1s"}}])

    async def moved() -> object:
        return await look(namespace) != {"m1": "B", "m2": "A"}

    await never(moved, during=4.0, every=0.2)
    await change(host, namespace, paused=None)
    await reaches(host, namespace, "Complete", revision=3)
    await has(m1, namespace, "C")
    await has(m2, namespace, "C")


@pytest.fixture
async def relabelled(host: Api) -> AsyncIterator[None]:
    """Clusters lose the label `tier` afterwards."""
    yield
    for cluster in BOTH:
        await label(host, cluster, None)


async def label(host: Api, cluster: str, tier: str | None) -> None:
    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, cluster, {"metadata": {"labels": {"tier": tier}}})


async def test_labels_and_placement_move_in_mid_run(
    host: Api, m1: Api, m2: Api, namespace: str, relabelled: None
) -> None:
    """Who gets the label of a stage that is released gets the revision; who loses it keeps that; who leaves, leaves."""
    await label(host, "m1", "canary")
    stage = {"name": "canary", "clusterSelector": {"matchLabels": {"tier": "canary"}}, "gates": {"approval": True}}
    web = await with_a(host, m1, m2, namespace, [{**stage, "amount": 1}])
    await web.patch({"spec": {"template": {"data": {"a": "B"}}}})
    await reaches(host, namespace, "WaitingForApproval", revision=2)
    await has(m1, namespace, "B")
    await label(host, "m2", "canary")  # the stage is full
    await label(host, "m1", None)
    look = values(m1=m1, m2=m2)

    async def moved() -> object:
        return await look(namespace) != {"m1": "B", "m2": "A"}

    await never(moved, during=3.0, every=0.2)
    await change(host, namespace, stages=[stage])  # it takes all
    await has(m2, namespace, "B")
    await has(m1, namespace, "B")
    await web.patch({"spec": {"placement": {"clusters": [{"name": "m2"}]}}})
    await gone(m1, CONFIGMAPS, namespace, "web")
    await reaches(host, namespace, "WaitingForApproval", revision=2)
    await approve(host, namespace, "2/canary")
    await reaches(host, namespace, "Complete", revision=2)
    await web.place("m1", "m2")
    await has(m1, namespace, "B")


async def test_an_expression_about_the_members_own_status(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """Nobody sets a condition of a Service here, but the test."""
    await federated_namespace(host, namespace, BOTH)
    asks = {"type": "services", "expression": "has(object.status.conditions)"}
    await begin(host, namespace, [{**PASSED, "gates": {"expressions": [asks]}}])
    template = {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    await staged(host, FEDERATED_SERVICES, namespace, template, clusters=BOTH)
    await holds(m1, SERVICES, namespace, "web")
    await reaches(host, namespace, "WaitingForHealth", revision=1)
    await says(host, namespace, asks["expression"])
    assert await m2.get(SERVICES, namespace, "web") is None
    path = f"{SERVICES.path(ObjectName(namespace, 'web'))}/status"
    checked = {"type": "Checked", "status": "True", "reason": "Test", "message": ""}
    body = {"status": {"conditions": [{**checked, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}
    expect(await m1.connection.request("PATCH", path, body=orjson.dumps(body), content_type=MERGE_PATCH))
    await reaches(host, namespace, "Complete", revision=1, within=60.0)
    await holds(m2, SERVICES, namespace, "web")


async def test_a_namespace_goes_stage_by_stage_and_what_is_in_it_waits(
    host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    await host.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    await begin(host, namespace, [APPROVED])
    body = federated(FEDERATED_NAMESPACES, namespace, namespace, {"metadata": {"labels": {"a": "A"}}}, clusters=BOTH)
    await host.create(FEDERATED_NAMESPACES, labelled(body), namespace)
    within = federated(FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "A"}}, clusters=BOTH)
    await host.create(FEDERATED_CONFIGMAPS, within, namespace)
    web = Federated(host, FEDERATED_CONFIGMAPS, namespace, "web")
    await reaches(host, namespace, "WaitingForApproval", revision=1)
    await has(m1, namespace, "A")
    await web.reports("m2", "Pending", "waiting for the namespace")
    assert await m2.get(NAMESPACES, "", namespace) is None
    await approve(host, namespace, "1/canary")
    await reaches(host, namespace, "Complete", revision=1)
    await has(m2, namespace, "A")
    itself = Federated(host, FEDERATED_NAMESPACES, namespace, namespace)
    await itself.patch({"spec": {"template": {"metadata": {"labels": {"a": "B"}}}}})
    await reaches(host, namespace, "WaitingForApproval", revision=2)
    await holds(m1, NAMESPACES, "", namespace, lambda found: found["metadata"]["labels"]["a"] == "B")
    await holds(m2, NAMESPACES, "", namespace, lambda found: found["metadata"]["labels"]["a"] == "A")
    await m2.patch(NAMESPACES, "", namespace, {"metadata": {"labels": {"a": "drift"}}})
    await holds(m2, NAMESPACES, "", namespace, lambda found: found["metadata"]["labels"]["a"] == "A")
    await web.change({"template": {"data": {"a": "B"}}})  # what is in it, and has no rollout, goes on
    await has(m2, namespace, "B")
    await approve(host, namespace, "2/canary")
    await reaches(host, namespace, "Complete", revision=2)
    await holds(m2, NAMESPACES, "", namespace, lambda found: found["metadata"]["labels"]["a"] == "B")


async def test_a_cluster_scoped_object_has_its_rollout_in_the_system_namespace(
    host: Api, m1: Api, m2: Api, namespace: str, tiers: None
) -> None:
    await begin(host, SYSTEM_NAMESPACE, [APPROVED], name=namespace)
    try:
        body = labelled(federated(FEDERATED_TIERS, "", namespace, {"spec": {"rank": 1}}, clusters=BOTH), namespace)
        await host.create(FEDERATED_TIERS, body)
        await reaches(host, SYSTEM_NAMESPACE, "WaitingForApproval", revision=1, name=namespace)
        await holds(m1, TIERS, "", namespace)
        assert await m2.get(TIERS, "", namespace) is None
        await approve(host, SYSTEM_NAMESPACE, "1/canary", namespace)
        await reaches(host, SYSTEM_NAMESPACE, "Complete", revision=1, name=namespace)
        await holds(m2, TIERS, "", namespace)
        await host.patch(FEDERATED_TIERS, "", namespace, {"spec": {"template": {"spec": {"rank": 2}}}})
        await reaches(host, SYSTEM_NAMESPACE, "WaitingForApproval", revision=2, name=namespace)
        await holds(m1, TIERS, "", namespace, lambda found: found["spec"]["rank"] == 2)
        await m2.delete(TIERS, "", namespace)
        await holds(m2, TIERS, "", namespace, lambda found: found["spec"]["rank"] == 1)
    finally:
        await host.delete(FEDERATED_TIERS, "", namespace)
        await gone(host, FEDERATED_TIERS, "", namespace)
        await host.delete(ROLLOUTS, SYSTEM_NAMESPACE, namespace)
