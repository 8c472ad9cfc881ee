"""Requests against real sockets: deadlines, renewed credentials, lying servers, TLS; failures are values."""

import asyncio
import contextlib
import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from federation.kube.connection import APPLY_PATCH, JSON, METADATA, Answer, Connection, expect
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.tls import Trust
from federation.model.errors import ApiFailure, Unusable
from federation.model.failures import Failure, FailureKind
from federation.playground import pki
from federation.runtime import metrics
from tests.unit.kube.servers import Handler, answering, serving
from tests.unit.kube.test_listing import BLOCKED, Turning

OPEN = "/api/v1/namespaces/kube-system"
LONG = 30.0
"""A deadline that is not meant to be reached."""


@asynccontextmanager
async def connected(
    url: str, credentials: Credentials | None = None, trust: Trust | None = None
) -> AsyncIterator[Connection]:
    connection = Connection("m1", Endpoint(url, trust, credentials), agent="tests")
    try:
        yield connection
    finally:
        await connection.close()


def json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers or {})


def status(code: int, message: str = "", **fields: object) -> web.Response:
    return json({"kind": "Status", "code": code, "message": message, **fields}, code)


def failed(outcome: Answer | Failure) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


async def test_a_request_says_who_what_and_how() -> None:
    seen: list[web.Request] = []
    bodies: list[bytes] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(request)  # type: ignore[arg-type]
        bodies.append(await request.read())
        return json({"ok": True}, 201)

    async with serving(handler) as url, connected(f"{url}/prefix/", Credentials("Bearer abc")) as connection:
        answer = await connection.request(
            "PATCH",
            f"{OPEN}?fieldManager=us&force=false",
            body=b'{"a":1}',
            content_type=APPLY_PATCH,
            accept=METADATA,
        )
        assert isinstance(answer, Answer)
        assert (answer.code, answer.json()) == (201, {"ok": True})
        await connection.request("GET", "/apis/x", params={"labelSelector": "a in (b,c)", "limit": "1"})
    patch, get = seen
    assert (patch.method, patch.path_qs) == ("PATCH", f"/prefix{OPEN}?fieldManager=us&force=false")
    assert patch.headers["Authorization"] == "Bearer abc"
    assert patch.headers["Content-Type"] == APPLY_PATCH
    assert patch.headers["Accept"] == METADATA
    assert patch.headers["User-Agent"].startswith("tests/")
    assert get.query["labelSelector"] == "a in (b,c)"
    assert "Content-Type" not in get.headers
    assert bodies == [b'{"a":1}', b""]


async def test_without_credentials_nothing_is_sent_in_their_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A .netrc, a proxy variable or a cookie of this host is none of a member's business."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    seen: list[dict[str, str]] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(dict(request.headers))
        return json({}, headers={"Set-Cookie": "session=1"})

    async with serving(handler) as url, connected(url) as connection:
        for _ in range(2):
            assert isinstance(await connection.request("GET", OPEN), Answer)
    assert all("Authorization" not in headers and "Cookie" not in headers for headers in seen)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        pytest.param(status(503, "etcdserver: no leader"), FailureKind.UNAVAILABLE, "no leader", id="503"),
        pytest.param(status(410, "too old"), FailureKind.EXPIRED, "too old", id="410"),
        pytest.param(
            status(404, "x not found", details={"kind": "namespaces", "name": "kube-system"}),
            FailureKind.NOT_FOUND,
            "not found",
            id="a-namespace-itself",
        ),
        pytest.param(web.Response(status=302, headers={"Location": "/"}), FailureKind.UNEXPECTED, "302", id="redirect"),
        pytest.param(web.Response(status=502, text="<html>bad gateway"), FailureKind.UNAVAILABLE, "502", id="proxy"),
    ],
)
async def test_refusals_are_values(answer: web.Response, kind: FailureKind, text: str) -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return answer

    async with serving(handler) as url, connected(url) as connection:
        failure = failed(await connection.request("GET", OPEN))
        assert failure.kind is kind
        assert text in failure.message
        with pytest.raises(ApiFailure, match=f"reading it: .*{text}"):
            expect(failure, "reading it")


