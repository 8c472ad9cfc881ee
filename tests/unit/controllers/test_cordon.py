"""A cluster that is cordoned while things are under way: nothing goes out, and all of it does once it may."""

import asyncio
import random

import pytest

from federation.controllers import strays
from federation.model.marks import CORDON_ANNOTATION, MANAGED_LABEL
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName
from tests.unit.controllers.fleet import Fleet
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

TARGET = CONFIGMAPS.target


def said(rig: Rig, cluster: str = "m1", name: ObjectName = WEB) -> tuple[str, str]:
    lines = (rig.stored(name) or {}).get("status", {}).get("clusters", [])
    return next((each.get("status", ""), each.get("message", "")) for each in lines if each["name"] == cluster)


def cordon(fleet: Fleet) -> str | None:
    return fleet.world.members["m1"].cluster.cordon


@virtual
async def test_nothing_new_goes_there_and_the_line_says_so() -> None:
    async with Rig("m1", "m2") as rig:
        rig.see("m1", cordon="upgrade")
        rig.put()
        await asyncio.sleep(30)
        assert rig.asked == {"m2": ["apply ns/web"]}
        assert said(rig) == ("ClusterCordoned", "the cluster is cordoned (upgrade): nothing is created there")
        assert said(rig, "m2") == ("", "")
        assert (rig.condition("Ready")["status"], rig.hub.events) == ("False", [])
        rig.see("m1", cordon=None)
        await asyncio.sleep(5)
        assert rig.data("m1") == "b"
        assert rig.lines() == {"m1": "", "m2": ""}


@virtual
async def test_what_is_there_is_neither_changed_nor_mended_nor_removed() -> None:
    async with Rig("m1") as rig:
        rig.put()
        rig.put(ObjectName("ns", "kept"))
        await asyncio.sleep(5)
        rig.see("m1", cordon="")
        await asyncio.sleep(5)
        assert said(rig) == ("", "the cluster is cordoned")
        assert rig.condition("Ready")["status"] == "True"
        rig.quiet()
        rig.put(template={"data": {"a": "c"}})
        rig.members["m1"].post(TARGET, ObjectName("ns", "kept"), {"data": {"a": "drifted"}})
        await asyncio.sleep(30)
        assert rig.asked == {}
        for name in (WEB, ObjectName("ns", "kept")):
            assert said(rig, name=name)[0] == "ClusterCordoned"
            assert "the copy there is not changed" in said(rig, name=name)[1]
        rig.put(clusters=())
        rig.delete(ObjectName("ns", "kept"))
        await asyncio.sleep(120)
        assert rig.asked == {}
        assert "the copy there is not removed" in said(rig)[1]
        assert "the copy there is not removed" in said(rig, name=ObjectName("ns", "kept"))[1], "its deletion waits"
        rig.see("m1", cordon=None)
        await asyncio.sleep(30)
        assert rig.members["m1"].objects == {}
        assert rig.stored(ObjectName("ns", "kept")) is None


@virtual
async def test_what_was_queued_does_not_go_out() -> None:
    """The lane has decided actions in it when the cordon comes: each is asked about once more before it is sent."""
    async with Rig("m1", concurrency=1) as rig:
        member = rig.members["m1"]
        member.gate.clear()
        for number in range(10):
            rig.put(ObjectName("ns", f"o{number}"))
        await settle()
        assert len(member.calls) == 1, "the first is under way, the others wait for their turn"
        cluster = rig.world.members["m1"].cluster
        rig.see("m1", cordon="now", told=False)  # no plan knows it yet
        member.gate.set()
        await settle()
        assert len(member.calls) == 1
        assert rig.world.members["m1"].cluster != cluster
        rig.see("m1", cordon=None)
        await asyncio.sleep(5)
        assert len(member.objects) == 10


@virtual
async def test_a_removal_that_is_being_proven_does_not_go_out() -> None:
    """The cordon comes between the question to the hub and the member's DELETE."""
    async with Rig("m1") as rig:
        rig.put()
        await asyncio.sleep(5)

        def cordoned(verb: str, name: ObjectName) -> None:
            if verb in {"read", "list"}:
                rig.see("m1", cordon="now")

        rig.hub.fails = cordoned
        rig.quiet()
        rig.put(clusters=())
        await asyncio.sleep(30)
        assert rig.hub.reads, "it was asked"
        assert (rig.asked, rig.data("m1")) == ({}, "b")
        assert said(rig) == ("ClusterCordoned", "the cluster is cordoned (now): the copy there is not removed")
        rig.hub.fails = lambda verb, name: None
        rig.see("m1", cordon=None)
        await asyncio.sleep(30)
        assert rig.data("m1") is None


