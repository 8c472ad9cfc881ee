"""Where a playground keeps its files, and the record of what belongs to it (playground.json).

Read and written by `clusters`, `preparing` and `starting` only. Nothing here starts a process.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from federation.playground.errors import PlaygroundError

ETCD, APISERVER, MANAGER = "etcd", "kube-apiserver", "kube-controller-manager"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class ClusterRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What outlives a cluster's processes: its port, and whether it runs a kube-controller-manager."""

    port: int
    controller_manager: bool
    born: bool = False  # has been ready once: others know its URL now, so its port may not change


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """playground.json: one etcd, and the clusters by name in the order of their making."""

    etcd_port: int
    clusters: dict[str, ClusterRecord]


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
class ClusterFiles:
    """The files of one cluster, in a folder of its own."""

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
        """kube-controller-manager's way to its API server."""
        return self.directory / "controller-manager.kubeconfig"

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
        """Held by whoever changes the playground; beside the directory, so that it outlives a removal."""
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
    def etcd_data(self) -> Path:
        """etcd's --data-dir."""
        return self.directory / "etcd"

    @property
    def etcd_log(self) -> Path:
        """etcd's output."""
        return self.directory / "etcd.log"

    @property
    def etcd_pid(self) -> Path:
        """etcd's pid file."""
        return self.directory / "etcd.pid"

    def cluster(self, name: str) -> ClusterFiles:
        """The files of one cluster."""
        return ClusterFiles(self.directory / "clusters" / name)


def strangers(layout: Layout) -> list[str]:
    """What lies in the directory and is no playground's: a reason to remove nothing there."""
    if not layout.directory.is_dir():
        return [layout.directory.name] if layout.directory.exists() else []
    ours = re.compile(
        r"(playground\.json|([-a-z0-9]+\.)?kubeconfig|ca\.crt|ca\.key|kind|etcd\.(log|pid))(\.tmp)?|etcd\.tmp"
    )
    folders = ("etcd", "clusters")
    return sorted(
        each.name
        for each in layout.directory.iterdir()
        if not (each.name in folders if each.is_dir() else ours.fullmatch(each.name))
    )


def clear(layout: Layout) -> None:
    """Remove the directory of a playground; a directory that holds anything else is left as it is, and named."""
    foreign = strangers(layout)
    if foreign:
        raise PlaygroundError(
            f"{layout.directory} holds what is no playground's ({', '.join(foreign[:5])}): nothing there was removed; "
            "move it away, or choose another directory"
        )
    if layout.directory.exists():
        shutil.rmtree(layout.directory)


def write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.touch(mode=0o600)
    temporary.write_bytes(content)
    temporary.replace(path)


def load(layout: Layout) -> Record | None:
    """The playground's record; None where there is none. A garbled one is an error, not an empty playground."""
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
