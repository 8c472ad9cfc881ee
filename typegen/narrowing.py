"""Whether one schema node accepts less than another, keyword by keyword. Pure.

Used by `typegen diff` for an old and a new form of a type, and by `fitting` for the hub's and a member's form. Every
change has a message for each of the two uses.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from typegen import model, structural

Node = Mapping[str, Any]

_COMBINATORS = ("allOf", "anyOf", "oneOf", "not")
_BRIEF = 100


@dataclass(frozen=True, slots=True)
class Change:
    """The difference in one keyword; `narrower`: something that was valid may be refused.

    `message` describes it for an old and a new form; `there`, only if it is narrower, for a member compared with the
    hub.
    """

    narrower: bool
    message: str
    there: str = ""


def own(schema: Node) -> Node:
    """The part of a whole target's schema that is the same in a template: see typegen.schema for the rest."""
    skipped = ("apiVersion", "kind", "metadata", "status")
    known = {name: child for name, child in (schema.get("properties") or {}).items() if name not in skipped}
    required = [name for name in schema.get("required") or () if name not in skipped]
    return {**schema, "properties": known, "required": required}


def name(schema: Node) -> Node:
    """The schema of metadata.name in a whole target's schema."""
    metadata = (schema.get("properties") or {}).get("metadata") or {}
    return {"type": "string", **((metadata.get("properties") or {}).get("name") or {})}


def shape(node: Node) -> Any:
    """A node's type and structure, without limits and descriptions: equal for a field that was only renamed."""
    below = node.get("items") or node.get("additionalProperties")
    return (
        kind(node),
        tuple(sorted(node.get("properties") or ())),
        shape(below) if isinstance(below, Mapping) else None,
    )


def kind(node: Node) -> str:
    """The node's type, in words."""
    if node.get("x-kubernetes-int-or-string"):
        return "integer or string"
    return str(node.get("type", "anything"))


def is_free(node: Node) -> bool:
    """Whether unknown fields are kept."""
    return bool(node.get("x-kubernetes-preserve-unknown-fields")) or node.get("additionalProperties") is True


def types(old: Node, new: Node) -> Change | None:
    """What changed in the type."""
    before, after = kind(old), kind(new)
    if before == after:
        return None
    wider = after == "anything" or (before, after) in (
        ("integer", "number"),
        ("integer", "integer or string"),
        ("string", "integer or string"),
    )
    return Change(
        not wider, f"the type is now {after}, until now {before}", f"the type is {after} there, {before} at the hub"
    )


def validations(old: Node, new: Node) -> Iterator[Change]:
    """What changed in all other keywords but defaults and the nodes below."""
    yield from _required(old, new)
    yield from _enum(old, new)
    yield from _bounds(old, new)
    yield from _texts(old, new)
    yield from _flags(old, new)
    yield from _rules(old, new)
    for name in _COMBINATORS:
        before, after = structural.branches_of(old, name), structural.branches_of(new, name)
        if before != after:
            change = "is new" if before is None else "is gone" if after is None else "has changed"
            there = "is checked only there" if before is None else "is different there"
            yield Change(
                after is not None,
                f"{name} {change}{'' if after is None else ': ' + describe(after)}",
                f"{name} {there}: {describe(after)}",
            )


def needed(node: Node) -> set[str]:
    """The required properties without a default: those that a template must have."""
    known = node.get("properties") or {}
    return {name for name in node.get("required") or () if "default" not in known.get(name, {})}


def _required(old: Node, new: Node) -> Iterator[Change]:
    before, after = needed(old), needed(new)
    for name in sorted(after - before):
        yield Change(True, f"{name} is now required", f"{name} is required there")
    for name in sorted(before - after):
        if name in (new.get("properties") or {}):
            yield Change(False, f"{name} is no longer required")


def _enum(old: Node, new: Node) -> Iterator[Change]:
    before, after = old.get("enum"), new.get("enum")
    if before == after:
        return
    if before is None or after is None:
        if after is None:
            yield Change(False, "any value is allowed now")
        else:
            yield Change(True, f"only {describe(after)} are allowed now", f"only {describe(after)} are allowed there")
        return
    gone = [value for value in before if value not in after]
    more = [value for value in after if value not in before]
    if gone:
        yield Change(True, f"{describe(gone)} no longer allowed", f"{describe(gone)} not allowed there")
    if more:
        yield Change(False, f"{describe(more)} allowed now")


