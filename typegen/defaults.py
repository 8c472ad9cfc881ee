"""Defaults that were taken away from a template, and what is known of the fields that had them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from typegen.cel import EITHER, ITEM, VALUE, Steps

TYPED_FORMATS = frozenset({"byte", "date", "date-time", "datetime", "duration"})
"""Formats of texts that CEL has a type of its own for."""

_CEL_WORDS = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    }
)


@dataclass(frozen=True, slots=True)
class Default:
    """A default that was taken away, and the type of its field; `items` is the type of a list's entries."""

    value: Any
    type: str = ""
    format: str = ""
    items: str = ""

    @property
    def literal(self) -> str:
        """The default as CEL writes it; "" when it is not plain enough to be written into a rule."""
        if self.type == "array" and isinstance(self.value, list):
            entries = [literal(entry, self.items) for entry in self.value]
            return f"[{', '.join(entries)}]" if all(entries) else ""
        return "" if self.format in TYPED_FORMATS else literal(self.value, self.type)

    @property
    def size(self) -> str:
        """What `size` says of it, "" for what has none."""
        return str(len(self.value)) if isinstance(self.value, list | dict | str) else ""


def literal(value: Any, kind: str) -> str:
    """`value`, of a field of that type, as CEL writes it; "" when it is not plain."""
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
    """What is known about the fields below a node, under the names that CEL gives them."""

    def __init__(self, node: Mapping[str, Any], stripped: Stripped) -> None:
        self.stripped = stripped
        self.node = node
        self._optional: frozenset[str] | None = None

    def at(self, steps: Steps) -> Default | None:
        """The default taken from the field at `steps`, a path through properties and map keys."""
        found = self.stripped.get(steps)
        if found is not None or not self.stripped:
            return found
        return next((gone for known, gone in self.stripped.items() if _fits(known, steps)), None)

    def named(self, name: str) -> list[Default]:
        """The defaults taken from any field of that name: all that is known when it is read from a variable."""
        return [gone for steps, gone in self.stripped.items() if steps[-1] == name]

    def may_be_absent(self, name: str) -> bool:
        """Whether some field of that name is neither required nor had a default."""
        if self._optional is None:
            self._optional = frozenset(identifier(each) for each in _optional(self.node))
        return name in self._optional


def _fits(known: Steps, steps: Steps) -> bool:
    return len(known) == len(steps) and all(
        one in (VALUE, other) or (other == EITHER and one == ITEM) for one, other in zip(known, steps, strict=True)
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


def identifier(name: str) -> str:
    """A property's name as CEL in Kubernetes spells it (`x-y` is `x__dash__y`, `in` is `__in__`)."""
    if name in (ITEM, VALUE):
        return name
    if name in _CEL_WORDS:
        return f"__{name}__"
    for plain, escaped in (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        name = name.replace(plain, escaped)
    return name
