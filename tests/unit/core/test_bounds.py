"""What a federated object may ask for is bounded, in the CRDs and again here: objects may be older than their CRD."""

import re
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from federation.core import overrides, parsing, placement, selectors
from federation.model.errors import Invalid
from federation.model.federated import Placement
from federation.model.observations import Cluster

GOLDEN = Path(__file__).parents[1] / "typegen" / "golden"
VALUE = {"key": "a", "operator": "Exists"}


def many(count: int, name: str = "c") -> list[dict[str, str]]:
    return [{"name": f"{name}{number}"} for number in range(count)]


def overridden(clusters: int, operations: int) -> list[dict[str, Any]]:
    patch = [{"path": f"/data/k{number}", "value": ""} for number in range(operations)]
    return [{"clusterName": f"c{number}", "clusterOverrides": patch} for number in range(clusters)]


@pytest.mark.parametrize(
    ("selector", "field"),
    [
        ({"matchLabels": {f"k{number}": "v" for number in range(65)}}, "s.matchLabels"),
        ({"matchExpressions": [VALUE] * 65}, "s.matchExpressions"),
        ({"matchExpressions": [VALUE] * 15_000}, "s.matchExpressions"),
        ({"matchExpressions": [{**VALUE, "operator": "In", "values": ["v"] * 257}]}, "s.matchExpressions[0].values"),
    ],
)
def test_a_selector_of_more_than_anybody_needs_is_refused_in_words(selector: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match="entries; at most") as caught:
        selectors.check(selector, "s")
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"placement": {"clusters": many(parsing.CLUSTERS + 1)}}, "spec.placement.clusters"),
        ({"overrides": overridden(parsing.OVERRIDES + 1, 0)}, "spec.overrides"),
        ({"overrides": overridden(1, parsing.OPERATIONS + 1)}, "spec.overrides[0].clusterOverrides"),
        ({"overrides": overridden(60, parsing.OPERATIONS)}, "spec.overrides"),
        ({"placement": {"clusterSelector": {"matchExpressions": [VALUE] * 65}}}, None),
    ],
)
def test_so_is_an_object(fields: dict[str, Any], field: str | None) -> None:
    with pytest.raises(Invalid, match=r"at most|more than") as caught:
        parsing.spec(orjson.dumps({"template": {}, **fields}))
    assert caught.value.field == (field or "spec.placement.clusterSelector.matchExpressions")


def test_what_fleets_of_thousands_need_is_taken() -> None:
    fields = {"placement": {"clusters": many(5000)}, "overrides": overridden(2000, 10)}
    assert len(parsing.spec(orjson.dumps({"template": {}, **fields})).overrides) == 2000


def test_the_largest_selector_is_compared_with_a_large_fleet_in_little_time() -> None:
    """By the number of its expressions, not of their values."""
    values = [f"v{number}" for number in range(selectors.VALUES)]
    selector = {
        "matchExpressions": [
            {"key": f"k{number}", "operator": "NotIn", "values": values} for number in range(selectors.EXPRESSIONS)
        ]
    }
    labels = {f"k{each}": "other" for each in range(64)}
    fleet = {name: Cluster(name, labels) for name in (f"c{number}" for number in range(1000))}
    selectors.check(selector)
    before = time.process_time()
    assert len(placement.select(Placement(selector=selector), fleet)) == 1000
    assert time.process_time() - before < 1.0


def test_the_crds_say_the_same() -> None:
    path = next(iter(sorted(GOLDEN.glob("*.yaml"))))
    crd = next(iter(yaml.safe_load_all(path.read_text(encoding="utf-8"))))
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    placing = spec["placement"]["properties"]
    selector = placing["clusterSelector"]["properties"]
    assert placing["clusters"]["maxItems"] == parsing.CLUSTERS
    assert selector["matchLabels"]["maxProperties"] == selectors.LABELS
    assert selector["matchExpressions"]["maxItems"] == selectors.EXPRESSIONS
    assert selector["matchExpressions"]["items"]["properties"]["values"]["maxItems"] == selectors.VALUES
    assert spec["overrides"]["maxItems"] == parsing.OVERRIDES
    assert spec["overrides"]["items"]["properties"]["clusterOverrides"]["maxItems"] == parsing.OPERATIONS
    overriding = spec["overrides"]["items"]["properties"]["clusterOverrides"]["items"]["properties"]
    assert set(overriding["op"]["enum"]) == {*overrides.OPS, ""}
    assert overriding["op"]["description"].startswith(overrides.DEFAULT)
    rules = " ".join(rule["rule"] for rule in overriding["path"]["x-kubernetes-validations"])
    assert set(re.findall(r"'(/[^']*)'", rules)) == set(parsing.IDENTITY_PATHS)
