"""Warn that no controller seems to run, so that the lists and statuses that are shown may be out of date."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from federation.cli import options, rows

if TYPE_CHECKING:
    from federation.kube.connection import Connection


async def warn(
    connection: "Connection", namespace: str, clusters: Iterable[Mapping[str, Any]], now: dt.datetime
) -> bool:
    """Warn on stderr if the last probe of every cluster is older than a running controller would let it get.

    Whether it is, so that no controller seems to run.
    """
    from federation.joining import heartbeat  # noqa: PLC0415

    listed = list(clusters)
    seconds = await heartbeat.silent(connection, namespace, listed, now)
    if seconds is None:
        return False
    since = rows.age((now - dt.timedelta(seconds=seconds)).isoformat(), now)
    ever = any(heartbeat.probed(each) for each in listed)
    what = (
        f"no cluster was probed in the last {since}" if ever else f"no cluster was probed since it joined {since} ago"
    )
    options.report(f"warning: {what}: the controller does not seem to run, and what is shown may be out of date")
    options.report(f"next: fedctl controller run --host-cluster-context {connection.name}, or check its pod")
    return True
