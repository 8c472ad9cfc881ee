"""Find list entries that share a key, in built-in types; part of making a manifest.

Server-side apply answers such a manifest with a 500 that does not even carry a reason, where a POST only warned. Saying
it ourselves names the field and spares every member the request. Lists of custom resources are left to their schema.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from federation.model.errors import Invalid
from federation.model.resources import Resource

_Key = Callable[[Mapping[str, Any]], Any]


def _port(item: Mapping[str, Any]) -> Any:
    return (port, item.get("protocol") or "TCP") if (port := item.get("port")) is not None else None


def _container_port(item: Mapping[str, Any]) -> Any:
    return (port, item.get("protocol") or "TCP") if (port := item.get("containerPort")) is not None else None


def _spread(item: Mapping[str, Any]) -> Any:
    return (key, item.get("whenUnsatisfiable")) if (key := item.get("topologyKey")) is not None else None


def _member(name: str) -> _Key:
    return lambda item: item.get(name)


_NAME = _member("name")
_POD_LISTS: tuple[tuple[str, _Key, str], ...] = (
    ("containers", _NAME, "name"),
    ("initContainers", _NAME, "name"),
    ("ephemeralContainers", _NAME, "name"),
    ("volumes", _NAME, "name"),
    ("imagePullSecrets", _NAME, "name"),
    ("hostAliases", _member("ip"), "ip"),
    ("topologySpreadConstraints", _spread, "topologyKey and whenUnsatisfiable"),
)
_CONTAINER_LISTS: tuple[tuple[str, _Key, str], ...] = (
    ("env", _NAME, "name"),
    ("ports", _container_port, "containerPort and protocol"),
    ("volumeMounts", _member("mountPath"), "mountPath"),
    ("volumeDevices", _member("devicePath"), "devicePath"),
)
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_POD_SPECS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): ("spec",),
    ("", "PodTemplate"): ("template", "spec"),
    ("", "ReplicationController"): ("spec", "template", "spec"),
    ("apps", "Deployment"): ("spec", "template", "spec"),
    ("apps", "ReplicaSet"): ("spec", "template", "spec"),
    ("apps", "StatefulSet"): ("spec", "template", "spec"),
    ("apps", "DaemonSet"): ("spec", "template", "spec"),
    ("batch", "Job"): ("spec", "template", "spec"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template", "spec"),
}


def check(body: Mapping[str, Any], target: Resource, field: str) -> None:
    """Raise Invalid with a path under `field` when a keyed list of a built-in type names a key twice."""
    kind = (target.group, target.kind)
    if kind == ("", "Service"):
        spec = body.get("spec")
        if isinstance(spec, dict):
            _unique(spec.get("ports"), _port, "port and protocol", f"{field}.spec.ports")
    elif kind == ("", "ServiceAccount"):
        _unique(body.get("secrets"), _NAME, "name", f"{field}.secrets")
    elif (path := _POD_SPECS.get(kind)) is not None:
        node: Any = body
        for name in path:
            node = node.get(name)
            if not isinstance(node, dict):
                return
        _check_pod(node, f"{field}.{'.'.join(path)}")


def _check_pod(pod: Mapping[str, Any], field: str) -> None:
    for name, key, what in _POD_LISTS:
        if name in pod:
            _unique(pod[name], key, what, f"{field}.{name}")
    for container, where in _containers(pod, field):
        for name, key, what in _CONTAINER_LISTS:
            if name in container:
                _unique(container[name], key, what, f"{where}.{name}")


def _containers(pod: Mapping[str, Any], field: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    for group in _CONTAINERS:
        items = pod.get(group)
        if isinstance(items, list):
            for index, item in enumerate(items):
                if isinstance(item, dict):
                    yield item, f"{field}.{group}[{index}]"


def _unique(items: object, key: _Key, what: str, field: str) -> None:
    if not isinstance(items, list) or len(items) < 2:
        return
    seen: dict[Any, int] = {}
    for index, item in enumerate(items):
        if not isinstance(item, dict) or (value := key(item)) is None:
            continue
        first = seen.setdefault(repr(value), index)
        if first != index:
            raise Invalid(f"{field}[{index}]", f"has the same {what} as [{first}]; rename or remove one of them")
