"""The record of a playground during a start. It is saved after each step that another run must know of.

Used by `starting` and `simulating`, under the playground's lock.
"""

from collections.abc import Iterable

import msgspec

from federation.playground import access, layout, preparing, processes
from federation.playground.access import LocalCluster
from federation.playground.layout import Layout, Record, Shape


class Recorder:
    """`record` is always as it is on disk."""

    def __init__(self, files: Layout, record: Record) -> None:
        self.files = files
        self.record = record

    def cluster(self, name: str) -> LocalCluster:
        """A cluster as it is now."""
        return preparing.read_clusters(self.files, self.record, [name])[name]

    def move_etcd(self, shape: Shape) -> int:
        """A new port for the etcd of one shape."""
        [port] = self.free_ports(1)
        field = "etcd_port" if shape == "real" else "many_etcd_port"
        self._save(msgspec.structs.replace(self.record, **{field: port}))
        return port

    def move(self, names: Iterable[str]) -> None:
        """New ports for these clusters."""
        moving = list(names)
        if not moving:
            return
        changed = {
            name: msgspec.structs.replace(self.record.clusters[name], port=port)
            for name, port in zip(moving, self.free_ports(len(moving)), strict=True)
        }
        self._save(msgspec.structs.replace(self.record, clusters=self.record.clusters | changed))

    def born(self, names: Iterable[str]) -> None:
        """These clusters have been ready: clients know their URLs from now on."""
        changed = {
            name: msgspec.structs.replace(self.record.clusters[name], born=True)
            for name in names
            if not self.record.clusters[name].born
        }
        if changed:
            self._save(msgspec.structs.replace(self.record, clusters=self.record.clusters | changed))

    def save_access(self) -> None:
        """Write the kubeconfig of all clusters that have a port."""
        started = [name for name, cluster in self.record.clusters.items() if cluster.port]
        clusters = preparing.read_clusters(self.files, self.record, started)
        layout.write(self.files.kubeconfig, access.kubeconfig(clusters.values()))

    def free_ports(self, count: int) -> list[int]:
        """Ports that are free and belong to no cluster of this playground."""
        record = self.record
        taken = {record.etcd_port, record.many_etcd_port, *(each.port for each in record.clusters.values())}
        return [processes.free_port(taken)] if count == 1 else processes.free_ports(taken, count)

    def _save(self, record: Record) -> None:
        self.record = record
        layout.save(self.files, record)
