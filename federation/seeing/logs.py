"""The logs of one member's Pods, as lines: once, or followed for as long as the Pods live, restarts included.

A Pod's log is opened by the API server at the Pod's kubelet. While it is followed the kubelet stamps each line, so that
a stream that breaks goes on after the last line that came; where a container has started anew, its new log is read from
the beginning.
"""

import asyncio
import datetime as dt
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from federation.core import times
from federation.joining import applying
from federation.joining.errors import Refused
from federation.kube import connection as http
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.resources import PODS
from federation.seeing.owned import Owned

_DEFAULT = "kubectl.kubernetes.io/default-container"
_SECTIONS = ("initContainers", "containers", "ephemeralContainers")
_STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?")
LONGEST = 64 << 10
"""Bytes of one line; of a longer one the rest is a line of its own."""
_UNLIMITED = 10 * 365 * 86400.0
"""Seconds: a container that says nothing is no failure."""
_ANSWER = 30.0
"""Seconds for the first byte, and for each more, of a log that is not followed."""
_PAUSE = (0.5, 10.0)
"""Seconds between two looks at a container whose log has ended, doubling."""

_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)

Say = Callable[[str], None]
_Stamp = tuple[dt.datetime, str]
"""A kubelet's time, and its fraction to the nanosecond."""


@dataclass(frozen=True, slots=True)
class Options:
    """What of each log: see `kubectl logs`. `tail` -1: all. `container` "" is the default one of each Pod."""

    follow: bool = False
    container: str = ""
    every_container: bool = False
    previous: bool = False
    timestamps: bool = False
    since: float = 0.0
    since_time: str = ""
    tail: int = -1


@dataclass(frozen=True, slots=True)
class Source:
    """One container of one Pod."""

    cluster: str
    pod: Owned
    container: str

    @property
    def label(self) -> str:
        """What stands before each line."""
        return f"{self.cluster} {self.pod.where.name} {self.container}"


async def sources(connection: Connection, cluster: str, pod: Owned, options: Options, say: Say) -> list[Source]:
    """The containers of a Pod that are read; none where it is gone. Raises ApiFailure, Refused."""
    found = await applying.find(connection, PODS, pod.where)
    if found is None:
        return []
    names = containers(found)
    if options.every_container:
        return [Source(cluster, pod, name) for name in names]
    if options.container:
        if options.container not in names:
            raise Refused(f"container {options.container} is not in pod {pod.where.name}", f"it has {', '.join(names)}")
        return [Source(cluster, pod, options.container)]
    chosen = default(found)
    others = [name for name in names if name != chosen]
    if others:
        say(f"{cluster}: defaulted container {chosen} of pod {pod.where.name}; others: {', '.join(others)}")
    return [Source(cluster, pod, chosen)] if chosen else []


def containers(pod: Mapping[str, Any]) -> list[str]:
    """The names of its containers, init containers first."""
    return [str(each["name"]) for section in _SECTIONS for each in _items(pod, "spec", section) if each.get("name")]


def default(pod: Mapping[str, Any]) -> str:
    """The container that kubectl takes: the one that an annotation names, else the first."""
    known = [str(each["name"]) for each in _items(pod, "spec", "containers") if each.get("name")]
    named = str((pod["metadata"].get("annotations") or {}).get(_DEFAULT) or "")
    return named if named in containers(pod) else known[0] if known else ""


async def read(connection: Connection, source: Source, options: Options) -> AsyncIterator[str]:
    """The lines of a log. Followed, it ends when the Pod is gone or its container will not run again. Raises ApiFailure
    where it cannot be read."""
    if not options.follow:
        async for line in _lines(connection, source, options, _query(options)):
            yield _text(line)
        return
    following = _Following(connection, source, options)
    async for line in following.lines():
        yield _text(line)


