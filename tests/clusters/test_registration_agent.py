"""A cluster registers by one command, and its agent keeps its place at the hub: a real process, with its own rights."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.core import times
from federation.joining import agents, fences, invitations, setup, unregistering
from federation.joining import registering as registration
from federation.joining.contexts import Contexts
from federation.joining.errors import Refused
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import (
    CERTIFICATE_REQUESTS,
    KUBEFED_CLUSTERS,
    NAMESPACES,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    ObjectName,
)
from federation.playground import pki
from federation.registration import asking, certificates, grants, names, stored
from federation.registration import invitations as words
from tests.clusters import registering, steps
from tests.clusters.fleets import Fleet
from tests.clusters.harness import CONFIGMAPS, Api, condition, eventually
from tests.clusters.registering import Agent, Edge


@pytest.fixture
async def edge(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Edge]:
    async with Edge(fleet, tmp_path) as made:
        yield made


async def test_one_command_then_accept_then_a_heartbeat(edge: Edge, fleet: Fleet) -> None:
    made = await registering.token(fleet)
    plan = await edge.register(made)
    await edge.start(ready=False)
    await eventually(edge.asks, within=60.0)
    waits = f"waits at the hub for: fedctl accept {edge.cluster}"
    await eventually(lambda: _said(edge, waits), within=60.0)
    assert waits in (await asyncio.to_thread(edge.agent.health, "/readyz"))[1]
    assert await edge.secret(names.BOOTSTRAP_SECRET) is not None
    await edge.accept()
    await eventually(edge.is_ready, within=60.0)
    await asyncio.to_thread(edge.agent.wait_ready)
    found = await edge.host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, edge.cluster)
    assert found is not None
    assert found["metadata"]["annotations"][grants.AGENT_ANNOTATION] == plan.agent
    assert found["status"]["kubernetesVersion"].startswith("v1.")
    assert f"its agent {plan.agent} reports" in condition(found, "Ready")["message"]
    assert await edge.secret(names.BOOTSTRAP_SECRET) is None, "the token is not left lying about"
    await _holds_no_key(edge)


async def test_what_is_wanted_at_the_hub_is_applied_by_an_agent_that_registered(edge: Edge, fleet: Fleet) -> None:
    """The whole way: one command, a token that accepts, a work of somebody, an object in the member."""
    await edge.register(await registering.token(fleet, edge.cluster), types=("configmaps",))
    await edge.start()
    await eventually(edge.is_ready, within=60.0)
    await _work(edge)

    async def applied() -> bool:
        return await _holds(edge)

    await eventually(applied, within=60.0)
    leaving = unregistering.Leaving(edge.cluster, SYSTEM_NAMESPACE, edge.namespace)
    async with Contexts(str(fleet.playground.kubeconfig)) as contexts:
        host, member = await contexts.open("host"), await contexts.open("m3")
        left = await unregistering.unregister(host, member, leaving, setup.quiet)
    assert left.records, "they own what stays"
    await asyncio.sleep(3.0)
    assert await applied(), "nothing that was placed there goes with the cluster"
    for name in left.records:
        await edge.member.delete(unregistering.RECORDS, "", name)


async def _work(edge: Edge) -> None:
    """Somebody's work for the cluster: one object in the member."""
    metadata = {"name": "from-the-hub", "namespace": edge.namespace}
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}
    kind = {"apiVersion": unregistering.WORKS.api_version, "kind": unregistering.WORKS.kind}
    work = {**kind, "metadata": {"name": "one"}, "spec": {"workload": {"manifests": [wanted]}}}
    await edge.host.create(unregistering.WORKS, work, edge.cluster)


async def _holds(edge: Edge) -> bool:
    """Whether the member has it as the work says."""
    found = await edge.member.get(CONFIGMAPS, edge.namespace, "from-the-hub")
    return found is not None and found["data"] == {"a": "1"}


