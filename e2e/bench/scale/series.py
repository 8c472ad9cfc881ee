"""Measure several fleets, one after the other, and collect their figures for docs.

usage: [FLEETS="10 30 100 300 1000"] [OBJECTS=50] [IDLE=60] [PARTS=...] [ADD=1] python -m e2e.bench.scale.series

Each is a run of `make bench-scale` in a process of its own, and one that fails does not end the others: what it
measured is collected with them. ADD=1 keeps the collected runs of other sizes.
"""

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from e2e import running
from e2e.bench.scale import collect

FLEETS = "10 30 100 300 1000"
RUN = (sys.executable, "-m", "e2e.bench.scale")


def main(arguments: Sequence[str] = ()) -> int:
    """Run, collect, draw. 1 if a run failed."""
    if (code := running.explained(__doc__, arguments)) is not None:
        return code
    try:
        fleets = sizes(os.environ.get("FLEETS") or FLEETS)
    except ValueError as error:
        running.report(f"error: {error}")
        return 2
    running.interrupt_on_signals()
    add = ["--add"] if os.environ.get("ADD", "") not in {"", "0"} else []
    failed, raw, began = [], [], time.monotonic()
    try:
        for number, members in enumerate(fleets, 1):
            minutes = (time.monotonic() - began) / 60
            running.report(f"run {number} of {len(fleets)}: {members:,} members ({minutes:.0f} minutes until now)")
            path = Path.cwd() / f"bench-scale-{members}-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}.json"
            raw.append(path)
            if one(members, path):
                failed.append(members)
    except KeyboardInterrupt:
        done = [str(path) for path in raw if path.exists()]
        running.report("interrupted; nothing has been collected")
        if done:
            running.report(f"to collect what there is: python -m e2e.bench.scale.collect {' '.join([*add, *done])}")
        return 130
    for members in failed:
        running.report(f"failed: the run with {members:,} members; again: FLEETS={members} ADD=1 make bench-scale-all")
    return collect.main([*add, *(str(path) for path in raw)]) or (1 if failed else 0)


def sizes(text: str) -> list[int]:
    """Numbers of members. Raises ValueError for anything else."""
    words = text.replace(",", " ").split()
    if not words or not all(word.isdecimal() and int(word) >= 2 for word in words):
        raise ValueError(f"FLEETS is {text!r}: it must be numbers of members, each at least 2")
    return [int(word) for word in words]


def one(members: int, raw: Path) -> int:
    """One run, its exit code. An interruption ends it first, and waits until it has taken everything down."""
    environment = {**os.environ, "MEMBERS": str(members), "RAW": str(raw)}
    # A session of its own: a terminal's Ctrl-C would else reach it twice, from the terminal and from here.
    run = subprocess.Popen(RUN, env=environment, start_new_session=True)  # noqa: S603 - our own interpreter and arguments
    try:
        return run.wait()
    except KeyboardInterrupt:
        run.terminate()
        run.wait()
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
