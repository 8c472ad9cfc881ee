"""Draw the panels: an SVG, the same bytes for the same figures. Pure.

By a template of our own (drawing.svg): matplotlib and what it needs is 199 MB, and draws differently with each version,
so that no check could compare what is committed with what the data gives.
"""

import functools
import statistics
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from e2e.bench.scale import axes
from e2e.bench.scale.axes import Axis
from e2e.bench.scale.panels import Line, Panel, Whose

WIDTH = 1000
COLUMNS = 2
_PANEL_WIDTH, _PANEL_HEIGHT = WIDTH / COLUMNS, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 18, 74, 50
"""Of each panel, around its axes: numbers and unit; nothing; title and legend; sizes and their name."""
_LEGEND_COLUMNS = 3
_HEADER, _LINE, _MARGIN = 44, 16, 20
_LETTERS = 150
"""That fit in one line of a note."""
_HUES = ("#0072b2", "#d55e00", "#00825c")
"""Told apart by the colour-blind, too (Okabe and Ito); their lightness differs, and every line has its own marks."""
_STYLES = {Whose.OURS: "", Whose.BARE: "6 4", Whose.KUBEFED: "1.5 4"}


@dataclass(frozen=True, slots=True)
class Mark:
    """A tick: its pixel and its text."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line, its points and its entry in the legend, in pixels of its panel."""

    name: str
    colour: str
    dashes: str
    filled: bool
    path: str
    points: Sequence[tuple[float, float]]
    legend: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """A panel in pixels."""

    panel: Panel
    left: float
    top: float
    x: Axis
    y: Axis
    across: Sequence[Mark]
    up: Sequence[Mark]
    strokes: Sequence[Stroke]
    reference: float | None


def svg(panels: Sequence[Panel], title: str, notes: Sequence[str]) -> str:
    """The picture; `notes` stand below."""
    lines = [line for note in notes for line in textwrap.wrap(note, _LETTERS)]
    rows = -(-len(panels) // COLUMNS)
    foot = _HEADER + rows * _PANEL_HEIGHT + _LINE
    return _template().render(
        title=title,
        notes=[Mark(foot + _LINE * number, line) for number, line in enumerate(lines)],
        frames=[_frame(number, panel) for number, panel in enumerate(panels)],
        width=WIDTH,
        height=foot + _LINE * len(lines) + _MARGIN,
        margin=_MARGIN,
    )


def _frame(number: int, panel: Panel) -> Frame:
    lines = [line for line in panel.lines if line.points]
    values = [value for line in lines for _, value in line.points]
    fleets = [float(members) for line in lines for members, _ in line.points]
    x = axes.sizes(fleets, _LEFT, _PANEL_WIDTH - _RIGHT, room=40)
    begin, end = _PANEL_HEIGHT - _BOTTOM, _TOP
    if panel.proportional:
        y = axes.logarithmic(values, begin, end)
    else:
        y = axes.linear([*values, panel.reference or 0.0], begin, end)
    return Frame(
        panel,
        _PANEL_WIDTH * (number % COLUMNS),
        _HEADER + _PANEL_HEIGHT * (number // COLUMNS),
        x,
        y,
        [Mark(x.at(tick), f"{tick:,.0f}") for tick in x.ticks],
        [Mark(y.at(tick), f"{tick:,.10g}") for tick in y.ticks],
        list(_strokes(lines, x, y)),
        None if panel.reference is None else y.at(panel.reference),
    )


def _strokes(lines: Sequence[Line], x: Axis, y: Axis) -> Iterator[Stroke]:
    apart = (_PANEL_WIDTH - _LEFT - _RIGHT) / _LEGEND_COLUMNS
    for number, line in enumerate(lines):
        points = sorted((members, value) for members, value in line.points if value > 0 or not y.logarithmic)
        each = {members: [value for at, value in points if at == members] for members, _ in points}
        middle = [(x.at(members), y.at(statistics.median(values))) for members, values in each.items()]
        yield Stroke(
            line.name,
            _HUES[line.hue],
            _STYLES[line.whose],
            line.whose is Whose.OURS,
            " ".join(f"{across:g},{up:g}" for across, up in middle),
            [(x.at(members), y.at(value)) for members, value in points],
            (_LEFT + apart * (number % _LEGEND_COLUMNS), 40.0 + _LINE * (number // _LEGEND_COLUMNS)),
        )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["px"] = lambda value: f"{value:g}"
    return environment.get_template("drawing.svg")
