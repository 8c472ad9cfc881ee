"""One write for a settled change, a bounded few while it moves, and one copy of the status in memory."""

import asyncio
import itertools
from collections.abc import Callable, Iterator

import orjson

from federation.core import budget, cadence
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject
from federation.model.resources import Key
from tests.unit.controllers.rig import CONFIGMAPS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

UNAVAILABLE = Failure(FailureKind.UNAVAILABLE, "503", 503)


def stored(rig: Rig) -> FederatedObject:
    item = rig.world.types["configmaps"].objects.get(WEB)
    assert item is not None
    return item


@virtual
async def test_many_clusters_of_which_some_are_late_are_one_write() -> None:
    names = [f"m{number:02d}" for number in range(50)]
    async with Rig(*names) as rig:
        rig.members["m07"].gate.clear()
        rig.put()
        await asyncio.sleep(cadence.settle(50) - 0.1)
        assert rig.hub.writes.count("status ns/web") == 0
        rig.members["m07"].gate.set()
        await settle()
        assert rig.hub.writes.count("status ns/web") == 1
        assert rig.lines() == dict.fromkeys(names, "")


@virtual
async def test_users_see_progress_within_the_bound() -> None:
    async with Rig(*(f"m{number:02d}" for number in range(50))) as rig:
        rig.members["m07"].gate.clear()
        rig.put()
        await asyncio.sleep(cadence.settle(50) + 0.6)
        assert rig.condition("Ready")["reason"] == "Progressing"
        assert rig.hub.writes.count("status ns/web") == 1


@virtual
async def test_changes_that_settle_at_once_are_a_write_a_second_where_they_are_dear() -> None:
    async with Rig(*(f"m{number:03d}" for number in range(100))) as rig:
        rig.put()
        await settle()
        rig.quiet()
        await asyncio.sleep(2)
        for number in range(20):
            rig.put(template={"data": {"a": str(number)}})
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        assert 2 <= rig.hub.writes.count("status ns/web") <= 4
        assert rig.condition("Ready")["observedGeneration"] == 21


@virtual
async def test_of_an_object_that_goes_only_what_hangs_or_fails_is_reported() -> None:
    """Its status goes with it: while copies disappear one after another nobody needs a report of each."""
    names = [f"m{number:02d}" for number in range(10)]
    async with Rig(*names) as rig:
        rig.put()
        await settle()
        rig.quiet()
        for fake in rig.members.values():
            fake.delay_events = True
        rig.delete()
        for fake in rig.members.values():
            await asyncio.sleep(1)
            fake.delay_events = False
            fake.deliver()
        await settle()
        assert rig.stored() is None
        assert rig.hub.writes.count("status ns/web") == 0


@virtual
async def test_of_an_object_that_goes_a_failure_is_reported_as_of_any_other() -> None:
    async with Rig("m1", "m2", "m3") as rig:
        rig.put()
        await settle()
        rig.members["m1"].gate.clear()
        rig.members["m2"].fails = lambda verb, name: UNAVAILABLE
        rig.delete()
        await asyncio.sleep(cadence.settle(3) + 1)
        assert rig.lines() == {"m1": "WaitingForRemoval", "m2": "DeletionFailed"}
        rig.members["m2"].fails = lambda verb, name: None
        await asyncio.sleep(2 * cadence.REMIND)
        assert rig.lines() == {"m1": "DeletionTimedOut"}
        rig.members["m1"].gate.set()
        await asyncio.sleep(60)
        assert rig.stored() is None


@virtual
async def test_of_a_status_that_is_ours_only_a_hash_is_kept_beside_the_track() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        assert (bytes(stored(rig).status), stored(rig).status_hash != 0) == (b"", True)
        rig.put(template={"data": {"a": "c"}})
        await settle()
        assert bytes(stored(rig).status) == b""
        rig.hub.put(CONFIGMAPS.federated, WEB, metadata={"annotations": {"example.com/seen": "today"}})
        await settle()
        assert (bytes(stored(rig).status), stored(rig).metadata.annotations) == (b"", {"example.com/seen": "today"})
        assert rig.lines() == {"m1": "", "m2": ""}
        rig.quiet()
    async with Rig("m1", "m2", after=rig) as again:
        await settle()
        assert bytes(stored(again).status) == b""
        assert again.asked == {}


@virtual
async def test_a_track_that_is_lost_is_begun_from_what_the_hub_stores() -> None:
    """Its status was not kept: without it, what may be in members would be forgotten."""
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        before = rig.track().applied
        del rig.world.types["configmaps"].tracks[WEB]
        rig.quiet()
        assert stored(rig).status_hash
        rig.sync.changed(Key("configmaps", *WEB))
        await settle()
        assert rig.track().applied == before
        assert rig.asked == {}


@virtual
async def test_a_hub_that_does_not_take_a_status_is_not_sent_it_at_each_answer_of_a_member() -> None:
    """It is large, and the hub has trouble already: a hundred members that are tried again bring no more of them."""
    async with Rig(*(f"m{number:03d}" for number in range(100))) as rig:
        for fake in rig.members.values():
            fake.fails = lambda verb, name: Failure(FailureKind.DENIED, "no room", 403)
        sent: list[float] = []

        def fails(verb: str, _: object) -> Failure | None:
            if verb == "status":
                sent.append(asyncio.get_running_loop().time())
            return UNAVAILABLE if verb == "status" else None

        rig.hub.fails = fails
        rig.put()
        await asyncio.sleep(600)
        assert 10 < len(sent) < 40
        assert min(later - earlier for earlier, later in itertools.pairwise(sent)) >= 1.0

        rig.put(template={"data": {"a": "c"}})
        before = len(sent)
        await asyncio.sleep(2)
        assert len(sent) > before, "what a user changed is not behind a pause of what was before"
        rig.hub.fails = lambda verb, name: None
        await asyncio.sleep(60)
        assert rig.condition("Ready")["observedGeneration"] == 2


@virtual
async def test_a_thousand_clusters_that_each_fail_differently_are_a_write_a_second_and_within_the_budget() -> None:
    """Each at another moment, and at each try with other words: the status moves all the time."""
    names = [f"m{number:04d}" for number in range(1000)]
    async with Rig(*names) as rig:
        sent: list[float] = []

        def noted(verb: str, _: object) -> Failure | None:
            if verb == "status":
                sent.append(asyncio.get_running_loop().time())
            return None

        def refusing(name: str, tries: Iterator[int]) -> Callable[[str, object], Failure]:
            return lambda verb, _: Failure(FailureKind.DENIED, f"{name}, {next(tries)}: <nil> {'no ' * 100}", 403)

        rig.hub.fails = noted
        for name, fake in rig.members.items():
            fake.fails = refusing(name, itertools.count(1))
        for number, fake in enumerate(rig.members.values()):
            fake.gate.clear()
            asyncio.get_running_loop().call_later(number / 500, fake.gate.set)
        rig.put()
        await asyncio.sleep(60)
        assert 3 < len(sent) <= 60
        assert min(later - earlier for earlier, later in itertools.pairwise(sent)) >= 1.0
        status = (rig.stored() or {})["status"]
        assert {each["name"] for each in status["clusters"] if each["message"].startswith(each["name"])} == set(names)
        assert len(orjson.dumps(status).replace(b"<", b"\\u003c").replace(b">", b"\\u003e")) <= budget.TOTAL
