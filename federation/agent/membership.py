"""One membership: one cluster of one hub, carried out in one member. Start reading at `Membership.run`.

```
works watch (hub)     ─┐               one work    decide (work, pure)   act                      status
records watch (member) ┼─> World ─────> queue ────> per object ─────────> records, pushing, ─────> reporting ──> hub
copies watch (member) ─┘                                                  removing
                            keeper: what is wanted, in Secrets of the member
```

One of several agents for a cluster acts: a Lease in the member decides. Its holder's writes pass a fence, to the member
and to the hub, which shuts before another could hold it. What was kept in the member is carried out when the hub was
not heard for a while after the start; it goes on so for as long as the hub is away.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from federation.agent import metrics, reasserting, rewinding
from federation.agent.executor import Executor
from federation.agent.hubside import HubSide
from federation.agent.keeper import Keeper
from federation.agent.kinds import Kinds
from federation.agent.pushing import Pusher
from federation.agent.reconciling import Reconciler
from federation.agent.records import Records
from federation.agent.reporting import Reporter
from federation.agent.world import World
from federation.controllers.election import Elector
from federation.kube import works
from federation.kube.connection import Connection
from federation.kube.endpoint import Endpoint
from federation.kube.hub import HubWriter
from federation.kube.reflector import Reflector
from federation.kube.works import WorkObject
from federation.model.errors import ApiFailure
from federation.model.failures import Failure
from federation.model.resources import ObjectName
from federation.model.settings import LeaderElection
from federation.model.works import Identifier
from federation.runtime import backoff, fence, machine
from federation.runtime.fence import Fence
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Crew, Workers
from federation.work import identity
from federation.work.keeping import Kept
from federation.work.status import Run

AGENT = "federation-agent"
"""What the agent's requests call themselves."""
NAMESPACE = "open-cluster-management-agent"
"""Where the agent lives in its member, as Open Cluster Management's."""
CONCURRENCY, REPORTS = 8, 4
"""Works that are carried out at once, and statuses that are written at once."""
HUB_PATIENCE = 5.0
"""Seconds that the hub has after the start to say what it wants, before what was kept is carried out."""
SYNC_PATIENCE = 15.0
"""Seconds until the member's objects must have been listed; what has not been is applied without having been seen."""
GRACE = 2.0
"""Seconds that writes in progress get at the end."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an agent is. `agent_id` tells agents of one member apart; "" for one that follows from the others."""

    cluster: str
    namespace: str = NAMESPACE
    agent_id: str = ""

    @property
    def id(self) -> str:
        """The agent's ID, which a change of the hub's address does not change."""
        return self.agent_id or f"{self.namespace}/{self.cluster}"


