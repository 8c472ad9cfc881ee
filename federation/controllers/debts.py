"""Clusters that were taken out while copies could not be removed there, and what becomes of these when they are back.

Remembered is the cluster, by its identity and whatever its name will be, not each copy: what bears our fields there,
and has no federated object when the cluster is back, was left behind. It is offered as a group of deletions
(core.deletions) instead of being let go of. Told and kept by deletionrecords.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import structlog

from federation.controllers.tracks import Track
from federation.controllers.world import TypeState, World
from federation.core.deletiongroups import Change, Kind
from federation.core.deletions import Ledger
from federation.model import marks
from federation.model.observations import Observed
from federation.model.plan import Delete, Wait
from federation.model.resources import Key, ObjectName

MOST = 100
"""Clusters that are remembered; the oldest is forgotten for a newer one."""
NAMED = 10
"""Copies that are named of each: of those whose removal was wanted before the cluster was taken out."""
SETTLED = 600.0
"""Seconds after which a cluster that is back, and shows nothing that was left behind, is forgotten."""

log = structlog.get_logger()


class Debts:
    """What was left behind. `identity` gives the recorded identity of a joined cluster, "" where there is none."""

    def __init__(self, world: World, now: Callable[[], str]) -> None:
        self.identity: Callable[[str], str] = lambda cluster: ""
        self.changed = False
        """Something is to be told: whoever has told it resets it."""
        self._world = world
        self._now = now
        self._left: dict[str, dict[str, Any]] = {}
        self._back: dict[str, float] = {}

    @property
    def entries(self) -> list[Mapping[str, Any]]:
        """What the KubeFedConfig's status shows of each."""
        return list(self._left.values())

    def resume(self, stored: object, elsewhere: Collection[object] = ()) -> None:
        """What an earlier controller has stored, but for what is remembered `elsewhere`."""
        for each in stored if isinstance(stored, list) else ():
            if isinstance(each, dict) and isinstance(each.get("uid"), str) and each["uid"] not in {"", *elsewhere}:
                self._left[each["uid"]] = each

    def leaves(self, cluster: str, identity: str, *, silent: bool) -> None:
        """A cluster is taken out; `silent`: it does not answer. Its copies are still remembered."""
        wanted, copies = self._wanted(cluster), self._world.placements(cluster)
        if not identity or not (wanted or (silent and copies)):
            return
        self._left.pop(identity, None)
        while len(self._left) >= MOST:
            self._left.pop(next(iter(self._left)))
        named = [{"type": key.type, "namespace": key.namespace, "name": key.name} for key in wanted[:NAMED]]
        self._left[identity] = {
            "uid": identity,
            "cluster": cluster,
            "since": self._now(),
            "count": len(wanted),
            "copies": named,
        }
        self._back.pop(identity, None)
        self.changed = True
        log.warning("copies left behind in a cluster that was taken out", cluster=cluster, removals_wanted=len(wanted))

    def of(self, cluster: str, observed: Observed) -> Change | None:
        """The change by which a copy without a federated object would be deleted; None: it was not left behind."""
        identity = self.identity(cluster) if self._left else ""
        return Change(Kind.DEBT, identity) if identity in self._left and observed.owned_digest else None

    def turn(self, ledger: Ledger) -> float:
        """Forget clusters that are back and have shown nothing for long; seconds until there may be more to do."""
        if not self._left:
            return float("inf")
        now = time.monotonic()
        there = {self.identity(name): name for name, each in self._world.members.items() if each.cluster.ready}
        for identity in list(self._left):
            waits = any(each.change == Change(Kind.DEBT, identity) for each in ledger.groups.values())
            if identity not in there or waits:
                self._back.pop(identity, None)
            elif now - self._back.setdefault(identity, now) >= SETTLED:
                del self._left[identity], self._back[identity]
                self.changed = True
        return min((since + SETTLED - now for since in self._back.values()), default=SETTLED)

    def _wanted(self, cluster: str) -> list[Key]:
        """Objects whose copies should have been removed there, and were not."""
        found = (
            Key(state.type.name, *name)
            for state in self._world.types.values()
            for name, track in state.tracks.items()
            if cluster in track.actions and _unremoved(state, name, track, cluster)
        )
        return sorted(found)


def _unremoved(state: TypeState, name: ObjectName, track: Track, cluster: str) -> bool:
    plan, action = track.plan, track.actions[cluster]
    if plan is None or cluster in plan.selected or not isinstance(action, Delete | Wait):
        return False
    federated, copies = state.objects.get(name), state.copies.get(cluster)
    if federated is not None and federated.metadata.annotations.get(marks.ORPHAN_ANNOTATION) == "true":
        return False
    observed = copies.objects.get(state.target_name(name)) if copies is not None else None
    return observed is not None and observed.managed and bool(observed.owned_digest)


def described(entries: Iterable[Mapping[str, Any]], identity: str) -> str:
    """The name that a cluster had."""
    return next((str(each.get("cluster")) for each in entries if each.get("uid") == identity), identity)
