"""Lists that leave out what exists, at the hub and in a member: an object counts as gone when it is asked for by name.

What follows from an absence is the gravest thing a controller does, so no list alone may say it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import orjson
import pytest

from federation.controllers.gathering import Gatherer
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType, Metadata
from federation.model.marks import COPY_ANNOTATION, SYNC_FINALIZER
from federation.model.observations import Missing
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES, ObjectName, Resource
from tests.unit.controllers.fleet import SYSTEM, Fleet
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

T = TypeVar("T")

BOTH = (FEDERATED_NAMESPACES, CONFIGMAPS)
AWAY = Failure(FailureKind.UNAVAILABLE, "503", 503)


async def filled(rig: Rig) -> None:
    """A federated namespace with an object in it, in every member, and nothing counted so far."""
    for fake in rig.members.values():
        fake.namespaces.clear()
    rig.put(NS, enabled=FEDERATED_NAMESPACES)
    rig.put()
    await asyncio.sleep(1)
    assert {name: rig.data(name) for name in rig.members} == dict.fromkeys(rig.members, "b")
    rig.quiet()
    rig.hub.reads.clear()


def lie(rig: Rig, enabled: FederatedType) -> None:
    """The hub lists nothing of a type, though all is there."""
    rig.hub.sinks[enabled.federated.qualified][0].replace([])


def erase(rig: Rig, enabled: FederatedType, name: ObjectName) -> None:
    """An object vanishes while nobody watches (its finalizer was taken off by force), and a list shows it."""
    del rig.hub.objects[enabled.federated.qualified, name]
    rig.hub.follow(enabled.federated, rig.hub.sinks[enabled.federated.qualified][0])


@virtual
async def test_a_list_without_federated_namespaces_removes_nothing() -> None:
    async with Rig("m1", "m2", types=BOTH) as rig:
        await filled(rig)
        lie(rig, FEDERATED_NAMESPACES)
        await asyncio.sleep(60)
        assert rig.asked == {}
        assert rig.lines() == {"m1": "", "m2": ""}
        assert set(rig.hub.reads) == {f"federatednamespaces {NS}"}
        rig.put(NS, clusters=("m1",), enabled=FEDERATED_NAMESPACES)
        await asyncio.sleep(5)
        assert rig.data("m2") is None  # what its user wants still happens


@virtual
async def test_what_a_list_leaves_out_is_unknown_until_it_was_asked_for() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await filled(rig)
        lie(rig, FEDERATED_NAMESPACES)
        state = rig.world.types["configmaps"]
        federated = state.objects.get(WEB)
        assert federated is not None
        facts = Gatherer(rig.world).gather(state, federated, rig.track())
        assert facts.namespace is not None
        assert facts.namespace.selected is Missing.UNKNOWN


@virtual
async def test_nothing_is_concluded_while_the_hub_does_not_answer() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await filled(rig)
        rig.hub.fails = lambda verb, _: AWAY if verb == "read" else None
        lie(rig, FEDERATED_NAMESPACES)
        await asyncio.sleep(600)
        assert rig.asked == {}
        assert 1 < len(rig.hub.reads) < 100
        rig.hub.fails = lambda verb, _: None
        rig.put(template={"data": {"a": "c"}})
        await asyncio.sleep(120)
        assert rig.data("m1") == "c"


@virtual
async def test_a_federated_namespace_that_is_gone_takes_its_objects_along() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await filled(rig)
        erase(rig, FEDERATED_NAMESPACES, NS)
        await asyncio.sleep(5)
        assert rig.data("m1") is None
        assert rig.condition("Propagation")["reason"] == "NamespaceNotFederated"


@virtual
async def test_a_start_on_a_list_without_federated_namespaces_removes_nothing() -> None:
    async with Rig("m1", types=BOTH) as first:
        await filled(first)
    second = Rig("m1", types=BOTH, after=first)
    listed = second.hub.follow
    hidden = second.hub.objects.pop((FEDERATED_NAMESPACES.federated.qualified, NS))
    second.hub.follow = lambda *args: (listed(*args), second.hub.objects.setdefault(_KEY, hidden))[0]  # type: ignore[method-assign]
    async with second:
        await asyncio.sleep(60)
        assert second.asked == {}
        assert second.lines() == {"m1": ""}
        assert second.data("m1") == "b"


_KEY = (FEDERATED_NAMESPACES.federated.qualified, NS)


@virtual
async def test_a_namespace_that_nobody_federates_is_asked_for_once() -> None:
    async with Rig("m1", types=BOTH) as rig:
        for number in range(50):
            rig.put(ObjectName("ns", f"web-{number}"))
        await asyncio.sleep(5)
        for number in range(50):
            rig.put(ObjectName("ns", f"web-{number}"), template={"data": {"a": "c"}})
        await asyncio.sleep(5)
        assert rig.asked == {}
        assert len(rig.hub.reads) <= 2  # once by each worker
        rig.put(NS, enabled=FEDERATED_NAMESPACES)
        await asyncio.sleep(5)
        assert rig.data("m1", name=ObjectName("ns", "web-49")) == "c"


@virtual
async def test_an_object_that_a_list_leaves_out_is_still_followed() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await filled(rig)
        lie(rig, CONFIGMAPS)
        await asyncio.sleep(5)
        assert rig.hub.reads == [f"federatedconfigmaps {WEB}"]
        assert (rig.asked, rig.hub.writes) == ({}, [])
        rig.members["m1"].post(CONFIGMAPS.target, WEB, {"data": {"a": "mine"}})
        await asyncio.sleep(5)
        assert rig.data("m1") == "b"


@virtual
async def test_an_object_whose_finalizer_was_taken_by_force_is_forgotten() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await filled(rig)
        erase(rig, CONFIGMAPS, WEB)
        await asyncio.sleep(60)
        assert rig.asked == {"m1": ["read ns/web", "patch ns/web"]}, "its copy is nobody's now: see test_strays"
        assert WEB not in rig.world.types["configmaps"].tracks


@virtual
async def test_a_list_without_the_hosts_namespaces_takes_no_label_away() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await filled(rig)
        copying = {COPY_ANNOTATION: "true"}
        rig.put(NS, clusters=("m1",), enabled=FEDERATED_NAMESPACES, metadata={"annotations": copying})
        await asyncio.sleep(60)
        rig.host_namespaces.replace([])
        await asyncio.sleep(60)
        rig.put(NS, clusters=("m1",), enabled=FEDERATED_NAMESPACES, metadata={"annotations": {**copying, "x": "y"}})
        await asyncio.sleep(60)
        assert rig.members["m1"].value(NAMESPACES, ObjectName("", "ns"), "metadata", "labels", "team") == "a"
        rig.host_namespaces.replace([Metadata(name="ns", labels={"team": "b"})])
        await asyncio.sleep(5)
        assert rig.members["m1"].value(NAMESPACES, ObjectName("", "ns"), "metadata", "labels", "team") == "b"


@pytest.mark.parametrize("restarted", [False, True], ids=["relist", "restart"])
@virtual
async def test_a_copy_that_a_member_leaves_out_does_not_outlive_its_object(restarted: bool) -> None:
    async with Rig("m1") as first:
        first.put()
        await asyncio.sleep(1)
        member = first.members["m1"]
        if not restarted:
            member.fails = lambda verb, _: AWAY if verb == "apply" else None  # it cannot be made again meanwhile
            member.sinks[CONFIGMAPS.target.qualified].replace([])
            first.delete()
            await asyncio.sleep(60)
            assert (first.data("m1"), first.stored()) == (None, None)
            return
    member._shown.clear()  # the list at the start leaves it out
    first.hub.delete(CONFIGMAPS.federated, WEB)
    stored = first.stored()
    assert stored is not None
    assert stored["metadata"]["finalizers"] == [SYNC_FINALIZER]
    async with Rig("m1", after=first) as second:
        await asyncio.sleep(60)
        assert (second.data("m1"), second.stored()) == (None, None)


@pytest.mark.parametrize("erased", [False, True], ids=["left-out", "gone"])
@virtual
async def test_a_cluster_leaves_when_the_hub_has_it_no_more(erased: bool) -> None:
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(1)
        assert fleet.ready()
        gate = fleet.gates[-1]
        where = (KUBEFED_CLUSTERS.qualified, ObjectName(SYSTEM, "m1"))
        if erased:
            del fleet.hub.objects[where]
        fleet.hub.sinks[KUBEFED_CLUSTERS.qualified][0].replace([])
        await settle()
        await asyncio.sleep(5)
        assert ("m1" in fleet.world.members) is not erased
        assert gate.closed is erased


@virtual
async def test_an_object_that_was_never_pushed_is_not_lost_to_a_list_either() -> None:
    """It has no finalizer and selects nobody yet: a cluster that joins later must still find it."""
    async with Rig("m1", types=BOTH) as rig:
        await filled(rig)
        rig.put(ObjectName("ns", "idle"), spec={}, clusters=("m2",))
        await asyncio.sleep(1)
        lie(rig, CONFIGMAPS)
        await asyncio.sleep(5)
        rig.join("m2").namespaces.clear()
        rig.put(NS, clusters=("m1", "m2"), enabled=FEDERATED_NAMESPACES)
        await asyncio.sleep(5)
        assert rig.data("m2", name=ObjectName("ns", "idle")) == "b"


def slowly(read: Callable[[Resource, ObjectName], Awaitable[T]]) -> Callable[[Resource, ObjectName], Awaitable[T]]:
    """The same, with an answer that is on its way for a second."""

    async def reading(resource: Resource, name: ObjectName) -> T:
        found = await read(resource, name)
        await asyncio.sleep(1)
        return found

    return reading


@pytest.mark.parametrize("how", ["event", "list"])
@virtual
async def test_a_deletion_that_is_reported_while_the_hub_is_asked_is_believed(how: str) -> None:
    """The answer is older than the event, or the list: what it says is there must not come back."""
    async with Rig("m1", types=BOTH) as rig:
        idle = ObjectName("ns", "idle")
        rig.put(idle, clusters=())
        await settle()
        rig.hub.read_federated = slowly(rig.hub.read_federated)  # type: ignore[method-assign,assignment]
        lie(rig, CONFIGMAPS)
        await settle()
        if how == "event":
            rig.delete(idle)
        else:
            erase(rig, CONFIGMAPS, idle)
        await asyncio.sleep(5)
        state = rig.world.types["configmaps"]
        assert (state.objects.get(idle), dict(state.tracks), state.missing) == (None, {}, set())


@pytest.mark.parametrize("how", ["event", "list"])
@virtual
async def test_a_cluster_that_leaves_while_the_hub_is_asked_does_not_come_back(how: str) -> None:
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(1)
        sink, decode = fleet.hub.sinks[KUBEFED_CLUSTERS.qualified]
        fleet.hub.read = slowly(fleet.hub.read)  # type: ignore[method-assign,assignment]
        sink.replace([])
        await settle()
        last = fleet.hub.objects.pop((KUBEFED_CLUSTERS.qualified, ObjectName(SYSTEM, "m1")))
        if how == "event":
            sink.remove(decode(orjson.dumps(last)))
        else:
            sink.replace([])
        await asyncio.sleep(5)
        assert list(fleet.world.members) == []
        assert len(fleet.clusters.objects) == 0
