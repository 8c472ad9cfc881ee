"""Claim 9, `bend`: growth with simulated members, to where each way bends on this machine, and a profile there."""

import asyncio
from collections.abc import Sequence

import msgspec

from federation.comparing import contract, profiling
from federation.comparing.client import AT_ONCE, together
from federation.comparing.load import config_maps
from federation.comparing.model import Finding, Settings, Step
from federation.comparing.sampling import in_turn
from federation.comparing.scenario import Ground, Measured
from federation.comparing.stage import SIMULATED
from federation.comparing.workload import LONGEST, Size, Workload

MEMBERS = {"quick": (), "full": (10, 30, 100, 300)}
"""No part of --quick: one size bends nowhere. With --members N, N is the last size, as 1000."""
OBJECTS = {"quick": 5, "full": 8}
TRIALS = {"quick": 3, "full": 4}
IDLE = {"quick": 2.5, "full": 10.0}
PROFILED = 10.0
"""Seconds of changes in which the controller is sampled, at the largest number of members."""


class Bend:
    """ConfigMaps of 1 kB in all simulated members, over their number."""

    name = "bend"

    def steps(self, settings: Settings) -> Sequence[Step]:
        """One round: each size is a fleet of its own."""
        once = msgspec.structs.replace(settings, rounds=1)
        return in_turn(self.name, once, [{"members": number} for number in self._members(settings)])

    def estimate(self, settings: Settings, step: Step) -> float:
        """Joining, and as `growth`."""
        placements = OBJECTS[settings.scale] * int(step.at["members"])
        return 40 + int(step.at["members"]) * 0.3 + placements * 0.02

    def _members(self, settings: Settings) -> Sequence[int]:
        sizes = MEMBERS[settings.scale]
        if settings.members is None:
            return sizes
        return [*(number for number in sizes if number < settings.members), settings.members]

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        """As `growth`, and a profile where it is largest."""
        scale = settings.scale
        size = Size(settings.objects or OBJECTS[scale], TRIALS[scale], IDLE[scale], deletes=scale == "full")
        members = int(step.at["members"])
        async with (
            ground.federation(step.subject, members, SIMULATED) as federation,
            ground.workload(federation) as workload,
        ):
            found = await workload.all_of_it(step, settings.seed, size)
            if members != max(self._members(settings)) or profiling.tool() is None:
                return found, ()
            return found, await _profile(workload, settings, step)


async def _profile(workload: Workload, settings: Settings, step: Step) -> list[Finding]:
    """Where the controller, and the agents' process, are while objects are created and changed all the time."""
    processes = {"controller": workload.of.controller_pids[0]}
    if workload.of.agent_pids:
        processes["agents"] = workload.of.agent_pids[0]
    items = config_maps(settings.seed, OBJECTS[settings.scale])
    expected = workload.expect(items, 1)
    await together((workload.user.create(each) for each in items), AT_ONCE)
    await expected.wait(LONGEST)
    sampled = [asyncio.create_task(profiling.sample(pid, PROFILED)) for pid in processes.values()]
    await workload.flat_out(items, PROFILED, 2)
    shares = await asyncio.gather(*sampled)
    await workload.delete(items)
    return [
        contract.found(step, contract.Share(process=process, part=part, percent=percent))
        for process, parts in zip(processes, shares, strict=True)
        for part, percent in parts.items()
    ]
