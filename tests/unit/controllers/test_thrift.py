"""Large objects that are placed nowhere are not kept; placed ones are, and cost no request of their own."""

import asyncio
from typing import Any

import pytest

from federation.controllers import thrift
from federation.model.federated import FederatedObject, ReducedObject
from federation.model.resources import ObjectName
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

LARGE = {"data": {"a": "b", "large": "x" * 90_000}}


class Thrifty(Rig):
    """Events go through the sink's own say, as they do in kube.watches."""

    async def __aenter__(self) -> "Rig":
        rig = await super().__aenter__()
        for sink, _ in rig.hub.sinks.values():
            upsert = sink.upsert

            def kept(item: FederatedObject, sink: Any = sink, upsert: Any = upsert) -> None:
                sink._world = rig.world
                upsert(sink.kept(item))

            sink.upsert = kept  # type: ignore[method-assign]
        return rig


def kept(rig: Rig, name: ObjectName = WEB) -> FederatedObject:
    found = rig.world.types["configmaps"].objects.get(name)
    assert found is not None
    return found


def size(rig: Rig) -> int:
    """Bytes of what is kept of it, status aside."""
    item = kept(rig)
    return len(memoryview(item.spec)) + sum(map(len, item.metadata.annotations.values()))


@virtual
async def test_an_object_that_is_placed_nowhere_costs_what_its_placement_costs() -> None:
    async with Thrifty("m1") as rig:
        rig.put(template=LARGE, clusters=(), metadata={"annotations": {"last-applied": "y" * 100_000}})
        await settle()
        assert isinstance(kept(rig), ReducedObject)
        assert size(rig) < 200
        assert rig.condition("Ready")["message"].startswith("no cluster is selected")
        assert rig.hub.reads == []
        rig.fanout.everything()
        await asyncio.sleep(5)
        assert (rig.hub.reads, rig.asked) == ([], {})


@virtual
async def test_it_is_read_again_when_a_cluster_is_to_get_it() -> None:
    async with Thrifty("m1") as rig:
        rig.hub.put(
            CONFIGMAPS.federated,
            WEB,
            spec={"template": LARGE, "placement": {"clusterSelector": {"matchLabels": {"tier": "edge"}}}},
        )
        await settle()
        assert isinstance(kept(rig), ReducedObject)
        rig.see("m1", labels={"tier": "edge"})
        await asyncio.sleep(5)
        assert (rig.data("m1"), rig.lines()) == ("b", {"m1": ""})
        assert rig.hub.reads == [f"federatedconfigmaps {WEB}"]
        assert not isinstance(kept(rig), ReducedObject)
        rig.hub.reads.clear()
        rig.put(template={**LARGE, "more": "c"}, spec={"placement": {"clusterSelector": {}}})
        rig.fanout.everything()
        await asyncio.sleep(5)
        assert rig.hub.reads == []  # placed objects keep their bytes
        rig.see("m1", labels={})
        await asyncio.sleep(5)


@virtual
async def test_it_leaves_its_clusters_and_is_deleted_as_others_are() -> None:
    async with Thrifty("m1", "m2") as rig:
        rig.put(template=LARGE)
        await settle()
        assert rig.lines() == {"m1": "", "m2": ""}
        rig.put(template=LARGE, clusters=())
        await asyncio.sleep(5)
        assert (rig.members["m1"].objects, rig.lines()) == ({}, {})
        assert isinstance(kept(rig), ReducedObject)
        rig.put(template=LARGE, clusters=("m2",))
        await asyncio.sleep(5)
        assert rig.data("m2") == "b"
        rig.put(template=LARGE, clusters=())
        rig.delete()
        await asyncio.sleep(30)
        assert (rig.stored(), rig.members["m2"].objects) == (None, {})


@virtual
async def test_one_whose_namespace_is_placed_nowhere() -> None:
    async with Thrifty("m1", types=(FEDERATED_NAMESPACES, CONFIGMAPS)) as rig:
        rig.put(template=LARGE)
        await settle()
        assert isinstance(kept(rig), ReducedObject)
        rig.put(NS, enabled=FEDERATED_NAMESPACES)
        await asyncio.sleep(5)
        assert rig.data("m1") == "b"


@virtual
async def test_a_refused_one_is_read_once_and_no_more() -> None:
    """A template that can be planned nowhere, for every cluster."""
    async with Thrifty("m1") as rig:
        rig.put(template={"kind": "Wrong", **LARGE})
        await settle()
        assert rig.condition("Ready")["status"] == "False"
        rig.hub.reads.clear()
        for _ in range(10):
            rig.fanout.everything()
            await asyncio.sleep(5)
        assert (rig.hub.reads, rig.asked) == ([], {})
        assert rig.condition("Propagation")["reason"] == "InvalidSpec"
        rig.put(template={"kind": None, **LARGE})
        await asyncio.sleep(5)
        assert rig.data("m1") == "b"


@pytest.mark.parametrize("length", [100, thrift.KEPT - 500])
def test_small_ones_are_kept_as_they_are(length: int) -> None:
    @virtual
    async def test() -> None:
        async with Thrifty("m1") as rig:
            rig.put(template={"data": {"a": "x" * length}}, clusters=())
            await settle()
            assert not isinstance(kept(rig), ReducedObject)

    test()
