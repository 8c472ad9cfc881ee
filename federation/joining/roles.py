"""Give the controller's role in every member the rights that the enabled types need, after `enable` and `disable`.

The role is changed with the user's own credentials, by the context for the member. Where the user has none, the stored
token is used to check whether it has the rights already; if not, the manifest is returned for the member's admin.
"""

import enum
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from federation.core import binding
from federation.joining import agents, applying, fleet, objects, preflight, visiting
from federation.joining.applying import Outcome, Report
from federation.joining.assessments import Right
from federation.joining.contexts import Contexts
from federation.joining.fleet import Fleet, Member
from federation.joining.objects import Manifest
from federation.kube import kubeconfig
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure, FederationError, Unusable
from federation.model.federated import FederatedType
from federation.model.resources import KUBEFED_CLUSTERS, SECRETS, ObjectName
from federation.registration import names, stored


class Role(enum.Enum):
    """What became of the role in one member."""

    CHANGED = enum.auto()
    FITS = enum.auto()
    ALL = enum.auto()  # kubefedctl granted all rights: nothing to change
    BY_ADMIN = enum.auto()  # no context for it: an admin has to apply `manifest`
    FAILED = enum.auto()


@dataclass(frozen=True, slots=True)
class MemberRole:
    """One member's role; `message` is the reason, `manifest` what an admin has to apply."""

    cluster: str
    state: Role
    message: str = ""
    manifest: Manifest | None = None


async def follow(
    contexts: Contexts, host: Connection, namespace: str, known: Fleet, report: Report, *, dry_run: bool = False
) -> list[MemberRole]:
    """Update every member's role for the enabled types of `known`; members with all rights are not changed.

    With `dry_run` each member's API server checks the change and stores nothing.
    """

    async def one(member: Member) -> MemberRole:
        if member.pulls:
            return await _of_agent(contexts, known, member, dry_run=dry_run)
        if member.rights == "all":
            return MemberRole(member.name, Role.FITS, "it was joined with --rights all")
        try:
            async with AsyncExitStack() as lent:
                connection = await member_connection(contexts, member, lent)
                return await _one(connection, host, namespace, known, member, dry_run=dry_run)
        except FederationError as error:
            return MemberRole(member.name, Role.FAILED, str(error), _manifest(namespace, known, member))

    return await visiting.visit(
        known.members,
        one,
        report,
        "the controller's role checked (dry run)" if dry_run else "the controller's role updated",
    )


async def _of_agent(contexts: Contexts, known: Fleet, member: Member, *, dry_run: bool) -> MemberRole:
    """The role of a member's agent: changed where a context of the member's name leads to what is registered so."""
    manifests = agents.manifests([(each.target.group, each.target.plural) for each in known.enabled])
    role = next(each for each in manifests if each["kind"] == "ClusterRole")
    try:
        if member.name in contexts.names:
            async with contexts.lend(member.name) as connection:
                where = ObjectName(agents.NAMESPACE, names.HUB_SECRET)
                held = stored.read(await applying.find(connection, SECRETS, where))
                if held.cluster == member.name:
                    outcome = await applying.apply(connection, role, dry_run=dry_run)
                    label = applying.label(applying.resource_of(role), applying.name_of(role))
                    state = Role.FITS if outcome is Outcome.UNCHANGED else Role.CHANGED
                    return MemberRole(member.name, state, f"{label} {outcome}")
    except FederationError as error:
        return MemberRole(member.name, Role.FAILED, str(error), role)
    return MemberRole(member.name, Role.BY_ADMIN, "it is in pull mode, and no context of its name leads to it", role)


async def _one(
    connection: Connection | None, host: Connection, namespace: str, known: Fleet, member: Member, *, dry_run: bool
) -> MemberRole:
    """`connection` is the user's own to the member; None: no context of the kubeconfig reaches it."""
    manifest = _manifest(namespace, known, member)
    if connection is None:
        lacking = await _lacking(host, known, member)
        if lacking is not None and not lacking:
            return MemberRole(member.name, Role.FITS, "its role allows the enabled types")
        what = f": its token may not {lacking[0]}" if lacking else ""
        return MemberRole(member.name, Role.BY_ADMIN, f"no context of your kubeconfig reaches it{what}", manifest)
    if manifest is None:
        return await _unrecorded(host, known, member)
    resource, name = applying.resource_of(manifest), applying.name_of(manifest)
    role = await applying.find(connection, resource, name)
    if role is not None and objects.has_all_rights(role):
        return MemberRole(member.name, Role.FITS, "its role allows everything")
    outcome = await applying.apply(connection, manifest, dry_run=dry_run)
    return MemberRole(
        member.name,
        Role.FITS if outcome is Outcome.UNCHANGED else Role.CHANGED,
        f"{applying.label(resource, name)} {outcome}",
    )


