"""One member: what the change does there, by the controller's own planning and its own pushes, rehearsed.

The member's copies are put into two worlds, of the hub as it is and as it would be. What both plan alike is not of the
change; of an object that a document names it is shown as pending.
"""

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Protocol

from federation.controllers import gathering
from federation.controllers.gathering import Gatherer
from federation.controllers.ports import JoinedPort
from federation.controllers.world import Copies, TypeState, World
from federation.core import planning
from federation.core.deletiongroups import Place
from federation.model import marks
from federation.model.federated import FederatedType
from federation.model.observations import Observed
from federation.model.plan import Action, Apply, Claim, Delete, Keep, Refuse, Release, Wait
from federation.model.resources import Key, ObjectName
from federation.preview import held, rehearsing, sightings
from federation.preview.changes import Change, Findings, Kind
from federation.preview.held import Counts, Wanted
from federation.preview.rehearsing import Stage
from federation.preview.scope import Scope
from federation.preview.sightings import Seen, Sighting

AT_ONCE = 4
"""Objects of one member that are rehearsed at a time."""
_NEW = "planned"
_Pair = tuple[Action | None, Action | None]


class Observing(Protocol):
    """Looks at one member; see sightings.Observer."""

    async def look(self, types: Mapping[str, FederatedType], wanted: Mapping[str, Sequence[ObjectName]]) -> Sighting:
        """What it has under these names, by type. Raises Silent."""


@dataclass(slots=True)
class Side:
    """One of the two worlds."""

    world: World
    gatherer: Gatherer

    @classmethod
    def of(cls, world: World) -> "Side":
        """With its own memory of placements."""
        return cls(world, gathering.Gatherer(world))

    def action(self, key: Key, cluster: str) -> Action | None:
        """What is planned for this object in this cluster; None: nothing, or there is no such object."""
        return self.actions(key, frozenset({cluster})).get(cluster)

    def actions(self, key: Key, clusters: Set[str] | None) -> Mapping[str, Action]:
        """The same in several clusters; None: in all."""
        state, name = self.world.types.get(key.type), ObjectName(key.namespace, key.name)
        federated = state.objects.get(name) if state is not None else None
        if state is None or federated is None:
            return {}
        facts = self.gatherer.gather(state, federated, state.tracks[name], only=clusters)
        # A staged rollout releases the same change, cluster after cluster: what is shown is all of it.
        plan = planning.plan(replace(facts, staged=None))
        return self.world.restrained(state.type, federated.metadata, plan).actions

    def show(self, cluster: str, copies: Mapping[str, Copies]) -> None:
        """The cluster has these copies."""
        for name, state in self.world.types.items():
            if name in copies:
                state.copies[cluster] = copies[name]

    def forget(self, cluster: str) -> None:
        """What the cluster has is needed no longer."""
        for state in self.world.types.values():
            state.copies.pop(cluster, None)


