"""Waits between tries: doubling below a cap, half of each random, forgotten after success."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.runtime import backoff
from federation.runtime.backoff import Backoff


@pytest.mark.parametrize(
    ("attempt", "roll", "seconds"),
    [
        pytest.param(0, 0.0, 0.5, id="first-at-least-half"),
        pytest.param(0, 1.0, 1.0, id="first-at-most-the-base"),
        pytest.param(3, 0.0, 4.0, id="doubles"),
        pytest.param(3, 0.5, 6.0, id="half-is-random"),
        pytest.param(5, 1.0, 20.0, id="capped"),
        pytest.param(10**6, 0.0, 10.0, id="no-overflow"),
    ],
)
def test_delay(attempt: int, roll: float, seconds: float) -> None:
    assert backoff.delay(attempt, base=1.0, cap=20.0, roll=lambda: roll) == pytest.approx(seconds)


@given(st.integers(min_value=0, max_value=2000), st.floats(min_value=0.01, max_value=10), st.floats(10, 1000))
def test_never_nothing_and_never_above_the_cap(attempt: int, base: float, cap: float) -> None:
    assert base / 2 <= backoff.delay(attempt, base=base, cap=cap) <= cap


def test_failures_are_counted_by_key_and_forgotten() -> None:
    counted: Backoff[str] = Backoff(base=1.0, cap=100.0, roll=lambda: 1.0)
    assert [counted.next("a"), counted.next("a"), counted.next("b"), counted.next("a")] == [1.0, 2.0, 1.0, 4.0]
    counted.forget("a")
    counted.forget("never counted")
    assert counted.next("a") == 1.0
    counted.forget("a")
    counted.forget("b")
    assert not counted._failures
