"""Invented worlds in which one knows who wins: each verdict is another in each, as it must be."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.comparing import judging, model, summary
from federation.comparing.claims import CLAIMS
from federation.comparing.model import Ended, Run, Sample, State, Step
from federation.comparing.verdicts import Verdict, Word
from tests import comparisons

BENDS_FAR = {"push": 20.0, "pull": 400.0}
"""Pull manages 300 members, push 10."""


def verdicts(*runs: Run) -> dict[str, Verdict]:
    return {verdict.claim.scenario: verdict for verdict in judging.judge(summary.summarise(runs))}


def words(*runs: Run) -> dict[str, Word]:
    return {scenario: verdict.word for scenario, verdict in verdicts(*runs).items()}


def each(word: Word, **other: Word) -> dict[str, Word]:
    return {claim.scenario: other.get(claim.scenario.replace("-", "_"), word) for claim in CLAIMS}


def test_where_push_wins_every_claim_is_refuted() -> None:
    assert words(comparisons.run(comparisons.PUSH_WINS)) == each(Word.REFUTES)


def test_where_pull_wins_every_claim_is_supported() -> None:
    assert words(comparisons.run(comparisons.PULL_WINS, bends=BENDS_FAR)) == each(Word.SUPPORTS)


@pytest.mark.parametrize("costs", [comparisons.PUSH_WINS, comparisons.PULL_WINS])
def test_where_the_spread_swallows_it_there_is_no_difference(costs: Mapping[str, float]) -> None:
    """What is counted in findings has no spread here; those have tests of their own."""
    found = words(comparisons.run(costs, spread=0.9))
    swallowed = ("joining", "hub-load", "growth", "twins", "cut")
    assert {name: found[name] for name in swallowed} == dict.fromkeys(swallowed, Word.SAME)
    assert found["bend"] is Word.UNKNOWN


def test_equals_are_no_difference() -> None:
    assert words(comparisons.run(comparisons.EQUAL)) == each(Word.SAME, bend=Word.REFUTES)


def test_two_of_a_kind_do_not_bend_apart() -> None:
    found = verdicts(comparisons.run(comparisons.PULL_WINS))["bend"]
    assert found.word is Word.DEPENDS
    assert found.text == "depends on: the number (pull manages more than push, but not ten times as many)"


def test_one_subject_alone_has_no_verdicts() -> None:
    found = verdicts(comparisons.run({"push": 1.0}))
    assert {scenario: verdict.word for scenario, verdict in found.items()} == each(Word.UNKNOWN)
    assert found["hub-load"].why_not == "only push was measured, and a verdict needs push beside pull"
    assert set(words(comparisons.run({"pull": 1.0})).values()) == {Word.UNKNOWN}


def test_push_alone_refutes_what_it_does_not_do() -> None:
    found = words(comparisons.run({"push": 0.1}))
    assert found == each(Word.UNKNOWN, versions=Word.REFUTES, trouble=Word.REFUTES)


def test_few_members_say_nothing_of_many() -> None:
    figures = {
        "push": {"hub_memory": 1.0, "controller_memory": 1.0},
        "pull": {"hub_memory": 9.0, "controller_memory": 9.0},
    }
    found = verdicts(with_figures({}, "growth", figures, members=4))["growth"]
    assert found.why_not == "push and pull were not both measured with 10 members or more"
    assert words(with_figures({}, "growth", figures, members=10))["growth"] is Word.REFUTES


def test_a_scenario_that_was_not_run_has_no_verdict() -> None:
    found = verdicts(comparisons.run(comparisons.PUSH_WINS, scenarios=("twins",)))
    assert {scenario: verdict.word for scenario, verdict in found.items()} == each(Word.UNKNOWN, twins=Word.REFUTES)
    assert found["cut"].why_not == "the scenario cut was no part of this run"


def test_why_it_failed_is_said() -> None:
    step = Step(scenario="cut", subject="pull", round=0)
    failed = Ended(step=step, state=State.FAILED, began="", seconds=1, why="etcd did not start")
    run = comparisons.run({"push": 1.0}, scenarios=("cut",), steps=[failed])
    assert verdicts(run)["cut"].why_not.endswith("(pull: etcd did not start)")


def on_two_machines(push: float, pull: float, **pulls: object) -> dict[str, Word]:
    """The second is five times as slow."""
    return words(
        comparisons.run({"push": push}),
        comparisons.run({"pull": pull}, machine="there", factor=5.0, **pulls),  # type: ignore[arg-type]
    )


def test_on_two_machines_counts_and_proportions_decide_and_times_do_not() -> None:
    found = on_two_machines(1.0, 3.0)
    assert found == each(Word.REFUTES, bend=Word.UNKNOWN)
    assert on_two_machines(3.0, 1.0)["hub-load"] is Word.SUPPORTS
    assert on_two_machines(1.0, 1.0) == each(Word.SAME, bend=Word.UNKNOWN)


def test_without_the_bare_client_only_counts_decide_on_two_machines() -> None:
    found = on_two_machines(1.0, 3.0, bare=False)
    assert (found["hub-load"], found["growth"], found["twins"]) == (Word.UNKNOWN, Word.UNKNOWN, Word.REFUTES)


def with_figures(
    costs: Mapping[str, float], scenario: str, values: Mapping[str, Mapping[str, float]], **at: object
) -> Run:
    """A run whose scenario has but these figures, in three rounds."""
    samples = [
        (Step(scenario=scenario, subject=subject, round=number, at=at), figure, value)  # type: ignore[arg-type]
        for subject, figures in values.items()
        for figure, value in figures.items()
        for number in range(3)
    ]
    steps = [
        Ended(
            step=step,
            state=State.DONE,
            began="",
            seconds=1,
            samples=(
                Sample(
                    scenario=scenario,
                    subject=step.subject,
                    round=step.round,
                    figure=figure,
                    values=(value,),
                    at=step.at,
                ),
            ),
        )
        for step, figure, value in samples
    ]
    return comparisons.run(costs, scenarios=(), steps=steps)


def test_it_depends_on_what_counts() -> None:
    run = with_figures(
        {}, "cut", {"push": {"repaired": 0.0, "converged": 2.0}, "pull": {"repaired": 1.0, "converged": 9.0}}
    )
    assert verdicts(run)["cut"].text == (
        "depends on: what counts (push is worse in edits put back during the cut; "
        "better in time to agree after the cut)"
    )


def test_it_depends_on_the_members() -> None:
    few = with_figures({}, "twins", {"push": {"hub_keys": 1.0}, "pull": {"hub_keys": 2.0}}, members=1)
    many = with_figures({}, "twins", {"push": {"hub_keys": 9.0}, "pull": {"hub_keys": 4.0}}, members=20)
    assert verdicts(few, many)["twins"].text == (
        "depends on: the number of members (push is worse at 20 members; better at 1 member)"
    )


def test_it_depends_on_the_way_of_pull() -> None:
    run = comparisons.run({"push": 2.0, "pull": 4.0, "pull-bundled": 1.0}, scenarios=("twins", "bend"))
    found = verdicts(run)
    assert found["twins"].text == ("depends on: the way of pull (push is worse than pull-bundled; better than pull)")
    assert found["bend"].text.startswith("depends on: the way of pull (pull manages no more than push; pull-bundled")


def kubefed(cost: float, members: int = 8) -> Run:
    run = comparisons.run({"KubeFed v0.10": cost}, scenarios=("hub-load", "twins"), machine="there", factor=9.0)
    return model.decode(model.encode(run).replace(b'"members": 8', f'"members": {members}'.encode()))


@pytest.mark.parametrize("costs", [comparisons.PUSH_WINS, comparisons.EQUAL])
def test_what_only_kubefed_does_is_said_of_kubefed_only(costs: Mapping[str, float]) -> None:
    found = words(comparisons.run(costs), kubefed(5.0))
    assert (found["hub-load"], found["twins"]) == (Word.KUBEFED, Word.KUBEFED)


def test_a_kubefed_that_is_no_worse_than_pull_supports_nothing() -> None:
    assert words(comparisons.run(comparisons.PUSH_WINS), kubefed(1.0))["hub-load"] is Word.REFUTES


def test_kubefed_does_not_acquit_push() -> None:
    assert words(comparisons.run(comparisons.PULL_WINS), kubefed(9.0))["hub-load"] is Word.SUPPORTS


@pytest.mark.parametrize(("members", "expected"), [(2, Word.KUBEFED), (8, Word.KUBEFED), (100, Word.REFUTES)])
def test_with_more_members_kubefeds_cost_proves_nothing(members: int, expected: Word) -> None:
    assert words(comparisons.run(comparisons.PUSH_WINS), kubefed(5.0, members))["hub-load"] is expected


def test_pull_that_is_not_seen_to_bend_proves_only_what_it_reached() -> None:
    run = comparisons.run(comparisons.EQUAL, bends={"push": 20.0, "pull": 1e9})
    assert words(run)["bend"] is Word.SUPPORTS
    run = comparisons.run(comparisons.EQUAL, bends={"push": 400.0, "pull": 1e9})
    assert verdicts(run)["bend"].why_not == (
        "the sizes do not reach far enough: push bends between 300 and 1,000 members; "
        "pull has not bent at 1,000 members"
    )
    assert words(comparisons.run(comparisons.EQUAL, bends={"push": 1e9, "pull": 200.0}))["bend"] is Word.REFUTES
    assert words(comparisons.run(comparisons.EQUAL, bends={"push": 1e9, "pull": 1e9}))["bend"] is Word.UNKNOWN


COSTS = st.sampled_from([0.25, 0.5, 0.9, 1.0, 1.1, 1.2, 1.5, 2.0, 4.0])
SOME = settings(max_examples=20)
WITHOUT_BEND = tuple(name for name in comparisons.ALL if name not in ("bend", "growth"))


@SOME
@given(COSTS, COSTS, st.integers(-4, 4))
def test_a_slower_machine_changes_no_verdict(push: float, pull: float, exponent: int) -> None:
    costs = {"push": push, "pull": pull}
    assert words(comparisons.run(costs, factor=2.0**exponent)) == words(comparisons.run(costs))


SWAPPED = {Word.SUPPORTS: Word.REFUTES, Word.REFUTES: Word.SUPPORTS}


@SOME
@given(COSTS, COSTS)
def test_swapped_subjects_swap_the_winner(push: float, pull: float) -> None:
    one = verdicts(comparisons.run({"push": push, "pull": pull}, scenarios=WITHOUT_BEND))
    other = words(comparisons.run({"push": pull, "pull": push}, scenarios=WITHOUT_BEND))
    for scenario, verdict in one.items():
        if not verdict.enough and scenario not in ("credentials", "versions", "trouble"):
            assert other[scenario] is SWAPPED.get(verdict.word, verdict.word)


@SOME
@given(COSTS, COSTS, st.floats(min_value=0, max_value=0.9))
def test_more_spread_never_makes_a_difference(push: float, pull: float, spread: float) -> None:
    costs = {"push": push, "pull": pull}
    less = words(comparisons.run(costs, spread=0.0, scenarios=WITHOUT_BEND))
    more = words(comparisons.run(costs, spread=spread, scenarios=WITHOUT_BEND))
    for scenario, word in less.items():
        if word is Word.SAME:
            assert more[scenario] is Word.SAME
