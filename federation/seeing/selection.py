"""Why a cluster is selected for a federated object, or is not: placement, namespace, selector, labels. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from federation.core import parsing, placement
from federation.core.facts import Facts
from federation.model.errors import Invalid
from federation.model.federated import FederatedObject, Placement
from federation.model.observations import Cluster, Missing


@dataclass(frozen=True, slots=True)
class Selected:
    """Whether a cluster is selected; None where that is not known. `because` says by what, in words."""

    selected: bool | None
    because: str


def of(facts: Facts, namespace: FederatedObject | None) -> Mapping[str, Selected]:
    """Every cluster. `namespace` is the object's FederatedNamespace, where there is one."""
    try:
        own = parsing.spec(facts.object.spec, namespaces=facts.type.is_namespace).placement
    except Invalid as error:
        why = f"the spec is invalid: {error}"
        return {name: Selected(None, why) for name in facts.clusters}
    return {name: _one(facts, own, namespace, cluster) for name, cluster in facts.clusters.items()}


def _one(facts: Facts, own: Placement, namespace: FederatedObject | None, cluster: Cluster) -> Selected:
    because = placement.because(own, cluster)
    if cluster.name not in placement.select(own, {cluster.name: cluster}):
        return Selected(False, because)
    if facts.is_system_namespace:
        return Selected(False, f"{because}; but the namespace is every cluster's own, and is never pushed")
    within = facts.namespace
    if within is None:
        return Selected(True, because)
    if within.selected is Missing.UNKNOWN:
        return Selected(None, within.message or "the federation of its namespace is not known")
    if within.selected is None:
        return Selected(False, within.change or "its namespace has no FederatedNamespace")
    if isinstance(within.selected, frozenset) and cluster.name in within.selected:
        return Selected(True, f"{because}, and so does {within.change}" if within.change else because)
    return Selected(False, f"{because}; but {within.change} does not select it: {_of_namespace(namespace, cluster)}")


def _of_namespace(namespace: FederatedObject | None, cluster: Cluster) -> str:
    if namespace is None:
        return "it is not there"
    try:
        return placement.because(parsing.spec(namespace.spec, namespaces=True).placement, cluster)
    except Invalid as error:
        return f"its spec is invalid: {error}"
