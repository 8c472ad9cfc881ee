"""Drift that is reported and never written over, and fields that are set at creation and left alone afterwards."""

import asyncio
import copy
import random

import pytest
from structlog.testing import capture_logs

from federation.controllers import pacing, reassertion
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import Key, ObjectName
from tests.unit.controllers.rig import CONFIGMAPS, WEB, Rig
from tests.unit.virtualtime import virtual

TARGET = CONFIGMAPS.target
REPORT = {"annotations": {marks.DRIFT_ANNOTATION: "Report"}}
WRITES = ("apply", "patch", "delete")
TWO = {"data": {"a": "b", "c": "d"}}


def said(rig: Rig, cluster: str = "m1", name: ObjectName = WEB) -> tuple[str, str]:
    lines = (rig.stored(name) or {}).get("status", {}).get("clusters", [])
    return next(
        ((each.get("status", ""), each.get("message", "")) for each in lines if each["name"] == cluster), ("", "")
    )


def written(rig: Rig) -> list[str]:
    return [call for fake in rig.members.values() for call in fake.calls if call.startswith(WRITES)]


# --- Report -----------------------------------------------------------------------------------------------------------


@virtual
async def test_a_change_stays_and_the_line_names_field_and_manager() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put(template=TWO, metadata=REPORT)
        await asyncio.sleep(5)
        rig.quiet()
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "hotfix"}}, manager="kubectl")
        await asyncio.sleep(600)
        assert written(rig) == []
        assert rig.data("m1") == "hotfix"
        assert said(rig) == (
            "Drifted",
            '"kubectl" in this cluster changed .data.a; policy drift: Report leaves it so until the manifest changes',
        )
        assert said(rig, "m2") == ("", "")
        assert rig.condition("Ready")["status"] == "False"
        told = [(each["type"], each["reason"], each["message"]) for each in rig.hub.events]
        assert told == [("Warning", "DriftReported", f"m1: {said(rig)[1]}")], "once"


@virtual
async def test_what_was_removed_is_named_too() -> None:
    async with Rig("m1") as rig:
        rig.put(template=TWO, metadata=REPORT)
        await asyncio.sleep(5)
        rig.quiet()
        rig.members["m1"].unset(TARGET, WEB, ("data", "c"))
        await asyncio.sleep(5)
        assert (written(rig), said(rig)[0]) == ([], "Drifted")
        assert said(rig)[1].startswith(".data.c in this cluster differs from what was applied: somebody removed it")


@virtual
async def test_a_copy_that_is_deleted_is_not_made_anew_until_the_manifest_changes() -> None:
    async with Rig("m1") as rig:
        rig.put(metadata=REPORT)
        await asyncio.sleep(5)
        rig.quiet()
        rig.members["m1"].remove(TARGET, WEB)
        await asyncio.sleep(600)
        assert (rig.asked, said(rig)[0]) == ({}, "Drifted")
        assert said(rig)[1].startswith("somebody deleted the copy")
        rig.put(template={"data": {"a": "new"}}, metadata=REPORT)
        await asyncio.sleep(5)
        assert (rig.data("m1"), said(rig)) == ("new", ("", ""))


@virtual
async def test_another_manifest_is_applied_as_a_whole_and_takes_the_drift_back() -> None:
    async with Rig("m1") as rig:
        rig.put(template=TWO, metadata=REPORT)
        await asyncio.sleep(5)
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "hotfix"}})
        await asyncio.sleep(5)
        assert said(rig)[0] == "Drifted"
        rig.put(template={"data": {"a": "b", "c": "release"}}, metadata=REPORT)
        await asyncio.sleep(5)
        assert (rig.data("m1"), rig.data("m1", "c"), said(rig)) == ("b", "release", ("", ""))


