"""Make the manifest that a member should hold; called by planning, once per object and once per overridden cluster.

KubeFed's order (pkg/controller/sync/dispatch/managed.go): template, identity, overrides, managed label. What only a
server sets, nulls and status are left out, because server-side apply would refuse them or take them at their word
("" for a null label). Template annotations travel, which KubeFed refused.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from federation.core import checks, digests, duplicates, overrides
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Metadata, Operation, Spec
from federation.model.resources import ObjectName

_SERVER_SET = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
        "generateName",
    }
)
_NOT_PROPAGATED = frozenset(
    {
        marks.MANAGED_LABEL,
        marks.ORPHAN_ANNOTATION,
        marks.DELETE_OPTION_ANNOTATION,
        marks.RECREATE_ANNOTATION,
        "kubectl.kubernetes.io/last-applied-configuration",
    }
)
_NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
_PREFIX = b'{"metadata":{'


@dataclass(frozen=True, slots=True)
class Base:
    """The manifest before overrides. `body` is shared by all clusters: never change it.

    `warnings` are sentences about template fields that were left out; they do not depend on the cluster.
    """

    body: dict[str, Any]
    type: FederatedType
    where: ObjectName
    warnings: tuple[str, ...] = ()


def base(spec: Spec, type: FederatedType, where: ObjectName, *, host_namespace: Metadata | None) -> Base:  # noqa: A002
    """The part of the manifest that all clusters share. Raises Invalid naming a field under spec.template.

    `host_namespace` is the hub's Namespace: a FederatedNamespace without a template takes its labels and annotations.
    """
    template = spec.template
    warnings: list[str] = []
    if template is None:
        body: dict[str, Any] = {}
        metadata = _metadata_of_namespace(host_namespace)
    else:
        body = dict(template)
        body.pop("status", None)
        if b"null" in orjson.dumps(body):
            body = _without_nulls(body)
        metadata = _metadata_of_template(body.get("metadata"), warnings)
        kind = body.get("kind") or type.target.kind
        if kind != type.target.kind:
            raise Invalid(
                "spec.template.kind", f"is {checks.quote(kind)}, but {type.name} federates {type.target.kind}"
            )
    body["apiVersion"] = _api_version(body, type, "spec.template.apiVersion")
    body["kind"] = type.target.kind
    body["metadata"] = metadata
    metadata["name"] = where.name
    if type.target.namespaced:
        metadata["namespace"] = where.namespace
    duplicates.check(body, type.target, "spec.template")
    return Base(body, type, where, tuple(warnings))


def finish(base: Base, operations: Sequence[Operation]) -> dict[str, Any]:
    """One cluster's manifest: overrides, the managed label, and identity once more. `base` stays as it is.

    Raises Invalid when an override does not fit, naming its index and path.
    """
    body = dict(base.body) if not operations else _overridden(base, operations)
    metadata = dict(body["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), marks.MANAGED_LABEL: "true"}
    body["metadata"] = metadata
    if "stringData" in body and base.type.target.qualified == "secrets":
        _fold_string_data(body)
    return body


def digest(manifest: Mapping[str, Any]) -> tuple[bytes, str]:
    """The manifest as JSON with sorted keys, and 8 characters (48 bits) that tell it from any other.

    metadata comes first, so that `addressed` can add to it without encoding again.
    """
    rest = dict(manifest)
    metadata = orjson.dumps(rest.pop("metadata"), option=orjson.OPT_SORT_KEYS)
    content = b'{"metadata":' + metadata + b"," + orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)[1:]
    return content, digests.short(content)


def addressed(content: bytes, *, uid: str = "", resource_version: str = "") -> bytes:
    """Content of `digest` with metadata.uid or metadata.resourceVersion put in: preconditions of one apply.

    A uid refuses an object that was re-created since; resourceVersion "1" refuses any that exists.
    """
    if not content.startswith(_PREFIX):
        raise ValueError("content does not come from digest()")
    extra = b""
    if resource_version:
        extra += b'"resourceVersion":' + orjson.dumps(resource_version) + b","
    if uid:
        extra += b'"uid":' + orjson.dumps(uid) + b","
    return _PREFIX + extra + content[len(_PREFIX) :] if extra else content


def replicas_of(manifest: Mapping[str, Any]) -> int | None:
    """spec.replicas where the manifest sets it to a whole number."""
    spec = manifest.get("spec")
    replicas = spec.get("replicas") if isinstance(spec, dict) else None
    return replicas if isinstance(replicas, int) and not isinstance(replicas, bool) else None


def without_replicas(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest without spec.replicas, which the member's autoscaler owns (retainReplicas)."""
    body = dict(manifest)
    if isinstance(body.get("spec"), dict):
        body["spec"] = {name: value for name, value in body["spec"].items() if name != "replicas"}
    return body


