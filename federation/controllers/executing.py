"""Carry out planned actions, when their turn in a cluster's lane comes, and take in what came of them.

The action is looked up here, not handed over with the key: what was decided during an outage is never carried out late.
The cluster's Carrier does it, and answers an Outcome. That goes to memory (`learning`), sets the wait before the next
try (`pacing`) and brings the key back to `sync` when it was the last one, or when there is something new to plan.
"""

import time
from collections.abc import Callable

import structlog

from federation.controllers import answers, fanout, holdups, learning, pacing
from federation.controllers.fanout import Wake
from federation.controllers.learning import Turn
from federation.controllers.outcomes import Outcome
from federation.controllers.ports import EventRecorder
from federation.controllers.proofs import Prover
from federation.controllers.removals import Removals
from federation.controllers.tracks import Track, including, without
from federation.controllers.world import World
from federation.core import managedfields, restoration
from federation.core.proof import Cause
from federation.model.conditions import Phase, PropagationStatus
from federation.model.observations import MAY_HAVE_COPY, Observed
from federation.model.plan import PLACES, Aim, Command
from federation.model.resources import Key, ObjectName
from federation.runtime import metrics
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.lane import Evidence

log = structlog.get_logger()


class Executor:
    """What all lanes do with their keys. `changed` is Sync.changed."""

    def __init__(
        self, world: World, queue: KeyQueue[Key], events: EventRecorder, changed: Wake, prover: Prover
    ) -> None:
        self._world = world
        self._prover = prover
        self._queue = queue
        self._events = events
        self._changed = changed
        self._removals = Removals(events)
        self.overwritten: Callable[[Key, str, int], None] = lambda key, cluster, applied_at: None
        """Recovery.overwritten."""
        self.overwrote: Callable[[Key, str, int], None] = lambda key, cluster, applied_at: None
        """Continuity.overwrote."""

    async def execute(self, cluster: str, key: Key) -> tuple[Evidence, float | None]:
        """Do what is planned for this object in this cluster now; what the lane learns of its member from that."""
        state = self._world.types.get(key.type)
        name = ObjectName(key.namespace, key.name)
        track = state.tracks.get(name) if state is not None else None
        member = self._world.members.get(cluster)
        carrier = member.carrier if member is not None else None
        if state is None or track is None or track.plan is None or cluster not in track.pending or carrier is None:
            return Evidence.NOTHING, None
        plan, action = track.plan, track.actions.get(cluster)
        if not isinstance(action, Command):
            track.pending = without(track.pending, cluster)
            return Evidence.NOTHING, None
        if member is not None and member.cluster.cordon is not None:
            # It was queued, and the cluster is cordoned since: the plan of that comes, and nothing goes out before it.
            track.pending = without(track.pending, cluster)
            self._changed(key, clusters={cluster})
            return Evidence.NOTHING, None
        _note(track, cluster)
        unconfirmed = cluster in track.unconfirmed
        if action.leaves_traces:
            track.unconfirmed = including(track.unconfirmed, cluster)
            track.applied.setdefault(cluster, MAY_HAVE_COPY)
        copies = state.copies.get(cluster)
        lists = copies.lists if copies is not None else 0
        before = copies.objects.get(state.target_name(name)) if copies is not None else None
        seen = copies.seen if copies is not None else 0
        turn = Turn(key, cluster, state, track, action, plan.generation, unconfirmed, lists, before, seen)
        state.in_flight += 1
        try:
            outcome = await carrier.carry_out(turn, self._prover.of(action, state, name, cluster))
        except Exception:
            log.exception("push failed", key=str(key), cluster=cluster)
            outcome = Outcome(
                status=PropagationStatus.COMPUTE_RESOURCE_FAILED, message="internal error; see the controller's log"
            )
        finally:
            state.in_flight -= 1
            _note(track, cluster)
        same = self._world.members.get(cluster) is member  # else another cluster has joined by this name meanwhile
        if member is not None and same:
            holdups.note(member, key, name, outcome.failure)
        if state.tracks.get(name) is track and same:
            self._record_outcome(turn, carrier.manager, outcome)
        return pacing.evidence(outcome)

    def _overwrote(self, turn: Turn, before: Observed) -> None:
        """An apply has changed a copy: what was there may have been newer than what a restored hub says."""
        newer = restoration.newer(turn.track.applied.get(turn.cluster), before)
        if not before.owned_digest or not (newer or turn.name in turn.state.reverted):
            return
        if self._world.recovery is not None:
            self.overwritten(turn.key, turn.cluster, before.applied_at)
        else:
            self.overwrote(turn.key, turn.cluster, before.applied_at)

    def finish(self) -> None:
        """Nothing more is executed: report what is not reported yet."""
        self._removals.flush()

    def _record_outcome(self, turn: Turn, manager: str, outcome: Outcome) -> None:
        key, cluster, track, action = turn.key, turn.cluster, turn.track, turn.action
        current = track.actions.get(cluster)
        track.pending = without(track.pending, cluster)
        if outcome.gone and learning.contradicts(turn):
            outcome = self._read_again(turn, outcome)
        result = outcome.status.value or "ok"
        metrics.PUSHES.labels(cluster, result).inc()
        metrics.TYPE_PUSHES.labels(key.type, result).inc()
        if outcome.status:
            self._record_setback(turn, outcome)
            learning.refused(turn, outcome)
            # The hub says otherwise than what this was decided on: its answer has been taken in.
            track.stale = track.stale or (outcome.doubt is not None and outcome.doubt.cause is Cause.STALE)
            # Somebody else's object: the event that shows it may have come while this was under way.
            track.stale = track.stale or outcome.status.phase is Phase.TAKEN
        else:
            track.setbacks.pop(cluster, None)
            self._record_success(turn, manager, outcome)
        if learning.conclusive(turn, outcome):
            track.unconfirmed = without(track.unconfirmed, cluster)
        learning.ended(turn)
        if current is not action:
            track.stale = True  # it was planned anew while this was under way
        if not track.pending or track.stale:
            self._queue.add(key, urgent=True)

    def _record_success(self, turn: Turn, manager: str, outcome: Outcome) -> None:
        """The cluster has done it, or it was handed over to whoever does it there."""
        action, track = turn.action, turn.track
        if outcome.gone and action.aim is not Aim.REMOVE:
            track.vanished = without(track.vanished, turn.cluster)
            track.stale = True
        elif outcome.handed_over:
            learning.handed_over(turn)
        elif outcome.metadata is not None:
            observed = managedfields.observe(outcome.metadata, manager)
            if action.aim in PLACES:
                self._compare(turn, observed, outcome)
                if turn.before is not None and action.uid and turn.before.version < observed.version:
                    self._overwrote(turn, turn.before)
            answers.shown(turn, manager, observed, outcome)
        else:
            self._removed(turn, outcome)

    def _read_again(self, turn: Turn, outcome: Outcome) -> Outcome:
        """What is recorded is not there: that is believed when the cluster shows it twice, some time apart."""
        if pacing.was_read(turn.track.setbacks.get(turn.cluster), time.monotonic()):
            return outcome
        return Outcome(
            status=PropagationStatus.WAITING_FOR_REMOVAL,
            message=f"the cluster shows no copy, though one is recorded: asked again in {pacing.READ_AGAIN[0]:g} s",
            gone=True,
        )

    def _compare(self, turn: Turn, observed: Observed, outcome: Outcome) -> None:
        """What an apply was answered with, and what was known before: a list was wrong, or the cluster was restored."""
        member = self._world.members.get(turn.cluster)
        live = member.live if member is not None else None
        if live is None:
            return
        if answers.went_back(turn, observed, created=outcome.created):
            live.went_back(f"the versions of its {turn.key.type}")
        elif learning.contradicts(turn) and not outcome.created:
            live.relist(turn.key.type)

    def _removed(self, turn: Turn, outcome: Outcome) -> None:
        """The member accepted a removal: its event confirms it, or the removal is sent again."""
        key, cluster, track = turn.key, turn.cluster, turn.track
        self._removals.report(turn, outcome)
        member = self._world.members.get(cluster)
        if outcome.removed and member is not None and member.live is not None and learning.contradicts(turn):
            member.live.relist(key.type)  # it had not shown this copy, and may not show others
        learning.removed(turn)
        if turn.action.uid:
            leaving = pacing.delete_accepted(track.leaving.get(cluster), turn.action.uid, time.monotonic())
            track.leaving[cluster] = leaving
            self._queue.add_after(key, leaving.wait)
        else:
            track.stale = True  # where nothing was, no event shows that it is gone

    def _record_setback(self, turn: Turn, outcome: Outcome) -> None:
        """The action failed, or it waits for something: remember why, and when to try again."""
        key, cluster, track = turn.key, turn.cluster, turn.track
        before = track.setbacks.get(cluster)
        setback = pacing.next_setback(before, turn.action, outcome, time.monotonic())
        track.setbacks[cluster] = setback
        wait = setback.not_before - time.monotonic()
        self._queue.add_after(key, wait)
        if turn.state.type.is_namespace and (before is None or before.message != setback.message):
            # They may not have to wait for it (gathering), or say why they do (holdups).
            fanout.wake_gradually(self._world.keys_within(key.name), self._changed)
        if outcome.gone:
            log.info("copy is not shown", key=str(key), cluster=cluster, next_try_in_s=round(wait, 1))
        elif outcome.recreating:
            log.info("recreating", key=str(key), cluster=cluster, reason=outcome.message)
            self._events.recreating(key, cluster, outcome.message)
        elif outcome.doubt is not None:
            log.debug("removal waits", key=str(key), cluster=cluster, reason=outcome.message)
        elif setback.attempts == 1:
            # A cluster that is away gets one warning of its own, and none for each of its objects.
            own = outcome.failure is None or outcome.failure.concerns == "object"
            (log.warning if own else log.info)(
                "push refused",
                key=str(key),
                cluster=cluster,
                status=outcome.status.value,
                reason=outcome.message,
                next_try_in_s=round(wait, 1),
            )


def _note(track: Track, cluster: str) -> None:
    if track.meanwhile is not None:
        track.meanwhile.add(cluster)
