"""The conditions of a FederatedRollout: Ready, as kstatus and `kubectl wait` understand it. Pure."""

from collections.abc import Mapping
from typing import Any

from federation.core.rollouts import State
from federation.model.federated import StoredObject

LONGEST = 1_000
"""Characters of a message."""


def ready(stored: StoredObject) -> Mapping[str, Any]:
    """Its stored condition Ready; {} when there is none."""
    return next((each for each in stored.conditions if each.get("type") == "Ready"), {})


def wanted(reason: str, message: str) -> tuple[str, str, str]:
    """Status, reason and message of Ready: True where nothing is left to do."""
    status = "True" if reason in {State.COMPLETE, State.NO_OBJECT} else "False"
    return status, str(reason), message[:LONGEST]


def conditions(stored: StoredObject, reason: str, message: str, now: str) -> list[dict[str, Any]]:
    """All conditions with Ready as it is now; those of others stay."""
    before, (status, why, text) = ready(stored), wanted(reason, message)
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    condition = {
        "type": "Ready",
        "status": status,
        "reason": why,
        "message": text,
        "lastTransitionTime": since or now,
        "observedGeneration": stored.metadata.generation,
    }
    return [condition, *(each for each in stored.conditions if each.get("type") != "Ready")]
