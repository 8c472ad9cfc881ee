"""Kubernetes' rules for structural schemas, each with a schema that breaks it; and repairs that break none."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from typegen import structural

OBJECT: dict[str, Any] = {"type": "object"}


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        pytest.param({}, [".: the root must have type object", ".: type is missing"], id="empty"),
        pytest.param({"type": "array", "items": OBJECT}, [".: the root must have type object"], id="root"),
        pytest.param({**OBJECT, "properties": {"a": {}}}, ["a: type is missing"], id="no-type"),
        pytest.param({**OBJECT, "properties": {"a": {"type": "text"}}}, ["a: type is 'text'"], id="type"),
        pytest.param({**OBJECT, "properties": {"a": {"type": "array"}}}, ["a: items is missing"], id="items"),
        pytest.param(
            {**OBJECT, "properties": {"a": {"type": "array", "items": {}}}}, ["a[]: type is missing"], id="item"
        ),
        pytest.param({**OBJECT, "additionalProperties": {}}, ["{}: type is missing"], id="map-value"),
        pytest.param(
            {**OBJECT, "properties": {"a": OBJECT}, "additionalProperties": OBJECT},
            [".: properties and additionalProperties exclude each other"],
            id="both",
        ),
        pytest.param({**OBJECT, "$ref": "#/x"}, [".: $ref is not allowed"], id="ref"),
        pytest.param({**OBJECT, "uniqueItems": True}, [".: uniqueItems is not allowed"], id="unique"),
        pytest.param({**OBJECT, "anyOf": [{"type": "object"}]}, [".: anyOf must not have type"], id="type-in-any-of"),
        pytest.param(
            {**OBJECT, "oneOf": [{"properties": {"a": {"enum": [1]}}}]},
            [".: oneOf names a, which properties does not"],
            id="unknown-in-one-of",
        ),
        pytest.param(
            {**OBJECT, "properties": {"a": OBJECT}, "allOf": [{"properties": {"a": {"properties": {"b": {}}}}}]},
            ["a: allOf names b, which properties does not"],
            id="unknown-below-the-roots",
        ),
        pytest.param({**OBJECT, "not": {"items": {}}}, [".: not has items, which the object has not"], id="no-items"),
        pytest.param(
            {
                **OBJECT,
                "properties": {
                    "a": {**OBJECT, "anyOf": [{"properties": {"b": {"enum": [1]}}, "items": {}}]},
                    "b": {**OBJECT, "additionalProperties": OBJECT, "not": {"properties": {"c": {"required": ["d"]}}}},
                },
            },
            [],
            id="in-a-node-below-they-may-name-anything",
        ),
        pytest.param(
            {**OBJECT, "properties": {"a": {**OBJECT, "allOf": [{"anyOf": [{"properties": {"metadata": {}}}]}]}}},
            ["a: allOf must not name metadata"],
            id="metadata",
        ),
        pytest.param(
            {**OBJECT, "allOf": [{"not": {"description": "x"}}]}, [".: allOf must not have description"], id="nested"
        ),
        pytest.param({**OBJECT, "anyOf": [{"title": "x"}]}, [".: anyOf must not have title"], id="title-in-any-of"),
        pytest.param({**OBJECT, "anyOf": [{"default": 0}]}, [".: anyOf must not have default"], id="default-in-any-of"),
        pytest.param(
            {
                **OBJECT,
                "properties": {
                    "a": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k", "l"],
                        "items": {**OBJECT, "properties": {"k": {"type": "string"}}},
                    }
                },
            },
            ["a: list key k is neither required nor has a default", "a: list key l is not a property of the items"],
            id="list-keys",
        ),
    ],
)
def test_violations(schema: dict[str, Any], wanted: list[str]) -> None:
    assert [str(violation) for violation in structural.violations(schema)] == wanted


@pytest.mark.parametrize(
    "node",
    [
        pytest.param({"x-kubernetes-int-or-string": True}, id="int-or-string"),
        pytest.param(
            {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}, id="spelt-out"
        ),
        pytest.param(
            {
                "x-kubernetes-int-or-string": True,
                "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"pattern": "x"}],
            },
            id="spelt-out-in-all-of",
        ),
        pytest.param({"x-kubernetes-preserve-unknown-fields": True}, id="free"),
        pytest.param({"type": "object", "additionalProperties": True}, id="free-map"),
        pytest.param(
            {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "not": {"properties": {"x": {"minimum": 5}}},
            },
            id="map-value-in-not",
        ),
        pytest.param({"type": "string", "x-kubernetes-int-or-string": True}, id="int-or-string-and-type"),
        pytest.param({"type": "string", "anyOf": [{"type": "integer"}, {"type": "string"}]}, id="spelt-out-alone"),
        pytest.param({"type": "string", "anyOf": [{"nullable": False, "description": ""}]}, id="nothing-in-any-of"),
        pytest.param({"type": "object", "properties": {}, "additionalProperties": OBJECT}, id="no-properties-and-map"),
        pytest.param(
            {"type": "object", "properties": {"a": OBJECT}, "additionalProperties": True}, id="properties-and-free-map"
        ),
        pytest.param({"type": None, "x-kubernetes-preserve-unknown-fields": True}, id="null-type"),
        pytest.param({"type": "string", "definitions": {}}, id="empty-definitions"),
    ],
)
def test_structural(node: dict[str, Any]) -> None:
    """All of them are taken by a kube-apiserver (1.36)."""
    assert list(structural.malformed(node)) == []
    assert structural.violations({**OBJECT, "properties": {"metadata": {}, "a": node}}) == []


def test_a_root_that_keeps_everything_needs_no_type() -> None:
    assert structural.violations({"x-kubernetes-preserve-unknown-fields": True}) == []


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        pytest.param([], ".: expected a schema, found list", id="no-mapping"),
        pytest.param({"properties": []}, ".: properties must be a mapping", id="properties"),
        pytest.param({"properties": {"a": None}}, "a: expected a schema, found NoneType", id="property"),
        pytest.param({"properties": {"a": {"items": [1]}}}, "a[]: expected a schema, found list", id="items"),
        pytest.param({"additionalProperties": 1}, "{}: expected a schema, found int", id="map-value"),
        pytest.param({"type": ["string", "null"]}, ".: type must be text", id="type-list"),
        pytest.param({"required": "a"}, ".: required must be a list of names", id="required"),
        pytest.param({"oneOf": {}}, ".: oneOf must be a list of schemas", id="one-of"),
        pytest.param({"not": True}, ".: expected a schema, found bool", id="not"),
        pytest.param(
            {"x-kubernetes-validations": ["x"]}, ".: x-kubernetes-validations must be a list of rules", id="rules"
        ),
    ],
)
def test_malformed(schema: Any, wanted: str) -> None:
    assert [str(each) for each in structural.malformed(schema)] == [wanted]


GOOD = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["k"],
    "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}},
}


def test_repairs_name_the_place_and_keep_the_rest() -> None:
    repaired, cautions = structural.repair(
        {
            "properties": {
                "spec": {
                    "properties": {
                        "good": GOOD,
                        "odd": {"description": "Odd.", "oneOf": [{"type": "string"}]},
                        "map": {
                            "type": "object",
                            "properties": {"a": {"type": "string"}},
                            "additionalProperties": True,
                        },
                    }
                }
            }
        }
    )
    items: Any = GOOD["items"]
    keeping: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}
    assert repaired == {
        "type": "object",
        **keeping,
        "properties": {
            "spec": {
                "type": "object",
                **keeping,
                "properties": {
                    "good": {**GOOD, "items": {**items, **keeping}},
                    "odd": {"description": "Odd.", **keeping},
                    "map": {"type": "object", **keeping, "properties": {"a": {"type": "string"}}},
                },
            }
        },
    }
    assert [str(caution) for caution in cautions] == ["spec.odd: not checked from here on: type is missing"]


wild = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "object", "array", "integer", "text"]),
            "default": st.integers(),
            "uniqueItems": st.booleans(),
            "$ref": st.just("#/x"),
            "x-kubernetes-int-or-string": st.booleans(),
            "x-kubernetes-preserve-unknown-fields": st.booleans(),
            "anyOf": st.lists(
                st.fixed_dictionaries({}, optional={"type": st.just("string"), "required": st.just(["a"])}), max_size=2
            ),
        },
    ),
    lambda children: st.builds(
        lambda node, more: {**node, **more},
        st.fixed_dictionaries({}, optional={"type": st.sampled_from(["object", "array"])}),
        st.fixed_dictionaries(
            {},
            optional={
                "properties": st.dictionaries(st.sampled_from(["a", "b"]), children, max_size=2),
                "items": children,
                "additionalProperties": st.one_of(st.booleans(), children),
                "oneOf": st.lists(children, max_size=2),
                "x-kubernetes-list-type": st.sampled_from(["map", "set"]),
                "x-kubernetes-list-map-keys": st.just(["a"]),
            },
        ),
    ),
    max_leaves=10,
)


@given(wild)
@example({"items": {}, "oneOf": [{"items": {"type": "string"}}]})
def test_whatever_is_repaired_is_structural(schema: dict[str, Any]) -> None:
    assert list(structural.malformed(schema)) == []
    repaired, _ = structural.repair(schema)
    assert structural.violations({**OBJECT, "properties": {"template": repaired}}) == []


def test_a_schema_that_nests_deeper_than_anybody_can_walk_is_none() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(99):
        schema = {"type": "object", "properties": {"a": schema}}
    assert list(structural.malformed(schema)) == []
    for _ in range(5_000):
        schema = {"type": "object", "properties": {"a": schema}}
    assert [str(each) for each in structural.malformed(schema)] == [".: it nests deeper than 200 levels"]
