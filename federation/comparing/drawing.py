"""Draw a chart as SVG for the inside of a page, by Vega-Lite. The same chart gives the same bytes. Pure.

The library is vl-convert-python (the Vega project's own): Vega-Lite as one wheel, without a browser or a network, 33 MB
to download and 84 MB installed, which is why it is an extra (`kubefed-successor[compare]`). Matplotlib with what it
needs is 199 MB, knows no CSS variables and so no dark page, and draws differently with each version; Plotly's and
Bokeh's pages need scripts of megabytes, and a browser for a still picture.

Colours are CSS variables and patterns of the page (`--series-1` and `url(#fill-1)`), so that one picture serves light,
dark and print. Subjects differ by pattern, dash and mark as well as by colour.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from federation.comparing import wording
from federation.comparing.charts import Chart, Point

WIDTH = 440
VERSION = "5.20"
"""Of Vega-Lite; the wheel has several."""
SERIES = 5
"""Colours, patterns, dashes and marks that the page has."""
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 4])
_MARKS = ("circle", "square", "triangle-up", "diamond", "cross")
_ROW, _GAP, _AROUND = 17, 12, 84
"""Pixels of a bar, between groups of them, and of legend, axis and padding together."""
_WIDE = 20
"""Times that the greatest is more than the least: then an axis is logarithmic."""
_WIDER = 26
"""Pixels left of the labels: a browser's font may be wider than the one that they were measured with."""
_FONT = "system-ui, sans-serif"


def svg(chart: Chart, subjects: Sequence[str]) -> str | None:
    """The picture; None where the library is not installed. `subjects` are all of the page, in the order of its
    colours."""
    try:
        import vl_convert  # noqa: PLC0415
    except ImportError:
        return None
    drawn: str = vl_convert.vegalite_to_svg(spec(chart, subjects), vl_version=VERSION)
    return drawn


def spec(chart: Chart, subjects: Sequence[str]) -> dict[str, Any]:
    """As Vega-Lite takes it."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": None,
        "width": WIDTH,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": _WIDER, "right": 4, "top": 4, "bottom": 4},
        "data": {"values": [_row(chart, point) for point in chart.points]},
        "config": _CONFIG,
        **(_lines(chart, subjects) if chart.lines else _bars(chart, subjects)),
    }


def _row(chart: Chart, point: Point) -> dict[str, Any]:
    ending = f" {chart.axis}" if chart.axis == "%" else ""
    return {
        "subject": point.subject,
        "at": point.at,
        "median": point.median,
        "low": point.low,
        "high": point.high,
        "text": f"{wording.shown(point.median)}{ending}",
    }


_CONFIG: Mapping[str, Any] = {
    "aria": False,
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
        "gridColor": "var(--rule)",
        "domainColor": "var(--rule)",
        "tickColor": "var(--rule)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelLimit": 170,
    },
    "legend": {
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "orient": "top",
        "title": None,
        "symbolSize": 110,
        "offset": 6,
    },
}


def _scale(chart: Chart, subjects: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Of the subjects in this chart, each with the value of its place among all of the page."""
    mine = [subject for subject in subjects if any(point.subject == subject for point in chart.points)]
    return {"domain": mine, "range": [values[subjects.index(subject) % SERIES] for subject in mine]}


def _colours() -> list[str]:
    return [f"var(--series-{number})" for number in range(1, SERIES + 1)]


def _bars(chart: Chart, subjects: Sequence[str]) -> dict[str, Any]:
    groups = list(dict.fromkeys(str(point.at) for point in chart.points))
    mine = _scale(chart, subjects, _colours())["domain"]
    y = {"field": "at", "type": "nominal", "sort": groups, "title": None, "axis": {"ticks": False, "domain": False}}
    if groups == [""]:
        y["axis"] = None
    offset = {"yOffset": {"field": "subject", "sort": mine}}
    furthest = max(point.high for point in chart.points)
    x = {
        "field": "median",
        "type": "quantitative",
        "title": chart.axis,
        "axis": {"tickCount": 4},
        "scale": {"domain": [0, furthest * 1.22 or 1], "nice": False},
    }
    fills = [f"url(#fill-{number})" for number in range(1, SERIES + 1)]
    return {
        "height": _AROUND + len(groups) * (len(mine) * _ROW + _GAP),
        "layer": [
            {
                "mark": {"type": "bar", "strokeWidth": 1.5, "height": {"band": 0.86}},
                "encoding": {
                    "y": y,
                    **offset,
                    "x": x,
                    "fill": {"field": "subject", "scale": _scale(chart, subjects, fills)},
                    "stroke": {"field": "subject", "scale": _scale(chart, subjects, _colours())},
                },
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1.5, "stroke": "var(--ink)"},
                "encoding": {"y": y, **offset, "x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 6, "fontSize": 12, "fill": "var(--ink)"},
                "encoding": {
                    "y": y,
                    **offset,
                    "x": {"field": "high", "type": "quantitative"},
                    "text": {"field": "text"},
                },
            },
        ],
    }


def _lines(chart: Chart, subjects: Sequence[str]) -> dict[str, Any]:
    ats = [float(point.at) for point in chart.points]
    x = _axis("at", chart.across, ats)
    x["axis"] = {"values": sorted(set(ats)), "grid": False, "labelOverlap": True}
    y = _axis("median", chart.axis, [value for point in chart.points for value in (point.low, point.high)])
    colour = {"field": "subject", "scale": _scale(chart, subjects, _colours())}
    dash = {"field": "subject", "scale": _scale(chart, subjects, _DASHES)}
    shape = {"field": "subject", "scale": _scale(chart, subjects, _MARKS)}
    return {
        "height": 300,
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 2},
                "encoding": {"x": x, "y": y, "color": colour, "strokeDash": dash},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
            },
            {
                "mark": {"type": "point", "size": 70, "filled": True, "opacity": 1},
                "encoding": {"x": x, "y": y, "color": colour, "shape": shape},
            },
        ],
    }


def _axis(name: str, title: str, values: Sequence[float]) -> dict[str, Any]:
    """Logarithmic for values that are far apart."""
    scale: dict[str, Any] = {"zero": True, "nice": True}
    if min(values) > 0 and max(values) > _WIDE * min(values):
        scale = {"type": "log", "nice": False, "padding": 12}
    return {
        "field": name,
        "type": "quantitative",
        "title": title,
        "scale": scale,
        "axis": {"tickCount": 5, "format": ",.3~f"},
    }


def can_draw() -> bool:
    """Whether the library is installed."""
    return importlib.util.find_spec("vl_convert") is not None
