"""Every task has an owner: a set of tasks that can be ended together, each kept alive through bugs of its own.

A loop that dies of a bug (one member's odd answer) must not take the controller with it, nor stay dead in silence:
it is logged and started again after a while.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from federation.runtime import backoff

WELL = 600.0
"""Seconds after which a loop counts as well again: only failures in a row make the wait longer."""

log = structlog.get_logger()


class Tasks:
    """A set of tasks of one owner."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start something that ends by itself; an exception is logged, for it can only be a bug."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep(self, loop: Callable[[], Awaitable[None]], name: str) -> asyncio.Task[None]:
        """Start something that should run until it is cancelled; after a bug it is started again."""
        return self.spawn(_kept(loop, name), name)

    def stop(self) -> None:
        """End all without waiting: none of them takes another step; await `cancel` to know that they have ended."""
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    async def cancel(self) -> None:
        """End all and wait until they have."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def finish(self, seconds: float) -> int:
        """Give what runs some time to end by itself, then end it; the number that had to be ended."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        left = len(self._tasks)
        await self.cancel()
        return left

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task died", task=task.get_name(), exc_info=error)


async def _kept(loop: Callable[[], Awaitable[None]], name: str) -> None:
    attempt = 0
    while True:
        started = time.monotonic()
        try:
            await loop()
        except Exception:
            if time.monotonic() - started > WELL:
                attempt = 0
            wait = backoff.delay(attempt, base=1.0, cap=60.0)
            attempt += 1
            log.exception("loop failed", loop=name, again_in_s=round(wait, 1))
            await asyncio.sleep(wait)
        else:
            return
