"""Staged rollouts on real API servers: who is written and who is not, as the members' own servers count."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from federation.model.marks import UNDONE_ANNOTATION
from federation.model.resources import NAMESPACES, REVISIONS, ROLLOUTS
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_NAMESPACES,
    Api,
    eventually,
    federated_namespace,
)
from tests.clusters.rolling import APPROVED, approve, begin, reaches, staged, verdicts
from tests.clusters.steps import Federated, attempt, holds, writes

pytestmark = pytest.mark.usefixtures("mode")


def data(stored: dict[str, Any]) -> Any:
    return stored.get("data", {}).get("a")


@pytest.fixture
async def running(fleet: Fleet) -> AsyncIterator[Fleet]:
    """The fleet; its controller runs again afterwards."""
    yield fleet
    process = fleet.controller.process
    if process is None or process.poll() is not None:
        fleet.controller.start()


async def test_a_canary_that_never_becomes_ready_stops_everything_behind_it(
    fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """There are no nodes here, so a Deployment with a replica never becomes available: nobody writes to m2."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    await begin(host, namespace, [{"name": "canary", "clusters": ["m1"]}])
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    template = {"spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}}
    web = await staged(host, FEDERATED_DEPLOYMENTS, namespace, template, clusters=["m1", "m2"])
    await reaches(host, namespace, "Complete", revision=1)
    await web.settled()
    before = await holds(m2, DEPLOYMENTS, namespace, "web")
    counted = await writes(m2)
    await web.patch({"spec": {"template": {"spec": {"replicas": 1}}}})
    await holds(m1, DEPLOYMENTS, namespace, "web", lambda found: found["spec"]["replicas"] == 1)
    found = await reaches(host, namespace, "WaitingForHealth", revision=2)

    async def told() -> object:
        nonlocal found
        found = await host.get(ROLLOUTS, namespace, "safe") or {}
        return "0 of 1 replicas are available" in str(found["status"]["conditions"])

    await eventually(told, seen="why it waits")
    await web.patch({"metadata": {"annotations": {"touched": "again"}}})  # planned anew
    ready = await web.reason("Ready", "HeldByRollout")
    assert "revision 2, stage canary" in ready["message"]
    after = await holds(m2, DEPLOYMENTS, namespace, "web")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    since = await writes(m2)
    # What other tests left is still being deleted there; this one's copy was just seen.
    written = [each for each in since if each[1] == "deployments" and each[0] != "DELETE"]
    assert {each: since[each] - counted[each] for each in written} == dict.fromkeys(written, 0)

    def run(*arguments: str) -> Ran:
        return fedctl(
            "rollout", *arguments, "safe", "-n", namespace, "--kubeconfig", str(fleet.playground.kubeconfig),
            "--context", "host",
        )  # fmt: skip

    shown = await _aside(run, "status")
    assert shown.code == 0, shown.err
    assert "WaitingForHealth: revision 2 under way, good revision 1" in shown.out
    undone = await _aside(run, "undo")
    assert undone.code == 0, undone.err
    assert "every cluster gets revision 1" in undone.err
    await reaches(host, namespace, "Undone", revision=1)
    await holds(m1, DEPLOYMENTS, namespace, "web", lambda found: found["spec"]["replicas"] == 0)
    stored = await web.get()
    assert stored["spec"]["template"]["spec"]["replicas"] == 1  # git is not fought
    assert (await host.get(ROLLOUTS, namespace, "safe") or {})["metadata"]["annotations"] == {UNDONE_ANNOTATION: "2"}


async def test_killed_and_changed_in_mid_run(running: Fleet, host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """Who waits is held to its own revision, by the next controller, too; another template supersedes."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    await begin(host, namespace, [APPROVED])
    await staged(host, FEDERATED_CONFIGMAPS, namespace, {"data": {"a": "A"}}, clusters=["m1", "m2"])
    web = Federated(host, FEDERATED_CONFIGMAPS, namespace, "web")
    await reaches(host, namespace, "WaitingForApproval", revision=1)
    assert await m2.get(CONFIGMAPS, namespace, "web") is None
    await approve(host, namespace, "1/canary")
    await reaches(host, namespace, "Complete", revision=1)
    await web.patch({"spec": {"template": {"data": {"a": "B"}}}})
    await reaches(host, namespace, "WaitingForApproval", revision=2)
    await holds(m1, CONFIGMAPS, namespace, "web", lambda found: data(found) == "B")
    running.controller.kill()
    await m2.patch(CONFIGMAPS, namespace, "web", {"data": {"a": "drift"}})
    await m1.patch(CONFIGMAPS, namespace, "web", {"data": {"a": "drift"}})
    running.controller.start()
    await holds(m2, CONFIGMAPS, namespace, "web", lambda found: data(found) == "A")
    await holds(m1, CONFIGMAPS, namespace, "web", lambda found: data(found) == "B")
    await m2.delete(CONFIGMAPS, namespace, "web")
    await holds(m2, CONFIGMAPS, namespace, "web", lambda found: data(found) == "A")
    await web.patch({"spec": {"template": {"data": {"a": "C"}}}})
    found = await reaches(host, namespace, "WaitingForApproval", revision=3)
    assert verdicts(found) == ["Good", "Superseded", "Running"]
    await holds(m1, CONFIGMAPS, namespace, "web", lambda found: data(found) == "C")
    assert data(await m2.get(CONFIGMAPS, namespace, "web") or {}) == "A"
    await approve(host, namespace, "3/canary")
    await reaches(host, namespace, "Complete", revision=3)
    await holds(m2, CONFIGMAPS, namespace, "web", lambda found: data(found) == "C")
    await web.settled()
    await web.delete()

    async def gone() -> bool:
        return not await host.items(REVISIONS, namespace)

    await eventually(gone, seen="revisions gone with their object", within=40.0)


async def test_a_cluster_that_joins_in_mid_run_waits_for_its_stage(
    fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    everywhere: dict[str, Any] = {"clusters": None, "clusterSelector": {}}
    await federated_namespace(host, namespace, [])
    await host.patch(FEDERATED_NAMESPACES, namespace, namespace, {"spec": {"placement": everywhere}})
    await begin(host, namespace, [APPROVED])
    web = await staged(host, FEDERATED_CONFIGMAPS, namespace, {"data": {"a": "A"}}, placement={"clusterSelector": {}})
    await reaches(host, namespace, "WaitingForApproval", revision=1)
    await approve(host, namespace, "1/canary")
    await reaches(host, namespace, "Complete", revision=1)
    await web.patch({"spec": {"template": {"data": {"a": "B"}}}})
    await reaches(host, namespace, "WaitingForApproval", revision=2)
    await fleet.join("m3")
    try:
        async with fleet.api("m3") as m3:
            await holds(m3, CONFIGMAPS, namespace, "web", lambda found: data(found) == "A")
            await approve(host, namespace, "2/canary")
            await holds(m3, CONFIGMAPS, namespace, "web", lambda found: data(found) == "B")
            await reaches(host, namespace, "Complete", revision=2)
    finally:
        await fleet.unjoin("m3")


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"name": "rest", "clusters": ["m1"]}, "rest is the name of the last stage"),
        ({"name": "a"}, "must have either clusters or clusterSelector"),
        ({"name": "a", "clusters": ["m1"], "clusterSelector": {}}, "must have either clusters or clusterSelector"),
        ({"name": "a", "clusters": ["m1"], "amount": 0}, "amount"),
        ({"name": "a", "clusters": ["m1"], "amount": "101%"}, "amount"),
        ({"name": "a", "clusters": ["m1"], "windows": [{"start": "25:00", "duration": "1h"}]}, "start"),
        ({"name": "a", "clusters": ["m1"], "gates": {"soak": "soon"}}, "soak"),
    ],
)
async def test_a_stage_that_makes_no_sense_is_refused(host: Api, namespace: str, stage: Any, said: str) -> None:
    await host.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    body = {
        "apiVersion": ROLLOUTS.api_version,
        "kind": ROLLOUTS.kind,
        "metadata": {"name": "safe", "namespace": namespace},
        "spec": {"stages": [stage]},
    }
    assert said in await attempt(host, ROLLOUTS, namespace, body)
    for number, amount in enumerate((1, "1%", "100%")):
        body["spec"] = {"stages": [{"name": "a", "clusters": ["m1"], "amount": amount}]}
        body["metadata"] = {"name": f"fine-{number}", "namespace": namespace}
        assert not await attempt(host, ROLLOUTS, namespace, body)


async def _aside(run: Any, verb: str) -> Ran:
    """fedctl in a thread: it has an event loop of its own."""
    ran: Ran = await asyncio.to_thread(run, verb)
    return ran
