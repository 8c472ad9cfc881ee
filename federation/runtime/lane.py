"""One lane per cluster: the only way work reaches a member, so that a slow member delays nobody else.

A lane queues keys, not decisions: what to do is looked up when a key's turn comes, so nothing that was decided during
an outage is carried out late. It bounds how much is in flight, halves that when the member fails, and pauses when the
member fails again and again (a breaker fed by the member's failures only).

Keys are of kinds (the types of the objects), and the trouble of one kind stays its own: a conversion webhook or an
aggregated API that is down fails that kind alone. So an error that a member answers counts for a breaker of the kind
(`kinds`); the other kinds go on. The lane as a whole pauses when the member cannot be reached at all, when two kinds
are throttled, or when its own probe fails while a kind is paused (`probe_failed`).
"""

import asyncio
import enum
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from federation.runtime import backoff, metrics, timers
from federation.runtime.fleetlimit import FleetLimit, Slot
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.kinds import LimitedKind
from federation.runtime.waiting import one_flow

K = TypeVar("K", bound=Hashable)

TRIP_AFTER = 5
PAUSE_BASE = 1.0
PAUSE_CAP = 30.0
RESERVED = 8
"""One in so many runs in flight is kept for other kinds than the one that has all the others: it may be hanging."""


class Evidence(enum.Enum):
    """What one run shows about the member (not about the object)."""

    NOTHING = "nothing"  # the key needed no call after all
    ANSWERED = "answered"
    THROTTLED = "throttled"
    ERRED = "erred"  # an error, or no answer in time: from the member, or from what serves this kind there
    FAILED = "failed"  # not reached at all, or not let in


class Hold(enum.Enum):
    """Why a lane does not start a key though it could: the whole member fails or asks for a pause, or the kind does."""

    CLUSTER = "cluster"
    KIND = "kind"


