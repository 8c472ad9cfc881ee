"""Changes that come faster than members answer: what counts is the last one, and Ready means it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    Api,
    eventually,
    federated_namespace,
)
from tests.clusters.steps import Federated, create, gone, holds, make, names

pytestmark = pytest.mark.usefixtures("mode")

BOTH = [{"name": "m1"}, {"name": "m2"}]


@pytest.fixture
async def web(host: Api, namespace: str) -> Federated:
    """A federated ConfigMap, settled in m1 and m2."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    return await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"n": "0"}}, clusters=["m1", "m2"])


@pytest.fixture
async def unlabelled(host: Api) -> AsyncIterator[None]:
    """m2 loses the label of the test."""
    yield
    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m2", {"metadata": {"labels": {"haste": None}}})


async def test_the_last_of_many_changes_is_everywhere(web: Federated, m1: Api, m2: Api, namespace: str) -> None:
    """Forty generations without a pause."""
    for number in range(1, 41):
        await web.patch({"spec": {"template": {"data": {"n": f"{number}"}}}})
    await web.settled()
    for api in (m1, m2):
        assert (await holds(api, CONFIGMAPS, namespace, "web"))["data"] == {"n": "40"}


@pytest.mark.parametrize("last", [pytest.param(BOTH, id="in"), pytest.param(BOTH[:1], id="out")])
async def test_placement_to_and_fro(
    web: Federated, m1: Api, m2: Api, namespace: str, last: list[dict[str, str]]
) -> None:
    """Out of m2 and back a dozen times: the last word holds, and m1 is never touched."""
    before = await holds(m1, CONFIGMAPS, namespace, "web")
    for _ in range(12):
        await web.patch({"spec": {"placement": {"clusters": BOTH[:1]}}})
        await web.patch({"spec": {"placement": {"clusters": BOTH}}})
    await web.change({"placement": {"clusters": last}})
    if last == BOTH:
        await holds(m2, CONFIGMAPS, namespace, "web")
        await web.reports("m2")
    else:
        await gone(m2, CONFIGMAPS, namespace, "web")
    await asyncio.sleep(0.5)
    assert (await m2.get(CONFIGMAPS, namespace, "web") is not None) is (last == BOTH)
    assert await m1.get(CONFIGMAPS, namespace, "web") == before


async def test_a_label_that_comes_and_goes(host: Api, m2: Api, namespace: str, unlabelled: None) -> None:
    """A cluster's label flickers: the object is where the label says in the end."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    placement = {"clusterSelector": {"matchLabels": {"haste": "yes"}}}
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {}}, placement=placement)
    for value in [*(["yes", None] * 8), "yes"]:
        await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m2", {"metadata": {"labels": {"haste": value}}})
    await holds(m2, CONFIGMAPS, namespace, "web")
    await web.reports("m2")
    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m2", {"metadata": {"labels": {"haste": None}}})
    await gone(m2, CONFIGMAPS, namespace, "web")


async def test_created_and_deleted_in_one_breath(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """Objects that go before, while and after they are pushed leave nothing behind.

    Some of them go in spite of their finalizer: the API server had read them before it was there.
    """
    await federated_namespace(host, namespace, ["m1", "m2"])
    await Federated(host, FEDERATED_NAMESPACES, namespace, namespace).settled()

    async def one(number: int) -> None:
        web = await create(host, FEDERATED_CONFIGMAPS, namespace, f"n{number}", {"data": {}}, clusters=["m1", "m2"])
        await asyncio.sleep(number % 20 / 500)
        await web.delete()
        await web.gone(within=60.0)  # forty at once, on a machine that may be busy

    for first in range(0, 120, 40):
        await asyncio.gather(*(one(number) for number in range(first, first + 40)))
    for api in (m1, m2):

        async def left(api: Api = api) -> bool:
            return names(await api.items(CONFIGMAPS, namespace)) <= {"kube-root-ca.crt"}

        await eventually(left, within=60.0)


async def test_a_namespace_and_all_that_is_in_it_at_once(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """As `kubectl apply -f folder` does, objects before their namespace is anywhere: everything arrives."""
    await host.create(NAMESPACES, {"metadata": {"name": namespace}})
    made = [
        await create(host, FEDERATED_CONFIGMAPS, namespace, f"n{number}", {"data": {}}, clusters=["m1", "m2"])
        for number in range(5)
    ]
    await create(host, FEDERATED_NAMESPACES, namespace, namespace, None, clusters=["m1", "m2"])
    for web in made:
        await web.settled()
    for api in (m1, m2):
        for number in range(5):
            await holds(api, CONFIGMAPS, namespace, f"n{number}")


async def test_a_few_edits_in_a_row_are_put_back_at_once(web: Federated, m1: Api, namespace: str) -> None:
    """Three edits in a row are put back without delay, and the next change of the hub goes through."""
    for number in range(3):
        await m1.patch(CONFIGMAPS, namespace, "web", {"data": {"n": f"x{number}"}})
        await holds(m1, CONFIGMAPS, namespace, "web", lambda found: found["data"] == {"n": "0"})
    await web.settled()
    await web.change({"template": {"data": {"n": "1"}}})
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"n": "1"}
