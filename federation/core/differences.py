"""Name the fields at which an apply would change a member's object, or at which somebody else has. Pure.

Two ways: by the two objects (`of_objects`), and by field sets alone (`names`), where values must not be looked at.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from federation.core import fieldsets, managedfields, scrubbing
from federation.core.fieldsets import Fields
from federation.core.managedfields import PartialMetadata
from federation.model import marks

ABSENT: Any = object()
"""In place of a value where there is no such field."""
NAMED = 5
"""Fields that a message names."""
_SERVERS = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})
_NOT_COMPARED = frozenset({"apiVersion", "kind", "metadata", "status"})
_OUR_LABEL = fieldsets.single("f:metadata", "f:labels", f"f:{marks.MANAGED_LABEL}")
_OUR_ANNOTATION = fieldsets.single("f:metadata", "f:annotations", f"f:{marks.CREATED_ANNOTATION}")
_OURS = fieldsets.union(_OUR_LABEL, _OUR_ANNOTATION)


def of_objects(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The outermost fields that differ, in order, beside our marks, status and what the API server itself keeps."""
    return tuple(dict.fromkeys(path for path, _, _ in changes(before, after)))


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The same fields, each with its value before and after, ABSENT where there is none.

    Values are for those alone who show nothing of a Secret.
    """
    return _differing(_compared(before), _compared(after), "")


def gained(present: PartialMetadata, would_be: PartialMetadata, manager: str) -> Fields:
    """What our entry would have after an apply, and has not now; our own marks aside."""
    return fieldsets.difference(fieldsets.difference(_ours(would_be, manager), _ours(present, manager)), _OURS)


def unowned(fields: Fields, present: PartialMetadata, manager: str) -> Fields:
    """What of these fields nobody but us owns now: of what others own, an apply without conflict changes no value."""
    left = fields
    for entry in present.managed_fields:
        if not managedfields.is_ours(entry, manager):
            left = fieldsets.difference(left, managedfields.fields_of(entry))
    return left


def names(fields: Fields) -> Iterator[str]:
    """The paths of a set as conflicts name them: `.spec.containers[name="web"].image`."""
    if fields:
        yield from _names(fields, "")


def shown(fields: Iterable[str], *, secret: bool) -> str:
    """The first fields for a message, and how many more there are."""
    known = list(dict.fromkeys(scrubbing.field(each, secret=secret) for each in fields))
    more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
    return ", ".join(known[:NAMED]) + more


def _ours(meta: PartialMetadata, manager: str) -> Fields:
    mine = next((entry for entry in meta.managed_fields if managedfields.is_ours(entry, manager)), None)
    return managedfields.fields_of(mine) if mine is not None else {}


def _compared(content: Mapping[str, Any]) -> dict[str, Any]:
    found = content.get("metadata")
    metadata = {name: value for name, value in found.items() if name not in _SERVERS} if isinstance(found, dict) else {}
    for section in ("labels", "annotations"):
        kept = {key: value for key, value in (metadata.pop(section, None) or {}).items() if not _is_mark(key)}
        if kept:
            metadata[section] = kept
    return {"metadata": metadata} | {name: value for name, value in content.items() if name not in _NOT_COMPARED}


def _is_mark(key: str) -> bool:
    return key in {marks.MANAGED_LABEL, marks.CREATED_ANNOTATION} or key.startswith(marks.CLAIM_PREFIX)


def _differing(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            below = scrubbing.below(path, name) if path else f".{name}"
            if name not in before or name not in after:
                yield below, before.get(name, ABSENT), after.get(name, ABSENT)
            else:
                yield from _differing(before[name], after[name], below)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differing(one, other, f"{path}[{index}]")
    else:
        yield path, before, after


def _names(fields: Fields, path: str) -> Iterator[str]:
    below = {name: child for name, child in fields.items() if name != "."}
    if not below or "." in fields:
        yield path
    for name, child in below.items():
        step = name[2:]
        yield from _names(child, f"{path}.{step}" if name.startswith("f:") else f"{path}{_element(name)}")


def _element(name: str) -> str:
    """A list's element by its keys, as an API server's conflict names it; a value of a set is not shown."""
    if not name.startswith("k:"):
        return "[…]"
    try:
        keys = orjson.loads(name[2:])
    except orjson.JSONDecodeError:
        keys = None
    if not isinstance(keys, dict):
        return "[…]"
    return "[" + ",".join(f'{key}="{value}"' for key, value in keys.items()) + "]"
