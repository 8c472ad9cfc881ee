"""The marks KubeFed put on objects, which we keep, and the few that are ours."""

import hashlib
import re

SYSTEM_NAMESPACE = "kube-federation-system"

SYSTEM_NAMESPACES = frozenset({"default", "kube-node-lease", "kube-public", "kube-system", SYSTEM_NAMESPACE})
"""Namespaces that every cluster has for itself: never created, changed or deleted. A controller adds its own."""

MANAGED_LABEL = "kubefed.io/managed"
"""On a member's object: "true" is ours to update and delete; "false" was set by somebody and is respected."""

SYNC_FINALIZER = "kubefed.io/sync-controller"
"""On a federated object: removed once no member holds a managed copy."""

TYPE_FINALIZER = "core.kubefed.io/federated-type-config"
"""On a FederatedTypeConfig: removed once propagation of the type has stopped."""

ORPHAN_ANNOTATION = "kubefed.io/orphan"
"""On a federated object: "true" leaves the members' objects in place when it is deleted."""

DELETE_OPTION_ANNOTATION = "kubefed.io/deleteoption"
"""On a federated object: JSON DeleteOptions for the deletes in members."""

RECREATE_ANNOTATION = "kubefed.io/recreate"
"""Ours, on a federated object: "true" lets its copies be deleted and created anew where a member refuses a change."""

COPY_ANNOTATION = "kubefed.io/copy-namespace-metadata"
"""Ours, on a FederatedNamespace without a template: "true" gives the members the host Namespace's labels and
annotations, except those that somebody there has set otherwise."""

RUN_ONCE_ANNOTATION = "kubefed.io/run-once"
"""Ours, on a federated object: "true" means that it runs to completion, as a Job does, "false" that it does not."""

CREATED_ANNOTATION = "kubefed.io/created-by"
"""Ours, on a member's object that has contents of others (core.removal): the field manager of the hub that created it.
It is written with the creation or never."""

DELETE_ADOPTED_ANNOTATION = "kubefed.io/delete-adopted"
"""Ours, on a federated object: "true" has copies with contents of others deleted though others created them."""

PROTECTION_ANNOTATION = "kubefed.io/delete-protection"
"""Ours, on a federated object or a FederatedNamespace: nothing is removed from any member, whatever its value but
"false" (core.holds). On a FederatedNamespace this holds for all that is federated in the namespace, too."""

DELETIONS_PREFIX = "deletions.kubefed.io/"
"""Ours, on the KubeFedConfig: annotations by which a person decides on groups of deletions. Each has the name of its
group, and the value APPROVED or REJECTED."""
APPROVED, REJECTED = "approved", "rejected"

TAKEOVER_ANNOTATION = "kubefed.io/takeover"
DRIFT_ANNOTATION = "kubefed.io/drift"
DELETION_ANNOTATION = "kubefed.io/deletion"
IGNORE_FIELDS_ANNOTATION = "kubefed.io/ignore-fields"
"""Ours, on a federated object: its policies (core.policies). The last is a JSON list of JSON pointers."""

ROLLOUT_LABEL = "kubefed.io/rollout"
"""Ours, on a federated object: the FederatedRollout that releases changes of it, cluster by cluster."""

APPROVED_ANNOTATION = "kubefed.io/rollout-approved"
"""Ours, on a FederatedRollout: the revision and the stage that a person lets go on, as `3/canary`."""

UNDONE_ANNOTATION = "kubefed.io/rollout-undone"
"""Ours, on a FederatedRollout: the number of the revision that a person takes back."""

IDENTITY_ANNOTATION = "kubefed.io/cluster-uid"
"""Ours, on a KubeFedCluster: the member's identity, recorded at join or at first acceptance. That is the UID of its
kube-system namespace, or OWN_NAMESPACE and the UID of the federation's own namespace there."""
OWN_NAMESPACE = "namespace:"
"""Begins the identity of a member whose account may read its own namespace alone, as with scope Namespaced."""

UNANSWERED_ANNOTATION = "kubefed.io/cluster-uid-unheard"
"""Ours, on a KubeFedCluster: clusters that had not shown their identity when this one's was recorded without a join."""

