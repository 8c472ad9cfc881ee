"""A type has stopped: take our finalizer off those of its federated objects that no member has anything of.

Nobody would take it off when they are deleted. Where the API server adds it (templates/host/finalizer-policy.yaml), all
objects have it, also those that were never pushed; and an API server knows of a FederatedTypeConfig's end a moment
later than we do, so what is created meanwhile has it, too. Therefore the objects are listed, and followed for a moment.
Those that a member may have a copy of keep it: their deletion waits until the type is enabled again.
"""

import asyncio
import time
from collections.abc import Iterable

import msgspec
import structlog

from federation.controllers.ports import HubPort, HubWatches
from federation.controllers.world import TypeState
from federation.core import summary
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject
from federation.model.resources import ObjectName

MOMENT = 1.0
"""Seconds after which every API server knows that the type is not enabled any more: its watch takes milliseconds."""
PATIENCE = 10.0
"""Seconds without any progress after which the rest is left as it is."""
AT_ONCE = 8
"""Objects that are written at the same time."""
_PAUSE = 0.2

log = structlog.get_logger()


class Parting:
    """One type that has stopped, from the list of its federated objects to the moment after."""

    def __init__(self, hub: HubPort, watches: HubWatches, state: TypeState) -> None:
        self._hub = hub
        self._state = state
        self._held: dict[ObjectName, FederatedObject] = {}
        self._answered = asyncio.Event()
        self._released = 0
        self._watch = watches.federated(state.type, self, lambda _: self._answered.set())

    async def run(self) -> None:
        """Return when it is done, or cannot be."""
        following = asyncio.create_task(self._watch.run(), name=f"parting:{self._state.type.name}")
        try:
            await self._listed()
            await self._release()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        if self._released or self._held:
            log.info("finalizers taken off", type=self._state.type.name, objects=self._released, left=len(self._held))

    # --- Sink

    def kept(self, item: FederatedObject) -> FederatedObject:
        """What is to be held of an object while the list is read: not its spec."""
        return msgspec.structs.replace(item, spec=msgspec.Raw())

    def replace(self, items: Iterable[FederatedObject]) -> None:
        """The whole list."""
        self._held.clear()
        for item in items:
            self.upsert(item)

    def upsert(self, item: FederatedObject) -> None:
        """An object, maybe one of those to be released."""
        self._held.pop(item.where, None)
        if marks.SYNC_FINALIZER in item.metadata.finalizers and self._untouched(item):
            self._held[item.where] = item

    def remove(self, item: FederatedObject) -> None:
        """An object is gone."""
        self._held.pop(item.where, None)

    # --- its steps

    def _untouched(self, item: FederatedObject) -> bool:
        """Whether no member has, or may have, anything of it: by what we did, or else by its status."""
        state, uid = self._state, item.metadata.uid
        track = state.tracks.get(item.where)
        if track is not None and track.uid == uid:
            touched = bool(track.applied or track.unconfirmed or track.pending or track.actions)
            return not touched and (track.from_the_start or _reported_nowhere(item))
        if memoryview(item.status) or not state.objects.synced:
            return _reported_nowhere(item)
        known = state.objects.get(item.where)
        if known is not None and known.metadata.uid == uid:
            return state.created.get(item.where) == uid
        return item.where not in state.missing  # it was created after the type had stopped

    async def _listed(self) -> None:
        """Wait for the list, unless it is refused: without the type, or a right to it, there is nothing to be done."""
        until = time.monotonic() + PATIENCE
        while not self._watch.synced and time.monotonic() < until:
            failure = self._watch.failure
            if failure is not None and failure.kind in {FailureKind.TYPE_MISSING, FailureKind.RIGHT_MISSING}:
                return
            self._answered.clear()
            try:
                async with asyncio.timeout(until - time.monotonic()):
                    await self._answered.wait()
            except TimeoutError:
                return

    async def _release(self) -> None:
        if not self._watch.synced:
            return
        end, progress = time.monotonic() + MOMENT, time.monotonic()
        while self._held or time.monotonic() < end:
            some = list(self._held.values())[:AT_ONCE]
            if any(await asyncio.gather(*map(self._take_off, some))):
                progress = time.monotonic()
            elif some and time.monotonic() - progress > PATIENCE:
                return
            else:
                await asyncio.sleep(_PAUSE)

    async def _take_off(self, item: FederatedObject) -> bool:
        """Whether it has gone; else it is tried again: an API server that knows nothing yet has put it on again."""
        finalizers = tuple(name for name in item.metadata.finalizers if name != marks.SYNC_FINALIZER)
        answer = await self._hub.set_finalizers(self._state.type.federated, item.metadata, finalizers)
        if isinstance(answer, Failure):
            if answer.kind is not FailureKind.NOT_FOUND:
                return False  # where somebody else has changed it, its watch brings it again
        elif marks.SYNC_FINALIZER in answer.finalizers:
            return False
        else:
            self._released += 1
        if self._held.get(item.where) is item:
            del self._held[item.where]
        return True


def _reported_nowhere(item: FederatedObject) -> bool:
    """Whether its status is complete and has no line: each line is of a cluster that may have a copy."""
    status = summary.parse(item.status)
    return status.observed_generation == item.metadata.generation and not status.clusters
