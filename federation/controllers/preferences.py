"""ReplicaSchedulingPreferences: the replicas of a federated Deployment or ReplicaSet are spread as its user prefers.

`process` decides one preference (core.scheduling) from its federated object and what the clusters show, and writes what
follows into the federated object: spec.placement.clusters and one override of /spec/replicas per cluster, as a field
manager of its own (core.schedules). The sync controller does the rest, as for what people write. When a preference is
deleted, what it has scheduled stays.

Nothing is watched in members for it: what they show is read when the watch of their copies shows a change
(`workloadlooks`). An object without a preference costs nothing.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from federation.controllers.ports import EventPoster, OnChange, Sink, Watch
from federation.controllers.preferencefacts import PreferenceFacts, Situation
from federation.controllers.preferencereports import PreferenceReports
from federation.controllers.preferencewrites import PreferenceHub, PreferenceWrites
from federation.controllers.workloadlooks import WorkloadLooks
from federation.controllers.world import TypeState, World
from federation.core import parsing, preferencespec, schedules, scheduling, shortages
from federation.core.scheduling import Decision, Problem, State
from federation.model import marks
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, ReducedObject, Spec, StoredObject
from federation.model.preferences import Preference, Shortage, Standing
from federation.model.resources import PREFERENCES, ObjectName, Resource
from federation.model.settings import PUSHER, SCHEDULER
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks

SETTLE = 1.0
"""Seconds until what is being listed is looked at again."""
MOMENT = 0.2
"""Seconds in which changes of clusters are one."""
LONGEST_MOMENT, DECIDING = 5.0, 20e-6
"""Seconds at most, and for each preference and cluster: several times what deciding takes."""
DWELL = 2.0
"""Seconds that something must be missing before that is reported: what is applied together comes in any order."""
PROBED = 30.0
"""Seconds after a start in which clusters that have not been probed yet are waited for."""
MANY = 100
"""Clusters up to which is decided on the event loop."""
LATER = 30.0
"""Seconds until a type that is not enabled is looked for again."""
SWITCHED_OFF = "feature gate PushReconciler is Disabled: what was scheduled stays, and nothing is changed"


class PreferenceWatches(Protocol):
    """How ReplicaSchedulingPreferences are followed at the hub."""

    def stored(self, resource: Resource, namespace: str, sink: Sink[StoredObject], on_change: OnChange) -> Watch:
        """Objects of one resource in a namespace, "" for all."""


class Preferences:
    """All preferences. Its queue has their names; `process` is its worker's turn. `clusters` are the KubeFedClusters,
    `now` gives seconds of the epoch."""

    def __init__(
        self,
        world: World,
        hub: PreferenceHub,
        watches: PreferenceWatches,
        *,
        clusters: Store[StoredObject],
        events: EventPoster,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.queue: KeyQueue[ObjectName] = KeyQueue(lambda where: where.namespace)
        self.objects: Store[StoredObject] = Store()
        self._world = world
        self._hub = hub
        self._watches = watches
        self._events = events
        self._now = now
        self._looks = WorkloadLooks(world, self.queue.add)
        self._facts = PreferenceFacts(world, self._looks, clusters, now)
        self._writes = PreferenceWrites(hub)
        self._shortages: dict[ObjectName, tuple[str, int, dict[str, Shortage]]] = {}
        self._steered: dict[ObjectName, TypeState] = {}
        self._missing: dict[ObjectName, float] = {}
        self._reports = PreferenceReports(hub, self.objects, events, now)
        self._watch: Watch | None = None
        self._watched: str | None = None
        self._began = 0.0
        self._following = Tasks()

    # --- what the hub has

    @property
    def enabled(self) -> bool:
        """Whether the feature gate lets preferences be acted on."""
        return SCHEDULER in self._world.settings.features

    async def follow(self) -> None:
        """Follow preferences, everywhere or in the one namespace that the settings bind the controller to; or none,
        while the feature gate is off: then each of them says so, and nothing else changes."""
        wanted: str | None = self._world.namespace if self._world.settings.namespaced else ""
        if not self.enabled:
            wanted = None
        if wanted == self._watched:
            return
        if wanted is None:
            for stored in [stored for _, stored in self.objects.items()]:
                await self._reports.disabled(stored)
        self._watched, self._began = wanted, time.monotonic()
        await self._following.cancel()
        for where in list(self.objects):
            self.objects.drop(where)
            self._forget(where)
        self._watch = None
        if wanted is not None:
            self._watch = self._watches.stored(PREFERENCES, wanted, _PreferenceSink(self), lambda _: None)
            self._following.keep(self._watch.run, "watch:hub:preferences")

    def kick(self) -> None:
        """A CustomResourceDefinition changed at the hub."""
        self._writes.definitions_changed()
        if self._watch is not None and self._watch.failure is not None:
            self._watch.kick()

    def renew(self) -> None:
        """List all preferences again: the hub was restored."""
        if self._watch is not None:
            self._watch.renew()

    async def close(self) -> None:
        """Stop following."""
        await self._following.cancel()
        await self._looks.tasks.cancel()

    def cluster_changed(self, name: str) -> None:
        """A cluster joined, left, or was looked at: whoever may be concerned decides anew, if anything is another."""
        if self.objects and self._facts.is_another(name):
            self.types_changed()

    def types_changed(self, name: str = "") -> None:
        """A type came or went, or a cluster changed: all decide anew, once for all that changes in a moment, which is
        the longer the more that is."""
        moment = min(LONGEST_MOMENT, MOMENT + len(self.objects) * len(self._world.members) * DECIDING)
        if name:
            self._writes.definitions_changed()  # with scope Namespaced nothing else shows that
        for where in self.objects:
            self.queue.add_after(where, moment)

    def namespace_changed(self, namespace: str) -> None:
        """The FederatedNamespace of a namespace changed."""
        for where in self.objects.within(namespace):
            self.queue.add_after(where, MOMENT)

    # --- one preference

    async def process(self, where: ObjectName) -> None:
        """One turn of one preference. Raises ApiFailure when the hub refuses; it then comes again."""
        stored = self.objects.get(where)
        if stored is None or stored.metadata.deletion_timestamp is not None or not self.enabled:
            self._forget(where)
            return
        try:
            wish = preferencespec.preference(stored)
        except Invalid as error:
            self._let_go(where)
            problem = Problem("InvalidSpec", f"{error}; nothing is changed")
            await self._report(stored, Decision(None, State.INVALID, problem.message), [problem])
            return
        found = await self._target(stored, wish)
        if found is None:
            self.queue.add_after(where, SETTLE)
        elif isinstance(found, Decision):
            await self._refuse(stored, found)
        else:
            await self._schedule(stored, wish, *found)

    async def _target(
        self, stored: StoredObject, wish: Preference
    ) -> tuple[TypeState, FederatedObject, Spec] | Decision | None:
        """The federated object that it is for; or why none can be scheduled, None while that is unknown."""
        where, state = stored.where, self._facts.state(wish.kind)
        if state is None:
            self._let_go(where)
            if PUSHER not in self._world.settings.features:
                return Decision(None, State.DISABLED, SWITCHED_OFF)
            what = preferencespec.TARGETS[preferencespec.KINDS.index(wish.kind)]
            why = f"{wish.kind} is not enabled for federation: run `fedctl enable {what}`"
            return Decision(None, State.NOT_ENABLED, why)
        self._steer(where, state)
        if not state.objects.synced or where in state.missing:
            return None
        item: FederatedObject | None = state.objects.get(where)
        if item is None or item.metadata.deletion_timestamp is not None:
            gone = "there is no" if item is None else "it is being deleted:"
            return Decision({}, State.NO_TARGET, f"{gone} {wish.kind} {where}, which has the preference's own name")
        if isinstance(item, ReducedObject):
            read = await self._hub.read_federated(state.type.federated, where)
            if isinstance(read, Failure):
                if read.kind is FailureKind.NOT_FOUND:
                    return None
                raise ApiFailure(read, f"{wish.kind} {where}")
            item = read
        try:
            if item.broken:
                raise Invalid("", item.broken)
            return state, item, parsing.spec(item.spec)
        except Invalid as error:
            return Decision(None, State.BROKEN_TARGET, f"{wish.kind} {where}: {error}; nothing is changed")

    async def _refuse(self, stored: StoredObject, why: Decision) -> None:
        """Nothing can be scheduled; what is missing may be on its way."""
        wait = self._dwells(stored.where)
        if why.state in {State.NO_TARGET, State.NOT_ENABLED} and wait > 0:
            self.queue.add_after(stored.where, wait)
            return
        off = why.state is State.DISABLED
        await self._report(stored, why, () if off else [Problem(why.state.value, why.message)])
        if off or why.state is State.NOT_ENABLED:
            self.queue.add_after(stored.where, LATER)

    def _dwells(self, where: ObjectName) -> float:
        """How many more seconds what is missing is waited for before that is reported."""
        now = time.monotonic()
        return self._missing.setdefault(where, now) + DWELL - now

    async def _schedule(
        self, stored: StoredObject, wish: Preference, state: TypeState, item: FederatedObject, spec: Spec
    ) -> None:
        where, written = stored.where, preferencespec.written(stored)
        if (wait := self._writes.echo(item)) is not None:
            self.queue.add_after(where, wait)  # or when the event comes
            return
        known = self._known(stored)
        situation = self._facts.situation(where, wish, state, spec, written=written, shortages=known)
        if situation.unknown or (situation.unprobed and time.monotonic() - self._began < PROBED):
            self.queue.add_after(where, SETTLE)
            return
        situation = self._assess(where, wish, situation)
        decision = await self._decide(wish, situation, where)
        if decision.state is State.WAITING and self._dwells(where) > 0:
            self._look_again(where, wish, situation)
            return
        if decision.state is not State.WAITING:
            self._missing.pop(where, None)
        if decision.numbers is not None:
            decision = replace(decision, numbers=schedules.bounded(decision.numbers))
        numbers = decision.numbers
        # What is there already is written, too, once: so that whoever placed it there may leave it out from now on.
        if numbers is not None and (schedules.differs(spec, numbers) or numbers.keys() - written.keys()):
            decision = await self._write(stored, state, item, spec, decision)
        problems = self._problems(wish, item, spec, situation)
        if contested := self._writes.contested(where):
            problems.append(Problem("Contested", contested))
        await self._report(stored, decision, problems)
        self._look_again(where, wish, situation)

    def _known(self, stored: StoredObject) -> dict[str, Shortage]:
        """What is known of clusters without room; another spec asks anew."""
        meta, known = stored.metadata, self._shortages.get(stored.where)
        if known is not None and known[:2] == (meta.uid, meta.generation):
            return known[2]
        found = dict(preferencespec.shortages(stored)) if known is None else {}
        self._shortages[stored.where] = meta.uid, meta.generation, found
        return found

    def _assess(self, where: ObjectName, wish: Preference, situation: Situation) -> Situation:
        """The situation with what the clusters show of their room now."""
        known, now = self._shortages[where][2], self._now()
        places = []
        for place in situation.places:
            shortage = shortages.assess(place, now, rebalance=wish.rebalance)
            if shortage is None:
                known.pop(place.name, None)
            else:
                known[place.name] = shortage
            places.append(place if shortage == place.shortage else replace(place, shortage=shortage))
        for name in known.keys() - {place.name for place in places}:
            del known[name]
        return replace(situation, places=tuple(places))

    @staticmethod
    async def _decide(wish: Preference, situation: Situation, where: ObjectName) -> Decision:
        """In a thread for large fleets: it takes milliseconds for each hundred clusters."""
        if len(situation.places) <= MANY:
            return scheduling.decide(wish, situation.places, str(where))
        return await asyncio.to_thread(scheduling.decide, wish, situation.places, str(where))

    async def _write(
        self, stored: StoredObject, state: TypeState, item: FederatedObject, spec: Spec, decision: Decision
    ) -> Decision:
        """Have the hub accept the numbers; what is decided then, or why they are not written."""
        numbers = decision.numbers or {}
        try:
            wait = await self._writes.write(state, item, spec, numbers)
        except ApiFailure as error:
            if error.failure.concerns == "object":
                why = f"the host refuses the schedule: {error.failure.message}"
                await self._reports.report(stored, Decision(None, State.REFUSED, why), [], {})
            raise
        if wait is not None:
            self.queue.add_after(stored.where, wait)
            return Decision(None, State.CONTESTED, self._writes.contested(stored.where))
        if schedules.differs(spec, numbers):
            self._reports.scheduled(stored, numbers)
        return decision

    @staticmethod
    def _problems(wish: Preference, item: FederatedObject, spec: Spec, situation: Situation) -> list[Problem]:
        """What the preference asks for in vain, or may surprise its user."""
        found = scheduling.problems(wish, situation.joined, situation.places)
        if wish.intersect and spec.placement.selector is None:
            why = f"spec.intersectWithClusterSelector is true, and {wish.kind} {item.where} has no clusterSelector"
            found.append(Problem("NoClusterSelector", f"{why}: no cluster can be chosen"))
        if situation.note:
            found.append(Problem("NamespaceNotFederated", situation.note))
        if spec.retain_replicas:
            why = "the federated object has retainReplicas: clusters keep their own replicas once it is created there"
            found.append(Problem("ReplicasRetained", why))
        if rollout := item.metadata.labels.get(marks.ROLLOUT_LABEL):
            why = f"FederatedRollout {rollout} releases the numbers to one stage after the other, as any other change"
            found.append(Problem("HeldByRollout", why))
        return found

    def _look_again(self, where: ObjectName, wish: Preference, situation: Situation) -> None:
        """Come back when time alone may change something."""
        now = self._now()
        # What is due already waits for something else: for a cluster to answer, or for what it is asked.
        due = [shortages.again(place.shortage, now) for place in situation.places if place.shortage is not None]
        waits = [wait for wait in due if wait > 0]
        waits += [
            wish.failover - place.silent_for
            for place in situation.places
            if wish.failover is not None and place.number and 0 < place.silent_for < wish.failover
        ]
        shown = [place.shown for place in situation.places if place.shown is not None]
        waits += [wait for each in shown if (wait := shortages.ripe(each, now)) is not None]
        answering = {place.name for place in situation.places if place.standing is Standing.ANSWERS}
        if (look := self._looks.due(where, answering)) is not None:
            waits.append(look)
        if any(place.runs is None and place.standing is Standing.ANSWERS for place in situation.places):
            waits.append(SETTLE)
        if waits:
            self.queue.add_after(where, max(MOMENT, min(waits)))

    async def _report(self, stored: StoredObject, decision: Decision, problems: Sequence[Problem]) -> None:
        known = self._shortages.get(stored.where)
        wait = await self._reports.report(stored, decision, problems, known[2] if known is not None else {})
        if wait is not None:
            self.queue.add_after(stored.where, wait)

    # --- who steers what

    def _steer(self, where: ObjectName, state: TypeState) -> None:
        """Be called when the object or a copy of it changes."""
        if self._steered.get(where) is not state:
            self._let_go(where)
            self._steered[where] = state
            state.steered[where] = functools.partial(self.queue.add, where)

    def _let_go(self, where: ObjectName) -> None:
        state = self._steered.pop(where, None)
        if state is not None:
            state.steered.pop(where, None)

    def _forget(self, where: ObjectName) -> None:
        self._let_go(where)
        self._looks.forget(where)
        self._writes.forget(where)
        self._reports.forget(where)
        self._shortages.pop(where, None)
        self._missing.pop(where, None)


class _PreferenceSink:
    """ReplicaSchedulingPreferences as the hub has them."""

    def __init__(self, owner: Preferences) -> None:
        self._owner = owner

    def replace(self, items: Iterable[StoredObject]) -> None:
        """A whole list."""
        listed = {item.where: item for item in items}
        for where in [where for where in self._owner.objects if where not in listed]:
            self._gone(where)
        for item in listed.values():
            self.upsert(item)
        self._owner.objects.listed()

    def upsert(self, item: StoredObject) -> None:
        """One object."""
        before = self._owner.objects.put(item.where, item)
        if before is None or _changed(before, item):
            self._owner.queue.add(item.where)

    def remove(self, item: StoredObject) -> None:
        """One object is gone."""
        self._gone(item.where)

    def _gone(self, where: ObjectName) -> None:
        self._owner.objects.drop(where)
        self._owner.queue.add(where)


def _changed(before: StoredObject, after: StoredObject) -> bool:
    """Not so by our own status, which comes back."""
    old, new = before.metadata, after.metadata
    same = (old.uid, old.generation, old.deletion_timestamp) == (new.uid, new.generation, new.deletion_timestamp)
    return not same or before.status != after.status
