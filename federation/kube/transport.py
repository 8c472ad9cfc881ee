"""One HTTP/1.1 connection to an API server, with TLS and a proxy's tunnel, for one request at a time.

An `HttpConnection` is an asyncio protocol: it sends the bytes of a request and passes what comes to `answers.Answers`.
After a request that was cancelled, timed out or failed its owner must abort it.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from typing import cast

from federation.kube.answers import BODY, DONE, FAILED, UNASKED, Answers
from federation.kube.secured import Receive, Secured, Send, buffers
from federation.runtime import metrics
from federation.runtime.fence import Fence, Fenced

AHEAD = 256 << 10
"""Bytes of a watch that may wait for their reader before reading from the socket is paused."""
AT_ONCE = 64 << 10
"""Bytes of a request that are sent before other tasks run."""
_DISCARD = struct.pack("ii", 1, 0)
"""SO_LINGER: what the system has not sent when the socket is closed is never sent."""


class Closed(ConnectionResetError):
    """The server closed the connection before the response was complete."""


class Garbled(ConnectionError):
    """The server sent something that is no valid response; the message says what."""


class Unasked(Garbled):
    """The server answers more than it was asked."""

    def __init__(self) -> None:
        super().__init__(UNASKED)


class HttpConnection(asyncio.BufferedProtocol):
    """A connection. `lost` is called once, when it has ended. Requests raise Closed, Garbled or ssl.SSLError."""

    __slots__ = (
        "_fence",
        "_full",
        "_incomplete",
        "_loop",
        "_lost",
        "_prompt",
        "_received",
        "_secured",
        "_send",
        "_stream",
        "_tls_waiter",
        "_transport",
        "_waiter",
        "_writable",
        "answers",
        "buffer",
        "closed",
        "counted",
        "idle_since",
        "sent",
        "uses",
    )

    def __init__(self, lost: Callable[["HttpConnection"], None]) -> None:
        self.answers = Answers()
        self.closed = False
        self.uses = 0
        """Complete responses so far."""
        self.sent = 0.0
        """When the last request was sent (loop time)."""
        self.idle_since = 0.0
        """When it was last returned to its pool (loop time)."""
        self.counted = False
        """For the pool: it is one of those that requests may use."""
        self._lost: Callable[[HttpConnection], None] | None = lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._secured: Secured | None = None
        self._send: Send = self._write
        self._received: Receive = self._parse
        self._waiter: asyncio.Future[None] | None = None
        self._tls_waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._stream: Stream | None = None
        self._fence: Fence | None = None
        self._full = False
        self._incomplete = False
        self._prompt = False
        self.buffer = buffers.received

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent."""
        return self.answers.reusable and self.answers.stage == DONE and not self._incomplete and not self.closed

    @property
    def resumed(self) -> bool:
        """Whether its TLS session is a resumed one."""
        return self._secured is not None and self._secured.resumed

    def session(self) -> ssl.SSLSession | None:
        """Its TLS session, for a later connection to the same server to resume."""
        return self._secured.session() if self._secured is not None else None

    async def secure(self, context: ssl.SSLContext, name: str, session: ssl.SSLSession | None = None) -> None:
        """Start TLS over the connection as it is: over TCP, or over the TLS of a proxy."""
        layer = Secured(context, name, session, deliver=self._parse, send=self._send)
        if self._secured is None:
            self._received = layer.receive
        else:
            self._secured.deliver = layer.receive
        self._secured, self._send = layer, layer.send
        waiter = self._tls_waiter = self._loop.create_future()
        if self.closed:
            raise Closed
        layer.start()
        await waiter

    async def tunnel(self, request: bytes) -> int:
        """Send a CONNECT; the status. After a 2xx the connection leads to the server that it names."""
        await self._expect(request, 0, None, tunnel=True)
        answers, self.answers = self.answers, Answers()
        answers.forget()
        if answers.problem:
            raise _garbled(answers.problem)
        return answers.status

    def ask(self, request: bytes, largest: int, fence: Fence | None = None) -> "asyncio.Future[None]":
        """Send a request of at most AT_ONCE bytes; done when `answers` has the complete response.

        With a `fence` it fails with Fenced where that is shut when the bytes are given to the system, or shuts before
        the response has come.
        """
        self._guard(fence)
        return self._expect(request, largest, None)

    async def ask_in_parts(self, request: bytes, largest: int, fence: Fence | None = None) -> None:
        """The same for a request of any size: other tasks run while it is sent."""
        self._guard(fence)
        self._incomplete = True
        answered = self._expect(request[:AT_ONCE], largest, None)
        for start in range(AT_ONCE, len(request), AT_ONCE):
            if self._full:
                self._writable = self._loop.create_future()
                await self._writable
            else:
                await asyncio.sleep(0)
            if answered.done():
                break  # the server answered early, or closed; the rest would be read as another request
            self._send(request[start : start + AT_ONCE])
        else:
            self._incomplete = False
        await answered

    def watch(self, request: bytes, largest: int) -> "Stream":
        """Send a request; if the status is 200, its body is read as it comes."""
        stream = self._stream = Stream(self)
        stream.opened = self._expect(request, largest, stream.push)
        return stream

    def close(self) -> None:
        """Close it in an orderly way. No request may be under way."""
        if self.closed:
            return
        if self._secured is not None and self._secured.established:
            self._secured.finish()
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    def recall(self) -> None:
        """The fence is shut: the request fails, and what the system has not sent of it is never sent."""
        if self._transport is None or self.closed:
            return
        metrics.FENCED.inc()
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
        self._fail(Fenced())

    def abort(self) -> None:
        """Close it at once. An orderly close would wait for a server that hangs."""
        self._leave()
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Stop reading for now."""
        if self._transport is not None and not self.closed:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    # --- called by the event loop ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class is not derived from it

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to."""
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have been read."""
        try:
            self._received(self.buffer[:nbytes])
        except ssl.SSLError as error:
            self._fail(error, flush=True)
            return
        secured = self._secured
        if secured is not None:
            if self._tls_waiter is not None and secured.established:
                _resolve(self._tls_waiter)
                self._tls_waiter = None
            if secured.ended:
                self._end(clean=True)

    def eof_received(self) -> None:
        """The server sends no more. Without close_notify, a body that ends here may have been cut by somebody else."""
        self._end(clean=self._secured is None or self._secured.ended)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._end(clean=False)
        self.answers.forget()
        self._transport = self._secured = None
        self._send = self._received = _ignore  # a reference to itself would leave it to the garbage collector
        if self._lost is not None:
            self._lost(self)
            self._lost = None

    def pause_writing(self) -> None:
        """The socket accepts no more for now."""
        self._full = True

    def resume_writing(self) -> None:
        """The socket accepts more."""
        self._full = False
        _resolve(self._writable)

    # -----------------------------------------------------------------------------------------------------------------

    def _expect(
        self, request: bytes, largest: int, sink: Callable[[bytes], None] | None, *, tunnel: bool = False
    ) -> "asyncio.Future[None]":
        self.answers.expect(largest, sink=sink, tunnel=tunnel)
        if self.closed:
            raise Closed
        self.sent = self._loop.time()
        waiter = self._waiter = self._loop.create_future()
        self._send(request)
        return waiter

    def _guard(self, fence: Fence | None) -> None:
        """Have the next request pass the fence. Its bytes go to the system at once: uvloop would keep them for the end
        of a turn of the loop, and nobody would ask the fence again.
        """
        if fence is None or self._transport is None:
            return
        if not self._prompt:
            self._transport.set_write_buffer_limits(high=0)
            self._prompt = True
        self._fence = fence
        fence.enter(self)

    def _leave(self) -> None:
        if self._fence is not None:
            self._fence.leave(self)
            self._fence = None

    def _write(self, data: bytes | memoryview) -> None:
        if self._transport is None or self.closed:
            return
        if self._fence is not None and not self._fence.open:
            self.recall()  # where it has shut just now it has done so already
            return
        self._transport.write(data)

    def _parse(self, data: memoryview) -> None:
        if self.closed:
            return
        answers = self.answers
        answers.feed(data)
        stage = answers.stage
        if stage == DONE:
            self._complete()
            if answers.problem:
                self.abort()
        elif stage == FAILED:
            self._fail(_garbled(answers.problem))
        elif stage == BODY and self._stream is not None:
            _resolve(self._waiter)  # the watch is open

    def _end(self, *, clean: bool) -> None:
        if self.answers.end(clean=clean):
            self._complete()
            self.abort()
        else:
            self._fail(Closed())

    def _complete(self) -> None:
        self._leave()
        self.uses += 1
        _resolve(self._waiter)
        _resolve(self._writable)
        self._waiter = self._writable = None
        if self._stream is not None:
            self._stream.finish(None)
            self._stream = None

    def _fail(self, error: Exception, *, flush: bool = False) -> None:
        """Whoever waits gets the error. `flush`: an alert for the server is still to be sent."""
        for waiter in (self._waiter, self._tls_waiter):
            if waiter is not None and not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # nobody may wait any more; asyncio would log that
        _resolve(self._writable)
        self._waiter = self._tls_waiter = self._writable = None
        if self._stream is not None:
            self._stream.finish(error)
            self._stream = None
        if flush and not self.closed and self._transport is not None:
            self.closed = True
            self._transport.close()
        else:
            self.abort()


class Stream:
    """The body of a response as it comes: an asynchronous iterator of bytes, which raises what HttpConnection does.

    `opened` is done when the head has come. After an error response `rest` waits for the complete body in `answers`.
    """

    __slots__ = ("_connection", "_ended", "_error", "_paused", "_pieces", "_size", "_waiter", "opened")

    def __init__(self, connection: HttpConnection) -> None:
        self.opened: asyncio.Future[None]
        self._connection = connection
        self._pieces: list[bytes] = []
        self._size = 0
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        content = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._connection.resume()
        return content

    async def rest(self) -> None:
        """Wait for the end."""
        async for _ in self:
            pass

    def push(self, data: bytes) -> None:
        """Add a piece."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > AHEAD and not self._paused:
            self._paused = True
            self._connection.pause()
        _resolve(self._waiter)

    def finish(self, error: Exception | None) -> None:
        """No more pieces come."""
        self._ended, self._error = True, error
        _resolve(self._waiter)


def _garbled(problem: str) -> Garbled:
    return Unasked() if problem == UNASKED else Garbled(problem)


def _ignore(_: bytes | memoryview) -> None:
    """For what comes after the end."""


def _resolve(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
