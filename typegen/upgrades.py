"""Compare two forms of a type, and find what the new one does to federated objects. Pure.

Every finding has one of three severities. The new federated CRD is applied at the hub first:

- `stored`: an object that is valid now may be refused, or lose a field, at its next write.
- `members`: nothing at the hub breaks, but members that are not upgraded yet refuse a template that uses what is new.
- `harmless`: breaks nothing.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from typegen import narrowing
from typegen.model import ApiResource

Severity = Literal["stored", "members", "harmless"]
SEVERITIES: Mapping[Severity, str] = {
    "stored": "breaks stored objects",
    "members": "breaks some members during the roll-out",
    "harmless": "harmless",
}


@dataclass(frozen=True, slots=True)
class Form:
    """A type in one source: its names, with the preferred version, and the schema of each served version."""

    resource: ApiResource
    schemas: Mapping[str, Mapping[str, Any]]
    storage: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: type and versions, path in the federated object, severity, and message."""

    type: str
    versions: tuple[str, ...]
    path: str
    severity: Severity
    message: str


def compare(old: Mapping[str, Form], new: Mapping[str, Form]) -> list[Finding]:
    """The findings for all types of two sources (by `plural.group`), sorted by type, severity and path."""
    found = []
    for name in sorted({*old, *new}):
        if name not in new:
            found.append(Finding(name, (), ".", "stored", "the type does not exist any more"))
        elif name not in old:
            found.append(Finding(name, (), ".", "harmless", "the type is new"))
        else:
            found += _type(name, old[name], new[name])
    order = list(SEVERITIES)
    return sorted(found, key=lambda each: (each.type, order.index(each.severity), each.path, each.message))


def _type(name: str, old: Form, new: Form) -> Iterator[Finding]:
    yield from _names(name, old, new)
    changes: dict[tuple[str, Severity, str], list[str]] = {}
    for version, schema in new.schemas.items():
        if version in old.schemas:
            for path, severity, message in schemas(old.schemas[version], schema):
                changes.setdefault((path, severity, message), []).append(version)
    for (path, severity, message), where in changes.items():
        yield Finding(name, tuple(where), path, severity, message)


def _names(name: str, old: Form, new: Form) -> Iterator[Finding]:
    for version in old.schemas:
        if version not in new.schemas:
            message = f"{version} is no longer served: a template that names it is refused by upgraded members"
            yield Finding(name, (version,), "spec.template.apiVersion", "stored", message)
    for version in new.schemas:
        if version not in old.schemas:
            yield Finding(name, (version,), "spec.template.apiVersion", "harmless", f"{version} is new")
    before, after = old.resource, new.resource
    if before.version != after.version:
        message = f"templates without apiVersion become {after.version}, until now {before.version}"
        severity: Severity = "harmless" if after.version in old.schemas else "members"
        yield Finding(name, (), "spec.template.apiVersion", severity, message)
    if old.storage != new.storage:
        message = f"members store objects as {new.storage}, until now as {old.storage}; nothing changes at the hub"
        yield Finding(name, (), ".", "harmless", message)
    if before.namespaced != after.namespaced:
        yield Finding(
            name, (), ".", "stored", f"the type is now {'namespaced' if after.namespaced else 'cluster-wide'}"
        )
    if before.kind != after.kind:
        yield Finding(name, (), ".", "stored", f"the kind is now {after.kind}, until now {before.kind}")
    if before.scale != after.scale:
        change = f"is now {after.scale}" if after.scale else "is gone"
        yield Finding(name, (), ".", "harmless", f"the scale subresource {change}: kubectl scale uses it")


def schemas(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Severity, str]]:
    """The changes between two schemas of a whole target: (path in the federated object, severity, message)."""
    yield from _node(narrowing.own(old), narrowing.own(new), "spec.template")
    yield from _node(narrowing.name(old), narrowing.name(new), "metadata.name")


def _node(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[tuple[str, Severity, str]]:
    if old == new:
        return
    changed = narrowing.types(old, new)
    if changed is not None:
        yield path, "stored" if changed.narrower else "members", changed.message
        if changed.narrower:
            return
    for change in narrowing.validations(old, new):
        yield path, "stored" if change.narrower else "members", change.message
    before, after = old.get("default"), new.get("default")
    if before != after:
        message = f"the default is now {narrowing.describe(after)}, until now {narrowing.describe(before)}"
        yield path, "harmless", f"{message}; members differ until all are upgraded"
    yield from _properties(old, new, path)
    for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(old.get(key), Mapping) and isinstance(new.get(key), Mapping):
            yield from _node(old[key], new[key], path + suffix)


def _properties(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[tuple[str, Severity, str]]:
    before: Mapping[str, Any] = old.get("properties") or {}
    after: Mapping[str, Any] = new.get("properties") or {}
    removed = {name: before[name] for name in before if name not in after}
    added = {name: after[name] for name in after if name not in before}
    renamed = _renamed(removed, added)
    kept = narrowing.is_free(new) or isinstance(new.get("additionalProperties"), Mapping)
    for name in removed:
        if name in renamed:
            yield f"{path}.{name}", "stored", f"the field looks renamed to {renamed[name]}; its value would be lost"
        elif kept:
            yield f"{path}.{name}", "harmless", "the field is no longer described, but still accepted"
        else:
            yield f"{path}.{name}", "stored", "the field is gone; its value would be lost"
    open_before = narrowing.is_free(old) or isinstance(old.get("additionalProperties"), Mapping)
    for name in set(added).difference(renamed.values()):
        if open_before:
            yield f"{path}.{name}", "stored", "the field was free and is now checked"
        else:
            yield (
                f"{path}.{name}",
                "members",
                "the field is new; members without it refuse a template that has it",
            )
    for name in before:
        if name in after:
            yield from _node(before[name], after[name], f"{path}.{name}")


def _renamed(removed: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, str]:
    """Removed fields that probably have another name now, by similar names and structure; each new name once."""
    found: dict[str, str] = {}
    for name in sorted(removed):
        shape = narrowing.shape(removed[name])
        same = [
            other for other in sorted(added) if other not in found.values() and narrowing.shape(added[other]) == shape
        ]
        lower = {other.lower(): other for other in same}
        near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
        if near:
            found[name] = lower[near[0]]
        elif len(same) == 1 and removed[name].get("description") and _described(removed[name], added[same[0]]):
            found[name] = same[0]
    return found


def _described(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    texts = str(one.get("description", "")), str(other.get("description", ""))
    return difflib.SequenceMatcher(None, *texts).ratio() > 0.8
