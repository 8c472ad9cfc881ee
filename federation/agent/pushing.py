"""Carry out at the member what was decided about one object; what comes of it is a value.

A forced apply takes over what was there (Update), and then makes our fields ours alone, so that one that a manifest
names no more goes; the rule, and the patches, are those of push (core.ownership, core.ignoring).
"""

from dataclasses import dataclass

import orjson

from federation.agent import metrics
from federation.agent.executor import Executor
from federation.core import classification, ignoring, manifest, ownership
from federation.core.proof import Proof
from federation.kube.connection import JSON, METADATA, Connection
from federation.kube.members import MemberWriter, Written
from federation.model import bounds
from federation.model.failures import Failure, FailureKind
from federation.model.resources import Resource
from federation.model.works import FIELD_MANAGER, HASH_ANNOTATION, Identifier
from federation.work import copies, deciding, handback
from federation.work.copies import Copy, Record
from federation.work.deciding import Apply

_CHILDLESS = frozenset({"configmaps", "secrets", "serviceaccounts", "limitranges", "resourcequotas"})
"""What nothing depends on is deleted at once: in the foreground it would wait for garbage collection to look at it."""


@dataclass(frozen=True, slots=True)
class Done:
    """An apply that succeeded: what is there now, as far as the answer shows it, and the record of it."""

    copy: Copy
    record: Record | None


