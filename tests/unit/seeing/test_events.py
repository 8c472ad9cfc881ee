"""Events as they are shown, and which are of interest."""

import datetime as dt
from typing import Any

import pytest

from federation.model.resources import PODS, ObjectName
from federation.seeing import events, owned
from federation.seeing.events import Interest
from federation.seeing.owned import REPLICA_SETS, Owned, Tree


class Member:
    """A connection whose clock stands still."""

    name = "m1"
    clock = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).timestamp()


def item(uid: str = "u1", kind: str = "Pod", name: str = "web-0", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "metadata": {"name": "e", "namespace": "shop", "uid": "e1", "resourceVersion": "5"},
        "involvedObject": {"kind": kind, "name": name, "uid": uid},
        "type": "Warning",
        "reason": "BackOff",
        "message": "again",
        "lastTimestamp": "2026-01-01T11:59:00Z",
    }
    return found | more


def tree() -> Tree:
    pod = Owned(PODS, ObjectName("shop", "web-0"), "u1", {"tier": "front"}, ("rs",))
    return Tree("shop", (REPLICA_SETS, PODS), {"u1": pod})


@pytest.mark.parametrize(
    ("more", "when"),
    [
        ({}, "11:59"),
        ({"lastTimestamp": None, "eventTime": "2026-01-01T10:00:00.123456Z"}, "10:00"),
        ({"series": {"lastObservedTime": "2026-01-01T11:30:00.000000Z", "count": 4}}, "11:30"),
        ({"lastTimestamp": "odd", "firstTimestamp": 7}, "00:00"),
    ],
)
def test_when_it_was_last_seen(more: dict[str, Any], when: str) -> None:
    assert f"{events.at(item(**more)):%H:%M}" == when


def test_a_line_of_it_is_one_line() -> None:
    found = events.event("m1", item(message="a\x1b[31m\nb", count=3, reason=["odd"]))
    assert (found.about, found.count) == ("pod/web-0", 3)
    assert "\n" not in found.message
    assert "\x1b" not in found.message
    odd = events.event("m1", {"metadata": {}, "involvedObject": "odd", "count": -1, "series": "odd"})
    assert (odd.about, odd.count) == ("/", 1)


async def asked(interest: Interest, found: dict[str, Any], *, look: bool = False) -> bool:
    return await interest.has(Member(), found, look=look)  # type: ignore[arg-type]


async def test_what_is_of_interest() -> None:
    interest = Interest("shop", tree())
    assert await asked(interest, item())
    assert not await asked(interest, item("other"))
    assert await asked(Interest("shop"), item("other"))
    assert not await asked(Interest("shop", types=frozenset({"Normal"})), item())
    assert await asked(Interest("shop", since=90), item())
    assert not await asked(Interest("shop", since=30), item())
    assert not await asked(Interest("shop", tree(), matches=lambda labels: labels == {}), item())


async def test_what_comes_later_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    async def one(connection: Any, known: Tree, resource: Any, name: str) -> None:
        looked.append(f"{resource.kind}/{name}")
        if name == "web-1":
            known.objects["u2"] = Owned(PODS, ObjectName("shop", name), "u2")

    monkeypatch.setattr(owned, "one", one)
    interest = Interest("shop", tree())
    assert await asked(interest, item("u2", name="web-1"), look=True)
    for _ in range(2):
        assert not await asked(interest, item("u3", name="db-0"), look=True)
        assert not await asked(interest, item("u4", "ConfigMap", "x"), look=True)
    assert looked == ["Pod/web-1", "Pod/db-0"]
