"""What is measured: a real host, real members and a controller process, in a directory that is removed at the end."""

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Self

from federation.comparing.client import Client
from federation.comparing.meter import Meter
from federation.joining import setup, several
from federation.joining.contexts import Contexts
from federation.joining.objects import Wanted
from federation.playground import access, processes
from federation.playground.access import LocalCluster
from federation.playground.clusters import Playground

HOST = "host"
FEDERATED = "/apis/types.kubefed.io/v1beta1/namespaces"
"""The path of federated objects, before their namespace."""
TYPES = ("namespaces", "configmaps")
CLUSTERS = "/apis/core.kubefed.io/v1beta1/namespaces/kube-federation-system/kubefedclusters"
FEDCTL = Path(sys.executable).with_name("fedctl")
_REPORT_EVERY = 100


class Fleet:
    """Use as a context manager: leaving it ends every process. `report` takes lines of progress; `types` are enabled
    when it grows."""

    def __init__(
        self,
        report: Callable[[str], None],
        *,
        prefix: str = "federation-bench-",
        types: Sequence[str] = TYPES,
        settings: Mapping[str, Any] = setup.NOTHING_HELD,
    ) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix=prefix))
        self.report = report
        self.types = types
        self._settings = settings
        self._controllers: list[subprocess.Popen[bytes]] = []
        self._log: IO[bytes] | None = None
        self.members: tuple[str, ...] = ()
        self.shards = 1
        self.metrics_url = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_controller()
        Playground(self._directory / "playground", report=quiet).down()
        shutil.rmtree(self._directory)

    def grow(self, members: Sequence[str]) -> None:
        """Start the host and these members, unless they run already; install and join."""
        self.playground = Playground.up(self._directory / "playground", (HOST, *members), report=self.report)
        self.members = tuple(members)
        asyncio.run(
            setup.everything(str(self.playground.kubeconfig), HOST, members, self.types, settings=self._settings)
        )

    def start_controller(self) -> None:
        """As its users run it: `fedctl controller run`, JSON log to a file; returns when /readyz answers ok.

        With several shards, as many processes, which share them; of these `controller` and `metrics_url` are the first.
        """
        self._log = (self._directory / "controller.log").open("ab")
        ports = [(processes.free_port(set()), processes.free_port(set())) for _ in range(self.shards)]
        self.metrics_url = f"http://127.0.0.1:{ports[0][1]}/metrics"
        for health, metrics in ports:
            self._controllers.append(self._run(health, metrics, self._log))
        ends = time.monotonic() + 60
        for each, (health, _) in zip(self._controllers, ports, strict=True):
            while not access.reachable(f"http://127.0.0.1:{health}/readyz"):
                if each.poll() is not None or time.monotonic() > ends:
                    raise RuntimeError(f"the controller does not become ready:\n{self.log_tail()}")
                time.sleep(0.1)

    def _run(self, health: int, metrics: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [
            str(FEDCTL),
            "controller",
            "run",
            f"--health-probe-bind-address=127.0.0.1:{health}",
            f"--metrics-bind-address=127.0.0.1:{metrics}",
        ]
        if self.shards > 1:
            command.append(f"--shards={self.shards}")
        return subprocess.Popen(  # noqa: S603 - our own command
            command,
            env={**os.environ, "KUBECONFIG": str(self.playground.kubeconfig)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def stop_controller(self) -> None:
        """SIGTERM to each, and SIGKILL to those that have not ended within 15 s."""
        for each in self._controllers:
            each.terminate()
        for each in self._controllers:
            try:
                each.wait(15)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()
        self._controllers.clear()
        if self._log is not None:
            self._log.close()
            self._log = None

    def kill_controller(self) -> None:
        """SIGKILL: nothing is released, nothing is written."""
        for each in self._controllers:
            each.send_signal(signal.SIGKILL)
            each.wait()
        self.stop_controller()

    def log_tail(self) -> str:
        """The end of the controller's log."""
        return "\n".join((self._directory / "controller.log").read_text().splitlines()[-10:])

    @property
    def runs(self) -> bool:
        """Whether the controller was started."""
        return bool(self._controllers)

    @property
    def controllers(self) -> list[int]:
        """The pid of each controller process; they are started before anything is measured."""
        return [each.pid for each in self._controllers]

    @property
    def controller(self) -> int:
        """The controller's pid; of several, the first one's."""
        return self.controllers[0]

    def cluster(self, name: str) -> LocalCluster:
        """One cluster as it is now."""
        return self.playground.clusters[name]

    def pid(self, name: str) -> int:
        """The pid of one cluster's API server."""
        found = self.cluster(name).apiserver_pid
        if found is None:
            raise RuntimeError(f"{name}'s API server does not run")
        return found

    def meter(self, host: Client, members: Sequence[Client], agents: Sequence[int] = ()) -> Meter:
        """A meter of this fleet, reading through these clients; `agents` are processes of theirs."""
        at = [(client, self.pid(client.name)) for client in members]
        return Meter(self.controller, (host, self.pid(HOST)), at, agents)

    @property
    def directory(self) -> Path:
        """For what belongs to the fleet; removed at its end."""
        return self._directory


class SimulatedFleet(Fleet):
    """With simulated members, which share one API server and its etcd. Use as a context manager."""

    def bring_up(self, members: int) -> None:
        """Start the host and so many simulated members, and install the federation; nobody joins yet."""
        self.members = tuple(f"m{number}" for number in range(1, members + 1))
        self.playground = Playground.up(
            self._directory / "playground", (HOST,), simulated=self.members, report=self.report
        )
        asyncio.run(
            setup.everything(str(self.playground.kubeconfig), HOST, (), self.types, settings=setup.NOTHING_HELD)
        )

    @cached_property
    def clusters(self) -> Mapping[str, LocalCluster]:
        """Every cluster; read once, for a thousand are too many to read for each question."""
        return self.playground.clusters

    def cluster(self, name: str) -> LocalCluster:
        """One cluster as it was when all had come up."""
        return self.clusters[name]

    async def join_all(self) -> float:
        """Join every member; the time of the last one (perf_counter)."""
        lines = itertools.count(1)

        def some(line: str) -> None:
            if next(lines) % _REPORT_EVERY == 0:
                self.report(line)

        async with Contexts(str(self.playground.kubeconfig)) as contexts:
            wanted = [Wanted(name, HOST) for name in self.members]
            errors = await several.join(contexts, await contexts.open(HOST), wanted, some)
            if errors:  # as a user does: of thousands on two cores, one may have been answered too late
                self.report(f"{len(errors)} joins failed, and are tried once more: {next(iter(errors.values()))}")
                again = [replace(each, error_on_existing=False) for each in wanted if each.name in errors]
                errors = await several.join(contexts, await contexts.open(HOST), again, some)
        for error in errors.values():
            raise error
        return time.perf_counter()

    @property
    def members_pids(self) -> list[int]:
        """The processes of all simulated members: their API server and its etcd."""
        server = self.pid(self.members[0])
        found = self.playground.simulated_etcd
        assert found is not None  # noqa: S101 - it was brought up
        return [server, found.pid]

    @property
    def etcd_url(self) -> str:
        """Of the etcd that the simulated members share."""
        found = self.playground.simulated_etcd
        assert found is not None  # noqa: S101 - it was brought up
        return found.url


async def all_ready(host: Client, members: Sequence[str], *, within: float = 600.0) -> float:
    """Wait until these KubeFedClusters are Ready; the time when that was seen (perf_counter)."""
    ends = time.monotonic() + within
    while True:
        left = await unready(host)
        if not left & set(members):
            return time.perf_counter()
        if time.monotonic() > ends:
            raise TimeoutError(f"{len(left)} of {len(members)} members are not Ready after {within:g} s")
        await asyncio.sleep(0.2 + len(members) / 2000)


async def unready(host: Client) -> set[str]:
    """KubeFedClusters that are not reported as Ready."""
    return {
        item["metadata"]["name"]
        for item in (await host.get(CLUSTERS))["items"]
        if not any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in (item.get("status") or {}).get("conditions") or ()
        )
    }


def quiet(_: str) -> None:
    """A report that prints nothing."""
