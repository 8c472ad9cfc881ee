"""Let a member go: undo the join in the member, then at the host; run again, it finishes.

The host's side goes last, so that what a failed run left can still be found. Objects that were placed in the member
stay there. With `force` a member that cannot be reached or cleaned does not hold the host back: what is left there is
told.
"""

import difflib
from dataclasses import dataclass

from federation.core import identity
from federation.joining import applying, fleet, objects
from federation.joining.applying import Outcome, Report
from federation.joining.errors import Refused
from federation.joining.fleet import Fleet, Member
from federation.kube.connection import Connection
from federation.model.errors import FederationError
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


@dataclass(frozen=True, slots=True)
class Leaving:
    """Who leaves. `host` is the host's part in names inside the member, for members that no annotation describes."""

    name: str
    host: str
    namespace: str = SYSTEM_NAMESPACE
    force: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """What stayed in the member, as labels; `reason` says why it could not be removed."""

    reason: str = ""
    objects: tuple[str, ...] = ()


def traces(namespace: str, account: str) -> list[tuple[Resource, ObjectName]]:
    """What a join (KubeFed's too) leaves in a member, in the order in which it is undone."""
    role = f"kubefed-controller-manager:{account}"
    health = f"kubefed-controller-manager:healthcheck-{account}"
    return [
        (CLUSTER_ROLE_BINDINGS, ObjectName("", role)),
        (CLUSTER_ROLES, ObjectName("", role)),
        (CLUSTER_ROLE_BINDINGS, ObjectName("", health)),
        (CLUSTER_ROLES, ObjectName("", health)),
        (ROLE_BINDINGS, ObjectName(namespace, role)),
        (ROLES, ObjectName(namespace, role)),
        (SERVICE_ACCOUNTS, ObjectName(namespace, account)),
    ]


async def leave(
    host: Connection, member: Connection | FederationError, leaving: Leaving, report: Report, *, dry_run: bool = False
) -> Left:
    """Undo the join. `member` is the error that kept us from connecting to it, where there is one.

    Raises Refused for an unknown name and for a context that leads to another cluster; without `force` also what the
    member's API said.
    """
    objects.namespace(leaving.namespace)
    known = await fleet.read(host, leaving.namespace)
    existing = known.member(leaving.name)
    account = (existing.account if existing else "") or identity.service_account(leaving.name, leaving.host)
    left, removed = Left(), 0
    try:
        if isinstance(member, FederationError):
            raise member
        removed = await _leave_member(member, known, existing, leaving, account=account, report=report, dry_run=dry_run)
    except FederationError as error:
        if isinstance(error, Refused) and not leaving.force:
            raise
        if not leaving.force:
            hint = (
                "if its context has another name, say --cluster-context; if it is gone, --force leaves its side alone"
            )
            raise Refused(str(error), hint) from error
        remains = traces(leaving.namespace, account)
        left = Left(str(error), tuple(applying.label(*each) for each in remains if "healthcheck" not in each[1].name))
    if existing is None and not removed:
        raise _unknown(host, known, leaving.name)
    await _leave_host(host, known, existing, leaving, report, dry_run=dry_run)
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
    uid = await fleet.cluster_uid(member)
    if existing is not None and existing.uid and existing.uid != uid:
        raise Refused(
            f"context {member.name} leads to another cluster than the one that joined as {leaving.name} "
            f"(kube-system {uid}, not {existing.uid})",
            "name the member's own context with --cluster-context, or use --force to leave its side alone",
        )
    removed = 0
    for resource, name in traces(leaving.namespace, account):
        removed += await _remove(member, resource, name, report, dry_run=dry_run)
    if uid != known.uid and await _is_empty(member, leaving.namespace, account):
        await _remove(member, NAMESPACES, ObjectName("", leaving.namespace), report, dry_run=dry_run)
    return removed


async def _leave_host(
    host: Connection, known: Fleet, existing: Member | None, leaving: Leaving, report: Report, *, dry_run: bool
) -> None:
    if existing is None:
        return
    where = ObjectName(leaving.namespace, leaving.name)
    others = {each.secret for each in known.members if each.name != leaving.name}
    # The KubeFedCluster goes last: without it a second run would not know the Secret's name.
    if existing.secret and existing.secret not in others:
        secret = ObjectName(leaving.namespace, existing.secret)
        await _remove(host, SECRETS, secret, report, dry_run=dry_run)
    await _remove(host, KUBEFED_CLUSTERS, where, report, dry_run=dry_run)


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
    """Whether only we used the namespace: another hub, or a host that lives there, has an account of its own."""
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
