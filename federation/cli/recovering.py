"""What `fedctl recovery` looks at and does: the hold, what it holds, and what members have that the hub has lost.

A copy that our controller has applied and that no federated object stands behind is what a restored hub has lost. Its
federated object is made anew of the fields that the controller owns there, which are those that its template had. A
copy that was applied later than the hub records, and than the federated object was written, has newer content than
the hub: core.restoration.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import orjson

from federation.core import (
    budget,
    fieldvalues,
    holds,
    managedfields,
    parsing,
    placement,
    restoration,
    sharing,
    summary,
    times,
)
from federation.core.holds import Restored
from federation.core.managedfields import PartialMetadata
from federation.core.restoration import Hold
from federation.federating import wrapping
from federation.federating.wishes import Wish
from federation.joining import applying, contents, fleet, lookups, visiting
from federation.joining.applying import Outcome, Report
from federation.joining.errors import Refused
from federation.joining.fleet import Fleet, Member
from federation.joining.reaching import Reach
from federation.kube import connection as http
from federation.kube.connection import Connection
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.errors import ApiFailure, FederationError, Invalid
from federation.model.failures import FailureKind
from federation.model.federated import FederatedType, Metadata, Placement
from federation.model.observations import Applied, Cluster
from federation.model.resources import KUBEFED_CONFIGS, NAMESPACES, ObjectName, Resource
from federation.model.status import Status

CONFIGURATION = "kubefed"
_OWN = ("name", "namespace", "labels", "annotations")

Document = dict[str, Any]
_Which = tuple[str, ObjectName]
"""The name of a type, and a federated object of it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A federated object, or one that was, and clusters.

    Where these have, or had, newer content than the hub: `applied` is when that was applied, in the last of them, and
    `written` when the hub's own was written. Both are RFC 3339, "" where that is not known.
    """

    type: str
    where: ObjectName
    clusters: tuple[str, ...]
    applied: str = ""
    written: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """The hold as the KubeFedConfig's status shows it; `id` is "" where the hub was never recognised as restored."""

    id: str = ""
    since: str = ""
    message: str = ""
    held: bool = False
    overwritten: tuple[Placed, ...] = ()
    overwritten_copies: int = 0


@dataclass(frozen=True, slots=True)
class Findings:
    """All of it. `newer` is what has newer content than the hub, and has not been overwritten yet. `unread` gives, for
    members that could not be asked for what they have, why."""

    state: State
    removals: tuple[Placed, ...] = ()
    newer: tuple[Placed, ...] = ()
    lost: tuple[Placed, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)


async def state(host: Connection, namespace: str) -> State:
    """The hold. Raises ApiFailure."""
    found = await applying.find(host, KUBEFED_CONFIGS, ObjectName(namespace, CONFIGURATION))
    recovery = ((found or {}).get("status") or {}).get("recovery") or {}
    told = restoration.told(recovery)
    overwritten: dict[_Which, dict[str, str]] = {}
    for each in told.named:
        overwritten.setdefault((each.type, each.where), {})[each.cluster] = each.applied
    return State(
        id=str(recovery.get("id", "")),
        since=str(recovery.get("since", "")),
        message=str(recovery.get("message", "")),
        held=recovery.get("held") is True,
        overwritten=tuple(
            Placed(kind, where, tuple(sorted(applied)), applied=max(applied.values()))
            for (kind, where), applied in sorted(overwritten.items())
        ),
        overwritten_copies=told.copies,
    )


async def look(reach: Reach, report: Report) -> Findings:
    """Everything. A member that cannot be asked is `unread`."""
    host = reach.host
    known = await fleet.read(host, reach.namespace)
    listed = {each.name: await fleet.listing(host, each.federated, "") for each in known.enabled}
    shown = await state(host, reach.namespace)
    restored = Restored(Hold(shown.id, shown.since, shown.message)) if shown.held else None
    held: dict[_Which, set[str]] = {}
    for name, documents in listed.items():
        for found in documents:
            if waiting := _held(found):
                held[name, _where(found)] = set(waiting)
    kept, unread = await _visited(reach, known, hub_objects(known, listed), report)
    lost: dict[_Which, set[str]] = {}
    newer: dict[_Which, list[Kept]] = {}
    for each in kept:
        if each.hub is None:
            lost.setdefault(each.which, set()).add(each.cluster)
        elif not each.leaves:
            newer.setdefault(each.which, []).append(each)
        elif restored is not None and restored.why(each.hub.meta):
            held.setdefault(each.which, set()).add(each.cluster)
    return Findings(shown, _placed(held), _newer(newer), _placed(lost), unread)


