"""What the controller knows, in memory: types with their objects, members with theirs, one track per federated object.

Only sinks (what the APIs report) and `sync` (what came of our own writes) change it, all on one event loop, so that a
reader who does not await sees one moment.
"""

import asyncio
import zlib
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from federation.controllers.ports import Intake, JoinedPort, Live, Watch
from federation.controllers.rolloutindex import RolloutIndex
from federation.controllers.tombstones import Tombstones
from federation.core import budget, drops, fingerprints, holds, sharing, summary, versions
from federation.core.contention import Contention
from federation.core.holds import Cautious, Restored, Restraint
from federation.core.restoration import Hold, Witness
from federation.model import bounds, marks
from federation.model.conditions import PropagationStatus
from federation.model.federated import FederatedObject, FederatedType, Metadata
from federation.model.observations import MAY_HAVE_COPY, Applied, Cluster, Missing, Observation, Observed, Recorded
from federation.model.plan import Action, Plan, Wait
from federation.model.resources import Key, ObjectName, Resource
from federation.model.settings import Settings
from federation.model.status import Status
from federation.runtime.lane import Lane
from federation.runtime.store import Store

_REMEMBERED = 10_000
"""Absent FederatedNamespaces that are remembered."""


@dataclass(slots=True)
class Setback:
    """Why the last action at one cluster did not succeed, and when it is worth another try (monotonic seconds).

    `attempts` counts failures in a row that are worth the same `pace`: base and cap of the wait, in seconds. `since` is
    when the last one was (monotonic), `wait` how many seconds it is waited after that.
    """

    status: PropagationStatus
    message: str
    digest: str
    not_before: float
    attempts: int = 1
    pace: tuple[float, float] = (0.0, 0.0)
    since: float = 0.0
    wait: float = 0.0


def status_hash(item: FederatedObject) -> int:
    """A hash of the status as the hub stores it."""
    return item.status_hash or zlib.crc32(memoryview(item.status))


def without_status(item: FederatedObject) -> FederatedObject:
    """The object with a hash in place of its status, which its Track has."""
    if not memoryview(item.status):
        return item
    return msgspec.structs.replace(item, status=msgspec.Raw(), status_hash=status_hash(item))


NOBODY: Set[str] = frozenset()
"""No clusters. Of a hundred thousand tracks nearly all sets are empty: sets of their own would be 1 kB each."""


def including(names: Set[str], name: str) -> Set[str]:
    """The names and this one; to be kept in place of `names`, which may be changed."""
    if isinstance(names, set):
        names.add(name)
        return names
    return {*names, name}


def without(names: Set[str], name: str) -> Set[str]:
    """The names without this one; to be kept in place of `names`, which may be changed."""
    if isinstance(names, set):
        names.discard(name)
        return names or NOBODY
    return names - {name} or NOBODY


class Overwritten(NamedTuple):
    """How often in a row somebody else wrote over the status, and when it may be put back again (monotonic)."""

    times: int = 0
    not_before: float = 0.0


NEVER_OVERWRITTEN = Overwritten()


class Leaving(NamedTuple):
    """A delete that a cluster accepted for this uid, when (monotonic), and how long its event is waited for."""

    uid: str
    since: float
    wait: float


