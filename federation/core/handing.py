"""Decide what the agent of a cluster in pull mode is handed, and what its work at the hub says came of it. Pure.

The counterpart of push for a selected cluster, called by `propagation` with the same manifest; a copy leaves a cluster
by the rules of `removal`, whatever the way. What is written is a ManifestWork (`works`), and it is written whether the
agent is heard or not: it fetches when it can. What a cluster has is what the status of its work says of the work's
present generation; while the agent is silent that is not known, and its line says since when.
"""

from typing import assert_never

from federation.core import removal, run_once, workfeedback, works
from federation.core.facts import Facts
from federation.core.variants import Made
from federation.core.works import Wanted
from federation.model import marks
from federation.model.conditions import Phase, PropagationStatus
from federation.model.federated import FederatedType
from federation.model.observations import BY_WORK, Cluster, Missing, Observation, ObservedWork, Said
from federation.model.plan import HANDED_OVER, Action, Delete, HandOver, Refuse, Release, Wait
from federation.model.policies import Deletion, Drift, InForce, Takeover
from federation.model.resources import ObjectName

UNLISTED = "the works of this cluster have not been listed at the hub yet"
_BEFORE = (
    "it was pushed there before the cluster came into pull mode, and no work stands for it: it is removed when "
    "spec.syncMode of the KubeFedCluster is Push again"
)

_TO_BE_TAKEN_OVER = (
    "it was pushed there before the cluster came into pull mode, and its agent has not taken it over yet: it would "
    "remove nothing that it has not applied"
)


def decide(facts: Facts, cluster: Cluster, observed: Observation, made: Made, in_force: InForce) -> Action:
    """The action for one cluster in pull mode that should have the object."""
    match observed:
        case Missing.UNKNOWN:
            return Wait(PropagationStatus.PENDING, UNLISTED)
        case Missing.ABSENT:
            return _refused(facts, cluster, made, in_force) or _hand_over(facts, made, in_force)
        case ObservedWork():
            return _update(facts, cluster, observed, made, in_force)
        case _:
            return Wait(PropagationStatus.PENDING, UNLISTED)  # what push had observed


def _hand_over(facts: Facts, made: Made, in_force: InForce, observed: ObservedWork | None = None) -> HandOver:
    enabled, federated = facts.type, facts.object.where
    target = target_of(enabled, federated)
    wanted = wanted_of(facts, made, in_force)
    return HandOver(
        work=works.name(enabled, target),
        body=works.body(enabled, federated, target, made, wanted),
        digest=made.digest,
        work_digest=works.digest(made, wanted),
        uid=observed.uid if observed is not None else "",
        next=observed.next if observed is not None else 1,
        generation=made.generation,
        joins=_joins(enabled, wanted),
        bundle=observed.bundle if observed is not None else "",
    )


def _joins(enabled: FederatedType, wanted: Wanted) -> bool:
    """Whether it may be in one work with other objects.

    Not what stays in the member when its work goes, nor what others depend on, nor what runs once: of a work that has
    run as a whole nothing is applied again.
    """
    alone = wanted.orphans or wanted.completes or run_once.shows_its_end(enabled)
    return not alone and not removal.has_contents(enabled)


def _update(facts: Facts, cluster: Cluster, observed: ObservedWork, made: Made, in_force: InForce) -> Action:
    if observed.broken:
        return Wait(PropagationStatus.RETRIEVAL_FAILED, f"the cluster's work cannot be read: {observed.broken}")
    if observed.deleting:
        message = "the work is being deleted; it is written again once its agent has let it go"
        return Wait(PropagationStatus.PENDING, _with_silence(message, cluster), known=True)
    if (refused := _refused(facts, cluster, made, in_force)) is not None:
        return refused
    # What was to be deleted and is wanted after all must not go by a later deletion that nobody here has asked for.
    if observed.noted or not observed.intact or observed.digest != works.digest(made, wanted_of(facts, made, in_force)):
        return _hand_over(facts, made, in_force, observed)
    if cluster.silent:
        return Wait(PropagationStatus.CLUSTER_NOT_READY, f"{_LAST[observed.said]}{cluster.silent}", known=True)
    match observed.said:
        case Said.APPLIED:
            return made.kept(BY_WORK)
        case Said.FAILED:
            before = facts.applied.get(cluster.name)
            updates = before is not None and before.known
            status = PropagationStatus.UPDATE_FAILED if updates else PropagationStatus.CREATION_FAILED
            return Wait(status, observed.message, known=True)
        case Said.NOTHING:
            return HANDED_OVER
        case _:
            assert_never(observed.said)


