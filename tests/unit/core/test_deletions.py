"""Deletions that follow from changes: what goes by itself, and that no more than the budget does, in whatever order."""

import itertools
from collections import Counter
from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.deletiongroups import YOUNG, Change, Kind, Place, State, Wish, brief
from federation.core.deletions import LONGEST, RESUMED, SETTLE, SPENT, Ledger, Look
from federation.model.federated import DatedMetadata, Metadata
from federation.model.resources import Key
from federation.model.settings import DeletionBudget

LABELS = Change(Kind.LABELS, "m1", "a")
EDITS, BY_NAME = Change(Kind.EDITS), Change(Kind.BY_NAME)
SHOP = Change(Kind.NAMESPACE, "shop", "u/2")
WINDOW = DeletionBudget().window


_numbers = itertools.count(1)


def ledger(placements: int = 100, *, budget: DeletionBudget | None = None, began: float = float("-inf")) -> Ledger:
    """One that knows of so many copies, and federated objects, of any type and in any namespace."""
    names = itertools.count(1) if began < 0 else _numbers
    made = Ledger(
        lambda by_name, name, namespace: placements, lambda: f"g{next(names)}{'' if began < 0 else 'r'}", began
    )
    made.budget = budget or DeletionBudget()
    return made


def key(number: int, namespace: str = "", kind: str = "configmaps") -> Key:
    """One federated object; in a namespace of its own unless one is given."""
    return Key(kind, namespace or f"ns-{number}", f"o{number}")


def wish(made: Ledger, numbers: range, change: Change, now: float, cluster: str = "m1") -> None:
    """Wishes of so many objects, one after the other."""
    for number in numbers:
        made.wish(key(number), {cluster: Wish(change)}, now)


def gone(made: Ledger, numbers: range, cluster: str = "m1") -> list[int]:
    """Those that may go."""
    return [number for number in numbers if made.goes(key(number), cluster)]


def only(made: Ledger) -> tuple[str, State]:
    """The one group, and how it stands."""
    [group] = made.groups.values()
    return group.id, group.state


def test_a_deletion_that_comes_alone_goes_at_once() -> None:
    made = ledger()
    for change in (EDITS, BY_NAME):
        cluster = "" if change.kind.by_name else "m1"
        made.wish(key(1), {cluster: Wish(change)}, 0.0)
        assert made.goes(key(1), cluster)
        made.keep(key(1), ())
    assert not made
    assert not made.changed, "nobody is told"


def test_several_wait_a_moment_and_go_together() -> None:
    made = ledger()
    wish(made, range(5), EDITS, 0.0)
    assert gone(made, range(5)) == [0], "the first had come alone"
    assert made.next() == SETTLE
    assert made.turn(SETTLE).wake == {key(number) for number in range(1, 5)}
    assert gone(made, range(5)) == list(range(5))


@pytest.mark.parametrize(("placements", "most"), [(10, 5), (100, 10), (1000, 100)])
def test_more_than_the_budget_is_held_whole(placements: int, most: int) -> None:
    made = ledger(placements)
    wish(made, range(most), LABELS, 0.0)
    assert only(made)[1] is State.COUNTING
    wish(made, range(most, most + 1), LABELS, 0.5)
    assert only(made)[1] is State.HELD
    assert made.changed
    made.turn(1000.0)
    assert gone(made, range(most + 1)) == []


def test_what_a_namespace_has_is_counted_apart_from_what_its_type_has() -> None:
    made = Ledger(lambda by_name, name, namespace: 10_000 if name else 20, lambda: "g")
    for number in range(6):
        made.wish(key(number, "shop"), {"m1": Wish(LABELS)}, 0.0)
    assert only(made) == ("g", State.HELD)
    assert "6 of 20 copies in namespace 'shop'" in made.groups["g"].why


def test_one_object_in_many_clusters_is_known_at_once() -> None:
    made = ledger()
    made.wish(key(1), {f"m{number}": Wish(EDITS) for number in range(40)}, 0.0)
    assert only(made)[1] is State.HELD
    assert not any(made.goes(key(1), f"m{number}") for number in range(40))


