"""What a plan is made from: everything that was observed of one federated object and its clusters at one moment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from federation.core.elsewhere import NOTHING_SAID as NO_OTHER_SHARD
from federation.core.elsewhere import Foreign
from federation.core.placement import Selections, select
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.federated import FederatedObject, FederatedType, Metadata, Placement
from federation.model.observations import Applied, Cluster, Missing, Observation
from federation.model.plan import Wait
from federation.model.policies import NOTHING_SAID, Policies

if TYPE_CHECKING:
    from federation.core.staging import Staged


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """The federation of the namespace that an object lives in.

    `selected`: the clusters its FederatedNamespace selects; None when there is no FederatedNamespace; Missing.UNKNOWN
    while that is unknown, with a `message` when somebody has to mend something first.
    `observe` gives what a cluster has under the namespace's name. `exists`: it is there without being ours, or nothing
    but an object's own push can show whether it is. `change` names the FederatedNamespace and its generation,
    `by_labels` says that it selects clusters by their labels, and `metadata` is its own; None when there is none.
    """

    selected: frozenset[str] | Missing | None
    observe: Callable[[str], Observation]
    message: str = ""
    change: str = ""
    by_labels: bool = False
    metadata: Metadata | None = None
    exists: Callable[[str], bool] = lambda cluster: False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a plan is made from, read at one moment.

    `applied` holds every cluster that has, or may have, a copy, by what we applied and by what the stored status shows.
    `unconfirmed` are clusters that were sent a create or a claim which may have come to pass though nobody has seen it
    (no answer, or its event is still to come). `guessed` are those of `applied` for which nothing but an incomplete
    status speaks. `from_the_start`: nobody else can have pushed the object, so that no other cluster than these can
    have a copy. `interrupted` are clusters where the copy was seen to go before it had run to completion
    (core.run_once), `vanished` those where one that may have was seen to go, or to lose our label.
    `staged` is how a rollout holds the object; None where none does. `elsewhere` is what other shards say of it.
    `present` are the clusters where something has the object's name; None: every one of them is to be asked.
    `unobservable` gives why one cluster's objects of this type cannot be observed now, `served` the versions of the
    type that it serves (None: not known).
    `namespace` is None for cluster-scoped objects and for FederatedNamespaces.
    `selections` is what placements select of these clusters, where somebody remembers that.
    `adopt` False: nothing that is there already is taken over, whatever policies say; `policies` are those of the
    KubeFedConfig.
    """

    type: FederatedType
    object: FederatedObject
    clusters: Mapping[str, Cluster]
    observe: Callable[[str], Observation]
    applied: Mapping[str, Applied] = field(default_factory=dict)
    unobservable: Callable[[str], Wait | None] = lambda cluster: None
    served: Callable[[str], tuple[str, ...] | None] = lambda cluster: None
    namespace: NamespaceFacts | None = None
    host_namespace: Metadata | Missing | None = None
    unconfirmed: frozenset[str] = frozenset()
    guessed: frozenset[str] = frozenset()
    from_the_start: bool = False
    interrupted: frozenset[str] = frozenset()
    vanished: frozenset[str] = frozenset()
    present: frozenset[str] | None = None
    staged: "Staged | None" = None
    elsewhere: Foreign = NO_OTHER_SHARD
    selections: Selections | None = None
    adopt: bool = True
    policies: Policies = NOTHING_SAID
    system_namespaces: frozenset[str] = marks.SYSTEM_NAMESPACES

    @property
    def is_system_namespace(self) -> bool:
        """Whether the object is the FederatedNamespace of a namespace that every cluster has for itself."""
        return self.type.is_namespace and self.object.metadata.name in self.system_namespaces

    def select(self, wanted: Placement) -> frozenset[str]:
        """The clusters that a placement selects."""
        known = self.selections
        # Facts of a few clusters (partial) may have been made of those of all.
        return (
            known.of(wanted) if known is not None and known.clusters is self.clusters else select(wanted, self.clusters)
        )

    def may_have_copy(self, cluster: str) -> bool:
        """Whether the cluster has a copy as far as we know, or may have one that nobody has seen."""
        return cluster in self.applied or cluster in self.unconfirmed

    def shows_no_copy(self, cluster: str) -> bool:
        """Whether a list of the cluster shows that it has none, and no create is known that came after the list."""
        return self.observe(cluster) is Missing.ABSENT and cluster not in self.unconfirmed


def unready(cluster: Cluster) -> Wait:
    """Why a cluster that is not ready gets nothing."""
    if cluster.ready is None:
        return Wait(PropagationStatus.PENDING, "the cluster has not been probed yet")
    return Wait(PropagationStatus.CLUSTER_NOT_READY, cluster.message)
