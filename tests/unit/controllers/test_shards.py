"""Several shards on one hub in memory: one writer of finalizers and statuses, and a deletion that all confirm."""

import asyncio
from collections import Counter
from typing import Any

from federation.core import cadence
from federation.model import marks
from federation.model.resources import KUBEFED_CONFIGS, ObjectName
from tests.unit.controllers.rig import CONFIGMAPS, WEB
from tests.unit.controllers.shardrig import CONFIG, Fleet
from tests.unit.virtualtime import virtual

SECONDS = 3.0
"""Until reports are written, folded and acknowledged."""


@virtual
async def test_an_object_costs_one_status_write_however_many_shards_it_is_in() -> None:
    async with Fleet(a=0, b=1, c=2, d=2) as fleet:
        fleet.put()
        await asyncio.sleep(SECONDS)
        assert {each: fleet.value(each) for each in "abcd"} == dict.fromkeys("abcd", "b")
        assert fleet.lines() == dict.fromkeys("abcd", "")
        assert fleet.ready()["status"] == "True"
        assert Counter(each.split()[0] for each in fleet.hub.writes if "web" in each) == {"finalizers": 1, "status": 1}
        assert fleet.reports(1) == fleet.reports(2) == []
        fleet.hub.writes.clear()
        fleet.put(value="c")
        await asyncio.sleep(SECONDS)
        assert fleet.ready()["status"] == "True"
        assert [each for each in fleet.hub.writes if "web" in each] == [f"status {WEB}"]


@virtual
async def test_a_member_that_answers_late_costs_no_second_status_in_any_shard() -> None:
    async with Fleet(counts=False, **{f"m{number}": number % 3 for number in range(30)}) as fleet:
        fleet.members["m1"].gate.clear()
        fleet.put()
        await asyncio.sleep(cadence.settle(30) - 0.5)
        assert fleet.reports(1) == []
        fleet.members["m1"].gate.set()
        await asyncio.sleep(SECONDS)
        assert fleet.ready()["status"] == "True"
        assert fleet.hub.writes.count(f"status {WEB}") == 1


@virtual
async def test_nothing_is_pushed_before_the_finalizer_and_nothing_written_at_rest() -> None:
    async with Fleet(a=0, b=1) as fleet:
        await fleet.kill(0)
        fleet.put()
        await asyncio.sleep(SECONDS)
        assert fleet.holders() == set()
        await fleet.start(0)
        await asyncio.sleep(SECONDS)
        assert fleet.holders() == {"a", "b"}
        await asyncio.sleep(30)
        fleet.hub.writes.clear()
        await asyncio.sleep(300)
        assert fleet.hub.writes == []
        for index in (0, 1):
            await fleet.kill(index)
            await fleet.start(index)
            await asyncio.sleep(60)
        assert fleet.hub.writes == []
        assert {each: [call for call in fake.calls if "apply" in call] for each, fake in fleet.members.items()} == {
            each: [call for call in fake.calls if "apply" in call][:1] for each, fake in fleet.members.items()
        }


@virtual
async def test_a_shard_without_a_holder_keeps_an_object_that_is_deleted() -> None:
    async with Fleet(a=0, b=1, c=2) as fleet:
        fleet.put()
        await asyncio.sleep(SECONDS)
        await fleet.kill(1)
        fleet.delete()
        await asyncio.sleep(600)
        assert fleet.holders() == {"b"}
        stored = fleet.stored()
        assert stored is not None
        assert stored["metadata"]["finalizers"] == [marks.SYNC_FINALIZER]
        assert fleet.lines() == {"b": "WaitingForRemoval"}
        await fleet.start(1)
        await asyncio.sleep(60)
        assert fleet.stored() is None
        assert fleet.holders() == set()


@virtual
async def test_an_object_that_is_in_no_cluster_of_a_shard_waits_for_its_word_all_the_same() -> None:
    async with Fleet(a=0, b=1, c=2) as fleet:
        fleet.put(clusters=["a"])
        await asyncio.sleep(SECONDS)
        await fleet.kill(2)
        fleet.delete()
        await asyncio.sleep(60)
        assert fleet.stored() is not None
        await fleet.start(2)
        await asyncio.sleep(60)
        assert fleet.stored() is None


@virtual
async def test_what_is_taken_out_of_the_placement_leaves_the_status_when_its_shard_says_so() -> None:
    async with Fleet(a=0, b=1, c=2) as fleet:
        fleet.put()
        await asyncio.sleep(SECONDS)
        await fleet.kill(1)
        fleet.put(clusters=["a", "c"])
        await asyncio.sleep(60)
        assert fleet.lines() == {"a": "", "b": "WaitingForRemoval", "c": ""}
        await fleet.start(1)
        await asyncio.sleep(60)
        assert fleet.lines() == {"a": "", "c": ""}
        assert fleet.holders() == {"a", "c"}


@virtual
async def test_a_shard_that_is_killed_with_reports_on_their_way_loses_none() -> None:
    async with Fleet(a=0, b=1) as fleet:
        await fleet.kill(0)
        fleet.hub.finalizes = lambda resource: resource == CONFIGMAPS.federated
        fleet.put()
        await asyncio.sleep(SECONDS)
        assert fleet.holders() == {"b"}
        assert len(fleet.reports(1)) == 1
        await fleet.kill(1)
        await fleet.start(0)
        await asyncio.sleep(60)
        assert fleet.lines() == {"a": "", "b": ""}
        await fleet.start(1)
        await asyncio.sleep(60)
        assert fleet.reports(1) == []
        assert fleet.ready()["status"] == "True"


@virtual
async def test_what_each_shard_holds_of_deletions_is_told_in_one_place_and_approved_there() -> None:
    def groups() -> dict[str, dict[str, Any]]:
        status = (fleet.hub.get(KUBEFED_CONFIGS, CONFIG) or {}).get("status") or {}
        return {each["id"]: each for each in (status.get("deletions") or {}).get("groups") or []}

    async with Fleet(counts=True, a=0, b=1, c=2) as fleet:
        fleet.hub.put(KUBEFED_CONFIGS, CONFIG)
        names = [ObjectName("ns", f"o{number}") for number in range(30)]
        for name in names:
            fleet.put(name)
        await asyncio.sleep(70)
        for name in names:
            fleet.put(name, clusters=["a"])
        await asyncio.sleep(40)
        held = groups()
        assert {tuple(each["clusters"]) for each in held.values()} == {("b",), ("c",)}
        kept = [name for name in names if fleet.holders(name) == {"a", "b", "c"}]
        assert len(kept) >= len(names) - 5, "no more than always may go by themselves"
        assert fleet.lines(kept[0])["b"] == "WaitingForRemoval"
        for shard in (1, 0):
            await fleet.kill(shard)
            await fleet.start(shard)
            await asyncio.sleep(90)
            assert groups().keys() == held.keys(), "a restart keeps them"
        assert all(fleet.holders(name) == {"a", "b", "c"} for name in kept)
        of_b = next(each for each in held.values() if each["clusters"] == ["b"])["id"]
        fleet.hub.put(
            KUBEFED_CONFIGS, CONFIG, metadata={"annotations": {f"{marks.DELETIONS_PREFIX}{of_b}": "approved"}}
        )
        await asyncio.sleep(90)
        assert all(fleet.holders(name) == {"a", "c"} for name in kept)
        assert list(groups()) == [each for each in held if each != of_b]
        assert fleet.lines(kept[0]) == {"a": "", "c": "WaitingForRemoval"}
