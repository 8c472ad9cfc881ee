"""The road from a federated object to its members and back, on real control planes: placement, overrides, removal."""

import pytest

from federation.model.marks import MANAGED_LABEL, SYNC_FINALIZER
from federation.model.resources import NAMESPACES
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    Api,
    condition,
    eventually,
    federated,
    federated_namespace,
    line,
    ready,
)

pytestmark = pytest.mark.usefixtures("mode")


async def test_template_and_override_reach_their_members(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    overrides = [{"clusterName": "m2", "clusterOverrides": [{"path": "/data/a", "value": "z"}]}]
    body = federated(
        FEDERATED_CONFIGMAPS,
        namespace,
        "web",
        {"metadata": {"labels": {"app": "web"}, "annotations": {"note": "kept"}}, "data": {"a": "b"}},
        clusters=["m1", "m2"],
        overrides=overrides,
    )
    await host.create(FEDERATED_CONFIGMAPS, body, namespace)

    async def reported() -> object:
        stored = await host.get(FEDERATED_CONFIGMAPS, namespace, "web")
        return stored if ready(stored) else None

    stored = await eventually(reported)
    one = await m1.get(CONFIGMAPS, namespace, "web")
    two = await m2.get(CONFIGMAPS, namespace, "web")
    assert one is not None
    assert two is not None
    assert (one["data"], two["data"]) == ({"a": "b"}, {"a": "z"})
    assert one["metadata"]["labels"] == {"app": "web", MANAGED_LABEL: "true"}
    assert one["metadata"]["annotations"] == {"note": "kept"}
    assert stored["metadata"]["finalizers"] == [SYNC_FINALIZER]
    assert condition(stored, "Propagation")["status"] == "True"
    assert set(line(stored, "m1")) <= {"name", "fingerprint"}


async def test_removal_from_placement_and_deletion_clean_up(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    body = federated(FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1", "m2"])
    await host.create(FEDERATED_CONFIGMAPS, body, namespace)
    await eventually(lambda: m2.get(CONFIGMAPS, namespace, "web"))
    await host.patch(FEDERATED_CONFIGMAPS, namespace, "web", {"spec": {"placement": {"clusters": [{"name": "m1"}]}}})

    async def gone(api: Api) -> bool:
        return await api.get(CONFIGMAPS, namespace, "web") is None

    await eventually(lambda: gone(m2))
    assert await m1.get(CONFIGMAPS, namespace, "web") is not None
    await host.delete(FEDERATED_CONFIGMAPS, namespace, "web")
    await eventually(lambda: gone(m1))

    async def released() -> bool:
        return await host.get(FEDERATED_CONFIGMAPS, namespace, "web") is None

    await eventually(released)


async def test_namespace_bounds_what_is_in_it(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    await host.create(NAMESPACES, {"metadata": {"name": namespace}})
    body = federated(FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1", "m2"])
    await host.create(FEDERATED_CONFIGMAPS, body, namespace)

    async def refused() -> bool:
        stored = await host.get(FEDERATED_CONFIGMAPS, namespace, "web")
        return condition(stored, "Propagation").get("reason") == "NamespaceNotFederated"

    await eventually(refused)
    await federated_namespace(host, namespace, ["m1"])
    await eventually(lambda: m1.get(CONFIGMAPS, namespace, "web"))
    assert await m2.get(CONFIGMAPS, namespace, "web") is None
