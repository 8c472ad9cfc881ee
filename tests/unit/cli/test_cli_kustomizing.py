"""`fedctl plan -k`: what the user's own kustomize, or kubectl, makes of a folder; and what is said where that fails."""

import os
from pathlib import Path

import pytest

from federation.cli import kustomizing, root
from federation.model.errors import Invalid

ONE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
MADE = f"{ONE}---\n{ONE.replace('name: a', 'name: b')}"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing in it but what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def overlay(tmp_path: Path) -> str:
    folder = tmp_path / "overlay"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text("resources: []\n")
    return str(folder)


def tool(path: Path, name: str, script: str) -> None:
    made = path / name
    made.write_text(f"#!/bin/sh\n{script}\n")
    made.chmod(0o700)


def printing(path: Path, name: str, verb: str) -> None:
    """A tool that answers its verb with MADE."""
    tool(path, name, f"[ \"$1\" = {verb} ] && [ $# = 2 ] && printf '%s' '{MADE}'")


@pytest.mark.parametrize(
    "tools",
    [
        pytest.param({"kustomize": "build"}, id="kustomize"),
        pytest.param({"kubectl": "kustomize"}, id="kubectl-has-it-built-in"),
        pytest.param({"kustomize": "build", "kubectl": "never"}, id="kustomize-goes-first"),
    ],
)
def test_what_the_tool_makes_is_read(path: Path, overlay: str, tools: dict[str, str]) -> None:
    for name, verb in tools.items():
        printing(path, name, verb)
    found = kustomizing.documents(overlay)
    assert [each.value["metadata"]["name"] for each in found] == ["a", "b"]
    assert [each.at() for each in found] == [f"-k {overlay}:1", f"-k {overlay}:5"]


def test_a_tool_that_asks_gets_no_answer_and_its_warnings_are_passed_on(
    path: Path, overlay: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tool(path, "kustomize", "read line; echo '# Warning: commonLabels is deprecated' >&2; printf 'a: b'")
    assert [each.value for each in kustomizing.documents(overlay)] == [{"a": "b"}]
    assert "commonLabels is deprecated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param("echo 'Error: no such base' >&2; exit 1", "no such base", id="its-own-words"),
        pytest.param("exit 3", "exit code 3", id="no-words"),
        pytest.param("printf '\\377'", "is not UTF-8 text", id="no-text"),
        pytest.param("printf 'a: [b'", "-k ", id="no-yaml"),
        pytest.param("printf 'just text'", "must be a map", id="no-document"),
    ],
)
def test_what_goes_wrong_is_said(path: Path, overlay: str, script: str, said: str) -> None:
    tool(path, "kustomize", script)
    with pytest.raises(Invalid, match=said):
        kustomizing.documents(overlay)


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        pytest.param("overlay", "neither kustomize nor kubectl is in PATH", id="no-tool"),
        pytest.param("plain", "has no kustomization.yaml: -f reads plain files", id="no-kustomization"),
        pytest.param("https://example.invalid/base", "neither kustomize nor kubectl", id="a-remote-one"),
    ],
)
@pytest.mark.usefixtures("path", "overlay")
def test_without_a_tool_or_a_kustomization_it_is_said_what_to_do(tmp_path: Path, folder: str, said: str) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(Invalid, match=said):
        kustomizing.build(folder if "://" in folder else os.fspath(tmp_path / folder))


@pytest.mark.parametrize("arguments", [(), ("-f", "apps", "-k", "overlay")])
def test_either_files_or_a_kustomization(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(("plan", *arguments)) == 2
    assert "give either -f or -k" in capsys.readouterr().err
