"""The clusters in a user's kubeconfig, read once: one connection for each context, opened once, closed together."""

import difflib
import functools
import os
import pathlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from federation.kube import kubeconfig
from federation.kube.connection import Connection
from federation.kube.kubeconfig import Files
from federation.model.errors import Unusable
from typegen.kubeyaml import reading


class Contexts:
    """An async context manager. `paths` is a kubeconfig or a list of them as in $KUBECONFIG; None is kubectl's rule."""

    def __init__(self, paths: str | None = None) -> None:
        self.paths = kubeconfig.default_paths(paths)
        self._open: dict[str, Connection] = {}
        self._borrowers: Counter[str] = Counter()

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
        return list(self._servers)

    def name(self, context: str | None) -> str:
        """The named context, else the current one. Raises Unusable, with a similar name, if there is none."""
        known, current = self._servers, _current(self._files)
        if context is None and not current:
            raise Unusable(f"{self.paths} has no current context: give the host's with --host-cluster-context")
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
            endpoint = await kubeconfig.from_kubeconfig(self.paths, name, self._files)
            if name not in self._open:  # two callers may open it at once; only one connection would ever be closed
                self._open[name] = Connection(name, endpoint)
        return self._open[name]

    @asynccontextmanager
    async def lend(self, context: str) -> AsyncIterator[Connection]:
        """`open` for a while: of a thousand members, not all connections stay open. One that was open before does."""
        name = self.name(context)
        stays = name in self._open and name not in self._borrowers
        if not stays:
            self._borrowers[name] += 1
        try:
            yield await self.open(name)
        finally:
            if not stays:
                self._borrowers[name] -= 1
                if not self._borrowers[name]:
                    del self._borrowers[name]
                    await self.close(name)

    async def close(self, name: str) -> None:
        """Close the connection to that context before the others, if it is open."""
        if name in self._open:
            await self._open.pop(name).close()

    def serving(self, server: str) -> list[str]:
        """The contexts whose cluster is at this URL; read from the files, without running an exec plugin."""
        return [name for name, url in self._servers.items() if url == server.rstrip("/")]

    def namespace(self, context: str | None) -> str:
        """The namespace that the context names, else `default`."""
        return _word(_settings(self._files, self.name(context)), "namespace", "the context") or "default"

    @functools.cached_property
    def _files(self) -> Files:
        return _documents(self.paths)

    @functools.cached_property
    def _servers(self) -> Mapping[str, str]:
        return _servers(self._files)


def servers(paths: str) -> Mapping[str, str]:
    """The API server's URL of every context. If files share a name, the first file counts, as for kubectl."""
    return _servers(_documents(paths))


def _servers(files: Files) -> Mapping[str, str]:
    clusters: dict[str, str] = {}
    contexts: dict[str, str] = {}
    for _, document in files:
        for entry in _section(document, "clusters"):
            name = entry["name"]
            clusters.setdefault(name, _word(_section_of(entry, "cluster"), "server", f"cluster {name!r}"))
        for entry in _section(document, "contexts"):
            name = entry["name"]
            contexts.setdefault(name, _word(_section_of(entry, "context"), "cluster", f"context {name!r}"))
    return {name: clusters.get(cluster, "").rstrip("/") for name, cluster in contexts.items()}


def _current(files: Files) -> str:
    """The current context: that of the first file that names one, as for kubectl."""
    named = (document.get("current-context") for _, document in files)
    return next((each for each in named if isinstance(each, str) and each), "")


def _settings(files: Files, context: str) -> Mapping[str, Any]:
    for _, document in files:
        for entry in _section(document, "contexts"):
            if entry.get("name") == context:
                return _section_of(entry, "context")
    return {}


def _documents(paths: str) -> Files:
    """The files' contents; files that do not exist are left out, as by kubectl. Raises Unusable when none exists."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for path in filter(None, paths.split(os.pathsep)):
        content = ""
        try:
            content = pathlib.Path(path).expanduser().read_text(encoding="utf-8")
            document = reading.value(content)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Unusable(f"the kubeconfig {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise Unusable(f"{path}: not a kubeconfig: not UTF-8 text") from None
        except reading.Unreadable as error:
            raise Unusable(_not_yaml(error, path, content)) from None
        if not isinstance(document, dict):
            raise Unusable(f"{path}: not a kubeconfig: not a map of fields")
        found.append((str(pathlib.Path(path).expanduser()), document))
    if not found:
        raise Unusable(f"no kubeconfig at {paths}: set KUBECONFIG or give --kubeconfig")
    return found


def _not_yaml(error: reading.Unreadable, path: str, content: str) -> str:
    if not error.line:
        return f"{path}: not a kubeconfig: {error.message}"
    problem = "a tab where YAML needs spaces" if reading.is_indented_by_tab(content, error.line) else error.message
    return f"{path}:{error.line}: not a kubeconfig: {problem}"


def _section(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    entries = document.get(key) or []
    if not isinstance(entries, list):
        raise Unusable(f"not a kubeconfig: {key} is not a list")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise Unusable(f"not a kubeconfig: {key}[{index}] has no name")
    return entries


def _section_of(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = entry.get(key)
    if not isinstance(inner, dict):
        raise Unusable(f"not a kubeconfig: {key} {entry['name']!r} is not a map of fields")
    return inner


def _word(holder: Mapping[str, Any], key: str, where: str) -> str:
    value = holder.get(key, "")
    if not isinstance(value, str):
        raise Unusable(f"not a kubeconfig: {where} has a {key} that is not text")
    return value
