"""Carry out an outage: users work, a member is killed, users go on, the member returns, and all rest."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from e2e.bench.phases import Bench, Size
from e2e.outage import samples, story
from e2e.outage.samples import Sample
from e2e.outage.story import Act, Story, Wish
from e2e.outage.tally import Tally
from e2e.running import detail
from federation.comparing import meter
from federation.comparing.client import MERGE, Client, together
from federation.comparing.fleet import FEDERATED, Fleet

NAMESPACE = "outage"
GUARDS = tuple(f"guard-{number}" for number in range(5))
"""Objects in the healthy members only: changed while the returned one catches up, to see whether they have to wait."""
SYSTEM = "/apis/core.kubefed.io/v1beta1/namespaces/kube-federation-system/kubefedclusters"
REST = 60.0
"""Seconds at the end in which there may be no writes."""


@dataclass(frozen=True, slots=True)
class Options:
    """`outage` and `every` (between two acts of users) in seconds."""

    outage: float
    objects: int
    members: int
    every: float
    seed: int


class Run:
    """One run on a fleet whose controller runs."""

    def __init__(self, fleet: Fleet, options: Options) -> None:
        self._fleet = fleet
        self._options = options
        self._absent, self._healthy = fleet.members[-1], fleet.members[:-1]
        self._story = Story(options.objects, fleet.members, self._absent, options.seed)
        for name in GUARDS:
            self._story.wishes[name] = Wish(1, frozenset(self._healthy))
        self._began = time.monotonic()
        self._took: list[tuple[float, float]] = []
        self._wanted: Counter[tuple[str, str]] = Counter()
        self._acts: Counter[str] = Counter()
        self._samples: list[Sample] = []
        self._ready: list[tuple[float, str, str]] = []
        self._messages: list[str] = []

    async def measure(self) -> dict[str, Any]:
        """Carry it out; returns all figures."""
        async with AsyncExitStack() as stack:
            self._bench = await stack.enter_async_context(
                Bench(self._fleet, NAMESPACE, Size(self._options.objects, 0, 0.0))
            )
            self._host = self._bench.host
            await self._begin()
            collection = f"{FEDERATED}/{NAMESPACE}/federatedconfigmaps"
            self._hub = await stack.enter_async_context(Tally(self._host, collection, notice=self._object_observed))
            self._clusters = await stack.enter_async_context(Tally(self._host, SYSTEM, notice=self._cluster_observed))
            self._copies = {
                client.name: await stack.enter_async_context(Tally(client, self._path()))
                for client in self._bench.members
                if client.name != self._absent
            }
            before = {"latency": await self._work(20, 0.5)}
            return {"before": before, "outage": await self._outage(), "return": await self._return()}

    # --- the three parts -------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        detail(f"{len(self._story.wishes)} objects in {len(self._fleet.members)} members")
        await together(self._create(name, wish) for name, wish in list(self._story.wishes.items()))
        await self._everywhere(self._fleet.members, within=300)
        await asyncio.sleep(3.0)

    async def _outage(self) -> dict[str, Any]:
        self._kept = {item["metadata"]["name"]: item for item in (await self._member().get(self._path()))["items"]}
        self._left = dict(self._story.wishes)
        requests = await meter.requests(self._host)
        self._forget()
        detail(f"{self._absent} is killed for {self._options.outage:g} s")
        await asyncio.to_thread(self._fleet.playground.kill, self._absent)
        killed = time.monotonic()
        async with self._sampling(min(30.0, max(1.0, self._options.outage / 120))):
            while time.monotonic() < killed + self._options.outage:
                await self._act()
                await asyncio.sleep(self._options.every)
        made = meter.between(requests, await meter.requests(self._host))
        return {
            "seconds": round(time.monotonic() - killed),
            "began_at": round(killed - self._began, 1),
            "not_ready_after_s": next((round(at - killed, 1) for at, word, _ in self._ready if word == "False"), None),
            "ready_moves": [f"{word} {reason}" for _, word, reason in self._ready],
            "acts": dict(self._acts),
            "latency": self._latency(),
            "cluster_writes": self._clusters.count(self._absent),
            "still_hub_writes": sorted({self._hub.count(name) for name in self._story.still}),
            "status_writes": made.get("PATCH federatedconfigmaps.types.kubefed.io/status", 0),
            "hub_requests": made,
            "healthy_surprises": self._surprises(),
            "samples": [asdict(each) for each in self._samples],
        }

    async def _return(self) -> dict[str, Any]:
        due = story.due(self._left, self._story.wishes, self._absent)
        self._forget()
        detail(
            f"{self._absent} returns: {len(due.created)} to create, {len(due.updated)} to update, "
            f"{len(due.deleted)} to delete, {len(due.untouched)} to leave alone"
        )
        await asyncio.to_thread(self._fleet.playground.restart, self._absent)
        returned = time.monotonic()
        cpu = meter.cpu([self._fleet.controller])
        async with Client(self._fleet.cluster(self._absent)) as client, Tally(client, self._path()) as copies:
            early = {name for name, item in copies.held.items() if _version(item) != _version(self._kept.get(name))}
            early |= self._kept.keys() - copies.held.keys()
            done = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._guard(done))
                inflight = group.create_task(_most_in_flight(client, done))
                caught_up = await self._caught_up(copies, within=300.0)
                done.set()
            spent = meter.cpu([self._fleet.controller]) - cpu
            await asyncio.sleep(5.0)
            made = await meter.requests(client)
            ready = next((at for at, word, _ in self._ready if word == "True"), None)
            found = {
                "due": {kind: len(getattr(due, kind)) for kind in ("created", "updated", "deleted", "untouched")},
                "ready_after_s": round(ready - returned, 1) if ready is not None else None,
                "caught_up_after_s": round(caught_up - returned, 1),
                "catch_up_s": round(caught_up - ready, 2) if ready is not None else None,
                "controller_cpu_s": round(spent, 2),
                "writes_per_object": _writes(copies, early, due),
                "applies": made["APPLY configmaps"],
                "deletes": made["DELETE configmaps"],
                "most_in_flight": inflight.result(),
                "healthy_latency_until_ready": self._latency(until=ready or returned),
                "healthy_latency_catching_up": self._latency(since=ready or returned),
                "healthy_surprises": self._surprises(),
                "ready_moves": [f"{word} {reason}" for _, word, reason in self._ready],
                "still_hub_writes": sorted({self._hub.count(name) for name in self._story.still}),
                "still_is_told": list(self._messages),
            }
            return found | await self._rest(copies)

    async def _rest(self, copies: Tally) -> dict[str, Any]:
        detail(f"{REST:g} s of rest")
        tallies = (self._hub, copies, *self._copies.values())
        for tally in tallies:
            tally.forget()
        await asyncio.sleep(REST)
        for tally in (*tallies, self._clusters):
            tally.check()
        return {
            "writes_at_rest": sum(sum(tally.events.values()) for tally in tallies),
            "differences": self._differences({**self._copies, self._absent: copies}),
            "rss_mb": round(meter.resident(self._fleet.controller), 1),
        }

    # --- acting ----------------------------------------------------------------------------------------------------

    async def _work(self, acts: int, pause: float) -> Any:
        for _ in range(acts):
            await self._act(members=self._fleet.members)
            await asyncio.sleep(pause)
        return self._latency()

    def _latency(self, since: float = 0.0, until: float = float("inf")) -> Mapping[str, float]:
        """How long users' acts that ended in this time took to show in every member that answers."""
        return samples.percentiles([took for at, took in self._took if since <= at < until])

    async def _act(self, members: tuple[str, ...] = ()) -> None:
        """One act of a user, until every member that answers shows it."""
        act = self._story.next()
        self._acts[act.kind] += 1
        await self._do(act, members or self._healthy)

    async def _do(self, act: Act, members: tuple[str, ...]) -> None:
        began = time.perf_counter()
        if act.before is None:
            assert act.after is not None
            await self._create(act.name, act.after)
        elif act.after is None:
            await self._host.send("DELETE", f"{FEDERATED}/{NAMESPACE}/federatedconfigmaps/{act.name}")
        else:
            body = {"spec": {"template": {"data": {"version": str(act.after.version)}}, "placement": _at(act.after)}}
            path = f"{FEDERATED}/{NAMESPACE}/federatedconfigmaps/{act.name}"
            await self._host.send("PATCH", path, body, MERGE)
        moved = [member for member in members if _held(act.before, member) != _held(act.after, member)]
        for member in moved:
            self._wanted[member, act.name] += 1
        if moved:
            seen = [
                await self._bench.observer.until({act.name: _held(act.after, member)}, members=[member], within=120)
                for member in moved
            ]
            self._took.append((time.monotonic(), max(seen) - began))

    async def _create(self, name: str, wish: Wish) -> None:
        template = {"metadata": {"labels": {"app": "outage"}}, "data": {"version": str(wish.version), "pad": "x" * 512}}
        body = {
            "apiVersion": "types.kubefed.io/v1beta1",
            "kind": "FederatedConfigMap",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"template": template, "placement": _at(wish)},
        }
        await self._host.send("POST", f"{FEDERATED}/{NAMESPACE}/federatedconfigmaps", body)

    async def _guard(self, done: asyncio.Event) -> None:
        """Change what only healthy members hold, one after another."""
        for name in itertools.cycle(GUARDS):
            if done.is_set():
                return
            before = self._story.wishes[name]
            after = Wish(before.version + 1, before.members)
            self._story.wishes[name] = after
            await self._do(Act("edit", name, before, after), self._healthy)
            await asyncio.sleep(0.05)

    # --- looking ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _sampling(self, every: float) -> AsyncIterator[None]:
        async def sample() -> None:
            while True:
                self._samples.append(await samples.look(self._fleet, self._absent, self._began))
                await asyncio.sleep(every)

        task = asyncio.create_task(sample())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _cluster_observed(self, _: str, item: Any) -> None:
        if item["metadata"]["name"] == self._absent:
            conditions = (item.get("status") or {}).get("conditions") or []
            found: dict[str, Any] = next((each for each in conditions if each["type"] == "Ready"), {})
            word = (str(found.get("status")), str(found.get("reason")))
            if not self._ready or self._ready[-1][1:] != word:
                self._ready.append((time.monotonic(), *word))

    def _object_observed(self, _: str, item: Any) -> None:
        """Record the message about the absent member in the status of one object that nobody touches."""
        if item["metadata"]["name"] == min(self._story.still):
            lines = (item.get("status") or {}).get("clusters") or []
            found = next((each.get("status", "") for each in lines if each["name"] == self._absent), None)
            self._messages.append("applied" if found == "" else str(found))

    def _forget(self) -> None:
        """Count from here."""
        for tally in (self._hub, self._clusters, *self._copies.values()):
            tally.forget()
        for counted in (self._took, self._wanted, self._acts, self._ready, self._messages):
            counted.clear()

    def _surprises(self) -> list[str]:
        """What healthy members saw more or less often than users asked for."""
        return [
            f"{member} {name}: {tally.count(name)} writes, not {self._wanted[member, name]}"
            for member, tally in self._copies.items()
            for name in sorted({name for _, name in tally.events} | {name for at, name in self._wanted if at == member})
            if tally.count(name) != self._wanted[member, name]
        ]

    async def _everywhere(self, members: tuple[str, ...], within: float) -> None:
        for member in members:
            goal = {name: wish.held(member) for name, wish in self._story.wishes.items()}
            await self._bench.observer.until(goal, members=[member], within=within)

    async def _caught_up(self, copies: Tally, within: float) -> float:
        ends = time.monotonic() + within
        last = time.monotonic()
        while (left := self._differences({self._absent: copies})) and time.monotonic() < ends:
            await asyncio.sleep(0.05)
            last = time.monotonic()
        if left:
            detail(f"not caught up: {left[:5]}")
        return last

    def _differences(self, members: dict[str, Tally]) -> list[str]:
        found: list[str] = []
        for member, tally in members.items():
            held = {name: item["data"]["version"] for name, item in tally.held.items() if "version" in item["data"]}
            wanted = story.expected(self._story.wishes, member)
            found += [
                f"{member} {name}: holds {held.get(name)}, not {wanted.get(name)}"
                for name in sorted(held.keys() | wanted.keys())
                if name not in GUARDS and held.get(name) != wanted.get(name)
            ]
        for name, item in self._hub.held.items():
            if name not in GUARDS and not _is_ready(item):
                found.append(f"{name}: not Ready")
        found += [f"{name}: still at the hub" for name in sorted(self._hub.held.keys() - self._story.wishes.keys())]
        return found

    def _member(self) -> Client:
        return next(client for client in self._bench.members if client.name == self._absent)

    def _path(self) -> str:
        return f"/api/v1/namespaces/{NAMESPACE}/configmaps"


