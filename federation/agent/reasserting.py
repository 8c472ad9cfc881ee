"""Apply every object again, rarely and spread: what managedFields do not show would otherwise stay for ever.

Admission that alters a field of ours within somebody else's write, and an old entry of ours that was put back, are the
two changes that drift does not show (docs/push.md). An apply that changes nothing writes nothing.
"""

import asyncio

import msgspec

from federation.agent.world import WorkState, World
from federation.runtime.keyqueue import KeyQueue

PERIOD = 8 * 3600.0
"""Seconds within which everything is applied once more, as in push mode."""
SHORTEST = 1.0
"""Seconds between two works."""


async def serve(world: World, queue: KeyQueue[str], period: float = PERIOD) -> None:
    """Go through all works within `period` seconds, again and again, until cancelled."""
    while True:
        names = list(world.works)
        wait = max(SHORTEST, period / max(1, len(names)))
        for name in names:
            await asyncio.sleep(wait)
            state = world.works.get(name)
            if state is not None and state.known and not state.leaving:
                forget(state)
                queue.add(name)
        if not names:
            await asyncio.sleep(wait)


def forget(state: WorkState) -> None:
    """That its objects are right is not remembered, so that they are applied again; that they are the work's is.

    Where fields are left to whoever changes them in the member (OnSpokeChange), another apply would take them back.
    """
    work = state.work
    if work is None:
        return  # it has not been carried out since the agent began, or since it changed
    named = (each.what for each in state.targets if each.what is not None)
    left = tuple(f" {what}" for what in named if work.options_for(what).strategy.ignored_when_changed)
    for key, record in state.records.items():
        if not left or not key.endswith(left):
            state.records[key] = msgspec.structs.replace(record, digest="")
