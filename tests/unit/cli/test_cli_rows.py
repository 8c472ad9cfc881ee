"""Tables: rows from objects, and the layout of lines."""

import datetime as dt
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli import printing, rows
from federation.core import summary
from federation.model.conditions import Reason
from federation.model.status import ClusterStatus

NOW = dt.datetime(2026, 1, 10, 12, 0, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(0, "0s", id="now"),
        pytest.param(119, "119s", id="seconds"),
        pytest.param(200, "3m20s", id="minutes-and-seconds"),
        pytest.param(11 * 60 + 5, "11m", id="minutes"),
        pytest.param(3 * 3600 + 240, "3h4m", id="hours-and-minutes"),
        pytest.param(20 * 3600, "20h", id="hours"),
        pytest.param(3600, "60m", id="an-hour-is-60m"),
        pytest.param(3 * 86400 + 7200, "3d2h", id="days-and-hours"),
        pytest.param(30 * 86400, "30d", id="days"),
        pytest.param(731 * 86400, "2y1d", id="years-and-days"),
        pytest.param(9 * 365 * 86400, "9y", id="years"),
        pytest.param(-5, "0s", id="future"),
    ],
)
def test_age(seconds: int, expected: str) -> None:
    assert rows.age((NOW - dt.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z"), NOW) == expected


@pytest.mark.parametrize("stamp", [None, "", "yesterday", 3, "2026-01-01"])
def test_age_of_no_time_is_nothing(stamp: object) -> None:
    assert rows.age(stamp, NOW) == ""


def federated(**status: Any) -> dict[str, Any]:
    return {
        "kind": "FederatedDeployment",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "generation": 4,
            "creationTimestamp": "2026-01-10T11:00:00Z",
        },
        "status": status,
    }


READY = {
    "type": "Ready",
    "status": "False",
    "message": "1 of 2 clusters have applied generation 4",
    "lastTransitionTime": "2026-01-10T11:59:00Z",
}
PROPAGATION = {
    "type": "Propagation",
    "status": "False",
    "reason": "CheckClusters",
    "lastUpdateTime": "2026-01-10T11:59:20Z",
}
LINES: list[dict[str, Any]] = [
    {"name": "east", "fingerprint": "a.b"},
    {"name": "west", "status": "UpdateFailed", "message": "quota", "generation": 3, "since": "2026-01-10T11:50:00Z"},
]


def test_federated_counts_the_clusters_that_hold_it() -> None:
    found = federated(observedGeneration=4, conditions=[READY, PROPAGATION], clusters=LINES)
    expected = ("deployments.apps", "web", "1/2", "False", "CheckClusters", "60m")
    assert rows.federated(found, "deployments.apps", NOW) == expected
    assert rows.federated(found, "deployments.apps", NOW, wide=True)[-2:] == ("4", READY["message"])


@pytest.mark.parametrize("deleting", [False, True])
def test_clusters_for_which_a_status_has_no_room_are_counted(deleting: bool) -> None:
    """As the controller writes it."""
    lines = [
        ClusterStatus(f"m{number:04d}".ljust(63, "x"), "UpdateFailed" if number % 2 or deleting else "", "no")
        for number in range(5000)
    ]
    names = frozenset(line.name for line in lines)
    folded = summary.fold(
        None,
        generation=4,
        reason=Reason.OK,
        message="",
        clusters=lines,
        selected=names,
        now="2026-01-01T00:00:00Z",
        deleting=deleting,
    )
    found = {"metadata": {"name": "web", "generation": 4}, "status": msgspec.json.decode(msgspec.json.encode(folded))}
    cell = rows.federated(found, "t", NOW)[2]
    healthy, shown, more = (int(each) for each in re.split("[/+]", cell))
    assert (healthy > 0) is not deleting
    assert shown == len(folded.clusters) < 5000
    assert shown + more == 5000


def test_federated_whose_status_is_of_an_older_generation_is_unknown() -> None:
    found = federated(observedGeneration=3, conditions=[READY | {"status": "True"}], clusters=LINES)
    assert rows.federated(found, "deployments.apps", NOW)[3:5] == ("Unknown", "Pending")


def test_status_says_state_generation_age_and_message() -> None:
    found = federated(observedGeneration=4, conditions=[READY, PROPAGATION], clusters=LINES)
    west = ("west", "UpdateFailed", "3", "10m", "quota")
    assert rows.status(found, NOW) == [("east", "Applied", "4", "40s", ""), west]
    whole = READY | {"status": "True", "lastUpdateTime": "2026-01-10T11:00:00Z"}
    found = federated(observedGeneration=4, conditions=[whole, PROPAGATION], clusters=LINES[:1])
    assert rows.status(found, NOW) == [("east", "Applied", "4", "60m", "")]


def test_a_line_without_a_time_has_no_age() -> None:
    lines = [{key: value for key, value in line.items() if key != "since"} for line in LINES]
    found = federated(observedGeneration=4, conditions=[], clusters=lines)
    assert [row[3] for row in rows.status(found, NOW)] == ["", ""]


def test_heading_says_what_is_true_of_the_whole() -> None:
    reported = rows.heading(federated(observedGeneration=3, conditions=[READY, PROPAGATION], clusters=LINES), NOW)
    assert reported == [
        "FederatedDeployment shop/web, 60m old",
        "Generation 4: the controller has observed 3; what follows is about that one",
        "Ready False for 60s: 1 of 2 clusters have applied generation 4",
        "Propagation CheckClusters",
    ]
    assert rows.heading(federated(), NOW)[1] == "The controller has not observed it yet"
    assert rows.heading(federated(observedGeneration=-1), NOW)[1] == "The controller has not observed it yet"


def test_heading_says_when_only_the_user_can_go_on() -> None:
    stalled = {"type": "Stalled", "status": "True", "reason": "ApplyOverridesFailed", "message": "west: no /spec/x"}
    reported = rows.heading(
        federated(observedGeneration=4, conditions=[READY, PROPAGATION, stalled], clusters=LINES), NOW
    )
    assert reported[-1] == "Stalled ApplyOverridesFailed: only a change of the object can help"


def test_deletions_that_are_held_are_reported_with_their_group() -> None:
    held = {
        "type": "DeletionsHeld",
        "status": "True",
        "reason": "OverBudget",
        "message": "not removed from west: held as 1f",
    }
    reported = rows.heading(federated(observedGeneration=4, conditions=[READY, held], clusters=LINES), NOW)
    assert reported[-1] == "DeletionsHeld OverBudget: not removed from west: held as 1f"


def test_a_failing_cluster_holds_what_its_fingerprint_is_of() -> None:
    away = {"name": "north", "status": "ClusterNotReady", "fingerprint": "a.b"}
    never = {"name": "south", "status": "ClusterNotReady"}
    behind = {"name": "west", "status": "ClusterNotReady", "fingerprint": "a.b", "generation": 2}
    found = federated(observedGeneration=4, conditions=[], clusters=[away, never, behind])
    assert [row[2] for row in rows.status(found, NOW)] == ["4", "", "2"]


LONG = 'admission webhook "images.example.com" denied the request: no such registry'


def refused(*names: str) -> list[dict[str, Any]]:
    """Lines as the status has them: the first says the message, the others refer to it."""
    lines: list[dict[str, Any]] = [{"name": names[0], "status": "UpdateFailed", "message": LONG}]
    return lines + [{"name": each, "status": "UpdateFailed", "message": f"same as {names[0]}"} for each in names[1:]]


def test_few_clusters_have_their_message_in_full() -> None:
    found = federated(observedGeneration=4, conditions=[], clusters=refused("berlin", "rome"))
    assert rows.shared(found) == {}
    assert [row[4] for row in rows.status(found, NOW)] == [LONG, LONG]
    assert [line["message"] for line in rows.lines(found)] == [LONG, LONG]


def test_a_message_of_many_clusters_is_said_once_with_their_names() -> None:
    names = ["berlin", "bonn", "lyon", "rome"]
    other = {"name": "turin", "status": "UpdateFailed", "message": "same as it ever was"}
    found = federated(observedGeneration=4, conditions=[], clusters=[*refused(*names), other])
    assert rows.shared(found) == {LONG: names}
    assert [row[4] for row in rows.status(found, NOW, [LONG])] == ["[1]"] * 4 + ["same as it ever was"]


def test_what_is_placed_nowhere_is_not_plainly_applied() -> None:
    conditions = [READY | {"status": "True", "message": "no cluster is selected"}, PROPAGATION | {"reason": ""}]
    found = federated(observedGeneration=4, conditions=conditions, clusters=[])
    assert rows.federated(found, "t", NOW)[2:5] == ("0/0", "Nowhere", "NoClusterSelected")
    assert rows.heading(found, NOW)[1] == "Placed nowhere for 60s: no cluster is selected"
    found = federated(observedGeneration=4, conditions=conditions, clusters=LINES[:1])
    assert rows.federated(found, "t", NOW)[2:5] == ("1/1", "True", "")
    assert rows.heading(found, NOW)[1].startswith("Applied for 60s")


def test_a_cluster_that_was_not_probed_for_long_is_unknown() -> None:
    ready = {"type": "Ready", "status": "True", "reason": "ClusterReady", "lastProbeTime": "2026-01-10T10:00:00Z"}
    found = {"metadata": {"name": "east"}, "status": {"conditions": [ready]}}
    assert rows.probed(found, NOW) == "120m"
    row = rows.cluster(found, NOW, wide=True, stale=True)
    assert (row[1], row[5]) == ("Unknown", "NotProbed")
    assert row[-1] == "Ready was True when it was last probed, 120m ago"
    assert rows.probed({"metadata": {"name": "east"}}, NOW) == "never"


def test_cluster_rows() -> None:
    found: dict[str, Any] = {
        "metadata": {"name": "east", "annotations": {"kubefed.io/rights": "types"}},
        "spec": {"apiEndpoint": "https://east"},
        "status": {
            "kubernetesVersion": "v1.36.3",
            "conditions": [{"type": "Ready", "status": "True", "reason": "ClusterReady", "message": "ok"}],
        },
    }
    assert rows.cluster(found, NOW) == ("east", "True", "v1.36.3", "", "")
    assert rows.cluster(found, NOW, wide=True)[5:] == ("ClusterReady", "https://east", "types", "ok")
    assert rows.cluster({"metadata": {"name": "east"}}, NOW)[1] == "Unknown"
    found["metadata"]["annotations"] = {"kubefed.io/cordon": "upgrade"}
    assert rows.cluster(found, NOW)[1] == "True,Cordoned"
    assert rows.cluster(found, NOW, wide=True)[-1] == "ok; cordoned: upgrade"
    found["metadata"]["annotations"]["kubefed.io/drain"] = "true"
    assert rows.cluster(found, NOW)[1] == "True,Cordoned,Draining"


def test_preference_rows_and_what_status_says_of_one() -> None:
    found: dict[str, Any] = {
        "metadata": {"name": "web"},
        "spec": {"targetKind": "FederatedDeployment", "totalReplicas": 9},
        "status": {
            "replicas": 9,
            "clusters": [{"name": "m1", "replicas": 6}, {"name": "m2", "replicas": 0}, {"name": "m3", "replicas": 3}],
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "Scheduled", "message": "9 replicas in 2 clusters"},
                {"type": "Valid", "status": "True", "reason": "Valid", "message": ""},
            ],
        },
    }
    row = ("web", "FederatedDeployment", "9", "9", "True", "Scheduled", "")
    assert rows.preference(found, NOW) == row
    assert rows.preference(found, NOW, wide=True) == (*row, "m1 6, m3 3", "9 replicas in 2 clusters")
    assert rows.scheduled(found) == ["Replicas 9 by ReplicaSchedulingPreference web: m1 6, m3 3"]
    found["status"]["conditions"][1].update(status="False", reason="ClusterNotJoined", message="m9 has not joined")
    assert rows.preference(found, NOW)[5] == "ClusterNotJoined"
    assert rows.scheduled(found)[1] == "Preference ClusterNotJoined: m9 has not joined"
    found["status"] = {}
    assert rows.preference(found, NOW)[3:6] == ("", "Unknown", "")
    assert rows.scheduled(found) == [
        "Replicas 9 by ReplicaSchedulingPreference web: none yet",
        "Scheduling not looked at yet",
    ]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param("False", "ok; services: cannot list", id="a-right-is-missing"),
        pytest.param("True", "ok", id="followed"),
    ],
)
def test_a_wide_cluster_row_names_what_cannot_be_followed(status: str, message: str) -> None:
    conditions = [
        {"type": "Ready", "status": "True", "message": "ok"},
        {"type": "Synced", "status": status, "reason": "RightMissing", "message": "services: cannot list"},
    ]
    found = {"metadata": {"name": "east"}, "status": {"conditions": conditions}}
    assert rows.cluster(found, NOW, wide=True)[-1] == message


