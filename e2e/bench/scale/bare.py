"""The bare client at scale: the same ConfigMaps in every member, four requests in flight to each, keep-alive.

The yardstick of `make bench-scale`: what the other bare client does (`configmaps`), with uvloop. In a process of its
own, as the controller is.

usage: python -m e2e.bench.scale.bare < WORK.json > FIGURES.json
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import uvloop

from e2e.bench.scale.fleet import ScaleFleet
from federation.comparing import configmaps, meter
from federation.comparing.client import Client, together
from federation.comparing.configmaps import ConfigMaps

NAME = "bare"
"""Of the namespace and of the field manager."""
IN_FLIGHT = 4
"""Requests in flight to one member."""
MEMBERS = 100
"""Members that are written to at once. The process that is all the members answers 500 when it has thousands of
requests at once."""
SINGLES = 5
"""Objects that are written one after the other, each to all members at once."""

Figures = dict[str, Any]


async def measure(fleet: ScaleFleet, objects: int) -> Figures:
    """By phase: `client_ms` and `members_ms` of CPU per write, `seconds` until the last answer; and of a `single`
    object that is updated in all members at once, `last_ms` until the last answer."""
    members = [configmaps.described(fleet.cluster(name)) for name in fleet.members]
    work = {"objects": objects, "pids": fleet.members_pids, "members": members}
    figures: Figures = await configmaps.in_a_process("e2e.bench.scale.bare", work)
    return figures


async def main(work: dict[str, Any]) -> Figures:
    """Create, update and delete every object in every member."""
    async with ConfigMaps(work["members"], work["objects"], namespace=NAME, manager=NAME) as maps:
        await together(maps.make_namespace(client) for client in maps.clients)

        async def phase(act: Callable[[Client, str], Awaitable[None]]) -> dict[str, float]:
            began, ours, theirs = time.perf_counter(), time.process_time(), meter.cpu(work["pids"])
            await together((_all_of(act, client, maps) for client in maps.clients), MEMBERS)
            seconds = time.perf_counter() - began
            client_ms = (time.process_time() - ours) * 1e3 / maps.writes
            await asyncio.sleep(0.5)  # what the members still do for these writes belongs to them
            return {
                "client_ms": round(client_ms, 4),
                "members_ms": round((meter.cpu(work["pids"]) - theirs) * 1e3 / maps.writes, 3),
                "seconds": round(seconds, 2),
            }

        async def single(name: str) -> float:
            began = time.perf_counter()
            await together((maps.put(client, name, "3") for client in maps.clients), len(maps.clients))
            return (time.perf_counter() - began) * 1e3

        found: Figures = {
            "create": await phase(lambda client, name: maps.put(client, name, "1")),
            "update": await phase(lambda client, name: maps.put(client, name, "2")),
        }
        found["single"] = {
            "last_ms": round(statistics.median([await single(name) for name in maps.names[:SINGLES]]), 1)
        }
        found["delete"] = await phase(maps.take)
        return found


async def _all_of(act: Callable[[Client, str], Awaitable[None]], client: Client, maps: ConfigMaps) -> None:
    await together((act(client, name) for name in maps.names), IN_FLIGHT)


if __name__ == "__main__":
    os.write(1, orjson.dumps(uvloop.run(main(orjson.loads(sys.stdin.buffer.read())))))
