"""A member that has an older state of an object back shows the fields that we own, of another time: applied again."""

import asyncio
import copy

from tests.fakes import FakeMember
from tests.unit.controllers.rig import CONFIGMAPS, WEB, Rig
from tests.unit.virtualtime import virtual

TARGET = CONFIGMAPS.target
SECOND = {"data": {"a": "c"}}


def snapshot(member: FakeMember) -> object:
    return copy.deepcopy(member.objects[TARGET.qualified, WEB])


def put_back(member: FakeMember, stored: object) -> None:
    """As it was, at a version that is newer than all that was seen."""
    member.objects[TARGET.qualified, WEB] = stored  # type: ignore[assignment]
    member.touch(TARGET, WEB)


async def changed(rig: Rig) -> None:
    await asyncio.sleep(2.0)
    rig.put(template=SECOND, clusters=("m1", "m2"))
    await asyncio.sleep(5.0)
    assert [rig.data(name) for name in ("m1", "m2")] == ["c", "c"]
    rig.quiet()


@virtual
async def test_older_values_are_put_right() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put(clusters=("m1", "m2"))
        await asyncio.sleep(5.0)
        before = snapshot(rig.members["m1"])
        await changed(rig)
        put_back(rig.members["m1"], before)
        assert rig.data("m1") == "b"
        await asyncio.sleep(5.0)
        assert rig.data("m1") == "c"
        assert rig.lines() == {"m1": "", "m2": ""}
        assert list(rig.asked) == ["m1"]
        rig.quiet()
        await asyncio.sleep(120.0)
        assert rig.asked == {}
        assert rig.hub.writes == []


@virtual
async def test_older_values_are_put_right_by_the_controller_that_starts_next() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put(clusters=("m1", "m2"))
        await asyncio.sleep(5.0)
        before = snapshot(rig.members["m1"])
        await changed(rig)
    put_back(rig.members["m1"], before)
    async with Rig("m1", "m2", after=rig) as again:
        await asyncio.sleep(5.0)
        assert [again.data(name) for name in ("m1", "m2")] == ["c", "c"]
        assert [each.split()[0] for each in again.members["m1"].calls] == ["apply"]
        assert again.members["m2"].calls == []


@virtual
async def test_nothing_changed_nothing_is_written_by_the_next_controller() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put(clusters=("m1", "m2"))
        await asyncio.sleep(5.0)
        await changed(rig)
    async with Rig("m1", "m2", after=rig) as again:
        await asyncio.sleep(5.0)
        assert again.asked == {}
        assert again.hub.writes == []


@virtual
async def test_a_status_without_times_is_taken_as_it_is() -> None:
    """An upgrade: of thousands of objects none is applied, and no status written."""
    async with Rig("m1", "m2") as rig:
        rig.put(clusters=("m1", "m2"))
        await asyncio.sleep(5.0)
        await changed(rig)
        stored = rig.stored()
        assert stored is not None
        lines = stored["status"]["clusters"]
        assert lines[0]["fingerprint"].count(".") == 2
        lines[0]["fingerprint"] = lines[0]["fingerprint"].rpartition(".")[0] + "*"
    rig.hub.put(CONFIGMAPS.federated, WEB, status={"clusters": lines})
    rig.quiet()
    async with Rig("m1", "m2", after=rig) as again:
        await asyncio.sleep(5.0)
        assert again.asked == {}
        assert again.hub.writes == []
        # What it saw then counts from then on.
        before = snapshot(again.members["m1"])
        again.members["m1"].post(TARGET, WEB, {"data": {"a": "x"}})
        await asyncio.sleep(5.0)
        assert again.data("m1") == "c"
        again.quiet()
        put_back(again.members["m1"], before)
        await asyncio.sleep(5.0)
        assert [each.split()[0] for each in again.members["m1"].calls] == ["apply"]


@virtual
async def test_an_apply_that_changes_nothing_is_one_apply() -> None:
    """The member keeps the time then: it is what counts from now on, and nothing is sent again."""
    async with Rig("m1", "m2") as rig:
        rig.put(clusters=("m1", "m2"))
        await asyncio.sleep(5.0)
        await changed(rig)
        member = rig.members["m1"]
        own = next(each for each in member.objects[TARGET.qualified, WEB].entries if each.manager == member.manager)
        own.time = "2026-01-01T00:00:00Z"
        member.touch(TARGET, WEB)
        await asyncio.sleep(5.0)
        assert [each.split()[0] for each in member.calls] == ["apply"]
        await asyncio.sleep(300.0)
        assert [each.split()[0] for each in member.calls] == ["apply"]
        assert rig.lines() == {"m1": "", "m2": ""}
