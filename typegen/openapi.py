"""Make a target of an API server's OpenAPI document, v3 or v2: inline references, and make the schema structural.

The document is that of /openapi/v3/... or /openapi/v2; `resources` lists its types, `target` is passed on to
typegen.federate. Keywords that Kubernetes' documents use and a CRD may not have are converted here, so that the rest of
typegen has only one kind of schema.
"""

from collections.abc import Mapping
from typing import Any

from typegen import discovery, metadata, structural
from typegen.model import ApiResource, Caution, Schema, Target, Unusable

KEPT = frozenset(
    {
        *("type", "format", "title", "description", "default", "enum", "nullable", "pattern", "required"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
        *("minItems", "maxItems", "minProperties", "maxProperties"),
        *("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string"),
        *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-validations"),
    }
)
"""The keywords with the same meaning in a CRD; all others (patch strategies, unions) have none there."""

QUANTITY = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+))?$"
_REFERENCES = ("#/components/schemas/", "#/definitions/")
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_FREE: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_MOST_NODES = 50_000
"""Nodes of one type with its references inlined: a few thousand in Kubernetes' own."""
_DEEPEST = 100
"""Levels of them; Kubernetes' own have less than 25."""
_SHOWN = 100


def is_document(document: Mapping[str, Any]) -> bool:
    """Whether this is an OpenAPI document, or the index that /openapi/v3 itself serves."""
    return "openapi" in document or "swagger" in document or _is_index(document)


def _is_index(document: Mapping[str, Any]) -> bool:
    paths = document.get("paths")
    return "kind" not in document and isinstance(paths, Mapping) and "api/v1" in paths


def verbs(document: Mapping[str, Any]) -> dict[tuple[str, str], frozenset[str]]:
    """The actions for each resource, by (apiVersion, plural), with OpenAPI's names (list, post, watchlist, ...)."""
    found: dict[tuple[str, str], set[str]] = {}
    for path, item in (document.get("paths") or {}).items():
        steps = [step for step in path.split("/") if step and step != "watch"]
        plural = next((step for step in reversed(steps) if not step.startswith("{")), "")
        if len(steps) > 2 and steps[-2] == "{name}":
            continue  # a subresource
        for action in item.values() if isinstance(item, Mapping) else ():
            gvk = action.get("x-kubernetes-group-version-kind") if isinstance(action, Mapping) else None
            if isinstance(gvk, Mapping):
                group, version = gvk.get("group"), gvk.get("version")
                name = f"{group}/{version}" if group else str(version)
                found.setdefault((name, plural), set()).add(str(action.get("x-kubernetes-action")))
    return {name: frozenset(actions) for name, actions in found.items()}


def resources(document: Mapping[str, Any]) -> tuple[ApiResource, ...]:
    """The resources whose paths the document lists, without short names (only discovery has them)."""
    if _is_index(document):
        raise Unusable("this is only the index of /openapi/v3: save /openapi/v2, or one of the paths that it names")
    try:
        return _resources(document.get("paths") or {})
    except (AttributeError, KeyError, TypeError) as error:
        raise Unusable("the OpenAPI document's paths cannot be read") from error


def _resources(paths: Mapping[str, Any]) -> tuple[ApiResource, ...]:
    found: dict[tuple[str, str, str], ApiResource] = {}
    for path, item in paths.items():
        for action in (item.get("get"), item.get("post")):
            if not action or action.get("x-kubernetes-action") not in ("list", "post"):
                continue
            gvk = action.get("x-kubernetes-group-version-kind") or {}
            plural = path.rstrip("/").rpartition("/")[2]
            if not gvk or plural.startswith("{") or "/watch/" in path:
                continue
            namespaced = "/namespaces/{namespace}/" in path
            key = (gvk["group"], plural, gvk["version"])
            known = found.get(key)
            if known and (known.namespaced or not namespaced):
                continue
            if "{" in path.replace("{namespace}", ""):
                continue  # a subresource such as pods/{name}/binding
            scaled = f"{path.rstrip('/')}/{{name}}/scale" in paths
            found[key] = ApiResource(
                group=gvk["group"],
                version=gvk["version"],
                kind=gvk["kind"],
                plural=plural,
                singular=gvk["kind"].lower(),
                namespaced=namespaced,
                scale=discovery.REPLICAS if scaled else "",
            )
    return tuple(found[key] for key in sorted(found))


