"""Clusters in pull mode on real API servers: the fleet's controller writes works, a real agent carries them out."""

import asyncio
from pathlib import Path
from typing import Any

import orjson

from federation.kube.connection import MERGE_PATCH, expect
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.resources import NAMESPACES, ObjectName
from federation.model.works import HELD_ANNOTATION, HUB_LABEL, MANIFEST_WORKS
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_NAMESPACES,
    Api,
    condition,
    eventually,
)
from tests.clusters.pulling import Pulled, pulled
from tests.clusters.steps import gone, holds, nested, told_too_deep
from tests.clusters.test_status_collection import TEMPLATE, collecting

__all__ = ["collecting", "pulled"]


async def namespace(pulled: Pulled) -> None:
    """The namespace is federated: what the member has of that name already is taken over."""
    await pulled.federate(FEDERATED_NAMESPACES, pulled.namespace)
    await pulled.line(FEDERATED_NAMESPACES, pulled.namespace)


async def member_holds(pulled: Pulled, name: str, **data: str) -> dict[str, Any]:
    found: dict[str, Any] = await holds(
        pulled.member, CONFIGMAPS, pulled.namespace, name, lambda found: found.get("data") == data
    )
    return found


async def test_an_object_lives_and_goes(pulled: Pulled) -> None:
    await namespace(pulled)
    overrides = [{"clusterName": pulled.cluster, "clusterOverrides": [{"path": "/data/b", "value": "mine"}]}]
    await pulled.federate(FEDERATED_CONFIGMAPS, "web", {"data": {"a": "1", "b": "all"}}, overrides=overrides)
    await pulled.line(FEDERATED_CONFIGMAPS, "web")
    first = await member_holds(pulled, "web", a="1", b="mine")
    assert first["metadata"]["labels"][marks.MANAGED_LABEL] == "true"
    assert len(await pulled.works()) == 2
    assert all(each["metadata"]["labels"][HUB_LABEL].startswith("kubefed-") for each in await pulled.works())

    change = {"spec": {"template": {"data": {"a": "2"}}}}
    await pulled.host.patch(FEDERATED_CONFIGMAPS, pulled.namespace, "web", change)
    again = await member_holds(pulled, "web", a="2", b="mine")
    assert again["metadata"]["uid"] == first["metadata"]["uid"]
    await pulled.line(FEDERATED_CONFIGMAPS, "web")

    await pulled.member.patch(CONFIGMAPS, pulled.namespace, "web", {"data": {"a": "somebody"}})
    await member_holds(pulled, "web", a="2", b="mine")

    await pulled.host.delete(FEDERATED_CONFIGMAPS, pulled.namespace, "web")
    await gone(pulled.member, CONFIGMAPS, pulled.namespace, "web")
    await gone(pulled.host, FEDERATED_CONFIGMAPS, pulled.namespace, "web")
    assert len(await pulled.works()) == 1


async def test_a_work_that_somebody_changes_is_put_back(pulled: Pulled) -> None:
    await namespace(pulled)
    await pulled.federate(FEDERATED_CONFIGMAPS, "web", {"data": {"a": "1"}})
    await pulled.line(FEDERATED_CONFIGMAPS, "web")
    (name,) = (each["metadata"]["name"] for each in await pulled.works() if "configmaps" in each["metadata"]["name"])
    await pulled.host.patch(MANIFEST_WORKS, pulled.cluster, name, {"spec": {"workload": {"manifests": []}}})

    async def put_back() -> bool:
        found = await pulled.host.get(MANIFEST_WORKS, pulled.cluster, name)
        return found is not None and len(found["spec"]["workload"]["manifests"]) == 1

    await eventually(put_back)
    await member_holds(pulled, "web", a="1")
    await pulled.line(FEDERATED_CONFIGMAPS, "web")


