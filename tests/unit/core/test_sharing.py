"""Equal fingerprints of healthy lines are stored once, and every reader still knows whose each is."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import fingerprints, sharing, summary
from federation.model.status import ClusterStatus

PRINT, OTHER = "abcdefgh.ijklmnop", "abcdefgh.qrstuvwx"


def line(name: str, fingerprint: str = PRINT, status: str = "", **more: int) -> ClusterStatus:
    return ClusterStatus(name, status, fingerprint=fingerprint, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "stored"),
    [
        pytest.param([], [], id="none"),
        pytest.param([line("a")], [line("a")], id="one-alone"),
        pytest.param([line("a"), line("b")], [line("a", PRINT + "*"), line("b", "")], id="two"),
        pytest.param([line("a"), line("b", OTHER)], [line("a"), line("b", OTHER)], id="all-differ"),
        pytest.param(
            [line("a", OTHER), line("b"), line("c")],
            [line("a", OTHER), line("b", PRINT + "*"), line("c", "")],
            id="most",
        ),
        pytest.param([line("a", ""), line("b", "")], [line("a", ""), line("b", "")], id="as-kubefed-wrote-them"),
        pytest.param(
            [line("a", ""), line("b"), line("c")],
            [line("a", "?"), line("b", PRINT + "*"), line("c", "")],
            id="one-that-is-not-known",
        ),
        pytest.param(
            [line("a", status="UpdateFailed"), line("b"), line("c"), line("d", "", status="CreationFailed")],
            [
                line("a", status="UpdateFailed"),
                line("b", PRINT + "*"),
                line("c", ""),
                line("d", "", status="CreationFailed"),
            ],
            id="failing-ones-share-nothing",
        ),
        pytest.param(
            [line("a", generation=4), line("b", generation=4)],
            [line("a", PRINT + "*", generation=4), line("b", "", generation=4)],
            id="of-another-generation",
        ),
    ],
)
def test_forms(lines: list[ClusterStatus], stored: list[ClusterStatus]) -> None:
    assert list(sharing.share(lines)) == stored
    assert sharing.owned(stored) == lines


@pytest.mark.parametrize(
    ("stored", "known"),
    [
        pytest.param([line("a", ""), line("b", "")], ["", ""], id="kubefeds"),
        pytest.param([line("a"), line("b", ""), line("c", OTHER)], [PRINT, "", OTHER], id="an-earlier-versions"),
        pytest.param(
            [line("a", OTHER), line("b", ""), line("c", "")], [OTHER, "", ""], id="an-earlier-one-took-the-mark-away"
        ),
        pytest.param(
            [line("a", PRINT + "*", status="UpdateFailed"), line("b", "")], [None, ""], id="marked-but-failing"
        ),
    ],
)
def test_without_a_mark_a_line_without_a_fingerprint_is_not_known(
    stored: list[ClusterStatus], known: list[str | None]
) -> None:
    found = [each.fingerprint for each in sharing.owned(stored)]
    assert all(wanted is None or wanted == one for wanted, one in zip(known, found, strict=True))


def test_an_earlier_version_takes_what_it_cannot_read_for_an_apply_to_be_repeated() -> None:
    """Its parser: the marked one equals no observed entry, the others are of clusters that may have a copy."""

    def parse(text: str) -> tuple[str, str] | None:
        digest, dot, owned = text.partition(".")
        return (digest, owned) if digest and dot and owned and "." not in owned else None

    assert parse(PRINT + sharing.MARK) == ("abcdefgh", "ijklmnop*")
    with_times = [PRINT + ".6b0d2f0a", f"{PRINT}.6b0d2f0a+5{sharing.MARK}"]
    assert [parse(text) for text in ("", sharing.UNKNOWN, *with_times)] == [None] * 4


@pytest.mark.parametrize(
    ("times", "stored"),
    [
        pytest.param(["a", "a"], [f"{PRINT}.a*", ""], id="of-one-second"),
        pytest.param(["a", "f", "c"], [f"{PRINT}.a+5*", "", ""], id="of-one-rollout"),
        pytest.param(["c", "c", "a"], [f"{PRINT}.a+2*", "", ""], id="not-the-first-line-was-first"),
        pytest.param(["a", "47", "48"], [f"{PRINT}.a", f"{PRINT}.47+1*", ""], id="sixty-seconds-at-most"),
        pytest.param(["a", "46", "b"], [f"{PRINT}.a+60*", "", ""], id="sixty-seconds"),
        pytest.param(
            ["a", "100", "a", "200"], [f"{PRINT}.a*", f"{PRINT}.100", "", f"{PRINT}.200"], id="put-back-later"
        ),
        pytest.param(["a", "a", ""], [f"{PRINT}.a*", "", PRINT], id="one-without-a-time"),
        pytest.param(["", "", "a"], [f"{PRINT}*", "", f"{PRINT}.a"], id="most-without-a-time"),
        pytest.param(["a+3", "c", "e"], [f"{PRINT}.a+4*", "", ""], id="one-that-a-status-recorded-so"),
    ],
)
def test_times_of_one_rollout_are_written_once(times: list[str], stored: list[str]) -> None:
    lines = [line(f"m{number}", f"{PRINT}.{time}".removesuffix(".")) for number, time in enumerate(times)]
    shared = sharing.share(lines)
    assert [each.fingerprint for each in shared] == stored
    assert list(sharing.share(sharing.owned(shared))) == list(shared)  # as a controller that starts finds them


def test_each_lines_time_is_within_what_is_stored_of_it() -> None:
    times = [10, 12, 12, 15, 70, 71, 500]
    lines = [line(f"m{number}", fingerprints.text("a", "b", time)) for number, time in enumerate(times)]
    for time, owned in zip(times, sharing.owned(sharing.share(lines)), strict=True):
        found = fingerprints.parse(owned.fingerprint)
        assert found is not None
        assert found.time is not None
        assert found.time <= time <= found.time + found.spread


@pytest.mark.parametrize(
    ("now", "before", "same"),
    [
        pytest.param(["a.b.5", "a.b.5"], ["a.b*", ""], True, id="an-earlier-version-recorded-no-times"),
        pytest.param(["a.b.5", "a.c.5"], ["a.b", "a.c"], True, id="each-its-own"),
        pytest.param(["a.b.5", "a.b.7"], ["a.b", "a.b"], True, id="before-they-were-shared"),
        pytest.param(["a.b.5", "a.b.5"], ["a.b.5", "a.b"], True, id="some-without"),
        pytest.param(["a.b.5", "a.b.5"], ["a.b.5", "a.b.6"], False, id="another-time"),
        pytest.param(["a.b.5", "a.b.5"], ["a.b.5", "a.c"], False, id="another-apply"),
        pytest.param(["a.b.5", "a.b.5"], ["a.b*"], False, id="a-line-more"),
        pytest.param(["a.b", "a.b"], ["a.b.5*", ""], False, id="times-are-not-taken-away"),
    ],
)
def test_stored_lines_that_lack_times_say_the_same(now: list[str], before: list[str], same: bool) -> None:
    stored = [line(f"m{number}", text) for number, text in enumerate(before)]
    lines = sharing.share([line(f"m{number}", text) for number, text in enumerate(now)])
    assert sharing.equivalent(lines, stored) is same


def test_a_line_that_is_a_name_is_one_object_for_all_statuses() -> None:
    first, second = (list(sharing.share([line("a", text), line("b", text)])) for text in (PRINT, OTHER))
    assert first[1] is second[1]
    raw = msgspec.json.encode({"clusters": first})
    assert summary.parse(raw).clusters[1] is first[1]


LINES = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.tuples(
        st.sampled_from(["", "", "UpdateFailed"]),
        st.sampled_from(["", "short"]),
        st.integers(0, 2),
        st.sampled_from(["", PRINT, PRINT, OTHER]),
        st.booleans(),
    ),
    max_size=9,
).map(
    lambda drawn: [
        ClusterStatus(
            name, word, message, generation, text, remote_status=msgspec.Raw(b"{}") if remote else msgspec.UNSET
        )
        for name, (word, message, generation, text, remote) in sorted(drawn.items())
    ]
)


@given(LINES)
def test_nothing_is_lost(lines: list[ClusterStatus]) -> None:
    assert sharing.owned(sharing.share(lines)) == lines
    assert list(sharing.share(sharing.owned(sharing.share(lines)))) == list(sharing.share(lines))