async def _unrecorded(host: Connection, known: Fleet, member: Member) -> MemberRole:
    """The role of a member whose account is not recorded (kubefedctl joined it): its token's rights are checked."""
    within = member.namespace if known.namespaced else ""
    if await _lacking(host, known, member, [Right("*", "*", "*", within)]) == []:
        everything = f"everything in namespace {within}" if within else "everything"
        return MemberRole(member.name, Role.ALL, f"its account may do {everything}, as kubefedctl joins a cluster")
    lacking = await _lacking(host, known, member)
    if lacking == []:
        return MemberRole(member.name, Role.FITS, "its role allows the enabled types")
    what = f"its token may not {lacking[0]}, and " if lacking else ""
    return MemberRole(member.name, Role.FAILED, f"{what}which service account it uses is not recorded: join it again")


async def member_connection(
    contexts: Contexts, member: Member, lent: AsyncExitStack | None = None
) -> Connection | None:
    """A connection to a member by the user's kubeconfig: a context with the same URL or of the same name.

    It stays open until `lent` is closed, by default as long as the contexts. None when there is no such context. Where
    the member's identity is recorded, a context that leads to another cluster is not used. Raises ApiFailure when the
    cluster cannot be reached.
    """
    candidates = contexts.serving(member.server)
    if member.name in contexts.names and member.name not in candidates:
        candidates.append(member.name)
    candidates.sort(key=lambda name: name != member.name)
    failure: FederationError | None = None
    for name in candidates:
        try:
            opening = contexts.open(name) if lent is None else lent.enter_async_context(contexts.lend(name))
            connection = await opening
            if not member.uid or await fleet.shown(connection, member) == member.uid:
                return connection
        except (ApiFailure, Unusable) as error:
            failure = error
    if failure is not None:
        raise failure
    return None


async def stored_connection(host: Connection, namespace: str, member: Member) -> Connection:
    """A connection to a member by the credentials that are stored at the hub. Raises Unusable."""
    cluster = await applying.find(host, KUBEFED_CLUSTERS, ObjectName(namespace, member.name))
    secret = await fleet.secret(host, namespace, member.secret)
    if cluster is None or secret is None:
        raise Unusable("no context of your kubeconfig reaches it, and no credentials are stored for it")
    if refusal := binding.mismatch(member.name, cluster["spec"], fleet.credentials(secret)):
        raise Unusable(refusal)
    return Connection(member.name, kubeconfig.stored(cluster["spec"], secret.get("data") or {}))


def needed(types: Iterable[FederatedType], namespace: str = "") -> list[Right]:
    """The rights that the controller needs in a member for these types; in one namespace, or ("") everywhere."""
    return [
        Right(verb, each.target.plural, each.target.group, namespace)
        for each in types
        for verb in ("list", "watch", "create", "patch", "delete")
        if each.target.namespaced or not namespace
    ]


def _manifest(namespace: str, known: Fleet, member: Member) -> Manifest | None:
    if not member.account:
        return None
    return objects.role_manifest(namespace, member.account, known.enabled, namespaced=known.namespaced)


async def _lacking(
    host: Connection, known: Fleet, member: Member, rights: list[Right] | None = None
) -> list[Right] | None:
    """The rights that the member's stored token lacks, by default of those that the enabled types need; None when they
    cannot be checked."""
    if rights is None:
        rights = needed(known.enabled, member.namespace if known.namespaced else "")
    try:
        connection = await stored_connection(host, member.namespace, member)
    except Unusable:
        return None
    try:
        lacking, unknown = await preflight.missing(connection, rights)
    finally:
        await connection.close()
    return None if unknown else lacking
