"""A hub in memory: objects with optimistic locking, finalizers, generations and events. Kept honest by tests/contract.

Every event goes to the sink of its resource at once, before its write's answer, or with `delay_events` when `deliver`
is called.
"""

import asyncio
import copy
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from federation.controllers.ports import Sink
from federation.core import managedfields
from federation.core.managedfields import Writer
from federation.kube import decoding
from federation.kube.sinks import ListingSink
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, Metadata, StoredObject
from federation.model.marks import SYNC_FINALIZER
from federation.model.resources import ObjectName, Resource
from tests.ownership import DELETED_AT, conflict, not_found

T = TypeVar("T")

Snapshot = tuple[dict[tuple[str, ObjectName], dict[str, Any]], int]


class Contact:
    """A hub's watch, as far as its contact goes: `lose` and `regain` it."""

    version = ""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self.synced = True
        self.contact = 0.0
        self.open = True
        self.breaks = self.restored = 0
        self.since = float("-inf")

    async def run(self) -> None:
        """Nothing: FakeHub's events come at once."""

    def kick(self) -> None:
        """Nothing waits."""

    def renew(self) -> None:
        """FakeHub.relist lists for all."""
        self.breaks += 1

    def lose(self) -> None:
        self.open = False
        self.breaks += 1

    def regain(self) -> None:
        self.open = True
        self.since = time.monotonic()


