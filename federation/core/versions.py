"""Which version of a type one cluster is given: the one that was asked for, an equivalent one, or none.

Members are upgraded one after the other, so they serve different versions of one CustomResourceDefinition at the same
time. A manifest is never converted here: only versions that the target's own CRD converts by changing apiVersion alone
stand for each other (FederatedType.equivalent). Every other difference is the user's to decide.
"""

from collections.abc import Sequence

from federation.model.federated import FederatedType
from federation.model.resources import Resource


def choose(wanted: str, enabled: FederatedType, served: Sequence[str] | None) -> str | None:
    """The version under which a manifest of version `wanted` can be pushed; None when there is none.

    `served` are the versions that the cluster serves; None when that is not known: then the wanted one is tried.
    """
    if served is None or wanted in served:
        return wanted
    if wanted not in enabled.equivalent:
        return None
    return next((version for version in enabled.equivalent if version in served), None)


def followed(enabled: FederatedType, served: Sequence[str] | None) -> str:
    """The version under which a cluster's objects are watched and deleted: their metadata is the same in all."""
    if not served or enabled.target.version in served:
        return enabled.target.version
    return next((version for version in enabled.equivalent if version in served), served[0])


def unavailable(wanted: str, target: Resource, served: Sequence[str]) -> str:
    """Why a manifest of version `wanted` cannot be pushed to a cluster that serves only these versions."""
    if not served:
        return f"the cluster does not serve {target.qualified}: install its CustomResourceDefinition there"
    return (
        f"the cluster serves {target.qualified} as {_listed(served)}, not as {wanted}; the object stays as it is there "
        "until the type is upgraded, or spec.template.apiVersion or an override of /apiVersion names another version"
    )


def _listed(served: Sequence[str]) -> str:
    return served[0] if len(served) == 1 else f"{', '.join(served[:-1])} and {served[-1]}"
