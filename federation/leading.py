"""One process's part in a hub with several controllers: stand by, lead when the Lease is free, end when it is lost.

A Lease that is free is taken before anything else is done, so that a controller that is alone begins at once. Else the
process stands by with what a leader needs of the hub (controllers.standby), and makes a controller of that when it is
elected. One that has lost the Lease ends, and is started anew by whoever runs it: what it has in mind is of the time
when it led.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from federation.controllers.ahead import Ahead, Kept
from federation.controllers.election import Elector
from federation.controllers.standby import Standby
from federation.core import configuration, leadership
from federation.kube import decoding
from federation.kube.connection import METADATA, Connection
from federation.kube.gates import Gatekeeper
from federation.kube.hub import HubWriter
from federation.kube.watches import Watches
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.failures import Failure
from federation.model.resources import KUBEFED_CONFIGS, NAMESPACES, ObjectName
from federation.model.settings import Settings
from federation.runtime import backoff, fence, machine
from federation.runtime.fence import Fence

CATCHING_UP = 0.1
"""Seconds for the watches of a standby to show what the leader before has written last."""

log = structlog.get_logger()


class Leader(Protocol):
    """A controller; see composition.Controller."""

    exchanged: "asyncio.Future[str]"
    """Done where another cluster answers at the hub's address."""

    @property
    def settings(self) -> Settings | None:
        """Those in force; None until they are known."""

    async def start(self) -> None:
        """Begin to act."""

    async def stop(self) -> None:
        """End all writes in order."""

    async def close(self) -> None:
        """End everything else."""

    def resume(self) -> None:
        """Writes were held for a while, and go on."""

    def ready(self) -> str:
        """ "" when every list that decisions depend on has been read, else which has not."""

    def live(self) -> str:
        """ "" while the event loop keeps up."""


class Leading:
    """The election at one hub. `lease` is a connection of its own: renewals wait for no other request, and no fence.

    `make` makes the controller from what a standby has kept. `hub_uid` is the UID of the hub's kube-system.
    """

    def __init__(
        self,
        connection: Connection,
        lease: Connection,
        passes: Fence,
        *,
        namespace: str,
        hub_uid: str,
        make: Callable[[dict[str, Kept]], Leader],
    ) -> None:
        self._connection = connection
        self._hub = HubWriter(lease)
        self._passes = passes
        self._namespace = namespace
        self._hub_uid = hub_uid
        self._make = make
        self._settings = Settings()
        self._standby: Standby | None = None
        self._controller: Leader | None = None
        self._elector = Elector(
            self._hub,
            passes,
            where=ObjectName(namespace, leadership.lease_name()),
            identity=machine.this_process().name(uuid.uuid4().hex[:8]),
            numbers=lambda: self._in_force.leader_election,
            gone=_has_ended,
            clock=fence.now,
        )
        self._elector.resumed = self._resume

    async def run(self) -> str:
        """Stand by, lead; returns why this process is to end."""
        await self._read_settings()
        if not await self._elector.attempt():
            await self._stand_by()
        keeping = asyncio.ensure_future(self._elector.keep())
        try:
            kept = await self._hand_over()
            if kept and (found := await identify(self._connection)) != self._hub_uid:
                return f"another cluster answers at the hub's address: its identity is {found}, not {self._hub_uid}"
            self._controller = self._make(kept)
            return await self._lead(self._controller, keeping)
        finally:
            await _end(keeping)

    async def _lead(self, controller: Leader, keeping: "asyncio.Future[str]") -> str:
        starting: asyncio.Future[None] = asyncio.ensure_future(controller.start())
        ends: tuple[asyncio.Future[Any], ...] = (keeping, controller.exchanged)
        try:
            await asyncio.wait({starting, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(starting)
        if controller.exchanged.done():
            return str(controller.exchanged.result())
        return f"it does not lead any more: {keeping.result()}"

    async def stop(self) -> None:
        """End what runs; then the Lease is given back, so that a standby leads at once."""
        if self._standby is not None:
            await self._standby.close()
        if self._controller is not None:
            await self._controller.stop()
        await self._elector.release()
        if self._controller is not None:
            await self._controller.close()

    def ready(self) -> str:
        """ "" for a leader that has listed everything, and for a standby that could lead; else what is missing."""
        if self._controller is not None:
            return self._controller.ready()
        return self._elector.problem or (self._standby.ready() if self._standby is not None else "")

    def live(self) -> str:
        """ "" while the event loop keeps up, as far as that is known."""
        return self._controller.live() if self._controller is not None else ""

    @property
    def _in_force(self) -> Settings:
        known = self._controller.settings if self._controller is not None else None
        if known is None and self._standby is not None:
            known = self._standby.settings
        return known or self._settings

    async def _read_settings(self) -> None:
        """The KubeFedConfig's; the defaults where it cannot be read, for nothing but the election rests on them yet."""
        found = await self._hub.read(KUBEFED_CONFIGS, ObjectName(self._namespace, marks.CONFIG))
        if not isinstance(found, Failure) and not found.broken:
            with contextlib.suppress(Invalid):
                self._settings = configuration.settings(found.spec)

    async def _stand_by(self) -> None:
        """Wait until this process leads."""
        self._standby = Standby(
            Watches(self._connection, self._namespace),
            namespace=self._namespace,
            lease=leadership.lease_name(),
            settings=self._settings,
            elected=self._elector.seen,
            ahead=Ahead(
                Gatekeeper(
                    marks.field_manager(self._hub_uid, self._namespace), fence=self._passes, namespace=self._namespace
                )
            ),
        )
        self._standby.follow()
        await self._elector.stand()

    async def _hand_over(self) -> dict[str, Kept]:
        """What was kept of the hub while this process stood by."""
        standby = self._standby
        if standby is None:
            return {}
        await asyncio.sleep(CATCHING_UP)
        kept = await standby.hand_over()
        self._settings, self._standby = standby.settings, None
        log.info("takes over", collections=len(kept), objects=sum(len(each.items) for each in kept.values()))
        return kept

    def _resume(self) -> None:
        if self._controller is not None:
            self._controller.resume()


async def identify(connection: Connection) -> str:
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


def _has_ended(holder: str) -> bool:
    process = machine.named(holder)
    return process is not None and machine.ended(process)


async def _end(*futures: "asyncio.Future[Any]") -> None:
    for each in futures:
        each.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
