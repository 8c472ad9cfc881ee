"""Preferences on the road of an object: what is written where, what stays in an outage, and what users are told; hub
and members in memory."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from federation.controllers import preferences
from federation.controllers.ports import OnChange, Sink
from federation.controllers.preferences import Preferences
from federation.core import times
from federation.kube import decoding
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType, StoredObject
from federation.model.resources import CRDS, KUBEFED_CLUSTERS, PREFERENCES, ObjectName, Resource
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Workers
from tests.unit.controllers.rig import FEDERATED_NAMESPACES, GROUP, NS, WEB, Rig
from tests.unit.virtualtime import virtual

DEPLOYMENTS = FederatedType(
    "deployments.apps",
    Resource("apps", "v1", "Deployment", "deployments", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedDeployment", "federateddeployments", namespaced=True),
)
TEMPLATE = {"spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}}}
FEDERATED = DEPLOYMENTS.federated
KEYS = {"x-kubernetes-list-type": "map"}
OPERATIONS = {**KEYS, "x-kubernetes-list-map-keys": ["path"]}
OVERRIDES = {
    **KEYS,
    "x-kubernetes-list-map-keys": ["clusterName"],
    "items": {"properties": {"clusterOverrides": OPERATIONS}},
}


def definition(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A federated CRD, as far as it says what kind of lists it has."""
    spec = {"properties": {"overrides": overrides}}
    schema = {"openAPIV3Schema": {"properties": {"spec": spec}}}
    return {"versions": [{"name": "v1beta1", "schema": schema}]}


class _Watch:
    failure: Failure | None = None
    synced = True
    contact = 0.0

    async def run(self) -> None:
        await asyncio.Event().wait()

    def kick(self) -> None:
        """Nothing waits."""


class Steered(Rig):
    """A rig with the controller of preferences, as app wires it."""

    def __init__(self, *members: str, overrides: Mapping[str, Any] = OVERRIDES, **options: Any) -> None:
        super().__init__(*members, types=options.pop("types", (DEPLOYMENTS,)), **options)
        self.world.namespace = "ns"
        self.clusters: Store[StoredObject] = Store()
        self.preferences = Preferences(
            self.world, self.hub, self, clusters=self.clusters, events=self.events, now=time.time
        )
        self.fanout.also = self.preferences.cluster_changed
        self.fanout.around = self.preferences.namespace_changed
        self.hub.put(CRDS, ObjectName("", FEDERATED.qualified), spec=definition(overrides))
        self._deciding = Tasks()

    def stored(self, *args: Any, **options: Any) -> Any:
        """Follow (as the controller asks), or what the hub has of a federated object (as tests do)."""
        if args and args[0] == PREFERENCES:
            return self.watch(*args)
        return super().stored(*args, **options)

    def watch(self, resource: Resource, namespace: str, sink: Sink[StoredObject], on_change: OnChange) -> _Watch:
        self.hub.follow(PREFERENCES, sink, decoding.stored)
        return _Watch()

    async def __aenter__(self) -> "Steered":
        await self.preferences.follow()
        workers = Workers("preferences", self.preferences.queue, self.preferences.process)
        self._deciding.keep(workers.serve, "preferences")
        await super().__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._deciding.cancel()
        await self.preferences.close()
        await super().__aexit__()

    def prefer(self, total: int | None = 9, kind: str = "FederatedDeployment", **spec: Any) -> None:
        """A user's preference; what is None goes."""
        wanted = {"targetKind": kind, **({} if total is None else {"totalReplicas": total}), **spec}
        self.hub.put(PREFERENCES, WEB, spec=wanted)

    def make(self, *clusters: str, template: Any = None, **spec: Any) -> None:
        """A user's federated object."""
        self.put(WEB, template or TEMPLATE, clusters, DEPLOYMENTS, spec=spec)

    def mark(self, name: str, **metadata: Any) -> None:
        """The KubeFedCluster as its user, or its status, has it."""
        where = ObjectName("ns", name)
        self.hub.put(KUBEFED_CLUSTERS, where, **metadata)
        body = self.hub.get(KUBEFED_CLUSTERS, where)
        self.clusters.put(where, decoding.stored(_bytes(body)))
        self.preferences.cluster_changed(name)

    def down(self, name: str) -> None:
        """It does not answer any more."""
        stamp = times.rfc3339(time.time())
        self.mark(name, status={"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": stamp}]})
        self.see(name, ready=False)

    def up(self, name: str) -> None:
        """It answers again."""
        stamp = times.rfc3339(time.time())
        self.mark(name, status={"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": stamp}]})
        self.see(name, ready=True)

    def shows(self, name: str, ready: int, existing: int | None = None) -> None:
        """A member's own controllers report."""
        status = {"readyReplicas": ready, "replicas": ready if existing is None else existing}
        self.members[name].post(DEPLOYMENTS.target, WEB, {"status": status}, manager="kube-controller-manager")

    @property
    def spec(self) -> dict[str, Any]:
        return dict((self.hub.get(FEDERATED, WEB) or {})["spec"])

    @property
    def numbers(self) -> dict[str, int]:
        """What the federated object asks for, where it is placed."""
        spec = self.spec
        found: dict[str, int] = {
            each["clusterName"]: one["value"]
            for each in spec.get("overrides", [])
            for one in each["clusterOverrides"]
            if one["path"] == "/spec/replicas"
        }
        assert {each["name"] for each in spec["placement"]["clusters"]} == found.keys()
        return found

    async def reaches(self, **numbers: int) -> None:
        """Wait until the federated object asks for these."""
        for _ in range(150):
            if self.numbers == numbers:
                return
            await asyncio.sleep(1)
        assert self.numbers == numbers

    @property
    def status(self) -> dict[str, Any]:
        return dict((self.hub.get(PREFERENCES, WEB) or {}).get("status", {}))

    def says(self, kind: str = "Ready") -> tuple[str, str, str]:
        """One condition of the preference."""
        found: dict[str, str] = next((each for each in self.status.get("conditions", []) if each["type"] == kind), {})
        return found.get("status", ""), found.get("reason", ""), found.get("message", "")

    @property
    def news(self) -> list[tuple[str, str]]:
        """The events on the preference."""
        return [
            (each["type"], each["reason"])
            for each in self.hub.events
            if each["involvedObject"]["kind"] == PREFERENCES.kind
        ]

    def replicas(self, name: str) -> Any:
        """What a member was told."""
        return self.members[name].value(DEPLOYMENTS.target, WEB, "spec", "replicas")


