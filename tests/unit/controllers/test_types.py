"""Enabled types switched on, changed, off and away: watches start and stop, finalizers are kept, copies stay."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from msgspec import Raw
from structlog.testing import capture_logs

from federation.controllers.fanout import Fanout
from federation.controllers.ports import OnChange, Sink, Watch
from federation.controllers.tracks import Track
from federation.controllers.triggers import StoredSink
from federation.controllers.types import Types
from federation.kube import decoding
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.plan import Basis, Delete, Plan, RemovalReason
from federation.model.policies import Drift, Policies
from federation.model.resources import TYPE_CONFIGS, Key, ObjectName, Resource
from federation.model.settings import PUSHER, RAW_STATUS, Settings
from federation.model.statusrules import StatusCollection
from federation.runtime import metrics
from federation.runtime.workers import Workers
from tests.fakehub import FakeHub
from tests.unit.controllers.fleet import SYSTEM, Fleet
from tests.unit.controllers.rig import CONFIGMAPS, DATA, GROUP, WEB
from tests.unit.virtualtime import settle, virtual

UNAVAILABLE = Failure(FailureKind.UNAVAILABLE, "503", 503)


class HubWatch:
    """Follows a fake hub; while `failure` is set it waits to be kicked, as a reflector does."""

    version = ""

    def __init__(self, follow: Callable[[], None], failure: Failure | None, on_change: OnChange) -> None:
        self.failure = failure
        self.synced = False
        self.contact = self.since = 0.0
        self.open, self.breaks = True, 0
        self.restored = 0
        self.running = False
        self.kicked = asyncio.Event()
        self._follow = follow
        self._on_change = on_change

    async def run(self) -> None:
        self.running = True
        try:
            while self.failure is not None:
                self._on_change(self)
                await self.kicked.wait()
                self.kicked.clear()
                self.failure = None
            self._follow()
            self.synced = True
            self._on_change(self)
            await asyncio.Event().wait()
        finally:
            self.running = False

    def kick(self) -> None:
        self.kicked.set()

    def renew(self) -> None:
        self.kicked.set()

    def ends(self, failure: Failure | None) -> None:
        """From now on the hub answers so."""
        self.failure = failure
        self._on_change(self)


class HubWatches:
    """The hub's collections; a type's own is missing while `missing` says so."""

    def __init__(self, hub: FakeHub) -> None:
        self.hub = hub
        self.missing: Failure | None = None
        self.opened: list[HubWatch] = []

    def federated(self, enabled: FederatedType, sink: Sink[FederatedObject], on_change: OnChange) -> HubWatch:
        watch = HubWatch(lambda: self.hub.follow(enabled.federated, sink), self.missing, on_change)
        self.opened.append(watch)
        return watch

    def system(self, resource: Resource, sink: Sink[StoredObject]) -> Watch:
        raise AssertionError

    def metadata(self, resource: Resource, sink: Sink[Metadata]) -> Watch:
        raise AssertionError


class Enabled:
    """The types controller beside a fleet with one member."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.watches = HubWatches(fleet.hub)
        self.woken: list[str] = []
        self.time = "2026-01-01T00:00:00Z"
        fanout = Fanout(fleet.world, lambda key, **_: self.woken.append(str(key)))
        self.types = Types(
            fleet.world,
            fleet.hub,
            self.watches,
            clusters=fleet.clusters,
            sync=fleet.sync,
            fanout=fanout,
            namespace=SYSTEM,
            now=lambda: self.time,
        )
        fleet.hub.follow(TYPE_CONFIGS, StoredSink(self.types.objects, self.types.observed), decoding.stored)
        fleet.tasks.keep(Workers("types", self.types.queue, self.types.process).serve, "types")

    def config(self, name: str = "configmaps", *, metadata: dict[str, Any] | None = None, **spec: Any) -> None:
        """A FederatedTypeConfig."""
        target = {"version": "v1", "kind": "ConfigMap", "pluralName": "configmaps", "scope": "Namespaced"}
        federated = {
            "group": GROUP,
            "version": "v1beta1",
            "kind": "FederatedConfigMap",
            "pluralName": "federatedconfigmaps",
            "scope": "Namespaced",
        }
        whole = {"targetType": target, "federatedType": federated, "propagation": "Enabled", **spec}
        self.fleet.hub.put(TYPE_CONFIGS, ObjectName(SYSTEM, name), spec=whole, metadata=metadata or {})

    def delete(self, name: str = "configmaps") -> None:
        self.fleet.hub.delete(TYPE_CONFIGS, ObjectName(SYSTEM, name))

    def stored(self, name: str = "configmaps") -> dict[str, Any] | None:
        return self.fleet.hub.get(TYPE_CONFIGS, ObjectName(SYSTEM, name))

    def status(self, name: str = "configmaps") -> dict[str, Any]:
        return dict((self.stored(name) or {}).get("status", {}))

    def ready(self, name: str = "configmaps") -> tuple[str, str, str, str] | None:
        """Condition Ready: status, reason, message and the time of its last transition."""
        found = [each for each in self.status(name).get("conditions", ()) if each["type"] == "Ready"]
        return (
            (found[0]["status"], found[0]["reason"], found[0]["message"], found[0]["lastTransitionTime"])
            if found
            else None
        )

    @property
    def running(self) -> set[str]:
        return set(self.fleet.world.types)

    def member_watch(self) -> bool:
        watch = self.fleet.gates[0].watches.get("configmaps")
        return watch is not None and watch.running