async def _holds_no_key(edge: Edge) -> None:
    """The member's key is nowhere at the hub, nor in a log."""
    secret = await edge.secret()
    assert secret is not None
    key = asking._bytes(secret["data"]["tls.key"]).decode()
    core = "".join(key.splitlines()[1:-1])[20:80]
    requests = str(await edge.host.items(CERTIFICATE_REQUESTS))
    secrets = str(await edge.host.items(SECRETS))
    for where in (requests, secrets, edge.agent.log):
        assert core not in where
        assert "PRIVATE KEY" not in where


async def test_a_certificate_is_renewed_before_it_ends_and_the_agent_goes_on(edge: Edge, fleet: Fleet) -> None:
    await edge.register(await registering.token(fleet, edge.cluster))
    await edge.start()
    await eventually(edge.is_ready, within=60.0)
    before = await edge.secret()
    assert before is not None
    # As if four fifths of its life were over; that of a real one is a year.
    ends = times.moment(before["metadata"]["annotations"][stored.ENDS_ANNOTATION])
    assert ends is not None
    patch = {"metadata": {"annotations": {stored.BEGINS_ANNOTATION: "2000-01-01T00:00:00Z"}}}
    await edge.member.patch(SECRETS, edge.namespace, names.HUB_SECRET, patch)

    async def renewed() -> bool:
        now = await edge.secret()
        return now is not None and now["data"]["tls.crt"] != before["data"]["tls.crt"]

    await eventually(renewed, within=90.0)
    after = await edge.secret()
    assert after is not None
    assert after["data"]["tls.key"] != before["data"]["tls.key"]
    start = fleet.controller.log.count("agent silent")
    await asyncio.sleep(6.0)
    assert await edge.is_ready()
    assert fleet.controller.log.count("agent silent") == start


async def test_a_link_that_is_cut_is_silence_and_then_it_is_heard_again(edge: Edge, fleet: Fleet) -> None:
    await edge.register(await registering.token(fleet, edge.cluster))
    await edge.start()
    await eventually(edge.is_ready, within=60.0)
    await edge.relay.cut()
    await eventually(lambda: edge.is_ready("Unknown"), within=60.0)
    found = await edge.host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, edge.cluster)
    assert "has not been heard since" in condition(found, "Ready")["message"]
    assert condition(found, "Offline")["status"] == "True"
    edge.agent.kill()
    await edge.start()  # with its hub away: what it had fetched is carried out nevertheless
    await edge.relay.mend()
    await eventually(edge.is_ready, within=90.0)


async def test_a_member_whose_api_server_hangs_is_told_by_its_agent(edge: Edge, fleet: Fleet) -> None:
    """The agent lives and reaches the hub: it says what the hub cannot see."""
    await edge.register(await registering.token(fleet, edge.cluster))
    await edge.start()
    await eventually(edge.is_ready, within=60.0)
    fleet.playground.pause(edge.context)
    try:
        await eventually(lambda: edge.is_ready("False"), within=90.0)
    finally:
        fleet.playground.resume(edge.context)
    found = await edge.host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, edge.cluster)
    assert "reports that the cluster's API server is not well" in condition(found, "Ready")["message"]
    assert condition(found, "Offline")["status"] == "False"
    await eventually(edge.is_ready, within=60.0)


