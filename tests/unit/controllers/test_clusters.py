"""Joined clusters alive: probes with hysteresis, identities, credentials, renewal, and leaving without a trace."""

import asyncio
import base64
import json
import time
from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation.controllers import tokens
from federation.controllers.access import FACTS_PERIOD
from federation.controllers.clusters import FOLLOWED
from federation.controllers.clustersecrets import HALF_CHANGED, WITHOUT_SECRET
from federation.controllers.following import WATCH_SILENCE
from federation.controllers.triggers import StoredSink
from federation.controllers.world import TypeState
from federation.core import binding, classification
from federation.kube.listing import too_much
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType, Metadata, StoredObject
from federation.model.marks import IDENTITY_ANNOTATION
from federation.model.observations import Missing
from federation.model.resources import KUBEFED_CLUSTERS, SECRETS, ObjectName, Resource
from federation.model.settings import HealthCheck, Settings
from federation.runtime import metrics, starting
from federation.runtime.lane import TRIP_AFTER, Evidence, Lane
from federation.runtime.store import Store
from tests.unit.controllers.fleet import HUB_UID, SYSTEM, Fleet, Site
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, WEB
from tests.unit.virtualtime import EPOCH, settle, virtual

DOWN = Failure(FailureKind.UNREACHABLE, "cannot connect to https://m1: Connection refused")


# --- probes ---------------------------------------------------------------------------------------------------------


@virtual
async def test_a_joined_cluster_is_probed_reported_and_followed() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        site = fleet.join()
        assert fleet.world.members == {}
        await asyncio.sleep(1)
        assert fleet.ready() is True
        status = fleet.stored()["status"]
        assert (status["kubernetesVersion"], status["region"], status["zones"]) == ("v1.36.3", "eu", ["a", "b"])
        assert (fleet.condition()["status"], fleet.condition("Offline")["status"]) == ("True", "False")
        assert fleet.stored()["metadata"]["annotations"] == {IDENTITY_ANNOTATION: "uid-m1"}
        assert fleet.world.types["configmaps"].copies["m1"].observe(WEB) is Missing.ABSENT
        assert fleet.world.members["m1"].port is site.member
        assert fleet.hub.events == []


@virtual
async def test_a_cluster_in_pull_mode_is_neither_reached_nor_a_member() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join()
        await asyncio.sleep(1)
        assert fleet.ready() is True
        where = ObjectName(SYSTEM, "m1")
        spec = fleet.stored()["spec"]
        fleet.hub.put(KUBEFED_CLUSTERS, where, spec={**spec, "syncMode": "Pull"})
        await asyncio.sleep(1)
        assert fleet.world.members == {}
        assert await fleet.clusters.left("m1"), "nobody waits for it"
        probes = len(fleet.gates[0].probes)
        await asyncio.sleep(600)
        assert len(fleet.gates[0].probes) == probes
        fleet.hub.put(KUBEFED_CLUSTERS, where, spec={**spec, "syncMode": "Push"})
        await asyncio.sleep(1)
        assert fleet.ready() is True


@virtual
async def test_an_idle_hour_is_probes_and_a_dozen_writes() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join()
        await asyncio.sleep(60)
        fleet.hub.writes.clear()
        fleet.gates[0].probes.clear()
        await asyncio.sleep(3600)
        assert 300 <= len(fleet.gates[0].probes) <= 420
        assert len(fleet.hub.writes) <= 13  # lastProbeTime, every five minutes


@virtual
async def test_three_failures_take_it_down_and_one_success_brings_it_back() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        site = fleet.join()
        await asyncio.sleep(1.1)  # probes are sent at quarters of a second: look between them
        site.identity = DOWN
        seen = []
        for _ in range(60):
            await asyncio.sleep(1)
            seen.append((len(fleet.gates[0].probes), fleet.ready()))
        failed_probes = {ready: max(count for count, each in seen if each is ready) - 1 for ready in (True,)}
        assert failed_probes == {True: 2}
        assert fleet.condition("Offline")["status"] == "True"
        assert "Connection refused" in fleet.condition()["message"]
        assert [event["reason"] for event in fleet.hub.events] == ["ClusterNotReachable"]
        watch = fleet.gates[0].watches["configmaps"]
        kicks = watch.kicks
        site.identity = "uid-m1"
        await asyncio.sleep(12)
        assert fleet.ready() is True
        assert watch.kicks > kicks
        assert [event["reason"] for event in fleet.hub.events] == ["ClusterNotReachable", "ClusterReady"]


@virtual
async def test_a_blink_moves_nothing() -> None:
    async with Fleet() as fleet:
        site = fleet.join()
        await asyncio.sleep(1)
        fleet.hub.writes.clear()
        version = fleet.world.clusters_version
        for _ in range(5):
            site.identity = DOWN
            await asyncio.sleep(12)
            site.identity = "uid-m1"
            await asyncio.sleep(30)
        assert (fleet.world.clusters_version, fleet.hub.writes) == (version, [])


@virtual
async def test_what_we_are_late_with_is_no_evidence() -> None:
    """A thousand members' work keeps the loop busy: probes that we cannot read say nothing of healthy members."""
    async with Fleet(CONFIGMAPS) as fleet:
        site = fleet.join()
        await asyncio.sleep(1)
        fleet.hub.writes.clear()
        version = fleet.world.clusters_version
        site.identity = classification.timed_out(3.0, late=True)
        await asyncio.sleep(3600)
        assert (fleet.ready(), fleet.world.clusters_version) == (True, version)
        assert (fleet.hub.writes, fleet.hub.events) == ([], [])
        site.identity = classification.timed_out(3.0)
        await asyncio.sleep(40)
        assert fleet.ready() is False


@virtual
async def test_a_member_whose_first_probes_we_are_late_with_is_unknown_until_it_answers() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        site = fleet.join(identity=classification.timed_out(3.0, late=True))
        await asyncio.sleep(60)
        assert (fleet.ready(), fleet.hub.events) == (None, [])
        site.identity = "uid-m1"
        await asyncio.sleep(15)
        assert fleet.ready() is True


@virtual
async def test_a_status_that_comes_back_late_is_not_written_again() -> None:
    """Our own watch of the hub lags behind: what it shows is older than what we wrote."""
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(1)
        before = fleet.clusters.objects.get(ObjectName(SYSTEM, "m1"))
        await asyncio.sleep(400)  # lastProbeTime is written once
        assert before is not None
        fleet.hub.writes.clear()
        for _ in range(10):
            fleet.clusters.objects.put(before.where, before)
            fleet.clusters.cluster_observed("m1")
            await asyncio.sleep(12)
        assert len(fleet.hub.writes) <= 1


@virtual
async def test_the_kubefedconfigs_numbers_hold_from_the_next_probe() -> None:
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(30)
        fleet.world.settings = replace(fleet.world.settings, health=HealthCheck(period=100.0))
        await asyncio.sleep(20)
        fleet.gates[0].probes.clear()
        await asyncio.sleep(1000)
        assert 8 <= len(fleet.gates[0].probes) <= 12


