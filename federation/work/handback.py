"""Between push and the agent: whose fields an object's are when its cluster moves from one mode to the other. Pure.

A field that two field managers own can be taken away by neither alone. So the agent takes push's entry over when it
first applies a work of the same hub, as kubectl migrates the managers of client-side applies; when the cluster moves
back, the agent's entry becomes push's. Nothing but metadata is written for that: no value of the object changes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from federation.core import fieldsets, managedfields, ownership
from federation.core.fieldsets import Fields
from federation.core.managedfields import PartialMetadata
from federation.core.ownership import Patch
from federation.model import marks
from federation.model.works import AGENT_LABEL, FIELD_MANAGER, HASH_ANNOTATION

_STAYS = fieldsets.single("f:metadata", "f:annotations", f"f:{marks.CREATED_ANNOTATION}")
"""What push has noted for itself, which no work has."""
_MARKS: Fields = {
    "f:metadata": {
        "f:annotations": {f"f:{HASH_ANNOTATION}": {}},
        "f:labels": {f"f:{AGENT_LABEL}": {}},
        "f:ownerReferences": {},
    }
}


def inherit(
    meta: PartialMetadata, manager: str, pusher: str, ignored: Sequence[tuple[str, ...]]
) -> tuple[Patch, bool] | None:
    """JSON patch by which what push applied is the agent's; None where nothing is push's, or where that cannot be said.

    And whether that is more than the agent has applied, so that it is to apply once more.

    `ignored` are the JSON pointers of fields that a work leaves alone: they stay with whom they are.
    """
    if any(each.isdecimal() or each == "-" for pointer in ignored for each in pointer):
        return None  # which element of a list is meant is not known here
    keep = _STAYS
    for pointer in ignored:
        keep = fieldsets.union(keep, fieldsets.single(*(f"f:{each}" for each in pointer)))
    mine = next((each for each in meta.managed_fields if managedfields.is_ours(each, manager)), None)
    gained = ownership.gained(meta, (pusher,), keep)
    patch = ownership.inherit_patch(meta, manager, (pusher,), keep)
    if mine is None or patch is None:
        return None
    return patch, bool(fieldsets.difference(gained, managedfields.fields_of(mine)))


def released(
    metadata: Mapping[str, Any], meta: PartialMetadata, owner: str, pusher: str, *, moves: bool
) -> Patch | None:
    """JSON patch by which the agent lets go of an object that a controller of this project has placed.

    `metadata` is the same as `meta`, whole. `owner` is the uid of the work's record. Where the cluster `moves` to push
    mode, what the agent has applied is push's, so that push goes on where the agent has ended; else the object is let
    go of as push lets go of one. None where somebody's field set cannot be written back.
    """
    mine = tuple(each.manager for each in meta.managed_fields if each.manager.startswith(FIELD_MANAGER))
    patch = ownership.inherit_patch(meta, pusher, mine, _MARKS) if moves else None
    if moves and patch is None and mine:
        return None
    if not moves:
        patch = ownership.release_patch(meta, pusher, others=mine)
    return [*_without_marks(metadata, owner), *(patch or ownership.guard(meta))]


def _without_marks(metadata: Mapping[str, Any], owner: str) -> Patch:
    patch: Patch = []
    if AGENT_LABEL in (metadata.get("labels") or {}):
        patch.append({"op": "remove", "path": f"/metadata/labels/{AGENT_LABEL.replace('/', '~1')}"})
    if HASH_ANNOTATION in (metadata.get("annotations") or {}):
        patch.append({"op": "remove", "path": f"/metadata/annotations/{HASH_ANNOTATION.replace('/', '~1')}"})
    owners = metadata.get("ownerReferences") or []
    left = [each for each in owners if each.get("uid") != owner]
    if len(left) < len(owners):
        patch.append({"op": "replace", "path": "/metadata/ownerReferences", "value": left})
    return patch
