"""The Lease by which a restored hub is recognised: when it is read and written, and what raises the alarm."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson
import pytest

from federation.controllers import continuity
from federation.controllers.continuity import NAME, Continuity
from federation.controllers.recovery import Recovery
from federation.core import restoration, times
from federation.kube import decoding
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType, Metadata, StoredObject
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CONFIGS, LEASES, NAMESPACES, Key, ObjectName
from federation.model.settings import Settings
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import virtual

WHERE = ObjectName(SYSTEM_NAMESPACE, NAME)
CONFIG = ObjectName(SYSTEM_NAMESPACE, "kubefed")
KUBE_SYSTEM = ObjectName("", "kube-system")
OTHER = ObjectName("ns", "other")
NOW = "2026-01-01T10:00:00Z"


@dataclass
class Watched:
    """A rig whose hub is watched over."""

    rig: Rig
    continuity: Continuity
    recovery: Recovery
    configs: Store[StoredObject]
    stopped: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether removals are held."""
        return self.rig.world.recovery is not None

    @property
    def lease(self) -> dict[str, Any]:
        """As stored."""
        found = self.rig.hub.get(LEASES, WHERE)
        assert found is not None
        return found

    def annotate(self, name: str, value: str) -> None:
        """Of the KubeFedConfig."""
        self.rig.hub.put(KUBEFED_CONFIGS, CONFIG, metadata={"annotations": {name: value}})
        self.configs.put(CONFIG, decoding.stored(orjson.dumps(self.rig.hub.get(KUBEFED_CONFIGS, CONFIG))))
        self.recovery.observed("kubefed")


@asynccontextmanager
async def watched(
    after: Rig | None = None,
    fails: Callable[[str, ObjectName], Failure | None] = lambda verb, name: None,
    now: Callable[[], str] = lambda: NOW,
    types: tuple[FederatedType, ...] = (CONFIGMAPS,),
) -> AsyncIterator[Watched]:
    rig = Rig("m1", "m2", after=after, types=types)
    hub = rig.hub
    hub.fails = fails
    if after is None:
        hub.put(NAMESPACES, KUBE_SYSTEM)
    uid = hub.objects[NAMESPACES.qualified, KUBE_SYSTEM]["metadata"]["uid"]
    configs: Store[StoredObject] = Store()
    stopped: list[str] = []
    recovery = Recovery(
        rig.world,
        hub,
        configs,
        fanout=rig.fanout,
        events=rig.events,
        where=CONFIG,
        now=now,
        renew=hub.relist,
        stop=stopped.append,
    )
    guard = Continuity(rig.world, hub, recovery, hub_uid=uid, namespace=SYSTEM_NAMESPACE, holder="test", now=now)
    made = Watched(rig, guard, recovery, configs, stopped)
    rig.sync.prover.confirmed = guard.confirmed
    rig.sync.prover.contradicted = guard.contradicted
    rig.sync.report_overwrote(guard.overwrote)
    rig.sync.report_overwritten(recovery.overwritten)
    await guard.begin()
    async with rig:
        made.annotate("a", "b")
        tasks = Tasks()
        tasks.keep(guard.serve, "continuity")
        tasks.keep(recovery.serve, "recovery")
        try:
            yield made
        finally:
            await tasks.cancel()


def leases(rig: Rig) -> list[str]:
    """What was written and read of the Lease since `quiet`."""
    writes = [each for each in rig.hub.writes if NAME in each or "leases" in each]
    return writes + [each for each in rig.hub.reads if NAME in each]


@virtual
async def test_at_rest_it_is_read_every_ten_seconds_and_never_written() -> None:
    async with watched() as made:
        made.rig.put()
        await asyncio.sleep(30)
        made.rig.quiet()
        made.rig.hub.reads.clear()
        await asyncio.sleep(100)
        assert made.rig.hub.writes == []
        assert 9 <= len(leases(made.rig)) <= 11
        assert leases(made.rig) == made.rig.hub.reads


