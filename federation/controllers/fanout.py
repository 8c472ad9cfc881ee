"""Wake more than one key: a whole type, a namespace, what a cluster concerns; in steps, and all of a moment at once.

Called by the sinks (`triggers`) and by whoever changes what many objects depend on: settings, types, members.
"""

import asyncio
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from federation.controllers.tracks import NOBODY, Track
from federation.controllers.world import TypeState, World
from federation.core.clusterchanges import ClusterChange
from federation.model.observations import Cluster
from federation.model.plan import Plan
from federation.model.resources import Key, ObjectName

SHORTEST_MOMENT, LONGEST_MOMENT = 0.02, 2.0
"""Seconds."""
PLANNING_COST = 20e-6
"""Seconds between two wakes of everything for each placement: several times what planning one takes, so that a start of
a thousand members, each of which has news several times, is not mostly planning."""
MANY = 16
"""Clusters that change together up to which it is asked which objects they concern: else nearly all are."""
SLICE = 1_000
"""Objects of a list that are taken in, or keys that are woken, before other tasks get a turn: some milliseconds."""

Wake = Callable[..., None]
"""Sync.changed: wake(key, urgent=...)."""

T = TypeVar("T")


class Fanout:
    """Wakes more than one key.

    Whole types, namespaces and what a cluster concerns are woken a moment later: when many members come or go together,
    each object is planned once for all of them, not once for each. The moment grows with what planning them costs, and
    all moments of one length end together: news of different kinds is one plan, too.
    """

    def __init__(self, world: World, wake: Wake) -> None:
        self._world = world
        self._wake = wake
        self._due: set[tuple[str, str]] = set()
        self._changes: list[ClusterChange] = []
        self._listed: dict[str, set[str]] = {}
        self.also: Callable[[str], None] = lambda cluster: None
        """Called with each cluster that joined, left or changed."""
        self.around: Callable[[str], None] = lambda namespace: None
        """Called with each namespace whose federation changed."""
        self._clusters: dict[str, Cluster] = {}
        """As they were when their changes were observed last."""

    def everything(self) -> None:
        """Settings or types changed in a way that every placement may see."""
        for name in list(self._world.types):
            self.whole_type(name)

    def recheck(self) -> None:
        """Every copy is to be applied once more, whatever is recorded of it."""
        for state in list(self._world.types.values()):
            wake_gradually(_rechecked(state), self._wake)

    def whole_type(self, type_name: str) -> None:
        """Every object of one type."""
        state = self._world.types.get(type_name)
        if state is not None:
            self._later(("type", type_name), len(state.objects), self._wake_type)

    def namespace(self, namespace: str) -> None:
        """Every namespaced federated object in one namespace."""
        if ("namespace", namespace) in self._due:
            return  # as most: one event comes of each cluster
        self.around(namespace)
        objects = sum(
            state.objects.count(namespace) for state in self._world.types.values() if state.type.target.namespaced
        )
        self._later(("namespace", namespace), objects, self._wake_namespace)

    def cluster(self, name: str) -> None:
        """A cluster joined, left or changed: every object that may be planned differently for it."""
        self.also(name)
        member = self._world.members.get(name)
        before, after = self._clusters.pop(name, None), member.cluster if member is not None else None
        if after is not None:
            self._clusters[name] = after
        change = ClusterChange(name, before, after)
        if change.moved or change.touches_copies:
            # Each is kept until then, also one that is taken back: an object may have been planned in between.
            self._changes.append(change)
            self._later(("clusters", ""), self._all_objects(), self._wake_clusters)

    def copies(self, cluster: str, type_name: str = "") -> None:
        """A cluster's objects of one type (default: of all) can be observed now, or not any more."""
        for each in [type_name] if type_name else list(self._world.types):
            state = self._world.types.get(each)
            if state is not None:
                self._listed.setdefault(each, set()).add(cluster)
                self._later(("copies", each), self._all_objects(), self._wake_copies)

    def _all_objects(self) -> int:
        return sum(len(state.objects) for state in self._world.types.values())

    def _later(self, what: tuple[str, str], objects: int, wake: Callable[[str], None]) -> None:
        if what in self._due:
            return
        self._due.add(what)
        placements = objects * len(self._world.members)
        moment = min(LONGEST_MOMENT, SHORTEST_MOMENT + placements * PLANNING_COST)

        def due() -> None:
            self._due.discard(what)
            wake(what[1])

        loop = asyncio.get_running_loop()
        loop.call_at((loop.time() // moment + 1) * moment, due)

    def _wake_type(self, type_name: str) -> None:
        self._wake_all(type_name, self._wake)

    def _wake_all(self, type_name: str, wake: Wake) -> None:
        state = self._world.types.get(type_name)
        if state is not None:
            wake_gradually((Key(type_name, *name) for name in list(state.objects)), wake)

    def _wake_namespace(self, namespace: str) -> None:
        wake_gradually(self._world.keys_within(namespace), functools.partial(self._wake, urgent=True))

    def _wake_clusters(self, _: str) -> None:
        changes, self._changes = self._changes, []
        for state in list(self._world.types.values()):
            if len(changes) > MANY:
                self._wake_all(state.type.name, self._wake_for(changes))
            else:
                wake_gradually(self._concerned(state, changes), self._wake_for(changes))

    def _wake_for(self, changes: Sequence[ClusterChange]) -> Wake:
        """Where no placement selects otherwise than before, news is only of these clusters."""
        if any(each.moved for each in changes):
            return self._wake
        return functools.partial(self._wake, clusters={each.name for each in changes})

    def _concerned(self, state: TypeState, changes: Sequence[ClusterChange]) -> Iterator[Key | None]:
        touched = [each.name for each in changes if each.touches_copies]
        for name, track, plan in _planned(state):
            # Loops and not any(): of a hundred thousand objects this concerns few, and each is asked.
            concerned = plan is None
            if plan is not None:
                for each in changes:
                    concerned = concerned or each.concerns(plan)
                for cluster in touched:
                    concerned = concerned or _holds(state, name, track, cluster)
            yield Key(state.type.name, *name) if concerned else None
            if state.type.is_namespace and (plan is None or any(each.alters_selection(plan) for each in changes)):
                self.namespace(name.namespace)

    def _wake_copies(self, type_name: str) -> None:
        clusters = self._listed.pop(type_name, set())
        state = self._world.types.get(type_name)
        if state is None:
            return
        wake_gradually(_holding(state, clusters), functools.partial(self._wake, clusters=clusters))


def _planned(state: TypeState) -> Iterator[tuple[ObjectName, Track, Plan | None]]:
    """The objects of a type with their tracks and plans, None where one is being made, of facts that were read before.

    An object without a track was never planned, and is on its way to be.
    """
    for name in list(state.objects):
        track = state.tracks.get(name)
        if track is not None:
            yield name, track, None if track.planning else track.plan


def _holding(state: TypeState, clusters: Iterable[str]) -> Iterator[Key | None]:
    for name, track, plan in _planned(state):
        holds = plan is None or any(_holds(state, name, track, each) for each in clusters)
        yield Key(state.type.name, *name) if holds else None


def _rechecked(state: TypeState) -> Iterator[Key]:
    for name in list(state.tracks):
        track = state.tracks.get(name)
        if track is not None:
            track.recheck = track.recheck | track.applied.keys() or NOBODY
            yield Key(state.type.name, *name)


def _holds(state: TypeState, name: ObjectName, track: Track, cluster: str) -> bool:
    """Whether an object has an action for a cluster, or something under its name is there, or may be."""
    if cluster in track.actions or cluster in track.applied or cluster in track.unconfirmed:
        return True
    copies = state.copies.get(cluster)
    return copies is not None and state.target_name(name) in copies.objects


def slices(items: Iterable[T]) -> Iterator[list[T]]:
    """The items, as many at a time as are handled before other tasks get a turn."""
    rest = iter(items)
    while some := list(itertools.islice(rest, SLICE)):
        yield some


def wake_gradually(keys: Iterator[Key | None], wake: Callable[[Key], None]) -> None:
    """Wake the next keys (None: nothing to wake), and the others after other tasks have had a turn."""
    some = list(itertools.islice(keys, SLICE))
    for key in some:
        if key is not None:
            wake(key)
    if len(some) == SLICE:
        asyncio.get_running_loop().call_soon(wake_gradually, keys, wake)
