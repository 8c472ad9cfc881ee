"""Make the federated object for one plain object: template, placement, overrides; the heart of `federate`.

What is made is given to the controller's own functions (core.parsing, core.manifest) before it is handed out, so that
no override that does not fit leaves here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from federation.core import checks, manifest, overrides, parsing
from federation.federating import cleaning
from federation.federating.cleaning import Cleaned
from federation.federating.wishes import Change, Wish
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Metadata, Operation
from federation.model.resources import ObjectName

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A federated object, and sentences about what was left out of its template."""

    document: Body
    remarks: tuple[str, ...] = ()


def wrap(found: Mapping[str, Any], type: FederatedType, wish: Wish) -> Wrapped:  # noqa: A002
    """The federated object. Raises Invalid when `found` cannot stand in a template or an override does not fit it.

    A FederatedNamespace gets no template: it lives in the namespace it names, whose labels and annotations it takes
    from the host's Namespace, so that a second copy of them would only be one to forget.
    """
    cleaned = cleaning.clean(found)
    template = cleaned.template
    if template.get("apiVersion") == type.target.api_version:
        template = {key: value for key, value in template.items() if key != "apiVersion"}
    namespace = cleaned.name if type.is_namespace else cleaned.namespace
    spec: Body = {} if type.is_namespace else {"template": template}
    spec["placement"] = wish.placement
    if made := _overrides(cleaned, type, wish):
        spec["overrides"] = made
    metadata: Body = {"name": cleaned.name}
    if namespace:
        metadata["namespace"] = namespace
    document = {
        "apiVersion": type.federated.api_version,
        "kind": type.federated.kind,
        "metadata": metadata | cleaned.metadata,
        "spec": spec,
    }
    _prove(document, cleaned, type)
    return Wrapped(document, cleaned.dropped)


def _overrides(cleaned: Cleaned, type: FederatedType, wish: Wish) -> list[Body]:  # noqa: A002
    if not wish.changes:
        return []
    body = {"apiVersion": type.target.api_version, "kind": type.target.kind, "metadata": {}, **cleaned.template}
    return [
        {"clusterName": cluster, "clusterOverrides": _operations(body, cluster, changes)}
        for cluster, changes in wish.changes.items()
    ]


def _operations(body: Body, cluster: str, changes: tuple[Change, ...]) -> list[Body]:
    made: list[Body] = []
    for change in changes:
        tried: Invalid | None = None
        for op in (change.op,) if change.op else ("replace", "add"):
            try:
                body = overrides.apply(body, [Operation(op, change.path, change.value)])
            except Invalid as error:
                tried = error
                continue
            named = {} if op == "replace" else {"op": op}
            value = {} if op == "remove" else {"value": change.value}
            made.append({**named, "path": change.path, **value})
            break
        else:
            raise Invalid(f"override for {cluster}", tried.message if tried else "does not fit")
    return made


def _prove(document: Body, cleaned: Cleaned, type: FederatedType) -> None:  # noqa: A002
    """Raise Invalid where the hub or the controller would: the object as a whole, then each cluster's overrides."""
    checks.dns_1123(cleaned.name, "metadata.name")  # the hub's rule for custom resources: no ClusterRole system:x
    try:
        raw = orjson.dumps(document["spec"])
    except TypeError as error:  # a whole number of more than 64 bits
        raise Invalid("", f"cannot be sent to an API server: {error}") from None
    spec = parsing.spec(raw, namespaces=type.is_namespace)
    metadata = cleaned.template.get("metadata") or {}
    host = Metadata(cleaned.name, labels=metadata.get("labels") or {}, annotations=metadata.get("annotations") or {})
    where = ObjectName(cleaned.namespace, cleaned.name)
    base = manifest.base(spec, type, where, host_namespace=host if type.is_namespace else None)
    manifest.finish(base, ())
    for cluster, operations in spec.overrides.items():
        try:
            manifest.finish(base, operations)
        except Invalid as error:
            raise Invalid(f"override for {cluster}", str(error)) from None
