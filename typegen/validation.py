"""Check a document against a structural schema, offline: the keywords a CRD may use, except CEL rules.

Used for federated YAML in git (`typegen diff --objects`) and for typegen.yaml. Follows the API server: unknown fields
are refused as under strict field validation, `null` stands for "not there" unless the field is nullable, patterns
are searched for, not matched in full. Formats and CEL rules are the server's to check.
"""

import difflib
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from typegen.model import Caution

Schema = Mapping[str, Any]
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_META = frozenset({"apiVersion", "kind", "metadata"})


def resource(schema: Schema, value: Any) -> Iterator[Caution]:
    """What a whole API object breaks: as `problems`, with metadata as every API object has it."""
    return problems({**schema, "x-kubernetes-embedded-resource": True}, value)


def problems(schema: Schema, value: Any, path: str = "") -> Iterator[Caution]:
    """What `value` breaks, by the place in it; nothing when it is valid. `schema` must be structural."""
    wrong = _wrong_type(schema, value)
    if wrong:
        yield Caution(path or ".", wrong)
        return
    yield from _own(schema, value, path or ".")
    if isinstance(value, dict):
        yield from _object(schema, value, path)
    elif isinstance(value, list):
        yield from _list(schema, value, path)
    yield from _combined(schema, value, path)


def _wrong_type(schema: Schema, value: Any) -> str:
    if value is None:
        return "" if schema.get("nullable") or not schema.get("type") else f"null, expected {schema['type']}"
    if schema.get("x-kubernetes-int-or-string"):
        fits = isinstance(value, int | str) and not isinstance(value, bool)
        return "" if fits else f"{_said(value)}, expected an integer or a string"
    wanted = schema.get("type")
    if wanted is None:
        return ""
    if isinstance(value, bool) and wanted != "boolean":
        return f"{_said(value)}, expected {wanted}"
    if isinstance(value, float) and wanted == "integer" and value.is_integer():
        return ""
    return "" if isinstance(value, _TYPES[wanted]) else f"{_said(value)}, expected {wanted}"


def _own(schema: Schema, value: Any, here: str) -> Iterator[Caution]:
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        yield Caution(here, f"{_said(value)} is none of {', '.join(map(str, allowed))}")
    if isinstance(value, str):
        yield from _sized(schema, len(value), here, "Length", "characters")
        pattern = schema.get("pattern")
        compiled = _pattern(pattern) if pattern else None
        if compiled and not compiled.search(value):
            yield Caution(here, f"{_said(value)} does not match {pattern}")
    elif isinstance(value, list):
        yield from _sized(schema, len(value), here, "Items", "items")
    elif isinstance(value, dict):
        yield from _sized(schema, len(value), here, "Properties", "fields")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(schema, value, here)


def _sized(schema: Schema, size: int, here: str, what: str, unit: str) -> Iterator[Caution]:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if least is not None and size < least:
        yield Caution(here, f"{size} {unit}, at least {least} are needed")
    if most is not None and size > most:
        yield Caution(here, f"{size} {unit}, at most {most} are allowed")


def _number(schema: Schema, value: float, here: str) -> Iterator[Caution]:
    least, most, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if least is not None and (value < least or (schema.get("exclusiveMinimum") and value == least)):
        yield Caution(here, f"{value} is below the minimum, {least}")
    if most is not None and (value > most or (schema.get("exclusiveMaximum") and value == most)):
        yield Caution(here, f"{value} is above the maximum, {most}")
    if step and value % step:
        yield Caution(here, f"{value} is no multiple of {step}")


def _object(schema: Schema, value: dict[str, Any], path: str) -> Iterator[Caution]:
    known: Mapping[str, Any] = schema.get("properties") or {}
    more = schema.get("additionalProperties")
    free = schema.get("x-kubernetes-preserve-unknown-fields") or more is True
    for name in schema.get("required") or ():
        if name not in value or (value[name] is None and not known.get(name, {}).get("nullable")):
            yield Caution(path or ".", f"{name} is missing")
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    for name in ("apiVersion", "kind") if embedded else ():
        if not value.get(name):
            yield Caution(path or ".", f"{name} is missing, as of an API object")
    for name, child in value.items():
        below = f"{path}.{name}" if path else str(name)
        if embedded and name == "metadata":
            if not isinstance(child, dict | None):
                yield Caution(below, f"{_said(child)}, expected object")
            elif child and child.get("name") is not None:
                yield from problems(_name(schema), child["name"], f"{below}.name")
        elif name in known:
            if child is not None:
                yield from problems(known[name], child, below)
        elif isinstance(more, Mapping):
            yield from problems(more, child, below)
        elif not free and not (embedded and name in _META) and _closed(schema):
            near = difflib.get_close_matches(str(name), known, n=1)
            yield Caution(below, f"unknown field{f', did you mean {near[0]}?' if near else ''}")


def _name(schema: Schema) -> Schema:
    """What an API object's schema says of metadata.name, the one part of metadata that it may restrict."""
    metadata = (schema.get("properties") or {}).get("metadata") or {}
    found: Schema = (metadata.get("properties") or {}).get("name") or {}
    return found


def _closed(schema: Schema) -> bool:
    """Whether the node says what an object may hold; the branches of oneOf and the like only add to that."""
    return schema.get("type") == "object"


def _list(schema: Schema, value: list[Any], path: str) -> Iterator[Caution]:
    items = schema.get("items")
    if isinstance(items, Mapping):
        for index, entry in enumerate(value):
            yield from problems(items, entry, f"{path}[{index}]")
    match schema.get("x-kubernetes-list-type"):
        case "set":
            keys = [repr(entry) for entry in value]
        case "map":
            names = schema.get("x-kubernetes-list-map-keys") or ()
            keys = [_key(entry, names, items) for entry in value if isinstance(entry, dict)]
        case _:
            return
    for index, key in enumerate(keys):
        if key in keys[:index]:
            yield Caution(f"{path}[{index}]", f"stands in the list for the second time: {key}")


def _key(entry: Mapping[str, Any], names: Any, items: Any) -> str:
    known = (items or {}).get("properties") or {}
    return ", ".join(f"{name}={entry.get(name, (known.get(name) or {}).get('default'))!r}" for name in names)


def _combined(schema: Schema, value: Any, path: str) -> Iterator[Caution]:
    here = path or "."
    for branch in schema.get("allOf") or ():
        yield from problems(branch, value, path)
    for name in ("anyOf", "oneOf"):
        branches = schema.get(name)
        if not branches:
            continue
        fitting = sum(not any(problems(branch, value, path)) for branch in branches)
        if fitting == 0 or (name == "oneOf" and fitting > 1):
            yield Caution(here, f"fits {fitting} of the {len(branches)} alternatives of {name}")
    if schema.get("not") is not None and not any(problems(schema["not"], value, path)):
        yield Caution(here, "has what the schema excludes (not)")


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str] | None:
    """Kubernetes speaks RE2; what Python cannot read is left to the server."""
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _said(value: Any) -> str:
    """A value as messages show it; long ones and whole structures only by their type."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
