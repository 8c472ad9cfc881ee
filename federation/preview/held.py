"""Which of the deletions that a plan finds the controller would hold, because they are more than go by themselves.

The controller's own counting (controllers.deletions, core.deletions) decides, on all that the plan would delete at
once. What it would let go first, before it has seen the others, is not told apart: that depends on the order of its
work.
"""

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from federation.controllers.deletions import Deletions
from federation.controllers.world import World
from federation.core.deletiongroups import Change, Kind, Place, State, Wish
from federation.core.deletions import LONGEST, Ledger
from federation.model import marks
from federation.model.federated import Metadata
from federation.model.plan import Action, Delete, Plan
from federation.model.resources import Key, ObjectName

_NOT_ASKED = "is not known to be empty: the cluster was not asked"
_BURSTS = [kind for kind in Kind if kind.burst]


@dataclass(slots=True)
class Wanted:
    """What a plan would delete: for each object the action in each cluster. `others` says what of others is in
    namespaces that would go, "" for nothing."""

    actions: dict[Key, dict[str, Delete]] = field(default_factory=dict)
    others: dict[Place, str] = field(default_factory=dict)

    def add(self, key: Key, cluster: str, action: Action | None) -> None:
        """One more, if it is a deletion."""
        if isinstance(action, Delete):
            self.actions.setdefault(key, {})[cluster] = action

    @property
    def copies(self) -> int:
        """How many."""
        return sum(map(len, self.actions.values()))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are before: by type and namespace, federated objects and their placements."""

    by_place: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def __call__(self, by_name: bool, name: str, namespace: str) -> int:
        """Of a type ("": of all), or in a namespace."""
        found = (
            numbers
            for (kind, place), numbers in self.by_place.items()
            if name in {"", kind} and (name or place == namespace)
        )
        return sum(objects if by_name else placements for objects, placements in found)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the counting knows of the KubeFedConfig; nobody is told anything."""

    config: Metadata | None

    async def turn(self) -> float:
        """Nothing is due."""
        return float("inf")


def reasons(world: World, wanted: Wanted, counts: Counts, config: Metadata | None = None) -> dict[Key, dict[str, str]]:
    """Why they would be held, by object and cluster; what would go is left out. The world is that after the change,
    with the hub's Namespaces of what is deleted by name; `config` is the KubeFedConfig's."""
    deletions = Deletions(world, lambda *_, **__: None)
    deletions.records = _Known(config)
    names = itertools.count()
    began = time.monotonic()  # of one that has just begun nothing is decided before all is known
    ledger = deletions.ledger = Ledger(counts, lambda: f"plan-{next(names)}", began)
    for kind in _BURSTS:  # as if another had just gone: what comes alone goes at once, and here nothing comes first
        ledger.wish(Key("another", "", kind), {"": Wish(Change(kind))}, began)
    for key in sorted(wanted.actions, key=lambda key: (key.type != marks.NAMESPACE_TYPE, key)):
        _wish(world, deletions, key, wanted.actions[key])
    now = time.monotonic() + world.settings.deletion_budget.window + LONGEST
    for look in ledger.turn(now).looks:
        ledger.looked(look, wanted.others.get(look.place, _NOT_ASKED), now)
    held: dict[tuple[Key, str], str] = {}
    for group in ledger.groups.values():
        if group.state in {State.HELD, State.REJECTED}:
            held |= dict.fromkeys(group.waiting | group.going, group.why)
    found: dict[Key, dict[str, str]] = {}
    for key, actions in wanted.actions.items():
        for cluster in actions:
            if why := held.get((key, cluster)) or held.get((key, "")):
                found.setdefault(key, {})[cluster] = why
    return found


def _wish(world: World, deletions: Deletions, key: Key, actions: Mapping[str, Delete]) -> None:
    """Tell the counting what is wanted of one object, as sync does with its plan."""
    state = world.types[key.type]
    name = ObjectName(key.namespace, key.name)
    federated, track = state.objects.get(name), state.tracks[name]
    deleting = federated is not None and federated.metadata.deletion_timestamp is not None
    generation = federated.metadata.generation if federated is not None else 0
    plan = Plan(generation, actions=dict(actions), deleting=deleting)
    restrained = deletions.restrain(key, state.type, track, plan)
    if key.type == marks.NAMESPACE_TYPE:  # by which what is inside knows whether it goes along
        track.plan, track.actions = restrained, dict(restrained.actions)
