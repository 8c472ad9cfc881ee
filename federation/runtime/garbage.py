"""Collect cyclic garbage without pauses that grow with the fleet.

Nearly all that the controller keeps is freed by its reference count, but Python's full collection looks at every object
for cycles, in one pause: 3.5 s of it at 3,500 clusters with ten types and 100,000 federated objects. So what a
collection has found alive is set aside (gc.freeze), and only what has come since is looked at, some milliseconds at
a time. Cycles among what was set aside (40 kB of each cluster that has left, and what was observed in it) wait for the
next look at everything: that is rare, and when nothing is to be done.

On a Python whose own collections are incremental `gc.get_count` may never reach ROUNDS: then they are left to it.
"""

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable

import structlog

YOUNG = 1_000
"""New objects after which the youngest are looked at: about a millisecond for each thousand."""
MIDDLE = 5
"""Such rounds after which what they have left is looked at."""
ROUNDS = 3
"""Such longer rounds after which what is alive is set aside: then some 20,000 objects are looked at."""
CROWD = 3 * ROUNDS
"""Longer rounds after which all is set aside unlooked at, because other tasks keep ours from its turn: a start that
makes 10,000 watches in one turn of the loop would be followed by a pause of 0.1 s."""
PERIOD = 60.0
"""Seconds between two looks at whether it is time to look at everything."""
SOON = 600.0
"""Seconds between two looks at everything after so MANY have left, if nothing is to be done then."""
MANY = 100
RARELY = 6 * 3600.0
"""Seconds between two looks at everything otherwise, if nothing is to be done then."""
AT_LEAST = 24 * 3600.0
"""Seconds after which there is one whatever is to be done."""
_NEVER = 1 << 30

log = structlog.get_logger()


class Garbage:
    """The collector of this process. `idle` says whether nothing is to be done just now, `left` how much has left."""

    def __init__(self, idle: Callable[[], bool], left: Callable[[], int] = lambda: 0) -> None:
        self._idle = idle
        self._left = left

    async def serve(self) -> None:
        """Collect until cancelled; then Python does it again by itself."""
        before = gc.get_threshold()
        loop, many = asyncio.get_running_loop(), asyncio.Event()

        def collected_young(phase: str, info: dict[str, int]) -> None:  # in whichever thread makes objects
            if phase == "start" or info["generation"] != 1:
                return
            rounds = gc.get_count()[2]
            if rounds == ROUNDS:
                loop.call_soon_threadsafe(many.set)
            elif rounds >= CROWD:
                gc.freeze()

        gc.set_threshold(YOUNG, MIDDLE, _NEVER)
        gc.callbacks.append(collected_young)
        everything()
        last, left = time.monotonic(), self._left()
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PERIOD):
                        await many.wait()
                many.clear()
                since = time.monotonic() - last
                due = RARELY if self._left() < left + MANY else SOON
                if since >= AT_LEAST or (since >= due and self._idle()):
                    last, left = time.monotonic(), self._left()
                    collected = everything()
                    log.debug("garbage collected", objects=collected, seconds=round(time.monotonic() - last, 3))
                elif gc.get_count()[2] >= ROUNDS:
                    recent()
        finally:
            gc.callbacks.remove(collected_young)
            gc.set_threshold(*before)
            gc.unfreeze()


def recent() -> int:
    """Collect what has come since the last time, and set aside what is alive; the number of objects collected."""
    collected = gc.collect()
    gc.freeze()
    return collected


def everything() -> int:
    """Collect among all objects, and set aside what is alive; the number of objects collected."""
    gc.unfreeze()
    return recent()
