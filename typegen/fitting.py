"""Whether a member would accept what the hub accepts: compare a type at the hub with the same type in a member. Pure.

The hub's form comes from a CRD (`definitions`) or an OpenAPI document (`openapi`), the member's from the documents that
it serves (`published`, `openapi`); `fedctl enable --check` calls `compare`. Members may accept more than the hub,
because no template can have fields that only members know. Keywords that cannot be compared (patterns, CEL rules, anyOf
and the like) count as stricter when they differ, because it is better to warn too often than too late.
"""

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from typegen import narrowing
from typegen.model import ApiResource, Schema, Target
from typegen.narrowing import Node

TEMPLATE = "spec.template"
_API_VERSION = f"{TEMPLATE}.apiVersion"
_EITHER = [{"type": "integer"}, {"type": "string"}]
_IDENTITY = ("apiVersion", "kind", "metadata")


class Kind(enum.StrEnum):
    """What does not fit."""

    TYPE_UNAVAILABLE = "TypeUnavailable"
    VERSION_UNAVAILABLE = "VersionUnavailable"
    OTHER_TYPE = "OtherType"
    FIELD_UNKNOWN = "FieldUnknown"
    STRICTER = "Stricter"


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that the member would refuse: where in the federated object, for templates of which versions."""

    kind: Kind
    path: str
    message: str
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The type at the hub: the schema of every version that a template may name.

    `equivalent` versions (model.Target) can replace each other: the controller pushes one where a member does not serve
    the other.
    """

    resource: ApiResource
    schemas: Mapping[str, Node]
    equivalent: tuple[str, ...] = ()

    @classmethod
    def of(cls, target: Target, versions: Iterable[str] = ()) -> "Wanted":
        """From a target; `versions` are all that its CRD serves (the target has only those that differ)."""
        free: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        own = free if target.schema is None else target.schema
        names = dict.fromkeys((target.resource.version, *versions))
        return cls(target.resource, {name: target.others.get(name, own) for name in names}, target.equivalent)

    def counterpart(self, version: str, served: Collection[str]) -> str | None:
        """The version in which the controller pushes a template of `version` to a member; None when it cannot."""
        if version in served:
            return version
        known = self.equivalent if version in self.equivalent else ()
        return next((other for other in known if other in served), None)


@dataclass(frozen=True, slots=True)
class Served:
    """The type in a member: its versions, the preferred one first, and the schemas of those with a counterpart."""

    resource: ApiResource
    versions: tuple[str, ...]
    schemas: Mapping[str, Node]


def compare(wanted: Wanted, served: Served | None) -> list[Misfit]:
    """What of the hub's type does not fit a member; `served` None is a member without the type.

    Sorted by kind as above, then by path.
    """
    if served is None:
        return [Misfit(Kind.TYPE_UNAVAILABLE, "", _absent(wanted.resource))]
    found = [*_names(wanted, served)]
    same: dict[tuple[Kind, str, str], list[str]] = {}
    for version, schema in wanted.schemas.items():
        there = wanted.counterpart(version, served.versions)
        if there is None:
            found.append(_unserved(wanted, version, served))
            continue
        for misfit in schemas(schema, served.schemas[there]):
            same.setdefault((misfit.kind, misfit.path, misfit.message), []).append(version)
    found += [Misfit(*what, tuple(versions)) for what, versions in same.items()]
    order = list(Kind)
    return sorted(found, key=lambda each: (order.index(each.kind), each.path, each.message))


def _absent(resource: ApiResource) -> str:
    if "." not in resource.group or resource.group.endswith(".k8s.io"):
        return "the type is not served there"
    return f"the type is not served there: is its CRD {resource.qualified} installed?"


