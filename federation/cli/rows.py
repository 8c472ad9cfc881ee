"""Table rows for objects of the host: pure, one function for each kind of list. Times are arguments."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from federation.core import cordons, summary, times
from federation.joining.fleet import RIGHTS_ANNOTATION
from federation.model.conditions import ClusterConditionType, ConditionType, PropagationStatus, Reason
from federation.model.marks import DRAIN_ANNOTATION

Row = tuple[str, ...]

CLUSTERS = ("NAME", "READY", "VERSION", "REGION", "AGE")
CLUSTERS_WIDE = (*CLUSTERS, "REASON", "ENDPOINT", "RIGHTS", "MESSAGE")
TYPES = ("NAME", "FEDERATED", "PROPAGATION", "CONTROLLER", "AGE")
TYPES_WIDE = (*TYPES, "TARGET", "SCOPE", "STATUS-COLLECTION", "MESSAGE")
FEDERATED = ("TYPE", "NAME", "CLUSTERS", "APPLIED", "REASON", "AGE")
"""APPLIED and not READY: whether the applied object works in the member is not checked."""
FEDERATED_WIDE = (*FEDERATED, "READY", "GENERATION", "MESSAGE")
"""READY counts replicas, or objects, of types whose members' statuses are collected."""
PREFERENCES = ("NAME", "KIND", "TOTAL", "SCHEDULED", "READY", "REASON", "AGE")
PREFERENCES_WIDE = (*PREFERENCES, "REPLICAS", "MESSAGE")
STATUS = ("CLUSTER", "STATE", "GENERATION", "AGE", "MESSAGE")
STATUS_COLLECTED = ("CLUSTER", "STATE", "READY", "GENERATION", "AGE", "MESSAGE")

_REFERENCE = "same as "
"""How a stored status refers to the message of a line above (core.budget)."""
_FEW, _SHORT = 3, 40
"""A message of more than `_SHORT` characters that more than `_FEW` clusters have is printed once, below the rows."""

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400
_STEPS: tuple[tuple[float, int, str, int, str], ...] = (
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
    (float("inf"), _YEAR, "y", 0, ""),
)
"""apimachinery's duration.HumanDuration: up to so many seconds, the unit (seconds, letter), then a smaller unit."""


def age(stamp: object, now: dt.datetime) -> str:
    """How long ago an RFC 3339 time was, as kubectl writes it: 45s, 3m20s, 5h, 12d, 2y; "" for no time."""
    then = times.moment(stamp)
    return span((now - then).total_seconds()) if then is not None else ""


def span(seconds: float) -> str:
    """A time span as kubectl writes it."""
    whole = max(0, int(seconds))
    return next(_pair(whole, *step[1:]) for step in _STEPS if whole < step[0])


def _pair(seconds: int, size: int, unit: str, smaller: int, small: str) -> str:
    extra = seconds % size // smaller if smaller else 0
    return f"{seconds // size}{unit}" + (f"{extra}{small}" if extra else "")


