"""Preflight: judgements as tables, and servers that lie, hang or refuse, played by a small HTTP server."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from federation.joining import judgements, preflight
from federation.joining.errors import PreflightFailed
from federation.joining.fleet import Fleet, Member
from federation.joining.judgements import Check, Right, Verdict
from federation.joining.preflight import Findings
from federation.kube.connection import Connection
from federation.kube.endpoint import Endpoint

NOW = dt.datetime(2026, 1, 10, 12, 0, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        pytest.param("v1.36.3", Verdict.OK, id="new"),
        pytest.param("v1.24.0", Verdict.OK, id="oldest"),
        pytest.param("v1.23.17", Verdict.FAILED, id="too-old"),
        pytest.param("v1.30.2-gke.1587003", Verdict.OK, id="vendor"),
        pytest.param("v2.0.0", Verdict.OK, id="next-major"),
        pytest.param("k3s", Verdict.UNKNOWN, id="no-version"),
    ],
)
def test_version(text: str, verdict: Verdict) -> None:
    found = judgements.version(text, judgements.OLDEST_MEMBER)
    assert found.verdict is verdict
    assert text in found.message


@pytest.mark.parametrize(
    ("host", "member", "verdict", "said"),
    [
        pytest.param("v1.36.3", "v1.36.0", Verdict.OK, "both 1.36", id="equal"),
        pytest.param("v1.36.3", "v1.33.0", Verdict.OK, "3 minor versions older", id="within-three"),
        pytest.param("v1.33.0", "v1.34.0", Verdict.OK, "1 minor version newer", id="newer"),
        pytest.param("v1.36.3", "v1.30.0", Verdict.WARNING, "6 minor versions older", id="far"),
        pytest.param("", "v1.30.0", Verdict.UNKNOWN, "?", id="unknown"),
    ],
)
def test_skew(host: str, member: str, verdict: Verdict, said: str) -> None:
    found = judgements.skew(host, member)
    assert found.verdict is verdict
    assert said in found.message


@pytest.mark.parametrize(
    ("seconds", "verdict", "said"),
    [
        pytest.param(0, Verdict.OK, "within 1 s", id="same"),
        pytest.param(-1, Verdict.OK, "within 1 s", id="one-second-is-rounding"),
        pytest.param(8, Verdict.OK, "8 s ahead", id="little"),
        pytest.param(-60, Verdict.WARNING, "60 s behind", id="a-minute"),
        pytest.param(3600, Verdict.FAILED, "3600 s ahead", id="an-hour"),
    ],
)
def test_clock(seconds: int, verdict: Verdict, said: str) -> None:
    found = judgements.clock(NOW + dt.timedelta(seconds=seconds), NOW)
    assert found.verdict is verdict
    assert said in found.message


EAST = Member("east", "https://east:6443", "east-token", uid="u-east")
OLD = Member("old", "https://old:6443", "old-token")
KNOWN = Fleet("u-host", (EAST, OLD))


@pytest.mark.parametrize(
    ("name", "uid", "server", "verdict", "said"),
    [
        pytest.param("west", "u-west", "https://west:6443", Verdict.OK, "not known yet", id="new"),
        pytest.param("east", "u-east", "https://moved:6443", Verdict.OK, "as recorded", id="again-elsewhere"),
        pytest.param("east", "u-west", "https://east:6443", Verdict.FAILED, "name of another cluster", id="impostor"),
        pytest.param("west", "u-east", "https://x:6443", Verdict.FAILED, "already joined as east", id="second-name"),
        pytest.param(
            "west", "u-old", "https://old:6443/", Verdict.FAILED, "joined as old", id="same-address-unrecorded"
        ),
        pytest.param("old", "u-old", "https://old:6443", Verdict.OK, "as recorded", id="kubefeds-own"),
        pytest.param("host", "u-host", "https://host:6443", Verdict.OK, "the host itself", id="host-as-member"),
    ],
)
def test_identity(name: str, uid: str, server: str, verdict: Verdict, said: str) -> None:
    found = judgements.identity(name, uid, server, KNOWN)
    assert found.verdict is verdict
    assert said in found.message
    assert bool(found.hint) == (verdict is Verdict.FAILED)


def test_failed_checks_are_told_together() -> None:
    checks = [
        Check("a", Verdict.FAILED, "is bad", "mend a"),
        Check("b", Verdict.OK, "is good"),
        Check("c", Verdict.FAILED, "is worse", "mend c"),
    ]
    with pytest.raises(PreflightFailed, match=r"cluster x cannot be joined: a: is bad; c: is worse") as refused:
        judgements.refuse_failed("x", checks)
    assert refused.value.hint == "mend a; mend c"
    judgements.refuse_failed("x", checks[1:2])


def test_rights_name_what_kubectl_names() -> None:
    assert str(Right("create", "serviceaccounts", namespace="sys", subresource="token")) == (
        "create serviceaccounts/token in sys"
    )
    assert str(Right("patch", "clusterroles", "rbac.authorization.k8s.io")) == (
        "patch clusterroles.rbac.authorization.k8s.io"
    )


# -- servers ---------------------------------------------------------------------------------------------------------

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Look = Callable[[Handler], Awaitable[Findings]]


@pytest.fixture
async def look() -> AsyncIterator[Look]:
    """Run preflight against a server that answers everything with one handler."""
    opened: list[tuple[web.AppRunner, Connection]] = []

    async def start(handler: Handler) -> Findings:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        connection = Connection("east", Endpoint(f"http://{host}:{port}"))
        opened.append((runner, connection))
        return await preflight.look(connection, [Right("get", "pods")], oldest=(1, 24), now=NOW)

    yield start
    for runner, connection in opened:
        await connection.close()
        await runner.cleanup()


def kubernetes(**answers: object) -> Handler:
    """An API server that answers these paths' last words with JSON and everything else with 403."""

    async def handle(request: web.Request) -> web.StreamResponse:
        known = answers.get(request.path.rpartition("/")[2].replace("-", "_"))
        if known is None:
            status = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "no"}
            return web.json_response(status, status=403)
        return web.json_response(known)

    return handle


