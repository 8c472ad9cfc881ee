"""Carry out one command at one member and return what came of it. An Apply is here, the others are in `releasing`.

This is the Carrier of clusters that are written to (`Pusher`); its commands are those of model.plan.Push.

It is sent unforced first: a conflict names every field and its manager and costs nothing extra; only after reading it
(a label somebody set to "false", another hub, anybody else) it is forced. See docs/push.md for the cases.
"""

import functools
from dataclasses import replace

import msgspec
import orjson

from federation.controllers import clearing, comparing, ignoring, inspecting, recreating, releasing, takeover
from federation.controllers.learning import Turn
from federation.controllers.outcomes import Contest, Outcome, Prove, Target, failed, unproven
from federation.controllers.ports import MemberPort, Written
from federation.controllers.world import TypeState
from federation.core import builtin, classification, conflicts, drops, managedfields, manifest, ownership
from federation.core import ignoring as core_ignoring
from federation.core.fieldsets import Fields
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Apply, Claim, Command, Compare, Delete, Release, managed_by
from federation.model.policies import Takeover
from federation.model.resources import ObjectName, Resource


class Pusher:
    """Carries out commands by writing to one member (a Carrier)."""

    def __init__(self, member: MemberPort) -> None:
        self.manager = member.manager
        self._member = member

    async def carry_out(self, turn: Turn, prove: Prove | None) -> Outcome:
        """Carrier."""
        return await carry_out(turn.action, target_of(turn.state, turn.cluster, turn.name, self._member, prove))


def target_of(state: TypeState, cluster: str, name: ObjectName, port: MemberPort, prove: Prove | None = None) -> Target:
    """Where a push of one federated object to one cluster goes, and how it proves what it may remove."""
    track = state.tracks.get(name)
    copies = state.copies.get(cluster)
    fully_owned = track is not None and cluster in track.fully_owned and not (copies is not None and copies.redefined)
    fields_dropped = track is not None and cluster in track.dropped
    resource, where = state.target_in(cluster), state.target_name(name)
    return Target(port, resource, where, fully_owned, fields_dropped, prove or unproven)


async def carry_out(action: Command, target: Target) -> Outcome:
    """Do it. A member's failure is in the Outcome; only bugs raise."""
    match action:
        case Apply():
            target = at_its_version(action, target)
            return await (_restore(action, target) if action.restores else _apply(action, target))
        case Claim():
            return await releasing.claim(action, target)
        case Compare():
            return await comparing.compare(action, at_its_version(action, target))
        case Delete():
            return await releasing.delete(action, target)
        case Release():
            return await releasing.release(action, target)
        case _:
            raise TypeError(f"no command of push: {type(action).__name__}")


def at_its_version(action: Apply | Compare, target: Target) -> Target:
    """The target under the version that the manifest is of."""
    resource = at_version(target.resource, action.api_version)
    return target if resource is target.resource else msgspec.structs.replace(target, resource=resource)


def at_version(resource: Resource, api_version: str) -> Resource:
    """The resource under the version that a manifest names (KubeFed allows an override of /apiVersion)."""
    if api_version == resource.api_version:
        return resource
    group, _, version = api_version.rpartition("/")
    return replace(resource, group=group, version=version)


async def _restore(action: Apply, target: Target) -> Outcome:
    """Apply it where it still is: only our label was taken off. What runs once is not created again."""
    found = await target.member.read(target.resource, target.name)
    if isinstance(found, Failure):
        if found.kind in {FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING}:
            return Outcome(gone=True)
        return failed(found, "update")
    if found.deletion_timestamp is not None or not managedfields.observe(found, target.member.manager).owned_digest:
        return Outcome(gone=True)  # on its way, or made anew by somebody else
    return await _apply(replace(action, uid=found.uid, restores=False), target)


async def _apply(action: Apply, target: Target, *, adopting: bool = False) -> Outcome:
    verb: classification.Verb = "update" if action.uid else "create"
    if action.legacy and (failure := await _take_over(action, target)) is not None:
        return failed(failure, verb)
    if action.hand_over is not None and action.uid:
        failure = await _hand_over(target, action.uid, action.hand_over)
        if failure is not None:
            return failed(failure, verb, PropagationStatus.FIELD_RETENTION_FAILED)
    if action.ignored and action.uid:
        refused = await ignoring.leave(action, target)
        if refused is not None:
            return refused
    cleared = await _clear(action, target, adopting=adopting)
    if isinstance(cleared, Failure):
        return failed(cleared, verb)
    body = _identified(action, target)
    whole = action.changed or adopting or target.fields_dropped or not action.uid
    written = await _write(target, body, force=False, whole=whole)
    contest: Contest | None = None
    if isinstance(written, Failure) and written.kind is FailureKind.FIELD_CONFLICT:
        resolved = await _resolve(written, action, target, adopting=adopting)
        if isinstance(resolved, Outcome):
            return resolved
        contest = resolved
        written = await _write(target, body, force=True, whole=whole)
    if isinstance(written, Failure):
        exists = written.kind in {FailureKind.VERSION_CONFLICT, FailureKind.ALREADY_EXISTS}
        if exists and _creates_only(action, target):
            return await _already_there(action, target)
        return await _refused(action, target, failed(classification.of_apply(written), verb))
    outcome = await _after(action, target, written, contest, cleared if adopting else None)
    seen = await inspecting.inspect(action.body, target, written) if written.size and not outcome.status else None
    if seen is None:
        return outcome
    return msgspec.structs.replace(outcome, dropped=seen.dropped, fully_owned=seen.fully_owned)


