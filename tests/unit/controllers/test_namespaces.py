"""FederatedNamespaces and what lives in them: memory in, facts out; and the whole road with both types."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from federation.controllers import gathering
from federation.controllers.gathering import Gatherer
from federation.core import placement
from federation.model.clusters import Missing, Observed
from federation.model.federated import Metadata
from federation.model.resources import NAMESPACES, ObjectName
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

BOTH = (FEDERATED_NAMESPACES, CONFIGMAPS)
SPACE = ObjectName("", "ns")


def namespaces(rig: Rig, **selected: bool) -> None:
    for fake in rig.members.values():
        fake.namespaces.clear()
    rig.put(NS, clusters=tuple(selected), enabled=FEDERATED_NAMESPACES)


@virtual
async def test_objects_follow_their_namespace_into_each_member() -> None:
    async with Rig("m1", "m2", types=BOTH) as rig:
        namespaces(rig, m1=True)
        rig.put()
        await asyncio.sleep(1)
        assert rig.members["m1"].calls == ["apply ns", "apply ns/web"]
        assert rig.members["m2"].calls == []
        assert rig.lines() == {"m1": ""}
        assert rig.members["m1"].value(NAMESPACES, SPACE, "metadata", "labels", "team") == "a"
        namespaces(rig, m1=True, m2=True)
        await asyncio.sleep(1)
        assert rig.members["m2"].calls == ["apply ns", "apply ns/web"]


@virtual
async def test_without_a_federated_namespace_nothing_goes_anywhere_and_why_is_told() -> None:
    async with Rig("m1", types=BOTH) as rig:
        rig.put()
        await asyncio.sleep(1)
        assert rig.asked == {}
        assert rig.condition("Propagation")["reason"] == "NamespaceNotFederated"
        namespaces(rig, m1=True)
        await asyncio.sleep(1)
        assert rig.data("m1") == "b"
        assert rig.condition("Propagation")["status"] == "True"


@virtual
async def test_a_federated_namespace_that_is_deleted_takes_its_objects_along() -> None:
    async with Rig("m1", types=BOTH) as rig:
        namespaces(rig, m1=True)
        rig.put()
        await asyncio.sleep(1)
        rig.delete(NS, FEDERATED_NAMESPACES)
        await asyncio.sleep(1)
        assert rig.members["m1"].objects == {}
        assert rig.stored(NS, FEDERATED_NAMESPACES) is None
        assert rig.condition("Propagation")["reason"] == "NamespaceNotFederated"


@virtual
async def test_an_invalid_federated_namespace_holds_what_is_there() -> None:
    async with Rig("m1", types=BOTH) as rig:
        namespaces(rig, m1=True)
        rig.put()
        await asyncio.sleep(1)
        rig.quiet()
        rig.hub.put(FEDERATED_NAMESPACES.federated, NS, spec={"placement": {"clusters": 7}})
        rig.put(template={"data": {"a": "c"}})
        await asyncio.sleep(1)
        assert rig.asked == {}
        assert rig.data("m1") == "b"
        assert "FederatedNamespace 'ns' is invalid" in rig.condition("Propagation").get("message", "") + str(
            rig.condition("Ready")
        )


@virtual
async def test_the_type_of_namespaces_switched_off_deletes_nothing() -> None:
    async with Rig("m1", types=BOTH) as rig:
        namespaces(rig, m1=True)
        rig.put()
        await asyncio.sleep(1)
        rig.quiet()
        del rig.world.types[FEDERATED_NAMESPACES.name]
        rig.fanout.everything()
        await asyncio.sleep(1)
        assert rig.asked == {}
        assert rig.data("m1") == "b"
        assert "not enabled" in str(rig.stored())


@virtual
async def test_while_federated_namespaces_are_not_listed_nothing_is_decided() -> None:
    async with Rig("m1", types=BOTH) as rig:
        namespaces(rig, m1=True)
        rig.put()
        await asyncio.sleep(1)
        rig.quiet()
        state = rig.world.types[FEDERATED_NAMESPACES.name]
        state.objects.synced = False
        rig.put(template={"data": {"a": "c"}})
        await asyncio.sleep(5)
        assert (rig.asked, rig.hub.writes) == ({}, [])
        assert rig.track().plan is not None
        state.objects.synced = True
        rig.fanout.everything()
        await asyncio.sleep(5)
        assert rig.data("m1") == "c"


@virtual
async def test_what_is_on_its_way_meanwhile_belongs_to_the_plan_before() -> None:
    async with Rig("m1", types=BOTH) as rig:
        namespaces(rig, m1=True)
        rig.put()
        await asyncio.sleep(1)
        rig.members["m1"].gate.clear()
        rig.put(template={"data": {"a": "second"}})
        await settle()
        rig.world.types[FEDERATED_NAMESPACES.name].objects.synced = False
        rig.put(template={"data": {"a": "third"}})
        await settle()
        rig.members["m1"].gate.set()
        await settle()
        assert rig.data("m1") == "second"
        assert rig.track().applied["m1"].generation == 2


@virtual
async def test_labels_of_the_hosts_namespace_are_awaited_and_followed() -> None:
    async with Rig("m1", types=BOTH) as rig:
        namespaces(rig, m1=True)
        await asyncio.sleep(1)

    async with Rig("m1", types=BOTH, after=rig) as again:
        again.quiet()
        again.world.host_namespaces.clear()
        again.sync.changed(again_key())
        await asyncio.sleep(5)
        assert again.asked == {}
        again.host_namespaces.replace([Metadata(name="ns", labels={"team": "b"})])
        await asyncio.sleep(1)
        assert again.members["m1"].calls == ["apply ns"]
        again.host_namespaces.upsert(Metadata(name="ns", labels={"team": "c"}))
        again.host_namespaces.upsert(Metadata(name="ns", labels={"team": "c"}, resource_version="9"))
        await asyncio.sleep(1)
        assert again.members["m1"].calls == ["apply ns"] * 2
        assert again.members["m1"].value(NAMESPACES, SPACE, "metadata", "labels", "team") == "c"


def again_key() -> Any:
    from federation.model.resources import Key  # noqa: PLC0415 - used once

    return Key(FEDERATED_NAMESPACES.name, "ns", "ns")


@virtual
async def test_drift_of_a_namespace_between_our_write_and_its_answer_is_not_lost() -> None:
    async with Rig("m1", types=BOTH) as rig:
        namespaces(rig, m1=True)
        await asyncio.sleep(1)
        fake = rig.members["m1"]
        drifts = iter([1])

        def drift(verb: str, name: ObjectName) -> None:
            if next(drifts, None):
                fake.post(NAMESPACES, SPACE, {"metadata": {"labels": {"team": "theirs"}}})

        fake.lost = drift
        rig.host_namespaces.upsert(Metadata(name="ns", labels={"team": "b"}))
        await asyncio.sleep(1)
        assert fake.value(NAMESPACES, SPACE, "metadata", "labels", "team") == "b"


@virtual
async def test_a_namespace_deleted_while_it_is_being_made_goes_too() -> None:
    """Its answer comes before its event."""
    async with Rig("m1", types=BOTH) as rig:
        fake = rig.members["m1"]
        fake.hold = True
        namespaces(rig, m1=True)
        await settle()
        assert fake.calls == ["apply ns"]
        rig.delete(NS, FEDERATED_NAMESPACES)
        await asyncio.sleep(1)
        assert (fake.objects, rig.stored(NS, FEDERATED_NAMESPACES)) == ({}, None)


@virtual
async def test_the_hosts_own_namespace_survives() -> None:
    async with Rig("m1", types=BOTH) as rig:
        rig.see("m1", is_host=True)
        rig.members["m1"].post(NAMESPACES, SPACE, {"metadata": {"labels": {"team": "a"}}})
        rig.put(NS, clusters=("m1",), enabled=FEDERATED_NAMESPACES)
        await asyncio.sleep(1)
        assert rig.lines(NS, FEDERATED_NAMESPACES) == {"m1": ""}
        rig.delete(NS, FEDERATED_NAMESPACES)
        await asyncio.sleep(1)
        assert rig.stored(NS, FEDERATED_NAMESPACES) is None
        assert rig.members["m1"].value(NAMESPACES, SPACE, "metadata", "labels", "team") == "a"


# --- facts ----------------------------------------------------------------------------------------------------------


@virtual
async def test_a_namespaces_placement_is_computed_once_per_change(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Rig("m1", "m2", types=BOTH) as rig:
        namespaces(rig, m1=True)
        for number in range(20):
            rig.put(ObjectName("ns", f"web-{number}"))
        await asyncio.sleep(2)
        computed: list[int] = []
        real: Callable[..., frozenset[str]] = placement.select

        def counting(*facts: Any) -> frozenset[str]:
            computed.append(1)
            return real(*facts)

        monkeypatch.setattr(placement, "select", counting)
        gatherer = Gatherer(rig.world)
        state = rig.world.types[CONFIGMAPS.name]
        for name, item in state.objects.items():
            facts = gatherer.gather(state, item, state.tracks[name])
            assert facts.namespace is not None
            assert facts.namespace.selected == frozenset({"m1"})
        assert len(computed) == 1
        rig.see("m2", labels={"tier": "edge"})
        gatherer.gather(state, item, state.tracks[name])
        assert len(computed) == 2
        monkeypatch.setattr(gathering, "REMEMBERED", 10)
        for number in range(50):
            gatherer._selected(f"ns-{number}", item)
        assert len(gatherer._namespaces) <= 10


@virtual
async def test_facts_are_those_of_the_moment() -> None:
    async with Rig("m1", types=BOTH) as rig:
        namespaces(rig, m1=True)
        rig.put()
        await asyncio.sleep(1)
        gatherer = Gatherer(rig.world)
        state = rig.world.types[CONFIGMAPS.name]
        item = state.objects.get(WEB)
        assert item is not None
        facts = gatherer.gather(state, item, rig.track())
        assert isinstance(facts.observe("m1"), Observed)
        assert facts.observe("nowhere") is Missing.UNKNOWN
        trouble = facts.trouble("nowhere")
        assert trouble is not None
        assert facts.trouble("m1") is None
        assert gatherer.clusters() is gatherer.clusters()
        rig.track().recheck.add("m1")
        assert gatherer.gather(state, item, rig.track()).applied["m1"].entry == ""
        assert rig.track().applied["m1"].entry != ""
        rig.world.settings = type(rig.world.settings)(namespaced=True)
        assert gatherer.gather(state, item, rig.track()).namespace is None