VERSION = {"gitVersion": "v1.36.3"}
WHO = {"metadata": {"name": "kube-system", "uid": "u-east"}}
REVIEW = {"metadata": {"creationTimestamp": "2026-01-10T12:00:00Z"}}


def verdicts(found: Findings) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in found.checks}


async def test_a_good_server(look: Look) -> None:
    allowed = {"status": {"allowed": True}}
    found = await look(
        kubernetes(version=VERSION, kube_system=WHO, selfsubjectreviews=REVIEW, selfsubjectaccessreviews=allowed)
    )
    assert set(verdicts(found).values()) == {Verdict.OK}
    assert (found.uid, found.version) == ("u-east", "v1.36.3")


async def test_missing_right_and_hidden_identity_are_both_told(look: Look) -> None:
    denied = {"status": {"allowed": False}}
    found = await look(kubernetes(version=VERSION, selfsubjectreviews=REVIEW, selfsubjectaccessreviews=denied))
    assert verdicts(found)["rights"] is Verdict.FAILED
    assert verdicts(found)["identity"] is Verdict.FAILED
    assert found.uid == ""


async def test_what_a_server_does_not_tell_is_unknown_not_failed(look: Look) -> None:
    found = await look(kubernetes(version=VERSION, kube_system=WHO))
    assert verdicts(found)["clock"] is Verdict.UNKNOWN
    assert verdicts(found)["rights"] is Verdict.UNKNOWN
    assert found.failed == ()


async def page(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Welcome to nginx</html>", content_type="text/html")


async def login(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("https://login.example.com/")


async def nonsense(request: web.Request) -> web.StreamResponse:
    return web.json_response(["not", "a", "version"])


async def unauthorized(request: web.Request) -> web.StreamResponse:
    return web.json_response({"kind": "Status", "reason": "Unauthorized", "code": 401}, status=401)


async def broken(request: web.Request) -> web.StreamResponse:
    return web.Response(status=502, text="<html>bad gateway</html>", content_type="text/html")


async def rude(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        pytest.param(page, "reachable", id="html"),
        pytest.param(login, "reachable", id="redirect"),
        pytest.param(nonsense, "reachable", id="other-json"),
        pytest.param(unauthorized, "credentials", id="unauthorized"),
        pytest.param(broken, "reachable", id="bad-gateway"),
        pytest.param(rude, "reachable", id="hangs-up"),
    ],
)
async def test_no_api_server_behind_the_address(look: Look, handler: Handler, name: str) -> None:
    found = await look(handler)
    assert [check.name for check in found.failed] == [name]
    assert found.failed[0].hint
    assert "<html>" not in found.failed[0].message


async def test_odd_shapes_do_not_break_the_checks(look: Look) -> None:
    found = await look(
        kubernetes(version=VERSION, kube_system=WHO, selfsubjectreviews=[], selfsubjectaccessreviews={"status": None})
    )
    assert verdicts(found)["clock"] is Verdict.UNKNOWN


async def test_nobody_listens() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    connection = Connection("east", Endpoint(f"http://127.0.0.1:{port}"))
    found = await preflight.look(connection, [], oldest=(1, 24), now=NOW)
    await connection.close()
    assert [check.name for check in found.failed] == ["reachable"]
    assert f"127.0.0.1:{port}" in found.failed[0].message
