"""The offline check of documents against structural schemas."""

from typing import Any

import pytest

from typegen import validation

PORTS = {
    "type": "array",
    "maxItems": 3,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["port", "protocol"],
    "items": {
        "type": "object",
        "required": ["port"],
        "properties": {
            "port": {"x-kubernetes-int-or-string": True},
            "protocol": {"type": "string", "default": "TCP", "enum": ["TCP", "UDP"]},
        },
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^[a-z]+$"},
        "count": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2},
        "ratio": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        "note": {"type": "string", "nullable": True},
        "ports": PORTS,
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 2},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "raw": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "properties": {"spec": {"type": "object"}},
        },
        "any": {"x-kubernetes-preserve-unknown-fields": True},
        "odd": {"type": "string", "pattern": r"^\p{L}$"},
        "pick": {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
            "not": {"properties": {"a": {"enum": ["z"]}}, "required": ["a"]},
        },
    },
}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        pytest.param({"name": "a"}, [], id="smallest"),
        pytest.param({}, [".: name is missing"], id="required"),
        pytest.param({"name": None}, [".: name is missing"], id="null-is-absent"),
        pytest.param({"name": "a", "note": None, "count": None}, [], id="nullable-and-null"),
        pytest.param({"name": 1}, ["name: 1, expected string"], id="type"),
        pytest.param({"name": "a", "count": True}, ["count: true, expected integer"], id="bool-is-no-number"),
        pytest.param({"name": "a", "count": 4.0}, [], id="whole-float"),
        pytest.param({"name": "a", "count": 0}, ["count: 0 is below the minimum, 1"], id="minimum"),
        pytest.param({"name": "a", "count": 10}, ["count: 10 is above the maximum, 9"], id="maximum"),
        pytest.param({"name": "a", "count": 3}, ["count: 3 is not a multiple of 2"], id="multiple"),
        pytest.param({"name": "a", "ratio": 0}, ["ratio: 0 is below the minimum, 0"], id="exclusive"),
        pytest.param({"name": "abcdef"}, ["name: 6 characters, at most 5 are allowed"], id="long"),
        pytest.param({"name": "A"}, ["name: 'A' does not match ^[a-z]+$"], id="pattern"),
        pytest.param({"name": "a", "odd": "é"}, [], id="pattern-only-RE2-knows"),
        pytest.param({"name": "a", "odd": "xyz"}, [r"odd: 'xyz' does not match ^\p{L}$"], id="and-what-it-refuses"),
        pytest.param({"name": "a\n"}, [r"name: 'a\n' does not match ^[a-z]+$"], id="the-end-is-the-very-end"),
        pytest.param({"name": "a", "nmae": 1}, ["nmae: unknown field, did you mean name?"], id="unknown"),
        pytest.param({"name": "a", "free": {"x": 1}, "any": [1]}, [], id="free"),
        pytest.param(
            {"name": "a", "raw": {"apiVersion": "v1", "kind": "X", "metadata": {"a": 1}, "spec": {}}}, [], id="embedded"
        ),
        pytest.param(
            {"name": "a", "raw": {"apiVersion": "v1", "kind": "X", "other": 1}},
            ["raw.other: unknown field"],
            id="embedded-unknown",
        ),
        pytest.param({"name": "a", "labels": {"x": 1}}, ["labels.x: 1, expected string"], id="map-value"),
        pytest.param(
            {"name": "a", "labels": dict.fromkeys("xyz", "")},
            ["labels: 3 fields, at most 2 are allowed"],
            id="map-size",
        ),
        pytest.param({"name": "a", "tags": ["x", "x"]}, ["tags[1]: is in the list twice: 'x'"], id="set"),
        pytest.param(
            {"name": "a", "ports": [{"port": 1}, {"port": 1, "protocol": "TCP"}]},
            ["ports[1]: is in the list twice: port=1, protocol='TCP'"],
            id="map-keys-with-defaults",
        ),
        pytest.param(
            {"name": "a", "ports": [{"port": 1.5}]},
            ["ports[0].port: 1.5, expected an integer or a string"],
            id="int-or-string",
        ),
        pytest.param(
            {"name": "a", "ports": [{"port": "http", "protocol": "SCTP"}]},
            ["ports[0].protocol: 'SCTP' is none of TCP, UDP"],
            id="enum",
        ),
        pytest.param({"name": "a", "pick": {"a": "x"}}, [], id="one-of"),
        pytest.param(
            {"name": "a", "pick": {"a": "x", "b": "y"}}, ["pick: fits 2 of the 2 alternatives of oneOf"], id="both"
        ),
        pytest.param({"name": "a", "pick": {"a": "z"}}, ["pick: has what the schema excludes (not)"], id="not"),
        pytest.param([], [".: a list, expected object"], id="list-for-object"),
    ],
)
def test_what_is_wrong_and_where(value: Any, wanted: list[str]) -> None:
    assert [str(problem) for problem in validation.problems(SCHEMA, value)] == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        pytest.param({"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}, "name": "a"}, [], id="object"),
        pytest.param(
            {"apiVersion": "v1", "name": "a"}, [".: kind is missing, which an API object needs"], id="no-kind"
        ),
        pytest.param(
            {"apiVersion": "v1", "kind": "X", "metadata": "a", "name": "a"},
            ["metadata: 'a', expected object"],
            id="metadata",
        ),
    ],
)
def test_a_whole_api_object(value: Any, wanted: list[str]) -> None:
    assert [str(problem) for problem in validation.resource(SCHEMA, value)] == wanted


def test_the_name_of_a_whole_object_may_be_restricted() -> None:
    name = {"type": "string", "maxLength": 3}
    schema = {"type": "object", "properties": {"metadata": {"type": "object", "properties": {"name": name}}}}
    body = {"apiVersion": "v1", "kind": "Thing"}
    short, long = ({**body, "metadata": {"name": each, "labels": {"a": "b"}}} for each in ("abc", "abcd"))
    assert list(validation.resource(schema, short)) == []
    assert [str(each) for each in validation.resource(schema, long)] == [
        "metadata.name: 4 characters, at most 3 are allowed"
    ]


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        (r"^\d$", "٣", False),  # an ASCII digit
        ("^[[:alpha:]]+$", "ab", True),
        (r"^a\z", "a", True),
        ("(?=a)", "b", True),  # no API server takes such a pattern
        ("a", "\ud800", False),
    ],
)
def test_patterns_mean_what_they_mean_to_kubernetes(pattern: str, text: str, fits: bool) -> None:
    assert (not list(validation.problems({"type": "string", "pattern": pattern}, text))) is fits


def test_any_pattern_takes_time_by_the_length_of_the_text() -> None:
    """Python's own would take longer than the sun lasts."""
    assert len(list(validation.problems({"type": "string", "pattern": "^(a|a)*$"}, "a" * 10_000 + "!"))) == 1


@pytest.mark.parametrize(
    ("value", "step", "fits"),
    [
        (0.3, 0.1, True),
        (0.35, 0.1, False),
        (7, 0.5, True),
        (2**53 + 1, 2, False),
        (1e308, 1e-300, False),
        (0, 0.1, True),
    ],
)
def test_multiples_are_reckoned_as_the_api_server_does(value: float, step: float, fits: bool) -> None:
    assert (not list(validation.problems({"type": "number", "multipleOf": step}, value))) is fits


def test_a_long_list_is_looked_through_once() -> None:
    schema = {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}}
    assert not list(validation.problems(schema, list(range(100_000))))
