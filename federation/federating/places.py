"""Find the part of a document that a message's path names: `spec.template.metadata.labels[app.io/name]` to its steps.

Paths are written for people, so the text alone does not show which dots belong to a key: the document does.
"""

from collections.abc import Mapping
from typing import Any

Steps = tuple[str | int, ...]


def steps(value: Any, path: str) -> Steps:
    """The steps of a written path as far as the document has them; a last step may name what is missing."""
    taken: list[str | int] = []
    rest = path
    while rest and rest != ".":
        if rest.startswith("[") and isinstance(value, list):
            index, _, rest = rest[1:].partition("]")
            if not index.isdigit() or int(index) >= len(value):
                break
            taken.append(int(index))
            value = value[int(index)]
            continue
        if not isinstance(value, Mapping):
            break
        found = max((key for key in value if _begins(rest, str(key))), key=lambda key: len(str(key)), default=None)
        if found is None:
            break
        taken.append(found)
        value = value[found]
        rest = _after(rest, str(found))
    return tuple(taken)


def pointer(tokens: list[str], value: Any) -> Steps:
    """The steps of a JSON pointer's tokens in a value: those into lists as numbers, as far as the value has them."""
    taken: list[str | int] = []
    for token in tokens:
        if isinstance(value, list) and token.isdigit() and int(token) < len(value):
            taken.append(int(token))
            value = value[int(token)]
        elif isinstance(value, Mapping) and token in value:
            taken.append(token)
            value = value[token]
        else:
            break
    return tuple(taken)


def _begins(rest: str, key: str) -> bool:
    bare = rest.removeprefix(".")
    if rest.startswith(f"[{key}]"):
        return True
    return bool(key) and bare.startswith(key) and bare[len(key) : len(key) + 1] in ("", ".", "[")


def _after(rest: str, key: str) -> str:
    if rest.startswith(f"[{key}]"):
        return rest[len(key) + 2 :]
    return rest.removeprefix(".")[len(key) :]
