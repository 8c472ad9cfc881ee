"""Claim 3, `growth`: what changes cost and how long they take over the number of members.

Real members as far as one machine has room for their API servers, simulated ones beyond; numbers of the two kinds stand
under different places, so that nobody draws one line through both.
"""

from collections.abc import Sequence

import msgspec

from federation.comparing.model import Place, Settings, Step
from federation.comparing.sampling import few, in_turn
from federation.comparing.scenario import Ground, Measured
from federation.comparing.stage import REAL, SIMULATED
from federation.comparing.workload import Size

PLACES: dict[str, tuple[Place, ...]] = {
    "quick": ({"members": 12, "kind": SIMULATED},),
    "full": (
        *({"members": number, "kind": REAL} for number in (1, 2, 5)),
        *({"members": number, "kind": SIMULATED} for number in (10, 20, 50)),
    ),
}
SIZES = {"quick": Size(20, 4, 2.5, deletes=False), "full": Size(30, 6, 5.0)}
ROUNDS = {"quick": 1, "full": 1}
"""At most: the line through several numbers of members shows the spread, too."""


class Growth:
    """ConfigMaps of 1 kB in all members, over their number."""

    name = "growth"

    def steps(self, settings: Settings) -> Sequence[Step]:
        """Real members first, fewer before more, because a fleet grows and does not shrink."""
        most = settings.members or 1_000_000
        places = [place for place in PLACES[settings.scale] if int(place["members"]) <= most]
        return in_turn(self.name, few(settings, ROUNDS), places)

    def estimate(self, settings: Settings, step: Step) -> float:
        """As `hub-load`, and the time for more members."""
        size = SIZES[settings.scale]
        return 30 + size.idle + int(step.at["members"]) * (1.0 + size.objects * 0.03)

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        """Create, rest, update, delete."""
        size = SIZES[settings.scale]
        if settings.objects:
            size = msgspec.structs.replace(size, objects=settings.objects)
        async with (
            ground.federation(step.subject, int(step.at["members"]), str(step.at["kind"])) as federation,
            ground.workload(federation) as workload,
        ):
            return await workload.all_of_it(step, settings.seed, size), ()
