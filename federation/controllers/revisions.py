"""The contents that clusters are held to, as FederatedRevisions at the hub: stored once, read when needed, removed.

Each goes with the federated object that it is of, not with the FederatedRollout: by what is stored a rollout that was
deleted and applied again knows what clusters have.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

import structlog

from federation.controllers.ports import HubPort
from federation.controllers.rolloutindex import What
from federation.core import staging
from federation.core.staging import Content
from federation.model import marks
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, StoredObject
from federation.model.resources import REVISIONS, ObjectName, Resource
from federation.model.rollouts import Entry, Revision

_LONGEST_LABEL = 63
_LONGEST_PREFIX = 180
_DIGEST = 10
"""Bytes of the digest that a name ends with."""

Stored = dict[What, list[Content]]
"""The contents that the hub stores for a rollout, by object."""

log = structlog.get_logger()


class RevisionHub(HubPort, Protocol):
    """The hub, as revisions need it."""

    async def remove(self, resource: Resource, name: ObjectName) -> Failure | None:
        """DELETE of an object that is the controller's own."""


class Revisions:
    """FederatedRevisions of all rollouts."""

    def __init__(self, hub: RevisionHub) -> None:
        self._hub = hub
        self._stored: dict[ObjectName, Stored] = {}

    async def read(self, rollout: ObjectName, entry: Entry) -> Content | None:
        """A content that the hub stores; None when it has none that can be used. Raises ApiFailure."""
        found = await self._read(rollout, name_of(rollout.name, entry))
        return _content(rollout, found, entry) if found is not None else None

    async def _read(self, rollout: ObjectName, name: str) -> StoredObject | None:
        found = await self._hub.read(REVISIONS, ObjectName(rollout.namespace, name))
        if not isinstance(found, Failure):
            return found
        if found.kind in {FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING}:
            log.warning("revision is gone", rollout=str(rollout), revision=name)
            return None
        raise ApiFailure(found, f"FederatedRevision {rollout.namespace}/{name}")

    async def stored(self, rollout: ObjectName) -> Stored:
        """Every content that the hub stores for a rollout, the newest of each object first.

        For a rollout without a record alone: this is a list, and one GET for each, once. Those of its objects that its
        next record does not name are removed by the next `prune`. Raises ApiFailure.
        """
        known = self._stored.get(rollout)
        if known is not None:
            return known
        listed = await self._hub.list_metadata(REVISIONS, rollout.namespace)
        if isinstance(listed, Failure):
            if listed.kind is not FailureKind.RIGHT_MISSING:
                raise ApiFailure(listed, f"FederatedRevisions in {rollout.namespace}")
            log.warning("revisions cannot be listed", rollout=str(rollout), reason=listed.message)
            listed = []  # an upgrade without its roles: what clusters have is not known then, and left as it is
        names = [meta.name for meta in listed if meta.name.startswith(_prefix(rollout.name))]
        found = [await self._read(rollout, name) for name in names]
        kept = self._stored[rollout] = contents(rollout, (each for each in found if each is not None))
        return kept

    def forget(self, rollout: ObjectName) -> None:
        """There is a record, or no such rollout: what is stored beside it is of no interest."""
        self._stored.pop(rollout, None)

    async def store(self, rollout: ObjectName, entry: Entry, resource: Resource, item: FederatedObject) -> None:
        """Store the present content of an object of this resource. Raises ApiFailure."""
        name = name_of(rollout.name, entry)
        owner = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": item.metadata.name,
            "uid": item.metadata.uid,
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

    async def prune(self, rollout: ObjectName, before: Iterable[Revision], after: Sequence[Revision]) -> None:
        """Remove what no revision has any more; one that cannot be removed goes with its federated object."""
        gone = _names(rollout.name, before)
        objects = {entry.what for revision in after for entry in revision.objects}
        for what, contents in self._stored.pop(rollout, {}).items():
            gone |= {name_of(rollout.name, Entry(*what, each.digest)) for each in contents if what in objects}
        for name in sorted(gone - _names(rollout.name, after)):
            failure = await self._hub.remove(REVISIONS, ObjectName(rollout.namespace, name))
            if failure is not None and failure.kind is not FailureKind.NOT_FOUND:
                log.warning("revision is left", rollout=str(rollout), revision=name, reason=failure.message)


def contents(rollout: ObjectName, found: Iterable[StoredObject]) -> Stored:
    """What FederatedRevisions store for a rollout, the newest of each object first; others of these are left out."""
    kept: Stored = {}
    for each in found:
        entry = _entry(each)
        if name_of(rollout.name, entry) != each.metadata.name:
            continue
        content = _content(rollout, each, entry)
        if content is not None:
            kept.setdefault(entry.what, []).append(content)
    for several in kept.values():
        several.sort(key=lambda each: -each.generation)
    return kept


def name_of(rollout: str, entry: Entry) -> str:
    """The name of the FederatedRevision of a content: the same content of an object is stored once."""
    text = "\0".join((rollout, *entry.what, entry.content))
    return f"{_prefix(rollout)}{hashlib.blake2b(text.encode(), digest_size=_DIGEST).hexdigest()}"


def _prefix(rollout: str) -> str:
    return f"{rollout[:_LONGEST_PREFIX].rstrip('-.')}-"


def _entry(found: StoredObject) -> Entry:
    """What a FederatedRevision is of; the fields that are wrong are empty."""
    about, generation = found.spec.get("object"), found.spec.get("generation")
    texts = about if isinstance(about, dict) else {}
    kind, name, uid = (str(texts.get(each) or "") for each in ("type", "name", "uid"))
    digest = str(found.spec.get("digest") or "")
    return Entry(kind, name, uid, digest, generation if isinstance(generation, int) else 0)


def _content(rollout: ObjectName, found: StoredObject, entry: Entry) -> Content | None:
    """What it stores; None where that is not what the controller wrote."""
    text, namespaces = found.spec.get("content"), entry.type == marks.NAMESPACE_TYPE
    try:
        if not isinstance(text, str):
            raise Invalid("spec.content", "is required")
        return staging.unpacked(text, entry.content, entry.generation, namespaces=namespaces)
    except Invalid as error:
        log.warning("revision cannot be used", rollout=str(rollout), revision=found.metadata.name, reason=str(error))
        return None


def _names(rollout: str, revisions: Iterable[Revision]) -> set[str]:
    return {name_of(rollout, entry) for revision in revisions for entry in revision.objects}
