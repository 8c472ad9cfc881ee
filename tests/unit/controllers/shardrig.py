"""Controllers of several shards on one hub in memory, for tests in virtual time: each serves its own clusters."""

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

import orjson

from federation.controllers.deletionrecords import DeletionRecords
from federation.controllers.deletions import Deletions
from federation.controllers.events import Events
from federation.controllers.fanout import Fanout
from federation.controllers.outbox import Outbox
from federation.controllers.shards import Inbox, Sharding, where
from federation.controllers.sync import Sync
from federation.controllers.triggers import HostNamespaceSink, StoredSink
from federation.controllers.world import Member
from federation.core.shards import Shard
from federation.kube import decoding
from federation.model import marks
from federation.model.federated import Metadata, StoredObject
from federation.model.observations import Cluster
from federation.model.resources import CONFIG_MAPS, KUBEFED_CONFIGS, ObjectName, Resource
from federation.runtime.store import Store
from tests.fakehub import FakeHub
from tests.fakes import FakeMember
from tests.unit.controllers.rig import CONFIGMAPS, WEB, Rig

CONFIG = ObjectName(marks.SYSTEM_NAMESPACE, marks.CONFIG)
NOW = "2026-01-01T10:00:00Z"


class _Relay:
    """Every controller that follows a resource sees each of its events."""

    def __init__(self) -> None:
        self.sinks: dict[object, Any] = {}

    def replace(self, items: Iterable[Any]) -> None:
        listed = list(items)
        for sink in list(self.sinks.values()):
            sink.replace(listed)

    def upsert(self, item: Any) -> None:
        for sink in list(self.sinks.values()):
            sink.upsert(item)

    def remove(self, item: Any) -> None:
        for sink in list(self.sinks.values()):
            sink.remove(item)


class SharedHub(FakeHub):
    """A hub with several watchers; `went` is called with each federated object in the moment in which it goes."""

    def __init__(self) -> None:
        super().__init__()
        self.went: Callable[[ObjectName], None] = lambda name: None
        self.watcher: object = self
        """Who follows from now on."""

    def follow(self, resource: Resource, sink: Any, decode: Any = decoding.federated) -> None:
        relay, _ = self.sinks.setdefault(resource.qualified, (_Relay(), decode))
        assert isinstance(relay, _Relay)
        relay.sinks[self.watcher, id(sink)] = sink
        bodies = [body for (what, _), body in self.objects.items() if what == resource.qualified]
        sink.replace([decode(orjson.dumps(body)) for body in bodies])

    def _change(self, resource: Resource, where: tuple[str, ObjectName], body: dict[str, Any]) -> Metadata:
        answer = super()._change(resource, where, body)
        if where not in self.objects:
            self.went(where[1])
        return answer

    def unfollow(self, watcher: object) -> None:
        for relay, _ in self.sinks.values():
            assert isinstance(relay, _Relay)
            for each in [each for each in relay.sinks if isinstance(each, tuple) and each[0] is watcher]:
                del relay.sinks[each]


class _Named:
    """Of all ConfigMaps that of one shard."""

    def __init__(self, inbox: Inbox, name: str) -> None:
        self._inbox, self._name = inbox, name

    def replace(self, items: Iterable[StoredObject]) -> None:
        self._inbox.replace([item for item in items if item.metadata.name == self._name])

    def upsert(self, item: StoredObject) -> None:
        if item.metadata.name == self._name:
            self._inbox.upsert(item)

    def remove(self, item: StoredObject) -> None:
        if item.metadata.name == self._name:
            self._inbox.remove(item)


