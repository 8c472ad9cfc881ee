"""A watch goes on, whatever object comes: the odd one is told like any other, with why it cannot be read."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.kube import decoding
from federation.kube.connection import Answer, Connection
from federation.kube.listing import Collection
from federation.kube.reflector import Reflector
from federation.model import bounds
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject
from federation.runtime import metrics
from tests.unit.kube.test_reflector import Server, Step, bookmark, event, expired, item, listed, refused
from tests.unit.virtualtime import virtual


class Sink:
    """What it was told, odd objects with an exclamation mark."""

    def __init__(self) -> None:
        self.reported: list[str] = []
        self.holds: dict[str, FederatedObject] = {}

    def replace(self, items: Iterable[FederatedObject]) -> None:
        self.holds = {each.metadata.name: each for each in items}
        self.reported.append("=" + ",".join(map(self._named, self.holds.values())))

    def upsert(self, each: FederatedObject) -> None:
        self.holds[each.metadata.name] = each
        self.reported.append(f"+{self._named(each)}")

    def remove(self, each: FederatedObject) -> None:
        self.holds.pop(each.metadata.name, None)
        self.reported.append(f"-{self._named(each)}")

    @staticmethod
    def _named(each: FederatedObject) -> str:
        return each.metadata.name + ("!" if each.broken else "")


def follow(server: Server) -> tuple[Sink, Reflector[FederatedObject]]:
    sink = Sink()
    collection = Collection(
        path="/api/v1/things",
        decode=decoding.federated,
        version=lambda found: found.metadata.resource_version,
        what="things",
    )
    return sink, Reflector(cast("Connection", server), collection, sink, roll=lambda: 0.0)


async def run(reflector: Reflector[FederatedObject], seconds: float) -> None:
    task = asyncio.create_task(reflector.run())
    await asyncio.sleep(seconds)
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def deep(name: str, version: int, levels: int = 1_100) -> bytes:
    return orjson.dumps(item(name, version))[:-1] + b',"spec":{"x":' + b"[" * levels + b"]" * levels + b"}}"


def reported(kind: str, body: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), body)


@virtual
async def test_poison_in_a_list_and_in_events_stops_nobody() -> None:
    first = Answer(200, b'{"metadata":{"resourceVersion":"10"},"items":[%s,%s]}' % (deep("p", 3), deep("q", 4, 5_000)))
    watch: list[Step] = [
        event("ADDED", item("a", 11)),
        reported("MODIFIED", deep("p", 12)),
        event("ADDED", item("b", 13)),
        reported("ADDED", deep("r", 14, 50_000)),
        reported("DELETED", deep("q", 15)),
        event("MODIFIED", item("p", 16)),
        bookmark(17),
        1000.0,
    ]
    server = Server([first], [watch])
    sink, reflector = follow(server)
    before = metrics.UNREADABLE.labels("m1", "things").now
    await run(reflector, 60)
    assert sink.reported == ["=p!,q!", "+a", "+p!", "+b", "+r!", "-q!", "+p"]
    assert server.verbs() == ["list", "watch@10"]
    assert reflector.failure is None
    assert reflector.synced
    assert metrics.UNREADABLE.labels("m1", "things").now - before == 3  # each once


@virtual
async def test_a_version_that_cannot_be_read_is_no_place_to_go_on_from() -> None:
    odd = orjson.dumps({"metadata": {"name": "a", "resourceVersion": 12}})
    server = Server([listed("10")], [[event("ADDED", item("b", 11)), reported("ADDED", odd), 5.0], [1000.0]])
    sink, reflector = follow(server)
    await run(reflector, 60)
    assert sink.reported == ["=", "+b", "+a!"]
    assert server.verbs() == ["list", "watch@10", "watch@11"]


@pytest.mark.parametrize("wait", [0.0, 0.001, -5.0])
def test_a_retry_after_of_nothing_is_no_loop(wait: float) -> None:
    """However small a Failure's wait may come to be, one collection asks less than twice a second."""

    @virtual
    async def test() -> None:
        server = Server([refused(FailureKind.THROTTLED, retry_after=wait)])
        _, reflector = follow(server)
        await run(reflector, 100)
        assert len(server.verbs()) <= 100 / bounds.SHORTEST_WAIT + 1

    test()


