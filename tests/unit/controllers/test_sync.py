"""The road of an object: plan, dispatch, absorb, report; what is written where, how often, and when it rests."""

import asyncio
import time

import orjson
import pytest
from structlog.testing import capture_logs

from federation.core import cadence, contention
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Keep
from federation.model.resources import Key, ObjectName
from tests.fakes import FakeMember
from tests.unit.controllers.rig import CONFIGMAPS, DATA, WEB, Rig
from tests.unit.virtualtime import settle, virtual

KEY = Key("configmaps", "ns", "web")
TARGET = CONFIGMAPS.target
UNAVAILABLE = Failure(FailureKind.UNAVAILABLE, "503", 503)
TIMED_OUT = Failure(FailureKind.TIMED_OUT, "no answer within 10 s")
INVALID = Failure(FailureKind.INVALID, "spec.x: wrong", 422)


# --- writes ---------------------------------------------------------------------------------------------------------


@virtual
async def test_creation_is_a_finalizer_one_apply_each_and_one_status() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        assert rig.hub.writes == ["finalizers ns/web", "status ns/web"]
        assert rig.asked == {"m1": ["apply ns/web"], "m2": ["apply ns/web"]}
        assert (rig.data("m1"), rig.data("m2")) == ("b", "b")
        assert rig.lines() == {"m1": "", "m2": ""}
        assert rig.condition("Ready")["status"] == rig.condition("Propagation")["status"] == "True"
        stored = rig.stored()
        assert stored is not None
        assert stored["metadata"]["finalizers"] == [marks.SYNC_FINALIZER]
        assert stored["status"]["observedGeneration"] == 1


@virtual
async def test_the_echo_dies_and_a_second_reconcile_writes_nothing() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.quiet()
        await asyncio.sleep(3600)
        assert (rig.queue.idle, rig.queue.later, rig.sync._reporter._due) == (True, 0, {})
        for _ in range(2):
            rig.sync.changed(KEY)
            await settle()
        rig.fanout.everything()
        await asyncio.sleep(10)
        assert (rig.hub.writes, rig.asked) == ([], {})


@virtual
async def test_an_update_is_one_apply_each_and_one_status() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.quiet()
        rig.put(template={"data": {"a": "c"}})
        await settle()
        assert rig.hub.writes == ["status ns/web"]
        assert rig.asked == {"m1": ["apply ns/web"], "m2": ["apply ns/web"]}
        assert (rig.data("m1"), rig.data("m2")) == ("c", "c")


@virtual
async def test_removal_from_placement() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.quiet()
        rig.put(clusters=("m1",))
        await settle()
        assert rig.asked == {"m2": ["delete ns/web"]}
        assert not rig.members["m2"].objects
        assert rig.lines() == {"m1": ""}
        assert "m2" not in rig.track().applied


@virtual
async def test_deletion_waits_for_members_then_lets_go() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.quiet()
        rig.members["m2"].post(TARGET, WEB, {"metadata": {"finalizers": ["held"]}})
        rig.delete()
        await asyncio.sleep(5)
        assert not rig.members["m1"].objects
        assert rig.stored() is not None
        assert rig.lines() == {"m2": "WaitingForRemoval"}
        rig.members["m2"].unset(TARGET, WEB, ("metadata", "finalizers"))
        rig.members["m2"].remove(TARGET, WEB)
        await settle()
        assert rig.stored() is None
        assert not rig.world.types["configmaps"].tracks


@virtual
async def test_a_restart_pushes_nothing_that_is_right() -> None:
    async with Rig("m1", "m2") as rig:
        for number in range(20):
            rig.put(ObjectName("ns", f"web-{number}"))
        await settle()
    rig.quiet()
    async with Rig("m1", "m2", after=rig) as again:
        await asyncio.sleep(60)
        assert (again.hub.writes, again.asked) == ([], {})
        again.members["m1"].post(TARGET, ObjectName("ns", "web-3"), {"data": {"a": "drifted"}})
        await settle()
        assert again.data("m1", name=ObjectName("ns", "web-3")) == "b"


@virtual
async def test_a_restart_finds_what_drifted_meanwhile() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
    rig.members["m1"].post(TARGET, WEB, {"data": {"a": "drifted"}})
    rig.quiet()
    async with Rig("m1", after=rig) as again:
        await settle()
        assert again.data("m1") == "b"


