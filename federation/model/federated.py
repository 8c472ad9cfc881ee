"""Federated objects and the types they belong to, as the hub's API serves them.

A federated object is decoded only as far as every event needs: its metadata. `spec` and `status` stay bytes
until a reconcile reads them, which keeps both memory and the cost of an event that changes nothing low.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from federation.model.marks import NAMESPACE_TYPE
from federation.model.resources import ObjectName, Resource


class Metadata(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The part of ObjectMeta that decisions read."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()
    deletion_timestamp: str | None = None


class FederatedObject(msgspec.Struct, frozen=True, gc=False):
    """A Federated<Kind> as stored at the hub; `spec` and `status` are undecoded JSON (empty bytes when absent)."""

    metadata: Metadata
    spec: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()

    @property
    def where(self) -> ObjectName:
        """Its namespace and name."""
        return ObjectName(self.metadata.namespace, self.metadata.name)


class StoredObject(msgspec.Struct, frozen=True):
    """Any other object of the hub that the controller reads whole: clusters, type configs, Secrets, settings."""

    metadata: Metadata
    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}
    data: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"StoredObject({self.metadata.namespace}/{self.metadata.name})"  # data may be a Secret's

    @property
    def where(self) -> ObjectName:
        """Its namespace and name."""
        return ObjectName(self.metadata.namespace, self.metadata.name)


@dataclass(frozen=True, slots=True)
class FederatedType:
    """An enabled type: what a FederatedTypeConfig says, with KubeFed's defaults filled in.

    `equivalent` are versions of the target that may stand for each other, best first (marks.EQUIVALENT_ANNOTATION).
    """

    name: str
    target: Resource
    federated: Resource
    propagation: bool = True
    status_collection: bool = False
    generation: int = 0
    equivalent: tuple[str, ...] = ()

    @property
    def is_namespace(self) -> bool:
        """Whether this is the type that federates namespaces themselves."""
        return self.name == NAMESPACE_TYPE


@dataclass(frozen=True, slots=True)
class Operation:
    """One JSON patch operation of an override (RFC 6902, KubeFed allows add, remove and replace)."""

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