class Membership:
    """One cluster of one hub. `run` until cancelled, then `close`."""

    def __init__(self, identity_: Identity, hub: Endpoint, member: Endpoint, *, label: str = "hub") -> None:
        """`label` names the hub in metrics of requests, which several memberships of one process have apart."""
        self.identity = identity_
        self._label = label
        self._hub_endpoint = hub
        self._fence = Fence()
        self._member = Connection(identity_.cluster, member, agent=AGENT, fence=self._fence)
        self._hub = self._connect(hub)
        self._lease = Connection(identity_.cluster, member, agent=f"{AGENT}-lease", few=1)
        short = identity.short(identity_.id)
        self._elector = Elector(
            HubWriter(self._lease),
            self._fence,
            where=ObjectName(identity_.namespace, f"work-agent-{short}"),
            identity=machine.this_process().name(uuid.uuid4().hex[:8]),
            numbers=LeaderElection,
            gone=_has_ended,
            clock=fence.now,
        )
        self._active: Active | None = None
        self._before = 0
        """Requests to hubs that it had before."""
        self._exchange = asyncio.Event()

    def _connect(self, hub: Endpoint) -> Connection:
        return Connection(self._label, hub, agent=AGENT, fence=self._fence)

    async def run(self) -> None:
        """Stand for the Lease, act while it is held, and stand again."""
        while True:
            await self._elector.stand()
            log.info("acts for the cluster", cluster=self.identity.cluster, agent=self.identity.id)
            metrics.LEADS.labels(self.identity.cluster).set(1)
            keeping = asyncio.ensure_future(self._elector.keep())
            try:
                await self._act(keeping)
            finally:
                metrics.LEADS.labels(self.identity.cluster).set(0)
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
            log.warning("does not act for the cluster any more", cluster=self.identity.cluster)

    async def _act(self, keeping: "asyncio.Future[str]") -> None:
        while not keeping.done():
            self._exchange.clear()
            active = self._active = Active(self.identity, self._hub, self._member)
            running = asyncio.ensure_future(active.run())
            exchanged = asyncio.ensure_future(self._exchange.wait())
            try:
                ends: tuple[asyncio.Future[Any], ...] = (keeping, running, exchanged)
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    running.result()
            finally:
                self._active = None
                exchanged.cancel()
                running.cancel()
                await asyncio.gather(running, exchanged, return_exceptions=True)
                await active.stop(keep=not keeping.done())

    async def follow(self, hub: Endpoint) -> None:
        """Use other credentials at the hub, or another hub, from now on."""
        if hub.same_place(self._hub_endpoint):
            self._hub_endpoint.credentials.header = hub.credentials.header
            return
        before, self._hub, self._hub_endpoint = self._hub, self._connect(hub), hub
        self._before += before.requests
        self._exchange.set()
        await before.close()

    def ready(self) -> str:
        """ "" for an agent that acts and has listed what decisions depend on, and for one that stands by."""
        if self._active is None:
            return self._elector.problem
        return self._active.ready()

    @property
    def cluster(self) -> str:
        """Its cluster's name at the hub."""
        return self.identity.cluster

    @property
    def requests(self) -> int:
        """How many requests it has sent, to its hub and to its member."""
        return self._before + sum(each.requests for each in (self._hub, self._member, self._lease))

    @property
    def silence(self) -> float:
        """Seconds since the hub was last heard of; 0 while it is."""
        return self._active.silence if self._active is not None else 0.0

    async def close(self) -> None:
        """Give the Lease back, and end all connections."""
        with contextlib.suppress(Exception):
            await self._elector.release()
        for each in (self._hub, self._member, self._lease):
            await each.close()
        metrics.forget(self.identity.cluster)


