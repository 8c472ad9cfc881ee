"""Whether one cluster is there: found out again and again, and told to planning, to its lane and to its KubeFedCluster.

How that is found out is the Source's: a cluster that is written to is probed with its credentials (`access`). What is
known of its health, by whatever source, is smoothed in one place (core.health), and so is what follows from it here:
planning waits for a cluster that is not there, its lane pauses, and what waited is tried again when it is back.
"""

import asyncio
import math
import random
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import structlog

from federation.controllers import clusterreports
from federation.controllers.clusterreports import ClusterReports
from federation.controllers.fanout import Fanout
from federation.controllers.following import Retry
from federation.controllers.ports import EventPoster, HubPort
from federation.controllers.world import Member, World
from federation.core import cordons, health
from federation.model.conditions import ClusterConditionType, ClusterReason, HostRefusesReason
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.observations import Cluster
from federation.runtime import metrics

TOGETHER = 1.0
"""Seconds: looks that are due within them are taken together. Each would wake the process twice by itself, and that
costs more than a probe."""
SOON = 2.0
"""Seconds after which a look is repeated that has shown nothing of a cluster yet."""
REPORTED_FOR = 30.0
"""Seconds for which a report is not made again where nothing that it is made from has changed: it would be compared
with the stored status only to find the two equal, with each look at each cluster (a tenth of an idle controller)."""

log = structlog.get_logger()


