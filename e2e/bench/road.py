"""The controller's own road with nothing at its ends: real sinks, stores, planning, lanes and status, no API servers.

What servers would answer is made from what they were sent, as the same JSON, and is decoded by the same decoders, so
that what stays in memory is what stays in a controller. For `memory`.
"""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from e2e.bench.phases import PAD
from federation.controllers.facts import Holdings, Member, TypeState, World
from federation.controllers.sync import Sync
from federation.controllers.triggers import Fanout, FederatedSink, HoldingsSink
from federation.core.managedfields import PartialMetadata
from federation.kube import decoding
from federation.kube.members import Written
from federation.model import marks
from federation.model.clusters import Cluster
from federation.model.failures import Failure
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.resources import Key, ObjectName, Resource
from federation.model.settings import Settings
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.lane import Lane
from federation.runtime.tasks import Tasks

TYPE = FederatedType(
    "configmaps",
    Resource("", "v1", "ConfigMap", "configmaps", namespaced=True),
    Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True),
)
MANAGER = f"{marks.FIELD_MANAGER}-0123abcd"
NAMESPACE = "shop"
BATCH = 200
STAMP = "2026-01-01T00:00:00Z"


class Road:
    """One type, so many members, and a controller that has never seen an object."""

    def __init__(self, members: int) -> None:
        self.names = [f"member-{number}" for number in range(members)]
        self.world = World(settings=Settings(namespaced=True), types={TYPE.name: TypeState(TYPE)})
        self._queue: KeyQueue[Key] = KeyQueue()
        self._hub = _Hub(self)
        self._sync = Sync(self.world, self._hub, self._queue, now=lambda: STAMP)
        self._tasks = Tasks()
        fanout = Fanout(self.world, self._sync.changed)
        self._state = self.world.types[TYPE.name]
        self.sink = FederatedSink(self._state, self._sync.changed, fanout)
        self.sink.replace(())
        for name in self.names:
            holdings = self._state.holdings[name] = Holdings()
            sink = HoldingsSink(name, MANAGER, self._state, holdings, wake=self._sync.changed, fanout=fanout)
            sink.replace(())
            lane = Lane(name, self._sync.lane_runner(name), self._tasks.spawn, concurrency=16)
            self.world.members[name] = Member(Cluster(name, ready=True), port=_Member(sink), lane=lane)
        self.world.clusters_version += 1

    async def place(self, objects: int) -> None:
        """Create so many objects, in batches as a user's tools would, and work until all is told."""
        for start in range(0, objects, BATCH):
            for number in range(start, min(start + BATCH, objects)):
                self._hub.made(f"item-{number}", self.names)
            await self._work()
        self._hub.forget()

    async def _work(self) -> None:
        while len(self._queue) or len(self._tasks):
            key = self._queue.take_nowait()
            if key is None:
                await asyncio.sleep(0)
                continue
            try:
                await self._sync.process(key)
            finally:
                self._queue.done(key)

    def placed(self) -> int:
        """Placements that the controller says are right."""
        return sum(
            line.status == "" and line.fingerprint != ""
            for track in self._state.tracks.values()
            for line in track.status.clusters
        )


