"""Read who owns what in a member's object; the patches that move ownership are made in `ownership`.

Members are watched as PartialObjectMetadata, so drift is read from our managedFields entry: when somebody else changes
a field that we own, the API server takes it out of the entry, and the entry's digest changes. The entry's time is that
of our last apply that changed something: an older entry that was put back has another one. `observe` runs for every
event of every member.
"""

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import orjson

from federation.core import digests, fieldsets, times
from federation.model import marks
from federation.model.federated import Generation, Name, Namespace, Opaque
from federation.model.observations import Observed

_HUB = re.compile(rf"({marks.FIELD_MANAGER}-[0-9a-f]{{8}})(-claim)?")
_LABEL_KEY = b'"f:kubefed.io/managed"'
_LABEL_PATH = ("f:metadata", "f:labels", f"f:{marks.MANAGED_LABEL}")
_OWNERS_PATH = ("f:metadata", "f:ownerReferences")
_REPLICAS_KEY = b'"f:replicas"'
REPLICAS_PATH = ("f:spec", "f:replicas")
_CREATED_KEY = b'"f:kubefed.io/created-by"'
_CREATED_PATH = ("f:metadata", "f:annotations", f"f:{marks.CREATED_ANNOTATION}")
_SYSTEM_MANAGER = "kube-controller-manager"
_MOST_CLAIMS = 20
_LONGEST_VERSION = 20
"""Digits of the largest resourceVersion that etcd counts to."""
_LONGEST_REMEMBERED = 4096
"""Bytes of a field set of ours whose meaning is remembered."""


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
        legacy=any(made_by_kubefed(item) for item in labelled),
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


class _Own(NamedTuple):
    """What our entry shows: fields of Observed."""

    owned_digest: str
    owns_replicas: bool
    created: bool


def _own_anew(fields: bytes) -> _Own:
    content = _fields(fields) if _REPLICAS_KEY in fields or _CREATED_KEY in fields else {}
    return _Own(
        digests.short(fields),
        owns_replicas=fieldsets.contains(content, REPLICAS_PATH),
        created=fieldsets.contains(content, _CREATED_PATH),
    )


# Every apply is observed twice, and all copies of an object, often of a type, have the same field set: remembered, it
# costs 0.3 us instead of 2, and their digests are one string in memory instead of two for every placement.
_own = functools.lru_cache(maxsize=1024)(_own_anew)


def notes_creation(entry: Entry) -> bool:
    """Whether an entry of ours owns our note. Somebody's copy of the object carries it, too, and is not ours."""
    return _CREATED_KEY in bytes(entry.fields_v1) and fieldsets.contains(fields_of(entry), _CREATED_PATH)


def made_by_kubefed(entry: Entry) -> bool:
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
    return entry.operation == "Update" and shares(entry)


def is_ours(entry: Entry, manager: str) -> bool:
    """Whether it is the entry of this field manager's applies."""
    return entry.manager == manager and entry.operation == "Apply" and not entry.subresource


def shares(entry: Entry) -> bool:
    """Whether an entry is of somebody who gives way where an object is adopted."""
    return not entry.subresource and entry.manager != _SYSTEM_MANAGER and not marks.is_hubs(entry.manager)


def fields_of(entry: Entry) -> fieldsets.Fields:
    """Its field set; nothing of one that is none."""
    return _fields(memoryview(entry.fields_v1))


def _fields(content: bytes | memoryview) -> fieldsets.Fields:
    try:
        fields = orjson.loads(content) if content else {}
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}
