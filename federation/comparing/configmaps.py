"""ConfigMaps written to many clusters by as little code as possible, in a process of its own: what bare clients share.

Plain aiohttp and orjson, server-side apply, no watch, no status, no retry.
"""

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import orjson

from federation.comparing.client import APPLY, Client
from federation.playground.access import LocalCluster

PAD = "x" * 1024
"""What makes a ConfigMap one of about 1 kB."""


def described(cluster: LocalCluster) -> dict[str, str]:
    """A cluster as part of the work that is given to another process."""
    return {"name": cluster.name, "url": cluster.url, "token": cluster.token, "ca": cluster.ca_pem}


async def in_a_process(module: str, work: Mapping[str, Any]) -> Any:
    """What a module prints, when it is run as a program with this work on its stdin; both are JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate(orjson.dumps(work))  # by stdin: tokens do not belong on a command line
    if process.returncode:
        raise RuntimeError(f"{module} ended with {process.returncode}")
    return orjson.loads(answer)


class ConfigMaps:
    """So many ConfigMaps in one namespace of each cluster, applied as `manager`. Use as an async context manager."""

    def __init__(self, clusters: Iterable[Mapping[str, str]], objects: int, *, namespace: str, manager: str) -> None:
        self.clients: Sequence[Client] = [
            Client(LocalCluster(each["name"], each["url"], each["token"], each["ca"])) for each in clusters
        ]
        self.names: Sequence[str] = [f"item-{number}" for number in range(objects)]
        self.writes = len(self.names) * len(self.clients)
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._manager = manager

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self.clients:
            await client.__aexit__(kind, error, trace)

    async def make_namespace(self, client: Client) -> None:
        """Create the namespace, unless it exists."""
        await client.ask("POST", "/api/v1/namespaces", {"metadata": {"name": self._namespace}})

    async def put(self, client: Client, name: str, version: str) -> None:
        """Create or update one."""
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self._namespace, "labels": {"app": "bench"}},
            "data": {"version": version, "pad": PAD},
        }
        await client.send("PATCH", f"{self._path}/{name}?fieldManager={self._manager}&force=true", body, APPLY)

    async def take(self, client: Client, name: str) -> None:
        """Delete one."""
        await client.send("DELETE", f"{self._path}/{name}")
