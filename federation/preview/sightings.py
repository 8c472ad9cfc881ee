"""What one member has of the objects that a plan looks at: read as the controller's watches would show it."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from federation.controllers.copies import Copies
from federation.controllers.world import TypeState, World
from federation.core import managedfields, versions
from federation.core.managedfields import PartialMetadata
from federation.kube import discovery, watches
from federation.kube.connection import Connection
from federation.kube.listing import Budget, Listing
from federation.kube.members import MemberWriter
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.errors import FederationError
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType
from federation.model.observations import BY_WORK, MAY_HAVE_COPY, Applied, Observed, ObservedWork, Said
from federation.model.plan import Wait
from federation.model.resources import Key, ObjectName

FEW = 20
"""Objects of a type that are asked for by name; of more, those with our label are listed."""
AT_ONCE = 4
_GONE = frozenset({FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING})

Seen = dict[tuple[str, ObjectName], str]
"""By the type and the member's object: what of it a plan rests on (`stamp`), "" where there is none."""


class Silent(FederationError):
    """The member does not answer: nothing that it has is known."""


@dataclass(slots=True)
class Sighting:
    """One member's copies by type. `refused` says of types whose objects we may not read there, why.

    `works` are the works of a cluster in pull mode, by type and copy; None: the member itself was looked at.
    """

    copies: dict[str, Copies] = field(default_factory=dict)
    seen: Seen = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    works: dict[tuple[str, ObjectName], Mapping[str, Any]] | None = None


class Observer:
    """Looks at one member. `dry` writes nothing."""

    def __init__(self, connection: Connection, dry: MemberWriter) -> None:
        self._connection = connection
        self._dry = dry
        self._budget = Budget()
        self._sighting = Sighting()

    async def look(self, types: Mapping[str, FederatedType], wanted: Mapping[str, Sequence[ObjectName]]) -> Sighting:
        """What it has under these names, by type. Raises Silent."""
        grouped = any(types[name].target.group for name in wanted)
        found = await discovery.served(self._connection) if grouped else None
        if isinstance(found, Failure) and found.concerns == "member":
            raise Silent(found.message)
        for name, targets in wanted.items():
            copies = self._sighting.copies[name] = Copies()
            enabled = types[name]
            if isinstance(found, discovery.Discovered):
                copies.served = found.versions(enabled.target.group, enabled.target.plural)
            await self._of_type(enabled, copies, targets)
        return self._sighting

    async def _of_type(self, enabled: FederatedType, copies: Copies, targets: Sequence[ObjectName]) -> None:
        if copies.served == ():
            copies.unobservable = Wait(PropagationStatus.VERSION_UNAVAILABLE)
            return
        version = versions.followed(enabled, copies.served)
        there = replace(enabled, target=replace(enabled.target, version=version))
        if len(targets) > FEW:
            items = await self._listed(there, copies)
        else:
            items = await self._named(there, copies, targets)
        for item in items:
            target = ObjectName(item.namespace, item.name)
            self._sighting.seen[enabled.name, target] = stamp(item)
            if item.labels.managed:  # what has not our label is not seen, but met
                copies.objects.put(target, managedfields.observe(item, self._dry.manager))
        if copies.unobservable is None:
            copies.objects.listed()

    async def _listed(self, enabled: FederatedType, copies: Copies) -> Iterable[PartialMetadata]:
        listing = Listing(self._connection, watches.copies_of(enabled, self._dry.manager, self._budget), lambda: None)
        listed = await listing.read()
        if isinstance(listed, Failure):
            self._failed(enabled, copies, listed)
            return ()
        listing.end()
        return listed.items

    async def _named(
        self, enabled: FederatedType, copies: Copies, targets: Sequence[ObjectName]
    ) -> Iterable[PartialMetadata]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(target: ObjectName) -> PartialMetadata | Failure:
            async with slots:
                return await self._dry.read(enabled.target, target)

        items = []
        for target, answer in zip(targets, await asyncio.gather(*map(one, targets)), strict=True):
            if not isinstance(answer, Failure):
                items.append(answer)
            elif answer.kind in _GONE:
                self._sighting.seen[enabled.name, target] = ""
            else:
                self._failed(enabled, copies, answer)
        return items

    def _failed(self, enabled: FederatedType, copies: Copies, failure: Failure) -> None:
        """Its objects of a type cannot be read. Raises Silent where that is the member's own failure."""
        if failure.concerns == "member":
            raise Silent(failure.message)
        if failure.kind is FailureKind.TYPE_MISSING:
            copies.served = ()
            copies.unobservable = Wait(PropagationStatus.VERSION_UNAVAILABLE)
            return
        copies.unobservable = Wait(PropagationStatus.RETRIEVAL_FAILED, failure.message)
        self._sighting.refused[enabled.name] = failure.message


def wanted(states: Mapping[str, TypeState], keys: Iterable[Key]) -> dict[str, list[ObjectName]]:
    """The members' objects to look at, by type: and the namespaces that they are in."""
    found: dict[str, dict[ObjectName, None]] = {}
    for key in keys:
        target = states[key.type].target_name(ObjectName(key.namespace, key.name))
        found.setdefault(key.type, {})[target] = None
        if key.namespace and marks.NAMESPACE_TYPE in states:
            found.setdefault(marks.NAMESPACE_TYPE, {})[ObjectName("", key.namespace)] = None
    return {name: list(targets) for name, targets in found.items()}


def by_record(applied: Mapping[ObjectName, Applied], *, pulls: bool = False) -> Copies:
    """The copies of one type in a member that is not asked, as what was applied there shows them; by its works, where
    it `pulls`."""
    copies = Copies()
    for target, each in applied.items():
        if pulls and each.owned_digest == BY_WORK:
            work = ObservedWork("?", 0, BY_WORK, managed=True, said=Said.APPLIED)
            copies.objects.put(target, work)
        elif not pulls and each is not MAY_HAVE_COPY and each.known:
            copies.objects.put(
                target, Observed("?", 0, each.owned_digest, managed=True, created=True, applied_at=each.applied_at)
            )
    copies.objects.listed()
    return copies


def show_records(world: World, keys: Iterable[Key]) -> None:
    """All members have of these objects what was applied there."""
    targets: dict[str, list[ObjectName]] = {}
    for key in keys:
        if key.type in world.types:
            targets.setdefault(key.type, []).append(ObjectName(key.namespace, key.name))
    for name, wheres in targets.items():
        state = world.types[name]
        tracks = {where: state.tracks[where].applied for where in wheres if where in state.tracks}
        for cluster in world.members:
            there = {where: applied[cluster] for where, applied in tracks.items() if cluster in applied}
            there_by_name = {state.target_name(where): each for where, each in there.items()}
            state.copies[cluster] = by_record(there_by_name, pulls=world.members[cluster].cluster.pulls)


def stamp(item: PartialMetadata) -> str:
    """What of an object a plan rests on, as a digest: its identity, and who has written what of it and when.

    Its status is left out: a Deployment's moves all the time, and changes nothing of what an apply does.
    """
    entries = [
        [entry.manager, entry.operation, entry.api_version, entry.time, bytes(entry.fields_v1).decode()]
        for entry in item.managed_fields
        if not entry.subresource
    ]
    parts = [item.uid, item.generation, item.labels.managed, bool(item.deletion_timestamp), entries]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:20]
