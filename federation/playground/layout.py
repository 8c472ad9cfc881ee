"""The files of a playground, and the record of its clusters (playground.json).

Real clusters have an API server each; simulated members share one. Used inside this package only. Nothing here starts a
process.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from federation.playground.errors import PlaygroundError

ETCD, APISERVER, MANAGER, MANY = "etcd", "kube-apiserver", "kube-controller-manager", "kube-apiserver-many"
Shape = Literal["real", "many"]
"""real: the cluster has an API server of its own; many: it is one of many that share an API server."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class ClusterRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a cluster when its processes end: its port, and whether it runs a kube-controller-manager."""

    port: int
    controller_manager: bool
    born: bool = False  # it has been ready once: clients know its URL, so its port must not change any more
    shape: Shape = "real"


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """playground.json: the clusters by name in the order of their creation, and each shape's etcd port (0: none)."""

    etcd_port: int
    clusters: dict[str, ClusterRecord]
    many_etcd_port: int = 0

    def names(self, shape: Shape) -> list[str]:
        """The clusters of one shape."""
        return [name for name, cluster in self.clusters.items() if cluster.shape == shape]


def default_directory(name: str = "default", environ: Mapping[str, str] = os.environ) -> Path:
    """$XDG_STATE_HOME or ~/.local/state, then federation/playground/<name>."""
    check_name(name, "playground")
    state = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "federation" / "playground" / name


def check_name(name: str, what: str) -> None:
    """Refuse a name that is no DNS label (RFC 1123): it becomes a folder, an etcd prefix and a context."""
    if not _NAME.fullmatch(name):
        raise PlaygroundError(
            f"{what} name {name!r}: use at most 63 lower-case letters, digits and '-', "
            "beginning and ending with a letter or digit"
        )


@dataclass(frozen=True, slots=True)
class EtcdFiles:
    """The files of one etcd."""

    directory: Path

    @property
    def data(self) -> Path:
        """Its --data-dir."""
        return self.directory / "etcd"

    @property
    def log(self) -> Path:
        """Its output."""
        return self.directory / "etcd.log"

    @property
    def pid(self) -> Path:
        """Its pid file."""
        return self.directory / "etcd.pid"


@dataclass(frozen=True, slots=True)
class ClusterFiles:
    """The files of one API server, in a folder of its own."""

    directory: Path

    @property
    def certificate(self) -> Path:
        """Serving certificate (PEM)."""
        return self.directory / "serving.crt"

    @property
    def key(self) -> Path:
        """Key of the serving certificate (PEM)."""
        return self.directory / "serving.key"

    @property
    def token_key(self) -> Path:
        """Key that signs service-account tokens (PEM)."""
        return self.directory / "service-account.key"

    @property
    def token_public_key(self) -> Path:
        """Key that verifies service-account tokens (PEM)."""
        return self.directory / "service-account.pub"

    @property
    def tokens(self) -> Path:
        """kube-apiserver's --token-auth-file: the admin's token."""
        return self.directory / "tokens.csv"

    @property
    def kubeconfig(self) -> Path:
        """kube-controller-manager's kubeconfig."""
        return self.directory / "controller-manager.kubeconfig"

    @property
    def members(self) -> Path:
        """The names and ports of the simulated members, for their API server: {"m1": 20001, ...}."""
        return self.directory / "members.json"

    def log(self, process: str) -> Path:
        """Output of a process ("kube-apiserver", "kube-controller-manager")."""
        return self.directory / f"{process}.log"

    def pid(self, process: str) -> Path:
        """Pid file of a process."""
        return self.directory / f"{process}.pid"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one playground; `directory` is absolute."""

    directory: Path

    @property
    def record(self) -> Path:
        """playground.json."""
        return self.directory / "playground.json"

    @property
    def lock(self) -> Path:
        """Held during every change of the playground. It is beside the directory, which `down` removes."""
        return self.directory.with_name(self.directory.name + ".lock")

    @property
    def kubeconfig(self) -> Path:
        """One context per cluster, named as the cluster."""
        return self.directory / "kubeconfig"

    @property
    def ca_certificate(self) -> Path:
        """The playground's certificate authority (PEM)."""
        return self.directory / "ca.crt"

    @property
    def ca_key(self) -> Path:
        """Its key (PEM)."""
        return self.directory / "ca.key"

    @property
    def etcd(self) -> EtcdFiles:
        """The etcd of the real clusters."""
        return EtcdFiles(self.directory)

    @property
    def many(self) -> ClusterFiles:
        """The API server of the simulated members."""
        return ClusterFiles(self.directory / "many")

    @property
    def many_etcd(self) -> EtcdFiles:
        """Its etcd."""
        return EtcdFiles(self.directory / "many")

    def cluster(self, name: str) -> ClusterFiles:
        """The files of one real cluster."""
        return ClusterFiles(self.directory / "clusters" / name)


def strangers(layout: Layout) -> list[str]:
    """Files in the directory that do not belong to a playground: a reason to remove nothing there."""
    if not layout.directory.is_dir():
        return [layout.directory.name] if layout.directory.exists() else []
    ours = re.compile(
        r"(playground\.json|([-a-z0-9]+\.)?kubeconfig|ca\.crt|ca\.key|kind|etcd\.(log|pid))(\.tmp)?|etcd\.tmp"
    )
    folders = ("etcd", "clusters", "many")
    return sorted(
        each.name
        for each in layout.directory.iterdir()
        if not (each.name in folders if each.is_dir() else ours.fullmatch(each.name))
    )


def clear(layout: Layout) -> None:
    """Remove the directory of a playground. Raises PlaygroundError when it contains anything else."""
    foreign = strangers(layout)
    if foreign:
        raise PlaygroundError(
            f"{layout.directory} contains files of something else ({', '.join(foreign[:5])}): nothing was removed; "
            "move it away, or choose another directory"
        )
    if layout.directory.exists():
        shutil.rmtree(layout.directory)


def write(path: Path, content: bytes) -> None:
    """Write a file atomically, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.touch(mode=0o600)
    temporary.write_bytes(content)
    temporary.replace(path)


def load(layout: Layout) -> Record | None:
    """The playground's record; None where there is none. Raises PlaygroundError for one that cannot be read."""
    try:
        content = layout.record.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return msgspec.json.decode(content, type=Record)
    except msgspec.MsgspecError as error:
        raise PlaygroundError(
            f"{layout.record} cannot be read ({error}): take the playground down and bring it up again"
        ) from error


def save(layout: Layout, record: Record) -> None:
    """Write the record."""
    write(layout.record, msgspec.json.format(msgspec.json.encode(record)))
