"""The connections to one API server. A few are kept and shared by all requests, because opening one costs as much as
ten requests.

A request that finds no free connection waits, first come first served. How many connections there may be depends on how
far away the server is. Connections that hang are not counted: if none becomes free (say, because the webhook of one
type does not answer), every request that waits opens its own. Urgent requests, the probes, do not wait: one connection
more is kept for them. Watches use idle connections or open their own, and are not counted.

The most recently used connection is used first, so that those which are not needed become old and are closed, before
the API server closes them while a request is on its way (kube-apiserver's idle timeout is 90 s).
"""

import asyncio
import math
from collections import deque

from federation.kube.dialing import Dialer
from federation.kube.sockets import Sockets
from federation.kube.transport import HttpConnection
from federation.runtime import timers

KEPT = 80.0
"""Seconds that an idle connection is kept."""
KEPT_BEYOND = 10.0
"""The same while there are more idle connections than requests may use."""
FEW, MOST = 4, 16
"""Connections for requests to a server that is near, and to one that is far away."""
CROWDED = 2
"""The same while requests wait for connections to many servers (MANY): what a few connections more would bring each of
them, we could not send. They cost a TLS handshake each: with four for each of 100 servers, a quarter of the CPU of a
burst's first seconds."""
TOTAL = 2500.0
"""Requests per second that we can send to all servers together. It tells how many connections a server that is far away
needs while there are many."""
RATE = 80.0
"""Requests per second that must be possible: by 4 connections if a response takes 50 ms, by 16 if it takes 200 ms."""
BEST = 300.0
"""Seconds in which the quickest response tells the distance. Slower ones may have waited for CPU, there or here."""
HANGS = 0.5
"""Seconds without a free connection after which those in use are said to hang. Longer for a server whose responses take
as long, and while requests wait for connections to many servers: that is an overload, which more of them do not end."""
MANY = 8
"""So many servers whose requests wait double HANGS. With more of them, slow responses get those that wait no new
connections."""
EARLY = 0.01
"""Seconds that a timer may be early."""
LATE = 0.1
"""Seconds that the event loop may be late; if it is later, responses may have come that are not read yet."""


