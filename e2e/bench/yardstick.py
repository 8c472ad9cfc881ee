"""The bare client: the same ConfigMaps, applied by the least code that can, in a process of its own.

A controller cannot cost less than this, so its CPU is told as a multiple of it; and the host's CPU as a multiple of
what one apply costs there. Plain aiohttp and orjson, server-side apply, no watch, no status, no retry.

usage: python -m e2e.bench.yardstick < WORK.json > FIGURES.json
"""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import orjson

from e2e.bench import meter
from e2e.bench.client import APPLY, Client, together
from e2e.bench.fleet import HOST, Fleet
from e2e.bench.phases import PAD
from federation.playground.access import LocalCluster

NAMESPACE = "yardstick"
Figures = dict[str, float]


async def measure(fleet: Fleet, objects: int) -> dict[str, Figures]:
    """`client`: CPU of the bare client per apply to the members, in ms; `host`: of the host's API server per apply."""
    return {
        "client": (await _run(fleet, fleet.members, objects))["client"],
        "host": (await _run(fleet, [HOST], objects))["server"],
    }


async def _run(fleet: Fleet, names: Sequence[str], objects: int) -> dict[str, Figures]:
    work = {
        "objects": objects,
        "clusters": [
            {"name": name, "url": cluster.url, "token": cluster.token, "ca": cluster.ca_pem, "pid": fleet.pid(name)}
            for name in names
            for cluster in (fleet.cluster(name),)
        ],
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "e2e.bench.yardstick", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate(orjson.dumps(work))  # by stdin: tokens do not belong on a command line
    if process.returncode:
        raise RuntimeError(f"the yardstick ended with {process.returncode}")
    figures: dict[str, Figures] = orjson.loads(answer)
    return figures


async def main(work: dict[str, Any]) -> dict[str, Figures]:
    """Apply every object in every cluster, twice; CPU per apply, in ms, of us and of the servers."""
    clients = [Client(LocalCluster(each["name"], each["url"], each["token"], each["ca"])) for each in work["clusters"]]
    pids = [each["pid"] for each in work["clusters"]]
    names = [f"item-{number}" for number in range(work["objects"])]
    path = f"/api/v1/namespaces/{NAMESPACE}"
    figures: dict[str, Figures] = {"client": {}, "server": {}}
    for client in clients:
        await client.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})

    async def put(client: Client, name: str, version: str) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "bench"}},
            "data": {"version": version, "pad": PAD},
        }
        await client.send("PATCH", f"{path}/configmaps/{name}?fieldManager=yardstick&force=true", body, APPLY)

    async def take(client: Client, name: str) -> None:
        await client.send("DELETE", f"{path}/configmaps/{name}")

    for phase, version in (("create", "1"), ("update", "2")):
        ours, theirs = time.process_time(), meter.cpu(pids)
        await together(put(client, name, version) for name in names for client in clients)
        writes = len(names) * len(clients)
        figures["client"][phase] = round((time.process_time() - ours) * 1e3 / writes, 4)
        await asyncio.sleep(0.5)  # what the servers still do for these writes is theirs
        figures["server"][phase] = round((meter.cpu(pids) - theirs) * 1e3 / writes, 3)
    await together(take(client, name) for name in names for client in clients)
    for client in clients:
        await client.__aexit__(None, None, None)
    return figures


if __name__ == "__main__":
    os.write(1, orjson.dumps(asyncio.run(main(orjson.loads(sys.stdin.buffer.read())))))
