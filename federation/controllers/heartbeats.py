"""Clusters in pull mode: whether their agents live, by the Leases that they renew; the KubeFedClusters' conditions.

Nothing here reaches a member. A beat counts when it is seen; before a cluster counts as silent its Lease is read by
name, and while the hub's Leases cannot be followed nothing is concluded at all: then it is we who do not hear.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from federation.controllers.clusterreports import ClusterReports
from federation.controllers.ports import EventPoster, HubPort, Watch
from federation.core import cordons, health, times
from federation.model.conditions import ClusterConditionType, ClusterReason
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import StoredObject
from federation.model.resources import LEASES, ObjectName
from federation.registration import grants, heartbeats, names
from federation.registration.heartbeats import Beat
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.store import Store

AGAIN = 5.0
"""Seconds until a cluster is looked at again while the hub's Leases cannot be followed."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Heard:
    """A cluster's last beat, and when it was heard (unix seconds); None: not yet."""

    beat: Beat
    at: float | None

    def silent(self, now: float) -> bool:
        """Whether it has not been heard for so long that nothing is known."""
        return self.at is None or now - self.at > self.beat.patience


class Heartbeats:
    """All of them. Its queue has clusters' names, `process` is its worker's turn; `clusters` are KubeFedClusters."""

    def __init__(
        self,
        hub: HubPort,
        clusters: Store[StoredObject],
        *,
        events: EventPoster,
        namespace: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.queue: KeyQueue[str] = KeyQueue()
        self.watch: Watch | None = None
        self._hub = hub
        self._clusters = clusters
        self._events = events
        self._namespace = namespace
        self._now = now
        self._heard: dict[str, Heard] = {}
        self._reports: dict[str, ClusterReports] = {}
        self._alive: dict[str, bool] = {}

    def cluster_observed(self, name: str) -> None:
        """A KubeFedCluster appeared, changed or went."""
        stored = self._clusters.get(ObjectName(self._namespace, name))
        if name in self._reports or (stored is not None and stored.pulls):
            self.queue.add(name)

    def take(self, lease: StoredObject) -> None:
        """A Lease as a watch or a list shows it. Most only say that what lived still does: that wakes nobody."""
        cluster = lease.where.namespace
        beat, before, now = heartbeats.read(lease), self._heard.get(cluster), self._now()
        if before is None:
            at = heartbeats.heard_before(beat, now)
        else:
            at = now if beat.renewed and beat.renewed != before.beat.renewed else before.at
        heard = self._heard[cluster] = Heard(beat, at)
        known = before is not None and _says(before.beat) == _says(beat)
        if not known or self._alive.get(cluster) is heard.silent(now):
            self.queue.add(cluster)

    async def process(self, name: str) -> None:
        """Write one cluster's conditions where they have changed, and look again when they may. Raises ApiFailure."""
        stored = self._clusters.get(ObjectName(self._namespace, name))
        if stored is None or not stored.pulls:
            for each in (self._reports, self._alive):
                each.pop(name, None)
            if stored is None:
                self._heard.pop(name, None)
            return
        if self.watch is None or not self.watch.synced or self.watch.failure is not None:
            self.queue.add_after(name, AGAIN)
            return
        now = self._now()
        heard = self._heard.get(name, Heard(Beat(), None))
        if heard.silent(now) and (heard.at is not None or self._alive.get(name)):
            heard = await self._asked(name, heard)
        self._tell(name, heard, alive=not heard.silent(now))
        agent = stored.metadata.annotations.get(grants.AGENT_ANNOTATION, "")
        conditions = health.merged(wanted(heard, agent, now), stored.conditions, now)
        conditions = cordons.with_condition(conditions, cordons.reason(stored.metadata.annotations), now)
        facts = {"kubernetesVersion": heard.beat.kubernetes} if heard.beat.kubernetes else {}
        reports = self._reports.setdefault(name, ClusterReports(name, self._hub, self._events))
        written = await reports.write(stored, {**facts, "conditions": conditions})
        if isinstance(written, Failure) and written.kind is not FailureKind.NOT_FOUND:
            raise ApiFailure(written, f"status of KubeFedCluster {name}")
        due = health.PROBE_TIME_LASTS
        if not heard.silent(now) and heard.at is not None:
            due = min(due, heard.at + heard.beat.patience - now + 0.5)
        self.queue.add_after(name, max(due, 0.5))

    async def _asked(self, name: str, heard: Heard) -> Heard:
        """What its Lease says now: events may be on their way to us. Raises ApiFailure where that is not known."""
        found = await self._hub.read(LEASES, ObjectName(name, names.LEASE))
        if isinstance(found, StoredObject):
            beat = heartbeats.read(found)
            if beat.renewed and beat.renewed != heard.beat.renewed:
                self._heard[name] = Heard(beat, self._now())
            return self._heard.get(name, heard)
        if found.kind not in (FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING):
            raise ApiFailure(found, f"lease of cluster {name}")
        return heard

    def _tell(self, name: str, heard: Heard, *, alive: bool) -> None:
        if self._alive.get(name) is alive:
            return
        known, self._alive[name] = name in self._alive, alive
        if alive:
            log.info("agent heard", cluster=name, agent=heard.beat.holder)
        elif known or heard.at is not None:
            log.warning("agent silent", cluster=name, agent=heard.beat.holder, since=_stamp(heard.at))


def wanted(heard: Heard, agent: str, now: float) -> health.Wanted:
    """The conditions of a cluster in pull mode. `agent` is the one that was accepted.

    A silent cluster is unknown, not bad (OCM): what is there is kept by its agent, though nobody here can see it. One
    whose agent cannot reach its API server is bad.
    """
    ready, offline = ClusterConditionType.READY, ClusterConditionType.OFFLINE
    if heard.at is None:
        message = f"agent {agent or 'none'} was accepted and has not been heard yet"
        return [(ready, "Unknown", ClusterReason.NOT_READY, message)]
    who = heard.beat.holder or agent
    if not heard.silent(now) and heard.beat.trouble:
        message = f"its agent {who} reports that the cluster's API server is not well: {heard.beat.trouble}"
        return [
            (ready, "False", ClusterReason.NOT_READY, message),
            (offline, "False", ClusterReason.REACHABLE, "its agent reports"),
        ]
    if not heard.silent(now):
        return [
            (ready, "True", ClusterReason.READY, f"its agent {who} reports"),
            (offline, "False", ClusterReason.REACHABLE, "its agent reports"),
        ]
    message = (
        f"its agent {who} has not been heard since {_stamp(heard.at)}: how it is there now is not known, and what its "
        "agent has fetched it keeps as it was"
    )
    return [
        (ready, "Unknown", ClusterReason.NOT_REACHABLE, message),
        (offline, "True", ClusterReason.NOT_REACHABLE, f"its agent has not been heard since {_stamp(heard.at)}"),
    ]


def _says(beat: Beat) -> tuple[str, ...]:
    """What of a beat is told, beside that it came."""
    return beat.kubernetes, beat.holder, beat.trouble


def _stamp(at: float | None) -> str:
    return times.rfc3339(at) if at is not None else ""


class LeaseSink:
    """The Leases of all clusters as the hub has them. One that goes says nothing: its cluster becomes silent."""

    def __init__(self, owner: Heartbeats) -> None:
        self._owner = owner

    def replace(self, items: Iterable[StoredObject]) -> None:
        """A whole list."""
        for item in items:
            self._owner.take(item)

    def upsert(self, item: StoredObject) -> None:
        """One Lease."""
        self._owner.take(item)

    def remove(self, item: StoredObject) -> None:
        """One is gone."""
