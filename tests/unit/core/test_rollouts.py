"""How a staged rollout goes on: each rule as a case, and what must hold whatever happens as properties."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import rollouts
from federation.core.rollouts import Decision, State
from federation.model.rollouts import Amount, Entry, Place, Record, Stage, Verdict, Window, Wish

NOON = 1_767_268_800.0  # 2026-01-01 12:00 UTC, a Thursday
CANARY = Stage("canary", selector={"matchLabels": {"tier": "canary"}})
EUROPE = Stage("europe", selector={"matchLabels": {"region": "eu"}})
FLEET = {
    "c1": Place("c1", {"tier": "canary"}),
    "e1": Place("e1", {"region": "eu"}),
    "e2": Place("e2", {"region": "eu"}),
    "u1": Place("u1", {"region": "us"}),
}


def entry(content: str, name: str = "web", uid: str = "u") -> Entry:
    return Entry("deployments.apps", name, uid, content, 1)


def wish(content: str = "A", *stages: Stage, **others: object) -> Wish:
    return replace(Wish(stages or (CANARY, EUROPE), (entry(content),)), **others)  # type: ignore[arg-type]


class Run:
    """A rollout that is decided again and again, as the controller does: `places` may be changed in between."""

    def __init__(self, places: Mapping[str, Place] = FLEET, record: Record | None = None) -> None:
        self.places = dict(places)
        self.record = record or Record()
        self.now = NOON
        self.last: Decision | None = None
        self.told: list[str] = []

    def decide(self, asked: Wish, *, after: float = 0.0) -> Decision:
        """Until nothing goes on without time or people."""
        self.now += after
        for _ in range(20):
            self.last = rollouts.decide(asked, self.record, self.places, self.now)
            self.told += [each.reason for each in self.last.news]
            if self.last.record == self.record:
                return self.last
            self.record = self.last.record
        raise AssertionError(f"does not come to rest: {self.last}")

    def ill(self, *names: str) -> None:
        for name, place in self.places.items():
            self.places[name] = replace(place, unhealthy="1 of 2 replicas are available" if name in names else "")

    def has(self, content: str) -> set[str]:
        """The clusters that are planned with this content."""
        holds = self.record.holds
        found = set()
        for name in self.places:
            revision = self.record.revision(holds.get(name, self.record.good))
            if revision is not None and revision.objects[0].content == content:
                found.add(name)
        return found


def with_a(places: Mapping[str, Place] = FLEET) -> Run:
    """Revision 1, of content A, is good everywhere."""
    run = Run({name: replace(place, copies=True) for name, place in places.items()})
    assert run.decide(wish("A")).state is State.COMPLETE
    assert run.has("A") == set(places)
    return run


def test_what_is_spread_already_is_the_first_good_revision() -> None:
    run = with_a()
    assert (run.record.good, run.record.target, run.told) == (1, 0, [])


def test_an_object_that_is_nowhere_yet_goes_through_the_stages() -> None:
    run = Run()
    run.ill("c1")
    assert run.decide(wish("A")).state is State.UNHEALTHY
    assert run.has("A") == {"c1"}


def test_where_a_cluster_has_something_older_the_first_revision_is_staged_and_the_others_are_left_alone() -> None:
    run = Run({name: replace(place, copies=True, older=name == "u1") for name, place in FLEET.items()})
    run.ill("c1")
    run.decide(wish("A"))
    assert (run.has("A"), run.record.good) == ({"c1"}, 0)


def test_a_canary_that_never_becomes_healthy_stops_everything_behind_it() -> None:
    run = with_a()
    run.ill("c1")
    for _ in range(50):
        decision = run.decide(wish("B"), after=86_400)
        assert (decision.state, run.has("B"), run.has("A")) == (State.UNHEALTHY, {"c1"}, {"e1", "e2", "u1"})
    assert "c1 (1 of 2 replicas are available)" in decision.message


def test_healthy_stages_follow_each_other_and_the_last_takes_the_rest() -> None:
    run, seen = with_a(), []
    for _ in range(20):
        decision = rollouts.decide(wish("B"), run.record, run.places, run.now)
        run.record = decision.record
        seen.append((decision.state, run.has("B")))
    assert [each for each in seen if each[0] is State.RELEASED] == [
        (State.RELEASED, set()),
        (State.RELEASED, {"c1"}),
        (State.RELEASED, {"c1", "e1", "e2"}),
        (State.RELEASED, {"c1", "e1", "e2", "u1"}),
    ]
    assert (run.record.good, run.record.target, run.record.released) == (2, 0, ())
    assert [each.verdict for each in run.record.revisions] == [Verdict.GOOD, Verdict.GOOD]


def test_at_the_end_a_cordoned_cluster_is_not_waited_for_and_is_named_until_it_has_it() -> None:
    """In a stage of its own it is: a canary that is cordoned must not be skipped."""
    run = with_a()
    run.places["u1"] = replace(run.places["u1"], cordoned=True, older=True, unhealthy="the cluster is cordoned")
    decision = run.decide(wish("B"))
    assert (decision.state, run.record.good) == (State.COMPLETE, 2)
    assert decision.message == "every cluster has revision 2, or gets it: u1 when it is uncordoned"
    assert decision.again == rollouts.BEHIND, "the message is to say when it has it"
    run.places["u1"] = replace(run.places["u1"], cordoned=False, older=False, unhealthy="")
    run.places["e1"] = replace(run.places["e1"], ready=False, older=True)
    assert run.decide(wish("B")).message == "every cluster has revision 2, or gets it: e1 when it is back"
    run.places["e1"] = replace(run.places["e1"], ready=True, older=False)
    decision = run.decide(wish("B"))
    assert (decision.message, decision.again) == ("every cluster has revision 2", None)

    run.places["c1"] = replace(run.places["c1"], cordoned=True, unhealthy="the cluster is cordoned")
    decision = run.decide(wish("C"), after=86_400)
    assert (decision.state, run.has("C")) == (State.UNHEALTHY, {"c1"})
    assert "c1 (the cluster is cordoned)" in decision.message


def test_the_soak_begins_when_all_is_healthy_and_again_when_something_was_not() -> None:
    asked = wish("B", replace(CANARY, soak=600))
    run = with_a()
    decision = run.decide(asked)
    assert (decision.state, decision.again) == (State.SOAKING, 600)
    assert run.decide(asked, after=400).again == 200
    run.ill("c1")
    assert run.decide(asked, after=100).state is State.UNHEALTHY
    run.ill()
    assert run.decide(asked, after=100).again == 600
    assert run.decide(asked, after=600).state is State.COMPLETE


def test_a_cluster_of_an_earlier_stage_that_falls_ill_holds_the_next_one() -> None:
    asked = wish("B", CANARY, replace(EUROPE, soak=60))
    run = with_a()
    assert run.decide(asked).state is State.SOAKING
    run.ill("c1")
    assert run.decide(asked, after=3600).state is State.UNHEALTHY
    assert run.has("B") == {"c1", "e1", "e2"}


def test_so_many_as_are_tolerated_may_be_unhealthy() -> None:
    asked = wish("B", CANARY, replace(EUROPE, tolerate=1), Stage("us", names=("u1",), soak=60))
    run = with_a()
    run.ill("e1")
    assert run.decide(asked).state is State.UNHEALTHY
    assert run.has("B") == {"c1", "e1", "e2", "u1"}
    run = with_a()
    run.ill("e1", "e2")
    run.decide(asked)
    assert run.has("B") == {"c1", "e1", "e2"}


def test_approval_is_of_one_stage_of_one_revision() -> None:
    asked = wish("B", replace(CANARY, approval=True))
    run = with_a()
    for given_ in ((0, ""), (1, "canary"), (2, "europe")):
        assert run.decide(replace(asked, approved=given_)).state is State.APPROVAL
        assert run.has("B") == {"c1"}
    assert run.decide(replace(asked, approved=(2, "canary"))).state is State.COMPLETE


def test_an_approval_that_comes_too_early_waits_for_health() -> None:
    asked = wish("B", replace(CANARY, approval=True), approved=(2, "canary"))
    run = with_a()
    run.ill("c1")
    assert run.decide(asked).state is State.UNHEALTHY
    assert run.has("B") == {"c1"}


@pytest.mark.parametrize(
    ("window", "wait"),
    [
        pytest.param(Window(frozenset(range(7)), 11 * 60, 120), None, id="open"),
        pytest.param(Window(frozenset(range(7)), 22 * 60, 60), 10 * 3600, id="tonight"),
        pytest.param(Window(frozenset({3}), 11 * 60, 60), 7 * 86_400 - 3600, id="over-until-next-thursday"),
        pytest.param(Window(frozenset({2}), 23 * 60, 14 * 60), None, id="since-yesterday"),
        pytest.param(Window(frozenset({4}), 0, 60), 12 * 3600, id="tomorrow"),
    ],
)
def test_a_stage_is_released_only_in_its_window(window: Window, wait: float | None) -> None:
    asked = wish("B", replace(CANARY, windows=(window,)), replace(EUROPE, approval=True))
    run = with_a()
    decision = run.decide(asked)
    if wait is None:
        assert run.has("B") == {"c1", "e1", "e2"}
    else:
        assert (decision.state, decision.again, run.has("B")) == (State.WINDOW, wait, set())
        run.decide(asked, after=wait)
        assert run.has("B") == {"c1", "e1", "e2"}


@pytest.mark.parametrize(
    ("amount", "taken"),
    [
        (Amount(1), {"e1"}),
        (Amount(2), {"e1", "e2"}),
        (Amount(9), {"e1", "e2"}),
        (Amount(50, share=True), {"e1"}),
        (Amount(51, share=True), {"e1", "e2"}),
        (Amount(1, share=True), {"e1"}),
    ],
)
def test_a_stage_takes_a_number_or_a_share_of_what_it_selects(amount: Amount, taken: set[str]) -> None:
    run = with_a()
    run.decide(wish("B", replace(EUROPE, amount=amount, approval=True)))
    assert run.has("B") == taken


def test_a_stage_whose_clusters_earlier_ones_have_taken_passes() -> None:
    one = Stage("one", selector={}, amount=Amount(1))
    run = with_a({"c1": FLEET["c1"]})
    assert (
        run.decide(wish("B", one, Stage("tenth", selector={}, amount=Amount(10, share=True)))).state is State.COMPLETE
    )


@pytest.mark.parametrize("stage", [Stage("typo", names=("c2",)), Stage("typo", selector={"matchLabels": {"a": "b"}})])
def test_a_stage_that_selects_no_cluster_stops_the_run(stage: Stage) -> None:
    run = with_a()
    decision = run.decide(wish("B", stage))
    assert (decision.state, run.has("B")) == (State.NO_CLUSTER, set())
    assert "typo" in decision.message


def test_a_new_template_supersedes_and_the_canary_keeps_what_it_has_until_it_is_released_again() -> None:
    closed = Window(frozenset({6}), 0, 60)
    run = with_a()
    run.ill("c1")
    run.decide(wish("B"))
    run.decide(wish("C", replace(CANARY, windows=(closed,))))
    assert (run.has("B"), run.has("A"), run.has("C")) == ({"c1"}, {"e1", "e2", "u1"}, set())
    assert "RolloutSuperseded" in run.told
    assert [each.verdict for each in run.record.revisions] == [Verdict.GOOD, Verdict.SUPERSEDED, Verdict.RUNNING]
    run.decide(wish("C"))
    assert (run.has("C"), run.has("B")) == ({"c1"}, set())


def test_a_revert_ends_the_run_and_everything_goes_back_at_once() -> None:
    run = with_a()
    run.ill("c1", "e1")
    run.decide(wish("B", replace(CANARY, tolerate=1), EUROPE))
    assert run.has("B") == {"c1", "e1", "e2"}
    assert run.decide(wish("A")).state is State.COMPLETE
    assert (run.has("A"), run.record.target) == (set(FLEET), 0)
    assert run.told[-1] == "RolloutWithdrawn"


def test_undo_gives_every_cluster_the_good_revision_and_rejects_the_other() -> None:
    run = with_a()
    run.ill("c1")
    run.decide(wish("B"))
    for _ in range(3):
        assert run.decide(wish("B", undone=2), after=3600).state is State.UNDONE
        assert run.has("A") == set(FLEET)
    assert run.told.count("RolloutUndone") == 1


def test_undo_works_while_paused() -> None:
    run = with_a()
    run.ill("c1")
    run.decide(wish("B"))
    run.decide(wish("B", undone=2, paused=True))
    assert run.has("A") == set(FLEET)


def test_resume_after_undo_begins_a_run_of_the_same_revision() -> None:
    run = with_a()
    run.ill("c1")
    run.decide(wish("B"))
    run.decide(wish("B", undone=2))
    run.decide(wish("B"))
    assert (run.has("B"), run.record.target, len(run.record.revisions)) == ({"c1"}, 2, 2)


def test_another_template_after_undo_is_a_new_run() -> None:
    run = with_a()
    run.ill("c1")
    run.decide(wish("B"))
    run.decide(wish("B", undone=2))
    run.decide(wish("C", undone=2))
    assert (run.has("C"), run.record.target) == ({"c1"}, 3)
    run.decide(wish("B", undone=2))  # the very content that was taken back is asked for again
    assert (run.has("A"), run.record.target) == (set(FLEET), 0)


def test_undo_of_a_revision_that_is_good_goes_back_to_the_one_before() -> None:
    run = with_a()
    run.decide(wish("B"))
    assert run.has("B") == set(FLEET)
    assert run.decide(wish("B", undone=2)).state is State.UNDONE
    assert run.has("A") == set(FLEET)


def test_stages_that_are_changed_take_no_other_in_place_of_who_has_it_already() -> None:
    one = Stage("one", selector={}, amount=Amount(1), approval=True)
    run = with_a()
    run.decide(wish("B", one))
    assert run.has("B") == {"c1"}
    run.decide(wish("B", replace(one, name="other")))
    assert run.has("B") == {"c1"}
    run.decide(wish("B", replace(one, name="other"), approved=(2, "other")))
    assert run.has("B") == set(FLEET)


def test_undo_where_there_is_nothing_before_is_refused() -> None:
    run = with_a()
    run.decide(wish("A", undone=1))
    assert (run.has("A"), run.told) == (set(FLEET), ["UndoRefused"])


def test_undo_of_the_first_revision_stops_it() -> None:
    run = Run()
    run.ill("c1")
    run.decide(wish("A"))
    run.decide(wish("A", undone=1), after=3600)
    assert (run.has("A"), run.record.target, run.record.good) == ({"c1"}, 0, 0)


def test_undo_of_another_revision_than_the_one_under_way_means_nothing() -> None:
    run = with_a()
    run.ill("c1")
    run.decide(wish("B"))
    before = run.record
    run.decide(wish("B", undone=1))
    assert run.record == before


def test_a_cluster_that_joins_belongs_to_its_stage() -> None:
    asked = wish("B", CANARY, replace(EUROPE, approval=True))
    run = with_a()
    run.decide(asked)
    run.places["c0"] = Place("c0", {"tier": "canary"})
    run.places["a0"] = Place("a0", {"region": "asia"})
    run.decide(asked)
    assert run.has("B") == {"c0", "c1", "e1", "e2"}
    assert run.has("A") == {"a0", "u1"}


def test_a_cluster_that_joins_a_stage_that_is_full_waits() -> None:
    asked = wish("B", replace(CANARY, amount=Amount(1)), replace(EUROPE, approval=True))
    run = with_a()
    run.decide(asked)
    run.places["c0"] = Place("c0", {"tier": "canary"})
    run.decide(asked)
    assert run.has("B") == {"c1", "e1", "e2"}


def test_a_cluster_that_was_released_and_gets_other_labels_stays_so() -> None:
    asked = wish("B", replace(CANARY, approval=True))
    run = with_a()
    run.decide(asked)
    run.places["c1"] = Place("c1", {})
    run.decide(asked)
    assert run.has("B") == {"c1"}


def test_a_canary_that_leaves_is_replaced_and_nothing_behind_it_is_released() -> None:
    asked = wish("B", replace(CANARY, amount=Amount(1)))
    run = with_a({**FLEET, "c2": Place("c2", {"tier": "canary"})})
    run.ill("c1", "c2")
    run.decide(asked)
    del run.places["c1"]
    run.decide(asked)
    assert run.has("B") == {"c2"}
    del run.places["c2"]
    assert run.decide(asked).state is State.NO_CLUSTER
    assert run.has("B") == set()


def test_stages_that_are_changed_in_mid_run_release_nothing_by_themselves() -> None:
    run = with_a()
    run.ill("e1")
    run.decide(wish("B"))
    assert run.has("B") == {"c1", "e1", "e2"}
    run.decide(wish("B", Stage("new", names=("c1",), approval=True)))
    assert run.has("B") == {"c1", "e1", "e2"}


def test_a_cluster_that_is_away_holds_a_stage_but_not_the_end() -> None:
    run = with_a()
    run.places["u1"] = replace(run.places["u1"], ready=False)
    assert run.decide(wish("B")).state is State.COMPLETE
    run = with_a()
    run.places["e1"] = replace(run.places["e1"], ready=False)
    assert run.decide(wish("B")).message.endswith("e1 (does not answer)")


def test_a_set_is_one_revision_and_another_object_in_it_is_another() -> None:
    both = replace(wish("A"), objects=(entry("A"), entry("X", "settings")))
    run = with_a()
    run.ill("c1")
    run.decide(both)
    assert (run.record.target, run.record.holds) == (2, {"c1": 2})
    assert run.decide(replace(both, objects=(entry("A"),))).record.target == 2  # an object that goes changes nothing


def test_an_object_that_was_made_anew_is_another() -> None:
    run = with_a()
    run.ill("c1")
    run.decide(replace(wish("A"), objects=(entry("A", uid="other"),)))
    assert run.record.target == 2


def test_history_is_bounded_and_keeps_what_undo_needs() -> None:
    run = with_a()
    for content in "BCDEFGH":
        run.decide(wish(content, history=2))
    assert [each.number for each in run.record.revisions] == [6, 7, 8]
    run.decide(wish("H", undone=8, history=2))
    assert run.has("G") == set(FLEET)


def test_no_object_and_no_place_release_nothing() -> None:
    assert rollouts.decide(Wish((CANARY,)), Record(), FLEET, NOON).state is State.NO_OBJECT
    run = Run({})
    assert run.decide(wish("A")).state is State.NO_CLUSTER


# --- whatever happens ------------------------------------------------------------------------------------------------

NAMES = ["a", "b", "c", "d", "e"]
PLACES = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        Place,
        name=st.just(""),
        labels=st.sampled_from([{}, {"tier": "canary"}, {"region": "eu"}, {"tier": "canary", "region": "eu"}]),
        ready=st.booleans(),
        unhealthy=st.sampled_from(["", "", "ill"]),
        older=st.sampled_from([False, False, True]),
        copies=st.booleans(),
    ),
).map(lambda places: {name: replace(place, name=name) for name, place in places.items()})
STAGES = st.lists(
    st.builds(
        Stage,
        name=st.sampled_from(["one", "two", "three"]),
        names=st.none() | st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(tuple),
        selector=st.sampled_from([{}, {"matchLabels": {"tier": "canary"}}, {"matchLabels": {"region": "eu"}}]),
        amount=st.none() | st.builds(Amount, st.integers(1, 3)) | st.builds(Amount, st.integers(1, 100), st.just(True)),
        soak=st.sampled_from([0.0, 60.0]),
        tolerate=st.integers(0, 1),
        approval=st.booleans(),
        windows=st.sampled_from([(), (Window(frozenset({3}), 12 * 60, 60),)]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda stage: stage.name,
).map(tuple)
WISHES = st.builds(
    Wish,
    stages=STAGES,
    objects=st.sampled_from("ABC").map(lambda content: (entry(content),)),
    paused=st.sampled_from([False, False, True]),
    approved=st.tuples(st.integers(0, 5), st.sampled_from(["one", "two", "three"])),
    undone=st.sampled_from([0, 0, 0, 1, 2, 3]),
    history=st.integers(0, 2),
)
STEPS = st.lists(st.tuples(WISHES, PLACES, st.sampled_from([0.0, 30.0, 3600.0])), min_size=1, max_size=12)


def matching(stage: Stage, places: Mapping[str, Place]) -> set[str]:
    if stage.names is not None:
        return set(stage.names) & places.keys()
    wanted = (stage.selector or {}).get("matchLabels", {})
    return {name for name, place in places.items() if wanted.items() <= place.labels.items()}


def released(record: Record, target: int) -> set[str]:
    return {name for name, revision in record.holds.items() if revision == target}


@given(STEPS, st.booleans())
def test_nobody_gets_a_revision_before_its_stage(steps: list[tuple[Wish, dict[str, Place], float]], same: bool) -> None:
    record, now = Record(), NOON
    asked = steps[0][0]
    for each, places, after in steps:
        asked, now = (replace(asked, objects=each.objects) if same else each), now + after
        before = record
        decision = rollouts.decide(asked, record, places, now)
        record = decision.record
        again = rollouts.decide(asked, before, places, now)
        assert again == decision  # pure
        if asked.paused and asked.undone not in {before.target, before.good}:
            assert record == before or (record.lost and not before.revisions)
        if record.target and record != before:
            # After an undo the same revision may be run once more: who has kept it is given nothing.
            fresh = released(record, record.target) - released(before, record.target)
            if record.lost and not before.revisions:  # what it names is what they had
                fresh -= {name for name, place in places.items() if place.copies and not place.older}
            stages = (*asked.stages, rollouts.REST)
            at = next(number for number, stage in enumerate(stages) if stage.name == record.stage)
            reach = stages[: at + 1] if record.begun else stages[:at]
            allowed = set().union(*(matching(stage, places) for stage in reach)) if reach else set()
            assert fresh <= allowed
            if fresh and record.begun and before.stage != record.stage and before.target == record.target:
                # Of stages before this one: where stages were changed, who has it may be of this very one now.
                earlier = set().union(*(matching(stage, places) for stage in reach[:-1])) if reach[:-1] else set()
                passed = [places[name] for name in released(before, before.target) & earlier]
                ill = [place for place in passed if place.unhealthy or not place.ready]
                assert len(ill) <= max(stage.tolerate for stage in asked.stages)
        for number in {record.good, record.target, *record.holds.values()} - {0}:
            assert record.revision(number) is not None  # what a cluster has is known


@given(STEPS)
def test_undo_gives_all_back(steps: list[tuple[Wish, dict[str, Place], float]]) -> None:
    record, now = Record(), NOON
    for asked, places, after in steps:
        now += after
        record = rollouts.decide(asked, record, places, now).record
        if record.target and record.good:
            undone = rollouts.decide(replace(asked, undone=record.target), record, places, now)
            if undone.record.good == record.good and not undone.record.target:
                assert undone.record.released == ()
            rejected = undone.record.revision(record.target)
            assert rejected is None or rejected.verdict is Verdict.REJECTED


@given(STEPS)
def test_the_record_is_what_the_hub_gives_back(steps: list[tuple[Wish, dict[str, Place], float]]) -> None:
    record, now = Record(), NOON
    for asked, places, after in steps:
        now += after
        record = rollouts.decide(asked, record, places, now).record
        assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record


@given(WISHES, PLACES)
def test_what_waits_for_nothing_comes_to_rest(asked: Wish, places: dict[str, Place]) -> None:
    record, now = Record(), NOON
    for _ in range(30):
        decision = rollouts.decide(asked, record, places, now)
        if decision.record == record:
            return
        record = decision.record
    raise AssertionError(decision)
