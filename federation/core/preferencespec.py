"""Read a ReplicaSchedulingPreference: its spec becomes a Preference, its status what was written and remembered.

What the CRD's schema refuses is checked again, as for federated objects (parsing): preferences may be older than the
schema. A status that cannot be understood is none: all in it can be found out again.
"""

import re
from collections.abc import Mapping
from typing import Any

from federation.core import checks, configuration, times
from federation.core.shortages import FIRST_TRY
from federation.model.errors import Invalid
from federation.model.federated import StoredObject
from federation.model.preferences import EVERY, Bounds, Preference, Shortage

CLUSTERS = 5_000
"""Entries of spec.clusters, at most; the CRD has the same limit."""
MOST_REPLICAS = (1 << 31) - 1
KINDS = ("FederatedDeployment", "FederatedReplicaSet")
TARGETS = ("deployments.apps", "replicasets.apps")
"""The types that can be scheduled, in the order of their KINDS: KubeFed's."""
_MOST = (1 << 63) - 1
_AFTER = re.compile(r"\s*(?:after\s*:?\s*)?(\S+)\s*")


def preference(stored: StoredObject) -> Preference:
    """What a ReplicaSchedulingPreference asks for. Raises Invalid with the path of the first field that is wrong."""
    if stored.broken:
        raise Invalid("", f"cannot be read: {stored.broken}")
    spec = stored.spec
    clusters = checks.mapping(spec.get("clusters"), "spec.clusters")
    checks.at_most(clusters, CLUSTERS, "spec.clusters")
    return Preference(
        kind=checks.choice(spec.get("targetKind"), "spec.targetKind", KINDS),
        total=_number(spec, "totalReplicas", "spec", MOST_REPLICAS),
        clusters={name: _bounds(entry, f"spec.clusters[{name}]") for name, entry in clusters.items()}
        or {EVERY: Bounds(weight=1)},
        rebalance=checks.boolean(spec.get("rebalance"), "spec.rebalance", default=False),
        intersect=checks.boolean(
            spec.get("intersectWithClusterSelector"), "spec.intersectWithClusterSelector", default=False
        ),
        failover=_failover(spec.get("failover")),
    )


def _bounds(value: object, where: str) -> Bounds:
    body = checks.mapping(value, where)
    least = _number(body, "minReplicas", where, _MOST, default=0)
    most = None if body.get("maxReplicas") is None else _number(body, "maxReplicas", where, _MOST)
    if most is not None and least > most:
        raise Invalid(f"{where}.minReplicas", f"{least} is above maxReplicas, {most}: no number of replicas fits both")
    return Bounds(least, most, _number(body, "weight", where, _MOST, default=0))


def _number(body: Mapping[str, Any], name: str, where: str, most: int, *, default: int | None = None) -> int:
    value = body.get(name)
    if value is None and default is not None:
        return default
    if value is None:
        raise Invalid(f"{where}.{name}", "is required")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Invalid(f"{where}.{name}", f"must be a whole number from 0 to {most}")
    return value


def _failover(value: object) -> float | None:
    """Seconds from `{after: 5m}`; the same as a text, `after 5m` or `5m`, is understood, too."""
    if value is None:
        return None
    where = "spec.failover"
    if isinstance(value, str) and (found := _AFTER.fullmatch(value)):
        return configuration.parse_duration(found[1], where)
    body = checks.mapping(value, where)
    for name in body:
        if name != "after":
            raise Invalid(f"{where}.{name}", "is not known; failover has one field, after")
    return configuration.parse_duration(checks.string(body.get("after"), f"{where}.after"), f"{where}.after")


def written(stored: StoredObject) -> Mapping[str, int]:
    """The numbers that the status records, by cluster: what this preference has written."""
    return {
        name: entry["replicas"] for name, entry in _entries(stored).items() if isinstance(entry.get("replicas"), int)
    }


def shortages(stored: StoredObject) -> Mapping[str, Shortage]:
    """What the status records of clusters without room, as long as the spec is the same: another one asks anew."""
    found: dict[str, Shortage] = {}
    if stored.status.get("observedGeneration") != stored.metadata.generation:
        return found
    for name, entry in _entries(stored).items():
        room, until, at = (
            entry.get("room"),
            times.moment(entry.get("fullSince")),
            times.moment(entry.get("roomChecked")),
        )
        if isinstance(room, int) and until is not None and at is not None:
            found[name] = Shortage(room, until.timestamp(), at.timestamp(), FIRST_TRY)
    return found


def _entries(stored: StoredObject) -> dict[str, Mapping[str, Any]]:
    lines = stored.status.get("clusters")
    return {
        each["name"]: each
        for each in (lines if isinstance(lines, list) else ())
        if isinstance(each, dict) and isinstance(each.get("name"), str)
    }
