"""How many shards there are: whoever is started with another number waits, and never do two numbers act at a time."""

import asyncio
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.controllers.election import Elector
from federation.controllers.membership import Membership
from federation.controllers.numbering import Numbering
from federation.core import leadership
from federation.core.shards import Shard
from federation.model import marks
from federation.model.resources import LEASES, ObjectName
from federation.model.settings import LeaderElection
from federation.runtime.fence import Fence, Instant
from tests.fakehub import FakeHub
from tests.unit.controllers.test_election import Way
from tests.unit.virtualtime import virtual

NUMBERS = LeaderElection(8.0, 5.0, 1.0)


def clock() -> Instant:
    now = asyncio.get_running_loop().time()
    return Instant(now, now, 1_800_000_000.0 + now)


class Process:
    """One that was started for so many shards, and takes all that it can get."""

    def __init__(self, hub: FakeHub, name: str, number: int) -> None:
        self.name, self.number = name, number
        self.way = Way(hub)
        self.fences = [Fence(clock) for _ in range(number)]
        self.electors = [self._elector(Shard(index, number)) for index in range(number)]
        self._tasks = [asyncio.ensure_future(self._run(each)) for each in self.electors]

    def _elector(self, shard: Shard) -> Elector:
        return Elector(
            self.way,
            self.fences[shard.index],
            where=ObjectName("system", leadership.lease_name(shard.index)),
            identity=self.name,
            numbers=lambda: NUMBERS,
            clock=clock,
            numbering=Numbering(self.way, "system", shard),
        )

    async def _run(self, elector: Elector) -> None:
        while True:  # one that has lost a Lease is started anew
            await elector.stand()
            await elector.keep()

    @property
    def acts(self) -> set[int]:
        return {
            index
            for index, (elector, fence) in enumerate(zip(self.electors, self.fences, strict=True))
            if elector.leads and fence.open
        }

    async def kill(self) -> None:
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        await self.kill()
        for each in self.electors:
            await each.release()


def said(hub: FakeHub, shard: int = 0) -> str | None:
    lease = hub.get(LEASES, ObjectName("system", leadership.lease_name(shard))) or {}
    return lease.get("metadata", {}).get("annotations", {}).get(marks.SHARDS_ANNOTATION)  # type: ignore[no-any-return]


@virtual
async def test_one_shard_writes_and_asks_nothing_of_the_number() -> None:
    hub = FakeHub()
    process = Process(hub, "a", 1)
    await asyncio.sleep(30)
    assert process.acts == {0}
    assert said(hub) is None
    assert not [each for each in hub.reads if "-1" in each]
    await process.stop()


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (3, 2), (2, 4)])
@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_another_number_waits_until_the_last_one_of_the_number_before_has_gone(
    before: int, after: int, *, killed: bool
) -> None:
    @virtual
    async def test() -> None:
        hub = FakeHub()
        old = [Process(hub, "old-1", before), Process(hub, "old-2", before)]
        await asyncio.sleep(10)
        new = Process(hub, "new", after)
        await asyncio.sleep(30)
        assert new.acts == set()
        for each in old:
            assert new.acts == set()
            await (each.kill() if killed else each.stop())
            await asyncio.sleep(5 if each is old[0] else 60)
        assert new.acts == set(range(after))
        assert said(hub) == (str(after) if after > 1 else None)
        await new.stop()

    test()


@given(
    st.integers(0, 2**32),
    st.lists(
        st.tuples(st.sampled_from(["start", "start", "kill", "stop", "rest"]), st.integers(0, 5), st.floats(0, 12)),
        min_size=3,
        max_size=14,
    ),
)
@settings(max_examples=25, deadline=None)
def test_never_do_two_act_for_one_shard_nor_two_by_different_numbers(
    seed: int, steps: list[tuple[str, int, float]]
) -> None:
    @virtual
    async def test() -> None:
        slow, hub = random.Random(seed), FakeHub()
        alive: dict[int, Process] = {}

        def lag() -> Callable[[], float]:
            return lambda: slow.random() ** 4 * 2

        def look() -> None:
            acting = [(each.number, index) for each in alive.values() for index in each.acts]
            assert len({number for number, _ in acting}) <= 1
            assert len(set(acting)) == len(acting)

        async def rest(seconds: float) -> None:
            for _ in range(int(seconds * 10) + 1):
                look()
                await asyncio.sleep(0.1)

        for step, (what, place, seconds) in enumerate(steps):
            if what == "start" and place not in alive:
                process = alive[place] = Process(hub, f"p{place}-{step}", 1 + (place + step) % 3)
                process.way.there, process.way.back = lag(), lag()
            elif what == "kill" and place in alive:
                await alive.pop(place).kill()
            elif what == "stop" and place in alive:
                await alive.pop(place).stop()
            await rest(seconds)
        for each in alive.values():
            each.way.there = each.way.back = lambda: 0.0
        if alive:
            last = min(alive)
            for place in [place for place in alive if place != last]:
                await alive.pop(place).stop()
            await rest(90)
            assert alive[last].acts == set(range(alive[last].number)), "the last one has them all"
        for each in alive.values():
            await each.kill()

    test()


@virtual
async def test_processes_know_who_lives_and_how_many_shards_each_has() -> None:
    hub = FakeHub()
    held = {"pod-a_1": 3, "pod-b_2": 0}
    members = {
        name: Membership(hub, "system", name, held=lambda name=name: held[name], numbers=lambda: NUMBERS)  # type: ignore[misc]
        for name in held
    }
    tasks = [asyncio.ensure_future(each.serve(lambda: None)) for each in members.values()]
    await asyncio.sleep(5)
    assert [tuple(each) for each in members["pod-a_1"].others] == [("pod-b", 0)]
    assert [tuple(each) for each in members["pod-b_2"].others] == [("pod-a", 3)]
    tasks[1].cancel()
    await asyncio.sleep(NUMBERS.lease_duration + 1)
    assert members["pod-a_1"].others == []
    await asyncio.sleep(10 * NUMBERS.lease_duration + 2)
    lease = hub.get(LEASES, ObjectName("system", leadership.REPLICAS)) or {}
    assert len(lease["metadata"]["annotations"]) == 1, "who is long gone is taken out"
    await members["pod-a_1"].leave()
    lease = hub.get(LEASES, ObjectName("system", leadership.REPLICAS)) or {}
    assert not lease["metadata"].get("annotations")
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
