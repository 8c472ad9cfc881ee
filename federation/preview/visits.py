"""One member: what the change does there, by the controller's own planning and its own pushes, rehearsed.

The member's copies are put into two worlds, of the hub as it is and as it would be. What both plan alike is not of the
change; of an object that a document names it is shown as pending.
"""

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from federation.controllers import gathering
from federation.controllers.copies import Copies
from federation.controllers.gathering import Gatherer
from federation.controllers.ports import JoinedPort
from federation.controllers.world import TypeState, World
from federation.core import planning
from federation.core.deletiongroups import Place
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.federated import FederatedType, Metadata
from federation.model.observations import Observed
from federation.model.plan import Action, Aim, Command, Delete, Keep, Refuse, Release, Wait
from federation.model.resources import Key, ObjectName
from federation.preview import held, rehearsing, sightings
from federation.preview.changes import Change, Findings, Kind
from federation.preview.held import Counts, Wanted
from federation.preview.rehearsing import Stage
from federation.preview.scope import Scope
from federation.preview.sightings import Seen, Sighting
from federation.preview.staged import Forecasts

AT_ONCE = 4
"""Objects of one member that are rehearsed at a time."""
_NEW = "planned"


class Intent(NamedTuple):
    """What is planned for an object in a cluster; None: nothing, or there is no such object. `later` is what follows
    when a rollout releases it there, and `why` what that waits for."""

    action: Action | None = None
    later: Action | None = None
    why: str = ""

    @property
    def stays(self) -> bool:
        """Whether nothing is done now, or all that is done is to wait for the rollout."""
        held = isinstance(self.action, Wait) and self.action.status is PropagationStatus.HELD
        return held or self.action is None or isinstance(self.action, Keep)


_Pair = tuple[Intent, Intent]


class Observing(Protocol):
    """Looks at one member; see sightings.Observer."""

    async def look(self, types: Mapping[str, FederatedType], wanted: Mapping[str, Sequence[ObjectName]]) -> Sighting:
        """What it has under these names, by type. Raises Silent."""


@dataclass(slots=True)
class Side:
    """One of the two worlds, with what its rollouts come to."""

    world: World
    gatherer: Gatherer
    forecasts: Forecasts

    @classmethod
    def of(cls, world: World, forecasts: Forecasts) -> "Side":
        """With its own memory of placements."""
        return cls(world, gathering.Gatherer(world), forecasts)

    def intent(self, key: Key, cluster: str) -> Intent:
        """What is planned for this object in this cluster."""
        return self.intents(key, frozenset({cluster})).get(cluster, Intent())

    def intents(self, key: Key, clusters: Set[str] | None) -> Mapping[str, Intent]:
        """The same in several clusters; None: in all."""
        state, name = self.world.types.get(key.type), ObjectName(key.namespace, key.name)
        federated = state.objects.get(name) if state is not None else None
        if state is None or federated is None:
            return {}
        facts = self.gatherer.gather(state, federated, state.tracks[name], only=clusters)
        plan = self.world.restrained(state.type, federated.metadata, planning.plan(facts))
        found = {cluster: Intent(action) for cluster, action in plan.actions.items()}
        where = self.world.rollouts.rollout_of(federated)
        if where is None:
            return found
        released = self.world.restrained(state.type, federated.metadata, planning.plan(replace(facts, staged=None)))
        forecast = self.forecasts.get(where)
        for cluster, later in released.actions.items():
            now = found.get(cluster, Intent())
            if later != now.action and not isinstance(later, Wait):
                reason = now.action.message if isinstance(now.action, Wait) else ""
                why = forecast.why(cluster) if forecast is not None else reason
                found[cluster] = Intent(now.action, None if isinstance(later, Keep) else later, why)
        return found

    def show(self, cluster: str, copies: Mapping[str, Copies]) -> None:
        """The cluster has these copies."""
        for name, state in self.world.types.items():
            if name in copies:
                state.copies[cluster] = copies[name]

    def pulls(self, cluster: str) -> bool:
        """Whether the cluster is in pull mode."""
        member = self.world.members.get(cluster)
        return member is not None and member.cluster.pulls

    def forget(self, cluster: str) -> None:
        """What the cluster has is needed no longer."""
        for state in self.world.types.values():
            state.copies.pop(cluster, None)


