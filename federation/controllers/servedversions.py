"""Which versions of the enabled types one member serves: read once, and again when something hints that it changed.

Owned by `member`, read by planning through Copies.served. A hint is a watch that the server ends before its time (it
ends those of a type a second after the type's definition changed), a type that is not found or found again, another
Kubernetes version. Servers say what they serve a moment after they serve it, so a hint is worth two readings. Hints
need no right in the member and no watch of its definitions.
"""

import time
from collections.abc import Callable

import structlog

from federation.controllers.copies import Copies
from federation.controllers.fanout import Fanout
from federation.controllers.ports import Gate
from federation.controllers.world import World
from federation.core import versions
from federation.model.failures import Failure

READINGS = 2
"""Readings per hint; the second comes with the next probe."""
MISSING_PERIOD = 30.0
"""Seconds between readings while an enabled type is missing: its definition may come in another version."""

log = structlog.get_logger()


class Discovery:
    """One member's side of version skew.

    `upgraded(name, type)` is called when a type's definition may have changed; type "" means any.
    """

    def __init__(self, name: str, world: World, fanout: Fanout, upgraded: Callable[[str, str], None]) -> None:
        self._name = name
        self._world = world
        self._fanout = fanout
        self._upgraded = upgraded
        self._readings = 1
        self._hinted: set[str] = set()
        self._read_at = 0.0

    def begin(self) -> None:
        """Another connection or another type: read once more."""
        self._readings = max(self._readings, 1)

    def hint(self, type_name: str = "") -> None:
        """Something changed about one type, or about the whole server ("")."""
        self._readings = READINGS
        self._hinted.add(type_name)

    async def look(self, gate: Gate) -> list[str]:
        """Read, if there is a reason to; the types whose version to watch is another one now."""
        if not self._due():
            return []
        due, self._readings = self._readings, max(0, self._readings - 1)  # what comes while we read asks for another
        # Where only types of the core group are enabled there is nothing to ask: it has one version.
        grouped = any(state.type.target.group for state in self._world.types.values())
        found = await gate.discover() if grouped else None
        if isinstance(found, Failure):
            log.debug("discovery not read", cluster=self._name, reason=found.message)
            self._readings = max(self._readings, due)
            return []  # the probe reports what is wrong; the reading is still due
        self._read_at = time.monotonic()
        moved = []
        for state in list(self._world.types.values()):
            target = state.type.target
            served = found.versions(target.group, target.plural) if found is not None else None
            copies = state.copies.setdefault(self._name, Copies())
            if served == copies.served:
                continue
            before, copies.served = copies.served, served
            if versions.followed(state.type, before) != versions.followed(state.type, served):
                moved.append(state.type.name)
            if before is not None or (served is not None and target.version not in served):
                log.info("versions served", cluster=self._name, type=state.type.name, served=served)
            if copies.objects.synced:  # else the first list will wake them
                self._fanout.copies(self._name, state.type.name)
        for type_name in self._hinted:
            self._upgraded(self._name, type_name)
        if not self._readings:
            self._hinted.clear()
        return moved

    def _due(self) -> bool:
        if self._readings:
            return True
        copies = (state.copies.get(self._name) for state in self._world.types.values())
        missing = any(each is not None and each.served == () for each in copies)
        return missing and time.monotonic() - self._read_at >= MISSING_PERIOD
