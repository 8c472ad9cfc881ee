"""The process of `fedctl controller run`: connections to the hub, a part in the election, a controller when it leads.

Start: hub connection -> the Lease (`leading`; with several shards `sharding`) -> a Controller (`composition`).
Stop (SIGTERM): the controller ends in order; the Lease is given back, exit 0.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from federation import logs, processes
from federation.composition import Controller
from federation.kube.connection import Connection
from federation.kube.gates import AGENT
from federation.kube.serving import Listener
from federation.kube.sockets import descriptors, sockets
from federation.leading import Leading, identify
from federation.model import marks
from federation.processes import endpoint_of, first, until
from federation.runtime.fence import Fence
from federation.runtime.tasks import Tasks
from federation.runtime.upkeep import Upkeep
from federation.sharding import Sharding

HUB_CONNECTIONS = 8
"""Connections for requests to the hub, which has to do with every object."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `fedctl controller run`. Without kubeconfig and context: the pod's own, else kubectl's rule."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str = marks.SYSTEM_NAMESPACE
    metrics_address: str = "127.0.0.1:8080"
    health_address: str = "127.0.0.1:8081"
    log_format: str = "json"
    log_level: str = "info"
    shards: int = 1


def main(options: Options) -> int:
    """Run the controller until SIGTERM or SIGINT; the exit code."""
    logs.configure(json=options.log_format == "json", level=options.log_level)
    return processes.run(lambda: _run(options), refused="controller cannot start")


async def _run(options: Options) -> int:
    stop = processes.stopped()
    log.info("connections are limited", open_files=descriptors(), most=sockets.most)
    endpoint, fence = await endpoint_of(options.kubeconfig, options.context), Fence()

    def connect(passes: Fence) -> Connection:
        return Connection("hub", endpoint, agent=AGENT, few=HUB_CONNECTIONS, fence=passes)

    connection = connect(fence)
    election = Connection("hub", endpoint, agent=f"{AGENT}-leader-election", few=options.shards)
    leading: Leading | Sharding | None = None
    listeners = _listeners(options, lambda: leading)
    running, upkeep = Tasks(), Upkeep()
    upkeep.serve(running)
    try:
        for listener, serves in zip(listeners, ("/metrics", "/livez and /readyz"), strict=True):
            log.info("listens" if (at := await listener.start()) else "not served", serves=serves, address=at or "none")
        stopping = running.spawn(until(stop), "stop")
        identity = await first(identify(connection), stopping)
        if identity is not None:
            make = functools.partial(Controller, hub_uid=identity, namespace=options.namespace, upkeep=upkeep)
            if options.shards > 1:
                leading = Sharding(
                    election,
                    number=options.shards,
                    namespace=options.namespace,
                    connect=connect,
                    make=lambda hub, passes, shard: make(hub, fence=passes, shard=shard),
                )
            else:
                leading = Leading(
                    connection,
                    election,
                    fence,
                    namespace=options.namespace,
                    hub_uid=identity,
                    make=lambda kept: make(connection, fence=fence, kept=kept),
                )
            try:
                why = await first(leading.run(), stopping)
            finally:
                await leading.stop()
            if why is not None:
                log.error("controller ends, to be started anew", reason=why)
                return 1
    finally:
        await running.cancel()
        for listener in listeners:
            await listener.stop()
        await connection.close()
        await election.close()
    return 0


def _listeners(options: Options, leading: Callable[[], Leading | Sharding | None]) -> tuple[Listener, Listener]:
    """For /metrics, and for the probes."""

    def live() -> str:
        now = leading()
        return now.live() if now is not None else ""

    def ready() -> str:
        now = leading()
        return now.ready() if now is not None else "the hub has not answered yet"

    return (
        Listener(options.metrics_address, {}, metrics=True, flag="--metrics-bind-address"),
        Listener(options.health_address, {"/livez": live, "/readyz": ready}, flag="--health-probe-bind-address"),
    )
