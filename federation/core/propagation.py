"""Decide what is done in a selected cluster: a manifest applied, a copy kept as it is, or a reason to wait.

Pure, called by planning; the counterpart of removal, which decides how a copy leaves a cluster. What must be so before
anything is done is the same for every cluster; then push goes on here, and `handing` where an agent fetches.
"""

from typing import assert_never

from federation.core import claims, cordons, handing, recreation, removal, run_once
from federation.core.desired import Desired
from federation.core.facts import Facts, NamespaceFacts, unready
from federation.core.variants import Made
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.observations import UNKNOWN_DIGEST, Applied, Cluster, Missing, Observed
from federation.model.plan import Action, Apply, Compare, HandOver, Keep, KeepOlder, Release, Wait
from federation.model.policies import Drift, InForce, Takeover

_GONE = (
    f"somebody deleted the copy, or took our label off it; policy drift: {Drift.REPORT} leaves it so "
    "until the manifest changes"
)


def decide(facts: Facts, cluster: Cluster, desired: Desired) -> Action:
    """The action for one cluster that should have the object."""
    action = _wanted(facts, cluster, desired)
    if cluster.cordon is not None:
        action = cordons.held(action, cluster)
    if desired.staged is not None and (why := desired.withheld(cluster.name)):
        return _as_it_is(facts, cluster, action, why)
    return action


def _as_it_is(facts: Facts, cluster: Cluster, action: Action, why: str) -> Action:
    """Nothing is known that the cluster should have: what it has already stays, and is kept as it was applied.

    `action` is what it would get of the present content.
    """
    if isinstance(action, Keep | Wait):
        return action
    applied = facts.applied.get(cluster.name)
    if isinstance(action, Apply | Compare | HandOver) and applied is not None and applied.digest == action.digest:
        return action
    return Wait(PropagationStatus.HELD, why)


def _wanted(facts: Facts, cluster: Cluster, desired: Desired) -> Action:
    name = cluster.name
    if not cluster.ready:
        return unready(cluster)
    if (waiting := facts.unobservable(name)) is not None:
        return waiting
    observed = facts.observe(name)
    if facts.namespace is not None and (waiting := _await_namespace(facts.namespace, name)) is not None:
        return waiting
    made = desired.manifest_for(cluster)
    if not isinstance(made, Made):
        return made
    in_force = desired.in_force
    if cluster.pulls:
        return handing.decide(facts, cluster, observed, made, in_force)
    match observed:
        case Missing.UNKNOWN:
            return Wait(PropagationStatus.PENDING, "the cluster's objects have not been listed yet")
        case Missing.ABSENT:
            return _create(facts, name, made, in_force)
        case Observed():
            return _update(facts, name, observed, made, in_force)
        case _:
            assert_never(observed)


def _await_namespace(namespace: NamespaceFacts, cluster: str) -> Wait | None:
    match namespace.observe(cluster):
        case Observed(deleting=True):
            return Wait(
                PropagationStatus.PENDING, "the namespace is being deleted in this cluster", known=True, namespace=True
            )
        case Observed():
            return None
        case Missing() if namespace.exists(cluster):
            return None
        case Missing.ABSENT:
            message = "waiting for the namespace to be created in this cluster"
            return Wait(PropagationStatus.PENDING, message, known=True, namespace=True)
        case _:
            return Wait(PropagationStatus.PENDING, "the cluster's namespaces have not been listed yet")


def _create(facts: Facts, name: str, made: Made, in_force: InForce) -> Action:
    applied = facts.applied.get(name)
    if applied is not None and applied.digest == made.digest and _has_completed(facts, name, made):
        if name in facts.vanished:
            return Apply(
                made.content,
                made.digest,
                made.api_version,
                retain_replicas=made.retain,
                restores=True,
                generation=made.generation,
            )
        return made.kept(applied.owned_digest, note=run_once.MESSAGE)
    if applied is not None and _only_reports(in_force, applied, made):
        return Wait(PropagationStatus.DRIFTED, _GONE, known=True)
    return Apply(
        made.creation(),
        made.digest,
        made.api_version,
        create_only=not facts.adopt or in_force.takeover is not Takeover.ALWAYS,
        takeover=in_force.takeover if facts.adopt else Takeover.ALWAYS,
        hand_over=made.replicas,
        retain_replicas=made.retain,
        first=True,
        yields=made.yields,
        mark=removal.has_contents(facts.type),
        ignored=made.ignored,
        generation=made.generation,
    )


def _only_reports(in_force: InForce, applied: Applied, made: Made) -> bool:
    """Whether what differs from this manifest is somebody else's doing, and is to stay.

    Not what the member may have of a write of ours that got no answer, nor what we have removed ourselves.
    """
    ours = applied.digest == made.digest and applied.owned_digest != UNKNOWN_DIGEST
    return ours and in_force.drift is Drift.REPORT


def _has_completed(facts: Facts, name: str, made: Made) -> bool:
    """Whether a copy that was applied and is gone has run to completion, and does not run again by itself."""
    annotations = facts.object.metadata.annotations
    return name not in facts.interrupted and run_once.runs_once(annotations, facts.type, made.body)


def _update(facts: Facts, name: str, observed: Observed, made: Made, in_force: InForce) -> Action:
    if observed.broken:
        return Wait(PropagationStatus.RETRIEVAL_FAILED, f"the object in this cluster cannot be read: {observed.broken}")
    if observed.deleting:
        return Wait(
            PropagationStatus.PENDING,
            "the object is being deleted in this cluster; it is created again once it is gone",
            known=True,
        )
    if not observed.managed:
        if observed.claimed and not observed.owned_digest:
            return Release(observed.uid, keep_label=True)
        return Wait(
            PropagationStatus.MANAGED_LABEL_FALSE,
            f'label {marks.MANAGED_LABEL} is not "true" there: somebody keeps us away',
        )
    applied = facts.applied.get(name)
    if applied is not None and not applied.known:
        applied = None
    same = applied is not None and applied.digest == made.digest and applied.shown_by(observed)
    if observed.other_hub:
        kept = None
        if same and observed.owned_digest:
            kept = made.kept(observed.owned_digest, claims.rivals(observed))
        return claims.decide(observed, kept, ours_before=applied is not None)
    if same and not observed.claimed:
        if made.generation:
            return KeepOlder(made.digest, observed.owned_digest, observed.claims, generation=made.generation)
        return Keep(made.digest, observed.owned_digest, observed.claims)  # as nearly all
    if not same and applied is not None and _only_reports(in_force, applied, made):
        return Compare(
            observed.uid,
            made.content,
            made.digest,
            observed.owned_digest,
            made.api_version,
            yields=made.yields,
            generation=made.generation,
        )
    hand_over = None
    if made.retain and observed.owns_replicas:
        # A number that is not the last applied conflicts with our own fields; the push then reads what it is.
        hand_over = made.replicas if made.replicas is not None else 0
    return Apply(
        made.content,
        made.digest,
        made.api_version,
        uid=observed.uid,
        hand_over=hand_over,
        retain_replicas=made.retain,
        legacy=observed.legacy,
        first=applied is None,
        yields=made.yields,
        changed=applied is None or applied.digest != made.digest,
        mark=observed.created,
        ignored=made.ignored,
        generation=made.generation,
        recreation=recreation.allow(
            facts.object.metadata,
            facts.type,
            made.creation,
            digest=made.digest,
            applied=applied.digest if applied is not None else None,
        ),
    )
