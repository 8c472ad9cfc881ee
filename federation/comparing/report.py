"""Runs to the report: report.html (one file, no script, no network) and report.md. The same runs give the same bytes.

Pure but for reading the templates. Verdicts come from `judging`, sentences from `telling`, tables from `tables`.
"""

import functools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from federation.comparing import (
    bending,
    charts,
    differences,
    drawing,
    growth,
    judging,
    references,
    summary,
    tables,
    telling,
    wording,
)
from federation.comparing.claims import CLAIMS, SCENARIOS, Claim
from federation.comparing.differences import Threshold
from federation.comparing.model import Run, State
from federation.comparing.rules import MANY, RULES, Rule
from federation.comparing.summary import PARTS, Key, Summary
from federation.comparing.tables import Table
from federation.comparing.verdicts import Verdict, Word
from federation.comparing.wording import Number, Said


@dataclass(frozen=True, slots=True)
class Report:
    """What `fedctl compare report` writes."""

    html: str
    markdown: str
    verdicts: Sequence[Verdict]


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, and the table behind it. `svg` is None where nothing can draw it."""

    title: str
    svg: str | None
    table: Table


@dataclass(frozen=True, slots=True)
class Section:
    """Of one scenario."""

    claim: Claim
    rule: Rule
    verdict: Verdict | None
    figures: Sequence[Said]
    why: Sequence[Said]
    pictures: Sequence[Picture]
    more: Table | None
    growth: Table | None
    rows: Sequence[Table]
    elsewhere: Table | None
    thresholds: Sequence[Threshold]
    failed: Sequence[str]


_GROWING = ("growth", "bend")

SHAPES = {
    Word.SUPPORTS: "●",
    Word.REFUTES: "○",
    Word.KUBEFED: "◒",
    Word.DEPENDS: "◐",
    Word.SAME: "=",
    Word.UNKNOWN: "?",
}
"""Beside the word, so that a glance at the table says enough without colours, too."""


def make(runs: Sequence[Run], others: Sequence[Run] | None = None) -> Report:
    """Of `runs`, and beside them what was measured of `others` elsewhere (default: the references). Raises ValueError
    for runs with figures that nobody knows."""
    known = references.read() if others is None else others
    own, theirs = summary.summarise(runs), summary.summarise(known) if known else None
    verdicts = judging.judge(summary.summarise([*runs, *known]))
    page: dict[str, Any] = {
        "sections": [_section(own, theirs, claim, verdicts) for claim in SCENARIOS],
        "tally": _tally(verdicts),
        "shapes": SHAPES,
        "words": {word: word.name.lower() for word in Word},
        "runs": [(run, again(run)) for run in runs],
        "others": known,
        "several": len({run.machine.identity for run in runs}) > 1,
        "thresholds": differences.THRESHOLDS,
        "parts": PARTS,
        "bend": growth.BEND,
        "fits": growth.FITS,
        "fewest": growth.FEWEST,
        "drawn": drawing.can_draw(),
        "series": range(1, drawing.SERIES + 1),
    }
    return Report(_template("report.html").render(page), _tidy(_template("report.md").render(page)), verdicts)


def again(run: Run) -> str:
    """The command that runs it again."""
    settings = run.settings
    words = ["fedctl", "compare", "-o", "again"]
    if settings.scale in ("quick", "full"):
        words.append(f"--{settings.scale}")
    if set(settings.scenarios) != {claim.scenario for claim in SCENARIOS}:
        words += [word for scenario in settings.scenarios for word in ("--scenario", scenario)]
    words += ["--modes", ",".join(settings.subjects)]
    for name in ("members", "objects", "rounds", "seed"):
        value = getattr(settings, name)
        words += [] if value is None else [f"--{name}", str(value)]
    return shlex.join(words)


def _section(own: Summary, theirs: Summary | None, claim: Claim, verdicts: Sequence[Verdict]) -> Section:
    scenario = claim.scenario
    verdict = next((each for each in verdicts if each.claim == claim), None)
    measured = [each for key, each in own.measured.items() if key.scenario == scenario]
    subjects = own.subjects()
    pictures: list[Picture] = []
    drawn: set[Key] = set()
    for wanted in charts.WANTED[scenario]:
        chart = charts.chart(wanted, [each for each in measured if each.key.machine == own.machine])
        if chart:
            behind = [each for each in measured if (each.key.figure, each.key.part) == (wanted.figure, wanted.part)]
            drawn.update(each.key for each in behind)
            table = tables.of_figures(own, behind)
            pictures.append(Picture(chart.title, drawing.svg(chart, subjects), table))
    rest = [each for each in measured if each.key not in drawn]
    both = Summary([*own.runs, *theirs.runs], {**own.measured, **theirs.measured}) if theirs else own
    return Section(
        claim,
        RULES[scenario],
        verdict,
        telling.figures(both, verdict) if verdict else (),
        telling.why(both, verdict) if verdict else (),
        pictures,
        tables.of_figures(own, rest) if rest else None,
        tables.of_growth(telling.update_lines(own, scenario, own.machine)) if scenario in _GROWING else None,
        tables.of_rows(own, scenario),
        tables.elsewhere(own, theirs, scenario) if theirs else None,
        _thresholds(scenario),
        [_failed(each) for each in own.unfinished(scenario)],
    )


def _thresholds(scenario: str) -> list[Threshold]:
    enough = RULES[scenario].enough
    own = [enough.threshold] if enough else []
    own += [MANY] if any(decider.least for decider in RULES[scenario].deciders) else []
    return [*own, *([growth.BEND, bending.TEN] if scenario == "bend" else [])]


def _failed(ended: Any) -> str:
    step = ended.step
    place = wording.place(step.at)
    where = f"{step.subject}, round {step.round}" + (f", {place}" if place else "")
    return f"{where}: {ended.state}" + (f", {ended.why}" if ended.why else "")


def _tally(verdicts: Sequence[Verdict]) -> list[tuple[Word, int]]:
    counted = [(word, sum(verdict.word is word for verdict in verdicts)) for word in Word]
    return [(word, count) for word, count in counted if count]


@functools.cache
def _template(name: str) -> Any:
    import jinja2  # noqa: PLC0415 (fedctl --help must not pay for it)

    folder = resources.files("federation.comparing") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda wanted: (folder / wanted).read_text(encoding="utf-8")),
        autoescape=name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = plain
    environment.filters["capital"] = wording.capital
    environment.tests["number"] = lambda part: isinstance(part, Number)
    environment.globals["State"] = State
    environment.globals["CLAIMS"] = CLAIMS
    return environment.get_template(name)


def plain(said: Said | str) -> str:
    """Text for Markdown, in a table, too: what has a meaning there is escaped."""
    parts = (said,) if isinstance(said, str) else said
    text = "".join(part.text if isinstance(part, Number) else part for part in parts)
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
