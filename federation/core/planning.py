"""Decide what every cluster should get: facts in, one Plan out. The middle of an event's road.

`propagation` decides for a selected cluster, `removal` for one that should not have the object. The order is KubeFed's:
template, retained fields, overrides, managed label, and only then the comparison with what the member has. Two rules
stand above it: unknown is not absent (a cluster that cannot be asked gets a Wait, never a Delete), and what nobody
changed is kept (plan twice from the same facts, and the second plan is Keep everywhere).
"""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from federation.core import cordons, manifest, parsing, placement, policies, propagation, removal, staging
from federation.core.facts import Facts
from federation.core.variants import Variants
from federation.model import marks
from federation.model.conditions import PropagationStatus, Reason
from federation.model.errors import Invalid
from federation.model.federated import Spec
from federation.model.observations import Cluster, Missing, Observed
from federation.model.plan import (
    Action,
    Apply,
    Basis,
    Claim,
    Delete,
    Keep,
    Plan,
    Refuse,
    Release,
    RemovalCause,
    RemovalReason,
    Wait,
)
from federation.model.policies import Deletion, InForce


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
    if facts.type.is_namespace and meta.name != meta.namespace:
        return _invalid(facts, "metadata.name", f"must be the name of the namespace it lives in, {meta.namespace!r}")
    try:
        spec = parsing.spec(facts.object.spec, namespaces=facts.type.is_namespace)
        # KubeFed gives a namespace without a template no labels; whoever wants the host's asks for them.
        copied = spec.template is None and meta.annotations.get(marks.COPY_ANNOTATION) == "true"
        host = facts.host_namespace if copied else None
        if isinstance(host, Missing):
            return Plan(meta.generation, undecided=True)  # without its labels the members' would be taken away
        base = manifest.base(spec, facts.type, facts.object.where, host_namespace=host)
        in_force = policies.in_force(meta.annotations, facts.type.policies, facts.policies)
    except Invalid as error:
        return _invalid(facts, error.field, error.message)
    return _system_namespace(facts, spec) if facts.is_system_namespace else _placed(facts, spec, base, in_force)


def _placed(facts: Facts, spec: Spec, base: manifest.Base, in_force: InForce) -> Plan:
    """One action for every selected cluster, and for every other that has a copy."""
    meta = facts.object.metadata
    chosen = selected = placement.select(spec.placement, facts.clusters)
    reason, message = Reason.OK, ""
    if facts.namespace is not None:
        within = facts.namespace.selected
        if within is Missing.UNKNOWN:
            # Nothing may be concluded, least of all that copies should go: what is there stays as it is.
            if not facts.namespace.message:
                return Plan(meta.generation, undecided=True)
            untouched = _untouched(facts, PropagationStatus.CACHED_RETRIEVAL_FAILED, facts.namespace.message)
            return msgspec.structs.replace(
                untouched, reason=Reason.NAMESPACE_NOT_FEDERATED, message=facts.namespace.message
            )
        if within is None:
            reason = Reason.NAMESPACE_NOT_FEDERATED
            message = (
                f"namespace {meta.namespace!r} has no FederatedNamespace: create one named {meta.namespace!r} in it"
            )
        selected &= within if isinstance(within, frozenset) else frozenset()
    actions: dict[str, Action] = {}
    variants, rules, holding = Variants(spec, base, facts.served, in_force.ignored), _rules(facts), facts.holding
    staged = facts.staged
    held = staging.decider(facts, staged, variants, in_force) if staged is not None else None
    for name, cluster in facts.clusters.items():
        if name in selected:
            actions[name] = held(cluster) if held else propagation.decide(facts, cluster, variants, in_force)
        elif name in holding and (action := _remove(facts, cluster, rules)) is not None:
            actions[name] = removal.with_reason(action, _removal_reason(facts, spec, cluster, chosen))
    finalized = marks.SYNC_FINALIZER in meta.finalizers
    return Plan(
        generation=meta.generation,
        actions=actions,
        selected=selected,
        reason=reason,
        message=message,
        finalizer=True if not finalized and _leaves_traces(facts, actions) else None,
        warnings=base.warnings,
        selector=placement.selector_of(spec.placement),
        unjoined=placement.unknown(spec.placement, facts.clusters),
        nowhere=""
        if selected or reason
        else placement.nowhere(
            spec.placement, len(facts.clusters), chosen, facts.namespace.change if facts.namespace is not None else ""
        ),
        held=staging.message(staged) if staged is not None else "",
        staged=staged.serial if staged is not None else 0,
    )


def _removal_reason(facts: Facts, spec: Spec, cluster: Cluster, chosen: frozenset[str]) -> RemovalReason:
    """What a removal from a cluster follows from: which object's change, of which generation, and all it rests on."""
    name, namespace, meta = cluster.name, facts.namespace, facts.object.metadata
    if name in chosen and namespace is not None:
        basis = Basis(meta, namespace.metadata, unfederated=namespace.metadata is None)
        if namespace.selected is None:
            change = namespace.change or "there is no FederatedNamespace"
            return RemovalReason(RemovalCause.NO_NAMESPACE, change, basis=basis)
        change = f"{namespace.change or 'its FederatedNamespace'} does not select the cluster"
        if namespace.by_labels:
            change += f": its clusterSelector does not match the labels of KubeFedCluster {name!r}"
            basis = replace(basis, labels=cluster.labels)
        return RemovalReason(RemovalCause.NAMESPACE, change, basis=basis)
    applied = facts.applied.get(name)
    reason = removal.deselected(spec.placement, name, meta.generation, applied.generation if applied is not None else 0)
    by_labels = spec.placement.clusters is None and spec.placement.selector is not None
    return replace(reason, basis=Basis(meta, labels=cluster.labels if by_labels else None))