@asynccontextmanager
async def enabled() -> AsyncIterator[Enabled]:
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(1)
        made = Enabled(fleet)
        try:
            yield made
        finally:
            await made.types.close()


@virtual
async def test_an_enabled_type_is_followed_at_the_hub_and_in_members() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        assert made.running == {"configmaps"}
        assert made.watches.opened[0].running
        assert made.member_watch()
        assert made.types.synced
        stored = made.stored()
        assert stored is not None
        assert stored["metadata"]["finalizers"] == [marks.TYPE_FINALIZER]
        assert made.status()["propagationController"] == "Running"
        assert made.status()["observedGeneration"] == 1
        assert made.ready() == ("True", "Following", "", made.time)
        made.fleet.hub.writes.clear()
        made.types.observed("configmaps")
        await asyncio.sleep(60)
        assert made.fleet.hub.writes == []  # its own echo ends there


@virtual
async def test_other_policies_need_no_other_watch_and_its_objects_are_planned_anew() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        state = made.fleet.world.types["configmaps"]
        made.fleet.hub.put(CONFIGMAPS.federated, WEB, spec={"template": DATA, "placement": {"clusters": []}})
        await asyncio.sleep(5)
        made.woken.clear()
        made.config(policies={"drift": "Report"})
        await asyncio.sleep(5)
        assert made.fleet.world.types["configmaps"] is state
        assert state.type.policies == Policies(drift=Drift.REPORT)
        assert (len(made.watches.opened), made.watches.opened[0].running) == (1, True)
        assert made.woken == [f"configmaps {WEB}"]
        made.config(policies={"drift": "Sometimes"})
        await asyncio.sleep(5)
        ready = made.ready()
        assert ready is not None
        assert (made.running, ready[:2]) == (set(), ("False", "InvalidSpec"))
        assert "spec.policies.drift: must be one of Correct, Report" in ready[2]
        made.config(policies=None)
        await asyncio.sleep(5)
        assert made.running == {"configmaps"}
        assert made.fleet.world.types["configmaps"].type.policies == Policies()


