"""Writes to one member: server-side apply, delete, and the few JSON patches on marks and managedFields.

Answers are requested as PartialObjectMetadata: only which fields we own now is needed of them. We never write by POST
or PUT: that would add an entry of operation Update to managedFields, with which our own applies would then conflict.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

import msgspec
import orjson

from federation.core import classification, ownership
from federation.core.managedfields import PartialMetadata
from federation.core.proof import Proof
from federation.kube import decoding, inhabitants, pods
from federation.kube.connection import APPLY_PATCH, JSON, JSON_PATCH, METADATA, Answer
from federation.model import bounds, marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import SECRETS, ObjectName, Resource

PUSH_DEADLINE = 10.0
"""Seconds for one write to a member; KubeFed's was 30."""


class Written(msgspec.Struct, frozen=True, gc=False):
    """A write that succeeded: whether it created the object, and its metadata afterwards.

    `body` is the answer where the whole object was requested.
    """

    created: bool
    metadata: PartialMetadata
    body: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of the whole object; 0 where it was not requested."""
        return len(self.body)

    def content(self) -> Mapping[str, Any] | None:
        """The whole object, decoded anew; None where it was not requested or cannot be read."""
        content = decoding.tree(self.body) if self.body else None
        return content if isinstance(content, dict) else None

    def likeness(self) -> Hashable:
        """Equal where two answers show the same but for identity, times and status; None where that is not known."""
        return decoding.likeness(self.body, self.metadata) if self.body else None


@dataclass(frozen=True, slots=True)
class Whole:
    """A member's object as it is now; `size` in bytes."""

    metadata: PartialMetadata
    content: Mapping[str, Any]
    size: int = 0


class _Spec(msgspec.Struct, gc=False):
    replicas: int


class _Scaled(msgspec.Struct, gc=False):
    spec: _Spec


_scaled = msgspec.json.Decoder(_Scaled)


_OUTDATED = 3
"""Versions that are taken out of an object's managedFields in one go, at most."""


class _Apply(NamedTuple):
    """An apply but for its object."""

    query: str
    body: bytes
    whole: bool