class Visitor:
    """Plans, member by member, into `findings`. `then` is None where nothing changes at the hub."""

    def __init__(self, now: World, then: World, scope: Scope, keys: Sequence[Key], *, values: bool) -> None:
        self.findings = Findings()
        self.silent: dict[str, str] = {}
        """Members that do not answer, with the reason."""
        self.seen: dict[str, Seen] = {}
        self.wanted = Wanted()
        self._now, self._then = Side.of(now), Side.of(then)
        self._scope = scope
        self._keys = keys
        self._values = values

    def concerned(self) -> dict[str, list[Key]]:
        """The objects that the change may concern in each cluster, by what the hub has on record of it.

        One plan for each object and world, of all clusters: one for each cluster would take minutes in a large fleet.
        """
        members = [name for name in self._then.world.members if self._scope.everywhere or name in self._scope.clusters]
        for name in members:
            self._by_record([key for key in self._keys if self._scope.has(key, name)], name)
        found: dict[str, list[Key]] = {}
        for key in self._keys:
            only = None if self._scope.has(key, "") else self._scope.clusters
            now, then = self._now.actions(key, only), self._then.actions(key, only)
            for name in sorted(then.keys() | now.keys()):
                if name in self._then.world.members and self._may_concern(key, (now.get(name), then.get(name))):
                    found.setdefault(name, []).append(key)
        for name in members:
            self._forget(name)
        return found

    def hold(self, counts: Counts) -> None:
        """Say of deletions that they are held, where they are more than go by themselves."""
        clusters = {cluster for actions in self.wanted.actions.values() for cluster in actions}
        for cluster in clusters:
            self._by_record(self._keys, cluster)
        for key, why in held.reasons(self._then.world, self.wanted, counts).items():
            self.findings.hold(key, why)
        for cluster in clusters:
            self._forget(cluster)

    async def visit(
        self, cluster: str, keys: Sequence[Key], observer: Observing, dry: JoinedPort, *, own: bool
    ) -> None:
        """Ask a member that answers. `own`: with the user's own rights there, not the controller's. Raises Silent."""
        types = {name: state.type for name, state in self._states().items()}
        sighting = await observer.look(types, self._wanted(keys))
        self._show(cluster, sighting)
        try:
            stage = Stage(cluster, dry, own=own, values=self._values)
            await self._rehearse(stage, keys, sighting)
            await self._look_inside(cluster, dry)
        finally:
            self._forget(cluster)
        if stage.silent:
            self.silent[cluster] = stage.silent
        shown = [self._what(key) for key in keys if key in self._scope.named or key in self.findings.objects]
        self.seen[cluster] = {what: sighting.seen.get(what, "") for what in shown}

    def unanswered(self, cluster: str, keys: Sequence[Key], why: str) -> None:
        """A member that does not answer: what would be done there by what the hub has on record."""
        self.silent[cluster] = why
        self._by_record(keys, cluster)
        try:
            for key in keys:
                self._unasked(key, cluster, why)
        finally:
            self._forget(cluster)

    # --- one object ----------------------------------------------------------------------------------------------

    async def _rehearse(self, stage: Stage, keys: Sequence[Key], sighting: Sighting) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(key: Key) -> None:
            async with slots:
                await self._one(stage, key, sighting)

        spaces = [key for key in keys if key.type == marks.NAMESPACE_TYPE]
        for key in spaces:  # what is inside waits for them
            await one(key)
        async with asyncio.TaskGroup() as group:
            for key in keys:
                if key.type != marks.NAMESPACE_TYPE:
                    group.create_task(one(key))

    async def _one(self, stage: Stage, key: Key, sighting: Sighting) -> None:
        now, then = self._pair(key, stage.cluster)
        if not self._of_interest(key, (now, then)):
            return
        if why := stage.silent or sighting.refused.get(key.type, ""):
            self._unasked(key, stage.cluster, why)
            return
        state = self._states()[key.type]
        change = await rehearsing.of_action(stage, state, key, then)
        if change is None:
            return
        if change.kind is Kind.UNKNOWN:
            change = replace(change, expected=_expected(then))
        if change.kind is Kind.CREATE and key.type == marks.NAMESPACE_TYPE:
            stage.made.add(key.name)
        self._foresee(stage.cluster, key, change.kind)
        change = replace(change, pending=now == then)
        self.findings.add(key, stage.cluster, change)
        if Kind.DELETE in {change.kind, change.expected} and not change.pending:
            self.wanted.add(key, stage.cluster, then)

    async def _look_inside(self, cluster: str, dry: JoinedPort) -> None:
        """What of others is in the namespaces that would go: such a one goes only when a person says so."""
        going = [
            key.name
            for key, found in self.wanted.actions.items()
            if key.type == marks.NAMESPACE_TYPE and cluster in found
        ]
        states = self._states().values()
        types = [state.target_in(cluster) for state in states if state.type.target.namespaced] if going else []
        for name in going:
            self.wanted.others[Place(cluster, name)] = await dry.others_in(name, types)

    def _foresee(self, cluster: str, key: Key, kind: str) -> None:
        """A namespace that is made, or becomes ours: what is inside goes on from there."""
        state = self._then.world.types.get(marks.NAMESPACE_TYPE)
        copies = state.copies.get(cluster) if state is not None else None
        if copies is not None and key.type == marks.NAMESPACE_TYPE and kind in {Kind.CREATE, Kind.ADOPT}:
            copies.objects.put(ObjectName("", key.name), Observed(_NEW, 0, _NEW, managed=True))

    def _unasked(self, key: Key, cluster: str, why: str) -> None:
        """An object that the member was not asked for, where something is to be done as far as is known."""
        now, then = self._pair(key, cluster)
        if self._of_interest(key, (now, then)) and (expected := _expected(then)):
            self._foresee(cluster, key, expected)
            self.findings.add(key, cluster, Change(Kind.UNKNOWN, message=why, expected=expected, pending=now == then))
            if now != then:
                self.wanted.add(key, cluster, then)

    def _pair(self, key: Key, cluster: str) -> _Pair:
        return self._now.action(key, cluster), self._then.action(key, cluster)

    def _may_concern(self, key: Key, pair: _Pair) -> bool:
        """Whether a member is to be asked, by what is on record: of what is named, wherever it is or is to be."""
        now, then = pair
        return now != then or (key in self._scope.named and then is not None)

    def _of_interest(self, key: Key, pair: _Pair) -> bool:
        """Whether there may be something to show: what both worlds plan alike is of interest in what is named alone."""
        now, then = pair
        if then is None or isinstance(then, Keep):
            return False
        return now != then or key in self._scope.named

    # --- what a member has ---------------------------------------------------------------------------------------

    def _states(self) -> dict[str, TypeState]:
        return {**self._now.world.types, **self._then.world.types}

    def _what(self, key: Key) -> tuple[str, ObjectName]:
        return key.type, self._states()[key.type].target_name(ObjectName(key.namespace, key.name))

    def _wanted(self, keys: Sequence[Key]) -> dict[str, list[ObjectName]]:
        """The members' objects to look at, by type: and the namespaces that they are in."""
        wanted: dict[str, dict[ObjectName, None]] = {}
        states = self._states()
        for key in keys:
            name, target = self._what(key)
            wanted.setdefault(name, {})[target] = None
            if key.namespace and marks.NAMESPACE_TYPE in states:
                wanted.setdefault(marks.NAMESPACE_TYPE, {})[ObjectName("", key.namespace)] = None
        return {name: list(targets) for name, targets in wanted.items()}

    def _show(self, cluster: str, sighting: Sighting) -> None:
        self._now.show(cluster, sighting.copies)
        copies = dict(sighting.copies)
        spaces = copies.get(marks.NAMESPACE_TYPE)
        if spaces is not None:
            copies[marks.NAMESPACE_TYPE] = _copied(spaces)  # which the plan goes on to fill
        self._then.show(cluster, copies)

    def _by_record(self, keys: Sequence[Key], cluster: str) -> None:
        for name, targets in self._wanted(keys).items():
            tracks = self._states()[name].tracks
            for side in (self._now, self._then):
                state = side.world.types.get(name)
                if state is None:
                    continue
                applied = {}
                for target in targets:
                    track = tracks.get(state.federated_name(target))
                    if track is not None and cluster in track.applied:
                        applied[target] = track.applied[cluster]
                state.copies[cluster] = sightings.by_record(applied)

    def _forget(self, cluster: str) -> None:
        self._now.forget(cluster)
        self._then.forget(cluster)


def _copied(copies: Copies) -> Copies:
    made = Copies()
    made.served, made.unobservable = copies.served, copies.unobservable
    for name, observed in copies.objects.items():
        made.objects.put(name, observed)
    made.objects.synced = copies.objects.synced
    return made


def _expected(action: Action | None) -> str:
    """What an action does, as far as can be told without the member."""
    match action:
        case Apply(uid=""):
            return Kind.CREATE
        case Apply():
            return Kind.CHANGE
        case Delete():
            return Kind.DELETE
        case Release():
            return Kind.RELEASE
        case Claim():
            return Kind.CLAIM
        case Refuse():
            return Kind.REFUSE
        case Wait(known=False):
            return Kind.WAIT
        case _:
            return ""