def _held(found: Mapping[str, Any]) -> list[str]:
    """The clusters whose copies of an object are not removed because the hub was restored, as far as its status has
    room to say so."""
    lines = _status(found).clusters
    named = budget.by_name(lines)
    return [
        line.name
        for line in lines
        if line.status == PropagationStatus.WAITING_FOR_REMOVAL
        and budget.message_of(named, line.name) == budget.cut(holds.RESTORED, budget.MESSAGE)
    ]


# --- what members have ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AtHub:
    """A federated object as the hub has it: what its status records of each cluster, whether that is all (`complete`),
    the placements that decide where it is (none: its spec cannot be read), and when its content was written (RFC
    3339)."""

    meta: Metadata
    recorded: Mapping[str, Applied]
    complete: bool
    placements: tuple[Placement, ...]
    written: tuple[str, ...]

    def places(self, cluster: Cluster) -> bool:
        """Whether it is to be in a cluster."""
        return all(placement.select(each, {cluster.name: cluster}) for each in self.placements)


class Kept(NamedTuple):
    """A copy in a member that is not as the hub wants it: `hub` is the federated object, None where it has none. It
    `leaves` the member where that is not to have it; else its content is newer than the hub's."""

    which: _Which
    cluster: str
    applied_at: int
    hub: AtHub | None
    leaves: bool = False


Hub = Mapping[_Which, AtHub]


def hub_objects(known: Fleet, listed: Mapping[str, Sequence[Mapping[str, Any]]]) -> Hub:
    """All federated objects, `listed` by the name of their type."""
    spaces = {_where(each): _placement(each) for each in listed.get(marks.NAMESPACE_TYPE, ())}
    objects: dict[_Which, AtHub] = {}
    for each in known.enabled:
        for found in listed[each.name]:
            where, status, placements = _where(found), _status(found), [_placement(found)]
            if each.target.namespaced and marks.NAMESPACE_TYPE in listed:
                placements.append(spaces.get(ObjectName(where.namespace, where.namespace), Placement()))
            readable = tuple(one for one in placements if one is not None)
            objects[each.name, where] = AtHub(
                _identity(found),
                sharing.recorded(status),
                not budget.full(status.clusters),
                readable if len(readable) == len(placements) else (),
                _written(found),
            )
    return objects


def _identity(found: Mapping[str, Any]) -> Metadata:
    """What of an object's metadata says whether its removals are held."""
    meta, where = found["metadata"], _where(found)
    annotations, deletion = meta.get("annotations") or {}, meta.get("deletionTimestamp")
    return Metadata(where.name, where.namespace, annotations=annotations, deletion_timestamp=deletion)


def _placement(found: Mapping[str, Any]) -> Placement | None:
    """Where an object is to be; None where its spec cannot be read: then nothing of it is touched."""
    if found["metadata"].get("deletionTimestamp"):
        return Placement()
    try:
        return parsing.spec(orjson.dumps(found.get("spec")), namespaces=True).placement
    except Invalid:
        return None


def _written(found: Mapping[str, Any]) -> tuple[str, ...]:
    """When the spec of an object was written: the times of its managedFields that are about it."""
    entries = found["metadata"].get("managedFields") or ()
    return tuple(str(each.get("time", "")) for each in entries if "f:spec" in (each.get("fieldsV1") or {}))


def _status(found: Mapping[str, Any]) -> Status:
    return summary.parse(orjson.dumps(found.get("status") or {}))


def _where(found: Mapping[str, Any]) -> ObjectName:
    return ObjectName(found["metadata"].get("namespace", ""), found["metadata"]["name"])


