"""The runs that docs show: what is kept of each run's raw figures, and what a reader is told of where they come from.

Pure but for `read`; `collect` writes the file.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

DOCS = Path(__file__).parents[3] / "docs"
DATA = DOCS / "data" / "scale.json"
_LEFT_OUT = {"host_requests"}
"""Long, and neither drawn nor in the table."""
_LONG = 8
"""A list of more figures than that is kept as its percentiles."""

Run = Mapping[str, Any]


def read(path: Path) -> Sequence[Run]:
    """The collected runs, by size; none if there is no file."""
    found: Sequence[Run] = orjson.loads(path.read_bytes())["runs"] if path.exists() else []
    return found


def written(runs: Iterable[Run]) -> bytes:
    """The text of the file."""
    return orjson.dumps({"runs": sorted(runs, key=_order)}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def compact(raw: Any) -> Run:
    """What is kept of a run. Raises ValueError for a file that is not one, or of a run that measured nothing."""
    if not isinstance(raw, Mapping) or not {"members", "objects", "machine", "versions"} <= raw.keys():
        raise ValueError("this is not a file of make bench-scale")
    if "join" not in raw:
        raise ValueError("this run ended before it had measured anything")
    if raw.get("shards", 1) != 1:
        raise ValueError("this run had several controller processes: the table and the plot are about one")
    run: Run = _shortened(raw)
    return run


def added(known: Iterable[Run], new: Sequence[Run]) -> list[Run]:
    """The known runs and the new ones, which replace those of the same size."""
    sizes = {_size(run) for run in new}
    return [*(run for run in known if _size(run) not in sizes), *new]


def figure(run: Run, *path: str) -> float | None:
    """One number of a run, None if it was not measured."""
    found: Any = run
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, int | float) else None


def origins(runs: Sequence[Run]) -> list[str]:
    """Machine, versions, commit and day, one sentence for each that differ."""
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        grouped.setdefault(_origin(run), []).append(run)
    if len(grouped) == 1:
        return [f"{origin}." for origin in grouped]
    return [f"{sizes(of)}: {origin}." for origin, of in grouped.items()]


def loads(runs: Sequence[Run]) -> str:
    """How many objects each member got."""
    grouped: dict[int, list[Run]] = {}
    for run in runs:
        grouped.setdefault(run["objects"], []).append(run)
    if len(grouped) == 1:
        return " and ".join(f"{objects:,} objects on every member" for objects in grouped)
    return "; ".join(f"{sizes(of)}: {objects:,} objects on every member" for objects, of in grouped.items())


def broken_off(runs: Iterable[Run]) -> list[str]:
    """One sentence for each run that did not come to its end."""
    return [
        f"The run with {run['members']:,} members was broken off in its phase {run['ended']['phase']}: "
        "what is missing was not measured."
        for run in runs
        if "ended" in run
    ]


def sizes(runs: Iterable[Run]) -> str:
    """`10, 30 and 100 members`."""
    *most, last = [f"{members:,}" for members, _ in itertools.groupby(run["members"] for run in runs)]
    return f"{', '.join(most)} and {last} members" if most else f"{last} members"


def _order(run: Run) -> tuple[int, int, str]:
    return (*_size(run), run.get("began", ""))


def _size(run: Run) -> tuple[int, int]:
    return run["members"], run["objects"]


def _origin(run: Run) -> str:
    machine, versions = run["machine"], run["versions"]
    memory = f", {machine['memory_mb'] / 1e3:.0f} GB" if "memory_mb" in machine else ""
    names = {"kube-apiserver": "kube-apiserver ", "etcd": "etcd ", "python": "", "uvloop": "uvloop ", "openssl": ""}
    known = {"kube-apiserver": versions.get("kubernetes"), **versions}
    programs = ", ".join(f"{shown}{known[name]}" for name, shown in names.items() if known.get(name))
    commit, _, changed = versions["commit"].partition("-")
    commit = f"commit {commit[:12]}{' with changes' if changed else ''}"
    day = f", {run['began'][:10]}" if "began" in run else ""
    return f"{machine['cores']} cores of {machine['cpu']}{memory}, {machine['system']}; {programs}; {commit}{day}"


def _shortened(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _shortened(each) for name, each in value.items() if name not in _LEFT_OUT}
    if isinstance(value, list) and len(value) > _LONG:
        ranked = sorted(value)
        return {"p50": ranked[len(ranked) // 2], "p95": ranked[int(len(ranked) * 0.95)], "max": ranked[-1]}
    return value
