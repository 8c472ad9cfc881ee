"""The processes of the demo: control planes by `fedctl playground`, the controller by `fedctl controller run`.

All processes have the playground's mark, so that `fedctl playground down --name demo` also ends those of a killed demo.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from federation.playground import access, layout, locks, processes

NAME = "demo"
HOST = "host"
MEMBERS = ("berlin", "paris", "tokyo")
FEDCTL = Path(sys.executable).with_name("fedctl")

Report = Callable[[str], None]


class DemoError(Exception):
    """A step failed: what was expected, and what was observed instead."""

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected: {expected}\nseen: {seen}")
        self.expected = expected
        self.seen = seen


@dataclass(frozen=True, slots=True)
class Result:
    """What a command returned."""

    code: int
    out: str
    err: str


class Clusters:
    """Host and members, and the controller once it was started."""

    def __init__(self, report: Report) -> None:
        self.directory = layout.default_directory(NAME)
        self.kubeconfig = layout.Layout(self.directory).kubeconfig
        self.log = self.directory.with_name(f"{NAME}.controller.log")
        self._pid = self.directory.with_name(f"{NAME}.controller.pid")
        self._report = report

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One demo at a time; another one waits for its turn."""
        waiting = locks.once(self._report, "another demo is running; waiting for its end")
        with locks.hold(self.directory.with_name(f"{NAME}.demo.lock"), waiting, remove=True):
            yield

    def fedctl(self, *arguments: str) -> Result:
        """Run one fedctl command, as a user would. Raises DemoError when it fails."""
        shown = shlex.join(["fedctl", *arguments])
        self._report(f"$ {shown}")
        done = subprocess.run(  # noqa: S603 - our own command
            [FEDCTL, *arguments],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DemoError(f"{shown} to succeed", f"exit code {done.returncode}: {done.stderr.strip()}")
        return Result(done.returncode, done.stdout, done.stderr)

    def up(self) -> None:
        """Start all control planes, and show their progress; first ends what an earlier run left."""
        if self.directory.exists():
            self._report("taking down what an earlier demo left")
            self.down()
        command = ["playground", "up", "--name", NAME, HOST, *MEMBERS]
        self._report("$ " + shlex.join(["fedctl", *command]))
        with subprocess.Popen(  # noqa: S603 - our own command
            [FEDCTL, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            assert running.stderr is not None  # asked for above
            last = ""
            for line in running.stderr:
                last = line.rstrip()
                self._report(f"  {last}")
        if running.returncode:
            raise DemoError("the playground to come up", f"exit code {running.returncode}: {last}")

    def start_controller(self, within: float = 30.0) -> None:
        """Start the controller in a session of its own, and wait until /readyz answers ok."""
        health, metrics = (processes.free_port(set()) for _ in range(2))
        arguments = ["controller", "run", "--log-format", "console"]
        arguments += [f"--health-probe-bind-address=127.0.0.1:{health}", f"--metrics-bind-address=127.0.0.1:{metrics}"]
        self._report("$ " + shlex.join(["fedctl", *arguments[:4]]))
        self.log.unlink(missing_ok=True)
        started = processes.start(
            [str(FEDCTL), *arguments],
            environment={**os.environ, "KUBECONFIG": str(self.kubeconfig), "NO_COLOR": "1"},
            mark=str(self.directory),
            log=self.log,
            pid_file=self._pid,
        )
        ends = time.monotonic() + within
        while not access.reachable(f"http://127.0.0.1:{health}/readyz"):
            if processes.ended(started):
                raise DemoError("the controller to run", f"it ended; the end of its log:\n{self.log_tail()}")
            if time.monotonic() > ends:
                raise DemoError(
                    f"the controller to be ready within {within:g} s", f"not ready; its log:\n{self.log_tail()}"
                )
            time.sleep(0.05)

    def log_tail(self, lines: int = 15) -> str:
        """The end of the controller's log."""
        return "\n".join(self.log.read_text().splitlines()[-lines:]) if self.log.exists() else "(no log)"

    def down(self) -> None:
        """End the controller as its operator would (SIGTERM), then every control plane, and remove the files."""
        with _undisturbed():
            controller = processes.find(self._pid)
            if controller is not None:
                processes.stop([controller], grace=15.0)
            self._pid.unlink(missing_ok=True)
            self.fedctl("playground", "down", "--name", NAME)
            self.log.unlink(missing_ok=True)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore signals: a second Ctrl-C must not leave processes running. Commands that run inside inherit that."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