def test_what_a_namespace_has_in_it_counts_before_it_is_wanted_itself() -> None:
    """A FederatedNamespace is planned before its objects: its Namespace must not go alone, with all that is in it."""
    made = ledger()
    namespace = Key("namespaces", "shop", "shop")
    made.wish(namespace, {"m1": Wish(SHOP, {"configmaps": 300})}, 0.0)
    assert only(made)[1] is State.HELD


def test_a_small_namespace_is_looked_into_before_it_goes() -> None:
    made = ledger()
    namespace, inside = Key("namespaces", "shop", "shop"), Key("configmaps", "shop", "web")
    made.wish(namespace, {"m1": Wish(SHOP, {"configmaps": 1})}, 0.0)
    made.wish(inside, {"m1": Wish(SHOP)}, 0.1)
    look = Look("g1", Place("m1", "shop"))
    assert made.turn(5.0).looks == (look,)
    assert not made.goes(namespace, "m1")
    assert made.looked(look, "", 5.5).wake == {namespace, inside}
    assert made.goes(namespace, "m1")


def test_a_namespace_with_something_of_others_holds_its_group() -> None:
    made = ledger()
    namespace = Key("namespaces", "shop", "shop")
    made.wish(namespace, {"m1": Wish(SHOP, {})}, 0.0)
    [look] = made.turn(5.0).looks
    made.looked(look, "has Pod 'db'", 5.5)
    assert only(made) == ("g1", State.HELD)
    assert "namespace 'shop' in m1 has Pod 'db'" in made.groups["g1"].why


def test_a_namespace_that_is_deleted_by_name_is_not_looked_into() -> None:
    made = ledger()
    made.wish(Key("namespaces", "shop", "shop"), {"": Wish(BY_NAME)}, 0.0)
    assert made.goes(Key("namespaces", "shop", "shop"), "")


def test_approval_lets_the_group_go_and_what_follows_from_the_same_change() -> None:
    made = ledger()
    wish(made, range(20), LABELS, 0.0)
    name, _ = only(made)
    assert made.approve(name, 10.0) == {key(number) for number in range(20)}
    wish(made, range(20, 25), LABELS, 11.0)
    assert gone(made, range(25)) == list(range(25))
    other = Change(Kind.LABELS, "m1", "b")
    wish(made, range(30, 50), other, 12.0)
    assert gone(made, range(30, 50)) == [], "another change was not approved"


def test_rejected_ones_stay_until_another_change() -> None:
    made = ledger()
    wish(made, range(20), SHOP, 0.0)
    name, _ = only(made)
    assert made.reject(name) == {key(number) for number in range(20)}
    made.turn(500.0)
    wish(made, range(20, 21), SHOP, 500.0)
    assert gone(made, range(21)) == []
    assert made.approve(name, 600.0), "a person may think better of it"


def test_a_change_that_is_taken_back_leaves_no_trace() -> None:
    made = ledger()
    wish(made, range(20), LABELS, 0.0)
    made.changed = False
    for number in range(20):
        made.keep(key(number), ())
    assert not made
    assert made.changed
    assert made.next() == float("inf")


def test_a_held_deletion_stays_held_when_its_object_is_edited() -> None:
    made = ledger()
    wish(made, range(20), EDITS, 0.0)
    for number in range(20):
        made.wish(key(number), {"m1": Wish(EDITS)}, 1000.0 + number)
    assert gone(made, range(1, 20)) == []
    assert len(made.groups) == 1


def test_what_comes_a_window_later_is_another_group() -> None:
    made = ledger()
    wish(made, range(20), EDITS, 0.0)
    made.wish(key(99), {"m1": Wish(EDITS)}, WINDOW + 0.1)
    assert made.goes(key(99), "m1"), "the one that had gone before is out of the window"
    assert len(made.groups) == 2