def _names(wanted: Wanted, served: Served) -> Iterator[Misfit]:
    here, there = wanted.resource, served.resource
    if here.kind != there.kind:
        yield Misfit(Kind.OTHER_TYPE, ".", f"{here.qualified} is {there.kind} there, {here.kind} at the hub")
    if here.namespaced != there.namespaced:
        scopes = [("namespaced" if each.namespaced else "cluster-wide") for each in (there, here)]
        yield Misfit(Kind.OTHER_TYPE, ".", f"the type is {scopes[0]} there, {scopes[1]} at the hub")


def _unserved(wanted: Wanted, version: str, served: Served) -> Misfit:
    whose = "templates without apiVersion" if version == wanted.resource.version else "templates that name it"
    message = f"{version} is not served there, which {whose} need; served: {', '.join(served.versions)}"
    return Misfit(Kind.VERSION_UNAVAILABLE, _API_VERSION, message, (version,))


def schemas(wanted: Node, served: Node) -> Iterator[Misfit]:
    """What a template may have by the hub's schema of a whole target, and the member's schema refuses."""
    yield from _node(narrowing.own(wanted), narrowing.own(served), TEMPLATE)


def _node(wanted: Node, served: Node, path: str) -> Iterator[Misfit]:
    wanted, served = _plain(wanted), _plain(served)
    if wanted == served:
        return
    changed = narrowing.types(wanted, served)
    if changed is not None:
        if changed.narrower:
            yield Misfit(Kind.STRICTER, path, changed.there)
        return  # a wider type accepts everything below, too
    for change in narrowing.validations(wanted, served):
        if change.narrower:
            yield Misfit(Kind.STRICTER, path, change.there)
    yield from _properties(wanted, served, path)
    if isinstance(wanted.get("items"), Mapping) and isinstance(served.get("items"), Mapping):
        yield from _node(wanted["items"], served["items"], f"{path}[]")
    yield from _values(wanted, served, path)


def _plain(node: Node) -> Node:
    """A node of int-or-string without the redundant anyOf that some CRDs have, and all servers publish."""
    if not node.get("x-kubernetes-int-or-string"):
        return node
    left = {key: value for key, value in node.items() if (key, value) != ("anyOf", _EITHER)}
    every = [branch for branch in left.pop("allOf", None) or () if branch != {"anyOf": _EITHER}]
    return {**left, "allOf": every} if every else left


def _properties(wanted: Node, served: Node, path: str) -> Iterator[Misfit]:
    known: Mapping[str, Any] = wanted.get("properties") or {}
    there: Mapping[str, Any] = served.get("properties") or {}
    values = served.get("additionalProperties")
    if served.get("x-kubernetes-embedded-resource"):  # the server itself checks these fields of an API object
        known, there = ({name: node[name] for name in node if name not in _IDENTITY} for node in (known, there))
    for name, child in known.items():
        if name in there:
            yield from _node(child, there[name], f"{path}.{name}")
        elif isinstance(values, Mapping):
            yield from _node(child, values, f"{path}.{name}")
        elif not narrowing.is_free(served):
            yield Misfit(Kind.FIELD_UNKNOWN, f"{path}.{name}", "the field is not known there")
    if narrowing.is_free(wanted) and narrowing.is_free(served):
        for name in there:
            if name not in known and there[name] != {"x-kubernetes-preserve-unknown-fields": True}:
                yield Misfit(Kind.STRICTER, f"{path}.{name}", "the field is checked there, free at the hub")


def _values(wanted: Node, served: Node, path: str) -> Iterator[Misfit]:
    """Maps with any key."""
    here, there = wanted.get("additionalProperties"), served.get("additionalProperties")
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        yield from _node(here, there, f"{path}{{}}")
    elif isinstance(here, Mapping) and not narrowing.is_free(served):
        yield Misfit(Kind.STRICTER, path, "any key is allowed at the hub, only those of named fields there")
    elif isinstance(there, Mapping) and narrowing.is_free(wanted):
        yield Misfit(Kind.STRICTER, path, "values are checked there, free at the hub")
