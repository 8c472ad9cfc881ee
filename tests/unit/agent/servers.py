"""An API server in memory, as far as an agent needs one, in the place of kube.connection.Connection.

It lists, watches, creates, applies, merges and deletes, with uids, versions, generations, finalizers and one
managedFields entry for each manager. What it does not have: conflicts of field managers, removal of fields that an
apply names no more (it replaces what the manager had at the top level), admission, garbage collection. The tests in
tests/clusters say the same of real ones.
"""

import asyncio
import contextlib
import copy
import itertools
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from federation.kube.connection import APPLY_PATCH, JSON, Answer
from federation.kube.endpoint import Endpoint
from federation.model.failures import Failure, FailureKind
from tests.fakeworks import patch

KINDS = {
    "/api/v1": [
        ("configmaps", "ConfigMap", True),
        ("namespaces", "Namespace", False),
        ("pods", "Pod", True),
        ("secrets", "Secret", True),
    ],
    "/apis/work.open-cluster-management.io/v1": [
        ("manifestworks", "ManifestWork", True),
        ("appliedmanifestworks", "AppliedManifestWork", False),
    ],
}
_UNREACHABLE = Failure(FailureKind.UNREACHABLE, "cut")


class Server:
    """One API server. With `cut` it does not answer; `writes` are its writes, as (verb, path)."""

    def __init__(self, name: str, server: str = "https://hub") -> None:
        self.name = name
        self.endpoint = Endpoint(server)
        self.large = asyncio.Semaphore(1)
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str]] = []
        self.reads: list[str] = []
        self.subresources = {"manifestworks"}
        """Resources whose status is written apart."""
        self.refuse: dict[str, Failure] = {}
        """What is answered to writes of objects of this name."""
        self.allowed: set[str] | None = None
        """The resources that accounts have rights for; None: all."""
        self.late = 0.0
        """Seconds from a deletion, which watches show at once, until its answer."""
        self._versions = itertools.count(100)
        self._watches: list[tuple[str, str, asyncio.Queue[bytes | None]]] = []
        self._cut = False

    # --- for tests ----------------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Nothing gets through, and open watches end."""
        self._cut = True
        for _, _, queue in self._watches:
            queue.put_nowait(None)

    def mend(self) -> None:
        """It answers again."""
        self._cut = False

    def get(self, path: str) -> dict[str, Any] | None:
        """An object."""
        return self.objects.get(path)

    def put(self, path: str, body: Mapping[str, Any], *, manager: str = "somebody") -> dict[str, Any]:
        """Somebody creates or changes it: fields of others that he sets leave their entries."""
        known = self.objects.get(path)
        item = _merged(known or {}, body)
        for entry in item.get("metadata", {}).get("managedFields", []):
            _leave(entry["fieldsV1"], body)
        return self._store(path, item, manager)

    def delete(self, path: str) -> None:
        """Somebody deletes it."""
        item = self.objects[path]
        if item["metadata"].get("finalizers"):
            item["metadata"]["deletionTimestamp"] = "2027-01-01T00:00:00Z"
            self._changed(path, item, "MODIFIED")
            return
        del self.objects[path]
        self._changed(path, item, "DELETED")

    def lose(self, path: str) -> None:
        """It is gone without a word, as after a restore; whoever lists sees it."""
        del self.objects[path]

    def snapshot(self) -> tuple[dict[str, dict[str, Any]], int]:
        """All that it has, and its version."""
        return orjson.loads(orjson.dumps(self.objects)), next(self._versions)

    def restore(self, snapshot: tuple[dict[str, dict[str, Any]], int], *, overtaken: bool = False) -> None:
        """It has that again; its versions go on from there, or from beyond those of before."""
        ahead = next(self._versions) + 500
        self.objects = orjson.loads(orjson.dumps(snapshot[0]))
        self._versions = itertools.count(ahead if overtaken else snapshot[1])

    # --- as a connection ----------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        params: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Answer | Failure:
        """One request."""
        del more
        await asyncio.sleep(0)
        if self._cut:
            return _UNREACHABLE
        place, _, query = path.partition("?")
        asked = {key: values[0] for key, values in parse_qs(query).items()} | dict(params or {})
        if method == "GET":
            self.reads.append(place)
            return self._get(place, asked)
        content = orjson.loads(body) if body else {}
        if method == "POST" and place.endswith("subjectaccessreviews"):
            allowed = self.allowed is None or content["spec"]["resourceAttributes"]["resource"] in self.allowed
            return _answer({"status": {"allowed": allowed}}, 201)
        self.writes.append((method, place))
        if (refused := self.refuse.get(place.rpartition("/")[2])) is not None:
            return refused
        if method == "POST":
            place = f"{place}/{content['metadata']['name']}"
            if place in self.objects:
                return Failure(FailureKind.ALREADY_EXISTS, "it exists", 409)
            return _answer(self._store(place, content, "create"), 201)
        if method == "DELETE":
            deleted = self._delete(place, content)
            await asyncio.sleep(self.late)
            return deleted
        return self._patch(place, content, content_type, asked)

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], **_: Any
    ) -> AsyncIterator[AsyncIterator[bytes] | Failure]:
        """A watch, which begins with what has changed since the resourceVersion."""
        if self._cut:
            yield _UNREACHABLE
            return
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        since, selector = int(params["resourceVersion"]), params.get("labelSelector", "")
        entry = (path, selector, queue)
        self._watches.append(entry)
        for place, item in list(self.objects.items()):
            if int(item["metadata"]["resourceVersion"]) > since and _within(place, path) and _selected(item, selector):
                queue.put_nowait(_event("ADDED", item))

        async def chunks() -> AsyncIterator[bytes]:
            while (chunk := await queue.get()) is not None:
                yield chunk

        try:
            yield chunks()
        finally:
            self._watches.remove(entry)

    async def close(self) -> None:
        """Nothing is open."""

    # --- inside -------------------------------------------------------------------------------------------------------

    def _get(self, place: str, asked: Mapping[str, str]) -> Answer | Failure:
        if place in KINDS:
            listed = [{"name": name, "kind": kind, "namespaced": scoped} for name, kind, scoped in KINDS[place]]
            return _answer({"resources": listed})
        if place in self.objects:
            return _answer(self.objects[place])
        kinds = {name for found in KINDS.values() for name, _, _ in found}
        if place.rpartition("/")[2] in kinds:
            items = [item for path, item in self.objects.items() if _within(path, place)]
            items = [item for item in items if _selected(item, asked.get("labelSelector", ""))]
            return _answer({"metadata": {"resourceVersion": str(next(self._versions))}, "items": items})
        if place.startswith("/apis/") and place.count("/") == 3:
            return Failure(FailureKind.TYPE_MISSING, "404: the API server does not serve this group and version", 404)
        return Failure(FailureKind.NOT_FOUND, "not found", 404)

    def _patch(self, place: str, content: Any, content_type: str, asked: Mapping[str, str]) -> Answer | Failure:
        status = place.endswith("/status")
        place = place.removesuffix("/status")
        known = self.objects.get(place)
        if content_type == APPLY_PATCH:
            metadata = content.get("metadata", {})
            if metadata.pop("resourceVersion", "") == "1" and known is not None:
                return Failure(FailureKind.VERSION_CONFLICT, "the object has been modified", 409)
            return self._applied(place, content, known, asked["fieldManager"])
        if known is None:
            return Failure(FailureKind.NOT_FOUND, "not found", 404)
        if isinstance(content, list):
            item = copy.deepcopy(known)
            for each in content:
                patch(item, each)
            return _answer(self._store(place, item, ""))
        version = content.get("metadata", {}).get("resourceVersion")
        if version is not None and version != known["metadata"]["resourceVersion"]:
            return Failure(FailureKind.VERSION_CONFLICT, "changed", 409)
        if content.get("metadata", {}).get("uid", known["metadata"]["uid"]) != known["metadata"]["uid"]:
            return Failure(FailureKind.UID_MISMATCH, "another", 409)
        if status:
            content = {"status": content["status"]}
        elif place.split("/")[-2] in self.subresources:
            content = {key: value for key, value in content.items() if key != "status"}
        item = _merged(known, content)
        if item["metadata"].get("deletionTimestamp") and not item["metadata"].get("finalizers"):
            del self.objects[place]
            self._changed(place, item, "DELETED")
            return _answer(item)
        return _answer(self._store(place, item, ""))

    def _applied(
        self, place: str, content: dict[str, Any], known: dict[str, Any] | None, manager: str
    ) -> Answer | Failure:
        fields = _fields(content)
        item = _merged(known or {}, content)
        had = [entry for entry in item["metadata"].get("managedFields", []) if entry["manager"] == manager]
        if (
            "ownerReferences" not in content["metadata"]
            and had
            and "f:ownerReferences" in had[0]["fieldsV1"].get("f:metadata", {})
        ):
            item["metadata"].pop("ownerReferences", None)
        if (
            known is not None
            and had
            and had[0]["fieldsV1"] == fields
            and _without_versions(item) == _without_versions(known)
        ):
            return _answer(known)
        entries = [entry for entry in item["metadata"].get("managedFields", []) if entry["manager"] != manager]
        entry = {
            "manager": manager,
            "operation": "Apply",
            "apiVersion": content["apiVersion"],
            "time": "2027-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        item["metadata"]["managedFields"] = [*entries, entry]
        return _answer(self._store(place, item, ""), 201 if known is None else 200)

    def _delete(self, place: str, content: Mapping[str, Any]) -> Answer | Failure:
        item = self.objects.get(place)
        if item is None:
            return Failure(FailureKind.NOT_FOUND, "not found", 404)
        if content.get("preconditions", {}).get("uid", item["metadata"]["uid"]) != item["metadata"]["uid"]:
            return Failure(FailureKind.UID_MISMATCH, "another", 409)
        self.delete(place)
        return _answer({"kind": "Status"})

    def _store(self, path: str, item: dict[str, Any], manager: str) -> dict[str, Any]:
        known = self.objects.get(path)
        metadata = item.setdefault("metadata", {})
        parts = path.split("/")
        metadata.setdefault("name", parts[-1])
        if "namespaces" in parts[:-2]:
            metadata["namespace"] = parts[parts.index("namespaces") + 1]
        version = next(self._versions)
        metadata.setdefault("uid", f"uid-{version}")
        metadata["resourceVersion"] = str(version)
        metadata.setdefault("creationTimestamp", "2027-01-01T00:00:00Z")
        same = known is not None and known.get("spec") == item.get("spec")
        metadata["generation"] = (
            known["metadata"]["generation"] if known and same else metadata.get("generation", 0) + 1
        )
        if parts[-2] in self.subresources and known is None:
            item.pop("status", None)
        self.objects[path] = item
        self._changed(path, item, "ADDED" if known is None else "MODIFIED", before=known)
        del manager
        return item

    def _changed(self, path: str, item: dict[str, Any], kind: str, before: dict[str, Any] | None = None) -> None:
        if kind == "DELETED":
            item["metadata"]["resourceVersion"] = str(next(self._versions))
        for collection, selector, queue in self._watches:
            if not _within(path, collection):
                continue
            was, now = before is not None and _selected(before, selector), _selected(item, selector)
            if kind == "DELETED" and now:
                queue.put_nowait(_event("DELETED", item))
            elif now:
                queue.put_nowait(_event("MODIFIED" if was else "ADDED", item))
            elif was and before is not None:
                queue.put_nowait(_event("DELETED", before))


def _event(kind: str, item: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": kind, "object": item}) + b"\n"


def _answer(item: Any, code: int = 200) -> Answer:
    return Answer(code, orjson.dumps(item))


def _within(path: str, collection: str) -> bool:
    """Whether an object is of a collection, of one namespace or of all."""
    parent, _, _ = path.rpartition("/")
    if parent == collection:
        return True
    head, _, plural = collection.rpartition("/")
    return (
        "/namespaces/" not in collection and parent.startswith(f"{head}/namespaces/") and parent.endswith(f"/{plural}")
    )


def _selected(item: Mapping[str, Any], selector: str) -> bool:
    key, _, value = selector.partition("=")
    return not selector or item["metadata"].get("labels", {}).get(key) == value


def _merged(before: Any, patch: Any) -> Any:
    """RFC 7386, without changing its arguments."""
    if not isinstance(patch, dict):
        return patch
    result = dict(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return orjson.loads(orjson.dumps(result))


def _fields(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        return {}
    return {
        f"f:{key}": _fields(value)
        for key, value in body.items()
        if key not in ("apiVersion", "kind", "name", "namespace")
    }


def _leave(fields: dict[str, Any], body: Mapping[str, Any]) -> None:
    for key, value in body.items():
        below = fields.get(f"f:{key}")
        if below is None:
            continue
        if isinstance(value, dict) and below:
            _leave(below, value)
        else:
            del fields[f"f:{key}"]


def _without_versions(item: Mapping[str, Any]) -> Any:
    metadata = {
        key: value for key, value in item["metadata"].items() if key not in ("resourceVersion", "managedFields")
    }
    return {**item, "metadata": metadata}
