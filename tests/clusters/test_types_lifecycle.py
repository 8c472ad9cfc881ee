"""A type is switched on, off and away at runtime: its watches follow, members' objects stay, nothing restarts."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from federation.model.marks import MANAGED_LABEL, SYSTEM_NAMESPACE, TYPE_FINALIZER
from federation.model.resources import CRDS, NAMESPACES, TYPE_CONFIGS, Resource
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    TYPES,
    Api,
    condition,
    eventually,
    federated_namespace,
    line,
    never,
)
from tests.clusters.steps import Federated, alone, attempt, create, gone, holds, make, type_status, writes

LIMITS = Resource("", "v1", "LimitRange", "limitranges", namespaced=True)
AUTOSCALERS = Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", namespaced=True)
FEDERATED_AUTOSCALERS = Resource(
    TYPES, "v1beta1", "FederatedHorizontalPodAutoscaler", "federatedhorizontalpodautoscalers", namespaced=True
)
FEDERATED_LIMITS = Resource(TYPES, "v1beta1", "FederatedLimitRange", "federatedlimitranges", namespaced=True)


def limit(memory: str) -> dict[str, Any]:
    """A LimitRange template."""
    return {"spec": {"limits": [{"type": "Container", "default": {"memory": memory}}]}}


def of_memory(stored: dict[str, Any], memory: str) -> bool:
    return bool(stored["spec"]["limits"][0]["default"]["memory"] == memory)


async def switch(host: Api, name: str, propagation: str) -> None:
    """Set a FederatedTypeConfig's propagation and wait until the controller has taken it in."""
    await host.patch(TYPE_CONFIGS, SYSTEM_NAMESPACE, name, {"spec": {"propagation": propagation}})
    running = "Running" if propagation == "Enabled" else "NotRunning"
    await type_status(host, name, propagationController=running)


@pytest.fixture
async def limits(fleet: Fleet, host: Api) -> AsyncIterator[None]:
    """LimitRanges are enabled."""
    await fleet.enable("limitranges")
    await type_status(host, "limitranges", propagationController="Running")
    yield
    await fleet.enable("limitranges")
    await switch(host, "limitranges", "Enabled")


@pytest.fixture
async def namespaces(fleet: Fleet, host: Api) -> AsyncIterator[None]:
    """A test may switch the type `namespaces` off; it is on again afterwards."""
    yield
    await fleet.enable("namespaces")
    await switch(host, "namespaces", "Enabled")


async def test_a_type_that_is_enabled_starts_at_once(
    fleet: Fleet, host: Api, m1: Api, namespace: str, limits: None
) -> None:
    """Running in its status with our finalizer on it, and objects are pushed."""

    async def following() -> object:
        found = await host.get(TYPE_CONFIGS, SYSTEM_NAMESPACE, "limitranges")
        return found if condition(found, "Ready").get("status") == "True" else None

    stored = await eventually(following)  # it runs before the hub's list of its objects has ended
    assert stored["metadata"]["finalizers"] == [TYPE_FINALIZER]
    reported = dict(stored["status"])
    (ready,) = reported.pop("conditions")
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "True", "Following")
    assert reported == {
        "observedGeneration": stored["metadata"]["generation"],
        "propagationController": "Running",
        "statusController": "NotRunning",
    }
    await federated_namespace(host, namespace, ["m1"])
    await make(host, FEDERATED_LIMITS, namespace, "web", limit("1Gi"), clusters=["m1"])
    assert of_memory(await holds(m1, LIMITS, namespace, "web"), "1Gi")


async def test_propagation_that_is_switched_off_leaves_the_members_alone(
    host: Api, m1: Api, namespace: str, limits: None
) -> None:
    """No change is pushed and no drift is put back until it is on again; then what is stored is in force."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_LIMITS, namespace, "web", limit("1Gi"), clusters=["m1"])
    await switch(host, "limitranges", "Disabled")
    await web.patch({"spec": {"template": limit("2Gi")}})
    edited = await m1.patch(LIMITS, namespace, "web", limit("9Gi"))

    async def touched() -> bool:
        return await m1.get(LIMITS, namespace, "web") != edited

    await never(touched, during=1.0)
    await switch(host, "limitranges", "Enabled")
    await holds(m1, LIMITS, namespace, "web", lambda found: of_memory(found, "2Gi"))
    await web.settled()


async def test_a_type_that_is_deleted_stops_and_leaves_everything(
    fleet: Fleet, host: Api, m1: Api, namespace: str, limits: None
) -> None:
    """The FederatedTypeConfig goes, all objects stay as they are; enabled again, drift of the meantime is put back."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_LIMITS, namespace, "web", limit("1Gi"), clusters=["m1"])
    before, at_hub = await holds(m1, LIMITS, namespace, "web"), await web.get()
    await fleet.disable("limitranges")
    await gone(host, TYPE_CONFIGS, SYSTEM_NAMESPACE, "limitranges")
    assert await m1.get(LIMITS, namespace, "web") == before
    assert before["metadata"]["labels"] == {MANAGED_LABEL: "true"}
    assert await web.get() == at_hub
    await m1.patch(LIMITS, namespace, "web", limit("9Gi"))
    await fleet.enable("limitranges")
    await holds(m1, LIMITS, namespace, "web", lambda found: of_memory(found, "1Gi"))
    await web.settled()


