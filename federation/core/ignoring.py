"""Fields that are set at creation and left alone afterwards (policy ignoreFields); pure.

Taking a field out of an apply would take it out of the object, or reset it, as long as nobody but us owns it. So at
creation, and when a field is ignored from now on, it moves in managedFields from our entry to one of a second manager
of ours (`<manager>-ignored`), which keeps it alive until somebody else sets it; see docs/push.md on retainReplicas.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from federation.core import fieldsets, fieldvalues, managedfields, ownership
from federation.core.fieldsets import Fields
from federation.core.managedfields import Entry, PartialMetadata
from federation.core.ownership import Patch
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.policies import Pointer

FIELD = "policy ignoreFields"


class NotLeft(Exception):
    """A field cannot be left to the member: its API server has a value around it that it does not divide, or
    managedFields cannot be written back."""


class _Found(NamedTuple):
    """Where a pointer leads in a field set: the path as FieldsV1 elements, and what is owned there."""

    path: tuple[str, ...]
    owned: Fields


def without(body: dict[str, Any], pointers: Sequence[Pointer]) -> tuple[dict[str, Any], tuple[Pointer, ...]]:
    """The manifest without these fields, and those that were in it; `body` stays as it is.

    A map that becomes empty goes, too. Raises Invalid for a pointer that ends in a list: its element would be taken for
    one that is not wanted.
    """
    left, present = body, []
    for pointer in pointers:
        rest = _without(left, pointer, pointer)
        if rest is not left:
            present.append(pointer)
            left = rest
    return left, tuple(present)


def reduced(content: bytes, pointers: Sequence[Pointer]) -> dict[str, Any]:
    """The manifest of `content` without these fields."""
    return without(orjson.loads(content), pointers)[0]


def shown(pointer: Pointer) -> str:
    """As it is written."""
    return "".join(f"/{token.replace('~', '~0').replace('/', '~1')}" for token in pointer)


def leave_patch(
    meta: PartialMetadata, manager: str, body: Mapping[str, Any], pointers: Sequence[Pointer]
) -> Patch | None:
    """JSON patch that moves these fields from our entry to the second manager's; None when we own none of them.

    `body` is the manifest, by which elements of lists are found; it need not have the fields any more. What that entry
    has besides, because it was ignored earlier, leaves it. Raises NotLeft.
    """
    known = [managedfields.fields_of(entry) for entry in meta.managed_fields]
    mine = next((entry for entry in meta.managed_fields if managedfields.is_ours(entry, manager)), None)
    owned = managedfields.fields_of(mine) if mine is not None else {}
    moved = _owned(owned, body, pointers, known)
    second, changed = marks.ignored_manager(manager), bool(moved)
    kept: Fields = moved
    others: list[tuple[Entry, Fields]] = []
    for entry, fields in zip(meta.managed_fields, known, strict=True):
        if not managedfields.is_ours(entry, second):
            continue
        left = _owned(fields, body, pointers, known)
        changed = changed or left != fields
        if mine is not None and entry.api_version == mine.api_version:
            kept = fieldsets.union(kept, left)
        else:
            others.append((entry, left))
    if not changed:
        return None
    patch = ownership.split_patch(
        meta, manager, second, left=fieldsets.difference(owned, moved), kept=kept, others=others
    )
    if patch is None:
        raise NotLeft(
            "managedFields of the object cannot be read as a whole, so that no field can be left to this cluster"
        )
    return patch


def has_left(meta: PartialMetadata, manager: str) -> bool:
    """Whether the second manager has an entry."""
    second = marks.ignored_manager(manager)
    return any(entry.manager == second for entry in meta.managed_fields)


def _without(node: Any, pointer: Pointer, whole: Pointer) -> Any:
    """The value without what the pointer names; itself where that is not there."""
    name, rest = pointer[0], pointer[1:]
    if isinstance(node, list):
        index = _index(node, name)
        if index is None:
            return node
        if not rest:
            raise Invalid(FIELD, f'"{shown(whole)}" is an element of a list; name a field of it, or the list')
        child = _without(node[index], rest, whole)
        return node if child is node[index] else [*node[:index], child, *node[index + 1 :]]
    if not isinstance(node, dict) or name not in node:
        return node
    left = {each: value for each, value in node.items() if each != name}
    if not rest:
        return left
    child = _without(node[name], rest, whole)
    if child is node[name]:
        return node
    return left if child == {} else {**node, name: child}


def _index(items: Sequence[Any], token: str) -> int | None:
    index = int(token) if token.isascii() and token.isdecimal() and len(token) < 10 else len(items)
    return index if index < len(items) else None


def _owned(fields: Fields, body: Any, pointers: Sequence[Pointer], known: Sequence[Fields]) -> Fields:
    """What of a field set is at or below the pointers."""
    there: Fields = {}
    for pointer in pointers:
        found = _find(fields, body, pointer, known)
        if found is not None:
            there = fieldsets.union(there, _only(found.path, found.owned))
    return there


def _find(fields: Fields, body: Any, pointer: Pointer, known: Sequence[Fields]) -> _Found | None:
    """Where the pointer leads in a field set; None where it owns nothing there. Raises NotLeft.

    What nobody's set divides is not divided, whoever owns it: an apply without a part of it would take that part away.
    """
    node: Fields | None = fields
    value = body
    path: tuple[str, ...] = ()
    for depth, token in enumerate(pointer):
        if depth and any(_at(each, path) == {} for each in known):
            raise NotLeft(_message(pointer, depth))
        if isinstance(value, list):
            element = _element(value, token, path, known)
            if element is None:
                raise NotLeft(_message(pointer, depth))
            step, value = element, value[int(token)]
        else:
            step, value = f"f:{token}", value.get(token) if isinstance(value, dict) else None
        path = (*path, step)
        node = node.get(step) if node is not None else None
    return None if node is None else _Found(path, node)


def _at(fields: Fields, path: Sequence[str]) -> Any:
    """What a set has at a path; None where it has nothing."""
    node: Any = fields
    for step in path:
        node = node.get(step) if isinstance(node, dict) else None
    return node


def _element(items: Sequence[Any], token: str, path: Sequence[str], known: Sequence[Fields]) -> str | None:
    """The name of a list's element in field sets; None where nobody's set shows that the list has named elements."""
    index = _index(items, token)
    if index is None or not isinstance(items[index], dict):
        return None
    for fields in known:
        node = _at(fields, path)
        keys = fieldvalues.keys_of(node) if isinstance(node, dict) else None
        if keys is not None:
            named = {key: items[index][key] for key in sorted(keys) if key in items[index]}
            wanted = {name for name in node if name.startswith("k:") and _fits(name, named)}
            return next(iter(wanted), f"k:{orjson.dumps(named).decode()}")
    return None


def _fits(name: str, named: Mapping[str, Any]) -> bool:
    """Whether an element's name has these keys; one that the manifest leaves out has its default."""
    keys = orjson.loads(name[2:])
    return isinstance(keys, dict) and all(keys.get(key) == value for key, value in named.items())


def _only(path: Sequence[str], owned: Fields) -> Fields:
    """The set that has this at a path, and nothing else."""
    node: Fields = owned
    for step in reversed(path):
        node = {step: node}
    return node


def _message(pointer: Pointer, depth: int) -> str:
    around = shown(pointer[:depth])
    return (
        f'"{shown(pointer)}" cannot be left to this cluster by itself: its API server has "{around}" as one value, so '
        f"name that in ignoreFields, or nothing of it"
    )
