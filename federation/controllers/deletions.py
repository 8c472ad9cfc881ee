"""Hold deletions that are more than go by themselves, between planning and its adoption; core.deletions decides.

`restrain` is called with every plan: deletions in it become waits until their group may go. The groups are in memory,
`deletionrecords` tells people of those that are held, and brings back what they say. What is let go of stays in its
member, and is not counted. Nothing is asked and nothing written while nothing is to be deleted.
"""

import asyncio
import contextlib
import functools
import time
import uuid
from collections.abc import Callable, Container, Iterable, Mapping, Set
from typing import Protocol

import msgspec
import orjson
import structlog

from federation.controllers.debts import Debts
from federation.controllers.fanout import Wake, wake_gradually
from federation.controllers.tracks import NOBODY, Track
from federation.controllers.world import World
from federation.core import deletiongroups, digests, holds, removal, times
from federation.core.deletiongroups import Change, Group, Kind, State, Wish
from federation.core.deletions import Due, Ledger, Look
from federation.model.federated import FederatedType, Metadata
from federation.model.marks import NAMESPACE_TYPE
from federation.model.observations import Observed
from federation.model.plan import Action, Delete, Plan, Release, RemovalCause, RemovalReason, Wait
from federation.model.resources import Key, ObjectName
from federation.runtime.tasks import Tasks

FRESH = 1.0
"""Seconds for which a count of placements is good."""
REMEMBERED = 10_000
"""Namespaces that were deleted by name."""
SHORTEST = 0.05
"""Seconds between two turns of which nobody has asked for the second."""
LOOKING = 30.0
"""Seconds, at most, for looking into one namespace of a member."""

log = structlog.get_logger()


class Records(Protocol):
    """Tells people of groups; see deletionrecords."""

    @property
    def config(self) -> Metadata | None:
        """Of the KubeFedConfig, where there is one."""

    async def turn(self) -> float:
        """Do what is due; seconds until there may be more."""


