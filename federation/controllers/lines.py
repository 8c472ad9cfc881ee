"""Say, per cluster, how an object is doing: from the plan and what came of it to status.clusters[]. Pure.

What is only pending keeps the line it had: unknown is not a change, so a restart rewrites nothing.
"""

import msgspec

from federation.controllers import pacing
from federation.controllers.facts import Setback, Track
from federation.core import budget, claims, status
from federation.model.plan import Action, Apply, Claim, Delete, Keep, Plan, Refuse, Release, Wait
from federation.model.status import ClusterStatus
from federation.model.words import Word

ON_ITS_WAY = "no answer from the cluster yet"


def compose(plan: Plan, track: Track, *, late: bool) -> list[ClusterStatus]:
    """One line per cluster that the plan speaks of; `late` says that silence has become a time-out."""
    before = {line.name: line for line in track.status.clusters}
    return [_line(name, action, plan, track, before.get(name), late) for name, action in track.actions.items()]


def stalled(track: Track) -> frozenset[str]:
    """Clusters that only a change of the object can help: what was written does not fit, or was refused as invalid.

    Not what is mended elsewhere (quota, rights, a missing version, an object in the way): that heals without us.
    """
    return frozenset(
        name
        for name, action in track.actions.items()
        if isinstance(action, Refuse) or pacing.hopeless(track.setbacks.get(name), action)
    )


def settled(track: Track) -> bool:
    """Whether every action has had its answer, so that the status can be told in one write."""
    if track.pending:
        return False
    return not any(
        (isinstance(action, Wait) and action.word is Word.PENDING and name not in track.setbacks)
        or (isinstance(action, Wait | Apply) and _recreating(track.setbacks.get(name)))
        or (isinstance(action, Delete | Release) and name in track.leaving)
        for name, action in track.actions.items()
    )


def _line(  # noqa: PLR0917 - private, called once
    name: str, action: Action, plan: Plan, track: Track, before: ClusterStatus | None, late: bool
) -> ClusterStatus:
    applied = track.applied.get(name)
    fingerprint = status.fingerprint(applied.digest, applied.entry) if applied else ""
    generation = applied.generation if applied and applied.generation != plan.generation else 0
    setback = track.setbacks.get(name)
    word, message = Word.PENDING, ON_ITS_WAY
    match action:
        case Keep(digest=digest, entry=entry, rivals=rivals):
            message = "; ".join(filter(None, (claims.told(rivals), track.dropped.get(name))))
            return ClusterStatus(name, message=message, fingerprint=status.fingerprint(digest, entry))
        case Wait(word=Word.PENDING) if setback is not None and _recreating(setback):
            word, message = setback.word, setback.message
        case Wait(word=Word.PENDING) if before is not None and not before.status:
            # Nothing says that it is not so any more; which generation it holds is told as long as it is not this one.
            held = applied.generation if applied else before.generation or track.status.observed_generation
            said = budget.message_of(track.status.clusters, name) if before.message else ""
            return msgspec.structs.replace(before, message=said, generation=held if held != plan.generation else 0)
        case Wait(word=word, message=message) | Refuse(word=word, message=message):
            return ClusterStatus(name, word, message, generation, fingerprint)
        case Claim(holder=holder):
            untold = setback.message if setback is not None and setback.digest == pacing.identity(action) else ""
            message = claims.held_by(holder) + (f"; it could not be told: {untold}" if untold else "")
            return ClusterStatus(name, Word.ALREADY_EXISTS, message, generation, fingerprint)
        case Delete() | Release():
            word, message = (Word.DELETION_TIMED_OUT, ON_ITS_WAY) if late else (Word.WAITING_FOR_REMOVAL, "")
        case Apply() if late:
            word = Word.UPDATE_TIMED_OUT if action.uid else Word.CREATION_TIMED_OUT
    if setback is not None:
        word, message = setback.word, setback.message
    return ClusterStatus(name, word, message, generation, fingerprint)


def _recreating(setback: Setback | None) -> bool:
    """Whether the object was deleted to be created anew, and has not been yet."""
    return setback is not None and setback.word is Word.WAITING_FOR_REMOVAL
