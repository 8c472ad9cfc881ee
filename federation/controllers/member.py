"""One joined member cluster, alive: its Gate, its probes and the watches of what it holds.

Owned by `clusters`. A cluster whose identity (kube-system's UID) is not the recorded one, or is another joined
cluster's, is refused: nothing is read from it and nothing written to it.
"""

import asyncio
import functools
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
import structlog

from federation.controllers import discovery, events, tokens
from federation.controllers.facts import Holdings, Member, TypeState, World
from federation.controllers.ports import Gate, HubPort, Watch
from federation.controllers.triggers import Fanout, HoldingsSink, Wake
from federation.core import health
from federation.core.planning import Trouble
from federation.model.clusters import Cluster
from federation.model.failures import Failure, FailureKind
from federation.model.federated import StoredObject
from federation.model.resources import EVENTS, KUBEFED_CLUSTERS
from federation.model.words import Word
from federation.runtime import metrics
from federation.runtime.tasks import Tasks

FACTS_PERIOD = 600.0
"""Seconds between two readings of version, region and zones."""
WATCH_SILENCE = 90.0
"""Seconds without a word after which a watch that cannot be opened counts against its cluster's health."""
IDENTITY_ANNOTATION = "kubefed.io/cluster-uid"
"""Ours, on a KubeFedCluster: the UID of the member's kube-system namespace, recorded at join."""
SYNCED = "Synced"
"""Our condition type: every enabled type can be followed in this cluster."""
_EXPLAINED = {FailureKind.RIGHT_MISSING: Word.RETRIEVAL_FAILED, FailureKind.TYPE_MISSING: Word.VERSION_UNAVAILABLE}

log = structlog.get_logger()


class Answers(Protocol):
    """Sync.cluster_answers."""

    def __call__(self, cluster: str, type_name: str = "", *, upgraded: bool = False) -> None:
        """A cluster answers again, or lets one type be followed again; `upgraded`: what it refused may pass now."""


