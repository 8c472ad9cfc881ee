"""Several shards, whatever users do, members answer and controllers die: an object goes only when no copy is left, and
everything is as it should be in the end, with every line in the status and nothing left to report.
"""

import asyncio
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.controllers.shards import where
from federation.core.reports import PREFIX
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import CONFIG_MAPS
from tests.unit.controllers.rig import WEB
from tests.unit.controllers.shardrig import Fleet
from tests.unit.virtualtime import virtual

OWNERS = {"a": 0, "b": 1, "c": 2, "d": 2}
Step = tuple[Literal["put", "delete", "kill", "start", "away", "back", "rest", "lose", "late"], int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "delete", "kill", "start", "away", "back", "rest", "rest", "lose", "late"]),
        st.integers(0, 15),
    ),
    min_size=1,
    max_size=14,
)
RESTS = (0.0, 0.05, 0.4, 2.0, 30.0)


class _User:
    """One object's user, and what may go wrong."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.wanted: tuple[str, frozenset[str]] | None = None
        self.values = 0
        self.away: set[str] = set()
        self.earlier: dict[int, dict[str, str]] = {}
        """What has been reported of each shard, as it was seen then."""

    def reported(self, shard: int) -> dict[str, str] | None:
        """What is reported now; None where there is nothing to report into."""
        found = self.fleet.hub.get(CONFIG_MAPS, where(SYSTEM_NAMESPACE, shard))
        return dict(found.get("data") or {}) if found is not None else None

    async def do(self, what: str, number: int) -> None:
        fleet, name = self.fleet, "abcd"[number % 4]
        stored = fleet.stored()
        match what:
            case "put" if stored is None or "deletionTimestamp" not in stored["metadata"]:
                self.values += 1
                clusters = frozenset(each for place, each in enumerate("abcd") if number >> place & 1)
                self.wanted = str(self.values), clusters
                fleet.put(value=str(self.values), clusters=sorted(clusters))
            case "delete" if stored is not None:
                self.wanted = None
                fleet.delete()
            case "kill":
                await fleet.kill(number % 3)
            case "start":
                await self.start(number % 3)
            case "away":
                self.away.add(name)
                fleet.see(name, ready=False)
            case "back":
                self.away.discard(name)
                fleet.see(name, ready=True)
            case "lose":  # somebody deletes the reports of a shard
                if self.reported(1 + number % 2) is not None:
                    fleet.hub.delete(CONFIG_MAPS, where(SYSTEM_NAMESPACE, 1 + number % 2))
            case "late" if (data := self.reported(1 + number % 2)) is not None:
                # What a holder before has written comes once more, after its time.
                earlier = self.earlier.setdefault(1 + number % 2, {})
                fleet.hub.put(CONFIG_MAPS, where(SYSTEM_NAMESPACE, 1 + number % 2), data=earlier)
                earlier.update({each: text for each, text in data.items() if each.startswith(PREFIX)})
            case _:
                await asyncio.sleep(RESTS[number % len(RESTS)])

    async def start(self, shard: int) -> None:
        await self.fleet.start(shard)
        for name in self.away:
            self.fleet.see(name, ready=False)


@given(STEPS)
@settings(max_examples=80, deadline=None)
def test_an_object_goes_only_when_no_copy_is_left_and_all_is_well_in_the_end(steps: list[Step]) -> None:
    @virtual
    async def test() -> None:
        async with Fleet(counts=False, **OWNERS) as fleet:
            gone: list[Any] = []
            fleet.hub.went = lambda name: gone.append((name, fleet.holders()))
            user = _User(fleet)
            for what, number in steps:
                await user.do(what, number)
                await asyncio.sleep(0)
            for shard in range(3):
                await fleet.start(shard)
            for name in "abcd":
                fleet.see(name, ready=True)
            await asyncio.sleep(700)
            assert all(not holders for name, holders in gone if name == WEB)
            if user.wanted is None:
                assert fleet.stored() is None
                assert fleet.holders() == set()
            else:
                value, clusters = user.wanted
                assert {each: fleet.value(each) for each in fleet.holders()} == dict.fromkeys(clusters, value)
                assert fleet.lines() == dict.fromkeys(sorted(clusters), "")
                assert fleet.ready()["status"] == "True"
            assert fleet.reports(1) == fleet.reports(2) == []
            fleet.hub.writes.clear()
            await asyncio.sleep(60)
            assert [each for each in fleet.hub.writes if str(WEB) in each] == []

    test()


@pytest.mark.parametrize("shard", [0, 1, 2])
@pytest.mark.parametrize("moment", [0.0, 0.01, 0.1, 0.3, 0.6])
def test_a_controller_that_is_killed_in_the_midst_of_a_deletion(shard: int, moment: float) -> None:
    @virtual
    async def test() -> None:
        async with Fleet(counts=False, **OWNERS) as fleet:
            gone: list[Any] = []
            fleet.hub.went = lambda name: gone.append((name, fleet.holders()))
            fleet.put()
            await asyncio.sleep(3)
            fleet.delete()
            await asyncio.sleep(moment)
            await fleet.kill(shard)
            await asyncio.sleep(60)
            await fleet.start(shard)
            await asyncio.sleep(60)
            assert gone == [(WEB, set())]

    test()
