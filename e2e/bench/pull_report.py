"""The rows of pull: what was measured in pull mode, beside push in the same run and beside the limits."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from e2e.bench.report import PHASES, Results, Row, at, number

_SAME = {
    "host_ms_per_object": "host API server CPU, ms per object",
    "controller_ms_per_placement": "controller CPU, ms per placement",
    "members_ms_per_placement": "members' API servers, ms per placement",
}
"""What both modes have."""
MODES = {"pull": "", "bundled": ", objects share works"}
"""What was measured in pull mode, and how its rows say so."""
_WRITES = {
    "work": "writes of works per object and cluster",
    "work_status": "writes of works' statuses per object and cluster",
}


def rows(results: Results, known: Mapping[str, Any]) -> Iterator[Row]:
    """Every figure; `multiple` is of push in the same run, and `tuned` is push's figure."""
    for mode, how in MODES.items():
        for members, found in results.get(mode, {}).items():
            bars = known["bars"]["pull"].get(members, {})
            yield from _part(members, found, results.get(members, {}), bars, how)


def _part(members: str, pull: Results, push: Results, bars: Mapping[str, Any], how: str) -> Iterator[Row]:
    def row(name: str, ours: float, *path: str, beside: float | None = None) -> Row:
        limit, times = at(bars, *path), at(bars, *path[:-1], f"{path[-1]}_times_push")
        multiple = ours / beside if beside else None
        return Row(f"{members} members{how}: {name}", ours, multiple, limit, times, tuned=beside)

    for phase in PHASES:
        found = pull[phase]
        for figure, name in _SAME.items():
            yield row(f"{phase}: {name}", found[figure], phase, figure, beside=at(push, phase, figure))
        agents = found["agents_ms_per_placement"]
        yield row(f"{phase}: an agent's CPU, ms per placement", agents, phase, "agents_ms_per_placement")
        for which, name in _WRITES.items():
            each = round(found["host_writes"][which] / int(members), 2)
            yield row(f"{phase}: {name}", each, phase, f"{which}_writes")
        federated, beside = found["host_writes"]["federated"], at(push, phase, "host_writes_per_object")
        yield row(f"{phase}: writes of the federated object", federated, phase, "federated_writes", beside=beside)
        written = found["member_writes_per_placement"]
        yield row(f"{phase}: member writes per placement", written, phase, "member_writes_per_placement")
    for phase in PHASES:
        for figure in ("p50_ms", "p95_ms"):
            name = f"one object {phase}d everywhere: {figure.removesuffix('_ms')}, ms"
            beside = at(push, "latency", phase, figure)
            yield row(name, pull["latency"][phase][figure], "latency", figure, beside=beside)
    stored = pull["create"]["etcd_bytes_per_placement"]
    yield row("bytes in the host's etcd per object and cluster", stored, "etcd_bytes_per_placement")
    idle = pull["idle"]
    yield row("idle: an agent's CPU, ms per s", max(idle["agent_ms_per_s"]), "idle", "agent_ms_per_s")
    rate = "host_ms_per_s"
    yield row("idle: host API server CPU, ms per s", idle[rate], "idle", rate, beside=at(push, "idle", rate))
    yield row("an agent's RSS, MB", max(max(pull[phase]["agent_mb"]) for phase in PHASES), "agent_mb")


def show(results: Results, known: Mapping[str, Any], console: Console) -> None:
    """Print the table, if pull was measured."""
    if not results.get("pull"):
        return
    table = Table(title="pull mode; x push: multiple of push in the same run", title_justify="left")
    table.add_column("figure")
    for name in ("pull", "push", "x push", "bar", "bar x push"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for row in rows(results, known):
        numbers = (row.ours, row.tuned, row.multiple, row.bar, row.times_bar)
        verdict = {None: "", True: "within", False: "OVER"}[row.ok]
        table.add_row(row.name, *(number(each) for each in numbers), verdict)
    console.print(table)
