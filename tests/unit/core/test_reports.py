"""What a shard reports comes back complete, and is acknowledged by the very status that it became, and by no other."""

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from federation.core import fingerprints, reports, summary
from federation.core.reports import Report
from federation.model.conditions import PropagationStatus, Reason
from federation.model.status import ClusterStatus, Status

STATUSES = ("", PropagationStatus.PENDING, PropagationStatus.CLUSTER_NOT_READY, PropagationStatus.DELETION_FAILED)
DIGESTS = st.builds(
    fingerprints.text, st.sampled_from("ab"), st.sampled_from("xy"), st.integers(1_000, 1_100) | st.none()
)
LINE = st.builds(
    ClusterStatus,
    st.sampled_from("abcdefgh"),
    status=st.sampled_from([str(each) for each in STATUSES]),
    message=st.sampled_from(["", "because", "b" * 400, "another and longer reason that some have"]),
    generation=st.sampled_from([0, 1]),
    fingerprint=DIGESTS,
)
LINES = st.lists(LINE, max_size=8, unique_by=lambda line: line.name)
NAMES = st.frozensets(st.sampled_from("abcdefgh"))


def folded(lines: list[ClusterStatus], generation: int, before: Status | None = None) -> Status:
    return summary.fold(
        before,
        generation=generation,
        reason=Reason.OK,
        message="",
        clusters=lines,
        selected=frozenset(line.name for line in lines),
        now="2026-01-01T00:00:00Z",
    )


@given(LINES)
def test_a_report_comes_back_with_every_line_complete(lines: list[ClusterStatus]) -> None:
    found = reports.decode(reports.encode(Report("configmaps", "ns", "web", 3, lines=tuple(lines))))
    assert found is not None
    for line, back in zip(lines, found.lines, strict=True):
        assert (back.name, back.status) == (line.name, line.status)
        assert back.generation == (line.generation or 3)
        assert reports._same(reports.explicit(line, 3), back)


@given(LINES, NAMES)
def test_the_status_that_it_became_acknowledges_it(lines: list[ClusterStatus], mine: frozenset[str]) -> None:
    """Whatever the lines of other shards beside it are, and after the way through two encodings."""
    status = summary.parse(msgspec.json.encode(folded(lines, 3)))
    ours = [line for line in lines if line.name in mine]
    assert reports.acknowledged(status, 3, ours, mine)
    again = folded([reports.stored(status)[line.name] for line in lines], 3, status)
    assert again.clusters == status.clusters, "folding what is stored changes nothing"


def test_a_status_that_had_no_room_for_whole_messages_acknowledges_it() -> None:
    """Else the reports of large objects would stay for good, and keep others out."""
    lines = [ClusterStatus(f"m{each:04}", "UpdateFailed", f"{each} {'x' * 280}") for each in range(1_500)]
    status = summary.parse(msgspec.json.encode(folded(lines, 3)))
    assert len(status.clusters) == 1_500
    assert len(status.clusters[7].message) < 280
    mine = frozenset(line.name for line in lines[:500])
    assert reports.acknowledged(status, 3, lines[:500], mine)
    again = folded([reports.stored(status)[line.name] for line in lines], 3, status)
    assert again.clusters == status.clusters, "folding what is stored changes nothing"


@given(LINES, NAMES, st.data())
def test_no_other_status_does(lines: list[ClusterStatus], mine: frozenset[str], data: st.DataObject) -> None:
    ours = [line for line in lines if line.name in mine]
    assume(ours)
    status = summary.parse(msgspec.json.encode(folded(lines, 3)))
    assert not reports.acknowledged(status, 4, ours, mine)
    assert not reports.acknowledged(status, 3, ours[1:], mine)
    chosen = data.draw(st.sampled_from(ours))
    other = msgspec.structs.replace(
        chosen, status="" if chosen.status else PropagationStatus.PENDING.value, fingerprint="c.z.1"
    )
    assert not reports.acknowledged(status, 3, [other if line is chosen else line for line in ours], mine)


def test_nothing_to_say_of_nothing_is_acknowledged_whatever_the_generation() -> None:
    assert reports.acknowledged(folded([ClusterStatus("a")], 1), 7, [], {"b"})
    assert not reports.acknowledged(folded([ClusterStatus("a")], 1), 7, [], {"a"})


def test_what_cannot_be_read_is_no_report() -> None:
    assert reports.decode("") is reports.decode("{") is reports.decode("[1]") is None
