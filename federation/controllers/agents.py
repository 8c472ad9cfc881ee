"""The hub's side of clusters in pull mode, as far as their agents go: their requests and their heartbeats.

Both are followed only where registration is installed (`fedctl token create`, `fedctl accept`), which shows in a
Namespace of the hub: a federation that only pushes has no right to see them, and no cost.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from federation.controllers.heartbeats import Heartbeats, LeaseSink
from federation.controllers.ports import EventPoster, OnChange, Sink, Watch
from federation.controllers.registrations import RegistrationHub, Registrations
from federation.controllers.triggers import StoredSink
from federation.controllers.world import World
from federation.model.errors import ApiFailure
from federation.model.federated import StoredObject
from federation.model.resources import CERTIFICATE_REQUESTS, LEASES, ObjectName, Resource
from federation.registration import invitations, names
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Workers

LOOK = 2.0
"""Seconds between two looks at whether registration is installed: at what is in memory."""
CLEAR = 600.0
"""Seconds between two looks for tokens that have ended."""

log = structlog.get_logger()


class AgentWatches(Protocol):
    """How requests and Leases are followed at the hub."""

    def stored(
        self,
        resource: Resource,
        namespace: str,
        sink: Sink[StoredObject],
        on_change: OnChange,
        *,
        name: str = "",
        labelled: str = "",
    ) -> Watch:
        """Objects of one resource, by their name or a label."""


class Agents:
    """Run `serve`. `clusters` are the KubeFedClusters."""

    def __init__(
        self,
        world: World,
        hub: RegistrationHub,
        watches: AgentWatches,
        *,
        clusters: Store[StoredObject],
        events: EventPoster,
        began: Callable[[], None] = lambda: None,
    ) -> None:
        """`began` is called when registration is found installed."""
        self._world = world
        self._watches = watches
        self.registrations = Registrations(hub, clusters, events=events, namespace=world.namespace)
        self.heartbeats = Heartbeats(hub, clusters, events=events, namespace=world.namespace)
        self._clusters = clusters
        self._began = began
        self._open: list[Watch] = []
        self._running = Tasks()

    @property
    def wanted(self) -> bool:
        """Whether registration is installed here."""
        home = ObjectName("", invitations.namespace(self._world.namespace))
        return not self._world.settings.namespaced and home in self._world.host_namespaces

    def cluster_observed(self, name: str) -> None:
        """A KubeFedCluster appeared, changed or went."""
        if self._open:
            self.registrations.cluster_observed(name)
            self.heartbeats.cluster_observed(name)

    def renew(self) -> None:
        """List all again: the hub was restored."""
        for each in self._open:
            each.renew()

    async def serve(self) -> None:
        """Follow requests and Leases while registration is installed."""
        try:
            while True:
                if self.wanted and not self._open:
                    self._begin()
                elif not self.wanted and self._open:
                    await self._end()
                await asyncio.sleep(LOOK)
        finally:
            await self._end()

    def _begin(self) -> None:
        registrations, heartbeats = self.registrations, self.heartbeats
        requests = StoredSink(registrations.objects, registrations.queue.add)
        of_requests = self._watches.stored(
            CERTIFICATE_REQUESTS, "", requests, lambda _: None, labelled=names.CLUSTER_LABEL
        )
        heartbeats.watch = self._watches.stored(LEASES, "", LeaseSink(heartbeats), lambda _: None, name=names.LEASE)
        self._open = [of_requests, heartbeats.watch]
        for what, watch in (("certificaterequests", of_requests), ("heartbeats", heartbeats.watch)):
            self._running.keep(watch.run, f"watch:hub:{what}")
        self._running.keep(Workers("registration", registrations.queue, registrations.process).serve, "registrations")
        self._running.keep(Workers("heartbeat", heartbeats.queue, heartbeats.process).serve, "heartbeats")
        self._running.keep(self._clear_up, "tokens")
        for where in list(self._clusters):
            heartbeats.cluster_observed(where.name)
        self._began()
        log.info("registration of clusters in pull mode is followed")

    async def _end(self) -> None:
        await self._running.cancel()
        self._open, self.heartbeats.watch = [], None

    async def _clear_up(self) -> None:
        while True:
            try:
                await self.registrations.clear_up()
            except ApiFailure as error:
                log.warning("tokens that have ended are not cleared up", reason=str(error))
            await asyncio.sleep(CLEAR)
