"""Joined clusters: from KubeFedClusters and their Secrets to live members. See `member` for what a live one does.

An added, relabelled, re-credentialled or removed cluster takes effect here, without a restart: new credentials for
the same place go into the living connection, anything else opens a new Gate.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from federation.controllers import absences
from federation.controllers.facts import Member, TypeState, World
from federation.controllers.member import IDENTITY_ANNOTATION, JoinedMember
from federation.controllers.ports import Gatekeeper, HubPort
from federation.controllers.sync import Sync
from federation.controllers.triggers import Fanout
from federation.model.clusters import Cluster
from federation.model.errors import Unusable
from federation.model.federated import StoredObject
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName
from federation.runtime import metrics
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.lane import Lane
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks

CONCURRENCY = 16
"""Writes in flight to one member."""
SPREAD = 0.005
"""Seconds per joined cluster over which first probes are spread: a thousand members are not probed in one instant."""

log = structlog.get_logger()


class Clusters:
    """All members. Its queue holds cluster names; `process` is its worker's turn."""

    def __init__(
        self,
        world: World,
        hub: HubPort,
        gatekeeper: Gatekeeper,
        *,
        sync: Sync,
        fanout: Fanout,
        hub_uid: str,
        namespace: str,
    ) -> None:
        self.queue: KeyQueue[str] = KeyQueue()
        self.objects: Store[StoredObject] = Store()
        self.secrets: Store[StoredObject] = Store()
        self._world = world
        self._hub = hub
        self._gatekeeper = gatekeeper
        self._sync = sync
        self._fanout = fanout
        self._hub_uid = hub_uid
        self._namespace = namespace
        self._joined: dict[str, JoinedMember] = {}
        self._configured: dict[str, tuple[Mapping[str, Any], Mapping[str, str] | None]] = {}
        self._identities: dict[str, str] = {}
        self._pushing = Tasks()

    # --- what was heard --------------------------------------------------------------------------------------------

    def cluster_heard(self, name: str) -> None:
        """A KubeFedCluster appeared, changed or went."""
        self.queue.add(name)

    def secret_heard(self, name: str) -> None:
        """A Secret of the system namespace changed: whoever refers to it is looked at."""
        for where, stored in self.objects.items():
            if _secret_name(stored) == name:
                self.queue.add(where.name)

    # --- types -----------------------------------------------------------------------------------------------------

    def follow(self, state: TypeState) -> None:
        """A type was enabled: watch it in every member that is known to be itself."""
        for joined in list(self._joined.values()):
            joined.enabled(state)

    async def unfollow(self, type_name: str) -> None:
        """A type was disabled."""
        for joined in list(self._joined.values()):  # others may join or leave meanwhile
            await joined.unfollow(type_name)

    # --- one cluster -----------------------------------------------------------------------------------------------

    async def process(self, name: str) -> None:
        """Bring one member in line with its KubeFedCluster and Secret."""
        stored = self.objects.get(ObjectName(self._namespace, name))
        if stored is None:
            where = ObjectName(self._namespace, name)
            if name not in self._joined or await absences.gone(self._hub, self.objects, KUBEFED_CLUSTERS, where):
                await self._leave(name)
            else:
                self.queue.add(name)
            return
        known = self._joined.get(name)
        if known is not None and known.object is not None and known.object.metadata.uid != stored.metadata.uid:
            await self._leave(name)  # unjoined and joined again in one breath: perhaps another cluster
        joined = self._joined.get(name) or self._join(name)
        joined.object = stored
        joined.relabel(stored.metadata.labels)
        secret = self.secrets.get(ObjectName(stored.metadata.namespace, _secret_name(stored)))
        wanted = (stored.spec, secret.data if secret is not None else None)
        if self._configured.get(name) == wanted:
            return
        self._configured[name] = wanted
        try:
            await self._configure(joined, stored, secret)
        except BaseException:
            self._configured.pop(name, None)  # a bug's next try must not find everything done
            raise

    async def _configure(self, joined: JoinedMember, stored: StoredObject, secret: StoredObject | None) -> None:
        name = joined.name
        try:
            if secret is None:
                raise Unusable(f"Secret {_secret_name(stored)!r} (spec.secretRef) does not exist")
            if joined.gate is not None and joined.gate.admit(stored.spec, secret.data):
                log.info("cluster credentials replaced", cluster=name)
                joined.kick()
                return
            gate = self._gatekeeper.open(name, stored.spec, secret.data)
        except Unusable as error:
            log.info("cluster cannot be used", cluster=name, reason=str(error))
            self._release_identity(name)
            await joined.refuse(str(error))
            return
        self._release_identity(name)
        await joined.open(gate, spread=SPREAD * len(self._joined))

    def intake_ends(self) -> None:
        """No lane takes anything more."""
        for member in self._world.members.values():
            if member.lane is not None:
                member.lane.close()

    async def finish(self, seconds: float) -> int:
        """Give pushes in flight some seconds; says how many were abandoned."""
        return await self._pushing.finish(seconds)

    async def close(self) -> None:
        """End everything."""
        for joined in list(self._joined.values()):
            await joined.close()

    def _join(self, name: str) -> JoinedMember:
        lane: Lane[Any] = Lane(name, self._sync.lane_runner(name), self._pushing.spawn, concurrency=CONCURRENCY)
        metrics.LANE_DEPTH.labels(name).set_function(lambda: len(lane))
        self._world.members[name] = Member(Cluster(name), lane=lane)
        joined = JoinedMember(
            name,
            self._world,
            self._hub,
            hub_uid=self._hub_uid,
            wake=self._sync.changed,
            fanout=self._fanout,
            claim=self._claim,
            answers=self._sync.cluster_answers,
        )
        self._joined[name] = joined
        self._world.clusters_version += 1
        log.info("cluster joined", cluster=name)
        return joined

    async def _leave(self, name: str) -> None:
        joined = self._joined.pop(name, None)
        self._configured.pop(name, None)
        self._release_identity(name)
        if joined is None:
            return
        await joined.close()
        member = self._world.members.pop(name)
        for state in self._world.types.values():
            state.holdings.pop(name, None)
        self._world.clusters_version += 1
        if member.lane is not None:
            dropped = member.lane.drain()
            member.lane.close()
            self._sync.drop_cluster(name, dropped)
        metrics.forget_cluster(name)
        self._fanout.everything()
        log.info("cluster left", cluster=name)

    def _claim(self, uid: str, name: str) -> str:
        """Who holds an identity: whoever claimed it, else, after a start, whose KubeFedCluster has it on record."""
        holder = self._identities.get(uid)
        if holder is None:
            recorded = [
                where.name
                for where, stored in self.objects.items()
                if stored.metadata.annotations.get(IDENTITY_ANNOTATION) == uid
            ]
            holder = name if name in recorded or not recorded else min(recorded)
            if holder == name:
                self._identities[uid] = name
        return holder

    def _release_identity(self, name: str) -> None:
        for uid in [uid for uid, holder in self._identities.items() if holder == name]:
            del self._identities[uid]


class StoredSink:
    """A store of whole objects that says which of them changed."""

    def __init__(self, store: Store[StoredObject], heard: Callable[[str], None]) -> None:
        self.listed = asyncio.Event()
        self._store = store
        self._heard = heard

    def replace(self, items: Iterable[StoredObject]) -> None:
        """A whole list."""
        listed = {item.where: item for item in items}
        for where in [where for where in self._store if where not in listed]:
            self._store.drop(where)
            self._heard(where.name)
        for item in listed.values():
            self.upsert(item)
        self._store.synced = True
        self.listed.set()

    def upsert(self, item: StoredObject) -> None:
        """One object."""
        self._store.put(item.where, item)
        self._heard(item.where.name)

    def remove(self, item: StoredObject) -> None:
        """One object is gone."""
        self._store.drop(item.where)
        self._heard(item.where.name)


def _secret_name(stored: StoredObject) -> str:
    return str((stored.spec.get("secretRef") or {}).get("name", ""))
