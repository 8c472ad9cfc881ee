"""A port that is closed leaves no socket behind, in whatever state its connections are, and can be opened again."""

import asyncio
import contextlib
import gc
import socket
import ssl
import sys
from collections.abc import Callable

import pytest
from aiohttp import web

from federation.playground import access, pki, wire
from federation.playground.listening import Listening

REQUEST = b"GET / HTTP/1.1\r\nHost: any\r\n\r\n"


@pytest.fixture(scope="module")
def ca() -> pki.KeyPair:
    return pki.authority("tests")


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[object]]:
    """What the garbage collector finds open."""
    found: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: found.append(unraisable.exc_value))

    def collected() -> list[object]:
        gc.collect()
        return found

    return collected


async def hanging(request: web.BaseRequest) -> web.StreamResponse:
    """A watch: it begins, and never ends."""
    stream = web.StreamResponse()
    await stream.prepare(request)
    await stream.write(b"begun")
    await asyncio.Event().wait()
    return stream


async def told(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="told")


def silent(port: int) -> socket.socket:
    """A client that has connected, and says nothing."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def following(port: int, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """A client in the midst of an answer that never answers the end of TLS, as a stopped process."""
    made = tls.wrap_socket(silent(port), server_hostname="127.0.0.1")
    made.sendall(REQUEST)
    while b"begun" not in made.recv(4096):
        pass
    return made


def test_clients_that_do_not_let_go(ca: pki.KeyPair, lost: Callable[[], list[object]]) -> None:
    clients: list[socket.socket] = []

    async def main() -> None:
        server = web.Server(hanging, handler_cancellation=True, access_log=None)
        listening = Listening(server, wire.server_tls(ca))
        port, tls = listening.open(), access.tls(ca.certificate.decode())
        for _ in range(3):
            clients.append(await asyncio.to_thread(following, port, tls))
            clients.append(silent(port))
        assert len(server.connections) == 3
        await listening.end()

    asyncio.run(main())
    assert lost() == []
    for client in clients:
        client.close()


@pytest.mark.parametrize("turns", range(6))
def test_what_comes_while_it_is_closed(ca: pki.KeyPair, turns: int, lost: Callable[[], list[object]]) -> None:
    """In the kernel's line, accepted this moment, in its handshake: each has ended, and knows it."""

    async def main() -> None:
        listening = Listening(web.Server(told), wire.server_tls(ca))
        clients = [silent(listening.open())]
        for _ in range(turns):
            await asyncio.sleep(0)
        await listening.end()
        for client in clients:
            with client, contextlib.suppress(ConnectionResetError):  # where it was not accepted yet
                assert client.recv(1) == b""

    asyncio.run(main())
    assert lost() == []


async def test_it_refuses_while_it_is_closed_and_is_itself_again(ca: pki.KeyPair) -> None:
    listening = Listening(web.Server(told), wire.server_tls(ca))
    port, tls = listening.open(), access.tls(ca.certificate.decode())
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        writer.write(REQUEST)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        listening.close()
        assert not listening.listens
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        writer.transport.abort()
        assert listening.open(port) == port
        assert listening.listens
    await listening.end()


async def test_a_client_that_breaks_off_costs_nothing(
    ca: pki.KeyPair, caplog: pytest.LogCaptureFixture, lost: Callable[[], list[object]]
) -> None:
    listening = Listening(web.Server(told), wire.server_tls(ca))
    port, tls = listening.open(), access.tls(ca.certificate.decode())
    with silent(port) as client:
        client.sendall(b"no TLS at all")
        assert await asyncio.to_thread(client.recv, 1) == b"" or client.recv(100)
    silent(port).close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    writer.write(REQUEST)
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.transport.abort()
    await listening.end()
    assert lost() == []
    assert caplog.text == ""
