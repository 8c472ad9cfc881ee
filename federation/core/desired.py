"""What the clusters should hold of one federated object: which of them, which manifest, or why there is none. Pure.

The first half of planning, and the same by whatever way a cluster is reached. What is done about it in one cluster
follows in the second half from what is observed there: `propagation` and `removal` for a cluster that this controller
writes to, `elsewhere` for one that another shard serves.
"""

from dataclasses import replace
from typing import NamedTuple

from federation.core import ignoring, manifest, parsing, placement, policies, staging
from federation.core.facts import Facts, NamespaceFacts
from federation.core.variants import Made, Variants, VersionUnavailable
from federation.model import marks
from federation.model.conditions import PropagationStatus, Reason
from federation.model.errors import Invalid
from federation.model.federated import Placement, Spec
from federation.model.observations import Cluster, Missing
from federation.model.plan import Basis, Refuse, RemovalCause, RemovalReason, Wait
from federation.model.policies import InForce


class Selection(NamedTuple):
    """Which clusters should have the object: those `chosen` by its own placement, as far as its namespace's allows.

    `reason` and `message` are about the object as a whole, where that does not select any.
    """

    chosen: frozenset[str]
    selected: frozenset[str]
    reason: Reason = Reason.OK
    message: str = ""


class Desired:
    """What one object says: its spec, the manifest before overrides, the policies in force, each cluster's manifest.

    A rollout may hold clusters to older contents (staging).
    """

    __slots__ = ("_facts", "_older", "_present", "base", "in_force", "spec", "staged")

    def __init__(self, facts: Facts, spec: Spec, base: manifest.Base, in_force: InForce) -> None:
        self.spec = spec
        self.base = base
        self.in_force = in_force
        self.staged = facts.staged
        self._facts = facts
        self._present = Variants(spec, base, facts.served, in_force.ignored)
        self._older: dict[str, Variants | Wait] = {}

    def manifest_for(self, cluster: Cluster) -> Made | Refuse | Wait:
        """What this cluster should hold; a Refuse where its user has to change something first.

        Where it is `withheld`, that is of the present content.
        """
        variants = self._present
        if self.staged is not None:
            found = self.variants(cluster.name)
            if isinstance(found, Wait):
                return found
            variants = found
        try:
            return variants.manifest_for(cluster)
        except Invalid as error:
            ignoring_failed = error.field == ignoring.FIELD
            status = (
                PropagationStatus.FIELD_RETENTION_FAILED
                if ignoring_failed
                else PropagationStatus.APPLY_OVERRIDES_FAILED
            )
            return Refuse(status, f"{error.field}: {error.message}")
        except VersionUnavailable as error:
            return Wait(PropagationStatus.VERSION_UNAVAILABLE, str(error))

    def variants(self, cluster: str) -> Variants | Wait:
        """The manifests of the content that a cluster is given; a Wait where that is invalid."""
        staged = self.staged
        wanted = staged.content(staged.record.holds, cluster) if staged is not None else ""
        if staged is None or wanted == staged.digest or wanted not in staged.contents:
            return self._present
        older = self._older.get(wanted)
        if older is None:
            older = self._older[wanted] = staging.variants_of(self._facts, staged.contents[wanted], self.in_force)
        return older

    def withheld(self, cluster: str) -> str:
        """Why a cluster gets nothing but what was applied there already; "" where it gets its manifest.

        A rollout holds it, and the content that it should have is not known.
        """
        staged = self.staged
        return staging.withheld(staged, cluster) if staged is not None else ""


def of(facts: Facts) -> Desired | None:
    """What the object says. Raises Invalid.

    None while the hub's Namespace is not known whose labels are asked for: without them the members' would be taken
    away.
    """
    meta = facts.object.metadata
    if facts.type.is_namespace and meta.name != meta.namespace:
        raise Invalid("metadata.name", f"must be the name of the namespace it lives in, {meta.namespace!r}")
    spec = parsing.spec(facts.object.spec, namespaces=facts.type.is_namespace)
    # KubeFed gives a namespace without a template no labels; whoever wants the host's asks for them.
    copied = spec.template is None and meta.annotations.get(marks.COPY_ANNOTATION) == "true"
    host = facts.host_namespace if copied else None
    if isinstance(host, Missing):
        return None
    base = manifest.base(spec, facts.type, facts.object.where, host_namespace=host)
    return Desired(facts, spec, base, policies.in_force(meta.annotations, facts.type.policies, facts.policies))


def selection(facts: Facts, spec: Spec) -> Selection | None:
    """Which clusters should have it; None while it is not known what its namespace's placement selects."""
    chosen, namespace = facts.select(spec.placement), facts.namespace
    if namespace is None:
        return Selection(chosen, chosen)
    within = namespace.selected
    if isinstance(within, Missing):
        return None
    if within is None:
        name = facts.object.metadata.namespace
        message = f"namespace {name!r} has no FederatedNamespace: create one named {name!r} in it"
        return Selection(chosen, placement.NOWHERE, Reason.NAMESPACE_NOT_FEDERATED, message)
    return Selection(chosen, chosen & within)


def why_not(facts: Facts, spec: Spec, selection: Selection, cluster: Cluster) -> RemovalReason:
    """Why a cluster should not have it: by which object's change, of which generation, and all that it rests on."""
    if cluster.name in selection.chosen and facts.namespace is not None:
        return _by_namespace(facts, facts.namespace, cluster)
    return _by_placement(facts, spec.placement, cluster)


def _by_namespace(facts: Facts, namespace: NamespaceFacts, cluster: Cluster) -> RemovalReason:
    basis = Basis(facts.object.metadata, namespace.metadata, unfederated=namespace.metadata is None)
    if namespace.selected is None:
        change = namespace.change or "there is no FederatedNamespace"
        return RemovalReason(RemovalCause.NO_NAMESPACE, change, basis=basis)
    change = f"{namespace.change or 'its FederatedNamespace'} does not select the cluster"
    if namespace.by_labels:
        change += f": its clusterSelector does not match the labels of KubeFedCluster {cluster.name!r}"
        basis = replace(basis, labels=cluster.labels)
    return RemovalReason(RemovalCause.NAMESPACE, change, basis=basis)


def _by_placement(facts: Facts, own: Placement, cluster: Cluster) -> RemovalReason:
    meta, applied = facts.object.metadata, facts.applied.get(cluster.name)
    by_labels = own.clusters is None and own.selector is not None
    basis = Basis(meta, labels=cluster.labels if by_labels else None)
    if by_labels and applied is not None and applied.generation == meta.generation:
        change = f"the labels of KubeFedCluster {cluster.name!r} do not match spec.placement.clusterSelector any more"
        return RemovalReason(RemovalCause.CLUSTER_LABELS, change, basis=basis)
    field = ".clusters" if own.clusters is not None else ".clusterSelector" if by_labels else ""
    change = f"spec.placement{field} of generation {meta.generation} does not select the cluster"
    return RemovalReason(RemovalCause.PLACEMENT, change, basis=basis)
