"""Whether a member takes what the hub lets through: misfits one by one, and CRDs as API servers publish them."""

import copy
from typing import Any

import pytest
from hypothesis import given

from tests.unit.typegen import strategies
from typegen import definitions, fitting, published, upgrades, validation
from typegen.fitting import Kind, Misfit, Served, Wanted
from typegen.model import ApiResource, Options, Schema, Target, Unusable

GAUGE = ApiResource("example.com", "v1", "Gauge", "gauges", "gauge", namespaced=True)
OTHER = ApiResource("example.com", "v1", "Meter", "gauges", "gauge", namespaced=False)
ANY = {"x-kubernetes-preserve-unknown-fields": True}
TEXT = {"type": "string"}


def obj(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties}


def target(spec: Schema, **root: Any) -> Schema:
    return {**obj(spec=spec, status=obj(ready={"type": "boolean"})), **root}


def misfits(wanted: Schema, served: Schema) -> list[tuple[str, str, str]]:
    """(kind, path below spec.template.spec, message) of what the member's spec does not take."""
    found = fitting.compare(Wanted(GAUGE, {"v1": target(wanted)}), Served(GAUGE, ("v1",), {"v1": target(served)}))
    return [(each.kind.value, each.path.removeprefix("spec.template.spec"), each.message) for each in found]


@pytest.mark.parametrize(
    ("wanted", "served", "found"),
    [
        pytest.param(obj(a=TEXT), obj(), ("FieldUnknown", ".a", "the field is not known there"), id="field"),
        pytest.param(
            obj(a={"type": "array", "items": obj(b=obj(c=TEXT))}),
            obj(a={"type": "array", "items": obj()}),
            ("FieldUnknown", ".a[].b", "the field is not known there"),
            id="field-in-a-list-without-what-is-below-it",
        ),
        pytest.param(
            obj(m={"type": "object", "additionalProperties": obj(b=TEXT)}),
            obj(m={"type": "object", "additionalProperties": obj()}),
            ("FieldUnknown", ".m{}.b", "the field is not known there"),
            id="field-in-a-map",
        ),
        pytest.param(
            obj(a={"type": "integer"}),
            obj(a=TEXT),
            ("Stricter", ".a", "the type is string there, integer at the hub"),
            id="type",
        ),
        pytest.param(
            obj(a={"type": "number"}),
            obj(a={"type": "integer"}),
            ("Stricter", ".a", "the type is integer there, number at the hub"),
            id="number",
        ),
        pytest.param(
            obj(a=TEXT), {**obj(a=TEXT), "required": ["a"]}, ("Stricter", "", "a is required there"), id="req"
        ),
        pytest.param(
            {**obj(a={**TEXT, "default": ""}), "required": ["a"]},
            {**obj(a=TEXT), "required": ["a"]},
            ("Stricter", "", "a is required there"),
            id="required-without-the-default-that-fills-it",
        ),
        pytest.param(
            obj(), {**obj(b=TEXT), "required": ["b"]}, ("Stricter", "", "b is required there"), id="required-and-new"
        ),
        pytest.param(
            obj(a={**TEXT, "enum": ["x", "y"]}),
            obj(a={**TEXT, "enum": ["x", "z"]}),
            ("Stricter", ".a", "y not allowed there"),
            id="enum",
        ),
        pytest.param(
            obj(a=TEXT),
            obj(a={**TEXT, "enum": ["x"]}),
            ("Stricter", ".a", "only x are allowed there"),
            id="enum-there-only",
        ),
        pytest.param(
            obj(a={**TEXT, "maxLength": 9}),
            obj(a={**TEXT, "maxLength": 5}),
            ("Stricter", ".a", "maxLength is 5 there, 9 at the hub"),
            id="bound",
        ),
        pytest.param(
            obj(a={"type": "integer"}),
            obj(a={"type": "integer", "minimum": 1}),
            ("Stricter", ".a", "minimum is 1 there, none at the hub"),
            id="bound-there-only",
        ),
        pytest.param(
            obj(a=TEXT),
            obj(a={**TEXT, "pattern": "^x"}),
            ("Stricter", ".a", "pattern is ^x there, none at the hub"),
            id="p",
        ),
        pytest.param(
            obj(a={**TEXT, "nullable": True}), obj(a=TEXT), ("Stricter", ".a", "null is not allowed there"), id="null"
        ),
        pytest.param(
            obj(a=TEXT),
            obj(a={**TEXT, "x-kubernetes-validations": [{"rule": "self != 'x'"}]}),
            ("Stricter", ".a", "a CEL rule that the hub has not: self != 'x'"),
            id="rule",
        ),
        pytest.param(
            obj(a=obj(b=TEXT)),
            obj(a={**obj(b=TEXT), "oneOf": [{"required": ["b"]}]}),
            ("Stricter", ".a", 'oneOf is checked only there: [{"required": ["b"]}]'),
            id="combinator",
        ),
        pytest.param(
            obj(a={"type": "array", "items": TEXT}),
            obj(a={"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"}),
            ("Stricter", ".a", "the list is set there, atomic at the hub"),
            id="list",
        ),
        pytest.param(
            obj(a={"type": "object", **ANY}),
            obj(a=obj()),
            ("Stricter", ".a", "fields that the schema does not name are not allowed there"),
            id="free",
        ),
        pytest.param(
            obj(a={"type": "object", **ANY}),
            obj(a={**obj(b=TEXT), **ANY}),
            ("Stricter", ".a.b", "the field is checked there, free at the hub"),
            id="free-but-checked",
        ),
        pytest.param(
            obj(a={"type": "object", "additionalProperties": TEXT}),
            obj(a=obj(b=TEXT)),
            ("Stricter", ".a", "any key is allowed at the hub, only those of named fields there"),
            id="map-and-fields",
        ),
        pytest.param(
            obj(a={"type": "object", **ANY}),
            obj(a={"type": "object", **ANY, "x-kubernetes-embedded-resource": True}),
            ("Stricter", ".a", "it is an API object there, with apiVersion and kind"),
            id="api-object",
        ),
    ],
)
def test_what_a_member_refuses(wanted: Schema, served: Schema, found: tuple[str, str, str]) -> None:
    assert misfits(wanted, served) == [found]


