"""Proven deletion: before something is removed from a member, the hub is asked whether it still says so.

A member is away while a change at the hub would take something from it. The hub goes away, the change is taken back,
and the member returns before the hub's watches do: what the controller remembers is wrong then, and nothing may follow.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, TYPE_CONFIGS
from federation.playground.faults import Fault, Injected
from tests.clusters.faulty import Faulty, tried
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    eventually,
    federated,
    federated_namespace,
    line,
    never,
    ready,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

FEDERATED = "federatedconfigmaps.types.kubefed.io"
Step = Callable[[], Awaitable[object]]

LONG = 15.0
"""Seconds that the hub is away: its watches are tried again after a longer time than a member's probe then."""
SHORT = 1.5
"""The same where a fault keeps the watches away."""


async def in_both(faulty: Faulty, namespace: str, selector: dict[str, Any] | None = None) -> None:
    """A federated namespace and ConfigMap that both members hold, and something of a user's own beside it in m1."""
    await faulty.federate(namespace)
    named = {"clusters": [{"name": "m1"}, {"name": "m2"}]}
    placement = named if selector is None else {"clusterSelector": selector}
    body = federated(FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, placement=placement)
    await faulty.host.create(FEDERATED_CONFIGMAPS, body, namespace)
    await faulty.until_held(faulty.m1, namespace, "web", "b")
    await faulty.until_ready(namespace, "web")
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "users-own", "namespace": namespace}}
    await faulty.m1.create(CONFIGMAPS, own, namespace)


async def leaves(faulty: Faulty, change: Step) -> None:
    """m1 is away when something changes that would take its copy."""
    faulty.to_m1.inject(Fault("refuse"))
    await faulty.until_cluster("m1", "False")
    await change()
    await asyncio.sleep(1.0)


async def deaf(faulty: Faulty, back: Step) -> Injected:
    """The hub has been away, and answers all but watches; meanwhile the change is taken back."""
    faulty.to_host.inject(Fault("refuse"))
    await asyncio.sleep(SHORT)
    faulty.to_host.clear()
    watching = faulty.to_host.inject(Fault("status", verb="watch", code=503))
    await back()
    return watching


async def returns(faulty: Faulty, namespace: str) -> None:
    """m1 is back, and nothing of this namespace is removed there."""
    faulty.forget_requests()
    await asyncio.sleep(1.0)
    faulty.to_m1.clear()
    await never(lambda: removals(faulty, namespace), during=6.0)


async def removals(faulty: Faulty, namespace: str) -> list[object]:
    """Deletes that were tried in m1, and patches, by which copies are let go."""
    return [each for each in tried(faulty.to_m1, namespace=namespace) if each.verb in {"delete", "patch"}]


async def place_namespace(faulty: Faulty, namespace: str, *clusters: str) -> None:
    placement = {"clusters": [{"name": cluster} for cluster in clusters]}
    await faulty.host.patch(FEDERATED_NAMESPACES, namespace, namespace, {"spec": {"placement": placement}})


async def label(faulty: Faulty, cluster: str, value: str | None) -> None:
    await faulty.host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, cluster, {"metadata": {"labels": {"proof": value}}})


async def kept(faulty: Faulty, namespace: str) -> None:
    """All is as it was in m1, once the hub's watches are back."""
    await faulty.settle()
    await faulty.until_ready(namespace, "web")
    await faulty.until_held(faulty.m1, namespace, "web", "b")
    assert await faulty.m1.get(CONFIGMAPS, namespace, "users-own") is not None
    assert await removals(faulty, namespace) == []


async def test_a_namespaces_placement_is_taken_back(faulty: Faulty, namespace: str) -> None:
    """The FederatedNamespace's placement dropped m1 and takes it in again; watches come back in their own time."""
    await in_both(faulty, namespace)
    await leaves(faulty, lambda: place_namespace(faulty, namespace, "m2"))
    faulty.to_host.inject(Fault("refuse"))
    await asyncio.sleep(LONG)
    faulty.to_host.clear()
    await place_namespace(faulty, namespace, "m1", "m2")
    await asyncio.sleep(4.0)
    await returns(faulty, namespace)
    await kept(faulty, namespace)


