"""What the controller knows, in memory: types with their objects, members with what they hold, one track per object.

Only sinks (what the APIs said) and `sync` (what came of our own writes) change it, all on one event loop, so that a
reader who does not await sees one moment.
"""

from dataclasses import dataclass, field, replace

from federation.controllers.ports import MemberPort
from federation.core import budget, drops, status, versions
from federation.core.contention import Contention
from federation.core.planning import Applied, Trouble
from federation.model.clusters import Cluster, Missing, Observation, Observed
from federation.model.federated import FederatedObject, FederatedType, Metadata
from federation.model.plan import Action, Plan
from federation.model.resources import Key, ObjectName, Resource
from federation.model.settings import Settings
from federation.model.status import Status
from federation.model.words import Word
from federation.runtime.lane import Lane
from federation.runtime.store import Store

_REMEMBERED = 10_000
"""Absent FederatedNamespaces that are remembered."""


@dataclass(slots=True)
class Setback:
    """Why the last action at one cluster did not succeed, and when it is worth another try (monotonic seconds).

    `attempts` counts failures in a row that are worth the same `pace`: base and cap of the wait, in seconds.
    """

    word: Word
    message: str
    digest: str
    not_before: float
    attempts: int = 1
    pace: tuple[float, float] = (0.0, 0.0)


@dataclass(slots=True)
class Track:
    """One federated object's way through the controller: its last plan and what came of it, per cluster.

    `actions` starts as the plan's; one that succeeded becomes a Keep, which also lets its manifest go.
    `stale` asks for a new plan. `pending` are clusters whose lane has not answered; `leaving` those that accepted a
    delete (uid, monotonic time) and have not confirmed it by an event; `recheck` those that are to be applied once more
    though nothing seems to have changed. `unsure` are clusters that were sent a create which may have come to pass
    without anybody having seen it: before the object is let go they are asked. `dropped` says, of clusters that did not
    keep every field, which (core.drops).
    """

    uid: str
    status: Status
    applied: dict[str, Applied]
    plan: Plan | None = None
    actions: dict[str, Action] = field(default_factory=dict)
    stale: bool = True
    urgent: bool = False
    pending: set[str] = field(default_factory=set)
    leaving: dict[str, tuple[str, float]] = field(default_factory=dict)
    recheck: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    setbacks: dict[str, Setback] = field(default_factory=dict)
    contention: dict[str, Contention] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    since: float = 0.0

    @classmethod
    def begin(cls, federated: FederatedObject) -> "Track":
        """A new one, which believes what the stored status says was applied."""
        told = status.parse(federated.status)
        applied, dropped = {}, {}
        for line in told.clusters:
            digests = status.parse_fingerprint(line.fingerprint)
            if digests is not None:
                applied[line.name] = Applied(*digests, line.generation or told.observed_generation)
            if line.message and (left_out := drops.remembered(budget.message_of(told.clusters, line.name))):
                dropped[line.name] = left_out
        return cls(uid=federated.metadata.uid, status=told, applied=applied, unsure=set(applied), dropped=dropped)


class Holdings:
    """What one member holds of one type, by target name; `trouble` says why it cannot be told.

    `served` are the versions of the type that the member serves, best first; None while that is not known. `kept` are
    fields that the type was seen to keep there (core.drops).
    """

    __slots__ = ("kept", "objects", "served", "trouble")

    def __init__(self) -> None:
        self.objects: Store[Observed] = Store()
        self.served: tuple[str, ...] | None = None
        self.kept: set[str] = set()
        self.trouble: Trouble | None = None

    def observe(self, name: ObjectName) -> Observation:
        """Observed, ABSENT, or UNKNOWN before the first list has ended.

        Where the type itself is missing there is nothing of it: discovery does not have it and lists answer 404. One of
        the two alone is not believed (a server that has just started knows its own types first).
        """
        observed = self.objects.get(name)
        if observed is not None:
            return observed
        missing = self.served == () and self.trouble is not None and self.trouble.word is Word.VERSION_UNAVAILABLE
        return Missing.ABSENT if self.objects.synced or missing else Missing.UNKNOWN

    def outdated(self, name: ObjectName, observed: Observed) -> bool:
        """Whether something newer is known of the same object (an answer to our write overtook the watch)."""
        known = self.objects.get(name)
        return known is not None and known.uid == observed.uid and known.version > observed.version


@dataclass(slots=True)
class TypeState:
    """One enabled type: its federated objects, their tracks, and what each member holds of it.

    `missing` are objects that a list has left out and the hub has not been asked for yet; `gone` are federated
    namespaces that the hub itself, asked for them or by a DELETED event, says are not there.
    """

    type: FederatedType
    objects: Store[FederatedObject] = field(default_factory=Store)
    missing: set[ObjectName] = field(default_factory=set)
    gone: set[ObjectName] = field(default_factory=set)
    tracks: dict[ObjectName, Track] = field(default_factory=dict)
    holdings: dict[str, Holdings] = field(default_factory=dict)

    def target_in(self, cluster: str) -> Resource:
        """The target under a version that the cluster serves."""
        holdings = self.holdings.get(cluster)
        version = versions.followed(self.type, holdings.served if holdings is not None else None)
        return self.type.target if version == self.type.target.version else replace(self.type.target, version=version)

    def heard(self, name: ObjectName) -> None:
        """The hub has told of an object: it is neither missing nor gone."""
        self.missing.discard(name)
        self.gone.discard(name)

    def vanished(self, name: ObjectName) -> None:
        """The hub says that there is no such object; where namespaces are federated that must not be forgotten."""
        self.missing.discard(name)
        if self.type.is_namespace:
            if len(self.gone) >= _REMEMBERED:
                self.gone.clear()  # they are asked for again
            self.gone.add(name)

    def target_name(self, name: ObjectName) -> ObjectName:
        """The name of the member's object; a FederatedNamespace's target has no namespace."""
        return name if self.type.target.namespaced else ObjectName("", name.name)

    def federated_name(self, target: ObjectName) -> ObjectName:
        """The other way round."""
        return ObjectName(target.name, target.name) if self.type.is_namespace else target


@dataclass(slots=True)
class Member:
    """One joined cluster: what planning sees of it, and the way to it while it has usable credentials."""

    cluster: Cluster
    port: MemberPort | None = None
    lane: Lane[Key] | None = None


@dataclass(slots=True)
class World:
    """Everything known. `clusters_version` grows with every change that placement can see."""

    settings: Settings = field(default_factory=Settings)
    types: dict[str, TypeState] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    host_namespaces: Store[Metadata] = field(default_factory=Store)
    clusters_version: int = 0
    clusters_synced: bool = False
    types_synced: bool = False

    @property
    def clusters(self) -> dict[str, Cluster]:
        """Every joined cluster by name."""
        return {name: member.cluster for name, member in self.members.items()}
