"""Narrow what the controller may do in members: the role that `fedctl join` gives, and a token that ends.

The account stays KubeFed's. What it could do before is recorded first. Its token without end stays in the member, in
the Secret that it is of, until the migration is finished; so all of this can be taken back, and no token is recorded.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import orjson

from federation.core import jwt, naming
from federation.joining import applying, fleet, joinplans, joins, preflight, roles, visiting
from federation.joining.applying import Report
from federation.joining.errors import NotConfirmed, Refused
from federation.joining.fleet import Member
from federation.joining.objects import Wanted
from federation.joining.reaching import Reach
from federation.kube import connection as http
from federation.kube.connection import MERGE_PATCH, Connection
from federation.migrating import keeping, records
from federation.migrating.facts import Facts, everything
from federation.migrating.keeping import Kept
from federation.migrating.records import Narrowed
from federation.model.errors import FederationError
from federation.model.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLES, SECRETS, ObjectName, Resource

_PREFIX = "kubefed-controller-manager:"
_TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 - a Secret's type
_UNBOUND = "the token stored so far is bound to nothing"
_LEARNED = 10.0
_OF_ACCOUNT = "kubernetes.io/service-account.name"

Problems = list[str]
"""Why a member was left as it is, a line for each."""


def refuse(facts: Facts) -> None:
    """Raise Refused where members cannot be narrowed yet, or not by this verb."""
    if not facts.stopped or facts.outdated or any(each.outdated for each in facts.types):
        message = f"{facts.host}: KubeFed is not stopped, or its types are not up to date: its rights are needed still"
        raise Refused(message, "first: fedctl migrate --stop --upgrade")
    if not facts.leader:
        message = (
            f"{facts.host}: no controller leads: only one that reaches the members shows that they may be narrowed"
        )
        raise Refused(message, "start it first: fedctl init --image IMAGE, the chart, or fedctl controller run")


async def narrow(reach: Reach, facts: Facts, report: Report) -> Problems:
    """Join every member again that has more than it needs, as its own account. Safe to run again."""
    wide = {each.name: each for each in facts.clusters if each.unbound or each.all_rights}
    known = await fleet.read(reach.host, reach.namespace)
    problems: Problems = []
    for member in known.members:  # one after the other: each is recorded before it is changed
        if member.name not in wide:
            continue
        account = wide[member.name].account
        try:
            if account is None or account.namespace != reach.namespace:
                raise Refused("its token is of no service account in the system namespace", "join it again")
            async with AsyncExitStack() as lent:
                connection = await _own(reach, member, lent)
                await _record(reach, connection, member, account, namespaced=known.namespaced)
                await _join(reach, connection, member, account, report)
                await _refuse_wide(reach, member, account, reach.namespace if known.namespaced else "")
        except FederationError as error:
            problems.append(f"{member.name}: not narrowed: {error}")
    return problems


async def undo(reach: Reach, report: Report) -> Problems:
    """Give the accounts their rights back, and the host the tokens without end, which members have kept."""

    async def one(member: Member, before: Narrowed, connection: Connection) -> None:
        if before.rules:
            resource, role = _role(before.role, before.role_namespace)
            label = applying.label(resource, role)
            await _patch(connection, resource.path(role), {"rules": before.rules}, label)
            report(f"{member.name}: {label} has its rules back")
        where = ObjectName(before.namespace, before.secret)
        kept = await applying.find(connection, SECRETS, where) if before.secret else None
        token = ((kept or {}).get("data") or {}).get("token")
        if not token:
            report(f"warning: {member.name}: its token without end is gone: KubeFed uses the new one, while it lasts")
            return
        path = SECRETS.path(ObjectName(reach.namespace, member.secret))
        await _patch(reach.host, path, {"data": {"token": token}}, f"secret {member.secret}", secret=True)
        report(f"{member.name}: secret {member.secret} has the token that it had")

    return await _each_narrowed(reach, one, "not taken back")


async def finish(reach: Reach, report: Report) -> Problems:
    """Delete the Secrets with tokens without end in members that were narrowed, which revokes them."""

    async def one(member: Member, before: Narrowed, connection: Connection) -> None:
        where = ObjectName(before.namespace, before.secret)
        if before.role_namespace:  # KubeFed's probe needed another right; this project's does not
            probe = f"{_PREFIX}{before.namespace}:healthcheck-{before.account}"
            for resource in (CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES):
                await applying.delete(connection, resource, ObjectName("", probe))
        if before.secret and await _is_legacy(connection, where, before.account):
            outcome = await applying.delete(connection, SECRETS, where)
            report(f"{member.name}: {applying.label(SECRETS, where)} {outcome}: the token without end is revoked")

    return await _each_narrowed(reach, one, "its token without end is not revoked")


async def _each_narrowed(
    reach: Reach, one: Callable[[Member, Narrowed, Connection], Awaitable[None]], failed: str
) -> Problems:
    """Do this for every member that is recorded as narrowed, and forget those for which it was done."""
    kept = await keeping.load(reach.host, reach.namespace)
    if kept is None or not kept.record.narrowed:
        return []
    known = await fleet.read(reach.host, reach.namespace)
    done: list[str] = [name for name in kept.record.narrowed if known.member(name) is None]
    members = [each for each in known.members if each.name in kept.record.narrowed]
    recorded = kept.record.narrowed

    async def visit(member: Member) -> str:
        try:
            async with AsyncExitStack() as lent:
                await one(member, recorded[member.name], await _own(reach, member, lent))
        except FederationError as error:
            return f"{member.name}: {failed}: {error}"
        done.append(member.name)
        return ""

    problems = await visiting.visit(members, visit, lambda _: None, "")
    await keeping.save(reach.host, reach.namespace, kept, records.without_narrowed(kept.record, done))
    return [each for each in problems if each]


async def _own(reach: Reach, member: Member, lent: AsyncExitStack) -> Connection:
    """By the user's own rights: KubeFed's account may not take its own away, nor get them back.

    The context may only have the cluster's name: that it leads there is shown by the identity that is recorded.
    """
    if not member.uid:
        raise Refused(
            "which cluster it is was never recorded", "see why the controller does not reach it: fedctl get clusters"
        )
    connection = await roles.member_connection(reach.contexts, member, lent)
    if connection is None:
        raise Refused("no context of your kubeconfig reaches it", f"name one {member.name}, or use its server's URL")
    return connection


async def _record(
    reach: Reach, connection: Connection, member: Member, account: ObjectName, *, namespaced: bool
) -> Kept:
    kept = await keeping.begin(reach.host, reach.namespace)
    if member.name in kept.record.narrowed:
        return kept
    role, within = naming.fitted(f"{_PREFIX}{account.name}"), account.namespace if namespaced else ""
    found = await applying.find(connection, *_role(role, within))
    secret = await _legacy(reach, connection, member, account)
    before = Narrowed(account.namespace, account.name, role, within, list((found or {}).get("rules") or []), secret)
    return await keeping.save(
        reach.host, reach.namespace, kept, records.with_narrowed(kept.record, member.name, before)
    )


async def _legacy(reach: Reach, connection: Connection, member: Member, account: ObjectName) -> str:
    """The name of the member's Secret that the stored token is of; "" where it is of none that is there."""
    stored = await fleet.secret(reach.host, reach.namespace, member.secret)
    name = jwt.claims(fleet.token(stored)).get("kubernetes.io/serviceaccount/secret.name")
    if not isinstance(name, str) or not name:
        return ""
    return name if await _is_legacy(connection, ObjectName(account.namespace, name), account.name) else ""