@virtual
async def test_it_is_written_when_the_hub_has_changed_and_at_most_every_five_seconds() -> None:
    async with watched() as made:
        await asyncio.sleep(30)
        made.rig.quiet()
        for number in range(50):
            made.rig.put(template={"data": {"a": str(number)}})
            await asyncio.sleep(1)
        written = [each for each in made.rig.hub.writes if NAME in each]
        assert 8 <= len(written) <= 11
        before = made.lease["metadata"]["annotations"][restoration.COUNT_ANNOTATION]
        await asyncio.sleep(10)
        assert int(made.lease["metadata"]["annotations"][restoration.COUNT_ANNOTATION]) <= int(before) + 1
        assert not made.held


@virtual
@pytest.mark.parametrize("bump", [0, 10_000])
async def test_a_store_that_was_put_back_is_recognised_whatever_its_revisions(bump: int) -> None:
    async with watched() as made:
        rig = made.rig
        rig.put()
        await asyncio.sleep(30)
        snapshot = rig.hub.snapshot()
        rig.put(OTHER)
        rig.put(template={"data": {"a": "new"}})
        await asyncio.sleep(30)
        rig.hub.restore(snapshot, bump=bump)
        await asyncio.sleep(continuity.PERIOD + 2)
        assert made.held
        assert rig.world.recovery is not None
        assert orjson.loads(made.lease["metadata"]["annotations"][restoration.HOLD_ANNOTATION])["since"] == NOW
        await asyncio.sleep(60)
        assert [rig.data(name) for name in ("m1", "m2")] == ["b", "b"]
        assert [rig.data(name, name=OTHER) for name in ("m1", "m2")] == ["b", "b"]
        status = (rig.hub.get(KUBEFED_CONFIGS, CONFIG) or {})["status"]
        assert status["conditions"][0]["type"] == "HubRestored"
        assert status["conditions"][0]["status"] == "True"
        assert {each["cluster"] for each in status["recovery"]["overwritten"]} == {"m1", "m2"}
        assert [each["reason"] for each in rig.hub.events if each["reason"] == "HubRestored"] == ["HubRestored"]


@virtual
async def test_nothing_is_removed_between_the_restore_and_its_recognition() -> None:
    async with watched() as made:
        rig = made.rig
        rig.put(clusters=("m1",))
        await asyncio.sleep(30)
        snapshot = rig.hub.snapshot()
        rig.put(clusters=("m2",))
        await asyncio.sleep(30)
        assert (rig.data("m1"), rig.data("m2")) == (None, "b")
        rig.hub.restore(snapshot)
        rig.hub.relist()  # its watch is back at once: the removal from m2 is planned
        await asyncio.sleep(3)
        assert made.held
        assert rig.data("m2") == "b"
        await asyncio.sleep(30)
        assert (rig.data("m1"), rig.data("m2")) == ("b", "b")
        assert rig.lines()["m2"] == "WaitingForRemoval"
        made.annotate(restoration.APPROVED_ANNOTATION, "another")
        await asyncio.sleep(30)
        assert rig.data("m2") == "b"
        assert rig.world.recovery is not None
        made.annotate(restoration.APPROVED_ANNOTATION, rig.world.recovery.id)
        await asyncio.sleep(30)
        assert rig.data("m2") is None
        assert restoration.HOLD_ANNOTATION not in made.lease["metadata"]["annotations"]
        condition = (rig.hub.get(KUBEFED_CONFIGS, CONFIG) or {})["status"]["conditions"][0]
        assert (condition["status"], condition["reason"]) == ("False", "Approved")