class Track(msgspec.Struct, gc=False):
    """One federated object's way through the controller: its last plan and what came of it, per cluster.

    Sets of clusters change by `including` and `without` only.
    """

    uid: str
    status: Status
    """What we wrote last, or found at the beginning."""
    applied: dict[str, Applied]
    """Every cluster that has a copy, or may have one (MAY_HAVE_COPY)."""
    plan: Plan | None = None
    actions: dict[str, Action] = {}
    """The plan's; one that succeeded becomes a Keep, so that its manifest is not kept in memory."""
    stale: bool = True
    """A new plan is needed."""
    news: Set[str] = NOBODY
    """Clusters of which something has changed since the last plan: unless it is stale, it is planned for them alone."""
    urgent: bool = False
    pending: Set[str] = NOBODY
    """Clusters whose lane has not answered."""
    meanwhile: set[str] | None = None
    """While a plan is made: clusters where a push has begun or ended since its facts were read."""
    leaving: dict[str, Leaving] = {}
    """Clusters that accepted a delete and have not confirmed it by an event."""
    departed: Set[str] = NOBODY
    """Clusters that have confirmed it since the last plan. The next plan waits until all have, or something else is
    due."""
    recheck: Set[str] = NOBODY
    """Clusters to which it is applied once more, though nothing seems to have changed."""
    unconfirmed: Set[str] = NOBODY
    """Clusters that were sent a create which may have succeeded, though nothing has shown it: they are asked before
    the object is released."""
    guessed: Set[str] = NOBODY
    """Clusters that may have a copy only because an interrupted controller may have sent it (`begin`)."""
    recorded: bool = False
    """What was applied is, of some clusters, known as the stored status records it (Recorded)."""
    from_the_start: bool = False
    """It was created while we followed its type, so that no other controller can have pushed it."""
    setbacks: dict[str, Setback] = {}
    contention: dict[str, Contention] = {}
    dropped: dict[str, str] = {}
    """For clusters that did not keep every field as asked, a message with these fields (core.drops)."""
    fully_owned: Set[str] = NOBODY
    """Clusters whose copy was seen to have an owner for every field, so that a change leaves no default behind
    (core.leftovers)."""
    interrupted: Set[str] = NOBODY
    """Clusters whose copy was seen to go before it had run to completion (core.run_once)."""
    vanished: Set[str] = NOBODY
    """Clusters whose copy, which may have run to completion, is not observed any more: gone, or there without our
    label. They are asked which, before it is concluded that it ran."""
    since: float = 0.0
    """When it was planned last (monotonic seconds)."""
    reported: float = float("-inf")
    """When its status was last written, or found to be due while clusters had not answered (monotonic seconds)."""
    writing: bool = False
    """A write of the status is under way."""
    written_version: str = ""
    """The resourceVersion of the object after our last write of the status."""
    written_hash: int = 0
    """The hash of what the hub stored of that status."""
    overwritten: Overwritten = NEVER_OVERWRITTEN

    @property
    def planning(self) -> bool:
        """A plan is being made, or its finalizer written: what changes now needs another."""
        return self.meanwhile is not None

    def forget(self, cluster: str) -> None:
        """A cluster has left: another may join by its name, for which no wait and no fight of this one's counts."""
        memories: tuple[dict[str, Any], ...] = (
            self.applied,
            self.leaving,
            self.setbacks,
            self.contention,
            self.dropped,
        )
        for memory in memories:
            memory.pop(cluster, None)
        self.pending = without(self.pending, cluster)
        self.news = without(self.news, cluster)
        self.departed = without(self.departed, cluster)
        self.recheck = without(self.recheck, cluster)
        self.unconfirmed = without(self.unconfirmed, cluster)
        self.fully_owned = without(self.fully_owned, cluster)
        self.interrupted = without(self.interrupted, cluster)
        self.vanished = without(self.vanished, cluster)
        self.guessed = without(self.guessed, cluster)
        self.from_the_start = False  # the cluster may come back with what we pushed there

    @classmethod
    def begin(
        cls,
        federated: FederatedObject,
        clusters: Iterable[str] = (),
        newcomers: Set[str] = frozenset(),
        *,
        from_the_start: bool = False,
    ) -> "Track":
        """A new one: what was applied is what the stored status records.

        A line without a fingerprint, its own or a shared one (core.sharing), is of a cluster that may have been sent a
        create before its answer was recorded.
        Where the status does not record all that was done (a controller ended between its pushes and the status of that
        generation, or not every line had room), every one of the `clusters` may have been sent one; not so where it
        was seen `from_the_start`: its finalizer comes from the API server then (templates/host/finalizer-policy.yaml).
        The lines of `newcomers` are of clusters that had these names before.
        """
        stored = summary.parse(federated.status)
        applied: dict[str, Applied] = {}
        dropped: dict[str, str] = {}
        explained = budget.by_name(line for line in stored.clusters if line.message)
        for line in sharing.owned(stored.clusters):
            found = fingerprints.parse(line.fingerprint)
            applied[line.name] = MAY_HAVE_COPY
            if found is not None and line.name not in newcomers:
                applied[line.name] = fingerprints.recorded(found, line.generation or stored.observed_generation)
            if line.message and (left_out := drops.from_message(budget.message_of(explained, line.name))):
                dropped[line.name] = left_out
        meta, unconfirmed = federated.metadata, set(applied) or NOBODY
        incomplete = stored.observed_generation != meta.generation or budget.full(stored.clusters)
        guessed: Set[str] = newcomers & unconfirmed or NOBODY
        if incomplete and not from_the_start and marks.SYNC_FINALIZER in meta.finalizers:
            others = frozenset(clusters) - unconfirmed
            applied.update(dict.fromkeys(others, MAY_HAVE_COPY))
            guessed |= others
        return cls(
            written_version=meta.resource_version,
            written_hash=status_hash(federated),
            uid=meta.uid,
            status=stored,
            applied=applied,
            unconfirmed=unconfirmed,
            guessed=guessed,
            recorded=any(isinstance(each, Recorded) for each in applied.values()),
            from_the_start=from_the_start,
            dropped=dropped,
        )


