"""Find what a change would leave behind: fields without an owner, which defaulting made from the old manifest.

Server-side apply removes what we owned and no longer name; defaults have no owner, so they stay beside the new choice:
`strategy.rollingUpdate` under type Recreate (refused), `policyTypes: [Ingress]` beside egress rules (not enforced). A
PUT would have them made anew. Whether a field is such a leftover is asked of the member, by dry runs, never looked up
in a table of types: without the fields that nobody owns, does the new manifest get another value there, and the old
object the same again? What an API server allocated (clusterIP, nodePort, a Job's selector) it keeps or insists on, so
that it is none. Used by controllers.clearing. Pure.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from federation.core import fieldsets, fieldvalues, managedfields, scrubbing
from federation.core.fieldsets import Fields
from federation.core.managedfields import PartialMetadata
from federation.core.ownership import Patch

_NOT_CONTENT = frozenset({"apiVersion", "kind", "metadata", "status"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One object before a change. `free` are the fields that a dry run may leave out to show what becomes of them.

    `others` is what everybody else owns, `owned` that and ours.
    """

    content: Mapping[str, Any]
    labels: Mapping[str, Mapping[str, Any]]
    free: Fields
    others: Fields
    owned: Fields
    kept: Fields = field(default_factory=dict)


def snapshot(whole: Mapping[str, Any], meta: PartialMetadata, manager: str, *, adopting: bool) -> Snapshot | None:
    """The object as it is; None when no field of it is without an owner.

    An object that is being adopted was made by somebody whose entry owns defaults and choices alike: all that such
    entries own is `free` then, and only dry runs show which is which.
    """
    ours, makers, others = _by_owner(meta, manager, adopting=adopting)
    owned = fieldsets.union(fieldsets.union(others, ours), makers)
    content = {name: value for name, value in whole.items() if name not in _NOT_CONTENT}
    chosen = {name: node for name, node in makers.items() if name[2:] in content}
    free = fieldsets.union(
        fieldvalues.unowned(content, owned), fieldsets.difference(chosen, fieldsets.union(others, ours))
    )
    if not free:
        return None
    metadata = whole["metadata"]
    labels = {name: metadata.get(name) or {} for name in ("labels", "annotations")}
    return Snapshot(content, labels, free, others, owned)


def with_new(seen: Snapshot, manifest: Mapping[str, Any]) -> Patch:
    """JSON patch to what a PUT of the manifest would send: fields of others stay, those without an owner go."""
    stays = fieldsets.union(seen.others, seen.kept)
    base = fieldvalues.pick(seen.content, stays) if stays else {}
    wanted = {name: value for name, value in manifest.items() if name not in _NOT_CONTENT}
    operations = replacing(seen.content, fieldvalues.overlay(base, wanted, seen.owned))
    for name, there in seen.labels.items():
        named = manifest["metadata"].get(name)
        if named:
            operations.append({"op": "add", "path": f"/metadata/{name}", "value": {**there, **named}})
    return operations


def suspects(seen: Snapshot, answer: Mapping[str, Any], manifest: Mapping[str, Any]) -> Fields:
    """Fields without an owner that the new manifest would not have got with these values."""
    return fieldvalues.differing(seen.content, answer, seen.free, manifest)


def defaults(seen: Snapshot, answer: Mapping[str, Any]) -> Fields:
    """Free fields that the new manifest would have got with the very values they have."""
    return fieldvalues.agreeing(seen.content, answer, seen.free)


def as_it_was(seen: Snapshot, removed: Fields) -> Patch:
    """JSON patch that takes these fields away and changes nothing else."""
    return replacing(seen.content, fieldvalues.without(seen.content, removed))


def confirmed(seen: Snapshot, suspected: Fields, answer: Mapping[str, Any]) -> Fields:
    """The suspects that came back by themselves: they are defaults of the object as it was."""
    return fieldvalues.agreeing(seen.content, answer, suspected)


def emptying(content: Mapping[str, Any], meta: PartialMetadata, manager: str, manifest: Mapping[str, Any]) -> Patch:
    """JSON patch that empties what the manifest has empty and we alone have filled.

    An apply takes out all that it held and leaves null in its place, which a custom type's schema refuses, or keeps
    where it is free-form: Helm values that are null take a default away. What is empty before stays empty.
    """
    ours, _, others = _by_owner(meta, manager, adopting=False)
    wanted = {name: value for name, value in manifest.items() if name not in _NOT_CONTENT}
    return [
        {"op": "replace", "path": "".join(f"/{_escaped(str(step))}" for step in path), "value": value}
        for path, value in fieldvalues.emptied(content, wanted, ours, others)
    ]


def _by_owner(meta: PartialMetadata, manager: str, *, adopting: bool) -> tuple[Fields, Fields, Fields]:
    """What we own, what those own that made an object which is being adopted, and what everybody else owns."""
    ours: Fields = {}
    makers: Fields = {}
    others: Fields = {}
    for entry in meta.managed_fields:
        fields = managedfields.fields_of(entry)
        if managedfields.is_ours(entry, manager):
            ours = fields
        elif adopting and managedfields.made(entry):
            makers = fieldsets.union(makers, fields)
        else:
            others = fieldsets.union(others, fields)
    return ours, makers, others


def excluding(seen: Snapshot, named: Collection[str]) -> Snapshot | None:
    """The same object after a refusal (422) that names these fields: what the member insists on is not taken away.

    None when the refusal names nothing of it.
    """
    free = exclude(seen.free, named)
    if free == seen.free or not free:
        return None
    return replace(seen, free=free, kept=fieldsets.union(seen.kept, fieldsets.difference(seen.free, free)))


def exclude(fields: Fields, named: Collection[str]) -> Fields:
    """`fields` without those that a refusal (422) is about: what the member insists on is not ours to take away.

    `named` are its causes' fields, such as `spec.selector`; everything below one of them, and around it, is spared.
    """
    names = {plain for each in named if (plain := _plain(each))}
    around = {
        ".".join(parts[:count]) for parts in (each.split(".") for each in names) for count in range(1, len(parts))
    }
    return _exclude(fields, "", frozenset(names), frozenset(around))


def _exclude(fields: Fields, path: str, named: frozenset[str], around: frozenset[str]) -> Fields:
    left: dict[str, Any] = {}
    for name, node in fields.items():
        here = path
        for part in name[2:].split(".") if name.startswith("f:") else ():
            here = scrubbing.below(here, part)
            if here in named:
                break
        else:
            if node:
                below = _exclude(node, here, named, around)
                if below:
                    left[name] = below
            elif here not in around:
                left[name] = node
    return left


def _plain(named: str) -> str:
    """A cause's field without indices."""
    parts = (part.partition("[")[0] for part in named.lstrip(".").split("."))
    return ".".join(part for part in parts if part)


def replacing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Patch:
    """JSON patch of an object's top level from one state to another."""
    operations: Patch = []
    for name in {**before, **after}:
        path = f"/{_escaped(name)}"
        if name not in after:
            operations.append({"op": "remove", "path": path})
        elif name not in before or before[name] != after[name]:
            operations.append({"op": "add", "path": path, "value": after[name]})
    return operations


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
