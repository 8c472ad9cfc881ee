"""Read the whole list of one collection, page by page, in bounded memory and without blocking the event loop.

Only one page larger than usual is read at a time from an API server. A page larger than the limit is requested again
with half as many objects, down to a single one; if that is still too large, the list fails. Between slices of a page
other tasks get their turn. An object that cannot be read is in the list nevertheless (kube.decoding), because otherwise
it would seem to be deleted.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import msgspec

from federation.core import nesting
from federation.kube import bodies, decoding
from federation.kube.connection import JSON, Answer, Connection
from federation.model import bounds
from federation.model.failures import Failure, FailureKind

T = TypeVar("T")

DEADLINE = 60.0
"""Seconds for one page."""
LONGEST_LIST = bounds.LARGEST_LIST
MOST_PAGES = bounds.MOST_PAGES
SLICE = 50
"""Objects that are decoded before other tasks get a turn."""
_SLICE_BYTES = 128 << 10
"""Bytes of objects that are decoded before other tasks get a turn."""
_ODD_COMMAS = 100_000
"""How many more commas than colons a page may have. One with more is a list of numbers or the like instead of objects,
which could need more memory than there is when it is decoded."""


class _Head(msgspec.Struct, gc=False):
    resource_version: str = msgspec.field(name="resourceVersion", default="")
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, gc=False):
    metadata: _Head
    items: list[msgspec.Raw] | None = None


_list = msgspec.json.Decoder(_List)


class Budget:
    """Counts the bytes that are kept of lists that have not ended, all those of one server together."""

    def __init__(self) -> None:
        self.buffered = 0


@dataclass(frozen=True, slots=True)
class Collection(Generic[T]):
    """What to list and watch, and how to decode it. `version` returns an object's resourceVersion.

    `largest` and `page` are the most bytes of one object and of one page. `kept` reduces an object to what is kept
    while the list is read, and returns its size in bytes (roughly). `remembered` gives the bytes that are kept of this
    collection and of all others of the same server, which share its `budget`.
    """

    path: str
    decode: decoding.Reader[T]
    version: Callable[[T], str]
    label_selector: str = ""
    field_selector: str = ""
    accept: str = JSON
    accept_list: str = JSON
    what: str = ""
    largest: int = bounds.LARGEST_OBJECT
    page: int = bounds.LARGEST_HUB_PAGE
    kept: Callable[[T], tuple[T, int]] | None = None
    remembered: Callable[[], tuple[int, int]] = lambda: (0, 0)
    budget: Budget = field(default_factory=Budget)

    def unreadable(self, error: Exception) -> Failure:
        """The Failure for an answer that cannot be decoded."""
        message = f"{self.what}: the API server's answer cannot be read: {decoding.describe(error)}"
        return Failure(FailureKind.UNEXPECTED, message)


def too_much(what: str, objects: int = 0) -> Failure:
    """The Failure of a list for which there is no room beside the server's other ones; `objects` were read of it."""
    most = f"{bounds.LARGEST_MEMBER >> 20} MiB"
    read = f" (after {objects} objects of it)" if objects else ""
    message = (
        f"{what}: there are too many labelled objects in this cluster: all its types together need more than {most}"
    )
    return Failure(FailureKind.TOO_MUCH, message + read, retry_after=bounds.LONGEST_WAIT)


class Listed(NamedTuple, Generic[T]):
    """A complete list, and its resourceVersion."""

    items: list[T]
    version: str


