"""Servers that have gone back in time: each sign of it has everything listed again, and nothing else has."""

import asyncio

import pytest

from federation.kube.reflector import BACK_AGAIN
from federation.model.failures import Failure, FailureKind
from federation.runtime.spacing import Spacing
from tests.unit.kube.test_reflector import Following, Server, Step, bookmark, event, expired, item, listed, refused
from tests.unit.virtualtime import virtual

BEFORE = listed("900", item("a", 800))
AFTER = listed("500", item("a", 400))


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param(bookmark(500), id="bookmark"),
        pytest.param(event("MODIFIED", item("a", 500)), id="event"),
        pytest.param(event("DELETED", item("a", 500)), id="deletion"),
    ],
)
@virtual
async def test_a_watch_that_shows_something_older_is_followed_by_a_list(sign: bytes) -> None:
    server = Server([BEFORE, AFTER], [[1.0, sign, 3600.0], [3600.0]])
    following = Following(server)
    await following.run(10.0)
    assert server.verbs() == ["list", "watch@900", "list", "watch@500"]
    assert following.reflector.restored == 1
    assert following.sink.holds == {"a": "400"}
    assert set(following.changes) == {"ok"}, "it is no failure"


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([1.0, bookmark(900), event("MODIFIED", item("a", 901)), bookmark(901)], id="the-same"),
        pytest.param([1.0, event("MODIFIED", item("a", 1000))], id="one-more-digit"),
        pytest.param([1.0, event("MODIFIED", {"metadata": {"name": "a", "namespace": "ns"}})], id="none"),
        pytest.param(
            [1.0, event("MODIFIED", {"metadata": {"name": "a", "namespace": "ns", "resourceVersion": "x7"}})], id="text"
        ),
    ],
)
@virtual
async def test_other_versions_are_no_sign(steps: list[Step]) -> None:
    server = Server([BEFORE], [[*steps, 3600.0]])
    following = Following(server)
    await following.run(10.0)
    assert server.verbs() == ["list", "watch@900"]
    assert following.reflector.restored == 0


@virtual
async def test_an_api_whose_versions_have_no_order_is_not_listed_again_and_again() -> None:
    """Once a minute, at most."""
    jumps: list[Step] = [
        step for version in (500, 899, 300, 700) for step in (1.0, event("MODIFIED", item("a", version)))
    ]
    server = Server([BEFORE], [[*jumps, BACK_AGAIN - 10, *jumps, 3600.0]])
    await Following(server).run(BACK_AGAIN - 20)
    assert server.verbs().count("list") == 2


@virtual
async def test_a_list_that_is_older_than_the_one_before_is_a_sign() -> None:
    """After a 410, and when the versions that the watch had shown are newer than the list."""
    server = Server([BEFORE, listed("940")], [[1.0, event("ADDED", item("b", 950)), expired()], [3600.0]])
    following = Following(server)
    await following.run(10.0)
    assert server.verbs() == ["list", "watch@900", "list", "watch@940"]
    assert following.reflector.restored == 1
    assert following.sink.holds == {}


@pytest.mark.parametrize("version", ["900", "901", "x"])
@virtual
async def test_any_other_list_is_none(version: str) -> None:
    server = Server([BEFORE, listed(version)], [[1.0, expired()], [3600.0]])
    following = Following(server)
    await following.run(10.0)
    assert following.reflector.restored == 0


@virtual
async def test_a_member_that_was_away_is_listed_again_though_its_versions_have_overtaken_ours() -> None:
    """The watch goes on at once, and the list follows a second later."""
    server = Server(
        [BEFORE, listed("2000"), listed("2000", item("a", 1900))],
        [[1.0], refused(FailureKind.UNREACHABLE), [3600.0]],
    )
    following = Following(server, relists=Spacing(1.0, 0.05))
    await following.run(30.0)
    assert server.verbs() == ["list", "watch@900", "watch@900", "watch@900", "list", "list", "watch@2000"]
    assert following.sink.holds == {"a": "1900"}
    resumed, anew = server.times("watch")[2], server.times("list")[2]
    assert anew - resumed == pytest.approx(1.0)
    assert following.reflector.restored == 0


@virtual
async def test_events_are_taken_in_until_then() -> None:
    server = Server(
        [BEFORE, listed("2000"), listed("2001", item("a", 1900), item("b", 2001))],
        [[1.0], refused(FailureKind.UNREACHABLE), [0.5, event("ADDED", item("b", 2001)), 3600.0], [3600.0]],
    )
    following = Following(server, relists=Spacing(1.0, 0.05))
    await following.run(30.0)
    assert following.sink.reported == ["=a", "+b@2001", "=a,b"]


@virtual
async def test_a_blink_costs_no_list() -> None:
    """The watch is cut, and can be opened at once: nothing was restored in that time."""
    server = Server([BEFORE], [[2.0, OSError("reset")], [2.0], [3600.0]])
    following = Following(server, relists=Spacing(1.0, 0.05))
    await following.run(60.0)
    assert server.verbs().count("list") == 1


@virtual
async def test_a_list_can_be_asked_for() -> None:
    """By whoever has seen that what was observed may be wrong; several ask for one list."""
    server = Server([BEFORE, listed("950")])
    following = Following(server, relists=Spacing(1.0, 0.05))
    task = asyncio.create_task(following.reflector.run())
    await asyncio.sleep(5.0)
    for _ in range(3):
        following.reflector.renew()
    await asyncio.sleep(5.0)
    task.cancel()
    assert server.verbs() == ["list", "watch@900", "list", "watch@950"]
    assert server.times("list")[1] == pytest.approx(6.0)
    assert following.changes == ["ok"]


@virtual
async def test_a_list_that_was_asked_for_comes_after_the_outage_that_began_meanwhile() -> None:
    watches: list[list[Step] | Failure] = [
        [3.0, OSError("reset")],
        *[refused(FailureKind.UNREACHABLE) for _ in range(4)],
        [3600.0],
    ]
    server = Server([BEFORE, listed("950")], watches)
    following = Following(server, relists=Spacing(1.5, 0.05))
    task = asyncio.create_task(following.reflector.run())
    await asyncio.sleep(2.0)
    following.reflector.renew()
    await asyncio.sleep(30.0)
    task.cancel()
    assert server.verbs()[-2:] == ["list", "watch@950"]


@virtual
async def test_lists_of_a_crowd_are_spread() -> None:
    spacing = Spacing(1.0, 0.5)
    assert [spacing.next() for _ in range(3)] == [1.0, 1.5, 2.0]
    await asyncio.sleep(10.0)
    assert spacing.next() == pytest.approx(11.0)
