"""What a federated object asks for in each cluster, and how a schedule is written into it. Pure.

Written are spec.placement.clusters and one override, of /spec/replicas, per cluster; nothing else is named, so that
whoever applies the same object owns and keeps the rest. That needs overrides to be a list with keys, as our CRDs have
it. In one that KubeFed made it is one value for the API server, and is written as a whole, if nobody has changed the
object meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from federation.core import placement
from federation.model.federated import Operation, Spec
from federation.model.observations import Cluster
from federation.model.resources import Resource

PATH = "/spec/replicas"
MOST = 2_000
"""Clusters with an override, at most (the CRDs' own limit): beyond, those without a replica are left out."""


class Asked(NamedTuple):
    """What the object asks for in a cluster where it is placed; `override` None: its template says so."""

    replicas: int
    override: int | None


def asked(spec: Spec, clusters: Mapping[str, Cluster]) -> dict[str, Asked]:
    """By cluster, for those where it is placed."""
    template = spec.template.get("spec") if spec.template is not None else None
    default = _number(template.get("replicas") if isinstance(template, dict) else None)
    default = 1 if default is None else default
    found = {}
    for name in placement.select(spec.placement, clusters):
        operation = _operation(spec, name)
        if operation is None:
            found[name] = Asked(default, None)
        elif operation.op == "remove":
            found[name] = Asked(1, None)
        else:
            number = _number(operation.value)
            found[name] = Asked(default if number is None else number, number)
    return found


def bounded(numbers: Mapping[str, int]) -> dict[str, int]:
    """The numbers that can be written: a list of overrides has its limit."""
    if len(numbers) <= MOST:
        return dict(numbers)
    return {name: number for name, number in numbers.items() if number}


def differs(spec: Spec, numbers: Mapping[str, int]) -> bool:
    """Whether the object asks for anything else."""
    if spec.placement.clusters is None or sorted(spec.placement.clusters) != sorted(numbers):
        return True
    for name, number in numbers.items():
        operation = _operation(spec, name)
        if operation is None or operation.op == "remove" or operation.value != number:
            return True
    return False


def fields(spec: Spec, numbers: Mapping[str, int]) -> dict[str, Any]:
    """`spec` of a server-side apply: what is ours, and nothing else."""
    overrides = []
    for name, number in sorted(numbers.items()):
        mine: dict[str, Any] = {"path": PATH, "value": number}
        operation = _operation(spec, name)
        if operation is not None and operation.op == "remove":
            mine["op"] = "replace"
        overrides.append({"clusterName": name, "clusterOverrides": [mine]})
    return {"placement": {"clusters": _named(numbers)}, "overrides": overrides}


def whole(spec: Spec, numbers: Mapping[str, int]) -> dict[str, Any]:
    """`spec` of a merge patch where lists are written as a whole."""
    overrides = []
    for name in (*spec.overrides, *sorted(numbers.keys() - spec.overrides.keys())):
        operations = [_plain(each) for each in spec.overrides.get(name, ()) if each.path != PATH]
        if name in numbers:
            operations.append({"path": PATH, "value": numbers[name]})
        if operations:
            overrides.append({"clusterName": name, "clusterOverrides": operations})
    return {"placement": {"clusters": _named(numbers)}, "overrides": overrides}


def has_keys(definition: Mapping[str, Any], version: str) -> bool:
    """Whether a federated CRD's spec has overrides as a list with keys, and each cluster's operations, too."""
    versions = definition.get("versions")
    for each in versions if isinstance(versions, list) else ():
        if not isinstance(each, dict) or each.get("name") != version:
            continue
        return _are_keyed(_at(each, ("schema", "openAPIV3Schema")))
    return False


def are_published_with_keys(document: object, resource: Resource) -> bool:
    """The same, by the OpenAPI document (v3) that the hub publishes of the resource's group and version."""
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    schemas = _at(document, ("components", "schemas"))
    for each in schemas.values():
        kinds = each.get("x-kubernetes-group-version-kind") if isinstance(each, dict) else None
        if isinstance(kinds, list) and kind in kinds:
            return _are_keyed(each)
    return False


def _are_keyed(schema: Mapping[str, Any]) -> bool:
    overrides = _at(schema, ("properties", "spec", "properties", "overrides"))
    operations = _at(overrides, ("items", "properties", "clusterOverrides"))
    keys = [(of.get("x-kubernetes-list-type"), of.get("x-kubernetes-list-map-keys")) for of in (overrides, operations)]
    return keys == [("map", ["clusterName"]), ("map", ["path"])]


def _at(value: Any, path: Sequence[str]) -> Mapping[str, Any]:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _named(names: Iterable[str]) -> list[dict[str, str]]:
    return [{"name": name} for name in sorted(names)]


def _operation(spec: Spec, cluster: str) -> Operation | None:
    return next((each for each in spec.overrides.get(cluster, ()) if each.path == PATH), None)


def _plain(operation: Operation) -> dict[str, Any]:
    plain: dict[str, Any] = {"op": operation.op, "path": operation.path}
    if operation.op != "remove":
        plain["value"] = operation.value
    return plain


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