@virtual
async def test_an_approved_object_goes_on_alone() -> None:
    async with watched() as made:
        rig = made.rig
        for name in (WEB, OTHER):
            rig.put(name, clusters=("m1",))
        await asyncio.sleep(30)
        snapshot = rig.hub.snapshot()
        for name in (WEB, OTHER):
            rig.put(name, clusters=("m2",))
        await asyncio.sleep(30)
        rig.hub.restore(snapshot)
        await asyncio.sleep(30)
        assert rig.world.recovery is not None
        rig.hub.put(
            CONFIGMAPS.federated,
            WEB,
            metadata={"annotations": {restoration.APPROVED_ANNOTATION: rig.world.recovery.id}},
        )
        await asyncio.sleep(10)
        assert (rig.data("m2"), rig.data("m2", name=OTHER)) == (None, "b")
        rig.delete(OTHER)  # tests.ownership.DELETED_AT is before the hold: what the backup has of it is held
        await asyncio.sleep(10)
        assert rig.data("m2", name=OTHER) == "b"


@virtual
async def test_a_restart_keeps_the_hold() -> None:
    async with watched() as made:
        rig = made.rig
        rig.put(clusters=("m1",))
        await asyncio.sleep(30)
        snapshot = rig.hub.snapshot()
        rig.put(clusters=("m2",))
        await asyncio.sleep(30)
        rig.hub.restore(snapshot)
        await asyncio.sleep(20)
        hold = rig.world.recovery
    async with watched(after=rig) as again:
        await asyncio.sleep(30)
        assert again.rig.world.recovery == hold
        assert again.rig.data("m2") == "b"


@virtual
async def test_the_hold_ends_after_its_time() -> None:
    async with watched() as made:
        rig = made.rig
        rig.put()
        await asyncio.sleep(30)
        snapshot = rig.hub.snapshot()
        rig.put(template={"data": {"a": "new"}})
        await asyncio.sleep(30)
        rig.hub.restore(snapshot)
        await asyncio.sleep(20)
        assert made.held
        rig.world.settings = Settings(namespaced=True, recovery_hold=0.5)
        made.recovery._now = lambda: "2026-01-01T10:00:01Z"
        await asyncio.sleep(12)
        assert not made.held


@virtual
async def test_two_controllers_agree_on_one_hold_and_on_its_end() -> None:
    async with watched() as one, watched(after=one.rig) as two:
        one.rig.put()
        await asyncio.sleep(30)
        snapshot = one.rig.hub.snapshot()
        one.rig.put(template={"data": {"a": "new"}})
        await asyncio.sleep(30)
        one.rig.hub.restore(snapshot)
        await asyncio.sleep(40)
        hold = one.rig.world.recovery
        assert hold is not None
        assert two.rig.world.recovery == hold
        assert len({each["message"] for each in one.rig.hub.events if each["reason"] == "HubRestored"}) == 1
        two.annotate(restoration.APPROVED_ANNOTATION, hold.id)
        await asyncio.sleep(40)
        assert (one.held, two.held) == (False, False)


@virtual
@pytest.mark.parametrize("kind", [FailureKind.UNEXPECTED, FailureKind.UNREACHABLE])
async def test_an_object_that_cannot_be_read_does_not_stand_in_the_way_of_removals(kind: FailureKind) -> None:
    async with watched() as made:
        made.rig.put()
        await asyncio.sleep(30)
        newest = made.rig.world.newest
        assert newest is not None
        made.rig.hub.fails = lambda verb, name: Failure(kind, "no") if (verb, name) == ("read", WEB) else None
        made.rig.world.suspect(newest)
        doubt = await made.continuity.confirmed()
        assert bool(doubt) is (kind is FailureKind.UNREACHABLE)
        assert not made.held


@virtual
@pytest.mark.parametrize("finalized", [True, False])
async def test_an_object_that_may_vanish_shows_nothing_by_that(finalized: bool) -> None:
    async with watched() as made:
        made.rig.put()
        await asyncio.sleep(30)
        state = made.rig.world.types[CONFIGMAPS.name]
        known = state.objects.get(WEB)
        assert known is not None
        assert made.rig.world.newest is not None
        if not finalized:
            state.objects.put(WEB, msgspec.structs.replace(known, metadata=Metadata("web", "ns", known.metadata.uid)))
        del made.rig.hub.objects[CONFIGMAPS.federated.qualified, WEB]
        made.rig.world.suspect(made.rig.world.newest)
        await made.continuity.confirmed()
        assert made.held is finalized


