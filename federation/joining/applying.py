"""Read, apply and delete single objects for the joining steps: each an HTTP request, each failure an ApiFailure.

Objects are applied server-side by the manager `fedctl`, with force: fedctl owns the fields that it installs, and what
others add to the same objects (labels, other keys) stays. Messages name the cluster, the verb and the object.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from federation.joining import answers
from federation.joining.errors import NotConfirmed
from federation.kube import connection as http
from federation.kube.connection import APPLY_PATCH, Answer, Connection
from federation.model import resources
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.resources import SECRETS, ObjectName, Resource

MANAGER = "fedctl"
PAGE = "500"
PATIENCE = 10.0
"""Seconds for which a request is repeated when the server answers 429."""
Manifest = Mapping[str, Any]
Report = Callable[[str], None]

SILENT = (FailureKind.UNREACHABLE, FailureKind.TIMED_OUT)
"""A server that does not answer at all."""
_ABSENT = frozenset({FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING})
_ADMISSION = "admissionregistration.k8s.io"
VALIDATING_POLICIES = Resource(
    _ADMISSION, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", namespaced=False
)
VALIDATING_POLICY_BINDINGS = Resource(
    _ADMISSION, "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", namespaced=False
)
MUTATING_POLICIES = Resource(_ADMISSION, "v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", namespaced=False)
MUTATING_POLICY_BINDINGS = Resource(
    _ADMISSION, "v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", namespaced=False
)
_RESOURCES = {
    (resource.api_version, resource.kind): resource
    for resource in (
        resources.NAMESPACES,
        resources.SECRETS,
        resources.SERVICE_ACCOUNTS,
        resources.CLUSTER_ROLES,
        resources.CLUSTER_ROLE_BINDINGS,
        resources.ROLES,
        resources.ROLE_BINDINGS,
        resources.CRDS,
        resources.KUBEFED_CLUSTERS,
        resources.KUBEFED_CONFIGS,
        resources.TYPE_CONFIGS,
        Resource("", "v1", "Service", "services", namespaced=True),
        Resource("apps", "v1", "Deployment", "deployments", namespaced=True),
        Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", namespaced=True),
        Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", namespaced=True),
        VALIDATING_POLICIES,
        VALIDATING_POLICY_BINDINGS,
        MUTATING_POLICIES,
        MUTATING_POLICY_BINDINGS,
    )
}


class Outcome(enum.StrEnum):
    """What became of one object, in kubectl's words."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    ABSENT = "not found"


def resource_of(manifest: Manifest) -> Resource:
    """The resource of a manifest of ours; KeyError for a kind that no step applies (a bug)."""
    return _RESOURCES[manifest["apiVersion"], manifest["kind"]]


def name_of(manifest: Manifest) -> ObjectName:
    """Its namespace and name."""
    return ObjectName(manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])


def label(resource: Resource, name: ObjectName) -> str:
    """How messages name an object: `serviceaccount kube-federation-system/east-host`."""
    return f"{resource.kind.lower()} {name}"


async def request(connection: Connection, method: str, path: str, **how: Any) -> Answer | Failure:
    """A request that is repeated while the server answers 429 (it is overloaded, or a new CRD's storage starts).

    `how` are the keyword arguments of Connection.request.
    """
    answer = await connection.request(method, path, **how)
    waited = 0.0
    while isinstance(answer, Failure) and answer.kind is FailureKind.THROTTLED and waited < PATIENCE:
        pause = min(answer.retry_after or 0.5, PATIENCE)
        await asyncio.sleep(pause)
        waited += pause
        answer = await connection.request(method, path, **how)
    return answer


async def find(connection: Connection, resource: Resource, name: ObjectName) -> dict[str, Any] | None:
    """The object, or None when it does not exist."""
    answer = await request(connection, "GET", resource.path(name), secret=is_secret(resource))
    if isinstance(answer, Failure) and answer.kind in _ABSENT:
        return None
    doing = f"{connection.name}: get {label(resource, name)}"
    return answers.kubernetes_object(http.expect(answer, doing).json(doing), doing)


async def read(connection: Connection, path: str, *, deadline: float = http.DEADLINE) -> dict[str, Any]:
    """The JSON object at a path that is no resource's (/version, /openapi/v3)."""
    doing = f"{connection.name}: get {path}"
    answer = await request(connection, "GET", path, deadline=deadline)
    return answers.mapping(http.expect(answer, doing).json(doing), doing)


