"""Read the hub for a plan, with the user's own rights: what the documents are of, and what they move."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from federation.controllers.revisions import Stored
from federation.controllers.revisions import contents as revisions_of
from federation.core import summary
from federation.joining import applying, fleet
from federation.kube.connection import Connection
from federation.model import marks
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.resources import (
    KUBEFED_CLUSTERS,
    KUBEFED_CONFIGS,
    NAMESPACES,
    REVISIONS,
    ROLLOUTS,
    TYPE_CONFIGS,
    Key,
    ObjectName,
    Resource,
)
from federation.preview import hub as hubs
from federation.preview import staged, wishes
from federation.preview.held import Counts, Wanted
from federation.preview.hub import Hub
from federation.preview.scope import Scope

AT_ONCE = 8


async def begin(host: Connection, namespace: str) -> Hub:
    """The hub without any federated object. Raises NotInstalled, ApiFailure."""
    await fleet.expect_namespace(host, namespace)
    uid = await fleet.cluster_uid(host)
    clusters = await fleet.listing(host, KUBEFED_CLUSTERS, namespace)
    configs = await fleet.listing(host, TYPE_CONFIGS, namespace)
    config = await applying.find(host, KUBEFED_CONFIGS, ObjectName(namespace, marks.CONFIG))
    return Hub(
        uid,
        namespace,
        {each["metadata"]["name"]: hubs.stored(each) for each in clusters},
        {each["metadata"]["name"]: hubs.stored(each) for each in configs},
        hubs.stored(config) if config is not None else None,
    )


async def objects(host: Connection, hub: Hub, scope: Scope, types: Iterable[FederatedType]) -> tuple[Hub, list[str]]:
    """The hub with the objects of the scope and what their plans need; and what could not be read, with the reason."""
    reader = _Reader(host, hub)
    for each in types:
        await reader.of_type(each, scope)
    await reader.spaces({each.name: each for each in types}.get(marks.NAMESPACE_TYPE), scope)
    return reader.hub(), reader.problems


async def rollouts(
    host: Connection, hub: Hub, names: Iterable[ObjectName], types: Iterable[FederatedType]
) -> tuple[Hub, list[str]]:
    """The hub with these FederatedRollouts and all objects that name one of them, and of those without a record what is
    stored for them; and what could not be read."""
    reader = _Reader(host, hub)
    reader.objects = {name: dict(found) for name, found in hub.objects.items()}
    reader.namespaces, reader.unfederated = dict(hub.namespaces), set(hub.unfederated)
    found: dict[ObjectName, StoredObject] = {}
    unread: dict[ObjectName, str] = {}
    contents: dict[ObjectName, Stored] = {}
    followed = list(types)
    for where in sorted(names):
        try:
            stored = await wishes.find(host, ROLLOUTS, where)
        except ApiFailure as error:
            unread[where] = error.failure.message
            reader.problems.append(f"{error}: which clusters it releases is not known")
            continue
        if stored is not None:
            found[where] = hubs.stored(stored)
            if not staged.recorded(found[where]):
                contents[where] = await reader.contents(where)
        for each in followed:
            if each.federated.namespaced or where.namespace == hub.namespace:
                reader.objects.setdefault(each.name, {})
                await reader.read_list(
                    each, where.namespace if each.federated.namespaced else "", f"{marks.ROLLOUT_LABEL}={where.name}"
                )
    await reader.spaces({each.name: each for each in followed}.get(marks.NAMESPACE_TYPE), Scope())
    return replace(reader.hub(), rollouts=found, unread=unread, contents=contents), reader.problems


async def revisions(host: Connection, names: Iterable[ObjectName]) -> tuple[dict[ObjectName, StoredObject], list[str]]:
    """FederatedRevisions, as far as there are any; and what could not be read."""
    found: dict[ObjectName, StoredObject] = {}
    problems: list[str] = []
    for where in sorted(names):
        try:
            stored = await wishes.find(host, REVISIONS, where)
        except ApiFailure as error:
            problems.append(f"{error}: what clusters are held to is not known")
            continue
        if stored is not None:
            found[where] = hubs.stored(stored)
    return found, problems


async def counts(host: Connection, hub: Hub, wanted: Wanted, types: Iterable[FederatedType]) -> Counts:
    """How many objects and placements there are of the types, and in the namespaces, that something would go of."""
    of_types = {key.type for key in wanted.actions}
    namespaces = {key.namespace for key in wanted.actions if key.namespace}
    found: dict[tuple[str, str], tuple[int, int]] = {}
    reader = _Reader(host, hub)
    for each in types:
        reader.objects[each.name] = {}
        for namespace in [""] if each.name in of_types else sorted(namespaces):
            await reader.read_list(each, namespace)
        for where, item in reader.objects.pop(each.name).items():
            objects, placements = found.get((each.name, where.namespace), (0, 0))
            placed = len(summary.parse(item.status).clusters)
            found[each.name, where.namespace] = objects + 1, placements + placed
    return Counts(found)


async def namespaces(host: Connection, hub: Hub, wanted: Wanted) -> list[Metadata]:
    """The hub's Namespaces of what would go, but for those that are known: what is deleted in a young one is counted
    apart. One that may not be read counts as an old one."""
    names = {key.namespace for key in wanted.actions if key.namespace} - hub.namespaces.keys()
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Metadata | None:
        async with slots:
            try:
                found = await wishes.find(host, NAMESPACES, ObjectName("", name))
            except ApiFailure:
                return None
            return hubs.stored(found).metadata if found is not None else None

    return [each for each in await asyncio.gather(*map(one, sorted(names))) if each is not None]


class _Reader:
    def __init__(self, host: Connection, hub: Hub) -> None:
        self._host = host
        self._hub = hub
        self.objects: dict[str, dict[ObjectName, FederatedObject]] = {}
        self.namespaces: dict[str, Metadata] = {}
        self.unfederated: set[str] = set()
        self.problems: list[str] = []

    def hub(self) -> Hub:
        """The hub with what was read."""
        return replace(
            self._hub, objects=self.objects, namespaces=self.namespaces, unfederated=frozenset(self.unfederated)
        )

    async def of_type(self, enabled: FederatedType, scope: Scope) -> None:
        """What the scope has of one type: listed where it is much, else asked for by name."""
        found = self.objects.setdefault(enabled.name, {})
        if scope.lists_all or enabled.name in scope.types:
            await self.read_list(enabled, "")
            return
        for namespace in sorted(scope.namespaces):
            await self.read_list(enabled, namespace)
        wanted = [
            ObjectName(key.namespace, key.name)
            for key in scope.named
            if key.type == enabled.name and key.namespace not in scope.namespaces
        ]
        for where, item in await self._each(enabled.federated, wanted):
            if item is not None:
                found[where] = hubs.federated(item)

    async def spaces(self, enabled: FederatedType | None, scope: Scope) -> None:
        """The FederatedNamespaces that bound what was read, and the hub's own Namespaces that theirs copy."""
        spaces = self.objects.setdefault(marks.NAMESPACE_TYPE, {})
        if enabled is not None:
            within = {where.namespace for found in self.objects.values() for where in found if where.namespace}
            within |= {key.namespace for key in scope.named if key.namespace} | scope.namespaces
            unread = sorted(each for each in within if ObjectName(each, each) not in spaces)
            for where, item in await self._each(enabled.federated, [ObjectName(each, each) for each in unread]):
                if item is None:
                    self.unfederated.add(where.name)
                else:
                    spaces[where] = hubs.federated(item)
        copying = [
            ObjectName("", where.name)
            for where, item in spaces.items()
            if marks.COPY_ANNOTATION in item.metadata.annotations or Key(marks.NAMESPACE_TYPE, *where) in scope.named
        ]
        for where, item in await self._each(NAMESPACES, copying):
            if item is not None:
                self.namespaces[where.name] = hubs.stored(item).metadata

    async def contents(self, rollout: ObjectName) -> Stored:
        """What FederatedRevisions store for a rollout."""
        try:
            listed = await applying.listing(self._host, REVISIONS, rollout.namespace)
        except ApiFailure as error:
            self.problems.append(f"{error}: what clusters have of FederatedRollout {rollout} is not known")
            return {}
        return revisions_of(rollout, map(hubs.stored, listed))

    async def read_list(self, enabled: FederatedType, namespace: str, selector: str = "") -> None:
        """All of a type, or what a namespace has of it; of what a selector of labels matches."""
        if namespace and not enabled.federated.namespaced:
            return
        try:
            within = namespace or enabled.namespace
            listed = await applying.listing(self._host, enabled.federated, within, selector=selector)
        except ApiFailure as error:
            if error.failure.kind in {FailureKind.NAMESPACE_MISSING, FailureKind.TYPE_MISSING}:
                return
            self.problems.append(f"{error}: what of it moves is not shown")
            return
        found = self.objects[enabled.name]
        for each in listed:
            item = hubs.federated(each)
            found[item.where] = item

    async def _each(
        self, resource: Resource, names: Sequence[ObjectName]
    ) -> list[tuple[ObjectName, dict[str, Any] | None]]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(name: ObjectName) -> tuple[ObjectName, dict[str, Any] | None]:
            async with slots:
                return name, await wishes.find(self._host, resource, name)

        return list(await asyncio.gather(*(one(name) for name in names)))
