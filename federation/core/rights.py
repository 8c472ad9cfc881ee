"""Which rights the controller needs in a member: RBAC rules from the enabled types; used by join, enable and disable.

Least privilege: only what server-side apply, watches and the probes of this controller use. KubeFed asked for `*` on
everything; `fedctl join --rights all` still can.
"""

import re
from collections.abc import Iterable
from typing import Any

from federation.model.federated import FederatedType
from federation.model.resources import ObjectName
from typegen import memberrights

Rule = dict[str, Any]

ALL: list[Rule] = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["get"]},
]
"""What KubeFed's join granted."""

_RUN_PODS = frozenset(
    {
        "cronjobs.batch",
        "daemonsets.apps",
        "deployments.apps",
        "jobs.batch",
        "pods",
        "replicasets.apps",
        "replicationcontrollers",
        "statefulsets.apps",
    }
)

_MISSING = re.compile(
    r'cannot (?P<verb>[a-z]+) resource "(?P<resource>[a-z0-9/.-]+)" in API group "(?P<group>[a-z0-9.-]*)"'
    r'(?: in the namespace "(?P<namespace>[a-z0-9.-]+)")?'
)


def member_rules(types: Iterable[FederatedType], *, escalate: bool = False) -> list[Rule]:
    """Rules of the member's ClusterRole for these types, in a stable order, one rule per API group.

    Beside the targets: the kube-system Namespace (whose uid is the member's identity) and nodes (region and zones).

    WARNING: Roles and ClusterRoles as targets, and their bindings. The API server lets nobody grant rights that he does
    not hold, so such objects are refused unless the controller holds each right itself, or the verbs `escalate` and
    `bind`. With `escalate` these are added: whoever can write a federated Role then rules the member. `escalates` gives
    the types that raise the question.
    """
    targets = ((each.target.group, each.target.plural) for each in types)
    return [*memberrights.identity_rules(), *memberrights.rules(targets, escalate=escalate)]


def namespace_rules(types: Iterable[FederatedType], namespace: str) -> list[Rule]:
    """Rules of the member's Role with scope Namespaced, where everything is in this one namespace."""
    targets = [(each.target.group, each.target.plural) for each in types if each.target.namespaced]
    return [*memberrights.namespace_rules(namespace, targets), *memberrights.rules(targets)]


def account_rules(account: ObjectName) -> list[Rule]:
    """Rules of the Role in the account's own namespace: it may ask for tokens of itself and of nobody else."""
    return [
        {
            "apiGroups": [""],
            "resources": ["serviceaccounts/token"],
            "resourceNames": [account.name],
            "verbs": ["create"],
        }
    ]


def escalates(types: Iterable[FederatedType]) -> tuple[str, ...]:
    """Names of those types whose objects grant rights, sorted: see the warning at `member_rules`."""
    return tuple(sorted(each.name for each in types if each.target.group == memberrights.RBAC_GROUP))


def running_pods(types: Iterable[FederatedType]) -> tuple[str, ...]:
    """Names of those types whose objects run pods, sorted: whoever may write them is in effect the cluster's admin."""
    return tuple(sorted(each.name for each in types if each.name in _RUN_PODS))


def missing(message: str) -> str | None:
    """The right an RBAC refusal names, such as `patch deployments.apps in namespace shop`; None if it names none."""
    found = _MISSING.search(message)
    if found is None:
        return None
    resource, _, subresource = found["resource"].partition("/")
    qualified = f"{resource}.{found['group']}" if found["group"] else resource
    what = f"{found['verb']} {qualified}" + (f"/{subresource}" if subresource else "")
    return f"{what} in namespace {found['namespace']}" if found["namespace"] else what
