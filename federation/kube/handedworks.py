"""The ManifestWorks of this hub for its clusters in pull mode: written, and observed at the hub by its label.

They are read whole, because what an agent has said is in their status; of the spec no more than its deleteOption is
decoded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from federation.core import bundles, works
from federation.core.works import BrokenWorkMetadata, SeenWork, WorkMetadata
from federation.kube import decoding
from federation.kube.connection import JSON_PATCH, MERGE_PATCH, METADATA, METADATA_LIST, Connection
from federation.kube.decoding import Content, Reader
from federation.kube.listing import Collection
from federation.kube.members import PUSH_DEADLINE, MemberWriter, Written
from federation.kube.reflector import OnChange, Reflector
from federation.kube.sinks import Sink
from federation.model import bounds
from federation.model.failures import Failure
from federation.model.resources import ObjectName
from federation.model.works import HUB_LABEL, MANIFEST_WORKS


class _DeleteOption(msgspec.Struct, rename="camel", gc=False):
    propagation_policy: str = ""


class _Spec(msgspec.Struct, rename="camel", gc=False):
    delete_option: _DeleteOption | None = None


class _Work(msgspec.Struct, gc=False):
    metadata: WorkMetadata
    spec: _Spec | None = None
    status: Any = None


class _Items(msgspec.Struct, gc=False):
    items: tuple[msgspec.Raw, ...] | None = ()  # an API server says null of none


_decoder = msgspec.json.Decoder(_Work)
_items = msgspec.json.Decoder(_Items)
_NONE = {403, 404}


def collection(manager: str) -> Collection[SeenWork]:
    """All of them, in every namespace; `manager` is the hub's field manager."""

    def seen(metadata: WorkMetadata, policy: str, status: Any) -> SeenWork:
        said = status if isinstance(status, dict) else {}
        return bundles.see(metadata, said) if metadata.annotations.objects else works.see(metadata, policy, said)

    def fast(content: Content) -> SeenWork:
        work = _decoder.decode(content)
        option = work.spec.delete_option if work.spec is not None else None
        return seen(work.metadata, option.propagation_policy if option is not None else "", work.status)

    def slow(value: Mapping[str, Any], why: str) -> SeenWork:
        metadata = value.get("metadata")
        return seen(_unreadable(value, metadata if isinstance(metadata, dict) else {}, why), "", {})

    return Collection(
        path=MANIFEST_WORKS.collection(),
        decode=Reader(fast, slow, bounds.DEEPEST),
        version=lambda item: item.version,
        label_selector=f"{HUB_LABEL}={manager}",
        what=MANIFEST_WORKS.qualified,
        largest=bounds.LARGEST_OBJECT,
        page=bounds.LARGEST_HUB_PAGE,
    )


def _unreadable(value: Mapping[str, Any], metadata: Mapping[str, Any], why: str) -> BrokenWorkMetadata:
    identity = decoding.identity(value)
    identity = {key: identity[key] for key in ("name", "namespace", "uid", "resource_version") if key in identity}
    notes = metadata.get("annotations")
    return BrokenWorkMetadata(**identity, annotations=works.notes(notes if isinstance(notes, dict) else {}), why=why)


class WorksWriter(MemberWriter):
    """Writes works at the hub: what a create or a merge patch costs it there is half of a server-side apply."""

    async def create(self, name: ObjectName, body: bytes) -> Written | Failure:
        """POST; ALREADY_EXISTS where there is one of this name, whoever has made it."""
        return await self._written(
            await self.connection.request(
                "POST",
                MANIFEST_WORKS.collection(name.namespace),
                body=body,
                accept=METADATA,
                params={"fieldManager": self.manager},
                deadline=PUSH_DEADLINE,
            )
        )

    async def merge(self, name: ObjectName, body: bytes) -> Written | Failure:
        """JSON merge patch; UID_MISMATCH where the body names another uid."""
        return await self._written(
            await self.connection.request(
                "PATCH",
                MANIFEST_WORKS.path(name),
                body=body,
                content_type=MERGE_PATCH,
                accept=METADATA,
                params={"fieldManager": self.manager},
                deadline=PUSH_DEADLINE,
            )
        )

    async def edit(
        self, name: ObjectName, operations: Sequence[Mapping[str, Any]], *, secret: bool
    ) -> Written | Failure:
        """JSON patch of a whole work. `secret`: it has a Secret, so that what the answer quotes is not shown."""
        return await self._written(
            await self.connection.request(
                "PATCH",
                MANIFEST_WORKS.path(name),
                body=orjson.dumps(operations),
                content_type=JSON_PATCH,
                accept=METADATA,
                params={"fieldManager": self.manager},
                deadline=PUSH_DEADLINE,
                secret=secret,
            )
        )


class HandedWorks:
    """How they are followed (controllers.pulling.Works)."""

    def __init__(self, connection: Connection, manager: str) -> None:
        self._connection = connection
        self._collection = collection(manager)

    def watch(self, sink: Sink[SeenWork], on_change: OnChange) -> Reflector[SeenWork]:
        """All of them."""
        return Reflector(self._connection, self._collection, sink, on_change=on_change)

    async def any(self) -> bool | None:
        """One list of one work, its metadata alone."""
        params = {"labelSelector": self._collection.label_selector, "limit": "1"}
        answer = await self._connection.request("GET", self._collection.path, params=params, accept=METADATA_LIST)
        if isinstance(answer, Failure):
            return False if answer.code in _NONE else None
        try:
            return bool(_items.decode(answer.body).items)
        except decoding.ERRORS:
            return None
