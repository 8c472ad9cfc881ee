"""The KRM function: ResourceList in, ResourceList out."""

from typing import Any

import pytest

from federation.federating import resourcelist
from federation.model.errors import Invalid

CONFIG = {"apiVersion": "fn.kubefed.io/v1", "kind": "Federate", "metadata": {"name": "all"}}
TYPES = [{"apiVersion": "apps/v1", "kind": "Deployment"}, {"apiVersion": "v1", "kind": "Namespace"}]
WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "labels": {"tier": "edge"},
        "annotations": {"config.kubernetes.io/path": "web.yaml", "config.kubernetes.io/index": "2"},
    },
    "spec": {"replicas": 3},
}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
OTHER = {"apiVersion": "example.com/v1", "kind": "Other", "metadata": {"name": "o", "namespace": "shop"}}


def run(*items: Any, **spec: Any) -> tuple[dict[str, Any], bool]:
    return resourcelist.run(
        {
            "apiVersion": "config.kubernetes.io/v1",
            "kind": "ResourceList",
            "functionConfig": {**CONFIG, "spec": {"types": TYPES, **spec}},
            "items": list(items),
        }
    )


def test_items_are_federated_in_their_place() -> None:
    answer, fine = run(
        OTHER,
        NAMESPACE,
        WEB,
        placement={"clusters": ["east", {"name": "west"}]},
        select={"kinds": ["Deployment", "Namespace", "Other"]},
    )
    assert fine
    assert [item["kind"] for item in answer["items"]] == [
        "Other",
        "Namespace",
        "FederatedNamespace",
        "FederatedDeployment",
    ]
    assert answer["items"][0] == OTHER
    made = answer["items"][3]
    assert made["metadata"] == {
        "name": "web",
        "namespace": "shop",
        "annotations": WEB["metadata"]["annotations"],  # type: ignore[index]
    }
    assert made["spec"]["template"] == {"metadata": {"labels": {"tier": "edge"}}, "spec": {"replicas": 3}}
    assert made["spec"]["placement"] == {"clusters": [{"name": "east"}, {"name": "west"}]}
    assert answer["functionConfig"]["kind"] == "Federate"
    assert "results" not in answer


@pytest.mark.parametrize(
    ("select", "taken"),
    [
        pytest.param({"kinds": ["Deployment"]}, {"FederatedDeployment", "Namespace"}, id="kinds"),
        pytest.param({"names": ["shop"]}, {"Deployment", "Namespace", "FederatedNamespace"}, id="names"),
        pytest.param(
            {"namespaces": ["shop"]}, {"FederatedDeployment", "Namespace", "FederatedNamespace"}, id="namespaces"
        ),
        pytest.param(
            {"labelSelector": {"matchLabels": {"tier": "edge"}}}, {"FederatedDeployment", "Namespace"}, id="labels"
        ),
        pytest.param({"kinds": ["Nothing"]}, {"Deployment", "Namespace"}, id="none"),
    ],
)
def test_select(select: dict[str, Any], taken: set[str]) -> None:
    answer, fine = run(WEB, NAMESPACE, select=select)
    assert fine
    assert {item["kind"] for item in answer["items"]} == taken


def test_a_second_run_leaves_what_is_federated() -> None:
    once, _ = run(WEB, NAMESPACE)
    twice, fine = resourcelist.run({**once, "items": once["items"][:1]})
    assert fine
    assert twice["items"] == once["items"][:1]


def test_types_may_stand_among_the_items() -> None:
    config = {
        "apiVersion": "core.kubefed.io/v1beta1",
        "kind": "FederatedTypeConfig",
        "metadata": {"name": "others.example.com"},
        "spec": {
            "targetType": {"version": "v1", "kind": "Other", "scope": "Namespaced"},
            "federatedType": {
                "group": "fed.example.com",
                "version": "v1",
                "kind": "SpreadOther",
                "scope": "Namespaced",
            },
        },
    }
    answer, fine = run(config, OTHER, types=[])
    assert fine
    assert [item["kind"] for item in answer["items"]] == ["FederatedTypeConfig", "SpreadOther"]
    assert answer["items"][1]["apiVersion"] == "fed.example.com/v1"


def test_an_override_that_does_not_fit_fails_the_run_and_changes_nothing() -> None:
    overrides = [{"clusterName": "east", "clusterOverrides": [{"path": "/spek/replicas", "value": 5}]}]
    answer, fine = run(NAMESPACE, WEB, overrides=overrides, select={"kinds": ["Deployment"]})
    assert not fine
    assert answer["items"] == [NAMESPACE, WEB]
    (result,) = answer["results"]
    assert result["severity"] == "error"
    assert "Deployment shop/web" in result["message"]
    assert "/spek/replicas" in result["message"]
    assert result["resourceRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
        "namespace": "shop",
    }
    assert result["file"] == {"path": "web.yaml", "index": 2}


def test_what_is_left_out_is_a_warning() -> None:
    metadata = {"name": "web", "namespace": "shop", "finalizers": ["x.io/y"]}
    answer, fine = run({**WEB, "metadata": metadata})
    assert fine
    assert [(each["severity"], "finalizers" in each["message"]) for each in answer["results"]] == [("warning", True)]


def test_unknown_types_are_kept_or_refused() -> None:
    assert run(OTHER)[1]
    answer, fine = run(OTHER, unknown="refuse")
    assert not fine
    assert "not federated" in answer["results"][0]["message"]


def test_by_hand_and_by_function_is_once_too_often() -> None:
    by_hand = {
        "apiVersion": "types.kubefed.io/v1beta1",
        "kind": "FederatedDeployment",
        "metadata": {"name": "web", "namespace": "shop"},
    }
    answer, fine = run(WEB, by_hand)
    assert not fine
    assert "leave one of the two out" in answer["results"][0]["message"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param({"placment": {}}, "spec.placment: is not known", id="field"),
        pytest.param({"placement": {"names": []}}, "spec.placement.names: is not known", id="placement"),
        pytest.param({"placement": {"clusters": [3]}}, "spec.placement.clusters[0]", id="cluster"),
        pytest.param({"placement": {"clusterSelector": {"a": "b"}}}, "clusterSelector.a", id="selector"),
        pytest.param({"select": {"kind": "x"}}, "spec.select.kind: is not known", id="select"),
        pytest.param({"select": {"kinds": "x"}}, "spec.select.kinds: must be a list", id="kinds"),
        pytest.param({"types": [{"kind": "A"}]}, "spec.types[0].apiVersion", id="type"),
        pytest.param({"types": []}, "no types: name them here", id="no-types"),
        pytest.param({"unknown": "drop"}, "spec.unknown", id="unknown"),
        pytest.param({"overrides": [{"clusterName": ""}]}, "spec.overrides[0].clusterName", id="override"),
        pytest.param(
            {"overrides": [{"clusterName": "a", "clusterOverrides": [{"path": "x"}]}]},
            "spec.overrides[0].clusterOverrides[0].path",
            id="pointer",
        ),
    ],
)
def test_a_wrong_configuration_is_one_result(spec: dict[str, Any], message: str) -> None:
    answer, fine = run(WEB, **spec)
    assert not fine
    (result,) = answer["results"]
    assert message in result["message"]
    assert answer["items"] == [WEB]


@pytest.mark.parametrize("document", [{}, {"kind": "List", "apiVersion": "v1"}, [], None])
def test_no_resource_list(document: Any) -> None:
    with pytest.raises(Invalid):
        resourcelist.run(document)
