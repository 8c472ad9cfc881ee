"""The schema of `status.clusters[].remoteStatus`: the target's status, for readers rather than as a check.

A member may run another version of the type, and its status must never be what makes the hub refuse the whole status of
a federated object. So everything that could refuse goes (required, enums, bounds, patterns, formats, rules, list types)
and every object keeps fields that are not described; what stays says which fields there are and of which type, for
`kubectl explain`, for JSON paths and for typed clients. A status whose very types differ is the one thing that the hub
still refuses: the controller then leaves remoteStatus out for that cluster (federation.core.status.spared).
"""

from collections.abc import Mapping
from typing import Any

from typegen.model import Schema

_FREE: Schema = {"x-kubernetes-preserve-unknown-fields": True}


def loosened(node: Mapping[str, Any]) -> Schema:
    """`node` without descriptions and without all that refuses a value for more than its type."""
    if node.get("x-kubernetes-int-or-string"):
        return {"x-kubernetes-int-or-string": True}
    kind = node.get("type")
    if kind is None:
        return dict(_FREE)
    result: Schema = {"type": kind}
    if node.get("nullable"):
        result["nullable"] = True
    if kind == "array":
        items = node.get("items")
        result["items"] = loosened(items) if isinstance(items, Mapping) else dict(_FREE)
    elif kind == "object":
        values = node.get("additionalProperties")
        if isinstance(values, Mapping):
            result["additionalProperties"] = loosened(values)
        else:
            result |= _FREE
            if node.get("properties"):
                result["properties"] = {name: loosened(child) for name, child in node["properties"].items()}
    return result
