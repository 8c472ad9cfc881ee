"""What a standby watches in members, where spec.leaderElect.warmStandby says so: who is elected lists nothing there.

A member is asked only as the cluster whose identity is on record, with credentials that may be sent there; one that
was never accepted by a controller is left to the one that leads. Nothing is decided and nothing written: who is elected
asks again which cluster answers, before it looks at what was kept of it.
"""

import asyncio
import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import structlog

from federation.controllers import clustersecrets
from federation.controllers.ports import Gate, Gatekeeper, Watch
from federation.core.managedfields import PartialMetadata
from federation.core.remotestatus import WholeCopy
from federation.model import marks
from federation.model.errors import Unusable
from federation.model.federated import FederatedType, StoredObject
from federation.model.resources import ObjectName, collection_in
from federation.model.settings import Settings
from federation.runtime.tasks import Tasks

log = structlog.get_logger()


class Kept(NamedTuple):
    """A collection as a standby has it."""

    items: list[Any]
    version: str


class Copies:
    """The objects of a member's collection: PartialMetadata, or WholeCopy of types whose statuses are collected."""

    def __init__(self) -> None:
        self.objects: dict[ObjectName, Any] = {}

    def replace(self, items: Iterable[Any]) -> None:
        """A whole list."""
        self.objects = {_where(item): item for item in items}

    def upsert(self, item: Any) -> None:
        """One object."""
        self.objects[_where(item)] = item

    def remove(self, item: Any) -> None:
        """One object is gone."""
        self.objects.pop(_where(item), None)


class _Watched(NamedTuple):
    enabled: FederatedType
    copies: Copies
    watch: Watch
    tasks: Tasks


class _Member:
    """One member: its Gate, and its watches once it has shown the recorded identity."""

    def __init__(self, name: str, gate: Gate, recorded: str, made_from: object) -> None:
        self.made_from = made_from
        self.types: Mapping[str, FederatedType] = {}
        self._name = name
        self._gate = gate
        self._recorded = recorded
        self._known = False
        self._watched: dict[str, _Watched] = {}
        self._ending = Tasks()
        self.tasks = Tasks()

    async def probe(self, settings: Settings) -> None:
        """Watch it while it shows itself to be the cluster that was joined."""
        identity = await self._gate.identify(settings.health.timeout, self._recorded)
        if isinstance(identity, str) and (identity == self._recorded) is not self._known:
            self._known = identity == self._recorded
            log.info("standby watches a member" if self._known else "standby leaves a member", cluster=self._name)
        self.align()

    def align(self) -> None:
        """Watch exactly the types that are enabled now."""
        wanted = self.types if self._known else {}
        for name, each in list(self._watched.items()):
            if wanted.get(name) != each.enabled:
                self._ending.spawn(self._watched.pop(name).tasks.cancel(), f"ahead:{self._name}:{name}")
        for name, enabled in wanted.items():
            if name not in self._watched:
                self._begin(enabled)

    def _begin(self, enabled: FederatedType) -> None:
        copies, tasks = Copies(), Tasks()
        watch: Watch
        if enabled.collection is None:
            watch = self._gate.watch(enabled, copies, _unheard, _nothing)
        else:
            watch = self._gate.watch_whole(enabled, enabled.collection, copies, _unheard, _nothing)
        tasks.keep(watch.run, f"ahead:{self._name}:{enabled.name}")
        self._watched[enabled.name] = _Watched(enabled, copies, watch, tasks)

    async def end(self) -> dict[str, Kept]:
        """Stop; what it has, by `collection_in`."""
        await self.tasks.cancel()
        watched, self._watched = self._watched, {}
        await asyncio.gather(self._ending.cancel(), *(each.tasks.cancel() for each in watched.values()))
        await self._gate.close()
        return {
            collection_in(self._name, self._recorded, each.enabled.target.collection(each.enabled.namespace)): Kept(
                list(each.copies.objects.values()), each.watch.version
            )
            for each in watched.values()
            if each.watch.synced and each.watch.version
        }


class Ahead:
    """All members that a standby watches; none while the settings do not say so."""

    def __init__(self, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper
        self._members: dict[str, _Member] = {}
        self._settings = Settings()
        self._ending = Tasks()

    def align(
        self,
        settings: Settings,
        clusters: Mapping[ObjectName, StoredObject],
        secrets: Mapping[ObjectName, StoredObject],
        types: Iterable[FederatedType],
    ) -> None:
        """Watch these types in these clusters."""
        self._settings = settings
        wanted = dict(_usable(clusters, secrets)) if settings.warm_standby else {}
        for name, known in list(self._members.items()):
            if name not in wanted or wanted[name] != known.made_from:
                self._ending.spawn(_dropped(self._members.pop(name)), f"ahead:{name}")
        enabled = {each.name: each for each in types}
        for name, (spec, data, recorded) in wanted.items():
            if name not in self._members:
                try:
                    gate = self._gatekeeper.open(name, spec, data)
                except Unusable as error:
                    log.debug("standby cannot use a member", cluster=name, reason=str(error))
                    continue
                member = self._members[name] = _Member(name, gate, recorded, wanted[name])
                member.tasks.keep(functools.partial(self._probes, member), f"ahead:{name}")
            self._members[name].types = enabled
            self._members[name].align()

    async def _probes(self, member: _Member) -> None:
        while True:
            await member.probe(self._settings)
            await asyncio.sleep(self._settings.health.period)

    async def hand_over(self) -> dict[str, Kept]:
        """Stop; what there is of members, by `collection_in`."""
        members, self._members = self._members, {}
        await self._ending.cancel()
        kept: dict[str, Kept] = {}
        for found in await asyncio.gather(*(each.end() for each in members.values())):
            kept |= found
        return kept


async def _dropped(member: _Member) -> None:
    """What was kept of it is of no use any more."""
    await member.end()


def _usable(
    clusters: Mapping[ObjectName, StoredObject], secrets: Mapping[ObjectName, StoredObject]
) -> Iterable[tuple[str, tuple[Mapping[str, Any], Mapping[str, str], str]]]:
    """The clusters that may be asked, each with its spec, its credentials and its recorded identity."""
    for where, stored in clusters.items():
        recorded = stored.metadata.annotations.get(marks.IDENTITY_ANNOTATION, "")
        secret = secrets.get(ObjectName(where.namespace, stored.secret_name))
        if not recorded or stored.broken or stored.metadata.deletion_timestamp is not None:
            continue
        if secret is None or secret.broken or clustersecrets.refusal(where.name, stored, secret):
            continue
        yield where.name, (stored.spec, secret.data, recorded)


def _where(item: PartialMetadata | WholeCopy) -> ObjectName:
    metadata = item.metadata if isinstance(item, WholeCopy) else item
    return ObjectName(metadata.namespace, metadata.name)


def _unheard(_: Watch) -> None:
    """A leader finds out by itself."""


def _nothing() -> None:
    """Nothing follows from it."""
