"""The same load on the same members in pull mode: what it costs beside push, with the agents and the works at the hub.

A phase lasts until nothing follows any more: statuses of works come later than the members' having it, and what an
agent keeps later still. The rest in that is taken off again, by what the same run costs at rest, so that both modes
have the same seconds of it.
"""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson

from e2e.bench.phases import SETTLE, Bench, Figures, Size
from federation.comparing import meter
from federation.comparing.agents import Agents
from federation.comparing.fleet import HOST, Fleet
from federation.comparing.meter import Reading, Requests
from federation.model.works import GROUP

QUIET = 7.0
"""Seconds without a write after which nothing follows: an agent keeps what is wanted 5 s after its last change."""
LONGEST = 120.0
_WORKS = f"manifestworks.{GROUP}"
_AT_HOST = ("federatedconfigmaps", "events", "manifestworks")
_IN_MEMBER = ("configmaps", "appliedmanifestworks", "secrets")
_HOST_WRITES = {
    "work": lambda name: name.split(" ")[1] == _WORKS,
    "work_status": lambda name: name.split(" ")[1] == f"{_WORKS}/status",
    "federated": lambda name: name.split(" ")[1].startswith(("federatedconfigmaps", "events")),
}
"""What is written at the host, by resource."""


class PullBench(Bench):
    """As Bench; its members are in pull mode."""

    def __init__(self, fleet: Fleet, namespace: str, size: Size, agents: Agents) -> None:
        super().__init__(fleet, namespace, size)
        self._agents = agents
        self._settled = 0.0

    async def __aenter__(self) -> "PullBench":
        await super().__aenter__()
        self.meter = self.fleet.meter(self.host, self.members, self._agents.pids)
        return self

    async def settle(self) -> None:
        """Until nothing is written any more."""
        began, before = time.perf_counter(), await self._written()
        while True:
            await asyncio.sleep(QUIET)
            after = await self._written()
            if after == before:
                break
            if time.perf_counter() - began > LONGEST:
                raise TimeoutError("the fleet does not come to rest")
            before = after
        self._settled = time.perf_counter() - began

    async def _written(self) -> int:
        total = meter.writes(await meter.requests(self.host), _AT_HOST)
        for client in self.members:
            total += meter.writes(await meter.requests(client), _IN_MEMBER)
        return total

    def figures(self, before: Reading, ended: float, after: Reading) -> Figures:
        """Those of push, and what is of pull alone."""
        found = super().figures(before, ended, after)
        objects, placements, members = self.size.objects, self.placements, len(self.members)
        host: Requests = found["host_requests"]
        member: Requests = found["member_requests"]
        writes = {what: round(_writes(host, belongs) / objects, 2) for what, belongs in _HOST_WRITES.items()}
        writes["federated"] = round(writes["federated"] - 1, 2)  # the user's own
        each = [
            (now - was) * 1e3 * members / placements
            for was, now in zip(before.agents_cpu, after.agents_cpu, strict=True)
        ]
        return found | {
            "settled_s": round(self._settled, 1),
            "agents_ms_per_placement": round(sum(each) / members, 3),
            "agent_ms_per_placement": [round(one, 3) for one in each],
            "host_writes": writes,
            "host_writes_per_object": round(sum(writes.values()), 2),
            "member_writes_per_placement": round(meter.writes(member, _IN_MEMBER) / placements, 2),
            "agent_mb": [round(meter.resident(pid), 1) for pid in self._agents.pids],
        }

    def rested(self, before: Reading, after: Reading) -> Figures:
        """With the agents."""
        seconds = after.at - before.at
        each = [(now - was) * 1e3 / seconds for was, now in zip(before.agents_cpu, after.agents_cpu, strict=True)]
        return super().rested(before, after) | {
            "agent_ms_per_s": [round(one, 2) for one in each],
            "agent_mb": [round(meter.resident(pid), 1) for pid in self._agents.pids],
        }

    async def measure(self, phase: str, work: Callable[[], Awaitable[float]]) -> Figures:
        """With the bytes of the works while there are some."""
        found = await super().measure(phase, work)
        if phase != "delete":
            found["etcd_bytes_per_placement"] = round(await self._stored() / self.placements)
        return found

    async def bulk(self) -> dict[str, Figures]:
        """Every phase, less the rest in it that push's do not have."""
        found = await super().bulk()
        idle = found["idle"]
        for phase in ("create", "update", "delete"):
            _take_rest_off(found[phase], idle, self.size.objects, len(self.members))
        return found

    async def _stored(self) -> int:
        """Bytes in the host's etcd for the works of all objects, keys and values."""
        etcd = self.fleet.playground.etcd
        assert etcd is not None  # the host runs
        prefix = f"/playground/{HOST}/{GROUP}/manifestworks/".encode()
        async with aiohttp.ClientSession() as session:
            range_ = {"key": _base64(prefix), "range_end": _base64(prefix[:-1] + bytes([prefix[-1] + 1]))}
            async with session.post(f"{etcd.url}/v3/kv/range", data=orjson.dumps(range_)) as answer:
                kvs = orjson.loads(await answer.read()).get("kvs", ())
        return sum(
            len(base64.b64decode(each["key"])) + len(base64.b64decode(each["value"]))
            for each in kvs
            if any(name in base64.b64decode(each["key"]) for name in (b"/configmaps-", b"/bundle-"))
        )


async def measure(fleet: Fleet, size: Size, bundle_bytes: int = 0) -> dict[str, Any]:
    """The part of `make bench` on this fleet; the members are in push mode before and afterwards.

    `bundle_bytes`: objects share works up to this size (spec.pull.bundleBytes).
    """
    async with Agents(fleet, fleet.directory) as agents:
        namespace = f"bench-{'bundled' if bundle_bytes else 'pull'}-{len(fleet.members)}"
        await agents.configure({"pull": {"bundleBytes": bundle_bytes}})
        try:
            async with PullBench(fleet, namespace, size, agents) as bench:
                return {"latency": await bench.latency()} | await bench.bulk()
        finally:
            await agents.configure({"pull": None})


def _writes(made: Requests, belongs: Callable[[str], bool]) -> int:
    return sum(count for name, count in made.items() if name.split(" ")[0] in meter.WRITES and belongs(name))


def _take_rest_off(found: dict[str, Any], idle: Figures, objects: int, members: int) -> None:
    """The seconds for which the phase was waited for beyond SETTLE, at what they cost at rest."""
    extra = max(0.0, found["settled_s"] - SETTLE)
    placements = objects * members
    for figure, rate, count in (
        ("controller_ms_per_placement", idle["controller_ms_per_s"], placements),
        ("host_ms_per_object", idle["host_ms_per_s"], objects),
        ("agents_ms_per_placement", sum(idle["agent_ms_per_s"]), placements),
    ):
        found[f"{figure}_with_rest"] = found[figure]
        found[figure] = round(found[figure] - rate * extra / count, 3)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
