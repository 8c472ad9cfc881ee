"""Keep the controller's role in every member as wide as the enabled types: `enable` widens, `disable` narrows.

Changed with the user's own credentials, through the context whose cluster is the member. Where the user has none, the
member's own token is asked whether it may already do what is needed; if not, its admin gets the manifest.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from federation.joining import applying, fleet, objects, preflight
from federation.joining.applying import Outcome
from federation.joining.contexts import Contexts
from federation.joining.fleet import Fleet, Member
from federation.joining.judgements import Right
from federation.joining.objects import Manifest
from federation.kube import kubeconfig
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure, FederationError, Unusable
from federation.model.federated import FederatedType
from federation.model.resources import CLUSTER_ROLES, KUBEFED_CLUSTERS, ObjectName


class Role(enum.Enum):
    """What became of the role in one member."""

    CHANGED = enum.auto()
    FITS = enum.auto()
    BY_ADMIN = enum.auto()  # no context for it: somebody else has to apply `manifest`
    FAILED = enum.auto()


@dataclass(frozen=True, slots=True)
class MemberRole:
    """One member's role; `message` says why, `manifest` what its admin should apply."""

    cluster: str
    state: Role
    message: str = ""
    manifest: Manifest | None = None


async def follow(
    contexts: Contexts, host: Connection, namespace: str, known: Fleet, *, dry_run: bool = False
) -> list[MemberRole]:
    """Bring every member's role to the enabled types of `known`; members that hold all rights are left alone.

    `dry_run` has each member's API server check the change and store nothing.
    """
    found = []
    for member in known.members:
        if member.rights == "all":
            found.append(MemberRole(member.name, Role.FITS, "it was joined with --rights all"))
            continue
        try:
            found.append(await _one(contexts, host, namespace, known, member, dry_run=dry_run))
        except FederationError as error:
            manifest = _manifest(namespace, known, member)
            found.append(MemberRole(member.name, Role.FAILED, str(error), manifest))
    return found


async def _one(
    contexts: Contexts, host: Connection, namespace: str, known: Fleet, member: Member, *, dry_run: bool
) -> MemberRole:
    manifest = _manifest(namespace, known, member)
    connection = await member_connection(contexts, member)
    if connection is None:
        lacking = await _lacking(host, namespace, member, known.enabled)
        if lacking is not None and not lacking:
            return MemberRole(member.name, Role.FITS, "its role allows the enabled types")
        what = f": its token may not {lacking[0]}" if lacking else ""
        return MemberRole(member.name, Role.BY_ADMIN, f"no context of your kubeconfig reaches it{what}", manifest)
    if manifest is None:
        return MemberRole(member.name, Role.FAILED, "which service account it uses is not recorded: join it again")
    name = applying.name_of(manifest)
    role = await applying.find(connection, CLUSTER_ROLES, name)
    if role is not None and objects.has_all_rights(role):
        return MemberRole(member.name, Role.FITS, "its role allows everything")
    outcome = await applying.apply(connection, manifest, dry_run=dry_run)
    return MemberRole(
        member.name,
        Role.FITS if outcome is Outcome.UNCHANGED else Role.CHANGED,
        f"{applying.label(CLUSTER_ROLES, name)} {outcome}",
    )


async def member_connection(contexts: Contexts, member: Member) -> Connection | None:
    """The user's own way to a member: a context at the same URL, or of the same name, whose cluster is this one.

    None when there is no such context. Where the identity is recorded, a context that leads to another cluster is not
    taken. An unreachable cluster is an ApiFailure.
    """
    candidates = contexts.serving(member.server)
    if member.name in contexts.names and member.name not in candidates:
        candidates.append(member.name)
    candidates.sort(key=lambda name: name != member.name)
    failure: FederationError | None = None
    for name in candidates:
        try:
            connection = await contexts.open(name)
            if not member.uid or await fleet.cluster_uid(connection) == member.uid:
                return connection
        except (ApiFailure, Unusable) as error:
            failure = error
    if failure is not None:
        raise failure
    return None


async def stored_connection(host: Connection, namespace: str, member: Member) -> Connection:
    """The controller's way to a member, by the credentials that the hub has stored. Raises Unusable."""
    cluster = await applying.find(host, KUBEFED_CLUSTERS, ObjectName(namespace, member.name))
    secret = await fleet.secret(host, namespace, member.secret)
    if cluster is None or secret is None:
        raise Unusable("no context of your kubeconfig reaches it, and no credentials are stored for it")
    return Connection(member.name, kubeconfig.stored(cluster["spec"], secret.get("data") or {}))


def needed(types: Iterable[FederatedType]) -> list[Right]:
    """What the controller does in a member for these types."""
    return [
        Right(verb, each.target.plural, each.target.group)
        for each in types
        for verb in ("list", "watch", "create", "patch", "delete")
    ]


def _manifest(namespace: str, known: Fleet, member: Member) -> Manifest | None:
    return objects.role_manifest(namespace, member.account, known.enabled) if member.account else None


async def _lacking(
    host: Connection, namespace: str, member: Member, types: Iterable[FederatedType]
) -> list[Right] | None:
    """The rights that the member's stored token lacks; None when it cannot be asked."""
    try:
        connection = await stored_connection(host, namespace, member)
    except Unusable:
        return None
    try:
        lacking, unknown = await preflight.missing(connection, needed(types))
    finally:
        await connection.close()
    return None if unknown else lacking
