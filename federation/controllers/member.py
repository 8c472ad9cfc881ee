"""One joined member cluster, alive: its Gate, its probes and its watches.

Owned by `clusters`. A cluster whose identity (kube-system's UID) is not the recorded one, or is another joined
cluster's, is refused: nothing is read from it and nothing written to it.
"""

import asyncio
import functools
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson
import structlog

from federation.controllers import servedversions, tokens
from federation.controllers.fanout import Fanout, Wake
from federation.controllers.following import Following, Retry
from federation.controllers.identities import Identities
from federation.controllers.ports import EventPoster, Gate, HubPort
from federation.controllers.world import Member, TypeState, World
from federation.core import cordons, health
from federation.model import marks
from federation.model.conditions import ClusterConditionType, ClusterReason, HostRefusesReason
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.observations import Cluster
from federation.model.resources import KUBEFED_CLUSTERS
from federation.runtime import metrics
from federation.runtime.starting import Starting, Turn
from federation.runtime.tasks import Tasks

TOGETHER = 0.25
"""Seconds: probes that are due within them are sent together. Each would wake the process twice by itself, and that
costs more than the probe."""
SOON = 2.0
"""Seconds after which a probe is repeated that has shown nothing of a cluster yet."""
TOLD_AGAIN = 60.0
"""Seconds within which it is told once that the cluster was restored: each of its types shows that by itself. And a
type whose list was wrong is listed once: a server whose memory is not that of its store gives the same list again."""
FACTS_PERIOD = 600.0
"""Seconds between two readings of version, region and zones."""
FACTS_LATER = 60.0
"""Seconds in which a fleet that was ready before our start is asked for them."""

RESTORED = "ClusterRestored"
_REFUSES = ClusterConditionType.HOST_REFUSES

log = structlog.get_logger()