_LAST = {Said.APPLIED: "", Said.FAILED: "handed over, and not applied; ", Said.NOTHING: "handed over; "}


def wanted_of(facts: Facts, made: Made, in_force: InForce) -> Wanted:
    """What the work says beside its manifest."""
    annotations, enabled = facts.object.metadata.annotations, facts.type
    return Wanted(
        ignored=(*in_force.ignored, *sorted(("metadata", *each) for each in made.yields)),
        orphans=_orphans(facts, in_force),
        completes=run_once.runs_once(annotations, enabled, made.body),
        reports=workfeedback.asked(enabled, staged=marks.ROLLOUT_LABEL in facts.object.metadata.labels),
    )


def _orphans(facts: Facts, in_force: InForce) -> bool:
    """Whether the copy stays should the work go by somebody else's hand. Our own removals say so themselves.

    What has contents of others stays: nothing at the hub shows whether the agent created it.
    """
    annotations = facts.object.metadata.annotations
    if in_force.deletion is Deletion.ORPHAN or annotations.get(marks.ORPHAN_ANNOTATION) == "true":
        return True
    return removal.has_contents(facts.type) and annotations.get(marks.DELETE_ADOPTED_ANNOTATION) != "true"


def _refused(facts: Facts, cluster: Cluster, made: Made, in_force: InForce) -> Refuse | None:
    """What an agent cannot be asked for. What is there already stays as it is."""
    applied = facts.applied.get(cluster.name)
    if in_force.drift is Drift.REPORT:
        message = f"policy drift: {Drift.REPORT} is not possible in pull mode: its agent puts back what differs"
        return Refuse(PropagationStatus.COMPUTE_RESOURCE_FAILED, message)
    if (not facts.adopt or in_force.takeover is not Takeover.ALWAYS) and (applied is None or not applied.known):
        what = f"takeover: {in_force.takeover}" if facts.adopt else "adoptResources: Disabled"
        message = f"policy {what} is not possible in pull mode: its agent takes over what is there"
        return Refuse(PropagationStatus.COMPUTE_RESOURCE_FAILED, message)
    annotations = facts.object.metadata.annotations
    if not run_once.shows_its_end(facts.type) and run_once.runs_once(annotations, facts.type, made.body):
        message = f"annotation {marks.RUN_ONCE_ANNOTATION} is possible for Jobs and Pods alone in pull mode"
        return Refuse(PropagationStatus.COMPUTE_RESOURCE_FAILED, message)
    return None


def target_of(enabled: FederatedType, federated: ObjectName) -> ObjectName:
    """The name of the copy in the member."""
    return federated if enabled.target.namespaced else ObjectName("", federated.name)


# --- a cluster that should not have it ---------------------------------------------------------------------------


def leaving(facts: Facts, cluster: Cluster, action: Action | None) -> Action | None:
    """What `removal` has decided for a cluster in pull mode, in words that fit, and with what only its agent can do."""
    name = cluster.name
    observed, applied = facts.observe(name), facts.applied.get(name)
    pushed = applied is not None and applied.known and applied.owned_digest != BY_WORK
    if action is None:
        return Wait(PropagationStatus.WAITING_FOR_REMOVAL, _BEFORE) if pushed and observed is Missing.ABSENT else None
    if observed is Missing.ABSENT and removal.lost(applied, cluster) and _stays(action):
        return None  # with its work lost nothing can be asked of its agent but to remove it
    if pushed and isinstance(action, Delete | Release) and not _taken_over(observed):
        return Wait(PropagationStatus.WAITING_FOR_REMOVAL, _with_silence(_TO_BE_TAKEN_OVER, cluster))
    if not isinstance(action, Wait) or action.status.phase is not Phase.REMOVING:
        return action
    message, handed = action.message, False
    if isinstance(observed, ObservedWork) and observed.deleting:
        handed = not cluster.silent
        what = "it is taken out of its work" if observed.bundle else "its work is deleted"
        does = "let go of" if observed.orphans else "removed"
        message = f"{what}, and its agent has not {does} the copy yet"
    return Wait(action.status, _with_silence(message, cluster), known=action.known, hold=action.hold, handed=handed)


def _stays(action: Action) -> bool:
    return isinstance(action, Release) or (isinstance(action, Delete) and action.only_created)


def _taken_over(observed: Observation) -> bool:
    return isinstance(observed, ObservedWork) and observed.said is Said.APPLIED


def _with_silence(message: str, cluster: Cluster) -> str:
    return f"{message}; {cluster.silent}" if cluster.silent else message