async def test_a_cut_link_loses_nothing(pulled: Pulled) -> None:
    await namespace(pulled)
    await pulled.federate(FEDERATED_CONFIGMAPS, "web", {"data": {"a": "1"}})
    await pulled.federate(FEDERATED_CONFIGMAPS, "old", {"data": {"a": "1"}})
    for name in ("web", "old"):
        await pulled.line(FEDERATED_CONFIGMAPS, name)
    pulled.cut()
    await pulled.silence()
    line = await pulled.line(FEDERATED_CONFIGMAPS, "web", PropagationStatus.CLUSTER_NOT_READY, within=90.0)
    assert "has not been heard since" in line["message"]
    await pulled.host.patch(FEDERATED_CONFIGMAPS, pulled.namespace, "web", {"spec": {"template": {"data": {"a": "2"}}}})
    await pulled.host.delete(FEDERATED_CONFIGMAPS, pulled.namespace, "old")
    await pulled.member.patch(CONFIGMAPS, pulled.namespace, "web", {"data": {"a": "somebody"}})
    await member_holds(pulled, "web", a="1")  # drift is put back during the cut
    going = await pulled.line(FEDERATED_CONFIGMAPS, "old", PropagationStatus.WAITING_FOR_REMOVAL)
    assert "has not been heard since" in going["message"]
    assert await pulled.member.get(CONFIGMAPS, pulled.namespace, "old") is not None
    pulled.mend()
    pulled.beat()
    await member_holds(pulled, "web", a="2")
    await gone(pulled.member, CONFIGMAPS, pulled.namespace, "old")
    await gone(pulled.host, FEDERATED_CONFIGMAPS, pulled.namespace, "old")
    await pulled.line(FEDERATED_CONFIGMAPS, "web")


async def test_orphans_stay(pulled: Pulled) -> None:
    await namespace(pulled)
    await pulled.federate(FEDERATED_CONFIGMAPS, "web", {"data": {"a": "1"}})
    await pulled.line(FEDERATED_CONFIGMAPS, "web")
    before = await member_holds(pulled, "web", a="1")
    orphan = {"metadata": {"annotations": {marks.ORPHAN_ANNOTATION: "true"}}}
    await pulled.host.patch(FEDERATED_CONFIGMAPS, pulled.namespace, "web", orphan)
    await pulled.host.delete(FEDERATED_CONFIGMAPS, pulled.namespace, "web")
    await gone(pulled.host, FEDERATED_CONFIGMAPS, pulled.namespace, "web")
    after = await member_holds(pulled, "web", a="1")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert "ownerReferences" not in after["metadata"]
    assert not after["metadata"].get("labels")
    assert not any(each["manager"].startswith("work-agent") for each in after["metadata"].get("managedFields", ()))
    # A namespace has contents of others: it is let go of.
    await pulled.host.delete(FEDERATED_NAMESPACES, pulled.namespace, pulled.namespace)
    await gone(pulled.host, FEDERATED_NAMESPACES, pulled.namespace, pulled.namespace)
    found = await pulled.member.get(NAMESPACES, "", pulled.namespace)
    assert found is not None
    assert "deletionTimestamp" not in found["metadata"]


async def test_works_that_somebody_deletes_take_nothing_along(pulled: Pulled) -> None:
    """What the controller deletes it notes; the rest is written again, and the copies are the same ones."""
    await namespace(pulled)
    await pulled.federate(FEDERATED_CONFIGMAPS, "web", {"data": {"a": "1"}})
    await pulled.line(FEDERATED_CONFIGMAPS, "web")
    before = await member_holds(pulled, "web", a="1")
    uids = {each["metadata"]["uid"] for each in await pulled.works()}
    for each in await pulled.works():
        await pulled.host.delete(MANIFEST_WORKS, pulled.cluster, each["metadata"]["name"])

    async def others() -> bool:
        found = {each["metadata"]["uid"] for each in await pulled.works()}
        return len(found) == 2 and not found & uids

    await eventually(others, within=60.0)
    change = {"spec": {"template": {"data": {"a": "2"}}}}
    await pulled.host.patch(FEDERATED_CONFIGMAPS, pulled.namespace, "web", change)
    after = await member_holds(pulled, "web", a="2")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    await pulled.line(FEDERATED_CONFIGMAPS, "web")
    await pulled.host.delete(FEDERATED_CONFIGMAPS, pulled.namespace, "web")
    await gone(pulled.member, CONFIGMAPS, pulled.namespace, "web")
    await gone(pulled.host, FEDERATED_CONFIGMAPS, pulled.namespace, "web")


