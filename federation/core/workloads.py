"""Whether an object in a member is well, by its own status, as far as its type is known; for the gates of rollouts.

The rules are kstatus's (sigs.k8s.io/cli-utils). Of types without a rule, conditions decide where there are some:
Stalled must not be True, and Ready, or else Available, must be. What has no status says nothing, and is well. The
answers are numbers and reasons, never a text of the member's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from federation.core import builtin, scrubbing
from federation.model.resources import Resource

Object = Mapping[str, Any]


def is_known(resource: Resource) -> bool:
    """Whether the status of objects of the type can say anything, so that it is worth reading them."""
    return resource.qualified in _RULES or not builtin.has(resource.group)


def unhealthy(resource: Resource, item: Object) -> str:
    """Why the object is not well; "" where it is, or nothing shows that it is not."""
    metadata, status = _map(item.get("metadata")), _map(item.get("status"))
    if metadata.get("deletionTimestamp"):
        return "it is being deleted"
    generation, observed = _number(metadata.get("generation")), status.get("observedGeneration")
    if isinstance(observed, int) and observed < generation:
        return "its controller has not seen the change yet"
    conditions = _conditions(status)
    if conditions.get("Stalled", ("",))[0] == "True":
        return _because("it is stalled", conditions["Stalled"])
    rule = _RULES.get(resource.qualified)
    if rule is not None:
        return rule(item, conditions)
    for kind in ("Ready", "Available"):
        if kind in conditions:
            return "" if conditions[kind][0] == "True" else _because(f"{kind} is not True", conditions[kind])
    return ""


_Conditions = Mapping[str, tuple[str, str]]
"""Type of a condition -> its status and reason."""


def _deployment(item: Object, conditions: _Conditions) -> str:
    if conditions.get("Progressing", ("", ""))[1] == "ProgressDeadlineExceeded":
        return "ProgressDeadlineExceeded"
    if conditions.get("ReplicaFailure", ("",))[0] == "True":
        return _because("replicas cannot be made", conditions["ReplicaFailure"])
    status, wanted = _map(item.get("status")), _replicas(item)
    if "observedGeneration" not in status:
        return "its controller has not seen it yet"
    updated, available = _number(status.get("updatedReplicas")), _number(status.get("availableReplicas"))
    if updated < wanted:
        return f"{updated} of {wanted} replicas are updated"
    if _number(status.get("replicas")) > updated:
        return f"{_number(status.get('replicas')) - updated} old replicas are still there"
    return "" if available >= wanted else f"{available} of {wanted} replicas are available"


def _stateful_set(item: Object, conditions: _Conditions) -> str:
    spec, status, wanted = _map(item.get("spec")), _map(item.get("status")), _replicas(item)
    if "observedGeneration" not in status:
        return "its controller has not seen it yet"
    strategy = _map(spec.get("updateStrategy"))
    ready, updated = _number(status.get("readyReplicas")), _number(status.get("updatedReplicas"))
    if ready < wanted:
        return f"{ready} of {wanted} replicas are ready"
    if strategy.get("type") == "OnDelete":
        return ""
    due = max(0, wanted - _number(_map(strategy.get("rollingUpdate")).get("partition")))
    same = status.get("currentRevision") == status.get("updateRevision")
    return "" if updated >= due or same else f"{updated} of {due} replicas are updated"


def _daemon_set(item: Object, conditions: _Conditions) -> str:
    status = _map(item.get("status"))
    if "observedGeneration" not in status:
        return "its controller has not seen it yet"
    wanted = _number(status.get("desiredNumberScheduled"))
    updated, available = _number(status.get("updatedNumberScheduled")), _number(status.get("numberAvailable"))
    if updated < wanted and _map(_map(item.get("spec")).get("updateStrategy")).get("type") != "OnDelete":
        return f"{updated} of {wanted} are updated"
    return "" if available >= wanted else f"{available} of {wanted} are available"


def _replica_set(item: Object, conditions: _Conditions) -> str:
    available, wanted = _number(_map(item.get("status")).get("availableReplicas")), _replicas(item)
    return "" if available >= wanted else f"{available} of {wanted} replicas are available"


def _job(item: Object, conditions: _Conditions) -> str:
    if conditions.get("Failed", ("",))[0] == "True":
        return _because("it failed", conditions["Failed"])
    if conditions.get("Complete", ("",))[0] == "True" or _map(item.get("spec")).get("suspend") is True:
        return ""
    return "it has not completed yet"


def _pod(item: Object, conditions: _Conditions) -> str:
    phase = _map(item.get("status")).get("phase")
    if phase == "Succeeded" or (phase == "Running" and conditions.get("Ready", ("",))[0] == "True"):
        return ""
    return "it failed" if phase == "Failed" else _because("it is not ready", conditions.get("Ready", ("", "")))


def _claim(item: Object, conditions: _Conditions) -> str:
    return "" if _map(item.get("status")).get("phase") == "Bound" else "it is not bound"


def _definition(item: Object, conditions: _Conditions) -> str:
    if conditions.get("NamesAccepted", ("True",))[0] == "False":
        return _because("its names are not accepted", conditions["NamesAccepted"])
    return "" if conditions.get("Established", ("",))[0] == "True" else "it is not established"


_RULES: Mapping[str, Callable[[Object, _Conditions], str]] = {
    "deployments.apps": _deployment,
    "statefulsets.apps": _stateful_set,
    "daemonsets.apps": _daemon_set,
    "replicasets.apps": _replica_set,
    "jobs.batch": _job,
    "pods": _pod,
    "persistentvolumeclaims": _claim,
    "customresourcedefinitions.apiextensions.k8s.io": _definition,
}


def _replicas(item: Object) -> int:
    wanted = _map(item.get("spec")).get("replicas")
    return 1 if wanted is None else _number(wanted)


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _conditions(status: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    found = status.get("conditions")
    items: Sequence[Any] = found if isinstance(found, list) else ()
    return {
        str(each.get("type")): (str(each.get("status")), str(each.get("reason") or ""))
        for each in items
        if isinstance(each, dict)
    }


def _because(what: str, condition: tuple[str, ...]) -> str:
    reason = scrubbing.reason(condition[1]) if len(condition) > 1 else ""
    return f"{what}: {reason}" if reason else what
