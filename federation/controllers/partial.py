"""Plan anew for the clusters of which there is news, and keep what is planned for all others.

An object is placed in thousands of clusters, and news mostly concerns one: its list has ended, it answers again,
somebody changed its copy. What is done in a cluster follows from the object and from that cluster alone
(core.planning), so a plan from the facts of these few has their actions. Whatever may be more than that is planned for
all. Used by sync.
"""

from collections.abc import Mapping, Set

import msgspec

from federation.controllers.tracks import NOBODY, Track
from federation.controllers.world import TypeState
from federation.model.federated import FederatedObject, ReducedObject
from federation.model.observations import Cluster
from federation.model.plan import Plan, Refuse

MOST = 0.75
"""Of the fleet: where there is news of more, a plan for all is made. A plan costs what its clusters cost, so there is
little to be saved by one for nearly all of them."""


def concerned(state: TypeState, federated: FederatedObject, track: Track, fleet: Mapping[str, Cluster]) -> Set[str]:
    """The clusters that alone are to be planned anew; none: all are."""
    plan, meta = track.plan, federated.metadata
    if track.stale or track.departed or plan is None or len(track.news) > MOST * len(fleet):
        return NOBODY
    if plan.undecided or plan.reason or plan.deleting or plan.finalizer is False or plan.generation != meta.generation:
        return NOBODY
    if state.type.is_namespace or meta.deletion_timestamp is not None or isinstance(federated, ReducedObject):
        return NOBODY  # what is inside a namespace depends on its plan, too
    return track.news


def merged(track: Track, part: Plan, clusters: Set[str]) -> Plan | None:
    """The plan of the track with the `part` that was made for these clusters; None: it takes a plan for all."""
    whole = track.plan
    if whole is None or part.undecided or part.reason or part.deleting or part.finalizer is not None:
        return None
    if part.generation != whole.generation or part.selected != whole.selected & clusters:
        return None
    if any(isinstance(track.actions.get(cluster), Refuse) for cluster in clusters):
        return None  # perhaps because all manifests together are too large (core.variants)
    others = {cluster: action for cluster, action in track.actions.items() if cluster not in clusters}
    return msgspec.structs.replace(whole, actions=others | dict(part.actions), finalizer=None)
