"""Objects that were there before us: taken over or left alone as KubeFedConfig says, whoever made them and how."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from federation.kube.connection import expect
from federation.model.marks import MANAGED_LABEL
from federation.model.resources import NAMESPACES, ObjectName, Resource
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_SERVICES,
    SERVICES,
    Api,
    federated_namespace,
)
from tests.clusters.steps import configure, create, gone, holds, make

pytestmark = pytest.mark.usefixtures("mode")


@pytest.fixture
async def spared(host: Api) -> AsyncIterator[None]:
    """Adoption is disabled, for one test."""
    await configure(host, {"syncController": {"adoptResources": "Disabled"}})
    yield
    await configure(host, {"syncController": {"adoptResources": "Enabled"}})


@pytest.fixture
async def place(host: Api, m1: Api, namespace: str) -> str:
    """The namespace, federated and there in m1."""
    await federated_namespace(host, namespace, ["m1"])
    await holds(m1, NAMESPACES, "", namespace)
    return namespace


def configmap(namespace: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": namespace}, "data": data}


async def write(api: Api, method: str, resource: Resource, body: dict[str, Any], manager: str) -> None:
    """POST or PUT under a field manager's name, as clients that know nothing of apply do."""
    metadata = body["metadata"]
    where = ObjectName(metadata["namespace"], metadata["name"])
    path = resource.collection(where.namespace) if method == "POST" else resource.path(where)
    expect(await api.connection.request(method, path, params={"fieldManager": manager}, body=orjson.dumps(body)), path)


async def by_post(api: Api, body: dict[str, Any]) -> None:
    await write(api, "POST", CONFIGMAPS, body, "kubectl-create")


async def by_kubectl(api: Api, body: dict[str, Any]) -> None:
    """kubectl apply of old: an Update entry and the last-applied annotation."""
    last = {"kubectl.kubernetes.io/last-applied-configuration": orjson.dumps(body).decode()}
    body = {**body, "metadata": {**body["metadata"], "annotations": last}}
    await write(api, "POST", CONFIGMAPS, body, "kubectl-client-side-apply")


async def by_apply(api: Api, body: dict[str, Any]) -> None:
    await api.apply(CONFIGMAPS, body, manager="kubectl")


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(by_post, id="posted"),
        pytest.param(by_kubectl, id="kubectl-apply"),
        pytest.param(by_apply, id="server-side-applied"),
    ],
)
async def test_an_existing_object_is_adopted(host: Api, m1: Api, place: str, how: Any) -> None:
    """It keeps its uid, gets our label and values; what only its maker named stays, and drift is then put back."""
    await how(m1, configmap(place, {"a": "old", "theirs": "1"}))
    before = await holds(m1, CONFIGMAPS, place, "web")
    web = await make(host, FEDERATED_CONFIGMAPS, place, "web", {"data": {"a": "b", "c": "d"}}, clusters=["m1"])
    stored = await holds(m1, CONFIGMAPS, place, "web")
    assert stored["metadata"]["uid"] == before["metadata"]["uid"]
    assert stored["metadata"]["labels"] == {MANAGED_LABEL: "true"}
    assert stored["data"] == {"a": "b", "c": "d", "theirs": "1"}
    await web.change({"template": {"data": {"c": None}}})
    assert (await holds(m1, CONFIGMAPS, place, "web"))["data"] == {"a": "b", "theirs": "1"}
    await m1.patch(CONFIGMAPS, place, "web", {"data": {"a": "edited"}})
    await holds(m1, CONFIGMAPS, place, "web", lambda found: found["data"]["a"] == "b")


@pytest.mark.parametrize("how", [pytest.param(by_post, id="posted"), pytest.param(by_kubectl, id="kubectl-apply")])
async def test_a_key_its_maker_also_named_goes_when_the_template_drops_it(
    host: Api, m1: Api, place: str, how: Any
) -> None:
    """Shared ownership would keep it for ever: what the template named is ours alone after adoption."""
    await how(m1, configmap(place, {"a": "b", "old": "x"}))
    web = await make(host, FEDERATED_CONFIGMAPS, place, "web", {"data": {"a": "b", "old": "x"}}, clusters=["m1"])
    await web.change({"template": {"data": {"old": None}}})
    assert (await holds(m1, CONFIGMAPS, place, "web"))["data"] == {"a": "b"}


