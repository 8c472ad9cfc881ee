"""Staged rollouts: whoever is due is released, and nothing before the hub has accepted the record of it.

`process` decides one FederatedRollout (core.rollouts) from the objects that name it and the clusters where they are
placed (`rolloutsets`). A new record is written to its status first (`rolloutrecords`), under optimistic locking, with
the revisions that it names; only then it is published (`rolloutindex`), and the objects are planned by it. While a
rollout is under way it is looked at every second, in memory alone; nothing looks at one that rests.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

import structlog

from federation.controllers.healthchecks import HealthChecks
from federation.controllers.ports import EventPoster, OnChange, Sink, Watch
from federation.controllers.revisions import RevisionHub, Revisions, Stored
from federation.controllers.rolloutindex import Published, RolloutIndex, What, needs
from federation.controllers.rolloutrecords import RolloutRecords
from federation.controllers.rolloutsets import Gates, Named, RolloutSets
from federation.controllers.world import World
from federation.core import expressions, rollouts, rolloutspec
from federation.core.rollouts import Decision, State
from federation.core.staging import Content
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import StoredObject
from federation.model.resources import ROLLOUTS, ObjectName, Resource
from federation.model.rollouts import Record, Wish
from federation.model.settings import PUSHER
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks

LOOK = 1.0
"""Seconds between two looks at a rollout that is under way."""
SETTLE = 0.25
"""Seconds until objects that are being planned are looked at again."""
_COST = 1e-3
"""Seconds more between two looks for each placement: large sets must not hold the event loop."""
_CLOSED = 60.0
"""Seconds, at most, between two looks while no window is open."""
_OVERTAKEN = 60.0
"""Seconds in which a list that was asked for before our last write may still come, and is older than that."""
SWITCHED_OFF = 5.0
"""Seconds between two looks at whether feature gate PushReconciler is on again."""
_REMOVE = "Remove status.record, and it is made anew from what the clusters have"

log = structlog.get_logger()


class RolloutWatches(Protocol):
    """How FederatedRollouts are followed at the hub."""

    def stored(self, resource: Resource, namespace: str, sink: Sink[StoredObject], on_change: OnChange) -> Watch:
        """Objects of one resource in a namespace, "" for all."""


class Rollouts:
    """All FederatedRollouts. Its queue has their names; `process` is its worker's turn. `wake` is Sync.changed."""

    def __init__(
        self,
        world: World,
        hub: RevisionHub,
        watches: RolloutWatches,
        *,
        events: EventPoster,
        wake: Callable[..., None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.queue: KeyQueue[ObjectName] = KeyQueue(lambda where: where.namespace)
        self.objects: Store[StoredObject] = Store()
        self._world = world
        self._hub = hub
        self._revisions = Revisions(hub)
        self._watches = watches
        self._wake = wake
        self._now = now
        self._index: RolloutIndex = world.rollouts
        self._index.changed = self.queue.add
        self._index.missing = self._missing
        self._checks = HealthChecks(world, self.queue.add)
        self._sets = RolloutSets(world, self._checks)
        self._records = RolloutRecords(hub, self.objects, events, now)
        self._watch: Watch | None = None
        self._watched: str | None = None
        self._following = Tasks()
        self._overtaken: set[ObjectName] = set()
        self._problems: tuple[tuple[str, ...], str] = ((), "")

    # --- what the hub has

    async def follow(self) -> None:
        """Follow FederatedRollouts, everywhere or in the one namespace that the settings bind the controller to."""
        namespace = self._index.home if self._world.settings.namespaced else ""
        if namespace == self._watched:
            return
        self._watched = namespace
        await self._following.cancel()
        self._watch = self._watches.stored(ROLLOUTS, namespace, _RolloutSink(self), self._watch_changed)
        self._following.keep(self._watch.run, "watch:hub:rollouts")

    def kick(self) -> None:
        """A CustomResourceDefinition changed at the hub."""
        if self._watch is not None and self._watch.failure is not None:
            self._watch.kick()

    def renew(self) -> None:
        """List all FederatedRollouts again: the hub was restored."""
        self._records.statuses.forget_writes()
        self._relist()

    def _relist(self) -> None:
        if self._watch is not None:
            self._watch.renew()

    async def close(self) -> None:
        """Stop following."""
        await self._following.cancel()
        await self._checks.tasks.cancel()

    def listed(self) -> None:
        """A list was taken in: objects whose rollout was not known are planned."""
        first = not self.objects.synced
        self.objects.listed()
        if first:
            self._wake_all()

    def observed(self, where: ObjectName) -> None:
        """A FederatedRollout appeared, changed or went."""
        self.queue.add(where)

    def take(self, item: StoredObject) -> None:
        """Remember a FederatedRollout as a watch or a list shows it, unless we have just written something newer.

        By an older record clusters would go back to what they had. A hub that went back in time (a backup) shows older
        ones for longer: it is asked again then, and believed.
        """
        known, where = self.objects.get(item.where), item.where
        same = known is not None and known.metadata.uid == item.metadata.uid
        if (
            known is not None
            and same
            and _older(item, known)
            and self._records.statuses.wrote_within(where, _OVERTAKEN)
        ):
            self._overtaken.add(where)
            self.queue.add_after(where, _OVERTAKEN)
            return
        self._overtaken.discard(where)
        self.objects.put(where, item)
        self.queue.add(where)

    def _watch_changed(self, watch: Watch) -> None:
        self._wake_all()

    def _wake_all(self) -> None:
        for where in self._index.waiting():
            self._wake_objects(where)

    def _missing(self, where: ObjectName) -> str | None:
        """Why there is no rollout of a name; "" where there is one, None while that is not known."""
        failure = self._watch.failure if self._watch is not None else None
        if self.objects.get(where) is not None:
            return ""
        if self.objects.synced:
            absent = f"there is no FederatedRollout {where}: nothing is changed until there is"
            return f"{absent}, or label {marks.ROLLOUT_LABEL} goes"
        if failure is not None:
            return f"FederatedRollouts cannot be read, and nothing is changed until they can: {failure.message}"
        return None

    # --- one rollout

    async def process(self, where: ObjectName) -> None:
        """One turn of one rollout. Raises ApiFailure when the hub refuses; it then comes again."""
        stored = self.objects.get(where)
        if stored is None or stored.metadata.deletion_timestamp is not None:
            self._forget(where)
            return
        if PUSHER not in self._world.settings.features:
            self.queue.add_after(where, SWITCHED_OFF)  # no object is followed: nothing is known of the set
            return
        if where in self._overtaken and not self._records.statuses.wrote_within(where, _OVERTAKEN):
            self._overtaken.discard(where)
            self._relist()
        kept = self._kept(stored)
        if isinstance(kept, Invalid):
            await self._report(stored, None, "InvalidRecord", f"{kept}; nothing is released. {_REMOVE}")
            return
        record, lost = kept
        contents: Stored = {}
        if not record.revisions and self._index.named(where):
            contents = await self._revisions.stored(where)
        found = self._sets.objects(where, record, contents)
        if found is None:
            self.queue.add_after(where, LOOK)  # a type is being listed
            return
        published = await self._published(stored, record, found)
        try:
            wish = await self._wish(stored, found)
        except Invalid as error:
            await self._report(stored, record, "InvalidSpec", f"{error}; nothing is released")
            return
        places = self._sets.places(where, published, found, _gates(wish, record), contents)
        if places is None:
            self.queue.add_after(where, SETTLE)  # its objects are being planned
            return
        decision = rollouts.decide(wish, record, places, self._now())
        if decision.record != record or lost:
            await self._take(stored, record, decision, found)
        else:
            await self._report(stored, record, decision.state, decision.message)
        self._records.tell(stored, decision.news)
        self._look_again(where, decision, len(places) * len(found))

    def _look_again(self, where: ObjectName, decision: Decision, placements: int) -> None:
        if decision.state.rests:
            self._checks.forget(where)
            if decision.again is not None:
                self.queue.add_after(where, decision.again)
            return
        wait = max(LOOK, placements * _COST)
        if decision.state is State.WINDOW and decision.again is not None:
            wait = max(wait, min(_CLOSED, decision.again))
        self.queue.add_after(where, wait)

    def _kept(self, stored: StoredObject) -> tuple[Record, bool] | Invalid:
        """The record, and whether the hub has lost it: then it is the one that we know, which is written back."""
        known = self._index.published(stored.where)
        if known is not None and known.uid != stored.metadata.uid:
            self._forget(stored.where)  # it was made anew
            known = None
        try:
            record = rolloutspec.record(stored)
        except Invalid as error:
            if known is None:
                return error
            return known.record, True
        if known is not None and known.record.revisions and not record.revisions:
            return known.record, True
        return record, False

    async def _published(self, rollout: StoredObject, record: Record, found: Named) -> Published:
        """What planning goes by: this record, with every content that a cluster is held to."""
        where = rollout.where
        before = self._index.published(where)
        contents: dict[What, dict[str, Content]] = {}
        gone = set(before.gone) if before is not None and before.record == record else set()
        for entry, _ in found.values():
            known = before.contents.get(entry.what, {}) if before is not None else {}
            entries = {
                each.number: each.entry(entry.what) for each in record.revisions if each.entry(entry.what) is not None
            }
            digests = {number: each.content for number, each in entries.items() if each is not None}
            needed = needs(record, digests) - {entry.content}
            kept = {digest: content for digest, content in known.items() if digest in needed}
            for digest in needed - kept.keys() - gone:
                stored = next(each for each in entries.values() if each is not None and each.content == digest)
                content = await self._revisions.read(where, stored)
                if content is None:
                    gone.add(digest)
                else:
                    kept[digest] = content
            contents[entry.what] = kept
        fresh = Published(record, contents, frozenset(gone), rollout.metadata.uid)
        if before is not None and before == replace(fresh, serial=before.serial):
            return before
        return self._publish(where, fresh, found)

    def _publish(self, where: ObjectName, fresh: Published, found: Named) -> Published:
        published = self._index.publish(where, fresh)
        for key in found:
            self._wake(key, urgent=True)
        return published

    async def _wish(self, stored: StoredObject, found: Named) -> Wish:
        """What is asked for. Expressions are looked at once for the same ones. Raises Invalid."""
        wish = rolloutspec.wish(stored, [entry for entry, _ in found.values()])
        texts = tuple(text for stage in wish.stages for gates in stage.gates.values() for text in gates)
        if texts and texts != self._problems[0]:
            self._problems = texts, await asyncio.to_thread(expressions.problem, texts)
        if texts and self._problems[1]:
            raise Invalid("", self._problems[1])
        return wish

    # --- what the hub is to have

    async def _take(self, stored: StoredObject, before: Record, decision: Decision, found: Named) -> None:
        """Have the hub accept the new record, and only then plan by it."""
        where, record = stored.where, decision.record
        known = {each.number for each in before.revisions}
        fresh = [each for each in record.revisions if each.number not in known]
        present = {(entry.what, entry.content): key for key, (entry, _) in found.items()}
        for entry in {each for revision in fresh for each in revision.objects}:
            key = present.get((entry.what, entry.content))
            if key is not None:  # else the record was lost, and this is what the hub stores already
                resource = self._world.types[key.type].type.federated
                await self._revisions.store(where, entry, resource, found[key][1])
        if not await self._records.write(stored, record, decision.state, decision.message):
            return
        log.info("rollout", rollout=str(where), state=decision.state.value, what=decision.message)
        await self._published(stored, record, found)
        await self._revisions.prune(where, before.revisions, record.revisions)
        self.queue.add(where)

    async def _report(self, stored: StoredObject, record: Record | None, reason: str, message: str) -> None:
        wait = await self._records.report(stored, record, reason, message)
        if wait > 0:
            self.queue.add_after(stored.where, wait)

    def _forget(self, where: ObjectName) -> None:
        self._checks.forget(where)
        self._records.forget(where)
        self._revisions.forget(where)
        self._overtaken.discard(where)
        if self._index.withdraw(where):
            self._wake_objects(where)

    def _wake_objects(self, where: ObjectName) -> None:
        for key in self._index.named(where):
            self._wake(key)


def _gates(wish: Wish, record: Record) -> Gates:
    """The expressions of the stage that the rollout is in, by type."""
    return next((stage.gates for stage in wish.stages if stage.name == record.stage), {})


def _older(one: StoredObject, other: StoredObject) -> bool:
    versions = one.metadata.resource_version, other.metadata.resource_version
    return all(version.isdecimal() for version in versions) and int(versions[0]) < int(versions[1])


class _RolloutSink:
    """FederatedRollouts as the hub has them."""

    def __init__(self, owner: Rollouts) -> None:
        self._owner = owner

    def replace(self, items: Iterable[StoredObject]) -> None:
        """A whole list."""
        store = self._owner.objects
        listed = {item.where: item for item in items}
        for where in [where for where in store if where not in listed]:
            store.drop(where)
            self._owner.observed(where)
        for item in listed.values():
            self._owner.take(item)
        self._owner.listed()

    def upsert(self, item: StoredObject) -> None:
        """One object."""
        self._owner.take(item)

    def remove(self, item: StoredObject) -> None:
        """One object is gone."""
        self._owner.objects.drop(item.where)
        self._owner.observed(item.where)
