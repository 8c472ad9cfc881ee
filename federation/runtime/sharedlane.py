"""One lane for many clusters that are written to at one place: the works of all clusters in pull mode, at the hub.

Each cluster has its Part, which is used as a lane of its own. Behind it there is one Lane: one bound on what is in
flight, the clusters take turns, and what fails for one cluster alone pauses that one (its keys are a kind).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, NamedTuple, TypeVar

from federation.runtime.fleetlimit import FleetLimit
from federation.runtime.lane import Evidence, Hold, Lane

K = TypeVar("K", bound=Hashable)

MOST_TOGETHER = 200
"""Keys that run in one turn."""

Run = Callable[[K], Awaitable[tuple[Evidence, float | None]]]


class _Placed(NamedTuple):
    cluster: str
    key: Any


class SharedLane(Generic[K]):
    """The lane of all. `spawn` and `limit` as in Lane."""

    def __init__(
        self,
        name: str,
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        *,
        concurrency: int,
        limit: FleetLimit,
    ) -> None:
        self._parts: dict[str, Part[K]] = {}
        self.lane: Lane[_Placed] = Lane(
            name,
            self._run,
            spawn,
            concurrency=concurrency,
            kind=lambda placed: placed.cluster,
            flow=lambda placed: placed.cluster,
            limit=limit,
        )

    def part(self, cluster: str, run: Run[K], joins: Callable[[K], bool] = lambda key: False) -> "Part[K]":
        """The part of one cluster, in place of one that it had; `run` as in Lane.

        Keys that `joins` are one write together: all that wait when the turn of the first has come run with it.
        """
        made = self._parts[cluster] = Part(cluster, run, self.lane, joins)
        return made

    def leave(self, part: "Part[K]") -> None:
        """A cluster has left."""
        part.close()
        if self._parts.get(part.name) is part:
            del self._parts[part.name]

    def close(self) -> None:
        """Take nothing more."""
        self.lane.close()

    async def _run(self, placed: _Placed) -> tuple[Evidence, float | None]:
        part = self._parts.get(placed.cluster)
        if part is None:
            return Evidence.NOTHING, None
        return await part.run(placed.key)


class Part(Generic[K]):
    """One cluster's part of a SharedLane; see Lane for what each method means."""

    def __init__(self, name: str, run: Run[K], lane: Lane[_Placed], joins: Callable[[K], bool]) -> None:
        self.name = name
        self.active = 0
        self._carry_out = run
        self._lane = lane
        self._joins = joins
        self._waiting: dict[K, None] = {}
        self._joined: dict[K, float] = {}
        """Keys that run in the turn of another one, and since when."""
        self._again: dict[K, bool] = {}
        """Those of them that run again afterwards, and whether urgently."""
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting) + len(self._again) + self.active

    def __contains__(self, key: K) -> bool:
        return key in self._again or _Placed(self.name, key) in self._lane

    @property
    def paused(self) -> bool:
        """That of all."""
        return self._lane.paused

    def hold(self, key: K) -> Hold | None:
        """As in Lane; that of a kind is that of the cluster."""
        return self._lane.hold(_Placed(self.name, key))

    def started(self, key: K) -> float | None:
        """As in Lane."""
        joined = self._joined.get(key)
        return joined if joined is not None else self._lane.started(_Placed(self.name, key))

    def submit(self, key: K, *, urgent: bool = False) -> None:
        """As in Lane."""
        if self._closed:
            return
        if key in self._joined:
            self._again[key] = urgent or self._again.get(key, False)
            return
        self._waiting[key] = None
        self._lane.submit(_Placed(self.name, key), urgent=urgent)

    def withdraw(self, key: K) -> bool:
        """As in Lane."""
        self._waiting.pop(key, None)
        return self._again.pop(key, None) is not None or self._lane.withdraw(_Placed(self.name, key))

    def drain(self) -> list[K]:
        """As in Lane; what the other clusters have stays."""
        return [key for key in [*self._waiting, *self._again] if self.withdraw(key)]

    def resize(self, concurrency: int) -> None:
        """How many runs all may have in flight."""
        self._lane.resize(concurrency)

    def resume(self) -> None:
        """That one cluster is heard again says nothing about the hub, which the lane writes to."""

    def probe_failed(self) -> None:
        """Neither does that one is not heard."""

    def close(self) -> None:
        """As in Lane; what the other clusters have goes on."""
        self._closed = True
        self.drain()

    async def run(self, key: K) -> tuple[Evidence, float | None]:
        """The turn of a key has come."""
        self._waiting.pop(key, None)
        joined = self._join(key) if self._waiting and self._joins(key) else []
        if joined:
            return await self._together(key, joined)
        self.active += 1
        try:
            return await self._carry_out(key)
        finally:
            self.active -= 1

    def _join(self, first: K) -> list[K]:
        """Those that wait and run with it. One that runs already waits for its own end."""
        found = [key for key in self._waiting if key != first and self.started(key) is None and self._joins(key)]
        return [key for key in found[: MOST_TOGETHER - 1] if self.withdraw(key)]

    async def _together(self, first: K, joined: list[K]) -> tuple[Evidence, float | None]:
        self.active += 1 + len(joined)
        self._joined.update(dict.fromkeys(joined, time.monotonic()))
        try:
            done = await asyncio.gather(*(self._carry_out(key) for key in (first, *joined)))
        finally:
            self.active -= 1 + len(joined)
            for key in joined:
                del self._joined[key]
                urgent = self._again.pop(key, None)
                if urgent is not None:
                    self.submit(key, urgent=urgent)
        return max(done, key=lambda each: _WEIGHT[each[0]])


_WEIGHT = {each: weight for weight, each in enumerate(Evidence)}
"""Of several runs that are one write the one counts that says the worst of the other side."""
