"""FederatedNamespaces and what lives in them: memory in, facts out; and the whole road with both types."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from federation.controllers import gathering
from federation.controllers.gathering import Gatherer
from federation.core import placement
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata
from federation.model.marks import COPY_ANNOTATION
from federation.model.observations import Missing, Observed
from federation.model.resources import NAMESPACES, ObjectName
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

BOTH = (FEDERATED_NAMESPACES, CONFIGMAPS)
SPACE = ObjectName("", "ns")


def namespaces(rig: Rig, **selected: bool) -> None:
    """The FederatedNamespace, which asks for the labels of the host's."""
    for fake in rig.members.values():
        fake.namespaces.clear()
    metadata = {"annotations": {COPY_ANNOTATION: "true"}}
    rig.put(NS, clusters=tuple(selected), enabled=FEDERATED_NAMESPACES, metadata=metadata)


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
async def test_without_a_federated_namespace_nothing_goes_anywhere_and_why_is_reported() -> None:
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
        again.world.host_namespaces.synced = False
        for name in list(again.world.host_namespaces):
            again.world.host_namespaces.drop(name)
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
async def test_a_copied_label_that_the_member_has_its_own_value_for_is_the_members() -> None:
    """It is never forced, whatever happens later; the others travel."""
    async with Rig("m1", types=BOTH) as rig:
        fake = rig.members["m1"]
        fake.post(NAMESPACES, SPACE, {"metadata": {"labels": {"team": "theirs"}}}, manager="owner")
        rig.host_namespaces.upsert(Metadata(name="ns", labels={"team": "a", "stage": "live"}))
        namespaces(rig, m1=True)
        await asyncio.sleep(1)
        assert "apply! ns" not in fake.calls
        assert fake.value(NAMESPACES, SPACE, "metadata", "labels", "team") == "theirs"
        assert fake.value(NAMESPACES, SPACE, "metadata", "labels", "stage") == "live"
        assert rig.lines(NS, FEDERATED_NAMESPACES) == {"m1": ""}
        fake.post(NAMESPACES, SPACE, {"metadata": {"labels": {"stage": "theirs, too"}}}, manager="owner")
        await asyncio.sleep(1)
        assert fake.value(NAMESPACES, SPACE, "metadata", "labels", "stage") == "theirs, too"
        rig.quiet()
        rig.sync.changed(again_key())
        await asyncio.sleep(60)
        assert fake.calls == []


@virtual
async def test_drift_of_a_namespace_between_our_write_and_its_answer_is_not_lost() -> None:
    async with Rig("m1", types=BOTH) as rig:
        namespaces(rig, m1=True)
        await asyncio.sleep(1)
        fake = rig.members["m1"]
        drifts = iter([1])

        def drift(verb: str, name: ObjectName) -> None:
            if next(drifts, None):
                fake.post(NAMESPACES, SPACE, {"metadata": {"labels": {"own": "theirs"}}})

        fake.lost = drift
        rig.put(NS, {"metadata": {"labels": {"own": "b"}}}, clusters=("m1",), enabled=FEDERATED_NAMESPACES)
        await asyncio.sleep(1)
        assert fake.value(NAMESPACES, SPACE, "metadata", "labels", "own") == "b"


@virtual
async def test_a_namespace_deleted_while_it_is_being_made_goes_too() -> None:
    """Its answer comes before its event."""
    async with Rig("m1", types=BOTH) as rig:
        fake = rig.members["m1"]
        fake.delay_events = True
        namespaces(rig, m1=True)
        await settle()
        assert fake.calls == ["apply ns"]
        rig.delete(NS, FEDERATED_NAMESPACES)
        await asyncio.sleep(1)
        assert fake.objects == {}
        fake.deliver()
        await asyncio.sleep(1)
        assert rig.stored(NS, FEDERATED_NAMESPACES) is None


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


