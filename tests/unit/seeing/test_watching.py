"""A watch that a person looks on: events as they come, and a new list where it ended too long ago."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from federation.kube.connection import Answer
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.resources import EVENTS
from federation.seeing import watching
from federation.seeing.watching import Watching


def item(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}}


def line(kind: str, found: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": kind, "object": found}) + b"\n"


EXPIRED = line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})


class Server:
    """Answers lists and watches as they are written down."""

    name = "m1"

    def __init__(self, lists: list[Any], watches: list[Any]) -> None:
        self.lists, self.watches = lists, watches
        self.asked: list[str] = []

    async def request(self, method: str, path: str, **_: Any) -> Any:
        found = self.lists.pop(0)
        if isinstance(found, Failure):
            return found
        return Answer(200, orjson.dumps({"metadata": {"resourceVersion": "100"}, "items": found}))

    def stream(self, path: str, params: dict[str, str], **_: Any) -> Any:
        self.asked.append(params["resourceVersion"])
        script = self.watches.pop(0)

        @asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            async def chunks() -> AsyncIterator[bytes]:
                for each in script:
                    yield each

            yield script if isinstance(script, Failure) else chunks()

        return opened()


async def followed(server: Server, count: int) -> list[tuple[str, str]]:
    made = Watching(server, EVENTS, "ns")  # type: ignore[arg-type]
    for each in await made.read():
        made.passed(each)
    found: list[tuple[str, str]] = []
    async for kind, each in made.follow():
        found.append((kind, each["metadata"]["name"] + each["metadata"]["resourceVersion"]))
        if len(found) == count:
            break
    return found


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PAUSE", (0.0, 0.0))


async def test_events_are_passed_on_and_a_watch_that_ends_goes_on() -> None:
    server = Server(
        [[item("a", 1)]],
        [
            [line("ADDED", item("a", 1)), line("MODIFIED", item("a", 101)), line("BOOKMARK", item("", 105))],
            [line("ADDED", item("b", 106)), line("DELETED", item("a", 107))],
        ],
    )
    assert await followed(server, 3) == [("", "a101"), ("", "b106"), ("DELETED", "a107")]
    assert server.asked == ["100", "105"]


async def test_what_has_changed_meanwhile_is_in_the_new_list() -> None:
    away = Failure(FailureKind.UNREACHABLE, "away")
    server = Server(
        [[item("a", 1), item("b", 2)], away, [item("b", 2), item("c", 50)]],
        [away, [EXPIRED], []],
    )
    assert await followed(server, 2) == [("DELETED", "a1"), ("", "c50")]


async def test_a_right_that_is_missing_ends_it() -> None:
    server = Server([[]], [Failure(FailureKind.RIGHT_MISSING, "no", 403)])
    with pytest.raises(ApiFailure):
        await followed(server, 1)


@pytest.mark.parametrize(
    "odd", [b"no json\n", b"[]\n", b'{"type":"ADDED"}\n', b'{"type":"ADDED","object":{"metadata":3}}\n']
)
async def test_an_odd_event_is_a_failure_and_no_end(odd: bytes) -> None:
    server = Server([[], [item("a", 1)]], [itertools.chain([odd, b"\n"]), []])
    assert await followed(server, 1) == [("", "a1")]
