"""Processes are known by pid and birth; signals reach nobody else."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.playground import processes
from federation.playground.processes import Process, State

SLEEP = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]
# The main thread ends and another lives on: the kernel then shows the process as a zombie that still holds its sockets.
HALF_DEAD = [
    sys.executable,
    "-c",
    "import ctypes, threading, time, signal\n"
    "threading.Thread(target=time.sleep, args=(600,)).start()\n"
    "print('here', flush=True)\n"
    "ctypes.CDLL(None).pthread_exit(None)",
]


class Nursery:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Process] = []

    def start(self, name: str, argv: list[str]) -> Process:
        log = self.folder / f"{name}.log"
        process = processes.start(
            argv, environment={}, mark=str(self.folder), log=log, pid_file=self.folder / f"{name}.pid"
        )
        self.started.append(process)
        while not log.read_text().startswith("here"):
            time.sleep(0.01)
        return process


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path)
    yield nursery
    processes.stop(nursery.started, grace=0)


def test_a_started_process_is_found_again_and_ends(nursery: Nursery) -> None:
    process = nursery.start("a", SLEEP)
    pid_file = nursery.folder / "a.pid"
    assert processes.find(pid_file) == process
    assert processes.state(process) is State.RUNNING
    assert os.getsid(process.pid) == process.pid
    assert (processes.memory(process) or 0) > 1_000_000
    processes.stop([process], grace=5)
    assert processes.state(process) is State.STOPPED
    assert processes.find(pid_file) is None
    assert not processes.send(process, signal.SIGTERM)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)  # reaped, no zombie left


def test_pause_resume_and_the_end_of_a_paused_one(nursery: Nursery) -> None:
    process = nursery.start("a", SLEEP)
    for number, expected in ((signal.SIGSTOP, State.PAUSED), (signal.SIGCONT, State.RUNNING)):
        assert processes.send(process, number)
        while processes.state(process) is not expected:
            time.sleep(0.01)
    processes.send(process, signal.SIGSTOP)
    processes.stop([process], grace=5)
    assert processes.state(process) is State.STOPPED


def test_one_that_ignores_sigterm_is_killed(nursery: Nursery) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
    )
    process = nursery.start("a", [sys.executable, "-c", stubborn])
    processes.stop([process], grace=0.2)
    assert processes.state(process) is State.STOPPED


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(json.dumps({"pid": os.getpid(), "born": "an earlier boot:1"}), id="somebody-elses-pid"),
        pytest.param(json.dumps({"pid": 2**22 + 1, "born": "x"}), id="no-such-pid"),
        pytest.param("{", id="half-written"),
        pytest.param("[]", id="another-form"),
        pytest.param('{"pid": "x", "born": "y"}', id="no-number"),
        pytest.param(None, id="no-file"),
    ],
)
def test_a_stale_pid_file_finds_nobody(tmp_path: Path, record: str | None) -> None:
    pid_file = tmp_path / "a.pid"
    if record is not None:
        pid_file.write_text(record)
    assert processes.find(pid_file) is None


def test_no_signal_reaches_a_stranger_who_has_the_pid_now() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        try:
            mistaken = Process(stranger.pid, "an earlier boot:1")
            assert not processes.send(mistaken, signal.SIGKILL)
            processes.stop([mistaken], grace=0)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_process_without_its_first_thread_is_not_gone(nursery: Nursery) -> None:
    process = nursery.start("a", HALF_DEAD)
    while "Z" not in Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]:
        time.sleep(0.01)
    assert processes.state(process) is State.RUNNING
    processes.stop([process], grace=0)
    assert processes.state(process) is State.STOPPED


def test_strays_are_found_by_their_mark(nursery: Nursery) -> None:
    process = nursery.start("a", SLEEP)
    (nursery.folder / "a.pid").unlink()
    assert processes.strays(str(nursery.folder)) == [process]
    assert processes.strays(str(nursery.folder)[:-1]) == []


def test_free_ports_are_free_and_not_taken() -> None:
    first = processes.free_port(set())
    with socket.socket() as server:
        server.bind(("127.0.0.1", first))
        server.listen()
        assert not processes.is_free(first)
        everything_else = set(processes.PORTS) - {first}
        with pytest.raises(OSError, match="no free port"):
            processes.free_port(everything_else)
    assert processes.is_free(first)
