"""The schema of spec.template: what stays, what goes, and that it is structural whatever comes in."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.typegen import strategies
from typegen import schema, structural, validation
from typegen.model import ApiResource, Options, Target

RESOURCE = ApiResource("example.com", "v1", "Thing", "things", "thing", namespaced=True)

TEXT = {"type": "string"}


def template(root: dict[str, Any], *optional: str, scale: str = "") -> tuple[dict[str, Any], list[str]]:
    resource = ApiResource("example.com", "v1", "Thing", "things", "thing", namespaced=True, scale=scale)
    made = schema.template(Target(resource, root), Options(optional=optional))
    return made.schema, [str(caution) for caution in made.cautions]


def of_spec(spec: dict[str, Any], *optional: str) -> tuple[dict[str, Any], list[str]]:
    made, cautions = template({"type": "object", "properties": {"spec": {"type": "object", **spec}}}, *optional)
    return made["properties"]["spec"], cautions


def test_identity_metadata_and_status_are_the_templates_own() -> None:
    made, cautions = template(
        {
            "type": "object",
            "description": "A thing.",
            "required": ["apiVersion", "kind", "metadata", "spec", "status"],
            "properties": {
                "apiVersion": {"type": "string", "pattern": "^never$"},
                "kind": {"type": "string", "enum": ["Thing"]},
                "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}},
                "spec": {"type": "object"},
                "status": {"type": "object", "required": ["ready"]},
                "data": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }
    )
    assert made["required"] == ["spec"]
    assert made["description"] == "A thing."
    properties = made["properties"]
    assert set(properties) == {"apiVersion", "kind", "metadata", "spec", "status", "data"}
    assert set(properties["apiVersion"]) == set(properties["kind"]) == {"type", "description"}
    assert properties["metadata"]["properties"]["creationTimestamp"]["nullable"] is True
    assert properties["status"]["x-kubernetes-preserve-unknown-fields"] is True
    assert properties["data"] == {"type": "object", "additionalProperties": {"type": "string"}}
    assert cautions == []


@pytest.mark.parametrize(
    ("root", "wanted", "message"),
    [
        pytest.param({"anyOf": [{"required": ["kind"]}]}, {"anyOf": [{}]}, [], id="kind-is-always-there"),
        pytest.param(
            {"oneOf": [{"required": ["metadata", "data"]}, {"not": {"required": ["apiVersion", "spec"]}}]},
            {"oneOf": [{"required": ["data"]}, {"not": {"required": ["spec"]}}]},
            [],
            id="beside-others",
        ),
        pytest.param(
            {"anyOf": [{"properties": {"kind": {"enum": ["Thing"]}}}, {"required": ["spec"]}]},
            {},
            [".: anyOf left out, it checks kind, which a template lacks"],
            id="value-of-kind",
        ),
        pytest.param(
            {"minProperties": 4}, {}, [".: minProperties left out, a template has fewer fields than its object"],
            id="count",
        ),
        pytest.param(
            {"not": {"maxProperties": 4}},
            {},
            [".: not left out, it checks the number of fields, which a template lacks"],
            id="count-in-a-branch",
        ),
        pytest.param({"definitions": {}, "anyOf": [], "title": None}, {}, [], id="nothing"),
        pytest.param(
            {"readOnly": True}, {}, [".: readOnly left out, Kubernetes does not know this keyword"], id="keyword"
        ),
    ],
)  # fmt: skip
def test_what_the_root_says_of_the_whole_object(root: dict[str, Any], wanted: Any, message: list[str]) -> None:
    known = {name: {"type": "object"} for name in ("spec", "data")}
    made, cautions = template({"type": "object", "properties": known, **root})
    assert {key: made[key] for key in made if key not in ("type", "properties")} == wanted
    assert cautions == message


def test_the_name_is_checked_on_the_federated_object() -> None:
    def root(length: int) -> dict[str, Any]:
        name = {"type": "string", "maxLength": length}
        return {"type": "object", "properties": {"metadata": {"type": "object", "properties": {"name": name}}}}

    assert schema.name(Target(RESOURCE, None)) == ({}, [])
    assert schema.name(Target(RESOURCE, root(5))) == ({"type": "string", "maxLength": 5}, [])
    assert schema.name(Target(RESOURCE, root(5), others={"v2": root(5)}))[0] == {"type": "string", "maxLength": 5}
    named, (caution,) = schema.name(Target(RESOURCE, root(5), others={"v2": root(6)}))
    assert (named, str(caution)) == ({}, "metadata.name: not checked, versions differ in what it may be")


def test_a_target_without_schema_keeps_everything() -> None:
    made = schema.template(Target(RESOURCE, None), Options()).schema
    assert made["x-kubernetes-preserve-unknown-fields"] is True
    assert set(made["properties"]) == {"apiVersion", "kind", "metadata", "status"}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        pytest.param(
            {"properties": {"a": {"type": "integer", "default": 1}}},
            {"properties": {"a": {"type": "integer"}}},
            id="default",
        ),
        pytest.param(
            {
                "required": ["b", "a", "a"],
                "properties": {"a": {"type": "string"}, "b": {"type": "string", "default": ""}},
            },
            {"required": ["a"], "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
            id="required-and-defaulted",
        ),
        pytest.param(
            {"properties": {"a": {"type": "array", "items": {"type": "integer", "default": 1}}}},
            {"properties": {"a": {"type": "array", "items": {"type": "integer", "default": 1}}}},
            id="default-of-items-stands-for-null",
        ),
        pytest.param(
            {"properties": {"a": {"type": "string", "default": "x"}, "b": TEXT, "c": TEXT}, "minProperties": 2},
            {"properties": {"a": TEXT, "b": TEXT, "c": TEXT}, "minProperties": 1},
            id="a-default-counts",
        ),
        pytest.param(
            {"properties": {name: {"type": "string", "default": "x"} for name in "ab"}, "minProperties": 2},
            {"properties": {"a": TEXT, "b": TEXT}},
            id="defaults-are-enough",
        ),
        pytest.param(
            {"additionalProperties": {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}}},
            {"additionalProperties": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            id="default-in-a-map",
        ),
        pytest.param(
            {"properties": {"a": {"type": "string", "example": "x", "externalDocs": {"url": "y"}, "title": "A"}}},
            {"properties": {"a": {"type": "string", "title": "A"}}},
            id="examples",
        ),
        pytest.param(
            {
                "properties": {
                    "a": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k"],
                        "items": {
                            "type": "object",
                            "properties": {
                                "k": {"type": "string", "default": "x"},
                                "v": {"type": "string", "default": "y"},
                            },
                        },
                    }
                }
            },
            {
                "properties": {
                    "a": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k"],
                        "items": {
                            "type": "object",
                            "properties": {"k": {"type": "string", "default": "x"}, "v": {"type": "string"}},
                        },
                    }
                }
            },
            id="keys-of-a-list-keep-theirs",
        ),
        pytest.param(
            {
                "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            },
            {
                "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            },
            id="combinator",
        ),
    ],
)
def test_what_becomes_of_a_field(spec: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert of_spec(spec) == ({"type": "object", **wanted}, [])


DEFAULTED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "default": 1},
        "b": {"type": "string"},
        "c": {
            "type": "array",
            "items": {"type": "object", "properties": {"d": {"type": "string", "default": "x"}}},
        },
        "e": {"type": "object", "default": {}, "properties": {"f": {"type": "string", "default": "y"}}},
    },
}


@pytest.mark.parametrize(
    ("message", "carried"),
    [
        pytest.param({"required": ["a", "b"]}, {"required": ["b"]}, id="required-is-always-true"),
        pytest.param({"required": ["a"]}, {}, id="nothing-left"),
        pytest.param(
            {"properties": {"a": {"maximum": 5}}}, {"properties": {"a": {"maximum": 5}}}, id="the-default-passes"
        ),
        pytest.param(
            {"properties": {"a": {"minimum": 5}}},
            {"properties": {"a": {"minimum": 5}}, "required": ["a"]},
            id="the-default-does-not-pass",
        ),
        pytest.param(
            {"properties": {"c": {"items": {"required": ["d"]}}}}, {"properties": {"c": {"items": {}}}}, id="in-a-list"
        ),
        pytest.param({"not": {"required": ["a"]}}, {"not": {}}, id="nested"),
    ],
)
def test_combinators_say_the_same_without_defaults(message: dict[str, Any], carried: dict[str, Any]) -> None:
    for name, before, after in (
        ("anyOf", [message], [carried]),
        ("oneOf", [message], [carried]),
        ("not", message, carried),
    ):
        made, cautions = of_spec({**DEFAULTED, name: before})
        assert (made[name], cautions) == (after, [])


def test_a_combinator_about_a_default_that_others_fill_in_is_left_out() -> None:
    made, cautions = of_spec({**DEFAULTED, "anyOf": [{"properties": {"e": {"maxProperties": 0}}}]})
    assert "anyOf" not in made
    assert cautions == ["spec: anyOf left out, it checks the number of fields, whose default is not kept"]


CHECK = st.sampled_from([{"enum": [1]}, {"minimum": 2}, {"maximum": 1}, {"not": {"enum": [1]}}])
BRANCH = st.recursive(
    st.fixed_dictionaries({}, optional={"required": st.sampled_from([["a"], ["b"], ["a", "b"]])}),
    lambda below: (
        st.fixed_dictionaries({"properties": st.fixed_dictionaries({}, optional={"a": CHECK, "b": CHECK})})
        | st.fixed_dictionaries({"not": below})
        | st.fixed_dictionaries({"anyOf": st.lists(below, min_size=1, max_size=2)})
    ),
    max_leaves=4,
)


@given(
    BRANCH,
    st.sampled_from(["anyOf", "oneOf", "allOf"]),
    st.fixed_dictionaries({}, optional={"a": st.integers(0, 3), "b": st.integers(0, 3)}),
)
def test_with_and_without_defaults_the_verdict_is_one(branch: Any, name: str, value: dict[str, Any]) -> None:
    number: dict[str, Any] = {"type": "integer"}
    spec = {"type": "object", "properties": {"a": {**number, "default": 1}, "b": number}, name: [branch, {}][:1]}
    made, cautions = of_spec(spec)
    assert cautions == []
    theirs = any(validation.problems(spec, {"a": 1, **value}))
    assert any(validation.problems(made, value)) is theirs


@pytest.mark.parametrize(
    ("optional", "required"),
    [
        pytest.param((), (["host", "tls"], ["cert"]), id="none"),
        pytest.param(("spec.host",), (["tls"], ["cert"]), id="one"),
        pytest.param(("spec.tls.cert", "spec.tls"), (["host"], []), id="nested"),
        pytest.param(("*",), ([], []), id="all"),
    ],
)
def test_fields_that_only_overrides_supply(optional: tuple[str, ...], required: tuple[list[str], list[str]]) -> None:
    spec = {
        "required": ["tls", "host"],
        "properties": {
            "host": {"type": "string"},
            "tls": {"type": "object", "required": ["cert"], "properties": {"cert": {"type": "string"}}},
        },
    }
    made, _ = of_spec(spec, *optional)
    assert (made.get("required", []), made["properties"]["tls"].get("required", [])) == required


@pytest.mark.parametrize(
    ("spec", "scale", "wanted"),
    [
        pytest.param({"properties": {"replicas": {"type": "integer"}}}, "", True, id="number"),
        pytest.param({"properties": {"replicas": {"type": "string"}}}, "", False, id="text"),
        pytest.param({"x-kubernetes-preserve-unknown-fields": True}, ".spec.replicas", True, id="scale"),
        pytest.param({}, ".spec.size", False, id="scale-elsewhere"),
        pytest.param({}, "", False, id="none"),
    ],
)
def test_has_replicas(spec: dict[str, Any], scale: str, wanted: bool) -> None:
    resource = ApiResource("example.com", "v1", "Thing", "things", "thing", namespaced=True, scale=scale)
    root = {"type": "object", "properties": {"spec": {"type": "object", **spec}}}
    assert schema.has_replicas(Target(resource, root)) is wanted


names = st.sampled_from(["a", "b", "max-count", "namespace", "kind"])
scalars = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"default": st.text(max_size=3), "nullable": st.booleans()}
    ),
    st.fixed_dictionaries({"type": st.just("integer")}, optional={"default": st.integers(0, 9), "minimum": st.just(0)}),
    st.just({"x-kubernetes-int-or-string": True}),
    st.just({"x-kubernetes-preserve-unknown-fields": True}),
)


def objects(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def finish(properties: dict[str, Any], required: set[str], rules: bool, either: bool) -> dict[str, Any]:
        node: dict[str, Any] = {"type": "object", "properties": properties}
        known = sorted(required & set(properties))
        if known:
            node["required"] = known
            if either:
                node["oneOf"] = [{"required": [name]} for name in known]
        if rules:
            node["x-kubernetes-validations"] = [{"rule": f"has(self.{name})"} for name in properties if name.isalpha()]
        return node

    return st.builds(finish, st.dictionaries(names, children, max_size=4), st.sets(names), st.booleans(), st.booleans())


def lists(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keyed = st.builds(
        lambda item, default: {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["key"],
            "items": {
                "type": "object",
                "properties": {"key": {"type": "string", **({"default": "x"} if default else {})}, "value": item},
                "required": [] if default else ["key"],
            },
        },
        children,
        st.booleans(),
    )
    return st.one_of(st.builds(lambda item: {"type": "array", "items": item}, children), keyed)


nodes = st.recursive(
    scalars,
    lambda children: st.one_of(
        objects(children),
        lists(children),
        st.builds(lambda value: {"type": "object", "additionalProperties": value}, children),
    ),
    max_leaves=12,
)


def defaults(node: Any, key: bool = False) -> list[Any]:
    """Every default below `node`, but for keys of lists and for entries, where it stands for null."""
    if not isinstance(node, dict):
        return []
    found = [node["default"]] if "default" in node and not key else []
    for name, child in node.get("properties", {}).items():
        found += defaults(child, key=name == "key")
    return found + defaults(node.get("items"), key=True) + defaults(node.get("additionalProperties"), key=True)


@given(objects(nodes))
def test_structural_in_structural_out(spec: dict[str, Any]) -> None:
    root = {"type": "object", "properties": {"spec": spec}}
    assert structural.violations(root) == []
    made, _ = template(root)
    assert structural.violations({"type": "object", "properties": {"template": made}}) == []
    assert defaults(made) == []


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_what_the_target_accepts_the_template_accepts(data: st.DataObject) -> None:
    """The target fills in its defaults before it judges; the template has none and says the same, or more."""
    node = strategies.defaulted(data.draw, data.draw(strategies.NODE))
    value = data.draw(strategies.VALUE)
    target = {"type": "object", "properties": {"x": node}}
    made, cautions = template({"type": "object", "properties": {"spec": target}})
    theirs = list(validation.problems(target, strategies.filled(target, {"x": value})))
    ours = list(validation.problems(made["properties"]["spec"], {"x": value}))
    assert cautions == []
    assert bool(ours) is bool(theirs)
