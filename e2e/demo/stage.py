"""What users do in the demo: apply folders of a git repository, edit them, and edit a member's copy directly.

`kubectl apply --server-side`, `patch` and `delete` would do the same, but kubectl may not be installed here.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from e2e.demo.checkout import Checkout, Document
from e2e.demo.clusters import HOST, MEMBERS, Clusters, DemoError, Result
from e2e.demo.edge import Edge
from e2e.demo.observe import NAMESPACE, Observer, Where
from federation.joining.contexts import Contexts
from federation.kube.connection import APPLY_PATCH, MERGE_PATCH, Connection, expect
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.resources import CERTIFICATE_REQUESTS, KUBEFED_CLUSTERS, ObjectName, Resource
from federation.registration.names import CLUSTER_LABEL

USER = "demo-user"
"""The field manager of what is applied from git."""
SOMEBODY = "somebody-else"
"""The field manager of the user who edits a member's copy."""
_OF_THIS_MACHINE = ("apiEndpoint", "caBundle", "secretRef")


class Stage:
    """The clusters, connections as their admin, and an observer. Use as an async context manager."""

    def __init__(self, clusters: Clusters, report: Callable[[str], None]) -> None:
        self.clusters = clusters
        self.report = report
        self.checkout = Checkout()
        self.edge = Edge(clusters)
        self._contexts = Contexts(str(clusters.kubeconfig))
        self._served: dict[tuple[str, str], dict[str, Resource]] = {}

    async def __aenter__(self) -> "Stage":
        self.host = await self._contexts.open(HOST)
        self.members = {name: await self._contexts.open(name) for name in MEMBERS}
        self.observer = await Observer(self.host, self.members).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.observer.__aexit__()
        await self._contexts.__aexit__(None, None, None)

    async def fedctl(self, *arguments: str, secret: str = "") -> Result:
        """One fedctl command; a `secret` among its arguments is not shown whole."""
        return await asyncio.to_thread(self.clusters.fedctl, *arguments, secret=secret)

    async def apply(self, path: str, *, to: Connection | None = None) -> None:
        """Apply every document of a file or folder; ApiFailure when the API server refuses one."""
        connection = to or self.host
        self.report(f"apply {path} to {connection.name}")
        await self._apply(connection, self.checkout.read(path))

    async def edit(self, path: str) -> None:
        """Apply a file of changes/ to the git repository, and the changed documents to the host."""
        self.report(f"edit by {path}, and apply to {self.host.name}")
        await self._apply(self.host, self.checkout.edit(path))

    async def delete(self, path: str) -> None:
        """Delete every object of a file or folder, the last first, and wait for each, as kubectl does.

        So the namespace is empty when it is deleted: otherwise Kubernetes checks it again only after many seconds.
        """
        self.report(f"delete {path} from {HOST}")
        for document in reversed(self.checkout.read(path)):
            resource, name = await self._named(self.host, document)
            answer = await self.host.request("DELETE", resource.path(name))
            if isinstance(answer, Failure) and answer.kind is not FailureKind.NOT_FOUND:
                expect(answer, f"{HOST}: delete {resource.kind.lower()} {name}")
            await self.gone(resource, name.name)
            self.report(f"  {resource.kind.lower()} {name} is gone")

    async def gone(self, resource: Resource, name: str, within: float = 40.0) -> None:
        """Wait until the host does not have this object any more. Raises DemoError when it stays."""
        ends = time.monotonic() + within
        while await self.exists(resource, name):
            if time.monotonic() > ends:
                raise DemoError(f"{resource.kind} {name} to be gone from the host", "it is still there")
            await asyncio.sleep(0.05)

    async def change_as_somebody(
        self, member: str, resource: Resource, name: str, patch: Mapping[str, Any] | None
    ) -> None:
        """Edit (or, without a patch, delete) a member's copy as another user, and wait until that is observed."""
        where: Where = (f"{resource.kind} {name}", member)
        path, connection = resource.path(ObjectName(NAMESPACE, name)), self.members[member]
        uid = self.uid(where)
        self.report(f"somebody {'edits' if patch else 'deletes'} {where[0]} in {member}")
        if patch is None:
            expect(await connection.request("DELETE", path), f"{member}: delete {where[0]}")

            def noticed() -> bool:
                item = self.observer.objects.get(where)
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
                return self.observer.version(where) >= edited

        if not await self.observer.until(noticed, within=10.0):
            raise DemoError(f"the change to {where[0]} in {member} to be seen", "the object as it was before")

    def uid(self, where: Where) -> str:
        """Of a member's copy, as it is observed."""
        return str(self.observer.objects[where]["metadata"]["uid"])

    async def asks(self, name: str, within: float = 30.0) -> None:
        """Wait until a cluster asks the host to be a member. Raises DemoError when it does not."""
        ends = time.monotonic() + within
        path = CERTIFICATE_REQUESTS.collection()
        while not (await self.host.read(path, params={"labelSelector": f"{CLUSTER_LABEL}={name}"}))["items"]:
            if time.monotonic() > ends:
                raise DemoError(f"{name} to ask the host for a certificate", "no CertificateSigningRequest of it")
            await asyncio.sleep(0.05)

    async def line(self, resource: Resource, name: str, cluster: str) -> Mapping[str, Any]:
        """The line of one cluster in an object's status at the host; {} when there is none yet."""
        stored = await self.host.read(resource.path(ObjectName(NAMESPACE, name)))
        lines = (stored.get("status") or {}).get("clusters") or []
        return next((each for each in lines if each["name"] == cluster), {})

    async def conditions(self, resource: Resource, name: str) -> set[str]:
        """The types of an object's conditions at the host."""
        stored = await self.host.read(resource.path(ObjectName(NAMESPACE, name)))
        return {each["type"] for each in (stored.get("status") or {}).get("conditions") or []}

    async def exists(self, resource: Resource, name: str) -> bool:
        """Whether the host has this object in the demo's namespace."""
        answer = await self.host.request("GET", resource.path(ObjectName(NAMESPACE, name)))
        if isinstance(answer, Failure) and answer.kind is FailureKind.NOT_FOUND:
            return False
        expect(answer, f"{HOST}: get {resource.kind.lower()} {name}")
        return True

    async def _apply(self, connection: Connection, wanted: Iterable[Document]) -> None:
        for document in wanted:
            resource, name = await self._named(connection, document)
            body = await self._as_joined(document) if resource.kind == KUBEFED_CLUSTERS.kind else document
            answer = await connection.request(
                "PATCH",
                resource.path(name),
                params={"fieldManager": USER, "force": "true", "fieldValidation": "Strict"},
                body=orjson.dumps(body),
                content_type=APPLY_PATCH,
            )
            expect(answer, f"{connection.name}: apply {resource.kind.lower()} {name}")

    async def _as_joined(self, cluster: Document) -> Document:
        """The sample's KubeFedCluster with this machine's endpoint and Secret, as `fedctl join` found them."""
        metadata = cluster["metadata"]
        joined = await self.host.read(KUBEFED_CLUSTERS.path(ObjectName(metadata["namespace"], metadata["name"])))
        return {**cluster, "spec": {**cluster["spec"], **{key: joined["spec"][key] for key in _OF_THIS_MACHINE}}}

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