def _bytes(body: Any) -> bytes:
    import orjson  # noqa: PLC0415

    return orjson.dumps(body)


def w(weight: int = 1, **bounds: int) -> dict[str, int]:
    """An entry of spec.clusters."""
    return {"weight": weight, **bounds}


# --- what is written


@virtual
async def test_replicas_are_spread_and_the_members_get_them() -> None:
    async with Steered("m1", "m2", "m3") as rig:
        rig.make()
        rig.prefer(9)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 3, "m2": 3, "m3": 3}
        assert [rig.replicas(name) for name in ("m1", "m2", "m3")] == [3, 3, 3]
        assert rig.says() == ("True", "Scheduled", "9 replicas in 3 clusters")
        assert rig.says("Valid")[0] == "True"
        assert rig.status["replicas"] == 9
        assert rig.status["clusters"] == [{"name": name, "replicas": 3} for name in ("m1", "m2", "m3")]
        assert rig.news == [("Normal", "ReplicasScheduled")]


@virtual
async def test_nothing_is_asked_or_written_at_rest() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4)
        await asyncio.sleep(5)
        for name in ("m1", "m2"):
            rig.shows(name, ready=2)
        await asyncio.sleep(60)
        rig.quiet()
        rig.hub.reads.clear()
        await asyncio.sleep(7200)
        assert (rig.asked, rig.hub.writes, rig.hub.reads) == ({}, [], [])
        assert rig.preferences.queue.idle
        assert not rig.preferences.queue.later


@virtual
async def test_probes_wake_nobody() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4)
        rig.up("m1")
        await asyncio.sleep(10)
        for name in ("m1", "m2"):
            rig.shows(name, ready=2)
        await asyncio.sleep(10)
        before = rig.preferences.queue.added
        for number in range(20):
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            rig.mark("m1", status={"conditions": [{**ready, "lastProbeTime": str(number)}]})
            await asyncio.sleep(1)
        assert rig.preferences.queue.added == before


