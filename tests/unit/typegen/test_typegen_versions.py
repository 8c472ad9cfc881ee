"""A template for several versions: the fields of all, each template checked as the version that it names."""

import json
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
    assert structural.violations(obj(template=made.schema)) == []
    assert " ".join(version for version in ("v1", "v2") if accepts(made, version, spec)) == fits
    assert accepts(made, "", spec) is ("v1" in fits), "the preferred one when it names none"


@settings(max_examples=300, deadline=None)
@given(strategies.NODE, strategies.NODE, strategies.VALUE)
def test_what_a_version_accepts_the_template_accepts(one: Any, two: Any, value: Any) -> None:
    """And it refuses what the version refuses, unless a caution says that a place is not checked."""
    made = merged(v1=template(obj(x=one)), v2=template(obj(x=two)))
    assert structural.violations(obj(template=made.schema)) == []
    for version, own in (("v1", one), ("v2", two)):
        valid = not any(validation.problems(obj(x=own), {"x": value}))
        if valid or not made.cautions:
            assert accepts(made, version, {"x": value}) is valid


FREE = {**obj(), "x-kubernetes-preserve-unknown-fields": True}
KEYED = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
STRICT = {
    **obj(
        a={**TEXT, "enum": ["x", "y"], "maxLength": 1},
        l={"type": "array", **KEYED, "items": {**obj(k=TEXT, n=TEXT), "required": ["k", "n"]}},
    ),
    "required": ["a"],
}


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        pytest.param({"a": "x"}, "v1 v2", id="right-for-both"),
        pytest.param({}, "v2", id="required"),
        pytest.param({"a": "long", "z": {"deep": 1}}, "v2", id="length-and-unknown"),
        pytest.param({"a": "x", "l": [{"k": "1", "z": 1}]}, "v2", id="required-in-a-list"),
        pytest.param({"a": "x", "l": [{"k": "1", "n": "1"}]}, "v1 v2", id="list"),
        pytest.param({"a": "x", "l": "x"}, "v1 v2", id="the-type-cannot-depend-on-the-version"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_version_that_keeps_unknown_fields_takes_any_value_of_what_others_know(
    spec: Any, fits: str, whole: bool
) -> None:
    two = Template({**FREE, "properties": {"apiVersion": TEXT, "kind": TEXT}}, (), ()) if whole else template(FREE)
    made = merged(v1=template(STRICT), v2=two)
    assert structural.violations(obj(template=made.schema)) == []
    # Deeper below a field without a type a null may stand where the target drops it, so an enum is not checked there.
    assert accepts(made, "v1", {"a": "z"}) is whole
    assert " ".join(version for version in ("v1", "v2") if accepts(made, version, spec)) == fits
    path = "" if whole else "spec"
    assert f"{path}: unknown fields are kept for every version, as v2 keeps them" in map(str, made.cautions)
    free = ["spec: not checked, it is object in v1, anything in v2"]
    if not whole:
        free = [f"spec.{name}: not checked, it is {kind} in v1, anything in v2" for name, kind in KINDS]
    assert set(free) < set(map(str, made.cautions))


KINDS = (("a", "string"), ("l", "array"))


def test_checks_of_a_field_called_metadata_cannot_depend_on_the_version() -> None:
    """An API server takes no CRD that names it in a combinator."""
    pod = obj(metadata=obj(labels={"type": "object", "maxProperties": 1}), n={**TEXT, "maxLength": 1})
    made = merged(v1=template(pod), v2=template(obj(metadata=obj(labels={"type": "object"}), n=TEXT)))
    assert "metadata" not in json.dumps(made.schema["allOf"])
    assert [str(each) for each in made.cautions] == ["spec.metadata: not checked as v1 does, versions differ in it"]
    assert structural.violations(obj(template=made.schema)) == []


@pytest.mark.parametrize(
    ("v1", "v2", "wanted"),
    [
        pytest.param(
            obj(a={"type": "integer"}), obj(a=EITHER),
            "spec.a: accepted as integer and as string, it is integer in v1, integer or string in v2", id="either",
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


def test_of_what_is_not_checked_null_is_null_where_a_version_has_it() -> None:
    """An API server drops a null that the schema does not allow: a map would lose its keys."""
    values = ({**obj(a=TEXT), "nullable": True}, EITHER)
    v1, v2 = ({"type": "object", "additionalProperties": each} for each in values)
    spec = merged(v1=template(v1), v2=template(v2)).schema["properties"]["spec"]
    assert spec["additionalProperties"] == {"nullable": True, "x-kubernetes-preserve-unknown-fields": True}


def test_a_map_of_one_version_may_hold_whatever_another_takes() -> None:
    typed = {"type": "object", "additionalProperties": {"type": "array", "items": TEXT}}
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    made = merged(v1=template(typed), v2=template(free))
    assert made.schema["properties"]["spec"] == free
    assert "any key may have any value in v2" in str(made.cautions)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"key": {**TEXT, "default": "a"}}, {"key": {**TEXT, "default": "b"}}),
        ({"key": {**TEXT, "default": "a"}, "x": TEXT}, {"key": {**TEXT, "default": "a"}, "required": ["key"]}),
        ({"key": TEXT, "required": ["key"]}, {"key": {"type": "boolean"}, "required": ["key"]}),
        ({"key": TEXT, "required": ["key"]}, {"key": TEXT, "required": ["key"], "nullable": True}),
    ],
    ids=["defaults", "same-defaults", "types", "nullable"],
)
def test_a_list_has_keys_where_its_items_can_have_them(one: dict[str, Any], other: dict[str, Any]) -> None:
    def listed(node: dict[str, Any]) -> dict[str, Any]:
        own = {name: value for name, value in node.items() if name in ("required", "nullable")}
        items = {**obj(**{name: value for name, value in node.items() if name not in own}), **own}
        keys = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"]}
        return obj(l={"type": "array", "items": items, **keys})

    made = merged(v1=template(listed(one)), v2=template(listed(other)))
    assert list(structural.violations(obj(template=made.schema))) == []
    keyed = made.schema["properties"]["spec"]["properties"]["l"].get("x-kubernetes-list-type")
    assert keyed == ("map" if "x" in one else None)


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

    def test_a_field_without_a_type_is_unknown_to_cel_even_whether_it_is_there(self) -> None:
        rule = {"rule": "!has(self.a) || has(self.b)"}
        made = merged(
            v1=template({**obj(a=TEXT, b=TEXT), "x-kubernetes-validations": [rule]}),
            v2=template({**obj(a=obj(), b=TEXT), "x-kubernetes-validations": [rule]}),
        )
        assert "x-kubernetes-validations" not in str(made.schema)

    @pytest.mark.parametrize(
        ("name", "spelled", "path"),
        [("a.b", "a__dot__b", None), ("x-y", "x__dash__y", None), ("in", "__in__", ".spec.in.c")],
    )
    def test_names_are_spelled_as_cel_does_and_are_no_paths(self, name: str, spelled: str, path: str | None) -> None:
        rule = {"rule": "self.c != 'x'", "fieldPath": ".c"}
        made = merged(
            v1=template(obj(**{name: {**obj(c=TEXT), "x-kubernetes-validations": [rule]}})),
            v2=template(obj(**{name: obj(c=TEXT)})),
        )
        (moved,) = made.schema["x-kubernetes-validations"]
        assert moved["rule"].endswith(f"has(self.spec) && has(self.spec.{spelled})) || (self.spec.{spelled}.c != 'x')")
        assert moved.get("fieldPath") == path

    def test_rules_for_the_federated_root_that_read_what_differs_are_left_out(self) -> None:
        rule = {"rule": "self.metadata.name != self.spec.template.spec.a"}
        v1 = Template(template(obj(a=TEXT)).schema, (rule,), ())
        for rules in ((rule,), ()):
            made = merged(v1=v1, v2=Template(template(obj(a=obj())).schema, rules, ()))
            assert made.root_rules == ()
            assert any("CEL rule of v1 left out" in caution.message for caution in made.cautions)

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


