"""Report that copies have left members, or were released there: log line, metric, and event unless their user deleted
them.

Whoever misses an object finds here why it went, where, and by whose change. `executing` reports each copy when its
member has accepted the removal. One line names the clusters where the same happened within DELAY: a line for each copy
was a tenth of the controller's CPU while objects were deleted in 100 clusters.
"""

import asyncio
from typing import NamedTuple

import structlog

from federation.controllers.learning import Turn
from federation.controllers.outcomes import Outcome
from federation.controllers.ports import EventRecorder
from federation.model.plan import Delete, Release, RemovalCause, RemovalReason
from federation.model.resources import Key
from federation.runtime import metrics

DELAY = 0.5
"""Seconds after which a removal is logged, at most."""
MOST = 200
"""Clusters in one line; it is written at once when it has so many."""

log = structlog.get_logger()


class _Removal(NamedTuple):
    """What clusters have in common that share a line."""

    key: Key
    how: str
    why: RemovalReason


class Removals:
    """The removals of all types and clusters."""

    def __init__(self, events: EventRecorder) -> None:
        self._events = events
        self._waiting: dict[_Removal, list[str]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def report(self, turn: Turn, outcome: Outcome) -> None:
        """One removal that a member has accepted; not reported where nothing was, or where another hub's object
        stays.
        """
        action, key, cluster = turn.action, turn.key, turn.cluster
        if not outcome.removed or not isinstance(action, Delete | Release):
            return
        left = turn.track.leaving.get(cluster)
        if (isinstance(action, Release) and action.keep_label) or (left is not None and left.uid == action.uid):
            return  # sent again, because no event has confirmed the first
        why = action.reason if action.reason is not None else RemovalReason()
        removal = _Removal(key, outcome.removed, why)
        clusters = self._waiting.setdefault(removal, [])
        clusters.append(cluster)
        if len(clusters) >= MOST:
            self._write(removal, self._waiting.pop(removal))
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DELAY, self.flush)
        if why.cause is not RemovalCause.DELETION or why.unexpected:
            reason = "; ".join(filter(None, (why.change, why.kept)))
            self._events.removed(key, cluster, f"{outcome.removed}: {reason}")

    def flush(self) -> None:
        """Write the lines that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        for removal, clusters in waiting.items():
            self._write(removal, clusters)

    def _write(self, removal: _Removal, clusters: list[str]) -> None:
        key, how, why = removal
        metrics.REMOVALS.labels(key.type, how, why.cause.value).inc(len(clusters))
        facts = {"why": why.cause.value, "change": why.change, "kept": why.kept}
        known = {name: fact for name, fact in facts.items() if fact}
        log.info("copy removed", key=str(key), clusters=sorted(clusters), how=how, **known)