@virtual
async def test_other_overrides_and_fields_stay_as_they_are() -> None:
    async with Steered("m1", "m2") as rig:
        image = {"op": "add", "path": "/spec/template/spec/containers/0/image", "value": "web:2"}
        old = {"path": "/spec/replicas", "value": 7}
        overrides = [
            {"clusterName": "m1", "clusterOverrides": [image, old]},
            {"clusterName": "gone", "clusterOverrides": [old]},
        ]
        rig.hub.put(FEDERATED, WEB, spec={"placement": {"clusterSelector": {}}})
        rig.make(overrides=overrides)
        rig.prefer(6, clusters={"m1": w(2), "m2": w(1)})
        await asyncio.sleep(5)
        by_cluster = {each["clusterName"]: each["clusterOverrides"] for each in rig.spec["overrides"]}
        assert by_cluster["m1"] == [image, {"path": "/spec/replicas", "value": 4}]
        assert by_cluster["m2"] == [{"path": "/spec/replicas", "value": 2}]
        assert rig.spec["placement"]["clusterSelector"] == {}
        assert rig.spec["template"] == TEMPLATE
        assert [each for each in rig.hub.writes if "kubefed-scheduler" in each]


@virtual
async def test_a_removal_of_replicas_by_an_override_is_replaced() -> None:
    async with Steered("m1") as rig:
        rig.make(overrides=[{"clusterName": "m1", "clusterOverrides": [{"op": "remove", "path": "/spec/replicas"}]}])
        rig.prefer(3)
        await asyncio.sleep(5)
        assert rig.spec["overrides"][0]["clusterOverrides"] == [{"op": "replace", "path": "/spec/replicas", "value": 3}]
        assert rig.replicas("m1") == 3


@virtual
async def test_lists_without_keys_are_written_as_a_whole() -> None:
    """A CRD that KubeFed made."""
    async with Steered("m1", "m2", overrides={"type": "array"}) as rig:
        paused = {"path": "/spec/paused", "value": True}
        rig.make(overrides=[{"clusterName": "m2", "clusterOverrides": [paused]}])
        rig.prefer(5)
        await asyncio.sleep(5)
        assert rig.numbers in ({"m1": 2, "m2": 3}, {"m1": 3, "m2": 2})
        by_cluster = {each["clusterName"]: each["clusterOverrides"] for each in rig.spec["overrides"]}
        assert by_cluster["m2"][0] == {"op": "replace", **paused}
        assert not [each for each in rig.hub.writes if "kubefed-scheduler" in each]


@virtual
async def test_what_is_placed_as_preferred_already_is_written_once() -> None:
    """Whoever placed it may then leave it out of what he applies, and nothing goes."""
    async with Steered("m1", "m2") as rig:
        replicas = [{"path": "/spec/replicas", "value": 2}]
        rig.make("m1", "m2", overrides=[{"clusterName": each, "clusterOverrides": replicas} for each in ("m1", "m2")])
        rig.prefer(4)
        await asyncio.sleep(30)
        assert len([each for each in rig.hub.writes if "kubefed-scheduler" in each]) == 1
        assert rig.news == []


@virtual
async def test_clusters_without_a_preference_get_none_and_keep_their_object() -> None:
    """As in KubeFed."""
    async with Steered("m1", "m2", "m3") as rig:
        rig.make()
        rig.prefer(9, clusters={"m1": w(1), "m2": w(2)})
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 3, "m2": 6, "m3": 0}


@virtual
async def test_only_what_the_selector_selects_when_asked() -> None:
    async with Steered("m1", "m2") as rig:
        rig.see("m1", labels={"foo": "bar"})
        rig.hub.put(FEDERATED, WEB, spec={"placement": {"clusterSelector": {"matchLabels": {"foo": "bar"}}}})
        rig.make("m2")
        rig.prefer(
            6, clusters={"m1": w(2, minReplicas=3), "m2": w(1, minReplicas=3)}, intersectWithClusterSelector=True
        )
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 6}
        rig.see("m2", labels={"foo": "bar"})
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 3, "m2": 3}
        rig.see("m1", labels={})
        await asyncio.sleep(5)
        assert rig.numbers == {"m2": 6}


