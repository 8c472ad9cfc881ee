"""A federated object's status: conditions, stability, budget and the patch that writes it."""

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import budget, sharing, summary
from federation.model.conditions import PropagationStatus, Reason
from federation.model.status import ClusterStatus, Condition, Status, Summary

NOW = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:10:00Z"
PRINT = "abcdefgh.ijklmnop"


def _ok(name: str, generation: int = 0) -> ClusterStatus:
    return ClusterStatus(name, generation=generation, fingerprint=PRINT)


def _bad(name: str, status: PropagationStatus = PropagationStatus.UPDATE_FAILED, message: str = "") -> ClusterStatus:
    return ClusterStatus(name, status, message)


def _fold(
    *lines: ClusterStatus,
    previous: Status | None = None,
    generation: int = 5,
    reason: Reason = Reason.OK,
    message: str = "",
    selected: set[str] | None = None,
    now: str = NOW,
    stalled: frozenset[str] = frozenset(),
    nowhere: str = "",
    ready_reason: Reason = Reason.OK,
    deleting: bool = False,
) -> Status:
    return summary.fold(
        previous,
        generation=generation,
        reason=reason,
        message=message,
        clusters=lines,
        selected={line.name for line in lines} if selected is None else selected,
        now=now,
        stalled=stalled,
        nowhere=nowhere,
        ready_reason=ready_reason,
        deleting=deleting,
    )


def _conditions(folded: Status) -> dict[str, Condition]:
    return {condition.type: condition for condition in folded.conditions}


def test_a_healthy_object() -> None:
    folded = _fold(_ok("m2"), _ok("m1", generation=5))
    assert folded == Status(
        5,
        (
            Condition("Propagation", "True", "", "", NOW, NOW, 5),
            Condition("Ready", "True", "Propagated", "2 clusters have applied generation 5", NOW, NOW, 5),
        ),
        (ClusterStatus("m1", fingerprint=f"{PRINT}*"), ClusterStatus("m2")),
    )


def test_an_object_placed_nowhere_is_ready_by_another_name_and_says_what_led_to_it() -> None:
    """Not False: Flux and Helm would wait for ever for what is placed nowhere on purpose."""
    empty = _fold(selected=set(), nowhere="spec.placement.clusters is an empty list")
    ready = _conditions(empty)["Ready"]
    assert (ready.status, ready.reason) == ("True", "NoClusterSelected")
    assert ready.message == "no cluster is selected: spec.placement.clusters is an empty list"
    system = _fold(selected=set(), nowhere="Namespace 'default' is its own", ready_reason=Reason.SYSTEM_NAMESPACE)
    ready = _conditions(system)["Ready"]
    assert (ready.status, ready.reason, ready.message) == ("True", "SystemNamespace", "Namespace 'default' is its own")


@pytest.mark.parametrize(
    ("status", "reason"),
    [(PropagationStatus.WAITING_FOR_REMOVAL, "Progressing"), (PropagationStatus.DELETION_FAILED, "CheckClusters")],
)
def test_what_is_being_deleted_is_not_placed_nowhere(status: PropagationStatus, reason: str) -> None:
    """Its user waits until it is gone, which a cluster delays or refuses."""
    ready = _conditions(_fold(_bad("m1", status), selected=set(), deleting=True))["Ready"]
    assert (ready.status, ready.reason) == ("False", reason)
    assert ready.message == "the object is being deleted; still to be removed from m1"


def test_names_that_nobody_joined_under_are_told() -> None:
    folded = summary.fold(
        None,
        generation=5,
        reason=Reason.OK,
        message="",
        clusters=[_ok("m1")],
        selected={"m1"},
        now=NOW,
        unjoined=["a", "b", "c", "d"],
    )
    ready = _conditions(folded)["Ready"]
    told = "1 cluster has applied generation 5; no cluster has joined as a, b, c and 1 more"
    assert (ready.status, ready.message) == ("True", told)


def test_what_is_empty_is_not_written() -> None:
    """KubeFed's `reason` is absent when all is well, not ""."""
    body = summary.patch(None, _fold(_ok("m1")))
    assert body is not None
    written = orjson.loads(body)["status"]
    assert "reason" not in written["conditions"][0]
    assert written["clusters"] == [{"name": "m1", "fingerprint": PRINT}]


