"""What docs show of collected runs: what is kept, the table, the plot, and several runs of which some fail."""

import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from e2e.bench.scale import axes, collect, drawing, panels, plot, runs, series, table

SVG = "{http://www.w3.org/2000/svg}"
BULK = {
    "controller_ms_per_placement": 0.6,
    "members_ms_per_placement": 1.5,
    "host_ms_per_object": 40.0,
    "host_writes_per_object": 2.0,
    "placements_per_s": 1900.0,
    "controller_mb": 120.0,
    "host_requests": {"PATCH federatedconfigmaps.types.kubefed.io": 50},
    "last_of_each_ms": [*range(100)],
}


def raw(members: int, **others: Any) -> dict[str, Any]:
    return {
        "members": members,
        "objects": 50,
        "began": "2026-11-30T06:00:00+00:00",
        "machine": {
            "system": "Linux 6.1 x86_64",
            "cpu": "Abacus 9",
            "cores": 2,
            "memory_mb": 16_384,
            "load_before": [0.25, 1.0, 2.0],
        },
        "versions": {"commit": "0123456789abcdef", "kubernetes": "v1.36.3", "etcd": "3.6.16", "python": "CPython 3.12"},
        "join": {"ready_after_last_join_s": 0.5, "controller_mb": 90.0},
        "singles": {"create": {"last_ms": 204.3}, "update": {"last_ms": 241.9}, "delete": {"last_ms": 150.4}},
        "bare": {"create": {"client_ms": 0.4}, "update": {"client_ms": 0.3}, "single": {"last_ms": 120.0}},
        "create": BULK,
        "update": BULK | {"controller_mb": 131.0},
        "late_ms": {"join": 12.5, "create": 41.0},
        "hang": {"before_ms": 30.0, "during_ms": [40.0, 90.0, 50.0, 60.0]},
        "delete": BULK,
        **others,
    }  # fmt: skip


def kept(members: int, **others: Any) -> Mapping[str, Any]:
    return runs.compact(raw(members, **others))


def drawn(measured: Sequence[Any], title: str = "x", notes: Sequence[str] = ()) -> ET.Element:
    return ET.fromstring(drawing.svg(panels.panels(measured), title, notes))  # noqa: S314 - our own text


