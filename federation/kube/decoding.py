"""Decode what API servers answer: only the fields that are needed, each object by itself.

The fast way decodes into our structs. An object that does not fit (it nests too deep for any decoder, has a number
where text should be, is not UTF-8) is decoded again in a slow way, which keeps its name, as much of its metadata as can
be read, and the reason why the rest cannot be. So one malformed object is recorded as such, and does not fail the list
or watch that it is in. msgspec.MsgspecError is raised only where not even a name can be found.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
import orjson

from federation.core import managedfields, nesting, remotestatus, scrubbing
from federation.core.managedfields import BrokenPartialMetadata, PartialMetadata, PartialObject
from federation.core.remotestatus import WholeCopy
from federation.model import bounds, marks
from federation.model.federated import BrokenMetadata, DatedMetadata, FederatedObject, Metadata, StoredObject
from federation.model.resources import Resource
from federation.model.statusrules import StatusCollection

T = TypeVar("T")
R = TypeVar("R")

Content = bytes | msgspec.Raw
ERRORS = (ValueError, RecursionError, OverflowError)
"""What decoders raise: MsgspecError and UnicodeDecodeError are ValueErrors."""
_LONG = 256 << 10
"""Bytes from which on the slow way runs in a thread, so that it does not block the event loop."""
_NULL = re.compile(rb'"\s*:\s*null\b')
"""In a field set null stands only where something was cut out."""
_LONGEST_NUMBER = 25
_MOST_VALUES = 300_000
"""Of one object: more than an object of 1.5 MiB, the largest that etcd stores, can have."""
_AT_LEAST = 1_000
"""Bytes that an object's metadata takes beside its field sets."""
_TOO_DEEP = f"it nests deeper than {bounds.DEEPEST} levels"


class _Notes(msgspec.Struct, gc=False):
    labels: msgspec.Raw = msgspec.Raw()
    annotations: msgspec.Raw = msgspec.Raw()


class _MetadataOnly(msgspec.Struct, gc=False):
    metadata: DatedMetadata


class _OutlineMetadata(PartialMetadata, frozen=True, rename="camel", gc=False):
    managed_fields: msgspec.Raw = msgspec.Raw()  # type: ignore[assignment]


class _Outline(msgspec.Struct, gc=False):
    """A PartialObject whose managedFields are not decoded yet."""

    metadata: _OutlineMetadata


_IDENTITY = [name for name in PartialMetadata.__struct_fields__ if name != "managed_fields"]


class _Stored(msgspec.Struct, gc=False):
    metadata: DatedMetadata
    spec: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()
    data: dict[str, str] = {}
    type: str = ""


class _Uncounted(ValueError):
    """The object is so long that its parts are to be counted before it is decoded."""


