"""Registration at a real hub: what a bootstrap token, an accepted agent and a stolen token can do, and cannot."""

import asyncio
import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from federation.joining import accepting, invitations, requests, setup
from federation.joining.accepting import Wanted
from federation.joining.contexts import Contexts
from federation.joining.errors import Refused
from federation.kube.connection import MERGE_PATCH
from federation.model.failures import Failure, FailureKind
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import (
    CERTIFICATE_REQUESTS,
    EVENTS,
    KUBEFED_CLUSTERS,
    LEASES,
    NAMESPACES,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from federation.registration import certificates, grants, heartbeats, names
from tests.clusters import registering
from tests.clusters.fleets import Fleet
from tests.clusters.harness import Api, eventually
from tests.clusters.registering import Agent

WORKS = Resource("work.open-cluster-management.io", "v1", "ManifestWork", "manifestworks", True)


async def test_a_token_can_ask_and_nothing_else(fleet: Fleet, host: Api) -> None:
    made = await registering.token(fleet)
    async with Api(fleet.playground.clusters["host"], token=registering.bearer(made)) as holder:
        for namespace in (SYSTEM_NAMESPACE, registering.HOME, "kube-system", "default"):
            may = await registering.allowed(holder, namespace)
            assert may == registering.ASKING | registering.EVERYBODY, namespace
        name = await registering.ask(holder, "edge-ask", "a1", certificates.new_key())
        assert isinstance(name, str)
        itself = CERTIFICATE_REQUESTS.collection()
        assert await registering.refused(holder, "GET", itself), "a list would show who else asks"
        assert await registering.refused(holder, "DELETE", f"{itself}/{name}")
        approval = {"status": grants.approved("me", "2026-01-01T00:00:00Z")}
        patch = {"content_type": MERGE_PATCH}
        assert await registering.refused(holder, "PATCH", f"{itself}/{name}/approval", approval, **patch)
        assert await registering.refused(holder, "PATCH", f"{itself}/{name}/status", approval, **patch)
        assert await registering.refused(holder, "GET", SECRETS.collection(SYSTEM_NAMESPACE))
        account = registering.path(SERVICE_ACCOUNTS, registering.HOME, made.name)
        assert await registering.refused(holder, "POST", f"{account}/token", {"kind": "TokenRequest"}), "a longer one"
        cluster = {"metadata": {"name": "edge-ask"}, "spec": {"syncMode": "Pull"}}
        assert await registering.refused(holder, "POST", KUBEFED_CLUSTERS.collection(SYSTEM_NAMESPACE), cluster)
    assert await registering.issued(host, name) == b""


async def test_a_token_that_was_ended_asks_nothing(fleet: Fleet) -> None:
    """One that is stolen: whoever finds out ends it, and what it was used for still waits for a person."""
    made = await registering.token(fleet)
    async with Api(fleet.playground.clusters["host"], token=registering.bearer(made)) as thief:
        key = certificates.new_key()
        asked = await registering.ask(thief, "edge-stolen", "a1", key)
        assert isinstance(asked, str)
        async with Contexts(str(fleet.playground.kubeconfig)) as contexts:
            connection = await contexts.open("host")
            await invitations.delete(connection, SYSTEM_NAMESPACE, [made.name], setup.quiet)
            assert made.name not in {
                each.rule.token for each in await invitations.listing(connection, SYSTEM_NAMESPACE)
            }
            with pytest.raises(Refused, match="there is no token"):
                await invitations.delete(connection, SYSTEM_NAMESPACE, [made.name], setup.quiet)

        async def ended() -> bool:
            answer = await registering.ask(thief, "edge-stolen", "a1", key)
            return isinstance(answer, Failure) and answer.kind is FailureKind.UNAUTHORIZED

        await eventually(ended, within=60.0)


async def test_an_accepted_agent_has_its_own_namespace_and_nothing_else(fleet: Fleet, host: Api) -> None:
    one, other = registering.cluster_name(), registering.cluster_name()
    made = await registering.token(fleet)
    key, certificate = await _accepted(fleet, made, one, "a1")
    other_key, other_certificate = await _accepted(fleet, made, other, "b1")
    found = await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, one)
    assert found is not None
    assert found["spec"] == {"syncMode": "Pull"}
    assert found["metadata"]["annotations"][grants.AGENT_ANNOTATION] == "a1"
    hub = fleet.playground.clusters["host"]
    async with Agent(hub, certificate, key) as agent, Agent(hub, other_certificate, other_key) as neighbour:
        within = {
            *((WORKS.group, "manifestworks", "", verb) for verb in ("get", "list", "watch", "update", "patch")),
            *((WORKS.group, "manifestworks/status", "", verb) for verb in ("get", "update", "patch")),
            *((LEASES.group, "leases", names.LEASE, verb) for verb in ("get", "update", "patch")),
            (LEASES.group, "leases", "", "create"),
            *((group, "events", "", verb) for group in ("", "events.k8s.io") for verb in ("create", "patch", "update")),
            ("register.open-cluster-management.io", "managedclusters/clientcertificates", "", "renew"),
        }
        may = registering.ASKING | registering.EVERYBODY
        assert await registering.allowed(agent, one) == may | within
        assert await registering.allowed(agent, SYSTEM_NAMESPACE) == may | {
            (KUBEFED_CLUSTERS.group, "kubefedclusters", one, "get")
        }
        for namespace in (other, "default", "kube-system", registering.HOME):
            assert await registering.allowed(agent, namespace) == may, namespace
        await _tries(agent, one, other)
        lease = {"metadata": {"name": names.LEASE}, "spec": heartbeats.spec("a1", 1.0)}
        await agent.create(LEASES, lease, one)
        assert await registering.refused(neighbour, "GET", registering.path(LEASES, one, names.LEASE))


