"""What the controllers need of the world, as Protocols; `kube` fits them and `app` introduces them.

A lane writes through MemberPort, so that another way to a member (an agent that fetches, one process that plays a
thousand members) is another MemberPort and nothing else.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from federation.core.managedfields import PartialMetadata
from federation.model.failures import Failure
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.resources import Key, ObjectName, Resource
from federation.model.status import Status

T_contra = TypeVar("T_contra", contravariant=True)


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

    async def would_create(self, resource: Resource, name: ObjectName, body: bytes) -> Failure | None:
        """Create as a dry run; ALREADY_EXISTS when only the object itself stands in the way."""

    async def delete(
        self, resource: Resource, name: ObjectName, uid: str, options: Mapping[str, Any], *, version: str = ""
    ) -> Failure | None:
        """Delete if the uid still fits, and the resourceVersion where one is given."""

    async def read(self, resource: Resource, name: ObjectName) -> PartialMetadata | Failure:
        """Metadata as it is now."""

    async def read_replicas(self, resource: Resource, name: ObjectName) -> int | Failure:
        """spec.replicas as it is now."""

    async def read_whole(self, resource: Resource, name: ObjectName) -> Mapping[str, Any] | Failure:
        """The object itself; never asked of a Secret."""


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

    async def read(self, resource: Resource, name: ObjectName) -> StoredObject | Failure:
        """One object as it is now."""

    async def read_federated(self, resource: Resource, name: ObjectName) -> FederatedObject | Failure:
        """One federated object as it is now."""


class Watch(Protocol):
    """One followed collection; see kube.reflector."""

    failure: Failure | None
    synced: bool
    contact: float

    async def run(self) -> None:
        """Follow it until cancelled."""

    def kick(self) -> None:
        """Do not sit out a wait: something changed that may help."""


class Sink(Protocol[T_contra]):
    """Whoever remembers what a watch says."""

    def replace(self, items: Iterable[T_contra]) -> None:
        """This is all there is."""

    def upsert(self, item: T_contra) -> None:
        """New or changed."""

    def remove(self, item: T_contra) -> None:
        """Gone."""


class Teller(Protocol):
    """Whoever makes events of what happens to a federated object; see controllers.events."""

    def status_changed(self, key: Key, federated: FederatedObject, before: Status, after: Status) -> None:
        """Its status was written."""

    def warned(self, key: Key, federated: FederatedObject, warnings: tuple[str, ...]) -> None:
        """Parts of its template were left out."""

    def recreating(self, key: Key, cluster: str, why: str) -> None:
        """Its copy in a cluster was deleted to be created anew."""


OnChange = Callable[[Watch], None]


class Discovered(Protocol):
    """One reading of a member's discovery; see kube.discovery."""

    def versions(self, group: str, plural: str) -> tuple[str, ...] | None:
        """The versions of a resource, best first; () when it has none, None when this reading cannot tell."""


class Gate(Protocol):
    """The way to one member with its current credentials; see kube.gates."""

    @property
    def writer(self) -> MemberPort:
        """Writes."""

    @property
    def token_lifetime(self) -> tuple[float, float] | None:
        """When the token was issued and when it ends (unix seconds); None when it does not end or is no JWT."""

    def admit(self, spec: Mapping[str, Any], secret: Mapping[str, str]) -> bool:
        """Take new credentials while connections live; False when the place changed and a new Gate is needed.

        Raises Unusable.
        """

    def watch(
        self, enabled: FederatedType, sink: Sink[PartialMetadata], on_change: OnChange, on_end: Callable[[], None]
    ) -> Watch:
        """Follow what the member holds of a type; `on_end` is told when the server ends a watch before its time."""

    async def discover(self) -> Discovered | Failure | None:
        """Which types it serves in which versions; None when it is too old to say."""

    async def identify(self, deadline: float) -> str | Failure:
        """The UID of its kube-system namespace: the authorised request that health is read from."""

    async def version(self) -> str | Failure:
        """Its Kubernetes version, such as `v1.36.3`."""

    async def topology(self) -> tuple[str, tuple[str, ...]] | Failure:
        """Region and zones of its nodes."""

    async def renew_token(self, lifetime: int) -> str | Failure:
        """Ask for a fresh token of the same service account."""

    async def close(self) -> None:
        """End all connections."""


class Gatekeeper(Protocol):
    """Opens Gates."""

    def open(self, name: str, spec: Mapping[str, Any], secret: Mapping[str, str]) -> Gate:
        """A Gate from a KubeFedCluster's spec and its Secret's data. Raises Unusable."""


class HubWatches(Protocol):
    """The collections followed at the hub."""

    def federated(self, enabled: FederatedType, sink: Sink[FederatedObject], on_change: OnChange) -> Watch:
        """Federated objects of one type, everywhere."""

    def system(self, resource: Resource, sink: Sink[StoredObject]) -> Watch:
        """Objects of one resource in the system namespace: KubeFedClusters, FederatedTypeConfigs, Secrets, ..."""

    def metadata(self, resource: Resource, sink: Sink[Metadata]) -> Watch:
        """Metadata of every object of one resource (Namespaces, CustomResourceDefinitions)."""
