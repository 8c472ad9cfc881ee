"""CEL rules on their way into a template: what is rewritten, what is guarded, what is left out."""

from typing import Any

import pytest

from typegen import rules
from typegen.rules import ITEM, VALUE, Default

TEXT = Default("free", "string")
NUMBER = Default(1, "integer")
LIST = Default([], "array")
STRIPPED = {
    ("tier",): TEXT,
    ("replicas",): NUMBER,
    ("ratio",): Default(1, "number"),
    ("on",): Default(False, "boolean"),
    ("since",): Default("2026-01-01T00:00:00Z", "string", "date-time"),
    ("tags",): LIST,
    ("limits",): Default({}, "object"),
    ("limits", "max-count"): Default(10, "integer"),
    ("shape",): Default({"size": 5}, "object"),
    ("shape", "size"): NUMBER,
    ("quote",): Default('a "b"\\', "string"),
    ("steps", ITEM, "kind"): Default("Allow", "string"),
    ("parts", VALUE, "weight"): NUMBER,
}
NODE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "tier": {"type": "string", "default": "free"},
        "steps": {
            "type": "array",
            "items": {"type": "object", "properties": {"kind": {"type": "string", "default": "Allow"}}},
        },
        "title": {"type": "string"},
    },
}


def carry(text: str, *, root: bool = False, node: dict[str, Any] = NODE) -> tuple[list[str], list[str]]:
    kept, cautions = rules.carry({**node, "x-kubernetes-validations": [{"rule": text}]}, STRIPPED, "spec", root=root)
    return [rule["rule"] for rule in kept], [caution.message for caution in cautions]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("self.title != ''", "self.title != ''", id="no-default"),
        pytest.param("self.tier != 'x'", """(has(self.tier) ? self.tier : "free") != 'x'""", id="text"),
        pytest.param("self.replicas>=2", "(has(self.replicas) ? self.replicas : 1)>=2", id="integer"),
        pytest.param("self.ratio < 2.0", "(has(self.ratio) ? self.ratio : 1.0) < 2.0", id="number-is-a-double"),
        pytest.param("!self.on", "!(has(self.on) ? self.on : false)", id="boolean"),
        pytest.param(
            "self.quote == ''", r"""(has(self.quote) ? self.quote : "a \"b\"\\") == ''""", id="quotes-and-backslashes"
        ),
        pytest.param("has(self.tier) && true", "true && true", id="has-is-true"),
        pytest.param("!has( self.tier )", "!true", id="has-with-spaces"),
        pytest.param(
            "self.tier == oldSelf.tier",
            '(has(self.tier) ? self.tier : "free") == (has(oldSelf.tier) ? oldSelf.tier : "free")',
            id="old-value",
        ),
        pytest.param(
            "self.tier.startsWith('f')", """(has(self.tier) ? self.tier : "free").startsWith('f')""", id="method"
        ),
        pytest.param(
            "self.limits.max__dash__count > 0",
            "(has(self.limits) && has(self.limits.max__dash__count) ? self.limits.max__dash__count : 10) > 0",
            id="escaped-and-below-a-default",
        ),
        pytest.param("has(self.limits.max__dash__count)", "true", id="has-below-a-default"),
        pytest.param(
            "self.steps.all(s, s.kind != '')",
            """self.steps.all(s, (has(s.kind) ? s.kind : "Allow") != '')""",
            id="variable-of-a-macro",
        ),
        pytest.param("self.steps.all(s, has(s.kind))", "self.steps.all(s, true)", id="has-of-a-variable"),
        pytest.param(
            "self.parts.a.weight > 0", "(has(self.parts.a.weight) ? self.parts.a.weight : 1) > 0", id="map-value"
        ),
        pytest.param("self.note == 'self.tier'", "self.note == 'self.tier'", id="name-in-a-literal"),
        pytest.param('self.note == "it\'s self.tier"', 'self.note == "it\'s self.tier"', id="quote-in-a-literal"),
        pytest.param("self.a.tier == 'x'", "self.a.tier == 'x'", id="same-name-elsewhere"),
    ],
)
def test_a_plain_default_is_written_into_the_rule(text: str, wanted: str) -> None:
    assert carry(text) == ([wanted], [])


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        pytest.param("self.tags.size() > 0", "has(self.tags)", id="list"),
        pytest.param("self.since < self.until", "has(self.since)", id="timestamp"),
        pytest.param("self.shape.size > 0", "has(self.shape) && has(self.shape.size)", id="two-defaults-disagree"),
        pytest.param("self.limits.other > 0", "has(self.limits)", id="field-below-a-default"),
        pytest.param("self.tags == oldSelf.tags", "has(self.tags) && has(oldSelf.tags)", id="old-value"),
    ],
)
def test_other_defaults_make_the_rule_wait_for_the_field(text: str, condition: str) -> None:
    kept, cautions = carry(text)
    assert kept == [f"!({condition}) || ({text})"]
    assert len(cautions) == 1
    assert f"only where {condition}" in cautions[0]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        pytest.param("self.steps.all(s, s.tags.size() > 0)", "tags", id="list-of-a-variable"),
        pytest.param("self.steps[0].kind == 'Allow'", "kind", id="index"),
        pytest.param("self.?tier.orValue('') != ''", "tier", id="optional"),
        pytest.param("f(self).tier == 'x'", "tier", id="function"),
    ],
)
def test_what_cannot_be_rewritten_is_left_out(text: str, field: str) -> None:
    kept, cautions = carry(text)
    assert kept == []
    assert cautions == [f"CEL rule left out, it reads {field}, whose default is not kept: {text}"]


def test_has_of_a_variable_is_unclear_when_another_field_of_the_name_may_be_absent() -> None:
    other = {**NODE, "properties": {**NODE["properties"], "kind": {"type": "string"}}}
    assert carry("self.steps.all(s, has(s.kind))", node=other)[0] == []
    assert len(carry("self.steps.all(s, s.kind == 'x')", node=other)[0]) == 1


@pytest.mark.parametrize("field", ["metadata.name", "status.ready", "kind", "apiVersion"])
def test_rules_about_the_object_itself_stay_with_the_target(field: str) -> None:
    kept, cautions = carry(f"self.{field} != ''", root=True)
    assert kept == []
    assert f"it reads {field.partition('.')[0]}, which a template lacks" in cautions[0]
    assert carry(f"self.{field} != ''")[0] == [f"self.{field} != ''"], "below the root they are ordinary fields"


def test_a_message_expression_is_rewritten_too() -> None:
    rule = {"rule": "self.title != ''", "messageExpression": "'tier ' + self.tier", "reason": "FieldValueInvalid"}
    kept, cautions = rules.carry({**NODE, "x-kubernetes-validations": [rule]}, STRIPPED, "spec")
    assert kept == [{**rule, "messageExpression": """'tier ' + (has(self.tier) ? self.tier : "free")"""}]
    assert cautions == []


def test_a_long_rule_is_cut_in_the_caution() -> None:
    _, cautions = carry("self.steps[0].kind == 'Allow'" + " && true" * 100)
    assert len(cautions[0]) < 260
    assert cautions[0].endswith("...")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("plain", "plain"),
        ("max-count", "max__dash__count"),
        ("a.b/c", "a__dot__b__slash__c"),
        ("a__b", "a__underscores__b"),
        ("namespace", "__namespace__"),
        ("in", "__in__"),
    ],
)
def test_identifiers_are_escaped_as_kubernetes_does(name: str, wanted: str) -> None:
    assert rules.identifier(name) == wanted
