"""Hold back removals that were planned, while something stands against them; pure, between planning and its adoption.

Whatever may hold a removal is a Restraint: the settings that are not understood, a hub that was restored. Everything
else of a plan goes on. A held action becomes a Wait with its reason, so that lanes, the cluster's line and a restart
need to know nothing more, and the next plan asks again.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import msgspec

from federation.core import restoration
from federation.core.restoration import Hold
from federation.model import marks
from federation.model.conditions import ConditionType, DeletionsHeldReason, PropagationStatus
from federation.model.federated import Metadata
from federation.model.plan import Action, Apply, Delete, Plan, Release, Wait
from federation.model.status import Condition

CAUTIOUS = "nothing is removed while the KubeFedConfig is invalid: its events say what is wrong with it"
RESTORED = (
    "held: the hub was restored from a backup; `fedctl recovery status` shows what it means, "
    "`fedctl recovery approve` lets removals go on"
)

COUNTED = "what else follows from the same change is being counted"
_GROUP = re.compile(r"held as ([0-9a-f]{8})\b")


class Restraint(Protocol):
    """One thing that holds removals."""

    def why(self, federated: Metadata) -> str:
        """Why removals that follow from this federated object are held; "" where they are not."""


@dataclass(frozen=True, slots=True)
class Cautious:
    """The KubeFedConfig is not understood (Settings.cautious): what its author wants is unknown."""

    def why(self, federated: Metadata) -> str:
        """Of every object."""
        return CAUTIOUS


@dataclass(frozen=True, slots=True)
class Restored:
    """The hub was restored. What it does not know, or places elsewhere, may be what it has lost.

    Let through is what a person asked of this hub since: the deletion of an object by its name, and the removals of an
    object whose annotation approves of them.
    """

    hold: Hold

    def why(self, federated: Metadata) -> str:
        """Of every other object."""
        if restoration.approved(self.hold, federated.annotations):
            return ""
        return "" if restoration.asked_for_after(federated.deletion_timestamp, self.hold) else RESTORED


def why(federated: Metadata, restraints: Sequence[Restraint]) -> str:
    """Why removals that follow from this federated object are held; "" where they are not."""
    return next(filter(None, (each.why(federated) for each in restraints)), "")


def restrain(plan: Plan, federated: Metadata, restraints: Sequence[Restraint]) -> Plan:
    """The plan without the removals that are held, or leave to recreate an object.

    Objects are created and updated meanwhile.
    """
    held = why(federated, restraints)
    if not held:
        return plan
    return msgspec.structs.replace(plan, actions={name: _held(action, held) for name, action in plan.actions.items()})


def _held(action: Action, held: str, hold: DeletionsHeldReason | None = None) -> Action:
    match action:
        case Delete() | Release():
            return Wait(PropagationStatus.WAITING_FOR_REMOVAL, held, hold=hold)
        case Apply() if action.recreation is not None:
            return replace(action, recreation=None)
    return action


# --- delete protection ------------------------------------------------------------------------------------------------


def protected(annotations: Mapping[str, str]) -> bool:
    """Whether an object is protected from deletion. Any value but "false" protects: whoever mistypes one wants that
    nothing goes."""
    return annotations.get(marks.PROTECTION_ANNOTATION, "false") != "false"


def protection(federated: Metadata, namespace: Metadata | None) -> str:
    """Why nothing of an object is removed, whose FederatedNamespace may be known; "" where it may be."""
    if protected(federated.annotations):
        return f"protected: its annotation {marks.PROTECTION_ANNOTATION} lets nothing be removed"
    if namespace is not None and protected(namespace.annotations):
        annotation = f"annotation {marks.PROTECTION_ANNOTATION} of FederatedNamespace {namespace.name!r}"
        return f"protected: the {annotation} lets nothing be removed"
    return ""


def protect(plan: Plan, why: str) -> Plan:
    """The plan of a protected object. To give up our fields where another hub has the object is no removal."""
    held = {
        name: action if isinstance(action, Release) and action.keep_label else _held(action, why, _PROTECTED)
        for name, action in plan.actions.items()
    }
    return msgspec.structs.replace(plan, actions=held)


_PROTECTED = DeletionsHeldReason.PROTECTED


# --- what is over the budget ------------------------------------------------------------------------------------------


def counted() -> Wait:
    """A deletion whose group is still being counted."""
    return Wait(PropagationStatus.PENDING, COUNTED, known=True)


def over_budget(group: str) -> Wait:
    """A deletion that waits for a person."""
    message = f"held as {group}: more than goes by itself would be deleted; `fedctl deletions` shows what"
    return Wait(PropagationStatus.WAITING_FOR_REMOVAL, message, hold=DeletionsHeldReason.BUDGET)


def rejected(group: str, action: Delete, *, by_name: bool) -> Action:
    """A deletion that a person has rejected. One of an object that is being deleted cannot wait for ever: the copy is
    let go of."""
    if by_name:
        reason = action.reason
        kept = "its deletion was rejected (fedctl deletions reject): it stays, and is not managed any more"
        return Release(action.uid, reason=replace(reason, kept=kept) if reason is not None else None)
    message = f"held as {group}: its deletion was rejected; it stays until the change is taken back, or another follows"
    return Wait(PropagationStatus.WAITING_FOR_REMOVAL, message, hold=DeletionsHeldReason.REJECTED)


def group_of(conditions: Sequence[Condition]) -> str:
    """The group that the status of an object names; "" where nothing of it was held."""
    for each in conditions:
        if each.type == ConditionType.DELETIONS_HELD and (found := _GROUP.search(each.message)) is not None:
            return found[1]
    return ""


class Held(NamedTuple):
    """What the condition DeletionsHeld says: why, and where."""

    reason: DeletionsHeldReason
    message: str
    clusters: tuple[str, ...]


def held(actions: Mapping[str, Action]) -> Held | None:
    """What of an object is held; None where nothing is. Where it is for several reasons, that of the first cluster."""
    waits = {name: each for name, each in sorted(actions.items()) if isinstance(each, Wait) and each.hold is not None}
    first = next(iter(waits.values()), None)
    if first is None or first.hold is None:
        return None
    return Held(first.hold, first.message, tuple(waits))