async def test_with_adoption_disabled_it_is_left_alone_and_told(host: Api, m1: Api, spared: None, place: str) -> None:
    """AlreadyExists with what to change; the object is byte for byte as it was, also when the template changes."""
    await by_post(m1, configmap(place, {"a": "theirs"}))
    before = await m1.get(CONFIGMAPS, place, "web")
    web = await create(host, FEDERATED_CONFIGMAPS, place, "web", {"data": {"a": "b"}}, clusters=["m1"])
    reported = await web.reports("m1", "AlreadyExists")
    assert "adoptResources" in reported["message"]
    changed = await web.patch({"spec": {"template": {"data": {"a": "c"}}}})
    await web.reason("Ready", "CheckClusters")
    assert changed["metadata"]["generation"] == 2
    assert await m1.get(CONFIGMAPS, place, "web") == before
    await web.delete()
    await web.gone()
    assert await m1.get(CONFIGMAPS, place, "web") == before


async def test_with_adoption_disabled_what_is_ours_stays_ours(host: Api, m1: Api, spared: None, place: str) -> None:
    """Our own object whose label somebody removed is not a stranger's: the label comes back."""
    await make(host, FEDERATED_CONFIGMAPS, place, "web", {"data": {"a": "b"}}, clusters=["m1"])
    await m1.patch(CONFIGMAPS, place, "web", {"metadata": {"labels": {MANAGED_LABEL: None}}})
    labelled = await holds(
        m1, CONFIGMAPS, place, "web", lambda found: found["metadata"].get("labels") == {MANAGED_LABEL: "true"}
    )
    assert labelled["data"] == {"a": "b"}


async def test_adoption_that_is_enabled_later_takes_over(host: Api, m1: Api, spared: None, place: str) -> None:
    """The KubeFedConfig is read as it changes: no restart, no touch of the object."""
    await by_post(m1, configmap(place, {"a": "theirs"}))
    web = await create(host, FEDERATED_CONFIGMAPS, place, "web", {"data": {"a": "b"}}, clusters=["m1"])
    await web.reports("m1", "AlreadyExists")
    await configure(host, {"syncController": {"adoptResources": "Enabled"}})
    await web.settled()
    assert (await holds(m1, CONFIGMAPS, place, "web"))["data"] == {"a": "b"}


async def test_an_existing_object_that_goes_makes_room(host: Api, m1: Api, spared: None, place: str) -> None:
    """With adoption disabled the stranger's object is deleted by its owner: ours is created without being asked."""
    await by_post(m1, configmap(place, {"a": "theirs"}))
    web = await create(host, FEDERATED_CONFIGMAPS, place, "web", {"data": {"a": "b"}}, clusters=["m1"])
    await web.reports("m1", "AlreadyExists")
    await m1.delete(CONFIGMAPS, place, "web")
    await web.patch({"metadata": {"annotations": {"touched": "1"}}})
    await web.settled()
    assert (await holds(m1, CONFIGMAPS, place, "web"))["data"] == {"a": "b"}


