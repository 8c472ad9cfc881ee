"""Claim 2, `hub-load`: what the hub needs for each change and at rest, and the rate at which one core of it is full."""

from collections.abc import Sequence

import msgspec

from federation.comparing.model import Settings, Step
from federation.comparing.sampling import in_turn
from federation.comparing.scenario import Ground, Measured
from federation.comparing.workload import Size

MEMBERS = {"quick": 2, "full": 4}
SIZES = {"quick": Size(40, 6, 4.0), "full": Size(100, 20, 10.0, flat_out=8.0)}


class HubLoad:
    """ConfigMaps of 1 kB in all members."""

    name = "hub-load"

    def steps(self, settings: Settings) -> Sequence[Step]:
        """One size."""
        return in_turn(self.name, settings, [{"members": settings.members or MEMBERS[settings.scale]}])

    def estimate(self, settings: Settings, step: Step) -> float:
        """Three phases, each with the rest until nothing follows."""
        size = self.size(settings)
        placements = size.objects * int(step.at["members"])
        return 30 + size.idle + size.flat_out + size.trials * 0.6 + placements * 0.03

    def size(self, settings: Settings) -> Size:
        """How much of it."""
        size = SIZES[settings.scale]
        return msgspec.structs.replace(size, objects=settings.objects or size.objects)

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        """Create, rest, update, flat out, delete."""
        async with (
            ground.federation(step.subject, int(step.at["members"])) as federation,
            ground.workload(federation) as workload,
        ):
            return await workload.all_of_it(step, settings.seed, self.size(settings)), ()