def target(document: Mapping[str, Any], resource: ApiResource) -> Target:
    """The target for `resource` with the schema that `document` gives its kind.

    Raises Unusable when the document is not an OpenAPI document or does not define the kind.
    """
    if not str(document.get("openapi", document.get("swagger", ""))).startswith(("3.", "2.")):
        raise Unusable("not an OpenAPI document: save one with `kubectl get --raw /openapi/v3/apis/apps/v1`")
    wanted = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    try:
        schemas: Mapping[str, Any] = _schemas(document)
        for name in sorted(schemas):
            if wanted in (schemas[name].get("x-kubernetes-group-version-kind") or ()):
                conversion = _Conversion(schemas)
                schema = conversion.root(name)
                _add_status(schema, schemas, name)
                _check(schema, resource)
                return Target(resource, schema, tuple(sorted(conversion.cautions)))
    except (AttributeError, KeyError, TypeError) as error:
        raise Unusable(f"the OpenAPI document's definition of {resource.kind} cannot be read") from error
    raise Unusable(f"the OpenAPI document does not define {resource.kind} in {resource.api_version}")


def _schemas(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return (document.get("components") or {}).get("schemas") or document.get("definitions") or {}


def _add_status(schema: Schema, schemas: Mapping[str, Any], name: str) -> None:
    """The status, without cautions about it: typegen.remotestatus removes most checks anyway."""
    status = (schemas[name].get("properties") or {}).get("status")
    if isinstance(status, Mapping):
        schema["properties"]["status"] = _Conversion(schemas).node(status, "status", (name,))


def _check(schema: Schema, resource: ApiResource) -> None:
    problem = next(structural.malformed(schema), None) or next(iter(structural.violations(schema)), None)
    if problem is not None:
        raise Unusable(f"the OpenAPI document's definition of {resource.kind} cannot be used: {problem}")


class _Conversion:
    """Converts the definitions that a kind refers to."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self.schemas = schemas
        self.cautions: set[Caution] = set()
        self._nodes = self._level = 0

    def root(self, name: str) -> Schema:
        # typegen.schema replaces metadata and status; converting them would only produce cautions about them.
        source = dict(self.schemas[name])
        known = source.get("properties") or {}
        source["properties"] = {key: child for key, child in known.items() if key not in ("metadata", "status")}
        return self.node(source, "", (name,))

    def node(self, source: Mapping[str, Any], path: str, stack: tuple[str, ...], keys: tuple[str, ...] = ()) -> Schema:
        """The node at `path`; `keys` are its properties that are keys of the list that it is an item of."""
        self._nodes += 1
        if self._nodes > _MOST_NODES or self._level >= _DEEPEST:
            raise Unusable(
                f"{path[:_SHOWN]}: what its definition refers to is more than any type has: "
                f"{_MOST_NODES} fields, {_DEEPEST} levels"
            )
        self._level += 1
        try:
            return self._node(source, path, stack, keys)
        finally:
            self._level -= 1

    def _node(self, source: Mapping[str, Any], path: str, stack: tuple[str, ...], keys: tuple[str, ...]) -> Schema:
        reference = _reference(source)
        if reference:
            resolved = self._referenced(reference, path, stack, keys)
            return {**resolved, **{key: value for key, value in source.items() if key in KEPT}}
        special = _special(source)
        if special is not None:
            return special
        result = {key: value for key, value in source.items() if key in KEPT}
        if source.get("properties"):
            result["properties"] = {
                name: self._property(
                    child, f"{path}.{name}" if path else name, stack, name in result.get("required", ()), name in keys
                )
                for name, child in source["properties"].items()
            }
        if source.get("items"):
            item_keys = tuple(source.get("x-kubernetes-list-map-keys") or ())
            result["items"] = self.node(source["items"], f"{path}[]", stack, item_keys)
        self._additional(source, result, path, stack)
        return self._structural(self._combined(source, result, path), path)

    def _combined(self, source: Mapping[str, Any], result: Schema, path: str) -> Schema:
        for combinator in structural.COMBINATORS:
            if combinator not in source:
                continue
            carried = {**result, combinator: source[combinator]}
            if any(structural.value_validations(carried, path)):
                self.cautions.add(Caution(path, f"{combinator} left out, a CRD cannot express it"))
            else:
                result = carried
        return result

    def _referenced(self, name: str, path: str, stack: tuple[str, ...], keys: tuple[str, ...]) -> Schema:
        if name == _OBJECT_META:
            return metadata.nested()
        if name == _QUANTITY:  # the v2 document calls it a string, but it may be a number, too
            return _quantity({key: self.schemas[name][key] for key in ("description",) if key in self.schemas[name]})
        if name in stack:
            self.cautions.add(Caution(path, f"{name.rpartition('.')[2]} contains itself: unchecked from here on"))
            known = {"type": "object"} if self.schemas[name].get("type") == "object" else {}
            return {**known, **_FREE}
        if name not in self.schemas:
            raise Unusable(f"{path}: the OpenAPI document refers to {name}, which it does not define")
        return self.node(self.schemas[name], path, (*stack, name), keys)

    def _property(
        self, child: Mapping[str, Any], path: str, stack: tuple[str, ...], required: bool, key: bool
    ) -> Schema:
        node = self.node(child, path, stack)
        # The document has Go's zero values as defaults ("" for a required name); the server has no such defaults.
        if "default" in node and not node["default"] and (required or not key):
            node = {name: value for name, value in node.items() if name != "default"}
        return node

    def _additional(self, source: Mapping[str, Any], result: Schema, path: str, stack: tuple[str, ...]) -> None:
        additional = source.get("additionalProperties")
        if isinstance(additional, Mapping) and "properties" not in source:
            value = self.node(additional, f"{path}{{}}", stack)
            value.pop("default", None)
            result["additionalProperties"] = value
        elif additional or (additional is None and source.get("type") == "object" and not source.get("properties")):
            result["x-kubernetes-preserve-unknown-fields"] = True

    def _structural(self, node: Schema, path: str) -> Schema:
        if "type" not in node and not node.get("x-kubernetes-int-or-string"):
            node["x-kubernetes-preserve-unknown-fields"] = True
        for keyword, kind in (("x-kubernetes-list-type", "array"), ("x-kubernetes-map-type", "object")):
            if node.get("type") != kind:
                node.pop(keyword, None)  # caBundle is bytes: a list in Go, text in JSON
        if node.get("type") == "array":
            node.setdefault("items", dict(_FREE))
            node["items"].pop("default", None)
        if node.get("x-kubernetes-list-type") == "map":
            item = node["items"]
            known, required = item.get("properties", {}), item.get("required", ())
            keys = node.get("x-kubernetes-list-map-keys", ())
            if not all(key in known and (key in required or "default" in known[key]) for key in keys):
                del node["x-kubernetes-list-map-keys"]
                node["x-kubernetes-list-type"] = "atomic"
                self.cautions.add(Caution(path, "its keys may be absent, so the list is merged as a whole at the hub"))
        return node


def _reference(source: Mapping[str, Any]) -> str:
    every: Any = source.get("allOf")
    only = every[0] if isinstance(every, list) and len(every) == 1 else source
    name = str(only.get("$ref", ""))
    return next((name.removeprefix(prefix) for prefix in _REFERENCES if name.startswith(prefix)), name)


def _special(source: Mapping[str, Any]) -> Schema | None:
    """IntOrString and Quantity, which have `oneOf` and no type in the document."""
    types = {branch.get("type") for branch in source.get("oneOf") or ()}
    own = {key: source[key] for key in ("description", "default") if key in source}
    if source.get("format") == "int-or-string" or types == {"integer", "string"}:
        return {**own, "x-kubernetes-int-or-string": True}
    if types == {"number", "string"}:
        return _quantity(own)
    return None


def _quantity(own: Schema) -> Schema:
    # It may be 0.5, which int-or-string refuses: so it has no type, but a string must match the pattern.
    return {**own, "x-kubernetes-preserve-unknown-fields": True, "pattern": QUANTITY, "maxItems": 0}
