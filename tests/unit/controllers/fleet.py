"""Joined clusters behind fake gates, for tests in virtual time."""

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from federation.controllers.clusters import Clusters
from federation.controllers.events import Events
from federation.controllers.fanout import Fanout
from federation.controllers.ports import Discovered, OnChange, Sink
from federation.controllers.sync import Sync
from federation.controllers.triggers import StoredSink
from federation.controllers.world import TypeState, World
from federation.core import binding
from federation.core.managedfields import PartialMetadata
from federation.core.remotestatus import WholeCopy
from federation.kube import decoding
from federation.model.errors import Unusable
from federation.model.failures import Failure
from federation.model.federated import FederatedType
from federation.model.resources import KUBEFED_CLUSTERS, SECRETS, Key, ObjectName
from federation.model.statusrules import StatusCollection
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.starting import Starting
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Workers
from tests.fakehub import FakeHub
from tests.fakes import FakeMember
from tests.unit.virtualtime import EPOCH, settle

SYSTEM = "kube-federation-system"
HUB_UID = "hub-uid"


class FakeWatch:
    """Follows a fake member; `fail` makes it fail as a reflector would. Its connection takes `closing` to end."""

    closing = 0.0
    version = "7"

    def __init__(  # noqa: PLR0917 - as a Gate's watch
        self,
        member: FakeMember,
        enabled: FederatedType,
        sink: Sink[Any],
        on_change: OnChange,
        end: Callable[[], None],
        wanted: StatusCollection | None = None,
    ) -> None:
        self.failure: Failure | None = None
        self.synced = False
        self.contact = self.since = 0.0
        self.open, self.breaks = True, 0
        self.kicks = self.restored = self.renewals = 0
        self.running = False
        self.enabled, self.end, self.sink = enabled, end, sink
        self._member, self._on_change = member, on_change
        self.wanted = wanted

    async def run(self) -> None:
        self.running = True
        try:
            await asyncio.sleep(0)
            whole = decoding.whole(self.enabled.target, self.wanted) if self.wanted is not None else None
            self._member.follow(self.enabled.target, self.sink, whole)
            self.synced = True
            self.contact = asyncio.get_running_loop().time()
            self._on_change(self)
            await asyncio.Event().wait()
        finally:
            try:
                await asyncio.sleep(self.closing)
            finally:
                self.running = False

    def kick(self) -> None:
        self.kicks += 1

    def renew(self) -> None:
        self.renewals += 1

    def go_back(self) -> None:
        self.restored += 1
        self._on_change(self)

    def fail(self, failure: Failure | None) -> None:
        self.failure = failure
        self._on_change(self)


class FakeGate:
    """One member; a Secret's `place` says where, its `token` as whom."""

    def __init__(self, place: str, token: str, site: "Site") -> None:
        self.place, self.token, self.site = place, token, site
        self.closed = False
        self.renewable = True
        self.probes: list[float] = []
        self.readings = 0
        self.watches: dict[str, FakeWatch] = {}
        self.opened: list[FakeWatch] = []

    @property
    def writer(self) -> FakeMember:
        return self.site.member

    @property
    def token_lifetime(self) -> tuple[float, float] | None:
        return self.site.lifetimes.get(self.token)

    def admit(self, spec: Mapping[str, Any], secret: Mapping[str, str]) -> bool:
        place, token = read(spec, secret)
        if place != self.place:
            return False
        self.token = token
        return True

    def watch(
        self, enabled: FederatedType, sink: Sink[PartialMetadata], on_change: OnChange, on_end: Callable[[], None]
    ) -> FakeWatch:
        watch = self.watches[enabled.name] = FakeWatch(self.site.member, enabled, sink, on_change, on_end)
        self.opened.append(watch)
        return watch

    def watch_whole(
        self,
        enabled: FederatedType,
        wanted: StatusCollection,
        sink: Sink[WholeCopy],
        on_change: OnChange,
        on_end: Callable[[], None],
    ) -> FakeWatch:
        watch = self.watches[enabled.name] = FakeWatch(self.site.member, enabled, sink, on_change, on_end, wanted)
        self.opened.append(watch)
        return watch

    async def discover(self) -> Discovered | Failure | None:
        self.readings += 1
        return self.site.serves

    async def identify(self, deadline: float, recorded: str = "") -> str | Failure:
        self.probes.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.site.takes)
        return self.site.identity

    async def version(self) -> str | Failure:
        return self.site.version

    async def topology(self) -> tuple[str, tuple[str, ...]] | Failure:
        return "eu", ("a", "b")

    async def clock(self) -> float | Failure:
        clock = self.site.clock
        return clock if isinstance(clock, Failure) else EPOCH + asyncio.get_running_loop().time() + clock

    async def renew_token(self, lifetime: int) -> str | Failure:
        self.site.renewals.append((asyncio.get_running_loop().time(), lifetime))
        return self.site.renewed

    async def close(self) -> None:
        self.closed = True


class Serves:
    """Discovery of a member: versions by (group, plural)."""

    def __init__(self, versions: Mapping[tuple[str, str], tuple[str, ...] | None]) -> None:
        self._versions = versions

    def versions(self, group: str, plural: str) -> tuple[str, ...] | None:
        return self._versions.get((group, plural), ()) if group else None


