"""Decide at one member whether an object that is there already may be taken over: policy takeover `IfNoDiff`.

Called by push when it meets an object that is not ours. A dry run of the very apply, unforced, shows what it would
change, in the member's own words; nothing is written unless that is nothing but our marks. The apply that follows names
the version that was compared, so that what somebody writes meanwhile is looked at first.
"""

from federation.controllers.outcomes import Outcome, Target, failed
from federation.core import conflicts, differences, manifest
from federation.core.managedfields import PartialMetadata
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import managed_by
from federation.model.policies import Takeover
from federation.model.resources import SECRETS

NEVER = (
    f"an object of this name exists, and policy takeover: {Takeover.NEVER} leaves it alone "
    f"(annotation {marks.TAKEOVER_ANNOTATION}, or spec.policies of the FederatedTypeConfig or KubeFedConfig)"
)
DISABLED = "an object of this name exists and adoption is disabled (KubeFedConfig syncController.adoptResources)"


async def without_difference(body: bytes, target: Target, metadata: PartialMetadata) -> str | Outcome:
    """The resourceVersion in which the object may be taken over with this body; else what it is left alone for."""
    member, resource, name = target.member, target.resource, target.name
    secret = resource.qualified == SECRETS.qualified  # its values are not read
    before = None
    if not secret:
        whole = await member.read_whole(resource, name)
        if isinstance(whole, Failure):
            return failed(whole, "create")
        before, metadata = whole.content, whole.metadata
    version = metadata.resource_version
    addressed = manifest.addressed(body, uid=metadata.uid, resource_version=version)
    would = await member.apply(resource, name, addressed, force=False, whole=not secret, dry_run=True)
    if isinstance(would, Failure):
        if would.kind is FailureKind.FIELD_CONFLICT:
            return left_alone(conflicts.assess(would, member.manager), target)
        return failed(would, "create")
    after = would.content()
    if before is not None and after is not None:
        changed = differences.of_objects(before, after)
    else:
        gained = differences.gained(metadata, would.metadata, member.manager)
        changed = tuple(differences.names(differences.unowned(gained, metadata, member.manager)))
    return _differs(differences.shown(changed, secret=secret)) if changed else version


def left_alone(found: conflicts.Conflict, target: Target) -> Outcome:
    """What a conflict means where nothing may be forced."""
    match found:
        case conflicts.ManagedFalse():
            return Outcome(
                status=PropagationStatus.MANAGED_LABEL_FALSE,
                message=f"somebody set {marks.MANAGED_LABEL} to another value",
            )
        case conflicts.OtherHub(manager=manager):
            return Outcome(status=PropagationStatus.ALREADY_EXISTS, message=managed_by(manager))
        case conflicts.Foreign(managers=managers, fields=fields):
            secret = target.resource.qualified == SECRETS.qualified
            who = ", ".join(f'"{each}"' for each in managers[:3])
            return _differs(differences.shown(fields, secret=secret) + (f" (set by {who})" if who else ""))


def _differs(what: str) -> Outcome:
    return Outcome(
        status=PropagationStatus.ALREADY_EXISTS,
        message=f"an object of this name exists, and policy takeover: {Takeover.IF_NO_DIFF} leaves it alone because "
        f"these fields differ: {what}",
    )
