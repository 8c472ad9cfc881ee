"""Which collections are observed and how each is read: the hub's objects whole, members' objects as metadata only.

Members' objects are observed whole where their statuses are collected, and reduced when they are decoded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar, runtime_checkable

from federation.core.managedfields import PartialMetadata
from federation.core.remotestatus import WholeCopy
from federation.kube import decoding
from federation.kube.connection import METADATA, METADATA_LIST, Connection
from federation.kube.listing import Budget, Collection, Listed
from federation.kube.reflector import Before, OnChange, OnEnd, Reflector, at_once
from federation.kube.sinks import Sink
from federation.kube.unreadable import Readable
from federation.model import bounds, marks
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.resources import Resource
from federation.model.statusrules import StatusCollection
from federation.runtime.spacing import Spacing

T = TypeVar("T", bound=Readable)


@runtime_checkable
class ThriftySink(Protocol):
    """A sink that reduces each object while a list is read, because all pages together may be large."""

    def kept(self, item: FederatedObject) -> FederatedObject:
        """The object, or the part of it that is needed."""


@runtime_checkable
class RememberingSink(Protocol):
    """A sink that knows how much is kept of its server."""

    def remembered(self) -> tuple[int, int]:
        """Bytes that are kept of this collection, and of all others of the same server."""


Kept = Mapping[str, tuple[Sequence[Any], str]]
"""What a standby has of collections, by their paths: the objects and up to which version they were observed."""


class Watches:
    """The collections that are observed at the hub. Each of those in `kept` is not listed the first time.

    `forget` what was kept once all have begun: it becomes old.
    """

    def __init__(self, connection: Connection, namespace: str, kept: Kept | None = None) -> None:
        self._connection = connection
        self._namespace = namespace
        self._kept = dict(kept or {})

    def forget(self) -> None:
        """List what begins from now on."""
        self._kept.clear()

    def _listed(self, collection: Collection[Any], reduced: Callable[[Any], Any] | None = None) -> Listed[Any] | None:
        """What was kept of a collection, once, each object as the sink wants it."""
        items, version = self._kept.pop(collection.path, ((), ""))
        if not version:
            return None
        return Listed([reduced(item) for item in items] if reduced else list(items), version)

    def federated(
        self,
        enabled: FederatedType,
        sink: Sink[FederatedObject],
        on_change: OnChange,
    ) -> Reflector[FederatedObject]:
        """Federated objects of one type, everywhere or in the one namespace that the type is bound to."""
        collection = Collection(
            path=enabled.federated.collection(enabled.namespace),
            decode=decoding.federated.then(sink.kept) if isinstance(sink, ThriftySink) else decoding.federated,
            version=_federated_version,
            what=enabled.federated.qualified,
        )
        kept = self._listed(collection, sink.kept if isinstance(sink, ThriftySink) else None)
        return Reflector(self._connection, collection, sink, on_change=on_change, kept=kept)

    def system(self, resource: Resource, sink: Sink[StoredObject]) -> Reflector[StoredObject]:
        """Objects of one resource in the system namespace."""
        return self.stored(resource, self._namespace, sink, lambda _: None)

    def stored(
        self,
        resource: Resource,
        namespace: str,
        sink: Sink[StoredObject],
        on_change: OnChange,
        *,
        name: str = "",
        labelled: str = "",
        relists: Spacing | None = None,
    ) -> Reflector[StoredObject]:
        """Objects of one resource in a namespace, "" for all; with `name` those of that name alone, with `labelled`
        those that a label selector selects. `relists`: they are listed again after an outage."""
        collection = Collection(
            path=resource.collection(namespace),
            decode=decoding.stored,
            version=lambda item: item.metadata.resource_version,
            field_selector=f"metadata.name={name}" if name else "",
            label_selector=labelled,
            what=resource.qualified,
        )
        kept = self._listed(collection)
        return Reflector(self._connection, collection, sink, on_change=on_change, kept=kept, relists=relists)

    def metadata(
        self, resource: Resource, sink: Sink[Metadata], on_change: OnChange | None = None
    ) -> Reflector[Metadata]:
        """Metadata of every object of one resource."""
        collection = Collection(
            path=resource.collection(),
            decode=decoding.metadata,
            version=lambda item: item.resource_version,
            accept=METADATA,
            accept_list=METADATA_LIST,
            what=resource.qualified,
            largest=bounds.LARGEST_METADATA,
        )
        return Reflector(self._connection, collection, sink, on_change=on_change, kept=self._listed(collection))


def copies(
    connection: Connection,
    enabled: FederatedType,
    sink: Sink[PartialMetadata],
    on_change: OnChange,
    on_end: OnEnd,
    *,
    manager: str,
    budget: Budget | None = None,
    before_watch: Before = at_once,
    relists: Spacing | None = None,
) -> Reflector[PartialMetadata]:
    """Observe a member's objects of a type that have our label, as `copies_of` reads them.

    `relists` spreads the lists that follow outages.
    """
    collection = copies_of(enabled, manager, budget or Budget())
    return following(connection, collection, sink, on_change, on_end, before_watch=before_watch, relists=relists)


def following(
    connection: Connection,
    collection: Collection[T],
    sink: Sink[T],
    on_change: OnChange,
    on_end: OnEnd,
    *,
    before_watch: Before = at_once,
    relists: Spacing | None = None,
    kept: Listed[T] | None = None,
) -> Reflector[T]:
    """Observe one of a member's collections: `copies_of` a type, or `whole_copies_of` it."""
    remembered = sink.remembered if isinstance(sink, RememberingSink) else _nothing
    return Reflector(
        connection,
        replace(collection, remembered=remembered),
        sink,
        on_change=on_change,
        on_end=on_end,
        before_watch=before_watch,
        relists=relists,
        kept=kept,
    )


def copies_of(enabled: FederatedType, manager: str, budget: Budget) -> Collection[PartialMetadata]:
    """A member's objects of a type that have our label, with any value: "false" must be observed, too.

    `manager` is our field manager; while a list is read, only what concerns it is kept of each object. All types of the
    member share its `budget`.
    """
    return Collection(
        path=enabled.target.collection(enabled.namespace),
        decode=decoding.partial,
        version=_partial_version,
        label_selector=marks.MANAGED_LABEL,
        accept=METADATA,
        accept_list=METADATA_LIST,
        what=enabled.target.qualified,
        largest=bounds.LARGEST_METADATA,
        page=bounds.LARGEST_PAGE,
        kept=lambda item: decoding.kept(item, manager),
        budget=budget,
    )


def whole_copies_of(
    enabled: FederatedType, wanted: StatusCollection, manager: str, budget: Budget
) -> Collection[WholeCopy]:
    """The same, with what their statuses say."""
    return Collection(
        path=enabled.target.collection(enabled.namespace),
        decode=decoding.whole(enabled.target, wanted),
        version=_whole_version,
        label_selector=marks.MANAGED_LABEL,
        what=enabled.target.qualified,
        largest=bounds.LARGEST_OBJECT,
        page=bounds.LARGEST_HUB_PAGE,
        kept=lambda item: decoding.kept_whole(item, manager),
        budget=budget,
    )


def _federated_version(item: FederatedObject) -> str:
    return item.metadata.resource_version


def _partial_version(item: PartialMetadata) -> str:
    return item.resource_version


def _whole_version(item: WholeCopy) -> str:
    return item.metadata.resource_version


def _nothing() -> tuple[int, int]:
    return 0, 0
