"""Which shard serves a cluster: never two at a time, whatever labels say and however late each learns of it."""

import asyncio
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.controllers.assignment import Assignment
from federation.controllers.shards import Sharding
from federation.controllers.world import Member, World
from federation.core import shards
from federation.core.shards import Shard
from federation.kube import decoding
from federation.model import marks
from federation.model.federated import StoredObject
from federation.model.observations import Cluster
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Workers
from tests.fakehub import FakeHub
from tests.unit.virtualtime import virtual

NUMBER = 3
NAMES = ("east", "west")


class Server:
    """One shard's part: it begins and ends to serve as Clusters does, with pushes that take a while to end."""

    def __init__(self, hub: FakeHub, index: int) -> None:
        self.hub, self.index = hub, index
        self.world = World()
        self.sharding = self.world.sharding = Sharding(Shard(index, NUMBER))
        self.objects: Store[StoredObject] = Store()
        self.queue: KeyQueue[str] = KeyQueue()
        self.serves: set[str] = set()
        self.busy: dict[str, float] = {}
        self.tasks = Tasks()
        self.assignment = Assignment(
            self.world,
            hub,
            self.sharding,
            objects=self.objects,
            queue=self.queue,
            hand_over=self.hand_over,
            silent=lambda name: None,
            changed=lambda name: None,
        )
        self.tasks.keep(Workers("clusters", self.queue, self.process).serve, "clusters")

    def observe(self) -> None:
        """Its watch catches up."""
        for name in NAMES:
            body = self.hub.get(KUBEFED_CLUSTERS, ObjectName(marks.SYSTEM_NAMESPACE, name))
            stored = decoding.stored(orjson.dumps(body))
            known = self.objects.get(stored.where)
            if known is None or int(known.metadata.resource_version) < int(stored.metadata.resource_version):
                self.objects.put(stored.where, stored)
                self.queue.add(name)

    async def hand_over(self, name: str) -> bool:
        loop = asyncio.get_running_loop()
        if name not in self.serves:
            return True
        if self.busy.setdefault(name, loop.time() + 0.7) > loop.time():
            return False
        del self.busy[name]
        self.serves.discard(name)
        self.world.members.pop(name)
        self.assignment.replaced(name)
        return True

    async def process(self, name: str) -> None:
        stored = self.objects.get(ObjectName(marks.SYSTEM_NAMESPACE, name))
        assert stored is not None
        if await self.assignment.served(stored) is not None and name not in self.serves:
            self.serves.add(name)
            self.world.members[name] = Member(Cluster(name))
            self.assignment.joined(name)


def label(hub: FakeHub, name: str, value: str | None) -> None:
    labels: dict[str, Any] = {marks.SHARD_LABEL: value}
    hub.put(KUBEFED_CLUSTERS, ObjectName(marks.SYSTEM_NAMESPACE, name), metadata={"labels": labels})


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("label"), st.sampled_from(NAMES), st.sampled_from(["0", "1", "2", None])),
        st.tuples(st.just("observe"), st.integers(0, 2), st.none()),
        st.tuples(st.just("rest"), st.sampled_from([0.0, 0.1, 0.5, 2.0]), st.none()),
    ),
    max_size=20,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_never_do_two_serve_a_cluster_and_in_the_end_the_right_one_does(steps: list[Any]) -> None:
    @virtual
    async def test() -> None:
        hub = FakeHub()
        for name in NAMES:
            label(hub, name, None)
        servers = [Server(hub, index) for index in range(NUMBER)]

        async def rest(seconds: float) -> None:
            for _ in range(int(seconds / 0.05) + 1):
                for name in NAMES:
                    assert sum(name in each.serves for each in servers) <= 1
                await asyncio.sleep(0.05)

        for what, one, other in steps:
            if what == "label":
                label(hub, one, other)
            elif what == "observe":
                servers[one].observe()
            else:
                await rest(one)
        for _ in range(10):
            for each in servers:
                each.observe()
            await rest(1.5)
        for name in NAMES:
            stored = hub.get(KUBEFED_CLUSTERS, ObjectName(marks.SYSTEM_NAMESPACE, name)) or {}
            wanted = shards.wanted(name, stored["metadata"].get("labels", {}), NUMBER)
            assert [each.index for each in servers if name in each.serves] == [wanted]
            assert stored["metadata"]["annotations"] == {marks.SERVED_ANNOTATION: f"{wanted}/{NUMBER}"}
            assert all(each.sharding.served == each.serves for each in servers)
            if wanted:
                assert servers[0].world.members[name].cluster.shard == wanted
        for each in servers:
            await each.tasks.cancel()

    test()
