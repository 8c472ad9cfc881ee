"""What the controller does with an enabled type in a member, as RBAC rules: one source for `fedctl` and for typegen.

Apart from typegen.rights, and without an import, because federation's pure core uses it too: the rules that `join` puts
into a member and the file that typegen writes for git must never differ.
"""

from collections.abc import Iterable
from typing import Any

RBAC_GROUP = "rbac.authorization.k8s.io"
_VERBS = ("create", "delete", "get", "list", "patch", "watch")


def rules(targets: Iterable[tuple[str, str]], *, escalate: bool = False) -> list[dict[str, Any]]:
    """Rules for these targets, each (API group, plural): a stable order, one rule per API group.

    `escalate` adds the verbs `bind` and `escalate` on RBAC types, without which a member lets the controller grant only
    what it holds itself.
    """
    groups: dict[str, set[str]] = {}
    for group, plural in targets:
        groups.setdefault(group, set()).add(plural)
    made = []
    for group in sorted(groups):
        verbs = list(_VERBS)
        if escalate and group == RBAC_GROUP:
            verbs = sorted([*verbs, "bind", "escalate"])
        made.append({"apiGroups": [group], "resources": sorted(groups[group]), "verbs": verbs})
    return made


def identity_rules() -> list[dict[str, Any]]:
    """What is read in every member: kube-system's uid (the member's identity) and nodes (its region and zones)."""
    return [
        {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
    ]
