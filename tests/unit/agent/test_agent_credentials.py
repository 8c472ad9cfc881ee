"""How a membership's credentials are read, and what `fedctl agent run` takes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from federation.agent import credentials, running
from federation.cli import agent
from federation.cli.verbs import State


def kubeconfig(path: Path, token: str, **user: Any) -> str:
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "hub",
                "clusters": [{"name": "hub", "cluster": {"server": "https://hub:6443"}}],
                "users": [{"name": "agent", "user": {**({"token": token} if token else {}), **user}}],
                "contexts": [{"name": "hub", "context": {"cluster": "hub", "user": "agent"}}],
            }
        )
    )
    return str(path)


async def test_a_kubeconfig_with_all_its_data_is_read_and_its_token_again_when_refused(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "hub", "one")
    endpoint = await credentials.of_file(path)
    assert endpoint.server == "https://hub:6443"
    assert endpoint.credentials.header == "Bearer one"
    kubeconfig(tmp_path / "hub", "two")
    await endpoint.credentials.renew("Bearer one")
    assert endpoint.credentials.header == "Bearer two"


async def test_what_it_does_not_hold_as_data_is_left_to_the_client_library(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file")
    path = kubeconfig(tmp_path / "hub", "", tokenFile=str(tmp_path / "token"))
    assert (await credentials.of_file(path)).credentials.header == "Bearer from-a-file"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, list[running.Wanted]]:
    seen: list[running.Wanted] = []

    def main(options: running.Options) -> int:
        seen.extend(options.memberships)
        return 0

    monkeypatch.setattr(running, "main", main)
    result = CliRunner().invoke(agent.command, ["run", *arguments], obj=State())
    said = result.output + (str(result.exception) if result.exception else "")
    return result.exit_code, said, seen


def test_one_membership_by_options(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, seen = run(monkeypatch, "--hub-kubeconfig", "h", "--cluster", "east", "--kubeconfig", "m", "--agent-id", "x")
    assert seen == [running.Wanted("east", "h", "m", agent_id="x")]


def test_several_memberships_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = [
        {"cluster": "east", "hubKubeconfig": "h"},
        {"cluster": "west", "hubKubeconfig": "i", "namespace": "agents"},
        {"kubeconfig": "registered"},
    ]
    (tmp_path / "m").write_text(yaml.safe_dump(wanted))
    _, _, seen = run(monkeypatch, "--memberships", str(tmp_path / "m"))
    assert seen == [
        running.Wanted("east", "h"),
        running.Wanted("west", "i", namespace="agents"),
        running.Wanted("", "", "registered"),
    ]


@pytest.mark.parametrize(
    ("arguments", "content"),
    [
        pytest.param(["--cluster", "east"], "", id="no-hub"),
        pytest.param(["--cluster", "east", "--memberships", "FILE"], "[]", id="both"),
        pytest.param(["--memberships", "FILE"], "[]", id="none"),
        pytest.param(["--memberships", "FILE"], "- cluster: east", id="no-hub-in-the-file"),
        pytest.param(["--memberships", "FILE"], "- {cluster: east, hubKubeconfig: h, hub: x}", id="unknown-key"),
        pytest.param(["--memberships", "missing"], "", id="no-file"),
    ],
)
def test_what_is_missing_or_unknown_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], content: str
) -> None:
    (tmp_path / "m").write_text(content)
    code, said, seen = run(monkeypatch, *(str(tmp_path / "m") if each == "FILE" else each for each in arguments))
    assert code != 0
    assert "membership" in said or "--cluster" in said
    assert seen == []


def test_without_a_hub_it_is_what_was_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, seen = run(monkeypatch, "--namespace", "agents")
    assert code == 0
    assert seen == [running.Wanted("", "", namespace="agents")]
