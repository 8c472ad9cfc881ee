"""Start the API server that all simulated members share, and its etcd, whatever their state; wait until they serve.

Called by `clusters` under the playground's lock. The etcd is not that of the real clusters, so that thousands of
watches and writes do not slow those down. The server reads the list of members once: more members are a restart.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from federation.playground import access, commands, descriptors, launching, layout, processes
from federation.playground.errors import PlaygroundError
from federation.playground.launching import POLL, PORT_TRIES, READY_WITHIN, Launch, log_tail
from federation.playground.layout import ETCD, MANY
from federation.playground.recording import Recorder

_EACH = 0.1
"""Seconds that the start may take longer for each member, on a busy machine."""
_REPORT_EVERY = 5.0


class Simulation:
    """One start of the simulated members."""

    def __init__(self, recorder: Recorder, paths: Mapping[str, Path], report: Callable[[str], None]) -> None:
        self._recorder = recorder
        self._files = recorder.files
        self._own = recorder.files.many
        self._paths = paths
        self._report = report
        self._names = recorder.record.names("many")
        self._trust = access.tls(self._files.ca_certificate.read_text())
        self._label = label(self._names)

    def run(self) -> None:
        """Start etcd and the server. Raises PlaygroundError with the end of a log if they do not serve."""
        began = reported = time.monotonic()
        descriptors.provide(len(self._names), self._report)
        self._start_etcd()
        launch = self._running() or self._start(tries=1)
        self._recorder.save_access()
        while not self._ready():
            if processes.ended(launch.process):
                launch = self._again(launch)
            elif time.monotonic() > launch.deadline + _EACH * len(self._names):
                within = READY_WITHIN + _EACH * len(self._names)
                raise PlaygroundError(
                    f"{self._label}: their server is not ready after {within:.0f} s; "
                    f"the end of {launch.log}:\n{log_tail(launch.log)}"
                )
            if time.monotonic() - reported > _REPORT_EVERY:
                reported = time.monotonic()
                self._report(f"{self._label}: starting ({reported - began:.0f} s)")
            time.sleep(POLL)
        self._recorder.born(self._names)
        self._report(f"{self._label}: serving after {time.monotonic() - began:.1f} s")

    def _start_etcd(self) -> None:
        def move() -> int:
            self._stop()
            return self._recorder.move_etcd("many")

        files = self._files.many_etcd
        launching.etcd(
            files,
            self._recorder.record.many_etcd_port,
            command=lambda port: commands.etcd(self._paths[ETCD], files, port, progress=commands.MANY_PROGRESS),
            move=move,
            mark=str(self._files.directory),
        )

    def _stop(self) -> None:
        running = processes.find(self._own.pid(MANY))
        if running is not None:
            processes.stop([running], grace=0)

    def _running(self) -> Launch | None:
        """The server, if it runs and serves all members."""
        found = launching.found(self._own.pid(MANY), self._own.log(MANY))
        if found is not None and not self._serves_all():
            self._report("restarting the server of the simulated members with the new ones")
            self._stop()
            return None
        return found

    def _serves_all(self) -> bool:
        try:
            return bool(json.loads(self._own.members.read_bytes()) == self._ports())
        except (OSError, ValueError):
            return False

    def _ports(self) -> dict[str, int]:
        return {name: self._recorder.record.clusters[name].port for name in self._names}

    def _start(self, *, tries: int) -> Launch:
        clusters = self._recorder.record.clusters
        fixed = [name for name in self._names if clusters[name].born]
        taken = [f"{name}: {clusters[name].port}" for name in fixed if not processes.is_free(clusters[name].port)]
        if taken:
            raise PlaygroundError(
                f"ports of 127.0.0.1 are taken by another process ({', '.join(taken[:5])}); "
                "free them and bring the playground up again, or take the playground down first to get new ports"
            )
        self._recorder.move(
            each for each in self._names if not clusters[each].born and (tries > 1 or not clusters[each].port)
        )
        layout.write(self._own.members, json.dumps(self._ports()).encode())
        command = commands.many(self._paths[MANY], self._files, etcd_port=self._recorder.record.many_etcd_port)
        return launching.launch(
            command, log=self._own.log(MANY), pid_file=self._own.pid(MANY), mark=str(self._files.directory), tries=tries
        )

    def _again(self, ended: Launch) -> Launch:
        """Start a server that has ended again, if it was found running before, or if one of its ports was taken."""
        if ended.tries and not (ended.port_was_taken() and ended.tries < PORT_TRIES):
            raise PlaygroundError(f"{self._label}: their server ended; the end of {ended.log}:\n{log_tail(ended.log)}")
        launch = self._start(tries=ended.tries + 1)
        self._recorder.save_access()
        return launch

    def _ready(self) -> bool:
        """Whether the server is ready, which it is when all members have their namespaces."""
        return access.serves(self._recorder.cluster(self._names[-1]), self._trust)


def label(names: list[str]) -> str:
    """How a line names all simulated members: `m4..m1000 (997)`."""
    return names[0] if len(names) == 1 else f"{names[0]}..{names[-1]} ({len(names)})"
