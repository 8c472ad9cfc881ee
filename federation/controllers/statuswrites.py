"""Write a federated object's status to the hub, and compare what the hub stores with what was written.

One write, and where the hub refuses a cluster's remoteStatus (core.summary.refused_statuses) another without it:
whatever a member calls its status must not keep the object from having one. Each try has fewer of them, so the tries
end.

A status that somebody else has written over is written again, at once and then ever more rarely while that goes on.
Events are compared by a hash of the status as stored, so that what a hub's schema drops of it (KubeFed's own CRDs know
fewer fields) is no change by somebody.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import structlog

from federation.controllers.ports import EventRecorder, HubPort
from federation.controllers.refusals import Refusals
from federation.controllers.tracks import Overwritten, Track, status_hash, without_status
from federation.controllers.world import TypeState
from federation.core import sharing, summary, wellbeing
from federation.core.holds import Held
from federation.core.wellbeing import NOT_COLLECTED, Wellbeing
from federation.model import marks
from federation.model.conditions import Reason
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, FederatedType, Metadata
from federation.model.plan import Plan
from federation.model.resources import Key
from federation.model.status import ClusterStatus, Status

REWRITE = (1.0, 600.0)
"""Seconds between two writes that only put back what somebody else has written over, doubling."""
_FORGOTTEN = 3600.0
"""Seconds after which somebody else's write counts as the first again."""
_OFTEN = 3

log = structlog.get_logger()

Fold = Callable[[Sequence[ClusterStatus]], Status]


def _nobody(clusters: Mapping[str, str]) -> None:
    """Nobody remembers what the hub has refused."""


class StatusUpdate(NamedTuple):
    """A status to be written: `fold` makes it of the clusters' `lines`.

    `previous` is the status before; `stored` is what the hub stores, where that is not `previous`. `refused` is called
    with the clusters whose remoteStatus the hub refuses, each with the reason.
    """

    previous: Status
    lines: Sequence[ClusterStatus]
    fold: Fold
    stored: Status | None = None
    refused: Callable[[Mapping[str, str]], None] = _nobody


async def write(send: Callable[[bytes], Awaitable[Metadata | Failure]], update: StatusUpdate) -> Status | Failure:
    """The status that the hub stores afterwards, `update.previous` itself when there was nothing to write.

    `send` sends a merge patch of the status.
    """
    lines = update.lines
    stored = update.previous if update.stored is None else update.stored
    while True:
        status = update.fold(lines)
        body = summary.patch(stored, status)
        if body is None:
            return status
        answer = await send(body)
        if not isinstance(answer, Failure):
            return status
        refused = summary.refused_statuses(lines, status, answer)
        if not refused:
            return answer
        update.refused(refused)
        lines = [
            summary.without_remote_status(line, refused[line.name]) if line.name in refused else line for line in lines
        ]


class StatusWriter:
    """Writes statuses; what the hub refuses is reported by events, logs and metrics. `changed` is Sync.changed."""

    def __init__(
        self, hub: HubPort, events: EventRecorder, changed: Callable[[Key], None], now: Callable[[], str]
    ) -> None:
        self._refusals = Refusals()
        self._hub = hub
        self._events = events
        self._changed = changed
        self._now = now

    async def write(
        self, key: Key, state: TypeState, federated: FederatedObject, track: Track, update: StatusUpdate
    ) -> Status | None:
        """Write the status where it differs; what the hub stores then, None when the object is gone.

        Raises ApiFailure when the hub refuses it.
        """

        async def send(body: bytes) -> Metadata | Failure:
            answer = await self._hub.set_status(state.type.federated, federated.where, body)
            if not isinstance(answer, Failure):
                track.written_version = answer.resource_version
            return answer

        track.writing = True
        try:
            status = await write(send, update)
        finally:
            track.writing = False
        if isinstance(status, Failure):
            if status.kind is FailureKind.NOT_FOUND:
                return None
            if self._refusals.record(key, "status", status):
                self._events.status_refused(key, federated, f"the host refuses the status: {status.message}")
            raise ApiFailure(status, f"status of {state.type.federated.kind} {federated.where}")
        self._refusals.accepted(key, "status")
        current = state.objects.get(federated.where)
        if current is not None and current is not federated and take_in(state, track, current):
            self._changed(key)  # somebody else wrote while we did
        before, track.status = track.status, status
        if status is not before:
            self._events.status_changed(key, federated, before, status)
        return status

    async def finalizer_refused(
        self, key: Key, state: TypeState, federated: FederatedObject, failure: Failure, *, present: bool
    ) -> None:
        """The hub refuses to add our finalizer (`present`) or to take it off: report that in the status."""
        track = state.tracks[federated.where]
        if not self._refusals.record(key, "finalizer", failure):
            return
        status = _without_finalizer(track, federated, state.type, failure, present=present, now=self._now())
        if status is not track.status:
            update = StatusUpdate(track.status, status.clusters, lambda _: status)
            await self.write(key, state, federated, track, update)

    def finalizer_accepted(self, key: Key) -> None:
        """The hub accepted a change of our finalizer."""
        self._refusals.accepted(key, "finalizer")

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._refusals.accepted(key, "finalizer")
        self._refusals.accepted(key, "status")


