"""The controller's own HTTP endpoints: /livez, /readyz, /metrics. Plain HTTP; restrict access by the network."""

import asyncio
import errno
import socket
from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from federation.model.errors import Unusable
from federation.runtime import metrics

_LAST_PORT = 65535

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
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Listen; returns the address as HOST:PORT, "" for none. Raises Unusable when the address cannot be used."""
        if self._address == "0":
            return ""
        host, port = _place(self._address)
        application = web.Application()
        for path in self._checks:
            application.router.add_get(path, self._check)
        if self._metrics:
            application.router.add_get("/metrics", _metrics)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except (OSError, ValueError) as error:
            await self.stop()
            raise Unusable(
                f"cannot listen on {self._address!r}: {_why(error)}; choose another with {self._flag}"
            ) from None
        bound = self._runner.addresses
        return f"{bound[0][0]}:{bound[0][1]}" if bound else self._address

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _check(self, request: web.Request) -> web.Response:
        problem = self._checks[request.path]()
        return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)


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


async def _metrics(_: web.Request) -> web.Response:
    text = []
    for some in metrics.steps():
        text.append(some)
        await asyncio.sleep(0)  # other tasks have their turn
    return web.Response(body="".join(text).encode(), headers={"Content-Type": CONTENT_TYPE_LATEST})
