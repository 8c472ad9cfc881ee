"""From the schema of a target to the schema of `spec.template`: the same fields, as a wish rather than an object.

What changes, and why:

- `default` goes, except for keys of map lists, which must have one: a default would be stored in the template and
  pushed as if the user had asked for it. A field that is required *and* defaulted is then no longer required.
- apiVersion, kind and metadata.name come from the federated object and its FederatedTypeConfig, so they may be absent.
- `status` is accepted and ignored.
- `required` stays below that: a template that lacks what the target needs is refused at the hub, not in each member.
  Fields that only overrides supply are named by Options.optional.
- What the root says of apiVersion, kind and metadata in allOf, anyOf, oneOf and not is true of every object; how many
  fields it has is not the template's to say. metadata.name's schema goes to the federated object's (see name).
- CEL rules: see typegen.rules. allOf, anyOf, oneOf and not: see typegen.combinators.
"""

from collections.abc import Mapping
from typing import Any

from typegen import combinators, metadata, rules, structural
from typegen.cel import ITEM, VALUE, Steps
from typegen.defaults import Default, Stripped
from typegen.model import Caution, Options, Schema, Target, Template

_CARRIED = structural.KEYWORDS - {"default", "example", "externalDocs", "id", "$schema"}
_EVEN_EMPTY = frozenset({"items", "additionalProperties", "not"})
_IDENTITY = ("apiVersion", "kind", "metadata", "status")


