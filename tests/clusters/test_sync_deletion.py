"""A federated object goes: so do its copies, unless they were orphaned, as the user's DeleteOptions say."""

import orjson
import pytest

from federation.model.marks import MANAGED_LABEL, SYNC_FINALIZER
from federation.model.resources import Resource
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    Api,
    eventually,
    federated_namespace,
    never,
)
from tests.clusters.steps import Federated, create, gone, holds, make

pytestmark = pytest.mark.usefixtures("mode")

REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets", namespaced=True)


@pytest.fixture
async def web(host: Api, namespace: str) -> Federated:
    """A federated ConfigMap, settled in m1 and m2."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    return await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1", "m2"])


async def test_the_finalizer_holds_until_every_copy_is_gone(web: Federated, m1: Api, m2: Api, namespace: str) -> None:
    """A copy with a finalizer of its own holds the object back, which says WaitingForRemoval and where."""
    await m2.patch(CONFIGMAPS, namespace, "web", {"metadata": {"finalizers": ["example.com/hold"]}})
    await web.delete()
    await gone(m1, CONFIGMAPS, namespace, "web")
    await web.reports("m2", "WaitingForRemoval", within=60.0)  # in pull mode it is said after half a minute

    async def waits_for_m2_alone() -> bool:
        return [line["name"] for line in (await web.get())["status"]["clusters"]] == ["m2"]

    await eventually(waits_for_m2_alone, within=60.0)
    assert (await web.get())["metadata"]["finalizers"] == [SYNC_FINALIZER]
    await m2.patch(CONFIGMAPS, namespace, "web", {"metadata": {"finalizers": None}})
    await web.gone()
    await gone(m2, CONFIGMAPS, namespace, "web")


async def test_a_finalizer_that_holds_a_copy_is_named(web: Federated, m2: Api, namespace: str) -> None:
    """Whoever waits knows for what."""
    await m2.patch(CONFIGMAPS, namespace, "web", {"metadata": {"finalizers": ["example.com/hold"]}})
    await web.delete()
    reported = await web.reports("m2", "WaitingForRemoval")
    assert "finalizer" in reported.get("message", "")
    await m2.patch(CONFIGMAPS, namespace, "web", {"metadata": {"finalizers": None}})
    await web.gone()


async def test_orphaning_leaves_the_copies_without_our_marks(web: Federated, m1: Api, m2: Api, namespace: str) -> None:
    """Neither label nor managedFields entry of ours is left; the next owner finds no conflict."""
    before = [await holds(api, CONFIGMAPS, namespace, "web") for api in (m1, m2)]
    await web.annotate(orphan="true")
    await web.delete()
    await web.gone()
    for api, old in zip((m1, m2), before, strict=True):
        stored = await holds(api, CONFIGMAPS, namespace, "web")
        assert stored["metadata"]["uid"] == old["metadata"]["uid"]
        assert MANAGED_LABEL not in stored["metadata"].get("labels", {})
        managers = {entry["manager"] for entry in stored["metadata"].get("managedFields", [])}
        assert not any(name.startswith("kubefed-") for name in managers)
        assert stored["data"] == {"a": "b"}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": namespace}}
        assert (await api.apply(CONFIGMAPS, {**body, "data": {"a": "b"}}, force=False))["data"] == {"a": "b"}


async def test_orphaning_beside_a_copy_that_is_marked_false(web: Federated, m1: Api, m2: Api, namespace: str) -> None:
    """Both copies stay: one let go, one never ours to touch."""
    await m2.patch(CONFIGMAPS, namespace, "web", {"metadata": {"labels": {MANAGED_LABEL: "false"}}})
    await web.reports("m2", "ManagedLabelFalse")
    await web.annotate(orphan="true")
    await web.delete()
    await web.gone()
    for api in (m1, m2):
        assert (await holds(api, CONFIGMAPS, namespace, "web"))["data"] == {"a": "b"}


async def test_orphaning_switched_off_again_deletes(web: Federated, m1: Api, namespace: str) -> None:
    """The annotation's value at the deletion decides."""
    await web.annotate(orphan="true")
    await web.annotate(orphan=None)
    await web.delete()
    await web.gone()
    await gone(m1, CONFIGMAPS, namespace, "web")