@virtual
async def test_a_restart_between_push_and_status_writes_the_status() -> None:
    async with Rig("m1") as rig:
        rig.hub.fails = lambda verb, name: UNAVAILABLE if verb == "status" else None
        rig.put()
        await settle()
        assert rig.data("m1") == "b"
    rig.hub.fails = lambda verb, name: None
    async with Rig("m1", after=rig) as again:
        await settle()
        assert again.lines() == {"m1": ""}


# --- the hub refuses ------------------------------------------------------------------------------------------------


@virtual
async def test_nothing_is_pushed_before_the_finalizer_is_there() -> None:
    async with Rig("m1") as rig:
        rig.hub.fails = lambda verb, name: UNAVAILABLE if verb == "finalizers" else None
        rig.put()
        await asyncio.sleep(30)
        assert rig.asked == {}
        tries = len(rig.hub.writes)
        assert 5 <= tries <= 10  # 0.2 s doubling, and nothing else brings it back
        rig.hub.fails = lambda verb, name: None
        await asyncio.sleep(60)
        assert rig.data("m1") == "b"


@virtual
async def test_a_status_that_is_refused_is_tried_again_and_nothing_is_pushed_twice() -> None:
    async with Rig("m1") as rig:
        rig.hub.fails = lambda verb, name: UNAVAILABLE if verb == "status" else None
        rig.put()
        await asyncio.sleep(30)
        assert rig.asked == {"m1": ["apply ns/web"]}
        rig.hub.fails = lambda verb, name: None
        await asyncio.sleep(60)
        assert rig.lines() == {"m1": ""}


@virtual
async def test_an_object_that_changed_while_its_finalizer_was_added_is_planned_anew() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await asyncio.sleep(0)
        rig.put(template={"data": {"a": "c"}})
        await asyncio.sleep(2)
        assert rig.data("m1") == "c"
        assert rig.lines() == {"m1": ""}


# --- many changes, slow answers -------------------------------------------------------------------------------------


@virtual
async def test_changes_while_a_member_answers_are_one_more_apply() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.quiet()
        rig.members["m1"].gate.clear()
        for number in range(10):
            rig.put(template={"data": {"a": str(number)}})
            await settle()
        rig.members["m1"].gate.set()
        await settle()
        assert rig.asked == {"m1": ["apply ns/web"] * 2}
        assert rig.data("m1") == "9"
        assert rig.hub.writes == ["status ns/web"]


@virtual
async def test_a_status_waits_two_seconds_for_a_slow_member_and_is_reported_again() -> None:
    async with Rig("m1", "m2") as rig:
        rig.members["m2"].gate.clear()
        rig.put()
        await asyncio.sleep(cadence.settle(2) - 0.1)
        assert rig.lines() == {}
        await asyncio.sleep(1)
        assert rig.lines() == {"m1": "", "m2": "Pending"}
        assert rig.condition("Ready")["reason"] == "Progressing"
        rig.quiet()
        await asyncio.sleep(cadence.REMIND - 5)
        assert rig.hub.writes == []
        rig.members["m2"].gate.set()
        await settle()
        assert rig.lines() == {"m1": "", "m2": ""}
        assert rig.hub.writes == ["status ns/web"]


@virtual
async def test_silence_becomes_a_time_out() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.members["m2"].gate.clear()
        rig.put(template={"data": {"a": "c"}})
        await asyncio.sleep(cadence.REMIND + cadence.settle(2) + 1)
        assert rig.lines() == {"m1": "", "m2": "UpdateTimedOut"}
        rig.members["m2"].gate.set()
        await settle()
        assert rig.lines() == {"m1": "", "m2": ""}


@virtual
async def test_plans_that_follow_each_other_do_not_postpone_the_status_for_ever() -> None:
    async with Rig("m1", "m2") as rig:
        rig.members["m2"].gate.clear()
        rig.put()
        for _ in range(20):
            await asyncio.sleep(0.5)
            rig.sync.changed(KEY)
        assert rig.lines()["m1"] == ""


@virtual
async def test_one_hanging_member_delays_no_other() -> None:
    async with Rig("m1", "m2", concurrency=2) as rig:
        rig.members["m2"].gate.clear()
        for number in range(50):
            rig.put(ObjectName("ns", f"web-{number}"))
        await settle(400)
        assert len(rig.members["m1"].objects) == 50
        assert len(rig.members["m2"].calls) == 2


