"""The table of docs/performance.md: a column for each run, a row for each figure that any of them has. Pure."""

from collections.abc import Callable, Iterator, Sequence

from e2e.bench.scale import report, runs
from e2e.bench.scale.report import PHASES
from e2e.bench.scale.runs import Run

Cell = Callable[[Run], str]
_ABSENT = "-"


def markdown(measured: Sequence[Run]) -> str:
    """The table, and below it where its figures come from."""
    if not measured:
        return "No run has been collected.\n"
    lines = [_line(f"{run['members']:,} members" for run in measured), f"|---|{'---:|' * len(measured)}"]
    lines[0] = f"| create / update / delete, where nothing else is said {lines[0]}"
    for name, cell in _rows():
        cells = [cell(run) for run in measured]
        if any(each not in {"", _ABSENT} for each in cells):
            lines.append(f"| {name} {_line(cells)}")
    return "\n".join([*lines, "", *notes(measured)]) + "\n"


def notes(measured: Sequence[Run]) -> list[str]:
    """What a reader must know of the figures."""
    return [
        f"{runs.loads(measured)}.",
        *runs.origins(measured),
        *runs.broken_off(measured),
        *_of_kubefed(measured),
    ]


def _of_kubefed(measured: Sequence[Run]) -> Iterator[str]:
    places: dict[str, list[Run]] = {}
    for run in measured:
        known, peer = report.kubefed(run["members"])
        if any(report.kubefed_times_bare(phase, peer) is not None for phase in PHASES):
            places.setdefault(known["machines"][peer["machine"]], []).append(run)
    if places:
        yield (
            "KubeFed (v0.10, 16 workers, 50 objects) was measured on other machines, its multiples are of the bare "
            f"client there. {'. '.join(f'{runs.sizes(of)}: {place}' for place, of in places.items())}."
        )


def _rows() -> Iterator[tuple[str, Cell]]:
    yield "controller CPU per placement, ms", _phases("{}", "controller_ms_per_placement")
    yield "... the bare client's, ms", _joined(report.bare_ms)
    yield "... **times the bare client**", _joined(report.times_bare)
    yield (
        "... KubeFed, times its bare client",
        _joined(lambda phase, run: report.kubefed_times_bare(phase, report.kubefed(run["members"])[1])),
    )
    yield "host writes by the controller per object", _phases("{}", "host_writes_per_object")
    yield "host API server CPU per object, ms", _phases("{}", "host_ms_per_object")
    yield "members' CPU per placement, ms", _phases("{}", "members_ms_per_placement")
    yield "... the bare client's writes, ms", _phases("bare", "{}", "members_ms")
    yield "placements per second", _phases("{}", "placements_per_s")
    yield "controller memory, MB: at the end / highest after a phase", _memory
    yield (
        "idle, ms per s: controller / host API server / members",
        _several(*(("idle", f"{whose}_ms_per_s") for whose in ("controller", "host", "members"))),
    )
    yield "all Ready after the last join, s", _several(("join", "ready_after_last_join_s"))
    yield "first object of a type, last member, ms", _several(("first", "last_ms"))
    yield "one object, last member, ms", _phases("singles", "{}", "last_ms")
    yield "... the bare client's update, ms", _several(("bare", "single", "last_ms"))
    yield "restart: a user's change, last member, ms", _several(("restart", "a_users_change", "last_ms"))
    yield "restart: writes of other objects", _several(("restart", "writes_of_other_objects"))
    yield "one member hangs: one object, last of the others, ms: before / worst of four", _hang
    yield "one member away and back: one object, last of the others, ms: before / worst of six", _away
    yield "a label that concerns nothing changes: controller CPU, ms", _several(("flap", "controller_ms_per_change"))
    yield "one scrape of /metrics: kB / ms of controller CPU", _scrape
    yield (
        "controller's event loop late, longest, ms",
        lambda run: _values([max(run.get("late_ms", {}).values(), default=None)]),
    )
    yield "load of the machine before the run (1 minute)", _load


def _phases(*path: str) -> Cell:
    """The same figure of each phase, whose name stands for {}."""
    return _joined(lambda phase, run: runs.figure(run, *(step.format(phase) for step in path)))


def _joined(figure: Callable[[str, Run], float | None]) -> Cell:
    return lambda run: _values([figure(phase, run) for phase in PHASES])


def _several(*paths: Sequence[str]) -> Cell:
    return lambda run: _values([runs.figure(run, *path) for path in paths])


def _memory(run: Run) -> str:
    found = report.memory(run)
    return _values([found[-1], max(found)] if found else [])


def _hang(run: Run) -> str:
    during = run.get("hang", {}).get("during_ms")
    return _values([runs.figure(run, "hang", "before_ms"), max(during) if during else None])


def _away(run: Run) -> str:
    during = [*run.get("away", {}).get("away_ms", []), *run.get("away", {}).get("back_ms", [])]
    return _values([runs.figure(run, "away", "before_ms"), max(during, default=None)])


def _load(run: Run) -> str:
    return _values(run["machine"].get("load_before", [])[:1])


def _scrape(run: Run) -> str:
    size = runs.figure(run, "scrape", "bytes")
    return _values([None if size is None else round(size / 1e3), runs.figure(run, "scrape", "controller_cpu_ms")])


def _values(values: Sequence[float | None]) -> str:
    return " / ".join(map(_number, values)) if any(value is not None for value in values) else _ABSENT


def _number(value: float | None) -> str:
    if value is None:
        return _ABSENT
    if value == int(value) and abs(value) < 1000:
        return f"{value:.0f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 1 else f"{value:.2f}"


def _line(cells: Iterator[str] | Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