async def test_an_objects_placement_is_taken_back(faulty: Faulty, namespace: str) -> None:
    await in_both(faulty, namespace)
    await leaves(faulty, lambda: faulty.place(namespace, "web", "m2"))
    watching = await deaf(faulty, lambda: faulty.place(namespace, "web", "m1", "m2"))
    await returns(faulty, namespace)
    watching.cleared = True
    await kept(faulty, namespace)


async def test_a_clusters_label_is_put_back(faulty: Faulty, namespace: str) -> None:
    try:
        await label(faulty, "m1", "yes")
        await in_both(faulty, namespace, selector={"matchLabels": {"proof": "yes"}})
        await leaves(faulty, lambda: label(faulty, "m1", None))
        watching = await deaf(faulty, lambda: label(faulty, "m1", "yes"))
        await returns(faulty, namespace)
        watching.cleared = True
        await kept(faulty, namespace)
    finally:
        await label(faulty, "m1", None)


async def test_a_federated_namespace_is_made_again(faulty: Faulty, namespace: str) -> None:
    """It was deleted, somebody took its finalizer off, and it is there again: another one, which places the same."""
    await in_both(faulty, namespace)

    async def again() -> None:
        unheld = {"metadata": {"finalizers": None}}
        await faulty.host.patch(FEDERATED_NAMESPACES, namespace, namespace, unheld)
        await federated_namespace(faulty.host, namespace, ["m1", "m2"])

    await leaves(faulty, lambda: faulty.host.delete(FEDERATED_NAMESPACES, namespace, namespace))
    watching = await deaf(faulty, again)
    await returns(faulty, namespace)
    watching.cleared = True
    await kept(faulty, namespace)


async def test_a_type_is_disabled_meanwhile(faulty: Faulty, namespace: str) -> None:
    """Members' objects of a disabled type stay, also what was to be removed when it was."""
    await in_both(faulty, namespace)
    type_config = "configmaps"

    async def propagation(word: str) -> None:
        await faulty.host.patch(TYPE_CONFIGS, SYSTEM_NAMESPACE, type_config, {"spec": {"propagation": word}})

    await leaves(faulty, lambda: faulty.place(namespace, "web", "m2"))
    try:
        watching = await deaf(faulty, lambda: propagation("Disabled"))
        await returns(faulty, namespace)
        await faulty.place(namespace, "web", "m1", "m2")
        watching.cleared = True
    finally:
        await propagation("Enabled")
    await kept(faulty, namespace)


async def test_the_hubs_api_server_was_started_again(faulty: Faulty, namespace: str) -> None:
    """It is killed, and answers by name as soon as it is up; the controller's watches are still away."""
    await in_both(faulty, namespace)
    await leaves(faulty, lambda: faulty.place(namespace, "web", "m2"))
    watching = faulty.to_host.inject(Fault("status", verb="watch", code=503))
    await faulty.kill("host")
    await asyncio.sleep(SHORT)
    await faulty.revive("host")
    await faulty.place(namespace, "web", "m1", "m2")
    await returns(faulty, namespace)
    watching.cleared = True
    await kept(faulty, namespace)


NOT_FOUND = (
    b'{"kind":"Status","apiVersion":"v1","status":"Failure","message":"%s","reason":"NotFound","details":{},"code":404}'
)
UNSERVED = NOT_FOUND % b"the server could not find the requested resource"
OF_A_PROXY = NOT_FOUND % b"no route"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("status", verb="get", resource=FEDERATED, code=503), id="503"),
        pytest.param(Fault("status", verb="get", resource=FEDERATED, code=404, body=UNSERVED), id="type-not-served"),
        pytest.param(Fault("status", verb="get", resource=FEDERATED, code=404, body=OF_A_PROXY), id="nameless-404"),
        pytest.param(Fault("blackhole", verb="get", resource=FEDERATED), id="silent"),
    ],
)
async def test_a_hub_that_cannot_be_asked_deletes_nothing(faulty: Faulty, namespace: str, fault: Fault) -> None:
    """Its watches go on, and it does not answer by name: the removal waits, says so, and is done once it answers."""
    await in_both(faulty, namespace)
    faulty.to_host.inject(fault)
    await faulty.place(namespace, "web", "m2")
    await eventually(lambda: _says(faulty, namespace, "the hub, asked whether the federated object still says so"))
    await never(lambda: removals(faulty, namespace), during=3.0)
    await faulty.make(namespace, "new")
    await faulty.until_held(faulty.m1, namespace, "new", "b")
    faulty.to_host.clear()
    await faulty.until_held(faulty.m1, namespace, "web", None)
    await faulty.until_ready(namespace, "web")