@virtual
async def test_members_are_taken_up_in_turns() -> None:
    """However long each takes; those that hang delay the others by a moment."""
    async with Fleet(CONFIGMAPS) as fleet:
        for number in range(3 * starting.MOST):
            fleet.join(f"m{number}").takes = 0.4 if number % 3 else 2.5
        await asyncio.sleep(0.3)
        assert sum(len(gate.probes) for gate in fleet.gates) == starting.MOST
        await asyncio.sleep(0.4)
        assert starting.MOST * 1.5 < sum(len(gate.probes) for gate in fleet.gates) <= starting.MOST * 2
        await asyncio.sleep(2.0)
        first = [gate.probes[0] for gate in fleet.gates if gate.probes]
        assert len(first) == 3 * starting.MOST
        await asyncio.sleep(5)
        assert all(fleet.ready(name) for name in fleet.world.members)


@virtual
async def test_a_probe_that_fails_at_our_start_takes_no_ready_cluster_down() -> None:
    async with Fleet(CONFIGMAPS) as before:
        site = before.join()
        await asyncio.sleep(1)
    site.identity = DOWN
    before.hub.writes.clear()
    async with Fleet(CONFIGMAPS, after=before) as fleet:
        await asyncio.sleep(3.5)
        site.identity = "uid-m1"
        assert len(fleet.gates[0].probes) == 2, "it is asked again soon"
        assert (fleet.ready(), fleet.hub.writes, fleet.hub.events) == (None, [], [])
        await asyncio.sleep(3)
        assert (fleet.ready(), fleet.hub.writes, fleet.hub.events) == (True, [], [])
    site.identity = DOWN
    async with Fleet(CONFIGMAPS, after=before) as fleet:
        await asyncio.sleep(8)
        assert fleet.ready() is False
        assert [event["reason"] for event in fleet.hub.events] == ["ClusterNotReachable"]


@virtual
async def test_what_is_known_of_a_ready_fleet_is_read_again_later() -> None:
    async with Fleet(CONFIGMAPS) as before:
        for number in range(20):
            before.join(f"m{number}")
        await asyncio.sleep(1)
        for site in before.sites.values():
            site.version = "v1.37.0"
    async with Fleet(CONFIGMAPS, after=before) as fleet:
        await asyncio.sleep(1)
        versions = [fleet.stored(name)["status"]["kubernetesVersion"] for name in fleet.world.members]
        assert versions.count("v1.36.3") > 10
        await asyncio.sleep(90)
        assert {fleet.stored(name)["status"]["kubernetesVersion"] for name in fleet.world.members} == {"v1.37.0"}


@virtual
async def test_facts_are_read_rarely() -> None:
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(1)
        asked: list[float] = []

        async def version() -> str:
            asked.append(asyncio.get_running_loop().time())
            return "v1.37.0"

        fleet.gates[0].version = version  # type: ignore[method-assign]
        await asyncio.sleep(FACTS_PERIOD + 30)
        assert len(asked) == 1
        assert fleet.stored()["status"]["kubernetesVersion"] == "v1.37.0"


# --- configuration --------------------------------------------------------------------------------------------------


@virtual
async def test_labels_are_followed_and_nothing_is_opened_anew() -> None:
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(1)
        fleet.cluster(labels={"tier": "edge"})
        await settle()
        assert fleet.world.members["m1"].cluster.labels == {"tier": "edge"}
        assert fleet.ready() is True
        assert len(fleet.gates) == 1


@virtual
async def test_a_missing_secret_is_reported_and_its_coming_noticed() -> None:
    async with Fleet() as fleet:
        fleet.sites["https://m1"] = Site("uid-m1")
        fleet.cluster()
        await asyncio.sleep(1)
        assert fleet.ready() is False
        assert fleet.condition("ConfigMalformed")["status"] == "True"
        assert "'m1-secret' (spec.secretRef) does not exist" in fleet.condition()["message"]
        fleet.secret(token="first")
        await asyncio.sleep(1)
        assert fleet.ready() is True
        assert fleet.condition("ConfigMalformed").get("status", "False") == "False"


@virtual
async def test_a_refused_cluster_is_reported_although_the_hub_was_away_at_that_moment() -> None:
    """And reported again when somebody else writes over it: conditions follow what is, not what was written once."""
    async with Fleet() as fleet:
        fleet.join("m1")
        await asyncio.sleep(1)
        assert fleet.ready() is True
        away = Failure(FailureKind.UNAVAILABLE, "503", 503)
        fleet.hub.fails = lambda verb, name: away if verb == "status" else None
        with capture_logs() as logs:
            fleet.secret("m1", token="")
            await asyncio.sleep(30)
        assert fleet.ready() is False
        assert fleet.condition()["status"] == "True"  # nothing could be written
        warnings = [entry for entry in logs if entry["event"] == "cluster status not written"]
        assert [entry["log_level"] for entry in warnings] == ["warning"]
        fleet.hub.fails = lambda verb, name: None
        await asyncio.sleep(90)
        assert (fleet.condition()["status"], fleet.condition()["reason"]) == ("Unknown", "ClusterConfigMalformed")
        fleet.hub.writes.clear()
        fleet.hub.put(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "m1"), status={"conditions": None})
        await asyncio.sleep(5)
        assert fleet.condition()["reason"] == "ClusterConfigMalformed"
        await asyncio.sleep(3600)
        assert len([write for write in fleet.hub.writes if write.startswith("status")]) == 1


@virtual
async def test_a_list_of_secrets_is_one_look_at_all_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Fleet() as fleet:
        names = [f"m{number}" for number in range(30)]
        for name in names:
            fleet.cluster(name)
        await settle(500)
        looks = 0
        items = fleet.clusters.objects.items

        def counted(store: Store[StoredObject]) -> Iterable[tuple[ObjectName, StoredObject]]:
            nonlocal looks
            looks += store is fleet.clusters.objects
            return items() if store is fleet.clusters.objects else store._items.items()

        listed = [
            StoredObject(Metadata(name=f"{name}-secret", namespace=SYSTEM), data={"token": "first"})
            for name in names[:20]
        ]
        taken: list[str] = []
        with monkeypatch.context() as patch:
            patch.setattr(Store, "items", counted)
            patch.setattr(fleet.clusters.queue, "add", taken.append)
            StoredSink(fleet.clusters.secrets, fleet.clusters.secret_observed).replace(listed)
            await settle()
        assert (looks, sorted(taken)) == (1, sorted(names[:20]))


@virtual
async def test_a_secret_that_becomes_garbage_stops_that_cluster_only() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        for name in ("m1", "m2"):
            fleet.join(name)
        await asyncio.sleep(1)
        fleet.secret("m1", token="")
        await asyncio.sleep(30)
        assert (fleet.ready("m1"), fleet.ready("m2")) == (False, True)
        assert fleet.world.members["m1"].port is None
        assert fleet.gates[0].closed
        assert not fleet.gates[0].watches["configmaps"].running
        assert fleet.condition()["reason"] == "ClusterConfigMalformed"
        fleet.secret("m1", token="again")
        await asyncio.sleep(2)
        assert fleet.ready("m1") is True


@virtual
async def test_new_credentials_for_the_same_place_go_into_the_living_connection() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join()
        await asyncio.sleep(1)
        probes = len(fleet.gates[0].probes)
        fleet.secret(token="second")
        await asyncio.sleep(0.2)
        assert [gate.token for gate in fleet.gates] == ["second"]
        assert fleet.ready() is True
        assert len(fleet.gates[0].probes) == probes + 1
        assert fleet.gates[0].watches["configmaps"].kicks == 1


