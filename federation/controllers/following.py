"""The watches of one member, one per enabled type: which are open, and what their failures mean.

Owned by `member`. A watch belongs to one TypeState: a type that was switched off and on again is another, and nothing
that was begun for the one before may stand in its place. So `align` compares what is followed with the types that are
enabled now, and closes and opens without a pause in between: no order of changes and probes leaves a type out.
"""

import functools
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from federation.controllers.collecting import StatusSink
from federation.controllers.copies import Copies
from federation.controllers.fanout import Fanout, Wake
from federation.controllers.membertriggers import CopiesSink
from federation.controllers.ports import Gate, Watch
from federation.controllers.world import TypeState, World
from federation.core import health
from federation.model.conditions import ClusterConditionType, PropagationStatus, SyncedReason
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Wait
from federation.model.statusrules import StatusCollection
from federation.runtime import metrics
from federation.runtime.tasks import Tasks

WATCH_SILENCE = 90.0
"""Seconds without an answer after which a watch that cannot be opened is its type's trouble; when no watch of a cluster
gets an answer, that counts against its health."""
_EXPLAINED = {
    FailureKind.RIGHT_MISSING: PropagationStatus.RETRIEVAL_FAILED,
    FailureKind.TYPE_MISSING: PropagationStatus.VERSION_UNAVAILABLE,
    FailureKind.TOO_MUCH: PropagationStatus.CACHED_RETRIEVAL_FAILED,
}


class Retry(Protocol):
    """Retries.cluster."""

    def __call__(self, cluster: str, type_name: str = "", *, upgraded: bool = False) -> None:
        """Try again now what waits for the cluster; `upgraded`: what it refused may pass now."""


class Owner(Protocol):
    """The member."""

    @property
    def verified_gate(self) -> Gate | None:
        """The Gate to it; None while there is none, or while it is not known which cluster answers."""

    def missing(self, type_name: str) -> None:
        """A type is not served, or its definition has changed."""

    def watch_changed(self, type_name: str, *, hint: bool) -> None:
        """The watch of a type fails, or works again; `hint`: perhaps in another version."""

    def listed(self) -> None:
        """Every type that is followed has been listed, or cannot be."""

    def went_back(self, evidence: str) -> None:
        """It has shown something that is older than what it had shown before."""


@dataclass(frozen=True, slots=True)
class _Followed:
    """The watch of one type in a member; it lives as long as `state` is that type, and its statuses are collected in
    the same way."""

    state: TypeState
    collection: StatusCollection | None
    watch: Watch
    tasks: Tasks


