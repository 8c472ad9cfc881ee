"""Others who write what we write: a rival controller in the member, an autoscaler, another hub. Seen, told, not fought.

Numbers are those of the fault table in docs/faults.md. Number 26, objects that KubeFed or kubectl made, is
test_sync_adoption.
"""

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from federation.core import claims
from federation.joining import leaving, setup
from federation.joining.contexts import Contexts
from federation.model import marks
from federation.model.marks import MANAGED_LABEL
from federation.model.plan import managed_by
from federation.model.resources import EVENTS, NAMESPACES, Resource
from federation.playground.faults import Fault
from tests.clusters.faulty import Faulty, passed
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_NAMESPACES,
    Api,
    Controller,
    eventually,
    federated,
    federated_namespace,
    line,
    ready,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def rival(api: Api, namespace: str, name: str, value: str) -> AsyncIterator[list[int]]:
    """Another controller that sets data.a to its own value whenever it is another; counts its writes."""
    writes = [0]

    async def fight() -> None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
        while True:
            found = await api.get(CONFIGMAPS, namespace, name)
            if found is not None and found["data"].get("a") != value:
                await api.apply(CONFIGMAPS, {**body, "data": {"a": value}}, manager="rival")
                writes[0] += 1
            await asyncio.sleep(0.05)

    task = asyncio.create_task(fight())
    try:
        yield writes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_fight_over_a_field_is_bounded_and_told(faulty: Faulty, namespace: str) -> None:
    """24: a controller in m1 sets the same field again and again. Put back three times, then ever more rarely.

    The user sees Disputed for m1, naming the other manager and the field; m2 is not concerned. A change of the
    template goes through at once, fight or no fight.
    """
    await faulty.federate(namespace)
    await faulty.make(namespace, "web")
    await faulty.until_ready(namespace, "web")
    faulty.forget_requests()
    async with rival(faulty.m1, namespace, "web", "mine") as writes:
        reported = await faulty.until_line(namespace, "web", "m1", "Disputed")
        assert '"rival"' in reported["message"]
        assert ".data.a" in reported["message"]
        await asyncio.sleep(4.0)
        # Each correction is an unforced apply, which names the rival, and a forced one.
        assert len(passed(faulty.to_m1, namespace=namespace)) <= 8
        assert writes[0] <= 5
        stored = await faulty.stored(namespace, "web")
        assert line(stored, "m1").get("status") == "Disputed"
        assert line(stored, "m2").get("status") is None
        assert passed(faulty.to_m2, namespace=namespace) == []
    await faulty.change(namespace, "web", "c")
    await faulty.until_held(faulty.m1, namespace, "web", "c")
    await faulty.until_ready(namespace, "web")


@asynccontextmanager
async def history(api: Api, resource: Resource, namespace: str, name: str) -> AsyncIterator[list[dict[str, Any]]]:
    """Every event of one object since the watch began; all have come when it ends."""
    events: list[dict[str, Any]] = []
    path = resource.collection(namespace)
    since = (await api.connection.read(path))["metadata"]["resourceVersion"]
    opened = asyncio.Event()

    async def follow() -> None:
        params = {"watch": "true", "resourceVersion": since, "fieldSelector": f"metadata.name={name}"}
        async with api.connection.stream(path, params, accept="application/json") as stream:
            assert not hasattr(stream, "kind"), stream
            opened.set()
            rest = b""
            async for chunk in stream:
                *whole, rest = (rest + chunk).split(b"\n")
                events.extend(orjson.loads(each) for each in whole)

    task = asyncio.create_task(follow())
    try:
        await opened.wait()
        yield events
        await asyncio.sleep(0.2)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def replicas(events: list[dict[str, Any]]) -> list[int]:
    """Every value that spec.replicas had; a deletion counts as 0."""
    return [0 if each["type"] == "DELETED" else each["object"]["spec"].get("replicas", 1) for each in events]


