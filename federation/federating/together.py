"""Check documents in git against each other: duplicates, clusters and federated namespaces that do not exist.

A hub may have more objects than the files. So an unknown cluster is an error only where the files (or --clusters) name
the clusters, and a missing FederatedNamespace is a warning.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from federation.core import parsing, placement
from federation.federating import catalogue, preferring, rendering
from federation.federating.catalogue import Catalogue
from federation.federating.findings import Finding, Rule, Severity
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Placement, Spec
from federation.model.observations import Cluster

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The known clusters. `labels`: whether their labels are known, too, so that selectors can be evaluated."""

    clusters: tuple[Cluster, ...] = ()
    labels: bool = True

    @property
    def names(self) -> frozenset[str]:
        """Their names."""
        return frozenset(cluster.name for cluster in self.clusters)


def fleet(documents: Sequence[Document], named: Sequence[str] = ()) -> Fleet:
    """The clusters of the KubeFedClusters among the documents, and those `named`, whose labels are unknown."""
    found: dict[str, Cluster] = {}
    for document in documents:
        if document.get("kind") == "KubeFedCluster" and catalogue.group_of(document) == "core.kubefed.io":
            name = rendering.key(document)[3]
            found[name] = Cluster(name, rendering.entries(document, "labels"))
    unlabelled = [name for name in named if name not in found]
    return Fleet((*found.values(), *(Cluster(name) for name in unlabelled)), labels=not unlabelled)


def documents(found: Sequence[Document], known: Catalogue, clusters: Fleet) -> Iterator[tuple[int, Finding]]:
    """Findings about several documents together, each with the index of the document it is about."""
    yield from _twice(found, known)
    yield from preferring.documents(found, known, clusters.names)
    homes = _homes(found, known)
    homeless: set[str] = set()
    cuts = not any(_is_namespaced_scope(document) for document in found)
    for index, document in enumerate(found):
        type_ = known.federating(document)
        spec = _spec(document, type_) if type_ is not None else None
        if type_ is None or spec is None:
            continue
        for finding in _placed(spec, clusters):
            yield index, finding
        namespace = rendering.key(document)[2]
        if type_.is_namespace or not namespace:
            continue
        if namespace in homes:
            for finding in _cut(spec, homes[namespace], namespace, clusters):
                yield index, finding
        elif cuts and namespace not in homeless:
            homeless.add(namespace)
            message = (
                f"no FederatedNamespace {namespace} among the files: without one at the hub nothing in it is placed"
            )
            yield index, Finding(Rule.NAMESPACE, "metadata.namespace", message, Severity.WARNING)


def _is_namespaced_scope(document: Document) -> bool:
    """Whether this is a KubeFedConfig with scope Namespaced: then a missing FederatedNamespace restricts nothing."""
    spec = document.get("spec")
    return (
        document.get("kind") == "KubeFedConfig"
        and catalogue.group_of(document) == "core.kubefed.io"
        and isinstance(spec, Mapping)
        and spec.get("scope") == "Namespaced"
    )


def _twice(found: Sequence[Document], known: Catalogue) -> Iterator[tuple[int, Finding]]:
    seen: set[rendering.Key] = set()
    for index, document in enumerate(found):
        if not known.is_own(document):
            continue
        key = rendering.key(document)
        if key in seen:
            message = f"{catalogue.title(document)} is in the files twice: the one applied last counts"
            yield index, Finding(Rule.DUPLICATE, "metadata.name", message)
        seen.add(key)


def _spec(document: Document, type_: FederatedType) -> Spec | None:
    """The spec; None for an invalid one, which `validating` reports."""
    try:
        return parsing.spec(orjson.dumps(document.get("spec") or {}), namespaces=type_.is_namespace)
    except (Invalid, TypeError):
        return None


def _homes(found: Sequence[Document], known: Catalogue) -> dict[str, Placement]:
    homes: dict[str, Placement] = {}
    for document in found:
        type_ = known.federating(document)
        if type_ is not None and type_.is_namespace and (spec := _spec(document, type_)) is not None:
            homes[rendering.key(document)[3]] = spec.placement
    return homes


def _placed(spec: Spec, clusters: Fleet) -> Iterator[Finding]:
    where = spec.placement
    listed = where.clusters
    if listed is None and where.selector is None:
        yield Finding(Rule.PLACEMENT, "spec", "no placement: it is placed nowhere", Severity.WARNING)
    if clusters.clusters:
        near = ", ".join(sorted(clusters.names)[:10])
        for index, name in enumerate(listed or ()):
            if name not in clusters.names:
                message = f"no cluster {name}; there are {near}"
                yield Finding(Rule.PLACEMENT, f"spec.placement.clusters[{index}].name", message)
        for index, name in enumerate(spec.overrides):
            if name not in clusters.names:
                message = f"no cluster {name}; there are {near}"
                yield Finding(Rule.PLACEMENT, f"spec.overrides[{index}].clusterName", message)
    chosen = selected(where, clusters)
    if chosen is None:
        return
    if not chosen and listed is None and where.selector is not None:
        message = "no cluster carries these labels: it is placed nowhere"
        yield Finding(Rule.PLACEMENT, "spec.placement.clusterSelector", message, Severity.WARNING)
    for index, name in enumerate(spec.overrides):
        if name not in chosen and (not clusters.clusters or name in clusters.names):
            message = f"{name} is overridden but not in the placement"
            yield Finding(Rule.PLACEMENT, f"spec.overrides[{index}].clusterName", message, Severity.WARNING)


def _cut(spec: Spec, home: Placement, namespace: str, clusters: Fleet) -> Iterator[Finding]:
    wanted, allowed = selected(spec.placement, clusters), selected(home, clusters)
    if wanted is None or allowed is None:
        return
    lost = sorted(wanted - allowed)
    if lost:
        names = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
        message = f"FederatedNamespace {namespace} is not placed in {names}: the object is not placed there either"
        yield Finding(Rule.NAMESPACE, "spec.placement", message, Severity.WARNING)


def selected(where: Placement, clusters: Fleet) -> frozenset[str] | None:
    """The selected clusters; None where only a hub knows them."""
    if where.clusters is not None:
        return frozenset(where.clusters)
    if where.selector is None:
        return placement.NOWHERE
    if not clusters.clusters or not clusters.labels:
        return None
    return placement.select(where, {cluster.name: cluster for cluster in clusters.clusters})
