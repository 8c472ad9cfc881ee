"""SOCKS5 proxies: a real handshake on real sockets, on both event loops; the name goes to the proxy, the token not."""

import asyncio
import ipaddress

import pytest

from federation.kube.connection import Answer
from federation.kube.tls import Trust
from federation.model.failures import FailureKind
from federation.playground import pki
from tests.unit.kube.test_transport import (
    OPEN,
    TOKEN,
    Proxy,
    both,
    connected,
    failed,
    proxying,
    server_tls,
    serving,
    trusting,
    well,
)


class Socks(Proxy):
    """A SOCKS5 proxy that leads everybody to one place, whatever they ask for."""

    def __init__(self, to: str = "", *, user: tuple[bytes, bytes] | None = None, says: bytes = b"") -> None:
        super().__init__()
        self._to, self._user, self._says = to, user, says
        self.asked: list[tuple[str, int]] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._says:
                await reader.read(64)
                writer.write(self._says)
            elif await self._greet(reader, writer):
                await self._lead(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        assert await reader.readexactly(1) == b"\x05"
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        if self._user is None:
            writer.write(b"\x05\x00")
            return True
        if 2 not in methods:
            writer.write(b"\x05\xff")
            return False
        writer.write(b"\x05\x02")
        assert await reader.readexactly(1) == b"\x01"
        given = [await reader.readexactly((await reader.readexactly(1))[0]) for _ in range(2)]
        fine = tuple(given) == self._user
        writer.write(b"\x01" + (b"\x00" if fine else b"\x01"))
        return fine

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(3) == b"\x05\x01\x00"
        match (await reader.readexactly(1))[0]:
            case 3:
                host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
            case kind:
                host = str(ipaddress.ip_address(await reader.readexactly({1: 4, 4: 16}[kind])))
        self.asked.append((host, int.from_bytes(await reader.readexactly(2), "big")))
        # The bound address comes in pieces, and as a name: neither may lead the client astray.
        for part in (b"\x05\x00\x00\x03", b"\x04prox", b"\x00\x50"):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        await self._through(f"CONNECT {self._to} HTTP/1.1".encode(), reader, writer)


@both
async def test_through_socks_to_a_server_that_is_trusted_all_the_same() -> None:
    for scheme in ("socks5", "socks5h"):
        async with serving(well, tls=server_tls()) as server:
            proxy = Socks(server.url.removeprefix("https://"))
            async with proxying(proxy) as place:
                through = f"{scheme}://{place}"
                # Only the proxy can resolve this name; the certificate has to have it.
                async with connected("https://server:6443", trusting(), proxy=through) as connection:
                    for _ in range(2):
                        assert isinstance(await connection.request("GET", OPEN), Answer)
                stranger = Trust(ca=pki.authority("other").certificate)
                async with connected("https://server:6443", stranger, proxy=through) as connection:
                    assert failed(await connection.request("GET", OPEN)).kind is FailureKind.UNTRUSTED
                async with connected("https://127.0.0.1:6443", trusting(), proxy=through) as connection:
                    assert isinstance(await connection.request("GET", OPEN), Answer)
            assert proxy.asked == [("server", 6443), ("server", 6443), ("127.0.0.1", 6443)]
            assert TOKEN.encode() in server.requests[0]


@both
async def test_a_user_name_and_a_password() -> None:
    async with serving(well) as server:
        proxy = Socks(server.url.removeprefix("http://"), user=(b"us@er", b"p:w"))
        async with proxying(proxy) as place:
            async with connected("http://server", proxy=f"socks5://us%40er:p%3Aw@{place}") as connection:
                assert isinstance(await connection.request("GET", OPEN), Answer)
            assert proxy.asked == [("server", 80)]
            for pair, said in ((f"us%40er:{TOKEN}@", "does not accept the user name"), ("", "another kind of auth")):
                async with connected("http://server", proxy=f"socks5://{pair}{place}") as connection:
                    failure = failed(await connection.request("GET", OPEN))
                    assert said in failure.message
                    assert TOKEN not in repr(failure)


@pytest.mark.parametrize(
    ("says", "said"),
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak SOCKS5", id="another-protocol"),
        pytest.param(b"\x05", "the proxy closed the connection", id="half-an-answer"),
        pytest.param(b"\x05\x00\x05\x02\x00\x01", "its rules forbid it", id="refused"),
        pytest.param(b"\x05\x00\x05\xc8\x00\x01", "error 200", id="an-unknown-reply"),
        pytest.param(b"\x05\x01", "another kind of authentication", id="gssapi"),
    ],
)
async def test_a_proxy_that_refuses_is_named(says: bytes, said: str) -> None:
    async with (
        proxying(Socks(says=says)) as place,
        connected("https://server", trusting(), proxy=f"socks5://{place}") as connection,
    ):
        failure = failed(await connection.request("GET", OPEN))
        assert said in failure.message
        assert failure.concerns == "member"


@both
async def test_nobody_at_the_proxys_address_and_a_name_too_long() -> None:
    async with connected("https://server", trusting(), proxy="socks5://127.0.0.1:1") as connection:
        assert "cannot connect" in failed(await connection.request("GET", OPEN)).message
    async with (
        proxying(Socks()) as place,
        connected(f"https://{'x' * 256}", trusting(), proxy=f"socks5://{place}") as connection,
    ):
        assert "failed: SOCKS5 allo" in failed(await connection.request("GET", OPEN)).message
