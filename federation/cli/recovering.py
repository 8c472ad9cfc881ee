"""What `fedctl recovery` looks at and does: the hold, what it holds, and what the hub has lost and a member still has.

A copy that our controller has applied and that no federated object stands behind is what a restored hub has lost. Its
federated object is made anew of the fields that the controller owns there, which are those that its template had.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from federation.core import budget, fieldvalues, holds, managedfields, restoration, summary
from federation.core.managedfields import PartialMetadata
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
from federation.model.errors import ApiFailure, FederationError
from federation.model.failures import FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import KUBEFED_CONFIGS, NAMESPACES, ObjectName, Resource

CONFIGURATION = "kubefed"
_OWN = ("name", "namespace", "labels", "annotations")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Placed:
    """A federated object, or one that was, and clusters."""

    type: str
    where: ObjectName
    clusters: tuple[str, ...]


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
    """All of it. `unread` gives, for members that could not be asked for what the hub has lost, why."""

    state: State
    removals: tuple[Placed, ...] = ()
    lost: tuple[Placed, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)


async def state(host: Connection, namespace: str) -> State:
    """The hold. Raises ApiFailure."""
    found = await applying.find(host, KUBEFED_CONFIGS, ObjectName(namespace, CONFIGURATION))
    recovery = ((found or {}).get("status") or {}).get("recovery") or {}
    overwritten: dict[tuple[str, ObjectName], list[str]] = {}
    for each in recovery.get("overwritten") or ():
        where = ObjectName(str(each.get("namespace", "")), str(each.get("name", "")))
        overwritten.setdefault((str(each.get("type", "")), where), []).append(str(each.get("cluster", "")))
    return State(
        id=str(recovery.get("id", "")),
        since=str(recovery.get("since", "")),
        message=str(recovery.get("message", "")),
        held=recovery.get("held") is True,
        overwritten=_placed(overwritten),
        overwritten_copies=int(recovery.get("overwrittenCopies") or 0),
    )


async def look(reach: Reach, report: Report) -> Findings:
    """Everything. A member that cannot be asked is `unread`."""
    host = reach.host
    known = await fleet.read(host, reach.namespace)
    at_hub: dict[str, set[ObjectName]] = {}
    held: dict[tuple[str, ObjectName], list[str]] = {}
    for each in known.enabled:
        at_hub[each.name] = names = set()
        for found in await fleet.listing(host, each.federated, ""):
            where = ObjectName(found["metadata"].get("namespace", ""), found["metadata"]["name"])
            names.add(where)
            if waiting := _held(found):
                held[each.name, where] = waiting
    lost, unread = await _lost(reach, known, at_hub, report)
    return Findings(await state(host, reach.namespace), _placed(held), lost, unread)


def _held(found: Mapping[str, Any]) -> list[str]:
    """The clusters whose copies of an object are not removed because the hub was restored."""
    lines = summary.parse(orjson.dumps(found.get("status") or {})).clusters
    named = budget.by_name(lines)
    return [
        line.name
        for line in lines
        if line.status == PropagationStatus.WAITING_FOR_REMOVAL
        and budget.message_of(named, line.name) == budget.cut(holds.RESTORED, budget.MESSAGE)
    ]


async def _lost(
    reach: Reach, known: Fleet, at_hub: Mapping[str, set[ObjectName]], report: Report
) -> tuple[tuple[Placed, ...], Mapping[str, str]]:
    manager = marks.field_manager(known.uid, reach.namespace)

    async def one(member: Member) -> tuple[str, list[tuple[str, ObjectName]], str]:
        try:
            async with AsyncExitStack() as lent:
                connection = await reach.member(member, lent)
                return member.name, await _without_object(connection, known.enabled, at_hub, manager), ""
        except FederationError as error:
            return member.name, [], str(error)

    visited = await visiting.visit(known.members, one, report, "asked for what the hub has lost")
    lost: dict[tuple[str, ObjectName], list[str]] = {}
    for cluster, found, _ in visited:
        for key in found:
            lost.setdefault(key, []).append(cluster)
    return _placed(lost), {cluster: why for cluster, _, why in visited if why}


async def _without_object(
    connection: Connection, types: Iterable[FederatedType], at_hub: Mapping[str, set[ObjectName]], manager: str
) -> list[tuple[str, ObjectName]]:
    """Copies in a member that our controller has applied, and that the hub has no federated object for."""
    lost = []
    for each in types:
        try:
            copies = await applying.listing(
                connection, each.target, selector=f"{marks.MANAGED_LABEL}=true", accept=http.METADATA_LIST
            )
        except ApiFailure as error:
            if error.failure.kind is not FailureKind.TYPE_MISSING:
                raise
            continue  # it has none
        for copy in copies:
            meta = _metadata(copy)
            where = _federated_name(each, meta)
            if where not in at_hub[each.name] and meta.deletion_timestamp is None and _fields(meta, manager):
                lost.append((each.name, where))
    return lost


def _metadata(found: Mapping[str, Any]) -> PartialMetadata:
    return msgspec.json.decode(orjson.dumps(found["metadata"]), type=PartialMetadata)


def _fields(meta: PartialMetadata, manager: str) -> Mapping[str, Any]:
    """The fields that our controller owns; {} where it owns none."""
    mine = next((each for each in meta.managed_fields if managedfields.is_ours(each, manager)), None)
    return managedfields.fields_of(mine) if mine is not None else {}


def _federated_name(enabled: FederatedType, meta: PartialMetadata) -> ObjectName:
    return ObjectName(meta.name, meta.name) if enabled.is_namespace else ObjectName(meta.namespace, meta.name)


def _placed(found: Mapping[tuple[str, ObjectName], Sequence[str]]) -> tuple[Placed, ...]:
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
