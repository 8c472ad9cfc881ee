"""A long step of the event loop is seen, at rest and at work, by a timer that hardly wakes an idle process."""

import asyncio
import itertools

import pytest

from federation.runtime import metrics
from federation.runtime.lateness import AT_REST, BUSY, RECENT, WINDOW, Lateness
from tests.unit.virtualtime import VirtualLoop, virtual


def step(seconds: float) -> None:
    """A step of the loop that takes so long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.pass_time(seconds)


def longest() -> float:
    return metrics.LOOP_LAG._value.get()  # type: ignore[no-any-return]


@virtual
async def test_a_long_step_at_work_is_seen_wherever_it_begins() -> None:
    worked = itertools.count()
    lateness = Lateness(lambda: next(worked))
    task = asyncio.create_task(lateness.serve())
    await asyncio.sleep(AT_REST + BUSY / 3)
    before = metrics.LOOP_LATE._value.get()
    asyncio.get_running_loop().call_later(0.01, step, 0.5)
    await asyncio.sleep(1)
    task.cancel()
    assert lateness.recent == pytest.approx(0.5, abs=BUSY)
    assert longest() == pytest.approx(0.5, abs=BUSY)
    assert metrics.LOOP_LATE._value.get() - before == pytest.approx(0.5, abs=BUSY)
    assert metrics.LOOP_LONGEST._value.get() >= 0.45


@virtual
async def test_after_a_rest_the_turn_that_work_begins_in_is_measured() -> None:
    lateness = Lateness(lambda: 0.0)
    seen: list[str] = []

    async def process(key: str) -> None:
        seen.append(key)
        step(0.3)
        await asyncio.sleep(5)

    task = asyncio.create_task(lateness.serve())
    await asyncio.sleep(10.2)
    await lateness.looking(process)("key")
    task.cancel()
    assert seen == ["key"]
    assert longest() == pytest.approx(0.3)


@virtual
async def test_what_was_late_is_forgotten_in_time() -> None:
    lateness = Lateness(lambda: 0.0)
    task = asyncio.create_task(lateness.serve())
    await asyncio.sleep(3)
    lateness.look()
    step(7.0)
    await asyncio.sleep(0)
    assert lateness.recent == longest() == 7.0
    await asyncio.sleep(WINDOW - 1)
    assert (lateness.recent, longest()) == (0.0, 7.0)
    await asyncio.sleep(WINDOW + 2 * RECENT)
    task.cancel()
    assert longest() == 0.0


@virtual
async def test_an_idle_process_is_woken_once_a_second() -> None:
    looks = 0

    def worked() -> float:
        nonlocal looks
        looks += 1
        return 0.0

    task = asyncio.create_task(Lateness(worked).serve())
    await asyncio.sleep(100.5)
    task.cancel()
    assert looks == 1 + 100 / AT_REST
