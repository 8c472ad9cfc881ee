"""Find out at one member what somebody has changed of a copy, and write nothing: policy drift `Report`.

Called by push. A dry run of the apply that would correct it, unforced: its conflicts name fields and managers. Where
there is none, what our entry would gain and nobody owns was removed. Values are not looked at, so Secrets are as any.
"""

from federation.controllers import takeover
from federation.controllers.outcomes import Outcome, Target, failed
from federation.controllers.ports import Written
from federation.core import conflicts, differences, manifest
from federation.core.managedfields import PartialMetadata
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Compare
from federation.model.policies import Drift
from federation.model.resources import SECRETS

_STAYS = f"policy drift: {Drift.REPORT} leaves it so until the manifest changes"


async def compare(action: Compare, target: Target) -> Outcome:
    """DRIFTED with the fields and managers; the metadata where nothing differs after all (it was put back)."""
    found = await target.member.read(target.resource, target.name)
    if isinstance(found, Failure):
        if found.kind in {FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING}:
            return Outcome(gone=True)
        return failed(found, "update")
    if found.uid != action.uid or found.deletion_timestamp is not None:
        return Outcome(gone=True)
    would = await _would_be(action, target)
    secret = target.resource.qualified == SECRETS.qualified
    if isinstance(would, Failure):
        return _of_failure(would, target, secret=secret)
    left = _removed(found, would.metadata, target.member.manager)
    if not left:
        return Outcome(found)
    return _drifted(f"somebody in this cluster removed {differences.shown(left, secret=secret)}")


async def _would_be(action: Compare, target: Target) -> Written | Failure:
    """What correcting it would meet. Labels and annotations that give way to others' do so here, too."""
    body, yields = action.body, action.yields
    while True:
        addressed = manifest.addressed(body, uid=action.uid)
        would = await target.member.apply(target.resource, target.name, addressed, force=False, dry_run=True)
        if not isinstance(would, Failure) or would.kind is not FailureKind.FIELD_CONFLICT or not yields:
            return would
        match conflicts.assess(would, target.member.manager):
            case conflicts.Foreign(fields=fields):
                body, yields = manifest.given_way(body, yields, fields)
            case _:
                return would


def _of_failure(failure: Failure, target: Target, *, secret: bool) -> Outcome:
    if failure.concerns == "member" or failure.kind in {FailureKind.UID_MISMATCH, FailureKind.VERSION_CONFLICT}:
        return failed(failure, "update")
    if failure.kind is not FailureKind.FIELD_CONFLICT:
        return _drifted(
            f"somebody in this cluster changed fields of ours; which, a dry run did not tell: {failure.message}"
        )
    match conflicts.assess(failure, target.member.manager):
        case conflicts.Foreign(managers=managers, fields=fields):
            who = ", ".join(f'"{each}"' for each in managers[:3]) or "somebody"
            return _drifted(f"{who} in this cluster changed {differences.shown(fields, secret=secret)}")
        case other:
            return takeover.left_alone(other, target)


def _removed(present: PartialMetadata, would_be: PartialMetadata, manager: str) -> tuple[str, ...]:
    gained = differences.gained(present, would_be, manager)
    return tuple(differences.names(differences.unowned(gained, present, manager)))


def _drifted(what: str) -> Outcome:
    return Outcome(status=PropagationStatus.DRIFTED, message=f"{what}; {_STAYS}")
