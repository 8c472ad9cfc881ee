"""Read KubeFedConfig and FederatedTypeConfig: from decoded JSON to checked facts with KubeFed's defaults filled in.

Defaults and refusals are those of KubeFed v0.10's
webhooks (pkg/apis/core/v1beta1/{defaults,validation}), which here nobody has to run.
"""

import re
from collections.abc import Mapping
from typing import Any

from federation.core import checks, policies, statusrules
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import FederatedType
from federation.model.resources import Resource
from federation.model.settings import (
    LARGEST_BUNDLE,
    LONGEST_LEASE,
    MOST_RECONCILES,
    PUSHER,
    RAW_STATUS,
    SCHEDULER,
    SHORTEST_LEASE,
    SHORTEST_PERIOD,
    DeletionBudget,
    HealthCheck,
    LeaderElection,
    Settings,
)

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\+?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_LONGEST_DURATION = 100
_MOST_SECONDS = (2**63 - 1) / 1e9
"""What Go's time.Duration holds."""
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_SWITCH = ("Enabled", "Disabled")
_POLICIES = "policies"
_BUDGET = ("enforcement", "percent", "minimum", "window", "deletionsByName", "namespacesInUse")
_MOST_DELETIONS = 1_000_000
_FEATURES = (
    PUSHER,
    RAW_STATUS,
    SCHEDULER,
    "CrossClusterServiceDiscovery",
    "FederatedIngress",
)
"""Those of KubeFed 0.10, and two that it had before."""


def duration(value: object, field: str, *, default: float) -> float:
    """Seconds from a Go duration such as `10s` or `1m30s` (time.ParseDuration); absent reads as the default; > 0."""
    if value is None:
        return default
    seconds = parse_duration(checks.string(value, field), field)
    if seconds <= 0:
        raise Invalid(field, "must be greater than 0")
    return seconds


def parse_duration(text: str, field: str, *, plain: bool = False) -> float:
    """Seconds from a Go duration that is not negative; with `plain`, a number without a unit is seconds, too."""
    if len(text) <= _LONGEST_DURATION and _DURATION.fullmatch(text):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    elif plain and len(text) <= _LONGEST_DURATION and _NUMBER.fullmatch(text):
        seconds = float(text)
    else:
        what = "duration such as 90 (seconds), 10s or 1m30s" if plain else "duration over 0 such as 10s or 1m30s"
        raise Invalid(field, f"{checks.quote(text)} is not a {what}")
    if seconds > _MOST_SECONDS:
        raise Invalid(field, f"{checks.quote(text)} is longer than any duration (292 years)")
    return seconds


def settings(spec: Mapping[str, Any] | None) -> Settings:
    """Settings from `spec` of the KubeFedConfig; None and absent fields are KubeFed's defaults. Raises Invalid."""
    body = checks.mapping(spec, "spec")
    default = Settings()
    delays = checks.mapping(body.get("controllerDuration"), "spec.controllerDuration")
    sync = checks.mapping(body.get("syncController"), "spec.syncController")
    status = checks.mapping(body.get("statusController"), "spec.statusController")
    reconciles = "maxConcurrentReconciles"
    adopt = checks.choice(sync.get("adoptResources"), "spec.syncController.adoptResources", _SWITCH, default="Enabled")
    return Settings(
        namespaced=checks.choice(body.get("scope"), "spec.scope", ("Cluster", "Namespaced"), default="Cluster")
        == "Namespaced",
        available_delay=_delay(delays, "availableDelay", default.available_delay),
        unavailable_delay=_delay(delays, "unavailableDelay", default.unavailable_delay),
        cache_sync_timeout=_delay(delays, "cacheSyncTimeout", default.cache_sync_timeout),
        leader_election=_leader_election(checks.mapping(body.get("leaderElect"), "spec.leaderElect")),
        warm_standby=checks.choice(
            checks.mapping(body.get("leaderElect"), "spec.leaderElect").get("warmStandby"),
            "spec.leaderElect.warmStandby",
            _SWITCH,
            default="Disabled",
        )
        == "Enabled",
        health=_health(checks.mapping(body.get("clusterHealthCheck"), "spec.clusterHealthCheck")),
        sync_concurrency=min(MOST_RECONCILES, _reconciles(sync)),
        adopt_resources=adopt == "Enabled",
        status_concurrency=checks.positive(
            status.get(reconciles), f"spec.statusController.{reconciles}", default=default.status_concurrency
        ),
        features=_features(body.get("featureGates"), default.features),
        policies=policies.of_spec(body.get(_POLICIES)),
        deletion_budget=_deletion_budget(checks.mapping(body.get("deletionBudget"), "spec.deletionBudget")),
        recovery_hold=_recovery(checks.mapping(body.get("recovery"), "spec.recovery")),
        bundle_bytes=checks.between(
            checks.mapping(body.get("pull"), "spec.pull").get("bundleBytes"),
            "spec.pull.bundleBytes",
            0,
            LARGEST_BUNDLE,
            default=default.bundle_bytes,
        ),
    )


