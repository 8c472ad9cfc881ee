"""Take back what is ours at one member: delete or release a copy, claim what another hub has, or withdraw the claim.

Called by push. Right before a copy is deleted, or its label taken off, the hub is asked whether it still wants that
(`Target.prove`). Where the label stays because another hub manages the object, nothing is removed.
"""

from dataclasses import replace

from federation.controllers.outcomes import Outcome, Target, doubted, failed
from federation.controllers.ports import Written
from federation.core import claims, managedfields, ownership
from federation.core.managedfields import PartialMetadata
from federation.core.proof import Doubt
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Claim, Delete, Release


async def claim(action: Claim, target: Target) -> Outcome:
    """Show the hub that has it that we are to push it, too, by one annotation. Forced: the annotation is ours alone."""
    member, resource, name = target.member, target.resource, target.name
    if action.shared:
        given_up = await release(Release(action.uid, keep_label=True), target)
        if given_up.status:
            return given_up
    body = claims.body(resource, name, action.uid, member.manager)
    written = await member.apply(resource, name, body, force=True, manager=marks.claim_manager(member.manager))
    if isinstance(written, Failure):
        return failed(written, "update")
    if not managedfields.has_claim(written.metadata, member.manager):
        # Unless this is a failure it would be written again and again.
        annotation = marks.claim_annotation(member.manager)
        return Outcome(
            written.metadata,
            PropagationStatus.UPDATE_FAILED,
            f"the annotation {annotation} was taken off in the same moment",
        )
    return Outcome(written.metadata)


async def withdraw_claim(target: Target, metadata: PartialMetadata) -> PartialMetadata | Failure:
    """The object's metadata without our claim; asks nothing of the member when there is none."""
    member, resource, name = target.member, target.resource, target.name
    if not managedfields.has_claim(metadata, member.manager):
        return metadata
    body = claims.body(resource, name, metadata.uid, member.manager, withdraw=True)
    written = await member.apply(resource, name, body, force=True, manager=marks.claim_manager(member.manager))
    return written if isinstance(written, Failure) else written.metadata


async def delete(action: Delete, target: Target) -> Outcome:
    """Delete our copy; without a uid whatever is ours by that name."""
    member, resource, name = target.member, target.resource, target.name
    uid = action.uid
    if not uid:
        found = await member.read(resource, name)
        if isinstance(found, Failure):
            return Outcome(gone=True) if found.kind is FailureKind.NOT_FOUND else failed(found, "delete")
        observed = managedfields.observe(found, member.manager)
        if not observed.managed or not observed.owned_digest or observed.other_hub:
            return Outcome()
        if action.only_created and not observed.created:
            return await release(Release(observed.uid), target)
        uid = observed.uid
    proof = await target.prove()
    if isinstance(proof, Doubt):
        return doubted(proof)
    failure = await member.delete(resource, name, uid, action.options, proof)
    return Outcome(removed="deleted") if failure is None else failed(failure, "delete")


async def release(action: Release, target: Target) -> Outcome:
    """Give up our fields, our label and our claim; the object stays."""
    member, resource, name = target.member, target.resource, target.name
    metadata = await member.read(resource, name)
    if isinstance(metadata, Failure):
        if metadata.kind is FailureKind.NOT_FOUND:
            return Outcome(gone=not action.uid)
        return failed(metadata, "release")
    if action.uid not in {"", metadata.uid}:
        return Outcome()
    if not action.uid and managedfields.observe(metadata, member.manager).other_hub:
        action = replace(action, keep_label=True)  # what may have been created there is not what is there now
    operations = ownership.release_patch(metadata, member.manager, keep_label=action.keep_label)
    if operations is not None:
        patched: Written | Failure
        if action.keep_label:
            patched = await member.patch(resource, name, operations)
        else:
            proof = await target.prove()
            if isinstance(proof, Doubt):
                return doubted(proof)
            patched = await member.let_go(resource, name, operations, proof)
        if isinstance(patched, Failure):
            return failed(patched, "release")
        metadata = patched.metadata
    withdrawn = await withdraw_claim(target, metadata)
    if isinstance(withdrawn, Failure):
        return failed(withdrawn, "release")
    # Where the label stays no DELETED event shows that it is ours no longer.
    return Outcome(withdrawn if action.keep_label else None, removed="released" if operations is not None else "")
