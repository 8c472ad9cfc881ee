"""What a plan says of one object in one cluster, and how equal ones are put together. Pure data."""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from federation.core import differences, scrubbing
from federation.model.resources import Key

LONGEST_VALUE = 200
"""Characters of a value, as JSON, that a plan shows."""


class Kind(enum.StrEnum):
    """What happens to one object."""

    CREATE = "create"
    CHANGE = "change"
    ADOPT = "adopt"
    """It is there without us, and becomes ours."""
    RECREATE = "recreate"
    """It is deleted and created anew, because the member refuses the change."""
    DELETE = "delete"
    RELEASE = "release"
    """It stays in the member, and is ours no more."""
    CLAIM = "claim"
    """Another hub has it; it is told that this one places it there, too."""
    REFUSE = "refuse"
    """It cannot be done, in the member's own words or by the object's own fault."""
    WAIT = "wait"
    """Nothing is done until something else happens."""
    UNKNOWN = "unknown"
    """The member does not answer, or does not let us ask."""


WRITES = frozenset({Kind.CREATE, Kind.CHANGE, Kind.ADOPT, Kind.RECREATE, Kind.DELETE, Kind.RELEASE, Kind.CLAIM})
"""Those that change a member."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field that changes. `before` and `after` are JSON, cut where they are long; None where there is no such field
    then, and both None where values are not shown (`hidden`)."""

    path: str
    before: str | None = None
    after: str | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one object in one cluster.

    `because` is what it follows from, where that is not the object's own content. `expected`: of an unknown one, what
    it would be by what the hub has on record; of one that waits for a rollout, what it will be. `pending`: it is under
    way already, without the change that is planned. `held`: why the controller lets it go only when a person says so.
    """

    kind: Kind
    fields: tuple[Field, ...] = ()
    message: str = ""
    because: str = ""
    expected: str = ""
    pending: bool = False
    held: str = ""


@dataclass(slots=True)
class Findings:
    """All changes: by object, and for each different one the clusters that have it. Memory is by what differs."""

    objects: dict[Key, dict[Change, list[str]]] = field(default_factory=dict)

    def add(self, key: Key, cluster: str, change: Change) -> None:
        """One more."""
        self.objects.setdefault(key, {}).setdefault(change, []).append(cluster)

    def hold(self, key: Key, why: Mapping[str, str]) -> None:
        """In these clusters the object's deletion is held."""
        groups = self.objects.get(key, {})
        for change, clusters in list(groups.items()):
            if Kind.DELETE not in {change.kind, change.expected}:
                continue
            del groups[change]
            for cluster in clusters:
                self.add(key, cluster, replace(change, held=why.get(cluster, "")))

    def __iter__(self) -> Iterator[tuple[Key, Change, list[str]]]:
        for key in sorted(self.objects):
            groups = self.objects[key]
            for change in sorted(groups, key=lambda each: (list(Kind).index(each.kind), min(groups[each]))):
                yield key, change, sorted(groups[change])

    def counts(self) -> dict[str, int]:
        """How often each kind of change is found that is not pending."""
        counted = dict.fromkeys((str(kind) for kind in Kind), 0)
        for _, change, clusters in self:
            if not change.pending:
                counted[change.kind] += len(clusters)
        return counted


def fields(before: Mapping[str, Any], after: Mapping[str, Any], *, values: bool) -> tuple[Field, ...]:
    """The fields at which two objects differ; with `values` what they are."""
    found = list(differences.changes(before, after))
    if values:
        return tuple(Field(scrubbing.line(path), shown(one), shown(other)) for path, one, other in found)
    paths = dict.fromkeys(scrubbing.field(path, secret=True) for path, _, _ in found)
    return tuple(Field(path, hidden=True) for path in paths)


def shown(value: Any) -> str | None:
    """A value as JSON on one line, cut where it is long; None for none."""
    if value is differences.ABSENT:
        return None
    text = orjson.dumps(value).decode()
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + scrubbing.MORE
