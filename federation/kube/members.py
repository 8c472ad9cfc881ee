"""Writes to one member: server-side apply, delete, and the few JSON patches on marks and managedFields.

Answers are asked for as PartialObjectMetadata: all that is needed of them is what we own now. Nothing else ever
writes a field under our manager's name (a POST or PUT would leave an Update entry that our applies conflict with).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
import orjson

from federation.core.managedfields import PartialMetadata
from federation.kube import decoding
from federation.kube.connection import APPLY_PATCH, JSON, JSON_PATCH, METADATA, Answer, Connection
from federation.model.failures import Failure, FailureKind
from federation.model.resources import SECRETS, ObjectName, Resource

PUSH_DEADLINE = 10.0
"""Seconds for one write to a member; KubeFed's was 30."""


@dataclass(frozen=True, slots=True)
class Written:
    """A write that succeeded: whether it created the object, and its metadata afterwards."""

    created: bool
    metadata: PartialMetadata


class _Spec(msgspec.Struct, gc=False):
    replicas: int


class _Scaled(msgspec.Struct, gc=False):
    spec: _Spec


_scaled = msgspec.json.Decoder(_Scaled)


class MemberWriter:
    """One member, as one field manager."""

    def __init__(self, connection: Connection, manager: str) -> None:
        self.connection = connection
        self.manager = manager
        self._queries: dict[tuple[str, bool], str] = {}

    async def apply(
        self, resource: Resource, name: ObjectName, body: bytes, *, force: bool, manager: str | None = None
    ) -> Written | Failure:
        """Server-side apply; unforced, somebody else's field is a FIELD_CONFLICT that names it."""
        return self._written(
            await self.connection.request(
                "PATCH",
                resource.path(name) + self._query(manager or self.manager, force),
                body=body,
                content_type=APPLY_PATCH,
                accept=METADATA,
                deadline=PUSH_DEADLINE,
                secret=_is_secret(resource),
            )
        )

    async def patch(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Written | Failure:
        """JSON patch of metadata only (marks, managedFields): data would be echoed back in errors."""
        return self._written(
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

    async def would_create(self, resource: Resource, name: ObjectName, body: bytes) -> Failure | None:
        """Ask by a dry run whether this object could be created; None: it could, and there is none.

        An API server looks for an object of that name last, after defaulting, admission, validation and quota (every
        registry does, custom resources' too): ALREADY_EXISTS says that nothing else stands in its way.
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
        self, resource: Resource, name: ObjectName, uid: str, options: Mapping[str, Any], *, version: str = ""
    ) -> Failure | None:
        """Delete the object if it still has this uid, and this resourceVersion if given. Already gone is success."""
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
        outcome = self._written(answer)
        return outcome if isinstance(outcome, Failure) else outcome.metadata

    async def read_replicas(self, resource: Resource, name: ObjectName) -> int | Failure:
        """spec.replicas of the object itself: not every resource has a scale subresource."""
        answer = await self.connection.request("GET", resource.path(name), deadline=PUSH_DEADLINE)
        if isinstance(answer, Failure):
            return answer
        try:
            return _scaled.decode(answer.body).spec.replicas
        except msgspec.MsgspecError:
            return Failure(FailureKind.UNEXPECTED, "the member's answer names no spec.replicas")

    async def read_whole(self, resource: Resource, name: ObjectName) -> Mapping[str, Any] | Failure:
        """The object itself, for what its metadata cannot tell (core.drops); never asked of a Secret."""
        answer = await self.connection.request("GET", resource.path(name), deadline=PUSH_DEADLINE)
        if isinstance(answer, Failure):
            return answer
        try:
            found = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            found = None
        return found if isinstance(found, dict) else Failure(FailureKind.UNEXPECTED, "the member's answer is no object")

    def _query(self, manager: str, force: bool) -> str:
        query = self._queries.get((manager, force))
        if query is None:
            query = "?" + urlencode({"fieldManager": manager, "force": "true" if force else "false"})
            self._queries[manager, force] = query
        return query

    def _written(self, answer: Answer | Failure) -> Written | Failure:
        if isinstance(answer, Failure):
            return answer
        try:
            return Written(answer.code == 201, decoding.partial(answer.body))
        except msgspec.MsgspecError:
            return Failure(FailureKind.UNEXPECTED, "the member's answer is no object's metadata")


def _is_secret(resource: Resource) -> bool:
    return resource.group == SECRETS.group and resource.plural == SECRETS.plural