@virtual
async def test_a_namespace_bounds_where_replicas_go() -> None:
    """What is scheduled where the namespace is not would run nowhere."""
    async with Steered("m1", "m2", types=(DEPLOYMENTS, FEDERATED_NAMESPACES)) as rig:
        rig.make()
        rig.prefer(6)
        await asyncio.sleep(5)
        rig.world.types[FEDERATED_NAMESPACES.name].vanished(NS)
        rig.preferences.queue.add(WEB)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 3, "m2": 3}
        assert rig.says("Valid")[:2] == ("False", "NamespaceNotFederated")
        rig.put(NS, clusters=("m2",), enabled=FEDERATED_NAMESPACES)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 0, "m2": 6}
        assert rig.says("Valid")[0] == "True"
        rig.put(NS, clusters=("m1", "m2"), enabled=FEDERATED_NAMESPACES)
        rig.prefer(6, rebalance=True)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 3, "m2": 3}


@virtual
async def test_a_cluster_that_leaves_is_left_out_at_once() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(6)
        await asyncio.sleep(5)
        rig.leave("m1")
        await asyncio.sleep(5)
        assert rig.numbers == {"m2": 6}
        assert [each["clusterName"] for each in rig.spec["overrides"]] == ["m2"]


@virtual
async def test_a_selector_that_is_not_there_changes_nothing() -> None:
    async with Steered("m1") as rig:
        rig.make("m1")
        rig.prefer(6, intersectWithClusterSelector=True)
        await asyncio.sleep(5)
        assert "overrides" not in rig.spec
        assert rig.says()[:2] == ("False", "NoCluster")
        assert rig.says("Valid")[:2] == ("False", "NoClusterSelector")


@virtual
async def test_deleted_preferences_leave_what_they_scheduled() -> None:
    """As in KubeFed."""
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4)
        await asyncio.sleep(5)
        rig.hub.delete(PREFERENCES, WEB)
        rig.quiet()
        rig.leave("m2")
        await asyncio.sleep(60)
        assert rig.numbers == {"m1": 2, "m2": 2}
        assert not rig.hub.writes or all("kubefed-scheduler" not in each for each in rig.hub.writes)


@virtual
async def test_an_object_that_goes_and_comes_back_is_scheduled_anew() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4, clusters={"m1": w(3), "m2": w(1)})
        await asyncio.sleep(5)
        rig.hub.delete(FEDERATED, WEB)
        await asyncio.sleep(30)
        assert rig.stored(WEB, DEPLOYMENTS) is None
        assert rig.says()[:2] == ("False", "NoTarget")
        assert (rig.status["replicas"], rig.status["clusters"]) == (0, [])
        rig.make()
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 3, "m2": 1}
        assert rig.says()[:2] == ("True", "Scheduled")


@virtual
async def test_the_federated_object_may_come_later() -> None:
    async with Steered("m1") as rig:
        rig.prefer(2)
        await asyncio.sleep(1)
        assert rig.status == {}
        await asyncio.sleep(5)
        assert rig.says()[:2] == ("False", "NoTarget")
        assert rig.news == [("Warning", "NoTarget")]
        rig.make()
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 2}
        assert rig.says()[:2] == ("True", "Scheduled")
        assert rig.says("Valid")[0] == "True"


# --- what stays, and what moves


@virtual
async def test_without_rebalance_only_what_is_new_is_spread() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(6)
        await asyncio.sleep(5)
        rig.prefer(6, clusters={"m1": w(2), "m2": w(1)})
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 3, "m2": 3}
        rig.prefer(9)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 6, "m2": 3}
        rig.prefer(6)
        await asyncio.sleep(5)
        assert rig.numbers in ({"m1": 4, "m2": 2}, {"m1": 3, "m2": 3})
        rig.join("m3")
        await asyncio.sleep(5)
        assert rig.numbers["m3"] == 0


@virtual
async def test_with_rebalance_all_is_spread_anew() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(6, rebalance=True)
        await asyncio.sleep(5)
        rig.prefer(6, clusters={"m1": w(2), "m2": w(1)})
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 4, "m2": 2}
        rig.prefer(6, clusters={"m1": w(1), "m2": w(1), "m3": w(1)})
        rig.join("m3")
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 2, "m2": 2, "m3": 2}


@virtual
async def test_what_ran_before_the_preference_stays_where_it_is() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make("m1", "m2", template={"spec": {**TEMPLATE["spec"], "replicas": 3}})
        await asyncio.sleep(5)
        rig.shows("m1", ready=3)
        rig.shows("m2", ready=0, existing=3)
        rig.prefer(6, clusters={"m1": w(1), "m2": w(5)})
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 3, "m2": 3}
        rig.prefer(6, clusters={"m1": w(1), "m2": w(5)}, rebalance=True)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 1, "m2": 5}