class JoinedMember:
    """The live side of one KubeFedCluster.

    `claim(uid, name)` answers which cluster holds an identity, claiming it for `name` when it is free.
    `answers(name, type, upgraded=...)` is told when the cluster answers again, or lets one type be followed again.
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
        claim: Callable[[str, str], str],
        answers: Answers,
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
        self._claim = claim
        self._answers = answers
        self._discovery = discovery.Discovery(name, world, fanout, functools.partial(answers, upgraded=True))
        self._watches: dict[str, tuple[Watch, Tasks]] = {}
        self._probe_now = asyncio.Event()
        self._renewal = tokens.Renewal(name, hub)
        self._facts: dict[str, Any] = {}
        self._facts_at = -FACTS_PERIOD
        self._verified = False

    # --- configuration, by clusters ------------------------------------------------------------------------------

    async def open(self, gate: Gate, *, spread: float) -> None:
        """Start with a new Gate; the first probe comes within `spread` seconds, and nothing is written before it."""
        self.health = health.Health()
        if self._member.cluster.ready is not None:
            self._see(replace(self._member.cluster, ready=None, message=self.health.message))
        await self.close()
        self.gate = gate
        self._discovery.begin()
        self._facts_at = -FACTS_PERIOD
        self.tasks.keep(lambda: self._probe_loop(spread), f"probe:{self.name}")
        self.tasks.keep(lambda: self._renewal.run(gate, lambda: self.object), f"token:{self.name}")

    async def close(self) -> None:
        """End every loop and connection; what was known of the member's objects is kept as last known."""
        self._verified = False
        self._member.port = None
        await self.tasks.cancel()
        for name in list(self._watches):
            await self.unfollow(name)
        if self.gate is not None:
            await self.gate.close()
            self.gate = None

    async def refuse(self, message: str) -> None:
        """The stored configuration cannot be used: close, and say why."""
        await self.close()
        self._judge(health.malformed(message))
        await self._tell()

    def kick(self) -> None:
        """Credentials or rights may be new: probe and watch now."""
        self._probe_now.set()
        self._renewal.changed()
        for watch, _ in self._watches.values():
            watch.kick()

    def relabel(self, labels: Mapping[str, str]) -> None:
        """The KubeFedCluster's labels are what placement selects by."""
        if dict(self._member.cluster.labels) != dict(labels):
            self._see(replace(self._member.cluster, labels=dict(labels)))

    # --- what it holds -------------------------------------------------------------------------------------------

    def enabled(self, state: TypeState) -> None:
        """A type was enabled: follow it, once it is known in which version."""
        if state.type.target.group:
            self._discovery.begin()
            self._probe_now.set()  # looks, then follows
        else:
            self.follow(state)

    def follow(self, state: TypeState) -> None:
        """Watch what the member holds of a type, once its identity is known."""
        if self.gate is None or not self._verified or state.type.name in self._watches:
            return
        holdings = state.holdings.setdefault(self.name, Holdings())
        sink = HoldingsSink(self.name, self.gate.writer.manager, state, holdings, wake=self._wake, fanout=self._fanout)

        def on_change(watch: Watch) -> None:
            if watch.failure is not None and watch.failure.kind is FailureKind.TYPE_MISSING:
                self._discovery.hint(state.type.name)  # another version may be served: the next probe tells
                self._probe_now.set()
            else:
                self._weigh(state, watch)

        def on_end() -> None:
            self._discovery.hint(state.type.name)
            self._probe_now.set()

        watch = self.gate.watch(replace(state.type, target=state.target_in(self.name)), sink, on_change, on_end)
        tasks = Tasks()
        tasks.keep(watch.run, f"watch:{self.name}:{state.type.name}")
        self._watches[state.type.name] = (watch, tasks)

    def _weigh(self, state: TypeState, watch: Watch) -> None:
        """What a watch's failure, or its end, means for every object of the type."""
        failure = watch.failure
        word = _EXPLAINED.get(failure.kind) if failure is not None else None
        trouble = Trouble(word, failure.message) if failure is not None and word is not None else None
        holdings = state.holdings[self.name]
        before = holdings.trouble
        if trouble == before:
            return
        holdings.trouble = trouble
        if before is not None and before.word is Word.VERSION_UNAVAILABLE:
            self._discovery.hint(state.type.name)
        if trouble is None:
            self._answers(self.name, state.type.name)
        self._fanout.whole_type(state.type.name)
        self._probe_now.set()

    async def unfollow(self, type_name: str) -> None:
        """Stop watching a type."""
        followed = self._watches.pop(type_name, None)
        if followed is not None:
            await followed[1].cancel()

    # --- probes --------------------------------------------------------------------------------------------------

    async def _probe_loop(self, spread: float) -> None:
        await asyncio.sleep(random.random() * spread)
        while True:
            self._probe_now.clear()
            self._judge(await self._probe())
            if self.health.ready:
                for state in list(self._world.types.values()):
                    self.follow(state)
            await self._tell()
            period = self._world.settings.health.period * (0.9 + random.random() / 5)
            try:
                async with asyncio.timeout(period):
                    await self._probe_now.wait()
                await asyncio.sleep(0.05)  # several kicks are one probe
            except TimeoutError:
                continue

    async def _probe(self) -> health.Probe:
        assert self.gate is not None  # noqa: S101 - the loop lives exactly as long as its gate
        identity = await self.gate.identify(self._world.settings.health.timeout)
        if isinstance(identity, Failure):
            return health.failed(identity)
        refusal = await self._check_identity(identity)
        if refusal:
            await self._distrust()
            return health.malformed(refusal)
        self._verified = True
        self._member.port = self.gate.writer
        now = time.monotonic()
        if now - self._facts_at >= FACTS_PERIOD or self.health.ready is False:
            await self._read_facts()
        for moved in await self._discovery.look(self.gate):
            await self.unfollow(moved)  # the probe's end follows it again, under the other version
        for type_name, (watch, _) in self._watches.items():
            state = self._world.types.get(type_name)
            if state is not None and watch.failure is not None and self.name in state.holdings:
                self._weigh(state, watch)
        silent = [name for name, (watch, _) in self._watches.items() if _silent(watch, now)]
        if silent:
            return health.Probe("ClusterNotReady", f"answers, but its watches do not: {', '.join(sorted(silent))}")
        return health.READY

    async def _distrust(self) -> None:
        """This is not the cluster that was joined: forget what it holds, look no more and write nothing."""
        self._verified = False
        self._member.port = None
        for name in list(self._watches):
            await self.unfollow(name)
            state = self._world.types.get(name)
            if state is not None:
                state.holdings.pop(self.name, None)

    async def _check_identity(self, identity: str) -> str:
        """Why this cluster must not be touched; "" when it is who it should be."""
        stored = self.object
        if stored is None:
            return "the KubeFedCluster is gone"
        recorded = stored.metadata.annotations.get(IDENTITY_ANNOTATION)
        if recorded and recorded != identity:
            return (
                f"another cluster answers here: its identity is {identity}, {recorded} was joined. "
                f"If that is intended, unjoin {self.name} and join it again"
            )
        holder = self._claim(identity, self.name)
        if holder != self.name:
            return f"this cluster is already joined as {holder!r}: one of the two must be unjoined"
        if not recorded:
            body = orjson.dumps({"metadata": {"annotations": {IDENTITY_ANNOTATION: identity}}})
            await self._hub.merge(KUBEFED_CLUSTERS, stored.where, body)
        is_host = identity == self._hub_uid
        if self._member.cluster.is_host != is_host:
            self._see(replace(self._member.cluster, is_host=is_host))
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

    # --- health, to planning and to the hub ----------------------------------------------------------------------

    @property
    def _member(self) -> Member:
        return self._world.members[self.name]

    def _judge(self, probe: health.Probe) -> None:
        before = self.health
        self.health = health.probe_result(before, probe, self._world.settings.health, time.time())
        ready = False if self.health.reason == "ClusterConfigMalformed" else self.health.ready
        if self.health.pending and self.health.pending != before.pending:
            log.info("probe failed", cluster=self.name, detail=self.health.pending)
        if ready and before.failures and not self.health.failures:
            self._resume()
        if (ready, self.health.message) == (self._member.cluster.ready, self._member.cluster.message):
            return
        if ready != self._member.cluster.ready:
            log.info("cluster ready" if ready else "cluster not ready", cluster=self.name, reason=self.health.message)
        self._see(replace(self._member.cluster, ready=ready, message=self.health.message))
        metrics.CLUSTER_READY.labels(self.name).set(1 if ready else 0)

    def _resume(self) -> None:
        """It answers after failed probes, many or one: nothing sits out a wait that an outage has earned."""
        lane = self._member.lane
        if lane is not None:
            lane.resume()
        for watch, _ in self._watches.values():
            watch.kick()
        self._answers(self.name, "")

    def _see(self, cluster: Cluster) -> None:
        self._member.cluster = cluster
        self._world.clusters_version += 1
        self._fanout.everything()

    async def _tell(self) -> None:
        stored = self.object
        if stored is None:
            return
        previous = stored.status.get("conditions") or []
        told = health.conditions(self.health, previous, time.time())
        told = _with_synced(told, {name: watch for name, (watch, _) in self._watches.items()}, time.time())
        status = {**stored.status, **self._facts, "conditions": told}
        if status == stored.status:
            return
        answer = await self._hub.set_status(KUBEFED_CLUSTERS, stored.where, orjson.dumps({"status": status}))
        if isinstance(answer, Failure):
            log.info("cluster status not written", cluster=self.name, reason=answer.message)
            return
        if self.object is stored:
            self.object = StoredObject(stored.metadata, stored.spec, status)
        was, now = _ready(previous), _ready(told)
        if was.get("status") != now.get("status") and (was or now.get("status") != "True"):
            event = events.about_cluster(stored.metadata, now)
            refused = await self._hub.create(EVENTS, stored.where.namespace, event)
            if refused is not None:
                log.debug("event not posted", cluster=self.name, reason=refused.message)


