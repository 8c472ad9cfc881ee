"""What is done with the fleet, and what each of it costs: joins, single objects, many, rest, a restart, bad members.

A phase is measured until the last member holds it, and again when all is settled: no request to the host for a while.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from e2e.bench.scale.fleet import ScaleFleet
from federation.comparing import meter
from federation.comparing.arrivals import Arrivals, Expected
from federation.comparing.client import MERGE, Client, together
from federation.comparing.configmaps import PAD
from federation.comparing.fleet import FEDERATED, HOST
from federation.playground.faultproxy import FaultProxy
from federation.playground.faults import Fault

NAMESPACE = "scale"
SINGLES = 6
QUIET = 3.0
"""Seconds without a write to the host after which a phase counts as settled."""
AGENTS_QUIET = 7.0
"""The same in pull mode: an agent reports a change up to 5 s after it has reported another."""
LONGEST = 1800.0
"""Seconds after which a phase has failed."""
FLAPS = 10
AWAY = 3
"""How often one member goes away and comes back."""

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU seconds so far."""

    at: float
    controllers: tuple[float, ...]
    host: float
    members: float
    agents: float = 0.0

    @property
    def controller(self) -> float:
        """Of all controller processes together."""
        return sum(self.controllers)


class Scale:
    """One namespace in all members of a fleet. Use as an async context manager."""

    def __init__(self, fleet: ScaleFleet, objects: int, idle: float) -> None:
        self._fleet = fleet
        self._objects = objects
        self._idle = idle
        self._stack = AsyncExitStack()
        self._host_pid = fleet.pid(HOST)
        self._members_pids = fleet.members_pids
        self._agents: Sequence[int] = ()
        self._rest = QUIET

    def pulled(self, agents: Sequence[int]) -> None:
        """The members are in pull mode from now on; these are the processes of their agents."""
        self._agents, self._rest = agents, AGENTS_QUIET

    async def __aenter__(self) -> "Scale":
        self.host = await self._stack.enter_async_context(Client(self._fleet.cluster(HOST)))
        self.arrivals = await self._stack.enter_async_context(Arrivals(self._fleet.etcd_url, NAMESPACE))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    # --- the phases, in their order ----------------------------------------------------------------------------------

    async def join(self) -> Figures:
        """Join all members, the controller running."""
        before = self._costs()
        began = before.at
        joined = await self._fleet.join_all()
        ready = await self._fleet.all_ready(self.host)
        after = self._costs()
        return {
            "members": len(self._fleet.members),
            "join_s": round(joined - began, 1),
            "ready_after_last_join_s": round(ready - joined, 1),
            "controller_cpu_s": round(after.controller - before.controller, 2),
            "host_cpu_s": round(after.host - before.host, 2),
            "controller_mb": round(self._fleet.resident(), 1),
        }

    async def namespace(self) -> Figures:
        """A FederatedNamespace for all of them."""
        metadata = {"name": NAMESPACE}
        await self.host.send("POST", "/api/v1/namespaces", {"metadata": metadata})
        body = {
            "apiVersion": "types.kubefed.io/v1beta1",
            "kind": "FederatedNamespace",
            "metadata": metadata | {"namespace": NAMESPACE},
            "spec": {"placement": {"clusterSelector": {}}},
        }
        path = f"{FEDERATED}/{NAMESPACE}/federatednamespaces"
        began = time.perf_counter()
        await self.host.send("POST", path, body)
        while True:  # namespaces are not what `arrivals` follows: the status says when all have it
            found = await self.host.get(f"{path}/{NAMESPACE}")
            ready = [each for each in (found.get("status") or {}).get("conditions") or () if each["type"] == "Ready"]
            if ready and ready[0]["status"] == "True":
                return {"s": round(time.perf_counter() - began, 2)}
            if time.perf_counter() - began > LONGEST:
                raise TimeoutError("the namespace does not appear in all members")
            await asyncio.sleep(0.2)

    async def first(self) -> Figures:
        """The first object of its type."""
        return await self._one("first", self.create, b"version-1")

    async def singles(self) -> Figures:
        """Single objects, one after another, on a controller at rest; the median of their last arrivals."""
        names = [f"single-{number}" for number in range(SINGLES)]
        found: Figures = {}
        for what, act, text in (
            ("create", self.create, b"version-1"),
            ("update", self.update, b"version-2"),
            ("delete", self.delete, None),
        ):
            each = [await self._one(name, act, text) for name in names]
            last = sorted(one["last_ms"] for one in each)
            found[what] = {"last_ms": last[len(last) // 2], "worst_ms": last[-1]}
        return found

    async def bulk(self, what: str) -> Figures:
        """Create, update or delete all objects."""
        acts: dict[str, tuple[Callable[[str], Awaitable[None]], bytes | None]] = {
            "create": (self.create, b"version-1"),
            "update": (self.update, b"version-2"),
            "delete": (self.delete, None),
        }
        act, text = acts[what]
        names = self._names()
        expected = self.arrivals.expect(names, text, self._fleet.members)
        return await self._measured(expected, lambda: together(act(name) for name in names))

    async def idle(self) -> Figures:
        """Nothing to do."""
        before = self._costs()
        await asyncio.sleep(self._idle)
        after = self._costs()
        seconds = after.at - before.at
        return {
            "seconds": round(seconds, 1),
            "controller_ms_per_s": round((after.controller - before.controller) * 1e3 / seconds, 2),
            "host_ms_per_s": round((after.host - before.host) * 1e3 / seconds, 2),
            "members_ms_per_s": round((after.members - before.members) * 1e3 / seconds, 2),
            **self._of_agents(before, after, seconds, "agents_ms_per_s"),
            "controller_mb": round(self._fleet.resident(), 1),
        }

    async def scrape(self) -> Figures:
        """One read of the controller's metrics."""
        before, began = meter.cpu(self._fleet.controllers), time.perf_counter()
        text = await self._metrics()
        seconds = time.perf_counter() - began
        return {
            "bytes": len(text),
            "ms": round(seconds * 1e3, 1),
            "controller_cpu_ms": round((meter.cpu(self._fleet.controllers) - before) * 1e3, 1),
        }

    async def late(self) -> float:
        """The longest that the controller's event loop was late since the controller began, ms."""
        found = re.search(rb"^federation_event_loop_longest_lag_seconds (\S+)$", await self._metrics(), re.MULTILINE)
        return round(float(found[1]) * 1e3, 1) if found else 0.0

    async def restart(self) -> Figures:
        """Kill the controller, start it, and change one object a second later. Nothing else may be written."""
        name = self._names()[0]
        await asyncio.to_thread(self._fleet.kill_controller)
        self.arrivals.writes.clear()
        began = time.perf_counter()
        await asyncio.to_thread(self._fleet.start_controller)
        started = time.perf_counter()
        await asyncio.sleep(max(0.0, began + 1.0 - started))
        found = await self._one(name, lambda each: self.update(each, 3), b"version-3")
        await self._quiet()
        others = [where for where in self.arrivals.writes if where[1] != name]
        return {
            "ready_s": round(started - began, 2),
            "a_users_change": {key: found[key] for key in ("p50_ms", "last_ms")},
            "writes_of_other_objects": len(others),
            "controller_cpu_s": round(meter.cpu(self._fleet.controllers), 2),
            "controller_mb": round(self._fleet.resident(), 1),
        }

    async def hang(self) -> Figures:
        """One member accepts connections and never answers: how do the others fare?"""
        hanging, others = self._fleet.members[-1], self._fleet.members[:-1]
        async with self._behind_a_proxy(hanging) as proxy:
            before = await self._one("hang-before", self.create, b"version-1", others)
            proxy.inject(Fault("blackhole"))
            during = []
            for number in range(4):
                during.append((await self._one(f"hang-{number}", self.create, b"version-1", others))["last_ms"])
                await asyncio.sleep(5)
            names = self._names()[:20]
            expected = self.arrivals.expect(names, b"version-4", others)
            burst = await self._measured(expected, lambda: together(self.update(name, 4) for name in names))
        return {"before_ms": before["last_ms"], "during_ms": during, "burst": burst}

    async def away(self) -> Figures:
        """One member goes away and comes back, again and again: how do the others fare, and what does it cost?"""
        flapping, others = self._fleet.members[-1], self._fleet.members[:-1]
        away, back = ([f"{when}-{number}" for number in range(AWAY)] for when in ("away", "back"))
        async with self._behind_a_proxy(flapping) as proxy:
            lacking = self.arrivals.expect([*away, *back], b"version-1", [flapping])
            before = await self._one("away-before", self.create, b"version-1", others)
            requests, costs = await meter.requests(self.host), self._costs()
            found: dict[str, list[float]] = {"away_ms": [], "back_ms": []}
            for number in range(AWAY):
                proxy.inject(Fault("blackhole"))
                await self._fleet.not_ready(self.host, flapping)
                found["away_ms"].append((await self._one(away[number], self.create, b"version-1", others))["last_ms"])
                proxy.clear()
                await self._fleet.all_ready(self.host)
                found["back_ms"].append((await self._one(back[number], self.create, b"version-1", others))["last_ms"])
            await lacking.wait(LONGEST)
            await self._quiet()
            after, host = self._costs(), meter.between(requests, await meter.requests(self.host))
        return {
            "before_ms": before["last_ms"],
            **found,
            "seconds": round(after.at - costs.at, 1),
            "controller_ms_per_s": round((after.controller - costs.controller) * 1e3 / (after.at - costs.at), 2),
            "cluster_writes_per_time": round(meter.writes(host, ("kubefedclusters",)) / AWAY, 2),
        }

    async def flap(self) -> Figures:
        """A cluster that concerns no object comes and goes: its label changes ten times."""
        path = (
            f"/apis/core.kubefed.io/v1beta1/namespaces/kube-federation-system/kubefedclusters/{self._fleet.members[0]}"
        )
        await self._quiet()
        before = self._costs()
        for number in range(FLAPS):
            await self.host.send("PATCH", path, {"metadata": {"labels": {"flap": str(number)}}}, MERGE)
            await asyncio.sleep(0.5)
        await self._quiet()
        after = self._costs()
        return {"controller_ms_per_change": round((after.controller - before.controller) * 1e3 / FLAPS, 1)}

    @asynccontextmanager
    async def _behind_a_proxy(self, member: str) -> AsyncIterator[FaultProxy]:
        """The controller reaches one member through a proxy, at which faults can be injected, and again without."""
        async with FaultProxy(self._fleet.cluster(member), self._fleet.playground.ca) as proxy:
            await self._fleet.rejoin(member, proxy.url)
            await self._fleet.all_ready(self.host)
            await self._quiet()
            yield proxy
            proxy.clear()
            await self._fleet.all_ready(self.host)
            await self._quiet()
            await self._fleet.rejoin(member, self._fleet.cluster(member).url)
            await self._fleet.all_ready(self.host)
            await self._quiet()  # what that member still lacked belongs to this phase, not to the next

    # --- what a user does ------------------------------------------------------------------------------------------

    async def create(self, name: str) -> None:
        """A ConfigMap of 1 kB for every member, with an override for the first."""
        first = self._fleet.members[0]
        body = {
            "apiVersion": "types.kubefed.io/v1beta1",
            "kind": "FederatedConfigMap",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "template": {"metadata": {"labels": {"app": "bench"}}, "data": {"version": "version-1", "pad": PAD}},
                "placement": {"clusterSelector": {}},
                "overrides": [
                    {"clusterName": first, "clusterOverrides": [{"op": "add", "path": "/data/where", "value": first}]}
                ],
            },
        }
        await self.host.send("POST", self._path(), body)

    async def update(self, name: str, version: int = 2) -> None:
        """Another version in the template."""
        body = {"spec": {"template": {"data": {"version": f"version-{version}"}}}}
        await self.host.send("PATCH", self._path(name), body, MERGE)

    async def delete(self, name: str) -> None:
        """Delete the federated object."""
        await self.host.send("DELETE", self._path(name))

    def _path(self, name: str = "") -> str:
        return f"{FEDERATED}/{NAMESPACE}/federatedconfigmaps" + (f"/{name}" if name else "")

    def _names(self) -> list[str]:
        return [f"item-{number}" for number in range(self._objects)]

    # --- measuring -------------------------------------------------------------------------------------------------

    async def _one(
        self,
        name: str,
        act: Callable[[str], Awaitable[None]],
        text: bytes | None,
        members: Sequence[str] = (),
    ) -> Figures:
        expected = self.arrivals.expect([name], text, members or self._fleet.members)
        began = time.perf_counter()
        await act(name)
        await expected.wait(LONGEST)
        found = dict(expected.milliseconds(began))
        await asyncio.sleep(0.3)
        return found

    async def _measured(self, expected: Expected, act: Callable[[], Awaitable[None]]) -> Figures:
        requests = await meter.requests(self.host)
        before = self._costs()
        await act()
        last = await expected.wait(LONGEST)
        arrived = self._costs()
        await self._quiet()
        settled = self._costs()
        host = meter.between(requests, await meter.requests(self.host))
        placements, objects = len(expected.at), max(1, len(expected.missing))
        return {
            "seconds": round(last - before.at, 2),
            "placements_per_s": round(placements / (last - before.at), 1),
            "controller_ms_per_placement": round((settled.controller - before.controller) * 1e3 / placements, 3),
            "controllers_ms_per_placement": [
                round((now - was) * 1e3 / placements, 3)
                for now, was in zip(settled.controllers, before.controllers, strict=True)
            ],
            "controller_ms_until_arrival": round((arrived.controller - before.controller) * 1e3 / placements, 3),
            "members_ms_per_placement": round((settled.members - before.members) * 1e3 / placements, 3),
            "host_ms_per_object": round((settled.host - before.host) * 1e3 / objects, 1),
            "host_writes_per_object": round(
                meter.writes(host, ("federatedconfigmaps", "manifestworks", "events")) / objects - 1, 2
            ),  # without the user's own
            **self._of_agents(before, settled, placements, "agents_ms_per_placement"),
            "host_requests": host,
            "controller_mb": round(self._fleet.resident(), 1),
            "last_of_each_ms": sorted(round((at - before.at) * 1e3) for at in expected.last_of.values()),
        }

    async def _quiet(self) -> None:
        """Wait until nothing has been written to the host for a while. Reading its counters costs it CPU: rarely."""
        ends = time.perf_counter() + LONGEST
        before = await self._written()
        while True:
            await asyncio.sleep(self._rest)
            written = await self._written()
            if written == before:
                return
            if time.perf_counter() > ends:
                raise TimeoutError("the controller does not come to rest")
            before = written

    async def _written(self) -> int:
        # Not those of KubeFedClusters: each is written every five minutes at rest, so a thousand are never quiet.
        return meter.writes(await meter.requests(self.host), ("federated", "manifestworks"))

    def _of_agents(self, before: Costs, after: Costs, count: float, figure: str) -> Figures:
        if not self._agents:
            return {}
        return {
            figure: round((after.agents - before.agents) * 1e3 / count, 3),
            "agents_mb": round(sum(map(meter.resident, self._agents)), 1),
        }

    async def _metrics(self) -> bytes:
        import aiohttp  # noqa: PLC0415 - only here without an API server's token

        async with aiohttp.ClientSession() as session, session.get(self._fleet.metrics_url) as response:
            return await response.read()

    def _costs(self) -> Costs:
        return Costs(
            time.perf_counter(),
            tuple(meter.cpu([pid]) for pid in self._fleet.controllers),
            meter.cpu([self._host_pid]),
            meter.cpu(self._members_pids),
            meter.cpu(self._agents),
        )
