"""The relay: every byte arrives, in order and not too early; cut and silent as a network is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from federation.playground import processes
from federation.playground.relay import LOOPBACK, Link, Relay

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def relayed(link: Link = LOOPBACK) -> AsyncIterator[tuple[Relay, int]]:
    """A relay before a server that answers every byte with itself; and the relay's port."""
    echoing: set[asyncio.StreamWriter] = set()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        echoing.add(writer)
        while content := await reader.read(1000):
            writer.write(content)
        writer.close()

    ports = processes.free_ports(set(), 2)
    server = await asyncio.start_server(echo, "127.0.0.1", ports[0])
    relay = Relay(ports[1], ports[0], link, seed=3)
    await relay.mend()
    try:
        yield relay, ports[1]
    finally:
        await relay.cut()
        server.close()
        for each in echoing:
            each.transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Ends]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def test_how_long_a_piece_takes() -> None:
    assert LOOPBACK.takes(0.0) == 0.0
    far = Link(round_trip=0.2, loss=0.1)
    assert far.takes(0.5) == pytest.approx(0.1)
    assert far.takes(0.05) == pytest.approx(0.1 + 0.2 + 0.2)
    assert far.takes(0.1) == pytest.approx(0.1)


@pytest.mark.parametrize("link", [LOOPBACK, Link(0.01), Link(0.01, loss=0.5)])
async def test_every_byte_in_order(link: Link) -> None:
    sent = bytes(number % 251 for number in range(300_000))
    async with relayed(link) as (_, port), connected(port) as (reader, writer):
        writer.write(sent)
        assert await asyncio.wait_for(reader.readexactly(len(sent)), 60) == sent


async def test_nothing_comes_earlier_than_it_can() -> None:
    """A round trip to connect, and one for question and answer."""
    now = asyncio.get_running_loop().time
    async with relayed(Link(0.1)) as (_, port):
        began = now()
        async with connected(port) as (reader, writer):
            for trips in (2, 3, 4):
                writer.write(b"x")
                await reader.readexactly(1)
                assert now() - began >= 0.1 * trips * 0.99


async def test_who_ends_is_heard() -> None:
    async with relayed(Link(0.01)) as (_, port), connected(port) as (reader, writer):
        writer.write(b"last")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 10) == b"last"


async def test_a_hang_is_silence_and_nothing_is_lost() -> None:
    async with relayed() as (relay, port), connected(port) as (reader, writer):
        writer.write(b"a")
        assert await reader.readexactly(1) == b"a"
        relay.hang()
        writer.write(b"b")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        async with connected(port):  # who comes now is not refused
            relay.resume()
            assert await asyncio.wait_for(reader.readexactly(1), 10) == b"b"


async def test_a_cut_ends_what_is_open_and_refuses_until_mended() -> None:
    async with relayed(Link(0.01)) as (relay, port):
        async with connected(port) as (reader, writer):
            writer.write(b"a")
            assert await reader.readexactly(1) == b"a"
            await relay.cut()
            assert await asyncio.wait_for(_rest(reader), 10) == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await relay.mend()
        async with connected(port) as (reader, writer):
            writer.write(b"b")
            assert await asyncio.wait_for(reader.readexactly(1), 10) == b"b"


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the end, however that comes."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