@pytest.mark.parametrize(
    ("lines", "selected", "propagation", "ready", "reason", "message"),
    [
        pytest.param([], None, "True", "True", "NoClusterSelected", "no cluster is selected", id="nowhere"),
        pytest.param([_ok("m1")], None, "True", "True", "Propagated", "1 cluster has applied generation 5", id="one"),
        pytest.param(
            [_ok("m1"), _ok("m2"), _bad("m3", PropagationStatus.CLUSTER_NOT_READY)],
            None,
            "False",
            "False",
            "CheckClusters",
            "2 of 3 clusters have applied generation 5; m3: ClusterNotReady",
            id="one-fails",
        ),
        pytest.param(
            [_ok("m1"), _bad("m2", PropagationStatus.PENDING)],
            None,
            "False",
            "False",
            "Progressing",
            "1 of 2 clusters have applied generation 5; m2: Pending",
            id="under-way",
        ),
        pytest.param(
            [_ok("m1", generation=4)],
            None,
            "True",
            "False",
            "Progressing",
            "0 of 1 clusters have applied generation 5; m1: has applied generation 4",
            id="an-older-generation",
        ),
        pytest.param(
            [_bad(f"m{number}") for number in range(6)],
            None,
            "False",
            "False",
            "CheckClusters",
            "0 of 6 clusters have applied generation 5; "
            "m0: UpdateFailed; m1: UpdateFailed; m2: UpdateFailed; and 3 more",
            id="many-fail",
        ),
        pytest.param(
            [_ok("m1"), _bad("m2", PropagationStatus.WAITING_FOR_REMOVAL)],
            {"m1"},
            "False",
            "True",
            "Propagated",
            "1 cluster has applied generation 5; still to be removed from m2",
            id="removal-is-not-placement",
        ),
        pytest.param(
            [_ok("m1")],
            {"m1", "m2"},
            "True",
            "False",
            "Progressing",
            "1 of 2 clusters have applied generation 5; m2: Pending",
            id="a-selected-cluster-without-a-line",
        ),
    ],
)
def test_conditions(
    *,
    lines: list[ClusterStatus],
    selected: set[str] | None,
    propagation: str,
    ready: str,
    reason: str,
    message: str,
) -> None:
    conditions = _conditions(_fold(*lines, selected=selected))
    assert conditions["Propagation"].status == propagation
    assert conditions["Propagation"].reason == ("" if propagation == "True" else "CheckClusters")
    assert (conditions["Ready"].status, conditions["Ready"].reason, conditions["Ready"].message) == (
        ready,
        reason,
        message,
    )


def test_an_object_at_fault_says_so_in_both() -> None:
    conditions = _conditions(_fold(reason=Reason.INVALID, message="spec.template: is required"))
    assert conditions["Propagation"].status == conditions["Ready"].status == "False"
    assert conditions["Propagation"].reason == conditions["Ready"].reason == "InvalidSpec"
    assert conditions["Propagation"].message == conditions["Ready"].message == "spec.template: is required"


@pytest.mark.parametrize(
    ("reason", "stalls"),
    [
        pytest.param(Reason.OK, False, id="well"),
        pytest.param(Reason.INVALID, True, id="spec"),
        pytest.param(Reason.COMPUTE_PLACEMENT_FAILED, True, id="placement"),
        pytest.param(Reason.NAMESPACE_NOT_FEDERATED, False, id="namespace-still-to-come"),
        pytest.param(Reason.FINALIZER_REFUSED, False, id="finalizer"),
    ],
)
def test_an_object_stalls_by_its_own_fault_alone(reason: Reason, stalls: bool) -> None:
    found = _conditions(_fold(_ok("m1"), reason=reason, message="why")).get("Stalled")
    assert found == (Condition("Stalled", "True", reason, "why", NOW, NOW, 5) if stalls else None)


def test_clusters_that_only_another_manifest_can_help_stall_it() -> None:
    failing = [_bad(f"m{number}", PropagationStatus.APPLY_OVERRIDES_FAILED, "no /spec/x") for number in range(2, 7)]
    stalled = frozenset(line.name for line in failing) - {"m2"} | {"elsewhere"}
    found = _conditions(_fold(_ok("m1"), *failing, stalled=stalled))["Stalled"]
    assert (found.status, found.reason) == ("True", "ApplyOverridesFailed")
    told = [f"{name}: ApplyOverridesFailed: no /spec/x" for name in ("m3", "m4", "m5")]
    assert found.message == "; ".join([*told, "and 1 more"])


