"""Tell what became of preferences: their status, written where it differs, and events."""

from collections.abc import Callable, Mapping, Sequence

from federation.controllers.ownstatuses import OwnStatuses
from federation.controllers.ports import EventPoster, HubPort
from federation.core import preferencestatus
from federation.core.scheduling import Decision, Problem, State, named
from federation.model.errors import ApiFailure
from federation.model.federated import StoredObject
from federation.model.preferences import Shortage
from federation.model.resources import PREFERENCES, ObjectName
from federation.runtime.store import Store

_SILENT = {State.SCHEDULED, State.WAITING, State.DISABLED}
_BY_STATE = {State.MOVING, State.NO_ROOM, State.UNPLACED, State.CONTESTED}
"""States whose message changes while they last, and which are told of once."""


class PreferenceReports:
    """Writes statuses and posts events. `objects` are the preferences as the hub has them."""

    def __init__(
        self, hub: HubPort, objects: Store[StoredObject], events: EventPoster, now: Callable[[], float]
    ) -> None:
        self._statuses = OwnStatuses(hub, PREFERENCES, objects)
        self._events = events
        self._now = now
        self._told: dict[ObjectName, dict[str, str]] = {}

    async def report(
        self,
        stored: StoredObject,
        decision: Decision,
        problems: Sequence[Problem],
        shortages: Mapping[str, Shortage],
    ) -> float | None:
        """Write the status, if the hub has it otherwise. None: done; else the seconds after which it is due, as only
        words have changed. Raises ApiFailure."""
        self._tell(stored, decision, problems)
        wanted = preferencestatus.status(stored, decision, problems, shortages, self._now())
        if wanted == stored.status:
            return None
        words = preferencestatus.gist(wanted) == preferencestatus.gist(stored.status)
        if wait := self._statuses.wait(stored.where, words=words):
            return wait
        await self._statuses.write(stored, wanted)
        return None

    async def disabled(self, stored: StoredObject) -> None:
        """Preferences are not acted on any more: say so, once. A hub that refuses it is not asked again."""
        why = "feature gate SchedulerPreferences is Disabled: what was scheduled stays, and nothing is changed"
        wanted = preferencestatus.status(stored, Decision(None, State.DISABLED, why), (), {}, self._now())
        try:
            await self._statuses.write(stored, wanted)
        except ApiFailure:
            return

    def scheduled(self, stored: StoredObject, numbers: Mapping[str, int]) -> None:
        """Other numbers were written."""
        which = named([f"{name} {number}" for name, number in sorted(numbers.items()) if number])
        message = f"{sum(numbers.values())} replicas: {which}" if which else "0 replicas"
        self._events.about(PREFERENCES, stored.metadata, "Normal", "ReplicasScheduled", message)

    def forget(self, where: ObjectName) -> None:
        """There is no preference of this name any more."""
        self._statuses.forget(where)
        self._told.pop(where, None)

    def _tell(self, stored: StoredObject, decision: Decision, problems: Sequence[Problem]) -> None:
        """An event for each thing that is wrong, once for the same words; what has ended may be told of again."""
        news = {each.reason: each.message for each in problems}
        if decision.state not in _SILENT and decision.message not in news.values():
            news[decision.state.value] = decision.message
        before = self._told.get(stored.where, {})
        for reason, message in news.items():
            lasts = reason in before and reason in {each.value for each in _BY_STATE}
            if before.get(reason) != message and not lasts:
                kind = "Normal" if reason == State.MOVING else "Warning"
                self._events.about(PREFERENCES, stored.metadata, kind, reason, message)
        self._told[stored.where] = news
