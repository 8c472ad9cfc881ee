"""One federated object's way through the controller: a Track, and what is remembered in it for each cluster."""

import zlib
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from federation.controllers.statuses import Taken
from federation.core import budget, drops, sharing, summary
from federation.core.contention import Contention
from federation.core.holds import Held
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.federated import FederatedObject
from federation.model.observations import MAY_HAVE_COPY, Applied, Recorded
from federation.model.plan import Action, Plan
from federation.model.status import Status


@dataclass(slots=True)
class Setback:
    """Why the last action at one cluster did not succeed, and when it is worth another try (monotonic seconds).

    `attempts` counts failures in a row that are worth the same `pace`: base and cap of the wait, in seconds. `since` is
    when the last one was (monotonic), `wait` how many seconds it is waited after that.
    """

    status: PropagationStatus
    message: str
    digest: str
    not_before: float
    attempts: int = 1
    pace: tuple[float, float] = (0.0, 0.0)
    since: float = 0.0
    wait: float = 0.0


def status_hash(item: FederatedObject) -> int:
    """A hash of the status as the hub stores it."""
    return item.status_hash or zlib.crc32(memoryview(item.status))


def without_status(item: FederatedObject) -> FederatedObject:
    """The object with a hash in place of its status, which its Track has."""
    if not memoryview(item.status):
        return item
    return msgspec.structs.replace(item, status=msgspec.Raw(), status_hash=status_hash(item))


NOBODY: Set[str] = frozenset()
"""No clusters. Of a hundred thousand tracks nearly all sets are empty: sets of their own would be 1 kB each."""


def including(names: Set[str], name: str) -> Set[str]:
    """The names and this one; to be kept in place of `names`, which may be changed."""
    if isinstance(names, set):
        names.add(name)
        return names
    return {*names, name}


def without(names: Set[str], name: str) -> Set[str]:
    """The names without this one; to be kept in place of `names`, which may be changed."""
    if isinstance(names, set):
        names.discard(name)
        return names or NOBODY
    return names - {name} or NOBODY


class Overwritten(NamedTuple):
    """How often in a row somebody else wrote over the status, and when it may be put back again (monotonic)."""

    times: int = 0
    not_before: float = 0.0


NEVER_OVERWRITTEN = Overwritten()


class Leaving(NamedTuple):
    """A delete that a cluster accepted for this uid, when (monotonic), and how long its event is waited for."""

    uid: str
    since: float
    wait: float


