"""Events of many members: in one list, and then as they come, whoever is silent."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from federation.joining.errors import Refused
from federation.joining.fleet import Member
from federation.joining.reaching import Way
from federation.seeing import events
from federation.seeing.asking import How
from federation.seeing.events import Event, Interest
from federation.seeing.gathering import Gathering


def event(cluster: str, minute: int, reason: str = "Pulled") -> Event:
    at = dt.datetime(2026, 1, 1, 12, minute, tzinfo=dt.UTC)
    return Event(cluster, f"{cluster}{minute}", "1", at, "Normal", reason, "pod/web-0", "shop", "m")


class FakeReach:
    """Members by name; `silent` does not answer."""

    async def way(self, member: Member, lent: Any, *, stored: bool, timeout: float) -> Way:
        await asyncio.sleep(0.01 if member.name == "silent" else 0)
        if member.name == "silent":
            raise Refused("away")
        return Way(member.name, own=True)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(watching: Any, cluster: str, interest: Interest) -> list[Event]:
        return [event(cluster, 1 if cluster == "b" else 2)]

    async def follow(watching: Any, cluster: str, interest: Interest) -> AsyncIterator[Event]:
        yield event(cluster, 5, "Later")

    monkeypatch.setattr(events, "read", read)
    monkeypatch.setattr(events, "follow", follow)


async def look(connection: Any) -> Interest:
    return Interest("shop")


def members(*names: str) -> list[Member]:
    return [Member(name, "", "") for name in names]


async def test_one_list_by_time() -> None:
    run = Gathering(look, lambda _: None)
    await run.once(FakeReach(), members("a", "silent", "b"), How())  # type: ignore[arg-type]
    assert [each.cluster for each in run.found] == ["b", "a"]
    assert run.failed == {"silent"}


@pytest.mark.parametrize("names", [("a", "b"), ("a", "silent", "b"), ("silent",), ()])
async def test_what_there_is_comes_once_and_before_what_comes_later(names: Sequence[str]) -> None:
    shown: list[str] = []
    run = Gathering(look, lambda _: None)

    def begin(found: Sequence[Event]) -> None:
        shown.append("|".join(each.cluster for each in found))

    async with asyncio.timeout(10):
        await run.follow(
            FakeReach(),  # type: ignore[arg-type]
            members(*names),
            How(),
            begin,
            lambda each: shown.append(each.reason),
        )
    there = [name for name in names if name != "silent"]
    assert shown == ["|".join(sorted(there, reverse=True)), *["Later"] * len(there)]
