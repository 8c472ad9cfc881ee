"""How much is in flight to all clusters together: the lanes of a fleet share one limit.

Each lane bounds what one member gets, but a thousand of them may have 16,000 writes in flight. Nobody carries out so
many at once: they wait in queues (in our event loop, and in the members if these share machines) until their deadline
is over, are sent again, and more and more of the work is for nothing. With a limit the same work waits in the lanes,
where it has no deadline, can be replaced by newer plans, and urgent keys go first.

Members that hang must not use up the limit: a run that takes far longer than runs do at present is no longer counted.
When there is no room, lanes stand in line, and each starts one run when its turn comes; lanes that have nothing in
flight go first. So a single change for a quiet member does not wait for the many changes of busy ones.
"""

import asyncio
from typing import Protocol

MOST = 256
"""Runs that count at once. One event loop finishes some 2,000 pushes a second at most; 256 in flight are enough for
that up to a distance of 100 ms."""
HANGS = 0.5
"""Seconds after which a run is said to hang, at least."""
TIMES = 4
"""A run hangs if it takes so many times as long as runs do at present: they all take long when we, or a machine that
many members share, are overloaded. More runs at once do not help then."""
EARLY = 0.001
"""Timers fire up to a tick early."""
WEIGHT = 1 / 32
"""Weight of one run in what runs take at present."""


class Startable(Protocol):
    """A lane, as far as the limit is concerned."""

    @property
    def active(self) -> int:
        """Its runs in flight."""

    def start(self) -> None:
        """Start what may be started now."""


class Slot:
    """Room for one run at a time."""

    __slots__ = ("started",)

    def __init__(self, started: float) -> None:
        self.started = started


class FleetLimit:
    """At most `most` runs of all lanes at once, those that hang not counted."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._counted: dict[Slot, None] = {}
        """In the order in which their runs started."""
        self._idle: dict[Startable, None] = {}
        self._busy: dict[Startable, None] = {}
        self._turn: Startable | None = None
        self._typical = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._counted)

    @property
    def waiting(self) -> int:
        """Lanes in line."""
        return len(self._idle) + len(self._busy)

    def take(self, lane: Startable) -> Slot | None:
        """Room for one more run; None: the lane is started again when there is room for it."""
        if self._turn is lane:
            self._turn = None
        elif self._idle or self._busy or len(self._counted) >= self._most:
            (self._busy if lane.active else self._idle)[lane] = None
            self._look_later()
            return None
        slot = Slot(asyncio.get_running_loop().time())
        self._counted[slot] = None
        return slot

    def ended(self, slot: Slot, *, answered: bool) -> bool:
        """A run is over; whether its lane may use the slot for another one, because no lane is in line.

        `answered`: by the member, so that the run's length tells what runs take at present.
        """
        now = asyncio.get_running_loop().time()
        if answered:
            self._typical += (now - slot.started - self._typical) * WEIGHT
        counted = slot in self._counted
        if self._idle or self._busy or not (counted or len(self._counted) < self._most):
            return False
        self._counted.pop(slot, None)
        self._counted[slot] = None
        slot.started = now
        return True

    def give_back(self, slot: Slot) -> None:
        """The lane needs the slot no longer."""
        self._counted.pop(slot, None)
        self._admit()

    def leave(self, lane: Startable) -> None:
        """The lane is closed: it is in line no longer."""
        self._idle.pop(lane, None)
        self._busy.pop(lane, None)

    def _admit(self) -> None:
        """Room for the lanes in line, for one run each."""
        while len(self._counted) < self._most and (line := self._idle or self._busy):
            lane = next(iter(line))
            del line[lane]
            self._turn = lane
            lane.start()  # it may have nothing to start any more
            self._turn = None

    def _look_later(self) -> None:
        """When the oldest run that counts begins to hang, if lanes are still in line then."""
        if self._timer is None and self._counted:
            hangs_at = next(iter(self._counted)).started + max(HANGS, TIMES * self._typical)
            self._timer = asyncio.get_running_loop().call_at(hangs_at, self._look)

    def _look(self) -> None:
        """Runs that hang are no longer counted."""
        self._timer = None
        if not self.waiting:
            return
        started = asyncio.get_running_loop().time() - max(HANGS, TIMES * self._typical)
        while self._counted and (oldest := next(iter(self._counted))).started < started + EARLY:
            del self._counted[oldest]
        self._admit()
        if self.waiting:
            self._look_later()
