"""What the host knows: its members, its enabled types, itself; read once at the start of a verb.

A malformed FederatedTypeConfig or KubeFedCluster is told about and left out: it must not keep others from working.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federation.core import parsing
from federation.joining import answers, applying
from federation.joining.errors import NotInstalled
from federation.kube.connection import Connection
from federation.model import resources
from federation.model.errors import ApiFailure, Invalid
from federation.model.failures import FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import ObjectName

KUBE_SYSTEM = ObjectName("", "kube-system")

UID_ANNOTATION = "kubefed.io/cluster-uid"
"""On a KubeFedCluster: the UID of the member's kube-system namespace, recorded at join."""

ACCOUNT_ANNOTATION = "kubefed.io/service-account"
"""On a KubeFedCluster: the service account in the member that its token belongs to."""

RIGHTS_ANNOTATION = "kubefed.io/rights"
"""On a KubeFedCluster: `types` (least privilege, follows enable and disable) or `all`."""

CLUSTER_ANNOTATION = "kubefed.io/cluster"
"""On the Secret with a member's token: the KubeFedCluster that it belongs to."""


@dataclass(frozen=True, slots=True)
class Member:
    """A KubeFedCluster. `uid`, `account` and `rights` are "" where kubefedctl or a person made it."""

    name: str
    server: str
    secret: str
    uid: str = ""
    account: str = ""
    rights: str = ""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The host's members and types; `problems` are objects that could not be read, in words."""

    uid: str
    members: tuple[Member, ...] = ()
    types: tuple[FederatedType, ...] = ()
    problems: tuple[str, ...] = ()

    def member(self, name: str) -> Member | None:
        """The member of that name."""
        return next((member for member in self.members if member.name == name), None)

    @property
    def enabled(self) -> tuple[FederatedType, ...]:
        """The types that are propagated now."""
        return tuple(each for each in self.types if each.propagation)


def member(cluster: Mapping[str, Any]) -> Member:
    """A KubeFedCluster's facts."""
    metadata, spec = cluster["metadata"], cluster.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    return Member(
        name=metadata["name"],
        server=str(spec.get("apiEndpoint", "")).rstrip("/"),
        secret=str((spec.get("secretRef") or {}).get("name", "")),
        uid=annotations.get(UID_ANNOTATION) or str((cluster.get("status") or {}).get("clusterUID", "")),
        account=annotations.get(ACCOUNT_ANNOTATION, ""),
        rights=annotations.get(RIGHTS_ANNOTATION, ""),
    )


async def cluster_uid(connection: Connection) -> str:
    """Who a cluster is: the UID of its kube-system namespace."""
    found = await applying.find(connection, resources.NAMESPACES, KUBE_SYSTEM)
    uid = found["metadata"].get("uid") if found else None
    if not isinstance(uid, str):
        raise answers.wrong(f"{connection.name}: get namespace kube-system")
    return uid


async def read(host: Connection, namespace: str) -> Fleet:
    """The host's facts. NotInstalled when its API or its system namespace is not there."""
    install = f"run: fedctl init --host-cluster-context {host.name}"
    if await applying.find(host, resources.NAMESPACES, ObjectName("", namespace)) is None:
        raise NotInstalled(
            f"{host.name}: there is no namespace {namespace}, so no federation lives there",
            f"{install}, or name another with --kubefed-namespace",
        )
    try:
        clusters = await applying.listing(host, resources.KUBEFED_CLUSTERS, namespace)
        configs = await applying.listing(host, resources.TYPE_CONFIGS, namespace)
    except ApiFailure as error:
        if error.failure.kind is FailureKind.TYPE_MISSING:
            raise NotInstalled(f"{host.name}: the federation API is not installed there", install) from None
        raise
    types, problems = [], []
    for config in configs:
        try:
            types.append(parsing.type_config(config))
        except Invalid as error:
            problems.append(f"{host.name}: federatedtypeconfig {config['metadata']['name']} is left out: {error}")
    return Fleet(await cluster_uid(host), tuple(member(each) for each in clusters), tuple(types), tuple(problems))


async def secret(host: Connection, namespace: str, name: str) -> dict[str, Any] | None:
    """The Secret with a member's credentials, or None."""
    return await applying.find(host, resources.SECRETS, ObjectName(namespace, name)) if name else None


def holds_credentials(found: Mapping[str, Any] | None) -> bool:
    """Whether a Secret has what a member needs: a token, or a kubeconfig (ours)."""
    data = (found or {}).get("data") or {}
    for key in ("token", "kubeconfig"):
        try:
            if base64.b64decode(data.get(key) or "").strip():
                return True
        except (binascii.Error, ValueError):
            continue  # not base64: as good as absent, and the server would not have stored it
    return False
