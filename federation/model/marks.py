"""The marks KubeFed put on objects, which we keep, and the few that are ours."""

SYSTEM_NAMESPACE = "kube-federation-system"

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

CLAIM_PREFIX = "kubefed.io/claimed-by-"
"""Ours, on a member's object: annotations by which hubs that come second tell the one that has it; see core.claims."""

FIELD_MANAGER = "kubefed"
"""Prefix of our server-side apply field manager; the full name carries the hub's identity (see `field_manager`)."""

EQUIVALENT_ANNOTATION = "types.kubefed.io/equivalent-versions"
"""Ours, on a FederatedTypeConfig: versions of its target, comma-separated, that differ in their name alone."""

NAMESPACE_TYPE = "namespaces"
"""The name of the FederatedTypeConfig that federates namespaces themselves."""


def field_manager(hub_uid: str) -> str:
    """The field manager under which the hub with this kube-system UID applies: `kubefed-` and 8 hex digits.

    Two hubs on one member see each other by it in managedFields.
    """
    return f"{FIELD_MANAGER}-{hub_uid.replace('-', '')[:8]}"


def replicas_manager(manager: str) -> str:
    """The second manager that keeps `spec.replicas` alive after a hand-over (retainReplicas)."""
    return f"{manager}-replicas"


def claim_manager(manager: str) -> str:
    """The manager of the claim that a hub leaves on what another hub has; no hub takes it for an owner of anything."""
    return f"{manager}-claim"


def claim_annotation(manager: str) -> str:
    """Ours, on a member's object: the hub of this field manager is to push it, too, and another hub has it.

    One annotation per hub, so that claims never conflict with each other.
    """
    return f"{CLAIM_PREFIX}{manager.removeprefix(f'{FIELD_MANAGER}-')}"