async def test_an_absence_needs_a_404_that_names_the_object(faulty: Faulty, namespace: str) -> None:
    """A list without the FederatedNamespace, and a 404 of no storage's: its objects stay where they are."""
    await in_both(faulty, namespace)
    await faulty.quiet()
    spaces = "federatednamespaces.types.kubefed.io"
    empty = b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'
    faulty.to_host.inject(Fault("status", verb="get", resource=spaces, code=404, body=UNSERVED))
    lying = faulty.to_host.inject(Fault("status", verb="list", resource=spaces, code=200, body=empty, times=1))
    faulty.to_host.inject(Fault("expire", verb="watch", resource=spaces, times=1))
    await eventually(lambda: _true(lying.hits >= 1))
    await never(lambda: removals(faulty, namespace), during=5.0)
    faulty.to_host.clear()
    faulty.to_host.inject(Fault("expire", verb="watch", resource=spaces, times=1))
    await kept(faulty, namespace)


async def test_what_the_hub_still_says_is_done(faulty: Faulty, namespace: str) -> None:
    """Nobody takes the change back. It is carried out as soon as m1 returns, and the hub was asked before."""
    await in_both(faulty, namespace)
    await leaves(faulty, lambda: faulty.place(namespace, "web", "m2"))
    watching = await deaf(faulty, lambda: asyncio.sleep(0))
    faulty.forget_requests()
    faulty.to_m1.clear()
    await faulty.until_held(faulty.m1, namespace, "web", None)
    # Once, or again where what the hub had said was too old by the time that the member was asked.
    assert {each.code for each in faulty.to_host.requests.where(verb="get", resource=FEDERATED, name="web")} == {200}
    watching.cleared = True
    await faulty.settle()
    assert ready(await faulty.until_ready(namespace, "web"))


async def test_a_deletion_that_was_watched_asks_nothing(faulty: Faulty, namespace: str) -> None:
    """Where contact with the hub was not lost, a user's own deletion costs no request more than before."""
    await in_both(faulty, namespace)
    await faulty.quiet()
    faulty.forget_requests()
    await faulty.host.delete(FEDERATED_CONFIGMAPS, namespace, "web")
    await faulty.until_held(faulty.m1, namespace, "web", None)
    assert faulty.to_host.requests.where(verb="get", resource=FEDERATED) == []


async def test_a_deletion_is_asked_for_after_an_outage(faulty: Faulty, namespace: str) -> None:
    """It was seen, m1 was away, and the hub since: it is asked once more, and the copy goes."""
    await in_both(faulty, namespace)
    await leaves(faulty, lambda: faulty.host.delete(FEDERATED_CONFIGMAPS, namespace, "web"))
    watching = await deaf(faulty, lambda: asyncio.sleep(0))
    faulty.forget_requests()
    faulty.to_m1.clear()
    await faulty.until_held(faulty.m1, namespace, "web", None)
    assert faulty.to_host.requests.where(verb="get", resource=FEDERATED, name="web")
    watching.cleared = True
    await eventually(lambda: _gone(faulty, namespace))


async def _says(faulty: Faulty, namespace: str, what: str) -> bool:
    found = line(await faulty.stored(namespace, "web"), "m1")
    return found.get("status") == "WaitingForRemoval" and what in found.get("message", "")


async def _true(value: bool) -> bool:
    return value


async def _gone(faulty: Faulty, namespace: str) -> bool:
    return await faulty.host.get(FEDERATED_CONFIGMAPS, namespace, "web") is None
