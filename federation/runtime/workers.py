"""Take keys, process them, and decide from the outcome when each comes again: the only such table.

| outcome                 | next                                               |
| ----------------------- | -------------------------------------------------- |
| returned                | when something changes; its failures are forgotten |
| ApiFailure, Retry-After | after that time                                    |
| ApiFailure              | exponential, 0.2 s to 60 s                         |
| any other exception     | a bug: logged, exponential, 1 s to 16 min          |
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import structlog

from federation.model.errors import ApiFailure
from federation.runtime import metrics
from federation.runtime.backoff import Backoff
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.tasks import Tasks

K = TypeVar("K", bound=Hashable)

LONG = 5.0
"""Seconds of waiting from which on it is worth a warning that the hub refuses something."""
QUIET = 300.0
"""Seconds between two such warnings of one controller."""

log = structlog.get_logger()


class Workers(Generic[K]):
    """Shared bookkeeping of all workers on one queue; run `serve` as many times as keys may be in work at once."""

    def __init__(self, name: str, queue: KeyQueue[K], process: Callable[[K], Awaitable[None]]) -> None:
        self._name = name
        self._queue = queue
        self._process = process
        self._refused: Backoff[K] = Backoff(base=0.2, cap=60.0)
        self._broken: Backoff[K] = Backoff(base=1.0, cap=960.0)
        self._seconds = metrics.RECONCILE_SECONDS.labels(name)
        self._succeeded = metrics.RECONCILES.labels(name, "success")
        self._failed = metrics.RECONCILES.labels(name, "error")
        self._errors = metrics.RECONCILE_ERRORS.labels(name)
        self._adds = metrics.QUEUE_ADDS.labels(name)
        self._adds_reported = 0
        self._active = 0
        self._warned = -QUIET
        self.busy: set[asyncio.Task[None]] = set()
        """Tasks that have a key in work."""
        self._serving = 0
        self._shown: tuple[Callable[[], None], ...] = ()

    async def serve(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Work until cancelled, or until there are `enough` others. A poison key delays only itself."""
        if not self._serving:
            self._shown = (
                metrics.QUEUE_DEPTH.follow(lambda: len(self._queue), self._name),
                metrics.QUEUE_LATER.follow(lambda: self._queue.later, self._name),
                metrics.ACTIVE_WORKERS.follow(lambda: self._active, self._name),
            )
        self._serving += 1
        try:
            await self._serve(enough)
        finally:
            self._serving -= 1
            for end in self._shown if not self._serving else ():
                end()

    async def _serve(self, enough: Callable[[], bool]) -> None:
        task = asyncio.current_task()
        while not enough():
            key = await self._queue.take()
            started = time.monotonic()
            self._active += 1
            if task is not None:
                self.busy.add(task)
            self._adds.inc(self._queue.added - self._adds_reported)
            self._adds_reported = self._queue.added
            try:
                await self._process(key)
            except ApiFailure as error:
                self._failed.inc()
                wait = error.failure.retry_after
                wait = self._refused.next(key) if wait is None else wait
                self._queue.add_after(key, wait)
                log.debug("hub refused", controller=self._name, key=str(key), reason=str(error))
                if wait >= LONG and started - self._warned >= QUIET:  # one key stands for all
                    self._warned = started
                    log.warning("work waits for the hub", controller=self._name, key=str(key), reason=str(error))
            except Exception:
                self._failed.inc()
                self._errors.inc()
                wait = self._broken.next(key)
                self._queue.add_after(key, wait)
                log.exception("reconcile failed", controller=self._name, key=str(key), next_try_in_s=round(wait, 1))
            else:
                self._succeeded.inc()
                self._refused.forget(key)
                self._broken.forget(key)
            finally:
                self._active -= 1
                if task is not None:
                    self.busy.discard(task)
                self._queue.done(key)
                self._seconds.observe(time.monotonic() - started)
            # A turn that waits for nothing must not keep the loop from watches, lanes and probes.
            await asyncio.sleep(0)


class Crew(Generic[K]):
    """So many workers on one queue at once, more or fewer while they work; `owner` ends them all."""

    def __init__(self, workers: Workers[K], owner: Tasks) -> None:
        self._workers = workers
        self._owner = owner
        self._tasks: set[asyncio.Task[None]] = set()
        self._size = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def resize(self, size: int) -> None:
        """Have so many: idle ones that are too many end now, busy ones after the key that they have."""
        self._size = size
        while len(self._tasks) < size:
            task = self._owner.keep(self._work, f"worker:{len(self._tasks)}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        for task in [task for task in self._tasks if task not in self._workers.busy][: len(self._tasks) - size]:
            self._tasks.discard(task)
            task.cancel()

    async def _work(self) -> None:
        await self._workers.serve(self._enough)

    def _enough(self) -> bool:
        if len(self._tasks) <= self._size:
            return False
        task = asyncio.current_task()
        if task is not None:
            self._tasks.discard(task)
        return True