async def _resolve(refused: Failure, action: Apply, target: Target, *, adopting: bool) -> Contest | Outcome:
    """What follows from a conflict: the fields that are to be taken by force, and from whom; else what came of it."""
    found = conflicts.assess(refused, target.member.manager)
    if action.version or not isinstance(found, conflicts.Foreign):
        return takeover.left_alone(found, target)
    if action.yields:
        left, still = manifest.given_way(action.body, action.yields, found.fields)
        return await _apply(replace(action, body=left, yields=still), target, adopting=adopting)
    return Contest(found.managers, found.fields)


async def _write(target: Target, body: bytes, *, force: bool, whole: bool) -> Written | Failure:
    """Apply, and once more where apply cannot say to a custom type what a POST or PUT can.

    Nulls that the schema does not allow a POST leaves out. And a map that is to become empty becomes null, because all
    that it had was ours: it goes first, and comes back empty.
    """
    member, resource, name = target.member, target.resource, target.name
    written = await member.apply(resource, name, body, force=force, whole=whole)
    if not isinstance(written, Failure) or written.kind is not FailureKind.INVALID or builtin.has(resource.group):
        return written
    fields = {cause.field for cause in written.causes}
    if (without := manifest.without_refused(body, fields, None)) is not None:
        return await member.apply(resource, name, without, force=force, whole=whole)
    without = body
    while (left := manifest.without_refused(without, fields, {})) is not None:
        first = await member.apply(resource, name, left, force=force)
        if not isinstance(first, Failure):
            return await member.apply(resource, name, body, force=force, whole=whole)
        if first.kind is not FailureKind.INVALID:
            break
        without, fields = left, {cause.field for cause in first.causes}  # now the map around it would be empty
    return written


async def _after(
    action: Apply, target: Target, written: Written, contest: Contest | None, defaults: Fields | None
) -> Outcome:
    """What an apply that succeeded is followed by; `defaults` are set where the object is being adopted."""
    member, resource, name = target.member, target.resource, target.name
    metadata = written.metadata
    if action.ignored or (action.changed and ignoring.has_left(metadata, member.manager)):
        settled = await ignoring.settle(action, target, metadata)
        if isinstance(settled, Outcome):
            return settled
        metadata = settled
    if written.created:
        if action.hand_over is not None:
            failure = await _hand_over(target, metadata.uid, action.hand_over)
            if failure is not None:
                refused = failed(failure, "create", PropagationStatus.FIELD_RETENTION_FAILED)
                return msgspec.structs.replace(refused, metadata=metadata)
        return Outcome(metadata, created=True)
    if not action.uid or action.first or defaults is not None:
        # It was there before us: what we name must be ours alone, or it could never be removed again.
        observed = managedfields.observe(metadata, member.manager)
        if observed.other_hub:
            release = ownership.release_patch(metadata, member.manager, keep_label=True)
            if release is not None:
                await member.patch(resource, name, release)
            return Outcome(status=PropagationStatus.ALREADY_EXISTS, message=managed_by(observed.other_hub))
        subtract = functools.partial(
            ownership.subtract_patch,
            metadata,
            member.manager,
            retain_replicas=action.retain_replicas,
            defaults=defaults,
        )
        operations = await clearing.aside(managedfields.size(metadata), subtract)
        if operations is not None:
            patched = await member.patch(resource, name, operations)
            if isinstance(patched, Failure):
                return msgspec.structs.replace(failed(patched, "update"), metadata=metadata)
            metadata = patched.metadata
    # It waited for another hub to release it: now it is ours, and our claim goes.
    withdrawn = await releasing.withdraw_claim(target, metadata)
    if isinstance(withdrawn, Failure):
        return msgspec.structs.replace(failed(withdrawn, "update"), metadata=metadata)
    return Outcome(withdrawn, contest=contest)


async def _clear(action: Apply, target: Target, *, adopting: bool) -> Fields | Failure:
    """Before another manifest: own what the old one has left to defaulting, so that the apply can take it away."""
    if not action.uid or not (action.changed or adopting) or not drops.has_defaulted_fields(target.resource):
        return {}
    if action.version:
        return {}  # it was seen that the apply changes nothing
    if target.fully_owned and not clearing.may_empty(target.resource, action.body):
        return {}
    return await clearing.clear(
        target.member, target.resource, target.name, action.body, uid=action.uid, adopting=adopting
    )


