"""Deletions that are more than go by themselves, on real API servers: held, shown, taken back, approved, rejected."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from federation.joining import setup
from federation.model import marks
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, KUBEFED_CONFIGS, NAMESPACES
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    Api,
    condition,
    eventually,
    federated_namespace,
    line,
    never,
)
from tests.clusters.modes import PUSH
from tests.clusters.steps import Federated, cluster_condition, configure, create, gone, holds, make

pytestmark = pytest.mark.usefixtures("mode")

DATA = {"data": {"a": "b"}}
WINDOW = 5.0
Run = Callable[..., Awaitable[Ran]]


async def groups(host: Api) -> list[dict[str, Any]]:
    """Those that the KubeFedConfig's status shows."""
    stored = await host.get(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, marks.CONFIG)
    assert stored is not None
    return list(((stored.get("status") or {}).get("deletions") or {}).get("groups") or [])


async def group_of(host: Api, cause: str, subject: str = "", deletions: int = 0) -> dict[str, Any]:
    """The group that follows from this, once it is told of with so many deletions."""

    async def told() -> object:
        found = await groups(host)
        fits = [each for each in found if (each["cause"], each["subject"]) == (cause, subject)]
        return fits[0] if fits and fits[0]["deletions"] >= deletions else None

    return dict(await eventually(told, within=40.0, seen=f"{cause} {subject} held"))


async def ended(host: Api, group: str) -> None:
    """Until nothing is left of a group."""

    async def over() -> bool:
        return group not in {each["id"] for each in await groups(host)}

    await eventually(over, within=40.0, seen=f"group {group} gone")


@pytest.fixture
async def counted(host: Api, namespace: str) -> AsyncIterator[None]:
    """Deletions are counted, and whatever is held at the end goes."""
    await asyncio.sleep(2)  # what the test before has deleted
    await configure(host, {"deletionBudget": {"enforcement": "Enabled", "window": f"{WINDOW:g}s"}})
    await asyncio.sleep(1)
    yield
    await configure(host, setup.NOTHING_HELD)
    for cluster in ("m1", "m2"):
        labels = {"metadata": {"labels": {"stage": None}}}
        await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, cluster, labels)

    async def none() -> bool:
        found = await groups(host)
        words = {f"{marks.DELETIONS_PREFIX}{each['id']}": marks.APPROVED for each in found}
        await host.patch(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, marks.CONFIG, {"metadata": {"annotations": words}})
        return not found

    await eventually(none, within=60.0, every=1.0, seen="nothing held")


@pytest.fixture
def run(fleet: Fleet) -> Run:
    """fedctl at the host."""
    host = ("--kubeconfig", str(fleet.playground.kubeconfig), "--host-cluster-context", "host")

    async def ran(*arguments: str) -> Ran:
        return await asyncio.to_thread(fedctl, *arguments, *host)

    return ran


async def several(host: Api, namespace: str, number: int, **options: Any) -> list[Federated]:
    """So many FederatedConfigMaps, Ready; in m1 and m2, unless the options say otherwise."""
    placed = options or {"clusters": ["m1", "m2"]}
    made = [await create(host, FEDERATED_CONFIGMAPS, namespace, f"c{each}", DATA, **placed) for each in range(number)]
    for each in made:
        await each.settled()
    return made


async def there(member: Api, namespace: str) -> set[str]:
    """The names of our ConfigMaps in a member."""
    return {
        each["metadata"]["name"]
        for each in await member.items(CONFIGMAPS, namespace)
        if each.get("data") == DATA["data"]
    }


