"""List and watch one collection for as long as somebody cares, and keep a sink in step with it.

The first step of an event's road. Its rules, each from a fault that was seen: a fragment of a line is dropped and the
watch resumes from the last resourceVersion; 410, as an event or an answer, lists again from nothing; a server that
says nothing, not even a bookmark, for IDLE_LIMIT seconds is asked again; every watch ends by timeoutSeconds, so that
it is opened again with the current token (an open watch outlives a revoked one); 429 waits as told; a list that ends
half way changes nothing; after an outage the server's count is compared with ours, for it may have been restored from
a backup.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import aiohttp
import msgspec
import structlog

from federation.core import failures
from federation.kube.connection import JSON, Connection
from federation.model.failures import Failure, FailureKind
from federation.runtime import backoff, metrics

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

IDLE_LIMIT = 85.0
"""Seconds of silence after which a watch is opened again. Built-in types send a bookmark every 60 s, custom ones every
120 s: for those a quiet watch is re-opened (not listed again) every 85 s, the price of noticing a dead path in 90."""
_AWAY = {FailureKind.UNREACHABLE, FailureKind.UNAVAILABLE, FailureKind.TIMED_OUT, FailureKind.UNTRUSTED}
LONGEST_LINE = 64 << 20
LONGEST_LIST = 4 << 30
"""Bytes of all pages; a list that goes on for ever must not fill our memory."""
MOST_PAGES = 20_000
PAGE = "500"
WATCH_SECONDS = (240, 360)
SLOW = 15.0
SHORTEST_WATCH = 1.0
_MEANINGLESS = {FailureKind.UNEXPECTED, FailureKind.INVALID}
"""Answers to a watch that say its resourceVersion means nothing to this server (an aggregated API that starts its count
anew): it is listed again, as client-go does, for the same question would be refused for ever."""
HASTY_WATCHES = 5
EARLY = 5.0
"""Seconds before its time at which the end of a watch means something: a new CustomResourceDefinition ends them all."""

OnChange = Callable[[Any], None]
"""Called with the reflector when it first succeeds, begins or ceases to fail, or fails for another reason."""
OnEnd = Callable[[], None]
"""Called when the server ends a watch early and in good order, as it does when the type's definition has changed."""

log = structlog.get_logger()


class Sink(Protocol[T_contra]):
    """Whoever remembers: a store with its triggers."""

    def replace(self, items: Iterable[T_contra]) -> None:
        """A complete list has been read: this is all there is."""

    def upsert(self, item: T_contra) -> None:
        """An object appeared or changed."""

    def remove(self, item: T_contra) -> None:
        """An object is gone, or does not match the selector any more; `item` is its last state."""


class _Head(msgspec.Struct, gc=False):
    resource_version: str = msgspec.field(name="resourceVersion", default="")
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, gc=False):
    metadata: _Head
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


class _Bookmark(msgspec.Struct, gc=False):
    metadata: _Head


class _ErrorStatus(msgspec.Struct, gc=False):
    code: int = 0
    message: str = ""


_list = msgspec.json.Decoder(_List)
_event = msgspec.json.Decoder(_Event)
_bookmark = msgspec.json.Decoder(_Bookmark)
_error = msgspec.json.Decoder(_ErrorStatus)


