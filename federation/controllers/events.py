"""Kubernetes events for federated objects: when propagation begins to fail and when that ends, told once each.

KubeFed posted one event per cluster and change; that was a third of its hub writes. Here an event is posted when an
object's Ready turns False for a reason that is not just "on its way", and when it turns True again after that. A
cluster that is away is told once, by an event of its KubeFedCluster, not by each of its objects.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from federation.controllers.facts import World
from federation.controllers.ports import HubPort
from federation.core import budget, claims
from federation.model.failures import Failure
from federation.model.federated import FederatedObject, Metadata
from federation.model.plan import Keep
from federation.model.resources import EVENTS, KUBEFED_CLUSTERS, Key, ObjectName, Resource
from federation.model.status import Condition, Status
from federation.model.words import Propagation, Word
from federation.runtime.keyqueue import KeyQueue

REMEMBERED = 4096
"""Objects whose last event is remembered; beyond, the oldest may be told again."""
DWELL = 2.0
"""Seconds that a failure must last to be worth an event: a folder applied at once fails for a moment, in any order."""
NAMED = 10
"""Clusters that one event names; the status has them all."""
FAILED = "PropagationFailed"
RECREATING = "Recreating"
RIVAL = "PlacedByAnotherHub"
COMPONENT = "federation-controller"
_OUTAGE = {Word.OK, Word.PENDING, Word.CLUSTER_NOT_READY}

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Said:
    about: Metadata
    type: str
    reason: str
    message: str
    clusters: tuple[str, ...] = ()


class Events:
    """Collects what is worth an event and posts it; `serve` is its worker."""

    def __init__(self, world: World, hub: HubPort) -> None:
        self._world = world
        self._hub = hub
        self._queue: KeyQueue[Key] = KeyQueue()
        self._waiting: dict[Key, list[_Said]] = {}
        self._told: OrderedDict[Key, str] = OrderedDict()
        self._warned: OrderedDict[Key, int] = OrderedDict()
        self._rivals: OrderedDict[Key, dict[str, tuple[str, ...]]] = OrderedDict()

    def status_changed(self, key: Key, federated: FederatedObject, before: Status, after: Status) -> None:
        """A status was written: is it worth an event?"""
        self._rivals_told(key, federated, before)
        old, new = _ready(before), _ready(after)
        if new is None or (new.status == "False" and new.reason == "Progressing"):
            return
        said = _gist(new, after)
        if not said:
            return
        failed_before = key in self._told
        if new.status == "True" and not failed_before:
            return
        if self._told.get(key) == said or (old is not None and _gist(old, before) == said):
            return
        if new.status == "True":
            self._told.pop(key, None)
            if not self._unsay(key):
                self._say(key, _Said(federated.metadata, "Normal", "Propagated", new.message))
        else:
            _remember(self._told, key, said)
            self._unsay(key)
            self._say(key, _Said(federated.metadata, "Warning", FAILED, new.message), after=DWELL)

    def warned(self, key: Key, federated: FederatedObject, warnings: tuple[str, ...]) -> None:
        """Parts of a template were left out: told once per generation."""
        if self._warned.get(key) != federated.metadata.generation:
            _remember(self._warned, key, federated.metadata.generation)
            self._say(key, _Said(federated.metadata, "Warning", "TemplateFieldIgnored", "; ".join(warnings)))

    def recreating(self, key: Key, cluster: str, why: str) -> None:
        """A copy was deleted to be created anew: what was in it is gone, which nobody should have to guess.

        Clusters that do the same in the same moments are told in one event.
        """
        state = self._world.types.get(key.type)
        federated = state.objects.get(ObjectName(key.namespace, key.name)) if state is not None else None
        if federated is None:
            return
        waiting = self._waiting.get(key, [])
        for place, said in enumerate(waiting):
            if (said.reason, said.message) == (RECREATING, why):
                waiting[place] = replace(said, clusters=(*said.clusters, cluster))
                return
        self._say(key, _Said(federated.metadata, "Normal", RECREATING, why, (cluster,)), after=DWELL)

    def _rivals_told(self, key: Key, federated: FederatedObject, before: Status) -> None:
        """Another hub places the object where we have it: told once per cluster and hubs, flap as it may."""
        state = self._world.types.get(key.type)
        track = state.tracks.get(ObjectName(key.namespace, key.name)) if state is not None else None
        if track is None:
            return
        seen = {name: each.rivals for name, each in track.actions.items() if isinstance(each, Keep) and each.rivals}
        known = self._rivals.get(key, {})
        if not seen and not known:
            return
        new: dict[str, list[str]] = {}
        for cluster, names in seen.items():
            told = claims.told(names)
            # What the status said before we started is known, too.
            if known.get(cluster) != names and told not in budget.message_of(before.clusters, cluster):
                new.setdefault(told, []).append(cluster)
        for told, clusters in new.items():
            self._say(key, _Said(federated.metadata, "Warning", RIVAL, told, tuple(clusters)))
        unheard = {name: who for name, who in known.items() if not isinstance(track.actions.get(name), Keep)}
        _remember(self._rivals, key, unheard | seen)

    def _say(self, key: Key, said: "_Said", *, after: float = 0.0) -> None:
        self._waiting.setdefault(key, []).append(said)
        if after:
            self._queue.add_after(key, after)
        else:
            self._queue.add(key)

    def _unsay(self, key: Key) -> bool:
        """Take back a failure that has not been posted; whether there was one."""
        waiting = self._waiting.get(key, [])
        kept = [said for said in waiting if said.reason != FAILED]
        if len(kept) == len(waiting):
            return False
        self._waiting[key] = kept
        return True

    async def serve(self) -> None:
        """Post events until cancelled; one that the hub refuses is dropped: the status says the same."""
        while True:
            key = await self._queue.take()
            try:
                state = self._world.types.get(key.type)
                for said in self._waiting.pop(key, []):
                    if state is None:
                        break
                    event = _event(state.type.federated, said)
                    answer = await self._hub.create(EVENTS, key.namespace or "default", event)
                    if isinstance(answer, Failure):
                        log.debug("event not posted", key=str(key), reason=answer.message)
            finally:
                self._queue.done(key)


def _ready(status: Status) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == "Ready"), None)


def _remember(memory: OrderedDict[Key, T], key: Key, value: T) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)


def _gist(ready: Condition, status: Status) -> str:
    """What an event says, without what moves by itself; "" when all that fails is a cluster that is away.

    An outage is the cluster's event, told once there: told by each of its objects it would be thousands, and a flapping
    cluster would repeat them all.
    """
    if ready.reason != Propagation.CHECK_CLUSTERS:
        return f"{ready.status} {ready.reason} {ready.message}"
    failing = [(line.name, line.status) for line in status.clusters if line.status not in _OUTAGE]
    return f"{ready.status} {failing}" if failing else ""


def _named(clusters: tuple[str, ...]) -> str:
    named = ", ".join(clusters[:NAMED])
    return named if len(clusters) <= NAMED else f"{named} and {len(clusters) - NAMED} more"


def about_cluster(metadata: Metadata, ready: Mapping[str, Any]) -> dict[str, object]:
    """The event that tells of a KubeFedCluster's new Ready condition."""
    kind = "Normal" if ready.get("status") == "True" else "Warning"
    said = _Said(metadata, kind, str(ready.get("reason", "")), str(ready.get("message", "")))
    return _event(KUBEFED_CLUSTERS, said)


def _event(resource: Resource, said: _Said) -> dict[str, object]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = said.about
    message = f"{_named(said.clusters)}: {said.message}" if said.clusters else said.message
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata.name[:200]}.", "namespace": metadata.namespace or "default"},
        "involvedObject": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        },
        "type": said.type,
        "reason": said.reason,
        "message": message[:1024],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