@virtual
async def test_another_place_is_not_written_to_before_it_is_known_to_be_the_same_cluster() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join()
        await asyncio.sleep(1)
        fleet.sites["https://elsewhere"] = other = Site("uid-m1")
        other.takes = 2.0
        fleet.unbind()
        fleet.cluster(place="https://elsewhere")
        await asyncio.sleep(1.5)
        assert [fleet.ready(), fleet.world.members["m1"].port] == [None, None]
        assert fleet.gates[0].closed
        await asyncio.sleep(1)
        assert fleet.ready() is True
        assert fleet.world.members["m1"].port is other.member


@virtual
async def test_a_bug_while_a_cluster_is_opened_is_tried_again() -> None:
    async with Fleet() as fleet:
        fleet.bugs = [ValueError("a bug")]
        with capture_logs() as logs:
            fleet.join()
            await asyncio.sleep(5)
        assert "reconcile failed" in [entry["event"] for entry in logs]
        assert fleet.ready() is True


# --- where credentials go -------------------------------------------------------------------------------------------


@virtual
async def test_credentials_are_bound_to_the_place_where_they_were_first_good_for() -> None:
    async with Fleet() as fleet:
        site = fleet.join(identity=DOWN)
        await asyncio.sleep(60)
        assert fleet.bound() is None, "who has not answered is nobody"
        site.identity = "uid-m1"
        await asyncio.sleep(20)
        assert json.loads(fleet.bound() or "")["apiEndpoint"] == "https://m1"
        fleet.hub.writes.clear()
        await asyncio.sleep(60)
        assert "merge secrets" not in str(fleet.hub.writes), "once"


@virtual
async def test_whoever_points_a_cluster_elsewhere_gets_no_token() -> None:
    """`patch` on kubefedclusters is not worth what rights on Secrets are worth."""
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join()
        await asyncio.sleep(1)
        fleet.sites["https://evil"] = Site("uid-m1")
        fleet.cluster(place="https://evil")
        await asyncio.sleep(60)
        assert [gate.place for gate in fleet.gates] == ["https://m1"]
        assert fleet.gates[0].closed
        assert fleet.condition()["reason"] == "ClusterConfigMalformed"
        assert "apiEndpoint is https://evil, not https://m1" in fleet.condition()["message"]
        fleet.cluster(place="https://m1")
        await asyncio.sleep(1)
        assert fleet.ready() is True


@virtual
async def test_a_join_that_changes_the_place_is_no_trouble_of_the_cluster() -> None:
    """It stores the Secret, then the KubeFedCluster; between the two they do not fit each other."""
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(20)
        fleet.sites["https://new"] = Site("uid-m1")
        where = ObjectName(SYSTEM, "m1-secret")
        record = binding.record({"apiEndpoint": "https://new", "secretRef": {"name": "m1-secret"}})
        with capture_logs() as logs:
            fleet.hub.put(
                SECRETS,
                where,
                data={"token": base64.b64encode(b"second").decode()},
                metadata={"annotations": {binding.ANNOTATION: record}},
            )
            await asyncio.sleep(2)
            assert (fleet.ready(), [gate.token for gate in fleet.gates]) == (True, ["first"])
            fleet.cluster(place="https://new")
            await asyncio.sleep(60)
        assert (fleet.ready(), fleet.gates[-1].place, fleet.gates[-1].token) == (True, "https://new", "second")
        assert fleet.hub.events == []
        assert [each for each in logs if each["log_level"] == "warning"] == []


@virtual
async def test_a_new_cluster_cannot_borrow_anothers_secret() -> None:
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(1)
        fleet.sites["https://evil"] = Site("uid-evil")
        spec = {"apiEndpoint": "https://evil", "secretRef": {"name": "m1-secret"}}
        fleet.hub.put(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "evil"), spec=spec)
        await asyncio.sleep(60)
        assert [gate.place for gate in fleet.gates] == ["https://m1"]
        assert "apiEndpoint is https://evil, not https://m1" in fleet.condition(name="evil")["message"]


@virtual
async def test_a_secret_that_is_no_clusters_is_not_sent_wherever_a_new_cluster_points() -> None:
    """A token for git in the system namespace: it becomes a member's when somebody with rights on Secrets says so."""
    async with Fleet() as fleet:
        where = ObjectName(SYSTEM, "git")
        fleet.hub.put(SECRETS, where, data={"token": "Z2hwX3NlY3JldA=="})
        fleet.sites["https://evil"] = Site("uid-evil")
        spec = {"apiEndpoint": "https://evil", "secretRef": {"name": "git"}}
        fleet.hub.put(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "evil"), spec=spec)
        await asyncio.sleep(60)
        assert fleet.gates == []
        assert fleet.condition(name="evil")["reason"] == "ClusterConfigMalformed"
        said = fleet.condition(name="evil")["message"]
        assert "nothing says that Secret 'git' holds this cluster's credentials" in said
        assert binding.ANNOTATION not in str(fleet.hub.get(SECRETS, where))
        fleet.hub.put(SECRETS, where, metadata={"annotations": {binding.CLUSTER_ANNOTATION: "evil"}})
        await asyncio.sleep(1)
        assert fleet.ready("evil") is True


@virtual
async def test_a_cluster_that_kubefedctl_joined_is_taken_over_as_it_is() -> None:
    claims = base64.urlsafe_b64encode(f'{{"sub":"system:serviceaccount:{SYSTEM}:m1-hub"}}'.encode()).decode()
    token = base64.b64encode(f"e30.{claims}.c2ln".encode()).decode()
    async with Fleet() as fleet:
        where = ObjectName(SYSTEM, "m1-secret")
        fleet.hub.put(SECRETS, where, data={"token": token}, metadata={"generateName": "m1-"})
        fleet.sites["https://m1"] = Site("uid-m1")
        fleet.cluster()
        await asyncio.sleep(5)
        assert fleet.ready() is True
        assert json.loads(fleet.bound() or "")["apiEndpoint"] == "https://m1"


@virtual
async def test_a_place_is_confirmed_by_whoever_may_write_secrets() -> None:
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(1)
        fleet.sites["https://moved"] = Site("uid-m1")
        fleet.cluster(place="https://moved")
        await asyncio.sleep(HALF_CHANGED + 1)
        assert fleet.ready() is False
        fleet.unbind()
        await asyncio.sleep(1)
        assert fleet.ready() is True
        assert json.loads(fleet.bound() or "")["apiEndpoint"] == "https://moved"


@virtual
async def test_a_place_that_cannot_be_recorded_is_reported_once_and_tried_again() -> None:
    async with Fleet() as fleet:
        fleet.hub.fails = lambda verb, name: DOWN if name.name == "m1-secret" else None
        with capture_logs() as logs:
            fleet.join()
            await asyncio.sleep(120)
        warnings = [entry for entry in logs if entry["event"] == "credentials not bound to their place"]
        assert (fleet.ready(), len(warnings)) == (True, 1)
        fleet.hub.fails = lambda verb, name: None
        await asyncio.sleep(20)
        assert fleet.bound() is not None


# --- identity -------------------------------------------------------------------------------------------------------


