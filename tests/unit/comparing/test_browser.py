"""The report in a real browser: nothing is cut off, all is legible, in light and dark, on a desk and on a telephone."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from federation.comparing import drawing, report
from tests import browser, comparisons

PROGRAM = browser.find()
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine (apt install chromium)"),
    pytest.mark.skipif(not drawing.can_draw(), reason="nothing draws charts here (pip install 'vl-convert-python')"),
]

LEAST_CONTRAST = 4.5
"""Of text, by the Web Content Accessibility Guidelines, level AA."""
SMALLEST = 8.5
"""Pixels of a letter's height in a chart."""

LOOK = """
(() => {
  const numbers = text => text.match(/[0-9.]+/g).map(Number);
  const light = text => {
    const [r, g, b] = numbers(text).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const contrast = (element, of) => {
    const [a, b] = [light(getComputedStyle(element)[of]), light(behind(element))].sort((x, y) => y - x);
    return (a + .05) / (b + .05);
  };
  document.querySelectorAll('details').forEach(each => each.open = true);
  const texts = 'p, li, td, th, small, caption, dd, dt, a, summary, .verdict, .on, figcaption';
  const pale = [...document.querySelectorAll(texts)].filter(each => contrast(each, 'color') < %(contrast)f);
  const charts = [...document.querySelectorAll('figure svg')];
  const cut = [], tiny = [], faint = [];
  for (const svg of charts) {
    const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
    for (const text of svg.querySelectorAll('text')) {
      if (!text.textContent.trim()) continue;
      const own = text.getBoundingClientRect();
      if (own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1 || own.bottom > box.bottom + 1)
        cut.push(text.textContent);
      if (parseFloat(getComputedStyle(text).fontSize) * scale < %(smallest)f) tiny.push(text.textContent);
      if (contrast(text, 'fill') < %(contrast)f) faint.push(text.textContent);
    }
  }
  return {
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    paper: light(getComputedStyle(document.body).backgroundColor),
    charts: charts.length, flat: charts.filter(each => each.getBoundingClientRect().height < 40).length,
    cut, tiny, faint, pale: pale.map(each => each.outerHTML.slice(0, 120)),
  };
})()
""" % {"contrast": LEAST_CONTRAST, "smallest": SMALLEST}  # noqa: UP031 (JavaScript is full of braces)


def look(page: Path, folder: Path, *, width: int, dark: bool) -> dict[str, Any]:
    async def looked() -> dict[str, Any]:
        assert PROGRAM
        async with browser.tab(PROGRAM, folder) as tab:
            await tab.show(page, width=width, dark=dark)
            found: dict[str, Any] = await tab.value(LOOK)
            return {**found, "requested": tab.requested, "complaints": tab.complaints}

    return asyncio.run(looked())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    costs = {"push": 1.0, "pull": 1.6, "pull-bundled": 0.8}
    file.write_text(report.make([comparisons.run(costs, spread=0.1)]).html, encoding="utf-8")
    return file


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_it_is_legible_and_whole(page: Path, tmp_path: Path, width: int, dark: bool) -> None:
    found = look(page, tmp_path, width=width, dark=dark)
    assert found["charts"] > 20
    nothing: dict[str, Any] = {key: [] for key in ("cut", "tiny", "faint", "pale", "complaints")}
    assert {key: found[key] for key in nothing} == nothing
    assert (found["overflow"], found["flat"]) == (0, 0)
    assert found["requested"] == [page.as_uri()]
    assert (found["paper"] < 0.1) is dark