class Visitor:
    """Plans, member by member, into `findings`. `stages` are what rollouts come to in the two worlds."""

    def __init__(
        self,
        now: World,
        then: World,
        scope: Scope,
        keys: Sequence[Key],
        *,
        values: bool,
        stages: tuple[Forecasts, Forecasts] = ({}, {}),
    ) -> None:
        self.findings = Findings()
        self.silent: dict[str, str] = {}
        """Members that do not answer, with the reason."""
        self.seen: dict[str, Seen] = {}
        self.wanted = Wanted()
        self._now, self._then = Side.of(now, stages[0]), Side.of(then, stages[1])
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
            now, then = self._now.intents(key, only), self._then.intents(key, only)
            for name in sorted(then.keys() | now.keys()):
                pair = now.get(name, Intent()), then.get(name, Intent())
                if name in self._then.world.members and self._may_concern(key, pair):
                    found.setdefault(name, []).append(key)
        for name in members:
            self._forget(name)
        return found

    def hold(self, counts: Counts, config: Metadata | None) -> None:
        """Say of deletions that they are held, where they are more than go by themselves."""
        clusters = {cluster for actions in self.wanted.actions.values() for cluster in actions}
        for cluster in clusters:
            self._by_record(self._keys, cluster)
        for key, why in held.reasons(self._then.world, self.wanted, counts, config).items():
            self.findings.hold(key, why)
        for cluster in clusters:
            self._forget(cluster)

    async def visit(
        self, cluster: str, keys: Sequence[Key], observer: Observing, dry: JoinedPort, *, own: bool
    ) -> None:
        """Ask a member that answers. `own`: with the user's own rights there, not the controller's. Raises Silent."""
        types = {name: state.type for name, state in self._states().items()}
        sighting = await observer.look(types, sightings.wanted(self._states(), keys))
        self._show(cluster, sighting)
        try:
            stage = Stage(cluster, dry, own=own, values=self._values, works=sighting.works)
            stage.unheard = self._then.world.members[cluster].cluster.silent
            await self._rehearse(stage, keys, sighting)
            if sighting.works is None:
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
        change = await self._rehearsed(stage, key, then)
        if change is None:
            return
        if change.kind is Kind.CREATE and key.type == marks.NAMESPACE_TYPE:
            stage.made.add(key.name)
        self._foresee(stage.cluster, key, change.kind)
        change = replace(change, pending=now == then)
        self.findings.add(key, stage.cluster, change)
        if Kind.DELETE in {change.kind, change.expected} and not change.pending:
            self.wanted.add(key, stage.cluster, then.action)

    async def _rehearsed(self, stage: Stage, key: Key, then: Intent) -> Change | None:
        """What becomes of it in a member that answers; None: nothing."""
        state = self._states()[key.type]
        if then.later is not None and then.stays:
            change = await rehearsing.of_action(stage, state, key, then.later)
            return _waiting(change, then) if change is not None else None
        change = await rehearsing.of_action(stage, state, key, then.action)
        if change is not None and change.kind is Kind.UNKNOWN:
            change = replace(change, expected=_expected(then.action))
        if change is None or not then.why:
            return change
        # It gets what its own revision has, and the rest when it is released.
        return replace(change, message="; ".join(filter(None, (change.message, then.why))))

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
        if not self._of_interest(key, (now, then)):
            return
        if then.later is not None and then.stays:
            self.findings.add(key, cluster, replace(_waiting(None, then), pending=now == then))
        elif expected := _expected(then.action):
            self._foresee(cluster, key, expected)
            self.findings.add(key, cluster, Change(Kind.UNKNOWN, message=why, expected=expected, pending=now == then))
            if now != then:
                self.wanted.add(key, cluster, then.action)

    def _pair(self, key: Key, cluster: str) -> _Pair:
        return self._now.intent(key, cluster), self._then.intent(key, cluster)

    def _may_concern(self, key: Key, pair: _Pair) -> bool:
        """Whether a member is to be asked, by what is on record: of what is named, wherever it is or is to be."""
        now, then = pair
        return now != then or (key in self._scope.named and then.action is not None)

    def _of_interest(self, key: Key, pair: _Pair) -> bool:
        """Whether there may be something to show: what both worlds plan alike is of interest in what is named alone."""
        now, then = pair
        if then.later is None and (then.action is None or isinstance(then.action, Keep)):
            return False
        return now != then or key in self._scope.named

    # --- what a member has ---------------------------------------------------------------------------------------

    def _states(self) -> dict[str, TypeState]:
        return {**self._now.world.types, **self._then.world.types}

    def _what(self, key: Key) -> tuple[str, ObjectName]:
        return key.type, self._states()[key.type].target_name(ObjectName(key.namespace, key.name))

    def _show(self, cluster: str, sighting: Sighting) -> None:
        self._now.show(cluster, sighting.copies)
        copies = dict(sighting.copies)
        spaces = copies.get(marks.NAMESPACE_TYPE)
        if spaces is not None:
            copies[marks.NAMESPACE_TYPE] = _copied(spaces)  # which the plan goes on to fill
        self._then.show(cluster, copies)

    def _by_record(self, keys: Sequence[Key], cluster: str) -> None:
        for name, targets in sightings.wanted(self._states(), keys).items():
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
                state.copies[cluster] = sightings.by_record(applied, pulls=side.pulls(cluster))

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


def _waiting(change: Change | None, then: Intent) -> Change:
    """What a rollout holds back; `change` is what it will be there, None where the member was not asked."""
    expected: str = change.kind if change is not None and change.kind is not Kind.UNKNOWN else _expected(then.later)
    message = then.why
    if change is not None and change.kind in {Kind.REFUSE, Kind.RECREATE}:
        message = f"{message}; as it is now: {change.message}"
    return Change(Kind.WAIT, change.fields if change is not None else (), message, expected=expected)


def _expected(action: Action | None) -> str:
    """What an action does, as far as can be told without the member."""
    match action:
        case Command(aim=Aim.CREATE):
            return Kind.CREATE
        case Command(aim=Aim.UPDATE):
            return Kind.CHANGE
        case Delete():
            return Kind.DELETE
        case Release():
            return Kind.RELEASE
        case Command(aim=Aim.CLAIM):
            return Kind.CLAIM
        case Refuse():
            return Kind.REFUSE
        case Wait(known=False):
            return Kind.WAIT
        case _:
            return ""
