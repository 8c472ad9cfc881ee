"""Find what in a document is written for an old API, and what to write instead, field by field. Pure.

`validating` and `rendering` call this first, because without it an old kind or field would only be reported as unknown.
Nothing is rewritten automatically: only its author knows what is meant.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from federation.federating import oldapis

OLDEST_MEMBER = (1, 24)
"""The oldest Kubernetes that a member may run (joining.assessments). An API that it still serves is only a warning."""

_FEDERATED = "Federated"
_DOTTED = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z0-9-]+)+")
_INGRESSES = ("networking.k8s.io", "extensions", "")
_CORE = frozenset({"core.kubefed.io", "core.kubefed.k8s.io", "core.federation.k8s.io"})

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Old:
    """One old part of a document: its path, and a message. `refused`: no supported server accepts it."""

    path: str
    message: str
    refused: bool = True


def document(found: Document) -> Iterator[Old]:
    """What is old in a document of the federation itself: its group, its kind, its spec without the template."""
    group, _, version = str(found.get("apiVersion") or "").rpartition("/")
    kind = str(found.get("kind") or "")
    if group in oldapis.NO_MORE and (group != "federation" or version.startswith("v1")):
        yield Old("apiVersion", f"{found.get('apiVersion')} is old: {oldapis.NO_MORE[group]}")
        return
    wraps = kind.startswith(_FEDERATED) and kind not in ("FederatedTypeConfig", *oldapis.KINDS)
    if wraps and kind.endswith("Status") and "clusterStatus" in found:
        yield Old("kind", f"{kind} is what KubeFed's controller wrote: leave it out, nothing reads it")
        return
    if group in oldapis.GROUPS:
        now = oldapis.GROUPS["types.kubefed.k8s.io"] if wraps else oldapis.GROUPS[group]
        yield Old("apiVersion", f"{found.get('apiVersion')} is old: write {now}")
    if group in _CORE and kind in oldapis.KINDS:
        now = oldapis.KINDS[kind]
        yield Old("kind", f"{kind} is old: write {now}" if now else f"{kind} is old: leave it out, nothing reads it")
        return
    spec = found.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}
    if kind == "FederatedTypeConfig" and group in _CORE:
        yield from _type_config(spec)
    elif wraps:
        yield from _parts(kind, group)
        yield from _frame(spec)


def federated(found: Document, target: tuple[str, str] | None) -> Iterator[Old]:
    """What is old in the template of a federated object; `target` is apiVersion and kind of its type, if known."""
    spec = found.get("spec")
    body = spec.get("template") if isinstance(spec, Mapping) else None
    if not isinstance(body, Mapping):
        return
    version, kind = target if target is not None else ("", str(found.get("kind") or "").removeprefix(_FEDERATED))
    yield from _body(body, str(body.get("apiVersion") or version), kind, "spec.template")
    if "status" in body:
        yield Old("spec.template.status", "a template has no status, the members write it: leave it out", refused=False)


def plain(found: Document) -> Iterator[Old]:
    """What is old in a plain object that is to be federated."""
    yield from _body(found, str(found.get("apiVersion") or ""), str(found.get("kind") or ""), "")
    metadata = found.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    for name in annotations if isinstance(annotations, Mapping) else ():
        if name in oldapis.ANNOTATIONS:
            message = f"{name} is KubeFed v1's: write {oldapis.ANNOTATIONS[name]}"
            yield Old(f"metadata.annotations[{name}]", message, refused=False)


def replacement(api_version: str, kind: str) -> str:
    """The apiVersion that has replaced an old one of this kind; "" when it is not old, or nothing has replaced it."""
    found = oldapis.REMOVED.get((api_version, kind))
    return found.now if found is not None else ""


def _body(body: Document, api_version: str, kind: str, at: str) -> Iterator[Old]:
    removed = oldapis.REMOVED.get((api_version, kind))
    forms = list(_forms(body, api_version, kind, at))
    if removed is not None:
        since = f"{removed.removed[0]}.{removed.removed[1]}"
        now = f"write {removed.now}" if removed.now else f"write {removed.instead}"
        also = f"; then {removed.instead}" if removed.now and removed.instead and not forms else ""
        message = f"{api_version} {kind} is old, Kubernetes {since} removed it: {now}{also}"
        yield Old(_join(at, "apiVersion"), message, refused=removed.removed <= OLDEST_MEMBER)
    yield from forms


def _forms(body: Document, api_version: str, kind: str, at: str) -> Iterator[Old]:
    """Fields that have other names in the current API."""
    group = api_version.rpartition("/")[0]
    spec = body.get("spec")
    if not isinstance(spec, Mapping):
        return
    where = _join(at, "spec")
    if kind == "Ingress" and group in _INGRESSES:
        yield from _ingress(spec, where)
    elif kind == "HorizontalPodAutoscaler" and api_version in ("autoscaling/v2beta1", "autoscaling/v2", ""):
        yield from _autoscaler(spec, where)
    elif kind in ("Deployment", "DaemonSet", "ReplicaSet", "StatefulSet") and group in ("extensions", "apps"):
        for name in ("rollbackTo", "templateGeneration"):
            if name in spec:
                yield Old(f"{where}.{name}", f"{name} does not exist in apps/v1: leave it out")
        if "selector" not in spec and (api_version, kind) in oldapis.REMOVED:
            message = "apps/v1 needs spec.selector: write matchLabels with the labels of spec.template.metadata.labels"
            yield Old(f"{where}.selector", message)


def _ingress(spec: Document, where: str) -> Iterator[Old]:
    whole = spec.get("backend")
    if isinstance(whole, Mapping):
        yield Old(f"{where}.backend", f"spec.backend is old: write defaultBackend: {{{_service(whole)}}}")
    for index, rule in _maps(spec.get("rules")):
        http = rule.get("http")
        for place, path in _maps(http.get("paths") if isinstance(http, Mapping) else None):
            at = f"{where}.rules[{index}].http.paths[{place}]"
            backend = path.get("backend")
            if isinstance(backend, Mapping) and {"serviceName", "servicePort"} & backend.keys():
                yield Old(f"{at}.backend", f"the old form of an Ingress: write backend: {{{_service(backend)}}}")
                if not path.get("pathType"):
                    yield Old(f"{at}.pathType", "an Ingress of networking.k8s.io/v1 needs a pathType, such as Prefix")


def _service(backend: Document) -> str:
    """An old backend as networking.k8s.io/v1 has it, in YAML's flow style."""
    name, port = backend.get("serviceName", "NAME"), backend.get("servicePort", "PORT")
    key = "number" if isinstance(port, int) or (isinstance(port, str) and port.isdecimal()) else "name"
    return f"service: {{name: {name}, port: {{{key}: {port}}}}}"


