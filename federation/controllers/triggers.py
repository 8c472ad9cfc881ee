"""Translate what the APIs said into keys: the sinks of all reflectors. The only place that fans out.

Each sink remembers first, then asks whether anything that a plan reads has changed. Our own writes come back here and
end here: a status that we wrote, a finalizer that we added and an apply whose digest we know wake nobody.
"""

import asyncio
from collections.abc import Callable, Iterable

import msgspec
import structlog

from federation.controllers.facts import Holdings, TypeState, World
from federation.core import claims, managedfields
from federation.core.managedfields import PartialMetadata
from federation.model import marks
from federation.model.clusters import Observed
from federation.model.federated import FederatedObject, Metadata
from federation.model.resources import Key, ObjectName
from federation.runtime import metrics

SHORTEST_MOMENT, LONGEST_MOMENT = 0.02, 2.0
"""Seconds."""
PLANNING_COST = 5e-6
"""Seconds of CPU that planning one placement takes, roughly."""

Wake = Callable[..., None]
"""Sync.changed: wake(key, urgent=...)."""

_VERSION = Observed._fields.index("version")
_UNKNOWN_TIME = "1970-01-01T00:00:00Z"

log = structlog.get_logger()


class Fanout:
    """Wakes more than one key.

    Whole types and namespaces are woken a moment later: when many members come or go together, each object is planned
    once for all of them, not once for each. The moment grows with what planning them costs.
    """

    def __init__(self, world: World, wake: Wake) -> None:
        self._world = world
        self._wake = wake
        self._due: set[tuple[str, str]] = set()

    def everything(self) -> None:
        """Clusters, settings or types changed in a way that every placement may see."""
        for name in list(self._world.types):
            self.whole_type(name)

    def whole_type(self, type_name: str) -> None:
        """Every object of one type."""
        state = self._world.types.get(type_name)
        if state is not None:
            self._later(("type", type_name), len(state.objects), self._wake_type)

    def namespace(self, namespace: str) -> None:
        """Every namespaced federated object in one namespace."""
        objects = sum(
            len(state.objects.within(namespace)) for state in self._world.types.values() if state.type.target.namespaced
        )
        self._later(("namespace", namespace), objects, self._wake_namespace)

    def _later(self, what: tuple[str, str], objects: int, wake: Callable[[str], None]) -> None:
        if what in self._due:
            return
        self._due.add(what)
        placements = objects * len(self._world.members)
        moment = min(LONGEST_MOMENT, SHORTEST_MOMENT + placements * PLANNING_COST)

        def due() -> None:
            self._due.discard(what)
            wake(what[1])

        asyncio.get_running_loop().call_later(moment, due)

    def _wake_type(self, type_name: str) -> None:
        state = self._world.types.get(type_name)
        if state is not None:
            for name in list(state.objects):
                self._wake(Key(type_name, *name))

    def _wake_namespace(self, namespace: str) -> None:
        for name, state in list(self._world.types.items()):
            if state.type.target.namespaced:
                for where in state.objects.within(namespace):
                    self._wake(Key(name, *where), urgent=True)


