"""What plans and members' answers change in memory: tracks and copies, never the queue. Called by sync and executing.

Our own writes come back twice, as their answer and as a watch event, in either order; whichever is newer counts.
"""

import time
from typing import Any

import msgspec
import structlog

from federation.controllers import outcomes, pacing
from federation.controllers.outcomes import Outcome, Prove, Target
from federation.controllers.ports import MemberPort
from federation.controllers.world import NOBODY, Track, TypeState, including, without
from federation.core import claims, contention
from federation.core.facts import Facts
from federation.model import marks
from federation.model.observations import MAY_HAVE_COPY, UNKNOWN_DIGEST, Applied, Observed, Recorded
from federation.model.plan import Apply, Claim, Compare, Delete, Keep, KeepOlder, Plan, Push, Release
from federation.model.resources import Key, ObjectName

log = structlog.get_logger()


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One action under way: what it was when it started."""

    key: Key
    cluster: str
    state: TypeState
    track: Track
    action: Push
    generation: int
    unconfirmed: bool = False
    """An earlier create may have succeeded: the answer to this action shows nothing about that one."""
    lists: int = 0
    """How many lists of the cluster's copies were taken in before (Copies.lists)."""
    before: Observed | None = None
    """The member's object before, where it was known."""
    seen: int = 0
    """The newest version that the watch of its type had shown before (Copies.seen)."""

    @property
    def name(self) -> ObjectName:
        """The federated object."""
        return ObjectName(self.key.namespace, self.key.name)

    @property
    def target(self) -> ObjectName:
        """The member's object."""
        return self.state.target_name(ObjectName(self.key.namespace, self.key.name))


def target(state: TypeState, cluster: str, name: ObjectName, port: MemberPort, prove: Prove | None = None) -> Target:
    """Where a push of one federated object to one cluster goes, and how it proves what it may remove."""
    track = state.tracks.get(name)
    copies = state.copies.get(cluster)
    fully_owned = track is not None and cluster in track.fully_owned and not (copies is not None and copies.redefined)
    fields_dropped = track is not None and cluster in track.dropped
    resource, where = state.target_in(cluster), state.target_name(name)
    return Target(port, resource, where, fully_owned, fields_dropped, prove or outcomes.unproven)


def planned(track: Track, plan: Plan, facts: Facts) -> None:
    """A new plan from these facts: forget what it has no action for, and what has been answered since.

    A create that was sent while it was made is not forgotten.
    """
    sent = track.unconfirmed - facts.unconfirmed
    for gone in [cluster for cluster in track.applied if cluster not in plan.actions and cluster not in sent]:
        del track.applied[gone]
    if track.recorded:
        track.recorded = _confirmed(track, plan, facts)
    if track.guessed:
        track.guessed = track.guessed & track.applied.keys() - (frozenset() if plan.reason else plan.selected) or NOBODY
    for cluster in [cluster for cluster in track.setbacks if isinstance(plan.actions.get(cluster), Keep | None)]:
        del track.setbacks[cluster]
    if track.contention:
        forgotten = time.monotonic() - contention.QUIET
        for cluster in [cluster for cluster, fight in track.contention.items() if fight.last < forgotten]:
            del track.contention[cluster]
    for cluster in [name for name, setback in track.setbacks.items() if pacing.is_over(setback, plan.actions[name])]:
        del track.setbacks[cluster]
    notes: tuple[dict[str, Any], ...] = (track.contention, track.dropped)
    for noted in notes:
        for cluster in [cluster for cluster in noted if cluster not in plan.actions]:
            del noted[cluster]
    open_still = {
        cluster
        for cluster in track.unconfirmed - sent
        if cluster in plan.actions and not claims.conclusive(facts.observe(cluster))
    }
    track.unconfirmed = sent | open_still or NOBODY


def _confirmed(track: Track, plan: Plan, facts: Facts) -> bool:
    """What the stored status records, and the members show: known exactly from now on. Whether some is not yet."""
    open_still = False
    for cluster, found in track.applied.items():
        if not isinstance(found, Recorded):
            continue
        observed = facts.observe(cluster) if isinstance(plan.actions.get(cluster), Keep) else None
        if isinstance(observed, Observed) and found.shown_by(observed):
            exactly = Applied(found.digest, found.owned_digest, found.generation, observed.applied_at)
            track.applied[cluster] = exactly
        else:
            open_still = True
    return open_still


