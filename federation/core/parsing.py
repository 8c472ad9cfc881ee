"""Read a federated object's spec: from bytes to checked facts; called once per reconcile, before planning.

What the hub's schema already refuses is checked again: objects may be older than the schema, and a poison object must
become a condition on itself (Invalid names the field), never an error of the controller. Shapes are KubeFed v0.10's.
`configuration` reads the other two kinds of input.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from federation.core import checks, nesting, overrides, selectors
from federation.model import bounds
from federation.model.errors import Invalid
from federation.model.federated import Operation, Placement, Spec
from federation.model.marks import DELETE_OPTION_ANNOTATION

_DEEPEST = bounds.DEEPEST - 1
"""Levels of a spec, which is one level down in its object. All that walks it afterwards may recurse."""
_TOO_DEEP = f"nests deeper than {bounds.DEEPEST} levels"
CLUSTERS = 10_000
"""Names in a placement, at most; the CRDs have the same limit, as for the next two."""
OVERRIDES = 2_000
"""Clusters with overrides, at most."""
OPERATIONS = 400
"""Operations for one cluster, at most."""
ALL_OPERATIONS = 20_000
"""Operations of one object, at most; no schema can express it."""
IDENTITY_PATHS = ("/kind", "/metadata/name", "/metadata/namespace", "/metadata/generateName")
"""Paths that no override may have: they name the object, the same in every cluster; the CRDs refuse them, too."""
_POLICIES = ("Orphan", "Background", "Foreground")
_OPTIONS_FIELD = f"metadata.annotations[{DELETE_OPTION_ANNOTATION}]"


def spec(raw: bytes | msgspec.Raw, *, namespaces: bool = False) -> Spec:
    """Decode and check `spec` of a federated object; `namespaces` allows the template to be absent.

    Raises Invalid with the path of the first field that is wrong, such as `spec.overrides[1].clusterOverrides[0].path`.
    """
    data = memoryview(raw)
    if not data:
        raise Invalid("spec", "is required")
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        deep = nesting.may_be_deep(data, bounds.DEEPEST) and nesting.pruned(bytes(data), bounds.DEEPEST)[1]
        raise Invalid("spec", _TOO_DEEP if deep else "is not JSON") from error
    if body is None:
        raise Invalid("spec", "is required")
    if nesting.may_be_deep(data, _DEEPEST) and nesting.deep(body, _DEEPEST):
        raise Invalid(f"spec.{nesting.place(body, _DEEPEST)}", _TOO_DEEP)
    body = checks.mapping(body, "spec")
    return Spec(
        template=_template(body.get("template"), optional=namespaces),
        placement=_placement(body.get("placement")),
        overrides=_overrides(body.get("overrides")),
        retain_replicas=checks.boolean(body.get("retainReplicas"), "spec.retainReplicas", default=False),
    )


def deletion_options(annotations: Mapping[str, str]) -> Mapping[str, Any]:
    """DeleteOptions for the deletes in members, from annotation kubefed.io/deleteoption; {} when there is none.

    Only fields that say how to delete are taken: preconditions and dryRun belong to the controller. Raises Invalid.
    """
    text = annotations.get(DELETE_OPTION_ANNOTATION)
    if not text:
        return {}
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid(_OPTIONS_FIELD, 'must be JSON DeleteOptions such as {"propagationPolicy":"Orphan"}') from error
    options: dict[str, Any] = {}
    for name, value in checks.mapping(body, _OPTIONS_FIELD).items():
        where = f"{_OPTIONS_FIELD}.{name}"
        match name:
            case "apiVersion" | "kind":
                continue
            case "propagationPolicy":
                options[name] = checks.choice(value, where, _POLICIES)
            case "orphanDependents":
                options[name] = checks.boolean(value, where, default=False)
            case "gracePeriodSeconds":
                if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                    raise Invalid(where, "must be a whole number of seconds, 0 or more")
                options[name] = value
            case "preconditions" | "dryRun":
                raise Invalid(where, "is set by the controller; remove it")
            case _:
                raise Invalid(where, "is not known; use propagationPolicy, gracePeriodSeconds or orphanDependents")
    if "propagationPolicy" in options and "orphanDependents" in options:
        raise Invalid(f"{_OPTIONS_FIELD}.orphanDependents", "cannot be used together with propagationPolicy")
    return options


def _template(value: object, *, optional: bool) -> Mapping[str, Any] | None:
    if value is None:
        if optional:
            return None
        raise Invalid("spec.template", "is required")
    template = checks.mapping(value, "spec.template")
    for name in ("apiVersion", "kind"):
        if template.get(name) is not None:
            checks.string(template[name], f"spec.template.{name}")
    return template


def _placement(value: object) -> Placement:
    body = checks.mapping(value, "spec.placement")
    clusters = body.get("clusters")
    names = None if clusters is None else _names(checks.sequence(clusters, "spec.placement.clusters"))
    selector = body.get("clusterSelector")
    if selector is not None:
        selectors.check(selector, "spec.placement.clusterSelector")
    return Placement(names, selector)


def _names(items: Sequence[Any]) -> tuple[str, ...]:
    names = []
    checks.at_most(items, CLUSTERS, "spec.placement.clusters")
    for index, item in enumerate(items):
        where = f"spec.placement.clusters[{index}]"
        if not isinstance(item, dict):
            raise Invalid(where, f'must be a map such as {{"name": "east"}}, not {checks.describe(item)}')
        names.append(checks.string(item.get("name"), f"{where}.name"))
    return tuple(names)


def _overrides(value: object) -> Mapping[str, tuple[Operation, ...]]:
    by_cluster: dict[str, tuple[Operation, ...]] = {}
    items, count = checks.sequence(value, "spec.overrides"), 0
    checks.at_most(items, OVERRIDES, "spec.overrides")
    for index, item in enumerate(items):
        where = f"spec.overrides[{index}]"
        override = checks.mapping(item, where)
        name = checks.string(override.get("clusterName"), f"{where}.clusterName")
        if name in by_cluster:
            raise Invalid(f"{where}.clusterName", f"cluster {checks.quote(name)} is already named above; join the two")
        operations = by_cluster[name] = _operations(override.get("clusterOverrides"), f"{where}.clusterOverrides")
        count += len(operations)
        if count > ALL_OPERATIONS:
            raise Invalid("spec.overrides", f"has more than {ALL_OPERATIONS} operations in all")
    return by_cluster


def _operations(value: object, where: str) -> tuple[Operation, ...]:
    operations: list[Operation] = []
    paths: set[str] = set()
    items = checks.sequence(value, where)
    checks.at_most(items, OPERATIONS, where)
    for index, item in enumerate(items):
        body = checks.mapping(item, f"{where}[{index}]")
        op = checks.choice(body.get("op") or None, f"{where}[{index}].op", overrides.OPS, default=overrides.DEFAULT)
        path = _path(body.get("path"), f"{where}[{index}].path")
        if path in paths:
            raise Invalid(f"{where}[{index}].path", f"{checks.quote(path, 200)} is already overridden for this cluster")
        paths.add(path)
        operations.append(Operation(op, path, body.get("value")))
    return tuple(operations)


def _path(value: object, where: str) -> str:
    path = checks.string(value, where)
    if not path.startswith("/"):
        raise Invalid(where, f"{checks.quote(path, 200)} must be a JSON pointer: start it with /")
    if path == "/":
        raise Invalid(where, "must name a field: the whole object cannot be overridden")
    for forbidden in IDENTITY_PATHS:
        if path == forbidden or path.startswith(f"{forbidden}/"):
            raise Invalid(where, f"{forbidden} cannot be overridden: it says which object this is")
    return path
