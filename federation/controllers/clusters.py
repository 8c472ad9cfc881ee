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
from federation.controllers.clustersecrets import ClusterSecrets
from federation.controllers.fanout import Fanout
from federation.controllers.identities import Identities
from federation.controllers.member import JoinedMember
from federation.controllers.ports import EventPoster, Gatekeeper, HubPort
from federation.controllers.sync import Sync
from federation.controllers.world import Member, TypeState, World
from federation.core import binding, checks
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
        sync.ask_of_clusters(self.left)

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
        if self.objects.get(where) is None and await absences.gone(self._hub, self.objects, KUBEFED_CLUSTERS, where):
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
        self._follow(iter(list(self._joined.values())), state)

    def _follow(self, members: Iterator[JoinedMember], state: TypeState) -> None:
        some = list(itertools.islice(members, FOLLOWED))
        for joined in some:
            if self._joined.get(joined.name) is joined:
                joined.enabled(state)
        if some:
            asyncio.get_running_loop().call_soon(self._follow, members, state)

    async def unfollow(self, type_name: str) -> None:
        """A type was disabled."""
        await asyncio.gather(*(joined.unfollow(type_name) for joined in self._joined.values()))

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
            await self._leave(name)  # unjoined and joined again between two events: perhaps another cluster
        joined = self._joined.get(name) or self._join(name, stored)
        joined.observe(stored)
        if stored.broken:
            await self._unreadable(joined, stored.broken)
            await joined.report()
            return
        joined.take_over(stored.metadata)
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

    async def finish(self, seconds: float) -> int:
        """Give pushes in flight some seconds; the number of pushes that were abandoned."""
        return await self._pushing.finish(seconds)

    async def close(self) -> None:
        """End everything."""
        for joined in list(self._joined.values()):
            await joined.close()

    def _join(self, name: str, stored: StoredObject) -> JoinedMember:
        lane: Lane[Key] = Lane(
            name,
            self._sync.lane_runner(name),
            self._pushing.spawn,
            concurrency=self._world.settings.sync_concurrency,
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
            retry=self._sync.retry_cluster,
            confirmed=self._record_place,
            secret=self._secret_in_use,
            events=self._events,
        )
        self._joined[name] = self._world.members[name].live = joined
        self._world.clusters_version += 1
        if not stored.conditions:  # no controller has known it
            self._world.joined[name] = self._world.clusters_version
        self._fanout.cluster(
            name
        )  # that it has joined is news of its own: that it answers, later, selects nothing else
        log.info("cluster joined", cluster=name)
        return joined

    def resize(self) -> None:
        """Other settings are in force: allow as many writes at a time as they do."""
        for member in self._world.members.values():
            if member.lane is not None:
                member.lane.resize(self._world.settings.sync_concurrency)

    def _request_probe(self, name: str) -> None:
        joined = self._joined.get(name)
        if joined is not None:
            joined.request_probe()

    async def _leave(self, name: str) -> None:
        joined = self._joined.pop(name, None)
        self._configured.pop(name, None)
        self._credentials.forget(name)
        self._identities.forget(name)
        if joined is None:
            return
        recorded = joined.object.metadata.annotations.get(marks.IDENTITY_ANNOTATION, "") if joined.object else ""
        silent = joined.gate is not None and self._world.members[name].cluster.ready is not True
        self.leaves(name, recorded, silent)
        await joined.close()
        member = self._world.members.pop(name)
        self._world.left += 1
        for state in self._world.types.values():
            state.copies.pop(name, None)
        self._world.clusters_version += 1
        if member.lane is not None:
            dropped = member.lane.drain()
            member.lane.close()
            for _ in self._sync.forget_cluster(name, dropped):
                await asyncio.sleep(0)
        metrics.forget_cluster(name)
        self._fanout.cluster(name)
        log.info("cluster left", cluster=name)

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
            joined.host_refuses(what, failure)

    async def _record_place(self, name: str) -> None:
        """The member has answered as itself: bind its credentials to this place."""
        secret, configured = self._secret_in_use(name), self._configured.get(name)
        if secret is not None and configured is not None:
            await self._credentials.bind(name, secret, configured[0])