class Track(msgspec.Struct, gc=False):
    """One federated object's way through the controller: its last plan and what came of it, per cluster.

    Sets of clusters change by `including` and `without` only.
    """

    uid: str
    status: Status
    """What we wrote last, or found at the beginning."""
    applied: dict[str, Applied]
    """Every cluster that has a copy, or may have one (MAY_HAVE_COPY)."""
    plan: Plan | None = None
    actions: dict[str, Action] = {}
    """The plan's; one that succeeded becomes a Keep, so that its manifest is not kept in memory."""
    stale: bool = True
    """A new plan is needed."""
    news: Set[str] = NOBODY
    """Clusters of which something has changed since the last plan: unless it is stale, it is planned for them alone."""
    urgent: bool = False
    pending: Set[str] = NOBODY
    """Clusters whose lane has not answered."""
    meanwhile: set[str] | None = None
    """While a plan is made: clusters where a push has begun or ended since its facts were read."""
    leaving: dict[str, Leaving] = {}
    """Clusters that accepted a delete and have not confirmed it by an event."""
    departed: Set[str] = NOBODY
    """Clusters that have confirmed it since the last plan. The next plan waits until all have, or something else is
    due."""
    recheck: Set[str] = NOBODY
    """Clusters to which it is applied once more, though nothing seems to have changed."""
    unconfirmed: Set[str] = NOBODY
    """Clusters that were sent a create which may have succeeded, though nothing has shown it: they are asked before
    the object is released."""
    handed: Set[str] = NOBODY
    """Clusters that were handed what they should hold, and have not shown what came of it (Outcome.handed_over)."""
    guessed: Set[str] = NOBODY
    """Clusters that may have a copy only because an interrupted controller may have sent it (`begin`)."""
    recorded: bool = False
    """What was applied is, of some clusters, known as the stored status records it (Recorded)."""
    from_the_start: bool = False
    """It was created while we followed its type, so that no other controller can have pushed it."""
    setbacks: dict[str, Setback] = {}
    contention: dict[str, Contention] = {}
    dropped: dict[str, str] = {}
    """For clusters that did not keep every field as asked, a message with these fields (core.drops)."""
    fully_owned: Set[str] = NOBODY
    """Clusters whose copy was seen to have an owner for every field, so that a change leaves no default behind
    (core.leftovers)."""
    interrupted: Set[str] = NOBODY
    """Clusters whose copy was seen to go before it had run to completion (core.run_once)."""
    vanished: Set[str] = NOBODY
    """Clusters whose copy, which may have run to completion, is not observed any more: gone, or there without our
    label. They are asked which, before it is concluded that it ran."""
    since: float = 0.0
    """When it was planned last (monotonic seconds)."""
    reported: float = float("-inf")
    """When its status was last written, or found to be due while clusters had not answered (monotonic seconds)."""
    writing: bool = False
    """A write of the status is under way."""
    written_version: str = ""
    """The resourceVersion of the object after our last write of the status."""
    written_hash: int = 0
    """The hash of what the hub stored of that status."""
    overwritten: Overwritten = NEVER_OVERWRITTEN
    held_elsewhere: Held | None = None
    """What other shards hold of its deletions."""
    statuses: Taken | None = None
    """What of the members' statuses is reported; None where they are not collected."""

    @property
    def planning(self) -> bool:
        """A plan is being made, or its finalizer written: what changes now needs another."""
        return self.meanwhile is not None

    def forget(self, cluster: str) -> None:
        """A cluster has left: another may join by its name, for which no wait and no fight of this one's counts."""
        memories: tuple[dict[str, Any], ...] = (
            self.applied,
            self.leaving,
            self.setbacks,
            self.contention,
            self.dropped,
        )
        for memory in memories:
            memory.pop(cluster, None)
        self.pending = without(self.pending, cluster)
        self.news = without(self.news, cluster)
        self.departed = without(self.departed, cluster)
        self.recheck = without(self.recheck, cluster)
        self.unconfirmed = without(self.unconfirmed, cluster)
        self.handed = without(self.handed, cluster)
        self.fully_owned = without(self.fully_owned, cluster)
        self.interrupted = without(self.interrupted, cluster)
        self.vanished = without(self.vanished, cluster)
        self.guessed = without(self.guessed, cluster)
        if self.statuses is not None:
            self.statuses.forget(cluster)
        self.from_the_start = False  # the cluster may come back with what we pushed there

    def gain(self, cluster: str, generation: int) -> None:
        """Another shard served this cluster: what it has is what the stored status says."""
        recorded = sharing.recorded(self.status).get(cluster)
        if recorded is None and self.status.observed_generation != generation:
            recorded = MAY_HAVE_COPY
            self.guessed = including(self.guessed, cluster)
        if recorded is not None:
            self.applied[cluster] = recorded
            self.unconfirmed = including(self.unconfirmed, cluster)
            self.recorded = True
        self.from_the_start = False
        self.stale = True

    @classmethod
    def begin(
        cls,
        federated: FederatedObject,
        clusters: Iterable[str] = (),
        newcomers: Set[str] = frozenset(),
        *,
        from_the_start: bool = False,
    ) -> "Track":
        """A new one: what was applied is what the stored status records.

        Where the status does not record all that was done (a controller ended between its pushes and the status of that
        generation, or not every line had room), every one of the `clusters` may have been sent one; not so where it
        was seen `from_the_start`: its finalizer comes from the API server then (templates/host/finalizer-policy.yaml).
        The lines of `newcomers` are of clusters that had these names before.
        """
        stored = summary.parse(federated.status)
        applied = sharing.recorded(stored)
        if newcomers:
            applied.update(dict.fromkeys(newcomers & applied.keys(), MAY_HAVE_COPY))
        explained = budget.by_name(line for line in stored.clusters if line.message)
        left_out = {name: drops.from_message(budget.message_of(explained, name)) for name in explained}
        dropped = {name: fields for name, fields in left_out.items() if fields}
        meta, unconfirmed = federated.metadata, set(applied) or NOBODY
        incomplete = stored.observed_generation != meta.generation or budget.full(stored.clusters)
        guessed: Set[str] = newcomers & unconfirmed or NOBODY
        if incomplete and not from_the_start and marks.SYNC_FINALIZER in meta.finalizers:
            others = frozenset(clusters) - unconfirmed
            applied.update(dict.fromkeys(others, MAY_HAVE_COPY))
            guessed |= others
        return cls(
            written_version=meta.resource_version,
            written_hash=status_hash(federated),
            uid=meta.uid,
            status=stored,
            applied=applied,
            unconfirmed=unconfirmed,
            guessed=guessed,
            recorded=any(isinstance(each, Recorded) for each in applied.values()),
            from_the_start=from_the_start,
            dropped=dropped,
        )