@virtual
async def test_status_collection_is_another_watch_in_members_and_none_at_the_hub() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        first = made.fleet.gates[0].watches["configmaps"]
        assert made.status()["statusController"] == "NotRunning"
        assert first.wanted is None
        made.config(statusCollection="Enabled")
        await asyncio.sleep(5)
        whole = made.fleet.gates[0].watches["configmaps"]
        assert (first.running, whole.running, whole.wanted) == (False, True, StatusCollection())
        assert made.status()["statusController"] == "Running"
        assert "RawResourceStatusCollection" in (made.ready() or ("",) * 3)[2]
        made.fleet.world.settings = Settings(features=frozenset({PUSHER, RAW_STATUS}))
        made.types.rescoped()
        await asyncio.sleep(5)
        raw = made.fleet.gates[0].watches["configmaps"]
        assert (whole.running, raw.running, raw.wanted) == (False, True, StatusCollection(raw=True))
        assert made.ready() == ("True", "Following", "", made.time)
        made.config(statusCollection="Enabled", health={"healthy": [{"path": ".data.a"}]})
        await asyncio.sleep(5)
        assert "spec.health.healthy[0].path" in (made.ready() or ("",) * 3)[2]
        made.config(statusCollection="Disabled", health=None)
        await asyncio.sleep(5)
        assert made.fleet.gates[0].watches["configmaps"].wanted is None
        assert made.status()["statusController"] == "NotRunning"
        assert made.fleet.world.types["configmaps"].copies
        assert all(each.statuses is None for each in made.fleet.world.types["configmaps"].copies.values())


@virtual
async def test_propagation_off_stops_it_and_leaves_copies_alone() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        assert metrics.TYPE_PLACEMENTS.value("configmaps") == metrics.PLACEMENTS.value("m1") == 0
        made.config(propagation="Disabled")
        await settle()
        assert made.running == set()
        assert not made.watches.opened[0].running
        assert not made.member_watch()
        await asyncio.sleep(3)
        assert made.status()["propagationController"] == "NotRunning"
        assert made.ready() is None  # nothing is wrong with a type that is switched off
        assert metrics.TYPE_PLACEMENTS.value("configmaps") is None
        made.config(propagation="Enabled")
        await settle()
        assert made.running == {"configmaps"}
        assert made.member_watch()


@virtual
async def test_a_deleted_type_stops_first_and_is_let_go_then() -> None:
    async with enabled() as made:
        made.config(metadata={"finalizers": ["example.com/other"]})
        await settle()
        made.fleet.hub.put(CONFIGMAPS.federated, WEB, spec={"template": DATA})
        made.fleet.hub.fails = lambda verb, name: UNAVAILABLE if verb == "finalizers" else None
        made.delete()
        await settle()
        assert made.running == set()
        stored = made.stored()
        assert stored is not None
        assert marks.TYPE_FINALIZER in stored["metadata"]["finalizers"]
        made.fleet.hub.fails = lambda verb, name: None
        await asyncio.sleep(5)
        stored = made.stored()
        assert stored is not None
        assert stored["metadata"]["finalizers"] == ["example.com/other"]
        assert made.fleet.hub.get(CONFIGMAPS.federated, WEB) is not None


@pytest.mark.parametrize("how", ["deleted", "disabled"])
@virtual
async def test_a_type_has_stopped_when_members_have_answered_what_was_on_its_way(how: str) -> None:
    """Whoever takes its CRD or its rights away next must not meet a write that is still coming."""
    async with enabled() as made:
        made.config()
        await settle()
        state, lane = made.fleet.world.types["configmaps"], made.fleet.world.members["m1"].lane
        assert lane is not None
        track = Track.begin(FederatedObject(Metadata("web", "ns", "u"), Raw(b"{}"), Raw()))
        deletion = RemovalReason(basis=Basis(Metadata("web", "ns", "u")))
        track.plan, track.actions, track.pending = Plan(1), {"m1": Delete("u", reason=deletion)}, {"m1"}
        state.deletions[WEB] = "u", 0
        state.tracks[WEB] = track
        member = made.fleet.gates[0].site.member
        member.gate.clear()
        lane.submit(Key("configmaps", *WEB))
        await settle()
        assert state.in_flight == 1
        if how == "deleted":
            made.delete()
        else:
            made.config(propagation="Disabled")
        await asyncio.sleep(5)
        assert made.running == set()
        stored = made.stored()
        assert stored is not None
        assert marks.TYPE_FINALIZER in stored["metadata"]["finalizers"]
        assert made.status()["propagationController"] == "Running"
        member.gate.set()
        await asyncio.sleep(3)
        stored = made.stored()
        if how == "deleted":
            assert stored is None
        else:
            assert made.status()["propagationController"] == "NotRunning"