def _ready(conditions: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    return next((condition for condition in conditions if condition.get("type") == "Ready"), {})


def _silent(watch: Watch, now: float) -> bool:
    return watch.failure is not None and watch.failure.kind not in _EXPLAINED and now - watch.contact > WATCH_SILENCE


def _synced_condition(watches: Mapping[str, Watch]) -> tuple[str, str, str]:
    """status, reason and message of the condition that says which types cannot be followed, and why."""
    failing = {name: watch.failure for name, watch in sorted(watches.items()) if watch.failure is not None}
    if not failing:
        waiting = sorted(name for name, watch in watches.items() if not watch.synced)
        if waiting:
            return "Unknown", "Listing", f"first list under way: {', '.join(waiting[:5])}"
        return "True", "Following", ""
    said = [f"{name}: {failure.message}" for name, failure in failing.items()]
    kinds = {failure.kind for failure in failing.values()}
    reason = "RightMissing" if FailureKind.RIGHT_MISSING in kinds else "WatchFailed"
    return "False", reason, "; ".join(said[:3]) + (f"; and {len(said) - 3} more types" if len(said) > 3 else "")


def _with_synced(conditions: list[dict[str, Any]], watches: Mapping[str, Watch], now: float) -> list[dict[str, Any]]:
    status, reason, message = _synced_condition(watches)
    old = next((condition for condition in conditions if condition.get("type") == SYNCED), None)
    if status == "Unknown" and (old is not None or not watches):
        return conditions  # a first list is soon over: not worth a write
    if old is not None and (old.get("status"), old.get("reason"), old.get("message")) == (status, reason, message):
        return conditions
    stamp = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    moved = old is None or old.get("status") != status
    told = {
        "type": SYNCED,
        "status": status,
        "lastProbeTime": stamp,
        "lastTransitionTime": stamp if moved or old is None else old.get("lastTransitionTime", stamp),
        "reason": reason,
        "message": message,
    }
    return [*(condition for condition in conditions if condition.get("type") != SYNCED), told]
