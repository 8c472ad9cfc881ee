"""Ask the hub about objects by name, for many who ask at once; used by proofs.

An answer is shared by all who need it within a moment. Where many objects of one type are asked for, one list answers
for them all: for those that it has, because what a list leaves out is asked for by name. A hub that does not answer is
left alone for a moment, so that whoever waits for it in a lane does not wait for long.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

import msgspec
import structlog

from federation.controllers.ports import HubPort
from federation.controllers.world import TypeState
from federation.core import proof
from federation.core.proof import Answer
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata
from federation.model.resources import ObjectName, Resource

MOMENT = 0.25
"""Seconds for which an answer is shared, from when it was asked for."""
MANY = 16
"""Objects that are asked for within LISTED seconds from which on a list may answer for all."""
WORTH = 16
"""How many times more objects than were asked for a list may have: that many cost as much as asking by name."""
MOST = 2_000
"""Objects of a list, at most: they are in memory together."""
LISTED = 1.0
"""Seconds for which a list is good, from when it was asked for: within it thousands are removed."""
SILENCE = 1.0
"""Seconds for which a hub that did not answer about one type is not asked about that again."""
SCOPES = 64
"""Types and namespaces of which it is counted how many of their objects are asked for."""

_ABANDONED = Failure(FailureKind.TIMED_OUT, "whoever asked did not wait for the answer")

T = TypeVar("T")

log = structlog.get_logger()


class _Question(NamedTuple, Generic[T]):
    """When something was asked (monotonic seconds), and the answer, shared by all who need it."""

    asked: float
    answer: "asyncio.Future[T]"


class _Demand(msgspec.Struct):
    """How many objects of one scope were asked for since, and the list that answers for it."""

    since: float
    names: int = 0
    listing: _Question[Mapping[ObjectName, Metadata]] | None = None


class Readings:
    """The hub's answers of this moment."""

    def __init__(self, hub: HubPort) -> None:
        self._hub = hub
        self._questions: dict[tuple[str, ObjectName], _Question[Answer]] = {}
        self._demands: dict[tuple[str, str], _Demand] = {}
        self._silences: dict[str, tuple[float, Failure]] = {}

    async def federated(self, state: TypeState, name: ObjectName, known: str = "") -> Answer:
        """One federated object, of which this resourceVersion is known: no answer that was asked for before is taken
        where it is older."""
        resource = state.type.federated
        if self._shared(resource, name) is None and self._silent(resource) is None:
            inside = state.objects.count(name.namespace)
            here = inside >= MANY or state.type.namespace != ""
            scope, count = (name.namespace, inside) if here else ("", len(state.objects))
            found = await self._from_list(resource, scope, name, count)
            if found is not None and not proof.older(found.resource_version, known):
                return found
        return await self.metadata(resource, name, known)

    async def metadata(self, resource: Resource, name: ObjectName, known: str = "") -> Answer:
        """One object of any kind."""
        if (shared := self._shared(resource, name)) is not None:
            answer = await asyncio.shield(shared.answer)
            if not isinstance(answer, Metadata) or not proof.older(answer.resource_version, known):
                return answer
        return await self._ask(resource, name)

    async def _ask(self, resource: Resource, name: ObjectName) -> Answer:
        if (failure := self._silent(resource)) is not None:
            return failure
        question = self._asked(resource, name)
        answer: Answer = _ABANDONED
        try:
            answer = proof.answered(await self._hub.read_metadata(resource, name), resource, name)
        finally:
            question.answer.set_result(answer)
        self._heard(resource, answer)
        return answer

    def _shared(self, resource: Resource, name: ObjectName) -> "_Question[Answer] | None":
        question = self._questions.get((resource.qualified, name))
        return question if question is not None and time.monotonic() - question.asked <= MOMENT else None

    def _asked(self, resource: Resource, name: ObjectName) -> "_Question[Answer]":
        now = time.monotonic()
        while self._questions:  # the oldest are the first
            first = next(iter(self._questions))
            if now - self._questions[first].asked <= MOMENT:
                break
            del self._questions[first]
        question: _Question[Answer] = _Question(now, asyncio.get_running_loop().create_future())
        self._questions.pop((resource.qualified, name), None)
        self._questions[resource.qualified, name] = question
        return question

    async def _from_list(self, resource: Resource, namespace: str, name: ObjectName, count: int) -> Metadata | None:
        """The object as a list of its namespace (or of all) shows it; None where it is to be asked for by name."""
        now, scope = time.monotonic(), (resource.qualified, namespace)
        demand = self._demands.get(scope)
        if demand is None or now - demand.since > LISTED:
            if len(self._demands) >= SCOPES:
                self._demands.clear()
            demand = self._demands[scope] = _Demand(now, listing=demand.listing if demand is not None else None)
        demand.names += 1
        listing = demand.listing
        if listing is not None and now - listing.asked <= (LISTED if listing.answer.done() else MOMENT):
            return (await asyncio.shield(listing.answer)).get(name)
        if demand.names < MANY or count > min(MOST, WORTH * demand.names):
            return None
        listing = demand.listing = _Question(now, asyncio.get_running_loop().create_future())
        found: Mapping[ObjectName, Metadata] = {}
        try:
            answer = await self._hub.list_metadata(resource, namespace)
            if not isinstance(answer, Failure):
                found = {ObjectName(each.namespace, each.name): each for each in answer}
        finally:
            listing.answer.set_result(found)
        return found.get(name)

    def _silent(self, resource: Resource) -> Failure | None:
        until, failure = self._silences.get(resource.qualified, (0.0, None))
        return failure if time.monotonic() < until else None

    def _heard(self, resource: Resource, answer: Answer) -> None:
        """A hub that did not answer about a type is not asked about it again for a while, which is logged when it
        begins: it may be the type's conversion webhook, so others go on."""
        what = resource.qualified
        if not isinstance(answer, Failure) or answer.concerns != "member":
            if self._silences.pop(what, None) is not None:
                log.info("removals go on", resource=what)
            return
        if what not in self._silences:
            log.warning("removals wait for the hub", resource=what, reason=answer.message)
        self._silences[what] = time.monotonic() + max(SILENCE, answer.retry_after or 0.0), answer
