"""The long outage's story, its judgement and its options; what it brings about, `make soak OUTAGE=...` shows."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.outage import __main__ as outage
from e2e.outage import assessing, story
from e2e.outage.run import Options
from e2e.outage.samples import Exposition, percentiles
from e2e.outage.story import Story, Wish

MEMBERS = ("m1", "m2", "m3")


@given(st.integers(0, 1000), st.integers(0, 200))
def test_a_story_can_be_told_again_and_its_bookkeeping_is_true(seed: int, acts: int) -> None:
    reported, again = Story(30, MEMBERS, "m3", seed), Story(30, MEMBERS, "m3", seed)
    before = dict(reported.wishes)
    names = set(before)
    for _ in range(acts):
        act = reported.next()
        assert act == again.next()
        assert (act.before is None) is (act.name not in names)  # a name is never used twice
        names.add(act.name)
        assert reported.wishes.get(act.name) == act.after
    assert all(reported.wishes[name] == before[name] for name in reported.still)
    due = story.due(before, reported.wishes, "m3")
    held = story.expected(before, "m3")
    for name in due.deleted:
        del held[name]
    for name in due.created | due.updated:
        held[name] = story.expected(reported.wishes, "m3")[name]
    assert held == story.expected(reported.wishes, "m3")
    assert due.created | due.updated | due.deleted | due.untouched == names
    assert reported.still <= due.untouched


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        pytest.param(None, Wish(1, frozenset(MEMBERS)), "created", id="made-meanwhile"),
        pytest.param(Wish(1, frozenset({"m1"})), Wish(1, frozenset({"m3"})), "created", id="moved-in"),
        pytest.param(Wish(1, frozenset({"m3"})), Wish(4, frozenset({"m3"})), "updated", id="changed"),
        pytest.param(Wish(1, frozenset({"m3"})), None, "deleted", id="deleted"),
        pytest.param(Wish(1, frozenset({"m3"})), Wish(2, frozenset({"m1"})), "deleted", id="moved-out"),
        pytest.param(Wish(1, frozenset({"m1"})), Wish(9, frozenset({"m1"})), "untouched", id="of-others"),
        pytest.param(Wish(1, frozenset({"m3"})), Wish(1, frozenset({"m3"})), "untouched", id="out-and-in-again"),
    ],
)
def test_what_a_member_has_missed(before: Wish | None, after: Wish | None, kind: str) -> None:
    due = story.due({"x": before} if before else {}, {"x": after} if after else {}, "m3")
    assert {each: "x" in getattr(due, each) for each in assessing.ONCE} == {
        each: each == kind for each in assessing.ONCE
    }


def good() -> dict[str, Any]:
    """A run in which all was well."""
    sample = {"waiting": 3, "later": 2, "lane": 0, "rss": 100.0}
    return {
        "outage": {
            "seconds": 3600,
            "began_at": 20.0,
            "not_ready_after_s": 24.0,
            "ready_moves": ["True ClusterReady", "False ClusterNotReachable"],
            "cluster_writes": 12,
            "still_hub_writes": [1],
            "healthy_surprises": [],
            "samples": [{**sample, "at": 20.0 + 30 * number, "lane": 40 if number < 1 else 0} for number in range(100)],
        },
        "return": {
            "due": {"created": 2, "updated": 1, "deleted": 1, "untouched": 9},
            "writes_per_object": {"created": {1: 2}, "updated": {1: 1}, "deleted": {1: 1}, "untouched": {0: 9}},
            "applies": 3,
            "deletes": 1,
            "most_in_flight": 16,
            "healthy_surprises": [],
            "writes_at_rest": 0,
            "differences": [],
        },
    }


def change(part: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda measured: measured[part].update(values)


def sample(number: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda measured: measured["outage"]["samples"][number].update(values)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(change("outage", not_ready_after_s=None), "not ready after None", id="never-noticed"),
        pytest.param(change("outage", not_ready_after_s=300.0), "not ready after 300", id="noticed-late"),
        pytest.param(
            change("outage", ready_moves=["False ClusterNotReachable", "True ClusterReady", "False ClusterNotReady"]),
            "its Ready moved",
            id="flapped",
        ),
        pytest.param(change("outage", cluster_writes=360), "more than a heartbeat", id="a-write-per-probe"),
        pytest.param(change("outage", still_hub_writes=[1, 2]), "not once", id="status-twice"),
        pytest.param(change("outage", healthy_surprises=["m1 x: 2 writes, not 1"]), "m1 x", id="others-were-touched"),
        pytest.param(sample(50, waiting=900), "more than one entry", id="queue"),
        pytest.param(sample(50, later=900), "more than one entry", id="timers"),
        pytest.param(sample(50, lane=1), "wait in the lane", id="lane"),
        pytest.param(sample(99, rss=140.0), "memory grew", id="memory"),
        pytest.param(change("outage", samples=[{"at": 21.0, "waiting": 0, "later": 0}]), "was over before", id="short"),
        pytest.param(
            change("return", writes_per_object={"updated": {1: 5, 2: 1}}), "updated objects were", id="written-twice"
        ),
        pytest.param(
            change("return", writes_per_object={"untouched": {0: 8, 1: 1}}), "untouched objects", id="touched"
        ),
        pytest.param(change("return", applies=4), "4 applies for 3", id="applies-that-changed-nothing"),
        pytest.param(change("return", deletes=0), "0 deletes for 1", id="left-behind"),
        pytest.param(change("return", most_in_flight=200), "200 writes at once", id="flood"),
        pytest.param(change("return", healthy_surprises=["m2 y"]), "m2 y", id="others-at-the-return"),
        pytest.param(change("return", writes_at_rest=1), "while nobody did", id="no-rest"),
        pytest.param(change("return", differences=["m3 x: holds 1, not 2"]), "holds 1", id="difference"),
    ],
)
def test_what_is_wrong_is_said(spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    measured = copy.deepcopy(good())
    assert assessing.findings(measured, 800) == []
    spoil(measured)
    found = assessing.findings(measured, 800)
    assert len(found) == 1
    assert message in found[0]


def test_options_are_numbers() -> None:
    assert outage.read({}) == Options(3600.0, 400, 3, 7.0, 1)
    read = outage.read({"OUTAGE": "60", "OUTAGE_MEMBERS": "2", "OUTAGE_EVERY": "0.5", "OUTAGE_OBJECTS": ""})
    assert read == Options(60.0, 400, 2, 0.5, 1)
    for name, value in (("OUTAGE", "an hour"), ("OUTAGE_MEMBERS", "1"), ("OUTAGE_OBJECTS", "2")):
        with pytest.raises(ValueError, match=name):
            outage.read({name: value})


def test_metrics_are_summed_over_what_is_not_named() -> None:
    reported = Exposition('# HELP a x\na{name="sync"} 3.0\na{name="types"} 4\nb 1e3\na_other{name="sync"} 9\n')
    assert (reported.total("a"), reported.total("a", name="sync"), reported.total("b"), reported.total("c")) == (
        7.0,
        3.0,
        1000.0,
        0,
    )


def test_percentiles_of_nothing_are_nothing() -> None:
    assert percentiles([]) == {}
    assert percentiles([0.002] * 19 + [1.0]) == {"count": 20, "p50_ms": 2.0, "p95_ms": 1000.0, "max_ms": 1000.0}