@virtual
async def test_what_runs_is_waited_for_before_anything_is_written() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make("m1", "m2")
        await asyncio.sleep(5)
        rig.members["m2"].fails = lambda verb, name: (
            Failure(FailureKind.UNAVAILABLE, "503", 503) if verb == "whole" else None
        )
        rig.prefer(6)
        await asyncio.sleep(20)
        assert "overrides" not in rig.spec
        assert rig.says()[:2] == ("False", "WaitingForClusters")
        rig.members["m2"].fails = lambda verb, name: None
        await asyncio.sleep(60)
        assert rig.numbers == {"m1": 3, "m2": 3}


@virtual
async def test_a_member_that_does_not_answer_keeps_its_number() -> None:
    async with Steered("m1", "m2", "m3") as rig:
        rig.make()
        rig.prefer(9, rebalance=True)
        await asyncio.sleep(5)
        rig.down("m1")
        await asyncio.sleep(3600)
        assert rig.numbers == {"m1": 3, "m2": 3, "m3": 3}
        assert "m1 does not answer and keeps 3" in rig.says()[2]
        rig.prefer(15)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 3, "m2": 6, "m3": 6}
        rig.prefer(6)
        await asyncio.sleep(5)
        assert rig.numbers["m1"] == 3
        assert sum(rig.numbers.values()) == 6
        rig.up("m1")
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 2, "m2": 2, "m3": 2}


@virtual
async def test_a_total_far_below_is_not_left_to_who_does_not_answer() -> None:
    async with Steered("m1", "m2", "m3") as rig:
        rig.make()
        rig.prefer(9)
        await asyncio.sleep(5)
        rig.down("m1")
        rig.prefer(3)
        await asyncio.sleep(5)
        assert sum(rig.numbers.values()) == 3
        assert rig.numbers["m2"] + rig.numbers["m3"] >= 1
        rig.prefer(0)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 0, "m2": 0, "m3": 0}


@virtual
async def test_failover_makes_before_it_breaks() -> None:
    async with Steered("m1", "m2", "m3") as rig:
        rig.make()
        rig.prefer(9, failover={"after": "5m"})
        await asyncio.sleep(5)
        for name in ("m1", "m2", "m3"):
            rig.shows(name, ready=3)
        rig.down("m1")
        await asyncio.sleep(290)
        assert rig.numbers == {"m1": 3, "m2": 3, "m3": 3}
        await asyncio.sleep(20)
        assert rig.numbers["m1"] == 3
        assert rig.numbers["m2"] + rig.numbers["m3"] == 9
        assert rig.says()[:2] == ("False", "Moving")
        assert "m1" in rig.says()[2]
        rig.shows("m2", ready=rig.numbers["m2"])
        await asyncio.sleep(60)
        assert rig.numbers["m1"] == 3, "m3 does not have its own yet"
        rig.shows("m3", ready=rig.numbers["m3"])
        await asyncio.sleep(60)
        assert rig.numbers["m1"] == 0
        assert sum(rig.numbers.values()) == 9
        assert rig.says()[:2] == ("True", "Scheduled")
        before = rig.numbers
        rig.up("m1")
        await asyncio.sleep(60)
        assert rig.numbers == before, "what runs is not moved without rebalance"
        assert rig.replicas("m1") == 0


@virtual
async def test_back_before_the_others_were_ready() -> None:
    async with Steered("m1", "m2", "m3") as rig:
        rig.make()
        rig.prefer(9, failover={"after": "1m"})
        await asyncio.sleep(5)
        rig.down("m1")
        await asyncio.sleep(90)
        assert sum(rig.numbers.values()) == 12
        rig.up("m1")
        await asyncio.sleep(30)
        assert rig.numbers == {"m1": 3, "m2": 3, "m3": 3}


@virtual
async def test_nothing_fails_over_when_nobody_answers() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4, failover="after 1m")
        await asyncio.sleep(5)
        rig.down("m1")
        rig.down("m2")
        await asyncio.sleep(600)
        assert rig.numbers == {"m1": 2, "m2": 2}


@virtual
async def test_others_take_no_more_than_their_maxima() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(6, clusters={"m1": w(1), "m2": w(1, maxReplicas=4)}, failover={"after": "1m"})
        await asyncio.sleep(5)
        rig.down("m1")
        await asyncio.sleep(90)
        assert rig.numbers == {"m1": 3, "m2": 4}
        rig.shows("m2", ready=4)
        await asyncio.sleep(60)
        assert rig.numbers == {"m1": 2, "m2": 4}


