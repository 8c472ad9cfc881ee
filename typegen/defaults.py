"""Defaults that were removed from a template's schema, and what is known about their fields."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from typegen.cel import EITHER, ITEM, VALUE, Steps, identifier

TYPED_FORMATS = frozenset({"byte", "date", "date-time", "datetime", "duration"})
"""Formats of text for which CEL has another type than string."""


@dataclass(frozen=True, slots=True)
class Default:
    """A removed default, and the type of its field; `items` is the type of a list's entries.

    `nullable`: an explicit null stays null in the target. For CEL's `has` it is absent, so in a template it cannot be
    distinguished from a field that was left out, and gets the default in the target.
    """

    value: Any
    type: str = ""
    format: str = ""
    items: str = ""
    nullable: bool = False

    @property
    def literal(self) -> str:
        """The default as a CEL literal; "" when it is not simple enough for one."""
        if self.type == "array" and isinstance(self.value, list):
            entries = [literal(entry, self.items) for entry in self.value]
            return f"[{', '.join(entries)}]" if all(entries) else ""
        return "" if self.format in TYPED_FORMATS else literal(self.value, self.type)

    @property
    def size(self) -> str:
        """The result of CEL's `size` for it, "" where there is none."""
        return str(len(self.value)) if isinstance(self.value, list | dict | str) else ""


def literal(value: Any, kind: str) -> str:
    """`value`, of a field of that type, as a CEL literal; "" when it is not simple."""
    match kind, value:
        case "boolean", bool():
            return "true" if value else "false"
        case "string", str():
            return json.dumps(value, ensure_ascii=False)
        case "integer", int() if not isinstance(value, bool):
            return str(value)
        case "number", int() | float() if not isinstance(value, bool):
            return repr(float(value))
    return ""


Stripped = Mapping[Steps, Default]


class Context:
    """What is known about the fields below a node, by their names in CEL."""

    def __init__(self, node: Mapping[str, Any], stripped: Stripped) -> None:
        self.stripped = stripped
        self.node = node
        self._below: dict[Steps, frozenset[str]] = {}
        self._optional: frozenset[str] | None = None

    def at(self, steps: Steps) -> Default | None:
        """The removed default of the field at `steps`, a path through properties and map keys; None for none."""
        found = self.stripped.get(steps)
        if found is not None or not self.stripped:
            return found
        return next((gone for known, gone in self.stripped.items() if _fits(known, steps)), None)

    def below(self, steps: Steps) -> frozenset[str]:
        """The first steps from there to fields whose default was removed: names, ITEM, VALUE; empty for none."""
        found = self._below.get(steps)
        if found is None:
            size = len(steps)
            longer = (known for known in self.stripped if len(known) > size)
            found = frozenset(known[size] for known in longer if _fits(known[:size], steps))
            self._below[steps] = found
        return found

    def named(self, name: str) -> list[Default]:
        """The removed defaults of all fields of that name, for when it is read from a variable."""
        return [gone for steps, gone in self.stripped.items() if steps[-1] == name]

    def may_be_absent(self, name: str) -> bool:
        """Whether there is a field of that name that is not required and had no default."""
        if self._optional is None:
            self._optional = frozenset(identifier(each) for each in _optional(self.node))
        return name in self._optional


def _fits(known: Steps, steps: Steps) -> bool:
    return len(known) == len(steps) and all(
        one == other or (one == VALUE and other != ITEM) or (one == ITEM and other == EITHER)
        for one, other in zip(known, steps, strict=True)
    )


def _optional(node: Any) -> Iterator[str]:
    if not isinstance(node, Mapping):
        return
    required = node.get("required") or ()
    children: Iterable[tuple[str, Any]] = (node.get("properties") or {}).items()
    for name, child in children:
        if name not in required and "default" not in child:
            yield name
        yield from _optional(child)
    yield from _optional(node.get("items"))
    yield from _optional(node.get("additionalProperties"))
