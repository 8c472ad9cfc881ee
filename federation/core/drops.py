"""Which fields of a manifest a member took and did not keep: what an API server silently leaves out. Pure.

Server-side apply refuses what a schema does not declare. But a built-in type declares fields whose feature gate is off
in that cluster (or which the type's other values exclude), drops them and still lists them in managedFields (tried:
kube-apiserver 1.36, a Deployment's schedulingGroup). Only the object itself shows it, so it is read when a manifest
has a field that this cluster has not been seen to keep.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from federation.core import scrubbing
from federation.model.resources import Resource

TOLD = "this cluster leaves out "
_SHOWN = 5
_PLAIN = frozenset({"configmaps", "secrets", "namespaces", "serviceaccounts"})
_OURS = frozenset({"apiVersion", "kind", "metadata"})
_KEYED_BY_USERS = frozenset(
    {"labels", "annotations", "matchLabels", "nodeSelector", "selector", "data", "limits", "requests", "parameters"}
)
"""Maps whose keys are words of their users: any key is kept there, and every object would be a new form."""


def may_drop(target: Resource) -> bool:
    """Whether objects of this type can lose fields: built-in ones that have more than data."""
    if not target.group:
        return target.plural not in _PLAIN
    return "." not in target.group or target.group.endswith(".k8s.io")


def fields(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Paths of all fields below the root that hold something, without indices: `.spec.ports[].nodePort`.

    An empty value says nothing: servers leave out what is empty, zero or false.
    """
    found: set[str] = set()
    for name, value in manifest.items():
        if name not in _OURS:
            _walk(value, f".{name}", found)
    return frozenset(found)


def told(dropped: Iterable[str]) -> str:
    """The sentence for a cluster's line; "" when nothing was dropped. Only the outermost fields are named."""
    outermost: list[str] = []
    for path in sorted(dropped):
        if not outermost or not path.startswith((f"{outermost[-1]}.", f"{outermost[-1]}[")):
            outermost.append(path)
    if not outermost:
        return ""
    shown = ", ".join(scrubbing.field(path, secret=False) for path in outermost[:_SHOWN])
    more = f" and {len(outermost) - _SHOWN} more" if len(outermost) > _SHOWN else ""
    return f"{TOLD}{shown}{more}: it takes the object and does not keep these fields"


def remembered(message: str) -> str:
    """That sentence, where a cluster's message ends with it; "" where it does not."""
    begin = message.rfind(TOLD)
    return message[begin:] if begin >= 0 else ""


def _walk(value: Any, path: str, found: set[str]) -> None:
    if not value:
        return
    found.add(path)
    if isinstance(value, dict):
        if path.rpartition(".")[2] not in _KEYED_BY_USERS or "matchLabels" in value or "matchExpressions" in value:
            for name, inner in value.items():
                _walk(inner, f"{path}.{name}", found)
    elif isinstance(value, list):
        for inner in value:
            _walk(inner, f"{path}[]", found)
