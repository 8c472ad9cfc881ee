"""Raw data become medians and ranges that anyone can compute again."""

import math

import msgspec
import pytest

from federation.comparing import contract, summary
from federation.comparing.contract import Credential, Fault, How, Lies, Upgrade
from federation.comparing.figures import FIGURES, Read
from federation.comparing.model import Ended, Finding, Run, Sample, State, Step
from federation.comparing.summary import Summary
from tests import comparisons


def ended(
    *values: float,
    subject: str = "push",
    number: int = 0,
    figure: str = "hub_cpu",
    scenario: str = "hub-load",
    state: State = State.DONE,
    **at: int | float | str,
) -> Ended:
    step = Step(scenario=scenario, subject=subject, round=number, at=at)
    sample = Sample(scenario=scenario, subject=subject, round=number, figure=figure, values=values, at=at)
    return Ended(step=step, state=state, began="2026-12-01T10:00:00Z", seconds=1, samples=(sample,))


def told(*steps: Ended, **other: object) -> Run:
    return comparisons.run(scenarios=(), steps=steps, **other)  # type: ignore[arg-type]


def summarised(*steps: Ended) -> Summary:
    return summary.summarise([told(*steps)])


def test_rounds_are_what_a_median_is_over() -> None:
    (one,) = summarised(ended(3.0, number=2), ended(1.0, number=0), ended(8.0, number=1)).of("hub-load", "hub_cpu")
    assert (one.rounds, one.median, one.low, one.high) == ((1.0, 8.0, 3.0), 3.0, 1.0, 8.0)


def test_trials_of_a_round_are_one_value() -> None:
    (one,) = summarised(ended(1.0, 9.0, 2.0)).of("hub-load", "hub_cpu")
    assert one.rounds == (2.0,)


def test_places_are_never_put_together() -> None:
    found = summarised(ended(2.0, members=8), ended(1.0, members=2)).of("hub-load", "hub_cpu")
    assert [(each.key.where, each.median) for each in found] == [({"members": 2}, 1.0), ({"members": 8}, 2.0)]


@pytest.mark.parametrize(
    ("count", "parts"),
    [(5, ["p50", "max"]), (20, ["p50", "p95", "max"]), (100, ["p50", "p95", "p99", "max"])],
)
def test_a_percentile_needs_values_beyond_it(count: int, parts: list[str]) -> None:
    found = summarised(ended(*map(float, range(count)), figure="latency")).of("hub-load", "latency")
    assert [each.key.part for each in found] == parts


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [summary.percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert summary.percentile([7.0], 0.5) == 7.0


def test_latency_is_a_percentile_of_each_round_first() -> None:
    steps = [
        ended(*(base + part for part in (0.0, 1.0, 2.0)), number=n, figure="latency") for n, base in enumerate((10, 50))
    ]
    (median, greatest) = summarised(*steps).of("hub-load", "latency")
    assert (median.rounds, greatest.rounds) == ((11.0, 51.0), (12.0, 52.0))


def test_a_sum_is_of_the_rounds_that_have_all_its_parts() -> None:
    found = summarised(
        ended(10.0), ended(4.0, figure="controller_cpu"), ended(20.0, number=1), ended(5.0, subject="pull")
    ).of("hub-load", "hub_side_cpu")
    assert [(each.key.subject, each.rounds) for each in found] == [("push", (14.0,))]


def test_a_step_that_was_not_done_counts_for_nothing_and_is_known() -> None:
    failed = ended(5.0, state=State.FAILED)
    found = summarised(failed)
    assert not found.measured
    assert found.unfinished("hub-load") == [failed]


def test_a_figure_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="'magic' is not known"):
        summarised(ended(1.0, figure="magic"))
    with pytest.raises(ValueError, match="no run"):
        summary.summarise([])


def test_rounds_of_two_runs_on_one_machine_are_rounds_of_one_subject() -> None:
    (one,) = summary.summarise([told(ended(1.0)), told(ended(3.0))]).of("hub-load", "hub_cpu")
    assert one.rounds == (1.0, 3.0)


