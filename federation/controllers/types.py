"""Enabled types: a FederatedTypeConfig switched on, changed, off or deleted starts and stops its watches.

On deletion propagation stops first, then our finalizer goes; members' objects stay as they are, as KubeFed leaves
them: nobody manages them until the type is enabled again. Condition Ready (ours) says whether a type that is switched
on can be followed at the hub, and if not, what to do.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import structlog

from federation.controllers import absences
from federation.controllers.clusters import Clusters
from federation.controllers.facts import TypeState, World
from federation.controllers.ports import HubPort, HubWatches, Watch
from federation.controllers.sync import Sync
from federation.controllers.triggers import Fanout, FederatedSink
from federation.core import parsing
from federation.model import marks
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType, StoredObject
from federation.model.resources import TYPE_CONFIGS, ObjectName
from federation.runtime import metrics
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks

log = structlog.get_logger()
READY = "Ready"


class Types:
    """All enabled types. Its queue holds FederatedTypeConfigs' names; `process` is its worker's turn."""

    def __init__(
        self,
        world: World,
        hub: HubPort,
        watches: HubWatches,
        *,
        clusters: Clusters,
        sync: Sync,
        fanout: Fanout,
        namespace: str,
        now: Callable[[], str],
    ) -> None:
        self.queue: KeyQueue[str] = KeyQueue()
        self.objects: Store[StoredObject] = Store()
        self._world = world
        self._hub = hub
        self._watches = watches
        self._clusters = clusters
        self._sync = sync
        self._fanout = fanout
        self._namespace = namespace
        self._now = now
        self._running: dict[str, tuple[FederatedType, Watch, Tasks]] = {}

    def heard(self, name: str) -> None:
        """A FederatedTypeConfig appeared, changed or went."""
        self.queue.add(name)

    def kick(self) -> None:
        """A CustomResourceDefinition changed at the hub: watches that wait for their type try again."""
        for _, watch, _ in self._running.values():
            if watch.failure is not None:
                watch.kick()

    @property
    def synced(self) -> bool:
        """Whether every running type's federated objects have been listed, or cannot be."""
        return all(watch.synced or watch.failure is not None for _, watch, _ in self._running.values())

    async def process(self, name: str) -> None:
        """Bring one type in line with its FederatedTypeConfig."""
        stored = self.objects.get(ObjectName(self._namespace, name))
        if stored is None:
            where = ObjectName(self._namespace, name)
            if name not in self._running or await absences.gone(self._hub, self.objects, TYPE_CONFIGS, where):
                await self._stop(name)
            else:
                self.queue.add(name)
            return
        if stored.metadata.deletion_timestamp is not None:
            await self._stop(name)
            await self._release(stored)
            return
        try:
            enabled = parsing.type_config(
                {
                    "metadata": {
                        "name": name,
                        "generation": stored.metadata.generation,
                        "annotations": stored.metadata.annotations,
                    },
                    "spec": stored.spec,
                }
            )
        except Invalid as error:
            log.info("type config invalid", type=name, reason=str(error))
            await self._stop(name)
            await self._tell(stored, running=False, ready=("False", "InvalidSpec", str(error)))
            return
        if marks.TYPE_FINALIZER not in stored.metadata.finalizers:
            finalizers = (*stored.metadata.finalizers, marks.TYPE_FINALIZER)
            answer = await self._hub.set_finalizers(TYPE_CONFIGS, stored.metadata, finalizers)
            if isinstance(answer, Failure):
                raise ApiFailure(answer, f"finalizer of FederatedTypeConfig {name}")
        running = self._running.get(name)
        if running is not None and not _same(running[0], enabled):
            await self._stop(name)
            running = None
        if not enabled.propagation:
            await self._stop(name)
            await self._tell(stored, running=False, ready=None)
            return
        if running is None:
            self._start(enabled)
        watch = self._running[name][1]
        if watch.synced or watch.failure is not None:  # else it has not been asked yet, and brings us back
            ready = _ready(enabled, watch.failure) or _stored_ready(stored)
            await self._tell(stored, running=ready is None or ready[0] == "True", ready=ready)

    async def close(self) -> None:
        """Stop following everything."""
        for _, _, tasks in list(self._running.values()):
            await tasks.cancel()

    def _start(self, enabled: FederatedType) -> None:
        state = TypeState(enabled)
        self._world.types[enabled.name] = state
        watch = self._watches.federated(
            enabled,
            FederatedSink(state, self._sync.changed, self._fanout),
            lambda _: self.queue.add(enabled.name),
        )
        tasks = Tasks()
        tasks.keep(watch.run, f"watch:hub:{enabled.name}")
        self._running[enabled.name] = (enabled, watch, tasks)
        self._clusters.follow(state)
        log.info("type started", type=enabled.name)

    async def _stop(self, name: str) -> None:
        running = self._running.pop(name, None)
        if running is None:
            return
        await running[2].cancel()
        await self._clusters.unfollow(name)
        # Lanes find no state any more and let their keys of this type go.
        self._world.types.pop(name, None)
        for member in self._world.members:
            metrics.PLACEMENTS.remove(member, name)
        if name == marks.NAMESPACE_TYPE:
            self._fanout.everything()
        log.info("type stopped", type=name)

    async def _release(self, stored: StoredObject) -> None:
        finalizers = tuple(name for name in stored.metadata.finalizers if name != marks.TYPE_FINALIZER)
        if finalizers == stored.metadata.finalizers:
            return
        answer = await self._hub.set_finalizers(TYPE_CONFIGS, stored.metadata, finalizers)
        if isinstance(answer, Failure) and answer.kind is not FailureKind.NOT_FOUND:
            raise ApiFailure(answer, f"finalizer of FederatedTypeConfig {stored.metadata.name}")

    async def _tell(self, stored: StoredObject, *, running: bool, ready: tuple[str, str, str] | None) -> None:
        """Write the status where it differs. `ready` is that condition's status, reason and message; None: none."""
        told = {
            "observedGeneration": stored.metadata.generation,
            "propagationController": "Running" if running else "NotRunning",
            "statusController": "NotRunning",
            "conditions": _conditions(stored, ready, self._now()) or None,
        }
        if all(stored.status.get(key) == value for key, value in told.items()):
            return
        answer = await self._hub.set_status(TYPE_CONFIGS, stored.where, orjson.dumps({"status": told}))
        if isinstance(answer, Failure) and answer.kind is not FailureKind.NOT_FOUND:
            raise ApiFailure(answer, f"status of FederatedTypeConfig {stored.metadata.name}")


