"""The KubeFedConfig: known by name before anything acts, never guessed from a list; the safe side where it is wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation.controllers.events import Events
from federation.controllers.kubefedconfig import Configuration
from federation.controllers.triggers import StoredSink
from federation.controllers.world import World
from federation.core import holds
from federation.core.holds import Cautious
from federation.kube import decoding
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata
from federation.model.plan import Apply, Delete, Keep, Plan, Recreation, Release, Wait
from federation.model.resources import CRDS, KUBEFED_CONFIGS, NAMESPACES, ObjectName
from federation.model.settings import Settings
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Workers
from tests.fakehub import FakeHub
from tests.unit.controllers.fleet import SYSTEM
from tests.unit.controllers.rig import CONFIGMAPS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

KUBEFED = ObjectName(SYSTEM, "kubefed")
DISABLED: dict[str, Any] = {"syncController": {"adoptResources": "Disabled"}}
NAMESPACED: dict[str, Any] = {"scope": "Namespaced"}
INVALID: dict[str, Any] = {"syncController": {"adoptResources": 7}}
AWAY = Failure(FailureKind.UNAVAILABLE, "503", 503)
UNSERVED = Failure(FailureKind.TYPE_MISSING, "404: the member does not serve this group and version", 404)


class Configured:
    """The configuration beside a hub; `changes` are the settings that took force."""

    def __init__(self) -> None:
        self.hub, self.world, self.tasks = FakeHub(), World(), Tasks()
        self.changes: list[Settings] = []
        self.events = Events(self.world, self.hub)
        self.tasks.keep(self.events.serve, "events")
        self.configuration = Configuration(
            self.world,
            self.hub,
            events=self.events,
            namespace=SYSTEM,
            changed=lambda: self.changes.append(self.world.settings),
        )

    def put(self, spec: dict[str, Any], name: str = "kubefed") -> None:
        where = ObjectName(SYSTEM, name)
        before = (self.hub.get(KUBEFED_CONFIGS, where) or {}).get("spec", {})
        self.hub.put(KUBEFED_CONFIGS, where, spec=dict.fromkeys(before) | spec)

    def follow(self) -> None:
        sink = StoredSink(self.configuration.objects, self.configuration.observed)
        self.hub.follow(KUBEFED_CONFIGS, sink, decoding.stored)
        self.tasks.keep(Workers("configs", self.configuration.queue, self.configuration.process).serve, "configs")

    def lie(self) -> None:
        """A list that leaves everything out."""
        self.hub.sinks[KUBEFED_CONFIGS.qualified][0].replace([])

    @property
    def reported(self) -> list[tuple[str, str, str]]:
        return [(each["involvedObject"]["name"], each["reason"], each["message"]) for each in self.hub.events]


@asynccontextmanager
async def configured(spec: dict[str, Any] | None = None) -> AsyncIterator[Configured]:
    made = Configured()
    if spec is not None:
        made.put(spec)
    await made.configuration.begin()
    made.follow()
    await settle()
    try:
        yield made
    finally:
        await made.tasks.cancel()


@virtual
async def test_it_is_asked_for_by_name_before_anything_else() -> None:
    made = Configured()
    made.put(DISABLED)
    made.hub.fails = lambda verb, name: AWAY
    beginning = asyncio.create_task(made.configuration.begin())
    await asyncio.sleep(600)
    assert (made.configuration.known, beginning.done()) == (False, False)
    made.hub.fails = lambda verb, name: None
    await asyncio.sleep(20)
    assert beginning.done()
    assert made.configuration.known
    assert not made.world.settings.adopt_resources


@virtual
async def test_only_a_404_by_name_means_the_defaults() -> None:
    async with configured() as made:
        assert (made.configuration.known, made.world.settings) == (True, Settings())
        made.put(DISABLED)
        await settle()
        assert not made.world.settings.adopt_resources
        made.hub.delete(KUBEFED_CONFIGS, KUBEFED)
        await settle()
        assert made.changes[1:] == [Settings()]


@pytest.mark.parametrize("spec", [DISABLED, NAMESPACED])
@virtual
async def test_a_list_that_leaves_it_out_changes_nothing(spec: dict[str, Any]) -> None:
    async with configured(spec) as made:
        before, changes = made.world.settings, len(made.changes)
        made.hub.fails = lambda verb, name: AWAY
        made.lie()
        await asyncio.sleep(600)
        assert (made.world.settings, len(made.changes)) == (before, changes)
        made.hub.fails = lambda verb, name: None
        await asyncio.sleep(120)
        assert (made.world.settings, len(made.changes)) == (before, changes)


@pytest.mark.parametrize("installed", [True, False])
@virtual
async def test_a_type_that_is_not_served_is_no_absence_unless_it_does_not_exist(installed: bool) -> None:
    """A server that has just started serves custom resources a moment later than its own."""
    made = Configured()
    made.hub.fails = lambda verb, name: UNSERVED if name == KUBEFED else None
    if installed:
        made.hub.put(CRDS, ObjectName("", KUBEFED_CONFIGS.qualified))
    beginning = asyncio.create_task(made.configuration.begin())
    await asyncio.sleep(60)
    assert made.configuration.known is not installed
    beginning.cancel()


@virtual
async def test_an_invalid_one_at_the_start_keeps_to_the_safe_side_until_it_is_mended() -> None:
    with capture_logs() as logs:
        async with configured({**INVALID, **NAMESPACED}) as made:
            settings = made.world.settings
            assert (settings.cautious, settings.adopt_resources, settings.namespaced) == (True, False, True)
            name, reason, message = made.reported[0]
            assert (name, reason) == ("kubefed", "InvalidSpec")
            assert "adoptResources" in message
            assert "nothing is adopted and nothing removed until it is mended" in message
            made.put({"clusterHealthCheck": {"period": "never"}})  # wrong in another way
            await settle()
            assert made.world.settings.cautious
            made.put({})
            await settle()
            assert made.world.settings == Settings()
    assert {each["log_level"] for each in logs if each["event"] == "KubeFedConfig"} == {"warning"}


@virtual
async def test_a_later_invalid_one_leaves_the_last_good_one_in_force() -> None:
    async with configured(DISABLED) as made:
        before = made.world.settings
        for _ in range(3):
            made.put(INVALID)
            await settle()
        assert made.world.settings == before
        assert [reason for _, reason, _ in made.reported] == ["InvalidSpec"]
        assert "the last good one stays in force" in made.reported[0][2]


@virtual
async def test_one_of_another_name_is_stored_and_reported_as_not_in_force() -> None:
    async with configured(DISABLED) as made:
        made.put({"syncController": {"adoptResources": "Enabled"}}, "mine")
        await settle()
        made.configuration.observed("mine")
        await settle()
        assert not made.world.settings.adopt_resources
        assert made.reported == [
            ("mine", "NotInForce", "only the KubeFedConfig named kubefed is in force; this one is not read")
        ]
        made.hub.delete(KUBEFED_CONFIGS, ObjectName(SYSTEM, "mine"))
        await settle()
        assert not made.world.settings.adopt_resources


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"controllerDuration": {"availableDelay": "45s"}}, "spec.controllerDuration.availableDelay"),
        ({"controllerDuration": {"unavailableDelay": "5m"}}, "spec.controllerDuration.unavailableDelay"),
        ({"controllerDuration": {"cacheSyncTimeout": "1m"}}, "spec.controllerDuration.cacheSyncTimeout"),
        ({"leaderElect": {"leaseDuration": "48h"}}, "spec.leaderElect"),
        ({"leaderElect": {"resourceLock": "configmaps"}}, "spec.leaderElect.resourceLock"),
        ({"statusController": {"maxConcurrentReconciles": 4}}, "spec.statusController.maxConcurrentReconciles"),
        ({"syncController": {"maxConcurrentReconciles": 17}}, "spec.syncController.maxConcurrentReconciles"),
        ({"clusterHealthCheck": {"period": "1ns"}}, "spec.clusterHealthCheck.period"),
        *(
            ({"featureGates": [{"name": name, "configuration": setting}]}, f"spec.featureGates[{name}]")
            for name, setting in (
                ("CrossClusterServiceDiscovery", "Enabled"),
                ("FederatedIngress", "Enabled"),
            )
        ),
    ],
)
def test_what_is_not_obeyed_is_reported_once(spec: dict[str, Any], field: str) -> None:
    @virtual
    async def test() -> None:
        async with configured(spec) as made:
            made.configuration.observed("kubefed")
            await settle()
            assert [(name, reason) for name, reason, _ in made.reported] == [("kubefed", "NotObeyed")]
            assert made.reported[0][2].startswith(f"{field}: ")

    test()


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"controllerDuration": {"availableDelay": "20s", "unavailableDelay": "1m", "cacheSyncTimeout": "300s"}},
        {"leaderElect": {"resourceLock": "leases", "leaseDuration": "15s"}},
        {"featureGates": [{"name": "PushReconciler", "configuration": "Disabled"}]},
        {"featureGates": [{"name": "SchedulerPreferences", "configuration": "Disabled"}]},
        {"syncController": {"maxConcurrentReconciles": 3}, "clusterHealthCheck": {"period": "5s"}},
        {"syncController": {"maxConcurrentReconciles": 16}, "clusterHealthCheck": {"period": "1s"}},
    ],
)
def test_defaults_and_what_is_obeyed_need_no_word(spec: dict[str, Any]) -> None:
    @virtual
    async def test() -> None:
        async with configured(spec) as made:
            assert made.reported == []

    test()


# --- the safe side --------------------------------------------------------------------------------------------------


def test_a_cautious_plan_takes_nothing_away() -> None:
    apply = Apply(b"{}", "d", "v1", recreation=Recreation(b"{}"))
    keep = Keep("d", "e")
    plan = Plan(1, {"a": Delete("u"), "b": Release("u"), "c": apply, "d": keep})
    wait = Wait(PropagationStatus.WAITING_FOR_REMOVAL, holds.CAUTIOUS)
    assert holds.restrain(plan, Metadata(name="web"), [Cautious()]).actions == {
        "a": wait,
        "b": wait,
        "c": replace(apply, recreation=None),
        "d": keep,
    }


@virtual
async def test_while_settings_are_not_understood_nothing_is_adopted_or_removed() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.world.settings = replace(rig.world.settings, cautious=True, adopt_resources=False)
        stranger = ObjectName("ns", "stranger")
        rig.members["m1"].post(CONFIGMAPS.target, stranger, {"data": {"a": "theirs"}})
        rig.put(stranger)
        rig.put(clusters=("m1",), template={"data": {"a": "new"}})
        await asyncio.sleep(60)
        assert (rig.data("m1"), rig.data("m2")) == ("new", "b")  # changes go on
        assert rig.members["m1"].value(CONFIGMAPS.target, stranger, "data", "a") == "theirs"
        rig.delete()
        await asyncio.sleep(60)
        assert (rig.data("m1"), rig.data("m2")) == ("new", "b")
        assert rig.hub.get(CONFIGMAPS.federated, WEB) is not None
        rig.world.settings = replace(rig.world.settings, cautious=False)
        rig.fanout.everything()
        await asyncio.sleep(60)
        assert (rig.data("m1"), rig.data("m2")) == (None, None)
        assert rig.hub.get(CONFIGMAPS.federated, WEB) is None
        assert NAMESPACES.qualified not in rig.hub.sinks


@virtual
async def test_a_scope_without_its_rights_is_said() -> None:
    """Scope Cluster, where the controller has rights in its own namespace alone; not so where that is the scope."""
    async with configured({}) as made:
        made.configuration.scope_refused("it may not list namespaces")
        await settle()
        made.configuration.scope_refused("")
        made.put(NAMESPACED)
        made.configuration.scope_refused("it may not list namespaces")
        await settle()
    assert [each[1:] for each in made.reported] == [
        (
            "NotObeyed",
            "spec.scope: Cluster, but it may not list namespaces: fedctl init --scope Cluster gives the controller the "
            "rights",
        )
    ]
