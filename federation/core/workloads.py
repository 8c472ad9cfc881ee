"""Whether an object in a member is well, by its own status, as far as its type is known, and how much of it is ready.

For the gates of rollouts and for what is collected into a federated object's status. The rules are kstatus's
(sigs.k8s.io/cli-utils, pkg/kstatus/status/core.go). One goes further: a Service of type LoadBalancer has an address, as
Helm's --wait and Argo CD have it; kstatus asks for a cluster IP only, which the API server gives at once. A rule of the
type's own (model.statusrules) goes before these. Of types without a rule, conditions decide where there are some:
Stalled must not be True, and Ready, or else Available, must be. What has no status says nothing, and is well. The
answers are numbers and reasons, never a text of the member's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from federation.core import builtin, jsonpath, scrubbing
from federation.model.resources import Resource
from federation.model.statusrules import Expectation, Path, StatusRule

Object = Mapping[str, Any]


class Counts(NamedTuple):
    """How many replicas an object is to have, and how many are ready, and of its newest revision.

    Of an object without replicas, the object itself is the one.
    """

    desired: int
    ready: int
    updated: int


def is_known(resource: Resource) -> bool:
    """Whether the status of objects of the type can say anything, so that it is worth reading them."""
    return resource.qualified in _RULES or not builtin.has(resource.group)


def unhealthy(resource: Resource, item: Object, own: StatusRule | None = None) -> str:
    """Why the object is not well; "" where it is, or nothing shows that it is not. `own` is the rule of its type."""
    metadata, status = _map(item.get("metadata")), _map(item.get("status"))
    if metadata.get("deletionTimestamp"):
        return "it is being deleted"
    if not _observed(item):
        return "its controller has not seen the change yet"
    conditions = _conditions(status)
    if conditions.get("Stalled", ("",))[0] == "True":
        return _because("it is stalled", conditions["Stalled"])
    if own is not None:
        return _by_rule(item, own)
    rule = _RULES.get(resource.qualified)
    if rule is not None:
        return rule(item, conditions)
    for kind in ("Ready", "Available"):
        if kind in conditions:
            return "" if conditions[kind][0] == "True" else _because(f"{kind} is not True", conditions[kind])
    return ""


def reads(resource: Resource, own: StatusRule | None = None) -> tuple[str, ...]:
    """The JSON paths that `unhealthy` and `counts` read of an object of the type, for whoever has to ask for each."""
    if own is not None:
        found = [each.path for each in own.healthy]
        found += [each for each in (own.desired, own.ready, own.updated) if each is not None]
        return (*_ALWAYS, *(jsonpath.written(each) for each in found))
    return (*_ALWAYS, *_READS.get(resource.qualified, _OTHERS))


def counts(resource: Resource, item: Object, own: StatusRule | None = None, *, well: bool) -> Counts:
    """How much of the object is ready; `well`: `unhealthy` gave no reason.

    While its controller has not seen the newest spec, nothing of it is of that.
    """
    if own is not None and own.desired is not None:
        found = Counts(_counted(own.desired, item), _counted(own.ready, item), _counted(own.updated or own.ready, item))
    elif own is None and (count := _COUNTS.get(resource.qualified)) is not None:
        found = count(item)
    else:
        found = Counts(1, int(well), 1)
    return found if _observed(item) else found._replace(updated=0)


def _observed(item: Object) -> bool:
    """Whether nothing shows that the object's controller has not seen its newest spec."""
    observed = _map(item.get("status")).get("observedGeneration")
    return not isinstance(observed, int) or observed >= _number(_map(item.get("metadata")).get("generation"))


def _by_rule(item: Object, rule: StatusRule) -> str:
    for each in rule.healthy:
        if why := _unmet(item, each):
            return why
    if rule.desired is not None:
        wanted, ready = _counted(rule.desired, item), _counted(rule.ready, item)
        if rule.updated is not None and (updated := _counted(rule.updated, item)) < wanted:
            return f"{updated} of {wanted} are updated"
        if ready < wanted:
            return f"{ready} of {wanted} are ready"
    return ""


def _unmet(item: Object, expected: Expectation) -> str:
    """Why it is not as expected: what was expected, by the type's own rule, and nothing of what there is."""
    found = jsonpath.value(expected.path, item)
    if not expected.values:
        return f"there is no {expected.path.text}" if found in (None, False, "", 0) or found == [] else ""
    if found is not None and jsonpath.text(found) in expected.values:
        return ""
    return f"{expected.path.text} is not {' or '.join(expected.values)}"


