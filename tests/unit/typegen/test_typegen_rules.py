"""CEL rules on their way into a template: what is rewritten, what is guarded, what is left out."""

from typing import Any

import pytest

from tests.clusters import verdicts
from typegen import federate, rules
from typegen.cel import ITEM, VALUE, identifier
from typegen.defaults import Default

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
    ("names",): Default(["a", "b"], "array", items="string"),
    ("flags",): Default({"on": True, "word": "x"}, "object"),
    ("routes",): Default([{"match": {"kind": "Prefix"}}], "array", items="object"),
    ("routes", ITEM, "match"): Default({"kind": "Prefix"}, "object"),
    ("routes", ITEM, "match", "kind"): Default("Prefix", "string"),
    ("routes", ITEM, "other"): Default("x", "string"),
    ("limits",): Default({}, "object"),
    ("limits", "max-count"): Default(10, "integer"),
    ("shape",): Default({"size": 5}, "object"),
    ("shape", "size"): NUMBER,
    ("maybe",): Default("x", "string", nullable=True),
    ("perhaps",): Default({"on": True}, "object", nullable=True),
    ("perhaps", "on"): Default(True, "boolean"),
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
    carried = rules.carry({**node, "x-kubernetes-validations": [{"rule": text}]}, STRIPPED, "spec", root=root)
    return [rule["rule"] for rule in carried.kept], [caution.message for caution in carried.cautions]


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
        pytest.param("'a' in self.parts", "'a' in self.parts", id="key-of-a-map"),
        pytest.param("self.parts.all(k, k != '')", "self.parts.all(k, k != '')", id="keys-of-a-map"),
        pytest.param(
            "size(self.steps.filter(s, has(s.x))) > 0", "size(self.steps.filter(s, has(s.x))) > 0", id="filtered-size"
        ),
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
        pytest.param("self.tags.size() > 0", "(has(self.tags) ? self.tags : []).size() > 0", id="empty-list"),
        pytest.param(
            "self.names.all(n, n != '')", """(has(self.names) ? self.names : ["a", "b"]).all(n, n != '')""", id="list"
        ),
        pytest.param(
            "self.tags == oldSelf.tags",
            "(has(self.tags) ? self.tags : []) == (has(oldSelf.tags) ? oldSelf.tags : [])",
            id="old-list",
        ),
        pytest.param("size(self.routes) > 0", "(has(self.routes) ? size(self.routes) : 1) > 0", id="size-of-objects"),
        pytest.param("self.routes.size() > 0", "(has(self.routes) ? self.routes.size() : 1) > 0", id="size-method"),
        pytest.param(
            "self.routes[0].match.kind == 'Prefix'",
            "(has(self.routes) && has(self.routes[0].match) && has(self.routes[0].match.kind) ? "
            """self.routes[0].match.kind : "Prefix") == 'Prefix'""",
            id="index-into-a-default",
        ),
        pytest.param("has(self.routes[0].match)", "true", id="has-of-an-item"),
        pytest.param("self.limits.other > 0", "self.limits.other > 0", id="the-default-lacks-it-too"),
        pytest.param(
            "!has(self.limits.other) || self.limits.other > 0",
            "!(has(self.limits) && has(self.limits.other)) || self.limits.other > 0",
            id="has-below-a-default-that-lacks-it",
        ),
        pytest.param("self.flags.on", "(has(self.flags) ? self.flags.on : true)", id="the-default-has-it"),
        pytest.param(
            "self.steps[0].kind == 'Allow'",
            """(has(self.steps[0].kind) ? self.steps[0].kind : "Allow") == 'Allow'""",
            id="index",
        ),
        pytest.param("self.steps.all(kind, kind.other != '')", "self.steps.all(kind, kind.other != '')", id="variable"),
        pytest.param("self.title.all(s, s.kind != '')", "self.title.all(s, s.kind != '')", id="other-list"),
        pytest.param(
            "self.steps.all(i, s, s.kind != '' && i > 0)",
            """self.steps.all(i, s, (has(s.kind) ? s.kind : "Allow") != '' && i > 0)""",
            id="two-variables",
        ),
        pytest.param(
            "self.steps.all(s, self.steps.exists(t, t.kind == s.kind))",
            """self.steps.all(s, self.steps.exists(t, (has(t.kind) ? t.kind : "Allow") == """
            """(has(s.kind) ? s.kind : "Allow")))""",
            id="nested-macros",
        ),
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
        pytest.param("self.title == '' || self.flags == self.other", "has(self.flags)", id="object"),
        pytest.param("self.routes.all(r, true)", "has(self.routes)", id="macro-over-objects"),
        pytest.param("self.since < self.until", "has(self.since)", id="timestamp"),
        pytest.param("self.shape.size > 0", "has(self.shape) && has(self.shape.size)", id="two-defaults-disagree"),
        pytest.param("self.flags == oldSelf.flags", "has(self.flags) && has(oldSelf.flags)", id="old-value"),
        pytest.param("self.maybe == 'x'", "has(self.maybe)", id="nullable"),
        pytest.param("has(self.maybe) || self.title == ''", "has(self.maybe)", id="has-of-nullable"),
        pytest.param("has(self.perhaps.on)", "has(self.perhaps) && has(self.perhaps.on)", id="below-nullable"),
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
        pytest.param("self.routes.all(r, r.match == self.m)", "match as a whole", id="object-of-a-variable"),
        pytest.param("self.routes == self.other", "routes as a whole", id="list-of-objects"),
        pytest.param("self.limits == oldSelf.limits", "limits as a whole", id="old-object"),
        pytest.param("self == oldSelf", "self as a whole", id="immutable"),
        pytest.param("self.steps.all(s, s in oldSelf.steps)", "s as a whole", id="variable-as-a-whole"),
        pytest.param("self.parts['a'] == self.m", "parts.[*] as a whole", id="value-of-a-map"),
        pytest.param("self.steps.filter(s, true) == self.m", "steps as a whole", id="what-a-filter-leaves"),
        pytest.param("self.steps.exists(s, s.kind == 'x') && self.m in self.steps", "steps as a whole", id="in-a-list"),
        pytest.param("self.steps.filter(s, true).all(t, t.match == self.m)", "match", id="variable-of-a-result"),
        pytest.param("self.?tier.orValue('') != ''", "tier", id="optional"),
        pytest.param("f(self).tier == 'x'", "self as a whole", id="function"),
    ],
)
def test_what_cannot_be_rewritten_is_left_out(text: str, field: str) -> None:
    kept, cautions = carry(text)
    assert kept == []
    assert cautions == [f"CEL rule left out, it reads {field}, whose default is not kept: {text}"]