class Deletions:
    """All deletions that are wanted and have not come to pass. `wake` is Sync.changed."""

    def __init__(self, world: World, wake: Wake) -> None:
        self.ledger = Ledger(self._count, lambda: uuid.uuid4().hex[:8], began=time.monotonic())
        self.records: Records | None = None
        self.debts: Debts | None = None
        self._world = world
        self._wake = wake
        self._counted: dict[tuple[bool, str, str], tuple[float, int]] = {}
        self._news = asyncio.Event()
        self._looks = Tasks()
        self._leaving: dict[str, set[str]] = {}
        """Clusters from which a namespace goes because its FederatedNamespace was deleted by name."""
        self._staying: set[str] = set()
        """Namespaces whose deletion by name a person has rejected: what is in them stays, too."""

    def notice(self) -> None:
        """Something is to be told, or to be decided sooner than it was thought."""
        self._news.set()

    # --- plans --------------------------------------------------------------------------------------------------------

    def restrain(self, key: Key, enabled: FederatedType, track: Track, plan: Plan, only: Set[str] = NOBODY) -> Plan:
        """The plan with waits in the place of deletions that may not go now. `only`: it is of these clusters alone."""
        if enabled.is_namespace and not plan.deleting:
            self._staying.discard(key.name)
            self._leaving.pop(key.name, None)
        if plan.undecided or (len(plan.actions) <= len(plan.selected) and key not in self.ledger):
            return plan
        if not self.ledger and not self._world.settings.deletion_budget.enabled:
            return plan
        if plan.deleting and enabled.is_namespace and (track.plan is None or not track.plan.deleting):
            self._wake_inside(key)  # whether its objects go with it is known from now on
        found: dict[str, Action] = {}
        wishes: dict[str, Wish] = {}
        oldest = functools.cache(lambda: self._oldest(key, enabled, plan))
        for cluster, action in plan.actions.items():
            if not isinstance(action, Delete) or action.reason is None:
                continue
            if action.reason.cause is RemovalCause.NO_NAMESPACE and (
                with_it := self._with_namespace(key, cluster, action)
            ):
                if with_it is not _GOES:
                    found[cluster] = with_it
            elif (change := self._change(key, cluster, action.reason, oldest)) is not None:
                inside = self._inside(cluster, key) if enabled.is_namespace and not plan.deleting else None
                wishes["" if change.kind.by_name else cluster] = Wish(change, inside)
        self._keep(key, plan, wishes, only)
        if wishes:
            found |= self._asked(key, track, plan, wishes)
        return msgspec.structs.replace(plan, actions={**plan.actions, **found}) if found else plan

    def stray(self, key: Key, cluster: str, action: Delete | Release, observed: Observed) -> Delete | Release | None:
        """What becomes of a copy that no federated object stands behind; None: its deletion waits.

        One that was left behind when its cluster was taken out is deleted where a person approves it, if it is nothing
        that has contents of others, or was created by this hub; where he rejects it, it is let go of.
        """
        debt = self.debts.of(cluster, observed) if self.debts is not None else None
        if debt is None and isinstance(action, Release):
            return action
        group = self._wish(key, {cluster: Wish(debt or Change(Kind.RETURNED))})[cluster]
        if group.state is State.REJECTED and debt is not None:
            return action if isinstance(action, Release) else Release(action.uid, reason=action.reason)
        if not self.ledger.goes(key, cluster):
            return None
        state = self._world.types[key.type]
        keeps = debt is not None and removal.has_contents(state.type) and not observed.created
        return Delete(action.uid, reason=action.reason) if debt is not None and not keeps else action

    def forget(self, key: Key) -> None:
        """The object is gone, with all that was wanted of it."""
        if key in self.ledger:
            self.ledger.keep(key, ())
            self._told()

    def forget_cluster(self, cluster: str) -> None:
        """A cluster has left."""
        if self.ledger:
            self.ledger.forget_cluster(cluster)
            self._told()

    def _keep(self, key: Key, plan: Plan, wishes: Mapping[str, Wish], only: Set[str]) -> None:
        """Forget what is not wanted any more. Where a cluster cannot be asked just now, what is held there stays so."""
        if key not in self.ledger:
            return
        away = {name for name, each in plan.actions.items() if isinstance(each, Wait) and name not in plan.selected}
        others = self.ledger.clusters(key) - only if only else NOBODY
        self.ledger.keep(key, {*wishes, *away, *others, *(("",) if plan.deleting and plan.actions else ())})
        self._told()

    def _asked(self, key: Key, track: Track, plan: Plan, wishes: Mapping[str, Wish]) -> dict[str, Action]:
        """The actions in the place of deletions that may not go."""
        named, first = holds.group_of(track.status.conditions), {each for each in wishes if _first(track, each)}
        groups = self._wish(key, wishes, named=named, first=first)
        found: dict[str, Action] = {}
        for cluster, action in plan.actions.items():
            where = cluster if cluster in groups else "" if "" in groups else None
            if where is None or not isinstance(action, Delete) or self.ledger.goes(key, where):
                continue
            found[cluster] = self._instead(groups[where], action)
        return found

    def _instead(self, group: Group, action: Delete) -> Action:
        """What becomes of a deletion that may not go. An object names no group before people can look it up."""
        if group.state is State.REJECTED:
            return holds.rejected(group.id, action, by_name=group.change.kind.by_name)
        shown = group.state is State.HELD and (group.recorded or self.records is None)
        return holds.over_budget(group.id) if shown else holds.counted()

    def _wish(
        self, key: Key, wishes: Mapping[str, Wish], *, named: str = "", first: Container[str] = ()
    ) -> Mapping[str, Group]:
        self.ledger.budget = self._world.settings.deletion_budget
        groups = self.ledger.wish(key, wishes, time.monotonic(), named=named, first=first)
        if any(group.state is State.COUNTING and group.waiting for group in groups.values()):
            self._news.set()
        self._told()
        return groups

    def recorded(self, groups: Iterable[Group]) -> None:
        """People can look these groups up: objects may name them."""
        for group in groups:
            if not group.recorded:
                group.recorded = True
                self._wake_all(self._late(group))

    def _late(self, group: Group) -> Iterable[Key]:
        """Objects whose plan does not show yet that they are held."""
        for key, cluster in group.waiting:
            state = self._world.types.get(key.type)
            track = state.tracks.get(ObjectName(key.namespace, key.name)) if state is not None else None
            actions = track.actions if track is not None else {}
            waits = [actions.get(cluster)] if cluster else actions.values()
            if any(isinstance(each, Wait) and each.message == holds.COUNTED for each in waits):
                yield key

    def _told(self) -> None:
        if self.ledger.changed:
            self._news.set()

    # --- what a deletion follows from ---------------------------------------------------------------------------------

    def _change(self, key: Key, cluster: str, reason: RemovalReason, oldest: Callable[[], int]) -> Change | None:
        """The change that a deletion follows from; None: it is not counted."""
        basis = reason.basis
        match reason.cause:
            case RemovalCause.DELETION:
                return self._named(key, oldest)
            case RemovalCause.CLUSTER_LABELS:
                return _labels(cluster, basis.labels)
            case RemovalCause.NAMESPACE if basis.labels is not None and self._by_labels(key.namespace, cluster):
                return _labels(cluster, basis.labels)
            case RemovalCause.NAMESPACE if basis.namespace is not None:
                meta = basis.namespace
                return Change(Kind.NAMESPACE, key.namespace, f"{meta.uid}/{meta.generation}")
            case RemovalCause.NO_NAMESPACE:
                return Change(Kind.NAMESPACE, key.namespace, "gone")
            case RemovalCause.PLACEMENT if key.type == NAMESPACE_TYPE and basis.object is not None:
                meta = basis.object
                return Change(Kind.NAMESPACE, key.namespace, f"{meta.uid}/{meta.generation}")
            case RemovalCause.PLACEMENT:
                now = times.rfc3339(time.time())
                return None if self._tried_out(now, oldest) else Change(Kind.EDITS)
        return None

    def _tried_out(self, when: str | None, oldest: Callable[[], int]) -> bool:
        """Whether the control plane is for one namespace, which it may not look at, and its KubeFedConfig was young."""
        config = self.records.config if self.records is not None else None
        return self._world.settings.namespaced and _young(config, when, oldest)

    def _oldest(self, key: Key, enabled: FederatedType, plan: Plan) -> int:
        """When we have last changed something in the copy that would go and has been left alone for longest."""
        target = self._world.types[enabled.name].target_name(ObjectName(key.namespace, key.name))
        copies = self._world.types[enabled.name].copies
        going = (copies[name] for name, each in plan.actions.items() if isinstance(each, Delete) and name in copies)
        found = (each.objects.get(target) for each in going)
        return min((each.applied_at for each in found if each is not None), default=0)

    def _named(self, key: Key, oldest: Callable[[], int]) -> Change | None:
        """What the deletion of a federated object by name is counted as; None: its Namespace is young, and it goes."""
        host = self._world.host_namespaces.get(ObjectName("", key.namespace))
        if host is not None and host.deletion_timestamp is not None:
            young = _young(host, host.deletion_timestamp, oldest)
            return None if young else Change(Kind.HUB_NAMESPACE, key.namespace, host.uid)
        state = self._world.types.get(key.type)
        federated = state.objects.get(ObjectName(key.namespace, key.name)) if state is not None else None
        ended = federated.metadata.deletion_timestamp if federated is not None else None
        if self._tried_out(ended, oldest):
            return None
        return Change(Kind.BY_NAME, version=key.namespace if _young(host, ended, oldest) else "")

    def _by_labels(self, namespace: str, cluster: str) -> bool:
        """Whether the FederatedNamespace was applied in the cluster as it is now: then the labels have changed."""
        around, where = self._world.types.get(NAMESPACE_TYPE), ObjectName(namespace, namespace)
        federated = around.objects.get(where) if around is not None else None
        track = around.tracks.get(where) if around is not None else None
        applied = track.applied.get(cluster) if track is not None else None
        return federated is not None and applied is not None and applied.generation == federated.metadata.generation

    def _inside(self, cluster: str, key: Key) -> Mapping[str, int]:
        """How many copies of each type are in a namespace of a cluster."""
        states = [each for each in self._world.types.values() if each.type.target.namespaced]
        copies = {each.type.name: each.copies.get(cluster) for each in states}
        counts = {name: each.objects.count(key.name) for name, each in copies.items() if each is not None}
        return {name: number for name, number in counts.items() if number}

    def _with_namespace(self, key: Key, cluster: str, deletion: Delete) -> Action | None:
        """What becomes of a copy whose FederatedNamespace is gone, or being deleted.

        It goes with its Namespace (_GOES), or waits as that does, or stays where a person has rejected that deletion.
        None: its Namespace stays, and it is counted.
        """
        around, where = self._world.types.get(NAMESPACE_TYPE), ObjectName(key.namespace, key.namespace)
        if around is None:
            return None
        copies, federated, track = around.copies.get(cluster), around.objects.get(where), around.tracks.get(where)
        ended = federated is None or federated.metadata.deletion_timestamp is not None
        if ended and key.namespace in self._staying:
            return holds.rejected("", deletion, by_name=True)
        observed = copies.objects.get(ObjectName("", key.namespace)) if copies is not None else None
        if (observed is not None and observed.deleting) or (ended and cluster in self._leaving.get(key.namespace, ())):
            return _GOES  # one that is not observed may be there without our label
        if federated is None:
            return None
        if track is None or track.plan is None or not track.plan.deleting:
            return holds.counted()  # it is planned anew when its namespace is
        action, namespace = track.actions.get(cluster), Key(NAMESPACE_TYPE, *where)
        if isinstance(action, Delete) or (isinstance(action, Wait) and self.ledger.goes(namespace, "")):
            while len(self._leaving) >= REMEMBERED:
                self._leaving.pop(next(iter(self._leaving)))
            self._leaving.setdefault(key.namespace, set()).add(cluster)
            return _GOES
        waits = isinstance(action, Wait) and self.ledger.group(namespace, "") is not None
        return action if waits else None

    # --- counting -----------------------------------------------------------------------------------------------------

    def _count(self, by_name: bool, name: str, namespace: str) -> int:
        """How many federated objects, or copies, there are, of a type or in a namespace."""
        now, what = time.monotonic(), (by_name, name, namespace)
        at, number = self._counted.get(what, (float("-inf"), 0))
        if now - at > FRESH:
            number = self._number(by_name=by_name, name=name, namespace=namespace)
            if len(self._counted) > 1_000:
                self._counted.clear()
            self._counted[what] = now, number
        return number

    def _number(self, *, by_name: bool, name: str, namespace: str) -> int:
        types = self._world.types
        if name:
            state = types.get(name)
            return 0 if state is None else len(state.objects) if by_name else state.placements
        if by_name:
            return sum(state.objects.count(namespace) for state in types.values())
        within = [state for state in types.values() if state.type.target.namespaced]
        inside = sum(copies.objects.count(namespace) for state in within for copies in state.copies.values())
        around = types.get(NAMESPACE_TYPE)
        namespaces = around.copies.values() if around is not None else ()
        return inside + sum(ObjectName("", namespace) in copies.objects for copies in namespaces)

    # --- what comes of it ---------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Decide, look into namespaces, and tell people, until cancelled."""
        rest = float("inf")
        try:
            while True:
                due = min(rest, self.ledger.next() - time.monotonic())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(SHORTEST, due) if due < float("inf") else None):
                        await self._news.wait()
                self._news.clear()
                rest = await self.turn()
        finally:
            await self._looks.cancel()
            self.ledger.look_again()

    async def turn(self) -> float:
        """Do what is due; seconds until there may be more."""
        self._act(self.ledger.turn(time.monotonic()))
        return await self.records.turn() if self.records is not None else float("inf")

    def _act(self, due: Due) -> None:
        self._wake_all(due.wake)
        for look in due.looks:
            self._looks.spawn(self._look(look), f"look into {look.place.namespace} in {look.place.cluster}")
        self._told()

    async def _look(self, look: Look) -> None:
        """Look into a namespace of a member. What cannot be known counts as not empty."""
        cluster, namespace = look.place
        member = self._world.members.get(cluster)
        others = "is not known to be empty: the cluster cannot be asked"
        if member is not None and member.port is not None:
            types = [each.target_in(cluster) for each in self._world.types.values() if each.type.target.namespaced]
            try:
                async with asyncio.timeout(LOOKING):
                    others = await member.port.others_in(namespace, types)
            except TimeoutError:
                others = f"is not known to be empty: the cluster did not say so within {LOOKING:g} s"
            except Exception:
                log.exception("namespace not looked into", cluster=cluster, namespace=namespace)
        self._act(self.ledger.looked(look, others, time.monotonic()))

    def approve(self, group: str) -> None:
        """A person lets a group go."""
        self._wake_all(self.ledger.approve(group, time.monotonic()))
        self._told()

    def reject(self, group: str) -> None:
        """A person wants that a group does not go."""
        keys = self.ledger.reject(group)
        if keys and self.ledger.groups[group].change.kind.by_name:
            self._staying |= {key.name for key in keys if key.type == NAMESPACE_TYPE}
        self._wake_all(keys)
        self._told()

    def _wake_all(self, keys: Iterable[Key]) -> None:
        found = set(keys)
        if found:
            wake_gradually(iter(found), self._wake)
        for key in found:
            if key.type == NAMESPACE_TYPE:
                self._wake_inside(key)

    def _wake_inside(self, key: Key) -> None:
        wake_gradually(self._world.keys_within(key.name), self._wake)


_GOES = Wait(holds.counted().status, "goes with its namespace")


def _first(track: Track, cluster: str) -> bool:
    """Whether a deletion was wanted when this process began: nothing has shown since that it was not."""
    plan, before = track.plan, track.actions.get(cluster)
    if plan is None or plan.undecided or not cluster:
        return plan is None or plan.undecided or plan.deleting
    return isinstance(before, Wait) and cluster not in plan.selected


def _young(within: Metadata | None, when: str | None, oldest: Callable[[], int]) -> bool:
    """Whether what holds an object was young, and no copy that would go is older than that: what was made anew at the
    hub, as after its loss, is not young in the members."""
    return deletiongroups.brief(within, when) and not deletiongroups.before(within, oldest())


def _labels(cluster: str, labels: Mapping[str, str] | None) -> Change:
    version = digests.short(orjson.dumps(dict(labels or {}), option=orjson.OPT_SORT_KEYS))
    return Change(Kind.LABELS, cluster, version)