class Site:
    """What is behind one endpoint."""

    def __init__(self, identity: str | Failure) -> None:
        self.identity = identity
        self.takes = 0.0
        self.clock: float | Failure = 0.0
        """By how much its clock is ahead, or why it does not say."""
        self.member = FakeMember()
        self.lifetimes: dict[str, tuple[float, float]] = {}
        self.renewed: str | Failure = "fresh"
        self.renewals: list[tuple[float, int]] = []
        self.serves: Serves | Failure | None = None
        self.version = "v1.36.3"


class Fleet:
    """The clusters controller on a fake hub; `sites` are reached by a KubeFedCluster's apiEndpoint."""

    def __init__(self, *types: FederatedType, after: "Fleet | None" = None) -> None:
        """`after` is the fleet that a restart follows: hub and sites are the same."""
        self.world = World()
        self.hub: FakeHub = FakeHub() if after is None else after.hub
        queue: KeyQueue[Key] = KeyQueue()
        events = Events(self.world, self.hub)
        self.sync = Sync(self.world, self.hub, queue, now=lambda: "2026-01-01T00:00:00Z", events=events)
        fanout = Fanout(self.world, self.sync.changed)
        self.sites: dict[str, Site] = {} if after is None else after.sites
        self.gates: list[FakeGate] = []
        self.bugs: list[Exception] = []
        self.clusters = Clusters(
            self.world,
            self.hub,
            self,
            sync=self.sync,
            fanout=fanout,
            events=events,
            starting=Starting(),
            hub_uid=HUB_UID,
            namespace=SYSTEM,
        )
        self.events = events
        self.tasks = Tasks()
        for enabled in types:
            self.world.types[enabled.name] = TypeState(enabled)

    def open(self, name: str, spec: Mapping[str, Any], secret: Mapping[str, str]) -> FakeGate:
        """Gatekeeper."""
        if self.bugs:
            raise self.bugs.pop()
        place, token = read(spec, secret)
        gate = FakeGate(place, token, self.sites[place])
        self.gates.append(gate)
        return gate

    async def __aenter__(self) -> "Fleet":
        clusters = self.clusters
        self.hub.follow(SECRETS, StoredSink(clusters.secrets, clusters.secret_observed), decoding.stored)
        self.hub.follow(KUBEFED_CLUSTERS, StoredSink(clusters.objects, clusters.cluster_observed), decoding.stored)
        self.tasks.keep(self.events.serve, "events")
        self.tasks.keep(Workers("clusters", clusters.queue, clusters.process).serve, "clusters")
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.tasks.cancel()
        self.clusters.close_lanes()
        await self.clusters.finish(1.0)
        await self.clusters.close()

    def secret(self, name: str = "m1", **data: str) -> None:
        """Its Secret, with values as they are before base64."""
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        annotations = {binding.CLUSTER_ANNOTATION: name}
        self.hub.put(SECRETS, ObjectName(SYSTEM, f"{name}-secret"), data=encoded, metadata={"annotations": annotations})

    def cluster(self, name: str = "m1", place: str = "", *, disabled: Sequence[str] = (), **metadata: Any) -> None:
        """Its KubeFedCluster; `disabled` are TLS validations."""
        spec: dict[str, Any] = {"apiEndpoint": place or f"https://{name}", "secretRef": {"name": f"{name}-secret"}}
        if disabled:
            spec["disabledTLSValidations"] = list(disabled)
        self.hub.put(KUBEFED_CLUSTERS, ObjectName(SYSTEM, name), spec=spec, metadata=metadata)

    def join(self, name: str = "m1", identity: str | Failure = "", place: str = "", **metadata: Any) -> Site:
        """A cluster and all that belongs to it."""
        place = place or f"https://{name}"
        site = self.sites.setdefault(place, Site(identity or f"uid-{name}"))
        self.secret(name, token="first")
        self.cluster(name, place, **metadata)
        return site

    def bound(self, name: str = "m1") -> str | None:
        """The record of the place that a cluster's credentials may be sent to."""
        body = self.hub.get(SECRETS, ObjectName(SYSTEM, f"{name}-secret")) or {}
        found: str | None = body["metadata"].get("annotations", {}).get(binding.ANNOTATION)
        return found

    def unbind(self, name: str = "m1") -> None:
        """Confirm whatever place its KubeFedCluster names, as whoever may write Secrets."""
        where = ObjectName(SYSTEM, f"{name}-secret")
        self.hub.put(SECRETS, where, metadata={"annotations": {binding.ANNOTATION: None}})

    def stored(self, name: str = "m1") -> dict[str, Any]:
        """The KubeFedCluster as the hub has it."""
        body = self.hub.get(KUBEFED_CLUSTERS, ObjectName(SYSTEM, name))
        assert body is not None
        return body

    def condition(self, kind: str = "Ready", name: str = "m1") -> dict[str, Any]:
        """One of its conditions."""
        conditions = self.stored(name).get("status", {}).get("conditions", [])
        return next((dict(each) for each in conditions if each["type"] == kind), {})

    def ready(self, name: str = "m1") -> bool | None:
        """As planning sees it."""
        return self.world.members[name].cluster.ready


def read(spec: Mapping[str, Any], secret: Mapping[str, str]) -> tuple[str, str]:
    """Place and token; Unusable without a token."""
    if not secret.get("token"):
        raise Unusable("the Secret holds no token")
    return str(spec["apiEndpoint"]), base64.b64decode(secret["token"]).decode()
