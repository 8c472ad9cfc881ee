"""Make the manifest that a member should hold; called by planning, once per object and once per overridden cluster.

KubeFed's order (pkg/controller/sync/dispatch/managed.go): template, identity, overrides, managed label. What only a
server sets and status are left out, because server-side apply would refuse them. A null means what it means to POST:
absent in a built-in type's fields, an empty value in a map, and whatever its schema says in a custom type
(docs/push.md). Template annotations travel, which KubeFed refused.
"""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from federation.core import builtin, checks, digests, duplicates, nesting, overrides, scrubbing
from federation.model import bounds, marks
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
        marks.RUN_ONCE_ANNOTATION,
        marks.COPY_ANNOTATION,
        marks.CREATED_ANNOTATION,
        marks.DELETE_ADOPTED_ANNOTATION,
        marks.TAKEOVER_ANNOTATION,
        marks.DRIFT_ANNOTATION,
        marks.DELETION_ANNOTATION,
        marks.PROTECTION_ANNOTATION,
        marks.IGNORE_FIELDS_ANNOTATION,
        "kubectl.kubernetes.io/last-applied-configuration",
    }
)
_PLATFORMS = (
    "kubernetes.io",
    "k8s.io",
    "openshift.io",
    "cattle.io",
    "helm.sh",
    "argoproj.io",
    "fluxcd.io",
    "kubefed.io",
)
"""Domains of keys by which a cluster's own platform or tools record what a namespace is there: security levels, uid
ranges, project ids, what a tool manages. They mean nothing in another cluster, or the wrong thing."""
_SHORT_PATH = 16
"""Parts of an override's path that make no check of the result's depth necessary."""
_PREFIX = b'{"metadata":{'


@dataclass(frozen=True, slots=True)
class Base:
    """The manifest before overrides. `body` is shared by all clusters: never change it.

    `warnings` are sentences about template fields that were left out; they do not depend on the cluster. `copied` are
    labels and annotations (section, key) of the hub's Namespace, which nobody wrote for the members.
    """

    body: dict[str, Any]
    type: FederatedType
    where: ObjectName
    warnings: tuple[str, ...] = ()
    copied: frozenset[tuple[str, str]] = frozenset()


def base(spec: Spec, type: FederatedType, where: ObjectName, *, host_namespace: Metadata | None) -> Base:  # noqa: A002
    """The part of the manifest that all clusters share. Raises Invalid naming a field under spec.template.

    `host_namespace` is the hub's Namespace where its labels and annotations are to be copied: a FederatedNamespace
    without a template may ask for that.
    """
    template = spec.template
    warnings: list[str] = []
    copied: frozenset[tuple[str, str]] = frozenset()
    if template is None:
        body: dict[str, Any] = {}
        metadata = _metadata_of_namespace(host_namespace)
        copied = frozenset((section, key) for section, kept in metadata.items() for key in kept)
    else:
        body = dict(template)
        body.pop("status", None)
        if builtin.has(type.target.group) and b"null" in orjson.dumps(body):
            body = builtin.without_nulls(body)
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
    return Base(body, type, where, tuple(warnings), copied)


