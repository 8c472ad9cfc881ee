"""A TLS reverse proxy before one local cluster that fails on request; for tests.

A client that gets `FaultProxy.cluster` instead of the real one (same token, same CA, another port) talks to a real API
server as through a bad network; the possible faults are in `faults`. Watches are streamed by `watchstream`, all other
answers are passed on whole. aiohttp on both sides; one event loop, no threads.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from federation.playground import access, faults, pki, processes, requestinfo, wire
from federation.playground.access import LocalCluster
from federation.playground.faults import Fault, Faults, Injected, Logged, RequestLog
from federation.playground.listening import Listening
from federation.playground.requestinfo import READS, RequestInfo
from federation.playground.watchstream import CUT_NOW, OpenWatch


class FaultProxy:
    """A proxy before a cluster, on a port of its own: `async with FaultProxy(cluster, playground.ca) as proxy`."""

    def __init__(self, cluster: LocalCluster, ca: pki.KeyPair, *, seed: int = 0) -> None:
        self._target = cluster
        self._faults = Faults(seed)
        self._tls = wire.server_tls(ca)
        self._port = 0
        self._watches: set[OpenWatch] = set()
        self._listening: Listening | None = None
        self._session: aiohttp.ClientSession | None = None
        self._changed = asyncio.Event()
        self._pending = 0
        self._writes: set[asyncio.Future[None]] = set()
        self.requests = RequestLog()

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> str:
        """Listen on a free port of 127.0.0.1; returns the URL."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=access.tls(self._target.ca_pem)),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._listening = Listening(server, self._tls)
        self._port = self._listening.open(processes.free_port(set()))
        return self.url

    async def stop(self) -> None:
        """Close the port and every connection, and wait until no request is left."""
        if self._listening is not None:
            await self._listening.end()
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The proxy's URL; the same after a `refuse` fault has been cleared."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def cluster(self) -> LocalCluster:
        """The cluster as seen through the proxy; `access.kubeconfig` makes a kubeconfig of it."""
        return dataclasses.replace(self._target, url=self.url)

    # -- faults ------------------------------------------------------------------------------------------------------

    def inject(self, fault: Fault) -> Injected:
        """Activate a fault: for later requests; cut, blackhole and expire also for matching open watches."""
        injected = self._faults.inject(fault)
        if fault.kind == "refuse" and self._listening is not None:
            self._listening.close()
        for watch in list(self._watches):
            if self._faults.hits_open_watch(injected, watch.info):
                watch.apply(fault)
        return injected

    def clear(self) -> None:
        """Remove all faults and listen again. Connections that a fault made silent stay silent."""
        self._faults.clear()
        if self._listening is not None and not self._listening.listens:
            # The kernel accepts connections from here on; they are served when the event loop runs again.
            self._listening.open(self._port)

    def cut_watches(self, resource: str | None = None) -> int:
        """Close open watches (of one resource) now, in the middle of a line; returns how many."""
        cut = self._streaming(resource)
        for watch in cut:
            watch.apply(CUT_NOW)
        return len(cut)

    def open_watches(self, resource: str | None = None) -> int:
        """How many watches (of one resource) are open, silent ones included."""
        return len(self._streaming(resource))

    def watched(self) -> list[str]:
        """The resource of every open watch, silent ones included."""
        return [watch.info.resource for watch in self._streaming(None)]

    def pending(self) -> int:
        """How many requests (including watches that do not stream yet) the API server has not answered."""
        return self._pending

    def _streaming(self, resource: str | None) -> list[OpenWatch]:
        return [watch for watch in self._watches if watch.streaming and resource in (None, watch.info.resource)]

    async def answered(self, *, timeout: float = 2.0) -> None:
        """Wait until the writes that the API server has now are answered and in `requests`, at most `timeout` seconds.

        Who reads at the API server itself sees a write before the proxy has heard of its answer.
        """
        if self._writes:
            await asyncio.wait(set(self._writes), timeout=timeout)

    async def until(self, reached: Callable[[RequestLog], bool], *, timeout: float = 30.0) -> None:
        """Wait until `reached`, called after every request and watch, is true. TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while not reached(self.requests):
                self._changed.clear()
                await self._changed.wait()

    # -- serving -----------------------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        info = requestinfo.parse(request.method, request.raw_path, request.headers.get("Content-Type", ""))
        delay, fault = self._faults.take(info)
        if delay:
            await asyncio.sleep(delay)
        kind = fault.kind if fault else None
        if fault is not None and (kind in ("blackhole", "status") or (kind == "expire" and info.verb != "watch")):
            return await self._answer(request, info, fault)
        if info.verb != "watch":
            return await self._pass(request, info, fault, None)
        watch = OpenWatch(info, fault, self._changed)
        self._watches.add(watch)
        try:
            return await self._pass(request, info, fault, watch)
        finally:
            self._watches.discard(watch)
            self._changed.set()

    async def _pass(
        self, request: web.BaseRequest, info: RequestInfo, fault: Fault | None, watch: OpenWatch | None
    ) -> web.StreamResponse:
        """Pass a request to the API server, and its answer, as changed by the fault, to the client."""
        if self._session is None:
            raise RuntimeError("the proxy is stopped")
        body = await request.content.read()
        logged = False
        self._pending += 1
        answered = asyncio.get_running_loop().create_future()
        if info.verb not in READS:
            self._writes.add(answered)
        self._changed.set()
        try:
            async with self._session.request(
                request.method,
                self._target.url + request.raw_path,
                headers=wire.passed_on(request.headers),
                data=body or None,
                allow_redirects=False,
            ) as answer:
                self._pending -= 1
                logged = True
                lost = self._faults.drops_answer(info)
                self._log(request, info, answer.status, fault, passed=True)
                self._answered(answered)
                if watch is not None and answer.status == 200:
                    return await watch.run(request, answer)
                content = await answer.read()
        except (aiohttp.ClientError, OSError):
            # The API server is gone, so this connection goes as well.
            if not logged:
                self._log(request, info, 0, fault, passed=False)
            wire.abort(request)
            return web.Response(status=502)
        finally:
            self._answered(answered)
            if not logged:
                self._pending -= 1
        if (fault is not None and fault.kind == "mute") or lost:
            await wire.forever()
        response = web.Response(status=answer.status, headers=wire.passed_on(answer.headers), body=content)
        if fault is not None and fault.kind == "cut":
            return await wire.half(request, response, content)
        return response

    def _answered(self, write: asyncio.Future[None]) -> None:
        self._writes.discard(write)
        if not write.done():
            write.set_result(None)

    async def _answer(self, request: web.BaseRequest, info: RequestInfo, fault: Fault) -> web.StreamResponse:
        """Answer instead of the API server, or never."""
        if fault.kind == "blackhole":
            self._log(request, info, 0, fault, passed=False)
            await wire.forever()
        code = 410 if fault.kind == "expire" else fault.code
        self._log(request, info, code, fault, passed=False)
        headers = {"Content-Type": "application/json"}
        if fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        content = fault.body if fault.body is not None else faults.status_body(code, fault.retry_after)
        return web.Response(status=code, headers=headers, body=content)

    def _log(
        self, request: web.BaseRequest, info: RequestInfo, code: int, fault: Fault | None, *, passed: bool
    ) -> None:
        self.requests.add(
            Logged(
                verb=info.verb,
                resource=info.resource,
                namespace=info.namespace,
                name=info.name,
                code=code,
                user_agent=request.headers.get("User-Agent", ""),
                passed=passed,
                fault=fault.kind if fault else None,
                path=info.path,
            )
        )
        self._changed.set()
