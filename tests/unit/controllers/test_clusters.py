"""Joined clusters alive: probes with hysteresis, identities, credentials, renewal, and leaving without a trace."""

import asyncio
import itertools
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY, generate_latest
from structlog.testing import capture_logs

from federation.controllers import tokens
from federation.controllers.facts import TypeState
from federation.controllers.member import FACTS_PERIOD, IDENTITY_ANNOTATION, WATCH_SILENCE
from federation.model.clusters import Missing
from federation.model.failures import Failure, FailureKind
from federation.model.resources import KUBEFED_CLUSTERS, SECRETS, ObjectName
from federation.model.settings import HealthCheck
from federation.model.words import Word
from federation.runtime import metrics
from tests.unit.controllers.fleet import HUB_UID, SYSTEM, Fleet, Site
from tests.unit.controllers.rig import CONFIGMAPS, WEB
from tests.unit.virtualtime import EPOCH, settle, virtual

DOWN = Failure(FailureKind.UNREACHABLE, "cannot connect to https://m1: Connection refused")


# --- probes ---------------------------------------------------------------------------------------------------------


@virtual
async def test_a_joined_cluster_is_probed_told_and_followed() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        site = fleet.join()
        assert fleet.world.members == {}
        await asyncio.sleep(1)
        assert fleet.ready() is True
        status = fleet.stored()["status"]
        assert (status["kubernetesVersion"], status["region"], status["zones"]) == ("v1.36.3", "eu", ["a", "b"])
        assert (fleet.condition()["status"], fleet.condition("Offline")["status"]) == ("True", "False")
        assert fleet.stored()["metadata"]["annotations"] == {IDENTITY_ANNOTATION: "uid-m1"}
        assert fleet.world.types["configmaps"].holdings["m1"].observe(WEB) is Missing.ABSENT
        assert fleet.world.members["m1"].port is site.member
        assert fleet.hub.events == []


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
        await asyncio.sleep(1)
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
async def test_first_probes_are_spread() -> None:
    async with Fleet() as fleet:
        for number in range(200):
            fleet.join(f"m{number}")
        await asyncio.sleep(5)
        first = sorted(gate.probes[0] for gate in fleet.gates)
        assert len(first) == 200
        assert first[-1] <= 1.1
        assert max(later - earlier for earlier, later in itertools.pairwise(first)) < 0.2
        busiest = max(sum(1 for when in first if start / 20 <= when < (start + 1) / 20) for start in range(22))
        assert busiest < 60


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
async def test_a_missing_secret_is_told_and_its_coming_noticed() -> None:
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
        assert "m1" not in fleet.world.types["configmaps"].holdings
        assert "another cluster answers here: its identity is uid-impostor" in fleet.condition()["message"]
        site.identity = "uid-m1"
        await asyncio.sleep(12)
        assert fleet.ready() is True
        assert [fleet.world.members["m1"].port] == [site.member]
        assert fleet.gates[0].watches["configmaps"] is not watch
        await settle()
        assert fleet.world.types["configmaps"].holdings["m1"].objects.synced


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
        trouble = fleet.world.types["configmaps"].holdings["m1"].trouble
        assert trouble is not None
        assert trouble.word is Word.RETRIEVAL_FAILED
        assert fleet.ready() is True
        assert fleet.condition("Synced")["status"] == "False"
        assert "cannot list configmaps" in fleet.condition("Synced")["message"]
        watch.fail(None)
        await asyncio.sleep(2)
        assert fleet.world.types["configmaps"].holdings["m1"].trouble is None
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


# --- leaving --------------------------------------------------------------------------------------------------------


@virtual
async def test_a_cluster_that_leaves_leaves_nothing_behind() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join("m1")
        fleet.join("m2")
        await asyncio.sleep(1)
        gate = fleet.gates[0]
        assert REGISTRY.get_sample_value("federation_cluster_ready", {"cluster": "m1"}) == 1
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        assert {"probe:m1", "token:m1", "watch:m1:configmaps"} <= tasks
        fleet.hub.delete(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "m1"))
        await settle()
        assert gate.closed
        assert set(fleet.world.members) == {"m2"}
        assert set(fleet.world.types["configmaps"].holdings) == {"m2"}
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        assert not {"probe:m1", "token:m1", "watch:m1:configmaps", "lane:m1"} & tasks
        assert REGISTRY.get_sample_value("federation_cluster_ready", {"cluster": "m1"}) is None
        for memory in (fleet.clusters._joined, fleet.clusters._configured):
            assert set(memory) == {"m2"}
        assert set(fleet.clusters._identities.values()) == {"m2"}


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
async def test_a_renewal_that_fails_is_tried_again_soon_and_said() -> None:
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
    """A kubeconfig in the Secret wins over its token: the new one never comes into use."""

    @virtual
    async def test() -> None:
        async with Fleet() as fleet:
            site = fleet.join()
            site.lifetimes = {"first": (EPOCH, EPOCH + life), "fresh": (EPOCH, EPOCH + life)}
            await asyncio.sleep(life * 0.75)
            assert 2 <= len(site.renewals) <= most

    test()


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
            metrics.REQUEST_SECONDS.labels(name, "GET").observe(0.1)
            metrics.PUSHES.labels(name, "configmaps", "ok").inc()
            metrics.LANE_PAUSED.labels(name, "failing").inc()
        fleet.hub.delete(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "m1"))
        await asyncio.sleep(1)
        told = generate_latest().decode()
        assert '"m1"' not in told
        assert all(f'"{name}"' in told for name in ("m2", "hub"))
        fleet.join()
        await asyncio.sleep(1)
        assert 'federation_cluster_ready{cluster="m1"} 1.0' in generate_latest().decode()


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
