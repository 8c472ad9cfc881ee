"""The lines of a watch: events about objects, bookmarks, errors; and which resourceVersion is the earlier one."""

from typing import TypeVar

import msgspec

from federation.core import nesting
from federation.kube import decoding
from federation.kube.decoding import Reader

T = TypeVar("T")

_LONGEST_VERSION = 20
_ABOUT_OBJECTS = frozenset({"ADDED", "MODIFIED", "DELETED"})


class Event(msgspec.Struct, gc=False):
    """One line: its type, and the object undecoded."""

    type: str
    object: msgspec.Raw


class _Version(msgspec.Struct, gc=False):
    resource_version: str = msgspec.field(name="resourceVersion", default="")


class Bookmark(msgspec.Struct, gc=False):
    """The object of a bookmark."""

    metadata: _Version


class ErrorStatus(msgspec.Struct, gc=False):
    """The object of an error."""

    code: int = 0
    message: str = ""


event = msgspec.json.Decoder(Event)
bookmark = msgspec.json.Decoder(Bookmark)
error = msgspec.json.Decoder(ErrorStatus)


async def slowly(line: bytes, decode: Reader[T], failed: Exception) -> tuple[Event, T]:
    """An event about an object that does not fit. Raises what decoders raise when it is not an event at all."""
    depth = decode.depth + 2  # one for the event around it, one so that too deep is still noticed
    found = event.decode((await decoding.aside(len(line), nesting.pruned, line, depth))[0])
    if found.type not in _ABOUT_OBJECTS:
        raise failed
    return found, await decode.slowly(found.object, failed)


def earlier(version: str, other: str) -> bool:
    """Whether the one counts less than the other; False where one of them is no number."""
    return _counted(version) and _counted(other) and int(version) < int(other)


def _counted(version: str) -> bool:
    return version.isdecimal() and len(version) <= _LONGEST_VERSION
