"""What unschedulable replicas say of a cluster's room, and how long that is believed."""

import pytest

from federation.core import shortages
from federation.model.preferences import Place, Shortage, Shown

NOW = 1_000_000.0
FULL = Shortage(3, NOW - 100, NOW - 40, shortages.FIRST_TRY)


def place(shown: Shown | None, number: int = 5, shortage: Shortage | None = None) -> Place:
    return Place("m1", number=number, scheduled=True, shown=shown, shortage=shortage)


def stuck(replicas: int, *ages: float, existing: int | None = None) -> Shown:
    """Replicas of which some have been unschedulable for so many seconds."""
    return Shown(replicas, replicas - len(ages), existing, tuple(NOW - age for age in ages))


@pytest.mark.parametrize(
    ("shown", "room"),
    [
        pytest.param(None, None, id="not-read"),
        pytest.param(Shown(5, 5), None, id="all-ready"),
        pytest.param(Shown(5, 0), None, id="starting"),
        pytest.param(stuck(5, 61, 100), 3, id="two-for-a-minute"),
        pytest.param(stuck(5, 59), None, id="not-for-a-minute"),
        pytest.param(stuck(5, 61, 10), None, id="others-are-waited-for"),
        pytest.param(stuck(5, 121, 10), 4, id="but-not-for-ever"),
        pytest.param(stuck(5, *[90] * 5), 0, id="all"),
        pytest.param(stuck(5, *[90] * 9), 0, id="more-than-there-should-be"),
        pytest.param(stuck(4, 90), None, id="another-number-is-asked-for"),
        pytest.param(stuck(5, 90, 90, existing=6), 4, id="one-of-them-goes-anyway"),
        pytest.param(stuck(5, 90, 90, existing=7), None, id="both-go-anyway"),
        pytest.param(stuck(5, 90, 90, existing=4), 3, id="one-was-not-made"),
        pytest.param(Shown(5, 2, problem="may not"), None, id="not-known"),
        pytest.param(stuck(5, -20), None, id="the-members-clock-is-ahead"),
    ],
)
def test_what_is_seen_first(shown: Shown | None, room: int | None) -> None:
    found = shortages.assess(place(shown), NOW, rebalance=False)
    assert (None if found is None else found.room) == room


def test_when_those_that_wait_will_count() -> None:
    assert shortages.ripe(Shown(5, 5), NOW) is None
    assert shortages.ripe(stuck(5, 10, 59), NOW) == 1
    assert shortages.ripe(stuck(5, 61, 110), NOW) == 10
    assert shortages.ripe(stuck(5, 200), NOW) is None


def test_what_was_counted_is_not_counted_again() -> None:
    """Fewer are asked for, and those that did not fit are still there."""
    found = shortages.assess(place(stuck(3, 140, 140), 3, FULL), NOW, rebalance=True)
    assert found is not None
    assert (found.room, found.lingering) == (3, True)


def test_what_comes_later_is_counted() -> None:
    found = shortages.assess(place(stuck(3, 140, 70), 3, FULL), NOW, rebalance=True)
    assert found is not None
    assert found.room == 2


def test_what_does_not_go_counts_once_more_after_a_while() -> None:
    found = shortages.assess(place(stuck(3, 900), 3, FULL), NOW + shortages.ANEW, rebalance=True)
    assert found is not None
    assert found.room == 2


def test_those_that_lingered_and_go_show_that_there_is_room() -> None:
    lingering = Shortage(3, NOW - 100, NOW - 40, 300, lingering=True)
    assert shortages.assess(place(Shown(3, 3), 3, lingering), NOW, rebalance=True) is None
    assert shortages.assess(place(Shown(3, 3), 3, FULL), NOW, rebalance=True) == FULL


def test_more_than_there_was_room_for_fits_now() -> None:
    """Nobody else had room, so that they were asked for there all the same."""
    assert shortages.assess(place(Shown(5, 5), 5, FULL), NOW, rebalance=False) is None
    waiting = shortages.assess(place(stuck(5, 140, 140), 5, FULL), NOW, rebalance=False)
    assert waiting is not None
    assert waiting.room == 3


def test_one_more_is_tried_only_with_rebalance() -> None:
    later = NOW + shortages.FIRST_TRY
    assert shortages.assess(place(Shown(3, 3), 3, FULL), later, rebalance=False) is None
    trying = shortages.assess(place(Shown(3, 3), 3, FULL), later, rebalance=True)
    assert trying is not None
    assert shortages.room(trying) == 4
    assert shortages.again(trying, later) == shortages.PROVEN
    fits = shortages.assess(place(Shown(4, 4), 4, trying), later + shortages.PROVEN, rebalance=True)
    assert fits is None


def test_each_try_that_fails_makes_the_next_one_later() -> None:
    now, known = NOW, FULL
    waits = []
    for _ in range(6):
        now += known.wait
        trying = shortages.assess(place(Shown(3, 3), 3, known), now, rebalance=True)
        assert trying is not None
        assert trying.trying is not None
        now += 70
        failed = shortages.assess(place(Shown(4, 3, 4, (now - 65,)), 4, trying), now, rebalance=True)
        assert failed is not None
        assert (failed.room, failed.trying) == (3, None)
        waits.append(failed.wait)
        known = failed
    assert waits == [600, 1200, 2400, 3600, 3600, 3600]
