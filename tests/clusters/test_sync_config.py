"""The KubeFedConfig: what is wrong in it never takes force, and what is right does without a restart."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import CRDS, KUBEFED_CONFIGS, NAMESPACES
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    ENABLED,
    FEDERATED_CONFIGMAPS,
    Api,
    eventually,
    federated_namespace,
    never,
)
from tests.clusters.steps import attempt_patch, configure, create, gone, holds, make, type_status

CRD = "kubefedconfigs.core.kubefed.io"


@pytest.fixture
async def config(host: Api) -> AsyncIterator[dict[str, Any]]:
    """The KubeFedConfig, put back afterwards."""
    stored = await host.get(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed")
    assert stored is not None
    yield stored
    body = {key: stored[key] for key in ("apiVersion", "kind", "spec")}
    body["metadata"] = {"name": "kubefed", "namespace": SYSTEM_NAMESPACE}
    if await host.get(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed") is None:
        await host.create(KUBEFED_CONFIGS, body, SYSTEM_NAMESPACE)
    else:
        await configure(host, {"syncController": None, "clusterHealthCheck": None, "leaderElect": None})


@pytest.mark.parametrize(
    ("spec", "reported"),
    [
        pytest.param({"clusterHealthCheck": {"period": "0s"}}, "period", id="a-period-of-nothing"),
        pytest.param({"clusterHealthCheck": {"period": "often"}}, "period", id="no-duration"),
        pytest.param({"clusterHealthCheck": {"failureThreshold": 0}}, "failureThreshold", id="a-threshold-of-none"),
        pytest.param({"syncController": {"adoptResources": "Sometimes"}}, "adoptResources", id="an-unknown-word"),
        pytest.param(
            {"leaderElect": {"leaseDuration": "5s", "renewDeadline": "10s"}}, "leaseDuration", id="a-lease-too-short"
        ),
    ],
)
async def test_wrong_numbers_are_refused_at_the_hub(
    host: Api, config: dict[str, Any], spec: Mapping[str, Any], reported: str
) -> None:
    """With the field's name; nothing of it is stored."""
    message = await attempt_patch(host, KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed", {"spec": dict(spec)})
    assert reported in message
    assert (await host.get(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed") or {})["spec"] == config["spec"]


async def test_without_a_config_the_defaults_hold(host: Api, m1: Api, namespace: str, config: dict[str, Any]) -> None:
    """Adoption was disabled; the object is deleted: adoption is KubeFed's default again."""
    await configure(host, {"syncController": {"adoptResources": "Disabled"}})
    await federated_namespace(host, namespace, ["m1"])
    await holds(m1, NAMESPACES, "", namespace)
    await m1.create(CONFIGMAPS, {"metadata": {"name": "web"}, "apiVersion": "v1", "kind": "ConfigMap"}, namespace)
    web = await create(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"])
    await web.reports("m1", "AlreadyExists")
    await host.delete(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed")
    await web.settled()
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "b"}


async def test_one_that_an_older_schema_let_pass_leaves_the_last_good_one_in_force(
    fleet: Fleet, host: Api, m1: Api, namespace: str, config: dict[str, Any]
) -> None:
    """The hub's schema is loosened for a moment: what gets through is named in the log and not obeyed."""
    crd = await host.get(CRDS, "", CRD)
    assert crd is not None
    loose = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    path = "/spec/versions/0/schema/openAPIV3Schema"
    await configure(host, {"syncController": {"adoptResources": "Disabled"}})
    await host.json_patch(CRDS, "", CRD, [{"op": "replace", "path": path, "value": loose}])
    try:
        wrong = {"spec": {"syncController": {"adoptResources": "Perhaps"}}}

        async def stored() -> bool:
            return await attempt_patch(host, KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed", wrong) == ""

        await eventually(stored)

        async def reported() -> bool:
            return "Perhaps" in fleet.controller.log and "the last good one stays in force" in fleet.controller.log

        await eventually(reported)
        await federated_namespace(host, namespace, ["m1"])
        await holds(m1, NAMESPACES, "", namespace)
        await m1.create(CONFIGMAPS, {"metadata": {"name": "web"}, "apiVersion": "v1", "kind": "ConfigMap"}, namespace)
        web = await create(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"])
        await web.reports("m1", "AlreadyExists")
        await configure(host, {"syncController": {"adoptResources": "Enabled"}})
        await web.settled()
    finally:
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        await host.json_patch(CRDS, "", CRD, [{"op": "replace", "path": path, "value": schema}])


async def test_the_push_reconciler_is_switched_off_and_on(
    host: Api, m1: Api, namespace: str, config: dict[str, Any]
) -> None:
    """While it is off nothing is pushed, put right or removed, at the hub or in members; and all of it afterwards."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "1"}}, clusters=["m1"])
    old = await make(host, FEDERATED_CONFIGMAPS, namespace, "old", {"data": {}}, clusters=["m1"])
    await configure(host, {"featureGates": [{"name": "PushReconciler", "configuration": "Disabled"}]})
    try:
        for name in ENABLED:
            found = await type_status(host, name, propagationController="NotRunning")
            assert [each["reason"] for each in found["conditions"]] == ["PushReconcilerDisabled"]
        await web.patch({"spec": {"template": {"data": {"a": "2"}}}})
        await old.delete()
        new = await create(host, FEDERATED_CONFIGMAPS, namespace, "new", {"data": {}}, clusters=["m1"])
        await m1.patch(CONFIGMAPS, namespace, "web", {"data": {"a": "theirs"}})

        async def touched() -> bool:
            kept = await m1.get(CONFIGMAPS, namespace, "web") or {}
            there = await m1.get(CONFIGMAPS, namespace, "old"), await m1.get(CONFIGMAPS, namespace, "new")
            left = (await old.get())["metadata"].get("finalizers"), (await new.get())["metadata"].get("finalizers")
            untouched = kept["data"] == {"a": "theirs"} and there[0] is not None and there[1] is None
            return not untouched or left != (["kubefed.io/sync-controller"], None)

        await never(touched, during=1.0)
    finally:
        await configure(host, {"featureGates": None})
    for name in ENABLED:
        await type_status(host, name, propagationController="Running")
    await web.settled()
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "2"}
    await old.gone()
    await gone(m1, CONFIGMAPS, namespace, "old")
    await new.settled()