async def _tries(agent: Api, one: str, other: str) -> None:
    """Each line that it must not cross, tried and not only read from a list."""
    patch = {"content_type": MERGE_PATCH}
    lease = {"metadata": {"name": names.LEASE}, "spec": heartbeats.spec("a1", 1.0)}
    assert await registering.refused(agent, "POST", LEASES.collection(other), lease)
    assert await registering.refused(agent, "GET", WORKS.collection(other))
    assert await registering.refused(agent, "GET", WORKS.collection())
    assert await registering.refused(agent, "GET", SECRETS.collection(one)), "not in its own namespace either"
    assert await registering.refused(agent, "GET", SECRETS.collection(SYSTEM_NAMESPACE))
    own, its = (registering.path(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, each) for each in (one, other))
    assert (await agent.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, one)) is not None
    assert await registering.refused(agent, "PATCH", own, {"spec": {"syncMode": "Push"}}, **patch)
    assert await registering.refused(agent, "PATCH", f"{own}/status", {"status": {}}, **patch)
    assert await registering.refused(
        agent, "PATCH", own, {"metadata": {"annotations": {"kubefed.io/agent": "x"}}}, **patch
    )
    assert await registering.refused(agent, "GET", its)
    assert await registering.refused(agent, "DELETE", registering.path(NAMESPACES, "", one))
    assert await registering.refused(agent, "POST", EVENTS.collection(other), {"metadata": {"name": "x"}})
    binding = registering.path(ROLE_BINDINGS, one, grants.AGENT_ROLE)
    assert await registering.refused(agent, "PATCH", binding, {"subjects": []}, **patch)


async def test_nobody_gets_anothers_certificate(fleet: Fleet, host: Api) -> None:
    """CVE-2026-4740's way: an agent asks, with its own certificate, for the name of another cluster."""
    one, other = registering.cluster_name(), registering.cluster_name()
    made = await registering.token(fleet)
    key, certificate = await _accepted(fleet, made, one, "a1")
    await _accepted(fleet, made, other, "b1")
    async with Agent(fleet.playground.clusters["host"], certificate, key) as agent:
        asked = await registering.ask(agent, other, "b1", key)
        assert isinstance(asked, str), "asking is no crime"
        approval = {"status": grants.approved("me", "2026-01-01T00:00:00Z")}
        path = f"{CERTIFICATE_REQUESTS.collection()}/{asked}/approval"
        assert await registering.refused(agent, "PATCH", path, approval, content_type=MERGE_PATCH)
        async with Contexts(str(fleet.playground.kubeconfig)) as contexts:
            connection = await contexts.open("host")
            with pytest.raises(Refused, match="asks for a certificate of"):
                await accepting.accept(connection, Wanted(other, SYSTEM_NAMESPACE, replace=True), setup.quiet)
            found = {each.request.name: each for each in await requests.read(connection, SYSTEM_NAMESPACE, other)}
            assert not found[asked].waits
        await asyncio.sleep(1.0)
        assert await registering.issued(host, asked) == b""