def _reconciles(sync: Mapping[str, Any]) -> int:
    name = "maxConcurrentReconciles"
    return checks.positive(sync.get(name), f"spec.syncController.{name}", default=MOST_RECONCILES)


def cautious(spec: Mapping[str, Any] | None) -> Settings:
    """What holds when the first KubeFedConfig that is seen cannot be understood: see Settings.cautious."""
    scope = spec.get("scope") if isinstance(spec, Mapping) else None
    return Settings(namespaced=scope == "Namespaced", adopt_resources=False, cautious=True)


def ignored_fields(spec: Mapping[str, Any], wanted: Settings) -> tuple[str, ...]:
    """The fields that ask for something else than their default and have no effect, each with what happens instead."""
    default = Settings()
    elect = checks.mapping(spec.get("leaderElect"), "spec.leaderElect")
    delays = "a cluster's coming and going is acted on at once, by its probes (spec.clusterHealthCheck)"
    features = wanted.features ^ default.features
    ignored = {
        "spec.syncController.maxConcurrentReconciles": (
            _reconciles(checks.mapping(spec.get("syncController"), "spec.syncController")) > MOST_RECONCILES,
            f"{MOST_RECONCILES} is the most",
        ),
        "spec.clusterHealthCheck.period": (
            _period(checks.mapping(spec.get("clusterHealthCheck"), "spec.clusterHealthCheck")) < SHORTEST_PERIOD,
            f"{SHORTEST_PERIOD:g}s is the shortest",
        ),
        "spec.controllerDuration.availableDelay": (wanted.available_delay != default.available_delay, delays),
        "spec.controllerDuration.unavailableDelay": (wanted.unavailable_delay != default.unavailable_delay, delays),
        "spec.controllerDuration.cacheSyncTimeout": (
            wanted.cache_sync_timeout != default.cache_sync_timeout,
            "a first list may take as long as it takes",
        ),
        "spec.leaderElect.resourceLock": (
            elect.get("resourceLock") not in (None, "leases"),
            "the lock is a Lease",
        ),
        "spec.leaderElect": (
            _asked_election(elect) != wanted.leader_election,
            f"leaseDuration is {SHORTEST_LEASE:g}s to {LONGEST_LEASE:g}s; in force are {_told(wanted.leader_election)}",
        ),
        "spec.statusController.maxConcurrentReconciles": (
            wanted.status_concurrency != default.status_concurrency,
            "members' statuses are collected beside the objects, by no workers of their own",
        ),
        "spec.featureGates[CrossClusterServiceDiscovery]": (
            "CrossClusterServiceDiscovery" in features,
            "services are not discovered across clusters",
        ),
        "spec.featureGates[FederatedIngress]": (
            "FederatedIngress" in features,
            "no DNS names are kept for ingresses",
        ),
    }
    return tuple(f"{field}: {instead}" for field, (asked, instead) in ignored.items() if asked)


def type_config(obj: Mapping[str, Any]) -> FederatedType:
    """A FederatedTypeConfig, with target and federated plurals and the target's group defaulted as KubeFed does.

    Raises Invalid for what KubeFed refused: an empty version, kind or scope, names that are not DNS names, unknown
    choices, a federated group without a dot, a name that is not `<plural>.<group>` of the target.
    """
    metadata = checks.mapping(obj.get("metadata"), "metadata")
    name = checks.string(metadata.get("name"), "metadata.name")
    spec = checks.mapping(obj.get("spec"), "spec")
    plural, _, group = name.partition(".")
    target = _resource(spec.get("targetType"), "spec.targetType", plural=plural, group=group)
    if target.qualified != name:
        raise Invalid("metadata.name", f"must be {target.qualified}, the plural and group of spec.targetType")
    federated = _resource(spec.get("federatedType"), "spec.federatedType")
    if "." not in federated.group:
        raise Invalid("spec.federatedType.group", "must be a domain with at least one dot, such as types.kubefed.io")
    if spec.get("statusType") is not None:
        _resource(spec.get("statusType"), "spec.statusType")
    return FederatedType(
        name=name,
        target=target,
        federated=federated,
        propagation=checks.choice(spec.get("propagation"), "spec.propagation", _SWITCH, default="Enabled") == "Enabled",
        generation=metadata.get("generation") or 0,
        equivalent=_equivalent(metadata.get("annotations")),
        policies=policies.of_spec(spec.get(_POLICIES)),
        collection=statusrules.collection(spec, target),
    )


def _equivalent(annotations: object) -> tuple[str, ...]:
    """The versions that typegen found to differ in name alone; an annotation that is none names no versions."""
    text = annotations.get(marks.EQUIVALENT_ANNOTATION) if isinstance(annotations, Mapping) else None
    named = (part.strip() for part in text.split(",")) if isinstance(text, str) else ()
    return tuple(part for part in named if checks.is_version(part))


def plural_name(kind: str) -> str:
    """The plural KubeFed gives a kind when none is given, so that both find the same resource."""
    lower = kind.lower()
    if lower.endswith(("s", "x", "ch", "sh", "z", "o")):
        return f"{lower}es"
    return f"{lower[:-1]}ies" if lower.endswith("y") else f"{lower}s"


