"""What a federated object asks for in each cluster, and what is written into it."""

from typing import Any

import orjson
import pytest

from federation.core import parsing, schedules
from federation.core.schedules import Asked
from federation.model.federated import Spec
from federation.model.observations import Cluster
from federation.model.resources import Resource

CLUSTERS = {name: Cluster(name, {"tier": name}) for name in ("m1", "m2")}
IMAGE = {"path": "/spec/image", "value": "a"}


def spec(template: Any = None, **parts: Any) -> Spec:
    return parsing.spec(orjson.dumps({"template": template or {"spec": {"replicas": 4}}, **parts}))


def override(cluster: str, *operations: dict[str, Any]) -> dict[str, Any]:
    return {"clusterName": cluster, "clusterOverrides": list(operations)}


def replicas(value: Any, **more: Any) -> dict[str, Any]:
    return {"path": "/spec/replicas", "value": value, **more}


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        pytest.param({}, {}, id="placed-nowhere"),
        pytest.param({"placement": {"clusters": [{"name": "m1"}]}}, {"m1": Asked(4, None)}, id="template"),
        pytest.param(
            {"placement": {"clusterSelector": {}}, "overrides": [override("m2", IMAGE, replicas(7))]},
            {"m1": Asked(4, None), "m2": Asked(7, 7)},
            id="override",
        ),
        pytest.param(
            {
                "placement": {"clusters": [{"name": "gone"}, {"name": "m1"}]},
                "overrides": [override("gone", replicas(7))],
            },
            {"m1": Asked(4, None)},
            id="not-joined",
        ),
        pytest.param(
            {"placement": {"clusterSelector": {}}, "overrides": [override("m1", replicas(0, op="remove"))]},
            {"m1": Asked(1, None), "m2": Asked(4, None)},
            id="removed-is-one",
        ),
        pytest.param(
            {"placement": {"clusters": [{"name": "m1"}]}, "overrides": [override("m1", replicas("x"))]},
            {"m1": Asked(4, None)},
            id="no-number",
        ),
        pytest.param(
            {"template": {"spec": "odd"}, "placement": {"clusters": [{"name": "m1"}]}}, {"m1": Asked(1, None)}, id="odd"
        ),
    ],
)
def test_what_it_asks_for(given: dict[str, Any], asked: dict[str, Asked]) -> None:
    assert schedules.asked(spec(**given), CLUSTERS) == asked


def test_what_is_written_is_not_different_and_anything_else_is() -> None:
    wanted = {"m1": 2, "m2": 0}
    made = spec(**schedules.fields(spec(), wanted))
    assert not schedules.differs(made, wanted)
    assert schedules.differs(spec(), wanted)
    assert schedules.differs(made, {"m1": 2})
    assert schedules.differs(made, {"m1": 3, "m2": 0})
    assert not schedules.differs(spec(**schedules.whole(made, wanted)), wanted)


def test_lists_as_a_whole_keep_what_is_not_replicas() -> None:
    before = spec(overrides=[override("m1", IMAGE, replicas(9)), override("old", replicas(9)), override("m3", IMAGE)])
    plain = {"op": "replace", **IMAGE}
    assert schedules.whole(before, {"m1": 1, "m2": 2})["overrides"] == [
        override("m1", plain, replicas(1)),
        override("m3", plain),
        override("m2", replicas(2)),
    ]


def test_more_clusters_than_overrides_may_have_leaves_those_without_replicas_out() -> None:
    numbers = {f"m{number}": number % 2 for number in range(schedules.MOST + 2)}
    assert set(schedules.bounded(numbers).values()) == {1}
    few = {"m1": 0, "m2": 1}
    assert schedules.bounded(few) == few


def test_which_lists_have_keys() -> None:
    path = ["clusterName"], ["path"]
    kinds = [{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys} for keys in path]
    overrides = {**kinds[0], "items": {"properties": {"clusterOverrides": kinds[1]}}}

    def definition(overrides: Any) -> dict[str, Any]:
        schema = {"openAPIV3Schema": {"properties": {"spec": {"properties": {"overrides": overrides}}}}}
        return {"versions": [{"name": "v1alpha1"}, {"name": "v1beta1", "schema": schema}]}

    assert schedules.has_keys(definition(overrides), "v1beta1")
    assert not schedules.has_keys(definition(overrides), "v1alpha1")
    odds: list[Any] = [{}, [], None, {"x-kubernetes-list-type": "map"}, kinds[0]]
    for odd in odds:
        assert not schedules.has_keys(definition(odd), "v1beta1")
    assert not schedules.has_keys({"versions": "x"}, "v1beta1")


def test_which_lists_have_keys_by_what_the_hub_publishes() -> None:
    """Which everybody may read, also where CustomResourceDefinitions may not be."""
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["path"]}
    operations = {"items": {"properties": {"clusterOverrides": keyed}}}
    overrides = {**keyed, "x-kubernetes-list-map-keys": ["clusterName"], **operations}
    resource = Resource("types.kubefed.io", "v1beta1", "FederatedDeployment", "federateddeployments", namespaced=True)

    def published(kind: str, overrides: Any) -> dict[str, Any]:
        names = [{"group": "types.kubefed.io", "version": "v1beta1", "kind": kind}]
        schema = {"properties": {"spec": {"properties": {"overrides": overrides}}}}
        return {"components": {"schemas": {"a": {"x-kubernetes-group-version-kind": names, **schema}, "b": None}}}

    assert schedules.are_published_with_keys(published("FederatedDeployment", overrides), resource)
    assert not schedules.are_published_with_keys(published("FederatedSecret", overrides), resource)
    assert not schedules.are_published_with_keys(published("FederatedDeployment", keyed), resource)
    nameless = {"components": {"schemas": {"a": {"x-kubernetes-group-version-kind": 1}}}}
    odds: list[object] = [None, [], {"components": []}, nameless]
    for odd in odds:
        assert not schedules.are_published_with_keys(odd, resource)
