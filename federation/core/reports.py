"""What a shard reports of one federated object in its clusters, for the coordinating shard to fold; pure.

A report is everything that the shard has to say of the object, so that a newer one replaces it and an old one harms
nobody. It is there until the object's stored status says the same: that is how the coordinating shard acknowledges it.
One that is `deleted` is the confirmation that is needed before an object may go: no cluster that the shard serves has a
copy, or will get one. It is for this deletion alone, so that one from a backup confirms nothing.
"""

from collections.abc import Container, Iterator, Sequence

import msgspec

from federation.core import budget, fingerprints, sharing
from federation.core.holds import Held
from federation.model.conditions import DeletionsHeldReason
from federation.model.resources import Key, ObjectName
from federation.model.status import ClusterStatus, Status

PREFIX = "object-"
"""Of the keys in a ConfigMap of reports; the object's uid follows."""
DELETIONS = "deletions"
"""The key for what a shard holds of deletions."""
NUMBER = "shards"
"""The key for how many shards there were when it was written."""


class Report(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One object in the clusters of one shard; `generation` is that of the plan."""

    type: str
    namespace: str
    name: str
    generation: int
    lines: tuple[ClusterStatus, ...] = ()
    stalled: tuple[str, ...] = ()
    held_reason: str = ""
    held_message: str = ""
    held: tuple[str, ...] = ()
    deleted: str = ""
    """The deletionTimestamp, where the shard confirms that nothing is left of the object in its clusters."""
    fleet: str = ""
    """Which clusters these were (shards.fleet)."""

    @property
    def key(self) -> Key:
        """The object's."""
        return Key(self.type, self.namespace, self.name)

    @property
    def where(self) -> ObjectName:
        """The object's name."""
        return ObjectName(self.namespace, self.name)

    @property
    def deletions(self) -> Held | None:
        """What of the object is not removed."""
        if self.held_reason not in set(DeletionsHeldReason):
            return None
        return Held(DeletionsHeldReason(self.held_reason), self.held_message, self.held)


_DECODER = msgspec.json.Decoder(Report)


def encode(report: Report) -> str:
    """As it is stored: within the budget of a status, what many lines have in common written once."""
    lines = budget.fit(sharing.share(report.lines)).lines
    return msgspec.json.encode(msgspec.structs.replace(report, lines=tuple(lines))).decode()


def decode(text: str) -> Report | None:
    """What is stored, each line complete; None where it cannot be read, which is as if there were none."""
    if not text:
        return None
    try:
        report = _DECODER.decode(text)
    except msgspec.MsgspecError:
        return None
    return msgspec.structs.replace(report, lines=tuple(_complete(report.lines, report.generation)))


def explicit(line: ClusterStatus, generation: int) -> ClusterStatus:
    """The line with the generation that was applied, also where that is the object's."""
    return line if line.generation else msgspec.structs.replace(line, generation=generation)


def stored(status: Status) -> dict[str, ClusterStatus]:
    """The lines of a stored status by cluster, each complete."""
    return {line.name: line for line in _complete(status.clusters, status.observed_generation)}


def _complete(lines: Sequence[ClusterStatus], generation: int) -> Iterator[ClusterStatus]:
    """Stored lines, each with its own fingerprint, message and generation."""
    named = budget.by_name(lines)
    for line in sharing.owned(lines):
        message = budget.message_of(named, line.name) if line.message else ""
        yield explicit(msgspec.structs.replace(line, message=message) if message != line.message else line, generation)


def acknowledged(status: Status, generation: int, lines: Sequence[ClusterStatus], mine: Container[str]) -> bool:
    """Whether the stored status says the same of these lines, and has no other line of a cluster that is `mine`.

    Where a shard has nothing to say of an object, and nothing is said, no generation needs to be named.
    """
    said = {name: line for name, line in stored(status).items() if name in mine}
    if not lines and not said:
        return True
    if status.observed_generation != generation or len(said) != len(lines):
        return False
    return all(
        (before := said.get(line.name)) is not None and _same(explicit(line, generation), before) for line in lines
    )


def _same(line: ClusterStatus, before: ClusterStatus) -> bool:
    if (line.status, line.generation) != (before.status, before.generation):
        return False
    if before.message not in {budget.cut(line.message, cap) for cap in budget.CAPS}:  # as much of it as had room
        return False
    return line.fingerprint == before.fingerprint or _within(line.fingerprint, before.fingerprint)


def _within(text: str, before: str) -> bool:
    """Whether a fingerprint is one of those that a stored one stands for."""
    one, other = fingerprints.parse(text), fingerprints.parse(before)
    if one is None or other is None or one[:2] != other[:2]:
        return False
    if one.time is None or other.time is None:
        return True
    return other.time <= one.time and one.time + one.spread <= other.time + other.spread
