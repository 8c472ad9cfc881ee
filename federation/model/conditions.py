"""What a status is made of: condition types, their reasons, and the states of an object in one cluster.

Each is one line here, with what others look up of it (does it stall, is it a failure, what does fedctl print). Values
are KubeFed's (pkg/controller/sync/status/status.go, pkg/controller/kubefedcluster) unless marked as ours. A test
compares them with docs/status.md, which explains them to users.
"""

import enum
from typing import Self


class HubRestoredReason(enum.StrEnum):
    """Why the condition HubRestored of a KubeFedConfig is as it is."""

    RESTORED = "Restored"
    """The hub went back to an earlier state: removals are held."""
    APPROVED = "Approved"
    """A person has let removals go on."""
    TIME_OVER = "TimeOver"
    """They went on after the time that spec.recovery.holdDuration sets."""


class DeletionsHeldReason(enum.StrEnum):
    """Why the condition DeletionsHeld of a federated object or of the KubeFedConfig is as it is."""

    BUDGET = "OverBudget"
    """The deletions that follow from a change are more than the KubeFedConfig lets go by themselves."""
    REJECTED = "Rejected"
    """A person has rejected them: they are not done for this change."""
    PROTECTED = "Protected"
    """An annotation protects the object, or its namespace."""
    NONE = "NoneHeld"
    """Of the KubeFedConfig alone: what was held has been approved, or is not asked for any more."""


class ConditionType(enum.StrEnum):
    """The conditions that the controller writes on a federated object, and Ready on a FederatedTypeConfig.

    All others are left alone.
    """

    PROPAGATION = "Propagation"
    READY = "Ready"
    """Ours, as kstatus, `kubectl wait` and Argo CD understand it."""
    STALLED = "Stalled"
    """Ours, as kstatus understands it: only a change of the object can help. Present only while it is True."""
    DELETIONS_HELD = "DeletionsHeld"
    """Ours: copies are not removed until a person says so (core.deletions). Present only while it is True."""
    HEALTHY = "Healthy"
    """Ours: whether the copies are well by their own statuses. Present only where statuses are collected."""


class ClusterConditionType(enum.StrEnum):
    """The conditions that the controller writes on a KubeFedCluster. All others are left alone."""

    READY = "Ready"
    OFFLINE = "Offline"
    CONFIG_MALFORMED = "ConfigMalformed"
    SYNCED = "Synced"
    """Ours: whether the cluster's objects of every enabled type can be followed."""
    HOST_REFUSES = "HostRefuses"
    """Ours: the host refuses what the controller must store of the cluster. Present only while it is True."""
    CORDONED = "Cordoned"
    """Ours: nothing is written to the cluster, because somebody asked for that. Present only while it is True."""


class HostRefusesReason(enum.StrEnum):
    """Reason of a KubeFedCluster's HostRefuses: what is not stored."""

    IDENTITY = "IdentityNotRecorded"
    PLACE = "CredentialsNotBound"
    TOKEN = "TokenNotStored"  # noqa: S105 - a reason


class ClusterReason(enum.StrEnum):
    """Reason of a KubeFedCluster's Ready, Offline and ConfigMalformed."""

    READY = "ClusterReady"
    NOT_READY = "ClusterNotReady"
    REACHABLE = "ClusterReachable"
    NOT_REACHABLE = "ClusterNotReachable"
    MALFORMED = "ClusterConfigMalformed"


class SyncedReason(enum.StrEnum):
    """Reason of a KubeFedCluster's Synced."""

    FOLLOWING = "Following"
    LISTING = "Listing"
    RIGHT_MISSING = "RightMissing"
    WATCH_FAILED = "WatchFailed"


class TypeReason(enum.StrEnum):
    """Reason of a FederatedTypeConfig's Ready."""

    FOLLOWING = "Following"
    FOLLOWING_NAMESPACE = "FollowingNamespace"
    """Scope Namespaced: of the federated objects, only those in our own namespace are followed."""
    INVALID = "InvalidSpec"
    FINALIZER_REFUSED = "FinalizerRefused"
    FEDERATED_TYPE_MISSING = "FederatedTypeMissing"
    RIGHT_MISSING = "RightMissing"


