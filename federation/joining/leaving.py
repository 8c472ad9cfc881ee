"""Undo a join: first in the member, then at the host; may be run again.

The host's objects are deleted last, so that a run after a failed one still finds the member. Objects that were placed
in the member stay there. With `force` the host's objects are deleted even if the member cannot be reached or cleaned;
what is left in the member is reported.
"""

import difflib
from dataclasses import dataclass

from federation.core import binding, naming
from federation.joining import applying, fences, fleet, objects, tokens
from federation.joining.applying import Outcome, Report
from federation.joining.errors import Refused
from federation.joining.fleet import Fleet, Member
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure, FederationError
from federation.model.failures import FailureKind
from federation.model.marks import SYSTEM_NAMESPACE
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

_NOT_ALLOWED = {
    FailureKind.RIGHT_MISSING: "ask an admin of that cluster for this right, or give another --cluster-context",
    FailureKind.UNAUTHORIZED: "log in there again, or give another --cluster-context",
}


@dataclass(frozen=True, slots=True)
class Leaving:
    """Which member leaves. `host` is the host's name in object names in the member, if no annotation records them."""

    name: str
    host: str
    namespace: str = SYSTEM_NAMESPACE
    force: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """What was left in the member; `reason` is why it could not be deleted."""

    reason: str = ""
    objects: tuple[str, ...] = ()


def traces(namespace: str, account: str) -> list[tuple[Resource, ObjectName]]:
    """The objects of a join (KubeFed's, too) in a member, in the order of their deletion."""
    role = f"kubefed-controller-manager:{account}"
    return [
        *cluster_wide(account),
        (ROLE_BINDINGS, ObjectName(namespace, role)),
        (ROLES, ObjectName(namespace, role)),
        (SERVICE_ACCOUNTS, ObjectName(namespace, account)),
    ]


def cluster_wide(account: str) -> list[tuple[Resource, ObjectName]]:
    """Those of them that are in no namespace."""
    names = (f"kubefed-controller-manager:{account}", f"kubefed-controller-manager:healthcheck-{account}")
    kinds = (CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES)
    return [(resource, ObjectName("", name)) for name in names for resource in kinds]


def policies(account: ObjectName) -> list[tuple[Resource, ObjectName]]:
    """The policies about the account that a join may have made; without the account they have no effect."""
    token = ObjectName("", tokens.policy_name(account))
    return [*fences.traces(account), *((resource, token) for resource, _ in fences.traces(account))]


async def leave(
    host: Connection, member: Connection | FederationError, leaving: Leaving, report: Report, *, dry_run: bool = False
) -> Left:
    """Undo the join. `member` is the connection to it, or the error of connecting.

    Raises Refused for an unknown name and for a context that leads to another cluster; without `force` also for errors
    of the member.
    """
    objects.namespace(leaving.namespace)
    known = await fleet.read(host, leaving.namespace)
    existing = known.member(leaving.name)
    if existing is not None and existing.pulls:
        raise Refused(
            f"{host.name}: cluster {leaving.name} is a member in pull mode", f"run: fedctl unregister {leaving.name}"
        )
    account = (existing.account if existing else "") or naming.service_account(leaving.name, leaving.host)
    left, removed = Left(), 0
    try:
        if isinstance(member, FederationError):
            raise member
        removed = await _leave_member(member, known, existing, leaving, account=account, report=report, dry_run=dry_run)
    except FederationError as error:
        if isinstance(error, Refused) and not leaving.force:
            raise
        if not leaving.force:
            hint = "if its context has another name, give --cluster-context; if the cluster is gone, use --force"
            if isinstance(error, ApiFailure) and (may := _NOT_ALLOWED.get(error.failure.kind)) is not None:
                hint = f"{may}; if you cannot, --force removes the cluster from the host alone"
            if existing is None:
                raise Refused(f"{host.name}: no cluster {leaving.name} has joined; {error}", hint) from error
            raise Refused(str(error), hint) from error
        remains = traces(leaving.namespace, account)
        left = Left(str(error), tuple(applying.label(*each) for each in remains if "healthcheck" not in each[1].name))
    removed += await _leave_host(host, known, existing, leaving, report, dry_run=dry_run)
    if existing is None and not removed:
        raise _unknown(host, known, leaving.name)
    return left


