"""What a FederatedRollout does as soon as a change is at the hub: which clusters it releases, and which ones wait.

The controller's own rules decide (core.rollouts), step by step, until one has to wait. What is released now is
published in the world, as the controller publishes a record that the hub has accepted, so that planning holds every
cluster to its revision. Which stage a cluster waits for is found out by the same rules, as if all gates were open.
"""

import importlib.util
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from federation.controllers.gathering import Gatherer
from federation.controllers.revisions import Stored, name_of
from federation.controllers.rolloutindex import Published, needs
from federation.controllers.world import World
from federation.core import expressions, planning, rollouts, rolloutspec, staging
from federation.core.rollouts import Decision, State
from federation.core.staging import Content
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import FederatedObject, StoredObject
from federation.model.plan import Keep, KeepOlder
from federation.model.resources import Key, ObjectName
from federation.model.rollouts import Entry, Place, Record, Wish
from federation.preview import sightings
from federation.preview.hub import Hub

_STEPS = 3
"""Decisions for each stage, at most, until one waits: it begins, is released, is left."""
_NOT_YET = "has it not yet"
_NOT_SERVED = "there is no FederatedRollout {}: nothing is changed until there is, or the label goes"

Named = Mapping[Key, tuple[Entry, FederatedObject]]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a rollout comes to at once. `record` is what the hub accepts, `message` where it stands then. `waits` says
    of clusters what releases them; `held` of all others."""

    record: Record
    message: str = ""
    waits: Mapping[str, str] = field(default_factory=dict)
    held: str = ""

    def told(self, where: ObjectName) -> str:
        """Where the rollout of this name stands then; "" where there is nothing to say."""
        return f"then FederatedRollout {where}: {self.message}" if self.message else ""

    def why(self, cluster: str) -> str:
        """Why what is asked for does not reach a cluster now."""
        return self.waits.get(cluster, self.held)


Forecasts = dict[ObjectName, Forecast]


def named(*hubs: Hub) -> frozenset[ObjectName]:
    """The rollouts that the objects of any of these states of the hub name."""
    found = (rollout_of(item, hub) for hub in hubs for of_type in hub.objects.values() for item in of_type.values())
    return frozenset(each for each in found if each is not None)


def rollout_of(item: FederatedObject, hub: Hub) -> ObjectName | None:
    """The rollout that an object names; None where it names none."""
    name = item.metadata.labels.get(marks.ROLLOUT_LABEL)
    return ObjectName(item.metadata.namespace or hub.namespace, name) if name else None


def forecasts(world: World, hub: Hub, now: float) -> Forecasts:
    """Of every rollout that the objects name and that can be read; `now` in seconds of the epoch.

    Of the others the world says why nothing changes.
    """
    index = world.rollouts
    index.home = hub.namespace
    missing: dict[ObjectName, str] = {}
    index.missing = lambda where: missing.get(where, _NOT_SERVED.format(where))
    found: Forecasts = {}
    for where in sorted(named(hub)):
        stored = hub.rollouts.get(where)
        if why := hub.unread.get(where):
            missing[where] = f"FederatedRollout {where} cannot be read: {why}"
        elif stored is not None and stored.metadata.deletion_timestamp is None:
            try:
                found[where] = _forecast(world, where, stored, hub.contents.get(where, {}), now)
            except Invalid as error:
                missing[where] = f"FederatedRollout {where}: {error}; nothing is released"
    return found


def contents(world: World, found: Forecasts, keys: Iterable[Key]) -> frozenset[ObjectName]:
    """The FederatedRevisions with what clusters are held to: of these objects."""
    return frozenset(
        _stored_at(where, other)
        for where, forecast in found.items()
        for entry, item in _objects(world, where, keys).values()
        for other in _held(forecast.record, entry, item)
    )


def publish(world: World, found: Forecasts, keys: Iterable[Key], stored: Mapping[ObjectName, StoredObject]) -> None:
    """Plan by these from now on; `stored` are FederatedRevisions, as far as they could be read."""
    for where, forecast in found.items():
        by_object: dict[tuple[str, str, str], dict[str, Content]] = {}
        gone: set[str] = set()
        for entry, item in _objects(world, where, keys).values():
            kept = by_object[entry.what] = {}
            for other in _held(forecast.record, entry, item):
                content = _content(stored.get(_stored_at(where, other)), other)
                if content is None:
                    gone.add(other.content)
                else:
                    kept[other.content] = content
        world.rollouts.publish(where, Published(forecast.record, by_object, frozenset(gone)))


def _held(record: Record, entry: Entry, item: FederatedObject) -> list[Entry]:
    """What clusters are held to of an object, as far as that is not its present content."""
    known = {each.number: found for each in record.revisions if (found := each.entry(entry.what)) is not None}
    wanted = needs(record, {number: each.content for number, each in known.items()}) - {staging.digest(item.spec)}
    return [each for each in known.values() if each.content in wanted]


def _stored_at(rollout: ObjectName, entry: Entry) -> ObjectName:
    return ObjectName(rollout.namespace, name_of(rollout.name, entry))


def _content(stored: StoredObject | None, entry: Entry) -> Content | None:
    text = stored.spec.get("content") if stored is not None else None
    if not isinstance(text, str):
        return None
    try:
        namespaces = entry.type == marks.NAMESPACE_TYPE
        return staging.unpacked(text, entry.content, entry.generation, namespaces=namespaces)
    except Invalid:
        return None


def _objects(world: World, where: ObjectName, keys: Iterable[Key] | None = None) -> Named:
    """The objects of a set that count; of these keys alone, where some are given."""
    chosen = None if keys is None else frozenset(keys)
    found: dict[Key, tuple[Entry, FederatedObject]] = {}
    for name, state in sorted(world.types.items()):
        for at, item in state.objects.items():
            key, meta = Key(name, *at), item.metadata
            if world.rollouts.rollout_of(item) != where or (chosen is not None and key not in chosen):
                continue
            if meta.deletion_timestamp is not None or item.broken or staging.refusal(state.type):
                continue
            if digest := staging.digest(item.spec):
                found[key] = (Entry(name, meta.name, meta.uid, digest, meta.generation), item)
    return found


# --- what is decided --------------------------------------------------------------------------------------------------


def recorded(stored: StoredObject) -> bool:
    """Whether a rollout has a record; one that cannot be read is one."""
    try:
        return bool(rolloutspec.record(stored).revisions)
    except Invalid:
        return True


def _forecast(world: World, where: ObjectName, stored: StoredObject, contents: Stored, now: float) -> Forecast:
    """`contents` are of interest where there is no record. Raises Invalid where its record cannot be read."""
    record, objects = rolloutspec.record(stored), _objects(world, where)
    try:
        wish = rolloutspec.wish(stored, [entry for entry, _ in objects.values()])
        if problem := _problem(wish):
            raise Invalid("", problem)
    except Invalid as error:
        held = f"FederatedRollout {where}: {error}; nothing is released"
        return Forecast(record, held=held)
    return decide(where, wish, record, _places(world, objects, contents), now)


def _problem(wish: Wish) -> str:
    """Why one of the expressions cannot be used, where this fedctl has what evaluates them."""
    if importlib.util.find_spec("celpy") is None:
        return ""
    return expressions.problem([text for stage in wish.stages for gates in stage.gates.values() for text in gates])


def decide(where: ObjectName, wish: Wish, record: Record, places: Mapping[str, Place], now: float) -> Forecast:
    """What the controller decides one after the other, until it has to wait for something."""
    well = {name for name, number in record.holds.items() if number == record.target} if record.healthy_since else set()

    def around(present: Record) -> Mapping[str, Place]:
        """What is released now has nothing yet; whoever was well with this revision is."""
        as_before = well if present.target == record.target else set()
        return {name: replace(each, unhealthy="" if name in as_before else _NOT_YET) for name, each in places.items()}

    decisions = _until(wish, record, around, now)
    decision = decisions[-1]
    told = decision.message if decision.state is not State.UNHEALTHY else ""  # how well they are is not known here
    told = decisions[-2].message if len(decisions) > 1 else told  # the last that changes something
    waits, stuck = _stages(wish, decision.record, places, now)
    named = f"FederatedRollout {where}"
    match decision.state:
        case State.PAUSED:
            return Forecast(decision.record, told, {}, f"waits for {named}, which is paused")
        case State.UNDONE:
            return Forecast(decision.record, told, {}, f"{named}: {decision.message}")
    texts = {cluster: f"waits for stage {stage} of {named}" for cluster, stage in waits.items()}
    if decision.state is State.WINDOW:
        closed = decision.record.stage
        texts |= {name: f"{texts[name]}, and its next window" for name, stage in waits.items() if stage == closed}
    return Forecast(decision.record, told, texts, f"{named}: {stuck or decision.message}")


def _until(wish: Wish, record: Record, around: Callable[[Record], Mapping[str, Place]], now: float) -> list[Decision]:
    """The decisions, up to one that changes nothing."""
    made: list[Decision] = []
    for _ in range(_STEPS * (len(wish.stages) + 2)):
        made.append(rollouts.decide(wish, record, around(record), now))
        if made[-1].record == record:
            break
        record = made[-1].record
    return made


def _stages(wish: Wish, record: Record, places: Mapping[str, Place], now: float) -> tuple[dict[str, str], str]:
    """The stage by which each cluster is released from here on, as if all gates were open; and what stops that."""
    opened = tuple(replace(each, soak=0.0, approval=False, windows=(), gates={}) for each in wish.stages)
    going_on = replace(wish, stages=opened, paused=False, undone=0)
    well = {name: replace(each, unhealthy="", ready=True) for name, each in places.items()}
    found: dict[str, str] = {}
    decisions = _until(going_on, record, lambda _: well, now)
    before = record
    for each in decisions:
        held, target = before.holds, each.record.target
        for name, number in each.record.holds.items():
            if target and number == target and held.get(name) != target:
                found[name] = each.record.stage
        before = each.record
    last = decisions[-1]
    return found, last.message if last.state is State.NO_CLUSTER else ""


# --- where the objects are --------------------------------------------------------------------------------------------


def _places(world: World, objects: Named, contents: Stored) -> dict[str, Place]:
    """The clusters where the objects are placed, by what the hub has on record of them, as controllers.rolloutsets."""
    gatherer, places = Gatherer(world), dict[str, Place]()
    spaces = {Key(marks.NAMESPACE_TYPE, key.namespace, key.namespace) for key in objects if key.namespace}
    sightings.show_records(world, [*spaces, *objects])
    try:
        for key, (entry, item) in objects.items():
            state = world.types[key.type]
            track = state.tracks[item.where]
            facts = replace(gatherer.gather(state, item, track), staged=None)
            plan, known = planning.plan(facts), contents.get(entry.what, ())
            had = staging.had(facts, sorted(known, key=lambda each: each.digest != entry.content)) if known else {}
            for cluster in plan.selected:
                applied, action = track.applied.get(cluster), plan.actions.get(cluster)
                present = isinstance(action, Keep) and not isinstance(action, KeepOlder)
                recorded = applied is not None and applied.known and applied.generation == plan.generation
                before, content = places.get(cluster), had.get(cluster)
                same = present or recorded or (content is not None and content.digest == entry.content)
                has = before.has if before is not None else ()
                if content is not None:
                    has = (*has, entry if same else Entry(*entry.what, content.digest, content.generation))
                places[cluster] = Place(
                    cluster,
                    world.members[cluster].cluster.labels,
                    older=(applied is not None and not same) or (before is not None and before.older),
                    copies=applied is not None and (before is None or before.copies),
                    has=has,
                )
    finally:
        for state in world.types.values():
            state.copies.clear()
    return places


def moved(hub: Hub, rollouts_: Collection[ObjectName]) -> frozenset[Key]:
    """The objects that name one of these rollouts."""
    return frozenset(
        Key(name, *where)
        for name, of_type in hub.objects.items()
        for where, item in of_type.items()
        if rollout_of(item, hub) in rollouts_
    )
