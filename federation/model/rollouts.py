"""A staged rollout: what its FederatedRollout asks for, and the record of how far it is, as the hub stores it.

A revision is the content of every object of the set at one time: template, overrides and retainReplicas, not the
placement. `Record` is the status of a FederatedRollout: what a cluster gets follows from it and from nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

NONE = 0
"""In place of a revision's number: there is none."""


class Verdict(StrEnum):
    """What became of a revision."""

    RUNNING = "Running"
    GOOD = "Good"
    """It passed every stage: what `undo` goes back to."""
    SUPERSEDED = "Superseded"
    """Another came before it had passed every stage."""
    REJECTED = "Rejected"


class Entry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One object of a revision: its type, name and uid, the digest of its content, and the generation that had it."""

    type: str
    name: str
    uid: str = ""
    content: str = ""
    generation: int = 0

    @property
    def what(self) -> tuple[str, str, str]:
        """Which object it is."""
        return self.type, self.name, self.uid


class Revision(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The contents of all objects at one time; `since` is when it was recorded, RFC 3339."""

    number: int
    verdict: Verdict
    since: str = ""
    objects: tuple[Entry, ...] = ()

    def entry(self, what: tuple[str, str, str]) -> Entry | None:
        """Its entry of an object."""
        return next((each for each in self.objects if each.what == what), None)


class Released(msgspec.Struct, frozen=True, rename="camel"):
    """A cluster that has another revision than the good one."""

    name: str
    revision: int


class Record(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How far a rollout is. `good` is the revision of every cluster that `released` does not name; 0: there is none.

    `target` is the revision under way, 0 where none is. `stage` is the name of the stage that it is in, `begun` when
    that stage was released, `healthy_since` since when all that is released is healthy, `approved` whether a person has
    let the run go on from this stage. `lost` is when the record before was found to be lost, until the run has ended
    (core.lostrecords). Times are RFC 3339, "" where it has not come to that.
    """

    revisions: tuple[Revision, ...] = ()
    good: int = NONE
    target: int = NONE
    released: tuple[Released, ...] = ()
    stage: str = ""
    begun: str = ""
    healthy_since: str = ""
    approved: bool = False
    lost: str = ""

    @property
    def newest(self) -> int:
        """The number of the newest revision."""
        return max((each.number for each in self.revisions), default=NONE)

    @property
    def holds(self) -> Mapping[str, int]:
        """The revision of each cluster that has another than the good one."""
        return {each.name: each.revision for each in self.released}

    def revision(self, number: int) -> Revision | None:
        """A revision by its number; None when it is not known any more, or never was."""
        return next((each for each in self.revisions if each.number == number), None)


class Amount(NamedTuple):
    """How many of the clusters that a stage selects it takes: a number, or a share in per cent."""

    number: int
    share: bool = False

    def of(self, clusters: int) -> int:
        """Of so many clusters: rounded up, at least one."""
        return max(1, -(-clusters * self.number // 100)) if self.share else self.number


@dataclass(frozen=True, slots=True)
class Window:
    """When a stage may be released: on these days (0 is Monday), from a minute of the day for so many; in UTC."""

    days: frozenset[int]
    start: int
    minutes: int


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: which clusters, how many of them, and what has to be true before the next one is released.

    `names` wins over `selector`. `amount` None takes all. `soak` are seconds that everything has to be healthy.
    `tolerate` clusters may be unhealthy meanwhile. `gates` are CEL expressions, by the type that they are about.
    """

    name: str
    names: tuple[str, ...] | None = None
    selector: Mapping[str, Any] | None = None
    amount: Amount | None = None
    soak: float = 0.0
    tolerate: int = 0
    approval: bool = False
    windows: tuple[Window, ...] = ()
    gates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: the stages, what the objects are to contain (`objects`), and what people have requested.

    `approved` is the revision and stage that somebody let go on, `undone` the revision that is to be taken back.
    `history` is how many revisions are kept that no cluster has.
    """

    stages: tuple[Stage, ...] = ()
    objects: tuple[Entry, ...] = ()
    paused: bool = False
    approved: tuple[int, str] = (NONE, "")
    undone: int = NONE
    history: int = 10


@dataclass(frozen=True, slots=True)
class Place:
    """A joined cluster where an object of the set is placed.

    `ready`: it answers. `cordoned`: nothing is written there. `unhealthy` is why what it has of its revision is not
    well, "" where it is. `older`: it has, or may have, a copy of an object that is not known to be the object's present
    content. `copies`: it has a copy of every object of the set that is placed there. `has` are the contents of these,
    as far as they are known: of interest only while there is no record.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = True
    unhealthy: str = ""
    older: bool = False
    copies: bool = False
    has: tuple[Entry, ...] = ()
    cordoned: bool = False
