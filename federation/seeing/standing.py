"""How federated objects stand in a member: decided by the controller's own planning, asked for by dry runs.

The hub is read once, as a controller that has just started would; what a member has is read when it is visited. Nothing
is written (kube.dryruns).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from federation.controllers.gathering import Gatherer
from federation.controllers.ports import MemberPort, Whole
from federation.controllers.world import TypeState, World
from federation.core import desired, kept, overrides, planning
from federation.core.facts import Facts
from federation.core.kept import Kept
from federation.core.overrides import Step
from federation.core.variants import Made, Variants, VersionUnavailable
from federation.joining import fleet
from federation.joining.fleet import Member
from federation.joining.reaching import Reach, Way
from federation.kube import dryruns
from federation.kube.connection import Connection
from federation.model.errors import Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.observations import ObservedWork
from federation.model.plan import Action, Apply, Compare, Plan, Wait
from federation.model.policies import Takeover
from federation.model.resources import Key, ObjectName
from federation.preview import handed, lookup, rehearsing, sightings
from federation.preview import hub as hubs
from federation.preview.changes import Change, Kind
from federation.preview.handed import WorksObserver
from federation.preview.hub import Hub
from federation.preview.rehearsing import Sides, Stage
from federation.preview.scope import Scope
from federation.preview.sightings import Observer
from federation.preview.visits import Observing
from federation.seeing import staged

_GONE = frozenset({FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING})


@dataclass(frozen=True, slots=True)
class Standing:
    """One object in one cluster. `action` is what is planned (None: nothing), `change` what would come of it now.

    `made` is the manifest, or why none can be made (`unmade`); `steps` are what each of its overrides did, those of
    spec.overrides[`override`]. `there` is what the member has, or why that is not known
    (`unread`), with the fields that it has otherwise (`kept`). `sides` are the object before and after, where a push
    was rehearsed. In pull mode `way` says how far it has come (preview.handed); what is `there` is not known.
    """

    key: Key
    cluster: str
    action: Action | None = None
    change: Change | None = None
    made: Made | None = None
    unmade: str = ""
    steps: Sequence[Step] = ()
    override: int = 0
    there: Whole | None = None
    unread: str = ""
    kept: Sequence[Kept] = ()
    sides: Sides | None = None
    way: Mapping[str, str] | None = None


@dataclass(slots=True)
class Outlook:
    """Federated objects as they are planned. `anew`: as if nothing were known to have been applied, and nothing held
    back by a cordon, a rollout or a policy, so that all that is there is compared with all that should be."""

    hub: Hub
    world: World
    gatherer: Gatherer
    anew: bool = False
    problems: Sequence[str] = field(default_factory=list)

    @classmethod
    def of(cls, hub: Hub, *, anew: bool = False, problems: Sequence[str] = ()) -> "Outlook":
        """Of one state of the hub."""
        world = hubs.world(hub, hub.settings)
        if anew:
            for member in world.members.values():
                member.cluster = replace(member.cluster, cordon=None)
        return cls(hub, world, Gatherer(world), anew, problems)

    def state(self, key: Key) -> TypeState | None:
        """The type of an object; None where it is not followed, or there is no such object."""
        state = self.world.types.get(key.type)
        return state if state is not None and ObjectName(key.namespace, key.name) in state.objects else None

    def unfollowed(self, key: Key) -> str:
        """Why there is no `state` of an object."""
        why = self.hub.unfollowed(key.type, self.world.settings)
        return f"type {key.type} is not followed: {why or 'nothing is pushed of it'}"

    def members(self, names: Sequence[str]) -> list[Member]:
        """Clusters as they are reached."""
        return [fleet.of_stored(self.hub.clusters[name]) for name in names]

    def facts(self, key: Key, cluster: str = "") -> Facts:
        """What the plan of an object is made from, of one cluster or of all."""
        state, name = self.world.types[key.type], ObjectName(key.namespace, key.name)
        item, track = state.objects.get(name), state.tracks[name]
        assert item is not None  # noqa: S101 (`state` was asked before)
        if self.anew:
            pushed = (name for name, each in self.world.members.items() if not each.cluster.pulls)
            track.recheck = frozenset(pushed)
        found = self.gatherer.gather(state, item, track, only=frozenset({cluster}) if cluster else None)
        return replace(found, staged=None) if self.anew else found

    def plan(self, key: Key, facts: Facts) -> Plan:
        """The plan from these facts."""
        plan = planning.plan(facts)
        if self.anew:
            return plan
        state = self.world.types[key.type]
        return self.world.restrained(state.type, facts.object.metadata, plan)

    def concerned(self, key: Key) -> list[str]:
        """The clusters where something is to be, or may be, by what the hub has on record."""
        names = list(self.world.members)
        states = self.world.types
        targets = sightings.wanted(states, [key])
        for name, wanted in targets.items():
            tracks = states[name].tracks
            for cluster in names:
                applied = {
                    target: track.applied[cluster]
                    for target in wanted
                    if (track := tracks.get(states[name].federated_name(target))) is not None
                    and cluster in track.applied
                }
                pulls = self.world.members[cluster].cluster.pulls
                states[name].copies[cluster] = sightings.by_record(applied, pulls=pulls)
        found = sorted(self.plan(key, self.facts(key)).actions)
        for name in targets:
            states[name].copies.clear()
        return found

    async def visit(self, cluster: str, keys: Sequence[Key], way: Way, *, values: bool = True) -> list[Standing]:
        """How the objects stand in a member that answers. Raises Silent."""
        dry = dryruns.writer(way.connection, self.hub.manager)
        stage = Stage(cluster, dry, own=way.own, values=values, sides={})
        return await self.look(stage, keys, Observer(way.connection, dry))

    async def read_works(
        self, host: Connection, cluster: str, keys: Sequence[Key], *, values: bool = True
    ) -> list[Standing]:
        """How the objects stand in a cluster in pull mode, by its works at the hub."""
        manager = self.hub.manager
        stage = Stage(cluster, dryruns.writer(host, manager), values=values, sides={})
        return await self.look(stage, keys, WorksObserver(host, cluster, manager))

    async def look(self, stage: Stage, keys: Sequence[Key], observer: Observing) -> list[Standing]:
        """The same, by whoever looks at the member."""
        cluster = stage.cluster
        types = {name: state.type for name, state in self.world.types.items()}
        sighting = await observer.look(types, sightings.wanted(self.world.types, keys))
        stage.works, stage.unheard = sighting.works, self.world.members[cluster].cluster.silent
        for name, copies in sighting.copies.items():
            self.world.types[name].copies[cluster] = copies
        try:
            return [await self._one(stage, key, sighting.refused.get(key.type, "")) for key in keys]
        finally:
            for name in sighting.copies:
                self.world.types[name].copies.pop(cluster, None)

    async def _one(self, stage: Stage, key: Key, refused: str) -> Standing:
        facts = self.facts(key, stage.cluster)
        action = self.plan(key, facts).actions.get(stage.cluster)
        standing = _made(facts, Standing(key, stage.cluster, action))
        made = standing.made
        if refused:
            return replace(standing, unread=refused)
        state = self.world.types[key.type]
        if stage.works is not None:
            return await self._handed(stage, state, standing)
        there = await _read(stage.dry, state, key, made.api_version if made is not None else "")
        if isinstance(there, Failure):
            return replace(standing, unread=there.message)
        if there is not None and made is not None:
            differing = kept.kept(made.body, there.content, there.metadata.managed_fields)
            standing = replace(standing, kept=differing)
        change = await rehearsing.of_action(stage, state, key, _whole(action) if self.anew else action)
        sides = (stage.sides or {}).get(key)
        if sides is None and there is not None and change is not None and change.kind is Kind.DELETE:
            sides = there.content, None
        if sides is None and there is None and change is not None and change.kind is Kind.CREATE and made is not None:
            sides = None, orjson.loads(made.content)  # its namespace is to come: nobody there could be asked
        return replace(standing, there=there, change=change, sides=sides)

    async def _handed(self, stage: Stage, state: TypeState, standing: Standing) -> Standing:
        """In a cluster in pull mode: the work's manifest before and after."""
        key = standing.key
        target = state.target_name(ObjectName(key.namespace, key.name))
        work, observed = (stage.works or {}).get((key.type, target)), state.copies[stage.cluster].objects.get(target)
        change = await rehearsing.of_action(stage, state, key, standing.action)
        silent = self.world.members[stage.cluster].cluster.silent
        way = handed.way(work, observed if isinstance(observed, ObservedWork) else None, silent)
        sides = (stage.sides or {}).get(key)
        if sides is None and change is not None and change.kind is Kind.DELETE:
            sides = handed.manifest(work), None
        return replace(standing, change=change, sides=sides, way=way)


