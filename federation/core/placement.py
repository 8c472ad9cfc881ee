"""Placement: which members an object should be in; the first step of planning.

KubeFed's rules: a list of names wins over a selector, an empty list selects none, `{}` selects all, both absent select
none; only joined clusters count; a namespaced object is also cut to the placement of its FederatedNamespace.
"""

from collections.abc import Iterable

from federation.core import selectors
from federation.model.clusters import Cluster
from federation.model.federated import Placement

NOWHERE: frozenset[str] = frozenset()


def select(placement: Placement, clusters: Iterable[Cluster]) -> frozenset[str]:
    """Names of the joined clusters that the placement selects, ready or not: an outage moves nothing."""
    if placement.clusters is not None:
        wanted = frozenset(placement.clusters)
        return frozenset(cluster.name for cluster in clusters if cluster.name in wanted) if wanted else NOWHERE
    selector = placement.selector
    if selector is None:
        return NOWHERE
    return frozenset(cluster.name for cluster in clusters if selectors.matches(selector, cluster.labels))


def unknown(placement: Placement, clusters: Iterable[Cluster]) -> tuple[str, ...]:
    """Names the placement lists that no joined cluster has, sorted: a typing error, or a cluster that has left."""
    if not placement.clusters:
        return ()
    return tuple(sorted(set(placement.clusters) - {cluster.name for cluster in clusters}))
