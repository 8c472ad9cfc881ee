"""The bytes of requests. Headers that do not change are encoded once; text that would inject a header is refused."""

from collections.abc import Mapping
from urllib.parse import urlencode

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_MOST_KINDS = 100


class Unsendable(ValueError):
    """The request has characters that would change its meaning, such as a line break. They are not quoted."""


class Requests:
    """Encodes requests to one server. `target` is the beginning of every path, `headers` are in every request."""

    def __init__(self, target: str, headers: Mapping[str, str]) -> None:
        self._target = target
        self._headers = headers
        self._kinds: dict[tuple[str, str], bytes] = {}
        self._authorization = ("", b"")

    def encode(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        *,
        accept: str,
        content_type: str,
        authorization: str,
    ) -> bytes:
        """The whole request. Raises Unsendable."""
        if not path.isascii() or not path.isprintable() or " " in path:
            raise Unsendable("its path has characters that cannot be sent")
        query = f"?{urlencode(params)}" if params else ""
        kind = (accept, content_type if body is not None else "")
        headers = self._kinds.get(kind) or self._encode(kind)
        encoded_for, authorized = self._authorization
        if authorization != encoded_for:
            authorized = _line("Authorization", authorization) if authorization else b""
            self._authorization = (authorization, authorized)
        line = f"{method} {self._target}{path}{query} HTTP/1.1\r\n".encode("ascii")
        if body is not None:
            return b"%b%b%bContent-Length: %d\r\n\r\n%b" % (line, headers, authorized, len(body), body)
        length = b"Content-Length: 0\r\n" if method in _WITH_BODY else b""
        return b"%b%b%b%b\r\n" % (line, headers, authorized, length)

    def _encode(self, kind: tuple[str, str]) -> bytes:
        accept, content_type = kind
        headers = {**self._headers, "Accept": accept}
        if content_type:
            headers["Content-Type"] = content_type
        encoded = b"".join(_line(name, value) for name, value in headers.items())
        if len(self._kinds) < _MOST_KINDS:
            self._kinds[kind] = encoded
        return encoded


def _line(name: str, value: str) -> bytes:
    if not value.isascii() or not value.isprintable():
        raise Unsendable(f"its {name} header has characters that cannot be sent")
    return f"{name}: {value}\r\n".encode("ascii")
