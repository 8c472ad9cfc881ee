"""A playground: any number of clusters on 127.0.0.1, described by a directory.

Real clusters have an API server each and share an etcd; simulated members share one API server and its etcd.

`verbs` (the command line), the demo and the tests call it. Everything is synchronous: processes are started together
and then polled. Every change holds the playground's lock; the next `up` finishes what an interrupted run has begun.
"""

import signal
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from federation.playground import access, binaries, layout, locks, preparing, processes, simulating, starting
from federation.playground.access import LocalCluster
from federation.playground.errors import PlaygroundError
from federation.playground.layout import APISERVER, ETCD, MANAGER, MANY, Layout, Record
from federation.playground.processes import Process, State
from federation.playground.recording import Recorder

if TYPE_CHECKING:
    from federation.playground import pki

DEFAULT_NAMES = ("host", "m1", "m2", "m3")


@dataclass(frozen=True, slots=True)
class Row:
    """One process of a playground, for a table; `ready` is None where readiness is not checked; memory in bytes.

    `cluster` is "" for the etcd of the real clusters, and names the first and the last of all simulated members.
    """

    cluster: str
    process: str
    state: State
    ready: bool | None
    pid: int | None
    memory: int | None
    url: str


class Etcd(NamedTuple):
    """A running etcd."""

    pid: int
    url: str


