"""The controller's own HTTP endpoints: /livez, /readyz, /metrics. Plain HTTP: the network says who may reach them."""

from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from federation.model.errors import Unusable

_LAST_PORT = 65535

Check = Callable[[], str]
"""Answers "" when all is well, else what is not."""


class Endpoint:
    """One listening address with its paths. `checks` maps a path to its check; /metrics is served when asked for.

    The address is HOST:PORT, :PORT for every interface, or 0 for none (controller-runtime's word).
    """

    def __init__(self, address: str, checks: Mapping[str, Check], *, metrics: bool = False) -> None:
        self._address = address
        self._checks = dict(checks)
        self._metrics = metrics
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Unusable when the address is malformed or taken."""
        if self._address == "0":
            return
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
            raise Unusable(f"cannot listen on {self._address!r}: {error}") from None

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
    # uvloop would take a port above 65535 for another one.
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > _LAST_PORT:
        raise Unusable(f"cannot listen on {address!r}: it must be HOST:PORT, with a port of at most {_LAST_PORT}, or 0")
    return host.strip("[]") or None, int(port)


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
