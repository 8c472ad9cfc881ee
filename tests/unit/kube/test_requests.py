"""A request says what it should and nothing else, whatever is in its parts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.kube.requests import Requests, Unsendable

HEADERS = {"Host": "h:6443", "User-Agent": "tests/1"}


def encode(path: str = "/api", method: str = "GET", body: bytes | None = None, **how: str) -> bytes:
    parts = {"accept": "a/b", "content_type": "c/d", "authorization": "", **how}
    return Requests("/prefix", HEADERS).encode(method, path, None, body, **parts)


def test_a_request_in_bytes() -> None:
    requests = Requests("/prefix", HEADERS)
    parts = {"accept": "a/b", "content_type": "c/d", "authorization": "Bearer x"}
    for _ in range(2):  # the second time from what was encoded before
        assert requests.encode("PATCH", "/api?x=1", None, b"body", **parts) == (
            b"PATCH /prefix/api?x=1 HTTP/1.1\r\nHost: h:6443\r\nUser-Agent: tests/1\r\nAccept: a/b\r\n"
            b"Content-Type: c/d\r\nAuthorization: Bearer x\r\nContent-Length: 4\r\n\r\nbody"
        )
        assert requests.encode("GET", "/api", {"a": "b c&d"}, None, **parts) == (
            b"GET /prefix/api?a=b+c%26d HTTP/1.1\r\nHost: h:6443\r\nUser-Agent: tests/1\r\nAccept: a/b\r\n"
            b"Authorization: Bearer x\r\n\r\n"
        )
    renewed = requests.encode("GET", "/api", None, None, **{**parts, "authorization": "Bearer y"})
    assert b"Authorization: Bearer y\r\n" in renewed
    assert b"Bearer x" not in renewed
    assert b"Authorization" not in requests.encode("GET", "/api", None, None, **{**parts, "authorization": ""})


@pytest.mark.parametrize(("method", "length"), [("POST", True), ("PUT", True), ("PATCH", True), ("DELETE", False)])
def test_a_request_without_a_body(method: str, length: bool) -> None:
    assert (b"Content-Length: 0\r\n\r\n" in encode(method=method)) is length
    assert b"Content-Type" not in encode(method=method)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"path": "/api\r\nX: y"}, id="path"),
        pytest.param({"path": "/api HTTP/1.1"}, id="path-with-a-space"),
        pytest.param({"path": "/ä"}, id="path-not-ascii"),
        pytest.param({"authorization": "Bearer x\r\nX: y"}, id="token"),
        pytest.param({"authorization": "Bearer x\n"}, id="token-with-a-line-feed"),
        pytest.param({"authorization": "Bearer \x00"}, id="token-with-a-zero"),
        pytest.param({"authorization": "Bearer hunter2\N{EM DASH}"}, id="token-not-ascii"),
        pytest.param({"accept": "a\r\nb"}, id="accept"),
        pytest.param({"content_type": "a\rb", "body": b""}, id="content-type"),
    ],
)
def test_no_header_can_be_injected_and_nothing_is_quoted(parts: dict[str, Any]) -> None:
    with pytest.raises(Unsendable) as caught:
        encode(**parts)
    assert "hunter2" not in str(caught.value)


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_it_has_as_many_lines_as_headers(path: str, token: str, params: dict[str, str]) -> None:
    requests = Requests("", HEADERS)
    try:
        content = requests.encode("GET", path, params, None, accept="a", content_type="", authorization=token)
    except Unsendable:
        return
    assert content.count(b"\n") == content.count(b"\r") == (6 if token else 5)
    assert content.split(b"\r\n")[0].count(b" ") == 2