async def _leave_member(
    member: Connection,
    known: Fleet,
    existing: Member | None,
    leaving: Leaving,
    *,
    account: str,
    report: Report,
    dry_run: bool,
) -> int:
    uid = await fleet.shown(member, existing or Member(leaving.name, "", "", namespace=leaving.namespace))
    if existing is not None and existing.uid and existing.uid != uid:
        raise Refused(
            f"context {member.name} leads to another cluster than the one that joined as {leaving.name} "
            f"(its identity is {uid}, not {existing.uid})",
            "give the member's own context with --cluster-context, or use --force to change nothing in it",
        )
    removed = 0
    for resource, name in traces(leaving.namespace, account):
        try:
            removed += await _remove(member, resource, name, report, dry_run=dry_run)
        except ApiFailure as error:
            # With scope Namespaced a join has made nothing outside of the namespace, and the user may have no right to.
            if not known.namespaced or name.namespace or error.failure.kind is not FailureKind.RIGHT_MISSING:
                raise
    removed += await _leave_leftovers(member, ObjectName(leaving.namespace, account), report, dry_run=dry_run)
    if known.namespaced:
        report(f"{member.name}: namespace {leaving.namespace} stays, with what was placed in it")
    elif uid != known.uid and await _is_empty(member, leaving.namespace, account):
        await _remove(member, NAMESPACES, ObjectName("", leaving.namespace), report, dry_run=dry_run)
    return removed


async def _leave_leftovers(member: Connection, account: ObjectName, report: Report, *, dry_run: bool) -> int:
    """Delete what has no effect without the account; if the user may not, that is no error."""
    removed = 0
    try:
        for name in await tokens.bindings(member, account):
            removed += await _remove(member, SECRETS, name, report, dry_run=dry_run)
        for resource, name in policies(account):
            removed += await _remove(member, resource, name, report, dry_run=dry_run)
    except ApiFailure as error:
        if error.failure.kind not in (FailureKind.RIGHT_MISSING, FailureKind.TYPE_MISSING):
            raise
        report(f"note: {error}; it has no effect without its account")
    return removed


async def _leave_host(
    host: Connection, known: Fleet, existing: Member | None, leaving: Leaving, report: Report, *, dry_run: bool
) -> int:
    # The KubeFedCluster is deleted first: one without its Secret would be reported as a problem. A second run finds the
    # Secret by the annotation that names its cluster.
    removed = 0
    if existing is not None:
        where = ObjectName(leaving.namespace, leaving.name)
        removed += await _remove(host, KUBEFED_CLUSTERS, where, report, dry_run=dry_run)
    mine = {existing.secret} if existing is not None and existing.secret else set()
    if existing is None:
        mine = {
            str(each["metadata"]["name"])
            for each in await applying.listing(host, SECRETS, leaving.namespace)
            if (each["metadata"].get("annotations") or {}).get(binding.CLUSTER_ANNOTATION) == leaving.name
        }
    for secret in sorted(mine - {each.secret for each in known.members if each.name != leaving.name}):
        removed += await _remove(host, SECRETS, ObjectName(leaving.namespace, secret), report, dry_run=dry_run)
    return removed


async def _remove(
    connection: Connection, resource: Resource, name: ObjectName, report: Report, *, dry_run: bool
) -> bool:
    if dry_run:
        if await applying.find(connection, resource, name) is None:
            return False
        report(f"{connection.name}: {applying.label(resource, name)} would be deleted (dry run)")
        return True
    outcome = await applying.delete(connection, resource, name)
    if outcome is Outcome.ABSENT:
        return False
    report(f"{connection.name}: {applying.label(resource, name)} {outcome}")
    return True


async def _is_empty(member: Connection, namespace: str, account: str) -> bool:
    """Whether nobody else uses the namespace: another hub has a service account of its own there."""
    found = await applying.find(member, NAMESPACES, ObjectName("", namespace))
    if found is None or found["metadata"].get("deletionTimestamp"):
        return False
    accounts = await applying.listing(member, SERVICE_ACCOUNTS, namespace)
    return {each["metadata"]["name"] for each in accounts} <= {"default", account}


def _unknown(host: Connection, known: Fleet, name: str) -> Refused:
    names = [each.name for each in known.members]
    near = difflib.get_close_matches(name, names, n=1)
    after = f"did you mean {near[0]}?" if near else f"members are: {', '.join(names) or 'none'}"
    return Refused(f"{host.name}: no cluster {name} has joined", after)
