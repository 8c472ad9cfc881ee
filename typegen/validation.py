"""Check a document against a structural schema, offline: the keywords a CRD may use, except CEL rules.

Used for federated YAML in git (`typegen diff --objects`) and for typegen.yaml. Follows the API server: unknown fields
are refused as by strict field validation, `null` means "absent" unless the field is nullable, and a pattern may match a
part of the text. Formats and CEL rules are checked by servers only.
"""

import difflib
import functools
import math
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
_MOST_COMPARED = 1_000
"""Names that a misspelt one is compared with: more take seconds."""
_EPSILON = 1e-9
"""By how much a float that is said to be whole may be off: go-openapi's tolerance."""


def resource(schema: Schema, value: Any) -> Iterator[Caution]:
    """The problems of a whole API object: as `problems`, with the metadata that every API object has."""
    return problems({**schema, "x-kubernetes-embedded-resource": True}, value)


def problems(schema: Schema, value: Any, path: str = "", own: Schema | None = None) -> Iterator[Caution]:
    """The problems of `value`, each with its path; none when it is valid. `schema` must be structural.

    Of a branch of a combinator, `own` is the node that has it: there it says which fields may be null.
    """
    own = schema if own is None else own
    wrong = _wrong_type(schema, value)
    if wrong:
        yield Caution(path or ".", wrong)
        return
    yield from _own(schema, value, path or ".")
    if isinstance(value, dict):
        yield from _object(schema, value, path, own)
    elif isinstance(value, list):
        yield from _list(schema, value, path, own)
    yield from _combined(schema, value, path, own)


def _wrong_type(schema: Schema, value: Any) -> str:
    if value is None:
        return "" if schema.get("nullable") or not schema.get("type") else f"null, expected {schema['type']}"
    if schema.get("x-kubernetes-int-or-string"):
        fits = isinstance(value, int | str) and not isinstance(value, bool)
        return "" if fits else f"{_shown(value)}, expected an integer or a string"
    wanted = schema.get("type")
    if wanted is None:
        return ""
    if isinstance(value, bool) and wanted != "boolean":
        return f"{_shown(value)}, expected {wanted}"
    if isinstance(value, float) and wanted == "integer" and value.is_integer():
        return ""
    return "" if isinstance(value, _TYPES[wanted]) else f"{_shown(value)}, expected {wanted}"


def _own(schema: Schema, value: Any, here: str) -> Iterator[Caution]:
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        yield Caution(here, f"{_shown(value)} is none of {', '.join(map(str, allowed))}")
    if isinstance(value, str):
        yield from _sized(schema, len(value), here, "Length", "characters")
        pattern = schema.get("pattern")
        compiled = _pattern(pattern) if pattern else None
        if compiled is not None and not compiled.search(_encodable(value)):
            yield Caution(here, f"{_shown(value)} does not match {pattern}")
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
    if step and not _is_multiple(value, step):
        yield Caution(here, f"{value} is not a multiple of {step}")


def _is_multiple(value: float, step: float) -> bool:
    """As the API server reckons: 0.3 is a multiple of 0.1."""
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    times = value / step if step >= 1 else 1 / step * value
    if not math.isfinite(times):
        return False
    whole = float(int(times))
    return times == whole or abs(times - whole) / (abs(times) + abs(whole)) < _EPSILON