@virtual
async def test_a_drained_cluster_is_left_once_others_are_ready() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4)
        await asyncio.sleep(5)
        rig.mark("m1", metadata={"annotations": {marks.DRAIN_ANNOTATION: "true"}})
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 2, "m2": 4}
        rig.shows("m2", ready=4)
        await asyncio.sleep(30)
        assert rig.numbers == {"m1": 0, "m2": 4}
        rig.prefer(6)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 0, "m2": 6}
        rig.mark("m1", metadata={"annotations": {marks.DRAIN_ANNOTATION: None}})
        rig.prefer(8)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 2, "m2": 6}


@virtual
async def test_a_cordoned_cluster_keeps_its_number() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4, rebalance=True)
        await asyncio.sleep(5)
        rig.see("m1", cordon="upgrade")
        rig.prefer(10)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 2, "m2": 8}
        assert "m1 is cordoned and keeps 2" in rig.says()[2]


# --- what does not fit


async def _crowded(rig: Steered, *, rebalance: bool = False) -> None:
    """m1 has no room for two of its five replicas, for more than a minute."""
    rig.make()
    rig.prefer(10, rebalance=rebalance)
    await asyncio.sleep(5)
    assert rig.numbers == {"m1": 5, "m2": 5}
    rig.members["m1"].stuck = [time.time() - 10, time.time() - 10]
    rig.shows("m1", ready=3, existing=5)
    rig.shows("m2", ready=5)
    await asyncio.sleep(30)
    assert rig.numbers == {"m1": 5, "m2": 5}, "a minute is waited"
    await rig.reaches(m1=3, m2=7)
    rig.members["m1"].stuck = []
    rig.shows("m1", ready=3)
    rig.shows("m2", ready=7)


@virtual
async def test_what_does_not_fit_flows_to_others_and_stays_there() -> None:
    async with Steered("m1", "m2") as rig:
        await _crowded(rig)
        await asyncio.sleep(7200)
        assert rig.numbers == {"m1": 3, "m2": 7}


@virtual
async def test_the_room_is_shown_and_remembered_over_a_restart() -> None:
    async with Steered("m1", "m2") as rig:
        await _crowded(rig, rebalance=True)
        line = next(each for each in rig.status["clusters"] if each["name"] == "m1")
        assert (line["replicas"], line["room"]) == (3, 3)
    async with Steered("m1", "m2", after=rig) as again:
        for _ in range(4):
            again.preferences.queue.add(WEB)
            await asyncio.sleep(20)
            assert again.numbers == {"m1": 3, "m2": 7}


@virtual
async def test_it_comes_back_when_the_preference_is_changed() -> None:
    async with Steered("m1", "m2") as rig:
        await _crowded(rig)
        await asyncio.sleep(30)
        rig.prefer(10, rebalance=True)
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 5, "m2": 5}


@virtual
async def test_with_rebalance_one_replica_is_tried_and_the_rest_follows() -> None:
    async with Steered("m1", "m2") as rig:
        await _crowded(rig, rebalance=True)
        await asyncio.sleep(200)
        assert rig.numbers == {"m1": 3, "m2": 7}
        await asyncio.sleep(120)
        assert rig.numbers == {"m1": 4, "m2": 6}
        rig.shows("m1", ready=4)
        await asyncio.sleep(120)
        assert rig.numbers == {"m1": 5, "m2": 5}


@virtual
async def test_one_that_does_not_fit_either_goes_back_and_the_next_try_is_later() -> None:
    async with Steered("m1", "m2") as rig:
        await _crowded(rig, rebalance=True)
        await asyncio.sleep(320)
        assert rig.numbers == {"m1": 4, "m2": 6}
        rig.members["m1"].stuck = [time.time()]
        rig.shows("m1", ready=3, existing=4)
        await rig.reaches(m1=3, m2=7)
        rig.members["m1"].stuck = []
        rig.shows("m1", ready=3)
        await asyncio.sleep(400)
        assert rig.numbers == {"m1": 3, "m2": 7}
        await asyncio.sleep(250)
        assert rig.numbers == {"m1": 4, "m2": 6}