def _bounds(old: Node, new: Node) -> Iterator[Change]:
    for name in (
        "maximum",
        "maxLength",
        "maxItems",
        "maxProperties",
        "minimum",
        "minLength",
        "minItems",
        "minProperties",
    ):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        upper = name.startswith("max")
        narrower = after is not None and (before is None or (after < before if upper else after > before))
        change = "is gone" if after is None else f"is now {after}"
        yield Change(
            narrower, f"{name} {change}{'' if before is None else f', until now {before}'}", _there(name, before, after)
        )
    for name in ("exclusiveMinimum", "exclusiveMaximum"):
        if bool(old.get(name)) != bool(new.get(name)):
            change = f"{name} is now {'true' if new.get(name) else 'false'}"
            yield Change(bool(new.get(name)), change, f"{name} is true there")


def _texts(old: Node, new: Node) -> Iterator[Change]:
    for name in ("pattern", "format", "multipleOf"):
        before, after = old.get(name), new.get(name)
        if before != after:
            change = "is gone" if after is None else f"is now {describe(after)}"
            yield Change(
                after is not None,
                f"{name} {change}{'' if before is None else f', until now {describe(before)}'}",
                _there(name, before, after),
            )


def _there(name: str, before: Any, after: Any) -> str:
    return f"{name} is {describe(after)} there, {describe(before)} at the hub"


def _flags(old: Node, new: Node) -> Iterator[Change]:
    if bool(old.get("nullable")) != bool(new.get("nullable")):
        change = f"null is {'now' if new.get('nullable') else 'no longer'} allowed"
        yield Change(not new.get("nullable"), change, "null is not allowed there")
    if is_free(old) != is_free(new):
        change = f"unknown fields are {'kept now' if is_free(new) else 'no longer kept'}"
        yield Change(not is_free(new), change, "fields that the schema does not name are not allowed there")
    whole = "x-kubernetes-embedded-resource"
    if bool(old.get(whole)) != bool(new.get(whole)):
        change = f"it is {'now' if new.get(whole) else 'no longer'} an API object, with apiVersion and kind"
        yield Change(bool(new.get(whole)), change, "it is an API object there, with apiVersion and kind")
    before = (old.get("x-kubernetes-list-type", "atomic"), tuple(old.get("x-kubernetes-list-map-keys") or ()))
    after = (new.get("x-kubernetes-list-type", "atomic"), tuple(new.get("x-kubernetes-list-map-keys") or ()))
    if before != after:
        yield Change(
            after[0] != "atomic",
            f"the list is now {_listed(after)}, until now {_listed(before)}",
            f"the list is {_listed(after)} there, {_listed(before)} at the hub",
        )


def _listed(how: tuple[str, tuple[str, ...]]) -> str:
    return f"{how[0]} by {', '.join(how[1])}" if how[1] else how[0]


def _rules(old: Node, new: Node) -> Iterator[Change]:
    before = {str(rule.get("rule")) for rule in old.get("x-kubernetes-validations") or ()}
    after = {str(rule.get("rule")) for rule in new.get("x-kubernetes-validations") or ()}
    for text in sorted(after - before):
        yield Change(True, f"CEL rule is new: {_brief(text)}", f"a CEL rule that the hub has not: {_brief(text)}")
    for text in sorted(before - after):
        yield Change(False, f"CEL rule is gone: {_brief(text)}")


def describe(value: Any) -> str:
    """A value for messages."""
    if value is None:
        return "none"
    if isinstance(value, list):
        plain = value and not isinstance(value[0], dict)
        return ", ".join(map(describe, value)) if plain else _brief(json.dumps(value))
    return _brief(value if isinstance(value, str) else json.dumps(value, sort_keys=True))


def _brief(text: str) -> str:
    return model.brief(text, _BRIEF)
