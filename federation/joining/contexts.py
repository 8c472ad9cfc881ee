"""The clusters that a user's kubeconfig reaches: one connection for each context, opened once, closed together."""

import difflib
import os
import pathlib
from collections.abc import Mapping
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
            endpoint = await kubeconfig.from_kubeconfig(self.paths, name)
            if name not in self._open:  # two may ask at once, and only one connection would ever be closed
                self._open[name] = Connection(name, endpoint)
        return self._open[name]

    def serving(self, server: str) -> list[str]:
        """The contexts whose cluster is at this URL; read from the files alone, no exec plugin runs."""
        return [name for name, url in servers(self.paths).items() if url == server.rstrip("/")]

    def namespace(self, context: str | None) -> str:
        """The namespace that the context names, else `default`."""
        return _word(_settings(self.paths, self.name(context)), "namespace", "the context") or "default"

    def _load(self) -> tuple[list[str], str]:
        if self._known is None:
            self._known = list(servers(self.paths)), _current(self.paths)
        return self._known


def servers(paths: str) -> Mapping[str, str]:
    """The API server's URL of every context; of equal names the first file's counts, as for kubectl."""
    clusters: dict[str, str] = {}
    contexts: dict[str, str] = {}
    for document in _documents(paths):
        for entry in _section(document, "clusters"):
            name = entry["name"]
            clusters.setdefault(name, _word(_section_of(entry, "cluster"), "server", f"cluster {name!r}"))
        for entry in _section(document, "contexts"):
            name = entry["name"]
            contexts.setdefault(name, _word(_section_of(entry, "context"), "cluster", f"context {name!r}"))
    return {name: clusters.get(cluster, "").rstrip("/") for name, cluster in contexts.items()}


def _current(paths: str) -> str:
    """The current context: the first file that names one counts, as for kubectl."""
    named = (document.get("current-context") for document in _documents(paths))
    return next((each for each in named if isinstance(each, str) and each), "")


def _settings(paths: str, context: str) -> Mapping[str, Any]:
    for document in _documents(paths):
        for entry in _section(document, "contexts"):
            if entry.get("name") == context:
                return _section_of(entry, "context")
    return {}


def _documents(paths: str) -> list[Mapping[str, Any]]:
    """The files' content; those that do not exist are left out, as by kubectl. Unusable when none is left."""
    found: list[Mapping[str, Any]] = []
    for path in filter(None, paths.split(os.pathsep)):
        content = b""
        try:
            content = pathlib.Path(path).expanduser().read_bytes()
            document = yaml.load(content, yaml.CSafeLoader)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Unusable(f"the kubeconfig {path} cannot be read: {error.strerror}") from None
        except yaml.YAMLError as error:
            raise Unusable(_not_yaml(error, path, content)) from None
        if not isinstance(document, dict):
            raise Unusable(f"{path}: not a kubeconfig: it holds no fields")
        found.append(document)
    if not found:
        raise Unusable(f"no kubeconfig at {paths}: set KUBECONFIG or give --kubeconfig")
    return found


def _not_yaml(error: yaml.YAMLError, path: str, content: bytes) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{path}: not a kubeconfig: {getattr(error, 'problem', None) or 'not YAML'}"
    lines = content.split(b"\n")
    line = lines[mark.line] if mark.line < len(lines) else b""
    tab = b"\t" in line[: len(line) - len(line.lstrip())]
    problem = "a tab where YAML wants spaces" if tab else getattr(error, "problem", None) or "not YAML"
    return f"{path}:{mark.line + 1}: not a kubeconfig: {problem}"


def _section(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    entries = document.get(key) or []
    if not isinstance(entries, list):
        raise Unusable(f"not a kubeconfig: {key} is no list")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise Unusable(f"not a kubeconfig: {key}[{index}] has no name")
    return entries


def _section_of(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = entry.get(key)
    if not isinstance(inner, dict):
        raise Unusable(f"not a kubeconfig: {key} {entry['name']!r} holds no fields")
    return inner


def _word(holder: Mapping[str, Any], key: str, where: str) -> str:
    value = holder.get(key, "")
    if not isinstance(value, str):
        raise Unusable(f"not a kubeconfig: {where} has a {key} that is no text")
    return value
