"""One namespace of a federation and its objects: created, changed and deleted, at rest, and what each of it costs.

The procedure of `hub-load`, `growth` and `bend`. Single objects one after another tell how long a change takes; many at
once tell what it costs. A phase lasts until nothing is written any more, because statuses follow later than the
members' having it, in pull mode later still; what the federation costs at rest in that time is taken off.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Self

import msgspec

from federation.comparing import accounting, etcd, meter
from federation.comparing.accounting import Federation, Figures, Phase, Rest
from federation.comparing.arrivals import Arrivals, Expected
from federation.comparing.client import AT_ONCE, together
from federation.comparing.fleet import FEDERATED
from federation.comparing.following import Following
from federation.comparing.load import Item, User, config_maps, version
from federation.comparing.model import Sample, Step
from federation.comparing.sampling import samples

LONGEST = 300.0
"""Seconds after which a phase has failed."""
BETWEEN = 0.12
"""Seconds between two single objects: latency is that of a federation at rest."""
QUIET = 3.0
"""Seconds without a write after which nothing follows: in push mode."""
AGENTS_QUIET = 6.5
"""The same in pull mode: an agent keeps what is wanted 5 s after its last change."""


class Size(msgspec.Struct, frozen=True):
    """How much: `objects` at once, `trials` one by one, `idle` seconds of nothing, `flat_out` seconds of changes as
    many as possible (0: none)."""

    objects: int
    trials: int
    idle: float
    flat_out: float = 0.0
    deletes: bool = True
    """Whether deletes are measured, too; else they are only done."""


class Workload:
    """A federated namespace in all clusters, and whoever writes into it. Use as an async context manager.

    The namespace stays: no controller manager would empty it, and it costs nothing.
    """

    def __init__(self, of: Federation, namespace: str, *, kinds: Sequence[str] = ("ConfigMap",)) -> None:
        self.of = of
        self.namespace = namespace
        self._kinds = kinds
        self._stack = AsyncExitStack()
        self.user = User(of.host, namespace, of.names)

    async def __aenter__(self) -> Self:
        await self._federate()
        if self.of.simulated_etcd:
            arrivals = Arrivals(self.of.simulated_etcd, self.namespace)
            self._watching: Arrivals | Following = await self._stack.enter_async_context(arrivals)
        else:
            following = Following(self.of.members, self.namespace, self._kinds)
            self._watching = await self._stack.enter_async_context(following)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _federate(self) -> None:
        metadata = {"name": self.namespace}
        await self.of.host.send("POST", "/api/v1/namespaces", {"metadata": metadata})
        body = {
            "apiVersion": "types.kubefed.io/v1beta1",
            "kind": "FederatedNamespace",
            "metadata": metadata | {"namespace": self.namespace},
            "spec": {"placement": {"clusters": [{"name": name} for name in self.of.names]}},
        }
        path = f"{FEDERATED}/{self.namespace}/federatednamespaces"
        await self.of.host.send("POST", path, body)
        ends = time.monotonic() + LONGEST
        while not _propagated(await self.of.host.get(f"{path}/{self.namespace}"), len(self.of.names)):
            if time.monotonic() > ends:
                raise TimeoutError(f"namespace {self.namespace} is not in all members after {LONGEST:g} s")
            await asyncio.sleep(0.1)

    def expect(self, items: Iterable[Item], number: int | None) -> Expected:
        """These objects in all clusters, in a version; None: gone."""
        text = None if number is None else version(number).encode()
        return self._watching.expect([each.name for each in items], text, self.of.names)

    # --- one by one --------------------------------------------------------------------------------------------------

    async def single(self, item: Item, number: int | None, act: Callable[[Item], Awaitable[None]]) -> tuple[float, ...]:
        """One change; ms until each cluster had it, the last one last."""
        expected = self.expect([item], number)
        began = time.perf_counter()
        await act(item)
        await expected.wait(LONGEST)
        await asyncio.sleep(BETWEEN)
        return tuple((at - began) * 1e3 for at in expected.at)

    async def latencies(self, step: Step, items: Sequence[Item]) -> list[Sample]:
        """Each object is created, changed and deleted, one after another."""
        user, found = self.user, []
        acts: tuple[tuple[str, int | None, Callable[[Item], Awaitable[None]]], ...] = (
            ("create", 1, user.create),
            ("update", 2, lambda item: user.update(item, 2)),
            ("delete", None, user.delete),
        )
        for phase, number, act in acts:
            took = [await self.single(item, number, act) for item in items]
            every = [each for one in took for each in one]
            found += samples(step, {"latency": [one[-1] for one in took], "member_latency": every}, phase=phase)
        return found

    # --- many --------------------------------------------------------------------------------------------------------

    async def measured(
        self, items: Sequence[Item], number: int | None, act: Callable[[Item], Awaitable[None]]
    ) -> Phase:
        """All of them at once."""
        expected = self.expect(items, number)
        before = await accounting.read(self.of, begins=True)
        await together((act(each) for each in items), AT_ONCE)
        last = await expected.wait(LONGEST)
        if number is None:
            await self._gone(*{self.user.path(each.kind) for each in items})
            last = time.perf_counter()
        await self.quiet()
        after = await accounting.read(self.of, begins=False)
        return Phase(before, after, len(items), len(self.of.names), last - before.at, bool(self.of.agents))

    async def delete(self, items: Sequence[Item]) -> None:
        """All of them, and wait until they are gone everywhere."""
        expected = self.expect(items, None)
        await together((self.user.delete(each) for each in items), AT_ONCE)
        await expected.wait(LONGEST)
        await self._gone(*{self.user.path(each.kind) for each in items})

    async def _gone(self, *collections: str) -> None:
        ends = time.monotonic() + LONGEST
        for path in collections:
            while (await self.of.host.get(f"{path}?limit=1"))["items"]:
                if time.monotonic() > ends:
                    raise TimeoutError(f"{path} is not empty after {LONGEST:g} s")
                await asyncio.sleep(0.1)

    async def quiet(self) -> None:
        """Until nothing follows any more."""
        seconds = AGENTS_QUIET if self.of.agents else QUIET
        if self.of.etcds:
            await etcd.quiet(self.of.etcds, seconds, within=LONGEST)
            return
        ends, before = time.monotonic() + LONGEST, -1
        while (now := await self._written()) != before:
            if time.monotonic() > ends:
                raise TimeoutError(f"the federation does not come to rest within {LONGEST:g} s")
            before = now
            await asyncio.sleep(seconds)

    async def _written(self) -> int:
        return sum([accounting.written(await meter.requests(each)) for each in (self.of.host, *self.of.members)])

    async def rest(self, seconds: float) -> tuple[Rest, Figures]:
        """Nothing changes for so long: what that costs, and the figures of it."""
        before = await accounting.read(self.of, begins=True)
        await asyncio.sleep(seconds)
        after = await accounting.read(self.of, begins=False)
        at_rest = accounting.rest(before, after)
        return at_rest, accounting.resting(self.of, at_rest, after.hub, after.members)

    async def flat_out(self, items: Sequence[Item], seconds: float, number: int) -> Figures:
        """As many changes as possible for so long: a user writes to each object again once all clusters have what he
        wrote before. `rate` is of what has arrived."""
        before, ends, done = await accounting.read(self.of, begins=True), time.perf_counter() + seconds, 0

        async def go_on(item: Item) -> None:
            nonlocal done
            change = number
            while time.perf_counter() < ends:
                change += 1
                expected = self.expect([item], change)
                await self.user.update(item, change)
                await expected.wait(LONGEST)
                done += 1

        await together((go_on(each) for each in items), len(items))
        after = await accounting.read(self.of, begins=False)
        hub, controller = after.hub_cpu - before.hub_cpu, after.controller_cpu - before.controller_cpu
        share = 100 * controller / (hub + controller) if hub + controller else 0.0
        return {"rate": done / (after.at - before.at), "controller_share": share}

    async def all_of_it(self, step: Step, seed: int, size: Size) -> list[Sample]:
        """Single objects, many, rest, and flat out: the samples of a step."""
        items, user = config_maps(seed, size.objects), self.user
        found = await self.latencies(step, config_maps(seed, size.trials, "single"))
        created = await self.measured(items, 1, user.create)
        at_rest, resting = await self.rest(size.idle)
        updated = await self.measured(items, 2, lambda item: user.update(item, 2))
        if size.flat_out:
            found += samples(step, await self.flat_out(items, size.flat_out, 2), phase="flat out")
            await self.quiet()
        phases = [("create", created), ("update", updated)]
        if size.deletes:
            phases.append(("delete", await self.measured(items, None, user.delete)))
        else:
            await self.delete(items)
        found += samples(step, resting, phase="rest")
        for phase, one in phases:
            found += samples(step, accounting.costs(one, at_rest), phase=phase)
        return found


def _propagated(item: dict[str, object], clusters: int) -> bool:
    status = item.get("status")
    lines = status.get("clusters") if isinstance(status, dict) else None
    return isinstance(lines, list) and len(lines) == clusters and not any(line.get("status") for line in lines)