class Copies:
    """One member's copies of one type, by target name; `unobservable` is why they cannot be observed now.

    `served` are the versions of the type that the member serves, best first; None while that is not known. `answered`
    are objects that answers to our own writes have shown since a list was asked for, which may be older; None while
    none is under way. `unwatched` are those that no watch or list has shown yet. `listed` is the resourceVersion of the
    last list, 0 where that is no number: of what is as old, there is only what it contains. `seen` is the newest
    version that this list, or the watch since then, has shown. `lists` counts lists that were taken in. `gone` are
    objects that went while a write of ours was under way, each with the version of its end: the answer to that write
    may still come, and shows what is not there any more. `redefined` is not 0 while tracks are told that the type has
    another definition: what they remember of the one before does not count.
    """

    __slots__ = (
        "answered",
        "gone",
        "listed",
        "lists",
        "objects",
        "redefined",
        "seen",
        "served",
        "unobservable",
        "unwatched",
    )

    def __init__(self) -> None:
        self.objects: Store[Observed] = Store()
        self.served: tuple[str, ...] | None = None
        self.unobservable: Wait | None = None
        self.answered: set[ObjectName] | None = None
        self.unwatched: set[ObjectName] = set()
        self.listed = self.seen = self.lists = self.redefined = 0
        self.gone: dict[ObjectName, int] = {}

    @property
    def size(self) -> int:
        """Bytes of memory that its objects take, roughly: 4 for each letter, as they may be of any script."""
        return len(self.objects) * bounds.REMEMBERED_OBJECT + 4 * self.objects.letters

    def observe(self, name: ObjectName) -> Observation:
        """Observed, ABSENT, or UNKNOWN before the first list has ended.

        Where the type itself is missing there is nothing of it: discovery does not have it and lists answer 404. One of
        the two alone is no proof (a server that has just started knows its own types first).
        """
        observed = self.objects.get(name)
        if observed is not None:
            return observed
        missing = (
            self.served == ()
            and self.unobservable is not None
            and self.unobservable.status is PropagationStatus.VERSION_UNAVAILABLE
        )
        return Missing.ABSENT if self.objects.synced or missing else Missing.UNKNOWN

    def outdated(self, name: ObjectName, observed: Observed) -> bool:
        """Whether something newer is known of this name (an answer to our write overtook the watch or the list)."""
        known = self.objects.get(name)
        return known is not None and known.version > observed.version

    def ended(self, name: ObjectName, version: int, lists: int) -> bool:
        """Whether what an answer shows in this version is known to have gone since: no event of that is to come.

        An event has shown its end, or a list that is as new did not contain it. Not a list from before the request,
        when there were `lists`: it was wrong, and to believe it for ever would be to write again and again.
        """
        left_out = self.lists > lists and 0 < version <= self.listed and name not in self.objects
        return self.gone.get(name, 0) > version or left_out

    def answer(self, name: ObjectName, observed: Observed) -> None:
        """Take in what the answer to a write of ours has shown."""
        if self.objects.put(name, observed) is None:
            self.unwatched.add(name)
        if self.answered is not None:
            self.answered.add(name)

    def newer_than(self, listed: int, name: ObjectName) -> bool:
        """Whether what is known of this name is of an answer, and newer than the list of this version that was asked
        for before. Without an answer since, the list is newer, whatever the versions: the member may be restored."""
        known = self.objects.get(name)
        if known is None or self.answered is None or name not in self.answered:
            return False
        return not 0 < known.version <= listed

    def watched(self, name: ObjectName) -> bool:
        """A watch or a list has shown this name: whether that is the first time since an answer had put it in."""
        if name not in self.unwatched:
            return False
        self.unwatched.discard(name)
        return True