@pytest.mark.parametrize("policy", ["Orphan", "Background"])
async def test_delete_options_say_what_becomes_of_dependents(host: Api, m1: Api, namespace: str, policy: str) -> None:
    """kubefed.io/deleteoption: the member's ReplicaSet stays with Orphan and goes with Background."""
    await federated_namespace(host, namespace, ["m1"])
    labels = {"app": "web"}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    template = {"spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pods}}
    option = {"kubefed.io/deleteoption": orjson.dumps({"propagationPolicy": policy}).decode()}
    web = await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", template, clusters=["m1"], annotations=option)

    async def sets() -> list[str]:
        return [each["metadata"]["name"] for each in await m1.items(REPLICA_SETS, namespace)]

    (name,) = await eventually(sets)
    await web.delete()
    await web.gone()
    await gone(m1, DEPLOYMENTS, namespace, "web")
    if policy == "Orphan":
        stored = await holds(
            m1, REPLICA_SETS, namespace, name, lambda found: "ownerReferences" not in found["metadata"]
        )
        assert stored["metadata"]["name"] == name
    else:
        await gone(m1, REPLICA_SETS, namespace, name)


async def test_delete_options_that_cannot_be_read_delete_nothing(
    web: Federated, m1: Api, m2: Api, namespace: str
) -> None:
    """Each cluster says DeletionFailed and which annotation is wrong; mended, the deletion goes on by itself."""
    await web.annotate(deleteoption='{"propagationPolicy": "Sometimes"}')
    await web.delete()
    for cluster in ("m1", "m2"):
        reported = await web.reports(cluster, "DeletionFailed")
    assert "deleteoption" in str(await web.get())
    assert reported
    assert await m1.get(CONFIGMAPS, namespace, "web") is not None
    await web.annotate(deleteoption='{"propagationPolicy": "Foreground"}')
    await web.gone()
    for api in (m1, m2):
        await gone(api, CONFIGMAPS, namespace, "web")


async def test_a_copy_that_is_marked_false_stays_and_holds_nobody(
    web: Federated, m1: Api, m2: Api, namespace: str
) -> None:
    """Removal from placement and deletion pass it by."""
    await m1.patch(CONFIGMAPS, namespace, "web", {"metadata": {"labels": {MANAGED_LABEL: "false"}}})
    await web.reports("m1", "ManagedLabelFalse")
    await web.delete()
    await web.gone()
    await gone(m2, CONFIGMAPS, namespace, "web")
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "b"}


async def test_another_finalizer_holds_the_object_and_not_its_copies(
    web: Federated, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """Ours goes when the copies are gone; nothing is pushed again while somebody else's finalizer stays."""
    await web.patch({"metadata": {"finalizers": [SYNC_FINALIZER, "example.com/hold"]}})
    await web.delete()
    for api in (m1, m2):
        await gone(api, CONFIGMAPS, namespace, "web")

    async def released() -> bool:
        return bool((await web.get())["metadata"]["finalizers"] == ["example.com/hold"])

    await eventually(released)
    await never(lambda: m1.get(CONFIGMAPS, namespace, "web"), during=0.5)
    await web.patch({"metadata": {"finalizers": None}})
    await web.gone()


async def test_deleted_and_made_again_at_once(web: Federated, host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """The same name with another template: the members end up with the new one."""
    await web.delete()
    await web.gone()
    again = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"n": "2"}}, clusters=["m1"])
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"n": "2"}
    await gone(m2, CONFIGMAPS, namespace, "web")
    await again.settled()


async def test_deleted_while_the_controller_is_down(
    fleet: Fleet, web: Federated, m1: Api, m2: Api, namespace: str
) -> None:
    """The finalizer holds it; on start the copies go and then the object."""
    fleet.controller.kill()
    try:
        await web.delete()
        assert (await web.get())["metadata"]["deletionTimestamp"]
    finally:
        fleet.controller.start()
    await web.gone()
    for api in (m1, m2):
        await gone(api, CONFIGMAPS, namespace, "web")


async def test_an_object_that_was_never_pushed_goes_at_once(host: Api, m1: Api, namespace: str) -> None:
    """Its finalizer, where the API server has added it, goes at once."""
    await federated_namespace(host, namespace, ["m1"])
    web = await create(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=[])
    await web.settled()
    await web.delete()
    await web.gone()


async def test_a_removed_finalizer_comes_back(web: Federated, m1: Api, namespace: str) -> None:
    """Somebody strips it by a replace: it is put on again, so that a later deletion still cleans up."""
    await web.patch({"metadata": {"finalizers": None}})

    async def back() -> bool:
        return bool((await web.get())["metadata"].get("finalizers") == [SYNC_FINALIZER])

    await eventually(back)
    await web.delete()
    await web.gone()
    await gone(m1, CONFIGMAPS, namespace, "web")
