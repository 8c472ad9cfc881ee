"""Works that many objects share, on real API servers: what is special to them (spec.pull.bundleBytes)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.resources import NAMESPACES
from federation.model.works import APPLIED_WORKS, BUNDLE_LABEL, HELD_ANNOTATION, MANIFEST_WORKS, TAKEN_ANNOTATION
from tests.clusters.fedctl import fedctl
from tests.clusters.harness import CONFIGMAPS, FEDERATED_CONFIGMAPS, FEDERATED_NAMESPACES, eventually
from tests.clusters.pulling import Pulled, pulled
from tests.clusters.steps import configure, gone
from tests.clusters.test_pull import member_holds, namespace

__all__ = ["pulled"]
BYTES = 16_384


@pytest.fixture
async def sharing(pulled: Pulled) -> AsyncIterator[Pulled]:
    """Objects of this cluster share works."""
    pulled.agent.constants["federation.agent.reporting.SPACING"] = 0.2
    await namespace(pulled)
    await configure(pulled.host, {"pull": {"bundleBytes": BYTES}})
    yield pulled
    await configure(pulled.host, {"pull": None})


async def federate(pulled: Pulled, *names: str) -> dict[str, str]:
    """ConfigMaps that have been applied, and their uids."""
    for name in names:
        await pulled.federate(FEDERATED_CONFIGMAPS, name, {"data": {"a": "1"}})
    return await uids(pulled, *names)


async def uids(pulled: Pulled, *names: str, **data: str) -> dict[str, str]:
    """Their uids, once they are as they should be and their lines say so."""
    found = {}
    for name in names:
        copy = await member_holds(pulled, name, **(data or {"a": "1"}))
        found[name] = copy["metadata"]["uid"]
        await pulled.line(FEDERATED_CONFIGMAPS, name)
    return found


async def change(pulled: Pulled, name: str, value: str) -> None:
    patch = {"spec": {"template": {"data": {"a": value}}}}
    await pulled.host.patch(FEDERATED_CONFIGMAPS, pulled.namespace, name, patch)


async def contents(pulled: Pulled) -> dict[str, list[str]]:
    """The ConfigMaps in each work."""
    found = {}
    for each in await pulled.works():
        items = each["spec"]["workload"]["manifests"]
        names = sorted(item["metadata"]["name"] for item in items if item["kind"] == "ConfigMap")
        if names:
            found[each["metadata"]["name"]] = names
    return found


async def bundle(pulled: Pulled) -> dict[str, Any]:
    """The one work that objects share."""
    (found,) = (each for each in await pulled.works() if BUNDLE_LABEL in each["metadata"]["labels"])
    return found


async def test_objects_share_a_work_and_each_lives_its_own_life(sharing: Pulled) -> None:
    before = await federate(sharing, "a", "b", "c")
    ((name, there),) = (await contents(sharing)).items()
    assert there == ["a", "b", "c"]
    versions = {
        each: (await sharing.member.get(CONFIGMAPS, sharing.namespace, each) or {})["metadata"]["resourceVersion"]
        for each in ("a", "c")
    }
    await change(sharing, "b", "2")
    await uids(sharing, "b", a="2")
    for each, version in versions.items():  # nobody has written them
        copy = await sharing.member.get(CONFIGMAPS, sharing.namespace, each)
        assert copy is not None
        assert copy["metadata"]["resourceVersion"] == version
    await sharing.member.patch(CONFIGMAPS, sharing.namespace, "c", {"data": {"a": "somebody"}})
    await member_holds(sharing, "c", a="1")
    await sharing.host.delete(FEDERATED_CONFIGMAPS, sharing.namespace, "a")
    await gone(sharing.member, CONFIGMAPS, sharing.namespace, "a")
    await gone(sharing.host, FEDERATED_CONFIGMAPS, sharing.namespace, "a")
    await federate(sharing, "d")
    assert await contents(sharing) == {name: ["b", "c", "d"]}  # the hole is used again
    after = await uids(sharing, "c")
    assert after["c"] == before["c"]
    for each in ("b", "c", "d"):
        await sharing.host.delete(FEDERATED_CONFIGMAPS, sharing.namespace, each)
    for each in ("b", "c", "d"):
        await gone(sharing.host, FEDERATED_CONFIGMAPS, sharing.namespace, each)
        await gone(sharing.member, CONFIGMAPS, sharing.namespace, each)

    async def no_work() -> bool:
        return await contents(sharing) == {} and len(await sharing.works()) == 1

    await eventually(no_work)


async def test_the_setting_changes_while_workloads_run(sharing: Pulled) -> None:
    shared = await federate(sharing, "a", "b")
    there = await contents(sharing)
    await configure(sharing.host, {"pull": {"bundleBytes": 0}})
    alone = await federate(sharing, "c")
    await configure(sharing.host, {"pull": {"bundleBytes": BYTES}})
    for name in ("a", "c"):
        await change(sharing, name, "2")
    await federate(sharing, "d")
    now = await contents(sharing)
    ((name, _),) = there.items()
    assert now.pop(name) == ["a", "b", "d"]
    assert list(now.values()) == [["c"]]
    after = await uids(sharing, "a", "c", a="2") | await uids(sharing, "b")
    assert after == shared | alone


async def test_controller_and_agent_are_started_again(sharing: Pulled) -> None:
    before = await federate(sharing, "a", "b", "c")
    controller = sharing.fleet.controller
    await asyncio.to_thread(controller.kill)
    sharing.agent.kill()
    try:
        await change(sharing, "b", "2")
        await sharing.host.delete(FEDERATED_CONFIGMAPS, sharing.namespace, "c")
    finally:
        await asyncio.to_thread(controller.start)
        await asyncio.to_thread(sharing.agent.start)
    await gone(sharing.host, FEDERATED_CONFIGMAPS, sharing.namespace, "c")
    await gone(sharing.member, CONFIGMAPS, sharing.namespace, "c")
    after = await uids(sharing, "a") | await uids(sharing, "b", a="2")
    assert after == {name: before[name] for name in ("a", "b")}
    assert list((await contents(sharing)).values()) == [["a", "b"]]


async def test_a_work_that_is_put_back_to_a_time_before_deletes_nothing(sharing: Pulled) -> None:
    """As in a hub that was restored, or by somebody's hand: objects that it lacks are held, and come back into it."""
    before = await federate(sharing, "a", "b")
    older = (await bundle(sharing))["spec"]
    before |= await federate(sharing, "c", "d")
    controller = sharing.fleet.controller
    await asyncio.to_thread(controller.kill)
    try:
        where = (await bundle(sharing))["metadata"]["name"]
        await sharing.host.patch(MANIFEST_WORKS, sharing.cluster, where, {"spec": older})

        async def held() -> bool:
            records = await sharing.member.items(APPLIED_WORKS)
            return any("do" in each["metadata"].get("annotations", {}).get(HELD_ANNOTATION, "") for each in records)

        await eventually(held)
        for name in ("c", "d"):
            assert await sharing.member.get(CONFIGMAPS, sharing.namespace, name) is not None
    finally:
        await asyncio.to_thread(controller.start)

    async def whole() -> bool:
        return sorted(name for names in (await contents(sharing)).values() for name in names) == ["a", "b", "c", "d"]

    await eventually(whole, within=60.0)
    assert await uids(sharing, "a", "b", "c", "d") == before
    assert (await bundle(sharing))["metadata"]["annotations"][TAKEN_ANNOTATION] == "[]"


