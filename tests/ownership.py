"""What a fake member stores: leaves by path, and who owns which. See tests.fakes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from federation.core.managedfields import PartialMetadata
from federation.kube import decoding
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import ObjectName, Resource

Path = tuple[str, ...]
REPLICAS: Path = ("spec", "replicas")
LABEL: Path = ("metadata", "labels", marks.MANAGED_LABEL)
DELETED_AT = "2026-01-01T00:00:00Z"
IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}


@dataclass
class Entry:
    manager: str
    operation: str
    paths: set[Path]
    subresource: str = ""
    time: str = ""


@dataclass
class Stored:
    name: ObjectName
    uid: str
    version: int
    values: dict[Path, Any] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    deleting: bool = False
    generation: int = 0

    def metadata(self, api_version: str = "v1") -> PartialMetadata:
        return decoding.partial(orjson.dumps({"metadata": self.metadata_json(api_version)}))

    def metadata_json(self, api_version: str = "v1") -> dict[str, Any]:
        labels = {path[2]: value for path, value in self.values.items() if path[:2] == LABEL[:2] and len(path) > 2}
        fields = [
            {
                "manager": entry.manager,
                "operation": entry.operation,
                "apiVersion": api_version,
                "fieldsV1": tree(entry.paths),
                **({"subresource": entry.subresource} if entry.subresource else {}),
                **({"time": entry.time} if entry.time else {}),
            }
            for entry in self.entries
        ]
        meta: dict[str, Any] = {"name": self.name.name, "namespace": self.name.namespace, "uid": self.uid}
        meta |= {"resourceVersion": str(self.version), "labels": labels, "managedFields": fields}
        if self.deleting:
            meta["deletionTimestamp"] = DELETED_AT
        if self.generation:
            meta["generation"] = self.generation
        return meta


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf with its path; lists and empty maps are leaves."""
    if isinstance(value, Mapping) and value:
        for name, child in value.items():
            yield from leaves(child, (*path, name))
    else:
        yield path, value


def tree(paths: set[Path]) -> dict[str, Any]:
    """FieldsV1 of a set of paths."""
    fields: dict[str, Any] = {}
    for path in sorted(paths):
        node = fields
        for name in path:
            node = node.setdefault(f"f:{name}", {})
    return fields


def paths_of(fields: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """The other way round."""
    for name, child in fields.items():
        if child:
            yield from paths_of(child, (*path, name[2:]))
        elif name != ".":
            yield (*path, name[2:])


def not_found(resource: Resource, name: ObjectName) -> Failure:
    missing = f"{resource.qualified}/{name.name}"
    return Failure(FailureKind.NOT_FOUND, f"{name} not found", 404, "NotFound", missing=missing)


def conflict(message: str) -> Failure:
    return Failure(FailureKind.VERSION_CONFLICT, message, 409, "Conflict")
