"""The clusters in pull mode: their part of the lane to the hub, and what their works show.

They are clusters as any other for planning (`core.handing`), lanes and statuses. What is observed of them is one
collection at the hub, the ManifestWorks that this controller has written; it is followed only while there is such a
cluster. What a work shows is put in place of a copy into TypeState.copies, from which all others read it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

import msgspec
import structlog

from federation.controllers import clusterreports, handingover, strays, workstatuses
from federation.controllers.bundling import Bundler
from federation.controllers.copies import Copies
from federation.controllers.fanout import Fanout, slices
from federation.controllers.handingover import HandingOver
from federation.controllers.ports import OnChange, Sink, Watch, WorksPort
from federation.controllers.sync import Sync
from federation.controllers.tracks import including
from federation.controllers.world import Member, TypeState, World
from federation.core import cordons
from federation.core.proof import Proof
from federation.core.works import SeenWork
from federation.model.conditions import PropagationStatus
from federation.model.federated import StoredObject
from federation.model.observations import BY_WORK, Cluster, ObservedWork, Said
from federation.model.plan import Wait
from federation.model.resources import Key, ObjectName
from federation.model.works import Propagation
from federation.runtime import metrics
from federation.runtime.fleetlimit import FleetLimit
from federation.runtime.sharedlane import Part, SharedLane
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks

ProvesPush = Callable[[str], Awaitable[Proof | None]]
LOOK_AGAIN = 30.0
"""Seconds until the hub is asked again whether there are works, where it did not answer that."""
RELEASE_AGAIN = 5.0
"""Seconds until what is left of a cluster's works is looked at again after it has moved to push mode."""

log = structlog.get_logger()


class Works(Protocol):
    """How the works of this hub are followed; see kube.handedworks."""

    def watch(self, sink: Sink[SeenWork], on_change: OnChange) -> Watch:
        """All of them, in every cluster's namespace."""

    async def any(self) -> bool | None:
        """Whether there is one; None where the hub does not answer that. Where there is no such type, or no right to
        read it, there is none."""


