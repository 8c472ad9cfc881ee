"""A create without an answer may have come to pass: no plan, no status and no restart in between may forget it.

What may be in a member is a fact that is written down: in the running controller as MAY_HAVE_COPY, across restarts as
the cluster's line in the status. Only the member itself can take it away, by showing that nothing is there.
"""

import asyncio
from collections.abc import Callable

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.controllers.tracks import Track
from federation.controllers.world import TypeState
from federation.core import budget, sharing
from federation.kube import decoding
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.observations import MAY_HAVE_COPY
from federation.model.resources import ObjectName
from federation.model.status import ClusterStatus
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

TIMED_OUT = Failure(FailureKind.TIMED_OUT, "no answer within 10 s")
UNAVAILABLE = Failure(FailureKind.UNAVAILABLE, "503", 503)
INVALID = Failure(FailureKind.INVALID, "data: wrong", 422)
FORBIDDEN = Failure(FailureKind.RIGHT_MISSING, "cannot get configmaps", 403)


class Unlisted(Rig):
    """m1 is down from the start: nothing of it can be listed."""

    def follow(self, name: str, state: TypeState) -> None:
        if name != "m1":
            super().follow(name, state)


async def lost_create(rig: Rig) -> None:
    """m1 has the copy, its answer was lost, and it is down now."""
    fake = rig.members["m1"]
    fake.delay_events = True
    fake.lost = lambda verb, name: TIMED_OUT if verb == "apply" else None
    rig.put(clusters=("m1",))
    await settle()
    assert (rig.data("m1"), rig.lines()) == ("b", {"m1": "CreationTimedOut"})
    fake.lost = lambda verb, name: None
    rig.see("m1", ready=False, message="no route to host")
    await asyncio.sleep(5)


async def gone_for_good(rig: Rig) -> None:
    """While m1 is down its federated object stays; once it answers the copy goes, and then the object."""
    await asyncio.sleep(100)
    assert rig.stored() is not None
    rig.members["m1"].delay_events = False
    rig.members["m1"].deliver()
    rig.see("m1", ready=True)
    await asyncio.sleep(100)
    assert (rig.stored(), rig.members["m1"].objects) == (None, {})


def deselected(rig: Rig) -> None:
    rig.put(clusters=("m2",))


def invalid(rig: Rig) -> None:
    rig.put(clusters=("m1",), spec={"overrides": "none"})


def unplaced(rig: Rig) -> None:
    rig.put(clusters=())


@pytest.mark.parametrize("change", [deselected, unplaced, invalid], ids=lambda change: change.__name__)
@pytest.mark.parametrize("restarted", ["never", "before the change", "after the change"])
def test_what_may_be_there_holds_the_object_until_the_member_was_asked(
    change: Callable[[Rig], None], restarted: str
) -> None:
    @virtual
    async def test() -> None:
        async with Rig("m1", "m2") as rig:
            await lost_create(rig)
            if restarted != "before the change":
                change(rig)
                await asyncio.sleep(5)
                assert "m1" in rig.lines()
            if restarted == "never":
                rig.delete()
                await gone_for_good(rig)
                return
        async with Rig("m1", "m2", after=rig, ready=None) as again:
            again.see("m1", ready=False, message="no route to host")
            again.see("m2", ready=True)
            if restarted == "before the change":
                change(again)
                await asyncio.sleep(5)
            assert "m1" in again.lines()
            again.delete()
            await gone_for_good(again)

    test()


@virtual
async def test_a_controller_killed_between_its_push_and_its_status_leaves_the_question_open() -> None:
    """The placement changes while no controller runs: nothing but the generation shows that something is untold."""
    async with Rig("m1", "m2") as rig:
        rig.hub.fails = lambda verb, name: UNAVAILABLE if verb == "status" else None
        rig.put(clusters=("m1",))
        await settle()
        assert rig.data("m1") == "b"
    rig.hub.sinks.clear()
    rig.hub.fails = lambda verb, name: None
    rig.put(clusters=("m2",))
    async with Unlisted("m1", "m2", after=rig, ready=None) as again:
        again.see("m1", ready=False)
        again.see("m2", ready=True)
        await asyncio.sleep(60)
        assert again.lines() == {"m1": "ClusterNotReady", "m2": ""}
        assert again.condition("Ready")["status"] == "True"
        again.delete()
        await asyncio.sleep(100)
        assert (again.stored() is not None, again.data("m2")) == (True, None)
        Rig.follow(again, "m1", again.world.types["configmaps"])
        again.see("m1", ready=True)
        await asyncio.sleep(10)
        assert (again.stored(), again.members["m1"].objects) == (None, {})