@virtual
async def test_strays_are_left_as_they_are() -> None:
    async with Rig("m1", types=(FEDERATED_NAMESPACES, CONFIGMAPS)) as rig:
        rig.put(NS, clusters=("m1",), enabled=FEDERATED_NAMESPACES)
        await asyncio.sleep(1)
        rig.see("m1", cordon="")
        stray = ObjectName("ns", "stray")
        rig.members["m1"].post(TARGET, stray, {"metadata": {"labels": {MANAGED_LABEL: "true"}}, "data": {"a": "b"}})
        rig.quiet()
        await asyncio.sleep(300)
        assert rig.asked == {}
        rig.see("m1", cordon=None)
        await asyncio.sleep(strays.LATER + strays.GRACE + 1)
        assert rig.members["m1"].value(TARGET, stray, "metadata", "labels", MANAGED_LABEL) is None


@virtual
async def test_a_copy_whose_turn_to_be_applied_again_came_meanwhile_has_it_afterwards() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await asyncio.sleep(5)
        rig.see("m1", cordon="")
        await settle()
        rig.quiet()
        rig.track().recheck = frozenset({"m1"})
        rig.put(template={"data": {"a": "b"}}, annotations={"some": "change"})
        await asyncio.sleep(5)
        assert rig.asked == {}
        rig.see("m1", cordon=None)
        await asyncio.sleep(5)
        assert rig.asked == {"m1": ["apply ns/web"]}


@pytest.mark.parametrize("seed", range(20))
@virtual
async def test_whatever_happens_nothing_is_written_there(seed: int) -> None:
    """Random edits at the hub and in the member, while m1 is cordoned; m2 is served all the same."""
    chance = random.Random(seed)
    names = [ObjectName("ns", f"o{number}") for number in range(4)]
    async with Rig("m1", "m2") as rig:
        for name in names[:3]:
            rig.put(name)
        await asyncio.sleep(5)
        rig.see("m1", cordon="")
        rig.members["m1"].calls.clear()
        for _ in range(30):
            name = chance.choice(names)
            stored = rig.stored(name)
            match chance.randrange(5):
                case 0 if stored is None or "deletionTimestamp" not in stored["metadata"]:
                    rig.put(name, {"data": {"a": chance.choice("bcd")}}, clusters=chance.choice([(), ("m1", "m2")]))
                case 1 if stored is not None:
                    rig.delete(name)
                case 2 if (TARGET.qualified, name) in rig.members["m1"].objects:
                    rig.members["m1"].post(TARGET, name, {"data": {"a": "drifted"}})
                case 3 if (TARGET.qualified, name) in rig.members["m1"].objects:
                    rig.members["m1"].remove(TARGET, name)
                case 4:
                    rig.see("m1", ready=chance.choice([True, False]))
            await asyncio.sleep(chance.choice([0, 1, 30]))
        await asyncio.sleep(60)
        assert rig.members["m1"].calls == []
        rig.see("m1", ready=True, cordon=None)
        await asyncio.sleep(120)
        for name in names:
            assert rig.data("m1", name=name) == rig.data("m2", name=name)


@virtual
async def test_the_annotation_cordons_at_once_and_the_clusters_status_says_so() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join()
        await asyncio.sleep(1)
        fleet.cluster(annotations={CORDON_ANNOTATION: "storage upgrade"})
        await settle()
        assert cordon(fleet) == "storage upgrade"
        await asyncio.sleep(1)
        condition = fleet.condition("Cordoned")
        assert (condition["status"], condition["reason"]) == ("True", "Cordoned")
        assert condition["message"].startswith("storage upgrade; nothing is created")
        assert fleet.ready() is True
        fleet.cluster(annotations={CORDON_ANNOTATION: "false"})
        await asyncio.sleep(1)
        assert cordon(fleet) is None
        assert fleet.condition("Cordoned") == {}
        assert [event["reason"] for event in fleet.hub.events] == ["Cordoned", "Uncordoned"]
        assert KUBEFED_CLUSTERS.kind in {event["involvedObject"]["kind"] for event in fleet.hub.events}
