"""The way to a member: what its token says, what it answers when probed, renewal, and servers that lie."""

import asyncio
import base64
import functools
import ssl
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from federation.core.managedfields import PartialMetadata
from federation.kube import gates
from federation.kube.connection import Connection
from federation.kube.gates import Gate, Gatekeeper
from federation.kube.hub import HubWriter
from federation.kube.members import MemberWriter, Written
from federation.model.errors import Unusable
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata
from federation.model.resources import EVENTS, NAMESPACES, SECRETS, ObjectName, Resource
from federation.playground import pki
from tests.fakes import PROOF
from tests.unit.kube import servers
from tests.unit.kube.test_connection import server_context

ACCOUNT = "system:serviceaccount:kube-federation-system:m1-host"
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
WHERE = ObjectName("ns", "web")
PLACE = {"disabledTLSValidations": ["*"]}


def jwt(**claims: Any) -> str:
    parts = ({"alg": "RS256"}, claims)
    head, body = (base64.urlsafe_b64encode(orjson.dumps(part)).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.c2ln"


def secret(token: str) -> dict[str, str]:
    return {"token": base64.b64encode(token.encode()).decode()}


def gate(url: str = "https://127.0.0.1:1", token: str = "") -> Gate:
    token = token or "opaque"
    spec = {"apiEndpoint": url, "disabledTLSValidations": ["*"]}
    return Gatekeeper("kubefed-0123abcd").open("m1", spec, secret(token))


@functools.cache
def _tls() -> ssl.SSLContext:
    with tempfile.TemporaryDirectory() as directory:
        return server_context(pki.serving(pki.authority("ca"), "m1", dns=(), ips=("127.0.0.1",)), Path(directory))


@asynccontextmanager
async def serving(handler: servers.Handler) -> AsyncIterator[str]:
    """A member: stored credentials go nowhere without TLS."""
    async with servers.serving(handler, tls=_tls()) as url:
        yield url


class Member:
    """Answers every request with what was put here; remembers what it was asked."""

    def __init__(self, answer: Any = None, *, status: int = 200, text: str | None = None) -> None:
        self.answer = answer
        self.status = status
        self.text = text
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        self.asked.append((request.method, request.path_qs))
        body = await request.read()
        self.bodies.append(orjson.loads(body) if body else None)
        self.headers.append(dict(request.headers))
        content = self.text.encode() if self.text is not None else orjson.dumps(self.answer)
        return web.Response(body=content, status=self.status, content_type="application/json")


@pytest.mark.parametrize(
    ("token", "lifetime"),
    [
        pytest.param(jwt(iat=100, exp=400), (100.0, 400.0), id="bound-token"),
        pytest.param(jwt(iat=100.5, exp=400), (100.5, 400.0), id="fractions"),
        pytest.param(jwt(iat=100), None, id="without-end"),
        pytest.param(jwt(iat=400, exp=100), None, id="backwards"),
        pytest.param(jwt(iat="100", exp="400"), None, id="strings"),
        pytest.param(jwt(iat=-1e300, exp=1e300), None, id="wild"),
        pytest.param(jwt(iat=0, exp=1 << 62), None, id="the-end-of-days"),
        pytest.param(jwt(iat=False, exp=True), None, id="truths"),
        pytest.param("opaque", None, id="opaque"),
        pytest.param("a.b.c", None, id="dots"),
        pytest.param("a.%%%.c", None, id="no-base64"),
        pytest.param("a." + base64.urlsafe_b64encode(b"[1]").decode() + ".c", None, id="no-map"),
        pytest.param("a." + base64.urlsafe_b64encode(b"\xff").decode() + ".c", None, id="no-json"),
    ],
)
async def test_token_lifetime(token: str, lifetime: tuple[float, float] | None) -> None:
    assert gate(token=token).token_lifetime == lifetime


async def test_new_credentials_for_the_same_place_keep_the_connection() -> None:
    opened = gate("https://10.0.0.1", jwt(iat=100, exp=400))
    assert opened.admit({**PLACE, "apiEndpoint": "https://10.0.0.1/"}, secret(jwt(iat=300, exp=900)))
    assert opened.token_lifetime == (300.0, 900.0)
    assert not opened.admit({**PLACE, "apiEndpoint": "https://10.0.0.2"}, secret("other"))
    assert opened.token_lifetime == (300.0, 900.0)
    with pytest.raises(Unusable):
        opened.admit({"apiEndpoint": "https://10.0.0.1"}, {})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param({"metadata": {"name": "kube-system", "uid": "u-1"}}, "u-1", id="told"),
        pytest.param({"metadata": {"name": "kube-system"}}, FailureKind.UNEXPECTED, id="no-uid"),
        pytest.param({"hello": "world"}, FailureKind.UNEXPECTED, id="another-kind-of-server"),
        pytest.param({"metadata": {"name": "k", "uid": "u\x1b[31m"}}, FailureKind.UNEXPECTED, id="no-uid-in-form"),
        pytest.param({"metadata": {"name": "k", "uid": "u" * 200}}, FailureKind.UNEXPECTED, id="an-endless-uid"),
        pytest.param({"metadata": {"name": "k", "uid": 7}}, FailureKind.UNEXPECTED, id="a-number-for-a-uid"),
        pytest.param([], FailureKind.UNEXPECTED, id="a-list"),
    ],
)
async def test_identity(answer: Any, expected: str | FailureKind) -> None:
    member = Member(answer)
    async with serving(member) as url:
        opened = gate(url)
        identity = await opened.identify(5.0)
        await opened.close()
    assert (identity.kind if isinstance(identity, Failure) else identity) == expected
    assert member.asked == [("GET", "/api/v1/namespaces/kube-system")]
    assert member.headers[0]["Authorization"] == "Bearer opaque"


