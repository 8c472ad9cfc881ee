"""The process of `fedctl agent run`: its memberships, metrics and health, and credentials that change while it runs.

A process may carry many memberships, each with its own credentials at its hub and in its member; what each costs is in
the metrics by its cluster. SIGTERM ends it in order.
"""

import asyncio
import contextlib
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from federation import logs, processes
from federation.agent import credentials
from federation.agent.membership import NAMESPACE, Identity, Membership
from federation.agent.registered import Registered
from federation.agent.shares import Shares
from federation.kube.serving import Listener
from federation.model.errors import Unusable
from federation.processes import first, until
from federation.runtime.garbage import Garbage
from federation.runtime.lateness import Lateness
from federation.runtime.tasks import Tasks

CREDENTIALS = 10.0
"""Seconds between two looks at whether the hub's kubeconfig has changed."""
LONGEST_LAG = 5.0
"""Seconds the event loop may be late before /livez fails."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wanted:
    """One membership. `hub` is a kubeconfig file, which may change while the process runs; "" for one that registers by
    itself (agent.registering). `member` None: the pod's own account, or kubectl's rule."""

    cluster: str
    hub: str
    member: str | None = None
    hub_context: str | None = None
    member_context: str | None = None
    namespace: str = NAMESPACE
    agent_id: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `fedctl agent run`."""

    memberships: Sequence[Wanted]
    metrics_address: str = "127.0.0.1:8080"
    health_address: str = "127.0.0.1:8081"
    log_format: str = "json"
    log_level: str = "info"


def main(options: Options) -> int:
    """Run the agent until SIGTERM or SIGINT; the exit code."""
    logs.configure(json=options.log_format == "json", level=options.log_level)
    return processes.run(lambda: _run(options), refused="agent cannot start")


async def _run(options: Options) -> int:
    stop = processes.stopped()
    lateness = Lateness()
    memberships: list[Membership] = []
    registered: list[Registered] = []
    listeners = [
        Listener(options.metrics_address, {}, metrics=True, flag="--metrics-bind-address"),
        Listener(
            options.health_address,
            {
                "/livez": lambda: "" if lateness.recent < LONGEST_LAG else f"the loop is {lateness.recent:.1f} s late",
                "/readyz": lambda: _ready(memberships, registered, len(options.memberships)),
                "/healthz": lambda: _ready(memberships, registered, len(options.memberships)),
                "/hubz": lambda: _heard(memberships),
            },
            flag="--health-probe-bind-address",
        ),
    ]
    running = Tasks()
    try:
        for listener, serves in zip(listeners, ("/metrics", "/livez, /readyz, /healthz and /hubz"), strict=True):
            log.info("listens" if (at := await listener.start()) else "not served", serves=serves, address=at or "none")
        running.keep(lateness.serve, "lateness")
        running.keep(Garbage(lambda: True).serve, "garbage")
        running.keep(Shares(memberships).serve, "shares")
        stopping = running.spawn(until(stop), "stop")
        several = len(options.memberships) > 1  # then metrics of requests name the cluster of each
        for each in options.memberships:
            member = await credentials.of_member(each.member, each.member_context)
            if not each.hub:
                own = Registered(member, each.namespace, each.agent_id, "" if several else "hub", memberships.append)
                registered.append(own)
                running.keep(own.run, "registered")
                continue
            hub = await credentials.of_file(each.hub, each.hub_context)
            who = Identity(each.cluster, each.namespace, each.agent_id)
            membership = Membership(who, hub, member, label=f"hub/{each.cluster}" if several else "hub")
            memberships.append(membership)
            running.keep(_Credentials(each, membership).serve, f"credentials:{each.cluster}")
        await first(_all([*memberships]), stopping)
    finally:
        await running.cancel()
        await asyncio.gather(*(each.close() for each in memberships), *(each.close() for each in registered))
        for listener in listeners:
            await listener.stop()
    return 0


async def _all(memberships: Sequence[Membership]) -> None:
    """All of them until cancelled. What fails in one is logged and begins anew; it is none of the others' business."""
    tasks = Tasks()
    try:
        for each in memberships:
            tasks.keep(each.run, f"membership:{each.identity.cluster}")
        await asyncio.Event().wait()
    finally:
        await tasks.cancel()


class _Credentials:
    """Follows one membership's kubeconfig: a certificate that was renewed is used from the next connection on."""

    def __init__(self, wanted: Wanted, membership: Membership) -> None:
        self._wanted = wanted
        self._membership = membership

    async def serve(self) -> None:
        """Look until cancelled."""
        before = self._stamp()
        while True:
            await asyncio.sleep(CREDENTIALS)
            now = self._stamp()
            if now == before:
                continue
            try:
                hub = await credentials.of_file(self._wanted.hub, self._wanted.hub_context)
            except Unusable as error:  # half written, perhaps: it is looked at again
                log.warning("credentials cannot be read", cluster=self._wanted.cluster, reason=str(error))
                continue
            before = now
            log.info("credentials have changed", cluster=self._wanted.cluster)
            await self._membership.follow(hub)

    def _stamp(self) -> tuple[int, int, int]:
        with contextlib.suppress(OSError):
            found = pathlib.Path(self._wanted.hub).stat()
            return found.st_mtime_ns, found.st_size, found.st_ino
        return 0, 0, 0


def _ready(memberships: Sequence[Membership], registered: Sequence[Registered], wanted: int) -> str:
    if len(memberships) < wanted:
        return next((each.problem for each in registered if each.problem), "not all memberships have begun")
    return next((f"{each.identity.cluster}: {why}" for each in memberships if (why := each.ready())), "")


def _heard(memberships: Sequence[Membership]) -> str:
    """Since when which hub was not heard of; "" where all are."""
    silent = [
        f"{each.identity.cluster}: the hub was not heard for {each.silence:.0f} s"
        for each in memberships
        if each.silence
    ]
    return "; ".join(silent)