async def test_a_type_that_is_switched_off_and_on_writes_nothing(
    host: Api, m1: Api, namespace: str, limits: None
) -> None:
    """What was right is found right by its fingerprint: neither the member nor the status is written."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_LIMITS, namespace, "web", limit("1Gi"), clusters=["m1"])
    before, at_hub = await holds(m1, LIMITS, namespace, "web"), await web.get()
    await alone(host, namespace, FEDERATED_LIMITS)
    await alone(m1, namespace, LIMITS)
    counted = await writes(m1)
    await switch(host, "limitranges", "Disabled")
    await switch(host, "limitranges", "Enabled")
    await make(host, FEDERATED_LIMITS, namespace, "other", limit("1Gi"), clusters=["m1"])
    assert (await writes(m1))["APPLY", "limitranges"] == counted["APPLY", "limitranges"] + 1, "only `other` was pushed"
    assert await m1.get(LIMITS, namespace, "web") == before
    assert await web.get() == at_hub


async def test_a_federated_object_deleted_while_its_type_is_off_waits(
    host: Api, m1: Api, namespace: str, limits: None
) -> None:
    """Its finalizer holds it, the copy stays; switched on again the deletion is finished."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_LIMITS, namespace, "web", limit("1Gi"), clusters=["m1"])
    await switch(host, "limitranges", "Disabled")
    await web.delete()
    await never(lambda: _absent(m1, namespace), during=0.7)
    assert (await web.get())["metadata"]["deletionTimestamp"]
    await switch(host, "limitranges", "Enabled")
    await web.gone()
    await gone(m1, LIMITS, namespace, "web")


async def test_what_is_created_while_its_type_is_switched_off_can_be_deleted(
    host: Api, namespace: str, limits: None
) -> None:
    """The API server still adds the finalizer for a moment; nobody else would take it off."""
    await federated_namespace(host, namespace, ["m1"])
    body = {"spec": {"propagation": "Disabled"}}
    early = await create(host, FEDERATED_LIMITS, namespace, "early", limit("1Gi"), clusters=[])
    await host.patch(TYPE_CONFIGS, SYSTEM_NAMESPACE, "limitranges", body)
    late = [await create(host, FEDERATED_LIMITS, namespace, f"late-{n}", limit("1Gi"), clusters=[]) for n in range(3)]
    await switch(host, "limitranges", "Disabled")
    for each in (early, *late):
        await each.delete()
        await each.gone()


async def _absent(api: Api, namespace: str) -> bool:
    return await api.get(LIMITS, namespace, "web") is None


async def test_another_version_of_the_target_is_taken_at_once(fleet: Fleet, host: Api, m1: Api, namespace: str) -> None:
    """targetType.version of a FederatedTypeConfig changes: the watches begin anew and objects are applied under it."""
    await fleet.enable(AUTOSCALERS.qualified)
    await type_status(host, AUTOSCALERS.qualified, propagationController="Running")
    await federated_namespace(host, namespace, ["m1"])
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    template = {"spec": {"maxReplicas": 3, "scaleTargetRef": target}}
    web = await make(host, FEDERATED_AUTOSCALERS, namespace, "web", template, clusters=["m1"])
    assert applied_as(await holds(m1, AUTOSCALERS, namespace, "web")) == "autoscaling/v2"
    version = {"spec": {"targetType": {"version": "v1"}}}
    await host.patch(TYPE_CONFIGS, SYSTEM_NAMESPACE, AUTOSCALERS.qualified, version)
    await holds(m1, AUTOSCALERS, namespace, "web", lambda found: applied_as(found) == "autoscaling/v1")
    await web.change({"template": {"spec": {"maxReplicas": 4}}})
    assert (await holds(m1, AUTOSCALERS, namespace, "web"))["spec"]["maxReplicas"] == 4
    await host.patch(TYPE_CONFIGS, SYSTEM_NAMESPACE, AUTOSCALERS.qualified, {"spec": {"targetType": {"version": "v2"}}})


def applied_as(stored: dict[str, Any]) -> str:
    """The version under which it was last applied."""
    return str(next(each["apiVersion"] for each in stored["metadata"]["managedFields"] if each["operation"] == "Apply"))


