"""The way to a member: what its token says, what it answers when probed, renewal, and servers that lie."""

import base64
from typing import Any

import orjson
import pytest
from aiohttp import web

from federation.core.managedfields import PartialMetadata
from federation.kube.gates import Gate, Gatekeeper
from federation.kube.hub import HubWriter
from federation.kube.members import MemberWriter, Written
from federation.model.errors import Unusable
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata
from federation.model.resources import EVENTS, NAMESPACES, SECRETS, ObjectName, Resource
from tests.unit.kube.servers import serving

ACCOUNT = "system:serviceaccount:kube-federation-system:m1-host"
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
WHERE = ObjectName("ns", "web")


def jwt(**claims: Any) -> str:
    parts = ({"alg": "RS256"}, claims)
    head, body = (base64.urlsafe_b64encode(orjson.dumps(part)).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.c2ln"


def secret(token: str) -> dict[str, str]:
    return {"token": base64.b64encode(token.encode()).decode()}


def gate(url: str = "http://127.0.0.1:1", token: str = "") -> Gate:
    token = token or "opaque"
    return Gatekeeper("kubefed-0123abcd").open("m1", {"apiEndpoint": url}, secret(token))


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
    opened = gate("http://10.0.0.1", jwt(iat=100, exp=400))
    assert opened.admit({"apiEndpoint": "http://10.0.0.1/"}, secret(jwt(iat=300, exp=900)))
    assert opened.token_lifetime == (300.0, 900.0)
    assert not opened.admit({"apiEndpoint": "http://10.0.0.2"}, secret("other"))
    assert opened.token_lifetime == (300.0, 900.0)
    with pytest.raises(Unusable):
        opened.admit({"apiEndpoint": "http://10.0.0.1"}, {})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param({"metadata": {"name": "kube-system", "uid": "u-1"}}, "u-1", id="told"),
        pytest.param({"metadata": {"name": "kube-system"}}, FailureKind.UNEXPECTED, id="no-uid"),
        pytest.param({"hello": "world"}, FailureKind.UNEXPECTED, id="another-kind-of-server"),
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


async def test_version_and_topology() -> None:
    member = Member({"gitVersion": "v1.36.3"})
    async with serving(member) as url:
        opened = gate(url)
        assert await opened.version() == "v1.36.3"
        node = {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "b"}
        other = {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "a"}
        member.answer = {
            "items": [
                {"metadata": {"name": str(index), "labels": labels}} for index, labels in enumerate((node, other, {}))
            ]
        }
        assert await opened.topology() == ("eu", ("a", "b"))
        member.answer = {"items": None}
        assert await opened.topology() == ("", ())
        for wrong in ("{}", '{"gitVersion": 7}', "[]"):
            member.text = wrong
            assert isinstance(await opened.version(), Failure)
        await opened.close()


async def test_a_token_renews_itself() -> None:
    member = Member({"status": {"token": "fresh"}}, status=201)
    async with serving(member) as url:
        opened = gate(url, jwt(sub=ACCOUNT, iat=0, exp=100))
        assert await opened.renew_token(3600) == "fresh"
        assert await opened.renew_token(60) == "fresh"
        await opened.close()
    path = "/api/v1/namespaces/kube-federation-system/serviceaccounts/m1-host/token"
    assert member.asked == [("POST", path)] * 2
    assert [body["spec"]["expirationSeconds"] for body in member.bodies] == [3600, 600]  # less is refused


@pytest.mark.parametrize(
    ("token", "answer", "says"),
    [
        pytest.param(jwt(sub="admin"), {}, "not a service account's", id="a-user"),
        pytest.param("opaque", {}, "not a service account's", id="opaque"),
        pytest.param(jwt(sub=ACCOUNT), {"status": {}}, "no token", id="no-token"),
        pytest.param(jwt(sub=ACCOUNT), {"status": None}, "not as a Kubernetes API", id="null-status"),
        pytest.param(jwt(sub=ACCOUNT), [], "not as a Kubernetes API", id="a-list"),
        pytest.param(jwt(sub=ACCOUNT), {"status": {"token": 7}}, "not as a Kubernetes API", id="a-number"),
    ],
)
async def test_a_token_that_cannot_be_renewed(token: str, answer: Any, says: str) -> None:
    async with serving(Member(answer)) as url:
        opened = gate(url, token)
        outcome = await opened.renew_token(3600)
        await opened.close()
    assert isinstance(outcome, Failure)
    assert says in outcome.message


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
        assert await writer.delete(CONFIGMAPS, WHERE, "u", {"propagationPolicy": "Orphan"}) is None
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
        await opened.writer.delete(CONFIGMAPS, WHERE, "u", {"preconditions": {"uid": "other"}})
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
        assert await opened.writer.delete(resource, name, "u", {}) is None
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
            await opened.writer.delete(resource, WHERE, "u", {}),
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
        hub = HubWriter(opened.writer.connection)
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
