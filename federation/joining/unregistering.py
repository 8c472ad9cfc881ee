"""Undo a registration: `fedctl unregister`. First the agent's rights at the hub go, then what both sides have of it.

With its rights gone the agent sees nothing of what follows: no work that is deleted here empties the member. What was
placed there stays, with its records, as `fedctl unjoin` leaves it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from federation.joining import agents, applying, fences, fleet, requests
from federation.joining.applying import Outcome, Report
from federation.joining.errors import Refused
from federation.kube import connection as http
from federation.kube.connection import MERGE_PATCH, Connection
from federation.model.errors import ApiFailure, FederationError
from federation.model.failures import FailureKind
from federation.model.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    KUBEFED_CLUSTERS,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    ObjectName,
    Resource,
)
from federation.registration import grants, names, stored

WORKS = Resource("work.open-cluster-management.io", "v1", "ManifestWork", "manifestworks", namespaced=True)
RECORDS = Resource(
    "work.open-cluster-management.io", "v1", "AppliedManifestWork", "appliedmanifestworks", namespaced=False
)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
_ACCOUNT = agents.ACCOUNT


@dataclass(frozen=True, slots=True)
class Leaving:
    """Which cluster leaves. `system` is the federation's namespace at the hub, `namespace` the agent's there."""

    cluster: str
    system: str
    namespace: str = agents.NAMESPACE
    force: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """What was left in the member, and why; `records` are names of what holds the objects that stay there."""

    reason: str = ""
    objects: tuple[str, ...] = ()
    records: tuple[str, ...] = field(default=())


async def unregister(
    host: Connection, member: Connection | FederationError, leaving: Leaving, report: Report, *, dry_run: bool = False
) -> Left:
    """Undo it. `member` is the connection to it, or why there is none. Raises Refused, ApiFailure."""
    names.cluster(leaving.cluster, "NAME")
    await fleet.expect_namespace(host, leaving.system)
    found = await applying.find(host, KUBEFED_CLUSTERS, ObjectName(leaving.system, leaving.cluster))
    known = grants.known(requests.stored(found))
    if known is not None and not known.pull:
        raise Refused(
            f"{host.name}: cluster {leaving.cluster} has joined in push mode", f"run: fedctl unjoin {leaving.cluster}"
        )
    steps = _Steps(report, dry_run=dry_run)
    left = await _leave_member(member, leaving, steps)
    await _leave_hub(host, leaving, steps)
    if known is None and not steps.removed:
        raise Refused(f"{host.name}: no cluster {leaving.cluster} is registered", "see: fedctl get clusters")
    return left


class _Steps:
    """Deletes, and tells of it; a dry run only tells."""

    def __init__(self, report: Report, *, dry_run: bool) -> None:
        self.report = report
        self.dry_run = dry_run
        self.removed = 0

    async def delete(self, at: Connection, resource: Resource, name: ObjectName) -> None:
        if self.dry_run:
            if await applying.find(at, resource, name) is not None:
                self.removed += 1
                self.report(f"{at.name}: {applying.label(resource, name)} would be deleted (dry run)")
            return
        if await applying.delete(at, resource, name) is not Outcome.ABSENT:
            self.removed += 1
            self.report(f"{at.name}: {applying.label(resource, name)} {Outcome.DELETED}")


def traces(namespace: str) -> list[tuple[Resource, ObjectName]]:
    """What a registration has made in a member, in the order of its deletion: the agent first, then its rights."""
    role = ObjectName("", f"kubefed-work-agent:{namespace}")
    return [
        (DEPLOYMENTS, ObjectName(namespace, _ACCOUNT)),
        (SECRETS, ObjectName(namespace, names.BOOTSTRAP_SECRET)),
        (SECRETS, ObjectName(namespace, names.HUB_SECRET)),
        (CLUSTER_ROLE_BINDINGS, role),
        (CLUSTER_ROLES, role),
        (ROLE_BINDINGS, ObjectName(namespace, _ACCOUNT)),
        (ROLES, ObjectName(namespace, _ACCOUNT)),
        (SERVICE_ACCOUNTS, ObjectName(namespace, _ACCOUNT)),
        *fences.traces(ObjectName(namespace, _ACCOUNT)),
    ]


async def _leave_member(member: Connection | FederationError, leaving: Leaving, steps: _Steps) -> Left:
    try:
        if isinstance(member, FederationError):
            raise member
        held = stored.read(await applying.find(member, SECRETS, ObjectName(leaving.namespace, names.HUB_SECRET)))
        if held.cluster and held.cluster != leaving.cluster:
            raise Refused(
                f"context {member.name} leads to a cluster that is registered as {held.cluster}",
                "give the member's own context with --cluster-context, or use --force to change nothing in it",
            )
        for resource, name in traces(leaving.namespace):
            await steps.delete(member, resource, name)
        return Left(records=tuple(await _records(member, f"{leaving.namespace}/{leaving.cluster}")))
    except FederationError as error:
        if not leaving.force:
            hint = "give the member's context with --cluster-context; if the cluster is gone, use --force"
            raise Refused(str(error), getattr(error, "hint", "") or hint) from error
        objects = [applying.label(*each) for each in traces(leaving.namespace)]
        return Left(str(error), tuple(objects))


async def _records(member: Connection, agent: str) -> list[str]:
    """The AppliedManifestWorks of this agent; a member may have agents of several hubs."""
    try:
        found = await applying.listing(member, RECORDS)
        return [str(each["metadata"]["name"]) for each in found if (each.get("spec") or {}).get("agentID") == agent]
    except ApiFailure as error:
        if error.failure.kind is FailureKind.TYPE_MISSING:
            return []
        raise


async def _leave_hub(host: Connection, leaving: Leaving, steps: _Steps) -> None:
    """Its access first; then works are let go of, for no agent is left that could answer their finalizer."""
    cluster = leaving.cluster
    for resource, name in grants.access(cluster, leaving.system):
        await steps.delete(host, resource, name)
    for each in await requests.read(host, leaving.system, cluster):
        if each.waits and not steps.dry_run:
            await requests.decide(host, each, grants.denied(f"fedctl unregister {cluster}", requests.stamp()))
            steps.removed += 1
            steps.report(f"{host.name}: certificatesigningrequest {each.request.name} denied")
    there = await applying.find(host, NAMESPACES, ObjectName("", cluster))
    meta = there["metadata"] if there is not None else {}
    if grants.is_ours(meta.get("labels") or {}, cluster) and not meta.get("deletionTimestamp"):
        await _release_works(host, cluster, steps)
        await steps.delete(host, NAMESPACES, ObjectName("", cluster))
    await steps.delete(host, KUBEFED_CLUSTERS, ObjectName(leaving.system, cluster))


async def _release_works(host: Connection, cluster: str, steps: _Steps) -> None:
    try:
        works = await applying.listing(host, WORKS, cluster, accept=http.METADATA_LIST)
    except ApiFailure as error:
        if error.failure.kind is not FailureKind.TYPE_MISSING:
            raise
        return
    for meta in _metadata(works):
        where = ObjectName(cluster, str(meta["name"]))
        if meta.get("finalizers") and not steps.dry_run:
            body = orjson.dumps({"metadata": {"uid": meta["uid"], "finalizers": None}})
            answer = await applying.request(host, "PATCH", WORKS.path(where), body=body, content_type=MERGE_PATCH)
            http.expect(answer, f"{host.name}: release {applying.label(WORKS, where)}")
        await steps.delete(host, WORKS, where)


def _metadata(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each["metadata"] for each in found]
