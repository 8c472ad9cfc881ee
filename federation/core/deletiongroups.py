"""What deletions that follow from one change are: a Group, and how many it would delete; used by `deletions`. Pure."""

import enum
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from federation.core import times
from federation.model.federated import DatedMetadata, Metadata
from federation.model.marks import NAMESPACE_TYPE
from federation.model.resources import Key

YOUNG = 600.0
"""Seconds after its creation in which a Namespace of the hub is one that somebody tries something in, or a test's."""
ASTRAY = 60.0
"""Seconds that another clock may be behind the hub's."""

Part = tuple[str, str]
"""What is counted apart: (type, "") or ("", namespace)."""


class Kind(enum.StrEnum):
    """What a group of deletions follows from."""

    LABELS = "ClusterLabels"
    """The labels of one KubeFedCluster."""
    NAMESPACE = "FederatedNamespace"
    """The spec of one FederatedNamespace, or that it is gone."""
    EDITS = "Placements"
    """Specs of federated objects that were changed within one window."""
    BY_NAME = "DeletedByName"
    """Federated objects that were deleted within one window."""
    HUB_NAMESPACE = "NamespaceDeleted"
    """A Namespace that is being deleted at the hub, with the federated objects in it."""
    RETURNED = "Returned"
    """Copies that were deleted before, and are back within one window: their cluster was restored."""
    DEBT = "LeftBehind"
    """Copies that could not be removed before their cluster was taken out, and that are back with it."""

    @property
    def burst(self) -> bool:
        """Whether what comes within one window is one group."""
        return self in _BURSTS

    @property
    def by_name(self) -> bool:
        """Whether a person has named the objects: they are counted, not their copies."""
        return self in _BY_NAME


_BURSTS = {Kind.EDITS, Kind.BY_NAME, Kind.RETURNED}
_BY_NAME = {Kind.BY_NAME, Kind.HUB_NAMESPACE}


class Change(NamedTuple):
    """Which change it is: of what (`subject`: a cluster, a namespace), and which one of those that came after another
    (`version`). Both are "" of a burst, but for deletions by name in a young namespace: it is their `version`."""

    kind: Kind
    subject: str = ""
    version: str = ""

    @property
    def young(self) -> bool:
        """Whether it is counted for its namespace alone."""
        return self.kind is Kind.BY_NAME and bool(self.version)

    def parts(self, key: Key) -> "tuple[Part, ...]":
        """What an object that is deleted because of it is counted for."""
        return (("", self.version),) if self.young else parts(key)


class Wish(NamedTuple):
    """A copy is to be deleted because of a change. `inside`: it is a Namespace, and so many of our own copies of each
    type are in it."""

    change: Change
    inside: Mapping[str, int] | None = None


class State(enum.StrEnum):
    """How a group stands."""

    COUNTING = "Counting"
    LOOKING = "Looking"
    """Whether its Namespaces have objects of others in them is being asked."""
    HELD = "Held"
    APPROVED = "Approved"
    REJECTED = "Rejected"

    @property
    def told(self) -> bool:
        """Whether people are told of it."""
        return self in _TOLD


_TOLD = {State.HELD, State.APPROVED, State.REJECTED}


class Place(NamedTuple):
    """A namespace in a cluster."""

    cluster: str
    namespace: str


@dataclass(slots=True)
class Group:
    """Deletions that follow from one change. `first` and `last`: when they were wanted (monotonic seconds).

    `waiting` have not gone, `going` may go and are still to be seen gone. `inside` are the Namespaces that wait, with
    what of ours is in each; `seen_empty` are those that were seen to have nothing of others in them. `expires`: an
    earlier controller held it, and until then it is kept though nothing of it has been wanted (`joined`). `patient`: it
    is decided on only when this process knows all that there is. `recorded`: people can look it up, so that objects may
    name it.
    """

    id: str
    change: Change
    first: float
    last: float
    state: State = State.COUNTING
    why: str = ""
    expires: float = 0.0
    joined: bool = False
    patient: bool = False
    recorded: bool = False
    waiting: set[tuple[Key, str]] = field(default_factory=set)
    going: set[tuple[Key, str]] = field(default_factory=set)
    inside: dict[Place, Mapping[str, int]] = field(default_factory=dict)
    seen_empty: set[Place] = field(default_factory=set)
    wanted: Counter[Part] = field(default_factory=Counter)
    """How many it would delete, with what is in its Namespaces."""
    _places: Counter[tuple[Place, str]] = field(default_factory=Counter)

    @property
    def keys(self) -> Set[Key]:
        """The objects that it concerns."""
        return {key for key, _ in self.waiting} | {key for key, _ in self.going}

    def add(self, key: Key, cluster: str, inside: Mapping[str, int] | None) -> None:
        """A copy is to be deleted."""
        place, self.joined = Place(cluster, key.namespace), True
        if self.inside:
            self._expect(place, -1)
        self.waiting.add((key, cluster))
        self._count(key, place, 1)
        if inside is not None:
            self.inside[place] = inside
        if self.inside:
            self._expect(place, 1)

    def remove(self, key: Key, cluster: str) -> None:
        """It is not to be, or it may go."""
        if (key, cluster) not in self.waiting:
            return
        place = Place(cluster, key.namespace)
        if self.inside:
            self._expect(place, -1)
        self.waiting.discard((key, cluster))
        self._count(key, place, -1)
        if key.type == NAMESPACE_TYPE:
            self.inside.pop(place, None)
            self.seen_empty.discard(place)
        if self.inside:
            self._expect(place, 1)

    def unseen(self) -> list[Place]:
        """The Namespaces that were not looked into."""
        return [place for place in self.inside if place not in self.seen_empty]

    def _count(self, key: Key, place: Place, number: int) -> None:
        for part in self.change.parts(key):
            self.wanted[part] += number
        self._places[place, key.type] += number

    def _expect(self, place: Place, sign: int) -> None:
        """Count, or count no more, what is in a Namespace and is not wanted by itself yet."""
        for name, number in self.inside.get(place, {}).items():
            more = sign * max(0, number - self._places[place, name])
            self.wanted[name, ""] += more
            self.wanted["", place.namespace] += more


def parts(key: Key) -> tuple[Part, ...]:
    """What an object is counted for."""
    return ((key.type, ""), ("", key.namespace)) if key.namespace else ((key.type, ""),)


def brief(namespace: Metadata | None, deleted: str | None) -> bool:
    """Whether a Namespace of the hub was young at the time at which it, or what is in it, was deleted.

    Both times are the hub's own; where one is of another clock, that may be no more than ASTRAY behind: a clock that is
    wrong must not make everything young.
    """
    created = times.moment(namespace.creation_timestamp) if isinstance(namespace, DatedMetadata) else None
    ended = times.moment(deleted)
    return created is not None and ended is not None and -ASTRAY <= (ended - created).total_seconds() < YOUNG


def before(namespace: Metadata | None, applied_at: int) -> bool:
    """Whether a copy was there before a Namespace of the hub was: we have changed nothing in it since (seconds of the
    epoch, by the member's clock; 0: never)."""
    created = times.moment(namespace.creation_timestamp) if isinstance(namespace, DatedMetadata) else None
    return created is not None and applied_at < created.timestamp() - ASTRAY
