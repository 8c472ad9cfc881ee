"""The Events of one member: those about a copy and what it owns, listed, and then followed by a watch.

A member's Events may hold anything: what is shown of one is a line of text. Only what concerns what was asked for is
kept.
"""

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from federation.core import scrubbing, times
from federation.kube.connection import Connection
from federation.model.resources import Resource
from federation.seeing import owned
from federation.seeing.labels import Matches
from federation.seeing.owned import Tree
from federation.seeing.watching import Watching

_TIMES = ("lastTimestamp", "eventTime", "firstTimestamp")
_LONGEST = 1024
"""Characters of a message, as the API server takes them at most."""
_OLDEST = dt.datetime.fromtimestamp(0, dt.UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """One Event, as a line: `about` is `pod/web-0`, `at` when it was last seen."""

    cluster: str
    uid: str
    version: str
    at: dt.datetime
    type: str
    reason: str
    about: str
    namespace: str
    message: str
    count: int = 1

    @property
    def order(self) -> tuple[Any, ...]:
        """The oldest first."""
        return self.at, self.cluster, self.about, self.reason, self.uid


@dataclass(slots=True)
class Interest:
    """Which Events are shown: those about what is in the tree, or all of the namespace where there is none ("": of
    every namespace), `since` so many seconds (0: ever), of these `types`, about what the labels `match`."""

    namespace: str
    tree: Tree | None = None
    since: float = 0.0
    types: frozenset[str] = frozenset()
    matches: Matches | None = None

    async def has(self, connection: Connection, item: Mapping[str, Any], *, look: bool) -> bool:
        """Whether an Event is shown. With `look`, what was not there when the tree was read is read by name; what is
        gone by now is nobody's. Raises ApiFailure."""
        if self.types and str(item.get("type")) not in self.types:
            return False
        if self.since and at(item) < _now(connection) - dt.timedelta(seconds=self.since):
            return False
        if self.tree is None:
            return True
        about = _about(item)
        uid = str(about.get("uid") or "")
        if look and uid and uid not in self.tree.objects and uid not in self.tree.others:
            self.tree.others.add(uid)
            resource = self._resource(about)
            if resource is not None:
                await owned.one(connection, self.tree, resource, str(about.get("name")))
        return uid in self.tree.objects and self._chosen(uid)

    def _chosen(self, uid: str) -> bool:
        return self.matches is None or (self.tree is not None and self.matches(self.tree.objects[uid].labels))

    def _resource(self, about: Mapping[str, Any]) -> Resource | None:
        kinds = self.tree.kinds if self.tree is not None else ()
        return next((each for each in kinds if each.kind == about.get("kind") and about.get("name")), None)


async def read(watching: Watching, cluster: str, interest: Interest) -> list[Event]:
    """Those that there are, the oldest first. Raises ApiFailure."""
    shown = [
        event(cluster, each)
        for each in await watching.read()
        if watching.passed(each) and await interest.has(watching.connection, each, look=False)
    ]
    return sorted(shown, key=lambda each: each.order)


async def follow(watching: Watching, cluster: str, interest: Interest) -> AsyncIterator[Event]:
    """Those that come after `read`, until it is cancelled. Raises ApiFailure where the member does not let us watch."""
    async for kind, item in watching.follow():
        if not kind and await interest.has(watching.connection, item, look=True):
            yield event(cluster, item)


def event(cluster: str, item: Mapping[str, Any]) -> Event:
    """An Event of a member as it is shown."""
    metadata, about = item["metadata"], _about(item)
    series = item.get("series")
    count = series.get("count") if isinstance(series, dict) else item.get("count")
    return Event(
        cluster=cluster,
        uid=str(metadata.get("uid") or ""),
        version=str(metadata.get("resourceVersion") or ""),
        at=at(item),
        type=scrubbing.line(str(item.get("type") or "")),
        reason=scrubbing.line(str(item.get("reason") or "")),
        about=scrubbing.line(f"{str(about.get('kind') or '').lower()}/{about.get('name') or ''}"),
        namespace=scrubbing.line(str(metadata.get("namespace") or "")),
        message=scrubbing.line(str(item.get("message") or item.get("note") or ""), _LONGEST),
        count=count if isinstance(count, int) and count > 0 else 1,
    )


def at(item: Mapping[str, Any]) -> dt.datetime:
    """When an Event was last seen."""
    series = item.get("series")
    stamps = [series.get("lastObservedTime")] if isinstance(series, dict) else []
    stamps += [item.get(name) for name in _TIMES] + [item["metadata"].get("creationTimestamp")]
    return next((found for each in stamps if (found := times.moment(each)) is not None), _OLDEST)


def _about(item: Mapping[str, Any]) -> Mapping[str, Any]:
    about = item.get("involvedObject")
    return about if isinstance(about, dict) else {}


def _now(connection: Connection) -> dt.datetime:
    """The member's own time, by which its Events are stamped."""
    clock = connection.clock
    return dt.datetime.fromtimestamp(clock, dt.UTC) if clock is not None else dt.datetime.now(dt.UTC)
