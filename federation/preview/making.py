"""Make a plan: read the hub, ask it for the documents, ask every member that the change concerns, write nothing."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from federation.controllers.gathering import Gatherer
from federation.controllers.world import World
from federation.core import configuration, planning
from federation.joining import contents, discovery, fleet, visiting
from federation.joining.applying import Report
from federation.joining.fleet import Member
from federation.joining.reaching import Reach
from federation.kube import dryruns
from federation.kube.connection import Connection
from federation.model import marks
from federation.model.conditions import ClusterConditionType
from federation.model.errors import FederationError, Invalid
from federation.model.federated import FederatedType, StoredObject
from federation.model.resources import ROLLOUTS, SECRETS, TYPE_CONFIGS, Key, ObjectName
from federation.preview import hub as hubs
from federation.preview import lookup, wishes
from federation.preview import scope as scopes
from federation.preview.changes import Findings
from federation.preview.held import Counts
from federation.preview.hub import Hub
from federation.preview.scope import Parts
from federation.preview.sightings import Observer, Seen
from federation.preview.visits import Visitor
from federation.preview.wishes import Given, Wish

AT_ONCE = 32
"""Members that are asked at a time: some of a thousand hang until their deadline."""
_ROLLOUT = "what it releases or holds back in members is not shown"


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
    applied = [each for each in given if wishes.is_for_the_hub(each.document)]
    asked = await _asked(reach.host, base, applied, how)
    types = _types(base, asked, reach.namespace)
    parts = scopes.parts(asked, types.values(), reach.namespace)
    scope = scopes.scope(parts)
    hub, problems = await lookup.objects(reach.host, base, scope, types.values())
    then = scopes.after(hub, parts, time.time())
    settings = hub.settings
    now_world = hubs.world(hub, settings)
    later = then.settings
    then_world = hubs.world(then, settings if later.cautious else later, now_world)
    keys = list(dict.fromkeys([*scopes.keys(scope, now_world), *scopes.keys(scope, then_world)]))
    keys.sort(key=lambda key: (key.type != marks.NAMESPACE_TYPE, key))
    visitor = Visitor(now_world, then_world, scope, keys, values=how.values)
    await _Tour(reach, then, visitor, how).run(report)
    if visitor.wanted.actions and then_world.settings.deletion_budget.enabled:
        few = visitor.wanted.copies <= then_world.settings.deletion_budget.minimum  # which nobody counts
        visitor.hold(Counts() if few else await lookup.counts(reach.host, hub, visitor.wanted, types.values()))
    notes = _notes(asked, parts, then_world)
    unready = {name: why for name in visitor.seen if name not in visitor.silent and (why := _unready(then, name))}
    return Made(hub, asked, visitor.findings, notes, problems, visitor.silent, unready, visitor.seen)


async def _asked(host: Connection, base: Hub, given: Sequence[Given], how: How) -> Sequence[Wish]:
    """Every document as the hub would store it."""
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
    found = [*base.types(base.settings).values()]
    for each in configs:
        with contextlib.suppress(Invalid):
            found.append(configuration.type_config(each))
    return (each for each in found if each.target.qualified == SECRETS.qualified)


def _types(base: Hub, asked: Iterable[Wish], namespace: str) -> Mapping[str, FederatedType]:
    """The types of the hub, and those that the documents enable."""
    parts = scopes.parts(list(asked), (), namespace)
    then = scopes.after(base, parts, 0.0)
    return {**base.types(base.settings), **then.types(base.settings if then.settings.cautious else then.settings)}


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
        try:
            async with AsyncExitStack() as lent:
                connection, own = await self._open(cluster, lent)
                dry = dryruns.writer(connection, self._hub.manager)
                await self._visitor.visit(cluster, keys, Observer(connection, dry), dry, own=own)
        except (FederationError, TimeoutError) as error:
            why = f"does not answer within {self._how.timeout:g} s" if isinstance(error, TimeoutError) else str(error)
            self._visitor.unanswered(cluster, keys, why)

    async def _open(self, cluster: str, lent: AsyncExitStack) -> tuple[Connection, bool]:
        """A connection to a member, and whether it is the user's own. Raises FederationError, TimeoutError."""
        member = _member(self._hub.clusters[cluster])
        async with asyncio.timeout(self._how.timeout):
            own = None if self._how.stored else await self._reach.own(member, lent)
            connection = own if own is not None else await self._reach.stored(member, lent)
            await self._reach.verified(member, connection)
        return connection, own is not None


def _unready(hub: Hub, cluster: str) -> str:
    """Why the controller does not reach a cluster, as it last reported; "" where it does."""
    conditions = hub.clusters[cluster].conditions
    ready = next((each for each in conditions if each.get("type") == ClusterConditionType.READY), {})
    return "" if ready.get("status") in {"True", None} else str(ready.get("message") or "it is not ready")


def _member(found: StoredObject) -> Member:
    meta = {"name": found.metadata.name, "annotations": found.metadata.annotations}
    return fleet.member({"metadata": meta, "spec": found.spec, "status": found.status})


def _notes(asked: Sequence[Wish], parts: Parts, then: World) -> dict[int, Sequence[str]]:
    """What is to be said about documents beside what changes in members."""
    places = {id(wish): place for place, wish in enumerate(asked)}
    notes: dict[int, list[str]] = {place: [wish.note] for place, wish in enumerate(asked) if wish.note}
    for name, wish in parts.federated:
        if not wish.delete and wish.after is not None:
            notes.setdefault(places[id(wish)], []).extend(_about(then, Key(name, *wish.where)))
    for wish in parts.clusters:
        if wish.delete and wish.before is not None:
            text = f"cluster {wish.where.name} leaves: what it has stays there, and is managed no more"
            notes.setdefault(places[id(wish)], []).append(text)
    for wish in parts.others:
        if wish.resource.qualified == ROLLOUTS.qualified and wish.moves:
            notes.setdefault(places[id(wish)], []).append(_ROLLOUT)
    for wish in parts.configs:
        if wish.before is not None and wish.where.name not in then.types:
            text = "nothing is pushed any more: what the members have stays there, and is managed no more"
            notes.setdefault(places[id(wish)], []).append(text)
    return {place: each for place, each in notes.items() if each}


def _about(then: World, key: Key) -> list[str]:
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
    rollout = federated.metadata.labels.get(marks.ROLLOUT_LABEL)
    if rollout:
        found.append(f"FederatedRollout {rollout} releases it in stages: shown is what it comes to in the end")
    return found
