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
- After an outage the server's resourceVersion is compared with ours: the server may have been restored from a backup.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import msgspec
import structlog

from federation.core import classification, nesting, scrubbing
from federation.kube import decoding
from federation.kube.connection import JSON, Connection
from federation.kube.listing import Collection, Listed, Listing, too_much
from federation.model import bounds
from federation.model.failures import Failure, FailureKind
from federation.runtime import backoff, metrics
from federation.runtime.patience import Patience


class Readable(Protocol):
    """What decoders make of an object."""

    @property
    def broken(self) -> str:
        """Why it cannot be read; "" where it can."""


T = TypeVar("T", bound=Readable)
T_contra = TypeVar("T_contra", contravariant=True)

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

BURST = 200
"""Events that are handled before other tasks get a turn."""
MOST_NOTED = 1_000
_ENVELOPE = 1_000
"""Bytes of an event beside its object."""
_LONGEST_VERSION = 20
_ABOUT_OBJECTS = frozenset({"ADDED", "MODIFIED", "DELETED"})

OnChange = Callable[[Any], None]
"""Called with the reflector when it first succeeds, begins or ceases to fail, or fails for another reason."""
OnEnd = Callable[[], None]
"""Called when the server ends a watch early and without an error, as it does when the type's definition has changed."""

Before = Callable[[], Awaitable[None]]
"""Awaited between a list and the watch that goes on from it: other lists may be more urgent."""

log = structlog.get_logger()


async def at_once() -> None:
    """Nothing is more urgent."""


class Sink(Protocol[T_contra]):
    """What receives the observations: a store with its triggers."""

    def replace(self, items: Iterable[T_contra]) -> None:
        """A complete list has been read: there are these objects and no others."""

    def upsert(self, item: T_contra) -> None:
        """An object appeared or changed."""

    def remove(self, item: T_contra) -> None:
        """An object is gone, or does not match the selector any more; `item` is its last state."""


@runtime_checkable
class GradualSink(Protocol[T_contra]):
    """A sink that takes in a long list in steps, between which other tasks have their turn."""

    def replacing(self, items: Iterable[T_contra]) -> Iterator[None]:
        """`replace`, a step at a time. One that is not brought to its end is followed by another."""


@runtime_checkable
class ListingSink(Protocol):
    """A sink that learns of its objects from elsewhere, too, and may know something newer than the list."""

    def listing(self) -> None:
        """A list begins; `listed` follows, or this again."""

    def listed(self, version: str) -> None:
        """It has ended, and shows the collection as of this resourceVersion; `replace` follows at once."""


