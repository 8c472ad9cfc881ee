"""Decide how push takes a copy from a member: deleted, released, or waited for; pure, called by planning.

What has contents of others (a namespace all that is in it, a CRD every object of its type, a volume its data) is
deleted only where this hub has created it and knows by its own status that it was placed there. Any other such copy
is released: our label and our ownership of fields go, the object stays. Of all other types a copy is the object itself,
and is deleted, adopted or not, as KubeFed did.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, assert_never

from federation.core import claims, cordons, parsing
from federation.core.facts import Facts, unready
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.errors import Invalid
from federation.model.federated import FederatedType
from federation.model.observations import Applied, Cluster, Missing, Observation, Observed
from federation.model.plan import Action, Delete, Refuse, Release, RemovalReason, Wait
from federation.model.policies import Deletion
from federation.model.resources import CRDS, NAMESPACES

_CONTENTS = {
    NAMESPACES.qualified: "everything in it",
    CRDS.qualified: "every object of its type",
    "persistentvolumeclaims": "its data",
    "persistentvolumes": "its data",
}
"""Types whose copies have contents that are not the federated object's own."""


class Rules(NamedTuple):
    """What holds for every copy of one federated object.

    `system`: it is a system namespace. `by_user`: the federated object itself is being deleted. `orphan`: its policy
    (core.policies) has copies released, not deleted; `refused`: why that policy cannot be read.
    """

    type: FederatedType
    annotations: Mapping[str, str]
    system: bool = False
    by_user: bool = False
    orphan: bool = False
    refused: str = ""


class Copy(NamedTuple):
    """What is known of one cluster's copy besides what is observed there.

    `placed`: it was applied there, or sent, under the cluster's present name. `may_exist`: it was, or may have been.
    `unconfirmed`: a create may have come to pass.
    """

    placed: bool = False
    may_exist: bool = False
    unconfirmed: bool = False
    in_host: bool = False


def has_contents(enabled: FederatedType) -> bool:
    """Whether copies of the type have contents of others, so that a note on them records that we have created them."""
    return enabled.target.qualified in _CONTENTS


def contents_of(enabled: FederatedType) -> str:
    """What goes with a copy of the type beside the copy itself; "" for nothing."""
    return _CONTENTS.get(enabled.target.qualified, "")


def deselected(facts: Facts, cluster: Cluster, rules: Rules) -> Action | None:
    """The action for a cluster that should not have it, and holds something of its name; None: nothing of ours."""
    name = cluster.name
    if not cluster.ready:
        return _unasked(facts, cluster) if facts.may_have_copy(name) or _was_ours(facts, name) else None
    observed = facts.observe(name)
    unconfirmed = name in facts.unconfirmed or (observed is Missing.ABSENT and lost(facts.applied.get(name), cluster))
    if observed is Missing.ABSENT and not unconfirmed:
        return None  # gone already: each copy's event brings an object that is being deleted here
    copy = Copy(
        placed=name in facts.applied and name not in facts.guessed,
        may_exist=facts.may_have_copy(name),
        unconfirmed=unconfirmed,
        in_host=cluster.is_host,
    )
    action = decide(observed, copy, rules)
    return action if cluster.cordon is None or action is None else cordons.held(action, cluster)


def lost(applied: Applied | None, cluster: Cluster) -> bool:
    """Whether a copy of a cluster in pull mode, whose work is not there, may be there: its agent has applied it, and
    has not let go of a work that was deleted on purpose since."""
    return cluster.pulls and applied is not None and applied.by_work


def deleted(facts: Facts, cluster: Cluster, rules: Rules, *, expected: bool, orphan: bool) -> Action | None:
    """The action for a cluster while the federated object itself is being deleted; None: nothing of ours is there.

    `expected`: its placement selects the cluster, and a controller may have pushed it there and had no time to note
    that. `orphan`: its user leaves the copies behind.
    """
    name = cluster.name
    action = deselected(facts, cluster, rules)
    if action is None and expected and (not cluster.ready or facts.observe(name) is Missing.UNKNOWN):
        message = cluster.message or "the cluster's objects have not been listed yet"
        action = Wait(PropagationStatus.WAITING_FOR_REMOVAL, message)
    if orphan and isinstance(action, Delete | Refuse):
        observed = facts.observe(name)
        uid = observed.uid if isinstance(observed, Observed) else ""
        action = Release(uid, reason=RemovalReason(kept="its user leaves it behind"))
    if isinstance(action, Wait) and action.status is PropagationStatus.CLUSTER_NOT_READY:
        action = Wait(PropagationStatus.WAITING_FOR_REMOVAL, action.message)
    return action


