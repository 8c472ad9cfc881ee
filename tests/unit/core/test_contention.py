"""Two controllers that set one field: the corrections become rare, and are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import contention
from federation.core.contention import Contention


def _after(count: int, apart: float = 1.0) -> Contention:
    noted = contention.record(None, 0.0, manager="argo", fields=(".spec.x",))
    for number in range(1, count):
        noted = contention.record(noted, number * apart)
    return noted


@pytest.mark.parametrize(
    ("count", "seconds"), [(1, 0), (2, 0), (3, 0), (4, 15), (5, 30), (6, 60), (9, 480), (10, 960), (500, 960)]
)
def test_delays(count: int, seconds: float) -> None:
    assert contention.delay(_after(count)) == seconds


def test_nothing_noted_nothing_delayed() -> None:
    assert contention.delay(None) == 0.0


def test_a_quiet_hour_forgets_and_a_longest_delay_does_not() -> None:
    noted = _after(12)
    assert contention.record(noted, noted.last + 960).count == 13
    assert contention.record(noted, noted.last + 3601, manager="x") == Contention(
        1, noted.last + 3601, noted.last + 3601, "x"
    )


def test_the_last_known_manager_and_fields_are_kept() -> None:
    noted = _after(2)
    assert (noted.manager, noted.fields) == ("argo", (".spec.x",))
    again = contention.record(noted, 5.0, manager="hpa", fields=(".spec.y",))
    assert (again.manager, again.fields, again.first, again.last) == ("hpa", (".spec.y",), 0.0, 5.0)


@given(st.integers(1, 200))
def test_an_opponent_who_never_rests_costs_few_writes_an_hour(days: int) -> None:
    noted = None
    now = 0.0
    writes = 0
    while now < days * 3600:
        noted = contention.record(noted, now, manager="argo")
        writes += 1
        now += contention.delay(noted) + 0.5
    assert writes <= 10 + days * 4


@pytest.mark.parametrize(
    ("noted", "now", "expected"),
    [
        pytest.param(
            Contention(7, 0.0, 60.0, "argo", (".spec.x",)),
            90.0,
            '"argo" in this cluster sets .spec.x again and again: put back 7 times in 90 s; next correction in 90 s. ',
            id="one-field",
        ),
        pytest.param(
            Contention(12, 0.0, 7200.0, "", (".a", ".b", ".c", ".d", ".e")),
            7200.0,
            "somebody in this cluster sets .a, .b, .c and 2 more again and again: put back 12 times in 120 min; "
            "next correction in 16 min. ",
            id="unknown-manager-many-fields",
        ),
        pytest.param(
            Contention(4, 0.0, 10.0),
            60.0,
            "somebody in this cluster sets a field again and again: put back 4 times in 60 s; "
            "corrected again at the next change. ",
            id="wait-is-over",
        ),
    ],
)
def test_messages(noted: Contention, now: float, expected: str) -> None:
    assert contention.message(noted, now).startswith(expected)
