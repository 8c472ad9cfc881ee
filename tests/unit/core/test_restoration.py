"""What shows that a hub has gone back in time, and what does not."""

from typing import Any

import pytest

from federation.core import holds, restoration
from federation.core.holds import Restored
from federation.core.restoration import Hold, Overwritten, Record, Told, Witness
from federation.model.conditions import PropagationStatus
from federation.model.federated import FederatedObject, Metadata, StoredObject
from federation.model.observations import MAY_HAVE_COPY, Applied, Observed, Recorded
from federation.model.plan import Apply, Delete, Keep, Plan, Recreation, Release, Wait
from federation.model.resources import ObjectName, Resource

KNOWN = Record("u", 100, 7)
CONFIGMAPS = Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)
WITNESS = Witness(CONFIGMAPS, ObjectName("ns", "web"), "u", 50)
HOLD = Hold("abcd1234", "2026-01-01T10:00:00Z", "its Lease is gone")


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(Record("u", 100, 7), id="unchanged"),
        pytest.param(Record("u", 101, 8), id="written-by-another-controller"),
        pytest.param(Record("u", 101, 7), id="edited-by-somebody"),
        pytest.param(Record("u", 0, 7), id="no-number"),
    ],
)
def test_a_lease_that_moved_on_is_of_the_same_hub(found: Record) -> None:
    assert restoration.went_back(KNOWN, found) == ""


@pytest.mark.parametrize(
    ("found", "why"),
    [
        pytest.param(Record("u", 99, 6), "resourceVersion 99", id="behind"),
        pytest.param(Record("u", 500, 3), "written 3 times", id="overtaken-and-written-by-another-controller"),
        pytest.param(Record("v", 100, 7), "another one", id="made-anew"),
        pytest.param(Record("u", 100, 9), "another one of resourceVersion", id="counted-anew"),
    ],
)
def test_a_lease_that_went_back(found: Record, why: str) -> None:
    assert why in restoration.went_back(KNOWN, found)


@pytest.mark.parametrize(
    ("annotations", "spec", "expected"),
    [
        ({}, {}, Record("u", 5)),
        ({restoration.COUNT_ANNOTATION: "12"}, {"renewTime": "t"}, Record("u", 5, 12, "t")),
        ({restoration.COUNT_ANNOTATION: "-1"}, {"renewTime": 3}, Record("u", 5)),
        ({restoration.COUNT_ANNOTATION: "9" * 40}, {}, Record("u", 5)),
    ],
)
def test_what_somebody_wrote_into_it_counts_as_nothing(
    annotations: dict[str, str], spec: dict[str, Any], expected: Record
) -> None:
    meta = Metadata(name="x", namespace="fed", uid="u", resource_version="5", annotations=annotations)
    assert restoration.read(StoredObject(meta, spec)) == expected


def test_a_hold_survives_in_the_lease() -> None:
    written = {name: text for name, text in restoration.annotations(3, HOLD).items() if text is not None}
    meta = Metadata(name="x", uid="u", resource_version="5", annotations=written)
    assert restoration.read(StoredObject(meta)) == Record("u", 5, 3, "", HOLD)
    assert restoration.annotations(4, None)[restoration.HOLD_ANNOTATION] is None


def test_a_hold_that_somebody_garbled_holds_on() -> None:
    meta = Metadata(name="x", uid="u", resource_version="5", annotations={restoration.HOLD_ANNOTATION: "{"})
    hold = restoration.read(StoredObject(meta)).hold
    assert hold is not None
    assert not restoration.asked_for_after("2030-01-01T00:00:00Z", hold)
    assert not restoration.over(hold, "2030-01-01T00:00:00Z", 1.0)


@pytest.mark.parametrize(("before", "listed", "older"), [(0, 5, False), (5, 5, False), (6, 5, True), (6, 0, False)])
def test_lists_are_no_older_than_what_was_seen(before: int, listed: int, older: bool) -> None:
    assert restoration.list_is_older(before, listed) is older


