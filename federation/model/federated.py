"""Federated objects and the types they belong to, as the hub's API serves them.

A federated object is decoded only as far as every event needs: its metadata. `spec` and `status` stay bytes
until a reconcile reads them, which keeps both memory and the cost of an event that changes nothing low.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from federation.model import bounds
from federation.model.marks import NAMESPACE_TYPE
from federation.model.policies import NOTHING_SAID, Policies
from federation.model.resources import ObjectName, Resource
from federation.model.statusrules import StatusCollection

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=bounds.LONGEST_NAME)]
Namespace = Annotated[str, msgspec.Meta(max_length=bounds.LONGEST_NAME)]
Opaque = Annotated[str, msgspec.Meta(max_length=bounds.LONGEST_ID)]
Generation = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


PUSH, PULL = "Push", "Pull"
"""The values of a KubeFedCluster's spec.syncMode; where it has none it is Push."""


class Metadata(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The part of ObjectMeta that decisions read."""

    name: Name
    namespace: Namespace = ""
    uid: Opaque = ""
    resource_version: Opaque = ""
    generation: Generation = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()
    deletion_timestamp: str | None = None
    generate_name: str = ""

    @property
    def broken(self) -> str:
        """Why the object cannot be read as it is; "" where it can. What can be read of its metadata is right."""
        return ""


class DatedMetadata(Metadata, frozen=True, rename="camel", gc=False):
    """With the time of creation, of Namespaces of the hub and of KubeFedConfigs: for all objects it would be much."""

    creation_timestamp: Opaque = ""


class BrokenMetadata(Metadata, frozen=True, gc=False):
    """Of an object that does not fit: there, nameable and deletable, and otherwise unknown."""

    why: str = ""

    @property
    def broken(self) -> str:
        """Why."""
        return self.why


class FederatedObject(msgspec.Struct, frozen=True, gc=False):
    """A Federated<Kind> as stored at the hub; `spec` and `status` are undecoded JSON (empty bytes when absent).

    `status_hash` stands in the place of a status that is remembered elsewhere (controllers.tracks.without_status).
    """

    metadata: Metadata
    spec: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()
    status_hash: int = 0

    @property
    def where(self) -> ObjectName:
        """Its namespace and name."""
        return ObjectName(self.metadata.namespace, self.metadata.name)

    @property
    def broken(self) -> str:
        """Why it cannot be planned, whatever its spec says; "" where it can."""
        return self.metadata.broken


class ReducedObject(FederatedObject, frozen=True, gc=False):
    """What is kept of a large object that is placed nowhere: `spec` holds its placement alone (controllers.thrift)."""


class StoredObject(msgspec.Struct, frozen=True):
    """Any other object of the hub that the controller reads whole: clusters, type configs, Secrets, settings."""

    metadata: Metadata
    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}
    data: dict[str, str] = {}
    type: str = ""

    def __repr__(self) -> str:
        return f"StoredObject({self.metadata.namespace}/{self.metadata.name})"  # data may be a Secret's

    @property
    def where(self) -> ObjectName:
        """Its namespace and name."""
        return ObjectName(self.metadata.namespace, self.metadata.name)

    @property
    def broken(self) -> str:
        """Why nothing may be concluded from its fields; "" where they can be read."""
        return self.metadata.broken

    @property
    def conditions(self) -> list[dict[str, Any]]:
        """status.conditions, as far as they are some."""
        found = self.status.get("conditions")
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    @property
    def pulls(self) -> bool:
        """Whether spec.syncMode of a KubeFedCluster is Pull: its agent fetches, and nobody here has a way to it."""
        return self.spec.get("syncMode") == PULL

    @property
    def secret_name(self) -> str:
        """spec.secretRef.name of a KubeFedCluster; "" where there is none."""
        reference = self.spec.get("secretRef")
        name = reference.get("name") if isinstance(reference, dict) else None
        return name if isinstance(name, str) else ""


@dataclass(frozen=True, slots=True)
class FederatedType:
    """An enabled type: a FederatedTypeConfig with KubeFed's defaults filled in.

    `equivalent` are versions of the target that may stand for each other, best first (marks.EQUIVALENT_ANNOTATION).
    `namespace` is the only one that it is followed in, at the hub and in members (scope Namespaced); "" is everywhere.
    `policies` are those that its FederatedTypeConfig sets. `collection` is how members' statuses are collected; None:
    they are not.
    """

    name: str
    target: Resource
    federated: Resource
    propagation: bool = True
    generation: int = 0
    equivalent: tuple[str, ...] = ()
    namespace: str = ""
    policies: Policies = NOTHING_SAID
    collection: StatusCollection | None = None

    @property
    def is_namespace(self) -> bool:
        """Whether this is the type that federates namespaces themselves."""
        return self.name == NAMESPACE_TYPE

    @property
    def in_namespaces(self) -> bool:
        """Whether a FederatedNamespace bounds each object: not where only one namespace is followed.

        By what the type is followed in, not by the settings: a type that is about to be followed anew by other settings
        still knows objects of every namespace.
        """
        return self.target.namespaced and not self.namespace


@dataclass(frozen=True, slots=True)
class Operation:
    """One JSON patch operation of an override; `op` is one of core.overrides.OPS."""

    op: str
    path: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an object should be. `clusters` wins over `selector`; both None selects nothing.

    `selector` is a metav1.LabelSelector as decoded JSON; {} selects every cluster.
    """

    clusters: tuple[str, ...] | None = None
    selector: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """A federated object's spec, checked: `template` None means absent (a FederatedNamespace may leave it out)."""

    template: Mapping[str, Any] | None = None
    placement: Placement = Placement()
    overrides: Mapping[str, tuple[Operation, ...]] = field(default_factory=dict)
    retain_replicas: bool = False
