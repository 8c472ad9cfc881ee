"""Parse a text into its documents, in linear time whatever the text is.

A text that begins like JSON is read as JSON, else as YAML. A duplicate key is an error, which is stricter than kubectl;
so is a tag without an equivalent in JSON.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

from typegen.kubeyaml.events import Reading
from typegen.kubeyaml.model import LIMITS, Document, Limits, Place, Unreadable

__all__ = ["LIMITS", "Document", "Limits", "Place", "Unreadable", "documents", "is_indented_by_tab", "value"]


def value(text: str, limits: Limits = LIMITS) -> Any:
    """The only document of a text, None when it is empty. Raises Unreadable."""
    found = list(documents(text, limits))
    if len(found) > 1:
        raise Unreadable("more than one document", found[1].place.line)
    return found[0].value if found else None


def documents(text: str, limits: Limits = LIMITS, *, places: bool = False) -> Iterator[Document]:
    """The documents of a text; `places` keeps the lines of everything in them. Raises Unreadable."""
    if len(text) > limits.size:
        raise Unreadable(f"{len(text)} characters, at most {limits.size} are read")
    text = text.removeprefix("\ufeff")
    if not text.lstrip().startswith("{"):
        yield from Reading(text, limits, places).documents()
        return
    try:
        parsed = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
    except RecursionError:
        raise Unreadable(f"nested more than {limits.depth} levels deep") from None
    except Unreadable:
        raise
    except ValueError:
        # Flow-style YAML, or several JSON documents: the YAML parser reads both, or reports the line of the error.
        yield from Reading(text, limits, places).documents()
        return
    _check(parsed, limits)
    yield Document(parsed, _json_place(text, limits) if places else Place(1))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a field is given twice")  # the YAML parser finds the line
    return result


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Unreadable(f"{text[:40]} is not a number in JSON")
    return number


def _constant(_: str) -> Any:
    raise ValueError("not JSON")


def _check(found: Any, limits: Limits) -> None:
    level, nodes = [found], 1
    for _ in range(limits.depth):
        nodes += sum(len(each) for each in level)
        if nodes > limits.nodes:
            raise Unreadable(f"more than {limits.nodes} values")
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
    if level:
        raise Unreadable(f"nested more than {limits.depth} levels deep")


def _json_place(text: str, limits: Limits) -> Place:
    """The lines of a JSON document's parts, by the YAML parser; only line 1 if the text is not YAML as well."""
    try:
        return next(Reading(text, limits, True).documents()).place
    except Unreadable:
        return Place(1)


def is_indented_by_tab(text: str, line: int) -> bool:
    """Whether that line (from 1) is indented with a tab, a common reason for the parser's errors."""
    lines = text.splitlines()
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    return "\t" in shown[: len(shown) - len(shown.lstrip())]
