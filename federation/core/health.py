"""Assess a member's health from its probes, and write it as KubeFedCluster conditions.

controllers.clusters probes, this decides: consecutive failures take a cluster down, consecutive successes bring it
back, so that a flapping member moves nothing. Reasons are KubeFed's (pkg/controller/kubefedcluster/clusterclient.go);
Ready is always there too, where KubeFed wrote only Offline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from federation.core import times
from federation.model.conditions import ClusterConditionType, ClusterReason, HostRefusesReason
from federation.model.failures import Failure, FailureKind
from federation.model.settings import HealthCheck

PROBE_TIME_LASTS = 300.0
"""Seconds after which lastProbeTime is renewed though nothing else has changed: the controller's sign of life."""
PROBE_TIMES = 1.0
"""Of a large fleet so many are renewed in a second at most: with a thousand clusters each lasts three times as long."""

UNSTORED: Mapping[HostRefusesReason, str] = {
    HostRefusesReason.IDENTITY: (
        "the host refuses to record the cluster's identity, so that it is not protected from another one under its name"
    ),
    HostRefusesReason.PLACE: (
        "the host refuses to record which place the credentials are for, so that they go where spec.apiEndpoint leads"
    ),
    HostRefusesReason.TOKEN: (
        "the host refuses to store the renewed token, so that the cluster is lost when the present one ends"
    ),
}
"""What follows when the host refuses to store something of a cluster."""

_OURS = (ClusterConditionType.READY, ClusterConditionType.OFFLINE, ClusterConditionType.CONFIG_MALFORMED)


@dataclass(frozen=True, slots=True)
class Probe:
    """What one probe found."""

    reason: ClusterReason
    message: str

    @property
    def ok(self) -> bool:
        """Whether the member answered an authorised request."""
        return self.reason is ClusterReason.READY


READY = Probe(ClusterReason.READY, "answers authorised requests")
_UNREACHABLE = (FailureKind.UNREACHABLE, FailureKind.TIMED_OUT, FailureKind.UNTRUSTED)


@dataclass(frozen=True, slots=True)
class Health:
    """What is thought of one cluster. `ready` None: not probed yet, or its credentials cannot be used: unknown.

    `failures` and `successes` count the last run of equal probes; `since` is when `ready` last changed (epoch seconds).
    `reason` and `message` explain `ready`. `pending` describes probes that contradict it and have not reached their
    threshold: for logs, never for conditions, or a flapping member would cost a status write per probe. `other` is
    another reason for being down, and how often in a row it was found: it is reported once it has reached the
    threshold, or a member whose failure changes with every probe would cost a status write per object and probe.
    `was_ready`: the controller before us has found it ready.
    """

    ready: bool | None = None
    failures: int = 0
    successes: int = 0
    since: float = 0.0
    reason: ClusterReason = ClusterReason.NOT_READY
    message: str = "not probed yet"
    pending: str = ""
    other: tuple[str, int] = ("", 0)
    was_ready: bool = False

    @property
    def known(self) -> bool:
        """Whether there is anything to report: a probe has decided, or its credentials cannot be used."""
        return self.ready is not None or self.reason is ClusterReason.MALFORMED


def failed(failure: Failure) -> Probe:
    """A probe that an API server refused or that got no answer."""
    reason = ClusterReason.NOT_REACHABLE if failure.kind in _UNREACHABLE else ClusterReason.NOT_READY
    if failure.kind is FailureKind.UNAUTHORIZED:
        return Probe(reason, f"its API server refuses the stored credentials (401): {failure.message}")
    return Probe(reason, failure.message)


def malformed(message: str) -> Probe:
    """Credentials or endpoint that cannot be used at all (a missing Secret, a broken certificate)."""
    return Probe(ClusterReason.MALFORMED, message)


def assess(health: Health, probe: Probe, check: HealthCheck, now: float) -> Health:
    """The health after one more probe, at `now` (epoch seconds); `health` itself where that has shown nothing new.

    The first probe decides at once, and so does the one after unusable credentials: nobody should wait for a
    threshold to see a cluster that was just joined or mended. Unusable credentials themselves are known at once. But a
    cluster that was ready before our start is not taken down by less than another: at a start probes may be late.
    """
    if probe.reason is ClusterReason.MALFORMED:
        since = health.since if health.ready is None and health.reason == probe.reason else now
        return Health(None, health.failures + 1, 0, since, probe.reason, probe.message)
    if health.ready and probe.ok and health.successes > check.success_threshold and health.message == probe.message:
        return health  # as nearly always: more of the same successes are no news
    failures = 0 if probe.ok else health.failures + 1
    successes = health.successes + 1 if probe.ok else 0
    decided = (
        (health.ready is None and (probe.ok or not health.was_ready))
        or health.ready == probe.ok
        or (successes >= check.success_threshold if probe.ok else failures >= check.failure_threshold)
    )
    if decided:
        since = health.since if health.ready == probe.ok else now
        same = health.reason == probe.reason and _gist(health.message) == _gist(probe.message)
        if health.ready is False and not probe.ok and not same:
            other = f"{probe.reason} {_gist(probe.message)}"
            times = health.other[1] + 1 if health.other[0] == other else 1
            if times < check.failure_threshold:
                return replace(health, failures=failures, successes=0, other=(other, times), pending="")
        message = health.message if same else probe.message
        return Health(probe.ok, failures, successes, since, probe.reason, message)
    if probe.ok:
        pending = f"answers again, {successes} of {check.success_threshold} times"
    else:
        pending = f"failed {failures} of {check.failure_threshold} times: {probe.message}"
    return replace(health, failures=failures, successes=successes, pending=pending)