@virtual
async def test_another_cluster_behind_a_known_name_is_refused_and_nothing_is_read_or_written() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        site = fleet.join()
        await asyncio.sleep(1)
        watch = fleet.gates[0].watches["configmaps"]
        site.identity = "uid-impostor"
        await asyncio.sleep(12)
        assert fleet.ready() is False
        assert [fleet.world.members["m1"].port, watch.running] == [None, False]
        assert "m1" not in fleet.world.types["configmaps"].copies
        assert "another cluster answers here: its identity is uid-impostor" in fleet.condition()["message"]
        site.identity = "uid-m1"
        await asyncio.sleep(12)
        assert fleet.ready() is True
        assert [fleet.world.members["m1"].port] == [site.member]
        assert fleet.gates[0].watches["configmaps"] is not watch
        await settle()
        assert fleet.world.types["configmaps"].copies["m1"].objects.synced


@virtual
async def test_a_stranger_from_the_start_is_never_followed() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join(identity="uid-impostor", annotations={IDENTITY_ANNOTATION: "uid-m1"})
        await asyncio.sleep(60)
        assert fleet.ready() is False
        assert fleet.gates[0].watches == {}
        state = TypeState(replace(CONFIGMAPS, name="more"))
        fleet.clusters.follow(state)
        assert fleet.gates[0].watches == {}


@virtual
async def test_one_cluster_under_two_names_is_refused_until_the_first_has_left() -> None:
    async with Fleet() as fleet:
        fleet.join("m1", "uid-same")
        await asyncio.sleep(1)
        fleet.join("m2", "uid-same")
        await asyncio.sleep(1)
        assert (fleet.ready("m1"), fleet.ready("m2")) == (True, False)
        assert "already joined as 'm1'" in fleet.condition(name="m2")["message"]
        assert IDENTITY_ANNOTATION not in fleet.stored("m2")["metadata"].get("annotations", {})
        fleet.hub.delete(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "m1"))
        await asyncio.sleep(12)
        assert fleet.ready("m2") is True


@virtual
async def test_after_a_start_an_identity_belongs_to_whose_record_it_is() -> None:
    """Else the first probe decided, and a restart could hand a member over to its second name."""
    async with Fleet() as fleet:
        fleet.join("a-second-name", "uid-same")
        fleet.cluster("m1", "https://m1", annotations={IDENTITY_ANNOTATION: "uid-same"})
        await asyncio.sleep(1)
        assert fleet.ready("a-second-name") is False
        assert "already joined as 'm1'" in fleet.condition(name="a-second-name")["message"]
        fleet.join("m1", "uid-same", annotations={IDENTITY_ANNOTATION: "uid-same"})
        await asyncio.sleep(12)
        assert (fleet.ready("m1"), fleet.ready("a-second-name")) == (True, False)


@virtual
async def test_the_hub_knows_itself() -> None:
    async with Fleet() as fleet:
        fleet.join("host", HUB_UID)
        fleet.join("m1")
        await asyncio.sleep(1)
        assert fleet.world.members["host"].cluster.is_host
        assert not fleet.world.members["m1"].cluster.is_host


@virtual
async def test_an_identity_that_could_not_be_noted_is_noted_later() -> None:
    async with Fleet() as fleet:
        fleet.hub.fails = lambda verb, name: DOWN if verb == "merge" else None
        fleet.join()
        await asyncio.sleep(1)
        assert fleet.ready() is True
        fleet.hub.fails = lambda verb, name: None
        await asyncio.sleep(12)
        assert fleet.stored()["metadata"]["annotations"] == {IDENTITY_ANNOTATION: "uid-m1"}


# --- watches --------------------------------------------------------------------------------------------------------


@virtual
async def test_a_type_that_cannot_be_followed_is_the_trouble_of_that_type() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join()
        await asyncio.sleep(1)
        watch = fleet.gates[0].watches["configmaps"]
        watch.fail(Failure(FailureKind.RIGHT_MISSING, "cannot list configmaps"))
        await asyncio.sleep(2)
        trouble = fleet.world.types["configmaps"].copies["m1"].unobservable
        assert trouble is not None
        assert trouble.status is PropagationStatus.RETRIEVAL_FAILED
        assert fleet.ready() is True
        assert fleet.condition("Synced")["status"] == "False"
        assert "cannot list configmaps" in fleet.condition("Synced")["message"]
        watch.fail(None)
        await asyncio.sleep(2)
        assert fleet.world.types["configmaps"].copies["m1"].unobservable is None
        assert fleet.condition("Synced")["status"] == "True"


@virtual
async def test_a_cluster_that_answers_probes_but_no_watch_is_not_ready() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join()
        await asyncio.sleep(1)
        watch = fleet.gates[0].watches["configmaps"]
        watch.fail(DOWN)
        await asyncio.sleep(WATCH_SILENCE - 10)
        assert fleet.ready() is True
        await asyncio.sleep(60)
        assert fleet.ready() is False
        assert "its watches do not: configmaps" in fleet.condition()["message"]
        watch.contact = asyncio.get_running_loop().time()
        watch.fail(None)
        await asyncio.sleep(12)
        assert fleet.ready() is True


@pytest.mark.parametrize("failure", [Failure(FailureKind.UNAVAILABLE, "conversion webhook for ...", 500), DOWN])
@virtual
async def test_a_type_whose_watch_alone_is_silent_is_that_types_unobservable(failure: Failure) -> None:
    """Its conversion webhook or its aggregated API is down: the member is well, and its other types go on."""
    async with Fleet(CONFIGMAPS, FEDERATED_NAMESPACES) as fleet:
        fleet.join()
        await asyncio.sleep(1)
        watch = fleet.gates[0].watches["configmaps"]
        watch.fail(failure)
        await asyncio.sleep(WATCH_SILENCE + 30)
        assert fleet.ready() is True
        copies = {name: state.copies["m1"] for name, state in fleet.world.types.items()}
        trouble = copies["configmaps"].unobservable
        assert trouble is not None
        assert (trouble.status, failure.message in trouble.message) == (PropagationStatus.CACHED_RETRIEVAL_FAILED, True)
        assert copies["namespaces"].unobservable is None
        watch.contact = asyncio.get_running_loop().time()
        watch.fail(None)
        await asyncio.sleep(15)
        assert copies["configmaps"].unobservable is None


@virtual
async def test_a_list_that_is_too_large_is_reported_at_the_cluster_and_at_the_type() -> None:
    async with Fleet(CONFIGMAPS, FEDERATED_NAMESPACES) as fleet:
        fleet.join()
        await asyncio.sleep(1)
        watch = fleet.gates[0].watches["configmaps"]
        watch.fail(too_much("configmaps", 1_000))
        await asyncio.sleep(15)
        copies = {name: state.copies["m1"] for name, state in fleet.world.types.items()}
        trouble = copies["configmaps"].unobservable
        assert trouble is not None
        assert trouble.status is PropagationStatus.CACHED_RETRIEVAL_FAILED
        assert "too many labelled objects in this cluster" in trouble.message
        assert copies["namespaces"].unobservable is None
        assert fleet.ready() is True
        synced = fleet.condition("Synced")
        assert (synced["status"], "too many labelled objects" in synced["message"]) == ("False", True)
        watch.fail(None)
        await asyncio.sleep(15)
        assert copies["configmaps"].unobservable is None
        assert fleet.condition("Synced")["status"] == "True"