class Reader(Generic[T]):
    """Reads one kind of object.

    `fast` decodes an object that fits. `slow` gets the decoded map of one that does not, and the reason why `fast`
    failed; of a long object, what is deeper than `needed` is cut out before. `pruned`, for objects of which no nested
    field is needed, decodes what is left once everything deeper than `depth` has been cut out.
    """

    def __init__(
        self,
        fast: Callable[[Content], T],
        slow: Callable[[Mapping[str, Any], str], T],
        depth: int,
        *,
        pruned: Callable[[bytes], T] | None = None,
        needed: int = 0,
    ) -> None:
        self.fast = fast
        self.depth = depth
        self._slow = slow
        self._pruned = pruned
        self._needed = needed

    def then(self, change: Callable[[T], T]) -> "Reader[T]":
        """The same reader, with `change` applied to every object that `fast` decodes."""
        return Reader(
            lambda content: change(self.fast(content)),
            self._slow,
            self.depth,
            pruned=self._pruned,
            needed=self._needed,
        )

    def __call__(self, content: Content) -> T:
        """The object. Raises MsgspecError when the content is not an object with a name."""
        try:
            return self.fast(content)
        except ERRORS as error:
            return self._slowly(bytes(content), error)

    async def read(self, content: Content) -> T:
        """The same, without blocking the event loop where the slow way takes long."""
        try:
            return self.fast(content)
        except ERRORS as error:
            return await self.slowly(content, error)

    async def slowly(self, content: Content, error: Exception) -> T:
        """Decode in the slow way an object that `fast` failed on with `error`."""
        return await aside(len(memoryview(content)), self._slowly, bytes(content), error)

    def _slowly(self, content: bytes, error: Exception) -> T:
        if isinstance(error, _Uncounted) and self._pruned is not None:
            try:
                return self._pruned(content)
            except ERRORS as again:
                error = again
        content, cut = nesting.pruned(content, self.depth)
        if nesting.may_be_deep(content, self.depth) and not cut and isinstance(error, RecursionError):
            raise msgspec.DecodeError("brackets without an end")
        if cut and self._pruned is not None:
            with contextlib.suppress(*ERRORS):
                return self._pruned(content)
        if self._needed and len(content) >= _LONG:
            content = nesting.pruned(content, self._needed)[0]
        try:
            value = json.loads(
                content.decode("utf-8", "replace"), strict=False, parse_int=_whole, parse_constant=_no_number
            )
        except ERRORS as again:
            raise msgspec.DecodeError(scrubbing.line(str(again))) from None
        if not isinstance(value, dict):
            raise msgspec.ValidationError("it is no map")
        why = f"{_TOO_DEEP}: {nesting.place(value, self.depth)}" if cut else describe(error)
        try:
            return self._slow(value, why)
        except ERRORS as again:
            raise msgspec.ValidationError(describe(again)) from None


async def aside(size: int, work: Callable[..., R], *arguments: Any) -> R:
    """Call `work(*arguments)`; in a thread where it is about many bytes (`size`), so as not to block the event loop."""
    return work(*arguments) if size < _LONG else await asyncio.to_thread(work, *arguments)


def tree(content: bytes) -> Any:
    """A member's JSON as values; None where it is not JSON, or has more values or nests deeper than any object may."""
    # Counting takes as long as decoding; what has fewer bytes has fewer values, too.
    if len(content) > _MOST_VALUES and sum(content.count(each) for each in (b",", b"{", b"[")) > _MOST_VALUES:
        return None
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    deep = nesting.may_be_deep(content, bounds.DEEPEST_METADATA) and nesting.deep(value, bounds.DEEPEST_METADATA)
    return None if deep else value


def likeness(content: bytes, meta: PartialMetadata) -> tuple[str | bytes, ...] | None:
    """What a member's object has in common with copies like it elsewhere: all but its identity, times and status.

    `meta` is its metadata. None where the content is not an object. Half as long as decoding it takes.
    """
    try:
        parts = _parts.decode(content)
        notes = _notes.decode(parts.pop("metadata"))
    except (*ERRORS, KeyError):
        return None
    parts.pop("status", None)
    alike: list[str | bytes] = [bytes(notes.labels), bytes(notes.annotations)]
    for entry in meta.managed_fields:
        alike += (entry.manager, entry.operation, entry.subresource, bytes(entry.fields_v1))
    for name, part in parts.items():
        alike += (name, bytes(part))
    return tuple(alike)


def _whole(digits: str) -> int | float | None:
    """A whole number; beyond 64 bits a float, as API servers and the quick way read it: nobody could write it back."""
    if len(digits) >= _LONGEST_NUMBER:
        return None
    number = int(digits)
    return number if -(1 << 63) <= number < 1 << 64 else float(digits)


def _no_number(_: str) -> None:
    """NaN and the infinities, which are not JSON, become null."""


def describe(error: Exception) -> str:
    """A decoder's error in one line."""
    if isinstance(error, RecursionError):
        return "it nests deeper than can be read"
    return "it is no UTF-8 text" if isinstance(error, UnicodeError) else scrubbing.line(str(error))