def test_type_rows() -> None:
    found = {
        "metadata": {"name": "deployments.apps"},
        "spec": {
            "targetType": {"group": "apps", "version": "v1", "kind": "Deployment", "scope": "Namespaced"},
            "federatedType": {"kind": "FederatedDeployment"},
        },
        "status": {
            "propagationController": "Running",
            "conditions": [{"type": "Ready", "status": "False", "message": "its CRD is missing"}],
        },
    }
    assert rows.type_config(found, NOW) == ("deployments.apps", "FederatedDeployment", "Enabled", "Running", "")
    assert rows.type_config(found, NOW, stale=True)[3] == "Unknown", "no controller runs that would know"
    assert rows.type_config(found, NOW, wide=True)[5:] == (
        "apps/v1 Deployment",
        "Namespaced",
        "Disabled",
        "its CRD is missing",
    )


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["conditions", "clusters", "name", "type", "a"]), inner)
    ),
)


@given(st.fixed_dictionaries({}, optional={"metadata": ANY, "spec": ANY, "status": ANY, "kind": ANY}))
def test_whatever_is_stored_there_is_a_row(found: dict[str, Any]) -> None:
    assert len(rows.cluster(found, NOW, wide=True)) == len(rows.CLUSTERS_WIDE)
    assert len(rows.type_config(found, NOW, wide=True)) == len(rows.TYPES_WIDE)
    assert len(rows.federated(found, "t", NOW, wide=True)) == len(rows.FEDERATED_WIDE)
    assert all(len(row) == len(rows.STATUS) for row in rows.status(found, NOW))


