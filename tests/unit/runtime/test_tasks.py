"""Tasks with an owner: ended together, kept alive through bugs, and never dead in silence."""

import asyncio
import itertools

import pytest
from structlog.testing import capture_logs

from federation.runtime.tasks import Tasks
from tests.unit.virtualtime import settle, virtual


@virtual
async def test_cancel_ends_all_and_waits_for_their_last_words() -> None:
    said: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(1)
            said.append(name)

    tasks = Tasks()
    for name in "ab":
        tasks.spawn(work(name), name)
    await settle()
    await tasks.cancel()
    assert sorted(said) == ["a", "b"]
    assert len(tasks) == 0


@virtual
async def test_one_of_them_may_cancel_the_rest() -> None:
    tasks = Tasks()
    done: list[str] = []

    async def ender() -> None:
        await tasks.cancel()
        done.append("ender")

    other = tasks.spawn(asyncio.sleep(3600), "other")
    tasks.spawn(ender(), "ender")
    await settle()
    assert other.cancelled()
    assert done == ["ender"]


@virtual
async def test_finish_waits_then_ends_and_counts() -> None:
    tasks = Tasks()
    for seconds in (1, 2, 30):
        tasks.spawn(asyncio.sleep(seconds), f"for {seconds}")
    assert await tasks.finish(5.0) == 1
    assert asyncio.get_running_loop().time() == pytest.approx(5.0)
    assert await tasks.finish(5.0) == 0
    assert asyncio.get_running_loop().time() == pytest.approx(5.0)


@virtual
async def test_a_loop_that_fails_is_logged_and_started_again() -> None:
    starts: list[float] = []

    async def loop() -> None:
        starts.append(asyncio.get_running_loop().time())
        if len(starts) < 4:
            raise ValueError("a bug")
        await asyncio.sleep(3600)

    tasks = Tasks()
    with capture_logs() as logs:
        tasks.keep(loop, "watch:m1")
        await asyncio.sleep(60)
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert len(gaps) == 3
    for attempt, gap in enumerate(gaps):
        assert 2**attempt / 2 <= gap <= 2**attempt
    assert [entry["loop"] for entry in logs if entry["event"] == "loop failed"] == ["watch:m1"] * 3
    await tasks.cancel()


@virtual
async def test_a_bug_once_a_day_is_answered_at_once() -> None:
    """Only failures in a row make the wait longer."""
    starts: list[float] = []

    async def loop() -> None:
        starts.append(asyncio.get_running_loop().time())
        await asyncio.sleep(86400)
        raise ValueError("a bug")

    tasks = Tasks()
    tasks.keep(loop, "rare")
    await asyncio.sleep(10 * 86400 + 60)
    assert len(starts) == 11
    assert starts[-1] - starts[-2] <= 86400 + 1
    await tasks.cancel()


@virtual
async def test_a_kept_loop_that_returns_is_done() -> None:
    tasks = Tasks()

    async def once() -> None:
        return

    tasks.keep(once, "once")
    await settle()
    assert len(tasks) == 0


@virtual
async def test_what_dies_of_a_bug_is_logged_once() -> None:
    async def work() -> None:
        raise ValueError("a bug")

    tasks = Tasks()
    with capture_logs() as logs:
        tasks.spawn(work(), "lane:m1")
        await settle()
    assert [(entry["event"], entry["task"]) for entry in logs] == [("task died", "lane:m1")]
    assert len(tasks) == 0
