"""One kind of keys in a lane that may not have all the runs it asks for: it fails, or it has too many in flight."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from federation.runtime import timers
from federation.runtime.waiting import Waiting

K = TypeVar("K", bound=Hashable)


class LimitedKind(Generic[K]):
    """What waits with its kind, and the kind's own breaker.

    `failures` in a row and `trips` of the breaker; `allowed` runs may be in flight; `throttled`: the last failure was
    throttling. Owned by `lane`, which drops it when the kind is well.
    """

    def __init__(self, allowed: int, flow: Callable[[K], Hashable]) -> None:
        self.failures = 0
        self.trips = 0
        self.allowed = allowed
        self.throttled = False
        self._waiting: Waiting[K] = Waiting(flow)
        self._pause_timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: K) -> bool:
        return key in self._waiting

    @property
    def paused(self) -> bool:
        """Nothing of the kind may start now."""
        return self._pause_timer is not None

    def failed(self, *, throttled: bool) -> None:
        """One more failure: half as many at a time."""
        self.failures += 1
        self.throttled = throttled
        self.allowed = max(1, self.allowed // 2)

    def answered(self, most: int) -> None:
        """A run succeeded: no failures in a row, and one more at a time, up to `most`."""
        self.failures = self.trips = 0
        self.throttled = False
        self.allowed = min(most, self.allowed + 1)
        self.unpause()

    def well(self, most: int) -> None:
        """The member is well: as many at a time as before."""
        self.answered(most)
        self.allowed = most

    def park(self, key: K, *, urgent: bool) -> None:
        """A key waits with its kind; one that waits already is moved up when `urgent`."""
        self._waiting.add(key, urgent=urgent)

    def withdraw(self, key: K) -> None:
        """It waits no longer."""
        self._waiting.withdraw(key)

    def take(self, most: int) -> list[tuple[K, bool]]:
        """The next keys and whether they are urgent; they wait here no longer."""
        taken: list[tuple[K, bool]] = []
        while len(taken) < most and (each := self._waiting.take()) is not None:
            taken.append(each)
        return taken

    def drain(self) -> list[K]:
        """Everything that waits; it waits here no longer."""
        return self._waiting.drain()

    def pause(self, seconds: float, then: Callable[[], None]) -> None:
        """Nothing of the kind starts for so long; the longer of two pauses counts."""
        loop = asyncio.get_running_loop()
        if self._pause_timer is not None:
            if timers.due(self._pause_timer) >= loop.time() + seconds:
                return
            self._pause_timer.cancel()
        self._pause_timer = loop.call_later(seconds, then)

    def unpause(self) -> None:
        """End the pause, if there is one."""
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None
