"""The processes of the demo: control planes by `fedctl playground`, the controller by `fedctl controller run`.

`edge` starts two more, of the member that the host cannot reach.

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
JOINED = ("berlin", "paris", "tokyo")
EDGE = "oslo"
"""The member that the host cannot reach."""
MEMBERS = (*JOINED, EDGE)
CONTROLLER = "controller"
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
    """Host and members, and the processes that were started beside them, each known by a name."""

    def __init__(self, report: Report) -> None:
        self.directory = layout.default_directory(NAME)
        self.kubeconfig = layout.Layout(self.directory).kubeconfig
        self.report = report

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One demo at a time; another one waits for its turn."""
        waiting = locks.once(self.report, "another demo is running; waiting for its end")
        with locks.hold(self.directory.with_name(f"{NAME}.demo.lock"), waiting, remove=True):
            yield

    def fedctl(self, *arguments: str, secret: str = "") -> Result:
        """Run one fedctl command, as a user would. Raises DemoError when it fails. A `secret` is not shown whole."""
        shown = shlex.join(["fedctl", *(f"{each[:9]}..." if each == secret else each for each in arguments)])
        self.report(f"$ {shown}")
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
            self.report("taking down what an earlier demo left")
            self.down()
        command = ["playground", "up", "--name", NAME, HOST, *MEMBERS]
        self.report("$ " + shlex.join(["fedctl", *command]))
        with subprocess.Popen(  # noqa: S603 - our own command
            [FEDCTL, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            assert running.stderr is not None  # asked for above
            last = ""
            for line in running.stderr:
                last = line.rstrip()
                self.report(f"  {last}")
        if running.returncode:
            raise DemoError("the playground to come up", f"exit code {running.returncode}: {last}")

    def start_controller(self) -> None:
        """Start the controller, and wait until /readyz answers ok."""
        health, metrics = (processes.free_port(set()) for _ in range(2))
        arguments = ["controller", "run", "--log-format", "console"]
        self.report("$ " + shlex.join(["fedctl", *arguments]))
        arguments += [f"--health-probe-bind-address=127.0.0.1:{health}", f"--metrics-bind-address=127.0.0.1:{metrics}"]
        self.log(CONTROLLER).unlink(missing_ok=True)
        self.start(CONTROLLER, [str(FEDCTL), *arguments], lambda: access.reachable(f"http://127.0.0.1:{health}/readyz"))

    def start(self, name: str, command: list[str], serves: Callable[[], bool], within: float = 30.0) -> None:
        """Start a process in a session of its own, and wait until it `serves`. Raises DemoError when it does not."""
        started = processes.start(
            command,
            environment={**os.environ, "KUBECONFIG": str(self.kubeconfig), "NO_COLOR": "1"},
            mark=str(self.directory),
            log=self.log(name),
            pid_file=self._pid(name),
        )
        ends = time.monotonic() + within
        while not serves():
            if processes.ended(started):
                raise DemoError(f"the {name} to run", "it ended")
            if time.monotonic() > ends:
                raise DemoError(f"the {name} to be ready within {within:g} s", "it is not ready")
            time.sleep(0.05)

    def end(self, *names: str) -> None:
        """End what was started by these names, as its operator would (SIGTERM)."""
        found = [process for name in names if (process := processes.find(self._pid(name))) is not None]
        processes.stop(found, grace=15.0)
        for name in names:
            self._pid(name).unlink(missing_ok=True)

    def log(self, name: str) -> Path:
        """Where a process logs to."""
        return self.directory.with_name(f"{NAME}.{name}.log")

    def kubeconfig_of(self, name: str) -> Path:
        """Where a process's own kubeconfig is, if it has one."""
        return self.directory.with_name(f"{NAME}.{name}.kubeconfig")

    def logs(self, lines: int = 15) -> str:
        """The end of each log."""
        tails = ((path, path.read_text().splitlines()[-lines:]) for path in self._beside("log"))
        return "\n\n".join("\n".join([f"the end of {path}:", *tail]) for path, tail in tails)

    def remove_logs(self) -> None:
        """Remove every log."""
        self._remove("log")

    def down(self) -> None:
        """End the processes beside the control planes, then every control plane, and remove the files."""
        with _undisturbed():
            self.end(*(path.name.split(".")[1] for path in self._beside("pid")))
            self._remove("kubeconfig")
            self.fedctl("playground", "down", "--name", NAME)
            self.remove_logs()

    def _pid(self, name: str) -> Path:
        return self.directory.with_name(f"{NAME}.{name}.pid")

    def _remove(self, suffix: str) -> None:
        for path in self._beside(suffix):
            path.unlink(missing_ok=True)

    def _beside(self, suffix: str) -> list[Path]:
        return sorted(self.directory.parent.glob(f"{NAME}.*.{suffix}"))


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore signals: a second Ctrl-C must not leave processes running. Commands that run inside inherit that."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