class _Following:
    """Follows one container from instance to instance."""

    def __init__(self, connection: Connection, source: Source, options: Options) -> None:
        self._connection = connection
        self._source = source
        self._options = replace(options, timestamps=True)
        self._stamped = options.timestamps
        self._instance = ""
        self._last: _Stamp | None = None
        self._same = 0
        """Lines with the last stamp."""
        self._resumed: _Stamp | None = None
        self._again = 0
        """Lines with the stamp of the last one, that come once more."""

    async def lines(self) -> AsyncIterator[bytes]:
        query, pause = _query(self._options), _PAUSE[0]
        while True:
            state = await self._state()
            if state is None:
                return
            if state.started and (state.instance != self._instance or state.running):
                if state.instance != self._instance and self._instance:
                    self._last, self._same = None, 0
                    query = _query(replace(self._options, tail=-1, since=0.0, since_time=""))
                self._instance = state.instance
                self._resumed, self._again = self._last, self._same
                try:
                    async for line in _lines(self._connection, self._source, self._options, query):
                        pause = _PAUSE[0]
                        for each in self._new(line):
                            yield each
                except ApiFailure as error:
                    if error.failure.concerns != "member" and error.failure.kind not in _RACES:
                        raise
                query = self._after(query)
            if state.over:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE[1])

    def _new(self, line: bytes) -> Sequence[bytes]:
        """The line, if it was not shown before the stream broke."""
        found = _STAMP.match(line)
        if found is None:
            return (line,)
        stamp = _moment(found[1])
        if self._resumed is not None and stamp <= self._resumed and (stamp < self._resumed or self._again):
            self._again -= stamp == self._resumed
            return ()
        self._same = self._same + 1 if stamp == self._last else 1
        self._last = stamp
        return (line,) if self._stamped else (line[found.end() :],)

    def _after(self, query: Mapping[str, str]) -> Mapping[str, str]:
        """What to ask for where a stream of the same instance is opened again: what came after the last line."""
        if self._last is None:
            return query
        left = {name: value for name, value in query.items() if name not in {"tailLines", "sinceSeconds", "sinceTime"}}
        return left | {"sinceTime": times.rfc3339(self._last[0].timestamp())}

    async def _state(self) -> "_State | None":
        """How the container is; None where the Pod is gone."""
        try:
            found = await applying.find(self._connection, PODS, self._source.pod.where)
        except ApiFailure as error:
            if error.failure.concerns == "member":
                return _State(self._instance)  # away for now
            raise
        if found is None or found["metadata"].get("uid") != self._source.pod.uid:
            return None
        return state(found, self._source.container)


@dataclass(frozen=True, slots=True)
class _State:
    """How one container is. `over`: it will not run again."""

    instance: str
    running: bool = False
    started: bool = False
    over: bool = False


def state(pod: Mapping[str, Any], container: str) -> _State:
    """How a container is, by its Pod's status."""
    statuses = [each for section in _STATUSES for each in _items(pod, "status", section)]
    found = next((each for each in statuses if each.get("name") == container), {})
    now = found.get("state")
    now = now if isinstance(now, dict) else {}
    phase = (pod.get("status") or {}).get("phase")
    running, ended = "running" in now, "terminated" in now
    return _State(
        instance=f"{found.get('restartCount', 0)} {found.get('containerID', '')}",
        running=running,
        started=running or ended or bool(found.get("restartCount")),
        over=phase in {"Succeeded", "Failed"} and not running,
    )


_RACES = frozenset({FailureKind.INVALID, FailureKind.NOT_FOUND, FailureKind.UNEXPECTED})
"""What is answered for a container that is just starting, or has just ended."""


def _query(options: Options) -> Mapping[str, str]:
    query = {name: "true" for name in ("follow", "previous", "timestamps") if getattr(options, name)}
    if options.tail >= 0:
        query["tailLines"] = str(options.tail)
    if options.since:
        query["sinceSeconds"] = str(max(1, int(options.since)))
    elif options.since_time:
        query["sinceTime"] = options.since_time
    return query


async def _lines(
    connection: Connection, source: Source, options: Options, query: Mapping[str, str]
) -> AsyncIterator[bytes]:
    path = f"{PODS.path(source.pod.where)}/log"
    patience = _UNLIMITED if options.follow else _ANSWER
    params = {**query, "container": source.container}
    async with connection.stream(path, params, accept="*/*", deadline=patience) as stream:
        doing = f"{connection.name}: logs of pod {source.pod.where.name}, container {source.container}"
        if isinstance(stream, Failure):
            if stream.code == HTTPStatus.NO_CONTENT:
                return  # the Pod has no node yet, and so no log; kubectl prints nothing, either
            raise ApiFailure(stream, doing)
        try:
            async for line in split(stream, patience):
                yield line
        except TimeoutError:
            raise ApiFailure(Failure(FailureKind.TIMED_OUT, f"nothing more within {patience:g} s"), doing) from None
        except OSError as error:
            raise ApiFailure(http.unreachable(connection.endpoint.server, error), doing) from None


async def split(pieces: AsyncIterator[bytes], patience: float = _ANSWER) -> AsyncIterator[bytes]:
    """The lines of a stream, the last one also where it does not end. Raises TimeoutError, OSError."""
    pending, iterator = b"", aiter(pieces)
    while True:
        try:
            async with asyncio.timeout(patience):
                piece = await anext(iterator)
        except StopAsyncIteration:
            break
        *whole, pending = (pending + piece).split(b"\n")
        for line in whole:
            for start in range(0, max(1, len(line)), LONGEST):
                yield line[start : start + LONGEST]
        while len(pending) > LONGEST:
            yield pending[:LONGEST]
            pending = pending[LONGEST:]
    if pending:
        yield pending


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")


def _moment(stamp: bytes) -> _Stamp:
    text = stamp.decode()
    fraction = re.search(r"\.(\d+)", text)
    return times.moment(text) or _EPOCH, (fraction[1] if fraction else "").ljust(9, "0")


def _items(pod: Mapping[str, Any], part: str, section: str) -> list[Mapping[str, Any]]:
    found = (pod.get(part) or {}).get(section)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
