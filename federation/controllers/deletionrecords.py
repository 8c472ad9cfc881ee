"""Tell people which deletions are held, and take in what they say: the KubeFedConfig's status, its annotations, events.

The status is what survives this process, too: one that starts holds what an earlier one held. It is written when a
group is held, when another number is, and when it ends, at most every AGAIN; a group that ends leaves nothing behind.
Of each group a few objects and clusters are named. The condition DeletionsHeld of each object names its group once that
is written, so that whoever reads it there finds it.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson
import structlog

from federation.controllers import debts
from federation.controllers.debts import Debts
from federation.controllers.deletions import Deletions
from federation.controllers.outbox import Outbox
from federation.controllers.ports import EventPoster, HubPort
from federation.controllers.world import World
from federation.core import deletiongroups
from federation.core.deletiongroups import Group, Kind, State
from federation.core.managedfields import Writer
from federation.model import marks
from federation.model.conditions import ConditionType, DeletionsHeldReason
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.marks import NAMESPACE_TYPE
from federation.model.resources import KUBEFED_CLUSTERS, KUBEFED_CONFIGS, Key, ObjectName, Resource
from federation.runtime import metrics
from federation.runtime.store import Store

AGAIN = 10.0
"""Seconds between two writes of the status, or two tries."""
SOON = 1.0
"""Seconds until a group is told of that is held: more of it comes."""
MOST_GROUPS = 50
"""Groups in the status; more are counted."""
NAMED = 10
"""Objects, and clusters, of a group that the status names."""
ASKED = 5
"""Objects of a group that the hub is asked who changed them."""
_GIVEN_UP = {FailureKind.NOT_FOUND, FailureKind.RIGHT_MISSING, FailureKind.TYPE_MISSING, FailureKind.INVALID}
_KIND = ConditionType.DELETIONS_HELD

log = structlog.get_logger()


class RecordHub(HubPort, Protocol):
    """The hub, as far as it tells who changed something."""

    async def writers(self, resource: Resource, name: ObjectName) -> Sequence[Writer] | Failure:
        """Who has written an object, status aside, as its managedFields show it now; the newest first."""


class _Told(NamedTuple):
    """What is known of a group beside what it is: since when it is held (RFC 3339), and who changed what."""

    since: str
    by: tuple[Writer, ...] = ()
    asked: bool = False


class DeletionRecords:
    """The groups that people are told of. `where` is the KubeFedConfig, `now` gives RFC 3339."""

    def __init__(
        self,
        world: World,
        hub: RecordHub,
        configs: Store[StoredObject],
        deletions: Deletions,
        *,
        events: EventPoster,
        where: ObjectName,
        now: Callable[[], str],
    ) -> None:
        self._world = world
        self._hub = hub
        self._configs = configs
        self._deletions = deletions
        self._events = events
        self._where = where
        self._now = now
        self._groups: dict[str, _Told] = {}
        self._states: dict[str, State] = {}
        self._written = float("-inf")
        self._due = False
        self.elsewhere: Callable[[], Iterable[Mapping[str, Any]]] = list
        """What other shards tell (shards.Inbox)."""
        self._outbox = world.sharding.outbox if world.sharding is not None else None
        self.debts = Debts(world, now)
        deletions.records, deletions.debts = self, self.debts

    @property
    def config(self) -> Metadata | None:
        """Of the KubeFedConfig, where there is one."""
        stored = self._configs.get(self._where)
        return stored.metadata if stored is not None else None

    def begin(self) -> None:
        """Hold what an earlier controller held. The KubeFedConfig is known."""
        known = self._outbox.began if self._outbox is not None else _deletions(self._configs.get(self._where))
        elsewhere = {each.get("id") for each in self._told_elsewhere("groups")}
        self.debts.resume(known.get("leftBehind"), {each.get("uid") for each in self._told_elsewhere("leftBehind")})
        for each in _entries(known):
            if each["id"] in elsewhere:
                continue
            subject, version = str(each.get("subject", "")), str(each.get("version", ""))
            change = deletiongroups.Change(Kind(each["cause"]), subject, version)
            by = tuple(_writers(each.get("by")))
            state, now = State(each["state"]), time.monotonic()
            self._deletions.ledger.resume(each["id"], change, state, str(each.get("message", "")), now)
            self._groups[each["id"]] = _Told(str(each.get("since", "")), by, asked=True)
            self._states[each["id"]] = state
        if self._states:
            self._due = True
            log.warning("deletions are held, as before", groups=len(self._states))
        self.observed(self._where.name)

    def observed(self, name: str) -> None:
        """The KubeFedConfig has changed: a person may have approved or rejected groups, or written over its status."""
        stored, ledger = self._configs.get(self._where), self._deletions.ledger
        if name != self._where.name or stored is None:
            return
        if not self._due and (self._states or self.debts.entries or "deletions" in stored.status):
            self._due = True
            self._deletions.notice()
        if not ledger:
            return
        if self._outbox is not None:
            self._look_up()
        for annotation, word in stored.metadata.annotations.items():
            group = annotation.removeprefix(marks.DELETIONS_PREFIX)
            if group == annotation or group not in ledger.groups:
                continue
            if word == marks.APPROVED:
                self._deletions.approve(group)
            elif word == marks.REJECTED:
                self._deletions.reject(group)

    def told_elsewhere(self) -> None:
        """Another shard tells of other deletions."""
        self._due = True
        self._written = float("-inf") if self._written == float("-inf") else time.monotonic() - AGAIN + SOON

    def leaves(self, cluster: str, identity: str, silent: bool) -> None:
        """A cluster is taken out."""
        self.debts.leaves(cluster, identity, silent=silent)
        self._deletions.notice()

    # --- what is told -------------------------------------------------------------------------------------------------

    async def turn(self) -> float:
        """Do what is due; seconds until there may be more."""
        ledger = self._deletions.ledger
        settled = self.debts.turn(ledger)
        if ledger.changed or self.debts.changed:
            ledger.changed = self.debts.changed = False
            self._due = True
            self.observed(self._where.name)  # an object's status may name what was approved long ago
            self._follow()
        if not self._due:
            return settled
        wait = self._written + AGAIN - time.monotonic()
        if wait > 0:
            return wait
        await self._ask()
        if self._outbox is not None:
            self._tell_coordinator(self._outbox)
        else:
            await self._tell()
        return AGAIN if self._due else settled

    def _follow(self) -> None:
        """Log and emit what has become of groups."""
        told = self._told()
        for group in told.values():
            before = self._states.get(group.id)
            if before is None:
                self._groups.setdefault(group.id, _Told(self._now()))
                self._written = time.monotonic() - AGAIN + SOON
            if before is not group.state:
                self._emit(group)
            self._states[group.id] = group.state
        for name in self._states.keys() - told.keys():
            log.info("deletions are held no more", group=name)
            self._written = float("-inf")
            del self._states[name]
            self._groups.pop(name, None)

    @property
    def held(self) -> int:
        """Deletions that wait for a person."""
        return sum(len(group.waiting) for group in self._told().values())

    def _told(self) -> dict[str, Group]:
        return {name: each for name, each in self._deletions.ledger.groups.items() if each.state.told}

    def _emit(self, group: Group) -> None:
        what = self._described(group)
        if group.state is State.HELD:
            metrics.DELETION_HOLDS.labels(group.change.kind.value).inc()
            log.warning("deletions held", group=group.id, change=what, reason=group.why, held=len(group.waiting))
            message = f"{group.id}: {what}: {group.why or 'they wait for a person'}. Nothing of it is deleted"
            self._event("Warning", f"{message}: fedctl deletions")
            return
        log.warning("deletions decided on by a person", group=group.id, state=group.state.value, change=what)
        self._event("Normal", f"{group.id}: {what}: {group.state.value.lower()}")

    def _event(self, kind: str, message: str) -> None:
        stored = self._configs.get(self._where)
        if stored is not None:
            self._events.about(KUBEFED_CONFIGS, stored.metadata, kind, _KIND, message)

    async def _ask(self) -> None:
        """Ask the hub who changed what groups follow from, once for each."""
        for name, group in self._told().items():
            told = self._groups.get(name)
            if told is None or told.asked:
                continue
            found: Counter[Writer] = Counter()
            for resource, where in self._changed(group):
                writers = await self._hub.writers(resource, where)
                if not isinstance(writers, Failure) and writers:
                    found[writers[0]] += 1
            newest: dict[str, Writer] = {}
            for each in sorted(found, key=lambda each: each.time):
                newest[each.manager] = each
            self._groups[name] = told._replace(by=tuple(newest.values()), asked=True)

    def _changed(self, group: Group) -> Iterator[tuple[Resource, ObjectName]]:
        """The objects whose change a group follows from, as far as they are looked at. Nothing shows who deletes."""
        change = group.change
        around = self._world.types.get(NAMESPACE_TYPE)
        match change.kind:
            case Kind.LABELS:
                yield KUBEFED_CLUSTERS, ObjectName(self._world.namespace, change.subject)
            case Kind.NAMESPACE if around is not None and change.version != "gone":
                yield around.type.federated, ObjectName(change.subject, change.subject)
            case Kind.EDITS:
                for key in sorted(group.keys)[:ASKED]:
                    state = self._world.types.get(key.type)
                    if state is not None:
                        yield state.type.federated, ObjectName(key.namespace, key.name)

    def _described(self, group: Group) -> str:
        change, window = group.change, f"{self._deletions.ledger.budget.window:g} s"
        match change.kind:
            case Kind.LABELS:
                return f"labels of KubeFedCluster {change.subject!r}"
            case Kind.NAMESPACE if change.version == "gone":
                return f"FederatedNamespace {change.subject!r} is gone, or being deleted"
            case Kind.NAMESPACE:
                generation = change.version.rpartition("/")[2]
                return f"placement of FederatedNamespace {change.subject!r} (generation {generation})"
            case Kind.EDITS:
                return f"placements that were changed within {window}"
            case Kind.BY_NAME if change.young:
                return f"federated objects of namespace {change.version!r} that were deleted within {window}"
            case Kind.BY_NAME:
                return f"federated objects that were deleted within {window}"
            case Kind.HUB_NAMESPACE:
                return f"Namespace {change.subject!r} is being deleted at the hub"
            case Kind.RETURNED:
                return "copies that were deleted before, and are back: their cluster was restored"
        name = debts.described(self.debts.entries, change.subject)
        return f"copies that were left behind when cluster {name!r} was taken out"

    # --- the KubeFedConfig's status -----------------------------------------------------------------------------------

    async def _tell(self) -> None:
        stored = self._configs.get(self._where)
        self._due = False
        told = list(self._told().values())
        if stored is None:
            self._deletions.recorded(told)
            return  # there is no object to tell it on; the log and each federated object say it
        self._written = time.monotonic()
        status = self._status(stored)
        shown = {name: each for name, each in (status["deletions"] or {}).items() if each is not None}
        if (shown, status["conditions"]) == (_deletions(stored), stored.conditions):
            self._deletions.recorded(told)
            return
        version = {"resourceVersion": stored.metadata.resource_version}
        body = orjson.dumps({"metadata": version, "status": status})
        answer = await self._hub.set_status(KUBEFED_CONFIGS, self._where, body)
        if isinstance(answer, Failure):
            log.warning("deletions that are held are not shown in the KubeFedConfig", reason=answer.message)
            if answer.kind not in _GIVEN_UP:
                self._due = True
                return
        self._deletions.recorded(told)

    def _tell_coordinator(self, outbox: Outbox) -> None:
        """The same to the coordinating shard, which has it in the KubeFedConfig."""
        self._due = False
        self._written = time.monotonic()
        groups = [self._entry(group) for group in list(self._told().values())[:MOST_GROUPS]]
        shown = {"groups": groups, "leftBehind": self.debts.entries}
        outbox.tell_deletions({name: each for name, each in shown.items() if each})
        self._look_up()

    def _look_up(self) -> None:
        """Objects name a group of another shard than the coordinating one once the KubeFedConfig shows it."""
        stored = self._configs.get(self._where)
        shown = {each["id"] for each in _entries(_deletions(stored))}
        told = self._told().values()
        self._deletions.recorded([each for each in told if not each.recorded and (stored is None or each.id in shown)])

    def _told_elsewhere(self, what: str) -> list[dict[str, Any]]:
        """Groups, or what was left behind, of other shards."""
        found = (each for told in self.elsewhere() for each in told.get(what, ()) if isinstance(each, dict))
        return list(found)

    def _status(self, stored: StoredObject) -> dict[str, Any]:
        told, others_groups = self._told(), self._told_elsewhere("groups")
        entries = [*(self._entry(group) for group in told.values()), *others_groups][:MOST_GROUPS]
        others = [each for each in stored.conditions if each.get("type") != _KIND]
        held = [each for each in told.values() if each.state is not State.APPROVED]
        held_elsewhere = [each for each in others_groups if each.get("state") != State.APPROVED]
        conditions = [*others, self._condition(held, stored, held_elsewhere)] if held or held_elsewhere else others
        shown = {
            "groups": entries,
            "moreGroups": max(0, len(told) + len(others_groups) - MOST_GROUPS),
            "leftBehind": [*self.debts.entries, *self._told_elsewhere("leftBehind")],
        }
        deletions = {name: each for name, each in shown.items() if each}
        return {"conditions": conditions, "deletions": {**dict.fromkeys(shown), **deletions} if deletions else None}

    def _condition(
        self, held: Iterable[Group], stored: StoredObject, elsewhere: Iterable[Mapping[str, Any]]
    ) -> dict[str, Any]:
        groups = [(each.id, each.state.value) for each in held]
        groups += [(str(each.get("id")), str(each.get("state"))) for each in elsewhere]
        waits = any(state == State.HELD.value for _, state in groups)
        reason = DeletionsHeldReason.BUDGET if waits else DeletionsHeldReason.REJECTED
        before = next((each for each in stored.conditions if each.get("type") == _KIND), {})
        names = ", ".join(name for name, _ in groups[:NAMED])
        return {
            "type": _KIND,
            "status": "True",
            "reason": reason,
            "message": f"deletions are held ({names}): fedctl deletions shows them",
            "lastTransitionTime": before.get("lastTransitionTime") or self._now(),
            "observedGeneration": stored.metadata.generation,
        }

    def _entry(self, group: Group) -> dict[str, Any]:
        told, change = self._groups.setdefault(group.id, _Told(self._now())), group.change
        all_of_it = group.waiting | group.going
        keys, clusters = sorted({key for key, _ in all_of_it}), sorted({name for _, name in all_of_it if name})
        types = Counter(key.type for key, _ in all_of_it)
        return {
            "id": group.id,
            "state": group.state.value,
            "cause": change.kind.value,
            "change": self._described(group),
            "since": told.since,
            "message": group.why,
            "by": [{"manager": each.manager, "time": each.time} for each in told.by],
            "objects": len(keys),
            "deletions": len(all_of_it),
            "types": [{"type": name, "deletions": number} for name, number in sorted(types.items())],
            "clusters": clusters[:NAMED],
            "clusterCount": len(clusters),
            "examples": [_named(key) for key in keys[:NAMED]],
            "subject": change.subject,
            "version": change.version,
        }


def _named(key: Key) -> dict[str, str]:
    return {"type": key.type, "namespace": key.namespace, "name": key.name}


def _writers(stored: object) -> Iterator[Writer]:
    for each in stored if isinstance(stored, list) else ():
        if isinstance(each, dict):
            yield Writer(str(each.get("manager")), str(each.get("time")))


def _deletions(stored: StoredObject | None) -> Mapping[str, Any]:
    found = stored.status.get("deletions") if stored is not None else None
    return found if isinstance(found, dict) else {}


def _entries(told: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The groups of what a status tells, as far as they are some."""
    found = told.get("groups")
    for each in found if isinstance(found, list) else ():
        if not isinstance(each, dict) or not isinstance(each.get("id"), str):
            continue
        if each.get("cause") in _KINDS and each.get("state") in _STATES:
            yield each


_KINDS = {kind.value for kind in Kind}
_STATES = {state.value for state in State if state.told}
