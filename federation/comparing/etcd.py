"""Look into an etcd by its JSON gateway: which keys there are, how long they are, and whether anything is written.

What a cluster holds is read here rather than by its API, because it costs the API server nothing and counts bytes as
they are stored. Keys of real clusters are `/playground/CLUSTER/...`.
"""

import base64
import time
from asyncio import sleep
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

_OF_THEMSELVES = ("/leases/", "/masterleases/", "/peerserverleases/", "/events/", "/apiregistration.k8s.io/")
"""Parts of keys that are written while nothing happens."""
LOOK = 0.5
"""Seconds between two looks for writes."""


class Etcd:
    """Use as an async context manager."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v3/kv/range"
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def stored(self, prefix: str) -> Mapping[str, int]:
        """Every key below the prefix that is not written while nothing happens, with the bytes of key and value."""
        answer = await self._range(prefix)
        found = {}
        for each in answer.get("kvs", ()):
            key = base64.b64decode(each["key"])
            if counts(key.decode()):
                found[key.decode()] = len(key) + len(base64.b64decode(each.get("value", "")))
        return found

    async def since(self, revision: int) -> tuple[int, list[str], int]:
        """The revision now; the keys that were written after the given one; how many keys there are."""
        everything = await self._range("/", count_only=True)
        answer = await self._range("/", keys_only=True, min_mod_revision=revision + 1)
        keys = [base64.b64decode(each["key"]).decode() for each in answer.get("kvs", ())]
        return int(answer["header"]["revision"]), keys, int(everything.get("count", 0))

    async def _range(self, prefix: str, **how: Any) -> dict[str, Any]:
        key = prefix.encode()
        body = {"key": _base64(key), "range_end": _base64(key[:-1] + bytes([key[-1] + 1])), **how}
        async with self._session.post(self._url, data=orjson.dumps(body)) as response:
            answer: dict[str, Any] = orjson.loads(await response.read())
        if "header" not in answer:
            raise RuntimeError(f"etcd refuses a range: {answer.get('message', answer)}")
        return answer


def counts(key: str) -> bool:
    """Whether a key is something that somebody has written, and not what servers and controllers renew."""
    return not any(part in key for part in _OF_THEMSELVES)


async def quiet(etcds: Sequence[Etcd], seconds: float, *, within: float) -> float:
    """Wait until nothing was written for so long; when the last write was seen (perf_counter, to LOOK seconds).

    Raises TimeoutError after `within` seconds.
    """
    began = last = time.perf_counter()
    seen = [await each.since(_NEWEST) for each in etcds]
    while time.perf_counter() - last < seconds:
        if time.perf_counter() - began > within:
            raise TimeoutError(f"the federation does not come to rest within {within:g} s")
        await sleep(LOOK)
        for number, each in enumerate(etcds):
            revision, _, count = seen[number]
            now = seen[number] = await each.since(revision)
            if any(map(counts, now[1])) or now[2] < count:
                last = time.perf_counter()
    return last


_NEWEST = (1 << 62) - 1


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
