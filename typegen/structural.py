"""Kubernetes' rules for structural schemas, checked offline, and repairs for schemas older than the rules.

Source: "Specifying a structural schema" in the CRD documentation, and apiextensions' schema/validation.go.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from typegen.model import Caution, Schema

TYPES = frozenset({"array", "boolean", "integer", "number", "object", "string"})
FORBIDDEN = (
    "$ref",
    "additionalItems",
    "definitions",
    "dependencies",
    "id",
    "patternProperties",
)
FORBIDDEN_IN_VALUE_VALIDATION = (
    "description",
    "title",
    "type",
    "default",
    "additionalProperties",
    "nullable",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
)
COMBINATORS = ("allOf", "anyOf", "oneOf", "not")
KEYWORDS = frozenset((
    "$ref", "$schema", "additionalItems", "additionalProperties", "allOf", "anyOf", "default", "definitions",
    "dependencies", "description", "enum", "example", "exclusiveMaximum", "exclusiveMinimum", "externalDocs",
    "format", "id", "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength",
    "minProperties", "minimum", "multipleOf", "not", "nullable", "oneOf", "pattern", "patternProperties",
    "properties", "required", "title", "type", "uniqueItems", "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string", "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations",
))  # fmt: skip
"""apiextensions/v1 JSONSchemaProps: the API server drops every other keyword, and kubectl refuses it."""
_KEYWORDS: tuple[tuple[tuple[str, ...], tuple[type, ...], str], ...] = (
    (("type", "description", "format", "pattern", "x-kubernetes-list-type", "x-kubernetes-map-type"), (str,), "text"),
    (("enum",), (list,), "a list"),
    (("minimum", "maximum", "multipleOf"), (int, float), "a number"),
    (("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), (int,), "a whole number"),
    (("nullable", "exclusiveMinimum", "exclusiveMaximum", "x-kubernetes-int-or-string"), (bool,), "true or false"),
    (("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"), (bool,), "true or false"),
)
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


def malformed(schema: Any, path: str = "") -> Iterator[Caution]:
    """Where `schema` is no JSON schema at all; everything else in typegen relies on there being no such place."""
    here = path or "."
    if not isinstance(schema, Mapping):
        yield Caution(here, f"expected a schema, found {type(schema).__name__}")
        return
    for names, kinds, wanted in _KEYWORDS:
        for name in names:
            value = schema.get(name)
            if value is None:  # as if it were not there, as the API server reads it
                continue
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                yield Caution(here, f"{name} must be {wanted}")
    for name in ("required", "x-kubernetes-list-map-keys"):
        value = schema.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(entry, str) for entry in value)):
            yield Caution(here, f"{name} must be a list of names")
    rules = schema.get("x-kubernetes-validations")
    if rules is not None and not (isinstance(rules, list) and all(isinstance(rule, Mapping) for rule in rules)):
        yield Caution(here, "x-kubernetes-validations must be a list of rules")
    yield from _malformed_below(schema, path)


def _malformed_below(schema: Mapping[str, Any], path: str) -> Iterator[Caution]:
    here = path or "."
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        for name, child in properties.items():
            yield from malformed(child, f"{path}.{name}" if path else str(name))
    elif properties is not None:
        yield Caution(here, "properties must be a mapping")
    if schema.get("items") is not None:
        yield from malformed(schema["items"], f"{path}[]")
    if not isinstance(schema.get("additionalProperties"), bool | None):
        yield from malformed(schema["additionalProperties"], f"{path}{{}}")
    for name in ("allOf", "anyOf", "oneOf"):
        branches = schema.get(name)
        if isinstance(branches, list):
            for branch in branches:
                yield from malformed(branch, path)
        elif branches is not None:
            yield Caution(here, f"{name} must be a list of schemas")
    if schema.get("not") is not None:
        yield from malformed(schema["not"], path)


def violations(schema: Mapping[str, Any]) -> list[Caution]:
    """What keeps `schema`, a whole object's, from being structural; empty when it is."""
    found = list(_node(schema, ""))
    if schema.get("type") != "object" and (
        schema.get("type") or not schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        found.insert(0, Caution(".", "the root must have type object"))
    return found


def _node(node: Mapping[str, Any], path: str) -> Iterator[Caution]:
    here = path or "."
    yield from _own(node, here)
    yield from _lists(node, here)
    yield from value_validations(node, here)
    for name, child in (node.get("properties") or {}).items():
        if path or name != "metadata":
            yield from _node(child, f"{path}.{name}" if path else name)
    if isinstance(node.get("items"), Mapping):
        yield from _node(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), Mapping):
        yield from _node(node["additionalProperties"], f"{path}{{}}")


