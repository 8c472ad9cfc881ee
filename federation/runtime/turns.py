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
        self._called = False
        """One that waited is to begin in the next turn of the loop."""

    async def begin(self) -> None:
        """Wait for a turn of the loop that has time for a step; at once in nearly every case."""
        if self._called or self._waiting or self._late():
            await self._call()
        if self._began is None:
            self._began = time.monotonic()
            asyncio.get_running_loop().call_soon(self._over)

    def _late(self) -> bool:
        return self._began is not None and time.monotonic() - self._began >= ENOUGH

    async def _call(self) -> None:
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._called = False
                self._over()  # it is the next one's
            raise
        self._called = False

    def _over(self) -> None:
        """Another turn of the loop; the next one is that of whoever has waited longest."""
        self._began = None
        while self._waiting:
            mine = self._waiting.popleft()
            if not mine.done():
                self._called = True
                mine.set_result(None)
                return
