"""What is remembered of members' statuses, for types with status collection: per member and type, and per object."""

import functools

import msgspec

from federation.core import remotestatus
from federation.model.observations import Collected
from federation.model.resources import ObjectName

_STRUCT = 160
"""Bytes of a Collected beside its status, and of its places in two dicts."""


class Statuses:
    """What one member's copies of one type report of themselves. Until `synced` an absent name means nothing."""

    __slots__ = ("items", "size", "synced")

    def __init__(self) -> None:
        self.items: dict[ObjectName, Collected] = {}
        self.size = 0
        """Bytes of memory, roughly."""
        self.synced = False

    def put(self, name: ObjectName, found: Collected) -> bool:
        """Remember it; whether it says something new."""
        before = self.items.get(name)
        if before is not None and remotestatus.says_the_same(before, found):
            # Its status is kept once, here and where it was reported.
            if before.version != found.version:
                self.items[name] = msgspec.structs.replace(before, version=found.version)
            return False
        self.size += size(found) - (size(before) if before is not None else 0)
        self.items[name] = found
        return True

    def drop(self, name: ObjectName) -> bool:
        """The object is gone; whether it was known."""
        before = self.items.pop(name, None)
        if before is None:
            return False
        self.size -= size(before)
        return True


class Taken(msgspec.Struct, gc=False):
    """What of the members' statuses is in one object's status, and since when there is news that is not.

    `found` is None until they were taken in for the first time. `unknown` are clusters whose statuses were not known
    then. `since` and `last` are when the first and the last news came that was not taken in, in monotonic seconds;
    `since` is None where there is none. `incomplete`: there is, and statuses that are about to come are waited for.
    `refused` has, for each cluster whose status the hub refuses, that status and the reason.
    """

    found: dict[str, Collected] | None = None
    unknown: frozenset[str] = frozenset()
    since: float | None = None
    last: float = 0.0
    incomplete: bool = False
    refused: dict[str, tuple[msgspec.Raw, str]] = {}

    def note(self, now: float) -> None:
        """There is news."""
        self.since = now if self.since is None else self.since
        self.last = now

    def forget(self, cluster: str) -> None:
        """The cluster has left: another may join by its name."""
        if self.found is not None:
            self.found.pop(cluster, None)
        self.unknown -= {cluster}
        self.refused = {name: each for name, each in self.refused.items() if name != cluster}


def size(found: Collected) -> int:
    """Bytes of memory that it takes, roughly."""
    return _STRUCT + (memoryview(found.raw).nbytes if found.raw is not None else 0) + len(found.unhealthy)


@functools.lru_cache(maxsize=4096)
def ready_text(ready: int, desired: int) -> str:
    """How much is ready, as a line of the status has it; one text in memory for all that have the same."""
    return f"{ready}/{desired}"
