"""What the controllers need of the world, as Protocols; `kube` fits them and `app` introduces them.

A lane has a cluster's Carrier carry out what is decided. Another way to a cluster (an agent that fetches) is another
Carrier. That of push writes through a MemberPort, so that another kind of member that is written to (one process that
plays a thousand) is another MemberPort.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from federation.core.managedfields import PartialMetadata
from federation.core.proof import Proof
from federation.core.remotestatus import WholeCopy
from federation.model.failures import Failure
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.resources import Key, ObjectName, Resource
from federation.model.status import Status
from federation.model.statusrules import StatusCollection

if TYPE_CHECKING:
    from federation.controllers.learning import Turn
    from federation.controllers.outcomes import Outcome, Prove

T_contra = TypeVar("T_contra", contravariant=True)


class Carrier(Protocol):
    """The way by which commands reach one cluster; that of push is push.Pusher."""

    @property
    def manager(self) -> str:
        """The field manager as which the cluster's objects are written."""

    async def carry_out(self, turn: "Turn", prove: "Prove | None") -> "Outcome":
        """Carry out the turn's command. Whatever the cluster, or what is in between, refuses is in the Outcome.

        `prove` is called right before something goes that the hub may want to keep; None: nothing does.
        """


class Written(Protocol):
    """A write that succeeded."""

    @property
    def created(self) -> bool:
        """Whether there was no object before."""

    @property
    def metadata(self) -> PartialMetadata:
        """The object's metadata afterwards."""

    @property
    def size(self) -> int:
        """Bytes of the whole object; 0 where it was not requested."""

    def content(self) -> Mapping[str, Any] | None:
        """The whole object, decoded anew; None where it was not requested or cannot be read."""

    def likeness(self) -> Hashable:
        """Equal where two answers show the same but for identity, times and status; None where that is not known."""


class Whole(Protocol):
    """A member's object as it is now."""

    @property
    def metadata(self) -> PartialMetadata:
        """Its metadata."""

    @property
    def content(self) -> Mapping[str, Any]:
        """All of it."""

    @property
    def size(self) -> int:
        """Its bytes."""


