"""What a work agent observes: ManifestWorks at its hub, and in its member what carries its label.

Of an applied object its metadata is enough, unless a work wants something of its status; then the kind is watched
whole, and of each object that nobody asks about no more than its metadata is kept.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from federation.core.managedfields import Labels
from federation.kube import decoding
from federation.kube.connection import JSON, METADATA, METADATA_LIST
from federation.kube.decoding import Content, Reader
from federation.kube.listing import Collection
from federation.model import bounds
from federation.model.federated import DatedMetadata
from federation.model.resources import ObjectName, Resource
from federation.model.works import AGENT_LABEL, MANIFEST_WORKS
from federation.work import copies
from federation.work.copies import BrokenCopyMetadata, Copy, CopyMetadata, CopyObject


class _BrokenDatedMetadata(DatedMetadata, frozen=True, gc=False):
    why: str = ""

    @property
    def broken(self) -> str:
        """Why."""
        return self.why


class WorkObject(msgspec.Struct, frozen=True, gc=False):
    """A ManifestWork as stored at the hub; `spec` and `status` are undecoded JSON (empty bytes when absent)."""

    metadata: DatedMetadata
    spec: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()

    @property
    def broken(self) -> str:
        """Why it cannot be read as it is; "" where it can."""
        return self.metadata.broken


class Seen(msgspec.Struct, frozen=True, gc=False):
    """An object in the member with our label."""

    where: ObjectName
    copy: Copy
    version: str = ""

    @property
    def broken(self) -> str:
        """Why it cannot be read; "" where it can."""
        return self.copy.broken


_works = msgspec.json.Decoder(WorkObject)
_copies = msgspec.json.Decoder(CopyObject)


def _fast_work(content: Content) -> WorkObject:
    # Raw fields refer to the buffer that was decoded: without a copy they would keep a whole list in memory.
    item = _works.decode(content)
    return WorkObject(item.metadata, item.spec.copy(), item.status.copy())


def _slow_work(value: Mapping[str, Any], why: str) -> WorkObject:
    return WorkObject(_BrokenDatedMetadata(**decoding.identity(value), why=why))


def works(namespace: str) -> Collection[WorkObject]:
    """The ManifestWorks of one cluster."""
    return Collection(
        path=MANIFEST_WORKS.collection(namespace),
        decode=Reader(_fast_work, _slow_work, bounds.DEEPEST),
        version=lambda item: item.metadata.resource_version,
        what=MANIFEST_WORKS.qualified,
    )


def labelled(
    resource: Resource, agent: str, *, whole: bool = False, asked: Callable[[ObjectName], bool] = lambda _: True
) -> Collection[Seen]:
    """A member's objects of one resource with the label of this agent.

    With `whole` objects are read whole, and kept so where somebody has `asked` about them.
    """

    def seen(metadata: CopyMetadata, content: Content) -> Seen:
        where = ObjectName(metadata.namespace, metadata.name)
        kept = bytes(content) if whole and asked(where) else b""
        return Seen(where, copies.observe(metadata, kept), metadata.resource_version)

    def fast(content: Content) -> Seen:
        return seen(_copies.decode(content).metadata, content)

    def slow(value: Mapping[str, Any], why: str) -> Seen:
        identity = decoding.identity(value)
        identity["labels"] = Labels()
        return seen(BrokenCopyMetadata(**identity, why=why), b"")

    return Collection(
        path=resource.collection(),
        decode=Reader(fast, slow, bounds.DEEPEST_METADATA, pruned=fast, needed=3),
        version=lambda item: item.version,
        label_selector=f"{AGENT_LABEL}={agent}",
        accept=JSON if whole else METADATA,
        accept_list=JSON if whole else METADATA_LIST,
        what=resource.qualified,
        largest=bounds.LARGEST_OBJECT if whole else bounds.LARGEST_METADATA,
        page=bounds.LARGEST_HUB_PAGE if whole else bounds.LARGEST_PAGE,
    )
