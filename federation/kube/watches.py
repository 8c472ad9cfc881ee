"""Which collections are followed and how each is read: the hub's objects whole, members' objects as metadata only."""

from federation.core.managedfields import PartialMetadata
from federation.kube import decoding
from federation.kube.connection import METADATA, METADATA_LIST, Connection
from federation.kube.reflector import Collection, OnChange, OnEnd, Reflector, Sink
from federation.model import marks
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.resources import Resource


class Watches:
    """The collections followed at the hub."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace

    def federated(
        self,
        enabled: FederatedType,
        sink: Sink[FederatedObject],
        on_change: OnChange,
    ) -> Reflector[FederatedObject]:
        """Federated objects of one type, everywhere."""
        collection = Collection(
            path=enabled.federated.collection(),
            decode=decoding.federated,
            version=_federated_version,
            what=enabled.federated.qualified,
        )
        return Reflector(self._connection, collection, sink, on_change=on_change)

    def system(self, resource: Resource, sink: Sink[StoredObject]) -> Reflector[StoredObject]:
        """Objects of one resource in the system namespace."""
        collection = Collection(
            path=resource.collection(self._namespace),
            decode=decoding.stored,
            version=lambda item: item.metadata.resource_version,
            what=resource.qualified,
        )
        return Reflector(self._connection, collection, sink)

    def metadata(self, resource: Resource, sink: Sink[Metadata]) -> Reflector[Metadata]:
        """Metadata of every object of one resource."""
        collection = Collection(
            path=resource.collection(),
            decode=decoding.metadata,
            version=lambda item: item.resource_version,
            accept=METADATA,
            accept_list=METADATA_LIST,
            what=resource.qualified,
        )
        return Reflector(self._connection, collection, sink)


def holdings(
    connection: Connection,
    enabled: FederatedType,
    sink: Sink[PartialMetadata],
    on_change: OnChange,
    on_end: OnEnd,
) -> Reflector[PartialMetadata]:
    """What a member holds of a type, by the existence of our label: a value of "false" must be seen, too."""
    collection = Collection(
        path=enabled.target.collection(),
        decode=decoding.partial,
        version=_partial_version,
        label_selector=marks.MANAGED_LABEL,
        accept=METADATA,
        accept_list=METADATA_LIST,
        what=enabled.target.qualified,
    )
    return Reflector(connection, collection, sink, on_change=on_change, on_end=on_end)


def _federated_version(item: FederatedObject) -> str:
    return item.metadata.resource_version


def _partial_version(item: PartialMetadata) -> str:
    return item.resource_version
