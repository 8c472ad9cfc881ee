"""What concerns every object is done in steps, between which other tasks have their turn and things change."""

import asyncio
import itertools
import time

import pytest

from federation.controllers import fanout, push
from federation.controllers.member import JoinedMember
from federation.controllers.tracks import Setback, Track
from federation.core import planning
from federation.core.facts import Facts
from federation.model.conditions import PropagationStatus
from federation.model.federated import StoredObject
from federation.model.observations import Applied
from federation.model.plan import Plan
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName
from federation.model.status import Status
from tests.unit.controllers.fleet import SYSTEM, Fleet
from tests.unit.controllers.rig import CONFIGMAPS, WEB, Rig
from tests.unit.virtualtime import VirtualLoop, settle, virtual

SLICE = 10
MANY = 35


@pytest.fixture(autouse=True)
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE", SLICE)


def name_of(number: int) -> ObjectName:
    return ObjectName("ns", f"web-{number}")


async def filled(rig: Rig) -> list[Track]:
    """Many objects, all of them where they should be."""
    for number in range(MANY):
        rig.put(name_of(number))
    await asyncio.sleep(60)
    rig.quiet()
    return list(rig.world.types[CONFIGMAPS.name].tracks.values())


@virtual
async def test_a_cluster_is_forgotten_in_steps() -> None:
    async with Rig("m1", "m2") as rig:
        tracks = await filled(rig)
        steps = rig.sync.forget_cluster("m1", [])
        known = [MANY, *(sum("m1" in track.applied for track in tracks) for _ in steps)]
        assert [before - after for before, after in itertools.pairwise(known)] == [10, 10, 10, 5]


@virtual
async def test_long_plans_that_are_due_at_once_have_turns_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, turns = planning.plan, [0.0]

    def long_plan(facts: Facts) -> Plan:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.pass_time(0.05)
        return plan(facts)

    async def others() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0)
            turns.append(time.monotonic() - before)

    async with Rig("m1") as rig:
        await filled(rig)
        monkeypatch.setattr(planning, "plan", long_plan)
        other = asyncio.create_task(others())
        for number in range(MANY):
            rig.put(name_of(number), {"data": {"a": "c"}})
        await settle(10 * MANY)
        other.cancel()
        assert all(rig.data("m1", name=name_of(number)) == "c" for number in range(MANY))
    assert sum(turns) == pytest.approx(MANY * 0.05)
    assert max(turns) == pytest.approx(0.05)


