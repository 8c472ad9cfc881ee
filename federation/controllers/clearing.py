"""Before a change: find what it would leave behind at one member (core.leftovers), and take it into our ownership.

Called by push where a manifest has changed. The apply that follows does not name the leftovers, so it removes them and
the member's defaulting makes them anew, all in that one write: no other mixture of old and new is ever in force. Until
then nothing has changed but the owner of some fields (and, in a custom type, what becomes empty is empty); our entry is
not the remembered one any more, so a controller that is killed in between applies its manifest again.
"""

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson

from federation.controllers.ports import MemberPort, Whole
from federation.core import builtin, leftovers, managedfields, ownership
from federation.core.fieldsets import Fields
from federation.core.managedfields import PartialMetadata
from federation.core.ownership import Patch
from federation.model.failures import Failure, FailureKind
from federation.model.resources import ObjectName, Resource

R = TypeVar("R")

_LONG = 128 << 10
"""Bytes of an object that take milliseconds to walk."""
_TRIES = 3
"""Dry runs of one manifest: each after the first spares what the member insisted on."""


async def clear(
    member: MemberPort, resource: Resource, name: ObjectName, body: bytes, *, uid: str, adopting: bool = False
) -> Fields | Failure:
    """Take into our ownership what an apply of `body` would leave behind. A Failure is a race, or the member's.

    Of an object that is being adopted the answer is the fields that its makers own and that have nothing but the
    default value: nobody chose them. Where the member does not answer dry runs (a webhook that takes none) nothing is
    taken: the apply goes as it would have gone, and its answer shows what is wrong.
    """
    found = await member.read_whole(resource, name)
    if isinstance(found, Failure):
        return found if found.concerns == "member" else {}
    meta = found.metadata
    if meta.uid != uid or not _ours_to_change(meta, member.manager, resource, adopting=adopting):
        return {}  # the apply names what is in its way
    manifest = orjson.loads(body)
    try:
        answer = await _leftovers(member, resource, name, found, manifest, adopting=adopting)
        emptying = await aside(found.size, functools.partial(_emptying, member, resource, found, manifest))
    except RecursionError:
        return {}  # nested deeper than anything that is defaulted
    if isinstance(answer, Failure):
        if answer.concerns == "member":
            return answer
        answer = {}, {}
    taken, defaults = answer
    take = None
    if taken:
        taking = functools.partial(
            ownership.take_patch, meta, member.manager, resource.api_version, taken, adopting=adopting
        )
        take = await aside(managedfields.size(meta), taking)
    if emptying:
        written = await member.patch(resource, name, [*emptying, *(take or ownership.guard(meta))])
        if not isinstance(written, Failure):
            return defaults
        if written.kind is not FailureKind.INVALID:
            return written  # invalid half-way: the apply may fare better
    owned = await member.patch(resource, name, take) if take is not None else None
    return owned if isinstance(owned, Failure) else defaults


def may_empty(resource: Resource, body: bytes) -> bool:
    """Whether a manifest has an empty map or list where a custom type may show what becomes of it (leftovers)."""
    return not builtin.has(resource.group) and (b"{}" in body or b"[]" in body)


def _emptying(member: MemberPort, resource: Resource, found: Whole, manifest: Mapping[str, Any]) -> Patch:
    if builtin.has(resource.group):
        return []
    return leftovers.emptying(found.content, found.metadata, member.manager, manifest)


async def _leftovers(
    member: MemberPort,
    resource: Resource,
    name: ObjectName,
    found: Whole,
    manifest: Mapping[str, Any],
    *,
    adopting: bool,
) -> tuple[Fields, Fields] | Failure:
    """What to take, and what of the makers' is a default under the new manifest, too."""
    seen = await aside(
        found.size,
        functools.partial(leftovers.snapshot, found.content, found.metadata, member.manager, adopting=adopting),
    )
    answer: Mapping[str, Any] | Failure | None = None
    for _ in range(_TRIES):
        if seen is None:
            return {}, {}
        wanted = await aside(found.size, functools.partial(leftovers.with_new, seen, manifest))
        answer = await member.would_become(resource, name, wanted)
        if not isinstance(answer, Failure):
            break
        if answer.kind is not FailureKind.INVALID:
            return answer
        seen = leftovers.excluding(seen, [cause.field for cause in answer.causes])
    if seen is None or answer is None or isinstance(answer, Failure):
        return {}, {}
    defaults = leftovers.defaults(seen, answer) if adopting else {}
    suspected = await aside(found.size, functools.partial(leftovers.suspects, seen, answer, manifest))
    # Defaults hang together (a strategy's type and its parameters): all go for a moment, unless somebody chose some.
    removed = suspected if adopting else seen.free
    for _ in range(_TRIES):
        if not suspected:
            break
        answer = await member.would_become(resource, name, leftovers.as_it_was(seen, removed))
        if not isinstance(answer, Failure):
            return leftovers.confirmed(seen, suspected, answer), defaults
        if answer.kind is not FailureKind.INVALID:
            return answer
        spared = leftovers.exclude(suspected, [cause.field for cause in answer.causes])
        suspected = {} if removed == suspected == spared else spared
        removed = suspected
    return {}, defaults


async def aside(size: int, work: Callable[[], R]) -> R:
    """Work on an object of so many bytes; where it takes long, in a thread, so that the loop turns meanwhile."""
    return work() if size < _LONG else await asyncio.to_thread(work)


def fully_owned(content: Mapping[str, Any], meta: PartialMetadata) -> bool:
    """Whether every field of an object has an owner, so that a later change leaves nothing behind."""
    return leftovers.snapshot(content, meta, "", adopting=False) is None


def _ours_to_change(meta: PartialMetadata, manager: str, resource: Resource, *, adopting: bool) -> bool:
    seen = managedfields.observe(meta, manager)
    if seen.other_hub:
        return False
    if adopting:
        return True
    mine = next((entry for entry in meta.managed_fields if managedfields.is_ours(entry, manager)), None)
    # Of an entry in another version of the type the fields may have other names.
    return seen.managed and mine is not None and mine.api_version == resource.api_version
