"""`make demo` as a user runs it, from its first line to an empty process list."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.demo import scenario
from federation.playground import processes

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]


def demo(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_STATE_HOME": str(state), "KEEP": ""}
    command = [sys.executable, "-m", "e2e.demo", *arguments]
    return subprocess.run(  # noqa: S603 - our own command
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_the_demo_shows_every_step_and_leaves_nothing_running(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    for number, step in enumerate((*scenario.SETUP, *scenario.STEPS), 2):
        shown = re.search(
            rf"\] {number}\. {re.escape(step.title)}\n(.*?)(?=\] {number + 1}\. |\Z)", done.stdout, re.DOTALL
        )
        assert shown is not None, step.title
        assert "observed after" in shown[1]
    assert re.search(r"\d s  in all", done.stdout)
    playgrounds = tmp_path / "federation" / "playground"
    assert processes.strays(str(playgrounds / "demo")) == []
    assert [each.name for each in playgrounds.iterdir()] == []


def test_an_unknown_argument_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = demo(tmp_path, "everything")
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "usage" in done.stderr
