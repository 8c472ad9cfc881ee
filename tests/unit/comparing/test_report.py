"""The report says nothing that its raw data do not say, and is one page that needs nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from federation.comparing import charts, differences, drawing, growth, model, references, report, summary
from federation.comparing.claims import CLAIMS, SCENARIOS
from federation.comparing.model import Ended, Run, State, Step
from federation.comparing.rules import RULES
from tests import comparisons
from tests.unit.comparing import reading, recomputing

ROOT = Path(__file__).parents[3]
COSTS = {"push": 1.0, "pull": 1.6, "pull-bundled": 0.8}


def here(**other: object) -> Run:
    return comparisons.run(COSTS, spread=0.08, **other)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made() -> report.Report:
    return report.make([here()])


@pytest.fixture(scope="module")
def page(made: report.Report) -> reading.Page:
    return reading.read(made.html)


@pytest.fixture(scope="module")
def two_machines() -> report.Report:
    there = comparisons.run({"KubeFed v0.10": 3.0, "push": 1.0}, machine="there", factor=4.0, rounds=1)
    return report.make([here(), there])


def raw(*runs: Run) -> recomputing.Raw:
    return recomputing.Raw([comparisons.parsed(run) for run in (*runs, *references.read())])


def test_every_number_of_the_page_is_that_of_its_raw_data(page: reading.Page) -> None:
    known = raw(here())
    wrong = [told for told in page.numbers if told.value != pytest.approx(known.value(told.of), rel=1e-9, abs=1e-9)]
    assert len(page.numbers) > 1000
    assert not wrong


def test_so_is_every_number_of_a_page_about_several_machines(two_machines: report.Report) -> None:
    there = comparisons.run({"KubeFed v0.10": 3.0, "push": 1.0}, machine="there", factor=4.0, rounds=1)
    known, page = raw(here(), there), reading.read(two_machines.html)
    wrong = [told for told in page.numbers if told.value != pytest.approx(known.value(told.of), rel=1e-9, abs=1e-9)]
    assert not wrong


def test_what_is_shown_of_a_number_is_the_number(page: reading.Page) -> None:
    for told in page.numbers:
        if told.value == float("inf"):
            assert told.text == "unlimited"
            continue
        shown = float(re.sub(r"[^0-9.e-]", "", told.text.split(" ")[0]))
        scale = 100 if told.text.endswith("%") and "controller_share" not in told.of else 1
        share = any(f"/{name}/" in told.of for name in ("seen", "repaired"))
        scale = 100 if share and not told.of.startswith("ratio") else scale
        assert shown == pytest.approx(told.value * scale, rel=0.006, abs=1e-6), told


def test_sentences_and_cells_have_no_number_without_a_source(page: reading.Page) -> None:
    """But for places and names: what stands in brackets, row heads, and the law's n."""
    cells = [text for text in page.plain["td"] if text not in page.plain.get("ul.figures", [])]
    texts = page.plain["ul.why"] + page.plain["ul.figures"] + cells
    thresholds = {f"{each.value:g}" for each in differences.THRESHOLDS}
    stripped = [re.sub(r"\([^)]*\)|v0\.10|\b95th\b|, p\d\d", "", text) for text in texts]
    assert not [
        text for text in stripped if re.search(r"\d", text) and not _named(text) and text.strip(" .") not in thresholds
    ]


def _named(text: str) -> bool:
    """The number is part of a name that the raw data have, or says where a bend is."""
    names = (
        r"token of m\d+",
        r"Secret [a-z/-]+m\d+",
        r"m\d+$",
        r"ms round trip",
        r"ratio is below [0-9.]+",
        r"members",
    )
    return any(re.search(name, text) for name in names)