class OneNamespace(Member):
    """An account that may read one Namespace alone."""

    def __init__(self, own: str) -> None:
        super().__init__()
        self.own = own

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        self.text, name = None, request.path.rpartition("/")[2]
        self.answer, self.status = {"metadata": {"name": name, "uid": f"u-{name}"}}, 200
        if name != self.own:
            who = 'User "m1-host" cannot get resource "namespaces" in API group ""'
            self.answer = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": who, "code": 403}
            self.status = 403
        return await super().__call__(request)


@pytest.mark.parametrize(
    ("own", "recorded", "expected", "asked"),
    [
        pytest.param("fed", "", "namespace:u-fed", ["kube-system", "fed", "fed"], id="found-out-once"),
        pytest.param("fed", "namespace:u-1", "namespace:u-fed", ["fed", "fed"], id="as-recorded"),
        pytest.param("fed", "u-1", FailureKind.RIGHT_MISSING, ["kube-system"] * 2, id="never-of-the-other-kind"),
        pytest.param("kube-system", "namespace:u-1", FailureKind.RIGHT_MISSING, ["fed"] * 2, id="nor-the-other-way"),
        pytest.param("x", "", FailureKind.RIGHT_MISSING, ["kube-system", "fed"] * 2, id="neither"),
    ],
)
async def test_an_account_with_rights_in_one_namespace_shows_its_uid(
    own: str, recorded: str, expected: str | FailureKind, asked: list[str]
) -> None:
    member = OneNamespace(own)
    async with serving(member) as url:
        spec = {"apiEndpoint": url, "disabledTLSValidations": ["*"]}
        opened = Gatekeeper("kubefed-0123abcd", namespace="fed").open("m1", spec, secret("opaque"))
        found = [await opened.identify(5.0, recorded) for _ in range(2)]
        await opened.close()
    assert [each.kind if isinstance(each, Failure) else each for each in found] == [expected] * 2
    assert [path.rpartition("/")[2] for _, path in member.asked] == asked


async def test_version_and_topology() -> None:
    member = Member({"gitVersion": "v1.36.3"})
    async with serving(member) as url:
        opened = gate(url)
        assert await opened.version() == "v1.36.3"
        node = {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "b"}
        other = {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "a"}
        member.answer = {
            "metadata": {"resourceVersion": "1"},
            "items": [
                {"metadata": {"name": str(index), "labels": labels}} for index, labels in enumerate((node, other, {}))
            ],
        }
        assert await opened.topology() == ("eu", ("a", "b"))
        member.answer = {"metadata": {"resourceVersion": "1"}, "items": None}
        assert await opened.topology() == ("", ())
        for wrong in ("{}", '{"gitVersion": 7}', "[]"):
            member.text = wrong
            assert isinstance(await opened.version(), Failure)
        await opened.close()


