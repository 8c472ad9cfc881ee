"""The contents that clusters are held to, as FederatedRevisions at the hub: stored once, read when needed, removed."""

import hashlib
from collections.abc import Iterable
from typing import Protocol

import structlog

from federation.controllers.ports import HubPort
from federation.core import staging
from federation.core.staging import Content
from federation.model import marks
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, Metadata
from federation.model.resources import REVISIONS, ROLLOUTS, ObjectName, Resource
from federation.model.rollouts import Entry, Revision

_LONGEST_LABEL = 63
_LONGEST_PREFIX = 180

log = structlog.get_logger()


class RevisionHub(HubPort, Protocol):
    """The hub, as revisions need it."""

    async def remove(self, resource: Resource, name: ObjectName) -> Failure | None:
        """DELETE of an object that is the controller's own."""


class Revisions:
    """FederatedRevisions of all rollouts."""

    def __init__(self, hub: RevisionHub) -> None:
        self._hub = hub

    async def read(self, rollout: ObjectName, entry: Entry) -> Content | None:
        """A content that the hub stores; None when it has none that can be used. Raises ApiFailure."""
        name = ObjectName(rollout.namespace, name_of(rollout.name, entry))
        found = await self._hub.read(REVISIONS, name)
        if isinstance(found, Failure):
            if found.kind in {FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING}:
                log.warning("revision is gone", rollout=str(rollout), revision=name.name)
                return None
            raise ApiFailure(found, f"FederatedRevision {name}")
        text, namespaces = found.spec.get("content"), entry.type == marks.NAMESPACE_TYPE
        try:
            if not isinstance(text, str):
                raise Invalid("spec.content", "is required")
            return staging.unpacked(text, entry.content, entry.generation, namespaces=namespaces)
        except Invalid as error:
            log.warning("revision cannot be used", rollout=str(rollout), revision=name.name, reason=str(error))
            return None

    async def store(self, rollout: Metadata, entry: Entry, item: FederatedObject) -> None:
        """Store the present content of an object. Raises ApiFailure."""
        name = name_of(rollout.name, entry)
        owner = {
            "apiVersion": ROLLOUTS.api_version,
            "kind": ROLLOUTS.kind,
            "name": rollout.name,
            "uid": rollout.uid,
        }
        labels = {marks.ROLLOUT_LABEL: rollout.name} if len(rollout.name) <= _LONGEST_LABEL else {}
        body = {
            "apiVersion": REVISIONS.api_version,
            "kind": REVISIONS.kind,
            "metadata": {
                "name": name,
                "namespace": rollout.namespace,
                "labels": labels,
                "ownerReferences": [owner],
            },
            "spec": {
                "object": {"type": entry.type, "name": entry.name, "uid": entry.uid},
                "generation": entry.generation,
                "digest": entry.content,
                "content": staging.packed(item.spec),
            },
        }
        failure = await self._hub.create(REVISIONS, rollout.namespace, body)
        if failure is not None and failure.kind is not FailureKind.ALREADY_EXISTS:
            raise ApiFailure(failure, f"FederatedRevision {rollout.namespace}/{name}")

    async def prune(self, rollout: ObjectName, before: Iterable[Revision], after: Iterable[Revision]) -> None:
        """Remove what no revision has any more; one that cannot be removed goes with its FederatedRollout."""
        gone = _names(rollout.name, before) - _names(rollout.name, after)
        for name in sorted(gone):
            failure = await self._hub.remove(REVISIONS, ObjectName(rollout.namespace, name))
            if failure is not None and failure.kind is not FailureKind.NOT_FOUND:
                log.warning("revision is left", rollout=str(rollout), revision=name, reason=failure.message)


def name_of(rollout: str, entry: Entry) -> str:
    """The name of the FederatedRevision of a content: the same content of an object is stored once."""
    text = "\0".join((rollout, *entry.what, entry.content))
    return f"{rollout[:_LONGEST_PREFIX].rstrip('-.')}-{hashlib.blake2b(text.encode(), digest_size=10).hexdigest()}"


def _names(rollout: str, revisions: Iterable[Revision]) -> set[str]:
    return {name_of(rollout, entry) for revision in revisions for entry in revision.objects}