UNTOUCHED, PUSHED, LATE = ObjectName("ns", "untouched"), ObjectName("ns", "pushed"), ObjectName("ns", "late")


def finalized(made: Enabled, name: ObjectName) -> bool:
    stored = made.fleet.hub.get(CONFIGMAPS.federated, name)
    assert stored is not None
    return marks.SYNC_FINALIZER in stored["metadata"].get("finalizers", ())


async def with_objects(made: Enabled) -> None:
    """One that was pushed, and one that goes nowhere; the hub has added the finalizer to both."""
    made.fleet.hub.finalizes = lambda resource: resource == CONFIGMAPS.federated
    made.config()
    await settle()
    made.fleet.hub.put(CONFIGMAPS.federated, UNTOUCHED, spec={"template": DATA, "placement": {"clusters": []}})
    line = {"clusters": [{"name": "m1"}], "observedGeneration": 1}
    made.fleet.hub.put(CONFIGMAPS.federated, PUSHED, spec={"template": DATA}, status=line)
    nowhere = {"observedGeneration": 1}
    made.fleet.hub.put(CONFIGMAPS.federated, WEB, spec={"template": DATA}, status=nowhere)
    await settle()


@pytest.mark.parametrize("how", ["deleted", "disabled"])
@virtual
async def test_what_was_never_pushed_can_go_when_its_type_has_stopped(how: str) -> None:
    """Also what is created a moment later, while the hub's API server still believes the type to be enabled."""
    async with enabled() as made:
        await with_objects(made)
        if how == "deleted":
            made.delete()
        else:
            made.config(propagation="Disabled")
        await settle()
        assert made.running == set()
        made.fleet.hub.put(CONFIGMAPS.federated, LATE, spec={"template": DATA})
        assert finalized(made, LATE)
        stored = made.stored()
        assert stored is not None
        assert marks.TYPE_FINALIZER in stored["metadata"]["finalizers"], "it says when everything is done"
        await asyncio.sleep(3)
        gone = (made.stored() is None) if how == "deleted" else (made.status()["propagationController"] == "NotRunning")
        assert gone
        assert {name.name: finalized(made, name) for name in (UNTOUCHED, WEB, LATE, PUSHED)} == {
            "untouched": False,
            "web": False,
            "late": False,
            "pushed": True,
        }


@virtual
async def test_a_finalizer_that_the_hub_refuses_for_a_moment_is_tried_again() -> None:
    async with enabled() as made:
        await with_objects(made)
        made.delete()
        made.fleet.hub.fails = lambda verb, name: UNAVAILABLE if (verb, name) == ("finalizers", UNTOUCHED) else None
        await asyncio.sleep(3)
        assert finalized(made, UNTOUCHED)
        assert made.stored() is not None
        made.fleet.hub.fails = lambda verb, name: None
        await asyncio.sleep(3)
        assert (finalized(made, UNTOUCHED), made.stored()) == (False, None)


@virtual
async def test_a_hub_that_refuses_it_for_long_does_not_hold_the_type() -> None:
    async with enabled() as made:
        await with_objects(made)
        made.delete()
        made.fleet.hub.fails = lambda verb, name: UNAVAILABLE if (verb, name) == ("finalizers", UNTOUCHED) else None
        await asyncio.sleep(30)
        assert (finalized(made, UNTOUCHED), made.stored()) == (True, None)


