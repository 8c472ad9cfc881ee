"""The schema of a custom type in the CRD's own words, from the OpenAPI v3 document that an API server publishes of it.

Every authenticated user may read that document, and hardly anybody a member's CRDs. It is the CRD's schema but for what
apiextensions (pkg/controller/openapi/builder) adds for clients, metadata by reference and what embedded resources must
have; that is taken back here, so that a CRD fits the member that serves it. The reader of built-in types (`openapi`)
would not do: it drops defaults that look like Go's zero values, which in a CRD are meant.
"""

from collections.abc import Mapping
from typing import Any

from typegen import structural
from typegen.model import ApiResource, Schema, Unusable

_OBJECT_META = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def schema(document: Mapping[str, Any], resource: ApiResource) -> Schema | None:
    """The schema of the whole object; None when it refers to other definitions, so that it was made from no CRD.

    Raises Unusable when `document` does not define the kind, or in words that are no schema.
    """
    wanted = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    try:
        definitions = (document.get("components") or {}).get("schemas") or {}
        for name in sorted(definitions):
            if wanted in (definitions[name].get("x-kubernetes-group-version-kind") or ()):
                return _own(definitions[name], resource)
    except (AttributeError, TypeError) as error:
        raise Unusable(f"the OpenAPI document's definition of {resource.kind} cannot be read") from error
    raise Unusable(f"the OpenAPI document does not define {resource.kind} in {resource.api_version}")


def _own(definition: Mapping[str, Any], resource: ApiResource) -> Schema | None:
    try:
        found = _node(definition)
    except _RefersToAnother:
        return None
    problem = next(structural.malformed(found), None)
    if problem is not None:
        raise Unusable(f"the OpenAPI document's definition of {resource.kind} cannot be used: {problem}")
    return found


class _RefersToAnother(Exception):
    pass


def _node(source: Mapping[str, Any]) -> Schema:
    references = [source, *source.get("allOf", ())]
    if any("$ref" in each for each in references):
        if all(each.get("$ref", _OBJECT_META) == _OBJECT_META for each in references):
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        raise _RefersToAnother
    result = dict(source)
    if isinstance(source.get("properties"), Mapping):
        result["properties"] = {name: _node(child) for name, child in source["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(source.get(key), Mapping):
            result[key] = _node(source[key])
    if source.get("x-kubernetes-embedded-resource"):
        result["required"] = [name for name in source.get("required") or () if name not in ("apiVersion", "kind")]
    return result
