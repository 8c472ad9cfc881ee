"""Write schedules into federated objects, and notice who writes over them.

By server-side apply, as a field manager of its own, where the CRD has overrides as a list with keys; else by a merge
patch of the whole lists, refused if the object has changed meanwhile. What somebody changes is put back: at once, then
ever less often while that goes on, because a tool that applies other numbers again and again will not stop for us.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson
import structlog

from federation.controllers.ports import HubPort
from federation.controllers.world import TypeState
from federation.core import schedules
from federation.core.managedfields import Writer
from federation.model import marks
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, Metadata, Spec
from federation.model.resources import CRDS, ObjectName, Resource

ECHO = 10.0
"""Seconds in which the event of our own write may still come: until then what is known of the object is older."""
FIGHT = 3600.0
"""Seconds without a change by others after which they count anew."""
AT_ONCE, FIRST, LONGEST = 2, 15.0, 960.0
"""Changes of others that are put back at once; then seconds, doubling, and at most."""

log = structlog.get_logger()


class PreferenceHub(HubPort, Protocol):
    """The hub, as preferences need it."""

    async def apply(self, resource: Resource, name: ObjectName, body: bytes, manager: str) -> Metadata | Failure:
        """Server-side apply, forced, of the few fields that are this manager's."""

    async def writers(self, resource: Resource, name: ObjectName) -> Sequence[Writer] | Failure:
        """Who has written an object, the newest first."""

    async def published(self, resource: Resource) -> object | Failure:
        """The OpenAPI document (v3) of the resource's group and version."""


@dataclass(slots=True)
class _Written:
    """The last write of one object: of which uid, from which version of it, which numbers, and when (monotonic).
    `undone` counts how often others have changed them since, the last time at `changed`, by `rival`."""

    uid: str
    version: str
    numbers: Mapping[str, int]
    at: float
    undone: int = 0
    changed: float = 0.0
    rival: str = ""


class PreferenceWrites:
    """Remembers what was written last into each object."""

    def __init__(self, hub: PreferenceHub) -> None:
        self._hub = hub
        self._written: dict[ObjectName, _Written] = {}
        self._keyed: dict[str, bool] = {}

    def definitions_changed(self) -> None:
        """A CustomResourceDefinition changed: which lists have keys is read again."""
        self._keyed.clear()

    def forget(self, where: ObjectName) -> None:
        """There is no preference of this name any more."""
        self._written.pop(where, None)

    def echo(self, item: FederatedObject) -> float | None:
        """Seconds until the event of our last write must have come; None where it has, or none is waited for."""
        last = self._written.get(item.where)
        if last is None or last.uid != item.metadata.uid or last.version != item.metadata.resource_version:
            return None
        left = last.at + ECHO - time.monotonic()
        return left if left > 0 else None

    async def write(
        self, state: TypeState, item: FederatedObject, spec: Spec, numbers: Mapping[str, int]
    ) -> float | None:
        """Write these numbers. None: done; else the seconds after which it is due, as others undo it again and again.

        Raises ApiFailure.
        """
        where, meta, now = item.where, item.metadata, time.monotonic()
        last = self._written.get(where)
        if last is not None and (
            last.uid != meta.uid or last.numbers != numbers or not schedules.differs(spec, numbers)
        ):
            last = None
        if last is not None:
            if last.changed < last.at:
                last.undone = 1 if now - last.at > FIGHT else last.undone + 1
                last.changed = now
                last.rival = await self._rival(state, where)
            if (wait := last.changed + _pace(last.undone) - now) > 0:
                return wait
        answer = await self._send(state, item, spec, numbers)
        if isinstance(answer, Failure):
            if answer.kind in {FailureKind.NOT_FOUND, FailureKind.UID_MISMATCH}:
                return None  # it is gone, or another has its name: its event comes
            raise ApiFailure(answer, f"schedule of {state.type.federated.kind} {where}")
        made = _Written(meta.uid, meta.resource_version, dict(numbers), time.monotonic())
        if answer.resource_version == meta.resource_version:
            made.version = ""  # nothing had to be changed, and no event comes
        if last is not None:
            made.undone, made.rival = last.undone, last.rival
        self._written[where] = made
        log.info("replicas scheduled", type=state.type.name, object=str(where), numbers=dict(numbers))
        return None

    def contested(self, where: ObjectName) -> str:
        """Who undoes what is written, for a message; "" where nobody does so again and again."""
        last = self._written.get(where)
        if last is None or last.undone <= AT_ONCE or time.monotonic() - max(last.changed, last.at) > FIGHT:
            return ""
        who = f" by {last.rival}" if last.rival else ""
        return (
            f"its placement or replicas were changed{who} {last.undone} times after they had been written: leave "
            f"spec.placement.clusters and overrides of {schedules.PATH} to the preference"
        )

    async def _rival(self, state: TypeState, where: ObjectName) -> str:
        found = await self._hub.writers(state.type.federated, where)
        if isinstance(found, Failure):
            return ""
        return next((each.manager for each in found if each.manager != marks.SCHEDULER_MANAGER), "")

    async def _send(
        self, state: TypeState, item: FederatedObject, spec: Spec, numbers: Mapping[str, int]
    ) -> Metadata | Failure:
        resource, meta = state.type.federated, item.metadata
        if await self._has_keys(resource):
            body = {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
                "spec": schedules.fields(spec, numbers),
            }
            return await self._hub.apply(resource, item.where, orjson.dumps(body), marks.SCHEDULER_MANAGER)
        same = {"uid": meta.uid, "resourceVersion": meta.resource_version}
        whole = {"metadata": same, "spec": schedules.whole(spec, numbers)}
        return await self._hub.merge(resource, item.where, orjson.dumps(whole))

    async def _has_keys(self, resource: Resource) -> bool:
        known = self._keyed.get(resource.qualified)
        if known is None:
            known = self._keyed[resource.qualified] = await self._read_keys(resource)
        return known

    async def _read_keys(self, resource: Resource) -> bool:
        found = await self._hub.read(CRDS, ObjectName("", resource.qualified))
        if not isinstance(found, Failure):
            return schedules.has_keys(found.spec, resource.version)
        if found.kind is FailureKind.RIGHT_MISSING:  # with scope Namespaced; what is published everybody may read
            published = await self._hub.published(resource)
            if not isinstance(published, Failure):
                return schedules.are_published_with_keys(published, resource)
        raise ApiFailure(found, f"CustomResourceDefinition {resource.qualified}")


def _pace(undone: int) -> float:
    return 0.0 if undone <= AT_ONCE else min(LONGEST, FIRST * 2.0 ** (undone - AT_ONCE - 1))