@virtual
async def test_whoever_puts_it_back_is_noticed_without_a_write() -> None:
    async with Rig("m1") as rig:
        rig.put(template=TWO, metadata=REPORT)
        await asyncio.sleep(5)
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "hotfix"}})
        await asyncio.sleep(5)
        rig.quiet()
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "b"}})
        await asyncio.sleep(pacing.DRIFTED[0] + 5)
        assert (written(rig), said(rig)) == ([], ("", ""))
        assert rig.condition("Ready")["status"] == "True"
        rig.quiet()
        await asyncio.sleep(3600)
        assert rig.asked == {}, "and it costs nothing any more"


@virtual
async def test_drift_that_lasts_costs_some_looks_an_hour_and_no_hub_write() -> None:
    async with Rig("m1") as rig:
        rig.put(template=TWO, metadata=REPORT)
        await asyncio.sleep(5)
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "hotfix"}})
        await asyncio.sleep(3600)
        rig.quiet()
        await asyncio.sleep(4 * 3600)
        assert len(rig.members["m1"].calls) <= 60, "some looks an hour, each a read and a dry run"
        assert rig.hub.writes == []


@virtual
async def test_a_restart_reports_the_same_and_writes_nothing() -> None:
    async with Rig("m1") as rig:
        rig.put(template=TWO, metadata=REPORT)
        await asyncio.sleep(5)
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "hotfix"}})
        await asyncio.sleep(5)
    rig.quiet()
    async with Rig("m1", after=rig) as again:
        await asyncio.sleep(60)
        assert (written(again), said(again)[0]) == ([], "Drifted")
        assert again.data("m1") == "hotfix"
        assert [each["reason"] for each in again.hub.events] == ["DriftReported"], "what is known is not told again"


@virtual
async def test_a_turn_to_be_applied_again_is_a_look() -> None:
    async with Rig("m1") as rig:
        rig.put(metadata=REPORT)
        await asyncio.sleep(5)
        rig.quiet()
        reasserting = asyncio.create_task(reassertion.Reassertion(rig.world, rig.sync.changed, 3600.0).run())
        await asyncio.sleep(3 * 3600)
        reasserting.cancel()
        assert written(rig) == []
        assert rig.asked
        assert rig.track().recheck == frozenset()
        assert said(rig) == ("", "")


@virtual
async def test_a_member_that_takes_no_dry_run_is_reported_all_the_same() -> None:
    refusal = Failure(FailureKind.INVALID, "admission webhook does not support dry run", 400)
    async with Rig("m1") as rig:
        rig.put(metadata=REPORT)
        await asyncio.sleep(5)
        rig.quiet()
        rig.members["m1"].fails = lambda verb, name: refusal if verb == "would-apply" else None
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "hotfix"}})
        await asyncio.sleep(60)
        assert (written(rig), said(rig)[0]) == ([], "Drifted")
        assert said(rig)[1].endswith(
            "which, a dry run did not tell: admission webhook does not support dry run; " + STAYS
        )


STAYS = "policy drift: Report leaves it so until the manifest changes"


@virtual
async def test_a_copy_that_we_removed_ourselves_is_made_anew_when_it_is_placed_again() -> None:
    async with Rig("m1") as rig:
        rig.put(metadata=REPORT)
        await asyncio.sleep(5)
        for _ in range(2):
            rig.put(clusters=(), metadata=REPORT)
            await asyncio.sleep(0.01)
            rig.put(metadata=REPORT)
            await asyncio.sleep(30)
            assert (rig.data("m1"), said(rig)) == ("b", ("", ""))


@virtual
async def test_older_values_of_a_restored_member_stay_and_are_reported() -> None:
    async with Rig("m1") as rig:
        rig.put(metadata=REPORT)
        await asyncio.sleep(5)
        member = rig.members["m1"]
        before = copy.deepcopy(member.objects[TARGET.qualified, WEB])
        rig.put(template={"data": {"a": "new"}}, metadata=REPORT)
        await asyncio.sleep(5)
        rig.quiet()
        member.objects[TARGET.qualified, WEB] = before
        member.touch(TARGET, WEB)
        await asyncio.sleep(60)
        assert (written(rig), rig.data("m1"), said(rig)[0]) == ([], "b", "Drifted")
        assert said(rig)[1].startswith(".data.a in this cluster differs from what was applied")


