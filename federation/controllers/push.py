"""Carry out one action at one member and say what came of it. The only module that knows in which order to write.

Apply is unforced first: a conflict names every field and its manager and costs nothing extra; only after reading it
(a label somebody set to "false", another hub, anybody else) it is forced. See docs/push.md for the cases.
"""

from collections.abc import Set
from dataclasses import dataclass, replace

import orjson

from federation.controllers import recreation
from federation.controllers.ports import MemberPort, Written
from federation.core import claims, conflicts, drops, failures, managedfields, manifest
from federation.core.managedfields import PartialMetadata
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Apply, Claim, Delete, Push, Release
from federation.model.resources import ObjectName, Resource
from federation.model.words import Word


@dataclass(frozen=True, slots=True)
class Contest:
    """Fields we took back by force, and from whom."""

    managers: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one action. `metadata` is the object's afterwards, where the member told.

    `word` OK means done. `failure` is set when the member refused or did not answer; some words (ManagedLabelFalse,
    AlreadyExists) are no failure of anybody. `recreating`: deleted, to be created anew once it is gone. `kept` are
    fields that the object was seen to hold, `dropped` says which it does not; None when it was not looked at.
    """

    metadata: PartialMetadata | None = None
    word: Word = Word.OK
    message: str = ""
    failure: Failure | None = None
    contest: Contest | None = None
    created: bool = False
    recreating: bool = False
    kept: frozenset[str] | None = None
    dropped: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One object at one member; `kept` are the fields that its type was seen to keep there (core.drops)."""

    member: MemberPort
    resource: Resource
    name: ObjectName
    kept: Set[str] = frozenset()


async def carry_out(action: Push, target: Target) -> Outcome:
    """Do it. A member's failure is in the Outcome; only bugs raise."""
    match action:
        case Apply():
            resource = at_version(target.resource, action.api_version)
            at = target if resource is target.resource else replace(target, resource=resource)
            outcome = await _apply(action, at)
            if outcome.word or outcome.metadata is None or not drops.may_drop(target.resource):
                return outcome
            return await _looked_at(outcome, action, at)
        case Claim():
            return await _claim(action, target)
        case Delete():
            return await _delete(action, target)
        case Release():
            return await _release(action, target)


def at_version(resource: Resource, api_version: str) -> Resource:
    """The resource under the version that a manifest names (KubeFed allows an override of /apiVersion)."""
    if api_version == resource.api_version:
        return resource
    group, _, version = api_version.rpartition("/")
    return replace(resource, group=group, version=version)


async def _apply(action: Apply, target: Target, *, adopting: bool = False) -> Outcome:
    member, resource, name = target.member, target.resource, target.name
    operation: failures.Operation = "update" if action.uid else "create"
    if action.legacy and (failure := await _take_over(action, target)) is not None:
        return _failed(failure, operation)
    if action.hand_over is not None and action.uid:
        failure = await _hand_over(target, action.uid, action.hand_over)
        if failure is not None:
            return _failed(failure, operation, Word.FIELD_RETENTION_FAILED)
    body = _identified(action)
    written = await member.apply(resource, name, body, force=False)
    contest = None
    if isinstance(written, Failure) and written.kind is FailureKind.FIELD_CONFLICT:
        match conflicts.judge(written, member.manager):
            case conflicts.ManagedFalse():
                return Outcome(
                    word=Word.MANAGED_LABEL_FALSE, message=f"somebody set {marks.MANAGED_LABEL} to another value"
                )
            case conflicts.OtherHub(manager=manager):
                return Outcome(word=Word.ALREADY_EXISTS, message=claims.held_by(manager))
            case conflicts.Foreign(managers=managers, fields=fields):
                contest = Contest(managers, fields)
        written = await member.apply(resource, name, body, force=True)
    if isinstance(written, Failure):
        exists = written.kind in {FailureKind.VERSION_CONFLICT, FailureKind.ALREADY_EXISTS}
        if exists and _creates_only(action):
            return await _already_there(action, target)
        return await _refused(action, target, _failed(written, operation))
    return await _after(action, target, written, contest, adopting=adopting)


