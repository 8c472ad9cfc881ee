"""Translate what a member's watches bring into keys: the sink of its copies; what the hub's bring: triggers.

It remembers first, then asks whether anything that a plan reads has changed. Our own writes come back here and end
here: an apply whose digest we know wakes nobody.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from federation.controllers import pacing, strays
from federation.controllers.copies import Copies
from federation.controllers.fanout import Fanout, Wake, slices
from federation.controllers.tracks import Track, including
from federation.controllers.world import TypeState
from federation.core import claims, managedfields, run_once
from federation.core.managedfields import PartialMetadata
from federation.model.observations import Observed
from federation.model.plan import Delete, Release
from federation.model.resources import Key, ObjectName


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
        if self._state.steered:
            self._state.noticed(target)
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
        if self._state.steered:
            self._state.noticed(target)
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


def _other_rivals(before: Observed | None, after: Observed) -> bool:
    """Whether it shows other hubs than before: nothing of ours changes, but the status and an event report them."""
    return claims.rivals(after) != (claims.rivals(before) if before is not None else ())


def _drifted(before: Observed, after: Observed) -> bool:
    return msgspec.structs.replace(before, version=after.version) != after
