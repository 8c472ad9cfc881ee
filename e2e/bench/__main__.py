"""Run the benchmark and print its table; all figures go to bench-<date>.json.

usage: [QUICK=1] [PARTS=2,hang,8,pull,memory] python -m e2e.bench
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from rich.console import Console

from e2e import running
from e2e.bench import hang, memory, pull, pull_report, report
from e2e.bench.phases import Bench, Size
from federation.comparing import machine, yardstick
from federation.comparing.fleet import Fleet
from federation.model.errors import FederationError
from federation.playground.errors import PlaygroundError

PARTS = ("2", "hang", "8", "pull", "memory")
FULL = {"2": Size(300, 30, 20.0), "hang": Size(0, 60, 0.0), "8": Size(100, 20, 10.0)}
QUICK = {"2": Size(60, 10, 4.0), "hang": Size(0, 30, 0.0)}
BUNDLE_BYTES = 65_536
"""Of objects in one work, where they share works: some sixty of the bench's."""
MEMBERS = tuple(f"m{number}" for number in range(1, 9))


def main(arguments: Sequence[str] = ()) -> int:
    """Measure, show, save. The exit code is 0 whatever the figures are."""
    if (code := running.explained(__doc__, arguments)) is not None:
        return code
    quick = os.environ.get("QUICK", "") not in {"", "0"}
    sizes = QUICK if quick else FULL
    chosen = os.environ.get("PARTS") or ",".join((*sizes, "pull", "memory"))
    parts = chosen.split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        sys.stderr.write(f"error: no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}\n")
        return 2
    running.interrupt_on_signals()
    results: dict[str, Any] = {"quick": quick, **report.machine()}
    try:
        with Fleet(running.detail) as fleet:
            _measure_all(fleet, parts, sizes, results)
        results["versions"] |= machine.servers()
        if "memory" in parts:
            running.report("memory: what the controller keeps per placement")
            results["memory"] = memory.measure(quick=quick)
    except KeyboardInterrupt:
        running.report("interrupted; everything has been taken down")
        return 130
    except (RuntimeError, TimeoutError, FederationError, PlaygroundError, ExceptionGroup) as error:
        running.report(f"error: {error}")
        for each in error.exceptions if isinstance(error, ExceptionGroup) else ():
            running.report(f"  {each}")
        return 1
    known = report.baselines()
    console = Console(width=None if sys.stdout.isatty() else 160)
    report.show(results, known, console)
    pull_report.show(results, known, console)
    print(f"raw figures: {running.save(results, 'bench')}")  # noqa: T201
    return 0


def _measure_all(fleet: Fleet, parts: Sequence[str], sizes: Mapping[str, Size], results: dict[str, Any]) -> None:
    try:
        for part in parts:
            if part in {"pull", "memory"}:
                continue
            size = sizes.get(part, FULL[part])
            _measure(fleet, part, size, results)
            if "pull" in parts and part != "hang":
                _measure_pull(fleet, part, size, results)
    except Exception:
        if fleet.runs:
            running.report(f"the end of the controller's log:\n{fleet.log_tail()}")
        raise


def _measure(fleet: Fleet, part: str, size: Size, results: dict[str, Any]) -> None:
    members = MEMBERS if part == "8" else MEMBERS[:2]
    if fleet.members != members:
        running.report(f"control planes: host and {len(members)} members")
        fleet.grow(members)
    if not fleet.runs:
        fleet.start_controller()
    work: dict[str, Callable[[Fleet, Size], Coroutine[Any, Any, dict[str, Any]]]] = {"hang": _hang}
    running.report({"hang": "one of two members hangs"}.get(part, f"{size.objects} objects in {part} members"))
    results[part] = asyncio.run(work.get(part, _phases)(fleet, size))


def _measure_pull(fleet: Fleet, part: str, size: Size, results: dict[str, Any]) -> None:
    """The same in pull mode, right after, with a work for each object and with works that objects share.

    The controller is a new one after each, which has nothing of it.
    """
    for name, bundle_bytes in {"pull": 0, "bundled": BUNDLE_BYTES}.items():
        running.report(f"{size.objects} objects in {part} members in pull mode, {bundle_bytes or 'no'} bytes shared")
        results.setdefault(name, {})[part] = asyncio.run(pull.measure(fleet, size, bundle_bytes))
        fleet.stop_controller()
        fleet.start_controller()


async def _phases(fleet: Fleet, size: Size) -> dict[str, Any]:
    found: dict[str, Any] = {"objects": size.objects, "members": len(fleet.members)}
    found["yardstick"] = await yardstick.measure(fleet, size.objects)
    async with Bench(fleet, f"bench-{len(fleet.members)}", size) as bench:
        found["latency"] = await bench.latency()
        return found | await bench.bulk()


async def _hang(fleet: Fleet, size: Size) -> dict[str, Any]:
    async with Bench(fleet, "bench-hang", size) as bench:
        return await hang.measure(bench)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
