"""One process's part in a hub whose clusters are divided into several shards: hold some of them, as many as others do.

For each shard there is a Lease, and whoever holds it runs a controller of that shard alone, with a fence and a
connection to the hub of its own: a shard that is lost stops writing, whatever the others of this process do. One that
is given to another process is stopped in order first. A process that has lost a Lease ends, and is started anew, as
with one shard (`leading`).
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from federation.controllers.election import Elector
from federation.controllers.membership import Membership
from federation.controllers.numbering import Numbering
from federation.controllers.standby import Held
from federation.core import configuration, leadership, shards
from federation.core.shards import Shard
from federation.kube.connection import Connection
from federation.kube.hub import HubWriter
from federation.kube.watches import Watches
from federation.leading import Leader
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.failures import Failure
from federation.model.federated import StoredObject
from federation.model.resources import KUBEFED_CONFIGS, LEASES, ObjectName
from federation.model.settings import LeaderElection, Settings
from federation.runtime import fence, machine
from federation.runtime.fence import Fence
from federation.runtime.tasks import Tasks

GRACE = 1.5
"""Seconds for which a free shard is left to processes that have fewer."""
FREE_ANEW = 10.0
"""Seconds after which a shard that nobody has tried to take is free anew."""

log = structlog.get_logger()

Connect = Callable[[Fence], Connection]
Make = Callable[[Connection, Fence, Shard], Leader]


@dataclass(slots=True)
class Slot:
    """One shard, as this process has part in it."""

    shard: Shard
    fence: Fence
    elector: Elector
    connection: Connection | None = None
    controller: Leader | None = None
    gives_way: asyncio.Event = field(default_factory=asyncio.Event)
    free: tuple[float, float] = (float("-inf"), float("-inf"))
    """Since when it is seen as free, and when it was last (monotonic)."""


class Sharding:
    """The elections at one hub. `election` is a connection of its own, which no fence holds; `connect` opens one that
    the fence of a shard holds, and `make` makes the controller of a shard."""

    def __init__(self, election: Connection, *, number: int, namespace: str, connect: Connect, make: Make) -> None:
        self._election = election
        self._hub = HubWriter(election)
        self._namespace = namespace
        self._connect = connect
        self._make = make
        self._settings = Settings()
        self._taking = asyncio.Lock()
        self._tasks = Tasks()
        self._identity = machine.this_process().name(uuid.uuid4().hex[:8])
        self._slots = [self._slot(Shard(index, number)) for index in range(number)]
        self._membership = Membership(
            self._hub, namespace, self._identity, held=self._held, numbers=lambda: self._numbers
        )
        self._uneven = 0

    def _slot(self, shard: Shard) -> Slot:
        passes = Fence()
        elector = Elector(
            self._hub,
            passes,
            where=ObjectName(self._namespace, leadership.lease_name(shard.index)),
            identity=self._identity,
            numbers=lambda: self._numbers,
            gone=_has_ended,
            clock=fence.now,
            numbering=Numbering(self._hub, self._namespace, shard),
        )
        slot = Slot(shard, passes, elector)
        elector.invited = lambda: self._invited(slot)
        elector.resumed = lambda: slot.controller.resume() if slot.controller is not None else None
        return slot

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> str:
        """Hold shards; returns why this process is to end."""
        await self._read_settings()
        log.info("shares shards", shards=len(self._slots), identity=self._identity)
        self._tasks.keep(lambda: self._membership.serve(self._look_around), "membership")
        for slot in self._slots:
            self._watch(slot)
        serving = [asyncio.ensure_future(self._serve(slot)) for slot in self._slots]
        try:
            done, _ = await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for each in serving:
                each.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    async def stop(self) -> None:
        """End what runs, give every Lease back."""
        await self._tasks.cancel()
        await asyncio.gather(*(self._end(slot) for slot in self._slots))
        with contextlib.suppress(TimeoutError):
            await self._membership.leave()

    def ready(self) -> str:
        """ "" where this process has listed everything that its shards need, or could take some; else what is not."""
        for slot in self._slots:
            problem = slot.controller.ready() if slot.controller is not None else slot.elector.problem
            if problem:
                return f"shard {slot.shard}: {problem}"
        return ""

    def live(self) -> str:
        """ "" while the event loop keeps up, as far as that is known."""
        found = (slot.controller.live() for slot in self._slots if slot.controller is not None)
        return next(filter(None, found), "")

    # --- one shard ----------------------------------------------------------------------------------------------------

    async def _serve(self, slot: Slot) -> str:
        while True:
            await slot.elector.stand(self._taking)
            keeping = asyncio.ensure_future(slot.elector.keep())
            try:
                why = await self._lead(slot, keeping)
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
            if why:
                return f"shard {slot.shard}: {why}"
            log.info("gives a shard to another process", shard=str(slot.shard))
            await self._end(slot)
            slot.gives_way.clear()

    async def _lead(self, slot: Slot, keeping: "asyncio.Future[str]") -> str:
        """Run its controller; why this process is to end, "" where it gives the shard away."""
        slot.connection = self._connect(slot.fence)
        controller = slot.controller = self._make(slot.connection, slot.fence, slot.shard)
        starting: asyncio.Future[None] = asyncio.ensure_future(controller.start())
        giving: asyncio.Future[Any] = asyncio.ensure_future(slot.gives_way.wait())
        ends: tuple[asyncio.Future[Any], ...] = (keeping, controller.exchanged, giving)
        try:
            await asyncio.wait({starting, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (starting, giving):
                each.cancel()
            await asyncio.gather(starting, giving, return_exceptions=True)
        if controller.exchanged.done():
            return str(controller.exchanged.result())
        return f"it does not lead any more: {keeping.result()}" if keeping.done() else ""

    async def _end(self, slot: Slot) -> None:
        controller, connection = slot.controller, slot.connection
        if controller is not None:
            await controller.stop()
        await slot.elector.release()
        if controller is not None:
            await controller.close()
        if connection is not None:
            await connection.close()
        slot.controller = slot.connection = None

    # --- evenness -----------------------------------------------------------------------------------------------------

    def _held(self) -> int:
        return sum(slot.elector.leads for slot in self._slots)

    def _invited(self, slot: Slot) -> float:
        """Seconds until this process may take a shard that is free: who has fewer goes first, then everybody."""
        now = time.monotonic()
        since, last = slot.free
        since = since if now - last < FREE_ANEW else now
        slot.free = since, now
        mine, others = self._membership.mine, self._membership.others
        if not mine.held and shards.may_take(mine, others):
            return 0.0
        fewest = min((each.held for each in others), default=mine.held)
        return max(0.0, since + GRACE * (1 + max(0, mine.held - fewest)) - now)

    def _look_around(self) -> None:
        """Give a shard away where another process has at least two fewer, twice in a row."""
        if not shards.gives_way(self._membership.mine, self._membership.others):
            self._uneven = 0
            return
        self._uneven += 1
        if self._uneven > 1:
            self._uneven = 0
            led = [slot for slot in self._slots if slot.controller is not None and not slot.controller.ready()]
            if led:
                led[-1].gives_way.set()

    # --- the hub ------------------------------------------------------------------------------------------------------

    @property
    def _numbers(self) -> LeaderElection:
        known = (slot.controller.settings for slot in self._slots if slot.controller is not None)
        return next(filter(None, known), self._settings).leader_election

    async def _read_settings(self) -> None:
        """The KubeFedConfig's; the defaults where it cannot be read, for nothing but the election rests on them yet."""
        found = await self._hub.read(KUBEFED_CONFIGS, ObjectName(self._namespace, marks.CONFIG))
        if not isinstance(found, Failure) and not found.broken:
            with contextlib.suppress(Invalid):
                self._settings = configuration.settings(found.spec)

    def _watch(self, slot: Slot) -> None:
        """Follow its Lease, so that a release is seen at once."""
        where = ObjectName(self._namespace, leadership.lease_name(slot.shard.index))
        lease: Held[StoredObject] = Held(lambda item: item.where, lambda: slot.elector.seen(lease.objects.get(where)))
        watches = Watches(self._election, self._namespace)
        watch = watches.stored(LEASES, self._namespace, lease, lambda _: None, name=where.name)
        self._tasks.keep(watch.run, f"lease:{where.name}")


def _has_ended(holder: str) -> bool:
    process = machine.named(holder)
    return process is not None and machine.ended(process)