@virtual
async def test_a_list_that_can_never_be_read_is_the_types_trouble_though_the_server_answers() -> None:
    """Objects of the type would say for ever that they have not been listed yet."""
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join()
        await asyncio.sleep(1)
        watch, copies = fleet.gates[0].watches["configmaps"], fleet.world.types["configmaps"].copies["m1"]
        watch.fail(Failure(FailureKind.UNEXPECTED, "configmaps: a list without an end"))
        for _ in range(12):
            watch.contact = asyncio.get_running_loop().time()  # each of its pages is an answer
            await asyncio.sleep(10)
        assert "a list without an end" in str(copies.unobservable)
        assert fleet.ready() is True
        watch.fail(None)
        await asyncio.sleep(300)
        assert str(copies.unobservable) == "None"
        watch.contact = asyncio.get_running_loop().time()
        watch.fail(Failure(FailureKind.UNEXPECTED, "configmaps: a list without an end"))
        await asyncio.sleep(30)
        assert str(copies.unobservable) == "None"  # it has not lasted yet


@virtual
async def test_writes_of_a_type_that_fail_have_the_member_probed_now() -> None:
    """Is it the type or the member? Its own probe shows it, and what waits for it goes on when it answers."""
    async with Fleet(CONFIGMAPS) as fleet:
        site = fleet.join()
        await asyncio.sleep(1)
        lane = fleet.world.members["m1"].lane
        assert isinstance(lane, Lane)
        probes = len(fleet.gates[0].probes)
        for _ in range(TRIP_AFTER):
            lane._record("configmaps", Evidence.ERRED, None)
        site.identity = DOWN
        await asyncio.sleep(0.2)
        assert len(fleet.gates[0].probes) == probes + 1
        assert lane.paused
        site.identity = "uid-m1"
        fleet.clusters._joined["m1"].kick()
        await asyncio.sleep(1)
        assert not lane.paused


@virtual
async def test_a_threshold_of_good_probes_ends_what_an_outage_has_earned() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.world.settings = replace(fleet.world.settings, health=HealthCheck(success_threshold=3))
        site = fleet.join()
        await asyncio.sleep(1)
        site.identity = DOWN
        await asyncio.sleep(60)
        watch = fleet.gates[0].watches["configmaps"]
        kicks = watch.kicks
        site.identity = "uid-m1"
        await asyncio.sleep(60)
        assert fleet.ready() is True
        assert watch.kicks > kicks


@virtual
async def test_types_come_and_go() -> None:
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(1)
        state = fleet.world.types["configmaps"] = TypeState(CONFIGMAPS)
        fleet.clusters.follow(state)
        fleet.clusters.follow(state)
        await settle()
        watch = fleet.gates[0].watches["configmaps"]
        assert watch.running
        await fleet.clusters.unfollow("configmaps")
        await fleet.clusters.unfollow("configmaps")
        assert not watch.running


@virtual
async def test_a_type_is_begun_in_some_members_at_a_time() -> None:
    """3,500 members at once held the loop for 0.1 s; one that leaves meanwhile is left out."""
    async with Fleet() as fleet:
        begun: list[int] = []
        joined: Any = {
            f"m{number}": SimpleNamespace(name=f"m{number}", enabled=lambda _, number=number: begun.append(number))
            for number in range(250)
        }
        fleet.clusters._joined.update(joined)
        fleet.clusters.follow(TypeState(CONFIGMAPS))
        assert len(begun) == FOLLOWED
        del fleet.clusters._joined["m200"]
        await settle()
        assert begun == [number for number in range(250) if number != 200]
        fleet.clusters._joined.clear()


# --- leaving --------------------------------------------------------------------------------------------------------


@virtual
async def test_a_cluster_that_leaves_leaves_nothing_behind() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join("m1")
        fleet.join("m2")
        await asyncio.sleep(1)
        gate = fleet.gates[0]
        assert metrics.CLUSTER_READY.value("m1") == 1
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        assert {"probe:m1", "token:m1", "watch:m1:configmaps"} <= tasks
        fleet.hub.delete(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "m1"))
        await settle()
        assert gate.closed
        assert set(fleet.world.members) == {"m2"}
        assert set(fleet.world.types["configmaps"].copies) == {"m2"}
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        assert not {"probe:m1", "token:m1", "watch:m1:configmaps", "lane:m1"} & tasks
        assert metrics.CLUSTER_READY.value("m1") is None
        for memory in (fleet.clusters._joined, fleet.clusters._configured):
            assert set(memory) == {"m2"}
        assert set(fleet.clusters._identities._owners.values()) == {"m2"}


@virtual
async def test_members_may_join_while_a_type_stops() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        for number in range(5):
            fleet.join(f"m{number}")
        await asyncio.sleep(1)
        stopping = asyncio.create_task(fleet.clusters.unfollow("configmaps"))
        await asyncio.sleep(0)
        fleet.join("late")
        await settle()
        await stopping
        assert not any(watch.running for gate in fleet.gates[:5] for watch in gate.watches.values())


@virtual
async def test_joined_again_under_its_name_it_starts_anew() -> None:
    async with Fleet() as fleet:
        site = fleet.join()
        await asyncio.sleep(1)
        fleet.hub.delete(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "m1"))
        await settle()
        site.identity = "uid-another"
        fleet.cluster()
        await asyncio.sleep(1)
        assert fleet.ready() is True
        assert fleet.stored()["metadata"]["annotations"] == {IDENTITY_ANNOTATION: "uid-another"}


@virtual
async def test_a_cluster_that_no_controller_has_known_is_a_newcomer_for_types_that_were_not_followed() -> None:
    """What statuses say about its name may be about the one before; a restart of ours is no reason to doubt them."""
    async with Fleet() as fleet:
        site = fleet.join()
        await asyncio.sleep(1)
        since = fleet.world.clusters_version
        assert fleet.world.joined_since(0) == {"m1"}
        assert fleet.world.joined_since(since) == set()
        fleet.hub.delete(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "m1"))
        await settle()
        site.identity = "uid-another"
        fleet.cluster()
        await asyncio.sleep(1)
        assert fleet.world.joined_since(since) == {"m1"}
    async with Fleet(after=fleet) as again:
        await asyncio.sleep(1)
        assert again.ready() is True
        assert not again.world.joined_since(0)


@virtual
async def test_a_cluster_that_is_unjoined_is_not_called_malformed_first() -> None:
    """Whoever takes a folder away, or two watches that are not equally quick, may show the Secret's end first."""
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(1)
        fleet.hub.writes.clear()
        fleet.hub.delete(SECRETS, ObjectName(SYSTEM, "m1-secret"))
        await asyncio.sleep(WITHOUT_SECRET - 1)
        assert fleet.ready() is True
        fleet.hub.delete(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "m1"))
        await asyncio.sleep(60)
        assert (fleet.world.members, fleet.hub.events, fleet.hub.writes) == ({}, [], [])


@pytest.mark.parametrize("erased", [False, True], ids=["left-out", "gone"])
@virtual
async def test_a_secret_that_a_list_leaves_out_is_asked_for(erased: bool) -> None:
    async with Fleet() as fleet:
        fleet.join()
        await asyncio.sleep(1)
        if erased:
            del fleet.hub.objects[SECRETS.qualified, ObjectName(SYSTEM, "m1-secret")]
        fleet.hub.sinks[SECRETS.qualified][0].replace([])
        await asyncio.sleep(WITHOUT_SECRET + 1)
        assert fleet.ready() is (not erased)
        assert fleet.condition()["reason"] == ("ClusterConfigMalformed" if erased else "ClusterReady")


