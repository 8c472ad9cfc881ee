"""The process around a controller or an agent: its loop, where its hub is, and the signal that ends it."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from federation.kube import kubeconfig
from federation.kube.endpoint import Endpoint
from federation.model.errors import FederationError
from federation.runtime import openfiles

log = structlog.get_logger()

T = TypeVar("T")


def run(work: Callable[[], Coroutine[Any, Any, int]], *, refused: str) -> int:
    """Run a controller or an agent; the exit code, 1 where it cannot start: the log says `refused`, and why."""
    openfiles.raise_limit()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        try:
            return runner.run(work())
        except FederationError as error:
            log.error(refused, reason=str(error))
            return 1


def stopped() -> asyncio.Event:
    """What SIGTERM and SIGINT set from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def first(work: Coroutine[Any, Any, T], stopping: asyncio.Task[None]) -> T | None:
    """The work's result, or None when the process is to stop before it has one."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait({task})
    return None


async def until(event: asyncio.Event) -> None:
    """Return when it is set."""
    await event.wait()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: about a sixth less CPU per push."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop


async def endpoint_of(config: str | None, context: str | None) -> Endpoint:
    """The hub: the pod's own where neither is given, else as kubectl finds it."""
    if config is None and context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return kubeconfig.in_cluster()
    return await kubeconfig.from_kubeconfig(kubeconfig.default_paths(config), context)
