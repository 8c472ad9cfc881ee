"""Leave fields to one member that are set at creation and ignored afterwards; core.ignoring makes the patch.

Called by push: after a creation, and before an apply to an object that is there, because a field that only we own and
that the apply does not name would go. A controller that is killed in between finds the fields in our entry, and moves
them first.
"""

import functools

import orjson

from federation.controllers import clearing
from federation.controllers.outcomes import Outcome, Target, failed
from federation.core import ignoring, managedfields
from federation.core.managedfields import PartialMetadata
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Apply

_REFUSED = PropagationStatus.FIELD_RETENTION_FAILED


async def leave(action: Apply, target: Target) -> Outcome | None:
    """Before an apply without these fields: give up what we own of them; an Outcome where that is not possible."""
    found = await target.member.read(target.resource, target.name)
    if isinstance(found, Failure):
        return failed(found, "update")
    if found.uid != action.uid:
        gone = Failure(FailureKind.UID_MISMATCH, "it was deleted or created anew meanwhile", 409)
        return failed(gone, "update")
    left = await settle(action, target, found)
    return left if isinstance(left, Outcome) else None


async def settle(action: Apply, target: Target, metadata: PartialMetadata) -> PartialMetadata | Outcome:
    """Move the ignored fields from our entry to that of the second manager, and from that one what is ignored no more.

    The metadata afterwards; the Outcome, with what is there, where the member does not let us.
    """
    member = target.member
    body = orjson.loads(action.body)
    patching = functools.partial(ignoring.leave_patch, metadata, member.manager, body, action.ignored)
    try:
        operations = await clearing.aside(managedfields.size(metadata), patching)
    except ignoring.NotLeft as error:
        return Outcome(metadata, _REFUSED, str(error))
    if operations is None:
        return metadata
    patched = await member.patch(target.resource, target.name, operations)
    if isinstance(patched, Failure):
        return Outcome(metadata, _REFUSED, patched.message, patched)
    return patched.metadata


def has_left(metadata: PartialMetadata, manager: str) -> bool:
    """Whether fields were ignored here before."""
    return ignoring.has_left(metadata, manager)