@virtual
async def test_a_secret_that_the_first_list_leaves_out_is_asked_for() -> None:
    async with Fleet() as fleet:
        fleet.sites["https://m1"] = Site("uid-m1")
        sink, decode = fleet.hub.sinks.pop(SECRETS.qualified)
        fleet.secret(token="first")
        fleet.hub.sinks[SECRETS.qualified] = (sink, decode)
        fleet.cluster()
        await asyncio.sleep(10)
        assert fleet.condition()["reason"] == "ClusterReady"


@virtual
async def test_a_cluster_that_the_first_list_leaves_out_has_not_left() -> None:
    """Statuses name it, so the hub is asked for it before they forget it; for a name that it does not know, once."""
    async with Fleet() as fleet:
        fleet.sites["https://m1"] = Site("uid-m1")
        sink, decode = fleet.hub.sinks.pop(KUBEFED_CLUSTERS.qualified)
        fleet.secret(token="first")
        fleet.cluster()
        fleet.hub.sinks[KUBEFED_CLUSTERS.qualified] = (sink, decode)
        await settle()
        assert fleet.world.members == {}
        fleet.hub.reads.clear()
        assert not await fleet.clusters.left("m1")
        await asyncio.sleep(10)
        assert fleet.ready() is True
        assert [await fleet.clusters.left(name) for name in ("m2", "m2", "../m3", "")] == [True] * 4
        assert [each for each in fleet.hub.reads if "m2" in each or "m3" in each] == [
            f"kubefedclusters {ObjectName(SYSTEM, 'm2')}"
        ]
        fleet.join("m2")
        await asyncio.sleep(10)
        fleet.hub.sinks[KUBEFED_CLUSTERS.qualified][0].replace([])
        assert not await fleet.clusters.left("m2")


# --- tokens ---------------------------------------------------------------------------------------------------------

LIFE = 86400.0


@virtual
async def test_a_token_is_renewed_at_half_its_life_and_stored() -> None:
    async with Fleet() as fleet:
        site = fleet.join()
        site.lifetimes = {"first": (EPOCH, EPOCH + LIFE), "fresh": (EPOCH + LIFE / 2, EPOCH + LIFE * 1.5)}
        await asyncio.sleep(LIFE / 2 - 120)
        assert site.renewals == []
        await asyncio.sleep(3600)
        assert len(site.renewals) == 1
        when, lifetime = site.renewals[0]
        assert when == pytest.approx(LIFE / 2, abs=120)
        assert lifetime == int(LIFE)
        assert fleet.gates[0].token == "fresh"
        assert len(fleet.gates) == 1
        await asyncio.sleep(LIFE / 4)
        assert len(site.renewals) == 1


@virtual
async def test_metrics_show_when_the_token_began_and_ends() -> None:
    """Of the one that is in use; none for a token without an end, nor for a cluster that has left."""

    def shown() -> tuple[float | None, float | None]:
        return metrics.TOKEN_ISSUED.value("m1"), metrics.TOKEN_EXPIRY.value("m1")

    async with Fleet() as fleet:
        site = fleet.join()
        site.lifetimes = {"first": (EPOCH, EPOCH + LIFE), "fresh": (EPOCH + LIFE / 2, EPOCH + LIFE * 1.5)}
        await asyncio.sleep(60)
        assert shown() == (EPOCH, EPOCH + LIFE)
        await asyncio.sleep(LIFE / 2 + 3600)
        assert shown() == (EPOCH + LIFE / 2, EPOCH + LIFE * 1.5)
        fleet.secret(token="endless")
        await asyncio.sleep(60)
        assert shown() == (None, None)


@virtual
async def test_a_renewal_that_fails_is_tried_again_soon_and_logged() -> None:
    async with Fleet() as fleet:
        site = fleet.join()
        site.lifetimes = {"first": (EPOCH, EPOCH + 1200)}
        site.renewed = Failure(FailureKind.RIGHT_MISSING, "may not create tokens")
        with capture_logs() as logs:
            await asyncio.sleep(900)
        assert 4 <= len(site.renewals) <= 12
        assert {entry["reason"] for entry in logs if entry["event"] == "token not renewed"} == {"may not create tokens"}
        site.renewed = "fresh"
        await asyncio.sleep(120)
        assert fleet.gates[0].token == "fresh"


@virtual
async def test_credentials_stored_during_a_renewal_are_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """An admin re-credentials the cluster in the instant in which we ask for a fresh token of the old account."""
    async with Fleet() as fleet:
        site = fleet.join()
        site.lifetimes = {"first": (EPOCH, EPOCH + 1200), "theirs": (EPOCH + 600, EPOCH + 9000)}
        await asyncio.sleep(1)
        gate = fleet.gates[0]

        async def renew(lifetime: int) -> str:
            fleet.secret(token="theirs")
            await asyncio.sleep(0.1)
            return "fresh"

        monkeypatch.setattr(gate, "renew_token", renew)
        await asyncio.sleep(900)
        assert gate.token == "theirs"


@virtual
async def test_nor_are_those_whose_event_is_still_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A join replaces the Secret's token and revokes the old one: what renews the old one must not come after it."""
    async with Fleet() as fleet:
        site = fleet.join()
        site.lifetimes = {"first": (EPOCH, EPOCH + 1200)}
        await asyncio.sleep(1)
        key = (SECRETS.qualified, ObjectName(SYSTEM, "m1-secret"))

        async def renew(lifetime: int) -> str:
            stored = fleet.hub.objects[key]
            theirs = {"data": {"token": "dGhlaXJz"}, "metadata": {**stored["metadata"], "resourceVersion": "999"}}
            fleet.hub.objects[key] = {**stored, **theirs}
            return "fresh"

        monkeypatch.setattr(fleet.gates[0], "renew_token", renew)
        await asyncio.sleep(620)
        assert fleet.hub.objects[key]["data"]["token"] == "dGhlaXJz"


