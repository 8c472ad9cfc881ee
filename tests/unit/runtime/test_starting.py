"""Members are taken up a number at a time; what can wait, waits until all are."""

import asyncio

import pytest

from federation.runtime.starting import LATEST, LONGEST, Starting
from tests.unit.virtualtime import settle, virtual


async def take_up(starting: Starting, seconds: float, done: list[float]) -> None:
    turn = await starting.begin()
    await asyncio.sleep(seconds)
    turn.end()
    turn.end()  # once more does no harm
    done.append(asyncio.get_running_loop().time())


@virtual
async def test_so_many_have_a_turn_at_once() -> None:
    starting, done, began = Starting(2), list[float](), asyncio.get_running_loop().time()
    tasks = [asyncio.create_task(take_up(starting, 0.5, done)) for _ in range(6)]
    await asyncio.gather(*tasks)
    assert [round(each - began, 3) for each in done] == [0.5, 0.5, 1.0, 1.0, 1.5, 1.5]


@virtual
async def test_one_that_hangs_delays_the_others_by_a_moment_only() -> None:
    starting, done, began = Starting(1), list[float](), asyncio.get_running_loop().time()
    hanging = asyncio.create_task(take_up(starting, 1000.0, []))
    await settle()
    await take_up(starting, 0.25, done)
    await take_up(starting, 0.25, done)
    assert [round(each - began, 3) for each in done] == [LONGEST + 0.25, LONGEST + 0.5]
    hanging.cancel()


@virtual
async def test_over_is_when_nobody_waits_or_has_a_turn() -> None:
    starting, began = Starting(1), asyncio.get_running_loop().time()
    await starting.over()
    tasks = [asyncio.create_task(take_up(starting, 0.5, [])) for _ in range(3)]
    await settle()
    await starting.over()
    assert round(asyncio.get_running_loop().time() - began, 3) == 1.5
    await asyncio.gather(*tasks)


@virtual
async def test_where_there_is_always_somebody_over_is_not_waited_for_for_ever() -> None:
    starting, began = Starting(1), asyncio.get_running_loop().time()

    async def always() -> None:
        while True:
            await take_up(starting, 0.4, [])

    tasks = [asyncio.create_task(always()) for _ in range(3)]
    await settle()
    await starting.over()
    assert asyncio.get_running_loop().time() - began == pytest.approx(LATEST)
    for task in tasks:
        task.cancel()


@virtual
async def test_one_that_leaves_the_line_takes_no_turn_with_it() -> None:
    starting, done = Starting(1), list[float]()
    first = asyncio.create_task(take_up(starting, 0.5, done))
    await settle()
    second = asyncio.create_task(take_up(starting, 0.5, done))
    await settle()
    second.cancel()
    await first
    await starting.over()
    await take_up(starting, 0.5, done)
    assert len(done) == 2
