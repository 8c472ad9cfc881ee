"""How often a status is written: few clusters soon, many a little later, and in all a bounded few times."""

import pytest

from federation.core import cadence


@pytest.mark.parametrize(("clusters", "seconds"), [(0, 2.0), (1, 2.1), (100, 12.0), (180, 20.0), (3500, 20.0)])
def test_many_clusters_are_waited_for_longer_and_never_long(clusters: int, seconds: float) -> None:
    assert cadence.settle(clusters) == pytest.approx(seconds)


def test_an_object_that_goes_is_reported_only_when_that_hangs() -> None:
    assert cadence.settle(2, goes=True) == cadence.settle(3500, goes=True) == cadence.REMIND


def test_agents_are_waited_for_longer_and_no_longer_than_many_clusters() -> None:
    assert cadence.settle(2, by_agents=True) == cadence.BY_AGENTS
    assert cadence.settle(3500, by_agents=True) == cadence.settle(3500)
    assert cadence.settle(2, goes=True, by_agents=True) == cadence.REMIND


@pytest.mark.parametrize(("clusters", "seconds"), [(0, 0.0), (9, 0.0), (30, 0.3), (100, 1.0), (3500, 1.0)])
def test_settled_changes_of_a_small_object_do_not_wait(clusters: int, seconds: float) -> None:
    assert cadence.pause(clusters) == pytest.approx(seconds)


def test_what_does_not_settle_is_reported_ever_more_rarely() -> None:
    at = [cadence.settle(1000)]
    while at[-1] < 600:
        at.append(cadence.following(at[-1]))
    assert at == [20, 30, 60, 120, 240, 360, 480, 600]


@pytest.mark.parametrize(("clusters", "seconds"), [(0, 0.0), (99, 0.0), (100, 0.0025), (1000, 0.025), (3500, 0.0875)])
def test_only_objects_in_many_clusters_rest_between_plans(clusters: int, seconds: float) -> None:
    assert cadence.rest(clusters) == pytest.approx(seconds)
