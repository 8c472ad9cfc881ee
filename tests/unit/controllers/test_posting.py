"""Events reach the hub, however often it refuses them: once each, in the end."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation.controllers import posting
from federation.controllers.posting import Poster
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata
from federation.model.resources import EVENTS, Key, ObjectName
from federation.runtime.tasks import Tasks
from tests.fakehub import FakeHub
from tests.unit.controllers.rig import Rig
from tests.unit.virtualtime import settle, virtual

KEY = Key("configmaps", "ns", "web")
AWAY = Failure(FailureKind.UNAVAILABLE, "503", 503)
TIMED_OUT = Failure(FailureKind.TIMED_OUT, "no answer within 30 s")
THROTTLED = Failure(FailureKind.THROTTLED, "429", 429, retry_after=5.0)
FORBIDDEN = Failure(FailureKind.RIGHT_MISSING, 'User "c" cannot create resource "events"', 403)
DENIED = Failure(FailureKind.DENIED, "quota", 403)
CONFLICT = Failure(FailureKind.VERSION_CONFLICT, "conflict", 409)
EXISTS = Failure(FailureKind.ALREADY_EXISTS, "exists", 409)
ENDING = Failure(FailureKind.NAMESPACE_TERMINATING, "ns is being terminated", 403)


def event(name: str) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "ns"}, "reason": "Why", "message": name}


def names(hub: FakeHub) -> list[str]:
    return [each["metadata"]["name"] for each in hub.events]


@pytest.mark.parametrize(
    "failure", [AWAY, TIMED_OUT, THROTTLED, FORBIDDEN, DENIED, CONFLICT], ids=lambda each: each.kind.name
)
def test_an_event_that_is_refused_is_posted_once_that_ends(failure: Failure) -> None:
    @virtual
    async def test() -> None:
        hub, tasks = FakeHub(), Tasks()
        poster = Poster(hub)
        tasks.keep(poster.serve, "events")
        hub.fails = lambda verb, name: failure
        for name in ("one", "two"):
            poster.post(KEY, event(name))
        await asyncio.sleep(3600)
        assert 4 < len(hub.writes) < 300  # patience, and no storm
        hub.fails = lambda verb, name: None
        await asyncio.sleep(700)
        assert sorted(names(hub)) == ["one", "two"]
        hub.writes.clear()
        await asyncio.sleep(3600)
        assert hub.writes == []
        await tasks.cancel()

    test()


@pytest.mark.parametrize("failure", [EXISTS, ENDING], ids=lambda each: each.kind.name)
def test_what_is_stored_already_or_has_no_place_any_more_is_not_posted_again(failure: Failure) -> None:
    @virtual
    async def test() -> None:
        hub, tasks = FakeHub(), Tasks()
        poster = Poster(hub)
        tasks.keep(poster.serve, "events")
        hub.fails = lambda verb, name: failure
        poster.post(KEY, event("one"))
        await asyncio.sleep(3600)
        assert len(hub.writes) == 1
        await tasks.cancel()

    test()


@virtual
async def test_not_more_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "MOST", 3)
    hub, tasks = FakeHub(), Tasks()
    poster = Poster(hub)
    with capture_logs() as logs:
        for number in range(5):
            poster.post(KEY, event(f"e{number}"))
        tasks.keep(poster.serve, "events")
        await settle()
    await tasks.cancel()
    assert names(hub) == ["e2", "e3", "e4"]
    assert [entry["message"] for entry in logs if entry["event"] == "event dropped"] == ["e0", "e1"]


@pytest.mark.parametrize("failure", [AWAY, FORBIDDEN], ids=lambda each: each.kind.name)
def test_why_a_copy_went_is_not_lost_with_an_answer(failure: Failure) -> None:
    @virtual
    async def test() -> None:
        async with Rig("m1", "m2") as rig:
            rig.put()
            await settle()
            rig.hub.fails = lambda verb, name: failure if verb == "create" else None
            rig.put(clusters=("m2",))
            await asyncio.sleep(300)
            assert (rig.data("m1"), rig.hub.events) == (None, [])
            rig.hub.fails = lambda verb, name: None
            await asyncio.sleep(700)
            assert [each["reason"] for each in rig.hub.events] == ["CopyRemoved"]
            assert rig.hub.events[0]["metadata"]["name"].startswith("web.")

    test()


@virtual
async def test_names_are_an_objects_own_and_no_two_are_the_same() -> None:
    """An API server takes `web.<something>`; what is cut of a long name may end in anything."""
    async with Rig("m1") as rig:
        long = ObjectName("ns", "a" * 199 + "-" + "b" * 20)
        for name in (long, ObjectName("ns", "web")):
            rig.put(name, {"data": {"a": "b"}, "status": {}}, clusters=("m1",))
        rig.members["m1"].fails = lambda verb, name: DENIED
        await asyncio.sleep(30)
        found = sorted(names(rig.hub))
        assert len(set(found)) == len(found) >= 2
        assert all(len(name) <= 253 and "-." not in name for name in found)
        assert f"create {EVENTS.plural}" in rig.hub.writes


@virtual
async def test_what_waits_is_posted_when_the_controller_ends() -> None:
    """Also what waits for its time: a removal shares its event with those in other clusters for a while."""
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.hub.fails = lambda verb, name: FORBIDDEN if verb == "create" else None
        rig.events.about(EVENTS, Metadata("old", "ns"), "Normal", "Old", "refused for long")
        await asyncio.sleep(300)
        rig.put(clusters=())
        await settle()
        await rig.tasks.cancel()
        rig.hub.fails = lambda verb, name: None
        assert rig.hub.events == []
        before = asyncio.get_running_loop().time()
        with capture_logs() as logs:
            assert await rig.events.finish(9.0) == 0
        assert sorted(each["reason"] for each in rig.hub.events) == ["CopyRemoved", "Old"]
        assert asyncio.get_running_loop().time() == before
        assert [entry for entry in logs if entry["event"] == "events lost"] == []


@virtual
async def test_an_event_whose_answer_the_end_cut_off_is_stored_once() -> None:
    hub, tasks = FakeHub(), Tasks()
    create = hub.create

    async def slow(*args: Any) -> Failure | None:
        stored = any(each["metadata"]["name"] == args[2]["metadata"]["name"] for each in hub.events)
        refused = EXISTS if stored else await create(*args)
        await asyncio.sleep(1)
        return refused

    hub.create = slow  # type: ignore[method-assign,assignment]
    poster = Poster(hub)
    tasks.keep(poster.serve, "events")
    poster.post(KEY, event("one"))
    await asyncio.sleep(0.5)
    await tasks.cancel()
    assert await poster.finish(9.0) == 0
    assert names(hub) == ["one"]


@pytest.mark.parametrize(
    ("failure", "tries", "lasts"),
    [
        pytest.param(AWAY, range(4, 40), 9.0, id="away"),
        pytest.param(TIMED_OUT, range(4, 40), 9.0, id="timed-out"),
        pytest.param(FORBIDDEN, range(6, 7), 0.0, id="refused"),
    ],
)
def test_what_the_hub_does_not_accept_at_the_end_is_counted(failure: Failure, tries: range, lasts: float) -> None:
    @virtual
    async def test() -> None:
        hub = FakeHub()
        poster = Poster(hub)
        for number in range(6):
            poster.post(KEY, event(f"e{number}"))
        hub.fails = lambda verb, name: failure
        with capture_logs() as logs:
            assert await poster.finish(9.0) == 6
        assert asyncio.get_running_loop().time() == pytest.approx(lasts)
        assert len(hub.writes) in tries
        (lost,) = [entry for entry in logs if entry["event"] == "events lost"]
        assert (lost["events"], len(lost["first"]), lost["log_level"]) == (6, 3, "warning")

    test()


@virtual
async def test_a_hub_that_comes_back_before_the_end_gets_them() -> None:
    hub = FakeHub()
    poster = Poster(hub)
    for number in range(6):
        poster.post(KEY, event(f"e{number}"))
    hub.fails = lambda verb, name: AWAY
    asyncio.get_running_loop().call_later(3, setattr, hub, "fails", lambda verb, name: None)
    assert await poster.finish(9.0) == 0
    assert sorted(names(hub)) == [f"e{number}" for number in range(6)]
