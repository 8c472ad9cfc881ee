"""What a member's unschedulable replicas say of the room that it has, and for how long that is believed. Pure.

A replica counts when it has been unschedulable for a minute, as in KubeFed. Then the cluster gets no more than did
fit, and the others go elsewhere; with that the sign goes, too. So it is remembered: until the preference is changed,
or, with rebalancing, until one replica more that is tried after a while did fit. KubeFed remembered nothing: it moved
the same replicas to and fro, or left them pending for ever.
"""

from collections.abc import Sequence
from dataclasses import replace

from federation.model.preferences import Place, Shortage, Shown

PATIENCE = 60.0
"""Seconds that a replica must have been unschedulable before it counts: KubeFed's."""
TOGETHER = 120.0
"""Seconds after which it counts even while others have been so for less than PATIENCE: what comes together is counted
together, because a workload that is made smaller loses any of those that have no node."""
FIRST_TRY, LONGEST_TRY = 300.0, 3600.0
"""Seconds until one replica more is tried, doubled with each that did not fit."""
PROVEN = 90.0
"""Seconds without an unschedulable replica after which the one that was tried did fit."""
LINGERS = 15.0
"""Seconds after which those that did not fit should have gone."""
ANEW = 300.0
"""Seconds after which those that have not gone, though fewer are asked for, count once more."""


def assess(place: Place, now: float, *, rebalance: bool) -> Shortage | None:
    """What is known of the room in a cluster; None: that there is a limit is not known. `now` in epoch seconds."""
    shown, before = place.shown, place.shortage
    if shown is None or shown.problem or shown.replicas != place.number:
        return before  # what is asked for now has not been looked at
    counted = _counted(shown, before, now)
    if counted:
        tried = before is not None and before.trying is not None
        wait = min(LONGEST_TRY, before.wait * 2) if before is not None and tried else FIRST_TRY
        return Shortage(max(0, shown.replicas - len(counted)), max(counted), now, wait)
    if before is None:
        return None
    if shown.stuck:
        return replace(before, lingering=before.lingering or now - before.at >= LINGERS)
    return _fits(before, shown, now, rebalance=rebalance)


def room(shortage: Shortage | None) -> int | None:
    """How many replicas a cluster is believed to have room for; None: any number."""
    return None if shortage is None else shortage.room + (shortage.trying is not None)


def ripe(shown: Shown, now: float) -> float | None:
    """In how many seconds replicas that are unschedulable now will count; None where none will only then."""
    ages = [now - since for since in shown.stuck]
    waits = [limit - age for age in ages for limit in (PATIENCE, TOGETHER) if age < limit]
    return min(waits, default=None)


def again(shortage: Shortage, now: float) -> float:
    """In how many seconds time alone may change what is known."""
    due = shortage.at + shortage.wait if shortage.trying is None else shortage.trying + PROVEN
    return max(0.0, due - now)


def _fits(before: Shortage, shown: Shown, now: float, *, rebalance: bool) -> Shortage | None:
    """Nothing is unschedulable now."""
    more = shown.replicas > before.room
    if before.lingering or (more and before.trying is None):
        return None  # those that did not fit do, or are gone for another reason than that fewer are asked for
    if before.trying is not None:
        return None if more and now - before.trying >= PROVEN else before
    if now - before.at < before.wait:
        return before
    return replace(before, trying=now) if rebalance else None


def _counted(shown: Shown, before: Shortage | None, now: float) -> Sequence[float]:
    """Since when the replicas that do not fit, and were not counted before, have been unschedulable."""
    stuck = sorted(shown.stuck)
    if before is not None and now - before.at < ANEW:
        fresh = [since for since in stuck if since > before.until]
        if shown.replicas <= before.room or not fresh:
            stuck = fresh
    aged = [since for since in stuck if now - since >= PATIENCE]
    if not aged or (len(aged) < len(stuck) and now - aged[0] < TOGETHER):
        return ()
    surplus = max(0, (shown.existing or 0) - shown.replicas)  # these go anyway, and those without a node go first
    return aged[surplus:]
