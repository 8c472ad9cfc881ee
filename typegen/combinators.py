"""Rewrite allOf, anyOf, oneOf and not for a template, which has no defaults.

The target checks them after its defaults were filled in, so a branch may rely on a field that a template lacks. Where
such a field is `required`, that is always true, and is left out. A check of its value has, while the field is absent,
the result for the default: if that is true, the check is kept as it is; if false, the field is made required.
"""

from collections.abc import Mapping
from typing import Any

from typegen import validation

KEYWORDS = ("allOf", "anyOf", "oneOf", "not")
_IDENTITY = frozenset({"apiVersion", "kind", "metadata"})


class Unclear(Exception):
    """The branch depends on a default with further defaults in it, or on the whole object; the argument names it."""


def carry(branch: Any, node: Mapping[str, Any]) -> Any:
    """`branch`, a branch of a combinator of the target's `node`, for the template. Raises Unclear."""
    if isinstance(branch, list):
        return [carry(each, node) for each in branch]
    result = dict(branch)
    known: Mapping[str, Any] = node.get("properties") or {}
    defaulted = any("default" in child for child in known.values())
    if defaulted and any(name in branch for name in ("minProperties", "maxProperties")):
        raise Unclear("the number of fields")
    required = [name for name in branch.get("required") or () if "default" not in (known.get(name) or {})]
    if branch.get("properties"):
        result["properties"] = {}
        for name, check in branch["properties"].items():
            own = known.get(name, node.get("additionalProperties"))
            own = own if isinstance(own, Mapping) else {}  # a field that is in no schema
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
    """`branch`, of the target's root, for a template, which may lack apiVersion, kind and metadata.

    Raises Unclear when it checks more of them than that they exist.
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