@pytest.mark.parametrize(
    ("wanted", "served"),
    [
        pytest.param(obj(), obj(a=TEXT), id="field"),
        pytest.param(obj(a=TEXT), {"type": "object", **ANY}, id="free"),
        pytest.param(obj(a=TEXT), {"type": "object", "additionalProperties": TEXT}, id="map"),
        pytest.param(obj(a={"type": "integer"}), obj(a={"x-kubernetes-int-or-string": True}), id="int-or-string"),
        pytest.param({**obj(a=TEXT), "required": ["a"]}, obj(a=TEXT), id="optional"),
        pytest.param({**obj(a=TEXT), "required": ["a"]}, {**obj(a={**TEXT, "default": ""}), "required": ["a"]}, id="d"),
        pytest.param(obj(a={**TEXT, "enum": ["x"]}), obj(a={**TEXT, "enum": ["x", "y"]}), id="enum"),
        pytest.param(obj(a={**TEXT, "maxLength": 5}), obj(a=TEXT), id="bound"),
        pytest.param(obj(a={**TEXT, "default": "x"}), obj(a={**TEXT, "default": "y"}), id="default"),
    ],
)
def test_a_member_may_be_wider(wanted: Schema, served: Schema) -> None:
    assert misfits(wanted, served) == []


def test_identity_and_status_are_not_compared() -> None:
    bare: Schema = {"type": "object", "required": ["metadata", "status"]}
    assert (
        fitting.compare(Wanted(GAUGE, {"v1": obj(status=TEXT, kind=TEXT)}), Served(GAUGE, ("v1",), {"v1": bare})) == []
    )