@virtual
async def test_a_renewed_token_goes_into_no_other_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may change the KubeFedCluster must not thereby have another Secret written."""
    async with Fleet() as fleet:
        site = fleet.join()
        site.lifetimes = {"first": (EPOCH, EPOCH + 1200)}
        fleet.secret("other", token="theirs")
        await asyncio.sleep(1)

        async def renew(lifetime: int) -> str:
            where = ObjectName(SYSTEM, "m1")
            fleet.hub.put(KUBEFED_CLUSTERS, where, spec={"secretRef": {"name": "other-secret"}})
            return "fresh"

        monkeypatch.setattr(fleet.gates[0], "renew_token", renew)
        await asyncio.sleep(700)
        other = fleet.hub.get(SECRETS, ObjectName(SYSTEM, "other-secret"))
        assert other is not None
        assert other["data"]["token"] == "dGhlaXJz"


@virtual
async def test_a_token_that_the_hub_would_not_store_is_renewed_again() -> None:
    async with Fleet() as fleet:
        site = fleet.join()
        site.lifetimes = {"first": (EPOCH, EPOCH + 1200)}
        fleet.hub.fails = lambda verb, name: DOWN if verb == "merge" else None
        await asyncio.sleep(700)
        assert fleet.gates[0].token == "first"
        fleet.hub.fails = lambda verb, name: None
        await asyncio.sleep(120)
        assert fleet.gates[0].token == "fresh"


@pytest.mark.parametrize(("life", "most"), [(LIFE, 20), (1200.0, 40)])
def test_a_renewed_token_that_is_not_taken_up_is_not_renewed_in_a_loop(life: float, most: int) -> None:
    """Whatever the reason, the new one never comes into use."""

    @virtual
    async def test() -> None:
        async with Fleet() as fleet:
            site = fleet.join()
            site.lifetimes = {"first": (EPOCH, EPOCH + life), "fresh": (EPOCH, EPOCH + life)}
            await asyncio.sleep(life * 0.75)
            assert 2 <= len(site.renewals) <= most

    test()


@virtual
async def test_a_token_in_a_stored_kubeconfig_is_not_renewed_and_that_is_logged() -> None:
    """A renewed one would be stored beside it, where nothing reads it."""
    async with Fleet() as fleet:
        site = fleet.join()
        site.lifetimes = {"first": (EPOCH, EPOCH + LIFE)}
        await asyncio.sleep(1)
        fleet.gates[0].renewable = False
        with capture_logs() as logs:
            await asyncio.sleep(LIFE)
        warnings = [entry for entry in logs if "stored kubeconfig" in entry["event"]]
        assert (site.renewals, 2 <= len(warnings) <= 10) == ([], True)
        assert {(entry["log_level"], entry["cluster"]) for entry in warnings} == {("warning", "m1")}


@pytest.mark.parametrize("off", [-366 * LIFE, 366 * LIFE], ids=["a-year-behind", "a-year-ahead"])
def test_a_wall_clock_that_is_wrong_neither_ends_a_token_nor_renews_it_in_a_loop(
    off: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nobody knows how old a token is that we did not ask for: it is renewed at once, and the new one in time."""

    @virtual
    async def test() -> None:
        true = time.time
        monkeypatch.setattr(time, "time", lambda: true() + off)
        async with Fleet() as fleet:
            site = fleet.join()
            site.clock = Failure(FailureKind.TYPE_MISSING, "404", 404)
            await settle()

            async def renew(lifetime: int) -> str:
                site.renewals.append((asyncio.get_running_loop().time(), lifetime))
                return f"t{int(asyncio.get_running_loop().time())}"

            monkeypatch.setattr(fleet.gates[0], "renew_token", renew)
            site.lifetimes = {f"t{each}": (EPOCH + each, EPOCH + each + LIFE) for each in range(int(4 * LIFE))}
            site.lifetimes["old"] = (EPOCH - LIFE * 0.9, EPOCH + LIFE * 0.1)
            fleet.secret(token="old")
            await asyncio.sleep(LIFE * 2 + 1000)
            assert [int(when / LIFE * 10) for when, _ in site.renewals] == [0, 5, 10, 15, 20]

    test()


