"""The answer of planning: for every cluster one action. Data only.

A Command is what a cluster's lane carries out (controllers.carriers); the other actions say why there is nothing to do.
Whoever waits for a command, paces it or reports it asks for its Aim, and not how it is carried out.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from federation.model.conditions import DeletionsHeldReason, PropagationStatus, Reason
from federation.model.federated import Metadata
from federation.model.policies import Pointer, Takeover
from federation.model.status import ClusterStatus


@dataclass(frozen=True, slots=True)
class Basis:
    """What of the hub a removal rests on, each object as it was when that was decided (judged by core.proof).

    `object`: the federated object; None: that there is none. `namespace`: its FederatedNamespace, where that decides,
    or `unfederated`: that there is none. `labels`: those of the KubeFedCluster, where they decide.
    """

    object: Metadata | None = None
    namespace: Metadata | None = None
    unfederated: bool = False
    labels: Mapping[str, str] | None = None

    @property
    def on_namespace(self) -> bool:
        """Whether the federation of the object's namespace decides."""
        return self.unfederated or self.namespace is not None


@dataclass(frozen=True, slots=True)
class Recreation:
    """Leave of the user to delete the object and create it anew, should the member refuse to change it.

    `body` is the manifest that is created then, `options` are DeleteOptions. `never`: why it is not done all the same.
    `basis`: the federated object that gives leave.
    """

    body: bytes = b""
    options: Mapping[str, Any] = field(default_factory=dict)
    never: str = ""
    basis: Basis = field(default=Basis(), compare=False)


class Aim(enum.Enum):
    """What a command is for."""

    CREATE = "create"
    UPDATE = "update"
    COMPARE = "compare"
    """To find out how a copy differs; nothing is written."""
    CLAIM = "claim"
    """To tell another hub, which has the object and keeps it."""
    REMOVE = "remove"
    """To delete a copy, or to let go of it."""


PLACES = (Aim.CREATE, Aim.UPDATE)
"""By these a cluster gets what it should hold."""


def managed_by(owner: str) -> str:
    """The message for the second hub's user; `owner` is the first one's field manager."""
    return f"another hub manages it ({owner})"


class Command:
    """What a cluster's lane carries out.

    `uid` is that of the object that it is about; "" where there is none, or it is not known whether there is one.
    """

    __slots__ = ()
    uid: str

    @property
    def aim(self) -> Aim:
        """What it is for."""
        raise NotImplementedError

    @property
    def identity(self) -> str:
        """What makes two commands the same one, tried again."""
        return self.uid

    @property
    def standing(self) -> str:
        """What its cluster's line says whatever comes of it; "" where that depends on the answer."""
        return ""

    @property
    def leaves_traces(self) -> bool:
        """Whether something of ours may be there afterwards that was not before, even if no answer shows it."""
        return False

    def repeats(self, applied: str) -> bool:
        """Whether it only puts back what was written before; `applied` is the digest of what was applied last."""
        return False


@dataclass(frozen=True, slots=True)
class Apply(Command):
    """Server-side apply this manifest, whose apiVersion is `api_version`.

    `digest` identifies the desired manifest (status fingerprints carry it). `uid` is sent so that an object that was
    re-created meanwhile is noticed. `create_only` refuses an object that exists; `takeover` is the policy by which it
    may be taken over all the same (Always: adoption is disabled for all). `version` is the resourceVersion that it must
    still have, because it was seen in that one that nothing differs; nothing is forced then.
    `hand_over` gives spec.replicas to our second manager: before the apply when `uid` is known, else right after
    the creation (retainReplicas; value is the number to hand over). `legacy` takes over KubeFed's managedFields.
    `first`: no earlier apply of ours is known, so others may own beside us what we name. `changed`: the manifest is
    another than the last one that was accepted there. `recreation` is set where an object that is there may be
    recreated. `yields` are labels and annotations (section, key) that are never forced: where somebody else owns one,
    his stays. `generation`: the object's generation that had this manifest, where that is an older one (0: it is not).
    `mark`: the object carries a note that this hub has created it (without a uid: it is created with one,
    and one that exists is adopted without). `restores`: what runs once is not created again; where it is still there
    without our label, it gets it back. `ignored` are fields that only a creation's body has.
    """

    body: bytes
    digest: str
    api_version: str
    uid: str = ""
    version: str = ""
    create_only: bool = False
    takeover: Takeover = Takeover.ALWAYS
    hand_over: int | None = None
    retain_replicas: bool = False
    legacy: bool = False
    first: bool = False
    changed: bool = False
    recreation: Recreation | None = None
    yields: frozenset[tuple[str, str]] = frozenset()
    mark: bool = False
    restores: bool = False
    ignored: tuple[Pointer, ...] = ()
    generation: int = 0

    @property
    def aim(self) -> Aim:
        """Without a uid nothing is there, as far as is known."""
        return Aim.UPDATE if self.uid else Aim.CREATE

    @property
    def identity(self) -> str:
        """What the user allows later, to recreate it or to take it over, is worth another try."""
        leave = self.recreation
        allowed = "" if leave is None else f" {leave.never or 'or anew'}"
        return f"{self.digest}{allowed} {self.takeover}" if self.create_only else f"{self.digest}{allowed}"

    @property
    def leaves_traces(self) -> bool:
        """What is restored is there already, or not created again."""
        return not self.uid and not self.restores

    def repeats(self, applied: str) -> bool:
        """Somebody had changed what it puts back."""
        return applied == self.digest


