"""Long steps of many tasks come one after another, and others have their turns in between."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from federation.runtime.turns import ENOUGH, Turns
from tests.unit.virtualtime import VirtualLoop, virtual


async def run(turns: Turns, steps: Sequence[float]) -> tuple[list[int], list[float]]:
    """Tasks that begin at one moment and have one step each: their order, and the turns of the loop, how long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    order: list[int] = []
    moments: list[float] = []

    async def one(number: int, seconds: float) -> None:
        await turns.begin()
        order.append(number)
        loop.pass_time(seconds)

    async def others() -> None:
        while True:
            moments.append(loop.time())
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    await asyncio.gather(*(one(number, seconds) for number, seconds in enumerate(steps)))
    await asyncio.sleep(0)
    other.cancel()
    return order, [later - earlier for earlier, later in itertools.pairwise(moments)]


@pytest.mark.parametrize(
    ("step", "steps", "longest"),
    [
        pytest.param(0.03, 16, 0.03, id="of-long-steps-each-has-a-turn-of-its-own"),
        pytest.param(ENOUGH / 100, 50, ENOUGH / 2, id="short-steps-share-one"),
    ],
)
@virtual
async def test_steps_have_turns(step: float, steps: int, longest: float) -> None:
    order, turns = await run(Turns(), [step] * steps)
    assert order == list(range(steps))
    assert max(turns) == pytest.approx(longest)


@virtual
async def test_who_gives_up_keeps_nobody_from_his_turn() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    turns = Turns()
    begun: list[int] = []

    async def one(number: int) -> None:
        await turns.begin()
        begun.append(number)
        loop.pass_time(0.03)

    tasks = [asyncio.create_task(one(number)) for number in range(6)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.wait(tasks)
    assert begun == [0, 3, 4, 5]
    order, _ = await run(turns, [0.0])
    assert order == [0]
