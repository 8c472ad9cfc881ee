"""How long an action waits before it is tried again, and what its answer shows about its member; used by sync.

Each cluster of each object has its own wait (`Setback`), by what the refusal means: a race is tried again at once, a
manifest that is wrong when it changes. A fight with another controller is slowed down (core.contention).
"""

from federation.controllers.outcomes import Outcome
from federation.controllers.tracks import Leaving, Setback, Track
from federation.core import classification, contention
from federation.core.proof import Cause
from federation.model.conditions import PropagationStatus
from federation.model.failures import FailureKind
from federation.model.plan import PLACES, Action, Aim, Command
from federation.runtime.backoff import delay
from federation.runtime.lane import Evidence

_NOT_LET_IN = {FailureKind.UNREACHABLE, FailureKind.UNTRUSTED, FailureKind.UNAUTHORIZED}
RESEND = (10.0, 600.0)
"""Seconds after which a delete that was accepted and not confirmed is sent again, doubling: its confirmation comes by a
watch, and one that is broken for an hour must not cost a request every ten seconds for each object."""
RETRY = {"now": (0.05, 1.0), "soon": (0.5, 60.0), "slow": (5.0, 300.0), "never": (60.0, 300.0)}
"""Base and cap, in seconds, of the wait before a cluster's action is tried again, by classification.retry. A person who
has mended something should see it work within minutes, even what we took for hopeless."""
RIGHT_MISSING = (2.0, 60.0)
"""The same for a missing right: whoever grants it should not wait for long to see it work."""

UNPROVEN = (1.0, 15.0)
"""The same for a removal that the hub has not proven: it is asked again, though it may be away for long."""

CROWD = 16
"""Clusters that wait, of one object, from which on they wait for one another."""
PATIENCE = 0.5
"""The share of its wait by which each of a crowd waits longer."""

REFUSED = {RETRY["slow"], RETRY["never"], RIGHT_MISSING}
"""What a member that answers has refused, and may refuse again."""

READ_AGAIN = (30.0, 30.0)
"""The same for a copy that the status records and its cluster does not show: it is asked once more before that is
believed."""

RECREATING = (60.0, 960.0)
"""The same for an object that was deleted to be created anew: the event of its end ends the wait."""

DRIFTED = (60.0, 900.0)
"""The same for drift that is only reported: whoever puts it back changes nothing that our watch shows."""
LOOKED_AT = 10.0
"""Seconds after which it is looked at again at the earliest, when the copy changes meanwhile."""


def next_setback(before: Setback | None, action: Command, outcome: Outcome, now: float) -> Setback:
    """The wait after one more answer that was not success; `now` is monotonic."""
    digest, update = action.identity, action.aim is Aim.UPDATE
    pace = RETRY[classification.retry(outcome.failure, update=update) if outcome.failure is not None else "slow"]
    if outcome.failure is not None and outcome.failure.kind is FailureKind.RIGHT_MISSING:
        pace = RIGHT_MISSING
    if outcome.recreating:
        pace = RECREATING
    elif outcome.gone:
        pace = READ_AGAIN
    if outcome.status is PropagationStatus.DRIFTED:
        pace = DRIFTED
    if outcome.doubt is not None:
        pace = RETRY["now"] if outcome.doubt.cause is Cause.STALE else UNPROVEN
    # Another pace starts anew: a dozen refused connections do not show how long a missing right will last.
    again = before is not None and (before.digest, before.pace) == (digest, pace)
    attempts = before.attempts + 1 if before is not None and again else 1
    wait = READ_AGAIN[0] if pace is READ_AGAIN else delay(attempts - 1, base=pace[0], cap=pace[1])
    return Setback(outcome.status, outcome.message, digest, now + wait, attempts, pace, since=now, wait=wait)


def was_read(before: Setback | None, now: float) -> bool:
    """Whether a cluster has shown READ_AGAIN seconds ago, too, that it has no copy (monotonic)."""
    return before is not None and before.pace == READ_AGAIN and now - before.since >= READ_AGAIN[0]


def is_over(setback: Setback, action: Action) -> bool:
    """Whether a removal that was not proven is not to be any more."""
    unproven = setback.status is PropagationStatus.WAITING_FOR_REMOVAL and setback.pace != RECREATING
    return unproven and not (isinstance(action, Command) and action.aim is Aim.REMOVE)


