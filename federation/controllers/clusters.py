"""Joined clusters: from KubeFedClusters and their Secrets to live members. See `member` for what a live one does.

An added, relabelled, re-credentialled or removed cluster takes effect here, without a restart: new credentials for
the same place go into the living connection, anything else opens a new Gate.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any

import structlog

from federation.controllers import absences, clustersecrets
from federation.controllers.assignment import Assignment
from federation.controllers.clustersecrets import ClusterSecrets
from federation.controllers.fanout import Fanout
from federation.controllers.identities import Identities
from federation.controllers.member import JoinedMember
from federation.controllers.ports import EventPoster, Gatekeeper, HubPort, WorksPort
from federation.controllers.pulling import Pulling, Works
from federation.controllers.shards import Sharding
from federation.controllers.sync import Sync
from federation.controllers.world import Member, TypeState, World
from federation.core import binding, checks, proof
from federation.core.proof import Proof
from federation.model import marks
from federation.model.conditions import HostRefusesReason
from federation.model.errors import Unusable
from federation.model.failures import Failure
from federation.model.federated import StoredObject
from federation.model.observations import Cluster
from federation.model.resources import KUBEFED_CLUSTERS, Key, ObjectName
from federation.runtime import metrics
from federation.runtime.fleetlimit import FleetLimit
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.lane import Lane
from federation.runtime.starting import Starting
from federation.runtime.store import ReportingStore, Store
from federation.runtime.tasks import Tasks

FOLLOWED = 50
"""Members in which a type is begun to be watched before other tasks get a turn: 3,500 at once took 0.1 s."""
REMEMBERED = 10_000
"""Names that statuses have and no cluster does."""

log = structlog.get_logger()


class Clusters:
    """All members. Its queue has cluster names; `process` is its worker's turn."""

    def __init__(
        self,
        world: World,
        hub: HubPort,
        gatekeeper: Gatekeeper,
        *,
        sync: Sync,
        fanout: Fanout,
        events: EventPoster,
        starting: Starting,
        hub_uid: str,
        namespace: str,
    ) -> None:
        self.queue: KeyQueue[str] = KeyQueue()
        self.objects: Store[StoredObject] = ReportingStore(lambda where: self._identities.observed(where.name))
        self.secrets: Store[StoredObject] = Store()
        self._world = world
        self._hub = hub
        self._gatekeeper = gatekeeper
        self._sync = sync
        self._fanout = fanout
        self._events = events
        self._starting = starting
        self._hub_uid = hub_uid
        self._namespace = namespace
        self._joined: dict[str, JoinedMember] = {}
        self._limit = FleetLimit()
        self._configured: dict[str, tuple[Mapping[str, Any], Mapping[str, str] | None, str]] = {}
        self._identities = Identities(hub, self.objects, namespace, self._request_probe, self._refused)
        self._secrets_changed: set[str] = set()
        self._credentials = ClusterSecrets(hub, self.secrets, self.queue, self._refused)
        self._left: set[str] = set()
        self._pushing = Tasks()
        self.leaves: Callable[[str, str, bool], None] = lambda name, identity, silent: None
        """Debts.leaves."""
        self.pulling: Pulling | None = None
        sync.ask_of_clusters(self.left)
        self._assignment: Assignment | None = None

    def serve_shard(self, sharding: Sharding) -> None:
        """Serve the clusters of one shard alone."""
        self._assignment = Assignment(
            self._world,
            self._hub,
            sharding,
            objects=self.objects,
            queue=self.queue,
            hand_over=self.hand_over,
            silent=self._identities.silent,
            changed=self._fanout.cluster,
        )

    # --- what was observed --------------------------------------------------------------------------------------------

    def cluster_observed(self, name: str) -> None:
        """A KubeFedCluster appeared, changed or went."""
        self._left.discard(name)
        self.queue.add(name)

    async def left(self, name: str) -> bool:
        """Whether there is no KubeFedCluster of this name: one that no list has shown is asked for, once."""
        where = ObjectName(self._namespace, name)
        if name in self._left or not checks.is_dns_1123(name):
            return True
        if self._assignment is not None and self._assignment.is_foreign(name):
            return True
        known = self.objects.get(where)
        if known is not None and known.pulls and self.pulling is None:
            return True  # nothing of it is done here
        if known is None and await absences.gone(self._hub, self.objects, KUBEFED_CLUSTERS, where):
            if len(self._left) >= REMEMBERED:
                self._left.clear()
            self._left.add(name)
            return True
        self.queue.add(name)
        return False

    def identity(self, name: str) -> str:
        """The recorded identity of a joined cluster; "" where there is none."""
        stored = self.objects.get(ObjectName(self._namespace, name))
        return stored.metadata.annotations.get(marks.IDENTITY_ANNOTATION, "") if stored is not None else ""

    def secret_observed(self, name: str) -> None:
        """A Secret of the system namespace changed: process the KubeFedClusters that refer to it, in a moment."""
        if not self._secrets_changed:  # one look at all clusters for a whole list, not one for each Secret
            asyncio.get_running_loop().call_soon(self._process_secrets)
        self._secrets_changed.add(name)

    def _process_secrets(self) -> None:
        changed, self._secrets_changed = self._secrets_changed, set()
        for where, stored in self.objects.items():
            if stored.secret_name in changed:
                self.queue.add(where.name)

    # --- types -----------------------------------------------------------------------------------------------------

    def follow(self, state: TypeState) -> None:
        """A type was enabled: watch it in every member that is known to be itself, some at a time."""
        if self.pulling is not None:
            self.pulling.follow(state)
        self._each(iter(list(self._joined.values())), lambda joined: joined.enabled(state))

    def realign(self) -> None:
        """Statuses of a type are to be collected, or not any more: watch it so in every member, some at a time."""
        if self.pulling is not None:
            self.pulling.realign()
        self._each(iter(list(self._joined.values())), JoinedMember.realign)

    def _each(self, members: Iterator[JoinedMember], step: Callable[[JoinedMember], None]) -> None:
        some = list(itertools.islice(members, FOLLOWED))
        for joined in some:
            if self._joined.get(joined.name) is joined:
                step(joined)
        if some:
            asyncio.get_running_loop().call_soon(self._each, members, step)

    async def unfollow(self, type_name: str) -> None:
        """A type was disabled."""
        await asyncio.gather(*(joined.unfollow(type_name) for joined in self._joined.values()))

    # --- one cluster -----------------------------------------------------------------------------------------------

    async def process(self, name: str) -> None:
        """Bring one member in line with its KubeFedCluster and Secret."""
        stored = self.objects.get(ObjectName(self._namespace, name))
        if stored is None:
            await self._absent(name)
            return
        if stored.pulls:
            await self._pulls(stored)
            return
        await self._stop_pulling(name, moves=True)
        if self._assignment is not None:
            served = await self._assignment.served(stored)
            if served is None:
                return
            stored = served
        known = self._joined.get(name)
        if known is not None and known.object is not None and known.object.metadata.uid != stored.metadata.uid:
            await self._leave(name)  # unjoined and joined again between two events: perhaps another cluster
        joined = self._joined.get(name) or self._join(name, stored)
        joined.presence.observe(stored)
        if stored.broken:
            await self._unreadable(joined, stored.broken)
            await joined.report()
            return
        joined.presence.take_over(stored.metadata)
        secret = self.secrets.get(ObjectName(stored.metadata.namespace, stored.secret_name))
        if await self._credentials.leaves(joined, stored, secret):
            return
        refusal = "" if secret is None else clustersecrets.refusal(name, stored, secret)
        if self._credentials.awaits_the_other(joined, refused=bool(refusal)):
            return
        wanted = (stored.spec, secret.data if secret is not None else None, refusal)
        if self._configured.get(name) != wanted:
            self._configured[name] = wanted
            try:
                await self._configure(joined, stored, secret)
            except BaseException:
                self._configured.pop(name, None)  # a bug's next try must not find everything done
                raise
        if joined.gate is None:
            await joined.report()  # one with a Gate reports with every probe

    async def _pulls(self, stored: StoredObject) -> None:
        """Its agent fetches: nothing there is probed or written from here (controllers.heartbeats). Of several shards
        the one that coordinates writes its works."""
        name = stored.metadata.name
        if self.pulling is None:
            await self._leave(name, another=True)
            return
        await self._leave(name, moves=True)
        joins = name not in self.pulling
        self.pulling.serve(stored)
        if joins and self._assignment is not None:
            self._assignment.joined(name)

    async def _absent(self, name: str) -> None:
        """No list or event shows its KubeFedCluster; one that was known is asked for before it counts as gone."""
        where = ObjectName(self._namespace, name)
        unknown = name not in self._joined and name not in self._world.members
        if unknown or await absences.gone(self._hub, self.objects, KUBEFED_CLUSTERS, where):
            await self._leave(name)
            await self._stop_pulling(name, moves=False)
        else:
            self.queue.add(name)

    async def _stop_pulling(self, name: str, *, moves: bool) -> None:
        """Nothing more is written for its agent; with `moves` it is written to from now on."""
        if self.pulling is None:
            return
        waited = self.pulling.leave(name)
        if waited is not None:
            self._world.left += 1
            for _ in self._sync.forget_cluster(name, waited, moves=moves):
                await asyncio.sleep(0)
            self._fanout.cluster(name)
            log.info("cluster left", cluster=name, mode="pull")
        if moves:
            self.pulling.release(name)

    async def _unreadable(self, joined: JoinedMember, why: str) -> None:
        """Its KubeFedCluster is there and cannot be read: nothing is done there, and its labels stay as they were."""
        configuration = ({"unreadable": why}, None, "")
        if self._configured.get(joined.name) != configuration:
            self._configured[joined.name] = configuration
            self._identities.forget(joined.name)
            await joined.refuse(f"the KubeFedCluster cannot be read: {why}")

    async def _configure(self, joined: JoinedMember, stored: StoredObject, secret: StoredObject | None) -> None:
        name = joined.name
        try:
            if secret is None and not await self._credentials.gone(stored):
                self._configured.pop(name, None)
                self.queue.add(name)  # a list had left it out
                return
            if secret is None:
                raise Unusable(f"Secret {stored.secret_name!r} (spec.secretRef) does not exist")
            if secret.broken:
                raise Unusable(f"Secret {stored.secret_name!r} (spec.secretRef) cannot be read: {secret.broken}")
            if refusal := clustersecrets.refusal(name, stored, secret):
                raise Unusable(refusal)
            if joined.gate is not None and joined.gate.admit(stored.spec, secret.data):
                log.info("cluster credentials replaced", cluster=name)
                joined.kick()
                return
            gate = self._gatekeeper.open(name, stored.spec, secret.data)
        except Unusable as error:
            log.warning("cluster cannot be used", cluster=name, reason=str(error))
            self._identities.forget(name)
            await joined.refuse(str(error))
            return
        self._identities.forget(name)
        self._warn_unverified(stored)
        await joined.open(gate, self._starting)

    def _warn_unverified(self, stored: StoredObject) -> None:
        """Once for each configuration that is taken into use."""
        if risk := binding.unverified(stored.spec):
            log.warning("server not verified", cluster=stored.metadata.name, reason=risk)
            self._events.about(KUBEFED_CLUSTERS, stored.metadata, "Warning", "TLSValidationDisabled", risk)

    def close_lanes(self) -> None:
        """Queue nothing more in any lane."""
        for member in self._world.members.values():
            if member.lane is not None:
                member.lane.close()

    def pull(self, hub: WorksPort, works: Works) -> None:
        """Serve clusters in pull mode, too: `hub` writes their works, `works` follows them."""
        self.pulling = Pulling(
            self._world,
            hub,
            works,
            sync=self._sync,
            fanout=self._fanout,
            pushing=self._pushing,
            limit=self._limit,
            proves_push=self._proves_push,
            left=lambda name: self.queue.add(name) if ObjectName(self._namespace, name) in self.objects else None,
        )

    async def _proves_push(self, name: str) -> Proof | None:
        """Proof that a cluster is in push mode; None where the hub does not say so now."""
        found = await self._hub.read(KUBEFED_CLUSTERS, ObjectName(self._namespace, name))
        return proof.pushed(found) if isinstance(found, StoredObject) else None

    async def finish(self, seconds: float) -> int:
        """Give pushes in flight some seconds; the number of pushes that were abandoned."""
        return await self._pushing.finish(seconds)

    async def close(self) -> None:
        """End everything."""
        if self.pulling is not None:
            await self.pulling.close()
        for name, joined in list(self._joined.items()):
            await joined.close()
            metrics.forget_cluster(name)

    def _join(self, name: str, stored: StoredObject) -> JoinedMember:
        lane: Lane[Key] = Lane(
            name,
            self._sync.lane_runner(name),
            self._pushing.spawn,
            concurrency=self._world.concurrency,
            kind=attrgetter("type"),
            flow=attrgetter("namespace"),
            limit=self._limit,
            on_trip=lambda: self._request_probe(name),
        )
        metrics.LANE_DEPTH.labels(name).set_function(lambda: len(lane))
        metrics.PLACEMENTS.labels(name).set_function(lambda: self._world.placements(name))
        self._world.members[name] = Member(Cluster(name), lane=lane)
        joined = JoinedMember(
            name,
            self._world,
            self._hub,
            hub_uid=self._hub_uid,
            wake=self._sync.changed,
            fanout=self._fanout,
            identities=self._identities,
            retry=self._sync.retries.cluster,
            confirmed=self._record_place,
            secret=self._secret_in_use,
            events=self._events,
        )
        self._joined[name] = self._world.members[name].live = joined
        if self._assignment is not None:
            self._assignment.joined(name)
        self._world.clusters_version += 1
        if not stored.conditions:  # no controller has known it
            self._world.joined[name] = self._world.clusters_version
        self._fanout.cluster(
            name
        )  # that it has joined is news of its own: that it answers, later, selects nothing else
        log.info("cluster joined", cluster=name)
        return joined

    def resize(self) -> None:
        """Other settings are in force, or there are other types: allow as many writes at a time as that makes."""
        for member in self._world.members.values():
            if member.lane is not None:
                member.lane.resize(self._world.concurrency)

    def _request_probe(self, name: str) -> None:
        joined = self._joined.get(name)
        if joined is not None:
            joined.presence.request_look()

    async def hand_over(self, name: str) -> bool:
        """Let go of a cluster that another shard is to serve; False while pushes to it have no answer.

        What is there stays, and is remembered by nobody here.
        """
        member = self._world.members.get(name)
        if name not in self._joined or member is None or member.lane is None:
            return True
        member.lane.close()
        if member.lane.active:
            return False
        await self._leave(name, another=True)
        return True

    async def _leave(self, name: str, *, another: bool = False, moves: bool = False) -> None:
        """It has left; `another` one serves it now. With `moves` it is reached in another way from now on."""
        joined = self._joined.pop(name, None)
        self._configured.pop(name, None)
        self._credentials.forget(name)
        self._identities.forget(name)
        if joined is None:
            if self._assignment is not None:
                self._assignment.left(name)
            return
        recorded = joined.object.metadata.annotations.get(marks.IDENTITY_ANNOTATION, "") if joined.object else ""
        silent = joined.gate is not None and self._world.members[name].cluster.ready is not True
        if not another and not moves:
            self.leaves(name, recorded, silent)
        await joined.close()
        member = self._world.members.pop(name)
        if another and self._assignment is not None:
            self._assignment.replaced(name)
        self._world.left += 1
        for state in self._world.types.values():
            state.copies.pop(name, None)
        self._world.clusters_version += 1
        if member.lane is not None:
            dropped = member.lane.drain()
            member.lane.close()
            for _ in self._sync.forget_cluster(name, dropped, moves=moves):
                await asyncio.sleep(0)
        metrics.forget_cluster(name)
        self._fanout.cluster(name)
        if self._assignment is not None and not another:
            self._assignment.left(name)
        log.info("cluster handed over" if another else "cluster left", cluster=name)

    def _secret_in_use(self, name: str) -> StoredObject | None:
        """The Secret that a member's connection was made from; None when it, or its KubeFedCluster, is another now."""
        stored, configured = self.objects.get(ObjectName(self._namespace, name)), self._configured.get(name)
        if stored is None or configured is None:
            return None
        secret = self.secrets.get(ObjectName(stored.metadata.namespace, stored.secret_name))
        spec, data, _ = configured
        return secret if secret is not None and (spec, data) == (stored.spec, secret.data) else None

    def _refused(self, name: str, what: HostRefusesReason, failure: Failure | None) -> None:
        """The hub did not store something of a cluster; None: it did."""
        joined = self._joined.get(name)
        if joined is not None:
            joined.presence.host_refuses(what, failure)

    async def _record_place(self, name: str) -> None:
        """The member has answered as itself: bind its credentials to this place."""
        secret, configured = self._secret_in_use(name), self._configured.get(name)
        if secret is not None and configured is not None:
            await self._credentials.bind(name, secret, configured[0])
