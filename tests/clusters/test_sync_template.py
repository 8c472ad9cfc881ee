"""What of a template travels: annotations do; finalizers, nulls, status and what only a server sets do not."""

import pytest

from federation.model.marks import MANAGED_LABEL
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    Api,
    eventually,
    federated_namespace,
)
from tests.clusters.steps import Federated, holds, make

pytestmark = pytest.mark.usefixtures("mode")


async def reported_events(web: Federated, reason: str) -> list[str]:
    """Messages of its events of this reason."""
    return [event["message"] for event in await web.events() if event["reason"] == reason]


async def test_labels_and_annotations_travel_key_by_key(host: Api, m1: Api, namespace: str) -> None:
    """A key that leaves the template leaves the member, and what somebody else put beside it stays."""
    await federated_namespace(host, namespace, ["m1"])
    metadata = {"labels": {"app": "web", "old": "x"}, "annotations": {"note": "kept", "gone": "soon"}}
    template = {"metadata": metadata, "data": {"a": "b"}}
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", template, clusters=["m1"])
    await m1.patch(
        CONFIGMAPS, namespace, "web", {"metadata": {"annotations": {"theirs": "1"}, "labels": {"team": "t"}}}
    )
    await web.change({"template": {"metadata": {"labels": {"old": None}, "annotations": {"gone": None}}}})
    stored = await holds(m1, CONFIGMAPS, namespace, "web")
    assert stored["metadata"]["annotations"] == {"note": "kept", "theirs": "1"}
    assert stored["metadata"]["labels"] == {"app": "web", "team": "t", MANAGED_LABEL: "true"}


async def test_finalizers_of_a_template_stay_at_home_with_a_warning(
    host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """Nobody in a member would remove them: a warning event says so; an override may set them for one cluster."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    template = {"metadata": {"finalizers": ["example.com/wait"]}, "data": {"a": "b"}}
    operation = {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/hold"]}
    overrides = [{"clusterName": "m2", "clusterOverrides": [operation]}]
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", template, clusters=["m1", "m2"], overrides=overrides)
    one, two = await holds(m1, CONFIGMAPS, namespace, "web"), await holds(m2, CONFIGMAPS, namespace, "web")
    assert "finalizers" not in one["metadata"]
    assert two["metadata"]["finalizers"] == ["example.com/hold"]

    async def warned() -> object:
        return await reported_events(web, "TemplateFieldIgnored")

    (message,) = await eventually(warned)
    assert "spec.template.metadata.finalizers" in message

    await web.place("m1")  # m2 holds on to it until its finalizer goes
    reported = await web.get()
    assert "m2" in str(reported["status"]["clusters"])
    assert (await holds(m2, CONFIGMAPS, namespace, "web"))["metadata"]["deletionTimestamp"]
    await m2.patch(CONFIGMAPS, namespace, "web", {"metadata": {"finalizers": None}})

    async def left() -> bool:
        return "m2" not in str((await web.get())["status"]["clusters"])

    await eventually(left)


async def test_what_only_a_server_sets_is_left_out(host: Api, m1: Api, namespace: str) -> None:
    """A template that was copied from a live object, nulls and status and all, is pushed and stays quiet."""
    await federated_namespace(host, namespace, ["m1"])
    template = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"labels": {"app": "web"}, "creationTimestamp": None},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {},
            "template": {
                "metadata": {"labels": {"app": "web"}, "creationTimestamp": None},
                "spec": {"containers": [{"name": "web", "image": "web:1", "resources": {}}]},
            },
        },
        "status": {"replicas": 7},
    }
    web = await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", template, clusters=["m1"])
    stored = await holds(m1, DEPLOYMENTS, namespace, "web")
    assert stored["spec"]["replicas"] == 2
    assert stored["spec"]["strategy"]["type"] == "RollingUpdate", "the member's own default"
    assert stored["status"].get("replicas") != 7
    assert await reported_events(web, "TemplateFieldIgnored") == []


async def test_a_field_that_leaves_the_template_leaves_the_member(host: Api, m1: Api, namespace: str) -> None:
    """Data, a container and an env variable go; the defaults that the member filled in stay the member's."""
    await federated_namespace(host, namespace, ["m1"])
    pod = {
        "containers": [
            {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"name": "aside", "image": "aside:1"},
        ]
    }
    labels = {"app": "web"}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    web = await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", {"spec": spec}, clusters=["m1"])
    smaller = {"containers": [{"name": "web", "image": "web:1", "env": [{"name": "B", "value": "2"}]}]}
    await web.change({"template": {"spec": {"template": {"spec": smaller}}}})
    stored = await holds(m1, DEPLOYMENTS, namespace, "web")
    (container,) = stored["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "B", "value": "2"}]
    assert container["imagePullPolicy"] == "IfNotPresent"
