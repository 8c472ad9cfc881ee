"""Access to one member: its connection, its writer, its probes, and the renewal of its token."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
import orjson

from federation.core import checks, jwt
from federation.core.managedfields import PartialMetadata
from federation.core.remotestatus import WholeCopy
from federation.kube import decoding, discovery, kubeconfig, watches
from federation.kube.connection import METADATA, METADATA_LIST, Answer, Connection
from federation.kube.listing import Budget, Collection, Listed, Listing
from federation.kube.members import PUSH_DEADLINE, MemberWriter
from federation.kube.reflector import Before, OnChange, OnEnd, Reflector, at_once
from federation.kube.sinks import Sink
from federation.kube.unreadable import Readable
from federation.model import bounds, marks
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import NAMESPACES, NODES, SERVICE_ACCOUNTS, ObjectName, Resource, collection_in
from federation.model.statusrules import StatusCollection
from federation.runtime.fence import Fence
from federation.runtime.spacing import Spacing

T = TypeVar("T")
R = TypeVar("R", bound=Readable)

AGENT = marks.AGENT
RELIST_DELAY, RELIST_GAP = 1.0, 0.05
"""Seconds after an outage until a collection is listed again, and between two such lists of all members together: a
thousand members that come back with five types each are listed within some four minutes."""
KEPT_FOR = 60.0
"""Seconds for which what a standby had of members is new enough to begin with."""
_KUBE_SYSTEM = "kube-system"
_REGION = "topology.kubernetes.io/region"
_ZONE = "topology.kubernetes.io/zone"
_MOST_ZONES = 100
_BEARER = "Bearer "
_GIT_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_~-]{0,63}")
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_SHORTEST_LIFE, _LONGEST_LIFE = 600, (1 << 32) - 1
"""Seconds that an API server lets a token last."""
_REVIEWS = Resource("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False)
_TRIAL = 10.0
"""Seconds for the request that tests a new token."""


class _Version(msgspec.Struct, gc=False):
    git_version: str = msgspec.field(name="gitVersion")


class _Token(msgspec.Struct, gc=False):
    token: str = ""


class _TokenRequest(msgspec.Struct, gc=False):
    status: _Token


class _Created(msgspec.Struct, gc=False):
    creation_timestamp: Annotated[datetime, msgspec.Meta(tz=True)] = msgspec.field(name="creationTimestamp")


class _Review(msgspec.Struct, gc=False):
    metadata: _Created


class _Place(msgspec.Struct, frozen=True, gc=False):
    """Where a node stands, as its labels say."""

    region: str = msgspec.field(name=_REGION, default="")
    zone: str = msgspec.field(name=_ZONE, default="")


class _Labelled(msgspec.Struct, gc=False):
    labels: _Place = _Place()


class _Node(msgspec.Struct, gc=False):
    metadata: _Labelled


_issued = msgspec.json.Decoder(_TokenRequest)
_review = msgspec.json.Decoder(_Review)
_version = msgspec.json.Decoder(_Version)
_node = msgspec.json.Decoder(_Node)


def _read_place(content: decoding.Content) -> _Place:
    place = _node.decode(content).metadata.labels
    return _Place(*(each if checks.is_label_value(each) else "" for each in (place.region, place.zone)))


_NODE_BYTES = 500
_NODES = Collection(
    path=NODES.collection(),
    decode=decoding.Reader(_read_place, lambda node, why: _Place(), bounds.DEEPEST_METADATA),
    version=lambda place: "",
    accept_list=METADATA_LIST,
    what=NODES.qualified,
    largest=bounds.LARGEST_METADATA,
    page=bounds.LARGEST_PAGE,
    kept=lambda place: (place, _NODE_BYTES),
)


class Gate:
    """One member with its current credentials."""

    def __init__(
        self,
        name: str,
        spec: Mapping[str, Any],
        secret: Mapping[str, str],
        manager: str,
        *,
        before_watch: Before,
        relists: Spacing,
        fence: Fence | None = None,
        namespace: str = marks.SYSTEM_NAMESPACE,
        kept: "KeptCopies | None" = None,
    ) -> None:
        """`relists` spreads the lists of all members that follow outages. Nothing is written while `fence` is shut.

        `namespace` is the federation's own.
        """
        self._name = name
        self._kept = kept
        self._identity = ""
        endpoint = kubeconfig.stored(spec, secret)
        self._connection = Connection(name, endpoint, agent=AGENT, largest=bounds.LARGEST_METADATA, fence=fence)
        self._budget = Budget()
        self._namespace = namespace
        self._own_namespace = False
        """Whether that shows the member's identity."""
        self._before_watch = before_watch
        self._relists = relists
        self.writer = MemberWriter(self._connection, manager)
        self.renewable = not secret.get("kubeconfig")
        """Whether the controller may renew the token: not where a kubeconfig is stored, which only a person writes."""

    @property
    def token_lifetime(self) -> tuple[float, float] | None:
        """When the token was issued and when it expires, in unix seconds; None for a token that does not expire."""
        return jwt.lifetime(jwt.claims(self._token))

    @property
    def _token(self) -> str:
        return self._connection.endpoint.credentials.header.removeprefix(_BEARER)

    def admit(self, spec: Mapping[str, Any], secret: Mapping[str, str]) -> bool:
        """Use new credentials from now on; False when they need a new connection (another server). Raises Unusable."""
        endpoint = kubeconfig.stored(spec, secret)
        if not endpoint.same_place(self._connection.endpoint):
            return False
        self._connection.endpoint.credentials.header = endpoint.credentials.header
        self.renewable = not secret.get("kubeconfig")
        return True

    def watch(
        self,
        enabled: FederatedType,
        sink: Sink[PartialMetadata],
        on_change: OnChange,
        on_end: OnEnd,
    ) -> Reflector[PartialMetadata]:
        """Follow what the member holds of a type."""
        copies = watches.copies_of(enabled, self.writer.manager, self._budget)
        return self._following(copies, sink, on_change, on_end)

    def watch_whole(
        self,
        enabled: FederatedType,
        wanted: StatusCollection,
        sink: Sink[WholeCopy],
        on_change: OnChange,
        on_end: OnEnd,
    ) -> Reflector[WholeCopy]:
        """The same, with what the objects' statuses say."""
        copies = watches.whole_copies_of(enabled, wanted, self.writer.manager, self._budget)
        return self._following(copies, sink, on_change, on_end)

    def _following(self, collection: Collection[R], sink: Sink[R], on_change: OnChange, on_end: OnEnd) -> Reflector[R]:
        return watches.following(
            self._connection,
            collection,
            sink,
            on_change,
            on_end,
            before_watch=self._before_watch,
            relists=self._relists,
            kept=self._kept.take(collection_in(self._name, self._identity, collection.path)) if self._kept else None,
        )

    async def discover(self) -> discovery.Discovered | Failure | None:
        """Which types it serves in which versions; None when it is too old for aggregated discovery."""
        return await discovery.served(self._connection)

    async def identify(self, deadline: float, recorded: str = "") -> str | Failure:
        """The member's identity, of the kind that is `recorded` (marks.IDENTITY_ANNOTATION).

        Where none is, that is the UID of its kube-system namespace; an account that may not read that has rights in
        the federation's own namespace alone, whose UID it is then.

        A member that has just carried out a write lives. And while we write there, the request waits in the member
        behind what we have sent: then no answer in time shows nothing, unless none of the writes has been carried out
        either for as long as one may take.
        """
        if recorded:
            self._own_namespace = recorded.startswith(marks.OWN_NAMESPACE)
        identity = await self._identify(deadline)
        if not recorded and isinstance(identity, Failure) and identity.kind is FailureKind.RIGHT_MISSING:
            self._own_namespace = not self._own_namespace
            other = await self._identify(deadline)
            if isinstance(other, Failure):
                self._own_namespace = not self._own_namespace
            else:
                identity = other
        if not isinstance(identity, Failure):
            self._identity = identity
        if not isinstance(identity, Failure) or identity.kind is not FailureKind.TIMED_OUT:
            return identity
        recent = max(2 * deadline, PUSH_DEADLINE if self._connection.busy else 0.0)
        return replace(identity, late=identity.late or self._connection.written < recent)

    async def _identify(self, deadline: float, authorization: str | None = None) -> str | Failure:
        own = self._own_namespace
        name = self._namespace if own else _KUBE_SYSTEM
        path = NAMESPACES.path(ObjectName("", name))
        answer = await self._connection.request(
            "GET", path, accept=METADATA, deadline=deadline, authorization=authorization, urgent=True
        )
        metadata = _read(answer, decoding.partial)
        if isinstance(metadata, Failure):
            return metadata
        if not _UID.fullmatch(metadata.uid):
            return Failure(FailureKind.UNEXPECTED, f"the server names no UID of its {name} namespace")
        return f"{marks.OWN_NAMESPACE}{metadata.uid}" if own else metadata.uid

    async def version(self) -> str | Failure:
        """Its Kubernetes version."""
        version = _read(await self._connection.request("GET", "/version"), _version.decode)
        if isinstance(version, Failure):
            return version
        if not _GIT_VERSION.fullmatch(version.git_version):
            return Failure(FailureKind.UNEXPECTED, "the server's version is not one of Kubernetes")
        return version.git_version

    async def topology(self) -> tuple[str, tuple[str, ...]] | Failure:
        """Region and zones that its nodes' labels name (KubeFed reads the same)."""
        nodes = await Listing(self._connection, replace(_NODES, budget=Budget()), lambda: None).read()
        if isinstance(nodes, Failure):
            return nodes
        regions = sorted({place.region for place in nodes.items if place.region})
        zones = sorted({place.zone for place in nodes.items if place.zone})
        return (regions[0] if regions else "", tuple(zones[:_MOST_ZONES]))

    async def clock(self) -> float | Failure:
        """Its time, by which it issues and ends tokens. Everybody may create a review of himself; none is stored."""
        body = {"apiVersion": _REVIEWS.api_version, "kind": _REVIEWS.kind}
        answer = await self._connection.request("POST", _REVIEWS.collection(), body=orjson.dumps(body))
        review = _read(answer, _review.decode)
        return review if isinstance(review, Failure) else review.metadata.creation_timestamp.timestamp()

    async def renew_token(self, lifetime: int) -> str | Failure:
        """A new token for the service account of the current one; it has been tested with a request to the member.

        Everything else is a Failure, so that the current token is kept.
        """
        claims = jwt.claims(self._token)
        account = jwt.account(claims)
        if account is None:
            return Failure(FailureKind.UNEXPECTED, "the token is not a service account's: it cannot be renewed here")
        path = SERVICE_ACCOUNTS.path(ObjectName(*account)) + "/token"
        spec: dict[str, Any] = {"expirationSeconds": min(max(_SHORTEST_LIFE, lifetime), _LONGEST_LIFE)}
        if (bound := jwt.bound_object(claims)) is not None:
            spec["boundObjectRef"] = bound  # deleting that Secret revokes the new token, too
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self._connection.request("POST", path, body=orjson.dumps(body), secret=True)
        token = _read(answer, _issued.decode)
        if isinstance(token, Failure):
            return token
        return await self._tested(token.status.token, account)

    async def _tested(self, token: str, account: jwt.Account) -> str | Failure:
        """The token, if it is the same account's, lives for a while, and the member accepts it.

        Whether it has expired is for the member to say, by its own clock: ours may be another.
        """
        refused = ""
        payload = jwt.claims(token)
        times = jwt.lifetime(payload)
        if not token:
            refused = "TokenRequest returned no token"
        elif not payload or jwt.account(payload) != account:
            refused = "TokenRequest returned something else than a token of the same account"
        elif times is None or times[1] - times[0] < _SHORTEST_LIFE / 2:
            refused = "TokenRequest returned a token that lives too short"
        if refused:
            return Failure(FailureKind.UNEXPECTED, f"{refused}; the stored token is kept")
        identity = await self._identify(_TRIAL, f"{_BEARER}{token}")
        if isinstance(identity, Failure):
            return replace(
                identity, message=f"the new token does not work, the stored token is kept: {identity.message}"
            )
        return token

    async def close(self) -> None:
        """End all connections."""
        await self._connection.close()


