"""The schema of a custom type as in its CRD, from the OpenAPI v3 document that an API server publishes.

Every authenticated user may read that document, but hardly anybody a member's CRDs. It has the CRD's schema and what
apiextensions (pkg/controller/openapi/builder) adds for clients: metadata by reference, and required fields of embedded
resources. That is removed here, so that a CRD fits the member that serves it. `openapi`, which reads built-in types,
cannot be used: it drops defaults that are Go's zero values, which are intended in a CRD.
"""

from collections.abc import Mapping
from typing import Any

from typegen import structural
from typegen.model import ApiResource, Schema, Unusable

_OBJECT_META = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def schema(document: Mapping[str, Any], resource: ApiResource) -> Schema | None:
    """The schema of the whole object; None when it refers to other definitions, and so was not made from a CRD.

    Raises Unusable when `document` does not define the kind, or its definition is malformed.
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
    if structural.is_too_deep(definition):
        raise Unusable(f"the OpenAPI document's definition of {resource.kind} cannot be used: it nests too deep")
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
