"""What the simulated members hold, observed by one watch on the etcd that they share: cheap, whatever their number.

Keys are `PREFIX/configmaps/~MEMBER/NAMESPACE/NAME` (federation/playground/controlplane/many), values are protobuf; a
version is recognised by its text, which occurs nowhere else in a value. etcd's JSON gateway is used, because it needs
no generated code.
"""

import asyncio
import base64
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import aiohttp
import orjson

PREFIX = b"/playground/many/configmaps/"
_AFTER = PREFIX[:-1] + bytes([PREFIX[-1] + 1])


class Expected:
    """Objects that should arrive in members, in one version, or disappear there.

    `at` has the time (perf_counter) of every arrival. `text` is in the value of that version; None: deleted.
    """

    def __init__(self, names: Iterable[str], text: bytes | None, members: Collection[str]) -> None:
        self.text = text
        self.at: list[float] = []
        self.last_of: dict[str, float] = {}
        self.missing: dict[str, set[str]] = {name: set(members) for name in names}
        self._count = len(self.missing) * len(members)
        self._all = asyncio.Event()

    def observe(self, member: str, name: str, value: bytes | None, now: float) -> None:
        """One write in a member."""
        missing = self.missing.get(name)
        if missing is None or member not in missing or (value is None) != (self.text is None):
            return
        if value is not None and self.text is not None and self.text not in value:
            return
        missing.discard(member)
        self.at.append(now)
        if not missing:
            self.last_of[name] = now
        if len(self.at) == self._count:
            self._all.set()

    async def wait(self, within: float) -> float:
        """The time of the last arrival. TimeoutError names some of what is missing."""
        if self._count:
            try:
                async with asyncio.timeout(within):
                    await self._all.wait()
            except TimeoutError:
                some = [f"{name} in {min(left)}" for name, left in self.missing.items() if left][:5]
                raise TimeoutError(
                    f"{self._count - len(self.at)} not seen within {within:g} s: {', '.join(some)}"
                ) from None
        return self.at[-1] if self.at else time.perf_counter()

    def milliseconds(self, since: float) -> Mapping[str, float]:
        """p50 and the last arrival, in ms after `since`."""
        took = sorted((each - since) * 1e3 for each in self.at)
        return {"p50_ms": round(took[len(took) // 2], 1), "last_ms": round(took[-1], 1)}


class Arrivals:
    """Follows one namespace in all members. Use as an async context manager."""

    def __init__(self, etcd: str, namespace: str) -> None:
        self._url = f"{etcd}/v3/watch"
        self._namespace = namespace.encode()
        self._expected: list[Expected] = []
        self.writes: list[tuple[str, str]] = []
        """(member, name) of every put and delete since it was last cleared."""

    async def __aenter__(self) -> "Arrivals":
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None), read_bufsize=1 << 22)
        created = asyncio.Event()
        self._task = asyncio.create_task(self._follow(created))
        async with asyncio.timeout(30):
            await created.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._session.close()

    def expect(self, names: Iterable[str], text: bytes | None, members: Collection[str]) -> Expected:
        """Observe these objects from now on."""
        expected = Expected(names, text, members)
        self._expected = [each for each in self._expected if any(each.missing.values())] + [expected]
        return expected

    async def _follow(self, created: asyncio.Event) -> None:
        request = {
            "create_request": {
                "key": base64.b64encode(PREFIX).decode(),
                "range_end": base64.b64encode(_AFTER).decode(),
            }
        }
        async with self._session.post(self._url, data=orjson.dumps(request)) as response:
            pending = b""
            async for chunk in response.content.iter_any():
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    if line:
                        created.set()
                        self._take(orjson.loads(line)["result"])

    def _take(self, result: Mapping[str, Any]) -> None:
        now = time.perf_counter()
        for event in result.get("events", ()):
            member, namespace, name = base64.b64decode(event["kv"]["key"])[len(PREFIX) + 1 :].split(b"/")
            if namespace != self._namespace:
                continue
            deleted = event.get("type") == "DELETE"
            value = None if deleted else base64.b64decode(event["kv"]["value"])
            where = member.decode(), name.decode()
            self.writes.append(where)
            for expected in self._expected:
                expected.observe(*where, value, now)