def _counted(path: Path | None, item: Object) -> int:
    return max(0, _number(jsonpath.value(path, item))) if path is not None else 0


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


def _service(item: Object, conditions: _Conditions) -> str:
    if _map(item.get("spec")).get("type") != "LoadBalancer":
        return ""
    addresses = _map(_map(item.get("status")).get("loadBalancer")).get("ingress")
    return "" if isinstance(addresses, list) and addresses else "it has no address yet"


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
    "services": _service,
    "customresourcedefinitions.apiextensions.k8s.io": _definition,
}


def _count_replicas(item: Object) -> Counts:
    status = _map(item.get("status"))
    return Counts(_replicas(item), _number(status.get("readyReplicas")), _number(status.get("updatedReplicas")))


def _count_stateful_set(item: Object) -> Counts:
    status, counts = _map(item.get("status")), _count_replicas(item)
    if status.get("updateRevision") and status.get("currentRevision") == status.get("updateRevision"):
        return counts._replace(updated=_number(status.get("replicas")))  # the update has ended
    return counts


def _count_replica_set(item: Object) -> Counts:
    status = _map(item.get("status"))
    return Counts(_replicas(item), _number(status.get("readyReplicas")), _number(status.get("replicas")))


def _count_daemons(item: Object) -> Counts:
    status = _map(item.get("status"))
    names = ("desiredNumberScheduled", "numberReady", "updatedNumberScheduled")
    return Counts(*(_number(status.get(name)) for name in names))


def _count_completions(item: Object) -> Counts:
    """Of a Job, what is ready has succeeded; its Pods are all of one template, which cannot be changed."""
    spec = _map(item.get("spec"))
    wanted = spec.get("completions")
    desired = _number(spec.get("parallelism", 1) if wanted is None else wanted)
    return Counts(desired, _number(_map(item.get("status")).get("succeeded")), desired)


_COUNTS: Mapping[str, Callable[[Object], Counts]] = {
    "deployments.apps": _count_replicas,
    "statefulsets.apps": _count_stateful_set,
    "replicasets.apps": _count_replica_set,
    "daemonsets.apps": _count_daemons,
    "jobs.batch": _count_completions,
}


def _of_condition(kind: str) -> tuple[str, str]:
    entry = f'.status.conditions[?(@.type=="{kind}")]'
    return f"{entry}.status", f"{entry}.reason"


_ALWAYS = (
    ".metadata.generation",
    ".metadata.deletionTimestamp",
    ".status.observedGeneration",
    *_of_condition("Stalled"),
)
_OTHERS = (*_of_condition("Ready"), *_of_condition("Available"))
_READS: Mapping[str, tuple[str, ...]] = {
    "deployments.apps": (
        ".spec.replicas",
        ".status.replicas",
        ".status.readyReplicas",
        ".status.updatedReplicas",
        ".status.availableReplicas",
        *_of_condition("Progressing"),
        *_of_condition("ReplicaFailure"),
    ),
    "statefulsets.apps": (
        ".spec.replicas",
        ".spec.updateStrategy.type",
        ".spec.updateStrategy.rollingUpdate.partition",
        ".status.replicas",
        ".status.readyReplicas",
        ".status.updatedReplicas",
        ".status.currentRevision",
        ".status.updateRevision",
    ),
    "daemonsets.apps": (
        ".spec.updateStrategy.type",
        ".status.desiredNumberScheduled",
        ".status.numberReady",
        ".status.updatedNumberScheduled",
        ".status.numberAvailable",
    ),
    "replicasets.apps": (".spec.replicas", ".status.replicas", ".status.readyReplicas", ".status.availableReplicas"),
    "jobs.batch": (
        ".spec.completions",
        ".spec.parallelism",
        ".spec.suspend",
        ".status.succeeded",
        *_of_condition("Failed"),
        *_of_condition("Complete"),
    ),
    "pods": (".status.phase", *_of_condition("Ready")),
    "persistentvolumeclaims": (".status.phase",),
    "services": (
        ".spec.type",
        ".status.loadBalancer.ingress[0].ip",
        ".status.loadBalancer.ingress[0].hostname",
    ),
    "customresourcedefinitions.apiextensions.k8s.io": (
        *_of_condition("NamesAccepted"),
        *_of_condition("Established"),
    ),
}
"""For each rule, what it reads."""


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
