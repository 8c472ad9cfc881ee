"""A rollout whose record was lost in mid-run: it is made anew from what the clusters have, and nobody is written.

A running controller writes back what it knows (test_staged_rollouts); these are controllers that start afterwards,
FederatedRollouts that were deleted and applied again, and a hub that was put back to an older state.
"""

import asyncio
from typing import Any

import pytest

from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import REVISIONS, ROLLOUTS, ObjectName
from tests.unit.controllers.rig import CONFIGMAPS, WEB
from tests.unit.controllers.test_staged_rollouts import LABEL, ROLLOUT, A, B, C, Staged, spread
from tests.unit.virtualtime import virtual

SETTINGS = ObjectName("ns", "settings")
ASKING = [{"name": "canary", "clusters": ["m1"], "gates": {"approval": True}}]
APPROVED = {marks.APPROVED_ANNOTATION: "2/canary"}


def ready(rig: Staged) -> dict[str, Any]:
    """The condition of the FederatedRollout."""
    return dict((rig.hub.get(ROLLOUTS, ROLLOUT) or {})["status"]["conditions"][0])


def lose(rig: Staged) -> None:
    """Somebody empties the status; or a backup has none."""
    rig.hub.put(ROLLOUTS, ROLLOUT, status=None)


def good(rig: Staged) -> Any:
    return rig.record.get("good")


def target(rig: Staged) -> Any:
    return rig.record.get("target")


async def in_mid_run() -> Staged:
    """A controller that was ended while m1 has B, and m2 and m3 have A."""
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.put(template=B)
        await asyncio.sleep(10)
        assert rig.values == ("B", "A", "A")
    rig.quiet()
    return rig


@virtual
async def test_a_lost_record_is_made_anew_and_the_run_begins_at_its_first_stage() -> None:
    rig = await in_mid_run()
    lose(rig)
    async with Staged("m1", "m2", "m3", after=rig) as again:
        await asyncio.sleep(30)
        assert (again.asked, again.values, again.state) == ({}, ("B", "A", "A"), "Soaking")
        assert "the record was lost" in ready(again)["message"]
        assert any(event["reason"] == "RecordLost" for event in again.hub.events)
        assert [each["verdict"] for each in again.record["revisions"]] == ["Good", "Running"]
        again.members["m2"].post(CONFIGMAPS.target, WEB, {"data": {"a": "drift"}})
        again.members["m3"].remove(CONFIGMAPS.target, WEB)
        await asyncio.sleep(5)
        assert again.values == ("B", "A", "A")
        await asyncio.sleep(60)
        assert (again.values, again.state) == (("B", "B", "B"), "Complete")
        assert "lost" not in again.record


@virtual
async def test_undo_knows_the_good_revision_again() -> None:
    rig = await in_mid_run()
    lose(rig)
    async with Staged("m1", "m2", "m3", after=rig) as again:
        await asyncio.sleep(10)
        again.ask(annotations={marks.UNDONE_ANNOTATION: str(target(again))})
        await asyncio.sleep(10)
        assert (again.values, again.state, set(again.asked)) == (("A", "A", "A"), "Undone", {"m1"})


@virtual
async def test_a_rollout_that_is_deleted_and_applied_again_is_the_same_run() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.put(template=B)
        await asyncio.sleep(10)
        rig.quiet()
        rig.hub.delete(ROLLOUTS, ROLLOUT)
        await asyncio.sleep(5)
        rig.ask()
        await asyncio.sleep(30)
        assert (rig.asked, rig.values, target(rig)) == ({}, ("B", "A", "A"), 2)
        rig.members["m2"].post(CONFIGMAPS.target, WEB, {"data": {"a": "drift"}})
        await asyncio.sleep(5)
        assert rig.values == ("B", "A", "A")
        await asyncio.sleep(60)
        assert rig.values == ("B", "B", "B")
        assert rig.revisions == 2


@virtual
async def test_a_change_that_comes_with_the_new_rollout_supersedes() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.put(template=B)
        await asyncio.sleep(10)
        rig.quiet()
        rig.hub.delete(ROLLOUTS, ROLLOUT)
        rig.put(template=C)
        rig.ask(ASKING)
        await asyncio.sleep(60)
        assert (rig.values, rig.state, set(rig.asked)) == (("C", "A", "A"), "WaitingForApproval", {"m1"})
        assert [each["verdict"] for each in rig.record["revisions"]] == ["Good", "Superseded", "Running"]


