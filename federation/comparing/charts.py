"""What the report draws, as data: the same medians and ranges as in its tables. Pure; `drawing` draws it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from federation.comparing import wording
from federation.comparing.summary import Measured


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chart of a scenario: a figure as bars by place, or as lines over `over`."""

    figure: str
    part: str = ""
    over: str = ""
    where: Mapping[str, int | float | str] = field(default_factory=dict)
    """Of lines: what else the place must say, where it says anything of that; the first phase stands for one that was
    not measured."""


WANTED: Mapping[str, Sequence[Wanted]] = {
    "joining": (Wanted("until_held"), Wanted("commands")),
    "hub-load": (
        Wanted("hub_side_cpu"),
        Wanted("hub_side_memory"),
        Wanted("core_full"),
        Wanted("hub_writes"),
    ),
    "growth": tuple(
        Wanted(figure, part, over="members", where={"kind": kind, "phase": "update"})
        for kind in ("real", "simulated")
        for figure, part in (("hub_side_cpu", ""), ("latency", "p50"))
    ),
    "twins": (Wanted("hub_stored"), Wanted("hub_keys")),
    "versions": (Wanted("broken"), Wanted("silent"), Wanted("broken_for")),
    "trouble": (Wanted("seen"), Wanted("seen_after")),
    "cut": (Wanted("repaired"), Wanted("converged"), Wanted("lost"), Wanted("twice")),
    "credentials": (Wanted("reach"), Wanted("secrets")),
    "bend": (
        Wanted("latency", "p50", over="members", where={"phase": "update"}),
        Wanted("hub_side_cpu", over="members", where={"phase": "update"}),
    ),
    "distance": (
        Wanted("latency", "p50", over="rtt_ms", where={"loss_percent": 0, "hangs": 0}),
        Wanted("done", over="rtt_ms", where={"loss_percent": 0, "hangs": 0}),
    ),
}


@dataclass(frozen=True, slots=True)
class Point:
    """A median and its range."""

    subject: str
    at: float | str
    """A number on the axis of lines; the name of a group of bars."""
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture."""

    title: str
    axis: str
    """Of what is measured."""
    across: str
    """Of lines: what they go over; empty for bars."""
    points: tuple[Point, ...]
    drawn: tuple[Measured, ...]
    """What the points are of."""

    @property
    def lines(self) -> bool:
        """Otherwise bars."""
        return bool(self.across)


_ACROSS = {"members": "members", "rtt_ms": "round trip, ms"}


def chart(wanted: Wanted, measured: Sequence[Measured]) -> Chart | None:
    """Of what one machine measured in one scenario; None where there is nothing to draw."""
    mine = [each for each in measured if (each.key.figure, each.key.part) == (wanted.figure, wanted.part)]
    mine = [each for each in mine if each.high < float("inf")]
    if wanted.over:
        mine = _line(wanted, [each for each in mine if wanted.over in each.key.where])
    if not mine:
        return None
    share = 100.0 if wording.axis(wanted.figure) == "%" else 1.0
    fixed = _fixed([each.key.where for each in mine], wanted.over)
    return Chart(
        wording.capital(_title(wanted, fixed)),
        wording.axis(wanted.figure),
        _ACROSS.get(wanted.over, wanted.over),
        tuple(
            Point(
                each.key.subject,
                _at(wanted, each, fixed),
                each.median * share,
                each.low * share,
                each.high * share,
            )
            for each in mine
        ),
        tuple(mine),
    )


def _title(wanted: Wanted, fixed: Mapping[str, int | float | str]) -> str:
    label = wording.label(wanted.figure, wanted.part)
    return f"{label}, {place}" if (place := wording.place(fixed)) else label


def _line(wanted: Wanted, measured: Sequence[Measured]) -> list[Measured]:
    """One place for each point."""
    for key, value in wanted.where.items():
        values = [each.key.where[key] for each in measured if key in each.key.where]
        if values:
            chosen = values[0] if key == "phase" and value not in values else value
            measured = [each for each in measured if each.key.where.get(key) == chosen]
    return list(measured)


def _fixed(places: Sequence[Mapping[str, int | float | str]], over: str) -> dict[str, int | float | str]:
    """What all places say alike: it stands in the title, not at each bar."""
    return {
        key: value
        for key, value in places[0].items()
        if key != over and all(place.get(key) == value for place in places)
    }


def _at(wanted: Wanted, measured: Measured, fixed: Mapping[str, object]) -> float | str:
    if wanted.over:
        return float(measured.key.where[wanted.over])
    return wording.place({key: value for key, value in measured.key.where.items() if key not in fixed})
