"""An object that does not get on says why in its line: others of its type fail, the member asks to wait, or its
namespace does not come. The reason is as of now, and goes when it is over."""

import asyncio
from typing import Any

import pytest

from federation.controllers.lines import ON_ITS_WAY
from federation.core import budget
from federation.kube.members import Written
from federation.model.failures import Failure, FailureKind
from federation.model.resources import ObjectName
from tests.fakes import FakeMember
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import virtual

BOTH = (FEDERATED_NAMESPACES, CONFIGMAPS)
SPACE = ObjectName("", "ns")
NAMES = [ObjectName("ns", f"web-{number}") for number in range(60)]
WEBHOOK = 'conversion webhook for example.com/v1, Kind=Widget failed: Post "https://hook.example/": no route to host'
DOWN = Failure(FailureKind.UNAVAILABLE, WEBHOOK, 500, "InternalError")
BUSY = Failure(FailureKind.THROTTLED, "429: too many requests, please try again later", 429, retry_after=200.0)


def messages(rig: Rig, names: list[ObjectName] | None = None) -> set[tuple[str, str]]:
    """What the lines of these objects in m1 say: status and message, the numbers of objects left out."""
    found = set()
    for name in NAMES if names is None else names:
        status: dict[str, Any] = (rig.stored(name) or {}).get("status", {})
        lines = status.get("clusters", [])
        found |= {(line.get("status", ""), line.get("message", "")) for line in lines}
    return found


@pytest.mark.parametrize("what", ["create", "update", "delete"])
def test_an_object_whose_type_fails_there_says_so_though_it_was_never_tried(what: str) -> None:
    @virtual
    async def test() -> None:
        async with Rig("m1") as rig:
            member = rig.members["m1"]
            if what != "create":
                for name in NAMES:
                    rig.put(name)
                await asyncio.sleep(30)
            rig.quiet()
            member.fails = lambda verb, name: DOWN
            for name in NAMES:
                if what == "delete":
                    rig.delete(name)
                else:
                    rig.put(name, {"data": {"a": what}})
            await asyncio.sleep(40)
            never = [name for name in NAMES if not any(call.endswith(f" {name}") for call in member.calls)]
            assert len(never) > len(NAMES) / 2
            assert all(WEBHOOK in message for _, message in messages(rig))
            assert all("others of them failed" in message for _, message in messages(rig, never))
            rig.quiet()
            await asyncio.sleep(1200)
            assert len(messages(rig)) <= 6, "the reason stays the same while it does"
            member.fails = lambda verb, name: None
            await asyncio.sleep(200)
            assert messages(rig) == (set() if what == "delete" else {("", "")})

    test()


@virtual
async def test_a_member_that_asks_to_wait_is_named_as_the_reason() -> None:
    async with Rig("m1") as rig:
        rig.members["m1"].fails = lambda verb, name: BUSY
        for name in NAMES:
            rig.put(name)
        await asyncio.sleep(60)
        assert all("429: too many requests" in message for _, message in messages(rig))
        rig.members["m1"].fails = lambda verb, name: None
        await asyncio.sleep(400)
        assert messages(rig) == {("", "")}


@virtual
async def test_what_quotes_one_object_is_not_shown_at_others() -> None:
    async with Rig("m1") as rig:
        rig.members["m1"].fails = lambda verb, name: Failure(
            FailureKind.UNAVAILABLE, f"Internal error: {name.name}: secret plan", 500, "InternalError"
        )
        for name in NAMES:
            rig.put(name)
        await asyncio.sleep(40)
        calls = rig.members["m1"].calls
        never = [name for name in NAMES if not any(call.endswith(f" {name}") for call in calls)]
        assert never
        assert all("500 InternalError" in message for _, message in messages(rig, never))
        assert not any("plan" in message for _, message in messages(rig, never))


@virtual
async def test_objects_that_are_merely_many_give_no_reason() -> None:
    async with Rig("m1") as rig:
        rig.members["m1"].gate.clear()
        for name in NAMES:
            rig.put(name)
        await asyncio.sleep(10)
        assert messages(rig) == {("Pending", "no answer from the cluster yet")}


@pytest.mark.parametrize("before", ["new", "placed"])
def test_objects_in_a_namespace_that_does_not_come_say_why(before: str) -> None:
    """Its push times out for ever: what is in it is not there either, whatever its line said before."""

    @virtual
    async def test() -> None:
        async with Rig("m1", types=BOTH) as rig:
            member = rig.members["m1"]
            member.namespaces.clear()
            late = Failure(FailureKind.TIMED_OUT, "no answer within 10 s")
            failing = {SPACE} if before == "new" else set()
            member.fails = lambda verb, name: late if name in failing else None
            rig.put(NS, None, ("m1",), FEDERATED_NAMESPACES)
            rig.put()
            await asyncio.sleep(20)
            if before == "placed":
                assert messages(rig, [WEB]) == {("", "")}
                failing.add(SPACE)
                member.remove(CONFIGMAPS.target, WEB)
                await asyncio.sleep(5)
                assert messages(rig, [WEB]) == {("", "")}  # it was put back
                member.namespaces.clear()
                member.remove(CONFIGMAPS.target, WEB)
                member.remove(FEDERATED_NAMESPACES.target, SPACE)
            for _ in range(6):
                await asyncio.sleep(60)
                waiting = "waiting for the namespace to be created in this cluster: no answer within 10 s"
                assert messages(rig, [WEB]) == {("Pending", waiting)}
                assert rig.condition("Ready")["status"] == "False"
            failing.clear()
            await asyncio.sleep(120)
            assert messages(rig, [WEB]) == {("", "")}
            assert rig.data("m1") == "b"

    test()


@virtual
async def test_a_namespace_held_back_with_its_kind_is_the_reason_for_what_is_in_it() -> None:
    async with Rig("m1", types=BOTH) as rig:
        member = rig.members["m1"]
        member.namespaces.clear()
        spaces = [ObjectName("", f"space-{number}") for number in range(30)]
        member.fails = lambda verb, name: DOWN if name in spaces else None
        for space in spaces:
            rig.put(ObjectName(space.name, space.name), None, ("m1",), FEDERATED_NAMESPACES)
            rig.put(ObjectName(space.name, "web"))
        await asyncio.sleep(60)
        insides = [ObjectName(space.name, "web") for space in spaces]
        found = messages(rig, insides)
        assert all("waiting for the namespace" in message and WEBHOOK[:40] in message for _, message in found), found
        assert all(len(message) <= budget.MESSAGE for _, message in found)
        member.fails = lambda verb, name: None
        await asyncio.sleep(300)
        assert messages(rig, insides) == {("", "")}


class Slow(FakeMember):
    """A member that takes its time for every write."""

    async def apply(self, *arguments: Any, **named: Any) -> Written | Failure:
        await asyncio.sleep(8)
        return await super().apply(*arguments, **named)


@virtual
async def test_what_waits_for_its_turn_is_no_answer_that_the_cluster_owes() -> None:
    """A bulk that takes minutes: nothing was sent yet of most objects, so nobody failed to answer, and no event."""
    rig = Rig("m1")
    member = rig.members["m1"] = Slow()
    async with rig:
        for name in NAMES:
            rig.put(name)
        await asyncio.sleep(33)
        never = [name for name in NAMES if rig.data("m1", name=name) is None]
        assert len(never) > 5, "they would have been reported as timed out by now"
        assert messages(rig) == {("", ""), ("Pending", ON_ITS_WAY)}
        await asyncio.sleep(120)
        assert messages(rig) == {("", "")}
        assert rig.hub.events == []
        assert len(member.objects) == len(NAMES)
