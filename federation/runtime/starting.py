"""Members are taken up a number at a time: probed, identified, listed. Watches are opened when none waits for that.

After a restart a thousand members are to be known again, and each costs several TLS handshakes and requests. If all are
taken up at once, they take so long that probes miss their deadline, and a user's change waits for all of it. In turns
each is done soon, and what a change waits for (the lists) goes before what it does not wait for (the watches).
"""

import asyncio
import contextlib

MOST = 100
"""Members that are taken up at once. Our own CPU is enough for about so many in a second."""
LONGEST = 1.0
"""Seconds after which the next one has its turn all the same: a member may be far away, or hang."""
LATEST = 30.0
"""Seconds that a watch waits at most for the lists of other members."""


class Turn:
    """One member is being taken up; `end` it when that is done, once or more often."""

    __slots__ = ("_starting", "_timer")

    def __init__(self, starting: "Starting") -> None:
        self._starting: Starting | None = starting
        self._timer = asyncio.get_running_loop().call_later(LONGEST, self.end)

    def end(self) -> None:
        """The next one may begin."""
        starting, self._starting = self._starting, None
        if starting is not None:
            self._timer.cancel()
            starting.ended()


class Starting:
    """Who has a turn, and who waits for one."""

    def __init__(self, most: int = MOST) -> None:
        self._turns = asyncio.Semaphore(most)
        self._under_way = 0
        self._over = asyncio.Event()
        self._over.set()

    async def begin(self) -> Turn:
        """Wait for a turn."""
        self._under_way += 1
        self._over.clear()
        try:
            await self._turns.acquire()
        except BaseException:
            self._one_less()
            raise
        return Turn(self)

    def ended(self) -> None:
        """A turn is over."""
        self._turns.release()
        self._one_less()

    async def over(self) -> None:
        """Wait until nobody waits for a turn or has one, but not for long."""
        if self._under_way:
            with contextlib.suppress(TimeoutError):  # there is always somebody: go on beside them
                async with asyncio.timeout(LATEST):
                    await self._over.wait()

    def _one_less(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._over.set()