@virtual
async def test_what_was_never_pushed_outside_the_own_namespace_can_go_when_the_scope_is_that() -> None:
    async with enabled() as made:
        await with_objects(made)
        elsewhere = ObjectName("elsewhere", "web")
        made.fleet.hub.put(CONFIGMAPS.federated, elsewhere, spec={"template": DATA}, status={"observedGeneration": 1})
        await settle()
        made.fleet.world.settings = replace(made.fleet.world.settings, namespaced=True)
        made.types.rescoped()
        await settle()
        assert made.ready() is None, "the API server adds none while it is not said where"
        await asyncio.sleep(5)
        assert (finalized(made, elsewhere), finalized(made, PUSHED)) == (False, True)
        ready = made.ready()
        assert ready is not None
        assert ready[:2] == ("True", "FollowingNamespace")


@virtual
async def test_without_its_federated_crd_a_type_goes_at_once() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        made.watches.missing = Failure(FailureKind.TYPE_MISSING, "404", 404)
        made.delete()
        await asyncio.sleep(0.5)
        assert made.stored() is None


@virtual
async def test_enabled_again_in_the_meantime_it_is_followed() -> None:
    async with enabled() as made:
        await with_objects(made)
        made.config(propagation="Disabled")
        await settle()
        made.config()
        await asyncio.sleep(5)
        assert made.running == {"configmaps"}
        assert made.status()["propagationController"] == "Running"
        assert [watch.running for watch in made.watches.opened] == [False, False, True]


@virtual
async def test_one_whose_finalizer_somebody_removed_stops_too() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        made.fleet.hub.put(TYPE_CONFIGS, ObjectName(SYSTEM, "configmaps"), metadata={"finalizers": None})
        made.delete()
        await settle()
        assert (made.stored(), made.running) == (None, set())


@virtual
async def test_a_finalizer_that_the_hub_refuses_is_reported() -> None:
    async with enabled() as made:
        denied = Failure(FailureKind.DENIED, "a policy says no", 403)
        made.fleet.hub.fails = lambda verb, name: denied if verb == "finalizers" else None
        with capture_logs() as logs:
            made.config()
            await asyncio.sleep(60)
        ready = made.ready()
        assert ready is not None
        assert ready[:2] == ("False", "FinalizerRefused")
        assert "a policy says no" in ready[2]
        warned = [entry for entry in logs if entry["event"] == "hub refuses"]
        assert [entry["log_level"] for entry in warned] == ["warning"]
        made.fleet.hub.fails = lambda verb, name: None
        await asyncio.sleep(120)
        ready = made.ready()
        assert ready is not None
        assert ready[0] == "True"


@virtual
async def test_nothing_runs_before_its_finalizer_is_there() -> None:
    async with enabled() as made:
        made.fleet.hub.fails = lambda verb, name: UNAVAILABLE if verb == "finalizers" else None
        made.config()
        await asyncio.sleep(5)
        assert made.running == set()
        made.fleet.hub.fails = lambda verb, name: None
        await asyncio.sleep(30)
        assert made.running == {"configmaps"}


@virtual
async def test_an_invalid_type_is_reported_with_its_reason_and_mended() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        made.config(targetType={"kind": 7})
        await settle()
        assert made.running == set()
        ready = made.ready()
        assert ready is not None
        assert ready[:2] == ("False", "InvalidSpec")
        assert "targetType.kind" in ready[2]
        assert made.status()["propagationController"] == "NotRunning"
        made.config()
        await settle()
        assert made.running == {"configmaps"}
        assert made.ready() == ("True", "Following", "", made.time)


