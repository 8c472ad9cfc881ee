"""Statuses of preferences and rollouts at the hub: a write where they differ, and few while only words change."""

import time
from typing import Any

import msgspec
import orjson

from federation.controllers.ports import HubPort
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import StoredObject
from federation.model.resources import ObjectName, Resource
from federation.runtime.store import Store

REPORT = 5.0
"""Seconds, at least, between two writes of a status in which only words have changed."""
_GONE = {FailureKind.NOT_FOUND, FailureKind.UID_MISMATCH}


class OwnStatuses:
    """Those of one resource. `objects` are as the hub has them; a write updates them."""

    def __init__(self, hub: HubPort, resource: Resource, objects: Store[StoredObject]) -> None:
        self._hub = hub
        self._resource = resource
        self._objects = objects
        self._written: dict[ObjectName, float] = {}

    def wait(self, where: ObjectName, *, words: bool) -> float:
        """Seconds until another status may be written; 0 at once. `words`: nothing else in it has changed."""
        return max(0.0, self._written.get(where, float("-inf")) + REPORT - time.monotonic()) if words else 0.0

    async def write(
        self, stored: StoredObject, status: dict[str, Any], *, patch: dict[str, Any] | None = None, latest: bool = False
    ) -> bool:
        """Whether the hub has accepted the status; not so when the object is gone. Raises ApiFailure.

        `patch` is what is sent, where that is not the status. `latest`: only if nobody else has written the object.
        """
        meta = stored.metadata
        known = {"uid": meta.uid} | ({"resourceVersion": meta.resource_version} if latest else {})
        body = orjson.dumps({"metadata": known, "status": status if patch is None else patch})
        answer = await self._hub.merge(self._resource, stored.where, body, subresource="status")
        self._written[stored.where] = time.monotonic()
        if isinstance(answer, Failure):
            if answer.kind in _GONE:
                return False
            raise ApiFailure(answer, f"status of {self._resource.kind} {stored.where}")
        if self._objects.get(stored.where) is stored:  # else a newer event came meanwhile
            self._objects.put(stored.where, msgspec.structs.replace(stored, metadata=answer, status=status))
        return True

    def wrote_within(self, where: ObjectName, seconds: float) -> bool:
        """Whether we wrote it so recently: what is older than that write may still come."""
        written = self._written.get(where)
        return written is not None and time.monotonic() - written < seconds

    def forget(self, where: ObjectName) -> None:
        """There is none of this name any more."""
        self._written.pop(where, None)

    def forget_writes(self) -> None:
        """The hub was restored: what it shows is older than what we wrote, and is what counts."""
        self._written.clear()
