"""What the plot shows: which figures, in which panel. Pure; `drawing` knows how it looks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

from e2e.bench.scale import report, runs
from e2e.bench.scale.report import PHASES
from e2e.bench.scale.runs import Run

Figure = Callable[[Run], float | None]


class Whose(Enum):
    """How a line is drawn."""

    OURS = auto()
    BARE = auto()
    KUBEFED = auto()


@dataclass(frozen=True, slots=True)
class Line:
    """One figure over members. `hue` tells the lines of one panel apart, and is the same for what belongs together."""

    name: str
    hue: int
    whose: Whose
    points: Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram. `proportional`: its values grow with the fleet, so that its axis is logarithmic."""

    title: str
    unit: str
    lines: Sequence[Line]
    proportional: bool = False
    reference: float | None = None


def panels(measured: Sequence[Run]) -> list[Panel]:
    """All of them, in their order."""

    def line(name: str, hue: int, whose: Whose, figure: Figure) -> Line:
        found = ((run["members"], figure(run)) for run in measured)
        return Line(name, hue, whose, [(members, value) for members, value in found if value is not None])

    def ours(name: str, hue: int, figure: Figure) -> Line:
        return line(name, hue, Whose.OURS, figure)

    def each(figure: Callable[[str, Run], float | None], whose: Whose = Whose.OURS, of: str = "") -> Iterator[Line]:
        for hue, phase in enumerate(PHASES):
            yield line(f"{phase}{of}", hue, whose, partial(figure, phase))

    return [
        Panel(
            "Controller CPU per placement",
            "ms",
            [
                *each(lambda phase, run: runs.figure(run, phase, "controller_ms_per_placement")),
                *each(report.bare_ms, Whose.BARE, ", bare"),
            ],
        ),
        Panel(
            "Controller CPU, times the bare client's",
            "times",
            [*each(report.times_bare), *each(_kubefed, Whose.KUBEFED, ", KubeFed")],
            reference=1.0,
        ),
        Panel(
            "Controller memory (RSS) after a phase",
            "MB",
            [
                ours("highest", 1, lambda run: max(report.memory(run), default=None)),
                ours("at the end", 0, lambda run: next(reversed(report.memory(run)), None)),
            ],
        ),
        Panel(
            "Host API server CPU per object",
            "ms",
            [*each(lambda phase, run: runs.figure(run, phase, "host_ms_per_object"))],
            proportional=True,
        ),
        Panel(
            "Idle: CPU per second",
            "ms",
            [
                ours("controller", 0, lambda run: runs.figure(run, "idle", "controller_ms_per_s")),
                ours("host API server", 1, lambda run: runs.figure(run, "idle", "host_ms_per_s")),
            ],
            proportional=True,
        ),
        Panel(
            "One object, until the last member has it",
            "ms",
            [
                *each(lambda phase, run: runs.figure(run, "singles", phase, "last_ms")),
                line("update, bare", 1, Whose.BARE, lambda run: runs.figure(run, "bare", "single", "last_ms")),
            ],
            proportional=True,
        ),
    ]


def _kubefed(phase: str, run: Run) -> float | None:
    """Of the size of this run."""
    return report.kubefed_times_bare(phase, report.kubefed(run["members"])[1])
