"""Read who owns what in a member's object, and write the patches that move ownership.

Members are watched as PartialObjectMetadata. Drift is read from our managedFields entry (design: decision 2): whatever
somebody else does to a field we own takes it out of the entry, so the entry's digest changes. `observe` runs for every
event of every member; the patches are rare: taking over what KubeFed or kubectl made, and letting go.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from federation.core import digests, fieldsets
from federation.model import marks
from federation.model.clusters import Observed

_HUB = re.compile(rf"({marks.FIELD_MANAGER}-[0-9a-f]{{8}})(-claim)?")
_LABEL_KEY = b'"f:kubefed.io/managed"'
_LABEL_PATH = ("f:metadata", "f:labels", f"f:{marks.MANAGED_LABEL}")
_REPLICAS_KEY = b'"f:replicas"'
_REPLICAS_PATH = ("f:spec", "f:replicas")
_REPLICAS = fieldsets.single(*_REPLICAS_PATH)
_STATUS = fieldsets.single("f:status")
_SYSTEM_MANAGER = "kube-controller-manager"

Patch = list[dict[str, Any]]


class Entry(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One entry of metadata.managedFields; `fields_v1` is undecoded JSON."""

    manager: str = ""
    operation: str = ""
    api_version: str = ""
    time: str = ""
    fields_type: str = ""
    fields_v1: msgspec.Raw = msgspec.Raw()
    subresource: str = ""


