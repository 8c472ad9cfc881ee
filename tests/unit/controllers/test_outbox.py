"""What a shard reports: bounded whatever it grows to, and never beside what another holder has left."""

import asyncio
from typing import Any

import msgspec
import pytest

from federation.controllers import outbox as outboxes
from federation.controllers.outbox import Outbox
from federation.controllers.tracks import Track
from federation.core import reports
from federation.core.shards import Shard
from federation.model.federated import FederatedObject, Metadata
from federation.model.plan import Plan
from federation.model.resources import CONFIG_MAPS, Key, ObjectName
from federation.model.status import ClusterStatus
from tests.fakehub import FakeHub
from tests.unit.virtualtime import virtual

WHERE = ObjectName("system", "kubefed-controller-shard-1")
LIMIT = 1024 * 1024
"""Bytes that an API server takes in a ConfigMap's data."""


class Hub(FakeHub):
    """It refuses what an API server would, and counts what it is asked."""

    asked = 0

    async def read(self, resource: Any, name: ObjectName, **how: Any) -> Any:
        self.asked += 1
        return await super().read(resource, name, **how)

    async def merge(self, resource: Any, name: ObjectName, body: bytes, **how: Any) -> Any:
        answer = await super().merge(resource, name, body, **how)
        assert size(self) <= LIMIT
        return answer


def stored(hub: FakeHub) -> dict[str, str]:
    return dict((hub.get(CONFIG_MAPS, WHERE) or {}).get("data") or {})


def size(hub: FakeHub) -> int:
    return sum(len(text.encode()) for text in stored(hub).values())


def reported(hub: FakeHub) -> set[str]:
    return {name for name in stored(hub) if name.startswith(reports.PREFIX)}


def item(number: int) -> FederatedObject:
    return FederatedObject(Metadata(name=f"o{number}", namespace="ns", uid=f"uid-{number}", generation=2))


def report(outbox: Outbox, number: int, message: str, *, lines: int = 1) -> None:
    """The shard has this to say of an object."""
    said = [ClusterStatus(f"m{each}", "UpdateFailed", f"{each} {message}") for each in range(lines)]
    key, federated = Key("configmaps", "ns", f"o{number}"), item(number)
    outbox.report(key, federated, Track.begin(federated), Plan(2), said, stalled=frozenset(), deletions=None)


def made(hub: FakeHub) -> Outbox:
    return Outbox(hub, WHERE, Shard(1, 3), {f"m{each}" for each in range(100)})


@pytest.mark.parametrize("letter", ["x", "ü", "界"])
@virtual
async def test_reports_that_grow_stay_within_what_an_api_server_takes(letter: str) -> None:
    """Nobody acknowledges them for a while, and then every line gets a long message. In the end all have been told."""
    hub = Hub()
    outbox = made(hub)
    await outbox.begin()
    serving = asyncio.create_task(outbox.serve())
    for number in range(400):
        report(outbox, number, "short", lines=20)
    await asyncio.sleep(60)
    assert len(reported(hub)) > 300
    for number in range(400):
        report(outbox, number, letter * 200, lines=20)
    told: set[str] = set()
    for _ in range(40):
        await asyncio.sleep(20)
        there = {name for name, text in stored(hub).items() if letter * 100 in text}
        assert there or len(told) == 400
        told |= there
        for name in there:
            outbox.forget(Key("configmaps", "ns", f"o{name.rpartition('-')[2]}"))  # acknowledged
    serving.cancel()
    assert len(told) == 400
    assert reported(hub) == set()


