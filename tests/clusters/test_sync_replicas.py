"""retainReplicas: a member's own number of replicas survives every update, and never falls because we leave it out."""

from typing import Any

import pytest

from federation.model.resources import NAMESPACES
from tests.clusters.harness import DEPLOYMENTS, FEDERATED_DEPLOYMENTS, Api, federated_namespace
from tests.clusters.steps import holds, make

pytestmark = pytest.mark.usefixtures("mode")


def deployment(replicas: int | None = 3, image: str = "web:1") -> dict[str, Any]:
    """A Deployment template."""
    labels = {"app": "web"}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    spec: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": pods}
    return {"spec": spec if replicas is None else {"replicas": replicas, **spec}}


def with_image(image: str) -> dict[str, Any]:
    """A change of the template's image alone."""
    return {"template": {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}}


def image(stored: dict[str, Any]) -> str:
    return str(stored["spec"]["template"]["spec"]["containers"][0]["image"])


async def scale(api: Api, namespace: str, replicas: int) -> None:
    """What an autoscaler does: PUT or PATCH of the scale subresource."""
    path = f"{DEPLOYMENTS.collection(namespace)}/web/scale"
    body = b'{"spec":{"replicas":%d}}' % replicas
    answer = await api.connection.request("PATCH", path, body=body, content_type="application/merge-patch+json")
    assert getattr(answer, "code", 0) == 200, answer


