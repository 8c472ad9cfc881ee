"""Keep members in step with federated objects: the road from a key to a plan, to the lanes, and back to the status.

Read `process` first. A key is planned when its facts changed (`track.stale`), and its actions are put into the lanes of
their clusters. There `executing` carries them out and brings the key back with their answers; `reporting` writes the
status, once, when every action has its answer. Nothing here waits for a member.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Set

import msgspec
import structlog

from federation.controllers import (
    absences,
    executing,
    fanout,
    gathering,
    learning,
    lines,
    pacing,
    partial,
    reassertion,
    reporting,
    statuswrites,
    thrift,
)
from federation.controllers.deletions import Deletions
from federation.controllers.outbox import Outbox
from federation.controllers.ports import EventRecorder, HubPort
from federation.controllers.proofs import Prover
from federation.controllers.retries import Retries
from federation.controllers.strays import Strays
from federation.controllers.tracks import NOBODY, Track, including, without, without_status
from federation.controllers.world import TypeState, World
from federation.core import budget, cadence, elsewhere, planning, proof, summary
from federation.core.facts import Facts
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, ReducedObject
from federation.model.plan import Action, Command, Plan, Refuse, Wait
from federation.model.resources import Key, ObjectName
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.lane import Evidence
from federation.runtime.turns import Turns

JOINING = 0.5
"""Seconds that a cluster which a list had left out gets to be joined."""
SELECTIONS = 1_000
"""Different selections of clusters that are remembered, for objects that have the same to share it."""

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
        events: EventRecorder,
    ) -> None:
        self._world = world
        self._hub = hub
        self._queue = queue
        self._gatherer = gathering.Gatherer(world)
        self._aside = asyncio.Semaphore(1)
        self._turns = Turns()
        self._absences = absences.Absences(world, hub)
        self._strays = Strays(world, self._absences)
        self._events = events
        self.prover = Prover(world, hub)
        self._executor = executing.Executor(world, queue, events, self.changed, self.prover)
        self._writer = statuswrites.StatusWriter(hub, events, self.changed, now)
        self._reporter = reporting.Reporter(world, queue, self._writer, now)
        self.retries = Retries(world, queue, self.changed)
        self._selections: dict[frozenset[str], frozenset[str]] = {}
        self._deletions: Deletions | None = None

    async def process(self, key: Key) -> None:
        """One turn of one key. Raises ApiFailure when the hub refuses; the key then comes again."""
        await self._turns.begin()
        state = self._world.types.get(key.type)
        name = ObjectName(key.namespace, key.name)
        federated = state.objects.get(name) if state is not None else None
        if state is None or federated is None:
            await self._absent(key, state)
            return
        track = state.tracks.get(name)
        if track is None or track.uid != federated.metadata.uid:
            if federated.status_hash:
                await self._read_whole(key, state, federated)  # its status went with the track that had it
                return
            new = state.created.get(name) == federated.metadata.uid
            track = Track.begin(federated, self._world.members, state.newcomers, from_the_start=new)
            if self._world.recovery is not None:
                track.recheck = frozenset(track.applied) or NOBODY  # the stored status is of an older hub
                state.reverted.add(name)
            if not await self._absences.clusters_left(track.applied):
                self._queue.add_after(key, JOINING)
                return
            if state.objects.get(name) is not federated:
                self._queue.add(key)  # another came while the hub was asked
                return
            state.tracks[name] = track
            state.created.pop(name, None)
            federated = without_status(federated)
            state.objects.put(name, federated)
        if self._world.reports:
            federated = statuswrites.follow(state, track, federated)
        if track.stale or track.departed or track.news or track.plan is None:
            rest = track.since + cadence.rest(len(track.actions)) - time.monotonic()
            if rest > 0 and not track.urgent:
                self._queue.add_after(key, rest)
                return
            await self._plan(key, state, federated, track)
        await self._reporter.report(key, state, federated, track)

    def report_overwritten(self, overwritten: Callable[[Key, str, int], None]) -> None:
        """`overwritten` is called when newer content in a member gave way to that of a restored hub, with the time at
        which the newer one was applied."""
        self._executor.overwritten = overwritten

    def report_overwrote(self, overwrote: Callable[[Key, str, int], None]) -> None:
        """`overwrote` is called when that may be so, while no hub is known to have been restored (continuity)."""
        self._executor.overwrote = overwrote

    def report_to(self, outbox: Outbox) -> None:
        """Another controller writes finalizers and statuses: it is told what this one does."""
        self._reporter.outbox = outbox

    def hold_deletions(self, deletions: Deletions) -> None:
        """`deletions` counts those that plans want, and holds them where they are many."""
        self._deletions = self._strays.deletions = deletions

    def ask_of_clusters(self, left: Callable[[str], Awaitable[bool]]) -> None:
        """`left` shows whether a cluster that a stored status names, and that is not known, has left."""
        self._absences.cluster_left = left

    def changed(self, key: Key, *, urgent: bool = False, clusters: Set[str] = NOBODY) -> None:
        """Some fact about this object changed, or about what it has in these clusters: plan it anew."""
        state = self._world.types.get(key.type)
        track = state.tracks.get(ObjectName(key.namespace, key.name)) if state is not None else None
        if track is not None:
            if clusters:
                track.news = {*track.news, *clusters}
            else:
                track.stale = True
            track.urgent = track.urgent or urgent
        self._queue.add(key, urgent=urgent)

    def lane_runner(self, cluster: str) -> Callable[[Key], Awaitable[tuple[Evidence, float | None]]]:
        """What the lane of one cluster does with a key when its turn comes."""
        return functools.partial(self._executor.execute, cluster)

    def finish(self) -> None:
        """The lanes have ended: report what is not reported yet."""
        self._executor.finish()

    def forget_cluster(self, cluster: str, withdrawn: list[Key], *, moves: bool = False) -> Iterator[None]:
        """A cluster has left: forget it, a step at a time, and plan anew what waited in its lane.

        Whoever takes the steps lets other tasks have their turn in between, and no cluster join by this name before the
        last one. Meanwhile no plan has the cluster any more, and no answer of it counts. One that `moves` is reached in
        another way from now on: what was applied there is there still.
        """
        if self._deletions is not None:
            self._deletions.forget_cluster(cluster)
        for known in list(self._world.types.values()):
            for some in fanout.slices(list(known.tracks.values())):
                for each in some:
                    applied = each.applied.get(cluster)
                    each.forget(cluster)
                    if moves and applied is not None:
                        each.applied[cluster] = applied
                yield
        fanout.wake_gradually(iter(withdrawn), self.changed)

    async def sweep(self) -> None:
        """Bring back, until cancelled, keys whose status is due though some clusters have not answered."""
        await self._reporter.sweep()

    async def reassert(self, period: float = reassertion.PERIOD) -> None:
        """Apply everything again, rarely and spread over `period` seconds, until cancelled."""
        await reassertion.Reassertion(self._world, self.changed, period).run()

    # --- plan and dispatch -------------------------------------------------------------------------------------

    async def _absent(self, key: Key, state: TypeState | None) -> None:
        """There is no such object: make sure of that, forget it, and release copies that it has left behind."""
        if state is None:
            self._forget(key, None)
            return
        name = ObjectName(key.namespace, key.name)
        if not await self._absences.vanished(state, name):
            self.changed(key)
            return
        if not state.is_stray(name):
            self._forget(key, state)
        if not await self._strays.take(key, state, self._queue, self._dispatch):
            self._forget(key, state)

    async def _plan(self, key: Key, state: TypeState, federated: FederatedObject, track: Track) -> None:
        news = partial.concerned(state, federated, track, self._gatherer.clusters())
        track.stale = False
        track.departed = track.news = NOBODY
        meanwhile: set[str] = set()
        track.meanwhile = meanwhile
        try:
            made = await self._made(key, state, federated, track, meanwhile, news)
        except BaseException:
            track.stale = True  # whatever stopped us, this plan was not carried out
            self._reporter.cancel(key)  # the worker brings the key back
            raise
        finally:
            track.meanwhile = None
        if made is not None:
            facts, plan = made
            self._adopt(key, state, federated, track, facts=facts, plan=plan)
            if any(not isinstance(track.actions.get(cluster), Command) for cluster in meanwhile):
                self.changed(key)  # a push of the plan before has ended where this one has nothing more to do

    async def _made(  # noqa: PLR0917 - private, called once
        self,
        key: Key,
        state: TypeState,
        federated: FederatedObject,
        track: Track,
        meanwhile: Set[str],
        news: Set[str],
    ) -> tuple[Facts, Plan] | None:
        """The plan, and the facts that it is made from; None when it is not to be used. Sees to the finalizer.

        `meanwhile` are the clusters where a push begins or ends while it is made. Where only of a few there is `news`,
        the actions of the others are those that they have.
        """
        if await self._absences.federated_namespace(state, key.namespace):
            self.changed(Key(marks.NAMESPACE_TYPE, key.namespace, key.namespace))
        if news and (made := self._made_for(news, state, federated, track)) is not None:
            return made
        facts = self._gatherer.gather(state, federated, track)
        if aside := gathering.takes_long(facts):
            facts = gathering.settled(facts)
        plan = await self._decide(facts, track, aside=aside)
        if plan is None:
            await self._read_whole(key, state, federated)
            track.stale = True
            return None
        if plan.finalizer is False and meanwhile:
            self.changed(key)
            return None  # a copy may have been made since the facts were read
        if plan.finalizer is False and self._in_flight(key, track):
            return None  # a copy may be on its way right now; its answer brings the key back
        if self._world.sharding is not None and (outbox := self._world.sharding.outbox) is not None:
            if plan.finalizer is False:
                self._confirm(outbox, key, state, federated, plan)
            return facts, elsewhere.worker(plan)
        if plan.finalizer is not None:
            await self._set_finalizer(state, federated, present=plan.finalizer)
            await self._turns.begin()
        return facts, plan

    def _made_for(
        self, news: Set[str], state: TypeState, federated: FederatedObject, track: Track
    ) -> tuple[Facts, Plan] | None:
        """The plan when only these clusters are planned anew; None: that is not enough, or takes long."""
        facts = self._gatherer.gather(state, federated, track, only=news)
        if gathering.takes_long(facts):
            return None
        plan = partial.merged(track, self._restrained(planning.plan(facts), facts, track, news), news)
        return None if plan is None else (facts, plan)

    def _adopt(
        self, key: Key, state: TypeState, federated: FederatedObject, track: Track, *, facts: Facts, plan: Plan
    ) -> None:
        """The plan counts from now on: put its actions into the lanes."""
        if plan.undecided:
            track.plan = track.plan or plan  # what is on its way belongs to the plan before
            return
        before, not_coming = track.actions, self._not_coming(state, track)
        # Without the actions, or every manifest would be kept for as long as its object.
        track.plan = msgspec.structs.replace(plan, actions={}, selected=self._shared(plan.selected))
        track.actions = dict(plan.actions)
        self._report_refusals(key, federated, track, plan, before)
        self._wake_inside(key, state, track, not_coming)
        track.since = time.monotonic()
        for cluster in {*track.pending, *track.leaving}:
            if not isinstance(track.actions.get(cluster), Command):
                self._withdraw(key, track, cluster)
        learning.planned(track, plan, facts)
        self._dispatch(key, track)
        for cluster in track.recheck - track.pending:
            if not reassertion.still_due(track.actions.get(cluster), self._world.members.get(cluster)):
                track.recheck = without(track.recheck, cluster)
        track.urgent = False
        thrift.after(state, federated, plan)

    def _shared(self, selected: frozenset[str]) -> frozenset[str]:
        """The same selection, once in memory for all objects that have it."""
        if len(self._selections) >= SELECTIONS:
            self._selections.clear()
        return self._selections.setdefault(selected, selected)

    def _report_refusals(
        self, key: Key, federated: FederatedObject, track: Track, plan: Plan, before: Mapping[str, Action]
    ) -> None:
        """What of the spec is left out, why it is refused, and where a copy is left alone: once, also by the controller
        before us."""
        reported = track.status.observed_generation == plan.generation
        if plan.warnings and not reported and not self._world.reports:
            self._events.fields_ignored(key, federated, plan.warnings)
        if plan.reason.stalls and not reported:
            log.warning("spec refused", key=str(key), reason=plan.message)
        clusters: dict[Refuse | Wait, list[str]] = {}
        refused = {
            name: each
            for name, each in track.actions.items()
            if isinstance(each, Refuse | Wait)
            and (isinstance(each, Refuse) or each.status is PropagationStatus.MANAGED_LABEL_FALSE)
        }
        stored = budget.by_name(track.status.clusters) if refused else {}
        for name, refusal in refused.items():
            if before.get(name) != refusal and not lines.shows(stored, name, refusal):
                clusters.setdefault(refusal, []).append(name)
        for kept, names in clusters.items():
            what = "spec refused" if isinstance(kept, Refuse) else "copy left alone"
            log.warning(what, key=str(key), clusters=summary.some(names), status=kept.status.value, reason=kept.message)

    def _not_coming(self, state: TypeState, track: Track) -> set[str]:
        """Clusters where a namespace is not made by its own push."""
        if not state.type.is_namespace:
            return set()
        return {name for name in self._world.members if gathering.will_not_come(track, name)}

    def _wake_inside(self, key: Key, state: TypeState, track: Track, not_coming: set[str]) -> None:
        """Objects in a namespace that is not to come need not wait for it."""
        if self._not_coming(state, track) - not_coming:
            fanout.wake_gradually(self._world.keys_within(key.name), self.changed)

    async def _decide(self, facts: Facts, track: Track, *, aside: bool) -> Plan | None:
        """The plan; None when the object's spec was not kept and is needed. `aside`: in a thread, one at a time."""
        if aside:
            async with self._aside:
                plan: Plan | None = await asyncio.to_thread(planning.plan, facts)
        else:
            plan = planning.plan(facts)
        if plan is not None and isinstance(facts.object, ReducedObject):
            plan = thrift.decided(facts, plan, track.plan)
        return self._restrained(plan, facts, track) if plan is not None else None

    def _restrained(self, plan: Plan, facts: Facts, track: Track, only: Set[str] = NOBODY) -> Plan:
        """The plan without the removals that are held now; it is of all clusters, or `only` of these."""
        federated, enabled = facts.object, facts.type
        plan = self._world.restrained(enabled, federated.metadata, plan)
        if self._deletions is None:
            return plan
        return self._deletions.restrain(Key(enabled.name, *federated.where), enabled, track, plan, only)

    async def _read_whole(self, key: Key, state: TypeState, federated: FederatedObject) -> None:
        """What is needed of an object was not kept (its spec, its status): read it, and plan it then."""
        found = await self._hub.read_federated(state.type.federated, federated.where)
        if isinstance(found, Failure):
            raise ApiFailure(found, f"{state.type.federated.kind} {federated.where}")
        if state.objects.get(federated.where) is federated:  # else a newer event came meanwhile
            state.objects.put(federated.where, found)
        self._queue.add(key, urgent=True)

    def _confirm(self, outbox: Outbox, key: Key, state: TypeState, federated: FederatedObject, plan: Plan) -> None:
        """Nothing is left of an object in the clusters of this shard. One that is gone at the hub can be forgotten."""
        if federated.metadata.deletion_timestamp == proof.GONE_UNSEEN:
            if state.objects.get(federated.where) is federated:
                state.objects.drop(federated.where)
                self._queue.add(key)
            return
        outbox.confirm(key, federated, plan)

    async def _set_finalizer(self, state: TypeState, federated: FederatedObject, *, present: bool) -> None:
        key, meta = Key(state.type.name, *federated.where), federated.metadata
        others = tuple(name for name in meta.finalizers if name != marks.SYNC_FINALIZER)
        finalizers = (*others, marks.SYNC_FINALIZER) if present else others
        answer = await self._hub.set_finalizers(state.type.federated, meta, finalizers)
        if isinstance(answer, Failure):
            if answer.kind in {FailureKind.NOT_FOUND, FailureKind.UID_MISMATCH} and not present:
                if state.objects.get(federated.where) is federated:
                    state.objects.drop(federated.where)
                    self._queue.add(key)  # to be forgotten
                return
            await self._writer.finalizer_refused(key, state, federated, answer, present=present)
            raise ApiFailure(answer, f"finalizer of {state.type.federated.kind} {federated.where}")
        self._writer.finalizer_accepted(key)
        current = state.objects.get(federated.where)
        if current is federated:  # else a newer event came meanwhile and knows better
            state.objects.put(federated.where, msgspec.structs.replace(federated, metadata=answer))

    def _dispatch(self, key: Key, track: Track) -> None:
        now = time.monotonic()
        for cluster, action in track.actions.items():
            if not isinstance(action, Command):
                continue
            member = self._world.members.get(cluster)
            if member is None or member.lane is None:
                continue
            if pacing.remaining_delay(action, track, cluster, now) > 0:
                continue  # `reporting` brings the key back
            track.pending = including(track.pending, cluster)
            member.lane.submit(key, urgent=track.urgent)

    def _withdraw(self, key: Key, track: Track, cluster: str) -> None:
        """Take back what has not started; what is under way stays pending until its answer."""
        track.leaving.pop(cluster, None)
        member = self._world.members.get(cluster)
        lane = member.lane if member is not None else None
        if lane is None or lane.withdraw(key) or key not in lane:
            track.pending = without(track.pending, cluster)

    def _in_flight(self, key: Key, track: Track) -> bool:
        for cluster in list(track.pending):
            self._withdraw(key, track, cluster)
        if track.pending:
            track.stale = True
        return bool(track.pending)

    def _forget(self, key: Key, state: TypeState | None) -> None:
        self._reporter.forget(key)
        track = state.tracks.pop(ObjectName(key.namespace, key.name), None) if state is not None else None
        if track is not None and self._deletions is not None:
            self._deletions.forget(key)
        if track is not None:
            for cluster in list(track.pending):
                self._withdraw(key, track, cluster)