class Listing(Generic[T]):
    """Lists one collection, again and again. `notify` is called whenever the server has answered."""

    def __init__(self, connection: Connection, collection: Collection[T], notify: Callable[[], None]) -> None:
        self._connection = connection
        self._collection = collection
        self._notify = notify
        self._limit = bounds.PAGE
        self._budget = min(bounds.ORDINARY_PAGE, collection.page)
        self._held = 0

    def end(self) -> None:
        """What was read has been taken in, or dropped: it counts no longer."""
        self._collection.budget.buffered -= self._held
        self._held = 0

    async def read(self) -> Listed[T] | Failure:
        """The list as it is now; `end` is to be called once it is no longer needed."""
        self.end()
        what = self._collection.what
        items: list[T] = []
        pages = size = 0
        token = ""
        while True:
            answer, found = await self._page(token)
            if isinstance(answer, Failure):
                return answer
            items += found.items
            self._held += found.held
            self._collection.budget.buffered += found.held
            size += found.size
            if self._held > bounds.LARGEST_BUFFERED:
                message = f"{what}: a list of more than {len(items)} objects"
                return Failure(FailureKind.TOO_MUCH, message, retry_after=bounds.LONGEST_WAIT)
            if (
                found.held
                and self._collection.budget.buffered + self._collection.remembered()[1] > bounds.LARGEST_MEMBER
            ):
                return too_much(what, len(items))
            if not answer.continue_:
                break
            pages, token = pages + 1, answer.continue_
            if pages > MOST_PAGES or size > LONGEST_LIST:
                return Failure(FailureKind.UNEXPECTED, f"{what}: a list without an end")
            await asyncio.sleep(0)  # let others run between pages
        if not answer.resource_version:
            return Failure(FailureKind.UNEXPECTED, f"{what}: a list that names no resourceVersion")
        return Listed(items, answer.resource_version)

    async def newest(self) -> str | Failure:
        """The newest resourceVersion of the collection."""
        answer = await self._ask("", 1, self._collection.largest)
        if isinstance(answer, Failure):
            return answer
        try:
            return _list.decode(answer.body).metadata.resource_version
        except decoding.ERRORS as error:
            return self._collection.unreadable(error)

    async def _page(self, token: str) -> "tuple[_Head | Failure, _Found[T]]":
        """The next page's metadata and objects; with fewer objects than before where they are too large."""
        while True:
            alone = self._budget > bounds.ORDINARY_PAGE
            limit, budget = self._limit, self._budget
            async with self._connection.large if alone else contextlib.nullcontext():
                answer = await self._ask(token, limit, budget if limit > 1 else self._collection.largest)
                if not isinstance(answer, Failure):
                    self._notify()
                    if len(answer.body) < budget // 4:
                        self._limit = min(bounds.PAGE, limit * 2)
                    return await self._decoded(answer.body)
            if answer.reason != bodies.TOO_LONG:
                return answer, _Found([], 0, 0)
            if budget < self._collection.page:
                self._budget = self._collection.page
            elif limit > 1:
                self._limit = limit // 2
            else:
                largest = f"{self._collection.largest >> 20} MiB"
                message = f"{self._collection.what}: an object of more than {largest}, or a server that ignores limit"
                return Failure(FailureKind.UNEXPECTED, message), _Found([], 0, 0)

    async def _ask(self, token: str, limit: int, largest: int) -> Answer | Failure:
        params = {"limit": str(limit)}
        if self._collection.label_selector:
            params["labelSelector"] = self._collection.label_selector
        if self._collection.field_selector:
            params["fieldSelector"] = self._collection.field_selector
        if token:
            params["continue"] = token
        return await self._connection.request(
            "GET",
            self._collection.path,
            params=params,
            accept=self._collection.accept_list,
            deadline=DEADLINE,
            largest=largest,
        )

    async def _decoded(self, body: bytes) -> "tuple[_Head | Failure, _Found[T]]":
        items: list[T] = []
        held = since = 0
        try:
            head, raws = await _opened(body)
            for index, raw in enumerate(raws):
                try:
                    item = self._collection.decode.fast(raw)
                except decoding.ERRORS as error:
                    item = await self._collection.decode.slowly(raw, error)
                if self._collection.kept is not None:
                    item, size = self._collection.kept(item)
                    held += size
                items.append(item)
                since += len(memoryview(raw))
                if index % SLICE == SLICE - 1 or since >= _SLICE_BYTES:
                    since = 0
                    await asyncio.sleep(0)
        except decoding.ERRORS as error:
            return self._collection.unreadable(error), _Found([], 0, 0)
        return head, _Found(items, held, len(body))


class _Found(NamedTuple, Generic[T]):
    items: list[T]
    held: int
    size: int


async def _opened(body: bytes) -> tuple[_Head, list[bytes] | list[msgspec.Raw]]:
    """A page's metadata, and its objects as bytes. Raises what decoders raise."""
    if body.count(b",") <= body.count(b":") + _ODD_COMMAS:
        try:
            page = _list.decode(body)
        except decoding.ERRORS:
            pass  # an object nests so deep that the decoder cannot even skip it
        else:
            return page.metadata, page.items or []
    head, objects = await decoding.aside(len(body), nesting.members, body, "items")
    return _list.decode(nesting.pruned(head, bounds.DEEPEST_METADATA)[0]).metadata, objects
