"""Placement: which members an object should be in; the first step of planning.

KubeFed's rules: a list of names wins over a selector, an empty list selects none, `{}` selects all, both absent select
none; only joined clusters count; a namespaced object is also cut to the placement of its FederatedNamespace.
"""

import sys
from collections.abc import Mapping

import msgspec

from federation.core import selectors
from federation.model.federated import Placement
from federation.model.observations import Cluster

NOWHERE: frozenset[str] = frozenset()
REMEMBERED = 1_000
"""Selectors whose clusters are remembered, of one fleet."""
_NAMED = 3


def select(placement: Placement, clusters: Mapping[str, Cluster]) -> frozenset[str]:
    """Names of the joined clusters that the placement selects, ready or not: an outage moves nothing.

    The names are the clusters' own: those that were read with the object would stay in memory for each placement.
    """
    if placement.clusters is not None:
        return frozenset([clusters[name].name for name in placement.clusters if name in clusters])
    selector = placement.selector
    if selector is None:
        return NOWHERE
    matches = selectors.matcher(selector)
    if matches is None:
        return frozenset(clusters)
    return frozenset([name for name, cluster in clusters.items() if matches(cluster.labels)])


class Selections:
    """What placements select of one fleet, as it is at one moment. Objects by the thousand have the same selector: the
    labels of all clusters are gone through once for it, and not once for each plan.
    """

    __slots__ = ("_found", "clusters")

    def __init__(self, clusters: Mapping[str, Cluster]) -> None:
        self.clusters = clusters
        self._found: dict[str, frozenset[str]] = {}

    def of(self, placement: Placement) -> frozenset[str]:
        """`select`."""
        selector = selector_of(placement)
        if not selector:
            return select(placement, self.clusters)
        found = self._found.get(selector)
        if found is None:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            found = self._found[selector] = select(placement, self.clusters)
        return found


def because(placement: Placement, cluster: Cluster) -> str:
    """Why `select` selects this joined cluster, or does not, in words."""
    names, selector = placement.clusters, placement.selector
    if names is not None:
        if not names:
            return "spec.placement.clusters is an empty list"
        return f"spec.placement.clusters {'names' if cluster.name in names else 'does not name'} it"
    if selector is None:
        return "spec.placement has neither clusters nor clusterSelector"
    if missing := selectors.unmet(selector, cluster.labels):
        return f"spec.placement.clusterSelector asks for {'; '.join(missing)}"
    if selectors.matcher(selector) is None:
        return "spec.placement.clusterSelector is empty, and selects every cluster"
    return "spec.placement.clusterSelector matches its labels"


def selector_of(placement: Placement) -> str:
    """The selector by which labels decide, as JSON; "" where they do not. Equal ones are one string in memory."""
    if placement.clusters is not None or placement.selector is None:
        return ""
    return sys.intern(msgspec.json.encode(placement.selector).decode())


def unknown(placement: Placement, clusters: Mapping[str, Cluster]) -> tuple[str, ...]:
    """The names in the placement that are no joined cluster's, sorted: a typing error, or a cluster that has left."""
    if not placement.clusters:
        return ()
    return tuple(sorted({name for name in placement.clusters if name not in clusters}))


def nowhere(placement: Placement, joined: int, chosen: frozenset[str] = NOWHERE, namespace: str = "") -> str:
    """What led to no cluster being selected; `joined` is how many clusters there are.

    `chosen` are those that the placement selects and the FederatedNamespace, called `namespace`, does not.
    """
    if not joined:
        return "no cluster has joined"
    if chosen:
        names = ", ".join(sorted(chosen)[:_NAMED]) + (
            f" and {len(chosen) - _NAMED} more" if len(chosen) > _NAMED else ""
        )
        return f"{namespace or 'its FederatedNamespace'} does not select {names}"
    if placement.clusters is not None:
        if not placement.clusters:
            return "spec.placement.clusters is an empty list"
        return "spec.placement.clusters names none that has joined"
    if placement.selector is None:
        return "spec.placement has neither clusters nor clusterSelector"
    return f"spec.placement.clusterSelector matches none of {joined} joined cluster{'' if joined == 1 else 's'}"
