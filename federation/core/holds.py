"""Hold back removals that were planned, while something stands against them; pure, between planning and its adoption.

Whatever may hold a removal is a Restraint: the settings that are not understood, a hub that was restored. Everything
else of a plan goes on. A held action becomes a Wait with its reason, so that lanes, the cluster's line and a restart
need to know nothing more, and the next plan asks again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from federation.core import restoration
from federation.core.restoration import Hold
from federation.model.conditions import PropagationStatus
from federation.model.federated import Metadata
from federation.model.plan import Action, Apply, Delete, Plan, Release, Wait

CAUTIOUS = "nothing is removed while the KubeFedConfig is invalid: its events say what is wrong with it"
RESTORED = (
    "held: the hub was restored from a backup; `fedctl recovery status` shows what it means, "
    "`fedctl recovery approve` lets removals go on"
)


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


def _held(action: Action, held: str) -> Action:
    match action:
        case Delete() | Release():
            return Wait(PropagationStatus.WAITING_FOR_REMOVAL, held)
        case Apply() if action.recreation is not None:
            return replace(action, recreation=None)
    return action
