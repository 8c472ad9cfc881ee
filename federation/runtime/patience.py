"""A deadline that counts only the other side's time: what this process is late with is no evidence about anybody.

A timer of a busy event loop fires late, and often before the answer is read that came long ago. So a `Patience` lets
its time pass in short steps, takes from each what the loop was late by, and, when all of it has passed, lets the loop
turn a few times more: whatever had come by then is read first. While the loop keeps up that is an ordinary time-out.
"""

import asyncio
from types import TracebackType

STEP = 0.25
"""Seconds between two looks at how late the loop is; most requests are answered within the first."""
PUNCTUAL = 0.05
"""Seconds by which a timer of a loop that keeps up may be late."""
TURNS = 64
"""Turns of the loop after the deadline: more than an answer takes from its socket to the task that waits for it."""
LONGEST = 20.0
"""How many times longer than its deadline it lasts when the loop is late all the time; then it ends `in_vain`."""
LATE = 1.0
"""Seconds of lateness from which what else went wrong meanwhile (a connection that was closed) may be our own doing."""


class Patience:
    """`async with Patience(seconds) as patience`: raises TimeoutError inside when the time has passed, like
    asyncio.timeout.

    `late` is by how many seconds the loop was late meanwhile. `in_vain`: the loop was so late that the deadline was
    given up without having passed; nothing follows from that about the other side.
    """

    __slots__ = ("_due", "_handle", "_left", "_limit", "_loop", "_step", "_turns", "_until", "in_vain", "late")

    def __init__(self, seconds: float) -> None:
        self.late = 0.0
        self.in_vain = False
        self._left = seconds
        self._limit = asyncio.timeout(None)
        self._turns = TURNS
        self._loop = loop = asyncio.get_running_loop()
        self._until = loop.time() + LONGEST * seconds
        self._step = self._due = 0.0
        self._handle: asyncio.Handle = self._next()

    async def __aenter__(self) -> "Patience":
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _next(self) -> asyncio.Handle:
        self._step = step = min(STEP, self._left)
        self._due = due = self._loop.time() + step
        return self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        late = max(0.0, now - self._due - PUNCTUAL)
        self.late += late
        self._left -= max(0.0, self._step - late)
        if self._left <= 0.0 or now >= self._until:
            self.in_vain = self._left > 0.0
            self._handle = self._loop.call_soon(self._turn)
            return
        self._handle = self._next()

    def _turn(self) -> None:
        self._turns -= 1
        if self._turns > 0:
            self._handle = self._loop.call_soon(self._turn)
        else:
            self._limit.reschedule(self._loop.time())
