"""What every member should have, as data, and how it differs from what is observed. Pure.

A World names every object of the demo in every member; no other objects may be there. `scenario` derives each World
from the one before.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from e2e.demo.observe import Where

Fields = Mapping[str, Any]
"""JSON pointers, each with the expected value."""
World = Mapping[Where, Fields]


@dataclass(frozen=True, slots=True)
class Difference:
    """One object in one member that is not as it should be."""

    where: Where
    expected: str
    seen: str

    def __str__(self) -> str:
        return f"{self.where[0]} in {self.where[1]}: expected {self.expected}; seen {self.seen}"


def holding(name: str, clusters: Iterable[str], fields: Fields | None = None) -> dict[Where, Fields]:
    """An object in these members, with these fields."""
    return {(name, cluster): fields or {} for cluster in clusters}


def without(world: World, name: str, clusters: Collection[str]) -> dict[Where, Fields]:
    """The world with an object gone from these members."""
    return {where: fields for where, fields in world.items() if where[0] != name or where[1] not in clusters}


def differences(expected: World, seen: Mapping[Where, Mapping[str, Any]], silent: Collection[str]) -> list[Difference]:
    """Everything that is not as it should be; members that are meant to be down are left out."""
    found = []
    for where in sorted({*expected, *seen}):
        if where[1] in silent:
            continue
        wanted, item = expected.get(where), seen.get(where)
        if wanted is None:
            found.append(Difference(where, "nothing", "an object"))
        elif item is None:
            found.append(Difference(where, "an object" + _with(where, wanted), "nothing"))
        elif item["metadata"].get("deletionTimestamp"):
            found.append(Difference(where, "an object" + _with(where, wanted), "one that is being deleted"))
        else:
            for pointer, value in wanted.items():
                actual = read(item, pointer)
                if actual != value:
                    found.append(Difference(where, f"{pointer} = {_shown(where, value)}", _shown(where, actual)))
    return found


def read(item: Any, pointer: str) -> Any:
    """The value at a JSON pointer (without escapes); None when there is none."""
    for step in pointer.strip("/").split("/"):
        if isinstance(item, list):
            item = item[int(step)] if int(step) < len(item) else None
        elif isinstance(item, Mapping):
            item = item.get(step)
        else:
            return None
    return item


def _with(where: Where, fields: Fields) -> str:
    listed = ", ".join(f"{pointer} = {_shown(where, value)}" for pointer, value in fields.items())
    return f" with {listed}" if listed else ""


def _shown(where: Where, value: Any) -> str:
    """A value as the demo may print it: for a Secret only whether there is one."""
    return repr(value) if value is None or not where[0].startswith("Secret ") else "(not shown)"
