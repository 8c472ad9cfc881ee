"""A cordoned cluster on real API servers: nothing is created, changed, corrected or removed there, until it may."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from federation.model.marks import CORDON_ANNOTATION, SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.fleets import Fleet
from tests.clusters.harness import CONFIGMAPS, FEDERATED_CONFIGMAPS, Api, condition, eventually, federated_namespace
from tests.clusters.steps import Federated, cluster_condition, create, gone, holds, make

pytestmark = pytest.mark.usefixtures("mode")

DATA = {"data": {"a": "b"}}


async def cordon(host: Api, value: str | None) -> None:
    mark = {"metadata": {"annotations": {CORDON_ANNOTATION: value}}}
    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m1", mark)


@pytest.fixture
async def uncordoned(host: Api) -> AsyncIterator[None]:
    """m1 is not cordoned after the test, however that ends."""
    yield
    await cordon(host, None)

    async def over() -> bool:
        return not condition(await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m1"), "Cordoned")

    await eventually(over, within=40.0)


async def test_nothing_moves_in_a_cordoned_cluster(
    host: Api, m1: Api, m2: Api, namespace: str, uncordoned: None
) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    kept, leaving, going = [
        await make(host, FEDERATED_CONFIGMAPS, namespace, name, DATA, clusters=["m1", "m2"])
        for name in ("kept", "leaving", "going")
    ]
    before = {name: await m1.get(CONFIGMAPS, namespace, name) for name in ("kept", "leaving", "going")}
    await cordon(host, "storage upgrade")
    await cluster_condition(host, "m1", "Cordoned", "True", message="storage upgrade")
    await kept.reports("m1", "", "the cluster is cordoned (storage upgrade)")

    late = await create(host, FEDERATED_CONFIGMAPS, namespace, "late", DATA, clusters=["m1", "m2"])
    await late.reports("m1", "ClusterCordoned", "the cluster is cordoned (storage upgrade): nothing is created there")
    await late.reports("m2")
    await kept.patch({"spec": {"template": {"data": {"a": "c"}}}})
    await holds(m2, CONFIGMAPS, namespace, "kept", lambda each: each["data"] == {"a": "c"})
    await kept.reports("m1", "ClusterCordoned")
    await leaving.patch({"spec": {"placement": {"clusters": []}}})
    await gone(m2, CONFIGMAPS, namespace, "leaving")
    await leaving.reports("m1", "ClusterCordoned")
    await going.delete()
    await gone(m2, CONFIGMAPS, namespace, "going")
    await going.reports("m1", "ClusterCordoned")
    assert {name: await m1.get(CONFIGMAPS, namespace, name) for name in before} == before
    assert await m1.get(CONFIGMAPS, namespace, "late") is None

    await cordon(host, None)
    await holds(m1, CONFIGMAPS, namespace, "late")
    await holds(m1, CONFIGMAPS, namespace, "kept", lambda each: each["data"] == {"a": "c"})
    await gone(m1, CONFIGMAPS, namespace, "leaving")
    await going.gone()
    await gone(m1, CONFIGMAPS, namespace, "going")


async def test_drift_stays_until_it_is_uncordoned_by_fedctl(
    fleet: Fleet, host: Api, m1: Api, namespace: str, uncordoned: None
) -> None:
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=["m1"])

    async def run(*arguments: str) -> Ran:
        host = ("--kubeconfig", str(fleet.playground.kubeconfig), "--host-cluster-context", "host")
        return await asyncio.to_thread(fedctl, *arguments, *host)

    assert (await run("cordon", "m1", "nobody")).code != 0, "there is no cluster nobody"
    assert CORDON_ANNOTATION not in (await cluster(host))["annotations"]
    ran = await run("cordon", "m1", "--reason", "ask me")
    assert (ran.code, ran.err) == (0, "cluster m1 cordoned\n")
    await cluster_condition(host, "m1", "Cordoned", "True", message="ask me")
    shown = await run("get", "clusters", "m1")
    assert "True,Cordoned" in shown.out
    await m1.patch(CONFIGMAPS, namespace, "web", {"data": {"a": "theirs"}})
    await web.reports("m1", "ClusterCordoned", "the cluster is cordoned (ask me): the copy there is not changed")
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "theirs"}
    assert (await run("uncordon", "m1", "--dry-run")).code == 0
    assert (await cluster(host))["annotations"][CORDON_ANNOTATION] == "ask me"
    assert (await run("uncordon", "m1")).code == 0
    await holds(m1, CONFIGMAPS, namespace, "web", lambda each: each["data"] == {"a": "b"})
    await Federated(host, FEDERATED_CONFIGMAPS, namespace, "web").settled()


async def cluster(host: Api) -> dict[str, dict[str, str]]:
    stored = await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m1")
    assert stored is not None
    return dict(stored["metadata"])
