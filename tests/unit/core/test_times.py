"""Times are written in one form, and read in every form that has a zone."""

import datetime as dt
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import federation
from federation.core import times


@given(st.integers(0, 253_402_300_799))
def test_what_is_written_is_read(seconds: int) -> None:
    text = times.rfc3339(seconds + 0.75)
    found = times.moment(text)
    assert found is not None
    assert (len(text), text[-1], found.timestamp()) == (20, "Z", seconds)


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-01-31T09:30:00Z", dt.datetime(2026, 1, 31, 9, 30, tzinfo=dt.UTC)),
        ("2026-01-31T10:30:00.25+01:00", dt.datetime(2026, 1, 31, 9, 30, 0, 250_000, tzinfo=dt.UTC)),
        ("2026-01-31T09:30:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1_769_851_800, None),
    ],
)
def test_what_is_a_time(stamp: object, expected: dt.datetime | None) -> None:
    assert times.moment(stamp) == expected


def test_nobody_else_writes_times_or_reads_them() -> None:
    root = pathlib.Path(federation.__file__).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for text in [path.read_text(encoding="utf-8")]
        if "strftime(" in text or "fromisoformat(" in text
    }
    assert found == {"core/times.py"}
