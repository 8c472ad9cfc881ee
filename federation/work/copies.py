"""What is remembered of an object in the member that carries our label: enough to see drift, and whose it is.

Drift is read from managedFields by the rule of push (core.managedfields): somebody who changes a field of ours takes it
out of our entry. A work may name its own field manager, so that an object may have several entries of ours.
"""

import msgspec

from federation.core import managedfields
from federation.core.managedfields import PartialMetadata
from federation.model.federated import Opaque
from federation.model.works import FIELD_MANAGER, HASH_ANNOTATION


class Owner(msgspec.Struct, frozen=True, gc=False):
    """An owner reference."""

    uid: Opaque = ""


class Notes(msgspec.Struct, frozen=True, gc=False):
    """The one annotation that is read."""

    hash: str = msgspec.field(name=HASH_ANNOTATION, default="")


class CopyMetadata(PartialMetadata, frozen=True, rename="camel", gc=False):
    """The part of ObjectMeta that the agent reads."""

    owner_references: tuple[Owner, ...] = ()
    annotations: Notes = Notes()


class BrokenCopyMetadata(CopyMetadata, frozen=True, gc=False):
    """Of an object that does not fit: it is there, and nothing may be concluded of what is in it."""

    why: str = ""

    @property
    def broken(self) -> str:
        """Why."""
        return self.why


class CopyObject(msgspec.Struct, frozen=True, gc=False):
    """A PartialObjectMetadata, or a whole object of which no more is decoded."""

    metadata: CopyMetadata


class Owned(msgspec.Struct, frozen=True, gc=False):
    """The entry of one of our field managers: the digest of its fields, and its time (seconds of the epoch)."""

    manager: str
    digest: str
    at: int


class Copy(msgspec.Struct, frozen=True, gc=False):
    """An object as it was last observed. `content` is the whole of it, where a rule needs more than metadata."""

    uid: str
    version: int
    deleting: bool = False
    owners: tuple[str, ...] = ()
    hash: str = ""
    owned: tuple[Owned, ...] = ()
    broken: str = ""
    content: bytes = b""

    def entry(self, manager: str) -> Owned:
        """What this field manager owns of it; nothing where it has no entry."""
        for each in self.owned:
            if each.manager == manager:
                return each
        return Owned(manager, "", 0)


def observe(metadata: CopyMetadata, content: bytes = b"") -> Copy:
    """Reduce an object's metadata to what decisions read."""
    owned = tuple(
        Owned(entry.manager, seen.owned_digest, seen.applied_at)
        for entry in metadata.managed_fields
        if entry.operation == "Apply" and not entry.subresource and entry.manager.startswith(FIELD_MANAGER)
        for seen in (managedfields.observe(metadata, entry.manager),)
    )
    return Copy(
        uid=metadata.uid,
        version=managedfields.version(metadata),
        deleting=metadata.deletion_timestamp is not None,
        owners=tuple(each.uid for each in metadata.owner_references),
        hash=metadata.annotations.hash,
        owned=owned,
        broken=metadata.broken,
        content=content,
    )


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was last applied to an object: the digest of the body, and what that left (see model.observations.Applied).

    It is kept in the member, so that an agent that is started again applies nothing that is already right.
    """

    digest: str
    uid: str
    owned: str
    at: int

    def shown_by(self, copy: Copy, manager: str) -> bool:
        """Whether the object is as this apply left it."""
        entry = copy.entry(manager)
        return copy.uid == self.uid and entry.digest == self.owned and entry.at == self.at


def record(digest: str, copy: Copy, manager: str) -> Record:
    """The record of an apply whose answer shows the object so."""
    entry = copy.entry(manager)
    return Record(digest, copy.uid, entry.digest, entry.at)


_decoder = msgspec.json.Decoder(CopyObject)


def decode(content: bytes) -> CopyMetadata:
    """The metadata of an object that was read by its name. One that cannot be read is broken, not absent."""
    try:
        return _decoder.decode(content).metadata
    except (ValueError, RecursionError, OverflowError):
        return BrokenCopyMetadata("?", why="it cannot be read")