@dataclass(frozen=True, slots=True)
class Compare(Command):
    """Find out at which fields a copy differs from this manifest, and who set them; write nothing (drift: Report).

    `owned_digest` is that of the fields that we own in what is there.
    """

    uid: str
    body: bytes
    digest: str
    owned_digest: str
    api_version: str
    yields: frozenset[tuple[str, str]] = frozenset()
    generation: int = 0

    @property
    def aim(self) -> Aim:
        """It only looks."""
        return Aim.COMPARE

    @property
    def identity(self) -> str:
        """What we own there belongs to it: somebody may have changed it once more."""
        return f"compare {self.digest} {self.owned_digest}"


@dataclass(frozen=True, slots=True)
class HandOver(Command):
    """Write this ManifestWork to the hub, in the cluster's namespace, for the agent there (core.works).

    `body` is the whole work, `digest` identifies the manifest in it (as in Apply), `work_digest` all that the work asks
    for. `uid` is that of the work that is there, and `next` the generation that it should have then. `generation` as in
    Apply. `joins`: it may be in one work with other objects; `bundle` is the name of the work in which it is so.
    """

    work: str
    body: bytes
    digest: str
    work_digest: str
    uid: str = ""
    next: int = 1
    generation: int = 0
    joins: bool = False
    bundle: str = ""

    @property
    def aim(self) -> Aim:
        """Without a uid the agent has not been asked for it, as far as is known."""
        return Aim.UPDATE if self.uid else Aim.CREATE

    @property
    def identity(self) -> str:
        """What the work asks for."""
        return self.work_digest

    @property
    def leaves_traces(self) -> bool:
        """A work, and what its agent makes of it."""
        return not self.uid

    def repeats(self, applied: str) -> bool:
        """Somebody had changed the work that it puts back."""
        return applied == self.digest


class RemovalCause(enum.StrEnum):
    """What a removal follows from."""

    DELETION = "deletion"
    """The user deletes the federated object."""
    PLACEMENT = "placement"
    CLUSTER_LABELS = "cluster-labels"
    NAMESPACE = "namespace-placement"
    NO_NAMESPACE = "no-federated-namespace"
    SYSTEM_NAMESPACE = "system-namespace"
    NO_OBJECT = "no-federated-object"
    """A managed copy that no federated object stands behind."""


@dataclass(frozen=True, slots=True)
class RemovalReason:
    """Why a copy leaves a member: the `cause`, by what `change`, and for one that stays there why it is `kept`.

    `unexpected`: it is kept where its user may have expected a deletion. `basis`: what is asked for before it goes.
    """

    cause: RemovalCause = RemovalCause.DELETION
    change: str = ""
    kept: str = ""
    unexpected: bool = False
    basis: Basis = field(default=Basis(), compare=False)


@dataclass(frozen=True, slots=True)
class Delete(Command):
    """Delete the member's object, if it still has this uid; `options` are DeleteOptions from the user.

    Without a uid it is not known whether there is one: read it first, and delete what is ours; with `only_created` what
    this hub has not created is let go of instead.
    """

    uid: str
    options: Mapping[str, Any] = field(default_factory=dict)
    only_created: bool = False
    reason: RemovalReason | None = field(default=None, compare=False)

    @property
    def aim(self) -> Aim:
        """Ours goes, and the object with it."""
        return Aim.REMOVE