class Pulling:
    """All clusters in pull mode. `hub` writes works, `works` follows them."""

    def __init__(
        self,
        world: World,
        hub: WorksPort,
        works: Works,
        *,
        sync: Sync,
        fanout: Fanout,
        pushing: Tasks,
        limit: FleetLimit,
        proves_push: ProvesPush,
        left: Callable[[str], None] = lambda name: None,
    ) -> None:
        """`proves_push` asks the hub whether a cluster is in push mode; None: it does not say so. `left` is called with
        clusters that have works and are not in pull mode."""
        self._world = world
        self._proves_push = proves_push
        self._left = left
        self._releasing: set[str] = set()
        self._hub = hub
        self._works = works
        self._sync = sync
        self._fanout = fanout
        self._pushing = pushing
        self._limit = limit
        self._lane: SharedLane[Key] | None = None
        self._members: dict[str, PullMember] = {}
        self._bundlers: dict[str, Bundler] = {}
        self._watching = Tasks()
        self.watch: Watch | None = None
        self.seen: Store[SeenWork] = Store()

    def __contains__(self, cluster: str) -> bool:
        return cluster in self._members

    # --- clusters ------------------------------------------------------------------------------------------------

    def serve(self, stored: StoredObject) -> None:
        """A KubeFedCluster in pull mode appeared or changed."""
        name = stored.metadata.name
        known = self._members.get(name)
        if known is None:
            known = self._join(name, stored)
        before = self._world.members[name].cluster
        now = replace(
            before,
            labels=before.labels if before.labels == stored.metadata.labels else dict(stored.metadata.labels),
            cordon=cordons.reason(stored.metadata.annotations),
            silent=clusterreports.silence(stored),
        )
        if stored.broken:
            now = replace(before, ready=False, message=f"the KubeFedCluster cannot be read: {stored.broken}")
        elif not before.ready:
            now = replace(now, ready=True, message="")
        if now != before:
            self._update(now)

    def _join(self, name: str, stored: StoredObject) -> "PullMember":
        if self._lane is None:
            self._lane = SharedLane(
                "works", self._pushing.spawn, concurrency=self._world.concurrency, limit=self._limit
            )
        bundler = self._bundlers[name] = Bundler(name, self._hub, lambda: self._world.settings.bundle_bytes)
        for where in self.seen.within(name):
            if (work := self.seen.get(where)) is not None:
                bundler.show(work)
        lane = self._lane.part(name, self._sync.lane_runner(name), lambda key: self._joins(name, key))
        live = self._members[name] = PullMember(name, self)
        cluster = Cluster(name, pulls=True)
        self._world.members[name] = Member(cluster, carrier=HandingOver(name, self._hub, bundler), lane=lane, live=live)
        metrics.LANE_DEPTH.labels(name).set_function(lambda: len(lane))
        metrics.PLACEMENTS.labels(name).set_function(lambda: self._world.placements(name))
        for state in list(self._world.types.values()):
            self._show(name, state)
        self._world.clusters_version += 1
        if not stored.conditions:
            self._world.joined[name] = self._world.clusters_version
        self._begin()
        log.info("cluster joined", cluster=name, mode="pull")
        return live

    def leave(self, name: str) -> list[Key] | None:
        """A cluster has left, or is in push mode now: what waited in its lane; None where it was not in pull mode.

        Who has asked for it forgets the cluster.
        """
        if self._members.pop(name, None) is None:
            return None
        del self._bundlers[name]
        lane = self._world.members.pop(name).lane
        for state in self._world.types.values():
            state.copies.pop(name, None)
        self._world.clusters_version += 1
        waited = lane.drain() if lane is not None else []
        if self._lane is not None and isinstance(lane, Part):
            self._lane.leave(lane)
        metrics.forget_cluster(name)
        return waited

    def _joins(self, cluster: str, key: Key) -> bool:
        """Whether what is planned for an object there is one write together with others."""
        state, bundler = self._world.types.get(key.type), self._bundlers.get(cluster)
        track = state.tracks.get(ObjectName(key.namespace, key.name)) if state is not None else None
        return bundler is not None and track is not None and bundler.joins(key, track.actions.get(cluster))

    def look(self) -> None:
        """Somebody has asked for pull mode here: the hub is asked for one work of any cluster, and if there is one they
        are followed. A cluster may have moved to push mode, and the controller before us has not let go of all."""
        if self.watch is None:
            self._watching.spawn(self._look(), "look:manifestworks")

    async def _look(self) -> None:
        there = await self._works.any()
        while there is None:
            await asyncio.sleep(LOOK_AGAIN)
            there = await self._works.any()
        if there:
            self._begin()

    def release(self, name: str) -> None:
        """A cluster is in push mode now: its agent lets go of what it has, and what is there stays."""
        if self.seen.within(name) and name not in self._releasing:
            self._releasing.add(name)
            self._watching.spawn(self._release(name), f"release:{name}")

    async def _release(self, name: str) -> None:
        try:
            await self._release_all(name)
        finally:
            self._releasing.discard(name)

    async def _release_all(self, name: str) -> None:
        """Until no work is left, or the cluster is in pull mode again. What was refused is tried again."""
        while (left := self.seen.within(name)) and name not in self._members:
            proof = await self._proves_push(name)
            for where in left if proof is not None else ():
                work = self.seen.get(where)
                if work is None or work.observed.deleting or proof is None or name in self._members:
                    continue
                outcome = await handingover.remove(
                    self._hub, where, work.observed.uid, Propagation.ORPHAN, proof, moves=True
                )
                if outcome.failure is not None:
                    log.info("work not let go of yet", cluster=name, work=where.name, reason=outcome.message)
            await asyncio.sleep(RELEASE_AGAIN)
        log.info("works let go of", cluster=name)

    def _update(self, cluster: Cluster) -> None:
        self._world.members[cluster.name].cluster = cluster
        self._world.clusters_version += 1
        metrics.CLUSTER_READY.labels(cluster.name).set(0 if cluster.silent or not cluster.ready else 1)
        self._fanout.cluster(cluster.name)

    # --- types ---------------------------------------------------------------------------------------------------

    def follow(self, state: TypeState) -> None:
        """A type was enabled."""
        for name in self._members:
            self._show(name, state)

    def _show(self, cluster: str, state: TypeState) -> None:
        """What the works of a cluster show of one type, as far as they have been listed."""
        copies = state.copies[cluster] = Copies()
        copies.unobservable = self._unobservable()
        for target, work in self._of(cluster, state):
            copies.objects.put(target, work)
        if self.seen.synced:
            copies.objects.listed()
        self._collect(cluster, state, copies)

    def _of(self, cluster: str, state: TypeState) -> Iterator[tuple[ObjectName, ObservedWork]]:
        """The works of a cluster that are of one type, by their copies' names."""
        for where in self.seen.within(cluster):
            work = self.seen.get(where)
            for key, observed in work.shows if work is not None else ():
                if key.type == state.type.name:
                    yield state.target_name(ObjectName(key.namespace, key.name)), observed

    def realign(self) -> None:
        """Statuses of a type are to be collected, or not any more."""
        for name in self._members:
            for state in self._world.types.values():
                copies = state.copies.get(name)
                if copies is not None and (copies.statuses is None) is not (state.type.collection is None):
                    self._collect(name, state, copies)

    def _collect(self, cluster: str, state: TypeState, copies: Copies) -> None:
        workstatuses.begin(state, copies)
        if copies.statuses is None:
            return
        for target, work in self._of(cluster, state):
            workstatuses.show(self._world, state, cluster, target, work)
        copies.statuses.synced = self.seen.synced

    # --- the watch -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self.watch is None:
            self.watch = self._works.watch(WorksSink(self), self._changed)
            self._watching.keep(self.watch.run, "watch:hub:manifestworks")
            log.info("works of clusters in pull mode are followed")

    def _changed(self, watch: Watch) -> None:
        """The watch fails, or does not any more: what it would show is unknown, and lines say why."""
        waiting = self._unobservable()
        for name in self._members:
            for state in self._world.types.values():
                copies = state.copies.get(name)
                if copies is not None and copies.unobservable != waiting:
                    copies.unobservable = waiting
                    self._fanout.copies(name, state.type.name)

    def _unobservable(self) -> Wait | None:
        failure = self.watch.failure if self.watch is not None else None
        if failure is None:
            return None
        return Wait(PropagationStatus.RETRIEVAL_FAILED, f"its works cannot be followed at the hub: {failure.message}")

    def take(self, work: SeenWork | None, before: SeenWork | None, *, alone: bool = True) -> None:
        """A work appeared, changed, or went (None). `alone`: no wake of all that its cluster has follows."""
        about = work or before
        if about is not None and about.cluster not in self._members and work is not None:
            self._left(about.cluster)
        if about is None or about.cluster not in self._members:
            return
        bundler = self._bundlers[about.cluster]
        if work is not None:
            bundler.show(work)
        else:
            bundler.forget(about.name)
        if about.key is not None and (before is None or before.key == about.key):
            observed = work.observed if work is not None else None
            self._take_one(about.cluster, about.key, observed, before.observed if before is not None else None, alone)
            return
        was = dict(before.shows) if before is not None else {}
        now = dict(work.shows) if work is not None else {}
        for key in {**was, **now}:
            if not _same(was.get(key), now.get(key)):
                self._take_one(about.cluster, key, now.get(key), was.get(key), alone)

    def _take_one(
        self, cluster: str, key: Key, observed: ObservedWork | None, before: ObservedWork | None, alone: bool
    ) -> None:
        """What is observed of one object there; None: its work, or its part of one, is gone."""
        state = self._world.types.get(key.type)
        copies = state.copies.get(cluster) if state is not None else None
        if state is None or copies is None:
            return
        name = ObjectName(key.namespace, key.name)
        target = state.target_name(name)
        if observed is None:
            copies.objects.drop(target)
            self._let_go(state, name, cluster, before)
            workstatuses.show(self._world, state, cluster, target, None)
        else:
            copies.objects.put(target, observed)
            copies.seen = max(copies.seen, observed.version)
            self._note(state, name, cluster, observed, before)
            workstatuses.show(self._world, state, cluster, target, observed)
        if state.steered:
            state.noticed(name)
        appears = (observed is None) is not (before is None)
        if appears and alone and state.type.is_namespace:
            self._fanout.namespace(target.name)  # objects wait for it
        if not alone and self._is_stray(state, name, observed):
            self._sync.changed(key)
        if alone:
            deleting = observed is None or observed.deleting
            self._sync.changed(key, urgent=deleting, clusters={cluster})

    @staticmethod
    def _is_stray(state: TypeState, name: ObjectName, observed: ObservedWork | None) -> bool:
        """Whether a work stands for no federated object: it is told, because nothing else wakes that key."""
        known = name in state.tracks or state.objects.get(name) is not None
        return observed is not None and not known and state.objects.synced and strays.is_stray(observed)

    @staticmethod
    def _let_go(state: TypeState, name: ObjectName, cluster: str, before: ObservedWork | None) -> None:
        """The agent has let go of a work that was deleted on purpose: what it has applied is gone, or nobody's."""
        track = state.tracks.get(name)
        if track is None or before is None or not (before.deleting and before.noted):
            return
        applied = track.applied.get(cluster)
        if applied is not None and applied.by_work:
            del track.applied[cluster]

    def _note(
        self, state: TypeState, name: ObjectName, cluster: str, observed: ObservedWork, before: ObservedWork | None
    ) -> None:
        """What an agent has applied counts as applied with the next plan, also where another controller wrote it."""
        track = state.tracks.get(name)
        if track is None or observed.said is not Said.APPLIED:
            return
        applied = track.applied.get(cluster)
        if applied is not None and applied.known and applied.owned_digest != BY_WORK:
            track.applied[cluster] = msgspec.structs.replace(applied, owned_digest=BY_WORK)  # it was pushed before
        if before is None or before.said is not Said.APPLIED:
            track.handed = including(track.handed, cluster)

    def listed(self) -> None:
        """The first list has ended, or another one: what no work shows is not there."""
        for name in self._members:
            for state in self._world.types.values():
                copies = state.copies.get(name)
                if copies is not None:
                    copies.lists += 1
                    copies.objects.listed()
                    if copies.statuses is not None:
                        copies.statuses.synced = True
            self._fanout.copies(name)

    def renew(self) -> None:
        """List again."""
        if self.watch is not None:
            self.watch.renew()

    def kick(self) -> None:
        """The hub has other types, or rights: try again what failed."""
        if self.watch is not None and self.watch.failure is not None:
            self.watch.kick()

    def resize(self) -> None:
        """Allow as many writes at a time as the settings say now."""
        if self._lane is not None:
            self._lane.lane.resize(self._world.concurrency)

    async def close(self) -> None:
        """Stop following."""
        if self._lane is not None:
            self._lane.close()
        await self._watching.cancel()