def conditions(
    health: Health, previous: Sequence[Mapping[str, Any]], now: float, *, lasts: float = PROBE_TIME_LASTS
) -> list[dict[str, Any]]:
    """status.conditions of the KubeFedCluster; equal to `previous` when nothing is worth a write.

    lastTransitionTime moves when a condition's status does, lastProbeTime when anything else in the list does or it is
    so many seconds old as it `lasts`. Conditions of types that are not KubeFed's are kept.
    """
    return merged(_wanted(health), previous, now, lasts=lasts)


Wanted = Sequence[tuple[ClusterConditionType, str, ClusterReason, str]]
"""Conditions as they should be: type, status, reason, message."""


def merged(
    wanted: Wanted, previous: Sequence[Mapping[str, Any]], now: float, *, lasts: float = PROBE_TIME_LASTS
) -> list[dict[str, Any]]:
    """The same, of conditions that were found in another way than by probes (controllers.heartbeats)."""
    stamp = times.rfc3339(now)
    before = {str(condition.get("type")): condition for condition in previous}
    result = [dict(condition) for condition in previous if condition.get("type") not in _OURS]
    for kind, status, reason, message in wanted:
        old = before.get(kind, {})
        result.append(
            {
                "type": kind,
                "status": status,
                "lastProbeTime": old.get("lastProbeTime", stamp),
                "lastTransitionTime": old.get("lastTransitionTime", stamp) if old.get("status") == status else stamp,
                "reason": reason,
                "message": message,
            }
        )
    ours = [condition for condition in result if condition.get("type") in _OURS]
    unchanged = len(result) == len(previous) and all(condition == before.get(condition["type"]) for condition in ours)
    if unchanged and all(_fresh(condition.get("lastProbeTime"), now, lasts) for condition in ours):
        return [dict(condition) for condition in previous]
    for condition in ours:
        condition["lastProbeTime"] = stamp
    return result


def probe_time_lasts(clusters: int) -> float:
    """Seconds after which lastProbeTime is renewed in a fleet of so many clusters."""
    return max(PROBE_TIME_LASTS, clusters / PROBE_TIMES)


def with_host(
    conditions: Sequence[Mapping[str, Any]], refused: Mapping[HostRefusesReason, str], now: float
) -> list[dict[str, Any]]:
    """The conditions with HostRefuses as it is now: there only while the host refuses something."""
    kind = ClusterConditionType.HOST_REFUSES
    if not refused:
        return [dict(condition) for condition in conditions if condition.get("type") != kind]
    wanted = ("True", min(refused), "; ".join(refused[each] for each in sorted(refused)))
    return with_condition(conditions, kind, wanted, now)


def with_condition(
    conditions: Sequence[Mapping[str, Any]], kind: ClusterConditionType, wanted: tuple[str, str, str], now: float
) -> list[dict[str, Any]]:
    """The conditions with this one as `wanted` (status, reason, message), last; unchanged where it is so already.

    lastTransitionTime moves when the status does (Kubernetes API convention).
    """
    old = next((condition for condition in conditions if condition.get("type") == kind), {})
    status, reason, message = wanted
    if (old.get("status"), old.get("reason"), old.get("message")) == wanted:
        return [dict(condition) for condition in conditions]
    stamp = times.rfc3339(now)
    new = {
        "type": kind,
        "status": status,
        "lastProbeTime": stamp,
        "lastTransitionTime": old.get("lastTransitionTime", stamp) if old.get("status") == status else stamp,
        "reason": reason,
        "message": message,
    }
    return [*(dict(condition) for condition in conditions if condition.get("type") != kind), new]


def _wanted(health: Health) -> Wanted:
    if health.ready is None:
        wanted = [(ClusterConditionType.READY, "Unknown", health.reason, health.message)]
        if health.reason is ClusterReason.MALFORMED:
            wanted.append((ClusterConditionType.CONFIG_MALFORMED, "True", health.reason, health.message))
        return wanted
    offline = health.reason is ClusterReason.NOT_REACHABLE
    status = "True" if health.ready else "False"
    return [
        (ClusterConditionType.READY, status, health.reason, health.message),
        (
            ClusterConditionType.OFFLINE,
            "True" if offline else "False",
            ClusterReason.NOT_REACHABLE if offline else ClusterReason.REACHABLE,
            "cluster is not reachable" if offline else "cluster is reachable",
        ),
    ]


def _gist(message: str) -> str:
    """A message without its numbers: ports and durations differ from probe to probe and are no news."""
    return "".join(character for character in message if not character.isdecimal())


def _fresh(stamp: object, now: float, lasts: float) -> bool:
    when = times.moment(stamp)
    return when is not None and 0 <= now - when.timestamp() < lasts
