"""What a target takes, its template takes, for everything but CEL: as the API server goes about it, without one.

It drops nulls that a schema does not allow, fills in defaults, and then validates. Thousands of values take seconds
here; tests/clusters/test_crds_verdicts.py asks real API servers.
"""

import copy
import random
from typing import Any

import pytest

from tests.clusters import verdicts_of_versions
from tests.clusters.verdicts import Draw, crd
from tests.clusters.verdicts_of_more import More
from tests.clusters.verdicts_of_versions import Versions
from typegen import federate, structural, validation

Object = dict[str, Any]


def below(node: Any, name: str) -> Any:
    """The schema of a field, or None."""
    known = (node.get("properties") or {}).get(name, node.get("additionalProperties"))
    return known if isinstance(known, dict) else None


def drop_nulls(node: Object, value: Any) -> None:
    """PruneNonNullableNullsWithoutDefaults of the API server."""
    if isinstance(value, dict):
        for name in list(value):
            child = below(node, name)
            if child is None:
                continue
            if value[name] is None and not child.get("nullable") and child.get("default") is None:
                del value[name]
            else:
                drop_nulls(child, value[name])
    elif isinstance(value, list) and isinstance(node.get("items"), dict):
        for entry in value:
            drop_nulls(node["items"], entry)


def fill_in(node: Object, value: Any) -> None:
    """Its defaulting."""
    if isinstance(value, dict):
        for name, child in (node.get("properties") or {}).items():
            null = name in value and value[name] is None and not child.get("nullable")
            if child.get("default") is not None and (null or name not in value):
                value[name] = copy.deepcopy(child["default"])
        for name in value:
            child = below(node, name)
            if child is None:
                continue
            if name not in (node.get("properties") or {}) and value[name] is None and not child.get("nullable"):
                value[name] = copy.deepcopy(child.get("default"))
            fill_in(child, value[name])
    elif isinstance(value, list) and isinstance(node.get("items"), dict):
        items = node["items"]
        for index, entry in enumerate(value):
            if entry is None and not items.get("nullable"):
                value[index] = copy.deepcopy(items.get("default"))
            fill_in(items, value[index])


def refused(node: Object, value: Any) -> list[str]:
    """Why an API server refuses the value of a field with this schema."""
    stored = copy.deepcopy(value)
    drop_nulls(node, stored)
    fill_in(node, stored)
    return [str(problem) for problem in validation.problems(node, stored)]


@pytest.mark.parametrize("kind", [Draw, More])
@pytest.mark.parametrize("seed", range(4))
def test_what_the_target_takes_the_template_takes(kind: type[Draw], seed: int) -> None:
    draw = kind(random.Random(seed))
    schemas = taken = 0
    while schemas < 120:
        node = draw.schema()
        target = crd("r.example.com", {"case": node})
        whole = target["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        if node.get("type") != "object" or structural.violations(whole):
            continue
        schemas += 1
        made = federate.from_crd(target).crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert structural.violations(made) == []
        spec = made["properties"]["spec"]["properties"]["template"]["properties"]["spec"]
        template = spec["properties"]["case"]
        for _ in range(15):
            value = draw.value(node, 0.03)
            if value is None or refused(node, value):
                continue
            taken += 1
            assert refused(template, value) == [], (node, template, value)
    assert taken > 500, "the values are such that a comparison means something"


@pytest.mark.parametrize("seed", range(4))
def test_what_a_version_takes_the_template_of_all_takes(seed: int) -> None:
    draw = Versions(random.Random(seed))
    types = taken = 0
    while types < 150:
        first = draw.schema()
        forms = {"v1": first, "v2": draw.other(first), "v1beta1": draw.other(first)}
        target = verdicts_of_versions.crd("r.example.com", {each: {"case": node} for each, node in forms.items()})
        wholes = [each["schema"]["openAPIV3Schema"] for each in target["spec"]["versions"]]
        if any(node.get("type") != "object" for node in forms.values()) or any(map(structural.violations, wholes)):
            continue
        types += 1
        found = federate.from_crd(target)
        made = found.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert structural.violations(made) == []
        template = made["properties"]["spec"]["properties"]["template"]
        for version, node in forms.items():
            for _ in range(6):
                value = draw.value(node, 0.03)
                if value is None or refused(node, value):
                    continue
                taken += 1
                wrapped = {"apiVersion": f"r.example.com/{version}", "spec": {"case": value}}
                assert refused(template, wrapped) == [], (forms, version, value)
                if version == found.target.version:
                    assert refused(template, {"spec": {"case": value}}) == [], (forms, value)
    assert taken > 500, "the values are such that a comparison means something"