async def _after(
    action: Apply, target: Target, written: Written, contest: Contest | None, *, adopting: bool
) -> Outcome:
    member, resource, name = target.member, target.resource, target.name
    metadata = written.metadata
    if written.created:
        if action.hand_over is not None:
            failure = await _hand_over(target, metadata.uid, action.hand_over)
            if failure is not None:
                return replace(_failed(failure, "create", Word.FIELD_RETENTION_FAILED), metadata=metadata)
        return Outcome(metadata, created=True)
    if not action.uid or action.first or adopting:
        # It was there before us: what we name must be ours alone, or it could never be removed again.
        observed = managedfields.observe(metadata, member.manager)
        if observed.other_hub:
            release = managedfields.release_patch(metadata, member.manager, keep_label=True)
            if release is not None:
                await member.patch(resource, name, release)
            return Outcome(word=Word.ALREADY_EXISTS, message=claims.held_by(observed.other_hub))
        operations = managedfields.subtract_patch(metadata, member.manager, retain_replicas=action.retain_replicas)
        if operations is not None:
            patched = await member.patch(resource, name, operations)
            if isinstance(patched, Failure):
                return replace(_failed(patched, "update"), metadata=metadata)
            metadata = patched.metadata
    # It waited for another hub to let go: now it is ours, and says so no longer.
    withdrawn = await _withdrawn(target, metadata)
    if isinstance(withdrawn, Failure):
        return replace(_failed(withdrawn, "update"), metadata=metadata)
    return Outcome(withdrawn, contest=contest)


async def _looked_at(outcome: Outcome, action: Apply, target: Target) -> Outcome:
    """What the object holds of a manifest with fields that nobody has looked for in this cluster yet."""
    wanted = drops.fields(orjson.loads(action.body))
    if wanted <= target.kept:
        return replace(outcome, dropped="")
    found = await target.member.read_whole(target.resource, target.name)
    if isinstance(found, Failure):
        return outcome  # the next apply looks again; this one has succeeded
    held = drops.fields(found)
    return replace(outcome, kept=wanted & held, dropped=drops.told(wanted - held))


async def _already_there(action: Apply, target: Target) -> Outcome:
    """An object exists where we only wanted to create one.

    With retainReplicas its number is its own, so it is adopted without ours. With adoption disabled it stays as it is,
    unless it is ours already, with its label removed.
    """
    metadata = await target.member.read(target.resource, target.name)
    if isinstance(metadata, Failure):
        return _failed(metadata, "create")
    observed = managedfields.observe(metadata, target.member.manager)
    if observed.entry or not action.create_only:
        body = manifest.digest(manifest.without_replicas(orjson.loads(action.body)))[0]
        known = replace(
            action,
            body=body if action.hand_over is not None else action.body,
            create_only=False,
            uid=metadata.uid,
            hand_over=action.hand_over if observed.owns_replicas else None,
            legacy=observed.legacy,
        )
        return await _apply(known, target, adopting=not observed.entry)
    withdrawn = await _withdrawn(target, metadata)
    if isinstance(withdrawn, Failure):
        return _failed(withdrawn, "create")
    return Outcome(
        word=Word.ALREADY_EXISTS,
        message="an object of this name exists and adoption is disabled (KubeFedConfig syncController.adoptResources)",
    )


async def _refused(action: Apply, target: Target, outcome: Outcome) -> Outcome:
    """A change that may need another object: recreate it where the user lets us, and say what became of that."""
    failure = outcome.failure
    if failure is None or action.recreation is None or not action.uid or not failures.may_be_immutable(failure):
        return outcome
    begun = await recreation.begin(action.recreation, target.member, target.resource, target.name, action.uid)
    if begun is None:
        message = f"being recreated, because the cluster refuses the change: {failure.message}"
        return Outcome(word=Word.WAITING_FOR_REMOVAL, message=message, recreating=True)
    return replace(
        outcome,
        message=begun.told(failure.message),
        failure=failure if action.recreation.never else begun.failure,
    )