async def test_a_certificate_that_has_ended_opens_nothing(fleet: Fleet) -> None:
    """Signed by the hub's own CA, for an agent that was accepted: as one is that was cut off for a year."""
    name = registering.cluster_name()
    key, good = await _accepted(fleet, await registering.token(fleet), name, "a1")
    ca = fleet.playground.ca
    issuer = x509.load_pem_x509_certificate(ca.certificate).subject
    now = dt.datetime.now(dt.UTC)
    found = x509.load_pem_x509_certificate(good)
    ended = x509.CertificateBuilder(
        issuer, found.subject, found.public_key(), 7, now - dt.timedelta(days=2), now - dt.timedelta(minutes=1)
    )
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    signer = serialization.load_pem_private_key(ca.key, None)
    made = ended.add_extension(usage, critical=False).sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    hub = fleet.playground.clusters["host"]
    async with Agent(hub, made.public_bytes(serialization.Encoding.PEM), key) as agent:
        refusal = await registering.ask(agent, name, "a1", key)
        assert isinstance(refusal, Failure)
        assert refusal.kind is FailureKind.UNAUTHORIZED
    async with Agent(hub, good, key) as agent:
        assert isinstance(await registering.ask(agent, name, "a1", key), str)


async def test_a_second_agent_under_the_name_waits_for_a_person(fleet: Fleet, host: Api) -> None:
    name = registering.cluster_name()
    made = await registering.token(fleet, name)
    key, certificate = await _accepted(fleet, made, name, "first")
    second_key = certificates.new_key()
    async with Api(fleet.playground.clusters["host"], token=registering.bearer(made)) as holder:
        second = await registering.ask(holder, name, "second", second_key)
        assert isinstance(second, str)
    with pytest.raises(Refused, match="was accepted with agent first"):
        await registering.accept(fleet, name)
    assert await registering.issued(host, second) == b""
    await registering.accept(fleet, name, replace=True)
    hub = fleet.playground.clusters["host"]
    async with (
        Agent(hub, certificate, key) as before,
        Agent(hub, await registering.issued(host, second), second_key) as now,
    ):
        assert (await registering.allowed(now, name)) > registering.ASKING | registering.EVERYBODY

        async def cut_off() -> bool:
            return await registering.allowed(before, name) == registering.ASKING | registering.EVERYBODY

        await eventually(cut_off)


async def test_two_that_ask_for_a_free_name_are_told_apart(fleet: Fleet) -> None:
    name = registering.cluster_name()
    made = await registering.token(fleet)
    async with Api(fleet.playground.clusters["host"], token=registering.bearer(made)) as holder:
        for agent in ("first", "second"):
            assert isinstance(await registering.ask(holder, name, agent, certificates.new_key()), str)
    with pytest.raises(Refused, match="2 agents ask"):
        await registering.accept(fleet, name)
    await registering.accept(fleet, name, agent="first")


@pytest.mark.parametrize("taken", ["namespace", "push"])
def test_nothing_is_taken_over(fleet: Fleet, taken: str) -> None:
    asyncio.run(_nothing_is_taken_over(fleet, taken))


async def _nothing_is_taken_over(fleet: Fleet, taken: str) -> None:
    """A namespace of the hub's users has Secrets that an agent would not read, and works that it would."""
    name = registering.cluster_name() if taken == "namespace" else "m1"
    made = await registering.token(fleet)
    async with fleet.api("host") as host:
        if taken == "namespace":
            await host.create(NAMESPACES, {"metadata": {"name": name}})
        async with Api(fleet.playground.clusters["host"], token=registering.bearer(made)) as holder:
            assert isinstance(await registering.ask(holder, name, "a1", certificates.new_key()), str)
        with pytest.raises(Refused, match="was not made for" if taken == "namespace" else "joined in push mode"):
            await registering.accept(fleet, name, replace=True)
        assert await host.get(ROLE_BINDINGS, name, grants.AGENT_ROLE) is None
    with pytest.raises(Refused, match="nobody asks"):
        await registering.accept(fleet, registering.cluster_name())


async def _accepted(fleet: Fleet, made: invitations.Made, cluster: str, agent: str) -> tuple[bytes, bytes]:
    """Key and certificate of an agent that a person accepts."""
    key = certificates.new_key()
    async with Api(fleet.playground.clusters["host"], token=registering.bearer(made)) as holder:
        asked = await registering.ask(holder, cluster, agent, key)
        assert isinstance(asked, str)
        await registering.accept(fleet, cluster)
        certificate = await registering.issued(holder, asked)
        assert certificates.issued(certificate).common_name == names.user(cluster, agent)
        return key, certificate