async def listing(
    connection: Connection,
    resource: Resource,
    namespace: str = "",
    *,
    selector: str = "",
    limit: int = 0,
    accept: str = http.JSON,
) -> list[dict[str, Any]]:
    """Every object of a resource (page by page), or the first `limit`. Raises ApiFailure where it is not served."""
    params = {"limit": str(limit) if limit else PAGE}
    if selector:
        params["labelSelector"] = selector
    found: list[dict[str, Any]] = []
    while True:
        answer = await request(
            connection,
            "GET",
            resource.collection(namespace),
            params=params,
            accept=accept,
            deadline=30.0,
            secret=is_secret(resource),
        )
        doing = f"{connection.name}: list {resource.qualified}"
        page, token = answers.page(http.expect(answer, doing).json(doing), doing)
        found += page
        if not token or (limit and len(found) >= limit):
            return found
        params["continue"] = token


async def metadata(connection: Connection, resource: Resource) -> list[dict[str, Any]]:
    """The metadata of every object of a resource: whole CRDs would be megabytes."""
    return await listing(connection, resource, accept=http.METADATA_LIST)


async def apply(connection: Connection, manifest: Manifest, *, dry_run: bool = False) -> Outcome:
    """Server-side apply; `dry_run` lets the server check and refuse without storing anything."""
    resource, name = resource_of(manifest), name_of(manifest)
    accept = http.JSON if dry_run else http.METADATA
    before = await request(connection, "GET", resource.path(name), accept=accept, secret=is_secret(resource))
    query = {"fieldManager": MANAGER, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
    answer = await request(
        connection,
        "PATCH",
        f"{resource.path(name)}?{urlencode(query)}",
        body=orjson.dumps(manifest),
        content_type=APPLY_PATCH,
        accept=accept,
        secret=is_secret(resource),
    )
    doing = f"{connection.name}: apply {label(resource, name)}"
    after = http.expect(answer, doing)
    stored = answers.kubernetes_object(after.json(doing), doing)
    if after.code == 201:
        return Outcome.CREATED
    if isinstance(before, Failure):
        return Outcome.CONFIGURED
    found = answers.kubernetes_object(before.json(doing), doing)
    # A dry run gets no new resourceVersion, so there the content is compared.
    same = _content(found) == _content(stored) if dry_run else _version(found) == _version(stored)
    return Outcome.UNCHANGED if same else Outcome.CONFIGURED


async def apply_all(connection: Connection, manifests: Sequence[Manifest], report: Report) -> None:
    """Apply in order, and report each outcome."""
    for manifest in manifests:
        outcome = await apply(connection, manifest)
        report(f"{connection.name}: {label(resource_of(manifest), name_of(manifest))} {outcome}")


async def delete(connection: Connection, resource: Resource, name: ObjectName) -> Outcome:
    """Delete in the background; ABSENT, which is no error, when the object did not exist."""
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    path = resource.path(name)
    answer = await request(connection, "DELETE", path, body=orjson.dumps(body), secret=is_secret(resource))
    if isinstance(answer, Failure) and answer.kind in (*_ABSENT, FailureKind.TYPE_MISSING):
        return Outcome.ABSENT
    doing = f"{connection.name}: delete {label(resource, name)}"
    answers.mapping(http.expect(answer, doing).json(doing), doing)
    return Outcome.DELETED


async def until(check: Callable[[], Awaitable[bool]], *, timeout: float, what: str, hint: str = "") -> None:
    """Call `check` at growing intervals until it returns True. Raises NotConfirmed after `timeout` seconds."""
    pause = 0.05
    try:
        async with asyncio.timeout(timeout):
            while not await check():
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 1.0)
    except TimeoutError:
        raise NotConfirmed(f"{what}: not within {timeout:g} s", hint) from None


async def wait_established(connection: Connection, names: list[str], *, timeout: float = 60.0) -> None:
    """Wait until the API server serves these CRDs. Raises ApiFailure at once for one whose names are taken."""
    waiting = dict.fromkeys(names)

    async def established() -> bool:
        for name in list(waiting):
            crd = await find(connection, resources.CRDS, ObjectName("", name))
            conditions = {entry["type"]: entry for entry in ((crd or {}).get("status") or {}).get("conditions") or ()}
            refused = conditions.get("NamesAccepted", {})
            if refused.get("status") == "False":
                message = f"crd {name}: its names are taken: {refused.get('message', '')}"
                raise ApiFailure(Failure(FailureKind.INVALID, message), f"{connection.name}: install")
            if conditions.get("Established", {}).get("status") != "True":
                return False
            del waiting[name]
        return True

    await until(established, timeout=timeout, what=f"{connection.name}: crd {', '.join(names)} to be established")


def is_secret(resource: Resource) -> bool:
    """Whether error messages about this resource may quote credentials."""
    return resource == SECRETS


def _version(holder: Mapping[str, Any]) -> str:
    return str(holder["metadata"].get("resourceVersion", ""))


def _content(found: Mapping[str, Any]) -> dict[str, Any]:
    """An object without the metadata that the server changes by itself."""
    own = ("managedFields", "resourceVersion", "generation")
    return {**found, "metadata": {key: value for key, value in found["metadata"].items() if key not in own}}