class Lane(Generic[K]):
    """Bounded, pausable work for one cluster.

    `run` carries out one key and returns its Evidence, with the seconds the member asked us to wait (or None). It must
    bound its own time. `spawn` starts a task that somebody owns. `kind` gives the kind of a key. `flow` gives the
    flow of a key: flows take turns. `limit` is what all lanes share. `on_trip` is called when a kind is paused: perhaps
    the whole member fails.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[K], Awaitable[tuple[Evidence, float | None]]],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        *,
        concurrency: int,
        kind: Callable[[K], Hashable],
        limit: FleetLimit,
        flow: Callable[[K], Hashable] = one_flow,
        on_trip: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._run = run
        self._spawn = spawn
        self._kind = kind
        self._flow = flow
        self._limit = limit
        self._on_trip = on_trip
        self._most = self._allowed = concurrency
        self._share = _share(concurrency)
        self._queue: KeyQueue[K] = KeyQueue(flow)
        self._running: Counter[Hashable] = Counter()
        self._started: dict[K, float] = {}
        self._limited: dict[Hashable, LimitedKind[K]] = {}
        self.active = 0
        """Runs in flight."""
        self._failures = 0
        self._trips = 0
        self._pause_timer: asyncio.TimerHandle | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._queue) + self.active + sum(len(limited) for limited in self._limited.values())

    def __contains__(self, key: K) -> bool:
        return key in self._queue or self._parked(key) is not None

    @property
    def paused(self) -> bool:
        """Nothing starts now: the breaker is open, or the member asked for a pause."""
        return self._pause_timer is not None

    def hold(self, key: K) -> Hold | None:
        """What holds back a key that is here; None when it only waits for its turn."""
        if key not in self:
            return None
        if self.paused:
            return Hold.CLUSTER
        limited = self._limited.get(self._kind(key))
        return Hold.KIND if limited is not None and limited.failures else None

    def started(self, key: K) -> float | None:
        """When the run of a key began that is under way (monotonic seconds); None where none is."""
        return self._started.get(key)

    def submit(self, key: K, *, urgent: bool = False) -> None:
        """Queue a key; a running one runs again afterwards. A closed lane queues nothing."""
        if self._closed:
            return
        limited = self._parked(key)
        if limited is not None:
            limited.park(key, urgent=urgent)
            return
        self._queue.add(key, urgent=urgent)
        self.start()

    def withdraw(self, key: K) -> bool:
        """Take back a key that has not started."""
        limited = self._parked(key)
        if limited is not None:
            limited.withdraw(key)
            return True
        waited = self._queue.withdraw(key)
        if self._limited and not self._closed:
            self._unpark(self._kind(key))  # it may have been the only key of its kind that was allowed to run
            self.start()
        return waited

    def drain(self) -> list[K]:
        """Take back everything that has not started (the cluster is not ready any more)."""
        parked = [key for limited in self._limited.values() for key in limited.drain()]
        return [*self._queue.drain(), *parked]

    def resize(self, concurrency: int) -> None:
        """Allow so many runs in flight from now on; runs that are in flight end first."""
        whole = self._allowed >= self._most
        self._most = concurrency
        self._share = _share(concurrency)
        self._allowed = concurrency if whole else min(self._allowed, concurrency)
        for limited in self._limited.values():
            limited.allowed = min(limited.allowed, self._share) if limited.failures else self._share
        self.start()

    def resume(self) -> None:
        """The member answers again: forget its failures and go on at once."""
        self._failures = self._trips = 0
        for kind, limited in list(self._limited.items()):
            limited.well(self._share)
            self._unpark(kind)
        self._unpause()

    def probe_failed(self) -> None:
        """The member's probe fails, too: if a kind is paused now, the whole lane pauses."""
        if any(limited.paused for limited in self._limited.values()) and not self.paused:
            self._trip()

    def close(self) -> None:
        """Take nothing more and drop what waits; runs in flight end by their own deadline or their owner's hand."""
        self._closed = True
        self._limit.leave(self)
        self.drain()
        for limited in self._limited.values():
            limited.unpause()
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None

    # --- runs ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start what may be started now."""
        while not self._closed and not self.paused and self.active < self._allowed and len(self._queue):
            slot = self._limit.take(self)
            if slot is None:
                return
            key = self._next()
            if key is None:
                self._limit.give_back(slot)
                return
            self.active += 1
            self._spawn(self._work(key, slot), f"lane:{self.name}")

    def _next(self) -> K | None:
        """The next key whose kind may have one more run, which is counted; those before it wait with their kind."""
        while (key := self._queue.take_nowait()) is not None:
            kind = self._kind(key)
            running = self._running[kind]
            limited = self._limited.get(kind)
            if limited is None and running >= self._share:
                limited = self._limited[kind] = LimitedKind(self._share, self._flow)
            if limited is None or (not limited.paused and running < limited.allowed):
                self._running[kind] = running + 1
                return key
            limited.park(key, urgent=self._queue.urgent)
            self._queue.done(key)
        return None

    async def _work(self, key: K | None, slot: Slot) -> None:
        try:
            while key is not None:
                kind = self._kind(key)
                self._started[key] = time.monotonic()
                try:
                    evidence, after = await self._run(key)
                finally:
                    del self._started[key]
                    self._queue.done(key)
                    self._ran(kind)
                self._record(kind, evidence, after)
                if self._limited:
                    self._unpark(kind)
                room = self._limit.ended(slot, answered=evidence is Evidence.ANSWERED)
                more = room and not self.paused and not self._closed and self.active <= self._allowed
                key = self._next() if more else None
                self.start()  # more may be allowed now than when the work was handed in
        except (asyncio.CancelledError, GeneratorExit):
            self._closed = True  # its tasks are ended, so the lane ends: it must not start others in their place
            raise
        finally:
            self.active -= 1
            self._limit.give_back(slot)
            for each in list(self._limited):
                self._unpark(each)
            self.start()

    def _ran(self, kind: Hashable) -> None:
        self._running[kind] -= 1
        if not self._running[kind]:
            del self._running[kind]

    def _parked(self, key: K) -> LimitedKind[K] | None:
        limited = self._limited.get(self._kind(key)) if self._limited else None
        return limited if limited is not None and key in limited else None

    def _unpark(self, kind: Hashable) -> None:
        """Put back into the line what its kind may run now."""
        limited = self._limited.get(kind)
        if limited is None or limited.paused or self._closed:
            return
        for key, urgent in limited.take(limited.allowed - self._running[kind]):
            self._queue.add(key, urgent=urgent)
        if not limited.failures and not len(limited):
            del self._limited[kind]  # it had many runs, and none failed

    # --- evidence --------------------------------------------------------------------------------------------------

    def _record(self, kind: Hashable, evidence: Evidence, after: float | None) -> None:
        if evidence is Evidence.NOTHING:
            return
        if evidence is Evidence.ANSWERED:
            self._failures = self._trips = 0
            self._allowed = min(self._most, self._allowed + 1)
            limited = self._limited.get(kind)
            if limited is not None:
                # One more at a time, like the lane. All at once would be too much for a server that has just recovered.
                limited.answered(self._share)
            return
        if evidence is not Evidence.FAILED:
            self._record_of_kind(kind, evidence, after)
            return
        self._failures += 1
        self._allowed = max(1, self._allowed // 2)
        if after is not None:
            self._pause_for(after, "asked")
        elif self._failures >= TRIP_AFTER and not self.paused:
            self._trip()

    def _record_of_kind(self, kind: Hashable, evidence: Evidence, after: float | None) -> None:
        """One more failure of a kind. When two kinds are throttled, it is the whole member that asks for a pause."""
        limited = self._limited.get(kind)
        if limited is None:
            limited = self._limited[kind] = LimitedKind(self._share, self._flow)
        throttled = evidence is Evidence.THROTTLED
        wait = after if after is not None else 1.0 if throttled else None
        limited.failed(throttled=throttled)
        if wait is None and limited.failures >= TRIP_AFTER and not limited.paused:
            wait = backoff.delay(limited.trips, base=PAUSE_BASE, cap=PAUSE_CAP)
            limited.trips += 1
            limited.allowed = 1  # half open: one run decides whether it is back
            metrics.LANE_PAUSED.labels(self.name, "type failing").inc()
        if wait is None:
            return
        others = (other for each, other in self._limited.items() if each != kind)
        if throttled and any(other.paused and other.throttled for other in others):
            self._pause_for(wait, "throttled")
        limited.pause(wait, lambda: self._pause_over(kind, limited))
        self._on_trip()

    def _pause_over(self, kind: Hashable, limited: LimitedKind[K]) -> None:
        limited.unpause()
        if self._limited.get(kind) is limited:
            self._unpark(kind)
            self.start()

    def _trip(self) -> None:
        # Runs that were in flight when it tripped fail with it: together they are one failure, not many.
        self._pause_for(backoff.delay(self._trips, base=PAUSE_BASE, cap=PAUSE_CAP), "failing")
        self._trips += 1
        self._allowed = 1  # half open: one run decides whether the member is back

    def _pause_for(self, seconds: float, reason: str) -> None:
        loop = asyncio.get_running_loop()
        if self._pause_timer is not None:
            if timers.due(self._pause_timer) >= loop.time() + seconds:
                return
            self._pause_timer.cancel()
        else:
            metrics.LANE_PAUSED.labels(self.name, reason).inc()
        self._pause_timer = loop.call_later(seconds, self._unpause)

    def _unpause(self) -> None:
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None
        self.start()


def _share(concurrency: int) -> int:
    """How many runs one kind may have at once."""
    return concurrency - concurrency // RESERVED