def _autoscaler(spec: Document, where: str) -> Iterator[Old]:
    """metrics[] as autoscaling/v2beta1 had them."""
    words = {
        "targetAverageUtilization": "target: {{type: Utilization, averageUtilization: {value}}}",
        "targetAverageValue": "target: {{type: AverageValue, averageValue: {value}}}",
        "targetValue": "target: {{type: Value, value: {value}}}",
        "metricName": "metric: {{name: {value}}}",
    }
    for index, metric in _maps(spec.get("metrics")):
        for source in ("resource", "pods", "object", "external"):
            body = metric.get(source)
            for name, value in body.items() if isinstance(body, Mapping) else ():
                if name in words and not isinstance(value, Mapping | list):
                    now = words[name].format(value=value)
                    yield Old(f"{where}.metrics[{index}].{source}.{name}", f"{name} is old: write {now}")


def _type_config(spec: Document) -> Iterator[Old]:
    for name, now in oldapis.TYPE_FIELDS.items():
        if name in spec:
            yield Old(f"spec.{name}", f"spec.{name} is old: {f'write {now}' if now else 'leave it out'}")
    target = spec.get("targetType")
    if isinstance(target, Mapping):
        version = "/".join(filter(None, (str(target.get("group") or ""), str(target.get("version") or ""))))
        for old in _body({}, version, str(target.get("kind") or ""), "spec.targetType"):
            yield Old("spec.targetType.version", old.message, old.refused)


def _parts(kind: str, group: str) -> Iterator[Old]:
    """Before v0.0.3 placement and overrides were objects of their own."""
    if not group.endswith("federation.k8s.io"):
        return
    for suffix, field in (
        ("Placement", "spec.placement"),
        ("Overrides", "spec.overrides"),
        ("Override", "spec.overrides"),
    ):
        if kind.endswith(suffix):
            yield Old("kind", f"{kind} is old: its content belongs in {field} of {kind.removesuffix(suffix)}")
            return


def _frame(spec: Document) -> Iterator[Old]:
    placement = spec.get("placement")
    if isinstance(placement, Mapping) and "clusterNames" in placement:
        names = placement["clusterNames"]
        listed = ", ".join(f"{{name: {each}}}" for each in names) if isinstance(names, list) else "{name: NAME}"
        yield Old("spec.placement.clusterNames", f"clusterNames is old: write clusters: [{listed}]")
    for index, override in _maps(spec.get("overrides")):
        for place, operation in _maps(override.get("clusterOverrides")):
            path = operation.get("path")
            if isinstance(path, str) and _DOTTED.fullmatch(path):
                pointer = f"/{path.replace('.', '/')}"
                at = f"spec.overrides[{index}].clusterOverrides[{place}].path"
                yield Old(at, f"a path with dots is old: write {pointer}")


def _maps(value: object) -> Iterator[tuple[int, Document]]:
    """The maps in a list, each with its index."""
    for index, each in enumerate(value if isinstance(value, list) else ()):
        if isinstance(each, Mapping):
            yield index, each


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