def decide(observed: Observation, copy: Copy, rules: Rules) -> Action | None:
    """What to do in a cluster that answers, where the object should not be; None when nothing of ours is there."""
    match observed:
        case Missing.ABSENT:
            return _delete_or_release("", copy, rules, created=None) if copy.unconfirmed else None
        case Missing.UNKNOWN:
            waiting = Wait(PropagationStatus.WAITING_FOR_REMOVAL, "the cluster's objects cannot be listed")
            return waiting if copy.may_exist else None
        case Observed(broken=broken) if broken:
            # It is there, and may be ours: nothing else may be concluded.
            waiting = Wait(PropagationStatus.WAITING_FOR_REMOVAL, f"the object there cannot be read: {broken}")
            return waiting if copy.may_exist or observed.managed else None
        case Observed():
            if claims.outstanding(observed, unconfirmed=copy.unconfirmed):
                return Release(observed.uid, keep_label=True)
            ours = bool(observed.owned_digest) or (observed.legacy and not observed.other_hub)
            if not observed.managed or not ours:
                return None
            if observed.other_hub:
                return Release(observed.uid, keep_label=True)
            if observed.deleting:
                # A system or host namespace that its owner deletes waits for us, not we for it.
                own = rules.system or (rules.type.is_namespace and copy.in_host)
                return None if own else Wait(PropagationStatus.WAITING_FOR_REMOVAL, "deleted; its finalizers hold it")
            return _delete_or_release(observed.uid, copy, rules, created=observed.created)
        case _:
            assert_never(observed)


def with_reason(action: Action, reason: RemovalReason) -> Action:
    """The action with the reason for it, where it takes something away."""
    if isinstance(action, Delete):
        return Delete(action.uid, action.options, action.only_created, reason)
    if isinstance(action, Release) and not action.keep_label:
        before = action.reason if action.reason is not None else RemovalReason()
        return replace(action, reason=replace(reason, kept=before.kept, unexpected=before.unexpected))
    return action


def _delete_or_release(uid: str, copy: Copy, rules: Rules, *, created: bool | None) -> Action:
    """`created`: whether this hub has; None where that is to be seen when the member is asked."""
    if rules.system:
        return _release(uid, "a system namespace is never deleted")
    if rules.type.is_namespace and copy.in_host:
        return _release(uid, "the host's own Namespace is never deleted")
    if rules.refused:
        return Refuse(PropagationStatus.DELETION_FAILED, rules.refused)
    if rules.orphan:
        return _release(uid, f"policy deletion: {Deletion.ORPHAN} leaves it behind")
    contents = _CONTENTS.get(rules.type.target.qualified)
    only_created = contents is not None and rules.annotations.get(marks.DELETE_ADOPTED_ANNOTATION) != "true"
    if only_created and created is False:
        return _release(
            uid,
            f"this hub did not create it: it stays, with {contents} "
            f'({marks.DELETE_ADOPTED_ANNOTATION}: "true" on the federated object has such copies deleted)',
            unexpected=True,
        )
    if contents is not None and not copy.placed and not rules.by_user:
        return _release(
            uid, f"it was not placed there under this cluster's name: it stays, with {contents}", unexpected=True
        )
    try:
        options = parsing.deletion_options(rules.annotations)
    except Invalid as error:
        return Refuse(PropagationStatus.DELETION_FAILED, f"{error.field}: {error.message}")
    return Delete(uid, options, only_created=only_created and created is None)


def _release(uid: str, kept: str, *, unexpected: bool = False) -> Release:
    return Release(uid, reason=RemovalReason(kept=kept, unexpected=unexpected))


def _was_ours(facts: Facts, name: str) -> bool:
    """Whether the object was last seen with something of ours."""
    observed = facts.observe(name)
    return isinstance(observed, Observed) and (observed.claimed or (observed.managed and bool(observed.owned_digest)))


def _unasked(facts: Facts, cluster: Cluster) -> Wait:
    """A cluster that is away has a copy, or may have one."""
    waiting, applied = unready(cluster), facts.applied.get(cluster.name)
    if applied is None or applied.known:
        return waiting
    return replace(waiting, message=f"{waiting.message}; it may hold a copy and is asked once it answers")
