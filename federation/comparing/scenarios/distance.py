"""Not a claim of the article, but its world: links of 0, 50 and 200 ms round trip, lossy ones, and a member that hangs.

The link of every member of the subject takes its time for each piece of bytes (playground.relay), in either direction;
who writes at the hub and who watches the members does so without. Lost pieces are sent again as TCP does, and hold back
what follows on their connection. With `hangs`, one member's link passes nothing on, and the other one is measured.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from federation.comparing.client import together
from federation.comparing.model import Place, Settings, Step
from federation.comparing.observer import Observer
from federation.comparing.sampling import few, in_turn, on_a_site, samples
from federation.comparing.scenario import Ground, Measured
from federation.comparing.site import Member, Site
from federation.playground.relay import LOOPBACK, Link

PLACES: Sequence[Place] = (
    {"rtt_ms": 0, "loss_percent": 0, "hangs": 0},
    {"rtt_ms": 50, "loss_percent": 0, "hangs": 0},
    {"rtt_ms": 200, "loss_percent": 0, "hangs": 0},
    {"rtt_ms": 200, "loss_percent": 1, "hangs": 0},
    {"rtt_ms": 50, "loss_percent": 0, "hangs": 1},
)
ROUNDS = {"quick": 1, "full": 2}
_PAD = "x" * 1024
_BETWEEN = 0.2
"""Seconds between two single objects."""


class Distance:
    """Links of several lengths."""

    name = "distance"

    def steps(self, settings: Settings) -> Sequence[Step]:
        """Every place, in each round, by each subject in turn."""
        return in_turn(self.name, few(on_a_site(settings), ROUNDS), PLACES if settings.scale == "full" else PLACES[::2])

    def estimate(self, settings: Settings, step: Step) -> float:
        """Single changes, and many."""
        return 10 if settings.scale == "quick" else 20

    async def run(self, ground: Ground, settings: Settings, step: Step) -> Measured:
        """One place: single changes one after another, then many at once."""
        site = await ground.site()
        trials, many = (5, 20) if settings.scale == "quick" else (12, 40)
        namespace = f"distance-{step.subject}-{step.round}-{'-'.join(str(value) for value in step.at.values())}"
        members = site.of(step.subject)
        await site.federate(namespace, members)
        seen = members[:1] if step.at["hangs"] else members
        async with Observer([each.client for each in seen], namespace) as observer, _far(members, step.at):
            single: list[float] = []
            for number in range(trials):
                began = time.perf_counter()
                name = f"single-{number}"
                await _put(site, namespace, name, members)
                single.append((await observer.until({name: "1"}, within=120) - began) * 1e3)
                await asyncio.sleep(_BETWEEN)
            names = [f"many-{number}" for number in range(settings.objects or many)]
            began = time.perf_counter()
            await together(_put(site, namespace, name, members) for name in names)
            done = await observer.until(dict.fromkeys(names, "1"), within=300) - began
        await site.clear(namespace)
        figure = "member_latency" if step.at["hangs"] else "latency"
        return samples(step, {figure: single, "done": done}), ()


@asynccontextmanager
async def _far(members: Sequence[Member], at: Place) -> AsyncIterator[None]:
    link = Link(float(at["rtt_ms"]) / 1e3, float(at["loss_percent"]) / 100)
    try:
        for each in members:
            each.link.link = link
        if at["hangs"]:
            members[-1].link.hang()
        yield
    finally:
        for each in members:
            each.link.link = LOOPBACK
            each.link.resume()


async def _put(site: Site, namespace: str, name: str, members: Sequence[Member]) -> None:
    await site.put("FederatedConfigMap", namespace, name, members, {"data": {"version": "1", "pad": _PAD}})