@dataclass(frozen=True, slots=True)
class Collection(Generic[T]):
    """What to watch and how to read it. `decode` takes one object's JSON; `version` names its resourceVersion."""

    path: str
    decode: Callable[[bytes | msgspec.Raw], T]
    version: Callable[[T], str]
    label_selector: str = ""
    accept: str = JSON
    accept_list: str = JSON
    what: str = ""


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
        roll: Callable[[], float] = random.random,
    ) -> None:
        self.collection = collection
        self.synced = False
        """The sink has held a complete list at least once since `run` began."""
        self.failure: Failure | None = None
        """Why the collection cannot be followed now; None while a watch is open."""
        self.contact = time.monotonic()
        """When the server last said anything on this collection (monotonic seconds)."""
        self._connection = connection
        self._sink = sink
        self._on_change = on_change
        self._on_end = on_end
        self._roll = roll
        self._version = ""
        self._kick = asyncio.Event()
        self._failures = self._expired = 0
        self._opened = -1.0
        self._away = False
        self._told = False
        labels = (connection.name, collection.what)
        self._events = metrics.WATCH_EVENTS.labels(*labels)

    def kick(self) -> None:
        """Something changed that may help (the type appeared, rights were granted): do not sit out the wait."""
        self._kick.set()

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        while True:
            began = time.monotonic()
            listing = not self._version
            failure = await (self._relist() if listing else self._watch())
            if failure is None and listing:
                continue  # straight on to its watch, however long the server was away before
            if self._opened >= began and time.monotonic() - self._opened > SHORTEST_WATCH:
                self._failures = self._expired = 0  # it was open for a while: whatever ended it is no failure in a row
                if failure is None:
                    continue
            if failure is None:
                # A server that ends watches at once must not be asked in a loop.
                self._failures += 1
                if self._failures > HASTY_WATCHES:
                    await self._rest(
                        Failure(FailureKind.UNAVAILABLE, "the server ends watches as soon as they are opened")
                    )
                continue
            if failure.kind is FailureKind.EXPIRED:
                self._version = ""
                metrics.RELISTS.labels(self._connection.name, self.collection.what, "expired").inc()
                self._expired += 1
                self._failures = self._expired  # it answers: what an outage has counted says nothing any more
                if self._expired == 1:
                    continue  # the first time there is no reason to wait
            elif failure.kind in _MEANINGLESS:
                self._version = ""
            self._away = self._away or (self._opened < began and failure.kind in _AWAY)
            await self._rest(failure)

    async def _rest(self, failure: Failure) -> None:
        if self.failure is None or self.failure.kind is not failure.kind:
            log.info(
                "watch waits", cluster=self._connection.name, resource=self.collection.what, reason=failure.message
            )
        self._tell(failure)
        wait = backoff.delay(self._failures, base=0.2, cap=30.0, roll=self._roll)
        self._failures += 1
        if failure.retry_after is not None:
            wait = failure.retry_after * (1 + self._roll() / 4)
        elif failure.kind in {FailureKind.TYPE_MISSING, FailureKind.RIGHT_MISSING}:
            wait = min(wait * 4, SLOW)
        try:
            async with asyncio.timeout(wait):
                await self._kick.wait()  # a kick that came while the request was under way counts, too
        except TimeoutError:
            return
        finally:
            self._kick.clear()

    def _tell(self, failure: Failure | None) -> None:
        changed = (self.failure is None) != (failure is None) or (
            failure is not None and self.failure is not None and failure.kind is not self.failure.kind
        )
        changed = changed or not self._told  # another reflector's failure may still be on record
        self.failure, self._told = failure, True
        if changed and self._on_change is not None:
            self._on_change(self)

    async def _restored(self) -> bool:
        """After an outage: does the server count from an older version on, for it was restored from a backup?

        It takes a watch from a version that is still to come, and keeps silent until it is reached.
        """
        params = {"limit": "1"}
        if self.collection.label_selector:
            params["labelSelector"] = self.collection.label_selector
        answer = await self._connection.request(
            "GET", self.collection.path, params=params, accept=self.collection.accept_list
        )
        if isinstance(answer, Failure):
            return False  # the next watch asks again
        try:
            version = _list.decode(answer.body).metadata.resource_version
        except msgspec.MsgspecError:
            return False
        self._away = False
        return version.isdecimal() and self._version.isdecimal() and int(version) < int(self._version)

    async def _relist(self) -> Failure | None:
        items: list[T] = []
        pages = size = 0
        params = {"limit": PAGE}
        if self.collection.label_selector:
            params["labelSelector"] = self.collection.label_selector
        while True:
            answer = await self._connection.request(
                "GET", self.collection.path, params=params, accept=self.collection.accept_list, deadline=60.0
            )
            if isinstance(answer, Failure):
                return answer
            try:
                page = _list.decode(answer.body)
                items.extend(self.collection.decode(raw) for raw in page.items or ())
            except msgspec.MsgspecError as error:
                return _unreadable(self.collection, error)
            self.contact = time.monotonic()
            if not page.metadata.continue_:
                break
            pages, size = pages + 1, size + len(answer.body)
            if pages > MOST_PAGES or size > LONGEST_LIST:
                return Failure(FailureKind.UNEXPECTED, f"{self.collection.what}: a list without an end")
            params["continue"] = page.metadata.continue_
            await asyncio.sleep(0)  # let others run between pages
        if not page.metadata.resource_version:
            return Failure(FailureKind.UNEXPECTED, f"{self.collection.what}: a list that names no resourceVersion")
        self._sink.replace(items)
        self._version = page.metadata.resource_version  # only now: a sink that fails must get the list again
        self.synced = True
        self._away = False
        self._tell(None)
        return None

    async def _watch(self) -> Failure | None:
        seconds = WATCH_SECONDS[0] + int(self._roll() * (WATCH_SECONDS[1] - WATCH_SECONDS[0]))
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
                metrics.RELISTS.labels(self._connection.name, self.collection.what, "restored").inc()
                self._version = ""
                return None
            self._tell(None)
            self.contact = self._opened = time.monotonic()
            async for line in lines(stream.iter_any(), IDLE_LIMIT):
                if isinstance(line, Failure):
                    return line if line.kind is not FailureKind.TIMED_OUT else None
                self.contact = time.monotonic()
                failure = self._hear(line)
                if failure is not None:
                    return failure
            if self._on_end is not None and time.monotonic() - self._opened < seconds - EARLY:
                self._on_end()
        return None

    def _hear(self, line: bytes) -> Failure | None:
        try:
            event = _event.decode(line)
            if event.type == "BOOKMARK":
                self._version = _bookmark.decode(event.object).metadata.resource_version
                return None
            if event.type == "ERROR":
                status = _error.decode(event.object)
                return failures.classify(status.code or 500, JSON, bytes(event.object), secret=False)
            item = self.collection.decode(event.object)
        except msgspec.MsgspecError as error:
            self._version = ""  # what was in that line is unknown: list again
            return _unreadable(self.collection, error)
        self._events.inc()
        self._failures = self._expired = 0
        version = self.collection.version(item)
        if event.type == "DELETED":
            self._sink.remove(item)
        else:
            self._sink.upsert(item)
        self._version = version
        return None


async def lines(chunks: AsyncIterator[bytes], idle: float) -> AsyncIterator[bytes | Failure]:
    """Whole lines of a stream; a last fragment without its newline is dropped.

    Ends with a Failure when nothing came for `idle` seconds (TIMED_OUT), the connection broke, or a line is longer
    than any object can be.
    """
    pending: list[bytes] = []
    size = 0
    iterator = aiter(chunks)
    while True:
        try:
            async with asyncio.timeout(idle):
                chunk = await anext(iterator)
        except StopAsyncIteration:
            return
        except TimeoutError:
            yield failures.timed_out(idle)
            return
        except (aiohttp.ClientError, OSError) as error:
            yield failures.unreachable(f"the watch broke: {type(error).__name__}")
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
            if size > LONGEST_LINE:
                yield Failure(FailureKind.UNEXPECTED, f"a watch event longer than {LONGEST_LINE >> 20} MiB")
                return


def _unreadable(collection: Collection[Any], error: Exception) -> Failure:
    return Failure(FailureKind.UNEXPECTED, f"{collection.what}: the API server's answer cannot be read: {error}")