def test_stalled_goes_with_its_cause_and_is_stable_until_then() -> None:
    bad = _bad("m1", message="w" * 999)
    first = _fold(bad, stalled=frozenset({"m1"}))
    assert len(_conditions(first)["Stalled"].message) < budget.MESSAGE + 30
    assert _fold(bad, previous=first, stalled=frozenset({"m1"}), now=LATER) is first
    stored = summary.parse(msgspec.json.encode(first))
    assert _fold(bad, previous=stored, stalled=frozenset({"m1"}), now=LATER) is stored
    mended = _fold(_ok("m1"), previous=first, now=LATER)
    assert set(_conditions(mended)) == {"Propagation", "Ready"}
    assert b"Stalled" not in (summary.patch(first, mended) or b"")


def test_the_default_that_no_controller_has_seen_is_like_no_status() -> None:
    """CRDs default summary.observedGeneration to -1 for kstatus; the first write is the same one write."""
    unseen = summary.parse(b'{"observedGeneration":-1}')
    assert (unseen.conditions, unseen.clusters) == ((), ())
    told = _fold(_ok("m1"), previous=unseen)
    assert told == _fold(_ok("m1"))
    assert summary.patch(unseen, told) == summary.patch(None, told)


def test_the_same_facts_give_the_same_object_back() -> None:
    lines = [_ok("m1"), _bad("m2", message="why"), _bad("m3", message="w" * 99), _bad("m4", message="w" * 99)]
    first = _fold(*lines)
    assert _fold(*lines, previous=first, now=LATER) is first
    assert _fold(*reversed(lines), previous=first, now=LATER) is first
    stored = summary.parse(msgspec.json.encode(first))
    assert stored == first
    assert _fold(*lines, previous=stored, now=LATER) is stored
    assert summary.patch(stored, stored) is None
    assert summary.patch(stored, first) is None


def test_times_move_as_kubefeds() -> None:
    first = _fold(_ok("m1"))
    changed = _fold(ClusterStatus("m1", fingerprint="other.entry"), previous=first, now=LATER)
    propagation, ready = _conditions(changed)["Propagation"], _conditions(changed)["Ready"]
    assert (propagation.last_update_time, propagation.last_transition_time) == (LATER, NOW)
    assert (ready.last_update_time, ready.last_transition_time) == (NOW, NOW)
    failed = _conditions(_fold(_bad("m1"), previous=first, now=LATER))
    assert {condition.last_transition_time for condition in failed.values()} == {LATER}
    newer = _conditions(_fold(_ok("m1"), previous=first, generation=6, now=LATER))
    assert {condition.last_transition_time for condition in newer.values()} == {NOW}
    assert {condition.last_update_time for condition in newer.values()} == {LATER}


def test_conditions_of_others_and_remote_statuses_are_kept() -> None:
    other = Condition("Theirs", "True")
    remote = ClusterStatus("m1", fingerprint=PRINT, remote_status=msgspec.Raw(b'{"a": null}'))
    folded = _fold(remote, previous=Status(4, (other,), ()))
    assert folded.conditions[-1] == other
    assert folded.clusters == (remote,)
    body = summary.patch(None, folded)
    assert body is not None
    assert b'"remoteStatus":{"a": null}' in body


@pytest.mark.parametrize(
    ("previous", "new", "body"),
    [
        pytest.param(None, Status(1), {"observedGeneration": 1}, id="first"),
        pytest.param(Status(1), Status(1), None, id="equal"),
        pytest.param(
            Status(1, (Condition("A", "True"),), (_ok("m1"),)),
            Status(2, (Condition("A", "True"),), ()),
            {"observedGeneration": 2, "clusters": None},
            id="an-emptied-list-is-removed",
        ),
        pytest.param(
            Status(1, (), (_ok("m1"),)),
            Status(1, (Condition("A", "True"),), (_bad("m1"),)),
            {"conditions": [{"type": "A", "status": "True"}], "clusters": [{"name": "m1", "status": "UpdateFailed"}]},
            id="only-what-differs",
        ),
    ],
)
def test_patches(previous: Status | None, new: Status, body: dict[str, object] | None) -> None:
    encoded = summary.patch(previous, new)
    assert (orjson.loads(encoded) if encoded is not None else None) == (None if body is None else {"status": body})


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'{"clusters":"x"}', b"{"])
def test_a_status_that_cannot_be_read_is_empty(raw: bytes) -> None:
    assert summary.parse(raw) == Status()