@virtual
async def test_clusters_that_answer_soon_are_not_spoken_of() -> None:
    """An object changed while no controller ran: its other clusters are listed within seconds, and have nothing."""
    names = ["m1", *(f"other-{number}" for number in range(20))]
    async with Rig(*names) as rig:
        rig.put(clusters=("m1",))
        await settle()
    rig.hub.sinks.clear()
    rig.put(template={"data": {"a": "c"}}, clusters=("m1",))
    rig.quiet()
    async with Rig(*names, after=rig, ready=None) as again:
        again.see("m1", ready=True)
        await asyncio.sleep(10)
        assert again.lines() == {"m1": ""}
        for name in names:
            again.see(name, ready=True)
        await asyncio.sleep(60)
        assert again.asked == {"m1": ["apply ns/web"]}  # their lists are proof enough
        assert set(again.track().applied) == {"m1"}
        again.delete()
        await settle()
        assert again.stored() is None


@virtual
async def test_a_refusal_says_nothing_of_the_create_before_it() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        fake.delay_events = True
        fake.lost = lambda verb, name: TIMED_OUT if verb == "apply" else None
        rig.put()
        await settle()
        fake.lost = lambda verb, name: None
        fake.fails = lambda verb, name: INVALID if verb == "apply" else FORBIDDEN if verb == "read" else None
        rig.put(template={"data": {"a": "wrong"}})
        await asyncio.sleep(5)
        assert rig.track().applied == {"m1": MAY_HAVE_COPY}
        rig.delete()
        await asyncio.sleep(30)
        assert rig.stored() is not None  # the member does not let us look
        fake.fails = lambda verb, name: None
        await asyncio.sleep(120)
        assert (rig.stored(), fake.objects) == (None, {})


@virtual
async def test_a_create_that_was_refused_leaves_no_doubt() -> None:
    async with Rig("m1") as rig:
        rig.members["m1"].fails = lambda verb, name: INVALID
        rig.put()
        await settle()
        assert (rig.track().applied, rig.track().unconfirmed) == ({}, set())


@virtual
@pytest.mark.parametrize(("length", "guessed"), [(250, {"m1", "m2"}), (10, set())])
async def test_a_status_without_room_for_every_line_tells_nothing_of_the_others(length: int, guessed: set[str]) -> None:
    """Lines that a full status leaves out may be of clusters that have a copy. Where only messages fill it, none is."""
    names = [f"c{number:05}".ljust(length, "x") for number in range(900)]
    lines = [{"name": name, "status": "CreationFailed", "message": "x" * 250} for name in names]
    async with Rig("m1", "m2") as rig:
        rig.put(clusters=("m1",))
        await settle()
        rig.hub.put(CONFIGMAPS.federated, WEB, status={"clusters": lines})
        federated = decoding.federated(orjson.dumps(rig.stored()))
        assert Track.begin(federated, ["m1", "m2"]).guessed == guessed


@given(st.integers(100, 5000), st.integers(1, 253), st.integers(0, 320), st.integers(0, 3), st.sampled_from("x<é「"))
def test_whatever_is_left_out_the_status_counts_as_full(
    count: int, length: int, message: int, healthy: int, character: str
) -> None:
    statuses = [*PropagationStatus]
    lines = [
        ClusterStatus(
            f"{number:05}".ljust(length, "x"),
            "" if number % 4 < healthy else statuses[number % len(statuses)],
            character * (number % (message + 1)),
            number % 3,
            f"{number % 7}.b" if number % 2 else "",
        )
        for number in range(count)
    ]
    kept = budget.fit(sharing.share(lines))
    assert budget.full(kept.lines) or not kept.left_out
    assert budget.full([ClusterStatus(each.name, each.status) for each in kept.lines]) or not kept.left_out


@pytest.mark.parametrize("count", [1, 100, 3000, 6000])
def test_a_status_that_left_lines_out_counts_as_full(count: int) -> None:
    lines = [
        ClusterStatus(f"cluster-{number:06}", "CreationFailed" if number % 3 else "", "x" * (number % 200), 0, "a.b")
        for number in range(count)
    ]
    kept = budget.fit(lines)
    assert budget.full(kept.lines) or not kept.left_out
    assert count > 100 or not budget.full(kept.lines)


@pytest.mark.parametrize("healthy", [0, 1, 2])
@pytest.mark.parametrize("generation", [0, 4])
def test_a_schema_that_drops_our_fields_does_not_hide_that_lines_were_left_out(healthy: int, generation: int) -> None:
    """KubeFed's own CRDs know name and status only: what is read back is smaller than what was written."""
    lines = [
        ClusterStatus(f"cluster-{number:05}".ljust(63, "x"), "" if number % 2 < healthy else "UpdateFailed", "why")
        for number in range(3500)
    ]
    lines = [msgspec.structs.replace(each, generation=generation, fingerprint=f"{each.name[8:13]}.b") for each in lines]
    kept = budget.fit(lines)
    assert kept.left_out
    assert budget.full([ClusterStatus(each.name, each.status) for each in kept.lines])


@virtual
async def test_another_objects_name_is_not_doubted() -> None:
    """An object that selects a dead cluster and was never pushed there is let go by a controller that saw it all."""
    async with Rig("m1", "m2") as rig:
        rig.see("m1", ready=False)
        rig.put()
        await asyncio.sleep(5)
        rig.put(clusters=("m2",))
        await asyncio.sleep(5)
        assert rig.lines() == {"m2": ""}
        rig.delete()
        await asyncio.sleep(5)
        assert rig.stored() is None
        rig.put(ObjectName("ns", "other"), clusters=("m2",))
        await asyncio.sleep(5)
        assert rig.lines(ObjectName("ns", "other")) == {"m2": ""}


