"""`fedctl playground` as a user types it, on a playground of its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters.fedctl import fedctl


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    yield tmp_path
    fedctl("playground", "down")


def states() -> dict[str, str]:
    rows = json.loads(fedctl("playground", "status", "-o", "json").out)["items"]
    return {row["cluster"]: row["state"] for row in rows if row["process"] == "kube-apiserver"}


def test_a_playgrounds_life(own: Path) -> None:
    up = fedctl("playground", "up", "solo")
    assert up.code == 0, up.err
    kubeconfig = up.out.strip()
    assert Path(kubeconfig).is_file()
    assert fedctl("playground", "kubeconfig").out.strip() == kubeconfig
    assert states() == {"solo": "running"}
    table = fedctl("playground", "status").out.splitlines()
    assert table[0].split() == ["CLUSTER", "PROCESS", "STATE", "READY", "PID", "MEMORY", "URL"]
    assert fedctl("playground", "pause", "solo").code == 0
    assert states() == {"solo": "paused"}
    assert fedctl("playground", "resume", "solo").code == 0
    assert fedctl("playground", "kill", "solo").code == 0
    assert states() == {"solo": "stopped"}
    assert fedctl("playground", "resume", "solo").code == 0
    assert states() == {"solo": "running"}
    assert fedctl("version", "--kubeconfig", kubeconfig).code == 0
    assert fedctl("playground", "down").code == 0
    gone = fedctl("playground", "status")
    assert gone.code == 1
    assert gone.err.startswith("error: ")


def test_a_named_playground_is_named_in_what_to_do_next(own: Path) -> None:
    assert fedctl("playground", "up", "--name", "other", "solo").code == 0
    try:
        hangs = fedctl("playground", "pause", "solo", "--name", "other")
        assert hangs.err.strip() == "solo hangs; next: fedctl playground resume solo --name other"
    finally:
        assert fedctl("playground", "down", "--name", "other").code == 0


def test_what_is_not_there_is_one_clear_error(own: Path) -> None:
    for words in (["status"], ["kubeconfig"], ["kill", "m1"]):
        ran = fedctl("playground", *words)
        assert ran.code == 1
        assert ran.err.startswith("error: ")
    assert fedctl("playground", "up", "UPPER").code in (1, 2)
    assert "nothing" not in fedctl("playground", "down").err