async def _already_there(action: Apply, target: Target) -> Outcome:
    """An object exists where we only wanted to create one.

    With retainReplicas its number is its own, so it is adopted without ours. With adoption disabled it stays as it is,
    unless it is ours already, with its label removed; so it does by its policy, or where something differs from it.
    """
    metadata = await target.member.read(target.resource, target.name)
    if isinstance(metadata, Failure):
        return failed(metadata, "create")
    observed = managedfields.observe(metadata, target.member.manager)
    ours = bool(observed.owned_digest)
    body = action.body
    if action.hand_over is not None:
        body = manifest.digest(manifest.without_replicas(orjson.loads(body)))[0]
    if action.ignored:
        body = manifest.digest(core_ignoring.reduced(body, action.ignored))[0]
    version: str | Outcome = ""
    if action.takeover is Takeover.IF_NO_DIFF and not ours and not observed.other_hub:
        version = await takeover.without_difference(body, target, metadata)
    if isinstance(version, str) and (version or ours or not action.create_only):
        known = replace(
            action,
            body=body,
            version=version,
            create_only=False,
            uid=metadata.uid,
            hand_over=action.hand_over if observed.owns_replicas else None,
            legacy=observed.legacy,
            changed=True,
            mark=observed.created,
        )
        return await _apply(known, target, adopting=not ours)
    withdrawn = await releasing.withdraw_claim(target, metadata)
    if isinstance(withdrawn, Failure):
        return failed(withdrawn, "create")
    if isinstance(version, Outcome):
        return version
    if observed.other_hub:
        return Outcome(status=PropagationStatus.ALREADY_EXISTS, message=managed_by(observed.other_hub))
    why = takeover.DISABLED if action.takeover is Takeover.ALWAYS else takeover.NEVER
    return Outcome(status=PropagationStatus.ALREADY_EXISTS, message=why)


async def _refused(action: Apply, target: Target, outcome: Outcome) -> Outcome:
    """A change that may need another object: recreate it where the user allows that, and report what came of it."""
    failure = outcome.failure
    if failure is None or action.recreation is None or not action.uid or not classification.may_be_immutable(failure):
        return outcome
    begun = await recreating.begin(action.recreation, target, action.uid)
    if begun is None:
        message = f"being recreated, because the cluster refuses the change: {failure.message}"
        return Outcome(status=PropagationStatus.WAITING_FOR_REMOVAL, message=message, recreating=True)
    return msgspec.structs.replace(
        outcome,
        message=begun.message(failure.message),
        failure=failure if action.recreation.never else begun.failure,
        doubt=begun.doubt,
    )


async def _take_over(action: Apply, target: Target) -> Failure | None:
    """KubeFed wrote by PUT: make its Update entry ours, so that what leaves the template leaves the member."""
    member, resource, name = target.member, target.resource, target.name
    metadata = await member.read(resource, name)
    if isinstance(metadata, Failure):
        return metadata
    union = functools.partial(ownership.union_patch, metadata, member.manager, retain_replicas=action.retain_replicas)
    operations = await clearing.aside(managedfields.size(metadata), union)
    if operations is None:
        return None
    patched = await member.patch(resource, name, operations)
    return patched if isinstance(patched, Failure) else None


async def _hand_over(target: Target, uid: str, replicas: int) -> Failure | None:
    """Let our second manager own spec.replicas too, so that leaving it out later does not drop it to 1.

    A conflict with somebody else means they own it already: nothing to hand over. A conflict with our own main entry
    means that the number was not the last applied: read what it is.
    """
    member, resource, name = target.member, target.resource, target.name
    for attempt in (0, 1):
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name.name, "namespace": name.namespace, "uid": uid},
            "spec": {"replicas": replicas},
        }
        written = await member.apply(
            resource, name, orjson.dumps(body), force=False, manager=marks.replicas_manager(member.manager)
        )
        if not isinstance(written, Failure):
            return None
        if written.kind is not FailureKind.FIELD_CONFLICT:
            return written
        if attempt or not any(cause.manager == member.manager for cause in written.causes):
            return None
        current = await member.read_replicas(resource, name)
        if isinstance(current, Failure):
            return current
        replicas = current
    return None


def _identified(action: Apply, target: Target) -> bytes:
    """The body with the identity that makes the API server refuse a mistaken object, and our note of its creation."""
    body = manifest.marked(action.body, target.member.manager) if action.mark else action.body
    if not action.uid and not _creates_only(action, target):
        return body
    # Undocumented, and guarded by a contract test: resourceVersion "1" applies only where nothing exists.
    return manifest.addressed(body, uid=action.uid, resource_version=action.version if action.uid else "1")


def _creates_only(action: Apply, target: Target) -> bool:
    """Whether an object that exists must not be met with this body before it was looked at.

    Its replicas, or ignored fields, would be overwritten by ours, it would be unknown who created it, or defaults could
    not be distinguished any more from values that somebody chose.
    """
    if action.create_only:
        return True
    retains = action.hand_over is not None or bool(action.ignored)
    return not action.uid and (action.mark or retains or drops.has_defaulted_fields(target.resource))
