"""Who leads at a host, and whether that controller lives, by the Lease that it renews.

How old a renewal is, is told by the host's own clock: by the time at which it noted the write in managedFields. The
renewTime beside it is of the controller's clock, which may be wrong.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.core import leadership, times
from federation.core import shards as numbering
from federation.joining import applying
from federation.kube import decoding
from federation.kube.connection import Connection, encode
from federation.model.errors import ApiFailure
from federation.model.resources import LEASES, PODS, ObjectName

LATE = 2.0
"""Seconds that are allowed for: managedFields has whole ones, and an answer takes its time."""
CONTROLLER_LABEL = "app.kubernetes.io/name=kubefed-controller"
_READY = "Ready"


@dataclass(frozen=True, slots=True)
class Leader:
    """The holder of a Lease; `host` is "" where it was given back. `renewed` is by the host's clock if it says so.
    `shards` is what it says of how many shards there are (core.shards.Numbers)."""

    lease: str
    identity: str
    host: str
    since: dt.datetime | None
    renewed: dt.datetime | None
    seconds: float
    transitions: int
    shards: str = ""

    @property
    def shard(self) -> int:
        """Which one it is of; 0 where there is one alone."""
        index = self.lease.removeprefix(f"{leadership.lease_name()}-")
        return int(index) if index.isdecimal() else 0

    def silent(self, now: dt.datetime) -> float | None:
        """Seconds since the last renewal, if nobody can be leading any more; None while somebody leads."""
        if self.renewed is None:
            return None
        age = (now - self.renewed).total_seconds()
        return max(0.0, age) if not self.host or age > self.seconds + LATE else None


@dataclass(frozen=True, slots=True)
class Replica:
    """A Pod of the controller's Deployment."""

    name: str
    ready: bool
    created: str


async def leader(host: Connection, namespace: str) -> Leader | None:
    """The leader as the Lease names it; None where there is no Lease, or it may not be read: then nothing is known."""
    try:
        found = await applying.find(host, LEASES, ObjectName(namespace, leadership.lease_name()))
    except ApiFailure:
        return None
    return read(found) if found is not None else None


async def leases(host: Connection, namespace: str) -> list[dict[str, Any]]:
    """The Leases by which controllers elect their leaders. Raises ApiFailure."""
    listed = await applying.listing(host, LEASES, namespace)
    found = [each for each in listed if _name(each) == leadership.lease_name() or _of_a_shard(_name(each))]
    return [{"apiVersion": LEASES.api_version, "kind": LEASES.kind} | each for each in sorted(found, key=_name)]


def in_force(found: Sequence[Leader]) -> tuple[list[Leader], int]:
    """Those of the shards that there are, each once, and how many these are; of others Leases may have been left."""
    number = next((numbering.numbers(each.shards).now for each in found if not each.shard), 1)
    return [each for each in found if each.shard < number], number


async def replicas(host: Connection, namespace: str) -> list[Replica]:
    """The controllers that run in the host itself; none where Pods may not be read."""
    try:
        pods = await applying.listing(host, PODS, namespace, selector=CONTROLLER_LABEL)
    except ApiFailure:
        return []
    return [Replica(_name(each), _ready(each), str(each["metadata"].get("creationTimestamp"))) for each in pods]


def read(found: Mapping[str, Any]) -> Leader | None:
    """What a Lease says; None where it says nothing that can be read."""
    try:
        stored = decoding.stored(encode(found))
    except decoding.ERRORS:
        return None
    if stored.metadata.name != leadership.lease_name() and not _of_a_shard(stored.metadata.name):
        return None
    lease = leadership.read(stored)
    written = [times.moment(each.get("time")) for each in _entries(found)]
    noted = max((each for each in written if each is not None), default=None)
    return Leader(
        lease=stored.metadata.name,
        identity=lease.holder,
        host=leadership.host(lease.holder),
        since=times.moment(lease.acquired),
        renewed=noted or times.moment(lease.renewed),
        seconds=lease.seconds,
        transitions=lease.transitions,
        shards=lease.shards,
    )


def _of_a_shard(name: str) -> bool:
    return name.removeprefix(f"{leadership.lease_name()}-").isdecimal()


def _entries(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    metadata = found.get("metadata")
    entries = metadata.get("managedFields") if isinstance(metadata, Mapping) else None
    return [each for each in entries if isinstance(each, Mapping)] if isinstance(entries, list) else []


def _name(found: Mapping[str, Any]) -> str:
    return str(found["metadata"]["name"])


def _ready(pod: Mapping[str, Any]) -> bool:
    status = pod.get("status")
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    return any(
        each.get("type") == _READY and each.get("status") == "True"
        for each in (conditions if isinstance(conditions, list) else ())
        if isinstance(each, Mapping)
    )
