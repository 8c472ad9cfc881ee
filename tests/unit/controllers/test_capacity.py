"""A fleet for which there are too few open files is reported before they run out, with a number that would do."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation.controllers import capacity
from federation.controllers.world import Member, TypeState, World
from federation.kube.sockets import Sockets, files_for
from federation.model.observations import Cluster
from federation.runtime import metrics
from tests.unit.controllers.rig import CONFIGMAPS
from tests.unit.virtualtime import virtual


def fleet(members: int, types: int) -> World:
    return World(
        types={f"t{number}": TypeState(CONFIGMAPS) for number in range(types)},
        members={f"m{number}": Member(Cluster(f"m{number}")) for number in range(members)},
    )


def counted(world: World, files: int) -> tuple[capacity.Capacity, list[Any]]:
    """What is reported of this fleet where there may be so many open files."""
    one = capacity.Capacity(world, lambda: Sockets(lambda: files).most, files_for)
    with capture_logs() as logs:
        one.count()
    return one, list(logs)


@pytest.mark.parametrize(
    ("members", "types", "connections"), [(0, 0, 16), (3, 2, 30), (1000, 10, 12_026), (1000, 20, 22_880)]
)
def test_what_a_fleet_needs(members: int, types: int, connections: int) -> None:
    assert capacity.needed(members, types) == connections


def test_enough_is_not_worth_a_word() -> None:
    assert counted(fleet(100, 10), 2048)[1] == []


def test_a_lack_is_reported_with_what_would_do() -> None:
    (entry,) = counted(fleet(100, 10), 1024)[1]
    assert (entry["log_level"], entry["members"], entry["types"]) == ("error", 100, 10)
    assert (entry["needed"], entry["most"]) == (1226, 928)
    assert counted(fleet(100, 10), entry["open_files_needed"])[1] == []
    assert counted(fleet(100, 10), entry["open_files_needed"] - 16)[1] != []


def test_of_several_shards_each_counts_the_members_that_it_serves_and_the_process_all_of_them() -> None:
    """Two shards of 100 members: what others serve needs no connection of ours, and what our other shard needs does."""
    worlds = [fleet(100, 10), fleet(100, 10)]
    for number, name in enumerate(list(worlds[0].members)):
        worlds[number % 2].members[name] = Member(Cluster(name, shard=(number + 1) % 2))
    ones = [counted(world, 1024)[0] for world in worlds]
    assert [one.needed for one in ones] == [capacity.needed(50, 10)] * 2
    ends = [metrics.CONNECTIONS_NEEDED.follow(lambda one=one: one.needed) for one in ones]  # type: ignore[misc]
    with capture_logs() as logs:
        ones[0].count()
    for end in ends:
        end()
    assert [(entry["needed"], entry["members"]) for entry in logs] == [(2 * capacity.needed(50, 10), 50)]


def test_a_fleet_that_grows_is_reported_a_few_times_and_again_after_it_was_enough() -> None:
    world = fleet(100, 10)
    one, _ = counted(world, 1024)
    with capture_logs() as logs:
        for number in range(100, 200):
            world.members[f"m{number}"] = Member(Cluster(f"m{number}"))
            one.count()
        assert 3 <= len(logs) <= 9
        logs.clear()
        there = dict(world.members)
        world.members.clear()
        one.count()
        world.members.update(there)
        one.count()
        one.count()
    assert len(logs) == 1


@virtual
async def test_it_is_counted_again_while_members_join() -> None:
    world = fleet(1, 10)
    one, _ = counted(world, 1024)
    task = asyncio.create_task(one.serve())
    with capture_logs() as logs:
        await asyncio.sleep(2 * capacity.PERIOD)
        assert logs == []
        world.members.update(fleet(100, 0).members)
        await asyncio.sleep(3 * capacity.PERIOD)
    task.cancel()
    assert [entry["needed"] for entry in logs] == [1226]
