"""Assess a field conflict: who owns the fields that an unforced apply names, and whether it may be forced.

Apply is unforced first, because a 409 names each field and its manager at no cost. Only what `assess` finds to be
Foreign is then forced.
"""

import re
from dataclasses import dataclass

from federation.model import marks
from federation.model.failures import Failure

_HUB = re.compile(rf"({marks.FIELD_MANAGER}-[0-9a-f]{{8}})(?:-replicas|-ignored)?")
_LABEL_FIELD = f".metadata.labels.{marks.MANAGED_LABEL}"


@dataclass(frozen=True, slots=True)
class ManagedFalse:
    """Somebody set our label to another value: leave the object alone and report ManagedLabelFalse."""


@dataclass(frozen=True, slots=True)
class OtherHub:
    """Another hub owns these fields: report it, never fight."""

    manager: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Foreign:
    """Anybody else owns these fields: apply again by force, and report whose change was undone.

    Both are empty when only a second manager of our own (retained replicas, ignored fields, both released now) stood in
    the way.
    """

    managers: tuple[str, ...]
    fields: tuple[str, ...]


Conflict = ManagedFalse | OtherHub | Foreign


def assess(failure: Failure, manager: str) -> Conflict:
    """What a FIELD_CONFLICT means; `manager` is our field manager. Names and fields are sorted, each once."""
    own = (manager, *marks.second_managers(manager))
    causes = [cause for cause in failure.causes if cause.manager not in own]
    if any(cause.field == _LABEL_FIELD for cause in causes):
        return ManagedFalse()
    hubs = [cause for cause in causes if _HUB.fullmatch(cause.manager)]
    if hubs:
        hub = min(_hub(cause.manager) for cause in hubs)
        return OtherHub(hub, tuple(sorted({cause.field for cause in hubs if _hub(cause.manager) == hub})))
    return Foreign(
        tuple(sorted({cause.manager for cause in causes})),
        tuple(sorted({cause.field for cause in causes})),
    )


def _hub(manager: str) -> str:
    found = _HUB.fullmatch(manager)
    return found[1] if found else ""