class Pusher:
    """Writes of objects to one member."""

    def __init__(self, connection: Connection, executor: Executor, cluster: str) -> None:
        self.connection = connection
        self.executor = executor
        self._writer = MemberWriter(connection, FIELD_MANAGER)
        self._applies = metrics.WRITES.labels(cluster, "apply")
        self._patches = metrics.WRITES.labels(cluster, "patch")
        self._deletes = metrics.WRITES.labels(cluster, "delete")

    async def apply(
        self, action: Apply, resource: Resource, what: Identifier, copy: Copy | None, *, pusher: str = ""
    ) -> Done | Failure:
        """Apply as decided. FIELD_CONFLICT: somebody has a field and nothing is forced.

        `pusher` is the field manager by which the hub of the work may have pushed the object before.
        """
        if action.create_only:
            return await self._create(action, resource, what)
        if action.ignored and copy is None:
            # An object without our label may be there, with values of its own: the whole is for a new one alone.
            whole = manifest.addressed(action.whole, resource_version="1")
            written = await self._apply(resource, what, whole, action.manager, force=True)
            if not isinstance(written, Failure):
                return _done(written, action.whole, action.manager, action.digest, None)
            if written.kind is not FailureKind.VERSION_CONFLICT:
                return written
        if action.ignored:
            failure = await self._leave(action, resource, what)
            if failure is not None:
                return failure
        written = await self._apply(resource, what, action.content, action.manager, force=action.force)
        if isinstance(written, Failure):
            return written
        if copy is None and not written.created and action.force:
            written = await self._take_over(resource, what, action, written)
            inherited = await self._inherit(resource, what, action, written, pusher) if pusher else written
            if isinstance(inherited, Failure):
                return inherited
            written = inherited
        return _done(written, action.content, action.manager, action.digest, copy)

    async def _create(self, action: Apply, resource: Resource, what: Identifier) -> Done | Failure:
        """Create, if there is none; else only our marks are put on it."""
        content = manifest.addressed(action.content, resource_version="1")
        written = await self._apply(resource, what, content, action.manager, force=True)
        if not isinstance(written, Failure):
            return _done(written, action.content, action.manager, action.digest, None)
        if written.kind is not FailureKind.VERSION_CONFLICT:
            return written
        marked = await self._apply(resource, what, action.marks, deciding.MARKS_MANAGER, force=True)
        if isinstance(marked, Failure):
            return marked
        return _done(marked, action.marks, deciding.MARKS_MANAGER, "", None)

    async def _leave(self, action: Apply, resource: Resource, what: Identifier) -> Failure | None:
        """Let ignored fields leave our entry, or an apply without them would take them away."""
        found = await self._writer.read(resource, what.where)
        if isinstance(found, Failure):
            return found
        try:
            patch = ignoring.leave_patch(found, action.manager, orjson.loads(action.whole), action.ignored)
        except ignoring.NotLeft as error:
            return Failure(FailureKind.INVALID, str(error))
        if patch is None:
            return None
        self._patches.inc()
        patched = await self._writer.patch(resource, what.where, patch)
        return patched if isinstance(patched, Failure) else None

    async def _take_over(self, resource: Resource, what: Identifier, action: Apply, written: Written) -> Written:
        managers = {
            entry.manager for entry in written.metadata.managed_fields if entry.manager.startswith(FIELD_MANAGER)
        }
        patch = ownership.subtract_patch(written.metadata, action.manager) if managers == {action.manager} else None
        if patch is None:
            return written
        self._patches.inc()
        patched = await self._writer.patch(resource, what.where, patch)
        # What is shared can be removed by nobody alone: that is all that follows where this fails.
        return written if isinstance(patched, Failure) else patched

    async def _inherit(
        self, resource: Resource, what: Identifier, action: Apply, written: Written, pusher: str
    ) -> Written | Failure:
        """What the hub has pushed before is ours, and what of that the manifest names no more goes."""
        found = handback.inherit(written.metadata, action.manager, pusher, action.ignored)
        if found is None:
            return written
        patch, more = found
        self._patches.inc()
        patched = await self._writer.patch(resource, what.where, patch)
        if isinstance(patched, Failure) or not more:
            return patched
        return await self._apply(resource, what, action.content, action.manager, force=action.force)

    async def let_go(
        self, resource: Resource, what: Identifier, owner: str, pusher: str, *, moves: bool
    ) -> Failure | None:
        """Let go of what a controller of this project has placed (work.handback)."""
        answer = await self.connection.request("GET", resource.path(what.where), accept=METADATA)
        if isinstance(answer, Failure):
            return answer
        metadata = orjson.loads(answer.body)["metadata"]
        patch = handback.released(metadata, copies.decode(answer.body), owner, pusher, moves=moves)
        if patch is None:
            return Failure(FailureKind.INVALID, "its managedFields cannot be read as a whole")
        self._patches.inc()
        patched = await self._writer.patch(resource, what.where, patch)
        return patched if isinstance(patched, Failure) else None

    async def release(self, resource: Resource, what: Identifier, content: bytes, manager: str) -> Failure | None:
        """An apply by which our marks go, or all that one of our managers has."""
        written = await self._apply(resource, what, content, manager, force=True)
        return written if isinstance(written, Failure) else None

    async def delete(self, resource: Resource, what: Identifier, uid: str, proof: Proof) -> Failure | None:
        """Delete the object if it has this uid; None also where it was gone."""
        self._deletes.inc()
        policy = "Background" if resource.qualified in _CHILDLESS else "Foreground"
        return await self._writer.delete(resource, what.where, uid, {"propagationPolicy": policy}, proof)

    async def look(self, resource: Resource, what: Identifier, *, whole: bool) -> bytes | Failure:
        """An object that is only read: the whole of it, or its metadata."""
        accept, largest = (JSON, bounds.LARGEST_OBJECT) if whole else (METADATA, bounds.LARGEST_METADATA)
        answer = await self.connection.request("GET", resource.path(what.where), accept=accept, largest=largest)
        if isinstance(answer, Failure):
            return answer
        return answer.body if whole else b""

    async def _apply(
        self, resource: Resource, what: Identifier, content: bytes, manager: str, *, force: bool
    ) -> Written | Failure:
        self._applies.inc()
        written = await self._writer.apply(resource, what.where, content, force=force, manager=manager)
        return classification.of_apply(written) if isinstance(written, Failure) else written


def _done(written: Written, content: bytes, manager: str, digest: str, before: Copy | None) -> Done:
    """What the answer shows: metadata's own part. Owners and hash are those that were sent, or were there before."""
    metadata = orjson.loads(content)["metadata"]
    seen = written.metadata
    owned = copies.observe(copies.CopyMetadata(**{name: getattr(seen, name) for name in seen.__struct_fields__}))
    owners = tuple(each["uid"] for each in metadata.get("ownerReferences", ()))
    annotations = metadata.get("annotations") or {}
    known = before.hash if before is not None else ""
    copy = Copy(owned.uid, owned.version, owned.deleting, owners, annotations.get(HASH_ANNOTATION, known), owned.owned)
    return Done(copy, copies.record(digest, copy, manager) if digest else None)
