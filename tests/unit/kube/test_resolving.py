"""Names whose servers keep silent delay nobody but those who ask for them, under asyncio and under uvloop."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from federation.kube import resolving
from federation.kube.connection import Connection
from federation.kube.endpoint import Endpoint
from federation.kube.resolving import Resolver
from federation.model.failures import Failure, FailureKind

SILENT = 64
"""Names nobody answers for: more than any shared pool has threads."""


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """getaddrinfo that never comes back for `silent-...`, and what it was asked for."""
    ends = threading.Event()
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *args: Any) -> Any:
        asked.append(host)
        if host.startswith("silent-"):
            ends.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "nobody answers")
        if host.startswith("nobody-"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return real("127.0.0.1", *args)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield asked
    ends.set()


LOOPS: list[Any] = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(uvloop.new_event_loop, id="uvloop"),
]


@pytest.mark.parametrize("loop", LOOPS)
def test_silent_names_delay_nobody_else(loop: Callable[[], Any], silence: list[str]) -> None:
    async def test() -> None:
        resolver = Resolver()
        silent = [asyncio.create_task(resolver.resolve(f"silent-{at}", 443)) for at in range(SILENT)]
        await asyncio.sleep(0)
        async with asyncio.timeout(20):  # would not pass before the silent ones had ended
            for at in range(20):
                found = await resolver.resolve(f"answers-{at}", 443)
                assert [each[4] for each in found] == [("127.0.0.1", 443)]
        assert not any(task.done() for task in silent)
        for task in silent:
            task.cancel()
        await asyncio.gather(*silent, return_exceptions=True)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(test())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_with_a_silent_name_times_out_and_others_go_on(
    loop: Callable[[], Any], silence: list[str]
) -> None:
    async def test() -> None:
        silent = [Connection(f"m{at}", Endpoint(f"https://silent-{at}:6443")) for at in range(8)]
        answering = Connection("hub", Endpoint("http://answers:1"))
        waits = [asyncio.create_task(each.request("GET", "/", deadline=0.5)) for each in silent]
        refused = await answering.request("GET", "/", deadline=20.0)
        assert isinstance(refused, Failure)
        assert refused.kind is FailureKind.UNREACHABLE  # its name was resolved: nobody listens there
        assert "cannot connect" in refused.message
        for outcome in await asyncio.gather(*waits):
            assert isinstance(outcome, Failure)
            assert outcome.kind is FailureKind.TIMED_OUT
        for each in (*silent, answering):
            await each.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(test())


async def test_a_name_is_looked_up_once_for_all_who_ask(silence: list[str]) -> None:
    resolver = Resolver()
    tasks = [asyncio.create_task(resolver.resolve("silent-one", 443)) for _ in range(50)]
    await asyncio.sleep(0.05)
    assert silence == ["silent-one"]
    tasks[0].cancel()  # the others still wait
    await asyncio.sleep(0)
    assert not tasks[1].done()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_addresses_are_never_looked_up(silence: list[str]) -> None:
    for server in ("http://127.0.0.1:1", "http://[::1]:1"):
        connection = Connection("m1", Endpoint(server))
        assert isinstance(await connection.request("GET", "/"), Failure)
        await connection.close()
    assert silence == []


async def test_what_has_no_address_is_said_so(silence: list[str]) -> None:
    connection = Connection("m1", Endpoint("https://nobody-here:6443"))
    failure = await connection.request("GET", "/")
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.UNREACHABLE
    assert "https://nobody-here:6443" in failure.message
    await connection.close()


async def test_there_is_an_end_to_names(silence: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever server they are of: every connection pool has a resolver of its own."""
    monkeypatch.setattr(resolving, "_threads", threading.BoundedSemaphore(3))
    tasks = [asyncio.create_task(Resolver().resolve(f"silent-{at}", 443)) for at in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="too many host names"):
        await Resolver().resolve("answers", 443)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_each_answer_makes_room_for_another_name(silence: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "_threads", threading.BoundedSemaphore(1))
    resolver = Resolver()
    assert await resolver.resolve("answers", 443)
    with pytest.raises(OSError, match="no such name"):
        await resolver.resolve("nobody-there", 443)
    assert await Resolver().resolve("answers", 443)


async def test_where_no_thread_can_be_started_the_name_fails_and_not_the_next(
    silence: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "_threads", threading.BoundedSemaphore(1))
    resolver, start = Resolver(), threading.Thread.start

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="can't start new thread"):
        await resolver.resolve("answers", 443)
    monkeypatch.setattr(threading.Thread, "start", start)
    assert await resolver.resolve("answers", 443)
