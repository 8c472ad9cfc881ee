"""The rights of Kubernetes' roles view, edit and admin on a federated type: the same as on its target.

Who may write a federated object can write its target in every member, with the controller's rights there. So a role
gets no more rights on a federated type than it has on the target: quotas, limits and endpoints can only be read, and
roles are for admins. The table is that of the API server's bootstrap policy (plugin/pkg/auth/authorizer/rbac/
bootstrappolicy); a contract test compares it with a real API server, so that changes in new versions are noticed.

There is one exception. With Roles and RoleBindings an admin may only grant rights that they have themselves; at the hub
the API server cannot check that for the federated forms, and in a member it would check the controller's rights. So
admins may read federated RBAC types, and write them only where that is requested (--aggregate-to). The same is true for
all rights on custom types, because Kubernetes' roles have none on them by default.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from typegen.memberrights import RBAC_GROUP
from typegen.model import ApiResource, Unusable

ROLES = ("view", "edit", "admin")
"""Kubernetes' roles for users; each includes the rights of those before it."""
NONE = "none"
"""On the command line and in the annotation: no role at all."""
ANNOTATION = "types.kubefed.io/aggregate-to"
"""On a federated CRD: the roles of --aggregate-to (`record`), so that enabling the type again keeps them."""
READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")

_Groups = Mapping[str, frozenset[str]]


def _groups(**named: str) -> _Groups:
    names = {"core": "", "networking": "networking.k8s.io", "resource": "resource.k8s.io", "rbac": RBAC_GROUP}
    names |= {"coordination": "coordination.k8s.io", "discovery": "discovery.k8s.io", "events": "events.k8s.io"}
    return {names.get(group, group): frozenset(plurals.split()) for group, plurals in named.items()}


_WORKLOADS = "daemonsets deployments replicasets statefulsets"

_WRITTEN_BY_EDIT = _groups(
    core="configmaps events persistentvolumeclaims pods replicationcontrollers secrets serviceaccounts services",
    events="events",
    apps=_WORKLOADS,
    autoscaling="horizontalpodautoscalers",
    batch="cronjobs jobs",
    policy="poddisruptionbudgets",
    networking="ingresses networkpolicies",
    coordination="leases",
    resource="resourceclaims resourceclaimtemplates",
)
_WRITTEN: Mapping[str, _Groups] = {"view": {}, "edit": _WRITTEN_BY_EDIT, "admin": _groups(rbac="roles rolebindings")}
_READ: Mapping[str, _Groups] = {
    "view": _groups(
        core="configmaps endpoints events limitranges namespaces persistentvolumeclaims pods replicationcontrollers "
        "resourcequotas serviceaccounts services",
        events="events",
        discovery="endpointslices",
        apps=f"controllerrevisions {_WORKLOADS}",
        autoscaling="horizontalpodautoscalers",
        batch="cronjobs jobs",
        policy="poddisruptionbudgets",
        networking="ingresses networkpolicies",
        resource="resourceclaims resourceclaimtemplates",
    ),
    "edit": _groups(core="secrets", coordination="leases"),
    "admin": _groups(rbac="roles rolebindings"),
}


def held(group: str, plural: str) -> dict[str, tuple[str, ...]]:
    """The rights of Kubernetes' roles on a type (edit also has those of view): role -> verbs."""
    found = {}
    for role in ROLES:
        verbs = (*(READ if plural in _READ[role].get(group, ()) else ()),)
        verbs += WRITE if plural in _WRITTEN[role].get(group, ()) else ()
        if verbs:
            found[role] = verbs
    return found


def granted(target: ApiResource, asked: tuple[str, ...] | None) -> dict[str, tuple[str, ...]]:
    """The rights of the roles on the target's federated type: role -> verbs. `asked` None: as on the target.

    Otherwise only the roles in `asked` get rights: view reads, edit and admin read and write. In any case, cluster-wide
    types are in none of these roles, and types that grant rights only in admin.
    """
    if not target.namespaced and not target.is_namespace:
        return {}
    grants = target.group == RBAC_GROUP
    if asked is None:
        found = held(target.group, target.plural)
        return dict.fromkeys(found, READ) if grants else found
    allowed = ("admin",) if grants else ROLES
    return {role: READ if role == "view" else READ + WRITE for role in allowed if role in asked}


def parse(words: Iterable[str], where: str) -> tuple[str, ...]:
    """The roles in `view,edit` or in repeated words, `none` alone for no role; in Kubernetes' order.

    Raises Unusable with `where` in its message.
    """
    named = {word.strip().lower() for text in words for word in text.split(",") if word.strip()}
    unknown = sorted(named - {*ROLES, NONE})
    if unknown or not named or (NONE in named and len(named) > 1):
        what = f"{unknown[0]!r} is not" if unknown else "expected"
        raise Unusable(f"{where}: {what} one or more of {', '.join(ROLES)}, or {NONE} alone")
    return tuple(role for role in ROLES if role in named)


def record(asked: tuple[str, ...]) -> str:
    """The roles as the value of the annotation on the federated CRD; `parse` reads it."""
    return ",".join(asked) or NONE


def describe(target: ApiResource, asked: tuple[str, ...] | None) -> str:
    """One line for the user: which of Kubernetes' roles have rights on the federated type, and why."""
    found = granted(target, asked)
    if not found:
        return f"in none of Kubernetes' roles view, edit and admin{_why_not(target, asked)}"
    reading = [role for role, verbs in found.items() if "create" not in verbs]
    writing = [role for role, verbs in found.items() if "create" in verbs]
    words = [f"{' and '.join(roles)} ({verb})" for roles, verb in ((reading, "read"), (writing, "write")) if roles]
    why = "as on the type itself" if asked is None else "as requested"
    return f"in Kubernetes' roles {', '.join(words)}, {why}"


def _why_not(target: ApiResource, asked: tuple[str, ...] | None) -> str:
    if not target.namespaced and not target.is_namespace:
        return ": it is cluster-wide"
    if asked is None:
        return f": to add it, use --aggregate-to {'admin' if target.group == RBAC_GROUP else 'view,edit'}"
    return "" if not asked else ": it grants rights, so only admin may have it"


def rules(federated: ApiResource, verbs: tuple[str, ...], *, scale: bool) -> list[dict[str, Any]]:
    """RBAC rules on a federated type; only the controller writes its status."""
    plural, group = federated.plural, federated.group
    parts = [f"{plural}/scale"] if scale else []
    made: list[dict[str, Any]] = []
    if "get" in verbs:
        made.append({"apiGroups": [group], "resources": [plural, f"{plural}/status", *parts], "verbs": [*READ]})
    if "create" in verbs:
        made.append({"apiGroups": [group], "resources": [plural, *parts], "verbs": [*WRITE]})
    return made