_THROTTLED = event("ERROR", {"kind": "Status", "code": 429, "details": {"retryAfterSeconds": 0}})


@pytest.mark.parametrize(
    "watch",
    [
        pytest.param([b""], id="ends-at-once"),
        pytest.param([expired()], id="gone-at-once"),
        pytest.param([b"<html>\n"], id="html"),
        pytest.param([b'{"type":"ADDED"}\n'], id="no-object"),
        pytest.param([b'{"type":"ADDED","object":{}}\n'], id="no-name"),
        pytest.param([b'{"type":"ADDED","object":[]}\n'], id="no-map"),
        pytest.param([b'{"type":"BOOKMARK","object":{}}\n'], id="no-version"),
        pytest.param([b'{"type":"ERROR","object":{"code":"x"}}\n'], id="error-without-a-code"),
        pytest.param([_THROTTLED], id="throttled-by-nothing"),
        pytest.param([reported("ERROR", b'{"x":' + b"[" * 3_000 + b"]" * 3_000 + b"}")], id="a-deep-error"),
        pytest.param([reported("BOOKMARK", b'{"x":' + b"[" * 3_000 + b"]" * 3_000 + b"}")], id="a-deep-bookmark"),
        pytest.param([reported("WHAT", b'{"x":' + b"[" * 3_000 + b"]" * 3_000 + b"}")], id="a-deep-nothing"),
        pytest.param([b"[" * 100_000 + b"\n"], id="brackets"),
        pytest.param([b"\xff\xfe\n"], id="no-text"),
    ],
)
def test_whatever_ends_a_watch_it_is_not_asked_in_a_loop(watch: list[Step]) -> None:
    """Five questions may follow each other at once; in ten minutes there are not many more than minutes."""

    @virtual
    async def test() -> None:
        server = Server([listed("10", item("a", 3))], [watch])
        sink, reflector = follow(server)
        await run(reflector, 600)
        assert sink.holds.keys() == {"a"}
        assert len(server.verbs()) < 150

    test()


events = st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "", "added"])
json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 70) | st.text(max_size=5) | st.sampled_from(["name", "5", "410"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metadata", "name", "resourceVersion", "code", "kind", "x"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(st.lists(st.tuples(events, json) | st.binary(max_size=40), max_size=6))
def test_any_stream_is_followed_or_asked_again(parts: list[Any]) -> None:
    stream: list[Step] = []
    for part in parts:
        if isinstance(part, bytes):
            stream.append(part + b"\n")
        else:
            with contextlib.suppress(TypeError):  # integers that this encoder does not write
                stream.append(orjson.dumps({"type": part[0], "object": part[1]}) + b"\n")

    @virtual
    async def test() -> None:
        server = Server([listed("10", item("a", 3))], [[*stream, event("ADDED", item("last", 99))], [1000.0]])
        sink, reflector = follow(server)
        await run(reflector, 120)
        assert reflector.failure is None
        assert sink.holds

    test()


async def test_a_burst_of_events_lets_others_have_their_turn() -> None:
    burst = b"".join(event("ADDED", item(f"n{at}", at)) for at in range(2_000))
    server = Server([listed("10")], [[burst, 1000.0]])
    sink, reflector = follow(server)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1 if 0 < len(sink.holds) < 2_000 else 0
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    following = asyncio.create_task(reflector.run())
    while len(sink.holds) < 2_000:  # noqa: ASYNC110 - turn by turn
        await asyncio.sleep(0)
    for each in (task, following):
        each.cancel()
    await asyncio.gather(task, following, return_exceptions=True)
    assert turns >= 5


def test_a_failure_of_a_list_is_told_in_words() -> None:
    collection: Collection[Any] = Collection(path="/x", decode=decoding.metadata, version=str, what="things")
    output = collection.unreadable(RecursionError("maximum recursion depth exceeded"))
    assert isinstance(output, Failure)
    assert "nests deeper" in output.message
