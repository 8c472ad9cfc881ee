"""Make a plan: read the hub, ask it for the documents, ask every member that the change concerns, write nothing."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from federation.controllers import typeconfigs
from federation.controllers.gathering import Gatherer
from federation.controllers.world import World
from federation.core import configuration, planning
from federation.joining import contents, discovery, fleet, visiting
from federation.joining.applying import Report
from federation.joining.reaching import Reach
from federation.kube import dryruns
from federation.kube.connection import Connection
from federation.model import marks
from federation.model.conditions import ClusterConditionType
from federation.model.errors import FederationError, Invalid
from federation.model.federated import FederatedType
from federation.model.resources import SECRETS, TYPE_CONFIGS, Key, ObjectName
from federation.model.settings import PUSHER, Settings
from federation.preview import hub as hubs
from federation.preview import lookup, staged, wishes
from federation.preview import scope as scopes
from federation.preview.changes import Findings
from federation.preview.handed import WorksObserver
from federation.preview.held import Counts
from federation.preview.hub import Hub
from federation.preview.scope import Parts
from federation.preview.sightings import Observer, Seen
from federation.preview.staged import Forecasts
from federation.preview.visits import Visitor
from federation.preview.wishes import Given, Wish

AT_ONCE = 32
"""Members that are asked at a time: some of a thousand hang until their deadline."""


@dataclass(frozen=True, slots=True)
class How:
    """How to plan. `namespace` is that of documents which name none, `manager` the field manager that writes (""; as
    the object was written before), `delete`: the documents' objects are to be deleted. With `values` the values of
    fields are shown, Secrets' aside. `stored`: members are asked with the credentials that the hub has, not with the
    user's own. `timeout`: seconds for a member's first answer."""

    namespace: str = "default"
    manager: str = ""
    delete: bool = False
    values: bool = True
    stored: bool = False
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Made:
    """A plan. `notes` are about a wish, by its place; `problems` say what could not be read. `silent` are members that
    do not answer, with the reason; `unready` those that answer here, and not the controller; `seen` is what of each
    member's objects the plan rests on.
    """

    hub: Hub
    wishes: Sequence[Wish]
    findings: Findings = field(default_factory=Findings)
    notes: Mapping[int, Sequence[str]] = field(default_factory=dict)
    problems: Sequence[str] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    unready: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether anything changes, at the hub or in a member."""
        return any(wish.moves for wish in self.wishes) or any(not change.pending for _, change, _ in self.findings)


async def make(reach: Reach, given: Sequence[Given], how: How, report: Report) -> Made:
    """The plan. Raises Invalid for a document that is none, ApiFailure where the hub refuses or does not answer."""
    base = await lookup.begin(reach.host, reach.namespace)
    wanted = await asked(reach.host, base, given, how)
    enabled = types(base, wanted, reach.namespace)
    parts = scopes.parts(wanted, known_types(base, wanted, reach.namespace).values(), reach.namespace)
    scope = scopes.scope(parts)
    hub, problems = await lookup.objects(reach.host, base, scope, enabled.values())
    now = time.time()
    if names := staged.named(hub, scopes.after(hub, parts, now)) | scope.rollouts:
        hub, unread = await lookup.rollouts(reach.host, hub, names, enabled.values())
        problems += unread
    then = scopes.after(hub, parts, now)
    scope = replace(scope, staged=staged.moved(hub, scope.rollouts) | staged.moved(then, scope.rollouts))
    settings = hub.settings
    now_world = hubs.world(hub, settings)
    later = then.settings
    then_world = hubs.world(then, settings if later.cautious else later, now_world)
    keys = list(dict.fromkeys([*scopes.keys(scope, now_world), *scopes.keys(scope, then_world)]))
    keys.sort(key=lambda key: (key.type != marks.NAMESPACE_TYPE, key))
    stages = staged.forecasts(now_world, hub, now), staged.forecasts(then_world, then, now)
    problems += await _publish(reach.host, (now_world, then_world), stages, keys)
    visitor = Visitor(now_world, then_world, scope, keys, values=how.values, stages=stages)
    await _Tour(reach, then, visitor, how).run(report)
    if visitor.wanted.actions and then_world.settings.deletion_budget.enabled:
        few = visitor.wanted.copies <= then_world.settings.deletion_budget.minimum  # which nobody counts
        if not few:
            for each in await lookup.namespaces(reach.host, hub, visitor.wanted):
                then_world.host_namespaces.put(ObjectName("", each.name), each)
        counts = Counts() if few else await lookup.counts(reach.host, hub, visitor.wanted, enabled.values())
        visitor.hold(counts, then.config.metadata if then.config is not None else None)
    notes = _notes(wanted, parts, (then, then_world), stages[1])
    unready = {name: why for name in visitor.seen if name not in visitor.silent and (why := _unready(then, name))}
    return Made(hub, wanted, visitor.findings, notes, problems, visitor.silent, unready, visitor.seen)


