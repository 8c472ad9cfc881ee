"""Bring etcd, API servers and controller managers of a playground from whatever state they are in to serving.

Called by `clusters` under the playground's lock. Order: etcd, all API servers at once, then, as each begins to
serve, its controller manager. The record (playground.json) is saved after each step that another run must know of.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from federation.playground import access, commands, layout, preparing, processes
from federation.playground.access import LocalCluster
from federation.playground.errors import PlaygroundError
from federation.playground.layout import APISERVER, ETCD, MANAGER, ClusterRecord, Layout, Record
from federation.playground.processes import State

_READY_WITHIN = 120.0
_PORT_TRIES = 3
_POLL = 0.1


def _log_tail(log: Path, lines: int = 8) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


@dataclass(frozen=True, slots=True)
class _Launch:
    """A server on its way to serving: started on the n-th try, or found running (`tries` 0) and perhaps dying."""

    process: processes.Process
    log: Path
    log_from: int
    deadline: float
    tries: int

    def port_was_taken(self) -> bool:
        try:
            return b"address already in use" in self.log.read_bytes()[self.log_from :]
        except OSError:
            return False


class Starter:
    """One bring-up: binaries and record in, serving clusters out. `record` is always what is on disk."""

    def __init__(self, files: Layout, record: Record, paths: Mapping[str, Path], report: Callable[[str], None]) -> None:
        self._files = files
        self._paths = paths
        self._report = report
        self._trust = access.tls(files.ca_certificate.read_text())
        self.record = record

    def run(self, targets: Sequence[str]) -> None:
        """Bring etcd and the target clusters to serving; PlaygroundError with the end of a log if one will not."""
        began = time.monotonic()
        self._start_etcd()
        pending = {name: self._find_apiserver(name) or self._start_apiserver(name, tries=1) for name in targets}
        self._save_access()
        managed: list[str] = []
        while pending:
            for name in list(pending):
                launch = pending[name]
                if processes.ended(launch.process):
                    pending[name] = self._again(name, launch)
                elif access.serves(self._cluster(name), self._trust):
                    del pending[name]
                    self._change(name, born=True)
                    self._report(f"{name} serves after {time.monotonic() - began:.1f} s")
                    if self.record.clusters[name].controller_manager:
                        self._start_manager(name)
                        managed.append(name)
                elif time.monotonic() > launch.deadline:
                    raise PlaygroundError(
                        f"cluster {name}: kube-apiserver is not ready after {_READY_WITHIN:.0f} s; "
                        f"the end of {launch.log}:\n{_log_tail(launch.log)}"
                    )
            time.sleep(_POLL)
        self._await_managers(managed)

    # -- etcd --------------------------------------------------------------------------------------------------------

    def _start_etcd(self) -> None:
        running = self._found(self._files.etcd_pid, self._files.etcd_log)
        if running is not None and self._etcd_serves(running):
            return
        for tries in range(1, _PORT_TRIES + 1):
            launch = self._launch_etcd(tries)
            if self._etcd_serves(launch):
                return
            if not launch.port_was_taken():
                raise PlaygroundError(f"etcd ended at once; the end of {launch.log}:\n{_log_tail(launch.log)}")
        raise PlaygroundError(f"etcd found no free port in {_PORT_TRIES} tries; run it again")

    def _launch_etcd(self, tries: int) -> _Launch:
        port = self.record.etcd_port
        if port == 0 or tries > 1:
            # API servers know etcd by its port: those that still run must start again.
            preparing.sweep(self._files)
            port = processes.free_port(self._taken())
            self.record = msgspec.structs.replace(self.record, etcd_port=port)
            layout.save(self._files, self.record)
        command = commands.etcd(self._paths[ETCD], self._files, port)
        return self._launch(command, self._files.etcd_log, self._files.etcd_pid, tries)

    def _etcd_serves(self, launch: _Launch) -> bool:
        while not processes.ended(launch.process):
            if access.reachable(f"http://127.0.0.1:{self.record.etcd_port}/readyz"):
                return True
            if time.monotonic() > launch.deadline:
                raise PlaygroundError(f"etcd is not ready; the end of {launch.log}:\n{_log_tail(launch.log)}")
            time.sleep(_POLL / 2)
        return False

    # -- API servers -------------------------------------------------------------------------------------------------

    def _find_apiserver(self, name: str) -> _Launch | None:
        own = self._files.cluster(name)
        return self._found(own.pid(APISERVER), own.log(APISERVER))

    def _start_apiserver(self, name: str, *, tries: int) -> _Launch:
        own, cluster = self._files.cluster(name), self.record.clusters[name]
        if cluster.port == 0 or (tries > 1 and not cluster.born):
            self._change(name, port=processes.free_port(self._taken()))
        elif cluster.born and not processes.is_free(cluster.port):
            raise PlaygroundError(
                f"cluster {name}: port {cluster.port} of 127.0.0.1 is taken by another process; "
                "free it and bring the playground up again, or take the playground down first to get new ports"
            )
        command = commands.apiserver(
            self._paths[APISERVER],
            self._files,
            name,
            port=self.record.clusters[name].port,
            etcd_port=self.record.etcd_port,
        )
        return self._launch(command, own.log(APISERVER), own.pid(APISERVER), tries)

    def _again(self, name: str, ended: _Launch) -> _Launch:
        """Start a server that has ended once more, if it was only dying when found, or its port was taken."""
        if ended.tries and not (ended.port_was_taken() and ended.tries < _PORT_TRIES):
            raise PlaygroundError(
                f"cluster {name}: kube-apiserver ended; the end of {ended.log}:\n{_log_tail(ended.log)}"
            )
        launch = self._start_apiserver(name, tries=ended.tries + 1)
        self._save_access()
        return launch

    # -- controller managers -----------------------------------------------------------------------------------------

    def _start_manager(self, name: str) -> None:
        own = self._files.cluster(name)
        running = processes.find(own.pid(MANAGER))
        if running is not None:
            processes.send(running, signal.SIGCONT)
            return
        layout.write(own.kubeconfig, access.kubeconfig([self._cluster(name)]))
        command = commands.controller_manager(self._paths[MANAGER], self._files, own)
        self._launch(command, own.log(MANAGER), own.pid(MANAGER), 1)

    def _await_managers(self, names: Sequence[str]) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        for name in names:
            own = self._files.cluster(name)
            while not access.manages(self._cluster(name), self._trust):
                log = own.log(MANAGER)
                if processes.state(processes.find(own.pid(MANAGER))) is State.STOPPED:
                    raise PlaygroundError(
                        f"cluster {name}: kube-controller-manager ended; the end of {log}:\n{_log_tail(log)}"
                    )
                if time.monotonic() > deadline:
                    raise PlaygroundError(
                        f"cluster {name}: kube-controller-manager does no work; the end of {log}:\n{_log_tail(log)}"
                    )
                time.sleep(_POLL)

    # -- shared ------------------------------------------------------------------------------------------------------

    def _found(self, pid_file: Path, log: Path) -> _Launch | None:
        running = processes.find(pid_file)
        if running is None:
            return None
        processes.send(running, signal.SIGCONT)
        return _Launch(running, log, _size(log), time.monotonic() + _READY_WITHIN, tries=0)

    def _launch(self, command: list[str], log: Path, pid_file: Path, tries: int) -> _Launch:
        log_from = _size(log)
        # No proxy variables: these processes talk to 127.0.0.1 only.
        environment = {
            key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR", "GOGC", "GOMEMLIMIT") if key in os.environ
        }
        process = processes.start(
            command, environment=environment, mark=str(self._files.directory), log=log, pid_file=pid_file
        )
        return _Launch(process, log, log_from, time.monotonic() + _READY_WITHIN, tries)

    def _cluster(self, name: str) -> LocalCluster:
        return preparing.read_cluster(self._files, name, self.record.clusters[name])

    def _taken(self) -> set[int]:
        return {self.record.etcd_port, *(each.port for each in self.record.clusters.values())}

    def _change(self, name: str, *, port: int | None = None, born: bool | None = None) -> None:
        old = self.record.clusters[name]
        new = ClusterRecord(
            port=old.port if port is None else port,
            controller_manager=old.controller_manager,
            born=old.born if born is None else born,
        )
        if new != old:
            self.record = msgspec.structs.replace(self.record, clusters={**self.record.clusters, name: new})
            layout.save(self._files, self.record)

    def _save_access(self) -> None:
        started = [name for name, cluster in self.record.clusters.items() if cluster.port]
        layout.write(self._files.kubeconfig, access.kubeconfig(self._cluster(name) for name in started))
