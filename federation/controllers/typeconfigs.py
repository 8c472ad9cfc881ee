"""What a FederatedTypeConfig says: the type that it enables, whether that is followed, and what Ready reports; pure."""

from dataclasses import replace
from typing import Any

from federation.core import configuration
from federation.model.conditions import ConditionType, TypeReason
from federation.model.errors import Invalid
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType, StoredObject
from federation.model.policies import NOTHING_SAID
from federation.model.settings import PUSHER, RAW_STATUS, Settings

_NAMESPACED_SCOPE = (
    "False",
    "NamespacedScope",
    "the KubeFedConfig's scope is Namespaced: only namespaced types are federated, in the controller's own namespace",
)
GATE_OFF = (
    "feature gate PushReconciler of the KubeFedConfig is Disabled: nothing is pushed, and members keep what they have"
)


def read(stored: StoredObject, settings: Settings, namespace: str) -> FederatedType:
    """The type that a FederatedTypeConfig enables; with scope Namespaced it is bound to `namespace`. Raises Invalid."""
    meta = stored.metadata
    if stored.broken:
        raise Invalid("", f"cannot be read: {stored.broken}")
    metadata = {"name": meta.name, "generation": meta.generation, "annotations": meta.annotations}
    enabled = configuration.type_config({"metadata": metadata, "spec": stored.spec})
    if enabled.collection is not None:
        raw = RAW_STATUS in settings.features
        enabled = replace(enabled, collection=replace(enabled.collection, raw=raw))
    return replace(enabled, namespace=namespace) if settings.namespaced else enabled


def is_followed(stored: StoredObject, enabled: FederatedType, settings: Settings) -> bool:
    """Whether the objects of a type are pushed: it is enabled, and within the scope, with the feature gate on."""
    going = stored.metadata.deletion_timestamp is not None
    return enabled.propagation and not going and idle(enabled, settings) is None


def unfollowed(stored: StoredObject | None, settings: Settings, namespace: str) -> str:
    """Why nothing of a type is pushed; "" where its objects are. None: there is no FederatedTypeConfig of it."""
    if stored is None:
        return "it is not enabled"
    try:
        enabled = read(stored, settings, namespace)
    except Invalid as error:
        return f"its FederatedTypeConfig is wrong: {error}"
    if stored.metadata.deletion_timestamp is not None or not enabled.propagation:
        return "its propagation is Disabled"
    why = idle(enabled, settings)
    return why[2] if why is not None else ""


def idle(enabled: FederatedType, settings: Settings) -> tuple[str, str, str] | None:
    """Ready's status, reason and message where the settings keep an enabled type from being followed; else None.

    Then nothing of it changes, at the hub or in members, until they let it: finalizers stay, as deletions wait.
    """
    if PUSHER not in settings.features:
        return "False", "PushReconcilerDisabled", GATE_OFF
    return _NAMESPACED_SCOPE if settings.namespaced and not enabled.target.namespaced else None


def ready(stored: StoredObject, enabled: FederatedType, failure: Failure | None) -> tuple[str, str, str] | None:
    """Ready's status, reason and message; None when a failure is not the type's own (the hub is away)."""
    if failure is None:
        note = _uncollected(stored, enabled)
        if enabled.namespace:
            where = f"in namespace {enabled.namespace!r} only"
            return "True", TypeReason.FOLLOWING_NAMESPACE, "; ".join(filter(None, (where, note)))
        return "True", TypeReason.FOLLOWING, note
    federated = enabled.federated
    match failure.kind:
        case FailureKind.TYPE_MISSING:
            what = f"the host does not serve {federated.qualified} in {federated.version}"
            return (
                "False",
                TypeReason.FEDERATED_TYPE_MISSING,
                f"{what}: apply its CRD, as fedctl enable {enabled.name} does",
            )
        case FailureKind.RIGHT_MISSING:
            return "False", TypeReason.RIGHT_MISSING, f"{failure.message}; fedctl enable {enabled.name} grants it"
    return None


def _uncollected(stored: StoredObject, enabled: FederatedType) -> str:
    """What of statusCollection: Enabled is not done, and why."""
    if stored.spec.get("statusCollection") != "Enabled":
        return ""
    if enabled.collection is None:
        return "statusCollection has no effect: objects of this type are never read whole"
    if not enabled.collection.raw:
        return "statuses are summarised; for remoteStatus enable the feature gate RawResourceStatusCollection"
    return ""


def stored_ready(stored: StoredObject) -> tuple[str, str, str] | None:
    """Ready as it is stored; None where there is none."""
    found = next((each for each in stored.conditions if each.get("type") == ConditionType.READY), None)
    return (str(found.get("status")), str(found.get("reason")), str(found.get("message"))) if found else None


def conditions(stored: StoredObject, ready: tuple[str, str, str] | None, now: str) -> list[dict[str, Any]]:
    """The stored conditions with Ready as it is now; its time moves when its status does."""
    before = stored.conditions
    others = [each for each in before if each.get("type") != ConditionType.READY]
    if ready is None:
        return others
    old: dict[str, Any] = next((each for each in before if each.get("type") == ConditionType.READY), {})
    status, reason, message = ready
    since = old.get("lastTransitionTime") if old.get("status") == status else None
    new = {
        "type": ConditionType.READY,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or now,
        "observedGeneration": stored.metadata.generation,
    }
    return before if new == old else [*others, new]


def same(one: FederatedType, other: FederatedType) -> bool:
    """Whether it is followed in the same way."""

    def alike(each: FederatedType) -> FederatedType:
        return replace(each, generation=0, policies=NOTHING_SAID, collection=None)

    return alike(one) == alike(other)


def collects(enabled: FederatedType) -> dict[str, bool]:
    """Whether statuses are collected, and as remoteStatus; for the log."""
    return {"enabled": enabled.collection is not None, "raw": enabled.collection is not None and enabled.collection.raw}
