"""Make the federated object for one plain object: template, placement, overrides.

The result is checked by the controller's own functions (core.parsing, core.manifest), so that every override in it can
be applied.
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
    """A federated object, and messages about what was left out of its template."""

    document: Body
    remarks: tuple[str, ...] = ()


def wrap(found: Mapping[str, Any], type: FederatedType, wish: Wish) -> Wrapped:  # noqa: A002
    """The federated object. Raises Invalid when `found` cannot be a template, or an override cannot be applied.

    A FederatedNamespace gets no template: labels of the host's Namespace are often set by the host's platform and would
    be forced on the members. The annotation kubefed.io/copy-namespace-metadata copies them without force.
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
    _check(document, cleaned, type)
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
        for op in (change.op,) if change.op else (overrides.DEFAULT, "add"):
            operation = Operation(op, change.path, change.value)
            try:
                if not change.op and overrides.creates(body, [operation]):
                    continue
                body = overrides.apply(body, [operation])
            except Invalid as error:
                tried = error
                continue
            named = {} if op == overrides.DEFAULT else {"op": op}
            value = {"value": change.value} if overrides.OPS[op].takes_value else {}
            made.append({**named, "path": change.path, **value})
            break
        else:
            raise Invalid(f"override for {cluster}", tried.message if tried else "does not fit")
    return made


def _check(document: Body, cleaned: Cleaned, type: FederatedType) -> None:  # noqa: A002
    """Raise Invalid where the hub or the controller would refuse the object, or one of the overrides."""
    checks.dns_1123(cleaned.name, "metadata.name")  # the hub's rule for custom resources, so no ClusterRole system:x
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
