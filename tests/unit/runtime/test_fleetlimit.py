"""The limit that all lanes share: it holds, nobody waits for ever, and members that hang take nothing away."""

import asyncio
import random
from collections import Counter

import pytest

from federation.runtime.fleetlimit import HANGS, TIMES, FleetLimit
from federation.runtime.lane import Evidence, Lane
from federation.runtime.tasks import Tasks
from tests.unit.virtualtime import settle, virtual

CONCURRENCY = 4
FOREVER = 1000.0


class Fleet:
    """Lanes of one limit. `takes` gives the seconds of a run in a member; what began and ended is remembered."""

    def __init__(self, most: int, names: str = "abcdefgh") -> None:
        self.limit = FleetLimit(most)
        self.takes: dict[str, float] = dict.fromkeys(names, 1.0)
        self.running: Counter[str] = Counter()
        self.most = 0
        self.began: list[str] = []
        self.done: Counter[str] = Counter()
        self.tasks = Tasks()
        self.lanes = {name: self._lane(name) for name in names}

    def _lane(self, name: str) -> Lane[int]:
        async def run(_: int) -> tuple[Evidence, float | None]:
            self.began.append(name)
            self.running[name] += 1
            self.most = max(self.most, self.running.total())
            try:
                await asyncio.sleep(self.takes[name])
            finally:
                self.running[name] -= 1
            self.done[name] += 1
            return Evidence.ANSWERED, None

        return Lane(name, run, self.tasks.spawn, concurrency=CONCURRENCY, kind=lambda key: key % 3, limit=self.limit)

    def submit(self, name: str, count: int, *, urgent: bool = False) -> None:
        for number in range(count):
            self.lanes[name].submit(number, urgent=urgent)


@virtual
async def test_no_more_than_the_limit_and_everything_is_done() -> None:
    fleet = Fleet(3)
    for name in fleet.lanes:
        fleet.takes[name] = HANGS / 2
        fleet.submit(name, 10)
    await asyncio.sleep(60)
    assert fleet.most == 3
    assert set(fleet.done.values()) == {10}
    assert (len(fleet.limit), fleet.limit.waiting, len(fleet.tasks)) == (0, 0, 0)


@virtual
async def test_lanes_take_turns() -> None:
    fleet = Fleet(2, "abc")
    for name in fleet.lanes:
        fleet.takes[name] = HANGS / 2
        fleet.submit(name, 20)
    await asyncio.sleep(HANGS / 2 * 9.5)
    assert fleet.done.total() == 18
    assert max(fleet.done.values()) - min(fleet.done.values()) <= 2, fleet.done  # the first took all the room


@virtual
async def test_a_quiet_lane_goes_before_busy_ones() -> None:
    fleet = Fleet(6, "abcd")
    for name in fleet.takes:
        fleet.takes[name] = HANGS / 2
    for name in "abc":
        fleet.submit(name, 100)
    await settle()
    began = len(fleet.began)
    fleet.submit("d", 1)
    await asyncio.sleep(HANGS / 2 + 0.01)
    assert "d" in fleet.began[began : began + 2], fleet.began[began:]


@virtual
async def test_members_that_hang_take_nothing_away() -> None:
    fleet = Fleet(4, "abcdefgh")
    for name in "abcdefg":
        fleet.takes[name] = FOREVER
        fleet.submit(name, CONCURRENCY)
    fleet.takes["h"] = 0.01
    fleet.submit("h", 50)
    await asyncio.sleep(8 * HANGS)
    assert fleet.done["h"] == 50
    fleet.submit("h", 1)  # and later: only as long as it takes
    await asyncio.sleep(0.02)
    assert fleet.done["h"] == 51


@virtual
async def test_when_all_are_slow_none_hangs() -> None:
    """A machine that all members share is overloaded: more runs at once would not help."""
    fleet = Fleet(2, "abcd")
    slow = HANGS * 3
    for name in fleet.takes:
        fleet.takes[name] = slow
        fleet.submit(name, 200)
    await asyncio.sleep(100 * slow)
    fleet.most = 0
    await asyncio.sleep(20 * slow)
    assert fleet.most == 2
    assert fleet.done.total() < 480, "the test ended before it looked"


@virtual
async def test_what_takes_far_longer_than_others_hangs() -> None:
    fleet = Fleet(1, "ab")
    fleet.takes["a"] = slow = HANGS
    fleet.submit("a", 300)
    await asyncio.sleep(300 * slow + 1)  # runs take HANGS at present
    fleet.takes["a"] = FOREVER
    fleet.takes["b"] = 0.01
    fleet.submit("a", 1)
    await settle()
    fleet.submit("b", 1)
    await asyncio.sleep(TIMES * slow * 0.95)
    assert fleet.done["b"] == 0
    await asyncio.sleep(TIMES * slow * 0.1)
    assert fleet.done["b"] == 1


@virtual
async def test_a_closed_lane_is_in_line_no_longer() -> None:
    fleet = Fleet(1, "ab")
    fleet.takes["a"] = HANGS / 2
    fleet.submit("a", 1)
    await settle()
    fleet.submit("b", 3)
    assert fleet.limit.waiting == 1
    fleet.lanes["b"].close()
    assert fleet.limit.waiting == 0
    await asyncio.sleep(10)
    assert (fleet.done["a"], fleet.done["b"], len(fleet.limit)) == (1, 0, 0)


@pytest.mark.parametrize("seed", range(30))
def test_at_random(seed: int) -> None:
    """Lanes that hang, answer, are closed, paused and resized: what may run runs, and at the end nothing is counted."""

    @virtual
    async def scenario() -> None:
        draw = random.Random(seed)
        most = draw.choice((1, 2, 5, 20))
        fleet = Fleet(most)
        wanted: Counter[str] = Counter()
        closed: set[str] = set()
        for _ in range(60):
            name = draw.choice(list(fleet.lanes))
            act = draw.randrange(10)
            if act < 5 and name not in closed:
                fleet.submit(name, draw.randrange(1, 12), urgent=draw.random() < 0.5)
                wanted[name] += 1
            elif act == 5:
                fleet.takes[name] = draw.choice((0.0, 0.01, 0.3, 2.0, 30.0))
            elif act == 6:
                fleet.lanes[name].resize(draw.randrange(1, 2 * CONCURRENCY))
            elif act == 7 and draw.random() < 0.3:
                fleet.lanes[name].close()
                closed.add(name)
            elif act == 8:
                fleet.lanes[name].withdraw(draw.randrange(12))
            else:
                await asyncio.sleep(draw.choice((0.0, 0.01, 1.0)))
            assert len(fleet.limit) <= most
        await asyncio.sleep(5000)
        assert all(not len(lane) for lane in fleet.lanes.values())
        assert (len(fleet.limit), fleet.limit.waiting, len(fleet.tasks)) == (0, 0, 0)
        assert all(fleet.done[name] for name in wanted if name not in closed)

    scenario()
