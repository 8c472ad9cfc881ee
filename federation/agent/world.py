"""What one membership knows: its works, and which of them name which object."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from federation.kube.works import WorkObject
from federation.model import marks
from federation.model.resources import ObjectName, Resource
from federation.model.works import (
    HUB_LABEL,
    MOVES_ANNOTATION,
    WORK_FINALIZER,
    AppliedResource,
    AppliedWork,
    Identifier,
    Manifest,
    Work,
)
from federation.work import holding
from federation.work.copies import Record
from federation.work.deciding import Wish
from federation.work.status import NOTHING_RAN, Run, Said


@dataclass(frozen=True, slots=True)
class Target:
    """One manifest of a work and the resource that it is of; None with the `problem` why that is not known.

    `passing`: it may be known later, without a change of the work.
    """

    manifest: Manifest
    resource: Resource | None = None
    what: Identifier | None = None
    problem: str = ""
    passing: bool = False


@dataclass(slots=True)
class WorkState:
    """One work. `item` is what the hub has, without spec and status, which are here; None where it has none, or was not
    heard since the agent began."""

    name: str
    item: WorkObject | None = None
    uid: str = ""
    generation: int = 0
    created: str = ""
    spec: bytes = b""
    """The spec that counts: the hub's last one, or the one that was kept."""
    known: bool = False
    """Whether there is a spec at all: an AppliedManifestWork may be all that is left of a work."""
    live: bool = False
    """Whether the spec was heard from the hub since the agent began."""
    work: Work | None = None
    """The spec as it was read."""
    targets: tuple[Target, ...] = ()
    records: dict[str, Record] = field(default_factory=dict)
    applied: AppliedWork | None = None
    leaving: bool = False
    """It is proven that its objects are to go."""
    held: str = ""
    """Why nothing is deleted though the hub does not have the work."""
    unnamed: tuple[AppliedResource, ...] = ()
    """What was applied and is named no more, and stays, because nothing shows that this is meant."""
    outgoing: tuple[AppliedResource, ...] = ()
    """What was taken out of the work and is in the member still."""
    said: dict[int, Said] = field(default_factory=dict)
    """What came of each manifest, by its ordinal."""
    looked: dict[int, tuple[Said, bytes]] = field(default_factory=dict)
    """Of ReadOnly objects: whether they are there, and the whole of them where something is wanted of it."""
    run: Run = NOTHING_RAN
    """What of it has run, and is applied no more."""
    frozen: bool = False
    """Whether the work as a whole has run: its `targets` are what was applied until then."""
    status: bytes = b""
    """The status as the hub has it, JSON."""
    pusher: str = ""
    """The field manager of the hub whose controller has written the work; "" where it is somebody else's."""
    moves: bool = False
    """It goes because its cluster is in push mode now."""
    told: int = -1
    """The generation that the status was last written for."""
    reported: float = float("-inf")
    """When it was last written (monotonic seconds)."""

    @property
    def foreign(self) -> bool:
        """Whether it is of another hub than the one that the agent follows: all that is left is its record."""
        return self.applied is not None and self.name == self.applied.name

    @property
    def notes(self) -> Mapping[str, str]:
        """The work's annotations; none where the hub does not have it."""
        return self.item.metadata.annotations if self.item is not None else {}

    @property
    def order(self) -> tuple[str, str]:
        """By which of two works is the older."""
        return self.created, self.uid

    def learn(self, item: WorkObject) -> bool:
        """Take in what the hub has; whether anything but the status is new."""
        before, self.item = self.item, WorkObject(item.metadata)
        meta = item.metadata
        changed = before is None or (
            before.metadata.generation != meta.generation
            or before.metadata.uid != meta.uid
            or before.metadata.deletion_timestamp != meta.deletion_timestamp
            or (WORK_FINALIZER in before.metadata.finalizers) > (WORK_FINALIZER in meta.finalizers)
            or before.broken != item.broken
        )
        if meta.uid != self.uid and self.uid:
            self.run = NOTHING_RAN  # another work of the same name
        if not item.broken and (not self.live or meta.uid != self.uid or meta.generation != self.generation):
            spec = bytes(item.spec)
            if spec != self.spec or meta.generation != self.generation:
                self.work = None
            self.uid, self.generation, self.created, self.spec = (
                meta.uid,
                meta.generation,
                meta.creation_timestamp,
                spec,
            )
            self.known = self.live = True
        hub = meta.labels.get(HUB_LABEL, "")
        self.pusher = hub if marks.is_hubs(hub) else ""
        self.moves = meta.annotations.get(MOVES_ANNOTATION) == "true"
        going = meta.deletion_timestamp is not None  # what the hub says now counts, though it may be restored
        self.leaving = going and holding.is_meant(meta.labels, meta.annotations)
        self.held = holding.NOT_MEANT if going and not self.leaving else ""
        return changed


class World:
    """All works of one membership. `agent` is the agent's ID as labels have it, `agent_id` as records have it."""

    def __init__(self, cluster: str, *, namespace: str, agent_id: str, agent: str, hub_hash: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.agent_id = agent_id
        self.agent = agent
        self.hub_hash = hub_hash
        self.works: dict[str, WorkState] = {}
        self.wishes: dict[Identifier, dict[str, Wish]] = {}
        self.holders: dict[Identifier, set[str]] = {}
        """The works whose records have an object."""
        self.listed = False
        """Whether the hub's works were listed since the agent began."""
        self.forgotten: frozenset[str] = frozenset()
        """UIDs of works that the hub records as deleted on purpose."""

    def state(self, name: str) -> WorkState:
        """The work's state, a new one where there is none."""
        found = self.works.get(name)
        if found is None:
            found = self.works[name] = WorkState(name)
        return found

    def wish(self, name: str, wishes: dict[Identifier, Wish]) -> set[str]:
        """These are the wishes of a work from now on; the other works that the change concerns."""
        concerned: set[str] = set()
        for what in [what for what, found in self.wishes.items() if name in found and what not in wishes]:
            found = self.wishes[what]
            del found[name]
            concerned |= found.keys()
            if not found:
                del self.wishes[what]
        for what, wish in wishes.items():
            found = self.wishes.setdefault(what, {})
            if found.get(name) != wish:
                concerned |= found.keys() | self.holders.get(what, set())
                found[name] = wish
        return concerned - {name}

    def hold(self, state: WorkState, applied: AppliedWork | None) -> None:
        """The record of a work is this from now on."""
        for each in state.applied.resources if state.applied is not None else ():
            if (names := self.holders.get(each.what)) is not None:
                names.discard(state.name)
                if not names:
                    del self.holders[each.what]
        state.applied = applied
        for each in applied.resources if applied is not None else ():
            self.holders.setdefault(each.what, set()).add(state.name)

    def concerned(self, what: Identifier) -> Iterable[str]:
        """The works that an object is of."""
        return {*self.wishes.get(what, ()), *self.holders.get(what, ())}

    def named(self) -> dict[tuple[str, str], set[ObjectName]]:
        """The objects that works name or have, by the group and resource of their kind."""
        found: dict[tuple[str, str], set[ObjectName]] = {}
        for what in (*self.wishes, *self.holders):
            found.setdefault((what.group, what.resource), set()).add(what.where)
        return found

    def drop(self, state: WorkState) -> set[str]:
        """Forget a work; the other works that this concerns."""
        self.hold(state, None)
        self.works.pop(state.name, None)
        return self.wish(state.name, {})
