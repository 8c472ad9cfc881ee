"""How many shards there are: all processes that act agree on it, by the Leases themselves (core.shards.Numbers).

The number is on the Lease of the first shard. Who takes that with another number writes so, and acts only when nobody
holds any other Lease by the number before. Who takes any other Lease acts only where the first one says its number.
Each writes first and looks then, so that of two that do it at once one sees the other. A process that was started with
another number therefore waits until the last one of the number before has gone. With one shard nothing of that is
written, and nothing is asked.
"""

import time
from typing import Any, Protocol

from federation.core import leadership, shards
from federation.core.leadership import Lease
from federation.core.shards import Numbers, Shard
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.resources import LEASES, ObjectName, Resource
from federation.model.settings import LeaderElection


class LeaseHub(Protocol):
    """The hub as far as a Lease needs it. It does not pass the fence: by it the fence is opened."""

    async def read(self, resource: Resource, name: ObjectName) -> StoredObject | Failure:
        """The Lease as it is now."""

    async def create(self, resource: Resource, namespace: str, body: Any) -> Failure | None:
        """POST."""

    async def merge(self, resource: Resource, name: ObjectName, body: bytes) -> Metadata | Failure:
        """Merge patch."""


class Numbering:
    """The number that this process was started with, for one shard."""

    def __init__(self, hub: LeaseHub, namespace: str, shard: Shard) -> None:
        self._hub = hub
        self._namespace = namespace
        self._shard = shard
        self._seen: dict[int, tuple[Lease, float]] = {}

    @property
    def own(self) -> str:
        """What our Lease says while we act."""
        return Numbers(self._shard.number, self._shard.number).text

    def claimed(self, text: str) -> str:
        """What our Lease says when it was just taken; `text` is what it said before."""
        if self._shard.index:
            return self.own
        return shards.claimed(shards.numbers(text), self._shard.number).text

    def settled(self, text: str) -> bool:
        """Whether who has taken a Lease that says this may act at once."""
        return not self._shard.index and text == self.own

    async def conflict(self, text: str) -> str:
        """Why we may not act now; "" where nobody acts by another number. `text` is what our Lease says."""
        if self._shard.index:
            return await self._first_differs()
        found = shards.numbers(text)
        if found == Numbers(self._shard.number, self._shard.number):
            return ""
        for index in range(1, max(found)):
            if why := await self._held(index):
                return why
        return ""

    async def _first_differs(self) -> str:
        found = await self._hub.read(LEASES, ObjectName(self._namespace, leadership.lease_name()))
        if isinstance(found, Failure):
            if found.kind is FailureKind.NOT_FOUND:
                return "nobody has taken the first shard yet"
            return f"the Lease of the first shard cannot be read: {found.message}"
        said = leadership.read(found).shards
        if said == self.own:
            return ""
        return f"the first shard's Lease says {said or '1'}, this process was started for {self._shard.number}"

    async def _held(self, index: int) -> str:
        """Whether another Lease is held by another number of shards, and by whom."""
        name = leadership.lease_name(index)
        found = await self._hub.read(LEASES, ObjectName(self._namespace, name))
        if isinstance(found, Failure):
            if found.kind is FailureKind.NOT_FOUND:
                return ""
            return f"the Lease {name} cannot be read: {found.message}"
        lease = leadership.read(found)
        if not lease.holder or lease.shards == self.own:
            return ""
        known, since = self._seen.get(index, (lease, time.monotonic()))
        if known.version != lease.version:
            known, since = lease, time.monotonic()
        self._seen[index] = known, since
        if time.monotonic() - since > leadership.promised(lease, LeaderElection()):
            return ""
        number = shards.numbers(lease.shards).now
        return (
            f"{leadership.host(lease.holder)} holds shard {index} of {number}, this process is for {self._shard.number}"
        )