async def test_the_namespace_of_an_object_may_be_what_is_missing() -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return status(404, 'namespaces "n" not found', details={"kind": "namespaces", "name": "n"})

    async with serving(handler) as url, connected(url) as connection:
        outcome = await connection.request("PATCH", "/api/v1/namespaces/n/configmaps/c?force=true", body=b"{}")
        assert failed(outcome).kind is FailureKind.NAMESPACE_MISSING


async def test_retry_after_is_read_and_not_believed_for_ever() -> None:
    answers = iter(["7", "99999999999999999999"])

    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": next(answers)})

    async with serving(handler) as url, connected(url) as connection:
        assert failed(await connection.request("GET", OPEN)).retry_after == 7.0
        assert failed(await connection.request("GET", OPEN)).retry_after == 300.0


async def test_a_secret_is_not_quoted() -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return status(422, 'Secret "s" is invalid: data: Invalid value: "hunter2"')

    async with serving(handler) as url, connected(url) as connection:
        outcome = failed(await connection.request("PATCH", OPEN, body=b"{}", secret=True))
        assert "hunter2" not in repr(outcome)


@pytest.mark.parametrize("part", ["headers", "body"])
async def test_no_answer_within_the_deadline(part: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345" if part == "body" else b"HTTP/1.1 "
    async with answering(head, hold=True) as url, connected(url) as connection:
        failure = failed(await connection.request("GET", OPEN, deadline=0.1))
        assert (failure.kind, failure.message) == (FailureKind.TIMED_OUT, "no answer within 0.1 s")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"", FailureKind.UNREACHABLE, id="hangs-up"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", FailureKind.UNREACHABLE, id="no-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", FailureKind.UNREACHABLE, id="cut-body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nBad Header\x00: x\r\n\r\n", FailureKind.UNREACHABLE, id="bad-header"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", FailureKind.UNREACHABLE, id="bad-chunk"
        ),
        pytest.param(b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n", FailureKind.UNAVAILABLE, id="no-such-code"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", None, id="nothing-to-say"),
    ],
)
async def test_lying_servers(content: bytes, kind: FailureKind | None) -> None:
    async with answering(content) as url, connected(url) as connection:
        outcome = await connection.request("GET", OPEN, deadline=LONG)
        assert (outcome.kind if isinstance(outcome, Failure) else None) is kind


async def test_an_endless_answer_is_given_up() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"x" * (1 << 14))
        return response

    async with serving(endless) as url, connected(url) as asked:
        failure = failed(await asked.request("GET", "/api", largest=1 << 16))
        assert (failure.kind, failure.reason) == (FailureKind.UNEXPECTED, "AnswerTooLong")
        assert failure.message == "the answer is larger than 0.0625 MiB"


@pytest.mark.parametrize("code", [200, 409])
async def test_a_packed_answer_is_refused(code: int) -> None:
    """A thousand times as large as its Content-Length: a lying member must not fill our memory."""
    asked_for: list[str] = []
    packed = gzip.compress(b"x" * (1 << 22))
    assert len(packed) < 1 << 16

    async def bomb(request: web.Request) -> web.StreamResponse:
        asked_for.append(request.headers["Accept-Encoding"])
        return web.Response(body=packed, status=code, headers={"Content-Encoding": "gzip", "Content-Type": JSON})

    async with serving(bomb) as url, connected(url) as asked:
        failure = failed(await asked.request("GET", "/api"))
        assert failure.kind is FailureKind.UNEXPECTED
        assert (code != 200) or "compresses" in failure.message
        async with asked.stream("/api", {}, accept=METADATA) as stream:
            assert isinstance(stream, Failure)
    assert set(asked_for) == {"identity"}