def applied(turn: Turn, action: Apply, observed: Observed, outcome: Outcome) -> None:
    """The member has what we applied; `observed` is the object as the answer showed it."""
    key, cluster, track, contest = turn.key, turn.cluster, turn.track, outcome.contest
    before = track.applied.get(cluster)
    if cluster in track.recheck:
        track.recheck = without(track.recheck, cluster)
    elif before is not None and before.digest == action.digest and before.owned_digest != UNKNOWN_DIGEST:
        # The same manifest again: somebody had changed or removed what is ours.
        manager, fields = (", ".join(contest.managers[:3]), contest.fields) if contest else ("", ())
        gone, does = "fields of ours had been removed", ""
        if outcome.created:
            gone, does = "the object had been deleted", "deletes the object"
        elif not action.uid:
            gone, does = "our label had been removed", "takes our label off"
        elif contest is None and _of_another_time(turn, before):
            gone, does = (
                "what we own was of another time: a restored cluster, or an older copy",
                "puts an older state back",
            )
        _contended(turn, manager=manager, fields=fields, does=does)
        what = {"manager": manager, "fields": fields[:5]} if contest else {"reason": gone}
        fought = contention.delay(track.contention.get(cluster)) > 0
        (log.warning if fought else log.info)("drift put back", key=str(key), cluster=cluster, **what)
    if outcome.dropped:
        track.dropped[cluster] = outcome.dropped
    elif outcome.dropped is not None:
        track.dropped.pop(cluster, None)
    if not _went(turn, observed):
        # Else it is what was applied now that has just gone.
        track.interrupted, track.vanished = without(track.interrupted, cluster), without(track.vanished, cluster)
    if outcome.fully_owned:
        track.fully_owned = including(track.fully_owned, cluster)
    elif outcome.fully_owned is not None:
        track.fully_owned = without(track.fully_owned, cluster)
    generation = action.generation or turn.generation
    track.applied[cluster] = Applied(action.digest, observed.owned_digest, generation, observed.applied_at)
    if track.actions.get(cluster) is action:
        track.actions[cluster] = _kept(action, observed)
    if not observed.managed:
        turn.track.stale = True  # admission took our label off: its watch will not show it, and the plan reports that
    _seen(turn, observed, appears=True)


def _of_another_time(turn: Turn, before: Applied) -> bool:
    """Whether the object was seen with all fields that we own, and yet not as we had left it."""
    known = turn.before
    return known is not None and known.owned_digest == before.owned_digest and known.applied_at != before.applied_at


def compared(turn: Turn, action: Compare, observed: Observed) -> None:
    """What somebody had changed is as we applied it, though we own less of it: from now on that is how it should be."""
    track, cluster = turn.track, turn.cluster
    track.recheck = without(track.recheck, cluster)
    generation = action.generation or turn.generation
    track.applied[cluster] = Applied(action.digest, observed.owned_digest, generation, observed.applied_at)
    if track.actions.get(cluster) is action:
        track.actions[cluster] = _kept(action, observed)


def _kept(action: Apply | Compare, observed: Observed) -> Keep:
    """What is left to do of an action that has come to pass."""
    if action.generation:
        return KeepOlder(action.digest, observed.owned_digest, observed.claims, generation=action.generation)
    return Keep(action.digest, observed.owned_digest, observed.claims)


def yielded(turn: Turn, manager: str, observed: Observed) -> None:
    """Another hub's object has our claim now, or nothing of ours any more: what follows from that is planned."""
    if turn.track.applied.get(turn.cluster) == MAY_HAVE_COPY:
        del turn.track.applied[turn.cluster]
    if isinstance(turn.action, Claim):
        _contended(turn, manager="", fields=(f".metadata.annotations.{marks.claim_annotation(manager)}",))
        owner = turn.action.owner
        log.warning("another hub manages it: claimed", key=str(turn.key), cluster=turn.cluster, manager=owner)
    _seen(turn, observed, appears=False)
    turn.track.stale = True