def test_a_variable_of_a_result_is_known_by_its_fields_name_only() -> None:
    text = "self.steps.filter(s, true).all(t, {})"
    written = """self.steps.filter(s, true).all(t, (has(t.kind) ? t.kind : "Allow") == 'x')"""
    step: dict[tuple[str, ...], Default] = {("steps", ITEM, "kind"): STRIPPED["steps", ITEM, "kind"]}
    for inner, optional, wanted in (
        ("t.kind == 'x'", False, [written]),
        ("t.kind == 'x'", True, [written]),
        ("has(t.kind)", False, [text.format("true")]),
        ("has(t.kind)", True, []),
    ):
        more = {"kind": {"type": "string"}} if optional else {}
        node = {**NODE, "properties": {**NODE["properties"], **more}}
        rule = {"rule": text.format(inner)}
        carried = rules.carry({**node, "x-kubernetes-validations": [rule]}, step, "spec")
        assert [each["rule"] for each in carried.kept] == wanted


@pytest.mark.parametrize("field", ["status.ready", "kind", "apiVersion"])
def test_rules_about_the_object_itself_stay_with_the_target(field: str) -> None:
    kept, cautions = carry(f"self.{field} != ''", root=True)
    assert kept == []
    assert f"it reads {field.partition('.')[0]}, which a template lacks" in cautions[0]
    assert carry(f"self.{field} != ''")[0] == [f"self.{field} != ''"], "below the root they are ordinary fields"