def altered(track: Track, item: FederatedObject) -> bool:
    """Whether somebody else may have written the status that `item` shows; the event of our own write is recognised.

    False while a write of ours is under way: it asks again afterwards.
    """
    meta = item.metadata
    if track.writing or track.uid != meta.uid:
        return False
    if meta.resource_version == track.written_version:
        track.written_hash = status_hash(item)
        return False
    return _newer(meta.resource_version, track.written_version) and status_hash(item) != track.written_hash


def take_in(state: TypeState, track: Track, item: FederatedObject) -> bool:
    """Whether somebody else may have written the status of an object of the store (`altered`).

    The bytes of one that is ours are not kept: the track has it, and only a hash is compared. In an outage, with a
    message for each cluster, they may be a quarter of a megabyte for each object.
    """
    if altered(track, item):
        return True
    if track.uid == item.metadata.uid and status_hash(item) == track.written_hash:
        state.objects.put(item.where, without_status(item))
    return False


def follow(state: TypeState, track: Track, item: FederatedObject) -> FederatedObject:
    """Take over the status that another controller has written (see shards); the object without its bytes."""
    if altered(track, item):
        track.status = summary.parse(item.status)
        track.written_version, track.written_hash = item.metadata.resource_version, status_hash(item)
        item = without_status(item)
        state.objects.put(item.where, item)
    return item


def wait(track: Track, now: float) -> float:
    """Seconds until the status may be written once more only because somebody else wrote over it."""
    return max(0.0, track.overwritten.not_before - now)


def record_overwrite(track: Track, item: FederatedObject, kind: str) -> None:
    """A status that somebody else had written over was written again: count that, and make the next pause longer."""
    before, now = track.overwritten, time.monotonic()
    count = 1 if now - before.not_before > _FORGOTTEN else before.times + 1
    pause = min(REWRITE[0] * 2 ** min(count - 1, 16), REWRITE[1])
    track.overwritten = Overwritten(count, now + pause)
    emit = log.warning if count >= _OFTEN else log.info
    emit("status written over by somebody", kind=kind, object=str(item.where), times=count, next_in_s=round(pause))


def _without_finalizer(
    track: Track, federated: FederatedObject, enabled: FederatedType, failure: Failure, *, present: bool, now: str
) -> Status:
    """The status of an object whose finalizer the hub refuses to add (`present`), or to take off."""
    meta, before = federated.metadata, track.status
    applied = before.observed_generation
    lines = [
        msgspec.structs.replace(line, generation=applied)
        if not line.status and not line.generation and applied > 0
        else line
        for line in sharing.owned(before.clusters)
    ]
    what = (
        "our finalizer, without which nothing is pushed" if present else "to let our finalizer go, though all is done"
    )
    mend = ""
    if failure.kind is FailureKind.RIGHT_MISSING:
        mend = f"; fedctl enable {enabled.name} grants the right"
    elif failure.kind in {FailureKind.DENIED, FailureKind.INVALID}:
        mend = f"; whoever owns that policy must let the controller change metadata.finalizers ({marks.SYNC_FINALIZER})"
    return summary.fold(
        before,
        generation=meta.generation,
        reason=Reason.FINALIZER_REFUSED,
        message=f"the host refuses {what}: {failure.message}{mend}",
        clusters=lines,
        selected=frozenset(line.name for line in lines),
        wellbeing=wellbeing.unchanged(before),
        now=now,
    )


def folding(  # noqa: PLR0917 - facts of one report
    previous: Status,
    plan: Plan,
    stalled: frozenset[str],
    now: str,
    deletions: Held | None = None,
    statuses: Wellbeing = NOT_COLLECTED,
) -> Fold:
    """How a plan's lines become a status; `deletions` are those that are held, `statuses` what the members' say."""

    def fold(clusters: Sequence[ClusterStatus]) -> Status:
        return summary.fold(
            previous,
            generation=plan.generation,
            reason=plan.reason,
            message=plan.message,
            clusters=clusters,
            selected=plan.selected,
            unjoined=plan.unjoined,
            stalled=stalled,
            nowhere=plan.nowhere,
            ready_reason=plan.ready_reason,
            deleting=plan.deleting,
            held=plan.held,
            deletions=deletions,
            wellbeing=statuses,
            now=now,
        )

    return fold


def _newer(one: str, other: str) -> bool:
    if one.isdecimal() and other.isdecimal():
        return int(one) > int(other)
    return one != other