@dataclass(slots=True)
class TypeState:
    """One enabled type: its federated objects, their tracks, and each member's copies of it.

    `missing` are objects that a list has left out and the hub has not been asked for yet; `gone` are federated
    namespaces that the hub, asked by name or by a DELETED event, has reported as gone. `newcomers` are clusters that
    joined while the type was not followed: what its statuses say is about others that had their names. `in_flight`
    counts pushes that members have not answered: a type has stopped when there are none. `created` are objects that
    were created since the first list and have no track yet, with their uids. `watch` follows the federated objects, and
    `intake` takes in what it brings. `deletions` are objects that are being deleted: their uids, and how often contact
    had been lost (Watch.breaks) when that was observed. `reverted` are those whose content is that of a restored hub,
    as far as nobody has changed it since. `removed` are copies that we have deleted.
    """

    type: FederatedType
    newcomers: frozenset[str] = frozenset()
    objects: Store[FederatedObject] = field(default_factory=Store)
    missing: set[ObjectName] = field(default_factory=set)
    gone: set[ObjectName] = field(default_factory=set)
    created: dict[ObjectName, str] = field(default_factory=dict)
    reverted: set[ObjectName] = field(default_factory=set)
    removed: Tombstones = field(default_factory=Tombstones)
    tracks: dict[ObjectName, Track] = field(default_factory=dict)
    copies: dict[str, Copies] = field(default_factory=dict)
    watch: Watch | None = None
    intake: Intake | None = None
    deletions: dict[ObjectName, tuple[str, int]] = field(default_factory=dict)
    in_flight: int = 0

    def target_in(self, cluster: str) -> Resource:
        """The target under a version that the cluster serves."""
        copies = self.copies.get(cluster)
        version = versions.followed(self.type, copies.served if copies is not None else None)
        return self.type.target if version == self.type.target.version else replace(self.type.target, version=version)

    @property
    def placements(self) -> int:
        """How many objects are observed in all members."""
        return sum(len(copies.objects) for copies in self.copies.values())

    def appeared(self, item: FederatedObject) -> None:
        """The hub shows an object that is not known; before `exists`.

        One that the first list did not have was created since, unless a list has left it out for a while, or it has a
        status: a store that was restored from a backup has old objects anew.
        """
        if self.objects.synced and item.where not in self.missing and not memoryview(item.status):
            self.created[item.where] = item.metadata.uid

    def exists(self, name: ObjectName) -> None:
        """The hub has reported an object: it is neither missing nor gone."""
        self.missing.discard(name)
        self.gone.discard(name)

    def note_deletion(self, item: FederatedObject) -> None:
        """The hub has shown an object: of one that is being deleted it is remembered when that was."""
        if item.metadata.deletion_timestamp is not None and self.watch is not None:
            self.deletions[item.where] = (item.metadata.uid, self.watch.breaks)

    def shown_deleted(self, name: ObjectName, uid: str) -> bool:
        """Whether the hub has shown the deletion of this very object, and contact with it was not lost since."""
        watch = self.watch
        return watch is not None and watch.open and self.deletions.get(name) == (uid, watch.breaks)

    def vanished(self, name: ObjectName) -> None:
        """The hub has reported that there is no such object; of a federated namespace that is remembered."""
        self.missing.discard(name)
        self.created.pop(name, None)
        if self.type.is_namespace:
            if len(self.gone) >= _REMEMBERED:
                self.gone.clear()  # they are asked for again
            self.gone.add(name)

    def is_stray(self, name: ObjectName) -> bool:
        """Whether its track is of copies without a federated object (see strays)."""
        track = self.tracks.get(name)
        return track is not None and not track.uid

    def target_name(self, name: ObjectName) -> ObjectName:
        """The name of the member's object; a FederatedNamespace's target has no namespace."""
        return name if self.type.target.namespaced else ObjectName("", name.name)

    def federated_name(self, target: ObjectName) -> ObjectName:
        """The other way round."""
        return ObjectName(target.name, target.name) if self.type.is_namespace else target