class _Event(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


class _Version(msgspec.Struct, gc=False):
    resource_version: str = msgspec.field(name="resourceVersion", default="")


class _Bookmark(msgspec.Struct, gc=False):
    metadata: _Version


class _ErrorStatus(msgspec.Struct, gc=False):
    code: int = 0
    message: str = ""


_event = msgspec.json.Decoder(_Event)
_bookmark = msgspec.json.Decoder(_Bookmark)
_error = msgspec.json.Decoder(_ErrorStatus)


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
    ) -> None:
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
        self._connection = connection
        self._sink = sink
        self._on_change = on_change
        self._on_end = on_end
        self._before_watch = before_watch
        self._roll = roll
        self._version = ""
        self._quiet = False
        """Whether the collection, since it was listed, was silent for IDLE_LIMIT."""
        self._listing = Listing(connection, collection, self._contacted)
        self._noted: set[str] = set()
        self._kick = asyncio.Event()
        self._failures = self._expired = 0
        self._opened = -1.0
        self._away = self._again = False
        self._watching: asyncio.Timeout | None = None
        self._lost = True
        self._reported = False
        self._events = metrics.WATCH_EVENTS.labels(connection.name)
        self._events_of_type = metrics.TYPE_WATCH_EVENTS.labels(collection.what)

    def _contacted(self) -> None:
        self.contact = time.monotonic()

    def kick(self) -> None:
        """Try again at once: something has changed that may help (the type was installed, rights were granted)."""
        self._kick.set()

    def renew(self) -> None:
        """List again, at once: what was observed may be of a store that is no more."""
        self._again = True
        self.breaks += 1  # what it has shown until now proves nothing
        self._kick.set()
        if self._watching is not None:
            self._watching.reschedule(0.0)

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
                self._version = ""
                metrics.RELISTS.labels(self._connection.name, "expired").inc()
                self._expired += 1
                self._failures = self._expired  # the server answers, so failures of the outage before do not count
                if self._expired == 1:
                    continue  # wait only if it happens again
            elif failure.kind in _MEANINGLESS:
                self._version = ""
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

    async def _restored(self) -> bool:
        """Whether the server's resourceVersion is older than ours: then it was restored from a backup.

        Such a server accepts a watch from a version in its future, and sends nothing until that is reached.
        """
        version = await self._listing.newest()
        if isinstance(version, Failure):
            return False  # checked again when the next watch is opened
        self._away = False
        return _counted(version) and _counted(self._version) and int(version) < int(self._version)

    async def _watched(self) -> Failure | None:
        """`_watch`, unless it is ended because the list is to be read again."""
        try:
            async with asyncio.timeout(None) as self._watching:
                return await self._watch()
        except TimeoutError:
            return None
        finally:
            self._watching = None

    async def _relist(self) -> Failure | None:
        self._again = False
        if isinstance(self._sink, ListingSink):
            self._sink.listing()
        try:
            return await self._take(await self._listing.read())
        finally:
            self._listing.end()

    async def _take(self, listed: Listed[T] | Failure) -> Failure | None:
        if isinstance(listed, Failure):
            return listed
        for item in listed.items:
            if item.broken:
                self._note(item)
        if isinstance(self._sink, ListingSink):
            self._sink.listed(listed.version)
        if isinstance(self._sink, GradualSink):
            for _ in self._sink.replacing(listed.items):
                await asyncio.sleep(0)
        else:
            self._sink.replace(listed.items)
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
            self._version = ""  # a list shows when there is less
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
        async with self._connection.stream(self.collection.path, params, accept=self.collection.accept) as stream:
            if isinstance(stream, Failure):
                return stream
            if self._away and await self._restored():
                metrics.RELISTS.labels(self._connection.name, "restored").inc()
                self._version = ""
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
                if failure is not None:
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
                event = _event.decode(line)
                if event.type == "BOOKMARK":
                    self._version = _bookmark.decode(event.object).metadata.resource_version
                    return None
                if event.type == "ERROR":
                    status = _error.decode(event.object)
                    return classification.classify(status.code or 500, JSON, bytes(event.object), secret=False)
                item = self.collection.decode.fast(event.object)
            except decoding.ERRORS as error:
                event, item = await self._observe_slowly(line, error)
        except decoding.ERRORS as error:
            self._version = ""  # an event is lost: list again
            return self.collection.unreadable(error)
        self._events.inc()
        self._events_of_type.inc()
        self._failures = self._expired = 0
        version = self.collection.version(item)
        self._note(item)
        if event.type == "DELETED":
            self._sink.remove(item)
        else:
            self._sink.upsert(item)
        if version:  # if it cannot be read, the last one stays, and later events are sent once more
            self._version = version
        return None

    async def _observe_slowly(self, line: bytes, error: Exception) -> tuple[_Event, T]:
        """An event about an object that does not fit. Raises what decoders raise when it is not an event at all."""
        depth = self.collection.decode.depth + 2  # one for the event around it, one so that too deep is still noticed
        event = _event.decode((await decoding.aside(len(line), nesting.pruned, line, depth))[0])
        if event.type not in _ABOUT_OBJECTS:
            raise error
        return event, await self.collection.decode.slowly(event.object, error)

    def _note(self, item: T) -> None:
        """Log once that an object cannot be read; the consequence is reported in its own status."""
        if not item.broken:
            return
        metadata: Any = getattr(item, "metadata", item)
        name = f"{metadata.namespace}/{metadata.name}".removeprefix("/")
        if name in self._noted:
            return
        if len(self._noted) < MOST_NOTED:
            self._noted.add(name)
            metrics.UNREADABLE.labels(self._connection.name, self.collection.what).inc()
            log.warning(
                "object cannot be read",
                cluster=self._connection.name,
                resource=self.collection.what,
                object=scrubbing.line(name),
                reason=item.broken,
            )


def _counted(version: str) -> bool:
    return version.isdecimal() and len(version) <= _LONGEST_VERSION


async def lines(
    chunks: AsyncIterator[bytes], idle: float, longest: int = bounds.LARGEST_OBJECT
) -> AsyncIterator[bytes | Failure]:
    """The complete lines of a stream; an incomplete last one is dropped.

    Ends with a Failure when nothing came for `idle` seconds (TIMED_OUT), when the connection broke, or when a line is
    longer than `longest` bytes, as no object is.
    """
    pending: list[bytes] = []
    size = 0
    iterator = aiter(chunks)
    while True:
        try:
            with Patience(idle):
                chunk = await anext(iterator)
        except StopAsyncIteration:
            return
        except TimeoutError:
            yield classification.timed_out(idle)
            return
        except OSError as error:
            yield classification.unreachable(f"the watch broke: {type(error).__name__}")
            return
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            pending.append(chunk[start:end])
            line = b"".join(pending)
            pending.clear()
            size = 0
            start = end + 1
            if line:
                yield line
        if start < len(chunk):
            pending.append(chunk[start:])
            size += len(chunk) - start
            if size > longest:
                yield Failure(FailureKind.UNEXPECTED, f"a watch event of more than {longest / (1 << 20):g} MiB")
                return
