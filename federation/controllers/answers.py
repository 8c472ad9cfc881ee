"""What a member's answer changes in memory: tracks and holdings, never the queue. Called by `Sync._absorb` alone.

Our own writes come back twice, as their answer and as a watch event, in either order; whichever is newer counts.
"""

import time
from dataclasses import dataclass

import structlog

from federation.controllers import push
from federation.controllers.facts import Track, TypeState
from federation.controllers.ports import MemberPort
from federation.core import contention, planning
from federation.core.planning import Applied
from federation.model import marks
from federation.model.clusters import Observed
from federation.model.plan import Apply, Claim, Keep, Push
from federation.model.resources import Key, ObjectName

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Turn:
    """One action under way: what it was when it started."""

    key: Key
    cluster: str
    state: TypeState
    track: Track
    action: Push
    generation: int

    @property
    def target(self) -> ObjectName:
        """The member's object."""
        return self.state.target_name(ObjectName(self.key.namespace, self.key.name))


def target(state: TypeState, cluster: str, name: ObjectName, port: MemberPort) -> push.Target:
    """Where the pushes of one federated object to one cluster go."""
    holdings = state.holdings.get(cluster)
    kept = holdings.kept if holdings is not None else frozenset()
    return push.Target(port, state.target_in(cluster), state.target_name(name), kept)


def applied(turn: Turn, action: Apply, observed: Observed, outcome: push.Outcome) -> None:
    """The member holds what we applied; `observed` is the object as the answer showed it."""
    key, cluster, track, contest = turn.key, turn.cluster, turn.track, outcome.contest
    before = track.applied.get(cluster)
    if cluster in track.recheck:
        track.recheck.discard(cluster)
    elif before is not None and before.digest == action.digest and before.entry != planning.UNSURE:
        # The same manifest again: somebody had changed or removed what is ours.
        manager, fields = (", ".join(contest.managers[:3]), contest.fields) if contest else ("", ())
        _contended(turn, manager=manager, fields=fields)
        gone = "fields of ours, or our label, had been removed" if action.uid else "the object had been deleted"
        what = {"manager": manager, "fields": fields[:5]} if contest else {"reason": gone}
        log.info("drift put back", key=str(key), cluster=cluster, **what)
    if outcome.dropped:
        track.dropped[cluster] = outcome.dropped
    elif outcome.dropped is not None:
        track.dropped.pop(cluster, None)
    holdings = turn.state.holdings.get(cluster)
    if outcome.kept and holdings is not None:
        holdings.kept |= outcome.kept
    track.applied[cluster] = Applied(action.digest, observed.entry, turn.generation)
    if track.actions.get(cluster) is action:
        track.actions[cluster] = Keep(action.digest, observed.entry, observed.claims)
    # A namespace's watch must see it appear, and wake the objects that wait for it.
    _seen(turn, observed, appears=not turn.state.type.is_namespace)


def yielded(turn: Turn, manager: str, observed: Observed) -> None:
    """Another hub's object has our claim now, or nothing of ours any more: what follows from that is planned."""
    if isinstance(turn.action, Claim):
        _contended(turn, manager="", fields=(f".metadata.annotations.{marks.claim_annotation(manager)}",))
        holder = turn.action.holder
        log.info("another hub manages it: claimed", key=str(turn.key), cluster=turn.cluster, manager=holder)
    _seen(turn, observed, appears=False)
    turn.track.stale = True


def refused(turn: Turn, outcome: push.Outcome) -> None:
    """The member refused it, or did not answer: a change may have come to pass all the same.

    Then it is not known any more that the member holds what it accepted last; managedFields names fields, not values.
    """
    before = turn.track.applied.get(turn.cluster)
    if before is not None and isinstance(turn.action, Apply) and not certain(turn, outcome):
        turn.track.applied[turn.cluster] = before._replace(entry=planning.UNSURE)


def certain(turn: Turn, outcome: push.Outcome) -> bool:
    """Whether the answer tells what the member holds now, or its watch has."""
    if outcome.failure is not None and outcome.failure.whose == "member":
        return False
    if outcome.metadata is None:
        return True
    holdings = turn.state.holdings.get(turn.cluster)
    return holdings is not None and holdings.objects.get(turn.target) is not None


def _contended(turn: Turn, *, manager: str, fields: tuple[str, ...]) -> None:
    noted = turn.track.contention.get(turn.cluster)
    turn.track.contention[turn.cluster] = contention.note(noted, time.time(), manager=manager, fields=fields)


def _seen(turn: Turn, observed: Observed, *, appears: bool) -> None:
    """Take in what an answer showed; what is not known yet only where it `appears` by our write."""
    holdings = turn.state.holdings.get(turn.cluster)
    known = holdings.objects.get(turn.target) if holdings is not None else None
    if holdings is None or (known is None and not appears):
        return
    if not holdings.outdated(turn.target, observed):
        holdings.objects.put(turn.target, observed)
    elif known != observed:
        turn.track.stale = True  # somebody changed it right after our write
