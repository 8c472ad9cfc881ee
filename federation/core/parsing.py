"""Read a federated object's spec: from bytes to checked facts; called once per reconcile, before planning.

What the hub's schema already refuses is checked again: objects may be older than the schema, and a poison object must
become a condition on itself (Invalid names the field), never an error of the controller. Shapes are KubeFed v0.10's.
`settings` and `type_config` read the other two kinds of input; they live in `configuration`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from federation.core import checks, configuration, selectors
from federation.model.errors import Invalid
from federation.model.federated import Operation, Placement, Spec
from federation.model.marks import DELETE_OPTION_ANNOTATION

settings = configuration.settings
type_config = configuration.type_config

_OPS = ("add", "remove", "replace")
_NAMES_THE_OBJECT = ("/kind", "/metadata/name", "/metadata/namespace", "/metadata/generateName")
_BAD_ESCAPE = re.compile(r"~(?![01])")
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
        raise Invalid("spec", "is not JSON") from error
    if body is None:
        raise Invalid("spec", "is required")
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
    for index, item in enumerate(items):
        where = f"spec.placement.clusters[{index}]"
        if not isinstance(item, dict):
            raise Invalid(where, f'must be a map such as {{"name": "east"}}, not {checks.describe(item)}')
        names.append(checks.string(item.get("name"), f"{where}.name"))
    return tuple(names)


def _overrides(value: object) -> Mapping[str, tuple[Operation, ...]]:
    overrides: dict[str, tuple[Operation, ...]] = {}
    for index, item in enumerate(checks.sequence(value, "spec.overrides")):
        where = f"spec.overrides[{index}]"
        override = checks.mapping(item, where)
        name = checks.string(override.get("clusterName"), f"{where}.clusterName")
        if name in overrides:
            raise Invalid(f"{where}.clusterName", f"cluster {checks.quote(name)} is already named above; join the two")
        overrides[name] = _operations(override.get("clusterOverrides"), f"{where}.clusterOverrides")
    return overrides


def _operations(value: object, where: str) -> tuple[Operation, ...]:
    operations: list[Operation] = []
    paths: set[str] = set()
    for index, item in enumerate(checks.sequence(value, where)):
        body = checks.mapping(item, f"{where}[{index}]")
        op = checks.choice(body.get("op") or None, f"{where}[{index}].op", _OPS, default="replace")
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
    if _BAD_ESCAPE.search(path):
        raise Invalid(where, f"{checks.quote(path, 200)}: in a JSON pointer ~ is written ~0 and / inside a name ~1")
    for forbidden in _NAMES_THE_OBJECT:
        if path == forbidden or path.startswith(f"{forbidden}/"):
            raise Invalid(where, f"{forbidden} cannot be overridden: it says which object this is")
    return path
