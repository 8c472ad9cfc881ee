"""Enabled types: a FederatedTypeConfig that is enabled, changed, disabled or deleted starts and stops its watches.

On deletion propagation stops first, pushes under way have their answers, federated objects that were never pushed lose
their finalizer (`parting`), then that of the FederatedTypeConfig goes; members' objects stay as they are, as KubeFed
leaves them: nobody manages them until the type is enabled again. Condition Ready (ours) shows whether an enabled type
is followed, and if not, what to do; by it the API server knows whose finalizer it is to add
(templates/host/finalizer-policy.yaml).
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import orjson
import structlog

from federation.controllers import absences, typeconfigs
from federation.controllers.clusters import Clusters
from federation.controllers.fanout import Fanout
from federation.controllers.parting import Parting
from federation.controllers.ports import HubPort, HubWatches, Watch
from federation.controllers.sync import Sync
from federation.controllers.triggers import FederatedSink
from federation.controllers.world import TypeState, World
from federation.model import marks
from federation.model.conditions import TypeReason
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType, StoredObject
from federation.model.resources import TYPE_CONFIGS, ObjectName
from federation.runtime import metrics
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks

LAST_PUSHES = 0.25
"""Seconds between two looks at whether the pushes of a type that was stopped have their answers."""

log = structlog.get_logger()


class Types:
    """All enabled types. Its queue has FederatedTypeConfigs' names; `process` is its worker's turn."""

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
        self.counted: Callable[[], None] = lambda: None
        """Called when there is a type more, or one less."""
        self._world = world
        self._hub = hub
        self._watches = watches
        self._clusters = clusters
        self._sync = sync
        self._fanout = fanout
        self._namespace = namespace
        self._now = now
        self._running: dict[str, tuple[FederatedType, Watch, Tasks]] = {}
        self._shown: dict[str, Callable[[], None]] = {}
        """What ends the metric of each type that runs."""
        self._ending: dict[str, list[TypeState]] = {}
        self._left: dict[str, TypeState] = {}
        """Types that have stopped, and whose objects may have a finalizer that nobody would take off."""
        self._partings: dict[str, asyncio.Task[None]] = {}
        self._parting = Tasks()
        self._followed: dict[str, int] = {}
        """Up to which version of the fleet each type was followed."""

    def observed(self, name: str) -> None:
        """A FederatedTypeConfig appeared, changed or went."""
        self.queue.add(name)

    def kick(self) -> None:
        """A CustomResourceDefinition changed at the hub: watches that wait for their type try again."""
        for _, watch, _ in self._running.values():
            if watch.failure is not None:
                watch.kick()

    def renew(self) -> None:
        """List the federated objects of every type again."""
        for _, watch, _ in self._running.values():
            watch.renew()

    @property
    def synced(self) -> bool:
        """Whether every running type's federated objects have been listed, or cannot be."""
        return all(watch.synced or watch.failure is not None for _, watch, _ in self._running.values())

    async def process(self, name: str) -> None:
        """Bring one type in line with its FederatedTypeConfig."""
        stored = self.objects.get(ObjectName(self._namespace, name))
        if stored is None:
            await self._absent(name)
            return
        if stored.metadata.deletion_timestamp is not None:
            if await self._stopped(name) and self._parted(stored):
                await self._release(stored)
            return
        try:
            enabled = self._read(stored)
        except Invalid as error:
            if str(error) not in str(stored.status.get("conditions")):
                log.warning("type config invalid", type=name, reason=str(error))
            await self._stop(name)
            await self._report(stored, running=False, ready=("False", TypeReason.INVALID, str(error)))
            return
        if marks.TYPE_FINALIZER not in stored.metadata.finalizers and not self._world.reports:
            finalizers = (*stored.metadata.finalizers, marks.TYPE_FINALIZER)
            answer = await self._hub.set_finalizers(TYPE_CONFIGS, stored.metadata, finalizers)
            if isinstance(answer, Failure):
                await self._refused(stored, answer, running=name in self._running)
                raise ApiFailure(answer, f"finalizer of FederatedTypeConfig {name}")
        running = await self._follows(name, enabled)
        idle = typeconfigs.idle(enabled, self._world.settings)
        if idle is not None or not enabled.propagation:
            # Settings are not in the type's spec: by the report the API server knows that it is to add no finalizer.
            if await self._stopped(name) and (idle is not None or self._parted(stored)):
                await self._report(stored, running=False, ready=idle)
            return
        if not running and not await self._begin(stored, enabled):
            return
        watch = self._running[name][1]
        if watch.synced or watch.failure is not None:  # else its first list is still to come, and brings the key back
            ready = typeconfigs.ready(stored, enabled, watch.failure) or typeconfigs.stored_ready(stored)
            await self._report(stored, running=ready is None or ready[0] == "True", ready=ready)

    async def close(self) -> None:
        """Stop following everything."""
        await self._parting.cancel()
        for _, _, tasks in list(self._running.values()):
            await tasks.cancel()
        while self._shown:
            self._shown.popitem()[1]()

    def _read(self, stored: StoredObject) -> FederatedType:
        """The type, bound to our own namespace where the scope is Namespaced. Raises Invalid."""
        enabled = typeconfigs.read(stored, self._world.settings, self._namespace)
        return enabled if self._world.sharding is None else replace(enabled, collection=None)

    def rescoped(self) -> None:
        """Other settings are in force: whether a type is followed, and where, may have changed."""
        for where in list(self.objects):
            self.queue.add(where.name)

    async def _follows(self, name: str, enabled: FederatedType) -> bool:
        """Whether the type is followed as it is enabled now; one that is not is stopped, to begin anew."""
        if name not in self._running:
            return False
        before, watch, tasks = self._running[name]
        if not typeconfigs.same(before, enabled):
            await self._stop(name)
            return False
        if (before.policies, before.collection) != (enabled.policies, enabled.collection):
            # Which needs no other watch of the hub: its objects are planned anew.
            state = self._world.types[name]
            state.type = replace(state.type, policies=enabled.policies, collection=enabled.collection)
            self._running[name] = (enabled, watch, tasks)
            if before.collection != enabled.collection:
                log.info("status collection", type=name, **typeconfigs.collects(enabled))
                self._clusters.realign()
            self._fanout.whole_type(name)
        return True

    def _start(self, enabled: FederatedType) -> None:
        state = TypeState(enabled, self._world.joined_since(self._followed.get(enabled.name, 0)))
        self._world.types[enabled.name] = state
        self._shown[enabled.name] = metrics.TYPE_PLACEMENTS.follow(lambda: state.placements, enabled.name)
        watch = self._watches.federated(
            enabled,
            FederatedSink(state, self._sync.changed, self._fanout, self._world),
            lambda _: self.queue.add(enabled.name),
        )
        state.watch = watch
        tasks = Tasks()
        tasks.keep(watch.run, f"watch:hub:{enabled.name}")
        self._running[enabled.name] = (enabled, watch, tasks)
        self._clusters.follow(state)
        self.counted()
        log.info("type started", type=enabled.name)

    async def _absent(self, name: str) -> None:
        where = ObjectName(self._namespace, name)
        if name not in self._running or await absences.gone(self._hub, self.objects, TYPE_CONFIGS, where):
            await self._stop(name)
            await self._forget_parting(name)
        else:
            self.queue.add(name)

    async def _stopped(self, name: str) -> bool:
        """Stop it; False, and the key comes again, while members have not answered what was on its way to them."""
        await self._stop(name)
        ending = [state for state in self._ending.pop(name, ()) if state.in_flight]
        if ending:
            self._ending[name] = ending
            self.queue.add_after(name, LAST_PUSHES)
        return not ending

    def _parted(self, stored: StoredObject) -> bool:
        """Whether a type that has stopped needs nothing more; False while finalizers go, and the key comes again.

        With several shards they stay: nothing shows what the others have under way.
        """
        name = stored.metadata.name
        if self._world.sharding is not None:
            self._left.pop(name, None)
            return True
        parting = self._partings.get(name)
        if parting is not None:
            return parting.done()
        state = self._left.pop(name, None)
        if state is None:
            if stored.status.get("propagationController") != "Running":
                return True
            try:  # a controller before us was ended in the midst of it
                state = TypeState(self._read(stored))
            except Invalid:
                return True
        self._partings[name] = self._parting.spawn(self._part(name, state), f"parting:{name}")
        return False

    async def _begin(self, stored: StoredObject, enabled: FederatedType) -> bool:
        """Start it; False, and the key comes again, while finalizers of a type that has stopped go.

        They do, too, where scope Namespaced begins: nobody takes them off in other namespaces from now on.
        """
        name = stored.metadata.name
        left = self._left.get(name)
        if left is not None and enabled.namespace and not left.type.namespace:
            if not await self._stopped(name):
                return False
        else:
            self._left.pop(name, None)
        if (name in self._left or name in self._partings) and not self._parted(stored):
            await self._report(stored, running=False, ready=None)
            return False
        self._partings.pop(name, None)
        self._start(enabled)
        return True

    async def _part(self, name: str, state: TypeState) -> None:
        try:
            await Parting(self._hub, self._watches, state).run()
        finally:
            self.queue.add_after(name, 0.0)

    async def _forget_parting(self, name: str) -> None:
        self._left.pop(name, None)
        parting = self._partings.pop(name, None)
        if parting is not None:
            parting.cancel()
            await asyncio.gather(parting, return_exceptions=True)

    async def _stop(self, name: str) -> None:
        running = self._running.pop(name, None)
        if running is None:
            return
        # First of all: what watches members looks here for the enabled types, and lanes drop the keys of others.
        state = self._world.types.pop(name, None)
        self._followed[name] = self._world.clusters_version
        self._world.left += 1
        await running[2].cancel()
        await self._clusters.unfollow(name)
        if state is not None and state.in_flight:
            self._ending.setdefault(name, []).append(state)
        if state is not None:
            self._left[name] = state
        self._shown.pop(name, _nothing)()
        if name == marks.NAMESPACE_TYPE:
            self._fanout.everything()
        self.counted()
        log.info("type stopped", type=name)

    async def _release(self, stored: StoredObject) -> None:
        finalizers = tuple(name for name in stored.metadata.finalizers if name != marks.TYPE_FINALIZER)
        if finalizers == stored.metadata.finalizers or self._world.reports:
            return
        answer = await self._hub.set_finalizers(TYPE_CONFIGS, stored.metadata, finalizers)
        if isinstance(answer, Failure) and answer.kind is not FailureKind.NOT_FOUND:
            await self._refused(stored, answer, running=False)
            raise ApiFailure(answer, f"finalizer of FederatedTypeConfig {stored.metadata.name}")

    async def _refused(self, stored: StoredObject, failure: Failure, *, running: bool) -> None:
        """The hub refuses our finalizer on a FederatedTypeConfig: report it in Ready; the caller tries again."""
        if failure.concerns != "object":
            return
        name = stored.metadata.name
        message = f"the host refuses to change our finalizer {marks.TYPE_FINALIZER}: {failure.message}"
        if stored.status.get("conditions") is None or message not in str(stored.status["conditions"]):
            log.warning("hub refuses", what="finalizer", type=name, reason=failure.message)
        await self._report(stored, running=running, ready=("False", TypeReason.FINALIZER_REFUSED, message))

    async def _report(self, stored: StoredObject, *, running: bool, ready: tuple[str, str, str] | None) -> None:
        """Write the status where it differs. `ready` is that condition's status, reason and message; None: none."""
        if self._world.reports:
            return  # the coordinating shard does
        followed = self._running.get(stored.metadata.name) if running else None
        collects = followed is not None and followed[0].collection is not None
        status = {
            "observedGeneration": stored.metadata.generation,
            "propagationController": "Running" if running else "NotRunning",
            "statusController": "Running" if collects else "NotRunning",
            "conditions": typeconfigs.conditions(stored, ready, self._now()) or None,
        }
        if all(stored.status.get(key) == value for key, value in status.items()):
            return
        answer = await self._hub.set_status(TYPE_CONFIGS, stored.where, orjson.dumps({"status": status}))
        if isinstance(answer, Failure) and answer.kind is not FailureKind.NOT_FOUND:
            raise ApiFailure(answer, f"status of FederatedTypeConfig {stored.metadata.name}")


def _nothing() -> None:
    pass