class Pool:
    """The connections to one API server. At least `few` may be used by requests.

    The methods that take a connection raise what Dialer.dial does, and ConnectionAbortedError after `close`.
    """

    def __init__(self, dialer: Dialer, sockets: Sockets, *, few: int = FEW) -> None:
        self.closed = False
        self._dialer = dialer
        self._sockets = sockets
        self._few = self._most = few
        self._idle: list[HttpConnection] = []
        self._open: set[HttpConnection] = set()
        self._waiting: deque[asyncio.Future[HttpConnection | None]] = deque()
        self._used = 0
        self._hanging = 0
        self._freed_at = 0.0
        self._hang_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._best = self._best_before = math.inf
        self._best_until = 0.0
        sockets.register(self)

    @property
    def idle(self) -> int:
        """Connections that are not in use."""
        return len(self._idle)

    @property
    def open(self) -> int:
        """All connections, watches included."""
        return len(self._open)

    @property
    def used(self) -> int:
        """Connections that requests use now; urgent ones are not counted."""
        return self._used

    @property
    def most(self) -> int:
        """Connections that requests may use now."""
        waiting = self._sockets.waiting
        if waiting <= MANY:
            return self._most + self._hanging
        best = min(self._best, self._best_before)
        share = math.ceil(best * TOTAL / waiting) if best < math.inf else CROWDED
        return max(CROWDED, min(self._most, share)) + self._hanging

    # --- taking ------------------------------------------------------------------------------------------------------

    def take_idle(self, *, urgent: bool = False) -> HttpConnection | None:
        """An idle connection for a request, if there is one that it may use."""
        idle = self._idle
        while idle and idle[-1].closed:
            idle.pop()  # its end has not been reported yet
        if not idle or (not urgent and (self._waiting or (self._used >= self.most and len(idle) < 2))):
            return None
        connection = idle.pop()
        connection.counted = not urgent
        self._used += not urgent
        return connection

    async def wait(self, *, urgent: bool = False) -> HttpConnection | None:
        """A connection that becomes free, for a request that found none idle; None: it may `open_new` one."""
        if urgent:
            return None
        if self._waiting or self._used >= self.most:
            return await self._wait()
        self._used += 1
        return None

    async def open_new(self, *, urgent: bool = False) -> HttpConnection:
        """A new connection, after `wait` has allowed it."""
        return await self._open_one(counted=not urgent)

    async def take_another(self, connection: HttpConnection) -> HttpConnection:
        """A new connection instead of one that the server has closed."""
        counted, connection.counted = connection.counted, False
        self.drop(connection)
        return await self._open_one(counted=counted)

    async def take_for_watch(self) -> HttpConnection:
        """A connection for a watch."""
        connection = self.take_idle(urgent=True)
        return connection if connection is not None else await self._open_one(counted=False, watch=True)

    async def _open_one(self, *, counted: bool, watch: bool = False) -> HttpConnection:
        try:
            self._refuse_if_closed()
            connection = await self._dialer.dial(self._lost, watch=watch)
        except BaseException:
            if counted:
                self._one_less()
                self._admit_next()
            raise
        if not connection.closed:  # one that has ended already is not reported again
            self._open.add(connection)
        connection.counted = counted
        if self.closed:
            self.drop(connection)
            self._refuse_if_closed()
        return connection

    def _refuse_if_closed(self) -> None:
        if self.closed:  # a push in progress would open connections that nobody closes
            raise ConnectionAbortedError

    # --- giving back -------------------------------------------------------------------------------------------------

    def give_back(self, connection: HttpConnection, *, timed: bool = True) -> None:
        """The request is over; the connection is closed unless it can be used again.

        `timed`: the time to the response tells how far away the server is.
        """
        if connection.uses == 1:
            self._dialer.keep_session(connection)
        now = asyncio.get_running_loop().time()
        if timed and (now - connection.sent < self._best or now >= self._best_until):
            self._measure(now - connection.sent, now)
        if connection.counted:
            self._freed_at = now  # also if it closes: a server that answers does not hang
        if not connection.reusable or self.closed:
            self.drop(connection)
            return
        if connection.counted:
            while self._waiting:
                waiter = self._next()
                if not waiter.done():
                    waiter.set_result(connection)
                    return
            connection.counted = False
            self._one_less()
        connection.idle_since = now
        self._idle.append(connection)
        if self._idle_timer is None or len(self._idle) > self._most + 1:
            self._close_later()

    def drop(self, connection: HttpConnection) -> None:
        """Close a connection whose request did not end well."""
        connection.abort()
        if connection.counted:
            connection.counted = False
            self._one_less()
            self._admit_next()

    def close_idle(self) -> None:
        """Close one idle connection, the oldest."""
        if self._idle:
            self._idle.pop(0).close()

    def close(self) -> None:
        """Close all connections; requests fail."""
        self.closed = True
        for timer in (self._hang_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        while self._waiting:
            if not (waiter := self._next()).done():
                waiter.set_exception(ConnectionAbortedError())
        self._idle.clear()
        for connection in list(self._open):
            connection.abort()

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def _wait(self) -> HttpConnection | None:
        """A connection that became free; None: a new one may be opened, which is counted already."""
        self._refuse_if_closed()
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[HttpConnection | None] = loop.create_future()
        if not self._waiting:
            self._freed_at = loop.time()
            self._sockets.waiting += 1
        self._waiting.append(waiter)
        if self._hang_timer is None:
            self._look_at(loop.time() + HANGS)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.done() or waiter.cancelled():
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                    self._sockets.waiting -= not self._waiting
            elif waiter.exception() is None:
                connection = waiter.result()
                if connection is not None:
                    self.give_back(connection, timed=False)
                else:
                    self._one_less()
                    self._admit_next()
            raise

    def _next(self) -> "asyncio.Future[HttpConnection | None]":
        waiter = self._waiting.popleft()
        self._sockets.waiting -= not self._waiting
        return waiter

    def _one_less(self) -> None:
        self._used -= 1
        self._hanging = min(self._hanging, self._used)

    def _admit_next(self) -> None:
        while self._waiting and self._used < self.most:
            self._admit(self._next())

    def _admit(self, waiter: "asyncio.Future[HttpConnection | None]") -> None:
        if not waiter.done():
            self._used += 1
            waiter.set_result(None)

    def _look_at(self, when: float) -> None:
        self._hang_timer = asyncio.get_running_loop().call_at(when, self._look, when)

    def _look(self, due: float) -> None:
        """Does any connection become free while requests wait?"""
        self._hang_timer = None
        if not self._waiting:
            return
        now = asyncio.get_running_loop().time()
        slow = 2 * self._best if self._best < math.inf else 0.0
        hangs_at = self._freed_at + max(slow, HANGS * (1 + (self._sockets.waiting - 1) / MANY))
        if now - due > LATE:
            self._look_at(now + HANGS)
        elif now < hangs_at:
            self._look_at(hangs_at)
        else:
            self._hanging = self._used
            while self._waiting:
                self._admit(self._next())

    # -----------------------------------------------------------------------------------------------------------------

    def _measure(self, seconds: float, now: float) -> None:
        """Set how many connections requests may use by the quickest response of the last minutes."""
        if now >= self._best_until:
            self._best_before = self._best if self._best_until else math.inf
            self._best = math.inf
            self._best_until = now + BEST
        self._best = min(self._best, seconds)
        best = min(self._best, self._best_before)
        self._most = max(self._few, min(MOST, math.ceil(best * RATE)))
        if self._sockets.waiting <= MANY:  # else an overload may be what takes long
            self._admit_next()

    @property
    def _oldest_ends(self) -> float:
        """When the oldest idle connection is to be closed (loop time)."""
        return self._idle[0].idle_since + (KEPT if len(self._idle) <= self._most + 1 else KEPT_BEYOND)

    def _close_later(self) -> None:
        """Look again when the oldest is to be closed, and not before: at rest, timers of pools that looked every ten
        seconds were a third of what woke the process."""
        ends = self._oldest_ends
        if self._idle_timer is not None:
            if timers.due(self._idle_timer) <= ends:
                return
            self._idle_timer.cancel()
        self._idle_timer = asyncio.get_running_loop().call_at(ends, self._close_old)

    def _close_old(self) -> None:
        self._idle_timer = None
        now = asyncio.get_running_loop().time()
        while self._idle and now > self._oldest_ends - EARLY:
            self.close_idle()
        if self._idle:
            self._close_later()

    def _lost(self, connection: HttpConnection) -> None:
        """A connection has ended. If a request uses it, the request fails by itself."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
