"""Decoders of what API servers answer, each no deeper than its reader needs. They raise msgspec.MsgspecError."""

import msgspec

from federation.core.managedfields import PartialMetadata, PartialObject
from federation.model.federated import FederatedObject, Metadata, StoredObject


class _MetadataOnly(msgspec.Struct, gc=False):
    metadata: Metadata


class _MetadataList(msgspec.Struct, gc=False):
    items: list[_MetadataOnly] | None = None


_partial = msgspec.json.Decoder(PartialObject)
_metadata = msgspec.json.Decoder(_MetadataOnly)
_metadata_list = msgspec.json.Decoder(_MetadataList)
_federated = msgspec.json.Decoder(FederatedObject)
_stored = msgspec.json.Decoder(StoredObject)

Content = bytes | msgspec.Raw


def partial(content: Content) -> PartialMetadata:
    """A PartialObjectMetadata with its managedFields."""
    return _partial.decode(content).metadata


def metadata(content: Content) -> Metadata:
    """The metadata of any object."""
    return _metadata.decode(content).metadata


def metadata_list(content: Content) -> list[Metadata]:
    """The metadata of every object of a list."""
    return [item.metadata for item in _metadata_list.decode(content).items or ()]


def federated(content: Content) -> FederatedObject:
    """A federated object with spec and status as bytes of their own.

    Raw fields point into the buffer that was decoded, which would keep a whole list or event line alive.
    """
    item = _federated.decode(content)
    return FederatedObject(item.metadata, item.spec.copy(), item.status.copy())


def stored(content: Content) -> StoredObject:
    """Any other object, whole."""
    return _stored.decode(content)