@pytest.mark.parametrize(
    ("equivalent", "found"),
    [
        pytest.param((), [Kind.VERSION_UNAVAILABLE, Kind.VERSION_UNAVAILABLE], id="each-its-own"),
        pytest.param(("v2", "v1", "v1beta1"), [Kind.FIELD_UNKNOWN], id="pushed-as-another"),
    ],
)
def test_versions_that_a_member_does_not_serve(equivalent: tuple[str, ...], found: list[Kind]) -> None:
    schemas = {"v1": target(obj(a=TEXT)), "v2": target(obj(a=TEXT, b=TEXT))}
    wanted = Wanted(GAUGE, schemas, equivalent)
    served = Served(GAUGE, ("v1beta1",), {"v1beta1": target(obj(a=TEXT))})
    reported = fitting.compare(wanted, served)
    assert [each.kind for each in reported] == found
    if not equivalent:
        assert [each.versions for each in reported] == [("v1",), ("v2",)]
        assert reported[0].message == (
            "v1 is not served there, which templates without apiVersion need; served: v1beta1"
        )
    else:
        assert reported == [Misfit(Kind.FIELD_UNKNOWN, "spec.template.spec.b", "the field is not known there", ("v2",))]


def test_one_finding_for_all_versions() -> None:
    both = {"v1": target(obj(a=TEXT)), "v2": target(obj(a=TEXT))}
    there = {"v1": target(obj()), "v2": target(obj())}
    (only,) = fitting.compare(Wanted(GAUGE, both), Served(GAUGE, ("v2", "v1"), there))
    assert only.versions == ("v1", "v2")


def test_another_type_of_that_name() -> None:
    wanted = Wanted(GAUGE, {"v1": target(obj())})
    reported = fitting.compare(wanted, Served(OTHER, ("v1",), {"v1": target(obj())}))
    assert [each.message for each in reported] == [
        "gauges.example.com is Meter there, Gauge at the hub",
        "the type is cluster-wide there, namespaced at the hub",
    ]


@pytest.mark.parametrize(
    ("group", "text"),
    [
        pytest.param("example.com", "is its CRD gauges.example.com installed", id="custom"),
        pytest.param("batch", "the type is not served there", id="built-in"),
        pytest.param("resource.k8s.io", "the type is not served there", id="kubernetes"),
    ],
)
def test_no_such_type(group: str, text: str) -> None:
    wanted = Wanted(ApiResource(group, "v1", "Gauge", "gauges", "gauge", namespaced=True), {"v1": obj()})
    (only,) = fitting.compare(wanted, None)
    assert only.kind is Kind.TYPE_UNAVAILABLE
    assert text in only.message


def test_a_target_without_schema_is_free() -> None:
    wanted = Wanted.of(Target(GAUGE, None))
    assert fitting.compare(wanted, Served(GAUGE, ("v1",), {"v1": {"type": "object", **ANY}})) == []
    assert fitting.compare(wanted, Served(GAUGE, ("v1",), {"v1": target(obj())}))


def test_wanted_has_every_served_version() -> None:
    own, other = target(obj(a=TEXT)), target(obj())
    made = Wanted.of(Target(GAUGE, own, others={"v2": other}), ["v1", "v2", "v3"])
    assert made.schemas == {"v1": own, "v2": other, "v3": own}


@given(strategies.NODE, strategies.NODE, strategies.VALUE)
def test_without_misfits_what_the_hub_takes_the_member_takes(wanted: Schema, served: Schema, value: Any) -> None:
    if not misfits(obj(x=wanted), obj(x=served)) and not any(validation.problems(wanted, value)):
        assert not list(validation.problems(served, value))


@given(strategies.NODE, strategies.NODE)
def test_misfits_are_what_an_upgrade_would_break(wanted: Schema, served: Schema) -> None:
    broken = [each for each in upgrades.schemas(target(wanted), target(served)) if each[1] == "stored"]
    assert bool(misfits(wanted, served)) == bool(broken)


