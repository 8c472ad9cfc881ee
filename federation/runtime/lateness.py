"""How late the event loop is: one step of somebody's is late for everybody.

A timer asks once a second, and BUSY times a second while the process works: waking an idle one so often would cost more
than all its probes. Work that begins after a rest would end unseen between two seconds: `look` measures the turn of the
loop that it begins in.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from federation.runtime import metrics

K = TypeVar("K")

AT_REST, BUSY = 1.0, 0.05
"""Seconds between two looks. A longer step is seen to last what it lasts, less as much at most."""
SHARE = 0.1
"""Of the time between two looks that the process must have worked to be busy."""
WINDOW = 60.0
"""Seconds of which the metric tells the longest, at least, and at most twice as many."""
RECENT = 1.0
"""The same for `recent`."""


class Peak:
    """The highest of the values within the last `seconds`, at least, and of those within twice as many, at most."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = float("-inf")
        self._before = self._highest = 0.0

    def record(self, value: float, now: float) -> float:
        """Take in a value; the highest."""
        if now - self._began >= self._seconds:
            self._before = self._highest if now - self._began < 2 * self._seconds else 0.0
            self._began, self._highest = now, 0.0
        self._highest = max(self._highest, value)
        return max(self._before, self._highest)


class Lateness:
    """Of the running loop. `recent` is how late it was within the last second or two; `worked` is the CPU so far."""

    def __init__(self, worked: Callable[[], float] = time.process_time) -> None:
        self.recent = 0.0
        self._worked = worked
        self._recent, self._window = Peak(RECENT), Peak(WINDOW)
        self._longest = 0.0
        self._looking = False

    async def serve(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        began, worked, period = loop.time(), self._worked(), AT_REST
        while True:
            await asyncio.sleep(period)
            now, so_far = loop.time(), self._worked()
            late = max(0.0, now - began - period)
            metrics.LOOP_LATE.inc(late)
            self._record(late, now)
            period = BUSY if so_far - worked > SHARE * (now - began) else AT_REST
            began, worked = now, so_far

    def looking(self, process: Callable[[K], Awaitable[None]]) -> Callable[[K], Awaitable[None]]:
        """`process`, with a `look` whenever it begins."""

        async def looked(key: K) -> None:
            self.look()
            await process(key)

        return looked

    def look(self) -> None:
        """Measure the rest of this turn of the loop."""
        if not self._looking:
            self._looking = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._turned, loop.time())

    def _turned(self, began: float) -> None:
        self._looking = False
        now = asyncio.get_running_loop().time()
        self._record(now - began, now)

    def _record(self, late: float, now: float) -> None:
        self.recent = self._recent.record(late, now)
        highest = self._window.record(late, now)
        metrics.LOOP_LAG.set(highest)
        if late > self._longest:
            self._longest = late
            metrics.LOOP_LONGEST.set(late)
