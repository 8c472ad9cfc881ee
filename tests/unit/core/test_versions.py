"""Which version a cluster is given, and what planning makes of it."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from federation.core import configuration, planning, versions
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.federated import FederatedType
from federation.model.observations import Cluster, Missing, Observed
from federation.model.plan import Apply, Delete, Wait
from federation.model.resources import Resource
from tests.unit.core.test_planning import facts, federated

WIDGETS = FederatedType(
    "widgets.example.com",
    Resource("example.com", "v2", "Widget", "widgets", namespaced=True),
    Resource("types.kubefed.io", "v1beta1", "FederatedWidget", "federatedwidgets", namespaced=True),
    equivalent=("v2", "v1", "v1beta1"),
)
ALONE = replace(WIDGETS, equivalent=())


@pytest.mark.parametrize(
    ("enabled", "wanted", "served", "chosen"),
    [
        pytest.param(WIDGETS, "v2", None, "v2", id="unknown-is-tried"),
        pytest.param(WIDGETS, "v2", ("v3", "v2"), "v2", id="served"),
        pytest.param(WIDGETS, "v2", ("v1",), "v1", id="lags"),
        pytest.param(WIDGETS, "v1", ("v2",), "v2", id="leads"),
        pytest.param(WIDGETS, "v2", ("v1beta1", "v1"), "v1", id="the-best-equivalent"),
        pytest.param(WIDGETS, "v2", ("v3",), None, id="a-stranger"),
        pytest.param(WIDGETS, "v4", ("v2", "v1"), None, id="wanted-is-a-stranger"),
        pytest.param(ALONE, "v2", ("v1",), None, id="nothing-is-equivalent"),
        pytest.param(WIDGETS, "v2", (), None, id="none-served"),
    ],
)
def test_the_version_a_cluster_is_given(
    enabled: FederatedType, wanted: str, served: tuple[str, ...] | None, chosen: str | None
) -> None:
    assert versions.choose(wanted, enabled, served) == chosen


@pytest.mark.parametrize(
    ("enabled", "served", "version"),
    [
        pytest.param(WIDGETS, None, "v2", id="unknown"),
        pytest.param(WIDGETS, (), "v2", id="none"),
        pytest.param(WIDGETS, ("v3", "v2"), "v2", id="its-own"),
        pytest.param(WIDGETS, ("v3", "v1"), "v1", id="an-equivalent-one"),
        pytest.param(ALONE, ("v3", "v1"), "v3", id="any-shows-the-metadata"),
    ],
)
def test_the_version_that_is_watched(enabled: FederatedType, served: tuple[str, ...] | None, version: str) -> None:
    assert versions.followed(enabled, served) == version


@pytest.mark.parametrize(
    ("text", "equivalent"),
    [
        pytest.param("v2,v1", ("v2", "v1"), id="as-typegen-writes-it"),
        pytest.param(" v2 , v1,", ("v2", "v1"), id="by-hand"),
        pytest.param("", (), id="empty"),
        pytest.param(None, (), id="absent"),
    ],
)
def test_a_type_config_names_equivalent_versions(text: str | None, equivalent: tuple[str, ...]) -> None:
    kinds = {
        kind: {"group": each.group, "version": each.version, "kind": each.kind, "pluralName": each.plural}
        | {"scope": "Namespaced"}
        for kind, each in (("targetType", WIDGETS.target), ("federatedType", WIDGETS.federated))
    }
    metadata = {"name": WIDGETS.name, "annotations": {} if text is None else {marks.EQUIVALENT_ANNOTATION: text}}
    assert configuration.type_config({"metadata": metadata, "spec": kinds}).equivalent == equivalent


def test_members_of_three_versions_are_each_given_their_own() -> None:
    serves = {"lags": ("v1",), "fits": ("v2", "v1"), "leads": ("v3", "v2"), "strange": ("v9",), "old": None}
    clusters = {name: Cluster(name, ready=True) for name in serves}
    item = federated({"spec": {"size": 1}}, clusters=list(serves))
    plan = planning.plan(facts(item, clusters=clusters, type=WIDGETS, served=serves.__getitem__))
    applied = {name: action for name, action in plan.actions.items() if isinstance(action, Apply)}
    said = {name: orjson.loads(action.body)["apiVersion"] for name, action in applied.items()}
    assert said == {
        "lags": "example.com/v1",
        "fits": "example.com/v2",
        "leads": "example.com/v2",
        "old": "example.com/v2",
    }
    assert {name: action.api_version for name, action in applied.items()} == said
    assert applied["fits"].body is applied["leads"].body  # made once
    assert applied["fits"].digest != applied["lags"].digest  # so that the upgrade of a member is one more apply
    refused = plan.actions["strange"]
    assert isinstance(refused, Wait)
    assert refused.status is PropagationStatus.VERSION_UNAVAILABLE
    assert refused.message.startswith("the cluster serves widgets.example.com as v9, not as v2")


def test_a_template_that_names_its_version_and_an_override_of_it_are_followed() -> None:
    overrides = [{"clusterName": "m1", "clusterOverrides": [{"path": "/apiVersion", "value": "example.com/v7"}]}]
    clusters = {name: Cluster(name, ready=True) for name in ("m1", "m2")}
    item = federated({"apiVersion": "example.com/v1"}, clusters=["m1", "m2"], overrides=overrides)
    plan = planning.plan(facts(item, clusters=clusters, type=WIDGETS, served=lambda cluster: ("v7", "v2")))
    first, second = plan.actions["m1"], plan.actions["m2"]
    assert isinstance(first, Apply)
    assert isinstance(second, Apply)
    assert (first.api_version, second.api_version) == ("example.com/v7", "example.com/v2")


def test_what_a_cluster_cannot_be_given_stays_there_and_leaves_with_its_placement() -> None:
    held = Observed(uid="u1", version=5, owned_digest="entry", managed=True)
    common: dict[str, Any] = {"type": ALONE, "served": lambda cluster: ("v1",)}
    assert isinstance(planning.plan(facts(observed=held, **common)).actions["m1"], Wait)
    assert planning.plan(facts(federated(clusters=[]), observed=held, **common)).actions["m1"] == Delete("u1", {})


def test_a_type_that_no_version_is_served_of() -> None:
    plan = planning.plan(facts(observed=Missing.ABSENT, type=WIDGETS, served=lambda cluster: ()))
    assert plan.actions["m1"] == Wait(
        PropagationStatus.VERSION_UNAVAILABLE,
        "the cluster does not serve widgets.example.com: install its CustomResourceDefinition there",
    )
