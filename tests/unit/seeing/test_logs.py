"""The lines of logs: split from pieces, told from those that were shown before, and the state of containers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.kube.connection import Answer, encode
from federation.model.failures import Failure, FailureKind
from federation.model.resources import PODS, ObjectName
from federation.seeing import logs
from federation.seeing.logs import Options, Source
from federation.seeing.owned import Owned

POD = Owned(PODS, ObjectName("ns", "web-0"), "u1")
SOURCE = Source("m1", POD, "app")


async def pieces(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def lines(parts: Sequence[bytes]) -> list[bytes]:
    return [line async for line in logs.split(pieces(parts))]


@given(st.lists(st.sampled_from([b"a", b"\n", b"bc\nd", b"", b"\n\n"]), max_size=12))
async def test_lines_do_not_depend_on_the_pieces(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    expected = whole.split(b"\n")
    assert await lines(parts) == (expected[:-1] if not expected[-1] else expected)


async def test_a_line_without_an_end_needs_no_memory_without_an_end() -> None:
    found = await lines([b"x" * 1000] * 200)
    assert max(map(len, found)) <= logs.LONGEST
    assert sum(map(len, found)) == 200_000


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web-0", "uid": "u1"}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("status", "running", "started", "over"),
    [
        ({}, False, False, False),
        ({"phase": "Pending", "containerStatuses": [{"name": "app", "state": {"waiting": {}}}]}, False, False, False),
        ({"phase": "Running", "containerStatuses": [{"name": "app", "state": {"running": {}}}]}, True, True, False),
        (
            {"phase": "Running", "containerStatuses": [{"name": "app", "restartCount": 2, "state": {"waiting": {}}}]},
            False,
            True,
            False,
        ),
        ({"phase": "Failed", "containerStatuses": [{"name": "app", "state": {"terminated": {}}}]}, False, True, True),
        ({"phase": "Running", "containerStatuses": ["odd", {"name": "app", "state": None}]}, False, False, False),
    ],
)
def test_how_a_container_is(status: dict[str, Any], running: bool, started: bool, over: bool) -> None:
    found = logs.state(pod(**status), "app")
    assert (found.running, found.started, found.over) == (running, started, over)


def test_the_default_container() -> None:
    spec = {"initContainers": [{"name": "init"}], "containers": [{"name": "a"}, {"name": "b"}]}
    found: dict[str, Any] = {"metadata": {"name": "p"}, "spec": spec}
    assert logs.default(found) == "a"
    assert logs.containers(found) == ["init", "a", "b"]
    found["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "b"}
    assert logs.default(found) == "b"
    found["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "gone"}
    assert logs.default(found) == "a"


class Scripted:
    """A member whose answers are written down: `pods` are the Pod at each look, `streams` the bytes of each log."""

    name = "m1"

    def __init__(self, pods: list[Any], streams: list[list[bytes] | Failure]) -> None:
        self.pods, self.streams = pods, streams
        self.asked: list[dict[str, str]] = []

    async def request(self, method: str, path: str, **_: Any) -> Any:
        found = self.pods.pop(0) if len(self.pods) > 1 else self.pods[0]
        if found is None:
            return Failure(FailureKind.NOT_FOUND, "gone", 404)
        return Answer(200, encode(found))

    def stream(self, path: str, params: Any, **_: Any) -> Any:
        self.asked.append(dict(params))
        script = self.streams.pop(0)

        @asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            yield script if isinstance(script, Failure) else pieces(script)

        return opened()


def running(instance: int = 0) -> dict[str, Any]:
    state = {"name": "app", "restartCount": instance, "containerID": f"c{instance}", "state": {"running": {}}}
    return pod(phase="Running", containerStatuses=[state])


async def followed(member: Scripted, monkeypatch: pytest.MonkeyPatch, options: Options | None = None) -> list[str]:
    monkeypatch.setattr(logs, "_PAUSE", (0.0, 0.0))
    reading = logs.read(member, SOURCE, options or Options(follow=True))  # type: ignore[arg-type]
    return [line async for line in reading]


async def test_a_stream_that_broke_goes_on_after_the_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    at = b"2026-01-01T00:00:0%d.000000001Z %s\n"
    member = Scripted(
        [running(), running(), None],
        [
            [at % (1, b"one"), at % (2, b"two"), at % (2, b"two, too")],
            [at % (1, b"one"), at % (2, b"two"), at % (2, b"two, too"), at % (2, b"new"), at % (3, b"three")],
        ],
    )
    assert await followed(member, monkeypatch) == ["one", "two", "two, too", "new", "three"]
    assert "sinceTime" not in member.asked[0]
    assert member.asked[1]["sinceTime"] == "2026-01-01T00:00:02Z"


async def test_another_instance_is_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Scripted(
        [running(), running(1), None],
        [[b"2026-01-01T00:00:05Z old\n"], [b"2026-01-01T00:00:05Z new\n"]],
    )
    assert await followed(member, monkeypatch, Options(follow=True, tail=1)) == ["old", "new"]
    assert [query.get("tailLines") for query in member.asked] == ["1", None]
    assert "sinceTime" not in member.asked[1]


async def test_a_container_that_is_about_to_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Failure(FailureKind.INVALID, "container is waiting to start", 400)
    member = Scripted([pod(), running(), running(), None], [refused, [b"2026-01-01T00:00:05Z here\n"]])
    assert await followed(member, monkeypatch) == ["here"]


async def test_timestamps_are_shown_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    line = b"2026-01-01T00:00:05.000000000Z here"
    member = Scripted([running(), None], [[line]])
    assert await followed(member, monkeypatch, Options(follow=True, timestamps=True)) == [line.decode()]