async def test_a_certificate_that_ended_while_cut_off_is_told_with_the_remedy(edge: Edge, fleet: Fleet) -> None:
    plan = await edge.register(await registering.token(fleet, edge.cluster), types=("configmaps",))
    await edge.start()
    await eventually(edge.is_ready, within=60.0)
    await _work(edge)
    await eventually(lambda: _holds(edge), within=60.0)
    assert await asyncio.to_thread(edge.agent.stop) == 0
    await edge.relay.cut()
    ended = {"metadata": {"annotations": {stored.ENDS_ANNOTATION: "2001-01-01T00:00:00Z"}}}
    await edge.member.patch(SECRETS, edge.namespace, names.HUB_SECRET, ended)
    await edge.start()
    await eventually(lambda: _said(edge, "ended at 2001-01-01T00:00:00Z"), within=60.0)
    assert "fedctl token create" in edge.agent.log
    await edge.member.patch(CONFIGMAPS, edge.namespace, "from-the-hub", {"data": {"a": "somebody"}})
    await eventually(lambda: _holds(edge), within=60.0)  # what is in the member is kept as it was wanted
    await edge.relay.mend()
    again = await edge.register(await registering.token(fleet), types=("configmaps",))
    assert again.agent == plan.agent, "the same agent asks"
    await edge.accept()

    async def replaced() -> bool:
        held = stored.read(await edge.secret())
        return held.ends > 1e9 and await edge.secret(names.BOOTSTRAP_SECRET) is None

    await eventually(replaced, within=60.0)


async def _said(edge: Edge, text: str) -> bool:
    return text in edge.agent.log


async def test_a_hub_that_is_not_the_pinned_one_gets_no_token(edge: Edge, fleet: Fleet) -> None:
    made = await registering.token(fleet)
    invitation = words.decode(made.word)
    other = pki.authority("somebody else").certificate
    (pin,) = certificates.pins(other)
    wanted = registration.Wanted(edge.cluster, edge.relay.url, invitation, (pin,), edge.namespace)
    with pytest.raises(Refused, match="has this --ca-hash"):
        await registration.register(edge.member.connection, wanted, setup.quiet)
    forged = words.Invitation(invitation.bearer, other, invitation.types, invitation.namespace)
    wanted = registration.Wanted(edge.cluster, edge.relay.url, forged, (pin,), edge.namespace)
    with pytest.raises(Refused, match="is not the hub that the token is for"):
        await registration.register(edge.member.connection, wanted, setup.quiet)
    assert await edge.member.get(NAMESPACES, "", edge.namespace) is None, "nothing was installed"


async def test_a_token_that_has_ended_is_told_before_anything_is_installed(edge: Edge, fleet: Fleet) -> None:
    made = await registering.token(fleet)
    async with Contexts(str(fleet.playground.kubeconfig)) as contexts:
        connection = await contexts.open("host")
        await invitations.delete(connection, SYSTEM_NAMESPACE, [made.name], setup.quiet)

    async def refused() -> bool:
        try:
            await edge.register(made)
        except Refused as error:
            return "does not accept the token" in str(error)
        return False

    await eventually(refused, within=60.0, every=2.0)


async def test_the_agent_in_its_member_has_the_enabled_types_and_its_namespace(edge: Edge, fleet: Fleet) -> None:
    """It writes what the federation federates; it reads no Secret of others unless Secrets are federated."""
    await edge.register(await registering.token(fleet), types=("configmaps", "deployments.apps"))
    assert await edge.member.get(SERVICE_ACCOUNTS, edge.namespace, "work-agent") is not None
    token = edge.config.read_text().partition("token: ")[2].split()[0].strip('"')
    async with Api(fleet.playground.clusters["m3"], token=token) as agent:
        elsewhere = {each[:2] for each in await registering.allowed(agent, "default")}
        within = {each[:2] for each in await registering.allowed(agent, edge.namespace)}
    everybody = {each[:2] for each in registering.EVERYBODY}
    assert elsewhere - everybody == {
        ("", "configmaps"),
        ("apps", "deployments"),
        ("authorization.k8s.io", "subjectaccessreviews"),
        ("work.open-cluster-management.io", "appliedmanifestworks"),
        ("work.open-cluster-management.io", "appliedmanifestworks/status"),
    }
    assert within - elsewhere == {("", "secrets"), ("coordination.k8s.io", "leases")}