def test_another_version_on_the_same_machine_is_another_subject() -> None:
    newer = msgspec.structs.replace(told(ended(3.0)), versions={"federation": "0.4.0"})
    found = summary.summarise([told(ended(1.0)), newer])
    assert found.subjects() == ["push", "push (run 2)"]


def test_machines_are_never_put_together() -> None:
    found = summary.summarise([told(ended(1.0)), told(ended(3.0), machine="there")])
    assert [(each.key.machine, each.rounds) for each in found.of("hub-load", "hub_cpu")] == [
        ("here", (1.0,)),
        ("there", (3.0,)),
    ]


def counts(*findings: Finding) -> dict[tuple[str, str], float]:
    whole = [
        Ended(
            step=Step(scenario=one.scenario, subject=one.subject, round=0),
            state=State.DONE,
            began="",
            seconds=1,
            findings=(one,),
        )
        for one in findings
    ]
    return {(key.subject, key.figure): each.median for key, each in summarised(*whole).measured.items()}


def of(subject: str, scenario: str, row: contract.Row) -> Finding:
    return contract.found(Step(scenario=scenario, subject=subject, round=0), row)


def fault(name: str, seconds: float | None) -> Fault:
    shown = seconds is not None
    return Fault(fault=name, shown=shown, where="", seconds=seconds, commands=2 if shown else None, says="")


def test_faults_are_counted() -> None:
    found = counts(of("push", "trouble", fault("a", 4.0)), of("push", "trouble", fault("b", None)))
    assert found == {("push", "seen"): 0.5, ("push", "seen_after"): 4.0, ("push", "seen_by"): 2.0}


def test_a_fault_that_only_one_subject_was_put_to_counts_for_none() -> None:
    found = counts(
        of("push", "trouble", fault("a", 4.0)),
        of("push", "trouble", fault("b", None)),
        of("pull", "trouble", fault("a", 9.0)),
    )
    assert (found["push", "seen"], found["pull", "seen"]) == (1.0, 1.0)


def test_broken_steps_are_counted() -> None:
    rows = [
        Upgrade(step="a", broke=True, seconds=3.0, hub_says=""),
        Upgrade(step="b", broke=True, seconds=4.0, hub_says="VersionUnavailable"),
        Upgrade(step="c", broke=False, seconds=0, hub_says=""),
    ]
    found = counts(*(of("push", "versions", row) for row in rows))
    assert found == {("push", "broken"): 2, ("push", "silent"): 1, ("push", "broken_for"): 7.0}


def credential(
    lies: Lies, opens: str, how: How = How.DIRECTLY, days: float | None = 1.0, *, writes: bool = True
) -> Credential:
    return Credential(name="x", lies=lies, where="", opens=opens, how=how, valid_days=days, writes=writes, can="")


def test_what_a_thief_gets_is_counted() -> None:
    rows = [
        credential(Lies.HUB, "m1"),
        credential(Lies.HUB, "m1", How.BY_AGENT),
        credential(Lies.HUB, "m2", How.BY_AGENT),
        credential(Lies.HUB, "m3", writes=False),
        credential(Lies.MEMBER, "host", days=None),
        credential(Lies.PERSON, "m4", days=365.0),
    ]
    found = counts(*(of("pull", "credentials", row) for row in rows))
    assert found == {("pull", "secrets"): 2, ("pull", "valid"): 365.0, ("pull", "reach"): 2}


def test_a_credential_for_ever_is_valid_for_ever() -> None:
    found = counts(of("push", "credentials", credential(Lies.HUB, "m1", days=None)))
    assert found["push", "valid"] == math.inf


def test_a_finding_without_its_facts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a finding about fault: .*shown"):
        counts(Finding(scenario="trouble", subject="push", round=0, about="fault", facts={"fault": "a"}))


def test_the_contract_names_what_there_is() -> None:
    given = {name for gives in contract.GIVES for name in gives.figures}
    made = {name for name, figure in FIGURES.items() if figure.sums or figure.read is Read.FINDINGS}
    assert given | made == set(FIGURES)
    assert not given & made
    assert {gives.scenario for gives in contract.GIVES} | set(contract.FOUND) == set(comparisons.ALL)
