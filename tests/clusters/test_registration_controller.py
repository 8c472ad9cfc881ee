"""The controller's part of registration at a real hub, with nothing but its own service account's rights."""

import asyncio

from federation.joining import invitations
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, LEASES, ROLE_BINDINGS
from federation.registration import certificates, grants, heartbeats, names
from tests.clusters import registering
from tests.clusters.fleets import Fleet
from tests.clusters.harness import Api, condition, eventually
from tests.clusters.registering import Agent


async def test_a_token_accepts_and_its_agent_renews(fleet: Fleet, host: Api) -> None:
    name = registering.cluster_name()
    made = await registering.token(fleet, name)
    key, certificate = await _registered(fleet, host, made, name, "a1")
    hub = fleet.playground.clusters["host"]
    async with Agent(hub, certificate, key) as agent:
        fresh = certificates.new_key()
        renewed = await registering.ask(agent, name, "a1", fresh, expirationSeconds=600)
        assert isinstance(renewed, str)
        again = await eventually(lambda: registering.issued(agent, renewed), within=60.0)
        assert certificates.fits(again, fresh)
        assert (certificates.issued(again).ends - certificates.issued(again).begins).total_seconds() < 1000
        # The same name asked by another key's bearer, another's name, and a longer name: none is approved.
        other = registering.cluster_name()
        for cluster, who in ((other, "a1"), (name, "a2")):
            assert isinstance(await registering.ask(agent, cluster, who, key), str)
    async with Agent(hub, again, fresh) as agent:
        assert (await registering.allowed(agent, name)) > registering.ASKING | registering.EVERYBODY
    await asyncio.sleep(3.0)
    assert await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, other) is None
    refusals = fleet.controller.log.count("certificate refused")
    assert refusals >= 2


async def test_what_a_token_does_not_name_waits(fleet: Fleet, host: Api) -> None:
    name, other = registering.cluster_name(), registering.cluster_name()
    made = await registering.token(fleet, name)
    async with Api(fleet.playground.clusters["host"], token=registering.bearer(made)) as holder:
        waits = await registering.ask(holder, other, "a1", certificates.new_key())
        taken = await registering.ask(holder, "kube-system", "a1", certificates.new_key())
        accepted = await registering.ask(holder, name, "a1", certificates.new_key())
        assert isinstance(waits, str)
        assert isinstance(taken, str)
        assert isinstance(accepted, str)
        await eventually(lambda: registering.issued(host, accepted), within=60.0)
        second = await registering.ask(holder, name, "a2", certificates.new_key())
        assert isinstance(second, str)
        await asyncio.sleep(3.0)
        for asked in (waits, taken, second):
            assert await registering.issued(host, asked) == b""
    found = await host.get(ROLE_BINDINGS, name, grants.AGENT_ROLE)
    assert found is not None
    assert [each["name"] for each in found["subjects"]] == [names.user(name, "a1")]


async def test_without_its_role_binding_no_agent_renews(fleet: Fleet, host: Api) -> None:
    """A person's way to shut out a cluster at once, whatever else is recorded of it."""
    name = registering.cluster_name()
    key, certificate = await _registered(fleet, host, await registering.token(fleet, name), name, "a1")
    await host.delete(ROLE_BINDINGS, name, grants.AGENT_ROLE)
    async with Agent(fleet.playground.clusters["host"], certificate, key) as agent:
        asked = await registering.ask(agent, name, "a1", key)
        assert isinstance(asked, str)
        await asyncio.sleep(5.0)
        assert await registering.issued(agent, asked) == b""


async def test_a_cluster_is_ready_while_its_agent_beats(fleet: Fleet, host: Api) -> None:
    name = registering.cluster_name()
    key, certificate = await _registered(fleet, host, await registering.token(fleet, name), name, "a1")

    async def is_ready(status: str) -> bool:
        found = await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, name)
        return condition(found, "Ready").get("status") == status

    await eventually(lambda: is_ready("Unknown"), within=60.0)
    async with Agent(fleet.playground.clusters["host"], certificate, key) as agent:
        now = asyncio.get_running_loop().time()  # any time that changes is a beat
        lease = {
            "metadata": {"name": names.LEASE, "annotations": {heartbeats.VERSION_ANNOTATION: "v1.36.3"}},
            "spec": heartbeats.spec("a1", 1.0, seconds=1),
        }
        await agent.create(LEASES, lease, name)

        async def beats() -> bool:
            nonlocal now
            now += 1
            await agent.patch(LEASES, name, names.LEASE, {"spec": heartbeats.spec("a1", now, seconds=1)})
            return await is_ready("True")

        await eventually(beats, within=60.0, every=0.5)
    found = await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, name)
    assert found is not None
    assert found["status"]["kubernetesVersion"] == "v1.36.3"
    await eventually(lambda: is_ready("Unknown"), within=60.0)
    found = await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, name)
    assert "has not been heard since" in condition(found, "Ready")["message"]


async def _registered(fleet: Fleet, host: Api, made: invitations.Made, cluster: str, agent: str) -> tuple[bytes, bytes]:
    """Key and certificate of an agent that its token has accepted."""
    key = certificates.new_key()
    async with Api(fleet.playground.clusters["host"], token=registering.bearer(made)) as holder:
        asked = await registering.ask(holder, cluster, agent, key)
        assert isinstance(asked, str)
        return key, await eventually(lambda: registering.issued(host, asked), within=60.0)
