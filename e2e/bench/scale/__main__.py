"""Measure one fleet and print its table; everything that was counted goes to bench-scale-<date>.json.

usage: [MEMBERS=100] [OBJECTS=50] [IDLE=60] [SHARDS=1] [PARTS=bare,bulk,idle,restart,hang,away,flap,pull] [RAW=PATH]
           python -m e2e.bench.scale

SHARDS: how many controller processes share the members; the CPU of each is in controllers_ms_per_placement.

RAW: where the figures go instead. A run that is broken off leaves those of the phases that it finished.
"""

import asyncio
import datetime as dt
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from rich.console import Console

from e2e import running
from e2e.bench import report as machines
from e2e.bench.scale import bare
from e2e.bench.scale.fleet import ScaleFleet
from e2e.bench.scale.phases import Scale
from e2e.bench.scale.report import show
from e2e.running import detail
from federation.comparing import machine
from federation.comparing.agents import Agents
from federation.model.errors import FederationError
from federation.playground.errors import PlaygroundError

PARTS = ("bare", "bulk", "idle", "restart", "hang", "away", "flap", "pull")
Results = dict[str, Any]


def main(arguments: Sequence[str] = ()) -> int:
    """Measure, show, save; also what was measured before an error. 0 whatever the figures: people judge them."""
    if (code := running.explained(__doc__, arguments)) is not None:
        return code
    try:
        members, objects = int(os.environ.get("MEMBERS") or 100), int(os.environ.get("OBJECTS") or 50)
        idle, shards = float(os.environ.get("IDLE") or 60), int(os.environ.get("SHARDS") or 1)
    except ValueError as error:
        running.report(f"error: MEMBERS, OBJECTS, IDLE and SHARDS are numbers: {error}")
        return 2
    parts = (os.environ.get("PARTS") or ",".join(PARTS)).split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown or members < 2 or objects < 1 or shards < 1:
        running.report(f"error: there are parts {', '.join(PARTS)}; at least 2 members, 1 object and 1 shard")
        return 2
    running.interrupt_on_signals()
    began = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    results: Results = {"members": members, "objects": objects, "shards": shards, "began": began, **machines.machine()}
    code = 0
    try:
        with ScaleFleet(running.detail) as fleet:
            _measure(fleet, results, parts, idle)
    except KeyboardInterrupt:
        running.report("interrupted; everything has been taken down")
        code = 130
    except (RuntimeError, TimeoutError, FederationError, PlaygroundError, ExceptionGroup) as error:
        running.report(f"error: {error}")
        code = 1
    finally:  # a bug of the bench, too, leaves what was measured
        if "join" in results:
            show(results, Console(width=None if sys.stdout.isatty() else 160))
            print(f"raw figures: {running.save(results, 'bench-scale', os.environ.get('RAW', ''))}")  # noqa: T201
    return code


def _measure(fleet: ScaleFleet, results: Results, parts: list[str], idle: float) -> None:
    running.report(f"a host and {results['members']} simulated members")
    fleet.shards = results["shards"]
    fleet.bring_up(results["members"])
    results["versions"] |= machine.servers()
    fleet.start_controller()
    try:
        asyncio.run(_phases(fleet, results, parts, idle))
    except Exception:
        running.report(f"the end of the controller's log:\n{fleet.log_tail()}")
        raise


async def _phases(fleet: ScaleFleet, results: Results, parts: list[str], idle: float) -> None:
    async def phase(name: str, work: Callable[[], Awaitable[Any]]) -> None:
        detail(name)
        try:
            results[name] = await work()
            late[name] = await scale.late()
        except BaseException as error:
            results["ended"] = {"phase": name, "error": f"{type(error).__name__}: {error}"}
            raise

    late: dict[str, float] = results.setdefault("late_ms", {})
    async with Scale(fleet, results["objects"], idle) as scale:
        await phase("join", scale.join)
        await phase("namespace", scale.namespace)
        await phase("first", scale.first)
        await phase("singles", scale.singles)
        if "bare" in parts:
            await phase("bare", lambda: bare.measure(fleet, results["objects"]))
        await phase("create", lambda: scale.bulk("create"))
        if "idle" in parts:
            await phase("idle", scale.idle)
            await phase("scrape", scale.scrape)
        if "bulk" in parts:
            await phase("update", lambda: scale.bulk("update"))
        if "flap" in parts:
            await phase("flap", scale.flap)
        if "restart" in parts:
            await phase("restart", scale.restart)
        if "hang" in parts:
            await phase("hang", scale.hang)
        if "away" in parts:
            await phase("away", scale.away)
        if "bulk" in parts:
            await phase("delete", lambda: scale.bulk("delete"))
        if "pull" in parts:
            await phase("pull", lambda: _pull(fleet, scale))


async def _pull(fleet: ScaleFleet, scale: Scale) -> Results:
    """The same with all members in pull mode: one process has their agents, a membership for each."""
    async with Agents(fleet, fleet.directory, together=True) as agents:
        scale.pulled(agents.pids)
        found: Results = {"singles": await scale.singles()}
        for name in ("create", "update", "delete"):
            detail(f"pull: {name}")
            found[name] = await scale.bulk(name)
            if name == "create":
                found["idle"] = await scale.idle()
        return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
