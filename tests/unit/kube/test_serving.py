"""/livez, /readyz and /metrics of the controller itself."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest

from federation.kube.serving import Listener, _metrics
from federation.model.errors import Unusable
from federation.runtime import metrics


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


async def test_checks_and_metrics() -> None:
    problems = {"/livez": "", "/readyz": "not listed yet"}
    address = f"127.0.0.1:{free_port()}"
    endpoint = Listener(address, {path: lambda path=path: problems[path] for path in problems}, metrics=True)  # type: ignore[misc]
    await endpoint.start()
    metrics.LOOP_LAG.set(0)
    try:
        async with aiohttp.ClientSession(f"http://{address}") as session:
            seen = {}
            for path in ("/livez", "/readyz", "/metrics", "/"):
                async with session.get(path) as response:
                    seen[path] = (response.status, await response.text())
            assert seen["/livez"] == (200, "ok\n")
            assert seen["/readyz"] == (503, "not listed yet\n")
            assert "federation_event_loop_lag_seconds" in seen["/metrics"][1]
            assert seen["/"][0] == 404
            problems["/readyz"] = ""
            async with session.get("/readyz") as response:
                assert response.status == 200
    finally:
        await endpoint.stop()
    await endpoint.stop()  # once more does no harm


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        pytest.param(b"GET /livez?verbose HTTP/1.1\r\nHost: x\r\n\r\n", b"200 OK", b"ok\n", id="query"),
        pytest.param(b"HEAD /livez HTTP/1.0\r\n\r\n", b"200 OK", b"", id="head"),
        pytest.param(b"POST /livez HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", b"only GET\n", id="post"),
        pytest.param(b"GET /\r\n\r\n", b"400 Bad Request", b"not HTTP\n", id="not-http"),
        pytest.param(b"GET / HTTP/1.1\r\n", b"", b"", id="half"),
        pytest.param(b"x" * 20_000, b"", b"", id="long"),
    ],
)
async def test_what_clients_may_send(request_: bytes, status: bytes, body: bytes) -> None:
    endpoint = Listener("127.0.0.1:0", {"/livez": lambda: ""})
    host, _, port = (await endpoint.start()).rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request_)
        writer.write_eof()
        answer = b""
        with contextlib.suppress(ConnectionError):  # what was not read is answered by a reset
            answer = await reader.read()
        writer.close()
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert head.partition(b"\r\n")[0].removeprefix(b"HTTP/1.1 ") == status
        assert rest == body
        assert not status or b"Connection: close" in head
    finally:
        await endpoint.stop()


async def test_what_is_open_ends_with_it() -> None:
    endpoint = Listener("127.0.0.1:0", {})
    host, _, port = (await endpoint.start()).rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await asyncio.sleep(0.05)
    await endpoint.stop()
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(host, int(port))


async def test_a_scrape_lets_others_have_their_turn() -> None:
    """As often as the text has steps: it is long where there are many clusters."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    for number in range(2_500):
        metrics.CLUSTER_READY.labels(f"served-{number}").set(1)
    steps = len(list(metrics.steps()))
    task = asyncio.create_task(others())
    try:
        await asyncio.sleep(0)
        turns = 0
        text = await _metrics()
        assert turns >= steps - 1
        assert text.count(b"served-") == 2_500
    finally:
        task.cancel()
        for number in range(2_500):
            metrics.forget_cluster(f"served-{number}")


async def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unusable, match=f"cannot listen on '{address}'"):
            await Listener(address, {}).start()
        with pytest.raises(Unusable, match="another process listens there already; choose another with --some-address"):
            await Listener(address, {}, flag="--some-address").start()


async def test_the_port_that_was_taken_is_told() -> None:
    endpoint = Listener("127.0.0.1:0", {"/livez": lambda: ""})
    try:
        host, _, port = (await endpoint.start()).rpartition(":")
        assert host == "127.0.0.1"
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session, session.get("/livez") as answer:
            assert answer.status == 200
    finally:
        await endpoint.stop()
    assert await Listener("0", {}).start() == ""


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000", "256.0.0.1:1", "", "8080", "a:-1"]
)
async def test_addresses_that_cannot_be(address: str) -> None:
    with pytest.raises(Unusable, match="cannot listen on"):
        await Listener(address, {}).start()


async def test_a_port_that_cannot_be_is_refused_by_us() -> None:
    """uvloop would listen on another one, without a word."""
    with pytest.raises(Unusable, match="at most 65535"):
        await Listener("127.0.0.1:99999", {}).start()


async def test_nothing_listens_where_nothing_should() -> None:
    endpoint = Listener("0", {}, metrics=True)
    assert await endpoint.start() == ""
    await endpoint.stop()
