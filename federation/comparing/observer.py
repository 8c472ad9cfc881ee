"""Observe when the members have a change: one watch per member on the ConfigMaps of the benchmark's namespace."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from federation.comparing.client import Client

Goal = Mapping[str, str | None]
"""ConfigMap names with the version that `data.version` must have; None for gone."""


class Observer:
    """Watches every member. `until` returns when all of them have the goal's versions."""

    def __init__(self, members: Sequence[Client], namespace: str) -> None:
        self._members = members
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._held: dict[str, dict[str, str]] = {client.name: {} for client in members}
        self._goals: list[_Open] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Observer":
        ready = [asyncio.Event() for _ in self._members]
        for client, listed in zip(self._members, ready, strict=True):
            self._tasks.append(asyncio.create_task(self._follow(client, listed)))
        for listed in ready:
            await listed.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until(self, goal: Goal, *, members: Sequence[str] = (), within: float = 900.0) -> float:
        """Wait for the goal in these members (all by default); when the last of it was observed (perf_counter).

        Raises TimeoutError with what is missing.
        """
        names = members or list(self._held)
        missing = {(member, name) for member in names for name in goal if self._held[member].get(name) != goal[name]}
        if not missing:
            return time.perf_counter()
        open_goal = _Open(goal, missing)
        self._goals.append(open_goal)
        try:
            async with asyncio.timeout(within):
                await open_goal.reached.wait()
        except TimeoutError:
            some = ", ".join(f"{name} in {member}" for member, name in sorted(open_goal.missing)[:5])
            raise TimeoutError(f"{len(open_goal.missing)} not observed within {within:g} s: {some}") from None
        finally:
            self._goals.remove(open_goal)
        return open_goal.at

    async def _follow(self, client: Client, listed: asyncio.Event) -> None:
        listing = await client.get(self._path)
        for item in listing["items"]:
            self._observe(client.name, item["metadata"]["name"], _version(item))
        listed.set()
        async for kind, item in client.watch(self._path, listing["metadata"]["resourceVersion"]):
            self._observe(client.name, item["metadata"]["name"], None if kind == "DELETED" else _version(item))

    def _observe(self, member: str, name: str, version: str | None) -> None:
        if version is None:
            self._held[member].pop(name, None)
        else:
            self._held[member][name] = version
        for goal in self._goals:
            goal.observe(member, name, version)


class _Open:
    """A goal that a caller waits for."""

    def __init__(self, goal: Goal, missing: set[tuple[str, str]]) -> None:
        self._goal = goal
        self.missing = missing
        self.reached = asyncio.Event()
        self.at = 0.0

    def observe(self, member: str, name: str, version: str | None) -> None:
        if (member, name) in self.missing and self._goal[name] == version:
            self.missing.discard((member, name))
            if not self.missing:
                self.at = time.perf_counter()
                self.reached.set()


def _version(item: Mapping[str, Mapping[str, str]]) -> str:
    return (item.get("data") or {}).get("version", "")
