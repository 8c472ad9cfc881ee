"""One member down for OUTAGE seconds, then back; prints the figures, exit code 1 if one is beyond its limit.

usage: OUTAGE=3600 [OUTAGE_OBJECTS=400] [OUTAGE_MEMBERS=3] [OUTAGE_EVERY=7] [FEDERATION_SEED=1] python -m e2e.outage

OUTAGE_EVERY is the pause in seconds between two acts of users. All figures go to outage-<date>.json.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from e2e import running
from e2e.bench import report as machines
from e2e.outage import assessing
from e2e.outage.run import Options, Run
from federation.comparing.fleet import Fleet
from federation.comparing.machine import servers
from federation.model.errors import FederationError
from federation.playground.errors import PlaygroundError


def main(arguments: Sequence[str] = ()) -> int:
    """Run, print, save. 0 when all is well, 1 when something is wrong, 2 for options that are not numbers."""
    if (code := running.explained(__doc__, arguments)) is not None:
        return code
    try:
        options = read(os.environ)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    running.interrupt_on_signals()
    try:
        with Fleet(running.detail) as fleet:
            fleet.grow(tuple(f"m{number}" for number in range(1, options.members + 1)))
            fleet.start_controller()
            try:
                measured = asyncio.run(Run(fleet, options).measure())
            except Exception:
                running.report(f"the end of the controller's log:\n{fleet.log_tail()}")
                raise
    except KeyboardInterrupt:
        running.report("interrupted; everything has been taken down")
        return 130
    except (RuntimeError, TimeoutError, FederationError, PlaygroundError, ExceptionGroup) as error:
        running.report(f"error: {error}")
        return 1
    machine = machines.machine()
    machine["versions"] |= servers()
    path = running.save({**machine, "options": options, **measured}, "outage")
    print(f"raw figures: {path}")  # noqa: T201
    _print(measured)
    wrong = assessing.findings(measured, options.objects * 2)
    for each in wrong:
        print(f"WRONG: {each}")  # noqa: T201
    return 1 if wrong else 0


def read(environment: Mapping[str, str]) -> Options:
    """The options of a run. Raises ValueError for a variable that is not a number, or too small."""

    def number(name: str, default: str, least: float) -> float:
        text = environment.get(name) or default
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{name} is {text!r}, not a number") from None
        if value < least:
            raise ValueError(f"{name} is {text}: it must be at least {least:g}")
        return value

    return Options(
        outage=number("OUTAGE", "3600", 1),
        objects=int(number("OUTAGE_OBJECTS", "400", 3)),
        members=int(number("OUTAGE_MEMBERS", "3", 2)),
        every=number("OUTAGE_EVERY", "7", 0),
        seed=int(number("FEDERATION_SEED", "1", 0)),
    )


def _print(measured: Mapping[str, Any]) -> None:
    for part, found in measured.items():
        for name, value in found.items():
            if name != "samples":
                print(f"{part}: {name}: {value}")  # noqa: T201
    seen = measured["outage"]["samples"]
    first, last = seen[len(seen) // 4], seen[-1]
    seconds = last["at"] - first["at"]
    cpu, looked = last["cpu"] - first["cpu"], last["reconciles"] - first["reconciles"]
    print(f"outage: controller RSS: {first['rss']} MB after a quarter, {last['rss']} MB at its end")  # noqa: T201
    if seconds:
        print(f"outage: controller CPU: {cpu / seconds * 1e3:.2f} ms/s; {looked} reconciles")  # noqa: T201
    most = {name: max(each[name] for each in seen) for name in ("waiting", "later", "lane", "lag")}
    print(f"outage: at most: {most}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