class ShardRig(Rig):
    """The controller of one shard: its own members, and where it coordinates the names of the others."""

    def __init__(self, fleet: "Fleet", shard: Shard) -> None:
        own = tuple(name for name, index in fleet.owners.items() if index == shard.index)
        super().__init__(*own)
        self.hub, self.members, self._fleet = fleet.hub, fleet.members, fleet
        self._rewire()
        self.told: Callable[[], None] = lambda: None
        self.sharding = self.world.sharding = Sharding(shard, served=set(own))
        if not shard.coordinates:
            place = where(self.world.namespace, shard.index)
            outbox = self.sharding.outbox = Outbox(self.hub, place, shard, self.sharding.served)
            outbox.wake = self.sync.changed
            self.sync.report_to(outbox)

    def _rewire(self) -> None:
        """To the hub that all share."""
        self.events = Events(self.world, self.hub)
        self.sync = Sync(self.world, self.hub, self.queue, now=lambda: "2026-01-01T00:00:00Z", events=self.events)
        self.fanout = Fanout(self.world, self.sync.changed)
        self.host_namespaces = HostNamespaceSink(self.world, self.sync.changed)

    def _told(self) -> None:
        self.told()

    def _count_deletions(self, inboxes: list[Inbox]) -> None:
        """Hold those that are more than go by themselves, and tell of them."""
        configs: Store[StoredObject] = Store()
        deletions = Deletions(self.world, self.sync.changed)
        records = DeletionRecords(
            self.world, self.hub, configs, deletions, events=self.events, where=CONFIG, now=lambda: NOW
        )
        self.hub.follow(KUBEFED_CONFIGS, StoredSink(configs, records.observed), decoding.stored)
        records.elsewhere = lambda: (each.deletions for each in inboxes)

        def told() -> None:
            records.told_elsewhere()
            deletions.notice()

        self.told = told
        records.begin()
        self.sync.hold_deletions(deletions)
        self.tasks.keep(deletions.serve, "deletions")

    async def __aenter__(self) -> "ShardRig":
        assert isinstance(self.hub, SharedHub)
        self.hub.watcher = self
        inboxes: list[Inbox] = []
        shard, outbox = self.sharding.shard, self.sharding.outbox
        if outbox is not None:
            await outbox.begin()
            self.tasks.keep(outbox.serve, "outbox")
        else:
            for name, index in self._fleet.owners.items():
                if index != shard.index:
                    self.world.members[name] = Member(Cluster(name, shard=index))
            self.world.clusters_version += 1
            for index in range(1, shard.number):
                inbox = Inbox(self.sharding, index, self.sync.changed, self._told)
                inboxes.append(inbox)
                named = _Named(inbox, where(self.world.namespace, index).name)
                self.hub.follow(CONFIG_MAPS, named, decoding.stored)
        if self._fleet.counts:
            self._count_deletions(inboxes)
        await super().__aenter__()
        return self


class Fleet:
    """A hub, members, who serves which, and the controllers that live."""

    def __init__(self, *, counts: bool = False, **owners: int) -> None:
        """`counts`: deletions are counted, and held where they are many."""
        self.counts = counts
        self.owners = owners
        self.number = max(owners.values()) + 1
        self.hub = SharedHub()
        self.members: dict[str, FakeMember] = {}
        self.rigs: dict[int, ShardRig] = {}
        self._stacks: dict[int, AsyncExitStack] = {}

    async def __aenter__(self) -> "Fleet":
        for index in range(self.number):
            await self.start(index)
        return self

    async def __aexit__(self, *_: object) -> None:
        for index in list(self.rigs):
            await self.kill(index)

    async def start(self, index: int) -> None:
        """A controller takes this shard."""
        if index not in self.rigs:
            stack = self._stacks[index] = AsyncExitStack()
            self.rigs[index] = await stack.enter_async_context(ShardRig(self, Shard(index, self.number)))

    async def kill(self, index: int) -> None:
        """Its controller is gone, whatever it was doing."""
        rig = self.rigs.pop(index, None)
        if rig is not None:
            self.hub.unfollow(rig)
            for name, owner in self.owners.items():
                if owner == index:
                    self.members[name].sinks.clear()
            await self._stacks.pop(index).aclose()

    def put(self, name: ObjectName = WEB, value: str = "b", clusters: Iterable[str] | None = None) -> None:
        """A user's federated object, placed everywhere or in these clusters."""
        placement = {"clusters": [{"name": each} for each in (self.owners if clusters is None else clusters)]}
        spec = {"template": {"data": {"a": value}}, "placement": placement}
        self.hub.put(CONFIGMAPS.federated, name, spec=spec)

    def delete(self, name: ObjectName = WEB) -> None:
        self.hub.delete(CONFIGMAPS.federated, name)

    def stored(self, name: ObjectName = WEB) -> dict[str, Any] | None:
        return self.hub.get(CONFIGMAPS.federated, name)

    def lines(self, name: ObjectName = WEB) -> dict[str, str]:
        lines = (self.stored(name) or {}).get("status", {}).get("clusters", [])
        return {line["name"]: line.get("status", "") for line in lines}

    def ready(self, name: ObjectName = WEB) -> dict[str, Any]:
        conditions = (self.stored(name) or {}).get("status", {}).get("conditions", [])
        return next((dict(each) for each in conditions if each["type"] == "Ready"), {})

    def value(self, member: str, name: ObjectName = WEB) -> Any:
        return self.members[member].value(CONFIGMAPS.target, name, "data", "a")

    def holders(self, name: ObjectName = WEB) -> set[str]:
        """The members that have a copy."""
        return {each for each, fake in self.members.items() if (CONFIGMAPS.target.qualified, name) in fake.objects}

    def see(self, cluster: str, *, ready: bool) -> None:
        """A member answers, or does not."""
        rig = self.rigs.get(self.owners[cluster])
        if rig is not None:
            rig.see(cluster, ready=ready)
            if ready:
                rig.sync.retries.cluster(cluster)

    def reports(self, index: int) -> list[str]:
        """What a shard's ConfigMap has of objects."""
        found = self.hub.get(CONFIG_MAPS, where(marks.SYSTEM_NAMESPACE, index)) or {}
        return [name for name in found.get("data", {}) if name.startswith("object-")]