@dataclass(slots=True)
class Member:
    """One joined cluster: what planning sees of it, and the way to it while it has usable credentials.

    `live` is whoever watches it.
    `troubles` is for every type whose last push it failed, not its object: the kind of the failure and its message.
    """

    cluster: Cluster
    port: JoinedPort | None = None
    lane: Lane[Key] | None = None
    troubles: dict[str, tuple[str, str]] = field(default_factory=dict)
    live: Live | None = None


@dataclass(slots=True)
class World:
    """Everything known. `clusters_version` grows with every change that placement can see, `left` with every cluster or
    type that is followed no longer.

    `joined` has, for every cluster that joined while we ran or waited, what that was then.

    `recovery` is the hold of removals that is in force because the hub was restored, `restores` counts such holds.
    `moved` counts changes of the hub that were observed, `newest` is the federated object with the highest
    resourceVersion, and `suspected` are objects that were shown older than they are known to be; `noticed` wakes
    continuity, which looks at all of it.

    `namespace` is this controller's own, and `system_namespaces` are those that every cluster has for itself.
    `rollouts` are those that the hub has, with the objects that name them.
    """

    settings: Settings = field(default_factory=Settings)
    types: dict[str, TypeState] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    host_namespaces: Store[Metadata] = field(default_factory=Store)
    namespace: str = marks.SYSTEM_NAMESPACE
    system_namespaces: frozenset[str] = marks.SYSTEM_NAMESPACES
    clusters_version: int = 0
    left: int = 0
    joined: dict[str, int] = field(default_factory=dict)
    rollouts: RolloutIndex = field(default_factory=RolloutIndex)
    recovery: Hold | None = None
    restores: int = 0
    moved: int = 0
    newest: Witness | None = None
    suspected: set[Witness] = field(default_factory=set)
    noticed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def restraints(self) -> Sequence[Restraint]:
        """What holds removals now."""
        found: tuple[Restraint, ...] = ()
        if self.settings.cautious:
            found += (Cautious(),)
        return found if self.recovery is None else (*found, Restored(self.recovery))

    def protection(self, enabled: FederatedType, federated: Metadata) -> str:
        """Why nothing of a federated object may be removed: an annotation protects it, or its namespace; "" where it
        may be."""
        around = self.types.get(marks.NAMESPACE_TYPE) if enabled.target.namespaced else None
        namespace = federated.namespace
        found = around.objects.get(ObjectName(namespace, namespace)) if around is not None else None
        return holds.protection(federated, found.metadata if found is not None else None)

    def restrained(self, enabled: FederatedType, federated: Metadata, plan: Plan) -> Plan:
        """The plan without the removals that its object's protection, or anything else but the budget, holds now."""
        if why := self.protection(enabled, federated):
            plan = holds.protect(plan, why)
        restraints = self.restraints
        return holds.restrain(plan, federated, restraints) if restraints else plan

    def suspect(self, witness: Witness) -> None:
        """The hub has shown an object older than it is known to be."""
        self.suspected.add(witness)
        self.noticed.set()

    def joined_since(self, version: int) -> frozenset[str]:
        """The clusters that have joined since the fleet had this version; 0: since before we started, too."""
        return frozenset(name for name, joined in self.joined.items() if joined > version)

    @property
    def clusters(self) -> dict[str, Cluster]:
        """Every joined cluster by name."""
        return {name: member.cluster for name, member in self.members.items()}

    def remembered(self, cluster: str, *, without: str = "") -> int:
        """Bytes of memory that what was observed of a member takes, all types together but the one `without`."""
        found = (state.copies.get(cluster) for name, state in self.types.items() if name != without)
        return sum(copies.size for copies in found if copies is not None)

    def placements(self, cluster: str) -> int:
        """How many objects of all types are observed in a member."""
        found = (state.copies.get(cluster) for state in self.types.values())
        return sum(len(copies.objects) for copies in found if copies is not None)

    def keys_within(self, namespace: str) -> Iterator[Key]:
        """Every namespaced federated object of one namespace; others may come and go meanwhile."""
        for name, state in list(self.types.items()):
            if state.type.target.namespaced:
                for where in state.objects.within(namespace):
                    yield Key(name, *where)