async def test_of_a_refusal_only_the_beginning_is_read() -> None:
    """It goes on for ever, and means what its code says."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=422, headers={"Content-Type": JSON})
        await response.prepare(request)
        await response.write(b'{"kind":"Status","message":"x is invalid: Invalid value: \\"')
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"y" * (1 << 16))
        return response

    async with serving(endless) as url, connected(url) as asked:
        failure = failed(await asked.request("GET", "/api"))
        assert (failure.kind, failure.message) == (FailureKind.INVALID, "x is invalid: Invalid value: …")


async def test_200_with_something_else_than_json() -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(text="<html>welcome</html>")

    async with serving(handler) as url, connected(url) as connection:
        with pytest.raises(ApiFailure, match="not JSON"):
            await connection.read(OPEN)


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with connected(url) as connection:
            failure = failed(await connection.request("GET", OPEN))
            assert failure.kind is FailureKind.UNREACHABLE
            assert url in failure.message
            assert failure.concerns == "member"


async def test_a_name_that_cannot_be() -> None:
    async with connected(f"http://{'x' * 64}.invalid") as connection:
        assert failed(await connection.request("GET", OPEN)).kind is FailureKind.UNREACHABLE
        async with connection.stream(OPEN, {}, accept=METADATA) as stream:
            assert isinstance(stream, Failure)


async def test_a_watch_of_a_connection_that_was_closed_is_a_failure() -> None:
    async with connected("http://127.0.0.1:1") as connection:
        await connection.close()
        async with connection.stream(OPEN, {}, accept=METADATA) as stream:
            assert isinstance(stream, Failure)
            assert stream.kind is FailureKind.UNREACHABLE


async def test_counted_by_cluster_verb_and_code() -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return status(503)

    def count() -> float:
        return metrics.REQUESTS.labels("m1", "DELETE", "503").now

    before, seconds = count(), metrics.REQUEST_SECONDS_IN_ALL.labels("m1").now
    async with serving(handler) as url, connected(url) as connection:
        await connection.request("DELETE", OPEN)
    assert count() == before + 1
    assert metrics.REQUEST_SECONDS_IN_ALL.labels("m1").now > seconds


async def test_bodies_of_megabytes_arrive_whole() -> None:
    sizes: list[int] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        sizes.append(len(await request.content.read()))
        return json({})

    async with serving(handler) as url, connected(url) as connection:
        for size in (1 << 20, (1 << 20) + 1, 3 << 20):
            assert isinstance(await connection.request("PATCH", OPEN, body=b"x" * size, deadline=LONG), Answer)
    assert sizes == [1 << 20, (1 << 20) + 1, 3 << 20]


# --- credentials ------------------------------------------------------------------------------------------------


def asking_for(token: str) -> tuple[Handler, list[str]]:
    """A server that accepts one token, and what it was shown."""
    shown: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        shown.append(request.headers.get("Authorization", ""))
        return json({}) if shown[-1] == f"Bearer {token}" else status(401, "Unauthorized")

    return handler, shown


async def test_401_renews_and_asks_once_more() -> None:
    handler, shown = asking_for("new")

    async def renew() -> str:
        return "Bearer new"

    async with serving(handler) as url, connected(url, Credentials("Bearer old", renew)) as connection:
        assert isinstance(await connection.request("GET", OPEN), Answer)
        assert isinstance(await connection.request("GET", OPEN), Answer)
    assert shown == ["Bearer old", "Bearer new", "Bearer new"]


async def test_many_401s_of_one_moment_renew_once() -> None:
    handler, _ = asking_for("new")
    renewals: list[int] = []

    async def renew() -> str:
        renewals.append(1)
        await asyncio.sleep(0.01)
        return "Bearer new"

    async with serving(handler) as url, connected(url, Credentials("Bearer old", renew)) as connection:
        outcomes = await asyncio.gather(*(connection.request("GET", OPEN) for _ in range(8)))
    assert all(isinstance(outcome, Answer) for outcome in outcomes)
    assert len(renewals) == 1


async def test_the_same_credentials_again_are_not_tried_again() -> None:
    handler, shown = asking_for("new")

    async def renew() -> str:
        return "Bearer old"

    async with serving(handler) as url, connected(url, Credentials("Bearer old", renew)) as connection:
        assert failed(await connection.request("GET", OPEN)).kind is FailureKind.UNAUTHORIZED
    assert shown == ["Bearer old"]


async def test_without_a_source_401_is_final() -> None:
    handler, shown = asking_for("new")
    async with serving(handler) as url, connected(url, Credentials("Bearer old")) as connection:
        assert failed(await connection.request("GET", OPEN)).kind is FailureKind.UNAUTHORIZED
    assert len(shown) == 1


async def test_a_token_replaced_while_it_was_refused_is_tried() -> None:
    """The Secret's watch brought the new token while the old one was under way."""
    credentials = Credentials("Bearer old")
    shown: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        shown.append(request.headers["Authorization"])
        credentials.header = "Bearer new"
        return status(401) if shown[-1] == "Bearer old" else json({})

    async with serving(handler) as url, connected(url, credentials) as connection:
        assert isinstance(await connection.request("GET", OPEN), Answer)
    assert shown == ["Bearer old", "Bearer new"]


