"""What the statuses of an object's copies say together: status.summary and the condition Healthy. Pure.

Ready says that every cluster has applied the object; Healthy, that the copies are well by their own statuses. What is
not known is not well and not unwell: an outage of one member does not make the object Unhealthy.
"""

from collections.abc import Mapping, Set
from typing import NamedTuple

from federation.model.conditions import ConditionType, HealthyReason
from federation.model.observations import Collected
from federation.model.status import Condition, Status, Summary

_NAMED = 3
NO_COPY = "it has no copy"


class Wellbeing(NamedTuple):
    """Both, each None where the type's statuses are not collected, or nobody knows what they mean."""

    summary: Summary | None = None
    condition: Condition | None = None


NOT_COLLECTED = Wellbeing()


def unchanged(status: Status) -> Wellbeing:
    """What a status says of it, to be said again."""
    found = next((each for each in status.conditions if each.type == ConditionType.HEALTHY), None)
    return Wellbeing(status.summary, found)


def assess(found: Mapping[str, Collected], selected: Set[str], unknown: Set[str], generation: int) -> Wellbeing:
    """What is known of the `selected` clusters together; of those that are `unknown`, nothing is known now."""
    known = [found[name] for name in selected - unknown if name in found]
    unwell = {
        name: found[name].unhealthy if name in found else NO_COPY
        for name in sorted(selected - unknown)
        if name not in found or found[name].unhealthy
    }
    unclear = sorted(selected & unknown)
    summary = Summary(
        desired=sum(each.desired for each in known),
        ready=sum(each.ready for each in known),
        updated=sum(each.updated for each in known),
        unhealthy_clusters=len(unwell),
        unknown_clusters=len(unclear),
    )
    status, reason, message = _verdict(len(selected), unwell, unclear)
    condition = Condition(ConditionType.HEALTHY, status, reason.value, message=message, observed_generation=generation)
    return Wellbeing(summary, condition)


def _verdict(selected: int, unwell: Mapping[str, str], unclear: list[str]) -> tuple[str, HealthyReason, str]:
    """Status, reason and message of Healthy."""
    parts = []
    if unwell:
        parts.append(f"{len(unwell)} of {selected} clusters are not healthy")
        parts += [f"{name}: {why}" for name, why in list(unwell.items())[:_NAMED]]
        parts += [f"and {len(unwell) - _NAMED} more"] if len(unwell) > _NAMED else []
    if unclear:
        more = f" and {len(unclear) - _NAMED} more" if len(unclear) > _NAMED else ""
        parts.append(f"the status is not known of {', '.join(unclear[:_NAMED])}{more}")
    if unwell:
        return "False", HealthyReason.UNHEALTHY, "; ".join(parts)
    if unclear:
        return "Unknown", HealthyReason.UNKNOWN, "; ".join(parts)
    if not selected:
        return "True", HealthyReason.NO_CLUSTER_SELECTED, "no cluster is selected"
    return "True", HealthyReason.HEALTHY, f"{selected} cluster{' is' if selected == 1 else 's are'} healthy"