def _own(node: Mapping[str, Any], here: str) -> Iterator[Caution]:
    for keyword in FORBIDDEN:
        if node.get(keyword):
            yield Caution(here, f"{keyword} is not allowed")
    if node.get("uniqueItems"):
        yield Caution(here, "uniqueItems is not allowed")
    free, either = node.get("x-kubernetes-preserve-unknown-fields"), node.get("x-kubernetes-int-or-string")
    kind = node.get("type")
    if kind is None and not free and not either:
        yield Caution(here, "type is missing")
    if kind is not None and kind not in TYPES:
        yield Caution(here, f"type is {kind!r}")
    if node.get("properties") and node.get("additionalProperties") not in (None, True):
        yield Caution(here, "properties and additionalProperties exclude each other")
    if kind == "array" and not isinstance(node.get("items"), Mapping):
        yield Caution(here, "items is missing")


def _lists(node: Mapping[str, Any], here: str) -> Iterator[Caution]:
    if node.get("x-kubernetes-list-type") != "map":
        return
    item = node.get("items") or {}
    known = item.get("properties") or {}
    for key in node.get("x-kubernetes-list-map-keys") or ():
        if key not in known:
            yield Caution(here, f"list key {key} is not a property of the items")
        elif key not in (item.get("required") or ()) and "default" not in known[key]:
            yield Caution(here, f"list key {key} is neither required nor has a default")


def value_validations(node: Mapping[str, Any], here: str) -> Iterator[Caution]:
    """What the combinators of `node` say that only the node itself may say."""
    for name in COMBINATORS:
        branches = branches_of(node, name)
        for branch in branches if isinstance(branches, list) else [branches] if branches else []:
            yield from _value_validation(branch, node, here, name)


def branches_of(node: Mapping[str, Any], name: str) -> Any:
    """What `node` says by the combinator `name`, None for nothing; without the spelt-out form of int-or-string.

    `anyOf: [{type: integer}, {type: string}]`, which may also stand in the first branch of allOf, is the one place
    where a branch may say a type. controller-gen wrote it once and does not any more: it adds nothing.
    """
    found = node.get(name)
    if name == "anyOf" and found == _INT_OR_STRING:
        return None
    if name == "allOf" and found and found[0].get("anyOf") == _INT_OR_STRING:
        first = {key: value for key, value in found[0].items() if key != "anyOf"}
        return [*([first] if first else []), *found[1:]] or None
    return found


def _value_validation(
    branch: Mapping[str, Any], node: Mapping[str, Any], here: str, combinator: str
) -> Iterator[Caution]:
    for keyword in FORBIDDEN_IN_VALUE_VALIDATION:
        value = branch.get(keyword)
        if value or (value is not None and keyword in ("default", "additionalProperties")):
            yield Caution(here, f"{combinator} must not say {keyword}")
    for name, child in (branch.get("properties") or {}).items():
        known = (node.get("properties") or {}).get(name, node.get("additionalProperties"))
        if not isinstance(known, Mapping):
            yield Caution(here, f"{combinator} speaks of {name}, which properties does not")
        else:
            yield from _value_validation(child, known, f"{here}.{name}", combinator)
    if isinstance(branch.get("items"), Mapping) and isinstance(node.get("items"), Mapping):
        yield from _value_validation(branch["items"], node["items"], f"{here}[]", combinator)
    for name in COMBINATORS:
        nested = branch.get(name)
        for inner in nested if isinstance(nested, list) else [nested] if nested else []:
            yield from _value_validation(inner, node, here, combinator)


def repair(schema: Mapping[str, Any]) -> tuple[Schema, list[Caution]]:
    """`schema` made structural, for CRDs with preserveUnknownFields (the default of apiextensions v1beta1).

    They did not have to be, and their API server keeps unknown fields at every depth, so every object here does.
    A node that breaks a rule by itself keeps its description only and lets everything through; the caution names it.
    """
    cautions: list[Caution] = []
    return _repaired(schema, "", cautions), cautions


def _repaired(node: Mapping[str, Any], path: str, cautions: list[Caution]) -> Schema:
    result = dict(node)
    if "type" not in result and result.get("properties"):
        result["type"] = "object"
    if not path:
        result["type"] = "object"
    if result.get("type") == "object" and not isinstance(result.get("additionalProperties"), Mapping):
        result["x-kubernetes-preserve-unknown-fields"] = True
    result.pop("uniqueItems", None)
    if result.get("properties") is not None:
        result.pop("additionalProperties", None)
        result["properties"] = {
            name: _repaired(child, f"{path}.{name}" if path else name, cautions)
            for name, child in result["properties"].items()
        }
    if isinstance(result.get("items"), Mapping):
        result["items"] = _repaired(result["items"], f"{path}[]", cautions)
    if isinstance(result.get("additionalProperties"), Mapping):
        result["additionalProperties"] = _repaired(result["additionalProperties"], f"{path}{{}}", cautions)
    here = path or "."
    problem = next(itertools.chain(_own(result, here), _lists(result, here), value_validations(result, here)), None)
    if problem is None:
        return result
    cautions.append(Caution(here, f"not checked from here on: {problem.message}"))
    kept = {"description": result["description"]} if "description" in result else {}
    return {**kept, **({"type": "object"} if not path else {}), "x-kubernetes-preserve-unknown-fields": True}