async def _publish(
    host: Connection, worlds: tuple[World, World], stages: tuple[Forecasts, Forecasts], keys: Sequence[Key]
) -> list[str]:
    """Have both worlds hold clusters to what their rollouts come to; what of it could not be read."""
    both = list(zip(worlds, stages, strict=True))
    wanted = {name for world, found in both for name in staged.contents(world, found, keys)}
    stored, problems = await lookup.revisions(host, wanted)
    for world, found in both:
        staged.publish(world, found, keys, stored)
    return problems


async def asked(host: Connection, base: Hub, given: Sequence[Given], how: How) -> Sequence[Wish]:
    """Every document as the hub would store it, those aside that are not for it. Raises Invalid, ApiFailure."""
    given = [each for each in given if wishes.is_for_the_hub(each.document)]
    served = [contents.resource(each) for each in (await discovery.read(host)).all]
    documents = [each.document for each in given]
    served += wishes.defined(documents)
    of_secrets = [each.federated for each in _of_secrets(base, documents)]
    slots = asyncio.Semaphore(lookup.AT_ONCE)

    async def one(each: Given) -> Wish:
        resource = wishes.resource_of(each, served)
        named = wishes.named(each, namespaced=resource.namespaced, namespace=how.namespace)
        async with slots:
            secret = wishes.is_secret(resource, of_secrets)
            return await wishes.ask(host, named, resource, secret=secret, manager=how.manager, delete=how.delete)

    return wishes.once(list(await asyncio.gather(*map(one, given))))


def _of_secrets(base: Hub, documents: Iterable[hubs.Document]) -> Iterator[FederatedType]:
    """The types that federate Secrets, those among the documents, too."""
    configs = [each for each in documents if each.get("kind") == TYPE_CONFIGS.kind]
    found = [*base.known_types(base.settings).values()]
    for each in configs:
        with contextlib.suppress(Invalid):
            found.append(configuration.type_config(each))
    return (each for each in found if each.target.qualified == SECRETS.qualified)


def types(base: Hub, documents: Iterable[Wish], namespace: str) -> Mapping[str, FederatedType]:
    """The types of the hub whose objects are pushed, and those that the documents enable."""
    then, later = _enabled(base, documents, namespace)
    return {**base.types(base.settings), **then.types(later)}


def known_types(base: Hub, documents: Iterable[Wish], namespace: str) -> Mapping[str, FederatedType]:
    """The same, and those of which nothing is pushed: an object of theirs is to be told from one that is no type's."""
    then, later = _enabled(base, documents, namespace)
    return {**base.known_types(base.settings), **then.known_types(later)}


def _enabled(base: Hub, documents: Iterable[Wish], namespace: str) -> tuple[Hub, Settings]:
    then = scopes.after(base, scopes.parts(list(documents), (), namespace), 0.0)
    return then, base.settings if then.settings.cautious else then.settings


