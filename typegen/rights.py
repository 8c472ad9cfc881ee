"""RBAC on the hub for one federated type: the controller's share, and what view and edit may do with it.

Kubernetes' own view and edit roles are handed out freely in a namespace. A federated type is given to them only where
the target itself would be harmless in the same hands: whoever may write a federated object writes its target in every
member, with the controller's rights there.
"""

from typing import Any

import templates
from typegen.model import ApiResource, Generated

_SECRET = frozenset({"secrets"})
_RBAC = "rbac.authorization.k8s.io"


def host_roles(generated: Generated) -> list[dict[str, Any]]:
    """The ClusterRoles that enabling the type adds on the hub; names begin with the ones in `names`."""
    return templates.documents(
        "types/roles.yaml",
        federated=generated.federated,
        view=may_view(generated.target),
        edit=may_edit(generated.target),
        scale=bool(generated.target.scale),
    )


def role_names(federated: ApiResource) -> tuple[str, ...]:
    """Every ClusterRole that `host_roles` may have made for the type, for taking them away again."""
    return tuple(f"{prefix}:{federated.qualified}" for prefix in ("kubefed-controller", "kubefed:view", "kubefed:edit"))


def may_view(target: ApiResource) -> bool:
    """Not Secrets (Kubernetes' view role does not show them), RBAC types, or what lives outside namespaces."""
    if target.is_namespace:
        return True
    return target.namespaced and target.group != _RBAC and target.qualified not in _SECRET


def may_edit(target: ApiResource) -> bool:
    """As may_view, without namespaces: their labels decide about pod security in every member."""
    return may_view(target) and not target.is_namespace
