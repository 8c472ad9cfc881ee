"""`fedctl compare report`: files in, files out, and errors that name the file."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from federation.cli import compare_report
from federation.cli.verbs import State
from federation.comparing import model, publishing, report
from federation.comparing.model import Run
from tests import comparisons


def called(*arguments: object) -> Result:
    return CliRunner().invoke(compare_report.command, [str(each) for each in arguments], obj=State(kubefedctl=False))


def kept(path: Path, run: Run) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.encode(run))
    return path


def small(**other: object) -> Run:
    return comparisons.run(comparisons.PUSH_WINS, scenarios=("twins",), **other)  # type: ignore[arg-type]


def test_a_report_of_a_file_lies_beside_it(tmp_path: Path) -> None:
    file = kept(tmp_path / "run.json", small())
    found = called(file)
    assert found.exit_code == 0, found.output
    made = report.make([small()])
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == made.html
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == made.markdown
    assert {each.name for each in tmp_path.iterdir()} == {"run.json", "report.html", "report.md"}
    assert re.search(r"4 +Every type's federated twin doubles the objects +refutes", found.output)


def test_directories_and_several_runs_make_one_report(tmp_path: Path) -> None:
    kept(tmp_path / "here/run.json", small())
    there = kept(tmp_path / "there.json", small(machine="there"))
    found = called(tmp_path / "here", there, "-o", tmp_path / "both")
    assert found.exit_code == 0, found.output
    assert "on another machine" in (tmp_path / "both/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"{}", "this is not the raw data of a comparison", id="something-else"),
        pytest.param(b"\xff", "this is not the raw data of a comparison", id="no-text"),
        pytest.param(model.encode(small()).replace(b'"format": 1', b'"format": 2'), "format 2", id="of-the-future"),
        pytest.param(model.encode(small()).replace(b"hub_keys", b"hub_key"), "'hub_key' is not known", id="a-figure"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "run.json"
    file.write_bytes(content)
    found = called(file)
    assert found.exit_code == 1
    assert says in found.output
    assert not (tmp_path / "report.html").exists()


def test_a_run_that_says_nothing_still_makes_a_report(tmp_path: Path) -> None:
    made = publishing.publish([comparisons.run({}, scenarios=())], tmp_path)
    assert {verdict.text for verdict in made.verdicts} == {"not measured"}
