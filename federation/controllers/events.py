"""Kubernetes events on federated objects: one when propagation begins to fail, and one when it works again.

KubeFed posted one event per cluster and change; that was a third of its hub writes. Here an event is posted when an
object's Ready turns False for a reason that is not just "on its way", and when it turns True again after that. A
cluster that is away gets one event on its KubeFedCluster; its objects get none.
"""

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from federation.controllers import posting
from federation.controllers.ports import HubPort
from federation.controllers.world import World
from federation.core import budget, claims, contention, times
from federation.model.conditions import ConditionType, Phase, PropagationStatus, Reason, phase
from federation.model.federated import FederatedObject, Metadata
from federation.model.plan import Keep
from federation.model.resources import KUBEFED_CLUSTERS, Key, ObjectName, Resource
from federation.model.status import Condition, Status
from federation.runtime.keyqueue import KeyQueue

REMEMBERED = 4096
"""Objects whose last event is remembered; beyond, the oldest may get the same event once more."""
DWELL = 2.0
"""Seconds that a failure must last before its event is posted: objects that are applied together, in any order, fail
for a moment."""
TOGETHER = 10.0
"""Seconds within which the copies of a cluster that no federated object stands behind share an event."""
NAMED = 10
"""Clusters that one event names; the status has them all."""
FAILED = "PropagationFailed"
RECREATING = "Recreating"
REMOVED = "CopyRemoved"
RIVAL = "PlacedByAnotherHub"
COMPONENT = "federation-controller"
DRIFTED = "DriftReported"
DISPUTED = "FieldDisputed"
DIFFERING = {PropagationStatus.DRIFTED.value: DRIFTED, PropagationStatus.DISPUTED.value: DISPUTED}
"""The events of lines by which somebody in a cluster changes a copy."""
_NOT_OF_THE_OBJECT = {Phase.APPLIED, Phase.UNDER_WAY, Phase.CLUSTER_AWAY, Phase.DIFFERS}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Event:
    """An event that has not been posted yet."""

    involved: Metadata
    type: str
    reason: str
    message: str
    clusters: tuple[str, ...] = ()


