"""Overrides: one cluster's manifest differs by a JSON patch; a patch that does not fit fails that cluster alone."""

from typing import Any

import pytest

from federation.model.resources import Resource
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    TYPES,
    Api,
    condition,
    federated,
    federated_namespace,
    never,
)
from tests.clusters.steps import Federated, attempt, create, holds, make

pytestmark = pytest.mark.usefixtures("mode")

AUTOSCALERS = Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", namespaced=True)
FEDERATED_AUTOSCALERS = Resource(
    TYPES, "v1beta1", "FederatedHorizontalPodAutoscaler", "federatedhorizontalpodautoscalers", namespaced=True
)


def deployment(**spec: Any) -> dict[str, Any]:
    """A Deployment template whose pods nobody schedules."""
    return {
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1", "args": ["-a", "-b"]}]},
            },
            **spec,
        }
    }


def for_m2(*operations: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"clusterName": "m2", "clusterOverrides": list(operations)}]


async def test_add_replace_and_remove_change_one_cluster(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """All three operations, an omitted op (replace), an escaped pointer and a list index, in one patch."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    container = "/spec/template/spec/containers/0"
    overrides = for_m2(
        {"path": "/spec/replicas", "value": 5},
        {"op": "replace", "path": f"{container}/image", "value": "web:2"},
        {"op": "add", "path": f"{container}/args/-", "value": "-c"},
        {"op": "remove", "path": f"{container}/args/0"},
        {"op": "add", "path": "/metadata/annotations", "value": {"example.com/site": "two"}},
    )
    template = deployment()
    template["metadata"] = {"labels": {"example.com/part": "web"}}
    overrides[0]["clusterOverrides"].append(
        {"op": "add", "path": "/metadata/labels/example.com~1part", "value": "other"}
    )
    await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", template, clusters=["m1", "m2"], overrides=overrides)
    one = await holds(m1, DEPLOYMENTS, namespace, "web")
    two = await holds(m2, DEPLOYMENTS, namespace, "web")

    def facts(stored: dict[str, Any]) -> tuple[Any, ...]:
        found = stored["spec"]["template"]["spec"]["containers"][0]
        return (stored["spec"]["replicas"], found["image"], found["args"], stored["metadata"]["labels"])

    managed = {"kubefed.io/managed": "true"}
    assert facts(one) == (1, "web:1", ["-a", "-b"], {"example.com/part": "web", **managed})
    assert facts(two) == (5, "web:2", ["-b", "-c"], {"example.com/part": "other", **managed})
    assert two["metadata"]["annotations"]["example.com/site"] == "two"


async def test_an_override_that_is_taken_back_leaves_the_template(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """What only the override named goes from the member; what it changed is the template's again."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    overrides = for_m2({"path": "/data/a", "value": "z"}, {"op": "add", "path": "/data/more", "value": "y"})
    template = {"data": {"a": "b"}}
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", template, clusters=["m1", "m2"], overrides=overrides)
    await holds(m2, CONFIGMAPS, namespace, "web", lambda stored: stored["data"] == {"a": "z", "more": "y"})
    before = await m1.get(CONFIGMAPS, namespace, "web")
    await web.change({"overrides": None})
    await holds(m2, CONFIGMAPS, namespace, "web", lambda stored: stored["data"] == {"a": "b"})
    assert await m1.get(CONFIGMAPS, namespace, "web") == before, "m1's manifest did not change: nothing was written"


@pytest.mark.parametrize(
    ("operation", "path", "reported"),
    [
        pytest.param({"op": "remove", "path": "/data/none"}, "/data/none", "no member", id="remove-of-missing"),
        pytest.param({"op": "add", "path": "/no/where", "value": "x"}, "/no/where", "no member", id="missing-parent"),
        pytest.param({"op": "add", "path": "/data/a/0", "value": "x"}, "/data/a/0", "string", id="below-a-text"),
    ],
)
async def test_a_patch_that_does_not_fit_fails_its_cluster_alone(  # noqa: PLR0917 - fixtures
    host: Api, m1: Api, m2: Api, namespace: str, operation: dict[str, Any], path: str, reported: str
) -> None:
    """m2 says ApplyOverridesFailed with index and path and gets nothing, not even the patch's first half."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    overrides = for_m2({"path": "/data/a", "value": "half"}, operation)
    template = {"data": {"a": "b"}}
    web = await create(
        host, FEDERATED_CONFIGMAPS, namespace, "web", template, clusters=["m1", "m2"], overrides=overrides
    )
    found = await web.reports("m2", "ApplyOverridesFailed")
    assert "[1]" in found["message"]
    assert path in found["message"]
    assert reported in found["message"]
    await holds(m1, CONFIGMAPS, namespace, "web")
    await web.reports("m1")
    await never(lambda: m2.get(CONFIGMAPS, namespace, "web"), during=0.3)
    stored = await web.get()
    assert condition(stored, "Propagation")["reason"] == "CheckClusters"
    assert "m2: ApplyOverridesFailed" in condition(stored, "Ready")["message"]
    await web.change({"overrides": for_m2({"path": "/data/a", "value": "z"})})
    await holds(m2, CONFIGMAPS, namespace, "web", lambda stored: stored["data"] == {"a": "z"})


async def test_replacing_what_the_template_lacks_adds_it(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """As in KubeFed: `replace` is the default op, and files use it for what only some clusters have."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    overrides = for_m2({"path": "/data/b", "value": "x"}, {"path": "/metadata/annotations", "value": {"n": "1"}})
    await make(
        host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1", "m2"], overrides=overrides
    )
    stored = await holds(m2, CONFIGMAPS, namespace, "web")
    assert (stored["data"], stored["metadata"]["annotations"]) == ({"a": "b", "b": "x"}, {"n": "1"})
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "b"}


