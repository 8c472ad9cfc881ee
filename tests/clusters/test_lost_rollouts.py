"""A rollout whose record is lost in mid-run, on real API servers: nobody behind the canary is written."""

import asyncio
from typing import Any

import orjson

from federation.kube.connection import MERGE_PATCH, expect
from federation.model.marks import UNDONE_ANNOTATION
from federation.model.resources import EVENTS, REVISIONS, ROLLOUTS, ObjectName
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    Api,
    condition,
    eventually,
    federated_namespace,
)
from tests.clusters.rolling import APPROVED, approve, begin, reaches, says, staged, verdicts
from tests.clusters.steps import Federated, holds, writes

BOTH = ["m1", "m2"]


async def in_mid_run(host: Api, m1: Api, namespace: str) -> Federated:
    """B is in m1, A in m2, and a person has to approve."""
    await federated_namespace(host, namespace, BOTH)
    await begin(host, namespace, [APPROVED])
    web = await staged(host, FEDERATED_CONFIGMAPS, namespace, {"data": {"a": "A"}}, clusters=BOTH)
    await reaches(host, namespace, "WaitingForApproval", revision=1)
    await approve(host, namespace, "1/canary")
    await reaches(host, namespace, "Complete", revision=1)
    await web.patch({"spec": {"template": {"data": {"a": "B"}}}})
    await reaches(host, namespace, "WaitingForApproval", revision=2)
    await has(m1, namespace, "B")
    return web


async def has(member: Api, namespace: str, value: str) -> Any:
    """The member's copy, once it has this value."""
    return await holds(member, CONFIGMAPS, namespace, "web", lambda found: found["data"]["a"] == value)


async def lose(host: Api, namespace: str) -> None:
    """Empty the status."""
    path = f"{ROLLOUTS.path(ObjectName(namespace, 'safe'))}/status"
    body = orjson.dumps({"status": None})
    expect(await host.connection.request("PATCH", path, body=body, content_type=MERGE_PATCH))


async def restart(fleet: Fleet) -> None:
    await asyncio.to_thread(fleet.controller.start)


async def test_an_emptied_record_is_made_anew_by_the_next_controller(
    fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    web = await in_mid_run(host, m1, namespace)
    before = await has(m2, namespace, "A")
    fleet.controller.kill()
    try:
        await lose(host, namespace)
    finally:
        await restart(fleet)
    found = await reaches(host, namespace, "WaitingForApproval", revision=3)
    assert verdicts(found) == ["Good", "Running"]
    assert found["status"]["record"]["released"] == [{"name": "m1", "revision": 3}]
    await says(host, namespace, "the record was lost")
    after = await has(m2, namespace, "A")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]

    async def told() -> bool:
        return any(each["reason"] == "RecordLost" for each in await host.items(EVENTS, namespace))

    await eventually(told)
    await m2.patch(CONFIGMAPS, namespace, "web", {"data": {"a": "drift"}})
    await has(m2, namespace, "A")
    await host.patch(ROLLOUTS, namespace, "safe", {"metadata": {"annotations": {UNDONE_ANNOTATION: "3"}}})
    await has(m1, namespace, "A")
    await reaches(host, namespace, "Undone", revision=2)
    assert (await web.get())["spec"]["template"] == {"data": {"a": "B"}}
    # What was taken back stays so, too: nobody knows any more whether it is what is asked for.
    fleet.controller.kill()
    try:
        await lose(host, namespace)
    finally:
        await restart(fleet)
    await reaches(host, namespace, "RecordLost", revision=5)
    await says(host, namespace, "fedctl rollout resume")
    await has(m1, namespace, "A")
    await host.patch(ROLLOUTS, namespace, "safe", {"metadata": {"annotations": {UNDONE_ANNOTATION: None}}})
    await has(m1, namespace, "B")
    await has(m2, namespace, "A")


async def test_a_running_controller_writes_the_record_back(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    await in_mid_run(host, m1, namespace)
    record = (await host.get(ROLLOUTS, namespace, "safe") or {})["status"]["record"]
    await lose(host, namespace)
    found = await reaches(host, namespace, "WaitingForApproval", revision=2)
    assert found["status"]["record"] == record
    await has(m2, namespace, "A")


async def test_a_rollout_that_is_deleted_and_applied_again_goes_on(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """As GitOps tools do that replace. What was stored goes with the federated object, so that it is still there."""
    web = await in_mid_run(host, m1, namespace)
    counted = await writes(m2)
    await host.delete(ROLLOUTS, namespace, "safe")

    async def told() -> bool:
        return "there is no FederatedRollout" in condition(await web.get(), "Ready")["message"]

    await eventually(told)
    await begin(host, namespace, [APPROVED])
    found = await reaches(host, namespace, "WaitingForApproval", revision=2)
    assert verdicts(found) == ["Good", "Running"]
    since = await writes(m2)
    assert {each: since[each] - counted[each] for each in since if each[1] == "configmaps"} == {
        each: 0 for each in since if each[1] == "configmaps"
    }
    await m2.delete(CONFIGMAPS, namespace, "web")
    await has(m2, namespace, "A")
    await approve(host, namespace, "2/canary")
    await reaches(host, namespace, "Complete", revision=2)
    await has(m2, namespace, "B")
    assert len(await host.items(REVISIONS, namespace)) == 2
