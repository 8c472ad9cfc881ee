"""What is known of the types that every API server has, without a schema: which they are, and who names their maps.

Custom types are described by schemas: their API server keeps a null where it means something and fills in defaults by
structure alone. Built-in types are Go structs: a null member of one is an absent member.
"""

from collections.abc import Mapping
from typing import Any

_GROUPS = frozenset(
    {
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)
_KEYED_BY_USERS = frozenset(
    {
        "annotations",
        "attributes",
        "binaryData",
        "capacity",
        "data",
        "default",
        "defaultRequest",
        "hard",
        "labels",
        "limits",
        "matchLabels",
        "max",
        "maxLimitRequestRatio",
        "min",
        "nodeSelector",
        "options",
        "overhead",
        "parameters",
        "podFixed",
        "requests",
        "selector",
        "stringData",
        "volumeAttributes",
    }
)
"""Maps whose keys are their users' own, by the name of the field."""


def has(group: str) -> bool:
    """Whether the types of a group are built in: groups without a dot, and those that Kubernetes itself serves."""
    return "." not in group or group in _GROUPS


def _keyed_by_users(name: str, value: Mapping[str, Any]) -> bool:
    """Whether the keys of this map are its user's: any key is kept there, and any value is one of the same type."""
    return name in _KEYED_BY_USERS and "matchLabels" not in value and "matchExpressions" not in value


def without_nulls(value: Any) -> Any:
    """A copy of a built-in type's manifest as its API server reads it: null members are absent.

    In a map of the user's own keys a null is an empty value to the API server, and stays. So do null list elements:
    taking one out would move the others.
    """
    return _without_nulls("", value)


def _without_nulls(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        keyed = _keyed_by_users(name, value)
        return {key: _without_nulls(key, item) for key, item in value.items() if item is not None or keyed}
    if isinstance(value, list):
        return [_without_nulls("", item) for item in value]
    return value
