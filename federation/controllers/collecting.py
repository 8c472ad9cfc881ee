"""Collect members' statuses into those of federated objects, for types whose FederatedTypeConfig asks for it.

`StatusSink` stands before a member's CopiesSink and keeps what the objects report of themselves. News wakes its object
once it has been quiet for a moment, or after some seconds (core.cadence.collect), and `take` makes a snapshot of all
clusters, which the report is composed from until the next one. So a rolling update in a hundred members is one write
every few seconds, and what else there is to report neither waits for it nor brings it forward.

After a start, or where an object was just changed, some statuses are about to come. Until they do, what the stored
status says is said again: unknown is not a change.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from federation.controllers.copies import Copies
from federation.controllers.fanout import slices
from federation.controllers.membertriggers import CopiesSink
from federation.controllers.statuses import Statuses, Taken, ready_text
from federation.controllers.tracks import Track
from federation.controllers.world import TypeState, World
from federation.core import cadence, remotestatus, summary, wellbeing
from federation.core.remotestatus import WholeCopy
from federation.core.wellbeing import NOT_COLLECTED, Wellbeing
from federation.model.observations import Collected
from federation.model.resources import Key, ObjectName
from federation.model.status import ClusterStatus, Status


class StatusSink:
    """One member's objects of one type, whole: what they report is kept, their metadata goes to `copies_sink`."""

    def __init__(self, cluster: str, world: World, state: TypeState, copies: Copies, copies_sink: CopiesSink) -> None:
        self._cluster = cluster
        self._world = world
        self._state = state
        self._sink = copies_sink
        if copies.statuses is None:
            copies.statuses = Statuses()
        self._statuses = copies.statuses
        self._statuses.synced = False  # of a watch before this one it is kept what was seen last

    def remembered(self) -> tuple[int, int]:
        """Bytes that are kept of this collection, and of all others of the same server."""
        return self._sink.remembered()

    def listing(self) -> None:
        """A list is asked for."""
        self._sink.listing()

    def listed(self, version: str) -> None:
        """The list that follows is of this resourceVersion."""
        self._sink.listed(version)

    def replace(self, items: Iterable[WholeCopy]) -> None:
        """`replacing` in one step."""
        for _ in self.replacing(items):
            pass

    def replacing(self, items: Iterable[WholeCopy]) -> Iterator[None]:
        """A whole list. Statuses first: what the copies wake finds them."""
        items, listed = list(items), set()
        for some in slices(items):
            for item in some:
                listed.add(_name(item))
                self._take(item)
            yield
        for names in slices([name for name in self._statuses.items if name not in listed]):
            for name in names:
                self._drop(name)
            yield
        self._statuses.synced = True
        yield from self._sink.replacing(item.metadata for item in items)

    def upsert(self, item: WholeCopy) -> None:
        """One object, new or changed."""
        self._take(item)
        self._sink.upsert(item.metadata)

    def remove(self, item: WholeCopy) -> None:
        """One object is gone, or its label is."""
        self._drop(_name(item))
        self._sink.remove(item.metadata)

    def _take(self, item: WholeCopy) -> None:
        target = _name(item)
        new = self._statuses.put(target, item.collected)
        self._news(target, new=new)

    def _drop(self, target: ObjectName) -> None:
        if self._statuses.drop(target):
            self._news(target, new=True)

    def _news(self, target: ObjectName, *, new: bool) -> None:
        news(self._world, self._state, self._cluster, target, new=new)


def news(world: World, state: TypeState, cluster: str, target: ObjectName, *, new: bool) -> None:
    """An object has other statuses than those that were taken in, or one that was waited for."""
    name = state.federated_name(target)
    track = state.tracks.get(name)
    taken = track.statuses if track is not None else None
    if taken is None:
        return  # the first report takes in what there is
    if new or taken.incomplete or cluster in taken.unknown:
        taken.note(time.monotonic())
        world.status_news.add(Key(state.type.name, *name))


def due(world: World, now: float) -> Iterator[Key]:
    """The keys whose news is to be taken in now (monotonic seconds)."""
    for key in list(world.status_news):
        state = world.types.get(key.type)
        track = state.tracks.get(ObjectName(key.namespace, key.name)) if state is not None else None
        taken = track.statuses if track is not None else None
        if track is None or taken is None or taken.since is None:
            world.status_news.discard(key)
        elif is_due(track, now):
            world.status_news.discard(key)
            yield key


def is_due(track: Track, now: float) -> bool:
    """Whether there is news of an object that is to be taken in now (monotonic seconds)."""
    taken = track.statuses
    return taken is not None and taken.since is not None and _due(taken, track) <= now


def take(world: World, key: Key, state: TypeState, track: Track, now: float) -> None:
    """Make a snapshot of what members report of an object, if there is news and it is due. `now` is monotonic."""
    if state.type.collection is None:
        track.statuses = None
        return
    taken = track.statuses
    if taken is None:
        taken = track.statuses = Taken()
        taken.note(now)
    if taken.since is not None and now < _due(taken, track):
        world.status_news.add(key)
        return
    found, unknown, awaited = _look(world, key, state, track)
    if awaited - taken.unknown and (taken.since is None or now < taken.since + cadence.REMIND):
        # What was just applied shows in a moment: until then, what was reported before is no answer. It comes as news.
        taken.since = now if taken.since is None else taken.since
        taken.last, taken.incomplete = float("inf"), True
        world.status_news.add(key)
    elif (
        taken.since is not None or taken.found is None or taken.unknown != unknown or taken.found.keys() != found.keys()
    ):
        taken.found, taken.unknown, taken.since, taken.incomplete = found, frozenset(unknown), None, False


