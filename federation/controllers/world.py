"""What the controller knows, in memory: types with their objects, members with theirs, one track per federated object.

Only sinks (what the APIs report) and `sync` (what came of our own writes) change it, all on one event loop, so that a
reader who does not await sees one moment.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from federation.controllers.copies import Copies
from federation.controllers.ports import Carrier, Intake, JoinedPort, Live, Watch
from federation.controllers.rolloutindex import RolloutIndex
from federation.controllers.shards import Sharding
from federation.controllers.tombstones import Tombstones
from federation.controllers.tracks import Track
from federation.core import holds, versions
from federation.core.holds import Cautious, Restored, Restraint
from federation.core.restoration import Hold, Witness
from federation.model import marks
from federation.model.federated import FederatedObject, FederatedType, Metadata
from federation.model.observations import Cluster
from federation.model.plan import Plan
from federation.model.resources import Key, ObjectName, Resource
from federation.model.settings import MOST_RECONCILES, Settings
from federation.runtime.lane import Lane
from federation.runtime.sharedlane import Part
from federation.runtime.store import Store

_REMEMBERED = 10_000
"""Absent FederatedNamespaces that are remembered."""


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
    `steered` are objects that a ReplicaSchedulingPreference is for, each with what is called when the hub's object or a
    member's copy has changed; a copy of a namespaced type has the same name.
    """

    type: FederatedType
    newcomers: frozenset[str] = frozenset()
    objects: Store[FederatedObject] = field(default_factory=Store)
    missing: set[ObjectName] = field(default_factory=set)
    gone: set[ObjectName] = field(default_factory=set)
    created: dict[ObjectName, str] = field(default_factory=dict)
    reverted: set[ObjectName] = field(default_factory=set)
    removed: Tombstones = field(default_factory=Tombstones)
    steered: dict[ObjectName, Callable[[], None]] = field(default_factory=dict)
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

    def noticed(self, name: ObjectName) -> None:
        """The object of this name, or a copy, has changed: whoever steers it looks at it."""
        steers = self.steered.get(name)
        if steers is not None:
            steers()

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
    """One joined cluster: what planning sees of it, and the way to it while there is one.

    `carrier` carries out what is decided for it. `port` is for what is asked of its own API beside that, where that can
    be reached. `live` is whoever watches it.
    `troubles` is for every type whose last push it failed, not its object: the kind of the failure and its message.
    """

    cluster: Cluster
    carrier: Carrier | None = None
    port: JoinedPort | None = None
    lane: Lane[Key] | Part[Key] | None = None
    troubles: dict[str, tuple[str, str]] = field(default_factory=dict)
    live: Live | None = None


@dataclass(slots=True)
class World:
    """Everything known. `clusters_version` grows with every change that placement can see, `left` with every cluster or
    type that is followed no longer.

    `joined` has, for every cluster that joined while we ran or waited, what that was then.

    `sharding` is the shard of the clusters that this controller serves; None: all of them.

    `recovery` is the hold of removals that is in force because the hub was restored, `restores` counts such holds.
    `moved` counts changes of the hub that were observed, `newest` is the federated object with the highest
    resourceVersion, and `suspected` are objects that were shown older than they are known to be; `noticed` wakes
    continuity, which looks at all of it.

    `namespace` is this controller's own, and `system_namespaces` are those that every cluster has for itself.
    `rollouts` are those that the hub has, with the objects that name them. `status_news` are objects whose members
    report other statuses than theirs has.
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
    status_news: set[Key] = field(default_factory=set)
    sharding: Sharding | None = None

    @property
    def reports(self) -> bool:
        """Whether another controller writes finalizers and statuses, and this one reports to it (outbox)."""
        return self.sharding is not None and self.sharding.outbox is not None

    @property
    def concurrency(self) -> int:
        """Objects that are in work at once, and writes in flight to one member."""
        return min(MOST_RECONCILES, self.settings.sync_concurrency * max(1, len(self.types)))

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