async def test_a_fence_holds_whatever_the_hub_asks(edge: Edge, fleet: Fleet) -> None:
    fenced = f"{edge.namespace}-fenced"
    await edge.member.create(NAMESPACES, {"metadata": {"name": fenced}})
    try:
        made = await registering.token(fleet)
        with pytest.raises(Refused, match="the agent's own namespace"):
            await edge.register(made, fence=(edge.namespace,))
        await edge.register(made, types=("configmaps",), fence=(fenced,))
        token = edge.config.read_text().partition("token: ")[2].split()[0].strip('"')
        some = {"metadata": {"generateName": "a"}}
        async with Api(fleet.playground.clusters["m3"], token=token) as agent:

            async def holds() -> bool:
                why = await steps.attempt(agent, CONFIGMAPS, fenced, some)
                return "is fenced off from namespace" in why

            await eventually(holds)
            assert await steps.attempt(agent, CONFIGMAPS, edge.namespace, some) == ""
            await edge.register(made, types=("configmaps",))  # which says nothing of a fence
            assert await holds()
            await edge.register(made, types=("configmaps",), fence=())

            async def ended() -> bool:
                return await steps.attempt(agent, CONFIGMAPS, fenced, some) == ""

            await eventually(ended)
    finally:
        for resource, name in fences.traces(ObjectName(edge.namespace, agents.ACCOUNT)):
            await edge.member.delete(resource, "", name.name)
        await edge.member.delete(NAMESPACES, "", fenced)


async def test_unregister_ends_the_access_first_and_says_what_stays(edge: Edge, fleet: Fleet) -> None:
    await edge.register(await registering.token(fleet, edge.cluster))
    await edge.start()
    await eventually(edge.is_ready, within=60.0)
    secret = await edge.secret()
    assert secret is not None
    key, certificate = (asking._bytes(secret["data"][each]) for each in ("tls.key", "tls.crt"))
    said: list[str] = []
    leaving = unregistering.Leaving(edge.cluster, SYSTEM_NAMESPACE, edge.namespace)
    async with Contexts(str(fleet.playground.kubeconfig)) as contexts:
        host, member = await contexts.open("host"), await contexts.open("m3")
        await unregistering.unregister(host, member, leaving, said.append)
    assert "rolebinding" in said[[each.startswith("host: ") for each in said].index(True)], said
    assert await edge.host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, edge.cluster) is None
    assert await edge.secret() is None
    async with Agent(fleet.playground.clusters["host"], certificate, key) as former:

        async def powerless() -> bool:
            may = await registering.allowed(former, edge.cluster)
            return may == registering.ASKING | registering.EVERYBODY

        await eventually(powerless)
        asked = await registering.ask(former, edge.cluster, edge.cluster[5:], key)
        assert isinstance(asked, str)
        await asyncio.sleep(3.0)
        assert await registering.issued(former, asked) == b""


async def test_a_lost_cluster_is_let_go_of_by_force(edge: Edge, fleet: Fleet) -> None:
    await edge.register(await registering.token(fleet, edge.cluster))
    await edge.start()
    await eventually(edge.is_ready, within=60.0)
    edge.agent.kill()
    lost = Refused("m3 does not answer")
    leaving = unregistering.Leaving(edge.cluster, SYSTEM_NAMESPACE, edge.namespace)
    async with Contexts(str(fleet.playground.kubeconfig)) as contexts:
        host = await contexts.open("host")
        with pytest.raises(Refused, match="does not answer"):
            await unregistering.unregister(host, lost, leaving, setup.quiet)
        assert await edge.host.get(ROLE_BINDINGS, edge.cluster, grants.AGENT_ROLE) is not None
        forced = unregistering.Leaving(edge.cluster, SYSTEM_NAMESPACE, edge.namespace, force=True)
        left = await unregistering.unregister(host, lost, forced, setup.quiet)
    assert left.reason == "m3 does not answer"
    assert f"secret {ObjectName(edge.namespace, names.HUB_SECRET)}" in left.objects
    assert await edge.host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, edge.cluster) is None