CONTESTED_ANNOTATION = "kubefed.io/cluster-uid-contested"
"""Ours, on a KubeFedCluster: an identity that it and another have shown, of which none has it on record."""

CORDON_ANNOTATION = "kubefed.io/cordon"
"""Ours, on a KubeFedCluster: nothing is created, changed or removed there, whatever its value but "false"; a value that
is not "true" is the reason, which conditions and statuses show."""

DRAIN_ANNOTATION = "kubefed.io/drain"
"""Ours, on a KubeFedCluster: replicas that preferences have put there go elsewhere, whatever its value but "false"."""

SHARD_LABEL = "kubefed.io/shard"
"""Ours, on a KubeFedCluster: which shard serves it, by its number, or clusters that one shard serves together, by any
other value (core.shards)."""

SERVED_ANNOTATION = "kubefed.io/served-by-shard"
"""Ours, on a KubeFedCluster: the shard that serves it, and how many there are, as `1/3`. Only with several shards."""

SHARDS_ANNOTATION = "kubefed.io/shards"
"""Ours, on the Leases of shards: how many there are (core.shards.Numbers). Only with several shards."""

SCHEDULER_MANAGER = "kubefed-scheduler"
"""The field manager of what preferences decide: placement and replicas of a federated object, and nothing else."""

CLAIM_PREFIX = "kubefed.io/claimed-by-"
"""Ours, on a member's object: annotations by which hubs that come second notify the one that has it (core.claims)."""

_HUBS = re.compile(r"kubefed-[0-9a-f]{8}(-[a-z]+)?")

FIELD_MANAGER = "kubefed"
"""Prefix of our server-side apply field manager; the full name carries the hub's identity (see `field_manager`)."""

AGENT = "federation-controller"
"""What the controller's requests call themselves, and so the manager of what it writes at the hub."""

EQUIVALENT_ANNOTATION = "types.kubefed.io/equivalent-versions"
"""Ours, on a FederatedTypeConfig: versions of its target, comma-separated, that differ in their name alone."""

CONFIG = "kubefed"
"""The name of the KubeFedConfig that is in force."""

NAMESPACE_TYPE = "namespaces"
"""The name of the FederatedTypeConfig that federates namespaces themselves."""


def field_manager(hub_uid: str, namespace: str = SYSTEM_NAMESPACE) -> str:
    """The field manager under which the hub with this kube-system UID applies: `kubefed-` and 8 hex digits.

    Two hubs on one member see each other by it in managedFields. So do two control planes of one hub, which live in
    different namespaces: to each other they are other hubs.
    """
    if namespace == SYSTEM_NAMESPACE:
        return f"{FIELD_MANAGER}-{hub_uid.replace('-', '')[:8]}"
    own = hashlib.blake2b(f"{hub_uid}/{namespace}".encode(), digest_size=4).hexdigest()
    return f"{FIELD_MANAGER}-{own}"


def is_hubs(manager: str) -> bool:
    """Whether a field manager is a hub's, ours or another's: its main one or a second one."""
    return _HUBS.fullmatch(manager) is not None


def replicas_manager(manager: str) -> str:
    """The second manager that keeps `spec.replicas` alive after a hand-over (retainReplicas)."""
    return f"{manager}-replicas"


def ignored_manager(manager: str) -> str:
    """The second manager that keeps fields alive which are set at creation and ignored afterwards (policy
    ignoreFields)."""
    return f"{manager}-ignored"


def second_managers(manager: str) -> tuple[str, ...]:
    """The managers by which we own what we do not apply."""
    return replicas_manager(manager), ignored_manager(manager)


def claim_manager(manager: str) -> str:
    """The manager of the claim that a hub leaves on what another hub has; no hub takes it for an owner of anything."""
    return f"{manager}-claim"


def claim_annotation(manager: str) -> str:
    """Ours, on a member's object: the hub of this field manager is to push it, too, and another hub has it.

    One annotation per hub, so that claims never conflict with each other.
    """
    return f"{CLAIM_PREFIX}{manager.removeprefix(f'{FIELD_MANAGER}-')}"