def yielding(base: Base, body: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """The labels and annotations of a finished manifest that stand there as they were copied, not overridden."""
    before, after = base.body["metadata"], body["metadata"]
    return frozenset(
        (section, key) for section, key in base.copied if (after.get(section) or {}).get(key) == before[section][key]
    )


def given_way(
    content: bytes, yields: frozenset[tuple[str, str]], fields: Sequence[str]
) -> tuple[bytes, frozenset[tuple[str, str]]]:
    """Content of `digest` without those of `yields` that a conflict names, and what of `yields` is left in it."""
    lost = {each for each in yields if scrubbing.field(f".metadata.{each[0]}.{each[1]}", secret=False) in fields}
    if not lost:
        return content, frozenset()  # the conflict is about what was asked for
    body = orjson.loads(content)
    for section, key in lost:
        del body["metadata"][section][key]
    return digest(body)[0], yields - lost


def finish(base: Base, operations: Sequence[Operation]) -> dict[str, Any]:
    """One cluster's manifest: overrides, the managed label, and identity once more. `base` stays as it is.

    Raises Invalid when an override does not fit, naming its index and path.
    """
    body = dict(base.body) if not operations else _overridden(base, operations)
    metadata = dict(body["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), marks.MANAGED_LABEL: "true"}
    if not metadata.get("annotations", True):
        del metadata["annotations"]
    body["metadata"] = metadata
    if "stringData" in body and base.type.target.qualified == "secrets":
        fold_string_data(body)
    return body


def digest(manifest: Mapping[str, Any]) -> tuple[bytes, str]:
    """The manifest as JSON with sorted keys, and 8 characters (48 bits) that differ for any other.

    metadata comes first, so that `addressed` can add to it without encoding again.
    """
    rest = dict(manifest)
    metadata = orjson.dumps(rest.pop("metadata"), option=orjson.OPT_SORT_KEYS)
    content = b'{"metadata":' + metadata + b"," + orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)[1:]
    return content, digests.short(content)


def marked(content: bytes, manager: str) -> bytes:
    """Content of `digest` with the note that the hub of this field manager has created the object."""
    body = orjson.loads(content)
    metadata = body["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), marks.CREATED_ANNOTATION: manager}
    return digest(body)[0]


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


def without_refused(content: bytes, fields: Collection[str], value: object) -> bytes | None:
    """Content of `digest` or `addressed` without refused fields that hold `value`; None when none do.

    Fields are those of the refusal's causes. `value` is None or {}: what apply cannot express for a custom type, though
    a POST or PUT can (see push).
    """
    body = orjson.loads(content)
    left = _without_named(body, "", fields, value)
    return None if left == body else orjson.dumps(left)


def overrides_replicas(operations: Sequence[Operation]) -> bool:
    """Whether a cluster's overrides set spec.replicas: KubeFed applies them after retention, so that they win."""
    return any(
        overrides.OPS[each.op].takes_value and overrides.tokens(each.path) in (["spec"], ["spec", "replicas"])
        for each in operations
    )


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
            if content is not None:
                metadata[name] = kept  # empty or not: an override may add to it
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
            kept = {key: value for key, value in source.items() if _travels(key) and not _of_a_platform(key)}
            if kept:
                metadata[name] = kept
    return metadata


def _of_a_platform(key: str) -> bool:
    prefix, slash, _ = key.rpartition("/")
    domain = prefix if slash else key
    return any(domain == platform or domain.endswith(f".{platform}") for platform in _PLATFORMS)


def _string_map(value: object, field: str) -> dict[str, str]:
    """Labels or annotations without those that are marks of somebody; apply answers other types with a bare 500.

    Null is an empty value, as for any API server.
    """
    kept = {}
    for key, text in checks.mapping(value, field).items():
        if not isinstance(text, str | None):
            raise Invalid(f"{field}[{key}]", f"must be a string, not {checks.describe(text)}; put it in quotes")
        if _travels(key):
            kept[key] = text or ""
    return kept


def _travels(key: str) -> bool:
    """Whether a label or annotation is the user's, not a mark about this one object in this one cluster."""
    return key not in _NOT_PROPAGATED and not key.startswith(marks.CLAIM_PREFIX)


def _api_version(body: Mapping[str, Any], type: FederatedType, field: str) -> str:  # noqa: A002
    """The manifest's own version, within the group of its type: the URL of another group is another resource."""
    target = type.target
    version = body.get("apiVersion") or target.api_version
    if version == target.api_version:
        return version
    group, _, name = checks.string(version, field).rpartition("/")
    if group != target.group:
        raise Invalid(field, f"is {checks.quote(version)}, but {type.name} is in {target.api_version}")
    checks.dns_1035(name, field)  # it becomes part of a URL
    return str(version)


def _overridden(base: Base, operations: Sequence[Operation]) -> dict[str, Any]:
    body = overrides.apply(base.body, operations)
    # A value may be put deep down, and another below that; short paths cannot build much on what a spec holds at most.
    if any(each.path.count("/") > _SHORT_PATH for each in operations) and nesting.deep(body, bounds.DEEPEST):
        place = nesting.place(body, bounds.DEEPEST)
        raise Invalid(f"clusterOverrides: {place}", f"the result nests deeper than {bounds.DEEPEST} levels")
    if builtin.has(base.type.target.group) and any(_holds_null(each.value) for each in operations):
        body = builtin.without_nulls(body)
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


def _without_named(value: Any, path: str, fields: Collection[str], refused: object) -> Any:
    if isinstance(value, dict):
        kept = {}
        for name, item in value.items():
            below = scrubbing.below(path, name)
            if item != refused or scrubbing.field(below, secret=False) not in fields:
                kept[name] = _without_named(item, below, fields, refused)
        return kept
    if isinstance(value, list):
        return [_without_named(item, f"{path}[{index}]", fields, refused) for index, item in enumerate(value)]
    return value


def fold_string_data(body: dict[str, Any]) -> None:
    """Write a Secret's stringData as data, as the API server would.

    Under apply we would own f:stringData, which no stored object has: a key taken out of the template would stay in the
    member, and a change there would not show in our entry.
    """
    data = dict(checks.mapping(body.get("data"), "data"))
    for key, text in checks.mapping(body.pop("stringData"), "stringData").items():
        if not isinstance(text, str | None):
            raise Invalid(f"stringData[{key}]", f"must be a string, not {checks.describe(text)}")
        data[key] = base64.b64encode((text or "").encode()).decode()
    body["data"] = data
