"""RBAC for federated types: the controller's rights at the hub and in members, and those of Kubernetes' own roles.

The rights of the roles view, edit and admin are in typegen.userroles.
"""

from collections.abc import Iterable
from typing import Any

from typegen import frames, memberrights, userroles
from typegen.model import ApiResource, Pair


def host_roles(generated: Pair, overlay: str = "") -> list[dict[str, Any]]:
    """The ClusterRoles that enabling the type adds on the hub, named as in `role_names`.

    `overlay`: see typegen.frames.
    """
    granted = userroles.granted(generated.target, generated.aggregate_to)
    scale = bool(generated.target.scale)
    return frames.documents(
        "types/roles.yaml",
        overlay,
        federated=generated.federated,
        roles={role: userroles.rules(generated.federated, verbs, scale=scale) for role, verbs in granted.items()},
    )


def member_role(made: Iterable[Pair], namespace: str, account: str, overlay: str = "") -> list[dict[str, Any]]:
    """A ClusterRole for members with just the rights these types need, bound to one account of the system namespace."""
    targets = ((each.target.group, each.target.plural) for each in made)
    return frames.documents(
        "types/member-role.yaml",
        overlay,
        namespace=namespace,
        account=account,
        rules=[*memberrights.identity_rules(), *memberrights.rules(targets)],
    )


def role_names(federated: ApiResource) -> tuple[str, ...]:
    """The names of all ClusterRoles that `host_roles` may make for the type, to delete them again."""
    prefixes = ("kubefed-controller", *(f"kubefed:{role}" for role in userroles.ROLES))
    return tuple(f"{prefix}:{federated.qualified}" for prefix in prefixes)