class PullMember:
    """The live side of one such cluster (ports.Live)."""

    def __init__(self, name: str, owner: Pulling) -> None:
        self.name = name
        self._owner = owner

    def relist(self, type_name: str) -> None:
        """All types are one collection."""
        del type_name
        self._owner.renew()

    def went_back(self, evidence: str) -> None:
        """Works are at the hub, which knows of itself when it was restored (continuity)."""
        log.warning("works went back", cluster=self.name, evidence=evidence)
        self._owner.renew()

    def tell(self, reason: str, message: str) -> None:
        """A warning."""
        log.warning("cluster in pull mode", cluster=self.name, reason=reason, message=message)


class WorksSink:
    """What the watch of works brings."""

    def __init__(self, owner: Pulling) -> None:
        self._owner = owner

    def replace(self, items: Iterable[SeenWork]) -> None:
        """`replacing` in one step."""
        for _ in self.replacing(items):
            pass

    def replacing(self, items: Iterable[SeenWork]) -> Iterator[None]:
        """A whole list. The first one wakes everything."""
        seen = self._owner.seen
        alone = seen.synced
        listed: set[ObjectName] = set()
        for some in slices(items):
            for item in some:
                listed.add(item.where)
                before = seen.put(item.where, item)
                if before != item:
                    self._owner.take(item, before, alone=alone)
            yield
        for gone in slices([where for where in seen if where not in listed]):
            for where in gone:
                self._owner.take(None, seen.drop(where), alone=alone)
            yield
        seen.listed()
        if not alone:
            self._owner.listed()

    def upsert(self, item: SeenWork) -> None:
        """One work."""
        before = self._owner.seen.put(item.where, item)
        if before is None or before.observed != item.observed:
            self._owner.take(item, before)

    def remove(self, item: SeenWork) -> None:
        """One is gone."""
        self._owner.take(None, self._owner.seen.drop(item.where) or item)


def _same(before: ObservedWork | None, now: ObservedWork | None) -> bool:
    """Whether two observations of one object say the same: what its work says of others is none of its business."""
    if before is None or now is None:
        return before is now
    return msgspec.structs.replace(before, version=now.version) == now