def with_statuses(state: TypeState, track: Track, lines: Sequence[ClusterStatus]) -> Sequence[ClusterStatus]:
    """The lines with what was taken in of their clusters' statuses; what is not known stays as it is stored."""
    collection, taken = state.type.collection, track.statuses
    if collection is None or taken is None:
        return lines
    stored = {line.name: line for line in track.status.clusters}
    assessed = _is_assessed(state)
    result = []
    for line in lines:
        found = taken.found.get(line.name) if taken.found is not None else None
        if found is not None:
            raw = _raw(found, stored.get(line.name)) if collection.raw else None
            result.append(_reported(line, found, raw, taken, assessed=assessed))
        elif taken.found is None or line.name in taken.unknown:
            result.append(_as_before(line, stored.get(line.name), raw=collection.raw))
        else:
            result.append(_plain(line))
    return result


def together(state: TypeState, track: Track, previous: Status) -> Wellbeing:
    """What the statuses that were taken in say together."""
    taken, plan = track.statuses, track.plan
    if taken is None or plan is None or not _is_assessed(state):
        return NOT_COLLECTED
    if taken.found is None or taken.since is not None or plan.deleting or plan.reason:
        return wellbeing.unchanged(previous)
    return wellbeing.assess(taken.found, plan.selected, taken.unknown, plan.generation)


def refused(track: Track, clusters: Mapping[str, str]) -> None:
    """The hub refuses the statuses of these clusters, each for this reason: it is not sent them again."""
    taken = track.statuses
    if taken is None or taken.found is None:
        return
    for name, why in clusters.items():
        found = taken.found.get(name)
        if found is not None and found.raw is not None:
            taken.refused = {**taken.refused, name: (found.raw, why)}


def _due(taken: Taken, track: Track) -> float:
    since = taken.last if taken.since is None else taken.since
    return cadence.collect(since, taken.last, track.reported, incomplete=taken.incomplete)


def _is_assessed(state: TypeState) -> bool:
    collection = state.type.collection
    return collection is not None and remotestatus.is_assessed(state.type.target, collection)


def _look(world: World, key: Key, state: TypeState, track: Track) -> tuple[dict[str, Collected], set[str], set[str]]:
    """What each cluster of the object reports now; of which clusters that is not known; and from which of these it is
    about to come."""
    target = state.target_name(ObjectName(key.namespace, key.name))
    found: dict[str, Collected] = {}
    unknown: set[str] = set()
    awaited: set[str] = set()
    for name in track.actions:
        member, copies = world.members.get(name), state.copies.get(name)
        if member is None or copies is None or copies.statuses is None:
            unknown.add(name)
            continue
        reported, observed = copies.statuses.items.get(target), copies.objects.get(target)
        if reported is not None:
            found[name] = reported
        if member.cluster.ready is False or member.cluster.silent or copies.unobservable is not None:
            unknown.add(name)
        elif not copies.statuses.synced or (
            observed is not None and (reported is None or reported.version < observed.version)
        ):
            unknown.add(name)
            awaited.add(name)
    return found, unknown, awaited


def _raw(found: Collected, stored: ClusterStatus | None) -> msgspec.Raw | None:
    """The status as it is reported: as it is stored, where that says the same."""
    before = stored.remote_status if stored is not None else msgspec.UNSET
    return before if isinstance(before, msgspec.Raw) and remotestatus.same(found.raw, before) else found.raw


def _reported(
    line: ClusterStatus, found: Collected, raw: msgspec.Raw | None, taken: Taken, *, assessed: bool
) -> ClusterStatus:
    """The line with what its cluster reports, `raw` as it is."""
    refusal = taken.refused.get(line.name)
    why = found.left_out
    if refusal is not None and refusal[0] == found.raw:
        why = refusal[1]
    line = msgspec.structs.replace(
        line,
        remote_status=raw if raw is not None and not why else msgspec.UNSET,
        ready=ready_text(found.ready, found.desired) if assessed else "",
        unhealthy=found.unhealthy,
    )
    return summary.without_remote_status(line, why) if why else line


def _as_before(line: ClusterStatus, stored: ClusterStatus | None, *, raw: bool) -> ClusterStatus:
    if stored is None:
        return _plain(line)
    remote = stored.remote_status if raw else msgspec.UNSET
    return msgspec.structs.replace(line, remote_status=remote, ready=stored.ready, unhealthy=stored.unhealthy)


def _plain(line: ClusterStatus) -> ClusterStatus:
    """The line without what a status of before says of its member's object."""
    if not line.ready and not line.unhealthy:
        return line
    return msgspec.structs.replace(line, ready="", unhealthy="")


def _name(item: WholeCopy) -> ObjectName:
    return ObjectName(item.metadata.namespace, item.metadata.name)