def cells(text: str) -> dict[str, list[str]]:
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return {name.strip(): [cell.strip() for cell in rest] for name, *rest in lines}


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_long_lists_are_kept_as_percentiles() -> None:
    create = kept(100)["create"]
    assert create["last_of_each_ms"] == {"p50": 50, "p95": 95, "max": 99}
    assert "host_requests" not in create
    assert kept(100)["hang"]["during_ms"] == [40.0, 90.0, 50.0, 60.0]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        pytest.param([], "not a file of make bench-scale", id="a-list"),
        pytest.param({"quick": False}, "not a file of make bench-scale", id="another-bench"),
        pytest.param(
            {name: value for name, value in raw(10).items() if name != "join"}, "before it had measured", id="no-phase"
        ),
    ],
)
def test_other_files_are_refused(document: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        runs.compact(document)


def test_runs_with_several_controller_processes_are_refused() -> None:
    with pytest.raises(ValueError, match="several controller processes"):
        kept(100, shards=3)
    assert kept(100, shards=1)["members"] == 100


def test_runs_are_written_by_size_and_read_again(tmp_path: Path) -> None:
    data = tmp_path / "scale.json"
    assert runs.read(data) == []
    data.write_bytes(runs.written([kept(1000), kept(10)]))
    assert [run["members"] for run in runs.read(data)] == [10, 1000]
    assert data.read_bytes() == runs.written(runs.read(data))


def test_added_runs_replace_those_of_their_size() -> None:
    new = kept(100, began="2026-12-01T00:00:00+00:00")
    known = [kept(10), kept(100), kept(100, objects=10)]
    assert runs.added(known, [new]) == [known[0], known[2], new]


# --- where figures come from ----------------------------------------------------------------------------------------


def test_one_machine_is_named_once() -> None:
    assert runs.origins([kept(10), kept(100)]) == [
        "2 cores of Abacus 9, 16 GB, Linux 6.1 x86_64; kube-apiserver v1.36.3, etcd 3.6.16, CPython 3.12; "
        "commit 0123456789ab, 2026-11-30."
    ]


def test_machines_and_commits_that_differ_are_named_with_their_sizes() -> None:
    other = kept(1000, versions={"commit": "fedcba9876543210-changed", "python": "CPython 3.12"})
    first, second = runs.origins([kept(10), kept(100), other])
    assert first.startswith("10 and 100 members: 2 cores")
    assert second.startswith("1,000 members: ")
    assert second.endswith("commit fedcba987654 with changes, 2026-11-30.")
    assert runs.loads([kept(10), kept(1000, objects=10)]) == (
        "10 members: 50 objects on every member; 1,000 members: 10 objects on every member"
    )


# --- the table ------------------------------------------------------------------------------------------------------


def test_a_column_for_each_run_and_a_row_for_what_any_of_them_has() -> None:
    idle = {"controller_ms_per_s": 11.04, "host_ms_per_s": 20.0, "members_ms_per_s": 0.5}
    shown = cells(table.markdown([kept(100), kept(1000, idle=idle)]))
    assert shown["... **times the bare client**"] == ["1.5 / 2 / -"] * 2
    assert shown["... KubeFed, times its bare client"] == ["1.92 / 2.41 / 2.51", "2.87 / 3.54 / -"]
    assert shown["controller memory, MB: at the end / highest after a phase"] == ["120 / 131"] * 2
    assert shown["idle, ms per s: controller / host API server / members"] == ["-", "11 / 20 / 0.50"]
    assert shown["placements per second"] == ["1,900 / 1,900 / 1,900"] * 2
    assert shown["one member hangs: one object, last of the others, ms: before / worst of four"] == ["30 / 90"] * 2
    assert shown["controller's event loop late, longest, ms"] == ["41"] * 2
    assert shown["load of the machine before the run (1 minute)"] == ["0.25"] * 2
    assert "restart: writes of other objects" not in shown


def test_a_run_that_was_broken_off_says_so() -> None:
    run = kept(1000, ended={"phase": "restart", "error": "TimeoutError: 3 not seen"})
    assert "The run with 1,000 members was broken off in its phase restart" in table.markdown([run])


def test_no_runs_give_no_table() -> None:
    assert table.markdown([]) == "No run has been collected.\n"


# --- the plot -------------------------------------------------------------------------------------------------------


def test_lines_have_a_point_for_each_run_that_measured_it() -> None:
    cost, multiple, memory, host, idle, single = panels.panels([kept(100), kept(1000)])
    assert {line.name: list(line.points) for line in cost.lines} == {
        **{phase: [(100, 0.6), (1000, 0.6)] for phase in ("create", "update", "delete")},
        "create, bare": [(100, 0.4), (1000, 0.4)],
        "update, bare": [(100, 0.3), (1000, 0.3)],
        "delete, bare": [],
    }
    assert {line.name: list(line.points) for line in multiple.lines}["delete, KubeFed"] == [(100, 2.51)]
    assert [line.points for line in memory.lines] == [[(100, 131.0), (1000, 131.0)], [(100, 120.0), (1000, 120.0)]]
    assert [len(line.points) for line in host.lines] == [2, 2, 2]
    assert [len(line.points) for line in idle.lines] == [0, 0]
    assert [len(line.points) for line in single.lines] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    "measured",
    [
        pytest.param([], id="nothing"),
        pytest.param([kept(100)], id="one-size"),
        pytest.param([kept(size) for size in (2, 10, 30, 100, 300, 1000, 3500)], id="many-sizes"),
        pytest.param([kept(10), kept(10, idle={"controller_ms_per_s": 0.0})], id="twice-and-zero"),
    ],
)
def test_whatever_was_measured_is_drawn_within_the_picture(measured: list[Any]) -> None:
    picture = drawn(measured, "Cost <of> it", ["a note", "words " * 60])
    width, height = (float(picture.attrib[name]) for name in ("width", "height"))
    ground = picture.find(f"{SVG}rect")
    assert ground is not None
    assert (ground.attrib["width"], ground.attrib["height"]) == (picture.attrib["width"], picture.attrib["height"])
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"Cost <of> it", "a note", "members"} <= set(texts)
    assert texts.count("not measured") == sum(not any(line.points for line in p.lines) for p in panels.panels(measured))
    for group in picture.iter(f"{SVG}g"):
        left, top = map(float, group.attrib["transform"].removeprefix("translate(").rstrip(")").split(","))
        for dot in group.iter(f"{SVG}circle"):
            assert 0 < left + float(dot.attrib["cx"]) < width
            assert 0 < top + float(dot.attrib["cy"]) < height


