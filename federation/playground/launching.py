"""Start one server of a playground, or find it running; and start an etcd and wait until it serves.

Used by `starting` for real clusters, and by `simulating` for the server of the simulated members.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from federation.playground import access, processes
from federation.playground.errors import PlaygroundError
from federation.playground.layout import EtcdFiles

READY_WITHIN = 120.0
PORT_TRIES = 3
POLL = 0.1


@dataclass(frozen=True, slots=True)
class Launch:
    """A server that is starting: `tries` is the number of the attempt, 0 for one that was found running."""

    process: processes.Process
    log: Path
    log_from: int
    deadline: float
    tries: int

    def port_was_taken(self) -> bool:
        """Whether it ended because another process listens on its port."""
        try:
            return b"address already in use" in self.log.read_bytes()[self.log_from :]
        except OSError:
            return False


def launch(command: list[str], *, log: Path, pid_file: Path, mark: str, tries: int) -> Launch:
    """Start a server. `mark` is the playground's directory."""
    log_from = _size(log)
    # No proxy variables: these processes talk to 127.0.0.1 only.
    environment = {
        key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR", "GOGC", "GOMEMLIMIT") if key in os.environ
    }
    process = processes.start(command, environment=environment, mark=mark, log=log, pid_file=pid_file)
    return Launch(process, log, log_from, time.monotonic() + READY_WITHIN, tries)


def found(pid_file: Path, log: Path) -> Launch | None:
    """A server that runs already; a paused one is resumed."""
    running = processes.find(pid_file)
    if running is None:
        return None
    processes.send(running, signal.SIGCONT)
    return Launch(running, log, _size(log), time.monotonic() + READY_WITHIN, tries=0)


def log_tail(log: Path, lines: int = 8) -> str:
    """The end of a log, for an error's message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def etcd(
    files: EtcdFiles, port: int, *, command: Callable[[int], list[str]], move: Callable[[], int], mark: str
) -> None:
    """Start an etcd and wait until it serves. `move` ends its clients and returns a new port (`port` 0: none yet)."""
    running = found(files.pid, files.log)
    if running is not None and _etcd_serves(running, port):
        return
    for tries in range(1, PORT_TRIES + 1):
        if port == 0 or tries > 1:
            port = move()
        launched = launch(command(port), log=files.log, pid_file=files.pid, mark=mark, tries=tries)
        if _etcd_serves(launched, port):
            return
        if not launched.port_was_taken():
            raise PlaygroundError(f"etcd ended at once; the end of {files.log}:\n{log_tail(files.log)}")
    raise PlaygroundError(f"etcd found no free port in {PORT_TRIES} tries; run it again")


def _etcd_serves(launched: Launch, port: int) -> bool:
    while not processes.ended(launched.process):
        if access.reachable(f"http://127.0.0.1:{port}/readyz"):
            return True
        if time.monotonic() > launched.deadline:
            raise PlaygroundError(f"etcd is not ready; the end of {launched.log}:\n{log_tail(launched.log)}")
        time.sleep(POLL / 2)
    return False


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0