async def test_a_token_renews_itself() -> None:
    fresh = jwt(sub=ACCOUNT, iat=time.time(), exp=time.time() + 3600)
    member = Member({"status": {"token": fresh}, "metadata": {"name": "kube-system", "uid": "u"}}, status=201)
    async with serving(member) as url:
        opened = gate(url, jwt(sub=ACCOUNT, iat=0, exp=100))
        assert await opened.renew_token(3600) == fresh
        assert await opened.renew_token(60) == fresh
        assert await opened.renew_token(1 << 60) == fresh
        await opened.close()
    path = "/api/v1/namespaces/kube-federation-system/serviceaccounts/m1-host/token"
    assert member.asked == [("POST", path), ("GET", "/api/v1/namespaces/kube-system")] * 3
    sent = [body["spec"]["expirationSeconds"] for body in member.bodies if body]
    assert sent == [3600, 600, (1 << 32) - 1]  # less and more are refused
    assert [headers["Authorization"] for headers in member.headers[1::2]] == [f"Bearer {fresh}"] * 3


@pytest.mark.parametrize(
    ("answer", "time"),
    [
        pytest.param({"metadata": {"creationTimestamp": "2026-01-01T00:00:10Z"}}, 1767225610.0, id="its-time"),
        pytest.param({"metadata": {"creationTimestamp": "2026-01-01T00:00:10"}}, None, id="of-no-zone"),
        pytest.param({"metadata": {"creationTimestamp": None}}, None, id="null"),
        pytest.param({"metadata": {}}, None, id="none"),
        pytest.param([], None, id="no-object"),
    ],
)
async def test_clock(answer: Any, time: float | None) -> None:
    member = Member(answer, status=201)
    async with serving(member) as url:
        opened = gate(url, "t")
        found = await opened.clock()
        await opened.close()
    assert isinstance(found, Failure) if time is None else found == time
    assert member.asked == [("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews")]


@pytest.mark.parametrize("off", [-400 * 86400, -7200, 7200, 400 * 86400])
async def test_a_token_is_not_judged_by_our_clock(off: float) -> None:
    """It is the member's clock that it was issued by, and that ends it."""
    fresh = jwt(sub=ACCOUNT, iat=time.time() + off, exp=time.time() + off + 3600)
    member = Member({"status": {"token": fresh}, "metadata": {"name": "kube-system", "uid": "u"}}, status=201)
    async with serving(member) as url:
        opened = gate(url, jwt(sub=ACCOUNT, iat=0, exp=100))
        assert await opened.renew_token(3600) == fresh
        await opened.close()


def _in_an_hour(**claims: Any) -> str:
    return jwt(**{"sub": ACCOUNT, "iat": time.time(), "exp": time.time() + 3600, **claims})


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="none"),
        pytest.param("opaque", id="no-jwt"),
        pytest.param(_in_an_hour() + "\r\nX-Evil: 1", id="a-header"),
        pytest.param(_in_an_hour() + "\x1b[2J", id="an-escape-sequence"),
        pytest.param(_in_an_hour() + "\u00e9", id="no-ascii"),
        pytest.param(_in_an_hour(pad="x" * 800_000), id="800-kB"),
        pytest.param(_in_an_hour(sub="system:serviceaccount:other:m1-host"), id="another-account"),
        pytest.param(_in_an_hour(sub=["x"]), id="no-account"),
        pytest.param(_in_an_hour(sub="system:serviceaccount::"), id="an-account-without-a-name"),
        pytest.param(_in_an_hour(exp=time.time() - 1), id="ended-already"),
        pytest.param(_in_an_hour(exp=time.time() + 200), id="too-short-a-life"),
        pytest.param(_in_an_hour(exp=None), id="without-an-end"),
        pytest.param(_in_an_hour(iat=1e300, exp=1.5e300), id="wild-times"),
        pytest.param(_in_an_hour(iat=-1e18), id="long-ago"),
        pytest.param(_in_an_hour(iat="yesterday"), id="times-that-are-words"),
        pytest.param(_in_an_hour(iat=True, exp=1e10), id="times-that-are-truths"),
        pytest.param(_in_an_hour(iat={"a": 1}), id="times-that-are-maps"),
    ],
)
async def test_what_is_no_token_of_ours_never_takes_the_place_of_one(token: str) -> None:
    member = Member({"status": {"token": token}, "metadata": {"name": "kube-system", "uid": "u"}}, status=201)
    async with serving(member) as url:
        opened = gate(url, _in_an_hour())
        outcome = await opened.renew_token(3600)
        await opened.close()
    assert isinstance(outcome, Failure)
    assert "TokenRequest" in outcome.message
    assert outcome.message.isprintable()
    assert len(member.asked) == 1  # it is not even tried