@virtual
async def test_a_users_change_goes_before_what_everybody_waits_for() -> None:
    async with Rig("m1", concurrency=1) as rig:
        names = [ObjectName("ns", f"web-{number}") for number in range(30)]
        for name in names:
            rig.put(name)
        await settle(400)
        rig.quiet()
        rig.members["m1"].gate.clear()
        for name in names:
            rig.track(name).recheck = {"m1"}
        rig.fanout.everything()
        await asyncio.sleep(1)
        rig.put(names[-1], template={"data": {"a": "mine"}})
        await settle()
        rig.members["m1"].gate.set()
        await settle(400)
        assert rig.members["m1"].calls.index("apply ns/web-29") <= 1


# --- failures -------------------------------------------------------------------------------------------------------


@virtual
async def test_a_failure_is_reported_and_tried_again_until_it_passes() -> None:
    async with Rig("m1", "m2") as rig:
        rig.members["m2"].fails = lambda verb, name: UNAVAILABLE
        rig.put()
        await settle()
        assert rig.lines() == {"m1": "", "m2": "CreationFailed"}
        assert rig.condition("Propagation")["reason"] == "CheckClusters"
        await asyncio.sleep(20)
        assert 4 <= len(rig.members["m2"].calls) <= 12
        assert rig.members["m1"].calls == ["apply ns/web"]
        rig.members["m2"].fails = lambda verb, name: None
        await asyncio.sleep(60)
        assert rig.lines() == {"m1": "", "m2": ""}
        assert rig.track().setbacks == {}


@virtual
async def test_a_wrong_manifest_waits_for_another_one() -> None:
    """It is tried every few minutes all the same: what we take for hopeless may not be."""
    async with Rig("m1") as rig:
        rig.members["m1"].fails = lambda verb, name: INVALID
        rig.put()
        await asyncio.sleep(20)
        assert rig.asked == {"m1": ["apply ns/web"]}
        await asyncio.sleep(3600)
        assert 10 <= len(rig.asked["m1"]) <= 40
        assert rig.condition("Ready")["message"].count("spec.x: wrong") == 0  # the line says it
        rig.members["m1"].fails = lambda verb, name: None
        rig.put(template={"data": {"a": "right"}})
        await settle()
        assert rig.data("m1") == "right"


@pytest.mark.parametrize("restarted", [False, True])
def test_an_update_without_answer_that_is_taken_back_is_undone(restarted: bool) -> None:
    """managedFields look the same before and after, and the digest is that of what was applied before."""

    @virtual
    async def test() -> None:
        async with Rig("m1") as rig:
            rig.put()
            await settle()
            fake = rig.members["m1"]
            fake.lost = lambda verb, name: TIMED_OUT
            rig.put(template={"data": {"a": "lost"}})
            await settle()
            assert (rig.data("m1"), rig.lines()) == ("lost", {"m1": "UpdateTimedOut"})
            fake.lost = lambda verb, name: None
            if not restarted:
                rig.put()
                await settle()
                assert (rig.data("m1"), rig.lines()) == ("b", {"m1": ""})
                assert not rig.track().contention
        if restarted:
            rig.hub.sinks.clear()
            rig.put()
            async with Rig("m1", after=rig) as again:
                await settle()
                assert (again.data("m1"), again.lines()) == ("b", {"m1": ""})

    test()


@virtual
async def test_a_member_that_answers_again_is_tried_at_once() -> None:
    async with Rig("m1") as rig:
        denied = Failure(FailureKind.DENIED, "quota", 403)
        rig.members["m1"].fails = lambda verb, name: denied
        rig.put()
        await asyncio.sleep(100)
        rig.members["m1"].fails = lambda verb, name: None
        rig.sync.retries.cluster("m1")
        await settle()
        assert rig.data("m1") == "b"


@virtual
async def test_a_bug_in_a_push_is_logged_and_reported_without_its_text() -> None:
    async with Rig("m1") as rig:

        def bug(verb: str, name: ObjectName) -> Failure | None:
            raise ValueError("hunter2")

        rig.members["m1"].fails = bug
        with capture_logs() as logs:
            rig.put()
            await settle()
        assert "push failed" in [entry["event"] for entry in logs]
        assert rig.lines() == {"m1": "ComputeResourceFailed"}
        assert "hunter2" not in str(rig.stored())


