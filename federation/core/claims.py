"""Two hubs that push one object: the first keeps it, the second says so on the object itself, once, and waits.

Hubs know nothing of each other but what both see in the member. Whoever comes second puts an annotation there under a
field manager of its own (marks.claim_manager); the first finds that manager in managedFields, goes on as before and
tells its user. When the first lets go the second takes over and takes its claim off. Used by planning, push and lines.
"""

from collections.abc import Sequence

import orjson

from federation.model import marks
from federation.model.clusters import Observation, Observed
from federation.model.plan import Action, Claim, Keep, Wait
from federation.model.resources import ObjectName, Resource
from federation.model.words import Word


def beside(observed: Observed, kept: Keep | None, *, ours_before: bool) -> Action:
    """What to do with an object that another hub owns fields of. Never an Apply: nobody fights.

    `kept`: what we would say had we the object alone and nothing to write. `ours_before`: we have applied it before.
    Both own fields for a moment when equal values were applied at the same time, and for longer when a hub died before
    it could give them up: then the one that has not applied it before gives way.
    """
    if kept is not None:
        return kept
    shared = bool(observed.entry)
    if (observed.claimed and not shared) or (shared and ours_before):
        return Wait(Word.ALREADY_EXISTS, held_by(observed.other_hub))
    return Claim(observed.uid, observed.other_hub, shared=shared)


def rivals(observed: Observed) -> tuple[str, ...]:
    """The other hubs that this object shows, sorted."""
    if not observed.other_hub or observed.other_hub in observed.claims:
        return observed.claims
    return tuple(sorted((*observed.claims, observed.other_hub)))


def certain(observed: Observation) -> bool:
    """Whether what is seen tells what a write without an answer has left there.

    The object of another hub does not: our claim, or our apply of equal values, may still come to light.
    """
    return isinstance(observed, Observed) and not (observed.other_hub and not observed.entry and not observed.claimed)


def outstanding(observed: Observed, *, unsure: bool) -> bool:
    """Whether our claim is, or may be, on an object that is not ours to delete; `unsure` as in planning.Facts."""
    if observed.claimed:
        return not (observed.managed and observed.entry)
    return unsure and not certain(observed)


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


def held_by(holder: str) -> str:
    """What the second hub's user is told."""
    return f"another hub manages it ({holder})"


def told(names: Sequence[str]) -> str:
    """What the first hub's user is told of its rivals; "" without any."""
    if not names:
        return ""
    if len(names) == 1:
        return f"another hub places it here, too ({names[0]}); it writes nothing while this hub has it"
    return f"other hubs place it here, too ({', '.join(names)}); they write nothing while this hub has it"
