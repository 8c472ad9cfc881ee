"""Join several clusters in one call, some at a time; what all need to know of the host is read once for some seconds.

Each join is that of `joins`, through the context named as the cluster. The failure of one does not stop the others.
"""

import asyncio
import time
from collections.abc import Sequence

from federation.joining import applying, fleet, joinplans, joins
from federation.joining.applying import Report
from federation.joining.contexts import Contexts
from federation.joining.errors import NotConfirmed, Refused
from federation.joining.joinplans import HostFacts
from federation.joining.objects import Wanted
from federation.joining.visiting import AT_ONCE
from federation.kube.connection import Connection
from federation.model.errors import FederationError
from federation.model.resources import KUBEFED_CLUSTERS

FRESH = 10.0
"""Seconds for which the host's facts are used: a type that is enabled meanwhile is in the roles of later joins."""


class _Host:
    """The host, and what was read of it last."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.connection = connection
        self._namespace = namespace
        self._facts: HostFacts | None = None
        self._read = 0.0
        self._lock = asyncio.Lock()
        self._joining: dict[str, str] = {}

    async def facts(self) -> HostFacts:
        async with self._lock:
            if self._facts is None or time.monotonic() - self._read > FRESH:
                self._facts = await joinplans.host_facts(self.connection, self._namespace)
                self._read = time.monotonic()
            return self._facts

    def claim(self, name: str, uid: str) -> None:
        """Refuse a cluster that another join of this call has under another name: the facts do not show it yet."""
        other = self._joining.setdefault(uid, name) if uid else name
        if other != name:
            raise Refused(f"{name} is the same cluster as {other}: it would get everything twice", f"leave {name} out")


async def join(
    contexts: Contexts, host: Connection, wanted: Sequence[Wanted], report: Report
) -> dict[str, FederationError]:
    """Join the clusters; returns the errors of those that have not joined, by name. All are in one system namespace."""
    if not wanted:
        return {}
    at, slots = _Host(host, wanted[0].namespace), asyncio.Semaphore(AT_ONCE)
    await at.facts()  # a host that cannot be used is one error, not one for each cluster
    errors: dict[str, FederationError] = {}
    warned: set[str] = set()
    done = 0

    async def one(each: Wanted) -> None:
        nonlocal done
        async with slots:
            try:
                await _join(contexts, at, each, lambda line: _warn(each.name, line, warned, report))
            except FederationError as error:
                errors[each.name] = error
            done += 1
            outcome = f"has not joined: {errors[each.name]}" if each.name in errors else f"has joined {host.name}"
            report(f"[{done}/{len(wanted)}] cluster {each.name} {outcome}")

    async with asyncio.TaskGroup() as group:
        for each in wanted:
            group.create_task(one(each))
    return errors


async def _join(contexts: Contexts, at: _Host, wanted: Wanted, report: Report) -> None:
    facts = await at.facts()
    member = await contexts.open(wanted.name)
    try:
        plan, found = await joinplans.inspect(at.connection, member, wanted, facts)
        at.claim(wanted.name, plan.findings.uid)
        joins.refuse_failed(plan, found, report)
        await joins.carry_out(at.connection, member, plan, report)
    finally:
        if member is not at.connection:  # the host may be a member, too
            await contexts.close(wanted.name)


def _warn(name: str, line: str, warned: set[str], report: Report) -> None:
    """Pass on warnings and notes, each text once: of a thousand joins the single steps are too many lines."""
    if line.startswith(("warning: ", "note: ")) and line not in warned:
        warned.add(line)
        report(f"{name}: {line}")


async def wait_ready(host: Connection, namespace: str, names: Sequence[str], *, timeout: float) -> None:
    """Wait until the controller reports all of these clusters as Ready. Raises NotConfirmed."""
    waiting = set(names)

    async def ready() -> bool:
        for cluster in await fleet.listing(host, KUBEFED_CLUSTERS, namespace):
            condition = fleet.readiness(cluster)
            if condition is not None and condition.get("status") == "True":
                waiting.discard(cluster["metadata"]["name"])
        return not waiting

    try:
        await applying.until(ready, timeout=timeout, what="")
    except NotConfirmed:
        some = ", ".join(sorted(waiting)[:10]) + (", ..." if len(waiting) > 10 else "")
        raise NotConfirmed(
            f"{len(waiting)} of {len(names)} clusters have joined and are not Ready after {timeout:g} s: {some}",
            "check again with: fedctl get clusters -o wide",
        ) from None
