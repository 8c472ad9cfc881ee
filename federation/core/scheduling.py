"""Decide the replicas of each cluster from a preference and what is known of the clusters. Pure; `replicas` divides.

Unknown is not zero: a cluster that does not answer keeps its number, and so does one that is cordoned; what the user
asks for (a maximum, a cluster that the preference names no more) counts nevertheless. Replicas leave a silent cluster
only where the preference has `failover`, and any cluster that is drained; not before those in their place are ready.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from federation.core import replicas, shortages
from federation.core.replicas import Share
from federation.model.preferences import EVERY, Place, Preference, Standing

_NAMED = 5


class State(StrEnum):
    """Where a preference stands: the reason of its condition Ready."""

    SCHEDULED = "Scheduled"
    WAITING = "WaitingForClusters"
    MOVING = "Moving"
    UNPLACED = "Unplaced"
    NO_ROOM = "NoRoom"
    NO_CLUSTER = "NoCluster"
    NO_TARGET = "NoTarget"
    NOT_ENABLED = "TypeNotEnabled"
    INVALID = "InvalidSpec"
    BROKEN_TARGET = "InvalidTarget"
    REFUSED = "Refused"
    CONTESTED = "Contested"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True)
class Decision:
    """The number of every cluster, and where it stands. `numbers` None: nothing can be decided, and nothing changes."""

    numbers: Mapping[str, int] | None
    state: State
    message: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a preference asks for in vain: reason and message of its condition Valid."""

    reason: str
    message: str


def decide(wish: Preference, places: Sequence[Place], key: str) -> Decision:
    """How many replicas each of these clusters is to have. `key` is the object's namespace/name."""
    if not places:
        return Decision(None, State.NO_CLUSTER, "no cluster can be chosen: nothing is changed")
    leaving = [place for place in places if _leaves(place, wish)]
    away = {place.name for place in leaving}
    pinned = [place for place in places if place.standing is not Standing.ANSWERS and place.name not in away]
    free = [place for place in places if place.standing is Standing.ANSWERS and not place.draining]
    unread = [place.name for place in free if not place.scheduled and place.runs is None]
    if unread:
        return Decision(None, State.WAITING, f"not read yet: what runs in {named(unread)}; nothing is changed")
    numbers = dict.fromkeys((place.name for place in places), 0)
    shares = [_share(place, wish) for place in free]
    running = sum(place.number for place in free)
    held = _held(wish.total, pinned, shares, running, key)
    numbers |= held
    numbers |= replicas.plan(wish.total - sum(held.values()), shares, key)
    missing = _unready(free, numbers)
    if leaving:
        numbers |= _left(wish, leaving, numbers, key, made=not missing)
    return _told(wish, places, leaving, numbers, missing)


def problems(wish: Preference, joined: Iterable[str], places: Sequence[Place]) -> list[Problem]:
    """What a preference asks for in vain, though it can be obeyed otherwise."""
    found = []
    joined = set(joined)
    strangers = sorted(name for name in wish.clusters if name != EVERY and name not in joined)
    if strangers:
        found.append(Problem("ClusterNotJoined", f"spec.clusters names {named(strangers)}: no such cluster has joined"))
    bounds = [place.bounds for place in places if place.bounds is not None]
    minima = sum(each.least for each in bounds)
    if minima > wish.total:
        message = f"spec.totalReplicas is {wish.total}, and the minReplicas of its clusters are {minima} together"
        found.append(Problem("TotalBelowMinimums", f"{message}: clusters of large weight get theirs first"))
    if bounds and all(each.most is not None for each in bounds):
        maxima = sum(each.most or 0 for each in bounds)
        if maxima < wish.total:
            message = f"spec.totalReplicas is {wish.total}, and the maxReplicas of its clusters are {maxima} together"
            found.append(Problem("TotalAboveMaximums", message))
    return found


