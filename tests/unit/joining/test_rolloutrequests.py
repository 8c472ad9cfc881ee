"""What people ask of a rollout becomes a patch that names the revision; what is no use is refused, and why."""

from typing import Any

import pytest

from federation.cli import rollout
from federation.core import times
from federation.joining import rolloutrequests
from federation.joining.errors import Refused

RUNNING: dict[str, Any] = {
    "good": 2,
    "target": 3,
    "stage": "canary",
    "begun": "2026-01-01T00:00:00Z",
    "released": [{"name": "m1", "revision": 3}],
    "revisions": [
        {"number": 1, "verdict": "Good"},
        {"number": 2, "verdict": "Good", "objects": [{"type": "configmaps", "name": "web"}]},
        {"number": 3, "verdict": "Running", "since": "2026-01-01T00:00:00Z"},
    ],
}
COMPLETE = {"good": 2, "revisions": RUNNING["revisions"][:2]}
FIRST = {"target": 1, "stage": "canary", "revisions": [{"number": 1, "verdict": "Running"}]}


def document(record: Any, annotations: Any = None) -> dict[str, Any]:
    stages = [{"name": "canary", "clusters": ["m1"], "gates": {"soak": "10m", "approval": True}}, {"name": "eu"}]
    ready = {"type": "Ready", "status": "False", "reason": "Soaking", "message": "stage canary soaks"}
    return {
        "metadata": {"name": "safe", "generation": 2, "annotations": annotations or {}},
        "spec": {"stages": stages},
        "status": {"observedGeneration": 2, "conditions": [ready], "record": record},
    }


def test_pause_and_resume() -> None:
    assert rolloutrequests.pause(document(RUNNING)).patch == {"spec": {"paused": True}}
    resumed = rolloutrequests.resume(document(RUNNING, {"kubefed.io/rollout-undone": "2"}))
    assert resumed.patch == {
        "spec": {"paused": None},
        "metadata": {"annotations": {"kubefed.io/rollout-undone": None}},
    }
    assert "revision 2 is not taken back any more" in resumed.said


def test_an_approval_names_revision_and_stage() -> None:
    for stage, value in (("", "3/canary"), ("eu", "3/eu")):
        patch = rolloutrequests.approve(document(RUNNING), stage).patch
        assert patch == {"metadata": {"annotations": {"kubefed.io/rollout-approved": value}}}


@pytest.mark.parametrize(("record", "stage"), [(COMPLETE, ""), (RUNNING, "nope"), ({}, ""), (RUNNING, "rest")])
def test_there_is_nothing_to_approve(record: Any, stage: str) -> None:
    with pytest.raises(Refused):
        rolloutrequests.approve(document(record), stage)


@pytest.mark.parametrize(
    ("record", "asked", "number", "said"),
    [
        (RUNNING, 0, "3", "every cluster gets revision 2"),
        (RUNNING, 3, "3", "every cluster gets revision 2"),
        (COMPLETE, 0, "2", "every cluster gets revision 1"),
        (FIRST, 0, "1", "clusters that have it keep it"),
    ],
)
def test_undo_names_the_revision(record: Any, asked: int, number: str, said: str) -> None:
    request = rolloutrequests.undo(document(record), asked)
    assert request.patch == {"metadata": {"annotations": {"kubefed.io/rollout-undone": number}}}
    assert said in request.said


@pytest.mark.parametrize(
    ("record", "asked"), [({}, 0), (RUNNING, 2), (COMPLETE, 1), ({"good": 1, "revisions": RUNNING["revisions"]}, 0)]
)
def test_undo_that_is_no_use_is_refused(record: Any, asked: int) -> None:
    with pytest.raises(Refused):
        rolloutrequests.undo(document(record), asked)


def test_a_record_that_is_none_is_said() -> None:
    with pytest.raises(Refused, match=r"status\.record"):
        rolloutrequests.record(document({"good": "x"}))


def test_what_status_shows() -> None:
    now = times.moment("2026-01-01T00:05:00Z")
    assert now is not None
    found = document(RUNNING)
    assert rollout.heading(found) == ["Soaking: revision 3 under way, good revision 2", "stage canary soaks"]
    assert rollout.stages(found) == [
        ("canary", "released", "health, soak 10m, approval"),
        ("eu", "waits", "health"),
        ("rest", "waits", "health"),
    ]
    assert rollout.history(found, now) == [
        ("3", "Running", "5m", "m1", ""),
        ("2", "Good", "", "all others", "configmaps/web"),
        ("1", "Good", "", "0", ""),
    ]
    found["metadata"]["generation"] = 3
    assert rollout.heading(found)[0].endswith("; its spec has changed since")
    assert rollout.heading({"metadata": {}})[0].startswith("not looked at by a controller yet")