class KeptCopies:
    """What a standby has of members' collections: each is good once, and for a short while after the takeover."""

    def __init__(self, kept: watches.Kept) -> None:
        self._kept = dict(kept)
        self._until = time.monotonic() + KEPT_FOR

    def take(self, name: str) -> Listed[Any] | None:
        """One of them; None where there is none, or it is old: then it is listed."""
        if time.monotonic() > self._until:
            self._kept.clear()
        items, version = self._kept.pop(name, ((), ""))
        return Listed(list(items), version) if version else None


class Gatekeeper:
    """Opens Gates that write as one field manager. `before_watch` is awaited between a member's list and its watch.

    They write nothing while the `fence` is shut. `namespace` is the federation's own. `kept` is what a standby has of
    members' collections (controllers.ahead), for the first watch of each.
    """

    def __init__(
        self,
        manager: str,
        before_watch: Before = at_once,
        fence: Fence | None = None,
        *,
        namespace: str = marks.SYSTEM_NAMESPACE,
        kept: watches.Kept | None = None,
    ) -> None:
        self._manager = manager
        self._before_watch = before_watch
        self._fence = fence
        self._namespace = namespace
        self._kept = KeptCopies(kept or {})
        self._relists = Spacing(RELIST_DELAY, RELIST_GAP)

    def open(self, name: str, spec: Mapping[str, Any], secret: Mapping[str, str]) -> Gate:
        """A Gate from a KubeFedCluster's spec and its Secret's data. Raises Unusable."""
        return Gate(
            name,
            spec,
            secret,
            self._manager,
            before_watch=self._before_watch,
            relists=self._relists,
            fence=self._fence,
            namespace=self._namespace,
            kept=self._kept,
        )


def _read(answer: Answer | Failure, decode: Callable[[bytes], T]) -> T | Failure:
    if isinstance(answer, Failure):
        return answer
    try:
        return decode(answer.body)
    except decoding.ERRORS:
        return Failure(FailureKind.UNEXPECTED, "the server answers, but not as a Kubernetes API server does")
