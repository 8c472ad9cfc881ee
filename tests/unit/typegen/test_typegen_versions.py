"""A template for several versions: the fields of all, each template checked as the version that it names."""

from typing import Any

import pytest
from hypothesis import given, settings

from tests.unit.typegen import strategies
from typegen import definitions, federate, structural, validation, versions
from typegen.model import ApiResource, Options, Template

TARGET = ApiResource("x.example.com", "v1", "Shop", "shops", "shop", namespaced=True)
TEXT = {"type": "string"}
EITHER: dict[str, Any] = {"x-kubernetes-int-or-string": True}
SPELT_OUT: dict[str, Any] = {**EITHER, "anyOf": [{"type": "integer"}, {"type": "string"}]}


def template(spec: dict[str, Any], rules: list[dict[str, Any]] | None = None, **root: Any) -> Template:
    known = {"apiVersion": TEXT, "kind": TEXT, "spec": spec}
    schema: dict[str, Any] = {"type": "object", "properties": known, **root}
    if rules:
        schema["x-kubernetes-validations"] = rules
    return Template(schema, (), ())


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def merged(**templates: Template) -> Template:
    return versions.merge(TARGET, templates)


def accepts(made: Template, version: str, spec: Any) -> bool:
    named = {"apiVersion": f"x.example.com/{version}"} if version else {}
    return not any(validation.problems(made.schema, {**named, "spec": spec}))


def test_equal_versions_are_one() -> None:
    one = template(obj(a=TEXT))
    assert merged(v1=one, v2=template(obj(a=TEXT))) is one


