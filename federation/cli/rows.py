"""Objects of the host to table rows: pure, one function for each kind of list. Times come in as arguments."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

Row = tuple[str, ...]

CLUSTERS = ("NAME", "READY", "VERSION", "REGION", "AGE")
CLUSTERS_WIDE = (*CLUSTERS, "REASON", "ENDPOINT", "RIGHTS", "MESSAGE")
TYPES = ("NAME", "FEDERATED", "PROPAGATION", "CONTROLLER", "AGE")
TYPES_WIDE = (*TYPES, "TARGET", "SCOPE", "STATUS-COLLECTION", "MESSAGE")
FEDERATED = ("TYPE", "NAME", "CLUSTERS", "READY", "REASON", "AGE")
FEDERATED_WIDE = (*FEDERATED, "GENERATION", "MESSAGE")
STATUS = ("CLUSTER", "STATE", "GENERATION", "AGE", "MESSAGE")

RIGHTS_ANNOTATION = "kubefed.io/rights"
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
"""apimachinery's duration.HumanDuration: below so many seconds, in this unit, with this smaller one where it counts."""


def age(stamp: object, now: dt.datetime) -> str:
    """How long ago an RFC 3339 time was, as kubectl writes it: 45s, 3m20s, 5h, 12d, 2y; "" for no time."""
    try:
        then = dt.datetime.fromisoformat(str(stamp))
    except ValueError:
        return ""
    if then.tzinfo is None:
        return ""
    seconds = max(0, int((now - then).total_seconds()))
    return next(_pair(seconds, *step[1:]) for step in _STEPS if seconds < step[0])


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


def cluster(found: Mapping[str, Any], now: dt.datetime, *, wide: bool = False) -> Row:
    """A KubeFedCluster."""
    metadata, status, ready = _map(found, "metadata"), _map(found, "status"), condition(found, "Ready")
    row = (
        _text(metadata.get("name")),
        _text(ready.get("status")) or "Unknown",
        _text(status.get("kubernetesVersion")),
        _text(status.get("region")),
        age(metadata.get("creationTimestamp"), now),
    )
    if not wide:
        return row
    rights = _text(_map(metadata, "annotations").get(RIGHTS_ANNOTATION))
    endpoint = _text(_map(found, "spec").get("apiEndpoint"))
    return (*row, _text(ready.get("reason")), endpoint, rights, "; ".join(filter(None, _said(found))))


def _said(found: Mapping[str, Any]) -> tuple[str, str]:
    """Why a cluster is ready or not, and what cannot be followed there all the same: a right that is missing."""
    synced = condition(found, "Synced")
    told = _text(synced.get("message")) if synced.get("status") == "False" else ""
    return _text(condition(found, "Ready").get("message")), told


def type_config(found: Mapping[str, Any], now: dt.datetime, *, wide: bool = False) -> Row:
    """A FederatedTypeConfig."""
    metadata, spec, status = _map(found, "metadata"), _map(found, "spec"), _map(found, "status")
    target, federated = _map(spec, "targetType"), _map(spec, "federatedType")
    row = (
        _text(metadata.get("name")),
        _text(federated.get("kind")),
        _text(spec.get("propagation")) or "Enabled",
        _text(status.get("propagationController")) or "Unknown",
        age(metadata.get("creationTimestamp"), now),
    )
    if not wide:
        return row
    version = "/".join(filter(None, (_text(target.get("group")), _text(target.get("version")))))
    scope = _text(target.get("scope"))
    collection = _text(spec.get("statusCollection")) or "Disabled"
    message = _text(condition(found, "Ready").get("message"))
    return (*row, f"{version} {_text(target.get('kind'))}", scope, collection, message)


def federated(found: Mapping[str, Any], type_name: str, now: dt.datetime, *, wide: bool = False) -> Row:
    """A federated object: how many of its clusters hold it, and whether that is all there is to do."""
    metadata, ready = _map(found, "metadata"), condition(found, "Ready")
    lines = _clusters(found)
    current = _is_current(found)
    row = (
        type_name,
        _text(metadata.get("name")),
        f"{sum(1 for line in lines if not line.get('status'))}/{len(lines)}",
        (_text(ready.get("status")) or "Unknown") if current else "Unknown",
        _text(condition(found, "Propagation").get("reason")) if current else "Pending",
        age(metadata.get("creationTimestamp"), now),
    )
    if not wide:
        return row
    return (*row, str(metadata.get("generation", "")), _text(ready.get("message")))


def lines(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """status.clusters[] as facts for people: name, state, since when, generation held (None: none), message.

    "Applied" stands for KubeFed's absent word. A line without a generation of its own speaks of observedGeneration. A
    healthy line has no time of its own: it has been so at least since the conditions of the whole last moved.
    """
    observed = _observed(found)
    ready, propagation = condition(found, "Ready"), condition(found, "Propagation")
    at_least = _text((ready if ready.get("status") == "True" else propagation).get("lastUpdateTime"))
    told = []
    for line in _clusters(found):
        word = _text(line.get("status"))
        generation = line.get("generation") or (observed if not word else None)
        told.append(
            {
                "cluster": _text(line.get("name")),
                "state": word or "Applied",
                "generation": generation,
                "since": _text(line.get("since")) if word else at_least,
                "message": _text(line.get("message")),
            }
        )
    return told


def status(found: Mapping[str, Any], now: dt.datetime) -> list[Row]:
    """The rows of `fedctl status`."""
    return [
        (line["cluster"], line["state"], str(line["generation"] or ""), age(line["since"], now), line["message"])
        for line in lines(found)
    ]


def heading(found: Mapping[str, Any], now: dt.datetime) -> list[str]:
    """The lines above that table: what it is, how current the status is, and what is true of the whole."""
    metadata, ready = _map(found, "metadata"), condition(found, "Ready")
    name = "/".join(filter(None, (_text(metadata.get("namespace")), _text(metadata.get("name")))))
    generation, observed = metadata.get("generation"), _observed(found)
    told = [f"{_text(found.get('kind'))} {name}, {age(metadata.get('creationTimestamp'), now)} old"]
    if metadata.get("deletionTimestamp"):
        told.append(f"Deleted {age(metadata['deletionTimestamp'], now)} ago; waiting for the clusters to let go")
    if not _is_current(found):
        seen = f"the controller has seen {observed}" if observed else "the controller has not seen it yet"
        told.append(
            f"Generation {generation}: {seen}; what follows is about that one" if observed else seen.capitalize()
        )
    if ready:
        since = age(ready.get("lastTransitionTime"), now)
        message = f": {_text(ready.get('message'))}" if ready.get("message") else ""
        told.append(f"Ready {_text(ready.get('status'))}{f' for {since}' if since else ''}{message}")
    propagation = condition(found, "Propagation")
    if propagation.get("reason"):
        message = f": {_text(propagation.get('message'))}" if propagation.get("message") else ""
        told.append(f"Propagation {_text(propagation['reason'])}{message}")
    if stalled := condition(found, "Stalled"):
        told.append(f"Stalled {_text(stalled.get('reason'))}: trying again is no use until the object is changed")
    return told


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
