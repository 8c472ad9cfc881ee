"""What is taken over of the status of a member's object: what it says of the object's health, and the status itself.

Only `status` leaves a member, never spec, annotations or managedFields, and nothing of a Secret (core.statusrules).
What a controller in the member writes into its status may still be a credential: whoever may read the federated object
would see it, so values with such names, and such as look like one, are hidden. A status is written in one form (keys
sorted, no nulls: the hub's schema refuses those), so that equal ones are equal bytes, also as the hub gives them back.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from federation.core import managedfields, nesting, workloads
from federation.core.managedfields import PartialMetadata
from federation.model import bounds
from federation.model.observations import Collected
from federation.model.resources import Resource
from federation.model.statusrules import StatusCollection

HIDDEN = "<hidden>"
_UNREADABLE = "it cannot be read"
_SECRET_NAME = re.compile(
    r"(?i)(?:^token|(?:access|auth|bearer|refresh|session|bootstrap|join|account)[-_]?token|pass(?:word|wd|phrase)"
    r"|private[-_]?key|client[-_]?secret|secret[-_]?(?:access[-_]?)?key|api[-_]?key|kube[-_]?config|credentials?"
    r"|connection[-_]?string)$"
)
"""Not `secret` or `secretName`, which name a Secret."""
_SECRET_VALUE = re.compile(
    r"Bearer\s+[\w.~+/=-]{6,}|Basic\s+(?=\S*[A-Z0-9=])[\w+/]{8,}={0,2}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
    r"|-----BEGIN[^-]*PRIVATE KEY-----.*?(?:-----END[^-]*PRIVATE KEY-----|\Z)|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)",
    re.DOTALL,
)
_HINTS = ("earer", "asic ", "eyJ", "PRIVATE KEY", "://")
"""Every secret value has one of these: a quick look before the search."""


_TIMES = re.compile(rb'"last(?!Transition)[A-Z]\w{0,40}Time(?:stamp)?":"[0-9T:.Z+-]{0,40}"')
"""Members such as lastHeartbeatTime, in JSON."""


class WholeCopy(msgspec.Struct, frozen=True, gc=False):
    """A member's object of a type with status collection: its metadata, and what its status says."""

    metadata: PartialMetadata
    collected: Collected

    @property
    def broken(self) -> str:
        """Why its metadata cannot be read; "" where they can."""
        return self.metadata.broken


class _Parts(msgspec.Struct, gc=False):
    spec: msgspec.Raw = msgspec.Raw(b"null")
    status: msgspec.Raw = msgspec.Raw(b"null")


_parts = msgspec.json.Decoder(_Parts)


def collect(
    metadata: PartialMetadata, content: bytes | msgspec.Raw, resource: Resource, wanted: StatusCollection
) -> Collected:
    """What an object says of itself; of one whose parts cannot be read, that."""
    try:
        parts = _parts.decode(content)
        status = orjson.loads(memoryview(parts.status))
        spec = orjson.loads(memoryview(parts.spec))
    except (ValueError, RecursionError, OverflowError):
        return Collected(managedfields.version(metadata), unhealthy="its status cannot be read", left_out=_UNREADABLE)
    item = {"metadata": _identity(metadata), "spec": spec, "status": status}
    return collected(managedfields.version(metadata), item, memoryview(parts.status).nbytes, resource, wanted)


def collected(
    version: int, item: Mapping[str, Any], size: int, resource: Resource, wanted: StatusCollection
) -> Collected:
    """The same of the parts of an object that are read; `size` is its status', in bytes."""
    status = item.get("status")
    unwell, counts = "", workloads.Counts(0, 0, 0)
    if is_assessed(resource, wanted):
        unwell = workloads.unhealthy(resource, item, wanted.rule)
        counts = workloads.counts(resource, item, wanted.rule, well=not unwell)
    raw, left_out = _kept(size, status) if wanted.raw and status is not None else (None, "")
    return Collected(version, *counts, unwell, raw, left_out)


def is_assessed(resource: Resource, wanted: StatusCollection) -> bool:
    """Whether it is known when an object of the type is well."""
    return wanted.rule is not None or workloads.is_known(resource)


def says_the_same(one: Collected, other: Collected) -> bool:
    """Whether both say the same, whatever their versions."""
    return (
        one.unhealthy == other.unhealthy
        and one.ready == other.ready
        and one.desired == other.desired
        and one.updated == other.updated
        and one.left_out == other.left_out
        and same(one.raw, other.raw)
    )


def same(one: msgspec.Raw | None, other: msgspec.Raw | None) -> bool:
    """Whether two statuses say the same: also where they differ in the times of heartbeats alone.

    Somebody who writes every ten seconds that all is as it was must not have the hub written as often.
    """
    if one == other or one is None or other is None:
        return one == other
    return _TIMES.sub(b"", bytes(one)) == _TIMES.sub(b"", bytes(other))


def canonical(raw: msgspec.Raw) -> msgspec.Raw:
    """A stored remoteStatus in the form in which new ones are written; as it is where it cannot be read."""
    try:
        return _written(orjson.loads(memoryview(raw)))
    except (ValueError, RecursionError, OverflowError):
        return raw.copy()


def _kept(size: int, status: Any) -> tuple[msgspec.Raw | None, str]:
    if size > bounds.LARGEST_REMOTE_STATUS:
        return None, f"its {size >> 10} KiB are more than the {bounds.LARGEST_REMOTE_STATUS >> 10} that are taken over"
    if nesting.deep(status, bounds.DEEPEST_REMOTE_STATUS):
        return None, f"it nests deeper than {bounds.DEEPEST_REMOTE_STATUS} levels"
    return _written(status), ""


def _written(status: Any) -> msgspec.Raw:
    content = orjson.dumps(_cleaned(status), option=orjson.OPT_SORT_KEYS)
    # A copy of its size: what orjson makes keeps 4 KiB, ten times as much as most statuses have.
    return msgspec.Raw(memoryview(content).tobytes())


def _cleaned(value: Any) -> Any:
    """The value without nulls and without secrets; a float that is a whole number is one, as Go writes it."""
    match value:
        case str():
            return _SECRET_VALUE.sub(HIDDEN, value) if any(hint in value for hint in _HINTS) else value
        case dict():
            return {
                name: HIDDEN if isinstance(each, str) and each and _is_secret(name) else _cleaned(each)
                for name, each in value.items()
                if each is not None
            }
        case list():
            return [_cleaned(each) for each in value if each is not None]
        case float() if value.is_integer() and abs(value) < 1e15:
            return int(value)
    return value


@functools.lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _identity(metadata: PartialMetadata) -> dict[str, Any]:
    return {"generation": metadata.generation, "deletionTimestamp": metadata.deletion_timestamp}
