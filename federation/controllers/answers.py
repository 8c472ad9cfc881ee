"""What push learns of an answer that shows the member's object: it has what was applied, and whose it was meanwhile.

The object comes back twice, as this answer and as a watch event, in either order; whichever is newer counts.
"""

import time

import structlog

from federation.controllers.learning import Turn
from federation.controllers.outcomes import Outcome
from federation.controllers.tracks import including, without
from federation.core import contention
from federation.model import marks
from federation.model.observations import MAY_HAVE_COPY, UNKNOWN_DIGEST, Applied, Observed
from federation.model.plan import Apply, Claim, Compare, Keep, KeepOlder

log = structlog.get_logger()


def shown(turn: Turn, manager: str, observed: Observed, outcome: Outcome) -> None:
    """The member has answered with its object as it is now."""
    match turn.action:
        case Apply() as action:
            applied(turn, action, observed, outcome)
        case Compare() as action:
            compared(turn, action, observed)
        case _:
            yielded(turn, manager, observed)


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
