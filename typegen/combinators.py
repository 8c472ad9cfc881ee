"""Carry allOf, anyOf, oneOf and not into a template that has no defaults.

The target checks them after its defaults are filled in, so a branch may count on a field that a template lacks. Both
ways of speaking of such a field can be said without it: `required` of it is always true, and a check of its value is,
while the field is absent, what it is for the default: true, or false, which is said by requiring the field there.
"""

from collections.abc import Mapping
from typing import Any

from typegen import validation

KEYWORDS = ("allOf", "anyOf", "oneOf", "not")
_IDENTITY = frozenset({"apiVersion", "kind", "metadata"})


class Unclear(Exception):
    """The branch speaks of a default that further defaults fill in, or of the whole object; the argument says what."""


def carry(branch: Any, node: Mapping[str, Any]) -> Any:
    """`branch`, what a combinator of the target's `node` says, for the template. Raises Unclear."""
    if isinstance(branch, list):
        return [carry(each, node) for each in branch]
    result = dict(branch)
    known: Mapping[str, Any] = node.get("properties") or {}
    required = [name for name in branch.get("required") or () if "default" not in (known.get(name) or {})]
    if branch.get("properties"):
        result["properties"] = {}
        for name, check in branch["properties"].items():
            own = known.get(name) or node.get("additionalProperties") or {}
            result["properties"][name] = carry(check, own)
            if "default" in own and not _holds(check, own, name) and name not in required:
                required.append(name)
    result.pop("required", None)
    if required:
        result["required"] = sorted(required)
    if isinstance(branch.get("items"), Mapping) and isinstance(node.get("items"), Mapping):
        result["items"] = carry(branch["items"], node["items"])
    for name in KEYWORDS:
        if branch.get(name) is not None:
            result[name] = carry(branch[name], node)
    return result


def without_identity(branch: Any) -> Any:
    """`branch`, of the target's root, for a template, which has no apiVersion, kind and metadata where objects have.

    Raises Unclear when it says more of them than that they are there.
    """
    if isinstance(branch, list):
        return [without_identity(each) for each in branch]
    result = dict(branch)
    for name in ("minProperties", "maxProperties"):
        if name in branch:
            raise Unclear("the number of fields")
    for name in _IDENTITY & set(branch.get("properties") or ()):
        raise Unclear(name)
    required = [name for name in branch.get("required") or () if name not in _IDENTITY]
    result.pop("required", None)
    if required:
        result["required"] = required
    for name in KEYWORDS:
        if branch.get(name) is not None:
            result[name] = without_identity(branch[name])
    return result


def _holds(check: Mapping[str, Any], node: Mapping[str, Any], name: str) -> bool:
    """Whether the default of `node` passes `check`."""
    if isinstance(node["default"], dict | list) and node["default"] != [] and _filled(node):
        raise Unclear(name)
    return not any(validation.problems(check, node["default"]))


def _filled(node: Mapping[str, Any]) -> bool:
    """Whether something below the node has a default of its own."""
    below = [*(node.get("properties") or {}).values(), node.get("items"), node.get("additionalProperties")]
    return any(isinstance(child, Mapping) and ("default" in child or _filled(child)) for child in below)
