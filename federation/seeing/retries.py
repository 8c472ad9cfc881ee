"""When the controller tries again what it could not do in a cluster, by the state that it reports. Pure.

It keeps the exact moments in memory alone. What holds for all is the rule (controllers.pacing), and that what the
object waits for wakes it at once.
"""

from collections.abc import Mapping

from federation.controllers import pacing
from federation.model.conditions import PropagationStatus as State


def _most(pace: tuple[float, float]) -> str:
    seconds = pace[1]
    return f"{seconds / 60:g} min" if seconds >= 120 else f"{seconds:g} s"


_REFUSED = (
    f"at growing intervals of at most {_most(pacing.RETRY['slow'])} ({_most(pacing.RIGHT_MISSING)} where a right is "
    "missing), and at once when the federated object or the copy there changes"
)
_SILENT = f"at growing intervals of at most {_most(pacing.RETRY['soon'])}, and when the cluster answers again"
_SPEC = "when the federated object changes: until then it would fail in the same way"

_WHEN: Mapping[str, str] = {
    State.OK: "",
    State.PENDING: "as soon as what it waits for has happened",
    State.HELD: "when its stage of the rollout is released: fedctl rollout status",
    State.WAITING_FOR_REMOVAL: (
        "when what holds it is gone (fedctl deletions shows what waits for a person); where the hub has given no "
        f"proof, the hub is asked again within {_most(pacing.UNPROVEN)}; where the cluster has not confirmed it, the "
        f"delete is sent again within {_most(pacing.RESEND)}"
    ),
    State.CLUSTER_NOT_READY: "when the cluster answers a probe again",
    State.CLUSTER_CORDONED: "when it is uncordoned: fedctl uncordon",
    State.ALREADY_EXISTS: _REFUSED,
    State.MANAGED_LABEL_FALSE: "when the label there changes",
    State.DRIFTED: (
        f"it is looked at again within {_most(pacing.DRIFTED)} and when the copy there changes; what differs is put "
        "back when the manifest changes"
    ),
    State.COMPUTE_RESOURCE_FAILED: _SPEC,
    State.APPLY_OVERRIDES_FAILED: _SPEC,
    State.DISPUTED: "at the time that the message names",
    State.RETRIEVAL_FAILED: f"within {_most(pacing.RIGHT_MISSING)}",
    State.CACHED_RETRIEVAL_FAILED: f"within {_most(pacing.RIGHT_MISSING)}",
    State.VERSION_UNAVAILABLE: "when the cluster serves the type",
    State.FIELD_RETENTION_FAILED: _REFUSED,
    State.CREATION_FAILED: _REFUSED,
    State.UPDATE_FAILED: _REFUSED,
    State.DELETION_FAILED: _REFUSED,
    State.LABEL_REMOVAL_FAILED: _REFUSED,
    State.CREATION_TIMED_OUT: _SILENT,
    State.UPDATE_TIMED_OUT: _SILENT,
    State.DELETION_TIMED_OUT: _SILENT,
    State.LABEL_REMOVAL_TIMED_OUT: _SILENT,
}


def when(state: str) -> str:
    """When it is tried again; "" for what is as it should be, and for a state that is not known."""
    return _WHEN.get(state, "")
