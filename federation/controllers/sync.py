"""Keep members in step with federated objects: the road from a key to a plan, to the lanes, and back to the status.

Read `process` first. A key is planned when its facts changed (`track.stale`), its actions go to the lanes of their
clusters, each answer comes back through `absorb`, and when every action has its answer the status is told in one
write. Nothing here waits for a member: what is not answered within SETTLE seconds is reported as pending and the
answer reported when it comes.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from federation.controllers import absences, answers, gathering, lines, pacing, push, reporting
from federation.controllers.answers import Turn
from federation.controllers.facts import Track, TypeState, World
from federation.controllers.ports import HubPort, Teller
from federation.core import claims, managedfields, planning, status
from federation.model import marks
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject
from federation.model.plan import Apply, Claim, Keep, Push
from federation.model.resources import Key, ObjectName
from federation.model.status import ClusterStatus, Status
from federation.model.words import Word
from federation.runtime import metrics
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.lane import Verdict

SETTLE = 2.0
"""Seconds after which a status is written though some clusters have not answered."""
REMIND = 30.0
"""Seconds after which clusters that still have not answered are said to have timed out (KubeFed's 30 s)."""
REASSERT = 8 * 3600.0
"""Seconds within which every placement is applied once more, though nothing seems to have changed."""
log = structlog.get_logger()


class Sync:
    """The sync controller: all types, all clusters, one queue."""

    def __init__(
        self,
        world: World,
        hub: HubPort,
        queue: KeyQueue[Key],
        *,
        now: Callable[[], str],
        events: Teller | None = None,
    ) -> None:
        self._world = world
        self._hub = hub
        self._queue = queue
        self._gatherer = gathering.Gatherer(world)
        self._absences = absences.Absences(world, hub)
        self._now = now
        self._events = events
        self._open: dict[Key, float] = {}

    async def process(self, key: Key) -> None:
        """One turn of one key. Raises ApiFailure when the hub refuses; the key then comes again."""
        state = self._world.types.get(key.type)
        name = ObjectName(key.namespace, key.name)
        federated = state.objects.get(name) if state is not None else None
        if state is None or federated is None:
            if state is None or await self._absences.vanished(state, name):
                self._forget(key, state)
            else:
                self.changed(key)
            return
        track = state.tracks.get(name)
        if track is None or track.uid != federated.metadata.uid:
            track = state.tracks[name] = Track.begin(federated)
        if track.stale or track.plan is None:
            await self._plan(key, state, federated, track)
        await self._report(key, state, federated, track)

    def changed(self, key: Key, *, urgent: bool = False) -> None:
        """Some fact about this object changed: plan it anew."""
        state = self._world.types.get(key.type)
        track = state.tracks.get(ObjectName(key.namespace, key.name)) if state is not None else None
        if track is not None:
            track.stale = True
            track.urgent = track.urgent or urgent
        self._queue.add(key, urgent=urgent)

    def lane_runner(self, cluster: str) -> Callable[[Key], Awaitable[tuple[Verdict, float | None]]]:
        """What the lane of one cluster does with a key when its turn comes."""

        async def run(key: Key) -> tuple[Verdict, float | None]:
            return await self._act(key, cluster)

        return run

    def drop_cluster(self, cluster: str, dropped: list[Key]) -> None:
        """A cluster has left: what it held is forgotten (another may join by its name), its keys are planned anew."""
        for known in self._world.types.values():
            for each in known.tracks.values():
                each.applied.pop(cluster, None)
        for key in dropped:
            state = self._world.types.get(key.type)
            track = state.tracks.get(ObjectName(key.namespace, key.name)) if state is not None else None
            if track is not None:
                track.pending.discard(cluster)
            self.changed(key)

    def cluster_answers(self, cluster: str, type_name: str = "", *, upgraded: bool = False) -> None:
        """A cluster answers again (or lets one type be followed again): what failed meanwhile is tried now.

        What it would refuse again, because the manifest is wrong, still waits for another manifest, unless the cluster
        was `upgraded`: another definition of the type may let it pass, or keep the fields that it dropped.
        """
        now = time.monotonic()
        states = [self._world.types.get(type_name)] if type_name else list(self._world.types.values())
        for state in filter(None, states):
            if upgraded and cluster in state.holdings:
                state.holdings[cluster].kept.clear()
            for name, track in state.tracks.items():
                if upgraded and cluster in track.dropped:
                    track.recheck.add(cluster)
                    self.changed(Key(state.type.name, *name))
                setback = track.setbacks.get(cluster)
                hopeless = setback is not None and setback.pace == pacing.RETRY["never"] and not upgraded
                if setback is not None and not hopeless and setback.not_before > now:
                    setback.not_before, setback.attempts = now, 0
                    self._queue.add(Key(state.type.name, *name))

    async def sweep(self, period: float = 0.5) -> None:
        """Bring back, until cancelled, keys whose clusters keep silent longer than a status may wait."""
        while True:
            await asyncio.sleep(period)
            now = time.monotonic()
            for key in [key for key, due in self._open.items() if due <= now]:
                self._queue.add(key)

    async def reassert(self, period: float = REASSERT) -> None:
        """Apply everything again, rarely and spread over `period` seconds, until cancelled.

        managedFields cannot show admission that alters our field inside somebody else's write, nor an old entry of ours
        put back. An apply that changes nothing writes nothing.
        """
        while True:
            keys = [(state, name) for state in list(self._world.types.values()) for name in list(state.tracks)]
            for state, name in keys:
                await asyncio.sleep(period / len(keys))
                track = state.tracks.get(name)
                if track is not None:
                    track.recheck.update(track.applied)
                    self.changed(Key(state.type.name, *name))
            if not keys:
                await asyncio.sleep(min(period, 600.0))

    # --- plan and dispatch -------------------------------------------------------------------------------------

    async def _plan(self, key: Key, state: TypeState, federated: FederatedObject, track: Track) -> None:
        track.stale = False
        try:
            if await self._absences.federated_namespace(state, key.namespace):
                self.changed(Key(marks.NAMESPACE_TYPE, key.namespace, key.namespace))
            facts = self._gatherer.gather(state, federated, track)
            plan = planning.plan(facts)
            if plan.finalizer is False and self._in_flight(key, track):
                return  # a copy may be on its way right now; its answer brings the key back
            if plan.finalizer is not None:
                await self._set_finalizer(state, federated, present=plan.finalizer)
        except BaseException:
            track.stale = True  # whatever stopped us, this plan was not carried out
            self._open.pop(key, None)  # the worker's own wait brings it back, not the sweep
            raise
        if plan.undecided:
            track.plan = track.plan or plan  # what is on its way belongs to the plan before
            return
        track.plan = replace(plan, actions={})  # or every manifest would be kept for as long as its object
        track.actions = dict(plan.actions)
        told = track.status.observed_generation == plan.generation  # by a controller before us
        if plan.warnings and self._events is not None and not told:
            self._events.warned(key, federated, plan.warnings)
        track.since = time.monotonic()
        for cluster in {*track.pending, *track.leaving}:
            if not isinstance(track.actions.get(cluster), Push):
                self._withdraw(key, track, cluster)
        for gone in [cluster for cluster in track.applied if cluster not in plan.actions]:
            del track.applied[gone]
        for cluster in [cluster for cluster in track.setbacks if isinstance(plan.actions.get(cluster), Keep | None)]:
            del track.setbacks[cluster]
        notes: tuple[dict[str, Any], ...] = (track.contention, track.dropped)
        for noted in notes:
            for cluster in [cluster for cluster in noted if cluster not in plan.actions]:
                del noted[cluster]
        track.unsure = {
            cluster
            for cluster in track.unsure
            if cluster in plan.actions and not claims.certain(facts.observe(cluster))
        }
        self._dispatch(key, track)
        track.recheck.intersection_update(track.pending)  # what was not sent now has its turn in the next round
        track.urgent = False

    async def _set_finalizer(self, state: TypeState, federated: FederatedObject, *, present: bool) -> None:
        meta = federated.metadata
        others = tuple(name for name in meta.finalizers if name != marks.SYNC_FINALIZER)
        finalizers = (*others, marks.SYNC_FINALIZER) if present else others
        answer = await self._hub.set_finalizers(state.type.federated, meta, finalizers)
        if isinstance(answer, Failure):
            if answer.kind in {FailureKind.NOT_FOUND, FailureKind.UID_MISMATCH} and not present:
                if state.objects.get(federated.where) is federated:
                    state.objects.drop(federated.where)
                    self._queue.add(Key(state.type.name, *federated.where))  # to be forgotten
                return
            raise ApiFailure(answer, f"finalizer of {state.type.federated.kind} {federated.where}")
        current = state.objects.get(federated.where)
        if current is federated:  # else a newer event came meanwhile and knows better
            state.objects.put(federated.where, FederatedObject(answer, federated.spec, federated.status))

    def _dispatch(self, key: Key, track: Track) -> None:
        now = time.monotonic()
        for cluster, action in track.actions.items():
            if not isinstance(action, Push):
                continue
            member = self._world.members.get(cluster)
            if member is None or member.lane is None:
                continue
            wait = pacing.held_back(action, track, cluster, now)
            if wait > 0:
                self._queue.add_after(key, wait)
                continue
            track.pending.add(cluster)
            member.lane.submit(key, urgent=track.urgent)

    def _withdraw(self, key: Key, track: Track, cluster: str) -> None:
        """Take back what has not started; what is under way stays pending until its answer."""
        track.leaving.pop(cluster, None)
        member = self._world.members.get(cluster)
        lane = member.lane if member is not None else None
        if lane is None or lane.withdraw(key) or key not in lane:
            track.pending.discard(cluster)

    def _in_flight(self, key: Key, track: Track) -> bool:
        for cluster in list(track.pending):
            self._withdraw(key, track, cluster)
        if track.pending:
            track.stale = True
        return bool(track.pending)

    def _forget(self, key: Key, state: TypeState | None) -> None:
        self._open.pop(key, None)
        track = state.tracks.pop(ObjectName(key.namespace, key.name), None) if state is not None else None
        if track is not None:
            for cluster in list(track.pending):
                self._withdraw(key, track, cluster)

    # --- act and absorb ----------------------------------------------------------------------------------------

    async def _act(self, key: Key, cluster: str) -> tuple[Verdict, float | None]:
        state = self._world.types.get(key.type)
        name = ObjectName(key.namespace, key.name)
        track = state.tracks.get(name) if state is not None else None
        member = self._world.members.get(cluster)
        port = member.port if member is not None else None
        if state is None or track is None or track.plan is None or cluster not in track.pending or port is None:
            return Verdict.NOTHING, None
        plan, action = track.plan, track.actions.get(cluster)
        if not isinstance(action, Push):
            track.pending.discard(cluster)
            return Verdict.NOTHING, None
        if isinstance(action, Claim) or (isinstance(action, Apply) and not action.uid):
            track.unsure.add(cluster)
        try:
            outcome = await push.carry_out(action, answers.target(state, cluster, name, port))
        except Exception:
            log.exception("push failed", key=str(key), cluster=cluster)
            outcome = push.Outcome(
                word=Word.COMPUTE_RESOURCE_FAILED, message="internal error; see the controller's log"
            )
        same = self._world.members.get(cluster) is member  # else another cluster has joined by this name meanwhile
        if state.tracks.get(name) is track and same:
            self._absorb(Turn(key, cluster, state, track, action, plan.generation), port.manager, outcome)
        return pacing.verdict(outcome)

    def _absorb(self, turn: Turn, manager: str, outcome: push.Outcome) -> None:
        key, cluster, track, action = turn.key, turn.cluster, turn.track, turn.action
        current = track.actions.get(cluster)
        track.pending.discard(cluster)
        metrics.PUSHES.labels(cluster, key.type, outcome.word.value or "ok").inc()
        if outcome.word:
            self._set_back(turn, outcome)
            answers.refused(turn, outcome)
            # Somebody else's object: the event that shows it may have come while this was under way.
            track.stale = track.stale or outcome.word in {Word.ALREADY_EXISTS, Word.MANAGED_LABEL_FALSE}
        elif isinstance(action, Apply) and outcome.metadata is not None:
            track.setbacks.pop(cluster, None)
            answers.applied(turn, action, managedfields.observe(outcome.metadata, manager), outcome)
        elif outcome.metadata is not None:
            track.setbacks.pop(cluster, None)
            answers.yielded(turn, manager, managedfields.observe(outcome.metadata, manager))
        else:
            track.setbacks.pop(cluster, None)
            if action.uid:
                track.leaving[cluster] = (action.uid, time.monotonic())
                self._queue.add_after(key, pacing.LEAVE)
            else:
                track.stale = True  # where nothing was, no event tells that it is gone
        if answers.certain(turn, outcome):
            track.unsure.discard(cluster)
        if current is not action:
            track.stale = True  # it was planned anew while this was under way
        if not track.pending or track.stale:
            self._queue.add(key, urgent=True)

    def _set_back(self, turn: Turn, outcome: push.Outcome) -> None:
        key, cluster, track = turn.key, turn.cluster, turn.track
        setback = pacing.set_back(track.setbacks.get(cluster), turn.action, outcome, time.monotonic())
        track.setbacks[cluster] = setback
        wait = setback.not_before - time.monotonic()
        self._queue.add_after(key, wait)
        if outcome.recreating:
            log.info("recreating", key=str(key), cluster=cluster, reason=outcome.message)
            if self._events is not None:
                self._events.recreating(key, cluster, outcome.message)
        elif setback.attempts == 1:
            log.info(
                "push refused",
                key=str(key),
                cluster=cluster,
                status=outcome.word.value,
                reason=outcome.message,
                next_try_in_s=round(wait, 1),
            )

    # --- report ------------------------------------------------------------------------------------------------

    async def _report(self, key: Key, state: TypeState, federated: FederatedObject, track: Track) -> None:
        plan = track.plan
        now = time.monotonic()
        if plan is None or plan.undecided or plan.finalizer is False:
            self._open.pop(key, None)
            return  # an event will decide, or the object goes with its finalizer
        due = pacing.next_try(track)
        if due is not None and due <= now:
            track.stale = True
            self._queue.add(key)
        elif due is not None:
            self._queue.add_after(key, due - now)  # whichever timer brought us here may have been an older one
        if not lines.settled(track):
            # Plans may follow each other faster than members answer: the first one's time counts.
            due = min(self._open.get(key, track.since + SETTLE), track.since + SETTLE)
            if now < due:
                self._open[key] = due
                return
            self._open[key] = now + REMIND
        else:
            self._open.pop(key, None)
        composed = lines.compose(plan, track, late=now >= track.since + REMIND)
        stalled, told_at = lines.stalled(track), self._now()

        def fold(clusters: Sequence[ClusterStatus]) -> Status:
            return status.fold(
                track.status,
                generation=plan.generation,
                reason=plan.reason,
                message=plan.message,
                clusters=clusters,
                selected=plan.selected,
                unjoined=plan.unjoined,
                stalled=stalled,
                now=told_at,
            )

        write = functools.partial(self._hub.set_status, state.type.federated, federated.where)
        told = await reporting.tell(write, track.status, composed, fold)
        if isinstance(told, Failure):
            if told.kind is FailureKind.NOT_FOUND:
                return
            raise ApiFailure(told, f"status of {state.type.federated.kind} {federated.where}")
        before, track.status = track.status, told
        if told is before:
            return
        if self._events is not None:
            self._events.status_changed(key, federated, before, told)
