"""Compare what was measured with the limits and KubeFed's figures: rows for the table.

A figure in milliseconds means little on another machine, so each is shown with its multiple of the bare client's.
"""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from federation.comparing import machine as machines

BASELINES = Path(__file__).with_name("baselines.json")
PHASES = ("create", "update", "delete")
BARE = {"create": "create", "update": "update", "delete": "update"}
"""The apply of the bare client that a phase is compared with: one that creates, or a (cheaper) one that changes."""
Results = Mapping[str, Any]
_NONE = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `multiple` is of the bare client in the same run; `ok` is None where there is no limit (`bar`)."""

    name: str
    ours: float
    multiple: float | None = None
    bar: float | None = None
    times_bar: float | None = None
    default: float | None = None
    tuned: float | None = None

    @property
    def ok(self) -> bool | None:
        """Whether it is within its limit and within its allowed multiple."""
        within = [
            value <= limit
            for value, limit in ((self.ours, self.bar), (self.multiple, self.times_bar))
            if value is not None and limit is not None
        ]
        return all(within) if within else None


def baselines() -> dict[str, Any]:
    """The limits, and KubeFed's figures."""
    found: dict[str, Any] = orjson.loads(BASELINES.read_bytes())
    return found


def rows(results: Results, known: Mapping[str, Any]) -> Iterator[Row]:
    """Every figure of the table, in its order."""
    for members in ("2", "8"):
        if members in results:
            yield from _part(members, results[members], known)
    if "hang" in results:
        yield from _hang(results["hang"], known)
    for shape, found in results.get("memory", {}).items():
        bar = known["bars"]["memory"]["bytes_per_placement"]
        yield Row(f"memory, {shape}: bytes per placement", found["bytes_per_placement"], bar=bar)


def _part(members: str, part: Results, known: Mapping[str, Any]) -> Iterator[Row]:
    bars, kubefed = known["bars"].get(members, {}), known["kubefed"].get(members, {})
    bare, host = part["yardstick"]["client"], part["yardstick"]["host"]

    def row(name: str, ours: float, *path: str, multiple: float | None = None) -> Row:
        return Row(
            f"{part['objects']} x {members}: {name}",
            ours,
            multiple=multiple,
            bar=at(bars, *path),
            times_bar=at(bars, path[0], "times_bare") if path[-1] == "controller_ms_per_placement" else None,
            default=at(kubefed, "default", *path),
            tuned=at(kubefed, "tuned", *path),
        )

    for phase in PHASES:
        found = part[phase]
        ours = found["controller_ms_per_placement"]
        per_host = found["host_ms_per_object"]
        yield row(f"{phase}: objects/s", found["objects_per_s"], phase, "objects_per_s")
        yield row(
            f"{phase}: controller CPU, ms per placement",
            ours,
            phase,
            "controller_ms_per_placement",
            multiple=ours / bare[BARE[phase]],
        )
        yield row(
            f"{phase}: host API server CPU, ms per object",
            per_host,
            phase,
            "host_ms_per_object",
            multiple=per_host / host[BARE[phase]],
        )
        yield row(f"{phase}: host writes per object", found["host_writes_per_object"], phase, "host_writes_per_object")
    for phase in PHASES:
        for figure in ("p50_ms", "p95_ms"):
            name = f"one object {phase}d everywhere: {figure.removesuffix('_ms')}, ms"
            yield row(name, part["latency"][phase][figure], "latency", phase, figure)
    yield row("controller RSS, MB", max(part[phase]["controller_mb"] for phase in PHASES), "controller_mb")
    yield row("idle: controller CPU, ms per s", part["idle"]["controller_ms_per_s"], "idle", "controller_ms_per_s")
    yield row("idle: host API server CPU, ms per s", part["idle"]["host_ms_per_s"], "idle", "host_ms_per_s")


def _hang(found: Results, known: Mapping[str, Any]) -> Iterator[Row]:
    limit = known["bars"]["hang"]["times_before"]
    for figure in ("p50_ms", "p95_ms"):
        before, during = found["before"][figure], found["during"][figure]
        name = f"a member hangs: update at a healthy one, {figure.removesuffix('_ms')}, ms (multiple: of before)"
        tuned = at(known["kubefed"], "hang", "tuned", "during", figure)
        yield Row(name, during, multiple=during / before, times_bar=limit, tuned=tuned)


def at(tree: Any, *path: str) -> Any:
    """What is there by these keys; None where nothing is."""
    for step in path:
        tree = tree.get(step) if isinstance(tree, Mapping) else None
    return tree


def show(results: Results, known: Mapping[str, Any], console: Console) -> None:
    """Print the table."""
    table = Table(
        title="measured from outside; x bare: multiple of one bare apply in the same run", title_justify="left"
    )
    table.add_column("figure")
    for name in ("ours", "x bare", "bar", "bar x bare", "KubeFed", "KubeFed tuned"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for row in rows(results, known):
        verdict = {None: _NONE, True: "within", False: "OVER"}[row.ok]
        numbers = (row.ours, row.multiple, row.bar, row.times_bar, row.default, row.tuned)
        table.add_row(row.name, *(number(each) for each in numbers), verdict)
    console.print(table)
    console.print(
        f"KubeFed's figures: {known['versions']['kubefed']} on {known['machine']}; {known['about']}", style="dim"
    )


def number(value: float | None) -> str:
    """A figure as the tables show it."""
    if value is None:
        return _NONE
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}" if value >= 1 else f"{value:.2f}"


def machine() -> dict[str, Any]:
    """Where this was measured, and with which versions."""
    return {
        "machine": {
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "cpu": machines.processor(),
            "cores": os.cpu_count(),
            "memory_mb": machines.memory_mb(),
            "load_before": os.getloadavg(),
        },
        "versions": {**machines.versions(), "commit": _commit()},
    }


def _commit() -> str:
    """`<commit>-changed` if what is measured was not what was committed; docs may differ, figures are kept there."""

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments

    commit = git("rev-parse", "HEAD").stdout.strip()
    if not commit:
        return "unknown"
    return commit if git("diff", "--quiet", "HEAD", "--", ":/", ":!/docs").returncode == 0 else f"{commit}-changed"
