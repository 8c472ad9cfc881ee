"""Make room for an object that cannot be changed: prove that a new one would be taken, then delete the old one.

Called by push when a member has refused a change and the object's user allows it (core.recreation). Creating is not
done here: once the watch shows that the object is gone, planning sees it absent, also after a restart.
"""

from dataclasses import dataclass

from federation.controllers.outcomes import Target
from federation.core import budget, recreation
from federation.core.proof import Doubt
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Recreation

_WHY = 150
"""Characters of a reason; the rest of a line's message is the member's refusal."""


@dataclass(frozen=True, slots=True)
class NotRecreated:
    """The object stays as it is, and why. `failure` is the member's answer where one stood in the way, `doubt` the
    hub's."""

    why: str
    failure: Failure | None = None
    doubt: Doubt | None = None

    def message(self, refused: str) -> str:
        """The member's refusal of the change and why nothing more was done, both within one line's message."""
        end = f"; not recreated: {budget.cut(self.why, _WHY)}"
        return budget.cut(refused, budget.MESSAGE - len(end)) + end


async def begin(allowed: Recreation, target: Target, uid: str) -> NotRecreated | None:
    """Delete the object of this uid if the same manifest would be taken as a new one; None when it is on its way out.

    The proof is a create of that manifest as a dry run, which meets the object's name only after everything that may
    refuse it. The delete names the version that was assessed, so that nothing that was written since is deleted. The
    hub is asked last: its user's leave, and all that is to be created, may have changed.
    """
    member, resource, name = target.member, target.resource, target.name
    if allowed.never:
        return NotRecreated(allowed.never)
    metadata = await member.read(resource, name)
    if isinstance(metadata, Failure):
        return NotRecreated(metadata.message, metadata)
    if metadata.uid != uid:
        return _changed("it was deleted or created anew meanwhile")
    if metadata.deletion_timestamp is not None:
        return None
    if why := recreation.forbidden(metadata, member.manager):
        return NotRecreated(why)
    answer = await member.would_create(resource, name, allowed.body)
    if answer is None:
        return _changed("it was deleted meanwhile")
    if answer.kind is not FailureKind.ALREADY_EXISTS:
        return NotRecreated(f"a new object would be refused, too: {answer.message}", answer)
    proof = await target.prove()
    if isinstance(proof, Doubt):
        return NotRecreated(proof.message, doubt=proof)
    failure = await member.delete(resource, name, uid, allowed.options, proof, version=metadata.resource_version)
    return None if failure is None else NotRecreated(failure.message, failure)


def _changed(why: str) -> NotRecreated:
    return NotRecreated(why, Failure(FailureKind.UID_MISMATCH, why))