class Events:
    """Records events and has them posted; `serve` is its worker."""

    def __init__(self, world: World, hub: HubPort) -> None:
        self._world = world
        self._poster = posting.Poster(hub)
        self._queue: KeyQueue[Key] = KeyQueue()
        self._waiting: dict[Key, list[_Event]] = {}
        self._failing: OrderedDict[Key, str] = OrderedDict()
        self._warned: OrderedDict[Key, int] = OrderedDict()
        self._refused: OrderedDict[Key, str] = OrderedDict()
        self._rivals: OrderedDict[Key, dict[str, tuple[str, ...]]] = OrderedDict()
        self._strays: dict[tuple[str, str, str], list[str]] = {}
        """By cluster, type and reason."""

    def status_changed(self, key: Key, federated: FederatedObject, before: Status, after: Status) -> None:
        """A status was written: record an event where propagation began to fail, or works again."""
        self._record_rivals(key, federated, before)
        self._record_differing(key, federated, before, after)
        old, new = _ready(before), _ready(after)
        if new is None or (new.status == "False" and new.reason in {Reason.PROGRESSING, Reason.HELD}):
            return  # of what a rollout holds, its own events tell
        gist = _gist(new, after)
        if not gist:
            return
        failed_before = key in self._failing
        if new.status == "True" and not failed_before:
            return
        if self._failing.get(key) == gist or (old is not None and _gist(old, before) == gist):
            return
        if new.status == "True":
            self._failing.pop(key, None)
            if not self._discard_failure(key):
                self._record(key, _Event(federated.metadata, "Normal", "Propagated", new.message))
        else:
            _remember(self._failing, key, gist)
            self._discard_failure(key)
            self._record(key, _Event(federated.metadata, "Warning", FAILED, new.message), after=DWELL)

    def fields_ignored(self, key: Key, federated: FederatedObject, warnings: tuple[str, ...]) -> None:
        """Parts of a template were left out: one event per generation."""
        if self._warned.get(key) != federated.metadata.generation:
            _remember(self._warned, key, federated.metadata.generation)
            self._record(key, _Event(federated.metadata, "Warning", "TemplateFieldIgnored", "; ".join(warnings)))

    def status_refused(self, key: Key, federated: FederatedObject, message: str) -> None:
        """The hub refuses its status, so only an event can report that: one for each message."""
        if self._refused.get(key) != message:
            _remember(self._refused, key, message)
            self._record(key, _Event(federated.metadata, "Warning", "StatusRefused", message))

    def recreating(self, key: Key, cluster: str, why: str) -> None:
        """A copy was deleted to be created anew: what was in it is gone, and its user must be able to see why."""
        self._record_for_cluster(key, RECREATING, why, cluster)

    def removed(self, key: Key, cluster: str, why: str) -> None:
        """A copy left a cluster, and not because its user deleted the object: the event has the reason.

        It is the KubeFedCluster's where there is no federated object, one for all that go for the same reason.
        """
        if self._record_for_cluster(key, REMOVED, why, cluster):
            return
        if not self._strays:
            asyncio.get_running_loop().call_later(TOGETHER, self._tell_of_strays)
        self._strays.setdefault((cluster, key.type, why), []).append(str(ObjectName(key.namespace, key.name)))

    def _tell_of_strays(self) -> None:
        strays, self._strays = self._strays, {}
        for (cluster, kind, why), names in strays.items():
            member = self._world.members.get(cluster)
            if member is not None and member.live is not None:
                member.live.tell(REMOVED, f"{kind} {_named(tuple(names))}: {why}")

    def _record_for_cluster(self, key: Key, reason: str, why: str, cluster: str) -> bool:
        """Record what happened in one cluster; clusters in which it happens at about the same time share an event.

        False where there is no federated object to record it for.
        """
        state = self._world.types.get(key.type)
        federated = state.objects.get(ObjectName(key.namespace, key.name)) if state is not None else None
        if federated is None:
            return False
        waiting = self._waiting.get(key, [])
        for place, event in enumerate(waiting):
            if (event.reason, event.message) == (reason, why):
                waiting[place] = replace(event, clusters=(*event.clusters, cluster))
                return True
        self._record(key, _Event(federated.metadata, "Normal", reason, why, (cluster,)), after=DWELL)
        return True

    def _record_rivals(self, key: Key, federated: FederatedObject, before: Status) -> None:
        """Another hub places the object where we have it: one event per cluster and hubs, however often they flap."""
        state = self._world.types.get(key.type)
        track = state.tracks.get(ObjectName(key.namespace, key.name)) if state is not None else None
        if track is None:
            return
        seen = {name: each.rivals for name, each in track.actions.items() if isinstance(each, Keep) and each.rivals}
        known = self._rivals.get(key, {})
        if not seen and not known:
            return
        new: dict[str, list[str]] = {}
        stored = budget.by_name(before.clusters)
        for cluster, names in seen.items():
            message = claims.rivals_message(names)
            # What the status showed before we started is known, too.
            if known.get(cluster) != names and message not in budget.message_of(stored, cluster):
                new.setdefault(message, []).append(cluster)
        for message, clusters in new.items():
            self._record(key, _Event(federated.metadata, "Warning", RIVAL, message, tuple(clusters)))
        not_seen = {name: who for name, who in known.items() if not isinstance(track.actions.get(name), Keep)}
        _remember(self._rivals, key, not_seen | seen)

    def _record_differing(self, key: Key, federated: FederatedObject, before: Status, after: Status) -> None:
        """Somebody in a cluster has changed a copy, or does so again and again: one event, which names fields and
        managers. Of a dispute one until it is over, however often its line comes and goes."""
        differing = [line for line in after.clusters if line.status in DIFFERING or contention.is_told(line.message)]
        if not differing:
            return
        was, now = budget.by_name(before.clusters), budget.by_name(after.clusters)
        told: dict[tuple[str, str], list[str]] = {}
        for line in differing:
            message = budget.message_of(now, line.name)
            known, known_message = was.get(line.name), budget.message_of(was, line.name)
            same = known is not None and known.status == line.status
            reason = DIFFERING.get(line.status, DISPUTED)
            if contention.is_told(known_message) if reason == DISPUTED else (same and known_message == message):
                continue
            told.setdefault((reason, message), []).append(line.name)
        for (reason, message), names in told.items():
            self._record(key, _Event(federated.metadata, "Warning", reason, message, tuple(names)))

    def _record(self, key: Key, event: _Event, *, after: float = 0.0) -> None:
        self._waiting.setdefault(key, []).append(event)
        if after:
            self._queue.add_after(key, after)
        else:
            self._queue.add(key)

    def _discard_failure(self, key: Key) -> bool:
        """Discard the event of a failure that has not been posted; whether there was one."""
        waiting = self._waiting.get(key, [])
        kept = [event for event in waiting if event.reason != FAILED]
        if len(kept) == len(waiting):
            return False
        self._waiting[key] = kept
        return True

    def about(self, resource: Resource, metadata: Metadata, kind: str, reason: str, message: str) -> None:
        """Record an event about any object of the hub; `kind` is Normal or Warning."""
        key = Key(resource.plural, metadata.namespace, metadata.name)
        self._poster.post(key, _body(resource, _Event(metadata, kind, reason, message)))

    def cluster_changed(self, metadata: Metadata, ready: Mapping[str, Any]) -> None:
        """Record a KubeFedCluster's new Ready condition."""
        kind = "Normal" if ready.get("status") == "True" else "Warning"
        self.about(KUBEFED_CLUSTERS, metadata, kind, str(ready.get("reason", "")), str(ready.get("message", "")))

    async def serve(self) -> None:
        """Post events until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._poster.serve())
            group.create_task(self._hand_over())

    async def _hand_over(self) -> None:
        """Give events to be posted, when their time has come."""
        while True:
            key = await self._queue.take()
            self._post(key)
            self._queue.done(key)

    def _post(self, key: Key) -> None:
        state = self._world.types.get(key.type)
        for event in self._waiting.pop(key, []):
            if state is not None:
                self._poster.post(key, _body(state.type.federated, event))

    async def finish(self, seconds: float) -> int:
        """Post all that waits, also for its time; `serve` has ended. How many are lost: the hub did not accept them."""
        self._tell_of_strays()
        for key in list(self._waiting):
            self._post(key)
        return await self._poster.finish(seconds)


def _ready(status: Status) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == ConditionType.READY), None)


def _remember(memory: OrderedDict[Key, T], key: Key, value: T) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)


def _gist(ready: Condition, status: Status) -> str:
    """What an event is about, without what changes all the time; "" when all that fails is a cluster that is away.

    An outage is one event of the cluster. As an event of each object it would be thousands, and a flapping cluster
    would repeat them all.
    """
    if ready.reason != Reason.CHECK_CLUSTERS:
        return f"{ready.status} {ready.reason} {ready.message}"
    failing = [(line.name, line.status) for line in status.clusters if phase(line.status) not in _NOT_OF_THE_OBJECT]
    return f"{ready.status} {failing}" if failing else ""


def _named(clusters: tuple[str, ...]) -> str:
    named = ", ".join(clusters[:NAMED])
    return named if len(clusters) <= NAMED else f"{named} and {len(clusters) - NAMED} more"


def _body(resource: Resource, event: _Event) -> dict[str, Any]:
    now = times.rfc3339(time.time())
    metadata = event.involved
    message = f"{_named(event.clusters)}: {event.message}" if event.clusters else event.message
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata.name[:200].rstrip('-.')}.{uuid.uuid4().hex[:16]}",
            "namespace": metadata.namespace or "default",
        },
        "involvedObject": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        },
        "type": event.type,
        "reason": event.reason,
        "message": message[:1024],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