# --- at the start -----------------------------------------------------------------------------------------------------


def clock() -> str:
    return times.rfc3339(time.time())


def wish(rig: Rig, *clusters: str, name: ObjectName = WEB, value: str = "b") -> None:
    """What a user wants, with the time at which that was written."""
    entry = {"manager": "kubectl", "operation": "Update", "time": clock()}
    rig.put(name, template={"data": {"a": value}}, clusters=clusters, metadata={"managedFields": [entry]})


@virtual
async def test_a_hub_that_was_restored_while_no_controller_ran_removes_nothing() -> None:
    async with watched(now=clock) as made:
        wish(made.rig, "m1")
        await asyncio.sleep(30)
        snapshot = made.rig.hub.snapshot()
        wish(made.rig, "m2")
        await asyncio.sleep(30)
    made.rig.hub.restore(snapshot)
    async with watched(after=made.rig, now=clock) as again:
        await asyncio.sleep(60)
        assert (again.rig.data("m1"), again.rig.data("m2")) == ("b", "b")
        assert again.rig.lines()["m2"] == "WaitingForRemoval"
        assert again.rig.world.recovery is not None
        again.annotate(restoration.APPROVED_ANNOTATION, again.rig.world.recovery.id)
        await asyncio.sleep(60)
        assert not again.held
        assert again.rig.data("m2") is None


@virtual
async def test_a_backup_that_has_an_earlier_hold_hides_nothing() -> None:
    async with watched(now=clock) as made:
        wish(made.rig, "m1")
        await asyncio.sleep(30)
        snapshot = made.rig.hub.snapshot()
        wish(made.rig, "m1", "m2")
        await asyncio.sleep(30)
        made.rig.hub.restore(snapshot)
        await asyncio.sleep(30)
        hold = made.rig.world.recovery
        assert hold is not None
        made.annotate(restoration.APPROVED_ANNOTATION, hold.id)
        later = made.rig.hub.snapshot()  # our Lease still has the hold
        await asyncio.sleep(30)
        wish(made.rig, "m2")
        await asyncio.sleep(30)
    made.rig.hub.restore(later)
    async with watched(after=made.rig, now=clock) as again:
        again.annotate(restoration.APPROVED_ANNOTATION, hold.id)
        await asyncio.sleep(60)
        assert again.rig.data("m2") == "b"
        assert again.rig.world.recovery is not None
        assert again.rig.world.recovery.id != hold.id


@virtual
async def test_nor_does_it_let_go_of_what_it_does_not_know() -> None:
    types = (CONFIGMAPS, FEDERATED_NAMESPACES)
    async with watched(now=clock, types=types) as made:
        made.rig.put(NS, clusters=("m1", "m2"), enabled=FEDERATED_NAMESPACES)
        wish(made.rig, "m1", "m2")
        await asyncio.sleep(30)
        snapshot = made.rig.hub.snapshot()
        wish(made.rig, "m1", "m2", name=OTHER)
        await asyncio.sleep(30)
    made.rig.hub.restore(snapshot)
    async with watched(after=made.rig, now=clock, types=types) as again:
        await asyncio.sleep(60)
        assert again.held
        for state in (again.rig.world.types[CONFIGMAPS.name].copies[name] for name in ("m1", "m2")):
            seen = state.objects.get(OTHER)
            assert seen is not None
            assert seen.managed


