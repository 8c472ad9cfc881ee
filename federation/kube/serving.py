"""The process's own HTTP endpoints: /livez, /readyz, /metrics. Plain HTTP; restrict access by the network.

One GET for a connection, which is closed after it: that is all that probes and scrapes need, and a library for more
would be a sixth of an agent's memory.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST

from federation.model.errors import Unusable
from federation.runtime import metrics

_LAST_PORT = 65535
_LONGEST_HEAD = 8 << 10
"""Bytes of a request's first line and headers, at most."""
_PATIENCE = 10.0
"""Seconds that a client has to send its request, and to take the answer."""
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
_TEXT = "text/plain; charset=utf-8"

Check = Callable[[], str]
"""Returns "" when all is well, else the problem."""


class Listener:
    """One listening address with its paths. `checks` maps a path to its check; `metrics` adds /metrics.

    The address is HOST:PORT, :PORT for every interface, or 0 for none (as in controller-runtime); port 0 is any that is
    free. `flag` is the option that sets the address, for error messages.
    """

    def __init__(
        self, address: str, checks: Mapping[str, Check], *, metrics: bool = False, flag: str = "another address"
    ) -> None:
        self._address = address
        self._flag = flag
        self._checks = dict(checks)
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> str:
        """Listen; returns the address as HOST:PORT, "" for none. Raises Unusable when the address cannot be used."""
        if self._address == "0":
            return ""
        host, port = _place(self._address)
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=_LONGEST_HEAD)
        except (OSError, ValueError) as error:
            raise Unusable(
                f"cannot listen on {self._address!r}: {_why(error)}; choose another with {self._flag}"
            ) from None
        bound = self._server.sockets[0].getsockname()
        return f"{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Stop listening, and end what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for each in list(self._open):
            each.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            method, status, kind, body = await self._answer(head)
            lines = (
                f"HTTP/1.1 {status} {_REASONS[status]}",
                f"Content-Type: {kind}",
                f"Content-Length: {len(body)}",
                "Connection: close",
            )
            writer.write("\r\n".join((*lines, "", "")).encode() + (b"" if method == "HEAD" else body))
            async with asyncio.timeout(_PATIENCE):
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            pass  # it has gone, or does not speak HTTP
        finally:
            self._open.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: bytes) -> tuple[str, int, str, bytes]:
        """The method that was asked for, and status, content type and body of the answer."""
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return "", 400, _TEXT, b"not HTTP\n"
        method, path = words[0], words[1].partition("?")[0]
        if method not in {"GET", "HEAD"}:
            return method, 405, _TEXT, b"only GET\n"
        if self._metrics and path == "/metrics":
            return method, 200, CONTENT_TYPE_LATEST, await _metrics()
        check = self._checks.get(path)
        if check is None:
            return method, 404, _TEXT, b"not found\n"
        problem = check()
        return method, 503 if problem else 200, _TEXT, f"{problem or 'ok'}\n".encode()


def _place(address: str) -> tuple[str | None, int]:
    host, colon, port = address.rpartition(":")
    # uvloop would use another port instead of one above 65535.
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > _LAST_PORT:
        raise Unusable(f"cannot listen on {address!r}: it must be HOST:PORT, with a port of at most {_LAST_PORT}, or 0")
    return host.strip("[]") or None, int(port)


def _why(error: OSError | ValueError) -> str:
    """A listening error in words; asyncio's own message repeats the address as a tuple."""
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return "another process listens there already"
    if code == errno.EACCES:
        return "permission denied (ports below 1024 are for root)"
    if code == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    return "this machine knows no such host" if isinstance(error, socket.gaierror) else str(error)


async def _metrics() -> bytes:
    text = []
    for some in metrics.steps():
        text.append(some)
        await asyncio.sleep(0)  # other tasks have their turn
    return "".join(text).encode()