@virtual
async def test_correct_again_puts_it_back() -> None:
    async with Rig("m1") as rig:
        rig.put(metadata=REPORT)
        await asyncio.sleep(5)
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "hotfix"}})
        await asyncio.sleep(5)
        rig.put(metadata={"annotations": {marks.DRIFT_ANNOTATION: "Correct"}})
        await asyncio.sleep(5)
        assert (rig.data("m1"), said(rig)) == ("b", ("", ""))


@pytest.mark.parametrize("seed", range(20))
@virtual
async def test_whatever_is_done_in_the_member_nothing_is_written(seed: int) -> None:
    """Random drift, restarts of the watch's own kind, and time; the hub's manifest stays the same."""
    chance = random.Random(seed)
    names = [ObjectName("ns", f"o{number}") for number in range(3)]
    async with Rig("m1") as rig:
        for name in names:
            rig.put(name, TWO, metadata=REPORT)
        await asyncio.sleep(5)
        rig.quiet()
        member = rig.members["m1"]
        for _ in range(40):
            name = chance.choice(names)
            there = (TARGET.qualified, name) in member.objects
            match chance.randrange(6):
                case 0 | 1:
                    member.post(
                        TARGET, name, {"data": {"a": chance.choice(["b", "x", "y"])}}, chance.choice(["u", "v"])
                    )
                case 2 if there and ("data", "c") in member.objects[TARGET.qualified, name].values:
                    member.unset(TARGET, name, ("data", "c"))
                case 3 if there:
                    member.remove(TARGET, name)
                case 4:
                    rig.see("m1", ready=chance.choice([True, False]))
                case 5 if there:
                    rig.track(name).recheck = frozenset({"m1"})
                    rig.sync.changed(Key(CONFIGMAPS.name, *name))
            await asyncio.sleep(chance.choice([0, 1, 20, 200]))
        rig.see("m1", ready=True)
        await asyncio.sleep(1000)
        assert written(rig) == []


# --- ignored fields ---------------------------------------------------------------------------------------------------

IGNORE_C = {"annotations": {marks.IGNORE_FIELDS_ANNOTATION: '["/data/c"]'}}


def owners(rig: Rig, *path: str) -> set[str]:
    entries = rig.members["m1"].objects[TARGET.qualified, WEB].entries
    return {entry.manager for entry in entries if path in entry.paths}


@virtual
async def test_an_ignored_field_is_set_at_creation_and_never_corrected() -> None:
    async with Rig("m1") as rig:
        manager = rig.members["m1"].manager
        rig.put(template=TWO, metadata=IGNORE_C)
        await asyncio.sleep(5)
        assert (rig.data("m1"), rig.data("m1", "c")) == ("b", "d")
        assert (owners(rig, "data", "a"), owners(rig, "data", "c")) == ({manager}, {f"{manager}-ignored"})
        rig.quiet()
        rig.members["m1"].post(TARGET, WEB, {"data": {"c": "theirs"}}, manager="scaler")
        await asyncio.sleep(60)
        assert rig.asked == {}, "it is no drift"
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "theirs"}})
        await asyncio.sleep(5)
        rig.put(template={"data": {"a": "new", "c": "new"}}, metadata=IGNORE_C)
        await asyncio.sleep(5)
        assert (rig.data("m1"), rig.data("m1", "c"), said(rig)) == ("new", "theirs", ("", ""))


@virtual
async def test_a_field_that_nobody_else_sets_survives_every_apply() -> None:
    async with Rig("m1") as rig:
        rig.put(template=TWO, metadata=IGNORE_C)
        await asyncio.sleep(5)
        for value in ("one", "two"):
            rig.put(template={"data": {"a": value, "c": "d"}}, metadata=IGNORE_C)
            await asyncio.sleep(5)
        assert (rig.data("m1"), rig.data("m1", "c")) == ("two", "d")