def _raw(value: Any) -> msgspec.Raw:
    """A part of a map that was decoded in the slow way, as JSON again."""
    return msgspec.Raw(json.dumps(value).encode()) if value is not None else msgspec.Raw()


def _text(value: Any, longest: int) -> str:
    return value if isinstance(value, str) and len(value) <= longest and value.isprintable() else ""


def _texts(value: Any) -> dict[str, str]:
    """Labels or annotations: the entries whose value is text."""
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}


def identity(value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a metadata map that have the right type. Raises ValidationError where there is no name."""
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not (name := _text(metadata.get("name"), bounds.LONGEST_NAME)):
        raise msgspec.ValidationError("it has no metadata with a name")
    generation = metadata.get("generation")
    gone = metadata.get("deletionTimestamp")
    return {
        "name": name,
        "namespace": _text(metadata.get("namespace"), bounds.LONGEST_NAME),
        "uid": _text(metadata.get("uid"), bounds.LONGEST_ID),
        "resource_version": _text(metadata.get("resourceVersion"), bounds.LONGEST_ID),
        "generation": generation if type(generation) is int and 0 <= generation < 1 << 63 else 0,
        "labels": _texts(metadata.get("labels")),
        # Any value, readable or not, means that the object is being deleted; only null means that it is not.
        "deletion_timestamp": None if gone is None else _text(gone, bounds.LONGEST_ID) or "unreadable",
    }


def _slow_metadata(value: Mapping[str, Any], why: str) -> Metadata:
    fields = identity(value)
    metadata = value["metadata"]
    finalizers = metadata.get("finalizers")
    fields["annotations"] = _texts(metadata.get("annotations"))
    fields["finalizers"] = (
        tuple(text for text in finalizers if isinstance(text, str)) if isinstance(finalizers, list) else ()
    )
    return BrokenMetadata(**fields, why=why)


def _slow_partial(value: Mapping[str, Any], why: str) -> PartialMetadata:
    """Of an object whose metadata does not fit."""
    found = identity(value)
    found["labels"] = managedfields.Labels(found["labels"].get(marks.MANAGED_LABEL, ""))
    return BrokenPartialMetadata(**found, why=why)


def _fast_partial(content: Content) -> PartialMetadata:
    if len(memoryview(content)) >= _LONG:
        raise _Uncounted
    return _partial.decode(content).metadata


def _long_partial(content: bytes) -> PartialMetadata:
    """One that is long, or of which something was cut: only field sets nest here, and entries that were not cut count.

    The entries are counted first: a million empty ones are decoded in one piece, which holds the loop for half a
    second, in whatever thread.
    """
    outline = _outline.decode(content).metadata
    if nesting.has_more(bytes(outline.managed_fields), bounds.MOST_MANAGERS):
        identity = {name: getattr(outline, name) for name in _IDENTITY}
        return BrokenPartialMetadata(**identity, why=f"it has more than {bounds.MOST_MANAGERS} managedFields")
    found = _partial.decode(content).metadata
    entries = tuple(
        msgspec.structs.replace(entry, fields_type=managedfields.CUT) if _NULL.search(entry.fields_v1) else entry
        for entry in found.managed_fields
    )
    return msgspec.structs.replace(found, managed_fields=entries)


def _slow_federated(value: Mapping[str, Any], why: str) -> FederatedObject:
    return FederatedObject(_slow_metadata(value, why), _raw(value.get("spec")), _raw(value.get("status")))


def _slow_stored(value: Mapping[str, Any], why: str) -> StoredObject:
    parts = {name: value[name] for name in ("spec", "status") if isinstance(value.get(name), dict)}
    return StoredObject(_slow_metadata(value, why), **parts, data=_texts(value.get("data")))


_partial = msgspec.json.Decoder(PartialObject)
_outline = msgspec.json.Decoder(_Outline)
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_notes = msgspec.json.Decoder(_Notes)
_metadata = msgspec.json.Decoder(_MetadataOnly)
_federated = msgspec.json.Decoder(FederatedObject)
_stored = msgspec.json.Decoder(_Stored)


def _fast_federated(content: Content) -> FederatedObject:
    # Raw fields refer to the buffer that was decoded: without a copy they would keep a whole list in memory.
    item = _federated.decode(content)
    return FederatedObject(item.metadata, item.spec.copy(), item.status.copy())


def _fast_stored(content: Content) -> StoredObject:
    found = _stored.decode(content)
    item = StoredObject(found.metadata, _map(found.spec, "spec"), _map(found.status, "status"), found.data, found.type)
    if nesting.may_be_deep(memoryview(content), bounds.DEEPEST) and _nests(item):
        raise RecursionError(_TOO_DEEP)
    return item


def _map(raw: msgspec.Raw, field: str) -> dict[str, Any]:
    value = orjson.loads(memoryview(raw)) if memoryview(raw) else {}
    if not isinstance(value, dict):
        raise msgspec.ValidationError(f"{field} is no map")
    return value


def _nests(item: StoredObject) -> bool:
    return nesting.deep(item.spec, bounds.DEEPEST - 1) or nesting.deep(item.status, bounds.DEEPEST - 1)


def kept(item: PartialMetadata, manager: str) -> tuple[PartialMetadata, int]:
    """The part of a member's object that is kept while its list is read, copied, and its size in bytes (roughly)."""
    entries = tuple(
        msgspec.structs.replace(entry, fields_v1=entry.fields_v1.copy())
        for entry in item.managed_fields
        if managedfields.is_relevant(entry, manager)
    )
    size = (
        _AT_LEAST
        + 4 * (len(item.name) + len(item.namespace))
        + sum(len(memoryview(entry.fields_v1)) for entry in entries)
    )
    return msgspec.structs.replace(item, managed_fields=entries), size


def _fast_metadata(content: Content) -> Metadata:
    return _metadata.decode(content).metadata


def whole(resource: Resource, wanted: StatusCollection) -> Reader[WholeCopy]:
    """A member's object of a type with status collection, of which its metadata and what its status says are kept."""

    def copy(metadata: PartialMetadata, content: Content) -> WholeCopy:
        return WholeCopy(metadata, remotestatus.collect(metadata, content, resource, wanted))

    def fast(content: Content) -> WholeCopy:
        return copy(_fast_partial(content), content)

    def pruned(content: bytes) -> WholeCopy:
        return copy(_long_partial(content), content)

    def slow(value: Mapping[str, Any], why: str) -> WholeCopy:
        return copy(_slow_partial(value, why), b"")

    return Reader(fast, slow, bounds.DEEPEST_METADATA, pruned=pruned, needed=_METADATA_LEVELS)


def kept_whole(item: WholeCopy, manager: str) -> tuple[WholeCopy, int]:
    """The part of it that is kept while its list is read; see `kept`."""
    metadata, size = kept(item.metadata, manager)
    raw = item.collected.raw
    return WholeCopy(metadata, item.collected), size + (memoryview(raw).nbytes if raw is not None else 0)


_METADATA_LEVELS = 3
"""Levels of an object's metadata above its field sets: the object, its metadata, labels or a list."""
partial = Reader(_fast_partial, _slow_partial, bounds.DEEPEST_METADATA, pruned=_long_partial, needed=_METADATA_LEVELS)
"""A PartialObjectMetadata with its managedFields."""
metadata = Reader(
    _fast_metadata, _slow_metadata, bounds.DEEPEST_METADATA, pruned=_fast_metadata, needed=_METADATA_LEVELS
)
"""The metadata of any object."""
federated = Reader(_fast_federated, _slow_federated, bounds.DEEPEST)
"""A federated object, with spec and status as undecoded bytes."""
stored = Reader(_fast_stored, _slow_stored, bounds.DEEPEST)
"""Any other object, with all its fields."""
