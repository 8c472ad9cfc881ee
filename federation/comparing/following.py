"""See when real members hold a change: one watch for each member and kind, on the namespace that is measured.

What is expected and how it arrives are as with simulated members (`arrivals`), so that both are measured alike.
"""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Self

from federation.comparing.arrivals import Expected
from federation.comparing.client import Client
from federation.comparing.load import COLLECTIONS, VERSION


class Following:
    """Follows some kinds in one namespace of every member. Use as an async context manager."""

    def __init__(self, members: Sequence[Client], namespace: str, kinds: Collection[str]) -> None:
        self._members = members
        self._paths = [
            f"{prefix}/namespaces/{namespace}/{plural}" for prefix, plural in (COLLECTIONS[kind] for kind in kinds)
        ]
        self._expected: list[Expected] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        listed = []
        for client in self._members:
            for path in self._paths:
                ready = asyncio.Event()
                listed.append(ready)
                self._tasks.append(asyncio.create_task(self._follow(client, path, ready)))
        async with asyncio.timeout(60):
            for ready in listed:
                await ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def expect(self, names: Iterable[str], text: bytes | None, members: Collection[str]) -> Expected:
        """Observe these objects from now on, in the version of that text; None: gone."""
        expected = Expected(names, text, members)
        self._expected = [each for each in self._expected if any(each.missing.values())] + [expected]
        return expected

    async def _follow(self, client: Client, path: str, listed: asyncio.Event) -> None:
        listing = await client.get(path)
        listed.set()
        async for kind, item in client.watch(path, listing["metadata"]["resourceVersion"]):
            value = None if kind == "DELETED" else _version(item)
            now = time.perf_counter()
            for expected in self._expected:
                expected.observe(client.name, item["metadata"]["name"], value, now)


def _version(item: Mapping[str, Any]) -> bytes:
    return str((item["metadata"].get("annotations") or {}).get(VERSION, "")).encode()
