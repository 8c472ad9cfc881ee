"""fedctl under the name kubefedctl: its exit codes, and what it prints where, as scripts expect."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from federation import __version__
from federation.cli import failing, options, root, verbs
from federation.cli.verbs import Verb
from tests.unit.cli import kubefedctl


@pytest.fixture(autouse=True)
def _called_kubefedctl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/kubefedctl"])


@pytest.mark.parametrize(("line", "code"), kubefedctl.CODES, ids=[" ".join(line) for line, _ in kubefedctl.CODES])
def test_exit_codes(line: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(line) == code
    told = capsys.readouterr()
    assert bool(told.out) is (code == 0)
    assert bool(told.err) is (code != 0)
    assert "Traceback" not in told.err


@pytest.mark.parametrize("group", kubefedctl.GROUPS)
def test_without_a_verb_it_prints_its_help(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(group.split()) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"Usage: kubefedctl {group}".rstrip())
    assert told.err == ""


def test_members_that_were_left_out_are_still_told_by_the_exit_code() -> None:
    assert failing.report(failing.Partly("m1 was left out"), name="kubefedctl", verbose=0) == failing.PARTIAL
    assert failing.report(KeyboardInterrupt(), name="kubefedctl", verbose=0) == failing.INTERRUPTED


def test_version_is_one_line_of_which_scripts_cut_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(["version", "--v=2"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f'kubefedctl version: version.Info{{Version:"v{__version__}", GitCommit:"')
    assert told.out.endswith('"}\n')
    assert told.out.count("\n") == 1


def test_what_was_done_is_its_output_and_what_to_mind_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def invoke(*_: Any) -> None:
        for line in ("host: customresourcedefinition x created", "warning: y", "note: z"):
            options.progress(line)
        options.report("host: done")

    monkeypatch.setattr(Verb, "invoke", invoke)
    assert root.run(["enable", "configmaps"]) == 0
    told = capsys.readouterr()
    assert told.out == "host: customresourcedefinition x created\n"
    assert told.err == "warning: y\nnote: z\nhost: done\n"
    monkeypatch.setattr("sys.argv", ["fedctl"])
    assert root.run(["enable", "configmaps"]) == 0
    assert capsys.readouterr().out == ""


def test_outside_of_a_run_it_is_fedctl() -> None:
    assert not verbs.as_kubefedctl()
    assert isinstance(root.fedctl, click.Group)


def test_a_link_of_that_name_is_enough(tmp_path: Path) -> None:
    link = tmp_path / "kubefedctl"
    link.symlink_to(Path(sys.executable).with_name("fedctl"))
    ran = subprocess.run(  # noqa: S603 - our own command
        [str(link), "-alsologtostderr", "join", "--bogus"],
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "next: kubefedctl join --help" in ran.stderr
