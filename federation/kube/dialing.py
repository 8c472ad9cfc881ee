"""Open connections to an API server: resolve its name, try its addresses, pass its proxy, start TLS.

Everything comes from the Endpoint. A .netrc file or a proxy variable of the controller's host is not meant for members.
"""

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

import aiohappyeyeballs

from federation.kube import resolving, socks, tls
from federation.kube.endpoint import Endpoint
from federation.kube.resolving import Resolver
from federation.kube.sockets import Sockets
from federation.kube.transport import HttpConnection
from federation.runtime.fence import Fence

STAGGER = 0.25
"""Seconds after which the next address is tried while one has not answered (RFC 8305)."""
KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""TCP keep-alive, in seconds and probes: a dead path is noticed within a minute, and neither NAT nor a load balancer
forgets an idle connection."""
GIVEN_UP = 0.8
"""The share of a fence's slack after which the system gives up bytes that it cannot deliver. Else a write that was sent
while the network was cut would arrive when it is mended, though another controller leads by then."""
SESSION_LIFE = 600.0
"""Seconds in which a TLS session is resumed. After that the server's certificate is verified again."""
_PATH = "/:@!$&'()*+,;=~%"


class CannotConnect(ConnectionError):
    """No TCP connection; `error` is the reason."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class ProxyRefuses(ConnectionError):
    """The proxy opens no connection to the server."""


class _Place:
    """Host and port of a URL, as TCP, TLS and HTTP need them."""

    def __init__(self, url: SplitResult) -> None:
        self.secure = url.scheme == "https"
        self.host = unquote(url.hostname or "")
        if not self.host.isascii():
            with contextlib.suppress(UnicodeError):  # a name that is invalid fails when it is resolved
                self.host = self.host.encode("idna").decode("ascii")
        self.port = url.port or (socks.PORT if url.scheme in socks.SCHEMES else 443 if self.secure else 80)
        self.address = resolving.literal(self.host, self.port)
        bare = self.host.partition("%")[0]
        self.name = bare.rstrip(".")
        """The name in its certificate."""
        host = f"[{bare}]" if ":" in bare else bare
        self.authority = f"{host}:{self.port}"
        self.header = self.authority if url.port else host


class Dialer:
    """Opens connections to one endpoint. Raises Unusable when its certificates cannot be read."""

    def __init__(self, endpoint: Endpoint, sockets: Sockets, fence: Fence | None = None) -> None:
        url = urlsplit(endpoint.server)
        self._sockets = sockets
        self._fence = fence
        self._server = _Place(url)
        self._context = tls.context(endpoint.trust) if self._server.secure else None
        self._name = endpoint.server_name or self._server.name
        self._proxy: _Place | None = None
        self._proxy_context: ssl.SSLContext | None = None
        self._connect_request = b""
        self._socks = False
        self._user: tuple[str, str] | None = None
        self._resolver = Resolver()
        self._session: ssl.SSLSession | None = None
        self._session_until = 0.0
        self.host = self._server.header
        """The Host header of requests."""
        self.target = quote(url.path, safe=_PATH)
        """The beginning of every request's target."""
        self.proxy_authorization = ""
        """The Proxy-Authorization header of requests, where a proxy forwards them one by one."""
        if endpoint.proxy:
            self._use_proxy(urlsplit(endpoint.proxy), endpoint)

    def _use_proxy(self, url: SplitResult, endpoint: Endpoint) -> None:
        self._proxy = _Place(url)
        if url.username is not None:
            self._user = unquote(url.username), unquote(url.password or "")
        if url.scheme in socks.SCHEMES:
            self._socks = True
            return
        if self._proxy.secure:
            self._proxy_context = tls.context(endpoint.trust)
        credentials = ""
        if self._user is not None:
            credentials = f"Basic {base64.b64encode(':'.join(self._user).encode()).decode()}"
        if not self._server.secure:
            self.target = f"http://{self.host}{self.target}"
            self.proxy_authorization = credentials
            return
        place = self._server.authority
        authorization = f"Proxy-Authorization: {credentials}\r\n" if credentials else ""
        request = f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{authorization}\r\n"
        self._connect_request = request.encode("ascii", "replace")

    async def dial(self, lost: Callable[[HttpConnection], None], *, watch: bool = False) -> HttpConnection:
        """A new connection; `lost` is called when it ends.

        Raises CannotConnect, ProxyRefuses, TooMany, ssl.SSLError, Closed and Garbled.
        """
        slot = _Slot(self._sockets, lost)
        self._sockets.take(watch=watch)
        connection = HttpConnection(slot.lost)
        try:
            await self._connect(connection)
            await self._secure(connection)
        except BaseException:
            connection.abort()
            slot.give()
            self._session_until = 0.0  # a session that cannot be resumed must not fail again
            raise
        return connection

    def keep_session(self, connection: HttpConnection) -> None:
        """Resume this connection's TLS session on later ones. Call it after a response: the ticket has come by then."""
        now = asyncio.get_running_loop().time()
        if now >= self._session_until and not connection.resumed and (session := connection.session()) is not None:
            self._session, self._session_until = session, now + SESSION_LIFE

    async def _connect(self, connection: HttpConnection) -> None:
        place = self._proxy or self._server
        loop = asyncio.get_running_loop()
        try:
            addresses = (
                [place.address] if place.address is not None else await self._resolver.resolve(place.host, place.port)
            )
            connected = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=STAGGER, socket_factory=_socket
            )
            if self._fence is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
                milliseconds = max(1, int(1000 * GIVEN_UP * self._fence.slack))
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        except (OSError, RuntimeError) as error:  # uvloop raises RuntimeError, too
            self._resolver.forget(place.host, place.port)
            raise CannotConnect(error if isinstance(error, OSError) else OSError(None, str(error))) from None
        try:
            if self._socks:
                await self._ask_socks(connected)
            await loop.create_connection(lambda: connection, sock=connected)
        except BaseException:
            connected.close()
            raise

    async def _ask_socks(self, connected: socket.socket) -> None:
        try:
            await socks.connect(connected, self._server.host.partition("%")[0], self._server.port, self._user)
        except socks.Refused as error:
            raise ProxyRefuses(str(error)) from None
        except OSError as error:
            raise CannotConnect(error) from None

    async def _secure(self, connection: HttpConnection) -> None:
        if self._proxy is not None and self._proxy_context is not None:
            await connection.secure(self._proxy_context, self._proxy.name)
        if self._connect_request:
            status = await connection.tunnel(self._connect_request)
            if not 200 <= status < 300:
                raise ProxyRefuses(f"the proxy answers {status}")
        if self._context is not None:
            session = self._session if asyncio.get_running_loop().time() < self._session_until else None
            await connection.secure(self._context, self._name, session)


class _Slot:
    """A connection's place in the count of the process, which is given back once."""

    __slots__ = ("_lost", "_sockets")

    def __init__(self, sockets: Sockets, lost: Callable[[HttpConnection], None]) -> None:
        self._sockets: Sockets | None = sockets
        self._lost = lost

    def lost(self, connection: HttpConnection) -> None:
        self.give()
        self._lost(connection)

    def give(self) -> None:
        if self._sockets is not None:
            self._sockets.give()
            self._sockets = None


def _socket(address: Any) -> socket.socket:
    made = socket.socket(address[0], address[1], address[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE:
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
