"""RBAC for federated types: the controller's rights at the hub and in members, and those of Kubernetes' own roles.

The rights of the roles view, edit and admin are in typegen.userroles.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from typegen import frames, memberrights, userroles
from typegen.model import Pair


class Named(Protocol):
    """A resource by its names."""

    @property
    def group(self) -> str:
        """Its API group."""

    @property
    def plural(self) -> str:
        """Its plural."""

    @property
    def qualified(self) -> str:
        """`plural.group`."""


def host_roles(generated: Pair, overlay: str = "", *, within: str = "") -> list[dict[str, Any]]:
    """The roles that enabling the type adds on the hub, named as in `role_names`.

    `overlay`: see typegen.frames. `within` is the controller's namespace where its scope is Namespaced: then its own
    rights are a Role there.
    """
    granted = userroles.granted(generated.target, generated.aggregate_to)
    scale = bool(generated.target.scale)
    return frames.documents(
        "types/roles.yaml",
        overlay,
        federated=generated.federated,
        roles={role: userroles.rules(generated.federated, verbs, scale=scale) for role, verbs in granted.items()},
        namespace=within,
    )


def controller_role(federated: Named, *, within: str = "") -> list[dict[str, Any]]:
    """The controller's rights on a federated type alone, as `host_roles` has them."""
    return frames.documents("types/roles.yaml", federated=federated, roles={}, namespace=within)


def member_role(
    made: Iterable[Pair], namespace: str, account: str, overlay: str = "", *, namespaced: bool = False
) -> list[dict[str, Any]]:
    """A role for members with just the rights these types need, bound to one account of the system namespace.

    `namespaced`: it has them in that namespace alone.
    """
    pairs = list(made)
    targets = [(each.target.group, each.target.plural) for each in pairs if each.target.namespaced or not namespaced]
    read = memberrights.namespace_rules(namespace, targets) if namespaced else memberrights.identity_rules()
    return frames.documents(
        "types/member-role.yaml",
        overlay,
        namespace=namespace,
        account=account,
        rules=[*read, *memberrights.rules(targets)],
        role="Role" if namespaced else "ClusterRole",
    )


def role_names(federated: Named) -> tuple[str, ...]:
    """The names of all roles that `host_roles` may make for the type, to delete them again; the controller's first."""
    prefixes = ("kubefed-controller", *(f"kubefed:{role}" for role in userroles.ROLES))
    return tuple(f"{prefix}:{federated.qualified}" for prefix in prefixes)