class Following:
    """The watches of one member. All that changes which there are is done without awaiting anything."""

    def __init__(self, name: str, world: World, owner: Owner, *, wake: Wake, fanout: Fanout, retry: Retry) -> None:
        self._name = name
        self._world = world
        self._owner = owner
        self._wake = wake
        self._fanout = fanout
        self._retry = retry
        self._followed: dict[str, _Followed] = {}
        self._ending: set[Tasks] = set()
        self.changes = 0
        """How often a watch was begun, ended, failed or answered again: what `with_synced` shows depends on these."""
        self._failing: dict[str, float] = {}
        """Since when the watch of a type has had a failure (monotonic seconds)."""
        metrics.WATCHES_WAITING.labels(name).set_function(lambda: len(self._failing))

    def align(self) -> None:
        """Follow exactly the types that are enabled now, once the member's identity is known."""
        for name, followed in list(self._followed.items()):
            state = followed.state
            if self._world.types.get(name) is not state or state.type.collection != followed.collection:
                self._end(name)
        gate = self._owner.verified_gate
        for state in self._world.types.values() if gate is not None else ():
            if gate is not None and state.type.name not in self._followed:
                self._begin(gate, state)

    def reassess(self, moved: Iterable[str]) -> None:
        """The member answers: watch the `moved` types in another version, and assess the other types' failures anew."""
        for name in moved:
            self._end(name)
        self.align()
        for followed in list(self._followed.values()):
            if followed.watch.failure is not None:
                self._assess(followed.state, followed.watch)

    def kick(self) -> None:
        """End the waits of all watches: something changed that may help."""
        for followed in self._followed.values():
            followed.watch.kick()

    def renew(self, type_name: str = "") -> None:
        """List one type again (default: all): what was observed may be of a store that is no more."""
        for name, followed in self._followed.items():
            if type_name in {"", name}:
                followed.watch.renew()

    def silent(self, now: float) -> list[str]:
        """All types, when no watch has had an answer for long (the member's trouble, not a type's); else none."""
        watches = [followed.watch for followed in self._followed.values()]
        unanswered = all(_silent(watch, now) and not (watch.failure and watch.failure.code) for watch in watches)
        return sorted(self._followed) if unanswered else []

    def with_synced(self, conditions: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
        """The conditions with Synced as it is now; `now` is in seconds of the epoch."""
        return _with_synced(conditions, {name: followed.watch for name, followed in self._followed.items()}, now)

    async def unfollow(self, type_name: str) -> None:
        """Stop watching a type."""
        self._end(type_name)
        await self.ended()

    async def forget(self) -> None:
        """This is not the cluster that was joined: end every watch and drop what was observed."""
        for name, followed in list(self._followed.items()):
            self._end(name)
            followed.state.copies.pop(self._name, None)
        await self.ended()

    async def close(self) -> None:
        """End every watch; what was observed is kept."""
        for name in list(self._followed):
            self._end(name)
        await self.ended()

    async def ended(self) -> None:
        """Wait until the watches that were closed have ended."""
        for tasks in list(self._ending):
            await tasks.cancel()
            self._ending.discard(tasks)

    def _begin(self, gate: Gate, state: TypeState) -> None:
        name = state.type.name
        copies = state.copies.setdefault(self._name, Copies())
        beside = functools.partial(self._world.remembered, self._name, without=name)
        manager = gate.writer.manager
        sink = CopiesSink(self._name, manager, state, copies, wake=self._wake, fanout=self._fanout, beside=beside)

        restored = 0

        def on_change(watch: Watch) -> None:
            nonlocal restored
            self.changes += 1
            if watch.restored > restored:
                restored = watch.restored
                self._owner.went_back(f"the versions of its {name}")
            if watch.failure is not None and watch.failure.kind is FailureKind.TYPE_MISSING:
                self._owner.missing(name)  # another version may be served: the next probe finds out
            else:
                self._assess(state, watch)
            if all(each.watch.synced or each.watch.failure is not None for each in self._followed.values()):
                self._owner.listed()

        enabled = replace(state.type, target=state.target_in(self._name))
        wanted = enabled.collection
        ended = functools.partial(self._owner.missing, name)
        watch: Watch
        if wanted is None:
            copies.statuses = None
            watch = gate.watch(enabled, sink, on_change, ended)
        else:
            statuses = StatusSink(self._name, self._world, state, copies, sink)
            watch = gate.watch_whole(enabled, wanted, statuses, on_change, ended)
        tasks = Tasks()
        tasks.keep(watch.run, f"watch:{self._name}:{name}")
        self._followed[name] = _Followed(state, wanted, watch, tasks)
        self.changes += 1

    def _end(self, type_name: str) -> None:
        followed = self._followed.pop(type_name, None)
        self._failing.pop(type_name, None)
        if followed is not None:
            self.changes += 1
            followed.tasks.stop()
            self._ending.add(followed.tasks)

    def _assess(self, state: TypeState, watch: Watch) -> None:
        """What a watch's failure, or its end, means for every object of the type."""
        now = since = time.monotonic()
        if watch.failure is None:
            self._failing.pop(state.type.name, None)
        else:
            since = self._failing.setdefault(state.type.name, now)
        waiting = _unobservable(watch, now, now - since)
        copies = state.copies.get(self._name)
        before = copies.unobservable if copies is not None else None
        if copies is None or waiting == before:
            return
        copies.unobservable = waiting
        if waiting is None:
            self._retry(self._name, state.type.name)
        self._fanout.copies(self._name, "" if state.type.is_namespace else state.type.name)
        self._owner.watch_changed(
            state.type.name, hint=before is not None and before.status is PropagationStatus.VERSION_UNAVAILABLE
        )


def _failure(watch: Watch) -> Failure | None:
    """Why a watch cannot be open; None when that is our own lateness, which is no evidence about the member."""
    return watch.failure if watch.failure is not None and not watch.failure.late else None


def _unobservable(watch: Watch, now: float, lasts: float) -> Wait | None:
    """What keeps a type's objects from being seen. What passes by itself is trouble only when it has lasted: when
    nothing came from the server for long, or its answers cannot be used and that `lasts` (seconds)."""
    failure = _failure(watch)
    if failure is None:
        return None
    status = _EXPLAINED.get(failure.kind)
    if status is not None:
        return Wait(status, failure.message)
    if _silent(watch, now) or (failure.kind is FailureKind.UNEXPECTED and lasts > WATCH_SILENCE):
        return Wait(
            PropagationStatus.CACHED_RETRIEVAL_FAILED, f"the cluster answers, but not its watch: {failure.message}"
        )
    return None


def _silent(watch: Watch, now: float) -> bool:
    failure = _failure(watch)
    return failure is not None and failure.kind not in _EXPLAINED and now - watch.contact > WATCH_SILENCE


def _synced_condition(watches: Mapping[str, Watch]) -> tuple[str, str, str]:
    """status, reason and message of Synced: which types cannot be watched, and why."""
    found = ((name, _failure(watch)) for name, watch in sorted(watches.items()))
    failing = {name: failure for name, failure in found if failure is not None}
    if not failing:
        waiting = sorted(name for name, watch in watches.items() if not watch.synced)
        if waiting:
            return "Unknown", SyncedReason.LISTING, f"first list under way: {', '.join(waiting[:5])}"
        return "True", SyncedReason.FOLLOWING, ""
    messages = [f"{name}: {failure.message}" for name, failure in failing.items()]
    kinds = {failure.kind for failure in failing.values()}
    reason = SyncedReason.RIGHT_MISSING if FailureKind.RIGHT_MISSING in kinds else SyncedReason.WATCH_FAILED
    return (
        "False",
        reason,
        "; ".join(messages[:3]) + (f"; and {len(messages) - 3} more types" if len(messages) > 3 else ""),
    )


def _with_synced(conditions: list[dict[str, Any]], watches: Mapping[str, Watch], now: float) -> list[dict[str, Any]]:
    status, reason, message = _synced_condition(watches)
    old = next((condition for condition in conditions if condition.get("type") == ClusterConditionType.SYNCED), None)
    if status == "Unknown" and (old is not None or not watches):
        return conditions  # a first list is soon over: not worth a write
    return health.with_condition(conditions, ClusterConditionType.SYNCED, (status, reason, message), now)