async def test_a_token_that_the_member_does_not_take_is_none() -> None:
    fresh = _in_an_hour(jti="new")

    async def handler(request: web.BaseRequest) -> web.Response:
        if request.headers["Authorization"] == f"Bearer {fresh}":
            return web.Response(status=401)
        return web.json_response({"status": {"token": fresh}, "metadata": {"name": "kube-system", "uid": "u"}})

    async with serving(handler) as url:
        opened = gate(url, _in_an_hour())
        outcome = await opened.renew_token(3600)
        assert await opened.identify(5.0) == "u"  # the old one is in use all the while
        await opened.close()
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.UNAUTHORIZED
    assert "the stored token is kept" in outcome.message


@pytest.mark.parametrize(
    "version", ["", " ", "v1\x1b[31m", "v1\n", "x" * 900_000, "v1.36 ", "\u202ev1", "<script>", 7, None, ["v1"], {}]
)
async def test_a_version_that_is_none_is_not_taken_for_one(version: Any) -> None:
    async with serving(Member({"gitVersion": version})) as url:
        opened = gate(url)
        outcome = await opened.version()
        await opened.close()
    assert isinstance(outcome, Failure)
    assert len(outcome.message) < 200
    assert outcome.message.isprintable()


async def test_regions_and_zones_that_are_none_are_left_out() -> None:
    nodes = [
        {
            "metadata": {
                "name": f"n{index}",
                "labels": {"topology.kubernetes.io/region": word, "topology.kubernetes.io/zone": word},
            }
        }
        for index, word in enumerate(["eu\x1b[2J", "x" * 64, "-eu", "", "eu-1"])
    ]
    crowd = [{"metadata": {"name": f"m{at}", "labels": {"topology.kubernetes.io/zone": f"z{at}"}}} for at in range(300)]
    answer = {"metadata": {"resourceVersion": "1"}, "items": [*nodes, *crowd, {"metadata": {"name": "o", "labels": 7}}]}
    async with serving(Member(answer)) as url:
        opened = gate(url)
        outcome = await opened.topology()
        await opened.close()
    assert not isinstance(outcome, Failure)
    assert outcome[0] == "eu-1"
    assert len(outcome[1]) == 100


@pytest.mark.parametrize(
    ("output", "bound"),
    [
        pytest.param({"secret": {"name": "s", "uid": "u"}}, True, id="to-a-secret"),
        pytest.param({"pod": {"name": "p", "uid": "u"}}, False, id="to-a-pod"),
        pytest.param({"secret": {"name": "s"}}, False, id="without-uid"),
        pytest.param({"secret": {"name": ["s"], "uid": {}}}, False, id="nonsense"),
        pytest.param("x", False, id="text"),
    ],
)
async def test_what_ends_a_token_ends_its_successor(output: Any, bound: bool) -> None:
    member = Member({"status": {"token": "opaque"}}, status=201)
    async with serving(member) as url:
        opened = gate(url, jwt(sub=ACCOUNT, iat=0, exp=100, **{"kubernetes.io": output}))
        await opened.renew_token(3600)
        await opened.close()
    expected = {"apiVersion": "v1", "kind": "Secret", "name": "s", "uid": "u"} if bound else None
    assert member.bodies[0]["spec"].get("boundObjectRef") == expected


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_token_never_follows_a_redirect(code: int) -> None:
    elsewhere, headers = Member({"metadata": {"name": "kube-system", "uid": "u-1"}}), dict[str, str]()

    async def redirect(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(status=code, headers=headers)

    async with serving(elsewhere) as there, serving(redirect) as here:
        headers["Location"] = f"{there}/api/v1/namespaces/kube-system"
        opened = gate(here)
        assert isinstance(await opened.identify(5.0), Failure)
        renewing = gate(here, jwt(sub=ACCOUNT, iat=0, exp=100))
        assert isinstance(await renewing.renew_token(3600), Failure)
        await opened.close()
        await renewing.close()
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("token", "answer", "wanted"),
    [
        pytest.param(jwt(sub="admin"), {}, "not a service account's", id="a-user"),
        pytest.param("opaque", {}, "not a service account's", id="opaque"),
        pytest.param(jwt(sub=ACCOUNT), {"status": {}}, "no token", id="no-token"),
        pytest.param(jwt(sub=ACCOUNT), {"status": None}, "not as a Kubernetes API", id="null-status"),
        pytest.param(jwt(sub=ACCOUNT), [], "not as a Kubernetes API", id="a-list"),
        pytest.param(jwt(sub=ACCOUNT), {"status": {"token": 7}}, "not as a Kubernetes API", id="a-number"),
    ],
)
async def test_a_token_that_cannot_be_renewed(token: str, answer: Any, wanted: str) -> None:
    async with serving(Member(answer)) as url:
        opened = gate(url, token)
        outcome = await opened.renew_token(3600)
        await opened.close()
    assert isinstance(outcome, Failure)
    assert wanted in outcome.message