@pytest.mark.parametrize("off", [-366 * LIFE, -0.85 * LIFE / 4, 0.1 * LIFE, 366 * LIFE])
def test_how_old_a_token_is_the_member_says(off: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever our clock shows: a token that is nearly over is renewed at once, a young one at half its life."""

    life = LIFE / 4

    @virtual
    async def test() -> None:
        true = time.time
        monkeypatch.setattr(time, "time", lambda: true() + off)
        async with Fleet() as fleet:
            fleet.world.settings = Settings(health=HealthCheck(period=600.0))  # not a probe every ten seconds
            old, young = fleet.join("old"), fleet.join("young")
            for site, age in ((old, 0.9), (young, 0.1)):
                site.lifetimes = {"first": (EPOCH - age * life, EPOCH + (1 - age) * life)}
                site.lifetimes["fresh"] = (EPOCH, EPOCH + life)
            await asyncio.sleep(0.3 * life)
            assert (len(old.renewals), len(young.renewals)) == (1, 0)
            await asyncio.sleep(0.15 * life)
            assert (len(old.renewals), len(young.renewals)) == (1, 1)

    test()


@virtual
async def test_a_members_clock_that_is_set_forward_ends_no_token() -> None:
    """It ends them earlier then, and is asked every hour. One that counts oddly does not make us renew in a loop."""
    life = LIFE / 2
    async with Fleet() as fleet:
        fleet.world.settings = Settings(health=HealthCheck(period=600.0))  # not a probe every ten seconds
        site = fleet.join()
        site.lifetimes = {"first": (EPOCH, EPOCH + life), "fresh": (EPOCH - 20 * life, EPOCH - 19 * life)}
        await asyncio.sleep(1800)
        site.clock = 0.6 * life
        await asyncio.sleep(7200)
        assert len(site.renewals) == 1
        assert fleet.gates[0].token == "fresh"
        await asyncio.sleep(0.2 * life)
        assert len(site.renewals) == 1
        site.renewed = "newest"
        site.lifetimes["newest"] = (EPOCH, EPOCH + life)
        site.clock += 0.3 * life
        await asyncio.sleep(3700)
        assert len(site.renewals) == 2


@virtual
async def test_a_wall_clock_that_is_set_while_we_run_moves_no_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Fleet() as fleet:
        site = fleet.join()
        site.lifetimes = {"first": (EPOCH, EPOCH + LIFE), "fresh": (EPOCH + LIFE / 2, EPOCH + LIFE * 1.5)}
        await asyncio.sleep(60)
        true = time.time
        for off in (-7 * LIFE, 7 * LIFE):
            monkeypatch.setattr(time, "time", lambda off=off: true() + off)
            await asyncio.sleep(60)
        await asyncio.sleep(LIFE / 2 - 300)
        assert site.renewals == []
        monkeypatch.setattr(time, "time", lambda: true() - 7 * LIFE)
        await asyncio.sleep(600)
        assert len(site.renewals) == 1


@virtual
async def test_a_watch_of_the_secret_that_is_late_costs_no_token_its_life() -> None:
    async with Fleet() as fleet:
        site = fleet.join()
        site.lifetimes = {"first": (EPOCH, EPOCH + 600), "fresh": (EPOCH + 300, EPOCH + 900)}
        site.lifetimes["newest"] = (EPOCH + 600, EPOCH + 1200)
        await asyncio.sleep(1)
        sink = fleet.hub.sinks.pop(SECRETS.qualified)
        await asyncio.sleep(360)
        assert len(site.renewals) >= 1
        fleet.hub.follow(SECRETS, *sink)
        await settle()
        assert fleet.gates[0].token == "fresh"
        site.renewed = "newest"
        await asyncio.sleep(450)
        assert fleet.gates[0].token == "newest"


@virtual
async def test_a_token_without_an_end_is_left_alone() -> None:
    async with Fleet() as fleet:
        site = fleet.join()
        await asyncio.sleep(LIFE)
        assert site.renewals == []


def test_the_token_is_in_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "RENEWED_IN_VAIN", 60.0)

    @virtual
    async def test() -> None:
        with capture_logs() as logs:
            async with Fleet() as fleet:
                site = fleet.join()
                site.renewed = "hunter2canary"
                site.lifetimes = {"first": (EPOCH, EPOCH + 1200)}
                await asyncio.sleep(1200)
                assert fleet.gates[0].token == "hunter2canary"
        assert "token renewed" in [entry["event"] for entry in logs]
        assert "hunter2canary" not in str(logs)
        assert "aHVudGVyMmNhbmFyeQ" not in str(logs)

    test()


@virtual
async def test_a_cluster_that_has_left_leaves_no_sample_behind() -> None:
    async with Fleet() as fleet:
        fleet.join()
        fleet.join("m2")
        await asyncio.sleep(1)
        for name in ("m1", "m2", "hub"):
            metrics.REQUESTS.labels(name, "GET", "200").inc()
            metrics.REQUEST_SECONDS_IN_ALL.labels(name).inc(0.1)
            metrics.PUSHES.labels(name, "ok").inc()
            metrics.LANE_PAUSED.labels(name, "failing").inc()
        fleet.hub.delete(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "m1"))
        await asyncio.sleep(1)
        exposed = "".join(metrics.steps())
        assert '"m1"' not in exposed
        assert all(f'"{name}"' in exposed for name in ("m2", "hub"))
        fleet.join()
        await asyncio.sleep(1)
        assert 'federation_cluster_ready{cluster="m1"} 1.0' in "".join(metrics.steps())


@virtual
async def test_unjoined_and_joined_again_in_one_breath_is_another_cluster() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        site = fleet.join()
        await asyncio.sleep(1)
        fleet.hub.delete(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "m1"))
        site.identity = "uid-another"
        fleet.join()
        await asyncio.sleep(1)
        assert fleet.ready() is True
        assert fleet.stored()["metadata"]["annotations"] == {IDENTITY_ANNOTATION: "uid-another"}
        assert [gate.closed for gate in fleet.gates] == [True, False]


@virtual
async def test_a_server_that_is_not_verified_is_reported_once() -> None:
    async with Fleet() as fleet:
        with capture_logs() as logs:
            fleet.sites["https://m1"] = Site("uid-m1")
            fleet.secret(token="first")
            fleet.cluster(disabled=["*"])
            await asyncio.sleep(60)
            fleet.secret(token="second")
            await asyncio.sleep(60)
        warned = [entry for entry in logs if entry["event"] == "server not verified"]
        assert [(entry["log_level"], entry["cluster"]) for entry in warned] == [("warning", "m1")]
        assert [event["reason"] for event in fleet.hub.events] == ["TLSValidationDisabled"]
        assert "disabledTLSValidations: *" in fleet.hub.events[0]["message"]


# --- what the hub does not store --------------------------------------------------------------------------------------

DENIED = Failure(FailureKind.DENIED, "policy p denied request", 422)
RIGHT = Failure(FailureKind.RIGHT_MISSING, 'User "c" cannot patch resource', 403)
HUB_AWAY = Failure(FailureKind.UNAVAILABLE, "503", 503)


@pytest.mark.parametrize("failure", [DENIED, RIGHT], ids=["policy", "right"])
@pytest.mark.parametrize(
    ("refused", "reason"),
    [("m1", "IdentityNotRecorded"), ("m1-secret", "CredentialsNotBound"), ("renewal", "TokenNotStored")],
)
def test_what_the_hub_refuses_to_store_of_a_cluster_is_a_condition_while_that_lasts(
    refused: str, reason: str, failure: Failure
) -> None:
    @virtual
    async def test() -> None:
        async with Fleet() as fleet:
            where = "m1-secret" if refused == "renewal" else refused
            site = fleet.join()
            if refused == "renewal":
                site.lifetimes = {"first": (EPOCH, EPOCH + 1200), "fresh": (EPOCH, EPOCH + 90000)}
                await asyncio.sleep(60)
            fleet.hub.fails = lambda verb, name: failure if (verb, name.name) == ("merge", where) else None
            await asyncio.sleep(900)
            found = fleet.condition("HostRefuses")
            assert (found["status"], found["reason"]) == ("True", reason)
            assert failure.message in found["message"]
            assert fleet.ready() is True
            assert [each["reason"] for each in fleet.hub.events] == [reason]
            fleet.hub.fails = lambda verb, name: HUB_AWAY if (verb, name.name) == ("merge", where) else None
            await asyncio.sleep(100)
            assert fleet.condition("HostRefuses")["reason"] == reason  # nothing shows that it has ended
            fleet.hub.fails = lambda verb, name: None
            await asyncio.sleep(100)
            assert fleet.condition("HostRefuses") == {}

    test()


@virtual
async def test_a_hub_that_is_away_refuses_nothing() -> None:
    async with Fleet() as fleet:
        fleet.join()
        fleet.hub.fails = lambda verb, name: HUB_AWAY if verb == "merge" else None
        await asyncio.sleep(100)
        assert (fleet.ready(), fleet.condition("HostRefuses")) == (True, {})


@virtual
async def test_a_clusters_event_is_not_lost_with_an_answer() -> None:
    async with Fleet() as fleet:
        site = fleet.join()
        await asyncio.sleep(20)
        fleet.hub.fails = lambda verb, name: HUB_AWAY if verb == "create" else None
        site.identity = Failure(FailureKind.TIMED_OUT, "no answer within 3 s")
        await asyncio.sleep(120)
        assert (fleet.condition()["status"], fleet.hub.events) == ("False", [])
        fleet.hub.fails = lambda verb, name: None
        await asyncio.sleep(60)
        assert [each["reason"] for each in fleet.hub.events] == ["ClusterNotReachable"]


@virtual
async def test_a_type_that_goes_back_in_time_has_all_types_listed_again_and_is_told_once() -> None:
    secrets = FederatedType(
        "secrets",
        SECRETS,
        Resource("types.kubefed.io", "v1beta1", "FederatedSecret", "federatedsecrets", namespaced=True),
    )
    async with Fleet(CONFIGMAPS, secrets) as fleet:
        fleet.join()
        await asyncio.sleep(15)
        watches = fleet.gates[0].watches
        assert [watch.renewals for watch in watches.values()] == [0, 0]
        watches["configmaps"].go_back()
        watches["secrets"].go_back()
        await asyncio.sleep(15)
        assert [watch.renewals for watch in watches.values()] == [1, 1]
        assert [each["reason"] for each in fleet.hub.events].count("ClusterRestored") == 1
        await asyncio.sleep(60)
        watches["secrets"].go_back()
        assert [watch.renewals for watch in watches.values()] == [2, 2]


@virtual
async def test_after_an_outage_everything_is_listed_again() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        site = fleet.join()
        await asyncio.sleep(15)
        watch = fleet.gates[0].watches["configmaps"]
        site.identity = DOWN
        await asyncio.sleep(60)
        assert (fleet.ready(), watch.renewals) == (False, 0)
        site.identity = "uid-m1"
        await asyncio.sleep(60)
        assert (fleet.ready(), watch.renewals) == (True, 1)


@virtual
async def test_a_type_whose_list_was_wrong_is_listed_once_a_minute() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join()
        await asyncio.sleep(15)
        watch, live = fleet.gates[0].watches["configmaps"], fleet.world.members["m1"].live
        assert live is not None
        for _ in range(5):
            live.relist("configmaps")
            await asyncio.sleep(1)
        assert watch.renewals == 1
        await asyncio.sleep(60)
        live.relist("configmaps")
        assert watch.renewals == 2
