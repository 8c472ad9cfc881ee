"""Decide what every cluster should get: facts in, one Plan out. The middle of an event's road.

It has two halves. `desired` says what the clusters should hold: which of them, and which manifest. What is done about
that is decided for each cluster by the way in which it is reached: `propagation` and `removal` where this controller
writes to it, with `handing` where an agent there fetches what is written at the hub, `elsewhere` where another shard
serves it. Only clusters that are selected, or may have something of the
object, are looked at: a fleet of thousands costs an object in three of them nothing.

The order is KubeFed's: template, retained fields, overrides, managed label, and only then the comparison with what the
member has. Two rules stand above it: unknown is not absent (a cluster that cannot be asked gets a Wait, never a
Delete), and what nobody changed is kept (plan twice from the same facts, and the second plan is Keep everywhere).
"""

from collections.abc import Iterable, Mapping, Set

import msgspec

from federation.core import desired, elsewhere, handing, parsing, placement, policies, propagation, removal, staging
from federation.core.desired import Desired
from federation.core.facts import Facts
from federation.model import marks
from federation.model.conditions import PropagationStatus, Reason
from federation.model.errors import Invalid
from federation.model.federated import Spec
from federation.model.observations import Cluster, Observed
from federation.model.plan import (
    PLACES,
    Action,
    Aim,
    Basis,
    Command,
    Elsewhere,
    Keep,
    Plan,
    RemovalCause,
    RemovalReason,
    Wait,
)
from federation.model.policies import Deletion

MOST = 0.25
"""Of the fleet: where more clusters are looked at, they are taken in the fleet's order, which costs less than sorting
their names. It is the same order in every plan: where all manifests together are too large, the same ones are."""


def plan(facts: Facts) -> Plan:
    """The plan for one federated object. Never raises on user input: what is wrong becomes part of the plan."""
    meta = facts.object.metadata
    if meta.deletion_timestamp is not None:
        return _deletion(facts)
    if facts.object.broken:
        return _invalid(facts, "", facts.object.broken)
    if facts.staged is not None and facts.staged.refused:
        return _invalid(facts, "", facts.staged.refused)
    if facts.staged is not None and facts.staged.unknown:
        return Plan(meta.generation, undecided=True)
    try:
        found = desired.of(facts)
    except Invalid as error:
        return _invalid(facts, error.field, error.message)
    if found is None:
        return Plan(meta.generation, undecided=True)
    return _system_namespace(facts, found.spec) if facts.is_system_namespace else _placed(facts, found)


def _placed(facts: Facts, wanted: Desired) -> Plan:
    """One action for every selected cluster, and for every other that has a copy."""
    meta, spec, staged = facts.object.metadata, wanted.spec, wanted.staged
    selection = desired.selection(facts, spec)
    if selection is None:
        return _undecided(facts)
    chosen, selected, reason, message = selection
    actions: dict[str, Action] = {}
    rules: removal.Rules | None = None
    for cluster in _concerned(facts, selected):
        action: Action | None
        if cluster.name in selected:
            if cluster.shard is None:
                action = propagation.decide(facts, cluster, wanted)
            else:
                action = elsewhere.selected(facts, cluster)
        else:
            rules = rules or _rules(facts)
            if (action := _deselected(facts, cluster, rules)) is not None:
                action = removal.with_reason(action, desired.why_not(facts, spec, selection, cluster))
        if action is not None:
            actions[cluster.name] = action
    finalized = marks.SYNC_FINALIZER in meta.finalizers
    return Plan(
        generation=meta.generation,
        actions=actions,
        selected=selected,
        reason=reason,
        message=message,
        finalizer=True if not finalized and _leaves_traces(facts, actions) else None,
        warnings=wanted.base.warnings,
        selector=placement.selector_of(spec.placement),
        unjoined=placement.unknown(spec.placement, facts.clusters),
        excluded=tuple(sorted(chosen - selected)) if spec.placement.clusters is not None else (),
        nowhere=""
        if selected or reason
        else placement.nowhere(
            spec.placement, len(facts.clusters), chosen, facts.namespace.change if facts.namespace is not None else ""
        ),
        held=staging.message(staged) if staged is not None else "",
        staged=staged.serial if staged is not None else 0,
    )


def _deselected(facts: Facts, cluster: Cluster, rules: removal.Rules) -> Action | None:
    if cluster.shard is not None:
        return elsewhere.deselected(facts, cluster)
    action = removal.deselected(facts, cluster, rules)
    return handing.leaving(facts, cluster, action) if cluster.pulls else action


def _concerned(facts: Facts, selected: Set[str]) -> Iterable[Cluster]:
    """The clusters that are selected, or may have something of the object, in the same order in every plan."""
    clusters, present = facts.clusters, facts.present
    if present is None or len(selected) == len(clusters):
        return clusters.values()
    names = present.union(selected, facts.applied, facts.unconfirmed, facts.elsewhere.lines)
    if len(names) > MOST * len(clusters):
        return [cluster for name, cluster in clusters.items() if name in names]
    return [clusters[name] for name in sorted(names) if name in clusters]


def _undecided(facts: Facts) -> Plan:
    """Nothing may be concluded, least of all that copies should go: what is there stays as it is."""
    generation, namespace = facts.object.metadata.generation, facts.namespace
    if namespace is None or not namespace.message:
        return Plan(generation, undecided=True)
    untouched = _untouched(facts, PropagationStatus.CACHED_RETRIEVAL_FAILED, namespace.message)
    return msgspec.structs.replace(untouched, reason=Reason.NAMESPACE_NOT_FEDERATED, message=namespace.message)