# --- what is written to a member --------------------------------------------------------------------------------

META = {"metadata": {"name": "web", "namespace": "ns", "uid": "u", "resourceVersion": "5"}}


async def test_writes_to_a_member_are_what_they_say() -> None:
    member = Member(META, status=201)
    async with serving(member) as url:
        opened = gate(url)
        writer = opened.writer
        written = await writer.apply(CONFIGMAPS, WHERE, b'{"a":1}', force=False)
        assert isinstance(written, Written)
        assert (written.created, written.metadata.uid) == (True, "u")
        member.status = 200
        again = await writer.apply(CONFIGMAPS, WHERE, b"{}", force=True, manager="kubefed-0123abcd-replicas")
        assert isinstance(again, Written)
        assert not again.created
        assert isinstance(await writer.patch(CONFIGMAPS, WHERE, [{"op": "remove", "path": "/x"}]), Written)
        assert await writer.delete(CONFIGMAPS, WHERE, "u", {"propagationPolicy": "Orphan"}, PROOF) is None
        assert isinstance(await writer.read(CONFIGMAPS, WHERE), PartialMetadata)
        member.answer = {"spec": {"replicas": 3}}
        assert await writer.read_replicas(CONFIGMAPS, WHERE) == 3
        await opened.close()
    path = "/api/v1/namespaces/ns/configmaps/web"
    assert member.asked[:5] == [
        ("PATCH", f"{path}?fieldManager=kubefed-0123abcd&force=false"),
        ("PATCH", f"{path}?fieldManager=kubefed-0123abcd-replicas&force=true"),
        ("PATCH", path),
        ("DELETE", path),
        ("GET", path),
    ]
    assert [headers.get("Content-Type") for headers in member.headers[:3]] == [
        "application/apply-patch+yaml",
        "application/apply-patch+yaml",
        "application/json-patch+json",
    ]
    assert all("as=PartialObjectMetadata;" in headers["Accept"] for headers in member.headers[:5])
    assert member.bodies[3]["preconditions"] == {"uid": "u"}
    assert member.bodies[3]["propagationPolicy"] == "Orphan"


async def test_a_users_options_never_replace_the_precondition() -> None:
    member = Member({"kind": "Status"})
    async with serving(member) as url:
        opened = gate(url)
        await opened.writer.delete(CONFIGMAPS, WHERE, "u", {"preconditions": {"uid": "other"}}, PROOF)
        await opened.close()
    assert member.bodies[0]["preconditions"] == {"uid": "u"}


@pytest.mark.parametrize("resource", [CONFIGMAPS, NAMESPACES], ids=["configmap", "namespace"])
async def test_what_is_gone_already_is_deleted(resource: Resource) -> None:
    kind = resource.plural
    gone = {
        "kind": "Status",
        "code": 404,
        "reason": "NotFound",
        "message": "x",
        "details": {"name": "web", "kind": kind},
    }
    async with serving(Member(gone, status=404)) as url:
        opened = gate(url)
        name = WHERE if resource.namespaced else ObjectName("", "web")
        assert await opened.writer.delete(resource, name, "u", {}, PROOF) is None
        read = await opened.writer.read(resource, name)
        await opened.close()
    assert isinstance(read, Failure)
    assert read.kind is FailureKind.NOT_FOUND


@pytest.mark.parametrize("answer", [{}, [], {"metadata": None}, {"metadata": {"name": 7}}, {"spec": []}])
async def test_members_that_answer_nonsense(answer: Any) -> None:
    async with serving(Member(answer)) as url:
        opened = gate(url)
        outcomes = [
            await opened.writer.apply(CONFIGMAPS, WHERE, b"{}", force=False),
            await opened.writer.read(CONFIGMAPS, WHERE),
            await opened.writer.read_replicas(CONFIGMAPS, WHERE),
        ]
        await opened.close()
    for outcome in outcomes:
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.UNEXPECTED