def test_kubefeds_status_is_read() -> None:
    conditions = b'[{"type":"Propagation","status":"True","lastTransitionTime":"t"}]'
    raw = b'{"conditions":' + conditions + b',"clusters":[{"name":"m1"}],"x":1}'
    assert summary.parse(raw) == Status(
        0, (Condition("Propagation", "True", last_transition_time="t"),), (ClusterStatus("m1"),)
    )


def test_equal_messages_are_said_once() -> None:
    long = "quota exceeded in this cluster"
    folded = _fold(
        _bad("m2", message=long), _bad("m1", message=long), _bad("m3", message="short"), _bad("m4", message="short")
    )
    assert [line.message for line in folded.clusters] == [long, "same as m1", "short", "short"]
    stored = budget.by_name(folded.clusters)
    assert [budget.message_of(stored, name) for name in ("m1", "m2", "m3", "m9")] == [long, long, "short", ""]


def test_long_messages_are_cut() -> None:
    folded = _fold(_bad("m1", message="x" * 5000), reason=Reason.INVALID, message="y" * 5000)
    assert folded.clusters[0].message == "x" * 299 + "…"
    assert len(_conditions(folded)["Ready"].message) < 400


def _distinct(count: int, name: str = "cluster-{:05d}") -> list[ClusterStatus]:
    return [
        ClusterStatus(
            name.format(number), PropagationStatus.CREATION_FAILED, f"{number}: " + "long text " * 60, 4, PRINT
        )
        for number in range(count)
    ]


def _size(folded: Status) -> int:
    """Bytes as an API server stores it; tests/contract has its form."""
    stored = msgspec.json.encode(folded)
    for character in "<>&\u2028\u2029":
        stored = stored.replace(character.encode(), f"\\u{ord(character):04x}".encode())
    assert summary.parse(stored) == folded
    return len(stored)


REASONS = (
    PropagationStatus.CREATION_FAILED,
    PropagationStatus.UPDATE_TIMED_OUT,
    PropagationStatus.CLUSTER_NOT_READY,
    PropagationStatus.ALREADY_EXISTS,
    PropagationStatus.WAITING_FOR_REMOVAL,
)


def _crowd(count: int, text: str) -> list[ClusterStatus]:
    """Names as long as a label's value, some reasons, and a message for each that begins like no other."""
    return [
        ClusterStatus(
            f"eu-{number:05d}-".ljust(63, "x"), REASONS[number % len(REASONS)], f"{number}: " + text * 300, 4, PRINT
        )
        for number in range(count)
    ]


def test_a_line_tells_since_when_it_has_had_its_word() -> None:
    first = _fold(_ok("m1"), _bad("m2", message="quota"), _bad("m3", PropagationStatus.PENDING))
    assert [line.since for line in first.clusters] == ["", NOW, NOW]
    lines = (_bad("m1"), _bad("m2", message="another quota"), _bad("m3", PropagationStatus.CREATION_FAILED))
    second = _fold(*lines, previous=first, generation=6, now=LATER)
    assert [line.since for line in second.clusters] == [LATER, NOW, LATER]
    assert _fold(*lines, previous=second, generation=6, now="2026-01-01T09:00:00Z") is second
    third = _fold(_ok("m1"), _ok("m2"), _ok("m3"), previous=second, generation=6, now=LATER)
    assert [line.since for line in third.clusters] == ["", "", ""]


def test_a_stored_line_without_a_time_is_not_written_for_its_sake() -> None:
    told = _fold(_bad("m1", message="quota"))
    pruned = msgspec.structs.replace(
        told, clusters=tuple(msgspec.structs.replace(line, since="") for line in told.clusters)
    )
    assert _fold(_bad("m1", message="quota"), previous=pruned, now=LATER) is pruned


@pytest.mark.parametrize("count", [100, 800, 1300, 1800, 2300, 2800, 3500, 5000])
def test_times_give_way_and_the_next_fold_says_the_same(count: int) -> None:
    folded = _fold(*_distinct(count))
    assert _size(folded) <= budget.TOTAL
    assert _fold(*_distinct(count), previous=folded, now=LATER) is folded
    assert {line.since for line in folded.clusters} in ({""}, {NOW})


