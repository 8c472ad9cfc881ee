"""Two controllers on one member in memory: whatever their users do, and in whatever order, they come to rest and agree.

Both push to the same store under their own field managers; answers get lost, and one of the two is killed now and then.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.core import claims
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.plan import managed_by
from tests.fakes import FakeMember
from tests.unit.controllers.rig import CONFIGMAPS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

MANAGERS = ("kubefed-aaaaaaaa", "kubefed-bbbbbbbb")
TARGET = CONFIGMAPS.target
UNAVAILABLE = Failure(FailureKind.UNAVAILABLE, "503", 503)
TIMED_OUT = Failure(FailureKind.TIMED_OUT, "no answer within 10 s")

What = Literal["equal", "other", "away", "gone", "killed", "fails", "lost", "rests"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1]),
        st.sampled_from(["equal", "equal", "other", "away", "gone", "killed", "fails", "lost", "rests"]),
    ),
    min_size=1,
    max_size=12,
)


class Seat(FakeMember):
    """One hub's way to a member that other hubs have, too."""

    def __init__(self, manager: str, first: "Seat | None") -> None:
        super().__init__(manager)
        self.peers: list[Seat] = [self] if first is None else first.peers
        if first is not None:
            self.peers.append(self)
            self.objects, self.namespaces, self._shown = first.objects, first.namespaces, first._shown
            self._versions, self._uids = first._versions, first._uids

    def deliver(self) -> None:
        delayed, self._delayed = self._delayed, []
        for kind, what, metadata in delayed:
            for peer in self.peers:
                sink = peer.sinks.get(what)
                if sink is not None:
                    (sink.remove if kind == "DELETED" else sink.upsert)(metadata)


class Hubs:
    """Two hubs and their users; `placed` is the value that each wants in the member."""

    def __init__(self) -> None:
        first = Seat(MANAGERS[0], None)
        self.seats = (first, Seat(MANAGERS[1], first))
        self.rigs: list[Rig] = []
        self.placed: list[str | None] = [None, None]
        self._stacks = [AsyncExitStack(), AsyncExitStack()]

    async def start(self, number: int) -> None:
        """Start a controller, after another of the same hub that was killed if there was one."""
        after = self.rigs[number] if number < len(self.rigs) else None
        rig = Rig("m1", after=after)
        rig.members["m1"] = self.seats[number]
        self.rigs[number:] = [await self._stacks[number].enter_async_context(rig), *self.rigs[number + 1 :]]

    async def stop(self, number: int) -> None:
        self.seats[number].sinks.clear()
        self.rigs[number].hub.sinks.clear()
        await self._stacks[number].aclose()

    async def do(self, number: int, what: What) -> None:
        rig, seat = self.rigs[number], self.seats[number]
        if "deletionTimestamp" in (rig.stored() or {}).get("metadata", {}):
            await asyncio.sleep(5.0)
        match what:
            case "equal" | "other":
                value = "b" if what == "equal" else f"of-{number}"
                rig.put(template={"data": {"a": value}})
                self.placed[number] = value
            case "away" if rig.stored() is not None:
                rig.put(clusters=())
                self.placed[number] = None
            case "gone" if rig.stored() is not None:
                rig.delete()
                self.placed[number] = None
                await asyncio.sleep(0.2)
            case "killed":
                await self.stop(number)
                await self.start(number)
            case "fails" | "lost":
                answers = iter([UNAVAILABLE if what == "fails" else TIMED_OUT])
                setattr(seat, what, lambda verb, name: next(answers, None))
            case "rests":
                await asyncio.sleep(20.0)
            case _:
                return

    def owners(self) -> set[str]:
        stored = self.seats[0].objects.get((TARGET.qualified, WEB))
        return {entry.manager for entry in stored.entries} if stored is not None else set()

    def line(self, number: int) -> tuple[str, str]:
        lines: list[dict[str, Any]] = (self.rigs[number].stored() or {}).get("status", {}).get("clusters", [])
        return (lines[0].get("status", ""), lines[0].get("message", "")) if lines else ("none", "")

    def check(self) -> None:
        """Who places the object has it, alone or beside the other's claim, and both say so."""
        wanting = [number for number in (0, 1) if self.placed[number] is not None]
        owners = self.owners()
        holders = [number for number in wanting if MANAGERS[number] in owners]
        if not wanting:
            assert owners == set()
            return
        (holder,) = holders
        others = [number for number in wanting if number != holder]
        assert owners == {MANAGERS[holder], *(marks.claim_manager(MANAGERS[number]) for number in others)}
        assert self.seats[0].value(TARGET, WEB, "data", "a") == self.placed[holder]
        assert self.line(holder) == ("", claims.rivals_message([MANAGERS[number] for number in others]))
        for number in others:
            assert self.line(number) == ("AlreadyExists", managed_by(MANAGERS[holder]))


@settings(max_examples=40, deadline=None)
@given(STEPS, st.lists(st.sampled_from([0.0, 0.0, 0.01, 1.0]), min_size=12, max_size=12))
def test_two_hubs_come_to_rest_and_agree(steps: list[tuple[int, What]], pauses: list[float]) -> None:
    @virtual
    async def story() -> None:
        hubs = Hubs()
        await hubs.start(0)
        await hubs.start(1)
        try:
            for (number, what), pause in zip(steps, pauses, strict=False):
                await hubs.do(number, what)
                await asyncio.sleep(pause)
            await asyncio.sleep(900.0)
            hubs.check()
            for seat in hubs.seats:
                seat.calls.clear()
            for rig in hubs.rigs:
                rig.hub.writes.clear()
                rig.fanout.everything()
            await asyncio.sleep(100.0)
            assert [rig.hub.writes for rig in hubs.rigs] == [[], []]
            assert [seat.calls for seat in hubs.seats] == [[], []]
        finally:
            await hubs.stop(0)
            await hubs.stop(1)

    story()


@pytest.mark.parametrize("value", ["equal", "other"])
def test_the_same_instant(value: What) -> None:
    @virtual
    async def story() -> None:
        hubs = Hubs()
        await hubs.start(0)
        await hubs.start(1)
        try:
            await hubs.do(0, value)
            await hubs.do(1, value)
            await settle()
            hubs.check()
        finally:
            await hubs.stop(0)
            await hubs.stop(1)

    story()