def condition(found: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of that type; empty when there is none."""
    conditions = _map(found, "status").get("conditions")
    for each in conditions if isinstance(conditions, list) else ():
        if isinstance(each, dict) and each.get("type") == kind:
            return each
    return {}


def cluster(found: Mapping[str, Any], now: dt.datetime, *, wide: bool = False, stale: bool = False) -> Row:
    """A KubeFedCluster. `stale`: its last probe is so old that its state now is unknown."""
    metadata, status, ready = (
        _map(found, "metadata"),
        _map(found, "status"),
        condition(found, ClusterConditionType.READY),
    )
    row = (
        _text(metadata.get("name")),
        _ready_cell(found, stale=stale),
        _text(status.get("kubernetesVersion")),
        _text(status.get("region")),
        age(metadata.get("creationTimestamp"), now),
    )
    if not wide:
        return row
    rights = _text(_map(metadata, "annotations").get(RIGHTS_ANNOTATION))
    endpoint = _text(_map(found, "spec").get("apiEndpoint"))
    cordon = cordons.reason(_map(metadata, "annotations"))
    message = "; ".join(filter(None, (*_messages(found), f"cordoned: {cordon}" if cordon else "")))
    if stale:
        then = f"Ready was {_text(ready.get('status'))} when it was last probed, {probed(found, now)} ago"
        return (*row, "NotProbed", endpoint, rights, "; ".join(filter(None, (then, message))))
    return (*row, _text(ready.get("reason")), endpoint, rights, message)


def preference(found: Mapping[str, Any], now: dt.datetime, *, wide: bool = False) -> Row:
    """A ReplicaSchedulingPreference."""
    metadata, spec, status = _map(found, "metadata"), _map(found, "spec"), _map(found, "status")
    ready, valid = condition(found, ConditionType.READY), condition(found, "Valid")
    wrong = valid if valid.get("status") == "False" else {}
    row = (
        _text(metadata.get("name")),
        _text(spec.get("targetKind")),
        _text(spec.get("totalReplicas")),
        _text(status.get("replicas")),
        _text(ready.get("status")) or "Unknown",
        _text(wrong.get("reason")) or _text(ready.get("reason")),
        age(metadata.get("creationTimestamp"), now),
    )
    if not wide:
        return row
    messages = dict.fromkeys(_text(each.get("message")) for each in (wrong, ready))
    return (*row, spread(found), "; ".join(filter(None, messages)))


def spread(preference: Mapping[str, Any]) -> str:
    """The replicas that a ReplicaSchedulingPreference has written, as `m1 3, m2 2`; clusters without any left out."""
    return ", ".join(
        f"{_text(line.get('name'))} {line['replicas']}" for line in _clusters(preference) if line.get("replicas")
    )


def scheduled(preference: Mapping[str, Any]) -> list[str]:
    """The lines of `fedctl status` about the ReplicaSchedulingPreference of an object."""
    spec = _map(preference, "spec")
    ready, valid = condition(preference, ConditionType.READY), condition(preference, "Valid")
    which = spread(preference) or "none yet"
    total, name = _text(spec.get("totalReplicas")), _text(_map(preference, "metadata").get("name"))
    lines = [f"Replicas {total} by ReplicaSchedulingPreference {name}: {which}"]
    if ready.get("status") != "True":
        said = f"{_text(ready.get('reason'))}: {_text(ready.get('message'))}" if ready else "not looked at yet"
        lines.append(f"Scheduling {said}")
    if valid.get("status") == "False" and valid.get("message") != ready.get("message"):
        lines.append(f"Preference {_text(valid.get('reason'))}: {_text(valid.get('message'))}")
    return lines


def _ready_cell(found: Mapping[str, Any], *, stale: bool) -> str:
    """READY, as kubectl writes a node's: `True,Cordoned`. What is asked for counts, also before it is in force."""
    ready = "Unknown" if stale else _text(condition(found, ClusterConditionType.READY).get("status")) or "Unknown"
    annotations = _map(_map(found, "metadata"), "annotations")
    drained = annotations.get(DRAIN_ANNOTATION, "false") != "false"
    marks = ("Cordoned" if cordons.reason(annotations) is not None else "", "Draining" if drained else "")
    return ",".join(filter(None, (ready, *marks)))


def probed(found: Mapping[str, Any], now: dt.datetime) -> str:
    """How long ago a KubeFedCluster was last probed; "never" when it was not."""
    return age(condition(found, ClusterConditionType.READY).get("lastProbeTime"), now) or "never"


def _messages(found: Mapping[str, Any]) -> tuple[str, str]:
    """Why a cluster is ready or not, and what cannot be observed there nevertheless (a right is missing)."""
    synced = condition(found, ClusterConditionType.SYNCED)
    message = _text(synced.get("message")) if synced.get("status") == "False" else ""
    return _text(condition(found, ClusterConditionType.READY).get("message")), message


def type_config(found: Mapping[str, Any], now: dt.datetime, *, wide: bool = False, stale: bool = False) -> Row:
    """A FederatedTypeConfig. `stale`: no controller seems to run, so that what it wrote last is out of date."""
    metadata, spec, status = _map(found, "metadata"), _map(found, "spec"), _map(found, "status")
    target, federated = _map(spec, "targetType"), _map(spec, "federatedType")
    row = (
        _text(metadata.get("name")),
        _text(federated.get("kind")),
        _text(spec.get("propagation")) or "Enabled",
        "Unknown" if stale else _text(status.get("propagationController")) or "Unknown",
        age(metadata.get("creationTimestamp"), now),
    )
    if not wide:
        return row
    version = "/".join(filter(None, (_text(target.get("group")), _text(target.get("version")))))
    scope = _text(target.get("scope"))
    collection = _text(spec.get("statusCollection")) or "Disabled"
    message = _text(condition(found, ConditionType.READY).get("message"))
    return (*row, f"{version} {_text(target.get('kind'))}", scope, collection, message)


def is_type_ready(found: Mapping[str, Any], *, stale: bool = False) -> bool:
    """Whether a FederatedTypeConfig is as it should be: followed by a controller, or not to be."""
    if _text(_map(found, "spec").get("propagation")) == "Disabled":
        return True
    running = _text(_map(found, "status").get("propagationController")) == "Running" and not stale
    return running and condition(found, ConditionType.READY).get("status") != "False"


def is_federated_ready(found: Mapping[str, Any]) -> bool:
    """Whether a federated object is as it should be: applied in its present generation wherever it is placed, and well
    as far as that is known."""
    if not _is_current(found) or condition(found, ConditionType.HEALTHY).get("status") == "False":
        return False
    return condition(found, ConditionType.READY).get("status") == "True"


def federated(found: Mapping[str, Any], type_name: str, now: dt.datetime, *, wide: bool = False) -> Row:
    """A federated object: in how many of its clusters it is applied, and whether that is complete.

    Of thousands of clusters some may have no line: how many stands behind a +.
    """
    metadata, ready = _map(found, "metadata"), condition(found, ConditionType.READY)
    lines, more = _clusters(found), summary.left_out(_text(ready.get("message")))
    applied, reason = _applied(found, lines) if _is_current(found) else ("Unknown", PropagationStatus.PENDING)
    row = (
        type_name,
        _text(metadata.get("name")),
        f"{sum(1 for line in lines if not line.get('status'))}/{len(lines)}" + (f"+{more}" if more else ""),
        applied,
        reason,
        age(metadata.get("creationTimestamp"), now),
    )
    if not wide:
        return row
    healthy = condition(found, ConditionType.HEALTHY)
    why = _text(healthy.get("message")) if healthy.get("status") == "False" else ""
    message = "; ".join(filter(None, (_text(ready.get("message")), why)))
    return (*row, ready_count(found), str(metadata.get("generation", "")), message)


def ready_count(found: Mapping[str, Any]) -> str:
    """How much of a federated object is ready in all clusters together, `298/300`; "" where that is not collected.

    A ? follows where the status of a cluster is not known.
    """
    summary_ = _map(_map(found, "status"), "summary")
    if not summary_:
        return ""
    return f"{summary_.get('ready', 0)}/{summary_.get('desired', 0)}" + ("?" if summary_.get("unknownClusters") else "")


def _applied(found: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The cells APPLIED and REASON: Nowhere, not True, when no cluster is selected."""
    ready, propagation = condition(found, ConditionType.READY), condition(found, ConditionType.PROPAGATION)
    status, reason = _text(ready.get("status")) or "Unknown", _text(propagation.get("reason"))
    if status == "True" and not lines:
        return "Nowhere", reason or Reason.NO_CLUSTER_SELECTED
    return status, reason


def lines(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """status.clusters[] for people: cluster, state, generation applied there (None: none), since when, message.

    A line without a state is Applied. A line without a generation has observedGeneration; so has one of a cluster that
    fails and has a fingerprint, which shows that something is applied there. A line in state Applied has no time of its
    own: it has been so at least since the object's conditions last changed. A message that several clusters share is
    stored once, with the first of them; here each has it.
    """
    observed = _observed(found)
    messages = {_text(line.get("name")): _text(line.get("message")) for line in _clusters(found)}
    ready, propagation = condition(found, ConditionType.READY), condition(found, ConditionType.PROPAGATION)
    at_least = _text((ready if ready.get("status") == "True" else propagation).get("lastUpdateTime"))
    result = []
    for line in _clusters(found):
        state = _text(line.get("status"))
        holds = not state or bool(line.get("fingerprint"))
        generation = line.get("generation") or (observed if holds else None)
        message = _text(line.get("message"))
        result.append(
            {
                "cluster": _text(line.get("name")),
                "state": state or PropagationStatus.OK.shown,
                "generation": generation,
                "since": _text(line.get("since")) if state else at_least,
                "message": messages.get(message.removeprefix(_REFERENCE), message)
                if message.startswith(_REFERENCE)
                else message,
            }
            | {key: _text(line[key]) for key in ("ready", "unhealthy") if line.get(key)}
        )
    return result


def collected(found: Mapping[str, Any]) -> bool:
    """Whether it is known how much is ready, so that `status` has a cell for it."""
    return any(line.get("ready") for line in _clusters(found))


def status(found: Mapping[str, Any], now: dt.datetime, shared: Sequence[str] = ()) -> list[Row]:
    """The rows of `fedctl status`. A message that is one of `shared` is replaced by its number there, from 1.

    Their header is STATUS, or STATUS_COLLECTED.
    """
    numbers = {message: f"[{index}]" for index, message in enumerate(shared, 1)}
    counted = collected(found)
    return [
        (
            line["cluster"],
            line["state"],
            *((line.get("ready", ""),) if counted else ()),
            str(line["generation"] or ""),
            age(line["since"], now),
            "; ".join(filter(None, (numbers.get(line["message"], line["message"]), line.get("unhealthy")))),
        )
        for line in lines(found)
    ]


def shared(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """Long messages that many clusters have, each with its clusters; they are printed once, below the rows."""
    clusters: dict[str, list[str]] = {}
    for line in lines(found):
        if len(line["message"]) > _SHORT:
            clusters.setdefault(line["message"], []).append(line["cluster"])
    return {message: names for message, names in clusters.items() if len(names) > _FEW}


def heading(found: Mapping[str, Any], now: dt.datetime) -> list[str]:
    """The lines above that table: the object, how current its status is, and its conditions."""
    metadata, ready = _map(found, "metadata"), condition(found, ConditionType.READY)
    name = "/".join(filter(None, (_text(metadata.get("namespace")), _text(metadata.get("name")))))
    generation, observed = metadata.get("generation"), _observed(found)
    result = [f"{_text(found.get('kind'))} {name}, {age(metadata.get('creationTimestamp'), now)} old"]
    if metadata.get("deletionTimestamp"):
        result.append(f"Deleted {age(metadata['deletionTimestamp'], now)} ago; waiting until no cluster has a copy")
    if not _is_current(found):
        seen = f"the controller has observed {observed}" if observed else "the controller has not observed it yet"
        result.append(
            f"Generation {generation}: {seen}; what follows is about that one" if observed else seen.capitalize()
        )
    if ready:
        since = age(ready.get("lastTransitionTime"), now)
        message = f": {_text(ready.get('message'))}" if ready.get("message") else ""
        whole = f"Ready {_text(ready.get('status'))}"
        if ready.get("status") == "True":
            whole = PropagationStatus.OK.shown if _clusters(found) else "Placed nowhere"
        result.append(f"{whole}{f' for {since}' if since else ''}{message}")
    propagation = condition(found, ConditionType.PROPAGATION)
    if propagation.get("reason"):
        message = f": {_text(propagation.get('message'))}" if propagation.get("message") else ""
        result.append(f"Propagation {_text(propagation['reason'])}{message}")
    if healthy := condition(found, ConditionType.HEALTHY):
        counts = f" ({ready_count(found)} ready)" if ready_count(found) else ""
        result.append(f"Healthy {_text(healthy.get('status'))}{counts}: {_text(healthy.get('message'))}")
    if stalled := condition(found, ConditionType.STALLED):
        result.append(f"Stalled {_text(stalled.get('reason'))}: only a change of the object can help")
    if held := condition(found, ConditionType.DELETIONS_HELD):
        result.append(f"DeletionsHeld {_text(held.get('reason'))}: {_text(held.get('message'))}")
    return result


def _is_current(found: Mapping[str, Any]) -> bool:
    generation = _map(found, "metadata").get("generation")
    return generation is None or _observed(found) == generation


def _observed(found: Mapping[str, Any]) -> int | None:
    """status.observedGeneration; None before the controller's first status, which the CRD's default shows as -1."""
    observed = _map(found, "status").get("observedGeneration")
    return observed if isinstance(observed, int) and observed > 0 else None


def _clusters(found: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    clusters = _map(found, "status").get("clusters")
    return [each for each in clusters if isinstance(each, dict)] if isinstance(clusters, list) else []


def _map(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = found.get(key)
    return inner if isinstance(inner, dict) else {}


def _text(value: object) -> str:
    return "" if value is None else str(value)