def removed(turn: Turn) -> None:
    """We have removed the copy ourselves: that it is not there is nobody's drift, should it be placed there again."""
    before = turn.track.applied.get(turn.cluster)
    if before is not None:
        turn.track.applied[turn.cluster] = msgspec.structs.replace(before, owned_digest=UNKNOWN_DIGEST)


def refused(turn: Turn, outcome: Outcome) -> None:
    """The member refused it, or did not answer: then the change may have been made all the same.

    Then it is not known any more that the member has what it accepted last; managedFields names fields, not values.
    """
    before = turn.track.applied.get(turn.cluster)
    if before is None:
        return
    if not conclusive(turn, outcome):
        if isinstance(turn.action, Apply):
            turn.track.applied[turn.cluster] = msgspec.structs.replace(before, owned_digest=UNKNOWN_DIGEST)
    elif not before.known and isinstance(turn.action, Apply | Claim):
        del turn.track.applied[turn.cluster]  # nothing came of the create


def conclusive(turn: Turn, outcome: Outcome) -> bool:
    """Whether the answer shows what the member has now, or its watch has shown it."""
    if outcome.doubt is not None and not isinstance(turn.action, Apply):
        return False  # nothing was removed
    if outcome.failure is not None and (outcome.failure.concerns == "member" or turn.unconfirmed):
        return False
    if outcome.gone and outcome.status:
        return False  # it is asked once more
    if outcome.metadata is None:
        return True
    copies = turn.state.copies.get(turn.cluster)
    return copies is not None and copies.objects.get(turn.target) is not None


def went_back(turn: Turn, observed: Observed, *, created: bool = False) -> bool:
    """Whether the answer to a write shows a version that there cannot be after what had been seen when it was sent.

    A watch has an order: an object is not of a version that it has passed, and that it has not shown of it. And no two
    states of an object have one version: of that our apply has changed nothing, so our entry has the time that it had.
    """
    version, known = observed.version, turn.before
    if known is None:
        return created and 0 < version <= turn.seen
    if not turn.action.uid or not version:
        return False
    if version == known.version:
        return observed.applied_at != known.applied_at
    return version < known.version or version <= turn.seen


def contradicts(turn: Turn) -> bool:
    """Whether a cluster that has no such object is in contradiction to what is recorded.

    A list has left the copy out, or nobody has seen it since the start, while the status has its fingerprint. A member
    that has just started, or a proxy before it, may answer so for a while; what is believed then stays behind for good.
    No contradiction is what goes after the cluster has accepted our removal: a watch that was opened anew meanwhile
    (the type is served in other versions, say) does not show its end.
    """
    if isinstance(turn.action, Delete | Release) and turn.cluster in turn.track.leaving:
        return False
    recorded = turn.track.applied.get(turn.cluster)
    return turn.unconfirmed and not turn.action.uid and recorded is not None and recorded.known


def ended(turn: Turn) -> None:
    """The answer was taken in: what went meanwhile is known now."""
    copies = turn.state.copies.get(turn.cluster)
    if copies is not None and copies.gone:
        copies.gone.pop(turn.target, None)


def _went(turn: Turn, observed: Observed) -> bool:
    """Whether the watch, or a list, has already shown the end of what the answer shows."""
    copies = turn.state.copies.get(turn.cluster)
    return copies is not None and copies.ended(turn.target, observed.version, turn.lists)


def _contended(turn: Turn, *, manager: str, fields: tuple[str, ...], does: str = "") -> None:
    noted, now = turn.track.contention.get(turn.cluster), time.monotonic()
    turn.track.contention[turn.cluster] = contention.record(noted, now, manager=manager, fields=fields, does=does)


def _seen(turn: Turn, observed: Observed, *, appears: bool) -> None:
    """Take in what an answer showed; what is not known yet only where it `appears` by our write."""
    copies, target = turn.state.copies.get(turn.cluster), turn.target
    known = copies.objects.get(target) if copies is not None else None
    if copies is None or (known is None and not appears):
        return
    if known is None and _went(turn, observed):
        turn.track.stale = True  # somebody deleted it right after our write
        return
    if known is None or known.version <= observed.version or went_back(turn, observed):
        copies.answer(target, observed)
    elif known != observed:
        turn.track.stale = True  # somebody changed it right after our write
