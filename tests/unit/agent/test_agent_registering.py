"""An agent's way to its certificate, with member and hub in memory: killed at any step, denied, forgotten, renewed."""

import asyncio
import base64
import contextlib
import datetime as dt
import itertools
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from structlog.testing import capture_logs

from federation.agent import sealing
from federation.agent.registering import Registration
from federation.agent.sealing import Issued, Sealed
from federation.kube.connection import Answer
from federation.kube.endpoint import Endpoint
from federation.model.errors import Unusable
from federation.model.failures import Failure, FailureKind
from federation.playground import pki
from federation.registration import certificates, names, stored
from tests.fakehub import merged
from tests.unit.virtualtime import EPOCH, virtual

NAMESPACE = "open-cluster-management-agent"
CA = pki.authority("hub")


class Cluster:
    """An API server's objects by their paths."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.failure: Failure | None = None
        self.requests: list[str] = []
        self.before: Callable[[str, str], None] = lambda method, path: None
        self._versions = itertools.count(1)

    async def request(self, method: str, path: str, *, body: bytes | None = None, **_: Any) -> Answer | Failure:
        self.requests.append(f"{method} {path.rpartition('/')[2]}")
        await asyncio.sleep(0)
        self.before(method, path)
        if self.failure is not None:
            return self.failure
        sent = orjson.loads(body or b"{}")
        if method == "POST":
            path = f"{path}/{sent['metadata']['name']}"
            if path in self.objects:
                return Failure(FailureKind.ALREADY_EXISTS, "it exists", 409)
            sent["metadata"]["uid"] = f"uid-{next(self._versions)}"
            return self._put(path, sent)
        found = self.objects.get(path)
        if found is None:
            return Failure(FailureKind.NOT_FOUND, "not found", 404)
        if method == "DELETE":
            return Answer(200, orjson.dumps(self.objects.pop(path)))
        if method == "PATCH":
            if sent["metadata"].pop("resourceVersion") != found["metadata"]["resourceVersion"]:
                return Failure(FailureKind.VERSION_CONFLICT, "changed", 409)
            return self._put(path, merged(found, sent))
        return Answer(200, orjson.dumps(found))

    def _put(self, path: str, body: dict[str, Any]) -> Answer:
        body["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[path] = body
        return Answer(200, orjson.dumps(body))

    def named(self, kind: str) -> list[dict[str, Any]]:
        return [each for path, each in self.objects.items() if f"/{kind}/" in path]


class Here:
    """Keys are made in this process: in virtual time no other one answers."""

    async def ask(self, cluster: str, agent: str, key: bytes = b"") -> Sealed:
        order = {"do": "ask", "cluster": cluster, "agent": agent, "key": base64.b64encode(key).decode()}
        made = sealing.carry_out(order)
        return Sealed(base64.b64decode(made["request"]), base64.b64decode(made["key"]))

    async def read(self, certificate: bytes, key: bytes) -> Issued:
        order = {"do": "read"} | {
            name: base64.b64encode(value).decode() for name, value in (("certificate", certificate), ("key", key))
        }
        found = sealing.carry_out(order)
        return Issued(found["name"], found["begins"], found["ends"], found["fits"])


class Agent(Registration):
    """With a hub in memory."""

    def __init__(self, member: Cluster, hub: Cluster) -> None:
        now = lambda: EPOCH + asyncio.get_running_loop().time()  # noqa: E731
        super().__init__(member, NAMESPACE, now=now, seals=Here())  # type: ignore[arg-type]
        self._hub = hub
        self.used: list[str] = []

    @contextlib.asynccontextmanager
    async def _at_hub(self, held: Any, bootstrap: Any) -> AsyncIterator[Any]:
        self.used.append("token" if bootstrap is not None else "certificate")
        yield self._hub


class Site:
    def __init__(self) -> None:
        self.member, self.hub = Cluster(), Cluster()
        self.agent = Agent(self.member, self.hub)

    async def invite(self, cluster: str = "east", agent: str = "a1") -> None:
        """As `fedctl register`."""
        data = stored.bootstrap_data(cluster, agent, "https://hub:6443", CA.certificate, "token")
        path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
        self.member.objects.pop(f"{path}/{names.BOOTSTRAP_SECRET}", None)
        body = {"metadata": {"name": names.BOOTSTRAP_SECRET}, "data": data}
        await self.member.request("POST", path, body=orjson.dumps(body))

    def answer(self, kind: str = "Approved", cluster: str = "east", agent: str = "a1", **life: float) -> None:
        """What the hub says to the newest request; approved ones are signed."""
        request = self.hub.named("certificatesigningrequests")[-1]
        status: dict[str, Any] = {"conditions": [{"type": kind, "status": "True", "message": "so it is"}]}
        if kind == "Approved":
            pem = base64.b64decode(request["spec"]["request"])
            status["certificate"] = base64.b64encode(sign(pem, cluster, agent, **life)).decode()
        request["status"] = status

    @property
    def secret(self) -> dict[str, Any]:
        return self.member.objects[f"/api/v1/namespaces/{NAMESPACE}/secrets/{names.HUB_SECRET}"]

    @property
    def invited(self) -> bool:
        return any(names.BOOTSTRAP_SECRET in path for path in self.member.objects)


def sign(pem: bytes, cluster: str, agent: str, begins: float = 0.0, ends: float = 1000.0) -> bytes:
    csr = x509.load_pem_x509_csr(pem)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names.user(cluster, agent))])
    start, end = (dt.datetime.fromtimestamp(EPOCH + each, dt.UTC) for each in (begins, ends))
    made = x509.CertificateBuilder(name, name, csr.public_key(), 1, start, end)
    key = serialization.load_pem_private_key(CA.key, None)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]


@virtual
async def test_a_first_certificate_is_asked_for_with_the_token_which_does_not_stay() -> None:
    site = Site()
    await site.invite()
    waiting = asyncio.ensure_future(site.agent.first())
    await asyncio.sleep(5)
    assert "waits at the hub for: fedctl accept east" in site.agent.problem
    (request,) = site.hub.named("certificatesigningrequests")
    assert request["metadata"]["labels"] == {names.CLUSTER_LABEL: "east"}
    site.answer()
    endpoint = await waiting
    assert (endpoint.server, site.agent.problem) == ("https://hub:6443", "")
    assert endpoint.trust.ca == CA.certificate
    assert certificates.fits(endpoint.trust.certificate or b"", endpoint.trust.key or b"")
    assert not site.invited
    assert b"PRIVATE KEY" not in orjson.dumps(site.hub.objects), "the key never leaves the member"
    assert not [each for each in site.secret["data"] if each.startswith("pending")]


@virtual
async def test_an_agent_that_is_killed_while_it_waits_waits_for_the_same_answer() -> None:
    site = Site()
    await site.invite()
    first = asyncio.ensure_future(site.agent.first())
    await asyncio.sleep(5)
    first.cancel()
    again = Agent(site.member, site.hub)
    waiting = asyncio.ensure_future(again.first())
    await asyncio.sleep(5)
    assert len(site.hub.named("certificatesigningrequests")) == 1
    site.answer()
    await waiting


@virtual
async def test_an_agent_that_is_killed_between_its_key_and_its_request_makes_the_request() -> None:
    site = Site()
    await site.invite()
    site.hub.failure = Failure(FailureKind.UNREACHABLE, "the hub is away")
    first = asyncio.ensure_future(site.agent.first())
    await asyncio.sleep(1)
    first.cancel()
    site.hub.failure = None
    key = site.secret["data"]["pending.key"]
    again = Agent(site.member, site.hub)
    waiting = asyncio.ensure_future(again.first())
    await asyncio.sleep(5)
    site.answer()
    assert base64.b64decode(key) == (await waiting).trust.key


@virtual
async def test_a_request_that_the_hub_has_forgotten_is_made_again() -> None:
    """The hub's cleaner deletes what nobody has decided within a day."""
    site = Site()
    await site.invite()
    waiting = asyncio.ensure_future(site.agent.first())
    await asyncio.sleep(5)
    site.hub.objects.clear()
    await asyncio.sleep(5)
    site.answer()
    await waiting


