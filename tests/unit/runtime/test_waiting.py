"""Which key is next: flows take turns, a single change does not wait for a bulk, and every key has its turn."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.runtime.waiting import LONG, Waiting

Named = tuple[str, int]
"""Namespace and number."""


def by_namespace() -> Waiting[Named]:
    return Waiting(lambda key: key[0])


def order(waiting: Waiting[Named]) -> list[Named]:
    keys = []
    while (taken := waiting.take()) is not None:
        keys.append(taken[0])
    return keys


@pytest.mark.parametrize("urgent", [True, False])
def test_flows_take_turns(urgent: bool) -> None:
    waiting = by_namespace()
    for number in range(1000):
        waiting.add(("bulk", number), urgent=urgent)
    waiting.take()
    waiting.add(("mine", 0), urgent=urgent)
    waiting.add(("other", 0), urgent=urgent)
    assert {key[0] for key in order(waiting)[:3]} == {"bulk", "mine", "other"}


def test_a_single_change_does_not_wait_for_a_bulk_of_its_own_namespace() -> None:
    waiting = by_namespace()
    for number in range(1000):
        waiting.add(("a", number), urgent=True)
    waiting.take()
    waiting.add(("a", -1), urgent=True)
    assert ("a", -1) in order(waiting)[:2]


@pytest.mark.parametrize(("length", "urgent"), [(LONG - 1, True), (5 * LONG, False)], ids=["short", "not-urgent"])
def test_first_come_first_served(length: int, urgent: bool) -> None:
    waiting = by_namespace()
    for number in range(length):
        waiting.add(("a", number), urgent=urgent)
    assert order(waiting) == [("a", number) for number in range(length)]


@pytest.mark.parametrize("seed", range(20))
def test_no_urgent_key_waits_longer_than_its_bound(seed: int) -> None:
    """However many newer ones come: each by its place in its flow."""
    draw = random.Random(seed)
    first = draw.randrange(1, 60)
    waiting = by_namespace()
    for number in range(first):
        waiting.add(("a", number), urgent=True)
    newer, turns = first, 0
    left = set(range(first))
    while left:
        for _ in range(draw.randrange(1, 4)):
            waiting.add((draw.choice("ab"), newer), urgent=True)
            newer += 1
        taken = waiting.take()
        assert taken is not None
        namespace, number = taken[0]
        turns += namespace == "a"
        left.discard(number)
        assert all(turns < 2 * (number + 1) for number in left), (turns, left)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "urgent", "take", "withdraw", "drain"]), st.sampled_from("ab"), st.integers(0, 30)
        ),
        max_size=60,
    )
)
def test_no_key_is_lost_or_doubled(steps: list[tuple[str, str, int]]) -> None:
    waiting = by_namespace()
    model: dict[Named, bool] = {}
    for step, namespace, number in steps:
        name = (namespace, number)
        match step:
            case "add" | "urgent":
                assert waiting.add(name, urgent=step == "urgent") == (name not in model)
                model[name] = model.get(name, False) or step == "urgent"
            case "withdraw":
                assert waiting.withdraw(name) == (model.pop(name, None) is not None)
            case "drain":
                assert sorted(waiting.drain()) == sorted(model)
                model.clear()
            case _:
                taken = waiting.take()
                assert (taken is None) == (not model)
                if taken is not None:
                    assert model.pop(taken[0]) == taken[1]
        assert len(waiting) == len(model)
        assert waiting.places >= len(model)
    assert sorted(order(waiting)) == sorted(model)
    assert waiting.take() is None
