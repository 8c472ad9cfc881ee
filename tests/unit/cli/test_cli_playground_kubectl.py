"""`fedctl playground kubectl`: what follows is kubectl's, word for word; and the controller's log in a file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from federation import app
from federation.cli import root
from federation.playground import verbs

KUBECTL, CONFIG = Path("/bin/kubectl"), Path("/playground/kubeconfig")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str], str]]:
    """The playgrounds, command lines and kubeconfigs with which kubectl would have been started."""
    started: list[tuple[str, list[str], str]] = []
    asked: list[str] = []

    def kubectl(name: str, **_: Any) -> tuple[Path, Path]:
        asked.append(name)
        return KUBECTL, CONFIG

    def execve(program: Path, words: list[str], environment: Mapping[str, str]) -> None:
        assert program == KUBECTL
        started.append((asked[-1], words[1:], environment["KUBECONFIG"]))

    monkeypatch.setattr(verbs, "kubectl", kubectl)
    monkeypatch.setattr(os, "execve", execve)
    return started


@pytest.mark.parametrize(
    ("words", "name", "passed"),
    [
        (["get", "ns"], "default", ["get", "ns"]),
        (["--name", "demo", "get", "ns", "--name", "x"], "demo", ["get", "ns", "--name", "x"]),
        (["--name=demo", "--", "--context", "m1", "get"], "demo", ["--context", "m1", "get"]),
        (["--context", "m1", "-n", "shop", "get", "cm", "-o=yaml"], "default", None),
        (["patch", "cm", "a", "-p", '{"a": 1}', "--help"], "default", None),
        (["exec", "a", "--", "sh", "-c", "x"], "default", None),
        (["logs", "-v", "6", "--log_dir=x"], "default", None),
    ],
)
def test_all_that_follows_is_kubectls(
    ran: list[tuple[str, list[str], str]], words: list[str], name: str, passed: list[str] | None
) -> None:
    assert root.run(["playground", "kubectl", *words]) == 0
    assert ran == [(name, words if passed is None else passed, str(CONFIG))]


def test_its_own_help(ran: list[tuple[str, list[str], str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(["playground", "kubectl", "--help"]) == 0
    assert "Usage: fedctl playground kubectl" in capsys.readouterr().out
    assert ran == []


# -- controller run --log-file -----------------------------------------------------------------------------------------


def test_the_log_goes_to_the_file_and_a_failure_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    codes = [0, 1]

    def main(_: app.Options) -> int:
        os.write(2, b"controller started\n")
        return codes.pop(0)

    monkeypatch.setattr(app, "main", main)
    path = tmp_path / "controller.log"
    assert root.run(["controller", "run", "--log-file", str(path)]) == 0
    assert capfd.readouterr().err == ""
    assert root.run(["controller", "run", f"--log_file={path}"]) == 1
    assert capfd.readouterr().err == f"error: the controller has ended, see the end of {path}\n"
    assert path.read_text() == "controller started\n" * 2


def test_a_log_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(["controller", "run", "--log-file", "/nowhere/log"]) == 2
    assert "--log-file /nowhere/log cannot be written: No such file or directory" in capsys.readouterr().err
