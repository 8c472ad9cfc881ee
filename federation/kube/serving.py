"""The controller's own HTTP endpoints: /livez, /readyz, /metrics. Plain HTTP: the network says who may reach them."""

from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from federation.model.errors import Unusable

Check = Callable[[], str]
"""Answers "" when all is well, else what is not."""


class Endpoint:
    """One listening address with its paths. `checks` maps a path to its check; /metrics is served when asked for."""

    def __init__(self, address: str, checks: Mapping[str, Check], *, metrics: bool = False) -> None:
        self._address = address
        self._checks = dict(checks)
        self._metrics = metrics
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Unusable when the address is malformed or taken."""
        application = web.Application()
        for path in self._checks:
            application.router.add_get(path, self._check)
        if self._metrics:
            application.router.add_get("/metrics", _metrics)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        host, _, port = self._address.rpartition(":")
        try:
            await web.TCPSite(self._runner, host.strip("[]") or None, int(port)).start()
        except (OSError, ValueError, OverflowError) as error:
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


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
