"""Count the events of every object of one collection, from its API server's own watch."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from federation.comparing.client import Client

Notice = Callable[[str, Mapping[str, Any]], None]
"""Called with the event's type and the object."""


class Tally:
    """Use as an async context manager. `held` is the collection now; `events` counts (type, name) since `forget`."""

    def __init__(self, client: Client, path: str, *, notice: Notice | None = None) -> None:
        self.held: dict[str, Mapping[str, Any]] = {}
        self.events: Counter[tuple[str, str]] = Counter()
        self._client = client
        self._path = path
        self._notice = notice
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Tally":
        listing = await self._client.get(self._path)
        self.held = {item["metadata"]["name"]: item for item in listing["items"]}
        self._task = asyncio.create_task(self._follow(listing["metadata"]["resourceVersion"]))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def forget(self) -> None:
        """Count from here."""
        self.events.clear()

    def check(self) -> None:
        """Raise the error that ended the watch, if it has ended: otherwise it would look as if nothing happened."""
        if self._task is not None and self._task.done():
            self._task.result()
            raise RuntimeError(f"{self._client.name}: the watch of {self._path} ended")

    def count(self, name: str) -> int:
        """Events of any type about one object."""
        return sum(count for (_, about), count in self.events.items() if about == name)

    async def _follow(self, version: str) -> None:
        async for kind, item in self._client.watch(self._path, version):
            name = item["metadata"]["name"]
            self.events[kind, name] += 1
            if kind == "DELETED":
                self.held.pop(name, None)
            else:
                self.held[name] = item
            if self._notice is not None:
                self._notice(kind, item)