class PartialMetadata(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The part of ObjectMeta that tells what a member holds."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    deletion_timestamp: str | None = None
    managed_fields: tuple[Entry, ...] = ()


class PartialObject(msgspec.Struct, frozen=True, gc=False):
    """A PartialObjectMetadata, as lists, watches and applies answer it."""

    metadata: PartialMetadata


def observe(meta: PartialMetadata, manager: str) -> Observed:
    """Reduce an object to what decisions read; `manager` is our field manager."""
    entry, other_hub, owns_replicas = "", "", False
    claimed = False
    claims: tuple[str, ...] = ()
    for item in meta.managed_fields:
        if item.operation != "Apply" or item.subresource:
            continue
        if item.manager == manager:
            fields = bytes(item.fields_v1)
            entry = digests.short(fields)
            owns_replicas = _REPLICAS_KEY in fields and fieldsets.contains(orjson.loads(fields), _REPLICAS_PATH)
        elif hub := _HUB.fullmatch(item.manager):
            if not hub[2]:
                other_hub = hub[1]
            elif hub[1] == manager:
                claimed = True
            else:
                claims = tuple(sorted((*claims, hub[1])))
    version = meta.resource_version
    return Observed(
        uid=meta.uid,
        version=int(version) if version.isdecimal() else 0,
        entry=entry,
        managed=meta.labels.get(marks.MANAGED_LABEL) == "true",
        deleting=meta.deletion_timestamp is not None,
        owns_replicas=owns_replicas,
        other_hub=other_hub,
        legacy=not entry and any(_made_by_kubefed(item) for item in meta.managed_fields),
        claimed=claimed,
        claims=claims,
    )


def has_claim(meta: PartialMetadata, manager: str) -> bool:
    """Whether the claim of the hub that applies as `manager` is on it."""
    return any(_ours(item, marks.claim_manager(manager)) for item in meta.managed_fields)


def union_patch(meta: PartialMetadata, manager: str, *, retain_replicas: bool = False) -> Patch | None:
    """JSON patch that takes over what KubeFed made: the entries that own our label become ours.

    The next apply then removes what the manifest no longer names. With `retain_replicas` spec.replicas stays with its
    old owner, because leaving out a field that only we own would reset it to 1. None when nothing is KubeFed's or an
    entry is ours already. Stale resourceVersion: 409, read again.
    """
    old = [item for item in meta.managed_fields if _made_by_kubefed(item)]
    if not old or any(_ours(item, manager) for item in meta.managed_fields):
        return None
    version = old[0].api_version
    keep = fieldsets.union(_STATUS, _REPLICAS) if retain_replicas else _STATUS
    taken: fieldsets.Fields = {}
    entries: list[dict[str, Any]] = []
    for item in meta.managed_fields:
        if item not in old or item.api_version != version:
            entries.append(_plain(item))
            continue
        fields = _fields(item)
        gained = _without(fields, keep)
        taken = fieldsets.union(taken, gained)
        left = fieldsets.difference(fields, gained)
        if left:
            entries.append(_plain(item, left))
    mine = {"manager": manager, "operation": "Apply", "apiVersion": version, "fieldsType": "FieldsV1"}
    return _replace([{**mine, "fieldsV1": taken}, *entries], meta)


def subtract_patch(meta: PartialMetadata, manager: str, *, retain_replicas: bool = False) -> Patch | None:
    """JSON patch after the first apply to an adopted object: our paths leave the entries of those who made it.

    Fields that the manifest stops naming can then be removed; what only they own stays theirs. Entries of other
    appliers, of subresources and of kube-controller-manager are left alone. None when nobody shares a path with us.
    """
    mine = next((item for item in meta.managed_fields if _ours(item, manager)), None)
    if mine is None:
        return None
    ours = _fields(mine)
    if retain_replicas:
        ours = _without(ours, _REPLICAS)
    entries: list[dict[str, Any]] = []
    changed = False
    for item in meta.managed_fields:
        left = None
        if (
            item.operation == "Update"
            and not item.subresource
            and item.manager != _SYSTEM_MANAGER
            and item.api_version == mine.api_version
        ):
            theirs = _fields(item)
            left = fieldsets.difference(theirs, ours)
            if left == theirs:
                left = None
        if left is None:
            entries.append(_plain(item))
            continue
        changed = True
        if left:
            entries.append(_plain(item, left))
    return _replace(entries, meta) if changed else None


def release_patch(meta: PartialMetadata, manager: str, *, keep_label: bool = False) -> Patch | None:
    """JSON patch that lets go of an object and leaves it as it is: our label and our entries go, the fields stay.

    `keep_label` leaves the label, where another hub goes on managing the object. A label that somebody set to another
    value is his. None when nothing of ours is there.
    """
    mine = (manager, marks.replicas_manager(manager))
    entries = [item for item in meta.managed_fields if item.operation != "Apply" or item.manager not in mine]
    patch: Patch = []
    if not keep_label and meta.labels.get(marks.MANAGED_LABEL) == "true":
        patch.append({"op": "remove", "path": f"/metadata/labels/{marks.MANAGED_LABEL.replace('/', '~1')}"})
    if len(entries) < len(meta.managed_fields):
        # An empty list would be taken as "says nothing of ownership"; one empty entry wipes it (Kubernetes docs).
        patch.extend(_replace([_plain(item) for item in entries] or [{}], meta))
    elif patch:
        patch.append(_version(meta))
    return patch or None


def _made_by_kubefed(entry: Entry) -> bool:
    """Whether an Update owns our label: KubeFed's PUTs do, under whatever manager name they were sent."""
    if entry.operation != "Update" or entry.subresource:
        return False
    fields = bytes(entry.fields_v1)
    return _LABEL_KEY in fields and fieldsets.contains(orjson.loads(fields), _LABEL_PATH)


def _ours(entry: Entry, manager: str) -> bool:
    return entry.manager == manager and entry.operation == "Apply" and not entry.subresource


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


def _fields(entry: Entry) -> fieldsets.Fields:
    fields: Mapping[str, Any] = orjson.loads(memoryview(entry.fields_v1)) if entry.fields_v1 else {}
    return fields


def _plain(entry: Entry, fields: fieldsets.Fields | None = None) -> dict[str, Any]:
    """An entry as JSON values; with other fields when given."""
    plain: dict[str, Any] = {"manager": entry.manager, "operation": entry.operation, "apiVersion": entry.api_version}
    if entry.time:
        plain["time"] = entry.time
    plain["fieldsType"] = entry.fields_type or "FieldsV1"
    plain["fieldsV1"] = _fields(entry) if fields is None else fields
    if entry.subresource:
        plain["subresource"] = entry.subresource
    return plain


def _replace(entries: list[dict[str, Any]], meta: PartialMetadata) -> Patch:
    return [{"op": "replace", "path": "/metadata/managedFields", "value": entries}, _version(meta)]


def _version(meta: PartialMetadata) -> dict[str, Any]:
    return {"op": "replace", "path": "/metadata/resourceVersion", "value": meta.resource_version}