class FederatedSink:
    """Federated objects of one type, from the hub."""

    def __init__(self, state: TypeState, wake: Wake, fanout: Fanout) -> None:
        self._state = state
        self._wake = wake
        self._fanout = fanout

    def replace(self, items: Iterable[FederatedObject]) -> None:
        """A whole list: what is not in it is gone, unless the hub has it when it is asked (see absences)."""
        first = not self._state.objects.synced
        listed = {item.where: item for item in items}
        for name in [name for name in self._state.objects if name not in listed]:
            self._state.missing.add(name)
            self._gone(name)
        for name, item in listed.items():
            before = self._state.objects.put(name, item)
            self._state.heard(name)
            if before is None or _changed(before, item):
                self._changed(name, urgent=not first)
        self._state.objects.synced = True
        if first and self._state.type.is_namespace:
            self._fanout.everything()

    def upsert(self, item: FederatedObject) -> None:
        """One object, new or changed: a user's change goes first."""
        before = self._state.objects.put(item.where, item)
        self._state.heard(item.where)
        if before is None or _changed(before, item):
            self._changed(item.where, urgent=True)

    def remove(self, item: FederatedObject) -> None:
        """One object is gone.

        An API server reads the finalizers, then deletes: one that we add in between is not waited for (seen often when
        something is created and deleted in one breath). Such an object goes on as one that is being deleted, until no
        member holds a copy.
        """
        meta = item.metadata
        if marks.SYNC_FINALIZER not in meta.finalizers or meta.deletion_timestamp is not None:
            self._state.vanished(item.where)
            self._gone(item.where)
            return
        self._state.heard(item.where)
        deleting = msgspec.structs.replace(meta, deletion_timestamp=_UNKNOWN_TIME)
        self._state.objects.put(item.where, msgspec.structs.replace(item, metadata=deleting))
        self._changed(item.where, urgent=True)

    def _gone(self, name: ObjectName) -> None:
        self._state.objects.drop(name)
        self._changed(name, urgent=True)

    def _changed(self, name: ObjectName, *, urgent: bool) -> None:
        self._wake(Key(self._state.type.name, *name), urgent=urgent)
        if self._state.type.is_namespace:
            self._fanout.namespace(name.namespace)


class HoldingsSink:
    """What one member holds of one type, as PartialObjectMetadata by the existence of our label."""

    def __init__(
        self, cluster: str, manager: str, state: TypeState, holdings: Holdings, *, wake: Wake, fanout: Fanout
    ) -> None:
        self._cluster = cluster
        self._manager = manager
        self._state = state
        self._holdings = holdings
        self._wake = wake
        self._fanout = fanout
        self._gauge = metrics.PLACEMENTS.labels(cluster, state.type.name)

    def replace(self, items: Iterable[PartialMetadata]) -> None:
        """A whole list. The first one tells every object of the type what this member holds."""
        objects = self._holdings.objects
        first = not objects.synced
        listed = {ObjectName(item.namespace, item.name): managedfields.observe(item, self._manager) for item in items}
        for target in [target for target in objects if target not in listed]:
            objects.drop(target)
            self._missed(target)
            self._changed(target)
        for target, observed in listed.items():
            if self._holdings.outdated(target, observed):
                self._restored(target)
            before = objects.put(target, observed)
            if before != observed:
                self._changed(target)
        objects.synced = True
        self._gauge.set(len(objects))
        if first:
            self._fanout.whole_type(self._state.type.name)
            if self._state.type.is_namespace:
                self._fanout.everything()

    def upsert(self, item: PartialMetadata) -> None:
        """One object: drift, a label, a deletion begun, or our own write coming back."""
        target = ObjectName(item.namespace, item.name)
        observed = managedfields.observe(item, self._manager)
        if self._holdings.outdated(target, observed):
            return
        before = self._holdings.objects.put(target, observed)
        self._gauge.set(len(self._holdings.objects))  # answers to our own writes put objects in, too
        if before is None and self._state.type.is_namespace:
            self._fanout.namespace(item.name)
        if before is None or _drifted(before, observed):
            self._observed(target, before, observed)

    def remove(self, item: PartialMetadata) -> None:
        """Gone, or its label is: in both cases no managed object is there any more."""
        target = ObjectName(item.namespace, item.name)
        if self._holdings.objects.drop(target) is None:
            return
        self._gauge.set(len(self._holdings.objects))
        self._changed(target)
        if self._state.type.is_namespace:
            self._fanout.namespace(item.name)

    def _restored(self, target: ObjectName) -> None:
        """The member went back in time (a backup): an old entry of ours does not show that its values are old."""
        track = self._state.tracks.get(self._state.federated_name(target))
        if track is not None and self._cluster in track.applied:
            track.recheck.add(self._cluster)

    def _missed(self, target: ObjectName) -> None:
        """A list leaves out a copy of ours: before its object is let go, the member is asked for it by name."""
        track = self._state.tracks.get(self._state.federated_name(target))
        if track is not None and self._cluster in track.applied:
            track.unsure.add(self._cluster)

    def _observed(self, target: ObjectName, before: Observed | None, observed: Observed) -> None:
        track = self._state.tracks.get(self._state.federated_name(target))
        if track is not None:
            if self._cluster in track.pending and not observed.deleting:
                return  # the lane compares with what it finds when our own write has its answer
            applied = track.applied.get(self._cluster)
            as_left = applied is not None and applied.entry == observed.entry and observed.managed
            if as_left and not observed.deleting and not _other_rivals(before, observed):
                return
        self._changed(target)

    def _changed(self, target: ObjectName) -> None:
        name = self._state.federated_name(target)
        track = self._state.tracks.get(name)
        if track is None and self._state.objects.get(name) is None:
            return  # nobody's: KubeFed leaves managed objects without a federated one alone, and so do we
        if track is not None and (setback := track.setbacks.get(self._cluster)) is not None:
            setback.not_before = 0.0  # the member's object changed: what failed before may pass now
        deleting = track is not None and track.plan is not None and track.plan.deleting
        self._wake(Key(self._state.type.name, *name), urgent=deleting)


