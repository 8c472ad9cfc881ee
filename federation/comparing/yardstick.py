"""The bare client: the same ConfigMaps, applied by as little code as possible (`configmaps`), in a process of its own.

A controller cannot cost less than this, so its CPU is given as a multiple of it, and the host's CPU as a multiple of
what one apply costs there.

usage: python -m federation.comparing.yardstick < WORK.json > FIGURES.json
"""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import orjson

from federation.comparing import configmaps, meter
from federation.comparing.client import together
from federation.comparing.configmaps import ConfigMaps
from federation.comparing.fleet import HOST, Fleet
from federation.playground.access import LocalCluster

NAME = "yardstick"
"""Of the namespace and of the field manager."""

Figures = dict[str, float]


async def measure(fleet: Fleet, objects: int) -> dict[str, Figures]:
    """`client`: CPU of the bare client per apply to the members, in ms; `host`: of the host's API server per apply."""
    members = [(fleet.cluster(name), fleet.pid(name)) for name in fleet.members]
    return {
        "client": (await run(members, objects))["client"],
        "host": (await run([(fleet.cluster(HOST), fleet.pid(HOST))], objects))["server"],
    }


async def run(clusters: Sequence[tuple[LocalCluster, int]], objects: int) -> dict[str, Figures]:
    """Of clusters and the pids of their API servers: CPU ms per apply, by phase, of the `client` and the `server`."""
    described = [{**configmaps.described(cluster), "pid": pid} for cluster, pid in clusters]
    figures: dict[str, Figures] = await configmaps.in_a_process(
        "federation.comparing.yardstick", {"objects": objects, "clusters": described}
    )
    return figures


async def main(work: dict[str, Any]) -> dict[str, Figures]:
    """Apply every object in every cluster, twice; CPU per apply, in ms, of us and of the servers."""
    pids = [each["pid"] for each in work["clusters"]]
    figures: dict[str, Figures] = {"client": {}, "server": {}}
    async with ConfigMaps(work["clusters"], work["objects"], namespace=NAME, manager=NAME) as maps:
        for client in maps.clients:
            await maps.make_namespace(client)
        for phase, version in (("create", "1"), ("update", "2")):
            ours, theirs = time.process_time(), meter.cpu(pids)
            await together(maps.put(client, name, version) for name in maps.names for client in maps.clients)
            figures["client"][phase] = round((time.process_time() - ours) * 1e3 / maps.writes, 4)
            await asyncio.sleep(0.5)  # what the servers still do for these writes is theirs
            figures["server"][phase] = round((meter.cpu(pids) - theirs) * 1e3 / maps.writes, 3)
        ours, theirs = time.process_time(), meter.cpu(pids)
        await together(maps.take(client, name) for name in maps.names for client in maps.clients)
        figures["client"]["delete"] = round((time.process_time() - ours) * 1e3 / maps.writes, 4)
        await asyncio.sleep(0.5)
        figures["server"]["delete"] = round((meter.cpu(pids) - theirs) * 1e3 / maps.writes, 3)
    return figures


if __name__ == "__main__":
    os.write(1, orjson.dumps(asyncio.run(main(orjson.loads(sys.stdin.buffer.read())))))