@pytest.mark.parametrize(
    ("before", "item", "listed", "older"),
    [
        pytest.param(10, 10, 20, False, id="same"),
        pytest.param(10, 12, 20, False, id="newer"),
        pytest.param(10, 8, 20, True, id="older"),
        pytest.param(25, 8, 20, False, id="seen-after-the-list-was-made"),
        pytest.param(0, 8, 20, False, id="no-number"),
    ],
)
def test_objects_of_a_list(before: int, item: int, listed: int, older: bool) -> None:
    assert restoration.object_is_older(before, item, listed) is older


@pytest.mark.parametrize(("version", "older"), [("49", True), ("50", False), ("51", False), ("", False)])
def test_a_witness(version: str, older: bool) -> None:
    found = FederatedObject(Metadata(name="web", namespace="ns", uid="u", resource_version=version))
    assert bool(restoration.older(WITNESS, found)) is older


@pytest.mark.parametrize(
    ("stamp", "after"),
    [
        (None, False),
        ("2026-01-01T09:59:59Z", False),
        ("2026-01-01T10:00:00Z", False),
        ("2026-01-01T10:00:01Z", True),
        ("1970-01-01T00:00:00Z", False),
        ("garbled", False),
    ],
)
def test_deletions_that_were_asked_for_after_the_hold_began(stamp: str | None, after: bool) -> None:
    assert restoration.asked_for_after(stamp, HOLD) is after


@pytest.mark.parametrize(
    ("seconds", "now", "over"),
    [
        (None, "2027-01-01T00:00:00Z", False),
        (60.0, "2026-01-01T10:00:59Z", False),
        (60.0, "2026-01-01T10:01:00Z", True),
        (60.0, "2026-01-01T09:00:00Z", False),
        (60.0, "garbled", False),
    ],
)
def test_the_time_of_a_hold(seconds: float | None, now: str, over: bool) -> None:
    assert restoration.over(HOLD, now, seconds) is over


PLAN = Plan(
    1,
    {
        "a": Delete("u"),
        "b": Release("u"),
        "c": Apply(b"{}", "d", "v1", recreation=Recreation(b"{}")),
        "d": Keep("d", "e"),
        "e": Apply(b"{}", "d", "v1"),
    },
)


def test_a_restored_hub_removes_nothing_and_changes_the_rest() -> None:
    held = holds.restrain(PLAN, Metadata(name="web"), [Restored(HOLD)]).actions
    wait = Wait(PropagationStatus.WAITING_FOR_REMOVAL, holds.RESTORED)
    assert (held["a"], held["b"]) == (wait, wait)
    assert held["c"] == Apply(b"{}", "d", "v1")
    assert (held["d"], held["e"]) == (PLAN.actions["d"], PLAN.actions["e"])


@pytest.mark.parametrize(
    "let_through",
    [
        Metadata(name="web", deletion_timestamp="2026-01-01T10:00:05Z"),
        Metadata(name="web", annotations={restoration.APPROVED_ANNOTATION: HOLD.id}),
    ],
)
def test_what_a_person_asked_of_the_restored_hub_is_done(let_through: Metadata) -> None:
    assert holds.restrain(PLAN, let_through, [Restored(HOLD)]) is PLAN


@pytest.mark.parametrize(
    "kept",
    [
        Metadata(name="web", deletion_timestamp="2026-01-01T09:00:00Z"),
        Metadata(name="web", annotations={restoration.APPROVED_ANNOTATION: "of-an-earlier-hold"}),
    ],
)
def test_what_the_backup_has_of_it_is_held(kept: Metadata) -> None:
    assert holds.restrain(PLAN, kept, [Restored(HOLD)]) is not PLAN


VOUCHED = "2026-01-01T10:00:00.000000Z"
AT = 1767261600
"""The same, in seconds of the epoch."""