REFUSALS = {
    "denied": Failure(FailureKind.DENIED, "a policy", 403),
    "invalid": Failure(FailureKind.INVALID, "metadata.labels: Invalid value", 422),
    "too-large": Failure(FailureKind.TOO_LARGE, "too large", 413),
    "right": Failure(FailureKind.RIGHT_MISSING, "cannot patch", 403),
    "no-such-version": Failure(FailureKind.TYPE_MISSING, "404 page not found", 404),
}
WRONG_LABELS = {"metadata": {"labels": {"a": 5}}}
NO_SUCH_FIELD = [{"clusterName": "m1", "clusterOverrides": [{"op": "remove", "path": "/metadata/labels/x"}]}]


@pytest.mark.parametrize("first", [NS, WEB], ids=["namespace-first", "object-first"])
@pytest.mark.parametrize("why", [*REFUSALS, "override", "template"])
def test_a_namespace_that_cannot_be_ours_holds_nothing_up(why: str, first: ObjectName) -> None:
    """It may be there as somebody else's: KubeFed pushed the objects all the same, and so their own pushes decide."""

    @virtual
    async def test() -> None:
        async with Rig("m1", types=BOTH) as rig:
            rig.members["m1"].post(NAMESPACES, SPACE, {"metadata": {"labels": {"team": "theirs"}}})
            rig.members["m1"].fails = lambda verb, name: REFUSALS.get(why) if name == SPACE else None
            for name in sorted((NS, WEB), key=lambda each: each != first):
                if name == WEB:
                    rig.put()
                else:
                    spec = {"overrides": NO_SUCH_FIELD} if why == "override" else {}
                    template = WRONG_LABELS if why == "template" else {"metadata": {"labels": {"a": "b"}}}
                    rig.put(NS, template, clusters=("m1",), enabled=FEDERATED_NAMESPACES, spec=spec)
                await asyncio.sleep(5)
            assert rig.data("m1") == "b"
            assert rig.lines() == {"m1": ""}

    test()


@pytest.mark.parametrize("kind", [FailureKind.TIMED_OUT, FailureKind.UNAVAILABLE])
def test_objects_wait_for_a_namespace_that_a_slow_member_has_not_refused(kind: FailureKind) -> None:
    @virtual
    async def test() -> None:
        async with Rig("m1", types=BOTH) as rig:
            rig.members["m1"].namespaces.clear()
            failing = {SPACE}
            rig.members["m1"].fails = lambda verb, name: Failure(kind, "no answer") if name in failing else None
            namespaces(rig, m1=True)
            rig.put()
            await asyncio.sleep(20)
            assert f"apply! {WEB}" not in rig.members["m1"].calls
            assert rig.lines() == {"m1": "Pending"}
            failing.clear()
            await asyncio.sleep(60)
            assert rig.data("m1") == "b"

    test()


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
        trouble = facts.unobservable("nowhere")
        assert trouble is not None
        assert facts.unobservable("m1") is None
        assert gatherer.clusters() is gatherer.clusters()
        rig.track().recheck = {"m1"}
        assert gatherer.gather(state, item, rig.track()).applied["m1"].owned_digest == ""
        assert rig.track().applied["m1"].owned_digest != ""
        state.type = replace(state.type, namespace="ns")
        assert gatherer.gather(state, item, rig.track()).namespace is None


@virtual
async def test_other_settings_move_nothing_before_the_types_are_followed_anew() -> None:
    """The scope becomes Namespaced. Until each type is followed in one namespace only, objects of all are known."""
    async with Rig("m1", "m2", types=BOTH) as rig:
        namespaces(rig, m1=True)
        rig.put()
        await asyncio.sleep(60)
        assert rig.lines() == {"m1": ""}
        rig.quiet()
        rig.world.settings = replace(rig.world.settings, namespaced=True)
        rig.fanout.everything()
        await asyncio.sleep(60)
        del rig.world.types[FEDERATED_NAMESPACES.name]
        rig.fanout.everything()
        await asyncio.sleep(60)
        assert rig.asked == {}
        assert rig.hub.writes == []
