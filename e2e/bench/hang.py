"""One member hangs: is a healthy one served as before?

Objects placed in two members are updated one by one; the time until the healthy member holds the new version is
measured while both answer, and again while the other is stopped (SIGSTOP: it accepts connections and never answers).
"""

import asyncio

from e2e.bench.phases import Bench, Figures
from e2e.running import detail

PAUSE = 0.4
"""Seconds between two updates: the hang must last longer than a push's deadline, or a blocked worker would not show."""


async def measure(bench: Bench) -> Figures:
    """Latency of an update at the first member, before, while and after the last one hangs."""
    healthy, hanging = bench.fleet.members[0], bench.fleet.members[-1]
    names = [f"hang-{number}" for number in range(bench.size.trials)]
    for name in names:
        await bench.create(name)
    await bench.observer.until(dict.fromkeys(names, "1"))

    async def update(version: int) -> Figures:
        return await bench.timed(
            names, lambda name: bench.update(name, version), str(version), members=[healthy], pause=PAUSE
        )

    before = await update(2)
    detail(f"{hanging} hangs; updates reach {healthy}")
    playground = bench.fleet.playground
    await asyncio.to_thread(playground.pause, hanging)
    try:
        during = await update(3)
    finally:
        await asyncio.to_thread(playground.resume, hanging)
    await bench.observer.until(dict.fromkeys(names, "3"), within=180)
    for name in names:
        await bench.delete(name)
    await bench.observer.until(dict.fromkeys(names), within=180)
    return {"before": before, "during": during}
