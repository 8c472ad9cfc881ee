"""Find out at one member what somebody has changed of a copy, and write nothing: policy drift `Report`.

Called by push. A dry run of the apply that would correct it, unforced: its conflicts name fields and managers. Where
there is none, the object as it is and as it would be show what was removed, or is older (the member was restored). Of a
Secret that is told without its values: what our entry would gain and nobody owns was removed, and an apply that changes
anything else moves the time of our entry.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from federation.controllers import takeover
from federation.controllers.outcomes import Outcome, Target, failed
from federation.controllers.ports import Written
from federation.core import conflicts, differences, managedfields, manifest
from federation.core.managedfields import PartialMetadata
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Compare
from federation.model.policies import Drift
from federation.model.resources import SECRETS

_STAYS = f"policy drift: {Drift.REPORT} leaves it so until the manifest changes"
_VALUES = ".data"
"""Of a Secret, whose values are not looked at."""


class _There(NamedTuple):
    """The object as it is; without its content where that is not to be looked at."""

    metadata: PartialMetadata
    content: Mapping[str, Any] | None


async def compare(action: Compare, target: Target) -> Outcome:
    """DRIFTED with the fields and managers; the metadata where nothing differs after all (it was put back)."""
    secret = target.resource.qualified == SECRETS.qualified
    found = await _read(target, secret=secret)
    if isinstance(found, Failure):
        if found.kind in {FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING}:
            return Outcome(gone=True)
        return failed(found, "update")
    if found.metadata.uid != action.uid or found.metadata.deletion_timestamp is not None:
        return Outcome(gone=True)
    would = await _would_be(action, target, whole=not secret)
    if isinstance(would, Failure):
        return _of_failure(would, target, secret=secret)
    left = _differing(found, would, target.member.manager)
    if not left:
        return Outcome(found.metadata)
    fields = differences.shown(left, secret=secret)
    return _drifted(
        f"{fields} in this cluster differs from what was applied: somebody removed it, or restored older data"
    )


async def _read(target: Target, *, secret: bool) -> _There | Failure:
    if secret:
        metadata = await target.member.read(target.resource, target.name)
        return metadata if isinstance(metadata, Failure) else _There(metadata, None)
    whole = await target.member.read_whole(target.resource, target.name)
    return whole if isinstance(whole, Failure) else _There(whole.metadata, whole.content)


async def _would_be(action: Compare, target: Target, *, whole: bool) -> Written | Failure:
    """What correcting it would meet. Labels and annotations that give way to others' do so here, too."""
    body, yields = action.body, action.yields
    while True:
        addressed = manifest.addressed(body, uid=action.uid)
        would = await target.member.apply(
            target.resource, target.name, addressed, force=False, whole=whole, dry_run=True
        )
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


def _differing(there: _There, would: Written, manager: str) -> tuple[str, ...]:
    """The fields that the apply would change, though nobody else has set them."""
    after = would.content()
    if there.content is not None and after is not None:
        return differences.of_objects(there.content, after)
    gained = differences.gained(there.metadata, would.metadata, manager)
    removed = tuple(differences.names(differences.unowned(gained, there.metadata, manager)))
    if removed or gained:
        return removed
    before, moved = (managedfields.observe(each, manager).applied_at for each in (there.metadata, would.metadata))
    return () if before == moved else (_VALUES,)


def _drifted(what: str) -> Outcome:
    return Outcome(status=PropagationStatus.DRIFTED, message=f"{what}; {_STAYS}")
