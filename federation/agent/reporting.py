"""Write statuses of works to the hub: when all manifests were tried, and then ever so often, if anything has changed.

Writes of one work are spaced, and delayed by a random part, so that what a cluster's workloads report does not reach
the hub as one crowd; what changes meanwhile is one write.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

import orjson

from federation.agent.hubside import HubSide
from federation.agent.keeper import Keeper
from federation.agent.kinds import Kinds
from federation.agent.world import Target, WorkState, World
from federation.model.failures import Failure
from federation.model.works import AppliedResource, Feedback, Options, StrategyType
from federation.runtime.keyqueue import KeyQueue
from federation.work import feedback, status
from federation.work.feedback import Evaluated, Values
from federation.work.status import Outcome, Said

FIRST = 0.1
"""Seconds from a change until it is reported."""
LEAVING = 1.0
"""The same where a work is being deleted: most are gone by then."""
SPACING = 5.0
"""Seconds between two statuses of one work, a quarter of them random. Open Cluster Management's agent: 10."""


class Reporter:
    """The statuses of one membership."""

    def __init__(self, world: World, kinds: Kinds, keeper: Keeper) -> None:
        self.queue: KeyQueue[str] = KeyQueue()
        self.hub: HubSide | None = None
        self._world = world
        self._kinds = kinds
        self._keeper = keeper

    def changed(self, name: str) -> None:
        """Something of a work may have to be reported."""
        state = self._world.works.get(name)
        if state is None or state.item is None:
            return
        passed = time.monotonic() - state.reported
        first = LEAVING if state.leaving else FIRST
        wait = first if passed > SPACING else max(first, SPACING - passed)
        self.queue.add_after(name, wait * (0.75 + random.random() / 4))

    async def process(self, name: str) -> None:
        """Write the status of one work, if it has changed. Raises ApiFailure."""
        state = self._world.works.get(name)
        if state is None or state.item is None or state.work is None or self.hub is None:
            return
        work = state.work
        tried = len(state.targets) if state.frozen else len(work.manifests)
        if not work.problem and len(state.said) < tried and not state.leaving:
            return  # not all were tried, which will be reported
        previous = orjson.loads(state.status) if state.status else {}
        outcomes = (
            [] if work.problem else [await self._outcome(state, each, previous) for each in self._in_order(state)]
        )
        outcomes += [await self._outgoing(len(work.manifests) + at, each) for at, each in enumerate(state.outgoing)]
        found = status.of(work, outcomes, previous, time.time(), deleting=state.leaving, frozen=state.frozen)
        if not work.problem and not state.leaving and (ran := status.ran(outcomes)) != state.run:
            state.run = ran
            self._keeper.changed(state)
        state.told = work.generation
        if found is not None:
            await self.hub.set_status(state, orjson.dumps(found))
            state.reported = time.monotonic()

    async def _outgoing(self, ordinal: int, each: AppliedResource) -> Outcome:
        """Of an object that was taken out of the work and is there still."""
        what = each.what
        resource = await self._kinds.resource(what, each.version)
        kind = "" if isinstance(resource, Failure) else resource.kind
        said = status.OUTGOING, status.AVAILABLE_OK
        return Outcome(ordinal, what.group, each.version, kind, what.resource, what.namespace, what.name, *said)

    def _in_order(self, state: WorkState) -> list[Target]:
        tried = [each for each in state.targets if each.manifest.ordinal in state.said]
        return sorted(tried, key=lambda each: each.manifest.ordinal)

    async def _outcome(self, state: WorkState, target: Target, previous: Mapping[str, Any]) -> Outcome:
        manifest, what, resource = target.manifest, target.what, target.resource
        applied = state.said[manifest.ordinal]
        options = state.work.options_for(what) if state.work is not None and what is not None else Options()
        available, content = self._available(state, target, options)
        values: Values | None = None
        evaluated: tuple[Evaluated, ...] = ()
        if content and options.watched_whole:
            item = orjson.loads(content)
            if options.feedback != Feedback():
                values = feedback.values(options.feedback, manifest, item)
            if options.rules:
                evaluated = await asyncio.to_thread(feedback.conditions, options.rules, manifest, item, len(content))
        elif options.rules:
            place = manifest.group, manifest.kind, what.namespace if what is not None else "", manifest.name
            evaluated = status.carried(place, [each.condition for each in options.rules], previous, state.run)
        return Outcome(
            ordinal=manifest.ordinal,
            group=manifest.group,
            version=manifest.version,
            kind=manifest.kind,
            resource=resource.plural if resource is not None else "",
            namespace=what.namespace if what is not None else manifest.namespace,
            name=manifest.name,
            applied=applied,
            available=available,
            values=values,
            evaluated=evaluated,
        )

    def _available(self, state: WorkState, target: Target, options: Options) -> tuple[Said, bytes]:
        if target.what is None:
            return status.UNKNOWN, b""
        if options.strategy.type is StrategyType.READ_ONLY:
            return state.looked.get(target.manifest.ordinal, (status.unread("it was not read yet"), b""))
        copy = self._kinds.copy(target.what)
        if copy is None:
            return status.MISSING, b""
        return status.AVAILABLE_OK, copy.content