def template(target: Target, options: Options) -> Template:
    """What `target` becomes inside a federated object."""
    walk = _Walk(options)
    node: Schema = (
        dict(target.schema) if target.schema else {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    )
    known = {name: child for name, child in (node.get("properties") or {}).items() if name not in _IDENTITY}
    node["properties"] = known
    node["type"] = "object"
    node.pop("additionalProperties", None)
    node.pop("x-kubernetes-embedded-resource", None)
    walk.whole(node)
    schema, _ = walk.node(node, "", root=True)
    required = [name for name in schema.get("required", ()) if name not in _IDENTITY]
    schema.pop("required", None)
    if required:
        schema["required"] = required
    schema["properties"] = {
        "apiVersion": {
            "type": "string",
            "description": f"{target.resource.api_version} when left out.",
        },
        "kind": {"type": "string", "description": f"{target.resource.kind}, whatever is written here."},
        "metadata": metadata.template(),
        **schema.get("properties", {}),
        "status": metadata.status(),
    }
    return Template(schema, tuple(walk.moved), tuple(sorted({*target.cautions, *walk.cautions})))


def name(target: Target) -> tuple[Schema, list[Caution]]:
    """The schema of metadata.name for the federated object, whose name is the same; {} when there is none.

    Kubernetes allows a CRD to restrict its objects' names so.
    """
    found = []
    for each in (target.schema, *target.others.values()):
        node: Any = (each or {}).get("properties") or {}
        for step in ("metadata", "name"):
            node = node.get(step) or {}
            node = (node.get("properties") or {}) if step == "metadata" else node
        found.append({key: value for key, value in node.items() if key != "default"})
    if any(each != found[0] for each in found):
        return {}, [Caution("metadata.name", "not checked, versions differ in what it may be")]
    return found[0], []


def has_replicas(target: Target) -> bool:
    """Whether the target has spec.replicas as a number, so that retainReplicas means something."""
    if target.resource.scale == ".spec.replicas":
        return True
    node: Any = target.schema or {}
    for name in ("spec", "replicas"):
        node = (node.get("properties") or {}).get(name) or {}
    return bool(node.get("type") == "integer")


class _Walk:
    """One pass from the root down; collects cautions on its way."""

    def __init__(self, options: Options) -> None:
        self.optional = frozenset(options.optional)
        self.cautions: list[Caution] = []
        self.moved: list[dict[str, Any]] = []

    def whole(self, node: Schema) -> None:
        """Take out of the root, in place, what is said of the object that a template is not."""
        for keyword in ("minProperties", "maxProperties"):
            if node.pop(keyword, None) is not None:
                self.cautions.append(Caution(".", f"{keyword} left out, a template has fewer fields than its object"))
        for keyword in combinators.KEYWORDS:
            if node.get(keyword) is None:
                continue
            try:
                node[keyword] = combinators.without_identity(node[keyword])
            except combinators.Unclear as unclear:
                del node[keyword]
                reason = f"it speaks of {unclear}, which a template lacks"
                self.cautions.append(Caution(".", f"{keyword} left out, {reason}"))

    def node(
        self,
        source: Mapping[str, Any],
        path: str,
        *,
        keep: bool = False,
        keys: tuple[str, ...] = (),
        root: bool = False,
    ) -> tuple[Schema, dict[Steps, Default]]:
        """The node for the template, and the fields below it (relative) whose default was taken away.

        `keep` leaves the node's own default, `keys` are the properties that are keys of the list it is an item of.
        """
        # An API server would store the schema without what is empty, so it is not written.
        result = {
            key: value
            for key, value in source.items()
            if key in _CARRIED and (value or value in (False, 0) or (key in _EVEN_EMPTY and value is not None))
        }
        for keyword in () if structural.KEYWORDS.issuperset(source) else sorted(source.keys() - structural.KEYWORDS):
            self.cautions.append(Caution(path or ".", f"{keyword} left out, Kubernetes knows no such keyword"))
        if keep and "default" in source:
            result["default"] = source["default"]
        stripped: dict[Steps, Default] = {}
        own: set[str] = set()
        if source.get("properties"):
            children = {}
            for name, child in source["properties"].items():
                children[name], below = self.node(child, f"{path}.{name}" if path else name, keep=name in keys)
                stripped.update(((name, *steps), gone) for steps, gone in below.items())
                if "default" in child and name not in keys:
                    own.add(name)
                    stripped[name,] = _default(child)
            result["properties"] = children
        if isinstance(source.get("items"), Mapping):
            item_keys = tuple(source.get("x-kubernetes-list-map-keys") or ())
            result["items"], below = self.node(source["items"], f"{path}[]", keys=item_keys)
            stripped.update(((ITEM, *steps), gone) for steps, gone in below.items())
        if isinstance(source.get("additionalProperties"), Mapping):
            result["additionalProperties"], below = self.node(source["additionalProperties"], f"{path}{{}}")
            stripped.update(((VALUE, *steps), gone) for steps, gone in below.items())
        self._required(result, path, own)
        if stripped:
            self._combinators(source, result, path)
        if source.get("x-kubernetes-validations"):
            self._rules(source, result, path, stripped, root=root)
        return result, stripped

    def _required(self, node: Schema, path: str, defaulted: set[str]) -> None:
        if not isinstance(node.get("required"), list | tuple):
            return
        prefix = f"{path}." if path else ""
        lifted = "*" in self.optional
        required = sorted(
            name
            for name in set(node.pop("required"))
            if name not in defaulted and not lifted and f"{prefix}{name}" not in self.optional
        )
        if required:
            node["required"] = required

    def _combinators(self, source: Mapping[str, Any], node: Schema, path: str) -> None:
        for name in combinators.KEYWORDS:
            if name not in node:
                continue
            try:
                node[name] = combinators.carry(source[name], source)
            except combinators.Unclear as unclear:
                del node[name]
                self.cautions.append(
                    Caution(path or ".", f"{name} left out, it speaks of {unclear}, whose default is not kept")
                )

    def _rules(self, source: Mapping[str, Any], node: Schema, path: str, stripped: Stripped, *, root: bool) -> None:
        carried = rules.carry(source, stripped, path or ".", root=root)
        self.cautions += carried.cautions
        self.moved += carried.moved
        del node["x-kubernetes-validations"]
        if carried.kept:
            node["x-kubernetes-validations"] = carried.kept


def _default(node: Mapping[str, Any]) -> Default:
    items = node.get("items")
    entries = "" if not isinstance(items, Mapping) or items.get("format") else str(items.get("type", ""))
    return Default(node["default"], str(node.get("type", "")), str(node.get("format", "")), entries)
