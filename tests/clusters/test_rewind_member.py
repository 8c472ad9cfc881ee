"""A member whose etcd was put back to a snapshot: recognised, and put right, whatever its revisions say.

Real processes: m1 has an etcd of its own, whose data is put back as an admin would.
"""

import asyncio
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from federation.model.marks import MANAGED_LABEL, SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, Resource
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    condition,
    eventually,
    line,
    never,
)
from tests.clusters.rewinds import Restorable, restorable

__all__ = ["restorable"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(280)]

EVENTS = Resource("", "v1", "Event", "events", namespaced=True)


PASSED = 200
"""Revisions between the snapshot and its return that the controller's watch has seen."""


class Story(NamedTuple):
    """A snapshot of m1, and what was done after it."""

    snapshot: Path
    namespace: str


async def history(fleet: Restorable) -> Story:
    """Objects in both members, a snapshot of m1, and then: one changed, one deleted, one moved away, one new."""
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    await fleet.start()
    await fleet.federate(namespace)
    for name in ("changed", "deleted", "moved", "steady"):
        await fleet.make(namespace, name, "old")
    await fleet.until_ready(namespace, "changed", "deleted", "moved", "steady")
    await asyncio.sleep(1.1)  # two applies in one second cannot be distinguished
    snapshot = await fleet.snapshot(fleet.one)
    await fleet.make(namespace, "changed", "new")
    await fleet.make(namespace, "moved", "old", "m2")
    await fleet.make(namespace, "young", "new")
    await fleet.host.delete(FEDERATED_CONFIGMAPS, namespace, "deleted")
    await fleet.until_ready(namespace, "changed", "moved", "young")

    async def done() -> bool:
        return await fleet.values(fleet.m1, namespace) == {"changed": "new", "steady": "old", "young": "new"}

    await eventually(done, within=40.0)
    return Story(snapshot, namespace)


async def mended(fleet: Restorable, story: Story, *, deleted: bool, within: float = 60.0) -> None:
    """m1 has what the hub says again, and every status says so. `deleted`: what was deleted is deleted again, else it
    is let go of: whoever has started since does not know that it was deleted."""
    namespace = story.namespace
    kept = {"changed": "new", "steady": "old", "young": "new"}
    wanted = kept if deleted else {**kept, "deleted": "old"}

    async def right() -> object:
        return await fleet.values(fleet.m1, namespace) == wanted

    async def labels() -> object:
        found = await fleet.m1.items(CONFIGMAPS, namespace)
        ours = {each["metadata"]["name"] for each in found if MANAGED_LABEL in (each["metadata"].get("labels") or {})}
        return ours == set(kept)

    await eventually(right, within=within, every=0.3, seen=f"m1 holds {wanted}")
    await eventually(labels, within=30.0, seen=f"ours in m1 are {set(kept)}")
    assert await fleet.values(fleet.m2, namespace) == {**kept, "moved": "old"}
    await fleet.until_ready(namespace, "changed", "moved", "young", "steady")


async def told(fleet: Restorable, reason: str, text: str = "") -> int:
    """How many events of the KubeFedCluster m1 say so."""
    found = await fleet.host.items(EVENTS, SYSTEM_NAMESPACE)
    return sum(
        each["reason"] == reason
        and each["involvedObject"]["kind"] == "KubeFedCluster"
        and each["involvedObject"]["name"] == "m1"
        and text in each["message"]
        for each in found
    )


async def told_more(fleet: Restorable, reason: str, before: int) -> bool:
    """Whether there are more of them than before."""
    return await told(fleet, reason) > before


@pytest.mark.parametrize("overtaken", [False, True], ids=["behind", "overtaken"])
async def test_a_running_controller_puts_right_what_the_snapshot_has(restorable: Restorable, overtaken: bool) -> None:
    """Found: values of the snapshot stayed, what had been deleted was back and stayed, and every object was Ready."""
    fleet = restorable
    story = await history(fleet)
    await fleet.rewind(fleet.one, story.snapshot, overtake=overtaken)
    assert (await fleet.values(fleet.m1, story.namespace))["deleted"] == "old"
    await mended(fleet, story, deleted=True)
    if not overtaken:
        assert await told(fleet, "ClusterRestored")
    removed = f"{story.namespace}/deleted: deleted: "
    await eventually(lambda: told(fleet, "CopyRemoved", removed), within=30.0, seen="an event CopyRemoved")