def test_thousands_of_long_messages_stay_within_the_budget() -> None:
    folded = _fold(*_distinct(3500))
    assert _size(folded) <= budget.TOTAL
    assert len(folded.clusters) == 3500
    unsaid = sum(not line.message for line in folded.clusters)
    ready = _conditions(folded)["Ready"]
    assert ready.message.startswith("0 of 3500 clusters have applied generation 5; ")
    assert ready.message.endswith(f"{unsaid} messages are left out below: the status is full")
    assert 0 < unsaid < 3500
    assert _fold(*_distinct(3500), previous=folded, now=LATER) is folded


@pytest.mark.parametrize(
    "text", ["denied by policy ", "spec.<nil> && <string> ", "このクラスターのポリシー", "“é” ", '"\\', "\u2028"]
)
@pytest.mark.parametrize("count", [1000, 3500])
def test_each_failing_differently_is_within_the_budget_and_says_what_it_leaves_out(count: int, text: str) -> None:
    lines = _crowd(count, text)
    folded = _fold(*lines)
    assert _size(folded) <= budget.TOTAL
    assert _fold(*lines, previous=folded, now=LATER) is folded
    kept = {line.name: line for line in folded.clusters}
    for line in lines:
        if line.name in kept:
            assert kept[line.name].status == line.status
            assert kept[line.name].message.removesuffix("…") in line.message
    ready = _conditions(folded)["Ready"].message
    assert f"0 of {count} clusters have applied generation 5" in ready
    left_out, silent = count - len(kept), sum(not line.message for line in folded.clusters)
    assert (f"{left_out} lines are left out below" in ready) is (left_out > 0)
    assert (f"{silent} messages are left out below" in ready) is (silent > 0)
    assert budget.full(folded.clusters) or not left_out
    assert left_out == 0 or count == 3500


@pytest.mark.parametrize("count", [1000, 3500])
def test_of_each_kind_of_failure_one_message_stays(count: int) -> None:
    """Thousands of names alone would not tell a person what to do, least of all about the one that fails otherwise."""
    other = ClusterStatus("z" * 63, PropagationStatus.RETRIEVAL_FAILED, "pods is forbidden", 4, PRINT)
    folded = _fold(*_crowd(count, "この名前空間"), other)
    assert _size(folded) <= budget.TOTAL
    told = {line.status for line in folded.clusters if line.message}
    assert told == {*REASONS, PropagationStatus.RETRIEVAL_FAILED}
    silent = sum(not line.message for line in folded.clusters)
    assert f"{silent} messages are left out below" in _conditions(folded)["Ready"].message
    assert budget.full(folded.clusters) is (len(folded.clusters) < count + 1), "messages alone hide no cluster"


def test_hundreds_of_long_messages_are_shortened_before_any_is_dropped() -> None:
    folded = _fold(*_distinct(1000))
    assert _size(folded) <= budget.TOTAL
    assert all(line.message and line.fingerprint for line in folded.clusters)


def test_what_does_not_fit_is_counted_and_healthy_fingerprints_survive_failing_lines() -> None:
    long_name = "c" * 200 + "-{:05d}"
    healthy = [ClusterStatus(f"h{number}", fingerprint=PRINT) for number in range(1000)]
    folded = _fold(*_distinct(3500, long_name), *healthy)
    assert _size(folded) <= budget.TOTAL
    kept = {line.name for line in folded.clusters}
    assert sum(line.status != "" for line in folded.clusters) > 100
    assert {line.name for line in healthy} <= kept
    left_out = 4500 - len(kept)
    assert left_out > 0
    assert f"{left_out} lines are left out below: the status is full" in _conditions(folded)["Ready"].message


def test_failing_lines_survive_thousands_of_healthy_ones() -> None:
    healthy = [ClusterStatus("a" * 200 + f"-{number:05d}", fingerprint=PRINT) for number in range(3500)]
    folded = _fold(*healthy, *(_bad(f"f{number}", message="why") for number in range(100)))
    assert _size(folded) <= budget.TOTAL
    assert sum(line.status != "" for line in folded.clusters) == 100


def _collected(name: str, size: int, unhealthy: str = "", **more: Any) -> ClusterStatus:
    """A line with a remoteStatus of so many bytes."""
    raw = msgspec.Raw(b'"' + b"x" * max(0, size - 2) + b'"')
    return ClusterStatus(name, fingerprint=PRINT, remote_status=raw, ready="2/3", unhealthy=unhealthy, **more)


def _remotes(folded: Status) -> list[str]:
    return [line.name for line in folded.clusters if line.remote_status is not msgspec.UNSET]