class Reason(enum.StrEnum):
    """Reason of a federated object's conditions. Of Propagation, OK is the absent reason: all is well.

    `stalls`: only a change of the object itself can end it, so that it is the reason of Stalled, too.
    """

    stalls: bool

    def __new__(cls, text: str, stalls: bool = False) -> Self:
        """One reason and its properties."""
        member = str.__new__(cls, text)
        member._value_ = text
        member.stalls = stalls
        return member

    OK = ""
    CHECK_CLUSTERS = "CheckClusters"
    NAMESPACE_NOT_FEDERATED = "NamespaceNotFederated"
    COMPUTE_PLACEMENT_FAILED = "ComputePlacementFailed", True
    INVALID = "InvalidSpec", True
    """Ours: the object as a whole cannot be understood; the message names the field."""
    SYSTEM_NAMESPACE = "SystemNamespace", True
    """Ours: what is asked for is a change of a namespace that every cluster has for itself."""
    FINALIZER_REFUSED = "FinalizerRefused"
    """Ours: the hub does not let us add or take off our finalizer; the message says why and who can mend it."""
    PROPAGATED = "Propagated"
    """Of Ready alone: every selected cluster has applied the current generation."""
    PROGRESSING = "Progressing"
    """Of Ready alone: no cluster has failed, and not every one has answered."""
    NO_CLUSTER_SELECTED = "NoClusterSelected"
    """Of Ready alone: there is nothing to do."""
    HELD = "HeldByRollout"
    """Ours, of Ready alone: a FederatedRollout has not released this generation to every selected cluster."""


class HealthyReason(enum.StrEnum):
    """Reason of a federated object's Healthy."""

    HEALTHY = "ClustersHealthy"
    UNHEALTHY = "ClustersUnhealthy"
    """At least one copy is not well, or is not there."""
    UNKNOWN = "ClustersUnknown"
    """None is known not to be well, but not every status is known."""
    NO_CLUSTER_SELECTED = "NoClusterSelected"


class Phase(enum.Enum):
    """What the state of an object in one cluster means for the object as a whole, and for who reports it."""

    APPLIED = enum.auto()
    UNDER_WAY = enum.auto()
    REMOVING = enum.auto()
    CLUSTER_AWAY = enum.auto()
    """The cluster's conditions and events report it, not events of each of its objects: it does not answer, or is
    cordoned."""
    TAKEN = enum.auto()
    """Another hub, or somebody in the cluster, has the object: we leave it alone until they let go."""
    DIFFERS = enum.auto()
    """Somebody in the cluster changes the copy: an event of its own names the fields, and who it is."""
    FAILED = enum.auto()


class PropagationStatus(enum.StrEnum):
    """status.clusters[].status of a federated object: its state in one cluster. OK is the absent status: applied."""

    phase: Phase

    def __new__(cls, text: str, phase: Phase = Phase.FAILED) -> Self:
        """One state and its properties."""
        member = str.__new__(cls, text)
        member._value_ = text
        member.phase = phase
        return member

    OK = "", Phase.APPLIED
    PENDING = "Pending", Phase.UNDER_WAY
    """Ours: decided and on its way, no answer yet."""
    HELD = "HeldByRollout", Phase.UNDER_WAY
    """Ours: a FederatedRollout has not released anything to this cluster yet; what is there is left as it is."""
    WAITING_FOR_REMOVAL = "WaitingForRemoval", Phase.REMOVING
    CLUSTER_NOT_READY = "ClusterNotReady", Phase.CLUSTER_AWAY
    CLUSTER_CORDONED = "ClusterCordoned", Phase.CLUSTER_AWAY
    """Ours: something is to be written there, and waits until the cluster is not cordoned any more (core.cordons)."""
    ALREADY_EXISTS = "AlreadyExists", Phase.TAKEN
    MANAGED_LABEL_FALSE = "ManagedLabelFalse", Phase.TAKEN
    DRIFTED = "Drifted", Phase.DIFFERS
    """Ours: somebody changed or deleted the copy, and that is reported, not corrected (policy drift: Report)."""
    COMPUTE_RESOURCE_FAILED = "ComputeResourceFailed"
    APPLY_OVERRIDES_FAILED = "ApplyOverridesFailed"
    DISPUTED = "Disputed", Phase.DIFFERS
    """Ours: somebody undoes as often as we correct, and the next correction waits (core.contention)."""
    RETRIEVAL_FAILED = "RetrievalFailed"
    CACHED_RETRIEVAL_FAILED = "CachedRetrievalFailed"
    VERSION_UNAVAILABLE = "VersionUnavailable"
    """Ours: the member does not serve this type or version."""
    FIELD_RETENTION_FAILED = "FieldRetentionFailed"
    CREATION_FAILED = "CreationFailed"
    CREATION_TIMED_OUT = "CreationTimedOut"
    UPDATE_FAILED = "UpdateFailed"
    UPDATE_TIMED_OUT = "UpdateTimedOut"
    DELETION_FAILED = "DeletionFailed"
    DELETION_TIMED_OUT = "DeletionTimedOut"
    LABEL_REMOVAL_FAILED = "LabelRemovalFailed"
    LABEL_REMOVAL_TIMED_OUT = "LabelRemovalTimedOut"

    @property
    def shown(self) -> str:
        """As fedctl prints it."""
        return self.value or "Applied"


_PHASES = {status.value: status.phase for status in PropagationStatus}


def phase(status: str) -> Phase:
    """The phase of a stored status; one that is not known (of another controller) is a failure."""
    return _PHASES.get(status, Phase.FAILED)