def named(names: Sequence[str]) -> str:
    """Some names for a message."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _leaves(place: Place, wish: Preference) -> bool:
    """Whether the replicas of a cluster are to go elsewhere, once others are ready in their place."""
    if not place.number or place.bounds is None:
        return False
    silent = place.standing is Standing.SILENT and wish.failover is not None and place.silent_for >= wish.failover
    return place.draining or silent


def _share(place: Place, wish: Preference) -> Share:
    bounds = place.bounds
    if bounds is None:
        return Share(place.name, most=0)
    room = shortages.room(place.shortage)
    runs = place.number if place.scheduled else place.runs or 0
    keeps = 0 if wish.rebalance else runs if room is None else min(runs, room)
    return Share(place.name, bounds.weight, bounds.least, bounds.most, room, keeps)


def _held(total: int, pinned: Sequence[Place], shares: Sequence[Share], running: int, key: str) -> dict[str, int]:
    """What clusters keep that cannot be asked: their numbers, within their maxima.

    Where the total was lowered so far that the others, which are `running` so many, would be left with less than half
    of their share, they give up some: else all that runs for sure would end, for what may not run at all.
    """
    own = []
    for place in pinned:
        bounds = place.bounds
        most = 0 if bounds is None else place.number if bounds.most is None else min(place.number, bounds.most)
        weight = bounds.weight if bounds is not None else 0
        least = min(bounds.least, most) if bounds is not None else 0
        own.append(Share(place.name, weight, least, most, keeps=most))
    kept = sum(share.keeps for share in own)
    if not kept:
        return dict.fromkeys((share.name for share in own), 0)
    fair = replicas.plan(total, [*shares, *own], key)
    others = min(running, math.ceil(sum(fair[share.name] for share in shares) / 2))
    return replicas.plan(min(kept, total - others), own, key)


def _left(
    wish: Preference, leaving: Sequence[Place], numbers: Mapping[str, int], key: str, *, made: bool
) -> dict[str, int]:
    """What stays in clusters that are left: all of it until the others are ready, then what nobody else may have."""
    if not made:
        return {place.name: place.number for place in leaving}
    rest = max(0, wish.total - sum(numbers.values()))
    shares = []
    for place in leaving:
        weight = place.bounds.weight if place.bounds is not None else 0
        shares.append(Share(place.name, max(1, weight), most=place.number))
    return replicas.plan(rest, shares, key)


def _unready(free: Iterable[Place], numbers: Mapping[str, int]) -> list[str]:
    """The clusters that do not show yet that all their replicas are ready."""
    found = []
    for place in free:
        wanted, shown = numbers[place.name], place.shown
        ready = shown.ready if shown is not None else 0
        if ready < wanted:
            found.append(f"{place.name} shows {ready} of {wanted} ready")
    return found


def _told(
    wish: Preference,
    places: Sequence[Place],
    leaving: Sequence[Place],
    numbers: Mapping[str, int],
    missing: Sequence[str],
) -> Decision:
    scheduled = sum(numbers.values())
    notes = _notes(places, leaving, numbers)
    unready = [place.name for place in leaving if numbers[place.name]]
    if unready and missing:
        what = f"the replicas of {named(unready)} stay until those in their place are ready: {named(missing)}"
        return Decision(numbers, State.MOVING, "; ".join([what, *notes]))
    if scheduled < wish.total:
        why = "no cluster of a weight, or with a minReplicas, may have more"
        what = f"{scheduled} of {wish.total} replicas are scheduled: {why}"
        return Decision(numbers, State.UNPLACED, "; ".join([what, *notes]))
    crowded = sum(_crowded(place, numbers[place.name]) for place in places)
    if crowded:
        what = f"no cluster shows room for {crowded} of {wish.total} replicas; they are asked for all the same"
        return Decision(numbers, State.NO_ROOM, "; ".join([what, *notes]))
    clusters = sum(number > 0 for number in numbers.values())
    what = f"{scheduled} replica{'' if scheduled == 1 else 's'} in {clusters} cluster{'' if clusters == 1 else 's'}"
    return Decision(numbers, State.SCHEDULED, "; ".join([what, *notes]))


def _crowded(place: Place, number: int) -> int:
    shortage = place.shortage
    return max(0, number - shortage.room) if shortage is not None and shortage.trying is None else 0


def _notes(places: Sequence[Place], leaving: Sequence[Place], numbers: Mapping[str, int]) -> list[str]:
    away = {place.name for place in leaving}
    notes = [
        f"{place.name} {why} and keeps {numbers[place.name]}"
        for standing, why in ((Standing.SILENT, "does not answer"), (Standing.CORDONED, "is cordoned"))
        for place in places
        if place.standing is standing and place.name not in away and numbers[place.name]
    ]
    full = [f"{place.name} ({place.shortage.room})" for place in places if place.shortage is not None]
    if full:
        notes.append(f"no room for more: {named(full)}")
    blind = sorted({place.shown.problem for place in places if place.shown is not None and place.shown.problem})
    return [*notes[: _NAMED + 1], *blind[:1]]