@pytest.mark.parametrize("overtaken", [False, True], ids=["behind", "overtaken"])
async def test_so_does_one_that_starts_afterwards(restorable: Restorable, overtaken: bool) -> None:
    """It knows from the statuses that entries are of other times; not what had been deleted: that is let go of."""
    fleet = restorable
    story = await history(fleet)
    await fleet.stop()
    await fleet.rewind(fleet.one, story.snapshot, overtake=overtaken)
    await fleet.start()
    await mended(fleet, story, deleted=False)
    await eventually(lambda: told(fleet, "CopyRemoved", f"{story.namespace}/deleted"), within=30.0, seen="an event")


async def test_a_store_that_is_exchanged_under_a_running_api_server(restorable: Restorable) -> None:
    """Its watches and lists go on from its memory; an answer to a write shows it, or its restart, at the latest.

    What it goes on showing from memory cannot be known before.
    """
    fleet = restorable
    await fleet.stop()
    story = await history(fleet)
    before = await told(fleet, "ClusterRestored")
    for number in range(PASSED):  # what m1 itself writes after the rewind does not make up for that at once
        await fleet.m1.patch(CONFIGMAPS, story.namespace, "steady", {"metadata": {"annotations": {"a": str(number)}}})
    await asyncio.sleep(1.0)
    await fleet.rewind(fleet.one, story.snapshot, restart=False)
    await fleet.make(story.namespace, "changed", "newer")
    await eventually(
        lambda: told_more(fleet, "ClusterRestored", before), within=60.0, every=0.5, seen="ClusterRestored"
    )
    await fleet.make(story.namespace, "changed", "new")
    await asyncio.to_thread(fleet.one.restart)
    await mended(fleet, story, deleted=True, within=90.0)


async def test_a_restart_alone_changes_nothing(restorable: Restorable) -> None:
    """The API server and etcd start again, with the data that they had: all is listed, and nothing is written."""
    fleet = restorable
    story = await history(fleet)
    before = await fleet.m1.items(CONFIGMAPS, story.namespace)
    events = await told(fleet, "ClusterRestored")
    await asyncio.to_thread(fleet.one.restart_etcd)
    await asyncio.to_thread(fleet.one.restart)
    await asyncio.sleep(8.0)
    await fleet.settle()
    assert await fleet.m1.items(CONFIGMAPS, story.namespace) == before
    await never(lambda: told_more(fleet, "ClusterRestored", events), during=1.0)


async def test_a_false_status_is_corrected_by_a_controller_that_starts(restorable: Restorable) -> None:
    """It is evidence only: a member has older values than it claims, or a cluster that it names does not exist."""
    fleet = restorable
    story = await history(fleet)
    await fleet.stop()
    namespace = story.namespace
    stored = await fleet.host.get(FEDERATED_CONFIGMAPS, namespace, "changed")
    assert stored is not None
    await fleet.rewind(fleet.one, story.snapshot)
    lies: dict[str, list[dict[str, Any]] | None] = {
        "steady": [{"name": "ghost", "fingerprint": "AAAAAAAA.BBBBBBBB.5"}, {"name": "m2"}],
        "young": None,
        "moved": [{"name": "m1", "fingerprint": "garbage"}],
    }
    for name, lines in lies.items():
        path = f"/apis/types.kubefed.io/v1beta1/namespaces/{namespace}/federatedconfigmaps/{name}/status"
        body = orjson.dumps({"status": {"clusters": lines}})
        await fleet.host.connection.request("PATCH", path, body=body, content_type="application/merge-patch+json")
    await fleet.start()
    await mended(fleet, story, deleted=False)

    async def corrected() -> object:
        found = [await fleet.host.get(FEDERATED_CONFIGMAPS, namespace, name) for name in lies]
        names = [sorted(each["name"] for each in (one or {})["status"].get("clusters", [])) for one in found]
        return names == [["m1", "m2"], ["m1", "m2"], ["m2"]] and all(not line(one, "m2").get("status") for one in found)

    await eventually(corrected, within=60.0, seen="the lines of all statuses")


async def test_the_clusters_stay_ready(restorable: Restorable) -> None:
    """After all that nobody's identity is in doubt."""
    for name in ("m1", "m2"):
        stored = await restorable.host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, name)
        assert condition(stored, "Ready").get("status") == "True"
