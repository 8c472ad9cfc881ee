"""What a controller of one shard has beside what every controller has: its reports, or those of the others.

The shard that coordinates (shard 0) listens to all others; each other one reports to it. Made by composition, once for
each controller of a shard; without shards there is none.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import structlog

from federation.controllers.clusters import Clusters
from federation.controllers.deletionrecords import DeletionRecords
from federation.controllers.deletions import Deletions
from federation.controllers.outbox import Outbox
from federation.controllers.ports import EventPoster, HubPort, OnChange, Sink
from federation.controllers.shards import Inbox, Sharding, where
from federation.controllers.standby import Followed
from federation.controllers.sync import Sync
from federation.controllers.world import World
from federation.core.shards import Shard
from federation.model import marks
from federation.model.federated import StoredObject
from federation.model.resources import CONFIG_MAPS, KUBEFED_CONFIGS, ObjectName, Resource
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks

NO_ROLLOUTS = (
    "staged rollouts do not work while the controller has several shards: nothing of the object is changed. "
    "Take the label off, or run the controller with one shard"
)
WITHOUT = (
    "with {0} shards there are no staged rollouts (objects that name one are left as they are), no "
    "ReplicaSchedulingPreferences (what they have decided stays), and no status collection"
)

log = structlog.get_logger()


class PartWatches(Protocol):
    """How a ConfigMap of reports is followed."""

    def stored(
        self, resource: Resource, namespace: str, sink: Sink[StoredObject], on_change: OnChange, *, name: str = ""
    ) -> Followed:
        """Objects of one resource in a namespace; with `name` that one alone."""


class Part:
    """One shard's part. `connect` it to what it reports, or is told."""

    def __init__(self, world: World, hub: HubPort, shard: Shard) -> None:
        self._world = world
        self._hub = hub
        self.sharding = world.sharding = Sharding(shard)
        self._inboxes: list[Inbox] = []
        self._watches: list[tuple[str, Followed]] = []
        world.rollouts.refused = NO_ROLLOUTS
        if not shard.coordinates:
            self.sharding.outbox = Outbox(hub, where(world.namespace, shard.index), shard, self.sharding.served)

    def connect(
        self, sync: Sync, clusters: Clusters, watches: PartWatches, records: DeletionRecords, deletions: Deletions
    ) -> None:
        """These report, or are told."""
        clusters.serve_shard(self.sharding)
        outbox, shard = self.sharding.outbox, self.sharding.shard
        if outbox is not None:
            outbox.wake = sync.changed
            sync.report_to(outbox)
            return
        records.elsewhere = self._deletions

        def told() -> None:
            records.told_elsewhere()
            deletions.notice()

        for index in range(1, shard.number):
            inbox = Inbox(self.sharding, index, sync.changed, told)
            name = where(self._world.namespace, index).name
            watch = watches.stored(CONFIG_MAPS, self._world.namespace, inbox, lambda _: None, name=name)
            self._inboxes.append(inbox)
            self._watches.append((name, watch))

    async def begin(self, intake: Tasks, workers: Tasks, configs: Store[StoredObject], events: EventPoster) -> None:
        """Know what others have reported, or empty what is reported, before anything is done."""
        outbox, shard = self.sharding.outbox, self.sharding.shard
        if outbox is not None:
            await outbox.begin()
            workers.keep(outbox.serve, "outbox")
            return
        for name, watch in self._watches:
            intake.keep(watch.run, f"watch:hub:{name}")
        for inbox in self._inboxes:
            await inbox.listed.wait()
        without = WITHOUT.format(shard.number)
        log.warning("several shards", shards=shard.number, without=without)
        stored = configs.get(ObjectName(self._world.namespace, marks.CONFIG))
        if stored is not None:
            events.about(KUBEFED_CONFIGS, stored.metadata, "Warning", "SeveralShards", without)

    async def finish(self, seconds: float) -> None:
        """Report what is left, at the end."""
        if self.sharding.outbox is not None:
            try:
                async with asyncio.timeout(seconds):
                    await self.sharding.outbox.finish()
            except TimeoutError:
                log.info("the last reports of this shard were not written")

    def renew(self) -> None:
        """The hub has gone back in time."""
        if self.sharding.outbox is not None:
            self.sharding.outbox.renew()

    def _deletions(self) -> Iterator[Mapping[str, Any]]:
        return (inbox.deletions for inbox in self._inboxes)