async def test_what_the_hub_refuses_hurts_itself_alone(sharing: Pulled) -> None:
    """An object that has grown, so that the work would be larger than etcd takes."""
    await federate(sharing, "a", "b", "c")
    large = "x" * 900_000
    for name in ("b", "c"):
        await change(sharing, name, large)
        if name == "b":
            await uids(sharing, "b", a=large)
    refused = await sharing.line(FEDERATED_CONFIGMAPS, "c", PropagationStatus.UPDATE_FAILED)
    assert "too large" in refused["message"]
    await federate(sharing, "d", "e")
    await change(sharing, "a", "2")
    await uids(sharing, "a", a="2")
    await change(sharing, "c", "2")
    await uids(sharing, "c", a="2")


async def test_one_that_is_orphaned_stays_and_the_others_go_on(sharing: Pulled) -> None:
    before = await federate(sharing, "a", "b")
    orphan = {"metadata": {"annotations": {marks.ORPHAN_ANNOTATION: "true"}}}
    await sharing.host.patch(FEDERATED_CONFIGMAPS, sharing.namespace, "a", orphan)
    await sharing.host.delete(FEDERATED_CONFIGMAPS, sharing.namespace, "a")
    await gone(sharing.host, FEDERATED_CONFIGMAPS, sharing.namespace, "a")
    copy = await member_holds(sharing, "a", a="1")
    assert copy["metadata"]["uid"] == before["a"]
    assert "ownerReferences" not in copy["metadata"]
    assert not copy["metadata"].get("labels")
    await change(sharing, "b", "2")
    assert await uids(sharing, "b", a="2") == {"b": before["b"]}
    assert list((await contents(sharing)).values()) == [["b"]]


async def test_a_copy_that_does_not_go_is_waited_for(sharing: Pulled) -> None:
    await federate(sharing, "a", "b")
    finalizers = {"metadata": {"finalizers": ["example.com/holds"]}}
    await sharing.member.patch(CONFIGMAPS, sharing.namespace, "a", finalizers)
    await sharing.host.delete(FEDERATED_CONFIGMAPS, sharing.namespace, "a")
    try:
        await sharing.line(FEDERATED_CONFIGMAPS, "a", PropagationStatus.WAITING_FOR_REMOVAL, within=90.0)
        await change(sharing, "b", "2")
        await uids(sharing, "b", a="2")
        assert await sharing.host.get(FEDERATED_CONFIGMAPS, sharing.namespace, "a") is not None
    finally:
        await sharing.member.patch(CONFIGMAPS, sharing.namespace, "a", {"metadata": {"finalizers": None}})
    await gone(sharing.host, FEDERATED_CONFIGMAPS, sharing.namespace, "a")
    await gone(sharing.member, CONFIGMAPS, sharing.namespace, "a")


async def test_namespaces_have_works_of_their_own_and_fedctl_knows_where_an_object_is(sharing: Pulled) -> None:
    await federate(sharing, "a", "b")
    shared = await bundle(sharing)
    (other,) = (each for each in await sharing.works() if each["metadata"]["name"] != shared["metadata"]["name"])
    assert [each["kind"] for each in other["spec"]["workload"]["manifests"]] == [NAMESPACES.kind]
    host = ("--kubeconfig", str(sharing.fleet.playground.kubeconfig), "--host-cluster-context", "host")
    told = await asyncio.to_thread(fedctl, "explain", "configmap", "a", "-n", sharing.namespace, *host)
    assert f"on its way: ManifestWork {sharing.cluster}/{shared['metadata']['name']}: applied" in told.out
    assert "now: none: its work is as it should be" in told.out
    same = await asyncio.to_thread(fedctl, "diff", "configmap", "a", "-n", sharing.namespace, *host)
    assert same.code == 0, same
    assert (await sharing.host.get(FEDERATED_NAMESPACES, sharing.namespace, sharing.namespace)) is not None
