"""What leaves a member and what stays there, on real API servers: adopted namespaces, system namespaces, strays."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from federation.model.marks import CREATED_ANNOTATION, MANAGED_LABEL
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    FEDERATED_SERVICES,
    SERVICES,
    Api,
    condition,
    eventually,
    federated_namespace,
)
from tests.clusters.steps import Federated, cluster_condition, configure, create, gone, holds, make

OWN = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}, "data": {"a": "theirs"}}
DATA = {"data": {"a": "b"}}


def unmanaged(stored: dict[str, Any]) -> bool:
    return MANAGED_LABEL not in stored["metadata"].get("labels", {})


async def events(about: Federated, reason: str) -> list[str]:
    return [str(event["message"]) for event in await about.events() if event["reason"] == reason]


@pytest.fixture
async def spared(host: Api) -> AsyncIterator[None]:
    """Adoption is disabled, for one test."""
    await configure(host, {"syncController": {"adoptResources": "Disabled"}})
    yield
    await configure(host, {"syncController": {"adoptResources": "Enabled"}})


async def test_an_adopted_namespace_stays_with_what_is_in_it_and_a_created_one_goes(
    host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """The placement leaves both; m1's was there before us, with a stranger's ConfigMap."""
    await m1.create(NAMESPACES, {"metadata": {"name": namespace}})
    await m1.create(CONFIGMAPS, OWN, namespace)
    await federated_namespace(host, namespace, ["m1", "m2"])
    home = Federated(host, FEDERATED_NAMESPACES, namespace, namespace)
    await home.settled()
    adopted, created = await holds(m1, NAMESPACES, "", namespace), await holds(m2, NAMESPACES, "", namespace)
    assert CREATED_ANNOTATION not in adopted["metadata"].get("annotations", {})
    assert created["metadata"]["annotations"][CREATED_ANNOTATION].startswith("kubefed-")
    await home.place()
    await gone(m2, NAMESPACES, "", namespace)
    stored = await holds(m1, NAMESPACES, "", namespace, unmanaged)
    assert stored["metadata"]["uid"] == adopted["metadata"]["uid"]
    assert "deletionTimestamp" not in stored["metadata"]
    assert (await holds(m1, CONFIGMAPS, namespace, "own"))["data"] == {"a": "theirs"}
    message = await eventually(lambda: events(home, "CopyRemoved"), seen="event CopyRemoved")
    assert any("kubefed.io/delete-adopted" in each and each.startswith("m1: released") for each in message), message
    reported = condition(await home.get(), "Ready")
    assert (reported["status"], reported["reason"]) == ("True", "NoClusterSelected")
    assert "empty list" in reported["message"]


@pytest.mark.parametrize("asked", [False, True], ids=["left", "asked-to-be-deleted"])
async def test_deleting_the_federated_namespace(host: Api, m1: Api, namespace: str, asked: bool) -> None:
    """An adopted namespace goes with it only where its user asked for that; the finalizer goes either way."""
    await m1.create(NAMESPACES, {"metadata": {"name": namespace}})
    await federated_namespace(host, namespace, ["m1"])
    home = Federated(host, FEDERATED_NAMESPACES, namespace, namespace)
    await home.settled()
    if asked:
        await home.annotate(**{"delete-adopted": "true"})
    await home.delete()
    await home.gone()
    if asked:
        await gone(m1, NAMESPACES, "", namespace)
    else:
        stored = await holds(m1, NAMESPACES, "", namespace, unmanaged)
        assert "deletionTimestamp" not in stored["metadata"]


async def test_a_cluster_that_joins_again_by_another_name_loses_nothing(
    fleet: Fleet, host: Api, m2: Api, namespace: str
) -> None:
    """The namespace there was made by this hub, and holds a stranger's ConfigMap; nothing places it by the new name."""
    await federated_namespace(host, namespace, ["m2"])
    await Federated(host, FEDERATED_NAMESPACES, namespace, namespace).settled()
    await m2.create(CONFIGMAPS, OWN, namespace)
    await fleet.unjoin("m2")
    try:
        await fleet.join("other", "m2")
        await cluster_condition(host, "other", "Ready", "True")
        stored = await holds(m2, NAMESPACES, "", namespace, unmanaged)
        assert "deletionTimestamp" not in stored["metadata"]
        assert (await holds(m2, CONFIGMAPS, namespace, "own"))["data"] == {"a": "theirs"}
    finally:
        if await host.get(KUBEFED_CLUSTERS, "kube-federation-system", "other") is not None:
            await fleet.unjoin("other", "m2")
        await fleet.join("m2")
        await cluster_condition(host, "m2", "Ready", "True")