class Active:
    """An agent that acts: what it knows ends with it."""

    def __init__(self, who: Identity, hub: Connection, member: Connection) -> None:
        self._who = who
        short = identity.short(who.id)
        world = self.world = World(
            who.cluster,
            namespace=who.namespace,
            agent_id=who.id,
            agent=short,
            hub_hash=identity.hub_hash(hub.endpoint.server),
        )
        self._tasks, self._watches = Tasks(), Tasks()
        self.queue: KeyQueue[str] = KeyQueue()
        self._kinds = Kinds(member, short, self._watches, self._object_changed)
        self._keeper = Keeper(member, world)
        self._records = Records(member, world, self.queue.add)
        self._reporter = Reporter(world, self._kinds, self._keeper)
        self._hub = HubSide(hub, world, self._keeper, wake=self._wake, report=self._reporter.changed)
        self._reporter.hub = self._hub
        # A list that is taken in says all that there is, whatever its versions: nothing of before is to be forgotten.
        self._works: Reflector[WorkObject] = Reflector(
            hub, works.works(who.cluster), self._hub, relists=rewinding.relists()
        )
        self._reconciler = Reconciler(
            world,
            self.queue,
            hub=self._hub,
            kinds=self._kinds,
            pusher=Pusher(member, Executor(member), who.cluster),
            records=self._records,
            keeper=self._keeper,
            report=self._reporter.changed,
        )
        self._started = False
        self._began = time.monotonic()
        self._measure()

    def _measure(self) -> None:
        cluster, world = self._who.cluster, self.world
        metrics.WORKS.labels(cluster).set_function(lambda: len(world.works))
        metrics.PLACEMENTS.labels(cluster).set_function(lambda: len(world.wishes))
        metrics.HELD.labels(cluster).set_function(lambda: sum(1 for each in world.works.values() if each.held))
        metrics.HUB_SILENCE.labels(cluster).set_function(lambda: self.silence)

    async def run(self) -> None:
        """Act until cancelled."""
        kept = await self._load()
        records = self._records.reflector(self._rewound)
        self._watches.keep(records.run, "watch:records")
        self._watches.keep(self._works.run, "watch:works")
        await self._wait(lambda: self._records.synced)
        self._restore(kept)
        await self._follow_kept()
        await self._kinds.synced(SYNC_PATIENCE)
        Crew(Workers("work", self.queue, self._reconciler.process), self._tasks).resize(CONCURRENCY)
        Crew(Workers("workstatus", self._reporter.queue, self._reporter.process), self._tasks).resize(REPORTS)
        self._tasks.keep(self._keeper.serve, "keeper")
        self._tasks.keep(lambda: self._kinds.serve(self.world.named), "kinds")
        self._tasks.keep(lambda: reasserting.serve(self.world, self.queue), "reassert")
        self._started = True
        if not self.world.listed:
            await self._wait(lambda: self.world.listed, HUB_PATIENCE)
        if not self.world.listed:
            log.warning("goes on without its hub", cluster=self._who.cluster, works=len(self.world.works))
        for name in list(self.world.works):
            self.queue.add(name)
        await self._tell()

    async def _load(self) -> list[Kept]:
        attempt = 0
        while True:
            try:
                return await self._keeper.load()
            except ApiFailure as error:
                wait = backoff.delay(attempt, base=0.5, cap=15.0)
                log.warning("waits for its member", cluster=self._who.cluster, reason=str(error))
                attempt += 1
                await asyncio.sleep(wait)

    async def _wait(self, done: Callable[[], bool], seconds: float = float("inf")) -> None:
        ends = time.monotonic() + seconds
        while not done() and time.monotonic() < ends:  # noqa: ASYNC110 - only at the start
            await asyncio.sleep(0.05)

    def _restore(self, kept: list[Kept]) -> None:
        """What was kept, beneath what the hub has said since."""
        for each in kept:
            state = self.world.state(each.name)
            state.records = dict(each.records)
            if not state.live or state.uid == each.uid:
                state.run = state.run.union(Run(frozenset(each.completed), each.finished))
            if not state.live:
                state.uid, state.generation, state.created = each.uid, each.generation, each.created
                state.spec, state.known = each.spec.encode(), True
                state.leaving = state.leaving or each.leaving
        log.info("begins with what was kept", cluster=self._who.cluster, works=len(kept))

    async def _follow_kept(self) -> None:
        """Watch the kinds of what was applied, so that what is right is seen to be before anything is decided."""
        seen: dict[tuple[str, str], tuple[Identifier, str]] = {}
        for state in self.world.works.values():
            for each in state.applied.resources if state.applied is not None else ():
                seen.setdefault((each.what.group, each.what.resource), (each.what, each.version))
        for what, version in seen.values():
            resource = await self._kinds.resource(what, version)
            if not isinstance(resource, Failure):
                self._kinds.follow(resource, what.where, whole=False)

    async def _tell(self) -> None:
        """Say when the hub falls silent, and when it is heard again."""
        silent = False
        while True:
            await asyncio.sleep(5.0)
            if (self.silence > 30.0) != silent:
                silent = not silent
                say = log.warning if silent else log.info
                say(
                    "hub is silent" if silent else "hub is heard again",
                    cluster=self._who.cluster,
                    seconds=round(self.silence),
                )

    async def stop(self, *, keep: bool) -> None:
        """End in order; with `keep` what was not kept yet is."""
        await self._watches.cancel()
        await self._tasks.finish(0.0)
        if keep:
            with contextlib.suppress(ApiFailure, TimeoutError):
                async with asyncio.timeout(GRACE):
                    await self._keeper.flush()

    def ready(self) -> str:
        """ "" when what decisions depend on was listed; the hub may be away."""
        if not self._started:
            return "the member has not been read yet"
        return ""

    @property
    def silence(self) -> float:
        """Seconds since the hub was last heard of; 0 while its works are watched."""
        if self._works.open and self._works.failure is None:
            return 0.0
        return time.monotonic() - (self._works.contact if self.world.listed else self._began)

    def _wake(self, name: str, urgent: bool) -> None:
        self.queue.add(name, urgent=urgent)

    def _rewound(self) -> None:
        """The member was restored: what is kept there is of another time, too."""
        for state in self.world.works.values():
            if state.known:
                self._keeper.changed(state)

    def _object_changed(self, what: Identifier, more_than_status: bool) -> None:
        for name in self.world.concerned(what):
            self._reporter.changed(name)
            if more_than_status:
                self.queue.add(name, urgent=True)


def _has_ended(holder: str) -> bool:
    process = machine.named(holder)
    return process is not None and machine.ended(process)
