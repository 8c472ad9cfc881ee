"""The controller's writes to one object of a member, rehearsed: each is a dry run, and each sees what came before it.

A push may be several writes: ownership of fields is taken, the manifest applied, ownership given up. A member's dry run
knows nothing of the one before, so what would be stored by then is kept here: a created object is answered for, and an
apply that follows a change of ownership is asked of the member as a patch to the content that it would leave.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import orjson

from federation.controllers.ports import MemberPort, Whole, Written
from federation.core import builtin, fieldsets, fieldvalues, leftovers, managedfields
from federation.core.fieldsets import Fields
from federation.core.managedfields import Entry, PartialMetadata
from federation.core.ownership import Patch
from federation.core.proof import Proof
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import ObjectName, Resource

_MANAGED_FIELDS = "/metadata/managedFields"
_NOT_CONTENT = frozenset({"apiVersion", "kind", "metadata", "status"})
_NOTES = ("labels", "annotations")
_decode_entries = msgspec.json.Decoder(tuple[Entry, ...], strict=False)


@dataclass(frozen=True, slots=True)
class _Would:
    """The answer to an apply that was asked of the member in another way."""

    metadata: PartialMetadata
    body: Mapping[str, Any]
    created: bool = False
    size: int = 0

    def content(self) -> Mapping[str, Any]:
        return self.body

    def likeness(self) -> Hashable:
        return None


class Rehearsal:
    """A MemberPort for one object. All writes of `dry` are dry runs.

    `after` is the whole object as the apply would leave it; None where nothing was applied. `created`, `deleted`,
    `released` and `claimed` say what else was done.
    """

    def __init__(self, dry: MemberPort) -> None:
        self.manager = dry.manager
        self.after: Mapping[str, Any] | None = None
        self.deleted = self.released = self.claimed = False
        self._dry = dry
        self._created: Written | None = None
        self._entries: tuple[Entry, ...] = ()
        self._patched = False
        """Our own patch has changed who owns what (`_entries`), or emptied something."""

    @property
    def created(self) -> bool:
        """Whether there was no such object."""
        return self._created is not None

    async def apply(
        self,
        resource: Resource,
        name: ObjectName,
        body: bytes,
        *,
        force: bool,
        manager: str | None = None,
        whole: bool = False,
        dry_run: bool = False,
    ) -> Written | Failure:
        """MemberPort."""
        if dry_run:
            return await self._dry.apply(resource, name, body, force=force, manager=manager, whole=whole, dry_run=True)
        if self._created is not None:
            return self._created
        if manager not in (None, self.manager):
            self.claimed = self.claimed or manager == marks.claim_manager(self.manager)
            return await self._dry.apply(resource, name, body, force=force, manager=manager)
        written = await self._applied(resource, name, body, force=force)
        if isinstance(written, Failure):
            return written
        if written.created:
            self._created = written
        self.after = written.content()
        return written

    async def _applied(self, resource: Resource, name: ObjectName, body: bytes, *, force: bool) -> Written | Failure:
        answer = await self._dry.apply(resource, name, body, force=force, whole=True, dry_run=True)
        if self._patched:
            if isinstance(answer, Failure) and answer.kind is FailureKind.FIELD_CONFLICT:
                managers = {entry.manager for entry in self._entries}
                left = tuple(cause for cause in answer.causes if not managers or cause.manager in managers)
                if left:
                    return replace(answer, causes=left)
            elif isinstance(answer, Failure) and answer.kind is not FailureKind.INVALID:
                return answer
            return await self._as_patched(resource, name, body)
        if isinstance(answer, Failure) and answer.kind is FailureKind.INVALID and not builtin.has(resource.group):
            # The push would go on in steps, each of which has to be stored: what they are to lead to is asked for.
            patched = await self._as_patched(resource, name, body)
            return answer if isinstance(patched, Failure) else patched
        return answer

    async def _as_patched(self, resource: Resource, name: ObjectName, body: bytes) -> Written | Failure:
        """What an apply makes of the object, where our entry owns what our own patch has made it own."""
        found = await self._dry.read_whole(resource, name)
        if isinstance(found, Failure):
            return found
        entries = self._entries or found.metadata.managed_fields
        operations = _as_applied(found.content, entries, self.manager, orjson.loads(body))
        content = await self._dry.would_become(resource, name, operations)
        return content if isinstance(content, Failure) else _Would(found.metadata, content)

    async def patch(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Written | Failure:
        """MemberPort."""
        if self._created is not None:
            return self._created
        answer = await self._dry.patch(resource, name, operations)
        if not isinstance(answer, Failure):
            self._note(operations)
        return answer

    def _note(self, operations: Sequence[Mapping[str, Any]]) -> None:
        for each in operations:
            self._patched = self._patched or not each["path"].startswith("/metadata/")
            if each["path"] == _MANAGED_FIELDS:
                self._patched = True
                self._entries = _decode_entries.decode(orjson.dumps([entry for entry in each["value"] if entry]))

    async def let_go(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]], proof: Proof
    ) -> Written | Failure:
        """MemberPort."""
        answer = await self._dry.let_go(resource, name, operations, proof)
        self.released = not isinstance(answer, Failure)
        return answer

    async def would_create(self, resource: Resource, name: ObjectName, body: bytes) -> Failure | None:
        """MemberPort."""
        return await self._dry.would_create(resource, name, body)

    async def delete(
        self,
        resource: Resource,
        name: ObjectName,
        uid: str,
        options: Mapping[str, Any],
        proof: Proof,
        *,
        version: str = "",
    ) -> Failure | None:
        """MemberPort."""
        failure = await self._dry.delete(resource, name, uid, options, proof, version=version)
        self.deleted = failure is None
        return failure

    async def read(self, resource: Resource, name: ObjectName) -> PartialMetadata | Failure:
        """MemberPort."""
        return await self._dry.read(resource, name)

    async def read_replicas(self, resource: Resource, name: ObjectName) -> int | Failure:
        """MemberPort."""
        return await self._dry.read_replicas(resource, name)

    async def read_whole(self, resource: Resource, name: ObjectName) -> Whole | Failure:
        """MemberPort. Of a Secret, too, whose values are compared here and shown nowhere."""
        return await self._dry.read_whole(resource, name)

    async def would_become(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | Failure:
        """MemberPort."""
        return await self._dry.would_become(resource, name, operations)


def _as_applied(content: Mapping[str, Any], entries: Sequence[Entry], manager: str, body: Mapping[str, Any]) -> Patch:
    """JSON patch to what server-side apply of the body would store, if these were the object's managedFields."""
    ours: Fields = {}
    others: Fields = {}
    for entry in entries:
        if managedfields.is_ours(entry, manager):
            ours = managedfields.fields_of(entry)
        else:
            others = fieldsets.union(others, managedfields.fields_of(entry))
    before, wanted = _own(content), _own(body)
    leaving = fieldvalues.unnamed(fieldsets.difference(ours, others), wanted)
    left = fieldvalues.without(before, leaving) if leaving else before
    after = fieldvalues.overlay(left, wanted, fieldsets.union(ours, others))
    notes, there = after.pop("metadata", {}), before.pop("metadata")
    operations = leftovers.replacing(before, after)
    for name in _NOTES:
        if notes.get(name) != there.get(name):
            operations.append({"op": "add", "path": f"/metadata/{name}", "value": notes.get(name) or {}})
    return operations


def _own(content: Mapping[str, Any]) -> dict[str, Any]:
    """Content, labels and annotations of an object."""
    metadata = content.get("metadata") or {}
    notes = {name: metadata[name] for name in _NOTES if metadata.get(name)}
    return {name: value for name, value in content.items() if name not in _NOT_CONTENT} | {"metadata": notes}
