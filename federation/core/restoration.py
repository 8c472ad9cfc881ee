"""Recognise a hub whose storage went back in time, by what it says of our own Lease and of what we hold; pure.

A backup that is restored brings every object back as it was, the Lease among them, which `controllers.continuity`
writes whenever the hub has changed. In one line of time a Lease keeps its uid, and its resourceVersion and our count of
writes only grow: whatever else happened to revisions, a Lease that is older than the one we wrote is of an older store.
A Lease that is gone proves nothing alone, because anybody may delete it; an object that is older than we have seen it
does.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from federation.core import managedfields, times
from federation.model import marks
from federation.model.federated import FederatedObject, Metadata, StoredObject
from federation.model.observations import Applied, Observed
from federation.model.resources import ObjectName, Resource

COUNT_ANNOTATION = "kubefed.io/writes"
"""On our Lease: how often it was written, by all controllers of this hub."""
HOLD_ANNOTATION = "kubefed.io/hub-restored"
"""On our Lease: the hold that is in force, as JSON (Hold)."""
APPROVED_ANNOTATION = "kubefed.io/recovery-approved"
"""On the KubeFedConfig, or on a federated object: the id of the hold whose removals may go on."""


class Hold(msgspec.Struct, frozen=True):
    """Removals wait, because the hub was restored: since when (RFC 3339), and what has shown it. `id` is what a person
    approves; a hub that is restored once more has another."""

    id: str
    since: str
    why: str


@dataclass(frozen=True, slots=True)
class Record:
    """Our Lease as it was last read or written."""

    uid: str
    version: int
    count: int = 0
    renewed: str = ""
    hold: Hold | None = None


class Witness(msgspec.Struct, frozen=True, gc=False):
    """A federated object as the hub has shown it: one that has it in an older version has gone back."""

    resource: Resource
    name: ObjectName
    uid: str
    version: int


def read(stored: StoredObject) -> Record:
    """The record in our Lease. What somebody wrote into it that is no record counts as nothing written."""
    meta = stored.metadata
    count = meta.annotations.get(COUNT_ANNOTATION, "")
    renewed = stored.spec.get("renewTime")
    return Record(
        uid=meta.uid,
        version=managedfields.number(meta.resource_version),
        count=int(count) if count.isdecimal() and len(count) < 19 else 0,
        renewed=renewed if isinstance(renewed, str) else "",
        hold=_hold(meta.annotations.get(HOLD_ANNOTATION)),
    )


def _hold(text: str | None) -> Hold | None:
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=Hold)
    except msgspec.MsgspecError:
        # Somebody has edited it: what is held stays held until it is approved by this id.
        return Hold("unreadable", "9999-12-31T23:59:59Z", f"the annotation {HOLD_ANNOTATION} cannot be read")


def annotations(count: int, hold: Hold | None) -> dict[str, str | None]:
    """What our Lease is to say, as a merge patch of its annotations."""
    text = None if hold is None else json.dumps(msgspec.to_builtins(hold), sort_keys=True)
    return {COUNT_ANNOTATION: str(count), HOLD_ANNOTATION: text}


def went_back(known: Record, found: Record) -> str:
    """Why the Lease that the hub has now is older than the one that is known; "" where it is not.

    Another controller of this hub may have written it meanwhile: then it is newer, and has a higher count. `found` was
    asked for after `known` was.
    """
    if found.uid != known.uid:
        return "its Lease is another one than ours"
    if 0 < found.version < known.version:
        return f"its Lease is of resourceVersion {found.version}, and we have seen {known.version}"
    if found.count < known.count:
        return f"its Lease was written {found.count} times, and we have seen it at {known.count}"
    if found.version == known.version and found.count != known.count:
        return f"its Lease is another one of resourceVersion {found.version} than we have seen"
    return ""


def older(witness: Witness, found: FederatedObject) -> str:
    """Why an object, asked for by name, is older than what was seen of it before; "" where it is not."""
    version = managedfields.number(found.metadata.resource_version)
    if not 0 < version < witness.version:
        return ""
    return f"{witness.resource.kind} {witness.name} is of resourceVersion {version}, and we have seen {witness.version}"


def cannot_vanish(held: Metadata) -> bool:
    """Whether an object has our finalizer, and was not being deleted: it goes by a deletion that we would have seen."""
    return marks.SYNC_FINALIZER in held.finalizers and held.deletion_timestamp is None


def list_is_older(before: int, listed: int) -> bool:
    """Whether a list is older than what was seen of its collection before it was asked for. Lists are asked for without
    a resourceVersion, so that an API server answers with the newest state of its storage, not of its cache."""
    return 0 < listed < before


def object_is_older(before: int, item: int, listed: int) -> bool:
    """Whether a list as of `listed` has an object in an older version than was seen of it, and that before the list."""
    return 0 < item < before <= listed


SLACK = 5
"""Seconds by which clocks of members and hub may differ, and within which a change of the hub is noted in our Lease."""


def unvouched(applied_at: int, vouched: str, started: float) -> bool:
    """Whether a copy was applied by an earlier controller, after the last time that our Lease says the hub was changed.

    Nearly none is: a change of the hub is noted in the Lease within seconds, and pushed at the same time. `vouched` is
    the Lease's renewTime when this controller started, at `started`.
    """
    then = times.moment(vouched)
    return then is not None and then.timestamp() + SLACK < applied_at < started


def outlives(applied_at: int, written: Iterable[str]) -> bool:
    """Whether a copy was applied after the last change of all that decides about it, by the times of their writes.

    Then no change at the hub can be why the hub does not want it: whoever applied it did what the hub said then.
    """
    moments = [then.timestamp() for then in map(times.moment, written) if then is not None]
    return bool(moments) and max(moments) + SLACK < applied_at


def newer(applied: Applied | None, observed: Observed) -> bool:
    """Whether a copy of ours has newer content than is recorded as applied there; None: nothing is recorded."""
    if not observed.owned_digest:
        return False
    if applied is None or not applied.known:
        return True
    return not applied.shown_by(observed) and observed.applied_at > applied.until


class Overwritten(NamedTuple):
    """A copy whose newer content gave way to that of the restored hub; `applied` is when the newer one was applied
    (RFC 3339, "" where that is not known)."""

    type: str
    where: ObjectName
    cluster: str
    applied: str = ""

    def document(self) -> dict[str, str]:
        """As the KubeFedConfig's status has it."""
        found = {"type": self.type, "namespace": self.where.namespace, "name": self.where.name, "cluster": self.cluster}
        return {**found, "appliedAt": self.applied} if self.applied else found


