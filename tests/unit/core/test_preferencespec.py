"""A ReplicaSchedulingPreference as it is read: KubeFed's fields and defaults, and what is refused."""

from typing import Any

import pytest

from federation.core import preferencespec
from federation.model.errors import Invalid
from federation.model.federated import Metadata, StoredObject
from federation.model.preferences import EVERY, Bounds, Preference

LEAST = {"targetKind": "FederatedDeployment", "totalReplicas": 9}


def read(status: dict[str, Any] | None = None, **spec: Any) -> StoredObject:
    wanted = {name: value for name, value in {**LEAST, **spec}.items() if value is not ...}
    return StoredObject(Metadata("web", "ns", generation=3), wanted, status or {})


def test_defaults_are_kubefeds() -> None:
    assert preferencespec.preference(read()) == Preference("FederatedDeployment", 9, {EVERY: Bounds(weight=1)})
    assert preferencespec.preference(read(clusters={})).clusters == {EVERY: Bounds(weight=1)}


def test_all_of_it() -> None:
    found = preferencespec.preference(
        read(
            targetKind="FederatedReplicaSet",
            totalReplicas=0,
            rebalance=True,
            intersectWithClusterSelector=True,
            clusters={"m1": {"minReplicas": 1, "maxReplicas": 5, "weight": 2}, "m2": {}, "*": {"maxReplicas": None}},
            failover={"after": "5m"},
        )
    )
    assert found == Preference(
        "FederatedReplicaSet",
        0,
        {"m1": Bounds(1, 5, 2), "m2": Bounds(), "*": Bounds()},
        rebalance=True,
        intersect=True,
        failover=300.0,
    )
    assert found.bounds("m1") == Bounds(1, 5, 2)
    assert found.bounds("m7") == Bounds()
    assert preferencespec.preference(read(clusters={"m1": {}})).bounds("m7") is None


@pytest.mark.parametrize("text", [{"after": "90s"}, "after 90s", "90s", "after: 1m30s", " after  90s "])
def test_ways_to_write_failover(text: object) -> None:
    assert preferencespec.preference(read(failover=text)).failover == 90.0


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param({"targetKind": ...}, "spec.targetKind", id="no-kind"),
        pytest.param({"targetKind": "Deployment"}, "spec.targetKind", id="kind"),
        pytest.param({"targetKind": 5}, "spec.targetKind", id="kind-number"),
        pytest.param({"totalReplicas": ...}, "spec.totalReplicas", id="no-total"),
        pytest.param({"totalReplicas": -1}, "spec.totalReplicas", id="below-zero"),
        pytest.param({"totalReplicas": 1 << 31}, "spec.totalReplicas", id="too-many"),
        pytest.param({"totalReplicas": True}, "spec.totalReplicas", id="boolean"),
        pytest.param({"totalReplicas": "9"}, "spec.totalReplicas", id="text"),
        pytest.param({"rebalance": "yes"}, "spec.rebalance", id="rebalance"),
        pytest.param({"clusters": ["m1"]}, "spec.clusters", id="clusters"),
        pytest.param({"clusters": {"m1": 5}}, "spec.clusters[m1]", id="entry"),
        pytest.param({"clusters": {"m1": {"weight": -1}}}, "spec.clusters[m1].weight", id="weight"),
        pytest.param(
            {"clusters": {"m1": {"minReplicas": 2, "maxReplicas": 1}}}, "spec.clusters[m1].minReplicas", id="min"
        ),
        pytest.param({"failover": {}}, "spec.failover.after", id="failover-empty"),
        pytest.param({"failover": {"after": 5}}, "spec.failover.after", id="failover-number"),
        pytest.param({"failover": 5}, "spec.failover", id="failover-not-a-map"),
        pytest.param({"failover": "after a while"}, "spec.failover", id="failover-words"),
        pytest.param({"failover": {"after": "5m", "to": "m2"}}, "spec.failover.to", id="failover-more"),
    ],
)
def test_what_is_refused_names_the_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        preferencespec.preference(read(**spec))
    assert str(refused.value).startswith(f"{field}:")


LINE = {
    "name": "m1",
    "replicas": 3,
    "room": 3,
    "fullSince": "2026-11-30T10:00:00Z",
    "roomChecked": "2026-11-30T10:01:00Z",
}


def test_the_room_is_remembered_for_the_same_spec_alone() -> None:
    same = read({"observedGeneration": 3, "clusters": [LINE]})
    assert preferencespec.shortages(same)["m1"].room == 3
    assert preferencespec.shortages(read({"observedGeneration": 2, "clusters": [LINE]})) == {}
    assert preferencespec.written(same) == {"m1": 3}


@pytest.mark.parametrize(
    "clusters", [None, "x", [5], [{}], [{"name": 5}], [{"name": "m1", "replicas": "3", "room": "x"}]]
)
def test_a_status_that_is_none_says_nothing(clusters: object) -> None:
    stored = read({"observedGeneration": 3, "clusters": clusters})
    assert preferencespec.written(stored) == {}
    assert preferencespec.shortages(stored) == {}
