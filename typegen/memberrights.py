"""The controller's RBAC rules in a member for the enabled types, for `fedctl` and for typegen.

The rules that `join` applies in a member and those that typegen writes for git must never differ. Separate from
typegen.rights and without imports, because federation's pure core uses it, too.
"""

from collections.abc import Iterable
from typing import Any

RBAC_GROUP = "rbac.authorization.k8s.io"
_SCHEDULED = {("apps", "deployments"), ("apps", "replicasets")}
_VERBS = ("create", "delete", "get", "list", "patch", "watch")


def rules(targets: Iterable[tuple[str, str]], *, escalate: bool = False) -> list[dict[str, Any]]:
    """Rules for these targets, each (API group, plural): one rule per API group, in a stable order.

    `escalate` adds the verbs `bind` and `escalate` on RBAC types; without them the controller can only grant rights
    that it has itself.
    """
    groups: dict[str, set[str]] = {}
    for group, plural in targets:
        groups.setdefault(group, set()).add(plural)
    made = []
    if "namespaces" in groups.get("", ()):
        # Before a Namespace is deleted, what of others is in it is looked for.
        made.append({"apiGroups": [""], "resources": ["persistentvolumeclaims", "pods"], "verbs": ["list"]})
    for group in sorted(groups):
        verbs = list(_VERBS)
        if escalate and group == RBAC_GROUP:
            verbs = sorted([*verbs, "bind", "escalate"])
        made.append({"apiGroups": [group], "resources": sorted(groups[group]), "verbs": verbs})
    return made


def identity_rules() -> list[dict[str, Any]]:
    """Rules for what is read in every member: kube-system's uid (its identity) and nodes (its region and zones)."""
    return [*_reading("kube-system"), {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]


def namespace_rules(namespace: str, targets: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """What is read there with scope Namespaced: the uid of the federation's own namespace, which is the member's
    identity, and the pods of what can be scheduled."""
    scheduled = any(target in _SCHEDULED for target in targets)
    return [
        *_reading(namespace),
        *([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}] if scheduled else []),
    ]


def _reading(namespace: str) -> list[dict[str, Any]]:
    return [{"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [namespace], "verbs": ["get"]}]