async def test_what_is_deleted_while_its_work_is_missing_leaves_the_member(pulled: Pulled) -> None:
    """No controller has written the works again before: the agent holds the copy until the next one says that it goes.

    What is to stay does, and the namespace, too.
    """
    host, where = pulled.host, pulled.namespace
    await namespace(pulled)
    for name in ("web", "kept"):
        await pulled.federate(FEDERATED_CONFIGMAPS, name, {"data": {"a": "1"}})
        await pulled.line(FEDERATED_CONFIGMAPS, name)
    orphaned = {"metadata": {"annotations": {marks.ORPHAN_ANNOTATION: "true"}}}
    await host.patch(FEDERATED_CONFIGMAPS, where, "kept", orphaned)
    await pulled.line(FEDERATED_CONFIGMAPS, "kept")
    lost = {each["metadata"]["name"] for each in await pulled.works()}
    await asyncio.to_thread(pulled.fleet.controller.kill)
    try:
        for work in lost:
            await host.delete(MANIFEST_WORKS, pulled.cluster, work)

        async def held() -> bool:
            records = [await pulled.record(work) for work in lost]
            notes = [(each or {"metadata": {}})["metadata"].get("annotations", {}) for each in records]
            return not await pulled.works() and all(HELD_ANNOTATION in each for each in notes)

        await eventually(held, within=60.0)
        for name in ("web", "kept"):
            await host.delete(FEDERATED_CONFIGMAPS, where, name)
            await member_holds(pulled, name, a="1")
    finally:
        await asyncio.to_thread(pulled.fleet.controller.start)
    await gone(pulled.member, CONFIGMAPS, where, "web", within=60.0)
    for name in ("web", "kept"):
        await gone(host, FEDERATED_CONFIGMAPS, where, name, within=60.0)
    await member_holds(pulled, "kept", a="1")
    await pulled.line(FEDERATED_NAMESPACES, where)
    (left,) = await pulled.works()
    assert left["metadata"]["name"].startswith("namespaces-")


async def test_controller_and_agent_are_started_again(pulled: Pulled) -> None:
    await namespace(pulled)
    await pulled.federate(FEDERATED_CONFIGMAPS, "web", {"data": {"a": "1"}})
    await pulled.line(FEDERATED_CONFIGMAPS, "web")
    before = await member_holds(pulled, "web", a="1")
    written = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in await pulled.works()}
    controller = pulled.fleet.controller
    await asyncio.to_thread(controller.kill)
    pulled.agent.kill()
    await pulled.host.patch(FEDERATED_CONFIGMAPS, pulled.namespace, "web", {"spec": {"template": {"data": {"a": "2"}}}})
    await asyncio.to_thread(controller.start)
    await asyncio.to_thread(pulled.agent.start)
    after = await member_holds(pulled, "web", a="2")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    await pulled.line(FEDERATED_CONFIGMAPS, "web")
    now = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in await pulled.works()}
    changed = {name for name, version in now.items() if written.get(name) != version}
    assert {name for name in changed if name.startswith("namespaces")} == set()


async def test_what_the_agent_reports_is_collected(collecting: None, pulled: Pulled) -> None:
    """As of a Deployment in push mode: the status as its controller writes it, how much is ready, and Healthy."""
    await namespace(pulled)
    await pulled.federate(FEDERATED_DEPLOYMENTS, "web", TEMPLATE)

    async def says(ready: str, healthy: str) -> dict[str, Any] | None:
        line = await pulled.line(FEDERATED_DEPLOYMENTS, "web")
        stored = await pulled.host.get(FEDERATED_DEPLOYMENTS, pulled.namespace, "web")
        known = line.get("ready") == ready and condition(stored, "Healthy").get("status") == healthy
        return line if known else None

    line = await eventually(lambda: says("0/0", "True"), within=90.0)
    member = await holds(
        pulled.member, DEPLOYMENTS, pulled.namespace, "web", lambda found: "observedGeneration" in found["status"]
    )
    assert line["remoteStatus"]["observedGeneration"] == member["status"]["observedGeneration"]
    change = {"spec": {"template": {"spec": {"replicas": 2}}}}
    await pulled.host.patch(FEDERATED_DEPLOYMENTS, pulled.namespace, "web", change)
    await eventually(lambda: says("0/2", "False"), within=90.0)  # there are no nodes