@pytest.mark.parametrize(
    ("applied_at", "vouched", "unvouched"),
    [
        pytest.param(AT - 60, VOUCHED, False, id="before"),
        pytest.param(AT + 5, VOUCHED, False, id="within-the-slack"),
        pytest.param(AT + 6, VOUCHED, True, id="after"),
        pytest.param(AT + 1000, VOUCHED, False, id="by-this-controller"),
        pytest.param(AT + 6, "", False, id="no-lease"),
        pytest.param(0, VOUCHED, False, id="no-time"),
    ],
)
def test_copies_that_were_applied_after_the_last_note(applied_at: int, vouched: str, unvouched: bool) -> None:
    assert restoration.unvouched(applied_at, vouched, AT + 1000) is unvouched


@pytest.mark.parametrize(
    ("written", "outlives"),
    [
        pytest.param(["2026-01-01T09:00:00Z"], True, id="all-older"),
        pytest.param(["2026-01-01T09:00:00Z", "2026-01-01T10:00:30Z"], False, id="one-newer"),
        pytest.param(["2026-01-01T09:59:56Z"], False, id="within-the-slack"),
        pytest.param([], False, id="nothing-known"),
        pytest.param(["", "garbled"], False, id="no-times"),
    ],
)
def test_copies_that_are_newer_than_all_that_decides(written: list[str], outlives: bool) -> None:
    assert restoration.outlives(AT, written) is outlives


SEEN = Observed("u", 5, "owned", managed=True, applied_at=100)


@pytest.mark.parametrize(
    ("applied", "observed", "newer"),
    [
        pytest.param(None, SEEN, True, id="nothing-recorded"),
        pytest.param(MAY_HAVE_COPY, SEEN, True, id="an-unknown-apply-recorded"),
        pytest.param(Applied("d", "owned", 1, 100), SEEN, False, id="as-applied"),
        pytest.param(Applied("d", "owned", 1, 99), SEEN, True, id="applied-once-more-since"),
        pytest.param(Applied("d", "other", 1, 100), SEEN, False, id="others-took-fields"),
        pytest.param(Applied("d", "owned", 1, 101), SEEN, False, id="older-than-recorded"),
        pytest.param(Recorded("d", "owned", 1, 90, 10), SEEN, False, id="within-the-times-of-one-rollout"),
        pytest.param(Recorded("d", "other", 1, 90, 10), SEEN, False, id="within-them-and-others-took-fields"),
        pytest.param(Recorded("d", "owned", 1, 90, 9), SEEN, True, id="after-them"),
        pytest.param(Recorded("d", "owned", 1, timed=False), SEEN, False, id="recorded-without-time"),
        pytest.param(None, Observed("u", 5, "", managed=True), False, id="not-ours"),
    ],
)
def test_a_copy_is_newer_than_what_the_hub_records(applied: Applied | None, observed: Observed, newer: bool) -> None:
    assert restoration.newer(applied, observed) is newer


COPY = Overwritten("configmaps", ObjectName("ns", "web"), "m1", "2026-01-01T10:00:00Z")


@pytest.mark.parametrize(
    ("recovery", "told"),
    [
        pytest.param({}, Told(), id="nothing"),
        pytest.param(
            {"overwritten": [COPY.document()], "overwrittenCopies": 7}, Told((COPY,), 7), id="more-than-named"
        ),
        pytest.param({"overwritten": [COPY.document()]}, Told((COPY,), 1), id="not-counted"),
        pytest.param(
            {"overwritten": [COPY._replace(applied="").document()]},
            Told((COPY._replace(applied=""),), 1),
            id="of-an-earlier-version",
        ),
        pytest.param(
            {"overwritten": [{**COPY.document(), "appliedAt": 7}], "overwrittenCopies": "x"},
            Told((COPY._replace(applied=""),), 1),
            id="no-time-and-no-number",
        ),
        pytest.param({"overwritten": [7, {}, {"type": "x", "name": 3}]}, Told(), id="no-copies"),
        pytest.param({"overwritten": "x"}, Told(), id="no-list"),
    ],
)
def test_what_a_status_says_was_overwritten(recovery: dict[str, Any], told: Told) -> None:
    assert restoration.told(recovery) == told