def _system_namespace(facts: Facts, spec: Spec) -> Plan:
    """A namespace that every cluster has for itself: it bounds the objects in it, and is never touched itself.

    What was labelled there by a controller that knew no better is let go of. A template or overrides ask for a change,
    which is refused with a message.
    """
    meta = facts.object.metadata
    actions: dict[str, Action] = {}
    rules, holding = _rules(facts), facts.holding
    for name, cluster in facts.clusters.items():
        if name in holding and (action := _remove(facts, cluster, rules)) is not None:
            change = f"Namespace {meta.name!r} is every cluster's own"
            reason = RemovalReason(RemovalCause.SYSTEM_NAMESPACE, change, basis=Basis(meta))
            actions[name] = removal.with_reason(action, reason)
    selected = placement.select(spec.placement, facts.clusters)
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
    if any(isinstance(action, Apply | Claim | Keep) for action in actions.values()):
        return True
    observations = map(facts.observe, actions)
    return any(isinstance(observed, Observed) and observed.claimed for observed in observations)


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


def _remove(facts: Facts, cluster: Cluster, rules: removal.Rules) -> Action | None:
    """What to do in a cluster of `Facts.holding` where the object should not be; None when nothing is there."""
    name = cluster.name
    if not cluster.ready:
        return _unasked(facts, cluster) if facts.may_have_copy(name) or _was_ours(facts, name) else None
    observed = facts.observe(name)
    if observed is Missing.ABSENT and name not in facts.unconfirmed:
        return None  # gone already: each copy's event brings an object that is being deleted here
    copy = removal.Copy(
        placed=name in facts.applied and name not in facts.guessed,
        may_exist=facts.may_have_copy(name),
        unconfirmed=name in facts.unconfirmed,
        in_host=cluster.is_host,
    )
    action = removal.decide(observed, copy, rules)
    return action if cluster.cordon is None or action is None else cordons.held(action, cluster)


def _was_ours(facts: Facts, name: str) -> bool:
    """Whether the object was last seen with something of ours."""
    observed = facts.observe(name)
    return isinstance(observed, Observed) and (observed.claimed or (observed.managed and bool(observed.owned_digest)))


def _unasked(facts: Facts, cluster: Cluster) -> Wait:
    """A cluster that is away has a copy, or may have one."""
    waiting, applied = propagation.unready(cluster), facts.applied.get(cluster.name)
    if applied is None or applied.known:
        return waiting
    return replace(waiting, message=f"{waiting.message}; it may hold a copy and is asked once it answers")


def _deletion(facts: Facts) -> Plan:
    """The user deletes the federated object: every copy goes, or is let go of, before the finalizer does."""
    meta = facts.object.metadata
    if marks.SYNC_FINALIZER not in meta.finalizers:
        return Plan(meta.generation, deleting=True)  # others hold it; our part is done
    orphan = meta.annotations.get(marks.ORPHAN_ANNOTATION) == "true"
    wanted: frozenset[str] | None = None
    actions: dict[str, Action] = {}
    rules, holding = _rules(facts), facts.holding
    reason = RemovalReason(RemovalCause.DELETION, basis=Basis(meta))
    for name, cluster in facts.clusters.items():
        action = _remove(facts, cluster, rules) if name in holding else None
        unseen = not cluster.ready or facts.observe(name) is Missing.UNKNOWN
        if action is None and unseen and not facts.from_the_start:
            if wanted is None:
                wanted = _selected_or_none(facts)  # all of the spec: not read where every cluster can be asked
            if name in wanted:
                # It may have a copy that a controller pushed and had no time to note.
                action = Wait(
                    PropagationStatus.WAITING_FOR_REMOVAL,
                    cluster.message or "the cluster's objects have not been listed yet",
                )
        if orphan and isinstance(action, Delete | Refuse):
            observed = facts.observe(name)
            uid = observed.uid if isinstance(observed, Observed) else ""
            action = Release(uid, reason=RemovalReason(kept="its user leaves it behind"))
        if isinstance(action, Wait) and action.status is PropagationStatus.CLUSTER_NOT_READY:
            action = Wait(PropagationStatus.WAITING_FOR_REMOVAL, action.message)
        if action is not None:
            actions[name] = removal.with_reason(action, reason)
    return Plan(
        generation=meta.generation,
        actions=actions,
        finalizer=None if actions else False,
        deleting=True,
    )


def _selected_or_none(facts: Facts) -> frozenset[str]:
    try:
        spec = parsing.spec(facts.object.spec, namespaces=facts.type.is_namespace)
    except Invalid:
        return frozenset()  # Facts.applied has what was pushed before it became invalid
    return placement.select(spec.placement, facts.clusters)


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
        if name in facts.clusters and (applied.known or not facts.shows_no_copy(name))
    }
    return Plan(facts.object.metadata.generation, actions, selected=frozenset(actions))
