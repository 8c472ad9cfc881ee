"""Deadlines that count the other side's time only: a loop that is late is no evidence about anybody."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from federation.runtime.patience import LONGEST, STEP, Patience
from tests.unit.virtualtime import virtual


@asynccontextmanager
async def late_loop(blocked: float, turning: float = 0.0) -> AsyncIterator[None]:
    """A loop that is blocked again and again for so many seconds, and turns for `turning` seconds in between."""

    async def block() -> None:
        while True:
            time.sleep(blocked)  # noqa: ASYNC251 - that is what is tried
            await asyncio.sleep(turning)

    blocking = asyncio.create_task(block())
    try:
        yield
    finally:
        blocking.cancel()


@virtual
async def test_while_the_loop_keeps_up_it_is_a_time_out() -> None:
    began = asyncio.get_running_loop().time()
    patience = Patience(3.0)
    with pytest.raises(TimeoutError), patience:
        await asyncio.Event().wait()
    assert asyncio.get_running_loop().time() - began == pytest.approx(3.0)
    assert (patience.late, patience.in_vain) == (0.0, False)


@virtual
async def test_what_ends_in_time_is_left_alone() -> None:
    with Patience(3.0):
        await asyncio.sleep(2.9)
    await asyncio.sleep(60)
    with pytest.raises(ValueError, match="its own"), Patience(3.0):
        raise ValueError("its own")


@virtual
async def test_cancelled_from_outside_it_is_cancelled() -> None:
    async def wait() -> None:
        with Patience(3.0):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("steps", [1, 20])
async def test_a_late_loop_reads_what_has_come_before_it_gives_up(steps: int) -> None:
    """An answer takes some turns from its socket to whoever waits; each of them comes after the deadline here."""

    async def answer() -> str:
        for _ in range(steps):
            await asyncio.sleep(0)
        return "here"

    async with late_loop(0.1):
        with Patience(0.05):
            assert await answer() == "here"


async def test_whoever_never_answers_is_found_though_the_loop_is_late_now_and_then() -> None:
    async with late_loop(0.3, 0.05):
        patience = Patience(2.0)
        with pytest.raises(TimeoutError), patience:
            await asyncio.Event().wait()
        assert not patience.in_vain
        assert patience.late > 0


async def test_a_loop_that_is_always_late_gives_up_in_the_end_and_shows_it() -> None:
    async with late_loop(0.2):
        patience = Patience(0.02)
        with pytest.raises(TimeoutError), patience:
            await asyncio.Event().wait()
        assert patience.in_vain
        assert patience.late > LONGEST * 0.01


@virtual
async def test_every_deadline_passes_in_its_own_time_however_many_there_are() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    ends: dict[tuple[float, float], float] = {}

    async def wait(after: float, seconds: float) -> None:
        await asyncio.sleep(after)
        with pytest.raises(TimeoutError), Patience(seconds):
            await asyncio.Event().wait()
        ends[after, seconds] = loop.time() - began

    waits = [(after / 10, seconds) for after in range(12) for seconds in (0.05, 0.2, 0.25, 1.0, 3.1)]
    await asyncio.gather(*(wait(*each) for each in waits))
    assert ends == {(after, seconds): pytest.approx(after + seconds) for after, seconds in waits}


async def test_what_the_loop_was_late_by_before_is_not_counted() -> None:
    with Patience(60):
        await asyncio.sleep(0)
        time.sleep(STEP + 0.3)  # noqa: ASYNC251 - that is what is tried
        with Patience(60) as patience:
            await asyncio.sleep(0.02)
    assert patience.late == 0.0


@virtual
async def test_one_within_the_other_ends_alone() -> None:
    with Patience(3.0):
        with pytest.raises(TimeoutError), Patience(1.0):
            await asyncio.Event().wait()
        await asyncio.sleep(1.5)
    with pytest.raises(TimeoutError), Patience(1.0), Patience(3.0):
        await asyncio.Event().wait()


@virtual
async def test_at_rest_no_timer_is_left() -> None:
    for ended in (0.0, 0.3):
        with Patience(10.0):
            await asyncio.sleep(ended)
    loop = asyncio.get_running_loop()
    timers = getattr(loop, "_scheduled", [])
    assert all(timer.cancelled() for timer in timers)