async def test_what_kubefed_made_is_taken_over(host: Api, m1: Api, place: str) -> None:
    """KubeFed wrote by PUT under our label. A label, an env, a port and a probe's handler leave with the template."""
    labels = {"app": "web"}

    def deployment(*, probe: dict[str, Any], env: list[str], ports: list[int]) -> dict[str, Any]:
        container = {
            "name": "web",
            "image": "web:1",
            "env": [{"name": name, "value": "1"} for name in env],
            "ports": [{"containerPort": port} for port in ports],
            "livenessProbe": probe,
        }
        pods = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        return {"replicas": 1, "selector": {"matchLabels": labels}, "template": pods}

    old = deployment(probe={"httpGet": {"path": "/", "port": 80}}, env=["A", "B"], ports=[80, 81])
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": place, "labels": {"old": "x", MANAGED_LABEL: "true"}},
        "spec": old,
    }
    await write(m1, "POST", DEPLOYMENTS, body, "controller-manager")
    new = deployment(probe={"tcpSocket": {"port": 80}}, env=["B"], ports=[80])
    await make(host, FEDERATED_DEPLOYMENTS, place, "web", {"spec": new}, clusters=["m1"])
    stored = await holds(m1, DEPLOYMENTS, place, "web")
    (container,) = stored["spec"]["template"]["spec"]["containers"]
    assert stored["metadata"]["labels"] == {MANAGED_LABEL: "true"}
    assert [each["name"] for each in container["env"]] == ["B"]
    assert [each["containerPort"] for each in container["ports"]] == [80]
    assert "httpGet" not in container["livenessProbe"]
    assert container["livenessProbe"]["tcpSocket"] == {"port": 80}


async def test_a_services_addresses_survive_the_take_over(host: Api, m1: Api, place: str) -> None:
    """KubeFed's Service keeps clusterIP and nodePort through the take-over and a later change of its ports."""
    spec = {"type": "NodePort", "selector": {"app": "web"}}
    ports = [{"name": "http", "port": 80}, {"name": "old", "port": 81}]
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": place, "labels": {MANAGED_LABEL: "true"}},
        "spec": {**spec, "ports": ports},
    }
    await write(m1, "POST", SERVICES, body, "controller-manager")
    before = await holds(m1, SERVICES, place, "web")
    web = await make(host, FEDERATED_SERVICES, place, "web", {"spec": {**spec, "ports": ports[:1]}}, clusters=["m1"])
    stored = await holds(m1, SERVICES, place, "web")
    assert stored["spec"]["clusterIP"] == before["spec"]["clusterIP"]
    assert [(each["name"], each["nodePort"]) for each in stored["spec"]["ports"]] == [
        ("http", before["spec"]["ports"][0]["nodePort"])
    ]
    await web.change({"template": {"spec": {"selector": {"app": "other"}}}})
    after = await holds(m1, SERVICES, place, "web")
    assert after["spec"]["selector"] == {"app": "other"}
    assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]
    assert after["spec"]["ports"] == stored["spec"]["ports"]


async def test_kubefeds_retained_replicas_survive_the_take_over(host: Api, m1: Api, place: str) -> None:
    """An HPA's number in an object that KubeFed wrote by PUT stays through the first apply and the next."""
    labels = {"app": "web"}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": place, "labels": {MANAGED_LABEL: "true"}},
        "spec": {"replicas": 6, "selector": {"matchLabels": labels}, "template": pods},
    }
    await write(m1, "POST", DEPLOYMENTS, body, "controller-manager")
    template = {"spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": pods}}
    web = await make(host, FEDERATED_DEPLOYMENTS, place, "web", template, clusters=["m1"], retainReplicas=True)
    assert (await holds(m1, DEPLOYMENTS, place, "web"))["spec"]["replicas"] == 6
    await web.change({"template": {"metadata": {"labels": {"new": "1"}}}})
    stored = await holds(m1, DEPLOYMENTS, place, "web")
    assert (stored["spec"]["replicas"], stored["metadata"]["labels"]["new"]) == (6, "1")


async def test_a_managed_object_without_a_federated_one_is_released(host: Api, m1: Api, place: str) -> None:
    """As by KubeFed: the label goes, the object stays, and others are not held up."""
    body = configmap(place, {"a": "b"})
    body["metadata"]["labels"] = {MANAGED_LABEL: "true"}
    await by_post(m1, body)
    other = await make(host, FEDERATED_CONFIGMAPS, place, "other", {"data": {}}, clusters=["m1"])
    released = await holds(
        m1, CONFIGMAPS, place, "web", lambda found: MANAGED_LABEL not in found["metadata"].get("labels", {})
    )
    assert released["data"] == {"a": "b"}
    await other.delete()
    await other.gone()
    await gone(m1, CONFIGMAPS, place, "other")
    assert await m1.get(CONFIGMAPS, place, "web") is not None
