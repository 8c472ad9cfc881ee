"""What a line records of the last apply, as text and back; what an object must show to be as that apply left it."""

import pytest

from federation.core import fingerprints
from federation.core.fingerprints import Fingerprint
from federation.model.observations import MAY_HAVE_COPY, Applied, Observed, Recorded


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("abc-_123.def", Fingerprint("abc-_123", "def"), id="without-a-time"),
        pytest.param("a.b.0", Fingerprint("a", "b", 0), id="of-an-entry-without-a-time"),
        pytest.param("a.b.6b0d2f0a", Fingerprint("a", "b", 0x6B0D2F0A), id="with-one"),
        pytest.param("a.b.6b0d2f0a+17", Fingerprint("a", "b", 0x6B0D2F0A, 17), id="of-many-clusters"),
    ],
)
def test_there_and_back(text: str, found: Fingerprint) -> None:
    assert fingerprints.parse(text) == found
    assert fingerprints.text(*found) == text


@pytest.mark.parametrize(
    "text",
    [*" a a. .b a.b. a.b.c.d a.b.xyz a.b.5+ a.b.+5 a.b.-5 a.b.5+5+5 ? * a.b.5*".split(" "), "a.b." + "f" * 5000],
)
def test_garbage_is_none(text: str) -> None:
    assert fingerprints.parse(text) is None


def seen(owned: str = "b", at: int = 100) -> Observed:
    return Observed("uid", 1, owned, managed=True, applied_at=at)


@pytest.mark.parametrize(
    ("applied", "observed", "same"),
    [
        pytest.param(Applied("a", "b", 1, 100), seen(), True, id="as-it-was-left"),
        pytest.param(Applied("a", "b", 1, 100), seen("c"), False, id="other-fields"),
        pytest.param(Applied("a", "b", 1, 100), seen(at=99), False, id="an-older-entry"),
        pytest.param(Applied("a", "b", 1, 100), seen(at=101), False, id="a-newer-one"),
        pytest.param(Applied("a", "b", 1, 0), seen(at=0), True, id="an-entry-that-never-had-a-time"),
        pytest.param(Applied("a", "b", 1, 0), seen(), False, id="which-has-one-now"),
        pytest.param(Recorded("a", "b", timed=False), seen(), True, id="recorded-without-a-time"),
        pytest.param(Recorded("a", "b", timed=False), seen("c"), False, id="so-but-other-fields"),
        pytest.param(Recorded("a", "b", 1, 95, 5), seen(), True, id="the-last-of-many"),
        pytest.param(Recorded("a", "b", 1, 100, 5), seen(), True, id="the-first-of-many"),
        pytest.param(Recorded("a", "b", 1, 101, 5), seen(), False, id="before-the-first"),
        pytest.param(Recorded("a", "b", 1, 90, 5), seen(), False, id="after-the-last"),
    ],
)
def test_what_shows_that_nothing_was_changed(applied: Applied, observed: Observed, same: bool) -> None:
    assert applied.shown_by(observed) is same


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        pytest.param("a.b.5", True, id="its-own"),
        pytest.param("a.b.0", True, id="without-a-time"),
        pytest.param("a.b.5+2", False, id="shared"),
        pytest.param("a.b", False, id="an-earlier-versions"),
    ],
)
def test_what_is_recorded(text: str, exact: bool) -> None:
    found = fingerprints.parse(text)
    assert found is not None
    applied = fingerprints.recorded(found, 3)
    assert isinstance(applied, Recorded) is not exact
    assert applied.generation == 3
    assert fingerprints.of(applied) == text


def test_of_what_is_not_known_there_is_none() -> None:
    assert not fingerprints.of(MAY_HAVE_COPY)
