"""Answers that no API server gives: good ones, spoilt at random, for whoever must bear them. Used by the fuzz tests."""

import asyncio
import base64
import contextlib
import gzip
import random
import time
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

US = "kubefed-0123abcd"
ACCOUNT = "system:serviceaccount:kube-federation-system:m1-host"
_ESCAPES = "\x1b[2J\x1b[31m\x07\r\n\x00\x9b"


def token(**claims: Any) -> str:
    """A JWT of the account, for an hour from now."""
    now = time.time()
    payload = {"sub": ACCOUNT, "iat": now, "exp": now + 3600, **claims}
    parts = (orjson.dumps(part) for part in ({"alg": "RS256"}, payload))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"])


def held(name: str, version: int = 1) -> dict[str, Any]:
    """A member's object as its metadata shows it."""
    entry = {"manager": US, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": f"u-{name}",
            "resourceVersion": str(version),
            "generation": 1,
            "labels": {"kubefed.io/managed": "true"},
            "managedFields": [{**entry, "fieldsV1": {"f:data": {"f:a": {}}}}, {"manager": "x", "operation": "Update"}],
        },
    }


def refusal() -> dict[str, Any]:
    """A Status."""
    cause = {"field": ".data.a", "reason": "FieldManagerConflict", "message": 'conflict with "x" using v1'}
    details = {"name": "n", "kind": "configmaps", "causes": [cause], "retryAfterSeconds": 1}
    message = 'ConfigMap "n" is invalid: data: Invalid value: "x": must not be'
    return {"kind": "Status", "code": 422, "message": message, "reason": "Invalid", "details": details}


class Spoiler:
    """Spoils JSON and bytes, the same way for the same seed."""

    def __init__(self, seed: int) -> None:
        self.roll = random.Random(seed)
        self._values: list[Callable[[], Any]] = [
            lambda: None,
            lambda: True,
            lambda: -1,
            lambda: (1 << 63) - 1,
            lambda: 1e308,
            lambda: "",
            lambda: _ESCAPES,
            lambda: "x" * self.roll.choice([300, 5_000, 100_000]),
            lambda: "Too long: " * self.roll.choice([10, 2_000]),
            list,
            dict,
            lambda: {"": {"": []}},
            lambda: [{}] * self.roll.choice([2, 2_000]),
            lambda: {_ESCAPES: 1},
            lambda: "9" * 5_000,
            lambda: "@deep@",
            lambda: "@number@",
            lambda: "@half@",
        ]

    def value(self) -> Any:
        """Some value that does not belong there."""
        return self.roll.choice(self._values)()

    def spoil(self, value: Any) -> Any:
        """The value with one place of it spoilt."""
        if isinstance(value, dict) and value and self.roll.random() < 0.85:
            key = self.roll.choice(list(value))
            changed = dict(value)
            changed[key] = self.spoil(value[key])
            if self.roll.random() < 0.1:
                del changed[key]
            return changed
        if isinstance(value, list) and value and self.roll.random() < 0.85:
            at = self.roll.randrange(len(value))
            return [*value[:at], self.spoil(value[at]), *value[at + 1 :]]
        return self.value()

    def encoded(self, value: Any) -> bytes:
        """As bytes, some of them no JSON."""
        depth = self.roll.choice([150, 300, 990, 1_100, 20_000])
        numbers = [b"NaN", b"1e999", b"-Infinity", b"9" * 5_000, b"01", b"1.", b"18446744073709551616"]
        content = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
        content = content.replace(b'"@deep@"', b'{"a":' * depth + b"[]" + b"}" * depth)
        content = content.replace(b'"@number@"', self.roll.choice(numbers)).replace(b'"@half@"', b'"\\ud800"')
        match self.roll.randrange(12):
            case 0:
                return content[: self.roll.randrange(len(content) + 1)]
            case 1:
                at = self.roll.randrange(len(content))
                return content[:at] + bytes([self.roll.randrange(256)]) + content[at + 1 :]
            case 2:
                return content + content
        return content

    def body(self, value: Any) -> bytes:
        """A good value, spoilt zero to three times."""
        for _ in range(self.roll.randrange(4)):
            value = self.spoil(value)
        return self.encoded(value)


class Evil:
    """A member that answers whatever it likes. `asked` counts its requests."""

    def __init__(self, seed: int) -> None:
        self.asked = 0
        self._spoiler = Spoiler(seed)
        self._roll = self._spoiler.roll

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer, or something like it."""
        self.asked += 1
        await request.read()
        if request.query.get("watch"):
            return await self._stream(request)
        status = self._roll.choice(
            [200, 200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503]
        )
        body = self._spoiler.body(self._good(request) if status < 300 else refusal())
        headers = {"Content-Type": self._roll.choice(["application/json"] * 8 + ["text/html", "", "x/" + "y" * 500])}
        if status in (429, 503):
            headers["Retry-After"] = self._roll.choice(["0", "-1", "NaN", "1e9", "9" * 300, "yesterday", ""])
        match self._roll.randrange(30):
            case 0:
                headers["Content-Encoding"] = "gzip"
                body = gzip.compress(b"x" * (8 << 20))
            case 1:
                return await self._endless(request, status, headers)
            case 2:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case 3:
                headers |= {f"X-{at}": "y" * 4_000 for at in range(20)}
        return web.Response(body=body, status=status, headers=headers)

    async def _endless(self, request: web.Request, status: int, headers: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await response.prepare(request)
            for _ in range(600):
                await response.write(b'[{"a":"' + b"x" * (1 << 16))
        return response

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            for _ in range(self._roll.randrange(40)):
                kind = self._roll.choice(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "", "ODD"])
                about = refusal() if kind == "ERROR" else held(f"n{self._roll.randrange(9)}", self._roll.randrange(99))
                line = self._spoiler.body({"type": kind, "object": about})
                await response.write(line + self._roll.choice([b"\n", b"\n", b"\n", b"\n\n", b""]))
        return response

    def _good(self, request: web.Request) -> Any:
        path = request.path
        if path == "/version":
            return {"gitVersion": "v1.36.3"}
        if path == "/apis":
            resources = [{"resource": "widgets", "responseKind": {"kind": "Widget"}, "verbs": ["get"]}]
            versions = [{"version": "v1", "resources": resources, "freshness": "Current"}]
            return {
                "kind": "APIGroupDiscoveryList",
                "items": [{"metadata": {"name": "example.com"}, "versions": versions}],
            }
        if path.endswith("/token"):
            return {"status": {"token": token()}}
        if path.endswith("/kube-system"):
            return held("kube-system")
        if "limit" in request.query:
            items = [held(f"n{at}") for at in range(self._roll.randrange(9))]
            more = self._roll.choice(["", "", "", "again"])
            return {"metadata": {"resourceVersion": "5", "continue": more}, "items": items}
        return {**held(path.rpartition("/")[2]), "spec": {"replicas": 3}, "data": {"a": "b"}}