def deployment(image: str, count: int = 3) -> dict[str, Any]:
    labels = {"app": "web"}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    return {"spec": {"replicas": count, "selector": {"matchLabels": labels}, "template": pods}}


async def retained(faulty: Faulty, namespace: str) -> None:
    body = federated(FEDERATED_DEPLOYMENTS, namespace, "web", deployment("web:1"), clusters=["m1"], retainReplicas=True)
    await faulty.host.create(FEDERATED_DEPLOYMENTS, body, namespace)


async def update(faulty: Faulty, namespace: str, image: str) -> None:
    await faulty.host.patch(FEDERATED_DEPLOYMENTS, namespace, "web", {"spec": {"template": deployment(image)}})
    await faulty.until_ready(namespace, "web", FEDERATED_DEPLOYMENTS)


@pytest.mark.parametrize("scaler", ["nobody", "same", "more"])
async def test_retained_replicas_never_fall(faulty: Faulty, namespace: str, scaler: str) -> None:
    """25: nobody else owns replicas; an autoscaler wrote the same number, or another. Two updates.

    Seen by a watch over every moment: replicas never fall.
    """
    await faulty.federate(namespace)
    async with history(faulty.m1, DEPLOYMENTS, namespace, "web") as noted:
        await retained(faulty, namespace)
        await faulty.until_ready(namespace, "web", FEDERATED_DEPLOYMENTS)
        if scaler != "nobody":
            count = 3 if scaler == "same" else 5
            path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web/scale"
            body = orjson.dumps({"spec": {"replicas": count}})
            answer = await faulty.m1.connection.request(
                "PATCH", path, params={"fieldManager": "autoscaler"}, body=body, content_type=_MERGE
            )
            assert getattr(answer, "code", 0) == 200
        await update(faulty, namespace, "web:2")
        await update(faulty, namespace, "web:3")
    assert min(replicas(noted)) >= 3
    assert replicas(noted)[-1] == (5 if scaler == "more" else 3)


async def test_retained_replicas_never_fall_when_the_hand_over_was_lost(faulty: Faulty, namespace: str) -> None:
    """25: the controller is killed between the creation and the hand-over of replicas, and started again."""
    await faulty.federate(namespace)
    await faulty.make(namespace, "first")
    await faulty.until_ready(namespace, "first")
    async with history(faulty.m1, DEPLOYMENTS, namespace, "web") as noted:
        lost = faulty.to_m1.inject(Fault("mute", verb="apply", resource="deployments.apps", namespace=namespace))
        await retained(faulty, namespace)
        await eventually(lambda: faulty.m1.get(DEPLOYMENTS, namespace, "web"))
        assert lost.hits == 1
        faulty.controller.kill()
        faulty.to_m1.clear()
        await faulty.restart()
        await faulty.until_ready(namespace, "web", FEDERATED_DEPLOYMENTS)
        await update(faulty, namespace, "web:2")
        await update(faulty, namespace, "web:3")
    assert min(replicas(noted)) >= 3
    held = await faulty.m1.get(DEPLOYMENTS, namespace, "web")
    assert held is not None
    assert held["spec"]["template"]["spec"]["containers"][0]["image"] == "web:3"


@asynccontextmanager
async def second_hub(faulty: Faulty, namespace: str, directory: Path) -> AsyncIterator[Api]:
    """m3 as another hub, with m1 joined to it as well, and its own controller; m1 has left it afterwards."""
    kubeconfig = str(faulty.playground.kubeconfig)
    controller = Controller(faulty.playground.kubeconfig, directory, context="m3")
    await setup.everything(kubeconfig, "m3", ("m1",), ("namespaces", "configmaps"), settings=setup.NOTHING_HELD)
    await asyncio.to_thread(controller.start)
    try:
        async with faulty.fleet.api("m3") as other:
            await federated_namespace(other, namespace, ["m1"])
            yield other
            await other.delete(FEDERATED_NAMESPACES, namespace, namespace)
            await eventually(lambda: _absent(other, FEDERATED_NAMESPACES, namespace, namespace))
        async with Contexts(kubeconfig) as contexts:
            hub, member = await contexts.open("m3"), await contexts.open("m1")
            await leaving.leave(hub, member, leaving.Leaving("m1", "m3"), setup.quiet)
    finally:
        controller.kill()