def test_what_members_report_goes_first() -> None:
    """Before a line, a message or a time: their statuses, then why they are not well, then how much is ready."""
    failing = _distinct(3500, "c" * 200 + "-{:05d}")
    reporting = [
        msgspec.structs.replace(line, remote_status=msgspec.Raw(b"{}"), ready="1/3", unhealthy="why")
        for line in failing
    ]
    folded = _fold(*reporting)
    shown = [
        msgspec.structs.replace(line, remote_status=msgspec.UNSET, ready="", unhealthy="") for line in folded.clusters
    ]
    assert tuple(shown) == _fold(*failing).clusters
    assert _size(folded) <= budget.TOTAL
    message = _conditions(folded)["Ready"].message
    assert "it is left out below how much is ready: the status is full" in message
    assert f"{3500 - len(_remotes(folded))} remoteStatus are left out below: the status is full" in message
    assert len(_remotes(folded)) < 50


def test_of_the_statuses_those_that_are_not_well_stay_and_the_others_by_name() -> None:
    lines = [_collected(f"m{number:03d}", 1_000, "why" if number % 50 == 7 else "") for number in range(1000)]
    folded = _fold(*lines)
    names = _remotes(folded)
    assert 200 < len(names) < 260
    assert _size(folded) <= budget.TOTAL
    unwell = [line.name for line in lines if line.unhealthy]
    assert set(unwell) < set(names)
    others = [name for name in names if name not in unwell]
    assert others == [line.name for line in lines if not line.unhealthy][: len(others)]
    assert (
        f"{1000 - len(names)} remoteStatus are left out below: the status is full"
        in _conditions(folded)["Ready"].message
    )
    assert {line.ready for line in folded.clusters} == {"2/3"}
    assert _fold(*lines, previous=folded, now=LATER) is folded


def test_one_large_status_costs_the_others_nothing() -> None:
    lines = [_collected("a", 300_000), *(_collected(f"m{number}", 900) for number in range(50))]
    folded = _fold(*lines)
    assert _remotes(folded) == [f"m{number}" for number in sorted(range(50), key=str)]
    assert "1 remoteStatus are left out" in _conditions(folded)["Ready"].message


@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.booleans(), st.integers(0, 250)), max_size=300),
    st.sampled_from(["", "x", "<&>" * 30]),
)
def test_no_statuses_break_the_budget(drawn: list[tuple[int, bool, int]], message: str) -> None:
    lines = [
        _collected(f"m{index:03d}" + "n" * name, size, "why" if unwell else "", message=message)
        for index, (size, unwell, name) in enumerate(drawn)
    ]
    fitted = budget.fit(lines)
    assert len(msgspec.json.encode(fitted.lines)) <= budget.TOTAL - 8192
    shown = [line for line in fitted.lines if line.remote_status is not msgspec.UNSET]
    assert len(shown) + fitted.without_remote == len(lines)
    assert budget.fit(lines) == fitted
    plain = [msgspec.structs.replace(line, remote_status=msgspec.UNSET, ready="", unhealthy="") for line in lines]
    bare = [msgspec.structs.replace(line, remote_status=msgspec.UNSET, ready="", unhealthy="") for line in fitted.lines]
    assert tuple(bare) == budget.fit(plain).lines


def test_the_summary_is_written_where_it_differs_and_goes() -> None:
    with_summary = msgspec.structs.replace(_fold(_ok("m1")), summary=Summary(3, 2, 3, 1))
    body = orjson.loads(summary.patch(_fold(_ok("m1")), with_summary) or b"{}")
    counts = {"desired": 3, "ready": 2, "updated": 3, "unhealthyClusters": 1, "unknownClusters": 0}
    assert body == {"status": {"summary": counts}}
    assert orjson.loads(summary.patch(with_summary, _fold(_ok("m1"))) or b"{}") == {"status": {"summary": None}}
    assert summary.parse(msgspec.json.encode(with_summary)) == with_summary