class _Tour:
    """Visits the members, some at a time."""

    def __init__(self, reach: Reach, hub: Hub, visitor: Visitor, how: How) -> None:
        self._reach = reach
        self._hub = hub
        self._visitor = visitor
        self._how = how

    async def run(self, report: Report) -> None:
        """All that the change concerns."""
        concerned = [(name, keys) for name, keys in sorted(self._visitor.concerned().items())]
        await visiting.visit(concerned, self._one, report, "asked", at_once=AT_ONCE)

    async def _one(self, concerned: tuple[str, Sequence[Key]]) -> None:
        cluster, keys = concerned
        if self._hub.clusters[cluster].pulls:
            manager = self._hub.manager
            observer, dry = WorksObserver(self._reach.host, cluster, manager), dryruns.writer(self._reach.host, manager)
            await self._visitor.visit(cluster, keys, observer, dry, own=True)
            return
        try:
            async with AsyncExitStack() as lent:
                member, how = fleet.of_stored(self._hub.clusters[cluster]), self._how
                way = await self._reach.way(member, lent, stored=how.stored, timeout=how.timeout)
                dry = dryruns.writer(way.connection, self._hub.manager)
                await self._visitor.visit(cluster, keys, Observer(way.connection, dry), dry, own=way.own)
        except FederationError as error:
            self._visitor.unanswered(cluster, keys, str(error))


def _unready(hub: Hub, cluster: str) -> str:
    """Why the controller does not reach a cluster, as it last reported; "" where it does."""
    conditions = hub.clusters[cluster].conditions
    ready = next((each for each in conditions if each.get("type") == ClusterConditionType.READY), {})
    return "" if ready.get("status") in {"True", None} else str(ready.get("message") or "it is not ready")


def _notes(
    documents: Sequence[Wish], parts: Parts, after: tuple[Hub, World], stages: Forecasts
) -> dict[int, Sequence[str]]:
    """What is to be said about documents beside what changes in members; `after`: the hub with them, and its world."""
    hub, then = after
    places = {id(wish): place for place, wish in enumerate(documents)}
    notes: dict[int, list[str]] = {place: [wish.note] for place, wish in enumerate(documents) if wish.note}
    for name, wish in parts.federated:
        if not wish.delete and wish.after is not None:
            key = Key(name, *wish.where)
            why = hub.unfollowed(name, then.settings) if name not in then.types else ""
            said = [f"type {name} is not followed: {why}"] if why else _about(then, key, stages)
            notes.setdefault(places[id(wish)], []).extend(said)
    for wish in parts.clusters:
        if wish.delete and wish.before is not None:
            text = f"cluster {wish.where.name} leaves: what it has stays there, and is managed no more"
            notes.setdefault(places[id(wish)], []).append(text)
    for wish in parts.rollouts:
        if wish.moves and wish.where in stages and (told := stages[wish.where].told(wish.where)):
            notes.setdefault(places[id(wish)], []).append(told)
    for wish in parts.configs:
        if wish.before is not None and wish.where.name not in then.types and PUSHER in then.settings.features:
            text = "nothing is pushed any more: what the members have stays there, and is managed no more"
            notes.setdefault(places[id(wish)], []).append(text)
    for wish in parts.settings:
        if PUSHER not in then.settings.features:
            notes.setdefault(places[id(wish)], []).append(typeconfigs.GATE_OFF)
    return {place: each for place, each in notes.items() if each}


def _about(then: World, key: Key, stages: Forecasts) -> list[str]:
    """What the controller would report of a federated object as a whole."""
    state, where = then.types.get(key.type), ObjectName(key.namespace, key.name)
    federated = state.objects.get(where) if state is not None else None
    if state is None or federated is None:
        return [f"type {key.type} is not followed: nothing is pushed"]
    facts = Gatherer(then).gather(state, federated, state.tracks[where])
    plan = planning.plan(replace(facts, staged=None))
    found = [plan.message] if plan.message else []
    found += [f"its placement names {', '.join(plan.unjoined)}: no such cluster has joined"] if plan.unjoined else []
    found += [plan.nowhere] if plan.nowhere else []
    found += list(plan.warnings)
    rollout = then.rollouts.rollout_of(federated)
    if rollout in stages and (told := stages[rollout].told(rollout)):
        found.append(told)
    return found
