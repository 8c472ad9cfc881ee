"""One lane per cluster: the only way work reaches a member, so that a slow member delays nobody else.

A lane holds keys, not decisions: what to do is looked up when a key's turn comes, so nothing that was decided during
an outage is carried out late. It bounds how much is in flight, halves that when the member throttles, and stops
asking for a while when the member fails again and again (a breaker fed by the member's failures only).
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from federation.runtime import backoff, metrics
from federation.runtime.keyqueue import KeyQueue

K = TypeVar("K", bound=Hashable)

TRIP_AFTER = 5
PAUSE_BASE = 1.0
PAUSE_CAP = 30.0


class Verdict(enum.Enum):
    """What one run says about the member (not about the object)."""

    NOTHING = "nothing"  # the key needed no call after all
    ANSWERED = "answered"
    THROTTLED = "throttled"
    FAILED = "failed"


class Lane(Generic[K]):
    """Bounded, pausable work for one cluster.

    `run` carries out one key and returns its Verdict, with the seconds the member asked us to wait (or None). It must
    bound its own time. `spawn` starts a task that somebody owns.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[K], Awaitable[tuple[Verdict, float | None]]],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        *,
        concurrency: int,
    ) -> None:
        self.name = name
        self._run = run
        self._spawn = spawn
        self._most = concurrency
        self._allowed = concurrency
        self._queue: KeyQueue[K] = KeyQueue()
        self._active = 0
        self._failures = 0
        self._trips = 0
        self._pause: asyncio.TimerHandle | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._queue) + self._active

    def __contains__(self, key: K) -> bool:
        return key in self._queue

    @property
    def paused(self) -> bool:
        """The breaker is open, or the member asked for silence."""
        return self._pause is not None

    @property
    def active(self) -> int:
        """Runs in flight."""
        return self._active

    def submit(self, key: K, *, urgent: bool = False) -> None:
        """Queue a key; a running one runs again afterwards. A closed lane takes nothing."""
        if self._closed:
            return
        self._queue.add(key, urgent=urgent)
        self._start()

    def withdraw(self, key: K) -> bool:
        """Take back a key that has not started."""
        return self._queue.withdraw(key)

    def drain(self) -> list[K]:
        """Take back everything that has not started (the cluster is not ready any more)."""
        return self._queue.drain()

    def resume(self) -> None:
        """The member is known to answer again: forget its failures and go on at once."""
        self._failures = self._trips = 0
        self._unpause()

    def close(self) -> None:
        """Take nothing more and drop what waits; runs in flight end by their own deadline or their owner's hand."""
        self._closed = True
        self.drain()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _start(self) -> None:
        while not self._closed and self._pause is None and self._active < self._allowed and len(self._queue):
            self._active += 1
            self._spawn(self._work(), f"lane:{self.name}")

    async def _work(self) -> None:
        try:
            while self._pause is None and self._active <= self._allowed:
                key = self._queue.take_nowait()
                if key is None:
                    break
                try:
                    verdict, after = await self._run(key)
                finally:
                    self._queue.done(key)
                self._learn(verdict, after)
                self._start()  # more may be allowed now than when the work was handed in
        except (asyncio.CancelledError, GeneratorExit):
            self._closed = True  # whoever ends its tasks ends the lane: it must not start others in their place
            raise
        finally:
            self._active -= 1
            self._start()

    def _learn(self, verdict: Verdict, after: float | None) -> None:
        if verdict is Verdict.NOTHING:
            return
        if verdict is Verdict.ANSWERED:
            self._failures = self._trips = 0
            self._allowed = min(self._most, self._allowed + 1)
            return
        self._failures += 1
        self._allowed = max(1, self._allowed // 2)
        if verdict is Verdict.THROTTLED:
            self._hold(1.0 if after is None else after, "throttled")
        elif after is not None:
            self._hold(after, "asked")
        elif self._failures >= TRIP_AFTER and self._pause is None:
            # Runs that were in flight when it tripped fail with it: together they are one failure, not many.
            self._hold(backoff.delay(self._trips, base=PAUSE_BASE, cap=PAUSE_CAP), "failing")
            self._trips += 1
            self._allowed = 1  # half open: one run decides whether the member is back

    def _hold(self, seconds: float, reason: str) -> None:
        loop = asyncio.get_running_loop()
        if self._pause is not None:
            if self._pause.when() >= loop.time() + seconds:
                return
            self._pause.cancel()
        else:
            metrics.LANE_PAUSED.labels(self.name, reason).inc()
        self._pause = loop.call_later(seconds, self._unpause)

    def _unpause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._start()