@pytest.mark.parametrize("count", [1000, 3500])
def test_clusters_that_each_fail_differently_stay_within_the_budget_beside_healthy_ones(count: int) -> None:
    """Healthy ones share a fingerprint, whose line stays whatever the others take; what is read again is the same."""
    healthy = [_ok(f"h{number:05d}") for number in range(1000)]
    folded = _fold(*_distinct(count), *healthy)
    assert _size(folded) <= budget.TOTAL
    assert {line.fingerprint for line in folded.clusters if line.name.startswith("h")} == {f"{PRINT}*", ""}
    assert _fold(*_distinct(count), *healthy, previous=folded, now=LATER) is folded
    stored = summary.parse(msgspec.json.encode(folded))
    assert stored == folded
    found = {line.name: line.fingerprint for line in sharing.owned(stored.clusters)}
    assert [found[line.name] for line in healthy] == [PRINT] * len(healthy)


def test_a_thousand_equal_lines_are_names() -> None:
    folded = _fold(*(_ok(f"m{number:03d}") for number in range(1000)))
    assert len(msgspec.json.encode(folded.clusters)) < 16_100
    assert {line.fingerprint for line in folded.clusters[1:]} == {""}


def test_a_shared_line_stays_though_its_fingerprint_is_longer_than_the_room() -> None:
    healthy = [_ok("a" * 200 + f"-{number:05d}") for number in range(5000)]
    folded = _fold(*healthy)
    assert len(folded.clusters) < 5000
    assert budget.full(folded.clusters)
    assert {line.fingerprint for line in sharing.owned(folded.clusters)} == {PRINT}


def test_a_status_in_the_form_of_an_earlier_version_is_not_written_anew() -> None:
    lines = [_ok("m1"), _ok("m2"), _bad("m3", message="why")]
    now = _fold(*lines)
    before = msgspec.structs.replace(now, clusters=tuple(sharing.owned(now.clusters)))
    assert before != now
    assert _fold(*lines, previous=before, now=LATER) is before
    mended = _fold(*lines[:2], previous=before, now=LATER)
    assert [line.fingerprint for line in mended.clusters] == [f"{PRINT}*", ""]


WORDS = st.sampled_from(
    [
        PropagationStatus.OK,
        PropagationStatus.OK,
        PropagationStatus.UPDATE_FAILED,
        PropagationStatus.PENDING,
        PropagationStatus.WAITING_FOR_REMOVAL,
    ]
)
MESSAGES = st.sampled_from(["", "short", "a message that is long enough to be referred to", "é\n\x00" * 400])
LINES = st.dictionaries(
    st.text("abc", min_size=1, max_size=3), st.tuples(WORDS, MESSAGES, st.integers(0, 6)), max_size=8
).map(lambda drawn: [ClusterStatus(name, *rest) for name, rest in drawn.items()])


@given(LINES, st.sampled_from([Reason.OK, Reason.INVALID]), st.randoms(use_true_random=False))
def test_folding_is_stable_sorted_and_knows_no_order(
    lines: list[ClusterStatus], reason: Reason, random: object
) -> None:
    first = _fold(*lines, reason=reason, message="m")
    shuffled = sorted(lines, key=lambda line: random.random())  # type: ignore[attr-defined]
    assert _fold(*shuffled, previous=first, reason=reason, message="m", now=LATER) is first
    assert [line.name for line in first.clusters] == sorted(line.name for line in lines)
    ready = _conditions(first)["Ready"]
    holds = all(not line.status and line.generation in (0, 5) for line in lines)
    assert (ready.status == "True") is (holds and not reason)
    stored = orjson.loads(summary.patch(None, first) or b"{}")["status"]
    assert summary.parse(orjson.dumps(stored)) == first


@given(st.integers(0, 4000), st.integers(1, 250), st.integers(0, 320), st.booleans())
def test_no_fleet_breaks_the_budget(count: int, name: int, message: int, healthy: bool) -> None:
    lines = [
        ClusterStatus(f"{number:0{name}d}", "" if healthy else "UpdateFailed", f"{number}" + "x" * message, 0, PRINT)
        for number in range(count)
    ]
    fitted = budget.fit(lines)
    assert len(msgspec.json.encode(fitted.lines)) <= budget.TOTAL - 8192
    assert len(fitted.lines) + fitted.left_out == count


@given(LINES, st.booleans(), st.sampled_from(["", "<nil> & \u2028"]))
def test_all_lines_together_take_what_each_takes(lines: list[ClusterStatus], remote: bool, text: str) -> None:
    lines = [msgspec.structs.replace(line, message=line.message + text) for line in lines]
    if remote and lines:
        lines[0] = msgspec.structs.replace(lines[0], ready="1/2", unhealthy=text)
    assert budget._sizes(lines) == sum(map(budget._line_size, lines))