@virtual
async def test_events_report_a_failure_and_its_end_only() -> None:
    async with Rig("m1") as rig:
        rig.put(ObjectName("ns", "fine"))
        rig.members["m1"].fails = lambda verb, name: INVALID if name == WEB else None
        rig.put()
        await settle()
        rig.put(ObjectName("ns", "fine"), template={"data": {"a": "c"}})
        await asyncio.sleep(60)
        rig.members["m1"].fails = lambda verb, name: None
        rig.put(template={"data": {"a": "right"}})
        await asyncio.sleep(60)
        posted = [(event["involvedObject"]["name"], event["type"], event["reason"]) for event in rig.hub.events]
        assert posted == [("web", "Warning", "PropagationFailed"), ("web", "Normal", "Propagated")]


# --- drift ----------------------------------------------------------------------------------------------------------


@virtual
async def test_drift_is_put_back_and_the_hub_hears_nothing_of_it_twice() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.quiet()
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "drifted"}}, manager="kubectl-edit")
        await settle()
        assert rig.data("m1") == "b"
        assert rig.asked == {"m1": ["apply ns/web", "apply! ns/web"]}
        rig.members["m1"].unset(TARGET, WEB, ("data", "a"))
        await settle()
        assert rig.data("m1") == "b"
        rig.members["m1"].remove(TARGET, WEB)
        await settle()
        assert rig.data("m1") == "b"
        assert rig.members["m2"].calls == []
        await asyncio.sleep(3600)
        assert rig.queue.later == 0


@virtual
async def test_the_log_says_what_drifted_and_by_whom() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        with capture_logs() as logs:
            rig.members["m1"].post(TARGET, WEB, {"data": {"a": "drifted"}}, manager="kubectl-edit")
            await settle()
            rig.members["m1"].unset(TARGET, WEB, ("data", "a"))
            await settle()
            rig.members["m1"].remove(TARGET, WEB)
            await settle()
        entries = [entry for entry in logs if entry["event"] == "drift put back"]
        assert [(entry.get("manager"), entry.get("fields"), entry.get("reason")) for entry in entries] == [
            ("kubectl-edit", (".data.a",), None),
            (None, None, "fields of ours had been removed"),
            (None, None, "the object had been deleted"),
        ]


@virtual
async def test_what_is_not_ours_is_no_drift() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.quiet()
        rig.members["m1"].post(TARGET, WEB, {"data": {"theirs": "y"}, "metadata": {"annotations": {"seen": "1"}}})
        await settle()
        assert (rig.asked, rig.hub.writes) == ({}, [])


@virtual
async def test_managed_false_is_left_alone_and_taken_up_again() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.quiet()
        label = {"metadata": {"labels": {marks.MANAGED_LABEL: "false"}}}
        rig.members["m1"].post(TARGET, WEB, label)
        await settle()
        rig.put(template={"data": {"a": "c"}})
        await settle()
        assert (rig.asked, rig.lines(), rig.data("m1")) == ({}, {"m1": "ManagedLabelFalse"}, "b")
        rig.members["m1"].post(TARGET, WEB, {"metadata": {"labels": {marks.MANAGED_LABEL: "true"}}})
        await settle()
        assert (rig.lines(), rig.data("m1")) == ({"m1": ""}, "c")


@virtual
async def test_a_fight_is_slowed_down_and_reported() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.quiet()

        async def fight() -> None:
            while True:
                await asyncio.sleep(1)
                rig.members["m1"].post(TARGET, WEB, {"data": {"a": "theirs"}}, manager="argo")

        fighting = rig.tasks.spawn(fight(), "fight")
        await asyncio.sleep(3600)
        corrections = rig.members["m1"].calls.count("apply! ns/web")
        assert 4 <= corrections <= 12
        stored = rig.stored()
        assert stored is not None
        line = stored["status"]["clusters"][0]
        assert line["status"] == "Disputed"
        assert '"argo" in this cluster sets .data.a again and again' in line["message"]
        told = [event for event in rig.hub.events if event["reason"] in {"FieldDisputed", "PropagationFailed"}]
        assert [(event["type"], event["reason"]) for event in told] == [("Warning", "FieldDisputed")], "once"
        assert told[0]["message"].startswith('m1: "argo" in this cluster sets .data.a again and again')
        assert len(rig.hub.writes) < 40, "its line comes and goes with each correction, which are rare"
        # The other one gives up: it is corrected, told of for a while, and over.
        fighting.cancel()
        await asyncio.sleep(contention.LASTS - 200)
        assert rig.data("m1") == "b"
        assert rig.lines() == {"m1": ""}
        assert rig.condition("Ready")["status"] == "True"
        assert "again and again" in str(rig.stored())
        rig.quiet()
        await asyncio.sleep(contention.LASTS)
        assert "again and again" not in str(rig.stored())
        assert (rig.asked, len(rig.hub.writes)) == ({}, 1)