def test_a_change_that_goes_on_for_long_is_counted_whole() -> None:
    """Members come back one after the other: what follows from one change is one change."""
    made = ledger()
    for number in range(20):
        now = number * 2 * WINDOW
        made.wish(key(number), {"m1": Wish(LABELS)}, now)
        made.turn(now + LONGEST)
        if made.goes(key(number), "m1"):
            made.keep(key(number), ())  # it is gone
    assert sum(1 for group in made.groups.values() for _ in group.waiting) == 10
    made.wish(key(50), {"m1": Wish(LABELS)}, 20 * 2 * WINDOW + SPENT)
    assert not made.goes(key(50), "m1"), "it is held with the others"


def test_nothing_waits_where_it_is_switched_off() -> None:
    made = ledger(budget=DeletionBudget(enabled=False))
    wish(made, range(100), LABELS, 0.0)
    assert gone(made, range(100)) == list(range(100))


def test_deletions_by_name_can_be_left_out() -> None:
    made = ledger(budget=DeletionBudget(by_name=False))
    wish(made, range(100), BY_NAME, 0.0, cluster="")
    assert gone(made, range(100), "") == list(range(100))
    wish(made, range(100), LABELS, 0.0)
    assert gone(made, range(100)) == []


def test_what_is_held_stays_held_when_it_is_switched_off() -> None:
    made = ledger()
    wish(made, range(100), LABELS, 0.0)
    made.budget = DeletionBudget(enabled=False)
    wish(made, range(100), LABELS, 10.0)
    made.turn(20.0)
    assert gone(made, range(100)) == []


@pytest.mark.parametrize("state", [State.HELD, State.REJECTED])
def test_an_earlier_controller_held_it(state: State) -> None:
    """What is left of a group may be fewer than the budget lets go: it is held all the same."""
    made = ledger()
    made.resume("old", EDITS, state, "why", 0.0)
    made.wish(key(1), {"m1": Wish(EDITS)}, 400.0, named="old", first={"m1"})
    made.turn(590.0)
    assert gone(made, range(2)) == []
    assert only(made) == ("old", state)


def test_an_earlier_controller_held_it_and_no_status_says_so() -> None:
    made = ledger()
    made.resume("old", EDITS, State.HELD, "why", 0.0)
    made.resume("labels", LABELS, State.HELD, "why", 0.0)
    made.wish(key(1), {"m1": Wish(EDITS)}, 200.0, first={"m1"})
    made.wish(key(2), {"m1": Wish(LABELS)}, 200.0)
    made.wish(key(3), {"m1": Wish(EDITS)}, 201.0 + WINDOW)
    made.turn(300.0)
    assert gone(made, range(4)) == [3], "this was edited now"


def test_what_nobody_wants_any_more_of_an_earlier_hold_ends_after_a_while() -> None:
    made = ledger()
    made.resume("old", LABELS, State.HELD, "why", 0.0)
    assert made.next() == RESUMED
    made.turn(RESUMED - 1)
    assert made
    made.turn(RESUMED)
    assert not made


def test_what_is_taken_back_after_a_restart_leaves_no_trace_either() -> None:
    made = ledger()
    made.resume("old", LABELS, State.HELD, "why", 0.0)
    made.wish(key(1), {"m1": Wish(LABELS)}, 1.0)
    made.keep(key(1), ())
    assert not made
    made.wish(key(2), {"m1": Wish(LABELS)}, 2.0, named="old", first={"m1"})
    assert only(made) == ("old", State.HELD), "its status says so: another member was not listed before"


def test_what_was_left_behind_always_asks() -> None:
    made = ledger()
    made.wish(key(1), {"m1": Wish(Change(Kind.DEBT, "uid"))}, 0.0)
    assert only(made)[1] is State.HELD


def test_a_process_that_begins_lets_go_only_what_comes_alone_for_one_window() -> None:
    """What the one before has let go is not known, and lists are missing by which it is judged."""
    made = Ledger(lambda by_name, name, namespace: 10, lambda: "g", began=0.0)
    wish(made, range(5), EDITS, 1.0)
    assert gone(made, range(5)) == [0]
    assert made.next() == WINDOW
    made.turn(WINDOW - 1)
    assert gone(made, range(5)) == [0]
    made.turn(WINDOW)
    assert gone(made, range(5)) == list(range(5))


