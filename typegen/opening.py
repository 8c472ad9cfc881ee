"""What a version that keeps unknown fields makes of the fields that another version knows. Pure.

An old version is often nothing but `x-kubernetes-preserve-unknown-fields`. In the template of all versions (see
typegen.versions) it has every field of the others, unchecked but for its type, which a structural schema cannot make
depend on apiVersion.
"""

from collections.abc import Collection, Mapping
from typing import Any

from typegen.model import Schema

FREE = "x-kubernetes-preserve-unknown-fields"
MARK = "x-opened"
"""Marks what is made here; it never leaves typegen.versions, where a union has no keyword but its own."""
LISTS = ("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "default")
"""What belongs to the type of a list or a map; in a template only keys of lists have a default."""


def property_of(nodes: Mapping[str, Schema], name: str) -> dict[str, Schema]:
    """The property as each version has it; a version that keeps unknown fields has it, too, but does not check it."""
    known = {version: node["properties"][name] for version, node in nodes.items() if name in _properties(node)}
    pattern = next(iter(known.values()))
    return {
        version: known.get(version) or opened(pattern)
        for version, node in nodes.items()
        if version in known or node.get(FREE)
    }


def _properties(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return node.get("properties") or {}


def opened(node: Mapping[str, Any], keys: Collection[str] = ()) -> Schema:
    """`node` for a version that keeps whatever is there: the types, which a union needs, and nothing else is checked.

    `keys` are the properties that are keys of the list it is an item of: Kubernetes wants them required or defaulted.
    """
    kept = ("type", FREE, "x-kubernetes-int-or-string", "x-kubernetes-embedded-resource", *LISTS)
    result: Schema = {MARK: True, **{key: node[key] for key in kept if key in node}}
    if isinstance(node.get("items"), Mapping):
        result["items"] = opened(node["items"], node.get("x-kubernetes-list-map-keys") or ())
    if isinstance(node.get("additionalProperties"), Mapping):
        result["additionalProperties"] = opened(node["additionalProperties"])
    elif node.get("type") == "object":
        result[FREE] = True
    if _properties(node):
        result["properties"] = {name: opened(child) for name, child in _properties(node).items()}
    required = [name for name in node.get("required") or () if name in keys]
    return {**result, "required": required} if required else result
