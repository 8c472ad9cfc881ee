"""Which types the host's API serves, and the schema of one: what `enable` makes a federated type from."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federation.joining import answers, applying
from federation.joining.errors import Refused
from federation.kube import connection as http
from federation.kube.connection import Connection
from federation.model import resources
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.resources import ObjectName
from typegen import discovery, federate
from typegen.model import ApiResource, Generated, Options
from typegen.model import Unusable as NotFederable

_AGGREGATED = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)
_NEEDED = frozenset({"get", "list", "watch", "create", "patch", "delete"})


@dataclass(frozen=True, slots=True)
class Served:
    """The resources of an API server; `federable` are those that can be watched, applied and deleted."""

    all: tuple[ApiResource, ...]
    federable: tuple[ApiResource, ...]


async def read(connection: Connection) -> Served:
    """Aggregated discovery: two requests, whatever the number of groups."""
    everything: list[ApiResource] = []
    federable: list[ApiResource] = []
    for path in ("/api", "/apis"):
        doing = f"{connection.name}: get {path}"
        answer = http.expect(await connection.request("GET", path, accept=_AGGREGATED, deadline=30.0), doing)
        document = answers.mapping(answer.json(doing), doing)
        if document.get("kind") != "APIGroupDiscoveryList":
            message = "no aggregated discovery (Kubernetes 1.27 and newer have it)"
            raise ApiFailure(Failure(FailureKind.UNEXPECTED, message), doing)
        try:
            verbs, resources_there = _verbs(document), discovery.resources(document)
        except (KeyError, TypeError, AttributeError):
            raise answers.wrong(doing) from None
        for resource in resources_there:
            everything.append(resource)
            if verbs.get((resource.group, resource.version, resource.plural), frozenset()) >= _NEEDED:
                federable.append(resource)
    return Served(tuple(everything), tuple(federable))


def choose(served: Served, name: str, version: str = "") -> ApiResource:
    """The one resource of this `name` (kind, plural, short name, plural.group), in `version` when given.

    Raises Refused with a similar name, with all resources of the name, or with the reason why it cannot be federated.
    """
    known = [each for each in served.federable if not _is_ours(each)]
    try:
        found = discovery.find(known, name)
    except NotFederable as error:
        raise _no_such(served, known, name, str(error)) from None
    if not version or version == found.version:
        return found
    versions = [each.version for each in known if each.qualified == found.qualified]
    if version not in versions:
        raise Refused(f"{found.qualified} is not served in version {version}", f"it is in {', '.join(versions)}")
    return next(each for each in known if each.qualified == found.qualified and each.version == version)


def in_version(served: Served, resource: ApiResource, options: Options) -> ApiResource:
    """The resource in the version in which it is enabled, where none is asked for and that one is served."""
    if options.version:
        return resource
    wanted = (resource.qualified, options.enabled_version)
    return next((each for each in served.federable if (each.qualified, each.version) == wanted), resource)


async def generate(connection: Connection, resource: ApiResource, options: Options) -> Generated:
    """The federated type for a served resource: from its CRD when it has one, else from the server's OpenAPI."""
    crd = None
    if "." in resource.group:
        crd = await applying.find(connection, resources.CRDS, ObjectName("", resource.qualified))
    try:
        if crd is not None:
            return federate.from_crd(crd, options)
        return federate.from_openapi(await document(connection, resource), resource, options)
    except NotFederable as error:
        raise Refused(f"{connection.name}: {resource.qualified} cannot be federated: {error}") from None


async def documents(connection: Connection) -> Mapping[str, str]:
    """Group version (`apps/v1`, `v1`) -> URL of its OpenAPI v3 document; the URL holds a hash of the document."""
    paths = answers.section(await applying.read(connection, "/openapi/v3"), "paths")
    found = {}
    for path in paths:
        root, _, name = path.partition("/")
        url = answers.section(paths, path).get("serverRelativeURL")
        if root in ("api", "apis") and name and isinstance(url, str) and url.startswith("/"):
            found[name] = url
    return found


async def document(connection: Connection, resource: ApiResource) -> dict[str, Any]:
    """The OpenAPI v3 document of the resource's group version. Refused when there is none."""
    url = (await documents(connection)).get(resource.api_version)
    if url is None:
        raise Refused(f"{connection.name}: no OpenAPI v3 document for {resource.api_version}")
    return await read_document(connection, url, deadline=30.0)


async def read_document(connection: Connection, url: str, *, deadline: float) -> dict[str, Any]:
    """The document that is now at a URL of `documents`.

    The hash is left out of the request: just after a change of a CRD the index still has the old hash, and the server
    answers 301 to a hash that is not its document's.
    """
    return await applying.read(connection, url.partition("?")[0], deadline=deadline)


def _verbs(document: Mapping[str, Any]) -> dict[tuple[str, str, str], frozenset[str]]:
    return {
        (group["metadata"].get("name", ""), version["version"], entry["resource"]): frozenset(entry.get("verbs") or ())
        for group in document.get("items") or ()
        for version in group.get("versions") or ()
        for entry in version.get("resources") or ()
    }


def _is_ours(resource: ApiResource) -> bool:
    return resource.group.endswith(".kubefed.io")


def _no_such(served: Served, known: list[ApiResource], name: str, reason: str) -> Refused:
    try:
        found = discovery.find(served.all, name)
    except NotFederable:
        found = None
    if found is not None and "ambiguous" not in reason:
        why = "belongs to the federation itself" if _is_ours(found) else "cannot be watched, applied and deleted"
        return Refused(f"{found.qualified} {why}, so it cannot be federated")
    if "ambiguous" in reason:
        return Refused(reason)
    words = sorted({each.plural for each in known} | {each.qualified for each in known})
    near = difflib.get_close_matches(name.lower(), words, n=3)
    return Refused(reason, f"did you mean {' or '.join(near)}?" if near else "see: kubectl api-resources")