async def test_a_patch_that_ceases_to_fit_leaves_what_the_cluster_holds(
    host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """The template loses the key an override removes: m2 keeps its object and says which generation it holds."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    overrides = for_m2({"op": "remove", "path": "/data/a"})
    template = {"data": {"a": "b", "c": "d"}}
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", template, clusters=["m1", "m2"], overrides=overrides)
    generation = (await web.get())["metadata"]["generation"]
    before = await m2.get(CONFIGMAPS, namespace, "web")
    await web.patch({"spec": {"template": {"data": {"a": None}}}})
    found = await web.reports("m2", "ApplyOverridesFailed")
    await holds(m1, CONFIGMAPS, namespace, "web", lambda stored: stored["data"] == {"c": "d"})
    assert await m2.get(CONFIGMAPS, namespace, "web") == before
    assert found["generation"] == generation


async def test_an_override_may_choose_another_version(
    fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """m2's manifest is applied as autoscaling/v1, as its managedFields tell, and the field of v1 arrives."""
    await fleet.enable(AUTOSCALERS.qualified)
    await federated_namespace(host, namespace, ["m1", "m2"])
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    template = {"apiVersion": "autoscaling/v2", "spec": {"maxReplicas": 3, "scaleTargetRef": target}}
    overrides = for_m2(
        {"path": "/apiVersion", "value": "autoscaling/v1"},
        {"op": "add", "path": "/spec/targetCPUUtilizationPercentage", "value": 70},
    )
    await make(host, FEDERATED_AUTOSCALERS, namespace, "web", template, clusters=["m1", "m2"], overrides=overrides)
    one, two = await holds(m1, AUTOSCALERS, namespace, "web"), await holds(m2, AUTOSCALERS, namespace, "web")
    applied = [
        next(entry["apiVersion"] for entry in each["metadata"]["managedFields"] if entry["operation"] == "Apply")
        for each in (one, two)
    ]
    assert applied == ["autoscaling/v2", "autoscaling/v1"]
    assert two["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70


async def test_a_version_that_a_member_does_not_serve_fails_there_alone(
    host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """VersionUnavailable; another group is another resource and is refused as an override that does not fit."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    template = {"apiVersion": "apps/v1", **deployment()}
    overrides = for_m2({"path": "/apiVersion", "value": "apps/v1beta9"})
    web = await create(
        host, FEDERATED_DEPLOYMENTS, namespace, "web", template, clusters=["m1", "m2"], overrides=overrides
    )
    found = await web.reports("m2", "VersionUnavailable")
    assert found["message"]
    await web.reports("m1")
    overrides = for_m2({"path": "/apiVersion", "value": "v1"})
    await web.patch({"spec": {"overrides": overrides}})
    found = await web.reports("m2", "ApplyOverridesFailed")
    assert "apiVersion" in found["message"]
    await web.change({"overrides": None})
    await holds(m2, DEPLOYMENTS, namespace, "web")


@pytest.mark.parametrize(
    ("overrides", "reported"),
    [
        pytest.param(
            [
                {"clusterName": "m1", "clusterOverrides": [{"path": "/data/a", "value": "1"}]},
                {"clusterName": "m1", "clusterOverrides": [{"path": "/data/b", "value": "2"}]},
            ],
            "spec.overrides[1]",
            id="a-cluster-named-twice",
        ),
        pytest.param(
            [
                {
                    "clusterName": "m1",
                    "clusterOverrides": [{"path": "/data/a", "value": "1"}, {"path": "/data/a", "value": "2"}],
                }
            ],
            "spec.overrides[0].clusterOverrides[1]",
            id="a-path-named-twice",
        ),
        pytest.param(
            [{"clusterName": "m1", "clusterOverrides": [{"path": "/metadata/name", "value": "x"}]}],
            "metadata.name",
            id="the-name",
        ),
        pytest.param(
            [{"clusterName": "m1", "clusterOverrides": [{"path": "/kind", "value": "Secret"}]}], "kind, ", id="the-kind"
        ),
    ],
)
async def test_overrides_that_cannot_be_meant_are_refused_whole(  # noqa: PLR0917 - fixtures
    host: Api, m1: Api, m2: Api, namespace: str, overrides: list[dict[str, Any]], reported: str
) -> None:
    """By the hub at once, or by a condition on the object; never by half, and no cluster gets anything."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    body = federated(
        FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1", "m2"], overrides=overrides
    )
    message = await attempt(host, FEDERATED_CONFIGMAPS, namespace, body)
    if not message:
        web = Federated(host, FEDERATED_CONFIGMAPS, namespace, "web")
        message = (await web.reason("Ready", "InvalidSpec"))["message"]
    assert reported in message
    for api in (m1, m2):
        await never(lambda api=api: api.get(CONFIGMAPS, namespace, "web"), during=0.3)  # type: ignore[misc]