@dataclass(frozen=True, slots=True)
class Release(Command):
    """Leave the object in the member and take our mark off it (orphaning, the host's own Namespace).

    `keep_label` gives up our fields and our claim only: another hub manages the object by the same label. Without a
    uid: whatever object is there.
    """

    uid: str
    keep_label: bool = False
    reason: RemovalReason | None = field(default=None, compare=False)

    @property
    def aim(self) -> Aim:
        """Ours goes, and the object stays."""
        return Aim.REMOVE


@dataclass(frozen=True, slots=True)
class Claim(Command):
    """Another hub has the object: notify it, once, by an annotation of our own, and write nothing else.

    `owner` is its field manager. `shared`: we own fields beside it, which are given up first.
    """

    uid: str
    owner: str
    shared: bool = False

    @property
    def aim(self) -> Aim:
        """The other hub keeps it."""
        return Aim.CLAIM

    @property
    def identity(self) -> str:
        """No other command for this object."""
        return f"claim {self.uid}"

    @property
    def standing(self) -> str:
        """The object is the other hub's."""
        return managed_by(self.owner)

    @property
    def leaves_traces(self) -> bool:
        """Our annotation."""
        return True

    def repeats(self, applied: str) -> bool:
        """An annotation that was taken off."""
        return True


class Keep(msgspec.Struct, frozen=True, gc=False):
    """The member has what it should have. `digest` and `owned_digest` are what its fingerprint is made of.

    `rivals` are field managers of other hubs that would push the object, too, if we had it not. `note` is part
    of the message of the cluster's line.
    """

    digest: str
    owned_digest: str
    rivals: tuple[str, ...] = ()
    note: str = ""


class KeepOlder(Keep, frozen=True, gc=False):
    """The member has what it should have, and that is of an older `generation`: a rollout holds it there."""

    generation: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done now; an event will come (cluster ready, namespace there, object gone).

    What is only pending keeps its line in the status, unless it is `known` that the cluster does not have the object as
    it should be. `namespace`: it waits for its namespace, whose own push may have failed. `hold`: a removal is held,
    and why, as the condition DeletionsHeld says it. `handed`: its agent was told, is heard, and will say.
    """

    status: PropagationStatus
    message: str = ""
    known: bool = field(default=False, compare=False)
    namespace: bool = field(default=False, compare=False)
    hold: DeletionsHeldReason | None = field(default=None, compare=False)
    handed: bool = field(default=False, compare=False)


HANDED_OVER = Wait(PropagationStatus.PENDING, "handed over, and not reported as applied yet", known=True, handed=True)
"""A command was handed over to whoever acts in the cluster, and the cluster has not shown what came of it."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """This cluster cannot get the object until its user changes something."""

    status: PropagationStatus
    message: str


class Elsewhere(msgspec.Struct, frozen=True, gc=False):
    """Another shard does there what is to be done; `line` is what it has said of it (core.elsewhere).

    `answered`: that is about this generation and this placement. `stalled`: only a change of the object helps.
    """

    line: ClusterStatus
    answered: bool = False
    stalled: bool = False


Push = Apply | Claim | Compare | Delete | Release
"""The commands of push, which writes to members (controllers.push). All of them write, but Compare."""

Action = Command | Keep | Wait | Refuse | Elsewhere


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What one reconcile decided.

    `reason` and `message` become the Propagation condition when the object as a whole is at fault.
    `selected` are the clusters that should have the object; the other actions remove copies.
    `undecided`: facts that a decision needs have not been observed yet; nothing is done or reported until they are.
    `selector` is the clusterSelector as JSON, "" where names decide.
    `unjoined` are names that the placement lists and no cluster has joined under, `excluded` those of joined clusters
    that it lists and the namespace's placement leaves out. `nowhere` is why no cluster is
    selected, where that is not the object's fault; `ready_reason` is its reason in the Ready condition.
    `finalizer`: True add it before any push, False release it (nothing managed is left), None leave as is.
    `held` is why a rollout holds clusters back, `staged` the serial of its record (core.staging).
    """

    generation: int
    actions: Mapping[str, Action] = {}
    selected: frozenset[str] = frozenset()
    reason: Reason = Reason.OK
    message: str = ""
    finalizer: bool | None = None
    deleting: bool = False
    undecided: bool = False
    warnings: tuple[str, ...] = ()
    selector: str = ""
    unjoined: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    nowhere: str = ""
    ready_reason: Reason = Reason.OK
    held: str = ""
    staged: int = 0
