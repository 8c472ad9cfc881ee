"""One member and one hub, in memory or behind a real API server, seen and changed in the same words."""

import asyncio
import contextlib
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import orjson

from federation.controllers.ports import HubPort, MemberPort
from federation.core import fieldsets, managedfields
from federation.core.managedfields import PartialMetadata
from federation.kube import watches
from federation.kube.connection import JSON_PATCH, MERGE_PATCH, Connection, expect
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.hub import HubWriter
from federation.kube.members import MemberWriter
from federation.kube.tls import Trust
from federation.model import marks
from federation.model.failures import Failure
from federation.model.federated import FederatedType, Metadata
from federation.model.observations import Observed
from federation.model.resources import CRDS, NAMESPACES, ObjectName, Resource
from federation.playground.access import LocalCluster
from tests.fakehub import FakeHub
from tests.fakes import FakeMember

US = "kubefed-0123abcd"
OTHER_HUB = "kubefed-99999999"
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
MANAGED = {"labels": {marks.MANAGED_LABEL: "true"}}


class Events:
    """A sink that remembers: `=` a list, `+` or `-` an event; each with the label's value."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def replace(self, items: Iterable[PartialMetadata]) -> None:
        self.told.append("=" + ",".join(sorted(item.name for item in items)))

    def upsert(self, item: PartialMetadata) -> None:
        self.told.append(f"+{item.name}:{item.labels.managed}")

    def remove(self, item: PartialMetadata) -> None:
        self.told.append(f"-{item.name}")


class World(ABC):
    """A member with its port, and somebody there; a hub with its port, and its user. `namespace` is the test's own."""

    member: MemberPort
    hub: HubPort
    namespace: str

    @property
    def where(self) -> ObjectName:
        """The object most cases are about."""
        return ObjectName(self.namespace, "web")

    @abstractmethod
    async def post(
        self, resource: Resource, body: Mapping[str, Any], *, manager: str = "human", name: ObjectName | None = None
    ) -> None:
        """Somebody creates the object, or changes it without server-side apply."""

    @abstractmethod
    async def unset(self, resource: Resource, *path: str) -> None:
        """Somebody takes a field away."""

    @abstractmethod
    async def remove(self, resource: Resource, name: ObjectName | None = None) -> None:
        """Somebody deletes it."""

    @abstractmethod
    async def value(self, resource: Resource, *path: str) -> Any:
        """One field; None when it or the object is not there."""

    @abstractmethod
    async def follow(self, resource: Resource) -> Events:
        """Watch by the existence of our label; returns when the first list has been told."""

    @abstractmethod
    async def put(self, resource: Resource, body: Mapping[str, Any]) -> None:
        """A user creates an object at the hub."""

    @abstractmethod
    async def serve(self, resource: Resource) -> None:
        """Install a type that is not built in."""

    @abstractmethod
    async def finalized(self, finalizers: list[str]) -> Metadata:
        """An object at the hub with these finalizers, deleted by its user: it stays until they are gone."""

    def body(self, resource: Resource = CONFIGMAPS, **content: Any) -> dict[str, Any]:
        """A managed object as planning makes it."""
        meta: dict[str, Any] = {"name": self.where.name, **MANAGED}
        if resource.namespaced:
            meta["namespace"] = self.where.namespace
        return {"metadata": meta, "apiVersion": resource.api_version, "kind": resource.kind, **content}

    def deployment(self, **spec: Any) -> dict[str, Any]:
        """A managed Deployment; its Pods are never made."""
        pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        return self.body(DEPLOYMENTS, spec={"selector": {"matchLabels": {"app": "web"}}, "template": pod, **spec})

    async def apply(
        self, body: Mapping[str, Any], resource: Resource = CONFIGMAPS, *, force: bool = False, manager: str = US
    ) -> Any:
        """Server-side apply; Written or Failure."""
        name = ObjectName(self.namespace if resource.namespaced else "", body["metadata"]["name"])
        return await self.member.apply(resource, name, orjson.dumps(body), force=force, manager=manager)

    async def read(self, resource: Resource = CONFIGMAPS) -> PartialMetadata:
        """Metadata of an object that is there."""
        found = await self.member.read(resource, self.where)
        assert not isinstance(found, Failure), found
        return found

    async def seen(self, resource: Resource = CONFIGMAPS) -> Observed:
        """What planning would see."""
        return managedfields.observe(await self.read(resource), US)

    async def owners(self, *path: str, resource: Resource = CONFIGMAPS) -> set[str]:
        """Who owns a field."""
        elements = [f"f:{name}" for name in path]
        return {
            entry.manager
            for entry in (await self.read(resource)).managed_fields
            if fieldsets.contains(orjson.loads(bytes(entry.fields_v1)), elements)
        }

    async def until(self, check: Callable[[], bool]) -> None:
        """Events take their time."""
        async with asyncio.timeout(20.0):
            while not check():  # noqa: ASYNC110 - what is waited for is another process
                await asyncio.sleep(0.01)


