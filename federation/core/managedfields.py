"""Read who owns what in a member's object, and make the patches that move ownership.

Members are watched as PartialObjectMetadata, so drift is read from our managedFields entry: when somebody else changes
a field that we own, the API server takes it out of the entry, and the entry's digest changes. The entry's time is that
of our last apply that changed something: an older entry that was put back has another one. `observe` runs for every
event of every member; the patches are rare: taking over what KubeFed or kubectl made, and letting go.
"""

import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import orjson

from federation.core import digests, fieldsets, nesting, times
from federation.model import bounds, marks
from federation.model.federated import Generation, Name, Namespace, Opaque
from federation.model.observations import Observed

_HUB = re.compile(rf"({marks.FIELD_MANAGER}-[0-9a-f]{{8}})(-claim)?")
_LABEL_KEY = b'"f:kubefed.io/managed"'
_LABEL_PATH = ("f:metadata", "f:labels", f"f:{marks.MANAGED_LABEL}")
_OWNERS_PATH = ("f:metadata", "f:ownerReferences")
_REPLICAS_KEY = b'"f:replicas"'
_REPLICAS_PATH = ("f:spec", "f:replicas")
_REPLICAS = fieldsets.single(*_REPLICAS_PATH)
_STATUS = fieldsets.single("f:status")
_CREATED_KEY = b'"f:kubefed.io/created-by"'
_CREATED_PATH = ("f:metadata", "f:annotations", f"f:{marks.CREATED_ANNOTATION}")
_SYSTEM_MANAGER = "kube-controller-manager"
_MOST_CLAIMS = 20
_LONGEST_VERSION = 20
"""Digits of the largest resourceVersion that etcd counts to."""
_LONGEST_REMEMBERED = 4096
"""Bytes of a field set of ours whose meaning is remembered."""

Patch = list[dict[str, Any]]


CUT = "cut"
"""In place of an entry's fieldsType: its field set nested too deep for any decoder and was cut when it was read."""


