"""Every field of the KubeFedConfig: it takes effect while the controller runs, or the controller says that it does not.

The fields are those of the CRD's schema. A new one without a line here fails, and so does one that nothing reads, or
that is read once when something is made.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from federation.core import configuration
from federation.model.settings import Settings
from typegen import templates

FEDERATION = Path(__file__).parents[3] / "federation"
GATES = "spec.featureGates"


class Live(NamedTuple):
    """In force at once. `value` is another than the default, `attribute` is where Settings have it."""

    value: Any
    attribute: str


class Said(NamedTuple):
    """Has no effect with this value, which the event `NotObeyed` says with what happens instead."""

    value: Any


FIELDS: dict[str, Live | Said] = {
    "spec.scope": Live("Namespaced", "namespaced"),
    "spec.controllerDuration.availableDelay": Said("1s"),
    "spec.controllerDuration.unavailableDelay": Said("1s"),
    "spec.controllerDuration.cacheSyncTimeout": Said("1s"),
    "spec.leaderElect.leaseDuration": Live("30s", "leader_election.lease_duration"),
    "spec.leaderElect.renewDeadline": Live("9s", "leader_election.renew_deadline"),
    "spec.leaderElect.retryPeriod": Live("2s", "leader_election.retry_period"),
    "spec.leaderElect.resourceLock": Said("configmaps"),
    "spec.leaderElect.warmStandby": Live("Enabled", "warm_standby"),
    f"{GATES}[PushReconciler]": Live("Disabled", "features"),
    f"{GATES}[RawResourceStatusCollection]": Live("Enabled", "features"),
    f"{GATES}[SchedulerPreferences]": Live("Disabled", "features"),
    f"{GATES}[CrossClusterServiceDiscovery]": Said("Enabled"),
    f"{GATES}[FederatedIngress]": Said("Enabled"),
    "spec.clusterHealthCheck.period": Live("5s", "health.period"),
    "spec.clusterHealthCheck.timeout": Live("1s", "health.timeout"),
    "spec.clusterHealthCheck.failureThreshold": Live(5, "health.failure_threshold"),
    "spec.clusterHealthCheck.successThreshold": Live(2, "health.success_threshold"),
    "spec.syncController.maxConcurrentReconciles": Live(2, "sync_concurrency"),
    "spec.syncController.adoptResources": Live("Disabled", "adopt_resources"),
    "spec.statusController.maxConcurrentReconciles": Said(3),
    "spec.policies.takeover": Live("Never", "policies.takeover"),
    "spec.policies.drift": Live("Report", "policies.drift"),
    "spec.policies.deletion": Live("Orphan", "policies.deletion"),
    "spec.policies.ignoreFields": Live(["/data"], "policies.ignore_fields"),
    "spec.recovery.holdDuration": Live("1h", "recovery_hold"),
    "spec.pull.bundleBytes": Live(65_536, "bundle_bytes"),
    "spec.deletionBudget.enforcement": Live("Disabled", "deletion_budget.enabled"),
    "spec.deletionBudget.percent": Live(50, "deletion_budget.percent"),
    "spec.deletionBudget.minimum": Live(7, "deletion_budget.minimum"),
    "spec.deletionBudget.window": Live("2m", "deletion_budget.window"),
    "spec.deletionBudget.deletionsByName": Live("Disabled", "deletion_budget.by_name"),
    "spec.deletionBudget.namespacesInUse": Live("Disabled", "deletion_budget.in_use"),
}
LIVE = {field: way for field, way in FIELDS.items() if isinstance(way, Live)}


def leaves(schema: Mapping[str, Any], where: str) -> Iterator[str]:
    """The fields that have a value of their own; each feature gate is one."""
    if where == GATES:
        yield from (f"{GATES}[{name}]" for name in schema["items"]["properties"]["name"]["enum"])
    elif "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from leaves(inner, f"{where}.{name}")
    else:
        yield where


def spec(field: str, value: Any) -> dict[str, Any]:
    """The spec that sets one field."""
    if field.startswith(GATES):
        return {"featureGates": [{"name": field[len(GATES) + 1 : -1], "configuration": value}]}
    made: Any = value
    for name in reversed(field.split(".")[1:]):
        made = {name: made}
    return dict(made)


def test_each_field_of_the_schema_has_been_decided_on() -> None:
    (crd,) = templates.documents("crds/core.kubefed.io_kubefedconfigs.yaml")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert set(leaves(schema, "spec")) == set(FIELDS)


@pytest.mark.parametrize("field", FIELDS)
def test_it_is_in_the_settings_or_the_event_names_it(field: str) -> None:
    way = FIELDS[field]
    wanted = spec(field, way.value)
    settings = configuration.settings(wanted)
    ignored = [each.partition(": ")[0] for each in configuration.ignored_fields(wanted, settings)]
    if isinstance(way, Said):
        assert ignored == [field]
        return
    assert ignored == []
    assert value_of(settings, way.attribute) != value_of(Settings(), way.attribute)


def value_of(settings: Settings, attribute: str) -> Any:
    found: Any = settings
    for name in attribute.split("."):
        found = getattr(found, name)
    return found


@cache
def read() -> tuple[frozenset[str], frozenset[str]]:
    """The attributes that are read anywhere in the controller, and those of settings that are read in an __init__."""
    everywhere: set[str] = set()
    once: set[str] = set()
    for folder in ("controllers", "core", "."):
        for path in (FEDERATION / folder).glob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if path.name != "configuration.py":
                everywhere |= {each.attr for each in ast.walk(tree) if isinstance(each, ast.Attribute)}
            for made in ast.walk(tree):
                if isinstance(made, ast.FunctionDef) and made.name in {"__init__", "__post_init__"}:
                    once |= set(of_settings(made))
    return frozenset(everywhere), frozenset(once)


def of_settings(tree: ast.AST) -> Iterator[str]:
    for each in ast.walk(tree):
        inner = each.value if isinstance(each, ast.Attribute) else None
        named = (inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")) if inner else ""
        if isinstance(each, ast.Attribute) and named in {"settings", "_settings"}:
            yield each.attr


@pytest.mark.parametrize("field", LIVE)
def test_what_is_in_force_at_once_is_read_when_it_is_needed(field: str) -> None:
    """World.settings is replaced as a whole, and everything is planned anew: nobody keeps a part."""
    everywhere, once = read()
    names = LIVE[field].attribute.split(".")
    assert names[-1] in everywhere
    assert names[0] not in once
