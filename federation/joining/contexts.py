"""The clusters that a user's kubeconfig reaches: one connection for each context, opened once, closed together."""

import difflib
import os
import pathlib
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import yaml

from federation.kube import kubeconfig
from federation.kube.connection import Connection
from federation.model.errors import Unusable


class Contexts:
    """An async context manager. `paths` is a kubeconfig or a list of them as in $KUBECONFIG; None is kubectl's rule."""

    def __init__(self, paths: str | None = None) -> None:
        self.paths = kubeconfig.default_paths(paths)
        self._open: dict[str, Connection] = {}
        self._known: tuple[list[str], str] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._open = list(self._open.values()), {}
        for connection in opened:
            await connection.close()

    @property
    def names(self) -> list[str]:
        """Every context's name."""
        return self._load()[0]

    def name(self, context: str | None) -> str:
        """The context meant: the one named, else the current one. Unusable, with the nearest name, if there is none."""
        known, current = self._load()
        if context is None and not current:
            raise Unusable(f"{self.paths} has no current context: name the host's with --host-cluster-context")
        wanted = current if context is None else context
        if wanted not in known:
            near = difflib.get_close_matches(wanted, known, n=1)
            also = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(known)[:10]) or 'none'}"
            raise Unusable(f"no context {wanted!r} in {self.paths}: {also}")
        return wanted

    async def open(self, context: str | None = None) -> Connection:
        """A connection to that context's API server, named after the context."""
        name = self.name(context)
        if name not in self._open:
            self._open[name] = Connection(name, await kubeconfig.from_kubeconfig(self.paths, name))
        return self._open[name]

    def serving(self, server: str) -> list[str]:
        """The contexts whose cluster is at this URL; read from the files alone, no exec plugin runs."""
        return [name for name, url in servers(self.paths).items() if url == server.rstrip("/")]

    def namespace(self, context: str | None) -> str:
        """The namespace that the context names, else `default`."""
        return _settings(self.paths, self.name(context)).get("namespace") or "default"

    def _load(self) -> tuple[list[str], str]:
        if self._known is None:
            self._known = kubeconfig.contexts(self.paths)
        return self._known


def servers(paths: str) -> Mapping[str, str]:
    """The API server's URL of every context; of equal names the first file's counts, as for kubectl."""
    clusters: dict[str, str] = {}
    contexts: dict[str, str] = {}
    for document in _documents(paths):
        for entry in _section(document, "clusters"):
            clusters.setdefault(str(entry.get("name")), str(_section_of(entry, "cluster").get("server", "")))
        for entry in _section(document, "contexts"):
            contexts.setdefault(str(entry.get("name")), str(_section_of(entry, "context").get("cluster", "")))
    return {name: clusters.get(cluster, "").rstrip("/") for name, cluster in contexts.items()}


def _settings(paths: str, context: str) -> Mapping[str, Any]:
    for document in _documents(paths):
        for entry in _section(document, "contexts"):
            if entry.get("name") == context:
                return _section_of(entry, "context")
    return {}


def _documents(paths: str) -> Iterator[Any]:
    for path in filter(None, paths.split(os.pathsep)):
        try:
            yield yaml.load(pathlib.Path(path).expanduser().read_bytes(), yaml.CSafeLoader)
        except (OSError, yaml.YAMLError):
            continue  # `kubeconfig.contexts` has told or will tell; here a file that cannot be read holds nothing


def _section(document: Any, key: str) -> list[Mapping[str, Any]]:
    entries = document.get(key) if isinstance(document, dict) else None
    return [entry for entry in entries or () if isinstance(entry, dict)] if isinstance(entries, list) else []


def _section_of(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = entry.get(key)
    return inner if isinstance(inner, dict) else {}
