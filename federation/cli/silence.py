"""Warn that no controller seems to run, so that the lists and statuses that are shown may be out of date."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from federation.cli import options, rows

if TYPE_CHECKING:
    from federation.joining.leases import Leader
    from federation.kube.connection import Connection


async def warn(connection: "Connection", namespace: str, clusters: Iterable[Mapping[str, Any]]) -> bool:
    """Warn on stderr if nobody has renewed the leader's Lease; whether that is so, and no controller leads.

    Where the Lease is not there or may not be read, the probes tell: if the last one of every cluster is older than a
    running controller would let it get.
    """
    from federation.joining import heartbeat, leases  # noqa: PLC0415

    listed = list(clusters)
    leader = await leases.leader(connection, namespace)
    if leader is None:
        seconds = await heartbeat.silent(connection, namespace, listed)
        what = _not_probed(listed, seconds) if seconds is not None else ""
    else:
        seconds = leader.silent(heartbeat.now(connection))
        what = _not_led(leader, seconds) if seconds is not None else ""
    if not what:
        if leader is not None and leader.shards:
            await _warn_of_shards(connection, namespace)
        return False
    options.report(f"warning: {what}: the controller does not seem to run, and what is shown may be out of date")
    if skew := heartbeat.skew(connection):
        which = "ahead of" if skew > 0 else "behind"
        differs = f"this machine's clock is {rows.span(abs(skew))} {which} the host's"
        options.report(f"note: {differs}; a controller on a machine whose clock is wrong seems not to run")
    options.report(f"next: fedctl controller run --host-cluster-context {connection.name}, or check its pod")
    return True


async def _warn_of_shards(connection: "Connection", namespace: str) -> None:
    """Warn of shards that nobody serves: the first one is served."""
    from federation.joining import heartbeat, leases  # noqa: PLC0415

    found, number = leases.in_force(
        [each for each in map(leases.read, await leases.leases(connection, namespace)) if each]
    )
    now = heartbeat.now(connection)
    for each in found:
        if (seconds := each.silent(now)) is not None:
            shard = f"shard {each.shard} of {number}: {_not_led(each, seconds)}"
            options.report(f"warning: {shard}: what is shown of its clusters may be out of date")


def _not_probed(clusters: Iterable[Mapping[str, Any]], seconds: float) -> str:
    from federation.joining import heartbeat  # noqa: PLC0415

    since = rows.span(seconds)
    if any(heartbeat.probed(each) for each in clusters):
        return f"no cluster was probed in the last {since}"
    return f"no cluster was probed since it joined {since} ago"


def _not_led(leader: "Leader", seconds: float) -> str:
    since = rows.span(seconds)
    if not leader.host:
        return f"no controller leads since the last one was stopped {since} ago"
    return f"{leader.host} led last, and has not renewed its Lease for {since}"