class Told(NamedTuple):
    """What a KubeFedConfig's status says was overwritten: the copies that it names, and how many there are."""

    named: Sequence[Overwritten] = ()
    copies: int = 0


def told(recovery: Mapping[str, Any]) -> Told:
    """The same of status.recovery. What somebody wrote into it that is no such copy counts as nothing."""
    listed = recovery.get("overwritten")
    found = [_overwritten(each) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    named = tuple(each for each in found if each.type and each.where.name and each.cluster)
    count = recovery.get("overwrittenCopies")
    return Told(named, max(count, len(named)) if isinstance(count, int) else len(named))


def _overwritten(found: Mapping[str, Any]) -> Overwritten:
    kind, namespace, name, cluster, applied = (
        value if isinstance(value := found.get(key), str) else ""
        for key in ("type", "namespace", "name", "cluster", "appliedAt")
    )
    return Overwritten(kind, ObjectName(namespace, name), cluster, applied if times.moment(applied) else "")


def asked_for_after(deletion_timestamp: str | None, hold: Hold) -> bool:
    """Whether an object's deletion was asked for after the hold began: whoever did that saw the restored hub."""
    asked, since = times.moment(deletion_timestamp), times.moment(hold.since)
    return asked is not None and since is not None and asked > since


def over(hold: Hold, now: str, seconds: float | None) -> bool:
    """Whether the time is over that the KubeFedConfig sets for it; None: it has no end of its own."""
    began, at = times.moment(hold.since), times.moment(now)
    if seconds is None or began is None or at is None:
        return False
    return at - began >= timedelta(seconds=seconds)


def approved(hold: Hold, annotated: Mapping[str, Any]) -> bool:
    """Whether an object's annotations approve of this very hold."""
    return annotated.get(APPROVED_ANNOTATION) == hold.id
