"""The schema of metadata in a template: all fields of the target's, of which only some are propagated.

Every field of Kubernetes' ObjectMeta is declared, so that YAML exported from a cluster (`creationTimestamp: null`,
`uid`, `managedFields`) passes strict validation and server-side apply, while a misspelt field does not.
"""

from typegen.model import Schema

_TIME: Schema = {"type": "string", "format": "date-time", "nullable": True}
_TEXT: Schema = {"type": "string"}
_MAP: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_NUMBER: Schema = {"type": "integer", "format": "int64"}
_ANY: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def nested() -> Schema:
    """ObjectMeta anywhere inside the target, e.g. of a pod template."""
    return {
        "type": "object",
        "properties": {
            "annotations": _MAP,
            "creationTimestamp": _TIME,
            "deletionGracePeriodSeconds": _NUMBER,
            "deletionTimestamp": _TIME,
            "finalizers": {"type": "array", "items": _TEXT},
            "generateName": _TEXT,
            "generation": _NUMBER,
            "labels": _MAP,
            "managedFields": {"type": "array", "items": _ANY},
            "name": _TEXT,
            "namespace": _TEXT,
            "ownerReferences": {"type": "array", "items": _ANY},
            "resourceVersion": _TEXT,
            "selfLink": _TEXT,
            "uid": _TEXT,
        },
    }


def template() -> Schema:
    """spec.template.metadata."""
    schema = nested()
    properties = schema["properties"]
    schema["description"] = (
        "Labels and annotations are propagated key by key. Name and namespace are the federated object's own; "
        "what a server sets (uid, resourceVersion, ...) is ignored."
    )
    properties["finalizers"] = {
        **properties["finalizers"],
        "description": "Not propagated from a template: only an override may set finalizers.",
    }
    return schema


def status() -> Schema:
    """spec.template.status: accepted because exported YAML has it (`status: {}`), never propagated."""
    return {**_ANY, "description": "Ignored: status belongs to the members."}
