"""Before a type is enabled or updated: would every member accept the objects that the hub accepts?

This is `fedctl enable --check`; typegen.fitting compares the schemas. Only GET requests are sent; nothing is written.

Of a member its discovery and its OpenAPI v3 documents are read, not its CRDs: every authenticated account may read
them, they are what the server really serves, and built-in types have nothing else. A document of built-in types whose
hash is the same as the hub's holds the same schemas and is not fetched, because these documents are large. Documents of
custom types are always fetched: they follow a change of their CRD only a second later.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from federation.joining import applying, discovery, enabling, fleet, kinds, roles, visiting
from federation.joining.applying import Report
from federation.joining.contexts import Contexts
from federation.joining.enabling import Request
from federation.joining.errors import Refused
from federation.joining.fleet import Member
from federation.kube.connection import Connection
from federation.model import resources
from federation.model.errors import ApiFailure, FederationError, Invalid, Unusable
from federation.model.resources import ObjectName
from typegen import definitions, fitting, openapi, published
from typegen.fitting import Misfit, Served, Wanted
from typegen.model import ApiResource, Options
from typegen.model import Unusable as NotFederable

LIMIT = 20.0
"""Seconds for all requests to one member."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How one type fits one member: it does without `misfits`. `problem` is why it could not be compared.

    `serves` are the versions that the member serves, its preferred one first.
    """

    cluster: str
    type: str
    serves: tuple[str, ...] = ()
    misfits: tuple[Misfit, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Hub:
    """What members are compared with: the types, which of them have CRDs, and the others' documents.

    `same` maps a version to the URL of its OpenAPI document at the hub.
    """

    wanted: tuple[Wanted, ...]
    custom: frozenset[str] = frozenset()
    same: Mapping[str, str] = field(default_factory=dict)


async def check(
    contexts: Contexts, host: Connection, namespace: str, requests: Sequence[Request], report: Report
) -> list[Fit]:
    """One Fit for each member and type, by the members' names. Raises Refused, Invalid, ApiFailure about the hub alone.

    The hub's type is what `enable` would federate: the CRD of a file, else what the host serves now.
    """
    known = await fleet.read(host, namespace)
    hub = await _hub(host, namespace, requests)
    members = sorted(known.members, key=lambda member: member.name)

    async def one(member: Member) -> list[Fit]:
        return await _member(contexts, host, namespace, member, hub)

    found = await visiting.visit(members, one, report, "compared")
    return [fit for fits in found for fit in fits]


# -- the hub -----------------------------------------------------------------------------------------------------------


async def _hub(host: Connection, namespace: str, requests: Sequence[Request]) -> _Hub:
    wanted: dict[str, Wanted] = {}
    custom, read_there = set(), set()
    served = None
    for request in requests:
        if request.crd is not None:
            before = await enabling.enabled(host, namespace, request.name)
            found = _of_crd(request.crd, request.options(namespace, before))
            custom.add(found.resource.qualified)
        else:
            served = served or await discovery.read(host)
            resource = await _choose(host, namespace, served, request)
            options = request.options(namespace, await enabling.enabled(host, namespace, resource.qualified))
            resource = discovery.in_version(served, resource, options)
            crd = await _definition(host, resource)
            if crd is None:
                found = await _of_openapi(host, resource)
                read_there.add(resource.api_version)
            else:
                found = _of_crd(crd, options)
                custom.add(found.resource.qualified)
        wanted[found.resource.qualified] = found
    urls = await discovery.documents(host) if read_there else {}
    return _Hub(tuple(wanted.values()), frozenset(custom), {name: urls[name] for name in read_there if name in urls})


async def _choose(host: Connection, namespace: str, served: discovery.Served, request: Request) -> ApiResource:
    try:
        return discovery.choose(served, request.name, request.version)
    except Refused:
        known = await fleet.read(host, namespace)
        try:
            enabled = kinds.resolve(known.types, {}, request.name)
        except Refused:
            enabled = None
        if enabled is None or any(each.qualified == enabled.name for each in served.all):
            raise
    raise Refused(
        f"{enabled.name} is enabled, but {host.name} does not serve it, so there is nothing to compare members with",
        "give the CRD that it was made from: fedctl enable --check -f FILE",
    )


async def _definition(host: Connection, resource: ApiResource) -> Mapping[str, Any] | None:
    if "." not in resource.group:
        return None
    return await applying.find(host, resources.CRDS, ObjectName("", resource.qualified))


def _of_crd(crd: Mapping[str, Any], options: Options) -> Wanted:
    try:
        target = definitions.target(crd, options)
        versions = [each.name for each in definitions.versions(crd) if each.served and not options.version]
    except NotFederable as error:
        raise Invalid("", str(error)) from None
    return Wanted.of(target, versions)


async def _of_openapi(host: Connection, resource: ApiResource) -> Wanted:
    document = await discovery.document(host, resource)
    try:
        return Wanted.of(openapi.target(document, resource))
    except NotFederable as error:
        raise Refused(f"{host.name}: {resource.qualified} cannot be federated: {error}") from None


# -- the members -------------------------------------------------------------------------------------------------------


async def _member(contexts: Contexts, host: Connection, namespace: str, member: Member, hub: _Hub) -> list[Fit]:
    try:
        async with asyncio.timeout(LIMIT), _reached(contexts, host, namespace, member) as connection:
            served = await discovery.read(connection)
            urls = await discovery.documents(connection)
            return [await _fit(connection, member.name, served, urls, hub, wanted) for wanted in hub.wanted]
    except TimeoutError:
        problem = f"no answer within {LIMIT:g} s"
    except ApiFailure as error:
        problem = error.failure.message
    except FederationError as error:
        problem = str(error)
    return [Fit(member.name, wanted.resource.qualified, problem=problem) for wanted in hub.wanted]


async def _fit(  # noqa: PLR0917 - private, called once
    connection: Connection,
    cluster: str,
    everything: discovery.Served,
    urls: Mapping[str, str],
    hub: _Hub,
    wanted: Wanted,
) -> Fit:
    name = wanted.resource.qualified
    there = [each for each in everything.all if each.qualified == name]
    if not there:
        return Fit(cluster, name, misfits=tuple(fitting.compare(wanted, None)))
    versions = {each.version: each for each in there}
    schemas: dict[str, Mapping[str, Any]] = {}
    for version, own in wanted.schemas.items():
        other = wanted.counterpart(version, versions)
        if other is None or other in schemas:
            continue
        url = urls.get(versions[other].api_version, "")
        if url and name not in hub.custom and hub.same.get(versions[other].api_version) == url:
            schemas[other] = own
            continue
        try:
            schemas[other] = await _schema(connection, versions[other], url, custom=name in hub.custom)
        except NotFederable as error:
            return Fit(cluster, name, tuple(versions), problem=str(error))
    misfits = fitting.compare(wanted, Served(there[0], tuple(versions), schemas))
    return Fit(cluster, name, tuple(versions), tuple(misfits))


async def _schema(connection: Connection, resource: ApiResource, url: str, *, custom: bool) -> Mapping[str, Any]:
    if not url:
        raise NotFederable(f"no OpenAPI v3 document for {resource.api_version}")
    document = await discovery.read_document(connection, url, deadline=LIMIT)
    own = published.schema(document, resource) if custom else None
    return own if own is not None else openapi.target(document, resource).schema or {}


@asynccontextmanager
async def _reached(contexts: Contexts, host: Connection, namespace: str, member: Member) -> AsyncIterator[Connection]:
    """The member by a context of the user's, else by the hub's stored credentials. Raises the error of the first."""
    failure: FederationError | None = None
    async with AsyncExitStack() as lent:
        try:
            own = await roles.member_connection(contexts, member, lent)
        except FederationError as error:
            own, failure = None, error
            silent = isinstance(error, ApiFailure) and error.failure.kind in applying.SILENT
            if silent and contexts.serving(member.server):
                raise  # the stored credentials are for the same server
        if own is not None:
            yield own
            return
    try:
        connection = await roles.stored_connection(host, namespace, member)
    except FederationError as error:
        raise failure or error from None
    try:
        if member.uid and await fleet.shown(connection, member) != member.uid:
            raise Unusable(f"another cluster answers at {member.server} than the one that was joined")
        yield connection
    finally:
        await connection.close()
