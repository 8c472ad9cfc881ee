"""A hub and members in memory, planned as `fedctl plan` does, for comparison with what the controller then does."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from federation.controllers import revisions
from federation.controllers.copies import Copies
from federation.core import managedfields
from federation.core.managedfields import PartialMetadata
from federation.core.proof import Proof
from federation.kube.members import Whole, Written
from federation.model import marks
from federation.model.failures import Failure
from federation.model.federated import FederatedType, StoredObject
from federation.model.resources import KUBEFED_CLUSTERS, REVISIONS, ROLLOUTS, TYPE_CONFIGS, ObjectName, Resource
from federation.preview import hub as hubs
from federation.preview import scope as scopes
from federation.preview import staged
from federation.preview.changes import Change
from federation.preview.hub import Hub
from federation.preview.sightings import Sighting, stamp
from federation.preview.visits import Observing, Visitor
from federation.preview.wishes import Given, Wish
from tests.fakehub import FakeHub
from tests.fakes import FakeMember

NOW = 1_800_000_000.0
Found = dict[tuple[str, ObjectName, str], Change]
"""By type, federated object and cluster."""


class DryFake:
    """A fake member of which every write is a dry run: each is made on a copy of the object as it is."""

    def __init__(self, member: FakeMember) -> None:
        self.manager = member.manager
        self._member = member

    def _copy(self, resource: Resource, name: ObjectName) -> FakeMember:
        made = FakeMember(self.manager, tuple(self._member.namespaces))
        made.fails, made.drops, made.rewrites = self._member.fails, self._member.drops, self._member.rewrites
        where = (resource.qualified, name)
        if where in self._member.objects:
            made.objects[where] = copy.deepcopy(self._member.objects[where])
        return made

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
        return await self._copy(resource, name).apply(
            resource, name, body, force=force, manager=manager, whole=whole, dry_run=dry_run
        )

    async def patch(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Written | Failure:
        return await self._copy(resource, name).patch(resource, name, operations)

    async def let_go(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]], proof: Proof
    ) -> Written | Failure:
        return await self._copy(resource, name).let_go(resource, name, operations, proof)

    async def would_create(self, resource: Resource, name: ObjectName, body: bytes) -> Failure | None:
        return await self._copy(resource, name).would_create(resource, name, body)

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
        return await self._copy(resource, name).delete(resource, name, uid, options, proof, version=version)

    async def read(self, resource: Resource, name: ObjectName) -> PartialMetadata | Failure:
        return await self._copy(resource, name).read(resource, name)

    async def read_replicas(self, resource: Resource, name: ObjectName) -> int | Failure:
        return await self._copy(resource, name).read_replicas(resource, name)

    async def read_whole(self, resource: Resource, name: ObjectName) -> Whole | Failure:
        return await self._copy(resource, name).read_whole(resource, name)

    async def others_in(self, namespace: str, types: Sequence[Resource]) -> str:
        return await self._member.others_in(namespace, types)

    async def unschedulable(self, namespace: str, selector: str) -> Sequence[float] | Failure:
        return await self._member.unschedulable(namespace, selector)

    async def would_become(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | Failure:
        return await self._copy(resource, name).would_become(resource, name, operations)


class FakeObserver:
    """Looks at a fake member."""

    def __init__(self, member: FakeMember) -> None:
        self._member = member

    async def look(self, types: Mapping[str, FederatedType], wanted: Mapping[str, Sequence[ObjectName]]) -> Sighting:
        found = Sighting()
        for name, targets in wanted.items():
            copies = found.copies[name] = Copies()
            for target in targets:
                stored = self._member.objects.get((types[name].target.qualified, target))
                if stored is None:
                    continue
                metadata = stored.metadata()
                found.seen[name, target] = stamp(metadata)
                if metadata.labels.managed:
                    copies.objects.put(target, managedfields.observe(metadata, self._member.manager))
            copies.objects.listed()
        return found


def snapshot(hub: FakeHub, types: Sequence[FederatedType]) -> Hub:
    """The hub as a plan reads it: all of it."""
    clusters, objects = {}, {}
    for (qualified, where), body in hub.objects.items():
        if qualified == KUBEFED_CLUSTERS.qualified:
            clusters[where.name] = hubs.stored(body)
    for enabled in types:
        found = {
            where: body for (qualified, where), body in hub.objects.items() if qualified == enabled.federated.qualified
        }
        objects[enabled.name] = {where: hubs.federated(body) for where, body in found.items()}
    spaces = {where.namespace for where in objects.get(marks.NAMESPACE_TYPE, {})}
    return Hub(
        "hub-uid",
        rollouts=stored(hub, ROLLOUTS),
        clusters=clusters,
        configs={enabled.name: hubs.stored(config(enabled)) for enabled in types},
        objects=objects,
        unfederated=frozenset({"ns"} - spaces),
        contents={
            where: revisions.contents(where, stored(hub, REVISIONS).values())
            for where, each in stored(hub, ROLLOUTS).items()
            if not staged.recorded(each)
        },
    )


def stored(hub: FakeHub, resource: Resource) -> dict[ObjectName, StoredObject]:
    """All objects of a resource."""
    return {where: hubs.stored(body) for (what, where), body in hub.objects.items() if what == resource.qualified}


def config(enabled: FederatedType) -> dict[str, Any]:
    """The FederatedTypeConfig of a type."""

    def resource(each: Resource) -> dict[str, Any]:
        named = {"version": each.version, "kind": each.kind, "pluralName": each.plural}
        return (
            named
            | {"scope": "Namespaced" if each.namespaced else "Cluster"}
            | ({"group": each.group} if each.group else {})
        )

    spec = {
        "targetType": resource(enabled.target),
        "federatedType": resource(enabled.federated),
        "propagation": "Enabled",
    }
    metadata = {"name": enabled.name, "namespace": marks.SYSTEM_NAMESPACE, "generation": 1}
    return {"apiVersion": TYPE_CONFIGS.api_version, "kind": TYPE_CONFIGS.kind, "metadata": metadata, "spec": spec}


def wish(before: FakeHub, after: FakeHub, resource: Resource, where: ObjectName) -> Wish:
    """What becomes of one object between two states of a hub."""
    found = [each.objects.get((resource.qualified, where)) for each in (before, after)]
    copies = [orjson.loads(orjson.dumps(each)) if each is not None else None for each in found]
    old, new = copies
    deleted = new is None or (
        "deletionTimestamp" in new["metadata"] and "deletionTimestamp" not in (old or new)["metadata"]
    )
    given = Given("test", new or old or {"metadata": {"name": where.name, "namespace": where.namespace}})
    return Wish(given, resource, where, old, new, delete=deleted)


async def plan(
    before: FakeHub,
    wishes: Sequence[Wish],
    types: Sequence[FederatedType],
    members: Mapping[str, FakeMember],
    *,
    silent: frozenset[str] = frozenset(),
    pending: bool = False,
    observers: Mapping[str, Observing] | None = None,
    now: float = NOW,
) -> Found:
    """Every change that is not under way already; with `pending` those, too.

    `observers` look at clusters in pull mode.
    """
    hub = snapshot(before, types)
    parts = scopes.parts(wishes, types, marks.SYSTEM_NAMESPACE)
    scope = scopes.scope(parts)
    then = scopes.after(hub, parts, now)
    scope = replace(scope, staged=staged.moved(hub, scope.rollouts) | staged.moved(then, scope.rollouts))
    now_world = hubs.world(hub, hub.settings)
    then_world = hubs.world(then, then.settings, now_world)
    for world in (now_world, then_world):
        for cluster in world.members.values():
            assert cluster.cluster.ready
    keys = list(dict.fromkeys([*scopes.keys(scope, now_world), *scopes.keys(scope, then_world)]))
    keys.sort(key=lambda key: (key.type != marks.NAMESPACE_TYPE, key))
    stages = staged.forecasts(now_world, hub, now), staged.forecasts(then_world, then, now)
    for world, found in zip((now_world, then_world), stages, strict=True):
        staged.publish(world, found, keys, stored(before, REVISIONS))
    visitor = Visitor(now_world, then_world, scope, keys, values=True, stages=stages)
    for name, concerned in visitor.concerned().items():
        if name in silent:
            visitor.unanswered(name, concerned, "does not answer")
        elif observers is not None and name in observers:
            await visitor.visit(name, concerned, observers[name], DryFake(FakeMember()), own=True)
        else:
            member = members[name]
            await visitor.visit(name, concerned, FakeObserver(member), DryFake(member), own=False)
    return {
        (key.type, ObjectName(key.namespace, key.name), cluster): change
        for key, change, clusters in visitor.findings
        for cluster in clusters
        if pending or not change.pending
    }