async def test_a_source_that_fails_or_hangs_is_part_of_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    handler, _ = asking_for("new")

    async def gone() -> str:
        raise Unusable("the exec plugin is gone")

    async def hangs() -> str:
        await asyncio.sleep(LONG)
        raise AssertionError

    async with serving(handler) as url:
        async with connected(url, Credentials("Bearer old", gone)) as connection:
            failure = failed(await connection.request("GET", OPEN))
            assert failure.kind is FailureKind.UNAUTHORIZED
            assert "the exec plugin is gone" in failure.message
        monkeypatch.setattr("federation.kube.connection.DEADLINE", 0.05)
        async with connected(url, Credentials("Bearer old", hangs)) as connection:
            failure = failed(await connection.request("GET", OPEN, deadline=LONG))
            assert failure.kind is FailureKind.UNAUTHORIZED
            assert "not renewed within" in failure.message


# --- watches ----------------------------------------------------------------------------------------------------


async def test_a_stream_is_read_as_it_comes() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in (b"one\n", b"two\n"):
            await response.write(line)
        return response

    async with (
        serving(handler) as url,
        connected(url) as connection,
        connection.stream("/api/v1/things", {"watch": "true"}, accept=METADATA) as stream,
    ):
        assert not isinstance(stream, Failure)
        assert b"".join([piece async for piece in stream]) == b"one\ntwo\n"