@virtual
async def test_a_wall_clock_set_back_delays_no_correction(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        true = time.time
        for off in (0.0, -7 * 86400.0, 7 * 86400.0):
            monkeypatch.setattr(time, "time", lambda off=off: true() + off)
            rig.members["m1"].post(CONFIGMAPS.target, WEB, {"data": {"a": f"theirs {off}"}})
            await asyncio.sleep(10)
            assert rig.data("m1") == "b"


@virtual
async def test_drift_between_our_write_and_its_answer_is_not_lost() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        fake = rig.members["m1"]
        drifts = iter([1])

        def drift(verb: str, name: ObjectName) -> Failure | None:
            if next(drifts, None):
                fake.post(TARGET, WEB, {"data": {"a": "theirs"}})
            return None

        fake.lost = drift
        rig.put(template={"data": {"a": "c"}})
        await settle()
        assert rig.data("m1") == "c"


@pytest.mark.parametrize("when", ["before", "after"])
def test_events_may_come_before_or_after_the_answer(when: str) -> None:
    @virtual
    async def test() -> None:
        async with Rig("m1") as rig:
            fake = rig.members["m1"]
            fake.delay_events = when == "after"
            for value in ("b", "c", "d"):
                rig.put(template={"data": {"a": value}})
                await settle()
                fake.deliver()
                await settle()
                assert rig.data("m1") == value
                applied = rig.track().applied["m1"]
                assert rig.track().actions == {"m1": Keep(applied.digest, applied.owned_digest)}
            assert fake.calls == ["apply ns/web"] * 3
            rig.delete()
            await settle()
            fake.deliver()
            await settle()
            assert rig.stored() is None

    test()


@virtual
async def test_everything_is_applied_again_once_a_period_and_spread() -> None:
    async with Rig("m1") as rig:
        names = [ObjectName("ns", f"web-{number}") for number in range(100)]
        for name in names:
            rig.put(name)
        await settle(4000)
        rig.quiet()
        rig.tasks.keep(lambda: rig.sync.reassert(1000.0), "reassert")
        await asyncio.sleep(501)
        assert 20 <= len(rig.members["m1"].calls) <= 80
        await asyncio.sleep(499)
        assert sorted(set(rig.members["m1"].calls)) == sorted(f"apply {name}" for name in names)
        assert rig.hub.writes == []
        assert not any(rig.track(name).contention or rig.track(name).recheck for name in names)


# --- nothing is lost, nothing stays ---------------------------------------------------------------------------------


@virtual
async def test_deleted_while_its_copy_is_being_made_the_copy_goes_too() -> None:
    async with Rig("m1") as rig:
        rig.members["m1"].gate.clear()
        rig.put()
        await settle()
        assert rig.members["m1"].calls == ["apply ns/web"]
        rig.delete()
        await asyncio.sleep(5)
        assert rig.stored() is not None
        rig.members["m1"].gate.set()
        await asyncio.sleep(5)
        assert (rig.members["m1"].objects, rig.stored()) == ({}, None)


@virtual
@pytest.mark.parametrize("under_way", [True, False], ids=["while-it-is-pushed", "after-it-was-pushed"])
async def test_an_object_that_went_in_spite_of_its_finalizer_takes_its_copies_along(under_way: bool) -> None:
    """An API server that had read the finalizers before ours was there deletes at once."""
    async with Rig("m1", "m2") as rig:
        if under_way:
            rig.members["m1"].gate.clear()
        rig.put()
        await asyncio.sleep(1)
        sink, decode = rig.hub.sinks[CONFIGMAPS.federated.qualified]
        body = rig.hub.objects.pop((CONFIGMAPS.federated.qualified, WEB))
        assert body["metadata"]["finalizers"] == [marks.SYNC_FINALIZER]
        sink.remove(decode(orjson.dumps(body)))
        await asyncio.sleep(5)
        rig.members["m1"].gate.set()
        await asyncio.sleep(5)
        assert [fake.objects for fake in rig.members.values()] == [{}, {}]
        state = rig.world.types["configmaps"]
        assert (len(state.objects), len(state.tracks)) == (0, 0)


@virtual
async def test_moved_away_while_its_copy_is_being_made_the_copy_goes_too() -> None:
    async with Rig("m1", "m2") as rig:
        rig.members["m1"].gate.clear()
        rig.put(clusters=("m1",))
        await settle()
        rig.put(clusters=("m2",))
        await settle()
        rig.members["m1"].gate.set()
        await asyncio.sleep(5)
        assert rig.members["m1"].objects == {}
        assert rig.data("m2") == "b"
        assert rig.lines() == {"m2": ""}


@pytest.mark.parametrize("orphan", [False, True])
def test_a_create_that_timed_out_and_yet_came_to_pass_is_found(orphan: bool) -> None:
    """Its event has not come either: the watch says that nothing is there."""

    @virtual
    async def test() -> None:
        async with Rig("m1") as rig:
            fake = rig.members["m1"]
            fake.delay_events = True
            fake.lost = lambda verb, name: TIMED_OUT if verb == "apply" else None
            rig.put(metadata={"annotations": {marks.ORPHAN_ANNOTATION: "true"}} if orphan else {})
            await settle()
            assert rig.lines() == {"m1": "CreationTimedOut"}
            rig.delete()
            await settle()
            assert fake.calls == ["apply ns/web", "read ns/web", "patch ns/web" if orphan else "delete ns/web"]
            assert rig.stored() is None
            assert bool(fake.objects) is orphan

    test()


@virtual
async def test_a_create_without_answer_in_a_member_that_stays_silent_holds_the_object() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        fake.fails = lambda verb, name: TIMED_OUT
        rig.put()
        await settle()
        rig.delete()
        await asyncio.sleep(100)
        assert rig.stored() is not None
        assert rig.lines() == {"m1": "DeletionTimedOut"}
        fake.fails = lambda verb, name: None
        await asyncio.sleep(100)
        assert rig.stored() is None


@virtual
async def test_a_create_that_was_refused_for_certain_is_not_looked_for() -> None:
    async with Rig("m1") as rig:
        rig.members["m1"].fails = lambda verb, name: INVALID
        rig.put()
        await settle()
        rig.delete()
        await settle()
        assert (rig.stored(), rig.members["m1"].calls) == (None, ["apply ns/web"])


@virtual
async def test_a_delete_that_is_not_confirmed_is_sent_again_and_nothing_spins() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.quiet()
        fake = rig.members["m1"]
        fake.delay_events = True
        rig.put(clusters=())
        await asyncio.sleep(35)
        assert fake.calls == ["delete ns/web"] * 3  # after 10 s, 20 s more, 40 s more
        await asyncio.sleep(3600)
        assert len(fake.calls) <= 13
        fake.gate.clear()
        await asyncio.sleep(60)
        fake.gate.set()
        fake.deliver()
        await settle()
        assert rig.lines() == {}
        assert rig.track().leaving == {}


@virtual
async def test_a_delete_that_fails_after_one_that_was_not_confirmed() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        fake = rig.members["m1"]
        fake.delay_events = True
        rig.put(clusters=())
        await asyncio.sleep(5)
        fake.fails = lambda verb, name: UNAVAILABLE
        await asyncio.sleep(60)
        fake.fails = lambda verb, name: None
        fake.deliver()
        await asyncio.sleep(60)
        assert rig.lines() == {}


@virtual
async def test_a_cluster_that_leaves_takes_its_work_and_its_memory_along() -> None:
    async with Rig("m1", "m2") as rig:
        for number in range(10):
            rig.put(ObjectName("ns", f"web-{number}"))
        await settle(400)
        rig.members["m2"].gate.clear()
        for number in range(10):
            rig.put(ObjectName("ns", f"web-{number}"), template={"data": {"a": "c"}})
        await settle()
        rig.leave("m2")
        await asyncio.sleep(5)
        rig.members["m2"].gate.set()
        await asyncio.sleep(5)
        for number in range(10):
            name = ObjectName("ns", f"web-{number}")
            assert rig.lines(name) == {"m1": ""}
            track = rig.track(name)
            assert set(track.applied) == {"m1"}
            assert not {"m2"} & {*track.pending, *track.setbacks, *track.contention, *track.leaving, *track.unconfirmed}


@virtual
async def test_objects_that_are_gone_leave_nothing_behind() -> None:
    async with Rig("m1", "m2") as rig:
        rig.members["m2"].fails = lambda verb, name: UNAVAILABLE if name.name.endswith("3") else None
        names = [ObjectName("ns", f"web-{number}") for number in range(50)]
        for name in names:
            rig.put(name)
        await asyncio.sleep(5)
        for name in names[:25]:
            rig.put(name, clusters=("m1",))
        await asyncio.sleep(5)
        rig.members["m2"].fails = lambda verb, name: None
        for name in names:
            rig.delete(name)
        await asyncio.sleep(600)
        state = rig.world.types["configmaps"]
        assert (len(state.objects), len(state.tracks), rig.sync._reporter._due) == (0, 0, {})
        assert (rig.queue.idle, rig.queue.later) == (True, 0)
        assert all(not fake.objects for fake in rig.members.values())
        assert all(len(copies.objects) == 0 for copies in state.copies.values())
        assert not rig.events._waiting


@virtual
async def test_a_key_of_a_type_that_is_gone_is_let_go() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.world.types.clear()
        rig.sync.changed(KEY)
        await settle()
        assert rig.queue.idle


@virtual
async def test_created_anew_under_the_same_name_it_starts_anew() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        first = rig.track()
        rig.delete()
        await settle()
        rig.put(template={"data": {"a": "new"}})
        await settle()
        assert rig.track() is not first
        assert rig.data("m1") == "new"
        assert rig.lines() == {"m1": ""}


@virtual
async def test_created_anew_while_nobody_listened_it_starts_anew() -> None:
    """A list shows another object under the name; what was reported of the first one is not the second one's."""
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        first = rig.track()
        rig.hub.put(CONFIGMAPS.federated, WEB, metadata={"uid": "another", "finalizers": None}, status=None)
        await settle()
        assert rig.track() is not first
        assert rig.lines() == {"m1": ""}
        assert rig.hub.writes[-2:] == ["finalizers ns/web", "status ns/web"]


@virtual
async def test_a_hub_that_refuses_is_asked_at_the_workers_pace_only() -> None:
    """A key that also waits for a silent member must not be brought back twice a second."""
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.members["m2"].gate.clear()
        rig.put(template={"data": {"a": "c"}})
        await asyncio.sleep(5)
        rig.hub.fails = lambda verb, name: UNAVAILABLE if verb == "finalizers" else None
        rig.hub.put(CONFIGMAPS.federated, WEB, metadata={"finalizers": None})
        rig.quiet()
        await asyncio.sleep(120)
        assert rig.hub.writes.count("finalizers ns/web") <= 14


# --- members come and go --------------------------------------------------------------------------------------------


@virtual
async def test_a_member_that_is_down_waits_and_catches_up() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.see("m2", ready=False, message="cannot connect")
        await asyncio.sleep(1)
        rig.quiet()
        rig.put(template={"data": {"a": "c"}})
        await asyncio.sleep(60)
        assert rig.asked == {"m1": ["apply ns/web"]}
        assert rig.lines() == {"m1": "", "m2": "ClusterNotReady"}
        rig.see("m2", ready=True)
        await asyncio.sleep(1)
        assert (rig.data("m2"), rig.lines()) == ("c", {"m1": "", "m2": ""})


@virtual
async def test_an_outage_never_deletes_and_never_lets_go() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.see("m2", ready=False, message="cannot connect")
        await asyncio.sleep(1)
        rig.put(clusters=("m1",))
        await asyncio.sleep(1)
        assert rig.lines() == {"m1": "", "m2": "ClusterNotReady"}
        rig.delete()
        await asyncio.sleep(60)
        assert rig.stored() is not None
        assert rig.data("m2") == "b"
        rig.see("m2", ready=True)
        await asyncio.sleep(1)
        assert (rig.stored(), rig.members["m2"].objects) == (None, {})


@virtual
async def test_a_member_that_goes_down_takes_back_what_has_not_started() -> None:
    async with Rig("m1", concurrency=1) as rig:
        rig.members["m1"].gate.clear()
        for number in range(10):
            rig.put(ObjectName("ns", f"web-{number}"))
        await settle()
        rig.see("m1", ready=False, message="cannot connect")
        await asyncio.sleep(1)
        rig.members["m1"].gate.set()
        await asyncio.sleep(1)
        assert len(rig.members["m1"].calls) == 1
        rig.see("m1", ready=True)
        await asyncio.sleep(1)
        assert len(rig.members["m1"].objects) == 10


@virtual
async def test_a_member_without_a_way_to_it_loses_no_work() -> None:
    """Its endpoint changes: for a moment there is no port, and what was on its way is planned anew afterwards."""
    async with Rig("m1") as rig:
        member = rig.world.members["m1"]
        carrier, member.carrier = member.carrier, None
        rig.put()
        await settle()
        assert rig.asked == {}
        rig.see("m1", ready=None)
        await asyncio.sleep(1)
        member.carrier = carrier
        rig.see("m1", ready=True)
        await asyncio.sleep(1)
        assert rig.data("m1") == "b"


@virtual
async def test_a_label_put_on_a_cluster_moves_objects_there() -> None:
    async with Rig("m1", "m2") as rig:
        placement = {"clusterSelector": {"matchLabels": {"tier": "edge"}}}
        rig.hub.put(CONFIGMAPS.federated, WEB, spec={"template": DATA, "placement": placement})
        await settle()
        assert rig.asked == {}
        rig.see("m2", labels={"tier": "edge"})
        await asyncio.sleep(1)
        assert (rig.data("m1"), rig.data("m2")) == (None, "b")
        rig.see("m2", labels={})
        await asyncio.sleep(1)
        assert rig.data("m2") is None


@virtual
async def test_an_invalid_object_is_reported_and_touches_nothing() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.quiet()
        rig.hub.put(CONFIGMAPS.federated, WEB, spec={"template": 7})
        await settle()
        assert rig.asked == {}
        assert rig.data("m1") == "b"
        assert rig.condition("Propagation")["reason"] == "InvalidSpec"
        assert "spec.template" in rig.condition("Ready")["message"]


@virtual
async def test_time_is_the_loops() -> None:
    async with Rig() as rig:
        assert (time.monotonic(), rig.queue.idle) == (0.0, True)


@virtual
async def test_an_answer_of_a_cluster_that_has_left_says_nothing_of_its_namesake() -> None:
    """Unjoined while a write was under way, and another cluster joined by its name at once."""
    async with Rig("m1") as rig:
        left = rig.members["m1"]
        left.gate.clear()
        rig.put()
        await settle()
        rig.leave("m1")
        del rig.members["m1"]
        joined = rig.join("m1", ready=None)
        await settle()
        left.gate.set()
        await asyncio.sleep(1)
        rig.see("m1", ready=True)
        await asyncio.sleep(1)
        assert joined.value(CONFIGMAPS.target, WEB, "data", "a") == "b"
        assert rig.lines() == {"m1": ""}


@virtual
async def test_a_member_restored_from_a_backup_gets_at_once_what_it_has_lost() -> None:
    """Old values under an old entry of ours, which names the same fields: only the version shows it."""
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        member = rig.members["m1"]
        stored = member.objects[CONFIGMAPS.target.qualified, WEB]
        old = stored.version
        rig.put(template={"data": {"a": "c"}})
        await settle()
        rig.quiet()
        stored.values["data", "a"], stored.version = "b", old
        member.follow(CONFIGMAPS.target, member.sinks[CONFIGMAPS.target.qualified])
        await asyncio.sleep(1)
        assert rig.data("m1") == "c"
        assert rig.asked == {"m1": ["apply ns/web"]}
        assert rig.track().contention == {}


@virtual
async def test_another_cluster_by_the_same_name_is_not_taken_for_the_one_that_left() -> None:
    """It has what another controller of this hub pushed once: the same fields, other values."""
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        other = FakeMember()
        body = {"metadata": {"name": "web", "labels": {"kubefed.io/managed": "true"}}, "data": {"a": "old"}}
        await other.apply(CONFIGMAPS.target, WEB, orjson.dumps(body), force=False)
        rig.leave("m1")
        rig.members["m1"] = other
        rig.join("m1")
        await asyncio.sleep(1)
        assert rig.data("m1") == "b"