def _ready(enabled: FederatedType, failure: Failure | None) -> tuple[str, str, str] | None:
    """Ready's status, reason and message; None when a failure says nothing about the type itself (the hub is away)."""
    if failure is None:
        return "True", "Following", ""
    federated = enabled.federated
    match failure.kind:
        case FailureKind.TYPE_MISSING:
            said = f"the host does not serve {federated.qualified} in {federated.version}"
            return "False", "FederatedTypeMissing", f"{said}: apply its CRD, as fedctl enable {enabled.name} does"
        case FailureKind.RIGHT_MISSING:
            return "False", "RightMissing", f"{failure.message}; fedctl enable {enabled.name} grants it"
    return None


def _stored_ready(stored: StoredObject) -> tuple[str, str, str] | None:
    found = next((each for each in stored.status.get("conditions") or () if each.get("type") == READY), None)
    return (str(found.get("status")), str(found.get("reason")), str(found.get("message"))) if found else None


def _conditions(stored: StoredObject, ready: tuple[str, str, str] | None, now: str) -> list[dict[str, Any]]:
    """The stored conditions with Ready as it is now; its time moves when its status does."""
    before: list[dict[str, Any]] = stored.status.get("conditions") or []
    others = [each for each in before if each.get("type") != READY]
    if ready is None:
        return others
    old: dict[str, Any] = next((each for each in before if each.get("type") == READY), {})
    status, reason, message = ready
    since = old.get("lastTransitionTime") if old.get("status") == status else None
    told = {
        "type": READY,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or now,
        "observedGeneration": stored.metadata.generation,
    }
    return before if told == old else [*others, told]


def _same(one: FederatedType, other: FederatedType) -> bool:
    return replace(one, generation=0, status_collection=False) == replace(other, generation=0, status_collection=False)
