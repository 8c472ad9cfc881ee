"""The status of a ReplicaSchedulingPreference: its conditions, and a line for each cluster. Pure.

Ready is for everybody who waits (kstatus, `kubectl wait`): True when what the preference asks for is written into the
federated object. Valid is False when it asks for something in vain, also where the rest of it can be obeyed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from federation.core import times
from federation.core.scheduling import Decision, Problem, State
from federation.model.federated import StoredObject
from federation.model.preferences import Shortage

LONGEST = 1_000
"""Characters of a message."""


def status(
    stored: StoredObject,
    decision: Decision,
    problems: Sequence[Problem],
    shortages: Mapping[str, Shortage],
    now: float,
) -> dict[str, Any]:
    """The whole status. Without numbers nothing was written: the lines stay."""
    stamp, state, message, numbers = times.rfc3339(now), decision.state, decision.message, decision.numbers
    ready = ("True" if state is State.SCHEDULED else "False", state.value, message)
    if problems:
        reasons = "; ".join(each.message for each in problems)
        valid = ("False", problems[0].reason, reasons)
    elif state is State.DISABLED:
        valid = ("Unknown", state.value, message)
    else:
        valid = ("True", "Valid", "")
    made = [_condition(stored, "Ready", ready, stamp), _condition(stored, "Valid", valid, stamp)]
    others = [each for each in stored.conditions if each.get("type") not in {"Ready", "Valid"}]
    result: dict[str, Any] = {
        **stored.status,
        "observedGeneration": stored.metadata.generation,
        "conditions": made + others,
    }
    if numbers is not None:
        result["replicas"] = sum(numbers.values())
        result["clusters"] = [_line(name, numbers[name], shortages.get(name)) for name in sorted(numbers)]
    return result


def gist(status: Mapping[str, Any]) -> Any:
    """All of a status but its words and times."""
    found = status.get("conditions")
    conditions = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    states = [(each.get("type"), each.get("status"), each.get("reason")) for each in conditions]
    return status.get("observedGeneration"), states, status.get("clusters")


def _condition(stored: StoredObject, kind: str, wanted: tuple[str, str, str], stamp: str) -> dict[str, Any]:
    status, reason, message = wanted
    before = next((each for each in stored.conditions if each.get("type") == kind), {})
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message[:LONGEST],
        "lastTransitionTime": since or stamp,
        "observedGeneration": stored.metadata.generation,
    }


def _line(name: str, number: int, shortage: Shortage | None) -> dict[str, Any]:
    line: dict[str, Any] = {"name": name, "replicas": number}
    if shortage is not None:
        line["room"] = shortage.room
        line["fullSince"] = times.rfc3339(shortage.until)
        line["roomChecked"] = times.rfc3339(shortage.at)
    return line