class _Hub:
    """Stores federated objects as JSON and tells of every write, as an API server's watch would."""

    def __init__(self, road: Road) -> None:
        self._road = road
        self._objects: dict[str, dict[str, Any]] = {}
        self._versions = itertools.count(1000)

    def made(self, name: str, clusters: Sequence[str]) -> None:
        """A user has made a ConfigMap of 1 kB for every cluster, with an override for the first."""
        self._objects[name] = {
            "apiVersion": TYPE.federated.api_version,
            "kind": TYPE.federated.kind,
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": f"00000000-0000-0000-0000-{len(self._objects):012}",
                "generation": 1,
                "creationTimestamp": STAMP,
            },
            "spec": {
                "template": {"metadata": {"labels": {"app": "bench"}}, "data": {"version": "1", "pad": PAD}},
                "placement": {"clusters": [{"name": each} for each in clusters]},
                "overrides": [
                    {"clusterName": clusters[0], "clusterOverrides": [{"path": "/data/version", "value": "override"}]}
                ],
            },
        }
        self._tell(name)

    def forget(self) -> None:
        """What a server keeps is not what a controller keeps."""
        self._objects.clear()

    async def set_finalizers(self, _: Resource, metadata: Metadata, finalizers: tuple[str, ...]) -> Metadata | Failure:
        """As kube.hub."""
        self._objects[metadata.name]["metadata"]["finalizers"] = list(finalizers)
        return self._tell(metadata.name)

    async def set_status(self, _: Resource, name: ObjectName, body: bytes) -> Metadata | Failure:
        """As kube.hub: a merge patch."""
        status = self._objects[name.name].setdefault("status", {})
        status.update(orjson.loads(body)["status"])
        return self._tell(name.name)

    async def merge(self, *_: Any, **__: Any) -> Metadata | Failure:
        """Nothing else is written on this road."""
        raise NotImplementedError

    async def create(self, *_: Any) -> Failure | None:
        """Nothing fails on this road, so there are no events."""
        raise NotImplementedError

    async def read(self, *_: Any) -> StoredObject | Failure:
        """Every list is true on this road."""
        raise NotImplementedError

    async def read_federated(self, *_: Any) -> FederatedObject | Failure:
        """Every list is true on this road."""
        raise NotImplementedError

    def _tell(self, name: str) -> Metadata:
        item = self._objects[name]
        item["metadata"]["resourceVersion"] = str(next(self._versions))
        content = orjson.dumps(item)
        self._road.sink.upsert(decoding.federated(content))
        return decoding.metadata(content)


class _Member:
    """Answers every apply with the metadata that a server would, and tells the watch."""

    manager = MANAGER

    def __init__(self, sink: HoldingsSink) -> None:
        self._sink = sink
        self._versions = itertools.count(1000)

    async def apply(
        self, resource: Resource, name: ObjectName, body: bytes, *, force: bool, manager: str | None = None
    ) -> Written | Failure:
        """As kube.members."""
        del resource, force
        version = next(self._versions)
        manifest = orjson.loads(body)
        entry = {
            "manager": manager or MANAGER,
            "operation": "Apply",
            "apiVersion": "v1",
            "time": STAMP,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {f"f:{key}": {} for key in manifest["metadata"]["labels"]}},
                "f:data": {f"f:{key}": {} for key in manifest["data"]},
            },
        }
        answer = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {
                **manifest["metadata"],
                "name": name.name,
                "namespace": name.namespace,
                "uid": f"00000000-0000-0000-0000-{version:012}",
                "resourceVersion": str(version),
                "creationTimestamp": STAMP,
                "managedFields": [entry],
            },
        }
        content = orjson.dumps(answer)
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(self._sink.upsert, decoding.partial(content))
        return Written(True, decoding.partial(content))

    async def patch(self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]) -> Any:
        """Ownership is undisputed here."""
        raise NotImplementedError

    async def would_create(self, resource: Resource, name: ObjectName, body: bytes) -> Failure | None:
        """Nothing is recreated here."""
        raise NotImplementedError

    async def delete(
        self, resource: Resource, name: ObjectName, uid: str, options: Mapping[str, Any], *, version: str = ""
    ) -> Any:
        """Nothing is deleted here."""
        raise NotImplementedError

    async def read(self, resource: Resource, name: ObjectName) -> PartialMetadata | Failure:
        """Nothing is asked here."""
        raise NotImplementedError

    async def read_replicas(self, resource: Resource, name: ObjectName) -> int | Failure:
        """A ConfigMap has none."""
        raise NotImplementedError

    async def read_whole(self, resource: Resource, name: ObjectName) -> Mapping[str, Any] | Failure:
        """A ConfigMap drops nothing."""
        raise NotImplementedError