@pytest.mark.parametrize("change", ["first", "another-object"])
def test_what_the_canary_alone_has_is_created_nowhere_else(change: str) -> None:
    """All that is there is as it should be: without this, that would be the good revision of every cluster."""

    @virtual
    async def run() -> None:
        async with Staged("m1", "m2", "m3") as rig:
            if change == "first":
                rig.ask(ASKING)
                rig.put(template=A, metadata=LABEL)
            else:
                await spread(rig)
                rig.ask(ASKING)
                rig.put(SETTINGS, template=C, metadata=LABEL)
            await asyncio.sleep(30)
            assert rig.state == "WaitingForApproval"
        rig.quiet()
        lose(rig)
        async with Staged("m1", "m2", "m3", after=rig) as again:
            await asyncio.sleep(120)
            assert (again.asked, again.state) == ({}, "WaitingForApproval")
            again.ask(ASKING, {marks.APPROVED_ANNOTATION: f"{target(again)}/canary"})
            await asyncio.sleep(30)
            assert (set(again.asked), again.state) == ({"m2", "m3"}, "Complete")

    run()


@virtual
async def test_a_stale_approval_is_of_no_revision_that_is_numbered_anew() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.ask(ASKING, APPROVED)
        rig.put(template=B)
        await asyncio.sleep(30)
        assert rig.values == ("B", "B", "B")
        rig.put(template=C)
        await asyncio.sleep(30)
        assert rig.values == ("C", "B", "B")
    lose(rig)
    async with Staged("m1", "m2", "m3", after=rig) as again:
        await asyncio.sleep(60)
        assert (again.values, again.state) == (("C", "B", "B"), "WaitingForApproval")


@virtual
async def test_what_was_taken_back_stays_so_until_a_person_resumes() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.put(template=B)
        await asyncio.sleep(10)
        rig.ask(annotations={marks.UNDONE_ANNOTATION: "2"})
        await asyncio.sleep(10)
        assert rig.values == ("A", "A", "A")
    rig.quiet()
    lose(rig)
    async with Staged("m1", "m2", "m3", after=rig) as again:
        await asyncio.sleep(600)
        assert (again.asked, again.values, again.state) == ({}, ("A", "A", "A"), "RecordLost")
        assert "fedctl rollout resume" in ready(again)["message"]
        again.quiet()
        await asyncio.sleep(3600)
        assert (again.asked, again.hub.writes) == ({}, [])  # it waits for a person, and costs nothing
        again.ask(annotations={marks.UNDONE_ANNOTATION: None})
        await asyncio.sleep(20)
        assert again.values == ("B", "A", "A")
        await asyncio.sleep(70)
        assert again.values == ("B", "B", "B")


@virtual
async def test_contents_that_are_gone_too_leave_who_waits_as_it_is() -> None:
    rig = await in_mid_run()
    lose(rig)
    for what, name in list(rig.hub.objects):
        if what == REVISIONS.qualified:
            del rig.hub.objects[what, name]
    async with Staged("m1", "m2", "m3", after=rig) as again:
        await asyncio.sleep(30)
        assert (again.asked, again.values) == ({}, ("B", "A", "A"))
        await asyncio.sleep(60)
        assert again.values == ("B", "B", "B")


@virtual
async def test_an_older_role_leaves_who_waits_as_it_is() -> None:
    """Without the right to list FederatedRevisions nothing is known of what clusters have."""
    rig = await in_mid_run()
    lose(rig)
    rig.hub.fails = lambda verb, name: Failure(FailureKind.RIGHT_MISSING, "403", 403) if verb == "list" else None
    async with Staged("m1", "m2", "m3", after=rig) as again:
        await asyncio.sleep(30)
        assert (again.asked, again.values) == ({}, ("B", "A", "A"))


@virtual
async def test_a_hub_that_does_not_say_what_is_stored_is_asked_until_it_does() -> None:
    rig = await in_mid_run()
    lose(rig)
    rig.hub.fails = lambda verb, name: Failure(FailureKind.UNAVAILABLE, "503", 503) if verb == "list" else None
    async with Staged("m1", "m2", "m3", after=rig) as again:
        await asyncio.sleep(120)
        assert (again.asked, again.values, again.record) == ({}, ("B", "A", "A"), {})
        again.hub.fails = lambda verb, name: None
        again.ask(ASKING)
        await asyncio.sleep(180)  # until it is asked again
        assert (good(again), again.values, again.state) == (1, ("B", "A", "A"), "WaitingForApproval")