async def _visited(reach: Reach, known: Fleet, hub: Hub, report: Report) -> tuple[list[Kept], Mapping[str, str]]:
    """What all members have of it, and why some could not be asked."""
    manager = marks.field_manager(known.uid, reach.namespace)
    labels = {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in known.clusters}

    async def one(member: Member) -> tuple[str, list[Kept], str]:
        cluster = Cluster(member.name, labels.get(member.name, {}))
        try:
            async with AsyncExitStack() as lent:
                connection = await reach.member(member, lent)
                return member.name, await _in_member(connection, cluster, known.enabled, hub, manager), ""
        except FederationError as error:
            return member.name, [], str(error)

    visited = await visiting.visit(known.members, one, report, "asked for what the hub has lost")
    kept = [each for _, found, _ in visited for each in found]
    return kept, {cluster: why for cluster, _, why in visited if why}


async def _in_member(
    connection: Connection, cluster: Cluster, types: Iterable[FederatedType], hub: Hub, manager: str
) -> list[Kept]:
    """Copies in a member that our controller has applied, and that are not as the hub wants them."""
    kept: list[Kept] = []
    for each in types:
        try:
            copies = await applying.listing(
                connection, each.target, selector=f"{marks.MANAGED_LABEL}=true", accept=http.METADATA_LIST
            )
        except ApiFailure as error:
            if error.failure.kind is not FailureKind.TYPE_MISSING:
                raise
            continue  # it has none
        found = (compared(each, _metadata(copy), cluster, hub, manager) for copy in copies)
        kept += [copy for copy in found if copy is not None]
    return kept


def compared(enabled: FederatedType, meta: PartialMetadata, cluster: Cluster, hub: Hub, manager: str) -> Kept | None:
    """A copy that the hub has lost, or has older, or elsewhere; None for every other one."""
    observed = managedfields.observe(meta, manager)
    if observed.deleting or not observed.owned_digest:
        return None
    which = enabled.name, _federated_name(enabled, meta)
    known = hub.get(which)
    kept = Kept(which, cluster.name, observed.applied_at, known)
    if known is None:
        return kept
    if not known.placements:
        return None
    if not known.places(cluster):
        return kept._replace(leaves=True)
    recorded = known.recorded.get(cluster.name)
    if not restoration.newer(recorded, observed) or (recorded is None and not known.complete):
        return None
    return kept if not known.written or restoration.outlives(observed.applied_at, known.written) else None


def _newer(found: Mapping[_Which, Sequence[Kept]]) -> tuple[Placed, ...]:
    placed = []
    for (kind, where), copies in sorted(found.items()):
        at = max(each.applied_at for each in copies)
        written = max((time for each in copies if each.hub for time in each.hub.written), default="")
        clusters = tuple(sorted(each.cluster for each in copies))
        placed.append(Placed(kind, where, clusters, times.rfc3339(at) if at else "", written))
    return tuple(placed)


def _metadata(found: Mapping[str, Any]) -> PartialMetadata:
    return msgspec.json.decode(orjson.dumps(found["metadata"]), type=PartialMetadata)


def _fields(meta: PartialMetadata, manager: str) -> Mapping[str, Any]:
    """The fields that our controller owns; {} where it owns none."""
    mine = next((each for each in meta.managed_fields if managedfields.is_ours(each, manager)), None)
    return managedfields.fields_of(mine) if mine is not None else {}


def _federated_name(enabled: FederatedType, meta: PartialMetadata) -> ObjectName:
    return ObjectName(meta.name, meta.name) if enabled.is_namespace else ObjectName(meta.namespace, meta.name)


def _placed(found: Mapping[_Which, Iterable[str]]) -> tuple[Placed, ...]:
    return tuple(Placed(kind, where, tuple(sorted(clusters))) for (kind, where), clusters in sorted(found.items()))


# --- approving --------------------------------------------------------------------------------------------------------