async def manager_of(hub: Api) -> str:
    """The field manager under which this hub pushes."""
    found = await hub.get(NAMESPACES, "", "kube-system")
    assert found is not None
    return marks.field_manager(found["metadata"]["uid"])


def configmap(namespace: str, name: str, value: str) -> dict[str, Any]:
    return federated(FEDERATED_CONFIGMAPS, namespace, name, {"data": {"a": value}}, clusters=["m1"])


async def until_reported(hub: Api, namespace: str, name: str, text: str, word: str | None) -> dict[str, Any]:
    """The hub's object once its line of m1 says this, under this word (None: healthy)."""

    async def message() -> object:
        stored = await hub.get(FEDERATED_CONFIGMAPS, namespace, name)
        found = line(stored, "m1")
        return stored if found and found.get("status") == word and found.get("message", "") == text else None

    return dict(await eventually(message, within=40.0, seen=f"{hub.connection.name} says {word} {text!r} of {name}"))


def owners(held: dict[str, Any]) -> set[str]:
    """Who applied to it."""
    return {entry["manager"] for entry in held["metadata"]["managedFields"] if entry["operation"] == "Apply"}


async def test_two_hubs_on_one_object_both_say_so_and_do_not_fight(
    faulty: Faulty, namespace: str, tmp_path: Path
) -> None:
    """27: another hub pushes the same object to m1, with different, then with equal values. The first one keeps it.

    Each user reads the other hub's name in his object's status: the second under AlreadyExists, the first beside Ready
    True and in one event. The second writes to m1 once, its claim, and once more to take it off; the first's changes
    arrive; the second's deletion leaves the first's object as it was.
    """
    await faulty.federate(namespace)
    await faulty.make(namespace, "web", "first")
    await faulty.until_ready(namespace, "web")
    async with second_hub(faulty, namespace, tmp_path) as other:
        us, them = await manager_of(faulty.host), await manager_of(other)
        held, reported = managed_by(us), claims.rivals_message((them,))
        async with history(faulty.m1, CONFIGMAPS, namespace, "web") as writes:
            await other.create(FEDERATED_CONFIGMAPS, configmap(namespace, "web", "different"), namespace)
            await until_reported(other, namespace, "web", held, "AlreadyExists")
            assert ready(await until_reported(faulty.host, namespace, "web", reported, None))
            await other.patch(FEDERATED_CONFIGMAPS, namespace, "web", {"spec": {"template": {"data": {"a": "first"}}}})
            await eventually(lambda: _observed(other, namespace, "web", 2))
            await until_reported(other, namespace, "web", held, "AlreadyExists")
            assert ready(await until_reported(faulty.host, namespace, "web", reported, None))
            await asyncio.sleep(3.0)
        assert [each["object"]["data"]["a"] for each in writes] == ["first"]
        assert owners(writes[0]["object"]) == {us, marks.claim_manager(them)}

        async with history(faulty.m1, CONFIGMAPS, namespace, "web") as writes:
            await faulty.change(namespace, "web", "new")
            await faulty.until_held(faulty.m1, namespace, "web", "new")
            await faulty.until_ready(namespace, "web")
            assert ready(await until_reported(faulty.host, namespace, "web", reported, None))
            await other.delete(FEDERATED_CONFIGMAPS, namespace, "web")
            await eventually(lambda: _absent(other, FEDERATED_CONFIGMAPS, namespace, "web"))
            assert ready(await until_reported(faulty.host, namespace, "web", "", None))
        assert [owners(each["object"]) for each in writes] == [{us, marks.claim_manager(them)}, {us}]
        assert marks.claim_annotation(them) not in writes[1]["object"]["metadata"].get("annotations", {})
        assert writes[1]["object"]["metadata"]["labels"][MANAGED_LABEL] == "true"
        events = [each for each in await faulty.host.items(EVENTS, namespace) if each["reason"] == "PlacedByAnotherHub"]
        assert sorted(each["involvedObject"]["name"] for each in events) == [namespace, "web"]
        assert {each["message"] for each in events} == {f"m1: {reported}"}
    kept = await faulty.m1.get(NAMESPACES, "", namespace)
    assert kept is not None
    assert owners(kept) == {us}
    await faulty.until_held(faulty.m1, namespace, "web", "new")