@virtual
async def test_a_change_of_its_version_starts_it_anew_and_a_label_does_not() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        made.config(metadata={"labels": {"a": "b"}})
        await settle()
        assert len(made.watches.opened) == 1
        target = {"version": "v2", "kind": "ConfigMap", "pluralName": "configmaps", "scope": "Namespaced"}
        made.config(targetType=target)
        await settle()
        assert [watch.running for watch in made.watches.opened] == [False, True]
        assert made.fleet.world.types["configmaps"].type.target.version == "v2"


@virtual
async def test_a_federated_crd_that_comes_later_is_noticed() -> None:
    async with enabled() as made:
        made.watches.missing = Failure(FailureKind.TYPE_MISSING, "404")
        made.config()
        await settle()
        watch = made.watches.opened[0]
        assert (watch.synced, made.types.synced) == (False, True)  # one missing type does not delay readiness
        ready = made.ready()
        assert ready is not None
        assert ready[:2] == ("False", "FederatedTypeMissing")
        assert "fedctl enable configmaps" in ready[2]
        assert made.status()["propagationController"] == "NotRunning"
        made.time = "2026-01-01T01:00:00Z"
        made.types.kick()
        await settle()
        assert watch.synced
        assert made.ready() == ("True", "Following", "", made.time)
        assert made.status()["propagationController"] == "Running"
        made.types.kick()
        assert not watch.kicked.is_set()  # what is followed is left in peace


@virtual
async def test_a_right_that_is_missing_is_reported_and_a_hub_that_is_away_changes_nothing() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        watch, began = made.watches.opened[0], made.time
        made.time = "2026-01-01T01:00:00Z"
        made.fleet.hub.writes.clear()
        watch.ends(UNAVAILABLE)
        await settle()
        assert made.fleet.hub.writes == []
        assert made.ready() == ("True", "Following", "", began)
        watch.ends(Failure(FailureKind.RIGHT_MISSING, "cannot list federatedconfigmaps", 403))
        await settle()
        message = "cannot list federatedconfigmaps; fedctl enable configmaps grants it"
        assert made.ready() == ("False", "RightMissing", message, made.time)
        watch.ends(UNAVAILABLE)
        await settle()
        assert made.ready() == ("False", "RightMissing", message, made.time)
        watch.ends(None)
        await settle()
        assert made.ready() == ("True", "Following", "", made.time)


@virtual
async def test_namespaces_switched_off_wake_everything_in_them() -> None:
    async with enabled() as made:
        made.config()
        federated = {
            "group": GROUP,
            "version": "v1beta1",
            "kind": "FederatedNamespace",
            "pluralName": "federatednamespaces",
            "scope": "Namespaced",
        }
        target = {"version": "v1", "kind": "Namespace", "pluralName": "namespaces", "scope": "Cluster"}
        made.config(marks.NAMESPACE_TYPE, targetType=target, federatedType=federated)
        await settle()
        made.fleet.hub.put(CONFIGMAPS.federated, WEB, spec={"template": DATA})
        made.woken.clear()
        made.delete(marks.NAMESPACE_TYPE)
        await asyncio.sleep(5)
        assert made.woken == ["configmaps ns/web"]


@virtual
async def test_a_type_stops_though_members_join_meanwhile() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        made.config(propagation="Disabled")
        for number in range(10):
            made.fleet.join(f"late{number}")
            await asyncio.sleep(0)
        with capture_logs() as logs:
            await asyncio.sleep(5)
        assert "reconcile failed" not in [entry["event"] for entry in logs]
        assert made.running == set()
        assert not any("configmaps" in gate.watches and gate.watches["configmaps"].running for gate in made.fleet.gates)


