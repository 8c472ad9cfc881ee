"""KubeFed's words for what happened, kept for the people and dashboards that read them."""

import enum


class Word(enum.StrEnum):
    """status.clusters[].status of a federated object; absent (OK) means applied."""

    OK = ""
    WAITING_FOR_REMOVAL = "WaitingForRemoval"
    CLUSTER_NOT_READY = "ClusterNotReady"
    CACHED_RETRIEVAL_FAILED = "CachedRetrievalFailed"
    COMPUTE_RESOURCE_FAILED = "ComputeResourceFailed"
    APPLY_OVERRIDES_FAILED = "ApplyOverridesFailed"
    CREATION_FAILED = "CreationFailed"
    UPDATE_FAILED = "UpdateFailed"
    DELETION_FAILED = "DeletionFailed"
    LABEL_REMOVAL_FAILED = "LabelRemovalFailed"
    RETRIEVAL_FAILED = "RetrievalFailed"
    ALREADY_EXISTS = "AlreadyExists"
    FIELD_RETENTION_FAILED = "FieldRetentionFailed"
    VERSION_RETRIEVAL_FAILED = "VersionRetrievalFailed"
    CLIENT_RETRIEVAL_FAILED = "ClientRetrievalFailed"
    MANAGED_LABEL_FALSE = "ManagedLabelFalse"
    CREATION_TIMED_OUT = "CreationTimedOut"
    UPDATE_TIMED_OUT = "UpdateTimedOut"
    DELETION_TIMED_OUT = "DeletionTimedOut"
    LABEL_REMOVAL_TIMED_OUT = "LabelRemovalTimedOut"
    VERSION_UNAVAILABLE = "VersionUnavailable"
    """Ours: the member does not serve this type or version."""
    PENDING = "Pending"
    """Ours: decided and on its way, no answer yet."""


class Propagation(enum.StrEnum):
    """reason of the Propagation condition; absent (OK) means all is well."""

    OK = ""
    CHECK_CLUSTERS = "CheckClusters"
    NAMESPACE_NOT_FEDERATED = "NamespaceNotFederated"
    COMPUTE_PLACEMENT_FAILED = "ComputePlacementFailed"
    CLUSTER_RETRIEVAL_FAILED = "ClusterRetrievalFailed"
    INVALID = "InvalidSpec"
    """Ours: the object as a whole cannot be understood; the message names the field."""
