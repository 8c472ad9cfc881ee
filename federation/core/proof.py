"""Judge whether the hub, asked live and by name, still says what a removal was decided on; pure.

A removal is decided on what the controller remembers, and may be carried out much later: its member was away, and so
was the hub. `controllers.proofs` asks right before the member is; what comes out of it is a Proof, which
MemberPort.delete and let_go take, or a Doubt, by which nothing is removed.

An object's metadata is enough to compare by: its generation moves with every change of its spec.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from federation.core import holds, managedfields
from federation.model.failures import Failure
from federation.model.federated import Metadata, StoredObject
from federation.model.plan import Basis
from federation.model.resources import ObjectName, Resource

GONE_UNSEEN = "1970-01-01T00:00:00Z"
"""The deletionTimestamp of a federated object that has gone without one, though it had our finalizer (triggers)."""


class Absent(enum.Enum):
    """The hub has no such object: a 404 that names it."""

    ABSENT = "absent"


Answer = Metadata | Absent | Failure
"""What the hub says of one object when it is asked by name."""


class Live(NamedTuple):
    """The hub's answers about what a removal rests on; None: it was not asked for."""

    object: Answer | None = None
    namespace: Answer | None = None
    cluster: Answer | None = None


class Cause(enum.Enum):
    """Why there is no proof."""

    STALE = "stale"
    """The hub says otherwise: the object is planned anew."""
    OLDER = "older"
    """The hub's answer is older than what was decided on, as of one that was restored from a backup."""
    SILENT = "silent"
    """The hub cannot be asked, or does not answer as an API server that serves the type."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The hub says so: `by` its answer just now, or the contact with it that was not lost since it said so."""

    by: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """Nothing may be removed. `message` is for the cluster's line; `moved` are the fields of Live to be taken in."""

    cause: Cause
    message: str
    moved: frozenset[str] = frozenset()


def answered(found: Metadata | Failure, resource: Resource, name: ObjectName) -> Answer:
    """The meaning of a read by name. A 404 is an absence only where it names the object: an API server that does not
    serve the type yet answers 404, too, and so does a proxy."""
    if not isinstance(found, Failure):
        return found
    return Absent.ABSENT if names(found, resource, name) else found


def names(failure: Failure, resource: Resource, name: ObjectName) -> bool:
    """Whether a failure is the word of an API server that serves this type that it has no object of this name."""
    return failure.missing == f"{resource.qualified}/{name.name}"


def judge(basis: Basis, live: Live, *, deletion: bool = False, known_cluster: str = "") -> Proof | Doubt:
    """Whether all that a removal rests on is as it was, and no answer older than that.

    `deletion`: it rests on the deletion of the federated object itself. `known_cluster`: the resourceVersion of the
    KubeFedCluster whose labels were decided on.
    """
    doubts = [
        (part, doubt)
        for part, doubt in (
            ("object", _of_object(basis.object, live.object, deletion=deletion)),
            ("namespace", _of_namespace(basis, live.namespace)),
            ("cluster", _of_labels(basis.labels, live.cluster, known_cluster)),
        )
        if doubt is not None
    ]
    if not doubts:
        return Proof(by="answer")
    moved = frozenset(part for part, doubt in doubts if doubt.cause is Cause.STALE)
    # What has moved decides even where another answer is missing: the next plan may remove nothing.
    first = min((doubt for _, doubt in doubts), key=lambda doubt: _ORDER[doubt.cause])
    return Doubt(first.cause, first.message, moved)


_ORDER = {Cause.OLDER: 0, Cause.STALE: 1, Cause.SILENT: 2}


def _of_object(planned: Metadata | None, live: Answer | None, *, deletion: bool) -> Doubt | None:
    if isinstance(live, Failure) or live is None:
        return _silent("the federated object", live)
    if planned is None:
        return None if live is Absent.ABSENT else Doubt(Cause.STALE, "the hub has a federated object of this name")
    if live is Absent.ABSENT:
        gone = deletion and planned.deletion_timestamp == GONE_UNSEEN
        return None if gone else Doubt(Cause.STALE, "the hub has no such federated object any more")
    return _compared("the federated object", planned, live, annotations=True)