async def test_a_refused_watch_is_a_failure_and_renews() -> None:
    handler, shown = asking_for("new")

    async def renew() -> str:
        return "Bearer new"

    async with serving(handler) as url, connected(url, Credentials("Bearer old", renew)) as connection:
        async with connection.stream("/api/v1/things", {}, accept=METADATA) as stream:
            assert isinstance(stream, Failure)
            assert stream.kind is FailureKind.UNAUTHORIZED
        async with connection.stream("/api/v1/things", {}, accept=METADATA) as stream:
            assert not isinstance(stream, Failure)
    assert shown == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize("head", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"])
async def test_a_server_that_answers_more_than_it_was_asked(head: bytes) -> None:
    """Without an end: interim answers cost it nothing, and are read before any deadline is looked at."""
    async with answering(head * 200_000) as url, connected(url) as connection, Turning() as turning:
        failure = failed(await connection.request("GET", OPEN))
        assert failure.message.endswith("answers more than it was asked")
        assert (failure.kind, failure.concerns) == (FailureKind.UNEXPECTED, "member")
        async with connection.stream(OPEN, {}, accept=METADATA) as stream:
            assert isinstance(stream, Failure)
    assert turning.longest < BLOCKED / 2


async def test_a_few_interim_answers_are_passed_over() -> None:
    head = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * 3
    async with (
        answering(head + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as url,
        connected(url) as connection,
    ):
        answer = await connection.request("GET", OPEN)
        assert not isinstance(answer, Failure)
        assert answer.body == b"{}"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"HTTP/1.1 ", FailureKind.TIMED_OUT, id="no-headers"),
        pytest.param(
            b"HTTP/1.1 503 No\r\nContent-Length: 99\r\n\r\n{", FailureKind.UNAVAILABLE, id="refusal-without-its-body"
        ),
    ],
)
async def test_a_server_that_stalls_while_a_watch_is_opened(
    content: bytes, kind: FailureKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.kube.connection.DEADLINE", 0.05)
    async with (
        answering(content, hold=True) as url,
        connected(url) as connection,
        connection.stream("/api/v1/things", {}, accept=METADATA) as stream,
    ):
        assert isinstance(stream, Failure)
        assert stream.kind is kind


async def test_closed_it_stays_closed() -> None:
    """A push that was in flight when its member left must not open connections that nobody closes."""
    started = asyncio.Event()

    async def handler(_: web.BaseRequest) -> web.Response:
        started.set()
        await asyncio.sleep(LONG)
        raise AssertionError

    async with serving(handler) as url, connected(url) as connection:
        under_way = asyncio.create_task(connection.request("GET", OPEN, deadline=LONG))
        await started.wait()
        await connection.close()
        assert failed(await under_way).kind is FailureKind.UNREACHABLE
        failure = failed(await connection.request("GET", OPEN))
        assert (failure.kind, "was aborted" in failure.message) == (FailureKind.UNREACHABLE, True)
        assert connection._pool.open == 0


# --- TLS --------------------------------------------------------------------------------------------------------


def server_context(pair: pki.KeyPair, directory: Path, *, clients: bytes | None = None) -> ssl.SSLContext:
    stored = directory / "server.pem"
    stored.write_bytes(pair.certificate + pair.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(stored)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.decode())
    return context


async def hello(request: web.BaseRequest) -> web.Response:
    certificate = request.get_extra_info("peercert") or {}
    names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    return json({"client": names})


@pytest.mark.parametrize(
    ("ip", "trusted", "skip", "reason"),
    [
        pytest.param("127.0.0.1", True, {}, "", id="trusted"),
        pytest.param("127.0.0.1", False, {}, "self-signed|unable to get local issuer", id="another-ca"),
        pytest.param("10.0.0.1", True, {}, "IP address mismatch", id="another-name"),
        pytest.param("10.0.0.1", True, {"skip_name": True}, "", id="name-not-checked"),
        pytest.param("10.0.0.1", False, {"skip_name": True}, "unable to get|self-signed", id="but-the-ca-is"),
        pytest.param("10.0.0.1", False, {"skip_all": True}, "", id="nothing-checked"),
    ],
)
async def test_whom_a_connection_trusts(
    ip: str, trusted: bool, skip: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    ca, other = pki.authority("one"), pki.authority("other")
    pair = pki.serving(ca, "server", dns=("server",), ips=(ip,))
    trust = replace(Trust(ca=(ca if trusted else other).certificate), **skip)
    async with serving(hello, tls=server_context(pair, tmp_path)) as url, connected(url, trust=trust) as connection:
        outcome = await connection.request("GET", OPEN)
        if not reason:
            assert isinstance(outcome, Answer)
            return
        failure = failed(outcome)
        assert failure.kind is FailureKind.UNTRUSTED
        assert "is not trusted" in failure.message
        assert any(part in failure.message for part in reason.split("|")), failure.message
        async with connection.stream(OPEN, {}, accept=METADATA) as stream:
            assert isinstance(stream, Failure)
            assert stream.kind is FailureKind.UNTRUSTED


async def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    ca = pki.authority("one")
    pair = pki.serving(ca, "server", dns=(), ips=("127.0.0.1",))
    client = pki.client(ca, "federation")
    tls = server_context(pair, tmp_path, clients=ca.certificate)
    trust = Trust(ca=ca.certificate, certificate=client.certificate, key=client.key)
    async with serving(hello, tls=tls) as url:
        async with connected(url, trust=trust) as connection:
            answer = await connection.request("GET", OPEN)
            assert isinstance(answer, Answer)
            assert answer.json() == {"client": ["federation"]}
        async with connected(url, trust=Trust(ca=ca.certificate)) as connection:
            assert failed(await connection.request("GET", OPEN)).concerns == "member"


async def test_the_server_name_of_a_kubeconfig_is_what_is_checked(tmp_path: Path) -> None:
    ca = pki.authority("one")
    pair = pki.serving(ca, "server", dns=("api.internal",), ips=("10.0.0.1",))
    async with serving(hello, tls=server_context(pair, tmp_path)) as url:
        endpoint = Endpoint(url, Trust(ca=ca.certificate), server_name="api.internal")
        connection = Connection("m1", endpoint)
        assert isinstance(await connection.request("GET", OPEN), Answer)
        await connection.close()


async def test_https_asked_of_a_plain_server() -> None:
    async with (
        answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url,
        connected(url.replace("http:", "https:")) as connection,
    ):
        assert failed(await connection.request("GET", OPEN, deadline=LONG)).concerns == "member"