def test_a_message_expression_is_rewritten_too() -> None:
    rule = {"rule": "self.title != ''", "messageExpression": "'tier ' + self.tier", "reason": "FieldValueInvalid"}
    carried = rules.carry({**NODE, "x-kubernetes-validations": [rule]}, STRIPPED, "spec")
    assert carried.kept == [{**rule, "messageExpression": """'tier ' + (has(self.tier) ? self.tier : "free")"""}]
    assert carried.cautions == []


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        pytest.param(
            {"rule": "self.metadata.name.startsWith('x')"}, {"rule": "self.metadata.name.startsWith('x')"}, id="name"
        ),
        pytest.param(
            {"rule": "self.metadata.name == self.title", "fieldPath": ".title", "reason": "FieldValueInvalid"},
            {
                "rule": "self.metadata.name == self.spec.template.title",
                "fieldPath": ".spec.template.title",
                "reason": "FieldValueInvalid",
            },
            id="name-and-field",
        ),
        pytest.param(
            {"rule": "self.metadata.name == self.tier && has(oldSelf.title)"},
            {
                "rule": "self.metadata.name == (has(self.spec.template.tier) ? self.spec.template.tier : "
                '"free") && has(oldSelf.spec.template.title)'
            },
            id="name-and-default",
        ),
        pytest.param(
            {"rule": "self.metadata.name != 'self.title'", "messageExpression": "'not ' + self.title"},
            {"rule": "self.metadata.name != 'self.title'", "messageExpression": "'not ' + self.spec.template.title"},
            id="literal-and-message",
        ),
    ],
)
def test_rules_about_the_name_move_to_the_federated_object(rule: dict[str, str], wanted: dict[str, str]) -> None:
    carried = rules.carry({**NODE, "x-kubernetes-validations": [rule]}, STRIPPED, ".", root=True)
    assert (carried.kept, carried.moved, carried.cautions) == ([], [wanted], [])
    below = rules.carry({**NODE, "x-kubernetes-validations": [{"rule": "self.metadata.name"}]}, STRIPPED, "spec")
    assert (len(below.kept), below.moved) == (1, []), "below the root metadata is an ordinary field"


def test_a_rule_about_the_name_and_the_whole_object_is_left_out() -> None:
    rule = {"rule": "self.metadata.name != '' && self == oldSelf"}
    carried = rules.carry({**NODE, "x-kubernetes-validations": [rule]}, STRIPPED, ".", root=True)
    assert (carried.kept, carried.moved) == ([], [])
    assert "as a whole" in carried.cautions[0].message


def test_a_long_rule_is_cut_in_the_caution() -> None:
    _, cautions = carry("self.?tier.orValue('') != ''" + " && true" * 100)
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
    assert identifier(name) == wanted


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        pytest.param(".a", True, id="a-field"),
        pytest.param(".a.b", True, id="below"),
        pytest.param("['a']['b']", True, id="in-brackets"),
        pytest.param(".a['it\\'s.c']", True, id="quoted"),
        pytest.param(".m.any.b", True, id="in-a-map"),
        pytest.param(".m['any'].c", False, id="not-in-a-maps-values"),
        pytest.param(".a.c", False, id="no-such-field"),
        pytest.param(".free.x", False, id="below-a-field-without-schema"),
        pytest.param(".l.b", False, id="in-a-list"),
    ],
)
def test_a_field_path_that_leads_nowhere_is_left_out(path: str, kept: bool) -> None:
    """An API server refuses the whole CRD for it."""
    leaf: dict[str, Any] = {"type": "object", "properties": {"b": {}, "it's.c": {}}}
    node: dict[str, Any] = {
        "properties": {
            "x": {
                "properties": {
                    "a": leaf,
                    "m": {"additionalProperties": leaf},
                    "free": {"x-kubernetes-preserve-unknown-fields": True},
                    "l": {"items": leaf},
                },
                "x-kubernetes-validations": [{"rule": "true", "fieldPath": path, "reason": "FieldValueInvalid"}],
            }
        }
    }
    rules.drop_dangling_paths(node)
    (rule,) = node["properties"]["x"]["x-kubernetes-validations"]
    assert rule.get("fieldPath") == (path if kept else None)
    assert rule["reason"] == "FieldValueInvalid"


def test_the_field_of_a_rule_may_be_one_that_a_template_lacks() -> None:
    phase = {"type": "object", "properties": {"phase": {"type": "string"}}}
    rule = {"rule": "self.spec.phase != 'x'", "fieldPath": ".status.phase"}
    root = {"type": "object", "properties": {"spec": phase, "status": phase}, "x-kubernetes-validations": [rule]}
    target = verdicts.crd("x.example.com", {})
    target["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": root}
    made = federate.from_crd(target).crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    template = made["properties"]["spec"]["properties"]["template"]
    assert template["x-kubernetes-validations"] == [{"rule": rule["rule"]}]