def test_equal_figures_give_equal_bytes() -> None:
    first, second = (drawing.svg(panels.panels([kept(10), kept(100)]), "x", ()) for _ in range(2))
    assert first == second


def test_larger_values_stand_higher_and_larger_fleets_further_right() -> None:
    picture = drawn([kept(10), kept(100, create=BULK | {"host_ms_per_object": 80.0})])
    frames = list(picture.iter(f"{SVG}g"))
    line = next(iter(frames[3].iter(f"{SVG}polyline")))
    (left, low), (right, high) = (tuple(map(float, each.split(","))) for each in line.attrib["points"].split())
    assert left < right
    assert low > high  # y grows downwards


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        pytest.param(axes.linear([0.61, 0.2], 300, 0), [0, 0.2, 0.4, 0.6, 0.8], id="linear"),
        pytest.param(axes.linear([], 300, 0), [0, 0.2, 0.4, 0.6, 0.8, 1.0], id="linear-of-nothing"),
        pytest.param(axes.linear([1000.0], 300, 0), [0, 200, 400, 600, 800, 1000], id="up-to-the-last-tick"),
        pytest.param(axes.logarithmic([3.0, 60.0], 300, 0), [2, 5, 10, 20, 50, 100], id="logarithmic"),
        pytest.param(axes.logarithmic([0.0, 5.0], 300, 0), [2, 5, 10], id="zero-has-no-logarithm"),
        pytest.param(axes.sizes([10, 100, 90, 10], 0, 300, room=40), [10, 100], id="sizes-with-room-for-their-names"),
    ],
)
def test_ticks(axis: axes.Axis, ticks: list[float]) -> None:
    assert list(axis.ticks) == pytest.approx(ticks)
    assert [axis.at(axis.low), axis.at(axis.high)] == [axis.begin, axis.end]


