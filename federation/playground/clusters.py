"""A playground: one etcd and any number of real clusters on 127.0.0.1, described by a directory.

`verbs` (the command line), the demo and the tests call it. All is synchronous: processes are started together and then
polled. Every change holds the playground's lock; what a dead run left half done is finished by the next `up`.
"""

import signal
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from federation.playground import access, binaries, layout, locks, preparing, processes, starting
from federation.playground.access import LocalCluster
from federation.playground.errors import PlaygroundError
from federation.playground.layout import APISERVER, ETCD, MANAGER, Layout, Record
from federation.playground.processes import Process, State

if TYPE_CHECKING:
    from federation.playground import pki

DEFAULT_NAMES = ("host", "m1", "m2", "m3")


@dataclass(frozen=True, slots=True)
class Row:
    """One process of a playground, for a table; `ready` is None where readiness is not asked for; memory in bytes."""

    cluster: str
    process: str
    state: State
    ready: bool | None
    pid: int | None
    memory: int | None
    url: str


class Playground:
    """A set of local clusters. Make it with `up`, or `open` one that somebody else has brought up."""

    def __init__(self, directory: Path, *, report: Callable[[str], None] = print) -> None:
        self._files = Layout(directory.expanduser().absolute())
        self._report = report
        self._trust: ssl.SSLContext | None = None

    # -- making and finding ------------------------------------------------------------------------------------------

    @classmethod
    def up(
        cls,
        directory: Path,
        names: Sequence[str] = DEFAULT_NAMES,
        *,
        controller_manager: Collection[str] = (),
        report: Callable[[str], None] = print,
    ) -> Self:
        """Bring up these clusters, and whatever the playground had before; returns when all of them serve.

        Idempotent: what runs is left alone, what is paused goes on, what is stopped or half made is finished. Clusters
        in `controller_manager` also get a kube-controller-manager. Raises PlaygroundError with the end of the log of
        the process that would not start.
        """
        for name in names:
            layout.check_name(name, "cluster")
        strangers = sorted(set(controller_manager) - set(names))
        if strangers:
            raise PlaygroundError(f"controller managers asked for clusters that are not: {', '.join(strangers)}")
        playground = cls(directory, report=report)
        with playground._locked():
            playground._bring_up(names, controller_manager)
        return playground

    @classmethod
    def open(cls, directory: Path, *, report: Callable[[str], None] = print) -> Self:
        """Attach to a playground that exists, whatever the state of its processes; PlaygroundError if there is none."""
        playground = cls(directory, report=report)
        playground._record()
        return playground

    @property
    def directory(self) -> Path:
        """Where all of its files are."""
        return self._files.directory

    @property
    def kubeconfig(self) -> Path:
        """One file, a context per cluster; the context's name is the cluster's."""
        return self._files.kubeconfig

    @property
    def clusters(self) -> Mapping[str, LocalCluster]:
        """The clusters as they are now (pids change at a restart)."""
        return {
            name: preparing.read_cluster(self._files, name, record) for name, record in self._record().clusters.items()
        }

    @property
    def etcd_pid(self) -> int | None:
        """The etcd that all clusters share."""
        process = processes.find(self._files.etcd_pid)
        return process.pid if process else None

    @property
    def ca(self) -> "pki.KeyPair":
        """The authority that signed every serving certificate here, for whoever serves in a cluster's place."""
        from federation.playground import pki  # noqa: PLC0415 - cryptography, only for who signs

        return pki.KeyPair(self._files.ca_certificate.read_bytes(), self._files.ca_key.read_bytes())

    # -- changing ----------------------------------------------------------------------------------------------------

    def add(self, name: str, *, controller_manager: bool = False) -> LocalCluster:
        """Bring up one more cluster."""
        layout.check_name(name, "cluster")
        with self._locked():
            self._record()
            self._bring_up((name,), (name,) if controller_manager else (), only=name)
        return self.clusters[name]

    def kill(self, name: str) -> None:
        """SIGKILL a cluster's API server and controller manager, as a power cut would. Its data stay in etcd."""
        with self._locked():
            self._require(name)
            self._kill(name)

    def restart(self, name: str) -> LocalCluster:
        """Start a cluster again (killing what still runs of it), on its old port and with its old data."""
        with self._locked():
            self._require(name)
            self._kill(name)
            self._bring_up((), (), only=name)
        return self.clusters[name]

    def pause(self, name: str) -> None:
        """SIGSTOP a cluster's API server: its port still accepts connections, and nobody answers."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT a paused API server."""
        self._signal(name, signal.SIGCONT)

    def down(self) -> bool:
        """End every process, paused ones too, and remove the directory. Works on what is left of a damaged one.

        False if there was neither a process nor a file.
        """
        with self._locked(remove=True):
            ended = preparing.sweep(self._files)
            there = self._files.directory.exists()
            layout.clear(self._files)
        return there or ended > 0

    # -- looking -----------------------------------------------------------------------------------------------------

    def status(self) -> list[Row]:
        """A row for each process: etcd first, then cluster by cluster. A running API server is asked if it is ready."""
        record = self._record()
        etcd = processes.find(self._files.etcd_pid)
        rows = [self._row("", "etcd", etcd, None, f"http://127.0.0.1:{record.etcd_port}")]
        for name, cluster in self.clusters.items():
            process = processes.find(self._files.cluster(name).pid(APISERVER))
            running = processes.state(process) is State.RUNNING
            ready = running and access.request(cluster, "GET", "/readyz", self._context(), timeout=2)[0] == 200
            rows.append(self._row(name, APISERVER, process, ready, cluster.url))
            if record.clusters[name].controller_manager:
                manager = processes.find(self._files.cluster(name).pid(MANAGER))
                rows.append(self._row(name, MANAGER, manager, None, ""))
        return rows

    # -- inside ------------------------------------------------------------------------------------------------------

    def _locked(self, *, remove: bool = False) -> AbstractContextManager[None]:
        told = False

        def waiting(_: float) -> None:
            nonlocal told
            if not told:
                self._report("another run is changing this playground; waiting")
                told = True

        return locks.hold(self._files.lock, waiting, remove=remove)

    def _record(self) -> Record:
        record = layout.load(self._files)
        if record is None:
            raise PlaygroundError(f"there is no playground in {self._files.directory}: bring it up first")
        return record

    def _require(self, name: str) -> None:
        clusters = self._record().clusters
        if name not in clusters:
            raise PlaygroundError(f"the playground has no cluster {name!r}; it has {', '.join(clusters)}")

    def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = access.tls(self._files.ca_certificate.read_text())
        return self._trust

    def _bring_up(self, names: Sequence[str], managers: Collection[str], *, only: str | None = None) -> None:
        record = preparing.prepare(self._files, names, managers)
        targets = [only] if only else list(record.clusters)
        needed = [ETCD, APISERVER]
        if any(record.clusters[each].controller_manager for each in targets):
            needed.append(MANAGER)
        paths = binaries.ensure(needed, self._report)
        starting.Starter(self._files, record, paths, self._report).run(targets)

    def _kill(self, name: str) -> None:
        own = self._files.cluster(name)
        found = [process for each in (APISERVER, MANAGER) if (process := processes.find(own.pid(each)))]
        processes.stop(found, grace=0)

    def _signal(self, name: str, number: signal.Signals) -> None:
        with self._locked():
            self._require(name)
            process = processes.find(self._files.cluster(name).pid(APISERVER))
            if process is None or not processes.send(process, number):
                raise PlaygroundError(f"cluster {name} is not running: restart it first")

    def _row(self, cluster: str, process: str, found: Process | None, ready: bool | None, url: str) -> Row:
        return Row(
            cluster=cluster,
            process=process,
            state=processes.state(found),
            ready=ready,
            pid=found.pid if found else None,
            memory=processes.memory(found) if found else None,
            url=url,
        )
