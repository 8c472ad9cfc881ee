"""Completion: the scripts, and the words that are offered without a cluster and with one that does not answer."""

import socket
from pathlib import Path

import pytest
import yaml
from click.shell_completion import ShellComplete

from federation.cli import completing, root


def words(arguments: list[str], incomplete: str) -> list[str]:
    complete = ShellComplete(root.fedctl, {}, "fedctl", "_FEDCTL_COMPLETE")
    return [item.value for item in complete.get_completions(arguments, incomplete)]


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    path = tmp_path / "config"
    names = ("host", "east", "eastern")
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in names],
        "current-context": "host",
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


def test_verbs_and_nouns() -> None:
    assert words([], "un") == ["unjoin", "unregister", "uncordon"]
    assert words([], "") == list(root.VERBS)
    assert words(["get"], "c") == ["clusters", "controllers"]
    assert words(["playground"], "k") == ["kubeconfig", "kubectl", "kill"]


def test_flags_and_choices() -> None:
    assert words(["join", "east"], "--error") == ["--error-on-existing"]
    assert words(["enable"], "--ch") == ["--check"]
    assert words(["join", "east", "--rights"], "") == ["types", "all"]
    assert words(["get", "clusters", "-o"], "w") == ["wide"]


def test_contexts_come_from_the_kubeconfig(kubeconfig: str) -> None:
    assert words(["join", "x", "--kubeconfig", kubeconfig, "--cluster-context"], "ea") == ["east", "eastern"]
    assert words(["join", "x", "--kubeconfig", f"{kubeconfig}-none", "--cluster-context"], "") == []


def test_a_host_that_refuses_offers_nothing_and_prints_nothing(
    kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words(["unjoin", "--kubeconfig", kubeconfig], "e") == []
    assert words(["disable", "--kubeconfig", kubeconfig], "d") == []
    reported = capsys.readouterr()
    assert reported.out + reported.err == ""


def test_a_host_that_hangs_costs_the_budget_and_no_more(kubeconfig: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completing, "BUDGET", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        document = yaml.safe_load(Path(kubeconfig).read_text())
        document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{silent.getsockname()[1]}"
        Path(kubeconfig).write_text(yaml.safe_dump(document))
        assert words(["status", "--kubeconfig", kubeconfig], "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_ask_fedctl(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_FEDCTL_COMPLETE={shell}_complete" in script
