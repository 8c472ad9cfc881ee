"""Requests to one API server: bytes in, bytes out, a deadline for every request, failures as values.

kubernetes-asyncio's own client is not used here because, at 36.1.0, it raises nothing on 4xx without preloading, has no
default timeouts, knows neither 429 nor Retry-After, logs response bodies at DEBUG, reads .netrc and costs twice the
CPU. Its kubeconfig loading is used (`kube.kubeconfig`).
"""

import asyncio
import contextlib
import errno
import math
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import orjson

from federation import __version__
from federation.core import classification
from federation.kube import bodies
from federation.kube.dialing import CannotConnect, Dialer, ProxyRefuses
from federation.kube.endpoint import Endpoint
from federation.kube.pool import FEW, Pool
from federation.kube.requests import Requests, Unsendable
from federation.kube.sockets import TooMany, sockets
from federation.kube.transport import AT_ONCE, Garbled, HttpConnection, Stream, Unasked
from federation.model import bounds
from federation.model.errors import ApiFailure, Unusable
from federation.model.failures import Failure, FailureKind
from federation.runtime import metrics
from federation.runtime.fence import Fence, Fenced
from federation.runtime.patience import LATE, Patience

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_FULL = (errno.EMFILE, errno.ENFILE)

_LONGEST_DATE = 40
DEADLINE = 10.0
"""Seconds for one request, by default."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A 2xx answer."""

    code: int
    body: bytes

    def json(self, doing: str = "") -> Any:
        """The decoded body. Raises ApiFailure, with what was being done, when it is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise ApiFailure(Failure(FailureKind.UNEXPECTED, "the answer is not JSON"), doing) from None


class Connection:
    """Requests to one API server over a pool of connections. Close it when done.

    `name` labels metrics and messages. Requests share `few` connections, more if the server is far away (kube.pool);
    watches have their own. `largest` limits the bytes of an answer unless a request sets another limit. `large` is held
    while a page larger than usual is read, so that there is one at a time. With a `fence` nothing but a GET is sent
    while that is shut; such a request is a Failure (`fenced`).
    """

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        *,
        agent: str = "fedctl",
        largest: int = bounds.LARGEST_ANSWER,
        few: int = FEW,
        fence: Fence | None = None,
    ) -> None:
        self.name = name
        self.endpoint = endpoint
        self.large = asyncio.Semaphore(1)
        self._largest = largest
        self._fence = fence
        dialer = Dialer(endpoint, sockets, fence)
        # An answer's Content-Length must be its real size: compressed, half a megabyte could become 500.
        headers = {"Host": dialer.host, "User-Agent": f"{agent}/{__version__}", "Accept-Encoding": "identity"}
        if dialer.proxy_authorization:
            headers["Proxy-Authorization"] = dialer.proxy_authorization
        self._requests = Requests(dialer.target, headers)
        self._pool = Pool(dialer, sockets, few=few)
        self._counters: dict[tuple[str, int], Any] = {}
        self._timers: dict[str, Any] = {}
        self._seconds = metrics.REQUEST_SECONDS_IN_ALL.labels(name)
        self.requests = 0
        """How many it has sent."""
        self._written = -math.inf
        self._date = (b"", 0.0)

    @property
    def clock(self) -> float | None:
        """The server's time (seconds of the epoch), by the Date of its last answer; None when it has sent none."""
        date, received = self._date
        try:
            there = parsedate_to_datetime(date[:_LONGEST_DATE].decode("ascii")).timestamp()
        except (ValueError, OverflowError):
            return None
        return there + asyncio.get_running_loop().time() - received

    @property
    def busy(self) -> bool:
        """Whether requests are under way, urgent ones and watches aside."""
        return self._pool.used > 0

    @property
    def written(self) -> float:
        """Seconds since the server carried out a request that writes."""
        return asyncio.get_running_loop().time() - self._written

    async def close(self) -> None:
        """End every open connection, watches included."""
        self._pool.close()
        await asyncio.sleep(0)  # aborted connections close their sockets in the event loop's next iteration

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
        largest: int = 0,
        authorization: str | None = None,
        urgent: bool = False,
    ) -> Answer | Failure:
        """One request; once more when the server refuses a token that its source can renew.

        With `secret`, values that the server's error message quotes are left out: they may be credentials. An answer of
        more than `largest` bytes is a Failure (bodies.TOO_LONG). `authorization` is sent instead of our own header. An
        `urgent` request does not wait until another one is over.
        """
        largest = largest or self._largest
        authorized = sent = self.endpoint.credentials.header
        if authorization is not None:
            authorized = authorization
        for last in (authorization is not None, True):
            try:
                data = self._requests.encode(
                    method, path, params, body, accept=accept, content_type=content_type, authorization=authorized
                )
            except Unsendable as error:
                return unreachable(self.endpoint.server, error)
            outcome = await self._send(
                method,
                data,
                again=content_type != JSON_PATCH,
                deadline=deadline,
                secret=secret,
                namespaces=_about_a_namespace(path),
                largest=largest,
                urgent=urgent,
            )
            if last or not isinstance(outcome, Failure) or outcome.kind is not FailureKind.UNAUTHORIZED:
                break
            if (failure := await self._renewed(outcome, sent)) is not None:
                return failure
            authorized = self.endpoint.credentials.header
        return outcome

    async def _renewed(self, refused: Failure, sent: str) -> Failure | None:
        """None when there are new credentials; else the Failure, with the reason why there are none."""
        credentials = self.endpoint.credentials
        try:
            async with asyncio.timeout(DEADLINE):  # an exec plugin may hang
                await credentials.renew(sent)
        except TimeoutError:
            return replace(refused, message=f"{refused.message}; its credentials are not renewed within {DEADLINE:g} s")
        except Unusable as error:
            return replace(refused, message=f"{refused.message}; its credentials cannot be renewed: {error}")
        return refused if credentials.header == sent else None

    async def _send(
        self,
        method: str,
        data: bytes,
        *,
        again: bool,
        deadline: float,
        secret: bool,
        namespaces: bool,
        largest: int,
        urgent: bool,
    ) -> Answer | Failure:
        loop = asyncio.get_running_loop()
        started = loop.time()
        fence = self._fence if method != "GET" else None
        if fence is not None and not fence.open:
            metrics.FENCED.inc()
            return fenced()
        outcome: Answer | Failure
        code = 0
        waits = False
        pool = self._pool
        patience = Patience(deadline)
        try:
            with patience:
                connection = pool.take_idle(urgent=urgent)
                if connection is None:
                    waits = True
                    connection = await pool.wait(urgent=urgent)
                    waits = False
                    if connection is None:
                        connection = await pool.open_new(urgent=urgent)
                connection = await self._answered(connection, data, largest, again=again, fence=fence)
                answers = connection.answers
                self._date = answers.date, loop.time()
                try:
                    if 200 <= (code := answers.status) < 300:
                        content = bodies.success(answers, self.endpoint.server, largest)
                        outcome = content if isinstance(content, Failure) else Answer(code, content)
                    else:
                        outcome = bodies.refusal(answers, secret=secret, namespaces=namespaces)
                finally:
                    answers.body = b""
                    pool.give_back(connection)
        except TimeoutError:
            outcome = classification.timed_out(deadline, late=patience.in_vain)
            if waits:  # it was never sent
                outcome = replace(outcome, message=f"no connection became free within {deadline:g} s", late=True)
        except Fenced:
            outcome = fenced()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            outcome = _late(unreachable(self.endpoint.server, error), error, patience)
        ended = loop.time()
        if code and method != "GET" and isinstance(outcome, Answer):
            self._written = ended
        self._count(method, code, ended - started)
        return outcome

    async def _answered(
        self, connection: HttpConnection, data: bytes, largest: int, *, again: bool, fence: Fence | None
    ) -> HttpConnection:
        """The connection with the complete response. Raises Fenced where the fence shuts before it has come.

        A server may close an idle connection while a request is on its way. So with `again`, a request is repeated once
        on a new connection if it was sent on one that had been used before, which was closed before any byte of a
        response came. In rare cases the server has carried out the first one (it crashed before it answered). Repeating
        is safe for everything that is sent here:
        - GET changes nothing.
        - Server-side apply and merge patches of a status describe the wanted state; twice gives the same as once.
        - A merge patch of finalizers has the resourceVersion: the second is a conflict, and its caller reads again.
        - DELETE has the uid as its precondition: the second finds nothing, or another object, which stays. Without one
          it comes from a command, whose user wants nothing of that name.
        - POST of a named object, or an apply that may only create: the second says that it exists, as if somebody else
          had been faster. POST of an Event or a TokenRequest: there may be two, and both expire. POST of an access
          review stores nothing.
        - A JSON patch is not repeated: its operations assume the state before it. Its caller reads before it retries.
        """
        pool = self._pool
        while True:
            try:
                if len(data) <= AT_ONCE:
                    await connection.ask(data, largest, fence)
                else:
                    await connection.ask_in_parts(data, largest, fence)
                return connection
            except ConnectionError as error:
                if not again or not _was_idle(connection) or isinstance(error, Fenced):
                    pool.drop(connection)
                    raise
            except BaseException:
                pool.drop(connection)
                raise
            again = False
            connection = await pool.take_another(connection)

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, accept: str, deadline: float = DEADLINE
    ) -> AsyncIterator[AsyncIterator[bytes] | Failure]:
        """Open a watch; the caller sets a deadline for every read, which may raise OSError. Yields a Failure when the
        server refuses, or sends nothing within the `deadline`.
        """
        sent = self.endpoint.credentials.header
        patience = Patience(deadline)
        try:
            with patience:
                data = self._requests.encode(
                    "GET", path, params, None, accept=accept, content_type=JSON, authorization=sent
                )
                connection, stream = await self._opened(data)
        except TimeoutError:
            yield classification.timed_out(deadline, late=patience.in_vain)
            return
        except (OSError, ValueError) as error:
            yield _late(unreachable(self.endpoint.server, error), error, patience)
            return
        answers = connection.answers
        self._count("WATCH", answers.status, None)
        try:
            if answers.status != 200:
                with contextlib.suppress(OSError):  # a TimeoutError, too: the code says enough
                    async with asyncio.timeout(DEADLINE):
                        await stream.rest()
                failure = bodies.refusal(answers)
                if failure.kind is FailureKind.UNAUTHORIZED:
                    await self._renewed(failure, sent)
                yield failure
            elif answers.packed:
                yield bodies.packed(self.endpoint.server)
            else:
                yield stream
        finally:
            self._pool.give_back(connection, timed=False)

    async def _opened(self, data: bytes) -> tuple[HttpConnection, Stream]:
        """A connection with an open watch, or with the head of the server's refusal."""
        connection = await self._pool.take_for_watch()
        again = True
        while True:
            try:
                stream = connection.watch(data, bounds.LARGEST_ERROR)
                await stream.opened
                return connection, stream
            except ConnectionError:
                if not again or not _was_idle(connection):
                    self._pool.drop(connection)
                    raise
            except BaseException:
                self._pool.drop(connection)
                raise
            again = False
            connection = await self._pool.take_another(connection)

    async def read(self, path: str, *, params: Mapping[str, str] | None = None, deadline: float = DEADLINE) -> Any:
        """GET and decode. Raises ApiFailure."""
        doing = f"{self.name}: get {path}"
        return expect(await self.request("GET", path, params=params, deadline=deadline), doing).json(doing)

    def _count(self, method: str, code: int, seconds: float | None) -> None:
        counter = self._counters.get((method, code))
        if counter is None:
            counter = metrics.REQUESTS.labels(self.name, method, str(code) if code else "<error>")
            self._counters[method, code] = counter
        counter.inc()
        self.requests += 1
        if seconds is not None:
            timer = self._timers.get(method)
            if timer is None:
                host = metrics.HUB if self.name == metrics.HUB else metrics.MEMBERS
                timer = self._timers[method] = metrics.REQUEST_SECONDS.labels(host, method)
            timer.observe(seconds)
            self._seconds.inc(seconds)


