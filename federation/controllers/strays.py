"""Managed copies in members without a federated object: found, proven to be so, and released, as KubeFed does.

Somebody labelled an object as managed, or a federated object went without its finalizer. Nobody updates such a copy
any more, though its label calls it managed. It is released (label and our ownership go, the object stays) and only with
proof: the hub's list has ended, the hub answers 404 for the object by name, the member is watched and shows the copy,
and no other hub owns it. It is told as an event on the KubeFedCluster, because there is no federated object that could
have one. With the same proof a copy that we have deleted, and that is back because its member was restored, is deleted
again. Used by sync for keys that no federated object has.
"""

import time
from collections.abc import Callable, Iterator

from federation.controllers.absences import Absences
from federation.controllers.deletions import Deletions
from federation.controllers.tracks import Track
from federation.controllers.world import TypeState, World
from federation.core import removal
from federation.model.federated import Metadata
from federation.model.observations import Observed
from federation.model.plan import Action, Basis, Delete, Plan, Release, RemovalCause, RemovalReason
from federation.model.resources import Key, ObjectName
from federation.model.status import Status
from federation.runtime.keyqueue import KeyQueue

GRACE = 5.0
"""Seconds that a copy must have been without its object: `kubectl replace --force` makes it anew."""
SPACING = 0.1
"""Seconds between two objects' releases: many lose their objects at once where a type's CRD was deleted by hand."""
AGAIN = (60.0, 3600.0)
"""Seconds after which a copy is released once more (first and longest): somebody may put the label back and back."""
LATER = 60.0
"""Seconds after which one is looked at again whose cluster is away or cordoned, or while removals are held."""
REMEMBERED = 10_000


class Strays:
    """Decides when a key without a federated object has copies to be released; `take` is asked whenever one comes."""

    def __init__(self, world: World, absences: Absences) -> None:
        self._world = world
        self._absences = absences
        self._due: dict[Key, float] = {}
        self._released: dict[Key, tuple[float, float]] = {}
        self._latest = 0.0
        self.deletions: Deletions | None = None
        """Counts what would be deleted, and holds it where it is much."""

    async def take(
        self, key: Key, state: TypeState, queue: KeyQueue[Key], dispatch: Callable[[Key, Track], None]
    ) -> bool:
        """Release the copies of an object that is no more; False where no member shows one.

        The key comes again by the queue. Raises ApiFailure while the hub does not answer.
        """
        name = ObjectName(key.namespace, key.name)
        track = state.tracks.get(name)
        if track is not None and track.pending:
            return True
        if not any(self._seen(state, name)):
            self._due.pop(key, None)
            if self.deletions is not None:
                self.deletions.forget(key)
            return False
        protected = self._world.protection(state.type, Metadata(name.name, name.namespace))
        if protected or self._world.restraints or not any(self._found(state, name)):
            queue.add_after(key, LATER)
            return True
        wait = self._wait(key)
        if wait > 0:
            queue.add_after(key, wait)
            return True
        if not self._actions(key, state, name):
            queue.add_after(key, LATER)
            return True
        if not await self._absences.confirmed(state, name):
            queue.add(key)
            return True  # there is one: it is planned
        track = state.tracks[name] = Track(uid="", status=Status(), applied={}, stale=False)
        track.plan = Plan(0)
        track.actions = self._actions(key, state, name)
        queue.add_after(key, self._pause(key))
        dispatch(key, track)
        return True

    def _actions(self, key: Key, state: TypeState, name: ObjectName) -> dict[str, Action]:
        """What is done about its copies now, by cluster. Where a deletion waits, the key comes when it may go."""
        found: dict[str, Action] = {}
        for cluster, observed in self._found(state, name):
            action: Delete | Release | None = _removal(state, observed)
            if self.deletions is not None and action is not None:
                action = self.deletions.stray(key, cluster, action, observed)
            if action is not None:
                found[cluster] = action
        return found

    def _pause(self, key: Key) -> float:
        """Seconds until it may be released again, longer each time."""
        pause = self._released.pop(key, (0.0, 0.0))[1]
        pause = min(2 * pause, AGAIN[1]) if pause else AGAIN[0]
        if len(self._released) >= REMEMBERED:
            self._released.clear()
        self._released[key] = (time.monotonic() + pause, pause)
        self._due.pop(key, None)
        return pause

    def _wait(self, key: Key) -> float:
        """Seconds until this key may be acted on."""
        now = time.monotonic()
        due = self._due.get(key)
        if due is None:
            again = self._released.get(key, (0.0, 0.0))[0]
            due = self._latest = max(now + GRACE, self._latest + SPACING)
            due = self._due[key] = max(due, again)
        return due - now

    def _seen(self, state: TypeState, name: ObjectName) -> Iterator[tuple[str, Observed]]:
        """Copies, by cluster, that were last seen without a federated object."""
        if not state.objects.synced or state.objects.get(name) is not None:
            return
        target = state.target_name(name)
        for cluster, copies in state.copies.items():
            observed = copies.objects.get(target)
            if observed is None or not is_stray(observed):
                continue
            # A control plane of one namespace does not know what others of this hub have, but what it has deleted.
            if not state.type.namespace or observed.uid in state.removed:
                yield cluster, observed

    def _found(self, state: TypeState, name: ObjectName) -> Iterator[tuple[str, Observed]]:
        """Those of clusters that are followed now, so that they are there still, and may be written to."""
        for cluster, observed in self._seen(state, name):
            member = self._world.members.get(cluster)
            if member is None or not member.cluster.ready or member.cluster.cordon is not None:
                continue
            if state.copies[cluster].unobservable is None:
                yield cluster, observed


def _removal(state: TypeState, observed: Observed) -> Delete | Release:
    """What is done about a copy: one that we have deleted before is deleted again, any other is let go of.

    But not one that has contents of others, which are back with it: somebody may have put them back on purpose.
    """
    kind = state.type.federated.kind
    if observed.uid not in state.removed:
        change, kept = f"the hub has no {kind} of its name", "it stays, and is nobody's now"
    else:
        change = f"the hub has no {kind} of its name, and it was deleted here before: the cluster was restored"
        kept = "it stays, with what is in it" if removal.has_contents(state.type) else ""
    reason = RemovalReason(RemovalCause.NO_OBJECT, change, kept=kept, basis=Basis())
    return Release(observed.uid, reason=reason) if kept else Delete(observed.uid, reason=reason)


def is_stray(observed: Observed) -> bool:
    """Whether an object without a federated object has the managed label of its own, and no other hub owns it."""
    bound = observed.other_hub or observed.copied  # a controller that copied the label would put it back
    return observed.managed and not observed.deleting and not bound and not observed.broken