@pytest.mark.parametrize(
    ("v1", "v2", "spec", "fits"),
    [
        pytest.param(obj(a=TEXT), obj(b=TEXT), {"a": "x"}, "v1", id="field-of-one"),
        pytest.param(obj(a=TEXT), obj(b=TEXT), {"b": "x"}, "v2", id="field-of-the-other"),
        pytest.param(obj(a=TEXT), obj(a=TEXT, b=TEXT), {"a": "x"}, "v1 v2", id="field-of-both"),
        pytest.param({**obj(a=TEXT), "required": ["a"]}, obj(a=TEXT), {}, "v2", id="required"),
        pytest.param(obj(a={**TEXT, "enum": ["x"]}), obj(a={**TEXT, "enum": ["y"]}), {"a": "y"}, "v2", id="enum"),
        pytest.param(obj(a={**TEXT, "enum": ["x"]}), obj(a=TEXT), {"a": "z"}, "v2", id="enum-and-none"),
        pytest.param(obj(a={**TEXT, "maxLength": 1}), obj(a=TEXT), {"a": "long"}, "v2", id="bound-and-none"),
        pytest.param(
            obj(a={"type": "integer", "minimum": 5}),
            obj(a={"type": "integer", "minimum": 1}),
            {"a": 2},
            "v2",
            id="bounds",
        ),
        pytest.param(obj(a={"type": "integer"}), obj(a={"type": "number"}), {"a": 1.5}, "v2", id="integer-and-number"),
        pytest.param(obj(a={"type": "integer"}), obj(a=TEXT), {"a": "x"}, "v1 v2", id="integer-and-text-are-either"),
        pytest.param(obj(a=EITHER), obj(a=SPELT_OUT), {"a": "x"}, "v1 v2", id="int-or-string-spelt-out"),
        pytest.param(
            obj(a={**SPELT_OUT, "pattern": "^x"}),
            obj(a={**EITHER, "allOf": [{"anyOf": SPELT_OUT["anyOf"]}, {"pattern": "^y"}]}),
            {"a": "y"},
            "v2",
            id="int-or-string-spelt-out-in-two-ways",
        ),
        pytest.param(obj(a=obj(b=TEXT)), obj(a=TEXT), {"a": [1]}, "v1 v2", id="other-types-are-free"),
        pytest.param(
            obj(a={"type": "array", "items": obj(b=TEXT)}),
            obj(a={"type": "array", "items": obj(c=TEXT)}),
            {"a": [{"c": "x"}]},
            "v2",
            id="in-a-list",
        ),
        pytest.param(
            {**obj(a=TEXT, b=TEXT), "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
            obj(a=TEXT, b=TEXT),
            {},
            "v2",
            id="one-of",
        ),
        pytest.param(
            obj(a={"type": "object", "additionalProperties": TEXT}),
            obj(a=obj(b=TEXT)),
            {"a": 5},
            "v1 v2",
            id="map-and-object",
        ),
        pytest.param(obj(a={**TEXT, "nullable": True}), obj(a=TEXT), {"a": None}, "v1 v2", id="nullable"),
        pytest.param(
            {**obj(), "x-kubernetes-preserve-unknown-fields": True}, obj(a=TEXT), {"z": 1}, "v1 v2", id="free"
        ),
    ],
)
def test_a_template_is_checked_as_the_version_that_it_names(v1: Any, v2: Any, spec: Any, fits: str) -> None:
    made = merged(v1=template(v1), v2=template(v2))
    assert structural.violations(made.schema) == []
    assert " ".join(version for version in ("v1", "v2") if accepts(made, version, spec)) == fits
    assert accepts(made, "", spec) is ("v1" in fits), "the preferred one when it names none"


@settings(max_examples=300, deadline=None)
@given(strategies.NODE, strategies.NODE, strategies.VALUE)
def test_what_a_version_accepts_the_template_accepts(one: Any, two: Any, value: Any) -> None:
    """And it refuses what the version refuses, unless a caution says that a place is not checked."""
    made = merged(v1=template(obj(x=one)), v2=template(obj(x=two)))
    assert structural.violations(made.schema) == []
    for version, own in (("v1", one), ("v2", two)):
        valid = not any(validation.problems(obj(x=own), {"x": value}))
        if valid or not made.cautions:
            assert accepts(made, version, {"x": value}) is valid


FREE = {**obj(), "x-kubernetes-preserve-unknown-fields": True}
KEYED = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
STRICT = {
    **obj(
        a={**TEXT, "enum": ["x"]},
        l={"type": "array", **KEYED, "items": {**obj(k=TEXT, n=TEXT), "required": ["k", "n"]}},
    ),
    "required": ["a"],
}


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        pytest.param({"a": "x"}, "v1 v2", id="right-for-both"),
        pytest.param({"a": "y"}, "v2", id="value"),
        pytest.param({}, "v2", id="required"),
        pytest.param({"a": "y", "z": {"deep": 1}}, "v2", id="unknown"),
        pytest.param({"a": "x", "l": [{"k": "1", "z": 1}]}, "v2", id="unknown-in-a-list"),
        pytest.param({"a": "x", "l": [{"k": "1", "n": "1"}]}, "v1 v2", id="list"),
        pytest.param({"a": ["x"]}, "", id="type"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_version_that_keeps_unknown_fields_is_free_at_every_depth(spec: Any, fits: str, whole: bool) -> None:
    two = Template({**FREE, "properties": {"apiVersion": TEXT, "kind": TEXT}}, (), ()) if whole else template(FREE)
    made = merged(v1=template(STRICT), v2=two)
    assert structural.violations(made.schema) == []
    assert " ".join(version for version in ("v1", "v2") if accepts(made, version, spec)) == fits
    path = "" if whole else "spec"
    assert [str(each) for each in made.cautions] == [
        f"{path}: unknown fields are kept for every version, as v2 keeps them"
    ]


@pytest.mark.parametrize(
    ("v1", "v2", "wanted"),
    [
        pytest.param(
            obj(a={"type": "integer"}), obj(a=EITHER),
            "spec.a: taken as integer and as string, it is integer in v1, integer or string in v2", id="either",
        ),
        pytest.param(
            obj(a={"type": "array", "x-kubernetes-list-type": "set", "items": TEXT}),
            obj(a={"type": "array", "items": TEXT}),
            "spec.a: duplicates are not refused, the list is set in v1, atomic in v2", id="set",
        ),
        pytest.param(
            obj(a={"type": "object", "additionalProperties": {**TEXT, "maxLength": 1}}),
            obj(a={"type": "object", "additionalProperties": TEXT}),
            "spec.a{}: checked as the loosest of v1, v2", id="map-value",
        ),
    ],
)  # fmt: skip
def test_what_cannot_depend_on_the_version_is_said(v1: Any, v2: Any, wanted: str) -> None:
    assert [str(each) for each in merged(v1=template(v1), v2=template(v2)).cautions] == [wanted]


def test_a_version_without_a_schema_of_an_old_crd_takes_anything() -> None:
    schema = {"openAPIV3Schema": {"properties": {"spec": {**obj(a=TEXT), "required": ["a"]}}}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1beta1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "shops.x.example.com"},
        "spec": {
            "group": "x.example.com",
            "names": {"kind": "Shop", "plural": "shops"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "schema": schema}, {"name": "v1alpha1", "served": True}],
        },
    }
    made = federate.from_crd(crd).crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    node = made["properties"]["template"]
    assert not list(validation.problems(node, {"apiVersion": "x.example.com/v1alpha1", "spec": {"b": 1}}))
    assert list(validation.problems(node, {"spec": {"b": 1}}))


RULE = {"rule": "self.a != 'x'", "message": "no x"}