@virtual
async def test_newer_content_that_it_overwrites_when_it_starts_shows_it_too() -> None:
    async with watched(now=clock) as made:
        wish(made.rig, "m1", "m2")
        await asyncio.sleep(30)
        snapshot = made.rig.hub.snapshot()
        wish(made.rig, "m1", "m2", value="new")
        await asyncio.sleep(30)
    made.rig.hub.restore(snapshot)
    async with watched(after=made.rig, now=clock) as again:
        await asyncio.sleep(60)
        assert (again.rig.data("m1"), again.rig.data("m2")) == ("b", "b")
        assert again.held
        status = (again.rig.hub.get(KUBEFED_CONFIGS, CONFIG) or {})["status"]
        overwritten = status["recovery"]["overwritten"]
        assert {each["cluster"] for each in overwritten} == {"m1", "m2"}
        assert all(times.moment(each["appliedAt"]) for each in overwritten)


def overwritten(made: Watched) -> list[dict[str, Any]]:
    """What the KubeFedConfig says of it."""
    return list((made.rig.hub.get(KUBEFED_CONFIGS, CONFIG) or {})["status"]["recovery"]["overwritten"])


@virtual
async def test_what_was_overwritten_is_told_also_after_a_restart() -> None:
    async with watched(now=clock) as made:
        for name in (WEB, OTHER):
            wish(made.rig, "m1", "m2", name=name)
        await asyncio.sleep(30)
        snapshot = made.rig.hub.snapshot()
        wish(made.rig, "m1", "m2", value="new")
        await asyncio.sleep(30)
        made.rig.hub.restore(snapshot)
        await asyncio.sleep(40)
        assert made.rig.data("m1") == "b"
        before = overwritten(made)
        assert {(each["name"], each["cluster"]) for each in before} == {("web", "m1"), ("web", "m2")}
    async with watched(after=made.rig, now=clock) as again:
        await asyncio.sleep(40)
        assert again.held
        assert overwritten(again) == before
        again.recovery.overwritten(Key(CONFIGMAPS.name, *OTHER), "m1", 0)
        await asyncio.sleep(20)
        assert overwritten(again)[:2] == before
        status = (again.rig.hub.get(KUBEFED_CONFIGS, CONFIG) or {})["status"]["recovery"]
        assert (status["overwrittenCopies"], len(status["overwritten"])) == (3, 3)


@virtual
async def test_a_placement_that_was_changed_while_no_controller_ran_is_no_alarm() -> None:
    """Though the one before was killed before it could record what it had pushed."""
    refused = Failure(FailureKind.UNAVAILABLE, "not now", 503)
    async with watched(now=clock) as made:
        wish(made.rig, "m1")
        await asyncio.sleep(30)
        made.rig.hub.fails = lambda verb, name: refused if verb in {"status", "merge"} else None
        await asyncio.sleep(300)
        wish(made.rig, "m1", "m2")
        await asyncio.sleep(30)
        assert made.rig.data("m2") == "b"
    wish(made.rig, "m1")
    await asyncio.sleep(30)
    async with watched(after=made.rig, now=clock) as again:
        await asyncio.sleep(60)
        assert not again.held
        assert again.rig.data("m2") is None


@virtual
async def test_a_kill_before_anything_was_recorded_is_no_alarm() -> None:
    refused = Failure(FailureKind.UNAVAILABLE, "not now", 503)
    async with watched(now=clock) as made:
        wish(made.rig, "m1", "m2")
        await asyncio.sleep(30)
        made.rig.hub.fails = lambda verb, name: refused if verb in {"status", "merge"} else None
        await asyncio.sleep(300)
        wish(made.rig, "m1", "m2", value="new")
        await asyncio.sleep(30)
    async with watched(after=made.rig, now=clock) as again:
        await asyncio.sleep(60)
        assert (again.rig.data("m1"), again.rig.data("m2")) == ("new", "new")
        assert not again.held


# --- false alarms -----------------------------------------------------------------------------------------------------


@virtual
async def test_a_deleted_lease_is_made_again_and_no_alarm() -> None:
    async with watched() as made:
        made.rig.put()
        await asyncio.sleep(30)
        del made.rig.hub.objects[LEASES.qualified, WHERE]
        await asyncio.sleep(20)
        assert made.lease["spec"]["holderIdentity"] == "test"
        assert not made.held


