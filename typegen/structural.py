"""Check Kubernetes' rules for structural schemas offline, and repair schemas that are older than the rules.

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
_DEEPEST = 200
"""Levels of lists and maps in a schema, as in YAML that is read; a field is two."""
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


def is_too_deep(value: Any) -> bool:
    """Whether it nests deeper than whoever walks it can bear."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
            if isinstance(inner, Mapping | list)
        ]
        if not level:
            return False
    return True


def malformed(schema: Any) -> Iterator[Caution]:
    """Where `schema` is not a valid JSON schema; everything else in typegen expects a valid one."""
    if isinstance(schema, Mapping) and is_too_deep(schema):
        yield Caution(".", f"it nests deeper than {_DEEPEST} levels")
        return
    yield from _malformed(schema, "")


def _malformed(schema: Any, path: str) -> Iterator[Caution]:
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
            yield from _malformed(child, f"{path}.{name}" if path else str(name))
    elif properties is not None:
        yield Caution(here, "properties must be a mapping")
    if schema.get("items") is not None:
        yield from _malformed(schema["items"], f"{path}[]")
    if not isinstance(schema.get("additionalProperties"), bool | None):
        yield from _malformed(schema["additionalProperties"], f"{path}{{}}")
    for name in ("allOf", "anyOf", "oneOf"):
        branches = schema.get(name)
        if isinstance(branches, list):
            for branch in branches:
                yield from _malformed(branch, path)
        elif branches is not None:
            yield Caution(here, f"{name} must be a list of schemas")
    if schema.get("not") is not None:
        yield from _malformed(schema["not"], path)


def violations(schema: Mapping[str, Any]) -> list[Caution]:
    """Why `schema`, a whole object's, is not structural; empty when it is."""
    found = [*_node(schema, ""), *_incomplete(schema)]
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
    """Keywords in the combinators of `node` that are allowed in the node itself only."""
    for name in COMBINATORS:
        branches = branches_of(node, name)
        for branch in branches if isinstance(branches, list) else [branches] if branches else []:
            yield from _value_validation(branch, here, name)


def _incomplete(schema: Mapping[str, Any]) -> Iterator[Caution]:
    """Fields that the combinators of the root name, and its properties do not.

    The API server looks at those of the root only; in a node below, they may name any field.
    """
    for name in COMBINATORS:
        branches = schema.get(name)
        for branch in branches if isinstance(branches, list) else [branches] if branches else []:
            yield from _unnamed(branch, schema, "", name)


def _unnamed(branch: Mapping[str, Any], node: Mapping[str, Any], path: str, combinator: str) -> Iterator[Caution]:
    for name, child in (branch.get("properties") or {}).items():
        known = (node.get("properties") or {}).get(name)
        if known is None:
            yield Caution(path or ".", f"{combinator} names {name}, which properties does not")
        else:
            yield from _unnamed(child, known, f"{path}.{name}" if path else name, combinator)
    if isinstance(branch.get("items"), Mapping):
        if isinstance(node.get("items"), Mapping):
            yield from _unnamed(branch["items"], node["items"], f"{path}[]", combinator)
        else:
            yield Caution(path or ".", f"{combinator} has items, which {path or 'the object'} has not")
    for name in COMBINATORS:
        nested = branch.get(name)
        for inner in nested if isinstance(nested, list) else [nested] if nested else []:
            yield from _unnamed(inner, node, path, combinator)


def branches_of(node: Mapping[str, Any], name: str) -> Any:
    """The branches of the combinator `name` in `node`, None for none; without the redundant form of int-or-string.

    `anyOf: [{type: integer}, {type: string}]`, which may also be in the first branch of allOf, is the only place where
    a branch may have a type. Older versions of controller-gen wrote it; it has no effect.
    """
    found = node.get(name)
    if name == "anyOf" and found == _INT_OR_STRING:
        return None
    if name == "allOf" and found and found[0].get("anyOf") == _INT_OR_STRING:
        first = {key: value for key, value in found[0].items() if key != "anyOf"}
        return [*([first] if first else []), *found[1:]] or None
    return found


def _value_validation(branch: Mapping[str, Any], here: str, combinator: str) -> Iterator[Caution]:
    for keyword in FORBIDDEN_IN_VALUE_VALIDATION:
        value = branch.get(keyword)
        if value or (value is not None and keyword in ("default", "additionalProperties")):
            yield Caution(here, f"{combinator} must not have {keyword}")
    for name, child in (branch.get("properties") or {}).items():
        if name == "metadata":
            yield Caution(here, f"{combinator} must not name metadata")
        yield from _value_validation(child, f"{here}.{name}", combinator)
    if isinstance(branch.get("items"), Mapping):
        yield from _value_validation(branch["items"], f"{here}[]", combinator)
    for name in COMBINATORS:
        nested = branch.get(name)
        for inner in nested if isinstance(nested, list) else [nested] if nested else []:
            yield from _value_validation(inner, here, combinator)


def repair(schema: Mapping[str, Any]) -> tuple[Schema, list[Caution]]:
    """`schema` made structural, for CRDs with preserveUnknownFields (the default of apiextensions v1beta1).

    Their schemas did not have to be structural, and their API server keeps unknown fields at every depth, so every
    object here does. A node that violates a rule keeps only its description and accepts everything, with a caution.
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
