"""The schema of `status.clusters[].remoteStatus`: the target's status, as a description and hardly as a check.

A member may run another version of the type, and its status must not make the hub refuse the whole status of a
federated object. So all checks are removed (required, enums, limits, patterns, formats, rules, list types), and every
object keeps unknown fields. What stays are fields and their types, for `kubectl explain`, JSON paths and typed clients.
Only a status with other types is still refused by the hub: the controller then leaves remoteStatus out for that cluster
(federation.core.summary.spared).
"""

from collections.abc import Mapping
from typing import Any

from typegen.model import Schema

_FREE: Schema = {"x-kubernetes-preserve-unknown-fields": True}


def loosened(node: Mapping[str, Any]) -> Schema:
    """`node` without descriptions and without checks of anything but types."""
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