@virtual
async def test_nobody_is_in_a_hurry_when_a_crowded_cluster_is_away_or_slow() -> None:
    async with Steered("m1", "m2") as rig:
        await _crowded(rig, rebalance=True)
        rig.members["m2"].gate.clear()
        rig.shows("m2", ready=2, existing=7)
        await asyncio.sleep(5)
        rig.down("m1")
        await asyncio.sleep(5)
        before = rig.preferences.queue.added
        await asyncio.sleep(3600)
        assert rig.preferences.queue.added - before < 10
        rig.members["m2"].gate.set()
        rig.up("m1")
        await asyncio.sleep(60)
        assert sum(rig.numbers.values()) == 10


@virtual
async def test_those_that_go_are_not_counted_twice() -> None:
    """A member's controllers have not made the workload smaller yet."""
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(10)
        await asyncio.sleep(5)
        rig.members["m1"].stuck = [time.time() - 100, time.time() - 100]
        rig.shows("m1", ready=3, existing=5)
        await asyncio.sleep(120)
        assert rig.numbers == {"m1": 3, "m2": 7}
        rig.members["m1"].stuck = []
        rig.shows("m1", ready=3)
        await asyncio.sleep(30)
        assert rig.numbers in ({"m1": 3, "m2": 7}, {"m1": 5, "m2": 5})


@virtual
async def test_what_fits_nowhere_is_asked_for_all_the_same() -> None:
    async with Steered("m1") as rig:
        rig.make()
        rig.prefer(5)
        await asyncio.sleep(5)
        rig.members["m1"].stuck = [time.time() - 100, time.time() - 100]
        rig.shows("m1", ready=3, existing=5)
        await asyncio.sleep(30)
        assert rig.numbers == {"m1": 5}
        assert rig.says()[:2] == ("False", "NoRoom")
        assert ("Warning", "NoRoom") in rig.news
        rig.members["m1"].stuck = []
        rig.shows("m1", ready=5)
        await asyncio.sleep(60)
        assert rig.says()[:2] == ("True", "Scheduled")


@virtual
async def test_who_may_not_list_pods_is_told_of() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4)
        await asyncio.sleep(5)
        rig.members["m1"].stuck = Failure(FailureKind.RIGHT_MISSING, "may not list pods", 403)
        rig.shows("m1", ready=1, existing=2)
        await asyncio.sleep(30)
        assert rig.numbers == {"m1": 2, "m2": 2}
        assert "in m1 it is not known whether pods find a node: may not list pods" in rig.says()[2]


# --- what is wrong


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param({"kind": "FederatedStatefulSet"}, "spec.targetKind: must be one of", id="kind"),
        pytest.param({"clusters": {"m1": w(minReplicas=3, maxReplicas=2)}}, "3 is above maxReplicas, 2", id="min-max"),
        pytest.param({"failover": {"after": "soon"}}, "spec.failover.after", id="failover"),
        pytest.param({"failover": {"when": "5m"}}, "spec.failover.when", id="failover-field"),
        pytest.param({"total": -1}, "spec.totalReplicas", id="total"),
        pytest.param({"total": None}, "spec.totalReplicas: is required", id="no-total"),
        pytest.param({"clusters": {"m1": {"weight": "x"}}}, "spec.clusters[m1].weight", id="weight"),
    ],
)
def test_wrong_preferences_change_nothing_and_say_why(spec: dict[str, Any], words: str) -> None:
    @virtual
    async def test() -> None:
        async with Steered("m1", "m2") as rig:
            rig.make("m1")
            rig.prefer(**spec)
            await asyncio.sleep(10)
            assert "overrides" not in rig.spec
            assert rig.says()[:2] == ("False", "InvalidSpec")
            assert words in rig.says()[2]
            assert rig.says("Valid")[:2] == ("False", "InvalidSpec")
            assert rig.news == [("Warning", "InvalidSpec")]

    test()


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        pytest.param({"clusters": {"*": w(), "m9": w()}}, "ClusterNotJoined", "spec.clusters names m9", id="stranger"),
        pytest.param({"clusters": {"*": w(minReplicas=5)}}, "TotalBelowMinimums", "are 10 together", id="minima"),
        pytest.param({"clusters": {"*": w(maxReplicas=2)}}, "TotalAboveMaximums", "are 4 together", id="maxima"),
    ],
)
def test_what_is_asked_in_vain_is_said_and_the_rest_is_obeyed(spec: dict[str, Any], reason: str, words: str) -> None:
    @virtual
    async def test() -> None:
        async with Steered("m1", "m2") as rig:
            rig.make()
            rig.prefer(9, **spec)
            await asyncio.sleep(10)
            assert sum(rig.numbers.values()) == (4 if reason == "TotalAboveMaximums" else 9)
            assert rig.says("Valid")[:2] == ("False", reason)
            assert words in rig.says("Valid")[2]
            assert ("Warning", reason) in rig.news

    test()


