"""Start processes detached, and find and signal them again by pid file.

Used for etcd, kube-apiserver and kube-controller-manager. A pid alone does not identify a process: pids are reused, and
a pid file is still there after a reboot. So every pid file also has the process's start time from the kernel, and a
signal is only sent if it is still the same. Each process also has its playground's directory in its environment, by
which `strays` finds processes whose pid file was lost.
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
    """The state of a process, from the kernel."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Process:
    """A process that was started once; `born` distinguishes it from a later process with the same pid."""

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
            letter = "R"  # its first thread has ended, but others still have to close its sockets
        return letter, f"{boot}:{fields[19]}"
    shown = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, born = shown.stdout.strip().partition(" ")
    return state[:1], born.strip()


def identify(pid: int) -> Process | None:
    """The running process with this pid; None if there is none, or only a zombie."""
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
    """Start a process in a session of its own, with its output appended to `log`, and record it in `pid_file`.

    It goes on when its parent ends, and gets no signals from the parent's terminal. `argv[0]` is an absolute path.
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
    process = Process(pid, _stat(pid)[1])  # a child that has already ended still has its entry, as a zombie
    remember(process, pid_file)
    return process


def remember(process: Process, pid_file: Path) -> None:
    """Write a pid file atomically."""
    temporary = pid_file.with_suffix(".tmp")
    temporary.write_text(json.dumps({"pid": process.pid, "born": process.born}))
    temporary.replace(pid_file)


def find(pid_file: Path) -> Process | None:
    """The running process of a pid file; None without a readable file, or if the pid is another process's now."""
    try:
        record = json.loads(pid_file.read_text())
        process = Process(int(record["pid"]), str(record["born"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return process if state(process) is not State.STOPPED else None


def send(process: Process, number: signal.Signals) -> bool:
    """Signal this process; False if it has ended. On Linux its pid cannot be reused before the signal."""
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
        return  # it was started by an earlier run, so init reaps it


def ended(process: Process) -> bool:
    """Whether the process has ended; if it is a child of ours, it is also reaped."""
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
    """End processes together: SIGTERM, then SIGKILL after `grace` seconds; with grace 0, SIGKILL at once.

    Paused processes end, too: SIGTERM is followed by SIGCONT, and SIGKILL needs none.
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
    """Running processes of ours with `mark` in their environment. Needs /proc; without it the list is empty."""
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
    """Resident memory in bytes; None without /proc."""
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
    """A port of 127.0.0.1 that is free and not in `taken`.

    Another process may still take it before ours does; the caller has to check for that, and try another one.
    """
    return free_ports(taken, 1)[0]


def free_ports(taken: set[int], count: int) -> list[int]:
    """`count` different ports as from `free_port`. Raises OSError if there are fewer."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        if port not in taken and is_free(port):
            found.append(port)
    if len(found) < count:
        there = f"only {len(found)} free ports" if found else "no free port"
        raise OSError(f"{there} between {PORTS.start} and {PORTS.stop} on 127.0.0.1; {count} needed")
    return found
