"""What the statuses of an object's copies say together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import wellbeing
from federation.model.observations import Collected
from federation.model.status import Summary

GOOD = Collected(1, 3, 3, 3)
BAD = Collected(1, 3, 1, 3, "1 of 3 replicas are available")


@pytest.mark.parametrize(
    ("found", "selected", "unknown", "summary", "verdict"),
    [
        ({"m1": GOOD}, {"m1"}, set(), Summary(3, 3, 3), ("True", "ClustersHealthy", "1 cluster is healthy")),
        ({}, set(), set(), Summary(), ("True", "NoClusterSelected", "no cluster is selected")),
        (
            {"m1": GOOD, "m2": BAD},
            {"m1", "m2"},
            set(),
            Summary(6, 4, 6, 1),
            ("False", "ClustersUnhealthy", "1 of 2 clusters are not healthy; m2: 1 of 3 replicas are available"),
        ),
        (
            {"m1": GOOD, "m2": GOOD},
            {"m1", "m2"},
            {"m2"},
            Summary(3, 3, 3, 0, 1),
            ("Unknown", "ClustersUnknown", "the status is not known of m2"),
        ),
        (
            {"m1": BAD},
            {"m1", "m2", "m3"},
            {"m3"},
            Summary(3, 1, 3, 2, 1),
            (
                "False",
                "ClustersUnhealthy",
                "2 of 3 clusters are not healthy; m1: 1 of 3 replicas are available; m2: it has no copy; "
                "the status is not known of m3",
            ),
        ),
        (
            {"m1": GOOD, "leaving": BAD},
            {"m1"},
            {"gone"},
            Summary(3, 3, 3),
            ("True", "ClustersHealthy", "1 cluster is healthy"),
        ),
        (
            {f"m{number}": BAD for number in range(5)},
            {f"m{number}" for number in range(5)},
            set(),
            Summary(15, 5, 15, 5),
            (
                "False",
                "ClustersUnhealthy",
                "5 of 5 clusters are not healthy; m0: 1 of 3 replicas are available; m1: 1 of 3 replicas are "
                "available; m2: 1 of 3 replicas are available; and 2 more",
            ),
        ),
    ],
)
def test_table(
    found: dict[str, Collected], selected: set[str], unknown: set[str], summary: Summary, verdict: tuple[str, str, str]
) -> None:
    made = wellbeing.assess(found, selected, unknown, 7)
    assert made.summary == summary
    assert made.condition is not None
    assert (made.condition.status, made.condition.reason, made.condition.message) == verdict
    assert made.condition.observed_generation == 7


NAMES = st.sets(st.sampled_from([f"m{number}" for number in range(8)]))


@given(
    st.dictionaries(st.sampled_from([f"m{number}" for number in range(8)]), st.sampled_from([GOOD, BAD])), NAMES, NAMES
)
def test_healthy_means_that_every_selected_cluster_is_known_to_be_well(
    found: dict[str, Collected], selected: set[str], unknown: set[str]
) -> None:
    made = wellbeing.assess(found, selected, unknown, 1)
    assert made.condition is not None
    assert made.summary is not None
    well = all(found.get(name) == GOOD and name not in unknown for name in selected)
    assert (made.condition.status == "True") is well
    assert made.summary.unhealthy_clusters + made.summary.unknown_clusters <= len(selected)
    assert (made.condition.status == "False") is (made.summary.unhealthy_clusters > 0)
