"""`fedctl compare` as users run it: stopped after its first step, and gone on with; on control planes of its own."""

import os
import signal
import subprocess
import time
from pathlib import Path

import orjson
import pytest

from federation.comparing import contract, model
from federation.comparing.fleet import FEDCTL
from federation.comparing.journal import JOURNAL, RUN
from federation.comparing.model import State

ARGUMENTS = ("--scenario=hub-load", "--modes=push,pull", "--objects=10", "--members=2", "--rounds=1")
WITHIN = 280.0


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The temporary directory of what is started."""
    made = tmp_path / "tmp"
    made.mkdir()
    return made


def start(directory: Path, place: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own command
        [FEDCTL, "compare", "-o", directory, *ARGUMENTS],
        env={**os.environ, "TMPDIR": str(place)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def of(place: Path) -> list[str]:
    """Processes that were started with that temporary directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"TMPDIR={place}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # ended meanwhile
                continue
    return found


def steps(directory: Path) -> int:
    try:
        return (directory / JOURNAL).read_bytes().count(b'{"ended":')
    except FileNotFoundError:
        return 0


@pytest.mark.timeout(900)
def test_a_comparison_that_is_stopped_goes_on_and_leaves_nothing_else(tmp_path: Path, place: Path) -> None:
    directory = tmp_path / "comparison"
    process = start(directory, place)
    try:
        ends = time.monotonic() + WITHIN
        while steps(directory) < 1:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < ends
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=WITHIN)
    finally:
        process.terminate()
        process.wait(60)
    assert process.returncode == 130, said
    assert "stopped, and everything is taken down" in said
    assert (of(place), list(place.iterdir())) == ([], [])
    stopped = model.decode((directory / RUN).read_bytes())
    assert [(each.step.subject, each.state) for each in stopped.steps] == [("push", State.DONE)]
    assert stopped.ended == ""

    process = start(directory, place)
    try:
        _, said = process.communicate(timeout=WITHIN)
    finally:
        process.terminate()
        process.wait(60)
    assert process.returncode == 0, said
    assert (of(place), list(place.iterdir())) == ([], [])
    assert sorted(path.name for path in directory.iterdir()) == [JOURNAL, "report.html", "report.md", RUN]
    run = model.decode((directory / RUN).read_bytes())
    assert [(each.step.subject, each.state) for each in run.steps] == [("push", State.DONE), ("pull", State.DONE)]
    assert run.steps[0] == stopped.steps[0]
    assert run.ended
    assert {phase: len(values) for phase, values in run.bare_ms.items()} == {"create": 6, "update": 6, "delete": 6}
    for ended in run.steps:
        measured = {(each.figure, each.at.get("phase")) for each in ended.samples}
        for gives in contract.GIVES:
            if gives.scenario == "hub-load":
                of_agents = {name for name in gives.figures if name.startswith("agent")}
                phases = {"rest"} if "hub_memory" in gives.figures else {"create", "update", "delete"}
                wanted = set(gives.figures) - (of_agents if ended.step.subject == "push" else set())
                assert {(name, phase) for name in wanted for phase in phases} <= measured
    writes = {
        (ended.step.subject, str(each.at["phase"])): each.values[0]
        for ended in run.steps
        for each in ended.samples
        if each.figure == "hub_writes"
    }
    assert writes["push", "update"] >= 1  # its status; a work and its status for each cluster are more
    assert writes["pull", "update"] >= writes["push", "update"] + 2
    assert b'"token"' not in orjson.dumps(orjson.loads((directory / RUN).read_bytes()))