async def test_poison_hurts_its_own_object_alone(pulled: Pulled) -> None:
    """An override that no decoder takes, in a new object and in one that was good: told, and all others go on.

    What was good keeps its copy, and goes when it is deleted, though nothing of its spec can be read.
    """
    host, where = pulled.host, pulled.namespace
    await namespace(pulled)
    await pulled.federate(FEDERATED_CONFIGMAPS, "turned", {"data": {"a": "b"}})
    await pulled.line(FEDERATED_CONFIGMAPS, "turned")
    here = {"clusters": [{"name": pulled.cluster}]}
    poison = nested(where, "poison", 1_100, here)
    expect(await host.ask("POST", FEDERATED_CONFIGMAPS.collection(where), body=poison))
    spec = b'{"spec":' + poison[poison.index(b'"spec":') + 7 :]
    path = FEDERATED_CONFIGMAPS.path(ObjectName(where, "turned"))
    expect(await host.ask("PATCH", path, body=spec, content_type=MERGE_PATCH))
    for name in ("poison", "turned"):
        await eventually(lambda name=name: told_too_deep(host, where, name), seen=f"{name} says why")  # type: ignore[misc]
    await pulled.federate(FEDERATED_CONFIGMAPS, "good", {"data": {"a": "b"}})
    await pulled.line(FEDERATED_CONFIGMAPS, "good")
    controller = pulled.fleet.controller
    await asyncio.to_thread(controller.kill)
    await asyncio.to_thread(controller.start)
    await host.patch(FEDERATED_CONFIGMAPS, where, "good", {"spec": {"template": {"data": {"a": "c"}}}})
    await member_holds(pulled, "good", a="c")
    await member_holds(pulled, "turned", a="b")
    assert await pulled.member.get(CONFIGMAPS, where, "poison") is None
    for name in ("poison", "turned"):
        await host.delete(FEDERATED_CONFIGMAPS, where, name)
        await eventually(lambda name=name: _is_gone(pulled, name), within=60.0, seen=f"{name} gone")  # type: ignore[misc]
    assert await pulled.member.get(CONFIGMAPS, where, "turned") is None
    assert "Traceback" not in controller.log.rpartition("controller started")[2]


async def test_what_the_member_refuses_is_told_and_others_go_on(pulled: Pulled) -> None:
    """A ConfigMap that was made immutable. The member's words are in the line; taken back, all is well again."""
    await namespace(pulled)
    for name, more in (("fixed", {"immutable": True}), ("free", {})):
        await pulled.federate(FEDERATED_CONFIGMAPS, name, {"data": {"a": "b"}, **more})
    for name in ("fixed", "free"):
        await pulled.line(FEDERATED_CONFIGMAPS, name)
    for value, status in (("c", "UpdateFailed"), ("b", "")):
        for name in ("fixed", "free"):
            change = {"spec": {"template": {"data": {"a": value}}}}
            await pulled.host.patch(FEDERATED_CONFIGMAPS, pulled.namespace, name, change)
        reported = await pulled.line(FEDERATED_CONFIGMAPS, "fixed", status)
        assert ("immutable" in reported["message"]) is bool(status)
        await member_holds(pulled, "free", a=value)
        await member_holds(pulled, "fixed", a="b")


async def _is_gone(pulled: Pulled, name: str) -> bool:
    answer = await pulled.host.ask("GET", FEDERATED_CONFIGMAPS.path(ObjectName(pulled.namespace, name)))
    return isinstance(answer, Failure) and answer.kind is FailureKind.NOT_FOUND