def _was_idle(connection: HttpConnection) -> bool:
    """Whether the server may have closed the connection because it was idle."""
    return connection.uses > 0 and not connection.answers.received


def _late(failure: Failure, error: Exception, patience: Patience) -> Failure:
    """The failure, marked as ours if the server may have closed because we were late, or we can open no connection."""
    cause = error.error if isinstance(error, CannotConnect) else error
    full = isinstance(cause, TooMany) or (isinstance(cause, OSError) and cause.errno in _FULL)
    late = patience.late >= LATE and failure.kind is FailureKind.UNREACHABLE
    return replace(failure, late=True) if full or (late and not isinstance(cause, ConnectionRefusedError)) else failure


def fenced() -> Failure:
    """A write that this process may not send now; nothing follows from it about the server."""
    message = "not sent: this controller does not hold the lease at this moment; it is tried again when it does"
    return Failure(FailureKind.UNAVAILABLE, message, late=True)


def _about_a_namespace(path: str) -> bool:
    """Whether the request is about a Namespace itself: if it is missing, that is NOT_FOUND, not NAMESPACE_MISSING."""
    root, _, rest = path.partition("/api/v1/namespaces/")
    return not root and bool(rest) and "/" not in rest.partition("?")[0]


def expect(outcome: Answer | Failure, doing: str = "") -> Answer:
    """The answer. Raises ApiFailure, with what was being done, for a Failure."""
    if isinstance(outcome, Failure):
        raise ApiFailure(outcome, doing)
    return outcome


