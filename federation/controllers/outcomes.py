"""What came of one action at one member, and where it was done; shared by all that act there.

Structs, because there is one of each for every push: 0.1 us for eleven fields instead of 1.3 as a frozen dataclass.
"""

from collections.abc import Awaitable, Callable

import msgspec

from federation.controllers.ports import MemberPort
from federation.core import classification, proof
from federation.core.managedfields import PartialMetadata
from federation.core.proof import Doubt, Proof
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure
from federation.model.resources import ObjectName, Resource


class Contest(msgspec.Struct, frozen=True, gc=False):
    """Fields we took back by force, and from whom."""

    managers: tuple[str, ...]
    fields: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What came of one action. `metadata` is the object's afterwards, where the member's answer had it.

    `status` OK means done. `failure` is set when the member refused or did not answer; where somebody else has the
    object (Phase.TAKEN) nobody failed. `recreating`: deleted, to be created anew once it is gone. `dropped` is
    the message about fields that the object does not have as asked (core.drops); `fully_owned`: every field of it has
    an owner. Both are None when the object was not looked at. `removed`: how our copy was, "deleted" or "released" (it
    stays and is ours no more). `created`: nothing was there before. `gone`: nothing is there, and nothing was created;
    with a status that is not believed yet. `doubt`: the hub has not proven that something may be removed, so that it
    was not. `handed_over`: whoever acts in the cluster has it; what is observed of the cluster later shows what came of
    it.
    """

    metadata: PartialMetadata | None = None
    status: PropagationStatus = PropagationStatus.OK
    message: str = ""
    failure: Failure | None = None
    contest: Contest | None = None
    recreating: bool = False
    removed: str = ""
    dropped: str | None = None
    fully_owned: bool | None = None
    created: bool = False
    gone: bool = False
    doubt: Doubt | None = None
    handed_over: bool = False


Prove = Callable[[], Awaitable[Proof | Doubt]]
"""Asks the hub whether something may be removed; called right before it would be."""


async def unproven() -> Doubt:
    """Of a target for which nobody has said how to ask."""
    return Doubt(proof.Cause.SILENT, "not removed: the hub was not asked for it")


class Target(msgspec.Struct, frozen=True, gc=False):
    """One object at one member.

    `fully_owned`: every field of it was seen to have an owner. `fields_dropped`: not all was kept as asked last time.
    """

    member: MemberPort
    resource: Resource
    name: ObjectName
    fully_owned: bool = False
    fields_dropped: bool = False
    prove: Prove = unproven


def doubted(doubt: Doubt) -> Outcome:
    """The Outcome of a removal that was not sent: it waits, and is tried again or planned anew."""
    return Outcome(status=PropagationStatus.WAITING_FOR_REMOVAL, message=doubt.message, doubt=doubt)


def failed(failure: Failure, verb: classification.Verb, status: PropagationStatus | None = None) -> Outcome:
    """The Outcome of a write that failed; `status` where it is not what the failure means by itself."""
    return Outcome(
        status=status or classification.status_for(failure, verb=verb),
        message=failure.message,
        failure=failure,
    )