@virtual
async def test_switched_on_later_and_off_again() -> None:
    async with Rig("m1") as rig:
        manager = rig.members["m1"].manager
        rig.put(template=TWO)
        await asyncio.sleep(5)
        rig.put(template=TWO, metadata=IGNORE_C)
        await asyncio.sleep(5)
        assert (rig.data("m1", "c"), owners(rig, "data", "c")) == ("d", {f"{manager}-ignored"})
        rig.members["m1"].post(TARGET, WEB, {"data": {"c": "theirs"}})
        await asyncio.sleep(5)
        rig.put(template=TWO, metadata={"annotations": {marks.IGNORE_FIELDS_ANNOTATION: "[]"}})
        await asyncio.sleep(5)
        assert (rig.data("m1", "c"), owners(rig, "data", "c")) == ("d", {manager})
        rig.put(template={"data": {"a": "b", "c": None}})
        await asyncio.sleep(5)
        assert rig.data("m1", "c") is None, "it can be taken out again: no manager of ours keeps it"


@virtual
async def test_no_manager_of_ours_keeps_a_field_that_is_ignored_no_more() -> None:
    async with Rig("m1") as rig:
        rig.put(template=TWO, metadata=IGNORE_C)
        await asyncio.sleep(5)
        rig.put(template=TWO, metadata={"annotations": {marks.IGNORE_FIELDS_ANNOTATION: None}})
        await asyncio.sleep(5)
        assert owners(rig, "data", "c") == {rig.members["m1"].manager}


@virtual
async def test_killed_between_creation_and_leaving_it() -> None:
    """The field is still ours when the next controller comes: it is given up before an apply leaves it out."""
    async with Rig("m1") as rig:
        rig.members["m1"].fails = lambda verb, name: (
            Failure(FailureKind.UNREACHABLE, "gone") if verb == "patch" else None
        )
        rig.put(template=TWO, metadata=IGNORE_C)
        await asyncio.sleep(1)
        assert owners(rig, "data", "c") == {rig.members["m1"].manager}
    rig.members["m1"].fails = lambda verb, name: None
    async with Rig("m1", after=rig) as again:
        await asyncio.sleep(60)
        assert (again.data("m1", "c"), said(again)) == ("d", ("", ""))
        assert owners(again, "data", "c") == {f"{again.members['m1'].manager}-ignored"}


@virtual
async def test_an_object_that_is_taken_over_keeps_its_value() -> None:
    async with Rig("m1") as rig:
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "theirs", "c": "theirs"}})
        rig.put(template=TWO, metadata=IGNORE_C)
        await asyncio.sleep(5)
        assert (rig.data("m1"), rig.data("m1", "c"), said(rig)) == ("b", "theirs", ("", ""))


@virtual
async def test_released_copies_lose_that_entry_too() -> None:
    async with Rig("m1") as rig:
        rig.put(
            template=TWO, metadata={"annotations": {**IGNORE_C["annotations"], marks.DELETION_ANNOTATION: "Orphan"}}
        )
        await asyncio.sleep(5)
        rig.delete()
        await asyncio.sleep(10)
        assert rig.data("m1", "c") == "d"
        entries = rig.members["m1"].objects[TARGET.qualified, WEB].entries
        assert not any(entry.manager.startswith("kubefed") for entry in entries)


@virtual
async def test_default_policies_ask_a_member_for_nothing_more() -> None:
    async with Rig("m1") as rig:
        with capture_logs():
            rig.put(template=TWO)
            await asyncio.sleep(5)
            rig.put(template={"data": {"a": "c", "c": "d"}})
            await asyncio.sleep(5)
            rig.members["m1"].post(TARGET, WEB, {"data": {"a": "drift"}})
            await asyncio.sleep(5)
        assert rig.members["m1"].calls == ["apply ns/web"] * 3 + ["apply! ns/web"]
