"""Objects of the system namespace that cannot be read: each reports it itself, and nobody loses anything by it."""

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation.controllers.events import Events
from federation.controllers.kubefedconfig import Configuration
from federation.controllers.triggers import HostNamespaceSink
from federation.controllers.world import World
from federation.kube import decoding
from federation.model.federated import BrokenMetadata, Metadata
from federation.model.resources import KUBEFED_CLUSTERS, SECRETS, TYPE_CONFIGS, ObjectName
from tests.fakehub import FakeHub
from tests.unit.controllers.fleet import SYSTEM, Fleet
from tests.unit.controllers.rig import WEB, Rig
from tests.unit.controllers.test_types import Enabled
from tests.unit.virtualtime import settle, virtual


def nested(depth: int = 150) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@virtual
async def test_poison_hurts_its_own_object_alone() -> None:
    async with Rig("east") as rig:
        other = ObjectName("ns", "other")
        rig.put()
        await settle()
        override = [{"clusterName": "east", "clusterOverrides": [{"path": "/data", "value": nested()}]}]
        rig.put(spec={"overrides": override})
        rig.put(other)
        await settle()
        assert rig.data("east", name=other) is not None
        assert rig.data("east") is not None  # what was there stays
        assert set(rig.lines().values()) == {"ComputeResourceFailed"}
        assert "deeper than 100 levels" in rig.condition("Stalled")["message"]
        assert rig.condition("Propagation")["reason"] == "InvalidSpec"
        rig.put(spec={"overrides": None})
        await settle()
        assert set(rig.lines().values()) == {""}
        rig.put(spec={"overrides": override})
        await settle()
        rig.delete(WEB)
        await asyncio.sleep(60)
        assert rig.stored() is None
        assert rig.data("east", name=other) is not None


@virtual
async def test_a_cluster_that_cannot_be_read_keeps_its_labels_and_is_reported() -> None:
    async with Fleet() as fleet:
        fleet.join("m1", labels={"region": "eu"})
        await asyncio.sleep(30)
        assert fleet.ready()
        where = ObjectName(SYSTEM, "m1")
        fleet.hub.put(KUBEFED_CLUSTERS, where, spec={"odd": nested()}, metadata={"labels": {"region": "us"}})
        await asyncio.sleep(30)
        assert not fleet.ready()
        assert "cannot be read: it nests deeper than 100 levels" in fleet.condition("ConfigMalformed")["message"]
        assert fleet.world.members["m1"].cluster.labels == {"region": "eu"}
        fleet.hub.put(KUBEFED_CLUSTERS, where, spec={"odd": None})
        await asyncio.sleep(60)
        assert fleet.ready()
        assert fleet.world.members["m1"].cluster.labels == {"region": "us"}


@virtual
async def test_a_cluster_whose_fields_are_of_other_types_is_reported_and_stops_nobody() -> None:
    """As a CRD without a schema lets in; the Secrets' watch looks at all of them."""
    async with Fleet() as fleet:
        fleet.join("m1")
        odd: Any = [{"secretRef": "x"}, {"secretRef": {"name": 7}}, {"secretRef": []}, {"apiEndpoint": 7}, {}]
        for at, spec in enumerate(odd):
            where = ObjectName(SYSTEM, f"odd{at}")
            fleet.hub.put(KUBEFED_CLUSTERS, where, spec=spec, status={"conditions": ["x", 7], "region": 7})
        fleet.secret("other", token="x")
        await asyncio.sleep(30)
        assert fleet.ready()
        for at in range(len(odd)):
            assert fleet.condition("ConfigMalformed", f"odd{at}")["status"] == "True"
        fleet.hub.put(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "odd0"), status={"conditions": "x"})
        await asyncio.sleep(30)
        assert fleet.condition("ConfigMalformed", "odd0")["status"] == "True"


@virtual
async def test_a_secret_that_cannot_be_read_is_reported_at_its_cluster() -> None:
    async with Fleet() as fleet:
        fleet.join("m1")
        await asyncio.sleep(30)
        fleet.hub.objects[SECRETS.qualified, ObjectName(SYSTEM, "m1-secret")]["data"]["token"] = 7
        fleet.hub.put(SECRETS, ObjectName(SYSTEM, "m1-secret"), metadata={"labels": {"touched": "yes"}})
        await asyncio.sleep(30)
        assert "cannot be read" in fleet.condition("ConfigMalformed")["message"]
        fleet.secret("m1", token="second")
        await asyncio.sleep(60)
        assert fleet.ready()


@virtual
async def test_a_type_that_cannot_be_read_is_reported_in_its_condition() -> None:
    async with Fleet() as fleet:
        fleet.join()
        enabled = Enabled(fleet)
        enabled.config()
        await asyncio.sleep(30)
        enabled.config(odd=nested())
        await asyncio.sleep(30)
        stored = fleet.hub.get(TYPE_CONFIGS, ObjectName(SYSTEM, "configmaps"))
        assert stored is not None
        messages = [each["message"] for each in stored["status"]["conditions"] if each["type"] == "Ready"]
        assert "cannot be read" in messages[0]


@pytest.mark.parametrize("wrong", [{"spec": {"x": nested()}}, {"metadata": {"name": "kubefed", "labels": {"a": 1}}}])
def test_a_configuration_that_cannot_be_read_leaves_the_last_one(wrong: dict[str, Any]) -> None:
    @virtual
    async def test() -> None:
        world, hub = World(), FakeHub()
        configuration = Configuration(world, hub, events=Events(world, hub), namespace=SYSTEM, changed=lambda: None)
        body = {
            "metadata": {"name": "kubefed", "namespace": SYSTEM},
            "spec": {"syncController": {"adoptResources": "Disabled"}},
        }
        where = ObjectName(SYSTEM, "kubefed")
        configuration.objects.put(where, decoding.stored(json.dumps(body).encode()))
        await configuration.process("kubefed")
        assert not world.settings.adopt_resources
        wrong.setdefault("metadata", {})["namespace"] = SYSTEM
        broken = {**body, **wrong, "metadata": {**body["metadata"], **wrong["metadata"]}}  # type: ignore[dict-item]
        configuration.objects.put(where, decoding.stored(json.dumps(broken).encode()))
        with capture_logs() as logs:
            await configuration.process("kubefed")
        assert not world.settings.adopt_resources
        assert "cannot be read" in str(logs)

    test()


def test_labels_of_a_host_namespace_that_cannot_be_read_are_what_they_were() -> None:
    world = World()
    sink = HostNamespaceSink(world, lambda *_, **__: None)
    sink.replace([Metadata("a", labels={"team": "x"})])
    sink.replace([BrokenMetadata("a", why="odd"), BrokenMetadata("b", why="odd")])
    kept = world.host_namespaces.get(ObjectName("", "a"))
    assert kept is not None
    assert kept.labels == {"team": "x"}
    assert world.host_namespaces.get(ObjectName("", "b")) is None  # unknown, not without labels
