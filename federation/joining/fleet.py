"""The host's members and enabled types, and its identity; read once at the start of a verb.

A malformed FederatedTypeConfig is reported and left out, so that it does not keep the others from working.
"""

import base64
import binascii
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federation.core import binding, configuration
from federation.core.binding import Credentials
from federation.joining import answers, applying
from federation.joining.errors import NotInstalled
from federation.kube.connection import Connection
from federation.model import marks, resources
from federation.model.conditions import ClusterConditionType
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import FailureKind
from federation.model.federated import PULL, FederatedType, StoredObject
from federation.model.policies import NOTHING_SAID, Policies
from federation.model.resources import ObjectName, Resource

KUBE_SYSTEM = ObjectName("", "kube-system")
NAMESPACED = "Namespaced"
"""The scope of a federation that is one namespace."""

UID_ANNOTATION = "kubefed.io/cluster-uid"
"""On a KubeFedCluster: the member's identity, recorded at join; see marks.IDENTITY_ANNOTATION."""

ACCOUNT_ANNOTATION = "kubefed.io/service-account"
"""On a KubeFedCluster: the service account in the member that its token belongs to."""

RIGHTS_ANNOTATION = "kubefed.io/rights"
"""On a KubeFedCluster: `types` (only what the enabled types need) or `all`."""


@dataclass(frozen=True, slots=True)
class Member:
    """A KubeFedCluster. `uid`, `account` and `rights` are "" where kubefedctl or a person made it.

    `uid` is the member's identity, and `namespace` the federation's, at the host and there. `pulls`: it is in pull
    mode, so that the host has neither its address nor credentials for it.
    """

    name: str
    server: str
    secret: str
    uid: str = ""
    account: str = ""
    rights: str = ""
    namespace: str = ""
    pulls: bool = False


@dataclass(frozen=True, slots=True)
class Fleet:
    """The host's members and types; `problems` are messages about objects that could not be read.

    `clusters` are the members' KubeFedClusters as they were read. `namespaced`: the scope is Namespaced. `space` is
    the identity that the host's own namespace gives it (own_identity).
    """

    uid: str
    members: tuple[Member, ...] = ()
    types: tuple[FederatedType, ...] = ()
    problems: tuple[str, ...] = ()
    clusters: tuple[Mapping[str, Any], ...] = ()
    namespaced: bool = False
    space: str = ""

    def member(self, name: str) -> Member | None:
        """The member of that name."""
        return next((member for member in self.members if member.name == name), None)

    @property
    def enabled(self) -> tuple[FederatedType, ...]:
        """The types that are propagated now."""
        return tuple(each for each in self.types if each.propagation)


def member(cluster: Mapping[str, Any]) -> Member:
    """The Member that a KubeFedCluster describes."""
    metadata, spec = cluster["metadata"], cluster.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    return Member(
        name=metadata["name"],
        server=binding.api_endpoint(str(spec.get("apiEndpoint") or "")).rstrip("/"),
        secret=str((spec.get("secretRef") or {}).get("name", "")),
        uid=annotations.get(UID_ANNOTATION) or str((cluster.get("status") or {}).get("clusterUID", "")),
        account=annotations.get(ACCOUNT_ANNOTATION, ""),
        rights=annotations.get(RIGHTS_ANNOTATION, ""),
        namespace=str(metadata.get("namespace") or ""),
        pulls=spec.get("syncMode") == PULL,
    )


def of_stored(found: StoredObject) -> Member:
    """The same, of one that was decoded."""
    known = found.metadata
    meta = {"name": known.name, "namespace": known.namespace, "annotations": known.annotations}
    return member({"metadata": meta, "spec": found.spec, "status": found.status})


async def cluster_uid(connection: Connection) -> str:
    """A cluster's identity: the UID of its kube-system namespace."""
    return await _uid(connection, KUBE_SYSTEM.name) or ""


async def own_identity(connection: Connection, namespace: str) -> str:
    """The identity that a federation's own namespace gives a cluster; "" where there is no such namespace."""
    uid = await _uid(connection, namespace, absent=True)
    return f"{marks.OWN_NAMESPACE}{uid}" if uid else ""


async def shown(connection: Connection, member: Member) -> str:
    """The identity that a cluster shows, of the kind that is recorded for this member."""
    if member.uid.startswith(marks.OWN_NAMESPACE):
        return await own_identity(connection, member.namespace)
    try:
        return await cluster_uid(connection)
    except ApiFailure as error:
        if member.uid or error.failure.kind is not FailureKind.RIGHT_MISSING:
            raise
        return await own_identity(connection, member.namespace)


async def _uid(connection: Connection, namespace: str, *, absent: bool = False) -> str | None:
    found = await applying.find(connection, resources.NAMESPACES, ObjectName("", namespace))
    if found is None and absent:
        return None
    uid = found["metadata"].get("uid") if found else None
    if not isinstance(uid, str):
        raise answers.wrong(f"{connection.name}: get namespace {namespace}")
    return uid


