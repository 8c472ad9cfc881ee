"""One template's schema for a target that serves several versions with different schemas. Pure.

In a structural schema the fields cannot depend on the value of apiVersion, but checks of values can. So the template
has the fields of all served versions, each as loose as the loosest of them; the stricter checks of a version are at the
template's root, and apply when the template names that version (the preferred one when it names none). A field with
different types in two versions has none in the template; if one version keeps unknown fields, all do, and a field that
it does not know has no type, because there it may have any value. CEL rules: see typegen.guards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from typegen import guards, narrowing, nulls, structural
from typegen.cel import ITEM, VALUE, Steps
from typegen.defaults import TYPED_FORMATS
from typegen.model import ApiResource, Caution, Schema, Template

_UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "minLength", "minItems", "minProperties")
_SIZES = frozenset({"maxLength", "maxItems", "maxProperties"})
_EXACT = ("pattern", "format", "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "allOf", "anyOf", "oneOf", "not")
_SCALARS = frozenset({"string", "integer", "number", "boolean"})
_FREE = "x-kubernetes-preserve-unknown-fields"
_LISTS = ("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "default")
"""Keywords that belong to the type of a list or a map; in a template only keys of lists have a default."""
_UNTYPED = tuple(
    key
    for key in (*_UPPER, *_LOWER, "pattern", "multipleOf", "exclusiveMinimum", "exclusiveMaximum")
    if key != "maxProperties"
)
_ANY: Schema = {_FREE: True}
_RULES = "x-kubernetes-validations"

Nodes = Mapping[str, Schema]
"""Version -> its node at some path; versions without that path are left out."""


def merge(target: ApiResource, templates: Mapping[str, Template]) -> Template:
    """The template for all of `templates` (by version), of which `target.version` is the preferred one."""
    preferred = target.version
    ordered = [preferred, *(version for version in templates if version != preferred)]
    if all(templates[version] == templates[preferred] for version in ordered):
        return templates[preferred]
    union = _Union(target)
    schema = union.node({version: templates[version].schema for version in ordered}, ())
    conditions = []
    for version in ordered:
        beyond = constraint(schema, templates[version].schema)
        for path in [*_without_metadata(beyond, ())]:
            union.cautions.add(Caution(guards.shown(path), f"not checked as {version} does, versions differ in it"))
        if beyond:
            conditions.append({"anyOf": [_other(target, version, ordered), beyond]})
    if conditions:
        schema["allOf"] = [*schema.get("allOf", ()), *conditions]
    rules = guards.Guards(target, tuple(ordered), union.places)
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
    """A schema that accepts templates of any version but this one."""
    if version == target.version:
        others = [guards.api_version(target, each) for each in ordered[1:]]
        return {"required": ["apiVersion"], "properties": {"apiVersion": {"enum": others}}}
    own = [guards.api_version(target, version)]
    return {"not": {"required": ["apiVersion"], "properties": {"apiVersion": {"enum": own}}}}


@dataclass
class _Union:
    """Merges the schemas of all versions."""

    target: ApiResource
    cautions: set[Caution] = field(default_factory=set)
    leftover: list[guards.Leftover] = field(default_factory=list)
    places: guards.Places = field(default_factory=guards.Places)

    def node(self, nodes: Nodes, path: Steps) -> Schema:
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
            self.places.changed.add(path)
        result: Schema = {key: first[key] for key in ("description", "title") if key in first}
        if kind == "integer or string":
            result["x-kubernetes-int-or-string"] = True
        else:
            result["type"] = kind
        self._validations(nodes, result, path)
        self._below(nodes, result, path)
        self._nulls(nodes, result, path)
        self._rules(nodes, result, path)
        self._remark(nodes, result, kind, path)
        return result

    def _remark(self, nodes: Nodes, result: Schema, kind: str, path: Steps) -> None:
        """Add cautions about what a version forbids and a condition on apiVersion cannot express."""
        free = [version for version, node in nodes.items() if narrowing.is_free(node)]
        if free and not all(narrowing.is_free(node) for node in nodes.values()):
            names = ", ".join(free)
            self.cautions.add(
                Caution(guards.shown(path), f"unknown fields are kept for every version, as {names} keeps them")
            )
        if kind == "integer or string" and any(narrowing.kind(node) != kind for node in nodes.values()):
            kinds = ", ".join(f"{narrowing.kind(node)} in {version}" for version, node in nodes.items())
            self.cautions.add(Caution(guards.shown(path), f"accepted as integer and as string, it is {kinds}"))
        listed = {version: node.get("x-kubernetes-list-type", "atomic") for version, node in nodes.items()}
        if len(set(listed.values())) > 1 and set(listed.values()) != {"atomic"}:
            lists = ", ".join(f"{how} in {version}" for version, how in listed.items())
            self.cautions.add(Caution(guards.shown(path), f"duplicates are not refused, the list is {lists}"))
        value = result.get("additionalProperties")
        if isinstance(value, Mapping):
            values = [node.get("additionalProperties") for node in nodes.values()]
            if any(isinstance(each, Mapping) and constraint(dict(value), each) for each in values):
                self.cautions.add(
                    Caution(guards.shown((*path, VALUE)), f"checked as the loosest of {', '.join(nodes)}")
                )

    def _free(self, nodes: Nodes, path: Steps) -> Schema:
        self.places.freed.add(path)
        kinds = ", ".join(f"{narrowing.kind(node)} in {version}" for version, node in nodes.items())
        if len({narrowing.kind(node) for node in nodes.values()}) > 1:
            self.cautions.add(Caution(guards.shown(path), f"not checked, it is {kinds}"))
        else:
            self.cautions.add(
                Caution(guards.shown(path), f"not checked, {', '.join(nodes)} differ too much in what it holds")
            )
        self._rules(nodes, {}, path)
        description = next((node["description"] for node in nodes.values() if "description" in node), "")
        takes_null = any(node.get("nullable") for node in nodes.values()) or _replaces_null(nodes, path)
        nullable = {"nullable": True} if takes_null else {}
        return {**({"description": description} if description else {}), **nullable, **_ANY}

    def _validations(self, nodes: Nodes, result: Schema, path: Steps) -> None:
        every = list(nodes.values())
        for keys, loosest in ((_UPPER, max), (_LOWER, min)):
            for key in keys:
                if all(key in node for node in every):
                    result[key] = loosest(node[key] for node in every)
                elif key in _SIZES and any(key in node for node in every):
                    self.places.changed.add(path)
        for key in (*_EXACT, *_LISTS):
            if all(key in node and node[key] == every[0].get(key) for node in every):
                result[key] = every[0][key]
        if all("enum" in node for node in every):
            result["enum"] = list({repr(value): value for node in every for value in node["enum"]}.values())
        required = set.intersection(*(set(node.get("required") or ()) for node in every))
        if required:
            result["required"] = sorted(required)
        for key in ("nullable", _FREE, "x-kubernetes-embedded-resource"):
            if any(node.get(key) for node in every):
                result[key] = True
        if "default" not in result and _replaces_null(nodes, path):
            result["nullable"] = True
            self.places.changed.add(path)

    def _below(self, nodes: Nodes, result: Schema, path: Steps) -> None:
        names = dict.fromkeys(name for node in nodes.values() for name in node.get("properties") or ())
        if names:
            result["properties"] = {name: self.node(_property_of(nodes, name), (*path, name)) for name in names}
        for key, step in (("items", ITEM), ("additionalProperties", VALUE)):
            having = {version: node[key] for version, node in nodes.items() if isinstance(node.get(key), Mapping)}
            if having and step == VALUE and (free := [each for each in nodes if _keeps_any_value(nodes[each])]):
                self.places.freed.add((*path, VALUE))
                reason = f"not checked, any key may have any value in {', '.join(free)}"
                self.cautions.add(Caution(guards.shown((*path, VALUE)), reason))
            elif having:
                result[key] = self.node(having, (*path, step))
        self._list_type(result, path)

    def _nulls(self, nodes: Nodes, result: Schema, path: Steps) -> None:
        """Leave to the single versions what a null decides that only some of them keep."""
        for key in nulls.DECIDED:
            skipping = [version for version, node in nodes.items() if key in node and nulls.decides(key, result, node)]
            if skipping:
                result.pop(key, None)
                reason = f"{key} not checked as {', '.join(skipping)} does, versions differ in where null is kept"
                self.cautions.add(Caution(guards.shown(path), reason))

    def _list_type(self, result: Schema, path: Steps) -> None:
        """Leave out that the list is a set or has keys where its items cannot be told apart any more."""
        how, items = result.get("x-kubernetes-list-type"), result.get("items")
        if how not in ("set", "map") or not isinstance(items, Mapping):
            return
        known, required = items.get("properties") or {}, items.get("required") or ()
        keys = [known.get(key, {}) for key in result.get("x-kubernetes-list-map-keys") or ()]
        needed = all(
            key in required or "default" in known.get(key, {}) for key in result.get("x-kubernetes-list-map-keys") or ()
        )
        scalar = all(key.get("type") in _SCALARS or narrowing.kind(key) == "integer or string" for key in keys)
        if items.get("nullable") or not needed or not scalar:
            del result["x-kubernetes-list-type"]
            result.pop("x-kubernetes-list-map-keys", None)
            self.cautions.add(Caution(guards.shown(path), "duplicates are not refused, versions differ in its items"))

    def _rules(self, nodes: Nodes, result: Schema, path: Steps) -> None:
        by_version = {version: node.get(_RULES) or [] for version, node in nodes.items()}
        common = [
            rule for rule in next(iter(by_version.values())) if all(rule in rules for rules in by_version.values())
        ]
        if common and path not in self.places.freed and not guards.reaches(common, path, self.places):
            result[_RULES] = common
        else:
            common = []
        for version, rules in by_version.items():
            self.leftover += [guards.Leftover(version, path, rule) for rule in rules if rule not in common]


def _replaces_null(nodes: Nodes, path: Steps) -> bool:
    """Whether a version takes null for an entry of a list or a map, because it has a default that replaces it."""
    return path[-1:] in ((ITEM,), (VALUE,)) and any("default" in node for node in nodes.values())


def _property_of(nodes: Nodes, name: str) -> dict[str, Schema]:
    """The property in each version; in one that keeps unknown fields and does not know it, it may have any value."""
    result = {}
    for version, node in nodes.items():
        known = (node.get("properties") or {}).get(name)
        if known is not None or node.get(_FREE):
            result[version] = _ANY if known is None else known
    return result


def _keeps_any_value(node: Mapping[str, Any]) -> bool:
    return narrowing.is_free(node) and not isinstance(node.get("additionalProperties"), Mapping)


def _kind(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {"integer", "number"}:
        return "number"
    return "integer or string" if kinds <= {"integer", "string", "integer or string"} else "anything"


def constraint(union: Schema, node: Mapping[str, Any]) -> Schema:
    """The checks of one version's `node` that `union` lacks, by keywords that a combinator's branch may have."""
    if union == node:
        return {}
    result: Schema = {
        key: own
        for key in (*_UPPER, *_LOWER, *_EXACT, "enum")
        if (own := structural.branches_of(node, key)) is not None
        and own != structural.branches_of(union, key)
        and not nulls.decides(key, union, node)
    }
    if narrowing.kind(union) == "anything" and narrowing.kind(node) != "anything":
        return _untyped(node, enum=not union.get("nullable"))
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


def _without_metadata(checks: Schema, path: Steps) -> Iterator[Steps]:
    """Take checks of fields called metadata out, in place: in a combinator an API server refuses them at any depth."""
    below = checks.get("properties") or {}
    if below.pop("metadata", None) is not None:
        yield (*path, "metadata")
    for name, child in below.items():
        yield from _without_metadata(child, (*path, name))
    if isinstance(checks.get("items"), dict):
        yield from _without_metadata(checks["items"], (*path, ITEM))
    if "properties" in checks and not below:
        del checks["properties"]


def _untyped(node: Mapping[str, Any], *, enum: bool = False) -> Schema:
    """The checks of `node` that can be made where the template has no type, and so keeps every null.

    The target drops a null that its schema does not allow, so nothing is checked here that one may violate.
    """
    result: Schema = {key: node[key] for key in (*_UNTYPED, *(["enum"] if enum else ())) if key in node}
    if node.get("required"):
        result["required"] = sorted(node["required"])
    below = {name: _untyped(child) for name, child in (node.get("properties") or {}).items()}
    if any(below.values()):
        result["properties"] = {name: checks for name, checks in below.items() if checks}
    if isinstance(node.get("items"), Mapping) and (items := _untyped(node["items"])):
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
            yield name, {"not": {}}  # this version has no such field: no value is valid
