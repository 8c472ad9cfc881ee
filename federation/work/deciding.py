"""Decide what is done about one object that works name: apply it, keep it, leave it, let it go, or delete it.

Several works may name one object. Under one field manager there is one content: that of the work that has it, or else
of the oldest (times of creation are whole seconds, so that the oldest alone could change its mind); others
with the same content share the object, others with another one are refused, so that nobody fights. Under field managers
of their own (ServerSideApply) works share an object field by field. An object goes when no work names it any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from federation.core import ignoring, manifest
from federation.model.works import (
    AGENT_LABEL,
    FIELD_MANAGER,
    HASH_ANNOTATION,
    AppliedResource,
    Identifier,
    Manifest,
    Strategy,
    StrategyType,
)
from federation.work.copies import Copy, Record

MARKS_MANAGER = f"{FIELD_MANAGER}-marks"
"""The field manager of our label and owner references on an object that is otherwise left alone (CreateOnly)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One work's wish for one object. `owner` is the reference to its AppliedManifestWork; None where the object is to
    stay when the work goes. `order` says which of several works comes first: who has it already, then the oldest."""

    work: str
    order: tuple[bool, str, str]
    manifest: Manifest
    strategy: Strategy
    owner: Mapping[str, Any] | None

    @property
    def hashed(self) -> bool:
        """Whether the object carries the manifest's hash: not where others may have it under managers of their own, as
        only one of them could have that annotation."""
        return self.strategy.manager == FIELD_MANAGER


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply. With `create_only` an object that exists is left, but for the `marks`.

    `ignored` are fields that are left to the member: they are not in `content`, and are to leave our entry first;
    `whole` is the manifest with them, which an object that is created has.
    """

    content: bytes
    digest: str
    manager: str
    force: bool
    create_only: bool = False
    marks: bytes = b""
    ignored: tuple[tuple[str, ...], ...] = ()
    whole: bytes = b""


@dataclass(frozen=True, slots=True)
class Keep:
    """The object is as it should be."""


