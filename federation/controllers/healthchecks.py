"""Whether what a rollout has released is well in its clusters: by our own lines, and by the objects' own statuses.

An object in a member is read when its watch shows that it is another than the one that was read last, and while it is
not well every POLL seconds, too; in pull mode what its agent has reported is looked at. Nothing is read for a rollout
that is not under way. Nobody waits for an answer: the rollout is decided anew when it comes, and until then what was
not read yet is not well.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import NamedTuple

from federation.controllers import workstatuses
from federation.controllers.ports import MemberPort
from federation.controllers.tracks import Track
from federation.controllers.world import TypeState, World
from federation.core import expressions, managedfields, workloads
from federation.model.failures import Failure
from federation.model.observations import ObservedWork
from federation.model.plan import Keep, Refuse, Wait
from federation.model.resources import Key, ObjectName
from federation.runtime.tasks import Tasks

POLL = 30.0
"""Seconds after which an object that is not well is read again though nothing has shown a change of it."""
AT_ONCE = 16
"""Objects that are read at once, of all rollouts together."""
UNREAD = "its status has not been read yet"
UNREPORTED = "its agent has not reported its status yet"
BEYOND = (
    "in pull mode its gates cannot be checked: they are about more than object.status, or that is more than the 1024 "
    "bytes that an agent reports"
)
_ONLY_STATUS = re.compile(r"(?:(?!\bobject\b).|\bobject\.status\b)*", re.DOTALL)
"""Expressions that read nothing of an object but its status."""
_Source = MemberPort | ObservedWork


class _Seen(NamedTuple):
    """What an object of this resourceVersion showed by these expressions, and when it was read (monotonic seconds)."""

    version: int
    at: float
    unhealthy: str
    gates: tuple[str, ...] = ()


class HealthChecks:
    """Reads what is released. `answered` is called with the rollout that an answer is for."""

    def __init__(self, world: World, answered: Callable[[ObjectName], None]) -> None:
        self._world = world
        self._answered = answered
        self._seen: dict[ObjectName, dict[tuple[Key, str], _Seen]] = {}
        self._reading: set[tuple[Key, str]] = set()
        self._limit = asyncio.Semaphore(AT_ONCE)
        self.tasks = Tasks()

    def unhealthy(self, where: ObjectName, key: Key, cluster: str, gates: tuple[str, ...] = ()) -> str:
        """Why an object of the rollout is not well in a cluster; "" where it is. `gates` are expressions, too."""
        state = self._world.types.get(key.type)
        name = ObjectName(key.namespace, key.name)
        track = state.tracks.get(name) if state is not None else None
        if state is None or track is None:
            return "it is not planned yet"
        if unapplied := _unapplied(track, cluster):
            return f"{key.type} {key.name}: {unapplied}"
        if not gates and not workloads.is_known(state.type.target):
            return ""
        unwell = self._read_status(where, key, cluster, state, gates)
        return f"{key.type} {key.name}: {unwell}" if unwell else ""

    def forget(self, where: ObjectName) -> None:
        """The rollout is not under way any more."""
        self._seen.pop(where, None)

    def _read_status(self, where: ObjectName, key: Key, cluster: str, state: TypeState, gates: tuple[str, ...]) -> str:
        target = state.target_name(ObjectName(key.namespace, key.name))
        copies, member = state.copies.get(cluster), self._world.members.get(cluster)
        observed = copies.objects.get(target) if copies is not None else None
        source = observed if isinstance(observed, ObservedWork) else member.port if member is not None else None
        if observed is None or source is None:
            return UNREAD
        seen = self._seen.setdefault(where, {}).get((key, cluster))
        current = seen is not None and seen.version >= observed.version and seen.gates == gates
        if seen is not None and current and (not seen.unhealthy or time.monotonic() - seen.at < POLL):
            return seen.unhealthy
        if (key, cluster) not in self._reading:
            self._reading.add((key, cluster))
            self.tasks.spawn(
                self._read(where, key, cluster, source, observed.version, gates), f"health:{cluster}:{key}"
            )
        return seen.unhealthy or UNREAD if seen is not None else UNREAD

    async def _read(  # noqa: PLR0917 - private, called once
        self, where: ObjectName, key: Key, cluster: str, source: _Source, version: int, gates: tuple[str, ...]
    ) -> None:
        try:
            async with self._limit:
                seen = await self._look(key, cluster, source, version, gates)
            if seen is not None and where in self._seen:
                self._seen[where][key, cluster] = seen
        finally:
            self._reading.discard((key, cluster))
        self._answered(where)

    async def _look(
        self, key: Key, cluster: str, source: _Source, version: int, gates: tuple[str, ...]
    ) -> _Seen | None:
        state = self._world.types.get(key.type)
        if state is None:
            return None
        target = state.target_name(ObjectName(key.namespace, key.name))
        if isinstance(source, ObservedWork):
            return _Seen(version, time.monotonic(), await _reported(state, target, source, gates), gates)
        found = await source.read_whole(state.target_in(cluster), target)
        if isinstance(found, Failure):
            return _Seen(version, time.monotonic(), f"it cannot be read: {found.message}", gates)
        unwell = workloads.unhealthy(state.type.target, found.content)
        if gates and not unwell:
            unwell = await asyncio.to_thread(expressions.unmet, gates, found.content, found.size)
        shown = max(version, managedfields.version(found.metadata))
        return _Seen(shown, time.monotonic(), unwell, gates)


async def _reported(state: TypeState, target: ObjectName, work: ObservedWork, gates: tuple[str, ...]) -> str:
    """Why an object is not well, by what its agent has reported; "" where it is."""
    found = workstatuses.seen(state, target, work)
    if found is None:
        return UNREPORTED
    unwell = workloads.unhealthy(state.type.target, found.item)
    if unwell or not gates:
        return unwell
    if not found.whole or not all(_ONLY_STATUS.fullmatch(each) for each in gates):
        return BEYOND
    size = len(work.feedback.values) if work.feedback is not None else 0
    return await asyncio.to_thread(expressions.unmet, gates, found.item, size)


def _unapplied(track: Track, cluster: str) -> str:
    """Why a cluster does not have what is planned for it; "" where it does."""
    action, setback = track.actions.get(cluster), track.setbacks.get(cluster)
    if isinstance(action, Keep):
        return ""
    if setback is not None:
        return setback.status.value
    if isinstance(action, Wait | Refuse):
        return action.status.value
    return "it is being applied"
