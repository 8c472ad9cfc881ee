"""Whether members' objects are what they were: the same uid, the same content. Pure.

Of every managed object a line is kept: its uid and digests of its labels, its annotations and the rest. managedFields,
resourceVersion and status are in no digest; of a Secret only metadata is, because its values are read by nobody here.
"""

import base64
import enum
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from federation.core import digests
from federation.model.errors import Invalid

PART = 10_000
"""Objects in one ConfigMap: about 500 kB, of 1 MB that it may have."""
_OWN = frozenset({"apiVersion", "kind", "metadata", "status"})

Object = Mapping[str, Any]


class Seen(NamedTuple):
    """One object of a member as it was."""

    uid: str
    labels: str
    annotations: str
    content: str


Snapshot = dict[str, Seen]
"""By `<type> <namespace>/<name>`."""


class Fate(enum.StrEnum):
    """What became of one object."""

    SAME = "same"
    CHANGED = "changed"
    RECREATED = "recreated"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Difference:
    """An object that is not as before. `parts`: labels, annotations or content; `writers`: who has written it since."""

    key: str
    fate: Fate
    parts: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """One member's objects, before and now. `taken`: of those that are there, how many have an entry of this hub."""

    before: int = 0
    now: int = 0
    same: int = 0
    taken: int = 0
    differences: tuple[Difference, ...] = ()

    def count(self, fate: Fate) -> int:
        """How many have had this fate."""
        return self.same if fate is Fate.SAME else sum(each.fate is fate for each in self.differences)

    @property
    def proven(self) -> bool:
        """Whether every object of before is there, with its uid and its content."""
        return all(each.fate is Fate.NEW for each in self.differences)


def key(type_name: str, found: Object) -> str:
    """Under what an object is kept."""
    metadata = found["metadata"]
    namespace = metadata.get("namespace") or ""
    return f"{type_name} {namespace}/{metadata['name']}" if namespace else f"{type_name} {metadata['name']}"


def seen(found: Object, *, secret: bool) -> Seen:
    """An object's line."""
    metadata = found["metadata"]
    content = {name: value for name, value in found.items() if name not in _OWN}
    return Seen(
        str(metadata.get("uid", "")),
        _digest(metadata.get("labels") or {}),
        _digest(metadata.get("annotations") or {}),
        "" if secret else _digest(content),
    )


def parts(snapshot: Snapshot) -> list[str]:
    """A snapshot as the binaryData of ConfigMaps (base64), at least one."""
    lines = ["\t".join((name, *each)) for name, each in sorted(snapshot.items())]
    cut = [lines[at : at + PART] for at in range(0, len(lines), PART)] or [[]]
    return [base64.b64encode(zlib.compress("\n".join(each).encode(), 9)).decode() for each in cut]


def joined(stored: Iterable[str]) -> Snapshot:
    """The snapshot that these parts are. Raises Invalid."""
    found: Snapshot = {}
    try:
        for part in stored:
            for line in zlib.decompress(base64.b64decode(part)).decode().split("\n"):
                if line:
                    name, uid, labels, annotations, content = line.split("\t")
                    found[name] = Seen(uid, labels, annotations, content)
    except (ValueError, zlib.error) as error:
        raise Invalid("the snapshot of a member's objects", f"cannot be read: {error}") from None
    return found


def compare(before: Snapshot, now: Mapping[str, tuple[Seen, Object]], manager: str, since: str) -> Compared:
    """`now` has each object's metadata beside its line; `manager` is this hub's in the member, `since` the snapshot's
    time (RFC 3339)."""
    differences: list[Difference] = []
    same = 0
    for name, old in sorted(before.items()):
        if name not in now:
            differences.append(Difference(name, Fate.GONE))
            continue
        new, metadata = now[name]
        changed = tuple(
            part for part in ("labels", "annotations", "content") if getattr(old, part) != getattr(new, part)
        )
        if new.uid != old.uid:
            differences.append(Difference(name, Fate.RECREATED, writers=writers(metadata, since)))
        elif changed:
            differences.append(Difference(name, Fate.CHANGED, changed, writers(metadata, since)))
        else:
            same += 1
    differences += [Difference(name, Fate.NEW) for name in sorted(set(now) - set(before))]
    taken = sum(is_taken(metadata, manager) for _, metadata in now.values())
    return Compared(len(before), len(now), same, taken, tuple(differences))


def is_taken(metadata: Object, manager: str) -> bool:
    """Whether the hub has an entry of its own in managedFields."""
    return any(
        each.get("manager") == manager and each.get("operation") == "Apply"
        for each in metadata.get("managedFields") or ()
    )


def writers(metadata: Object, since: str) -> tuple[str, ...]:
    """Whose entries in managedFields are of that time or later. Both are RFC 3339 in UTC and whole seconds."""
    found: Sequence[Object] = metadata.get("managedFields") or ()
    names = (str(each.get("manager", "")) for each in found if str(each.get("time", "")) >= since and since)
    return tuple(sorted(set(names)))


def _digest(value: Any) -> str:
    return digests.short(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
