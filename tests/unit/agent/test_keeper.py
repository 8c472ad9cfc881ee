"""When what is wanted is kept in the member."""

import asyncio

from federation.agent import keeper
from federation.agent.keeper import Keeper
from federation.agent.world import World
from tests.unit.agent.servers import Server
from tests.unit.virtualtime import virtual


async def pages(every: float, seconds: float) -> list[float]:
    """When one page is written, where the one work in it changes this often for so long."""
    member, world = Server("c"), World("c", namespace="agents", agent_id="a", agent="a", hub_hash="h")
    state = world.state("w")
    state.known, state.spec = True, b"{}"
    kept = Keeper(member, world)  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()
    began, at = loop.time(), []
    serving = asyncio.create_task(kept.serve())
    while loop.time() - began < seconds:
        kept.changed(state)
        state.generation += 1
        before = len(member.writes)
        await asyncio.sleep(every)
        at += [round(loop.time() - began, 1)] * (len(member.writes) - before)
    while loop.time() - began < seconds + 60:
        before = len(member.writes)
        await asyncio.sleep(0.5)
        at += [round(loop.time() - began, 1)] * (len(member.writes) - before)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    return at


@virtual
async def test_a_change_is_kept_when_nothing_follows_it() -> None:
    (at,) = await pages(1.0, 1.0)
    assert keeper.DELAY <= at <= keeper.DELAY + 1


@virtual
async def test_a_crowd_of_changes_is_kept_at_its_end() -> None:
    (at,) = await pages(0.5, 12.0)
    assert 12 + keeper.DELAY - 1 <= at <= 12 + 2 * keeper.DELAY


@virtual
async def test_where_changes_do_not_end_they_are_kept_all_the_same() -> None:
    at = await pages(0.5, 50.0)
    assert len(at) in {3, 4}
    assert at[0] <= keeper.LONGEST + 1