def _metadata_of_template(value: object, warnings: list[str]) -> dict[str, Any]:
    source = checks.mapping(value, "spec.template.metadata")
    metadata: dict[str, Any] = {}
    for name, content in source.items():
        if name in ("labels", "annotations"):
            kept = _string_map(content, f"spec.template.metadata.{name}")
            if kept:
                metadata[name] = kept
        elif name == "finalizers":
            warnings.append(
                "spec.template.metadata.finalizers is not propagated: nobody in a member would remove them; "
                "an override may set them for a cluster where somebody does"
            )
        elif name == "ownerReferences":
            warnings.append(
                "spec.template.metadata.ownerReferences is not propagated: the owners are not in the member"
            )
        elif name not in _SERVER_SET and name not in ("name", "namespace"):
            warnings.append(f"spec.template.metadata.{name} is not propagated")
    return metadata


def _metadata_of_namespace(namespace: Metadata | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if namespace is not None:
        for name, source in (("labels", namespace.labels), ("annotations", namespace.annotations)):
            kept = {key: value for key, value in source.items() if _travels(key)}
            kept.pop(_NAMESPACE_NAME_LABEL, None)
            if kept:
                metadata[name] = kept
    return metadata


def _string_map(value: object, field: str) -> dict[str, str]:
    """Labels or annotations without those that are marks of somebody; apply answers other types with a bare 500."""
    kept = {}
    for key, text in checks.mapping(value, field).items():
        if not isinstance(text, str):
            raise Invalid(f"{field}[{key}]", f"must be a string, not {checks.describe(text)}; put it in quotes")
        if _travels(key):
            kept[key] = text
    return kept


def _travels(key: str) -> bool:
    """Whether a label or annotation is the user's, not a mark that speaks of this one object in this one cluster."""
    return key not in _NOT_PROPAGATED and not key.startswith(marks.CLAIM_PREFIX)


def _api_version(body: Mapping[str, Any], type: FederatedType, field: str) -> str:  # noqa: A002
    """The manifest's own version, within the group of its type: the URL of another group is another resource."""
    target = type.target
    version = body.get("apiVersion") or target.api_version
    if version == target.api_version:
        return version
    group = checks.string(version, field).rpartition("/")[0]
    if group != target.group:
        raise Invalid(field, f"is {checks.quote(version)}, but {type.name} is in {target.api_version}")
    return str(version)


def _overridden(base: Base, operations: Sequence[Operation]) -> dict[str, Any]:
    body = overrides.apply(base.body, operations)
    if any(_holds_null(operation.value) for operation in operations if operation.op != "remove"):
        body = _without_nulls(body)
    body.pop("status", None)
    body["apiVersion"] = _api_version(body, base.type, "clusterOverrides: apiVersion")
    body["kind"] = base.type.target.kind
    metadata = body.get("metadata")
    if metadata is not base.body["metadata"]:
        source = checks.mapping(metadata, "clusterOverrides: metadata")
        metadata = {name: value for name, value in source.items() if name not in _SERVER_SET}
        for name in ("labels", "annotations"):
            if name in metadata:
                metadata[name] = _string_map(metadata[name], f"clusterOverrides: metadata.{name}")
        metadata["name"] = base.where.name
        metadata.pop("namespace", None)
        if base.type.target.namespaced:
            metadata["namespace"] = base.where.namespace
        body["metadata"] = metadata
    duplicates.check(body, base.type.target, "clusterOverrides: result")
    return body


def _holds_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_null(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_null(item) for item in value)
    return value is None


def _without_nulls(value: Any) -> Any:
    """A copy without null members; null list elements stay, because taking one out would move the others."""
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _fold_string_data(body: dict[str, Any]) -> None:
    """Write a Secret's stringData as data, as the API server would.

    Under apply we would own f:stringData, which no stored object has: a key taken out of the template would stay in the
    member, and a change there would not show in our entry.
    """
    data = dict(checks.mapping(body.get("data"), "data"))
    for key, text in checks.mapping(body.pop("stringData"), "stringData").items():
        if not isinstance(text, str):
            raise Invalid(f"stringData[{key}]", f"must be a string, not {checks.describe(text)}")
        data[key] = base64.b64encode(text.encode()).decode()
    body["data"] = data