@pytest.mark.parametrize(
    ("checks", "spec"),
    [
        pytest.param({"not": {"required": ["q"]}}, {"q": None}, id="not"),
        pytest.param({"maxProperties": 1}, {"q": None, "p": "x"}, id="count"),
        pytest.param({"oneOf": [{"maxProperties": 1}, {"required": ["r"]}]}, {"q": None, "p": "x"}, id="counted"),
        pytest.param(
            {"anyOf": [{"properties": {"o": {"not": {"required": ["q"]}}}}]}, {"o": {"q": None}}, id="further-below"
        ),
    ],
)
def test_a_null_that_only_another_version_keeps_decides_nothing(checks: dict[str, Any], spec: Any) -> None:
    """The API server drops it from an object of v1, which is valid then."""

    def form(q: Any) -> Template:
        return template({**obj(p=TEXT, q=q, r=TEXT, o=obj(q=q)), **checks})

    made = merged(v1=form(TEXT), v2=form({**TEXT, "nullable": True}))
    assert accepts(made, "v1", spec)
    assert "versions differ in where null is kept" in str(made.cautions)


def test_a_default_that_replaces_a_null_makes_null_allowed() -> None:
    def form(**more: Any) -> Template:
        return template({"type": "array", "items": {"type": "integer", "enum": [1, 2], **more}})

    made = merged(v1=form(default=2), v2=form())
    assert made.schema["properties"]["spec"]["items"]["nullable"] is True
    assert accepts(made, "v1", [1, None])