class Playground:
    """A set of local clusters. Make one with `up`, or `open` an existing one."""

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
        simulated: Sequence[str] = (),
        report: Callable[[str], None] = print,
    ) -> Self:
        """Start these clusters and those that the playground already has; returns when all of them serve.

        Idempotent: running processes are left alone, paused ones are resumed, stopped ones are started again. Clusters
        in `controller_manager` also get a kube-controller-manager; `simulated` are members that share one API server.
        Raises PlaygroundError with the end of the log of a process that does not start.
        """
        for name in (*names, *simulated):
            layout.check_name(name, "cluster")
        strangers = sorted(set(controller_manager) - set(names))
        if strangers:
            raise PlaygroundError(f"controller managers for clusters that do not exist: {', '.join(strangers)}")
        playground = cls(directory, report=report)
        with playground._locked():
            playground._bring_up(names, controller_manager, simulated)
        return playground

    @classmethod
    def open(cls, directory: Path, *, report: Callable[[str], None] = print) -> Self:
        """An existing playground, in any state. Raises PlaygroundError if there is none."""
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
        """The clusters as they are now (pids change with a restart)."""
        record = self._record()
        return preparing.read_clusters(self._files, record, record.clusters)

    @property
    def etcd_pid(self) -> int | None:
        """The etcd that all real clusters share."""
        process = processes.find(self._files.etcd.pid)
        return process.pid if process else None

    @property
    def etcd(self) -> "Etcd | None":
        """The same, while it runs, with its address."""
        pid = self.etcd_pid
        return Etcd(pid, f"http://127.0.0.1:{self._record().etcd_port}") if pid is not None else None

    @property
    def simulated_etcd(self) -> "Etcd | None":
        """The etcd that all simulated members share, while it runs: one watch there observes every member."""
        process = processes.find(self._files.many_etcd.pid)
        return Etcd(process.pid, f"http://127.0.0.1:{self._record().many_etcd_port}") if process else None

    @property
    def ca(self) -> "pki.KeyPair":
        """The authority that signed every serving certificate here, for a proxy that serves in a cluster's place."""
        from federation.playground import pki  # noqa: PLC0415 - it imports cryptography

        return pki.KeyPair(self._files.ca_certificate.read_bytes(), self._files.ca_key.read_bytes())

    # -- changing ----------------------------------------------------------------------------------------------------

    def add(self, name: str) -> LocalCluster:
        """Bring up one more real cluster."""
        layout.check_name(name, "cluster")
        with self._locked():
            self._record()
            self._bring_up((name,), (), only=name)
        return self.clusters[name]

    def kill(self, name: str) -> None:
        """Kill a cluster's API server and controller manager (SIGKILL), as a power cut would; its data stays."""
        with self._locked():
            self._require(name)
            self._kill(name)

    def restart(self, name: str) -> LocalCluster:
        """Kill what still runs of a cluster, and start it again on the same port and with the same data."""
        with self._locked():
            self._require(name)
            self._kill(name)
            self._bring_up((), (), only=name)
        return self.clusters[name]

    def pause(self, name: str) -> None:
        """SIGSTOP a cluster's API server: its port still accepts connections, without any answer."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT a paused API server."""
        self._signal(name, signal.SIGCONT)

    def down(self) -> bool:
        """End every process, paused ones, too, and remove the directory, also of a damaged playground.

        False if there was neither a process nor a file.
        """
        with self._locked(remove=True):
            ended = preparing.sweep(self._files)
            there = self._files.directory.exists()
            layout.clear(self._files)
        return there or ended > 0

    # -- looking -----------------------------------------------------------------------------------------------------

    def status(self) -> list[Row]:
        """A row for each process: etcd first, then cluster by cluster. Readiness of running API servers is checked."""
        record = self._record()
        rows = []
        if record.etcd_port:
            etcd = processes.find(self._files.etcd.pid)
            rows.append(self._row("", ETCD, etcd, None, f"http://127.0.0.1:{record.etcd_port}"))
        clusters = self.clusters
        for name in record.names("real"):
            process = processes.find(self._files.cluster(name).pid(APISERVER))
            rows.append(self._row(name, APISERVER, process, self._ready(process, clusters[name]), clusters[name].url))
            if record.clusters[name].controller_manager:
                manager = processes.find(self._files.cluster(name).pid(MANAGER))
                rows.append(self._row(name, MANAGER, manager, None, ""))
        return rows + self._simulated_rows(record, clusters)

    def _simulated_rows(self, record: Record, clusters: Mapping[str, LocalCluster]) -> list[Row]:
        names = record.names("many")
        if not names:
            return []
        label = simulating.label(names)
        etcd, process = processes.find(self._files.many_etcd.pid), processes.find(self._files.many.pid(MANY))
        return [
            self._row(label, ETCD, etcd, None, f"http://127.0.0.1:{record.many_etcd_port}"),
            self._row(label, MANY, process, self._ready(process, clusters[names[0]]), ""),
        ]

    def _ready(self, process: Process | None, cluster: LocalCluster) -> bool:
        running = processes.state(process) is State.RUNNING
        return running and access.request(cluster, "GET", "/readyz", self._context(), timeout=2)[0] == 200

    # -- inside ------------------------------------------------------------------------------------------------------

    def _locked(self, *, remove: bool = False) -> AbstractContextManager[None]:
        waiting = locks.once(self._report, "another run is changing this playground; waiting")
        return locks.hold(self._files.lock, waiting, remove=remove)

    def _record(self) -> Record:
        record = layout.load(self._files)
        if record is None:
            raise PlaygroundError(f"there is no playground in {self._files.directory}: bring it up first")
        return record

    def _require(self, name: str) -> None:
        clusters = self._record().clusters
        if name not in clusters:
            known = ", ".join(list(clusters)[:10]) + (", ..." if len(clusters) > 10 else "")
            raise PlaygroundError(f"the playground has no cluster {name!r}; it has {known}")
        if clusters[name].shape == "many":
            raise PlaygroundError(
                f"{name} is simulated: it shares a process with other members, and only a real cluster has one of its "
                "own to kill, pause or start again"
            )

    def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = access.tls(self._files.ca_certificate.read_text())
        return self._trust

    def _bring_up(
        self, names: Sequence[str], managers: Collection[str], simulated: Sequence[str] = (), *, only: str | None = None
    ) -> None:
        record = preparing.prepare(self._files, names, managers, simulated)
        real = [only] if only else record.names("real")
        many = not only and bool(record.names("many"))
        needed = [ETCD]
        needed += [APISERVER] if real else []
        needed += [MANAGER] if any(record.clusters[each].controller_manager for each in real) else []
        needed += [MANY] if many else []
        paths = binaries.ensure(needed, self._report)
        recorder = Recorder(self._files, record)
        if real:
            starting.Starter(recorder, paths, self._report).run(real)
        if many:
            simulating.Simulation(recorder, paths, self._report).run()

    def _kill(self, name: str) -> None:
        own = self._files.cluster(name)
        found = [process for each in (APISERVER, MANAGER) if (process := processes.find(own.pid(each)))]
        processes.stop(found, grace=0)

    def _signal(self, name: str, number: signal.Signals) -> None:
        with self._locked():
            self._require(name)
            process = processes.find(self._files.cluster(name).pid(APISERVER))
            if process is None or not processes.send(process, number):
                raise PlaygroundError(f"cluster {name} is not running: resume it first")

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