async def test_an_autoscalers_number_survives_template_updates(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """m1 is scaled to 5 and stays there through two generations; m2, whose number nobody touched, keeps its 3."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await make(
        host, FEDERATED_DEPLOYMENTS, namespace, "web", deployment(3), clusters=["m1", "m2"], retainReplicas=True
    )
    assert (await holds(m1, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 3
    await scale(m1, namespace, 5)
    for generation in ("web:2", "web:3"):
        await web.change(with_image(generation))
        for api, replicas in ((m1, 5), (m2, 3)):
            stored = await holds(api, DEPLOYMENTS, namespace, "web")
            assert (image(stored), stored["spec"]["replicas"]) == (generation, replicas)
    await web.change({"template": {"spec": {"replicas": 1}}})
    assert (await holds(m1, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 5
    assert (await holds(m2, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 3


@pytest.mark.parametrize("scaled", [pytest.param(6, id="scaled-before"), pytest.param(None, id="nobody-else-owns")])
async def test_switching_it_on_later_leaves_the_number(host: Api, m1: Api, namespace: str, scaled: int | None) -> None:
    """Without retention drift is put back; from the switch on, the member's number stands whoever owns it."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", deployment(4), clusters=["m1"])
    if scaled is not None:
        await scale(m1, namespace, scaled)
        await holds(m1, DEPLOYMENTS, namespace, "web", lambda stored: stored["spec"]["replicas"] == 4)
    await web.change({"retainReplicas": True})
    assert (await holds(m1, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 4
    await web.change(with_image("web:2"))
    stored = await holds(m1, DEPLOYMENTS, namespace, "web")
    assert (image(stored), stored["spec"]["replicas"]) == ("web:2", 4)
    await scale(m1, namespace, 7)
    await web.change(with_image("web:3"))
    stored = await holds(m1, DEPLOYMENTS, namespace, "web")
    assert (image(stored), stored["spec"]["replicas"]) == ("web:3", 7)


async def test_switching_it_off_puts_the_templates_number_in_force(host: Api, m1: Api, namespace: str) -> None:
    """And drift of replicas is put back from then on."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", deployment(2), clusters=["m1"], retainReplicas=True)
    await scale(m1, namespace, 8)
    await web.change({"retainReplicas": False})
    assert (await holds(m1, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 2
    await scale(m1, namespace, 9)
    await holds(m1, DEPLOYMENTS, namespace, "web", lambda stored: stored["spec"]["replicas"] == 2)


async def test_an_override_is_the_clusters_number(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """From the creation on, and whenever it changes; the other cluster's number is its own."""
    await federated_namespace(host, namespace, ["m1", "m2"])

    def overrides(replicas: int) -> list[dict[str, Any]]:
        return [{"clusterName": "m2", "clusterOverrides": [{"path": "/spec/replicas", "value": replicas}]}]

    web = await make(
        host,
        FEDERATED_DEPLOYMENTS,
        namespace,
        "web",
        deployment(1),
        clusters=["m1", "m2"],
        overrides=overrides(6),
        retainReplicas=True,
    )
    assert (await holds(m1, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 1
    assert (await holds(m2, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 6
    await web.change({"overrides": overrides(2)})
    assert (await holds(m2, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 2


async def test_a_template_that_loses_its_replicas_leaves_the_number(host: Api, m1: Api, namespace: str) -> None:
    """With retention on, leaving replicas out of the template is no reason to fall to 1."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", deployment(4), clusters=["m1"], retainReplicas=True)
    await web.change({"template": {"spec": {"replicas": None}}})
    assert (await holds(m1, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 4


async def test_switching_it_on_and_dropping_replicas_at_once_leaves_the_number(
    host: Api, m1: Api, namespace: str
) -> None:
    """One edit that turns retention on and takes replicas out of the template: the member's number stands."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", deployment(4), clusters=["m1"])
    await web.change({"retainReplicas": True, "template": {"spec": {"replicas": None}}})
    assert (await holds(m1, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 4


async def test_an_adopted_object_keeps_its_number(host: Api, m1: Api, namespace: str) -> None:
    """Somebody's Deployment, scaled to 7, is taken over: the template's image comes, its number does not."""
    await federated_namespace(host, namespace, ["m1"])
    await holds(m1, NAMESPACES, "", namespace)
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, **deployment(7, "old:1")}
    await m1.create(DEPLOYMENTS, body, namespace)
    web = await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", deployment(2), clusters=["m1"], retainReplicas=True)
    stored = await holds(m1, DEPLOYMENTS, namespace, "web")
    assert (image(stored), stored["spec"]["replicas"]) == ("web:1", 7)
    await web.change(with_image("web:2"))
    stored = await holds(m1, DEPLOYMENTS, namespace, "web")
    assert (image(stored), stored["spec"]["replicas"]) == ("web:2", 7)


async def test_an_override_of_replicas_counts_in_its_cluster_and_hands_over_when_it_goes(
    host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """KubeFed applied overrides after retention: m1 has the override's number, however it is scaled; m2 its own.

    Once the override is gone m1's number is retained again as it stands; it never falls to 1.
    """
    await federated_namespace(host, namespace, ["m1", "m2"])
    five = [{"clusterName": "m1", "clusterOverrides": [{"path": "/spec/replicas", "value": 5}]}]
    web = await make(
        host, FEDERATED_DEPLOYMENTS, namespace, "web", deployment(3), clusters=["m1", "m2"], retainReplicas=True
    )
    await scale(m1, namespace, 7)
    await scale(m2, namespace, 8)
    await web.change({"overrides": five})
    assert (await holds(m1, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 5
    assert (await holds(m2, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 8
    await scale(m1, namespace, 9)
    await holds(m1, DEPLOYMENTS, namespace, "web", lambda stored: stored["spec"]["replicas"] == 5)
    await web.change({"overrides": None, **with_image("web:2")})
    stored = await holds(m1, DEPLOYMENTS, namespace, "web", lambda stored: image(stored) == "web:2")
    assert stored["spec"]["replicas"] == 5
    await scale(m1, namespace, 6)
    await web.change(with_image("web:3"))
    stored = await holds(m1, DEPLOYMENTS, namespace, "web", lambda stored: image(stored) == "web:3")
    assert stored["spec"]["replicas"] == 6


async def test_an_override_of_replicas_counts_from_the_creation_on(host: Api, m1: Api, namespace: str) -> None:
    """And leaves with an update that names replicas no more."""
    await federated_namespace(host, namespace, ["m1"])
    four = [{"clusterName": "m1", "clusterOverrides": [{"op": "add", "path": "/spec/replicas", "value": 4}]}]
    web = await make(
        host, FEDERATED_DEPLOYMENTS, namespace, "web", deployment(2), clusters=["m1"], retainReplicas=True,
        overrides=four,
    )  # fmt: skip
    assert (await holds(m1, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 4
    await web.change({"overrides": None})
    await web.settled()
    assert (await holds(m1, DEPLOYMENTS, namespace, "web"))["spec"]["replicas"] == 4
