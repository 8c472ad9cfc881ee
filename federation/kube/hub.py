"""Writes to the hub: finalizers, statuses, labels; each a small patch whose answer is the object's metadata only.

Also the reads by name that confirm that an object is gone, for which a list is not enough.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import orjson

from federation.core import classification, managedfields
from federation.core.managedfields import Writer
from federation.kube import decoding
from federation.kube.connection import APPLY_PATCH, JSON, MERGE_PATCH, METADATA, METADATA_LIST, Answer, Connection
from federation.kube.listing import Collection, Listing
from federation.model import bounds
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, Metadata, StoredObject
from federation.model.resources import ACCESS_REVIEWS, ObjectName, Resource

T = TypeVar("T")

PROOF_DEADLINE = 3.0
"""Seconds for the hub to answer before a removal, which holds a place in its member's lane meanwhile."""
PROOFS_DEADLINE = 5.0
"""The same for a list that answers for many."""


class _Verdict(msgspec.Struct, gc=False):
    allowed: bool = False


class _Review(msgspec.Struct, gc=False):
    status: _Verdict


_reviewed = msgspec.json.Decoder(_Review)


class HubWriter:
    """The host cluster's API, as far as the controller writes to it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def merge(
        self, resource: Resource, name: ObjectName, body: bytes, *, subresource: str = ""
    ) -> Metadata | Failure:
        """JSON merge patch; the answer is the object's metadata afterwards."""
        path = resource.path(name) + (f"/{subresource}" if subresource else "")
        answer = await self.connection.request("PATCH", path, body=body, content_type=MERGE_PATCH, accept=METADATA)
        return await _read(answer, decoding.metadata, "the hub's answer is not the metadata of an object")

    async def apply(self, resource: Resource, name: ObjectName, body: bytes, manager: str) -> Metadata | Failure:
        """Server-side apply, forced, of the few fields that are this manager's."""
        answer = await self.connection.request(
            "PATCH",
            resource.path(name),
            body=body,
            content_type=APPLY_PATCH,
            accept=METADATA,
            params={"fieldManager": manager, "force": "true"},
        )
        return await _read(answer, decoding.metadata, "the hub's answer is not the metadata of an object")

    async def set_finalizers(
        self, resource: Resource, metadata: Metadata, finalizers: tuple[str, ...]
    ) -> Metadata | Failure:
        """Replace the finalizers unless the object changed since it was read (VERSION_CONFLICT)."""
        body = orjson.dumps(
            {"metadata": {"finalizers": finalizers, "resourceVersion": metadata.resource_version, "uid": metadata.uid}}
        )
        return await self.merge(resource, ObjectName(metadata.namespace, metadata.name), body)

    async def set_status(self, resource: Resource, name: ObjectName, body: bytes) -> Metadata | Failure:
        """Merge patch of the status subresource; `body` is `{"status": ...}`."""
        return await self.merge(resource, name, body, subresource="status")

    async def published(self, resource: Resource) -> object | Failure:
        """The OpenAPI document (v3) of the resource's group and version."""
        prefix = "apis" if resource.group else "api"
        answer = await self.connection.request(
            "GET", f"/openapi/v3/{prefix}/{resource.api_version}", accept=JSON, largest=bounds.LARGEST_OBJECT
        )
        if isinstance(answer, Failure):
            return answer
        try:
            return await asyncio.to_thread(orjson.loads, answer.body)  # of many types it is megabytes
        except orjson.JSONDecodeError:
            return Failure(FailureKind.UNEXPECTED, "the hub's answer is not an OpenAPI document")

    async def create(self, resource: Resource, namespace: str, body: Any) -> Failure | None:
        """POST one object (events)."""
        answer = await self.connection.request(
            "POST", resource.collection(namespace), body=orjson.dumps(body), accept=JSON
        )
        return answer if isinstance(answer, Failure) else None

    async def allows(self, review: Any) -> bool | Failure:
        """Whether a SubjectAccessReview says yes."""
        answer = await self.connection.request("POST", ACCESS_REVIEWS.collection(), body=orjson.dumps(review))
        if isinstance(answer, Failure):
            return answer
        try:
            return _reviewed.decode(answer.body).status.allowed
        except msgspec.MsgspecError:
            return Failure(FailureKind.UNEXPECTED, "the hub's answer is not a SubjectAccessReview")

    async def remove(self, resource: Resource, name: ObjectName) -> Failure | None:
        """DELETE one object (revisions that are kept no longer)."""
        answer = await self.connection.request("DELETE", resource.path(name), accept=METADATA)
        return answer if isinstance(answer, Failure) else None

    async def read(self, resource: Resource, name: ObjectName) -> StoredObject | Failure:
        """One object as it is now; NOT_FOUND when there is none."""
        return await self._read(resource, name, decoding.stored)

    async def read_federated(self, resource: Resource, name: ObjectName) -> FederatedObject | Failure:
        """One federated object as it is now; NOT_FOUND when there is none."""
        return await self._read(resource, name, decoding.federated)

    async def written(self, resource: Resource, name: ObjectName) -> Sequence[str] | Failure:
        """When an object was written, status aside: the times of its managedFields as it is now."""
        answer = await self.connection.request("GET", resource.path(name), accept=METADATA, deadline=PROOF_DEADLINE)
        found = await _read(answer, decoding.partial, f"the hub's answer is not the metadata of a {resource.kind}")
        if isinstance(found, Failure):
            return found
        return [entry.time for entry in found.managed_fields if not entry.subresource]

    async def writers(self, resource: Resource, name: ObjectName) -> Sequence[Writer] | Failure:
        """Who has written an object, status aside, as its managedFields show it now; the newest first."""
        answer = await self.connection.request("GET", resource.path(name), accept=METADATA, deadline=PROOF_DEADLINE)
        found = await _read(answer, decoding.partial, f"the hub's answer is not the metadata of a {resource.kind}")
        return found if isinstance(found, Failure) else managedfields.writers(found.managed_fields)

    async def read_metadata(self, resource: Resource, name: ObjectName) -> Metadata | Failure:
        """One object's metadata as it is now, within the time that a removal waits for its proof."""
        answer = await self.connection.request("GET", resource.path(name), accept=METADATA, deadline=PROOF_DEADLINE)
        return await _read(answer, decoding.metadata, f"the hub's answer is not the metadata of a {resource.kind}")

    async def list_metadata(self, resource: Resource, namespace: str) -> Sequence[Metadata] | Failure:
        """The metadata of every object of a resource, "" in all namespaces, as it is now."""
        collection = Collection(
            path=resource.collection(namespace),
            decode=decoding.metadata,
            version=lambda item: item.resource_version,
            accept=METADATA,
            accept_list=METADATA_LIST,
            what=resource.qualified,
            largest=bounds.LARGEST_METADATA,
        )
        listing = Listing(self.connection, collection, lambda: None)
        try:
            async with asyncio.timeout(PROOFS_DEADLINE):
                found = await listing.read()
        except TimeoutError:
            return classification.timed_out(PROOFS_DEADLINE)
        finally:
            listing.end()
        return found if isinstance(found, Failure) else found.items

    async def _read(self, resource: Resource, name: ObjectName, decode: decoding.Reader[T]) -> T | Failure:
        answer = await self.connection.request("GET", resource.path(name))
        return await _read(answer, decode, f"the hub's answer is not a {resource.kind}")


async def _read(answer: Answer | Failure, decode: decoding.Reader[T], otherwise: str) -> T | Failure:
    if isinstance(answer, Failure):
        return answer
    try:
        return await decode.read(answer.body)
    except msgspec.MsgspecError:
        return Failure(FailureKind.UNEXPECTED, otherwise)