def unreachable(server: str, error: Exception) -> Failure:
    """The Failure for a transport error, in words."""
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "verify_message", None) or error.reason or type(error).__name__
        return classification.unreachable(f"the certificate of {server} is not trusted: {reason}", untrusted=True)
    if isinstance(error, CannotConnect):
        cause = error.error
        number = cause.errno  # asyncio's own message is "Connect call failed ('127.0.0.1', 1)"
        system = os.strerror(number).lower() if isinstance(number, int) and number in errno.errorcode else ""
        reason = cause.strerror if isinstance(cause, socket.gaierror) else system
        return classification.unreachable(f"cannot connect to {server}: {reason or cause.strerror or cause}")
    if isinstance(error, ConnectionAbortedError):
        return classification.unreachable(f"the connection to {server} was aborted")
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return classification.unreachable(f"{server} closed the connection")
    if isinstance(error, Unasked):
        return Failure(FailureKind.UNEXPECTED, f"{server} answers more than it was asked")
    if isinstance(error, Garbled | ProxyRefuses | Unsendable | TooMany):
        return classification.unreachable(
            f"the request to {server} failed: {getattr(error, 'strerror', None) or error}"
        )
    return classification.unreachable(f"the request to {server} failed: {type(error).__name__}")


def encode(value: Any) -> bytes:
    """JSON bytes; msgspec structs included."""
    return msgspec.json.encode(value) if isinstance(value, msgspec.Struct) else orjson.dumps(value)
