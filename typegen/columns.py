"""The target's printer columns and selectable fields for the federated type: JSON paths moved below spec.template.

Those that read the status are left out: each cluster has a status of its own, and a column shows one value. So are
those that read metadata set by a server (uid, generation): the federated object has other values.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from typegen.model import Caution, Schema, Target

OWN = frozenset({"name", "applied", "reason", "age", "message"})
"""Columns of every federated type, in lower case; kubectl adds NAME."""

LIMIT = 8
"""The most selectable fields of a version that Kubernetes allows."""

_FIRST = re.compile(r"^\.?(?:\['?)?(?P<name>[A-Za-z_][A-Za-z0-9_-]*)")
_KEPT_METADATA = re.compile(r"^\.metadata\.(labels|annotations)\b")
_SELECTABLE = frozenset({"string", "boolean", "integer"})


@dataclass(frozen=True, slots=True)
class Shown:
    """Columns and selectable fields for the federated CRD, and what was left out."""

    columns: list[dict[str, Any]] = field(default_factory=list)
    selectable: list[dict[str, str]] = field(default_factory=list)
    cautions: list[Caution] = field(default_factory=list)


def carry(target: Target, template: Schema) -> Shown:
    """The target's columns and selectable fields; `template` is the schema of spec.template."""
    result = Shown()
    taken = set(OWN)
    about_status = []
    for column in target.columns:
        name, path = str(column.get("name", "")), str(column.get("jsonPath", ""))
        if path.startswith(".metadata.creationTimestamp"):
            continue  # AGE
        if path.startswith(".status"):
            about_status.append(name)
        elif name.lower() in taken:
            result.cautions.append(Caution("columns", f"{name} left out, the federated type has a column of that name"))
        elif not _moves(path):
            result.cautions.append(Caution("columns", f"{name} left out, a template has no {path}"))
        else:
            taken.add(name.lower())
            result.columns.append({**column, "jsonPath": _moved(path)})
    if about_status:
        result.cautions.append(
            Caution("columns", f"{', '.join(about_status)} left out, each cluster has a status of its own")
        )
    for path in target.selectable:
        reason = _unfit(path, template, len(result.selectable))
        if reason:
            result.cautions.append(Caution("selectableFields", f"{path} left out, {reason}"))
        else:
            result.selectable.append({"jsonPath": _moved(path)})
    return result


def _moves(path: str) -> bool:
    first = _FIRST.match(path)
    if not first or first["name"] in ("apiVersion", "kind", "status"):
        return False
    return first["name"] != "metadata" or bool(_KEPT_METADATA.match(path))


def _moved(path: str) -> str:
    return f".spec.template{path if path.startswith(('.', '[')) else '.' + path}"


def _unfit(path: str, template: Schema, chosen: int) -> str:
    if not _moves(path) or path.startswith(".metadata"):
        return "each cluster has its own"
    if chosen >= LIMIT:
        return f"Kubernetes allows {LIMIT}"
    kind = next(iter(_types(template, path.strip(".").split("."))), "")
    return "" if kind in _SELECTABLE else "its type is not one that can be selected by"


def _types(node: Mapping[str, Any], steps: Iterable[str]) -> Iterator[str]:
    for step in steps:
        node = (node.get("properties") or {}).get(step) or {}
    yield str(node.get("type", ""))
