"""Which changes of a status are worth an event: a failure and its end, once each; never a cluster that is away."""

import asyncio
import itertools
from typing import Any, cast

import msgspec
import pytest

from federation.controllers.events import Events
from federation.controllers.ports import HubPort
from federation.controllers.world import TypeState, World
from federation.model.conditions import PropagationStatus, Reason
from federation.model.federated import FederatedObject, FederatedType, Metadata
from federation.model.resources import Key, Resource
from federation.model.status import ClusterStatus, Condition, Status
from federation.runtime.tasks import Tasks
from tests.fakehub import FakeHub
from tests.unit.virtualtime import settle, virtual

RESOURCE = Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)
TARGET = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
KEY = Key("configmaps", "ns", "web")


class Hub:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def create(self, resource: Resource, namespace: str, body: Any) -> None:
        assert (resource.plural, namespace) == ("events", "ns")
        self.events.append(body)


def status(message: str, **words: PropagationStatus) -> Status:
    """Ready True when every word is OK."""
    lines = tuple(ClusterStatus(name, word) for name, word in words.items())
    fine = not any(words.values())
    reason = "Propagated" if fine else Reason.CHECK_CLUSTERS
    return Status(1, (Condition("Ready", "True" if fine else "False", reason, message),), lines)


GOOD = status("2 clusters have applied generation 1", m1=PropagationStatus.OK, m2=PropagationStatus.OK)
AWAY = status("m1: ClusterNotReady", m1=PropagationStatus.CLUSTER_NOT_READY, m2=PropagationStatus.OK)
WRONG = status("m2: UpdateFailed", m1=PropagationStatus.OK, m2=PropagationStatus.UPDATE_FAILED)
BOTH = status(
    "m1: ClusterNotReady; m2: UpdateFailed", m1=PropagationStatus.CLUSTER_NOT_READY, m2=PropagationStatus.UPDATE_FAILED
)


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        pytest.param(
            [GOOD, WRONG, GOOD], ["m2: UpdateFailed", "2 clusters have applied generation 1"], id="failure-and-end"
        ),
        pytest.param([GOOD, AWAY, GOOD, AWAY, GOOD], [], id="an-outage-is-the-clusters"),
        pytest.param([WRONG, BOTH, WRONG, BOTH, WRONG], [], id="a-flap-repeats-nothing-that-was-known-before"),
        pytest.param([GOOD, WRONG, BOTH, WRONG, BOTH], ["m2: UpdateFailed"], id="a-flap-repeats-nothing"),
        pytest.param(
            [GOOD, BOTH, GOOD], ["m1: ClusterNotReady; m2: UpdateFailed", GOOD.conditions[0].message], id="both"
        ),
    ],
)
def test_events(story: list[Status], expected: list[str]) -> None:
    assert posted(story, seconds=10.0) == expected


def test_a_failure_of_a_moment_is_not_reported() -> None:
    assert posted([GOOD, WRONG, GOOD, WRONG, GOOD], seconds=0.5) == []
    assert posted([GOOD, WRONG, GOOD, WRONG], seconds=0.5) == ["m2: UpdateFailed"]


def posted(story: list[Status], *, seconds: float) -> list[str]:
    """The messages of the events that are posted when each status comes so long after the one before."""
    hub = Hub()

    @virtual
    async def run() -> None:
        world = World()
        world.types["configmaps"] = TypeState(FederatedType("configmaps", TARGET, RESOURCE))
        events = Events(world, cast("HubPort", hub))
        tasks = Tasks()
        tasks.keep(events.serve, "events")
        federated = FederatedObject(Metadata("web", "ns", "uid"), msgspec.Raw(), msgspec.Raw())
        for before, after in itertools.pairwise(story):
            events.status_changed(KEY, federated, before, after)
            await asyncio.sleep(seconds)
        await asyncio.sleep(60)
        await tasks.cancel()

    run()
    return [event["message"] for event in hub.events]


def test_a_clusters_own_event() -> None:
    ready = {"type": "Ready", "status": "False", "reason": "ClusterNotReachable", "message": "no answer within 3 s"}
    hub = FakeHub()

    @virtual
    async def run() -> None:
        events, tasks = Events(World(), hub), Tasks()
        tasks.keep(events.serve, "events")
        events.cluster_changed(Metadata("m1", "system", "uid"), ready)
        await settle()
        await tasks.cancel()

    run()
    (event,) = hub.events
    assert (event["type"], event["reason"], event["message"]) == ("Warning", ready["reason"], ready["message"])
    assert event["involvedObject"] == {
        "apiVersion": "core.kubefed.io/v1beta1",
        "kind": "KubeFedCluster",
        "namespace": "system",
        "name": "m1",
        "uid": "uid",
        "resourceVersion": "",
    }
