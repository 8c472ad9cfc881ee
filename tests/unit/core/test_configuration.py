"""KubeFedConfig and FederatedTypeConfig: KubeFed's defaults, and what KubeFed's webhooks refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import configuration
from federation.model.errors import Invalid
from federation.model.federated import FederatedType
from federation.model.resources import Resource
from federation.model.settings import (
    MOST_RECONCILES,
    SHORTEST_PERIOD,
    DeletionBudget,
    HealthCheck,
    LeaderElection,
    Settings,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("10s", 10.0, id="seconds"),
        pytest.param("1m30s", 90.0, id="compound"),
        pytest.param("1h", 3600.0, id="hours"),
        pytest.param("1.5s", 1.5, id="fraction"),
        pytest.param(".5m", 30.0, id="no-leading-zero"),
        pytest.param("250ms", 0.25, id="milliseconds"),
        pytest.param("0s1us", 1e-6, id="microseconds"),
        pytest.param("1m0.5s", 60.5, id="mixed"),
        pytest.param("+10s", 10.0, id="signed"),
        pytest.param("5\u00b5s", 5e-6, id="micro-sign"),
    ],
)
def test_go_durations(text: str, seconds: float) -> None:
    assert configuration.duration(text, "f", default=1.0) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["9" * 400 + "h", "9" * 40 + "h", "1s" * 60, "10", "s", "-1s", "1 s", "1d", "ten", "1s2", "0s", "0h0m", "٣s"],
)
def test_what_is_no_duration_over_zero(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        configuration.duration(text, "spec.x", default=1.0)
    assert caught.value.field == "spec.x"


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_durations_add_up(hours: int, minutes: int, seconds: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s"
    assert configuration.duration(text, "f", default=1.0) == hours * 3600 + minutes * 60 + seconds


@pytest.mark.parametrize("spec", [None, {}, {"leaderElect": None, "featureGates": None}], ids=["none", "empty", "null"])
def test_an_absent_config_means_kubefeds_defaults(spec: dict[str, Any] | None) -> None:
    assert configuration.settings(spec) == Settings()


def test_a_whole_config_of_kubefeds() -> None:
    assert configuration.settings(
        {
            "scope": "Namespaced",
            "controllerDuration": {"availableDelay": "1s", "unavailableDelay": "2s", "cacheSyncTimeout": "3m"},
            "leaderElect": {
                "leaseDuration": "30s",
                "renewDeadline": "20s",
                "retryPeriod": "4s",
                "resourceLock": "configmaps",
                "warmStandby": "Enabled",
            },
            "featureGates": [
                {"name": "PushReconciler", "configuration": "Disabled"},
                {"name": "SchedulerPreferences", "configuration": "Enabled"},
            ],
            "clusterHealthCheck": {
                "period": "5s",
                "failureThreshold": 2,
                "successThreshold": 3,
                "timeout": "1s",
            },
            "syncController": {"maxConcurrentReconciles": 4, "adoptResources": "Disabled"},
            "statusController": {"maxConcurrentReconciles": 5},
            "recovery": {"holdDuration": "24h"},
            "pull": {"bundleBytes": 65_536},
            "deletionBudget": {
                "enforcement": "Disabled",
                "percent": 0,
                "minimum": 1,
                "window": "2m",
                "deletionsByName": "Disabled",
                "namespacesInUse": "Disabled",
            },
        }
    ) == Settings(
        namespaced=True,
        available_delay=1.0,
        unavailable_delay=2.0,
        cache_sync_timeout=180.0,
        leader_election=LeaderElection(30.0, 20.0, 4.0),
        warm_standby=True,
        health=HealthCheck(5.0, 2, 3, 1.0),
        sync_concurrency=4,
        adopt_resources=False,
        status_concurrency=5,
        features=frozenset({"SchedulerPreferences"}),
        recovery_hold=86_400.0,
        bundle_bytes=65_536,
        deletion_budget=DeletionBudget(enabled=False, percent=0, minimum=1, window=120.0, by_name=False, in_use=False),
    )


def test_settings_stay_within_our_limits() -> None:
    """Ten thousand workers and a probe each nanosecond would help nobody."""
    found = configuration.settings(
        {
            "syncController": {"maxConcurrentReconciles": 10_000},
            "clusterHealthCheck": {"period": "1ns", "timeout": "1ns"},
        }
    )
    assert (found.sync_concurrency, found.health.period) == (MOST_RECONCILES, SHORTEST_PERIOD)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param([], "spec", id="a-list"),
        pytest.param({"scope": "World"}, "spec.scope", id="scope"),
        pytest.param({"controllerDuration": {"availableDelay": 5}}, "spec.controllerDuration.availableDelay", id="int"),
        pytest.param({"leaderElect": {"leaseDuration": "10s"}}, "spec.leaderElect.leaseDuration", id="lease-is-renew"),
        pytest.param({"leaderElect": {"retryPeriod": "10s"}}, "spec.leaderElect.renewDeadline", id="retry-is-renew"),
        pytest.param({"clusterHealthCheck": {"period": "0s"}}, "spec.clusterHealthCheck.period", id="period-zero"),
        pytest.param(
            {"clusterHealthCheck": {"failureThreshold": 0}}, "spec.clusterHealthCheck.failureThreshold", id="threshold"
        ),
        pytest.param(
            {"clusterHealthCheck": {"successThreshold": True}}, "spec.clusterHealthCheck.successThreshold", id="boolean"
        ),
        pytest.param(
            {"syncController": {"maxConcurrentReconciles": -1}}, "spec.syncController.maxConcurrentReconciles", id="neg"
        ),
        pytest.param({"syncController": {"adoptResources": "yes"}}, "spec.syncController.adoptResources", id="adopt"),
        pytest.param(
            {"statusController": {"maxConcurrentReconciles": "5"}},
            "spec.statusController.maxConcurrentReconciles",
            id="string-number",
        ),
        pytest.param({"deletionBudget": {"percent": 101}}, "spec.deletionBudget.percent", id="budget-percent"),
        pytest.param({"deletionBudget": {"percent": "10"}}, "spec.deletionBudget.percent", id="budget-text"),
        pytest.param({"deletionBudget": {"minimum": -1}}, "spec.deletionBudget.minimum", id="budget-minimum"),
        pytest.param({"deletionBudget": {"window": "0s"}}, "spec.deletionBudget.window", id="budget-window"),
        pytest.param({"deletionBudget": {"enforcement": "Off"}}, "spec.deletionBudget.enforcement", id="budget-word"),
        pytest.param({"deletionBudget": {"byName": "Disabled"}}, "spec.deletionBudget.byName", id="budget-field"),
        pytest.param({"recovery": {"holdDuration": "0s"}}, "spec.recovery.holdDuration", id="no-hold"),
        pytest.param({"pull": {"bundleBytes": 400_001}}, "spec.pull.bundleBytes", id="a-bundle-too-large"),
        pytest.param({"featureGates": [{"name": "Magic"}]}, "spec.featureGates[0].name", id="gate"),
        pytest.param(
            {"featureGates": [{"name": "PushReconciler", "configuration": "On"}]},
            "spec.featureGates[0].configuration",
            id="gate-word",
        ),
    ],
)
def test_a_wrong_config_is_refused_by_field(spec: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        configuration.settings(spec)
    assert caught.value.field == field


DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
FEDERATED = Resource("types.kubefed.io", "v1beta1", "FederatedDeployment", "federateddeployments", namespaced=True)


def _config(name: str = "deployments.apps", **spec: object) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "generation": 3},
        "spec": {
            "targetType": {"version": "v1", "kind": "Deployment", "scope": "Namespaced"},
            "federatedType": {
                "group": "types.kubefed.io",
                "version": "v1beta1",
                "kind": "FederatedDeployment",
                "scope": "Namespaced",
            },
            "propagation": "Enabled",
            **spec,
        },
    }


def test_plurals_and_group_come_from_the_name_and_the_kind() -> None:
    assert configuration.type_config(_config()) == FederatedType(
        "deployments.apps", DEPLOYMENTS, FEDERATED, generation=3
    )


def test_a_core_type_has_no_group() -> None:
    config = _config("configmaps", targetType={"version": "v1", "kind": "ConfigMap", "scope": "Namespaced"})
    target = configuration.type_config(config).target
    assert (target.group, target.plural, target.api_version) == ("", "configmaps", "v1")


def test_switches() -> None:
    config = configuration.type_config(_config(propagation="Disabled", statusCollection="Enabled"))
    assert not config.propagation


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("FederatedDeployment", "federateddeployments"),
        ("FederatedIngress", "federatedingresses"),
        ("FederatedNetworkPolicy", "federatednetworkpolicies"),
        ("FederatedBox", "federatedboxes"),
        ("FederatedHero", "federatedheroes"),
    ],
)
def test_kubefeds_plurals(kind: str, plural: str) -> None:
    assert configuration.plural_name(kind) == plural


TARGET = {"version": "v1", "kind": "Deployment", "scope": "Namespaced"}
FED = {"group": "types.kubefed.io", "version": "v1beta1", "kind": "FederatedDeployment", "scope": "Namespaced"}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        pytest.param({}, "metadata.name", id="nothing"),
        pytest.param(_config(targetType=None), "spec.targetType.kind", id="no-target"),
        pytest.param(_config(targetType={**TARGET, "version": ""}), "spec.targetType.version", id="empty-version"),
        pytest.param(_config(targetType={**TARGET, "version": "Alpha"}), "spec.targetType.version", id="bad-version"),
        pytest.param(_config(targetType={**TARGET, "kind": "Not.A.Kind"}), "spec.targetType.kind", id="bad-kind"),
        pytest.param(_config(targetType={**TARGET, "group": "a#b"}), "spec.targetType.group", id="bad-group"),
        pytest.param(_config(targetType={**TARGET, "scope": "Universe"}), "spec.targetType.scope", id="bad-scope"),
        pytest.param(_config(targetType={**TARGET, "scope": None}), "spec.targetType.scope", id="no-scope"),
        pytest.param(
            _config(targetType={**TARGET, "pluralName": "2things"}), "spec.targetType.pluralName", id="bad-plural"
        ),
        pytest.param(
            _config(targetType={**TARGET, "pluralName": "x" * 64}), "spec.targetType.pluralName", id="long-plural"
        ),
        pytest.param(
            _config(targetType={**TARGET, "group": "extensions"}), "metadata.name", id="name-is-not-the-target"
        ),
        pytest.param(
            _config(federatedType={**FED, "group": "nodot"}), "spec.federatedType.group", id="federated-group-no-dot"
        ),
        pytest.param(_config(federatedType={**FED, "group": ""}), "spec.federatedType.group", id="no-federated-group"),
        pytest.param(_config(statusType={"kind": "X"}), "spec.statusType.version", id="status-type"),
        pytest.param(_config(propagation="On"), "spec.propagation", id="propagation-word"),
        pytest.param(_config(statusCollection="On"), "spec.statusCollection", id="collection-word"),
    ],
)
def test_a_wrong_type_config_is_refused_by_field(config: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        configuration.type_config(config)
    assert caught.value.field == field
