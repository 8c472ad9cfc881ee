"""When a federated object's status is written: once every cluster has answered, or when it must not wait any longer.

Called by sync at the end of each turn. Nothing waits for a member: what is not answered in time (core.cadence) is
reported as pending, and its answer with the last one. `statuswrites` does the writing.
"""

import asyncio
import functools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from federation.controllers import collecting, holdups, lines, pacing, statuswrites
from federation.controllers.outbox import Outbox
from federation.controllers.statuswrites import StatusUpdate, StatusWriter
from federation.controllers.tracks import Track, status_hash
from federation.controllers.world import TypeState, World
from federation.core import cadence, holds, summary
from federation.model.errors import ApiFailure
from federation.model.failures import Failure
from federation.model.federated import FederatedObject
from federation.model.resources import Key
from federation.runtime.backoff import Backoff
from federation.runtime.keyqueue import KeyQueue

REFUSED = (0.2, 60.0)
"""Seconds, doubling, before a status that the hub did not take is sent again; longer where `cadence.pause` is."""


class _Refused(NamedTuple):
    """A status of this generation was not taken, and is not sent again before (monotonic)."""

    generation: int
    not_before: float


class Reporter:
    """Decides which statuses are due. `now` gives the time for their conditions, RFC 3339."""

    def __init__(self, world: World, queue: KeyQueue[Key], writer: StatusWriter, now: Callable[[], str]) -> None:
        self._world = world
        self._queue = queue
        self._writer = writer
        self._now = now
        self._due: dict[Key, float] = {}
        self._refused: dict[Key, _Refused] = {}
        self._backoff: Backoff[Key] = Backoff(base=REFUSED[0], cap=REFUSED[1])
        self.outbox: Outbox | None = None
        """Where it is reported to another controller, which writes the status (shards)."""

    async def report(self, key: Key, state: TypeState, federated: FederatedObject, track: Track) -> None:
        """Write the status if it is due; else the key comes again. Raises ApiFailure when the hub refuses it."""
        plan = track.plan
        now = time.monotonic()
        if plan is None or plan.undecided or plan.finalizer is False:
            self._due.pop(key, None)
            return  # an event will decide, or the object goes with its finalizer
        self._retry(key, track, now)
        refused = self._refused.get(key)
        if refused is not None and now < refused.not_before and refused.generation == plan.generation:
            # Answers of many members bring the key again and again: a hub that is overloaded would get it each time.
            self._due.pop(key, None)
            self._queue.add_after(key, refused.not_before - now)
            return
        if not self._is_due(key, federated, track, now):
            return
        late = now >= track.since + cadence.REMIND
        held = functools.partial(holdups.holdup, self._world, key)
        collecting.take(self._world, key, state, track, now)
        composed = collecting.with_statuses(state, track, lines.compose(plan, track, late=late, held=held, now=now))
        previous, stored = track.status, None
        if statuswrites.altered(track, federated):
            stored = summary.parse(federated.status)
            previous = summary.with_conditions_of_others(previous, stored)
        deletions = holds.held(track.actions) if len(track.actions) > len(plan.selected) else None
        if self.outbox is not None:
            stalled = lines.stalled(track)
            self.outbox.report(key, federated, track, plan, composed, stalled=stalled, deletions=deletions)
            track.reported = now
            return
        deletions = deletions or track.held_elsewhere
        fold = statuswrites.folding(
            previous,
            plan,
            lines.stalled(track),
            self._now(),
            deletions,
            collecting.together(state, track, previous),
        )
        wait = statuswrites.wait(track, now)
        if stored is not None and wait > 0 and fold(composed) is previous:
            self._queue.add_after(key, wait)  # nothing new to report: whoever writes over it is not fought
            return
        update = StatusUpdate(previous, composed, fold, stored, functools.partial(collecting.refused, track))
        try:
            written = await self._writer.write(key, state, federated, track, update)
        except ApiFailure as error:
            error.failure = self._pausing(key, track, plan.generation, error.failure)
            raise
        if self._refused.pop(key, None) is not None:
            self._backoff.forget(key)
        if written is not previous or stored is not None:
            track.reported = now
        if written is not None and stored is not None:
            if written != stored:
                statuswrites.record_overwrite(track, federated, state.type.federated.kind)
            elif track.written_version != federated.metadata.resource_version:
                track.written_hash = status_hash(federated)  # the same status, in other bytes

    async def sweep(self, period: float = 0.5) -> None:
        """Bring back, until cancelled, keys whose status is due."""
        while True:
            await asyncio.sleep(period)
            now = time.monotonic()
            for key in [key for key, due in self._due.items() if due <= now]:
                self._queue.add(key)
            for key in collecting.due(self._world, now) if self._world.status_news else ():
                self._queue.add(key)

    def cancel(self, key: Key) -> None:
        """Bring this key back no more: something else does."""
        self._due.pop(key, None)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._due.pop(key, None)
        self._refused.pop(key, None)
        self._backoff.forget(key)
        self._writer.forget(key)
        if self.outbox is not None:
            self.outbox.forget(key)

    def _pausing(self, key: Key, track: Track, generation: int, failure: Failure) -> Failure:
        """The same failure, with the time until this status is sent again."""
        asked, next_try = failure.retry_after, self._backoff.next(key)
        wait = max(next_try if asked is None else asked, cadence.pause(len(track.actions)))
        self._refused[key] = _Refused(generation, time.monotonic() + wait)
        return replace(failure, retry_after=wait)

    def _retry(self, key: Key, track: Track, now: float) -> None:
        """Bring the key back when the first of its delayed actions may go."""
        if track.contention and (over := lines.quiet(track, now)) is not None:
            self._queue.add_after(key, over - now)  # its lines tell of it until then
        due = pacing.next_try(track)
        if due is not None and due <= now:
            track.stale = True
            self._queue.add(key)
        elif due is not None:
            self._queue.add_after(key, due - now)  # whichever timer brought us here may have been an older one

    def _is_due(self, key: Key, federated: FederatedObject, track: Track, now: float) -> bool:
        """Whether the status is to be written now; else, and while answers are missing, the sweep brings the key."""
        clusters = len(track.actions)
        if lines.all_answered(track):
            self._due.pop(key, None)
            wait = track.reported + cadence.pause(clusters) - now
            if wait > 0:
                self._queue.add_after(key, wait)
            return wait <= 0
        due = self._due.get(key)
        if due is None or track.since > track.reported:
            # Plans may follow each other faster than members answer: the first one that is not reported counts.
            goes = federated.metadata.deletion_timestamp is not None and not track.setbacks
            # A status that names its generation has a line for every cluster that may have a copy. Most of those that
            # are only guessed show within seconds that they have none: the status waits for that.
            # All shards wait about as long: what one reports early would be a status of the object of its own.
            parts = 1 if self.outbox is None else self.outbox.shards
            settle = cadence.settle(clusters * parts, goes=goes, by_agents=lines.by_agents(track))
            settle = cadence.REMIND if lines.guesses(track) else settle
            settled = track.since + settle
            due = settled if due is None else min(due, settled)
        if now < due:
            self._due[key] = due
            # Once it is reported who has not answered, what the others report of themselves does not wait for them.
            return track.reported >= track.since and collecting.is_due(track, now)
        self._due[key] = track.since + cadence.following(now - track.since)
        track.reported = now
        return True