async def test_a_type_config_that_is_wrong_says_why(host: Api) -> None:
    """Refused at the hub, or NotRunning with the field in its message; others go on, and mended it runs."""
    spec = {
        "federatedType": {
            "group": TYPES,
            "kind": "FederatedPodTemplate",
            "pluralName": "federatedpodtemplates",
            "scope": "Namespaced",
            "version": "v1beta1",
        },
        "targetType": {"kind": "PodTemplate", "pluralName": "podtemplates", "scope": "Namespaced", "version": "v1"},
        "propagation": "Enabled",
    }
    body = {
        "apiVersion": TYPE_CONFIGS.api_version,
        "kind": TYPE_CONFIGS.kind,
        "metadata": {"name": "pods.elsewhere", "namespace": SYSTEM_NAMESPACE},
        "spec": spec,
    }
    message = await attempt(host, TYPE_CONFIGS, SYSTEM_NAMESPACE, body)
    if not message:
        reported = await type_status(host, "pods.elsewhere", propagationController="NotRunning")
        message = reported["conditions"][0]["message"]
        await host.delete(TYPE_CONFIGS, SYSTEM_NAMESPACE, "pods.elsewhere")
        await gone(host, TYPE_CONFIGS, SYSTEM_NAMESPACE, "pods.elsewhere")
    assert "pluralName" in message


async def test_a_federated_crd_may_come_after_its_type_config(
    fleet: Fleet, host: Api, m1: Api, namespace: str, limits: None
) -> None:
    """As a git tool applies them, in any order: the type says what is missing and starts when its CRD is served."""
    name = f"{FEDERATED_LIMITS.plural}.{TYPES}"
    crd = await host.get(CRDS, "", name)
    config = await host.get(TYPE_CONFIGS, SYSTEM_NAMESPACE, "limitranges")
    assert crd is not None
    assert config is not None

    async def empty() -> bool:
        return not await host.items(FEDERATED_LIMITS)

    await eventually(empty, within=60.0)  # namespaces of earlier tests go when their servers have time
    await fleet.disable("limitranges")
    await host.delete(CRDS, "", name)
    await gone(host, CRDS, "", name)

    def bare(stored: dict[str, Any], namespace: str = "") -> dict[str, Any]:
        metadata = {"name": stored["metadata"]["name"], "annotations": stored["metadata"].get("annotations", {})}
        if namespace:
            metadata["namespace"] = namespace
        return {
            "apiVersion": stored["apiVersion"],
            "kind": stored["kind"],
            "metadata": metadata,
            "spec": stored["spec"],
        }

    await host.apply(TYPE_CONFIGS, bare(config, SYSTEM_NAMESPACE))
    reported = await type_status(host, "limitranges", propagationController="NotRunning")
    assert reported["conditions"][0]["status"] == "False"
    assert "fedctl enable limitranges" in reported["conditions"][0]["message"]
    await federated_namespace(host, namespace, ["m1"])
    await host.apply(CRDS, bare(crd))
    await fleet.enable("limitranges")  # the controller's right to the type at the hub went with `disable`

    async def served() -> bool:
        template = {
            "apiVersion": FEDERATED_LIMITS.api_version,
            "kind": FEDERATED_LIMITS.kind,
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"template": limit("1Gi"), "placement": {"clusters": [{"name": "m1"}]}},
        }
        return await attempt(host, FEDERATED_LIMITS, namespace, template) == ""

    await eventually(served)
    await holds(m1, LIMITS, namespace, "web")
    reported = await type_status(host, "limitranges", propagationController="Running")
    assert reported["conditions"][0]["status"] == "True"


@pytest.mark.parametrize("how", ["propagation-disabled", "type-config-deleted"])
async def test_federation_of_namespaces_switched_off_deletes_nothing(  # noqa: PLR0917 - fixtures
    fleet: Fleet, host: Api, m1: Api, namespace: str, namespaces: None, how: str
) -> None:
    """Namespace and objects stay in the members, also when something changes meanwhile; on again, all goes on."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"])
    before = await holds(m1, CONFIGMAPS, namespace, "web")
    if how == "propagation-disabled":
        await switch(host, "namespaces", "Disabled")
    else:
        await fleet.disable("namespaces")
    reported = await web.reason("Propagation", "NamespaceNotFederated")
    assert "namespaces" in reported["message"]
    await web.patch({"spec": {"template": {"data": {"a": "c"}}}})
    await web.reason("Ready", "NamespaceNotFederated")
    stored = await web.get()
    assert condition(stored, "Ready")["status"] == "False"
    assert line(stored, "m1")["fingerprint"], "what is there is still remembered"
    late = await create(host, FEDERATED_CONFIGMAPS, namespace, "late", {"data": {}}, clusters=["m1"])
    await late.reason("Ready", "NamespaceNotFederated")
    assert await m1.get(CONFIGMAPS, namespace, "web") == before
    assert await m1.get(CONFIGMAPS, namespace, "late") is None
    assert "deletionTimestamp" not in (await holds(m1, NAMESPACES, "", namespace))["metadata"]
    if how == "propagation-disabled":
        await switch(host, "namespaces", "Enabled")
    else:
        await fleet.enable("namespaces")
    await web.settled()
    await late.settled()
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "c"}
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["metadata"]["uid"] == before["metadata"]["uid"]
    await Federated(host, FEDERATED_NAMESPACES, namespace, namespace).settled()
