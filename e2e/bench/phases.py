"""The load, and what it costs: single objects one after another, then many at once, then no load at all.

Every phase ends when all of it was observed in the members; the counters are read `SETTLE` seconds later, so that the
status writes that follow are counted in the phase that caused them.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from e2e.running import detail
from federation.comparing import meter
from federation.comparing.client import MERGE, Client, together
from federation.comparing.configmaps import PAD
from federation.comparing.fleet import FEDERATED, HOST, Fleet
from federation.comparing.meter import Reading
from federation.comparing.observer import Observer

SETTLE = 2.0
BETWEEN = 0.12
"""Seconds between two single objects: latency is measured on a controller at rest."""

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: `objects` at once, `trials` one by one, `idle` seconds of nothing."""

    objects: int
    trials: int
    idle: float


class Bench:
    """One namespace of a fleet, its clients and its watches. Use as an async context manager."""

    def __init__(self, fleet: Fleet, namespace: str, size: Size) -> None:
        self.fleet = fleet
        self.namespace = namespace
        self.size = size
        self._stack = AsyncExitStack()
        self.placements = size.objects * len(fleet.members)

    async def __aenter__(self) -> "Bench":
        self.host = await self._stack.enter_async_context(Client(self.fleet.cluster(HOST)))
        self.members = [
            await self._stack.enter_async_context(Client(self.fleet.cluster(name))) for name in self.fleet.members
        ]
        await self._federate_namespace()
        self.observer = await self._stack.enter_async_context(Observer(self.members, self.namespace))
        self.meter = self.fleet.meter(self.host, self.members)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _federate_namespace(self) -> None:
        metadata = {"name": self.namespace}
        await self.host.send("POST", "/api/v1/namespaces", {"metadata": metadata})
        body = {
            "apiVersion": "types.kubefed.io/v1beta1",
            "kind": "FederatedNamespace",
            "metadata": metadata | {"namespace": self.namespace},
            "spec": {"placement": {"clusters": [{"name": name} for name in self.fleet.members]}},
        }
        await self.host.send("POST", f"{FEDERATED}/{self.namespace}/federatednamespaces", body)
        for client in self.members:
            ends = time.monotonic() + 60
            while (await client.ask("GET", f"/api/v1/namespaces/{self.namespace}"))[0] != 200:
                if time.monotonic() > ends:
                    raise RuntimeError(f"the namespace does not appear in {client.name}")
                await asyncio.sleep(0.1)

    # --- what a user does ------------------------------------------------------------------------------------------

    async def create(self, name: str) -> None:
        """A ConfigMap of 1 kB for every member, with an override for the first."""
        body = {
            "apiVersion": "types.kubefed.io/v1beta1",
            "kind": "FederatedConfigMap",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "template": {"metadata": {"labels": {"app": "bench"}}, "data": {"version": "1", "pad": PAD}},
                "placement": {"clusters": [{"name": each} for each in self.fleet.members]},
                "overrides": [
                    {
                        "clusterName": self.fleet.members[0],
                        "clusterOverrides": [{"op": "add", "path": "/data/where", "value": self.fleet.members[0]}],
                    }
                ],
            },
        }
        await self.host.send("POST", self._path(), body)

    async def update(self, name: str, version: int) -> None:
        """Another version in the template."""
        body = {"spec": {"template": {"data": {"version": str(version)}}}}
        await self.host.send("PATCH", self._path(name), body, MERGE)

    async def delete(self, name: str) -> None:
        """Delete the federated object."""
        await self.host.send("DELETE", self._path(name))

    def _path(self, name: str = "") -> str:
        return f"{FEDERATED}/{self.namespace}/federatedconfigmaps" + (f"/{name}" if name else "")

    # --- one by one ------------------------------------------------------------------------------------------------

    async def latency(self) -> Figures:
        """Milliseconds from a user's request until the last member holds the outcome."""
        names = [f"single-{number}" for number in range(self.size.trials)]
        return {
            "create": await self.timed(names, self.create, "1"),
            "update": await self.timed(names, lambda name: self.update(name, 2), "2"),
            "delete": await self.timed(names, self.delete, None),
        }

    async def timed(
        self,
        names: Sequence[str],
        act: Callable[[str], Awaitable[None]],
        version: str | None,
        members: Sequence[str] = (),
        pause: float = BETWEEN,
    ) -> Figures:
        """Do it for one name after another, `pause` seconds apart; p50, p95 and the longest in ms."""
        took = []
        for name in names:
            began = time.perf_counter()
            await act(name)
            took.append((await self.observer.until({name: version}, members=members, within=120) - began) * 1e3)
            await asyncio.sleep(pause)
        return {
            "p50_ms": round(statistics.median(took), 1),
            "p95_ms": round(sorted(took)[int(len(took) * 0.95)], 1),
            "max_ms": round(max(took), 1),
        }

    # --- many ------------------------------------------------------------------------------------------------------

    async def bulk(self) -> dict[str, Figures]:
        """Create, rest, update and delete all objects."""
        names = [f"item-{number}" for number in range(self.size.objects)]

        async def create() -> float:
            await together(self.create(name) for name in names)
            return await self.observer.until(dict.fromkeys(names, "1"))

        async def update() -> float:
            await together(self.update(name, 2) for name in names)
            return await self.observer.until(dict.fromkeys(names, "2"))

        async def delete() -> float:
            await together(self.delete(name) for name in names)
            await self.observer.until(dict.fromkeys(names))
            await self._host_is_clean()
            return time.perf_counter()

        return {
            "create": await self.measure("create", create),
            "idle": await self.rest(),
            "update": await self.measure("update", update),
            "delete": await self.measure("delete", delete),
        }

    async def _host_is_clean(self) -> None:
        while (await self.host.get(self._path() + "?limit=1"))["items"]:  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.1)

    async def measure(self, phase: str, work: Callable[[], Awaitable[float]]) -> Figures:
        """Run one phase; returns what it cost, per object and per placement."""
        detail(f"{phase}: {self.size.objects} objects in {len(self.members)} members")
        before = await self.meter.read()
        ended = await work()
        await self.settle()
        return self.figures(before, ended, await self.meter.read())

    async def settle(self) -> None:
        """Wait for what follows when the members have it all."""
        await asyncio.sleep(SETTLE)

    def figures(self, before: Reading, ended: float, after: Reading) -> Figures:
        """What a phase cost between two readings; it `ended` when the last member had it."""
        objects, placements = self.size.objects, self.placements
        host = meter.between(before.host_requests, after.host_requests)
        member = meter.between(before.member_requests, after.member_requests)
        by_user = objects  # its own POST, PATCH or DELETE
        return {
            "seconds": round(ended - before.at, 2),
            "objects_per_s": round(objects / (ended - before.at), 1),
            "controller_ms_per_placement": round((after.controller_cpu - before.controller_cpu) * 1e3 / placements, 3),
            "host_ms_per_object": round((after.host_cpu - before.host_cpu) * 1e3 / objects, 2),
            "members_ms_per_placement": round((after.members_cpu - before.members_cpu) * 1e3 / placements, 2),
            "host_writes_per_object": round(
                (meter.writes(host, ("federatedconfigmaps", "events")) - by_user) / objects, 2
            ),
            "member_writes_per_placement": round(meter.writes(member, ("configmaps",)) / placements, 2),
            "controller_mb": round(meter.resident(self.fleet.controller), 1),
            "host_requests": host,
            "member_requests": member,
        }

    async def rest(self) -> Figures:
        """What an idle fleet costs, in ms of CPU per second, and every request that it makes."""
        detail(f"idle for {self.size.idle:g} s")
        before = await self.meter.read()
        await asyncio.sleep(self.size.idle)
        return self.rested(before, await self.meter.read())

    def rested(self, before: Reading, after: Reading) -> Figures:
        """What the time between two readings cost per second."""
        seconds = after.at - before.at
        return {
            "controller_ms_per_s": round((after.controller_cpu - before.controller_cpu) * 1e3 / seconds, 2),
            "host_ms_per_s": round((after.host_cpu - before.host_cpu) * 1e3 / seconds, 2),
            "controller_mb": round(meter.resident(self.fleet.controller), 1),
            "host_requests": meter.between(before.host_requests, after.host_requests),
            "member_requests": meter.between(before.member_requests, after.member_requests),
        }