def _object(schema: Schema, value: dict[str, Any], path: str, own: Schema) -> Iterator[Caution]:
    known: Mapping[str, Any] = schema.get("properties") or {}
    more = schema.get("additionalProperties")
    free = schema.get("x-kubernetes-preserve-unknown-fields") or more is True
    for name in schema.get("required") or ():
        if name not in value or (value[name] is None and not _below(own, name).get("nullable", True)):
            yield Caution(path or ".", f"{name} is missing")
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    for name in ("apiVersion", "kind") if embedded else ():
        if not value.get(name):
            yield Caution(path or ".", f"{name} is missing, which an API object needs")
    for name, child in value.items():
        below = f"{path}.{name}" if path else str(name)
        if embedded and name == "metadata":
            if not isinstance(child, dict | None):
                yield Caution(below, f"{_shown(child)}, expected object")
            elif child and child.get("name") is not None:
                yield from problems(_name(schema), child["name"], f"{below}.name")
        elif name in known:
            if child is not None:
                yield from problems(known[name], child, below, known[name] if own is schema else _below(own, name))
        elif isinstance(more, Mapping):
            yield from problems(more, child, below)
        elif not free and not (embedded and name in _META) and _closed(schema):
            near = difflib.get_close_matches(str(name), known, n=1) if len(known) <= _MOST_COMPARED else []
            yield Caution(below, f"unknown field{f', did you mean {near[0]}?' if near else ''}")


def _below(own: Schema, name: str) -> Schema:
    """The schema of a field, in which `nullable` is named; {} for one that is in no schema, where a null stays."""
    known = (own.get("properties") or {}).get(name, own.get("additionalProperties"))
    return {"nullable": False, **known} if isinstance(known, Mapping) else {}


def _name(schema: Schema) -> Schema:
    """The schema of metadata.name, the only part of metadata that an API object's schema may restrict."""
    metadata = (schema.get("properties") or {}).get("metadata") or {}
    found: Schema = (metadata.get("properties") or {}).get("name") or {}
    return found


def _closed(schema: Schema) -> bool:
    """Whether the node lists the allowed fields; branches of oneOf and the like only add checks to it."""
    return schema.get("type") == "object"


def _list(schema: Schema, value: list[Any], path: str, own: Schema) -> Iterator[Caution]:
    items = schema.get("items")
    if isinstance(items, Mapping):
        below = items if own is schema else own.get("items") or {}
        for index, entry in enumerate(value):
            yield from problems(items, entry, f"{path}[{index}]", below)
    match schema.get("x-kubernetes-list-type"):
        case "set":
            keys = [repr(entry) for entry in value]
        case "map":
            names = schema.get("x-kubernetes-list-map-keys") or ()
            keys = [_key(entry, names, items) for entry in value if isinstance(entry, dict)]
        case _:
            return
    seen: set[str] = set()
    for index, key in enumerate(keys):
        if key in seen:
            yield Caution(f"{path}[{index}]", f"is in the list twice: {key}")
        seen.add(key)


def _key(entry: Mapping[str, Any], names: Any, items: Any) -> str:
    known = (items or {}).get("properties") or {}
    return ", ".join(f"{name}={entry.get(name, (known.get(name) or {}).get('default'))!r}" for name in names)


def _combined(schema: Schema, value: Any, path: str, own: Schema) -> Iterator[Caution]:
    here = path or "."
    for branch in schema.get("allOf") or ():
        yield from problems(branch, value, path, own)
    for name in ("anyOf", "oneOf"):
        branches = schema.get(name)
        if not branches:
            continue
        fitting = sum(not any(problems(branch, value, path, own)) for branch in branches)
        if fitting == 0 or (name == "oneOf" and fitting > 1):
            yield Caution(here, f"fits {fitting} of the {len(branches)} alternatives of {name}")
    if schema.get("not") is not None and not any(problems(schema["not"], value, path, own)):
        yield Caution(here, "has what the schema excludes (not)")


@functools.cache
def _pattern(pattern: str) -> Any:
    """The compiled pattern; None for one that no API server would take, either.

    By RE2, as in Kubernetes: it means the same ($ is the very end, \\d an ASCII digit), in time that is linear.
    """
    import re2  # noqa: PLC0415 (only who checks texts pays for it)

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(_encodable(pattern), options)
    except re2.error:
        return None


def _encodable(text: str) -> str:
    """The text as JSON decoders of Go have it: half of a surrogate pair is no character."""
    return text.encode("utf-8", "replace").decode()


def _shown(value: Any) -> str:
    """A value for messages; lists and objects only by their type, long texts cut."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