class MemberPort(Protocol):
    """Writes to one member cluster under one field manager; see kube.members for the meaning of each."""

    @property
    def manager(self) -> str:
        """Our field manager."""

    async def apply(
        self,
        resource: Resource,
        name: ObjectName,
        body: bytes,
        *,
        force: bool,
        manager: str | None = None,
        whole: bool = False,
        dry_run: bool = False,
    ) -> Written | Failure:
        """Server-side apply; `whole` asks for the object afterwards. `dry_run`: nothing is written."""

    async def patch(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Written | Failure:
        """JSON patch of metadata."""

    async def let_go(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]], proof: Proof
    ) -> Written | Failure:
        """JSON patch of metadata that takes our label off."""

    async def would_create(self, resource: Resource, name: ObjectName, body: bytes) -> Failure | None:
        """Create as a dry run; ALREADY_EXISTS when only the object itself stands in the way."""

    async def delete(
        self,
        resource: Resource,
        name: ObjectName,
        uid: str,
        options: Mapping[str, Any],
        proof: Proof,
        *,
        version: str = "",
    ) -> Failure | None:
        """Delete if the uid still fits, and the resourceVersion where one is given."""

    async def read(self, resource: Resource, name: ObjectName) -> PartialMetadata | Failure:
        """Metadata as it is now."""

    async def read_replicas(self, resource: Resource, name: ObjectName) -> int | Failure:
        """spec.replicas as it is now."""

    async def read_whole(self, resource: Resource, name: ObjectName) -> Whole | Failure:
        """The object itself; never asked of a Secret."""

    async def would_become(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | Failure:
        """What a JSON patch would make of it, by a dry run."""


class WorksPort(MemberPort, Protocol):
    """Writes of ManifestWorks at the hub; see kube.handedworks."""

    async def create(self, name: ObjectName, body: bytes) -> Written | Failure:
        """Create; ALREADY_EXISTS where there is one of this name."""

    async def merge(self, name: ObjectName, body: bytes) -> Written | Failure:
        """JSON merge patch; UID_MISMATCH where the body names another uid."""

    async def edit(
        self, name: ObjectName, operations: Sequence[Mapping[str, Any]], *, secret: bool
    ) -> Written | Failure:
        """JSON patch of a whole work; INVALID where one of its tests fails. `secret`: it has a Secret."""


class JoinedPort(MemberPort, Protocol):
    """The way to a joined member: beside writes, what is asked of all that is there."""

    async def unschedulable(self, namespace: str, selector: str) -> Sequence[float] | Failure:
        """Since when pods that a label selector selects have been unschedulable: seconds of the epoch, its clock."""

    async def others_in(self, namespace: str, types: Sequence[Resource]) -> str:
        """What of others is in a namespace, as `has Pod "db" in it`, or why that is not known; "" where nothing is."""


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

    async def written(self, resource: Resource, name: ObjectName) -> Sequence[str] | Failure:
        """When an object was written, status aside: the times of its managedFields as it is now."""

    async def read_metadata(self, resource: Resource, name: ObjectName) -> Metadata | Failure:
        """One object's metadata as it is now: asked before a removal, so that it waits for its answer only briefly."""

    async def list_metadata(self, resource: Resource, namespace: str) -> Sequence[Metadata] | Failure:
        """The metadata of every object of a resource, "" in all namespaces, as it is now."""


class Watch(Protocol):
    """One followed collection; see kube.reflector."""

    failure: Failure | None
    synced: bool
    contact: float
    open: bool
    breaks: int
    since: float
    restored: int

    @property
    def version(self) -> str:
        """The resourceVersion up to which the collection was observed; "" where a list is needed."""

    async def run(self) -> None:
        """Follow it until cancelled."""

    def kick(self) -> None:
        """End a wait: something changed that may help."""

    def renew(self) -> None:
        """List again, of a member soon: what was observed may be wrong, or of a store that is no more."""


class Sink(Protocol[T_contra]):
    """Remembers what a watch brings."""

    def replace(self, items: Iterable[T_contra]) -> None:
        """This is all there is."""

    def upsert(self, item: T_contra) -> None:
        """New or changed."""

    def remove(self, item: T_contra) -> None:
        """Gone."""


class Intake(Protocol):
    """Takes in what the hub shows of federated objects; see controllers.triggers.FederatedSink."""

    def kept(self, item: FederatedObject) -> FederatedObject:
        """The object, or the part of it that is kept."""

    def upsert(self, item: FederatedObject) -> None:
        """New or changed."""

    def left_out(self, name: ObjectName) -> None:
        """Said not to be there; it is asked for again before anything follows."""


class EventPoster(Protocol):
    """Posts events on other objects of the hub; see controllers.events."""

    def about(self, resource: Resource, metadata: Metadata, kind: str, reason: str, message: str) -> None:
        """One event; `kind` is Normal or Warning."""

    def cluster_changed(self, metadata: Metadata, ready: Mapping[str, Any]) -> None:
        """A KubeFedCluster has a new Ready condition."""


class Live(Protocol):
    """The living side of a joined cluster; see controllers.member."""

    def relist(self, type_name: str) -> None:
        """A list of this type was wrong: list again."""

    def went_back(self, evidence: str) -> None:
        """The cluster has shown that it is in a state of before: list everything again, and tell."""

    def tell(self, reason: str, message: str) -> None:
        """A warning as an event on the KubeFedCluster."""


class EventRecorder(Protocol):
    """Records events on federated objects; see controllers.events."""

    def status_changed(self, key: Key, federated: FederatedObject, before: Status, after: Status) -> None:
        """Its status was written."""

    def fields_ignored(self, key: Key, federated: FederatedObject, warnings: tuple[str, ...]) -> None:
        """Parts of its template were left out."""

    def status_refused(self, key: Key, federated: FederatedObject, message: str) -> None:
        """The hub refuses its status."""

    def recreating(self, key: Key, cluster: str, why: str) -> None:
        """Its copy in a cluster was deleted to be created anew."""

    def removed(self, key: Key, cluster: str, why: str) -> None:
        """Its copy in a cluster was deleted or released, and not because its user deleted the object."""


OnChange = Callable[[Watch], None]


class Discovered(Protocol):
    """One reading of a member's discovery; see kube.discovery."""

    def versions(self, group: str, plural: str) -> tuple[str, ...] | None:
        """The versions of a resource, best first; () when it has none, None when this reading does not show it."""


class Gate(Protocol):
    """The way to one member with its current credentials; see kube.gates."""

    @property
    def writer(self) -> JoinedPort:
        """Writes."""

    @property
    def token_lifetime(self) -> tuple[float, float] | None:
        """When the token was issued and when it ends (unix seconds); None when it does not end or is no JWT."""

    @property
    def renewable(self) -> bool:
        """Whether a fresh token that is stored beside the current one would be used; not so with a kubeconfig."""

    def admit(self, spec: Mapping[str, Any], secret: Mapping[str, str]) -> bool:
        """Take new credentials while connections live; False when the place changed and a new Gate is needed.

        Raises Unusable.
        """

    def watch(
        self, enabled: FederatedType, sink: Sink[PartialMetadata], on_change: OnChange, on_end: Callable[[], None]
    ) -> Watch:
        """Watch the member's copies of a type; `on_end` is called when the server ends a watch before its time."""

    def watch_whole(
        self,
        enabled: FederatedType,
        wanted: StatusCollection,
        sink: Sink[WholeCopy],
        on_change: OnChange,
        on_end: Callable[[], None],
    ) -> Watch:
        """The same, with what the objects' statuses say."""

    async def discover(self) -> Discovered | Failure | None:
        """Which types it serves in which versions; None when it is too old to answer."""

    async def identify(self, deadline: float, recorded: str = "") -> str | Failure:
        """Its identity, of the kind that is recorded: the authorised request that health is read from."""

    async def version(self) -> str | Failure:
        """Its Kubernetes version, such as `v1.36.3`."""

    async def topology(self) -> tuple[str, tuple[str, ...]] | Failure:
        """Region and zones of its nodes."""

    async def clock(self) -> float | Failure:
        """Its time, in unix seconds."""

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