@pytest.mark.usefixtures("counted")
async def test_a_namespace_that_is_placed_nowhere_by_mistake(  # noqa: PLR0917 - fixtures
    host: Api, m1: Api, m2: Api, namespace: str, run: Run, mode: str
) -> None:
    """Held with all that is in it, shown, and gone without a trace when the placement is put back.

    The namespace itself stays in pull mode, so that it is only what is in it that is held.
    """
    await federated_namespace(host, namespace, ["m1", "m2"])
    made = await several(host, namespace, 8)
    around = Federated(host, FEDERATED_NAMESPACES, namespace, namespace)
    await around.settled()
    before = {each["metadata"]["uid"] for each in await m1.items(CONFIGMAPS, namespace)}

    await around.patch({"spec": {"placement": {"clusters": []}}})
    held = [*made, around] if mode == PUSH else made
    group = await group_of(host, "FederatedNamespace", namespace, deletions=2 * len(held))
    assert sorted(group["clusters"]) == ["m1", "m2"]
    assert group["by"], "managedFields show who has changed it"
    await made[0].reports("m1", "WaitingForRemoval", f"held as {group['id']}")
    for each in (held[0], held[-1]):
        assert (await each.reason("DeletionsHeld", "OverBudget"))["status"] == "True"
    assert condition(await host.get(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, marks.CONFIG), "DeletionsHeld")

    shown = await run("deletions")
    assert shown.code == 0
    assert group["id"] in shown.out
    assert f"placement of FederatedNamespace '{namespace}'" in shown.out
    as_json = json.loads((await run("deletions", "-o", "json")).out)
    assert group["id"] in [each["id"] for each in as_json["groups"]]
    assert (await run("deletions", "approve", "nobody")).code != 0

    assert {each["metadata"]["uid"] for each in await m1.items(CONFIGMAPS, namespace)} == before
    await around.patch({"spec": {"placement": {"clusters": [{"name": "m1"}, {"name": "m2"}]}}})
    await ended(host, group["id"])
    for each in (*made, around):
        await each.settled()
        await each.without("DeletionsHeld")
    assert {each["metadata"]["uid"] for each in await m1.items(CONFIGMAPS, namespace)} == before
    assert await there(m2, namespace) == {f"c{each}" for each in range(8)}


@pytest.mark.usefixtures("counted")
async def test_a_label_that_is_taken_off_a_cluster_and_a_restart_in_the_hold(  # noqa: PLR0917 - fixtures
    fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str, run: Run
) -> None:
    for cluster in ("m1", "m2"):
        label = {"metadata": {"labels": {"stage": "prod"}}}
        await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, cluster, label)
    await federated_namespace(host, namespace, ["m1", "m2"])
    made = await several(host, namespace, 8, placement={"clusterSelector": {"matchLabels": {"stage": "prod"}}})

    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m1", {"metadata": {"labels": {"stage": None}}})
    group = await group_of(host, "ClusterLabels", "m1", deletions=8)
    names = {f"c{each}" for each in range(8)}
    assert await there(m1, namespace) == names
    fleet.controller.kill()
    await asyncio.to_thread(fleet.controller.start)

    async def any_gone() -> bool:
        return await there(m1, namespace) != names

    await never(any_gone, during=10.0)
    assert group["id"] in [each["id"] for each in await groups(host)]
    ran = await run("deletions", "approve", group["id"])
    assert (ran.code, ran.err) == (0, f"group {group['id']}: its deletions go on\n")

    async def all_gone() -> bool:
        return not await there(m1, namespace)

    await eventually(all_gone, within=30.0)
    assert await there(m2, namespace) == names
    await ended(host, group["id"])
    await made[0].without("DeletionsHeld")

    async def untold() -> bool:
        return not line(await made[0].get(), "m1")

    await eventually(untold)


@pytest.mark.usefixtures("counted")
async def test_many_that_are_deleted_at_once_and_a_rejection(host: Api, m1: Api, namespace: str, run: Run) -> None:
    """30 % of the wrappers: they wait with their finalizers. Rejected: they go, and their copies stay."""
    await federated_namespace(host, namespace, ["m1"])
    made = await several(host, namespace, 20, clusters=["m1"])
    await asyncio.gather(*(each.delete() for each in made[:6]))
    group = await group_of(host, "DeletedByName", deletions=5)
    kept = await there(m1, namespace)
    assert len(kept) >= 19, "one may have come alone"
    waiting = [each for each in made[:6] if await each.get()]
    assert len(waiting) >= 5
    await waiting[-1].reason("DeletionsHeld", "OverBudget")
    ran = await run("deletions", "reject", group["id"])
    assert ran.code == 0
    for each in waiting:
        await each.gone()
    assert await there(m1, namespace) == kept
    released = await m1.get(CONFIGMAPS, namespace, str(waiting[-1]).rpartition("/")[2])
    assert released is not None
    assert marks.MANAGED_LABEL not in (released["metadata"].get("labels") or {})
    await ended(host, group["id"])