NUMBERS = re.compile(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?")


def test_markdown_says_the_same_numbers(made: report.Report, page: reading.Page) -> None:
    html = {number for told in page.numbers for number in NUMBERS.findall(told.text)}
    html |= {number for texts in page.plain.values() for text in texts for number in NUMBERS.findall(text)}
    tables = [line for line in made.markdown.splitlines() if line.startswith(("|", "- "))]
    assert len(tables) > 100
    unknown = {number for line in tables for number in NUMBERS.findall(line)} - html
    assert unknown <= {str(claim.number) for claim in CLAIMS}


def test_the_page_is_whole_and_needs_nothing_else(made: report.Report, page: reading.Page) -> None:
    assert not page.unclosed
    assert not page.tags & {"script", "link", "img", "iframe", "object", "base", "form"}
    assert set(re.findall(r"[a-z]+://[^\s\"'<)]+", made.html)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "@import" not in made.html
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name in ("src", "srcset")]
    assert len(page.ids) == len(set(page.ids))
    links = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert {link.removeprefix("#") for link in links} <= set(page.ids)


def test_every_claim_has_its_row_and_its_section(page: reading.Page, made: report.Report) -> None:
    assert {claim.scenario for claim in SCENARIOS} <= set(page.ids)
    for claim in CLAIMS:
        assert f'<a href="#{claim.scenario}">{claim.number}. ' in made.html
    assert [verdict.claim for verdict in made.verdicts] == list(CLAIMS)


def test_thresholds_and_formulas_stand_in_it(made: report.Report) -> None:
    enough = [rule.enough.threshold for rule in RULES.values() if rule.enough]
    assert len(enough) == 2
    for text in (made.html, made.markdown):
        for each in (*differences.THRESHOLDS, growth.BEND, growth.FITS, *enough):
            assert each.why in text or each.why[1:] in text
            assert f"{each.value:g}" in text
        for rule in RULES.values():
            assert report.plain(rule.limit) in text.replace("&#39;", "'")
            assert report.plain(rule.says) in text.replace("&#39;", "'")
        assert "a + b·n" in text


def test_a_law_that_does_not_fit_is_said_to_be_none(made: report.Report) -> None:
    grows, bends = (made.html.split(f'<section id="{name}">')[1].split("</section>")[0] for name in ("growth", "bend"))
    assert "Hub CPU (simulated members, update) in push grows as" in grows
    assert "Hub CPU (update) in push follows no simple law" in bends
    assert "<small>10,000 members</small>" in grows
    assert "no law to follow" in bends


def test_what_members_say_is_text(made: report.Report) -> None:
    assert "ProbeFailed &lt;b&gt;not bold&lt;/b&gt;" in made.html
    assert "<b>not bold" not in made.html
    assert r"\<b\>not bold" in made.markdown


def test_a_subject_with_a_nasty_name_is_text() -> None:
    found = report.make([comparisons.run({"push": 1.0, "</svg><script>alert(1)</script>": 2.0}, scenarios=("twins",))])
    assert "<script" not in found.html
    assert not reading.read(found.html).unclosed


def test_one_round_is_said_to_have_no_spread() -> None:
    found = report.make([here(rounds=1, scenarios=("twins",))])
    assert "Of one round, so without a spread" in found.html
    assert "one round has no spread" in found.markdown


def test_what_was_not_measured_is_said_and_why() -> None:
    step = Step(scenario="cut", subject="pull", round=2, at={"cut": "link"})
    failed = Ended(step=step, state=State.FAILED, began="", seconds=1, why="etcd did not start")
    found = report.make([here(scenarios=("twins", "cut"), steps=[failed])])
    assert "pull, round 2, the cut of the link: failed, etcd did not start" in found.html
    assert "the scenario joining was no part of this run" in found.html


def test_what_was_typed_is_shown(made: report.Report) -> None:
    assert "fedctl join m1" in made.html.split('<section id="joining">')[1].split("</section>")[0]
    assert "fedctl join m1" in made.markdown


def test_push_has_no_agents_and_that_is_not_called_unmeasured(made: report.Report) -> None:
    (row,) = re.findall(
        r"<tr><th scope=\"row\">Agents&#39; CPU, ms per placement \(8 members, update\).*?</tr>", made.html
    )
    assert "<td>has none</td>" in row
    assert "not measured" not in row


def test_a_run_that_was_stopped_says_so() -> None:
    stopped = msgspec.structs.replace(here(scenarios=("twins",)), ended="")
    assert "(stopped before its end)" in report.make([stopped]).html


def test_another_machine_is_marked(two_machines: report.Report) -> None:
    assert "KubeFed v0.10, on another machine" in two_machines.html
    assert "one round, no spread" in two_machines.html
    assert "times are compared within one machine only" in two_machines.html
    pull = comparisons.run({"pull": 1.0}, machine="there", scenarios=("distance", "joining"))
    push = comparisons.run({"push": 1.0}, scenarios=("distance", "joining"))
    assert "measured on different machines" in report.make([push, pull]).html


def test_others_stand_beside_in_counts_and_proportions_never_in_milliseconds(made: report.Report) -> None:
    tables = re.findall(r"Beside others, measured elsewhere</summary>(.*?)</details>", made.html, flags=re.DOTALL)
    assert len(tables) == 3
    assert "Karmada, elsewhere" in "".join(tables)
    for table in tables:
        assert not re.search(r">[0-9.,]+ (?:ms|s|MB)<", table)


def test_the_command_runs_it_again(made: report.Report) -> None:
    assert (
        "fedctl compare -o again --full --modes push,pull,pull-bundled --members 8 --objects 100 --rounds 3 --seed 7"
        in made.html
    )
    few = report.again(here(scenarios=("twins", "cut")))
    assert "--scenario twins --scenario cut" in few


def test_charts_are_of_the_same_medians_and_ranges() -> None:
    found = summary.summarise([here()])
    for scenario, wanted in charts.WANTED.items():
        measured = found.of(scenario, wanted[0].figure)
        chart = charts.chart(wanted[0], measured)
        assert chart, scenario
        share = 100 if chart.axis == "%" else 1
        assert [(each.median * share, each.low * share, each.high * share) for each in chart.drawn] == [
            (point.median, point.low, point.high) for point in chart.points
        ]


def test_subjects_differ_without_colours() -> None:
    chart = charts.chart(charts.WANTED["growth"][0], summary.summarise([here()]).of("growth", "hub_side_cpu"))
    assert chart
    spec = drawing.spec(chart, list(COSTS))
    line, _, point = spec["layer"]
    assert line["encoding"]["strokeDash"]["scale"]["range"] == [[1, 0], [6, 3], [2, 2]]
    assert point["encoding"]["shape"]["scale"]["range"] == ["circle", "square", "triangle-up"]


def test_pictures_go_with_the_page_in_light_and_dark() -> None:
    pytest.importorskip("vl_convert")
    chart = charts.chart(charts.WANTED["twins"][0], summary.summarise([here()]).of("twins", "hub_stored"))
    assert chart
    svg = drawing.svg(chart, list(COSTS)) or ""
    assert "url(#fill-2)" in svg
    assert "var(--series-3)" in svg
    assert not re.search(r"(?:fill|stroke)=\"(?:#|rgb|black|white)", svg)


def test_without_the_library_the_tables_are_there_and_the_page_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    found = report.make([here(scenarios=("twins",))])
    assert "There are no charts in this report" in found.html
    assert "<details open><summary>Table</summary>" in found.html
    assert 'role="img"' not in found.html


def test_the_same_runs_give_the_same_bytes_in_another_process(tmp_path: Path, made: report.Report) -> None:
    document = tmp_path / "run.json"
    document.write_bytes(model.encode(here()))
    code = (
        "import sys; from federation.comparing import model, report;"
        "made = report.make([model.decode(open(sys.argv[1], 'rb').read())]);"
        "sys.stdout.buffer.write((made.html + made.markdown).encode())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "42", "TZ": "Asia/Kolkata", "LC_ALL": "C"}
    command = [sys.executable, "-c", code, str(document)]
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True).stdout  # noqa: S603
    assert again.decode() == made.html + made.markdown


def test_references_are_read_and_say_where_they_come_from() -> None:
    found = references.read()
    assert {run.machine.identity for run in found} == {
        "reference-kubefed",
        "reference-kubefed-scale",
        "reference-karmada",
        "reference-ocm",
    }
    assert all(run.versions and run.notes and run.began for run in found)
    (writes,) = summary.summarise(found).of("twins", "hub_stored", subject="Karmada")
    assert writes.median == 16400
    assert not [run for run in found if any(_of_whole_applications(ended.step) for ended in run.steps)]


def _of_whole_applications(step: Step) -> bool:
    return step.scenario == "twins" and "application" not in step.at
