"""Walk an object's values by FieldsV1 sets: what nobody owns, what some own, what is left without, where two differ.

Used by core.leftovers and core.drops. List elements are found as managedFields names them: `k:{"name":"c"}` by the
keys of an associative list, `v:"x"` in a set; a list without such names is one value. Nothing changes its arguments.
All of it takes time by the size of its arguments alone: lists of ten thousand elements are looked up, not searched.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from federation.core.fieldsets import Fields

ABSENT: Any = object()
"""In place of a value where there is none."""
_ABSENT = ABSENT
_LEAF: Fields = {}
_MOST_KEYS = 8
"""Keys of an associative list: Kubernetes' own have at most three, and a member may name any."""


class Elements:
    """The elements of an associative list, to be found by their `keys`."""

    def __init__(self, elements: Iterable[Any], keys: Sequence[str]) -> None:
        self.all = list(elements)
        self._keys = keys
        self._places: dict[tuple[str, ...], dict[tuple[Any, ...], int]] = {}

    def find(self, wanted: Any) -> int | None:
        """The place of the element with the wanted one's keys; a key that the wanted one leaves out has its default."""
        if not isinstance(wanted, dict):
            return None
        named = tuple(key for key in self._keys if key in wanted)
        places = self._places.get(named)
        if places is None:
            places = self._places[named] = {}
            for place, element in enumerate(self.all):
                if isinstance(element, dict):
                    places.setdefault(_identity(element, named), place)
        return places.get(_identity(wanted, named))

    def add(self, element: Any) -> None:
        """One more, at the end."""
        self.all.append(element)
        for named, places in self._places.items():
            if isinstance(element, dict):
                places.setdefault(_identity(element, named), len(self.all) - 1)


class Members:
    """The elements of a list, to be asked whether a value is one of them."""

    def __init__(self, elements: Iterable[Any]) -> None:
        self._known = {_hashable(element) for element in elements}

    def __contains__(self, value: Any) -> bool:
        return _hashable(value) in self._known


def unowned(value: Any, owned: Fields) -> Fields:
    """The outermost paths of what the value holds beside those that are owned. Keys of list elements are not theirs."""
    result: dict[str, Any] = {}
    for name, child in _children(value, owned):
        node = owned.get(name)
        if node is None:
            result[name] = _LEAF
        elif node:  # a leaf is owned with all that is in it
            below = unowned(_without_keys(name, child), node)
            if below:
                result[name] = below
    return result


def pick(value: Any, fields: Fields) -> Any:
    """What the value holds at these paths, and the keys of list elements on the way."""
    if not fields:
        return value
    if isinstance(value, dict):
        return {name[2:]: pick(child, fields[name]) for name, child in _children(value, fields) if name in fields}
    if isinstance(value, list):
        return [
            _with_keys(name, pick(child, fields[name])) for name, child in _children(value, fields) if name in fields
        ]
    return value


def at(value: Any, path: Sequence[str], naming: Fields) -> Any:
    """The value at a path; ABSENT where there is none. `naming` names the elements of lists on the way."""
    for name in path:
        found = _ABSENT
        for each, child in _children(value, naming):
            if each == name or (name.startswith("k:") and isinstance(value, list) and _is_element(child, name)):
                found = child
                break
        if found is _ABSENT:
            return _ABSENT
        value, naming = found, naming.get(name, _LEAF)
    return value


def without(value: Any, fields: Fields) -> Any:
    """The value without these paths; a map or an element that has become empty by it goes, too."""
    if isinstance(value, dict):
        kept = {}
        for name, child in _children(value, fields):
            node = fields.get(name)
            if node is None:
                kept[name[2:]] = child
            elif node and (left := without(child, node)) not in ({}, []):
                kept[name[2:]] = left
        return kept
    if isinstance(value, list) and fields:
        elements = []
        for name, child in _children(value, fields):
            node = fields.get(name)
            if node is None:
                elements.append(child)
            elif node and (left := without(child, node)) not in ({}, []):
                elements.append(left)
        return elements
    return value


def unnamed(fields: Fields, value: Any) -> Fields:
    """The paths of a set that the value does not name: what an apply of it takes away of what its manager owns.

    An element of an associative list may leave out keys that have their default.
    """
    named = dict(_children(value, fields))
    result: dict[str, Any] = {}
    for name, node in fields.items():
        if name == ".":
            continue
        child = named.get(name, _ABSENT)
        if child is _ABSENT and name.startswith("k:") and isinstance(value, list):
            child = next((each for each in value if _is_element(each, name)), _ABSENT)
        if child is _ABSENT:
            result[name] = node
        elif node and (below := unnamed(node, child)):
            result[name] = below
    return result


def _is_element(element: Any, name: str) -> bool:
    """Whether an element has this name in managedFields, as far as it names its keys."""
    keys = orjson.loads(name[2:])
    if not isinstance(element, dict) or not isinstance(keys, dict):
        return False
    return any(key in element for key in keys) and all(element.get(key, own) == own for key, own in keys.items())


def differing(value: Any, other: Any, fields: Fields, asked: Any = None) -> Fields:
    """The paths of `fields` at which `value` holds something and `other` nothing or something else.

    A map differs as a whole where `other` has more in it that is not in `asked`, what was asked for.
    """
    return _compared(value, other, fields, asked, equal=False)


def agreeing(value: Any, other: Any, fields: Fields) -> Fields:
    """The paths of `fields` at which both hold the same."""
    return _compared(value, other, fields, None, equal=True)


