"""Move who owns what in a member's object: the JSON patches of its managedFields.

They are rare: taking over what KubeFed or kubectl made, and letting go. Who owns what is read in `managedfields`. Each
patch names the resourceVersion that it was made from: where the object has changed since, the answer is 409.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from federation.core import fieldsets, nesting
from federation.core.managedfields import (
    CUT,
    REPLICAS_PATH,
    Entry,
    PartialMetadata,
    fields_of,
    is_ours,
    made,
    made_by_kubefed,
    notes_creation,
    shares,
)
from federation.model import bounds, marks

_REPLICAS = fieldsets.single(*REPLICAS_PATH)
_STATUS = fieldsets.single("f:status")

Patch = list[dict[str, Any]]


def union_patch(meta: PartialMetadata, manager: str, *, retain_replicas: bool = False) -> Patch | None:
    """JSON patch that takes over what KubeFed made: the entries that own our label become ours.

    The next apply then removes what the manifest no longer names. With `retain_replicas` spec.replicas stays with its
    old owner, because leaving out a field that only we own would reset it to 1. None when nothing is KubeFed's or an
    entry is ours already. Stale resourceVersion: 409, read again.
    """
    old = [item for item in meta.managed_fields if made_by_kubefed(item)]
    if not old or _has_unreadable_entry(meta) or any(is_ours(item, manager) for item in meta.managed_fields):
        return None
    version = old[0].api_version
    keep = fieldsets.union(_STATUS, _REPLICAS) if retain_replicas else _STATUS
    taken: fieldsets.Fields = {}
    entries: list[dict[str, Any]] = []
    for item in meta.managed_fields:
        if item not in old or item.api_version != version:
            entries.append(_plain(item))
            continue
        fields = fields_of(item)
        gained = _without(fields, keep)
        taken = fieldsets.union(taken, gained)
        left = fieldsets.difference(fields, gained)
        if left:
            entries.append(_plain(item, left))
    mine = {"manager": manager, "operation": "Apply", "apiVersion": version, "fieldsType": "FieldsV1"}
    return _replace([{**mine, "fieldsV1": taken}, *entries], meta)


def subtract_patch(
    meta: PartialMetadata, manager: str, *, retain_replicas: bool = False, defaults: fieldsets.Fields | None = None
) -> Patch | None:
    """JSON patch after the first apply to an adopted object: our paths leave the entries of everybody else.

    Whoever made it, by whatever tool and in whichever version of its API: a field that two own could never be removed
    again by one of them. What only they own stays theirs, as do the entries of subresources, of
    kube-controller-manager and of hubs (our second managers, too). `defaults` are fields that nobody chose: they leave
    the entries of those who made the object (see `made`). None when nobody shares a path with us.
    """
    mine = next((item for item in meta.managed_fields if is_ours(item, manager)), None)
    if mine is None or _has_unreadable_entry(meta):
        return None
    ours = fields_of(mine)
    nobodys = fieldsets.union(ours, defaults or {})
    if retain_replicas:
        ours, nobodys = _without(ours, _REPLICAS), _without(nobodys, _REPLICAS)
    entries: list[dict[str, Any]] = []
    changed = False
    for item in meta.managed_fields:
        if not shares(item) or is_ours(item, manager):
            entries.append(_plain(item))
            continue
        theirs = fields_of(item)
        same = item.api_version == mine.api_version
        leaving = nobodys if made(item) else ours
        left = fieldsets.beside(theirs, leaving) if same else fieldsets.uncovered(theirs, leaving)
        changed = changed or left != theirs
        if left:
            entries.append(_plain(item, left))
    return _replace(entries, meta) if changed else None


def take_patch(
    meta: PartialMetadata, manager: str, api_version: str, taken: fieldsets.Fields, *, adopting: bool
) -> Patch | None:
    """JSON patch that makes these fields ours alone, so that an apply which does not name them removes them.

    Only where an object is being adopted may those who made it own them, too (see `made`). None where somebody's field
    set cannot be written back.
    """
    if _has_unreadable_entry(meta):
        return None
    mine: dict[str, Any] = {"manager": manager, "operation": "Apply", "apiVersion": api_version}
    mine |= {"fieldsType": "FieldsV1", "fieldsV1": taken}
    entries: list[dict[str, Any]] = []
    for item in meta.managed_fields:
        if is_ours(item, manager):
            mine = _plain(item, fieldsets.union(fields_of(item), taken))
        elif not (adopting and made(item)):
            entries.append(_plain(item))
        elif left := fieldsets.beside(fields_of(item), taken):
            entries.append(_plain(item, left))
    return _replace([mine, *entries], meta)


def split_patch(
    meta: PartialMetadata,
    manager: str,
    second: str,
    *,
    left: fieldsets.Fields,
    kept: fieldsets.Fields,
    others: Sequence[tuple[Entry, fieldsets.Fields]],
) -> Patch | None:
    """JSON patch after which our entry has the fields `left`, and our `second` manager's has those `kept`.

    `others` are entries of the second manager in other versions, with what each of them keeps. None where somebody's
    field set cannot be written back.
    """
    if _has_unreadable_entry(meta):
        return None
    entries: list[dict[str, Any]] = []
    for item in meta.managed_fields:
        if is_ours(item, second):
            continue
        if not is_ours(item, manager):
            entries.append(_plain(item))
            continue
        if left:
            entries.append(_plain(item, left))
        if kept:
            entries.append({**_plain(item, kept), "manager": second})
    entries += [_plain(item, fields) for item, fields in others if fields]
    return _replace(entries or [{}], meta)


def gained(meta: PartialMetadata, former: Collection[str], keep: fieldsets.Fields) -> fieldsets.Fields:
    """What the applies of these field managers own, but for `keep` and what is below it."""
    found: fieldsets.Fields = {}
    for item in meta.managed_fields:
        if any(is_ours(item, each) for each in former):
            found = fieldsets.union(found, _without(fields_of(item), keep))
    return found


def inherit_patch(meta: PartialMetadata, manager: str, former: Collection[str], keep: fieldsets.Fields) -> Patch | None:
    """JSON patch by which what these field managers have applied is `manager`'s; `keep`, and what is below it, is not.

    Where that is more than `manager` has applied itself, its entry has no time afterwards: with the time of its own
    apply the object would look as that has left it, though the values are another's. None where nothing is theirs,
    where they have applied in another version of the API, or where somebody's field set cannot be written back.
    """
    old = [item for item in meta.managed_fields if any(is_ours(item, each) for each in former)]
    mine = next((item for item in meta.managed_fields if is_ours(item, manager)), None)
    version = mine.api_version if mine is not None else old[0].api_version if old else ""
    taken = gained(meta, former, keep)
    if not taken or _has_unreadable_entry(meta) or any(item.api_version != version for item in old):
        return None
    new: dict[str, Any] = {"manager": manager, "operation": "Apply", "apiVersion": version, "fieldsType": "FieldsV1"}
    entries: list[dict[str, Any]] = []
    for item in meta.managed_fields:
        if item is mine:
            new = _plain(item)
        elif item not in old:
            entries.append(_plain(item))
        elif left := fieldsets.difference(fields_of(item), _without(fields_of(item), keep)):
            entries.append(_plain(item, left))
    before = fields_of(mine) if mine is not None else {}
    if fieldsets.difference(taken, before):
        new.pop("time", None)
    return _replace([{**new, "fieldsV1": fieldsets.union(before, taken)}, *entries], meta)


def renew_patch(meta: PartialMetadata, managers: Collection[str], api_version: str, gone: str) -> Patch | None:
    """JSON patch by which fields that were written in a version of the type that is `gone` were written in this one,
    and so all that these managers of ours have applied in another one: the paths stay, as with Flux after an upgrade.

    Where versions name a field differently, what its old name owned is owned by nobody afterwards. None where nothing
    is of another version, or where somebody's field set cannot be written back.
    """

    def outdated(item: Entry) -> bool:
        ours = any(is_ours(item, manager) for manager in managers)
        return item.api_version != api_version and (item.api_version == gone or ours)

    if _has_unreadable_entry(meta) or not any(map(outdated, meta.managed_fields)):
        return None
    entries: dict[tuple[str, ...], dict[str, Any]] = {}
    for item in meta.managed_fields:
        version = api_version if outdated(item) else item.api_version
        who = (item.manager, item.operation, item.subresource, version)
        known = entries.get(who)
        if known is None:
            entries[who] = {**_plain(item), "apiVersion": version}
        else:  # one entry for each: the later one's time
            known["fieldsV1"] = fieldsets.union(known["fieldsV1"], fields_of(item))
            known["time"] = max(known.get("time", ""), item.time)
    return _replace(list(entries.values()), meta)


def guard(meta: PartialMetadata) -> Patch:
    """What lets a JSON patch change an object only if it is still as this metadata shows it; else 409."""
    return [_version(meta)]


def release_patch(
    meta: PartialMetadata, manager: str, *, keep_label: bool = False, others: Collection[str] = ()
) -> Patch | None:
    """JSON patch that lets go of an object and leaves it as it is: our marks and our entries go, the fields stay.

    `keep_label` leaves the label, where another hub goes on managing the object. A label that somebody set to another
    value stays. The entries of `others` go, too. None when nothing of ours is there.
    """
    mine = (manager, *marks.second_managers(manager), *others)
    entries = [item for item in meta.managed_fields if item.operation != "Apply" or item.manager not in mine]
    patch: Patch = []
    if not keep_label and meta.labels.managed == "true":
        patch.append({"op": "remove", "path": f"/metadata/labels/{marks.MANAGED_LABEL.replace('/', '~1')}"})
    if any(is_ours(item, manager) and notes_creation(item) for item in meta.managed_fields):
        patch.append({"op": "remove", "path": f"/metadata/annotations/{marks.CREATED_ANNOTATION.replace('/', '~1')}"})
    if len(entries) < len(meta.managed_fields) and entries and _has_unreadable_entry(meta):
        kept = set(map(id, entries))
        leaving = [place for place, item in enumerate(meta.managed_fields) if id(item) not in kept]
        patch.extend({"op": "remove", "path": f"/metadata/managedFields/{place}"} for place in reversed(leaving))
        patch.append(_version(meta))
    elif len(entries) < len(meta.managed_fields):
        # An empty list would leave ownership as it is; one empty entry wipes it (Kubernetes docs).
        patch.extend(_replace([_plain(item) for item in entries] or [{}], meta))
    elif patch:
        patch.append(_version(meta))
    return patch or None


def _has_unreadable_entry(meta: PartialMetadata) -> bool:
    """Whether somebody's field set cannot be read here: it must not be written back as we have it."""
    return any(item.fields_type == CUT or not _readable(item.fields_v1) for item in meta.managed_fields)


