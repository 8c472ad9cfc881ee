"""Observe what the members really have, and what the host reports about them, independently of the controller.

The demo waits here until every member has exactly what it should; `table` draws from here. Each collection has a
list+watch loop of its own; of the controller's code only the HTTP connection is used.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from federation.kube.connection import JSON, Connection
from federation.model.errors import ApiFailure
from federation.model.failures import Failure
from federation.model.resources import KUBEFED_CLUSTERS, Resource

NAMESPACE = "shop"
MADE_BY_KUBERNETES = frozenset({"kube-root-ca.crt"})
"""ConfigMaps that a controller manager creates in every namespace."""
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
SECRETS = Resource("", "v1", "Secret", "secrets", namespaced=True)
SERVICES = Resource("", "v1", "Service", "services", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
WEBSITES = Resource("demo.example.com", "v1", "Website", "websites", namespaced=True)
NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
OBSERVED = (NAMESPACES, CONFIGMAPS, SECRETS, SERVICES, DEPLOYMENTS, WEBSITES)

Where = tuple[str, str]
"""An object ("Deployment web") in a member ("berlin")."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member, from the host's KubeFedCluster."""

    labels: Mapping[str, str]
    ready: bool


class Observer:
    """What is observed now: the members' `objects`, `silent` members, and `members` as the host reports them.

    Use as an async context manager: leaving it ends every watch.
    """

    def __init__(self, host: Connection, members: Mapping[str, Connection]) -> None:
        self.objects: dict[Where, dict[str, Any]] = {}
        self.silent: set[str] = set()
        self.members: dict[str, Member] = {}
        self._host = host
        self._connections = members
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Observer":
        path = KUBEFED_CLUSTERS.collection("kube-federation-system")
        self._keep(self._host, path, self._member_observed, self._members_listed)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def look(self, resources: Iterable[Resource] = OBSERVED) -> None:
        """Begin to watch these resources in every member; call it when they are served."""
        for name, connection in self._connections.items():
            for resource in resources:
                self._follow(name, connection, resource)

    async def until(self, check: Callable[[], bool], within: float) -> bool:
        """Wait until `check`, called at every change, returns True; False when it never does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within), self._changed:
                await self._changed.wait_for(check)
        return check()

    def version(self, where: Where) -> int:
        """The resourceVersion of the object there; 0 when there is none."""
        return int(self.objects.get(where, {}).get("metadata", {}).get("resourceVersion", 0))

    # --- one member's objects --------------------------------------------------------------------------------------

    def _follow(self, member: str, connection: Connection, resource: Resource) -> None:
        def where(item: Mapping[str, Any]) -> Where:
            return f"{resource.kind} {item['metadata']['name']}", member

        def ours(item: Mapping[str, Any]) -> bool:
            name = item["metadata"]["name"]
            return name == NAMESPACE if resource is NAMESPACES else name not in MADE_BY_KUBERNETES

        def observed(kind: str, item: dict[str, Any]) -> None:
            if not ours(item):
                return
            if kind == "DELETED":
                self.objects.pop(where(item), None)
            else:
                self.objects[where(item)] = item

        def listed(items: list[dict[str, Any]]) -> None:
            self.silent.discard(member)
            prefix = f"{resource.kind} "
            for known in [each for each in self.objects if each[1] == member and each[0].startswith(prefix)]:
                del self.objects[known]
            for item in items:
                observed("ADDED", item)

        path = resource.collection("" if resource is NAMESPACES else NAMESPACE)
        self._keep(connection, path, observed, listed, lambda: self.silent.add(member))

    # --- members, as the host reports them -------------------------------------------------------------------------

    def _member_observed(self, kind: str, item: dict[str, Any]) -> None:
        name = item["metadata"]["name"]
        if kind == "DELETED":
            self.members.pop(name, None)
            return
        conditions = (item.get("status") or {}).get("conditions") or []
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        self.members[name] = Member(item["metadata"].get("labels") or {}, ready)

    def _members_listed(self, items: list[dict[str, Any]]) -> None:
        self.members.clear()
        for item in items:
            self._member_observed("ADDED", item)

    # --- list and watch --------------------------------------------------------------------------------------------

    def _keep(
        self,
        connection: Connection,
        path: str,
        observed: Callable[[str, dict[str, Any]], None],
        listed: Callable[[list[dict[str, Any]]], None],
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        async def once() -> None:
            answer = await connection.read(path, deadline=2.0)
            listed(answer["items"])
            await self._notify()
            params = {"watch": "1", "resourceVersion": answer["metadata"]["resourceVersion"], "timeoutSeconds": "300"}
            async with connection.stream(path, params, accept=JSON) as stream:
                if isinstance(stream, Failure):
                    return
                async for line in stream:
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        return
                    observed(event["type"], event["object"])
                    await self._notify()

        async def forever() -> None:
            while True:
                # After a broken watch (a member was killed) the collection is listed until the member answers again.
                with contextlib.suppress(aiohttp.ClientError, OSError, ValueError):
                    try:
                        await once()
                    except ApiFailure:
                        lost()
                        await self._notify()
                await asyncio.sleep(0.2)

        self._tasks.append(asyncio.create_task(forever(), name=f"look:{connection.name}:{path}"))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