class TestRules:
    def test_a_rule_of_all_versions_stays(self) -> None:
        both = {**obj(a=TEXT), "x-kubernetes-validations": [RULE]}
        made = merged(v1=template(both), v2=template({**both, "properties": {"a": TEXT, "b": TEXT}}))
        assert made.schema["properties"]["spec"]["x-kubernetes-validations"] == [RULE]
        assert made.cautions == ()

    def test_a_rule_of_one_version_is_said_at_the_root(self) -> None:
        made = merged(v1=template({**obj(a=TEXT), "x-kubernetes-validations": [RULE]}), v2=template(obj(a=TEXT)))
        assert made.schema["x-kubernetes-validations"] == [
            {
                "rule": "!(!(has(self.apiVersion) && self.apiVersion in ['x.example.com/v2']) && has(self.spec)) || "
                "(self.spec.a != 'x')",
                "message": "no x",
                "fieldPath": ".spec",
            }
        ]

    def test_of_the_other_version_too_and_with_the_old_value(self) -> None:
        rule = {"rule": "self == oldSelf", "fieldPath": ".a"}
        made = merged(v1=template(obj(a=TEXT)), v2=template(obj(a={**TEXT, "x-kubernetes-validations": [rule]})))
        assert made.schema["x-kubernetes-validations"] == [
            {
                "rule": "!(has(self.apiVersion) && self.apiVersion == 'x.example.com/v2' && has(self.spec) && "
                "has(self.spec.a) && has(oldSelf.spec) && has(oldSelf.spec.a)) || (self.spec.a == oldSelf.spec.a)",
                "fieldPath": ".spec.a.a",
            }
        ]

    @pytest.mark.parametrize(
        ("v1", "v2", "reason"),
        [
            pytest.param(
                obj(l={"type": "array", "items": {**obj(a=TEXT), "x-kubernetes-validations": [RULE]}}),
                obj(l={"type": "array", "items": obj(a=TEXT)}),
                "inside a list or a map",
                id="list",
            ),
            pytest.param(
                {**obj(a=TEXT), "x-kubernetes-validations": [RULE]}, obj(a=obj(b=TEXT)), "differs between", id="freed"
            ),
            pytest.param(
                {**obj(a={"type": "integer"}), "x-kubernetes-validations": [{"rule": "self.a + 1 > 2"}]},
                {**obj(a={"type": "number"}), "x-kubernetes-validations": [{"rule": "self.a + 1 > 2"}]},
                "differs between",
                id="other-number",
            ),
            pytest.param(
                {**obj(a={**TEXT, "format": "date-time"}), "x-kubernetes-validations": [{"rule": "self.a > self.b"}]},
                obj(a=TEXT),
                "differs between",
                id="other-format",
            ),
            pytest.param(
                {**obj(a={**TEXT, "maxLength": 9}), "x-kubernetes-validations": [RULE]},
                {**obj(a=TEXT), "x-kubernetes-validations": [RULE]},
                "differs between",
                id="unbounded",
            ),
            pytest.param(
                obj(a={**TEXT, "x-kubernetes-validations": [{"rule": "self != ''"}]}),
                obj(a=obj()),
                "not checked",
                id="own",
            ),
            pytest.param(
                obj(a={**TEXT, "x-kubernetes-validations": [{"rule": "self != oldSelf", "optionalOldSelf": True}]}),
                obj(a=TEXT),
                "may be absent",
                id="optional-old-value",
            ),
        ],
    )
    def test_what_cannot_be_said_is_left_out_with_a_word(self, v1: Any, v2: Any, reason: str) -> None:
        made = merged(v1=template(v1), v2=template(v2))
        assert "x-kubernetes-validations" not in str(made.schema)
        assert any(reason in caution.message for caution in made.cautions)

    def test_rules_for_the_federated_root_are_told_apart_too(self) -> None:
        one, two = {"rule": "self.metadata.name != 'a'"}, {"rule": "self.metadata.name != 'b'"}
        plain = template(obj(a=TEXT))
        v1 = Template(plain.schema, (one, two), ())
        v2 = Template(plain.schema, (one,), ())
        assert merged(v1=v1, v2=v2).root_rules == (
            one,
            {
                "rule": "!(!(has(self.spec.template.apiVersion) && self.spec.template.apiVersion in "
                "['x.example.com/v2'])) || (self.metadata.name != 'b')"
            },
        )


def crd(*names: str) -> dict[str, Any]:
    listed = [
        {
            "name": name,
            "served": True,
            "storage": name == names[0],
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": obj(**{f"in{name}": TEXT})}}},
        }
        for name in names
    ]
    return {
        "apiVersion": definitions.API_VERSION,
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "shops.x.example.com"},
        "spec": {
            "group": "x.example.com",
            "scope": "Namespaced",
            "names": {"kind": "Shop", "plural": "shops"},
            "versions": listed,
        },
    }


def test_the_whole_way_and_one_version_alone() -> None:
    def fields(options: Options) -> list[str]:
        made = federate.from_crd(crd("v1", "v1beta1"), options).crd
        spec = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        return sorted(spec["properties"]["template"]["properties"]["spec"]["properties"])

    assert fields(Options()) == ["inv1", "inv1beta1"]
    assert fields(Options(version="v1")) == ["inv1"]
