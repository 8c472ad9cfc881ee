"""List a collection of one API server, and go on with what changes: for commands that print lines as they come.

The controller's own reflector (kube.reflector) keeps a whole collection right for hours; here a person looks on, and a
watch that ends is opened again, or the collection listed, where it ended too long ago.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from federation.core import classification
from federation.joining import answers, applying
from federation.kube import connection as http
from federation.kube.connection import Connection
from federation.kube.lines import lines
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.resources import Resource

_EXPIRED = 410
_SECONDS = 300
_SILENT = 330.0
"""Seconds without a byte after which a watch is opened again: it would have ended by then."""
_PAUSE = (1.0, 30.0)
_FOR_EVER = frozenset({FailureKind.RIGHT_MISSING, FailureKind.UNAUTHORIZED, FailureKind.TYPE_MISSING})

Object = dict[str, Any]


@dataclass(slots=True)
class Watching:
    """One collection: of a namespace, "" for all, and of those that a label selector matches.

    `known` are the objects that were passed on, by uid, in the version that they had.
    """

    connection: Connection
    resource: Resource
    namespace: str = ""
    selector: str = ""
    known: dict[str, tuple[str, Object]] = field(default_factory=dict)
    _version: str = ""

    async def read(self) -> list[Object]:
        """Every object as it is now. Raises ApiFailure."""
        doing = f"{self.connection.name}: list {self.resource.qualified}"
        params = {"limit": applying.PAGE} | ({"labelSelector": self.selector} if self.selector else {})
        found: list[Object] = []
        while True:
            answer = await applying.request(
                self.connection,
                "GET",
                self.resource.collection(self.namespace if self.resource.namespaced else ""),
                params=params,
                deadline=30.0,
                secret=applying.is_secret(self.resource),
            )
            if isinstance(answer, Failure) and answer.kind is FailureKind.NAMESPACE_MISSING:
                return []
            body = http.expect(answer, doing).json(doing)
            page, token = answers.page(body, doing)
            found += [{"apiVersion": self.resource.api_version, "kind": self.resource.kind} | each for each in page]
            if not token:
                self._version = str((body.get("metadata") or {}).get("resourceVersion") or "")
                return found
            params["continue"] = token

    def passed(self, item: Object) -> bool:
        """Note that an object is passed on; whether it is another than before."""
        uid, version = str(item["metadata"].get("uid")), str(item["metadata"].get("resourceVersion"))
        before = self.known.get(uid)
        self.known[uid] = version, item
        return before is None or before[0] != version

    async def follow(self) -> AsyncIterator[tuple[str, Object]]:
        """What is added, changed and deleted after `read`, as ("" or "DELETED", object), until it is cancelled.

        Raises ApiFailure where the server does not let us watch or list any more.
        """
        failed = 0
        while True:
            broken: Failure | None = None
            async for event in self._watch():
                if isinstance(event, Failure):
                    broken = event
                    break
                failed = 0
                yield event
            if broken is None:
                continue
            if broken.kind in _FOR_EVER:
                raise ApiFailure(broken, f"{self.connection.name}: watch {self.resource.qualified}")
            if broken.code != _EXPIRED:
                failed += 1
                await asyncio.sleep(min(_PAUSE[0] * 2 ** min(failed, 10), _PAUSE[1]))
            for event in await self._again():
                yield event

    async def _again(self) -> list[tuple[str, Object]]:
        """What has changed meanwhile, by a new list; nothing where the server is still away."""
        try:
            found = await self.read()
        except ApiFailure as error:
            if error.failure.kind in _FOR_EVER:
                raise
            return []
        there = {str(each["metadata"].get("uid")) for each in found}
        gone = [(uid, item) for uid, (_, item) in self.known.items() if uid not in there]
        for uid, _ in gone:
            del self.known[uid]
        return [("DELETED", item) for _, item in gone] + [("", each) for each in found if self.passed(each)]

    async def _watch(self) -> AsyncIterator[tuple[str, Object] | Failure]:
        params: Mapping[str, str] = {
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_SECONDS),
        } | ({"labelSelector": self.selector} if self.selector else {})
        path = self.resource.collection(self.namespace if self.resource.namespaced else "")
        async with self.connection.stream(path, params, accept=http.JSON) as stream:
            if isinstance(stream, Failure):
                yield stream
                return
            async for line in lines(stream, _SILENT):
                event = _read(line) if not isinstance(line, Failure) else line
                if isinstance(event, Failure):
                    yield event
                    return
                kind, item = event
                self._version = str(item["metadata"].get("resourceVersion") or self._version)
                if kind == "DELETED":
                    self.known.pop(str(item["metadata"].get("uid")), None)
                    yield kind, self._whole(item)
                elif kind != "BOOKMARK" and self.passed(item):
                    yield "", self._whole(item)

    def _whole(self, item: Object) -> Object:
        return {"apiVersion": self.resource.api_version, "kind": self.resource.kind} | item


def _read(line: bytes) -> tuple[str, Object] | Failure:
    """The kind and the object of one event; a Failure for an error, or for what is none."""
    try:
        envelope = orjson.loads(line)
        item = envelope["object"]
        if envelope["type"] != "ERROR":
            return str(envelope["type"]), {**item, "metadata": {**item["metadata"]}}
        code = item.get("code")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return Failure(FailureKind.UNEXPECTED, "a watch event that is none")
    return classification.classify(code if isinstance(code, int) else 500, http.JSON, orjson.dumps(item), secret=False)
