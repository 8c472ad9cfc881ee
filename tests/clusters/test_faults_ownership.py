"""Others who write what we write: a rival controller in the member, an autoscaler, another hub. Seen, told, not fought.

Numbers are those of the fault table in docs/faults.md. Number 26, objects that KubeFed or kubectl made, is
test_sync_adoption.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from federation.joining import leaving, setup
from federation.joining.contexts import Contexts
from federation.model.marks import MANAGED_LABEL
from federation.model.resources import NAMESPACES, Resource
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
    never,
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

    The user sees UpdateFailed for m1, naming the other manager and the field; m2 is not concerned. A change of the
    template goes through at once, fight or no fight.
    """
    await faulty.federate(namespace)
    await faulty.make(namespace, "web")
    await faulty.until_ready(namespace, "web")
    faulty.forget_requests()
    async with rival(faulty.m1, namespace, "web", "mine") as writes:
        told = await faulty.until_line(namespace, "web", "m1", "UpdateFailed")
        assert '"rival"' in told["message"]
        assert ".data.a" in told["message"]
        await asyncio.sleep(4.0)
        # Each correction is an unforced apply, which names the rival, and a forced one.
        assert len(passed(faulty.to_m1, namespace=namespace)) <= 8
        assert writes[0] <= 5
        stored = await faulty.stored(namespace, "web")
        assert line(stored, "m1").get("status") == "UpdateFailed"
        assert line(stored, "m2").get("status") is None
        assert passed(faulty.to_m2, namespace=namespace) == []
    await faulty.change(namespace, "web", "c")
    await faulty.until_held(faulty.m1, namespace, "web", "c")
    await faulty.until_ready(namespace, "web")


class Replicas:
    """Every value that spec.replicas had since the watch began."""

    def __init__(self) -> None:
        self.seen: list[int] = []


@asynccontextmanager
async def replicas(api: Api, namespace: str, name: str) -> AsyncIterator[Replicas]:
    """Watch one Deployment's replicas; a deletion counts as 0."""
    noted = Replicas()
    path = DEPLOYMENTS.collection(namespace)
    since = (await api.connection.read(path))["metadata"]["resourceVersion"]
    opened = asyncio.Event()

    async def follow() -> None:
        params = {"watch": "true", "resourceVersion": since, "fieldSelector": f"metadata.name={name}"}
        async with api.connection.stream(path, params, accept="application/json") as stream:
            assert not hasattr(stream, "kind"), stream
            opened.set()
            rest = b""
            async for chunk in stream.iter_any():
                *whole, rest = (rest + chunk).split(b"\n")
                for each in whole:
                    event = orjson.loads(each)
                    noted.seen.append(0 if event["type"] == "DELETED" else event["object"]["spec"].get("replicas", 1))

    task = asyncio.create_task(follow())
    try:
        await opened.wait()
        yield noted
        await asyncio.sleep(0.2)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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
    async with replicas(faulty.m1, namespace, "web") as noted:
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
    assert min(noted.seen) >= 3
    assert noted.seen[-1] == (5 if scaler == "more" else 3)


async def test_retained_replicas_never_fall_when_the_hand_over_was_lost(faulty: Faulty, namespace: str) -> None:
    """25: the controller is killed between the creation and the hand-over of replicas, and started again."""
    await faulty.federate(namespace)
    await faulty.make(namespace, "first")
    await faulty.until_ready(namespace, "first")
    async with replicas(faulty.m1, namespace, "web") as noted:
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
    assert min(noted.seen) >= 3
    held = await faulty.m1.get(DEPLOYMENTS, namespace, "web")
    assert held is not None
    assert held["spec"]["template"]["spec"]["containers"][0]["image"] == "web:3"


@asynccontextmanager
async def second_hub(faulty: Faulty, namespace: str, directory: Path) -> AsyncIterator[Api]:
    """m3 as another hub, with m1 joined to it as well, and its own controller; m1 has left it afterwards."""
    kubeconfig = str(faulty.playground.kubeconfig)
    controller = Controller(faulty.playground.kubeconfig, directory, context="m3")
    await setup.everything(kubeconfig, "m3", ("m1",), ("namespaces", "configmaps"))
    await asyncio.to_thread(controller.start)
    try:
        async with faulty.fleet.api("m3") as other:
            yield other
            await other.delete(FEDERATED_NAMESPACES, namespace, namespace)
            await eventually(lambda: _absent(other, FEDERATED_NAMESPACES, namespace, namespace))
        async with Contexts(kubeconfig) as contexts:
            hub, member = await contexts.open("m3"), await contexts.open("m1")
            await leaving.leave(hub, member, leaving.Leaving("m1", "m3"), setup.quiet)
    finally:
        controller.kill()


@pytest.mark.parametrize("value", ["equal", "different"])
async def test_two_hubs_on_one_member_do_not_fight(faulty: Faulty, namespace: str, tmp_path: Path, value: str) -> None:
    """27: another hub pushes the same object to m1, with equal and with different values. The first one keeps it.

    The second hub's user sees AlreadyExists with the first's name; neither writes again and again; the first hub's
    changes still arrive; the second's deletion leaves the first's object alone.
    """
    await faulty.federate(namespace)
    await faulty.make(namespace, "web", "equal")
    await faulty.until_ready(namespace, "web")
    async with second_hub(faulty, namespace, tmp_path) as other:
        await federated_namespace(other, namespace, ["m1"])
        body = federated(FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": value}}, clusters=["m1"])
        await other.create(FEDERATED_CONFIGMAPS, body, namespace)

        async def told() -> object:
            found = line(await other.get(FEDERATED_CONFIGMAPS, namespace, "web"), "m1")
            return found if found.get("status") == "AlreadyExists" else None

        found = await eventually(told, within=40.0, seen="the second hub says AlreadyExists")
        assert "another hub manages it (kubefed-" in found["message"]
        held = await faulty.until_held(faulty.m1, namespace, "web", "equal")
        assert held is not None

        async def moved() -> object:
            now = await faulty.m1.get(CONFIGMAPS, namespace, "web")
            return now is None or now["metadata"]["resourceVersion"] != held["metadata"]["resourceVersion"]

        await never(moved, during=3.0)
        await faulty.change(namespace, "web", "new")
        await faulty.until_held(faulty.m1, namespace, "web", "new")
        await faulty.until_ready(namespace, "web")
        await other.delete(FEDERATED_CONFIGMAPS, namespace, "web")
        await eventually(lambda: _absent(other, FEDERATED_CONFIGMAPS, namespace, "web"))
        kept = await faulty.until_held(faulty.m1, namespace, "web", "new")
        assert kept is not None
        assert kept["metadata"]["labels"][MANAGED_LABEL] == "true"
    assert await faulty.m1.get(NAMESPACES, "", namespace) is not None
    await faulty.until_held(faulty.m1, namespace, "web", "new")


async def _absent(api: Api, resource: Resource, namespace: str, name: str) -> bool:
    return await api.get(resource, namespace, name) is None


_MERGE = "application/merge-patch+json"