class ChangeSink:
    """Something of a kind changed; which does not matter."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def replace(self, items: Iterable[Metadata]) -> None:
        """A whole list."""
        self._changed()

    def upsert(self, item: Metadata) -> None:
        """One object."""
        self._changed()

    def remove(self, item: Metadata) -> None:
        """One object is gone."""
        self._changed()


class HostNamespaceSink:
    """The hub's own Namespaces: templates of FederatedNamespaces that have none."""

    def __init__(self, world: World, wake: Wake) -> None:
        self._world = world
        self._wake = wake

    def replace(self, items: Iterable[Metadata]) -> None:
        """A whole list. The first one tells every FederatedNamespace without a template what its labels are."""
        listed = {ObjectName("", item.name): item for item in items}
        for name in [name for name in self._world.host_namespaces if name not in listed]:
            self._world.host_namespaces.drop(name)
            self._changed(name.name)
        for item in listed.values():
            self.upsert(item)
        if not self._world.host_namespaces.synced:
            self._world.host_namespaces.synced = True
            state = self._world.types.get(marks.NAMESPACE_TYPE)
            for where in list(state.objects) if state is not None else ():
                self._wake(Key(marks.NAMESPACE_TYPE, *where))

    def upsert(self, item: Metadata) -> None:
        """One namespace."""
        before = self._world.host_namespaces.put(ObjectName("", item.name), item)
        if before is None or (before.labels, before.annotations) != (item.labels, item.annotations):
            self._changed(item.name)

    def remove(self, item: Metadata) -> None:
        """One namespace is gone."""
        self._world.host_namespaces.drop(ObjectName("", item.name))
        self._changed(item.name)

    def _changed(self, name: str) -> None:
        state = self._world.types.get(marks.NAMESPACE_TYPE)
        if state is not None and state.objects.get(ObjectName(name, name)) is not None:
            self._wake(Key(marks.NAMESPACE_TYPE, name, name))


def _changed(before: FederatedObject, after: FederatedObject) -> bool:
    old, new = before.metadata, after.metadata
    return (
        old.uid != new.uid
        or old.generation != new.generation
        or old.deletion_timestamp != new.deletion_timestamp
        or old.annotations != new.annotations
        or (marks.SYNC_FINALIZER in old.finalizers and marks.SYNC_FINALIZER not in new.finalizers)
    )


def _other_rivals(before: Observed | None, after: Observed) -> bool:
    """Whether other hubs show in it than before; that moves nothing of ours and is told all the same."""
    return claims.rivals(after) != (claims.rivals(before) if before is not None else ())


def _drifted(before: Observed, after: Observed) -> bool:
    # Everything but the version; Observed._replace would cost more than all the rest of an event.
    return before[:_VERSION] != after[:_VERSION] or before[_VERSION + 1 :] != after[_VERSION + 1 :]
