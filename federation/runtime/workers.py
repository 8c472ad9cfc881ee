"""Take keys, process them, and decide from the outcome when each comes again: the only such table.

| outcome                 | next                                               |
| ----------------------- | -------------------------------------------------- |
| returned                | when something changes; its failures are forgotten |
| ApiFailure, Retry-After | as told                                            |
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

K = TypeVar("K", bound=Hashable)

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
        self._adds_told = 0
        self._active = 0
        metrics.QUEUE_DEPTH.labels(name).set_function(lambda: len(queue))
        metrics.QUEUE_LATER.labels(name).set_function(lambda: queue.later)
        metrics.ACTIVE_WORKERS.labels(name).set_function(lambda: self._active)

    async def serve(self) -> None:
        """Work until cancelled. A poison key delays only itself."""
        while True:
            key = await self._queue.take()
            started = time.monotonic()
            self._active += 1
            self._adds.inc(self._queue.added - self._adds_told)
            self._adds_told = self._queue.added
            try:
                await self._process(key)
            except ApiFailure as error:
                self._failed.inc()
                wait = error.failure.retry_after
                self._queue.add_after(key, self._refused.next(key) if wait is None else wait)
                log.debug("hub refused", controller=self._name, key=str(key), reason=str(error))
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
                self._queue.done(key)
                self._seconds.observe(time.monotonic() - started)
            # A turn that waits for nothing must not keep the loop from watches, lanes and probes.
            await asyncio.sleep(0)
