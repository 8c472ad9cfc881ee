"""A rollout whose record was lost: nobody is written because of that, and what is known is known again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import rollouts
from federation.core.rollouts import State
from federation.model.rollouts import Amount, Entry, Place, Record, Stage, Verdict, Wish

NOON = 1_767_268_800.0
NAMES = ("m1", "m2", "m3", "m4")
CANARY = Stage("canary", names=("m1",), soak=60.0)
GENERATIONS = {"A": 1, "B": 2, "C": 3, "D": 4}


def entry(content: str, name: str = "web") -> Entry:
    return Entry("configmaps", name, "u", content, GENERATIONS[content])


def wish(content: str, *stages: Stage, **others: Any) -> Wish:
    return replace(Wish(stages or (CANARY,), (entry(content),)), **others)


def fleet(asked: str, **has: str) -> dict[str, Place]:
    """What each cluster has of web: a content, "?" for one that is not stored, "" for nothing."""
    return {
        name: Place(
            name,
            has=(entry(content),) if content not in {"", "?"} else (),
            copies=content != "",
            older=content not in {"", asked},
        )
        for name, content in has.items()
    }


def assigned(record: Record, name: str) -> str:
    """The content that a cluster is held to; "?" where it is left as it is."""
    revision = record.revision(record.holds.get(name, record.good))
    return revision.objects[0].content if revision is not None and revision.objects else "?"


def anew(asked: Wish, places: Mapping[str, Place]) -> Record:
    decision = rollouts.decide(asked, Record(), places, NOON)
    assert decision.state is State.LOST
    assert [(each.reason, each.warning) for each in decision.news] == [("RecordLost", True)]
    return decision.record


@pytest.mark.parametrize(
    ("has", "asked", "held", "good"),
    [
        pytest.param("BAAA", "B", "BAAA", "A", id="the-canary-was-released"),
        pytest.param("AAAA", "B", "AAAA", "A", id="nobody-was-released-yet"),
        pytest.param("BBAA", "B", "BBAA", "A", id="two-stages-were"),
        pytest.param("BAAA", "C", "BAAA", "A", id="superseded"),
        pytest.param("CBAA", "D", "CBAA", "A", id="superseded-twice"),
        pytest.param("BA?A", "B", "BA?A", "A", id="of-one-it-is-not-known"),
        pytest.param("B???", "B", "B???", "", id="only-what-is-asked-for-is-known"),
        pytest.param("A   ", "A", "A???", "", id="the-first-revision"),
        pytest.param("A   ", "B", "A???", "", id="the-first-revision-superseded"),
        pytest.param("AA  ", "B", "AA??", "", id="what-not-all-have-is-not-good"),
    ],
)
def test_every_cluster_is_named_what_it_has(has: str, asked: str, held: str, good: str) -> None:
    places = fleet(asked, **{name: content.strip() for name, content in zip(NAMES, has, strict=True)})
    record = anew(wish(asked), places)
    assert "".join(assigned(record, name) for name in NAMES) == held
    revision = record.revision(record.good)
    assert (revision.objects[0].content if revision else "") == good
    assert (record.stage, record.begun) == ("canary", "")
    target = record.revision(record.target)
    assert target is not None
    assert (target.objects, target.verdict) == (wish(asked).objects, Verdict.RUNNING)


def test_the_run_begins_at_its_first_stage_and_takes_no_other_canary() -> None:
    one = Stage("one", selector={}, amount=Amount(1), soak=60.0)
    places = fleet("B", m1="A", m2="B", m3="A", m4="A")  # m1 joined after m2 had become the canary
    record = anew(wish("B", one), places)
    decision = rollouts.decide(wish("B", one), record, places, NOON)
    assert decision.record.holds.keys() == {"m2"}
    decision = rollouts.decide(wish("B", one), decision.record, places, NOON)
    assert (decision.state, set(decision.record.holds)) == (State.SOAKING, {"m2"})
    assert "the record was lost at 2026-01-01T12:00:00Z" in decision.message


def test_an_approval_that_outlived_its_record_approves_nothing() -> None:
    asked = wish("B", replace(CANARY, soak=0.0, approval=True), approved=(7, "canary"))
    places = fleet("B", m1="B", m2="A", m3="A", m4="A")
    record = anew(asked, places)
    for _ in range(5):
        decision = rollouts.decide(asked, record, places, NOON)
        record = decision.record
    assert (decision.state, record.target > 7) == (State.APPROVAL, True)


@pytest.mark.parametrize("has", ["AAAA", "BAAA"])
def test_what_may_have_been_taken_back_goes_nowhere_until_a_person_says_so(has: str) -> None:
    places = fleet("B", **dict(zip(NAMES, has, strict=True)))
    record = anew(wish("B", undone=2), places)
    decision = rollouts.decide(wish("B", undone=2), record, places, NOON + 86_400)
    assert (decision.state, decision.record, decision.state.rests) == (State.LOST, record, True)
    assert "fedctl rollout resume" in decision.message
    assert f"every cluster gets revision {record.good}" in decision.message
    resumed = rollouts.decide(wish("B"), record, places, NOON)
    assert (resumed.state, set(resumed.record.holds)) == (State.RELEASED, {"m1"})
    undone = rollouts.decide(wish("B", undone=record.target), record, places, NOON)
    assert (undone.state, undone.record.holds, undone.record.good) == (State.UNDONE, {}, record.good)
    other = rollouts.decide(wish("C", undone=2), record, places, NOON)  # that is not what was taken back
    assert other.record.target not in {0, record.target}


def test_a_first_revision_that_was_taken_back_stays_where_it_is() -> None:
    places = fleet("A", m1="A", m2="", m3="", m4="")
    record = anew(wish("A", undone=1), places)
    decision = rollouts.decide(wish("A", undone=1), record, places, NOON + 86_400)
    assert (decision.state, assigned(record, "m2")) == (State.LOST, "?")


def test_paused_it_is_made_anew_and_nothing_else_happens() -> None:
    places = fleet("B", m1="B", m2="A", m3="A", m4="A")
    record = anew(wish("B", paused=True), places)
    decision = rollouts.decide(wish("B", paused=True), record, places, NOON)
    assert (decision.state, decision.record) == (State.PAUSED, record)


def test_a_record_without_its_revisions_says_nothing() -> None:
    """Else the next revision, whose number is 1 again, would be the good one: in every cluster at once."""
    places = fleet("B", m1="", m2="", m3="", m4="")
    decision = rollouts.decide(wish("B"), Record(good=1, target=1), places, NOON)
    assert (decision.record.good, decision.record.released) == (0, ())


@pytest.mark.parametrize("missing", ["m1", "m2", "m4"])
def test_what_not_every_cluster_has_is_not_good_because_of_the_label(missing: str) -> None:
    places = fleet("A", **{name: "" if name == missing else "A" for name in NAMES})
    unstored = {name: replace(place, has=()) for name, place in places.items()}
    decision = rollouts.decide(wish("A"), Record(), unstored, NOON)
    assert (decision.record.good, decision.record.lost, decision.record.released) == (0, "", ())


def test_a_cluster_has_all_objects_of_the_set_or_not_what_is_asked_for() -> None:
    """The new object of the set is where it was released alone, though all have the other one."""
    both = replace(wish("A"), objects=(entry("B", "settings"), entry("A")))
    waits = Place("m2", has=(entry("A"),))
    places = {"m1": Place("m1", has=both.objects, copies=True), "m2": waits, "m3": replace(waits, name="m3")}
    record = anew(both, places)
    assert record.holds == {"m1": record.target}
    good = record.revision(record.good)
    assert good is not None
    assert good.objects == (entry("A"),)


CONTENTS = st.sampled_from(["", "?", "A", "B", "C"])
STAGES = st.lists(
    st.builds(
        Stage,
        name=st.sampled_from(["one", "two"]),
        names=st.none() | st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(tuple),
        selector=st.just({}),
        amount=st.none() | st.builds(Amount, st.integers(1, 3)),
        approval=st.booleans(),
        soak=st.sampled_from([0.0, 60.0]),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda stage: stage.name,
).map(tuple)


WISHES = st.builds(
    Wish,
    stages=STAGES,
    objects=st.sampled_from("ABC").map(lambda content: (entry(content),)),
    undone=st.sampled_from([0, 0, 2]),
    approved=st.sampled_from([(0, ""), (1, "one"), (2, "one")]),
    paused=st.booleans(),
)


@given(st.dictionaries(st.sampled_from(NAMES), CONTENTS, min_size=1), WISHES)
def test_nobody_is_given_anything_else_because_a_record_was_lost(has: dict[str, str], asked: Wish) -> None:
    """Not by the new record, and then nobody but the first stage, which may take no more than it selects."""
    content = asked.objects[0].content
    places = fleet(content, **has)
    decision = rollouts.decide(asked, Record(), places, NOON)
    if not decision.record.lost:
        everywhere = all(each == content for each in has.values())
        assert everywhere or not any(place.has for place in places.values())
        return
    record = decision.record
    for name, known in has.items():
        assert assigned(record, name) in {known, "?"} if known not in {"", "?"} else assigned(record, name) == "?"
    had = {name for name, known in has.items() if known == content}
    decision = rollouts.decide(asked, record, places, NOON)
    given_it = {name for name in has if assigned(decision.record, name) == content} - had
    if asked.paused or asked.undone:
        assert not given_it
    first = asked.stages[0]
    selected = set(first.names) & has.keys() if first.names is not None else set(has)
    assert given_it <= selected
    if first.amount is not None:
        assert len(given_it) <= max(0, first.amount.number - len(had & selected))
