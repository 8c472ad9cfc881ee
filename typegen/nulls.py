"""Nulls in the template of several versions, where only some of them allow null. Pure.

An API server drops a null from an object whose version does not allow it, and keeps it in the template, because another
version does. A field is there then that the object does not have, so a check of that version could have another result.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from typegen import structural
from typegen.cel import ITEM, VALUE
from typegen.model import Schema

DECIDED = ("enum", "maxProperties", *structural.COMBINATORS)
"""The keywords whose result may depend on it, so that a valid object would be refused."""


def decides(key: str, union: Schema, node: Mapping[str, Any]) -> bool:
    """Whether a null that stays in the template, and not in an object of this version, may decide about a check."""
    if key not in DECIDED:
        return False
    if key != "maxProperties" and union.get("nullable") and not node.get("nullable"):
        return True
    if key == "enum":
        return False
    kept = _kept(union, node)
    if not kept or key == "maxProperties":
        return bool(kept)
    branches = node[key] if isinstance(node[key], list) else [node[key]]
    return any(_counts(each) for each in branches) or any(not kept.isdisjoint(_named(each)) for each in branches)


def _kept(union: Schema, node: Mapping[str, Any]) -> set[str]:
    """The fields below that may be null in `union` and not in `node`; VALUE is any of a map."""
    found: set[str] = set()
    own = node.get("properties") or {}
    below = [(name, child, own.get(name)) for name, child in (union.get("properties") or {}).items()]
    below += [
        (step, union[key], node.get(key))
        for key, step in (("items", ITEM), ("additionalProperties", VALUE))
        if isinstance(union.get(key), Mapping)
    ]
    for name, child, mine in below:
        if not isinstance(mine, Mapping):
            continue
        if child.get("nullable") and not mine.get("nullable"):
            found.add(name)
        found |= _kept(child, mine)
    return found


def _below(branch: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (branch.get("properties") or {}).values()
    for key in ("items", *structural.COMBINATORS):
        found = branch.get(key)
        yield from found if isinstance(found, list) else [found] if found else []


def _counts(branch: Mapping[str, Any]) -> bool:
    """Whether it counts fields, at any depth."""
    return "minProperties" in branch or "maxProperties" in branch or any(map(_counts, _below(branch)))


def _named(branch: Mapping[str, Any]) -> Iterator[str]:
    """The fields that it asks about, at any depth."""
    yield from branch.get("required") or ()
    yield from branch.get("properties") or ()
    for each in _below(branch):
        yield from _named(each)