# -- published ---------------------------------------------------------------------------------------------------------


def document(definition: Schema, **others: Schema) -> dict[str, Any]:
    identity = {"group": "example.com", "version": "v1", "kind": "Gauge"}
    definition = {**definition, "x-kubernetes-group-version-kind": [identity]}
    return {"openapi": "3.0.0", "components": {"schemas": {"com.example.v1.Gauge": definition, **others}}}


OBJECT_META = {"allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]}
EITHER = [{"type": "integer"}, {"type": "string"}]


@pytest.mark.parametrize(
    ("own", "as_published"),
    [
        pytest.param(
            {"x-kubernetes-int-or-string": True}, {"x-kubernetes-int-or-string": True, "anyOf": EITHER}, id="unfolded"
        ),
        pytest.param(
            {"x-kubernetes-int-or-string": True, "anyOf": [{"pattern": "x"}]},
            {"x-kubernetes-int-or-string": True, "anyOf": [{"pattern": "x"}], "allOf": [{"anyOf": EITHER}]},
            id="unfolded-beside-another",
        ),
        pytest.param(
            {"x-kubernetes-int-or-string": True, "allOf": [{"anyOf": EITHER}, {"pattern": "x"}]},
            {"x-kubernetes-int-or-string": True, "allOf": [{"anyOf": EITHER}, {"pattern": "x"}]},
            id="said-by-the-crd-itself",
        ),
        pytest.param(
            {"type": "object", **ANY, "x-kubernetes-embedded-resource": True},
            {
                **obj(apiVersion=TEXT, kind=TEXT, metadata=OBJECT_META),
                **ANY,
                "x-kubernetes-embedded-resource": True,
                "required": ["kind", "apiVersion"],
            },
            id="embedded",
        ),
        pytest.param({"type": "boolean", "default": False}, {"type": "boolean", "default": False}, id="default"),
    ],
)
def test_a_crd_fits_as_it_is_published(own: Schema, as_published: Schema) -> None:
    root = {**obj(metadata=OBJECT_META, spec=obj(a=as_published)), "required": ["metadata"]}
    before = copy.deepcopy(root)
    found = published.schema(document(root), GAUGE)
    assert found is not None
    assert root == before
    assert fitting.compare(Wanted(GAUGE, {"v1": obj(spec=obj(a=own))}), Served(GAUGE, ("v1",), {"v1": found})) == []


def test_what_refers_to_definitions_was_made_from_no_crd() -> None:
    assert published.schema(document(obj(spec={"$ref": "#/components/schemas/x"}), x=TEXT), GAUGE) is None


@pytest.mark.parametrize(
    ("reported", "text"),
    [
        pytest.param({"openapi": "3.0.0"}, "does not define Gauge in example.com/v1", id="nothing"),
        pytest.param({"components": {"schemas": {"x": 1}}}, "cannot be read", id="no-definition"),
        pytest.param(document(obj(spec={"type": "object", "properties": 7})), "cannot be used", id="no-properties"),
        pytest.param(document(obj(spec={"type": "integer", "maximum": "9"})), "cannot be used", id="no-number"),
    ],
)
def test_a_lying_document_is_an_error(reported: dict[str, Any], text: str) -> None:
    with pytest.raises(Unusable, match=text):
        published.schema(reported, GAUGE)


def test_equivalent_versions_come_from_the_crd() -> None:
    versions = [
        {"name": name, "served": served, "storage": name == "v1", "schema": {"openAPIV3Schema": target(obj())}}
        for name, served in (("v1", True), ("v1beta1", False))
    ]
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gauges.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Gauge", "plural": "gauges"},
            "scope": "Namespaced",
            "versions": versions,
        },
    }
    wanted = Wanted.of(definitions.target(crd, Options()), ["v1"])
    assert wanted.counterpart("v1", ["v1beta1"]) == "v1beta1"
    assert wanted.counterpart("v1", ["v2"]) is None
