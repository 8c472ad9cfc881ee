"""Which resources an API server serves in which versions: aggregated discovery, one request for all API groups.

Servers older than Kubernetes 1.27 answer with the old list of groups, which does not name resources: the result is then
None, and the controller goes on as if every version were served. The core group is not requested: it has only ever had
one version, v1.
"""

import msgspec

from federation.core import checks
from federation.kube import decoding
from federation.kube.connection import JSON, Connection
from federation.model import bounds
from federation.model.failures import Failure, FailureKind

ACCEPT = f"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,{JSON}"
DEADLINE = 15.0
"""Seconds: a server with thousands of custom types sends megabytes."""
_MOST_MAPS = 150_000
"""JSON objects (resources, versions, kinds) in one answer; five thousand custom types have some twenty thousand."""
_MOST_VERSIONS = 20
"""Of one resource: versions become part of URLs and of messages."""


class _Resource(msgspec.Struct, gc=False):
    resource: str


class _Version(msgspec.Struct, gc=False):
    version: str
    resources: tuple[_Resource, ...] = ()
    freshness: str = "Current"


class _Metadata(msgspec.Struct, gc=False):
    name: str = ""


class _Group(msgspec.Struct, gc=False):
    metadata: _Metadata
    versions: tuple[_Version, ...] = ()


class _Groups(msgspec.Struct, gc=False):
    kind: str = ""
    items: tuple[_Group, ...] = ()


_groups = msgspec.json.Decoder(_Groups)


async def served(connection: Connection) -> "Discovered | Failure | None":
    """What the server serves; None when it is too old for aggregated discovery."""
    answer = await connection.request(
        "GET", "/apis", accept=ACCEPT, deadline=DEADLINE, largest=bounds.LARGEST_DISCOVERY
    )
    if isinstance(answer, Failure):
        return answer
    if answer.body.count(b"{") > _MOST_MAPS:
        return Failure(FailureKind.UNEXPECTED, "the server's discovery document is larger than any server's should be")
    try:
        found = _groups.decode(answer.body)
    except decoding.ERRORS:
        return Failure(FailureKind.UNEXPECTED, "the server's discovery document cannot be read")
    return Discovered(found.items) if found.kind == "APIGroupDiscoveryList" else None


class Discovered:
    """What one discovery document lists."""

    def __init__(self, groups: tuple[_Group, ...]) -> None:
        self._groups = {group.metadata.name: group for group in groups}

    def versions(self, group: str, plural: str) -> tuple[str, ...] | None:
        """The versions of a resource, the server's preferred one first; () when it serves none.

        None when that is unknown: for the core group, and when an aggregated API server was not reached.
        """
        if not group:
            return None
        found = self._groups.get(group)
        if found is None:
            return ()
        if any(version.freshness != "Current" for version in found.versions):
            return None
        return tuple(
            version.version
            for version in found.versions
            if any(resource.resource == plural for resource in version.resources) and checks.is_version(version.version)
        )[:_MOST_VERSIONS]
