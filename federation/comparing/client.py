"""A minimal client (aiohttp, orjson, a token), for the load, the meter and the yardstick.

It does not use the controller's own client, because that is part of what is measured.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Iterable
from types import TracebackType
from typing import Any

import aiohttp
import orjson

from federation.playground import access
from federation.playground.access import LocalCluster

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
AT_ONCE = 16
"""Requests in flight while load is made."""


class Client:
    """One API server as its admin. Use as an async context manager.

    `trusting` has the TLS of a cluster that no playground made, and `authorization` the header ("": by certificate).
    """

    def __init__(
        self, cluster: LocalCluster, *, trusting: ssl.SSLContext | None = None, authorization: str | None = None
    ) -> None:
        self.name = cluster.name
        self._url = cluster.url
        header = f"Bearer {cluster.token}" if authorization is None else authorization
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trusting or access.tls(cluster.ca_pem), limit=0),
            headers={"Authorization": header} if header else {},
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=1 << 20,
        )

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def send(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> bytes:
        """One request that must succeed; the answer's body."""
        status, answer = await self.ask(method, path, body, content_type)
        if status >= 300:
            raise RuntimeError(f"{self.name}: {method} {path}: {status} {answer[:300]!r}")
        return answer

    async def ask(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """One request, also one that fails: status and body."""
        data = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else None
        headers = {"Content-Type": content_type} if data is not None else {}
        async with self._session.request(method, self._url + path, data=data, headers=headers) as response:
            return response.status, await response.read()

    async def get(self, path: str) -> Any:
        """Decoded JSON."""
        return orjson.loads(await self.send("GET", path))

    async def watch(self, path: str, version: str) -> AsyncIterator[tuple[str, Any]]:
        """Events after a resourceVersion, until the server ends the watch."""
        url = f"{self._url}{path}?watch=1&resourceVersion={version}&timeoutSeconds=86400"
        async with self._session.get(url) as response:
            async for line in response.content:
                event = orjson.loads(line)
                yield event["type"], event["object"]


async def together(work: Iterable[Awaitable[Any]], at_once: int = AT_ONCE) -> None:
    """Run all of it, `at_once` at a time; the first failure ends it."""
    waiting = iter(work)

    async def some() -> None:
        for each in waiting:
            await each

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(some())
