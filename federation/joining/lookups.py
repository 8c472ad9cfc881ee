"""Single objects at the host by name, and the versions of all that takes part."""

import difflib
from collections.abc import Mapping
from typing import Any

import orjson

from federation.joining import applying
from federation.joining.errors import Refused
from federation.kube import connection as http
from federation.kube.connection import MERGE_PATCH, Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName, Resource

_DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
CONTROLLER = "kubefed-controller"


async def one(connection: Connection, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
    """The object, or Refused with the nearest name."""
    found = await applying.find(connection, resource, ObjectName(namespace, name))
    if found is not None:
        return found
    known = [each["metadata"]["name"] for each in await applying.listing(connection, resource, namespace, limit=500)]
    near = difflib.get_close_matches(name, known, n=1)
    where = f" in namespace {namespace}" if namespace else ""
    after = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known[:10]) or 'none'}"
    raise Refused(f"{connection.name}: no {resource.kind.lower()} {name}{where}", after)


async def annotate(
    connection: Connection, resource: Resource, namespace: str, name: str, annotations: Mapping[str, str | None]
) -> str:
    """Set annotations of the object (None: take it away); how messages name the object. Refused as by `one`."""
    found = await one(connection, resource, namespace, name)
    where = ObjectName(namespace, name)
    metadata = {"uid": found["metadata"]["uid"], "annotations": annotations}
    answer = await applying.ask(
        connection,
        "PATCH",
        resource.path(where),
        params={"fieldManager": applying.MANAGER},
        body=orjson.dumps({"metadata": metadata}),
        content_type=MERGE_PATCH,
    )
    label = applying.label(resource, where)
    http.expect(answer, f"{connection.name}: patch {label}")
    return label


async def versions(host: Connection, namespace: str) -> dict[str, Any]:
    """`controller` (the deployed image, "" when there is none), `host`, `members` with their Kubernetes versions.

    A host without the federation API has no members. Raises ApiFailure when the host does not answer.
    """
    kubernetes = str((await applying.read(host, "/version")).get("gitVersion", ""))
    try:
        clusters = await applying.listing(host, KUBEFED_CLUSTERS, namespace)
    except ApiFailure as error:
        if error.failure.kind is not FailureKind.TYPE_MISSING:
            raise
        clusters = []
    deployment = await applying.find(host, _DEPLOYMENTS, ObjectName(namespace, CONTROLLER))
    return {
        "controller": _image(deployment),
        "host": {"name": host.name, "kubernetes": kubernetes},
        "members": [
            {
                "name": each["metadata"]["name"],
                "kubernetes": str((each.get("status") or {}).get("kubernetesVersion", "")),
            }
            for each in clusters
        ],
    }


def _image(deployment: dict[str, Any] | None) -> str:
    if deployment is None:
        return ""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return str(containers[0].get("image", "")) if containers else ""
