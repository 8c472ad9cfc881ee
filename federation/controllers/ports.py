"""What the controllers need of the world, as Protocols; `kube` fits them and `app` introduces them.

A lane writes through MemberPort, so that another way to a member (an agent that fetches, one process that plays a
thousand members) is another MemberPort and nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from federation.core.managedfields import PartialMetadata
from federation.model.failures import Failure
from federation.model.federated import Metadata
from federation.model.resources import ObjectName, Resource


class Written(Protocol):
    """A write that succeeded."""

    @property
    def created(self) -> bool:
        """Whether there was no object before."""

    @property
    def metadata(self) -> PartialMetadata:
        """The object's metadata afterwards."""


class MemberPort(Protocol):
    """Writes to one member cluster under one field manager; see kube.members for the meaning of each."""

    @property
    def manager(self) -> str:
        """Our field manager."""

    async def apply(
        self, resource: Resource, name: ObjectName, body: bytes, *, force: bool, manager: str | None = None
    ) -> Written | Failure:
        """Server-side apply."""

    async def patch(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Written | Failure:
        """JSON patch of metadata."""

    async def delete(
        self, resource: Resource, name: ObjectName, uid: str, options: Mapping[str, Any]
    ) -> Failure | None:
        """Delete if the uid still fits."""

    async def read(self, resource: Resource, name: ObjectName) -> PartialMetadata | Failure:
        """Metadata as it is now."""

    async def read_replicas(self, resource: Resource, name: ObjectName) -> int | Failure:
        """spec.replicas by the scale subresource."""


class HubPort(Protocol):
    """Writes to the hub; see kube.hub."""

    async def set_finalizers(
        self, resource: Resource, metadata: Metadata, finalizers: tuple[str, ...]
    ) -> Metadata | Failure:
        """Replace finalizers under optimistic locking."""

    async def set_status(self, resource: Resource, name: ObjectName, body: bytes) -> Metadata | Failure:
        """Merge patch of the status subresource."""

    async def merge(
        self, resource: Resource, name: ObjectName, body: bytes, *, subresource: str = ""
    ) -> Metadata | Failure:
        """Merge patch."""

    async def create(self, resource: Resource, namespace: str, body: Any) -> Failure | None:
        """POST."""
