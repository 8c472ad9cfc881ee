"""A queue of keys: the line in which work waits, at the hub (one line) and in every lane.

Keys, not events (controller-runtime's habit): ten events on a waiting key are one piece of work, a key that is being
worked on runs once more afterwards, and the same key never runs twice at a time. Which key is next: `waiting`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from federation.runtime import timers
from federation.runtime.waiting import Waiting, one_flow

K = TypeVar("K", bound=Hashable)

SHORTEST = 0.001
"""Seconds that a wait lasts at least: timers fire up to a tick early, and who finds that his time has not quite come
would ask for the rest of the tick, again and again."""


class KeyQueue(Generic[K]):
    """Coalescing, per-key serial queue for one event loop; every taken key must be given back by `done`.

    `flow` gives the flow of a key: flows take turns.
    """

    def __init__(self, flow: Callable[[K], Hashable] = one_flow) -> None:
        self._waiting: Waiting[K] = Waiting(flow)
        self._taken: set[K] = set()
        self._again: dict[K, bool] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._takers: deque[asyncio.Future[None]] = deque()
        self.added = 0
        """How often a key was queued; what met a key that waits already is not counted."""
        self.urgent = False
        """Whether the key that was taken last was urgent."""

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: K) -> bool:
        return key in self._waiting or key in self._taken

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being worked on (keys that wait for their time aside)."""
        return not self._waiting and not self._taken

    async def rest(self, seconds: float) -> None:
        """Wait until it is idle, at most so long."""
        ends = asyncio.get_running_loop().time() + seconds
        while not self.idle and asyncio.get_running_loop().time() < ends:  # noqa: ASYNC110 - only at the very end
            await asyncio.sleep(0.02)

    @property
    def later(self) -> int:
        """How many keys wait for their time to come."""
        return len(self._timers)

    def add(self, key: K, *, urgent: bool = False) -> None:
        """Queue a key; a waiting one is moved up when `urgent` and it was not."""
        if key in self._taken:
            self._again[key] = urgent or self._again.get(key, False)
            return
        if self._waiting.add(key, urgent=urgent):
            self.added += 1
            self._wake()

    def add_after(self, key: K, seconds: float, *, urgent: bool = False) -> None:
        """Queue a key once `seconds` have passed; the earliest of several times counts."""
        loop = asyncio.get_running_loop()
        seconds = max(seconds, SHORTEST)
        timer = self._timers.get(key)
        if timer is not None:
            if timers.due(timer) <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key, urgent)

    def take_nowait(self) -> K | None:
        """The next key, or None when nothing waits."""
        taken = self._waiting.take()
        if taken is None:
            return None
        key, self.urgent = taken
        self._taken.add(key)
        return key

    async def take(self) -> K:
        """Wait for the next key."""
        while (key := self.take_nowait()) is None:
            taker = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            try:
                await taker
            except asyncio.CancelledError:
                if taker.done() and not taker.cancelled():
                    self._wake()  # it was woken for a key that somebody else must take now
                raise
        return key

    def done(self, key: K) -> None:
        """Give a taken key back; it is queued again when it was added meanwhile."""
        self._taken.discard(key)
        urgent = self._again.pop(key, None)
        if urgent is not None:
            self.add(key, urgent=urgent)

    def withdraw(self, key: K) -> bool:
        """Take a key out of the line before its turn; False when it is not waiting. A running one goes on."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._again.pop(key, None)
        return self._waiting.withdraw(key)

    def drain(self) -> list[K]:
        """Withdraw everything that waits, now, later or for its key to be given back; the keys."""
        keys = list(dict.fromkeys((*self._waiting.drain(), *self._timers, *self._again)))
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._again.clear()
        return keys

    def _due(self, key: K, urgent: bool) -> None:
        self._timers.pop(key, None)
        self.add(key, urgent=urgent)

    def _wake(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return
