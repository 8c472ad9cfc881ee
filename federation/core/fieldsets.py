"""Set algebra on FieldsV1, the encoding of field ownership in managedFields; used by managedfields' patches.

A set of paths is a tree (structured-merge-diff v4/v6, fieldpath/serialize.go): members are path elements such as
`f:labels`, `k:{"name":"c"}` or `v:"x"`. A leaf `{}` is in the set; an inner node is in the set only if it holds ".".
Nothing here changes its arguments; results may share subtrees with them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Fields = Mapping[str, Any]

_SELF = "."


def union(left: Fields, right: Fields) -> Fields:
    """Paths that are in either set."""
    result = dict(left)
    for name, theirs in right.items():
        ours = left.get(name)
        if name == _SELF or ours is None:
            result[name] = theirs
        elif ours != theirs:
            result[name] = _node(
                _includes_itself(ours) or _includes_itself(theirs), union(_below(ours), _below(theirs))
            )
    return result


def difference(left: Fields, right: Fields) -> Fields:
    """Paths of `left` that are not in `right`. A path that is in both leaves, what lies below it stays on its own."""
    result: dict[str, Any] = {}
    for name, ours in left.items():
        theirs = right.get(name)
        if theirs is None:
            result[name] = ours
        elif name != _SELF:
            itself = _includes_itself(ours) and not _includes_itself(theirs)
            below = difference(_below(ours), _below(theirs))
            if itself or below:
                result[name] = _node(itself, below)
    return result


def beside(left: Fields, right: Fields) -> Fields:
    """`difference`, but a map or element itself is left only with something in it, where `right` has a part of it.

    Who created an object owns its maps as such, too. A map with nothing in it but what is `right`'s would otherwise
    stay, empty, for ever.
    """
    result: dict[str, Any] = {}
    for name, ours in left.items():
        theirs = right.get(name)
        if theirs is None:
            result[name] = ours
        elif name != _SELF:
            below = beside(_below(ours), _below(theirs))
            if below:
                result[name] = _node(_includes_itself(ours) and not _includes_itself(theirs), below)
    return result


def uncovered(left: Fields, right: Fields) -> Fields:
    """Paths of `left`, read in another version of the type than `right`, that `right` has nothing to do with.

    A value that is one leaf in one version may be a tree of fields in the other: whoever owns a part of it meets
    whoever owns all of it.
    """
    result: dict[str, Any] = {}
    for name, ours in left.items():
        theirs = right.get(name)
        if theirs is None:
            result[name] = ours
        elif name != _SELF and theirs:
            below = uncovered(_below(ours), _below(theirs))
            if below:
                result[name] = _node(_includes_itself(ours) and not _includes_itself(theirs), below)
    return result


def contains(fields: Fields, path: Sequence[str]) -> bool:
    """Whether the path, as elements such as ("f:spec", "f:replicas"), is in the set or leads to something that is."""
    node: Any = fields
    for element in path:
        if not isinstance(node, dict) or element not in node:
            return False
        node = node[element]
    return True


def covers(fields: Fields, path: Sequence[str]) -> bool:
    """Whether the path is in the set, leads to something that is, or lies below a leaf: a value that is owned whole."""
    node: Any = fields
    for element in path:
        if not isinstance(node, dict) or not node:
            return True
        if element not in node:
            return False
        node = node[element]
    return True


def paths(fields: Fields, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of a set, as elements; of a map or list with something below it, those below."""
    below = {name: child for name, child in fields.items() if name != _SELF}
    if not below and above:
        yield above
    for name, child in below.items():
        yield from paths(child, (*above, name))


def single(*path: str) -> Fields:
    """The set that holds one path."""
    node: dict[str, Any] = {}
    for element in reversed(path):
        node = {element: node}
    return node


def _includes_itself(node: Fields) -> bool:
    return not node or _SELF in node


def _below(node: Fields) -> Fields:
    return {name: child for name, child in node.items() if name != _SELF} if _SELF in node else node


def _node(itself: bool, below: Fields) -> Fields:
    return {_SELF: {}, **below} if itself and below else below
