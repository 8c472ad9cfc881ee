"""The fault proxy's work on connections: its TLS, pass headers on, send half an answer, go silent, close.

Shared by `faultproxy` and `watchstream`.
"""

import asyncio
import ssl

import multidict
from aiohttp import web

from federation.kube import tls
from federation.playground import pki

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


def server_tls(ca: pki.KeyPair) -> ssl.SSLContext:
    """TLS of a server on 127.0.0.1 whose certificate `ca` has signed."""
    pair = pki.serving(ca, "fault-proxy", dns=("localhost",), ips=("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_pair(context, pair.certificate, pair.key)
    return context


def passed_on(headers: multidict.CIMultiDictProxy[str]) -> multidict.CIMultiDict[str]:
    """The headers that a proxy passes on: all but those of one connection."""
    return multidict.CIMultiDict((key, value) for key, value in headers.items() if key.lower() not in _HOP_BY_HOP)


async def forever() -> None:
    """Wait until the client or the proxy closes the connection, which cancels the handler."""
    await asyncio.Event().wait()


async def half(request: web.BaseRequest, whole: web.Response, content: bytes) -> web.StreamResponse:
    """Announce the whole answer's length, send half of it, and close."""
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(content)
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    close(request)
    return response


def close(request: web.BaseRequest) -> None:
    """Close the connection when everything that was written has been sent."""
    if request.transport is not None:
        request.transport.close()


def abort(request: web.BaseRequest) -> None:
    """Close the connection at once."""
    if request.transport is not None:
        request.transport.abort()
