"""How members' statuses are collected, and the rule of a type whose statuses only its author can read."""

from dataclasses import dataclass

Step = str | int | tuple[tuple[str, ...], str]
"""One step of a JSON path: a member, an index, or the entry of a list in which the field at this path has this text."""


@dataclass(frozen=True, slots=True)
class Path:
    """A JSON path (core.jsonpath): its text as it was written, and its steps."""

    text: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a healthy object has at a path: one of these texts, or, where there are none, something."""

    path: Path
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusRule:
    """`spec.health` of a FederatedTypeConfig: an object is well when all that is said here is so."""

    healthy: tuple[Expectation, ...] = ()
    desired: Path | None = None
    ready: Path | None = None
    updated: Path | None = None


@dataclass(frozen=True, slots=True)
class StatusCollection:
    """Statuses are collected. `raw`: each is reported as it is, too (feature gate RawResourceStatusCollection)."""

    raw: bool = False
    rule: StatusRule | None = None
