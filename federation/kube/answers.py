"""Parse HTTP/1.1 responses from a connection's bytes, in any pieces, within limits.

llhttp (httptools) parses, in its strict mode: two Content-Lengths, a Content-Length together with chunks, bare line
feeds and invalid chunk sizes are errors. This module adds the limits, which llhttp does not have, and what follows from
a response for the connection. HEAD and Upgrade are not supported: nothing here uses them.
"""

from collections.abc import Callable
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from federation.model import bounds

LARGEST_HEAD = 64 << 10
"""Bytes that may come without a byte of a body: headers, interim (1xx) responses, chunk extensions, trailers."""
MOST_HEADERS = 200
"""Headers of one response, with those of the interim responses before it. API servers send about ten."""

MOST_INTERIM = 16
"""Interim responses (100 Continue, 103 Early Hints) before one response. Real servers send at most one."""

IDLE, HEAD, BODY, DONE, FAILED = range(5)
"""Stages: no response is expected; its head is; its body is; it is complete; it is invalid (see `problem`)."""

_KEPT = frozenset(
    {b"content-type", b"content-length", b"content-encoding", b"transfer-encoding", b"retry-after", b"date"}
)
_NO_HTTP = "its response is not HTTP/1.1"
UNASKED = "it answers more than it was asked"
"""The problem of a server that sends responses which nobody waits for, or interim ones without an end."""
_LONG_HEAD = "its headers are too long"


class Answers:
    """The responses on one connection, one after the other: `expect` one, then `feed` bytes until it is DONE."""

    __slots__ = (
        "_headers",
        "_interim",
        "_limit",
        "_more",
        "_parser",
        "_quiet",
        "_seen",
        "_sink",
        "_size",
        "_tunnel",
        "_until_close",
        "body",
        "packed",
        "problem",
        "received",
        "reusable",
        "stage",
        "status",
        "too_long",
    )

    def __init__(self) -> None:
        self.stage = IDLE
        self.status = 0
        self.body = b""
        """The body, when the stage is DONE; empty when a sink took it."""
        self.packed = False
        """The response is compressed; its body is not read."""
        self.too_long = False
        """A success that is larger than its caller accepts; its body is not kept."""
        self.reusable = False
        """Whether another request may be sent on the connection."""
        self.received = False
        """Whether a byte has come since `expect`."""
        self.problem = ""
        """Why the bytes are not a valid response."""
        self._headers: dict[bytes, bytes] = {}
        self._sink: Callable[[bytes], None] | None = None
        self._more: bytearray | None = None
        self._limit = self._quiet = self._seen = self._size = self._interim = 0
        self._until_close = self._tunnel = False
        self._parser: Any = HttpResponseParser(self)

    def expect(self, largest: int, *, sink: Callable[[bytes], None] | None = None, tunnel: bool = False) -> None:
        """Prepare for the next response.

        A success may have `largest` bytes; of an error response the beginning is kept (bounds.LARGEST_ERROR). The body
        of a 200 goes to `sink`, if given.

        `tunnel`: the request is a CONNECT, whose 2xx response has no body.
        """
        self.stage = HEAD
        self.body = b""
        self.packed = self.too_long = self.received = self.reusable = self._until_close = False
        self._headers.clear()
        self._sink, self._more = sink, None
        self._tunnel = tunnel
        self._limit = largest
        self._quiet = self._seen = self._size = self._interim = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Parse the next bytes."""
        if self.stage not in (HEAD, BODY):
            self._fail(UNASKED)
            return
        self.received = True
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._fail(_NO_HTTP)
        if self._quiet > LARGEST_HEAD:
            self._fail(_LONG_HEAD)

    def end(self, *, clean: bool) -> bool:
        """No more bytes come; whether that completes a response.

        `clean`: with TLS, the server has said that it ends here; nobody else can have cut the body.
        """
        self.reusable = False
        if self.stage == BODY and self._until_close and clean:
            self._finish()
            return True
        return False

    def forget(self) -> None:
        """Drop the parser, which refers back to this object."""
        self._parser = None
        self._sink = None

    @property
    def content_type(self) -> str:
        """The header, or ""."""
        return self._headers.get(b"content-type", b"").decode("latin-1")

    @property
    def retry_after(self) -> str | None:
        """The header."""
        value = self._headers.get(b"retry-after")
        return None if value is None else value.decode("latin-1")

    @property
    def date(self) -> bytes:
        """The header, or ""."""
        return self._headers.get(b"date", b"")

    # --- called by llhttp ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of a response."""
        if self.stage != HEAD:
            self._fail(UNASKED)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or a trailer, which is ignored."""
        self._seen += 1
        self._size += len(name) + len(value)
        if self._seen > MOST_HEADERS or self._size > LARGEST_HEAD:
            self._fail(_LONG_HEAD)
        elif self.stage == HEAD:
            name = name.lower()
            if name in _KEPT:
                self._headers[name] = value

    def on_headers_complete(self) -> None:
        """The head is complete."""
        if self.stage != HEAD:
            return
        status = self._parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                self._fail(_NO_HTTP)
            self._interim += 1
            if self._interim > MOST_INTERIM:
                self._fail(UNASKED)
            self._headers.clear()  # of an interim response: the final one follows
            return
        self.status = status
        self.stage = BODY
        self.reusable = self._parser.should_keep_alive()
        headers = self._headers
        length = headers.get(b"content-length")
        coding = headers.get(b"transfer-encoding")
        self._until_close = length is None and coding is None
        if self._tunnel and status < 300:
            self._finish()
        elif coding is not None and coding.strip().lower() != b"chunked":
            self._fail("its response has an unknown transfer encoding")
        elif headers.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
            self.packed = True
            self._cut()
        elif status != 200 or self._sink is None:
            self._sink = None
            if status >= 300:
                self._limit = bounds.LARGEST_ERROR
            elif length is not None and int(length) > self._limit:
                self.too_long = True
                self._cut()

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self.stage != BODY:
            self._fail(UNASKED)
            return
        self._quiet = 0
        if self._sink is not None:
            self._sink(data)
            return
        whole = self._more
        if whole is not None:
            whole += data
        elif self.body:
            whole = self._more = bytearray(self.body)
            whole += data
        else:
            self.body = data
        if len(self.body if whole is None else whole) > self._limit:
            self.too_long = self.status < 300
            self._cut()

    def on_message_complete(self) -> None:
        """The response is complete, unless it is an interim one."""
        if self.stage == BODY:
            self._finish()

    # -----------------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        self.stage = DONE
        if self._more is not None:
            self.body = bytes(self._more)
            self._more = None

    def _cut(self) -> None:
        """Do not read the rest. Nothing is kept of a success that is too long."""
        self._finish()
        self.reusable = False
        self.body = b"" if self.too_long else self.body[: self._limit]

    def _fail(self, problem: str) -> None:
        """Parse nothing more on this connection. A response that is complete stays valid."""
        self.reusable = False
        if self.stage != DONE:
            self.stage = FAILED
        self.problem = self.problem or problem
