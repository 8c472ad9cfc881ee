"""Apply every placement once more within a period, rarely and spread, though nothing seems to have changed.

managedFields cannot show admission that alters our field inside somebody else's write, nor an old entry of ours put
back. An apply that changes nothing writes nothing. Every object has its own moment in the round, whatever else comes
and goes; one whose cluster is away when its turn comes has it when the cluster answers.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import NamedTuple

from federation.controllers.tracks import NOBODY
from federation.controllers.world import Member, World
from federation.model.plan import PLACES, Action, Command, Wait
from federation.model.resources import Key, ObjectName

PERIOD = 8 * 3600.0
"""Seconds within which every placement is applied once more."""
_STEPS = 48
"""Parts of a round; what appears within one has its turn in the next, which the period still has room for."""
_AT_ONCE = 5_000
"""Objects that are looked through before others may run."""
_SPAN = 1 << 32


class _Due(NamedTuple):
    at: float
    type: str
    name: ObjectName


class Reassertion:
    """The rounds; `run` ends only by cancellation. `changed` is Sync.changed."""

    def __init__(self, world: World, changed: Callable[[Key], None], period: float = PERIOD) -> None:
        self._world = world
        self._changed = changed
        self._step = period / (_STEPS + 1)
        self._salt = random.random()

    async def run(self) -> None:
        """Take every object in its turn, round after round."""
        step, began = 0, time.monotonic()
        while True:
            for due in await self._within(step % _STEPS):
                await asyncio.sleep(max(0.0, began + due.at - time.monotonic()))
                self._take(due)
            step += 1
            if step % _STEPS == 0:
                began += _STEPS * self._step
            at = began + (step % _STEPS) * self._step
            await asyncio.sleep(max(0.0, at - time.monotonic()))

    async def _within(self, step: int) -> list[_Due]:
        """Whose turn comes in this part of the round, in order; seconds from the beginning of the round."""
        found: list[_Due] = []
        for state in list(self._world.types.values()):
            for number, name in enumerate(list(state.tracks), start=1):
                phase = ((hash(name) % _SPAN) / _SPAN + self._salt) % 1.0 * _STEPS
                if step <= phase < step + 1:
                    found.append(_Due(phase * self._step, state.type.name, name))
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)
        return sorted(found)

    def _take(self, due: _Due) -> None:
        state = self._world.types.get(due.type)
        track = state.tracks.get(due.name) if state is not None else None
        if track is not None:
            track.recheck = track.recheck | track.applied.keys() or NOBODY
            self._changed(Key(due.type, *due.name))


def still_due(action: Action | None, member: Member | None) -> bool:
    """Whether a placement whose turn has come, and that was not sent now, is to keep its turn."""
    away = member is not None and (member.cluster.ready is not True or member.cluster.cordon is not None)
    return (isinstance(action, Command) and action.aim in PLACES) or (isinstance(action, Wait) and away)
