"""One template for a target that serves several versions with different schemas. Pure.

A structural schema cannot change its fields with the value of apiVersion, but it may check values by it. So the
template has the fields of all served versions, each as loose as the loosest of them; and what a version says beyond
that stands at the template's root, to be checked when the template names that version (the preferred one when it names
none). A field that two versions use for different types is not checked at all. A version that keeps unknown fields
makes all versions keep them; what the others know keeps its type. CEL rules: see typegen.guards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from typegen import guards, narrowing, opening, structural
from typegen.defaults import TYPED_FORMATS
from typegen.model import ApiResource, Caution, Schema, Template

_UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "minLength", "minItems", "minProperties")
_SIZES = frozenset({"maxLength", "maxItems", "maxProperties"})
_EXACT = ("pattern", "format", "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "allOf", "anyOf", "oneOf", "not")
_ANY: Schema = {opening.FREE: True}
_RULES = "x-kubernetes-validations"

Nodes = Mapping[str, Schema]
"""Version -> the node that it has at some place; versions without the place are missing."""


def merge(target: ApiResource, templates: Mapping[str, Template]) -> Template:
    """The template for all of `templates` (by version), of which `target.version` is the preferred one."""
    preferred = target.version
    ordered = [preferred, *(version for version in templates if version != preferred)]
    if all(templates[version] == templates[preferred] for version in ordered):
        return templates[preferred]
    union = _Union(target)
    schema = union.node({version: templates[version].schema for version in ordered}, "")
    conditions = []
    for version in ordered:
        beyond = constraint(schema, templates[version].schema)
        if beyond:
            conditions.append({"anyOf": [_other(target, version, ordered), beyond]})
    if conditions:
        schema["allOf"] = [*schema.get("allOf", ()), *conditions]
    rules = guards.Guards(target, tuple(ordered), union.freed, union.changed)
    moved = [guarded for leftover in union.leftover if (guarded := rules.at_root(leftover))]
    if moved:
        schema[_RULES] = [*schema.get(_RULES, ()), *moved]
    schema["properties"] = {**schema["properties"], "apiVersion": _api_version(target, ordered)}
    root_rules = rules.federated({version: templates[version].root_rules for version in ordered})
    cautions = {*union.cautions, *rules.cautions}
    for version in ordered:
        cautions.update(templates[version].cautions)
    return Template(schema, tuple(root_rules), tuple(sorted(cautions)))


def _api_version(target: ApiResource, ordered: Sequence[str]) -> Schema:
    others = ", ".join(guards.api_version(target, version) for version in ordered[1:])
    return {
        "type": "string",
        "description": f"{target.api_version} when left out. Served too: {others}; a template is checked as the "
        "version that it names.",
    }


def _other(target: ApiResource, version: str, ordered: Sequence[str]) -> Schema:
    """True of templates of any version but this one."""
    if version == target.version:
        others = [guards.api_version(target, each) for each in ordered[1:]]
        return {"required": ["apiVersion"], "properties": {"apiVersion": {"enum": others}}}
    own = [guards.api_version(target, version)]
    return {"not": {"required": ["apiVersion"], "properties": {"apiVersion": {"enum": own}}}}


@dataclass
class _Union:
    """One walk over all versions' schemas at once."""

    target: ApiResource
    cautions: set[Caution] = field(default_factory=set)
    leftover: list[guards.Leftover] = field(default_factory=list)
    freed: set[str] = field(default_factory=set)
    """Paths of what is not checked, because versions differ in its type."""
    changed: set[str] = field(default_factory=set)
    """Paths of what has lost the bound that kept rules over it cheap, or the type that they are written for."""

    def node(self, nodes: Nodes, path: str) -> Schema:
        first = next(iter(nodes.values()))
        if all(node == first for node in nodes.values()):
            return dict(first)
        kind = _kind({narrowing.kind(node) for node in nodes.values()})
        embedded = {bool(node.get("x-kubernetes-embedded-resource")) for node in nodes.values()}
        keyed = any(isinstance(node.get("additionalProperties"), Mapping) for node in nodes.values())
        if (
            kind == "anything"
            or len(embedded) > 1
            or (keyed and any(node.get("properties") for node in nodes.values()))
        ):
            return self._free(nodes, path)
        formats = {str(node.get("format", "")) for node in nodes.values()}
        if any(narrowing.kind(node) != kind for node in nodes.values()) or (
            len(formats) > 1 and formats & TYPED_FORMATS
        ):
            self.changed.add(path)
        result: Schema = {key: first[key] for key in ("description", "title") if key in first}
        if kind == "integer or string":
            result["x-kubernetes-int-or-string"] = True
        else:
            result["type"] = kind
        self._validations(nodes, result, path)
        self._below(nodes, result, path)
        self._rules(nodes, result, path)
        self._remark(nodes, result, kind, path)
        return result

    def _remark(self, nodes: Nodes, result: Schema, kind: str, path: str) -> None:
        """Say what one version forbids and a condition upon apiVersion cannot."""
        free = [version for version, node in nodes.items() if narrowing.is_free(node) and opening.MARK not in node]
        if free and not all(narrowing.is_free(node) for node in nodes.values()):
            names = ", ".join(free)
            self.cautions.add(Caution(path, f"unknown fields are kept for every version, as {names} keeps them"))
        if kind == "integer or string" and any(narrowing.kind(node) != kind for node in nodes.values()):
            kinds = ", ".join(f"{narrowing.kind(node)} in {version}" for version, node in nodes.items())
            self.cautions.add(Caution(path, f"taken as integer and as string, it is {kinds}"))
        listed = {version: node.get("x-kubernetes-list-type", "atomic") for version, node in nodes.items()}
        if len(set(listed.values())) > 1 and set(listed.values()) != {"atomic"}:
            lists = ", ".join(f"{how} in {version}" for version, how in listed.items())
            self.cautions.add(Caution(path, f"duplicates are not refused, the list is {lists}"))
        value = result.get("additionalProperties")
        if isinstance(value, Mapping):
            values = [node.get("additionalProperties") for node in nodes.values()]
            if any(isinstance(each, Mapping) and constraint(dict(value), each) for each in values):
                self.cautions.add(Caution(f"{path}{{}}", f"checked as the loosest of {', '.join(nodes)}"))

    def _free(self, nodes: Nodes, path: str) -> Schema:
        self.freed.add(path)
        kinds = ", ".join(f"{narrowing.kind(node)} in {version}" for version, node in nodes.items())
        if len({narrowing.kind(node) for node in nodes.values()}) > 1:
            self.cautions.add(Caution(path, f"not checked, it is {kinds}"))
        else:
            self.cautions.add(Caution(path, f"not checked, {', '.join(nodes)} differ too much in what it holds"))
        self._rules(nodes, {}, path)
        description = next((node["description"] for node in nodes.values() if "description" in node), "")
        return {**({"description": description} if description else {}), **_ANY}

    def _validations(self, nodes: Nodes, result: Schema, path: str) -> None:
        every = list(nodes.values())
        for keys, loosest in ((_UPPER, max), (_LOWER, min)):
            for key in keys:
                if all(key in node for node in every):
                    result[key] = loosest(node[key] for node in every)
                elif key in _SIZES and any(key in node for node in every):
                    self.changed.add(path)
        for key in (*_EXACT, *opening.LISTS):
            if all(key in node and node[key] == every[0].get(key) for node in every):
                result[key] = every[0][key]
        if all("enum" in node for node in every):
            result["enum"] = list({repr(value): value for node in every for value in node["enum"]}.values())
        required = set.intersection(*(set(node.get("required") or ()) for node in every))
        if required:
            result["required"] = sorted(required)
        for key in ("nullable", opening.FREE, "x-kubernetes-embedded-resource"):
            if any(node.get(key) for node in every):
                result[key] = True

    def _below(self, nodes: Nodes, result: Schema, path: str) -> None:
        names = dict.fromkeys(name for node in nodes.values() for name in node.get("properties") or ())
        if names:
            result["properties"] = {
                name: self.node(opening.property_of(nodes, name), f"{path}.{name}" if path else name) for name in names
            }
        for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
            having = {version: node[key] for version, node in nodes.items() if isinstance(node.get(key), Mapping)}
            if having:
                result[key] = self.node(having, path + suffix)

    def _rules(self, nodes: Nodes, result: Schema, path: str) -> None:
        by_version = {version: node.get(_RULES) or [] for version, node in nodes.items()}
        common = [
            rule for rule in next(iter(by_version.values())) if all(rule in rules for rules in by_version.values())
        ]
        if common and path not in self.freed and not guards.reaches(common, path, self.freed | self.changed):
            result[_RULES] = common
        else:
            common = []
        for version, rules in by_version.items():
            self.leftover += [guards.Leftover(version, path, rule) for rule in rules if rule not in common]


