"""An API server's address and our identity there, from any source: a stored Secret, a kubeconfig, a pod."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from federation.kube import socks
from federation.kube.tls import Trust
from federation.model.errors import Unusable

_HOST = re.compile(r"[\w.~:%-]+")
"""A host name, in any script, or an address."""
_SERVERS = frozenset({"https", "http"})
_PROXIES = _SERVERS | socks.SCHEMES


class Credentials:
    """The Authorization header, which can be replaced while connections are open.

    `refresh` returns a new header when one is refused (from an exec plugin, a pod's token file).
    """

    def __init__(self, header: str = "", refresh: Callable[[], Awaitable[str]] | None = None) -> None:
        self.header = header
        self._refresh = refresh
        self._renewing = asyncio.Lock()

    def __repr__(self) -> str:
        return "Credentials(<hidden>)"

    async def renew(self, refused: str) -> None:
        """Read the source again, unless another request has done so since the header `refused` was sent.

        Raises the source's Unusable.
        """
        async with self._renewing:
            if self._refresh is not None and self.header == refused:
                self.header = await self._refresh()


class Endpoint:
    """One API server, with the credentials to use there."""

    def __init__(
        self,
        server: str,
        trust: Trust | None = None,
        credentials: Credentials | None = None,
        *,
        proxy: str = "",
        server_name: str = "",
    ) -> None:
        if "@" in server:
            raise Unusable("the API server's URL must not carry a user name or password")
        if not _is_url(server):
            raise Unusable(f"{server[:200]!r} is not an http(s) URL of an API server")
        if proxy and not _is_url(proxy, _PROXIES):
            raise Unusable("the proxy is not an http(s) or socks5 URL (its text is withheld: it may hold a password)")
        scheme, separator, rest = server.partition("://")
        self.server = f"{scheme.lower()}{separator}{rest}".rstrip("/")
        self.trust = trust or Trust()
        self.credentials = credentials or Credentials()
        self.proxy = proxy
        self.server_name = server_name

    def __repr__(self) -> str:
        return f"Endpoint({self.server!r})"

    def same_place(self, other: "Endpoint") -> bool:
        """Whether connections can be kept for `other`: everything but the Authorization header is equal."""
        mine = (self.server, self.trust, self.proxy, self.server_name)
        return mine == (other.server, other.trust, other.proxy, other.server_name)


def _is_url(text: str, schemes: Collection[str] = _SERVERS) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in schemes
        and _HOST.fullmatch(parts.hostname or "") is not None
        and port != 0
        and text.isprintable()
        and " " not in text
    )
