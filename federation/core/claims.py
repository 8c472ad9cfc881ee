"""Two hubs that push one object: the first keeps it, the second leaves a note on the object, once, and waits.

Hubs know nothing of each other but what both see in the member. Whoever comes second puts an annotation there under a
field manager of its own (marks.claim_manager); the first finds that manager in managedFields, goes on as before and
reports it on its status. When the first releases the object, the second takes over and withdraws its claim. Used by
planning, push and lines.
"""

from collections.abc import Sequence

import orjson

from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.observations import Observation, Observed
from federation.model.plan import Action, Claim, Keep, Wait, managed_by
from federation.model.resources import ObjectName, Resource


def decide(observed: Observed, kept: Keep | None, *, ours_before: bool) -> Action:
    """What to do with an object that another hub owns fields of. Never an Apply: nobody fights.

    `kept`: the Keep, where nothing but the other hub is against it. `ours_before`: we have applied it before.
    Both own fields for a moment when equal values were applied at the same time, and for longer when a hub died before
    it could give them up: then the one that has not applied it before gives way.
    """
    if kept is not None:
        return kept
    shared = bool(observed.owned_digest)
    if (observed.claimed and not shared) or (shared and ours_before):
        return Wait(PropagationStatus.ALREADY_EXISTS, managed_by(observed.other_hub))
    return Claim(observed.uid, observed.other_hub, shared=shared)


def rivals(observed: Observed) -> tuple[str, ...]:
    """The other hubs that this object shows, sorted."""
    if not observed.other_hub or observed.other_hub in observed.claims:
        return observed.claims
    return tuple(sorted((*observed.claims, observed.other_hub)))


def conclusive(observed: Observation) -> bool:
    """Whether what is observed shows what became of a write without an answer.

    The object of another hub does not: our claim, or our apply of equal values, may still come to light.
    """
    if not isinstance(observed, Observed) or observed.broken:
        return False
    return not (observed.other_hub and not observed.owned_digest and not observed.claimed)


def outstanding(observed: Observed, *, unconfirmed: bool) -> bool:
    """Whether our claim is, or may be, on an object that is not ours to delete; `unconfirmed` as in facts.Facts."""
    if observed.claimed:
        return not (observed.managed and observed.owned_digest)
    return unconfirmed and not conclusive(observed)


def body(resource: Resource, name: ObjectName, uid: str, manager: str, *, withdraw: bool = False) -> bytes:
    """The manifest that puts our claim on the object, or takes it off, under marks.claim_manager.

    The uid keeps it from creating anything: an object that is gone is a 409, one that was made anew a 422.
    """
    metadata: dict[str, object] = {"name": name.name, "uid": uid}
    if resource.namespaced:
        metadata["namespace"] = name.namespace
    if not withdraw:
        metadata["annotations"] = {marks.claim_annotation(manager): manager}
    return orjson.dumps({"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata})


def rivals_message(names: Sequence[str]) -> str:
    """The message for the first hub's user about its rivals; "" without any."""
    if not names:
        return ""
    if len(names) == 1:
        return f"another hub places it here, too ({names[0]}); it writes nothing while this hub has it"
    return f"other hubs place it here, too ({', '.join(names)}); they write nothing while this hub has it"
