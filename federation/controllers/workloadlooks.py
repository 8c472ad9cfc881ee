"""Look at the workloads that preferences have put into members: how many replicas are ready, and which have no node.

A workload is read when its watch shows another one than was read last, and while not all of its replicas are ready
every few seconds, less often the longer that lasts. Pods are asked for only then, and only those without a node. Nobody
waits for an answer: the preference is decided anew when it comes.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, NamedTuple

from federation.controllers import workstatuses
from federation.controllers.ports import JoinedPort, Whole
from federation.controllers.world import TypeState, World
from federation.core import managedfields, selectors
from federation.model.errors import Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.observations import Observed, ObservedWork
from federation.model.preferences import Shown
from federation.model.resources import ObjectName
from federation.runtime.tasks import Tasks

SOON, LATE = 3.0, 20.0
"""Seconds between two looks at a workload that is not ready: at first, and at most."""
SLOWER = 1.5
AT_ONCE = 16
"""Workloads that are read at once, of all preferences together."""


class _Seen(NamedTuple):
    """What the workload of this uid and version showed, when it was read (monotonic), and how long that is good for."""

    uid: str
    version: int
    at: float
    good: float
    shown: Shown | None


class WorkloadLooks:
    """What members show. `answered` is called with the preference that an answer is for."""

    def __init__(self, world: World, answered: Callable[[ObjectName], None]) -> None:
        self._world = world
        self._answered = answered
        self._seen: dict[ObjectName, dict[str, _Seen]] = {}
        self._reading: set[tuple[ObjectName, str]] = set()
        self._limit = asyncio.Semaphore(AT_ONCE)
        self.tasks = Tasks()

    def shown(self, where: ObjectName, state: TypeState, cluster: str, observed: Observed) -> Shown | None:
        """What a cluster showed last; None when that is not known. A look that is due is begun."""
        seen = self._seen.setdefault(where, {}).get(cluster)
        if seen is not None and seen.uid != observed.uid:
            seen = None
        if isinstance(observed, ObservedWork):
            return _reported(where, state, cluster, observed)
        member = self._world.members.get(cluster)
        if member is None or member.port is None:
            return seen.shown if seen is not None else None
        current = seen is not None and seen.version >= observed.version
        due = seen is None or not current or time.monotonic() - seen.at >= seen.good
        if due and (where, cluster) not in self._reading:
            self._reading.add((where, cluster))
            self.tasks.spawn(self._read(where, state, cluster, member.port, observed), f"look:{cluster}:{where}")
        return seen.shown if seen is not None else None

    def due(self, where: ObjectName, clusters: Set[str]) -> float | None:
        """In how many seconds a look at one of these is due by time alone; None: only when something changes."""
        known = self._seen.get(where, {})
        waits = [
            known[name].at + known[name].good - time.monotonic()
            for name in clusters & known.keys()
            if (where, name) not in self._reading
        ]
        soonest = min(waits, default=float("inf"))
        return max(0.0, soonest) if soonest < float("inf") else None

    def keep(self, where: ObjectName, clusters: set[str]) -> None:
        """Forget what other clusters showed."""
        seen = self._seen.get(where, {})
        for cluster in seen.keys() - clusters:
            del seen[cluster]

    def forget(self, where: ObjectName) -> None:
        """There is no preference of this name any more."""
        self._seen.pop(where, None)

    async def _read(
        self, where: ObjectName, state: TypeState, cluster: str, port: JoinedPort, observed: Observed
    ) -> None:
        try:
            async with self._limit:
                before = self._seen.get(where, {}).get(cluster)
                found = await port.read_whole(state.target_in(cluster), where)
                if isinstance(found, Failure):
                    # What it showed before may be wrong now, and nothing follows from a guess.
                    seen = _Seen(observed.uid, observed.version, time.monotonic(), _longer(before), None)
                else:
                    seen = await _look(found, where, cluster, port, before)
            if where in self._seen:
                self._seen[where][cluster] = seen
        finally:
            self._reading.discard((where, cluster))
        self._answered(where)


def _reported(where: ObjectName, state: TypeState, cluster: str, work: ObservedWork) -> Shown | None:
    """What the agent of a cluster in pull mode has reported; None where that is not known. Of pods it says nothing."""
    found = workstatuses.seen(state, where, work)
    if found is None:
        return None
    shown = _shown(found.item)
    if shown.ready >= shown.replicas:
        return shown
    return replace(shown, problem=f"in {cluster} it is not known whether pods find a node: it is in pull mode")


async def _look(found: Whole, where: ObjectName, cluster: str, port: JoinedPort, before: _Seen | None) -> _Seen:
    shown = _shown(found.content)
    if shown.ready < shown.replicas:
        stuck = await _unschedulable(port, where, found.content)
        shown = _with(shown, stuck, cluster)
    version = managedfields.version(found.metadata)
    same = before is not None and before.shown == shown
    good = float("inf") if shown.rests else _longer(before) if same else SOON
    return _Seen(found.metadata.uid, version, time.monotonic(), good, shown)


def _longer(before: _Seen | None) -> float:
    return SOON if before is None or before.good == float("inf") else min(LATE, before.good * SLOWER)


async def _unschedulable(port: JoinedPort, where: ObjectName, content: Mapping[str, Any]) -> Sequence[float] | Failure:
    selector = (content.get("spec") or {}).get("selector") or {}
    try:
        selectors.check(selector)
    except Invalid as error:
        return Failure(FailureKind.UNEXPECTED, f"its selector is not understood: {error}")
    return await port.unschedulable(where.namespace, selectors.query(selector))


def _with(shown: Shown, stuck: Sequence[float] | Failure, cluster: str) -> Shown:
    if isinstance(stuck, Failure):
        why = f"in {cluster} it is not known whether pods find a node: {stuck.message}"
        return Shown(shown.replicas, shown.ready, shown.existing, problem=why)
    return Shown(shown.replicas, shown.ready, shown.existing, tuple(sorted(stuck)))


def _shown(content: Mapping[str, Any]) -> Shown:
    """Of a Deployment or a ReplicaSet: what its spec asks for, and what its controllers say of it."""
    spec, status = content.get("spec") or {}, content.get("status") or {}
    told = "observedGeneration" in status
    current = _number(status, "observedGeneration") >= _number(content.get("metadata") or {}, "generation")
    return Shown(
        replicas=_number(spec, "replicas", 1),
        ready=_number(status, "readyReplicas") if current or not told else 0,
        existing=_number(status, "replicas") if current and told else None,
    )


def _number(body: Mapping[str, Any], name: str, default: int = 0) -> int:
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default