@virtual
async def test_a_lease_that_went_with_newer_objects_is_an_alarm() -> None:
    async with watched() as made:
        made.rig.put()
        await asyncio.sleep(30)
        snapshot = made.rig.hub.snapshot()
        made.rig.put(template={"data": {"a": "new"}})
        await asyncio.sleep(30)
        made.rig.hub.restore(snapshot)
        del made.rig.hub.objects[LEASES.qualified, WHERE]
        await asyncio.sleep(20)
        assert made.held
        assert restoration.HOLD_ANNOTATION in made.lease["metadata"]["annotations"]


@virtual
async def test_a_hub_that_is_away_is_no_alarm_and_confirms_nothing() -> None:
    async with watched() as made:
        made.rig.put()
        await asyncio.sleep(30)
        away = Failure(FailureKind.UNREACHABLE, "away")
        made.rig.hub.fails = lambda verb, name: away
        await asyncio.sleep(60)
        assert not made.held
        assert "away" in await made.continuity.confirmed()
        made.rig.hub.fails = lambda verb, name: None
        await asyncio.sleep(20)
        assert await made.continuity.confirmed() == ""
        assert not made.held


@virtual
async def test_an_old_list_that_no_read_by_name_confirms_is_no_alarm() -> None:
    """As a proxy answers, or an API server whose cache is old."""
    async with watched() as made:
        made.rig.put()
        await asyncio.sleep(30)
        sink, _ = made.rig.hub.sinks[CONFIGMAPS.federated.qualified]
        sink.listing()  # type: ignore[attr-defined]
        sink.listed("1")  # type: ignore[attr-defined]
        sink.replace([])
        await asyncio.sleep(30)
        assert not made.held
        assert made.rig.data("m1") == "b"


@virtual
async def test_another_controller_of_this_hub_writes_it_too() -> None:
    async with watched() as made, watched(after=made.rig) as other:
        for number in range(30):
            made.rig.put(template={"data": {"a": str(number)}})
            await asyncio.sleep(2)
        assert not made.held
        assert not other.held


@virtual
async def test_without_the_right_to_it_removals_go_on() -> None:
    denied = Failure(FailureKind.RIGHT_MISSING, "leases is forbidden", 403)
    async with watched(fails=lambda verb, name: denied if name.name == NAME else None) as made:
        assert await made.continuity.confirmed() == ""
        made.rig.put()
        await asyncio.sleep(10)
        made.rig.put(clusters=("m1",))
        await asyncio.sleep(10)
        assert (made.rig.data("m1"), made.rig.data("m2")) == ("b", None)
        made.rig.hub.fails = lambda verb, name: None
        await asyncio.sleep(20)
        assert made.lease["spec"]["holderIdentity"] == "test"


@virtual
async def test_an_api_server_that_starts_refuses_everybody_and_that_is_no_missing_right() -> None:
    async with watched() as made:
        made.rig.put()
        await asyncio.sleep(30)
        denied = Failure(FailureKind.RIGHT_MISSING, "leases is forbidden", 403)
        made.rig.hub.fails = lambda verb, name: denied if name.name == NAME else None
        await asyncio.sleep(20)
        made.rig.put(clusters=("m1",))
        await asyncio.sleep(20)
        assert made.rig.data("m2") == "b"
        made.rig.hub.fails = lambda verb, name: None
        await asyncio.sleep(20)
        assert made.rig.data("m2") is None


@virtual
async def test_another_hub_behind_the_address_ends_the_process_and_removes_nothing() -> None:
    async with watched() as made:
        rig = made.rig
        rig.put()
        await asyncio.sleep(30)
        rig.hub.objects.clear()
        rig.hub.put(NAMESPACES, KUBE_SYSTEM)
        rig.hub.relist()
        await asyncio.sleep(20)
        assert made.stopped
        assert "another cluster" in await made.continuity.confirmed()
        assert (LEASES.qualified, WHERE) not in rig.hub.objects
        assert (rig.data("m1"), rig.data("m2")) == ("b", "b")