async def test_fedctl_looks_at_works(pulled: Pulled, tmp_path: Path) -> None:
    await namespace(pulled)
    await pulled.federate(FEDERATED_CONFIGMAPS, "web", {"data": {"a": "1"}})
    await pulled.line(FEDERATED_CONFIGMAPS, "web")
    host = ("--kubeconfig", str(pulled.fleet.playground.kubeconfig), "--host-cluster-context", "host")

    async def run(*arguments: str, code: int) -> Ran:
        ran = await asyncio.to_thread(fedctl, *arguments, *host)
        assert ran.code == code, ran
        return ran

    told = await run("explain", "configmap", "web", "-n", pulled.namespace, code=0)
    assert f"on its way: ManifestWork {pulled.cluster}/configmaps-" in told.out
    assert ": applied" in told.out
    assert "now: none: its work is as it should be" in told.out
    same = await run("diff", "configmap", "web", "-n", pulled.namespace, code=0)
    assert "compared with its work (applied)" in same.err
    stored = await pulled.host.get(FEDERATED_CONFIGMAPS, pulled.namespace, "web")
    assert stored is not None
    document = {name: stored[name] for name in ("apiVersion", "kind", "spec")}
    document["metadata"] = {"name": "web", "namespace": pulled.namespace}
    document["spec"]["template"] = {"data": {"a": "2"}}
    path = tmp_path / "web.json"
    path.write_bytes(orjson.dumps(document))
    planned = await run("plan", "-f", str(path), "-o", "json", code=1)
    (change,) = (change for each in orjson.loads(planned.out)["objects"] for change in each["changes"])
    assert change["clusters"] == [pulled.cluster]
    assert (change["change"], change["message"]) == ("change", "its agent fetches it")
    assert [each["path"] for each in change["fields"]] == [".data.a"]


async def test_a_cluster_that_moves_recreates_nothing(fleet: Fleet, host: Api, tmp_path: Path) -> None:
    """Push, pull and push again, with an object that is there all the time.

    In either mode a field that leaves the template leaves the member, whoever has applied it.
    """
    moving = Pulled(fleet, tmp_path)
    await moving.set_up()
    joined = False
    try:
        await moving.prepare()
        await fleet.join(moving.cluster, context="m3")
        joined = True
        await namespace(moving)
        await moving.federate(FEDERATED_CONFIGMAPS, "web", {"data": {"a": "1", "pushed": "1", "both": "1"}})
        await moving.line(FEDERATED_CONFIGMAPS, "web")
        first = await member_holds(moving, "web", a="1", pushed="1", both="1")
        assert await moving.works() == []

        await moving.moves("Pull")
        await moving.start()

        async def handed() -> bool:
            return len(await moving.works()) == 2

        await eventually(handed)
        await moving.line(FEDERATED_CONFIGMAPS, "web")
        await content(moving, "2", pushed=None, later="2")
        second = await member_holds(moving, "web", a="2", both="1", later="2")
        await moving.line(FEDERATED_CONFIGMAPS, "web")

        # While no controller runs: the next one lets go of the works, though no cluster is in pull mode any more.
        await asyncio.to_thread(fleet.controller.kill)
        try:
            await moving.moves("Push")
        finally:
            await asyncio.to_thread(fleet.controller.start)

        async def let_go() -> bool:
            return await moving.works() == []

        await eventually(let_go, within=60.0)
        await content(moving, "3", both=None, later=None)
        third = await member_holds(moving, "web", a="3")
        assert {each["manager"] for each in third["metadata"]["managedFields"]} == {await hub_manager(moving)}
        await moving.line(FEDERATED_CONFIGMAPS, "web")
        assert first["metadata"]["uid"] == second["metadata"]["uid"] == third["metadata"]["uid"]
        await host.delete(FEDERATED_CONFIGMAPS, moving.namespace, "web")
        await gone(moving.member, CONFIGMAPS, moving.namespace, "web")
    finally:
        if joined:
            await moving.moves("Push")
            await fleet.unjoin(moving.cluster, context="m3")
        await moving.leave()
        await moving.tear_down()


async def hub_manager(moving: Pulled) -> str:
    system = await moving.host.get(NAMESPACES, "", "kube-system")
    assert system is not None
    return marks.field_manager(system["metadata"]["uid"])


async def content(moving: Pulled, value: str, **more: str | None) -> None:
    change = {"spec": {"template": {"data": {"a": value, **more}}}}
    await moving.host.patch(FEDERATED_CONFIGMAPS, moving.namespace, "web", change)