@dataclass(frozen=True, slots=True)
class Look:
    """ReadOnly: only whether it exists is looked at."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is written now: the object is being deleted, or cannot be read."""

    message: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing is written until a work changes."""

    message: str


Action = Apply | Keep | Look | Wait | Refuse


def leading(wishes: Sequence[Wish], mine: Wish) -> Wish:
    """The wish whose content counts among those of the same field manager."""
    rivals = (
        each
        for each in wishes
        if each.strategy.manager == mine.strategy.manager and each.strategy.type is not StrategyType.READ_ONLY
    )
    return min(rivals, key=lambda each: each.order, default=mine)


def decide(
    wishes: Sequence[Wish], mine: Wish, copy: Copy | None, record: Record | None, *, agent: str, newer: bool = False
) -> Action:
    """The action for one object, for the work of `mine`. `copy` None: no object with our label was observed.

    `newer`: what is wanted is from a time before the last one that was applied (core: an agent that was started without
    its hub), so that an object with another hash than ours is left.
    """
    strategy = mine.strategy
    if strategy.type is StrategyType.READ_ONLY:
        return Look()
    first = leading(wishes, mine)
    if first.work != mine.work and first.manifest.digest != mine.manifest.digest:
        return Refuse(f'ManifestWork "{first.work}" has this object, with another content')
    if copy is not None and copy.broken:
        return Wait(f"the object in this cluster cannot be read: {copy.broken}")
    if copy is not None and copy.deleting:
        return Wait("the object is being deleted in this cluster; it is created again once it is gone")
    owners = [each.owner for each in sorted(wishes, key=lambda each: each.order) if each.owner is not None]
    if strategy.type is StrategyType.CREATE_ONLY:
        marks = _marks(mine.manifest, agent, owners)
        wanted = {owner["uid"] for owner in owners}
        if copy is not None and wanted <= set(copy.owners):
            return Keep()
        content, digest = body(mine, agent, owners)
        return Apply(content, digest, strategy.manager, force=True, create_only=True, marks=marks)
    same = not mine.hashed or (copy is not None and copy.hash == mine.manifest.digest)
    if newer and copy is not None and _is_newer(mine, copy, record):
        return Keep()
    content, digest = body(mine, agent, owners, strategy.ignored_when_present)
    known = record if copy is not None and record is not None and record.digest == digest else None
    # The hash is of the values, which managedFields do not have: an object of a restored member may be an older one.
    if same and copy is not None and known is not None and known.shown_by(copy, strategy.manager):
        return Keep()
    ignored = strategy.ignored_when_present
    if known is not None and strategy.ignored_when_changed:
        ignored = (*ignored, *strategy.ignored_when_changed)
        content = body(mine, agent, owners, ignored)[0]
    whole = body(mine, agent, owners)[0] if ignored else b""
    return Apply(content, digest, strategy.manager, strategy.force, ignored=ignored, whole=whole)


def _is_newer(mine: Wish, copy: Copy, record: Record | None) -> bool:
    """Whether the object was applied from a newer manifest than the one that is known."""
    if mine.hashed:
        return bool(copy.hash) and copy.hash != mine.manifest.digest
    return record is not None and copy.entry(mine.strategy.manager).at > record.at


def body(
    wish: Wish,
    agent: str,
    owners: Sequence[Mapping[str, Any]],
    ignored: Sequence[tuple[str, ...]] = (),
) -> tuple[bytes, str]:
    """What is applied, with our marks and without ignored fields; and its digest. Raises Invalid for a bad pointer."""
    wanted = wish.manifest
    content = orjson.loads(wanted.content)
    if ignored:
        content = dict(ignoring.without(content, ignored)[0])
    metadata = dict(content.get("metadata") or {})
    metadata["name"] = wanted.name
    metadata.pop("namespace", None)
    if wanted.namespace:
        metadata["namespace"] = wanted.namespace
    metadata["labels"] = {**(metadata.get("labels") or {}), AGENT_LABEL: agent}
    if wish.hashed:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), HASH_ANNOTATION: wanted.digest}
    if owners:
        metadata["ownerReferences"] = list(owners)
    content["metadata"] = metadata
    return manifest.digest(content)


def released(wanted: Manifest) -> bytes:
    """The object as it is when it stays without its work: what was applied, without our marks."""
    content = orjson.loads(wanted.content)
    content["metadata"] = {**content["metadata"], "name": wanted.name}
    return orjson.dumps(content)


def nothing(group: str, version: str, kind: str, where: Identifier) -> bytes:
    """An apply by which a field manager gives up all its fields of an object that others have, too."""
    metadata = {"name": where.name, **({"namespace": where.namespace} if where.namespace else {})}
    api_version = f"{group}/{version}" if group else version
    return orjson.dumps({"apiVersion": api_version, "kind": kind, "metadata": metadata})


def _marks(wanted: Manifest, agent: str, owners: Sequence[Mapping[str, Any]]) -> bytes:
    found = orjson.loads(nothing(wanted.group, wanted.version, wanted.kind, _place(wanted)))
    found["metadata"]["labels"] = {AGENT_LABEL: agent}
    if owners:
        found["metadata"]["ownerReferences"] = list(owners)
    return orjson.dumps(found)


def _place(wanted: Manifest) -> Identifier:
    return Identifier(wanted.group, "", wanted.namespace, wanted.name)


def is_ours(copy: Copy, applied: AppliedResource, owner: str) -> bool:
    """Whether an object is the one that was applied for a work, whose AppliedManifestWork has the uid `owner`.

    The record has its uid, or the object refers to the work's record: nobody else writes such a reference.
    """
    return copy.uid == applied.uid or (owner != "" and owner in copy.owners)


def unwanted(
    before: Sequence[AppliedResource], wanted: Sequence[Identifier], unknown: Sequence[Identifier]
) -> tuple[AppliedResource, ...]:
    """What was applied for a work and is named by it no more. What may be meant by a manifest that cannot be read now
    (`unknown`, whose resource is its kind) is still wanted."""
    names = {(each.group, each.where) for each in unknown}
    return tuple(
        each for each in before if each.what not in set(wanted) and (each.what.group, each.what.where) not in names
    )


def unnamed(before: Sequence[AppliedResource], manifests: Sequence[Manifest]) -> tuple[AppliedResource, ...]:
    """What was applied for a work and no manifest of it may mean."""
    names = {(each.group, each.name) for each in manifests}
    return tuple(each for each in before if (each.what.group, each.what.name) not in names)
