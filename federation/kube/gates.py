"""The way to one member: its connection, its writer, its probes, and the renewal of its token."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
import orjson

from federation.core.managedfields import PartialMetadata
from federation.kube import decoding, discovery, kubeconfig, watches
from federation.kube.connection import METADATA, METADATA_LIST, Answer, Connection
from federation.kube.members import MemberWriter
from federation.kube.reflector import OnChange, OnEnd, Reflector, Sink
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import NAMESPACES, NODES, SERVICE_ACCOUNTS, ObjectName

T = TypeVar("T")

AGENT = "federation-controller"
_KUBE_SYSTEM = NAMESPACES.path(ObjectName("", "kube-system"))
_REGION = "topology.kubernetes.io/region"
_ZONE = "topology.kubernetes.io/zone"


class _Version(msgspec.Struct, gc=False):
    git_version: str = msgspec.field(name="gitVersion")


class _Token(msgspec.Struct, gc=False):
    token: str = ""


class _TokenRequest(msgspec.Struct, gc=False):
    status: _Token


_issued = msgspec.json.Decoder(_TokenRequest)
_version = msgspec.json.Decoder(_Version)


class Gate:
    """One member with its current credentials."""

    def __init__(self, name: str, spec: Mapping[str, Any], secret: Mapping[str, str], manager: str) -> None:
        self._connection = Connection(name, kubeconfig.stored(spec, secret), agent=AGENT)
        self.writer = MemberWriter(self._connection, manager)

    @property
    def token_lifetime(self) -> tuple[float, float] | None:
        """Issued at and ends at, in unix seconds, as the token itself says; None for tokens without an end."""
        claims = _claims(self._connection.endpoint.credentials.header)
        issued, ends = claims.get("iat"), claims.get("exp")
        if isinstance(issued, int | float) and isinstance(ends, int | float) and ends > issued:
            return float(issued), float(ends)
        return None

    def admit(self, spec: Mapping[str, Any], secret: Mapping[str, str]) -> bool:
        """Take new credentials; False when a new connection is needed. Raises Unusable."""
        endpoint = kubeconfig.stored(spec, secret)
        if not endpoint.same_place(self._connection.endpoint):
            return False
        self._connection.endpoint.credentials.header = endpoint.credentials.header
        return True

    def watch(
        self,
        enabled: FederatedType,
        sink: Sink[PartialMetadata],
        on_change: OnChange,
        on_end: OnEnd,
    ) -> Reflector[PartialMetadata]:
        """Follow what the member holds of a type."""
        return watches.holdings(self._connection, enabled, sink, on_change, on_end)

    async def discover(self) -> discovery.Discovered | Failure | None:
        """Which types it serves in which versions; None when it is too old to say."""
        return await discovery.served(self._connection)

    async def identify(self, deadline: float) -> str | Failure:
        """The UID of its kube-system namespace."""
        answer = await self._connection.request("GET", _KUBE_SYSTEM, accept=METADATA, deadline=deadline)
        metadata = _read(answer, decoding.metadata)
        if isinstance(metadata, Failure):
            return metadata
        return metadata.uid or Failure(FailureKind.UNEXPECTED, "the server names no UID of its kube-system namespace")

    async def version(self) -> str | Failure:
        """Its Kubernetes version."""
        version = _read(await self._connection.request("GET", "/version"), _version.decode)
        return version if isinstance(version, Failure) else version.git_version

    async def topology(self) -> tuple[str, tuple[str, ...]] | Failure:
        """Region and zones that its nodes' labels name (KubeFed reads the same)."""
        answer = await self._connection.request("GET", NODES.collection(), accept=METADATA_LIST)
        nodes = _read(answer, decoding.metadata_list)
        if isinstance(nodes, Failure):
            return nodes
        labels = [node.labels for node in nodes]
        regions = sorted({found[_REGION] for found in labels if found.get(_REGION)})
        zones = sorted({found[_ZONE] for found in labels if found.get(_ZONE)})
        return (regions[0] if regions else "", tuple(zones))

    async def renew_token(self, lifetime: int) -> str | Failure:
        """A fresh token of the service account that the current one names."""
        claims = _claims(self._connection.endpoint.credentials.header)
        parts = str(claims.get("sub", "")).split(":")
        if parts[:2] != ["system", "serviceaccount"] or len(parts) != 4:
            return Failure(FailureKind.UNEXPECTED, "the token is not a service account's: it cannot be renewed here")
        path = SERVICE_ACCOUNTS.path(ObjectName(parts[2], parts[3])) + "/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": max(600, lifetime)},
        }
        answer = await self._connection.request("POST", path, body=orjson.dumps(body), secret=True)
        token = _read(answer, _issued.decode)
        if isinstance(token, Failure):
            return token
        return token.status.token or Failure(FailureKind.UNEXPECTED, "TokenRequest answered no token")

    async def close(self) -> None:
        """End all connections."""
        await self._connection.close()


class Gatekeeper:
    """Opens Gates that write as one field manager."""

    def __init__(self, manager: str) -> None:
        self._manager = manager

    def open(self, name: str, spec: Mapping[str, Any], secret: Mapping[str, str]) -> Gate:
        """A Gate from a KubeFedCluster's spec and its Secret's data. Raises Unusable."""
        return Gate(name, spec, secret, self._manager)


def _read(answer: Answer | Failure, decode: Callable[[bytes], T]) -> T | Failure:
    if isinstance(answer, Failure):
        return answer
    try:
        return decode(answer.body)
    except msgspec.MsgspecError:
        return Failure(FailureKind.UNEXPECTED, "the server answers, but not as a Kubernetes API server does")


def _claims(header: str) -> dict[str, Any]:
    """A JWT's payload, unverified: only its owner's API server can verify it, and it told us so already."""
    parts = header.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
