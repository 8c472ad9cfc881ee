"""What plans and Outcomes change in memory, by whatever way a cluster is reached. Called by sync and executing.

What the member's object shows in an answer to push is for `answers`.
"""

import time
from collections.abc import Set
from typing import Any

import msgspec

from federation.controllers import pacing
from federation.controllers.outcomes import Outcome
from federation.controllers.tracks import NOBODY, Track, including, without
from federation.controllers.world import TypeState
from federation.core import claims, contention
from federation.core.facts import Facts
from federation.model.observations import BY_WORK, UNKNOWN_DIGEST, Applied, Observed, Recorded
from federation.model.plan import HANDED_OVER, PLACES, Aim, Command, Keep, KeepOlder, Plan
from federation.model.resources import Key, ObjectName


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One action under way: what it was when it started."""

    key: Key
    cluster: str
    state: TypeState
    track: Track
    action: Command
    generation: int
    unconfirmed: bool = False
    """An earlier create may have succeeded: the answer to this action shows nothing about that one."""
    lists: int = 0
    """How many lists of the cluster's copies were taken in before (Copies.lists)."""
    before: Observed | None = None
    """The member's object before, where it was known."""
    seen: int = 0
    """The newest version that the watch of its type had shown before (Copies.seen)."""

    @property
    def name(self) -> ObjectName:
        """The federated object."""
        return ObjectName(self.key.namespace, self.key.name)

    @property
    def target(self) -> ObjectName:
        """The member's object."""
        return self.state.target_name(ObjectName(self.key.namespace, self.key.name))


def planned(track: Track, plan: Plan, facts: Facts) -> None:
    """A new plan from these facts: forget what it has no action for, and what has been answered since.

    A create that was sent while it was made is not forgotten.
    """
    sent = track.unconfirmed - facts.unconfirmed
    track.held_elsewhere = facts.elsewhere.deletions
    for gone in [cluster for cluster in track.applied if cluster not in plan.actions and cluster not in sent]:
        del track.applied[gone]
    if track.recorded:
        track.recorded = _confirmed(track, plan, facts)
    if track.handed:
        track.handed = _still_handed(track, plan, facts)
    if track.guessed:
        track.guessed = track.guessed & track.applied.keys() - (frozenset() if plan.reason else plan.selected) or NOBODY
    for cluster in [cluster for cluster in track.setbacks if isinstance(plan.actions.get(cluster), Keep | None)]:
        del track.setbacks[cluster]
    if track.contention:
        forgotten = time.monotonic() - contention.QUIET
        for cluster in [cluster for cluster, fight in track.contention.items() if fight.last < forgotten]:
            del track.contention[cluster]
    for cluster in [name for name, setback in track.setbacks.items() if pacing.is_over(setback, plan.actions[name])]:
        del track.setbacks[cluster]
    notes: tuple[dict[str, Any], ...] = (track.contention, track.dropped)
    for noted in notes:
        for cluster in [cluster for cluster in noted if cluster not in plan.actions]:
            del noted[cluster]
    open_still = {
        cluster
        for cluster in track.unconfirmed - sent
        if cluster in plan.actions and not claims.conclusive(facts.observe(cluster))
    }
    track.unconfirmed = sent | open_still or NOBODY


def _confirmed(track: Track, plan: Plan, facts: Facts) -> bool:
    """What the stored status records, and the members show: known exactly from now on. Whether some is not yet."""
    open_still = False
    for cluster, found in track.applied.items():
        if not isinstance(found, Recorded):
            continue
        observed = facts.observe(cluster) if isinstance(plan.actions.get(cluster), Keep) else None
        if isinstance(observed, Observed) and found.shown_by(observed):
            exactly = Applied(found.digest, found.owned_digest, found.generation, observed.applied_at)
            track.applied[cluster] = exactly
        else:
            open_still = True
    return open_still


def _still_handed(track: Track, plan: Plan, facts: Facts) -> Set[str]:
    """Clusters that have not shown what came of what they were handed; what others show is what was applied there."""
    waiting: set[str] = set()
    for cluster in track.handed:
        action = plan.actions.get(cluster)
        if isinstance(action, Keep):
            generation = action.generation if isinstance(action, KeepOlder) else plan.generation
            observed = facts.observe(cluster)
            at = observed.applied_at if isinstance(observed, Observed) else 0
            track.applied[cluster] = Applied(action.digest, action.owned_digest, generation, at)
        elif action is not None:
            waiting.add(cluster)
    return waiting or NOBODY


def handed_over(turn: Turn) -> None:
    """Whoever acts in the cluster has it, and has not said what came of it: the cluster's line waits for that."""
    track, cluster = turn.track, turn.cluster
    track.handed = including(track.handed, cluster)
    track.recheck = without(track.recheck, cluster)
    if track.actions.get(cluster) is turn.action:
        track.actions[cluster] = HANDED_OVER


def removed(turn: Turn) -> None:
    """We have removed the copy ourselves: that it is not there is nobody's drift, should it be placed there again."""
    before = turn.track.applied.get(turn.cluster)
    if before is not None and before.owned_digest != BY_WORK:
        turn.track.applied[turn.cluster] = msgspec.structs.replace(before, owned_digest=UNKNOWN_DIGEST)


def refused(turn: Turn, outcome: Outcome) -> None:
    """The member refused it, or did not answer: then the change may have been made all the same.

    Then it is not known any more that the member has what it accepted last; managedFields names fields, not values.
    """
    before = turn.track.applied.get(turn.cluster)
    if before is None or before.owned_digest == BY_WORK:  # what a work asks for, it says itself
        return
    if not conclusive(turn, outcome):
        if turn.action.aim in PLACES:
            turn.track.applied[turn.cluster] = msgspec.structs.replace(before, owned_digest=UNKNOWN_DIGEST)
    elif not before.known and (turn.action.aim in PLACES or turn.action.aim is Aim.CLAIM):
        del turn.track.applied[turn.cluster]  # nothing came of the create


def conclusive(turn: Turn, outcome: Outcome) -> bool:
    """Whether the answer shows what the member has now, or its watch has shown it."""
    if outcome.doubt is not None and turn.action.aim not in PLACES:
        return False  # nothing was removed
    if outcome.failure is not None and (outcome.failure.concerns == "member" or turn.unconfirmed):
        return False
    if outcome.handed_over or (outcome.gone and outcome.status):
        return False  # it is to be reported, or is asked once more
    if outcome.metadata is None:
        return True
    copies = turn.state.copies.get(turn.cluster)
    return copies is not None and copies.objects.get(turn.target) is not None


def contradicts(turn: Turn) -> bool:
    """Whether a cluster that has no such object is in contradiction to what is recorded.

    A list has left the copy out, or nobody has seen it since the start, while the status has its fingerprint. A member
    that has just started, or a proxy before it, may answer so for a while; what is believed then stays behind for good.
    No contradiction is what goes after the cluster has accepted our removal: a watch that was opened anew meanwhile
    (the type is served in other versions, say) does not show its end.
    """
    if turn.action.aim is Aim.REMOVE and turn.cluster in turn.track.leaving:
        return False
    recorded = turn.track.applied.get(turn.cluster)
    return turn.unconfirmed and not turn.action.uid and recorded is not None and recorded.known


def ended(turn: Turn) -> None:
    """The answer was taken in: what went meanwhile is known now."""
    copies = turn.state.copies.get(turn.cluster)
    if copies is not None and copies.gone:
        copies.gone.pop(turn.target, None)
