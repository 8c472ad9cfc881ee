"""Process what is in a queue at the start, before any worker runs."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from federation.model.errors import ApiFailure
from federation.runtime.keyqueue import KeyQueue

DRAINED = 20
"""Clusters or types that are processed at the start before other tasks get a turn: thousands, of which none waits for
anything, must not hold the loop, nor wait for everything else after each."""

log = structlog.get_logger()


async def drain(queue: KeyQueue[str], process: Callable[[str], Awaitable[None]]) -> None:
    """Process what is in the queue now, before any worker runs; what fails or comes meanwhile is for the workers."""
    for number, name in enumerate(_taken(queue), start=1):
        await _turn(queue, process, name)
        if number % DRAINED == 0:
            await asyncio.sleep(0)


async def drain_together(queue: KeyQueue[str], process: Callable[[str], Awaitable[None]]) -> None:
    """The same, all at once: each waits for the hub, and meanwhile thousands of members have their turns."""
    await asyncio.gather(*(_turn(queue, process, name) for name in _taken(queue)))


def _taken(queue: KeyQueue[str]) -> list[str]:
    names = (queue.take_nowait() for _ in range(len(queue)))
    return [name for name in names if name is not None]


async def _turn(queue: KeyQueue[str], process: Callable[[str], Awaitable[None]], name: str) -> None:
    try:
        await process(name)
    except ApiFailure as error:
        log.warning("will be tried again", name=name, reason=str(error))
        queue.add_after(name, 1.0)
    except Exception:
        log.exception("will be tried again", name=name)  # a bug that one object triggers must not stop the start
        queue.add_after(name, 1.0)
    finally:
        queue.done(name)