class Entry(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One entry of metadata.managedFields; `fields_v1` is undecoded JSON."""

    manager: str = ""
    operation: str = ""
    api_version: str = ""
    time: str = ""
    fields_type: str = ""
    fields_v1: msgspec.Raw = msgspec.Raw()
    subresource: str = ""


class Writer(NamedTuple):
    """Who wrote an object, and when last (RFC 3339)."""

    manager: str
    time: str


def writers(entries: Sequence[Entry]) -> list[Writer]:
    """Those of an object, status aside and our own controllers left out; the newest first."""
    found = [
        Writer(each.manager, each.time) for each in entries if not each.subresource and each.manager != marks.AGENT
    ]
    return sorted(found, key=lambda each: each.time, reverse=True)


class Labels(msgspec.Struct, frozen=True, gc=False):
    """Our label, the only one of a member's object that matters here."""

    managed: str = msgspec.field(name=marks.MANAGED_LABEL, default="")


class PartialMetadata(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The part of ObjectMeta that shows what a member has."""

    name: Name
    namespace: Namespace = ""
    uid: Opaque = ""
    resource_version: Opaque = ""
    generation: Generation = 0
    labels: Labels = Labels()
    deletion_timestamp: str | None = None
    managed_fields: tuple[Entry, ...] = ()

    @property
    def broken(self) -> str:
        """Why it cannot be read; "" where it can. Name and namespace are right all the same."""
        return ""


class BrokenPartialMetadata(PartialMetadata, frozen=True, gc=False):
    """Of an object that does not fit: it is there, and nothing may be concluded of what is in it."""

    why: str = ""

    @property
    def broken(self) -> str:
        """Why."""
        return self.why


class PartialObject(msgspec.Struct, frozen=True, gc=False):
    """A PartialObjectMetadata, as lists, watches and applies answer it."""

    metadata: PartialMetadata


def observe(meta: PartialMetadata, manager: str) -> Observed:
    """Reduce an object to what decisions read; `manager` is our field manager."""
    owned, other_hub, owns_replicas, applied_at = "", "", False, 0
    claimed = created = False
    claims: set[str] = set()
    for item in meta.managed_fields:
        if item.operation != "Apply" or item.subresource:
            continue
        if item.manager == manager:
            fields, applied_at = bytes(item.fields_v1), _seconds(item.time)
            owned, owns_replicas, created = _own(fields) if len(fields) <= _LONGEST_REMEMBERED else _own_anew(fields)
        elif hub := _HUB.fullmatch(item.manager):
            if not hub[2]:
                other_hub = hub[1]
            elif hub[1] == manager:
                claimed = True
            else:
                claims.add(hub[1])
    labelled = [] if owned else [item for item in meta.managed_fields if _sets_label(item)]
    return Observed(
        uid=meta.uid,
        version=version(meta),
        owned_digest=owned,
        managed=meta.labels.managed == "true",
        deleting=meta.deletion_timestamp is not None,
        owns_replicas=owns_replicas,
        other_hub=other_hub,
        legacy=any(_made_by_kubefed(item) for item in labelled),
        claimed=claimed,
        claims=tuple(sorted(claims)[:_MOST_CLAIMS]),
        broken=meta.broken,
        created=created,
        copied=bool(labelled) and all(_copies_labels(item) for item in labelled),
        applied_at=applied_at,
    )


@functools.lru_cache(maxsize=4096)  # what is applied together has one time: one number in memory
def _seconds(time: str) -> int:
    """The time of an entry in seconds of the epoch; 0 where it has none."""
    found = times.moment(time)
    return max(0, int(found.timestamp())) if found is not None else 0


def version(meta: PartialMetadata) -> int:
    """The resourceVersion as a number, for Observed; 0 where it is none."""
    return number(meta.resource_version)


def number(text: str) -> int:
    """A resourceVersion, of an object or a list, as a number; 0 where it is none."""
    return int(text) if len(text) <= _LONGEST_VERSION and text.isdecimal() else 0


def size(meta: PartialMetadata) -> int:
    """Bytes of its field sets: what a patch of them has to walk."""
    return sum(len(memoryview(item.fields_v1)) for item in meta.managed_fields)


def is_relevant(entry: Entry, manager: str) -> bool:
    """Whether `observe` may read anything of this entry: those of hubs, and any that comes with our label."""
    if entry.operation == "Apply" and (entry.manager == manager or entry.manager.startswith(marks.FIELD_MANAGER)):
        return True
    return _LABEL_KEY in bytes(entry.fields_v1)


def has_claim(meta: PartialMetadata, manager: str) -> bool:
    """Whether the claim of the hub that applies as `manager` is on it."""
    return any(is_ours(item, marks.claim_manager(manager)) for item in meta.managed_fields)


def union_patch(meta: PartialMetadata, manager: str, *, retain_replicas: bool = False) -> Patch | None:
    """JSON patch that takes over what KubeFed made: the entries that own our label become ours.

    The next apply then removes what the manifest no longer names. With `retain_replicas` spec.replicas stays with its
    old owner, because leaving out a field that only we own would reset it to 1. None when nothing is KubeFed's or an
    entry is ours already. Stale resourceVersion: 409, read again.
    """
    old = [item for item in meta.managed_fields if _made_by_kubefed(item)]
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
        if not _shares(item):
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


def guard(meta: PartialMetadata) -> Patch:
    """What lets a JSON patch change an object only if it is still as this metadata shows it; else 409."""
    return [_version(meta)]


def release_patch(meta: PartialMetadata, manager: str, *, keep_label: bool = False) -> Patch | None:
    """JSON patch that lets go of an object and leaves it as it is: our marks and our entries go, the fields stay.

    `keep_label` leaves the label, where another hub goes on managing the object. A label that somebody set to another
    value stays. None when nothing of ours is there.
    """
    mine = (manager, *marks.second_managers(manager))
    entries = [item for item in meta.managed_fields if item.operation != "Apply" or item.manager not in mine]
    patch: Patch = []
    if not keep_label and meta.labels.managed == "true":
        patch.append({"op": "remove", "path": f"/metadata/labels/{marks.MANAGED_LABEL.replace('/', '~1')}"})
    if any(is_ours(item, manager) and _notes_creation(item) for item in meta.managed_fields):
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


class _Own(NamedTuple):
    """What our entry shows: fields of Observed."""

    owned_digest: str
    owns_replicas: bool
    created: bool


def _own_anew(fields: bytes) -> _Own:
    content = _fields(fields) if _REPLICAS_KEY in fields or _CREATED_KEY in fields else {}
    return _Own(
        digests.short(fields),
        owns_replicas=fieldsets.contains(content, _REPLICAS_PATH),
        created=fieldsets.contains(content, _CREATED_PATH),
    )


# Every apply is observed twice, and all copies of an object, often of a type, have the same field set: remembered, it
# costs 0.3 us instead of 2, and their digests are one string in memory instead of two for every placement.
_own = functools.lru_cache(maxsize=1024)(_own_anew)


def _has_unreadable_entry(meta: PartialMetadata) -> bool:
    """Whether somebody's field set cannot be read here: it must not be written back as we have it."""
    return any(item.fields_type == CUT or not _readable(item.fields_v1) for item in meta.managed_fields)


def _readable(raw: msgspec.Raw) -> bool:
    content = bytes(raw)
    if nesting.may_be_deep(content, bounds.DEEPEST_METADATA) and nesting.pruned(content, bounds.DEEPEST_METADATA)[1]:
        return False
    return not content or content.startswith(b"{")


def _notes_creation(entry: Entry) -> bool:
    """Whether an entry of ours owns our note. Somebody's copy of the object carries it, too, and is not ours."""
    return _CREATED_KEY in bytes(entry.fields_v1) and fieldsets.contains(fields_of(entry), _CREATED_PATH)


def _made_by_kubefed(entry: Entry) -> bool:
    """Whether an Update owns our label: KubeFed's PUTs do, under whatever manager name they were sent."""
    return entry.operation == "Update" and _sets_label(entry) and not _copies_labels(entry)


def _sets_label(entry: Entry) -> bool:
    """Whether it owns our label, whoever it is of."""
    if entry.subresource or _LABEL_KEY not in bytes(entry.fields_v1):
        return False
    return fieldsets.contains(fields_of(entry), _LABEL_PATH)


def _copies_labels(entry: Entry) -> bool:
    """Whether an entry with our label is of a controller that made the object for another one, whose labels it copies.

    An EndpointSlice has those of its Service, a Certificate those of its Ingress. Whoever sets the label and the owner
    references is such a controller. Endpoints have no owner; they are made by Kubernetes itself.
    """
    return entry.manager == _SYSTEM_MANAGER or fieldsets.contains(fields_of(entry), _OWNERS_PATH)


def made(entry: Entry) -> bool:
    """Whether the entry is of somebody who created or changed the object as a whole, so that it owns defaults, too."""
    return entry.operation == "Update" and _shares(entry)


def is_ours(entry: Entry, manager: str) -> bool:
    """Whether it is the entry of this field manager's applies."""
    return entry.manager == manager and entry.operation == "Apply" and not entry.subresource


def _shares(entry: Entry) -> bool:
    """Whether an entry is of somebody who gives way where an object is adopted."""
    return not entry.subresource and entry.manager != _SYSTEM_MANAGER and not marks.is_hubs(entry.manager)


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


def fields_of(entry: Entry) -> fieldsets.Fields:
    """Its field set; nothing of one that is none."""
    return _fields(memoryview(entry.fields_v1))


def _fields(content: bytes | memoryview) -> fieldsets.Fields:
    try:
        fields = orjson.loads(content) if content else {}
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}


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
