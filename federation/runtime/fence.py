"""The fence: whether this process may write now. It opens for a time that was agreed on elsewhere, and ends by itself.

Whoever leads may write until its lease could have ended. Nothing needs to run for the fence to be shut then: every
write asks it right before its bytes are given to the system, and it reads the clocks. So a process that was stopped
for a minute finds it shut when it goes on, before anything of it runs.

Three clocks are read. CLOCK_MONOTONIC counts while the process is stopped; CLOCK_BOOTTIME also while the machine is
suspended. The wall clock alone shows that a virtual machine was frozen, or that somebody has set it. That it has jumped
ahead therefore shuts the fence, too, until it is opened anew, which takes one answer of the hub.
"""

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

JUMP = 1.0
"""Seconds by which the wall clock may get ahead of the others between two openings without a word."""
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Instant(NamedTuple):
    """One moment by each clock, in seconds."""

    monotonic: float
    boottime: float
    wall: float

    def passed(self, since: "Instant") -> float:
        """Seconds since then, by the clock that has counted most."""
        return max(self.monotonic - since.monotonic, self.boottime - since.boottime)

    def jumped(self, since: "Instant") -> float:
        """Seconds by which the wall clock has got ahead of the others since then."""
        return (self.wall - since.wall) - self.passed(since)


def now() -> Instant:
    """This moment."""
    return Instant(time.monotonic(), time.clock_gettime(_BOOTTIME), time.time())


class Fenced(ConnectionAbortedError):
    """A write was not sent, or was recalled while it was under way, because the fence is shut."""


class UnderWay(Protocol):
    """A write that was sent and has no answer."""

    def recall(self) -> None:
        """End it: what the system has not sent yet is never sent."""


class Fence:
    """Shut at first. Whatever writes asks `open`.

    `slack` is how many seconds nobody else writes after it has shut: bytes that the network still holds must be given
    up within them. `doubted` is called when the wall clock has jumped: it should be opened anew soon.
    """

    def __init__(self, clock: Callable[[], Instant] = now) -> None:
        self.slack = 5.0
        self.doubted: Callable[[], None] = lambda: None
        self._clock = clock
        self._since: Instant | None = None
        self._seconds = 0.0
        self._under_way: set[UnderWay] = set()

    @property
    def open(self) -> bool:
        """Whether a write may be sent at this very moment."""
        since = self._since
        if since is None:
            return False
        at = self._clock()
        if at.passed(since) >= self._seconds:
            self.shut()
            return False
        if at.jumped(since) > JUMP:
            self.shut()
            self.doubted()
            return False
        return True

    @property
    def left(self) -> float:
        """Seconds until it shuts by itself; 0 where it is shut."""
        since = self._since
        return 0.0 if since is None else max(0.0, self._seconds - self._clock().passed(since))

    def extend(self, since: Instant, seconds: float) -> None:
        """Open until so many seconds after `since`, a moment before the answer that allows it was asked for."""
        self._since, self._seconds = since, seconds

    def shut(self) -> None:
        """Let nothing pass, and recall what is under way."""
        self._since = None
        recalled, self._under_way = self._under_way, set()
        for each in recalled:
            each.recall()

    def enter(self, write: UnderWay) -> None:
        """A write is about to be sent; it is recalled where the fence shuts before `leave`."""
        self._under_way.add(write)

    def leave(self, write: UnderWay) -> None:
        """It has its answer, or has failed."""
        self._under_way.discard(write)
