"""Collect raw figures of runs into docs/data/scale.json, and draw what docs show of them.

usage: python -m e2e.bench.scale.collect [--add] bench-scale-....json ...

The collected runs replace those that were there; with --add only those of the same size (members and objects).
A file that cannot be used is named and left out; the exit code is 1 then.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from e2e import running
from e2e.bench.scale import plot, runs
from e2e.bench.scale.runs import Run


def main(arguments: Sequence[str] = ()) -> int:
    """Collect, write, draw."""
    paths = [each for each in arguments if each != "--add"]
    if not paths or any(each.startswith("-") for each in paths):
        return running.explained(__doc__, paths or ["no file"]) or 0
    collected, left_out = usable([Path(each) for each in paths])
    for line in left_out:
        running.report(f"left out: {line}")
    if not collected:
        running.report(f"error: nothing to collect; {runs.DATA} is as it was")
        return 1
    kept = runs.read(runs.DATA) if "--add" in arguments else ()
    runs.DATA.parent.mkdir(exist_ok=True)
    runs.DATA.write_bytes(runs.written(runs.added(kept, collected)))
    running.report(f"written: {runs.DATA}, of {runs.sizes(collected)}")
    return plot.main() or (1 if left_out else 0)


def usable(paths: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """What is kept of each file, and which files give nothing, and why."""
    found, left_out = [], []
    for path in paths:
        try:
            found.append(runs.compact(orjson.loads(path.read_bytes())))
        except (OSError, ValueError) as error:
            left_out.append(f"{path}: {error}")
    return found, left_out


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