async def _take_over(action: Apply, target: Target) -> Failure | None:
    """KubeFed wrote by PUT: make its Update entry ours, so that what leaves the template leaves the member."""
    member, resource, name = target.member, target.resource, target.name
    metadata = await member.read(resource, name)
    if isinstance(metadata, Failure):
        return metadata
    operations = managedfields.union_patch(metadata, member.manager, retain_replicas=action.retain_replicas)
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


async def _claim(action: Claim, target: Target) -> Outcome:
    """Tell the hub that has it, by one annotation. Forced: nobody else has a say in an annotation that names us."""
    member, resource, name = target.member, target.resource, target.name
    if action.shared:
        given_up = await _release(Release(action.uid, keep_label=True), target)
        if given_up.word:
            return given_up
    body = claims.body(resource, name, action.uid, member.manager)
    written = await member.apply(resource, name, body, force=True, manager=marks.claim_manager(member.manager))
    if isinstance(written, Failure):
        return _failed(written, "update")
    if not managedfields.has_claim(written.metadata, member.manager):
        # Without this word it would be written again and again.
        annotation = marks.claim_annotation(member.manager)
        return Outcome(
            written.metadata, Word.UPDATE_FAILED, f"the annotation {annotation} was taken off in the same moment"
        )
    return Outcome(written.metadata)


async def _withdrawn(target: Target, metadata: PartialMetadata) -> PartialMetadata | Failure:
    """The object's metadata without our claim; asks nothing of the member when there is none."""
    member, resource, name = target.member, target.resource, target.name
    if not managedfields.has_claim(metadata, member.manager):
        return metadata
    body = claims.body(resource, name, metadata.uid, member.manager, withdraw=True)
    written = await member.apply(resource, name, body, force=True, manager=marks.claim_manager(member.manager))
    return written if isinstance(written, Failure) else written.metadata


async def _delete(action: Delete, target: Target) -> Outcome:
    member, resource, name = target.member, target.resource, target.name
    uid = action.uid
    if not uid:
        found = await member.read(resource, name)
        if isinstance(found, Failure):
            return Outcome() if found.kind is FailureKind.NOT_FOUND else _failed(found, "delete")
        observed = managedfields.observe(found, member.manager)
        if not observed.managed or not observed.entry or observed.other_hub:
            return Outcome()
        uid = observed.uid
    failure = await member.delete(resource, name, uid, action.options)
    return Outcome() if failure is None else _failed(failure, "delete")


async def _release(action: Release, target: Target) -> Outcome:
    member, resource, name = target.member, target.resource, target.name
    metadata = await member.read(resource, name)
    if isinstance(metadata, Failure):
        if metadata.kind is FailureKind.NOT_FOUND:
            return Outcome()
        return _failed(metadata, "release")
    if action.uid not in {"", metadata.uid}:
        return Outcome()
    operations = managedfields.release_patch(metadata, member.manager, keep_label=action.keep_label)
    if operations is not None:
        patched = await member.patch(resource, name, operations)
        if isinstance(patched, Failure):
            return _failed(patched, "release")
        metadata = patched.metadata
    withdrawn = await _withdrawn(target, metadata)
    if isinstance(withdrawn, Failure):
        return _failed(withdrawn, "release")
    # Where the label stays no DELETED event tells that it is ours no longer.
    return Outcome(withdrawn if action.keep_label else None)


def _identified(action: Apply) -> bytes:
    """The body with the identity that makes the API server refuse a mistaken object."""
    if not action.uid and not _creates_only(action):
        return action.body
    # Undocumented and held by a contract test: resourceVersion "1" applies only where nothing exists.
    return manifest.addressed(action.body, uid=action.uid, resource_version="" if action.uid else "1")


def _creates_only(action: Apply) -> bool:
    """Whether an object that exists must not be met with this body: its replicas would be lost to ours."""
    return action.create_only or (action.hand_over is not None and not action.uid)


def _failed(failure: Failure, operation: failures.Operation, word: Word | None = None) -> Outcome:
    return Outcome(
        word=word or failures.word_for(failure, operation=operation), message=failure.message, failure=failure
    )