async def test_equal_values_applied_at_once_belong_to_one_hub_and_go_over_to_the_other(
    faulty: Faulty, namespace: str, tmp_path: Path
) -> None:
    """27: both hubs create the same objects with equal values at the same time: each is one hub's, the other claims it.

    Then the first hub's objects go: the second takes over what it had claimed, and its claims are gone.
    """
    names = [f"web-{number}" for number in range(8)]
    await faulty.federate(namespace)
    async with second_hub(faulty, namespace, tmp_path) as other:
        us, them = await manager_of(faulty.host), await manager_of(other)
        one_each = ({us, marks.claim_manager(them)}, {them, marks.claim_manager(us)})
        await eventually(lambda: faulty.m1.get(NAMESPACES, "", namespace))
        await asyncio.gather(
            *(
                hub.create(FEDERATED_CONFIGMAPS, configmap(namespace, name, "equal"), namespace)
                for name in names
                for hub in (faulty.host, other)
            )
        )

        async def settled() -> object:
            """Each object has one owner and one claim, and both hubs say so."""
            for name in names:
                held = await faulty.m1.get(CONFIGMAPS, namespace, name)
                if held is None or owners(held) not in one_each:
                    return None
                first = us in owners(held)
                holder, claimant = (faulty.host, other) if first else (other, faulty.host)
                keeps, waits = (us, them) if first else (them, us)
                has = line(await holder.get(FEDERATED_CONFIGMAPS, namespace, name), "m1")
                has_not = line(await claimant.get(FEDERATED_CONFIGMAPS, namespace, name), "m1")
                if (has.get("status"), has.get("message")) != (None, claims.rivals_message((waits,))):
                    return None
                if (has_not.get("status"), has_not.get("message")) != ("AlreadyExists", managed_by(keeps)):
                    return None
            return True

        await eventually(settled, within=40.0, every=0.2, seen="one owner and one claim each")
        for name in names:
            await faulty.host.delete(FEDERATED_CONFIGMAPS, namespace, name)
        for name in names:
            await eventually(functools.partial(_absent, faulty.host, FEDERATED_CONFIGMAPS, namespace, name))
            assert ready(await until_reported(other, namespace, name, "", None))
            held = await faulty.until_held(faulty.m1, namespace, name, "equal")
            assert held is not None
            assert owners(held) == {them}
        for name in names:
            await other.delete(FEDERATED_CONFIGMAPS, namespace, name)
            await eventually(functools.partial(_absent, other, FEDERATED_CONFIGMAPS, namespace, name))
            assert await faulty.m1.get(CONFIGMAPS, namespace, name) is None


async def _absent(api: Api, resource: Resource, namespace: str, name: str) -> bool:
    return await api.get(resource, namespace, name) is None


async def _observed(api: Api, namespace: str, name: str, generation: int) -> bool:
    stored = await api.get(FEDERATED_CONFIGMAPS, namespace, name) or {}
    return bool((stored.get("status") or {}).get("observedGeneration") == generation)


_MERGE = "application/merge-patch+json"
