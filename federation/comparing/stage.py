"""Where a comparison takes place: a playground of its own, a controller, and members in the mode of a step.

A stage has one fleet at a time: a host and so many members, real ones with an API server each, or simulated ones. It
grows where a step has more real members, and is made anew for fewer, and after a step that failed. The mode changes by
`spec.syncMode`, as users change it, and the controller is started again with it, so that its memory is the mode's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ParamSpec, Self, TypeVar

from federation.comparing import meter, troubles, yardstick
from federation.comparing.accounting import Federation
from federation.comparing.agents import Agents
from federation.comparing.client import MERGE, Client
from federation.comparing.etcd import Etcd
from federation.comparing.fleet import HOST, Fleet, SimulatedFleet, all_ready
from federation.comparing.load import TYPES
from federation.comparing.model import Subject
from federation.comparing.site import Site
from federation.comparing.workload import Workload
from federation.joining import setup
from federation.model.marks import CONFIG, SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CONFIGS, ObjectName

PREFIX = "federation-compare-"
"""Of the directories below the system's temporary one; each is removed at its stage's end."""
BARE_MEMBERS = 2
REAL, SIMULATED = "real", "simulated"
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    Subject.PUSH: {"pull": {"bundleBytes": 0}},
    Subject.PULL: {"pull": {"bundleBytes": 0}},
    Subject.PULL_BUNDLED: {"pull": {"bundleBytes": 65536}},
}
"""The subjects that can be started here, and the fields of the KubeFedConfig's spec by which each is switched on; a
field that another subject has must be here with its default."""
_CONFIG = KUBEFED_CONFIGS.path(ObjectName(SYSTEM_NAMESPACE, CONFIG))

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Stage:
    """Use as an async context manager; leaving it ends every process."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.report = report
        self._fleet: Fleet | None = None
        self._kind = ""
        self._subject = ""
        self._agents: Agents | None = None
        self._own_watches = (0, 0)
        self._namespaces = 0
        self._site: Site | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.clear()

    async def clear(self) -> None:
        """End all processes of the fleet, whatever state it is in, and remove its files."""
        site, self._site = self._site, None
        if site is not None:
            await site.__aexit__(None, None, None)
        agents, self._agents = self._agents, None
        fleet, self._fleet = self._fleet, None
        self._kind = self._subject = ""
        try:
            if agents is not None:
                await agents.__aexit__(asyncio.CancelledError, None, None)
        finally:
            if fleet is not None:
                await whole(fleet.__exit__, None, None, None)

    @asynccontextmanager
    async def federation(self, subject: str, members: int, kind: str = REAL) -> AsyncIterator[Federation]:
        """So many members in the mode of the subject, all Ready."""
        if self._site is not None:
            await self.clear()
        now = len(self._fleet.members) if self._fleet is not None else 0
        if kind != self._kind or members < now or (members > now and kind == SIMULATED):
            await self.clear()
        if self._fleet is None or len(self._fleet.members) < members:
            await self._leave_mode()
            await (self._grow(members) if kind == REAL else self._simulate(members))
        if subject != self._subject:
            await self._leave_mode()
            await self._enter_mode(subject)
        async with AsyncExitStack() as stack:
            yield await self._looked_at(stack)

    async def site(self) -> Site:
        """A federation of members of both modes, made as people make one; it takes the place of a fleet."""
        if self._site is None:
            await self.clear()
            self._site = await Site(self.report, types=troubles.TYPES).__aenter__()
        return self._site

    def workload(self, of: Federation, *, kinds: tuple[str, ...] = ("ConfigMap",)) -> Workload:
        """A namespace that no other step has had."""
        self._namespaces += 1
        return Workload(of, f"compare-{self._namespaces}", kinds=kinds)

    @property
    def hub_keys(self) -> str:
        """What the hub's keys in etcd begin with."""
        return f"/playground/{HOST}/"

    async def bare(self, objects: int) -> Mapping[str, float]:
        """CPU of the bare client per apply in the members, in ms, by phase."""
        async with self.federation(Subject.PUSH, BARE_MEMBERS):
            return (await yardstick.measure(self.fleet, objects))["client"]

    @property
    def fleet(self) -> Fleet:
        """The present one. Raises RuntimeError where there is none."""
        if self._fleet is None:
            raise RuntimeError("the stage is empty")
        return self._fleet

    # --- the fleet -------------------------------------------------------------------------------------------------

    async def _grow(self, members: int) -> None:
        if self._fleet is None:
            self._fleet, self._kind = Fleet(self.report, prefix=PREFIX, types=TYPES), REAL
        await whole(self._fleet.grow, [f"m{number}" for number in range(1, members + 1)])

    async def _simulate(self, members: int) -> None:
        fleet = SimulatedFleet(self.report, prefix=PREFIX, types=("namespaces", "configmaps"))
        self._fleet, self._kind = fleet, SIMULATED
        await whole(fleet.bring_up, members)
        await whole(fleet.start_controller)
        await fleet.join_all()

    async def _leave_mode(self) -> None:
        agents, self._agents = self._agents, None
        self._subject = ""
        if agents is not None:
            await agents.__aexit__(None, None, None)

    async def _enter_mode(self, subject: str) -> None:
        fleet = self.fleet
        await whole(fleet.stop_controller)
        async with Client(fleet.cluster(HOST)) as host:
            spec = {**setup.NOTHING_HELD, **SETTINGS[subject]}
            await host.send("PATCH", _CONFIG, {"spec": spec}, MERGE)
            self._own_watches = await self._watches(host)
            await whole(fleet.start_controller)
            await all_ready(host, fleet.members)
        if subject != Subject.PUSH:
            self._agents = Agents(fleet, fleet.directory, together=self._kind == SIMULATED)
            await self._agents.__aenter__()
        self._subject = subject

    async def _watches(self, host: Client) -> tuple[int, int]:
        """That API servers have open while no controller runs."""
        members = self.fleet.members
        async with Client(self.fleet.cluster(members[0])) as member:
            shared = len(members) if self._kind == SIMULATED else 1
            return (await meter.counters(host)).watches, (await meter.counters(member)).watches // shared

    async def _looked_at(self, stack: AsyncExitStack) -> Federation:
        fleet = self.fleet
        servers = fleet.members[:1] if self._kind == SIMULATED else fleet.members
        urls = [each.url for each in (fleet.playground.etcd, fleet.playground.simulated_etcd) if each is not None]
        return Federation(
            host=await stack.enter_async_context(Client(fleet.cluster(HOST))),
            members=[await stack.enter_async_context(Client(fleet.cluster(name))) for name in servers],
            names=fleet.members,
            hub_pids=[fleet.pid(HOST)],
            controller_pids=fleet.controllers,
            member_pids=[fleet.pid(name) for name in servers],
            agent_pids=self._agents.pids if self._agents else (),
            etcds=[await stack.enter_async_context(Etcd(url)) for url in urls],
            agents=len(fleet.members) if self._agents else 0,
            simulated_etcd=fleet.etcd_url if isinstance(fleet, SimulatedFleet) else "",
            own_watches=self._own_watches,
        )


async def whole(function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Run it in a thread, to its end also when we are cancelled: what it starts must be known, to be ended."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **named))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
