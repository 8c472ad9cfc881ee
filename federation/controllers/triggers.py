"""Translate what the hub's watches bring into keys: the sinks of its reflectors; what members' bring: membertriggers.

What concerns many keys goes to `fanout`. Each sink remembers first, then asks whether anything that a plan reads has
changed. Our own writes come back here and end here: a status that we wrote and a finalizer that we added wake nobody.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

import msgspec
import structlog

from federation.controllers import statuswrites, strays, thrift
from federation.controllers.fanout import Fanout, Wake, slices
from federation.controllers.sightings import Sightings
from federation.controllers.world import TypeState, World
from federation.core import proof
from federation.model import marks
from federation.model.federated import FederatedObject, Metadata, StoredObject
from federation.model.resources import Key, ObjectName
from federation.runtime.store import Store

log = structlog.get_logger()


class FederatedSink:
    """Federated objects of one type, from the hub."""

    def __init__(self, state: TypeState, wake: Wake, fanout: Fanout, world: World) -> None:
        self._state = state
        self._wake = wake
        self._fanout = fanout
        self._world = world
        state.intake = self
        self._sightings = Sightings(world, state.type.federated)

    def listing(self) -> None:
        """A list is asked for."""
        self._sightings.listing()

    def listed(self, version: str) -> None:
        """The list that follows is of this resourceVersion."""
        self._sightings.listed(version)

    def kept(self, item: FederatedObject) -> FederatedObject:
        """What is to be taken in of an object that was just read: large ones that are placed nowhere are not kept."""
        return thrift.kept(self._world, self._state, item)

    def replace(self, items: Iterable[FederatedObject]) -> None:
        """`replacing` in one step."""
        for _ in self.replacing(items):
            pass

    def replacing(self, items: Iterable[FederatedObject]) -> Iterator[None]:
        """A whole list: what is not in it is gone, unless the hub has it when it is asked (see absences)."""
        state = self._state
        first = not state.objects.synced
        listed: dict[ObjectName, FederatedObject] = {}
        for some in slices(items):
            listed.update((item.where, item) for item in some)
            yield
        for names in slices([name for name in state.objects if name not in listed]):
            for name in names:
                self.left_out(name)
            yield
        for pairs in slices(listed.items()):
            for name, item in pairs:
                before = state.objects.put(name, item)
                if _another(before, item):
                    state.appeared(item)
                state.exists(name)
                state.note_deletion(item)
                if reverted := before is not None and self._sightings.reverted(before, item):
                    state.reverted.add(name)
                if before is None or reverted or self._planned_anew(before, item):
                    self._changed(name, urgent=not first)
                self._sightings.note(before, item)
                self._compare(name, item)
            yield
        state.objects.listed()
        self._sightings.taken()
        if first:
            yield from self._wake_strays()
        if first and state.type.is_namespace:
            self._fanout.everything()

    def _wake_strays(self) -> Iterator[None]:
        """Wake copies that members listed before the hub's list ended, and that have no federated object."""
        state = self._state
        for copies in list(state.copies.values()):
            for some in slices(list(copies.objects)):
                for target in some:
                    name, observed = state.federated_name(target), copies.objects.get(target)
                    if observed is not None and state.objects.get(name) is None and strays.is_stray(observed):
                        self._wake(Key(state.type.name, *name))
                yield

    def upsert(self, item: FederatedObject) -> None:
        """One object, new or changed: a user's change goes first."""
        before = self._state.objects.put(item.where, item)
        if _another(before, item):
            self._state.appeared(item)
        self._state.exists(item.where)
        self._state.note_deletion(item)
        if before is None or self._planned_anew(before, item):
            self._changed(item.where, urgent=True)
            self._state.reverted.discard(item.where)
        self._sightings.note(before, item)
        self._compare(item.where, item)

    def left_out(self, name: ObjectName) -> None:
        """A list has no object of this name, or the hub said so when it was asked: before anything follows from it, it
        is asked again (absences)."""
        self._state.missing.add(name)
        self._gone(name)

    def remove(self, item: FederatedObject) -> None:
        """One object is gone.

        An API server reads the finalizers, then deletes: one that we add in between is not waited for (seen often when
        something is created and deleted at once). Such an object goes on as one that is being deleted, until no
        member has a copy.
        """
        meta = item.metadata
        self._sightings.gone()
        if marks.SYNC_FINALIZER not in meta.finalizers or meta.deletion_timestamp is not None:
            self._state.vanished(item.where)
            self._gone(item.where)
            return
        self._state.exists(item.where)
        deleting = msgspec.structs.replace(meta, deletion_timestamp=proof.GONE_UNSEEN)
        going = msgspec.structs.replace(item, metadata=deleting)
        self._state.objects.put(item.where, going)
        self._state.note_deletion(going)
        self._changed(item.where, urgent=True)

    def _planned_anew(self, before: FederatedObject, item: FederatedObject) -> bool:
        return _changed(before, item) or (self._world.reports and _finalized(before, item))

    def _compare(self, name: ObjectName, item: FederatedObject) -> None:
        """A status that somebody else wrote is written again; one that is ours is not kept twice."""
        track = self._state.tracks.get(name)
        if track is not None and statuswrites.take_in(self._state, track, item):
            self._wake(Key(self._state.type.name, *name))

    def _gone(self, name: ObjectName) -> None:
        self._state.objects.drop(name)
        self._state.deletions.pop(name, None)
        self._changed(name, urgent=True)

    def _changed(self, name: ObjectName, *, urgent: bool) -> None:
        self._wake(Key(self._state.type.name, *name), urgent=urgent)
        if self._state.steered:
            self._state.noticed(name)
        if self._state.type.is_namespace:
            self._fanout.namespace(name.namespace)


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