async def read(host: Connection, namespace: str) -> Fleet:
    """The host's members and types. Raises NotInstalled when its API or its system namespace does not exist."""
    space = await expect_namespace(host, namespace)
    clusters = await listing(host, resources.KUBEFED_CLUSTERS, namespace)
    configs = await listing(host, resources.TYPE_CONFIGS, namespace)
    types, problems = [], []
    for config in configs:
        try:
            types.append(configuration.type_config(config))
        except Invalid as error:
            problems.append(f"{host.name}: federatedtypeconfig {config['metadata']['name']} is left out: {error}")
    members = tuple(member(each) for each in clusters)
    return Fleet(
        await cluster_uid(host),
        members,
        tuple(types),
        tuple(problems),
        tuple(clusters),
        namespaced=await is_namespaced(host, namespace),
        space=space,
    )


async def is_namespaced(host: Connection, namespace: str) -> bool:
    """Whether the scope of the KubeFedConfig is Namespaced."""
    found = await applying.find(host, resources.KUBEFED_CONFIGS, ObjectName(namespace, marks.CONFIG))
    return scope_of(found) == NAMESPACED


def scope_of(config: Mapping[str, Any] | None) -> str:
    """The scope that a KubeFedConfig names; "" where it names none."""
    return str(((config or {}).get("spec") or {}).get("scope") or "")


async def policies(host: Connection, namespace: str, federated: Resource) -> tuple[Policies, Policies]:
    """What the FederatedTypeConfig of a federated type, and the KubeFedConfig, say of policies; nothing where they are
    not there or cannot be understood."""
    of_type, of_all = NOTHING_SAID, NOTHING_SAID
    for config in await listing(host, resources.TYPE_CONFIGS, namespace):
        with contextlib.suppress(Invalid):
            found = configuration.type_config(config)
            of_type = found.policies if found.federated.qualified == federated.qualified else of_type
    for config in await listing(host, resources.KUBEFED_CONFIGS, namespace):
        with contextlib.suppress(Invalid):
            if config["metadata"]["name"] == marks.CONFIG:
                of_all = configuration.settings(config.get("spec")).policies
    return of_type, of_all


async def expect_namespace(host: Connection, namespace: str) -> str:
    """The host's identity by its system namespace. Raises NotInstalled when that is not there."""
    space = await own_identity(host, namespace)
    if not space:
        raise NotInstalled(
            f"{host.name}: there is no namespace {namespace}, so no federation is installed there",
            f"{_install(host)}, or give another namespace with --kubefed-namespace",
        )
    return space


async def listing(host: Connection, resource: Resource, namespace: str, *, selector: str = "") -> list[dict[str, Any]]:
    """Objects of a kind at the host. Raises NotInstalled when the host does not serve one of the federation's kinds."""
    try:
        return await applying.listing(host, resource, namespace, selector=selector)
    except ApiFailure as error:
        if error.failure.kind is FailureKind.TYPE_MISSING and resource.group == resources.KUBEFED_CLUSTERS.group:
            raise NotInstalled(f"{host.name}: the federation API is not installed there", _install(host)) from None
        raise


def _install(host: Connection) -> str:
    return f"run: fedctl init --host-cluster-context {host.name}"


async def secret(host: Connection, namespace: str, name: str) -> dict[str, Any] | None:
    """The Secret with a member's credentials, or None."""
    return await applying.find(host, resources.SECRETS, ObjectName(namespace, name)) if name else None


def credentials(found: Mapping[str, Any]) -> Credentials:
    """A Secret as core.binding looks at it."""
    metadata = found["metadata"]
    return Credentials(
        ObjectName(metadata.get("namespace") or "", metadata["name"]),
        metadata.get("annotations") or {},
        found.get("data") or {},
        str(found.get("type") or ""),
        str(metadata.get("generateName") or ""),
    )


def token(found: Mapping[str, Any] | None) -> str:
    """The token that a Secret holds; "" when it holds none that can be read."""
    try:
        return base64.b64decode(((found or {}).get("data") or {}).get("token") or "").decode("ascii").strip()
    except (binascii.Error, ValueError):
        return ""


def holds_credentials(found: Mapping[str, Any] | None) -> bool:
    """Whether a Secret has credentials for a member: a token, or a kubeconfig (not in KubeFed)."""
    data = (found or {}).get("data") or {}
    for key in ("token", "kubeconfig"):
        try:
            if base64.b64decode(data.get(key) or "").strip():
                return True
        except (binascii.Error, ValueError):
            continue  # not base64, which an API server does not store: as if it were absent
    return False


def readiness(cluster: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A KubeFedCluster's condition Ready, if the controller has set one."""
    conditions = ((cluster or {}).get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == ClusterConditionType.READY), None)