# -- layout ----------------------------------------------------------------------------------------------------------


def test_columns_line_up_and_nothing_is_empty() -> None:
    assert printing.layout(("NAME", "X"), [("east", ""), ("a", "b")]) == ["NAME   X", "east   <none>", "a      b"]


def test_no_headers() -> None:
    assert printing.layout(("LONG-HEADER", "X"), [("a", "b")], headers=False) == ["a   b"]


def test_a_message_cannot_write_to_the_terminal() -> None:
    (line,) = printing.layout(("M",), [("red \x1b[31m\nnext line\ttab",)], headers=False)
    assert line == "red  [31m next line tab"


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    printing.table(("NAME", "READY"), [("east", "True")])
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    printing.table(("NAME", "READY"), [("east", "True")])
    assert "\x1b[32m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    printing.table(("NAME", "READY"), [("east", "True")])
    assert capsys.readouterr().out == "NAME   READY\neast   True\n"


COUNTS = {"desired": 6, "ready": 4, "updated": 6, "unhealthyClusters": 1, "unknownClusters": 0}
HEALTHY = {"type": "Healthy", "status": "False", "message": "1 of 2 clusters are not healthy; west: 1 of 3 are ready"}
COLLECTED: list[dict[str, Any]] = [
    {"name": "east", "fingerprint": "a.b", "ready": "3/3", "remoteStatus": {"readyReplicas": 3}},
    {"name": "west", "status": "UpdateFailed", "message": "quota", "ready": "1/3", "unhealthy": "1 of 3 are ready"},
]


