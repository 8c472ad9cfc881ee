"""Measure and cut how deep JSON nests, without recursion: every decoder, and every walk of ours, recurses and fails.

`deep` asks of a decoded value, `pruned` and `members` work on bytes that no decoder takes any more. They take linear
time and are used only after the quick way has failed, or where a count of brackets shows that it may.
"""

import re
from typing import Any

_BRACKET = re.compile(
    rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+([\[\]{}])',
    re.DOTALL,
)
"""The next bracket that stands in no string."""
_OPENS = frozenset(b"[{")
_MOST_MEMBERS = 100_000
_SHOWN = 5
"""Parts of a path that a message names."""


def may_be_deep(content: bytes | memoryview, limit: int) -> bool:
    """Whether there are brackets enough for it: false is certain, and takes no time."""
    data = bytes(content)
    return data.count(b"{") + data.count(b"[") > limit


def deep(value: Any, limit: int) -> bool:
    """Whether a decoded value nests deeper than `limit` levels; a map in a list is two."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def place(value: Any, limit: int) -> str:
    """Where the first container at level `limit` stands, such as `spec.overrides[0].value…`; "" for none."""
    # Each entry knows its parent, so that a path is only written for the one that is found.
    nodes: list[tuple[Any, int, str, int]] = [(value, 1, "", -1)]
    stack = [0]
    while stack:
        index = stack.pop()
        node, level, _, _ = nodes[index]
        if level >= limit:
            return _path(nodes, index)
        children = node.items() if isinstance(node, dict) else enumerate(node)
        for name, child in children:
            if isinstance(child, dict | list):
                stack.append(len(nodes))
                nodes.append((child, level + 1, f".{name}" if isinstance(node, dict) else f"[{name}]", index))
    return ""


def pruned(content: bytes, limit: int) -> tuple[bytes, bool]:
    """The JSON with null for all that lies deeper than `limit` levels, and whether there was anything.

    What is no JSON comes back as it is: its decoder will refuse it.
    """
    parts: list[bytes] = []
    level = position = copied = begun = 0
    while found := _BRACKET.match(content, position):
        position = found.end()
        if content[position - 1] in _OPENS:
            level += 1
            if level == limit + 1:
                begun = position - 1
        else:
            if level == limit + 1:
                parts += (content[copied:begun], b"null")
                copied = position
            level -= 1
    if not parts or level:
        return content, False
    return b"".join([*parts, content[copied:]]), True


def has_more(content: bytes, most: int) -> bool:
    """Whether the JSON list has more than `most` maps or lists in it."""
    level = position = count = 0
    while found := _BRACKET.match(content, position):
        position = found.end()
        if content[position - 1] in _OPENS:
            level += 1
            count += level == 2
            if count > most:
                return True
        else:
            level -= 1
    return False


def members(content: bytes, key: str) -> tuple[bytes, list[bytes]]:
    """The JSON with an empty list under `key` of its root, and the maps that were in that list.

    Raises ValueError where there is no such list, or where anything but maps is in it.
    """
    head = re.compile(rb'(?<!\\)"' + re.escape(key.encode()) + rb'"\s*:\s*\Z')
    level = position = begun = first = 0
    spans: list[tuple[int, int]] = []
    while found := _BRACKET.match(content, position):
        before, position = position, found.end()
        if content[position - 1] in _OPENS:
            level += 1
            if level == 2 and not first and content[position - 1] == 0x5B:
                if head.search(content, max(before, position - 1 - len(key) - 64), position - 1):
                    first = position
            elif level == 3 and first:
                begun = position - 1
        else:
            if level == 3 and first:
                spans.append((begun, position))
                if len(spans) > _MOST_MEMBERS:
                    raise ValueError("more in one list than an API server sends at once")
            level -= 1
            if level == 1 and first:
                return _taken(content, first, position - 1, spans)
    raise ValueError(f"no list under {key!r}")


def _taken(content: bytes, first: int, last: int, spans: list[tuple[int, int]]) -> tuple[bytes, list[bytes]]:
    end = first
    for index, (begin, after) in enumerate(spans):
        gap = content[end:begin].strip()
        if gap != (b"," if index else b"") or content[begin] != 0x7B:
            raise ValueError("something in the list is no map")
        end = after
    if content[end:last].strip():
        raise ValueError("something in the list is no map")
    return content[:first] + content[last:], [content[begin:after] for begin, after in spans]


def _path(nodes: list[tuple[Any, int, str, int]], index: int) -> str:
    names: list[str] = []
    while index > 0:
        _, _, name, index = nodes[index]
        names.append(name[:64])
    names.reverse()
    return "".join(names[:_SHOWN]).removeprefix(".") + ("…" if len(names) > _SHOWN else "")
