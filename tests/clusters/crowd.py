"""Hundreds of members in this process: one TLS server, a path of its own for each, and no more of an API than is asked.

For what no machine can hold as real control planes. A crowd member keeps what is applied to it and tells its watches;
of objects whose name is in `refused` it refuses the creation, each member in its own words. Everything about single
members is tested on real API servers elsewhere.
"""

import asyncio
import base64
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from federation.core import binding
from federation.model.resources import KUBEFED_CLUSTERS
from federation.playground import pki, wire
from federation.playground.listening import Listening

Object = dict[str, Any]
Refusal = Callable[[str], str]


class _Collection:
    """The objects of one resource in one member, by `namespace/name`, and the watches on them."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.watches: set[asyncio.Queue[bytes]] = set()

    def put(self, key: str, item: Object) -> None:
        kind = "MODIFIED" if key in self.objects else "ADDED"
        self.objects[key] = item
        self._notify(kind, item)

    def drop(self, key: str, version: int) -> None:
        gone = self.objects.pop(key)
        gone["metadata"]["resourceVersion"] = str(version)
        self._notify("DELETED", gone)

    def _notify(self, kind: str, item: Object) -> None:
        line = orjson.dumps({"type": kind, "object": item}) + b"\n"
        for watch in self.watches:
            watch.put_nowait(line)


class Crowd:
    """`async with Crowd(names, playground.ca) as crowd`. `refusal(member)` is what a member says of refused objects."""

    def __init__(self, names: list[str], ca: pki.KeyPair, refusal: Refusal) -> None:
        self.names = names
        self.refused: set[str] = set()
        self.tries: Counter[str] = Counter()
        """Creations that were refused, by member."""
        self._refusal = refusal
        self._ca = ca
        self._held: dict[tuple[str, str], _Collection] = {}
        self._version = 1
        self._port = 0
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._listening = Listening(server, wire.server_tls(ca))

    async def __aenter__(self) -> "Crowd":
        self._port = self._listening.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listening.end()

    # -- joining -----------------------------------------------------------------------------------------------------

    def secrets(self) -> list[Object]:
        """What joining would store at the hub: a Secret each."""
        return [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "annotations": {binding.CLUSTER_ANNOTATION: name}},
                "stringData": {"token": "any"},
            }
            for name in self.names
        ]

    def clusters(self) -> list[Object]:
        """And a KubeFedCluster each."""
        ca = base64.b64encode(self._ca.certificate).decode()
        url = f"https://127.0.0.1:{self._port}"
        specs = {
            name: {"apiEndpoint": f"{url}/{name}", "caBundle": ca, "secretRef": {"name": name}} for name in self.names
        }
        kind = {"apiVersion": KUBEFED_CLUSTERS.api_version, "kind": KUBEFED_CLUSTERS.kind}
        return [kind | {"metadata": {"name": name}, "spec": spec} for name, spec in specs.items()]

    def holding(self, plural: str, key: str) -> list[str]:
        """The members that hold an object."""
        return [name for name in self.names if key in self._collection(name, plural).objects]

    # -- the API -----------------------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        _, member, *path = request.path.split("/")
        match path:
            case ["version"]:
                return _json({"gitVersion": "v1.36.0"})
            case ["apis"]:
                return _json({"kind": "APIGroupList", "groups": []})
            case ["api", "v1", "nodes"]:
                return _json({"metadata": {"resourceVersion": "1"}, "items": []})
            case ["api", "v1", "namespaces", "kube-system"]:
                return _json({"metadata": {"name": "kube-system", "uid": _uid(member)}})
            case ["api", _, *rest] | ["apis", _, _, *rest]:
                return await self._resource(request, member, rest)
        return _status(404, "NotFound", "404 page not found")

    async def _resource(self, request: web.BaseRequest, member: str, rest: list[str]) -> web.StreamResponse:
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        collection = self._collection(member, rest[0])
        if len(rest) == 1:
            return await self._follow(request, collection)
        key = f"{namespace}/{rest[1]}" if namespace else rest[1]
        stored = collection.objects.get(key)
        match request.method:
            case "PATCH":
                return self._apply(member, collection, key, await request.read(), request.query["fieldManager"])
            case "DELETE" if stored is not None:
                self._version += 1
                collection.drop(key, self._version)
                return _json({"kind": "Status", "status": "Success"})
            case "GET" if stored is not None:
                return _json(stored)
        return _status(404, "NotFound", f'"{key}" not found')

    def _apply(self, member: str, collection: _Collection, key: str, body: bytes, manager: str) -> web.Response:
        wanted, before = orjson.loads(body), collection.objects.get(key)
        metadata = wanted["metadata"]
        if before is None and metadata["name"] in self.refused:
            self.tries[member] += 1
            return _status(403, "Forbidden", self._refusal(member))
        self._version += 1
        entry = {"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}}
        kept = {name: metadata[name] for name in ("name", "namespace", "labels") if name in metadata}
        version = {"resourceVersion": str(self._version), "uid": _uid(f"{member}/{key}"), "managedFields": [entry]}
        kind = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}
        collection.put(key, kind | {"metadata": kept | version})
        return _json(collection.objects[key], 200 if before else 201)

    async def _follow(self, request: web.BaseRequest, collection: _Collection) -> web.StreamResponse:
        if "watch" not in request.query:
            return _json(
                {"metadata": {"resourceVersion": str(self._version)}, "items": list(collection.objects.values())}
            )
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        for item in collection.objects.values():  # what came between the list and this watch
            if int(item["metadata"]["resourceVersion"]) > int(request.query["resourceVersion"]):
                queue.put_nowait(orjson.dumps({"type": "ADDED", "object": item}) + b"\n")
        collection.watches.add(queue)
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        try:
            while True:
                await stream.write(await queue.get())
        finally:
            collection.watches.discard(queue)

    def _collection(self, member: str, plural: str) -> _Collection:
        return self._held.setdefault((member, plural), _Collection())


def _uid(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


def _json(body: object, code: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=code, content_type="application/json")


def _status(code: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}
    return _json(body, code)
