"""Make what docs show of the collected runs: docs/scale.svg, and the table of docs/performance.md.

usage: python -m e2e.bench.scale.plot [--check]

--check writes nothing: it names what is not as docs/data/scale.json gives it, and `make check` calls it.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e import running
from e2e.bench.scale import drawing, panels, runs, table
from e2e.bench.scale.runs import Run

PICTURE = runs.DOCS / "scale.svg"
PAGE = runs.DOCS / "performance.md"
BEGIN = "<!-- begin: made from data/scale.json by `python -m e2e.bench.scale.plot` -->\n"
END = "<!-- end -->\n"
TITLE = "One controller process: cost and memory over the number of members"
_NOTES = (
    "Solid: the controller. Dashed: a bare client (aiohttp, orjson) that applies the same objects straight to the "
    "members in the same run. Dotted: KubeFed v0.10 on other machines, as a multiple of the bare client there. "
    "Where a size was measured several times, the line goes through the median.",
)


def files(measured: Sequence[Run], page: str) -> Mapping[Path, str]:
    """What each file must be; `page` is the page as it is. Raises ValueError if it has no place for the table."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has no lines {BEGIN.strip()} and {END.strip()}: put them where the table belongs")
    notes = [" ".join([*_NOTES, *table.notes(measured)[:1]]), *table.notes(measured)[1:]] if measured else []
    return {
        PICTURE: drawing.svg(panels.panels(measured), TITLE, notes),
        PAGE: "".join((before, begin, "\n", table.markdown(measured), "\n", end, after)),
    }


def main(arguments: Sequence[str] = ()) -> int:
    """Write the files, or with --check name those that differ and return 1."""
    check = list(arguments) == ["--check"]
    if not check and (code := running.explained(__doc__, arguments)) is not None:
        return code
    try:
        made = files(runs.read(runs.DATA), PAGE.read_text(encoding="utf-8"))
    except ValueError as error:
        running.report(f"error: {error}")
        return 1
    differing = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in differing:
        if check:
            running.report(f"error: {path} is not what {runs.DATA} gives: run python -m e2e.bench.scale.plot")
        else:
            path.write_text(made[path], encoding="utf-8")
            running.report(f"written: {path}")
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