def _readable(raw: msgspec.Raw) -> bool:
    content = bytes(raw)
    if nesting.may_be_deep(content, bounds.DEEPEST_METADATA) and nesting.pruned(content, bounds.DEEPEST_METADATA)[1]:
        return False
    return not content or content.startswith(b"{")


def _without(fields: fieldsets.Fields, keep: fieldsets.Fields) -> fieldsets.Fields:
    """`fields` minus every path of `keep` and all below it."""
    result: dict[str, Any] = {}
    for name, child in fields.items():
        if name not in keep:
            result[name] = child
        elif keep[name]:
            rest = _without(child, keep[name])
            if rest or not child:
                result[name] = rest
    return result


def _plain(entry: Entry, fields: fieldsets.Fields | None = None) -> dict[str, Any]:
    """An entry as JSON values; with other fields when given."""
    plain: dict[str, Any] = {"manager": entry.manager, "operation": entry.operation, "apiVersion": entry.api_version}
    if entry.time:
        plain["time"] = entry.time
    plain["fieldsType"] = entry.fields_type or "FieldsV1"
    plain["fieldsV1"] = fields_of(entry) if fields is None else fields
    if entry.subresource:
        plain["subresource"] = entry.subresource
    return plain


def _replace(entries: list[dict[str, Any]], meta: PartialMetadata) -> Patch:
    return [{"op": "replace", "path": "/metadata/managedFields", "value": entries}, _version(meta)]


def _version(meta: PartialMetadata) -> dict[str, Any]:
    return {"op": "replace", "path": "/metadata/resourceVersion", "value": meta.resource_version}