@pytest.mark.parametrize("probed", [False, None], ids=["down", "not probed"])
@pytest.mark.parametrize("lives", [1.0, 10.0, 29.0, 45.0])
def test_a_controller_that_is_killed_twice_forgets_nothing(probed: bool | None, lives: float) -> None:
    """No status names its generation before it has a line for every cluster that may have a copy."""

    @virtual
    async def test() -> None:
        async with Rig("m1", "m2") as rig:
            rig.hub.fails = lambda verb, name: UNAVAILABLE if verb == "status" else None
            rig.put(clusters=("m1",))
            await settle()
            assert rig.data("m1") == "b"
        rig.hub.sinks.clear()
        rig.hub.fails = lambda verb, name: None
        rig.put(clusters=("m2",))
        for after in (rig, rig):
            async with Unlisted("m1", "m2", after=after, ready=None) as again:
                again.see("m1", ready=probed)
                again.see("m2", ready=True)
                await asyncio.sleep(lives)
                assert (again.stored() or {}).get("status", {}).get("observedGeneration") != 2 or "m1" in again.lines()
            rig.hub.sinks.clear()
        async with Unlisted("m1", "m2", after=rig, ready=None) as last:
            last.see("m1", ready=False)
            last.see("m2", ready=True)
            last.delete()
            await asyncio.sleep(100)
            assert last.stored() is not None
            Rig.follow(last, "m1", last.world.types["configmaps"])
            last.see("m1", ready=True)
            await asyncio.sleep(10)
            assert (last.stored(), last.members["m1"].objects) == (None, {})

    test()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_namespace_whose_create_had_no_answer_is_not_left_behind(restarted: bool) -> None:
    """It was sent there under the cluster's name, so it is no stranger's: it is deleted, not released."""

    @virtual
    async def test() -> None:
        async with Rig("m1", "m2", types=(FEDERATED_NAMESPACES,)) as rig:
            fake = rig.members["m1"]
            fake.delay_events = True
            fake.lost = lambda verb, name: TIMED_OUT if verb == "apply" else None
            rig.put(NS, clusters=("m1",), enabled=FEDERATED_NAMESPACES)
            await settle()
            assert (rig.lines(NS, FEDERATED_NAMESPACES), len(fake.objects)) == ({"m1": "CreationTimedOut"}, 1)
            fake.lost = lambda verb, name: None
            rig.see("m1", ready=False)
            rig.put(NS, clusters=("m2",), enabled=FEDERATED_NAMESPACES)
            await asyncio.sleep(5)
            fake.delay_events = False
            fake.deliver()
            if not restarted:
                rig.see("m1", ready=True)
                await asyncio.sleep(60)
        if restarted:
            rig.hub.sinks.clear()
            async with Rig("m1", "m2", after=rig, types=(FEDERATED_NAMESPACES,)) as again:
                await asyncio.sleep(60)
                assert again.lines(NS, FEDERATED_NAMESPACES) == {"m2": ""}
        assert fake.objects == {}

    test()


@virtual
async def test_a_first_list_of_clusters_that_leaves_one_out_makes_nothing_forgotten() -> None:
    """Its line stays until the hub, asked by name, has reported that there is no such cluster."""
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        assert rig.lines() == {"m1": "", "m2": ""}
    rig.hub.sinks.clear()
    asked: list[str] = []
    again = Rig("m1", after=rig)

    async def left(name: str) -> bool:
        asked.append(name)
        if len(asked) > 3:
            again.join("m2", ready=False)
        return False

    again.sync.ask_of_clusters(left)
    async with again:
        again.delete()
        await asyncio.sleep(60)
        assert (set(asked), again.data("m1"), again.stored() is not None) == ({"m2"}, None, True)
        again.see("m2", ready=True)
        await asyncio.sleep(60)
        assert (again.stored(), again.members["m2"].objects) == (None, {})


@virtual
async def test_a_copy_that_somebody_deletes_before_its_creation_is_answered() -> None:
    """A controller in the member deletes what does not suit it: its end is observed before our answer is read."""
    async with Rig("m1") as rig:
        member = rig.members["m1"]

        def gone(verb: str, name: ObjectName) -> None:
            if verb == "apply":
                member.remove(CONFIGMAPS.target, name)

        member.lost = gone
        rig.put()
        await asyncio.sleep(120)
        assert rig.world.types["configmaps"].copies["m1"].objects.get(WEB) is None
        assert rig.lines() == {"m1": "Disputed"}, "it is created again and again, at growing intervals"
        assert "somebody in this cluster deletes the object again and again" in str(rig.stored())
        assert len(member.calls) < 10
        member.lost = lambda verb, name: None
        await asyncio.sleep(1000)
        assert rig.lines() == {"m1": ""}
        assert rig.data("m1") == "b"
        assert rig.world.types["configmaps"].copies["m1"].gone == {}
