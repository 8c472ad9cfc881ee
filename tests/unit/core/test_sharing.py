"""Equal fingerprints of healthy lines are stored once, and every reader still knows whose each is."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import sharing, summary
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
    marked, bare, unknown = PRINT + sharing.MARK, "", sharing.UNKNOWN
    assert summary.parse_fingerprint(marked) == ("abcdefgh", "ijklmnop*")
    assert [summary.parse_fingerprint(text) for text in (bare, unknown)] == [None, None]


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
