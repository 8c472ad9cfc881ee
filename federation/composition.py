"""One controller on one hub: what it is made of, how that is connected, and the order in which it starts and stops.

Start: lists of clusters, types, Secrets, settings -> members and type watches -> workers.
Stop (SIGTERM): watches end, lanes accept nothing more, writes in progress end or are abandoned, the last statuses and
events are written, all within 1.5 s, because a standby waits for it.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import structlog

from federation.controllers.agents import Agents
from federation.controllers.ahead import Kept
from federation.controllers.capacity import Capacity
from federation.controllers.clusters import Clusters
from federation.controllers.continuity import Continuity
from federation.controllers.deletionrecords import DeletionRecords
from federation.controllers.deletions import Deletions
from federation.controllers.events import Events
from federation.controllers.fanout import Fanout
from federation.controllers.kubefedconfig import NAME as CONFIGURATION
from federation.controllers.kubefedconfig import Configuration
from federation.controllers.preferences import Preferences
from federation.controllers.recovery import Recovery
from federation.controllers.rollouts import Rollouts
from federation.controllers.shardpart import Part
from federation.controllers.surroundings import Surroundings
from federation.controllers.sync import Sync
from federation.controllers.triggers import ChangeSink, HostNamespaceSink, StoredSink
from federation.controllers.types import Types
from federation.controllers.world import World
from federation.core import times
from federation.core.shards import Shard
from federation.kube.connection import Connection
from federation.kube.gates import Gatekeeper
from federation.kube.handedworks import HandedWorks, WorksWriter
from federation.kube.hub import HubWriter
from federation.kube.reflector import Reflector
from federation.kube.sockets import files_for, sockets
from federation.kube.watches import Watches
from federation.model import marks
from federation.model.resources import KUBEFED_CLUSTERS, KUBEFED_CONFIGS, SECRETS, TYPE_CONFIGS, Key, ObjectName
from federation.model.settings import Settings
from federation.runtime import metrics
from federation.runtime.draining import drain, drain_together
from federation.runtime.fence import Fence
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.starting import Starting
from federation.runtime.tasks import Tasks
from federation.runtime.upkeep import Share, Upkeep
from federation.runtime.workers import Crew, Workers

GRACE, LAST_STATUSES, LAST_EVENTS = 0.8, 0.5, 0.2
"""Seconds that writes in progress get at the end, then the statuses that show what came of them, and the events that
wait, which also get what these have left. One member that hangs must not keep a standby from leading; what was written
and not recorded is compared, and not written again, by the next controller."""
LONGEST_LAG = 5.0
"""Seconds the event loop may be late before /livez fails."""

log = structlog.get_logger()


class Controller:
    """One running controller on one hub."""

    def __init__(
        self,
        connection: Connection,
        hub_uid: str,
        namespace: str,
        *,
        fence: Fence | None = None,
        kept: dict[str, Kept] | None = None,
        shard: Shard | None = None,
        upkeep: Upkeep | None = None,
    ) -> None:
        """`fence` holds writes to members, as it does those of the `connection`; `kept` is what a standby has. With a
        `shard` it serves those clusters alone. `upkeep` is the process's."""
        hub = HubWriter(connection)
        self._watches = watches = Watches(connection, namespace, kept)
        self.world = World(namespace=namespace, system_namespaces=marks.SYSTEM_NAMESPACES | {namespace})
        self.world.rollouts.home = namespace
        self._part = Part(self.world, hub, shard) if shard is not None else None
        self.queue: KeyQueue[Key] = KeyQueue(attrgetter("namespace"))
        self.exchanged: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.events = Events(self.world, hub)
        self.sync = Sync(self.world, hub, self.queue, now=_now, events=self.events)
        self._fanout = Fanout(self.world, self.sync.changed)
        self.configuration = Configuration(
            self.world, hub, events=self.events, namespace=namespace, changed=self._reconfigured
        )
        self.clusters = self._made_clusters(hub, hub_uid, fence, kept)
        if shard is None or shard.coordinates:
            manager = marks.field_manager(hub_uid, namespace)
            self.clusters.pull(WorksWriter(connection, manager), HandedWorks(connection, manager))
        self.types = self._made_types(hub, watches)
        self.types.counted = self._resize
        self.rollouts = Rollouts(self.world, hub, watches, events=self.events, wake=self.sync.changed)
        self.preferences = Preferences(self.world, hub, watches, clusters=self.clusters.objects, events=self.events)
        pulling = self.clusters.pulling
        self.agents = Agents(
            self.world,
            hub,
            watches,
            clusters=self.clusters.objects,
            events=self.events,
            began=pulling.look if pulling is not None else lambda: None,
        )
        self._surroundings = Surroundings(
            self.world,
            watches,
            namespaces=HostNamespaceSink(self.world, self.sync.changed),
            definitions=ChangeSink(self._definitions_changed),
            refused=self.configuration.scope_refused,
        )
        alone = (self.rollouts, self.preferences) if shard is None else ()
        self._scoped = (*alone, self._surroundings)
        """What is followed everywhere, or in one namespace, as the settings say."""
        self._fanout.also, self._fanout.around = self.preferences.cluster_changed, self.preferences.namespace_changed
        self.recovery = self._made_recovery(hub)
        self.continuity = Continuity(
            self.world, hub, self.recovery, hub_uid=hub_uid, namespace=namespace, holder=socket.gethostname(), now=_now
        )
        self.deletions = Deletions(self.world, self.sync.changed)
        self.deletion_records = self._made_deletion_records(hub)
        self._guard_removals()
        if self._part is not None:
            self._part.connect(self.sync, self.clusters, watches, self.deletion_records, self.deletions)
        self._reflectors, self._listed = self._made_reflectors(watches)
        self._intake, self._workers = Tasks(), Tasks()
        self._upkeep = upkeep or Upkeep()
        self._share = Share(lambda: self.queue.idle, lambda: self.world.left)
        self._lateness = self._upkeep.lateness
        self._capacity = Capacity(self.world, lambda: sockets.most, files_for)
        self._syncing = Crew(Workers("sync", self.queue, self._lateness.looking(self.sync.process)), self._workers)
        self._sized = self.world.concurrency
        self._shown: list[Callable[[], None]] = []
        """What ends its part in metrics that all controllers of the process share."""
        self.started = False

    # --- what it is made of ------------------------------------------------------------------------------------------

    def _made_clusters(
        self, hub: HubWriter, hub_uid: str, fence: Fence | None, kept: dict[str, Kept] | None
    ) -> Clusters:
        starting, namespace = Starting(), self.world.namespace
        return Clusters(
            self.world,
            hub,
            Gatekeeper(marks.field_manager(hub_uid, namespace), starting.over, fence, namespace=namespace, kept=kept),
            sync=self.sync,
            fanout=self._fanout,
            events=self.events,
            starting=starting,
            hub_uid=hub_uid,
            namespace=namespace,
        )

    def _made_types(self, hub: HubWriter, watches: Watches) -> Types:
        return Types(
            self.world,
            hub,
            watches,
            clusters=self.clusters,
            sync=self.sync,
            fanout=self._fanout,
            namespace=self.world.namespace,
            now=_now,
        )

    def _made_recovery(self, hub: HubWriter) -> Recovery:
        return Recovery(
            self.world,
            hub,
            self.configuration.objects,
            fanout=self._fanout,
            events=self.events,
            where=ObjectName(self.world.namespace, CONFIGURATION),
            now=_now,
            renew=self._renew,
            stop=self._exchanged,
        )

    def _made_deletion_records(self, hub: HubWriter) -> DeletionRecords:
        return DeletionRecords(
            self.world,
            hub,
            self.configuration.objects,
            self.deletions,
            events=self.events,
            where=ObjectName(self.world.namespace, CONFIGURATION),
            now=_now,
        )

    def _guard_removals(self) -> None:
        """What is asked, and told, before anything is removed or overwritten."""
        self.sync.hold_deletions(self.deletions)
        self.clusters.leaves = self.deletion_records.leaves
        self.deletion_records.debts.identity = self.clusters.identity
        self.sync.prover.confirmed = self.continuity.confirmed
        self.sync.prover.contradicted = self.continuity.contradicted
        self.sync.report_overwritten(self.recovery.overwritten)
        self.sync.report_overwrote(self.continuity.overwrote)

    def _made_reflectors(self, watches: Watches) -> tuple[tuple[Reflector[Any], ...], tuple[asyncio.Event, ...]]:
        """The hub's watches that all types share; and what has been listed before anything is done."""
        clusters = StoredSink(self.clusters.objects, self._cluster_observed, self._moved)
        secrets = StoredSink(self.clusters.secrets, self.clusters.secret_observed, self._moved)
        types = StoredSink(self.types.objects, self._type_observed, self._moved)
        configs = StoredSink(self.configuration.objects, self._configured, self._moved)
        of_configs = watches.system(KUBEFED_CONFIGS, configs)
        of_clusters = watches.system(KUBEFED_CLUSTERS, clusters)
        of_types = watches.system(TYPE_CONFIGS, types)
        prover = self.sync.prover
        prover.follow(KUBEFED_CONFIGS, self.configuration.objects, of_configs, self.configuration.observed)
        prover.follow(KUBEFED_CLUSTERS, self.clusters.objects, of_clusters, self.clusters.cluster_observed)
        prover.follow(TYPE_CONFIGS, self.types.objects, of_types, self.types.observed)
        reflectors = (
            of_configs,
            watches.system(SECRETS, secrets),
            of_clusters,
            of_types,
        )
        return reflectors, (clusters.listed, secrets.listed, types.listed)

    async def start(self) -> None:
        """Watch the hub, wait until every cluster and type is listed, and only then begin to act."""
        self._upkeep.begin(self._share)
        self._show()
        for reflector in self._reflectors:
            self._intake.keep(reflector.run, f"watch:hub:{reflector.collection.what}")
        self._workers.keep(self.events.serve, "events")
        await self.configuration.begin()
        await self.continuity.begin()
        if self._part is not None:
            await self._part.begin(self._intake, self._workers, self.configuration.objects, self.events)
        self.deletion_records.begin()
        for each in self._scoped:
            await each.follow()
        for listed in self._listed:
            await listed.wait()
        await drain(self.clusters.queue, self.clusters.process)
        await drain_together(self.types.queue, self.types.process)
        self._watches.forget()
        self._workers.keep(Workers("kubefedcluster", self.clusters.queue, self.clusters.process).serve, "clusters")
        self._workers.keep(Workers("federatedtypeconfig", self.types.queue, self.types.process).serve, "types")
        configurations = Workers("kubefedconfig", self.configuration.queue, self.configuration.process)
        self._workers.keep(configurations.serve, "configuration")
        rollouts = Workers("federatedrollout", self.rollouts.queue, self.rollouts.process)
        self._workers.keep(rollouts.serve, "rollouts")
        preferences = Workers("replicaschedulingpreference", self.preferences.queue, self.preferences.process)
        self._workers.keep(preferences.serve, "preferences")
        self._syncing.resize(self.world.concurrency)
        self._workers.keep(self.continuity.serve, "continuity")
        self._workers.keep(self.recovery.serve, "recovery")
        self._workers.keep(self.deletions.serve, "deletions")
        self._workers.keep(self.sync.sweep, "sweep")
        self._workers.keep(self.sync.reassert, "reassert")
        if self._part is None or self._part.sharding.shard.coordinates:
            self._workers.keep(self.agents.serve, "agents")
        self.started = True
        self._workers.keep(self._capacity.serve, "capacity")
        log.info(
            "controller started",
            clusters=len(self.world.members),
            types=len(self.world.types),
            connections_needed=self._capacity.count(),
            connections_most=sockets.most,
        )

    def _show(self) -> None:
        self._shown += [
            metrics.HUB_RESTORED.follow(lambda: self.world.recovery is not None),
            metrics.DELETIONS_HELD.follow(lambda: self.deletion_records.held),
            metrics.CONNECTIONS_NEEDED.follow(lambda: self._capacity.needed),
        ]

    async def stop(self) -> None:
        """End in order: intake, lanes, the last statuses and events. Nothing is written after that; then `close`."""
        self.started = False
        end = time.monotonic() + GRACE + LAST_STATUSES + LAST_EVENTS
        await self._intake.cancel()
        for each in self._scoped:
            await each.close()
        self.clusters.close_lanes()
        abandoned = await self.clusters.finish(GRACE)
        self.sync.finish()
        await self.queue.rest(LAST_STATUSES)
        if self._part is not None:
            await self._part.finish(LAST_STATUSES)
        await self._workers.cancel()
        lost = await self.events.finish(max(LAST_EVENTS, end - time.monotonic()))
        log.info("controller stopped", abandoned=abandoned, events_lost=lost)

    async def close(self) -> None:
        """Close the connections to members, and what else is open."""
        self._upkeep.end(self._share)
        while self._shown:
            self._shown.pop()()
        await self.types.close()
        await self.clusters.close()

    @property
    def settings(self) -> Settings | None:
        """Those in force; None until they are known."""
        return self.world.settings if self.configuration.known else None

    def resume(self) -> None:
        """Writes were held for a while, and go on: try now what was not sent."""
        for name in self.world.members:
            self.sync.retries.cluster(name)

    def ready(self) -> str:
        """ "" when every list that decisions depend on has been read, else which has not; never depends on members."""
        if not self.configuration.known:
            return f"the KubeFedConfig {CONFIGURATION} has not been read yet"
        if not self.started:
            return "clusters and types have not been listed yet"
        return "" if self.types.synced else "federated objects have not been listed yet"

    def live(self) -> str:
        """ "" unless the event loop is late by more than LONGEST_LAG."""
        late = self._lateness.recent
        return "" if late < LONGEST_LAG else f"the event loop is {late:.1f} s late"

    def _definitions_changed(self) -> None:
        for each in (self.types, *self._scoped):
            each.kick()
        if self.clusters.pulling is not None:
            self.clusters.pulling.kick()

    def _configured(self, name: str) -> None:
        self.configuration.observed(name)
        self.recovery.observed(name)
        self.deletion_records.observed(name)

    def _cluster_observed(self, name: str) -> None:
        self.clusters.cluster_observed(name)
        self.preferences.cluster_changed(name)
        self.agents.cluster_observed(name)

    def _type_observed(self, name: str) -> None:
        self.types.observed(name)
        self.preferences.types_changed(name)

    def _moved(self) -> None:
        self.world.moved += 1

    def _renew(self) -> None:
        """List all of the hub again."""
        for reflector in self._reflectors:
            reflector.renew()
        for each in (self.types, self.agents, *self._scoped):
            each.renew()
        if self.clusters.pulling is not None:
            self.clusters.pulling.renew()
        if self._part is not None:
            self._part.renew()

    def _exchanged(self, why: str) -> None:
        if not self.exchanged.done():
            self.exchanged.set_result(why)

    def _reconfigured(self) -> None:
        self._fanout.everything()
        self.types.rescoped()
        if self.started:
            for each in self._scoped:
                self._workers.spawn(each.follow(), "rescope")
        self._resize()

    def _resize(self) -> None:
        if self._sized != self.world.concurrency:
            self._sized = self.world.concurrency
            self.clusters.resize()
        if self.started:
            self._syncing.resize(self.world.concurrency)


def _now() -> str:
    return times.rfc3339(time.time())
