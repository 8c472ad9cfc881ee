"""Warn that no controller seems to run, so that the lists and statuses that are shown may be out of date."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from federation.cli import options, rows

if TYPE_CHECKING:
    from federation.kube.connection import Connection


async def warn(connection: "Connection", namespace: str, clusters: Iterable[Mapping[str, Any]]) -> bool:
    """Warn on stderr if the last probe of every cluster is older than a running controller would let it get.

    Whether it is, so that no controller seems to run.
    """
    from federation.joining import heartbeat  # noqa: PLC0415

    listed = list(clusters)
    seconds = await heartbeat.silent(connection, namespace, listed)
    if seconds is None:
        return False
    since = rows.span(seconds)
    ever = any(heartbeat.probed(each) for each in listed)
    what = (
        f"no cluster was probed in the last {since}" if ever else f"no cluster was probed since it joined {since} ago"
    )
    options.report(f"warning: {what}: the controller does not seem to run, and what is shown may be out of date")
    if skew := heartbeat.skew(connection):
        which = "ahead of" if skew > 0 else "behind"
        differs = f"this machine's clock is {rows.span(abs(skew))} {which} the host's"
        options.report(f"note: {differs}; a controller on a machine whose clock is wrong seems not to run")
    options.report(f"next: fedctl controller run --host-cluster-context {connection.name}, or check its pod")
    return True
