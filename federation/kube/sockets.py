"""The number of open connections of the process, and its limit: each needs a file descriptor.

When descriptors run out, nothing can be opened any more, no file and no log either. So the limit is below the system's.
Before a connection is refused, idle ones are closed; and an eighth is reserved for requests, which watches cannot use.
"""

import resource
import time
import weakref
from collections.abc import Callable
from typing import Protocol

import structlog

from federation.model import bounds
from federation.runtime import metrics

RESERVED = 32
"""Descriptors for everything else: the event loop, logs, listeners and their clients."""
LOGGED_AGAIN = 60.0
"""Seconds until the limit is logged again."""
_MOST = 1 << 20
"""Used in place of no limit."""

log = structlog.get_logger()


def files_for(connections: int) -> int:
    """Open files by which so many connections may be open: the reverse of `Sockets.most`."""
    files = connections + RESERVED
    return files + files // 15 + 1


class TooMany(OSError):
    """The process has as many connections open as it may have."""


class HasIdle(Protocol):
    """A pool."""

    @property
    def idle(self) -> int:
        """How many of its connections are idle."""

    def close_idle(self) -> None:
        """Close one idle connection, if there is one."""


class Sockets:
    """Counts connections. `descriptors` returns how many file descriptors the process may have."""

    def __init__(self, descriptors: Callable[[], int]) -> None:
        self.open = 0
        self.waiting = 0
        """Pools whose requests wait for a connection."""
        self._descriptors = descriptors
        self._pools: weakref.WeakSet[HasIdle] = weakref.WeakSet()
        self._logged = -LOGGED_AGAIN

    @property
    def most(self) -> int:
        """Connections that may be open."""
        descriptors = self._descriptors()
        return max(1, descriptors - RESERVED - descriptors // 16)

    def register(self, pool: HasIdle) -> None:
        """Use this pool's idle connections when the limit is reached."""
        self._pools.add(pool)

    def take(self, *, watch: bool = False) -> None:
        """Count one more connection, before it is opened. Raises TooMany at the limit."""
        most = self.most
        limit = most - most // bounds.FOR_REQUESTS if watch else most
        if self.open >= limit:
            pool = max(self._pools, key=lambda pool: pool.idle, default=None)
            if pool is not None and pool.idle:
                pool.close_idle()
            else:
                self._refuse(limit)
        self.open += 1
        metrics.CONNECTIONS_OPENED.inc()

    def give(self) -> None:
        """Count one less."""
        self.open -= 1

    def _refuse(self, limit: int) -> None:
        now = time.monotonic()
        if now - self._logged >= LOGGED_AGAIN:
            self._logged = now
            log.error(
                "no more connections can be opened: raise the limit of open files (ulimit -n, LimitNOFILE)",
                open=self.open,
                most=limit,
                open_files=self._descriptors(),
            )
        raise TooMany(None, f"this process has {self.open} connections open and may have no more")


def descriptors() -> int:
    """File descriptors that the process may have (runtime.openfiles raises the limit)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else min(soft, _MOST)


sockets = Sockets(descriptors)
metrics.CONNECTIONS.set_function(lambda: sockets.open)
