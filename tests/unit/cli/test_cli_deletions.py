"""What `fedctl deletions` shows, and which annotations its approve and reject are."""

import datetime as dt
from typing import Any

import pytest

from federation.cli import deletions, root
from federation.joining import deletionrequests
from federation.joining.errors import Refused

NOW = dt.datetime(2026, 1, 1, 10, 2, 10, tzinfo=dt.UTC)
GROUP = {
    "id": "1f3a9c04",
    "state": "Held",
    "cause": "ClusterLabels",
    "change": "labels of KubeFedCluster 'm1'",
    "since": "2026-01-01T10:00:00Z",
    "message": "120 of 900 copies of configmaps would be deleted, and 90 go by themselves",
    "by": [{"manager": "kubectl-label", "time": "2026-01-01T09:59:59Z"}],
    "objects": 120,
    "deletions": 120,
    "clusters": ["m1", "m2", "m3", "m4"],
    "clusterCount": 4,
    "examples": [{"type": "configmaps", "namespace": "shop", "name": "a"}],
}
LEFT = {
    "uid": "u-1",
    "cluster": "m9",
    "since": "2026-01-01T09:00:00Z",
    "count": 2,
    "copies": [{"type": "configmaps", "namespace": "shop", "name": "b"}],
}


def config(*groups: dict[str, Any], annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return {"metadata": {"annotations": annotations or {}}, "status": {"deletions": {"groups": list(groups)}}}


def test_the_table_and_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "groups": [GROUP, {**GROUP, "id": "2", "state": "Rejected", "by": []}],
        "moreGroups": 3,
        "leftBehind": [LEFT],
    }
    deletions.show(found, NOW, wide=True, headers=True)
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split() == ["GROUP", "STATE", "DELETIONS", "CLUSTERS", "CHANGE", "BY", "AGE", "WHY", "OBJECTS"]
    assert "m1,m2,m3 and 1 more" in lines[1]
    assert "kubectl-label" in lines[1]
    assert "2m10s" in lines[1]
    assert "configmaps shop/a and 119 more" in lines[1]
    assert "not known" in lines[2]
    assert "m9" in lines[4]
    assert "3 more groups are held" in shown.err
    assert "next: fedctl deletions approve GROUP" in shown.err


def test_nothing_is_held(capsys: pytest.CaptureFixture[str]) -> None:
    deletions.show(deletionrequests.document({}), NOW, wide=False, headers=True)
    assert capsys.readouterr() == ("", "no deletions are held\n")


@pytest.mark.parametrize("arguments", [("deletions", "approve"), ("deletions", "reject"), ("deletions", "drop", "1")])
def test_what_and_which_must_be_said(arguments: tuple[str, ...]) -> None:
    assert root.run(arguments) == 2


def test_a_decision_is_an_annotation_and_those_of_ended_groups_go() -> None:
    stored = config(GROUP, annotations={"deletions.kubefed.io/old": "approved", "team": "a"})
    assert deletionrequests.changes(stored, ["1f3a9c04"], approve=True) == {
        "deletions.kubefed.io/old": None,
        "deletions.kubefed.io/1f3a9c04": "approved",
    }
    assert deletionrequests.changes(config(GROUP), ["1f3a9c04"], approve=False) == {
        "deletions.kubefed.io/1f3a9c04": "rejected"
    }


def test_a_group_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(Refused, match="no group nobody") as caught:
        deletionrequests.changes(config(GROUP), ["1f3a9c04", "nobody"], approve=True)
    assert "1f3a9c04" in caught.value.hint
    with pytest.raises(Refused, match="no group nobody"):
        deletionrequests.changes(config(), ["nobody"], approve=True)


def test_what_was_approved_is_not_rejected() -> None:
    with pytest.raises(Refused, match="was approved"):
        deletionrequests.changes(config({**GROUP, "state": "Approved"}), ["1f3a9c04"], approve=False)


def test_a_group_that_the_status_has_no_room_for_can_be_named() -> None:
    stored = config(GROUP, annotations={"deletions.kubefed.io/0a0a0a0a": "approved"})
    stored["status"]["deletions"]["moreGroups"] = 7
    assert deletionrequests.changes(stored, ["deadbeef"], approve=True) == {"deletions.kubefed.io/deadbeef": "approved"}
    with pytest.raises(Refused):
        deletionrequests.changes(stored, ["nobody"], approve=True)
