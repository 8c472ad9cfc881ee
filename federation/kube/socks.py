"""SOCKS5 (RFC 1928, RFC 1929): ask a proxy for a connection to a host, by its name, which the proxy resolves.

KubeFed's proxyURL may name such a proxy (`socks5://`), as a kubeconfig's proxy-url may.
"""

import asyncio
import ipaddress
import socket

SCHEMES = frozenset({"socks5", "socks5h"})
"""Both leave names to the proxy, as in Go."""
PORT = 1080
_VERSION, _CONNECT = 5, 1
_OPEN, _PASSWORD = 0, 2
_IPV4, _NAME, _IPV6 = 1, 3, 4
_LONGEST = 255
_REPLIES = {
    1: "it has failed",
    2: "its rules forbid it",
    3: "the network is unreachable",
    4: "the host is unreachable",
    5: "the connection is refused",
    6: "the connection timed out",
    7: "it does not connect to anything",
    8: "it does not know this kind of address",
}


class Refused(ConnectionError):
    """The proxy opens no connection; the message says why."""


async def connect(opened: socket.socket, host: str, port: int, user: tuple[str, str] | None) -> None:
    """Ask the proxy at the other end of `opened`; afterwards the socket leads to the host.

    Nothing is read beyond the proxy's answers. Raises Refused and OSError.
    """
    proxy = _Proxy(opened)
    methods = bytes((_OPEN,) if user is None else (_OPEN, _PASSWORD))
    await proxy.send(bytes((_VERSION, len(methods))) + methods)
    version, method = await proxy.read(2)
    if version != _VERSION:
        raise Refused("the proxy does not speak SOCKS5")
    if method == _PASSWORD and user is not None:
        await proxy.send(b"\x01" + b"".join(_counted(each, "user name or password") for each in user))
        if (await proxy.read(2))[1] != 0:
            raise Refused("the proxy does not accept the user name or the password")
    elif method != _OPEN:
        raise Refused("the proxy asks for another kind of authentication than a user name and a password")
    await proxy.send(bytes((_VERSION, _CONNECT, 0)) + _address(host) + port.to_bytes(2, "big"))
    _, reply, _, kind = await proxy.read(4)
    if reply != 0:
        raise Refused(f"the proxy answers: {_REPLIES.get(reply, f'error {reply}')}")
    length = {_IPV4: 4, _IPV6: 16}.get(kind) or (await proxy.read(1))[0]
    await proxy.read(length + 2)


class _Proxy:
    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._opened, data)

    async def read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            more = await self._loop.sock_recv(self._opened, count - len(found))
            if not more:
                raise Refused("the proxy closed the connection")
            found += more
        return found


def _address(host: str) -> bytes:
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return bytes((_NAME,)) + _counted(host, "host name")
    return bytes((_IPV4 if literal.version == 4 else _IPV6,)) + literal.packed


def _counted(text: str, what: str) -> bytes:
    encoded = text.encode()
    if not 0 < len(encoded) <= _LONGEST:
        raise Refused(f"SOCKS5 allows 1 to {_LONGEST} bytes of {what}")
    return bytes((len(encoded),)) + encoded
