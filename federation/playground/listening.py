"""A TLS port for an aiohttp server: all that it has accepted ends with it, in whatever state that is.

asyncio's own server loses what it has accepted while it is closed, knows nothing of handshakes that are under way, and
ends TLS politely, which a client that is busy or stopped keeps from ending. Such a socket is found by the garbage
collector at last, in the midst of somebody else's test.
"""

import asyncio
import errno
import functools
import socket
import ssl
import weakref

from aiohttp import web

BACKLOG = 1024
"""Connections that the kernel keeps until they are accepted."""
_AT_ONCE = 100
"""Connections that are accepted in one turn of the loop."""
_AGAIN = 1.0
"""Seconds after which it is tried again where the system has no room for another connection."""
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Listening:
    """What `server` serves on one port of 127.0.0.1. It may be opened and closed again and again."""

    def __init__(self, server: web.Server, tls: ssl.SSLContext) -> None:
        self._server = server
        self._tls = tls
        self._bound: socket.socket | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._open: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()

    @property
    def listens(self) -> bool:
        """Whether connections are accepted."""
        return self._bound is not None

    def open(self, port: int = 0) -> int:
        """Listen from now on, on any free port if it is 0; returns the port. OSError when it is another's."""
        bound = socket.socket()
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(("127.0.0.1", port))
            bound.listen(BACKLOG)
            bound.setblocking(False)
        except OSError:
            bound.close()
            raise
        self._bound = bound
        asyncio.get_running_loop().add_reader(bound, self._accept, bound)
        return int(bound.getsockname()[1])

    def close(self) -> None:
        """Refuse what comes, and end all that is open; it has ended by the next turns of the loop."""
        if self._bound is not None:
            asyncio.get_running_loop().remove_reader(self._bound)
            self._bound.close()
            self._bound = None
        for opening in self._opening:
            opening.cancel()
        begun = [each.transport for each in self._server.connections]  # one may not be in `_open` yet
        for transport in (*self._open, *begun):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()

    async def end(self) -> None:
        """Close, and wait until nothing is left: neither a connection nor a request."""
        self.close()
        await self._server.shutdown(1.0)
        await asyncio.gather(*self._opening, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted closes its socket in the next turn of the loop

    def _accept(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_AT_ONCE):
            try:
                accepted, _address = bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                loop.remove_reader(bound)
                loop.call_later(_AGAIN, self._resume, bound)
                return
            accepted.setblocking(False)
            opening = loop.create_task(self._begin(accepted))
            self._opening.add(opening)
            opening.add_done_callback(functools.partial(self._begun, accepted))

    def _resume(self, bound: socket.socket) -> None:
        if bound is self._bound:
            asyncio.get_running_loop().add_reader(bound, self._accept, bound)

    async def _begin(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(self._server, accepted, ssl=self._tls)
        self._open.add(transport)

    def _begun(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if task.cancelled():  # before it began, nobody else knows of the socket
            accepted.close()
        elif (failed := task.exception()) is not None:
            accepted.close()
            if not isinstance(failed, OSError):  # as when the client goes away in the midst of its handshake
                raise failed