class Source(Protocol):
    """Shows whether a cluster is there, and what else its status at the hub says of it."""

    async def look(self) -> health.Probe | None:
        """What one look shows; None when it shows nothing: it was late, or other clusters must answer first."""

    async def looked(self) -> None:
        """What it has shown was taken in and reported."""

    def back(self, *, away: bool) -> None:
        """The cluster answers after looks that failed; `away`: so many that it was not ready."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Fields of the KubeFedCluster's status beside its conditions."""

    @property
    def news(self) -> object:
        """Another one whenever `facts`, or what `with_conditions` adds, may be others."""

    def with_conditions(self, conditions: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
        """The conditions with those that the source knows of; `now` is in seconds of the epoch."""


class Presence:
    """That of one cluster. `retry(name)` is called when it answers again. `object` is its KubeFedCluster."""

    def __init__(
        self, name: str, world: World, hub: HubPort, *, fanout: Fanout, retry: Retry, events: EventPoster
    ) -> None:
        self.object: StoredObject | None = None
        self.health = health.Health()
        self._name = name
        self._world = world
        self._fanout = fanout
        self._retry = retry
        self._reports = ClusterReports(name, hub, events)
        self._now = asyncio.Event()
        self._refused_by_host: dict[HostRefusesReason, str] = {}
        self._reported: tuple[object, ...] = ()
        self._reported_until = 0.0

    # --- what the hub says of it ---------------------------------------------------------------------------------

    def observe(self, stored: StoredObject) -> None:
        """The KubeFedCluster as the hub's watch shows it; an event from before our own last write is ignored.

        The event of that write comes, too, with whatever anybody else changed.
        """
        known = self.object.metadata if self.object is not None else None
        if known is None or known.uid != stored.metadata.uid or not _older(stored.metadata, known):
            self.object = stored

    def take_over(self, metadata: Metadata) -> None:
        """Take over what the KubeFedCluster says of its cluster: the labels that placements select by, and a cordon."""
        before, cordon = self._member.cluster, cordons.reason(metadata.annotations)
        labels = before.labels if before.labels == metadata.labels else dict(metadata.labels)
        if (labels, cordon) == (before.labels, before.cordon):
            return
        self.update(replace(before, labels=labels, cordon=cordon))
        if cordon != before.cordon:
            log.info(
                "cluster cordoned" if cordon is not None else "cluster uncordoned", cluster=self._name, reason=cordon
            )
            self.request_look()  # which reports it

    def host_refuses(self, what: HostRefusesReason, failure: Failure | None) -> None:
        """The host did not store something of this cluster; None: it did. The next look reports what lasts.

        A host that is away, or an object that was changed at the same time, refuses nothing.
        """
        if failure is None:
            self._refused_by_host.pop(what, None)
        elif failure.concerns == "object":
            self._refused_by_host[what] = f"{health.UNSTORED[what]}: {failure.message}"

    # --- looks ---------------------------------------------------------------------------------------------------

    def begin(self, *, again: bool) -> None:
        """It is to be found out anew, `again` where something was known: until then nothing is written there."""
        self.health = health.Health(was_ready=self._was_ready(again=again))
        if self._member.cluster.ready is not None:
            self.update(replace(self._member.cluster, ready=None, message=self.health.message))
        self._refused_by_host.clear()

    async def run(self, source: Source) -> None:
        """Look, take in and report what is seen, until cancelled."""
        while True:
            self._now.clear()
            probe = await source.look()
            if probe is None:
                metrics.PROBES.labels("inconclusive").inc()
            else:
                metrics.PROBES.labels("answered" if probe.ok else "failed").inc()
                self.assess(probe, source)
                if self.health.known:
                    await self._report(source)
            await source.looked()
            loop = asyncio.get_running_loop()
            period = self._world.settings.health.period
            if not self.health.known:
                period = min(period, SOON)
            due = loop.time() + period * (0.9 + random.random() / 5)
            timer = loop.call_at(math.ceil(due / TOGETHER) * TOGETHER, self._now.set)
            try:
                await self._now.wait()
            finally:
                timer.cancel()
            if loop.time() < due:
                await asyncio.sleep(0.05)  # several requests are one look

    def request_look(self) -> None:
        """Look soon: the result is waited for."""
        self._now.set()

    def assess(self, probe: health.Probe, source: Source) -> None:
        """Take in what a look has shown, or why there can be none."""
        before = self.health
        self.health = health.assess(before, probe, self._world.settings.health, time.time())
        ready = False if self.health.reason is ClusterReason.MALFORMED else self.health.ready
        if self.health.pending and self.health.pending != before.pending:
            log.info("probe failed", cluster=self._name, detail=self.health.pending)
        # With a threshold over one the good probe that decides is not the first one.
        back = before.failures or self._member.cluster.ready is False
        if ready and back and not self.health.failures:
            self._resume(source)
        elif self.health.failures and self._member.lane is not None:
            self._member.lane.probe_failed()
        if (ready, self.health.message) == (self._member.cluster.ready, self._member.cluster.message):
            return
        if not ready:
            log.warning("cluster not ready", cluster=self._name, reason=self.health.message)  # another reason is news
        elif ready != self._member.cluster.ready:
            log.info("cluster ready", cluster=self._name, reason=self.health.message)
        self.update(replace(self._member.cluster, ready=ready, message=self.health.message))
        metrics.CLUSTER_READY.labels(self._name).set(1 if ready else 0)

    def update(self, cluster: Cluster) -> None:
        """Planning sees it so from now on."""
        self._member.cluster = cluster
        self._world.clusters_version += 1
        self._fanout.cluster(self._name)

    def _resume(self, source: Source) -> None:
        """It answers after failed looks, many or one: end every wait that began in the outage."""
        lane = self._member.lane
        if lane is not None:
            lane.resume()
        source.back(away=self._member.cluster.ready is False)
        self._retry(self._name)

    def _was_ready(self, *, again: bool) -> bool:
        """Whether it is Ready as far as is known: by the stored condition, until a look of ours has decided."""
        stored = self.object
        known = self.health.known or again
        ready = clusterreports.found(stored.conditions, ClusterConditionType.READY) if stored is not None else {}
        return not known and ready.get("status") == "True"

    @property
    def _member(self) -> Member:
        return self._world.members[self._name]

    # --- to the hub ----------------------------------------------------------------------------------------------

    def tell(self, reason: str, message: str) -> None:
        """A warning as an event on the KubeFedCluster."""
        if self.object is not None:
            self._reports.tell(self.object.metadata, reason, message)

    async def report(self, source: Source) -> None:
        """Write the KubeFedCluster's status. Raises ApiFailure where the hub refuses it, so that it is tried again."""
        failure = await self._report(source)
        if failure is not None and failure.kind is not FailureKind.NOT_FOUND:
            raise ApiFailure(failure, f"status of KubeFedCluster {self._name}")

    async def _report(self, source: Source) -> Failure | None:
        """Write the status where it differs from the stored one; the next look, or turn, tries again."""
        stored = self.object
        if stored is None:
            return None
        made_from = self._made_from(stored, source)
        if made_from == self._reported and time.monotonic() < self._reported_until:
            return None
        lasts = health.probe_time_lasts(len(self._world.members))
        conditions = health.conditions(self.health, stored.conditions, time.time(), lasts=lasts)
        conditions = source.with_conditions(conditions, time.time())
        conditions = health.with_host(conditions, self._refused_by_host, time.time())
        conditions = cordons.with_condition(conditions, self._member.cluster.cordon, time.time())
        written = await self._reports.write(stored, {**source.facts, "conditions": conditions})
        if isinstance(written, Failure):
            return written
        if written is None:
            self._reported, self._reported_until = made_from, time.monotonic() + REPORTED_FOR
        elif self.object is stored:
            self.object = written
        return None

    def _made_from(self, stored: StoredObject, source: Source) -> tuple[object, ...]:
        """What a report is made from."""
        refused = tuple(self._refused_by_host.items())
        return stored, self.health, source.news, refused, self._member.cluster.cordon


def _older(one: Metadata, other: Metadata) -> bool:
    versions = one.resource_version, other.resource_version
    return all(version.isdecimal() for version in versions) and int(versions[0]) < int(versions[1])