def retried(track: Track, cluster: str, since: float, *, anew: bool) -> bool:
    """End the wait of what had failed in a cluster before it answered again (monotonic); whether there was one.

    What it would refuse again is left as it is, unless `anew`.
    """
    setback = track.setbacks.get(cluster)
    if setback is None or setback.since > since or setback.not_before <= since or setback.pace == READ_AGAIN:
        return False
    if setback.pace == RETRY["never"] and not anew:
        return False
    setback.not_before, setback.attempts, setback.wait = since, 0, 0.0
    return True


def changed_there(setback: Setback) -> None:
    """The member's object changed: what failed before may pass now. Drift is looked at again, but not at each event."""
    soon = setback.since + LOOKED_AT if setback.status is PropagationStatus.DRIFTED else 0.0
    setback.not_before = min(setback.not_before, soon)


def delete_accepted(before: Leaving | None, uid: str, now: float) -> Leaving:
    """A delete was accepted once more; `now` is monotonic."""
    wait = min(2 * before.wait, RESEND[1]) if before is not None and before.uid == uid else RESEND[0]
    return Leaving(uid, now, wait)


def remaining_delay(action: Command, track: Track, cluster: str, now: float) -> float:
    """Seconds by which this action is delayed; 0 when it can go. A fight is recorded as a setback."""
    when = _not_before(action, track, cluster)
    if when > now:
        return when - now
    contest = track.contention.get(cluster)
    if contest is None:
        return 0.0
    applied = track.applied.get(cluster)
    if not action.repeats(applied.digest if applied is not None else ""):
        return 0.0
    wait = contest.last + contention.delay(contest) - now
    if wait > 0:
        track.setbacks[cluster] = Setback(
            PropagationStatus.DISPUTED,
            contention.message(contest, now),
            action.identity,
            now + wait,
            contest.count,
            since=now,
            wait=wait,
        )
    return max(0.0, wait)


def next_try(track: Track) -> float | None:
    """When the first delayed action is to go (monotonic seconds); None when none is delayed, or a new plan is due.

    Each try is a plan for all clusters of the object: one for each of a thousand that refuse it would cost a core.
    Where many wait, they wait somewhat longer, for one another: then there are four plans in the longest wait.
    """
    if track.stale:
        return None
    more = PATIENCE if len(track.setbacks) + len(track.leaving) >= CROWD else 0.0
    times = (
        _not_before(action, track, cluster, more)
        for cluster, action in track.actions.items()
        if isinstance(action, Command) and cluster not in track.pending
    )
    return min((when for when in times if when), default=None)


def hopeless(setback: Setback | None, action: Action) -> bool:
    """Whether this very action was refused, and will be until its manifest is another."""
    if setback is None or setback.pace != RETRY["never"] or not isinstance(action, Command):
        return False
    return (action.aim in PLACES or action.aim is Aim.REMOVE) and setback.digest == action.identity


def evidence(outcome: Outcome) -> tuple[Evidence, float | None]:
    """What the lane should learn of its member from this answer, and how long the member asked us to wait."""
    failure = outcome.failure
    if failure is None and outcome.doubt is not None:
        return Evidence.NOTHING, None  # the hub had no proof: the member may not have been asked
    if failure is None or failure.concerns != "member":
        return Evidence.ANSWERED, None
    if failure.late:
        return Evidence.NOTHING, None
    if failure.kind is FailureKind.THROTTLED:
        return Evidence.THROTTLED, failure.retry_after
    # What was answered, or not in time, may be of one type: its webhook, or its aggregated API. The lane finds out.
    evidence = Evidence.FAILED if failure.kind in _NOT_LET_IN else Evidence.ERRED
    return evidence, failure.retry_after


def _not_before(action: Command, track: Track, cluster: str, more: float = 0.0) -> float:
    """When this very action may go again, by what came of it before (monotonic seconds); 0 when nothing did.

    `more` is by which share of its wait it waits longer.
    """
    when = 0.0
    left = track.leaving.get(cluster)
    if left is not None and action.aim is Aim.REMOVE and left.uid == action.uid:
        when = left.since + left.wait * (1.0 + more)
    setback = track.setbacks.get(cluster)
    if setback is not None and setback.digest == action.identity:
        when = max(when, setback.not_before + setback.wait * more)
    return when