def _of_namespace(basis: Basis, live: Answer | None) -> Doubt | None:
    what = "the FederatedNamespace"
    if not basis.on_namespace:
        return None
    if isinstance(live, Failure) or live is None:
        return _silent(what, live)
    if basis.namespace is None:
        return None if live is Absent.ABSENT else Doubt(Cause.STALE, "the hub has a FederatedNamespace for it")
    if live is Absent.ABSENT:
        ended = basis.namespace.deletion_timestamp is not None
        return None if ended else Doubt(Cause.STALE, "the hub has no such FederatedNamespace any more")
    if holds.protected(live.annotations):
        return Doubt(Cause.STALE, f"{what} is protected by an annotation now")
    return _compared(what, basis.namespace, live, annotations=False)


def _of_labels(planned: Mapping[str, str] | None, live: Answer | None, known: str) -> Doubt | None:
    if planned is None:
        return None
    if isinstance(live, Failure) or live is None:
        return _silent("the KubeFedCluster", live)
    if live is Absent.ABSENT:
        return Doubt(Cause.STALE, "the hub has no such KubeFedCluster any more")
    if older(live.resource_version, known):
        return _older("the KubeFedCluster", live.resource_version, known)
    if live.broken:
        return Doubt(Cause.SILENT, f"the KubeFedCluster cannot be read: {live.broken}")
    same = dict(live.labels) == dict(planned)
    return None if same else Doubt(Cause.STALE, "the labels of the KubeFedCluster have changed")


def _compared(what: str, planned: Metadata, live: Metadata, *, annotations: bool) -> Doubt | None:
    if older(live.resource_version, planned.resource_version):
        return _older(what, live.resource_version, planned.resource_version)
    if live.uid != planned.uid:
        return Doubt(Cause.STALE, f"{what} was made anew")
    ended = (live.deletion_timestamp is None) != (planned.deletion_timestamp is None)
    if ended or live.generation != planned.generation:
        return Doubt(Cause.STALE, f"{what} has changed")
    if annotations and live.annotations != planned.annotations:
        return Doubt(Cause.STALE, f"the annotations of {what} have changed")
    return None


def unchanged(what: str, known: Metadata | None, live: Answer) -> Doubt | None:
    """Whether an object of the system namespace is as it is known."""
    moved = frozenset({"stored"})
    if isinstance(live, Failure):
        return _silent(what, live)
    if live is Absent.ABSENT or known is None:
        return Doubt(Cause.STALE, f"the hub has {'no' if known is not None else 'a'} {what} now", moved)
    doubt = _compared(what, known, live, annotations=True)
    if doubt is None and live.labels != known.labels:
        doubt = Doubt(Cause.STALE, f"the labels of {what} have changed")
    return replace(doubt, moved=moved) if doubt is not None and doubt.cause is Cause.STALE else doubt


def newer(one: Metadata, other: Metadata) -> bool:
    """Whether an answer shows an object anew; an answer that is older than what is known shows nothing."""
    same = (one.uid, one.resource_version) == (other.uid, other.resource_version)
    return not same and not older(one.resource_version, other.resource_version)


def older(version: str, than: str) -> bool:
    """Whether one resourceVersion of a resource is older than another, as far as both can be compared."""
    one, other = managedfields.number(version), managedfields.number(than)
    return 0 < one < other


def _older(what: str, live: str, known: str) -> Doubt:
    return Doubt(
        Cause.OLDER,
        f"not removed: the hub's answer about {what} (resourceVersion {live}) is older than what is known ({known}), "
        "as of a hub that was restored from a backup",
    )


def _silent(what: str, failure: Failure | None) -> Doubt:
    why = failure.message if failure is not None else "it was not asked"
    return Doubt(Cause.SILENT, f"not removed: the hub, asked whether {what} still says so, does not answer it: {why}")


def pushed(cluster: StoredObject) -> Proof | None:
    """Proof that a cluster is in push mode, so that its agent is to let go; by its KubeFedCluster, as it is now."""
    return None if cluster.broken or cluster.pulls else Proof(by="spec.syncMode")
