"""Which collections are observed and how each is read: the hub's objects whole, members' objects as metadata only."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from federation.core.managedfields import PartialMetadata
from federation.kube import decoding
from federation.kube.connection import METADATA, METADATA_LIST, Connection
from federation.kube.listing import Budget, Collection
from federation.kube.reflector import Before, OnChange, OnEnd, Reflector, at_once
from federation.kube.sinks import Sink
from federation.model import bounds, marks
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.resources import Resource
from federation.runtime.spacing import Spacing


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


class Watches:
    """The collections that are observed at the hub."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace

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
        return Reflector(self._connection, collection, sink, on_change=on_change)

    def system(self, resource: Resource, sink: Sink[StoredObject]) -> Reflector[StoredObject]:
        """Objects of one resource in the system namespace."""
        return self.stored(resource, self._namespace, sink, lambda _: None)

    def stored(
        self, resource: Resource, namespace: str, sink: Sink[StoredObject], on_change: OnChange
    ) -> Reflector[StoredObject]:
        """Objects of one resource in a namespace, "" for all."""
        collection = Collection(
            path=resource.collection(namespace),
            decode=decoding.stored,
            version=lambda item: item.metadata.resource_version,
            what=resource.qualified,
        )
        return Reflector(self._connection, collection, sink, on_change=on_change)

    def metadata(self, resource: Resource, sink: Sink[Metadata]) -> Reflector[Metadata]:
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
        return Reflector(self._connection, collection, sink)


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
    """Observe a member's objects of a type that have our label, with any value: "false" must be observed, too.

    `manager` is our field manager; while a list is read, only what concerns it is kept of each object. All types of the
    member share its `budget`. `relists` spreads the lists that follow outages.
    """
    remembered = sink.remembered if isinstance(sink, RememberingSink) else _nothing
    collection = copies_of(enabled, manager, budget or Budget(), remembered)
    return Reflector(
        connection, collection, sink, on_change=on_change, on_end=on_end, before_watch=before_watch, relists=relists
    )


def copies_of(
    enabled: FederatedType,
    manager: str,
    budget: Budget,
    remembered: Callable[[], tuple[int, int]] = lambda: (0, 0),
) -> Collection[PartialMetadata]:
    """A member's objects of a type that have our label; see `copies`."""
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
        remembered=remembered,
        budget=budget,
    )


def _federated_version(item: FederatedObject) -> str:
    return item.metadata.resource_version


def _partial_version(item: PartialMetadata) -> str:
    return item.resource_version


def _nothing() -> tuple[int, int]:
    return 0, 0
