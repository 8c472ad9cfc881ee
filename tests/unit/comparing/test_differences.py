"""A difference is one only if the spread leaves it, on one machine, by more than the threshold."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.comparing import differences, growth, summary
from federation.comparing.differences import Outcome
from federation.comparing.growth import Law
from federation.comparing.summary import Key, Measured, Summary
from tests import comparisons

NOTHING = summary.summarise([comparisons.run(scenarios=())])


def measured(
    *rounds: float, figure: str = "hub_cpu", subject: str = "push", machine: str = "here", **at: int | str
) -> Measured:
    return Measured(Key(machine, "hub-load", subject, figure, at=tuple(sorted(at.items()))), rounds)


def scaled(one: Measured, by: float) -> Measured:
    return Measured(one.key, tuple(value * by for value in one.rounds))


def outcome(one: Measured, other: Measured, of: Summary = NOTHING) -> Outcome:
    return differences.compare(of, one, other).outcome


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param((10, 11, 12), (20, 21, 22), Outcome.BETTER, id="less-is-better"),
        pytest.param((20, 21, 22), (10, 11, 12), Outcome.WORSE, id="more-is-worse"),
        pytest.param((10, 11, 21), (20, 21, 22), Outcome.SAME, id="the-ranges-overlap"),
        pytest.param((10, 10, 10), (12, 12, 12), Outcome.SAME, id="a-fifth-is-noise"),
        pytest.param((10,), (19,), Outcome.SAME, id="one-round-has-no-spread"),
        pytest.param((10,), (20,), Outcome.BETTER, id="but-double-is-a-difference"),
        pytest.param((0, 0, 0), (0, 0, 0), Outcome.SAME, id="nothing-is-nothing"),
        pytest.param((0, 0, 0), (1, 1, 1), Outcome.BETTER, id="nothing-is-less-than-something"),
    ],
)
def test_times(one: tuple[float, ...], other: tuple[float, ...], expected: Outcome) -> None:
    assert outcome(measured(*one), measured(*other)) is expected


def test_more_is_better_where_it_is() -> None:
    assert outcome(measured(10, 11, figure="rate"), measured(20, 21, figure="rate")) is Outcome.WORSE


def test_counts_are_trusted_further() -> None:
    assert outcome(measured(10.0, figure="hub_writes"), measured(12.0, figure="hub_writes")) is Outcome.BETTER


def two_machines(*, bare: bool = True) -> Summary:
    """Of which the second is three times as slow."""
    return summary.summarise(
        [comparisons.run(scenarios=()), comparisons.run(scenarios=(), machine="there", factor=3.0, bare=bare)]
    )


def test_cpu_across_machines_is_in_proportion_to_the_bare_client() -> None:
    one, other = measured(10, 10, 10, phase="update"), measured(30, 30, 30, machine="there", phase="update")
    found = differences.compare(two_machines(), one, other)
    assert (found.outcome, found.by_bare) == (Outcome.SAME, True)
    assert found.ratio == pytest.approx(1.0)
    assert outcome(one, scaled(other, 3), two_machines()) is Outcome.BETTER
    assert outcome(one, scaled(other, 1.9), two_machines()) is Outcome.SAME


@pytest.mark.parametrize("figure", ["latency", "hub_memory", "hub_cpu_rest", "seen_after", "rate", "done"])
def test_times_across_machines_are_never_compared(figure: str) -> None:
    one, other = measured(1, 1, figure=figure), measured(100, 100, machine="there", figure=figure)
    assert outcome(one, other, two_machines()) is Outcome.APART


def test_the_bare_clients_own_spread_counts() -> None:
    wide = msgspec.structs.replace(comparisons.run(scenarios=(), machine="there"), bare_ms={"update": (0.1, 0.4, 1.5)})
    of = summary.summarise([comparisons.run(scenarios=()), wide])
    one, other = measured(10, 10, phase="update"), measured(30, 30, machine="there", phase="update")
    assert outcome(one, other, of) is Outcome.SAME


def test_without_the_bare_client_cpu_is_not_compared_either() -> None:
    one, other = measured(1, 1), measured(100, 100, machine="there")
    assert outcome(one, other, two_machines(bare=False)) is Outcome.APART


@pytest.mark.parametrize("figure", ["hub_writes", "hub_stored", "commands", "reach"])
def test_counts_across_machines_are_as_they_are(figure: str) -> None:
    one, other = measured(1, 1, figure=figure), measured(2, 2, machine="there", figure=figure)
    assert outcome(one, other, two_machines()) is Outcome.BETTER


ROUNDS = st.lists(st.floats(min_value=0.001, max_value=1e6), min_size=3, max_size=5).map(tuple)
SWAPPED = {Outcome.WORSE: Outcome.BETTER, Outcome.BETTER: Outcome.WORSE, Outcome.SAME: Outcome.SAME}


@given(ROUNDS, ROUNDS)
def test_swapped_subjects_swap_the_outcome(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    assert outcome(measured(*other), measured(*one)) is SWAPPED[outcome(measured(*one), measured(*other))]


@given(ROUNDS, ROUNDS, st.integers(-8, 8))
def test_a_slower_machine_changes_nothing(one: tuple[float, ...], other: tuple[float, ...], exponent: int) -> None:
    factor = 2.0**exponent
    a, b = measured(*one), measured(*other)
    assert outcome(scaled(a, factor), scaled(b, factor)) is outcome(a, b)


@given(ROUNDS, ROUNDS, st.floats(min_value=0, max_value=1e6))
def test_more_spread_never_makes_a_difference(one: tuple[float, ...], other: tuple[float, ...], more: float) -> None:
    a, b = measured(*one), measured(*other)
    wider = measured(a.low - more, *a.rounds, a.high + more)
    if outcome(a, b) is Outcome.SAME:
        assert outcome(wider, b) is Outcome.SAME


def fleet(law: object, *sizes: int, spread: float = 0.0) -> list[Measured]:
    return [measured(*(law(n) * (1 + part) for part in (0, -spread, spread)), members=n) for n in sizes]  # type: ignore[operator]


def test_a_line_is_found() -> None:
    found = growth.fit(fleet(lambda n: 5 + 2.0 * n, 1, 10, 100))
    assert found
    assert found.law is Law.LINE
    assert [found.a, found.b] == pytest.approx([5, 2])
    assert found.at(1000) == pytest.approx(2005)
    assert found.worst == pytest.approx(0, abs=1e-9)


def test_a_power_is_found() -> None:
    found = growth.fit(fleet(lambda n: 3 * n**1.7, 1, 10, 100))
    assert found
    assert found.law is Law.POWER
    assert [found.a, found.b] == pytest.approx([3, 1.7])


def test_what_does_not_fit_is_shown() -> None:
    found = growth.fit([*fleet(lambda n: 2.0 * n, 1, 10, 100), measured(4000.0, members=1000)])
    assert found
    assert found.worst > 0.2


def test_two_sizes_fit_everything() -> None:
    assert growth.fit(fleet(lambda n: n, 1, 10)) is None
    assert growth.fit(fleet(lambda n: 0.0, 1, 10, 100)) is None


def test_a_bend_is_where_it_grows_faster_than_the_members() -> None:
    assert growth.bend(fleet(lambda n: n * max(1, n / 100), 10, 30, 100, 300, 1000)) == 300
    assert growth.bend(fleet(lambda n: 2.0 * n, 10, 100, 1000)) is None


def test_a_spread_bends_nothing() -> None:
    assert growth.bend(fleet(lambda n: n * max(1, n / 100), 10, 30, 100, 300, spread=0.4)) is None
