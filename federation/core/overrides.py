"""Apply a cluster's overrides to the manifest: JSON patch (RFC 6902 add, remove, replace on RFC 6901 pointers).

Called by manifest.finish for every cluster that has overrides. Containers along the touched paths are copied once, all
else is shared with the input, so that one common manifest serves every cluster.
"""

import re
from collections.abc import Sequence
from typing import Any

from federation.core import checks
from federation.model.errors import Invalid
from federation.model.federated import Operation

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
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
    depth = len(parents)
    if operation.op == "add" and isinstance(node, dict):
        node[last] = operation.value
    elif operation.op == "add" and isinstance(node, list):
        node.insert(len(node) if last == _PAST_THE_END else _index(node, last, depth, limit=len(node)), operation.value)
    elif operation.op == "remove":
        del node[_existing(node, last, depth)]
    elif operation.op == "replace" and isinstance(node, dict) and last not in node:
        raise _Misfit(depth, f"has no member {checks.quote(last)}; use op add to create it")
    else:
        node[_existing(node, last, depth)] = operation.value


def _existing(node: Any, name: str, depth: int) -> Any:
    """The key under which `node` holds `name`: a member that exists, or an index within the list."""
    if isinstance(node, dict):
        if name not in node:
            raise _Misfit(depth, f"has no member {checks.quote(name)}")
        return name
    if isinstance(node, list):
        return _index(node, name, depth, limit=len(node) - 1)
    raise _Misfit(depth, f"is {checks.describe(node)}, not a map or a list")


def _index(node: list[Any], name: str, depth: int, *, limit: int) -> int:
    if name == _PAST_THE_END:
        raise _Misfit(depth, "is a list and - means past its end: only the last part of an add may say so")
    if not _INDEX.fullmatch(name):
        why = "leading zeros are not allowed in" if name.isdecimal() and name[0] == "0" else "this is not"
        raise _Misfit(depth, f"is a list and {why} an index: {checks.quote(name)}")
    if int(name) > limit:
        raise _Misfit(depth, f"has {len(node)} item{'' if len(node) == 1 else 's'}: index {name} is out of range")
    return int(name)