class Server(Protocol):
    """One API server that requests are sent to: kube.connection.Connection, or what stands in front of it."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = ...,
        content_type: str = ...,
        accept: str = ...,
        params: Mapping[str, str] | None = ...,
        deadline: float = ...,
        secret: bool = ...,
        largest: int = ...,
    ) -> Answer | Failure:
        """One request; see Connection.request."""


class MemberWriter:
    """One member, as one field manager."""

    def __init__(self, connection: Server, manager: str) -> None:
        self.connection = connection
        self.manager = manager
        self._queries: dict[tuple[str, bool], str] = {}

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
        """Server-side apply. Unless `force`, a field that another manager owns is a FIELD_CONFLICT that names it.

        With `whole` the answer is the whole object as it is afterwards; that saves reading it by another request. As a
        `dry_run` the answer shows what would be, and nothing is written. What was written in a version of the type that
        is gone counts from now on as written in this one, because the apply would fail for good.
        """
        how = _Apply(self._query(manager or self.manager, force) + ("&dryRun=All" if dry_run else ""), body, whole)
        answer = await self._apply(resource, name, how)
        for _ in range(_OUTDATED):
            gone = classification.outdated_version(answer) if isinstance(answer, Failure) and not dry_run else None
            if gone is None or not await self._renew(resource, name, gone):
                break
            answer = await self._apply(resource, name, how)
        return await self._written(answer, whole=whole)

    async def _apply(self, resource: Resource, name: ObjectName, how: "_Apply") -> Answer | Failure:
        return await self.connection.request(
            "PATCH",
            resource.path(name) + how.query,
            body=how.body,
            content_type=APPLY_PATCH,
            accept=JSON if how.whole else METADATA,
            deadline=PUSH_DEADLINE,
            secret=_is_secret(resource),
            largest=bounds.LARGEST_OBJECT,
        )

    async def _renew(self, resource: Resource, name: ObjectName, gone: str) -> bool:
        """Take a version out of the object's managedFields (see ownership.renew_patch); whether that was done."""
        found = await self.read(resource, name)
        if isinstance(found, Failure):
            return False
        ours = (self.manager, *marks.second_managers(self.manager))
        patch = ownership.renew_patch(found, ours, resource.api_version, gone)
        return patch is not None and not isinstance(await self.patch(resource, name, patch), Failure)

    async def patch(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Written | Failure:
        """JSON patch, for metadata only (marks, managedFields), because error messages quote a patch."""
        return await self._written(
            await self.connection.request(
                "PATCH",
                resource.path(name),
                body=orjson.dumps(operations),
                content_type=JSON_PATCH,
                accept=METADATA,
                deadline=PUSH_DEADLINE,
                secret=_is_secret(resource),
            )
        )

    async def let_go(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]], proof: Proof
    ) -> Written | Failure:
        """JSON patch that takes our label off; `proof` is that the hub wants it so."""
        del proof  # to have one is what matters
        return await self.patch(resource, name, operations)

    async def would_create(self, resource: Resource, name: ObjectName, body: bytes) -> Failure | None:
        """Check by a dry run whether this object could be created; None: it could, and there is no such object.

        An API server looks for an existing object of that name last, after defaulting, admission, validation and quota
        (for custom resources, too): so ALREADY_EXISTS means that there is no other obstacle.
        """
        answer = await self.connection.request(
            "POST",
            resource.collection(name.namespace if resource.namespaced else ""),
            body=body,
            accept=METADATA,
            params={"dryRun": "All", "fieldManager": self.manager},
            deadline=PUSH_DEADLINE,
            secret=_is_secret(resource),
        )
        return answer if isinstance(answer, Failure) else None

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
        """Delete the object if it still has this uid, and this resourceVersion if given. None also if it was gone.

        `proof` is that the hub wants it so.
        """
        del proof  # to have one is what matters
        same = {"uid": uid, "resourceVersion": version} if version else {"uid": uid}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options, "preconditions": same}
        answer = await self.connection.request(
            "DELETE",
            resource.path(name),
            body=orjson.dumps(body),
            accept=f"{METADATA},{JSON}",
            deadline=PUSH_DEADLINE,
            secret=_is_secret(resource),
        )
        if isinstance(answer, Failure) and answer.kind is not FailureKind.NOT_FOUND:
            return answer
        return None

    async def read(self, resource: Resource, name: ObjectName) -> PartialMetadata | Failure:
        """The object's metadata as it is now; NOT_FOUND when it is gone."""
        answer = await self.connection.request("GET", resource.path(name), accept=METADATA, deadline=PUSH_DEADLINE)
        outcome = await self._written(answer)
        return outcome if isinstance(outcome, Failure) else outcome.metadata

    async def read_replicas(self, resource: Resource, name: ObjectName) -> int | Failure:
        """spec.replicas of the object itself: not every resource has a scale subresource."""
        answer = await self.connection.request(
            "GET", resource.path(name), deadline=PUSH_DEADLINE, largest=bounds.LARGEST_OBJECT
        )
        if isinstance(answer, Failure):
            return answer
        try:
            return _scaled.decode(answer.body).spec.replicas
        except decoding.ERRORS:
            return Failure(FailureKind.UNEXPECTED, "the member's answer has no spec.replicas")

    async def read_whole(self, resource: Resource, name: ObjectName) -> Whole | Failure:
        """The whole object, where its metadata is not enough (core.leftovers). Never called for a Secret."""
        answer = await self.connection.request(
            "GET", resource.path(name), deadline=PUSH_DEADLINE, largest=bounds.LARGEST_OBJECT
        )
        written = await self._written(answer, whole=True)
        if isinstance(written, Failure):
            return written
        content = written.content()
        if content is None:
            return Failure(FailureKind.UNEXPECTED, "the member's answer is not an object")
        return Whole(written.metadata, content, written.size)

    async def would_become(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | Failure:
        """What this JSON patch would make of the object, by a dry run. Nothing is written.

        Never called for a Secret. A Failure is about the dry run only; callers do not report it.
        """
        answer = await self.connection.request(
            "PATCH",
            resource.path(name),
            body=orjson.dumps(operations),
            content_type=JSON_PATCH,
            params={"dryRun": "All", "fieldManager": self.manager},
            deadline=PUSH_DEADLINE,
            secret=_is_secret(resource),
            largest=bounds.LARGEST_OBJECT,
        )
        if isinstance(answer, Failure):
            return answer
        content = decoding.tree(answer.body)
        if not isinstance(content, dict):
            return Failure(FailureKind.UNEXPECTED, "the member's answer is not an object")
        return content

    async def others_in(self, namespace: str, types: Sequence[Resource]) -> str:
        """What of others is in a namespace, or why that is not known; "" where nothing is (see inhabitants)."""
        return await inhabitants.others(self.connection, namespace, types)

    async def unschedulable(self, namespace: str, selector: str) -> Sequence[float] | Failure:
        """Since when pods that a label selector selects have been unschedulable (see pods)."""
        return await pods.unschedulable(self.connection, namespace, selector)

    def _query(self, manager: str, force: bool) -> str:
        query = self._queries.get((manager, force))
        if query is None:
            query = "?" + urlencode({"fieldManager": manager, "force": "true" if force else "false"})
            self._queries[manager, force] = query
        return query

    async def _written(self, answer: Answer | Failure, *, whole: bool = False) -> Written | Failure:
        if isinstance(answer, Failure):
            return answer
        try:
            metadata = await decoding.partial.read(answer.body)
        except msgspec.MsgspecError:
            return Failure(FailureKind.UNEXPECTED, "the member's answer is not the metadata of an object")
        if metadata.broken:  # nothing may be concluded from it, least of all that it holds nothing of ours
            return Failure(FailureKind.UNEXPECTED, f"the member's answer cannot be read: {metadata.broken}")
        return Written(answer.code == 201, metadata, answer.body if whole else b"")


def _is_secret(resource: Resource) -> bool:
    return resource.group == SECRETS.group and resource.plural == SECRETS.plural
