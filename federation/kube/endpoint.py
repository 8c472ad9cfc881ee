"""Where an API server is and as whom we speak to it, whatever the source: a stored Secret, a kubeconfig, a pod."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from federation.kube.tls import Trust
from federation.model.errors import Unusable


class Credentials:
    """The Authorization header, replaceable while connections live: a renewed token needs no new connection."""

    def __init__(self, header: str = "", refresh: Callable[[], Awaitable[str]] | None = None) -> None:
        self.header = header
        self._refresh = refresh

    def __repr__(self) -> str:
        return "Credentials(<hidden>)"

    @property
    def refreshable(self) -> bool:
        """Whether `renew` can bring another token (exec plugins, in-cluster token files)."""
        return self._refresh is not None

    async def renew(self) -> None:
        """Ask the source again; what it raises is the source's own error."""
        if self._refresh is not None:
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
        parts = urlsplit(server)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise Unusable(f"{server!r} is not an http(s) URL of an API server")
        if parts.username or parts.password:
            raise Unusable("the API server's URL must not carry a user name or password")
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
