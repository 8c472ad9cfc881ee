"""spec.health of a FederatedTypeConfig: which are understood, and what their JSON paths lead to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import jsonpath, statusrules, workloads
from federation.model.errors import Invalid
from federation.model.resources import Resource
from federation.model.statusrules import StatusRule

WIDGETS = Resource("example.io", "v1", "Widget", "widgets", namespaced=True)
ITEM = {
    "spec": {"size": 3, "a.b": {"c": 1}},
    "status": {
        "phase": "Running",
        "ready": True,
        "none": None,
        "empty": [],
        "zero": 0,
        "members": 2,
        "updated": 3,
        "addresses": [{"type": "ip", "value": "10.0.0.1"}, {"type": "name", "value": "web", "of": {"port": 80}}],
        "conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}, "odd", None],
    },
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".status.phase", "Running"),
        ("{.status.phase}", "Running"),
        ("$.status.phase", "Running"),
        (" { .status.phase } ", "Running"),
        (".status['phase']", "Running"),
        ('.spec["a.b"].c', 1),
        (".status.addresses[1].value", "web"),
        (".status.addresses[9].value", None),
        (".status.phase[0]", None),
        (".status.phase.x", None),
        (".status.absent.x", None),
        ('.status.conditions[?(@.type=="Ready")].status', "True"),
        ("{.status.conditions[?(@.type=='Ready')].status}", "True"),
        ('.status.conditions[?( @.type == "Gone" )].status', None),
        ('.status.addresses[?(@.of.port=="80")].type', "name"),
    ],
)
def test_paths(path: str, value: Any) -> None:
    assert jsonpath.value(jsonpath.parse(path, "f"), ITEM) == value


@pytest.mark.parametrize(
    "path", ["", ".", "status", ".status..phase", ".status[*]", ".status.a[", "{.status", ".status | x", ".a" * 200]
)
def test_wrong_paths(path: str) -> None:
    with pytest.raises(Invalid):
        jsonpath.parse(path, "f")


@given(st.text(alphabet=".[]{}()?@=\"'$abs0 ", max_size=40))
def test_any_text_is_a_path_or_says_that_it_is_none(text: str) -> None:
    try:
        path = jsonpath.parse(text, "f")
    except Invalid:
        return
    jsonpath.value(path, ITEM)


def rule(**spec: Any) -> StatusRule:
    found = statusrules.of_spec(spec)
    assert found is not None
    return found


READY = {"path": '.status.conditions[?(@.type=="Ready")].status', "values": ["True"]}
COUNTS = {"desired": ".spec.size", "ready": ".status.members"}


@pytest.mark.parametrize(
    ("spec", "why", "counts"),
    [
        ({"healthy": [READY]}, "", (1, 1, 1)),
        ({"healthy": [{"path": ".status.phase", "values": ["Done", "Running"]}]}, "", (1, 1, 1)),
        ({"healthy": [{"path": ".status.phase", "values": ["Done"]}]}, ".status.phase is not Done", (1, 0, 1)),
        ({"healthy": [{"path": ".status.none", "values": ["a"]}]}, ".status.none is not a", (1, 0, 1)),
        ({"healthy": [{"path": ".status.ready", "values": ["true"]}]}, "", (1, 1, 1)),
        ({"healthy": [{"path": ".status.members", "values": ["2"]}]}, "", (1, 1, 1)),
        ({"healthy": [{"path": ".status.ready"}]}, "", (1, 1, 1)),
        *(
            ({"healthy": [{"path": f".status.{name}"}]}, f"there is no .status.{name}", (1, 0, 1))
            for name in ("none", "empty", "zero", "absent")
        ),
        (COUNTS, "2 of 3 are ready", (3, 2, 2)),
        ({**COUNTS, "updated": ".status.updated"}, "2 of 3 are ready", (3, 2, 3)),
        ({**COUNTS, "updated": ".status.zero"}, "0 of 3 are updated", (3, 2, 0)),
        ({**COUNTS, "healthy": [READY], "ready": ".spec.size"}, "", (3, 3, 3)),
        ({**COUNTS, "desired": ".status.phase"}, "", (0, 2, 2)),
    ],
)
def test_what_a_rule_makes_of_an_object(spec: dict[str, Any], why: str, counts: tuple[int, int, int]) -> None:
    own = rule(**spec)
    assert workloads.unhealthy(WIDGETS, ITEM, own) == why
    assert workloads.counts(WIDGETS, ITEM, own, well=not why) == counts


def test_what_every_object_is_asked_goes_before_a_rule() -> None:
    own = rule(healthy=[READY])
    behind = {**ITEM, "metadata": {"generation": 2}, "status": {**ITEM["status"], "observedGeneration": 1}}
    assert workloads.unhealthy(WIDGETS, behind, own) == "its controller has not seen the change yet"
    assert workloads.counts(WIDGETS, behind, own, well=False) == (1, 0, 0)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("text", "spec.health"),
        ({}, "spec.health"),
        ({"wrong": 1}, "spec.health.wrong"),
        ({"healthy": {}}, "spec.health.healthy"),
        ({"healthy": []}, "spec.health"),
        ({"healthy": [{"values": ["a"]}]}, "spec.health.healthy[0].path"),
        ({"healthy": [{"path": ".metadata.name"}]}, "spec.health.healthy[0].path"),
        ({"healthy": [{"path": ".data.password"}]}, "spec.health.healthy[0].path"),
        ({"healthy": [{"path": ".status.a", "value": "x"}]}, "spec.health.healthy[0].value"),
        ({"healthy": [{"path": ".status.a", "values": [1]}]}, "spec.health.healthy[0].values[0]"),
        ({"healthy": [{"path": ".status.a"}] * 17}, "spec.health.healthy"),
        ({"desired": ".spec.a"}, "spec.health"),
        ({"ready": ".status.a"}, "spec.health"),
        ({"healthy": [READY], "updated": ".status.a"}, "spec.health.updated"),
    ],
)
def test_what_is_not_understood_is_refused(spec: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        statusrules.of_spec(spec)
    assert refused.value.field == field
