"""What an agent keeps in its member, so that it goes on without its hub, over its own restart, too.

It is kept in Secrets, because manifests may be Secrets: so they are encrypted as those are. Works are divided among a
few pages by their names, so that a change of many works is a few writes; a large work has a page of its own. A page is
JSON, compressed; what is longer than one Secret may be is divided over several, whose names have the page's digest, so
that parts of two states of it are never taken for one page.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import orjson

from federation.core import digests
from federation.model.errors import Invalid
from federation.model.works import KEPT_LABEL
from federation.work.copies import Record
from federation.work.status import Place

PAGES = 8
"""Pages for works that are not large."""
LARGE = 64 << 10
"""Bytes of a spec from which on a work has its own page."""
LARGEST_PART = 640 << 10
"""Bytes in one Secret, which may have 1 MiB with its base64 not counted."""
LARGEST_PAGE = 64 << 20
"""Bytes of a page when it is unpacked: more is not read."""
DATA = "page"
_PAGE = "work.kubefed.io/page"
_PART = "work.kubefed.io/part"
_DIGEST = "work.kubefed.io/digest"


class Kept(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One work: its spec as JSON, and what was applied of it, by field manager and object (see `key`).

    `completed` and `finished`: what has run (see work.status.Run). `leaving`: it was seen to be deleted.
    """

    name: str
    uid: str
    generation: int
    created: str
    spec: str
    hub: str = ""
    records: dict[str, Record] = {}
    leaving: bool = False
    completed: tuple[Place, ...] = ()
    finished: bool = False


class Page(msgspec.Struct, frozen=True, gc=False):
    """What one page has."""

    works: list[Kept]


class Part(NamedTuple):
    """One Secret: its name, and the object to apply."""

    name: str
    body: Mapping[str, Any]


_decoder = msgspec.json.Decoder(Page)


def page_of(name: str, size: int) -> str:
    """The page of a work whose spec has so many bytes."""
    number = hashlib.sha256(name.encode()).hexdigest()
    return f"w{number[:16]}" if size >= LARGE else f"p{int(number[:4], 16) % PAGES}"


def pack(works: Iterable[Kept]) -> bytes:
    """A page's bytes. Equal works give equal bytes."""
    content = msgspec.json.encode(Page(sorted(works, key=lambda each: each.name)))
    return zlib.compress(content, 1)


def unpack(content: bytes) -> list[Kept]:
    """The works of a page. Raises Invalid."""
    try:
        unpacker = zlib.decompressobj()
        found = unpacker.decompress(content, LARGEST_PAGE)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise Invalid("", f"is longer than {LARGEST_PAGE} bytes, or cut")
        return _decoder.decode(found).works
    except (zlib.error, msgspec.MsgspecError) as error:
        raise Invalid("", "is not what an agent has kept") from error


def parts(content: bytes, page: str, *, agent: str, namespace: str) -> list[Part]:
    """The Secrets of a page. One that fits into one Secret is always that of the same name, written in place."""
    pieces = [content[start : start + LARGEST_PART] for start in range(0, len(content), LARGEST_PART)]
    digest = digests.short(content)
    made = []
    for index, piece in enumerate(pieces):
        name = f"work-agent-{agent}-{page}"
        if len(pieces) > 1:
            name = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}-{index}"
        metadata = {
            "name": name,
            "namespace": namespace,
            "labels": {KEPT_LABEL: agent},
            "annotations": {_PAGE: page, _PART: f"{index}/{len(pieces)}", _DIGEST: digest},
        }
        data = {DATA: base64.b64encode(piece).decode()}
        made.append(Part(name, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}))
    return made


class Stored(NamedTuple):
    """A Secret as it was read."""

    name: str
    annotations: Mapping[str, str]
    data: Mapping[str, str]


class Assembled(NamedTuple):
    """The works of all pages, the Secrets that each page consists of, and what cannot be read: (page, why)."""

    works: list[Kept]
    secrets: dict[str, tuple[str, ...]]
    broken: list[tuple[str, str]]


def assemble(stored: Iterable[Stored]) -> Assembled:
    """Read all pages. Of two complete states of one page that are there after a crash, both are read."""
    states: dict[tuple[str, str], dict[int, Stored]] = {}
    counts: dict[tuple[str, str], int] = {}
    for each in stored:
        page, digest = each.annotations.get(_PAGE, ""), each.annotations.get(_DIGEST, "")
        index, _, count = each.annotations.get(_PART, "").partition("/")
        if page and index.isdecimal() and count.isdecimal():
            states.setdefault((page, digest), {})[int(index)] = each
            counts[page, digest] = int(count)
    works: list[Kept] = []
    secrets: dict[str, tuple[str, ...]] = {}
    broken: list[tuple[str, str]] = []
    for (page, digest), found in states.items():
        names = tuple(each.name for each in found.values())
        secrets[page] = (*secrets.get(page, ()), *names)
        try:
            works += unpack(_joined(found, counts[page, digest], digest))
        except Invalid as error:
            broken.append((page, str(error)))
    return Assembled(works, secrets, broken)


def _joined(found: Mapping[int, Stored], count: int, digest: str) -> bytes:
    if sorted(found) != list(range(count)):
        raise Invalid("", f"has {len(found)} of its {count} parts")
    try:
        content = b"".join(base64.b64decode(found[index].data.get(DATA, "")) for index in range(count))
    except ValueError as error:
        raise Invalid("", "is not base64") from error
    if digests.short(content) != digest:
        raise Invalid("", "does not have the digest that it was written with")
    return content


def newest(works: Iterable[Kept]) -> dict[str, Kept]:
    """Each work once: of several states the one of the latest generation."""
    found: dict[str, Kept] = {}
    for each in works:
        known = found.get(each.name)
        if known is None or each.generation >= known.generation:
            found[each.name] = each
    return found


def records_key(manager: str, what: str) -> str:
    """The key of a record: who applied what."""
    return f"{manager} {what}"


def spec_of(kept: Kept) -> bytes:
    """Its spec as bytes."""
    return kept.spec.encode()


def annotations(content: bytes) -> Mapping[str, str]:
    """Annotations of a Secret that was listed whole."""
    found = orjson.loads(content).get("metadata", {}).get("annotations")
    return found if isinstance(found, dict) else {}