async def read(reach: Reach, keys: Sequence[Key], *, anew: bool = False) -> Outlook:
    """The outlook of objects of the hub, with the rollouts that hold them. Raises NotInstalled, ApiFailure."""
    base = await lookup.begin(reach.host, reach.namespace)
    types = base.types(base.settings).values()
    hub, problems = await lookup.objects(reach.host, base, Scope(named=frozenset(keys)), types)
    outlook = Outlook.of(hub, anew=anew, problems=problems)
    for key in keys if not anew else ():
        if outlook.state(key) is not None:
            await staged.publish(reach.host, outlook.world, key)
    return outlook


def given(facts: Facts, cluster: str) -> Variants | str:
    """The manifests of the content that a cluster is given, by a rollout where one holds it; or why there are none.

    Raises Invalid.
    """
    found = desired.of(facts)
    if found is None:
        return "the hub's Namespace, whose labels are copied, is not known"
    if facts.staged is not None and not facts.staged.content(facts.staged.record.holds, cluster):
        return "its rollout has released nothing to it yet"
    variants = found.variants(cluster)
    return variants.message if isinstance(variants, Wait) else variants


def _made(facts: Facts, standing: Standing) -> Standing:
    """With the manifest that a cluster should hold, and what each override does to it; or why that cannot be made."""
    try:
        found = given(facts, standing.cluster)
        if isinstance(found, str):
            return replace(standing, unmade=found)
        cluster = facts.clusters[standing.cluster]
        made = found.manifest_for(cluster)
        place, body, operations = found.overriding(cluster)
        steps = tuple(overrides.steps(body, operations))
    except (Invalid, VersionUnavailable) as error:
        return replace(standing, unmade=str(error))
    return replace(standing, made=made, steps=steps, override=place)


def _whole(action: Action | None) -> Action | None:
    """An action as if no policy held it back: what is only compared, or left alone, is applied."""
    match action:
        case Compare():
            return Apply(action.body, action.digest, action.api_version, uid=action.uid, yields=action.yields)
        case Apply(create_only=True):
            return replace(action, create_only=False, takeover=Takeover.ALWAYS)
    return action


async def _read(dry: MemberPort, state: TypeState, key: Key, api_version: str) -> Whole | Failure | None:
    """The member's object; None where there is none."""
    target, name = state.type.target, state.target_name(ObjectName(key.namespace, key.name))
    if api_version:
        target = replace(target, version=api_version.rpartition("/")[2])
    found = await dry.read_whole(target, name)
    return None if isinstance(found, Failure) and found.kind in _GONE else found
