"""Apply a cluster's overrides to the manifest: JSON patch (RFC 6902 on RFC 6901 pointers).

Called by manifest.finish for every cluster that has overrides. `OPS` is the one table of the operations: their check in
parsing, federate's and validate's in federating, and the messages follow it; a test compares it with the CRDs' schema
(templates/types/federated.yaml).

What KubeFed's library (evanphx/json-patch 4.11) took beyond the RFC is taken here, because files rely on it: `replace`,
the default op, creates a member that a map lacks; an index may be negative (-1 is the last item, for `add` the place
after it), signed or have leading zeros; a ~ that escapes nothing is itself. What it refused is refused. Containers
along the touched paths are copied once, all else is shared with the input, so that one common manifest serves every
cluster.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from federation.core import checks
from federation.model.errors import Invalid
from federation.model.federated import Operation

_INDEX = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_PAST_THE_END = "-"


class _Misfit(Exception):
    """What a path met; `depth` is how many of its tokens lead to the place."""

    def __init__(self, depth: int, why: str) -> None:
        super().__init__(why)
        self.depth = depth


def apply(body: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
    """Return `body` with the operations applied in order; neither `body` nor any operation's value is ever changed.

    Raises Invalid naming the operation's index and path and what the path met: nothing is applied in part, because the
    result exists only when every operation succeeded.
    """
    if not operations:
        return body
    result = dict(body)
    # Containers made by this call, by identity; holding them keeps their ids from being used again.
    private: dict[int, Any] = {id(result): result}
    for index, operation in enumerate(operations):
        try:
            _apply_one(result, operation, private)
        except _Misfit as misfit:
            place = "/".join(operation.path.split("/")[: misfit.depth + 1]) or "the object"
            what = f"cannot {operation.op} {checks.quote(operation.path, 200)}"
            raise Invalid(f"clusterOverrides[{index}].path", f"{what}: {place} {misfit}") from None
    return result


def tokens(path: str) -> list[str]:
    """The unescaped reference tokens of a JSON pointer (RFC 6901): ~1 is /, then ~0 is ~."""
    parts = path.split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts] if "~" in path else parts


class Step(NamedTuple):
    """What one operation did: the values at its path before and after, ABSENT where there was none."""

    operation: Operation
    before: Any
    after: Any


ABSENT: Any = object()
"""In place of a value where there is none."""


def steps(body: dict[str, Any], operations: Sequence[Operation]) -> Iterator[Step]:
    """What each operation does, in order. Raises Invalid, as `apply` does, at the first that does not fit."""
    apply(body, operations)  # so that an error names the operation's place among all
    for operation in operations:
        after = apply(body, (operation,))
        inserts = operation.op == "add" and isinstance(_at(body, tokens(operation.path)[:-1]), list)
        removes = not OPS[operation.op].takes_value
        place = tokens(operation.path)
        yield Step(
            operation,
            ABSENT if inserts else _at(body, place),
            ABSENT if removes else _at(after, place, value=operation.value),
        )
        body = after


def _at(node: Any, path: Sequence[str], *, value: Any = ABSENT) -> Any:
    """The value at a path; `value` where the path names a place that is not there (past a list's end)."""
    for name in path:
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and _INDEX.fullmatch(name) and -len(node) <= int(name) < len(node):
            node = node[int(name)]
        else:
            return value
    return node


def creates(body: dict[str, Any], operations: Sequence[Operation]) -> tuple[int, ...]:
    """Indices of the operations that change nothing but create a member: often a typing error, of which validate warns.

    Raises Invalid as `apply` does, for all but the last.
    """
    found = []
    for index, operation in enumerate(operations):
        if OPS[operation.op].creates_silently and _lacks(apply(body, operations[:index]), operation.path):
            found.append(index)
    return tuple(found)


def _lacks(node: Any, path: str) -> bool:
    """Whether only the last part of the path is missing, from a map."""
    *parents, last = tokens(path)
    for name in parents:
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and _INDEX.fullmatch(name) and -len(node) <= int(name) < len(node):
            node = node[int(name)]
        else:
            return False
    return isinstance(node, dict) and last not in node


def _apply_one(result: dict[str, Any], operation: Operation, private: dict[int, Any]) -> None:
    *parents, last = tokens(operation.path)
    node: Any = result
    for depth, name in enumerate(parents):
        key = _existing(node, name, depth)
        child = node[key]
        if isinstance(child, dict | list) and id(child) not in private:
            child = child.copy()
            private[id(child)] = child
            node[key] = child
        node = child
    OPS[operation.op].carry_out(node, last, len(parents), operation.value)


def _add(node: Any, last: str, depth: int, value: Any) -> None:
    if isinstance(node, dict):
        node[last] = value
    elif isinstance(node, list):
        place = len(node) if last == _PAST_THE_END else _index(node, last, depth, places=len(node) + 1)
        node.insert(place, value)
    else:
        raise _no_container(node, depth)


def _remove(node: Any, last: str, depth: int, _value: Any) -> None:
    del node[_existing(node, last, depth)]


def _replace(node: Any, last: str, depth: int, value: Any) -> None:
    node[last if isinstance(node, dict) else _existing(node, last, depth)] = value


def _existing(node: Any, name: str, depth: int) -> Any:
    """The key under which `node` holds `name`: a member that exists, or an index within the list."""
    if isinstance(node, dict):
        if name not in node:
            raise _Misfit(depth, f"has no member {checks.quote(name)}")
        return name
    if isinstance(node, list):
        return _index(node, name, depth, places=len(node))
    raise _no_container(node, depth)


def _no_container(node: Any, depth: int) -> _Misfit:
    return _Misfit(depth, f"is {checks.describe(node)}, not a map or a list")


def _index(node: list[Any], name: str, depth: int, *, places: int) -> int:
    """The place that an index names, from the front or (negative) from the end."""
    if name == _PAST_THE_END:
        raise _Misfit(depth, "is a list and - means past its end: only the last part of an add may say so")
    if not _INDEX.fullmatch(name):
        raise _Misfit(depth, f"is a list and this is not an index: {checks.quote(name)}")
    index = int(name)
    if not -places <= index < places:
        raise _Misfit(depth, f"has {len(node)} item{'' if len(node) == 1 else 's'}: index {name} is out of range")
    return index + places if index < 0 else index


class Op(NamedTuple):
    """One kind of operation. `carry_out` changes a container at a token: (container, token, depth, value).

    `takes_value`: it leaves its value at the path. `creates_silently`: it is meant for what is there, and yet creates a
    member that a map lacks.
    """

    name: str
    carry_out: Callable[[Any, str, int, Any], None]
    takes_value: bool = True
    creates_silently: bool = False


DEFAULT = "replace"
"""The operation of an override that names none."""

OPS: Mapping[str, Op] = {
    each.name: each
    for each in (
        Op("add", _add),
        Op("remove", _remove, takes_value=False),
        Op(DEFAULT, _replace, creates_silently=True),
    )
}
"""The operations that an override may have, by name."""