class JoinedMember:
    """The live side of one KubeFedCluster.

    `identities` knows which cluster an identity belongs to. `retry(name, type, upgraded=...)` is called when the
    cluster answers again, or when one of its types can be watched again. `confirmed(name)` is called when a probe has
    shown that this is the cluster that was joined.
    """

    def __init__(
        self,
        name: str,
        world: World,
        hub: HubPort,
        *,
        hub_uid: str,
        wake: Wake,
        fanout: Fanout,
        identities: Identities,
        retry: Retry,
        confirmed: Callable[[str], Awaitable[None]],
        secret: Callable[[str], StoredObject | None],
        events: EventPoster,
    ) -> None:
        self.name = name
        self.gate: Gate | None = None
        self.object: StoredObject | None = None
        self.health = health.Health()
        self.tasks = Tasks()
        self._world = world
        self._hub = hub
        self._hub_uid = hub_uid
        self._wake = wake
        self._fanout = fanout
        self._identities = identities
        self._retry = retry
        self._confirmed = confirmed
        self._secret = secret
        self._events = events
        self._discovery = servedversions.Discovery(name, world, fanout, functools.partial(retry, upgraded=True))
        self._following = Following(name, world, self, wake=wake, fanout=fanout, retry=retry)
        self._probe_now = asyncio.Event()
        self._renewal = tokens.Renewal(name, hub, functools.partial(self.host_refuses, HostRefusesReason.TOKEN))
        self._facts: dict[str, Any] = {}
        self._facts_at = -FACTS_PERIOD
        self._went_back_at = -TOLD_AGAIN
        self._relisted: dict[str, float] = {}
        self._verified = False
        self._turn: Turn | None = None
        self._unreported: FailureKind | None = None
        self._refused_by_host: dict[HostRefusesReason, str] = {}

    # --- configuration, by clusters ------------------------------------------------------------------------------

    async def open(self, gate: Gate, starting: Starting) -> None:
        """Start with a new Gate; the first probe comes when it has its turn in `starting`, and nothing is written
        before it.
        """
        self.health = health.Health(was_ready=self._was_ready())
        if self._member.cluster.ready is not None:
            self._update_cluster(replace(self._member.cluster, ready=None, message=self.health.message))
        await self.close()
        self._refused_by_host.clear()
        self.gate = gate
        self._discovery.begin()
        # What the controller before us has read is good for a while: at a start there is more urgent work.
        late = random.random() * FACTS_LATER if self.health.was_ready else 0.0
        self._facts_at = time.monotonic() - FACTS_PERIOD + late
        self.tasks.keep(lambda: self._probe_loop(starting), f"probe:{self.name}")
        self.tasks.keep(lambda: self._renewal.run(gate, lambda: self._secret(self.name)), f"token:{self.name}")

    async def close(self) -> None:
        """End every loop and connection; what was observed of the member's objects is kept."""
        self._verified = False
        self._member.port = None
        await self.tasks.cancel()
        self.listed()
        await self._following.close()
        if self.gate is not None:
            await self.gate.close()
            self.gate = None

    async def refuse(self, message: str) -> None:
        """The stored configuration cannot be used: close, and remember why; `report` writes it to the status."""
        await self.close()
        self._identities.silent(self.name)
        self._assess(health.malformed(message))

    async def report(self) -> None:
        """Write the KubeFedCluster's status. Raises ApiFailure where the hub refuses it, so that it is tried again."""
        failure = await self._report()
        if failure is not None and failure.kind is not FailureKind.NOT_FOUND:
            raise ApiFailure(failure, f"status of KubeFedCluster {self.name}")

    def kick(self) -> None:
        """Credentials or rights may be new: probe and watch now."""
        self._refused_by_host.pop(HostRefusesReason.TOKEN, None)
        self._probe_now.set()
        self._renewal.changed()
        self._following.kick()

    def observe(self, stored: StoredObject) -> None:
        """The KubeFedCluster as the hub's watch shows it; an event from before our own last write is ignored.

        The event of that write comes, too, with whatever anybody else changed.
        """
        known = self.object.metadata if self.object is not None else None
        if known is None or known.uid != stored.metadata.uid or not _older(stored.metadata, known):
            self.object = stored

    def host_refuses(self, what: HostRefusesReason, failure: Failure | None) -> None:
        """The host did not store something of this cluster; None: it did. The next probe reports what lasts.

        A host that is away, or an object that was changed at the same time, refuses nothing.
        """
        if failure is None:
            self._refused_by_host.pop(what, None)
        elif failure.concerns == "object":
            self._refused_by_host[what] = f"{health.UNSTORED[what]}: {failure.message}"

    def take_over(self, metadata: Metadata) -> None:
        """Take over what the KubeFedCluster says of its cluster: the labels that placements select by, and a cordon."""
        before, cordon = self._member.cluster, cordons.reason(metadata.annotations)
        labels = before.labels if before.labels == metadata.labels else dict(metadata.labels)
        if (labels, cordon) == (before.labels, before.cordon):
            return
        self._update_cluster(replace(before, labels=labels, cordon=cordon))
        if cordon != before.cordon:
            log.info(
                "cluster cordoned" if cordon is not None else "cluster uncordoned", cluster=self.name, reason=cordon
            )
            self._probe_now.set()  # which reports it

    # --- watches -------------------------------------------------------------------------------------------------

    def enabled(self, state: TypeState) -> None:
        """A type was enabled: watch it, once it is known in which version."""
        if state.type.target.group:
            self._discovery.begin()
            self._probe_now.set()  # which reads the versions, then watches
        else:
            self._following.align()

    async def unfollow(self, type_name: str) -> None:
        """Stop watching a type."""
        await self._following.unfollow(type_name)

    @property
    def verified_gate(self) -> Gate | None:
        """The Gate to it; None while there is none, or while it is not known which cluster answers."""
        return self.gate if self._verified else None

    def request_probe(self) -> None:
        """Probe soon: the result is waited for (whether the whole member fails, or which cluster answers)."""
        self._probe_now.set()

    def missing(self, type_name: str) -> None:
        """A type is not served, or its definition has changed: probe now, and read in which versions it is served."""
        self._discovery.hint(type_name)
        self._probe_now.set()

    def listed(self) -> None:
        """Every type that is followed has been listed, or cannot be: the next member may be taken up."""
        if self._turn is not None:
            self._turn.end()
            self._turn = None

    def watch_changed(self, type_name: str, *, hint: bool) -> None:
        """The watch of a type fails, or works again: the next probe, which is now, reports it."""
        if hint:
            self._discovery.hint(type_name)
        self._probe_now.set()

    def relist(self, type_name: str) -> None:
        """A list of this type was wrong: list again, but not for each of the objects that it is wrong about."""
        now = time.monotonic()
        if now - self._relisted.get(type_name, -TOLD_AGAIN) >= TOLD_AGAIN:
            self._relisted[type_name] = now
            self._following.renew(type_name)

    def went_back(self, evidence: str) -> None:
        """It was restored from a backup, or has another store: everything there is listed again and compared."""
        if time.monotonic() - self._went_back_at < TOLD_AGAIN:
            return
        self._went_back_at = time.monotonic()
        log.warning("cluster restored", cluster=self.name, evidence=evidence)
        self.tell(
            RESTORED,
            f"it has gone back in time ({evidence} do): it was restored from a backup, or has another store. "
            "Everything there is listed again, and put right where it is not as it should be",
        )
        self._following.renew()

    def tell(self, reason: str, message: str) -> None:
        """A warning as an event on the KubeFedCluster."""
        if self.object is not None:
            self._events.about(KUBEFED_CLUSTERS, self.object.metadata, "Warning", reason, message)

    # --- probes --------------------------------------------------------------------------------------------------

    async def _probe_loop(self, starting: Starting) -> None:
        self.listed()
        self._turn = await starting.begin()
        while True:
            self._probe_now.clear()
            probe = await self._probe()
            if probe is None:
                metrics.PROBES.labels("inconclusive").inc()
            else:
                metrics.PROBES.labels("answered" if probe.ok else "failed").inc()
                self._assess(probe)
                if self.health.known:
                    await self._report()
            self._following.align()
            if not self._verified:
                self.listed()  # it is not to be listed
            await self._following.ended()
            loop = asyncio.get_running_loop()
            period = self._world.settings.health.period
            if not self.health.known:
                period = min(period, SOON)
            due = loop.time() + period * (0.9 + random.random() / 5)
            timer = loop.call_at(math.ceil(due / TOGETHER) * TOGETHER, self._probe_now.set)
            try:
                await self._probe_now.wait()
            finally:
                timer.cancel()
            if loop.time() < due:
                await asyncio.sleep(0.05)  # several kicks are one probe

    async def _probe(self) -> health.Probe | None:
        """The result of one probe; None when it shows nothing: we were late, or other clusters must answer first."""
        assert self.gate is not None  # noqa: S101 - the loop lives exactly as long as its gate
        identity = await self.gate.identify(self._world.settings.health.timeout)
        if isinstance(identity, Failure):
            self._identities.silent(self.name)
            return None if identity.late else health.failed(identity)
        refusal = await self._check_identity(identity)
        if refusal is None:
            return None  # other clusters are to show their identity first
        if refusal:
            await self._distrust()
            return health.malformed(refusal)
        self._verified = True
        self._member.port = self.gate.writer
        await self._confirmed(self.name)
        now = time.monotonic()
        if now - self._facts_at >= FACTS_PERIOD or self.health.ready is False:
            await self._read_facts()
        self._following.reassess(await self._discovery.look(self.gate))
        silent = self._following.silent(now)
        if silent:
            return health.Probe(
                ClusterReason.NOT_READY, f"answers, but its watches do not: {', '.join(sorted(silent))}"
            )
        return health.READY

    async def _distrust(self) -> None:
        """This is not the cluster that was joined: forget what was observed, watch nothing and write nothing."""
        self._verified = False
        self._member.port = None
        self._discovery.begin()  # what it serves is forgotten, too
        await self._following.forget()

    async def _check_identity(self, identity: str) -> str | None:
        """Why this cluster must not be touched; "" when it is the one that was joined, None while that is unknown."""
        stored = self.object
        if stored is None:
            return "the KubeFedCluster is gone"
        recorded = stored.metadata.annotations.get(marks.IDENTITY_ANNOTATION)
        if recorded and recorded != identity:
            return (
                f"another cluster answers here: its identity is {identity}, {recorded} was joined. "
                f"If that is intended, unjoin {self.name} and join it again"
            )
        refusal = await self._identities.claim(self.name, identity)
        if refusal != "":
            return refusal
        is_host = identity == self._hub_uid
        if self._member.cluster.is_host != is_host:
            self._update_cluster(replace(self._member.cluster, is_host=is_host))
        return ""

    async def _read_facts(self) -> None:
        assert self.gate is not None  # noqa: S101 - only probes call this
        version = await self.gate.version()
        if isinstance(version, str):
            if self._facts.get("kubernetesVersion", version) != version:
                self._discovery.hint()
            self._facts["kubernetesVersion"] = version
        topology = await self.gate.topology()
        if not isinstance(topology, Failure):
            self._facts["region"], self._facts["zones"] = topology[0], list(topology[1])
        self._facts_at = time.monotonic()

    def _was_ready(self) -> bool:
        """Whether it is Ready as far as is known: by the stored condition, until a probe of ours has decided."""
        stored = self.object
        known = self.health.known or self.gate is not None
        ready = _found(stored.conditions, ClusterConditionType.READY) if stored is not None else {}
        return not known and ready.get("status") == "True"

    # --- health, to planning and to the hub ----------------------------------------------------------------------

    @property
    def _member(self) -> Member:
        return self._world.members[self.name]

    def _assess(self, probe: health.Probe) -> None:
        before = self.health
        self.health = health.assess(before, probe, self._world.settings.health, time.time())
        ready = False if self.health.reason is ClusterReason.MALFORMED else self.health.ready
        if self.health.pending and self.health.pending != before.pending:
            log.info("probe failed", cluster=self.name, detail=self.health.pending)
        # With a threshold over one the good probe that decides is not the first one.
        back = before.failures or self._member.cluster.ready is False
        if ready and back and not self.health.failures:
            self._resume()
        elif self.health.failures and self._member.lane is not None:
            self._member.lane.probe_failed()
        if (ready, self.health.message) == (self._member.cluster.ready, self._member.cluster.message):
            return
        if not ready:
            log.warning("cluster not ready", cluster=self.name, reason=self.health.message)  # another reason is news
        elif ready != self._member.cluster.ready:
            log.info("cluster ready", cluster=self.name, reason=self.health.message)
        self._update_cluster(replace(self._member.cluster, ready=ready, message=self.health.message))
        metrics.CLUSTER_READY.labels(self.name).set(1 if ready else 0)

    def _resume(self) -> None:
        """It answers after failed probes, many or one: end every wait that began in the outage."""
        lane = self._member.lane
        if lane is not None:
            lane.resume()
        if self._member.cluster.ready is False:
            self._following.renew()  # its watches may have gone on, over another store
        self._following.kick()
        self._retry(self.name)

    def _update_cluster(self, cluster: Cluster) -> None:
        self._member.cluster = cluster
        self._world.clusters_version += 1
        self._fanout.cluster(self.name)

    async def _report(self) -> Failure | None:
        """Write the status where it differs from the stored one; the next probe, or turn, tries again."""
        stored = self.object
        if stored is None:
            return None
        previous = stored.conditions
        lasts = health.probe_time_lasts(len(self._world.members))
        conditions = health.conditions(self.health, previous, time.time(), lasts=lasts)
        conditions = self._following.with_synced(conditions, time.time())
        conditions = health.with_host(conditions, self._refused_by_host, time.time())
        conditions = cordons.with_condition(conditions, self._member.cluster.cordon, time.time())
        ours = {**self._facts, "conditions": conditions}
        status = {**stored.status, **ours}
        if status == stored.status:
            return None
        answer = await self._hub.set_status(KUBEFED_CLUSTERS, stored.where, orjson.dumps({"status": ours}))
        if isinstance(answer, Failure):
            if self._unreported is not answer.kind:
                log.warning("cluster status not written", cluster=self.name, reason=answer.message)
            self._unreported = answer.kind
            return answer
        self._unreported = None
        if self.object is stored:
            self.object = StoredObject(answer, stored.spec, status)
        was, now = _found(previous, ClusterConditionType.READY), _found(conditions, ClusterConditionType.READY)
        if was.get("status") != now.get("status") and (was or now.get("status") != "True"):
            self._events.cluster_changed(stored.metadata, now)
        self._report_cordon(stored.metadata, previous, conditions)
        refused_before, refused = _found(previous, _REFUSES), _found(conditions, _REFUSES)
        if refused and refused.get("message") != refused_before.get("message"):
            reason, message = refused["reason"], refused["message"]
            log.warning("host refuses", cluster=self.name, what=reason, reason=message)
            self._events.about(KUBEFED_CLUSTERS, stored.metadata, "Warning", reason, message)
        return None

    def _report_cordon(
        self, metadata: Metadata, before: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]
    ) -> None:
        """An event where the cluster was cordoned, or is not any more."""
        was, cordoned = (_found(each, ClusterConditionType.CORDONED) for each in (before, now))
        if bool(was) != bool(cordoned):
            reason, message = (
                ("Cordoned", cordoned["message"]) if cordoned else ("Uncordoned", "may be written to again")
            )
            self._events.about(KUBEFED_CLUSTERS, metadata, "Normal", reason, message)


def _found(conditions: Iterable[Mapping[str, Any]], kind: ClusterConditionType) -> Mapping[str, Any]:
    return next((condition for condition in conditions if condition.get("type") == kind), {})


def _older(one: Metadata, other: Metadata) -> bool:
    versions = one.resource_version, other.resource_version
    return all(version.isdecimal() for version in versions) and int(versions[0]) < int(versions[1])
