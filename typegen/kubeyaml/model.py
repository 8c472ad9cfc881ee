"""Data types for reading a text: limits, documents with the lines of their parts, and the error."""

from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a text: characters; scalars, lists and maps in a document; levels of lists and maps; and nodes and
    characters with all aliases written out.

    kubectl stops at 10,000 levels and, roughly, at 400,000 aliased nodes. No object that an API server accepts comes
    near to these limits.
    """

    size: int = 256 * 1024 * 1024
    nodes: int = 2**31
    depth: int = 200
    aliased_nodes: int = 100_000
    aliased_text: int = 8 * 1024 * 1024


LIMITS: Final = Limits()


class Unreadable(ValueError):
    """The text is not YAML or JSON that Kubernetes accepts; `line` and `column` count from 1, 0 if unknown."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


@dataclass(slots=True)
class Place:
    """The line of a field or an item, and the places of its parts: by name, by index, or None for a scalar."""

    line: int
    inner: "dict[str, Place] | list[Place] | None" = None

    def find(self, *path: str | int) -> "Place":
        """The place at this path, or the nearest one around it."""
        found = self
        for step in path:
            below: Any = found.inner
            known = step in below if isinstance(below, dict) else isinstance(below, list) and step in range(len(below))
            if not known:
                break
            found = below[step]
        return found


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value as in JSON, and the place of each part if requested."""

    value: Any
    place: Place = field(repr=False)
