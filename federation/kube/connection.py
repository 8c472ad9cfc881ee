"""Requests to one API server: bytes in, bytes out, a deadline on every one, failures as values.

kubernetes-asyncio's own client is not on this road because, tried at 36.1.0, it raises nothing on 4xx without
preloading, has no default timeouts, knows neither 429 nor Retry-After, logs response bodies at DEBUG, honours .netrc
and costs twice the CPU. Its configuration, kubeconfig loading and token refresh are used (`kube.kubeconfig`).
"""

import asyncio
import io
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import orjson
from yarl import URL

from federation import __version__
from federation.core import failures
from federation.kube import tls
from federation.kube.endpoint import Endpoint
from federation.model.errors import ApiFailure, Unusable
from federation.model.failures import Failure, FailureKind
from federation.runtime import metrics

LARGEST_ANSWER = 512 << 20
"""Bytes. Lists are read in pages of 500 objects, of which none can be larger than etcd takes."""
IDLE_CONNECTION = 20.0
"""Seconds that an idle connection is kept: longer than a probe's period, so that one stays warm, and no more."""

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

DEADLINE = 10.0
"""Seconds for one request unless its caller says otherwise."""


class AnswerTooLong(ValueError):
    """No API server sends so much at once."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: bytes | None
    content_type: str
    accept: str
    params: Mapping[str, str] | None
    deadline: float
    secret: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer."""

    code: int
    body: bytes

    def json(self, doing: str = "") -> Any:
        """The decoded body; ApiFailure, saying what was being done, when it is something else than JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise ApiFailure(Failure(FailureKind.UNEXPECTED, "the answer is not JSON"), doing) from None


class Connection:
    """A pooled HTTP session with one API server. Close it when done.

    `name` labels metrics and messages. Connections are not limited here: lanes bound requests, and watches must never
    wait for a free slot.
    """

    def __init__(self, name: str, endpoint: Endpoint, *, agent: str = "fedctl") -> None:
        self.name = name
        self.endpoint = endpoint
        self._headers = {"User-Agent": f"{agent}/{__version__}", "Accept": JSON}
        self._ssl: ssl.SSLContext | bool = tls.context(endpoint.trust) if endpoint.server.startswith("https") else False
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._counters: dict[tuple[str, str], Any] = {}
        self._timers: dict[str, Any] = {}

    async def close(self) -> None:
        """End every open connection, watches included."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)  # aborted connections close their sockets in the loop's next turn

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        params: Mapping[str, str] | None = None,
        deadline: float = DEADLINE,
        secret: bool = False,
    ) -> Answer | Failure:
        """One request; once more when the server refuses a token that its source can renew.

        `secret` passes on no values of what the server says (design, decision 9: credentials).
        """
        request = _Request(method, path, body, content_type, accept, params, deadline, secret)
        sent = self.endpoint.credentials.header
        outcome = await self._send(request)
        if isinstance(outcome, Failure) and outcome.kind is FailureKind.UNAUTHORIZED:
            outcome = await self._renewed(outcome, sent) or await self._send(request)
        return outcome

    async def _renewed(self, refused: Failure, sent: str) -> Failure | None:
        """None when there are other credentials than those that were refused; else why there are none."""
        credentials = self.endpoint.credentials
        try:
            async with asyncio.timeout(DEADLINE):  # an exec plugin may hang
                await credentials.renew(sent)
        except TimeoutError:
            return replace(refused, message=f"{refused.message}; its credentials are not renewed within {DEADLINE:g} s")
        except Unusable as error:
            return replace(refused, message=f"{refused.message}; its credentials cannot be renewed: {error}")
        return refused if credentials.header == sent else None

    async def _send(self, request: _Request) -> Answer | Failure:
        started = time.monotonic()
        outcome: Answer | Failure
        try:
            async with asyncio.timeout(request.deadline):
                async with self._open().request(
                    request.method,
                    self._url(request.path, request.params),
                    data=_payload(request.body),
                    headers=self._request_headers(request.accept, request.content_type, request.body),
                    server_hostname=self.endpoint.server_name or None,
                    allow_redirects=False,
                ) as response:
                    content = await _whole(response)
                    code = response.status
                    if 200 <= code < 300:
                        outcome = Answer(code, content)
                    else:
                        outcome = failures.classify(
                            code,
                            response.headers.get("Content-Type", ""),
                            content,
                            secret=request.secret,
                            retry_after=response.headers.get("Retry-After"),
                            namespaces=_about_a_namespace(request.path),
                        )
        except TimeoutError:
            outcome = failures.timed_out(request.deadline)
            code = 0
        except (aiohttp.ClientError, OSError, ssl.SSLError, asyncio.IncompleteReadError, ValueError) as error:
            outcome = unreachable(self.endpoint.server, error)
            code = 0
        self._count(request.method, code, time.monotonic() - started)
        return outcome

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, accept: str
    ) -> AsyncIterator[aiohttp.StreamReader | Failure]:
        """Open a watch; the caller bounds every read. Yields a Failure when the server refuses."""
        sent = self.endpoint.credentials.header
        try:
            request = self._open().get(
                self._url(path, params),
                headers=self._request_headers(accept, JSON, None),
                server_hostname=self.endpoint.server_name or None,
                allow_redirects=False,
            )
            async with asyncio.timeout(DEADLINE):
                response = await request
        except TimeoutError:
            yield failures.timed_out(DEADLINE)
            return
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
            yield unreachable(self.endpoint.server, error)
            return
        self._count("WATCH", response.status, None)
        try:
            if response.status == 200:
                yield response.content
            else:
                failure = await _refusal(response)
                if failure.kind is FailureKind.UNAUTHORIZED:
                    await self._renewed(failure, sent)
                yield failure
        finally:
            _abort(response)

    async def read(self, path: str, *, params: Mapping[str, str] | None = None, deadline: float = DEADLINE) -> Any:
        """GET and decode, for callers who cannot go on without: raises ApiFailure."""
        doing = f"{self.name}: get {path}"
        return expect(await self.request("GET", path, params=params, deadline=deadline), doing).json(doing)

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ConnectionAbortedError("closed")  # a push in flight would open connections that nobody closes
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0, ssl=self._ssl, keepalive_timeout=IDLE_CONNECTION, ttl_dns_cache=30
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=DEADLINE),
                trust_env=False,  # a .netrc or proxy variable of the controller's host is none of a member's business
                cookie_jar=aiohttp.DummyCookieJar(),
                raise_for_status=False,
                read_bufsize=1 << 18,
                proxy=self.endpoint.proxy or None,
            )
        return self._session

    def _url(self, path: str, params: Mapping[str, str] | None) -> URL:
        query = f"?{urlencode(params)}" if params else ""
        return URL(f"{self.endpoint.server}{path}{query}", encoded=True)

    def _request_headers(self, accept: str, content_type: str, body: bytes | None) -> dict[str, str]:
        headers = self._headers | {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        if self.endpoint.credentials.header:
            headers["Authorization"] = self.endpoint.credentials.header
        return headers

    def _count(self, method: str, code: int, seconds: float | None) -> None:
        counter = self._counters.get((method, str(code)))
        if counter is None:
            counter = metrics.REQUESTS.labels(self.name, method, str(code) if code else "<error>")
            self._counters[method, str(code)] = counter
        counter.inc()
        if seconds is not None:
            timer = self._timers.get(method)
            if timer is None:
                timer = self._timers[method] = metrics.REQUEST_SECONDS.labels(self.name, method)
            timer.observe(seconds)


def _about_a_namespace(path: str) -> bool:
    """Whether the request is about a Namespace itself: its absence is told like that of an object's namespace."""
    root, _, rest = path.partition("/api/v1/namespaces/")
    return not root and bool(rest) and "/" not in rest.partition("?")[0]


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """aiohttp takes bodies over 1 MiB as a stream only, so that writing one does not hold the loop."""
    return io.BytesIO(body) if body is not None and len(body) > 1 << 20 else body


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """The body, unless it is larger than any API server's answer: a lying one must not fill our memory."""
    packed = "Content-Encoding" in response.headers  # its length says nothing of what comes out of it
    if response.content_length is not None and response.content_length <= LARGEST_ANSWER and not packed:
        return await response.read()
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST_ANSWER:
            raise AnswerTooLong
    return b"".join(chunks)


def _abort(response: aiohttp.ClientResponse) -> None:
    """End a watch's connection, which cannot be used again; a member that hangs would not say goodbye to it either."""
    transport = response.connection.transport if response.connection is not None else None
    response.close()
    if transport is not None:
        transport.abort()


async def _refusal(response: aiohttp.ClientResponse) -> Failure:
    """What a watch was refused with; the code alone says enough when the rest does not come."""
    content = b""
    try:
        async with asyncio.timeout(DEADLINE):
            content = await response.content.read(1 << 20)
    except (TimeoutError, aiohttp.ClientError, OSError):
        content = b""
    return failures.classify(
        response.status,
        response.headers.get("Content-Type", ""),
        content,
        secret=False,
        retry_after=response.headers.get("Retry-After"),
    )


def expect(outcome: Answer | Failure, doing: str = "") -> Answer:
    """The answer, or ApiFailure saying what was being done."""
    if isinstance(outcome, Failure):
        raise ApiFailure(outcome, doing)
    return outcome


def unreachable(server: str, error: Exception) -> Failure:
    """What a transport error means: whose certificate, or which connection."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError | ssl.SSLError):
        inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
        reason = getattr(inner, "verify_message", None) or getattr(inner, "reason", None) or type(inner).__name__
        return failures.unreachable(f"the certificate of {server} is not trusted: {reason}", untrusted=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        return failures.unreachable(f"cannot connect to {server}: {error.os_error.strerror or error.os_error}")
    if isinstance(error, ConnectionAbortedError):
        return failures.unreachable(f"the connection to {server} was given up")
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError | aiohttp.ClientPayloadError):
        return failures.unreachable(f"{server} closed the connection")
    return failures.unreachable(f"cannot talk to {server}: {type(error).__name__}")


def encode(value: Any) -> bytes:
    """JSON bytes; msgspec structs included."""
    return msgspec.json.encode(value) if isinstance(value, msgspec.Struct) else orjson.dumps(value)