# --- the commands ---------------------------------------------------------------------------------------------------


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docs of their own, with a page that has a place for the table."""
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{plot.BEGIN}{plot.END}after\n")
    monkeypatch.setattr(runs, "DATA", tmp_path / "data" / "scale.json")
    monkeypatch.setattr(plot, "PAGE", page)
    monkeypatch.setattr(plot, "PICTURE", tmp_path / "scale.svg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_collecting_writes_the_data_the_plot_and_the_table(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = docs / "good.json", docs / "bad.json"
    good.write_bytes(orjson.dumps(raw(100)))
    bad.write_text("{")
    assert collect.main([str(good), str(bad), str(docs / "none.json")]) == 1
    said = capsys.readouterr().err
    assert f"left out: {bad}: unexpected end" in said
    assert f"left out: {docs / 'none.json'}: [Errno 2]" in said
    page = plot.PAGE.read_text()
    assert page.startswith(f"before\n{plot.BEGIN}")
    assert page.endswith(f"{plot.END}after\n")
    assert cells(page)["placements per second"] == ["1,900 / 1,900 / 1,900"]
    assert plot.main(["--check"]) == 0
    assert plot.main() == 0
    assert plot.PAGE.read_text() == page


def test_nothing_to_collect_leaves_what_was_there(docs: Path) -> None:
    good = docs / "good.json"
    good.write_bytes(orjson.dumps(raw(100)))
    assert collect.main([str(good)]) == 0
    before = runs.DATA.read_bytes()
    assert collect.main([str(docs / "none.json")]) == 1
    assert runs.DATA.read_bytes() == before


@pytest.mark.parametrize("arguments", [[], ["--wrong"], ["--add"]])
def test_collect_explains_itself(arguments: list[str], docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert collect.main(arguments) == 2
    assert "usage: python -m e2e.bench.scale.collect" in capsys.readouterr().err
    assert not runs.DATA.exists()


def test_the_check_names_what_is_not_as_the_data_gives_it(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plot.main() == 0
    plot.PICTURE.write_text("<svg/>")
    assert plot.main(["--check"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {plot.PICTURE} is not what")
    assert plot.PICTURE.read_text() == "<svg/>"


def test_a_page_without_a_place_for_the_table_is_an_error(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot.PAGE.write_text("before\nafter\n")
    assert plot.main() == 1
    assert "put them where the table belongs" in capsys.readouterr().err
    assert plot.PAGE.read_text() == "before\nafter\n"


# What stands for `python -m e2e.bench.scale`: 30 members fail after a phase, 40 before any.
RUN = """
import os, pathlib, sys
members = os.environ["MEMBERS"]
if members != "40":
    pathlib.Path(os.environ["RAW"]).write_text({text!r}.replace("4711", members))
sys.exit(members in ("30", "40"))
"""


@pytest.fixture
def pretended(docs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = docs / "run.py"
    program.write_text(RUN.format(text=orjson.dumps(raw(4711)).decode()))
    monkeypatch.setattr(series, "RUN", (sys.executable, str(program)))
    return docs


def test_a_run_that_fails_does_not_lose_the_others(
    pretended: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEETS", "30 40, 10")
    assert series.main() == 1
    said = capsys.readouterr().err
    assert "run 3 of 3: 10 members" in said
    assert "the run with 40 members; again: FLEETS=40 ADD=1 make bench-scale-all" in said
    assert [run["members"] for run in runs.read(runs.DATA)] == [10, 30]
    monkeypatch.setenv("FLEETS", "100")
    monkeypatch.setenv("ADD", "1")
    assert series.main() == 0
    assert [run["members"] for run in runs.read(runs.DATA)] == [10, 30, 100]


def test_an_interruption_says_how_to_collect_what_there_is(
    pretended: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = series.one

    def interrupted(members: int, path: Path) -> int:
        if members == 100:
            raise KeyboardInterrupt
        return one(members, path)

    monkeypatch.setattr(series, "one", interrupted)
    monkeypatch.setenv("FLEETS", "10 100 1000")
    assert series.main() == 130
    (done,) = pretended.glob("bench-scale-*.json")
    assert capsys.readouterr().err.endswith(f"python -m e2e.bench.scale.collect {done}\n")
    assert not runs.DATA.exists()


def test_an_interrupted_run_is_ended_and_waited_for(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken_down = docs / "taken-down"
    program = (
        "import os, pathlib, signal, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(taken_down)!r}).touch(), exit(130)))\n"
        "time.sleep(0.5)\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setattr(series, "RUN", (sys.executable, "-c", program))
    with pytest.raises(KeyboardInterrupt):
        series.one(10, docs / "raw.json")
    assert taken_down.exists()


@pytest.mark.parametrize("text", ["ten", "1", "10 -3", ",", "1.5"])
def test_sizes_are_numbers_of_members(text: str) -> None:
    with pytest.raises(ValueError, match="FLEETS is"):
        series.sizes(text)