@pytest.mark.usefixtures("counted")
async def test_a_namespace_with_something_of_others_asks_and_an_empty_one_goes(
    host: Api, m1: Api, m2: Api, namespace: str, run: Run
) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    await several(host, namespace, 1)
    own = {"metadata": {"name": "own", "namespace": namespace}, "data": {"of": "a user"}}
    await m1.create(CONFIGMAPS, own, namespace)
    around = Federated(host, FEDERATED_NAMESPACES, namespace, namespace)
    await around.patch({"spec": {"placement": {"clusters": [{"name": "m1"}]}}})
    await gone(m2, NAMESPACES, "", namespace)
    await around.patch({"spec": {"placement": {"clusters": []}}})
    group = await group_of(host, "FederatedNamespace", namespace)
    assert f"namespace '{namespace}' in m1 has ConfigMap \"own\" in it" in group["message"]
    assert (await m1.get(NAMESPACES, "", namespace) or {})["status"]["phase"] == "Active"
    assert await there(m1, namespace) == {"c0"}
    assert (await run("deletions", "approve", group["id"])).code == 0
    await gone(m1, NAMESPACES, "", namespace)


@pytest.mark.usefixtures("counted")
async def test_one_namespace_that_is_deleted_by_name_goes(host: Api, m1: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, ["m1"])
    await several(host, namespace, 7, clusters=["m1"])
    around = Federated(host, FEDERATED_NAMESPACES, namespace, namespace)
    await around.delete()
    await gone(m1, NAMESPACES, "", namespace)
    await around.gone()
    assert [each for each in await groups(host) if each["subject"] == namespace] == []


async def test_a_protected_object_goes_nowhere(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, ["m1", "m2"])
    annotations = {marks.PROTECTION_ANNOTATION: "true"}
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=["m1", "m2"], annotations=annotations)
    await web.patch({"spec": {"placement": {"clusters": [{"name": "m1"}]}}})
    await web.reports("m2", "WaitingForRemoval", "protected")
    await web.delete()
    await web.reports("m1", "WaitingForRemoval", "protected")
    assert marks.PROTECTION_ANNOTATION in (await web.reason("DeletionsHeld", "Protected"))["message"]
    await holds(m1, CONFIGMAPS, namespace, "web")
    await holds(m2, CONFIGMAPS, namespace, "web")
    await web.annotate(**{"delete-protection": None})
    await web.gone()
    await gone(m2, CONFIGMAPS, namespace, "web")


@pytest.mark.usefixtures("quick")
async def test_what_is_left_in_a_cluster_that_is_taken_out_is_offered_when_it_is_back(
    fleet: Fleet, host: Api, m2: Api, namespace: str, run: Run
) -> None:
    """m2 does not answer, an object goes meanwhile, and m2 is taken out by force; it joins again later."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", DATA, clusters=["m1", "m2"])
    stored = await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m2")
    assert stored is not None
    identity = stored["metadata"]["annotations"][marks.IDENTITY_ANNOTATION]
    fleet.playground.pause("m2")
    try:
        await cluster_condition(host, "m2", "Ready", "False")
        await web.delete()
        await web.reports("m2", "WaitingForRemoval")
        await host.delete(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m2")
        await web.gone()
    finally:
        fleet.playground.resume("m2")
        await fleet.join("m2")
    await cluster_condition(host, "m2", "Ready", "True")
    group = await group_of(host, "LeftBehind", identity)
    assert [each["name"] for each in group["examples"] if each["namespace"] == namespace] == ["web"]
    assert "copies that were left behind when cluster 'm2' was taken out" in (await run("deletions")).out
    await holds(m2, CONFIGMAPS, namespace, "web")
    assert (await run("deletions", "approve", group["id"])).code == 0
    await gone(m2, CONFIGMAPS, namespace, "web")
    await ended(host, group["id"])