class FakeHub:
    """The hub's federated objects. `writes` is what was written; `fails` may answer in place of a write."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, ObjectName], dict[str, Any]] = {}
        self.sinks: dict[str, tuple[Sink[Any], Callable[[bytes], Any]]] = {}
        self.applied: dict[tuple[str, ObjectName, str], dict[str, Any]] = {}
        self.writes: list[str] = []
        self.reads: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.fails: Callable[[str, ObjectName], Failure | None] = lambda verb, name: None
        self.finalizes: Callable[[Resource], bool] = lambda resource: False
        """Whether it adds our finalizer to what users write (templates/host/finalizer-policy.yaml)."""
        self.delay_events = False
        self._delayed: list[tuple[str, bool, bytes]] = []
        self._versions = itertools.count(2)
        self._uids = itertools.count(1)

    # --- HubPort

    async def set_finalizers(
        self, resource: Resource, metadata: Metadata, finalizers: tuple[str, ...]
    ) -> Metadata | Failure:
        name = ObjectName(metadata.namespace, metadata.name)
        preconditions = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        body = {"metadata": {"finalizers": list(finalizers), **preconditions}}
        return await self._write("finalizers", resource, name, body)

    async def set_status(self, resource: Resource, name: ObjectName, body: bytes) -> Metadata | Failure:
        return await self._write("status", resource, name, orjson.loads(body))

    async def merge(
        self, resource: Resource, name: ObjectName, body: bytes, *, subresource: str = ""
    ) -> Metadata | Failure:
        return await self._write(subresource or "merge", resource, name, orjson.loads(body))

    async def apply(self, resource: Resource, name: ObjectName, body: bytes, manager: str) -> Metadata | Failure:
        """Server-side apply to a federated object whose overrides are lists with keys."""
        wanted = orjson.loads(body)
        stored = self.objects.get((resource.qualified, name))
        spec = copy.deepcopy(stored["spec"]) if stored is not None else {}
        before = self.applied.get((resource.qualified, name, manager), {})
        spec["overrides"] = _keyed(spec.get("overrides", []), before.get("overrides", []), wanted["spec"]["overrides"])
        spec["placement"] = {**spec.get("placement", {}), **wanted["spec"]["placement"]}
        patch = {"metadata": {"uid": wanted["metadata"]["uid"]}, "spec": spec}
        answer = await self._write(f"apply as {manager}", resource, name, patch)
        if not isinstance(answer, Failure):
            self.applied[resource.qualified, name, manager] = wanted["spec"]
        return answer

    async def create(self, resource: Resource, namespace: str, body: Any) -> Failure | None:
        self.writes.append(f"create {resource.plural}")
        await asyncio.sleep(0)
        failure = self.fails("create", ObjectName(namespace, ""))
        if failure is None and resource.plural != "events":
            return self._create(resource, ObjectName(namespace, body["metadata"]["name"]), body)
        if failure is None:
            self.events.append(body)
        return failure

    def _create(self, resource: Resource, name: ObjectName, body: dict[str, Any]) -> Failure | None:
        if (resource.qualified, name) in self.objects:
            return Failure(FailureKind.ALREADY_EXISTS, "it exists", 409)
        self.put(resource, name, **orjson.loads(orjson.dumps(body)))
        return None

    async def remove(self, resource: Resource, name: ObjectName) -> Failure | None:
        self.writes.append(f"remove {resource.plural} {name}")
        await asyncio.sleep(0)
        return None if self.objects.pop((resource.qualified, name), None) is not None else not_found(resource, name)

    async def read(self, resource: Resource, name: ObjectName) -> StoredObject | Failure:
        return await self._read(resource, name, decoding.stored)

    async def written(self, resource: Resource, name: ObjectName) -> Sequence[str] | Failure:
        found = await self._read(resource, name, decoding.partial)
        if isinstance(found, Failure):
            return found
        return [entry.time for entry in found.managed_fields if not entry.subresource]

    async def writers(self, resource: Resource, name: ObjectName) -> Sequence[Writer] | Failure:
        found = await self._read(resource, name, decoding.partial)
        return found if isinstance(found, Failure) else managedfields.writers(found.managed_fields)

    async def published(self, resource: Resource) -> object | Failure:
        return Failure(FailureKind.NOT_FOUND, "nothing is published here")

    async def read_federated(self, resource: Resource, name: ObjectName) -> FederatedObject | Failure:
        return await self._read(resource, name, decoding.federated)

    async def read_metadata(self, resource: Resource, name: ObjectName) -> Metadata | Failure:
        return await self._read(resource, name, decoding.metadata)

    async def list_metadata(self, resource: Resource, namespace: str) -> Sequence[Metadata] | Failure:
        self.reads.append(f"{resource.plural} {namespace or '*'}")
        await asyncio.sleep(0)
        bodies = [body for (what, _), body in self.objects.items() if what == resource.qualified]
        found = [decoding.metadata(orjson.dumps(body)) for body in bodies]
        failure = self.fails("list", ObjectName(namespace, ""))
        return failure or [each for each in found if namespace in {"", each.namespace}]

    async def _read(self, resource: Resource, name: ObjectName, decode: Callable[[bytes], T]) -> T | Failure:
        self.reads.append(f"{resource.plural} {name}")
        await asyncio.sleep(0)
        body = self.objects.get((resource.qualified, name))
        return self.fails("read", name) or (not_found(resource, name) if body is None else decode(orjson.dumps(body)))

    # --- its users

    def put(self, resource: Resource, name: ObjectName, **changes: Any) -> None:
        """Create, or merge changes into metadata, spec or status."""
        where = (resource.qualified, name)
        body = self.objects.get(where)
        if body is None:
            meta = {"name": name.name, "namespace": name.namespace, "uid": f"hub-{next(self._uids)}", "generation": 0}
            body = self.objects[where] = {"metadata": meta}
        body = merged(body, changes)
        meta = body["metadata"]
        held = meta.get("finalizers", [])
        if self.finalizes(resource) and "deletionTimestamp" not in meta and SYNC_FINALIZER not in held:
            meta["finalizers"] = [*held, SYNC_FINALIZER]
        self._change(resource, where, body)

    def delete(self, resource: Resource, name: ObjectName) -> None:
        """Delete, as far as finalizers allow."""
        self._change(
            resource,
            (resource.qualified, name),
            merged(self.objects[resource.qualified, name], {"metadata": {"deletionTimestamp": DELETED_AT}}),
        )

    def snapshot(self) -> Snapshot:
        """Its storage as it is now."""
        return copy.deepcopy(self.objects), next(self._versions)

    def restore(self, snapshot: Snapshot, *, bump: int = 0) -> None:
        """Put its storage back; the next revision is `bump` after that of the snapshot. Watches do not notice."""
        objects, version = snapshot
        self.objects = copy.deepcopy(objects)
        self._versions = itertools.count(version + bump)

    def relist(self) -> None:
        """Every watch begins anew, with a list."""
        for qualified, (sink, decode) in self.sinks.items():
            bodies = [body for (what, _), body in self.objects.items() if what == qualified]
            if isinstance(sink, ListingSink):
                sink.listing()
                sink.listed(str(next(self._versions)))
            sink.replace([decode(orjson.dumps(body)) for body in bodies])

    def follow(self, resource: Resource, sink: Sink[Any], decode: Callable[[bytes], Any] = decoding.federated) -> None:
        """List, then watch."""
        self.sinks[resource.qualified] = (sink, decode)
        bodies = [body for (what, _), body in self.objects.items() if what == resource.qualified]
        sink.replace([decode(orjson.dumps(body)) for body in bodies])

    def deliver(self) -> None:
        """Deliver the delayed events to the sinks."""
        delayed, self._delayed = self._delayed, []
        for what, gone, body in delayed:
            if what in self.sinks:
                sink, decode = self.sinks[what]
                (sink.remove if gone else sink.upsert)(decode(body))

    def forget_events(self) -> None:
        """Nobody is told of them: who follows lists anew."""
        self._delayed.clear()

    def get(self, resource: Resource, name: ObjectName) -> dict[str, Any] | None:
        """The object as stored."""
        return self.objects.get((resource.qualified, name))

    async def _write(
        self, verb: str, resource: Resource, name: ObjectName, patch: dict[str, Any]
    ) -> Metadata | Failure:
        self.writes.append(f"{verb} {name}")
        await asyncio.sleep(0)
        body = self.objects.get((resource.qualified, name))
        if (failure := self.fails(verb, name)) is not None:
            return failure
        if body is None:
            return not_found(resource, name)
        meta = patch.get("metadata", {})
        if meta.pop("uid", body["metadata"]["uid"]) != body["metadata"]["uid"]:
            return Failure(FailureKind.UID_MISMATCH, "uid", 409)
        if meta.pop("resourceVersion", body["metadata"]["resourceVersion"]) != body["metadata"]["resourceVersion"]:
            return conflict("the object has been modified")
        return self._change(resource, (resource.qualified, name), merged(body, patch))

    def _change(self, resource: Resource, where: tuple[str, ObjectName], body: dict[str, Any]) -> Metadata:
        before = self.objects[where]
        meta = body["metadata"]
        if not meta.get("finalizers", [1]):
            del meta["finalizers"]  # an empty list is none
        if body == before and "resourceVersion" in meta:
            return decoding.metadata(orjson.dumps(body))
        if body.get("spec") != before.get("spec") or not meta["generation"]:
            meta["generation"] += 1
        meta["resourceVersion"] = str(next(self._versions))
        self.objects[where] = body
        gone = "deletionTimestamp" in meta and not meta.get("finalizers")
        if gone:
            del self.objects[where]
        self._delayed.append((resource.qualified, gone, orjson.dumps(body)))
        if not self.delay_events:
            self.deliver()
        return decoding.metadata(orjson.dumps(body))


def _keyed(stored: list[Any], before: list[Any], wanted: list[Any]) -> list[Any]:
    """Overrides by cluster and path, without what the manager had applied before and does not any more."""
    found = {each["clusterName"]: {one["path"]: one for one in each.get("clusterOverrides", [])} for each in stored}
    for each in before:
        for one in each["clusterOverrides"]:
            found.get(each["clusterName"], {}).pop(one["path"], None)
    for each in wanted:
        for one in each["clusterOverrides"]:
            mine = found.setdefault(each["clusterName"], {})
            mine[one["path"]] = {**mine.get(one["path"], {}), **one}
    return [{"clusterName": name, "clusterOverrides": list(each.values())} for name, each in found.items() if each]


def merged(body: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(body) if isinstance(body, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