@virtual
async def test_in_namespaced_scope_a_type_is_followed_in_our_own_namespace_only() -> None:
    """At the hub and in members; types without namespaces are not federated then, as in KubeFed."""
    async with enabled() as made:
        made.config()
        federated = {
            "group": GROUP,
            "version": "v1beta1",
            "kind": "FederatedNamespace",
            "pluralName": "federatednamespaces",
            "scope": "Namespaced",
        }
        target = {"version": "v1", "kind": "Namespace", "pluralName": "namespaces", "scope": "Cluster"}
        made.config(marks.NAMESPACE_TYPE, targetType=target, federatedType=federated)
        await settle()
        assert made.running == {"configmaps", marks.NAMESPACE_TYPE}
        assert made.fleet.world.types["configmaps"].type.namespace == ""
        made.fleet.world.settings = replace(made.fleet.world.settings, namespaced=True)
        made.types.rescoped()
        await asyncio.sleep(5)
        assert made.running == {"configmaps"}
        assert made.fleet.world.types["configmaps"].type.namespace == SYSTEM
        assert made.fleet.gates[0].watches["configmaps"].enabled.namespace == SYSTEM
        assert made.member_watch()
        ready = made.ready(marks.NAMESPACE_TYPE)
        assert ready is not None
        assert ready[:2] == ("False", "NamespacedScope")
        made.fleet.world.settings = replace(made.fleet.world.settings, namespaced=False)
        made.types.rescoped()
        await settle()
        assert made.running == {"configmaps", marks.NAMESPACE_TYPE}
        assert made.fleet.world.types["configmaps"].type.namespace == ""


@virtual
async def test_closing_ends_every_watch() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        await made.types.close()
        assert not made.watches.opened[0].running


@pytest.mark.parametrize("name", ["unknown", ""])
def test_a_name_that_nobody_knows_is_nothing(name: str) -> None:
    @virtual
    async def test() -> None:
        async with enabled() as made:
            made.fleet.hub.writes.clear()
            await made.types.process(name)
            assert (made.running, made.fleet.hub.writes) == (set(), [])

    test()


@pytest.mark.parametrize("erased", [False, True], ids=["left-out", "gone"])
@virtual
async def test_a_type_stops_when_the_hub_has_it_no_more(erased: bool) -> None:
    async with Fleet() as fleet:
        fleet.join()
        enabled = Enabled(fleet)
        enabled.config()
        await asyncio.sleep(1)
        if erased:
            del fleet.hub.objects[TYPE_CONFIGS.qualified, ObjectName(SYSTEM, "configmaps")]
        fleet.hub.sinks[TYPE_CONFIGS.qualified][0].replace([])
        await asyncio.sleep(5)
        assert ("configmaps" in fleet.world.types) is not erased
        assert len(enabled.watches.opened) == 1


@virtual
async def test_a_type_knows_which_clusters_joined_while_it_was_not_followed() -> None:
    async with enabled() as made:
        made.config()
        await settle()
        assert made.fleet.world.types["configmaps"].newcomers == {"m1"}
        made.config(propagation="Disabled")
        await settle()
        made.fleet.join("m2")
        await asyncio.sleep(1)
        made.config()
        await asyncio.sleep(3)
        assert made.fleet.world.types["configmaps"].newcomers == {"m2"}


async def test_while_the_gate_is_off_a_type_is_not_followed_and_nothing_of_it_changes() -> None:
    """No finalizer goes, as when a type is disabled: what is deleted waits; and the type can be deleted."""
    async with enabled() as made:
        made.config()
        await settle()
        on = made.fleet.world.settings
        made.fleet.world.settings = replace(on, features=on.features - {PUSHER})
        made.types.rescoped()
        await asyncio.sleep(5)
        assert set(made.fleet.world.types) == set()
        off = made.fleet.gates[0].watches["configmaps"]
        assert made.status()["propagationController"] == "NotRunning"
        ready = made.ready()
        assert ready is not None
        assert ready[:2] == ("False", "PushReconcilerDisabled")
        made.fleet.world.settings = on
        made.types.rescoped()
        await asyncio.sleep(5)
        again = made.fleet.gates[0].watches["configmaps"]
        assert (off.running, again.running) == (False, True)
        assert made.status()["propagationController"] == "Running"