@virtual
async def test_news_of_many_clusters_one_after_another_is_planned_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each plan is for all clusters; what a user changes does not wait for that."""
    names = [f"m{number}" for number in range(120)]
    plan, plans = planning.plan, 0

    def counted(facts: Facts) -> Plan:
        nonlocal plans
        plans += 1
        return plan(facts)

    async with Rig(*names) as rig:
        rig.put()
        await asyncio.sleep(60)
        monkeypatch.setattr(planning, "plan", counted)
        for name in names:
            rig.members[name].remove(CONFIGMAPS.target, WEB)
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)
        assert {rig.data(name) for name in names} == {"b"}
        assert plans <= 50
        rig.members["m7"].remove(CONFIGMAPS.target, WEB)
        await settle()
        now, before = time.monotonic(), plans
        rig.put(template={"data": {"a": "c"}})
        await settle()
        assert (time.monotonic(), plans) == (now, before + 1)
        await asyncio.sleep(60)
        assert {rig.data(name) for name in names} == {"c"}
        assert set(rig.lines().values()) == {""}


@virtual
async def test_what_happens_while_a_cluster_is_forgotten_has_no_trace_of_it() -> None:
    """Objects are planned, made and deleted, and answers come, before the last object has forgotten the cluster."""
    async with Rig("m1", "m2") as rig:
        await filled(rig)
        fake, state = rig.members["m1"], rig.world.types[CONFIGMAPS.name]
        fake.gate.clear()
        for number in (1, MANY - 1):
            rig.put(name_of(number), {"data": {"a": "c"}}, clusters=("m1", "m2"))
        await settle()
        member = rig.world.members.pop("m1")
        state.copies.pop("m1")
        rig.world.clusters_version += 1
        assert member.lane is not None
        steps = rig.sync.forget_cluster("m1", member.lane.drain())
        member.lane.close()
        next(steps)
        fake.gate.set()  # the answers of what was under way
        rig.put(name_of(0), {"data": {"a": "d"}}, clusters=("m2",))
        rig.put(name_of(MANY - 2), {"data": {"a": "d"}}, clusters=("m2",))
        rig.put(name_of(MANY), clusters=("m2",))
        rig.delete(name_of(2))
        rig.delete(name_of(MANY - 3))
        for _ in steps:
            await settle()
        rig.fanout.cluster("m1")
        await asyncio.sleep(60)
        for number in range(MANY + 1):
            gone = number in (2, MANY - 3)
            assert (rig.stored(name_of(number)) is None) is gone
            if not gone:
                assert rig.lines(name_of(number)) == {"m2": ""}
                track = rig.track(name_of(number))
                assert "m1" not in {*track.applied, *track.setbacks, *track.actions, *track.pending, *track.unconfirmed}


@virtual
async def test_a_cluster_joins_when_all_have_forgotten_the_one_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        site = fleet.join()
        await asyncio.sleep(1)
        tracks = fleet.world.types[CONFIGMAPS.name].tracks
        for number in range(MANY):
            tracks[name_of(number)] = Track("uid", Status(), {"m1": Applied("digest", "owned")}, stale=False)
        remembered: list[int] = []
        join = fleet.clusters._join

        def joining(name: str, stored: StoredObject) -> JoinedMember:
            remembered.append(sum("m1" in track.applied for track in tracks.values()))
            return join(name, stored)

        monkeypatch.setattr(fleet.clusters, "_join", joining)
        fleet.hub.delete(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "m1"))
        site.identity = "uid-another"
        fleet.join()
        await asyncio.sleep(1)
        assert (remembered, fleet.ready()) == ([0], True)


def failed(since: float = 0.0) -> Setback:
    return Setback(PropagationStatus.UPDATE_FAILED, "no", "digest", since + 1000.0, 3, (0.5, 60.0), since=since)


@virtual
async def test_what_failed_in_a_cluster_that_answers_again_is_tried_in_steps() -> None:
    async with Rig("m1", "m2") as rig:
        tracks = await filled(rig)
        for track in tracks:
            track.setbacks["m1"] = failed()
        rig.sync.retries.cluster("m1")
        waiting = [sum(track.setbacks["m1"].attempts == 3 for track in tracks)]
        # Meanwhile one of them has failed again: it was tried after the cluster had answered.
        await asyncio.sleep(0)
        tracks[-1].setbacks["m1"] = failed(time.monotonic() + 0.001)
        while waiting[-1] > 1:
            waiting.append(sum(track.setbacks["m1"].attempts == 3 for track in tracks))
            await asyncio.sleep(0)
        assert max(before - after for before, after in itertools.pairwise([MANY, *waiting])) <= SLICE
        assert [track.setbacks["m1"].attempts for track in tracks] == [0] * (MANY - 1) + [3]


@virtual
async def test_what_an_older_definition_made_sure_counts_no_more_while_the_objects_are_told() -> None:
    async with Rig("m1", "m2") as rig:
        tracks, state = await filled(rig), rig.world.types[CONFIGMAPS.name]
        for track in tracks:
            track.fully_owned = {"m1", "m2"}

        def trusted(cluster: str) -> list[bool]:
            port = rig.members[cluster]
            return [push.target_of(state, cluster, name_of(number), port).fully_owned for number in range(MANY)]

        rig.sync.retries.cluster("m1", upgraded=True)
        assert sum("m1" in track.fully_owned for track in tracks) == MANY - SLICE
        assert (any(trusted("m1")), all(trusted("m2"))) == (False, True)
        await asyncio.sleep(1)
        assert not any("m1" in track.fully_owned for track in tracks)
        tracks[0].fully_owned = {"m1"}  # a push has looked again
        assert trusted("m1")[0] is True


@virtual
async def test_what_waits_for_a_cluster_is_not_tried_in_another_of_its_name() -> None:
    async with Rig("m1", "m2") as rig:
        tracks = await filled(rig)
        for track in tracks:
            track.setbacks["m1"] = failed()
        rig.sync.retries.cluster("m1")
        rig.leave("m1")
        rig.join("m1")
        for track in tracks:
            track.setbacks["m1"] = failed()
        await asyncio.sleep(0)
        assert [track.setbacks["m1"].attempts for track in tracks] == [3] * MANY