class FakeWorld(World):
    def __init__(self) -> None:
        self.namespace = "ns"
        self.fake = FakeMember(US)
        self.member = self.fake
        self.hub_fake = FakeHub()
        self.hub = self.hub_fake

    async def post(
        self, resource: Resource, body: Mapping[str, Any], *, manager: str = "human", name: ObjectName | None = None
    ) -> None:
        content = {key: value for key, value in body.items() if key not in {"apiVersion", "kind"}}
        meta = {key: value for key, value in body.get("metadata", {}).items() if key not in {"name", "namespace"}}
        self.fake.post(resource, name or self.where, {**content, **({"metadata": meta} if meta else {})}, manager)

    async def unset(self, resource: Resource, *path: str) -> None:
        self.fake.unset(resource, self.where, path)

    async def remove(self, resource: Resource, name: ObjectName | None = None) -> None:
        self.fake.remove(resource, name or self.where)

    async def value(self, resource: Resource, *path: str) -> Any:
        return self.fake.value(resource, self.where, *path)

    async def follow(self, resource: Resource) -> Events:
        events = Events()
        self.fake.follow(resource, events)
        return events

    async def put(self, resource: Resource, body: Mapping[str, Any]) -> None:
        self.hub_fake.put(resource, self.where, spec=body["spec"])

    async def serve(self, resource: Resource) -> None:
        """It serves whatever it is asked for."""

    async def finalized(self, finalizers: list[str]) -> Metadata:
        self.hub_fake.put(CONFIGMAPS, self.where, metadata={"finalizers": finalizers})
        self.hub_fake.delete(CONFIGMAPS, self.where)
        answer = await self.hub.merge(CONFIGMAPS, self.where, b"{}")
        assert isinstance(answer, Metadata)
        return answer


class RealWorld(World):
    def __init__(self, server: LocalCluster) -> None:
        trust = Trust(ca=server.ca_pem.encode())
        self.connection = Connection("m1", Endpoint(server.url, trust, Credentials(f"Bearer {server.token}")))
        self.member = MemberWriter(self.connection, US)
        self.hub = HubWriter(self.connection)
        self.namespace = f"contract-{uuid.uuid4().hex[:10]}"
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        body = {"metadata": {"name": self.namespace}}
        expect(await self.connection.request("POST", NAMESPACES.collection(), body=orjson.dumps(body)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.connection.close()

    async def post(
        self, resource: Resource, body: Mapping[str, Any], *, manager: str = "human", name: ObjectName | None = None
    ) -> None:
        name = name or self.where
        params, path = {"fieldManager": manager}, resource.path(name)
        if isinstance(await self.connection.request("GET", path), Failure):
            whole = {**body, "metadata": {**body.get("metadata", {}), "name": name.name}}
            there = resource.collection(name.namespace if resource.namespaced else "")
            expect(await self.connection.request("POST", there, params=params, body=orjson.dumps(whole)), "post")
            return
        expect(
            await self.connection.request(
                "PATCH", path, params=params, body=orjson.dumps(body), content_type=MERGE_PATCH
            ),
            "patch",
        )

    async def unset(self, resource: Resource, *path: str) -> None:
        pointer = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in path)
        body = orjson.dumps([{"op": "remove", "path": pointer}])
        params = {"fieldManager": "human"}
        where = resource.path(self.where)
        expect(
            await self.connection.request("PATCH", where, params=params, body=body, content_type=JSON_PATCH), "unset"
        )

    async def remove(self, resource: Resource, name: ObjectName | None = None) -> None:
        expect(await self.connection.request("DELETE", resource.path(name or self.where)), "remove")

    async def value(self, resource: Resource, *path: str) -> Any:
        answer = await self.connection.request("GET", resource.path(self.where))
        node = None if isinstance(answer, Failure) else answer.json()
        for name in path:
            node = node.get(name) if isinstance(node, dict) else None
        return node

    async def follow(self, resource: Resource) -> Events:
        events = Events()
        enabled = FederatedType("x", resource, resource)
        watch = watches.copies(self.connection, enabled, events, lambda _: None, lambda: None, manager=US)
        self._running.append(asyncio.create_task(watch.run()))
        await self.until(lambda: bool(events.told))
        return events

    async def put(self, resource: Resource, body: Mapping[str, Any]) -> None:
        await self.post(resource, body)

    async def serve(self, resource: Resource) -> None:
        await self.install(resource, {"type": "object", "x-kubernetes-preserve-unknown-fields": True})

    async def install(self, resource: Resource, schema: Mapping[str, Any]) -> None:
        """Serve a type with a schema; one that is served already stays as it is."""
        if not isinstance(await self.connection.request("GET", resource.collection()), Failure):
            return
        version = {"name": resource.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        spec: dict[str, Any] = {"group": resource.group, "scope": "Namespaced", "versions": [version]}
        spec |= {"names": {"plural": resource.plural, "kind": resource.kind}}
        body = {"metadata": {"name": resource.qualified}, "spec": spec}
        expect(await self.connection.request("POST", CRDS.collection(), body=orjson.dumps(body)), "install")
        async with asyncio.timeout(20.0):
            while isinstance(await self.connection.request("GET", resource.collection()), Failure):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def finalized(self, finalizers: list[str]) -> Metadata:
        await self.post(CONFIGMAPS, {"metadata": {"finalizers": finalizers}})
        await self.remove(CONFIGMAPS)
        answer = await self.hub.merge(CONFIGMAPS, self.where, b"{}")
        assert isinstance(answer, Metadata)
        return answer
