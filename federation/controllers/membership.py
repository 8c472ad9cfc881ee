"""The processes that share several shards know of each other, to have about the same number each (core.shards).

Each notes itself as an annotation of one Lease that nobody holds, with a count that grows: who sees it grow knows that
the other lives, by its own clock. One request notes and shows all others. It decides nothing about who may act: that is
the Lease of each shard.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson
import structlog

from federation.core import leadership
from federation.core.shards import Replica
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.resources import LEASES, ObjectName, Resource
from federation.model.settings import LeaderElection

PREFIX = "replica.kubefed.io/"
"""Ours, on that Lease: one annotation for each process, `<count> <shards held> <name>`."""
FORGOTTEN = 10.0
"""Lengths of a Lease after which one that does not count any more is taken out."""

log = structlog.get_logger()


class MembershipHub(Protocol):
    """The hub, as far as this needs it."""

    async def read(self, resource: Resource, name: ObjectName) -> StoredObject | Failure:
        """The Lease as it is now."""

    async def create(self, resource: Resource, namespace: str, body: Any) -> Failure | None:
        """POST."""

    async def merge(self, resource: Resource, name: ObjectName, body: bytes) -> Metadata | Failure:
        """Merge patch."""


class Membership:
    """This process among the others. `held` says how many shards it holds, `numbers` gives the settings in force."""

    def __init__(
        self,
        hub: MembershipHub,
        namespace: str,
        identity: str,
        *,
        held: Callable[[], int],
        numbers: Callable[[], LeaderElection],
    ) -> None:
        self._hub = hub
        self._where = ObjectName(namespace, leadership.REPLICAS)
        self._key = PREFIX + identity.rpartition("_")[2][-60:]
        self._identity = identity
        self._held = held
        self._numbers = numbers
        self._count = 0
        self._seen: dict[str, tuple[str, float, bool]] = {}
        """What each said last, since when (monotonic), and whether it has grown since we look."""

    @property
    def mine(self) -> Replica:
        """This process."""
        return Replica(self._identity, self._held())

    @property
    def others(self) -> list[Replica]:
        """The other processes that live."""
        since = time.monotonic() - self._numbers().lease_duration
        return [_read(said) for said, at, grown in self._seen.values() if grown and at >= since]

    async def serve(self, turned: Callable[[], None]) -> None:
        """Note this process, until cancelled; `turned` is called whenever all others have been seen."""
        while True:
            if await self.turn():
                turned()
            await asyncio.sleep(self._numbers().retry_period)

    async def turn(self) -> bool:
        """Note that this process lives, and see who else does; whether the hub has answered."""
        self._count += 1
        now, forgotten = time.monotonic(), FORGOTTEN * self._numbers().lease_duration
        gone = {name: None for name, (_, at, _) in self._seen.items() if now - at > forgotten}
        said = f"{self._count} {self._held()} {leadership.host(self._identity)}"
        answer = await self._note({**gone, self._key: said})
        if isinstance(answer, Failure):
            log.info("who else shares the shards is not known", reason=answer.message)
            return False
        for name in gone:
            self._seen.pop(name, None)
        self._see({name: each for name, each in answer.annotations.items() if name.startswith(PREFIX)})
        return True

    async def leave(self) -> None:
        """This process ends."""
        async with asyncio.timeout(1.0):
            await self._hub.merge(LEASES, self._where, orjson.dumps({"metadata": {"annotations": {self._key: None}}}))

    def _see(self, said: Mapping[str, str]) -> None:
        now = time.monotonic()
        for name in self._seen.keys() - said.keys():
            del self._seen[name]
        for name, text in said.items():
            known = self._seen.get(name)
            if name != self._key and (known is None or known[0] != text):
                self._seen[name] = text, now, known is not None

    async def _note(self, annotations: Mapping[str, str | None]) -> Metadata | Failure:
        body = orjson.dumps({"metadata": {"annotations": annotations}})
        answer = await self._hub.merge(LEASES, self._where, body)
        if not isinstance(answer, Failure) or answer.kind is not FailureKind.NOT_FOUND:
            return answer
        metadata = {"name": self._where.name, "namespace": self._where.namespace}
        made = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": {}}
        refused = await self._hub.create(LEASES, self._where.namespace, made)
        if refused is not None and refused.kind is not FailureKind.ALREADY_EXISTS:
            return refused
        return await self._hub.merge(LEASES, self._where, body)


def _read(said: str) -> Replica:
    _, held, name = (*said.split(" ", 2), "", "")[:3]
    return Replica(name, int(held) if held.isdecimal() else 0)
