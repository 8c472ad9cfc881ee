"""JSON paths as `kubectl wait --for=jsonpath` takes them: members, indices, and entries of a list chosen by a field.

`.status.phase`, `{.status.conditions[?(@.type=="Ready")].status}`, `.status.addresses[0].value`, `.status['a.b']`. One
path leads to one value: of several entries that fit, the first counts.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from federation.model.errors import Invalid
from federation.model.statusrules import Path, Step

LONGEST = 256
"""Characters."""
_STEP = re.compile(
    r"\.(?P<name>[A-Za-z_][\w-]*)"
    r"|\[(?P<quote>['\"])(?P<quoted>[^'\"\[\]]{1,253})(?P=quote)\]"
    r"|\[(?P<index>\d{1,4})\]"
    r"|\[\?\(\s*@(?P<field>(?:\.[A-Za-z_][\w-]*){1,5})\s*==\s*(?P<mark>['\"])(?P<text>[^'\"]{0,253})(?P=mark)\s*\)\]"
)
_PLAIN = re.compile(r"[A-Za-z_][\w-]*")
_HINT = 'is not a JSON path such as .status.phase or .status.conditions[?(@.type=="Ready")].status'


def parse(text: str, field: str) -> Path:
    """The path; `field` is where it was written. Raises Invalid."""
    if len(text) > LONGEST:
        raise Invalid(field, f"is longer than {LONGEST} characters")
    body = text.strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1].strip()
    body = body.removeprefix("$")
    steps: list[Step] = []
    end = 0
    while end < len(body):
        found = _STEP.match(body, end)
        if found is None:
            raise Invalid(field, _HINT)
        steps.append(_step(found))
        end = found.end()
    if not steps:
        raise Invalid(field, _HINT)
    return Path(text, tuple(steps))


def written(path: Path) -> str:
    """The path in one form, as agents take it: `.status.phase`, however it was written."""
    return "".join(_written(step) for step in path.steps)


def _written(step: Step) -> str:
    match step:
        case str():
            return f".{step}" if _PLAIN.fullmatch(step) else f"['{step}']"
        case int():
            return f"[{step}]"
        case (fields, wanted):
            return f'[?(@.{".".join(fields)}=="{wanted}")]'


def value(path: Path, item: Any) -> Any:
    """What the path leads to; None where nothing is."""
    for step in path.steps:
        item = _next(step, item)
        if item is None:
            return None
    return item


def put(path: Path, item: dict[str, Any], found: Any) -> None:
    """Make the path of an object lead to this value. What is there already, and leads elsewhere, stays."""
    place: Any = item
    for step, following in zip(path.steps, path.steps[1:], strict=False):
        nested = _next(step, place)
        if nested is None:
            nested = {} if isinstance(following, str) else []
            _place(step, place, nested)
        place = nested if isinstance(nested, dict | list) else None
    if place is not None and _next(path.steps[-1], place) is None:
        _place(path.steps[-1], place, found)


def _place(step: Step, place: Any, found: Any) -> None:
    match step, place:
        case str(), dict():
            place[step] = found
        case int(), list():
            place.extend({} for _ in range(step + 1 - len(place)))
            place[step] = found
        case (fields, wanted), list():
            if isinstance(found, dict):
                put(Path("", tuple(fields)), found, wanted)
            place.append(found)


def text(found: object) -> str:
    """A value as kubectl compares it."""
    if isinstance(found, bool):
        return "true" if found else "false"
    return found if isinstance(found, str) else str(found)


def _step(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        return int(found["index"])
    if found["field"] is not None:
        return tuple(found["field"][1:].split(".")), found["text"]
    return found["name"] or found["quoted"]


def _next(step: Step, item: Any) -> Any:
    match step:
        case str():
            return item.get(step) if isinstance(item, Mapping) else None
        case int():
            return item[step] if _is_list(item) and step < len(item) else None
        case (fields, wanted):
            return next((each for each in item if _has(each, fields, wanted)), None) if _is_list(item) else None


def _has(item: Any, fields: Sequence[str], wanted: str) -> bool:
    for name in fields:
        item = item.get(name) if isinstance(item, Mapping) else None
    return item is not None and text(item) == wanted


def _is_list(item: Any) -> bool:
    return isinstance(item, Sequence) and not isinstance(item, str)
