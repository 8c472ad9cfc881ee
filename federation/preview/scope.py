"""Which federated objects a change of the hub concerns, and in which clusters. Pure.

A document of a federated object concerns that object, in all clusters; of a FederatedNamespace, what is in the
namespace; of a KubeFedCluster, every object, in that cluster; of a FederatedTypeConfig, the objects of the type; of a
FederatedRollout, those that name it; of the KubeFedConfig, everything. Of what is not named itself, only what the
change makes otherwise is shown.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from federation.controllers.world import World
from federation.core.times import rfc3339
from federation.model import marks
from federation.model.federated import FederatedObject, FederatedType, StoredObject
from federation.model.resources import (
    KUBEFED_CLUSTERS,
    KUBEFED_CONFIGS,
    NAMESPACES,
    ROLLOUTS,
    TYPE_CONFIGS,
    Key,
    ObjectName,
)
from federation.preview import hub as hubs
from federation.preview import wishes as asked
from federation.preview.hub import Hub
from federation.preview.wishes import Wish

OF_THE_SYSTEM = frozenset(each.qualified for each in (KUBEFED_CLUSTERS, KUBEFED_CONFIGS, TYPE_CONFIGS))
_ELSEWHERE = frozenset({NAMESPACES.qualified, ROLLOUTS.qualified})
"""What matters in whichever namespace it is."""


@dataclass(frozen=True, slots=True)
class Scope:
    """`named` are the objects of the documents themselves. Everything in `namespaces`, of `types`, of `rollouts` (whose
    objects are `staged`) and, in `clusters` alone, every object is looked at, too; with `everything` all of it."""

    named: frozenset[Key] = frozenset()
    namespaces: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    clusters: frozenset[str] = frozenset()
    everything: bool = False
    rollouts: frozenset[ObjectName] = frozenset()
    staged: frozenset[Key] = frozenset()

    @property
    def lists_all(self) -> bool:
        """Whether every federated object of the hub has to be read."""
        return self.everything or bool(self.clusters)

    @property
    def everywhere(self) -> bool:
        """Whether anything is looked at in all clusters."""
        return self.everything or bool(self.named or self.staged or self.namespaces or self.types)

    def has(self, key: Key, cluster: str) -> bool:
        """Whether this object is looked at in this cluster."""
        return (
            key in self.named
            or key in self.staged
            or key.namespace in self.namespaces
            or key.type in self.types
            or cluster in self.clusters
            or self.everything
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """The documents, by what they are of; `federated` with the name of their type, `others` mean nothing to members."""

    federated: Sequence[tuple[str, Wish]] = ()
    clusters: Sequence[Wish] = ()
    configs: Sequence[Wish] = ()
    settings: Sequence[Wish] = ()
    namespaces: Sequence[Wish] = ()
    rollouts: Sequence[Wish] = ()
    others: Sequence[Wish] = field(default_factory=list)


def parts(wishes: Sequence[Wish], types: Iterable[FederatedType], namespace: str) -> Parts:
    """Sort the documents. What is in another namespace than the federation's own is none of its objects."""
    by_resource = {each.federated.qualified: each.name for each in types}
    federated, others = [], []
    system: dict[str, list[Wish]] = {each: [] for each in (*OF_THE_SYSTEM, *_ELSEWHERE)}
    for wish in wishes:
        name = by_resource.get(wish.resource.qualified)
        if name is not None:
            federated.append((name, wish))
        elif wish.resource.qualified in _ELSEWHERE or (
            wish.resource.qualified in OF_THE_SYSTEM and wish.where.namespace == namespace
        ):
            system[wish.resource.qualified].append(wish)
        else:
            others.append(wish)
    of = {name: tuple(found) for name, found in system.items()}
    return Parts(
        federated,
        of[KUBEFED_CLUSTERS.qualified],
        of[TYPE_CONFIGS.qualified],
        tuple(each for each in of[KUBEFED_CONFIGS.qualified] if each.where.name == marks.CONFIG),
        of[NAMESPACES.qualified],
        of[ROLLOUTS.qualified],
        others,
    )


