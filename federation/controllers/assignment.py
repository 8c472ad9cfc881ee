"""Which clusters this shard serves: taken and handed over by a record on each KubeFedCluster (core.shards.standing).

Only the shard on record serves a cluster. One that another shard is to serve is let go of first (its lane closed, every
push answered, its connection closed), then the record is taken off; the other one records itself, and begins. Every
change of the record has the version of the KubeFedCluster that was seen as its condition, and passes the fence of this
shard's Lease: so no two serve a cluster at a time.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import msgspec
import orjson
import structlog

from federation.controllers.ports import HubPort
from federation.controllers.shards import Sharding, foreign
from federation.controllers.world import Member, World
from federation.core import shards
from federation.core.shards import Standing
from federation.model import marks
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import StoredObject
from federation.model.observations import Cluster
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.store import Store

AGAIN = 0.2
"""Seconds until it is looked again whether every push has its answer, or what a KubeFedCluster says now."""
_CHANGED = {FailureKind.VERSION_CONFLICT, FailureKind.UID_MISMATCH, FailureKind.NOT_FOUND}

log = structlog.get_logger()


class Assignment:
    """Asked by clusters for each KubeFedCluster. `hand_over` lets go of one, and says whether it is done. `silent`:
    the identity of one will not be asked for. `changed` is called with each that placements may see otherwise."""

    def __init__(
        self,
        world: World,
        hub: HubPort,
        sharding: Sharding,
        *,
        objects: Store[StoredObject],
        queue: KeyQueue[str],
        hand_over: Callable[[str], Awaitable[bool]],
        silent: Callable[[str], None],
        changed: Callable[[str], None],
    ) -> None:
        self._world = world
        self._hub = hub
        self._sharding = sharding
        self._objects = objects
        self._queue = queue
        self._hand_over = hand_over
        self._silent = silent
        self._changed = changed
        self._foreign: set[str] = set()
        self._going: set[str] = set()

    def is_foreign(self, name: str) -> bool:
        """Whether another shard serves it."""
        return name in self._foreign

    async def served(self, stored: StoredObject) -> StoredObject | None:
        """The KubeFedCluster of one that this shard serves; None where another does, or it comes again."""
        name, meta = stored.metadata.name, stored.metadata
        if stored.broken and name not in self._sharding.served:
            self._await(name, {})  # nothing shows who is to serve it
            return None
        if stored.broken:
            return stored
        match shards.standing(name, meta.labels, meta.annotations, self._sharding.shard):
            case Standing.SERVES if name not in self._going:
                return stored
            case Standing.TAKES:
                self._await(name, meta.labels)
                return await self._record(stored, str(self._sharding.shard))
            case Standing.SERVES | Standing.LETS_GO | Standing.FOREIGN as standing:
                self._going.add(name)
                if not await self._hand_over(name):
                    self._queue.add_after(name, AGAIN)
                    return None
                self._going.discard(name)
                if standing is Standing.SERVES:
                    return stored  # it was to go, and is to stay after all
                recorded = await self._record(stored, None) if standing is Standing.LETS_GO else stored
                if recorded is not None:
                    self._note(recorded)
                return None

    def replaced(self, name: str) -> None:
        """This shard has let go of it: in one step it is another's, so that nobody takes it for one that has left."""
        stored = self._objects.get(ObjectName(self._world.namespace, name))
        self._sharding.served.discard(name)
        self._fleet_changed()
        if stored is not None:
            self._note(stored)

    def joined(self, name: str) -> None:
        """This shard serves it from now on: what it has is what the stored statuses say."""
        self._foreign.discard(name)
        self._sharding.served.add(name)
        self._fleet_changed()
        for state in self._world.types.values():
            for where, track in state.tracks.items():
                federated = state.objects.get(where)
                if federated is not None and track.uid:
                    track.gain(name, federated.metadata.generation)

    def left(self, name: str) -> None:
        """It is not served any more, or there is no KubeFedCluster of its name any more."""
        known = name in self._foreign
        self._foreign.discard(name)
        self._going.discard(name)
        if name in self._sharding.served:
            self._sharding.served.discard(name)
            self._fleet_changed()
        if known and self._world.members.pop(name, None) is not None:
            self._world.clusters_version += 1
            self._changed(name)

    def _fleet_changed(self) -> None:
        if self._sharding.outbox is not None:
            self._sharding.outbox.fleet_changed()

    def _await(self, name: str, labels: Mapping[str, str]) -> None:
        """Nobody serves it yet, as far as this shard knows: it may have copies, and nothing is let go of meanwhile."""
        if self._sharding.outbox is None:
            self._know(Cluster(name, dict(labels), shard=self._sharding.shard.index))

    def _know(self, cluster: Cluster) -> None:
        """The coordinating shard plans for a cluster that it does not serve."""
        member = self._world.members.get(cluster.name)
        if member is not None and member.cluster == cluster:
            return
        if member is None:
            self._world.members[cluster.name] = Member(cluster)
        else:
            member.cluster = replace(cluster, labels=cluster.labels or member.cluster.labels)
        self._world.clusters_version += 1
        self._changed(cluster.name)

    def _note(self, stored: StoredObject) -> None:
        """Another shard serves it. Placements of the one that coordinates select it all the same."""
        name = stored.metadata.name
        self._foreign.add(name)
        self._silent(name)
        if self._sharding.outbox is None:
            self._know(foreign(stored, self._sharding.shard))

    async def _record(self, stored: StoredObject, shard: str | None) -> StoredObject | None:
        """Put on record who serves it; None where it was changed meanwhile, and comes again."""
        meta = stored.metadata
        same = {"uid": meta.uid, "resourceVersion": meta.resource_version}
        body = orjson.dumps({"metadata": {**same, "annotations": {marks.SERVED_ANNOTATION: shard}}})
        answer = await self._hub.merge(KUBEFED_CLUSTERS, stored.where, body)
        if isinstance(answer, Failure):
            if answer.kind not in _CHANGED:
                raise ApiFailure(answer, f"annotation {marks.SERVED_ANNOTATION} of KubeFedCluster {meta.name}")
            self._queue.add_after(meta.name, AGAIN)
            return None
        recorded = msgspec.structs.replace(stored, metadata=answer)
        if self._objects.get(stored.where) is stored:  # else a newer event came meanwhile
            self._objects.put(stored.where, recorded)
        log.info("cluster taken" if shard else "cluster let go", cluster=meta.name, shard=str(self._sharding.shard))
        return recorded
