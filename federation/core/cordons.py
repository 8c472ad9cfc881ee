"""A cordoned cluster: nothing new goes there, and nothing that is there is touched. Pure.

Somebody asks for it by an annotation on the KubeFedCluster (`fedctl cordon`, or git). Planning decides as for any
cluster, and `held` then puts a wait in the place of whatever would be written; controllers.executing asks again right
before a write. A copy that is as it should be stays healthy, and its line says that the cluster is cordoned.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from federation.core import budget, health
from federation.model import marks
from federation.model.conditions import ClusterConditionType, PropagationStatus
from federation.model.observations import Cluster
from federation.model.plan import Action, Aim, Command, Keep, Wait

_LONGEST_REASON = 200
_WAITS = {
    Aim.CREATE: "nothing is created there",
    Aim.UPDATE: "the copy there is not changed, and is not as it should be",
    Aim.COMPARE: "somebody has changed the copy there, and what is not looked at",
    Aim.REMOVE: "the copy there is not removed",
    Aim.CLAIM: "another hub has the object, and no claim is made",
}


def reason(annotations: Mapping[str, str]) -> str | None:
    """Why a cluster is cordoned, "" without a reason; None where it is not.

    Any value but "false" cordons: whoever mistypes one wants that nothing happens there.
    """
    value = annotations.get(marks.CORDON_ANNOTATION)
    if value is None or value == "false":
        return None
    return "" if value == "true" else budget.cut(" ".join(value.split()), _LONGEST_REASON)


def held(action: Action, cluster: Cluster) -> Action:
    """What is left of an action for a cordoned cluster: whatever would be written waits."""
    why = f"the cluster is cordoned{f' ({cluster.cordon})' if cluster.cordon else ''}"
    if isinstance(action, Keep):
        return msgspec.structs.replace(action, note="; ".join(filter(None, (action.note, why))))
    if not isinstance(action, Command):
        return action
    return Wait(PropagationStatus.CLUSTER_CORDONED, f"{why}: {_WAITS[action.aim]}", known=True)


def with_condition(conditions: Sequence[Mapping[str, Any]], cordon: str | None, now: float) -> list[dict[str, Any]]:
    """A KubeFedCluster's conditions with Cordoned as it is now: there only while it is; `now` in epoch seconds."""
    kind = ClusterConditionType.CORDONED
    if cordon is None:
        return [dict(condition) for condition in conditions if condition.get("type") != kind]
    message = "nothing is created, changed or removed there until it is uncordoned"
    wanted = ("True", "Cordoned", f"{cordon}; {message}" if cordon else message)
    return health.with_condition(conditions, kind, wanted, now)