@pytest.mark.parametrize("kind", ["Denied", "Failed"])
def test_one_that_was_refused_is_not_made_again(kind: str) -> None:
    @virtual
    async def run() -> None:
        site = Site()
        await site.invite()
        waiting = asyncio.ensure_future(site.agent.first())
        await asyncio.sleep(5)
        site.answer(kind)
        with capture_logs() as logs:
            await asyncio.sleep(600)
        assert any("so it is" in each.get("reason", "") for each in logs)
        assert len(site.hub.named("certificatesigningrequests")) == 1
        assert not site.invited
        assert "fedctl token create" in site.agent.problem
        waiting.cancel()

    run()


@virtual
async def test_it_is_renewed_with_the_certificate_and_whoever_uses_it_is_told() -> None:
    site = Site()
    await site.invite()
    waiting = asyncio.ensure_future(site.agent.first())
    await asyncio.sleep(5)
    site.answer()
    before = await waiting
    followed: list[Endpoint] = []

    async def follow(endpoint: Endpoint) -> None:
        followed.append(endpoint)

    serving = asyncio.ensure_future(site.agent.serve(follow))
    await asyncio.sleep(700)
    assert len(site.hub.named("certificatesigningrequests")) == 1
    await asyncio.sleep(160)
    assert len(site.hub.named("certificatesigningrequests")) == 2
    assert site.agent.used[-1] == "certificate"
    site.answer(begins=850.0, ends=1850.0)
    await asyncio.sleep(30)
    (now,) = followed
    assert now.trust.key not in (None, before.trust.key), "a new key each time"
    assert site.agent.held.ends == EPOCH + 1850
    serving.cancel()


