"""Lines of many members as one stream: in their order, whoever is slow or silent, and no end but the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from federation.joining.errors import Refused
from federation.joining.fleet import Member
from federation.joining.reaching import Way
from federation.model.resources import PODS, ObjectName
from federation.seeing import asking, logs, streaming
from federation.seeing.asking import How
from federation.seeing.logs import Options, Source
from federation.seeing.owned import Owned, Tree
from federation.seeing.streaming import Streaming

MANY = 3 * streaming._AHEAD


class FakeReach:
    """Members by name; those in `silent` do not answer, after a while."""

    def __init__(self, silent: tuple[str, ...] = ()) -> None:
        self.silent = silent

    async def way(self, member: Member, lent: Any, *, stored: bool, timeout: float) -> Way:
        if member.name in self.silent:
            await asyncio.sleep(0.01)
            raise Refused(f"does not answer within {timeout:g} s")
        return Way(member.name, own=True)  # type: ignore[arg-type]


def members(*names: str) -> list[Member]:
    return [Member(name, "", "") for name in names]


async def find(cluster: Any) -> Tree:
    pod = Owned(PODS, ObjectName("ns", "web-0"), f"uid-{cluster}", {"app": "web"})
    return Tree("ns", objects={pod.uid: pod})


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sources(connection: Any, cluster: str, pod: Owned, *_: Any) -> list[Source]:
        return [Source(cluster, pod, "app")]

    async def read(connection: Any, source: Source, options: Options) -> AsyncIterator[str]:
        for number in range(MANY if source.cluster == "loud" else 2):
            yield str(number)

    monkeypatch.setattr(logs, "sources", sources)
    monkeypatch.setattr(logs, "read", read)


def run(emit: Callable[[Source, str], None], said: list[str], **how: Any) -> Streaming:
    return Streaming(find, Options(**how), emit, said.append)


async def test_lines_come_in_the_order_of_members_whoever_is_silent_or_loud() -> None:
    lines: list[tuple[str, str]] = []
    said: list[str] = []
    streams = run(lambda source, line: lines.append((source.cluster, line)), said)
    async with asyncio.timeout(20):
        await streams.run(FakeReach(("quiet",)), members("quiet", "a", "loud", "z"), How())  # type: ignore[arg-type]
    assert [cluster for cluster, _ in lines] == ["a"] * 2 + ["loud"] * MANY + ["z"] * 2
    assert streams.failed == {"quiet"}
    assert said == ["warning: quiet: does not answer within 10 s; the others go on"]


async def test_a_reader_that_has_gone_ends_it() -> None:
    def broken(source: Source, line: str) -> None:
        raise BrokenPipeError

    streams = run(broken, [])
    async with asyncio.timeout(20):
        with pytest.raises(BrokenPipeError):
            await streams.run(FakeReach(), members("loud", "a"), How())  # type: ignore[arg-type]


async def test_labels_cut_what_is_read() -> None:
    lines: list[str] = []
    streams = run(lambda source, line: lines.append(line), [])
    streams.matches = lambda labels: labels.get("app") == "db"
    await streams.run(FakeReach(), members("a"), How())  # type: ignore[arg-type]
    assert lines == []
    assert streams.shown == 0


async def test_more_containers_than_may_be_followed_are_an_error() -> None:
    said: list[str] = []
    streams = run(lambda *_: None, said, follow=True)
    streams.most = 0
    await streams.run(FakeReach(), members("a"), How())  # type: ignore[arg-type]
    assert streams.failed == {"a"}
    assert "more than 0 containers" in said[0]


async def test_a_member_that_fails_while_it_is_asked_costs_the_others_nothing() -> None:
    done: list[str] = []

    async def one(member: Member, way: Way) -> None:
        if member.name == "b":
            raise Refused("odd")
        done.append(member.name)

    after: list[str] = []
    silent = await asking.ask(
        FakeReach(),  # type: ignore[arg-type]
        members("a", "b", "c"),
        How(),
        one,
        lambda _: None,
        after=lambda member: after.append(member.name),
    )
    assert (done, silent) == (["a", "c"], {"b": "odd"})
    assert sorted(after) == ["a", "b", "c"]
