"""The API server adds our finalizer when an object is created: what the controller writes, and what it knows by it.

A finalizer says nothing then about what was pushed; and nobody may depend on the answer to our own write of it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import Key, ObjectName
from tests.unit.controllers.rig import CONFIGMAPS, DATA, WEB, Rig
from tests.unit.virtualtime import settle, virtual

TARGET = CONFIGMAPS.target
OTHER = ObjectName("ns", "other")
UNAVAILABLE = Failure(FailureKind.UNAVAILABLE, "503", 503)


@asynccontextmanager
async def rig(*members: str, after: Rig | None = None) -> AsyncIterator[Rig]:
    made = Rig(*members, after=after)
    made.hub.finalizes = lambda resource: True
    async with made:
        yield made


@virtual
async def test_creation_is_one_apply_each_and_one_status() -> None:
    async with rig("m1", "m2") as made:
        made.put()
        await settle()
        assert made.hub.writes == ["status ns/web"]
        assert made.asked == {"m1": ["apply ns/web"], "m2": ["apply ns/web"]}
        assert made.lines() == {"m1": "", "m2": ""}
        made.quiet()
        made.sync.changed(Key("configmaps", "ns", "web"))
        await asyncio.sleep(3600)
        assert (made.hub.writes, made.asked) == ([], {})
        made.delete()
        await asyncio.sleep(5)
        assert made.stored() is None
        assert made.hub.writes == ["finalizers ns/web"]
        assert [fake.objects for fake in made.members.values()] == [{}, {}]


@virtual
async def test_a_status_that_somebody_writes_over_is_written_again() -> None:
    """It is recognised by the version and the hash of our own last write; the first of them is not the finalizer's."""
    async with rig("m1") as made:
        made.put()
        await settle()
        made.hub.put(CONFIGMAPS.federated, WEB, status={"clusters": []})
        await asyncio.sleep(30)
        assert made.lines() == {"m1": ""}
        assert made.hub.writes.count("status ns/web") == 2


@virtual
async def test_a_finalizer_that_the_hub_did_not_add_is_added() -> None:
    """The policy is gone, or did not answer in time."""
    async with rig("m1") as made:
        made.hub.finalizes = lambda resource: False
        made.put()
        await settle()
        assert made.hub.writes == ["finalizers ns/web", "status ns/web"]
        stored = made.stored()
        assert stored is not None
        assert stored["metadata"]["finalizers"] == [marks.SYNC_FINALIZER]


@virtual
async def test_a_new_object_waits_for_no_cluster_that_it_never_was_in() -> None:
    """m2 is away: nobody can have pushed there what has just been created, so it has no line and no say."""
    async with rig("m1", "m2") as made:
        made.see("m2", ready=False, message="away")
        made.put(clusters=("m1",))
        await asyncio.sleep(5)
        assert made.lines() == {"m1": ""}
        made.delete()
        await asyncio.sleep(5)
        assert made.stored() is None


@virtual
async def test_deleted_before_a_cluster_that_is_away_got_it() -> None:
    async with rig("m1") as made:
        made.see("m1", ready=False, message="away")
        made.put()
        await asyncio.sleep(5)
        assert made.lines() == {"m1": "ClusterNotReady"}
        made.delete()
        await asyncio.sleep(5)
        assert made.stored() is None


@virtual
async def test_deleted_before_anything_was_planned() -> None:
    async with rig("m1") as made:
        made.put()
        made.delete()
        await asyncio.sleep(5)
        assert (made.stored(), made.asked) == (None, {})


@virtual
async def test_a_create_without_an_answer_is_asked_for_all_the_same() -> None:
    """What we have sent ourselves is known, also of a new object."""
    async with rig("m1") as made:
        made.members["m1"].fails = lambda verb, name: (
            Failure(FailureKind.TIMED_OUT, "no answer within 10 s") if verb == "apply" else None
        )
        made.put()
        await asyncio.sleep(1)
        made.see("m1", ready=False, message="away")
        made.delete()
        await asyncio.sleep(60)
        assert made.stored() is not None


@virtual
async def test_a_cluster_that_has_left_and_comes_back_is_asked() -> None:
    """Its copy stayed there when it left."""
    async with rig("m1", "m2") as made:
        made.put()
        await asyncio.sleep(5)
        made.leave("m2")
        await asyncio.sleep(5)
        made.join("m2", ready=False)
        state = made.world.types["configmaps"]
        state.copies.pop("m2")  # its objects have not been listed yet
        await asyncio.sleep(5)
        made.delete()
        await asyncio.sleep(60)
        assert made.stored() is not None
        made.follow("m2", state)
        made.see("m2", ready=True)
        await asyncio.sleep(60)
        assert (made.stored(), made.members["m2"].objects) == (None, {})


@virtual
async def test_after_a_restart_a_finalizer_without_a_status_may_mean_a_push() -> None:
    """The controller was killed before it wrote the status: now the finalizer alone shows that it may have pushed."""
    async with rig("m1", "m2") as before:
        before.hub.fails = lambda verb, name: UNAVAILABLE if verb == "status" else None
        before.put()
        await asyncio.sleep(1)
    before.hub.fails = lambda verb, name: None
    before.put(clusters=("m1",))
    again = Rig("m1", "m2", after=before, ready=None)
    async with again:
        assert before.members["m2"].objects
        again.delete()
        await asyncio.sleep(60)
        assert again.stored() is not None
        again.see("m1", ready=True)
        again.see("m2", ready=True)
        await asyncio.sleep(60)
        assert (again.stored(), before.members["m2"].objects) == (None, {})


@pytest.mark.parametrize("restored", [True, False])
@virtual
async def test_an_object_that_a_restored_hub_has_anew_is_not_a_new_one(restored: bool) -> None:
    """It has the status of its time, which may be older than what was pushed then."""
    async with rig("m1", "m2") as made:
        made.see("m2", ready=False, message="away")
        status = {"status": {"observedGeneration": 7}} if restored else {}
        made.hub.put(
            CONFIGMAPS.federated,
            OTHER,
            spec={"template": DATA, "placement": {"clusters": [{"name": "m1"}]}},
            **status,
        )
        await asyncio.sleep(60)
        track = made.world.types["configmaps"].tracks[OTHER]
        assert track.from_the_start is not restored
        assert ("m2" in track.applied) is restored
