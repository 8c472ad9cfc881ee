"""How many bytes the controller keeps for one placement: the difference between a small and a large fleet, divided.

Each size runs in a process of its own, by `pipeline`: once measured by tracemalloc (what Python objects take), once by
the kernel (resident memory, including what allocators keep).

usage: python -m e2e.bench.memory OBJECTS MEMBERS traced|resident
"""

import asyncio
import gc
import os
import subprocess
import sys
import tracemalloc
from typing import Any

import orjson

from e2e.bench.pipeline import Pipeline
from federation.comparing import meter

SHAPES = {"1000s of objects in 2 members": (1000, 10_000, 2), "100s of objects in 100 members": (20, 200, 100)}
"""Few objects, many objects, members: 2,000 and 20,000 placements each."""
QUICK = {"100s of objects in 100 members": (10, 60, 100)}
_TOP = 6


def measure(*, quick: bool = False) -> dict[str, dict[str, Any]]:
    """Per shape: `bytes_per_placement` (traced), `resident_per_placement`, and the bytes by module."""
    found = {}
    for shape, (few, many, members) in (QUICK if quick else SHAPES).items():
        extra = (many - few) * members
        traced = [_child(objects, members, "traced") for objects in (few, many)]
        resident = [_child(objects, members, "resident") for objects in (few, many)]
        modules = {
            name: round((size - traced[0]["modules"].get(name, 0)) / extra)
            for name, size in traced[1]["modules"].items()
        }
        found[shape] = {
            "placements": many * members,
            "bytes_per_placement": round((traced[1]["bytes"] - traced[0]["bytes"]) / extra),
            "resident_per_placement": round((resident[1]["bytes"] - resident[0]["bytes"]) / extra),
            "by_module": dict(sorted(modules.items(), key=lambda item: -item[1])[:_TOP]),
        }
    return found


def _child(objects: int, members: int, how: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "e2e.bench.memory", str(objects), str(members), how]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own command
    answer: dict[str, Any] = orjson.loads(done.stdout)
    return answer


async def keep(objects: int, members: int, *, traced: bool) -> dict[str, Any]:
    """Place the objects and measure what stays in memory. Raises RuntimeError when they were not all placed."""
    pipeline = Pipeline(members)
    if traced:
        tracemalloc.start()
    await pipeline.place(objects)
    pipeline.forget()
    if pipeline.placed() != objects * members:
        raise RuntimeError(f"{pipeline.placed()} of {objects * members} placements were made")
    gc.collect()
    if not traced:
        return {"bytes": meter.resident(os.getpid()) * 1e6}
    snapshot = tracemalloc.take_snapshot()
    tracemalloc.stop()
    modules: dict[str, int] = {}
    for statistic in snapshot.statistics("filename"):
        name = "/".join(statistic.traceback[0].filename.split("/")[-2:])
        modules[name] = modules.get(name, 0) + statistic.size
    return {"bytes": sum(modules.values()), "modules": modules}


if __name__ == "__main__":
    found = asyncio.run(keep(int(sys.argv[1]), int(sys.argv[2]), traced=sys.argv[3] == "traced"))
    os.write(1, orjson.dumps(found))
