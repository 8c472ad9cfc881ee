"""The composition root: the only place that creates clients, stores, queues and tasks, and starts and stops them.

Start: hub connection -> lists of clusters, types, Secrets, settings -> members and type watches -> workers.
Stop (SIGTERM): watches end, lanes accept nothing more, writes in progress end or are abandoned, the last statuses and
events are written, all within 10 s, exit 0.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeVar

import structlog

from federation import logs
from federation.controllers.capacity import Capacity
from federation.controllers.clusters import Clusters
from federation.controllers.continuity import Continuity
from federation.controllers.deletionrecords import DeletionRecords
from federation.controllers.deletions import Deletions
from federation.controllers.events import Events
from federation.controllers.fanout import Fanout
from federation.controllers.kubefedconfig import NAME as CONFIGURATION
from federation.controllers.kubefedconfig import Configuration
from federation.controllers.recovery import Recovery
from federation.controllers.rollouts import Rollouts
from federation.controllers.sync import Sync
from federation.controllers.triggers import ChangeSink, HostNamespaceSink, StoredSink
from federation.controllers.types import Types
from federation.controllers.world import World
from federation.core import times
from federation.kube import decoding, kubeconfig
from federation.kube.connection import METADATA, Connection
from federation.kube.endpoint import Endpoint
from federation.kube.gates import AGENT, Gatekeeper
from federation.kube.hub import HubWriter
from federation.kube.reflector import Reflector
from federation.kube.serving import Listener
from federation.kube.sockets import descriptors, files_for, sockets
from federation.kube.watches import Watches
from federation.model import marks
from federation.model.errors import ApiFailure, FederationError
from federation.model.failures import Failure
from federation.model.resources import (
    CRDS,
    KUBEFED_CLUSTERS,
    KUBEFED_CONFIGS,
    NAMESPACES,
    SECRETS,
    TYPE_CONFIGS,
    Key,
    ObjectName,
)
from federation.runtime import backoff, openfiles
from federation.runtime.garbage import Garbage
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.lateness import Lateness
from federation.runtime.starting import Starting
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Crew, Workers

GRACE, LAST_STATUSES, LAST_EVENTS = 8.0, 1.0, 0.5
"""Seconds that writes in progress get at the end, then the statuses that show what came of them, and the events that
wait, which also get what these have left; the rest of the 10 is for closing connections."""
HUB_CONNECTIONS = 8
"""Connections for requests to the hub, which has to do with every object."""
DRAINED = 20
"""Clusters or types that are processed at the start before other tasks get a turn: thousands, of which none waits for
anything, must not hold the loop, nor wait for everything else after each."""
LONGEST_LAG = 5.0
"""Seconds the event loop may be late before /livez fails."""

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `fedctl controller run`. Without kubeconfig and context: the pod's own, else kubectl's rule."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str = marks.SYSTEM_NAMESPACE
    metrics_address: str = "127.0.0.1:8080"
    health_address: str = "127.0.0.1:8081"
    log_format: str = "json"
    log_level: str = "info"


def main(options: Options) -> int:
    """Run the controller until SIGTERM or SIGINT; the exit code."""
    logs.configure(json=options.log_format == "json", level=options.log_level)
    openfiles.raise_limit()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(_run(options))
        except FederationError as error:
            log.error("controller cannot start", reason=str(error))
            return 1


class Controller:
    """One running controller on one hub."""

    def __init__(self, connection: Connection, hub_uid: str, namespace: str) -> None:
        self.world = World(namespace=namespace, system_namespaces=marks.SYSTEM_NAMESPACES | {namespace})
        self.queue: KeyQueue[Key] = KeyQueue(attrgetter("namespace"))
        hub = HubWriter(connection)
        watches = Watches(connection, namespace)
        self.events = Events(self.world, hub)
        self.sync = Sync(self.world, hub, self.queue, now=_now, events=self.events)
        self._fanout = fanout = Fanout(self.world, self.sync.changed)
        self.configuration = Configuration(
            self.world, hub, events=self.events, namespace=namespace, changed=self._reconfigured
        )
        starting = Starting()
        gatekeeper = Gatekeeper(marks.field_manager(hub_uid, namespace), starting.over)
        self.clusters = Clusters(
            self.world,
            hub,
            gatekeeper,
            sync=self.sync,
            fanout=fanout,
            events=self.events,
            starting=starting,
            hub_uid=hub_uid,
            namespace=namespace,
        )
        self.types = Types(
            self.world,
            hub,
            watches,
            clusters=self.clusters,
            sync=self.sync,
            fanout=fanout,
            namespace=namespace,
            now=_now,
        )
        self.world.rollouts.home = namespace
        self.rollouts = Rollouts(self.world, hub, watches, events=self.events, wake=self.sync.changed)
        self.exchanged: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.recovery = Recovery(
            self.world,
            hub,
            self.configuration.objects,
            fanout=fanout,
            events=self.events,
            where=ObjectName(namespace, CONFIGURATION),
            now=_now,
            renew=self._renew,
            stop=self._exchanged,
        )
        self.continuity = Continuity(
            self.world, hub, self.recovery, hub_uid=hub_uid, namespace=namespace, holder=socket.gethostname(), now=_now
        )
        self.deletions = Deletions(self.world, self.sync.changed)
        self.deletion_records = DeletionRecords(
            self.world,
            hub,
            self.configuration.objects,
            self.deletions,
            events=self.events,
            where=ObjectName(namespace, CONFIGURATION),
            now=_now,
        )
        self.sync.hold_deletions(self.deletions)
        self.clusters.leaves = self.deletion_records.leaves
        self.deletion_records.debts.identity = self.clusters.identity
        self.sync.prover.confirmed = self.continuity.confirmed
        self.sync.prover.contradicted = self.continuity.contradicted
        self.sync.report_overwritten(self.recovery.overwritten)
        self.sync.report_overwrote(self.continuity.overwrote)
        clusters = StoredSink(self.clusters.objects, self.clusters.cluster_observed, self._moved)
        secrets = StoredSink(self.clusters.secrets, self.clusters.secret_observed, self._moved)
        types = StoredSink(self.types.objects, self.types.observed, self._moved)
        configs = StoredSink(self.configuration.objects, self._configured, self._moved)
        self._listed = (clusters.listed, secrets.listed, types.listed)
        of_configs = watches.system(KUBEFED_CONFIGS, configs)
        of_clusters = watches.system(KUBEFED_CLUSTERS, clusters)
        of_types = watches.system(TYPE_CONFIGS, types)
        prover = self.sync.prover
        prover.follow(KUBEFED_CONFIGS, self.configuration.objects, of_configs, self.configuration.observed)
        prover.follow(KUBEFED_CLUSTERS, self.clusters.objects, of_clusters, self.clusters.cluster_observed)
        prover.follow(TYPE_CONFIGS, self.types.objects, of_types, self.types.observed)
        self._reflectors: tuple[Reflector[Any], ...] = (
            of_configs,
            watches.system(SECRETS, secrets),
            of_clusters,
            of_types,
            watches.metadata(NAMESPACES, HostNamespaceSink(self.world, self.sync.changed)),
            watches.metadata(CRDS, ChangeSink(self._definitions_changed)),
        )
        self._intake = Tasks()
        self._workers = Tasks()
        self._lateness = Lateness()
        self._capacity = Capacity(self.world, lambda: sockets.most, files_for)
        syncing = Workers("sync", self.queue, self._lateness.looking(self.sync.process))
        self._syncing = Crew(syncing, self._workers)
        self.started = False

    async def start(self) -> None:
        """Watch the hub, wait until every cluster and type is listed, and only then begin to act."""
        self._workers.keep(self._lateness.serve, "lateness")
        self._workers.keep(Garbage(lambda: self.queue.idle, lambda: self.world.left).serve, "garbage")
        for reflector in self._reflectors:
            self._intake.keep(reflector.run, f"watch:hub:{reflector.collection.what}")
        self._workers.keep(self.events.serve, "events")
        await self.configuration.begin()
        await self.continuity.begin()
        self.deletion_records.begin()
        await self.rollouts.follow()
        for listed in self._listed:
            await listed.wait()
        await _drain(self.clusters.queue, self.clusters.process)
        await _drain_together(self.types.queue, self.types.process)
        self._workers.keep(Workers("kubefedcluster", self.clusters.queue, self.clusters.process).serve, "clusters")
        self._workers.keep(Workers("federatedtypeconfig", self.types.queue, self.types.process).serve, "types")
        configurations = Workers("kubefedconfig", self.configuration.queue, self.configuration.process)
        self._workers.keep(configurations.serve, "configuration")
        rollouts = Workers("federatedrollout", self.rollouts.queue, self.rollouts.process)
        self._workers.keep(rollouts.serve, "rollouts")
        self._syncing.resize(self.world.settings.sync_concurrency)
        self._workers.keep(self.continuity.serve, "continuity")
        self._workers.keep(self.recovery.serve, "recovery")
        self._workers.keep(self.deletions.serve, "deletions")
        self._workers.keep(self.sync.sweep, "sweep")
        self._workers.keep(self.sync.reassert, "reassert")
        self.started = True
        self._workers.keep(self._capacity.serve, "capacity")
        log.info(
            "controller started",
            clusters=len(self.world.members),
            types=len(self.world.types),
            connections_needed=self._capacity.count(),
            connections_most=sockets.most,
        )

    async def stop(self) -> None:
        """End in order: intake, lanes, the last statuses and events, connections."""
        self.started = False
        end = time.monotonic() + GRACE + LAST_STATUSES + LAST_EVENTS
        await self._intake.cancel()
        await self.rollouts.close()
        self.clusters.close_lanes()
        abandoned = await self.clusters.finish(GRACE)
        self.sync.finish()
        await self.queue.rest(LAST_STATUSES)
        await self._workers.cancel()
        lost = await self.events.finish(max(LAST_EVENTS, end - time.monotonic()))
        await self.types.close()
        await self.clusters.close()
        log.info("controller stopped", abandoned=abandoned, events_lost=lost)

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
        self.types.kick()
        self.rollouts.kick()

    def _configured(self, name: str) -> None:
        self.configuration.observed(name)
        self.recovery.observed(name)
        self.deletion_records.observed(name)

    def _moved(self) -> None:
        self.world.moved += 1

    def _renew(self) -> None:
        """List all of the hub again."""
        for reflector in self._reflectors:
            reflector.renew()
        self.types.renew()
        self.rollouts.renew()

    def _exchanged(self, why: str) -> None:
        if not self.exchanged.done():
            self.exchanged.set_result(why)

    def _reconfigured(self) -> None:
        self._fanout.everything()
        self.clusters.resize()
        self.types.rescoped()
        if self.started:
            self._workers.spawn(self.rollouts.follow(), "rescope rollouts")
            self._syncing.resize(self.world.settings.sync_concurrency)


async def _run(options: Options) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log.info("connections are limited", open_files=descriptors(), most=sockets.most)
    connection = Connection("hub", await _endpoint(options), agent=AGENT, few=HUB_CONNECTIONS)
    controller: Controller | None = None
    listeners = [
        Listener(options.metrics_address, {}, metrics=True, flag="--metrics-bind-address"),
        Listener(
            options.health_address,
            {
                "/livez": lambda: controller.live() if controller else "",
                "/readyz": lambda: controller.ready() if controller else "the hub has not answered yet",
            },
            flag="--health-probe-bind-address",
        ),
    ]
    running = Tasks()
    try:
        for listener, serves in zip(listeners, ("/metrics", "/livez and /readyz"), strict=True):
            log.info("listens" if (at := await listener.start()) else "not served", serves=serves, address=at or "none")
        stopping = running.spawn(_until(stop), "stop")
        identity = await _first(_identify(connection), stopping)
        if identity is not None:
            controller = Controller(connection, identity, options.namespace)
            await _first(controller.start(), stopping)
            ends: tuple[asyncio.Future[Any], ...] = (stopping, controller.exchanged)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            await controller.stop()
            if controller.exchanged.done():
                log.error("controller ends, and starts anew for the other hub", reason=controller.exchanged.result())
                return 1
    finally:
        await running.cancel()
        for listener in listeners:
            await listener.stop()
        await connection.close()
    return 0


async def _endpoint(options: Options) -> Endpoint:
    if options.kubeconfig is None and options.context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return kubeconfig.in_cluster()
    return await kubeconfig.from_kubeconfig(kubeconfig.default_paths(options.kubeconfig), options.context)


async def _identify(connection: Connection) -> str:
    """The UID of the hub's kube-system namespace; tried again until the hub answers."""
    attempt = 0
    while True:
        answer = await connection.request("GET", NAMESPACES.path(ObjectName("", "kube-system")), accept=METADATA)
        if not isinstance(answer, Failure):
            return decoding.metadata(answer.body).uid
        wait = backoff.delay(attempt, base=0.5, cap=15.0)
        log.warning(
            "hub does not answer", server=connection.endpoint.server, reason=answer.message, again_in_s=round(wait, 1)
        )
        attempt += 1
        await asyncio.sleep(wait)