async def _most_in_flight(client: Client, done: asyncio.Event) -> int:
    """The most writes that a member handled at the same time, by its own gauge, read every second."""
    most = 0
    while True:
        exposed = samples.Exposition((await client.send("GET", "/metrics")).decode())
        most = max(most, int(exposed.total("apiserver_current_inflight_requests", request_kind="mutating")))
        if done.is_set():
            return most
        await asyncio.sleep(1.0)


def _writes(copies: Tally, early: set[str], due: story.Due) -> dict[str, dict[int, int]]:
    """For what was due and what was not: how many objects were written how often."""
    return {
        kind: dict(Counter(copies.count(name) + (name in early) for name in sorted(getattr(due, kind))))
        for kind in ("created", "updated", "deleted", "untouched")
    }


def _at(wish: Wish) -> dict[str, Any]:
    return {"clusters": [{"name": name} for name in sorted(wish.members)]}


def _held(wish: Wish | None, member: str) -> str | None:
    return wish.held(member) if wish is not None else None


def _version(item: Any) -> str:
    return str(item["metadata"]["resourceVersion"]) if item is not None else ""


def _is_ready(item: Any) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or []
    found: dict[str, Any] = next((each for each in conditions if each["type"] == "Ready"), {})
    return bool(found.get("status") == "True" and found.get("observedGeneration") == item["metadata"].get("generation"))