@virtual
async def test_statuses_of_the_objects_that_are_lost_too_write_nobody() -> None:
    rig = await in_mid_run()
    lose(rig)
    rig.hub.put(CONFIGMAPS.federated, WEB, status=None)
    async with Staged("m1", "m2", "m3", after=rig) as again:
        await asyncio.sleep(30)
        assert (again.values, {name for name in again.asked if name != "m1"}) == (("B", "A", "A"), set())
        await asyncio.sleep(120)
        assert again.values == ("B", "B", "B")


@virtual
async def test_a_record_that_is_not_understood_says_how_to_have_it_made_anew() -> None:
    rig = await in_mid_run()
    rig.hub.put(ROLLOUTS, ROLLOUT, status={"record": {"good": "x"}})
    async with Staged("m1", "m2", "m3", after=rig) as again:
        await asyncio.sleep(120)
        assert (again.asked, again.values, again.state) == ({}, ("B", "A", "A"), "InvalidRecord")
        assert "Remove status.record" in ready(again)["message"]
        again.hub.put(ROLLOUTS, ROLLOUT, status={"record": None})
        await asyncio.sleep(10)
        assert (again.asked, again.values, again.state) == ({}, ("B", "A", "A"), "Soaking")


@virtual
async def test_a_restored_hub_is_believed_though_we_have_just_written_something_newer() -> None:
    """Its record is older than ours: until it is listed anew it may be a list that our write has overtaken."""
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.ask(ASKING)
        rig.put(template=B)
        await asyncio.sleep(10)
        snapshot = rig.hub.snapshot()
        rig.ask(ASKING, APPROVED)
        await asyncio.sleep(5)
        assert rig.values == ("B", "B", "B")
        rig.hub.restore(snapshot)
        rig.rollouts.renew()
        rig.hub.relist()
        await asyncio.sleep(30)
        assert (rig.values, rig.state) == (("B", "A", "A"), "WaitingForApproval")
        rig.ask(ASKING, APPROVED)
        await asyncio.sleep(30)
        assert (rig.values, rig.state) == (("B", "B", "B"), "Complete")


@virtual
async def test_an_older_record_that_is_still_there_after_a_minute_is_what_the_hub_has() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.ask(ASKING)
        rig.put(template=B)
        await asyncio.sleep(10)
        snapshot = rig.hub.snapshot()
        rig.ask(ASKING, APPROVED)
        await asyncio.sleep(5)
        rig.hub.restore(snapshot)
        rig.hub.relist()  # and nobody says that the hub was restored
        await asyncio.sleep(90)
        assert (rig.values, rig.state) == (("B", "A", "A"), "WaitingForApproval")


@pytest.mark.parametrize("running", [True, False], ids=["running", "started-afterwards"])
@pytest.mark.parametrize(
    ("backup", "first", "last"),
    [("before", "AAA", "AAA"), ("canary", "BAA", "BBB"), ("done", "BBB", "BBB")],
)
@virtual
async def test_a_hub_that_is_put_back_in_mid_run_gives_clusters_what_its_backup_says(
    *, backup: str, first: str, last: str, running: bool
) -> None:
    """The next revision, which the backup does not know, is at the canary then."""
    rig, backups = Staged("m1", "m2", "m3"), dict[str, Any]()
    async with rig:
        await spread(rig)
        backups["before"] = rig.hub.snapshot()
        rig.put(template=B)
        await asyncio.sleep(10)
        backups["canary"] = rig.hub.snapshot()
        await asyncio.sleep(120)
        backups["done"] = rig.hub.snapshot()
        rig.put(template=C)
        await asyncio.sleep(10)
        assert (rig.values, rig.state) == (("C", "B", "B"), "Soaking")
        if running:
            rig.hub.restore(backups[backup])
            rig.rollouts.renew()
            rig.hub.relist()
            await goes(rig, first, last)
    if not running:
        rig.hub.restore(backups[backup])
        async with Staged("m1", "m2", "m3", after=rig) as again:
            await goes(again, first, last)


async def goes(rig: Staged, first: str, last: str) -> None:
    """What the clusters have soon afterwards, and in the end."""
    await asyncio.sleep(10)
    assert rig.values == tuple(first)
    await asyncio.sleep(180)
    assert (rig.values, rig.state) == (tuple(last), "Complete")