async def _is_legacy(connection: Connection, where: ObjectName, account: str) -> bool:
    """Whether that Secret holds a token without end of this account, and nothing else."""
    found = await applying.find(connection, SECRETS, where)
    annotations = ((found or {}).get("metadata") or {}).get("annotations") or {}
    return found is not None and found.get("type") == _TOKEN_TYPE and annotations.get(_OF_ACCOUNT) == account


async def _join(reach: Reach, connection: Connection, member: Member, account: ObjectName, report: Report) -> None:
    wanted = Wanted(
        member.name,
        naming.dns_label(reach.host.name),
        reach.namespace,
        service_account=account.name,
        rights="types",
        error_on_existing=False,
    )
    plan, found = await joinplans.inspect(reach.host, connection, wanted)
    joins.refuse_failed(plan, found, report)
    later = f"note: {member.name}: the token stored so far has no end: --finish revokes it, until then --undo needs it"
    await joins.carry_out(reach.host, connection, plan, lambda line: report(later if _UNBOUND in line else line))


def _role(name: str, namespace: str) -> tuple[Resource, ObjectName]:
    """The role that the enabled types decide about: of scope Namespaced a Role."""
    return ROLES if namespace else CLUSTER_ROLES, ObjectName(namespace, name)


async def _refuse_wide(reach: Reach, member: Member, account: ObjectName, scope: str) -> None:
    """Raise Refused where the account may do everything still. An API server learns of a role's rules in a moment."""

    async def narrow() -> bool:
        connection = await roles.stored_connection(reach.host, reach.namespace, member)
        try:
            return bool((await preflight.missing(connection, [everything(scope)]))[0])
        finally:
            await connection.close()

    try:
        await applying.until(narrow, timeout=_LEARNED, what="")
    except NotConfirmed:
        role = naming.fitted(f"{_PREFIX}{account.name}")
        raise Refused(
            f"serviceaccount {account} has a new token and may do everything still, by another binding than that of "
            f"role {role}",
            f"see which: kubectl --context {member.name} get clusterrolebindings,rolebindings -A -o wide",
        ) from None


async def _patch(
    connection: Connection, path: str, body: Mapping[str, Any], label: str, *, secret: bool = False
) -> None:
    params = {"fieldManager": applying.MANAGER}
    content = orjson.dumps(body)
    answer = await applying.request(
        connection, "PATCH", path, params=params, body=content, content_type=MERGE_PATCH, secret=secret
    )
    http.expect(answer, f"{connection.name}: patch {label}")
