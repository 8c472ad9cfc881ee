"""No byte of a write leaves while the fence is shut: not of one that waited, nor of one that is half sent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from federation.kube.connection import Answer, Connection
from federation.kube.endpoint import Endpoint
from federation.model.failures import Failure
from federation.runtime.fence import Fence, Instant
from tests.unit.kube.servers import serving

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Counts what arrives; holds its answers while `held`."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.complete: list[int] = []
        self.held = asyncio.Event()
        self.held.set()
        self.came = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.Response:
        self.arrived.append(request.method)
        self.came.set()
        await self.held.wait()
        self.complete.append(len(await request.read()))
        return web.Response(text="{}", content_type="application/json")


def open_fence() -> Fence:
    fence = Fence(lambda: Instant(0.0, 0.0, 0.0))
    fence.extend(Instant(0.0, 0.0, 0.0), 10.0)
    return fence


@asynccontextmanager
async def behind(fence: Fence, few: int = 4) -> AsyncIterator[tuple[Connection, Server]]:
    server = Server()
    async with serving(server) as url:
        connection = Connection("m1", Endpoint(server=url), fence=fence, few=few)
        try:
            yield connection, server
        finally:
            server.held.set()
            await connection.close()


def refused(outcome: Answer | Failure) -> bool:
    """It was not sent, and nothing follows from that about the member."""
    return isinstance(outcome, Failure) and outcome.late and "does not hold the lease" in outcome.message


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_while_it_is_shut_only_reads_pass(method: str) -> None:
    fence = open_fence()
    async with behind(fence) as (connection, server):
        assert isinstance(await connection.request(method, "/x", body=b"{}"), Answer)
        fence.shut()
        assert refused(await connection.request(method, "/x", body=b"{}"))
        assert isinstance(await connection.request("GET", "/x"), Answer)
        assert server.arrived == [method, "GET"]


async def test_what_waits_for_a_connection_is_not_sent_after_it_has_shut() -> None:
    fence = open_fence()
    async with behind(fence, few=1) as (connection, server):
        server.held.clear()
        reading = asyncio.ensure_future(connection.request("GET", "/x"))
        await server.came.wait()
        waiting = [asyncio.ensure_future(connection.request("PATCH", "/x", body=b"{}")) for _ in range(3)]
        await asyncio.sleep(0.02)
        fence.shut()
        server.held.set()
        assert isinstance(await reading, Answer)
        assert all([refused(await each) for each in waiting])
        assert server.arrived == ["GET"]


@pytest.mark.parametrize("used", [False, True], ids=["a new connection", "a used one"])
async def test_it_is_asked_right_before_the_bytes_go(used: bool) -> None:
    """It shuts after everything is decided: nothing is sent, neither on this connection nor on another one."""
    fence = open_fence()
    async with behind(fence) as (connection, server):
        if used:
            assert isinstance(await connection.request("GET", "/x"), Answer)
        looks = 0

        def clock() -> Instant:
            nonlocal looks
            looks += 1
            return Instant(0.0 if looks == 1 else 60.0, 0.0, 0.0)

        fence._clock = clock
        assert refused(await connection.request("PATCH", "/x", body=b"{}"))
        assert looks == 2
        await asyncio.sleep(0.02)
        assert server.arrived == (["GET"] if used else [])


async def test_what_is_under_way_is_recalled() -> None:
    fence = open_fence()
    async with behind(fence) as (connection, server):
        server.held.clear()
        reading = asyncio.ensure_future(connection.request("GET", "/x"))
        writing = asyncio.ensure_future(connection.request("PATCH", "/x", body=b"{}"))
        await server.came.wait()
        await asyncio.sleep(0.02)
        fence.shut()
        assert refused(await writing)
        assert not reading.done()
        server.held.set()
        assert isinstance(await reading, Answer)


async def test_a_write_that_was_half_sent_stays_half() -> None:
    fence = open_fence()
    async with behind(fence) as (connection, server):
        server.held.clear()
        writing = asyncio.ensure_future(connection.request("PATCH", "/x", body=b"x" * (64 << 20)))
        await server.came.wait()
        fence.shut()
        assert refused(await writing)
        server.held.set()
        await asyncio.sleep(0.05)
        assert server.complete == []


async def test_without_a_fence_everything_passes() -> None:
    server = Server()
    async with serving(server) as url:
        connection = Connection("m1", Endpoint(server=url))
        assert isinstance(await connection.request("PATCH", "/x", body=b"{}"), Answer)
        await connection.close()
