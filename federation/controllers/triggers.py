"""Translate what the watches bring into keys: the sinks of all reflectors. What concerns many keys goes to `fanout`.

Each sink remembers first, then asks whether anything that a plan reads has changed. Our own writes come back here and
end here: a status that we wrote, a finalizer that we added and an apply whose digest we know wake nobody.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

import msgspec
import structlog

from federation.controllers import pacing, statuswrites, strays, thrift
from federation.controllers.fanout import Fanout, Wake, slices
from federation.controllers.sightings import Sightings
from federation.controllers.world import Copies, Track, TypeState, World, including
from federation.core import claims, managedfields, proof, run_once
from federation.core.managedfields import PartialMetadata
from federation.model import marks
from federation.model.federated import FederatedObject, Metadata, StoredObject
from federation.model.observations import Observed
from federation.model.plan import Delete, Release
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
                if before is None or reverted or _changed(before, item):
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
        if before is None or _changed(before, item):
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
        if self._state.type.is_namespace:
            self._fanout.namespace(name.namespace)


class CopiesSink:
    """One member's copies of one type, as PartialObjectMetadata by the existence of our label.

    `beside` gives the bytes that what is remembered of the member's other types takes.
    """

    def __init__(
        self,
        cluster: str,
        manager: str,
        state: TypeState,
        copies: Copies,
        *,
        wake: Wake,
        fanout: Fanout,
        beside: Callable[[], int] = lambda: 0,
    ) -> None:
        self._cluster = cluster
        self._manager = manager
        self._state = state
        self._copies = copies
        self._wake = wake
        self._fanout = fanout
        self._beside = beside
        self._listed = 0

    def remembered(self) -> tuple[int, int]:
        """Bytes that are kept of this collection, and of all others of the same server."""
        return self._copies.size, self._beside()

    def listing(self) -> None:
        """A list is asked for: what our own writes show from now on may be newer than it."""
        self._copies.answered = set()
        self._listed = 0

    def listed(self, version: str) -> None:
        """The list that follows is of this resourceVersion."""
        self._listed = managedfields.number(version)

    def replace(self, items: Iterable[PartialMetadata]) -> None:
        """`replacing` in one step."""
        for _ in self.replacing(items):
            pass

    def replacing(self, items: Iterable[PartialMetadata]) -> Iterator[None]:
        """A whole list. The first one wakes every object of the type.

        An object that an answer has shown in a version that is newer than the list is left to the watch, which goes on
        from it. One that the list leaves out though it is as new has gone, and with it what later answers show of it.
        """
        objects = self._copies.objects
        first = not objects.synced
        if self._copies.answered is None:
            self._copies.answered = set()  # which grows while this goes on
        listed: dict[ObjectName, PartialMetadata] = {}
        for some in slices(items):
            listed.update((ObjectName(item.namespace, item.name), item) for item in some)
            yield
        for pairs in slices(listed.items()):
            for target, item in pairs:
                self._take(target, managedfields.observe(item, self._manager))
            yield
        self._copies.listed = self._copies.seen = self._listed  # only now: what it contains is known
        self._copies.lists += 1
        for targets in slices([target for target in objects if target not in listed]):
            for target in targets:
                self._leave_out(target)
            yield
        self._copies.answered = None
        objects.listed()
        if first:
            # Objects wait for their namespaces, too.
            self._fanout.copies(self._cluster, "" if self._state.type.is_namespace else self._state.type.name)

    def _take(self, target: ObjectName, observed: Observed) -> None:
        """One object of a list."""
        if self._copies.outdated(target, observed):
            if self._copies.newer_than(self._listed, target):
                return
            self._restored(target)
        before = self._copies.objects.put(target, observed)
        self._appeared(target, before)
        if before != observed:
            self._changed(target, alone=self._copies.objects.synced)

    def _leave_out(self, target: ObjectName) -> None:
        """A name that is not in a list."""
        if self._copies.newer_than(self._listed, target) or self._copies.objects.drop(target) is None:
            return
        self._missed(target)
        self._changed(target)
        self._disappeared(target)

    def upsert(self, item: PartialMetadata) -> None:
        """One object: drift, a label, a deletion begun, or our own write coming back."""
        target = ObjectName(item.namespace, item.name)
        observed = managedfields.observe(item, self._manager)
        self._copies.seen = max(self._copies.seen, observed.version)
        if self._copies.outdated(target, observed):
            return
        before = self._copies.objects.put(target, observed)
        self._appeared(target, before)
        if before is None or _drifted(before, observed):
            self._observed(target, before, observed)

    def remove(self, item: PartialMetadata) -> None:
        """Gone, or its label is: in both cases no managed object is there any more."""
        target = ObjectName(item.namespace, item.name)
        known, version = self._copies.objects.get(target), managedfields.version(item)
        self._copies.seen = max(self._copies.seen, version)
        track = self._state.tracks.get(self._state.federated_name(target))
        if track is not None and self._cluster in track.pending:
            self._copies.gone[target] = version
        if track is not None and isinstance(track.actions.get(self._cluster), Delete):
            self._state.removed.add(item.uid)
        if known is None or known.version > version:
            return  # not known, or made anew by us since
        self._copies.objects.drop(target)
        if track is not None:
            self._left(track, item)
        if track is None or not self._others_leave(track, known):
            self._changed(target)
        self._disappeared(target)

    def _left(self, track: Track, item: PartialMetadata) -> None:
        """Note of an object that runs once whether it is seen not to have finished, or is to be asked for."""
        if run_once.interrupted(self._state.type, item):
            track.interrupted = including(track.interrupted, self._cluster)
            return
        federated = self._state.objects.get(self._state.federated_name(ObjectName(item.namespace, item.name)))
        if federated is not None and run_once.may_run_once(federated.metadata.annotations, self._state.type):
            track.vanished = including(track.vanished, self._cluster)

    def _others_leave(self, track: Track, gone: Observed | None) -> bool:
        """Whether we have removed this copy, and the next plan can wait for other clusters.

        A plan for each of 100 copies that go was a quarter of the CPU of a deletion.
        """
        action = track.actions.get(self._cluster)
        if gone is None or not isinstance(action, Delete | Release) or action.uid != gone.uid:
            return False
        track.departed = including(track.departed, self._cluster)
        return bool(track.pending) or len(track.departed) < len(track.leaving)

    def _appeared(self, target: ObjectName, before: Observed | None) -> None:
        """Objects wait for their namespace until its watch or a list shows it: an answer wakes nobody. The first list
        wakes them all."""
        new = self._copies.watched(target) or before is None
        if new and self._state.type.is_namespace and self._copies.objects.synced:
            self._fanout.namespace(target.name)

    def _disappeared(self, target: ObjectName) -> None:
        self._copies.watched(target)
        if self._state.type.is_namespace:
            self._fanout.namespace(target.name)

    def _restored(self, target: ObjectName) -> None:
        """The member went back in time (a backup): an old entry of ours does not show that its values are old."""
        track = self._state.tracks.get(self._state.federated_name(target))
        if track is not None:
            track.leaving.pop(self._cluster, None)
            if self._cluster in track.applied:
                track.recheck = including(track.recheck, self._cluster)

    def _missed(self, target: ObjectName) -> None:
        """A list leaves out a copy of ours: before its object is released, the member is asked for it by name."""
        track = self._state.tracks.get(self._state.federated_name(target))
        if track is not None and self._cluster in track.applied:
            track.unconfirmed = including(track.unconfirmed, self._cluster)

    def _observed(self, target: ObjectName, before: Observed | None, observed: Observed) -> None:
        track = self._state.tracks.get(self._state.federated_name(target))
        if track is not None:
            if self._cluster in track.pending and not observed.deleting:
                return  # the lane compares with what it finds when our own write has its answer
            applied = track.applied.get(self._cluster)
            as_left = applied is not None and applied.shown_by(observed) and observed.managed
            if as_left and not observed.deleting and not _other_rivals(before, observed):
                return
        self._changed(target)

    def _changed(self, target: ObjectName, *, alone: bool = True) -> None:
        """`alone`: no wake of all that the cluster has follows (that of a first list does)."""
        name = self._state.federated_name(target)
        track = self._state.tracks.get(name)
        if track is None and self._state.objects.get(name) is None:
            observed = self._copies.objects.get(target)
            if observed is not None and self._state.objects.synced and strays.is_stray(observed):
                self._wake(Key(self._state.type.name, *name))
            return
        if track is not None and (setback := track.setbacks.get(self._cluster)) is not None:
            pacing.changed_there(setback)
        if not alone:
            return
        deleting = track is not None and track.plan is not None and track.plan.deleting
        self._wake(Key(self._state.type.name, *name), urgent=deleting, clusters={self._cluster})


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


def _other_rivals(before: Observed | None, after: Observed) -> bool:
    """Whether it shows other hubs than before: nothing of ours changes, but the status and an event report them."""
    return claims.rivals(after) != (claims.rivals(before) if before is not None else ())


def _drifted(before: Observed, after: Observed) -> bool:
    return msgspec.structs.replace(before, version=after.version) != after
