"""Keys of one cluster that are one write together, behind the lane of all."""

import asyncio

from federation.runtime.fleetlimit import FleetLimit
from federation.runtime.lane import Evidence
from federation.runtime.sharedlane import SharedLane
from federation.runtime.tasks import Tasks
from tests.unit.virtualtime import settle, virtual


class Runs:
    def __init__(self, **evidence: Evidence) -> None:
        self.began: list[str] = []
        self.going: set[str] = set()
        self.most = 0
        self._evidence = evidence

    async def __call__(self, key: str) -> tuple[Evidence, float | None]:
        assert key not in self.going
        self.began.append(key)
        self.going.add(key)
        self.most = max(self.most, len(self.going))
        await asyncio.sleep(1)
        self.going.discard(key)
        return self._evidence.get(key, Evidence.ANSWERED), None


def lane(tasks: Tasks) -> SharedLane[str]:
    return SharedLane("works", tasks.spawn, concurrency=1, limit=FleetLimit())


@virtual
async def test_those_that_join_run_in_the_turn_of_the_first_that_waits() -> None:
    tasks, runs = Tasks(), Runs()
    shared = lane(tasks)
    part = shared.part("p1", runs, lambda key: key != "alone")
    for key in ("a", "b", "alone", "c", "d"):
        part.submit(key)
    await asyncio.sleep(0.5)
    assert runs.began == ["a", "b", "c", "d"]
    assert part.started("c") is not None
    assert len(part) == 5
    await asyncio.sleep(10)
    assert runs.began == ["a", "b", "c", "d", "alone"]
    assert len(part) == 0
    await tasks.cancel()


@virtual
async def test_one_that_comes_again_meanwhile_runs_again_and_not_twice_at_once() -> None:
    tasks, runs = Tasks(), Runs()
    part = lane(tasks).part("p1", runs, lambda key: True)
    for key in ("a", "b", "c"):
        part.submit(key)
    await settle()
    for _ in range(2):
        part.submit("c")
    assert "c" in part
    await asyncio.sleep(10)
    assert runs.began == ["a", "b", "c", "c"]
    for key in ("a", "b"):
        part.submit(key)
    await settle()
    part.submit("b")
    assert part.withdraw("b")
    await asyncio.sleep(10)
    assert runs.began == ["a", "b", "c", "c", "a", "b"]
    await tasks.cancel()


@virtual
async def test_the_worst_that_one_says_counts() -> None:
    tasks, runs = Tasks(), Runs(c=Evidence.FAILED)
    shared = lane(tasks)
    part = shared.part("p1", runs, lambda key: True)
    for _ in range(5):
        for key in ("a", "b", "c"):
            part.submit(key)
        await asyncio.sleep(1.1)
    assert shared.lane.paused
    await tasks.cancel()


@virtual
async def test_who_leaves_takes_back_what_was_to_run_again() -> None:
    tasks, runs = Tasks(), Runs()
    shared = lane(tasks)
    part = shared.part("p1", runs, lambda key: True)
    for key in ("a", "b", "c"):
        part.submit(key)
    await asyncio.sleep(0.5)
    part.submit("c")
    shared.leave(part)
    await asyncio.sleep(10)
    assert runs.began == ["a", "b", "c"]
    await tasks.cancel()