def _system_namespace(facts: Facts, spec: Spec) -> Plan:
    """A namespace that every cluster has for itself: it bounds the objects in it, and is never touched itself.

    What was labelled there by a controller that knew no better is let go of. A template or overrides ask for a change,
    which is refused with a message.
    """
    meta = facts.object.metadata
    actions: dict[str, Action] = {}
    change = f"Namespace {meta.name!r} is every cluster's own"
    rules, reason = _rules(facts), RemovalReason(RemovalCause.SYSTEM_NAMESPACE, change, basis=Basis(meta))
    for cluster in _concerned(facts, placement.NOWHERE):
        if (action := _deselected(facts, cluster, rules)) is not None:
            actions[cluster.name] = removal.with_reason(action, reason)
    selected = facts.select(spec.placement)
    where = ", ".join(sorted(selected)) if selected else "no cluster"
    untouched = f"Namespace {meta.name!r} is every cluster's own: it is never created, changed or deleted"
    if spec.template is not None or spec.overrides:
        message = f"{untouched}; take spec.template and spec.overrides out (objects in it may go to {where})"
        return Plan(meta.generation, actions, reason=Reason.SYSTEM_NAMESPACE, message=message)
    message = f"{untouched}; objects in it may go to {where}"
    selector = placement.selector_of(spec.placement)
    return Plan(meta.generation, actions, nowhere=message, ready_reason=Reason.SYSTEM_NAMESPACE, selector=selector)


def _leaves_traces(facts: Facts, actions: Mapping[str, Action]) -> bool:
    """Whether something of ours is to be taken back from a member before the object may go."""
    if any(_leaves_trace(action) for action in actions.values()):
        return True
    observations = map(facts.observe, actions)
    return any(isinstance(observed, Observed) and observed.claimed for observed in observations)


def _leaves_trace(action: Action) -> bool:
    if isinstance(action, Command):
        return action.aim in PLACES or action.aim is Aim.CLAIM
    return isinstance(action, Keep | Elsewhere)


def _rules(facts: Facts) -> removal.Rules:
    """What holds for all copies that the object should not have."""
    meta = facts.object.metadata
    deletion, refused = Deletion.DELETE, ""
    try:
        deletion = policies.deletion(meta.annotations, facts.type.policies, facts.policies)
    except Invalid as error:
        refused = f"{error.field}: {error.message}"
    return removal.Rules(
        facts.type,
        meta.annotations,
        system=facts.is_system_namespace,
        by_user=meta.deletion_timestamp is not None,
        orphan=deletion is Deletion.ORPHAN,
        refused=refused,
    )


def _deletion(facts: Facts) -> Plan:
    """The user deletes the federated object: every copy goes, or is let go of, before the finalizer does."""
    meta = facts.object.metadata
    if marks.SYNC_FINALIZER not in meta.finalizers:
        return Plan(meta.generation, deleting=True)  # others hold it; our part is done
    orphan = meta.annotations.get(marks.ORPHAN_ANNOTATION) == "true"
    # A cluster that is selected may have a copy that a controller pushed and had no time to note.
    expected = placement.NOWHERE if facts.from_the_start else _selected_or_none(facts)
    actions: dict[str, Action] = {}
    rules, reason = _rules(facts), RemovalReason(RemovalCause.DELETION, basis=Basis(meta))
    for cluster in _concerned(facts, expected):
        action: Action | None
        if cluster.shard is not None:
            action = elsewhere.deleted(facts, cluster)
        else:
            action = removal.deleted(facts, cluster, rules, expected=cluster.name in expected, orphan=orphan)
            if cluster.pulls:
                action = handing.leaving(facts, cluster, action)
        if action is not None:
            actions[cluster.name] = removal.with_reason(action, reason)
    return Plan(
        generation=meta.generation,
        actions=actions,
        finalizer=None if actions or facts.elsewhere.silent else False,
        deleting=True,
    )


def _selected_or_none(facts: Facts) -> frozenset[str]:
    try:
        spec = parsing.spec(facts.object.spec, namespaces=facts.type.is_namespace)
    except Invalid:
        return frozenset()  # Facts.applied has what was pushed before it became invalid
    return facts.select(spec.placement)


def _invalid(facts: Facts, where: str, message: str) -> Plan:
    """The object as a whole cannot be understood: report it, and touch nothing that is there."""
    text = f"{where}: {message}" if where else message
    reason = Reason.COMPUTE_PLACEMENT_FAILED if where.startswith("spec.placement") else Reason.INVALID
    return msgspec.structs.replace(
        _untouched(facts, PropagationStatus.COMPUTE_RESOURCE_FAILED, text), reason=reason, message=text
    )


def _untouched(facts: Facts, status: PropagationStatus, message: str) -> Plan:
    """Every cluster that has, or may have, a copy keeps it; all of them wait for the same."""
    actions: dict[str, Action] = {
        name: Wait(status, message)
        for name, applied in facts.applied.items()
        if name in facts.clusters
        and facts.clusters[name].shard is None
        and (applied.known or not facts.shows_no_copy(name))
    }
    actions.update(elsewhere.untouched(facts, status, message))
    return Plan(facts.object.metadata.generation, actions, selected=frozenset(actions))
