"""The controller's own sinks, stores, planning, lanes and status, without API servers. For `memory` and
`statuses`.

What a server would answer is made from the request, as the same JSON, and decoded by the same decoders, so that the
same objects stay in memory as in a controller. With a type whose statuses are collected, members show objects whole.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import orjson

from federation.comparing.configmaps import PAD
from federation.controllers import collecting
from federation.controllers.collecting import StatusSink
from federation.controllers.copies import Copies
from federation.controllers.events import Events
from federation.controllers.fanout import Fanout
from federation.controllers.membertriggers import CopiesSink
from federation.controllers.ports import HubPort, JoinedPort
from federation.controllers.push import Pusher
from federation.controllers.sync import Sync
from federation.controllers.triggers import FederatedSink
from federation.controllers.world import Member, TypeState, World
from federation.core import sharing
from federation.kube import decoding
from federation.kube.members import Written
from federation.model import marks
from federation.model.failures import Failure
from federation.model.federated import FederatedType, Metadata
from federation.model.observations import Cluster
from federation.model.resources import Key, ObjectName, Resource
from federation.model.settings import Settings
from federation.runtime.fleetlimit import FleetLimit
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.lane import Lane
from federation.runtime.tasks import Tasks

NAMESPACE = "shop"
TYPE = FederatedType(
    "configmaps",
    Resource("", "v1", "ConfigMap", "configmaps", namespaced=True),
    Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True),
    namespace=NAMESPACE,
)
MANAGER = f"{marks.FIELD_MANAGER}-0123abcd"
BATCH = 200
STAMP = "2026-01-01T00:00:00Z"


class Pipeline:
    """One type, so many members, and a controller that has never seen an object."""

    def __init__(self, members: int, enabled: FederatedType = TYPE) -> None:
        self.names = [f"member-{number}" for number in range(members)]
        self.world = World(settings=Settings(namespaced=True), types={enabled.name: TypeState(enabled)})
        self.status_writes = 0
        self.watches: dict[str, Callable[[bytes], None]] = {}
        """By member, what takes in an object as its watch shows it."""
        self._queue: KeyQueue[Key] = KeyQueue()
        self._hub = _Hub(self)
        hub = cast("HubPort", self._hub)
        self._sync = Sync(self.world, hub, self._queue, now=lambda: STAMP, events=Events(self.world, hub))
        self._tasks = Tasks()
        fanout = Fanout(self.world, self._sync.changed)
        self._state = self.world.types[enabled.name]
        self.sink = FederatedSink(self._state, self._sync.changed, fanout, self.world)
        self.sink.replace(())
        limit = FleetLimit()
        for name in self.names:
            copies = self._state.copies[name] = Copies()
            sink = CopiesSink(name, MANAGER, self._state, copies, wake=self._sync.changed, fanout=fanout)
            sink.replace(())
            self.watches[name] = _taking(name, self.world, self._state, copies, sink)
            lane = Lane(
                name,
                self._sync.lane_runner(name),
                self._tasks.spawn,
                concurrency=16,
                kind=lambda key: key.type,
                flow=lambda key: key.namespace,
                limit=limit,
            )
            port = cast("JoinedPort", _Member(self.watches[name]))
            self.world.members[name] = Member(Cluster(name, ready=True), carrier=Pusher(port), port=port, lane=lane)
        self.world.clusters_version += 1

    async def place(self, objects: int) -> None:
        """Create so many objects, in batches as a user's tools would, and work until all is reported."""
        for start in range(0, objects, BATCH):
            for number in range(start, min(start + BATCH, objects)):
                self._hub.made(f"item-{number}", self.names)
            await self._work()

    def forget(self) -> None:
        """Drop the hub's objects: what a server keeps is not part of the controller's memory."""
        self._hub.forget()

    async def report(self) -> None:
        """Report what members' statuses are due now, and work until that is done."""
        for key in collecting.due(self.world, time.monotonic()):
            self._queue.add(key)
        await self._work()

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
        """Placements that the controller reports as applied."""
        return sum(
            line.status == "" and line.fingerprint != sharing.UNKNOWN
            for track in self._state.tracks.values()
            for line in track.status.clusters
        )


def _taking(name: str, world: World, state: TypeState, copies: Copies, sink: CopiesSink) -> Callable[[bytes], None]:
    wanted = state.type.collection
    if wanted is None:
        return lambda content: sink.upsert(decoding.partial(content))
    statuses = StatusSink(name, world, state, copies, sink)
    statuses.replace(())
    whole = decoding.whole(state.type.target, wanted)
    return lambda content: statuses.upsert(whole(content))


class _Hub:
    """Stores federated objects as JSON, and notifies the sink of every write, as an API server's watch would.

    It has only those methods of controllers.ports.HubPort that are called here; nothing fails, so there are no events.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._objects: dict[str, dict[str, Any]] = {}
        self._versions = itertools.count(1000)

    def made(self, name: str, clusters: Sequence[str]) -> None:
        """A user creates a ConfigMap of 1 kB for every cluster, with an override for the first."""
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
        self._notify(name)

    def forget(self) -> None:
        """Drop the objects: what a server keeps is not part of the controller's memory."""
        self._objects.clear()

    async def set_finalizers(self, _: Resource, metadata: Metadata, finalizers: tuple[str, ...]) -> Metadata | Failure:
        """As kube.hub does."""
        self._objects[metadata.name]["metadata"]["finalizers"] = list(finalizers)
        return self._notify(metadata.name)

    async def set_status(self, _: Resource, name: ObjectName, body: bytes) -> Metadata | Failure:
        """As kube.hub does, by a merge patch."""
        self._pipeline.status_writes += 1
        status = self._objects[name.name].setdefault("status", {})
        status.update(orjson.loads(body)["status"])
        return self._notify(name.name)

    def _notify(self, name: str) -> Metadata:
        item = self._objects[name]
        item["metadata"]["resourceVersion"] = str(next(self._versions))
        content = orjson.dumps(item)
        self._pipeline.sink.upsert(decoding.federated(content))
        return decoding.metadata(content)


class _Member:
    """Answers every apply with the metadata that a server would return, and notifies the sink.

    It has only that method of controllers.ports.JoinedPort that is called here: nothing is deleted or recreated.
    """

    manager = MANAGER

    def __init__(self, watch: Callable[[bytes], None]) -> None:
        self._watch = watch
        self._versions = itertools.count(1000)

    async def apply(
        self, _: Resource, name: ObjectName, body: bytes, *, manager: str | None = None, **__: Any
    ) -> Written | Failure:
        """As kube.members does."""
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
        asyncio.get_running_loop().call_soon(self._watch, content)
        return Written(True, decoding.partial(content))
