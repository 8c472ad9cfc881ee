"""Which shard a cluster belongs to, and how the number of shards changes; pure.

A cluster belongs to a shard by rendezvous hashing: each shard has a rank for each name, and the highest wins. So one
shard more takes its part from all others, and no cluster moves between those. A label on the KubeFedCluster has the
same done by its value, so that clusters of one value stay together; where it is the number of a shard, that shard has
them. Who serves a cluster is on record on its KubeFedCluster, by an annotation that only the holder of that shard
writes: another shard takes the cluster when the one before has let it go.
"""

import enum
import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from federation.model import marks

MOST = 16
"""Shards, at most: each has watches of its own at the hub, and rights by name (templates/host/rbac.yaml)."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `number` shards, counted from 0. Shard 0 coordinates: what has one owner for all clusters is its."""

    index: int
    number: int

    @property
    def coordinates(self) -> bool:
        """Whether it writes what has one writer: finalizers, conditions, the status of types."""
        return self.index == 0

    def __str__(self) -> str:
        return f"{self.index}/{self.number}"


class Standing(enum.Enum):
    """What one shard has to do with a cluster."""

    SERVES = "serves"
    TAKES = "takes"
    """It is to serve it, and nobody does: that is put on record first."""
    LETS_GO = "lets go"
    """It serves it, and another one is to."""
    FOREIGN = "foreign"


def wanted(name: str, labels: Mapping[str, str], number: int) -> int:
    """The shard that is to serve a cluster."""
    label = labels.get(marks.SHARD_LABEL, "")
    if label.isdecimal() and int(label) < number:
        return int(label)
    return ranked(f"={label}" if label else name, number)


@functools.lru_cache(maxsize=1 << 15)
def ranked(name: str, number: int) -> int:
    """The shard that ranks highest for a name."""
    return max(range(number), key=lambda index: (_rank(index, name), index))


def _rank(index: int, name: str) -> bytes:
    return hashlib.blake2b(f"{index}/{name}".encode(), digest_size=8).digest()


def owner(name: str, labels: Mapping[str, str], annotations: Mapping[str, str], number: int) -> int:
    """The shard that answers for a cluster now: the one on record, else the one that is to serve it."""
    recorded = _recorded(annotations, number)
    return wanted(name, labels, number) if recorded is None else recorded


def standing(name: str, labels: Mapping[str, str], annotations: Mapping[str, str], shard: Shard) -> Standing:
    """What `shard` has to do with a cluster. A record of another number of shards counts for nothing."""
    recorded, mine = _recorded(annotations, shard.number), wanted(name, labels, shard.number) == shard.index
    if recorded is None:
        return Standing.TAKES if mine else Standing.FOREIGN
    if recorded != shard.index:
        return Standing.FOREIGN
    return Standing.SERVES if mine else Standing.LETS_GO


def _recorded(annotations: Mapping[str, str], number: int) -> int | None:
    index, _, of = annotations.get(marks.SERVED_ANNOTATION, "").partition("/")
    if of != str(number) or not index.isdecimal() or int(index) >= number:
        return None
    return int(index)


def fleet(names: Iterable[str], number: int) -> str:
    """A digest of the clusters that a shard serves: two that name the same ones have the same."""
    text = "\n".join([str(number), *sorted(names)])
    return hashlib.blake2b(text.encode(), digest_size=9).hexdigest()


# --- how many there are -------------------------------------------------------------------------------------------


class Numbers(NamedTuple):
    """What the first Lease says: the number of shards, and the one before while processes of that may be there."""

    now: int = 1
    before: int = 1

    @property
    def text(self) -> str:
        """As it is written into the Lease's annotation; "" for one shard, which writes none."""
        if self.now != self.before:
            return f"{self.now}/{self.before}"
        return "" if self.now == 1 else str(self.now)


def numbers(text: str) -> Numbers:
    """What an annotation says; what has no meaning counts as the most that there may be."""
    if not text:
        return Numbers()
    now, _, before = text.partition("/")
    found = [int(each) if each.isdecimal() and 1 <= int(each) <= MOST else MOST for each in (now, before or now)]
    return Numbers(*found)


def claimed(found: Numbers, number: int) -> Numbers:
    """What who takes the first Lease writes: with another number than is there, that may have to be waited for."""
    if found == Numbers(number, number):
        return found
    return Numbers(number, max(found))


# --- who holds how many -------------------------------------------------------------------------------------------


class Replica(NamedTuple):
    """One process that takes part: how many shards it holds."""

    name: str
    held: int


def may_take(mine: Replica, others: Iterable[Replica]) -> bool:
    """Whether a free shard is this process's to take at once: nobody else that lives has fewer."""
    return all(mine.held <= other.held for other in others)


def gives_way(mine: Replica, others: Iterable[Replica]) -> bool:
    """Whether this process gives one of its shards away: another one has at least two fewer, and nobody has more."""
    found = list(others)
    fewest = min((other.held for other in found), default=mine.held)
    if mine.held - fewest < 2:
        return False
    most = max(found, key=lambda other: (other.held, other.name))
    return (mine.held, mine.name) > (most.held, most.name)
