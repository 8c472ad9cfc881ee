"""Staged rollouts: whoever is due is released, and nothing before the hub has accepted the record of it.

`process` decides one FederatedRollout (core.rollouts) from the objects that name it and the clusters where they are
placed. A new record is written to its status first, under optimistic locking, with the revisions that it names; only
then it is published (`rolloutindex`), and the objects are planned by it. While a rollout is under way it is looked at
every second, in memory alone; nothing looks at one that rests.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import msgspec
import orjson
import structlog

from federation.controllers.healthchecks import HealthChecks
from federation.controllers.ports import EventPoster, OnChange, Sink, Watch
from federation.controllers.revisions import RevisionHub, Revisions
from federation.controllers.rolloutindex import Published, RolloutIndex, What, needs
from federation.controllers.world import World
from federation.core import expressions, rollouts, rolloutspec, rolloutstatus, staging, times
from federation.core.rollouts import Decision, State
from federation.core.staging import Content
from federation.model import marks
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, StoredObject
from federation.model.plan import Action, Keep, KeepOlder
from federation.model.resources import ROLLOUTS, Key, ObjectName, Resource
from federation.model.rollouts import Entry, Place, Record, Wish
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks

LOOK = 1.0
"""Seconds between two looks at a rollout that is under way."""
SETTLE = 0.25
"""Seconds until objects that are being planned are looked at again."""
REPORT = 5.0
"""Seconds, at least, between two writes of a status that only say something else about the same record."""
_COST = 1e-3
"""Seconds more between two looks for each placement: large sets must not hold the event loop."""
_CLOSED = 60.0
"""Seconds, at most, between two looks while no window is open."""
_OVERTAKEN = 60.0
"""Seconds in which a list that was asked for before our last write may still come, and is older than that."""

log = structlog.get_logger()

Named = Mapping[Key, tuple[Entry, FederatedObject]]
"""The objects that name a rollout."""


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
        self._events = events
        self._wake = wake
        self._now = now
        self._index: RolloutIndex = world.rollouts
        self._index.changed = self.queue.add
        self._index.missing = self._missing
        self._checks = HealthChecks(world, self.queue.add)
        self._watch: Watch | None = None
        self._watched: str | None = None
        self._following = Tasks()
        self._reported: dict[ObjectName, float] = {}
        self._told: dict[ObjectName, tuple[str, str]] = {}
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
        ones for longer, and is believed then.
        """
        known, written = self.objects.get(item.where), self._reported.get(item.where)
        recent = written is not None and time.monotonic() - written < _OVERTAKEN
        if known is not None and recent and known.metadata.uid == item.metadata.uid and _older(item, known):
            self.queue.add_after(item.where, _OVERTAKEN)
            return
        self.objects.put(item.where, item)
        self.queue.add(item.where)

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
        kept = self._kept(stored)
        if isinstance(kept, Invalid):
            await self._report(stored, None, "InvalidRecord", f"{kept}; nothing is released")
            return
        record, lost = kept
        found = self._objects(where, record)
        if found is None:
            self.queue.add_after(where, LOOK)  # a type is being listed
            return
        published = await self._published(stored, record, found)
        try:
            wish = rolloutspec.wish(stored, [entry for entry, _ in found.values()])
        except Invalid as error:
            await self._report(stored, record, "InvalidSpec", f"{error}; nothing is released")
            return
        if problem := await self._problem(wish):
            await self._report(stored, record, "InvalidSpec", f"{problem}; nothing is released")
            return
        places = self._places(where, published, found, _gates(wish, record))
        if places is None:
            self.queue.add_after(where, SETTLE)  # its objects are being planned
            return
        decision = rollouts.decide(wish, record, places, self._now())
        if decision.record != record or lost:
            await self._take(stored, record, decision, found)
        else:
            await self._report(stored, record, decision.state, decision.message)
        self._tell(stored, decision)
        if decision.state.rests:
            self._checks.forget(where)
            return
        wait = max(LOOK, len(places) * len(found) * _COST)
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

    def _objects(self, where: ObjectName, record: Record) -> Named | None:
        """The objects that name it; None while one that it knows of may be there and was not listed yet."""
        keys = self._index.named(where)
        newest = record.revision(record.target or record.good)
        for entry in newest.objects if newest is not None else ():
            state = self._world.types.get(entry.type)
            if state is None:
                continue
            if not state.objects.synced:
                return None
            namespaced = state.type.federated.namespaced
            keys.add(Key(entry.type, where.namespace if namespaced else "", entry.name))
        found: dict[Key, tuple[Entry, FederatedObject]] = {}
        for key in sorted(keys):
            state = self._world.types.get(key.type)
            item = state.objects.get(ObjectName(key.namespace, key.name)) if state is not None else None
            if state is None or item is None or self._index.rollout_of(item) != where:
                self._index.forget(where, key)
            elif item.metadata.deletion_timestamp is None and not item.broken and not staging.refusal(state.type):
                digest = self._index.digest(key, item)
                meta = item.metadata
                found[key] = (Entry(key.type, key.name, meta.uid, digest, meta.generation), item)
        return {key: each for key, each in found.items() if each[0].content}

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

    async def _problem(self, wish: Wish) -> str:
        """Why one of the expressions cannot be used; looked at once for the same expressions."""
        texts = tuple(text for stage in wish.stages for gates in stage.gates.values() for text in gates)
        if texts and texts != self._problems[0]:
            self._problems = texts, await asyncio.to_thread(expressions.problem, texts)
        return self._problems[1] if texts else ""

    def _places(
        self, where: ObjectName, published: Published, found: Named, gates: Mapping[str, tuple[str, ...]]
    ) -> dict[str, Place] | None:
        """The clusters where the objects are placed, as of what is published; None while one is being planned."""
        places: dict[str, Place] = {}
        refused = ""
        holds, target = published.record.holds, published.record.target
        for key, (entry, item) in found.items():
            state = self._world.types[key.type]
            track = state.tracks.get(item.where)
            if track is None or track.plan is None or track.stale or track.planning or track.uid != entry.uid:
                return None
            plan = track.plan
            if plan.reason:
                refused = f"{key.type} {key.name} is refused: {plan.reason.value}"  # its own status reports why
                continue
            if plan.staged != published.serial or plan.generation != item.metadata.generation:
                return None
            for cluster in plan.selected:
                member = self._world.members.get(cluster)
                if member is None:
                    continue
                before = places.get(cluster)
                ready = member.cluster.ready is True
                released = bool(target) and holds.get(cluster) == target
                unhealthy = before.unhealthy if before is not None else ""
                if released and ready and not unhealthy:
                    unhealthy = self._checks.unhealthy(where, key, cluster, gates.get(key.type, ()))
                applied = track.applied.get(cluster)
                action = track.actions.get(cluster)
                same = _is_present(action) or (
                    applied is not None and applied.known and applied.generation == plan.generation
                )
                older = applied is not None and not same
                places[cluster] = Place(
                    cluster,
                    member.cluster.labels,
                    ready,
                    unhealthy,
                    older=older or (before is not None and before.older),
                    copies=applied is not None or (before is not None and before.copies),
                )
        if refused:  # a set changes together, or not at all
            return {name: replace(place, unhealthy=place.unhealthy or refused) for name, place in places.items()}
        return places

    # --- what the hub is to have

    async def _take(self, stored: StoredObject, before: Record, decision: Decision, found: Named) -> None:
        """Have the hub accept the new record, and only then plan by it."""
        where, record = stored.where, decision.record
        known = {revision.number for revision in before.revisions}
        present = {(entry.what, entry.content): item for entry, item in found.values()}
        for revision in record.revisions:
            for entry in revision.objects if revision.number not in known else ():
                await self._revisions.store(stored.metadata, entry, present[entry.what, entry.content])
        if not await self._write(stored, record, decision.state, decision.message):
            return
        log.info("rollout", rollout=str(where), state=decision.state.value, what=decision.message)
        await self._published(stored, record, found)
        await self._revisions.prune(where, before.revisions, record.revisions)
        self.queue.add(where)

    async def _report(self, stored: StoredObject, record: Record | None, reason: str, message: str) -> None:
        """Write where it stands, if the hub has it otherwise; rarely while only the words change."""
        where, ready = stored.where, rolloutstatus.ready(stored)
        wanted = rolloutstatus.wanted(reason, message)
        shown = tuple(ready.get(each) for each in ("status", "reason", "message"))
        if shown == wanted and stored.status.get("observedGeneration") == stored.metadata.generation:
            return
        wait = self._reported.get(where, 0.0) + REPORT - time.monotonic()
        if wait > 0 and shown[:2] == wanted[:2]:
            self.queue.add_after(where, wait)
            return
        await self._write(stored, record, reason, message)

    async def _write(self, stored: StoredObject, record: Record | None, reason: str, message: str) -> bool:
        """Whether the hub has accepted it; not so when the FederatedRollout is gone."""
        where, meta = stored.where, stored.metadata
        status: dict[str, Any] = {
            **stored.status,
            "observedGeneration": meta.generation,
            "conditions": rolloutstatus.conditions(stored, reason, message, times.rfc3339(self._now())),
        }
        patch = dict(status)
        if record is not None:
            status["record"] = kept = msgspec.to_builtins(record)
            # A merge patch leaves what it does not name.
            patch["record"] = dict.fromkeys(stored.status.get("record") or {}) | kept
        body = {"metadata": {"resourceVersion": meta.resource_version, "uid": meta.uid}, "status": patch}
        answer = await self._hub.merge(ROLLOUTS, where, orjson.dumps(body), subresource="status")
        self._reported[where] = time.monotonic()
        if isinstance(answer, Failure):
            if answer.kind is FailureKind.NOT_FOUND:
                return False
            raise ApiFailure(answer, f"status of FederatedRollout {where}")
        if self.objects.get(where) is stored:  # else a newer event came meanwhile
            self.objects.put(where, msgspec.structs.replace(stored, metadata=answer, status=status))
        return True

    def _tell(self, stored: StoredObject, decision: Decision) -> None:
        for news in decision.news:
            told = (news.reason, news.message)
            if self._told.get(stored.where) != told:
                self._told[stored.where] = told
                kind = "Warning" if news.warning else "Normal"
                self._events.about(ROLLOUTS, stored.metadata, kind, news.reason, news.message)

    def _forget(self, where: ObjectName) -> None:
        self._checks.forget(where)
        self._reported.pop(where, None)
        self._told.pop(where, None)
        if self._index.withdraw(where):
            self._wake_objects(where)

    def _wake_objects(self, where: ObjectName) -> None:
        for key in self._index.named(where):
            self._wake(key)


def _gates(wish: Wish, record: Record) -> Mapping[str, tuple[str, ...]]:
    """The expressions of the stage that the rollout is in, by type."""
    return next((stage.gates for stage in wish.stages if stage.name == record.stage), {})


def _older(one: StoredObject, other: StoredObject) -> bool:
    versions = one.metadata.resource_version, other.metadata.resource_version
    return all(version.isdecimal() for version in versions) and int(versions[0]) < int(versions[1])


def _is_present(action: Action | None) -> bool:
    """Whether a cluster has the present content of an object."""
    return isinstance(action, Keep) and not isinstance(action, KeepOlder)


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