def _resource(value: object, where: str, *, plural: str = "", group: str = "") -> Resource:
    body = checks.mapping(value, where)
    kind = checks.string(body.get("kind"), f"{where}.kind")
    checks.dns_1035(kind.lower(), f"{where}.kind")
    return Resource(
        group=_group(body.get("group") or group, f"{where}.group"),
        version=checks.dns_1035(checks.string(body.get("version"), f"{where}.version"), f"{where}.version"),
        kind=kind,
        plural=checks.dns_1035(
            checks.string(body.get("pluralName") or plural or plural_name(kind), f"{where}.pluralName"),
            f"{where}.pluralName",
        ),
        namespaced=checks.choice(body.get("scope"), f"{where}.scope", ("Namespaced", "Cluster")) == "Namespaced",
    )


def _group(value: object, where: str) -> str:
    return checks.dns_1123(checks.string(value, where), where) if value else ""


def _delay(body: Mapping[str, Any], name: str, default: float) -> float:
    return duration(body.get(name), f"spec.controllerDuration.{name}", default=default)


def _leader_election(body: Mapping[str, Any]) -> LeaderElection:
    """As asked for, within our limits; each is shorter than the one before it."""
    asked = _asked_election(body)
    lease = min(max(asked.lease_duration, SHORTEST_LEASE), LONGEST_LEASE)
    renew = max(asked.renew_deadline, SHORTEST_LEASE / 2)
    renew = renew if renew < lease else lease * 2 / 3
    retry = max(asked.retry_period, SHORTEST_LEASE / 8)
    return LeaderElection(lease, renew, retry if retry < renew else renew / 2)


def _told(election: LeaderElection) -> str:
    return f"{election.lease_duration:g}s, {election.renew_deadline:g}s and {election.retry_period:g}s"


def _asked_election(body: Mapping[str, Any]) -> LeaderElection:
    default = LeaderElection()
    where = "spec.leaderElect"
    lease = duration(body.get("leaseDuration"), f"{where}.leaseDuration", default=default.lease_duration)
    renew = duration(body.get("renewDeadline"), f"{where}.renewDeadline", default=default.renew_deadline)
    retry = duration(body.get("retryPeriod"), f"{where}.retryPeriod", default=default.retry_period)
    if lease <= renew:
        raise Invalid(f"{where}.leaseDuration", f"must be longer than renewDeadline ({renew:g}s), not {lease:g}s")
    if renew <= retry:
        raise Invalid(f"{where}.renewDeadline", f"must be longer than retryPeriod ({retry:g}s), not {renew:g}s")
    return LeaderElection(lease, renew, retry)


def _health(body: Mapping[str, Any]) -> HealthCheck:
    default = HealthCheck()
    where = "spec.clusterHealthCheck"
    return HealthCheck(
        period=max(SHORTEST_PERIOD, _period(body)),
        failure_threshold=checks.positive(
            body.get("failureThreshold"), f"{where}.failureThreshold", default=default.failure_threshold
        ),
        success_threshold=checks.positive(
            body.get("successThreshold"), f"{where}.successThreshold", default=default.success_threshold
        ),
        timeout=duration(body.get("timeout"), f"{where}.timeout", default=default.timeout),
    )


def _recovery(body: Mapping[str, Any]) -> float | None:
    if body.get("holdDuration") is None:
        return None
    return duration(body.get("holdDuration"), "spec.recovery.holdDuration", default=0.0)


def _deletion_budget(body: Mapping[str, Any]) -> DeletionBudget:
    """What is not understood is refused: a wrong word must not let deletions go that its author wants to be held."""
    where, default = "spec.deletionBudget", DeletionBudget()

    def switch(name: str) -> bool:
        return checks.choice(body.get(name), f"{where}.{name}", _SWITCH, default="Enabled") == "Enabled"

    for name in body:
        if name not in _BUDGET:
            raise Invalid(f"{where}.{name}", f"is not known; use {', '.join(_BUDGET)}")
    return DeletionBudget(
        enabled=switch("enforcement"),
        percent=checks.between(body.get("percent"), f"{where}.percent", 0, 100, default=default.percent),
        minimum=checks.between(body.get("minimum"), f"{where}.minimum", 0, _MOST_DELETIONS, default=default.minimum),
        window=duration(body.get("window"), f"{where}.window", default=default.window),
        by_name=switch("deletionsByName"),
        in_use=switch("namespacesInUse"),
    )


def _period(health: Mapping[str, Any]) -> float:
    return duration(health.get("period"), "spec.clusterHealthCheck.period", default=HealthCheck().period)


def _features(value: object, default: frozenset[str]) -> frozenset[str]:
    features = set(default)
    for index, item in enumerate(checks.sequence(value, "spec.featureGates")):
        where = f"spec.featureGates[{index}]"
        gate = checks.mapping(item, where)
        name = checks.choice(gate.get("name"), f"{where}.name", _FEATURES)
        if checks.choice(gate.get("configuration"), f"{where}.configuration", _SWITCH, default="Enabled") == "Enabled":
            features.add(name)
        else:
            features.discard(name)
    return frozenset(features)
