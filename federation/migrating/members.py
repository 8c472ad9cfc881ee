"""Visit the members: what their API servers say, and every object there that KubeFed manages. Writes nothing there.

By the user's own context where there is one, else with the credentials that the host has stored.
"""

from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from federation.core import binding, jwt, scrubbing
from federation.joining import answers, applying, fleet, preflight, roles, visiting
from federation.joining.applying import Report
from federation.joining.fleet import Fleet, Member
from federation.joining.reaching import Reach
from federation.kube import connection as http
from federation.kube.connection import METADATA_LIST, Connection
from federation.migrating import gathering, keeping, proving
from federation.migrating.facts import ClusterFacts, Facts, everything
from federation.migrating.proving import Compared
from federation.model import marks
from federation.model.errors import ApiFailure, FederationError
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import KUBEFED_CLUSTERS, SECRETS, ObjectName

_Found = tuple[proving.Seen, proving.Object]
_MANAGED = f"{marks.MANAGED_LABEL}=true"


@dataclass(frozen=True, slots=True)
class Visit:
    """How members are reached: `stored` for the controller's way alone, `timeout` seconds for a first answer."""

    stored: bool = False
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of one member's objects; `why` says why that is not known."""

    cluster: str
    compared: Compared | None = None
    why: str = ""


async def look(reach: Reach, facts: Facts, visit: Visit, report: Report) -> Facts:
    """The facts with what every member says of itself."""
    known, scope = await _known(reach)

    async def one(member: Member) -> ClusterFacts:
        found = await _stored(reach, member)
        try:
            async with AsyncExitStack() as lent:
                way = await reach.way(member, lent, stored=visit.stored, timeout=visit.timeout)
                version = str((await applying.read(way.connection, "/version")).get("gitVersion", ""))
                uid = await fleet.shown(way.connection, member)
        except FederationError as error:
            return replace(found, silent=scrubbing.line(str(error)))
        rights = None if found.refusal else await _all_rights(reach, member, scope)
        return replace(found, version=scrubbing.line(version, 64), uid=uid, all_rights=rights)

    clusters = await visiting.visit(known.members, one, report, "looked at")
    return replace(facts, clusters=tuple(clusters))


async def take(reach: Reach, visit: Visit, report: Report) -> list[str]:
    """Keep a snapshot of every member that has none yet; returns why one has none now, a line for each."""
    known, scope = await _known(reach)
    taken = await keeping.snapshots(reach.host, reach.namespace)

    async def one(member: Member) -> str:
        if member.name in taken:
            return ""
        found = await _objects(reach, member, known, scope, visit)
        if isinstance(found, str):
            return f"{member.name}: its objects cannot be compared later: {found}"
        snapshot = {name: seen for name, (seen, _) in found.items()}
        await keeping.keep(reach.host, reach.namespace, member.name, snapshot)
        report(f"{member.name}: {len(snapshot)} managed objects noted, with their uids")
        return ""

    return [line for line in await visiting.visit(known.members, one, report, "objects noted") if line]


async def verify(reach: Reach, visit: Visit, report: Report) -> list[Verified]:
    """Every member's objects compared with its snapshot."""
    known, scope = await _known(reach)
    taken = await keeping.snapshots(reach.host, reach.namespace)
    manager = marks.field_manager(known.uid, reach.namespace)

    async def one(member: Member) -> Verified:
        if member.name not in taken:
            return Verified(member.name, why="its objects were not noted when KubeFed stopped")
        before = taken[member.name]
        found = await _objects(reach, member, known, scope, visit, before=before.snapshot)
        if isinstance(found, str):
            return Verified(member.name, why=found)
        return Verified(member.name, proving.compare(before.snapshot, found, manager, before.at))

    return await visiting.visit(known.members, one, report, "objects compared")


async def _stored(reach: Reach, member: Member) -> ClusterFacts:
    """What the host has of it: its KubeFedCluster and the Secret, of which nothing but the token's account is told."""
    cluster = await applying.find(reach.host, KUBEFED_CLUSTERS, ObjectName(reach.namespace, member.name))
    secret = await fleet.secret(reach.host, reach.namespace, member.secret)
    if secret is None or cluster is None:
        return ClusterFacts(member.name, refusal=f"there is no Secret {member.secret or 'in spec.secretRef'}")
    claims = jwt.claims(fleet.token(secret))
    account = jwt.account(claims)
    return ClusterFacts(
        member.name,
        refusal=binding.mismatch(member.name, cluster.get("spec") or {}, fleet.credentials(secret)),
        account=ObjectName(*account) if account is not None else None,
        unbound=account is not None and jwt.lifetime(claims) is None,
    )


async def _all_rights(reach: Reach, member: Member, scope: str) -> bool | None:
    try:
        connection = await roles.stored_connection(reach.host, reach.namespace, member)
    except FederationError:
        return None
    try:
        lacking, unknown = await preflight.missing(connection, [everything(scope)])
    except FederationError:
        return None
    finally:
        await connection.close()
    return None if unknown else not lacking


async def _objects(
    reach: Reach, member: Member, known: Fleet, scope: str, visit: Visit, *, before: Collection[str] = ()
) -> dict[str, _Found] | str:
    """Every managed object there, with its metadata, or why they cannot be read.

    What was there `before` and is in no list is asked for by name: it may only have lost the label.
    """
    try:
        async with AsyncExitStack() as lent:
            way = await reach.way(member, lent, stored=visit.stored, timeout=visit.timeout)
            found: dict[str, _Found] = {}
            for each in known.types:
                found |= await _of_type(way.connection, each, scope)
            types = {each.name: each for each in known.types}
            for name in (each for each in before if each not in found):
                type_name, _, where = name.partition(" ")
                if type_name in types and (one := await _by_name(way.connection, types[type_name], where)) is not None:
                    found[name] = one
            return found
    except FederationError as error:
        return scrubbing.line(str(error))


async def _known(reach: Reach) -> tuple[Fleet, str]:
    """The fleet; and the only namespace in which it has objects, "" where it has them in all."""
    known = await fleet.read(reach.host, reach.namespace)
    return known, reach.namespace if known.namespaced else ""


async def _by_name(connection: Connection, known: FederatedType, where: str) -> _Found | None:
    secret = known.target.qualified == SECRETS.qualified
    namespace, _, name = where.rpartition("/")
    path = known.target.path(ObjectName(namespace, name))
    answer = await applying.request(
        connection, "GET", path, accept=http.METADATA if secret else http.JSON, secret=secret
    )
    if isinstance(answer, Failure) and answer.kind in (FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING):
        return None
    doing = f"{connection.name}: get {known.name} {where}"
    found = answers.kubernetes_object(http.expect(answer, doing).json(doing), doing)
    return proving.seen(found, secret=secret), found["metadata"]


async def _of_type(connection: Connection, known: FederatedType, scope: str) -> dict[str, _Found]:
    secret = known.target.qualified == SECRETS.qualified
    found: dict[str, _Found] = {}
    if scope and not known.target.namespaced:
        return found  # KubeFed propagates none of these in one namespace
    accept = METADATA_LIST if secret else http.JSON
    try:
        async for each in gathering.pages(connection, known.target, scope, selector=_MANAGED, accept=accept):
            found[proving.key(known.name, each)] = (proving.seen(each, secret=secret), each["metadata"])
    except ApiFailure as error:
        if error.failure.kind is not FailureKind.RIGHT_MISSING or known.propagation:
            raise
    return found


def proven(proofs: Sequence[Verified]) -> bool:
    """Whether all of them are known, and nothing but managedFields has changed."""
    return all(each.compared is not None and each.compared.proven for each in proofs)
