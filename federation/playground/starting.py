"""Start the real clusters' etcd, API servers and controller managers, whatever their state, and wait until they serve.

Called by `clusters` under the playground's lock. Order: etcd, all API servers at once, then each controller manager
when its API server serves.
"""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from federation.playground import access, commands, launching, layout, preparing, processes
from federation.playground.access import LocalCluster
from federation.playground.errors import PlaygroundError
from federation.playground.launching import POLL, PORT_TRIES, READY_WITHIN, Launch, log_tail
from federation.playground.layout import APISERVER, ETCD, MANAGER
from federation.playground.processes import State
from federation.playground.recording import Recorder


class Starter:
    """One start of the real clusters."""

    def __init__(self, recorder: Recorder, paths: Mapping[str, Path], report: Callable[[str], None]) -> None:
        self._recorder = recorder
        self._files = recorder.files
        self._paths = paths
        self._report = report
        self._trust = access.tls(self._files.ca_certificate.read_text())

    def run(self, targets: Sequence[str]) -> None:
        """Start etcd and the target clusters. Raises PlaygroundError with the end of a log if one does not serve."""
        began = time.monotonic()
        self._start_etcd()
        pending = {name: self._find_apiserver(name) or self._start_apiserver(name, tries=1) for name in targets}
        self._recorder.save_access()
        managed: list[str] = []
        while pending:
            for name in list(pending):
                launch = pending[name]
                if processes.ended(launch.process):
                    pending[name] = self._again(name, launch)
                elif access.serves(self._cluster(name), self._trust):
                    del pending[name]
                    self._recorder.born([name])
                    self._report(f"{name} serves after {time.monotonic() - began:.1f} s")
                    if self._recorder.record.clusters[name].controller_manager:
                        self._start_manager(name)
                        managed.append(name)
                elif time.monotonic() > launch.deadline:
                    raise PlaygroundError(
                        f"cluster {name}: kube-apiserver is not ready after {READY_WITHIN:.0f} s; "
                        f"the end of {launch.log}:\n{log_tail(launch.log)}"
                    )
            time.sleep(POLL)
        self._await_managers(managed)

    # -- etcd --------------------------------------------------------------------------------------------------------

    def _start_etcd(self) -> None:
        def move() -> int:
            # API servers know etcd by its port: those that still run must be restarted.
            preparing.sweep(self._files)
            return self._recorder.move_etcd("real")

        files = self._files.etcd
        launching.etcd(
            files,
            self._recorder.record.etcd_port,
            command=lambda port: commands.etcd(self._paths[ETCD], files, port),
            move=move,
            mark=str(self._files.directory),
        )

    # -- API servers -------------------------------------------------------------------------------------------------

    def _find_apiserver(self, name: str) -> Launch | None:
        own = self._files.cluster(name)
        return launching.found(own.pid(APISERVER), own.log(APISERVER))

    def _start_apiserver(self, name: str, *, tries: int) -> Launch:
        own, cluster = self._files.cluster(name), self._recorder.record.clusters[name]
        if cluster.port == 0 or (tries > 1 and not cluster.born):
            self._recorder.move([name])
        elif cluster.born and not processes.is_free(cluster.port):
            raise PlaygroundError(
                f"cluster {name}: port {cluster.port} of 127.0.0.1 is taken by another process; "
                "free it and bring the playground up again, or take the playground down first to get new ports"
            )
        command = commands.apiserver(
            self._paths[APISERVER],
            self._files,
            name,
            port=self._recorder.record.clusters[name].port,
            etcd_port=self._recorder.record.etcd_port,
        )
        return launching.launch(
            command,
            log=own.log(APISERVER),
            pid_file=own.pid(APISERVER),
            mark=str(self._files.directory),
            tries=tries,
        )

    def _again(self, name: str, ended: Launch) -> Launch:
        """Start a server that has ended again, if it was found running before, or if its port was taken."""
        if ended.tries and not (ended.port_was_taken() and ended.tries < PORT_TRIES):
            raise PlaygroundError(
                f"cluster {name}: kube-apiserver ended; the end of {ended.log}:\n{log_tail(ended.log)}"
            )
        launch = self._start_apiserver(name, tries=ended.tries + 1)
        self._recorder.save_access()
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
        launching.launch(
            command, log=own.log(MANAGER), pid_file=own.pid(MANAGER), mark=str(self._files.directory), tries=1
        )

    def _await_managers(self, names: Sequence[str]) -> None:
        deadline = time.monotonic() + READY_WITHIN
        for name in names:
            own = self._files.cluster(name)
            while not access.manages(self._cluster(name), self._trust):
                log = own.log(MANAGER)
                if processes.state(processes.find(own.pid(MANAGER))) is State.STOPPED:
                    raise PlaygroundError(
                        f"cluster {name}: kube-controller-manager ended; the end of {log}:\n{log_tail(log)}"
                    )
                if time.monotonic() > deadline:
                    raise PlaygroundError(
                        f"cluster {name}: kube-controller-manager does no work; the end of {log}:\n{log_tail(log)}"
                    )
                time.sleep(POLL)

    def _cluster(self, name: str) -> LocalCluster:
        return self._recorder.cluster(name)
