"""The same playground on kind (Kubernetes in Docker), with nodes and real Pods: up, down, status, kubeconfig.

Called by `verbs` for `--provider kind`. Every step is one call of the `kind` command, whose message is passed on when
it fails. A playground's clusters are named <playground>.<cluster> in kind, and <cluster> in our kubeconfig.
"""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from federation.playground import layout
from federation.playground.errors import PlaygroundError
from federation.playground.layout import Layout
from typegen.kubeyaml import reading, writing

_WAIT = "180s"


@dataclass(frozen=True, slots=True)
class KindCluster:
    """One cluster of kind. Whether its nodes run is not known here, only by Docker."""

    name: str
    kind_name: str


def _kind(*arguments: str) -> str:
    """Run kind, return its standard output."""
    binary = shutil.which("kind")
    if binary is None:
        raise PlaygroundError("no `kind` in PATH: install it (and Docker), or leave --provider out for local processes")
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PlaygroundError(f"`kind {' '.join(arguments)}` failed ({done.returncode}): {done.stderr.strip()[-1000:]}")
    return done.stdout


class KindPlayground:
    """Clusters of kind that belong to the playground in `directory` (its last component is the playground's name)."""

    def __init__(self, directory: Path, *, report: Callable[[str], None] = print) -> None:
        self._files = Layout(directory.expanduser().absolute())
        self._report = report

    @classmethod
    def up(cls, directory: Path, names: Sequence[str], *, report: Callable[[str], None] = print) -> Self:
        """Create those clusters that kind does not have yet, then write the kubeconfig. Idempotent."""
        playground = cls(directory, report=report)
        for name in names:
            layout.check_name(name, "cluster")
        there = {each.name for each in playground.clusters}
        for name in names:
            if name not in there:
                playground.add(name)
        playground._write_kubeconfig()
        return playground

    @property
    def kubeconfig(self) -> Path:
        """One file, a context per cluster; the context's name is the cluster's."""
        return self._files.kubeconfig

    @property
    def clusters(self) -> list[KindCluster]:
        """This playground's clusters, as kind lists them."""
        prefix = self._kind_name("")
        listed = _kind("get", "clusters", "--quiet").split()
        return [KindCluster(each.removeprefix(prefix), each) for each in listed if each.startswith(prefix)]

    def add(self, name: str) -> None:
        """Create one cluster and wait until it is ready."""
        self._report(f"creating {name} with kind (usually a minute; the first one downloads its image)")
        # kind would write its contexts into the user's own kubeconfig otherwise.
        self._files.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch = self._files.directory / f"{name}.kubeconfig"
        _kind("create", "cluster", "--name", self._kind_name(name), "--kubeconfig", str(scratch), "--wait", _WAIT)
        scratch.unlink(missing_ok=True)

    def down(self) -> None:
        """Delete this playground's clusters, and its directory."""
        scratch = self._files.directory / "deleted.kubeconfig"
        for each in self.clusters:
            _kind("delete", "cluster", "--name", each.kind_name, "--kubeconfig", str(scratch))
        layout.clear(self._files)

    def _kind_name(self, name: str) -> str:
        return f"{self._files.directory.name}.{name}"  # playgrounds' names have no dot, so this is unique

    def _write_kubeconfig(self) -> None:
        merged: dict[str, object] = {"apiVersion": "v1", "kind": "Config"}
        clusters, users, contexts = [], [], []
        for each in sorted(self.clusters, key=lambda cluster: (cluster.name != "host", cluster.name)):
            config = reading.value(_kind("get", "kubeconfig", "--name", each.kind_name))
            clusters.append({"name": each.name, "cluster": config["clusters"][0]["cluster"]})
            users.append({"name": each.name, "user": config["users"][0]["user"]})
            contexts.append({"name": each.name, "context": {"cluster": each.name, "user": each.name}})
        merged |= {"clusters": clusters, "users": users, "contexts": contexts}
        merged["current-context"] = contexts[0]["name"] if contexts else ""
        layout.write(self.kubeconfig, writing.dump([merged]).encode())