async def test_a_system_namespace_says_where_its_objects_go_and_is_never_touched(host: Api, m1: Api) -> None:
    """`default`, whose deletion every API server refuses: nothing is labelled, nothing wedges."""
    before = await holds(m1, NAMESPACES, "", "default")
    home = await create(host, FEDERATED_NAMESPACES, "default", "default", None, clusters=["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, "default", "removal-web", DATA, clusters=["m1"])
    assert (await holds(m1, CONFIGMAPS, "default", "removal-web"))["data"] == {"a": "b"}
    reported = await home.reason("Ready", "SystemNamespace")
    assert reported["status"] == "True"
    assert "objects in it may go to m1" in reported["message"]
    await home.patch({"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}})
    reported = await home.reason("Stalled", "SystemNamespace")
    assert "never created, changed or deleted" in reported["message"]
    await home.delete()
    await home.gone()
    await gone(m1, CONFIGMAPS, "default", "removal-web")
    assert await m1.get(NAMESPACES, "", "default") == before
    await web.delete()
    await web.gone()


async def test_objects_go_into_a_namespace_that_may_not_be_adopted(
    host: Api, m1: Api, namespace: str, spared: None
) -> None:
    """As with KubeFed: the namespace's line says AlreadyExists, and what belongs in it is there."""
    await m1.create(NAMESPACES, {"metadata": {"name": namespace}})
    await federated_namespace(host, namespace, ["m1"])
    web = await create(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=["m1"])
    await Federated(host, FEDERATED_NAMESPACES, namespace, namespace).reports("m1", "AlreadyExists")
    await web.settled()
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "b"}
    assert unmanaged(await holds(m1, NAMESPACES, "", namespace))


async def test_a_managed_copy_without_a_federated_object_is_released(host: Api, m1: Api, namespace: str) -> None:
    """One of KubeFed's own specs: its label is taken off, and it stays."""
    await federated_namespace(host, namespace, ["m1"])
    await holds(m1, NAMESPACES, "", namespace)
    stray = {**OWN, "metadata": {"name": "stray", "labels": {MANAGED_LABEL: "true"}}}
    await m1.create(CONFIGMAPS, stray, namespace)
    stored = await holds(m1, CONFIGMAPS, namespace, "stray", unmanaged)
    assert stored["data"] == {"a": "theirs"}


async def test_a_node_port_that_somebody_else_holds_is_waited_for(host: Api, m1: Api, namespace: str) -> None:
    """Not Stalled: it is taken as soon as it is free, without anybody touching the federated object."""
    await federated_namespace(host, namespace, ["m1"])
    await holds(m1, NAMESPACES, "", namespace)
    ports = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30871}], "selector": {"app": "web"}}
    holder = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "holder"}, "spec": ports}
    await m1.create(SERVICES, holder, namespace)
    web = await create(host, FEDERATED_SERVICES, namespace, "web", {"spec": ports}, clusters=["m1"])
    reported = await web.reports("m1", "CreationFailed")
    assert "already allocated" in reported["message"]
    assert condition(await web.get(), "Stalled") == {}
    await m1.delete(SERVICES, namespace, "holder")
    stored = await eventually(lambda: m1.get(SERVICES, namespace, "web"), within=60, seen="the Service")
    assert stored["spec"]["ports"][0]["nodePort"] == 30871
    await web.settled()
