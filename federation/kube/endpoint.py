"""Where an API server is and as whom we speak to it, whatever the source: a stored Secret, a kubeconfig, a pod."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from federation.kube.tls import Trust
from federation.model.errors import Unusable


class Credentials:
    """The Authorization header, replaceable while connections live: a renewed token needs no new connection.

    `refresh` brings another header (exec plugins, in-cluster token files) when one is refused.
    """

    def __init__(self, header: str = "", refresh: Callable[[], Awaitable[str]] | None = None) -> None:
        self.header = header
        self._refresh = refresh
        self._renewing = asyncio.Lock()

    def __repr__(self) -> str:
        return "Credentials(<hidden>)"

    async def renew(self, refused: str) -> None:
        """Ask the source again, unless somebody else has done so since the header `refused` was sent.

        Raises the source's Unusable.
        """
        async with self._renewing:
            if self._refresh is not None and self.header == refused:
                self.header = await self._refresh()


class Endpoint:
    """One API server as one identity."""

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
        if proxy and not _is_url(proxy):
            raise Unusable("the proxy is not an http(s) URL (its text is withheld: it may hold a password)")
        self.server = server.rstrip("/")
        self.trust = trust or Trust()
        self.credentials = credentials or Credentials()
        self.proxy = proxy
        self.server_name = server_name

    def __repr__(self) -> str:
        return f"Endpoint({self.server!r})"

    def same_place(self, other: "Endpoint") -> bool:
        """Whether connections to `other` can be kept: all but the Authorization header is equal."""
        mine = (self.server, self.trust, self.proxy, self.server_name)
        return mine == (other.server, other.trust, other.proxy, other.server_name)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in {"https", "http"}
        and bool(parts.hostname)
        and port != 0
        and text.isprintable()
        and " " not in text
    )
