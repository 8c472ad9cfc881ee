"""Managed copies that no federated object stands behind are released, with proof and never in haste."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from federation.controllers import strays
from federation.model.failures import Failure, FailureKind
from federation.model.marks import MANAGED_LABEL
from federation.model.resources import NAMESPACES, ObjectName
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.controllers.test_absences import erase
from tests.unit.virtualtime import settle, virtual

BOTH = (FEDERATED_NAMESPACES, CONFIGMAPS)
STRAY = ObjectName("ns", "stray")
LABELLED = {"metadata": {"labels": {MANAGED_LABEL: "true"}}, "data": {"a": "b"}}


def label(rig: Rig, name: ObjectName = STRAY) -> object:
    return rig.members["m1"].value(CONFIGMAPS.target, name, "metadata", "labels", MANAGED_LABEL)


async def started(rig: Rig) -> None:
    """A control plane of all namespaces, with everything listed."""
    rig.put(NS, clusters=("m1",), enabled=FEDERATED_NAMESPACES)
    await asyncio.sleep(1)
    rig.quiet()
    rig.hub.reads.clear()


@virtual
async def test_a_label_put_on_by_hand_is_taken_off_and_the_object_stays() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
        with capture_logs() as logs:
            rig.members["m1"].post(CONFIGMAPS.target, STRAY, LABELLED)
            await settle()
            assert label(rig) == "true", "a federated object may be on its way"
            await asyncio.sleep(strays.GRACE + 1)
        assert (label(rig), rig.data("m1", name=STRAY)) == (None, "b")
        assert rig.asked == {"m1": ["read ns/stray", "patch ns/stray"]}
        assert [each["why"] for each in logs if each["event"] == "copy removed"] == ["no-federated-object"]
        rig.quiet()
        await asyncio.sleep(600)
        assert rig.asked == {}
        assert STRAY not in rig.world.types[CONFIGMAPS.name].tracks


@virtual
async def test_those_of_the_time_before_the_start_are_found_in_whichever_order_the_lists_end() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
    rig.members["m1"].post(CONFIGMAPS.target, STRAY, LABELLED)
    async with Rig("m1", types=BOTH, after=rig) as again:
        await asyncio.sleep(strays.GRACE + 1)
        assert label(again) is None


@virtual
async def test_a_copy_whose_object_lost_its_finalizer_is_released_not_deleted() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
        rig.put()
        await asyncio.sleep(1)
        erase(rig, CONFIGMAPS, WEB)
        await asyncio.sleep(strays.GRACE + 1)
        assert (label(rig, WEB), rig.data("m1")) == (None, "b")
        assert "delete ns/web" not in rig.members["m1"].calls
        assert WEB not in rig.world.types[CONFIGMAPS.name].tracks


@virtual
async def test_a_stray_namespace_is_released_too() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
        other = ObjectName("", "other")
        rig.members["m1"].post(NAMESPACES, other, {"metadata": {"labels": {MANAGED_LABEL: "true", "own": "1"}}})
        await asyncio.sleep(strays.GRACE + 1)
        assert rig.members["m1"].value(NAMESPACES, other, "metadata", "labels", MANAGED_LABEL) is None
        assert rig.members["m1"].value(NAMESPACES, other, "metadata", "labels", "own") == "1"


@virtual
async def test_an_object_that_is_made_anew_within_the_grace_keeps_its_copy() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
        rig.members["m1"].post(CONFIGMAPS.target, STRAY, LABELLED)
        await asyncio.sleep(1)
        rig.put(STRAY)
        await asyncio.sleep(60)
        assert label(rig) == "true"
        assert rig.lines(STRAY) == {"m1": ""}


def away(rig: Rig) -> None:
    rig.see("m1", ready=False)


def unlisted(rig: Rig) -> None:
    rig.world.types[CONFIGMAPS.name].objects.synced = False


def unanswered(rig: Rig) -> None:
    rig.hub.fails = lambda *asked: Failure(FailureKind.UNAVAILABLE, "503", 503)


def bounded(rig: Rig) -> None:
    state = rig.world.types[CONFIGMAPS.name]
    state.type = replace(state.type, namespace="ns")


def cautious(rig: Rig) -> None:
    rig.world.settings = type(rig.world.settings)(cautious=True)


@virtual
@pytest.mark.parametrize("unknown", [away, unlisted, unanswered, bounded, cautious])
async def test_nothing_is_concluded_while_anything_is_unknown(unknown: Callable[[Rig], None]) -> None:
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
        unknown(rig)
        rig.members["m1"].post(CONFIGMAPS.target, STRAY, LABELLED)
        await asyncio.sleep(600)
        assert label(rig) == "true"
        assert rig.asked == {}


@virtual
async def test_one_whose_cluster_is_away_is_released_once_it_is_back() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
        away(rig)
        rig.members["m1"].post(CONFIGMAPS.target, STRAY, LABELLED)
        await asyncio.sleep(600)
        rig.see("m1", ready=True)
        await asyncio.sleep(2 * strays.LATER)
        assert label(rig) is None


@virtual
async def test_what_another_hub_owns_and_what_is_kept_from_us_is_left_alone() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
        fake = rig.members["m1"]
        fake.post(CONFIGMAPS.target, STRAY, {"metadata": {"labels": {MANAGED_LABEL: "false"}}})
        theirs = ObjectName("ns", "theirs")
        body = b'{"metadata":{"name":"theirs","labels":{"kubefed.io/managed":"true"}},"data":{"a":"b"}}'
        await fake.apply(CONFIGMAPS.target, theirs, body, force=False, manager="kubefed-99999999")
        rig.quiet()
        await asyncio.sleep(600)
        assert (label(rig), label(rig, theirs)) == ("false", "true")
        assert rig.asked == {}


@virtual
async def test_a_label_that_a_controller_copied_from_an_objects_owner_stays() -> None:
    """EndpointSlices have their Service's labels: taken off, they would be put back at once, again and again."""
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
        owner = {"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "1"}
        child = {**LABELLED, "metadata": {"labels": {MANAGED_LABEL: "true"}, "ownerReferences": [owner]}}
        rig.members["m1"].post(CONFIGMAPS.target, STRAY, child)
        await asyncio.sleep(600)
        assert (label(rig), rig.asked) == ("true", {})


@virtual
async def test_a_label_that_somebody_puts_back_and_back_is_taken_off_ever_more_rarely() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
        fake = rig.members["m1"]
        for _ in range(600):
            fake.post(CONFIGMAPS.target, STRAY, LABELLED)
            await asyncio.sleep(10)
        assert 3 <= fake.calls.count("patch ns/stray") <= 9


@virtual
async def test_many_at_once_go_one_after_another() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
        fake = rig.members["m1"]
        for number in range(100):
            fake.post(CONFIGMAPS.target, ObjectName("ns", f"stray-{number}"), LABELLED)
        await asyncio.sleep(strays.GRACE + 5)
        halfway = sum(1 for call in fake.calls if call.startswith("patch"))
        assert 30 <= halfway <= 60
        await asyncio.sleep(10)
        assert sum(1 for call in fake.calls if call.startswith("patch")) == 100


@virtual
async def test_an_ordinary_deletion_asks_the_hub_nothing_more() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await started(rig)
        rig.put()
        await asyncio.sleep(1)
        rig.quiet()
        rig.hub.reads.clear()
        rig.delete()
        await asyncio.sleep(60)
        assert rig.asked == {"m1": ["delete ns/web"]}
        assert rig.hub.reads == []
