"""Whether a controller runs, by the time of its last probes, as it is in the KubeFedClusters at the host.

The controller updates lastProbeTime with every change and, where nothing changes, after five minutes; of more than 300
clusters one in each second (core.health). If the newest is older, no controller runs, and every status may be out of
date. The host's clock says how old it is: this machine's may be wrong.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from federation.core import configuration, health, times
from federation.joining import applying
from federation.kube.connection import Connection
from federation.model.conditions import ClusterConditionType
from federation.model.errors import ApiFailure, Invalid
from federation.model.resources import KUBEFED_CONFIGS
from federation.model.settings import Settings

GRACE = 60.0
"""Seconds added for a probe, its write and differing clocks; a new cluster gets as long until its first probe."""
SKEW = 60.0
"""Seconds by which the clocks of this machine and the host may differ without a word."""

DEFAULT = Settings()
Object = Mapping[str, Any]


def now(host: Connection) -> dt.datetime:
    """The time by the clock of the host, which was asked something before; by ours where it does not say.

    All times that the host stores are compared with this one.
    """
    there = host.clock
    return dt.datetime.now(dt.UTC) if there is None else dt.datetime.fromtimestamp(there, dt.UTC)


def skew(host: Connection) -> float:
    """Seconds by which this machine's clock is ahead of the host's; 0 where that is not worth a word."""
    seconds = (dt.datetime.now(dt.UTC) - now(host)).total_seconds()
    return seconds if abs(seconds) > SKEW else 0.0


def probed(cluster: Object) -> dt.datetime | None:
    """A KubeFedCluster's lastProbeTime; None when it has none that can be read."""
    status = cluster.get("status")
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    for each in conditions if isinstance(conditions, list) else ():
        if isinstance(each, Mapping) and each.get("type") == ClusterConditionType.READY:
            return times.moment(each.get("lastProbeTime"))
    return None


def bound(settings: Settings = DEFAULT) -> float:
    """The age in seconds that lastProbeTime can have while a controller runs: it is renewed with a probe."""
    return health.PROBE_TIME_LASTS + settings.health.period + settings.health.timeout + GRACE


def silence(clusters: Iterable[Object], at: dt.datetime, limit: float) -> float | None:
    """Seconds since the newest probe of any of these clusters, if more than `limit`: then no controller runs.

    If none was ever probed: seconds since the first of them joined. None where a controller runs, or where there is no
    cluster that it would have probed.
    """
    last: list[dt.datetime] = []
    joined: list[dt.datetime] = []
    for each in clusters:
        if (when := probed(each)) is not None:
            last.append(when)
        elif not (each.get("status") or {}):
            metadata = each.get("metadata")
            created = times.moment(metadata.get("creationTimestamp")) if isinstance(metadata, Mapping) else None
            joined += [created] if created is not None else []
    if last:
        seconds = (at - max(last)).total_seconds()
        return seconds if seconds > limit else None
    seconds = (at - min(joined)).total_seconds() if joined else 0.0
    return seconds if seconds > GRACE else None


async def silent(host: Connection, namespace: str, clusters: Iterable[Object]) -> float | None:
    """`silence` with the host's own health check period, which is read only if the default one is exceeded."""
    listed = list(clusters)
    found = silence(listed, now(host), bound())
    return None if found is None else silence(listed, now(host), await limit(host, namespace))


async def limit(host: Connection, namespace: str) -> float:
    """`bound` with the settings of the host's KubeFedConfig; with the defaults where it cannot be read."""
    try:
        configs = await applying.listing(host, KUBEFED_CONFIGS, namespace)
        return max((bound(configuration.settings(each.get("spec"))) for each in configs), default=bound())
    except (ApiFailure, Invalid):
        return bound()