async def approve(host: Connection, namespace: str, hold: str, *, dry_run: bool) -> str:
    """Let all removals go on that are held now."""
    mark = {restoration.APPROVED_ANNOTATION: hold}
    return await lookups.annotate(host, KUBEFED_CONFIGS, namespace, CONFIGURATION, mark, dry_run=dry_run)


async def approve_one(host: Connection, enabled: FederatedType, where: ObjectName, hold: str, *, dry_run: bool) -> str:
    """Let those of one federated object go on."""
    mark = {restoration.APPROVED_ANNOTATION: hold}
    return await lookups.annotate(host, enabled.federated, where.namespace, where.name, mark, dry_run=dry_run)


# --- adopting ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Adoption:
    """One lost object that can be made anew: `remarks` say what of it cannot."""

    document: Document
    resource: Resource
    label: str
    remarks: tuple[str, ...] = ()


async def prepare(reach: Reach, lost: Placed, *, source: str = "") -> Adoption:
    """The federated object of a lost one, of the copy in `source` or, where all are alike, of any.

    Raises Refused where copies differ and no `source` is given, and Invalid where a copy cannot be a template.
    """
    known = await fleet.read(reach.host, reach.namespace)
    enabled = next(each for each in known.enabled if each.name == lost.type)
    manager = marks.field_manager(known.uid, reach.namespace)
    label = applying.label(enabled.federated, lost.where)
    if source and source not in lost.clusters:
        raise Refused(f"{label}: {source} has no copy of it", f"there is one in {', '.join(lost.clusters)}")
    bodies: dict[str, Document] = {}
    for name in (source,) if source else lost.clusters:
        member = known.member(name)
        if member is None:
            continue
        async with AsyncExitStack() as lent:
            connection = await reach.member(member, lent)
            target = lost.where if enabled.target.namespaced else ObjectName("", lost.where.name)
            found = await applying.find(connection, enabled.target, target)
        body = as_applied(found, enabled, manager) if found is not None else None
        if body is not None:
            bodies[name] = body
    if not bodies:
        raise Refused(f"{label}: no member has a copy of it any more")
    first = next(iter(bodies))
    different = [name for name, body in bodies.items() if body != bodies[first]]
    if different:
        raise Refused(
            f"{label}: the copies in {first} and {', '.join(different)} differ",
            f"say whose content counts for all: --from {first}, or federate it by hand with overrides",
        )
    made = wrapping.wrap(bodies[first], enabled, Wish(lost.clusters))
    return Adoption(made.document, enabled.federated, label, made.remarks)


def as_applied(found: Mapping[str, Any], enabled: FederatedType, manager: str) -> Document | None:
    """What of a copy our controller had applied; None where that is nothing."""
    meta = _metadata(found)
    fields = _fields(meta, manager)
    if not fields:
        return None
    picked = fieldvalues.pick({key: value for key, value in found.items() if key != "status"}, dict(fields))
    body: Document = picked if isinstance(picked, dict) else {}
    own = {key: value for key, value in (body.get("metadata") or {}).items() if key in _OWN}
    annotations = {key: value for key, value in (own.get("annotations") or {}).items() if not _ours(key)}
    own.pop("annotations", None)
    name = {"name": meta.name} | ({"namespace": meta.namespace} if meta.namespace else {})
    metadata = own | name | ({"annotations": annotations} if annotations else {})
    return {"apiVersion": enabled.target.api_version, "kind": enabled.target.kind, **body, "metadata": metadata}


def _ours(annotation: str) -> bool:
    return annotation == marks.CREATED_ANNOTATION or annotation.startswith(marks.CLAIM_PREFIX)


async def adopt(host: Connection, adoption: Adoption, *, dry_run: bool) -> Outcome:
    """Write it, unless there is one now; its namespace first. Raises ApiFailure."""
    metadata = adoption.document["metadata"]
    namespace = str(metadata.get("namespace", ""))
    if namespace and await applying.find(host, NAMESPACES, ObjectName("", namespace)) is None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await applying.apply(host, body, dry_run=dry_run)
        if dry_run:
            return Outcome.CREATED  # the API server refuses what is in a namespace that is not there
    return await contents.create(host, adoption.resource, adoption.document, dry_run=dry_run)
