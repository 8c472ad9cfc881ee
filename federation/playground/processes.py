"""Real processes with a memory: started detached, found again by pid file, never mistaken for a stranger.

`clusters` starts etcd, kube-apiserver and kube-controller-manager through this module. A pid alone is no identity: pids
are reused, and a pid file outlives a reboot. So every pid file also holds the start time that the kernel keeps, and no
signal is sent unless it still agrees. Each process also carries its playground's directory in its environment, by which
`strays` finds those whose pid file was lost.
"""

import enum
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "FEDERATION_PLAYGROUND"
PORTS = range(16000, 30000)  # below the ports that Linux and macOS hand out to clients, and below NodePorts
_PROC = Path("/proc")


class State(enum.Enum):
    """What the kernel says of a process."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Process:
    """A process that was once started; `born` tells it from a later process with the same pid."""

    pid: int
    born: str


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(_PROC / str(pid) / "task"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _stat(pid: int) -> tuple[str, str]:
    """State letter and start time of a pid, from /proc or, where there is none, from ps; ("", "") if it is gone."""
    if _PROC.joinpath("self").exists():
        try:
            # The command name, in parentheses, may hold anything; the fields after it do not.
            fields = _PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return "", ""
        boot = _PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
        letter = fields[0]
        if letter == "Z" and _threads(pid) > 1:
            letter = "R"  # its first thread is gone, others still close its sockets
        return letter, f"{boot}:{fields[19]}"
    shown = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, born = shown.stdout.strip().partition(" ")
    return state[:1], born.strip()


def identify(pid: int) -> Process | None:
    """The living process with this pid; None if there is none (a zombie is none)."""
    letter, born = _stat(pid)
    return None if letter in ("", "Z", "X") else Process(pid, born)


def state(process: Process | None) -> State:
    """Whether this very process runs, is paused (SIGSTOP) or is gone."""
    if process is None:
        return State.STOPPED
    letter, born = _stat(process.pid)
    if born != process.born or letter in ("", "Z", "X"):
        return State.STOPPED
    return State.PAUSED if letter in ("T", "t") else State.RUNNING


def start(argv: list[str], *, environment: Mapping[str, str], mark: str, log: Path, pid_file: Path) -> Process:
    """Start a process in a session of its own, its output appended to `log`, and remember it in `pid_file`.

    It outlives its parent and hears nothing of the parent's terminal. `argv[0]` is an absolute path.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.posix_spawn(
        argv[0],
        argv,
        {**environment, MARK: mark},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGPIPE],
    )
    process = Process(pid, _stat(pid)[1])  # a child that has already ended is still there to be asked, as a zombie
    remember(process, pid_file)
    return process


def remember(process: Process, pid_file: Path) -> None:
    """Write a pid file, whole or not at all."""
    temporary = pid_file.with_suffix(".tmp")
    temporary.write_text(json.dumps({"pid": process.pid, "born": process.born}))
    temporary.replace(pid_file)


def find(pid_file: Path) -> Process | None:
    """The living process that a pid file speaks of; None for no file, a garbled one, or somebody else's pid."""
    try:
        record = json.loads(pid_file.read_text())
        process = Process(int(record["pid"]), str(record["born"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return process if state(process) is not State.STOPPED else None


def send(process: Process, number: signal.Signals) -> bool:
    """Signal this very process; False if it is gone. On Linux its pid cannot be reused between look and signal."""
    if sys.platform == "linux":
        try:
            handle = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return False
        try:
            there = state(process) is not State.STOPPED
            if there:
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            there = False
        finally:
            os.close(handle)
    else:
        there = state(process) is not State.STOPPED
        if there:
            os.kill(process.pid, number)
    return there


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # started by an earlier run: init reaps it


def ended(process: Process) -> bool:
    """Whether the process is gone; a child of ours is also taken off the kernel's list."""
    if state(process) is not State.STOPPED:
        return False
    _reap(process.pid)
    return True


def wait(process: Process, seconds: float) -> bool:
    """Wait for the end of a process; False if it is still there after `seconds`."""
    deadline = time.monotonic() + seconds
    while not ended(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def stop(processes: Sequence[Process], *, grace: float) -> None:
    """End processes together: SIGTERM, `grace` seconds to obey, then SIGKILL; grace 0 is SIGKILL at once.

    A paused process ends as well: SIGKILL reaches it, and SIGTERM is followed by SIGCONT.
    """
    if grace:
        for process in processes:
            send(process, signal.SIGTERM)
            send(process, signal.SIGCONT)
        deadline = time.monotonic() + grace
        for process in processes:
            wait(process, max(0.0, deadline - time.monotonic()))
    for process in processes:
        send(process, signal.SIGKILL)
    for process in processes:
        wait(process, 10.0)


def strays(mark: str) -> list[Process]:
    """Living processes of ours that carry `mark` in their environment. Needs /proc; elsewhere the list is empty."""
    if not _PROC.joinpath("self").exists():
        return []
    needle = f"{MARK}={mark}".encode()
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = entry.joinpath("environ").read_bytes()
        except OSError:  # ended meanwhile, or another user's
            continue
        if needle in environment.split(b"\0"):
            process = identify(int(entry.name))
            if process is not None:
                found.append(process)
    return found


def memory(process: Process) -> int | None:
    """Resident memory in bytes, where /proc tells."""
    try:
        pages = _PROC.joinpath(str(process.pid), "statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: old connections do not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(taken: set[int]) -> int:
    """A port of 127.0.0.1 on which nobody listens and which is not in `taken`.

    Somebody may still take it before our process does; whoever starts a process on it looks for that and asks again.
    """
    for port in random.sample(PORTS, 200):
        if port not in taken and is_free(port):
            return port
    raise OSError("no free port between 16000 and 30000 on 127.0.0.1")
