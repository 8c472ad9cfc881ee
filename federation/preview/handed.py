"""Clusters in pull mode in a plan: their works as the hub has them, and what a planned action makes of one.

Such a member is not asked: what is compared is the manifest that its work at the hub has with the one that it would
have. What the member makes of that, its agent says in the work's status afterwards.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from federation.controllers.copies import Copies
from federation.core import bundles, scrubbing, works
from federation.core.works import SeenWork
from federation.joining import applying
from federation.kube import handedworks
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.federated import FederatedType
from federation.model.observations import ObservedWork, Said
from federation.model.plan import Command, Delete, HandOver, Release
from federation.model.resources import Key, ObjectName
from federation.model.works import BUNDLE_LABEL, HUB_LABEL, MANIFEST_WORKS
from federation.preview import changes
from federation.preview.changes import Change, Kind
from federation.preview.sightings import Seen, Sighting, Silent

Work = Mapping[str, Any]
UNSEEN = "it is in pull mode: only its agent sees what is there"
_FETCHES = "its agent fetches it"
_OPTIONS = "its work is written again; the manifest stays as it is"


class WorksObserver:
    """Looks at the works of one cluster at the hub (visits.Observing)."""

    def __init__(self, host: Connection, cluster: str, manager: str) -> None:
        self._host = host
        self._cluster = cluster
        self._manager = manager
        self._decode = handedworks.collection(manager).decode
        self._several: list[dict[str, Any]] | None = None

    async def look(self, types: Mapping[str, FederatedType], wanted: Mapping[str, Sequence[ObjectName]]) -> Sighting:
        """What the works of these objects show, by type. Raises Silent where they cannot be read at the hub."""
        found = Sighting(works={})
        for name, targets in wanted.items():
            copies = found.copies[name] = Copies()
            for target in targets:
                await self._one(types[name], target, copies, found)
            copies.objects.listed()
        return found

    async def _one(self, enabled: FederatedType, target: ObjectName, copies: Copies, found: Sighting) -> None:
        where = ObjectName(self._cluster, works.name(enabled, target))
        try:
            work = await applying.find(self._host, MANIFEST_WORKS, where)
            shared = None if work is not None else await self._shared(enabled, target)
        except ApiFailure as error:
            if error.failure.kind is not FailureKind.TYPE_MISSING:
                raise Silent(f"its works cannot be read at the hub: {error.failure.message}") from None
            work = shared = None
        if shared is not None:
            work, observed = shared
            copies.objects.put(target, observed)
        take(found.works if found.works is not None else {}, found.seen, enabled, target, work)
        if work is not None and shared is None and _is_of(work, self._manager):
            seen: SeenWork = self._decode(orjson.dumps(work))
            copies.objects.put(target, seen.observed)

    async def _shared(self, enabled: FederatedType, target: ObjectName) -> tuple[dict[str, Any], ObservedWork] | None:
        """An object's part of a work that has several, and what is observed of it. Raises ApiFailure."""
        if self._several is None:
            selector = f"{HUB_LABEL}={self._manager},{BUNDLE_LABEL}=true"
            self._several = await applying.listing(self._host, MANIFEST_WORKS, self._cluster, selector=selector)
        for each in self._several:
            alone = bundles.alone(each, enabled.name, target)
            if alone is None:
                continue
            seen: SeenWork = self._decode(orjson.dumps(each))
            key = works.about(works.notes(alone["metadata"]["annotations"]))
            observed = next((part for about, part in seen.parts if about == key), None)
            if observed is not None:
                return alone, observed
        return None


def take(known: dict[Any, Work], seen: Seen, enabled: FederatedType, target: ObjectName, work: Work | None) -> None:
    """Note what a plan rests on of one object's work."""
    seen[enabled.name, target] = stamp(work) if work is not None else ""
    if work is not None:
        known[enabled.name, target] = work


def stamp(work: Work) -> str:
    """What of a work a plan rests on, as a digest. Its status moves, and changes nothing of what is written."""
    meta = work.get("metadata") or {}
    parts = [meta.get("uid"), meta.get("generation"), bool(meta.get("deletionTimestamp"))]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:20]


def _is_of(work: Work, manager: str) -> bool:
    return ((work.get("metadata") or {}).get("labels") or {}).get(HUB_LABEL) == manager


def of_action(
    action: Command, key: Key, cluster: str, work: Work | None, *, values: bool, silent: str = ""
) -> Change | None:
    """What a command makes of a cluster's work; None: nothing. `work` is what the hub has of its name, `silent` since
    when its agent has not been heard."""
    fetches = f"{_FETCHES}; {silent}" if silent else _FETCHES
    match action:
        case HandOver(uid=""):
            if work is not None:
                where = f"{cluster}/{action.work}"
                return Change(Kind.REFUSE, message=f"ManifestWork {where} is at the hub already, and is not this hub's")
            return Change(Kind.CREATE, message=fetches)
        case HandOver():
            fields = changes.fields(manifest(work) or {}, written(action), values=values)
            return Change(Kind.CHANGE, fields, fetches if fields else _OPTIONS)
        case Delete(reason=reason):
            return Change(Kind.DELETE, because=reason.change if reason is not None else "")
        case Release(reason=reason):
            message, because = (reason.kept, reason.change) if reason is not None else ("", "")
            return Change(Kind.RELEASE, message=message, because=because)
    raise TypeError(f"no command for an agent of {key}: {type(action).__name__}")


def written(action: HandOver) -> Mapping[str, Any]:
    """The manifest in the work that an action writes."""
    return manifest(orjson.loads(action.body)) or {}


def manifest(work: Work | None) -> Mapping[str, Any] | None:
    """The one manifest of a work; None where there is none."""
    workload = ((work or {}).get("spec") or {}).get("workload") or {}
    found = workload.get("manifests")
    return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else None


# --- where an object stands on its way --------------------------------------------------------------------------------


def way(work: Work | None, observed: ObservedWork | None, silent: str) -> dict[str, str]:
    """How far it has come: `stage`, `since` when (RFC 3339; left out where it is not known), and what is to be said."""
    stage, since, message = "not written", "", ""
    if work is not None and observed is None:
        stage = "somebody else's"
    elif work is not None and observed is not None:
        applied = _applied(work)
        stage = "written"
        since = str((work.get("metadata") or {}).get("creationTimestamp") or "")
        if observed.deleting:
            stage, since = "deleted", str(work["metadata"].get("deletionTimestamp") or "")
        elif observed.said is not Said.NOTHING:
            stage = "applied" if observed.said is Said.APPLIED else "not applied"
            since, message = str(applied.get("lastTransitionTime") or ""), observed.message
    found = {"stage": stage, "since": since, "message": scrubbing.line(message), "silent": scrubbing.line(silent)}
    if work is not None:
        meta = work.get("metadata") or {}
        found["work"] = f"{meta.get('namespace')}/{meta.get('name')}"
    return {name: value for name, value in found.items() if value}


def _applied(work: Work) -> Mapping[str, Any]:
    conditions = (work.get("status") or {}).get("conditions")
    for each in conditions if isinstance(conditions, list) else ():
        if isinstance(each, dict) and each.get("type") == "Applied":
            return each
    return {}