@virtual
async def test_what_is_never_acknowledged_keeps_nobody_out() -> None:
    """An object in so many clusters that its status has no room for every line is never acknowledged. Reports of others
    get their turn, each of them again and again; what confirms a deletion waits for none of them."""
    hub = Hub()
    outbox = made(hub)
    await outbox.begin()
    serving = asyncio.create_task(outbox.serve())
    for number in range(20):
        report(outbox, number, "x" * 250, lines=300)
    await asyncio.sleep(30)
    there = reported(hub)
    assert 2 < len(there) < 15
    going = item(99)
    gone = msgspec.structs.replace(going.metadata, deletion_timestamp="2026-01-01T00:00:00Z")
    outbox.confirm(Key("configmaps", "ns", "o99"), msgspec.structs.replace(going, metadata=gone), Plan(2))
    await asyncio.sleep(20)
    assert f"{reports.PREFIX}uid-99" in reported(hub)
    turns = dict.fromkeys((f"{reports.PREFIX}uid-{number}" for number in range(20)), 0)
    for _ in range(200):
        await asyncio.sleep(20)
        for name in reported(hub) & turns.keys():
            turns[name] += 1
    assert min(turns.values()) > 10
    assert f"{reports.PREFIX}uid-99" in reported(hub)
    serving.cancel()


@pytest.mark.parametrize("gone", ["all of it", "one report"])
@virtual
async def test_what_somebody_has_taken_out_is_said_again(gone: str) -> None:
    """A confirmation would be missing for good otherwise, and its object never go."""
    hub = Hub()
    outbox = made(hub)
    await outbox.begin()
    serving = asyncio.create_task(outbox.serve())
    report(outbox, 1, "x")
    going = item(2)
    meta = msgspec.structs.replace(going.metadata, deletion_timestamp="2026-01-01T00:00:00Z")
    outbox.confirm(Key("configmaps", "ns", "o2"), msgspec.structs.replace(going, metadata=meta), Plan(2))
    await asyncio.sleep(10)
    told = stored(hub)
    if gone == "all of it":
        hub.delete(CONFIG_MAPS, WHERE)
    else:
        hub.put(CONFIG_MAPS, WHERE, data={f"{reports.PREFIX}uid-2": None})
    assert stored(hub) != told
    await asyncio.sleep(90)
    assert stored(hub) == told
    serving.cancel()


@virtual
async def test_at_rest_nothing_is_asked() -> None:
    hub = Hub()
    outbox = made(hub)
    await outbox.begin()
    serving = asyncio.create_task(outbox.serve())
    report(outbox, 1, "x")
    await asyncio.sleep(30)
    outbox.forget(Key("configmaps", "ns", "o1"))
    await asyncio.sleep(90)
    hub.asked = 0
    await asyncio.sleep(3600)
    assert hub.asked == 0
    serving.cancel()


@virtual
async def test_at_rest_what_has_room_is_written_once() -> None:
    hub = Hub()
    outbox = made(hub)
    await outbox.begin()
    serving = asyncio.create_task(outbox.serve())
    for number in range(20):
        report(outbox, number, "x")
    await asyncio.sleep(30)
    hub.writes.clear()
    await asyncio.sleep(600)
    assert hub.writes == []
    serving.cancel()


@virtual
async def test_a_late_write_of_a_holder_before_is_taken_out() -> None:
    """It was sent before its Lease had ended, and came when the next holder had already begun."""
    hub = Hub()
    outbox = made(hub)
    await outbox.begin()
    serving = asyncio.create_task(outbox.serve())
    await asyncio.sleep(5)
    hub.put(CONFIG_MAPS, WHERE, data={f"{reports.PREFIX}uid-9": "an old report"})
    report(outbox, 1, "new")
    await asyncio.sleep(5)
    assert reported(hub) == {f"{reports.PREFIX}uid-1"}
    serving.cancel()


@virtual
async def test_what_is_left_at_the_end_is_written_also_where_the_hub_has_another_version() -> None:
    hub = Hub()
    outbox = made(hub)
    await outbox.begin()
    report(outbox, 1, "last")
    hub.put(CONFIG_MAPS, WHERE, data={f"{reports.PREFIX}uid-9": "an old report"})
    await outbox.finish()
    assert reported(hub) == {f"{reports.PREFIX}uid-1"}


def test_the_limits_leave_room_for_the_largest_report() -> None:
    assert outboxes.MOST < outboxes.GROWN
    assert outboxes.GROWN < LIMIT
