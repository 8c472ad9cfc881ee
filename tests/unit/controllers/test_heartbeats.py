"""Clusters in pull mode by their agents' Leases: when one is ready, silent or not known, in virtual time."""

import asyncio
import time
from typing import Any

from federation.controllers.events import Events
from federation.controllers.heartbeats import Heartbeats, LeaseSink
from federation.controllers.triggers import StoredSink
from federation.controllers.world import World
from federation.kube import decoding
from federation.model.failures import Failure, FailureKind
from federation.model.resources import KUBEFED_CLUSTERS, LEASES, ObjectName
from federation.registration import grants, heartbeats, names
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Workers
from tests.fakehub import Contact, FakeHub
from tests.unit.virtualtime import EPOCH, virtual

SYSTEM = "kube-federation-system"
EAST = ObjectName(SYSTEM, "east")
LEASE = ObjectName("east", names.LEASE)


def _now() -> float:
    return time.time()  # which virtual time exchanges


class Site:
    """A hub with one accepted cluster; `beat` is its agent's."""

    def __init__(self) -> None:
        self.hub = FakeHub()
        self.hub.put(
            KUBEFED_CLUSTERS, EAST, spec={"syncMode": "Pull"}, metadata={"annotations": {grants.AGENT_ANNOTATION: "a1"}}
        )
        self.clusters: Store[Any] = Store()
        self.events = Events(World(), self.hub)
        self.watched = Heartbeats(self.hub, self.clusters, events=self.events, namespace=SYSTEM, now=_now)
        self.watch = self.watched.watch = Contact()
        self.tasks = Tasks()

    async def __aenter__(self) -> "Site":
        watched = self.watched
        self.hub.follow(KUBEFED_CLUSTERS, StoredSink(self.clusters, watched.cluster_observed), decoding.stored)
        self.hub.follow(LEASES, LeaseSink(watched), decoding.stored)
        self.tasks.keep(self.events.serve, "events")
        self.tasks.keep(Workers("heartbeat", watched.queue, watched.process).serve, "heartbeats")
        await asyncio.sleep(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.tasks.cancel()

    def beat(self, agent: str = "a1", *, ahead: float = 0.0, version: str = "v1.36.3", trouble: str = "") -> None:
        now = EPOCH + asyncio.get_running_loop().time() + ahead
        annotations = {key: value or "" for key, value in heartbeats.notes("1", version, trouble).items()}
        self.hub.put(LEASES, LEASE, spec=dict(heartbeats.spec(agent, now)), metadata={"annotations": annotations})

    def condition(self, kind: str = "Ready") -> dict[str, Any]:
        stored = self.hub.get(KUBEFED_CLUSTERS, EAST) or {}
        conditions = stored.get("status", {}).get("conditions", [])
        return next((dict(each) for each in conditions if each["type"] == kind), {})


@virtual
async def test_a_cluster_is_ready_while_its_agent_is_heard() -> None:
    async with Site() as site:
        assert (site.condition()["status"], site.condition("Offline")) == ("Unknown", {})
        assert "has not been heard yet" in site.condition()["message"]
        site.beat()
        await asyncio.sleep(1)
        assert (site.condition()["status"], site.condition()["reason"]) == ("True", "ClusterReady")
        assert site.condition("Offline")["status"] == "False"
        assert (site.hub.get(KUBEFED_CLUSTERS, EAST) or {})["status"]["kubernetesVersion"] == "v1.36.3"


@virtual
async def test_an_agent_that_does_not_reach_its_member_says_so() -> None:
    """It lives, so it is not silent; and its cluster is not well. The hub hears of both ends at once."""
    async with Site() as site:
        site.beat()
        await asyncio.sleep(60)
        site.hub.events.clear()
        site.beat(trouble="no answer\nwithin 3 s")
        await asyncio.sleep(1)
        ready = site.condition()
        assert (ready["status"], ready["reason"]) == ("False", "ClusterNotReady")
        assert "its agent a1 reports that the cluster's API server is not well: no answer" in ready["message"]
        assert "\n" not in ready["message"]
        assert site.condition("Offline")["status"] == "False"
        assert [event["reason"] for event in site.hub.events] == ["ClusterNotReady"]
        site.beat()
        await asyncio.sleep(1)
        assert site.condition()["status"] == "True"


@virtual
async def test_an_hour_of_beats_is_a_dozen_writes() -> None:
    async with Site() as site:
        site.beat()
        await asyncio.sleep(1)
        site.hub.writes.clear()
        for _ in range(60):
            await asyncio.sleep(60)
            site.beat()
        assert site.condition()["status"] == "True"
        assert len(site.hub.writes) <= 13, "lastProbeTime, every five minutes"


@virtual
async def test_after_five_durations_of_silence_nothing_is_known() -> None:
    async with Site() as site:
        site.beat()
        await asyncio.sleep(298)
        site.hub.events.clear()
        assert site.condition()["status"] == "True"
        await asyncio.sleep(5)
        assert (site.condition()["status"], site.condition()["reason"]) == ("Unknown", "ClusterNotReachable")
        assert site.condition("Offline")["status"] == "True"
        assert "a1 has not been heard since 2027-01-15T08:00:01Z" in site.condition()["message"]
        assert [event["reason"] for event in site.hub.events] == ["ClusterNotReachable"]
        site.beat()
        await asyncio.sleep(1)
        assert (site.condition()["status"], site.condition("Offline")["status"]) == ("True", "False")
        assert [event["reason"] for event in site.hub.events] == ["ClusterNotReachable", "ClusterReady"]


@virtual
async def test_a_beat_whose_event_is_on_its_way_counts() -> None:
    """Before a cluster counts as silent its Lease is read by name."""
    async with Site() as site:
        site.beat()
        await asyncio.sleep(1)
        site.hub.events.clear()
        site.hub.delay_events = True
        await asyncio.sleep(200)
        site.beat()
        await asyncio.sleep(150)
        site.hub.deliver()
        await asyncio.sleep(1)
        assert site.condition()["status"] == "True"
        assert not site.hub.events


@virtual
async def test_while_we_do_not_hear_the_hub_nothing_is_concluded() -> None:
    async with Site() as site:
        site.beat()
        await asyncio.sleep(1)
        site.hub.events.clear()
        site.watch.failure = Failure(FailureKind.UNREACHABLE, "the hub is away")
        site.hub.delay_events = True
        await asyncio.sleep(1000)
        site.beat()
        assert site.condition()["status"] == "True"
        site.watch.failure = None
        site.hub.deliver()
        await asyncio.sleep(10)
        assert (site.condition()["status"], site.hub.events) == ("True", [])


@virtual
async def test_an_agents_clock_that_is_wrong_makes_nothing_of_it() -> None:
    async with Site() as site:
        site.beat(ahead=-86_400)
        await asyncio.sleep(1)
        assert site.condition()["status"] == "Unknown", "the first beat that is seen may be of long ago"
        for _ in range(5):
            site.beat(ahead=-86_400)
            await asyncio.sleep(60)
        assert site.condition()["status"] == "True", "one that came while we looked is of now"
        site.beat(ahead=86_400)
        await asyncio.sleep(400)
        assert site.condition()["status"] == "Unknown"


@virtual
async def test_a_controller_that_starts_knows_who_is_silent_at_once() -> None:
    site = Site()
    site.beat(ahead=-3600)
    async with site:
        await asyncio.sleep(1)
        assert site.condition("Offline")["status"] == "True"


@virtual
async def test_a_cluster_in_push_mode_is_left_alone() -> None:
    async with Site() as site:
        site.hub.put(KUBEFED_CLUSTERS, EAST, spec={"syncMode": "Push"})
        await asyncio.sleep(1)
        site.hub.writes.clear()
        site.beat()
        await asyncio.sleep(1000)
        assert site.hub.writes == []


@virtual
async def test_a_lease_in_a_namespace_that_is_no_clusters_is_nothing() -> None:
    async with Site() as site:
        site.hub.put(LEASES, ObjectName("other", names.LEASE), spec=dict(heartbeats.spec("x", EPOCH)))
        site.hub.put(LEASES, LEASE, spec={"renewTime": "never", "leaseDurationSeconds": "x"})
        await asyncio.sleep(1)
        assert site.condition()["status"] == "Unknown"