class StoredSink:
    """Puts whole objects into a store and notifies of each that changed; `moved` is called where its wish has."""

    def __init__(
        self, store: Store[StoredObject], notify: Callable[[str], None], moved: Callable[[], None] = lambda: None
    ) -> None:
        self.listed = asyncio.Event()
        self._store = store
        self._notify = notify
        self._moved = moved

    def replace(self, items: Iterable[StoredObject]) -> None:
        """A whole list."""
        listed = {item.where: item for item in items}
        for where in [where for where in self._store if where not in listed]:
            self._store.drop(where)
            self._notify(where.name)
        for item in listed.values():
            self.upsert(item)
        self._store.listed()
        self.listed.set()

    def upsert(self, item: StoredObject) -> None:
        """One object."""
        before = self._store.put(item.where, item)
        if before is None or _wish(before) != _wish(item):
            self._moved()
        self._notify(item.where.name)

    def remove(self, item: StoredObject) -> None:
        """One object is gone."""
        self._store.drop(item.where)
        self._moved()
        self._notify(item.where.name)


class HostNamespaceSink:
    """The hub's own Namespaces: FederatedNamespaces without a template may ask for their labels."""

    def __init__(self, world: World, wake: Wake) -> None:
        self._world = world
        self._wake = wake

    def replace(self, items: Iterable[Metadata]) -> None:
        """A whole list. The first one wakes every FederatedNamespace: their labels are known now."""
        listed = {ObjectName("", item.name): item for item in items}
        for name in [name for name in self._world.host_namespaces if name not in listed]:
            self._world.host_namespaces.drop(name)
            self._changed(name.name)
        for item in listed.values():
            self.upsert(item)
        first = not self._world.host_namespaces.synced
        self._world.host_namespaces.listed()
        if first:
            state = self._world.types.get(marks.NAMESPACE_TYPE)
            for where in list(state.objects) if state is not None else ():
                self._wake(Key(marks.NAMESPACE_TYPE, *where))

    def upsert(self, item: Metadata) -> None:
        """One namespace; of one that cannot be read the labels are what they were, or unknown."""
        if item.broken:
            return
        before = self._world.host_namespaces.put(ObjectName("", item.name), item)
        if before is None or (before.labels, before.annotations) != (item.labels, item.annotations):
            self._changed(item.name)

    def remove(self, item: Metadata) -> None:
        """One namespace is gone."""
        self._world.host_namespaces.drop(ObjectName("", item.name))
        self._changed(item.name)

    def _changed(self, name: str) -> None:
        state = self._world.types.get(marks.NAMESPACE_TYPE)
        federated = state.objects.get(ObjectName(name, name)) if state is not None else None
        if federated is not None and marks.COPY_ANNOTATION in federated.metadata.annotations:
            self._wake(Key(marks.NAMESPACE_TYPE, name, name))


def _wish(stored: StoredObject) -> tuple[object, ...]:
    """All but its status, which is ours and of which a backup may have an older one."""
    meta = stored.metadata
    return meta.uid, meta.labels, meta.annotations, meta.deletion_timestamp, stored.spec, stored.data


def _another(before: FederatedObject | None, after: FederatedObject) -> bool:
    return before is None or before.metadata.uid != after.metadata.uid


def _finalized(before: FederatedObject, after: FederatedObject) -> bool:
    """Whether our finalizer was added: where another controller does that, an object may be pushed now."""
    return marks.SYNC_FINALIZER in after.metadata.finalizers and marks.SYNC_FINALIZER not in before.metadata.finalizers


def _changed(before: FederatedObject, after: FederatedObject) -> bool:
    old, new = before.metadata, after.metadata
    return (
        old.uid != new.uid
        or old.generation != new.generation
        or old.deletion_timestamp != new.deletion_timestamp
        or old.annotations != new.annotations
        or old.labels.get(marks.ROLLOUT_LABEL) != new.labels.get(marks.ROLLOUT_LABEL)
        or (marks.SYNC_FINALIZER in old.finalizers and marks.SYNC_FINALIZER not in new.finalizers)
    )