def emptied(held: Any, wanted: Any, ours: Fields, others: Fields) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Where `wanted` has an empty map or list and `held` one with contents that are all ours; and that empty one.

    Places are member names and list indices of `held`. What is one value to the API server (a leaf of `ours`) is none.
    """
    if isinstance(held, dict) and isinstance(wanted, dict):
        for name, value in wanted.items():
            node = ours.get(f"f:{name}")
            if node and name in held:
                below = others.get(f"f:{name}", _LEAF)
                yield from _emptied(name, held[name], value, node, below)
    elif isinstance(held, list) and isinstance(wanted, list) and (keys := keys_of(ours)) is not None:
        elements = Elements(held, keys)
        for element in wanted:
            at = elements.find(element)
            if at is not None and (node := node_of(ours, held[at], keys)):
                yield from _emptied(at, held[at], element, node, node_of(others, held[at], keys))


def _emptied(
    step: str | int, held: Any, wanted: Any, ours: Fields, others: Fields
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if wanted in ({}, []):
        if held and isinstance(held, type(wanted)) and not any(name != "." for name in others) and _all_go(held, ours):
            yield (step,), wanted
    else:
        for path, value in emptied(held, wanted, ours, others):
            yield (step, *path), value


def overlay(base: Any, manifest: Any, owned: Fields) -> Any:
    """The manifest laid over what others own, as an apply would merge it; `owned` names the elements of lists."""
    if isinstance(base, dict) and isinstance(manifest, dict):
        laid = dict(base)
        for name, value in manifest.items():
            laid[name] = overlay(base[name], value, owned.get(f"f:{name}", _LEAF)) if name in base else value
        return laid
    if isinstance(base, list) and isinstance(manifest, list):
        if (keys := keys_of(owned)) is not None:
            laid_out = Elements(base, keys)
            for element in manifest:
                at = laid_out.find(element)
                if at is None:
                    laid_out.add(element)
                else:
                    there = laid_out.all[at]
                    laid_out.all[at] = overlay(there, element, node_of(owned, there, keys))
            return laid_out.all
        if is_set(owned):
            known = Members(base)
            return [*base, *(element for element in manifest if element not in known)]
    return manifest


def keys_of(fields: Fields) -> tuple[str, ...] | None:
    """The key fields of an associative list, as the names of its elements show them; None when it is none."""
    name = next((name for name in fields if name.startswith("k:")), None)
    if name is None:
        return None
    try:
        keys = orjson.loads(name[2:])
    except orjson.JSONDecodeError:
        return None
    return tuple(keys) if isinstance(keys, dict) and len(keys) <= _MOST_KEYS else None


def is_set(fields: Fields) -> bool:
    """Whether the elements of a list are named by their values."""
    return any(name.startswith("v:") for name in fields)


def node_of(fields: Fields, element: Mapping[str, Any], keys: Sequence[str]) -> Fields:
    """What of one element of an associative list is in a set."""
    node: Fields = fields.get(_named(element, keys), _LEAF)
    return node


def _all_go(value: Any, ours: Fields) -> bool:
    """Whether an apply that names no content of a map or list takes all of it away; elements go with what they hold."""
    contents = list(_children(value, ours))
    return len(contents) == len(value) and all(
        (node := ours.get(name)) is not None and (not node or "." in node or _all_go(child, node))
        for name, child in contents
    )


def _compared(value: Any, other: Any, fields: Fields, asked: Any, *, equal: bool) -> Fields:
    others = dict(_children(other, fields)) if isinstance(other, type(value)) else {}
    wanted = dict(_children(asked, fields)) if isinstance(asked, type(value)) else {}
    result: dict[str, Any] = {}
    for name, child in _children(value, fields):
        node = fields.get(name)
        if node is None:
            continue
        there = others.get(name, _ABSENT)
        if node:
            below = _compared(child, there, node, wanted.get(name), equal=equal)
            if below:
                result[name] = below
        elif (found := _leaf(child, there, wanted.get(name), equal=equal)) is not None:
            result[name] = found
    return result


def _leaf(value: Any, other: Any, asked: Any, *, equal: bool) -> Fields | None:
    """The path of one value as a leaf when it is wanted, or of those members of a map that are; None for neither."""
    if value == other:
        return _LEAF if equal else None
    if isinstance(value, dict) and isinstance(other, dict):
        asked = asked if isinstance(asked, dict) else {}
        if not equal and any(name not in value and name not in asked for name in other):
            return _LEAF
        members = {
            f"f:{name}": found
            for name, child in value.items()
            if (found := _leaf(child, other.get(name, _ABSENT), asked.get(name), equal=equal)) is not None
        }
        return members or None
    return None if equal else _LEAF


def _children(value: Any, fields: Fields) -> Iterator[tuple[str, Any]]:
    """Members or elements with their FieldsV1 names. Elements of a list that is one value have none and are skipped."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield f"f:{name}", child
    elif isinstance(value, list):
        if (keys := keys_of(fields)) is not None:
            for element in value:
                if isinstance(element, dict):
                    yield _named(element, keys), element
        elif is_set(fields):
            for element in value:
                yield f"v:{orjson.dumps(element).decode()}", element


def _identity(element: Mapping[str, Any], named: Sequence[str]) -> tuple[Any, ...]:
    return tuple(_hashable(element.get(key)) for key in named)


def _hashable(value: Any) -> Any:
    """What is equal for equal values and may be a key."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS) if isinstance(value, dict | list) else value


def _named(element: Mapping[str, Any], keys: Sequence[str]) -> str:
    named = {key: element[key] for key in sorted(keys) if key in element}
    return f"k:{orjson.dumps(named).decode()}"


def _without_keys(name: str, element: Any) -> Any:
    if not name.startswith("k:") or not isinstance(element, dict):
        return element
    keys = orjson.loads(name[2:])
    return {key: value for key, value in element.items() if key not in keys}


def _with_keys(name: str, element: Any) -> Any:
    return {**orjson.loads(name[2:]), **element} if name.startswith("k:") and isinstance(element, dict) else element
