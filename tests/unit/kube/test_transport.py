"""Connections on real sockets, on asyncio and uvloop: reuse, repeated requests, TLS sessions, proxies, backpressure."""

import asyncio
import base64
import functools
import re
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from federation.kube.connection import JSON, JSON_PATCH, METADATA, Answer, Connection
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.pool import FEW
from federation.kube.sockets import TooMany, sockets
from federation.kube.tls import Trust
from federation.kube.transport import AHEAD
from federation.model.failures import Failure, FailureKind
from federation.playground import pki

OPEN = "/api/v1/namespaces/kube-system"
LONG = 30.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
TOKEN = "hunter2"


def both(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on both event loops."""

    @pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
    def run(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class Server:
    """A server that reads whole requests and leaves the rest to `answer`, which gets the connection's writer."""

    def __init__(self, answer: "Answering") -> None:
        self._answer = answer
        self.connections = 0
        self.requests: list[bytes] = []
        """Heads, in order."""
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()
        """A client has closed its connection."""
        self.resumed: list[bool] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        secured = writer.get_extra_info("ssl_object")
        if secured is not None:
            self.resumed.append(bool(secured.session_reused))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                self.requests.append(head)
                self.asked.set()
                await self._answer(self, reader, writer, int(length[1]) if length else 0)
                if writer.is_closing():
                    break
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            self.closed.set()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def end(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.01)


Answering = Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Answering, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(answer)
    listening = await asyncio.start_server(server.talk, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listening.close()
        await server.end()


@asynccontextmanager
async def connected(url: str, trust: Trust | None = None, **how: Any) -> AsyncIterator[Connection]:
    connection = Connection("m1", Endpoint(url, trust, Credentials(f"Bearer {TOKEN}"), **how), agent="tests")
    before = sockets.open
    try:
        yield connection
    finally:
        await connection.close()
        await asyncio.sleep(0.01)
        assert sockets.open == before, "every connection is closed and counted"


async def well(_: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int) -> None:
    await reader.readexactly(length)
    writer.write(OK)
    await writer.drain()


def failed(outcome: Answer | Failure) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


@functools.cache
def authority() -> pki.KeyPair:
    return pki.authority("one")


@functools.cache
def server_tls() -> ssl.SSLContext:
    pair = pki.serving(authority(), "server", dns=("server", "localhost"), ips=("127.0.0.1",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as directory:
        stored = Path(directory, "server.pem")
        stored.write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(stored)
    return context


def trusting() -> Trust:
    return Trust(ca=authority().certificate)


# --- reuse ---------------------------------------------------------------------------------------------------------


@both
async def test_requests_share_connections_and_a_watch_goes_on_where_one_ended() -> None:
    async def answer(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int) -> None:
        if b"watch" in server.requests[-1]:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n0\r\n\r\n")
        else:
            await well(server, reader, writer, length)

    async with serving(answer) as server, connected(server.url) as connection:
        for _ in range(5):
            assert isinstance(await connection.request("GET", OPEN), Answer)
            async with connection.stream("/watch", {}, accept=METADATA) as stream:
                assert not isinstance(stream, Failure)
                assert [piece async for piece in stream] == [b"one\n"]
        assert (server.connections, len(server.requests)) == (1, 10)


@both
async def test_a_watch_that_is_left_is_closed() -> None:
    async def answer(server: Server, _: asyncio.StreamReader, writer: asyncio.StreamWriter, __: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n")

    async with serving(answer) as server, connected(server.url) as connection:
        async with connection.stream("/watch", {}, accept=METADATA) as stream:
            assert not isinstance(stream, Failure)
            assert await anext(aiter(stream)) == b"one\n"
        await asyncio.wait_for(server.closed.wait(), LONG)


@both
async def test_a_request_that_is_cancelled_or_late_ends_its_connection() -> None:
    async def answer(server: Server, *_: Any) -> None:
        await asyncio.sleep(LONG)

    for ends in ("cancelled", "late"):
        async with serving(answer) as server, connected(server.url) as connection:
            under_way = asyncio.create_task(connection.request("GET", OPEN, deadline=0.1 if ends == "late" else LONG))
            await server.asked.wait()
            if ends == "cancelled":
                under_way.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await under_way
            else:
                assert failed(await under_way).kind is FailureKind.TIMED_OUT
            await asyncio.sleep(0.01)
            assert connection._pool.open == 0


@both
async def test_what_a_server_sends_unasked_is_no_answer_to_the_next_request() -> None:
    async def answer(server: Server, _: asyncio.StreamReader, writer: asyncio.StreamWriter, __: int) -> None:
        number = len(server.requests)
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.02 * (number % 2))  # in the same packet, or later
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")

    async with serving(answer) as server, connected(server.url) as connection:
        for _ in range(4):
            answered = await connection.request("GET", OPEN)
            assert isinstance(answered, Answer)
            assert answered.body == b"{}"
            await asyncio.sleep(0.05)
        assert server.connections == 4


@both
async def test_a_connection_that_was_closed_while_idle_is_not_used() -> None:
    async def answer(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int) -> None:
        await well(server, reader, writer, length)
        writer.close()

    async with serving(answer) as server, connected(server.url) as connection:
        for method in ("GET", "PATCH", "DELETE"):
            assert isinstance(await connection.request(method, OPEN, body=b"{}", content_type=JSON_PATCH), Answer)
            await asyncio.sleep(0.05)
        assert server.connections == 3


# --- repeated requests ---------------------------------------------------------------------------------------------


def closing_reused(said: bytes = b"") -> Answering:
    """A server that closes a connection when a second request comes on it, after it has said this."""
    seen: list[asyncio.StreamWriter] = []

    async def answer(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int) -> None:
        if writer in seen:
            writer.write(said)
            writer.close()
            return
        seen.append(writer)
        await well(server, reader, writer, length)

    return answer


@both
async def test_a_request_on_a_connection_that_the_server_just_closed_is_sent_again() -> None:
    for method in ("GET", "POST", "PATCH", "DELETE"):
        async with serving(closing_reused()) as server, connected(server.url) as connection:
            assert isinstance(await connection.request("GET", OPEN), Answer)
            answered = await connection.request(method, OPEN, body=b"{}", content_type=JSON)
            assert isinstance(answered, Answer), method
            assert (server.connections, len(server.requests)) == (2, 3)
            async with connection.stream("/watch", {}, accept=METADATA) as stream:
                assert not isinstance(stream, Failure)


@both
async def test_a_json_patch_is_not_sent_again() -> None:
    async with serving(closing_reused()) as server, connected(server.url) as connection:
        assert isinstance(await connection.request("GET", OPEN), Answer)
        failure = failed(await connection.request("PATCH", OPEN, body=b"[]", content_type=JSON_PATCH))
        assert (failure.kind, "closed the connection" in failure.message) == (FailureKind.UNREACHABLE, True)
        assert len(server.requests) == 2


@both
async def test_nothing_is_sent_again_once_an_answer_has_begun() -> None:
    async with serving(closing_reused(b"HTTP/1.1 ")) as server, connected(server.url) as connection:
        assert isinstance(await connection.request("GET", OPEN), Answer)
        assert failed(await connection.request("GET", OPEN)).kind is FailureKind.UNREACHABLE
        assert len(server.requests) == 2


@both
async def test_nothing_is_sent_again_that_failed_on_a_new_connection() -> None:
    async def answer(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter, ___: int) -> None:
        writer.close()

    async with serving(answer) as server, connected(server.url) as connection:
        assert failed(await connection.request("GET", OPEN)).kind is FailureKind.UNREACHABLE
        assert len(server.requests) == 1


# --- large bodies, slow readers ------------------------------------------------------------------------------------


@both
async def test_a_large_body_arrives_whole_and_others_have_their_turns() -> None:
    body = bytes(range(256)) * (4 << 12)
    turns = 0

    async def answer(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int) -> None:
        assert await reader.readexactly(length) == body
        writer.write(OK)

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    for tls in (None, server_tls()):
        async with serving(answer, tls=tls) as server, connected(server.url, trusting()) as connection:
            turning = asyncio.create_task(turn())
            outcome = await connection.request("PATCH", OPEN, body=body, deadline=LONG)
            turning.cancel()
            assert isinstance(outcome, Answer)
            assert turns > 32


@both
async def test_a_server_that_answers_before_it_has_read_all_is_heard() -> None:
    async def answer(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter, ___: int) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(LONG)

    async with serving(answer) as server, connected(server.url) as connection:
        outcome = await connection.request("PATCH", OPEN, body=b"x" * (32 << 20), deadline=LONG)
        assert failed(outcome).kind is FailureKind.TOO_LARGE
        assert connection._pool.idle == 0


@both
async def test_a_watch_that_nobody_reads_fills_no_memory() -> None:
    written = 0

    async def answer(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter, ___: int) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _number in range(1024):
            writer.write(b"10000\r\n" + b"x" * (1 << 16) + b"\r\n")
            await writer.drain()
            written += 1 << 16
        writer.write(b"0\r\n\r\n")

    for tls in (None, server_tls()):
        written = 0
        async with (
            serving(answer, tls=tls) as server,
            connected(server.url, trusting()) as connection,
            connection.stream("/watch", {}, accept=METADATA) as stream,
        ):
            assert not isinstance(stream, Failure)
            before = -1
            while written > before:  # until the server can write no more
                before = written
                await asyncio.sleep(0.2)
            assert written < 64 << 20
            assert stream._size <= AHEAD + (1 << 17)  # type: ignore[attr-defined]
            assert sum([len(piece) async for piece in stream]) == 64 << 20


# --- TLS -----------------------------------------------------------------------------------------------------------


@both
async def test_a_tls_session_is_resumed_and_not_for_ever() -> None:
    async with serving(well, tls=server_tls()) as server, connected(server.url, trusting()) as connection:
        for _ in range(3):
            assert isinstance(await connection.request("GET", OPEN), Answer)
            connection._pool.close_idle()
            await asyncio.sleep(0.01)
        assert server.resumed == [False, True, True]
        connection._pool._dialer._session_until = 0.0  # its time has passed
        assert isinstance(await connection.request("GET", OPEN), Answer)
        assert server.resumed[3:] == [False]


@both
async def test_a_session_is_that_of_its_own_endpoint() -> None:
    """Whoever else trusts the same authority verifies the server's certificate for the name that he expects."""
    async with serving(well, tls=server_tls()) as server:
        async with connected(server.url, trusting()) as connection:
            assert isinstance(await connection.request("GET", OPEN), Answer)
        async with connected(server.url, trusting(), server_name="another") as connection:
            assert failed(await connection.request("GET", OPEN)).kind is FailureKind.UNTRUSTED
        assert not any(server.resumed)


@both
async def test_a_body_that_ends_with_the_connection_may_have_been_cut() -> None:
    for tls, kind in ((None, None), (server_tls(), FailureKind.UNREACHABLE)):

        async def answer(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter, ___: int) -> None:
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n{}")
            await writer.drain()
            number = writer.get_extra_info("socket").fileno()
            with socket.fromfd(number, socket.AF_INET, socket.SOCK_STREAM) as below:
                below.shutdown(socket.SHUT_WR)  # below TLS, as anybody on the way can
            await asyncio.sleep(0.05)

        async with serving(answer, tls=tls) as server, connected(server.url, trusting()) as connection:
            outcome = await connection.request("GET", OPEN)
            assert (outcome.kind if isinstance(outcome, Failure) else None) is kind


# --- proxies -------------------------------------------------------------------------------------------------------


class Proxy:
    """An HTTP proxy that knows CONNECT."""

    def __init__(self, status: str = "200 OK", early: bytes = b"") -> None:
        self._status = status
        self._early = early
        self.heads: list[bytes] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if not head.startswith(b"CONNECT"):
            writer.write(OK)
        else:
            writer.write(f"HTTP/1.1 {self._status}\r\n\r\n".encode() + self._early)
            if self._status.startswith("200"):
                await self._through(head, reader, writer)
        writer.close()

    async def _through(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = head.split()[1].decode().partition(":")
        beyond, there = await asyncio.open_connection(host, int(port))

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(1 << 16):
                    target.write(data)
                    await target.drain()
            except (ConnectionError, ssl.SSLError):
                pass
            target.close()

        await asyncio.gather(pump(reader, there), pump(beyond, writer))


@asynccontextmanager
async def proxying(proxy: Proxy, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    listening = await asyncio.start_server(proxy.talk, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await asyncio.sleep(0.02)


@both
async def test_through_a_proxy_to_a_server_that_is_trusted_all_the_same() -> None:
    for scheme in ("http", "https"):
        proxy = Proxy()
        async with (
            serving(well, tls=server_tls()) as server,
            proxying(proxy, tls=server_tls() if scheme == "https" else None) as place,
        ):
            through = f"{scheme}://us%40er:p%3Aw@{place}"
            async with connected(server.url, trusting(), proxy=through) as connection:
                for _ in range(2):
                    assert isinstance(await connection.request("GET", OPEN), Answer)
            async with connected(server.url, Trust(ca=pki.authority("other").certificate), proxy=through) as connection:
                assert failed(await connection.request("GET", OPEN)).kind is FailureKind.UNTRUSTED
        target = server.url.removeprefix("https://")
        shown = base64.b64encode(b"us@er:p:w").decode()
        assert proxy.heads[0] == (
            f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {shown}\r\n\r\n".encode()
        )
        assert all(TOKEN.encode() not in head for head in proxy.heads)
        assert TOKEN.encode() in server.requests[0]
        assert b"Proxy-Authorization" not in server.requests[0]


@both
async def test_a_proxy_that_refuses_is_named() -> None:
    for proxy, said in (
        (Proxy("407 Proxy Authentication Required"), "the proxy answers 407"),
        (Proxy("200 OK", b"early"), "answers more than it was asked"),
    ):
        async with proxying(proxy) as place:
            endpoint = {"proxy": f"http://u:{TOKEN}@{place}"}
            async with connected("https://127.0.0.1:1", trusting(), **endpoint) as connection:
                failure = failed(await connection.request("GET", OPEN))
                assert failure.concerns == "member"
                assert said in failure.message
                assert TOKEN not in repr(failure)


@both
async def test_a_plain_server_behind_a_proxy_is_asked_for_in_full() -> None:
    proxy = Proxy()
    async with (
        proxying(proxy) as place,
        connected("http://server:8080/prefix", proxy=f"http://u:p@{place}") as connection,
    ):
        assert isinstance(await connection.request("GET", OPEN), Answer)
    assert proxy.heads[0].startswith(f"GET http://server:8080/prefix{OPEN} HTTP/1.1\r\nHost: server:8080\r\n".encode())
    assert b"Proxy-Authorization: Basic dTpw\r\n" in proxy.heads[0]


# --- opening -------------------------------------------------------------------------------------------------------


def test_addresses_are_tried_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    looked_up: list[str] = []

    def getaddrinfo(host: str, port: int, *rest: Any) -> Any:
        if host != "several":
            return real(host, port, *rest)
        looked_up.append(host)
        stream = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*stream, (address, port)) for address in ("127.0.0.2", "127.0.0.3", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def test() -> None:
        async with serving(well) as server:
            url = server.url.replace("127.0.0.1", "several")
            async with connected(url) as connection:
                for _ in range(2):
                    assert isinstance(await connection.request("GET", OPEN), Answer)
                    connection._pool.close_idle()
        async with connected("http://several:1") as connection:
            failure = failed(await connection.request("GET", OPEN))
            assert failure.message == "cannot connect to http://several:1: connection refused"
        assert looked_up == ["several"] * 2

    for loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        looked_up.clear()
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(test())


def test_that_we_can_open_no_more_says_nothing_of_the_member(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> None:
        raise TooMany(None, "this process has 9 connections open and may have no more")

    async def test() -> None:
        async with serving(well) as server, connected(server.url) as connection:
            monkeypatch.setattr(sockets, "take", full)
            failure = failed(await connection.request("GET", OPEN))
            assert (failure.kind, failure.late) == (FailureKind.UNREACHABLE, True)
            assert "9 connections" in failure.message
            monkeypatch.undo()
            assert isinstance(await connection.request("GET", OPEN), Answer)

    asyncio.run(test())


def test_a_request_that_was_never_sent_says_nothing_of_the_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.kube.pool.HANGS", LONG)

    async def answer(*_: Any) -> None:
        await asyncio.sleep(LONG)

    async def test() -> None:
        async with serving(answer) as server, connected(server.url) as connection:
            asked = [asyncio.create_task(connection.request("GET", OPEN, deadline=LONG)) for _ in range(FEW)]
            await server.asked.wait()
            failure = failed(await connection.request("GET", OPEN, deadline=0.1))
            assert (failure.kind, failure.late) == (FailureKind.TIMED_OUT, True)
            assert failure.message == "no connection became free within 0.1 s"
            assert len(server.requests) == FEW
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(test())


@both
async def test_a_token_that_cannot_be_sent_is_not_quoted() -> None:
    async with serving(well) as server, connected(server.url) as connection:
        connection.endpoint.credentials.header = f"Bearer {TOKEN}\r\nX: y"
        failure = failed(await connection.request("GET", OPEN))
        assert "Authorization" in failure.message
        assert TOKEN not in repr(failure)
        assert not server.requests
