"""Bring one work to the member: record, apply in order, remove what it names no more, report. Start at `process`.

A key is a work's name; what to do is looked up when its turn comes, so that ten changes are one run and nothing that
was decided in an outage is carried out late. A failure of the member ends the run, which is tried again; a failure of
one object is that object's, and the others go on.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import structlog

from federation.agent import metrics
from federation.agent.hubside import HubSide
from federation.agent.keeper import Keeper
from federation.agent.kinds import Kinds
from federation.agent.pushing import Pusher
from federation.agent.records import Records
from federation.agent.removing import Remover
from federation.agent.world import Target, WorkState, World
from federation.core import classification
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.resources import LEASES, SECRETS, Resource
from federation.model.works import AppliedResource, Identifier, Manifest, Options, StrategyType
from federation.runtime.backoff import Backoff
from federation.runtime.keyqueue import KeyQueue
from federation.work import deciding, holding, keeping, ordering, parsing, status
from federation.work.deciding import Apply, Keep, Look, Refuse, Wait, Wish
from federation.work.holding import Verdict
from federation.work.status import Said

SOON = 0.0
"""In place of seconds: soon, and later each time in a row."""
SLOW = 60.0
"""Seconds until something that waits for somebody to act is tried again."""
TOGETHER = 8
"""Objects of one work that are applied at once."""
LOOK = (20.0, 30.0)
"""Seconds between two looks at an object that is only read."""
_ERROR = 500
"""What an API server answers where it has failed at this one object: it is there, and does others."""
_OWN = frozenset({SECRETS.qualified, LEASES.qualified})
"""What the agent itself has in its namespace: no work may change it."""

log = structlog.get_logger()


class Reconciler:
    """The works of one membership."""

    def __init__(
        self,
        world: World,
        queue: KeyQueue[str],
        *,
        hub: HubSide,
        kinds: Kinds,
        pusher: Pusher,
        records: Records,
        keeper: Keeper,
        report: Callable[[str], None],
    ) -> None:
        self._world = world
        self._queue = queue
        self._hub = hub
        self._kinds = kinds
        self._pusher = pusher
        self._records = records
        self._keeper = keeper
        self._report = report
        self._remover = Remover(world, kinds, pusher, records)
        self._again: Backoff[str] = Backoff(base=0.5, cap=SLOW)
        self._repairs = metrics.DRIFT.labels(world.cluster)

    async def process(self, name: str) -> None:
        """One work. Raises ApiFailure where it is to be tried again."""
        state = self._world.works.get(name)
        if state is None:
            return
        if state.item is None and not self._judge(state):
            return
        if state.leaving:
            await self._remove(state)
        elif state.known:
            if state.held:
                await self._hub.let_go(state)  # it may go, and what it asked for is still wanted here
            elif state.live and state.item is not None:
                await self._hub.finalize(state)
            await self._apply(state)
        await self._records.mark_held(state, state.held or (holding.UNNAMED if state.unnamed else ""))

    # --- a work that the hub does not show ----------------------------------------------------------------------------

    def _judge(self, state: WorkState) -> bool:
        """Whether anything is to be done about a work that the hub does not show."""
        verdict = holding.judge(
            listed=self._world.listed,
            uid=state.uid,
            leaving=state.leaving,
            applied=state.applied,
            forgotten=self._world.forgotten,
        )
        if verdict is Verdict.LET_GO:
            state.leaving, state.held = True, ""
        elif state.foreign and self._covered(state):
            state.leaving = True  # other works have all of its objects: nothing goes but the record
        elif verdict is Verdict.HOLD and not state.held:
            state.held = holding.OTHER_HUB if state.foreign else holding.HELD
            log.warning("work is held", cluster=self._world.cluster, work=state.name, reason=state.held)
        return state.known or state.leaving or bool(state.held)

    def _covered(self, state: WorkState) -> bool:
        resources = state.applied.resources if state.applied is not None else ()
        return bool(resources) and all(
            any(wish.owner is not None for wish in self._world.wishes.get(each.what, {}).values()) for each in resources
        )

    async def _remove(self, state: WorkState) -> None:
        self._keeper.changed(state)
        self._wake(self._world.wish(state.name, {}))
        if not await self._remover.remove(state):
            self._report(state.name)
            self._queue.add_after(state.name, self._again.next(state.name))
            return
        self._again.forget(state.name)
        if state.item is not None:
            await self._hub.let_go(state)
        self._wake(self._world.drop(state))
        self._keeper.changed(state)

    # --- a work that is wanted ----------------------------------------------------------------------------------------

    async def _apply(self, state: WorkState) -> None:
        if state.work is None:
            state.work = parsing.read(
                state.name, state.spec, uid=state.uid, generation=state.generation, created=state.created
            )
            # What came of the spec before says nothing of this one, whoever asks for a report meanwhile.
            state.targets, state.said = (), {}
        work = state.work
        if work.problem:
            self._report(state.name)
            return
        targets = tuple([await self._target(each) for each in ordering.ordered(work.manifests)])
        state.frozen = state.run.finished and any(
            work.options_for(each.what).completes for each in targets if each.what is not None
        )
        if state.frozen:  # what was not applied until it had run is not any more
            known = {each.what for each in state.applied.resources} if state.applied is not None else set()
            targets = tuple(each for each in targets if each.what in known)
        state.targets = targets
        try:
            await self._record(state, targets)
        except Invalid as error:
            state.said = {each.manifest.ordinal: status.failed(str(error)) for each in targets}
            self._report(state.name)
            return
        before, waits = dict(state.said), []
        state.said = {ordinal: said for ordinal, said in state.said.items() if ordinal < len(work.manifests)}
        by_ordinal = {each.manifest.ordinal: each for each in targets}
        for some in ordering.together(each.manifest for each in targets):
            waits += await self._several(state, [by_ordinal[each.ordinal] for each in some])
        outgoing = state.outgoing
        if not state.frozen:
            waits += await self._drop_unwanted(state)
        if state.said != before or state.told != state.generation or state.outgoing != outgoing:
            self._report(state.name)
        self._schedule(state.name, waits)

    async def _target(self, manifest: Manifest) -> Target:
        """What a manifest is in this cluster. Raises ApiFailure where the member cannot be asked."""
        if manifest.problem:
            return Target(manifest, problem=manifest.problem)
        found = await self._kinds.resolve(manifest.group, manifest.version, manifest.kind)
        if isinstance(found, Failure):
            if found.kind is not FailureKind.TYPE_MISSING:
                raise ApiFailure(found, "reading which types the member has")
            return Target(manifest, problem=found.message, passing=True)
        if found.namespaced and not manifest.namespace:
            return Target(manifest, problem=f"manifests[{manifest.ordinal}].metadata.namespace: is required")
        namespace = manifest.namespace if found.namespaced else ""
        what = Identifier(found.group, found.plural, namespace, manifest.name)
        if what.namespace == self._world.namespace and found.qualified in _OWN:
            return Target(manifest, problem=f"{what}: the agent's own namespace has what the agent itself rests on")
        return Target(manifest, found, what)

    async def _record(self, state: WorkState, targets: tuple[Target, ...]) -> None:
        """The work's record, before anything is applied, and its wishes."""
        wanted: dict[Identifier, tuple[Target, Options]] = {}
        for target in targets:
            if target.what is not None and target.resource is not None and state.work is not None:
                options = state.work.options_for(target.what)
                if not options.problem and target.what not in wanted:
                    wanted[target.what] = (target, options)
        known = {each.what: each for each in state.applied.resources} if state.applied is not None else {}
        resources = list(known.values())
        for what, (target, options) in wanted.items():
            if options.strategy.type is not StrategyType.READ_ONLY and what not in known:
                resources.append(AppliedResource(what, target.manifest.version))
        applied = await self._records.ensure(state, [self._with_uid(each) for each in resources])
        wishes = {}
        for what, (target, options) in wanted.items():
            owner = None if state.work is not None and state.work.orphaned(what) else applied.owner
            has = keeping.records_key(options.strategy.manager, str(what)) in state.records
            wishes[what] = Wish(state.name, (not has, *state.order), target.manifest, options.strategy, owner)
        self._wake(self._world.wish(state.name, wishes))

    def _with_uid(self, resource: AppliedResource) -> AppliedResource:
        copy = self._kinds.copy(resource.what)
        if resource.uid or copy is None:
            return resource
        return AppliedResource(resource.what, resource.version, copy.uid)

    async def _several(self, state: WorkState, targets: list[Target]) -> list[float]:
        """What need not wait for one another, some at a time; when to try again. Raises ApiFailure."""
        waits: list[float] = []
        for some in (targets[at : at + TOGETHER] for at in range(0, len(targets), TOGETHER)):
            found = await asyncio.gather(*(self._one(state, each) for each in some), return_exceptions=True)
            for target, each in zip(some, found, strict=True):
                if isinstance(each, BaseException):
                    raise each
                said, wait = each
                state.said[target.manifest.ordinal] = said
                waits += [wait] if wait is not None else []
        return waits

    async def _one(self, state: WorkState, target: Target) -> tuple[Said, float | None]:
        """What came of one manifest, and when to try again; None: when something changes. Raises ApiFailure."""
        work, what, resource = state.work, target.what, target.resource
        if what is None or resource is None or work is None:
            return status.failed(target.problem), SOON if target.passing else None
        options = work.options_for(what)
        if options.problem:
            return status.failed(options.problem, options.reason or status.FAILED), None
        wishes = self._world.wishes.get(what, {})
        mine = wishes.get(state.name)
        if mine is None or mine.manifest.ordinal != target.manifest.ordinal:
            return status.failed(f"{what} is named by another manifest of this work, too"), None
        if options.strategy.type is not StrategyType.READ_ONLY:
            self._kinds.follow(resource, what.where, whole=options.watched_whole)
        if state.frozen or (options.completes and _has_run(state, target)):
            return status.APPLIED_OK, None
        copy = self._kinds.copy(what)
        key = keeping.records_key(mine.strategy.manager, str(what))
        record = state.records.get(key)
        try:
            action = deciding.decide(
                tuple(wishes.values()), mine, copy, record, agent=self._world.agent, newer=not state.live
            )
        except Invalid as error:  # an ignored field that cannot be taken out of the manifest
            return status.failed(str(error), parsing.IGNORE_FIELD_ERROR), None
        match action:
            case Keep():
                return status.APPLIED_OK, None
            case Look():
                return await self._look(state, target, resource, what, options)
            case Wait(message=message):
                return status.failed(message), SOON
            case Refuse(message=message):
                return status.failed(message), None
            case Apply():
                if copy is not None and record is not None and record.digest == action.digest:
                    self._repairs.inc()
                return await self._push(state, target, resource, mine, action)

    async def _push(
        self, state: WorkState, target: Target, resource: Resource, mine: Wish, action: Apply
    ) -> tuple[Said, float | None]:
        what, work = target.what, state.work
        if what is None or work is None:
            raise ValueError("a target without an object is not pushed")
        if work.executor is not None:
            refused = await self._pusher.executor.refusal(
                work.executor, resource, what, target.manifest.content, deletes=mine.owner is not None
            )
            if refused:
                return status.failed(refused), SLOW
        copy = self._kinds.copy(what)
        done = await self._pusher.apply(action, resource, what, copy, pusher=state.pusher)
        key = keeping.records_key(mine.strategy.manager, str(what))
        if not isinstance(done, Failure):
            self._kinds.learn(what, done.copy)
            if done.record is not None:
                state.records[key] = done.record
                # From now on it has the object, and no other work takes that away.
                self._world.wishes[what][state.name] = replace(mine, order=(False, *state.order))
            self._keeper.changed(state)
            return status.APPLIED_OK, None
        if done.concerns == "member":
            if done.code == _ERROR and len(work.manifests) > 1:
                return status.failed(done.message), SOON  # others of the work are none the worse for it
            raise ApiFailure(done, f"applying {what}")
        if done.kind is FailureKind.FIELD_CONFLICT:
            return status.failed(done.message, "ApplyConflict"), SLOW
        how = classification.retry(done, update=copy is not None)
        wait = {"never": None, "slow": SLOW}.get(how, SOON)
        if done.kind is FailureKind.NAMESPACE_TERMINATING:
            wait = SOON  # it takes seconds to go, and the work that has it makes it anew
        return status.failed(done.message), wait

    async def _look(
        self, state: WorkState, target: Target, resource: Resource, what: Identifier, options: Options
    ) -> tuple[Said, float | None]:
        """Whether an object is there that is only read, and what it says."""
        wait = LOOK[0] + random.random() * (LOOK[1] - LOOK[0])
        found = await self._pusher.look(resource, what, whole=options.watched_whole)
        before = state.looked.get(target.manifest.ordinal)
        if isinstance(found, Failure):
            if found.concerns == "member":
                raise ApiFailure(found, f"reading {what}")
            absent = found.kind in (FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING)
            looked = (status.MISSING if absent else status.unread(found.message), b"")
        else:
            looked = (status.AVAILABLE_OK, found)
        state.looked[target.manifest.ordinal] = looked
        if looked != before:
            self._report(state.name)
        return status.APPLIED_OK, wait

    async def _drop_unwanted(self, state: WorkState) -> list[float]:
        """Remove what the work names no more. Only a spec that was heard from the hub says so."""
        applied, work = state.applied, state.work
        if applied is None or work is None or not state.live:
            return []
        wanted = [
            each.what
            for each in state.targets
            if each.what is not None and work.options_for(each.what).strategy.type is not StrategyType.READ_ONLY
        ]
        unknown = [
            Identifier(each.manifest.group, each.manifest.kind, each.manifest.namespace, each.manifest.name)
            for each in state.targets
            if each.what is None
        ]
        unwanted = deciding.unwanted(applied.resources, wanted, unknown)
        alone = [each for each in unwanted if not self._world.wishes.get(each.what)]  # else another work has it now
        self._hold(state, holding.unproven(state.pusher, state.notes, alone))
        unwanted = tuple(each for each in unwanted if each not in state.unnamed)
        state.outgoing = unwanted
        if not unwanted:
            return []
        left = await self._remover.drop(state, unwanted, holding.unnamed(state.generation))
        state.outgoing = tuple(left)
        gone = {each.what for each in unwanted} - {each.what for each in left}
        if gone:
            for key in [key for key in state.records if any(key.endswith(f" {what}") for what in gone)]:
                del state.records[key]
            kept = [self._with_uid(each) for each in applied.resources if each.what not in gone]
            await self._records.write(state, state.applied or applied, kept)
            self._keeper.changed(state)
        return [SOON] if left else []

    def _hold(self, state: WorkState, unnamed: tuple[AppliedResource, ...]) -> None:
        if unnamed and not state.unnamed:
            objects = [str(each.what) for each in unnamed[:5]]
            log.warning("objects are held", cluster=self._world.cluster, work=state.name, objects=objects)
        state.unnamed = unnamed

    def _schedule(self, name: str, waits: list[float]) -> None:
        if SOON in waits:
            self._queue.add_after(name, self._again.next(name))
            return
        self._again.forget(name)
        if waits:
            self._queue.add_after(name, min(waits))

    def _wake(self, names: set[str]) -> None:
        for each in names:
            self._queue.add(each)


def _has_run(state: WorkState, target: Target) -> bool:
    """Whether the object is complete: then it is updated no more."""
    manifest = target.manifest
    namespace = target.what.namespace if target.what is not None else ""
    return (manifest.group, manifest.kind, namespace, manifest.name) in state.run.completed
