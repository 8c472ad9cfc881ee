"""What the hub has of rollouts: records and conditions in the statuses of FederatedRollouts, and events about them."""

from collections.abc import Callable
from typing import Any

import msgspec

from federation.controllers.ownstatuses import OwnStatuses
from federation.controllers.ports import EventPoster, HubPort
from federation.core import rolloutstatus, times
from federation.core.rollouts import News
from federation.model.federated import StoredObject
from federation.model.resources import ROLLOUTS, ObjectName
from federation.model.rollouts import Record
from federation.runtime.store import Store


class RolloutRecords:
    """Writes statuses and events of FederatedRollouts. `objects` are those that are known; a write updates them."""

    def __init__(
        self, hub: HubPort, objects: Store[StoredObject], events: EventPoster, now: Callable[[], float]
    ) -> None:
        self.statuses = OwnStatuses(hub, ROLLOUTS, objects)
        self._events = events
        self._now = now
        self._told: dict[ObjectName, tuple[str, str]] = {}

    async def report(self, stored: StoredObject, record: Record | None, reason: str, message: str) -> float:
        """Write where it stands, if the hub has it otherwise; rarely while only the words change.

        Seconds until that is to be tried again; 0 where it need not.
        """
        ready = rolloutstatus.ready(stored)
        wanted = rolloutstatus.wanted(reason, message)
        shown = tuple(ready.get(each) for each in ("status", "reason", "message"))
        if shown == wanted and stored.status.get("observedGeneration") == stored.metadata.generation:
            return 0.0
        if wait := self.statuses.wait(stored.where, words=shown[:2] == wanted[:2]):
            return wait
        await self.write(stored, record, reason, message)
        return 0.0

    async def write(self, stored: StoredObject, record: Record | None, reason: str, message: str) -> bool:
        """Whether the hub has accepted it; not so when the FederatedRollout is gone. Raises ApiFailure."""
        status: dict[str, Any] = {
            **stored.status,
            "observedGeneration": stored.metadata.generation,
            "conditions": rolloutstatus.conditions(stored, reason, message, times.rfc3339(self._now())),
        }
        patch = dict(status)
        if record is not None:
            status["record"] = kept = msgspec.to_builtins(record)
            # A merge patch leaves what it does not name.
            patch["record"] = dict.fromkeys(stored.status.get("record") or {}) | kept
        return await self.statuses.write(stored, status, patch=patch, latest=True)

    def tell(self, stored: StoredObject, news: tuple[News, ...]) -> None:
        """Post events, each once."""
        for each in news:
            told = (each.reason, each.message)
            if self._told.get(stored.where) != told:
                self._told[stored.where] = told
                kind = "Warning" if each.warning else "Normal"
                self._events.about(ROLLOUTS, stored.metadata, kind, each.reason, each.message)

    def forget(self, where: ObjectName) -> None:
        """It is gone."""
        self.statuses.forget(where)
        self._told.pop(where, None)
