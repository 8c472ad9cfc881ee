"""The sync controller with a hub and members in memory, for tests in virtual time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from federation.controllers.collecting import StatusSink
from federation.controllers.copies import Copies
from federation.controllers.events import Events
from federation.controllers.fanout import Fanout
from federation.controllers.membertriggers import CopiesSink
from federation.controllers.push import Pusher
from federation.controllers.sync import Sync
from federation.controllers.tracks import Track
from federation.controllers.triggers import FederatedSink, HostNamespaceSink
from federation.controllers.world import Member, TypeState, World
from federation.kube import decoding
from federation.model import marks
from federation.model.federated import FederatedType, Metadata
from federation.model.observations import Cluster
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES, Key, ObjectName, Resource
from federation.model.settings import Settings
from federation.runtime.fleetlimit import FleetLimit
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.lane import Lane
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Workers
from tests.fakehub import Contact, FakeHub
from tests.fakes import FakeMember
from tests.unit.virtualtime import settle

GROUP = "types.kubefed.io"
CONFIGMAPS = FederatedType(
    "configmaps",
    Resource("", "v1", "ConfigMap", "configmaps", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True),
)
FEDERATED_NAMESPACES = FederatedType(
    marks.NAMESPACE_TYPE,
    NAMESPACES,
    Resource(GROUP, "v1beta1", "FederatedNamespace", "federatednamespaces", namespaced=True),
)
WEB = ObjectName("ns", "web")
NS = ObjectName("ns", "ns")
DATA = {"data": {"a": "b"}}


class Rig:
    """Types, members and a hub, wired as `app` wires them. Namespaces bound nothing unless their type is added."""

    def __init__(
        self,
        *members: str,
        types: tuple[FederatedType, ...] = (CONFIGMAPS,),
        concurrency: int = 4,
        after: "Rig | None" = None,
        ready: bool | None = True,
        newcomers: tuple[str, ...] = (),
    ) -> None:
        """`after` is the rig that a restart follows: hub and members are the same, but for `newcomers`."""
        self.world = World(Settings(namespaced=FEDERATED_NAMESPACES not in types))
        self.hub: FakeHub = FakeHub() if after is None else after.hub
        self.queue: KeyQueue[Key] = KeyQueue()
        self.events = Events(self.world, self.hub)
        self.sync = Sync(self.world, self.hub, self.queue, now=lambda: "2026-01-01T00:00:00Z", events=self.events)
        self.fanout = Fanout(self.world, self.sync.changed)
        self.host_namespaces = HostNamespaceSink(self.world, self.sync.changed)
        self.members: dict[str, FakeMember] = {} if after is None else after.members
        self.contact = Contact()
        self.pushing = Tasks()
        self.tasks = Tasks()
        self._concurrency = concurrency
        self._limit = FleetLimit()
        self._ready = ready
        self._types = types
        self._names = members
        self._newcomers = frozenset(newcomers)

    async def __aenter__(self) -> "Rig":
        bounded = "ns" if self.world.settings.namespaced else ""
        for enabled in self._types:
            state = TypeState(replace(enabled, namespace=bounded), self._newcomers)
            state.watch = self.contact
            self.world.types[enabled.name] = state
        for name in self._names:
            self.join(name, ready=self._ready)
        for state in self.world.types.values():
            self.hub.follow(state.type.federated, FederatedSink(state, self.sync.changed, self.fanout, self.world))
        self.host_namespaces.replace([Metadata(name="ns", labels={"team": "a"})])
        workers = Workers("sync", self.queue, self.sync.process)
        for number in range(2):
            self.tasks.keep(workers.serve, f"sync:{number}")
        self.tasks.keep(self.sync.sweep, "sweep")
        self.tasks.keep(self.events.serve, "events")
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        for member in self.world.members.values():
            if member.lane is not None:
                member.lane.close()
        await self.pushing.cancel()
        await self.tasks.cancel()

    def join(self, name: str, *, ready: bool | None = True, labels: dict[str, str] | None = None) -> FakeMember:
        """A member that answers and whose collections have been listed."""
        fake = self.members.setdefault(name, FakeMember())
        lane: Lane[Key] = Lane(
            name,
            self.sync.lane_runner(name),
            self.pushing.spawn,
            concurrency=self._concurrency,
            kind=lambda key: key.type,
            flow=lambda key: key.namespace,
            limit=self._limit,
        )
        labels = self.labels(name) if labels is None else labels
        self.world.members[name] = Member(
            Cluster(name, labels, ready=ready), carrier=Pusher(fake), port=fake, lane=lane
        )
        self.label(name, labels)
        self.world.clusters_version += 1
        for state in self.world.types.values():
            self.follow(name, state)
        self.fanout.cluster(name)
        return fake

    def follow(self, name: str, state: TypeState) -> None:
        """List and watch a member's copies of a type."""
        copies = state.copies.setdefault(name, Copies())
        fake = self.members[name]
        sink = CopiesSink(name, fake.manager, state, copies, wake=self.sync.changed, fanout=self.fanout)
        wanted = state.type.collection
        if wanted is None:
            copies.statuses = None
            fake.follow(state.type.target, sink)
        else:
            statuses = StatusSink(name, self.world, state, copies, sink)
            fake.follow(state.type.target, statuses, decoding.whole(state.type.target, wanted))

    def see(self, name: str, **changes: Any) -> None:
        """A member's readiness, labels, message or cordon changed; `told` False: nobody has been woken yet."""
        if "labels" in changes:
            self.label(name, changes["labels"])
        self.take_in(name, **changes)

    def take_in(self, name: str, **changes: Any) -> None:
        """The same, where only the controller learns of it now."""
        member = self.world.members[name]
        cluster = member.cluster
        member.cluster = Cluster(
            name,
            changes.get("labels", cluster.labels),
            changes.get("ready", cluster.ready),
            changes.get("message", cluster.message),
            changes.get("is_host", cluster.is_host),
            changes.get("cordon", cluster.cordon),
        )
        self.world.clusters_version += 1
        if changes.get("told", True):
            self.fanout.cluster(name)

    def label(self, name: str, labels: Mapping[str, str]) -> None:
        """The hub's KubeFedCluster has these labels."""
        changes = {**dict.fromkeys(self.labels(name)), **labels}
        self.hub.put(KUBEFED_CLUSTERS, ObjectName(self.world.namespace, name), metadata={"labels": changes})

    def labels(self, name: str) -> dict[str, str]:
        """Those of the hub's KubeFedCluster."""
        stored = self.hub.get(KUBEFED_CLUSTERS, ObjectName(self.world.namespace, name))
        return dict(stored["metadata"].get("labels") or {}) if stored is not None else {}

    def leave(self, name: str) -> None:
        """A cluster was unjoined."""
        member = self.world.members.pop(name)
        for state in self.world.types.values():
            state.copies.pop(name, None)
        self.world.clusters_version += 1
        assert member.lane is not None
        dropped = member.lane.drain()
        member.lane.close()
        for _ in self.sync.forget_cluster(name, dropped):
            pass
        self.fanout.cluster(name)

    def put(
        self,
        name: ObjectName = WEB,
        template: Any = None,
        clusters: tuple[str, ...] | None = None,
        enabled: FederatedType = CONFIGMAPS,
        **changes: Any,
    ) -> None:
        """A user's federated object."""
        spec: dict[str, Any] = changes.pop("spec", {})
        if enabled is CONFIGMAPS or template is not None:
            spec["template"] = DATA if template is None else template
        spec["placement"] = {"clusters": [{"name": each} for each in (self._names if clusters is None else clusters)]}
        self.hub.put(enabled.federated, name, spec=spec, **changes)

    def put_selected(self, name: ObjectName, selector: dict[str, Any], enabled: FederatedType = CONFIGMAPS) -> None:
        """A user's federated object that is placed by labels."""
        spec: dict[str, Any] = {"placement": {"clusterSelector": selector}}
        if enabled is CONFIGMAPS:
            spec["template"] = DATA
        self.hub.put(enabled.federated, name, spec=spec)

    def delete(self, name: ObjectName = WEB, enabled: FederatedType = CONFIGMAPS) -> None:
        """Its user deletes it."""
        self.hub.delete(enabled.federated, name)

    def stored(self, name: ObjectName = WEB, enabled: FederatedType = CONFIGMAPS) -> dict[str, Any] | None:
        """The federated object as the hub has it."""
        return self.hub.get(enabled.federated, name)

    def track(self, name: ObjectName = WEB, enabled: FederatedType = CONFIGMAPS) -> Track:
        """Its track."""
        return self.world.types[enabled.name].tracks[name]

    def data(self, member: str, key: str = "a", name: ObjectName = WEB) -> Any:
        """One key of a member's ConfigMap."""
        return self.members[member].value(CONFIGMAPS.target, name, "data", key)

    def lines(self, name: ObjectName = WEB, enabled: FederatedType = CONFIGMAPS) -> dict[str, str]:
        """status.clusters[]: name to status, "" for healthy."""
        lines = (self.stored(name, enabled) or {}).get("status", {}).get("clusters", [])
        return {line["name"]: line.get("status", "") for line in lines}

    def condition(self, kind: str, name: ObjectName = WEB, enabled: FederatedType = CONFIGMAPS) -> dict[str, Any]:
        """One condition; {} when there is none."""
        conditions = (self.stored(name, enabled) or {}).get("status", {}).get("conditions", [])
        return next((dict(each) for each in conditions if each["type"] == kind), {})

    def quiet(self) -> None:
        """Forget what was asked and written so far."""
        self.hub.writes.clear()
        for fake in self.members.values():
            fake.calls.clear()

    @property
    def asked(self) -> dict[str, list[str]]:
        """What each member was asked since, by name; those that were asked nothing are left out."""
        return {name: fake.calls for name, fake in self.members.items() if fake.calls}
