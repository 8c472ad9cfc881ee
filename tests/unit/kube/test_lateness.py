"""A member answers and we read it late: that is no fault of the member's. One that hangs is found all the same."""

import http.server
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from federation.kube.connection import Answer, Connection
from federation.kube.endpoint import Endpoint
from federation.model.failures import Failure, FailureKind
from tests.unit.runtime.test_patience import late_loop


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = Connection("m1", Endpoint(url), agent="tests")
    try:
        yield connection
    finally:
        await connection.close()


def failed(outcome: Answer | Failure) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """A server in a thread of its own, which no blocked loop of ours keeps waiting; `hangs` answers nothing."""

    hangs = threading.Event()

    def do_GET(self) -> None:
        if "hang" in self.path:
            self.hangs.wait(60)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name is given
        return


@pytest.fixture
def elsewhere() -> Iterator[str]:
    _Elsewhere.hangs = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        _Elsewhere.hangs.set()
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_member_that_answers_at_once_is_not_blamed_for_our_lateness(elsewhere: str) -> None:
    """Every turn of the loop takes longer than the deadline; the answer has been there all the time."""
    async with connected(elsewhere) as connection, late_loop(0.2):
        for _ in range(3):
            answered = await connection.request("GET", "/ok", deadline=0.15)
            assert isinstance(answered, Answer)


async def test_a_member_that_hangs_is_found_though_we_are_late_now_and_then(elsewhere: str) -> None:
    async with connected(elsewhere) as connection, late_loop(0.15, 0.15):
        failure = failed(await connection.request("GET", "/hang", deadline=0.3))
        assert (failure.kind, failure.late, failure.concerns) == (FailureKind.TIMED_OUT, False, "member")


async def test_when_we_are_always_late_a_time_out_is_called_ours(elsewhere: str) -> None:
    async with connected(elsewhere) as connection, late_loop(0.2):
        failure = failed(await connection.request("GET", "/hang", deadline=0.05))
        assert (failure.kind, failure.late) == (FailureKind.TIMED_OUT, True)
        assert "this controller is late" in failure.message
