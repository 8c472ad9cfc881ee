"""List and watch one collection until cancelled, and pass everything that is observed to a sink.

This is the first step of the architecture (docs/architecture.md). Each rule comes from a fault that was seen:

- An incomplete line at the end of a watch is dropped; the next watch starts at the last resourceVersion.
- After 410, as an event or as an answer, the collection is listed again.
- A watch that brings nothing, not even a bookmark, for IDLE_LIMIT seconds is opened again.
- Every watch ends by timeoutSeconds and is opened again with the current token, because an open watch goes on even
  when its token is revoked.
- After 429 the reflector waits as long as Retry-After asks for.
- A list that fails half way changes nothing.
- An object that cannot be read (kube.decoding) is passed on as such, and all others are observed as usual.
- A server that was restored from a backup, or has another store, is noticed when its resourceVersion is older than
  ours: in a list, an event, a bookmark, and after an outage at once. Its collections are listed again then.
- After an outage of a member its collections are listed again in any case (`relists`), because the resourceVersions of
  a restored store may have overtaken ours meanwhile. The watch goes on until then; the lists of a fleet are spread.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import structlog

from federation.core import classification
from federation.kube import decoding, watchevents
from federation.kube.connection import JSON, Connection
from federation.kube.lines import lines
from federation.kube.listing import Collection, Listed, Listing, too_much
from federation.kube.sinks import GradualSink, ListingSink, Sink
from federation.kube.unreadable import Readable, Unreadable
from federation.model import bounds
from federation.model.failures import Failure, FailureKind
from federation.runtime import backoff, metrics
from federation.runtime.spacing import Spacing

T = TypeVar("T", bound=Readable)

IDLE_LIMIT = 85.0
"""Seconds of silence after which a watch is opened again, for a dead connection to be noticed within 90. Built-in types
send a bookmark every 60 s, custom ones every 120 s."""
_AWAY = {FailureKind.UNREACHABLE, FailureKind.UNAVAILABLE, FailureKind.TIMED_OUT, FailureKind.UNTRUSTED}
WATCH_SECONDS = (240, 360)
QUIET_WATCH_SECONDS = (60, 80)
"""The same for a collection that has been silent for IDLE_LIMIT: a quiet custom type. The server ends the watch before
we do, so its connection is used for the next one; a new one would cost a TLS handshake for every type and member."""
SLOW = 15.0
SHORTEST_WATCH = 1.0
_MEANINGLESS = {FailureKind.UNEXPECTED, FailureKind.INVALID}
"""Answers to a watch whose resourceVersion the server does not know (an aggregated API that counts from the start
again): the collection is listed, as client-go does, because the same watch would be refused for ever."""
HASTY_WATCHES = 5
EARLY = 5.0
"""A watch that ends more than so many seconds before timeoutSeconds was ended for a reason: when a
CustomResourceDefinition changes, the server ends all watches of its type."""

BACK_AGAIN = 60.0
"""Seconds within which a watch is ended once because of an event that is older than the one before: there are
aggregated APIs whose versions have no order."""

BURST = 200
"""Events that are handled before other tasks get a turn."""
_ENVELOPE = 1_000
"""Bytes of an event beside its object."""

OnChange = Callable[[Any], None]
"""Called with the reflector when it first succeeds, begins or ceases to fail, fails for another reason, or sees that
the server has gone back in time."""
OnEnd = Callable[[], None]
"""Called when the server ends a watch early and without an error, as it does when the type's definition has changed."""

Before = Callable[[], Awaitable[None]]
"""Awaited between a list and the watch that goes on from it: other lists may be more urgent."""

log = structlog.get_logger()


async def at_once() -> None:
    """Nothing is more urgent."""