@pytest.mark.parametrize("text", ["<html>", "[1]", "7", "null"])
async def test_replicas_of_a_server_that_answers_something_else(text: str) -> None:
    async with serving(Member(text=text)) as url:
        opened = gate(url)
        outcome = await opened.writer.read_replicas(CONFIGMAPS, WHERE)
        await opened.close()
    assert isinstance(outcome, Failure)


@pytest.mark.parametrize("resource", [SECRETS, CONFIGMAPS], ids=["secret", "configmap"])
async def test_errors_about_secrets_quote_nothing(resource: Resource) -> None:
    refusal = {"kind": "Status", "code": 422, "reason": "Invalid", "message": 'data.k: Invalid value: "hunter2canary"'}
    async with serving(Member(refusal, status=422)) as url:
        opened = gate(url)
        outcomes = [
            await opened.writer.apply(resource, WHERE, b"{}", force=False),
            await opened.writer.patch(resource, WHERE, []),
            await opened.writer.delete(resource, WHERE, "u", {}, PROOF),
        ]
        await opened.close()
    for outcome in outcomes:
        assert isinstance(outcome, Failure)
        assert "hunter2canary" not in repr(outcome)


# --- what is written to the hub ---------------------------------------------------------------------------------


async def test_writes_to_the_hub_are_small_patches() -> None:
    member = Member(META)
    metadata = Metadata(name="web", namespace="ns", uid="u", resource_version="4")
    async with serving(member) as url:
        opened = gate(url)
        connection = opened.writer.connection
        assert isinstance(connection, Connection)
        hub = HubWriter(connection)
        answer = await hub.set_finalizers(CONFIGMAPS, metadata, ("f",))
        assert isinstance(answer, Metadata)
        assert answer.resource_version == "5"
        await hub.set_status(CONFIGMAPS, WHERE, b'{"status":{}}')
        assert await hub.create(EVENTS, "ns", {"kind": "Event"}) is None
        for wrong in ("{}", "[]"):
            member.text = wrong
            assert isinstance(await hub.merge(CONFIGMAPS, WHERE, b"{}"), Failure)
        await opened.close()
    path = "/api/v1/namespaces/ns/configmaps/web"
    assert member.asked[:3] == [("PATCH", path), ("PATCH", f"{path}/status"), ("POST", "/api/v1/namespaces/ns/events")]
    assert member.bodies[0] == {"metadata": {"finalizers": ["f"], "resourceVersion": "4", "uid": "u"}}


def test_writer_states_its_manager() -> None:
    assert isinstance(gate().writer, MemberWriter)
    assert gate().writer.manager == "kubefed-0123abcd"


async def test_a_probe_that_waits_behind_our_own_writes_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that carries out one write after the other lives, however long the probe waits there in line."""
    monkeypatch.setattr(gates, "PUSH_DEADLINE", 60.0)
    hangs, release = asyncio.Event(), asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.method == "GET" or request.path.endswith("/hangs"):
            hangs.set()
            await release.wait()
        metadata = {"name": "web", "namespace": "ns", "uid": "u", "resourceVersion": "5"}
        return web.json_response({"kind": "PartialObjectMetadata", "metadata": metadata})

    async with serving(answer) as url:
        opened = gate(url)
        try:
            alone = await opened.identify(0.05)
            assert isinstance(alone, Failure)
            assert (alone.kind, alone.late) == (FailureKind.TIMED_OUT, False)
            await opened.writer.apply(CONFIGMAPS, WHERE, b"{}", force=False)
            await asyncio.sleep(0.2)
            idle = await opened.identify(0.05)
            assert isinstance(idle, Failure)
            assert not idle.late  # nothing of ours is under way there, so nothing stands before the probe
            hangs.clear()
            under_way = asyncio.ensure_future(
                opened.writer.apply(CONFIGMAPS, ObjectName("ns", "hangs"), b"{}", force=False)
            )
            await hangs.wait()
            await opened.writer.apply(CONFIGMAPS, WHERE, b"{}", force=False)
            behind = await opened.identify(0.05)
            assert isinstance(behind, Failure)
            assert behind.late
            monkeypatch.setattr(gates, "PUSH_DEADLINE", 0.0)
            await asyncio.sleep(0.2)
            hanging = await opened.identify(0.05)
            assert isinstance(hanging, Failure)
            assert not hanging.late  # no write has been carried out for as long as one may take
            release.set()
            await under_way
            assert await opened.identify(5.0) == "u"
        finally:
            release.set()
            await opened.close()
