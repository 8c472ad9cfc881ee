"""Statuses, outages, new specs, switches and restarts in any order: in the end the status says what members have."""

import asyncio
import os
import random
from dataclasses import replace
from typing import Any

import pytest

from federation.core import cadence
from federation.model.statusrules import StatusCollection
from tests.unit.controllers.rig import WEB, Rig
from tests.unit.controllers.test_collecting import DEPLOYMENTS, RAW, WRITE, healthy, line, put, report, status, written
from tests.unit.virtualtime import settle, virtual

SEEDS = int(os.environ.get("FEDERATION_SEEDS", "12"))
NAMES = ("m1", "m2", "m3", "m4")
WHAT: tuple[StatusCollection | None, ...] = (None, StatusCollection(), RAW, RAW)


class Changing:
    """A rig that is changed, and restarted."""

    def __init__(self, roll: random.Random) -> None:
        self.roll = roll
        self.rig = Rig(*NAMES, types=(DEPLOYMENTS,))

    @property
    def collection(self) -> StatusCollection | None:
        return self.rig.world.types[DEPLOYMENTS.name].type.collection

    async def start(self) -> None:
        await self.rig.__aenter__()

    async def change(self) -> None:
        roll, rig = self.roll, self.rig
        name = roll.choice(NAMES)
        there = (DEPLOYMENTS.target.qualified, WEB) in rig.members[name].objects
        match roll.randrange(9):
            case 0:
                put(rig, replicas=roll.randrange(1, 5), clusters=tuple(roll.sample(NAMES, roll.randrange(1, 5))))
            case 1:
                rig.see(name, ready=roll.choice([True, False]))
            case 2:
                self.switch(roll.choice(WHAT))
            case 3 if there and roll.random() < 0.3:
                rig.members[name].remove(DEPLOYMENTS.target, WEB)
            case 4 if roll.random() < 0.3:
                await rig.__aexit__()
                self.rig = Rig(*NAMES, types=(replace(DEPLOYMENTS, collection=self.collection),), after=rig)
                await self.start()
            case _ if there:
                report(rig, name, status(roll.randrange(4), updatedReplicas=roll.randrange(4)))

    def switch(self, collection: StatusCollection | None) -> None:
        state = self.rig.world.types[DEPLOYMENTS.name]
        state.type = replace(state.type, collection=collection)
        for name in NAMES:
            self.rig.follow(name, state)
        self.rig.fanout.whole_type(DEPLOYMENTS.name)

    def check(self) -> None:
        """What is stored is what members have."""
        rig, collection = self.rig, self.collection
        found = written(rig)
        placed = [each["name"] for each in found["clusters"]]
        ready = desired = 0
        for name in placed:
            shown, actual = line(rig, name), self._status(name)
            assert shown.get("remoteStatus") == (actual if collection is not None and collection.raw else None)
            if collection is None:
                assert "ready" not in shown
                continue
            wanted = rig.members[name].value(DEPLOYMENTS.target, WEB, "spec", "replicas")
            assert shown["ready"] == f"{(actual or {}).get('readyReplicas', 0)}/{wanted}"
            ready, desired = ready + (actual or {}).get("readyReplicas", 0), desired + wanted
        assert ("summary" in found) is (collection is not None)
        assert bool(healthy(rig)[0]) is (collection is not None)
        if collection is not None:
            assert (found["summary"]["ready"], found["summary"]["desired"]) == (ready, desired)
            assert found["summary"]["unknownClusters"] == 0
            unwell = [name for name in placed if line(rig, name).get("unhealthy")]
            assert found["summary"]["unhealthyClusters"] == len(unwell)
            assert healthy(rig)[0] == ("False" if unwell else "True")
            assert rig.condition("Healthy", enabled=DEPLOYMENTS)["observedGeneration"] == found["observedGeneration"]

    def _status(self, name: str) -> dict[str, Any] | None:
        values = self.rig.members[name].objects[DEPLOYMENTS.target.qualified, WEB].values
        return {path[1]: value for path, value in values.items() if path[0] == "status"} or None


@pytest.mark.parametrize("seed", range(SEEDS))
@virtual
async def test_in_the_end_the_status_says_what_members_have(seed: int) -> None:
    changing = Changing(random.Random(seed))
    await changing.start()
    put(changing.rig)
    await settle()
    for _ in range(120):
        await changing.change()
        await asyncio.sleep(changing.roll.choice([0.0, 0.0, 0.1, 0.5, 1.0, 3.0]))
    for name in NAMES:
        changing.rig.see(name, ready=True)
    await asyncio.sleep(2 * cadence.REMIND + 30)
    changing.check()
    for name in changing.roll.sample(NAMES, len(NAMES)):
        if (DEPLOYMENTS.target.qualified, WEB) in changing.rig.members[name].objects:
            report(changing.rig, name, status(changing.roll.randrange(4)))
            await asyncio.sleep(cadence.QUIET + 1)
            changing.check()
    changing.rig.quiet()
    await asyncio.sleep(200)
    assert changing.rig.hub.writes.count(WRITE) == 0
    await changing.rig.__aexit__()
