"""Make the schema of `spec.template` from the schema of a target. These things change:

- `default` is removed, because defaults would be stored in the template, and pushed as if the user had set them. It
stays for keys of map lists, which must have one, and for entries of lists and maps, where it replaces an explicit null.
So a field that is required *and* has a default is no longer required, and minProperties is reduced by one for each
field with a default. - apiVersion, kind and metadata.name come from the federated object and its FederatedTypeConfig,
so they may be absent. - `status` is accepted and ignored. - `required` stays everywhere else: a template that lacks a
field is refused at the hub, not in each member. Fields that only overrides set are named by Options.optional. - Checks
of apiVersion, kind and metadata in allOf, anyOf, oneOf and not at the root are removed, because they are true for every
object; so are limits for the number of its fields. The schema of metadata.name goes to the federated object's metadata
(see name). - CEL rules: see typegen.rules. allOf, anyOf, oneOf and not: see typegen.combinators.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from typegen import combinators, metadata, rules, structural
from typegen.cel import ITEM, VALUE, Steps
from typegen.defaults import Default, Stripped
from typegen.model import Caution, Options, Schema, Target, Template

_CARRIED = structural.KEYWORDS - {"default", "example", "externalDocs", "id", "$schema"}
_EVEN_EMPTY = frozenset({"items", "additionalProperties", "not"})
_IDENTITY = ("apiVersion", "kind", "metadata", "status")


def template(target: Target, options: Options) -> Template:
    """The template's schema for `target`."""
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

    A CRD may restrict its objects' names in this way.
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


def fields(node: Any, path: str = "") -> Iterator[str]:
    """The path of every field below a node, as Options.optional names them."""
    if not isinstance(node, Mapping):
        return
    properties = node.get("properties") or {}
    for field in {**properties, **dict.fromkeys(node.get("required") or ())}:
        below = f"{path}.{field}" if path else field
        yield below
        yield from fields(properties.get(field), below)
    yield from fields(node.get("items"), f"{path}[]")
    yield from fields(node.get("additionalProperties"), f"{path}{{}}")


def has_replicas(target: Target) -> bool:
    """Whether the target has spec.replicas as a number, so that retainReplicas has an effect."""
    if target.resource.scale == ".spec.replicas":
        return True
    node: Any = target.schema or {}
    for name in ("spec", "replicas"):
        node = (node.get("properties") or {}).get(name) or {}
    return bool(node.get("type") == "integer")


class _Walk:
    """Converts a schema from the root down, and collects cautions."""

    def __init__(self, options: Options) -> None:
        self.optional = frozenset(options.optional)
        self.cautions: list[Caution] = []
        self.moved: list[dict[str, Any]] = []

    def whole(self, node: Schema) -> None:
        """Remove from the root, in place, checks of the object as a whole, which a template is not."""
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
                reason = f"it checks {unclear}, which a template lacks"
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
        """The node for the template, and the fields below it (relative) whose default was removed.

        `keep` keeps the node's own default; `keys` are those of the list that it is an item of.
        """
        # An API server stores the schema without empty keywords, so they are left out.
        result = {
            key: value
            for key, value in source.items()
            if key in _CARRIED and (value or value in (False, 0) or (key in _EVEN_EMPTY and value is not None))
        }
        for keyword in () if structural.KEYWORDS.issuperset(source) else sorted(source.keys() - structural.KEYWORDS):
            self.cautions.append(Caution(path or ".", f"{keyword} left out, Kubernetes does not know this keyword"))
        if keep and "default" in source:
            result["default"] = _without_nulls(source, source["default"])
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
            result["items"], below = self.node(source["items"], f"{path}[]", keep=True, keys=item_keys)
            stripped.update(((ITEM, *steps), gone) for steps, gone in below.items())
        if isinstance(source.get("additionalProperties"), Mapping):
            result["additionalProperties"], below = self.node(source["additionalProperties"], f"{path}{{}}", keep=True)
            stripped.update(((VALUE, *steps), gone) for steps, gone in below.items())
        self._required(result, path, own)
        if own and "minProperties" in result:
            # The target counts its fields after defaults were filled in, so fewer may be enough.
            result["minProperties"] = max(result["minProperties"] - len(own), 0)
            if not result["minProperties"]:
                del result["minProperties"]
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
                    Caution(path or ".", f"{name} left out, it checks {unclear}, whose default is not kept")
                )

    def _rules(self, source: Mapping[str, Any], node: Schema, path: str, stripped: Stripped, *, root: bool) -> None:
        carried = rules.carry(source, stripped, path or ".", root=root)
        self.cautions += carried.cautions
        self.moved += carried.moved
        del node["x-kubernetes-validations"]
        if carried.kept:
            node["x-kubernetes-validations"] = carried.kept


def _without_nulls(node: Mapping[str, Any], value: Any) -> Any:
    """The default of `node` without nulls that stood for the defaults of its fields, which are removed."""
    if isinstance(value, list) and isinstance(node.get("items"), Mapping):
        return [_without_nulls(node["items"], entry) for entry in value]
    if not isinstance(value, dict):
        return value
    known = node.get("properties") or {}
    result = {}
    for name, child in value.items():
        own = known.get(name) or {}
        if child is not None or "default" not in own or own.get("nullable"):
            result[name] = _without_nulls(own or _values(node), child)
    return result


def _values(node: Mapping[str, Any]) -> Mapping[str, Any]:
    found = node.get("additionalProperties")
    return found if isinstance(found, Mapping) else {}


def _default(node: Mapping[str, Any]) -> Default:
    items = node.get("items")
    entries = "" if not isinstance(items, Mapping) or items.get("format") else str(items.get("type", ""))
    nullable = bool(node.get("nullable"))
    return Default(node["default"], str(node.get("type", "")), str(node.get("format", "")), entries, nullable)