def test_what_is_ready_is_shown_where_it_is_collected() -> None:
    found = federated(
        observedGeneration=4, conditions=[READY, PROPAGATION, HEALTHY], clusters=COLLECTED, summary=COUNTS
    )
    wide = dict(zip(rows.FEDERATED_WIDE, rows.federated(found, "t", NOW, wide=True), strict=True))
    assert wide["READY"] == "4/6"
    assert wide["MESSAGE"] == f"{READY['message']}; {HEALTHY['message']}"
    assert rows.collected(found)
    table = [dict(zip(rows.STATUS_COLLECTED, row, strict=True)) for row in rows.status(found, NOW)]
    assert [(row["READY"], row["MESSAGE"]) for row in table] == [("3/3", ""), ("1/3", "quota; 1 of 3 are ready")]
    assert f"Healthy False (4/6 ready): {HEALTHY['message']}" in rows.heading(found, NOW)
    assert [line.get("unhealthy") for line in rows.lines(found)] == [None, "1 of 3 are ready"]


def test_where_nothing_is_collected_there_is_no_such_column() -> None:
    found = federated(observedGeneration=4, conditions=[READY], clusters=LINES)
    assert not rows.collected(found)
    assert {len(row) for row in rows.status(found, NOW)} == {len(rows.STATUS)}
    assert rows.ready_count(found) == ""
    unknown = federated(clusters=LINES, summary=COUNTS | {"unknownClusters": 2})
    assert rows.ready_count(unknown) == "4/6?"