def scope(found: Parts) -> Scope:
    """What they concern."""
    named = {Key(name, *wish.where) for name, wish in found.federated}
    namespaces = {
        wish.where.namespace
        for name, wish in found.federated
        if name == marks.NAMESPACE_TYPE and wish.where.name == wish.where.namespace and wish.moves
    }
    deleted = asked.without_namespaces(found.namespaces)
    types = frozenset(wish.where.name for wish in found.configs if wish.moves)
    named |= {Key(marks.NAMESPACE_TYPE, each.where.name, each.where.name) for each in found.namespaces if each.moves}
    return Scope(
        named=frozenset(named),
        namespaces=frozenset(namespaces) | deleted,
        types=types,
        clusters=frozenset(wish.where.name for wish in found.clusters if _selects_otherwise(wish)),
        everything=any(wish.moves for wish in found.settings) or marks.NAMESPACE_TYPE in types,
        rollouts=frozenset(wish.where for wish in found.rollouts if wish.moves),
    )


def _selects_otherwise(wish: Wish) -> bool:
    """Whether a KubeFedCluster's document changes what planning knows of the cluster."""
    if wish.before is None or wish.after is None or wish.delete:
        return wish.moves
    one, other = (hubs.cluster(hubs.stored(each), "") for each in (wish.before, wish.after))
    return one != other


def after(hub: Hub, found: Parts, now: float) -> Hub:
    """The hub with these documents; `now` in seconds of the epoch."""
    objects = {name: dict(each) for name, each in hub.objects.items()}
    gone: set[str] = set()
    for name, wish in found.federated:
        of_type = objects.setdefault(name, {})
        if wish.after is None:
            of_type.pop(wish.where, None)
            if name == marks.NAMESPACE_TYPE:
                gone.add(wish.where.namespace)
        else:
            of_type[wish.where] = hubs.federated(wish.after)
    for namespace in asked.without_namespaces(found.namespaces):
        _empty(objects, namespace, rfc3339(now))
    namespaces = dict(hub.namespaces)
    for wish in found.namespaces:
        stored = wish.before if wish.delete else wish.after
        if stored is not None:
            namespaces[wish.where.name] = hubs.stored(stored).metadata
        if stored is not None and wish.delete:
            going = msgspec.structs.replace(namespaces[wish.where.name], deletion_timestamp=rfc3339(now))
            namespaces[wish.where.name] = going
    federated_again = {wish.where.namespace for name, wish in found.federated if wish.after is not None}
    return replace(
        hub,
        clusters=_changed(hub.clusters, found.clusters),
        configs=_changed(hub.configs, found.configs),
        config=_changed({marks.CONFIG: hub.config} if hub.config else {}, found.settings).get(marks.CONFIG),
        namespaces=namespaces,
        objects=objects,
        rollouts=_rollouts(hub, found.rollouts),
        unfederated=(hub.unfederated - _with_namespace(objects, federated_again)) | gone,
    )


def _rollouts(hub: Hub, wishes: Iterable[Wish]) -> Mapping[ObjectName, StoredObject]:
    found = dict(hub.rollouts)
    for wish in wishes:
        if wish.after is None or wish.delete:
            found.pop(wish.where, None)
        else:
            found[wish.where] = hubs.stored(wish.after)
    return found


def _with_namespace(objects: Mapping[str, Mapping[ObjectName, object]], namespaces: Collection[str]) -> frozenset[str]:
    spaces = objects.get(marks.NAMESPACE_TYPE, {})
    return frozenset(each for each in namespaces if ObjectName(each, each) in spaces)


def _empty(objects: dict[str, dict[ObjectName, FederatedObject]], namespace: str, at: str) -> None:
    """Everything in a namespace of the hub is deleted."""
    for of_type in objects.values():
        for where, item in list(of_type.items()):
            if where.namespace == namespace:
                gone = hubs.deleted(item, at)
                if gone is None:
                    del of_type[where]
                else:
                    of_type[where] = gone


def _changed(before: Mapping[str, StoredObject], wishes: Iterable[Wish]) -> dict[str, StoredObject]:
    found = dict(before)
    for wish in wishes:
        if wish.after is None or wish.delete:
            found.pop(wish.where.name, None)
        else:
            found[wish.where.name] = hubs.stored(wish.after)
    return found


def keys(scope_: Scope, world: World) -> list[Key]:
    """The objects of the world that are looked at in any cluster, federated namespaces first: others wait for them."""
    found = []
    for name, state in world.types.items():
        for where in state.objects:
            key = Key(name, *where)
            if scope_.lists_all or scope_.has(key, ""):
                found.append(key)
    return sorted(found, key=lambda key: (key.type != marks.NAMESPACE_TYPE, key))
