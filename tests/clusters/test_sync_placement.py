"""Where objects go: names, selectors, labels that come and go, and the namespace that bounds all of it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    Api,
    condition,
    federated_namespace,
    line,
    never,
)
from tests.clusters.steps import Federated, create, gone, holds, make

pytestmark = pytest.mark.usefixtures("mode")

TEMPLATE = {"data": {"a": "b"}}


@pytest.fixture
async def labels(host: Api) -> AsyncIterator[None]:
    """m1 is in tier gold and m2 in silver, for one test."""
    for cluster, tier in (("m1", "gold"), ("m2", "silver")):
        await label(host, cluster, {"tier": tier})
    yield
    for cluster in ("m1", "m2"):
        await label(host, cluster, {"tier": None, "site": None})


async def label(host: Api, cluster: str, labels: Mapping[str, str | None]) -> None:
    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, cluster, {"metadata": {"labels": dict(labels)}})


async def where(members: Mapping[str, Api], namespace: str, name: str) -> set[str]:
    """The members that hold the ConfigMap now."""
    return {cluster for cluster, api in members.items() if await api.get(CONFIGMAPS, namespace, name) is not None}


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        pytest.param({"clusters": [{"name": "m2"}]}, {"m2"}, id="by-name"),
        pytest.param({"clusters": []}, set(), id="an-empty-list-selects-none"),
        pytest.param({}, set(), id="neither-selects-none"),
        pytest.param({"clusters": [{"name": "m1"}, {"name": "elsewhere"}]}, {"m1"}, id="unjoined-names-are-left-out"),
        pytest.param({"clusters": [], "clusterSelector": {}}, set(), id="empty-names-win-over-a-selector"),
        pytest.param(
            {"clusters": [{"name": "m1"}], "clusterSelector": {"matchLabels": {"tier": "silver"}}},
            {"m1"},
            id="names-win-over-a-selector",
        ),
        pytest.param({"clusterSelector": {}}, {"m1", "m2"}, id="an-empty-selector-selects-all"),
        pytest.param({"clusterSelector": {"matchLabels": {"tier": "gold"}}}, {"m1"}, id="by-label"),
        pytest.param({"clusterSelector": {"matchLabels": {"tier": "lead"}}}, set(), id="by-a-label-nobody-has"),
        pytest.param(
            {"clusterSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["silver", "x"]}]}},
            {"m2"},
            id="by-expression",
        ),
    ],
)
async def test_placement_selects(  # noqa: PLR0917 - fixtures
    host: Api, m1: Api, m2: Api, namespace: str, labels: None, placement: Mapping[str, Any], expected: set[str]
) -> None:
    """The object is in the selected clusters and nowhere else, and its status names exactly those."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", TEMPLATE, placement=dict(placement))
    assert await where({"m1": m1, "m2": m2}, namespace, "web") == expected
    stored = await web.get()
    assert {reported["name"] for reported in stored["status"].get("clusters", [])} == expected
    assert condition(stored, "Propagation")["status"] == "True"
    assert ("no cluster has joined as elsewhere" in condition(stored, "Ready")["message"]) is (
        "elsewhere" in str(placement)
    )


async def test_a_label_put_on_a_cluster_moves_objects_there_and_back(
    host: Api, m1: Api, m2: Api, namespace: str, labels: None
) -> None:
    """No restart and no change of the object: the cluster's label alone decides."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    placement = {"clusterSelector": {"matchLabels": {"site": "north"}}}
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", TEMPLATE, placement=placement)
    assert "clusters" not in (await web.get())["status"]
    await label(host, "m2", {"site": "north"})
    await holds(m2, CONFIGMAPS, namespace, "web")
    assert await m1.get(CONFIGMAPS, namespace, "web") is None
    await label(host, "m1", {"site": "north"})
    await label(host, "m2", {"site": None})
    await holds(m1, CONFIGMAPS, namespace, "web")
    await gone(m2, CONFIGMAPS, namespace, "web")
    assert set(line(await web.settled(), "m1")) <= {"name", "fingerprint"}


async def test_the_namespaces_placement_moves_what_is_in_it(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """A FederatedNamespace that leaves a cluster takes the objects with it; one that comes brings them."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", TEMPLATE, clusters=["m1", "m2"])
    assert line(await web.get(), "m2") == {}
    await Federated(host, FEDERATED_NAMESPACES, namespace, namespace).place("m2")
    await holds(m2, CONFIGMAPS, namespace, "web")
    await gone(m1, NAMESPACES, "", namespace)
    stored = await web.settled()
    assert [reported["name"] for reported in stored["status"]["clusters"]] == ["m2"]


async def test_a_deleted_federated_namespace_takes_its_objects_out_and_says_so(
    host: Api, m1: Api, namespace: str
) -> None:
    """The members' namespace and objects go; the object stays at the hub and says NamespaceNotFederated."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", TEMPLATE, clusters=["m1"])
    await host.delete(FEDERATED_NAMESPACES, namespace, namespace)
    await gone(host, FEDERATED_NAMESPACES, namespace, namespace)
    await gone(m1, NAMESPACES, "", namespace)
    reported = await web.reason("Propagation", "NamespaceNotFederated")
    assert reported["status"] == "False"
    assert namespace in reported["message"]
    await federated_namespace(host, namespace, ["m1"])
    await holds(m1, CONFIGMAPS, namespace, "web")


async def test_an_object_in_an_unfederated_namespace_goes_nowhere(host: Api, m1: Api, namespace: str) -> None:
    """Not even where a namespace of that name exists; the reason says what to create."""
    for api in (host, m1):
        await api.create(NAMESPACES, {"metadata": {"name": namespace}})
    web = await create(host, FEDERATED_CONFIGMAPS, namespace, "web", TEMPLATE, clusters=["m1"])
    reported = await web.reason("Propagation", "NamespaceNotFederated")
    assert "FederatedNamespace" in reported["message"]
    assert (await web.reason("Ready", "NamespaceNotFederated"))["status"] == "False"
    await never(lambda: m1.get(CONFIGMAPS, namespace, "web"), during=0.5)
    await web.delete()
    await web.gone()
