"""A TLS reverse proxy in front of one local cluster that misbehaves on request; for tests and the demo.

A client that is given `FaultProxy.cluster` instead of the real one (same token, same CA, another port) sees a real API
server through a bad network: `faults` says what can go wrong. Watches are streamed line by line, all else is passed
whole. aiohttp on both sides; one event loop, no threads.
"""

import asyncio
import dataclasses
import socket
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import multidict
from aiohttp import web

from federation.playground import access, faults, pki, processes, requestinfo
from federation.playground.access import LocalCluster
from federation.playground.faults import Fault, Faults, Injected, Logged, RequestLog
from federation.playground.requestinfo import RequestInfo

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_UNFINISHED = b'{"type":"MODIFIED","object":{"kind":"'
_CUT_NOW = Fault(kind="cut")


class _Watch:
    """An open watch: `fate` is set when something is to happen to it."""

    def __init__(self, info: RequestInfo) -> None:
        self.info = info
        self.fate: asyncio.Future[Fault] = asyncio.get_running_loop().create_future()
        self.doomed = False  # the next event's line is cut

    def strike(self, fault: Fault) -> None:
        if not self.fate.done():
            self.fate.set_result(fault)


class FaultProxy:
    """Stands before a cluster, on a port of its own: `async with FaultProxy(cluster, playground.ca) as proxy`."""

    def __init__(self, cluster: LocalCluster, ca: pki.KeyPair, *, seed: int = 0) -> None:
        self._target = cluster
        self._faults = Faults(seed)
        self._tls = _server_tls(ca)
        self._port = 0
        self._watches: set[_Watch] = set()
        self._listener: asyncio.Server | None = None
        self._listening: asyncio.Task[None] | None = None
        self._server: web.Server | None = None
        self._session: aiohttp.ClientSession | None = None
        self._news = asyncio.Event()
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
        self._server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._port = processes.free_port(set())
        await self._listen(_bound(self._port))
        return self.url

    async def stop(self) -> None:
        """Close the port and every connection, and wait until no request is left."""
        if self._listening is not None:
            await self._listening
        self._refuse()
        if self._server is not None:
            await self._server.shutdown(1.0)
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
        """Where clients of the proxy go; the same after `refuse` has been cleared."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def cluster(self) -> LocalCluster:
        """The cluster as seen through the proxy; `access.kubeconfig` makes a kubeconfig of it."""
        return dataclasses.replace(self._target, url=self.url)

    # -- faults ------------------------------------------------------------------------------------------------------

    def inject(self, fault: Fault) -> Injected:
        """Put a fault in force: for requests to come; cut, blackhole and expire also for matching open watches."""
        injected = self._faults.inject(fault)
        if fault.kind == "refuse":
            self._refuse()
        for watch in list(self._watches):
            if self._faults.strikes(injected, watch.info):
                watch.strike(fault)
        return injected

    def clear(self) -> None:
        """Take all faults back and listen again. Connections that were made silent stay silent."""
        self._faults.clear()
        listening = self._listener is not None or (self._listening is not None and not self._listening.done())
        if self._server is not None and not listening:
            # The kernel accepts from here on; the loop serves as soon as it runs again.
            self._listening = asyncio.get_running_loop().create_task(self._listen(_bound(self._port)))

    def cut_watches(self, resource: str | None = None) -> int:
        """Close open watches (of one resource) now, in the middle of a line; returns how many."""
        cut = [watch for watch in self._watches if resource in (None, watch.info.resource) and not watch.fate.done()]
        for watch in cut:
            watch.strike(_CUT_NOW)
        return len(cut)

    def open_watches(self, resource: str | None = None) -> int:
        """How many watches (of one resource) are open, silent ones included."""
        return sum(1 for watch in self._watches if resource in (None, watch.info.resource))

    async def until(self, reached: Callable[[RequestLog], bool], *, timeout: float = 30.0) -> None:
        """Wait until the request log fulfils `reached`; TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while not reached(self.requests):
                self._news.clear()
                await self._news.wait()

    # -- serving -----------------------------------------------------------------------------------------------------

    async def _listen(self, bound: socket.socket) -> None:
        if self._server is None:
            raise RuntimeError("start the proxy first")
        self._listener = await asyncio.get_running_loop().create_server(self._server, sock=bound, ssl=self._tls)
        if self._faults.refusing:  # injected again meanwhile
            self._refuse()

    def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._server is not None:
            for connection in self._server.connections:
                if connection.transport is not None:
                    connection.transport.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        info = requestinfo.parse(request.method, request.raw_path, request.headers.get("Content-Type", ""))
        delay, fault = self._faults.take(info)
        if delay:
            await asyncio.sleep(delay)
        kind = fault.kind if fault else None
        if fault is not None and (kind in ("blackhole", "status") or (kind == "expire" and info.verb != "watch")):
            return await self._answer(request, info, fault)
        if self._session is None:
            raise RuntimeError("the proxy is stopped")
        body = await request.content.read()
        try:
            async with self._session.request(
                request.method,
                self._target.url + request.raw_path,
                headers=_passed_on(request.headers),
                data=body or None,
                allow_redirects=False,
            ) as answer:
                self._log(request, info, answer.status, fault, passed=True)
                if info.verb == "watch" and answer.status == 200:
                    return await self._stream(request, info, answer, fault)
                content = await answer.read()
        except (aiohttp.ClientError, OSError):
            # The API server is gone, so this connection goes as well.
            self._log(request, info, 0, fault, passed=False)
            _abort(request)
            return web.Response(status=502)
        if fault is not None and fault.kind == "mute":
            await _forever()
        response = web.Response(status=answer.status, headers=_passed_on(answer.headers), body=content)
        if fault is not None and fault.kind == "cut":
            return await _half(request, response, content)
        return response

    async def _answer(self, request: web.BaseRequest, info: RequestInfo, fault: Fault) -> web.StreamResponse:
        """Answer in the API server's place, or never."""
        if fault.kind == "blackhole":
            self._log(request, info, 0, fault, passed=False)
            await _forever()
        code = 410 if fault.kind == "expire" else fault.code
        self._log(request, info, code, fault, passed=False)
        headers = {"Content-Type": "application/json"}
        if fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        content = fault.body if fault.body is not None else faults.status_body(code, fault.retry_after)
        return web.Response(status=code, headers=headers, body=content)

    async def _stream(
        self, request: web.BaseRequest, info: RequestInfo, answer: aiohttp.ClientResponse, fault: Fault | None
    ) -> web.StreamResponse:
        """Pass a watch on, whole lines at a time, until it ends or its fate is met."""
        response = web.StreamResponse(status=answer.status, headers=_passed_on(answer.headers))
        await response.prepare(request)
        watch = _Watch(info)
        self._watches.add(watch)
        self._news.set()
        if fault is not None and fault.kind == "cut":
            watch.doomed = True
        elif fault is not None:
            watch.strike(fault)
        reading: asyncio.Task[bytes] | None = None
        rest = b""
        try:
            while True:
                reading = reading or asyncio.create_task(answer.content.readany())
                await asyncio.wait((reading, watch.fate), return_when=asyncio.FIRST_COMPLETED)
                if watch.fate.done() and await self._meet(watch, request, response):
                    return response
                if not reading.done():
                    continue
                data, reading = reading.result(), None
                if not data:
                    return response
                lines, newline, rest = (rest + data).rpartition(b"\n")
                if newline and watch.doomed:
                    first = lines.partition(b"\n")[0]
                    await response.write(first[: len(first) // 2])
                    _close(request)
                    return response
                if newline:
                    await response.write(lines + newline)
        except (aiohttp.ClientError, OSError):
            _abort(request)
            return response
        finally:
            self._watches.discard(watch)
            self._news.set()
            if reading is not None:
                reading.cancel()

    async def _meet(self, watch: _Watch, request: web.BaseRequest, response: web.StreamResponse) -> bool:
        """Let a watch's fate happen; True if that was its end."""
        fate = watch.fate.result()
        if fate is _CUT_NOW:
            await response.write(_UNFINISHED)
            _close(request)
            return True
        match fate.kind:
            case "cut":
                watch.doomed = True
                watch.fate = asyncio.get_running_loop().create_future()
                return False
            case "expire":
                await response.write(faults.error_event())
                return True
            case _:
                await _forever()
                return True

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
        self._news.set()


def _server_tls(ca: pki.KeyPair) -> ssl.SSLContext:
    pair = pki.serving(ca, "fault-proxy", dns=("localhost",), ips=("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # OpenSSL reads keys from files only
        file = Path(folder, "serving.pem")
        file.touch(mode=0o600)
        file.write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(file)
    return context


def _bound(port: int) -> socket.socket:
    """A listening socket; made at once, so that connections are accepted from now on."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    bound.listen(128)
    return bound


def _passed_on(headers: multidict.CIMultiDictProxy[str]) -> multidict.CIMultiDict[str]:
    return multidict.CIMultiDict((key, value) for key, value in headers.items() if key.lower() not in _HOP_BY_HOP)


async def _forever() -> None:
    """Until the client or the proxy closes the connection, which cancels the handler."""
    await asyncio.Event().wait()


async def _half(request: web.BaseRequest, whole: web.Response, content: bytes) -> web.StreamResponse:
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(content)
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    _close(request)
    return response


def _close(request: web.BaseRequest) -> None:
    """Close the connection after what was written has been sent."""
    if request.transport is not None:
        request.transport.close()


def _abort(request: web.BaseRequest) -> None:
    """Close the connection at once."""
    if request.transport is not None:
        request.transport.abort()
