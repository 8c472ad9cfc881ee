"""Single objects at the host by name, and the versions of the controller and the clusters."""

import difflib
from collections.abc import Mapping
from typing import Any

import orjson

from federation import __version__
from federation.core import preferencespec, scrubbing
from federation.joining import applying, deploying, skew
from federation.joining.errors import Refused
from federation.kube import connection as http
from federation.kube.connection import MERGE_PATCH, Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES, PREFERENCES, ObjectName, Resource


async def one(connection: Connection, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
    """The object. Raises Refused, with a similar name, when there is none."""
    found = await applying.find(connection, resource, ObjectName(namespace, name))
    if found is not None:
        return found
    known = [each["metadata"]["name"] for each in await applying.listing(connection, resource, namespace, limit=500)]
    near = difflib.get_close_matches(name, known, n=1)
    where = f" in namespace {namespace}" if namespace else ""
    after = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known[:10])}" if known else ""
    if not known:
        where += ", nor any other" if await exists(connection, namespace) else ", which does not exist"
    raise Refused(f"{connection.name}: no {resource.kind.lower()} {name}{where}", after)


async def preference(
    connection: Connection, federated: Mapping[str, Any], namespace: str, name: str
) -> dict[str, Any] | None:
    """The ReplicaSchedulingPreference of a federated object; None where there is none, or nobody may read it."""
    if federated.get("kind") not in preferencespec.KINDS:
        return None
    try:
        found = await applying.find(connection, PREFERENCES, ObjectName(namespace, name))
    except ApiFailure:
        return None
    is_its = found is not None and (found.get("spec") or {}).get("targetKind") == federated["kind"]
    return found if is_its else None


async def exists(connection: Connection, namespace: str) -> bool:
    """Whether there is a namespace of that name; True where we may not read it."""
    if not namespace:
        return True
    try:
        return await applying.find(connection, NAMESPACES, ObjectName("", namespace)) is not None
    except ApiFailure:
        return True


async def annotate(
    connection: Connection,
    resource: Resource,
    namespace: str,
    name: str,
    annotations: Mapping[str, str | None],
    *,
    dry_run: bool = False,
) -> str:
    """Set annotations of the object (None removes one); returns the object's name for messages. Refused as by `one`.

    `dry_run` has the API server check the change and store nothing.
    """
    found = await one(connection, resource, namespace, name)
    where = ObjectName(namespace, name)
    metadata = {"uid": found["metadata"]["uid"], "annotations": annotations}
    answer = await applying.request(
        connection,
        "PATCH",
        resource.path(where),
        params={"fieldManager": applying.MANAGER} | ({"dryRun": "All"} if dry_run else {}),
        body=orjson.dumps({"metadata": metadata}),
        content_type=MERGE_PATCH,
    )
    label = applying.label(resource, where)
    http.expect(answer, f"{connection.name}: patch {label}")
    return label


async def versions(host: Connection, namespace: str) -> dict[str, Any]:
    """`controller` (the deployed image, "" for none), `skew` in words, `host` and `members` with their Kubernetes'.

    A host without the federation API has no members. Raises ApiFailure when the host does not answer.
    """
    kubernetes = scrubbing.line(str((await applying.read(host, "/version")).get("gitVersion", "")), 64)
    try:
        clusters = await applying.listing(host, KUBEFED_CLUSTERS, namespace)
    except ApiFailure as error:
        if error.failure.kind is not FailureKind.TYPE_MISSING:
            raise
        clusters = []
    image = deploying.image_of(await deploying.find(host, namespace))
    return {
        "controller": image,
        "skew": skew.said(__version__, deploying.tag(image)),
        "host": {"name": host.name, "kubernetes": kubernetes},
        "members": [
            {
                "name": each["metadata"]["name"],
                "kubernetes": str((each.get("status") or {}).get("kubernetesVersion", "")),
            }
            for each in clusters
        ],
    }