def test_what_is_deleted_by_name_in_young_namespaces_is_counted_for_each_alone() -> None:
    """Tests and previews come and go, many a minute; one of them that loses more than its budget is held."""
    made = ledger(0)
    for number in range(40):
        made.wish(key(number), {"": Wish(Change(Kind.BY_NAME, version=f"ns-{number}"))}, 0.1 * number)
    assert gone(made, range(40), "") == list(range(40))
    for number in range(50, 56):
        made.wish(key(number, "busy"), {"": Wish(Change(Kind.BY_NAME, version="busy"))}, 5.0)
    assert [each.why for each in made.groups.values() if each.state is State.HELD] == [
        "5 of 0 federated objects in namespace 'busy' would be deleted after 1 that have gone, and 5 go by themselves"
    ]
    wish(made, range(60, 61), BY_NAME, 6.0, "")
    assert gone(made, range(60, 61), "") == [60], "what went in young ones is apart: this one comes alone"
    wish(made, range(61, 62), BY_NAME, 6.0, "")
    assert gone(made, range(60, 62), "") == [60]


def test_a_start_delays_what_is_deleted_in_a_young_namespace_only_where_it_seems_to_be_much() -> None:
    made = ledger(0, began=0.0)
    for number in range(2):
        made.wish(key(number, "young"), {"": Wish(Change(Kind.BY_NAME, version="young"))}, 3.0)
    made.turn(3.0 + SETTLE)
    assert all(made.goes(key(number, "young"), "") for number in range(2))
    for number in range(10, 20):
        made.wish(key(number, "busy"), {"": Wish(Change(Kind.BY_NAME, version="busy"))}, 6.0)
    made.turn(6.0 + LONGEST)
    assert not [each for each in made.groups.values() if each.state is State.HELD]
    made.turn(WINDOW)
    assert [each.change.version for each in made.groups.values() if each.state is State.HELD] == ["busy"]


@pytest.mark.parametrize(
    ("created", "deleted", "young"),
    [
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:01Z", True),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:09:59Z", True),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:10:00Z", False),
        ("2026-01-01T10:00:00Z", None, False),
        ("", "2026-01-01T10:00:00Z", False),
        ("yesterday", "2026-01-01T10:00:00Z", False),
    ],
)
def test_how_long_a_namespace_was_there_is_told_by_the_hubs_own_times(
    created: str, deleted: str | None, young: bool
) -> None:
    assert brief(DatedMetadata(name="ns", creation_timestamp=created), deleted) is young
    assert YOUNG == 600


def test_a_namespace_of_which_no_time_is_known_is_not_young() -> None:
    assert not brief(None, "2026-01-01T10:00:00Z")
    assert not brief(Metadata(name="ns"), "2026-01-01T10:00:00Z")


def test_nothing_is_held_for_what_lists_do_not_show_yet() -> None:
    there = [0]
    made = Ledger(lambda by_name, name, namespace: there[0], lambda: "g", began=0.0)
    wish(made, range(20), LABELS, 1.0)
    assert only(made)[1] is State.COUNTING
    there[0] = 1000
    made.turn(WINDOW)
    assert gone(made, range(20)) == list(range(20))


CHANGES = [
    LABELS,
    Change(Kind.LABELS, "m2", "a"),
    EDITS,
    BY_NAME,
    SHOP,
    Change(Kind.HUB_NAMESPACE, "shop", "u"),
    Change(Kind.RETURNED),
]


