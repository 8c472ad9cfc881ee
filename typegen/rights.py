"""RBAC for federated types: the controller's share at the hub and in members, and what view and edit may do.

Kubernetes' own view and edit roles are handed out freely in a namespace. A federated type is given to them only where
the target itself would be harmless in the same hands: whoever may write a federated object writes its target in every
member, with the controller's rights there.
"""

from collections.abc import Iterable
from typing import Any

from typegen import frames, memberrights
from typegen.model import ApiResource, Pair

_SECRET = frozenset({"secrets"})


def host_roles(generated: Pair, overlay: str = "") -> list[dict[str, Any]]:
    """The ClusterRoles that enabling the type adds on the hub, called as `role_names` says.

    `overlay`: see typegen.frames.
    """
    return frames.documents(
        "types/roles.yaml",
        overlay,
        federated=generated.federated,
        view=may_view(generated.target),
        edit=may_edit(generated.target),
        scale=bool(generated.target.scale),
    )


def member_role(made: Iterable[Pair], namespace: str, overlay: str = "") -> list[dict[str, Any]]:
    """A ClusterRole for members with just the rights these types need, and its binding.

    Bound to all service accounts of the system `namespace`: which one `fedctl join` makes there differs from member to
    member, and nothing else lives in that namespace of a member.
    """
    targets = ((each.target.group, each.target.plural) for each in made)
    return frames.documents(
        "types/member-role.yaml",
        overlay,
        namespace=namespace,
        rules=[*memberrights.identity_rules(), *memberrights.rules(targets)],
    )


def role_names(federated: ApiResource) -> tuple[str, ...]:
    """Every ClusterRole that `host_roles` may have made for the type, for taking them away again."""
    return tuple(f"{prefix}:{federated.qualified}" for prefix in ("kubefed-controller", "kubefed:view", "kubefed:edit"))


def may_view(target: ApiResource) -> bool:
    """Not Secrets (Kubernetes' view role does not show them), RBAC types, or what lives outside namespaces."""
    if target.is_namespace:
        return True
    return target.namespaced and target.group != memberrights.RBAC_GROUP and target.qualified not in _SECRET


def may_edit(target: ApiResource) -> bool:
    """As may_view, without namespaces: their labels decide about pod security in every member."""
    return may_view(target) and not target.is_namespace
