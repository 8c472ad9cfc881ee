"""KubeFedConfig as values: every field of KubeFed's, with KubeFed's defaults. Durations in seconds."""

from dataclasses import dataclass, field

from federation.model.policies import NOTHING_SAID, Policies

LARGEST_BUNDLE = 400_000
"""The most that spec.pull.bundleBytes may be: Open Cluster Management's hub refuses works above 500 KiB."""
MOST_RECONCILES = 16
"""Objects that are in work at once, and writes in flight to one member, whatever is asked for: one event loop gains
nothing from more, and a member's API server is not ours to fill."""
SHORTEST_LEASE, LONGEST_LEASE = 2.0, 86_400.0
"""Seconds of a Lease, whatever is asked for: shorter ones end while an API server is only slow."""
SHORTEST_PERIOD = 1.0
"""Seconds between two probes of a cluster, whatever is asked for."""


PUSHER = "PushReconciler"
"""The feature gate of all propagation."""
SCHEDULER = "SchedulerPreferences"
"""The feature gate of ReplicaSchedulingPreferences."""
RAW_STATUS = "RawResourceStatusCollection"
"""The feature gate of remoteStatus."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """spec.clusterHealthCheck."""

    period: float = 10.0
    failure_threshold: int = 3
    success_threshold: int = 1
    timeout: float = 3.0


@dataclass(frozen=True, slots=True)
class LeaderElection:
    """spec.leaderElect; the lock is always a coordination.k8s.io Lease."""

    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 5.0


@dataclass(frozen=True, slots=True)
class DeletionBudget:
    """spec.deletionBudget: how many deletions go on by themselves (core.deletions).

    `percent` is of the placements of a type or of a namespace, and never fewer than `minimum` go; `window` in seconds.
    `by_name`: federated objects that are deleted together count, too. `in_use`: a Namespace that has objects of others
    in it is deleted only when a person says so. With `enabled` False nothing is held that is not held already.
    """

    enabled: bool = True
    percent: int = 10
    minimum: int = 5
    window: float = 60.0
    by_name: bool = True
    in_use: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """spec of the KubeFedConfig named `kubefed`, within our limits; an absent object means these defaults.

    `cautious`: the KubeFedConfig cannot be understood, and no earlier one is known. Until it is corrected nothing is
    adopted and nothing removed, for what its author wants of either is unknown.
    """

    namespaced: bool = False
    available_delay: float = 20.0
    unavailable_delay: float = 60.0
    cache_sync_timeout: float = 300.0
    leader_election: LeaderElection = field(default_factory=LeaderElection)
    warm_standby: bool = False
    """Whether a controller that stands by watches the members, too."""
    health: HealthCheck = field(default_factory=HealthCheck)
    sync_concurrency: int = MOST_RECONCILES
    """For each type that is followed, as KubeFed had workers for each: objects that are in work at once, and writes in
    flight to one member. MOST_RECONCILES are the most for all types together (World.concurrency)."""
    adopt_resources: bool = True
    status_concurrency: int = 16
    features: frozenset[str] = frozenset({PUSHER, SCHEDULER})
    policies: Policies = NOTHING_SAID
    deletion_budget: DeletionBudget = DeletionBudget()
    cautious: bool = False
    recovery_hold: float | None = None
    """Seconds after which removals that are held because the hub was restored go on; None: when a person says so."""
    bundle_bytes: int = 0
    """spec.pull.bundleBytes: the most bytes of the objects that are in one ManifestWork; 0: each has a work alone."""