def _kind(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {"integer", "number"}:
        return "number"
    return "integer or string" if kinds <= {"integer", "string", "integer or string"} else "anything"


def constraint(union: Schema, node: Mapping[str, Any]) -> Schema:
    """What one version's `node` says beyond `union`, in words that a combinator's branch may use; {} for nothing."""
    if union == node:
        return {}
    result: Schema = {
        key: said
        for key in (*_UPPER, *_LOWER, *_EXACT, "enum")
        if (said := structural.branches_of(node, key)) is not None and said != structural.branches_of(union, key)
    }
    if narrowing.kind(union) == "anything" and narrowing.kind(node) != "anything":
        return {}
    if (narrowing.kind(union), narrowing.kind(node)) == ("number", "integer"):
        result["multipleOf"] = 1
    required = set(node.get("required") or ()) - set(union.get("required") or ())
    if required:
        result["required"] = sorted(required)
    properties = dict(_constrained(union, node))
    if properties:
        result["properties"] = properties
    if isinstance(union.get("items"), Mapping) and isinstance(node.get("items"), Mapping):
        items = constraint(union["items"], node["items"])
        if items:
            result["items"] = items
    return result


def _constrained(union: Schema, node: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    own = node.get("properties") or {}
    for name, child in (union.get("properties") or {}).items():
        if name in own:
            beyond = constraint(child, own[name])
            if beyond:
                yield name, beyond
        elif not narrowing.is_free(node) and not isinstance(node.get("additionalProperties"), Mapping):
            yield name, {"not": {}}  # this version has no such field: nothing is right