@virtual
async def test_a_certificate_that_ends_while_the_hub_is_away_is_told_with_the_remedy() -> None:
    site = Site()
    await site.invite()
    waiting = asyncio.ensure_future(site.agent.first())
    await asyncio.sleep(5)
    site.answer()
    await waiting
    followed: list[Endpoint] = []

    async def follow(endpoint: Endpoint) -> None:
        followed.append(endpoint)

    serving = asyncio.ensure_future(site.agent.serve(follow))
    site.hub.failure = Failure(FailureKind.UNREACHABLE, "the hub is away")
    with capture_logs() as logs:
        await asyncio.sleep(2000)
    site.hub.failure = None
    assert "ended at 2027-01-15T08:16:40Z" in site.agent.problem
    assert "fedctl token create" in site.agent.problem
    assert len([each for each in logs if "ended at" in each.get("reason", "")]) == 1, "once"
    await site.invite()
    await asyncio.sleep(30)
    site.answer(begins=2000.0, ends=3000.0)
    await asyncio.sleep(30)
    assert (len(followed), site.agent.problem) == (1, "")
    serving.cancel()


@virtual
async def test_a_certificate_that_was_not_asked_for_is_not_used() -> None:
    site = Site()
    await site.invite()
    waiting = asyncio.ensure_future(site.agent.first())
    await asyncio.sleep(5)
    site.answer(cluster="west")
    await asyncio.sleep(60)
    assert not waiting.done()
    assert "which was not asked for" in site.agent.problem
    waiting.cancel()


@virtual
async def test_two_agents_of_one_cluster_make_one_certificate() -> None:
    """Replicas: who is later sees that the Secret has changed, and takes what is there."""
    site = Site()
    await site.invite()
    other = Agent(site.member, site.hub)
    both = [asyncio.ensure_future(each.first()) for each in (site.agent, other)]
    await asyncio.sleep(20)
    site.answer()
    endpoints = await asyncio.gather(*both)
    assert endpoints[0].trust == endpoints[1].trust
    assert len(site.hub.named("certificatesigningrequests")) == 1


async def test_keys_are_made_in_another_process() -> None:
    """Which alone imports cryptography."""
    sealed = await sealing.ask("east", "a1")
    assert (await sealing.ask("east", "a1", sealed.key)).key == sealed.key
    found = await sealing.read(sign(sealed.request, "east", "a1", begins=0.0, ends=1000.0), sealed.key)
    assert found == Issued(names.user("east", "a1"), EPOCH, EPOCH + 1000, fits=True)
    assert "PRIVATE" not in repr(sealed)
    with pytest.raises(Unusable, match="certificate cannot be read"):
        await sealing.read(b"x", sealed.key)
    code = "import sys; import federation.agent.registered; sys.exit('cryptography' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
