"""What a person does in the demo: apply YAML from a folder, label a cluster, edit a member's copy behind our back.

`kubectl apply --server-side`, `label`, `patch` and `delete` do the same; it may not be installed here.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from e2e.demo.clusters import HOST, MEMBERS, Clusters, DemoError, Said
from e2e.demo.observe import NAMESPACE, Sight, Where
from federation.cli import reading
from federation.joining.contexts import Contexts
from federation.kube.connection import APPLY_PATCH, MERGE_PATCH, Connection, expect
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName, Resource

FOLDER = Path(__file__).parent
USER = "demo-user"
"""The field manager of what the person at the keyboard applies."""
SOMEBODY = "somebody-else"
"""The field manager of whoever edits a member's copy."""


class Stage:
    """Clusters, connections as their admin, and eyes. Use as an async context manager."""

    def __init__(self, clusters: Clusters, say: Callable[[str], None]) -> None:
        self.clusters = clusters
        self.say = say
        self._contexts = Contexts(str(clusters.kubeconfig))
        self._served: dict[tuple[str, str], dict[str, Resource]] = {}

    async def __aenter__(self) -> "Stage":
        self.host = await self._contexts.open(HOST)
        self.members = {name: await self._contexts.open(name) for name in MEMBERS}
        self.sight = await Sight(self.host, self.members).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sight.__aexit__()
        await self._contexts.__aexit__(None, None, None)

    async def fedctl(self, *arguments: str, fails: bool = False) -> Said:
        """One fedctl command."""
        return await asyncio.to_thread(self.clusters.fedctl, *arguments, fails=fails)

    async def apply(self, path: str, *, to: Connection | None = None) -> None:
        """Apply every document of a file or folder of e2e/demo; ApiFailure when the API server refuses one."""
        connection = to or self.host
        self.say(f"apply {path} to {connection.name}")
        for document in documents(FOLDER / path):
            resource, name = await self._named(connection, document)
            answer = await connection.request(
                "PATCH",
                resource.path(name),
                params={"fieldManager": USER, "force": "true", "fieldValidation": "Strict"},
                body=orjson.dumps(document),
                content_type=APPLY_PATCH,
            )
            expect(answer, f"{connection.name}: apply {resource.kind.lower()} {name}")

    async def delete(self, path: str) -> None:
        """Delete every object of a file or folder, the last first, each gone before the next, as kubectl waits.

        So a namespace goes empty: one that still has content is looked at again only after many seconds.
        """
        self.say(f"delete {path} from {HOST}")
        for document in reversed(list(documents(FOLDER / path))):
            resource, name = await self._named(self.host, document)
            answer = await self.host.request("DELETE", resource.path(name))
            if isinstance(answer, Failure) and answer.kind is not FailureKind.NOT_FOUND:
                expect(answer, f"{HOST}: delete {resource.kind.lower()} {name}")
            await self.gone(resource, name.name)

    async def gone(self, resource: Resource, name: str, within: float = 40.0) -> None:
        """Wait until the host has this object no more; DemoError when it stays."""
        ends = time.monotonic() + within
        while await self.exists(resource, name):
            if time.monotonic() > ends:
                raise DemoError(f"{resource.kind} {name} to be gone from the host", "it is still there")
            await asyncio.sleep(0.05)

    async def label(self, cluster: str, key: str, value: str) -> None:
        """Put a label on a KubeFedCluster."""
        self.say(f"label kubefedcluster {cluster} {key}={value}")
        path = KUBEFED_CLUSTERS.path(ObjectName("kube-federation-system", cluster))
        body = orjson.dumps({"metadata": {"labels": {key: value}}})
        expect(await self.host.request("PATCH", path, body=body, content_type=MERGE_PATCH), f"label {cluster}")

    async def meddle(self, member: str, resource: Resource, name: str, patch: Mapping[str, Any] | None) -> None:
        """Edit (or, without a patch, delete) a member's copy as somebody else, and see that it has happened."""
        where: Where = (f"{resource.kind} {name}", member)
        path, connection = resource.path(ObjectName(NAMESPACE, name)), self.members[member]
        uid = self.sight.objects[where]["metadata"]["uid"]
        self.say(f"somebody {'edits' if patch else 'deletes'} {where[0]} in {member}")
        if patch is None:
            expect(await connection.request("DELETE", path), f"{member}: delete {where[0]}")

            def noticed() -> bool:
                item = self.sight.objects.get(where)
                return item is None or item["metadata"]["uid"] != uid
        else:
            answer = await connection.request(
                "PATCH",
                path,
                params={"fieldManager": SOMEBODY},
                body=orjson.dumps(patch),
                content_type=MERGE_PATCH,
            )
            edited = int(expect(answer, f"{member}: patch {where[0]}").json()["metadata"]["resourceVersion"])

            def noticed() -> bool:
                return self.sight.version(where) >= edited

        if not await self.sight.until(noticed, within=10.0):
            raise DemoError(f"the change to {where[0]} in {member} to be seen", "the object as it was before")

    async def line(self, resource: Resource, name: str, cluster: str) -> Mapping[str, Any]:
        """What the host's status says of one object in one cluster; {} when it says nothing yet."""
        stored = await self.host.read(resource.path(ObjectName(NAMESPACE, name)))
        lines = (stored.get("status") or {}).get("clusters") or []
        return next((each for each in lines if each["name"] == cluster), {})

    async def exists(self, resource: Resource, name: str) -> bool:
        """Whether the host has this object in the demo's namespace."""
        answer = await self.host.request("GET", resource.path(ObjectName(NAMESPACE, name)))
        if isinstance(answer, Failure) and answer.kind is FailureKind.NOT_FOUND:
            return False
        expect(answer, f"{HOST}: get {resource.kind.lower()} {name}")
        return True

    async def _named(self, connection: Connection, document: Mapping[str, Any]) -> tuple[Resource, ObjectName]:
        version, kind = document["apiVersion"], document["kind"]
        served = self._served.setdefault((connection.name, version), {})
        if kind not in served:
            listed = await connection.read(f"/apis/{version}" if "/" in version else f"/api/{version}")
            group = version.rpartition("/")[0]
            for each in listed["resources"]:
                if "/" not in each["name"]:
                    served[each["kind"]] = Resource(
                        group, version.rpartition("/")[2], each["kind"], each["name"], each["namespaced"]
                    )
        if kind not in served:
            raise ApiFailure(Failure(FailureKind.TYPE_MISSING, f"no {kind} in {version}"), connection.name)
        metadata = document["metadata"]
        return served[kind], ObjectName(metadata.get("namespace", ""), metadata["name"])


def documents(path: Path) -> Iterator[Mapping[str, Any]]:
    """The objects of a YAML file, or of all in a folder in the order of their names."""
    for file in sorted(path.glob("*.yaml")) if path.is_dir() else [path]:
        for document in reading.read(str(file)):
            yield document.value
