"""Resolve host names in a thread for each name, so that a DNS server that does not answer delays only its own names.

asyncio and uvloop resolve in a few shared threads, and getaddrinfo cannot be interrupted: a handful of names whose
servers do not answer block all others for as long as the system's resolver waits (seconds to half a minute). Here each
name has at most one thread, and all requests for the name wait for it, each until its own deadline. The system's
resolver is used, with its hosts file, search domains and name services, which other libraries (c-ares) support in
part only. Addresses are never resolved.
"""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from typing import Any

MOST = 2_000
"""Names that are resolved at the same time in this process, each in a thread. No real fleet needs more."""

KEPT = 30.0
"""Seconds in which a result is used again."""

Address = tuple[int, int, int, str, tuple[Any, ...]]
"""As getaddrinfo returns it: family, type, protocol, canonical name, socket address."""
_Key = tuple[str, int]

_threads = threading.BoundedSemaphore(MOST)


class Resolver:
    """The system's resolver, one thread for each name that is being resolved."""

    def __init__(self) -> None:
        self._pending: dict[_Key, asyncio.Future[list[Address]]] = {}
        self._found: dict[_Key, tuple[float, list[Address]]] = {}

    async def resolve(self, host: str, port: int) -> list[Address]:
        """The addresses of a name. Raises OSError when it has none."""
        key = (host, port)
        loop = asyncio.get_running_loop()
        until, addresses = self._found.get(key, (0.0, []))
        if loop.time() < until:
            return addresses
        look_up = self._pending.get(key)
        if look_up is None:
            look_up = self._look_up(key)
        found = await asyncio.shield(look_up)  # others may wait for it, too
        self._found[key] = (loop.time() + KEPT, found)
        return found

    def forget(self, host: str, port: int) -> None:
        """Resolve it again the next time: no server answers at these addresses."""
        self._found.pop((host, port), None)

    def _look_up(self, key: _Key) -> asyncio.Future[list[Address]]:
        threads = _threads
        if not threads.acquire(blocking=False):
            raise OSError(None, "too many host names are being resolved")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Address]] = loop.create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # perhaps nobody waits any more
        self._pending[key] = answer

        def done(found: list[Address] | OSError) -> None:
            del self._pending[key]
            if answer.done():
                return
            if isinstance(found, list):
                answer.set_result(found)
            else:
                answer.set_exception(found)

        def resolve() -> None:
            found: Any
            host, port = key
            try:
                found = socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
            except OSError as error:
                found = error
            except UnicodeError:  # an empty label, or one of more than 63 characters
                found = OSError(None, "it is not a valid host name")
            finally:
                threads.release()
            with contextlib.suppress(RuntimeError):  # the event loop has ended meanwhile
                loop.call_soon_threadsafe(done, found)

        try:
            threading.Thread(target=resolve, name=f"resolve:{key[0][:60]}", daemon=True).start()
        except RuntimeError as error:  # the system has no more threads
            threads.release()
            del self._pending[key]
            raise OSError(None, f"its name cannot be resolved: {error}") from None
        return answer


def literal(host: str, port: int) -> Address | None:
    """The address, if `host` is one; None when it has to be resolved."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)
    scope = address.scope_id or "0"  # a link-local address needs its scope
    if not scope.isdecimal():
        return None  # the name of an interface, which the system's resolver knows
    place = (host.partition("%")[0], port, 0, int(scope))
    return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place