async def _first(work: Coroutine[Any, Any, T], stopping: asyncio.Task[None]) -> T | None:
    """The work's result, or None when the controller is to stop before it has one."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait({task})
    return None


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _drain(queue: KeyQueue[str], process: Callable[[str], Awaitable[None]]) -> None:
    """Process what is in the queue now, before any worker runs; what fails or comes meanwhile is for the workers."""
    for number, name in enumerate(_taken(queue), start=1):
        await _turn(queue, process, name)
        if number % DRAINED == 0:
            await asyncio.sleep(0)


async def _drain_together(queue: KeyQueue[str], process: Callable[[str], Awaitable[None]]) -> None:
    """The same, all at once: each waits for the hub, and meanwhile thousands of members have their turns."""
    await asyncio.gather(*(_turn(queue, process, name) for name in _taken(queue)))


def _taken(queue: KeyQueue[str]) -> list[str]:
    names = (queue.take_nowait() for _ in range(len(queue)))
    return [name for name in names if name is not None]


async def _turn(queue: KeyQueue[str], process: Callable[[str], Awaitable[None]], name: str) -> None:
    try:
        await process(name)
    except ApiFailure as error:
        log.warning("will be tried again", name=name, reason=str(error))
        queue.add_after(name, 1.0)
    except Exception:
        log.exception("will be tried again", name=name)  # a bug that one object triggers must not stop the start
        queue.add_after(name, 1.0)
    finally:
        queue.done(name)


def _now() -> str:
    return times.rfc3339(time.time())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: about a sixth less CPU per push."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop
