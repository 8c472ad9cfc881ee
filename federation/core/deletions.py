"""Decide which deletions go on by themselves, and which are held until a person says so; no I/O, and no clock.

Deletions that follow from one change are a Group. Small ones go. Where a group is more than the budget lets go, by the
placements of a type or of a namespace, all of it that has not gone yet is held: nothing goes, until a person approves
the group, or the change is taken back and nobody wants it any more. Objects are planned one at a time, so a group is
counted for a moment before it goes; only a deletion that comes alone does not wait. At no time has more than the budget
gone that nobody has approved, in whatever order the wishes come. What went before this process began is not known:
for one window nothing is decided, and only what comes alone goes.

What follows from a change is counted in copies. Federated objects that are deleted by name are counted in objects,
because a person has named each; many at once are a change all the same.
"""

from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Mapping, Set
from typing import NamedTuple

from federation.core.deletiongroups import Change, Group, Kind, Part, Place, State, Wish, parts
from federation.model.marks import NAMESPACE_TYPE
from federation.model.resources import Key
from federation.model.settings import DeletionBudget

SETTLE, LONGEST = 1.0, 5.0
"""Seconds without another wish of a group until it is decided on, and whatever comes."""
RESUMED = 600.0
"""Seconds that a group which an earlier controller held is kept though nobody has wanted anything of it yet."""
SPENT = 3600.0
"""Seconds after which what has gone of a change does not count any more for what else follows from it."""


class Look(NamedTuple):
    """A Namespace that is to be looked into before its group goes."""

    group: str
    place: Place


class Due(NamedTuple):
    """What is to be done: objects to be planned anew, and Namespaces to be looked into."""

    wake: Set[Key] = frozenset()
    looks: tuple[Look, ...] = ()


Count = Callable[[bool, str, str], int]
"""How many there are, of a type or in a namespace: federated objects (True), or copies in members."""


class Ledger:
    """All groups. `count` is asked only where more than the minimum would go; `new_id` gives a name that is not used.

    `began` is when this process did. All times are monotonic seconds.
    """

    def __init__(self, count: Count, new_id: Callable[[], str], began: float = float("-inf")) -> None:
        self.budget = DeletionBudget()
        self.groups: dict[str, Group] = {}
        self.changed = False
        """Something that people are told of is another than before: whoever has told them resets it."""
        self._count = count
        self._new_id = new_id
        self._began = began
        self._open: dict[Change, Group] = {}
        self._entries: dict[Key, dict[str, Group]] = {}
        self._recent: deque[tuple[float, bool, tuple[Part, ...]]] = deque()
        self._gone: Counter[tuple[bool, Part]] = Counter()
        self._base: dict[tuple[bool, Part], int] = {}
        self._spent: dict[Change, tuple[float, Counter[Part]]] = {}

    # --- what is wanted -----------------------------------------------------------------------------------------------

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def __bool__(self) -> bool:
        return bool(self.groups)

    def clusters(self, key: Key) -> Set[str]:
        """Where deletions of an object are known; "" is the object itself."""
        return self._entries.get(key, {}).keys()

    def wish(
        self, key: Key, wishes: Mapping[str, Wish], now: float, *, named: str = "", first: Container[str] = ()
    ) -> Mapping[str, Group]:
        """These copies of an object are to be deleted; the group of each, by cluster ("": wherever it is).

        A copy may be deleted where `goes` is true of it. `named` is the group that the object's status names, `first`
        are those that were wanted when this process began.
        """
        known = self._entries.get(key, {})
        found: dict[str, Group] = {}
        joined: dict[str, Group] = {}
        for cluster, each in wishes.items():
            group = known.get(cluster)
            if group is not None and not _fits(group, each.change):
                self._drop(key, cluster)
                group = None
            if group is None:
                group = self._group(each.change, now, named=named, first=cluster in first)
                self._add(group, key, cluster, each, now)
                joined[group.id] = group
            found[cluster] = group
        for group in joined.values():
            self._decide_at_once(group, key, now)
        return found

    def group(self, key: Key, cluster: str) -> Group | None:
        """The group of a deletion that is wanted; None where it is not."""
        return self._entries.get(key, {}).get(cluster)

    def goes(self, key: Key, cluster: str) -> bool:
        """Whether a copy may be deleted now."""
        group = self.group(key, cluster)
        return group is not None and (key, cluster) in group.going

    def keep(self, key: Key, kept: Iterable[str]) -> None:
        """Of an object, deletions are wanted in these clusters alone, or cannot be asked for there just now."""
        for cluster in self.clusters(key) - set(kept):
            self._drop(key, cluster)

    def forget_cluster(self, cluster: str) -> None:
        """A cluster has left."""
        for key in [key for key, each in self._entries.items() if cluster in each]:
            self._drop(key, cluster)

    # --- what is decided ----------------------------------------------------------------------------------------------

    def turn(self, now: float) -> Due:
        """Decide what is due."""
        wake: set[Key] = set()
        looks: list[Look] = []
        for group in list(self.groups.values()):
            if group.state is State.COUNTING and group.waiting and self._due(group) <= now:
                due = self._decide(group, now)
                wake |= due.wake
                looks += due.looks
            self._dissolve(group, now)
        return Due(wake, tuple(looks))

    def next(self) -> float:
        """When the next turn is due; infinite: when somebody wants something."""
        counted = (self._due(each) for each in self.groups.values() if each.state is State.COUNTING and each.waiting)
        resumed = (each.expires for each in self.groups.values() if each.expires and not each.joined)
        return min((*counted, *resumed), default=float("inf"))

    def look_again(self) -> None:
        """Nobody is looking into Namespaces any more."""
        for group in self.groups.values():
            if group.state is State.LOOKING:
                group.state = State.COUNTING

    def looked(self, look: Look, others: str, now: float) -> Due:
        """A Namespace was looked into: `others` says what of others is in it, or why that is not known; "": nothing."""
        group = self.groups.get(look.group)
        if group is None or group.state is not State.LOOKING:
            return Due()
        if others and look.place in group.inside:
            return self._hold(group, f"namespace {look.place.namespace!r} in {look.place.cluster} {others}")
        group.seen_empty.add(look.place)
        if group.unseen():
            return Due()
        group.state = State.COUNTING
        return self._decide(group, now)

    def approve(self, name: str, now: float) -> Set[Key]:
        """A person lets a group go; the objects to be planned anew."""
        group = self.groups.get(name)
        if group is None or group.state not in {State.HELD, State.REJECTED}:
            return frozenset()
        group.state, self.changed = State.APPROVED, True
        return self._release(group, now, counted=False).wake

    def reject(self, name: str) -> Set[Key]:
        """A person wants that a group does not go; the objects to be planned anew."""
        group = self.groups.get(name)
        if group is None or group.state is not State.HELD:
            return frozenset()
        group.state, self.changed = State.REJECTED, True
        return group.keys

    def resume(self, name: str, change: Change, state: State, why: str, now: float) -> None:
        """An earlier controller held this group."""
        group = Group(name, change, now, now, state, why, expires=now + RESUMED, recorded=True)
        self.groups[name] = self._open[change] = group

    # --- groups -------------------------------------------------------------------------------------------------------

    def _group(self, change: Change, now: float, *, named: str, first: bool) -> Group:
        if first and named and named not in self.groups and change not in self._open:
            self.resume(named, change, State.HELD, "an earlier controller held it", now)
        if change.kind.burst:
            earlier = self.groups.get(named) or (self._resumed(change.kind) if first else None)
            if earlier is not None and earlier.change.kind is change.kind:
                return earlier
        group = self._open.get(change)
        if group is None or group.id not in self.groups or not self._joins(group, now):
            name = self._new_id()
            group = self.groups[name] = self._open[change] = Group(name, change, now, now)
        return group

    def _resumed(self, kind: Kind) -> Group | None:
        """What is wanted when a controller starts is of what an earlier one has held."""
        found = (each for each in self.groups.values() if each.expires and each.change.kind is kind)
        return next((each for each in found if each.state is State.HELD), None)

    def _joins(self, group: Group, now: float) -> bool:
        if not group.change.kind.burst:
            return True
        return group.state not in {State.APPROVED, State.REJECTED} and now - group.last <= self.budget.window

    def _add(self, group: Group, key: Key, cluster: str, wish: Wish, now: float) -> None:
        group.first = group.first if group.waiting else now
        group.last = now
        group.add(key, cluster, wish.inside)
        self._entries.setdefault(key, {})[cluster] = group
        if group.state is State.APPROVED:
            self._release(group, now, counted=False)
        self.changed = self.changed or group.state.told

    def _drop(self, key: Key, cluster: str) -> None:
        entries = self._entries[key]
        group = entries.pop(cluster)
        if not entries:
            del self._entries[key]
        group.remove(key, cluster)
        group.going.discard((key, cluster))
        self.changed = self.changed or group.state.told
        self._dissolve(group, None)

    def _dissolve(self, group: Group, now: float | None) -> None:
        """A group of which nothing is wanted any more leaves no trace."""
        awaited = group.expires and not group.joined and (now is None or now < group.expires)
        if group.waiting or group.going or awaited:
            return
        if self.groups.pop(group.id, None) is not None:
            self.changed = self.changed or group.state.told
        if self._open.get(group.change) is group:
            del self._open[group.change]

    # --- deciding -----------------------------------------------------------------------------------------------------

    def _due(self, group: Group) -> float:
        settled = min(group.last + SETTLE, group.first + LONGEST)
        return settled if group.change.young and not group.patient else max(self._began + self.budget.window, settled)

    def _decide_at_once(self, group: Group, key: Key, now: float) -> None:
        """Hold a group that is over the budget already, and let a deletion go that comes alone."""
        if group.state not in {State.COUNTING, State.LOOKING} or not group.waiting:
            return
        concerned = group.change.parts(key)
        for place, types in group.inside.items() if key.type == NAMESPACE_TYPE else ():
            concerned += tuple((name, "") for name in types) if place.namespace == key.namespace else ()
        if group.change.kind is Kind.DEBT:
            self._hold(group, "")
        elif not self._holds(group.change.kind):
            self._release(group, now, counted=False)
        elif why := self._over(group, now, concerned):
            # At the start lists are missing, by which it may seem to be more of all than it is.
            group.patient = now < self._began + self.budget.window
            if not group.patient:
                self._hold(group, why)
        elif group.change.kind.burst and self._alone(group, key):
            self._release(group, now)

    def _alone(self, group: Group, key: Key) -> bool:
        """Whether nothing but this object's deletion was wanted within the window; young namespaces are apart."""
        by_name, young = group.change.kind.by_name, group.change.young
        parts_gone = [part for counted, part in self._gone if counted is by_name]
        gone = ("", group.change.version) in parts_gone if young else any(name for name, _ in parts_gone)
        return not gone and all(each == key for each, _ in group.waiting)

    def _decide(self, group: Group, now: float) -> Due:
        if not self._holds(group.change.kind):
            return self._release(group, now, counted=False)
        if why := self._over(group, now, group.wanted):
            return self._hold(group, why)
        # A Namespace that a person deletes by name is not looked into.
        if self.budget.in_use and not group.change.kind.by_name and (unseen := group.unseen()):
            group.state = State.LOOKING
            return Due(looks=tuple(Look(group.id, place) for place in unseen))
        return self._release(group, now)

    def _holds(self, kind: Kind) -> bool:
        return self.budget.enabled and (self.budget.by_name or not kind.by_name)

    def _hold(self, group: Group, why: str) -> Due:
        group.state, group.why, self.changed = State.HELD, why, True
        return Due(group.keys)

    def _release(self, group: Group, now: float, *, counted: bool = True) -> Due:
        waited = list(group.waiting)
        for key, cluster in waited:
            if counted:
                self._spend(group.change, key, now)
            group.remove(key, cluster)
        group.going.update(waited)
        return Due({key for key, _ in waited})

    def _spend(self, change: Change, key: Key, now: float) -> None:
        by_name = change.kind.by_name
        counted = change.parts(key)
        self._recent.append((now, by_name, counted))
        for part in counted:
            if not self._gone[by_name, part]:
                self._base[by_name, part] = self._count(by_name, *part)
            self._gone[by_name, part] += 1
        if not change.kind.burst:
            spent = self._spent_of(change, now)
            for part in parts(key):
                spent[part] += 1
            self._spent[change] = now, spent

    def _spent_of(self, change: Change, now: float) -> Counter[Part]:
        at, spent = self._spent.get(change, (now, Counter()))
        return spent if now - at <= SPENT else Counter()

    def _over(self, group: Group, now: float, concerned: Iterable[Part]) -> str:
        """Why a group is more than may go by itself; "" where it is not."""
        self._expire(now)
        by_name, budget = group.change.kind.by_name, self.budget
        spent = self._spent_of(group.change, now)
        for part in concerned:
            number, before = group.wanted[part], max(self._gone[by_name, part], spent[part])
            if number <= 0 or number + before <= budget.minimum:
                continue
            there = self._there(part, by_name=by_name)
            most = max(budget.minimum, there * budget.percent // 100)
            if number + before > most:
                return _too_many(number, before, there, most, part, by_name=by_name)
        return ""

    def _there(self, part: Part, *, by_name: bool) -> int:
        """How many there were before the first of those that have gone within the window."""
        return max(self._count(by_name, *part), self._base.get((by_name, part), 0))

    def _expire(self, now: float) -> None:
        while self._recent and now - self._recent[0][0] > self.budget.window:
            _, by_name, counted = self._recent.popleft()
            for part in counted:
                self._gone[by_name, part] -= 1
                if not self._gone[by_name, part]:
                    del self._gone[by_name, part]
                    self._base.pop((by_name, part), None)
        for change in [each for each, (at, _) in self._spent.items() if now - at > SPENT]:
            del self._spent[change]


def _fits(group: Group, change: Change) -> bool:
    """Whether a deletion of this group that is wanted because of this change stays in it.

    Of a burst it does as long as it is wanted: an edit of what is held must not let it go.
    """
    return group.change == change or (change.kind.burst and group.change.kind is change.kind)


def _too_many(number: int, before: int, there: int, most: int, part: Part, *, by_name: bool) -> str:
    name, namespace = part
    what = "federated objects" if by_name else "copies"
    place = f"of {name}" if name else f"in namespace {namespace!r}"
    gone = f" after {before} that have gone" if before else ""
    return f"{number} of {there} {what} {place} would be deleted{gone}, and {most} go by themselves"