class Reflector(Generic[T]):
    """One list+watch loop. `run` ends only by cancellation."""

    def __init__(
        self,
        connection: Connection,
        collection: Collection[T],
        sink: Sink[T],
        *,
        on_change: OnChange | None = None,
        on_end: OnEnd | None = None,
        before_watch: Before = at_once,
        roll: Callable[[], float] = random.random,
        relists: Spacing | None = None,
        kept: Listed[T] | None = None,
    ) -> None:
        """`kept` is taken in instead of the first list: what another reflector has observed of the same collection."""
        self.collection = collection
        self.synced = False
        """Whether the sink has got a complete list since `run` began."""
        self.failure: Failure | None = None
        """Why the collection cannot be observed now; None while a watch is open."""
        self.contact = time.monotonic()
        """When the server last sent anything for this collection (monotonic seconds)."""
        self.open = False
        """Whether a watch is open now."""
        self.breaks = 0
        """How often contact was lost: a watch that broke, or a request that failed."""
        self.since = time.monotonic()
        """Since when contact has not been lost (monotonic seconds)."""
        self.restored = 0
        """How often it was seen that the server has gone back in time; `on_change` is called then, too."""
        self._connection = connection
        self._sink = sink
        self._on_change = on_change
        self._on_end = on_end
        self._before_watch = before_watch
        self._roll = roll
        self._relists = relists
        self._kept = kept
        self._version = self._last = ""
        """The resourceVersion that the watch goes on from, "" where a list is needed; and the one held before that."""
        self._went_back_at = float("-inf")
        self._due: float | None = None
        self._quiet = False
        """Whether the collection, since it was listed, was silent for IDLE_LIMIT."""
        self._listing = Listing(connection, collection, self._contacted)
        self._unreadable = Unreadable(connection.name, collection.what)
        self._kick = asyncio.Event()
        self._failures = self._expired = 0
        self._opened = -1.0
        self._away = self._again = False
        self._watching: asyncio.Timeout | None = None
        self._lost = True
        self._reported = False
        self._events = metrics.WATCH_EVENTS.labels(connection.name)
        self._events_of_type = metrics.TYPE_WATCH_EVENTS.labels(collection.what)

    @property
    def version(self) -> str:
        """The resourceVersion up to which the collection was observed; "" where a list is needed."""
        return self._version

    def _contacted(self) -> None:
        self.contact = time.monotonic()

    def kick(self) -> None:
        """Try again at once: something has changed that may help (the type was installed, rights were granted)."""
        self._kick.set()

    def renew(self) -> None:
        """List again: what was observed may be of a store that is no more.

        Where lists are spread (`relists`) soon, and the watch goes on until then; else at once.
        """
        if self._relists is None:
            self._kept = None
            self._again = True
            self.breaks += 1  # what it has shown until now proves nothing
            self._kick.set()
            if self._watching is not None:
                self._watching.reschedule(0.0)
        elif self._due is None and self._version:
            self._due = self._relists.next()
            if self._watching is not None:
                self._watching.reschedule(self._due)

    async def run(self) -> None:
        """Observe the collection until cancelled."""
        while True:
            began = time.monotonic()
            listing = self._again or not self._version
            try:
                failure = await (self._relist() if listing else self._watched())
            finally:
                self.open = False
            if failure is not None:
                self.breaks += 1
                self._lost = True
            if failure is None and listing:
                await self._before_watch()
                continue  # open its watch, however long the server was away before
            if self._opened >= began and time.monotonic() - self._opened > SHORTEST_WATCH:
                self._failures = self._expired = 0  # it was open for a while, so failures in a row are counted anew
                if failure is None:
                    continue
            if failure is None:
                # Do not send requests in a loop to a server that ends every watch at once.
                self._failures += 1
                if self._failures > HASTY_WATCHES:
                    await self._rest(
                        Failure(FailureKind.UNAVAILABLE, "the server ends watches as soon as they are opened")
                    )
                continue
            if failure.kind is FailureKind.EXPIRED:
                self._forget()
                metrics.RELISTS.labels(self._connection.name, "expired").inc()
                self._expired += 1
                self._failures = self._expired  # the server answers, so failures of the outage before do not count
                if self._expired == 1:
                    continue  # wait only if it happens again
            elif failure.kind in _MEANINGLESS:
                self._forget()
            self._away = self._away or (self._opened < began and failure.kind in _AWAY)
            await self._rest(failure)

    async def _rest(self, failure: Failure) -> None:
        if self.failure is None or self.failure.kind is not failure.kind:
            # That a member is away is logged for the whole cluster; that the hub is away is logged only here.
            away = failure.kind in _AWAY and self._connection.name != metrics.HUB
            (log.info if away else log.warning)(
                "watch waits", cluster=self._connection.name, resource=self.collection.what, reason=failure.message
            )
        self._report(failure)
        wait = backoff.delay(self._failures, base=0.2, cap=30.0, roll=self._roll)
        self._failures += 1
        if failure.retry_after is not None:
            wait = max(failure.retry_after, bounds.SHORTEST_WAIT) * (1 + self._roll() / 4)
        elif failure.kind in {FailureKind.TYPE_MISSING, FailureKind.RIGHT_MISSING}:
            wait = min(wait * 4, SLOW)
        try:
            async with asyncio.timeout(wait):
                await self._kick.wait()  # a kick that came during the request counts, too
        except TimeoutError:
            return
        finally:
            self._kick.clear()

    def _report(self, failure: Failure | None) -> None:
        changed = (self.failure is None) != (failure is None) or (
            failure is not None and self.failure is not None and failure.kind is not self.failure.kind
        )
        changed = changed or not self._reported  # a failure of the reflector before this one may still be recorded
        self.failure, self._reported = failure, True
        if changed and self._on_change is not None:
            self._on_change(self)

    async def _older(self) -> str:
        """The server's resourceVersion where it is older than ours: then it was restored from a backup. Else "".

        Such a server accepts a watch from a version in its future, and sends nothing until that is reached.
        """
        version = await self._listing.newest()
        if isinstance(version, Failure):
            return ""  # checked again when the next watch is opened
        self._away = False
        return version if watchevents.earlier(version, self._version) else ""

    async def _is_older(self) -> bool:
        """After an outage: whether the server is to be listed at once; a member is listed in any case, if later."""
        if older := await self._older():
            self._went_back(older, self._version)
            return True
        if self._relists is not None:
            self.renew()
        return False

    def _forget(self) -> None:
        """A list is needed, which should not be older than this."""
        self._last, self._version = self._version or self._last, ""

    def _went_back(self, version: str, before: str) -> None:
        """The server has shown a version that is older than what it had shown before."""
        self._version = self._last = ""
        self._went_back_at = time.monotonic()
        self.restored += 1
        metrics.RELISTS.labels(self._connection.name, "restored").inc()
        log.warning(
            "the server has gone back in time",
            cluster=self._connection.name,
            resource=self.collection.what,
            version=version,
            before=before,
        )
        if self._on_change is not None:
            self._on_change(self)

    async def _watched(self) -> Failure | None:
        """`_watch`, until the list is to be read again."""
        try:
            async with asyncio.timeout_at(self._due) as self._watching:
                return await self._watch()
        except TimeoutError:
            if self._watching is None or not self._watching.expired():
                raise
            metrics.RELISTS.labels(self._connection.name, "renewed").inc()
            self._forget()
            return None
        finally:
            self._watching = None

    async def _relist(self) -> Failure | None:
        self._again = False
        if isinstance(self._sink, ListingSink):
            self._sink.listing()
        kept, self._kept = self._kept, None
        try:
            return await self._take(kept if kept is not None else await self._listing.read())
        finally:
            self._listing.end()

    async def _take(self, listed: Listed[T] | Failure) -> Failure | None:
        if isinstance(listed, Failure):
            return listed
        for item in listed.items:
            if item.broken:
                self._unreadable.note(item)
        if isinstance(self._sink, ListingSink):
            self._sink.listed(listed.version)
        if isinstance(self._sink, GradualSink):
            for _ in self._sink.replacing(listed.items):
                await asyncio.sleep(0)
        else:
            self._sink.replace(listed.items)
        before, self._last, self._due = self._last, "", None
        if watchevents.earlier(listed.version, before):
            self._went_back(listed.version, before)
        self._version = listed.version  # only now: if the sink fails, the list is read again
        self._quiet = False
        self.synced = True
        self._away = False
        self._report(None)
        return None

    def _has_room(self) -> bool:
        """Whether what is kept of the server is not more than is kept of one."""
        return sum(self.collection.remembered()) <= bounds.LARGEST_MEMBER

    async def _watch(self) -> Failure | None:
        if not self._has_room():
            self._forget()  # a list shows when there is less
            return too_much(self.collection.what)
        shortest, longest = QUIET_WATCH_SECONDS if self._quiet else WATCH_SECONDS
        seconds = shortest + int(self._roll() * (longest - shortest))
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(seconds),
        }
        if self.collection.label_selector:
            params["labelSelector"] = self.collection.label_selector
        if self.collection.field_selector:
            params["fieldSelector"] = self.collection.field_selector
        async with self._connection.stream(self.collection.path, params, accept=self.collection.accept) as stream:
            if isinstance(stream, Failure):
                return stream
            if self._away and await self._is_older():
                return None
            self._report(None)
            self.contact = self._opened = time.monotonic()
            self.open = True
            if self._lost:
                self._lost, self.since = False, self._opened
            seen = 0
            async for line in lines(stream, IDLE_LIMIT, self.collection.largest + _ENVELOPE):
                if isinstance(line, Failure):
                    self._quiet = self._quiet or line.kind is FailureKind.TIMED_OUT
                    return line if line.kind is not FailureKind.TIMED_OUT else None
                self.contact = time.monotonic()
                failure = await self._observe(line)
                if failure is not None or not self._version:
                    return failure
                seen += 1
                if seen % BURST == 0:
                    if not self._has_room():
                        return None  # which the next one reports
                    await asyncio.sleep(0)  # thousands of events may be buffered
            if self._on_end is not None and time.monotonic() - self._opened < seconds - EARLY:
                self._on_end()
        return None

    async def _observe(self, line: bytes) -> Failure | None:
        try:
            try:
                event = watchevents.event.decode(line)
                if event.type == "BOOKMARK":
                    self._advance(watchevents.bookmark.decode(event.object).metadata.resource_version)
                    return None
                if event.type == "ERROR":
                    status = watchevents.error.decode(event.object)
                    return classification.classify(status.code or 500, JSON, bytes(event.object), secret=False)
                item = self.collection.decode.fast(event.object)
            except decoding.ERRORS as error:
                event, item = await watchevents.slowly(line, self.collection.decode, error)
        except decoding.ERRORS as error:
            self._forget()  # an event is lost: list again
            return self.collection.unreadable(error)
        self._events.inc()
        self._events_of_type.inc()
        self._failures = self._expired = 0
        version = self.collection.version(item)
        if item.broken:
            self._unreadable.note(item)
        if event.type == "DELETED":
            self._sink.remove(item)
        else:
            self._sink.upsert(item)
        if version:  # if it cannot be read, the last one stays, and later events are sent once more
            self._advance(version)
        return None

    def _advance(self, version: str) -> None:
        """The watch has come to this version; one that has come back has shown another store."""
        before, self._version = self._version, version
        if watchevents.earlier(version, before) and time.monotonic() - self._went_back_at > BACK_AGAIN:
            self._went_back(version, before)