class Story:
    """What happens to deletions in one hub, with several processes one after the other; nobody approves anything."""

    def __init__(self, placements: int, budget: DeletionBudget) -> None:
        self.placements, self.budget = placements, budget
        self.made = ledger(placements, budget=budget)
        self.now = 0.0
        self.went: dict[tuple[Key, str], tuple[float, Change]] = {}
        self.wanted: dict[tuple[Key, str], Change] = {}
        self.held: set[tuple[Key, str]] = set()
        """Held when an earlier process ended."""
        self.starts: list[float] = []
        self.looks: list[Look] = []

    def wish(self, number: int, change: Change, odd: bool) -> None:
        """A copy of an object, or of a namespace, is to go."""
        each = Key("namespaces", f"n{number}", f"n{number}") if odd else Key("configmaps", "ns", f"o{number}")
        if any(key == each for key, _ in self.went):
            return
        inside: Mapping[str, int] | None = {"configmaps": number % 3} if odd else None
        cluster = "" if change.kind.by_name else "m1"
        before = self.wanted.get((each, cluster))
        if not change.kind.burst or before != change:
            self.held = {place for place in self.held if place[0] != each}  # it is another change
        self.made.keep(each, (cluster,))
        self.made.wish(each, {cluster: Wish(change, inside)}, self.now)
        self.wanted = {place: why for place, why in self.wanted.items() if place[0] != each}
        self.wanted[each, cluster] = change

    def gone(self, number: int, change: Change, odd: bool) -> None:
        """An object is gone, or placed there again."""
        each = Key("configmaps", "ns", f"o{number}")
        self.made.keep(each, ())
        self.wanted = {place: why for place, why in self.wanted.items() if place[0] != each}
        self.held = {place for place in self.held if place[0] != each}

    def turn(self, number: int, change: Change, odd: bool) -> None:
        """What is due is decided."""
        self.looks += self.made.turn(self.now).looks

    def look(self, number: int, change: Change, odd: bool) -> None:
        """A namespace was looked into."""
        if self.looks:
            self.made.looked(self.looks.pop(), "has a Pod" if odd else "", self.now)

    def restart(self, number: int, change: Change, odd: bool) -> None:
        """Another process has what was told of groups, and plans everything anew."""
        before, self.made = self.made, ledger(self.placements, budget=self.budget, began=self.now)
        self.starts.append(self.now)
        self.looks.clear()
        for group in before.groups.values():
            if group.state.told:
                self.held |= group.waiting
                self.made.resume(group.id, group.change, group.state, group.why, self.now)
        for (each, cluster), why in self.wanted.items():
            if (each, cluster) not in self.went:
                self.made.wish(each, {cluster: Wish(why)}, self.now, first={cluster})

    def note(self) -> None:
        """What may go now has gone."""
        for (each, cluster), change in self.wanted.items():
            if (each, cluster) not in self.went and self.made.goes(each, cluster):
                self.went[each, cluster] = (self.now, change)


STEPS = ("wish",) * 10 + ("turn",) * 4 + ("gone", "look", "look", "restart")
PAUSES = (0.0, 0.0, 0.1, 0.5, 2.0, 6.0, 20.0, 61.0)


@given(chance=st.randoms(use_true_random=False))
def test_never_more_than_the_budget_goes_in_a_window_or_of_a_change(chance: Random) -> None:
    """Whatever comes in whatever order, with looks that find something or nothing, and restarts.

    Each start may let one deletion go that comes alone. What is held when a process ends never goes.
    """
    placements, percent, minimum = chance.randint(0, 100), chance.choice((0, 5, 10, 50)), chance.randint(0, 6)
    story = Story(placements, DeletionBudget(percent=percent, minimum=minimum))
    most = max(minimum, placements * percent // 100)
    changes = chance.sample(CHANGES, chance.randint(1, len(CHANGES)))
    steps = STEPS if chance.random() < 0.5 else STEPS[:-1]
    for _ in range(100):
        story.now += chance.choice(PAUSES)
        happens = getattr(story, chance.choice(steps))
        happens(chance.randint(0, 60), chance.choice(changes), chance.random() < 0.1)
        story.note()
        assert not story.held & story.went.keys()
    for by_name, kind in itertools.product((False, True), ("configmaps", "namespaces")):
        mine = [each for (key, _), each in story.went.items() if each[1].kind.by_name is by_name and key.type == kind]
        for at, _ in mine:
            alone = sum(1 for start in story.starts if at - WINDOW <= start <= at + WINDOW)
            assert sum(1 for other, _ in mine if at <= other <= at + WINDOW) <= most + alone
        for change, number in Counter(change for _, change in mine).items():
            times = [at for at, each in mine if each == change]
            assert number <= most or change.kind.burst or max(times) - min(times) > SPENT or story.starts