@virtual
async def test_a_type_that_is_not_enabled() -> None:
    async with Steered("m1") as rig:
        rig.prefer(2, kind="FederatedReplicaSet")
        await asyncio.sleep(10)
        assert rig.says()[:2] == ("False", "TypeNotEnabled")
        assert "fedctl enable replicasets.apps" in rig.says()[2]


@virtual
async def test_the_feature_gate_is_obeyed_while_running() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4)
        await asyncio.sleep(5)
        object.__setattr__(rig.world.settings, "features", frozenset({"PushReconciler"}))
        await rig.preferences.follow()
        assert rig.says()[:2] == ("False", "Disabled")
        rig.prefer(8)
        await asyncio.sleep(60)
        assert rig.numbers == {"m1": 2, "m2": 2}
        object.__setattr__(rig.world.settings, "features", frozenset({"SchedulerPreferences"}))
        await rig.preferences.follow()
        await asyncio.sleep(5)
        assert rig.numbers == {"m1": 4, "m2": 4}
        assert rig.says()[:2] == ("True", "Scheduled")


@virtual
async def test_without_the_pusher_the_gate_is_named_not_a_type_that_is_not_enabled() -> None:
    """No type is followed then; when they are again it goes on by itself."""
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4)
        await asyncio.sleep(5)
        on, types = rig.world.settings.features, dict(rig.world.types)
        object.__setattr__(rig.world.settings, "features", frozenset({"SchedulerPreferences"}))
        rig.world.types.clear()
        rig.prefer(8)
        await asyncio.sleep(10)
        ready, reason, message = rig.says()
        assert (ready, reason) == ("False", "Disabled")
        assert "feature gate PushReconciler is Disabled" in message
        assert rig.says("Valid")[0] == "Unknown"
        assert rig.numbers == {"m1": 2, "m2": 2}
        object.__setattr__(rig.world.settings, "features", on)
        rig.world.types.update(types)
        await asyncio.sleep(40)
        assert rig.numbers == {"m1": 4, "m2": 4}


# --- others who write


@virtual
async def test_somebody_who_writes_other_numbers_again_and_again_is_named_and_not_raced() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4)
        await asyncio.sleep(5)
        rig.quiet()
        for _ in range(60):
            rig.hub.put(FEDERATED, WEB, spec={"placement": {"clusters": [{"name": "m1"}]}})
            await asyncio.sleep(10)
        ours = [each for each in rig.hub.writes if "kubefed-scheduler" in each]
        assert 3 <= len(ours) < 12
        assert rig.says("Valid")[:2] == ("False", "Contested")
        assert ("Warning", "Contested") in rig.news
        await asyncio.sleep(1000)
        assert rig.numbers == {"m1": 2, "m2": 2}


@virtual
async def test_a_hub_that_refuses_is_told_of_and_asked_again() -> None:
    async with Steered("m1") as rig:
        rig.make()
        rig.hub.fails = lambda verb, name: (
            Failure(FailureKind.INVALID, "not like this", 422) if verb.startswith("apply") else None
        )
        rig.prefer(2)
        await asyncio.sleep(30)
        assert rig.says()[:2] == ("False", "Refused")
        assert "not like this" in rig.says()[2]
        rig.hub.fails = lambda verb, name: None
        await asyncio.sleep(120)
        assert rig.numbers == {"m1": 2}
        assert rig.says()[0] == "True"


@virtual
async def test_a_status_that_is_nonsense_stops_nothing() -> None:
    async with Steered("m1", "m2") as rig:
        rig.make()
        rig.prefer(4)
        for status in (
            {"clusters": "x", "conditions": [1, None]},
            {"clusters": [1, {"name": 5}, {"name": "m1", "replicas": "x"}]},
        ):
            rig.hub.put(PREFERENCES, WEB, status=status)
            await asyncio.sleep(10)
        assert rig.numbers == {"m1": 2, "m2": 2}
        assert rig.says()[:2] == ("True", "Scheduled")
    assert preferences.DWELL < 5
