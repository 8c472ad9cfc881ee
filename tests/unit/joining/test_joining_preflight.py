"""Preflight: assessments as tables, and servers that lie, hang or refuse, played by a small HTTP server."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from federation.joining import assessments, preflight
from federation.joining.assessments import Check, Grade, Right
from federation.joining.errors import PreflightFailed
from federation.joining.fleet import Fleet, Member
from federation.joining.preflight import Findings
from federation.kube.connection import Connection
from federation.kube.endpoint import Endpoint

NOW = dt.datetime(2026, 1, 10, 12, 0, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        pytest.param("v1.36.3", Grade.OK, id="new"),
        pytest.param("v1.24.0", Grade.OK, id="oldest"),
        pytest.param("v1.23.17", Grade.FAILED, id="too-old"),
        pytest.param("v1.30.2-gke.1587003", Grade.OK, id="vendor"),
        pytest.param("v2.0.0", Grade.OK, id="next-major"),
        pytest.param("k3s", Grade.UNKNOWN, id="no-version"),
    ],
)
def test_version(text: str, grade: Grade) -> None:
    found = assessments.version(text, assessments.OLDEST_MEMBER)
    assert found.grade is grade
    assert text in found.message


@pytest.mark.parametrize(
    ("host", "member", "grade", "output"),
    [
        pytest.param("v1.36.3", "v1.36.0", Grade.OK, "both 1.36", id="equal"),
        pytest.param("v1.36.3", "v1.33.0", Grade.OK, "3 minor versions older", id="within-three"),
        pytest.param("v1.33.0", "v1.34.0", Grade.OK, "1 minor version newer", id="newer"),
        pytest.param("v1.36.3", "v1.30.0", Grade.WARNING, "6 minor versions older", id="far"),
        pytest.param("", "v1.30.0", Grade.UNKNOWN, "?", id="unknown"),
    ],
)
def test_skew(host: str, member: str, grade: Grade, output: str) -> None:
    found = assessments.skew(host, member)
    assert found.grade is grade
    assert output in found.message


@pytest.mark.parametrize(
    ("seconds", "grade", "output"),
    [
        pytest.param(0, Grade.OK, "within 1 s", id="same"),
        pytest.param(-1, Grade.OK, "within 1 s", id="one-second-is-rounding"),
        pytest.param(8, Grade.OK, "8 s ahead", id="little"),
        pytest.param(-60, Grade.WARNING, "60 s behind", id="a-minute"),
        pytest.param(3600, Grade.FAILED, "3600 s ahead", id="an-hour"),
    ],
)
def test_clock(seconds: int, grade: Grade, output: str) -> None:
    found = assessments.clock(NOW + dt.timedelta(seconds=seconds), NOW)
    assert found.grade is grade
    assert output in found.message


EAST = Member("east", "https://east:6443", "east-token", uid="u-east")
OLD = Member("old", "https://old:6443", "old-token")
KNOWN = Fleet("u-host", (EAST, OLD))


@pytest.mark.parametrize(
    ("name", "uid", "server", "grade", "output"),
    [
        pytest.param("west", "u-west", "https://west:6443", Grade.OK, "not known yet", id="new"),
        pytest.param("east", "u-east", "https://moved:6443", Grade.OK, "as recorded", id="again-elsewhere"),
        pytest.param("east", "u-west", "https://east:6443", Grade.FAILED, "name of another cluster", id="impostor"),
        pytest.param("west", "u-east", "https://x:6443", Grade.FAILED, "already joined as east", id="second-name"),
        pytest.param("west", "u-old", "https://old:6443/", Grade.FAILED, "joined as old", id="same-address-unrecorded"),
        pytest.param("old", "u-old", "https://old:6443", Grade.OK, "as recorded", id="kubefeds-own"),
        pytest.param("host", "u-host", "https://host:6443", Grade.OK, "the host itself", id="host-as-member"),
    ],
)
def test_identity(name: str, uid: str, server: str, grade: Grade, output: str) -> None:
    found = assessments.identity(name, (uid,), server, KNOWN)
    assert found.grade is grade
    assert output in found.message
    assert bool(found.hint) == (grade is Grade.FAILED)


TEAM = Member("team", "https://team:6443", "team-token", uid="namespace:n-team")
KINDS = Fleet("u-host", (EAST, TEAM), namespaced=True, space="namespace:n-host")


@pytest.mark.parametrize(
    ("name", "uids", "server", "grade", "output"),
    [
        pytest.param("west", ("", "namespace:n-west"), "https://west:6443", Grade.OK, "not known yet", id="new"),
        pytest.param("team", ("", "namespace:n-team"), "https://moved:6443", Grade.OK, "as recorded", id="again"),
        pytest.param("team", ("u-1", ""), "https://team:6443", Grade.OK, "as recorded", id="its-namespace-was-deleted"),
        pytest.param("team", ("", "namespace:n-x"), "https://team:6443", Grade.FAILED, "another cluster", id="other"),
        pytest.param("x", ("", "namespace:n-team"), "https://x:6443", Grade.FAILED, "joined as team", id="second-name"),
        pytest.param("x", ("u-east", ""), "https://x:6443", Grade.FAILED, "joined as east", id="of-the-other-kind"),
        pytest.param("x", ("", "namespace:n"), "https://east:6443", Grade.FAILED, "joined as east", id="same-address"),
        pytest.param("host", ("", "namespace:n-host"), "https://h:6443", Grade.OK, "the host itself", id="the-host"),
    ],
)
def test_identities_of_two_kinds(name: str, uids: tuple[str, str], server: str, grade: Grade, output: str) -> None:
    found = assessments.identity(name, uids, server, KINDS)
    assert found.grade is grade
    assert output in found.message


def test_failed_checks_are_told_together() -> None:
    checks = [
        Check("a", Grade.FAILED, "is bad", "mend a"),
        Check("b", Grade.OK, "is good"),
        Check("c", Grade.FAILED, "is worse", "mend c"),
    ]
    with pytest.raises(PreflightFailed, match=r"cluster x cannot be joined: a: is bad; c: is worse") as refused:
        assessments.refuse_failed("x", checks)
    assert refused.value.hint == "mend a; mend c"
    assessments.refuse_failed("x", checks[1:2])


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
        return await preflight.check(connection, [Right("get", "pods")], oldest=(1, 24), now=NOW)

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


def failed(found: Findings) -> list[Check]:
    return [check for check in found.checks if check.grade is Grade.FAILED]


def results(found: Findings) -> dict[str, Grade]:
    return {check.name: check.grade for check in found.checks}


async def test_a_good_server(look: Look) -> None:
    allowed = {"status": {"allowed": True}}
    found = await look(
        kubernetes(version=VERSION, kube_system=WHO, selfsubjectreviews=REVIEW, selfsubjectaccessreviews=allowed)
    )
    assert set(results(found).values()) == {Grade.OK}
    assert (found.uid, found.version) == ("u-east", "v1.36.3")


async def test_missing_right_and_hidden_identity_are_both_told(look: Look) -> None:
    denied = {"status": {"allowed": False}}
    found = await look(kubernetes(version=VERSION, selfsubjectreviews=REVIEW, selfsubjectaccessreviews=denied))
    assert results(found)["rights"] is Grade.FAILED
    assert results(found)["identity"] is Grade.FAILED
    assert found.uid == ""


async def test_what_a_server_does_not_tell_is_unknown_not_failed(look: Look) -> None:
    found = await look(kubernetes(version=VERSION, kube_system=WHO))
    assert results(found)["clock"] is Grade.UNKNOWN
    assert results(found)["rights"] is Grade.UNKNOWN
    assert failed(found) == []


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
    assert [check.name for check in failed(found)] == [name]
    assert failed(found)[0].hint
    assert "<html>" not in failed(found)[0].message


async def test_odd_shapes_do_not_break_the_checks(look: Look) -> None:
    found = await look(
        kubernetes(version=VERSION, kube_system=WHO, selfsubjectreviews=[], selfsubjectaccessreviews={"status": None})
    )
    assert results(found)["clock"] is Grade.UNKNOWN


async def test_nobody_listens() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    connection = Connection("east", Endpoint(f"http://127.0.0.1:{port}"))
    found = await preflight.check(connection, [], oldest=(1, 24), now=NOW)
    await connection.close()
    assert [check.name for check in failed(found)] == ["reachable"]
    assert f"127.0.0.1:{port}" in failed(found)[0].message
