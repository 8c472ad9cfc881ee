"""Keep the long steps of many tasks apart: what they do together in one turn of the loop, everybody else waits for.

Sixteen objects that change at once are planned by sixteen tasks. In a fleet of thousands each takes some tens of
milliseconds, and all in one turn of the loop took half a second.
"""

import asyncio
import time
from collections import deque

ENOUGH = 0.005
"""Seconds of one turn of the loop after which no other step is begun in it."""


class Turns:
    """Lets tasks `begin`, in their order, in as many turns of the loop as their steps need."""

    def __init__(self) -> None:
        self._began: float | None = None
        """When the first step of this turn of the loop began; None when none has."""
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def begin(self) -> None:
        """Wait for a turn of the loop that has time for a step; at once in nearly every case."""
        if self._began is None:
            self._start()
        elif self._waiting or time.monotonic() - self._began >= ENOUGH:
            mine = asyncio.get_running_loop().create_future()
            self._waiting.append(mine)
            await mine

    def _start(self) -> None:
        self._began = time.monotonic()
        asyncio.get_running_loop().call_soon(self._over)

    def _over(self) -> None:
        """Another turn of the loop: it is that of the one that has waited longest."""
        self._began = None
        while self._waiting:
            next_one = self._waiting.popleft()
            if not next_one.done():
                self._start()
                next_one.set_result(None)
                return
